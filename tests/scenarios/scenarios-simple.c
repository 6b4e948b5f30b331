/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Commands and their simple replies. */

#include "config.h"

#include <stdio.h>

#include "scenario.h"

/* Requests, byte by byte. */

SCENARIO (every_command, "simple/every command")
{
  PLAY (SIMPLE, EXPECT (READ (1, 512, 16)),
        SEND (REPLY (1, 0) "x8:aa x8:bb"),
        EXPECT (WRITE (2, 4096, 4) "01 02 03 04"), SEND (REPLY (2, 0)),
        EXPECT (FLUSH (3)), SEND (REPLY (3, 0)),
        EXPECT (TRIM (4, 0, 512)), SEND (REPLY (4, 0)),
        EXPECT (CACHE (5, 0, 512)), SEND (REPLY (5, 0)),
        EXPECT (ZERO (6, 0, 512)), SEND (REPLY (6, 0)),
        EXPECT (DISC (7)), CLOSE);
  CALL (nbd_pread (h, buf, 16, 512, 0));
  show (buf, 32);
  memcpy (buf, "\1\2\3\4", 4);
  CALL (nbd_pwrite (h, buf, 4, 4096, 0));
  CALL (nbd_flush (h, 0));
  CALL (nbd_trim (h, 512, 0, 0));
  CALL (nbd_cache (h, 512, 0, 0));
  CALL (nbd_zero (h, 512, 0, 0));
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (every_aio, "simple/every command, asynchronously")
{
  PLAY (SIMPLE, EXPECT (READ (1, 512, 16)),
        EXPECT (WRITE (2, 4096, 4) "x4:00"), EXPECT (FLUSH (3)), EXPECT (TRIM (4, 0, 512)),
        EXPECT (CACHE (5, 0, 512)), EXPECT (ZERO (6, 0, 512)), WAIT,
        SEND (REPLY (1, 0) "x16:aa"), SEND (REPLY (2, 0)),
        SEND (REPLY (3, 0)), SEND (REPLY (4, 0)), SEND (REPLY (5, 0)),
        SEND (REPLY (6, 0)), WAIT);
  CALL (nbd_aio_pread (h, buf + 512, 16, 512, done ("read"), 0));
  CALL (nbd_aio_pwrite (h, buf, 4, 4096, done ("write"), 0));
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_aio_trim (h, 512, 0, done ("trim"), 0));
  CALL (nbd_aio_cache (h, 512, 0, done ("cache"), 0));
  CALL (nbd_aio_zero (h, 512, 0, done ("zero"), 0));
  status ();
  go ();
  settle ();
  status ();
  for (uint64_t cookie = 1; cookie <= 6; cookie++)
    CALL (nbd_aio_command_completed (h, cookie));
}

SCENARIO (command_flags, "simple/command flags are sent")
{
  PLAY (SIMPLE, SERVE);
  CALL (nbd_pwrite (h, buf, 1, 0, LIBNBD_CMD_FLAG_FUA));
  CALL (nbd_trim (h, 512, 0, LIBNBD_CMD_FLAG_FUA));
  CALL (nbd_zero (h, 512, 0, LIBNBD_CMD_FLAG_FUA | LIBNBD_CMD_FLAG_NO_HOLE |
                  LIBNBD_CMD_FLAG_FAST_ZERO));
}

SCENARIO (large_numbers, "simple/offsets above 32 bits")
{
  PLAY (HANDSHAKE (UNSUP (8), 0x7fffffffffffffff, 0x0dfd), SERVE_LARGE);
  CALL (nbd_get_size (h));
  CALL (nbd_pread (h, buf, 2, UINT64_C (0x7ffffffffffffffd), 0));
  CALL (nbd_pwrite (h, buf, 2, UINT64_C (0x100000000), 0));
  CALL (nbd_trim (h, 0xffffffff, UINT64_C (0x123456789a), 0));
}

SCENARIO (no_features, "simple/an export without any feature")
{
  PLAY (HANDSHAKE (UNSUP (8), 1048576, 0x0001), SERVE);
  CALL (nbd_pread (h, buf, 512, 0, 0));
  CALL (nbd_pwrite (h, buf, 512, 0, 0));
  CALL (nbd_flush (h, 0));
  CALL (nbd_shutdown (h, 0));
}

/* Errors of the server. */

static const uint32_t wire_errors[] = {
  1, 5, 12, 22, 28, 75, 95, 108, 2, 4, 11, 107, 9999, 0x7fffffff, 0x80000000,
  0xffffffff,
};

#define NR_ERRORS (sizeof wire_errors / sizeof wire_errors[0])

static void
try_error (void *arg)
{
  uint32_t error = *(uint32_t *) arg;
  char texts[3][128];
  struct step steps[] = {
    SIMPLE, QUIET (FLUSH (1)), SEND (texts[0]), QUIET (READ (2, 0, 512)),
    SEND (texts[1]), QUIET (FLUSH (3)), WAIT, SEND (texts[2]), SERVE,
    { STEP_END, NULL },
  };

  for (int i = 0; i < 3; i++)
    snprintf (texts[i], sizeof texts[i],
              "u32:0x67446698 u32:%" PRIu32 " u64:%d", error, i + 1);
  play (steps);
  CALL (nbd_flush (h, 0));
  memset (buf, 0xee, 512);
  CALL (nbd_pread (h, buf, 512, 0, 0));
  show (buf, 512);
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  release ();
  settle ();
  CALL (nbd_aio_command_completed (h, 3));
  CALL (nbd_aio_command_completed (h, 3));
  CALL (nbd_flush (h, 0));
  finish ();
}

static void __attribute__ ((constructor))
add_errors (void)
{
  static char names[NR_ERRORS][64];

  for (size_t i = 0; i < NR_ERRORS; i++) {
    snprintf (names[i], sizeof names[i], "simple/error %u of the server",
              wire_errors[i]);
    scenario_add ((struct scenario) { names[i], NULL, try_error,
                                      (void *) &wire_errors[i] });
  }
}

SCENARIO (error_names, "simple/the error of each command")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 512)), SEND (REPLY (1, 5)),
        QUIET (WRITE (2, 0, 512) "x512:00"), SEND (REPLY (2, 5)),
        QUIET (FLUSH (3)), SEND (REPLY (3, 5)),
        QUIET (TRIM (4, 0, 512)), SEND (REPLY (4, 5)),
        QUIET (CACHE (5, 0, 512)), SEND (REPLY (5, 5)),
        QUIET (ZERO (6, 0, 512)), SEND (REPLY (6, 5)),
        QUIET (READ (7, 0, 512)), SEND (REPLY (7, 5)));
  CALL (nbd_pread (h, buf, 512, 0, 0));
  CALL (nbd_pwrite (h, buf, 512, 0, 0));
  CALL (nbd_flush (h, 0));
  CALL (nbd_trim (h, 512, 0, 0));
  CALL (nbd_cache (h, 512, 0, 0));
  CALL (nbd_zero (h, 512, 0, 0));
  CALL (nbd_pread_structured (h, buf, 512, 0, chunk ("chunk"), 0));
}

/* Callbacks. */

SCENARIO (structured_call, "simple/a chunk callback over simple replies")
{
  PLAY (SIMPLE, QUIET (READ (1, 4096, 16)), SEND (REPLY (1, 0) "x16:aa"));
  CALL (nbd_pread_structured (h, buf, 16, 4096, chunk ("chunk"), 0));
}

SCENARIO (structured_call_fails, "simple/the chunk callback fails the read")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 16)), SEND (REPLY (1, 0) "x16:aa"),
        QUIET (READ (2, 0, 16)), SEND (REPLY (2, 0) "x16:aa"), SERVE);
  CALL (nbd_pread_structured (h, buf, 16, 0, chunk_ret ("chunk", -1, KEEP),
                              0));
  CALL (nbd_pread_structured (h, buf, 16, 0, chunk_ret ("chunk", -1, 12), 0));
  CALL (nbd_flush (h, 0));
}

SCENARIO (structured_aio, "simple/a chunk callback, asynchronously")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 16)), WAIT, SEND (REPLY (1, 0) "x16:aa"),
        WAIT);
  CALL (nbd_aio_pread_structured (h, buf, 16, 0, chunk ("chunk"),
                                  done ("done"), 0));
  go ();
  settle ();
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

#define COMPLETION(id, text, error, ret, set)                           \
  SCENARIO (id, "simple/completion: " text)                             \
  {                                                                     \
    PLAY (SIMPLE, QUIET (FLUSH (1)), WAIT, SEND (REPLY (1, error)), WAIT); \
    CALL (nbd_aio_flush (h, done_ret ("done", ret, set), 0));           \
    go ();                                                              \
    settle ();                                                          \
    status ();                                                          \
    CALL (nbd_aio_command_completed (h, 1));                            \
    CALL (nbd_aio_command_completed (h, 1));                            \
  }

COMPLETION (completion_0, "returns 0", 0, 0, KEEP)
COMPLETION (completion_42, "returns 42", 0, 42, KEEP)
COMPLETION (completion_1, "returns 1", 0, 1, KEEP)
COMPLETION (completion_minus, "returns -1", 0, -1, KEEP)
COMPLETION (completion_minus_error, "returns -1 and an error", 0, -1, 5)
COMPLETION (completion_error, "returns 0 and an error", 0, 0, 28)
COMPLETION (completion_1_error, "returns 1 and an error", 0, 1, 28)
COMPLETION (completion_bad_0, "of a failure, returns 0", 5, 0, KEEP)
COMPLETION (completion_bad_clear, "of a failure, clears the error", 5, 0, 0)
COMPLETION (completion_bad_1, "of a failure, returns 1", 5, 1, KEEP)
COMPLETION (completion_bad_minus, "of a failure, returns -1", 5, -1, KEEP)
COMPLETION (completion_bad_minus_clear,
            "of a failure, returns -1 and clears the error", 5, -1, 0)
COMPLETION (completion_bad_other, "of a failure, returns -1 and another error",
            5, -1, 28)

static int
curious_cb (void *vp, int *error)
{
  say ("  completed, %d; ready %d, processing %d, closed %d, dead %d, "
       "direction %u", *error, nbd_aio_is_ready (h),
       nbd_aio_is_processing (h), nbd_aio_is_closed (h), nbd_aio_is_dead (h),
       nbd_aio_get_direction (h));
  (void) vp;
  return 0;
}

SCENARIO (curious, "simple/a completion callback asks for the state")
{
  PLAY (SIMPLE, QUIET (FLUSH (1) FLUSH (2)), WAIT, SEND (REPLY (1, 0)), WAIT,
        CLOSE);
  CALL (nbd_aio_flush (h, (nbd_completion_callback) {
                             .callback = curious_cb }, 0));
  CALL (nbd_aio_flush (h, (nbd_completion_callback) {
                             .callback = curious_cb }, 0));
  go ();
  CALL (nbd_poll (h, -1));
  go ();
  CALL (nbd_poll (h, -1));
}

/* Replies in pieces. */

SCENARIO (pieces, "simple/a reply in pieces")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 16)), WAIT, SEND ("u32:0x67446698"), WAIT,
        SEND ("u32:0 u64:1"), WAIT, SEND ("x8:aa"), WAIT, SEND ("x7:bb"), WAIT,
        SEND ("cc"), WAIT);
  CALL (nbd_aio_pread (h, buf, 16, 0, done ("read"), 0));
  for (int i = 0; i < 5; i++) {
    go ();
    CALL (nbd_poll (h, -1));
    status ();
    show (buf, 16);
  }
}

SCENARIO (notify_pieces, "simple/a reply in pieces, by nbd_aio_notify_read")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 16)), WAIT, SEND ("u32:0x67446698 u32:0"),
        WAIT, SEND ("u64:1 x16:dd"), WAIT);
  CALL (nbd_aio_pread (h, buf, 16, 0, done ("read"), 0));
  for (int i = 0; i < 2; i++) {
    go ();
    CALL (nbd_aio_notify_read (h));
    status ();
  }
}

SCENARIO (issue_in_reply, "simple/a request while a reply is half received")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 16)), WAIT, SEND (REPLY (1, 0) "x8:aa"),
        WAIT, EXPECT (FLUSH (2)), SEND ("x8:bb"), SEND (REPLY (2, 0)), WAIT);
  CALL (nbd_aio_pread (h, buf, 16, 0, done ("read"), 0));
  go ();
  CALL (nbd_poll (h, -1));
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  status ();
  go ();
  settle ();
  status ();
  show (buf, 16);
}

SCENARIO (sync_in_reply,
          "simple/a synchronous call while a reply is half received")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 16)), WAIT, SEND (REPLY (1, 0) "x8:aa"),
        WAIT, EXPECT (FLUSH (2)), SEND ("x8:bb"), SEND (REPLY (2, 0)));
  CALL (nbd_aio_pread (h, buf, 16, 0, done ("read"), 0));
  go ();
  CALL (nbd_poll (h, -1));
  release ();
  CALL (nbd_flush (h, 0));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (large_read, "simple/a read of 1 MiB")
{
  PLAY (SIMPLE, SERVE);
  CALL (nbd_pread (h, buf, sizeof buf, 0, 0));
  show (buf, sizeof buf);
}

SCENARIO (large_write, "simple/a write of 1 MiB")
{
  PLAY (SIMPLE, SERVE);
  memset (buf, 0x77, sizeof buf);
  CALL (nbd_pwrite (h, buf, sizeof buf, 0, 0));
}

SCENARIO (out_of_order, "simple/replies in another order")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 4) READ (2, 8, 4) FLUSH (3)), WAIT,
        SEND (REPLY (3, 0)), WAIT, SEND (REPLY (2, 0) "x4:22"), WAIT,
        SEND (REPLY (1, 0) "x4:11"), WAIT);
  CALL (nbd_aio_pread (h, buf, 4, 0, done ("first"), 0));
  CALL (nbd_aio_pread (h, buf + 8, 4, 8, done ("second"), 0));
  CALL (nbd_aio_flush (h, done ("third"), 0));
  for (int i = 0; i < 3; i++) {
    go ();
    CALL (nbd_poll (h, -1));
    status ();
  }
  show (buf, 16);
  CALL (nbd_aio_peek_command_completed (h));
  CALL (nbd_aio_command_completed (h, 2));
  CALL (nbd_aio_peek_command_completed (h));
  CALL (nbd_aio_command_completed (h, 3));
  CALL (nbd_aio_peek_command_completed (h));
  CALL (nbd_aio_command_completed (h, 1));
  CALL (nbd_aio_peek_command_completed (h));
}

/* Replies that break the rules.  A read is in flight, and a flush. */
#define BROKEN(id, text, ...)                                           \
  SCENARIO (id, "simple/broken: " text)                                 \
  {                                                                     \
    PLAY (SIMPLE, QUIET (READ (1, 0, 16) FLUSH (2)), WAIT,              \
          SEND (__VA_ARGS__), WAIT, SERVE);                             \
    nbd_aio_pread (h, buf, 16, 0, done ("read"), 0);                    \
    nbd_aio_flush (h, done ("flush"), 0);                               \
    go ();                                                              \
    CALL (nbd_poll (h, -1));                                            \
    status ();                                                          \
    CALL (nbd_aio_command_completed (h, 1));                            \
    CALL (nbd_aio_command_completed (h, 2));                            \
    CALL (nbd_aio_command_completed (h, 1));                            \
  }

BROKEN (bad_magic, "wrong magic", "x16:00")
BROKEN (bad_request_magic, "the magic of a request",
        "u32:0x25609513 u32:0 u64:1")
BROKEN (bad_cookie, "an unknown cookie", REPLY (99, 0))
BROKEN (bad_cookie_0, "cookie 0", REPLY (0, 0))
BROKEN (bad_cookie_error, "an unknown cookie with an error", REPLY (99, 5))
BROKEN (bad_structured, "a structured reply", DONE (2))
BROKEN (bad_structured_data, "a structured reply to a read",
        CHUNK (1, 1, 1, 24) "u64:0 x16:aa")

SCENARIO (reply_twice, "simple/broken: a second reply")
{
  PLAY (SIMPLE, QUIET (FLUSH (1) FLUSH (2)), WAIT, SEND (REPLY (1, 0)), WAIT,
        SEND (REPLY (1, 0)), WAIT, SERVE);
  nbd_aio_flush (h, done ("first"), 0);
  nbd_aio_flush (h, done ("second"), 0);
  go ();
  CALL (nbd_poll (h, -1));
  go ();
  CALL (nbd_poll (h, -1));
  status ();
}

SCENARIO (reply_unasked, "simple/broken: a reply when nothing was asked")
{
  PLAY (SIMPLE, WAIT, SEND (REPLY (1, 0)), WAIT, SERVE);
  go ();
  CALL (nbd_poll (h, -1));
  status ();
}

SCENARIO (sync_broken, "simple/broken: wrong magic, in a synchronous call")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 16)), SEND ("x16:00"), SERVE);
  CALL (nbd_pread (h, buf, 16, 0, 0));
  CALL (nbd_pread (h, buf, 16, 0, 0));
}

/* The server goes. */

#define GONE(id, text, ...)                                             \
  SCENARIO (id, "simple/gone: " text)                                   \
  {                                                                     \
    PLAY (SIMPLE, QUIET (READ (1, 0, 16) FLUSH (2) FLUSH (3)), WAIT,    \
          SEND (__VA_ARGS__), CLOSE);                                   \
    nbd_aio_pread (h, buf, 16, 0, done ("read"), 0);                    \
    nbd_aio_flush (h, done ("flush"), 0);                               \
    nbd_aio_flush (h, done_ret ("one", 1, KEEP), 0);                    \
    go ();                                                              \
    for (int i = 0; i < 4 && !nbd_aio_is_closed (h) &&                  \
           !nbd_aio_is_dead (h); i++)                                   \
      if (nbd_poll (h, -1) == -1)                                       \
        show_error ();                                                  \
    status ();                                                          \
    CALL (nbd_aio_peek_command_completed (h));                          \
    CALL (nbd_aio_command_completed (h, 1));                            \
    CALL (nbd_aio_command_completed (h, 2));                            \
    CALL (nbd_aio_command_completed (h, 3));                            \
    show (buf, 16);                                                     \
  }

GONE (gone_silent, "without a reply", "")
GONE (gone_byte, "after a byte", "67")
GONE (gone_header, "in a header", "u32:0x67446698 u32:0")
GONE (gone_before_data, "after the header of a read", REPLY (1, 0))
GONE (gone_data, "in the data", REPLY (1, 0) "x8:aa")
GONE (gone_between, "between replies", REPLY (2, 0))
GONE (gone_read, "after the read", REPLY (1, 0) "x16:aa")
GONE (gone_all, "after all replies",
      REPLY (1, 0) "x16:aa" REPLY (2, 0) REPLY (3, 0))

SCENARIO (gone_idle, "simple/gone: idle")
{
  PLAY (SIMPLE, CLOSE);
  peer_await (peer);
  CALL (nbd_poll (h, -1));
  status ();
  CALL (nbd_get_size (h));
  CALL (nbd_pread (h, buf, 16, 0, 0));
  CALL (nbd_poll (h, 0));
}

SCENARIO (gone_notify, "simple/gone: seen by nbd_aio_notify_read")
{
  PLAY (SIMPLE, CLOSE);
  peer_await (peer);
  CALL (nbd_aio_notify_read (h));
  status ();
}

SCENARIO (gone_sync, "simple/gone: before a synchronous call")
{
  PLAY (SIMPLE, CLOSE);
  peer_await (peer);
  memset (buf, 0xee, 16);
  CALL (nbd_pread (h, buf, 16, 0, 0));
  show (buf, 16);
}

SCENARIO (gone_sync_reply, "simple/gone: instead of a reply, synchronous")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 16)), CLOSE);
  CALL (nbd_pread (h, buf, 16, 0, 0));
}

SCENARIO (gone_sync_data, "simple/gone: in the data, synchronous")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 16)), SEND (REPLY (1, 0) "x8:aa"), CLOSE);
  memset (buf, 0xee, 16);
  CALL (nbd_pread (h, buf, 16, 0, 0));
  show (buf, 16);
}

SCENARIO (gone_aio, "simple/gone: before an asynchronous call")
{
  PLAY (SIMPLE, CLOSE);
  peer_await (peer);
  CALL (nbd_aio_pread (h, buf, 16, 0, done ("read"), 0));
  if (nbd_aio_get_direction (h))
    nbd_poll (h, -1);
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (gone_reset, "simple/gone: with unread requests")
{
  PLAY (SIMPLE, WAIT, CLOSE);
  nbd_aio_pread (h, buf, 16, 0, done ("read"), 0);
  nbd_aio_flush (h, done ("flush"), 0);
  go ();
  CALL (nbd_poll (h, -1));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (gone_half_sent, "simple/gone: when half a write has left")
{
  SCRIPT (SIMPLE, WAIT, CLOSE);
  small_buffers ();
  nbd_connect_socket (h, sock);
  nbd_aio_pwrite (h, buf, sizeof buf, 0, done ("write"), 0);
  nbd_aio_flush (h, done ("flush"), 0);
  go ();
  CALL (nbd_aio_notify_write (h));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
  CALL (nbd_aio_command_completed (h, 2));
}

SCENARIO (gone_shut, "simple/gone: the server sends no more")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 16)), SHUT, WAIT);
  CALL (nbd_pread (h, buf, 16, 0, 0));
}

SCENARIO (gone_oldstyle, "simple/gone: oldstyle, idle")
{
  PLAY (SEND (OLD_GREETING "u64:1048576 u32:0x0005 x124:00"), CLOSE);
  peer_await (peer);
  CALL (nbd_poll (h, -1));
}

SCENARIO (signals, "simple/signals do not disturb a call")
{
  catch_signals ();
  PLAY (SIMPLE, QUIET (READ (1, 0, 16)), SIGNAL,
        SEND (REPLY (1, 0) "x8:aa"), SIGNAL, SEND ("x8:bb"));
  CALL (nbd_pread (h, buf, 16, 0, 0));
  show (buf, 16);
  say ("signals: %d", nr_signals);
}

SCENARIO (signals_poll, "simple/signals do not end nbd_poll")
{
  catch_signals ();
  PLAY (SIMPLE, QUIET (FLUSH (1)), WAIT, SIGNAL, SEND (REPLY (1, 0)), WAIT);
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  peer_await (peer);
  release ();
  CALL (nbd_poll (h, -1));
  say ("signals: %d", nr_signals);
  status ();
}
