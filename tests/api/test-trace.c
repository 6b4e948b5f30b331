/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The debug trace: when it is on, where it goes, and its exact lines. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "calls.h"
#include "peer.h"
#include "tap.h"

/* What a callback was given: the lines about entering and leaving calls. */
struct log {
  char text[16384];
  unsigned lines;               /* of any kind */
  unsigned freed;
};

static bool
is_about_call (const char *msg)
{
  return strncmp (msg, "enter:", 6) == 0 || strncmp (msg, "leave", 5) == 0;
}

static int
log_cb (void *vp, const char *context, const char *msg)
{
  struct log *log = vp;
  size_t n = strlen (log->text);

  log->lines++;
  if (is_about_call (msg))
    snprintf (log->text + n, sizeof log->text - n, "%s: %s\n", context, msg);
  return -1;                    /* ignored */
}

static void
log_free (void *vp)
{
  struct log *log = vp;

  log->freed++;
}

static nbd_debug_callback
into (struct log *log)
{
  return (nbd_debug_callback) { log_cb, log, log_free };
}

static struct log the_log;

/* Trace the handle, from now on. */
static void
trace (struct nbd_handle *h)
{
  nbd_set_debug_callback (h, into (&the_log));
  nbd_set_debug (h, true);
  the_log.text[0] = '\0';
}

/* The lines since then. */
static void
traced (const char *want, const char *name)
{
  is_str (the_log.text, want, "%s", name);
  the_log.text[0] = '\0';
}

/* The lines since then, of which only the beginning is known. */
static void
traced_start (const char *want, const char *name)
{
  bool good = strncmp (the_log.text, want, strlen (want)) == 0;

  if (!ok (good, "%s", name))
    note ("got: %s", the_log.text);
  the_log.text[0] = '\0';
}

/* What stderr got while RUN ran; to be freed. */
static char *
capture (void (*run) (void))
{
  char *path = temp_path ("stderr"), *text = calloc (1, 65536);
  FILE *fp = fopen (path, "w+");
  int saved;

  if (fp == NULL || text == NULL)
    abort ();
  fflush (stderr);
  saved = dup (STDERR_FILENO);
  dup2 (fileno (fp), STDERR_FILENO);
  run ();
  fflush (stderr);
  dup2 (saved, STDERR_FILENO);
  close (saved);
  rewind (fp);
  if (fread (text, 1, 65535, fp) == 0 && ferror (fp))
    abort ();
  fclose (fp);
  free (path);
  return text;
}

/* Without the lines about the states of the engine. */
static void
remove_state_lines (char *text)
{
  char *line, *next;

  for (line = text; *line; line = next) {
    char *state = strstr (line, ": state: ");

    next = strchr (line, '\n') + 1;
    if (state && state < next) {
      memmove (line, next, strlen (next) + 1);
      next = line;
    }
  }
}

static void
test_environment (void)
{
  static const char *const values[] = {
    "0", "", "yes", "true", "01", "1 ", " 1", "11", "2", NULL,
  };

  for (size_t i = 0; i < COUNT (values); i++) {
    struct nbd_handle *h;

    if (values[i])
      setenv ("LIBNBD_DEBUG", values[i], 1);
    else
      unsetenv ("LIBNBD_DEBUG");
    h = nbd_create ();
    ok (nbd_get_debug (h) == 0, "LIBNBD_DEBUG%s%s%s does not switch tracing "
        "on", values[i] ? "=\"" : " not set", values[i] ? values[i] : "",
        values[i] ? "\"" : "");
    nbd_close (h);
  }
}

static int first_number, debug_on;

static void
use_environment (void)
{
  struct nbd_handle *h;
  char *name;

  setenv ("LIBNBD_DEBUG", "1", 1);
  h = nbd_create ();
  unsetenv ("LIBNBD_DEBUG");
  name = nbd_get_handle_name (h);
  first_number = atoi (name + 3);
  free (name);
  nbd_set_handle_name (h, "my handle");
  debug_on = nbd_get_debug (h);
  nbd_close (h);
}

static void
test_stderr (void)
{
  char *got = capture (use_environment), want[1024];

  remove_state_lines (got);
  snprintf (want, sizeof want,
            "libnbd: debug: nbd%d: nbd_create: opening handle\n"
            "libnbd: debug: nbd%d: nbd_get_handle_name: enter:\n"
            "libnbd: debug: nbd%d: nbd_get_handle_name: leave: "
            "ret=\"nbd%d\"\n"
            "libnbd: debug: nbd%d: nbd_set_handle_name: enter: "
            "handle_name=\"my handle\"\n"
            "libnbd: debug: my handle: nbd_set_handle_name: leave: ret=0\n"
            "libnbd: debug: my handle: nbd_get_debug: enter:\n"
            "libnbd: debug: my handle: nbd_get_debug: leave: ret=1\n"
            "libnbd: debug: my handle: nbd_close: closing handle\n",
            first_number, first_number, first_number, first_number,
            first_number);
  is_str (got, want, "LIBNBD_DEBUG=1 traces to stderr, with the name that the "
          "handle has at the time");
  is_int (debug_on, 1, "nbd_get_debug says so");
  free (got);
}

static void
use_quietly (void)
{
  struct nbd_handle *h = nbd_create ();

  nbd_set_debug_callback (h, into (&the_log));
  nbd_set_export_name (h, "x");
  nbd_pread (h, NULL, 0, 0, 0);
  nbd_clear_debug_callback (h);
  nbd_set_export_name (h, "x");
  nbd_close (h);
}

static void
test_off (void)
{
  char *got;

  memset (&the_log, 0, sizeof the_log);
  got = capture (use_quietly);
  is_str (got, "", "nothing goes to stderr when tracing is off");
  is_int (the_log.lines, 0, "nothing goes to the callback either");
  is_int (the_log.freed, 1, "which is freed once");
  free (got);
}

static void
switch_off (void)
{
  struct nbd_handle *h = nbd_create ();

  nbd_set_debug (h, true);
  nbd_set_debug (h, false);
  nbd_set_export_name (h, "quiet");
  nbd_close (h);
}

static void
test_switch (void)
{
  char *got = capture (switch_off);

  ok (strstr (got, ": nbd_set_debug: leave: ret=0\n") != NULL,
      "the trace begins when it is switched on");
  ok (strstr (got, ": nbd_set_debug: enter: debug=false\n") != NULL,
      "up to the call that switches it off");
  ok (strstr (got, "quiet") == NULL && strstr (got, "nbd_close") == NULL,
      "and ends when it is switched off");
  free (got);
}

/* Parameters and results that need no connection. */
static void
test_created (void)
{
  static const struct sockaddr addr = { .sa_family = 99 };
  struct nbd_handle *h = nbd_create ();
  char text[1024];

  trace (h);
  nbd_get_full_info (h);
  traced ("nbd_get_full_info: enter:\n"
          "nbd_get_full_info: leave: ret=0\n", "a call without parameters");
  nbd_set_full_info (h, true);
  nbd_set_full_info (h, false);
  traced ("nbd_set_full_info: enter: request=true\n"
          "nbd_set_full_info: leave: ret=0\n"
          "nbd_set_full_info: enter: request=false\n"
          "nbd_set_full_info: leave: ret=0\n", "a truth value");
  nbd_poll (h, 0);
  nbd_poll (h, -1);
  traced ("nbd_poll: enter: timeout=0\n"
          "nbd_poll: leave: error=\"nbd_poll: nothing to poll for in state "
          "START: Invalid argument\"\n"
          "nbd_poll: enter: timeout=-1\n"
          "nbd_poll: leave: error=\"nbd_poll: nothing to poll for in state "
          "START: Invalid argument\"\n", "an int, and an error");
  nbd_connect_socket (h, -1);
  traced_start ("nbd_connect_socket: enter: sock=-1\n"
                "nbd_connect_socket: leave: error=\"nbd_connect_socket: ",
                "a descriptor");
  nbd_get_meta_context (h, 7);
  traced ("nbd_get_meta_context: enter: i=7\n"
          "nbd_get_meta_context: leave: error=\"nbd_get_meta_context: meta "
          "context request out of range: Invalid argument\"\n",
          "a size, and an error in place of a string");
  nbd_aio_command_completed (h, UINT64_MAX);
  traced ("nbd_aio_command_completed: enter: cookie=18446744073709551615\n"
          "nbd_aio_command_completed: leave: ret=0\n", "64 bits");
  nbd_set_strict_mode (h, 0x13);
  nbd_get_strict_mode (h);
  nbd_set_strict_mode (h, 0);
  traced ("nbd_set_strict_mode: enter: flags=0x13\n"
          "nbd_set_strict_mode: leave: ret=0\n"
          "nbd_get_strict_mode: enter:\n"
          "nbd_get_strict_mode: leave: ret=19\n"
          "nbd_set_strict_mode: enter: flags=0x0\n"
          "nbd_set_strict_mode: leave: ret=0\n", "flags, and a number");
  nbd_set_export_name (h, "hello");
  free (nbd_get_export_name (h));
  traced ("nbd_set_export_name: enter: export_name=\"hello\"\n"
          "nbd_set_export_name: leave: ret=0\n"
          "nbd_get_export_name: enter:\n"
          "nbd_get_export_name: leave: ret=\"hello\"\n",
          "a string, in both directions");
  nbd_set_export_name (h, NULL);
  traced ("nbd_set_export_name: enter: export_name=NULL\n"
          "nbd_set_export_name: leave: error=\"nbd_set_export_name: "
          "export_name cannot be NULL: Bad address\"\n", "no string");
  nbd_set_export_name (h, "a\nb\tc\x7f \"q\" \\ \xc3\xa9");
  traced ("nbd_set_export_name: enter: "
          "export_name=\"a\\nb\\x09c\\x7f \\\"q\\\" \\\\ \xc3\xa9\"\n"
          "nbd_set_export_name: leave: ret=0\n",
          "a string with characters that cannot be printed");
  nbd_connect_tcp (h, "127.0.0.1", NULL);
  traced ("nbd_connect_tcp: enter: hostname=\"127.0.0.1\" port=NULL\n"
          "nbd_connect_tcp: leave: error=\"nbd_connect_tcp: port cannot be "
          "NULL: Bad address\"\n", "several parameters");
  nbd_aio_connect (h, NULL, 16);
  traced ("nbd_aio_connect: enter: addr=NULL addrlen=16\n"
          "nbd_aio_connect: leave: error=\"nbd_aio_connect: addr cannot be "
          "NULL: Bad address\"\n", "no address");
  nbd_connection_state (h);
  snprintf (text, sizeof text, "nbd_connection_state: enter:\n"
            "nbd_connection_state: leave: ret=%s\n", nbd_connection_state (h));
  the_log.text[0] = '\0';
  nbd_connection_state (h);
  traced (text, "a string that belongs to the library is not quoted");
  nbd_get_protocol (h);
  traced_start ("nbd_get_protocol: enter:\n"
                "nbd_get_protocol: leave: error=\"nbd_get_protocol: ",
                "an error in place of a string that belongs to the library");
  nbd_aio_connect (h, &addr, sizeof addr);
  traced_start ("nbd_aio_connect: enter: addr=<sockaddr> addrlen=16\n"
                "nbd_aio_connect: leave: error=\"", "an address");
  nbd_close (h);
}

/* The same of the ways to connect. */
static void
test_transports (void)
{
  char program[] = "/nonexistent/program", word[] = "two \"words\"";
  char empty[] = "", *argv[] = { program, word, empty, NULL };
  struct nbd_handle *h = nbd_create ();

  trace (h);
  nbd_connect_command (h, argv);
  traced ("nbd_connect_command: enter: argv=[\"/nonexistent/program\", "
          "\"two \\\"words\\\"\", \"\"]\n"
          "nbd_connect_command: leave: error=\"nbd_connect_command: "
          "/nonexistent/program: No such file or directory\"\n",
          "a list of parameters");
  nbd_aio_connect_systemd_socket_activation (h, argv + 3);
  traced ("nbd_aio_connect_systemd_socket_activation: enter: argv=[]\n"
          "nbd_aio_connect_systemd_socket_activation: leave: error=\""
          "nbd_aio_connect_systemd_socket_activation: missing command name in "
          "argv list: Invalid argument\"\n", "an empty list of parameters");
  nbd_connect_command (h, NULL);
  traced ("nbd_connect_command: enter: argv=NULL\n"
          "nbd_connect_command: leave: error=\"nbd_connect_command: argv "
          "cannot be NULL: Bad address\"\n", "no list of parameters");
  nbd_set_uri_allow_transports (h, LIBNBD_ALLOW_TRANSPORT_UNIX |
                                LIBNBD_ALLOW_TRANSPORT_SSH);
  nbd_set_uri_allow_transports (h, 0);
  traced ("nbd_set_uri_allow_transports: enter: mask=0xa\n"
          "nbd_set_uri_allow_transports: leave: ret=0\n"
          "nbd_set_uri_allow_transports: enter: mask=0x0\n"
          "nbd_set_uri_allow_transports: leave: ret=0\n", "a mask");
  nbd_set_uri_allow_tls (h, LIBNBD_TLS_REQUIRE);
  nbd_set_uri_allow_tls (h, -1);
  traced ("nbd_set_uri_allow_tls: enter: tls=2\n"
          "nbd_set_uri_allow_tls: leave: ret=0\n"
          "nbd_set_uri_allow_tls: enter: tls=-1\n"
          "nbd_set_uri_allow_tls: leave: error=\"nbd_set_uri_allow_tls: tls: "
          "invalid value for parameter: -1: Invalid argument\"\n",
          "another enumeration");
  nbd_connect_uri (h, "nbd://h/\ta");
  traced_start ("nbd_connect_uri: enter: uri=\"nbd://h/\\x09a\"\n"
                "nbd_connect_uri: leave: error=\"nbd_connect_uri: ",
                "a URI that is none");
  nbd_is_uri (h, "NBDS://h");
  traced ("nbd_is_uri: enter: uri=\"NBDS://h\"\n"
          "nbd_is_uri: leave: ret=1\n", "a truth value as a result");
  nbd_kill_subprocess (h, -15);
  traced ("nbd_kill_subprocess: enter: signum=-15\n"
          "nbd_kill_subprocess: leave: error=\"nbd_kill_subprocess: no "
          "subprocess exists: No such process\"\n", "a signal");
  nbd_get_subprocess_pid (h);
  traced ("nbd_get_subprocess_pid: enter:\n"
          "nbd_get_subprocess_pid: leave: error=\"nbd_get_subprocess_pid: no "
          "subprocess exists: Invalid argument\"\n", "no process");
  nbd_set_tcp_option (h, -1, 2147483647);
  traced ("nbd_set_tcp_option: enter: option=-1 v=2147483647\n"
          "nbd_set_tcp_option: leave: error=\"nbd_set_tcp_option: unknown TCP "
          "option: -1: Invalid argument\"\n", "two ints");
  nbd_connect_vsock (h, UINT32_MAX, UINT32_MAX);
  traced_start ("nbd_connect_vsock: enter: cid=4294967295 port=4294967295\n"
                "nbd_connect_vsock: leave: error=\"nbd_connect_vsock: ",
                "32 bits");
  nbd_close (h);
}

/* A process, and the URI of a connection. */
static void
test_connections (void)
{
  char program[] = "cat", *argv[] = { program, NULL }, text[256];
  struct nbd_handle *h = nbd_create ();

  trace (h);
  nbd_aio_connect_command (h, argv);
  traced ("nbd_aio_connect_command: enter: argv=[\"cat\"]\n"
          "nbd_aio_connect_command: leave: ret=0\n", "a program");
  snprintf (text, sizeof text, "nbd_get_subprocess_pid: enter:\n"
            "nbd_get_subprocess_pid: leave: ret=%lld\n",
            (long long) nbd_get_subprocess_pid (h));
  traced (text, "a process as a result");
  nbd_close (h);

  h = nbd_create ();
  trace (h);
  nbd_connect_unix (h, "/nonexistent/a socket");
  the_log.text[0] = '\0';
  free (nbd_get_uri (h));
  traced ("nbd_get_uri: enter:\n"
          "nbd_get_uri: leave: ret=\"nbd+unix:///?socket=/nonexistent/"
          "a%20socket\"\n", "a URI as a result");
  nbd_close (h);
}

/* Settings of TLS; none of them is a secret. */
static void
test_tls (void)
{
  struct nbd_handle *h = nbd_create ();
  struct peer *p;

  trace (h);
  nbd_set_tls (h, LIBNBD_TLS_DISABLE);
  nbd_set_tls (h, 42);
  nbd_get_tls (h);
  traced ("nbd_set_tls: enter: tls=0\n"
          "nbd_set_tls: leave: ret=0\n"
          "nbd_set_tls: enter: tls=42\n"
          "nbd_set_tls: leave: error=\"nbd_set_tls: tls: invalid value for "
          "parameter: 42: Invalid argument\"\n"
          "nbd_get_tls: enter:\n"
          "nbd_get_tls: leave: ret=0\n", "the mode of TLS");
  nbd_set_tls_certificates (h, "/pki");
  nbd_set_tls_psk_file (h, "/keys");
  traced ("nbd_set_tls_certificates: enter: dir=\"/pki\"\n"
          "nbd_set_tls_certificates: leave: ret=0\n"
          "nbd_set_tls_psk_file: enter: filename=\"/keys\"\n"
          "nbd_set_tls_psk_file: leave: ret=0\n", "a folder, and a file");
  nbd_set_tls_verify_peer (h, false);
  nbd_get_tls_verify_peer (h);
  traced ("nbd_set_tls_verify_peer: enter: verify=false\n"
          "nbd_set_tls_verify_peer: leave: ret=0\n"
          "nbd_get_tls_verify_peer: enter:\n"
          "nbd_get_tls_verify_peer: leave: ret=0\n",
          "whether to verify");
  nbd_set_tls_username (h, "alice");
  free (nbd_get_tls_username (h));
  traced ("nbd_set_tls_username: enter: username=\"alice\"\n"
          "nbd_set_tls_username: leave: ret=0\n"
          "nbd_get_tls_username: enter:\n"
          "nbd_get_tls_username: leave: ret=\"alice\"\n", "a user name");
  nbd_set_tls_hostname (h, "host");
  free (nbd_get_tls_hostname (h));
  traced ("nbd_set_tls_hostname: enter: hostname=\"host\"\n"
          "nbd_set_tls_hostname: leave: ret=0\n"
          "nbd_get_tls_hostname: enter:\n"
          "nbd_get_tls_hostname: leave: ret=\"host\"\n", "a host name");
  nbd_set_tls_priority (h, "NORMAL");
  free (nbd_get_tls_priority (h));
  traced ("nbd_set_tls_priority: enter: priority=\"NORMAL\"\n"
          "nbd_set_tls_priority: leave: ret=0\n"
          "nbd_get_tls_priority: enter:\n"
          "nbd_get_tls_priority: leave: ret=\"NORMAL\"\n", "a priority");
  nbd_set_uri_allow_tls_priority (h, true);
  traced ("nbd_set_uri_allow_tls_priority: enter: allow=true\n"
          "nbd_set_uri_allow_tls_priority: leave: ret=0\n",
          "whether URIs may set it");
  nbd_get_tls_negotiated (h);
  traced_start ("nbd_get_tls_negotiated: enter:\n"
                "nbd_get_tls_negotiated: leave: error=\"", "what came of it, "
                "too early");
  nbd_supports_tls (h);
  traced ("", "whether there is TLS takes no lock and is not traced");
  nbd_close (h);

  p = peer_in (PHASE_NEGOTIATING);
  trace (p->h);
  nbd_get_tls_negotiated (p->h);
  nbd_opt_starttls (p->h);
  traced_start ("nbd_get_tls_negotiated: enter:\n"
                "nbd_get_tls_negotiated: leave: ret=0\n"
                "nbd_opt_starttls: enter:\n"
                "nbd_opt_starttls: leave: ", "going over to TLS");
  nbd_aio_opt_starttls (p->h, NBD_NULL_COMPLETION);
  traced_start ("nbd_aio_opt_starttls: enter: completion=NULL\n"
                "nbd_aio_opt_starttls: leave: ", "and without waiting");
  peer_free (p);
}

/* Long strings are cut. */
static void
test_long_strings (void)
{
  struct nbd_handle *h = nbd_create ();
  char *name = malloc (514), *want = malloc (2048);

  memset (name, 'x', 513);
  name[513] = '\0';
  trace (h);
  nbd_set_export_name (h, name);
  snprintf (want, 2048, "nbd_set_export_name: enter: export_name=\"%.512s\""
            "...\nnbd_set_export_name: leave: ret=0\n", name);
  traced (want, "a string of more than 512 bytes is cut off");
  name[512] = '\0';
  nbd_set_export_name (h, name);
  snprintf (want, 2048, "nbd_set_export_name: enter: export_name=\"%s\"\n"
            "nbd_set_export_name: leave: ret=0\n", name);
  traced (want, "a string of 512 bytes is whole");
  free (name);
  free (want);
  nbd_close (h);
}

static void
test_negotiating (void)
{
  struct peer *p = peer_in (PHASE_NEGOTIATING);
  char one[] = "a", two[] = "b \"c\"";
  char *queries[] = { one, two, NULL };

  trace (p->h);
  nbd_opt_list_meta_context_queries (p->h, queries, token_context ());
  traced ("nbd_opt_list_meta_context_queries: enter: "
          "queries=[\"a\", \"b \\\"c\\\"\"] context=<fun>\n"
          "nbd_opt_list_meta_context_queries: leave: ret=1\n",
          "a list of strings");
  nbd_opt_list_meta_context_queries (p->h, queries + 2, token_context ());
  traced ("nbd_opt_list_meta_context_queries: enter: queries=[] "
          "context=<fun>\n"
          "nbd_opt_list_meta_context_queries: leave: ret=1\n",
          "an empty list");
  nbd_opt_list_meta_context_queries (p->h, NULL, (nbd_context_callback) { 0 });
  traced ("nbd_opt_list_meta_context_queries: enter: queries=NULL "
          "context=NULL\n"
          "nbd_opt_list_meta_context_queries: leave: error=\""
          "nbd_opt_list_meta_context_queries: queries cannot be NULL: Bad "
          "address\"\n", "no list, and no callback");
  nbd_opt_list (p->h, token_list ());
  traced ("nbd_opt_list: enter: list=<fun>\n"
          "nbd_opt_list: leave: ret=1\n", "a callback for exports");
  nbd_aio_opt_info (p->h, token_completion ());
  traced ("nbd_aio_opt_info: enter: completion=<fun>\n"
          "nbd_aio_opt_info: leave: ret=0\n", "a completion callback");
  peer_free (p);
}

static void
test_connected (void)
{
  struct peer *p = peer_in (PHASE_CONNECTED);
  char context[] = "base:allocation";
  char *contexts[] = { context, NULL };
  char text[256];

  trace (p->h);
  nbd_get_size (p->h);
  nbd_get_block_size (p->h, LIBNBD_SIZE_PAYLOAD);
  nbd_get_block_size (p->h, 42);
  traced ("nbd_get_size: enter:\n"
          "nbd_get_size: leave: ret=1048576\n"
          "nbd_get_block_size: enter: size_type=3\n"
          "nbd_get_block_size: leave: ret=33554432\n"
          "nbd_get_block_size: enter: size_type=42\n"
          "nbd_get_block_size: leave: error=\"nbd_get_block_size: size_type: "
          "invalid value for parameter: 42: Invalid argument\"\n",
          "an enumeration, and 64 bits as a result");
  nbd_pread (p->h, call_buffer, 512, 1024, 0);
  traced ("nbd_pread: enter: buf=<buf> count=512 offset=1024 flags=0x0\n"
          "nbd_pread: leave: ret=0\n", "a buffer to read into");
  nbd_pread (p->h, NULL, 512, 0, 0);
  traced ("nbd_pread: enter: buf=NULL count=512 offset=0 flags=0x0\n"
          "nbd_pread: leave: error=\"nbd_pread: buf cannot be NULL: Bad "
          "address\"\n", "no buffer");
  nbd_pwrite (p->h, call_buffer, 512, 0, LIBNBD_CMD_FLAG_FUA);
  traced ("nbd_pwrite: enter: buf=<buf> count=512 offset=0 flags=0x1\n"
          "nbd_pwrite: leave: ret=0\n", "a buffer to write from");
  nbd_pread_structured (p->h, call_buffer, 512, 0, token_chunk (), 4);
  traced ("nbd_pread_structured: enter: buf=<buf> count=512 offset=0 "
          "chunk=<fun> flags=0x4\n"
          "nbd_pread_structured: leave: ret=0\n", "a callback for chunks");
  nbd_block_status (p->h, 512, 0, token_extent (), 8);
  traced ("nbd_block_status: enter: count=512 offset=0 extent=<fun> "
          "flags=0x8\n"
          "nbd_block_status: leave: ret=0\n", "a callback for extents");
  nbd_block_status_filter (p->h, 512, 0, contexts, token_extent64 (), 0);
  traced ("nbd_block_status_filter: enter: count=512 offset=0 "
          "contexts=[\"base:allocation\"] extent64=<fun> flags=0x0\n"
          "nbd_block_status_filter: leave: ret=0\n",
          "a callback for extents of 64 bits");
  nbd_aio_pread (p->h, call_buffer, 512, 0, NBD_NULL_COMPLETION, 0);
  traced ("nbd_aio_pread: enter: buf=<buf> count=512 offset=0 "
          "completion=NULL flags=0x0\n"
          "nbd_aio_pread: leave: ret=6\n", "no callback, and a cookie");
  peer_settle (p);
  the_log.text[0] = '\0';
  snprintf (text, sizeof text, "nbd_stats_bytes_sent: enter:\n"
            "nbd_stats_bytes_sent: leave: ret=%zu\n", p->server->in.n);
  nbd_stats_bytes_sent (p->h);
  traced (text, "a count");
  nbd_get_nr_meta_contexts (p->h);
  traced ("nbd_get_nr_meta_contexts: enter:\n"
          "nbd_get_nr_meta_contexts: leave: ret=1\n", "a size as a result");
  nbd_add_close_callback (p->h, token_close ());
  traced ("nbd_add_close_callback: enter: close=<fun>\n"
          "nbd_add_close_callback: leave: ret=0\n", "a callback for closing");
  peer_free (p);
}

/* Calls that must not wait for a thread that is inside the handle. */
static bool
takes_no_lock (const char *name)
{
  static const char *const starts[] = {
    "nbd_aio_is_", "nbd_aio_get_direction", "nbd_get_private_data",
    "nbd_set_private_data", "nbd_get_package_name", "nbd_get_version",
    "nbd_supports_",
  };

  for (size_t i = 0; i < COUNT (starts); i++)
    if (strncmp (name, starts[i], strlen (starts[i])) == 0)
      return true;
  return false;
}

/* The first line is about entering CALL, the second and last about leaving. */
static bool
is_traced (const struct call *call)
{
  char start[128];
  const char *second = strchr (the_log.text, '\n');

  snprintf (start, sizeof start, "%s: enter:", call->name);
  if (second == NULL || strncmp (the_log.text, start, strlen (start)) != 0)
    return false;
  second++;
  snprintf (start, sizeof start, "%s: leave", call->name);
  return strncmp (second, start, strlen (start)) == 0 &&
    strchr (second, '\n') == strrchr (the_log.text, '\n');
}

static void
test_every_call (void)
{
  for (size_t i = 0; i < nr_calls; i++) {
    struct peer *p;

    if (takes_no_lock (calls[i].name) || strstr (calls[i].name, "_debug"))
      continue;
    p = peer_in (PHASE_CONNECTED);
    trace (p->h);
    reset_tokens ();
    calls[i].run (p->h);
    ok (is_traced (&calls[i]), "%s is traced once as it is entered and once "
        "as it is left", calls[i].name);
    peer_free (p);
  }
}

static void
test_callbacks (void)
{
  static struct log first, second;
  struct nbd_handle *h = nbd_create ();

  memset (&first, 0, sizeof first);
  nbd_set_debug_callback (h, into (&first));
  nbd_set_debug (h, true);
  first.text[0] = '\0';
  nbd_set_debug_callback (h, into (&second));
  is_int (first.freed, 1, "replacing the callback frees it");
  is_str (first.text, "nbd_set_debug_callback: enter: debug=<fun>\n",
          "that call is entered in the old trace");
  is_str (second.text, "nbd_set_debug_callback: leave: ret=0\n",
          "and left in the new one");
  nbd_set_debug_callback (h, (nbd_debug_callback) { 0 });
  is_int (second.freed, 0, "a callback that is refused replaces nothing");
  second.text[0] = '\0';
  nbd_set_full_info (h, true);
  is_str (second.text, "nbd_set_full_info: enter: request=true\n"
          "nbd_set_full_info: leave: ret=0\n", "the trace goes on");
  nbd_close (h);
  is_int (first.freed, 1, "the first callback was freed once");
  is_int (second.freed, 1, "closing the handle frees the second, once");
}

static struct nbd_handle *cleared;

static void
clear_callback (void)
{
  nbd_clear_debug_callback (cleared);
  nbd_clear_debug_callback (cleared);
}

static void
close_cleared (void)
{
  nbd_set_debug (cleared, false);
  nbd_close (cleared);
}

static void
test_clear (void)
{
  static struct log log;
  char *got;

  cleared = nbd_create ();
  nbd_set_handle_name (cleared, "h");
  nbd_set_debug_callback (cleared, into (&log));
  nbd_set_debug (cleared, true);
  log.text[0] = '\0';
  got = capture (clear_callback);
  is_int (log.freed, 1, "clearing the callback frees it once");
  is_str (log.text, "nbd_clear_debug_callback: enter:\n",
          "it sees how that call is entered");
  is_str (got,
          "libnbd: debug: h: nbd_clear_debug_callback: leave: ret=0\n"
          "libnbd: debug: h: nbd_clear_debug_callback: enter:\n"
          "libnbd: debug: h: nbd_clear_debug_callback: leave: ret=0\n",
          "the rest goes to stderr");
  free (got);
  free (capture (close_cleared));
}

/* The trace changes nothing about what it traces. */
static void
test_no_effect (void)
{
  struct peer *p = peer_in (PHASE_CONNECTED);

  trace (p->h);
  is_int (nbd_pread (p->h, call_buffer, 512, UINT64_MAX, 0), -1,
          "a call that is traced fails as it does without");
  is_int (nbd_get_errno (), EINVAL, "with the same number");
  is_str (nbd_get_error (), "nbd_pread: request out of bounds: Invalid "
          "argument", "and the same text");
  is_int (nbd_pread (p->h, call_buffer, 512, 0, 0), 0,
          "and succeeds as it does without");
  peer_free (p);
}

/* What a server says must not reach a terminal as it is. */

static unsigned shown, control;

static int
look (void *vp, const char *context, const char *msg)
{
  (void) vp;
  (void) context;
  shown += strstr (msg, "?[31mred? nbd1: forged") != NULL;
  for (; *msg; msg++)
    control += (unsigned char) *msg < 32 || *msg == 127;
  return 0;
}

static void
test_words_of_server (void)
{
  static const char words[] = "\x1b[31mred\n nbd1: forged\x7f";
  struct offer offer = everything;
  struct peer *p;
  uint8_t bytes[64], data[1];
  struct writer w = writer_init (bytes, sizeof bytes);
  int64_t cookie;

  offer.replies = STRUCTURED;
  p = peer_mute (&offer);
  nbd_set_debug_callback (p->h, (nbd_debug_callback) { .callback = look });
  nbd_set_debug (p->h, true);
  cookie = nbd_aio_pread (p->h, data, 1, 0, NBD_NULL_COMPLETION, 0);
  write_u32 (&w, NBD_STRUCTURED_REPLY_MAGIC);
  write_u16 (&w, NBD_REPLY_FLAG_DONE);
  write_u16 (&w, NBD_REPLY_TYPE_ERROR);
  write_u64 (&w, cookie);
  write_u32 (&w, 6 + strlen (words));
  write_u32 (&w, NBD_EIO);
  write_u16 (&w, strlen (words));
  write_bytes (&w, words, strlen (words));
  buffer_append (&p->server->out, bytes, w.n);
  peer_settle (p);
  is_int (shown, 1, "the words of an error of the server are shown");
  is_int (control, 0, "their control characters are not");
  peer_free (p);
}

int
main (void)
{
  unsetenv ("LIBNBD_DEBUG");
  tap_begin ();
  test_environment ();
  test_stderr ();
  test_off ();
  test_switch ();
  test_created ();
  test_transports ();
  test_connections ();
  test_tls ();
  test_long_strings ();
  test_negotiating ();
  reset_tokens ();
  test_connected ();
  test_every_call ();
  test_callbacks ();
  test_clear ();
  test_no_effect ();
  test_words_of_server ();
  return tap_end ();
}
