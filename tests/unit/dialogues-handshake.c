/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dialogues without opt mode, from the greeting until commands can be sent or
 * the client gives up.
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "dialogue.h"

#define EXPORT_INFO INFO_EXPORT (7, 0x100000, 0x0dfd)

/* Setups. */

/* The first option is the one that chooses the export. */
static void
nothing_asked (struct nbd_handle *h)
{
  nbd_set_request_structured_replies (h, false);
}

static void
no_extended_headers (struct nbd_handle *h)
{
  nbd_set_request_extended_headers (h, false);
}

static void
no_handshake_flags (struct nbd_handle *h)
{
  nbd_set_handshake_flags (h, 0);
}

#ifdef HAVE_GNUTLS
static void
allow_tls (struct nbd_handle *h)
{
  nbd_set_tls (h, LIBNBD_TLS_ALLOW);
}

static void
require_tls (struct nbd_handle *h)
{
  nbd_set_tls (h, LIBNBD_TLS_REQUIRE);
}

static void
require_tls_without_flags (struct nbd_handle *h)
{
  require_tls (h);
  no_handshake_flags (h);
}
#endif

static void
only_fixed_newstyle (struct nbd_handle *h)
{
  nbd_set_handshake_flags (h, LIBNBD_HANDSHAKE_FLAG_FIXED_NEWSTYLE);
  nothing_asked (h);
}

static void
only_no_zeroes (struct nbd_handle *h)
{
  nbd_set_handshake_flags (h, LIBNBD_HANDSHAKE_FLAG_NO_ZEROES);
}

static void
export_disk (struct nbd_handle *h)
{
  nbd_set_export_name (h, "disk");
  nothing_asked (h);
}

/* The longest name. */
static const char *
long_name (void)
{
  static char name[4096 + 1];

  memset (name, 'n', sizeof name - 1);
  return name;
}

static void
export_long_name (struct nbd_handle *h)
{
  nbd_set_export_name (h, long_name ());
  nothing_asked (h);
}

static void
all_info (struct nbd_handle *h)
{
  nbd_set_full_info (h, true);
  nothing_asked (h);
}

static void
no_info (struct nbd_handle *h)
{
  nbd_set_request_block_size (h, false);
  nothing_asked (h);
}

static void
all_but_block_size (struct nbd_handle *h)
{
  nbd_set_full_info (h, true);
  no_info (h);
}

static void
base_allocation (struct nbd_handle *h)
{
  nbd_add_meta_context (h, "base:allocation");
}

static void
base_allocation_only_structured (struct nbd_handle *h)
{
  base_allocation (h);
  no_extended_headers (h);
}

static void
base_allocation_without_structured (struct nbd_handle *h)
{
  base_allocation (h);
  nothing_asked (h);
}

static void
base_allocation_not_requested (struct nbd_handle *h)
{
  base_allocation_only_structured (h);
  nbd_set_request_meta_context (h, false);
}

static void
three_contexts (struct nbd_handle *h)
{
  nbd_set_export_name (h, "disk");
  base_allocation_only_structured (h);
  nbd_add_meta_context (h, "x-a:b");
  nbd_add_meta_context (h, "qemu:");
}

static void
long_names (struct nbd_handle *h)
{
  nbd_set_export_name (h, long_name ());
  nbd_add_meta_context (h, long_name ());
  no_extended_headers (h);
}

/* Checks. */

static void
check_oldstyle (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 1048576);
  CHECK (p, strcmp (nbd_get_protocol (p->h), "oldstyle") == 0);
  CHECK (p, nbd_is_read_only (p->h) == 0);
  CHECK (p, nbd_can_flush (p->h) == 1);
  CHECK (p, nbd_can_df (p->h) == 0);
  CHECK (p, nbd_get_structured_replies_negotiated (p->h) == 0);
}

static void
check_no_feature (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 0);
  CHECK (p, nbd_is_read_only (p->h) == 1);
  CHECK (p, nbd_can_flush (p->h) == 0);
  CHECK (p, nbd_can_fua (p->h) == 0);
  CHECK (p, nbd_is_rotational (p->h) == 0);
  CHECK (p, nbd_can_trim (p->h) == 0);
  CHECK (p, nbd_can_zero (p->h) == 0);
  CHECK (p, nbd_can_fast_zero (p->h) == 0);
  CHECK (p, nbd_can_block_status_payload (p->h) == 0);
  CHECK (p, nbd_can_df (p->h) == 0);
  CHECK (p, nbd_can_multi_conn (p->h) == 0);
  CHECK (p, nbd_can_cache (p->h) == 0);
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == 0);
}

static void
check_newstyle (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 512);
  CHECK (p, strcmp (nbd_get_protocol (p->h), "newstyle") == 0);
  CHECK (p, nbd_get_structured_replies_negotiated (p->h) == 0);
  CHECK (p, nbd_get_extended_headers_negotiated (p->h) == 0);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_MINIMUM) == 0);
}

/* Whether there is no string; it is freed. */
static bool
is_missing (char *string)
{
  bool missing = string == NULL;

  free (string);
  return missing;
}

/* EXPORT_NAME in the fixed newstyle protocol. */
static void
check_fallback (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 512);
  CHECK (p, strcmp (nbd_get_protocol (p->h), "newstyle-fixed") == 0);
  CHECK (p, nbd_is_read_only (p->h) == 1);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_MINIMUM) == 0);
  CHECK (p, is_missing (nbd_get_canonical_export_name (p->h)));
}

static void
check_fallback_structured (struct play *p)
{
  check_fallback (p);
  CHECK (p, nbd_get_structured_replies_negotiated (p->h) == 1);
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == 1);
}

static void
check_simple (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 1048576);
  CHECK (p, strcmp (nbd_get_protocol (p->h), "newstyle-fixed") == 0);
  CHECK (p, nbd_get_structured_replies_negotiated (p->h) == 0);
  CHECK (p, nbd_get_extended_headers_negotiated (p->h) == 0);
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == 0);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_MINIMUM) == 0);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_PREFERRED) == 0);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_MAXIMUM) == 0);
  CHECK (p, nbd_aio_is_ready (p->h) == 1);
  CHECK (p, nbd_aio_get_direction (p->h) == LIBNBD_AIO_DIRECTION_READ);
}

static void
check_structured (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 1048576);
  CHECK (p, nbd_get_structured_replies_negotiated (p->h) == 1);
  CHECK (p, nbd_get_extended_headers_negotiated (p->h) == 0);
  CHECK (p, nbd_can_df (p->h) == 1);
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == 0);
}

static void
check_extended (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 1048576);
  CHECK (p, strcmp (nbd_get_protocol (p->h), "newstyle-fixed") == 0);
  CHECK (p, nbd_get_extended_headers_negotiated (p->h) == 1);
  CHECK (p, nbd_get_structured_replies_negotiated (p->h) == 1);
  CHECK (p, nbd_can_df (p->h) == 1);
  CHECK (p, nbd_can_block_status_payload (p->h) == 1);
}

/* Every flag that the greeting's features allow is believed. */
static void
check_all_flags (struct play *p)
{
  CHECK (p, nbd_is_read_only (p->h) == 1);
  CHECK (p, nbd_can_flush (p->h) == 1);
  CHECK (p, nbd_can_fua (p->h) == 1);
  CHECK (p, nbd_is_rotational (p->h) == 1);
  CHECK (p, nbd_can_trim (p->h) == 1);
  CHECK (p, nbd_can_zero (p->h) == 1);
  CHECK (p, nbd_can_fast_zero (p->h) == 1);
  CHECK (p, nbd_can_multi_conn (p->h) == 1);
  CHECK (p, nbd_can_cache (p->h) == 1);
  CHECK (p, nbd_can_df (p->h) ==
         nbd_get_structured_replies_negotiated (p->h));
  CHECK (p, nbd_can_block_status_payload (p->h) ==
         nbd_get_extended_headers_negotiated (p->h));
}

static void
check_no_fast_zero (struct play *p)
{
  CHECK (p, nbd_can_zero (p->h) == 0);
  CHECK (p, nbd_can_fast_zero (p->h) == 0);
  CHECK (p, nbd_can_cache (p->h) == 1);
}

static void
check_largest_size (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == INT64_MAX);
}

static void
check_size_too_large (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == -1);
  CHECK (p, nbd_get_errno () == EOVERFLOW);
  CHECK (p, nbd_can_flush (p->h) == 1);
}

#ifdef HAVE_GNUTLS
static void
check_plain (struct play *p)
{
  CHECK (p, nbd_get_tls_negotiated (p->h) == 0);
  CHECK (p, nbd_get_structured_replies_negotiated (p->h) == 1);
  CHECK (p, nbd_get_size (p->h) == 1048576);
}

static void
check_not_supported (struct play *p)
{
  CHECK (p, nbd_get_errno () == ENOTSUP);
  CHECK (p, nbd_aio_is_dead (p->h) == 1);
  CHECK (p, nbd_get_size (p->h) == -1);
}
#endif

/* Whether STRING, which is freed, is WANTED. */
static bool
is_string (char *string, const char *wanted)
{
  bool same = string && strcmp (string, wanted) == 0;

  free (string);
  return same;
}

static void
check_names (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 1048576);
  CHECK (p, is_string (nbd_get_canonical_export_name (p->h), "disk"));
  CHECK (p, is_string (nbd_get_export_description (p->h), "Disk"));
  CHECK (p, is_string (nbd_get_export_name (p->h), ""));
}

static void
check_empty_names (struct play *p)
{
  CHECK (p, is_string (nbd_get_canonical_export_name (p->h), ""));
  CHECK (p, is_string (nbd_get_export_description (p->h), ""));
}

static void
check_long_names (struct play *p)
{
  CHECK (p, is_string (nbd_get_canonical_export_name (p->h), long_name ()));
  CHECK (p, is_string (nbd_get_export_description (p->h), long_name ()));
}

static void
check_no_names (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 1048576);
  CHECK (p, is_missing (nbd_get_canonical_export_name (p->h)));
  CHECK (p, nbd_get_errno () == ENOTSUP);
  CHECK (p, is_missing (nbd_get_export_description (p->h)));
  CHECK (p, nbd_get_errno () == ENOTSUP);
}

/* The sizes that the dialogue's name tells. */
static void
check_block_sizes (struct play *p)
{
  unsigned minimum = 0, preferred = 0, maximum = 0;

  CHECK (p, sscanf (p->dialogue->name, "block sizes %u, %u, %u ", &minimum,
                    &preferred, &maximum) == 3);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_MINIMUM) == minimum);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_PREFERRED) == preferred);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_MAXIMUM) == maximum);
  CHECK (p, nbd_get_size (p->h) == 1048576);
}

static void
check_one_context (struct play *p)
{
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == 1);
  CHECK (p, nbd_can_meta_context (p->h, "base:alloc") == 0);
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation2") == 0);
  CHECK (p, nbd_can_meta_context (p->h, "") == 0);
}

static void
check_two_of_three_contexts (struct play *p)
{
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == 1);
  CHECK (p, nbd_can_meta_context (p->h, "x-a:b") == 0);
  CHECK (p, nbd_can_meta_context (p->h, "qemu:") == 0);
  CHECK (p, nbd_can_meta_context (p->h, "qemu:depth") == 1);
  CHECK (p, nbd_get_nr_meta_contexts (p->h) == 3);
}

static void
check_long_context (struct play *p)
{
  CHECK (p, nbd_can_meta_context (p->h, long_name ()) == 1);
}

/* Parts of the transcripts. */

#define STRUCTURED_GREETING                             \
  SERVER (GREETING),                                    \
  CLIENT (CLIENT_FLAGS OPT_STRUCTURED),                 \
  SERVER (ACK (8))

/* What follows the choice of the export when nothing else was asked. */
#define AFTER_GO(...)                                                   \
  .setup = nothing_asked,                                               \
  .steps = {                                                            \
    SERVER (GREETING),                                                  \
    CLIENT (CLIENT_FLAGS OPT_GO),                                       \
    __VA_ARGS__                                                         \
  }

/* Whatever the server says against it, the client goes on without. */
#define EXTENDED_REFUSED(reason, type)                                  \
  {                                                                     \
    .name = "extended headers refused: " reason,                        \
    .steps = {                                                          \
      SERVER (GREETING),                                                \
      CLIENT (CLIENT_FLAGS OPT_EXTENDED),                               \
      SERVER (REFUSE (11, type)),                                       \
      CLIENT (OPT_STRUCTURED),                                          \
      SERVER (ACK (8)),                                                 \
      CLIENT (OPT_GO),                                                  \
      SERVER (EXPORT_INFO ACK (7)),                                     \
    },                                                                  \
    .state = "READY", .check = check_structured,                        \
  }

#define STRUCTURED_REFUSED(reason, type)                                \
  {                                                                     \
    .name = "structured replies refused: " reason,                      \
    .setup = base_allocation_only_structured,                           \
    .steps = {                                                          \
      SERVER (GREETING),                                                \
      CLIENT (CLIENT_FLAGS OPT_STRUCTURED),                             \
      SERVER (REFUSE_TEXT (8, type)),                                   \
      CLIENT (OPT_GO),                                                  \
      SERVER (EXPORT_INFO ACK (7)),                                     \
    },                                                                  \
    .state = "READY", .check = check_simple,                            \
  }

/* The export is there, if without contexts; those that came before the error
 * do not count.
 */
#define CONTEXTS_REFUSED(reason, type)                                  \
  {                                                                     \
    .name = "meta contexts refused: " reason,                           \
    .setup = base_allocation_only_structured,                           \
    .steps = {                                                          \
      STRUCTURED_GREETING,                                              \
      CLIENT (OPT_SET_META),                                            \
      SERVER (REFUSE (10, type)),                                       \
      CLIENT (OPT_GO),                                                  \
      SERVER (EXPORT_INFO ACK (7)),                                     \
    },                                                                  \
    .state = "READY", .check = check_structured,                        \
  },                                                                    \
  {                                                                     \
    .name = "meta contexts refused after one of them: " reason,         \
    .setup = base_allocation_only_structured,                           \
    .steps = {                                                          \
      STRUCTURED_GREETING,                                              \
      CLIENT (OPT_SET_META),                                            \
      SERVER (META_REPLY (7) REFUSE_TEXT (10, type)),                   \
      CLIENT (OPT_GO),                                                  \
      SERVER (EXPORT_INFO ACK (7)),                                     \
    },                                                                  \
    .state = "READY", .check = check_structured,                        \
  }

/* There is no other export to be had: the client says goodbye. */
#define GO_FAILED "handshake: NBD_OPT_GO: export \"\": "
#define GO_REFUSED(reason, type, text, errno_text)                      \
  {                                                                     \
    .name = "GO refused: " reason,                                      \
    AFTER_GO (SERVER (REFUSE (7, type)), CLIENT (OPT_ABORT)),           \
    .state = "DEAD",                                                    \
    .error = GO_FAILED text ": " errno_text,                            \
  },                                                                    \
  {                                                                     \
    .name = "GO refused with a message after information: " reason,     \
    AFTER_GO (SERVER (EXPORT_INFO REFUSE_TEXT (7, type)),               \
              CLIENT (OPT_ABORT)),                                      \
    .state = "DEAD",                                                    \
    .error = GO_FAILED text ": because: " errno_text,                   \
  }

/* Sizes that make sense are taken; others are as if none had been sent. */
#define BLOCK_SIZES(minimum, preferred, maximum)                        \
  {                                                                     \
    .name = "block sizes " #minimum ", " #preferred ", " #maximum       \
      " are taken",                                                     \
    AFTER_GO (SERVER (INFO_BLOCK_SIZE (7, minimum, preferred, maximum)  \
                      EXPORT_INFO ACK (7))),                            \
    .state = "READY", .check = check_block_sizes,                       \
  }

#define BAD_BLOCK_SIZES(why, minimum, preferred, maximum)               \
  {                                                                     \
    .name = "block sizes 0, 0, 0 in place of " #minimum ", " #preferred \
      ", " #maximum ": " why,                                           \
    AFTER_GO (SERVER (INFO_BLOCK_SIZE (7, minimum, preferred, maximum)  \
                      EXPORT_INFO ACK (7))),                            \
    .state = "READY", .check = check_block_sizes,                       \
  }

/* Replies that break the protocol: nothing more is said. */
#define BROKEN(what, message, reply)                                    \
  {                                                                     \
    .name = "broken reply to GO: " what,                                \
    AFTER_GO (SERVER (reply)),                                          \
    .state = "DEAD", .error = "handshake: " message,                    \
  }

#define INVALID_REPLY(type) "invalid reply of type " #type " to NBD_OPT_GO"
#define INVALID_STRING "invalid string in reply to NBD_OPT_GO: Protocol error"

#define BROKEN_CONTEXT(what, message, reply)                            \
  {                                                                     \
    .name = "broken reply to SET_META_CONTEXT: " what,                  \
    .setup = base_allocation_only_structured,                           \
    .steps = {                                                          \
      STRUCTURED_GREETING,                                              \
      CLIENT (OPT_SET_META),                                            \
      SERVER (reply),                                                   \
    },                                                                  \
    .state = "DEAD", .error = "handshake: " message,                    \
  }

/* Whatever the reason for which a server refuses TLS: without it the handshake
 * goes on, or it is over.
 */
#define OPT_STARTTLS "'IHAVEOPT' u32:5 u32:0 "
#define REQUIRED "but handle TLS setting is 'require' (2)"
#define PLAIN_AFTER(...)                                                \
  .steps = {                                                            \
    SERVER (GREETING),                                                  \
    CLIENT (CLIENT_FLAGS OPT_STARTTLS),                                 \
    __VA_ARGS__,                                                        \
    CLIENT (OPT_EXTENDED),                                              \
    SERVER (UNSUP (11)),                                                \
    CLIENT (OPT_STRUCTURED),                                            \
    SERVER (ACK (8)),                                                   \
    CLIENT (OPT_GO),                                                    \
    SERVER (EXPORT_INFO ACK (7)),                                       \
  },                                                                    \
  .state = "READY", .check = check_plain

#define TLS_REFUSED(reason, type)                                       \
  {                                                                     \
    .name = "TLS is allowed and refused: " reason,                      \
    .setup = allow_tls,                                                 \
    PLAIN_AFTER (SERVER (REFUSE (5, type))),                            \
  },                                                                    \
  {                                                                     \
    .name = "TLS is allowed and refused with a message: " reason,       \
    .setup = allow_tls,                                                 \
    PLAIN_AFTER (SERVER (REFUSE_TEXT (5, type))),                       \
  },                                                                    \
  {                                                                     \
    .name = "TLS is required and refused: " reason,                     \
    .setup = require_tls,                                               \
    .steps = {                                                          \
      SERVER (GREETING),                                                \
      CLIENT (CLIENT_FLAGS OPT_STARTTLS),                               \
      SERVER (REFUSE (5, type)),                                        \
      CLIENT (OPT_ABORT),                                               \
    },                                                                  \
    .state = "DEAD", .check = check_not_supported,                      \
    .error = "handshake: server refused TLS, " REQUIRED                 \
      ": Operation not supported",                                      \
  },                                                                    \
  {                                                                     \
    .name = "TLS is required and refused with a message: " reason,      \
    .setup = require_tls,                                               \
    .steps = {                                                          \
      SERVER (GREETING),                                                \
      CLIENT (CLIENT_FLAGS OPT_STARTTLS),                               \
      SERVER (REFUSE_TEXT (5, type)),                                   \
      CLIENT (OPT_ABORT),                                               \
    },                                                                  \
    .state = "DEAD", .check = check_not_supported,                      \
    .error = "handshake: server refused TLS, " REQUIRED                 \
      ": because: Operation not supported",                             \
  }

/* Where TLS cannot be asked for. */
#define TLS_IMPOSSIBLE(what, to_setup, words, ...)                      \
  {                                                                     \
    .name = "TLS is required: " what, .setup = to_setup,                \
    .steps = { __VA_ARGS__ },                                           \
    .state = "DEAD", .check = check_not_supported,                      \
    .error = "handshake: server is " words ", " REQUIRED                \
      ": Operation not supported",                                      \
  }

/* An answer that is none. */
#define BROKEN_STARTTLS(what, message, reply)                           \
  {                                                                     \
    .name = "broken reply to STARTTLS: " what,                          \
    .setup = allow_tls,                                                 \
    .steps = {                                                          \
      SERVER (GREETING),                                                \
      CLIENT (CLIENT_FLAGS OPT_STARTTLS),                               \
      SERVER (reply),                                                   \
    },                                                                  \
    .state = "DEAD", .error = "handshake: " message,                    \
  }

/* The server goes away where more was due. */
#define CLOSED_EARLY "recv: server disconnected unexpectedly"

/* A long message of the server. */
#define M_50 "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"

const struct dialogue handshake_dialogues[] = {
  /* The greeting. */
  {
    .name = "oldstyle",
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:1048576 u32:5 x124:00"),
    },
    .state = "READY", .check = check_oldstyle,
  },
  {
    .name = "oldstyle, what is reserved is not looked at",
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:1048576 u32:0x85 x124:ff"),
    },
    .state = "READY", .check = check_oldstyle,
  },
  {
    .name = "oldstyle, empty and without features",
    .setup = base_allocation,
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:0 u32:3 x124:00"),
    },
    .state = "READY", .check = check_no_feature,
  },
  {
    .name = "oldstyle, all flags",
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:512 u32:0xffff x124:00"),
    },
    .state = "READY", .check = check_all_flags,
  },
  {
    .name = "oldstyle, a size above INT64_MAX",
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:0x8000000000000000 u32:5 "
              "x124:00"),
    },
    .state = "READY", .check = check_size_too_large,
  },
  {
    .name = "oldstyle, no transmission flags",
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:512 u32:0 x124:00"),
    },
    .state = "DEAD",
    .error = "handshake: invalid eflags == 0 from server: Invalid argument",
  },
  {
    .name = "oldstyle, flags of newstyle",
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:512 u32:0x10001 x124:00"),
    },
    .state = "DEAD",
    .error = "handshake: oldstyle server should not set gflags",
  },
  {
    .name = "newstyle without fixed",
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0"),
      CLIENT ("u32:0 'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:1 x124:00"),
    },
    .state = "READY", .check = check_newstyle,
  },
  {
    .name = "newstyle without fixed and without zeroes",
    .setup = base_allocation,
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:2"),
      CLIENT ("u32:2 'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:1"),
    },
    .state = "READY", .check = check_newstyle,
  },
  {
    .name = "newstyle without fixed, with a name",
    .setup = export_disk,
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0"),
      CLIENT ("u32:0 'IHAVEOPT' u32:1 u32:4 'disk'"),
      SERVER ("u64:512 u16:1 x124:00"),
    },
    .state = "READY", .check = check_newstyle,
  },
  {
    .name = "newstyle without fixed, with a name of 4096 bytes",
    .setup = export_long_name,
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:2"),
      CLIENT ("u32:2 'IHAVEOPT' u32:1 u32:4096 x4096:6e"),
      SERVER ("u64:512 u16:1"),
    },
    .state = "READY", .check = check_newstyle,
  },
  {
    .name = "newstyle without fixed, no transmission flags",
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:2"),
      CLIENT ("u32:2 'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:0"),
    },
    .state = "DEAD",
    .error = "handshake: invalid eflags == 0 from server: Invalid argument",
  },
  {
    .name = "unknown handshake flags are not sent back, newstyle",
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0xfffc"),
      CLIENT ("u32:0 'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:1 x124:00"),
    },
    .state = "READY", .check = check_newstyle,
  },
  {
    .name = "unknown handshake flags are not sent back, fixed newstyle",
    .setup = nothing_asked,
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0xffff"),
      CLIENT ("u32:3" OPT_GO),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_simple,
  },
  {
    .name = "handshake flags switched off",
    .setup = no_handshake_flags,
    .steps = {
      SERVER (GREETING),
      CLIENT ("u32:0 'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:1 x124:00"),
    },
    .state = "READY", .check = check_newstyle,
  },
  {
    .name = "handshake flag NO_ZEROES alone",
    .setup = only_no_zeroes,
    .steps = {
      SERVER (GREETING),
      CLIENT ("u32:2 'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:1"),
    },
    .state = "READY", .check = check_newstyle,
  },
  {
    .name = "handshake flag FIXED_NEWSTYLE alone",
    .setup = only_fixed_newstyle,
    .steps = {
      SERVER (GREETING),
      CLIENT ("u32:1" OPT_GO),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_simple,
  },
  {
    .name = "not a server of NBD",
    .steps = { SERVER ("'HTTP/1.1' '400BadReq'") },
    .state = "DEAD",
    .error = "handshake: server did not send expected NBD magic",
  },
  {
    .name = "not a server of NBD, though it goes on like one",
    .steps = { SERVER ("'NBDMAGIK' 'IHAVEOPT' u16:3") },
    .state = "DEAD",
    .error = "handshake: server did not send expected NBD magic",
  },
  {
    .name = "neither oldstyle nor newstyle",
    .steps = { SERVER ("'NBDMAGIC' 'IHAVENOT' u16:3") },
    .state = "DEAD",
    .error = "handshake: server is not either an oldstyle or fixed newstyle "
      "NBD server",
  },

#ifdef HAVE_GNUTLS
  /* TLS, where there is none; tests/unit/test-tls.c has what follows when
   * there is.
   */
  TLS_REFUSED ("unsupported", ERR_UNSUP),
  TLS_REFUSED ("policy", ERR_POLICY),
  TLS_REFUSED ("invalid", ERR_INVALID),
  TLS_REFUSED ("platform", ERR_PLATFORM),
  TLS_REFUSED ("TLS is required", ERR_TLS_REQD),
  TLS_REFUSED ("unknown", ERR_UNKNOWN),
  TLS_REFUSED ("shutting down", ERR_SHUTDOWN),
  TLS_REFUSED ("block sizes are required", ERR_BLOCK_SIZE_REQD),
  TLS_REFUSED ("too big", ERR_TOO_BIG),
  TLS_REFUSED ("extended headers are required", ERR_EXT_HEADER_REQD),
  TLS_REFUSED ("an error of a later time", ERR_77),
  TLS_IMPOSSIBLE ("oldstyle", require_tls, "oldstyle",
                  SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:1048576 "
                          "u32:5 x124:00")),
  TLS_IMPOSSIBLE ("newstyle without fixed", require_tls,
                  "not using fixed newstyle",
                  SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0")),
  TLS_IMPOSSIBLE ("newstyle without fixed and without zeroes", require_tls,
                  "not using fixed newstyle",
                  SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:2")),
  TLS_IMPOSSIBLE ("handshake flags switched off", require_tls_without_flags,
                  "not using fixed newstyle", SERVER (GREETING)),
  {
    .name = "TLS is allowed: oldstyle",
    .setup = allow_tls,
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:1048576 u32:5 x124:00"),
    },
    .state = "READY", .check = check_oldstyle,
  },
  {
    .name = "TLS is allowed: newstyle without fixed",
    .setup = allow_tls,
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0"),
      CLIENT ("u32:0 'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:1 x124:00"),
    },
    .state = "READY", .check = check_newstyle,
  },
  BROKEN_STARTTLS ("an acknowledgement with a payload",
                   "invalid NBD_REP_ACK option reply length",
                   REPLY (5, 1, 4) "u32:0"),
  BROKEN_STARTTLS ("an acknowledgement that announces all there can be",
                   "invalid NBD_REP_ACK option reply length",
                   REPLY (5, 1, 0xffffffff)),
  BROKEN_STARTTLS ("for another option", "option reply is for option 11, not "
                   "NBD_OPT_STARTTLS", ACK (11)),
  BROKEN_STARTTLS ("information", "invalid reply of type 3 to "
                   "NBD_OPT_STARTTLS", INFO_EXPORT (5, 512, 1)),
  BROKEN_STARTTLS ("no magic number", "invalid option reply magic",
                   "'IHAVEOPT' u32:5 u32:1 u32:0"),
  BROKEN_STARTTLS ("an error message of 4097 bytes",
                   "option error string too long",
                   REPLY (5, 0x80000001, 4097)),
  {
    .name = "TLS is allowed: the server closes when it is asked",
    .setup = allow_tls,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_STARTTLS),
      SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "TLS is required: the server closes when it is asked",
    .setup = require_tls,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_STARTTLS),
      SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
  },
#endif

  /* Features that the server takes or leaves. */
  {
    .name = "fixed newstyle with extended headers",
    .steps = { EXTENDED_HANDSHAKE },
    .state = "READY", .check = check_extended,
  },
  {
    .name = "fixed newstyle with structured replies",
    .steps = { STRUCTURED_HANDSHAKE },
    .state = "READY", .check = check_structured,
  },
  {
    .name = "fixed newstyle with simple replies",
    .steps = { SIMPLE_HANDSHAKE },
    .state = "READY", .check = check_simple,
  },
  {
    .name = "extended headers not asked for",
    .setup = no_extended_headers,
    .steps = {
      STRUCTURED_GREETING,
      CLIENT (OPT_GO),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_structured,
  },
  {
    .name = "structured replies, and so extended headers, not asked for",
    AFTER_GO (SERVER (EXPORT_INFO ACK (7))),
    .state = "READY", .check = check_simple,
  },
  {
    .name = "extended headers refused with a message",
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_EXTENDED),
      SERVER (REFUSE_TEXT (11, ERR_UNSUP)),
      CLIENT (OPT_STRUCTURED),
      SERVER (ACK (8)),
      CLIENT (OPT_GO),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_structured,
  },
  EXTENDED_REFUSED ("POLICY", ERR_POLICY),
  EXTENDED_REFUSED ("INVALID", ERR_INVALID),
  EXTENDED_REFUSED ("PLATFORM", ERR_PLATFORM),
  EXTENDED_REFUSED ("TLS_REQD", ERR_TLS_REQD),
  EXTENDED_REFUSED ("SHUTDOWN", ERR_SHUTDOWN),
  EXTENDED_REFUSED ("TOO_BIG", ERR_TOO_BIG),
  EXTENDED_REFUSED ("an unknown error", ERR_77),
  STRUCTURED_REFUSED ("UNSUP", ERR_UNSUP),
  STRUCTURED_REFUSED ("POLICY", ERR_POLICY),
  STRUCTURED_REFUSED ("INVALID", ERR_INVALID),
  STRUCTURED_REFUSED ("PLATFORM", ERR_PLATFORM),
  STRUCTURED_REFUSED ("TLS_REQD", ERR_TLS_REQD),
  STRUCTURED_REFUSED ("SHUTDOWN", ERR_SHUTDOWN),
  STRUCTURED_REFUSED ("TOO_BIG", ERR_TOO_BIG),
  STRUCTURED_REFUSED ("EXT_HEADER_REQD", ERR_EXT_HEADER_REQD),
  STRUCTURED_REFUSED ("an unknown error", ERR_77),

  /* Meta contexts. */
  {
    .name = "a meta context with structured replies",
    .setup = base_allocation,
    .steps = { STRUCTURED_META_HANDSHAKE },
    .state = "READY", .check = check_one_context,
  },
  {
    .name = "a meta context with extended headers",
    .setup = base_allocation,
    .steps = { EXTENDED_META_HANDSHAKE },
    .state = "READY", .check = check_one_context,
  },
  {
    .name = "meta contexts, of which one is granted and one was not asked for",
    .setup = three_contexts,
    .steps = {
      STRUCTURED_GREETING,
      CLIENT ("'IHAVEOPT' u32:10 u32:49 u32:4 'disk' u32:3 "
              "u32:15 'base:allocation' u32:5 'x-a:b' u32:5 'qemu:'"),
      SERVER (REPLY (10, 4, 14) "u32:0xffffffff 'qemu:depth' "
              META_REPLY (0) ACK (10)),
      CLIENT ("'IHAVEOPT' u32:7 u32:12 u32:4 'disk' u16:1 u16:3"),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_two_of_three_contexts,
  },
  {
    .name = "no meta context granted",
    .setup = base_allocation_only_structured,
    .steps = {
      STRUCTURED_GREETING,
      CLIENT (OPT_SET_META),
      SERVER (ACK (10)),
      CLIENT (OPT_GO),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_structured,
  },
  {
    .name = "an export and a meta context with names of 4096 bytes",
    .setup = long_names,
    .steps = {
      STRUCTURED_GREETING,
      CLIENT ("'IHAVEOPT' u32:10 u32:8204 u32:4096 x4096:6e u32:1 "
              "u32:4096 x4096:6e"),
      SERVER (REPLY (10, 4, 4100) "u32:1 x4096:6e" ACK (10)),
      CLIENT ("'IHAVEOPT' u32:7 u32:4104 u32:4096 x4096:6e u16:1 u16:3"),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_long_context,
  },
  {
    .name = "meta contexts are not asked for without structured replies",
    .setup = base_allocation_without_structured,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_GO),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_simple,
  },
  {
    .name = "meta contexts are not asked for when that is switched off",
    .setup = base_allocation_not_requested,
    .steps = {
      STRUCTURED_GREETING,
      CLIENT (OPT_GO),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_structured,
  },
  CONTEXTS_REFUSED ("UNSUP", ERR_UNSUP),
  CONTEXTS_REFUSED ("POLICY", ERR_POLICY),
  CONTEXTS_REFUSED ("INVALID", ERR_INVALID),
  CONTEXTS_REFUSED ("PLATFORM", ERR_PLATFORM),
  CONTEXTS_REFUSED ("TLS_REQD", ERR_TLS_REQD),
  CONTEXTS_REFUSED ("UNKNOWN", ERR_UNKNOWN),
  CONTEXTS_REFUSED ("SHUTDOWN", ERR_SHUTDOWN),
  CONTEXTS_REFUSED ("BLOCK_SIZE_REQD", ERR_BLOCK_SIZE_REQD),
  CONTEXTS_REFUSED ("TOO_BIG", ERR_TOO_BIG),
  CONTEXTS_REFUSED ("EXT_HEADER_REQD", ERR_EXT_HEADER_REQD),
  CONTEXTS_REFUSED ("an unknown error", ERR_77),
  BROKEN_CONTEXT ("no id", "invalid reply of type 4 to "
                  "NBD_OPT_SET_META_CONTEXT",
                  REPLY (10, 4, 3) "00 00 07" ACK (10)),
  BROKEN_CONTEXT ("nothing at all", "invalid reply of type 4 to "
                  "NBD_OPT_SET_META_CONTEXT",
                  REPLY (10, 4, 0) ACK (10)),
  BROKEN_CONTEXT ("an empty name", "invalid reply of type 4 to "
                  "NBD_OPT_SET_META_CONTEXT",
                  REPLY (10, 4, 4) "u32:7" ACK (10)),
  BROKEN_CONTEXT ("a name of 4097 bytes", "invalid string in reply to "
                  "NBD_OPT_SET_META_CONTEXT: Protocol error",
                  REPLY (10, 4, 4101) "u32:7 x4097:61" ACK (10)),
  BROKEN_CONTEXT ("a NUL in the name", "invalid string in reply to "
                  "NBD_OPT_SET_META_CONTEXT: Protocol error",
                  REPLY (10, 4, 7) "u32:7 'a:' 00" ACK (10)),
  BROKEN_CONTEXT ("another type", "invalid reply of type 2 to "
                  "NBD_OPT_SET_META_CONTEXT",
                  REPLY (10, 2, 5) "u32:1 'a'" ACK (10)),
  BROKEN_CONTEXT ("an acknowledgement with a payload",
                  "invalid NBD_REP_ACK option reply length",
                  META_REPLY (7) REPLY (10, 1, 1) "00"),
  BROKEN_CONTEXT ("for LIST_META_CONTEXT", "option reply is for option 9, "
                  "not NBD_OPT_SET_META_CONTEXT",
                  REPLY (9, 4, 19) "u32:7 'base:allocation'"),

  /* The choice of the export. */
  {
    .name = "an export with a name",
    .setup = export_disk,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS
              "'IHAVEOPT' u32:7 u32:12 u32:4 'disk' u16:1 u16:3"),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_simple,
  },
  {
    .name = "an export with a name of 4096 bytes",
    .setup = export_long_name,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS "'IHAVEOPT' u32:7 u32:4104 u32:4096 x4096:6e "
              "u16:1 u16:3"),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_simple,
  },
  {
    .name = "all information asked for and given",
    .setup = all_info,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS
              "'IHAVEOPT' u32:7 u32:12 u32:0 u16:3 u16:3 u16:1 u16:2"),
      SERVER (REPLY (7, 3, 6) "u16:1 'disk'" REPLY (7, 3, 6) "u16:2 'Disk'"
              INFO_BLOCK_SIZE (7, 512, 4096, 33554432) EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_names,
  },
  {
    .name = "all information asked for and none given",
    .setup = all_info,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS
              "'IHAVEOPT' u32:7 u32:12 u32:0 u16:3 u16:3 u16:1 u16:2"),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_no_names,
  },
  {
    .name = "no information asked for",
    .setup = no_info,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS "'IHAVEOPT' u32:7 u32:6 u32:0 u16:0"),
      SERVER (EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_simple,
  },
  {
    .name = "names asked for and block sizes not",
    .setup = all_but_block_size,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS
              "'IHAVEOPT' u32:7 u32:10 u32:0 u16:2 u16:1 u16:2"),
      SERVER (REPLY (7, 3, 6) "u16:2 'Disk'" REPLY (7, 3, 6) "u16:1 'disk'"
              EXPORT_INFO ACK (7)),
    },
    .state = "READY", .check = check_names,
  },
  {
    .name = "block sizes 512, 4096, 65536 are taken though not asked for",
    .setup = no_info,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS "'IHAVEOPT' u32:7 u32:6 u32:0 u16:0"),
      SERVER (EXPORT_INFO INFO_BLOCK_SIZE (7, 512, 4096, 65536) ACK (7)),
    },
    .state = "READY", .check = check_block_sizes,
  },
  {
    .name = "names are taken though not asked for",
    AFTER_GO (SERVER (REPLY (7, 3, 6) "u16:1 'disk'" EXPORT_INFO
                      REPLY (7, 3, 6) "u16:2 'Disk'" ACK (7))),
    .state = "READY", .check = check_names,
  },
  {
    .name = "empty names are names",
    AFTER_GO (SERVER (REPLY (7, 3, 2) "u16:1" REPLY (7, 3, 2) "u16:2"
                      EXPORT_INFO ACK (7))),
    .state = "READY", .check = check_empty_names,
  },
  {
    .name = "names of 4096 bytes",
    AFTER_GO (SERVER (REPLY (7, 3, 4098) "u16:1 x4096:6e"
                      REPLY (7, 3, 4098) "u16:2 x4096:6e"
                      EXPORT_INFO ACK (7))),
    .state = "READY", .check = check_long_names,
  },
  {
    .name = "information given twice: the last counts",
    AFTER_GO (SERVER (INFO_EXPORT (7, 512, 3)
                      REPLY (7, 3, 6) "u16:1 'kisd'"
                      REPLY (7, 3, 6) "u16:2 'Kisd'"
                      EXPORT_INFO
                      REPLY (7, 3, 6) "u16:2 'Disk'"
                      REPLY (7, 3, 6) "u16:1 'disk'" ACK (7))),
    .state = "READY", .check = check_names,
  },
  {
    .name = "unknown information is skipped",
    AFTER_GO (SERVER (REPLY (7, 3, 2) "u16:4" EXPORT_INFO
                      REPLY (7, 3, 3) "u16:0xffff 00"
                      REPLY (7, 3, 18) "u16:0x8000 x16:00" ACK (7))),
    .state = "READY", .check = check_simple,
  },
  {
    .name = "unknown information of 65536 bytes is skipped",
    AFTER_GO (SERVER (REPLY (7, 3, 65536) "u16:99 x65534:00"
                      EXPORT_INFO ACK (7))),
    .state = "READY", .check = check_simple,
  },
  {
    .name = "unknown information of more than 65536 bytes is skipped",
    AFTER_GO (SERVER (REPLY (7, 3, 65537) "u16:99 x65535:00"
                      EXPORT_INFO ACK (7))),
    .state = "READY", .check = check_simple,
  },
  {
    .name = "unknown information of more than 131072 bytes is skipped",
    AFTER_GO (SERVER (EXPORT_INFO REPLY (7, 3, 131073) "u16:99 x131071:00"
                      ACK (7))),
    .state = "READY", .check = check_simple,
  },
  GO_REFUSED ("POLICY", ERR_POLICY, "server policy prevents it",
              "Operation not supported"),
  GO_REFUSED ("INVALID", ERR_INVALID, "server rejected it as invalid",
              "Invalid argument"),
  GO_REFUSED ("PLATFORM", ERR_PLATFORM,
              "server's platform does not support it",
              "Operation not supported"),
  GO_REFUSED ("TLS_REQD", ERR_TLS_REQD, "server requires TLS encryption first",
              "Operation not supported"),
  GO_REFUSED ("UNKNOWN", ERR_UNKNOWN, "server has no such export",
              "No such file or directory"),
  GO_REFUSED ("SHUTDOWN", ERR_SHUTDOWN, "server is shutting down",
              "Cannot send after transport endpoint shutdown"),
  GO_REFUSED ("BLOCK_SIZE_REQD", ERR_BLOCK_SIZE_REQD,
              "server requires specific block sizes", "Invalid argument"),
  GO_REFUSED ("TOO_BIG", ERR_TOO_BIG, "the request or its reply is too big",
              "Invalid argument"),
  GO_REFUSED ("EXT_HEADER_REQD", ERR_EXT_HEADER_REQD,
              "server requires extended headers", "Operation not supported"),
  GO_REFUSED ("an unknown error", ERR_77, "unknown error reply",
              "Operation not supported"),
  {
    .name = "GO refused for an export with a name",
    .setup = export_disk,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS
              "'IHAVEOPT' u32:7 u32:12 u32:4 'disk' u16:1 u16:3"),
      SERVER (REFUSE (7, ERR_UNKNOWN)),
      CLIENT (OPT_ABORT),
    },
    .state = "DEAD",
    .error = "handshake: NBD_OPT_GO: export \"disk\": server has no such "
      "export: No such file or directory",
  },
  {
    .name = "what is no text in the server's message is masked",
    AFTER_GO (SERVER (REPLY (7, 0x80000006, 9) "'no' 0a 1b 00 7f c3a9 '%'"),
              CLIENT (OPT_ABORT)),
    .state = "DEAD",
    .error = GO_FAILED "server has no such export: no????\303\251%: "
      "No such file or directory",
  },
  {
    .name = "a long message of the server is cut off",
    AFTER_GO (SERVER (REPLY (7, 0x80000006, 4096) "x4096:6d"),
              CLIENT (OPT_ABORT)),
    .state = "DEAD",
    .error = GO_FAILED "server has no such export: "
      M_50 M_50 M_50 M_50 M_50 "mmmmm" ": No such file or directory",
  },
  {
    .name = "a server without GO is asked with EXPORT_NAME",
    AFTER_GO (SERVER (REFUSE (7, ERR_UNSUP)),
              CLIENT ("'IHAVEOPT' u32:1 u32:0"),
              SERVER ("u64:512 u16:3")),
    .state = "READY", .check = check_fallback,
  },
  {
    .name = "a server without GO that sends zeroes",
    .setup = nothing_asked,
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:1"),
      CLIENT ("u32:1" OPT_GO),
      SERVER (REFUSE_TEXT (7, ERR_UNSUP)),
      CLIENT ("'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:3 x124:00"),
    },
    .state = "READY", .check = check_fallback,
  },
  {
    .name = "a server without GO that is not to leave out the zeroes",
    .setup = only_fixed_newstyle,
    .steps = {
      SERVER (GREETING),
      CLIENT ("u32:1" OPT_GO),
      SERVER (REFUSE (7, ERR_UNSUP)),
      CLIENT ("'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:3 x124:00"),
    },
    .state = "READY", .check = check_fallback,
  },
  {
    .name = "a server without GO, with a name and what it said before",
    .setup = export_disk,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS
              "'IHAVEOPT' u32:7 u32:12 u32:4 'disk' u16:1 u16:3"),
      SERVER (EXPORT_INFO INFO_BLOCK_SIZE (7, 512, 4096, 65536)
              REPLY (7, 3, 6) "u16:1 'disk'" REFUSE (7, ERR_UNSUP)),
      CLIENT ("'IHAVEOPT' u32:1 u32:4 'disk'"),
      SERVER ("u64:512 u16:3"),
    },
    .state = "READY", .check = check_fallback,
  },
  {
    .name = "a server without GO, with structured replies and a context",
    .setup = base_allocation_only_structured,
    .steps = {
      STRUCTURED_GREETING,
      CLIENT (OPT_SET_META),
      SERVER (META_REPLY (7) ACK (10)),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_UNSUP)),
      CLIENT ("'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:3"),
    },
    .state = "READY", .check = check_fallback_structured,
  },
  {
    .name = "a server without GO, no transmission flags",
    AFTER_GO (SERVER (REFUSE (7, ERR_UNSUP)),
              CLIENT ("'IHAVEOPT' u32:1 u32:0"),
              SERVER ("u64:512 u16:0")),
    .state = "DEAD",
    .error = "handshake: invalid eflags == 0 from server: Invalid argument",
  },
  {
    .name = "a server without GO that has no such export",
    AFTER_GO (SERVER (REFUSE (7, ERR_UNSUP)),
              CLIENT ("'IHAVEOPT' u32:1 u32:0"),
              SERVER_CLOSES),
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "a server with extended headers cannot lack GO",
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_EXTENDED),
      SERVER (ACK (11)),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_UNSUP)),
      CLIENT (OPT_ABORT),
    },
    .state = "DEAD",
    .error = GO_FAILED "server does not know the option: "
      "Operation not supported",
  },

  /* What is made of size and flags. */
  {
    .name = "all flags with simple replies",
    AFTER_GO (SERVER (INFO_EXPORT (7, 512, 0xffff) ACK (7))),
    .state = "READY", .check = check_all_flags,
  },
  {
    .name = "all flags with structured replies",
    .setup = no_extended_headers,
    .steps = {
      STRUCTURED_GREETING,
      CLIENT (OPT_GO),
      SERVER (INFO_EXPORT (7, 512, 0xffff) ACK (7)),
    },
    .state = "READY", .check = check_all_flags,
  },
  {
    .name = "all flags with extended headers",
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_EXTENDED),
      SERVER (ACK (11)),
      CLIENT (OPT_GO),
      SERVER (INFO_EXPORT (7, 512, 0xffff) ACK (7)),
    },
    .state = "READY", .check = check_all_flags,
  },
  {
    .name = "FAST_ZERO without WRITE_ZEROES",
    AFTER_GO (SERVER (INFO_EXPORT (7, 512, 0x0c01) ACK (7))),
    .state = "READY", .check = check_no_fast_zero,
  },
  {
    .name = "no feature at all",
    AFTER_GO (SERVER (INFO_EXPORT (7, 0, 3) ACK (7))),
    .state = "READY", .check = check_no_feature,
  },
  {
    .name = "flags that lack HAS_FLAGS",
    AFTER_GO (SERVER (INFO_EXPORT (7, 0, 2) ACK (7))),
    .state = "READY", .check = check_no_feature,
  },
  {
    .name = "no transmission flags",
    AFTER_GO (SERVER (INFO_EXPORT (7, 512, 0) ACK (7))),
    .state = "DEAD",
    .error = "handshake: invalid eflags == 0 from server: Invalid argument",
  },
  {
    .name = "a size of INT64_MAX",
    AFTER_GO (SERVER (INFO_EXPORT (7, 0x7fffffffffffffff, 5) ACK (7))),
    .state = "READY", .check = check_largest_size,
  },
  {
    .name = "a size above INT64_MAX",
    AFTER_GO (SERVER (INFO_EXPORT (7, 0x8000000000000000, 5) ACK (7))),
    .state = "READY", .check = check_size_too_large,
  },
  {
    .name = "a size of UINT64_MAX",
    AFTER_GO (SERVER (INFO_EXPORT (7, 0xffffffffffffffff, 5) ACK (7))),
    .state = "READY", .check = check_size_too_large,
  },
  BLOCK_SIZES (1, 512, 4096),
  BLOCK_SIZES (1, 512, 513),
  BLOCK_SIZES (512, 4096, 33554432),
  BLOCK_SIZES (512, 4096, 4294967295),
  BLOCK_SIZES (1, 4096, 2147483648),
  BLOCK_SIZES (4096, 4096, 4096),
  BLOCK_SIZES (65536, 65536, 33554432),
  BLOCK_SIZES (512, 2147483648, 4294967295),
  BAD_BLOCK_SIZES ("nothing", 0, 0, 0),
  BAD_BLOCK_SIZES ("minimum is 0", 0, 4096, 33554432),
  BAD_BLOCK_SIZES ("minimum is no power of 2", 3, 4096, 33554432),
  BAD_BLOCK_SIZES ("minimum above 65536", 131072, 131072, 33554432),
  BAD_BLOCK_SIZES ("preferred is 0", 1, 0, 33554432),
  BAD_BLOCK_SIZES ("preferred below 512", 1, 1, 33554432),
  BAD_BLOCK_SIZES ("preferred is no power of 2", 512, 4000, 33554432),
  BAD_BLOCK_SIZES ("preferred below minimum", 4096, 512, 33554432),
  BAD_BLOCK_SIZES ("maximum is 0", 512, 4096, 0),
  BAD_BLOCK_SIZES ("maximum below preferred", 512, 4096, 2048),
  BAD_BLOCK_SIZES ("maximum is no multiple", 512, 4096, 5000),
  BAD_BLOCK_SIZES ("maximum is no multiple", 512, 4096, 4294967294),

  /* Replies that break the protocol. */
  {
    .name = "the first reply is for another option",
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_EXTENDED),
      SERVER (ACK (8)),
    },
    .state = "DEAD",
    .error = "handshake: option reply is for option 8, not "
      "NBD_OPT_EXTENDED_HEADERS",
  },
  {
    .name = "the first reply has no magic number",
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_EXTENDED),
      SERVER ("'IHAVEOPT' u32:11 u32:1 u32:0"),
    },
    .state = "DEAD",
    .error = "handshake: invalid option reply magic",
  },
  {
    .name = "extended headers are acknowledged with a payload",
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_EXTENDED),
      SERVER (REPLY (11, 1, 4) "u32:0"),
    },
    .state = "DEAD",
    .error = "handshake: invalid NBD_REP_ACK option reply length",
  },
  {
    .name = "extended headers are answered with information",
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_EXTENDED),
      SERVER (REPLY (11, 3, 2) "u16:5" ACK (11)),
    },
    .state = "DEAD",
    .error = "handshake: invalid reply of type 3 to NBD_OPT_EXTENDED_HEADERS",
  },
  {
    .name = "structured replies are answered with the list of exports",
    .setup = no_extended_headers,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_STRUCTURED),
      SERVER (REPLY (8, 2, 5) "u32:1 'a'" ACK (8)),
    },
    .state = "DEAD",
    .error = "handshake: invalid reply of type 2 to NBD_OPT_STRUCTURED_REPLY",
  },
  BROKEN ("no magic number", "invalid option reply magic",
          "u64:0x3e889045565aa u32:7 u32:1 u32:0"),
  BROKEN ("for INFO", "option reply is for option 6, not NBD_OPT_GO",
          INFO_EXPORT (6, 512, 1)),
  BROKEN ("acknowledgement with a payload",
          "invalid NBD_REP_ACK option reply length",
          EXPORT_INFO REPLY (7, 1, 1) "00"),
  BROKEN ("acknowledgement that announces all there can be",
          "invalid NBD_REP_ACK option reply length",
          EXPORT_INFO REPLY (7, 1, 0xffffffff)),
  BROKEN ("no NBD_INFO_EXPORT", "server omitted NBD_INFO_EXPORT reply to "
          "NBD_OPT_GO: Protocol error",
          INFO_BLOCK_SIZE (7, 1, 512, 4096) ACK (7)),
  BROKEN ("type 0", INVALID_REPLY (0), REPLY (7, 0, 0)),
  BROKEN ("type SERVER", INVALID_REPLY (2), REPLY (7, 2, 5) "u32:1 'a'"),
  BROKEN ("type META_CONTEXT", INVALID_REPLY (4), REPLY (7, 4, 5) "u32:1 'a'"),
  BROKEN ("unknown type", INVALID_REPLY (99), REPLY (7, 99, 12)
          "u16:0 u64:512 u16:1"),
  BROKEN ("information without a type", INVALID_REPLY (3), REPLY (7, 3, 0)),
  BROKEN ("information with half a type", INVALID_REPLY (3), REPLY (7, 3, 1)
          "00"),
  BROKEN ("NBD_INFO_EXPORT without content", INVALID_REPLY (3),
          REPLY (7, 3, 2) "u16:0"),
  BROKEN ("NBD_INFO_EXPORT is short", INVALID_REPLY (3), REPLY (7, 3, 11)
          "u16:0 u64:512 01"),
  BROKEN ("NBD_INFO_EXPORT is long", INVALID_REPLY (3), REPLY (7, 3, 13)
          "u16:0 u64:512 u16:1 00"),
  BROKEN ("NBD_INFO_BLOCK_SIZE is short", INVALID_REPLY (3), REPLY (7, 3, 13)
          "u16:3 u32:512 u32:4096 x3:ff"),
  BROKEN ("NBD_INFO_BLOCK_SIZE is long", INVALID_REPLY (3), REPLY (7, 3, 15)
          "u16:3 u32:512 u32:4096 x5:ff"),
  BROKEN ("a name of 4097 bytes", INVALID_STRING, REPLY (7, 3, 4099)
          "u16:1 x4097:6e"),
  BROKEN ("a NUL in the name", INVALID_STRING, REPLY (7, 3, 6)
          "u16:1 'a' 00 'bc'"),
  BROKEN ("a description of 4097 bytes", INVALID_STRING, REPLY (7, 3, 4099)
          "u16:2 x4097:6e"),
  BROKEN ("a NUL ends the description", INVALID_STRING, REPLY (7, 3, 6)
          "u16:2 'abc' 00"),
  BROKEN ("information of more than 16 MiB",
          "reply to NBD_OPT_GO is too long: 16777217 bytes",
          REPLY (7, 3, 16777217)),
  BROKEN ("information of all there can be",
          "reply to NBD_OPT_GO is too long: 4294967295 bytes",
          REPLY (7, 3, 0xffffffff)),
  BROKEN ("an error message of 65537 bytes",
          "reply to NBD_OPT_GO is too long: 65537 bytes",
          REPLY (7, 0x80000006, 65537)),
  BROKEN ("an unknown type of 65537 bytes",
          "reply to NBD_OPT_GO is too long: 65537 bytes",
          REPLY (7, 99, 65537)),

  /* The server closes the connection; play_closed_handshakes () does it after
   * every byte of one handshake.
   */
  {
    .name = "the server closes before its greeting",
    .steps = { SERVER_CLOSES },
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "the server closes in the middle of its greeting",
    .steps = { SERVER ("'NBDMAGIC' 'IHAVE'"), SERVER_CLOSES },
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "the server closes before its handshake flags",
    .steps = { SERVER ("'NBDMAGIC' 'IHAVEOPT'"), SERVER_CLOSES },
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "an oldstyle server closes before its size",
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253"), SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "an oldstyle server closes before the last zero",
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:512 u32:1 x123:00"),
      SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "an oldstyle server closes when its turn is over",
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:512 u32:1 x124:00"),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
  },
  {
    .name = "the server has no such export and no words for it",
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0"),
      CLIENT ("u32:0 'IHAVEOPT' u32:1 u32:0"),
      SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "the server closes after the size",
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0"),
      CLIENT ("u32:0 'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:1"),
      SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "the server closes before the last zero",
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0"),
      CLIENT ("u32:0 'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:1 x123:00"),
      SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "the server closes in the middle of a message",
    AFTER_GO (SERVER (REPLY (7, 0x80000006, 7) "'beca'"),
              SERVER_CLOSES),
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "the server closes while information is skipped",
    AFTER_GO (SERVER (REPLY (7, 3, 16777216) "u16:99 x100:00"),
              SERVER_CLOSES),
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "the server closes after it refused",
    AFTER_GO (SERVER (REFUSE (7, ERR_UNKNOWN)), CLIENT (OPT_ABORT),
              SERVER_CLOSES),
    .state = "DEAD",
    .error = GO_FAILED "server has no such export: No such file or directory",
  },
  { 0 }
};

/* A handshake with everything in it, in hex digits, so that it can be cut
 * after any byte.
 */
static const struct {
  const char *server, *client;
} whole[] = {
  {
    "4e42444d41474943" "49484156454f5054" "0003",
    CLIENT_FLAGS OPT_EXTENDED,
  },
  {
    "0003e889045565a9" "0000000b" "80000001" "00000000",
    OPT_STRUCTURED,
  },
  {
    "0003e889045565a9" "00000008" "00000001" "00000000",
    OPT_SET_META,
  },
  {
    "0003e889045565a9" "0000000a" "00000004" "00000013"
    "00000007" "626173653a616c6c6f636174696f6e" /* base:allocation */
    "0003e889045565a9" "0000000a" "00000001" "00000000",
    OPT_GO,
  },
  {
    "0003e889045565a9" "00000007" "00000003" "0000000c"
    "0000" "0000000000100000" "0dfd"
    "0003e889045565a9" "00000007" "00000003" "00000006"
    "0001" "6469736b"           /* NBD_INFO_NAME: disk */
    "0003e889045565a9" "00000007" "00000003" "0000000e"
    "0003" "00000200" "00001000" "02000000"
    "0003e889045565a9" "00000007" "00000001" "00000000",
    NULL,
  },
};

/* The server closes after N bytes of it.  False if it is over by then. */
static bool
play_closed_after (size_t n)
{
  struct dialogue d = {
    .setup = base_allocation, .state = "DEAD", .error = CLOSED_EARLY,
  };
  size_t left = n, steps = 0, i;
  char name[64], part[512];

  for (i = 0; i < COUNT (whole) && strlen (whole[i].server) / 2 <= left; i++) {
    left -= strlen (whole[i].server) / 2;
    d.steps[steps++] = (struct step) SERVER (whole[i].server);
    if (whole[i].client)
      d.steps[steps++] = (struct step) CLIENT (whole[i].client);
  }
  if (i == COUNT (whole))
    return false;
  snprintf (part, sizeof part, "%.*s", (int) left * 2, whole[i].server);
  d.steps[steps++] = (struct step) SERVER (part);
  d.steps[steps++] = (struct step) SERVER_CLOSES;
  snprintf (name, sizeof name, "the server closes after %zu bytes", n);
  d.name = name;
  play_dialogue (&d);
  return true;
}

void
play_closed_handshakes (void)
{
  for (size_t n = 0; play_closed_after (n); n++)
    ;
}
