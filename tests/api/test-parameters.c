/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Parameters that the library refuses before it does anything: no handle,
 * NULL, unknown values and unknown flags.
 */

#include "config.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "calls.h"
#include "peer.h"
#include "tap.h"

static bool
error_is (int errnum, const char *text)
{
  if (nbd_get_errno () == errnum && nbd_get_error () &&
      strcmp (nbd_get_error (), text) == 0)
    return true;
  note ("got:  %d %s", nbd_get_errno (), nbd_get_error ());
  note ("want: %d %s", errnum, text);
  return false;
}

static void
test_no_handle (const struct call *call)
{
  char want[128];
  int64_t ret;

  snprintf (want, sizeof want, "%s: h cannot be NULL: Bad address",
            call->name);
  reset_tokens ();
  nbd_get_block_size (NULL, 0);         /* an error to be replaced */
  ret = call->run (NULL);
  ok (ret == failure_value (call->failure) && error_is (EFAULT, want) &&
      tokens_freed_once (0), "%s without a handle fails with EFAULT",
      call->name);
}

/* RET is what FUNCTION returned when PARAMETER was NULL. */
static void
refused (int64_t ret, const char *function, const char *parameter)
{
  char want[128];

  snprintf (want, sizeof want, "%s: %s cannot be NULL: Bad address", function,
            parameter);
  ok (ret == -1 && error_is (EFAULT, want) && tokens_freed_once (0),
      "%s refuses that %s is NULL", function, parameter);
  reset_tokens ();
}

static void
test_null_created (void)
{
  struct peer *p = peer_in (PHASE_CREATED);
  struct nbd_handle *h = p->h;
  struct sockaddr family = { .sa_family = AF_UNIX };

  reset_tokens ();
  refused (nbd_set_handle_name (h, NULL), "nbd_set_handle_name",
           "handle_name");
  refused (nbd_set_export_name (h, NULL), "nbd_set_export_name",
           "export_name");
  refused (nbd_add_meta_context (h, NULL), "nbd_add_meta_context", "name");
  refused (nbd_connect_unix (h, NULL), "nbd_connect_unix", "unixsocket");
  refused (nbd_aio_connect_unix (h, NULL), "nbd_aio_connect_unix",
           "unixsocket");
  refused (nbd_connect_tcp (h, NULL, NULL), "nbd_connect_tcp", "hostname");
  refused (nbd_connect_tcp (h, "localhost", NULL), "nbd_connect_tcp", "port");
  refused (nbd_aio_connect_tcp (h, NULL, NULL), "nbd_aio_connect_tcp",
           "hostname");
  refused (nbd_aio_connect_tcp (h, "localhost", NULL), "nbd_aio_connect_tcp",
           "port");
  refused (nbd_aio_connect (h, NULL, 16), "nbd_aio_connect", "addr");
  ok (nbd_aio_connect (h, &family, 1) == -1 && nbd_get_errno () == EINVAL,
      "nbd_aio_connect refuses an address that ends within its family");
  refused (nbd_connect_uri (h, NULL), "nbd_connect_uri", "uri");
  refused (nbd_aio_connect_uri (h, NULL), "nbd_aio_connect_uri", "uri");
  refused (nbd_is_uri (h, NULL), "nbd_is_uri", "uri");
  refused (nbd_connect_command (h, NULL), "nbd_connect_command", "argv");
  refused (nbd_aio_connect_command (h, NULL), "nbd_aio_connect_command",
           "argv");
  refused (nbd_connect_systemd_socket_activation (h, NULL),
           "nbd_connect_systemd_socket_activation", "argv");
  refused (nbd_aio_connect_systemd_socket_activation (h, NULL),
           "nbd_aio_connect_systemd_socket_activation", "argv");
  refused (nbd_set_socket_activation_name (h, NULL),
           "nbd_set_socket_activation_name", "socket_name");
  refused (nbd_set_tls_certificates (h, NULL), "nbd_set_tls_certificates",
           "dir");
  refused (nbd_set_tls_username (h, NULL), "nbd_set_tls_username",
           "username");
  refused (nbd_set_tls_hostname (h, NULL), "nbd_set_tls_hostname",
           "hostname");
  refused (nbd_set_tls_psk_file (h, NULL), "nbd_set_tls_psk_file",
           "filename");
  refused (nbd_set_tls_priority (h, NULL), "nbd_set_tls_priority",
           "priority");
  refused (nbd_set_debug_callback (h, (nbd_debug_callback) { 0 }),
           "nbd_set_debug_callback", "debug");
  refused (nbd_add_close_callback (h, (nbd_close_callback) { 0 }),
           "nbd_add_close_callback", "close");
  is_int (nbd_aio_is_created (h), 1, "the handle is still newly created");
  peer_free (p);
}

/* A list of parameters begins with a program. */
static void
test_empty_argv (void)
{
  static const struct {
    const char *name;
    int (*run) (struct nbd_handle *h, char **argv);
  } all[] = {
    { "nbd_connect_command", nbd_connect_command },
    { "nbd_aio_connect_command", nbd_aio_connect_command },
    { "nbd_connect_systemd_socket_activation",
      nbd_connect_systemd_socket_activation },
    { "nbd_aio_connect_systemd_socket_activation",
      nbd_aio_connect_systemd_socket_activation },
  };
  char *argv[] = { NULL };

  for (size_t i = 0; i < COUNT (all); i++) {
    struct nbd_handle *h = nbd_create ();
    char want[128];

    snprintf (want, sizeof want, "%s: missing command name in argv list: "
              "Invalid argument", all[i].name);
    ok (all[i].run (h, argv) == -1 && error_is (EINVAL, want),
        "%s refuses an empty list", all[i].name);
    ok (nbd_aio_is_created (h) == 1 && nbd_get_subprocess_pid (h) == -1 &&
        nbd_kill_subprocess (h, 0) == -1 && nbd_get_errno () == ESRCH,
        "%s starts nothing then", all[i].name);
    nbd_close (h);
  }
}

/* Names for a socket that is passed on. */
static void
test_activation_names (void)
{
  static const char longest[] = "0123456789abcdefghijklmnopqrsABC";
  static const char too_long[] = "0123456789abcdefghijklmnopqrsABCD";
  static const char *const bad[] = {
    "a-b", "a_b", "a b", " ", "a:b", "a=b", "caf\303\251", "a\n", "/", ".",
  };
  struct nbd_handle *h = nbd_create ();
  char want[128], *name;

  is_int (nbd_set_socket_activation_name (h, longest), 0,
          "32 letters and digits name a socket");
  ok (nbd_set_socket_activation_name (h, too_long) == -1 &&
      error_is (ENAMETOOLONG, "nbd_set_socket_activation_name: socket "
                "activation name is longer than 32: File name too long"),
      "33 do not");
  for (size_t i = 0; i < COUNT (bad); i++) {
    snprintf (want, sizeof want, "nbd_set_socket_activation_name: socket "
              "activation name may hold letters and digits only: %s: Invalid "
              "argument", bad[i]);
    ok (nbd_set_socket_activation_name (h, bad[i]) == -1 &&
        error_is (EINVAL, want), "\"%s\" does not", bad[i]);
  }
  name = nbd_get_socket_activation_name (h);
  is_str (name, longest, "what is refused changes nothing");
  free (name);
  is_int (nbd_set_socket_activation_name (h, ""), 0,
          "an empty name is no name");
  name = nbd_get_socket_activation_name (h);
  is_str (name, "", "and is told as that");
  free (name);
  nbd_close (h);
}

#define NO_LIST ((nbd_list_callback) { 0 })
#define NO_CONTEXT ((nbd_context_callback) { 0 })
#define NO_CHUNK ((nbd_chunk_callback) { 0 })
#define NO_EXTENT ((nbd_extent_callback) { 0 })
#define NO_EXTENT64 ((nbd_extent64_callback) { 0 })

static void
test_null_negotiating (void)
{
  struct peer *p = peer_in (PHASE_NEGOTIATING);
  struct nbd_handle *h = p->h;
  char *queries[] = { NULL };

  reset_tokens ();
  refused (nbd_opt_list (h, NO_LIST), "nbd_opt_list", "list");
  refused (nbd_aio_opt_list (h, NO_LIST, token_completion ()),
           "nbd_aio_opt_list", "list");
  refused (nbd_opt_list_meta_context (h, NO_CONTEXT),
           "nbd_opt_list_meta_context", "context");
  refused (nbd_aio_opt_list_meta_context (h, NO_CONTEXT, token_completion ()),
           "nbd_aio_opt_list_meta_context", "context");
  refused (nbd_opt_set_meta_context (h, NO_CONTEXT),
           "nbd_opt_set_meta_context", "context");
  refused (nbd_aio_opt_set_meta_context (h, NO_CONTEXT, token_completion ()),
           "nbd_aio_opt_set_meta_context", "context");
  refused (nbd_opt_list_meta_context_queries (h, NULL, token_context ()),
           "nbd_opt_list_meta_context_queries", "queries");
  refused (nbd_opt_list_meta_context_queries (h, queries, NO_CONTEXT),
           "nbd_opt_list_meta_context_queries", "context");
  refused (nbd_aio_opt_list_meta_context_queries
           (h, NULL, token_context (), token_completion ()),
           "nbd_aio_opt_list_meta_context_queries", "queries");
  refused (nbd_aio_opt_list_meta_context_queries
           (h, queries, NO_CONTEXT, token_completion ()),
           "nbd_aio_opt_list_meta_context_queries", "context");
  refused (nbd_opt_set_meta_context_queries (h, NULL, token_context ()),
           "nbd_opt_set_meta_context_queries", "queries");
  refused (nbd_opt_set_meta_context_queries (h, queries, NO_CONTEXT),
           "nbd_opt_set_meta_context_queries", "context");
  refused (nbd_aio_opt_set_meta_context_queries
           (h, NULL, token_context (), token_completion ()),
           "nbd_aio_opt_set_meta_context_queries", "queries");
  refused (nbd_aio_opt_set_meta_context_queries
           (h, queries, NO_CONTEXT, token_completion ()),
           "nbd_aio_opt_set_meta_context_queries", "context");
  is_int (peer_sent (p).n, 0, "nothing was sent for any of these options");
  peer_free (p);
}

/* The names that a query may have. */
static void
test_long_queries (void)
{
  static char longest[4097], too_long[4098];
  char *good[] = { longest, NULL }, *bad[] = { longest, too_long, NULL };
  struct peer *p = peer_in (PHASE_NEGOTIATING);

  memset (longest, 'x', 4096);
  memset (too_long, 'x', 4097);
  reset_tokens ();
  is_int (nbd_aio_opt_list_meta_context_queries
          (p->h, bad, token_context (), token_completion ()), -1,
          "a query of 4097 bytes is refused");
  ok (error_is (ENAMETOOLONG, "nbd_aio_opt_list_meta_context_queries: meta "
                "context name too long for NBD protocol: File name too long"),
      "with ENAMETOOLONG");
  ok (tokens_freed_once (0) && peer_sent (p).n == 0,
      "its callbacks are freed once and nothing is sent");
  is_int (nbd_opt_set_meta_context_queries (p->h, bad, token_context ()), -1,
          "it cannot be set either");
  is_int (nbd_opt_list_meta_context_queries (p->h, good, token_context ()), 1,
          "a query of 4096 bytes is sent");
  is_int (peer_sent (p).n, 16 + 4 + 4 + 4 + 4096, "whole");
  peer_free (p);
}

static void
test_null_connected (void)
{
  struct peer *p = peer_in (PHASE_CONNECTED);
  struct nbd_handle *h = p->h;
  uint8_t *buf = call_buffer;
  char *contexts[] = { NULL };
  nbd_completion_callback none = NBD_NULL_COMPLETION;

  reset_tokens ();
  refused (nbd_can_meta_context (h, NULL), "nbd_can_meta_context",
           "metacontext");
  refused (nbd_pread (h, NULL, 512, 0, 0), "nbd_pread", "buf");
  refused (nbd_aio_pread (h, NULL, 512, 0, token_completion (), 0),
           "nbd_aio_pread", "buf");
  refused (nbd_pread_structured (h, NULL, 512, 0, token_chunk (), 0),
           "nbd_pread_structured", "buf");
  refused (nbd_pread_structured (h, buf, 512, 0, NO_CHUNK, 0),
           "nbd_pread_structured", "chunk");
  refused (nbd_aio_pread_structured (h, NULL, 512, 0, token_chunk (),
                                     token_completion (), 0),
           "nbd_aio_pread_structured", "buf");
  refused (nbd_aio_pread_structured (h, buf, 512, 0, NO_CHUNK,
                                     token_completion (), 0),
           "nbd_aio_pread_structured", "chunk");
  refused (nbd_pwrite (h, NULL, 512, 0, 0), "nbd_pwrite", "buf");
  refused (nbd_pwrite (h, NULL, 0, 0, 0), "nbd_pwrite", "buf");
  refused (nbd_aio_pwrite (h, NULL, 512, 0, token_completion (), 0),
           "nbd_aio_pwrite", "buf");
  refused (nbd_block_status (h, 512, 0, NO_EXTENT, 0), "nbd_block_status",
           "extent");
  refused (nbd_aio_block_status (h, 512, 0, NO_EXTENT, token_completion (), 0),
           "nbd_aio_block_status", "extent");
  refused (nbd_block_status_64 (h, 512, 0, NO_EXTENT64, 0),
           "nbd_block_status_64", "extent64");
  refused (nbd_aio_block_status_64 (h, 512, 0, NO_EXTENT64,
                                    token_completion (), 0),
           "nbd_aio_block_status_64", "extent64");
  refused (nbd_block_status_filter (h, 512, 0, NULL, token_extent64 (), 0),
           "nbd_block_status_filter", "contexts");
  refused (nbd_block_status_filter (h, 512, 0, contexts, NO_EXTENT64, 0),
           "nbd_block_status_filter", "extent64");
  refused (nbd_aio_block_status_filter (h, 512, 0, NULL, token_extent64 (),
                                        token_completion (), 0),
           "nbd_aio_block_status_filter", "contexts");
  refused (nbd_aio_block_status_filter (h, 512, 0, contexts, NO_EXTENT64,
                                        token_completion (), 0),
           "nbd_aio_block_status_filter", "extent64");
  is_int (peer_sent (p).n, 0, "nothing was sent for any of these commands");
  ok (nbd_aio_flush (h, none, 0) > 0, "a completion callback may be absent");
  peer_free (p);
}

/* Which of several refusals speaks. */
static void
test_order (void)
{
  struct peer *p = peer_in (PHASE_CONNECTED);
  nbd_chunk_callback none = NO_CHUNK;

  ok (nbd_set_export_name (p->h, NULL) == -1 && nbd_get_errno () == EINVAL,
      "the wrong state speaks before NULL");
  ok (nbd_connect_command (p->h, NULL) == -1 && nbd_get_errno () == EINVAL,
      "before no list");
  ok (nbd_set_uri_allow_transports (p->h, 0x40) == -1 &&
      strstr (nbd_get_error (), "invalid state"), "and before a mask");
  ok (nbd_get_block_size (p->h, 42) == -1 && nbd_get_errno () == EINVAL,
      "in the right state an unknown value is refused");
  ok (nbd_pread_structured (p->h, NULL, 512, 0, none, 0x80) == -1 &&
      error_is (EFAULT, "nbd_pread_structured: buf cannot be NULL: "
                "Bad address"), "a buffer speaks before a callback");
  ok (nbd_pread_structured (p->h, call_buffer, 512, 0, none, 0x80) == -1 &&
      error_is (EFAULT, "nbd_pread_structured: chunk cannot be NULL: "
                "Bad address"), "a callback speaks before flags");
  ok (nbd_pwrite (p->h, NULL, 512, 0, 0x80) == -1 &&
      nbd_get_errno () == EFAULT, "NULL speaks before flags");
  ok (nbd_pwrite (p->h, call_buffer, 0, 0, 0x80) == -1 &&
      error_is (EINVAL, "nbd_pwrite: flags: invalid value for flag: 0x80: "
                "Invalid argument"), "flags speak before the count");
  peer_free (p);

  p = peer_in (PHASE_CREATED);
  ok (nbd_get_block_size (p->h, 42) == -1 && nbd_get_errno () == ENOTCONN,
      "the wrong state speaks before an unknown value");
  ok (nbd_pwrite (p->h, NULL, 512, 0, 0x80) == -1 &&
      nbd_get_errno () == ENOTCONN, "and before flags");
  peer_free (p);
}

/* A callback without a function does nothing, but is there. */
static void
test_empty_callbacks (void)
{
  struct peer *p = peer_in (PHASE_NEGOTIATING);
  nbd_list_callback list;
  nbd_context_callback context;
  nbd_completion_callback completion;
  nbd_chunk_callback chunk;
  nbd_extent_callback extent;
  nbd_extent64_callback extent64;
  nbd_debug_callback trace;
  nbd_close_callback last;

#define EMPTY(name, from)                       \
  (name = from, name.callback = NULL, name)

  reset_tokens ();
  is_int (nbd_opt_list (p->h, EMPTY (list, token_list ())), 1,
          "nbd_opt_list takes a callback without a function");
  is_int (nbd_opt_list_meta_context (p->h, EMPTY (context, token_context ())),
          1, "so does nbd_opt_list_meta_context");
  is_int (nbd_opt_set_meta_context (p->h, EMPTY (context, token_context ())),
          1, "so does nbd_opt_set_meta_context");
  is_int (nbd_aio_opt_info (p->h, EMPTY (completion, token_completion ())), 0,
          "so does nbd_aio_opt_info");
  peer_settle (p);
  is_int (nbd_opt_go (p->h), 0, "the negotiation goes on");
  ok (tokens_freed_once (0), "those callbacks are freed once");

  reset_tokens ();
  is_int (nbd_pread_structured (p->h, call_buffer, 512, 0,
                                EMPTY (chunk, token_chunk ()), 0), 0,
          "nbd_pread_structured takes a callback without a function");
  is_int (nbd_block_status (p->h, 512, 0, EMPTY (extent, token_extent ()), 0),
          0, "so does nbd_block_status");
  is_int (nbd_block_status_64 (p->h, 512, 0,
                               EMPTY (extent64, token_extent64 ()), 0), 0,
          "so does nbd_block_status_64");
  ok (nbd_aio_flush (p->h, EMPTY (completion, token_completion ()), 0) > 0,
      "so does nbd_aio_flush");
  is_int (nbd_set_debug_callback (p->h, EMPTY (trace, token_debug ())), 0,
          "so does nbd_set_debug_callback");
  is_int (nbd_add_close_callback (p->h, EMPTY (last, token_close ())), 0,
          "so does nbd_add_close_callback");
  peer_free (p);
  ok (tokens_freed_once (0), "these callbacks are freed once");
#undef EMPTY
}

static void
test_enum (struct nbd_handle *h, const char *name, const char *parameter,
           int64_t (*call) (struct nbd_handle *h, int value), int valid)
{
  const int bad[] = { valid, 42, -1, INT32_MIN, INT32_MAX };
  char want[128];

  for (int i = 0; i < valid; i++)
    ok (call (h, i) >= 0, "%s knows the %s %d", name, parameter, i);
  for (size_t i = 0; i < COUNT (bad); i++) {
    snprintf (want, sizeof want, "%s: %s: invalid value for parameter: %d: "
              "Invalid argument", name, parameter, bad[i]);
    ok (call (h, bad[i]) == -1 && error_is (EINVAL, want),
        "%s refuses the %s %d", name, parameter, bad[i]);
  }
}

static int64_t
set_uri_allow_tls (struct nbd_handle *h, int value)
{
  return nbd_set_uri_allow_tls (h, value);
}

static int64_t
set_tls (struct nbd_handle *h, int value)
{
  int r = nbd_set_tls (h, value);

  /* Of these values only "off" is possible without TLS. */
  if (r == -1 && nbd_get_errno () == ENOTSUP && !nbd_supports_tls (h))
    return value == LIBNBD_TLS_ALLOW || value == LIBNBD_TLS_REQUIRE ? 0 : -1;
  return r;
}

static void
test_enums (void)
{
  struct peer *p = peer_in (PHASE_CONNECTED);

  test_enum (p->h, "nbd_get_block_size", "size_type", nbd_get_block_size, 4);
  peer_free (p);
  p = peer_in (PHASE_CREATED);
  test_enum (p->h, "nbd_set_uri_allow_tls", "tls", set_uri_allow_tls, 3);
  test_enum (p->h, "nbd_set_tls", "tls", set_tls, 3);
  peer_free (p);
}

/* Options of TCP that the library does not know. */
static void
test_tcp_options (void)
{
  static const int known[] = {
#ifdef TCP_KEEPCNT
    TCP_KEEPCNT,
#endif
#ifdef TCP_KEEPIDLE
    TCP_KEEPIDLE,
#endif
#ifdef TCP_KEEPINTVL
    TCP_KEEPINTVL,
#endif
#ifdef TCP_USER_TIMEOUT
    TCP_USER_TIMEOUT,
#endif
    -1
  };
  static const int unknown[] = { TCP_NODELAY, 0, -1, INT32_MIN, INT32_MAX };
  struct nbd_handle *h = nbd_create ();
  char want[128];

  for (size_t i = 0; known[i] != -1; i++)
    ok (nbd_set_tcp_option (h, known[i], 1) == 0 &&
        nbd_set_tcp_option (h, known[i], -1) == 0,
        "nbd_set_tcp_option takes the option %d, and any value", known[i]);
  for (size_t i = 0; i < COUNT (unknown); i++) {
    snprintf (want, sizeof want, "nbd_set_tcp_option: unknown TCP option: "
              "%d: Invalid argument", unknown[i]);
    ok (nbd_set_tcp_option (h, unknown[i], 1) == -1 &&
        error_is (EINVAL, want), "nbd_set_tcp_option refuses the option %d",
        unknown[i]);
  }
  nbd_close (h);
}

/* Flags of which no setting decides whether they are valid. */
static void
test_fixed_flags (const char *name, const char *parameter,
                  int (*set) (struct nbd_handle *h, uint32_t flags),
                  uint32_t valid, enum phase phase)
{
  bool good = true;

  for (unsigned bit = 0; bit < 32; bit++)
    for (unsigned others = 0; others < 2; others++)
      for (unsigned strict = 0; strict < 2; strict++) {
        struct peer *p = peer_in (phase);
        uint32_t flags = UINT32_C (1) << bit | (others ? valid : 0);
        char want[128];
        int ret;

        nbd_set_strict_mode (p->h, strict ? LIBNBD_STRICT_MASK : 0);
        snprintf (want, sizeof want, "%s: %s: invalid value for flag: 0x%x: "
                  "Invalid argument", name, parameter, flags);
        ret = set (p->h, flags);
        if (flags & ~valid ? ret != -1 || !error_is (EINVAL, want) : ret != 0)
          good = false;
        peer_free (p);
      }
  ok (good, "%s takes the %s 0x%x and no others, in any strict mode", name,
      parameter, valid);
}

/* The flags of a request as they were sent; -1 if none was. */
static int
flags_sent (struct peer *p)
{
  struct reader r = peer_sent (p);

  if (r.n == 0)
    return -1;
  read_bytes (&r, 4);
  return read_u16 (&r);
}

static int64_t
run_disconnect (struct nbd_handle *h, uint64_t count, uint64_t offset,
                uint32_t flags)
{
  (void) count;
  (void) offset;
  return nbd_aio_disconnect (h, flags);
}

/* One call with FLAGS: whether it sent or refused them, as it must. */
static bool
treats_flags (const struct data_call *call, uint32_t strict, uint32_t flags)
{
  uint32_t valid = strict & LIBNBD_STRICT_FLAGS ? call->flags : UINT16_MAX;
  struct offer offer = everything;
  struct peer *p;
  char want[128];
  int sent;
  bool good;

  offer.replies = STRUCTURED;
  p = peer_mute (&offer);
  nbd_set_strict_mode (p->h, strict);
  snprintf (want, sizeof want, "%s: flags: invalid value for flag: 0x%x: "
            "Invalid argument", call->name, flags);
  reset_tokens ();
  good = call->run (p->h, 512, 0, flags) != -1;
  sent = flags_sent (p);
  if (flags & ~valid)
    good = !good && error_is (EINVAL, want) && sent == -1 &&
      tokens_freed_once (0) && nbd_aio_is_ready (p->h) == 1;
  else
    good = sent == (int) flags;
  if (!good)
    note ("flags 0x%x in strict mode 0x%x: sent 0x%x", flags, strict, sent);
  peer_free (p);
  return good;
}

static void
test_command_flags (const struct data_call *call)
{
  const uint32_t strict = LIBNBD_STRICT_FLAGS;
  const uint32_t relaxed = LIBNBD_STRICT_BOUNDS;
  bool good = true;

  for (unsigned bit = 0; bit < 16; bit++)
    good = treats_flags (call, strict, UINT32_C (1) << bit) && good;
  good = treats_flags (call, strict, call->flags) && good;
  good = treats_flags (call, strict, call->flags | 0x40) && good;
  ok (good, "%s sends its own flags and refuses all others", call->name);

  good = true;
  for (unsigned bit = 0; bit < 16; bit++)
    good = treats_flags (call, relaxed, UINT32_C (1) << bit) && good;
  good = treats_flags (call, relaxed, 0xffff) && good;
  ok (good, "%s sends any flags when flags are not checked", call->name);

  good = true;
  for (unsigned bit = 16; bit < 32; bit++)
    good = treats_flags (call, 0, UINT32_C (1) << bit) &&
      treats_flags (call, relaxed, (UINT32_C (1) << bit) + 0x8001) &&
      treats_flags (call, strict, UINT32_C (1) << bit) && good;
  ok (good, "%s refuses flags above 16 bits in any strict mode", call->name);
}

int
main (void)
{
  static const struct data_call disconnect = {
    "nbd_aio_disconnect", NBD_CMD_DISC, 0, false, run_disconnect,
  };

  tap_begin ();
  for (size_t i = 0; i < nr_calls; i++)
    test_no_handle (&calls[i]);
  nbd_close (NULL);
  test_null_created ();
  test_empty_argv ();
  test_activation_names ();
  test_null_negotiating ();
  test_long_queries ();
  test_null_connected ();
  test_order ();
  test_empty_callbacks ();
  test_enums ();
  test_tcp_options ();
  test_fixed_flags ("nbd_set_strict_mode", "flags", nbd_set_strict_mode,
                    LIBNBD_STRICT_MASK, PHASE_DEAD);
  test_fixed_flags ("nbd_set_handshake_flags", "flags",
                    nbd_set_handshake_flags, LIBNBD_HANDSHAKE_FLAG_MASK,
                    PHASE_CREATED);
  test_fixed_flags ("nbd_set_uri_allow_transports", "mask",
                    nbd_set_uri_allow_transports,
                    LIBNBD_ALLOW_TRANSPORT_MASK, PHASE_CREATED);
  test_fixed_flags ("nbd_shutdown", "flags", nbd_shutdown,
                    LIBNBD_SHUTDOWN_MASK, PHASE_CONNECTED);
  for (size_t i = 0; i < NR_DATA_CALLS; i++)
    test_command_flags (&data_calls[i]);
  test_command_flags (&disconnect);
  return tap_end ();
}
