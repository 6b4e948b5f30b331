/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Opt mode: the program negotiates. */

#include "config.h"

#include <stdio.h>

#include "scenario.h"

/* Let an option that was started come to its end. */
static void
await_option (void)
{
  while (nbd_aio_is_connecting (h))
    if (nbd_poll (h, -1) == -1) {
      show_error ();
      break;
    }
}

SCENARIO (go_ok, "options/go")
{
  NEGOTIATE (EXPECT (OPT_GO), SEND (INFO_EXPORT (7, 512, 5) ACK (7)), SERVE);
  status ();
  CALL (nbd_opt_go (h));
  status ();
  facts ();
  CALL (nbd_opt_go (h));
}

SCENARIO (aio_go, "options/go, asynchronously")
{
  NEGOTIATE (EXPECT (OPT_GO), WAIT, SEND (INFO_EXPORT (7, 512, 5) ACK (7)),
             SERVE);
  CALL (nbd_aio_opt_go (h, done ("go")));
  status ();
  CALL (nbd_poll (h, 0));
  release ();
  await_option ();
  status ();
}

SCENARIO (go_pieces, "options/go, asynchronously, in pieces")
{
  NEGOTIATE (EXPECT (OPT_GO), WAIT, SEND (REP (7, 3, 12)), WAIT,
             SEND ("u16:0 u64:512 u16:5"), WAIT, SEND (ACK (7)), WAIT);
  CALL (nbd_aio_opt_go (h, done ("go")));
  for (int i = 0; i < 3; i++) {
    go ();
    CALL (nbd_poll (h, -1));
    status ();
  }
}

SCENARIO (go_named, "options/go to another export after an error")
{
  NEGOTIATE (EXPECT (OPTION (7, 9) "u32:1 'a' u16:1 u16:3"),
             SEND (REFUSE (7, 6)),
             EXPECT (OPTION (7, 9) "u32:1 'b' u16:1 u16:3"),
             SEND (INFO_EXPORT (7, 512, 5) ACK (7)));
  CALL (nbd_set_export_name (h, "a"));
  CALL (nbd_opt_go (h));
  status ();
  CALL (nbd_get_size (h));
  CALL (nbd_set_export_name (h, "b"));
  CALL (nbd_opt_go (h));
  CALL (nbd_get_size (h));
}

SCENARIO (go_contexts, "options/go with contexts")
{
  NEGOTIATE (EXPECT (OPT_SET_META), SEND (META_REPLY (10, 7) ACK (10)),
             EXPECT (OPT_GO), SEND (INFO_EXPORT (7, 512, 5) ACK (7)));
  CALL (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_opt_go (h));
  facts ();
}

SCENARIO (go_contexts_refused, "options/go, contexts refused")
{
  NEGOTIATE (EXPECT (OPT_SET_META), SEND (REFUSE (10, 6)), EXPECT (OPT_GO),
             SEND (INFO_EXPORT (7, 512, 5) ACK (7)));
  CALL (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_opt_go (h));
  facts ();
}

SCENARIO (info_contexts, "options/information with contexts, then go")
{
  NEGOTIATE (EXPECT (OPT_SET_META), SEND (META_REPLY (10, 7) ACK (10)),
             EXPECT (OPT_INFO), SEND (INFO_EXPORT (6, 512, 5) ACK (6)), SERVE);
  CALL (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_opt_info (h));
  facts ();
  CALL (nbd_opt_go (h));
  facts ();
}

SCENARIO (info_then_clear, "options/contexts are cleared before go")
{
  NEGOTIATE (SERVE);
  CALL (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_opt_info (h));
  CALL (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_clear_meta_contexts (h));
  CALL (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_opt_go (h));
  CALL (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
}

SCENARIO (fallback, "options/go is not known")
{
  NEGOTIATE (EXPECT (OPT_GO), SEND (UNSUP (7)), EXPECT (OPTION (1, 0)),
             SEND ("u64:4096 u16:5"), SERVE);
  CALL (nbd_opt_go (h));
  facts ();
}

SCENARIO (aio_fallback, "options/go is not known, asynchronously")
{
  NEGOTIATE (EXPECT (OPT_GO), SEND (UNSUP (7)), EXPECT (OPTION (1, 0)),
             WAIT, SEND ("u64:4096 u16:5"), SERVE);
  CALL (nbd_aio_opt_go (h, done ("go")));
  pump ();
  release ();
  await_option ();
  status ();
}

SCENARIO (info_ok, "options/information")
{
  NEGOTIATE (EXPECT (OPT_INFO), SEND (INFO_EXPORT (6, 512, 5) ACK (6)));
  CALL (nbd_opt_info (h));
  status ();
  facts ();
}

SCENARIO (info_forgotten, "options/another name forgets the information")
{
  NEGOTIATE (SERVE);
  CALL (nbd_opt_info (h));
  CALL (nbd_get_size (h));
  CALL (nbd_set_export_name (h, ""));
  CALL (nbd_get_size (h));
  CALL (nbd_set_export_name (h, "b"));
  facts ();
}

SCENARIO (info_failed, "options/a failure forgets the information")
{
  NEGOTIATE (EXPECT (OPT_INFO), SEND (INFO_EXPORT (6, 512, 5) ACK (6)),
             EXPECT (OPT_INFO), SEND (REFUSE (6, 3)));
  CALL (nbd_opt_info (h));
  CALL (nbd_get_size (h));
  CALL (nbd_opt_info (h));
  CALL (nbd_get_size (h));
  status ();
}

SCENARIO (go_failed, "options/a failure of go forgets the information")
{
  NEGOTIATE (EXPECT (OPT_INFO), SEND (INFO_EXPORT (6, 512, 5) ACK (6)),
             EXPECT (OPT_GO), SEND (REFUSE (7, 3)));
  CALL (nbd_opt_info (h));
  CALL (nbd_opt_go (h));
  CALL (nbd_get_size (h));
  CALL (nbd_is_read_only (h));
}

SCENARIO (info_full, "options/full information")
{
  NEGOTIATE (EXPECT (OPTION (6, 12) "u32:0 u16:3 u16:3 u16:1 u16:2"),
             SEND (INFO_EXPORT (6, 512, 5) REP (6, 3, 6) "u16:1 'name'"
                   REP (6, 3, 6) "u16:2 'text'"
                   INFO_BLOCK_SIZE (6, 1, 512, 1024) ACK (6)), SERVE);
  CALL (nbd_set_full_info (h, true));
  CALL (nbd_opt_info (h));
  facts ();
  CALL (nbd_set_full_info (h, false));
  CALL (nbd_opt_go (h));
  facts ();
}

SCENARIO (info_without_export, "options/information without the export")
{
  NEGOTIATE (EXPECT (OPT_INFO), SEND (ACK (6)));
  CALL (nbd_opt_info (h));
  status ();
}

/* Lists. */

SCENARIO (list_none, "options/no exports")
{
  NEGOTIATE (EXPECT (OPT_LIST), SEND (ACK (3)));
  CALL (nbd_opt_list (h, list ("list")));
  status ();
}

SCENARIO (list_three, "options/three exports")
{
  NEGOTIATE (EXPECT (OPT_LIST),
             SEND (REP (3, 2, 5) "u32:1 'a'" REP (3, 2, 8) "u32:1 'b' 'bee'"
                   REP (3, 2, 4) "u32:0" ACK (3)), SERVE);
  CALL (nbd_opt_list (h, list ("list")));
  status ();
  CALL (nbd_opt_list (h, list ("again")));
}

SCENARIO (aio_list, "options/exports, asynchronously")
{
  NEGOTIATE (EXPECT (OPT_LIST), WAIT, SEND (REP (3, 2, 5) "u32:1 'a'"), WAIT,
             SEND (REP (3, 2, 5) "u32:1 'b'"), WAIT, SEND (ACK (3)), WAIT);
  CALL (nbd_aio_opt_list (h, list ("list"), done ("done")));
  for (int i = 0; i < 3; i++) {
    go ();
    CALL (nbd_poll (h, -1));
    status ();
  }
}

SCENARIO (list_stops, "options/the callback of a list returns -1")
{
  NEGOTIATE (EXPECT (OPT_LIST),
             SEND (REP (3, 2, 5) "u32:1 'a'" REP (3, 2, 5) "u32:1 'b'"
                   ACK (3)));
  CALL (nbd_opt_list (h, list_ret ("list", -1)));
  status ();
}

SCENARIO (list_refused_late, "options/a list is broken off with an error")
{
  NEGOTIATE (EXPECT (OPT_LIST),
             SEND (REP (3, 2, 5) "u32:1 'a'" REFUSE (3, 2)), SERVE);
  CALL (nbd_opt_list (h, list ("list")));
  status ();
  CALL (nbd_opt_go (h));
}

#define BAD_LIST(id, text, ...)                                 \
  SCENARIO (id, "options/list: " text)                          \
  {                                                             \
    NEGOTIATE (QUIET (OPT_LIST), SEND (__VA_ARGS__), SERVE);    \
    CALL (nbd_opt_list (h, list ("list")));                     \
    status ();                                                  \
  }

BAD_LIST (list_beyond, "a name longer than the reply",
          REP (3, 2, 5) "u32:2 'a'" ACK (3))
BAD_LIST (list_huge, "a name of 4 GiB",
          REP (3, 2, 5) "u32:0xffffffff 'a'" ACK (3))
BAD_LIST (list_4096, "a name of 4096 bytes",
          REP (3, 2, 4100) "u32:4096 x4096:61" ACK (3))
BAD_LIST (list_4097, "a name of 4097 bytes",
          REP (3, 2, 4101) "u32:4097 x4097:61" ACK (3))
BAD_LIST (list_text_4096, "a description of 4096 bytes",
          REP (3, 2, 4100) "u32:0 x4096:61" ACK (3))
BAD_LIST (list_text_4097, "a description of 4097 bytes",
          REP (3, 2, 4101) "u32:0 x4097:61" ACK (3))
BAD_LIST (list_nul, "a name with a NUL",
          REP (3, 2, 7) "u32:3 'a' 00 'b'" ACK (3))
BAD_LIST (list_text_nul, "a description with a NUL",
          REP (3, 2, 7) "u32:0 'a' 00 'b'" ACK (3))
BAD_LIST (list_ack, "an ACK with data", REP (3, 1, 1) "00")
BAD_LIST (list_info, "information", REP (3, 3, 2) "u16:0")
BAD_LIST (list_other, "for another option", ACK (7))

/* A reply too short for a length crashes 1.14. */
SCENARIO (list_short, "options/list: a reply of two bytes")
{
  NEGOTIATE (QUIET (OPT_LIST), SEND (REP (3, 2, 2) "u16:0" ACK (3)));
  CALL (nbd_opt_list (h, list ("list")));
  status ();
}

/* Meta contexts. */

SCENARIO (meta_all, "options/contexts, none asked for")
{
  NEGOTIATE (EXPECT (OPTION (9, 8) "u32:0 u32:0"),
             SEND (META_REPLY (9, 0) REP (9, 4, 7) "u32:0 'x:y'" ACK (9)));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
  status ();
}

SCENARIO (meta_some, "options/contexts, one asked for")
{
  NEGOTIATE (EXPECT (OPT_LIST_META), SEND (META_REPLY (9, 0) ACK (9)), SERVE);
  CALL (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
  CALL (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_opt_go (h));
  CALL (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
}

SCENARIO (meta_none, "options/no contexts")
{
  NEGOTIATE (EXPECT (OPTION (9, 8) "u32:0 u32:0"), SEND (ACK (9)));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
}

SCENARIO (meta_stops, "options/the callback of contexts returns -1")
{
  NEGOTIATE (EXPECT (OPTION (9, 8) "u32:0 u32:0"),
             SEND (META_REPLY (9, 0) REP (9, 4, 7) "u32:0 'x:y'" ACK (9)));
  CALL (nbd_opt_list_meta_context (h, context_ret ("context", -1)));
}

SCENARIO (aio_meta, "options/contexts, asynchronously")
{
  NEGOTIATE (EXPECT (OPTION (9, 8) "u32:0 u32:0"), WAIT,
             SEND (META_REPLY (9, 0)), WAIT, SEND (ACK (9)), WAIT);
  CALL (nbd_aio_opt_list_meta_context (h, context ("context"),
                                       done ("done")));
  for (int i = 0; i < 2; i++) {
    go ();
    CALL (nbd_poll (h, -1));
    status ();
  }
}

SCENARIO (meta_no_structured, "options/contexts without structured replies")
{
  create ();
  nbd_set_opt_mode (h, true);
  nbd_set_request_structured_replies (h, false);
  PLAY (SEND (GREETING), QUIET (CLIENT_FLAGS));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
  CALL (nbd_aio_opt_list_meta_context (h, context ("context"),
                                       done ("done")));
  status ();
}

SCENARIO (meta_refused_structured,
          "options/contexts after structured replies were refused")
{
  create ();
  nbd_set_opt_mode (h, true);
  PLAY (SEND (GREETING), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),
        SEND (UNSUP (8)), SERVE);
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  CALL (nbd_get_structured_replies_negotiated (h));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
  CALL (nbd_opt_go (h));
  facts ();
}

#define BAD_META(id, text, ...)                                         \
  SCENARIO (id, "options/context list: " text)                          \
  {                                                                     \
    NEGOTIATE (QUIET (OPTION (9, 8) "u32:0 u32:0"), SEND (__VA_ARGS__), \
               SERVE);                                                  \
    CALL (nbd_opt_list_meta_context (h, context ("context")));          \
    status ();                                                          \
  }

BAD_META (meta_short, "half of an id", REP (9, 4, 2) "u16:0" ACK (9))
BAD_META (meta_no_name, "no name", REP (9, 4, 4) "u32:0" ACK (9))
BAD_META (meta_4096, "a name of 4096 bytes",
          REP (9, 4, 4100) "u32:0 x4096:61" ACK (9))
BAD_META (meta_4097, "a name of 4097 bytes",
          REP (9, 4, 4101) "u32:0 x4097:61" ACK (9))
BAD_META (meta_server, "an export", REP (9, 2, 4) "u32:0" ACK (9))

/* Errors of each option. */

static const struct error {
  uint32_t type;
  const char *name;
} errors[] = {
  { 0x80000001, "UNSUP" }, { 0x80000002, "POLICY" },
  { 0x80000003, "INVALID" }, { 0x80000004, "PLATFORM" },
  { 0x80000005, "TLS_REQD" }, { 0x80000006, "UNKNOWN" },
  { 0x80000007, "SHUTDOWN" }, { 0x80000008, "BLOCK_SIZE_REQD" },
  { 0x80000009, "TOO_BIG" }, { 0x8000004d, "one that is not known" },
};

#define NR_ERRORS (sizeof errors / sizeof errors[0])

static int
sync_go (void)
{
  return nbd_opt_go (h);
}

static int
aio_opt_go (void)
{
  return nbd_aio_opt_go (h, done ("go"));
}

static int
sync_info (void)
{
  return nbd_opt_info (h);
}

static int
aio_info (void)
{
  return nbd_aio_opt_info (h, done ("info"));
}

static int
sync_list (void)
{
  return nbd_opt_list (h, list ("list"));
}

static int
aio_opt_list (void)
{
  return nbd_aio_opt_list (h, list ("list"), done ("done"));
}

static int
sync_meta (void)
{
  return nbd_opt_list_meta_context (h, context ("context"));
}

static int
aio_opt_meta (void)
{
  return nbd_aio_opt_list_meta_context (h, context ("context"),
                                        done ("done"));
}

static const struct option {
  const char *name;
  unsigned number;
  int (*sync) (void);
  int (*aio) (void);
  const char *request;
} options[] = {
  { "go", 7, sync_go, aio_opt_go, OPTION (7, 12) "u32:4 'disk' u16:1 u16:3" },
  { "info", 6, sync_info, aio_info,
    OPTION (6, 12) "u32:4 'disk' u16:1 u16:3" },
  { "list", 3, sync_list, aio_opt_list, OPT_LIST },
  { "contexts", 9, sync_meta, aio_opt_meta,
    OPTION (9, 12) "u32:4 'disk' u32:0" },
};

#define NR_OPTIONS (sizeof options / sizeof options[0])

struct pair {
  const struct option *option;
  const struct error *error;
};

static char error_text[128];

/* The synchronous call, the asynchronous one, and a way out. */
static void
try_error (void *arg)
{
  const struct pair *pair = arg;
  struct step steps[] = {
    OPT_MODE, QUIET (pair->option->request), SEND (error_text),
    QUIET (pair->option->request), WAIT, SEND (error_text), SERVE,
    { STEP_END, NULL }
  };

  snprintf (error_text, sizeof error_text,
            "u64:0x3e889045565a9 u32:%u u32:%#x u32:4 'text'",
            pair->option->number, pair->error->type);
  create ();
  nbd_set_opt_mode (h, true);
  nbd_set_export_name (h, "disk");
  play (steps);
  say ("%s", pair->option->name);
  call_end_int (pair->option->sync ());
  status ();
  say ("asynchronously");
  call_end_int (pair->option->aio ());
  release ();
  await_option ();
  status ();
  CALL (nbd_opt_abort (h));
  finish ();
}

/* UNSUP to go: there is the older option. */
static bool
falls_back (const struct option *o, const struct error *e)
{
  return o->number == 7 && e->type == 0x80000001;
}

static void __attribute__ ((constructor))
add_errors (void)
{
  static struct pair pairs[NR_OPTIONS][NR_ERRORS];
  static char names[NR_OPTIONS][NR_ERRORS][80];

  for (size_t i = 0; i < NR_OPTIONS; i++)
    for (size_t j = 0; j < NR_ERRORS; j++) {
      if (falls_back (&options[i], &errors[j]))
        continue;
      pairs[i][j] = (struct pair) { &options[i], &errors[j] };
      snprintf (names[i][j], sizeof names[i][j], "options/error: %s to %s",
                errors[j].name, options[i].name);
      scenario_add ((struct scenario) { names[i][j], NULL, try_error,
                                        &pairs[i][j] });
    }
}

/* The server goes before it replies, or in the reply. */
static void
try_gone (void *arg)
{
  const struct option *o = arg;

  for (int half = 0; half < 2; half++)
    for (int aio = 0; aio < 2; aio++) {
      struct step steps[] = {
        OPT_MODE, QUIET (o->request), WAIT,
        SEND (half ? "u64:0x3e889045565a9" : ""), CLOSE, { STEP_END, NULL }
      };

      create ();
      nbd_set_opt_mode (h, true);
      nbd_set_export_name (h, "disk");
      play (steps);
      say ("%s, %s%s", o->name, half ? "half a reply" : "no reply",
           aio ? ", asynchronously" : "");
      if (aio) {
        call_end_int (o->aio ());
        release ();
        await_option ();
      }
      else {
        release ();
        call_end_int (o->sync ());
      }
      finish ();
    }
}

/* The server went before the call. */
static void
try_gone_before (void *arg)
{
  const struct option *o = arg;

  for (int aio = 0; aio < 2; aio++) {
    static const struct step steps[] = { OPT_MODE, CLOSE, { STEP_END, NULL } };

    create ();
    nbd_set_opt_mode (h, true);
    nbd_set_export_name (h, "disk");
    play (steps);
    peer_await (peer);
    status ();
    say ("%s%s", o->name, aio ? ", asynchronously" : "");
    call_end_int (aio ? o->aio () : o->sync ());
    await_option ();
    finish ();
  }
}

static void __attribute__ ((constructor))
add_gone (void)
{
  static char names[2][NR_OPTIONS][80];

  for (size_t i = 0; i < NR_OPTIONS; i++) {
    snprintf (names[0][i], sizeof names[0][i],
              "options/gone: %s is not answered", options[i].name);
    scenario_add ((struct scenario) { names[0][i], NULL, try_gone,
                                      (void *) &options[i] });
    snprintf (names[1][i], sizeof names[1][i],
              "options/gone: before %s", options[i].name);
    scenario_add ((struct scenario) { names[1][i], NULL, try_gone_before,
                                      (void *) &options[i] });
  }
}

/* The end. */

SCENARIO (abort_ok, "options/abort")
{
  NEGOTIATE (EXPECT (OPT_ABORT), SEND (ACK (2)));
  CALL (nbd_opt_abort (h));
  status ();
  CALL (nbd_opt_abort (h));
  CALL (nbd_poll (h, 0));
}

SCENARIO (abort_aio, "options/abort, asynchronously")
{
  NEGOTIATE (EXPECT (OPT_ABORT), SEND (ACK (2)));
  CALL (nbd_aio_opt_abort (h));
  status ();
  CALL (nbd_aio_opt_abort (h));
}

SCENARIO (abort_unanswered, "options/abort is not answered")
{
  NEGOTIATE (EXPECT (OPT_ABORT));
  CALL (nbd_opt_abort (h));
  status ();
}

SCENARIO (abort_gone, "options/abort when the server is gone")
{
  NEGOTIATE (CLOSE);
  peer_await (peer);
  CALL (nbd_opt_abort (h));
  status ();
}

SCENARIO (close_paused, "options/close without a word")
{
  NEGOTIATE (WAIT);
}

SCENARIO (close_pending, "options/close while an option is pending")
{
  NEGOTIATE (QUIET (OPT_LIST), WAIT);
  CALL (nbd_aio_opt_list (h, list ("list"), done ("done")));
  peer_await (peer);
}

SCENARIO (shut_down, "options/shutdown")
{
  NEGOTIATE (WAIT);
  CALL (nbd_shutdown (h, 0));
}

/* Calls while an option is pending. */
SCENARIO (pending, "options/calls while an option is pending")
{
  NEGOTIATE (QUIET (OPT_INFO), WAIT, SEND (INFO_EXPORT (6, 512, 5) ACK (6)),
             SERVE);
  CALL (nbd_aio_opt_info (h, done ("info")));
  CALL (nbd_aio_opt_list (h, list ("list"), done ("done")));
  CALL (nbd_opt_go (h));
  CALL (nbd_opt_abort (h));
  CALL (nbd_set_export_name (h, "x"));
  CALL (nbd_get_size (h));
  CALL (nbd_aio_pread (h, buf, 512, 0, done ("read"), 0));
  release ();
  await_option ();
  CALL (nbd_get_size (h));
}

SCENARIO (completion_returns, "options/what the completion callback returns")
{
  NEGOTIATE (QUIET (OPT_INFO), WAIT, SEND (INFO_EXPORT (6, 512, 5) ACK (6)),
             QUIET (OPT_INFO), WAIT, SEND (INFO_EXPORT (6, 512, 5) ACK (6)));
  CALL (nbd_aio_opt_info (h, done_ret ("one", 1, KEEP)));
  release ();
  await_option ();
  CALL (nbd_aio_opt_info (h, done_ret ("minus", -1, 5)));
  release ();
  await_option ();
  status ();
  CALL (nbd_get_size (h));
}

SCENARIO (many_options, "options/one after another")
{
  NEGOTIATE (SERVE);
  CALL (nbd_opt_list (h, list ("list")));
  CALL (nbd_opt_info (h));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
  CALL (nbd_opt_info (h));
  CALL (nbd_opt_list (h, list ("list")));
  CALL (nbd_opt_go (h));
  CALL (nbd_pread (h, buf, 512, 0, 0));
}

SCENARIO (settings_between, "options/settings between options")
{
  NEGOTIATE (SERVE);
  CALL (nbd_set_export_name (h, "one"));
  CALL (nbd_set_full_info (h, true));
  CALL (nbd_opt_info (h));
  CALL (nbd_set_full_info (h, false));
  CALL (nbd_set_request_block_size (h, false));
  CALL (nbd_set_export_name (h, "two"));
  CALL (nbd_add_meta_context (h, "base:allocation"));
  CALL (nbd_opt_info (h));
  CALL (nbd_clear_meta_contexts (h));
  CALL (nbd_set_export_name (h, ""));
  CALL (nbd_opt_go (h));
}
