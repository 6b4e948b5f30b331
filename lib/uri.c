/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* NBD URIs: taking one apart, and checking that the program allows what it asks
 * for.  libxml2 splits it; the parts are decoded here, because %00 means
 * something in the name of a socket.
 */

#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#ifdef HAVE_LIBXML2
#include <libxml/uri.h>
#endif

#include "text.h"
#include "uri.h"

/* Of names and numeric addresses, with a zone. */
#define HOST_CHARACTERS \
  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:%"

/* Not in the name of a user on its way to ssh. */
#define SHELL_CHARACTERS " \"$&'()*;<>?`{|}"

/* The schemes, row by row. */
static const struct uri_scheme schemes[] = {
  { "nbd", LIBNBD_ALLOW_TRANSPORT_TCP, false },
  { "nbds", LIBNBD_ALLOW_TRANSPORT_TCP, true },
  { "nbd+unix", LIBNBD_ALLOW_TRANSPORT_UNIX, false },
  { "nbds+unix", LIBNBD_ALLOW_TRANSPORT_UNIX, true },
  { "nbd+vsock", LIBNBD_ALLOW_TRANSPORT_VSOCK, false },
  { "nbds+vsock", LIBNBD_ALLOW_TRANSPORT_VSOCK, true },
  { "nbd+ssh", LIBNBD_ALLOW_TRANSPORT_SSH, false },
  { "nbds+ssh", LIBNBD_ALLOW_TRANSPORT_SSH, true },
};

int
api_supports_uri (struct nbd_handle *h)
{
  (void) h;
#ifdef HAVE_LIBXML2
  return 1;
#else
  return 0;
#endif
}

/* Whether S begins with WORD, which is in lower case, whatever the case of S.
 * That is no matter of the locale: strcasecmp finds no i in UNIX in Turkish.
 */
static bool
begins_with (const char *s, const char *word)
{
  for (; *word; s++, word++)
    if ((*s >= 'A' && *s <= 'Z' ? *s - 'A' + 'a' : *s) != *word)
      return false;
  return true;
}

int
api_is_uri (struct nbd_handle *h, const char *uri)
{
  (void) h;
  for (size_t i = 0; i < COUNT (schemes); i++)
    if (begins_with (uri, schemes[i].name) &&
        strncmp (uri + strlen (schemes[i].name), "://", 3) == 0)
      return 1;
  return 0;
}

#ifdef HAVE_LIBXML2

void
uri_free (struct uri *p)
{
  free (p->user);
  free (p->host);
  free (p->export_name);
  free (p->socket);
  free (p->username);
  free (p->hostname);
  free (p->certificates);
  free (p->psk_file);
  free (p->priority);
}

static int
hex_value (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The N bytes at S, decoded into new memory with a NUL behind them.  LENGTH is
 * NULL where no NUL may be among them.
 */
static char *
decode (struct nbd_handle *h, const char *s, size_t n, size_t *length)
{
  char *to = malloc (n + 1);
  size_t j = 0;

  if (to == NULL) {
    error_set (h, errno, "malloc");
    return NULL;
  }
  for (size_t i = 0; i < n; i++) {
    int high = 0, low = 0;

    if (s[i] != '%') {
      to[j++] = s[i];
      continue;
    }
    if (n - i < 3 || (high = hex_value (s[i + 1])) < 0 ||
        (low = hex_value (s[i + 2])) < 0 ||
        (high == 0 && low == 0 && length == NULL)) {
      error_set (h, EINVAL, "bad percent-encoding in URI: %.*s", (int) n, s);
      free (to);
      return NULL;
    }
    to[j++] = high << 4 | low;
    i += 2;
  }
  to[j] = '\0';
  if (length)
    *length = j;
  return to;
}

/* WORD is in lower case. */
static bool
is_word (const char *s, const char *word)
{
  return begins_with (s, word) && s[strlen (word)] == '\0';
}

static int
parse_bool (struct nbd_handle *h, const char *key, const char *value)
{
  static const char *const words[][2] = {
    { "0", "1" }, { "false", "true" }, { "f", "t" }, { "no", "yes" },
    { "n", "y" }, { "off", "on" },
  };

  for (size_t i = 0; i < COUNT (words); i++)
    for (int v = 0; v < 2; v++)
      if (is_word (value, words[i][v]))
        return v;
  error_set (h, EINVAL, "%s: cannot parse '%s' as a boolean", key, value);
  return -1;
}

static int
parse_port (struct nbd_handle *h, const char *key, const char *value,
            unsigned long least, unsigned long most, unsigned *port)
{
  char *end;
  unsigned long v;

  errno = 0;
  v = strtoul (value, &end, 10);
  if (errno || *end || !isdigit ((unsigned char) *value) || v < least ||
      v > most) {
    error_set (h, EINVAL, "%s: '%s' is not a port from %lu to %lu", key, value,
               least, most);
    return -1;
  }
  *port = v;
  return 0;
}

/* Local files are read on behalf of whoever wrote the URI. */
static int
check_local_file (struct nbd_handle *h, const char *key)
{
  if (h->uri_allow_local_file)
    return 0;
  error_set (h, EPERM, "local file access (%s) is not allowed, call "
             "nbd_set_uri_allow_local_file to enable this", key);
  return -1;
}

/* One KEY=VALUE.  Unknown keys are ignored. */
static int
parse_key (struct nbd_handle *h, struct uri *p, const char *key,
           char **value, size_t length)
{
  bool ssh = p->scheme->transport == LIBNBD_ALLOW_TRANSPORT_SSH;
  bool nul = strlen (*value) < length;
  int v;

  if (is_word (key, "socket")) {
    if (p->scheme->transport & (LIBNBD_ALLOW_TRANSPORT_TCP |
                                LIBNBD_ALLOW_TRANSPORT_VSOCK)) {
      error_set (h, EINVAL, "socket parameter is not for the scheme %s; did "
                 "you mean nbd+unix?", p->scheme->name);
      return -1;
    }
    if (nul && **value != '\0') {
      error_set (h, EINVAL, "%s: only an abstract name can begin with a NUL, "
                 "and no path has one in it", key);
      return -1;
    }
    uri_take (&p->socket, value);
    p->socket_length = length;
    return 0;
  }
  if (nul) {
    error_set (h, EINVAL, "%s: the value has a NUL in it", key);
    return -1;
  }
  if (is_word (key, "tls-certificates")) {
    uri_take (&p->certificates, value);
    return check_local_file (h, key);
  }
  if (is_word (key, "tls-psk-file")) {
    uri_take (&p->psk_file, value);
    return check_local_file (h, key);
  }
  if (is_word (key, "tls-username"))
    uri_take (&p->username, value);
  else if (is_word (key, "tls-hostname"))
    uri_take (&p->hostname, value);
  else if (is_word (key, "tls-priority")) {
    uri_take (&p->priority, value);
    if (!h->uri_allow_tls_priority) {
      error_set (h, EPERM, "setting the TLS priority is not allowed, call "
                 "nbd_set_uri_allow_tls_priority to enable this");
      return -1;
    }
  }
  else if (is_word (key, "tls-verify-peer")) {
    p->verify_peer = parse_bool (h, key, *value);
    return p->verify_peer == -1 ? -1 : 0;
  }
  else if (ssh && is_word (key, "nbd-port"))
    return parse_port (h, key, *value, 1, 65535, &p->nbd_port);
  else if (ssh && is_word (key, "compress")) {
    v = parse_bool (h, key, *value);
    p->compress = v == 1;
    return v == -1 ? -1 : 0;
  }
  return 0;
}

static int
parse_query (struct nbd_handle *h, struct uri *p, const char *query)
{
  while (query && *query) {
    size_t n = strcspn (query, "&;"), k = strcspn (query, "=&;");
    char *key = decode (h, query, k, NULL), *value = NULL;
    size_t length = 0;
    int r = -1;

    if (key)
      value = decode (h, query + k + (k < n), k < n ? n - k - 1 : 0, &length);
    if (value)
      r = parse_key (h, p, key, &value, length);
    free (key);
    free (value);
    if (r == -1)
      return -1;
    query += n + (query[n] != '\0');
  }
  return 0;
}

static const struct uri_scheme *
find_scheme (struct nbd_handle *h, const char *name, const char *uri)
{
  for (size_t i = 0; name && i < COUNT (schemes); i++)
    if (is_word (name, schemes[i].name))
      return &schemes[i];
  /* "host:port" is not meant to have one. */
  if (name && strncmp (uri + strlen (name), "://", 3) == 0)
    error_set (h, EINVAL, "unknown NBD URI scheme: %s", name);
  else
    error_set (h, EINVAL, "NBD URI does not have a scheme: valid NBD URIs "
               "should start with a scheme like nbd://, nbds:// or "
               "nbd+unix://%s", uri[0] != '/' ? "" :
               ": to open a local socket use \"nbd+unix://?socket=PATH\"");
  return NULL;
}

/* What the program allows. */
static int
check_allowed (struct nbd_handle *h, const struct uri_scheme *scheme)
{
  if (!(h->uri_allow_transports & scheme->transport)) {
    error_set (h, EPERM, "URI transport %s is not permitted", scheme->name);
    return -1;
  }
  if (scheme->tls && h->uri_allow_tls == LIBNBD_TLS_DISABLE) {
    error_set (h, EPERM, "TLS is not permitted in URIs: %s", scheme->name);
    return -1;
  }
  if (!scheme->tls && h->uri_allow_tls == LIBNBD_TLS_REQUIRE) {
    error_set (h, EPERM, "URIs must ask for TLS: %s", scheme->name);
    return -1;
  }
  return 0;
}

/* A part of the URI that may be absent. */
static int
decode_part (struct nbd_handle *h, const char *s, char **to)
{
  if (s == NULL)
    return 0;
  *to = decode (h, s, strlen (s), NULL);
  return *to ? 0 : -1;
}

/* "[::1%25eth0]", of which libxml2 only finds the brackets (RFC 6874). */
static bool
is_literal (const char *s, size_t n)
{
  const char *zone = strchr (s, '%');

  return strspn (s + 1, HOST_CHARACTERS "~") == n - 2 &&
    (!zone || (strncmp (zone, "%25", 3) == 0 && !strchr (zone, ':')));
}

/* "[::1]" without its brackets. */
static int
decode_host (struct nbd_handle *h, const char *s, char **to)
{
  size_t n = s ? strlen (s) : 0;

  if (n == 0)
    return 0;
  if (n < 2 || s[0] != '[' || s[n - 1] != ']') {
    *to = decode (h, s, n, NULL);
    return *to ? 0 : -1;
  }
  *to = decode (h, s + 1, n - 2, NULL);
  if (*to == NULL)
    return -1;
  if (!is_literal (s, n) || !uri_is_ipv6 (*to)) {
    error_set (h, EINVAL, "%s is not an IPv6 address in brackets", s);
    return -1;
  }
  return 0;
}

/* Where the digits of the port are, perhaps none, if the authority of URI ends
 * with a colon and a port.
 */
static bool
find_port (const char *uri, const char **digits, const char **end)
{
  const char *start = strstr (uri, "://");

  if (start == NULL)
    return false;
  start += 3;
  *end = start + strcspn (start, "/?#");
  *digits = *end;
  while (*digits > start && isdigit ((unsigned char) (*digits)[-1]))
    --*digits;
  return *digits > start && (*digits)[-1] == ':';
}

/* What libxml2 is shown: it makes large ports smaller, or refuses them, and
 * refuses one without digits, so each port is 1.
 */
static char *
replace_port (struct nbd_handle *h, const char *uri)
{
  struct text t = { 0 };
  const char *digits, *end;

  if (find_port (uri, &digits, &end)) {
    text_add_bytes (&t, uri, digits - uri);
    text_add (&t, "1");
    uri = end;
  }
  text_add (&t, uri);
  return text_finish (h, &t);
}

static bool
skip (const char **s, const char *part)
{
  size_t n = part ? strlen (part) : 0;
  bool found = n == 0 || strncmp (*s, part, n) == 0;

  *s += found ? n : 0;
  return found;
}

/* Whether all of URI is in X.  A part that there is no memory for is left out
 * by libxml2, and would become a default: another host, another export.
 */
static bool
is_complete (const xmlURI *x, const char *uri)
{
  const char *s = uri + strlen (x->scheme) + 3;

  return (x->user == NULL || (skip (&s, x->user) && skip (&s, "@"))) &&
    skip (&s, x->server) && (*s != ':' || skip (&s, ":1")) &&
    skip (&s, x->path) &&
    (*s != '?' || (skip (&s, "?") && skip (&s, x->query_raw))) &&
    (*s == '\0' || *s == '#');
}

/* 0, the default, if there is none. */
static int
parse_authority_port (struct nbd_handle *h, struct uri *p, const char *uri)
{
  bool vsock = p->scheme->transport == LIBNBD_ALLOW_TRANSPORT_VSOCK;
  const char *digits, *end;
  char *text;
  int r;

  if (!find_port (uri, &digits, &end) || digits == end)
    return 0;
  text = strndup (digits, end - digits);
  if (text == NULL) {
    error_set (h, errno, "strdup");
    return -1;
  }
  r = parse_port (h, "port", text, 0, vsock ? UINT32_MAX : 65535, &p->port);
  free (text);
  return r;
}

/* The parts of URI; SHOWN is what X was made from. */
static int
parse_parts (struct nbd_handle *h, struct uri *p, const char *uri,
             const xmlURI *x, const char *shown)
{
  const char *path = x->path ? x->path : "";

  p->scheme = find_scheme (h, x->scheme, uri);
  if (p->scheme == NULL)
    return -1;
  if (x->opaque || strncmp (uri + strlen (x->scheme), "://", 3) != 0) {
    error_set (h, EINVAL, "URI must begin with '%s://'", p->scheme->name);
    return -1;
  }
  if (check_allowed (h, p->scheme) == -1 ||
      decode_part (h, x->user, &p->user) == -1 ||
      decode_host (h, x->server, &p->host) == -1 ||
      decode_part (h, path + (*path == '/'), &p->export_name) == -1)
    return -1;
  if (!is_complete (x, shown)) {
    error_set (h, ENOMEM, "xmlParseURIRaw");
    return -1;
  }
  if (parse_authority_port (h, p, uri) == -1 ||
      parse_query (h, p, x->query_raw) == -1)
    return -1;
  if (p->user && *p->user == '\0') {
    free (p->user);             /* "nbd://@host" names nobody */
    p->user = NULL;
  }
  return 0;
}

/* What asks for TLS is never connected without (CVE-2019-14842). */
static int
check_supported (struct nbd_handle *h, const struct uri *p)
{
  if (p->scheme->tls && !api_supports_tls (h)) {
    error_set (h, ENOTSUP, "the library was built without TLS: %s",
               p->scheme->name);
    return -1;
  }
  return 0;
}

/* The host of a vsock URI: 2, the host of this guest, if there is none. */
static int
parse_cid (struct nbd_handle *h, struct uri *p)
{
  char *end;
  unsigned long cid;

  p->cid = 2;
  if (p->host == NULL)
    return 0;
  errno = 0;
  cid = strtoul (p->host, &end, 10);
  if (errno || *end || !isdigit ((unsigned char) *p->host) ||
      cid > UINT32_MAX) {
    error_set (h, EINVAL, "%s URI: '%s' is not a CID, which is a decimal "
               "number", p->scheme->name, p->host);
    return -1;
  }
  p->cid = cid;
  return 0;
}

/* ssh takes any user, but its configuration may have it pass the name to a
 * shell.
 */
static bool
is_ssh_user (const char *s)
{
  size_t n = strlen (s);

  for (size_t i = 0; i < n; i++)
    if (iscntrl ((unsigned char) s[i]) || strchr (SHELL_CHARACTERS, s[i]))
      return false;
  return s[n - 1] != '\\';
}

/* What each transport needs. */
static int
check_parts (struct nbd_handle *h, struct uri *p)
{
  switch (p->scheme->transport) {
  case LIBNBD_ALLOW_TRANSPORT_VSOCK:
    return parse_cid (h, p);
  case LIBNBD_ALLOW_TRANSPORT_UNIX:
    if (p->socket == NULL || p->socket_length == 0) {
      error_set (h, EINVAL, "cannot parse socket parameter from NBD URI (did "
                 "you mean to use \"%s:///?socket=...\"?)", p->scheme->name);
      return -1;
    }
    break;
  case LIBNBD_ALLOW_TRANSPORT_SSH:
    if (p->host == NULL) {
      error_set (h, EINVAL, "%s URI needs a host", p->scheme->name);
      return -1;
    }
    if (p->host[0] == '-' || (p->user && p->user[0] == '-')) {
      error_set (h, EINVAL, "%s URI: a host or user cannot begin with '-'",
                 p->scheme->name);
      return -1;
    }
    /* ssh takes more than a name for a host (user@, ssh://), and passes it to
     * a shell if its configuration says so.
     */
    if (p->host[strspn (p->host, HOST_CHARACTERS)] != '\0') {
      error_set (h, EINVAL, "%s URI: '%s' is not the name of a host",
                 p->scheme->name, p->host);
      return -1;
    }
    if (p->user && !is_ssh_user (p->user)) {
      error_set (h, EINVAL, "%s URI: '%s' is not the name of a user",
                 p->scheme->name, p->user);
      return -1;
    }
    if (p->socket && *p->socket == '\0') {
      error_set (h, EINVAL, "%s URI: the socket cannot be empty or an "
                 "abstract one", p->scheme->name);
      return -1;
    }
    break;
  }
  return 0;
}

int
uri_parse (struct nbd_handle *h, struct uri *p, const char *uri)
{
  char *shown = replace_port (h, uri);
  xmlURIPtr x = NULL;
  int r = -1;

  *p = (struct uri) { .verify_peer = -1 };
  if (shown == NULL)
    return -1;
  x = xmlParseURIRaw (shown, 1);
  if (x && x->fragment && strpbrk (x->fragment, "[]")) {
    xmlFreeURI (x);             /* which libxml2 takes for valid */
    x = NULL;
  }
  if (x) {
    if (parse_parts (h, p, uri, x, shown) == 0 &&
        check_supported (h, p) == 0)
      r = check_parts (h, p);
    xmlFreeURI (x);
  }
  else if (strstr (uri, "://"))
    error_set (h, EINVAL, "unable to parse URI: %s", uri);
  else
    find_scheme (h, NULL, uri);
  free (shown);
  return r;
}

#endif /* HAVE_LIBXML2 */
