/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* URIs: what they lead to, which of them are refused, and those that are made
 * from a connection.
 */

#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "scenario.h"

#define SERVING SEND (GREETING), QUIET (CLIENT_FLAGS), SERVE

static void
await_connection (void)
{
  while (nbd_aio_is_connecting (h))
    if (nbd_poll (h, -1) == -1) {
      show_error ();
      break;
    }
  status ();
}

/* What a connection's own URI leads to, if it has one. */
static void
lead_back (char *uri)
{
  char *again;

  if (uri == NULL)
    return;
  finish ();
  say ("and back:");
  DIVERT (SERVING);
  nbd_set_uri_allow_local_file (h, true);
  CALL (nbd_connect_uri (h, uri));
  if (!nbd_aio_is_created (h)) {
    again = nbd_get_uri (h);
    say ("the same URI: %d", again && strcmp (again, uri) == 0);
    free (again);
  }
  free (uri);
  nbd_close (h);
  h = NULL;
}

/* Connect to where URI leads. */
static void
connect_uri (const char *uri)
{
  nbd_set_export_name (h, "earlier");
  say ("\"%s\"", uri);
  CALL (nbd_connect_uri (h, uri));
  CALL (nbd_get_export_name (h));
  if (!nbd_aio_is_created (h)) {
    CALL (nbd_get_uri (h));
    lead_back (nbd_get_uri (h));
  }
}

static void
try_uri (const char *uri)
{
  DIVERT (SERVING);
  connect_uri (uri);
}

/* With keys that name local files allowed. */
static void
try_local_uri (const char *uri)
{
  DIVERT (SERVING);
  CALL (nbd_set_uri_allow_local_file (h, true));
  connect_uri (uri);
}

#define CASE(text, try, uri) CASE_AT (__LINE__, text, try, uri)
#define CASE_AT(line, text, try, uri) CASE_NAMED (line, text, try, uri)
#define CASE_NAMED(line, text, try, uri)        \
  SCENARIO (uri_##line, "uri/" text)            \
  {                                             \
    try (uri);                                  \
  }

/* A URI, and in words what is special about it. */
#define URI(text, uri) CASE (text, try_uri, uri)
#define LOCAL(text, uri) CASE (text, try_local_uri, uri)

/* Hosts and ports. */
URI ("tcp: a host", "nbd://localhost")
URI ("tcp: a host and a slash", "nbd://localhost/")
URI ("tcp: an IPv4 address", "nbd://192.0.2.1/")
URI ("tcp: an IPv6 address", "nbd://[2001:db8::1]/")
URI ("tcp: an IPv6 address and a port", "nbd://[2001:db8::1]:1234/x")
URI ("tcp: an IPv6 address with a zone", "nbd://[fe80::1%25lo]/")
URI ("tcp: an IPv6 address in letters", "nbd://[2001:DB8::ABCD]/")
URI ("tcp: an IPv6 address without brackets", "nbd://2001:db8::1/")
URI ("tcp: an IPv6 address with one bracket", "nbd://[2001:db8::1/")
URI ("tcp: nothing in brackets", "nbd://[]/")
URI ("tcp: no host", "nbd://")
URI ("tcp: no host, but a slash", "nbd:///")
URI ("tcp: no host, but an export", "nbd:///disk")
URI ("tcp: no host, but a port", "nbd://:1234/")
URI ("tcp: a port", "nbd://192.0.2.1:1234/")
URI ("tcp: an empty port", "nbd://192.0.2.1:/")
URI ("tcp: port 0", "nbd://192.0.2.1:0/")
URI ("tcp: port 1", "nbd://192.0.2.1:1/")
URI ("tcp: port 65535", "nbd://192.0.2.1:65535/")
URI ("tcp: port 65536", "nbd://192.0.2.1:65536/")
URI ("tcp: a port of 11 digits", "nbd://192.0.2.1:99999999999/")
URI ("tcp: a port with zeroes before it", "nbd://192.0.2.1:0001234/")
URI ("tcp: a negative port", "nbd://192.0.2.1:-1/")
URI ("tcp: the name of a service", "nbd://192.0.2.1:nbd/")
URI ("tcp: a port and more", "nbd://192.0.2.1:1234x/")
URI ("tcp: an escaped host", "nbd://loc%61lhost/")
URI ("tcp: a host that is none", "nbd://300.300.300.300./")

/* Users. */
URI ("user: a name", "nbd://alice@192.0.2.1/")
URI ("user: an empty name", "nbd://@192.0.2.1/")
URI ("user: escaped", "nbd://al%40ice%20b%25@192.0.2.1/")
URI ("user: not ASCII", "nbd://caf%C3%A9@192.0.2.1/")
URI ("user: a name and a password", "nbd://alice:secret@192.0.2.1/")
URI ("user: all that needs no escape",
     "nbd://-._~!$&'()*+,;=:@192.0.2.1/")
URI ("user: reserved characters", "nbd://%2F%3F%23%5B%5D@192.0.2.1/")
URI ("user: a NUL in it", "nbd://a%00b@192.0.2.1/")
URI ("user: a key instead", "nbd://192.0.2.1/?tls-username=bob")
URI ("user: a key as well", "nbd://alice@192.0.2.1/?tls-username=bob")
URI ("user: without a host", "nbd://alice@/")
URI ("user: two", "nbd://alice@bob@192.0.2.1/")
URI ("user: of a Unix socket", "nbd+unix://alice@/?socket=s")

/* Exports. */
URI ("export: a word", "nbd://192.0.2.1/disk")
URI ("export: a slash", "nbd://192.0.2.1//")
URI ("export: a slash before it", "nbd://192.0.2.1//disk")
URI ("export: slashes in it", "nbd://192.0.2.1/a/b//c/")
URI ("export: dots", "nbd://192.0.2.1/../a/./b")
URI ("export: escaped slash", "nbd://192.0.2.1/%2Fdisk")
URI ("export: escaped space", "nbd://192.0.2.1/two%20words")
URI ("export: a space", "nbd://192.0.2.1/two words")
URI ("export: escaped percent", "nbd://192.0.2.1/100%25")
URI ("export: escaped twice", "nbd://192.0.2.1/%2541")
URI ("export: a percent that is none", "nbd://192.0.2.1/100%")
URI ("export: half an escape", "nbd://192.0.2.1/%4")
URI ("export: no digits", "nbd://192.0.2.1/%zz")
URI ("export: an escaped NUL", "nbd://192.0.2.1/a%00b")
URI ("export: an escaped newline", "nbd://192.0.2.1/a%0Ab")
URI ("export: UTF-8, escaped", "nbd://192.0.2.1/caf%C3%A9")
URI ("export: UTF-8", "nbd://192.0.2.1/caf\303\251")
URI ("export: not UTF-8", "nbd://192.0.2.1/%FF%FE")
URI ("export: escaped in small letters", "nbd://192.0.2.1/caf%c3%a9")
URI ("export: all that needs no escape",
     "nbd://192.0.2.1/-._~!$&'()*+,;=:@")
URI ("export: brackets", "nbd://192.0.2.1/a[b]c")
URI ("export: quotation marks", "nbd://192.0.2.1/\"a\"")
URI ("export: angle brackets", "nbd://192.0.2.1/<a>")
URI ("export: a backslash", "nbd://192.0.2.1/a\\b")
URI ("export: a fragment", "nbd://192.0.2.1/a#b")
URI ("export: an escaped fragment", "nbd://192.0.2.1/a%23b%3Fc%26d")
URI ("export: of a Unix socket", "nbd+unix:///disk?socket=s")
URI ("export: a slash, of a Unix socket", "nbd+unix:////disk?socket=s")

SCENARIO (export_4096, "uri/export: of 4096 bytes")
{
  strcpy (buf, "nbd://192.0.2.1/");
  memset (buf + strlen (buf), 'e', 4096);
  DIVERT (SERVING);
  CALL (nbd_connect_uri (h, buf));
}

SCENARIO (export_4097, "uri/export: of 4097 bytes")
{
  strcpy (buf, "nbd://192.0.2.1/");
  memset (buf + strlen (buf), 'e', 4097);
  DIVERT (SERVING);
  CALL (nbd_connect_uri (h, buf));
  status ();
}

/* Schemes. */
URI ("scheme: empty URI", "")
URI ("scheme: a word", "foo")
URI ("scheme: a host and a port", "localhost:10809")
URI ("scheme: a path", "/dev/null")
URI ("scheme: only slashes", "//192.0.2.1/")
URI ("scheme: of the web", "http://192.0.2.1/")
URI ("scheme: unknown transport", "nbd+foo://192.0.2.1/")
URI ("scheme: tcp is not one", "nbd+tcp://192.0.2.1/")
URI ("scheme: no transport", "nbd+://192.0.2.1/")
URI ("scheme: without slashes", "nbd:")
URI ("scheme: with one slash", "nbd:/disk")
URI ("scheme: a host without slashes", "nbd:localhost:10809")
URI ("scheme: a path of another program", "nbd:unix:/socket")
URI ("scheme: Unix without slashes", "nbd+unix:?socket=s")
URI ("scheme: Unix with one slash", "nbd+unix:/?socket=s")
URI ("scheme: only a colon", ":")
URI ("scheme: a space before it", " nbd://192.0.2.1/")
URI ("scheme: a newline behind it", "nbd://192.0.2.1/\n")
URI ("scheme: capital letters", "NBD://192.0.2.1/")
URI ("scheme: mixed letters", "Nbd+Unix:///?socket=s")
URI ("scheme: escaped", "n%62d://192.0.2.1/")

SCENARIO (ssh, "uri/ssh: a scheme after 1.14")
{
  setenv ("PATH", "nowhere", 1);
  try_uri ("nbd+ssh://192.0.2.1/");
}

SCENARIO (ssh_no_host, "uri/ssh: without a host")
{
  setenv ("PATH", "nowhere", 1);
  try_uri ("nbd+ssh:///");
}

SCENARIO (ssh_tls, "uri/ssh: with TLS")
{
  setenv ("PATH", "nowhere", 1);
  try_uri ("nbds+ssh://192.0.2.1/");
}

/* Unix sockets. */
URI ("unix: a relative path", "nbd+unix:///?socket=sock")
URI ("unix: an absolute path", "nbd+unix:///?socket=/run/sock")
URI ("unix: escaped", "nbd+unix:///?socket=%2Frun%2Fa%20b%25%26%3B%23")
URI ("unix: UTF-8", "nbd+unix:///?socket=caf%C3%A9")
URI ("unix: a plus", "nbd+unix:///?socket=a+b")
URI ("unix: equal signs", "nbd+unix:///?socket=a=b=c")
URI ("unix: colons", "nbd+unix:///?socket=a:b:c")
URI ("unix: a question mark", "nbd+unix:///?socket=a?b")
URI ("unix: an at sign before it", "nbd+unix:///?socket=@name")
URI ("unix: a fragment", "nbd+unix:///?socket=a#b")
URI ("unix: abstract", "nbd+unix:///?socket=%00name")
URI ("unix: a NUL in it", "nbd+unix:///?socket=a%00b")
URI ("unix: a bad escape", "nbd+unix:///?socket=a%zz")
URI ("unix: without a path", "nbd+unix:///")
URI ("unix: without anything", "nbd+unix://")
URI ("unix: an empty path", "nbd+unix:///?socket=")
URI ("unix: only the key", "nbd+unix:///?socket")
URI ("unix: another key", "nbd+unix:///?path=s")
URI ("unix: two paths", "nbd+unix:///?socket=a&socket=b")
URI ("unix: a host", "nbd+unix://host/?socket=s")
URI ("unix: a host and a port", "nbd+unix://host:1/?socket=s")
URI ("unix: no slash", "nbd+unix://?socket=s")
URI ("unix: the key in capitals", "nbd+unix:///?SOCKET=s")
URI ("unix: the key is escaped", "nbd+unix:///?%73ocket=s")
URI ("unix: a space before the key", "nbd+unix:///?%20socket=s")
URI ("unix: with TCP", "nbd://192.0.2.1/?socket=s")
URI ("unix: with vsock", "nbd+vsock:///?socket=s")

SCENARIO (unix_108, "uri/unix: a path of 108 bytes")
{
  strcpy (buf, "nbd+unix:///?socket=");
  memset (buf + strlen (buf), 'p', 108);
  try_uri (buf);
}

SCENARIO (unix_109, "uri/unix: a path of 109 bytes")
{
  strcpy (buf, "nbd+unix:///?socket=");
  memset (buf + strlen (buf), 'p', 109);
  try_uri (buf);
}

/* vsock. */
URI ("vsock: nothing", "nbd+vsock://")
URI ("vsock: a slash", "nbd+vsock:///")
URI ("vsock: a CID", "nbd+vsock://3/")
URI ("vsock: a CID and a port", "nbd+vsock://3:5/disk")
URI ("vsock: a port", "nbd+vsock://:5/")
URI ("vsock: an empty port", "nbd+vsock://3:/")
URI ("vsock: the largest CID", "nbd+vsock://4294967295/")
URI ("vsock: a CID that is too large", "nbd+vsock://4294967296/")
URI ("vsock: a CID of zeroes", "nbd+vsock://00/")
URI ("vsock: a negative CID", "nbd+vsock://-1/")
URI ("vsock: a hexadecimal CID", "nbd+vsock://0x3/")
URI ("vsock: a name", "nbd+vsock://host/")
URI ("vsock: a number and more", "nbd+vsock://3x/")
URI ("vsock: port 65536", "nbd+vsock://3:65536/")
URI ("vsock: the largest port", "nbd+vsock://3:4294967295/")
URI ("vsock: a port that is too large", "nbd+vsock://3:4294967296/")

/* Queries. */
URI ("query: empty", "nbd://192.0.2.1/?")
URI ("query: an unknown key", "nbd://192.0.2.1/disk?unknown=1")
URI ("query: a word", "nbd://192.0.2.1/disk?word")
URI ("query: no key", "nbd://192.0.2.1/disk?=b")
URI ("query: separators", "nbd+unix:///?&&;x=1;;socket=s&")
URI ("query: semicolons", "nbd+unix:///?x=1;socket=s;y=2")
URI ("query: an escaped separator", "nbd+unix:///?socket=a%26b%3Bc")
URI ("query: a bad escape in an unknown key",
     "nbd://192.0.2.1/disk?a%zz=1")

/* Keys of TLS, on connections without. */
URI ("tls: certificates are not allowed",
     "nbd://192.0.2.1/?tls-certificates=dir")
URI ("tls: a file of keys is not allowed",
     "nbd://192.0.2.1/?tls-psk-file=keys")
URI ("tls: certificates in capitals are not allowed",
     "nbd://192.0.2.1/?TLS-CERTIFICATES=dir")
URI ("tls: an escaped name is not allowed",
     "nbd://192.0.2.1/?tls%2Dpsk%2Dfile=keys")
URI ("tls: after a socket that is good",
     "nbd+unix:///?socket=s&tls-certificates=dir")
LOCAL ("tls: certificates", "nbd://192.0.2.1/?tls-certificates=a%20dir")
LOCAL ("tls: a file of keys", "nbd+unix:///?socket=s&tls-psk-file=keys")
LOCAL ("tls: both", "nbd://192.0.2.1/?tls-certificates=d&tls-psk-file=k")
URI ("tls: the peer is not verified",
     "nbd://192.0.2.1/?tls-verify-peer=false")
URI ("tls: the peer is verified", "nbd://192.0.2.1/?tls-verify-peer=1")
URI ("tls: neither yes nor no", "nbd://192.0.2.1/?tls-verify-peer=perhaps")
URI ("tls: neither", "nbd://192.0.2.1/?tls-verify-peer=")

URI ("tls: a host name", "nbd://192.0.2.1/?tls-hostname=example.com")
URI ("tls: priorities are not allowed",
     "nbd://192.0.2.1/?tls-priority=NORMAL")
URI ("tls: an unknown key of it", "nbd://192.0.2.1/?tls-magic=1")
URI ("tls: keys of ssh are none", "nbd://192.0.2.1/?nbd-port=x&compress=y")

/* Schemes that ask for it. */
URI ("nbds: TCP", "nbds://192.0.2.1/")
URI ("nbds: a Unix socket", "nbds+unix:///?socket=s")
URI ("nbds: vsock", "nbds+vsock:///")
URI ("nbds: no socket", "nbds+unix:///")
LOCAL ("nbds: certificates", "nbds://192.0.2.1/?tls-certificates=dir")

/* Other ways to pass one. */

SCENARIO (uri_null, "uri/NULL")
{
  create ();
  CALL (nbd_connect_uri (h, NULL));
  CALL (nbd_aio_connect_uri (h, NULL));
  status ();
}

static void
try_aio_uri (const char *uri)
{
  DIVERT (SERVING);
  say ("\"%s\"", uri);
  CALL (nbd_aio_connect_uri (h, uri));
  if (nbd_aio_is_created (h))
    return;
  CALL (nbd_get_uri (h));
  await_connection ();
  CALL (nbd_get_uri (h));
}

#define AIO(text, uri) CASE ("asynchronously: " text, try_aio_uri, uri)

AIO ("TCP", "nbd://192.0.2.1/disk")
AIO ("Unix", "nbd+unix:///disk?socket=s")
AIO ("vsock", "nbd+vsock://3/disk")
AIO ("no scheme", "192.0.2.1")
AIO ("no socket", "nbd+unix:///")
AIO ("a bad escape", "nbd://192.0.2.1/%zz")
AIO ("a file of keys is not allowed", "nbd://192.0.2.1/?tls-psk-file=keys")
AIO ("a host that is none", "nbd://300.300.300.300./")

SCENARIO (opt_mode, "uri/in opt mode")
{
  DIVERT (SERVING);
  nbd_set_opt_mode (h, true);
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/disk"));
  CALL (nbd_get_uri (h));
  CALL (nbd_set_export_name (h, "other disk"));
  CALL (nbd_get_uri (h));
  CALL (nbd_opt_go (h));
}

SCENARIO (real_tcp, "uri/a real server over TCP")
{
  LISTEN_TCP (SIMPLE, SERVE);
  snprintf (buf, sizeof buf, "nbd://127.0.0.1:%s", port);
  CALL (nbd_connect_uri (h, buf));
  CALL (nbd_get_uri (h));
  CALL (nbd_flush (h, 0));
  CALL (nbd_shutdown (h, 0));
  CALL (nbd_get_uri (h));
}

SCENARIO (real_unix, "uri/a real server over a Unix socket")
{
  LISTEN_UNIX ("a sock", SIMPLE, SERVE);
  CALL (nbd_connect_uri (h, "nbd+unix:///?socket=a%20sock"));
  CALL (nbd_get_uri (h));
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (tcp_refused, "uri/refused: TCP")
{
  unused_port ();
  create ();
  snprintf (buf, sizeof buf, "nbd://127.0.0.1:%s/disk", port);
  CALL (nbd_connect_uri (h, buf));
  status ();
  CALL (nbd_get_uri (h));
}

SCENARIO (unix_refused, "uri/refused: Unix")
{
  create ();
  CALL (nbd_connect_uri (h, "nbd+unix:///disk?socket=nowhere"));
  status ();
  CALL (nbd_get_uri (h));
}

SCENARIO (vsock_refused, "uri/refused: vsock")
{
  divert_to_error (ENODEV);
  CALL (nbd_connect_uri (h, "nbd+vsock://3/disk"));
  status ();
  CALL (nbd_get_uri (h));
}

SCENARIO (good_after_bad, "uri/a good one after bad ones")
{
  DIVERT (SERVING);
  CALL (nbd_connect_uri (h, "nonsense"));
  CALL (nbd_connect_uri (h, "nbd+unix:///"));
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/?tls-psk-file=keys"));
  status ();
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/disk"));
}

SCENARIO (name_stays, "uri/a URI that is refused changes no export name")
{
  DIVERT (SERVING);
  nbd_set_export_name (h, "mine");
  CALL (nbd_connect_uri (h, "nbd:disk"));
  CALL (nbd_get_export_name (h));
  CALL (nbd_connect_uri (h, "http://192.0.2.1/disk"));
  CALL (nbd_get_export_name (h));
  CALL (nbd_connect_uri (h, "nbd+unix:///disk"));
  CALL (nbd_get_export_name (h));
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/disk?tls-psk-file=x"));
  CALL (nbd_get_export_name (h));
}

SCENARIO (name_after_refusal,
          "uri/a host that refuses, and the export name after it")
{
  divert_to_error (ECONNREFUSED);
  nbd_set_export_name (h, "mine");
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/disk"));
  status ();
  CALL (nbd_get_export_name (h));
}

SCENARIO (user_after_refusal, "uri/a user name does not outlive a refusal")
{
  divert_to_error (ECONNREFUSED);
  CALL (nbd_connect_uri (h, "nbd://alice@192.0.2.1/disk"));
  DIVERT (SERVING);
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/disk"));
  CALL (nbd_get_uri (h));
}

SCENARIO (supported, "uri/they are supported")
{
  create ();
  CALL (nbd_supports_uri (h));
}

/* What is permitted. */

static void
try_transports (uint32_t mask)
{
  static const char *const uris[] = {
    "nbd://192.0.2.1/", "nbd+unix:///?socket=s", "nbd+vsock://3/",
  };

  for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
    DIVERT (SERVING);
    CALL (nbd_set_uri_allow_transports (h, mask));
    say ("\"%s\"", uris[i]);
    CALL (nbd_connect_uri (h, uris[i]));
    finish ();
  }
}

#define TRANSPORTS(id, text, mask)                              \
  SCENARIO (id, "allow/transports: " text)                      \
  {                                                             \
    try_transports (mask);                                      \
  }

TRANSPORTS (allow_none, "none", 0)
TRANSPORTS (allow_tcp, "TCP", LIBNBD_ALLOW_TRANSPORT_TCP)
TRANSPORTS (allow_unix, "Unix", LIBNBD_ALLOW_TRANSPORT_UNIX)
TRANSPORTS (allow_vsock, "vsock", LIBNBD_ALLOW_TRANSPORT_VSOCK)
TRANSPORTS (allow_tcp_unix, "TCP and Unix",
            LIBNBD_ALLOW_TRANSPORT_TCP | LIBNBD_ALLOW_TRANSPORT_UNIX)
TRANSPORTS (allow_all, "all", 7)

SCENARIO (transport_values, "allow/transports: every bit")
{
  create ();
  for (int bit = 0; bit < 32; bit++)
    if (bit != 3) {
      say ("bit %d", bit);
      call_end_int (nbd_set_uri_allow_transports (h, UINT32_C (1) << bit));
    }
  CALL (nbd_set_uri_allow_transports (h, 0x17));
  CALL (nbd_set_uri_allow_transports (h, UINT32_MAX));
}

SCENARIO (newer_transports, "allow/transports: a bit after 1.14")
{
  create ();
  CALL (nbd_set_uri_allow_transports (h, LIBNBD_ALLOW_TRANSPORT_SSH));
}

SCENARIO (transports_kept, "allow/transports: a mask that is refused")
{
  DIVERT (SERVING);
  CALL (nbd_set_uri_allow_transports (h, LIBNBD_ALLOW_TRANSPORT_UNIX));
  CALL (nbd_set_uri_allow_transports (h, 0x40));
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/"));
  CALL (nbd_set_uri_allow_transports (h, LIBNBD_ALLOW_TRANSPORT_TCP));
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/"));
}

SCENARIO (transports_only_uri, "allow/transports: not for other calls")
{
  DIVERT (SERVING);
  CALL (nbd_set_uri_allow_transports (h, 0));
  CALL (nbd_connect_unix (h, "s"));
}

SCENARIO (transports_aio, "allow/transports: asynchronously")
{
  DIVERT (SERVING);
  CALL (nbd_set_uri_allow_transports (h, 0));
  CALL (nbd_aio_connect_uri (h, "nbd://192.0.2.1/"));
  CALL (nbd_aio_connect_uri (h, "nbd+unix:///?socket=s"));
  CALL (nbd_aio_connect_uri (h, "nbd+vsock://3/"));
  status ();
}

/* Which of several mistakes speaks. */
SCENARIO (transports_first, "allow/transports: and other mistakes")
{
  DIVERT (SERVING);
  CALL (nbd_set_uri_allow_transports (h, 0));
  CALL (nbd_connect_uri (h, "nbd:"));
  CALL (nbd_connect_uri (h, "http://192.0.2.1/"));
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/%zz"));
}

SCENARIO (transports_and_keys, "allow/transports: and keys")
{
  DIVERT (SERVING);
  CALL (nbd_set_uri_allow_transports (h, 0));
  CALL (nbd_connect_uri (h, "nbd+unix:///"));
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/?tls-psk-file=x"));
}

/* Without TLS in the scheme. */
static void
try_allow_tls (int tls)
{
  static const char *const uris[] = {
    "nbd://192.0.2.1/", "nbd+unix:///?socket=s", "nbd+vsock://3/",
  };

  for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
    DIVERT (SERVING);
    CALL (nbd_set_uri_allow_tls (h, tls));
    say ("\"%s\"", uris[i]);
    CALL (nbd_connect_uri (h, uris[i]));
    finish ();
  }
}

SCENARIO (tls_disabled, "allow/tls: must not be")
{
  try_allow_tls (LIBNBD_TLS_DISABLE);
}

SCENARIO (tls_allowed, "allow/tls: may be")
{
  try_allow_tls (LIBNBD_TLS_ALLOW);
}

SCENARIO (tls_required, "allow/tls: must be")
{
  try_allow_tls (LIBNBD_TLS_REQUIRE);
}

SCENARIO (tls_values, "allow/tls: unknown values")
{
  create ();
  CALL (nbd_set_uri_allow_tls (h, 3));
  CALL (nbd_set_uri_allow_tls (h, 42));
  CALL (nbd_set_uri_allow_tls (h, -1));
  CALL (nbd_set_uri_allow_tls (h, INT32_MIN));
}

SCENARIO (nbds_disabled, "allow/tls: nbds must not be")
{
  static const char *const uris[] = {
    "nbds://192.0.2.1/", "nbds+unix:///?socket=s", "nbds+vsock://3/",
  };

  DIVERT (SERVING);
  CALL (nbd_set_uri_allow_tls (h, LIBNBD_TLS_DISABLE));
  for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++)
    CALL (nbd_connect_uri (h, uris[i]));
  status ();
}

SCENARIO (local_file_again, "allow/local files: on and off")
{
  DIVERT (SERVING);
  CALL (nbd_set_uri_allow_local_file (h, true));
  CALL (nbd_set_uri_allow_local_file (h, false));
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/?tls-certificates=dir"));
  CALL (nbd_set_uri_allow_local_file (h, true));
  CALL (nbd_connect_uri (h, "nbd://192.0.2.1/?tls-certificates=dir"));
}

SCENARIO (local_file_socket, "allow/local files: a socket is none")
{
  DIVERT (SERVING);
  CALL (nbd_set_uri_allow_local_file (h, false));
  CALL (nbd_connect_uri (h, "nbd+unix:///?socket=/run/s"));
}

/* URIs of connections that were made without one. */

static void
try_unix_path (const char *path)
{
  DIVERT (SERVING);
  say ("\"%s\"", path);
  CALL (nbd_connect_unix (h, path));
  CALL (nbd_get_uri (h));
  lead_back (nbd_get_uri (h));
}

#define UNIX(text, path) \
  CASE ("of a Unix socket: " text, try_unix_path, path)

UNIX ("relative", "sock")
UNIX ("absolute", "/run/user/1000/sock")
UNIX ("a space", "two words")
UNIX ("percent", "100% of %41")
UNIX ("UTF-8", "caf\303\251")
UNIX ("not UTF-8", "\377\376")
UNIX ("reserved characters", "a?b#c&d=e;f+g")
UNIX ("colons and at signs", "a:b@c")
UNIX ("unreserved characters", "-._~")
UNIX ("quotation marks", "a\"b'c")
UNIX ("other characters", "!$()*,[]<>{}|^`\\")
UNIX ("a newline", "a\nb")
UNIX ("dots and slashes", "../a//./b/")

SCENARIO (unix_empty, "uri/of a Unix socket: empty")
{
  create ();
  CALL (nbd_connect_unix (h, ""));
  CALL (nbd_get_uri (h));
}

SCENARIO (unix_at, "uri/of a Unix socket: an at sign before it")
{
  create ();
  CALL (nbd_connect_unix (h, "@no-such-name"));
  CALL (nbd_get_uri (h));
}

static void
try_tcp_host (const char *host)
{
  DIVERT (SERVING);
  say ("\"%s\"", host);
  CALL (nbd_connect_tcp (h, host, "1234"));
  CALL (nbd_get_uri (h));
  lead_back (nbd_get_uri (h));
}

#define TCP(text, host) CASE ("of a host: " text, try_tcp_host, host)

TCP ("a name", "localhost")
TCP ("a name in capitals", "LOCALHOST")
TCP ("IPv4", "192.0.2.1")
TCP ("IPv4 in one number", "3221225985")
TCP ("IPv6", "2001:db8::1")
TCP ("IPv6, the shortest", "::")
TCP ("IPv6 with IPv4 in it", "::ffff:192.0.2.1")
TCP ("IPv6 with a zone", "fe80::1%lo")

SCENARIO (tcp_default, "uri/of a host: the default port")
{
  DIVERT (SERVING);
  CALL (nbd_connect_tcp (h, "192.0.2.1", "10809"));
  CALL (nbd_get_uri (h));
}

SCENARIO (tcp_zeroes, "uri/of a host: a port with zeroes before it")
{
  DIVERT (SERVING);
  CALL (nbd_connect_tcp (h, "192.0.2.1", "0001234"));
  CALL (nbd_get_uri (h));
}

SCENARIO (tcp_service, "uri/of a host: the name of a service")
{
  DIVERT (SERVING);
  CALL (nbd_connect_tcp (h, "192.0.2.1", "http"));
  CALL (nbd_get_uri (h));
}

/* Of exports. */
static void
try_export (const char *name)
{
  DIVERT (SERVING);
  CALL (nbd_set_export_name (h, name));
  say ("\"%s\"", name);
  CALL (nbd_connect_tcp (h, "192.0.2.1", "1234"));
  CALL (nbd_get_uri (h));
  lead_back (nbd_get_uri (h));
}

#define EXPORT(text, name) CASE ("of an export: " text, try_export, name)

EXPORT ("empty", "")
EXPORT ("a word", "disk")
EXPORT ("a slash", "/")
EXPORT ("a slash before it", "/disk")
EXPORT ("slashes", "a/b//c/")
EXPORT ("dots", "../a/./b")
EXPORT ("a space", "two words")
EXPORT ("percent", "100% of %41")
EXPORT ("UTF-8", "caf\303\251")
EXPORT ("not UTF-8", "\377\376")
EXPORT ("reserved characters", "a?b#c&d=e;f+g")
EXPORT ("colons and at signs", "a:b@c")
EXPORT ("unreserved characters", "-._~")
EXPORT ("quotation marks", "a\"b'c")
EXPORT ("other characters", "!$()*,[]<>{}|^`\\")
EXPORT ("a newline", "a\nb")
EXPORT ("only a percent", "%")
EXPORT ("dots alone", "..")
EXPORT ("like a URI", "nbd://host:1/x?y=z#t")

SCENARIO (export_of_unix, "uri/of an export: through a Unix socket")
{
  DIVERT (SERVING);
  nbd_set_export_name (h, "/a b");
  CALL (nbd_connect_unix (h, "/run/a b"));
  CALL (nbd_get_uri (h));
  lead_back (nbd_get_uri (h));
}

SCENARIO (export_of_vsock, "uri/of an export: through vsock")
{
  DIVERT (SERVING);
  nbd_set_export_name (h, "/a b");
  CALL (nbd_connect_vsock (h, 3, 5));
  CALL (nbd_get_uri (h));
  lead_back (nbd_get_uri (h));
}

/* Of addresses. */

static void
try_address (const void *addr, socklen_t len)
{
  DIVERT (SERVING);
  CALL (nbd_aio_connect (h, addr, len));
  CALL (nbd_get_uri (h));
  await_connection ();
  lead_back (nbd_get_uri (h));
}

SCENARIO (of_ipv4, "uri/of an address: IPv4")
{
  struct sockaddr_in addr = { .sin_family = AF_INET,
                              .sin_port = htons (1234),
                              .sin_addr.s_addr = htonl (0xc0000201) };

  try_address (&addr, sizeof addr);
}

SCENARIO (of_ipv6, "uri/of an address: IPv6")
{
  struct sockaddr_in6 addr = { .sin6_family = AF_INET6,
                               .sin6_port = htons (1234) };

  inet_pton (AF_INET6, "2001:db8::1", &addr.sin6_addr);
  try_address (&addr, sizeof addr);
}

SCENARIO (of_unix, "uri/of an address: Unix")
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX,
                              .sun_path = "/run/a b" };

  try_address (&addr, sizeof addr);
}

SCENARIO (of_abstract, "uri/of an address: an abstract name")
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "\0name" };

  try_address (&addr, offsetof (struct sockaddr_un, sun_path) + 5);
}

/* Of others, and at other times. */

SCENARIO (of_socket, "uri/of a socket of the caller's")
{
  PLAY (SIMPLE, SERVE);
  CALL (nbd_get_uri (h));
}

SCENARIO (of_nothing, "uri/of a handle that is not connected")
{
  create ();
  CALL (nbd_get_uri (h));
}

SCENARIO (of_failure, "uri/of a connection that failed")
{
  create ();
  CALL (nbd_connect_unix (h, "nowhere"));
  CALL (nbd_get_uri (h));
}

SCENARIO (of_earlier, "uri/of an attempt before this connection")
{
  divert_to_error (ECONNREFUSED);
  CALL (nbd_connect_tcp (h, "192.0.2.1", "1234"));
  divert_no_more ();
  PLAY (SIMPLE, SERVE);
  CALL (nbd_get_uri (h));
}

SCENARIO (of_later, "uri/of the attempt that succeeded")
{
  divert_to_error (ECONNREFUSED);
  CALL (nbd_connect_tcp (h, "192.0.2.1", "1234"));
  DIVERT (SERVING);
  CALL (nbd_connect_unix (h, "s"));
  CALL (nbd_get_uri (h));
}

SCENARIO (of_ended, "uri/of connections that have ended")
{
  DIVERT (SERVING);
  nbd_connect_tcp (h, "192.0.2.1", "1234");
  CALL (nbd_shutdown (h, 0));
  CALL (nbd_get_uri (h));
  finish ();
  DIVERT (SEND ("x16:00"), WAIT);
  nbd_connect_tcp (h, "192.0.2.1", "1234");
  status ();
  CALL (nbd_get_uri (h));
}
