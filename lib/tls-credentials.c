/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whom the client trusts and how it proves who it is: certificates in a folder,
 * or a key that is shared with the server; and the order of ciphers.
 */

#include "config.h"

#ifdef HAVE_GNUTLS

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined (__aarch64__) && defined (__linux__)
#include <sys/auxv.h>
#include <asm/hwcap.h>
#endif

#include "call.h"
#include "tls.h"

/* Where certificates are when nobody says: of root, and of others in HOME. */
#define SYSTEM_FOLDER SYSCONFDIR "/pki/libnbd"
static const char *const home_folders[] = { ".pki/libnbd",
                                            ".config/pki/libnbd" };

/* FILE in DIR; NULL after fail (). */
static char *
path_in (struct nbd_handle *h, const char *dir, const char *file)
{
  char *path;

  if (asprintf (&path, "%s/%s", dir, file) != -1)
    return path;
  fail (h, ENOMEM, "malloc");
  return NULL;
}

/* Whether there is such a file: 1, 0, or -1 after fail () if it cannot be read.
 */
static int
is_there (struct nbd_handle *h, const char *path)
{
  if (access (path, R_OK) == 0)
    return 1;
  if (errno == ENOENT)
    return 0;
  fail (h, errno, "TLS: %s", path);
  return -1;
}

static int
file_failed (struct nbd_handle *h, const char *path, int r)
{
  fail (h, r == GNUTLS_E_MEMORY_ERROR ? ENOMEM : EINVAL, "TLS: %s: %s", path,
        r == 0 ? "there is nothing in it that could be used" :
        gnutls_strerror (r));
  return -1;
}

static int
load_authorities (struct nbd_handle *h, const char *dir)
{
  struct session *s = h->session;
  char *path = path_in (h, dir, "ca-cert.pem");
  int there = path ? is_there (h, path) : -1, r = there;

  if (there == 1) {
    r = gnutls_certificate_set_x509_trust_file (s->x509, path,
                                                GNUTLS_X509_FMT_PEM);
    if (r <= 0)
      r = file_failed (h, path, r);
    else {
      s->authorities = path;
      return 0;
    }
  }
  free (path);
  return r;
}

/* Certificates that their authority has taken back. */
static int
load_revocations (struct nbd_handle *h, const char *dir)
{
  char *path = path_in (h, dir, "ca-crl.pem");
  int there = path ? is_there (h, path) : -1, r = there;

  if (there == 1) {
    r = gnutls_certificate_set_x509_crl_file (h->session->x509, path,
                                              GNUTLS_X509_FMT_PEM);
    r = r <= 0 ? file_failed (h, path, r) : 0;
  }
  free (path);
  return r;
}

/* The client's own certificate: both files or none. */
static int
load_client (struct nbd_handle *h, const char *dir)
{
  char *cert = path_in (h, dir, "client-cert.pem");
  char *key = cert ? path_in (h, dir, "client-key.pem") : NULL;
  int has_cert = key ? is_there (h, cert) : -1;
  int has_key = has_cert != -1 ? is_there (h, key) : -1, r = -1;

  if (has_key != -1 && has_cert != has_key)
    fail (h, ENOENT, "TLS: %s", has_cert ? key : cert);
  else if (has_key == 1) {
    r = gnutls_certificate_set_x509_key_file (h->session->x509, cert, key,
                                              GNUTLS_X509_FMT_PEM);
    if (r < 0)                  /* gnutls does not say in which of them */
      fail (h, r == GNUTLS_E_MEMORY_ERROR ? ENOMEM : EINVAL,
            "TLS: %s and %s: %s", cert, key, gnutls_strerror (r));
  }
  else if (has_key == 0)
    r = 0;
  free (cert);
  free (key);
  return r < 0 ? -1 : 0;
}

static int
load_folder (struct nbd_handle *h, const char *dir)
{
  debug (h, "TLS: certificates are in %s", dir);
  if (load_authorities (h, dir) == -1 || load_revocations (h, dir) == -1)
    return -1;
  return load_client (h, dir);
}

/* Whether this folder is one of certificates. */
static bool
has_certificates (const char *dir)
{
  static const char *const files[] = { "ca-cert.pem", "client-cert.pem" };
  bool found = false;

  for (size_t i = 0; i < COUNT (files) && !found; i++) {
    char *path;

    if (asprintf (&path, "%s/%s", dir, files[i]) == -1)
      return false;
    found = access (path, F_OK) == 0;
    free (path);
  }
  return found;
}

/* The first default folder that there is; NULL if there is none. */
static char *
default_folder (void)
{
  const char *home = getenv ("HOME");
  char *dir;

  if (geteuid () == 0)
    return has_certificates (SYSTEM_FOLDER) ? strdup (SYSTEM_FOLDER) : NULL;
  for (size_t i = 0; home && i < COUNT (home_folders); i++) {
    if (asprintf (&dir, "%s/%s", home, home_folders[i]) == -1)
      return NULL;
    if (has_certificates (dir))
      return dir;
    free (dir);
  }
  return NULL;
}

static int
load_x509 (struct nbd_handle *h)
{
  struct session *s = h->session;
  const char *dir = h->tls.certificates;
  char *found = NULL;
  struct stat st;
  int r = gnutls_certificate_allocate_credentials (&s->x509);

  if (r != GNUTLS_E_SUCCESS) {
    fail (h, ENOMEM, "gnutls_certificate_allocate_credentials: %s",
          gnutls_strerror (r));
    return -1;
  }
  if (dir == NULL || *dir == '\0')
    dir = found = default_folder ();
  else if (stat (dir, &st) == -1 ||
           (!S_ISDIR (st.st_mode) && (errno = ENOTDIR))) {
    fail (h, errno, "TLS: %s", dir);
    return -1;
  }
  r = dir ? load_folder (h, dir) : 0;
  free (found);
  if (r == 0 && s->authorities == NULL) {
    r = gnutls_certificate_set_x509_system_trust (s->x509);
    debug (h, "TLS: %d authorities of the system are trusted", r);
    r = 0;                      /* without any, none is */
  }
  return r;
}

/* The key of USER in a file of lines "user:key", as psktool writes them.  Empty
 * if there is none.
 */
static char *
find_key (FILE *fp, const char *user)
{
  char *line = NULL, *key = NULL;
  size_t size = 0, n = strlen (user);

  while (key == NULL && getline (&line, &size, fp) != -1)
    if (strncmp (line, user, n) == 0 && line[n] == ':')
      key = strndup (line + n + 1, strcspn (line + n + 1, "\r\n"));
  if (line)
    explicit_bzero (line, size);
  free (line);
  return key;
}

static int
set_key (struct nbd_handle *h, const char *user, const char *key)
{
  struct session *s = h->session;
  gnutls_datum_t datum = { (unsigned char *) key, strlen (key) };
  int r = gnutls_psk_allocate_client_credentials (&s->psk);

  if (r == GNUTLS_E_SUCCESS)
    r = gnutls_psk_set_client_credentials (s->psk, user, &datum,
                                           GNUTLS_PSK_KEY_HEX);
  if (r == GNUTLS_E_SUCCESS)
    return 0;
  fail (h, r == GNUTLS_E_MEMORY_ERROR ? ENOMEM : EINVAL,
        "TLS: the key of %s in %s: %s", user, h->tls.psk_file,
        gnutls_strerror (r));
  return -1;
}

static int
load_psk (struct nbd_handle *h)
{
  const char *file = h->tls.psk_file;
  char *user = api_get_tls_username (h), *key = NULL;
  FILE *fp;
  int r = -1;

  if (user == NULL) {
    fail (h, nbd_get_errno (), "TLS: there is no user name: call "
          "nbd_set_tls_username");
    return -1;
  }
  fp = fopen (file, "re");
  if (fp == NULL)
    fail (h, errno, "open: %s", file);
  else {
    key = find_key (fp, user);
    if (key == NULL && ferror (fp))
      fail (h, errno, "read: %s", file);
    else if (key == NULL)
      fail (h, EINVAL, "%s: username %s was not found in PSK file", file,
            user);
    else {
      r = set_key (h, user, key);
      explicit_bzero (key, strlen (key));
    }
    fclose (fp);
  }
  free (key);
  free (user);
  return r;
}

static bool
has_psk (const struct nbd_handle *h)
{
  return h->tls.psk_file && *h->tls.psk_file;
}

int
tls_load_credentials (struct nbd_handle *h)
{
  struct session *s = h->session;
  int r = has_psk (h) ? load_psk (h) : load_x509 (h);

  if (r == -1)
    return -1;
  r = s->psk ? gnutls_credentials_set (s->tls, GNUTLS_CRD_PSK, s->psk) :
    gnutls_credentials_set (s->tls, GNUTLS_CRD_CERTIFICATE, s->x509);
  if (r == GNUTLS_E_SUCCESS)
    return 0;
  fail (h, ENOMEM, "gnutls_credentials_set: %s", gnutls_strerror (r));
  return -1;
}

static bool
processor_has_aes (void)
{
#if defined (__x86_64__) || defined (__i386__)
  return __builtin_cpu_supports ("aes") && __builtin_cpu_supports ("pclmul");
#elif defined (__aarch64__) && defined (__linux__)
  return getauxval (AT_HWCAP) & HWCAP_AES;
#else
  return false;
#endif
}

/* Whether PRIORITY prefers CHACHA20-POLY1305 to a cipher that is some times
 * faster where the processor knows AES.
 */
static bool
prefers_chacha (const char *priority)
{
  gnutls_priority_t cache;
  const unsigned *ciphers;
  bool chacha = false, preferred = false;
  int n;

  if (gnutls_priority_init (&cache, priority, NULL) != GNUTLS_E_SUCCESS)
    return false;
  n = gnutls_priority_cipher_list (cache, &ciphers);
  for (int i = 0; i < n; i++) {
    chacha |= ciphers[i] == GNUTLS_CIPHER_CHACHA20_POLY1305;
    preferred |= chacha && ciphers[i] == GNUTLS_CIPHER_AES_128_GCM;
  }
  gnutls_priority_deinit (cache);
  return preferred;
}

char *
tls_priority (const struct nbd_handle *h)
{
  const char *own = h->tls.priority && *h->tls.priority ? h->tls.priority :
    NULL;
  const char *priority = own ? own : TLS_PRIORITY;
  /* What a caller or an administrator chose is left alone. */
  bool ours = own == NULL && strcmp (TLS_PRIORITY, "NORMAL") == 0;
  bool reorder = ours && processor_has_aes () && prefers_chacha (priority);
  char *text;

  /* "TLS versions" in the specification advises against the old ones. */
  if (asprintf (&text, "%s%s%s%s", priority,
                ours ? ":-VERS-TLS1.0:-VERS-TLS1.1" : "",
                has_psk (h) ? ":-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK" : "",
                reorder ? ":-CHACHA20-POLY1305:+CHACHA20-POLY1305" : "") == -1)
    return NULL;
  return text;
}

#endif /* HAVE_GNUTLS */
