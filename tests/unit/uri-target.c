/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uri-target.h"

bool connect_for_real;
int connect_errno;
unsigned nr_connects;

/* Of a fixed size, because nothing here may allocate: the allocations of the
 * library are counted.
 */
struct text {
  char s[1 << 17];
  size_t n;
};

static struct text got, wanted;

static void
put (struct text *t, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  t->n += vsnprintf (t->s + t->n, sizeof t->s - t->n, fmt, args);
  va_end (args);
  if (t->n >= sizeof t->s)
    abort ();
}

static void
put_bytes (struct text *t, const char *s, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (s[i] >= 32 && s[i] < 127 && s[i] != '\\' && s[i] != '|')
      put (t, "%c", s[i]);
    else
      put (t, "\\x%02X", (unsigned char) s[i]);
}

static void
put_setting (struct text *t, const char *key, const char *value)
{
  if (value == NULL || *value == '\0')
    return;
  put (t, " %s=", key);
  put_bytes (t, value, strlen (value));
}

static void
put_settings (struct text *t, const struct nbd_handle *h)
{
  put_setting (t, "export", h->export_name);
  if (h->tls.mode != LIBNBD_TLS_DISABLE)
    put (t, " tls=%d", h->tls.mode);
  put_setting (t, "user", h->tls.username);
  put_setting (t, "hostname", h->tls.hostname);
  put_setting (t, "certificates", h->tls.certificates);
  put_setting (t, "psk-file", h->tls.psk_file);
  put_setting (t, "priority", h->tls.priority);
  if (!h->tls.verify_peer)
    put (t, " verify-peer=no");
}

static void
put_tcp (struct text *t, const char *host, const char *port)
{
  put (t, "tcp ");
  put_bytes (t, host, strlen (host));
  put (t, " %s", port);
}

static void
put_unix (struct text *t, const char *name, size_t n)
{
  put (t, "unix ");
  put_bytes (t, name, n);
}

static void
put_vsock (struct text *t, uint32_t cid, uint32_t port)
{
  put (t, "vsock %u %u", cid, port);
}

/* In place of the functions that connect. */

static int
connected (struct nbd_handle *h)
{
  nr_connects++;
  if (connect_errno == 0)
    return 0;
  error_set (h, connect_errno, "pretended");
  return -1;
}

int __real_api_aio_connect_tcp (struct nbd_handle *h, const char *hostname,
                                const char *port);
int __wrap_api_aio_connect_tcp (struct nbd_handle *h, const char *hostname,
                                const char *port);
int __real_connect_unix_name (struct nbd_handle *h, const char *name,
                              size_t n);
int __wrap_connect_unix_name (struct nbd_handle *h, const char *name,
                              size_t n);
int __real_api_aio_connect_vsock (struct nbd_handle *h, uint32_t cid,
                                  uint32_t port);
int __wrap_api_aio_connect_vsock (struct nbd_handle *h, uint32_t cid,
                                  uint32_t port);
int __real_api_aio_connect_command (struct nbd_handle *h, char **argv);
int __wrap_api_aio_connect_command (struct nbd_handle *h, char **argv);

int
__wrap_api_aio_connect_tcp (struct nbd_handle *h, const char *hostname,
                            const char *port)
{
  if (connect_for_real)
    return __real_api_aio_connect_tcp (h, hostname, port);
  put_tcp (&got, hostname, port);
  uri_remember_tcp (h, hostname, port);
  return connected (h);
}

int
__wrap_connect_unix_name (struct nbd_handle *h, const char *name, size_t n)
{
  if (connect_for_real)
    return __real_connect_unix_name (h, name, n);
  put_unix (&got, name, n);
  uri_remember_unix (h, name, n);
  return connected (h);
}

int
__wrap_api_aio_connect_vsock (struct nbd_handle *h, uint32_t cid,
                              uint32_t port)
{
  if (connect_for_real)
    return __real_api_aio_connect_vsock (h, cid, port);
  put_vsock (&got, cid, port);
  uri_remember_vsock (h, cid, port);
  return connected (h);
}

int
__wrap_api_aio_connect_command (struct nbd_handle *h, char **argv)
{
  if (connect_for_real)
    return __real_api_aio_connect_command (h, argv);
  for (size_t i = 0; argv[i]; i++) {
    put (&got, i ? "|" : "");
    put_bytes (&got, argv[i], strlen (argv[i]));
  }
  uri_parts_free (h);
  return connected (h);
}

static const char *
name_of_errno (int errnum)
{
  static char other[32];

  switch (errnum) {
  case EINVAL: return "EINVAL";
  case EPERM: return "EPERM";
  case ENOTSUP: return "ENOTSUP";
  case ENAMETOOLONG: return "ENAMETOOLONG";
  case ENOMEM: return "ENOMEM";
  }
  snprintf (other, sizeof other, "errno-%d", errnum);
  return other;
}

const char *
target_of (struct nbd_handle *h, const char *uri)
{
  static const char function[] = "nbd_aio_connect_uri: ";
  const char *error;

  got.n = 0;
  if (nbd_aio_connect_uri (h, uri) == 0) {
    put_settings (&got, h);
    return got.s;
  }
  got.n = 0;
  error = nbd_get_error ();
  put (&got, "%s ", name_of_errno (nbd_get_errno ()));
  if (strncmp (error, function, strlen (function)) == 0)
    put (&got, "%s", error + strlen (function));
  else
    put (&got, "(another function) %s", error);
  return got.s;
}

void
take_back (struct nbd_handle *h)
{
  uri_settings_restore (h);
}

const char *
target_in (struct nbd_handle *h)
{
  const struct uri_parts *u = &h->uri;

  wanted.n = 0;
  switch (u->kind) {
  case URI_NONE: put (&wanted, "none"); break;
  case URI_TCP: put_tcp (&wanted, u->host, u->port); break;
  case URI_UNIX: put_unix (&wanted, u->path, u->path_length); break;
  case URI_VSOCK: put_vsock (&wanted, u->cid, u->vsock_port); break;
  }
  put_settings (&wanted, h);
  return wanted.s;
}

const char *
settings_in (struct nbd_handle *h)
{
  wanted.n = 0;
  put (&wanted, "settings:");
  put_settings (&wanted, h);
  return wanted.s;
}

/* RFC 3986, appendix A. */

#define ALPHA "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"
#define HEXDIG DIGIT "abcdefABCDEF"
#define UNRESERVED ALPHA DIGIT "-._~"
#define SUB_DELIMS "!$&'()*+,;="

static bool
is_one_of (const char *set, char c)
{
  return c && strchr (set, c);
}

/* What is at *S, of characters of the set and percent-encoded bytes. */
static struct part
take_part (const char **s, const char *set)
{
  struct part p = { *s, 0 };

  for (;; p.n++)
    if (p.s[p.n] == '%' && is_one_of (HEXDIG, p.s[p.n + 1]) &&
        is_one_of (HEXDIG, p.s[p.n + 2]))
      p.n += 2;
    else if (!is_one_of (set, p.s[p.n]))
      break;
  *s += p.n;
  return p;
}

bool
split_uri (const char *uri, struct split_uri *to)
{
  const struct part none = { NULL, -1 };
  const char *s = uri, *user_end;

  *to = (struct split_uri) { none, none, none, none, none, none, none };
  if (!is_one_of (ALPHA, *s))
    return false;
  to->scheme = (struct part) { s, strspn (s, ALPHA DIGIT "+-.") };
  s += to->scheme.n;
  if (strncmp (s, "://", 3) != 0)
    return false;
  s += 3;
  user_end = s;
  to->user = take_part (&user_end, UNRESERVED SUB_DELIMS ":");
  if (*user_end == '@')
    s = user_end + 1;
  else
    to->user = none;
  if (*s == '[') {
    s++;
    to->host = take_part (&s, HEXDIG ":.");
    /* RFC 6874; the percent sign was taken as that of an encoded one. */
    if (*s != ']')
      take_part (&s, UNRESERVED);
    if (*s != ']')
      return false;
    to->host.n = s - to->host.s;
    s++;
  }
  else
    to->host = take_part (&s, UNRESERVED SUB_DELIMS);
  if (*s == ':') {
    s++;
    to->port = (struct part) { s, strspn (s, DIGIT) };
    s += to->port.n;
  }
  if (*s && !is_one_of ("/?#", *s))
    return false;
  to->path = take_part (&s, UNRESERVED SUB_DELIMS ":@/");
  if (*s == '?') {
    s++;
    to->query = take_part (&s, UNRESERVED SUB_DELIMS ":@/?");
  }
  if (*s == '#') {
    s++;
    to->fragment = take_part (&s, UNRESERVED SUB_DELIMS ":@/?");
  }
  return *s == '\0';
}

struct part
find_key (struct part query, const char *key)
{
  const char *s = query.s, *end = query.n > 0 ? s + query.n : s;
  size_t n = strlen (key);

  while (s < end) {
    const char *stop = memchr (s, '&', end - s);

    if (stop == NULL)
      stop = end;
    if ((size_t) (stop - s) > n && strncmp (s, key, n) == 0 && s[n] == '=')
      return (struct part) { s + n + 1, stop - s - n - 1 };
    s = stop + 1;
  }
  return (struct part) { NULL, -1 };
}

bool
part_is (struct part p, const void *s, size_t n)
{
  const unsigned char *c = s;
  int i = 0;

  if (p.n < 0 || s == NULL)
    return p.n < 0 && s == NULL;
  for (; i < p.n && n > 0; i++, n--, c++) {
    unsigned v = (unsigned char) p.s[i];

    if (p.s[i] == '%') {
      if (sscanf (p.s + i + 1, "%2x", &v) != 1)
        return false;
      i += 2;
    }
    if (v != *c)
      return false;
  }
  return i == p.n && n == 0;
}
