/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connecting to servers of every kind, and to those that break the rules. */

#include "config.h"

#include <stdio.h>

#include "scenario.h"

/* The forms of the protocol. */

SCENARIO (oldstyle, "negotiation/oldstyle")
{
  CONNECT (SEND (OLD_GREETING "u64:1048576 u32:0x0005 x124:00"), SERVE);
  facts ();
  CALL (nbd_pread (h, buf, 512, 0, 0));
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (oldstyle_opt, "negotiation/oldstyle, in opt mode")
{
  create ();
  nbd_set_opt_mode (h, true);
  CONNECT (SEND (OLD_GREETING "u64:1048576 u32:0x0005 x124:00"), SERVE);
  CALL (nbd_opt_go (h));
}

SCENARIO (oldstyle_no_flags, "negotiation/oldstyle, without flags")
{
  CONNECT (SEND (OLD_GREETING "u64:1048576 u32:0 x124:00"), SERVE);
}

SCENARIO (oldstyle_global_flags, "negotiation/oldstyle, with global flags")
{
  CONNECT (SEND (OLD_GREETING "u64:1048576 u32:0x00010005 x124:00"), SERVE);
  facts ();
}

SCENARIO (oldstyle_reserved, "negotiation/oldstyle, reserved bytes in use")
{
  CONNECT (SEND (OLD_GREETING "u64:1048576 u32:0x0005 x124:ff"), SERVE);
  CALL (nbd_flush (h, 0));
}

SCENARIO (oldstyle_named, "negotiation/oldstyle, with a name and contexts")
{
  create ();
  nbd_set_export_name (h, "name");
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  CONNECT (SEND (OLD_GREETING "u64:1048576 u32:0x0005 x124:00"), SERVE);
  facts ();
  CALL (nbd_get_export_name (h));
}

SCENARIO (newstyle, "negotiation/newstyle")
{
  CONNECT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:0"),
           EXPECT ("u32:0" OPTION (1, 0)),
           SEND ("u64:1048576 u16:0x0105 x124:00"), SERVE);
  facts ();
  CALL (nbd_pread (h, buf, 512, 0, 0));
}

SCENARIO (newstyle_no_zeroes, "negotiation/newstyle, without zeroes")
{
  CONNECT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:2"),
           EXPECT ("u32:2" OPTION (1, 0)),
           SEND ("u64:1048576 u16:0x0105"), SERVE);
  facts ();
}

SCENARIO (newstyle_named, "negotiation/newstyle, with a name")
{
  create ();
  nbd_set_export_name (h, "disk");
  CONNECT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:2"),
           EXPECT ("u32:2" OPTION (1, 4) "'disk'"),
           SEND ("u64:1048576 u16:0x0105"), SERVE);
  facts ();
}

SCENARIO (newstyle_no_flags, "negotiation/newstyle, no transmission flags")
{
  CONNECT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:2"),
           EXPECT ("u32:2" OPTION (1, 0)), SEND ("u64:1048576 u16:0"));
}

SCENARIO (newstyle_opt, "negotiation/newstyle, in opt mode")
{
  create ();
  nbd_set_opt_mode (h, true);
  CONNECT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:0"), EXPECT ("u32:0"),
           EXPECT (OPTION (1, 0)),
           SEND ("u64:1048576 u16:0x0105 x124:00"), SERVE);
  status ();
  CALL (nbd_get_protocol (h));
  CALL (nbd_opt_info (h));
  CALL (nbd_opt_list (h, list ("list")));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
  CALL (nbd_opt_go (h));
  facts ();
}

SCENARIO (newstyle_opt_abort, "negotiation/newstyle, given up in opt mode")
{
  create ();
  nbd_set_opt_mode (h, true);
  CONNECT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:0"), EXPECT ("u32:0"));
  CALL (nbd_opt_abort (h));
}

SCENARIO (fixed_only, "negotiation/fixed newstyle with zeroes")
{
  CONNECT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:1"), EXPECT ("u32:1"), SERVE);
  facts ();
}

SCENARIO (fixed, "negotiation/fixed newstyle")
{
  CONNECT (SEND (GREETING), EXPECT (CLIENT_FLAGS), SERVE);
  facts ();
}

SCENARIO (unknown_flags, "negotiation/unknown handshake flags")
{
  CONNECT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:0xffff"), EXPECT (CLIENT_FLAGS),
           SERVE);
}

SCENARIO (no_flags_wanted, "negotiation/no handshake flags wanted")
{
  create ();
  nbd_set_handshake_flags (h, 0);
  CONNECT (SEND (GREETING), EXPECT ("u32:0" OPTION (1, 0)),
           SEND ("u64:1048576 u16:0x0105 x124:00"), SERVE);
  facts ();
}

SCENARIO (no_zeroes_wanted, "negotiation/only no-zeroes wanted")
{
  create ();
  nbd_set_handshake_flags (h, LIBNBD_HANDSHAKE_FLAG_NO_ZEROES);
  CONNECT (SEND (GREETING), EXPECT ("u32:2" OPTION (1, 0)),
           SEND ("u64:1048576 u16:0x0105"), SERVE);
  facts ();
}

SCENARIO (fixed_wanted, "negotiation/only fixed newstyle wanted")
{
  create ();
  nbd_set_handshake_flags (h, LIBNBD_HANDSHAKE_FLAG_FIXED_NEWSTYLE);
  CONNECT (SEND (GREETING), EXPECT ("u32:1"), SERVE);
  facts ();
}

/* Greetings that are none. */

#define BAD_GREETING(id, text, ...)             \
  SCENARIO (id, "negotiation/greeting: " text)  \
  {                                             \
    CONNECT (__VA_ARGS__);                      \
    show_fd ("the descriptor", sock);           \
  }

BAD_GREETING (greeting_garbage, "garbage", SEND ("x16:58"))
BAD_GREETING (greeting_http, "of another protocol",
              SEND ("'HTTP/1.1' 20 '400' 20 'Bad' 20 'Request' 0d0a0d0a"))
BAD_GREETING (greeting_version, "an unknown version",
              SEND ("'NBDMAGIC' 'IHAVEOPS' u16:3"))
BAD_GREETING (greeting_none, "none", CLOSE)
BAD_GREETING (greeting_one, "one byte", SEND ("'N'"), CLOSE)
BAD_GREETING (greeting_half, "half of it", SEND ("'NBDMAGIC'"), CLOSE)
BAD_GREETING (greeting_no_flags, "without flags",
              SEND ("'NBDMAGIC' 'IHAVEOPT'"), CLOSE)
BAD_GREETING (greeting_half_flags, "half of the flags",
              SEND ("'NBDMAGIC' 'IHAVEOPT' 00"), CLOSE)
BAD_GREETING (greeting_shut, "and no more", SEND (GREETING), FORGET, SHUT)
BAD_GREETING (greeting_old_half, "half of oldstyle",
              SEND (OLD_GREETING "u64:1048576"), CLOSE)
BAD_GREETING (greeting_old_short, "oldstyle, one byte short",
              SEND (OLD_GREETING "u64:1048576 u32:0x0005 x123:00"), CLOSE)

/* The server goes, at each point of the negotiation. */

#define GONE(id, text, ...)                     \
  SCENARIO (id, "negotiation/gone: " text)      \
  {                                             \
    create ();                                  \
    nbd_add_meta_context (h, "base:allocation");        \
    CONNECT (SEND (GREETING), QUIET (CLIENT_FLAGS), __VA_ARGS__);       \
  }

GONE (gone_flags, "after the flags", RECEIVE (16), CLOSE)
GONE (gone_structured, "before the reply to structured replies",
      QUIET (OPT_STRUCTURED), CLOSE)
GONE (gone_header, "in the header of a reply",
      QUIET (OPT_STRUCTURED), SEND ("u64:0x3e889045565a9 u32:8"), CLOSE)
GONE (gone_meta, "before the reply to contexts",
      QUIET (OPT_STRUCTURED), SEND (ACK (8)), QUIET (OPT_SET_META), CLOSE)
GONE (gone_meta_payload, "in a context",
      QUIET (OPT_STRUCTURED), SEND (ACK (8)), QUIET (OPT_SET_META),
      SEND (REP (10, 4, 19) "u32:1 'base'"), CLOSE)
GONE (gone_meta_ack, "after a context",
      QUIET (OPT_STRUCTURED), SEND (ACK (8)), QUIET (OPT_SET_META),
      SEND (META_REPLY (10, 1)), CLOSE)
GONE (gone_go, "before the reply to GO",
      QUIET (OPT_STRUCTURED), SEND (UNSUP (8)), QUIET (OPT_GO), CLOSE)
GONE (gone_info, "in the information",
      QUIET (OPT_STRUCTURED), SEND (UNSUP (8)), QUIET (OPT_GO),
      SEND (REP (7, 3, 12) "u16:0 u64:512"), CLOSE)
GONE (gone_ack, "after the information",
      QUIET (OPT_STRUCTURED), SEND (UNSUP (8)), QUIET (OPT_GO),
      SEND (INFO_EXPORT (7, 512, 1)), CLOSE)
GONE (gone_half_ack, "in the last reply",
      QUIET (OPT_STRUCTURED), SEND (UNSUP (8)), QUIET (OPT_GO),
      SEND (INFO_EXPORT (7, 512, 1) "u64:0x3e889045565a9"), CLOSE)

SCENARIO (gone_export_name, "negotiation/gone: before the export")
{
  CONNECT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:2"),
           EXPECT ("u32:2" OPTION (1, 0)), CLOSE);
}

SCENARIO (gone_zeroes, "negotiation/gone: in the zeroes")
{
  CONNECT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:0"),
           EXPECT ("u32:0" OPTION (1, 0)),
           SEND ("u64:1048576 u16:0x0105 x123:00"), CLOSE);
}

SCENARIO (gone_at_once, "negotiation/gone: when all is agreed")
{
  CONNECT (SEND (GREETING), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),
           SEND (UNSUP (8)), QUIET (OPT_GO),
           SEND (INFO_EXPORT (7, 512, 1) ACK (7)), CLOSE);
  peer_await (peer);
  CALL (nbd_poll (h, -1));
  facts ();
}

/* Replies that are none. */

#define AFTER_FLAGS SEND (GREETING), QUIET (CLIENT_FLAGS), \
    QUIET (OPT_STRUCTURED)
#define AFTER_STRUCTURED AFTER_FLAGS, SEND (ACK (8))

#define BAD_REPLY(id, text, ...)                \
  SCENARIO (id, "negotiation/reply: " text)     \
  {                                             \
    CONNECT (AFTER_FLAGS, __VA_ARGS__);         \
  }

BAD_REPLY (reply_magic, "wrong magic", SEND ("x20:00"))
BAD_REPLY (reply_option, "to another option", SEND (ACK (7)))
BAD_REPLY (reply_ack, "an ACK with data", SEND (REP (8, 1, 4) "u32:0"))
BAD_REPLY (reply_info, "information to structured replies",
           SEND (INFO_EXPORT (8, 512, 1) ACK (8)))
BAD_REPLY (reply_unknown, "an unknown type", SEND (REP (8, 99, 0)))
BAD_REPLY (reply_long_ack, "a long ACK", SEND (REP (8, 1, 0xffffffff)))
BAD_REPLY (reply_long_error, "an error of 4 GiB",
           SEND (REP (8, 0x80000001, 0xffffffff)))
BAD_REPLY (reply_long_text, "an error of 5000 bytes",
           SEND (REP (8, 0x80000001, 5000) "x5000:61"), SERVE)
BAD_REPLY (reply_text, "an error with a text",
           SEND (REP (8, 0x80000001, 2) "'no'"), SERVE)
BAD_REPLY (reply_text_4096, "an error of 4096 bytes",
           SEND (REP (8, 0x80000001, 4096) "x4096:61"), SERVE)

/* Each error to each option. */

static const struct error {
  uint32_t type;
  const char *name;
} errors[] = {
  { 0x80000001, "UNSUP" }, { 0x80000002, "POLICY" },
  { 0x80000003, "INVALID" }, { 0x80000004, "PLATFORM" },
  { 0x80000005, "TLS_REQD" }, { 0x80000006, "UNKNOWN" },
  { 0x80000007, "SHUTDOWN" }, { 0x80000008, "BLOCK_SIZE_REQD" },
  { 0x80000009, "TOO_BIG" }, { 0x8000000a, "EXT_HEADER_REQD" },
  { 0x8000004d, "one that is not known" },
};

#define NR_ERRORS (sizeof errors / sizeof errors[0])

static char error_text[128];

static const char *
error_reply (unsigned option, const struct error *e)
{
  snprintf (error_text, sizeof error_text,
            "u64:0x3e889045565a9 u32:%u u32:%#x u32:4 'text'", option,
            e->type);
  return error_text;
}

static void
refuse_structured (void *arg)
{
  struct step steps[] = {
    SEND (GREETING), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),
    SEND (error_reply (8, arg)), SERVE, { STEP_END, NULL },
  };

  create ();
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  script (steps);
  CALL (nbd_connect_socket (h, sock));
  facts ();
  finish ();
}

static void
refuse_contexts (void *arg)
{
  struct step steps[] = {
    SEND (GREETING), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),
    SEND (ACK (8)), QUIET (OPT_SET_META), SEND (error_reply (10, arg)), SERVE,
    { STEP_END, NULL },
  };

  create ();
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  script (steps);
  CALL (nbd_connect_socket (h, sock));
  facts ();
  finish ();
}

static void
refuse_go (void *arg)
{
  const struct error *e = arg;
  struct step steps[] = {
    SEND (GREETING), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),
    SEND (ACK (8)), QUIET (OPTION (7, 12) "u32:4 'disk' u16:1 u16:3"),
    SEND (error_reply (7, arg)), { STEP_END, NULL }, { STEP_END, NULL },
    { STEP_END, NULL },
  };

  /* Only after this one the dialogue goes on. */
  if (e->type == 0x80000001) {
    steps[6] = (struct step) EXPECT (OPTION (1, 4) "'disk'");
    steps[7] = (struct step) CLOSE;
  }
  create ();
  nbd_set_export_name (h, "disk");
  script (steps);
  CALL (nbd_connect_socket (h, sock));
  finish ();
}

static void __attribute__ ((constructor))
add_refusals (void)
{
  static const struct {
    const char *name;
    void (*run) (void *arg);
  } options[] = {
    { "structured replies", refuse_structured },
    { "contexts", refuse_contexts }, { "GO", refuse_go },
  };
  static char names[3][NR_ERRORS][80];

  for (size_t i = 0; i < 3; i++)
    for (size_t j = 0; j < NR_ERRORS; j++) {
      snprintf (names[i][j], sizeof names[i][j],
                "negotiation/error: %s to %s", errors[j].name,
                options[i].name);
      scenario_add ((struct scenario) { names[i][j], NULL, options[i].run,
                                        (void *) &errors[j] });
    }
}

SCENARIO (fallback, "negotiation/GO is not known: EXPORT_NAME")
{
  CONNECT (AFTER_STRUCTURED, QUIET (OPT_GO), SEND (UNSUP (7)),
           EXPECT (OPTION (1, 0)), SEND ("u64:4096 u16:0x0081"), SERVE);
  facts ();
  CALL (nbd_pread (h, buf, 512, 0, 0));
}

SCENARIO (fallback_contexts, "negotiation/contexts, then EXPORT_NAME")
{
  create ();
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  CONNECT (AFTER_STRUCTURED, QUIET (OPT_SET_META),
           SEND (META_REPLY (10, 7) ACK (10)), QUIET (OPT_GO),
           SEND (UNSUP (7)), EXPECT (OPTION (1, 0)),
           SEND ("u64:4096 u16:0x0081"), SERVE);
  facts ();
}

/* What is asked for. */

SCENARIO (no_structured, "negotiation/structured replies are not wanted")
{
  create ();
  nbd_set_request_structured_replies (h, false);
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  CONNECT (SEND (GREETING), QUIET (CLIENT_FLAGS), EXPECT (OPT_GO),
           SEND (INFO_EXPORT (7, 1048576, 0x0dfd) ACK (7)));
  facts ();
}

SCENARIO (no_block_size, "negotiation/block sizes are not wanted")
{
  create ();
  nbd_set_request_block_size (h, false);
  CONNECT (AFTER_STRUCTURED, EXPECT (OPTION (7, 6) "u32:0 u16:0"),
           SEND (INFO_EXPORT (7, 1048576, 0x0dfd) ACK (7)));
  facts ();
}

SCENARIO (full_info, "negotiation/full information is wanted")
{
  create ();
  nbd_set_full_info (h, true);
  CONNECT (AFTER_STRUCTURED,
           EXPECT (OPTION (7, 12) "u32:0 u16:3 u16:3 u16:1 u16:2"),
           SEND (INFO_EXPORT (7, 1048576, 0x0dfd)
                 REP (7, 3, 6) "u16:1 'name'" REP (7, 3, 6) "u16:2 'text'"
                 ACK (7)));
  facts ();
}

SCENARIO (full_info_only, "negotiation/full information without block sizes")
{
  create ();
  nbd_set_full_info (h, true);
  nbd_set_request_block_size (h, false);
  CONNECT (AFTER_STRUCTURED,
           EXPECT (OPTION (7, 10) "u32:0 u16:2 u16:1 u16:2"),
           SEND (INFO_EXPORT (7, 1048576, 0x0dfd) ACK (7)));
  facts ();
}

SCENARIO (one_context, "negotiation/one context")
{
  create ();
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  CONNECT (AFTER_STRUCTURED, EXPECT (OPT_SET_META),
           SEND (META_REPLY (10, 7) ACK (10)), SERVE);
  facts ();
  CALL (nbd_can_meta_context (h, "x:y"));
  CALL (nbd_can_meta_context (h, ""));
}

SCENARIO (two_contexts, "negotiation/two contexts for a named export")
{
  create ();
  nbd_set_export_name (h, "e");
  nbd_add_meta_context (h, "base:allocation");
  nbd_add_meta_context (h, "x:y");
  CONNECT (AFTER_STRUCTURED,
           EXPECT (OPTION (10, 35) "u32:1 'e' u32:2 u32:15 'base:allocation'"
                   "u32:3 'x:y'"),
           SEND (META_REPLY (10, 7) REP (10, 4, 7) "u32:8 'x:y'" ACK (10)),
           SERVE);
  facts ();
  CALL (nbd_can_meta_context (h, "x:y"));
}

SCENARIO (no_context_granted, "negotiation/no context is granted")
{
  create ();
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  CONNECT (AFTER_STRUCTURED, EXPECT (OPT_SET_META), SEND (ACK (10)), SERVE);
  facts ();
}

SCENARIO (other_context, "negotiation/a context that was not asked for")
{
  create ();
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  CONNECT (AFTER_STRUCTURED, EXPECT (OPT_SET_META),
           SEND (REP (10, 4, 7) "u32:8 'x:y'" ACK (10)), SERVE);
  facts ();
  CALL (nbd_can_meta_context (h, "x:y"));
}

SCENARIO (same_context, "negotiation/the same context twice")
{
  create ();
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  CONNECT (AFTER_STRUCTURED, EXPECT (OPT_SET_META),
           SEND (META_REPLY (10, 7) META_REPLY (10, 8) ACK (10)), SERVE);
  facts ();
}

#define BAD_CONTEXT(id, text, ...)                                      \
  SCENARIO (id, "negotiation/context: " text)                           \
  {                                                                     \
    create ();                                                          \
    nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);           \
    CONNECT (AFTER_STRUCTURED, QUIET (OPT_SET_META), __VA_ARGS__, SERVE); \
    status ();                                                          \
  }

BAD_CONTEXT (context_empty, "an empty reply", SEND (REP (10, 4, 0)))
BAD_CONTEXT (context_short, "half of an id", SEND (REP (10, 4, 2) "u16:0"))
BAD_CONTEXT (context_no_name, "no name", SEND (REP (10, 4, 4) "u32:7"))
BAD_CONTEXT (context_4096, "a name of 4096 bytes",
             SEND (REP (10, 4, 4100) "u32:7 x4096:61" ACK (10)))
BAD_CONTEXT (context_4097, "a name of 4097 bytes",
             SEND (REP (10, 4, 4101) "u32:7 x4097:61" ACK (10)))
BAD_CONTEXT (context_nul, "a name with a NUL",
             SEND (REP (10, 4, 7) "u32:7 61 00 62" ACK (10)))
BAD_CONTEXT (context_ack, "an ACK with data", SEND (REP (10, 1, 1) "00"))
BAD_CONTEXT (context_server, "an export", SEND (REP (10, 2, 4) "u32:0"))

/* Information. */

#define INFO(id, text, ...)                                             \
  SCENARIO (id, "negotiation/information: " text)                       \
  {                                                                     \
    CONNECT (AFTER_STRUCTURED, QUIET (OPT_GO), SEND (__VA_ARGS__));     \
    status ();                                                          \
    if (nbd_aio_is_ready (h))                                           \
      facts ();                                                         \
  }

INFO (info_none, "none", ACK (7))
INFO (info_no_export, "no export, but block sizes",
      INFO_BLOCK_SIZE (7, 1, 4096, 65536) ACK (7))
INFO (info_twice, "the export twice",
      INFO_EXPORT (7, 512, 1) INFO_EXPORT (7, 1024, 5) ACK (7))
INFO (info_short, "the export, one byte short",
      REP (7, 3, 11) "u16:0 u64:512 00" ACK (7))
INFO (info_long, "the export, one byte long",
      REP (7, 3, 13) "u16:0 u64:512 u16:1 00" ACK (7))
INFO (info_empty, "an empty one", REP (7, 3, 0) ACK (7))
INFO (info_one, "of one byte", REP (7, 3, 1) "00" ACK (7))
INFO (info_no_flags, "no flags", INFO_EXPORT (7, 512, 0) ACK (7))
INFO (info_odd_flags, "flags without HAS_FLAGS",
      INFO_EXPORT (7, 512, 4) ACK (7))
INFO (info_all_flags, "all flags", INFO_EXPORT (7, 512, 0xffff) ACK (7))
INFO (info_fast_only, "fast zero without zero",
      INFO_EXPORT (7, 512, 0x0801) ACK (7))
INFO (info_size_0, "size 0", INFO_EXPORT (7, 0, 1) ACK (7))
INFO (info_size_max, "the largest size",
      INFO_EXPORT (7, 0x7fffffffffffffff, 1) ACK (7))
INFO (info_size_over, "one byte larger than the largest",
      INFO_EXPORT (7, 0x8000000000000000, 1) ACK (7))
INFO (info_unknown, "of a kind that is not known",
      REP (7, 3, 4) "u16:99 u16:0" INFO_EXPORT (7, 512, 1) ACK (7))
INFO (info_very_long, "70000 bytes of a kind that is not known",
      REP (7, 3, 70000) "u16:99 x69998:00" INFO_EXPORT (7, 512, 1) ACK (7))
INFO (info_block, "block sizes",
      INFO_BLOCK_SIZE (7, 512, 4096, 65536) INFO_EXPORT (7, 512, 1) ACK (7))
INFO (info_block_short, "block sizes, too short",
      REP (7, 3, 13) "u16:3 x11:00" ACK (7))
INFO (info_block_long, "block sizes, too long",
      REP (7, 3, 15) "u16:3 x13:00" ACK (7))
INFO (info_name, "a name that was not asked for",
      REP (7, 3, 6) "u16:1 'name'" INFO_EXPORT (7, 512, 1) ACK (7))
INFO (info_name_empty, "an empty name",
      REP (7, 3, 2) "u16:1" INFO_EXPORT (7, 512, 1) ACK (7))
INFO (info_name_4096, "a name of 4096 bytes",
      REP (7, 3, 4098) "u16:1 x4096:61" INFO_EXPORT (7, 512, 1) ACK (7))
INFO (info_name_4097, "a name of 4097 bytes",
      REP (7, 3, 4099) "u16:1 x4097:61" INFO_EXPORT (7, 512, 1) ACK (7))
INFO (info_description_4097, "a description of 4097 bytes",
      REP (7, 3, 4099) "u16:2 x4097:61" INFO_EXPORT (7, 512, 1) ACK (7))
INFO (info_name_twice, "two names",
      REP (7, 3, 3) "u16:1 61" REP (7, 3, 3) "u16:1 62"
      INFO_EXPORT (7, 512, 1) ACK (7))
INFO (info_server, "an export of a list", REP (7, 2, 4) "u32:0" ACK (7))
INFO (info_ack, "an ACK with data",
      INFO_EXPORT (7, 512, 1) REP (7, 1, 2) "u16:0")
INFO (info_other_option, "for another option", INFO_EXPORT (6, 512, 1))

#define SIZES(id, min, preferred, max)                                  \
  SCENARIO (id, "negotiation/block sizes " #min ", " #preferred ", " #max) \
  {                                                                     \
    CONNECT (AFTER_STRUCTURED, QUIET (OPT_GO),                          \
             SEND (INFO_BLOCK_SIZE (7, min, preferred, max)             \
                   INFO_EXPORT (7, 1048576, 1) ACK (7)));               \
    facts ();                                                           \
  }

SIZES (sizes_0, 0, 4096, 65536)
SIZES (sizes_3, 3, 4096, 65536)
SIZES (sizes_1, 1, 512, 512)
SIZES (sizes_256, 1, 256, 65536)
SIZES (sizes_511, 1, 511, 65536)
SIZES (sizes_65536, 65536, 65536, 65536)
SIZES (sizes_131072, 131072, 131072, 131072)
SIZES (sizes_order, 4096, 512, 65536)
SIZES (sizes_order_max, 512, 4096, 2048)
SIZES (sizes_odd_max, 512, 4096, 65537)
SIZES (sizes_odd_preferred, 512, 4097, 65536)
SIZES (sizes_no_max, 512, 4096, 0xffffffff)
SIZES (sizes_large_max, 1, 4096, 0x80000000)
SIZES (sizes_large_preferred, 1, 33554432, 33554432)

/* Early data. */

SCENARIO (early_request, "negotiation/all of the server's bytes at once")
{
  CONNECT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:2 u64:1048576 u16:0x0105"),
           EXPECT ("u32:2" OPTION (1, 0)), SERVE);
  facts ();
}

SCENARIO (greeted_early, "negotiation/greeted before the call, in opt mode")
{
  create ();
  nbd_set_opt_mode (h, true);
  nbd_set_request_structured_replies (h, false);
  SCRIPT (SEND (GREETING), WAIT, EXPECT (CLIENT_FLAGS), EXPECT (OPT_LIST),
          SEND (ACK (3)));
  peer_await (peer);
  release ();
  CALL (nbd_connect_socket (h, sock));
  status ();
  CALL (nbd_opt_list (h, list ("list")));
}

SCENARIO (greeted_early_newstyle,
          "negotiation/greeted before the call, newstyle in opt mode")
{
  create ();
  nbd_set_opt_mode (h, true);
  SCRIPT (SEND ("'NBDMAGIC' 'IHAVEOPT' u16:0"), WAIT, EXPECT ("u32:0"), WAIT);
  peer_await (peer);
  release ();
  CALL (nbd_connect_socket (h, sock));
  status ();
}

SCENARIO (split_replies, "negotiation/a reply in many pieces")
{
  CONNECT (SEND ("'NBD'"), SEND ("'MAGIC'"), SEND ("'IHAVEOPT'"),
           SEND ("u16:3"), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),
           SEND ("u64:0x3e889045565a9"), SEND ("u32:8"), SEND ("u32:1"),
           SEND ("u32:0"), SERVE);
  facts ();
}

SCENARIO (signals, "negotiation/signals do not disturb it")
{
  catch_signals ();
  CONNECT (SEND ("'NBDMAGIC'"), SIGNAL, SEND ("'IHAVEOPT' u16:3"),
           QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED), SIGNAL,
           SEND (ACK (8)), SERVE);
  say ("signals: %d", nr_signals);
}
