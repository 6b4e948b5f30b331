/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whatever the URI, nothing is connected but what it says, or it is refused
 * and leaves no trace.
 *
 * As a test this program mutates the corpus below a fixed number of times, or
 * as often as its argument says.  With clang it is also a target of libFuzzer:
 *
 *   ./configure CC=clang --disable-shared \
 *     --enable-sanitizers=fuzzer-no-link,address,undefined
 *   make && make tests/unit/libfuzzer-uri
 *   tests/unit/libfuzzer-uri -max_total_time=180 -max_len=512 CORPUS
 *
 * where CORPUS is a folder, empty at first.  To write the corpus below into a
 * folder that exists: tests/unit/fuzz-uri FOLDER.
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "internal.h"
#include "tap.h"
#include "uri-target.h"

#define MUTATIONS 200000
#define MAX_URI 512

/* Why the last URI was found wrong. */
static const char *complaint;

#define CHECK(cond)                             \
  do {                                          \
    if (!(cond)) {                              \
      complaint = #cond;                        \
      return false;                             \
    }                                           \
  } while (0)

static bool
is_secure (const struct split_uri *p)
{
  return p->scheme.n > 3 && (p->scheme.s[3] == 's' || p->scheme.s[3] == 'S');
}

/* With TLS or without. */
static bool
has_scheme (const struct split_uri *p, const char *name)
{
  int secure = is_secure (p);

  return p->scheme.n - secure == (int) strlen (name) &&
    strncasecmp (p->scheme.s, name, 3) == 0 &&
    strncasecmp (p->scheme.s + 3 + secure, name + 3, strlen (name) - 3) == 0;
}

/* What was to be connected is what the URI says. */
static bool
agrees (const struct split_uri *p, struct nbd_handle *h, const char *target)
{
  const struct uri_parts *u = &h->uri;

  CHECK (h->tls.mode == (is_secure (p) ? LIBNBD_TLS_REQUIRE :
                         LIBNBD_TLS_DISABLE));
  CHECK (part_is (p->path.n > 0 ?
                  (struct part) { p->path.s + 1, p->path.n - 1 } :
                  (struct part) { "", 0 },
                  h->export_name, strlen (h->export_name)));
  if (has_scheme (p, "nbd")) {
    CHECK (u->kind == URI_TCP);
    CHECK (part_is (p->host, u->host, strlen (u->host)) ||
           (p->host.n == 0 && strcmp (u->host, "localhost") == 0));
    CHECK (atoi (u->port) > 0 && atoi (u->port) <= 65535);
    CHECK (p->port.n <= 0 || atoi (p->port.s) == 0 ||
           atoi (p->port.s) == atoi (u->port));
  }
  else if (has_scheme (p, "nbd+unix")) {
    CHECK (u->kind == URI_UNIX);
    CHECK (u->path_length > 0);
    CHECK (u->path[0] == '\0' ||
           memchr (u->path, '\0', u->path_length) == NULL);
  }
  else if (has_scheme (p, "nbd+vsock")) {
    CHECK (u->kind == URI_VSOCK);
    CHECK (u->vsock_port > 0);
    CHECK (p->port.n <= 0 || strtoul (p->port.s, NULL, 10) == 0 ||
           strtoul (p->port.s, NULL, 10) == u->vsock_port);
    CHECK (p->host.n > 0 || u->cid == 2);
  }
  else {
    const char *words = strstr (target, "|--|");

    CHECK (has_scheme (p, "nbd+ssh"));
    CHECK (u->kind == URI_NONE);
    CHECK (strncmp (target, "ssh|-p|", 7) == 0);
    CHECK (words && words[4] != '-' && words[4] != '|');
    words = strchr (words + 4, '|');
    CHECK (words && strncmp (words, "|nc ", 4) == 0 &&
           strchr (words + 1, '|') == NULL);
    CHECK (strncmp (words + 4, "-U '", 4) == 0 ||
           strncmp (words + 4, "-U ./'", 6) == 0 ||
           strncmp (words + 4, "localhost ", 10) == 0);
  }
  return true;
}

/* The URI that is made of a connection leads to it. */
static bool
leads_back (struct nbd_handle *h, const char *target)
{
  char *first = strdup (target), *uri = api_get_uri (h);
  struct split_uri p;
  bool valid = uri && split_uri (uri, &p), same;

  /* The handle has what the first said; the second must say it, too. */
  take_back (h);
  same = valid && strcmp (target_of (h, uri), first) == 0;
  free (first);
  free (uri);
  CHECK (valid);
  CHECK (same);
  return true;
}

static bool
was_refused (const char *target, int errnum)
{
  const char *error = nbd_get_error ();

  CHECK (errnum == EINVAL || errnum == EPERM || errnum == ENOTSUP ||
         errnum == ENAMETOOLONG);
  CHECK (error && strncmp (error, "nbd_aio_connect_uri: ", 21) == 0);
  CHECK (strlen (error) > 30);
  CHECK (target[0] == 'E');
  return true;
}

/* One URI, with one choice of what is allowed. */
static bool
is_good (struct nbd_handle *h, const char *uri, unsigned allow)
{
  struct split_uri p;
  const char *target;
  int errnum;

  h->uri_allow_local_file = allow & 1;
  h->uri_allow_tls_priority = allow & 2;
  h->uri_allow_tls = allow & 4 ? LIBNBD_TLS_DISABLE : LIBNBD_TLS_ALLOW;
  h->uri_allow_transports = allow & 8 ? allow >> 4 & 15 :
    LIBNBD_ALLOW_TRANSPORT_MASK;
  nr_connects = 0;
  take_back (h);                /* of one that was not good */
  target = target_of (h, uri);
  errnum = nbd_get_errno ();
  if (nr_connects > 0) {
    CHECK (nr_connects == 1);
    CHECK (nbd_is_uri (h, uri) == 1);
    CHECK (split_uri (uri, &p));
    if (!agrees (&p, h, target) ||
        (h->uri.kind != URI_NONE && !leads_back (h, target)))
      return false;
  }
  else if (!was_refused (target, errnum))
    return false;
  take_back (h);
  CHECK (h->state == STATE_START);
  CHECK (strcmp (settings_in (h), "settings:") == 0);
  return true;
}

static struct nbd_handle *
new_handle (void)
{
  struct nbd_handle *h = nbd_create ();

  if (h == NULL)
    abort ();
  return h;
}

#ifdef LIBFUZZER

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t n);

/* The first byte is what is allowed. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  static struct nbd_handle *h;
  char *uri;

  if (n == 0)
    return 0;
  if (h == NULL)
    h = new_handle ();
  uri = strndup ((const char *) data + 1, n - 1);
  if (uri == NULL || !is_good (h, uri, data[0])) {
    fprintf (stderr, "%s\n%s\n", uri, complaint);
    abort ();
  }
  free (uri);
  return 0;
}

#else

static const char *const corpus[] = {
  "nbd://example.com",
  "nbd://localhost:10809/",
  "nbd://bob@example.com:10810/disk%201?tls-verify-peer=off",
  "nbd://[2001:db8::1]:10810/disk%25",
  "nbd://[fe80::1%25eth0]:65535//abs",
  "nbd://1.2.3.4:1/a/b:c@d;e?tls-hostname=x%20y&tls-priority=NORMAL",
  "nbd:///?tls-certificates=/c&tls-psk-file=/p;tls-username=u",
  "nbd://u:p@:5/#fragment?x",
  "nbds://alice@example.com/disk",
  "NBD+UNIX:///?SOCKET=/run/nbd.sock",
  "nbd+unix:///disk?socket=%00abstract%00name",
  "nbd+unix://u@/?socket=/a%20b%25%3A%26&tls-verify-peer=0",
  "nbd+unix:////disk?a=b;socket=rel;socket=@x",
  "nbds+unix:///?socket=/s",
  "nbd+vsock://",
  "nbd+vsock://3:4294967295/%C3%A9",
  "nbd+vsock://4294967295/x?tls-hostname=h",
  "nbds+vsock://1:2/",
  "nbd+ssh://example.com/disk",
  "nbd+ssh://bob@example.com:2222/?socket=/it's&compress=yes",
  "nbd+ssh://[::1]:22/?nbd-port=65535&tls-username=t",
  "nbd+ssh://h/?socket=-x%3B$(id)",
  "nbd+ssh://-h/",
  "nbds+ssh://h/",
  "localhost",
  "localhost:10809",
  "/path/to/file",
  "nbd:disk",
  "http://h/",
  "",
};

/* What is worth inserting. */
static const char *const words[] = {
  "%00", "%25", "%20", "%2F", "%3a", "%2d", "%", "%4", "%zz", "%C3%A9", "://",
  ":", "/", "//", "?", "#", "&", ";", "=", "@", "[", "]", "[::1]", "::", "-",
  "+", "'", "\"", " ", "\n", "\303\251", "\377", "..", "0", "1", "65535",
  "65536", "99999999", "100000000", "4294967295", "4294967296",
  "18446744073709551617", "nbd", "nbds", "nbd+unix", "nbd+vsock", "nbd+ssh",
  "socket=", "nbd-port=", "compress=", "tls-certificates=", "tls-psk-file=",
  "tls-username=", "tls-hostname=", "tls-verify-peer=", "tls-priority=",
  "true", "off", "-oProxyCommand=id", "$(id)", "localhost", "u@",
};

static uint64_t
next_random (void)
{
  static uint64_t seed = 9;
  uint64_t x = seed += 0x9e3779b97f4a7c15;

  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

static size_t
below (size_t n)
{
  return next_random () % n;
}

/* Replace the N bytes at a place by others. */
static void
replace (char *uri, size_t place, size_t n, const char *s, size_t length)
{
  size_t rest = strlen (uri + place + n);

  if (place + length + rest >= MAX_URI)
    return;
  memmove (uri + place + length, uri + place + n, rest + 1);
  memcpy (uri + place, s, length);
}

static void
mutate (char *uri)
{
  size_t length = strlen (uri), place = below (length + 1);
  size_t n = below (MIN (length - place, 12) + 1);
  const char *word = words[below (COUNT (words))];
  const char *other = corpus[below (COUNT (corpus))];
  char copy[16];

  switch (below (6)) {
  case 0:                       /* another byte */
    if (place < length)
      uri[place] = 1 + below (255);
    break;
  case 1:
    replace (uri, place, 0, word, strlen (word));
    break;
  case 2:
    replace (uri, place, n, word, strlen (word));
    break;
  case 3:
    replace (uri, place, n, "", 0);
    break;
  case 4:                       /* twice the same */
    memcpy (copy, uri + place, n);
    replace (uri, place, 0, copy, n);
    break;
  case 5:                       /* half of another */
    other += below (strlen (other) + 1);
    replace (uri, place, length - place, other, strlen (other));
    break;
  }
}

static void
print_bad (const char *uri, unsigned allow)
{
  char text[4 * MAX_URI + 1];
  size_t n = 0;

  for (; *uri; uri++)
    n += snprintf (text + n, sizeof text - n,
                   *uri >= 32 && *uri < 127 ? "%c" : "\\x%02X",
                   (unsigned char) *uri);
  text[n] = '\0';
  note ("allow %u: %s", allow, text);
  note ("%s", complaint);
}

static void
fuzz (unsigned mutations)
{
  struct nbd_handle *h = new_handle ();
  unsigned bad = 0, connected = 0;

  for (size_t i = 0; i < COUNT (corpus); i++)
    for (unsigned allow = 0; allow < 256; allow++)
      if (!is_good (h, corpus[i], allow)) {
        print_bad (corpus[i], allow);
        bad++;
      }
  is_int (bad, 0, "the corpus");
  for (unsigned i = 0; i < mutations && bad < 20; i++) {
    unsigned allow = below (4) ? 3 : below (256);
    char uri[MAX_URI];

    strcpy (uri, corpus[below (COUNT (corpus))]);
    for (size_t n = 1 + below (6); n > 0; n--)
      mutate (uri);
    if (!is_good (h, uri, allow)) {
      print_bad (uri, allow);
      bad++;
    }
    connected += nr_connects > 0;
  }
  is_int (bad, 0, "%u mutations, of which %u connect", mutations, connected);
#ifdef HAVE_LIBXML2
  ok (connected > mutations / 10, "many of them do");
#else
  is_int (connected, 0, "none of them does, without libxml2");
#endif
  nbd_close (h);
}

static int
write_corpus (const char *folder)
{
  for (size_t i = 0; i < COUNT (corpus); i++) {
    char path[4096];
    FILE *fp;

    snprintf (path, sizeof path, "%s/%02zu", folder, i);
    fp = fopen (path, "w");
    if (fp == NULL || fprintf (fp, "\3%s", corpus[i]) < 0 ||
        fclose (fp) == EOF) {
      perror (path);
      return 1;
    }
  }
  return 0;
}

int
main (int argc, char *argv[])
{
  int mutations = argc > 1 ? atoi (argv[1]) : MUTATIONS;

  if (argc > 1 && mutations == 0)
    return write_corpus (argv[1]);
  tap_begin ();
  fuzz (mutations);
  return tap_end ();
}

#endif /* !LIBFUZZER */
