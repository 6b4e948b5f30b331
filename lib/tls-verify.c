/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The server's certificate: having it verified, and saying what is wrong with
 * it so that somebody can put it right.
 */

#include "config.h"

#ifdef HAVE_GNUTLS

#include <arpa/inet.h>
#include <stdarg.h>
#include <time.h>

#include <gnutls/x509.h>

#include "tls.h"

/* The chain is verified with or without a name to be found in it. */
void
tls_verify (struct nbd_handle *h, const char *hostname)
{
  gnutls_session_set_verify_cert (h->session->tls, hostname, 0);
}

/* Text of a bounded size. */
struct text {
  char *s;
  size_t n, size;
};

static void __attribute__ ((format (printf, 2, 3)))
add (struct text *t, const char *fmt, ...)
{
  va_list args;
  int n;

  va_start (args, fmt);
  n = vsnprintf (t->s + t->n, t->size - t->n, fmt, args);
  va_end (args);
  t->n += MIN ((size_t) n, t->size - t->n - 1);
}

/* Words of a certificate are those of a stranger: only text of one line. */
static void
add_words (struct text *t, const char *s, size_t n)
{
  for (size_t i = 0; i < n && i < 256; i++) {
    unsigned char c = s[i];

    add (t, "%c", c < 32 || c == 127 ? '?' : c);
  }
}

static void
add_date (struct text *t, time_t when)
{
  struct tm tm;
  char date[64] = "an unknown date";

  if (when != (time_t) -1 && gmtime_r (&when, &tm))
    strftime (date, sizeof date, "%Y-%m-%d %H:%M UTC", &tm);
  add (t, "%s", date);
}

static void
add_address (struct text *t, const char *bytes, size_t n)
{
  char address[INET6_ADDRSTRLEN] = "?";

  if (n == 4 || n == 16)
    inet_ntop (n == 4 ? AF_INET : AF_INET6, bytes, address, sizeof address);
  add (t, "%s", address);
}

/* The names that the certificate is for. */
static void
add_names (struct text *t, gnutls_x509_crt_t crt)
{
  char name[512];
  size_t n;
  unsigned count = 0;
  int type;

  for (unsigned i = 0; i < 20; i++) {
    n = sizeof name;
    type = gnutls_x509_crt_get_subject_alt_name (crt, i, name, &n, NULL);
    if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
      break;
    if (type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_IPADDRESS)
      continue;
    add (t, "%s", count++ ? ", " : "");
    if (type == GNUTLS_SAN_DNSNAME)
      add_words (t, name, n);
    else
      add_address (t, name, n);
  }
  n = sizeof name;
  if (count == 0 &&
      gnutls_x509_crt_get_dn_by_oid (crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0,
                                     name, &n) == 0) {
    add_words (t, name, n);
    count++;
  }
  if (count == 0)
    add (t, "nobody");
}

static void
add_issuer (struct text *t, gnutls_x509_crt_t crt)
{
  char dn[512];
  size_t n = sizeof dn;

  if (gnutls_x509_crt_get_issuer_dn (crt, dn, &n) == 0)
    add_words (t, dn, n);
  else
    add (t, "?");
}

/* What is wrong, bit by bit.  False if none of it is one we have words for. */
static bool
add_reasons (struct text *t, struct nbd_handle *h, gnutls_x509_crt_t crt,
             unsigned status, const char *hostname)
{
  const struct session *s = h->session;
  size_t before = t->n;

  if (status & GNUTLS_CERT_UNEXPECTED_OWNER) {
    add (t, ": it is for ");
    add_names (t, crt);
    add (t, " and not for %s (nbd_set_tls_hostname)", hostname);
  }
  if (status & GNUTLS_CERT_SIGNER_NOT_FOUND) {
    add (t, ": its issuer is not known, ");
    add_issuer (t, crt);
    add (t, " (trusted are %s)", s->authorities ? s->authorities :
         "the authorities of the system; others belong in ca-cert.pem");
  }
  if (status & GNUTLS_CERT_EXPIRED) {
    add (t, ": it, or an issuer, has expired; its own date is ");
    add_date (t, gnutls_x509_crt_get_expiration_time (crt));
  }
  if (status & GNUTLS_CERT_NOT_ACTIVATED) {
    add (t, ": it, or an issuer, is not yet valid; its own date is ");
    add_date (t, gnutls_x509_crt_get_activation_time (crt));
  }
  if (status & GNUTLS_CERT_REVOKED)
    add (t, ": it was revoked by its issuer");
  return t->n > before;
}

/* The server's own certificate; NULL if it has sent none that makes sense. */
static gnutls_x509_crt_t
server_certificate (const struct session *s)
{
  unsigned n;
  const gnutls_datum_t *chain = gnutls_certificate_get_peers (s->tls, &n);
  gnutls_x509_crt_t crt;

  if (chain == NULL || n == 0 || gnutls_x509_crt_init (&crt) < 0)
    return NULL;
  if (gnutls_x509_crt_import (crt, &chain[0], GNUTLS_X509_FMT_DER) == 0)
    return crt;
  gnutls_x509_crt_deinit (crt);
  return NULL;
}

void
tls_describe_refusal (struct nbd_handle *h, const char *hostname,
                      char *text, size_t size)
{
  struct text t = { text, 0, size };
  struct session *s = h->session;
  unsigned status = gnutls_session_get_verify_cert_status (s->tls);
  gnutls_x509_crt_t crt = server_certificate (s);
  gnutls_datum_t words = { NULL, 0 };

  add (&t, "server's certificate is not accepted");
  if ((crt == NULL || !add_reasons (&t, h, crt, status, hostname)) &&
      gnutls_certificate_verification_status_print (status, GNUTLS_CRT_X509,
                                                    &words, 0) == 0)
    add (&t, ": %s", (const char *) words.data);
  gnutls_free (words.data);
  if (crt)
    gnutls_x509_crt_deinit (crt);
}

#endif /* HAVE_GNUTLS */
