/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Making a URI: what is remembered of a connection while it is made, and how
 * it is written when the program asks for it.
 */

#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/un.h>

#ifdef HAVE_LINUX_VM_SOCKETS_H
#include <linux/vm_sockets.h>
#endif

#include "text.h"
#include "uri.h"

void
uri_parts_free (struct nbd_handle *h)
{
  free (h->uri.host);
  free (h->uri.port);
  free (h->uri.path);
  free (h->uri.named);
  h->uri = (struct uri_parts) { 0 };
}

void
uri_remember_tcp (struct nbd_handle *h, const char *host, const char *port)
{
  uri_parts_free (h);
  h->uri.host = strdup (host);
  h->uri.port = strdup (port);
  if (h->uri.host && h->uri.port)
    h->uri.kind = URI_TCP;
}

void
uri_remember_unix (struct nbd_handle *h, const char *path, size_t n)
{
  uri_parts_free (h);
  h->uri.path = malloc (n + 1);
  if (h->uri.path && n > 0) {   /* none leads to an empty path */
    memcpy (h->uri.path, path, n);
    h->uri.path_length = n;
    h->uri.kind = URI_UNIX;
  }
}

/* The numeric form of an address of the caller. */
void
uri_remember_address (struct nbd_handle *h, const struct sockaddr *addr,
                      socklen_t len)
{
  char host[NI_MAXHOST], port[NI_MAXSERV];

  uri_parts_free (h);
  if (addr->sa_family == AF_UNIX) {
    const struct sockaddr_un *un = (const struct sockaddr_un *) addr;
    size_t n = len - offsetof (struct sockaddr_un, sun_path);

    if (len <= offsetof (struct sockaddr_un, sun_path) || len > sizeof *un)
      return;
    /* A path ends at its NUL, an abstract name with the address. */
    uri_remember_unix (h, un->sun_path, un->sun_path[0] ?
                       strnlen (un->sun_path, n) : n);
  }
#ifdef HAVE_LINUX_VM_SOCKETS_H
  else if (addr->sa_family == AF_VSOCK) {
    const struct sockaddr_vm *vm = (const struct sockaddr_vm *) addr;

    if (len >= sizeof *vm)
      uri_remember_vsock (h, vm->svm_cid, vm->svm_port);
  }
#endif
  else if (getnameinfo (addr, len, host, sizeof host, port, sizeof port,
                        NI_NUMERICHOST | NI_NUMERICSERV) == 0)
    uri_remember_tcp (h, host, port);
}

void
uri_remember_vsock (struct nbd_handle *h, uint32_t cid, uint32_t port)
{
  uri_parts_free (h);
  h->uri.kind = URI_VSOCK;
  h->uri.cid = cid;
  h->uri.vsock_port = port;
}

/* Write N bytes, those that are not in SAFE or letters or digits escaped. */
static void
escape (struct text *t, const char *s, size_t n, const char *safe)
{
  for (size_t i = 0; i < n; i++) {
    unsigned char c = s[i];
    char code[4];

    if ((isascii (c) && isalnum (c)) || (c && strchr (safe, c)))
      text_add_bytes (t, &s[i], 1);
    else {
      snprintf (code, sizeof code, "%%%02X", c);
      text_add (t, code);
    }
  }
}

#define UNRESERVED "-._~"

/* What else each part may hold as it is (RFC 3986), as clients of 1.14 have
 * it: but nothing that separates keys, nor the + that some read as a space.
 */
#define USER_SAFE UNRESERVED "!$&'()*+,;=:"
#define PATH_SAFE UNRESERVED "!$&'()*+,;=@/"
#define VALUE_SAFE UNRESERVED "!$'()*,=:@/?"

bool
uri_is_ipv6 (char *s)
{
  char *zone = strchr (s, '%');
  struct in6_addr addr;
  bool good;

  if (zone)
    *zone = '\0';
  good = inet_pton (AF_INET6, s, &addr) == 1 && (!zone || zone[1]);
  if (zone)
    *zone = '%';
  return good;
}

/* A name, or an IPv6 address in brackets, where a zone follows it. */
static void
add_host (struct text *t, char *host)
{
  bool literal = uri_is_ipv6 (host);
  size_t n = literal ? strcspn (host, "%") : 0;

  if (literal)
    text_add (t, "[");
  text_add_bytes (t, host, n);
  escape (t, host + n, strlen (host + n), UNRESERVED);
  if (literal)
    text_add (t, "]");
}

static void
add_authority (struct text *t, struct nbd_handle *h)
{
  const struct uri_parts *u = &h->uri;
  const char *user = h->tls.username;

  if (user && *user) {
    escape (t, user, strlen (user), USER_SAFE);
    text_add (t, "@");
  }
  if (u->kind == URI_VSOCK) {
    text_add_number (t, u->cid);
    text_add (t, ":");
    text_add_number (t, u->vsock_port);
  }
  else if (u->kind == URI_TCP) {
    add_host (t, u->host);
    text_add (t, ":");
    text_add (t, u->port);
  }
}

/* KEY=VALUE of the query, if there is a value. */
static void
add_key (struct text *t, char *separator, const char *key, const char *value,
         size_t n)
{
  if (value == NULL || n == 0)
    return;
  text_add_bytes (t, separator, 1);
  text_add (t, key);
  text_add (t, "=");
  escape (t, value, n, VALUE_SAFE);
  *separator = '&';
}

char *
api_get_uri (struct nbd_handle *h)
{
  static const char *const suffix[] = {
    [URI_TCP] = "", [URI_UNIX] = "+unix", [URI_VSOCK] = "+vsock",
  };
  const struct tls_settings *tls = &h->tls;
  bool secure = h->tls_negotiated || tls->mode == LIBNBD_TLS_REQUIRE;
  struct text t = { 0 };
  char separator = '?';

  if (h->uri.kind == URI_NONE) {
    error_set (h, EINVAL, "cannot construct a URI for this connection type");
    return NULL;
  }
  text_add (&t, secure ? "nbds" : "nbd");
  text_add (&t, suffix[h->uri.kind]);
  text_add (&t, "://");
  add_authority (&t, h);
  text_add (&t, "/");
  escape (&t, h->export_name, strlen (h->export_name), PATH_SAFE);
  add_key (&t, &separator, "socket", h->uri.path, h->uri.path_length);
#define TEXT(s) (s), (s) ? strlen (s) : 0
  add_key (&t, &separator, "tls-certificates", TEXT (tls->certificates));
  add_key (&t, &separator, "tls-psk-file", TEXT (tls->psk_file));
  add_key (&t, &separator, "tls-hostname", TEXT (tls->hostname));
  add_key (&t, &separator, "tls-priority", TEXT (tls->priority));
#undef TEXT
  if (!tls->verify_peer)
    add_key (&t, &separator, "tls-verify-peer", "false", 5);
  return text_finish (h, &t);
}
