/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Choosing TLS: URIs that ask for it and those that nbd_get_uri makes,
 * nbd_opt_starttls, the name that is sent to the server, the default user, and
 * the order of ciphers.
 */

#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pki.h"
#include "server.h"
#include "tap.h"

#define DISK_SIZE (1 << 20)

static char *disk;

/* URIs. */

static struct nbd_handle *
uri_handle (void)
{
  struct nbd_handle *h = new_handle ();

  MUST (nbd_set_uri_allow_local_file (h, true));
  return h;
}

/* The connection is made with TLS, and its URI is WANT.  That leads back. */
static void
check_uri (const char *uri, const char *want, const char *what)
{
  for (int again = 0; again < 2; again++) {
    struct nbd_handle *h = uri_handle ();
    char *got, buf[512];

    MUST (nbd_set_uri_allow_tls_priority (h, true));
    if (!is_int (nbd_connect_uri (h, again ? want : uri), 0,
                 "%s: %s is connected to", what, again ? "the new URI" :
                 "the URI")) {
      note ("%s", nbd_get_error ());
      nbd_close (h);
      return;
    }
    is_int (nbd_get_tls_negotiated (h), 1, "%s: with TLS", what);
    is_int (nbd_get_tls (h), LIBNBD_TLS_REQUIRE, "%s: which is required",
            what);
    is_int (nbd_pread (h, buf, sizeof buf, 0, 0), 0, "%s: it works", what);
    got = nbd_get_uri (h);
    is_str (got, want, "%s: nbd_get_uri leads there", what);
    free (got);
    disconnect (h);
  }
}

/* One that is not connected to, and leaves the handle as new. */
static void
refuse_uri (struct nbd_handle *h, const char *uri, const char *part,
            const char *what)
{
  int r = nbd_connect_uri (h, uri);

  if (!ok (r == -1 && nbd_get_errno () == EPERM &&
           strstr (nbd_get_error (), part), "%s: EPERM and why", what))
    note ("%d %s", r, nbd_get_error ());
  is_int (nbd_aio_is_created (h), 1, "%s: the handle is as new", what);
  nbd_close (h);
}

/* What a program must have allowed. */
static void
check_uri_permissions (const struct server *s)
{
  struct nbd_handle *h = new_handle ();
  char *uri;

  MUST (asprintf (&uri, "nbds://localhost:%s/?tls-certificates=%s",
                  server_port (s), pki_path ("trust")));
  refuse_uri (h, uri, "nbd_set_uri_allow_local_file", "tls-certificates");
  h = uri_handle ();
  MUST (nbd_set_uri_allow_tls (h, LIBNBD_TLS_DISABLE));
  refuse_uri (h, uri, "TLS", "nbds where TLS is not allowed");
  free (uri);

  h = new_handle ();
  MUST (asprintf (&uri, "nbds://localhost:%s/?tls-psk-file=%s",
                  server_port (s), pki_path ("keys.psk")));
  refuse_uri (h, uri, "nbd_set_uri_allow_local_file", "tls-psk-file");
  free (uri);

  h = uri_handle ();
  MUST (asprintf (&uri, "nbds://localhost:%s/?tls-priority=NORMAL",
                  server_port (s)));
  refuse_uri (h, uri, "nbd_set_uri_allow_tls_priority", "tls-priority");
  free (uri);

  h = uri_handle ();
  MUST (asprintf (&uri, "nbd://localhost:%s/", server_port (s)));
  MUST (nbd_set_uri_allow_tls (h, LIBNBD_TLS_REQUIRE));
  refuse_uri (h, uri, "TLS", "nbd where TLS is required");

  /* Plain nbd leaves it to the handle. */
  h = tls_handle ("trust");
  is_int (nbd_connect_uri (h, uri), 0, "nbd, and a handle that requires TLS");
  is_int (nbd_get_tls_negotiated (h), 1, "has TLS");
  disconnect (h);
  h = uri_handle ();
  is_int (nbd_connect_uri (h, uri), -1, "nbd, and a handle that does not");
  is_int (nbd_get_errno (), ENOTSUP, "fails where the server requires it");
  nbd_close (h);
  free (uri);

  /* A setting of the handle is replaced by one of the URI. */
  h = tls_handle ("nothing");
  MUST (nbd_set_tls_hostname (h, "example.com"));
  MUST (nbd_set_uri_allow_local_file (h, true));
  MUST (asprintf (&uri, "nbds://localhost:%s/?tls-certificates=%s&"
                  "tls-hostname=localhost", server_port (s),
                  pki_path ("trust")));
  is_int (nbd_connect_uri (h, uri), 0, "the URI replaces the settings");
  disconnect (h);
  free (uri);
}

static void
check_uris (void)
{
  struct server *good = pki_start (SERVER_IPV4, "nbdkit", "good", 0, disk);
  struct server *other = pki_start (SERVER_IPV4, "nbdkit", "other", 0, disk);
  struct server *keys = pki_start (SERVER_IPV4, "nbdkit", "good", TLS_KEYS,
                                   disk);
  struct server *s = pki_start (SERVER_UNIX, "nbdkit", "good", TLS_KEYS, disk);
  struct server *x509 = pki_start (SERVER_UNIX, "nbdkit", "other", 0, disk);
  const char *trust = pki_path ("trust"), *psk = pki_path ("keys.psk");
  char *uri, *want;

  MUST (asprintf (&uri, "nbds://localhost:%s?tls-certificates=%s",
                  server_port (good), trust));
  MUST (asprintf (&want, "nbds://localhost:%s/?tls-certificates=%s",
                  server_port (good), trust));
  check_uri (uri, want, "TCP, certificates");
  free (uri);
  free (want);

  MUST (asprintf (&uri, "NBDS://127.0.0.1:%s/?TLS-Certificates=%s&"
                  "tls-hostname=nbd.example.com;tls-verify-peer=on&"
                  "tls-priority=NORMAL:-VERS-ALL:%%2BVERS-TLS1.2",
                  server_port (other), trust));
  MUST (asprintf (&want, "nbds://127.0.0.1:%s/?tls-certificates=%s&"
                  "tls-hostname=nbd.example.com&"
                  "tls-priority=NORMAL:-VERS-ALL:%%2BVERS-TLS1.2",
                  server_port (other), trust));
  check_uri (uri, want, "TCP, a name and a priority");
  free (uri);
  free (want);

  MUST (asprintf (&uri, "nbds://localhost:%s/?tls-verify-peer=NO",
                  server_port (other)));
  MUST (asprintf (&want, "nbds://localhost:%s/?tls-verify-peer=false",
                  server_port (other)));
  check_uri (uri, want, "TCP, not verified");
  free (uri);
  free (want);

  MUST (asprintf (&uri, "nbds://alice@localhost:%s/?tls-psk-file=%s",
                  server_port (keys), psk));
  check_uri (uri, uri, "TCP, a key");
  free (uri);

  MUST (asprintf (&uri, "nbds://nobody@localhost:%s/?tls-psk-file=%s&"
                  "tls-username=alice2", server_port (keys), psk));
  MUST (asprintf (&want, "nbds://alice2@localhost:%s/?tls-psk-file=%s",
                  server_port (keys), psk));
  check_uri (uri, want, "TCP, a user among the keys");
  free (uri);
  free (want);

  MUST (asprintf (&uri, "nbds+unix:///?socket=%s&tls-psk-file=%s&"
                  "tls-username=user%%40host/x%%2B%%2541", server_path (s),
                  psk));
  MUST (asprintf (&want, "nbds+unix://user%%40host%%2Fx+%%2541@/?socket=%s"
                  "&tls-psk-file=%s", server_path (s), psk));
  check_uri (uri, want, "Unix, a user of unusual characters");
  free (uri);
  free (want);

  MUST (asprintf (&uri, "nbds+unix:///?socket=%s&tls-certificates=%s&"
                  "tls-hostname=disk.example.com", server_path (x509), trust));
  check_uri (uri, uri, "Unix, certificates and a name");
  free (uri);

  check_uri_permissions (good);
  server_stop (good);
  server_stop (other);
  server_stop (keys);
  server_stop (s);
  server_stop (x509);
}

/* A connection that was made without a URI has one all the same. */
static void
check_get_uri (void)
{
  struct server *s = pki_start (SERVER_IPV4, "nbdkit", "good",
                                TLS_KEYS | TLS_OPTIONAL, disk);
  struct nbd_handle *h = key_handle ("a b");
  char *uri, *want;

  MUST (nbd_connect_tcp (h, "localhost", server_port (s)));
  uri = nbd_get_uri (h);
  MUST (asprintf (&want, "nbds://a%%20b@localhost:%s/?tls-psk-file=%s",
                  server_port (s), pki_path ("keys.psk")));
  is_str (uri, want, "nbd_get_uri has the settings of the handle");
  free (uri);
  free (want);
  disconnect (h);

  h = key_handle ("alice");
  MUST (nbd_set_tls (h, LIBNBD_TLS_ALLOW));
  MUST (nbd_connect_tcp (h, "localhost", server_port (s)));
  uri = nbd_get_uri (h);
  ok (uri && strncmp (uri, "nbds://alice@", 13) == 0,
      "where TLS was allowed and negotiated it is nbds");
  free (uri);
  disconnect (h);

  h = new_handle ();
  MUST (nbd_connect_tcp (h, "localhost", server_port (s)));
  is_int (nbd_get_tls_negotiated (h), 0, "a server may let clients choose");
  uri = nbd_get_uri (h);
  ok (uri && strncmp (uri, "nbd://localhost:", 16) == 0,
      "without TLS it is nbd");
  free (uri);
  disconnect (h);
  server_stop (s);
}

/* The user when nobody says. */
static void
check_default_user (void)
{
  struct server *s = pki_start (SERVER_UNIX, "nbdkit", "good", TLS_KEYS, disk);
  struct nbd_handle *h = key_handle ("");
  char *before = getenv ("LOGNAME") ? strdup (getenv ("LOGNAME")) : NULL;
  char *user;

  setenv ("LOGNAME", "alice2", 1);
  is_int (server_connect (s, h), 0, "the default user is that of LOGNAME");
  user = nbd_get_tls_username (h);
  is_str (user, "alice2", "nbd_get_tls_username says so");
  free (user);
  disconnect (h);
  setenv ("LOGNAME", "mallory", 1);
  h = key_handle ("");
  is_refused (h, server_connect (s, h), EINVAL,
              PARTS ("mallory", pki_path ("keys.psk")),
              "a LOGNAME without a key");
  nbd_close (h);
  h = key_handle ("alice");
  is_int (server_connect (s, h), 0, "a user that was set wins over LOGNAME");
  disconnect (h);
  if (before)
    setenv ("LOGNAME", before, 1);
  else
    unsetenv ("LOGNAME");
  free (before);
  server_stop (s);
}

/* nbd_opt_starttls. */

static struct nbd_handle *
negotiating (const struct server *s, const char *folder)
{
  struct nbd_handle *h = tls_handle (folder);

  MUST (nbd_set_tls (h, LIBNBD_TLS_DISABLE));
  MUST (nbd_set_opt_mode (h, true));
  MUST (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  must_connect (s, h);
  return h;
}

static int
ignore_context (void *opaque, const char *name)
{
  (void) opaque;
  (void) name;
  return 0;
}

static void
check_starttls (const char *program)
{
  bool optional = strcmp (program, "qemu-nbd") != 0;
  struct server *s = pki_start (SERVER_IPV4, program, "good",
                                optional ? TLS_OPTIONAL : 0, disk);
  struct nbd_handle *h = negotiating (s, "trust");
  nbd_context_callback context = { .callback = ignore_context };
  char buf[512];

  note ("%s", program);
  is_int (nbd_get_tls_negotiated (h), 0, "in opt mode there is no TLS yet");
  if (optional) {
    is_int (nbd_get_structured_replies_negotiated (h), 1,
            "structured replies are negotiated in the clear");
    is_int (nbd_opt_set_meta_context (h, context), 1, "so is a meta context");
    is_int (nbd_opt_info (h), 0, "and the export is asked for");
    is_int (nbd_get_size (h), DISK_SIZE, "its size is known");
    is_int (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION), 1,
            "and the context");
  }
  is_int (nbd_opt_starttls (h), 1, "nbd_opt_starttls: the server agrees");
  is_int (nbd_get_tls_negotiated (h), 1, "TLS is negotiated");
  is_int (nbd_aio_is_negotiating (h), 1, "the handle is negotiating");
  is_int (nbd_get_structured_replies_negotiated (h), 0,
          "structured replies are forgotten");
  is_int (nbd_get_size (h), -1, "so is the size");
  is_int (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION), -1,
          "and the context");
  is_int (nbd_opt_starttls (h), 0, "a second time the server refuses");
  is_int (nbd_get_tls_negotiated (h), 1, "then TLS is negotiated as before");
  is_int (nbd_opt_structured_reply (h), 1,
          "structured replies can be negotiated again");
  is_int (nbd_opt_go (h), 0, "nbd_opt_go leads to the export");
  is_int (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION), 1,
          "with the context");
  is_int (nbd_pread (h, buf, sizeof buf, 0, 0), 0, "it can be read from");
  is_int (nbd_get_tls_negotiated (h), 1, "through TLS");
  disconnect (h);

  /* A certificate that is not accepted. */
  h = negotiating (s, "nothing");
  is_refused (h, nbd_opt_starttls (h), 0,
              PARTS ("nbd_opt_starttls: TLS: ", "issuer is not known"),
              "nbd_opt_starttls, an unknown issuer");
  nbd_close (h);

  /* TLS from the beginning. */
  h = tls_handle ("trust");
  MUST (nbd_set_opt_mode (h, true));
  must_connect (s, h);
  is_int (nbd_get_tls_negotiated (h), 1, "opt mode can begin with TLS");
  is_int (nbd_opt_starttls (h), 0, "then nbd_opt_starttls is refused");
  is_int (nbd_get_tls_negotiated (h), 1, "and does no harm");
  MUST (nbd_opt_abort (h));
  nbd_close (h);
  server_stop (s);
}

static int
note_error (void *opaque, int *error)
{
  *(int *) opaque = *error;
  return 1;
}

static void
check_aio_starttls (void)
{
  struct server *s = pki_start (SERVER_UNIX, "nbdkit", "good", TLS_OPTIONAL,
                                disk);
  struct nbd_handle *h = negotiating (s, "trust");
  int error = -1;
  nbd_completion_callback cb = { .callback = note_error,
                                 .user_data = &error };

  is_int (nbd_aio_opt_starttls (h, cb), 0, "nbd_aio_opt_starttls is issued");
  is_int (error, -1, "it is not complete at once");
  while (nbd_aio_is_connecting (h))
    MUST (nbd_poll (h, -1));
  is_int (error, 0, "it completes without an error");
  is_int (nbd_get_tls_negotiated (h), 1, "and TLS is there");
  MUST (nbd_opt_abort (h));
  nbd_close (h);

  h = negotiating (s, "nothing");
  error = -1;
  MUST (nbd_aio_opt_starttls (h, cb));
  while (nbd_aio_is_connecting (h) && nbd_poll (h, -1) != -1)
    ;
  is_int (error, ENOTCONN, "a handshake that fails completes it");
  is_int (nbd_aio_is_dead (h), 1, "and the handle is dead");
  nbd_close (h);
  server_stop (s);
}

/* A server without TLS refuses, and all is as it was. */
static void
check_no_starttls (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "--tls=off", "file",
                                   disk, NULL);
  struct nbd_handle *h = negotiating (s, "missing");
  char buf[512];

  MUST (nbd_opt_info (h));
  is_int (nbd_opt_starttls (h), 0, "a server without TLS refuses");
  is_int (nbd_get_tls_negotiated (h), 0, "there is no TLS");
  is_int (nbd_get_structured_replies_negotiated (h), 1,
          "what was negotiated stays");
  is_int (nbd_get_size (h), DISK_SIZE, "and what was learnt");
  is_int (nbd_opt_starttls (h), 0, "it refuses again");
  is_int (nbd_opt_go (h), 0, "nbd_opt_go leads to the export");
  is_int (nbd_pread (h, buf, sizeof buf, 0, 0), 0, "it can be read from");
  disconnect (h);
  server_stop (s);
}

/* The name that the server is told, in the first message of TLS. */

/* Let the handle go on until the peer has N bytes to read. */
static void
await_bytes (struct nbd_handle *h, int peer, int n)
{
  int there = 0;

  for (;;) {
    MUST (ioctl (peer, FIONREAD, &there));
    if (there >= n)
      return;
    MUST (nbd_poll (h, 10));
  }
}

/* Be a server up to that message.  The number of times that NAME is in it. */
static unsigned
count_name (struct nbd_handle *h, int peer, const char *name)
{
  static const uint8_t agreed[20] = {
    0x00, 0x03, 0xe8, 0x89, 0x04, 0x55, 0x65, 0xa9,
    0, 0, 0, 5,                 /* NBD_OPT_STARTTLS */
    0, 0, 0, 1,                 /* NBD_REP_ACK */
  };
  uint8_t message[16389];
  const uint8_t *p = message;
  unsigned count = 0;
  size_t n;

  MUST_BE (write (peer, "NBDMAGICIHAVEOPT\0\3", 18) == 18);
  await_bytes (h, peer, 4 + 16);
  MUST_BE (read (peer, message, 20) == 20);
  MUST_BE (message[15] == 5);
  MUST_BE (write (peer, agreed, sizeof agreed) == sizeof agreed);
  await_bytes (h, peer, 5);
  MUST_BE (read (peer, message, 5) == 5);
  MUST_BE (message[0] == 22);
  n = message[3] << 8 | message[4];
  await_bytes (h, peer, n);
  MUST_BE (n <= sizeof message && read (peer, message, n) == (ssize_t) n);
  while ((p = memmem (p, message + n - p, name, strlen (name))) != NULL) {
    count++;
    p++;
  }
  return count;
}

static void
check_server_name (const char *host, const char *hostname, const char *name,
                   unsigned want, const char *what)
{
  struct sockaddr_in addr = {
    .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK),
  };
  socklen_t len = sizeof addr;
  struct nbd_handle *h = tls_handle ("trust");
  int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
  char port[16];

  MUST (bind (listener, (struct sockaddr *) &addr, len));
  MUST (getsockname (listener, (struct sockaddr *) &addr, &len));
  MUST (listen (listener, 1));
  snprintf (port, sizeof port, "%u", ntohs (addr.sin_port));
  if (hostname)
    MUST (nbd_set_tls_hostname (h, hostname));
  MUST (nbd_set_tls_verify_peer (h, false));
  if (host)
    MUST (nbd_aio_connect_tcp (h, host, port));
  else
    MUST (nbd_aio_connect (h, (struct sockaddr *) &addr, len));
  peer = accept (listener, NULL, NULL);
  MUST (peer);
  is_int (count_name (h, peer, name), want, "%s", what);
  nbd_close (h);
  close (peer);
  close (listener);
}

static void
check_server_names (void)
{
  check_server_name ("localhost", NULL, "localhost", 1,
                     "the server is told the name of the connection");
  check_server_name ("localhost", "nbd.example.com", "nbd.example.com", 1,
                     "or the name that was set");
  check_server_name ("localhost", "nbd.example.com", "localhost", 0,
                     "and not the other");
  check_server_name ("localhost", "", "localhost", 1,
                     "an empty name means none");
  check_server_name ("127.0.0.1", NULL, "127.0.0.1", 0,
                     "an address is no name");
  check_server_name (NULL, NULL, "127.0.0.1", 0,
                     "a socket address has none");
  check_server_name (NULL, "nbd.example.com", "nbd.example.com", 1,
                     "but one can be set");
}

/* The order of ciphers. */

static bool
has_aes (void)
{
  FILE *fp = fopen ("/proc/cpuinfo", "re");
  char *line = NULL;
  size_t size = 0;
  bool found = false;

  while (fp && !found && getline (&line, &size, fp) != -1)
    found = strstr (line, " aes") && (strstr (line, " pclmul") ||
                                      strstr (line, "Features"));
  free (line);
  if (fp)
    fclose (fp);
  return found;
}

/* The trace of a connection. */
static void
trace_session (const struct server *s, struct nbd_handle *h,
               struct trace *trace)
{
  trace_start (h, trace);
  must_connect (s, h);
  MUST (nbd_set_debug (h, false));
  disconnect (h);
}

static void
check_ciphers (void)
{
  static const char keys[] = ":-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK";
  struct server *s = pki_start (SERVER_UNIX, "nbdkit", "good", TLS_KEYS, disk);
  struct nbd_handle *h = key_handle ("alice");
  char *priority = nbd_get_tls_priority (h), line[256];
  struct trace trace;
  bool normal = strcmp (priority, "NORMAL") == 0;

  free (priority);
  trace_session (s, h, &trace);
  if (!has_aes ())
    skip_case ("AES comes first", "the processor has no AES");
  else if (!normal)
    skip_case ("AES comes first", "the default priority was configured");
  else if (!ok (trace_has (&trace, "TLS: (TLS1.3)-") &&
                trace_has (&trace, "-(AES-") && trace_has (&trace, "-GCM)"),
                "with a key and a processor that has AES it is AES-GCM"))
    note ("%s", trace.text);
  trace_end (&trace);

  h = key_handle ("alice");
  MUST (nbd_set_tls_priority (h, "NORMAL"));
  snprintf (line, sizeof line, "TLS priority: NORMAL%s\n", keys);
  trace_session (s, h, &trace);
  ok (trace_has (&trace, line), "an order that was set is not changed");
  trace_end (&trace);

  h = key_handle ("alice");
  MUST (nbd_set_tls_priority (h, "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305"));
  trace_session (s, h, &trace);
  ok (trace_has (&trace, "-(CHACHA20-POLY1305)"),
      "a cipher that was set is used");
  trace_end (&trace);
  server_stop (s);

  s = pki_start (SERVER_UNIX, "nbdkit", "good", 0, disk);
  h = tls_handle ("trust");
  MUST (nbd_set_tls_priority (h, "NORMAL:-VERS-ALL:+VERS-TLS1.3"));
  trace_session (s, h, &trace);
  ok (trace_has (&trace, "TLS priority: NORMAL:-VERS-ALL:+VERS-TLS1.3\n"),
      "with certificates a priority is used as it was set");
  ok (trace_has (&trace, "TLS: (TLS1.3)-"), "and the trace has the session");
  trace_end (&trace);
  server_stop (s);
}

static void
check_negotiated (void)
{
  struct server *s = pki_start (SERVER_UNIX, "nbdkit", "good", 0, disk);
  struct nbd_handle *h = tls_handle ("trust");

  is_int (nbd_supports_tls (h), 1, "TLS is supported");
  is_int (nbd_get_tls_negotiated (h), -1,
          "before the connection nobody knows whether TLS is negotiated");
  is_int (nbd_get_errno (), ENOTCONN, "which is ENOTCONN");
  must_connect (s, h);
  is_int (nbd_get_tls_negotiated (h), 1, "then it is");
  MUST (nbd_shutdown (h, 0));
  is_int (nbd_get_tls_negotiated (h), 1, "and in the end it was");
  nbd_close (h);
  server_stop (s);
}

int
main (void)
{
  struct nbd_handle *h;

  server_require ("nbdkit", "--version", NULL);
  pki_begin ();
  disk = pki_disk ("disk", DISK_SIZE, NULL);
  check_negotiated ();
  h = new_handle ();
  if (nbd_supports_uri (h)) {
    check_uris ();
    check_get_uri ();
  }
  else
    skip_case ("URIs", "the library was built without libxml2");
  nbd_close (h);
  check_default_user ();
  check_starttls ("nbdkit");
  if (run_command (NULL, "qemu-nbd", "--version", NULL))
    check_starttls ("qemu-nbd");
  else
    skip_case ("qemu-nbd", "it is not installed");
  check_aio_starttls ();
  check_no_starttls ();
  check_server_names ();
  check_ciphers ();
  free (disk);
  return tap_end ();
}
