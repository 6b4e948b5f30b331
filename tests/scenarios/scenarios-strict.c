/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Strict mode: each check of each command, with the check on, with it off, and
 * what speaks first when several would.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "scenario.h"

#define HAS_FLAGS 0x001
#define READ_ONLY 0x002
#define CAN_FLUSH 0x004
#define CAN_FUA 0x008
#define CAN_TRIM 0x020
#define CAN_ZERO 0x040
#define CAN_DF 0x080
#define CAN_CACHE 0x400
#define CAN_FAST_ZERO 0x800
#define ALL 0xced

/* An export of SIZE bytes; the peer serves. */
static void
connect_export (uint64_t size, unsigned flags, unsigned minimum,
                bool structured, bool meta)
{
  static char info[512];
  static struct step steps[12];
  size_t n = 0;

  create ();
  snprintf (info, sizeof info, REP (7, 3, 12) "u16:0 u64:%" PRIu64 " u16:%u "
            REP (7, 3, 14) "u16:3 u32:%u u32:4096 u32:0xffffffff " ACK (7),
            size, flags, minimum);
  steps[n++] = (struct step) SEND (GREETING);
  steps[n++] = (struct step) QUIET (CLIENT_FLAGS);
  if (structured) {
    steps[n++] = (struct step) QUIET (OPT_STRUCTURED);
    steps[n++] = (struct step) SEND (ACK (8));
  }
  else
    nbd_set_request_structured_replies (h, false);
  if (meta) {
    nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
    steps[n++] = (struct step) QUIET (OPT_SET_META);
    steps[n++] = (struct step) SEND (META_REPLY (10, 7) ACK (10));
  }
  steps[n++] = (struct step) QUIET (OPT_GO);
  steps[n++] = (struct step) SEND (info);
  steps[n++] = (struct step) SERVE_LARGE;
  if (size <= 1048576)
    steps[n - 1] = (struct step) SERVE;
  steps[n] = (struct step) { STEP_END, NULL };
  play (steps);
}

/* The commands, without replies that are structured: they would be told apart
 * by the peer.
 */
struct command {
  const char *name;
  int (*call) (uint64_t count, uint64_t offset, uint32_t flags);
  int64_t (*aio) (uint64_t count, uint64_t offset, uint32_t flags);
};

static char *big;               /* more than 64 MiB */

static int
call_pread (uint64_t count, uint64_t offset, uint32_t flags)
{
  return nbd_pread (h, big, count, offset, flags);
}

static int64_t
aio_pread (uint64_t count, uint64_t offset, uint32_t flags)
{
  return nbd_aio_pread (h, big, count, offset, done ("d"), flags);
}

static int
call_pread_structured (uint64_t count, uint64_t offset, uint32_t flags)
{
  return nbd_pread_structured (h, big, count, offset,
                               ONLY_FREE (nbd_chunk_callback, "c"), flags);
}

static int64_t
aio_pread_structured (uint64_t count, uint64_t offset, uint32_t flags)
{
  return nbd_aio_pread_structured (h, big, count, offset,
                                   ONLY_FREE (nbd_chunk_callback, "c"),
                                   done ("d"), flags);
}

static int
call_pwrite (uint64_t count, uint64_t offset, uint32_t flags)
{
  return nbd_pwrite (h, big, count, offset, flags);
}

static int64_t
aio_pwrite (uint64_t count, uint64_t offset, uint32_t flags)
{
  return nbd_aio_pwrite (h, big, count, offset, done ("d"), flags);
}

#define RANGE_COMMAND(name)                                             \
  static int                                                            \
  call_##name (uint64_t count, uint64_t offset, uint32_t flags)         \
  {                                                                     \
    return nbd_##name (h, count, offset, flags);                        \
  }                                                                     \
                                                                        \
  static int64_t                                                        \
  aio_##name (uint64_t count, uint64_t offset, uint32_t flags)          \
  {                                                                     \
    return nbd_aio_##name (h, count, offset, done ("d"), flags);        \
  }

RANGE_COMMAND (trim)
RANGE_COMMAND (cache)
RANGE_COMMAND (zero)

static int
call_block_status (uint64_t count, uint64_t offset, uint32_t flags)
{
  return nbd_block_status (h, count, offset,
                           ONLY_FREE (nbd_extent_callback, "e"), flags);
}

static int64_t
aio_block_status (uint64_t count, uint64_t offset, uint32_t flags)
{
  return nbd_aio_block_status (h, count, offset,
                               ONLY_FREE (nbd_extent_callback, "e"),
                               done ("d"), flags);
}

#define COMMAND(name) { "nbd_" #name, call_##name, aio_##name }

static const struct command commands[] = {
  COMMAND (pread), COMMAND (pread_structured), COMMAND (pwrite),
  COMMAND (trim), COMMAND (cache), COMMAND (zero), COMMAND (block_status),
};

#define NR_COMMANDS (sizeof commands / sizeof commands[0])

/* The ranges; BIT is the check that refuses them, 0 if it cannot be off. */
static const struct range {
  const char *name;
  uint64_t size, count, offset;
  unsigned minimum;
  uint32_t bit;
} ranges[] = {
  { "nothing", 1048576, 0, 0, 1, LIBNBD_STRICT_ZERO_SIZE },
  { "nothing at the end", 1048576, 0, 1048576, 1, LIBNBD_STRICT_ZERO_SIZE },
  { "the last byte", 1048576, 1, 1048575, 1, 0 },
  { "one byte after the end", 1048576, 1, 1048576, 1, LIBNBD_STRICT_BOUNDS },
  { "across the end", 1048576, 4096, 1046528, 1, LIBNBD_STRICT_BOUNDS },
  { "far beyond the end", 1048576, 16, UINT64_C (1) << 62, 1,
    LIBNBD_STRICT_BOUNDS },
  { "around the largest number", 1048576, 4096, UINT64_MAX - 15, 1,
    LIBNBD_STRICT_BOUNDS },
  { "an unaligned offset", 1048576, 512, 256, 512, LIBNBD_STRICT_ALIGN },
  { "an unaligned count", 1048576, 256, 512, 512, LIBNBD_STRICT_ALIGN },
  { "an unaligned end of the export", 1048568, 504, 1048064, 512,
    LIBNBD_STRICT_ALIGN },
  { "an aligned range", 1048576, 512, 1024, 512, 0 },
};

static void
show_calls (const struct command *c, uint64_t count, uint64_t offset,
            uint32_t flags)
{
  say ("%s, count %" PRIu64 ", offset %" PRIu64 ", flags %#x", c->name, count,
       offset, flags);
  call_end_int (c->call (count, offset, flags));
  say ("asynchronously");
  call_end_long (c->aio (count, offset, flags));
  settle ();
  status ();
}

struct pair {
  const struct command *command;
  const void *row;
};

/* Where block status is concerned it has a context, and structured replies. */
static bool
wants_contexts (const struct command *c)
{
  return c->call == call_block_status;
}

static void
try_range (void *arg)
{
  const struct pair *pair = arg;
  const struct range *r = pair->row;
  const struct command *c = pair->command;
  bool meta = wants_contexts (c);

  big = buf;
  connect_export (r->size, ALL, r->minimum, meta, meta);
  nbd_set_strict_mode (h, 0x1f);
  show_calls (c, r->count, r->offset, 0);
  if (r->bit == 0)
    return;
  nbd_set_strict_mode (h, r->bit);
  say ("no other check");
  show_calls (c, r->count, r->offset, 0);
  nbd_set_strict_mode (h, 0x1f & ~r->bit);
  say ("without the check");
  show_calls (c, r->count, r->offset, 0);
}

static void __attribute__ ((constructor))
add_ranges (void)
{
  static struct pair pairs[NR_COMMANDS][sizeof ranges / sizeof ranges[0]];
  static char names[NR_COMMANDS][sizeof ranges / sizeof ranges[0]][80];

  for (size_t i = 0; i < NR_COMMANDS; i++)
    for (size_t j = 0; j < sizeof ranges / sizeof ranges[0]; j++) {
      pairs[i][j] = (struct pair) { &commands[i], &ranges[j] };
      snprintf (names[i][j], sizeof names[i][j], "strict/%s: %s",
                commands[i].name, ranges[j].name);
      scenario_add ((struct scenario) { names[i][j], NULL, try_range,
                                        &pairs[i][j] });
    }
}

/* Too large, whatever is checked. */
static void
try_large (void *arg)
{
  static const uint64_t counts[] = {
    64 * 1048576 + 1, 64 * 1048576 + 512, UINT64_C (1) << 32,
    UINT64_C (1) << 40, INT64_MAX,
  };
  const struct command *c = arg;
  bool meta = wants_contexts (c);

  /* The buffer is never touched. */
  big = buf;
  connect_export (INT64_MAX, ALL, 512, meta, meta);
  nbd_set_pread_initialize (h, false);
  for (int strict = 0x1f; strict >= 0; strict -= 0x1f) {
    nbd_set_strict_mode (h, strict);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
      /* A trim of 64 MiB and a little is not too large. */
      if (i < 2 && c > &commands[2])
        continue;
      show_calls (c, counts[i], 0, 0);
    }
  }
}

static void __attribute__ ((constructor))
add_large (void)
{
  static char names[NR_COMMANDS][80];

  for (size_t i = 0; i < NR_COMMANDS; i++) {
    snprintf (names[i], sizeof names[i], "strict/%s: too large",
              commands[i].name);
    scenario_add ((struct scenario) { names[i], NULL, try_large,
                                      (void *) &commands[i] });
  }
}

SCENARIO (largest, "strict/exactly 64 MiB")
{
  big = calloc (64, 1048576);
  connect_export (UINT64_C (1) << 40, ALL, 1, false, false);
  nbd_set_strict_mode (h, 0x1f);
  CALL (nbd_pread (h, big, 64 * 1048576, 0, 0));
  show (big, 64 * 1048576);
  CALL (nbd_pwrite (h, big, 64 * 1048576, 0, 0));
  free (big);
}

SCENARIO (largest_range, "strict/one byte less than 4 GiB")
{
  connect_export (UINT64_C (1) << 40, ALL, 1, true, true);
  nbd_set_strict_mode (h, 0x1f);
  CALL (nbd_trim (h, UINT32_MAX, 0, 0));
  CALL (nbd_zero (h, UINT32_MAX, 0, 0));
  CALL (nbd_cache (h, UINT32_MAX, 0, 0));
  CALL (nbd_block_status (h, UINT32_MAX, 0, extent ("e"), 0));
}

/* What the server did not advertise. */

static const struct lack {
  const char *name;
  unsigned flags;
  uint32_t command_flags;
} lacks[] = {
  { "nothing is advertised", HAS_FLAGS, 0 },
  { "read only", ALL | READ_ONLY, 0 },
  { "read only, and nothing else", HAS_FLAGS | READ_ONLY, 0 },
  { "FUA without it", ALL & ~CAN_FUA, LIBNBD_CMD_FLAG_FUA },
  { "FUA with it", ALL, LIBNBD_CMD_FLAG_FUA },
  { "fast zero without it", ALL & ~CAN_FAST_ZERO, LIBNBD_CMD_FLAG_FAST_ZERO },
  { "fast zero with it", ALL, LIBNBD_CMD_FLAG_FAST_ZERO },
  { "DF without it", ALL & ~CAN_DF, LIBNBD_CMD_FLAG_DF },
  { "DF with it", ALL, LIBNBD_CMD_FLAG_DF },
  { "no hole", ALL, LIBNBD_CMD_FLAG_NO_HOLE },
  { "request one", ALL, LIBNBD_CMD_FLAG_REQ_ONE },
};

static void
try_lack (void *arg)
{
  const struct lack *l = arg;

  big = buf;
  for (int strict = 0x1f; strict >= 0x1e; strict--) {
    connect_export (1048576, l->flags, 1, true, true);
    nbd_set_strict_mode (h, strict);
    say ("strict mode %#x", strict);
    for (size_t i = 0; i < NR_COMMANDS; i++)
      /* The peer knows nothing of DF, but its replies are the same. */
      if (commands[i].call != call_pread &&
          commands[i].call != call_pread_structured)
        show_calls (&commands[i], 512, 0, l->command_flags);
    CALL (nbd_flush (h, 0));
    CALL (nbd_aio_flush (h, done ("d"), 0));
    settle ();
    finish ();
  }
}

static void
try_lack_read (void *arg)
{
  const struct lack *l = arg;

  big = buf;
  for (int structured = 1; structured >= 0; structured--)
    for (int strict = 0x1f; strict >= 0x1e; strict--) {
      connect_export (1048576, l->flags, 1, structured, false);
      nbd_set_strict_mode (h, strict);
      say ("strict mode %#x, structured %d", strict, structured);
      CALL (nbd_can_df (h));
      /* Only what is refused: the peer has no structured replies here. */
      if (!structured) {
        show_calls (&commands[0], 512, 0, l->command_flags);
        show_calls (&commands[1], 512, 0, l->command_flags);
      }
      else if (strict == 0x1f && l->command_flags == LIBNBD_CMD_FLAG_DF &&
               !(l->flags & CAN_DF))
        show_calls (&commands[1], 512, 0, l->command_flags);
      finish ();
    }
}

static void __attribute__ ((constructor))
add_lacks (void)
{
  static char names[2][sizeof lacks / sizeof lacks[0]][80];

  for (size_t i = 0; i < sizeof lacks / sizeof lacks[0]; i++) {
    snprintf (names[0][i], sizeof names[0][i], "strict/server: %s",
              lacks[i].name);
    scenario_add ((struct scenario) { names[0][i], NULL, try_lack,
                                      (void *) &lacks[i] });
    snprintf (names[1][i], sizeof names[1][i], "strict/server, reading: %s",
              lacks[i].name);
    scenario_add ((struct scenario) { names[1][i], NULL, try_lack_read,
                                      (void *) &lacks[i] });
  }
}

SCENARIO (no_structured, "strict/block status without structured replies")
{
  connect_export (1048576, ALL, 1, false, false);
  nbd_set_strict_mode (h, 0x1f);
  CALL (nbd_block_status (h, 512, 0, extent ("e"), 0));
  CALL (nbd_aio_block_status (h, 512, 0, extent ("e"), done ("d"), 0));
}

SCENARIO (no_contexts, "strict/block status without contexts")
{
  connect_export (1048576, ALL, 1, true, false);
  nbd_set_strict_mode (h, 0x1f);
  CALL (nbd_block_status (h, 512, 0, extent ("e"), 0));
  CALL (nbd_block_status (h, 0, 2000000, extent ("e"), 0));
}

SCENARIO (no_contexts_sent,
          "strict/block status without contexts, and not checked")
{
  PLAY (STRUCTURED, EXPECT (BLOCK_STATUS (1, 0, 512)), SEND (ERROR (1, 22)));
  nbd_set_strict_mode (h, 0x1e);
  CALL (nbd_block_status (h, 512, 0, extent ("e"), 0));
}

SCENARIO (after_disconnect, "strict/every command after a disconnect")
{
  connect_export (1048576, ALL, 1, true, true);
  big = buf;
  nbd_aio_disconnect (h, 0);
  for (size_t i = 0; i < NR_COMMANDS; i++) {
    call_end_int (commands[i].call (512, 0, 0));
    call_end_long (commands[i].aio (512, 0, 0));
  }
  CALL (nbd_flush (h, 0));
  CALL (nbd_aio_disconnect (h, 0));
}

SCENARIO (disconnect_or_context,
          "strict/a missing context speaks before a disconnect")
{
  connect_export (1048576, ALL, 1, true, false);
  nbd_aio_disconnect (h, 0);
  CALL (nbd_block_status (h, 512, 0, extent ("e"), 0));
}

SCENARIO (disconnect_or_range, "strict/a disconnect speaks before the range")
{
  connect_export (1048576, ALL, 1, false, false);
  nbd_aio_disconnect (h, 0);
  CALL (nbd_pread (h, buf, 0, 0, 0));
  CALL (nbd_pread (h, buf, 1, 2000000, 0));
}

SCENARIO (zero_or_bounds, "strict/nothing, beyond the end")
{
  connect_export (1048576, ALL, 512, false, false);
  nbd_set_strict_mode (h, 0x1f);
  CALL (nbd_pread (h, buf, 0, 2000000, 0));
  CALL (nbd_trim (h, 0, 2000000, 0));
}

SCENARIO (bounds_or_align, "strict/unaligned, and beyond the end")
{
  connect_export (1048576, ALL, 512, false, false);
  nbd_set_strict_mode (h, 0x1f);
  CALL (nbd_pread (h, buf, 1, 2000000, 0));
  CALL (nbd_pwrite (h, buf, 1, 2000000, 0));
  CALL (nbd_zero (h, 1, 2000000, 0));
}

SCENARIO (bounds_or_large, "strict/too large, and beyond the end")
{
  connect_export (1048576, ALL, 512, false, false);
  nbd_set_strict_mode (h, 0x1f);
  nbd_set_pread_initialize (h, false);
  CALL (nbd_pread (h, buf, 64 * 1048576 + 512, 0, 0));
  CALL (nbd_trim (h, UINT64_C (1) << 33, 0, 0));
}

SCENARIO (align_or_large, "strict/too large, and unaligned")
{
  connect_export (UINT64_C (1) << 40, ALL, 512, false, false);
  nbd_set_strict_mode (h, 0x1f);
  nbd_set_pread_initialize (h, false);
  CALL (nbd_pread (h, buf, 64 * 1048576 + 1, 0, 0));
  CALL (nbd_zero (h, (UINT64_C (1) << 33) + 1, 0, 0));
}

SCENARIO (flags_or_server, "strict/a bad flag, and read only")
{
  connect_export (1048576, HAS_FLAGS | READ_ONLY, 512, false, false);
  nbd_set_strict_mode (h, 0x1f);
  CALL (nbd_pwrite (h, buf, 0, 2000000, LIBNBD_CMD_FLAG_DF));
  CALL (nbd_pwrite (h, buf, 0, 2000000, LIBNBD_CMD_FLAG_FUA));
  CALL (nbd_trim (h, 0, 2000000, LIBNBD_CMD_FLAG_FUA));
  CALL (nbd_zero (h, 0, 2000000, LIBNBD_CMD_FLAG_FUA));
}

SCENARIO (fua_or_fast, "strict/FUA and fast zero, neither of them there")
{
  connect_export (1048576, HAS_FLAGS | CAN_ZERO, 512, false, false);
  nbd_set_strict_mode (h, 0x1f);
  CALL (nbd_zero (h, 512, 0, LIBNBD_CMD_FLAG_FAST_ZERO |
                  LIBNBD_CMD_FLAG_FUA));
  CALL (nbd_zero (h, 0, 2000000, LIBNBD_CMD_FLAG_FAST_ZERO));
}

SCENARIO (empty_export, "strict/an export of no bytes")
{
  connect_export (0, ALL, 1, false, false);
  nbd_set_strict_mode (h, 0x1f);
  CALL (nbd_get_size (h));
  CALL (nbd_pread (h, buf, 1, 0, 0));
  CALL (nbd_pread (h, buf, 0, 0, 0));
  CALL (nbd_pwrite (h, buf, 1, 0, 0));
}

SCENARIO (maximum_write, "strict/a write above the server's maximum")
{
  PLAY (SEND (GREETING), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),
        SEND (UNSUP (8)), QUIET (OPT_GO),
        SEND (INFO_EXPORT (7, 67108864, 0x0dfd)
              INFO_BLOCK_SIZE (7, 1, 4096, 65536) ACK (7)), SERVE);
  nbd_set_strict_mode (h, 0x1f);
  CALL (nbd_pwrite (h, buf, 131072, 0, 0));
  CALL (nbd_pread (h, buf, 131072, 0, 0));
}
