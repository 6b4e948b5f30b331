/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The API.  Every public function, callback type and constant is a row here,
 * and nowhere else; the prose of function nbd_NAME is docs/api/nbd_NAME.pod.
 * What a row can say is in model.h, what it must obey in check.c.
 */

#include "model.h"

#define COUNT(a) (sizeof (a) / sizeof ((a)[0]))
#define HERE .file = __FILE__, .line = __LINE__

/* Constants. */
#define VALUE(n, v) { HERE, .name = n, .value = v }
#define SET(var, knd, pfx, msk, ...)                                    \
  static const struct constant_set var = {                              \
    HERE, .name = #var, .kind = knd, .prefix = pfx,                     \
    .members = var##_members, .nr_members = COUNT (var##_members),      \
    .mask = msk, __VA_ARGS__ }

static const struct constant tls_modes_members[] = {
  VALUE ("DISABLE", "0"),
  VALUE ("ALLOW", "1"),
  VALUE ("REQUIRE", "2"),
};
SET (tls_modes, SET_ENUM, "LIBNBD_TLS_", NULL);

static const struct constant block_sizes_members[] = {
  VALUE ("MINIMUM", "0"),
  VALUE ("PREFERRED", "1"),
  VALUE ("MAXIMUM", "2"),
  VALUE ("PAYLOAD", "3"),
};
SET (block_sizes, SET_ENUM, "LIBNBD_SIZE_", NULL);

static const struct constant command_flags_members[] = {
  VALUE ("FUA", "0x01U"),
  VALUE ("NO_HOLE", "0x02U"),
  VALUE ("DF", "0x04U"),
  VALUE ("REQ_ONE", "0x08U"),
  VALUE ("FAST_ZERO", "0x10U"),
  VALUE ("PAYLOAD_LEN", "0x20U"),
};
SET (command_flags, SET_FLAGS, "LIBNBD_CMD_FLAG_", "0x3fU",
     .relaxable = true);

static const struct constant handshake_flags_members[] = {
  VALUE ("FIXED_NEWSTYLE", "0x01U"),
  VALUE ("NO_ZEROES", "0x02U"),
};
SET (handshake_flags, SET_FLAGS, "LIBNBD_HANDSHAKE_FLAG_", "0x03U");

static const struct constant strict_flags_members[] = {
  VALUE ("COMMANDS", "0x01U"),
  VALUE ("FLAGS", "0x02U"),
  VALUE ("BOUNDS", "0x04U"),
  VALUE ("ZERO_SIZE", "0x08U"),
  VALUE ("ALIGN", "0x10U"),
  VALUE ("PAYLOAD", "0x20U"),
  VALUE ("AUTO_FLAG", "0x40U"),
};
SET (strict_flags, SET_FLAGS, "LIBNBD_STRICT_", "0x7fU");

static const struct constant transports_members[] = {
  VALUE ("TCP", "0x01U"),
  VALUE ("UNIX", "0x02U"),
  VALUE ("VSOCK", "0x04U"),
  VALUE ("SSH", "0x08U"),
};
SET (transports, SET_FLAGS, "LIBNBD_ALLOW_TRANSPORT_", "0x0fU");

static const struct constant shutdown_flags_members[] = {
  VALUE ("ABANDON_PENDING", "0x10000U"),
};
SET (shutdown_flags, SET_FLAGS, "LIBNBD_SHUTDOWN_", "0x10000U");

static const struct constant directions_members[] = {
  VALUE ("READ", "1"),
  VALUE ("WRITE", "2"),
  VALUE ("BOTH", "3"),
};
SET (directions, SET_OTHER, "LIBNBD_AIO_DIRECTION_", NULL);

static const struct constant read_statuses_members[] = {
  VALUE ("DATA", "1"),
  VALUE ("HOLE", "2"),
  VALUE ("ERROR", "3"),
};
SET (read_statuses, SET_OTHER, "LIBNBD_READ_", NULL);

static const struct constant meta_contexts_members[] = {
  VALUE ("NAMESPACE_BASE", "\"base:\""),
  VALUE ("CONTEXT_BASE_ALLOCATION", "\"base:allocation\""),
  VALUE ("STATE_HOLE", "1"),
  VALUE ("STATE_ZERO", "2"),
  VALUE ("NAMESPACE_QEMU", "\"qemu:\""),
  VALUE ("CONTEXT_QEMU_DIRTY_BITMAP", "\"qemu:dirty-bitmap:\""),
  VALUE ("CONTEXT_QEMU_ALLOCATION_DEPTH", "\"qemu:allocation-depth\""),
  VALUE ("STATE_DIRTY", "1"),
};
SET (meta_contexts, SET_OTHER, "LIBNBD_", NULL);

static const struct constant_set *const sets[] = {
  &tls_modes, &block_sizes, &command_flags, &handshake_flags, &strict_flags,
  &transports, &shutdown_flags, &directions, &read_statuses, &meta_contexts,
};

/* Structures that callers see. */
static const struct api_struct structs[] = {
  {
    "nbd_extent",
    "typedef struct {\n"
    "  uint64_t length;              /* bytes, at most INT64_MAX */\n"
    "  uint64_t flags;               /* as the meta context defines them */\n"
    "} nbd_extent;\n"
  },
};

/* Callbacks. */
#define CALLBACK(NAME, SINCE, PARAMS)                                   \
  static const struct closure NAME##_closure = {                        \
    HERE, .name = #NAME, .since = SINCE, .params = PARAMS }

CALLBACK (chunk, 0, "const void *subbuf, size_t count, uint64_t offset, "
          "unsigned status, int *error");
CALLBACK (completion, 0, "int *error");
CALLBACK (debug, 0, "const char *context, const char *msg");
CALLBACK (extent, 0, "const char *metacontext, uint64_t offset, "
          "uint32_t *entries, size_t nr_entries, int *error");
CALLBACK (extent64, 18, "const char *metacontext, uint64_t offset, "
          "nbd_extent *entries, size_t nr_entries, int *error");
CALLBACK (list, 4, "const char *name, const char *description");
CALLBACK (context, 6, "const char *name");
CALLBACK (close, 26, NULL);

static const struct closure *const closures[] = {
  &chunk_closure, &completion_closure, &debug_closure, &extent_closure,
  &extent64_closure, &list_closure, &context_closure, &close_closure,
};

/* Arguments. */
#define BOOL(n) { ARG_BOOL, n }
#define INT(n) { ARG_INT, n }
#define FD(n) { ARG_FD, n }
#define UINT32(n) { ARG_UINT32, n }
#define UINT64(n) { ARG_UINT64, n }
#define SIZE(n) { ARG_SIZE, n }
#define UINTPTR(n) { ARG_UINTPTR, n }
#define STRING(n) { ARG_STRING, n }
#define STRING_LIST(n) { ARG_STRING_LIST, n }
#define BUFFER_OUT(n, c) { ARG_BUFFER_OUT, n, .length = c }
#define BUFFER_IN(n, c) { ARG_BUFFER_IN, n, .length = c }
#define SOCKADDR(n, c) { ARG_SOCKADDR, n, .length = c }
#define ENUM(n, s) { ARG_ENUM, n, .set = &s }
#define FLAGS(n, s, v) { ARG_FLAGS, n, .set = &s, .valid = v }
#define CMD_FLAGS(v) FLAGS ("flags", command_flags, v)
#define CLOSURE(c) { ARG_CLOSURE, .closure = &c }
#define COMPLETION \
  { ARG_CLOSURE, .closure = &completion_closure, .optional = true }

#define FN(n) HERE, .name = #n

static const struct function functions[] = {
  {
    FN (close), .since = 0,
    .summary = "close the handle and free what it holds",
    .ret = RETURN_VOID, .states = ANY, .never_fails = true,
    .by_hand = true, .null_handle = true,
    .see_also = { "nbd_create" },
  },
  {
    FN (create), .since = 0,
    .summary = "create a handle",
    .ret = RETURN_HANDLE, .states = ANY,
    .by_hand = true, .no_handle = true,
    .see_also = { "nbd_close" },
  },
  {
    FN (get_error), .since = 0,
    .summary = "message of the last error in this thread",
    .ret = RETURN_STATIC_STRING, .states = ANY, .never_fails = true,
    .by_hand = true, .no_handle = true,
    .see_also = { "nbd_get_errno" },
  },
  {
    FN (get_errno), .since = 0,
    .summary = "error number of the last error in this thread",
    .ret = RETURN_INT, .states = ANY, .never_fails = true,
    .by_hand = true, .no_handle = true,
    .see_also = { "nbd_get_error" },
  },
  {
    FN (set_debug), .since = 0,
    .summary = "switch debug tracing on or off",
    .args = { BOOL ("debug") },
    .ret = RETURN_ERR, .states = ANY,
    .set_field = "debug",
    .see_also = { "nbd_get_debug" },
  },
  {
    FN (get_debug), .since = 0,
    .summary = "tell whether debug tracing is on",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true,
    .get_field = "debug",
    .see_also = { "nbd_set_debug" },
  },
  {
    FN (set_debug_callback), .since = 0,
    .summary = "send debug messages to a function",
    .args = { CLOSURE (debug_closure) },
    .ret = RETURN_ERR, .states = ANY,
    .see_also = { "nbd_clear_debug_callback", "nbd_set_debug" },
  },
  {
    FN (clear_debug_callback), .since = 0,
    .summary = "send debug messages to standard error again",
    .ret = RETURN_ERR, .states = ANY,
    .see_also = { "nbd_set_debug_callback" },
  },
  {
    FN (stats_bytes_sent), .since = 16,
    .summary = "count the bytes sent to the server",
    .ret = RETURN_UINT64, .states = ANY, .never_fails = true,
    .get_field = "stats.bytes_sent",
    .see_also = {
      "nbd_stats_chunks_sent", "nbd_stats_bytes_received",
      "nbd_stats_chunks_received",
    },
  },
  {
    FN (stats_chunks_sent), .since = 16,
    .summary = "count the protocol messages sent to the server",
    .ret = RETURN_UINT64, .states = ANY, .never_fails = true,
    .get_field = "stats.chunks_sent",
    .see_also = {
      "nbd_stats_bytes_sent", "nbd_stats_bytes_received",
      "nbd_stats_chunks_received",
    },
  },
  {
    FN (stats_bytes_received), .since = 16,
    .summary = "count the bytes received from the server",
    .ret = RETURN_UINT64, .states = ANY, .never_fails = true,
    .get_field = "stats.bytes_received",
    .see_also = {
      "nbd_stats_bytes_sent", "nbd_stats_chunks_sent",
      "nbd_stats_chunks_received",
    },
  },
  {
    FN (stats_chunks_received), .since = 16,
    .summary = "count the protocol messages received from the server",
    .ret = RETURN_UINT64, .states = ANY, .never_fails = true,
    .get_field = "stats.chunks_received",
    .see_also = {
      "nbd_stats_bytes_sent", "nbd_stats_chunks_sent",
      "nbd_stats_bytes_received",
    },
  },
  {
    FN (set_handle_name), .since = 0,
    .summary = "name the handle in debug messages",
    .args = { STRING ("handle_name") },
    .ret = RETURN_ERR, .states = ANY,
    .set_field = "name",
    .see_also = { "nbd_get_handle_name" },
  },
  {
    FN (get_handle_name), .since = 0,
    .summary = "return the name of the handle",
    .ret = RETURN_STRING, .states = ANY,
    .get_field = "name",
    .see_also = { "nbd_set_handle_name" },
  },
  {
    FN (set_private_data), .since = 8,
    .summary = "store a value of the program in the handle",
    .args = { UINTPTR ("private_data") },
    .ret = RETURN_UINTPTR, .states = ANY, .never_fails = true, .no_lock = true,
    .see_also = { "nbd_get_private_data" },
  },
  {
    FN (get_private_data), .since = 8,
    .summary = "return the value that the program stored",
    .ret = RETURN_UINTPTR, .states = ANY, .never_fails = true, .no_lock = true,
    .see_also = { "nbd_set_private_data" },
  },
  {
    FN (set_export_name), .since = 0,
    .summary = "choose the export to open",
    .args = { STRING ("export_name") },
    .ret = RETURN_ERR, .states = CREATED | NEGOTIATING,
    .see_also = { "nbd_get_export_name" },
  },
  {
    FN (get_export_name), .since = 0,
    .summary = "return the name of the chosen export",
    .ret = RETURN_STRING, .states = ANY,
    .get_field = "export_name",
    .see_also = { "nbd_set_export_name" },
  },
  {
    FN (set_request_block_size), .since = 12,
    .summary = "choose whether block sizes are asked for",
    .args = { BOOL ("request") },
    .ret = RETURN_ERR, .states = CREATED | NEGOTIATING,
    .set_field = "request_block_size",
    .see_also = { "nbd_get_request_block_size" },
  },
  {
    FN (get_request_block_size), .since = 12,
    .summary = "tell whether block sizes are asked for",
    .ret = RETURN_BOOL, .states = ANY,
    .get_field = "request_block_size",
    .see_also = { "nbd_set_request_block_size" },
  },
  {
    FN (set_full_info), .since = 4,
    .summary = "choose whether name and description are asked for",
    .args = { BOOL ("request") },
    .ret = RETURN_ERR, .states = CREATED | NEGOTIATING,
    .set_field = "full_info",
    .see_also = { "nbd_get_full_info" },
  },
  {
    FN (get_full_info), .since = 4,
    .summary = "tell whether name and description are asked for",
    .ret = RETURN_BOOL, .states = ANY,
    .get_field = "full_info",
    .see_also = { "nbd_set_full_info" },
  },
  {
    FN (get_canonical_export_name), .since = 4,
    .summary = "return the server's own name of the export",
    .ret = RETURN_STRING, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_set_full_info" },
  },
  {
    FN (get_export_description), .since = 4,
    .summary = "return the server's description of the export",
    .ret = RETURN_STRING, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_set_full_info" },
  },
  {
    FN (set_tls), .since = 0,
    .summary = "choose whether TLS is used",
    .args = { ENUM ("tls", tls_modes) },
    .ret = RETURN_ERR, .states = CREATED,
    .see_also = {
      "nbd_get_tls", "nbd_get_tls_negotiated", "nbd_set_tls_certificates",
      "nbd_set_tls_psk_file", "nbd_supports_tls",
    },
  },
  {
    FN (get_tls), .since = 0,
    .summary = "return which use of TLS was chosen",
    .ret = RETURN_INT, .states = ANY,
    .never_fails = true,
    .get_field = "tls.mode",
    .see_also = { "nbd_set_tls", "nbd_get_tls_negotiated" },
  },
  {
    FN (get_tls_negotiated), .since = 2,
    .summary = "tell whether the connection is encrypted",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_set_tls", "nbd_get_tls" },
  },
  {
    FN (set_tls_certificates), .since = 0,
    .summary = "name the folder of certificates",
    .args = { STRING ("dir") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "tls.certificates",
    .see_also = { "nbd_set_tls", "nbd_set_tls_verify_peer" },
  },
  {
    FN (set_tls_verify_peer), .since = 0,
    .summary = "choose whether the server's certificate is verified",
    .args = { BOOL ("verify") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "tls.verify_peer",
    .see_also = {
      "nbd_get_tls_verify_peer", "nbd_set_tls_hostname", "nbd_set_tls",
    },
  },
  {
    FN (get_tls_verify_peer), .since = 0,
    .summary = "tell whether the server's certificate is verified",
    .ret = RETURN_BOOL, .states = ANY,
    .never_fails = true,
    .get_field = "tls.verify_peer",
    .see_also = { "nbd_set_tls_verify_peer" },
  },
  {
    FN (set_tls_username), .since = 0,
    .summary = "choose the user name for a shared key",
    .args = { STRING ("username") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "tls.username",
    .see_also = { "nbd_get_tls_username", "nbd_set_tls_psk_file" },
  },
  {
    FN (get_tls_username), .since = 0,
    .summary = "return the user name for a shared key",
    .ret = RETURN_STRING, .states = ANY,
    .see_also = { "nbd_set_tls_username" },
  },
  {
    FN (set_tls_hostname), .since = 22,
    .summary = "choose the name that the certificate must have",
    .args = { STRING ("hostname") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "tls.hostname",
    .see_also = { "nbd_get_tls_hostname", "nbd_set_tls_verify_peer" },
  },
  {
    FN (get_tls_hostname), .since = 22,
    .summary = "return the name that the certificate must have",
    .ret = RETURN_STRING, .states = ANY,
    .get_field = "tls.hostname",
    .see_also = { "nbd_set_tls_hostname" },
  },
  {
    FN (set_tls_psk_file), .since = 0,
    .summary = "name the file of shared keys",
    .args = { STRING ("filename") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "tls.psk_file",
    .see_also = { "nbd_set_tls", "nbd_set_tls_username" },
  },
  {
    FN (set_tls_priority), .since = 24,
    .summary = "choose the versions and ciphers of TLS",
    .args = { STRING ("priority") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "tls.priority",
    .see_also = { "nbd_get_tls_priority", "nbd_set_uri_allow_tls_priority" },
  },
  {
    FN (get_tls_priority), .since = 24,
    .summary = "return the versions and ciphers of TLS",
    .ret = RETURN_STRING, .states = ANY,
    .see_also = { "nbd_set_tls_priority" },
  },
  {
    FN (set_request_extended_headers), .since = 18,
    .summary = "choose whether extended headers are asked for",
    .args = { BOOL ("request") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "request_extended_headers",
    .see_also = { "nbd_get_request_extended_headers" },
  },
  {
    FN (get_request_extended_headers), .since = 18,
    .summary = "tell whether extended headers are asked for",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true,
    .get_field = "request_extended_headers",
    .see_also = { "nbd_set_request_extended_headers" },
  },
  {
    FN (get_extended_headers_negotiated), .since = 18,
    .summary = "tell whether extended headers are in use",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_set_request_extended_headers" },
  },
  {
    FN (set_request_structured_replies), .since = 2,
    .summary = "choose whether structured replies are asked for",
    .args = { BOOL ("request") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "request_structured_replies",
    .see_also = { "nbd_get_request_structured_replies" },
  },
  {
    FN (get_request_structured_replies), .since = 2,
    .summary = "tell whether structured replies are asked for",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true,
    .get_field = "request_structured_replies",
    .see_also = { "nbd_set_request_structured_replies" },
  },
  {
    FN (get_structured_replies_negotiated), .since = 2,
    .summary = "tell whether structured replies are in use",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_set_request_structured_replies" },
  },
  {
    FN (set_request_meta_context), .since = 16,
    .summary = "choose whether meta contexts are set on the way to an export",
    .args = { BOOL ("request") },
    .ret = RETURN_ERR, .states = CREATED | NEGOTIATING,
    .set_field = "request_meta_context",
    .see_also = { "nbd_get_request_meta_context" },
  },
  {
    FN (get_request_meta_context), .since = 16,
    .summary = "tell whether meta contexts are set on the way to an export",
    .ret = RETURN_BOOL, .states = ANY,
    .get_field = "request_meta_context",
    .see_also = { "nbd_set_request_meta_context" },
  },
  {
    FN (set_handshake_flags), .since = 2,
    .summary = "choose which handshake flags the client may use",
    .args = { FLAGS ("flags", handshake_flags, "LIBNBD_HANDSHAKE_FLAG_MASK") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "handshake_flags",
    .see_also = { "nbd_get_handshake_flags" },
  },
  {
    FN (get_handshake_flags), .since = 2,
    .summary = "return the handshake flags that the client may use",
    .ret = RETURN_UINT32, .states = ANY, .never_fails = true,
    .see_also = { "nbd_set_handshake_flags" },
  },
  {
    FN (set_pread_initialize), .since = 12,
    .summary = "choose whether read buffers are zeroed first",
    .args = { BOOL ("request") },
    .ret = RETURN_ERR, .states = ANY,
    .set_field = "pread_initialize",
    .see_also = { "nbd_get_pread_initialize" },
  },
  {
    FN (get_pread_initialize), .since = 12,
    .summary = "tell whether read buffers are zeroed first",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true,
    .get_field = "pread_initialize",
    .see_also = { "nbd_set_pread_initialize" },
  },
  {
    FN (set_strict_mode), .since = 6,
    .summary = "choose which requests are checked before they are sent",
    .args = { FLAGS ("flags", strict_flags, "LIBNBD_STRICT_MASK") },
    .ret = RETURN_ERR, .states = ANY,
    .set_field = "strict_mode",
    .see_also = { "nbd_get_strict_mode" },
  },
  {
    FN (get_strict_mode), .since = 6,
    .summary = "return which requests are checked before they are sent",
    .ret = RETURN_UINT32, .states = ANY, .never_fails = true,
    .get_field = "strict_mode",
    .see_also = { "nbd_set_strict_mode" },
  },
  {
    FN (set_opt_mode), .since = 4,
    .summary = "choose whether to stop and negotiate options one by one",
    .args = { BOOL ("enable") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "opt_mode",
    .see_also = { "nbd_get_opt_mode" },
  },
  {
    FN (get_opt_mode), .since = 4,
    .summary = "tell whether options are negotiated one by one",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true,
    .get_field = "opt_mode",
    .see_also = { "nbd_set_opt_mode" },
  },
  {
    FN (opt_go), .since = 4,
    .summary = "open the chosen export",
    .ret = RETURN_ERR, .states = NEGOTIATING,
    .see_also = {
      "nbd_aio_opt_go", "nbd_set_opt_mode", "nbd_opt_info", "nbd_opt_abort",
    },
  },
  {
    FN (opt_abort), .since = 4,
    .summary = "give up negotiating and disconnect",
    .ret = RETURN_ERR, .states = NEGOTIATING,
    .see_also = { "nbd_aio_opt_abort", "nbd_set_opt_mode", "nbd_opt_go" },
  },
  {
    FN (opt_extended_headers), .since = 18,
    .summary = "ask the server for extended headers",
    .ret = RETURN_BOOL, .states = NEGOTIATING,
    .see_also = { "nbd_aio_opt_extended_headers", "nbd_set_opt_mode" },
  },
  {
    FN (opt_starttls), .since = 16,
    .summary = "ask the server for TLS",
    .ret = RETURN_BOOL, .states = NEGOTIATING,
    .see_also = {
      "nbd_aio_opt_starttls", "nbd_set_opt_mode", "nbd_set_tls",
    },
  },
  {
    FN (opt_structured_reply), .since = 16,
    .summary = "ask the server for structured replies",
    .ret = RETURN_BOOL, .states = NEGOTIATING,
    .see_also = { "nbd_aio_opt_structured_reply", "nbd_set_opt_mode" },
  },
  {
    FN (opt_list), .since = 4,
    .summary = "list the exports of the server",
    .args = { CLOSURE (list_closure) },
    .ret = RETURN_INT, .states = NEGOTIATING,
    .see_also = {
      "nbd_aio_opt_list", "nbd_set_opt_mode", "nbd_set_export_name",
    },
  },
  {
    FN (opt_info), .since = 4,
    .summary = "ask about the chosen export without opening it",
    .ret = RETURN_ERR, .states = NEGOTIATING,
    .see_also = { "nbd_aio_opt_info", "nbd_opt_go", "nbd_set_opt_mode" },
  },
  {
    FN (opt_list_meta_context), .since = 6,
    .summary = "list the meta contexts that match the chosen ones",
    .args = { CLOSURE (context_closure) },
    .ret = RETURN_INT, .states = NEGOTIATING,
    .see_also = { "nbd_aio_opt_list_meta_context", "nbd_set_opt_mode" },
  },
  {
    FN (opt_list_meta_context_queries), .since = 16,
    .summary = "list the meta contexts that match given queries",
    .args = { STRING_LIST ("queries"), CLOSURE (context_closure) },
    .ret = RETURN_INT, .states = NEGOTIATING,
    .see_also = {
      "nbd_aio_opt_list_meta_context_queries", "nbd_set_opt_mode",
    },
  },
  {
    FN (opt_set_meta_context), .since = 16,
    .summary = "select the chosen meta contexts",
    .args = { CLOSURE (context_closure) },
    .ret = RETURN_INT, .states = NEGOTIATING,
    .see_also = { "nbd_aio_opt_set_meta_context", "nbd_set_opt_mode" },
  },
  {
    FN (opt_set_meta_context_queries), .since = 16,
    .summary = "select meta contexts by given queries",
    .args = { STRING_LIST ("queries"), CLOSURE (context_closure) },
    .ret = RETURN_INT, .states = NEGOTIATING,
    .see_also = { "nbd_aio_opt_set_meta_context_queries", "nbd_set_opt_mode" },
  },
  {
    FN (add_meta_context), .since = 0,
    .summary = "add a meta context to those that are asked for",
    .args = { STRING ("name") },
    .ret = RETURN_ERR, .states = CREATED | NEGOTIATING,
    .see_also = {
      "nbd_can_meta_context", "nbd_block_status", "nbd_clear_meta_contexts",
    },
  },
  {
    FN (get_nr_meta_contexts), .since = 6,
    .summary = "count the meta contexts that are asked for",
    .ret = RETURN_SSIZE, .states = ANY,
    .see_also = { "nbd_get_meta_context", "nbd_add_meta_context" },
  },
  {
    FN (get_meta_context), .since = 6,
    .summary = "return one of the meta contexts that are asked for",
    .args = { SIZE ("i") },
    .ret = RETURN_STRING, .states = ANY,
    .see_also = { "nbd_get_nr_meta_contexts" },
  },
  {
    FN (clear_meta_contexts), .since = 6,
    .summary = "ask for no meta contexts",
    .ret = RETURN_ERR, .states = CREATED | NEGOTIATING,
    .see_also = { "nbd_add_meta_context" },
  },
  {
    FN (set_uri_allow_transports), .since = 2,
    .summary = "choose which transports a URI may use",
    .args = { FLAGS ("mask", transports, "LIBNBD_ALLOW_TRANSPORT_MASK") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "uri_allow_transports",
    .see_also = {
      "nbd_connect_uri", "nbd_set_uri_allow_tls",
      "nbd_set_uri_allow_local_file",
    },
  },
  {
    FN (set_uri_allow_tls), .since = 2,
    .summary = "choose whether a URI may, or must, ask for TLS",
    .args = { ENUM ("tls", tls_modes) },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "uri_allow_tls",
    .see_also = { "nbd_connect_uri", "nbd_set_uri_allow_transports" },
  },
  {
    FN (set_uri_allow_local_file), .since = 2,
    .summary = "choose whether a URI may name local files",
    .args = { BOOL ("allow") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "uri_allow_local_file",
    .see_also = { "nbd_connect_uri", "nbd_set_uri_allow_transports" },
  },
  {
    FN (set_uri_allow_tls_priority), .since = 24,
    .summary = "choose whether a URI may choose ciphers",
    .args = { BOOL ("allow") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "uri_allow_tls_priority",
    .see_also = { "nbd_connect_uri", "nbd_set_tls_priority" },
  },
  {
    FN (connect_uri), .since = 0,
    .summary = "connect to the server that a URI names",
    .args = { STRING ("uri") },
    .ret = RETURN_ERR, .states = CREATED,
    .see_also = {
      "nbd_aio_connect_uri", "nbd_get_uri", "nbd_is_uri",
      "nbd_set_uri_allow_transports", "nbd_supports_uri",
    },
  },
  {
    FN (connect_unix), .since = 0,
    .summary = "connect to a server over a Unix domain socket",
    .args = { STRING ("unixsocket") },
    .ret = RETURN_ERR, .states = CREATED,
    .see_also = { "nbd_aio_connect_unix", "nbd_connect_socket" },
  },
  {
    FN (connect_vsock), .since = 2,
    .summary = "connect to a server over vsock",
    .args = { UINT32 ("cid"), UINT32 ("port") },
    .ret = RETURN_ERR, .states = CREATED,
    .see_also = { "nbd_aio_connect_vsock", "nbd_supports_vsock" },
  },
  {
    FN (connect_tcp), .since = 0,
    .summary = "connect to a server over TCP",
    .args = { STRING ("hostname"), STRING ("port") },
    .ret = RETURN_ERR, .states = CREATED,
    .see_also = { "nbd_aio_connect_tcp", "nbd_connect_socket" },
  },
  {
    FN (connect_socket), .since = 2,
    .summary = "speak to a server over a socket of the caller",
    .args = { FD ("sock") },
    .ret = RETURN_ERR, .states = CREATED,
    .see_also = {
      "nbd_aio_connect_socket", "nbd_connect_unix", "nbd_connect_tcp",
    },
  },
  {
    FN (connect_command), .since = 0,
    .summary = "run a server that speaks on its standard input",
    .args = { STRING_LIST ("argv") },
    .ret = RETURN_ERR, .states = CREATED,
    .see_also = {
      "nbd_aio_connect_command", "nbd_connect_systemd_socket_activation",
      "nbd_kill_subprocess", "nbd_get_subprocess_pid",
    },
  },
  {
    FN (connect_systemd_socket_activation), .since = 2,
    .summary = "run a server and pass it a listening socket",
    .args = { STRING_LIST ("argv") },
    .ret = RETURN_ERR, .states = CREATED,
    .see_also = {
      "nbd_aio_connect_systemd_socket_activation",
      "nbd_set_socket_activation_name", "nbd_connect_command",
      "nbd_kill_subprocess",
    },
  },
  {
    FN (set_socket_activation_name), .since = 16,
    .summary = "name the socket that is passed to a server",
    .args = { STRING ("socket_name") },
    .ret = RETURN_ERR, .states = CREATED,
    .see_also = {
      "nbd_get_socket_activation_name",
      "nbd_connect_systemd_socket_activation",
    },
  },
  {
    FN (get_socket_activation_name), .since = 16,
    .summary = "return the name of the socket that is passed",
    .ret = RETURN_STRING, .states = ANY,
    .get_field = "socket_activation_name",
    .see_also = { "nbd_set_socket_activation_name" },
  },
  {
    FN (is_read_only), .since = 0,
    .summary = "tell whether the export is read-only",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_pwrite" },
  },
  {
    FN (can_flush), .since = 0,
    .summary = "tell whether the server can flush",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_flush" },
  },
  {
    FN (can_fua), .since = 0,
    .summary = "tell whether the server knows forced unit access",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_pwrite" },
  },
  {
    FN (is_rotational), .since = 0,
    .summary = "tell whether the export is on a rotating disk",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
  },
  {
    FN (can_trim), .since = 0,
    .summary = "tell whether the server can trim",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_trim" },
  },
  {
    FN (can_zero), .since = 0,
    .summary = "tell whether the server can write zeroes",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_zero" },
  },
  {
    FN (can_fast_zero), .since = 2,
    .summary = "tell whether the server can refuse slow zeroing",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_zero" },
  },
  {
    FN (can_block_status_payload), .since = 18,
    .summary = "tell whether block status can be limited to some contexts",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_block_status_filter" },
  },
  {
    FN (can_df), .since = 0,
    .summary = "tell whether the server can reply to a read in one piece",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_pread_structured" },
  },
  {
    FN (can_multi_conn), .since = 0,
    .summary = "tell whether several connections see the same data",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_flush" },
  },
  {
    FN (can_cache), .since = 0,
    .summary = "tell whether the server can prefetch",
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_cache" },
  },
  {
    FN (can_meta_context), .since = 0,
    .summary = "tell whether a meta context was granted",
    .args = { STRING ("metacontext") },
    .ret = RETURN_BOOL, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_add_meta_context", "nbd_block_status" },
  },
  {
    FN (get_protocol), .since = 2,
    .summary = "return which form of the protocol is spoken",
    .ret = RETURN_STATIC_STRING, .states = NEGOTIATING | CONNECTED | CLOSED,
  },
  {
    FN (get_size), .since = 0,
    .summary = "return the size of the export",
    .ret = RETURN_INT64, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_get_block_size" },
  },
  {
    FN (get_block_size), .since = 4,
    .summary = "return a size constraint of the server",
    .args = { ENUM ("size_type", block_sizes) },
    .ret = RETURN_INT64, .states = NEGOTIATING | CONNECTED | CLOSED,
    .see_also = { "nbd_get_size", "nbd_set_request_block_size" },
  },
  {
    FN (pread), .since = 0,
    .summary = "read from the export",
    .args = {
      BUFFER_OUT ("buf", "count"),
      UINT64 ("offset"),
      CMD_FLAGS ("0"),
    },
    .ret = RETURN_ERR, .states = CONNECTED,
    .see_also = { "nbd_aio_pread", "nbd_pread_structured" },
  },
  {
    FN (pread_structured), .since = 0,
    .summary = "read from the export, seeing each piece arrive",
    .args = {
      BUFFER_OUT ("buf", "count"),
      UINT64 ("offset"),
      CLOSURE (chunk_closure),
      CMD_FLAGS ("LIBNBD_CMD_FLAG_DF"),
    },
    .ret = RETURN_ERR, .states = CONNECTED,
    .see_also = { "nbd_aio_pread_structured", "nbd_pread", "nbd_can_df" },
  },
  {
    FN (pwrite), .since = 0,
    .summary = "write to the export",
    .args = {
      BUFFER_IN ("buf", "count"),
      UINT64 ("offset"),
      CMD_FLAGS ("LIBNBD_CMD_FLAG_FUA | LIBNBD_CMD_FLAG_PAYLOAD_LEN"),
    },
    .ret = RETURN_ERR, .states = CONNECTED,
    .see_also = { "nbd_aio_pwrite", "nbd_pread", "nbd_flush", "nbd_can_fua" },
  },
  {
    FN (shutdown), .since = 0,
    .summary = "disconnect from the server",
    .args = { FLAGS ("flags", shutdown_flags, "LIBNBD_SHUTDOWN_MASK") },
    .ret = RETURN_ERR, .states = NEGOTIATING | CONNECTED,
    .see_also = { "nbd_aio_disconnect", "nbd_close" },
  },
  {
    FN (flush), .since = 0,
    .summary = "commit finished writes to permanent storage",
    .args = { CMD_FLAGS ("0") },
    .ret = RETURN_ERR, .states = CONNECTED,
    .see_also = { "nbd_aio_flush", "nbd_can_flush" },
  },
  {
    FN (trim), .since = 0,
    .summary = "tell the server that data is no longer needed",
    .args = {
      UINT64 ("count"),
      UINT64 ("offset"),
      CMD_FLAGS ("LIBNBD_CMD_FLAG_FUA"),
    },
    .ret = RETURN_ERR, .states = CONNECTED,
    .see_also = { "nbd_aio_trim", "nbd_can_trim" },
  },
  {
    FN (cache), .since = 0,
    .summary = "ask the server to prefetch data",
    .args = { UINT64 ("count"), UINT64 ("offset"), CMD_FLAGS ("0") },
    .ret = RETURN_ERR, .states = CONNECTED,
    .see_also = { "nbd_aio_cache", "nbd_can_cache" },
  },
  {
    FN (zero), .since = 0,
    .summary = "write zeroes to the export",
    .args = {
      UINT64 ("count"),
      UINT64 ("offset"),
      CMD_FLAGS ("LIBNBD_CMD_FLAG_FUA | LIBNBD_CMD_FLAG_NO_HOLE | "
                 "LIBNBD_CMD_FLAG_FAST_ZERO"),
    },
    .ret = RETURN_ERR, .states = CONNECTED,
    .see_also = { "nbd_aio_zero", "nbd_can_zero" },
  },
  {
    FN (block_status), .since = 0,
    .summary = "list extents, in numbers of 32 bits",
    .args = {
      UINT64 ("count"),
      UINT64 ("offset"),
      CLOSURE (extent_closure),
      CMD_FLAGS ("LIBNBD_CMD_FLAG_REQ_ONE"),
    },
    .ret = RETURN_ERR, .states = CONNECTED,
    .see_also = {
      "nbd_aio_block_status", "nbd_block_status_64", "nbd_add_meta_context",
      "nbd_can_meta_context",
    },
  },
  {
    FN (block_status_64), .since = 18,
    .summary = "list extents, in numbers of 64 bits",
    .args = {
      UINT64 ("count"),
      UINT64 ("offset"),
      CLOSURE (extent64_closure),
      CMD_FLAGS ("LIBNBD_CMD_FLAG_REQ_ONE"),
    },
    .ret = RETURN_ERR, .states = CONNECTED,
    .see_also = {
      "nbd_aio_block_status_64", "nbd_block_status", "nbd_block_status_filter",
      "nbd_add_meta_context",
    },
  },
  {
    FN (block_status_filter), .since = 18,
    .summary = "list extents of some of the meta contexts",
    .args = {
      UINT64 ("count"),
      UINT64 ("offset"),
      STRING_LIST ("contexts"),
      CLOSURE (extent64_closure),
      CMD_FLAGS ("LIBNBD_CMD_FLAG_REQ_ONE | LIBNBD_CMD_FLAG_PAYLOAD_LEN"),
    },
    .ret = RETURN_ERR, .states = CONNECTED,
    .see_also = {
      "nbd_aio_block_status_filter", "nbd_block_status_64",
      "nbd_can_block_status_payload",
    },
  },
  {
    FN (poll), .since = 0,
    .summary = "wait once until the connection makes progress",
    .args = { INT ("timeout") },
    .ret = RETURN_INT, .states = ANY,
    .see_also = { "nbd_poll2", "nbd_aio_get_direction" },
  },
  {
    FN (poll2), .since = 16,
    .summary = "wait for the connection or for another descriptor",
    .args = { FD ("fd"), INT ("timeout") },
    .ret = RETURN_INT, .states = ANY,
    .see_also = { "nbd_poll" },
  },
  {
    FN (aio_connect), .since = 0,
    .summary = "start connecting to a socket address",
    .args = { SOCKADDR ("addr", "addrlen") },
    .ret = RETURN_ERR, .states = CREATED,
    .async = ASYNC_CONNECT,
    .see_also = { "nbd_aio_connect_socket", "nbd_aio_is_connecting" },
  },
  {
    FN (aio_connect_uri), .since = 0,
    .summary = "start connecting to the server that a URI names",
    .args = { STRING ("uri") },
    .ret = RETURN_ERR, .states = CREATED,
    .async = ASYNC_CONNECT,
    .see_also = { "nbd_connect_uri" },
  },
  {
    FN (aio_connect_unix), .since = 0,
    .summary = "start connecting over a Unix domain socket",
    .args = { STRING ("unixsocket") },
    .ret = RETURN_ERR, .states = CREATED,
    .async = ASYNC_CONNECT,
    .see_also = { "nbd_connect_unix" },
  },
  {
    FN (aio_connect_vsock), .since = 2,
    .summary = "start connecting over vsock",
    .args = { UINT32 ("cid"), UINT32 ("port") },
    .ret = RETURN_ERR, .states = CREATED,
    .async = ASYNC_CONNECT,
    .see_also = { "nbd_connect_vsock" },
  },
  {
    FN (aio_connect_tcp), .since = 0,
    .summary = "start connecting over TCP",
    .args = { STRING ("hostname"), STRING ("port") },
    .ret = RETURN_ERR, .states = CREATED,
    .async = ASYNC_CONNECT,
    .see_also = { "nbd_connect_tcp" },
  },
  {
    FN (aio_connect_socket), .since = 2,
    .summary = "start negotiating over a socket of the caller",
    .args = { FD ("sock") },
    .ret = RETURN_ERR, .states = CREATED,
    .async = ASYNC_CONNECT,
    .see_also = { "nbd_connect_socket" },
  },
  {
    FN (aio_connect_command), .since = 0,
    .summary = "run a server and start speaking to it",
    .args = { STRING_LIST ("argv") },
    .ret = RETURN_ERR, .states = CREATED,
    .async = ASYNC_CONNECT,
    .see_also = { "nbd_connect_command" },
  },
  {
    FN (aio_connect_systemd_socket_activation), .since = 2,
    .summary = "run a server, pass it a socket and start connecting",
    .args = { STRING_LIST ("argv") },
    .ret = RETURN_ERR, .states = CREATED,
    .async = ASYNC_CONNECT,
    .see_also = { "nbd_connect_systemd_socket_activation" },
  },
  {
    FN (aio_opt_go), .since = 4,
    .summary = "start opening the chosen export",
    .args = { COMPLETION },
    .ret = RETURN_ERR, .states = NEGOTIATING,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_opt_go" },
  },
  {
    FN (aio_opt_abort), .since = 4,
    .summary = "start giving up the negotiation",
    .ret = RETURN_ERR, .states = NEGOTIATING,
    .async = ASYNC_CONNECT,
    .see_also = { "nbd_opt_abort" },
  },
  {
    FN (aio_opt_extended_headers), .since = 18,
    .summary = "start asking for extended headers",
    .args = { COMPLETION },
    .ret = RETURN_ERR, .states = NEGOTIATING,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_opt_extended_headers" },
  },
  {
    FN (aio_opt_starttls), .since = 16,
    .summary = "start asking for TLS",
    .args = { COMPLETION },
    .ret = RETURN_ERR, .states = NEGOTIATING,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_opt_starttls" },
  },
  {
    FN (aio_opt_structured_reply), .since = 16,
    .summary = "start asking for structured replies",
    .args = { COMPLETION },
    .ret = RETURN_ERR, .states = NEGOTIATING,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_opt_structured_reply" },
  },
  {
    FN (aio_opt_list), .since = 4,
    .summary = "start listing the exports",
    .args = { CLOSURE (list_closure), COMPLETION },
    .ret = RETURN_ERR, .states = NEGOTIATING,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_opt_list" },
  },
  {
    FN (aio_opt_info), .since = 4,
    .summary = "start asking about the chosen export",
    .args = { COMPLETION },
    .ret = RETURN_ERR, .states = NEGOTIATING,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_opt_info" },
  },
  {
    FN (aio_opt_list_meta_context), .since = 6,
    .summary = "start listing the matching meta contexts",
    .args = { CLOSURE (context_closure), COMPLETION },
    .ret = RETURN_INT, .states = NEGOTIATING,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_opt_list_meta_context" },
  },
  {
    FN (aio_opt_list_meta_context_queries), .since = 16,
    .summary = "start listing meta contexts by given queries",
    .args = { STRING_LIST ("queries"), CLOSURE (context_closure), COMPLETION },
    .ret = RETURN_INT, .states = NEGOTIATING,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_opt_list_meta_context_queries" },
  },
  {
    FN (aio_opt_set_meta_context), .since = 16,
    .summary = "start selecting the chosen meta contexts",
    .args = { CLOSURE (context_closure), COMPLETION },
    .ret = RETURN_INT, .states = NEGOTIATING,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_opt_set_meta_context" },
  },
  {
    FN (aio_opt_set_meta_context_queries), .since = 16,
    .summary = "start selecting meta contexts by given queries",
    .args = { STRING_LIST ("queries"), CLOSURE (context_closure), COMPLETION },
    .ret = RETURN_INT, .states = NEGOTIATING,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_opt_set_meta_context_queries" },
  },
  {
    FN (aio_pread), .since = 0,
    .summary = "start a read",
    .args = {
      BUFFER_OUT ("buf", "count"),
      UINT64 ("offset"),
      COMPLETION,
      CMD_FLAGS ("0"),
    },
    .ret = RETURN_COOKIE, .states = CONNECTED,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_pread" },
  },
  {
    FN (aio_pread_structured), .since = 0,
    .summary = "start a read, seeing each piece arrive",
    .args = {
      BUFFER_OUT ("buf", "count"),
      UINT64 ("offset"),
      CLOSURE (chunk_closure),
      COMPLETION,
      CMD_FLAGS ("LIBNBD_CMD_FLAG_DF"),
    },
    .ret = RETURN_COOKIE, .states = CONNECTED,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_pread_structured" },
  },
  {
    FN (aio_pwrite), .since = 0,
    .summary = "start a write",
    .args = {
      BUFFER_IN ("buf", "count"),
      UINT64 ("offset"),
      COMPLETION,
      CMD_FLAGS ("LIBNBD_CMD_FLAG_FUA | LIBNBD_CMD_FLAG_PAYLOAD_LEN"),
    },
    .ret = RETURN_COOKIE, .states = CONNECTED,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_pwrite" },
  },
  {
    FN (aio_disconnect), .since = 0,
    .summary = "start disconnecting from the server",
    .args = { CMD_FLAGS ("0") },
    .ret = RETURN_ERR, .states = CONNECTED,
    .async = ASYNC_CLOSE,
    .see_also = { "nbd_shutdown" },
  },
  {
    FN (aio_flush), .since = 0,
    .summary = "start a flush",
    .args = { COMPLETION, CMD_FLAGS ("0") },
    .ret = RETURN_COOKIE, .states = CONNECTED,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_flush" },
  },
  {
    FN (aio_trim), .since = 0,
    .summary = "start a trim",
    .args = {
      UINT64 ("count"),
      UINT64 ("offset"),
      COMPLETION,
      CMD_FLAGS ("LIBNBD_CMD_FLAG_FUA"),
    },
    .ret = RETURN_COOKIE, .states = CONNECTED,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_trim" },
  },
  {
    FN (aio_cache), .since = 0,
    .summary = "start a prefetch",
    .args = {
      UINT64 ("count"),
      UINT64 ("offset"),
      COMPLETION,
      CMD_FLAGS ("0"),
    },
    .ret = RETURN_COOKIE, .states = CONNECTED,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_cache" },
  },
  {
    FN (aio_zero), .since = 0,
    .summary = "start writing zeroes",
    .args = {
      UINT64 ("count"),
      UINT64 ("offset"),
      COMPLETION,
      CMD_FLAGS ("LIBNBD_CMD_FLAG_FUA | LIBNBD_CMD_FLAG_NO_HOLE | "
                 "LIBNBD_CMD_FLAG_FAST_ZERO"),
    },
    .ret = RETURN_COOKIE, .states = CONNECTED,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_zero" },
  },
  {
    FN (aio_block_status), .since = 0,
    .summary = "start listing extents, in numbers of 32 bits",
    .args = {
      UINT64 ("count"),
      UINT64 ("offset"),
      CLOSURE (extent_closure),
      COMPLETION,
      CMD_FLAGS ("LIBNBD_CMD_FLAG_REQ_ONE"),
    },
    .ret = RETURN_COOKIE, .states = CONNECTED,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_block_status" },
  },
  {
    FN (aio_block_status_64), .since = 18,
    .summary = "start listing extents, in numbers of 64 bits",
    .args = {
      UINT64 ("count"),
      UINT64 ("offset"),
      CLOSURE (extent64_closure),
      COMPLETION,
      CMD_FLAGS ("LIBNBD_CMD_FLAG_REQ_ONE"),
    },
    .ret = RETURN_COOKIE, .states = CONNECTED,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_block_status_64" },
  },
  {
    FN (aio_block_status_filter), .since = 18,
    .summary = "start listing extents of some of the meta contexts",
    .args = {
      UINT64 ("count"),
      UINT64 ("offset"),
      STRING_LIST ("contexts"),
      CLOSURE (extent64_closure),
      COMPLETION,
      CMD_FLAGS ("LIBNBD_CMD_FLAG_REQ_ONE | LIBNBD_CMD_FLAG_PAYLOAD_LEN"),
    },
    .ret = RETURN_COOKIE, .states = CONNECTED,
    .async = ASYNC_COMPLETION,
    .see_also = { "nbd_block_status_filter" },
  },
  {
    FN (aio_get_fd), .since = 0,
    .summary = "return the file descriptor to poll",
    .ret = RETURN_FD, .states = ANY,
    .see_also = { "nbd_aio_get_direction", "nbd_poll" },
  },
  {
    FN (aio_get_direction), .since = 0,
    .summary = "tell what to poll the file descriptor for",
    .ret = RETURN_UINT, .states = ANY, .never_fails = true, .no_lock = true,
    .see_also = {
      "nbd_aio_get_fd", "nbd_aio_notify_read", "nbd_aio_notify_write",
    },
  },
  {
    FN (aio_notify_read), .since = 0,
    .summary = "say that the file descriptor is readable",
    .ret = RETURN_ERR, .states = ANY,
    .see_also = { "nbd_aio_notify_write", "nbd_aio_get_direction" },
  },
  {
    FN (aio_notify_write), .since = 0,
    .summary = "say that the file descriptor is writable",
    .ret = RETURN_ERR, .states = ANY,
    .see_also = { "nbd_aio_notify_read", "nbd_aio_get_direction" },
  },
  {
    FN (aio_is_created), .since = 0,
    .summary = "tell whether the handle was only created so far",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true, .no_lock = true,
    .see_also = { "nbd_connection_state", "nbd_aio_get_direction" },
  },
  {
    FN (aio_is_connecting), .since = 0,
    .summary = "tell whether the connection is being made",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true, .no_lock = true,
    .see_also = { "nbd_connection_state", "nbd_aio_get_direction" },
  },
  {
    FN (aio_is_negotiating), .since = 4,
    .summary = "tell whether the handle waits for an option call",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true, .no_lock = true,
    .see_also = { "nbd_connection_state", "nbd_aio_get_direction" },
  },
  {
    FN (aio_is_ready), .since = 0,
    .summary = "tell whether all that was issued has been sent",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true, .no_lock = true,
    .see_also = { "nbd_connection_state", "nbd_aio_get_direction" },
  },
  {
    FN (aio_is_processing), .since = 0,
    .summary = "tell whether something waits to be sent",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true, .no_lock = true,
    .see_also = { "nbd_connection_state", "nbd_aio_get_direction" },
  },
  {
    FN (aio_is_dead), .since = 0,
    .summary = "tell whether the connection failed",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true, .no_lock = true,
    .see_also = { "nbd_connection_state", "nbd_aio_get_direction" },
  },
  {
    FN (aio_is_closed), .since = 0,
    .summary = "tell whether the connection was shut down",
    .ret = RETURN_BOOL, .states = ANY, .never_fails = true, .no_lock = true,
    .see_also = { "nbd_connection_state", "nbd_aio_get_direction" },
  },
  {
    FN (aio_command_completed), .since = 0,
    .summary = "ask whether a command is complete, and retire it",
    .args = { UINT64 ("cookie") },
    .ret = RETURN_BOOL, .states = ANY,
    .see_also = { "nbd_aio_peek_command_completed" },
  },
  {
    FN (aio_peek_command_completed), .since = 0,
    .summary = "find a command that is complete",
    .ret = RETURN_INT64, .states = ANY,
    .see_also = { "nbd_aio_command_completed" },
  },
  {
    FN (aio_in_flight), .since = 0,
    .summary = "count the commands that await a reply",
    .ret = RETURN_INT, .states = CONNECTED | CLOSED | DEAD,
    .see_also = { "nbd_aio_command_completed" },
  },
  {
    FN (connection_state), .since = 0,
    .summary = "describe the state of the connection in words",
    .ret = RETURN_STATIC_STRING, .states = ANY,
  },
  {
    FN (get_package_name), .since = 0,
    .summary = "return the name of the library",
    .ret = RETURN_STATIC_STRING, .states = ANY,
    .never_fails = true, .no_lock = true,
    .see_also = { "nbd_get_version" },
  },
  {
    FN (get_version), .since = 0,
    .summary = "return the version of the library",
    .ret = RETURN_STATIC_STRING, .states = ANY,
    .never_fails = true, .no_lock = true,
    .see_also = { "nbd_get_package_name", "nbd_get_version_extra" },
  },
  {
    FN (kill_subprocess), .since = 0,
    .summary = "send a signal to the server that was started",
    .args = { INT ("signum") },
    .ret = RETURN_ERR, .states = ANY,
    .see_also = { "nbd_get_subprocess_pid", "nbd_connect_command" },
  },
  {
    FN (get_subprocess_pid), .since = 22,
    .summary = "return the process id of the server that was started",
    .ret = RETURN_INT64, .states = ANY,
    .see_also = { "nbd_kill_subprocess", "nbd_connect_command" },
  },
  {
    FN (supports_tls), .since = 0,
    .summary = "tell whether the library can use TLS",
    .ret = RETURN_BOOL, .states = ANY,
    .never_fails = true, .no_lock = true,
    .see_also = { "nbd_set_tls" },
  },
  {
    FN (supports_vsock), .since = 16,
    .summary = "tell whether the library can use vsock",
    .ret = RETURN_BOOL, .states = ANY,
    .never_fails = true, .no_lock = true,
    .see_also = { "nbd_connect_vsock" },
  },
  {
    FN (supports_uri), .since = 0,
    .summary = "tell whether the library understands URIs",
    .ret = RETURN_BOOL, .states = ANY,
    .never_fails = true, .no_lock = true,
    .see_also = { "nbd_connect_uri" },
  },
  {
    FN (get_uri), .since = 8,
    .summary = "return a URI that leads to the same export",
    .ret = RETURN_STRING,
    .states = CONNECTING | NEGOTIATING | CONNECTED | CLOSED | DEAD,
    .see_also = { "nbd_connect_uri" },
  },
  {
    FN (is_uri), .since = 22,
    .summary = "tell whether a string looks like an NBD URI",
    .args = { STRING ("uri") },
    .ret = RETURN_BOOL, .states = ANY,
    .see_also = { "nbd_connect_uri", "nbd_get_uri" },
  },
  {
    FN (get_version_extra), .since = 24,
    .summary = "return the version suffix chosen by the packager",
    .ret = RETURN_STATIC_STRING, .states = ANY,
    .never_fails = true, .no_lock = true,
    .see_also = { "nbd_get_version" },
  },
  {
    FN (get_handle_size), .since = 24,
    .summary = "estimate the memory that the handle holds",
    .ret = RETURN_SSIZE, .states = ANY,
  },
  {
    FN (add_close_callback), .since = 26,
    .summary = "call a function when the handle is closed",
    .args = { CLOSURE (close_closure) },
    .ret = RETURN_ERR, .states = ANY,
  },
  {
    FN (set_keepalive), .since = 26,
    .summary = "choose whether TCP keepalive is used",
    .args = { BOOL ("enable") },
    .ret = RETURN_ERR, .states = CREATED,
    .set_field = "keepalive",
    .see_also = { "nbd_set_tcp_option", "nbd_connect_tcp" },
  },
  {
    FN (set_tcp_option), .since = 26,
    .summary = "set an option of TCP sockets",
    .args = { INT ("option"), INT ("v") },
    .ret = RETURN_ERR, .states = CREATED,
    .see_also = { "nbd_set_keepalive", "nbd_connect_tcp" },
  },
};

const struct api api = {
  .functions = functions, .nr_functions = COUNT (functions),
  .closures = closures, .nr_closures = COUNT (closures),
  .sets = sets, .nr_sets = COUNT (sets),
  .structs = structs, .nr_structs = COUNT (structs),
  .release = 26,
};
