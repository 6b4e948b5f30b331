/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Structured replies to reads, and to commands without content. */

#include "config.h"

#include <stdio.h>

#include "scenario.h"

#define DATA(flags, cookie, length, offset) \
  CHUNK (flags, 1, cookie, length) "u64:" #offset " "
#define HOLE(flags, cookie, offset, count) \
  CHUNK (flags, 2, cookie, 12) "u64:" #offset " u32:" #count " "

/* A read of 1024 bytes at 4096 is answered; afterwards a flush shows whether
 * the connection lives.
 */
static void
read_1024 (void)
{
  memset (buf, 0xee, 2048);
  CALL (nbd_aio_pread_structured (h, buf, 1024, 4096, chunk ("chunk"),
                                  done ("done"), 0));
  go ();
  settle ();
  status ();
  CALL (nbd_aio_command_completed (h, 1));
  show (buf, 1040);
  if (nbd_aio_is_ready (h)) {
    release ();
    CALL (nbd_flush (h, 0));
  }
}

#define READING(id, text, ...)                                          \
  SCENARIO (id, "structured/" text)                                     \
  {                                                                     \
    PLAY (STRUCTURED, QUIET (READ (1, 4096, 1024)), WAIT,               \
          SEND (__VA_ARGS__), WAIT, SERVE);                             \
    read_1024 ();                                                       \
  }

/* What is well formed. */
READING (data_one, "one chunk of data", DATA (1, 1, 1032, 4096) "x1024:aa")
READING (data_two, "two chunks of data",
         DATA (0, 1, 520, 4096) "x512:aa" DATA (1, 1, 520, 4608) "x512:bb")
READING (data_backwards, "two chunks of data, backwards",
         DATA (0, 1, 520, 4608) "x512:bb" DATA (1, 1, 520, 4096) "x512:aa")
READING (data_none, "data, then the end",
         DATA (0, 1, 1032, 4096) "x1024:aa" DONE (1))
READING (hole_one, "one hole", HOLE (1, 1, 4096, 1024))
READING (hole_data, "a hole and data",
         HOLE (0, 1, 4096, 512) DATA (1, 1, 520, 4608) "x512:bb")
READING (data_hole, "data and a hole",
         DATA (0, 1, 520, 4096) "x512:aa" HOLE (1, 1, 4608, 512))
READING (data_bytes, "data byte by byte",
         DATA (0, 1, 9, 4096) "aa" DATA (0, 1, 9, 4097) "bb"
         HOLE (1, 1, 4098, 1022))
READING (error_only, "an error", ERROR (1, 5))
READING (error_text, "an error with a text",
         CHUNK (1, 0x8001, 1, 12) "u32:28 u16:6 'broken'")
READING (error_text_4096, "an error with a text of 4096 bytes",
         CHUNK (1, 0x8001, 1, 4102) "u32:28 u16:4096 x4096:61")
READING (error_then_done, "an error, then the end",
         CHUNK (0, 0x8001, 1, 6) "u32:5 u16:0" DONE (1))
READING (data_error, "data, then an error",
         DATA (0, 1, 520, 4096) "x512:aa" ERROR (1, 5))
READING (error_data, "an error, then data",
         CHUNK (0, 0x8001, 1, 6) "u32:5 u16:0"
         DATA (1, 1, 1032, 4096) "x1024:aa")
READING (error_offset, "an error at an offset",
         CHUNK (1, 0x8002, 1, 14) "u32:5 u16:0 u64:4608")
READING (error_offset_text, "an error at an offset, with a text",
         CHUNK (1, 0x8002, 1, 18) "u32:5 u16:4 'text' u64:4096")
READING (data_error_offset, "data, an error at an offset, the end",
         DATA (0, 1, 520, 4096) "x512:aa"
         CHUNK (0, 0x8002, 1, 14) "u32:5 u16:0 u64:4608" DONE (1))
READING (error_two, "two errors",
         CHUNK (0, 0x8001, 1, 6) "u32:28 u16:0" ERROR (1, 5))
READING (error_two_offsets, "two errors at offsets",
         CHUNK (0, 0x8002, 1, 14) "u32:28 u16:0 u64:4096"
         CHUNK (1, 0x8002, 1, 14) "u32:12 u16:0 u64:4100")
READING (error_unknown_type, "an error of an unknown type",
         CHUNK (1, 0x8063, 1, 10) "u32:28 u16:2 'no' u16:0")
READING (error_unknown_number, "an error of an unknown number",
         ERROR (1, 9999))
READING (error_zero, "an error that is none", ERROR (1, 0))
READING (error_offset_zero, "an error at an offset that is none",
         CHUNK (1, 0x8002, 1, 14) "u32:0 u16:0 u64:4096")
READING (unknown_flags, "unknown flags",
         CHUNK (0xffff, 1, 1, 1032) "u64:4096 x1024:aa")

/* Too little, too much. */
READING (short_none, "nothing but the end", DONE (1))
READING (short_data, "half of the data", DATA (1, 1, 520, 4096) "x512:aa")
READING (short_data_done, "half of the data, then the end",
         DATA (0, 1, 520, 4096) "x512:aa" DONE (1))
READING (short_hole, "half a hole", HOLE (1, 1, 4096, 512))
READING (data_twice, "the same half twice",
         DATA (0, 1, 520, 4096) "x512:aa" DATA (1, 1, 520, 4096) "x512:bb")
READING (data_overlap, "overlapping data",
         DATA (0, 1, 1032, 4096) "x1024:aa" DATA (1, 1, 520, 4096) "x512:bb")
READING (data_empty, "data of no bytes",
         DATA (0, 1, 8, 4096) DATA (1, 1, 1032, 4096) "x1024:aa")
READING (hole_empty, "a hole of no bytes",
         HOLE (0, 1, 4096, 0) HOLE (1, 1, 4096, 1024))

/* What breaks the rules. */
READING (data_before, "broken: data before the request",
         DATA (1, 1, 520, 3584) "x512:aa")
READING (data_across_start, "broken: data across the start",
         DATA (1, 1, 520, 3840) "x512:aa")
READING (data_across_end, "broken: data across the end",
         DATA (1, 1, 520, 4864) "x512:aa")
READING (data_behind, "broken: data behind the request",
         DATA (1, 1, 520, 5120) "x512:aa")
READING (data_overflow, "broken: data at the largest offset",
         DATA (1, 1, 520, 0xffffffffffffff00) "x512:aa")
READING (data_long, "broken: more data than asked for",
         DATA (1, 1, 1033, 4096) "x1025:aa")
READING (data_huge, "broken: data of 4 GiB", CHUNK (1, 1, 1, 0xffffffff))
READING (data_short_header, "broken: data without an offset",
         CHUNK (1, 1, 1, 7) "x7:00")
READING (data_nothing, "broken: data without anything", CHUNK (1, 1, 1, 0))
READING (hole_before, "broken: a hole before the request",
         HOLE (1, 1, 0, 1024))
READING (hole_across, "broken: a hole across the end",
         HOLE (1, 1, 4608, 1024))
READING (hole_overflow, "broken: a hole of 4 GiB",
         HOLE (1, 1, 4096, 0xffffffff))
READING (hole_short, "broken: half the header of a hole",
         CHUNK (1, 2, 1, 8) "u64:4096")
READING (hole_long, "broken: a hole with data",
         CHUNK (1, 2, 1, 16) "u64:4096 u32:1024 u32:0")
READING (error_short, "broken: an error of 5 bytes",
         CHUNK (1, 0x8001, 1, 5) "u32:5 00")
READING (error_nothing, "broken: an error of no bytes",
         CHUNK (1, 0x8001, 1, 0))
READING (error_text_long, "broken: a text longer than the chunk",
         CHUNK (1, 0x8001, 1, 8) "u32:5 u16:3 'ab'")
READING (error_text_4097, "broken: a text of 4097 bytes",
         CHUNK (1, 0x8001, 1, 4103) "u32:28 u16:4097 x4097:61")
READING (error_trailing, "broken: bytes after the text",
         CHUNK (1, 0x8001, 1, 9) "u32:5 u16:2 'ab' 00")
READING (error_offset_short, "broken: an error at no offset",
         CHUNK (1, 0x8002, 1, 6) "u32:5 u16:0")
READING (error_offset_outside, "broken: an error outside of the request",
         CHUNK (1, 0x8002, 1, 14) "u32:5 u16:0 u64:0")
READING (error_offset_end, "broken: an error at the end of the request",
         CHUNK (1, 0x8002, 1, 14) "u32:5 u16:0 u64:5120")
READING (none_payload, "broken: the end with data",
         CHUNK (1, 0, 1, 4) "u32:0")
READING (none_not_last, "broken: an end that is not the last",
         CHUNK (0, 0, 1, 0) DONE (1))
READING (type_unknown, "broken: an unknown type", CHUNK (1, 99, 1, 0))
READING (type_unknown_payload, "broken: an unknown type with data",
         CHUNK (1, 99, 1, 16) "x16:00")
READING (type_extended, "broken: a chunk of extended headers",
         CHUNK (1, 6, 1, 24) "u32:7 u32:1 u64:512 u64:0")
READING (status_to_read, "broken: block status for a read",
         CHUNK (1, 5, 1, 12) "u32:7 u32:512 u32:0")
READING (simple_to_read, "broken: a simple reply", REPLY (1, 0) "x1024:aa")
READING (simple_error_to_read, "broken: a simple error", REPLY (1, 5))
READING (cookie_unknown, "broken: an unknown cookie", DONE (2))
READING (cookie_huge, "broken: the largest cookie",
         DONE (0xffffffffffffffff))
READING (magic, "broken: wrong magic", "x20:00")
READING (magic_extended, "broken: the magic of extended headers",
         "u32:0x6e8a278c u16:1 u16:0 u64:1 u64:0 u64:0")

SCENARIO (done_twice, "structured/broken: the end twice")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16)), WAIT,
        SEND (DATA (1, 1, 24, 0) "x16:aa"), WAIT, SEND (DONE (1)), WAIT);
  CALL (nbd_aio_pread (h, buf, 16, 0, done ("done"), 0));
  go ();
  settle ();
  go ();
  CALL (nbd_poll (h, -1));
  status ();
}

/* Other commands. */

#define COMMAND(id, text, ...)                                          \
  SCENARIO (id, "structured/command: " text)                            \
  {                                                                     \
    PLAY (STRUCTURED, QUIET (FLUSH (1)), SEND (__VA_ARGS__), SERVE);    \
    CALL (nbd_flush (h, 0));                                            \
    status ();                                                          \
    if (nbd_aio_is_ready (h))                                           \
      CALL (nbd_flush (h, 0));                                          \
  }

COMMAND (flush_simple, "a simple reply to a flush", REPLY (1, 0))
COMMAND (flush_simple_error, "a simple error to a flush", REPLY (1, 28))
COMMAND (flush_none, "the end to a flush", DONE (1))
COMMAND (flush_error, "an error to a flush", ERROR (1, 28))
COMMAND (flush_error_done, "an error, then the end to a flush",
         CHUNK (0, 0x8001, 1, 6) "u32:28 u16:0" DONE (1))
COMMAND (flush_error_unknown, "an error of an unknown type to a flush",
         CHUNK (1, 0x8063, 1, 6) "u32:28 u16:0")
COMMAND (flush_error_offset, "an error at an offset to a flush",
         CHUNK (1, 0x8002, 1, 14) "u32:28 u16:0 u64:0")
COMMAND (flush_data, "data to a flush", DATA (1, 1, 12, 0) "x4:00")
COMMAND (flush_hole, "a hole to a flush", HOLE (1, 1, 0, 4))
COMMAND (flush_status, "block status to a flush",
         CHUNK (1, 5, 1, 12) "u32:7 u32:512 u32:0")

SCENARIO (write_error_offset, "structured/command: an offset for a write")
{
  PLAY (STRUCTURED, QUIET (WRITE (1, 512, 4) "x4:00"),
        SEND (CHUNK (1, 0x8002, 1, 14) "u32:28 u16:0 u64:514"),
        QUIET (WRITE (2, 512, 4) "x4:00"),
        SEND (CHUNK (1, 0x8002, 2, 14) "u32:28 u16:0 u64:0"), SERVE);
  CALL (nbd_pwrite (h, buf, 4, 512, 0));
  CALL (nbd_pwrite (h, buf, 4, 512, 0));
  status ();
}

SCENARIO (write_data, "structured/command: data for a write")
{
  PLAY (STRUCTURED, QUIET (WRITE (1, 512, 4) "x4:00"),
        SEND (DATA (1, 1, 12, 512) "x4:00"), SERVE);
  CALL (nbd_pwrite (h, buf, 4, 512, 0));
  status ();
}

/* Synchronous reads. */

SCENARIO (sync_ok, "structured/synchronous: data and a hole")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16)),
        SEND (DATA (0, 1, 16, 0) "x8:aa"), SEND (HOLE (1, 1, 8, 8)));
  memset (buf, 0xee, 32);
  CALL (nbd_pread (h, buf, 16, 0, 0));
  show (buf, 32);
}

SCENARIO (sync_short, "structured/synchronous: too little")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16)),
        SEND (DATA (1, 1, 16, 0) "x8:aa"), SERVE);
  memset (buf, 0xee, 32);
  CALL (nbd_pread (h, buf, 16, 0, 0));
  show (buf, 32);
  CALL (nbd_flush (h, 0));
}

SCENARIO (sync_short_raw, "structured/too little, without initialisation")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16)),
        SEND (DATA (1, 1, 16, 0) "x8:aa"), SERVE);
  nbd_set_pread_initialize (h, false);
  memset (buf, 0xee, 32);
  CALL (nbd_pread (h, buf, 16, 0, 0));
  show (buf, 32);
}

SCENARIO (sync_hole_raw, "structured/a hole, without initialisation")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16)), SEND (HOLE (1, 1, 0, 16)));
  nbd_set_pread_initialize (h, false);
  memset (buf, 0xee, 32);
  CALL (nbd_pread (h, buf, 16, 0, 0));
  show (buf, 32);
}

SCENARIO (sync_error_text, "structured/synchronous: an error with a text")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16)),
        SEND (CHUNK (1, 0x8001, 1, 12) "u32:28 u16:6 'broken'"));
  CALL (nbd_pread (h, buf, 16, 0, 0));
}

SCENARIO (sync_df, "structured/the DF flag is sent")
{
  PLAY (STRUCTURED, EXPECT (REQUEST (4, 0, 1, 0, 16)),
        SEND (DATA (1, 1, 24, 0) "x16:aa"));
  CALL (nbd_pread_structured (h, buf, 16, 0, chunk ("chunk"),
                              LIBNBD_CMD_FLAG_DF));
}

SCENARIO (sync_overflow, "structured/EOVERFLOW to a read with DF")
{
  PLAY (STRUCTURED, QUIET (REQUEST (4, 0, 1, 0, 16)), SEND (ERROR (1, 75)));
  CALL (nbd_pread_structured (h, buf, 16, 0, chunk ("chunk"),
                              LIBNBD_CMD_FLAG_DF));
}

/* What the chunk callback returns. */
#define CHUNK_RETURNS(id, text, ret, error)                             \
  SCENARIO (id, "structured/chunk callback: " text)                     \
  {                                                                     \
    PLAY (STRUCTURED, QUIET (READ (1, 0, 16)),                          \
          SEND (DATA (0, 1, 16, 0) "x8:aa"), SEND (HOLE (1, 1, 8, 8)),  \
          SERVE);                                                       \
    CALL (nbd_pread_structured (h, buf, 16, 0,                          \
                                chunk_ret ("chunk", ret, error), 0));   \
    show (buf, 16);                                                     \
    CALL (nbd_flush (h, 0));                                            \
  }

CHUNK_RETURNS (chunk_1, "returns 1", 1, KEEP)
CHUNK_RETURNS (chunk_error, "returns 0 and an error", 0, 12)
CHUNK_RETURNS (chunk_minus, "returns -1", -1, KEEP)
CHUNK_RETURNS (chunk_minus_error, "returns -1 and an error", -1, 12)
CHUNK_RETURNS (chunk_minus_zero, "returns -1 and clears the error", -1, 0)

SCENARIO (chunk_and_server, "structured/the callback fails, then the server")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16)), WAIT,
        SEND (DATA (0, 1, 16, 0) "x8:aa"), SEND (ERROR (1, 28)), WAIT);
  CALL (nbd_aio_pread_structured (h, buf, 16, 0, chunk_ret ("chunk", -1, 12),
                                  done ("done"), 0));
  go ();
  settle ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (server_and_chunk, "structured/the server fails, then the callback")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16)), WAIT,
        SEND (CHUNK (0, 0x8001, 1, 6) "u32:28 u16:0"),
        SEND (DATA (1, 1, 16, 0) "x8:aa"), WAIT);
  CALL (nbd_aio_pread_structured (h, buf, 16, 0, chunk_ret ("chunk", -1, 12),
                                  done ("done"), 0));
  go ();
  settle ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (completion_minus, "structured/completion fails a good read")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16)), WAIT,
        SEND (DATA (1, 1, 24, 0) "x16:aa"), WAIT);
  CALL (nbd_aio_pread_structured (h, buf, 16, 0, chunk ("chunk"),
                                  done_ret ("done", -1, 5), 0));
  go ();
  settle ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (completion_one, "structured/completion retires the read")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16)), WAIT,
        SEND (DATA (1, 1, 24, 0) "x16:aa"), WAIT);
  CALL (nbd_aio_pread_structured (h, buf, 16, 0, chunk ("chunk"),
                                  done_ret ("done", 1, KEEP), 0));
  go ();
  settle ();
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

/* Pieces. */

SCENARIO (pieces, "structured/chunks in pieces")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16)), WAIT, SEND ("u32:0x668e33ef"),
        WAIT, SEND ("u16:0 u16:1 u64:1"), WAIT, SEND ("u32:16"), WAIT,
        SEND ("u32:0"), WAIT, SEND ("u32:0 x4:aa"), WAIT, SEND ("x4:bb"), WAIT,
        SEND (HOLE (1, 1, 8, 8)), WAIT);
  CALL (nbd_aio_pread_structured (h, buf, 16, 0, chunk ("chunk"),
                                  done ("done"), 0));
  for (int i = 0; i < 7; i++) {
    go ();
    CALL (nbd_poll (h, -1));
    status ();
  }
}

SCENARIO (interleaved, "structured/chunks of two reads, interleaved")
{
  PLAY (STRUCTURED, QUIET (READ (1, 0, 16) READ (2, 16, 16)), WAIT,
        SEND (DATA (0, 1, 16, 0) "x8:11"), WAIT,
        SEND (DATA (0, 2, 16, 16) "x8:22"), WAIT,
        SEND (DATA (1, 1, 16, 8) "x8:11"), WAIT,
        SEND (DATA (1, 2, 16, 24) "x8:22"), WAIT);
  CALL (nbd_aio_pread_structured (h, buf, 16, 0, chunk ("first"),
                                  done ("one"), 0));
  CALL (nbd_aio_pread_structured (h, buf + 16, 16, 16, chunk ("second"),
                                  done ("two"), 0));
  for (int i = 0; i < 4; i++) {
    go ();
    CALL (nbd_poll (h, -1));
    status ();
  }
  show (buf, 32);
}

/* The server goes. */
#define GONE(id, text, ...)                                             \
  SCENARIO (id, "structured/gone: " text)                               \
  {                                                                     \
    PLAY (STRUCTURED, QUIET (READ (1, 0, 16) READ (2, 16, 16)), WAIT,   \
          SEND (__VA_ARGS__), CLOSE);                                   \
    nbd_aio_pread_structured (h, buf, 16, 0, chunk ("chunk"),           \
                              done ("done"), 0);                        \
    nbd_aio_pread (h, buf + 16, 16, 16, done ("other"), 0);             \
    go ();                                                              \
    for (int i = 0; i < 4 && !nbd_aio_is_closed (h) &&                  \
           !nbd_aio_is_dead (h); i++)                                   \
      if (nbd_poll (h, -1) == -1)                                       \
        show_error ();                                                  \
    status ();                                                          \
    CALL (nbd_aio_command_completed (h, 1));                            \
    CALL (nbd_aio_command_completed (h, 2));                            \
    show (buf, 16);                                                     \
  }

GONE (gone_header, "in the header", "u32:0x668e33ef u16:0")
GONE (gone_length, "before the length", "u32:0x668e33ef u16:0 u16:1 u64:1")
GONE (gone_offset, "in the offset", CHUNK (0, 1, 1, 16) "u32:0")
GONE (gone_data, "in the data", DATA (0, 1, 16, 0) "x4:aa")
GONE (gone_hole, "in a hole", CHUNK (1, 2, 1, 12) "u64:0")
GONE (gone_error, "in an error", CHUNK (1, 0x8001, 1, 6) "u32:5")
GONE (gone_error_text, "in the text of an error",
      CHUNK (1, 0x8001, 1, 12) "u32:5 u16:6 'bro'")
GONE (gone_between, "between two chunks", DATA (0, 1, 16, 0) "x8:aa")
GONE (gone_reads, "between two reads", DATA (1, 1, 24, 0) "x16:aa")
