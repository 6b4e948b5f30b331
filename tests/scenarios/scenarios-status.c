/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Block status. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "scenario.h"

#define EXTENTS(flags, cookie, length, id) \
  CHUNK (flags, 5, cookie, length) "u32:" #id " "

static void
ask_1024 (void)
{
  CALL (nbd_aio_block_status (h, 1024, 4096, extent ("extents"),
                              done ("done"), 0));
  go ();
  settle ();
  status ();
  CALL (nbd_aio_command_completed (h, 1));
  if (nbd_aio_is_ready (h)) {
    release ();
    CALL (nbd_flush (h, 0));
  }
}

/* The answer to a request for 1024 bytes at 4096 of 1 MiB. */
#define STATUS(id, text, ...)                                           \
  SCENARIO (id, "status/" text)                                         \
  {                                                                     \
    PLAY_META (QUIET (BLOCK_STATUS (1, 4096, 1024)), WAIT,              \
               SEND (__VA_ARGS__), WAIT, SERVE);                        \
    ask_1024 ();                                                        \
  }

STATUS (one, "one extent", EXTENTS (1, 1, 12, 7) "u32:1024 u32:0")
STATUS (three, "three extents",
        EXTENTS (1, 1, 28, 7) "u32:512 u32:3 u32:256 u32:0 u32:256 u32:1")
STATUS (shorter, "less than was asked for",
        EXTENTS (1, 1, 12, 7) "u32:512 u32:0")
STATUS (longer, "more than was asked for",
        EXTENTS (1, 1, 12, 7) "u32:65536 u32:0")
STATUS (to_the_end, "up to the end of the export",
        EXTENTS (1, 1, 12, 7) "u32:1044480 u32:0")
STATUS (beyond, "beyond the end of the export",
        EXTENTS (1, 1, 12, 7) "u32:1044481 u32:0")
STATUS (far_beyond, "far beyond the end of the export",
        EXTENTS (1, 1, 12, 7) "u32:0xffffffff u32:0")
STATUS (second_beyond, "the second extent beyond the end",
        EXTENTS (1, 1, 20, 7) "u32:1024 u32:0 u32:0xffffffff u32:1")
STATUS (more_than_needed, "more extents than were needed",
        EXTENTS (1, 1, 28, 7) "u32:1024 u32:0 u32:512 u32:1 u32:512 u32:2")
STATUS (empty_extent, "an extent of no bytes",
        EXTENTS (1, 1, 12, 7) "u32:0 u32:0")
STATUS (second_empty, "the second extent of no bytes",
        EXTENTS (1, 1, 20, 7) "u32:512 u32:0 u32:0 u32:1")
STATUS (all_flags, "all flags",
        EXTENTS (1, 1, 12, 7) "u32:1024 u32:0xffffffff")
STATUS (done_later, "extents, then the end",
        EXTENTS (0, 1, 12, 7) "u32:1024 u32:0" DONE (1))
STATUS (same_twice, "the same context twice",
        EXTENTS (0, 1, 12, 7) "u32:512 u32:0"
        EXTENTS (1, 1, 12, 7) "u32:512 u32:1")
STATUS (nothing, "nothing but the end", DONE (1))
STATUS (error_only, "an error", ERROR (1, 22))
STATUS (extents_error, "extents, then an error",
        EXTENTS (0, 1, 12, 7) "u32:1024 u32:0" ERROR (1, 5))
STATUS (simple_error, "a simple error", REPLY (1, 5))
STATUS (simple_ok, "a simple success", REPLY (1, 0))

STATUS (other_id, "broken: a context that was not agreed",
        EXTENTS (1, 1, 12, 6) "u32:1024 u32:0")
STATUS (both_ids, "broken: one context that was agreed and one that was not",
        EXTENTS (0, 1, 12, 6) "u32:1024 u32:0"
        EXTENTS (1, 1, 12, 7) "u32:1024 u32:0")
STATUS (no_extents, "broken: no extents", EXTENTS (1, 1, 4, 7))
STATUS (no_id, "broken: no context", CHUNK (1, 5, 1, 0))
STATUS (half_id, "broken: half a context", CHUNK (1, 5, 1, 2) "u16:0")
STATUS (odd_length, "broken: half an extent",
        EXTENTS (1, 1, 8, 7) "u32:1024")
STATUS (odd_length_2, "broken: an extent and a half",
        EXTENTS (1, 1, 16, 7) "u32:512 u32:0 u32:512")
STATUS (huge_length, "broken: a chunk of 4 GiB",
        CHUNK (1, 5, 1, 0xfffffffc))
STATUS (data, "broken: data", CHUNK (1, 1, 1, 12) "u64:4096 u32:0")
STATUS (hole, "broken: a hole", CHUNK (1, 2, 1, 12) "u64:4096 u32:1024")
STATUS (wide, "broken: extents of extended headers",
        CHUNK (1, 6, 1, 24) "u32:7 u32:1 u64:1024 u64:0")

SCENARIO (sync_ok, "status/synchronous")
{
  PLAY_META (EXPECT (BLOCK_STATUS (1, 0, 65536)),
             SEND (EXTENTS (1, 1, 20, 7) "u32:4096 u32:0 u32:61440 u32:3"));
  CALL (nbd_block_status (h, 65536, 0, extent ("extents"), 0));
}

SCENARIO (sync_one, "status/the request for one extent is sent")
{
  PLAY_META (EXPECT (REQUEST (8, 7, 1, 0, 65536)),
             SEND (EXTENTS (1, 1, 12, 7) "u32:4096 u32:0"));
  CALL (nbd_block_status (h, 65536, 0, extent ("extents"),
                          LIBNBD_CMD_FLAG_REQ_ONE));
}

SCENARIO (sync_error, "status/synchronous: an error with a text")
{
  PLAY_META (QUIET (BLOCK_STATUS (1, 0, 512)),
             SEND (CHUNK (1, 0x8001, 1, 10) "u32:12 u16:4 'full'"), SERVE);
  CALL (nbd_block_status (h, 512, 0, extent ("extents"), 0));
  CALL (nbd_flush (h, 0));
}

SCENARIO (two_contexts, "status/two contexts")
{
  create ();
  nbd_add_meta_context (h, "base:allocation");
  nbd_add_meta_context (h, "x:y");
  PLAY (SEND (GREETING), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),
        SEND (ACK (8)),
        QUIET (OPTION (10, 34) "u32:0 u32:2 u32:15 'base:allocation'"
               "u32:3 'x:y'"),
        SEND (META_REPLY (10, 7) REP (10, 4, 7) "u32:0 'x:y'" ACK (10)),
        QUIET (OPT_GO), SEND (INFO_EXPORT (7, 1048576, 0x0dfd) ACK (7)),
        QUIET (BLOCK_STATUS (1, 0, 512)),
        SEND (EXTENTS (0, 1, 12, 7) "u32:512 u32:0"
              EXTENTS (1, 1, 12, 0) "u32:256 u32:9"), SERVE);
  CALL (nbd_block_status (h, 512, 0, extent ("extents"), 0));
}

#define EXTENT_RETURNS(id, text, ret, error)                            \
  SCENARIO (id, "status/callback: " text)                               \
  {                                                                     \
    PLAY_META (QUIET (BLOCK_STATUS (1, 0, 512)),                        \
               SEND (EXTENTS (0, 1, 12, 7) "u32:512 u32:0"              \
                     EXTENTS (1, 1, 12, 7) "u32:512 u32:1"), SERVE);    \
    CALL (nbd_block_status (h, 512, 0,                                  \
                            extent_ret ("extents", ret, error), 0));    \
    CALL (nbd_flush (h, 0));                                            \
  }

EXTENT_RETURNS (returns_1, "returns 1", 1, KEEP)
EXTENT_RETURNS (returns_error, "returns 0 and an error", 0, 12)
EXTENT_RETURNS (returns_minus, "returns -1", -1, KEEP)
EXTENT_RETURNS (returns_minus_error, "returns -1 and an error", -1, 12)

SCENARIO (many_extents, "status/ten thousand extents")
{
  static char text[32 + 10000 * 16];
  static struct step steps[] = {
    META, QUIET (BLOCK_STATUS (1, 0, 10000)), SEND (text),
    { STEP_END, NULL },
  };
  char *p = text;

  create ();
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  p += sprintf (p, CHUNK (1, 5, 1, 80004) "u32:7 ");
  for (int i = 0; i < 10000; i++)
    p += sprintf (p, "u32:1 u32:%d ", i % 4);
  play (steps);
  CALL (nbd_block_status (h, 10000, 0, extent ("extents"), 0));
}

SCENARIO (pieces, "status/extents in pieces")
{
  PLAY_META (QUIET (BLOCK_STATUS (1, 0, 512)), WAIT,
             SEND (CHUNK (1, 5, 1, 20)), WAIT, SEND ("u32:7 u32:256"), WAIT,
             SEND ("u32:0 u32:256"), WAIT, SEND ("u32:3"), WAIT);
  CALL (nbd_aio_block_status (h, 512, 0, extent ("extents"), done ("done"),
                              0));
  for (int i = 0; i < 4; i++) {
    go ();
    CALL (nbd_poll (h, -1));
    status ();
  }
}

SCENARIO (gone, "status/gone: in the extents")
{
  PLAY_META (QUIET (BLOCK_STATUS (1, 0, 512)), WAIT,
             SEND (CHUNK (1, 5, 1, 20) "u32:7 u32:256"), CLOSE);
  CALL (nbd_aio_block_status (h, 512, 0, extent ("extents"), done ("done"),
                              0));
  go ();
  for (int i = 0; i < 3 && !nbd_aio_is_dead (h); i++)
    if (nbd_poll (h, -1) == -1)
      show_error ();
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (not_structured, "status/contexts were asked for in vain")
{
  create ();
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  PLAY (SIMPLE, SERVE);
  CALL (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_block_status (h, 512, 0, extent ("extents"), 0));
}
