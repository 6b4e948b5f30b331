/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dialogues in transmission in which the server breaks the protocol.  What can
 * be skipped makes its own command fail with EPROTO, and the next command is
 * answered as ever; what leaves the stream without sense ends the connection.
 */

#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "dialogue.h"

/* The number of an errno, in a log. */
#define NUMBER_(x) #x
#define NUMBER(x) NUMBER_ (x)

/* Commands, types of chunks, and the flags of both. */
#define READ "u16:0 "
#define WRITE "u16:1 "
#define DISC "u16:2 "
#define FLUSH "u16:3 "
#define TRIM "u16:4 "
#define CACHE "u16:5 "
#define ZERO "u16:6 "
#define STATUS "u16:7 "
#define MORE "u16:0 "
#define DONE "u16:1 "
#define NONE "u16:0 "
#define DATA "u16:1 "
#define HOLE "u16:2 "
#define EXTENTS_32 "u16:5 "
#define EXTENTS_64 "u16:6 "
#define ERROR "u16:0x8001 "
#define ERROR_OFFSET "u16:0x8002 "

/* Requests and simple replies. */
#define REQUEST(command, flags, cookie, offset, count)                  \
  "u32:0x25609513 u16:" #flags " " command "u64:" #cookie " u64:" #offset \
  " u32:" #count " "
#define SIMPLE(cookie, error) "u32:0x67446698 u32:" #error " u64:" #cookie " "

/* Structured replies. */
#define CHUNK(flags, type, cookie, length) \
  "u32:0x668e33ef " flags type "u64:" #cookie " u32:" #length " "
#define END(cookie) CHUNK (DONE, NONE, cookie, 0)

/* The same with extended headers. */
#define WIDE_REQUEST(command, flags, cookie, offset, length)            \
  "u32:0x21e41c71 u16:" #flags " " command "u64:" #cookie " u64:" #offset \
  " u64:" #length " "
#define WIDE_CHUNK(flags, type, cookie, offset, length)                 \
  "u32:0x6e8a278c " flags type "u64:" #cookie " u64:" #offset " u64:"   \
  #length " "
#define WIDE_END(cookie, offset) WIDE_CHUNK (DONE, NONE, cookie, offset, 0)

/* The same many times. */
#define TIMES_4(x) x x x x
#define TIMES_16(x) TIMES_4 (x) TIMES_4 (x) TIMES_4 (x) TIMES_4 (x)
#define TIMES_64(x) TIMES_16 (x) TIMES_16 (x) TIMES_16 (x) TIMES_16 (x)

/* An export of 1 GiB. */
#define LARGE_HANDSHAKE                                         \
  SERVER (GREETING),                                            \
  CLIENT (CLIENT_FLAGS OPT_EXTENDED),                           \
  SERVER (UNSUP (11)),                                          \
  CLIENT (OPT_STRUCTURED),                                      \
  SERVER (ACK (8)),                                             \
  CLIENT (OPT_GO),                                              \
  SERVER (INFO_EXPORT (7, 0x40000000, 0x0dfd) ACK (7))

static void
one_context (struct nbd_handle *h)
{
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
}

static void
any_command (struct nbd_handle *h)
{
  nbd_set_strict_mode (h, LIBNBD_STRICT_MASK & ~LIBNBD_STRICT_COMMANDS);
}

static void
not_initialized (struct nbd_handle *h)
{
  nbd_set_pread_initialize (h, false);
}

/* What the program does.  Cookies count up from 1. */

static void
issued (struct play *p, int64_t cookie)
{
  CHECK (p, cookie == ++p->cookie[0]);
}

static void
read_1024 (struct play *p)
{
  memset (p->buffer[0], 0xaa, 2048);
  issued (p, nbd_aio_pread_structured (p->h, p->buffer[0] + 512, 1024, 4096,
                                       log_chunk (p),
                                       log_completion (p, "read"), 0));
}

static void
read_1 (struct play *p)
{
  issued (p, nbd_aio_pread (p->h, p->buffer[0], 1, 4096,
                            log_completion (p, "read"), 0));
}

/* 17 MiB: more than the extents of any chunk.  No byte of it arrives. */
static void
read_much (struct play *p)
{
  static uint8_t much[17825792];

  issued (p, nbd_aio_pread (p->h, much, sizeof much, 4096,
                            log_completion (p, "read"), 0));
}

static void
write_512 (struct play *p)
{
  memset (p->buffer[2], 0x5a, 512);
  issued (p, nbd_aio_pwrite (p->h, p->buffer[2], 512, 12288,
                             log_completion (p, "write"), 0));
}

static void
flush (struct play *p)
{
  issued (p, nbd_aio_flush (p->h, log_completion (p, "flush"), 0));
}

static void
flush_silently (struct play *p)
{
  issued (p, nbd_aio_flush (p->h, NBD_NULL_COMPLETION, 0));
}

static void
trim (struct play *p)
{
  issued (p, nbd_aio_trim (p->h, 512, 12288, log_completion (p, "trim"), 0));
}

static void
zero (struct play *p)
{
  issued (p, nbd_aio_zero (p->h, 512, 12288, log_completion (p, "zero"), 0));
}

static void
cache (struct play *p)
{
  issued (p, nbd_aio_cache (p->h, 512, 12288, log_completion (p, "cache"),
                            0));
}

static void
block_status (struct play *p)
{
  issued (p, nbd_aio_block_status (p->h, 65536, 131072, log_extent (p),
                                   log_completion (p, "status"), 0));
}

static void
block_status_64 (struct play *p)
{
  issued (p, nbd_aio_block_status_64 (p->h, 65536, 131072, log_extent64 (p),
                                      log_completion (p, "status"), 0));
}

static void
ask_nothing (struct play *p)
{
  CHECK (p, nbd_aio_is_ready (p->h) == 1);
  CHECK (p, nbd_aio_in_flight (p->h) == 0);
}

static void
disconnect (struct play *p)
{
  CHECK (p, nbd_aio_disconnect (p->h, 0) == 0);
}

/* All that have completed, in that order, with the errors that they failed
 * with.
 */
static void
retire_all (struct play *p)
{
  int64_t cookie;

  while ((cookie = nbd_aio_peek_command_completed (p->h)) > 0) {
    int r = nbd_aio_command_completed (p->h, cookie);

    play_log (p, "retired %" PRIi64 " %d; ", cookie,
              r == 1 ? 0 : r == -1 ? nbd_get_errno () : -1);
  }
}

/* Nothing was placed beside the buffer of a read, and nothing in it. */
static void
check_untouched (struct play *p)
{
  for (size_t i = 0; i < 2048; i++)
    CHECK (p, p->buffer[0][i] == (i < 512 || i >= 1536 ? 0xaa : 0));
  retire_all (p);
}

/* The data that came besides was placed. */
static void
check_data (struct play *p)
{
  for (size_t i = 0; i < 2048; i++)
    CHECK (p, p->buffer[0][i] == (i < 512 || i >= 1536 ? 0xaa : 0x11));
  retire_all (p);
}

static void
check_dead (struct play *p)
{
  CHECK (p, nbd_aio_is_dead (p->h) == 1);
  CHECK (p, nbd_aio_in_flight (p->h) == 0);
  CHECK (p, nbd_aio_get_direction (p->h) == 0);
  retire_all (p);
}

/* What is skipped; then a flush is answered. */
#define SKIPS_WITH(handshake, prepare, what, issue, request, flushing,  \
                   flushed, log_of_it, check_of_it, ...)                \
  {                                                                     \
    .name = "broken: " what,                                            \
    .setup = prepare,                                                   \
    .steps = {                                                          \
      handshake,                                                        \
      CALL (issue),                                                     \
      CLIENT (request),                                                 \
      __VA_ARGS__,                                                      \
      CALL (flush),                                                     \
      CLIENT (flushing),                                                \
      SERVER (flushed),                                                 \
    },                                                                  \
    .state = "READY",                                                   \
    .log = log_of_it,                                                   \
    .check = check_of_it,                                               \
  }
#define SKIPS(what, issue, request, log_of_it, check_of_it, ...)        \
  SKIPS_WITH (STRUCTURED_META_HANDSHAKE, one_context,                   \
              "structured replies: " what, issue, request,              \
              REQUEST (FLUSH, 0, 2, 0, 0), END (2), log_of_it,          \
              check_of_it, __VA_ARGS__)
#define WIDE_SKIPS(what, issue, request, log_of_it, check_of_it, ...)   \
  SKIPS_WITH (EXTENDED_META_HANDSHAKE, one_context,                     \
              "extended headers: " what, issue, request,                \
              WIDE_REQUEST (FLUSH, 0, 2, 0, 0), WIDE_END (2, 0),        \
              log_of_it, check_of_it, __VA_ARGS__)

#define RETIRED(what, callback, errnum) \
  callback "free " what "; retired 1 " NUMBER (errnum) \
  "; free flush; retired 2 0; "
#define FAILED(what, callback, errnum)                          \
  "done " what " " NUMBER (errnum) "; done flush 0; "           \
  RETIRED (what, callback, errnum)
#define READ_FAILED(errnum) FAILED ("read", "free chunk; ", errnum)

/* About a read of 1024 bytes. */
#define READ_SKIPS_WITH(what, log_of_it, check_of_it, ...)              \
  SKIPS (what, read_1024, REQUEST (READ, 0, 1, 4096, 1024), log_of_it,  \
         check_of_it, __VA_ARGS__)
#define READ_SKIPS(what, ...) \
  READ_SKIPS_WITH (what, READ_FAILED (EPROTO), check_untouched, __VA_ARGS__)
#define WIDE_READ_SKIPS_WITH(what, log_of_it, check_of_it, ...)         \
  WIDE_SKIPS (what, read_1024, WIDE_REQUEST (READ, 0, 1, 4096, 1024),   \
              log_of_it, check_of_it, __VA_ARGS__)
#define WIDE_READ_SKIPS(what, ...)                                      \
  WIDE_READ_SKIPS_WITH (what, READ_FAILED (EPROTO), check_untouched,    \
                        __VA_ARGS__)

/* A chunk that is the whole reply to it, with either kind of header. */
#define BOTH_READ_SKIP(what, type, length, payload)                     \
  READ_SKIPS (what, SERVER (CHUNK (DONE, type, 1, length) payload)),    \
  WIDE_READ_SKIPS (what, SERVER (WIDE_CHUNK (DONE, type, 1, 4096,       \
                                             length) payload))

/* About a block status. */
#define STATUS_SKIPS_WITH(what, log_of_it, ...)                         \
  SKIPS (what, block_status, REQUEST (STATUS, 0, 1, 131072, 65536),     \
         log_of_it, retire_all, __VA_ARGS__)
#define STATUS_SKIPS(what, ...)                                         \
  STATUS_SKIPS_WITH (what, FAILED ("status", "free extent; ", EPROTO),  \
                     __VA_ARGS__)
#define WIDE_STATUS_SKIPS_WITH(what, log_of_it, ...)                    \
  WIDE_SKIPS (what, block_status_64,                                    \
              WIDE_REQUEST (STATUS, 0, 1, 131072, 65536), log_of_it,    \
              retire_all, __VA_ARGS__)
#define WIDE_STATUS_SKIPS(what, ...)                                    \
  WIDE_STATUS_SKIPS_WITH (what, FAILED ("status", "free extent64; ",    \
                                        EPROTO), __VA_ARGS__)

/* Content and extents for a command that has neither. */
#define UNFIT(what, issue, offset, request, wide_request)               \
  SKIPS ("data for a " what, issue, request, FAILED (what, "", EPROTO), \
         retire_all,                                                    \
         SERVER (CHUNK (DONE, DATA, 1, 520) "u64:" #offset " x512:11")), \
  SKIPS ("a hole for a " what, issue, request,                          \
         FAILED (what, "", EPROTO), retire_all,                         \
         SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:" #offset " u32:512")), \
  SKIPS ("extents for a " what, issue, request,                         \
         FAILED (what, "", EPROTO), retire_all,                         \
         SERVER (CHUNK (DONE, EXTENTS_32, 1, 12)                        \
                 "u32:7 u32:512 u32:0")),                               \
  WIDE_SKIPS ("data for a " what, issue, wide_request,                  \
              FAILED (what, "", EPROTO), retire_all,                    \
              SERVER (WIDE_CHUNK (DONE, DATA, 1, offset, 520)           \
                      "u64:" #offset " x512:11")),                      \
  WIDE_SKIPS ("a hole for a " what, issue, wide_request,                \
              FAILED (what, "", EPROTO), retire_all,                    \
              SERVER (WIDE_CHUNK (DONE, HOLE, 1, offset, 12)            \
                      "u64:" #offset " u32:512")),                      \
  WIDE_SKIPS ("extents for a " what, issue, wide_request,               \
              FAILED (what, "", EPROTO), retire_all,                    \
              SERVER (WIDE_CHUNK (DONE, EXTENTS_64, 1, offset, 24)      \
                      "u32:7 u32:1 u64:512 u64:0"))

/* What kills the handle, after a request and with it in flight. */
#define KILLS_WITH(handshake, prepare, what, issue, request, why,       \
                   log_of_it, ...)                                      \
  {                                                                     \
    .name = "broken: " what,                                            \
    .setup = prepare,                                                   \
    .steps = { handshake, CALL (issue), CLIENT (request), __VA_ARGS__ }, \
    .state = "DEAD",                                                    \
    .error = why,                                                       \
    .log = log_of_it,                                                   \
    .check = check_dead,                                                \
  }
#define LOST(what, callback)                                            \
  "done " what " " NUMBER (ENOTCONN) "; " callback "free " what         \
  "; retired 1 " NUMBER (ENOTCONN) "; "
#define SIMPLE_KILLS(what, why, ...)                                    \
  KILLS_WITH (SIMPLE_HANDSHAKE, NULL, "simple replies: " what, flush,   \
              REQUEST (FLUSH, 0, 1, 0, 0), why, LOST ("flush", ""),     \
              __VA_ARGS__)
#define KILLS(what, why, ...)                                           \
  KILLS_WITH (STRUCTURED_HANDSHAKE, NULL, "structured replies: " what,  \
              flush, REQUEST (FLUSH, 0, 1, 0, 0), why,                  \
              LOST ("flush", ""), __VA_ARGS__)
#define WIDE_KILLS(what, why, ...)                                      \
  KILLS_WITH (EXTENDED_HANDSHAKE, NULL, "extended headers: " what,      \
              flush, WIDE_REQUEST (FLUSH, 0, 1, 0, 0), why,             \
              LOST ("flush", ""), __VA_ARGS__)

#define NO_COOKIE(cookie) "no matching cookie found for server reply: " \
  #cookie " is not in flight: Protocol error"
#define TOO_LONG(length) "server sent a chunk of " #length \
  " bytes: Protocol error"
#define TOO_MANY "server sent too many chunks in one reply: Protocol error"
#define UNKNOWN_TYPE(type) "unknown structured reply type (" #type \
  "): Protocol error"

/* An error without its end. */
#define FAILURE(cookie) CHUNK (MORE, ERROR, cookie, 6) "u32:5 u16:0 "
#define WIDE_FAILURE(cookie) \
  WIDE_CHUNK (MORE, ERROR, cookie, 0, 6) "u32:5 u16:0 "

const struct dialogue broken_dialogues[] = {
  /* Data that is not what was asked for. */
  BOTH_READ_SKIP ("data without an offset", DATA, 0, ""),
  BOTH_READ_SKIP ("data with a part of an offset", DATA, 7, "x7:00"),
  BOTH_READ_SKIP ("a byte more data than asked for", DATA, 1033,
                  "u64:4096 x1025:11"),
  BOTH_READ_SKIP ("a lot more data than asked for", DATA, 2008,
                  "u64:4096 x2000:11"),
  BOTH_READ_SKIP ("data that begins too early", DATA, 1032,
                  "u64:4095 x1024:11"),
  BOTH_READ_SKIP ("data that ends too late", DATA, 1032,
                  "u64:4097 x1024:11"),
  BOTH_READ_SKIP ("data before the range", DATA, 520, "u64:0 x512:11"),
  BOTH_READ_SKIP ("data behind the range", DATA, 520, "u64:5120 x512:11"),
  BOTH_READ_SKIP ("data whose end wraps around", DATA, 520,
                  "u64:0xfffffffffffffe00 x512:11"),
  BOTH_READ_SKIP ("data at the last offset there is", DATA, 9,
                  "u64:0xffffffffffffffff 11"),
  BOTH_READ_SKIP ("no data, before the range", DATA, 8, "u64:4095"),
  BOTH_READ_SKIP ("no data, behind the range", DATA, 8, "u64:5121"),
  BOTH_READ_SKIP ("a hole of no length", HOLE, 8, "u64:4096"),
  BOTH_READ_SKIP ("a hole of nothing at all", HOLE, 0, ""),
  BOTH_READ_SKIP ("a hole that is short of a byte", HOLE, 11,
                  "u64:4096 x3:00"),
  BOTH_READ_SKIP ("a hole with a byte too many", HOLE, 13,
                  "u64:4096 u32:1024 00"),
  BOTH_READ_SKIP ("a hole that is too long", HOLE, 12, "u64:4096 u32:1025"),
  BOTH_READ_SKIP ("a hole of 4 GiB", HOLE, 12, "u64:4096 u32:0xffffffff"),
  BOTH_READ_SKIP ("a hole that begins too early", HOLE, 12,
                  "u64:4095 u32:1024"),
  BOTH_READ_SKIP ("a hole that ends too late", HOLE, 12,
                  "u64:4097 u32:1024"),
  BOTH_READ_SKIP ("a hole whose end wraps around", HOLE, 12,
                  "u64:0xfffffffffffffe00 u32:0x200"),
  BOTH_READ_SKIP ("an empty hole before the range", HOLE, 12,
                  "u64:4095 u32:0"),
  BOTH_READ_SKIP ("an empty hole behind the range", HOLE, 12,
                  "u64:5121 u32:0"),
  BOTH_READ_SKIP ("extents of 32 bits for a read", EXTENTS_32, 12,
                  "u32:7 u32:1024 u32:0"),
  BOTH_READ_SKIP ("extents of 64 bits for a read", EXTENTS_64, 24,
                  "u32:7 u32:1 u64:1024 u64:0"),
  BOTH_READ_SKIP ("an end with a payload", NONE, 4, "u32:0"),

  /* What comes besides is used. */
  READ_SKIPS_WITH ("data that does not fit, then data that does",
                   "chunk 4096+1024 status 1 error " NUMBER (EPROTO)
                   " sum 17408; " READ_FAILED (EPROTO), check_data,
                   SERVER (CHUNK (MORE, DATA, 1, 520) "u64:5000 x512:22"),
                   SERVER (CHUNK (MORE, DATA, 1, 1032) "u64:4096 x1024:11"),
                   SERVER (END (1))),
  WIDE_READ_SKIPS_WITH ("data that does not fit, then data that does",
                        "chunk 4096+1024 status 1 error " NUMBER (EPROTO)
                        " sum 17408; " READ_FAILED (EPROTO), check_data,
                        SERVER (WIDE_CHUNK (MORE, DATA, 1, 4096, 520)
                                "u64:5000 x512:22"),
                        SERVER (WIDE_CHUNK (MORE, DATA, 1, 4096, 1032)
                                "u64:4096 x1024:11"),
                        SERVER (WIDE_END (1, 4096))),
  READ_SKIPS_WITH ("data, then a hole that does not fit",
                   "chunk 4096+1024 status 1 error 0 sum 17408; "
                   READ_FAILED (EPROTO), check_data,
                   SERVER (CHUNK (MORE, DATA, 1, 1032) "u64:4096 x1024:11"),
                   SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:0 u32:4096")),
  READ_SKIPS_WITH ("an error before what does not fit is the one that counts",
                   READ_FAILED (EIO), check_untouched,
                   SERVER (FAILURE (1)),
                   SERVER (CHUNK (DONE, DATA, 1, 520) "u64:0 x512:11")),
  READ_SKIPS ("an error after what does not fit does not count",
              SERVER (CHUNK (MORE, DATA, 1, 520) "u64:0 x512:11"),
              SERVER (FAILURE (1)),
              SERVER (END (1))),
  READ_SKIPS_WITH ("an end that is not the last chunk",
                   "chunk 4096+1024 status 1 error " NUMBER (EPROTO)
                   " sum 17408; " READ_FAILED (EPROTO), check_data,
                   SERVER (CHUNK (MORE, NONE, 1, 0)),
                   SERVER (CHUNK (DONE, DATA, 1, 1032) "u64:4096 x1024:11")),
  WIDE_READ_SKIPS_WITH ("an end that is not the last chunk",
                        "chunk 4096+1024 status 1 error 0 sum 17408; "
                        READ_FAILED (EPROTO), check_data,
                        SERVER (WIDE_CHUNK (MORE, DATA, 1, 4096, 1032)
                                "u64:4096 x1024:11"),
                        SERVER (WIDE_CHUNK (MORE, NONE, 1, 4096, 0)),
                        SERVER (WIDE_END (1, 4096))),
  READ_SKIPS_WITH ("an end with a payload that is not the last chunk",
                   "chunk 4096+1024 status 1 error 0 sum 17408; "
                   READ_FAILED (EPROTO), check_data,
                   SERVER (CHUNK (MORE, DATA, 1, 1032) "u64:4096 x1024:11"),
                   SERVER (CHUNK (MORE, NONE, 1, 1) "00"),
                   SERVER (END (1))),
  READ_SKIPS_WITH ("an end that has a payload after all the data",
                   "chunk 4096+1024 status 1 error 0 sum 17408; "
                   READ_FAILED (EPROTO), check_data,
                   SERVER (CHUNK (MORE, DATA, 1, 1032) "u64:4096 x1024:11"),
                   SERVER (CHUNK (DONE, NONE, 1, 4) "u32:0")),
  WIDE_READ_SKIPS ("the offset of another request",
                   SERVER (WIDE_CHUNK (DONE, DATA, 1, 0, 1032)
                           "u64:4096 x1024:11")),
  WIDE_READ_SKIPS ("the offset of the data in place of the request's",
                   SERVER (WIDE_CHUNK (MORE, HOLE, 1, 4608, 12)
                           "u64:4608 u32:512"),
                   SERVER (WIDE_CHUNK (DONE, ERROR, 1, 4608, 6)
                           "u32:5 u16:0")),
  WIDE_READ_SKIPS ("an end with another offset",
                   SERVER (WIDE_END (1, 0xffffffffffffffff))),

  /* Errors that cannot be read. */
  BOTH_READ_SKIP ("an error without a number", ERROR, 0, ""),
  BOTH_READ_SKIP ("an error without the length of its message", ERROR, 5,
                  "u32:5 00"),
  BOTH_READ_SKIP ("an error whose message is not there", ERROR, 6,
                  "u32:5 u16:1"),
  BOTH_READ_SKIP ("an error whose message is short of a byte", ERROR, 13,
                  "u32:5 u16:8 'Go_away'"),
  BOTH_READ_SKIP ("an error whose message is longer than a string may be",
                  ERROR, 4103, "u32:5 u16:4097 x4097:41"),
  BOTH_READ_SKIP ("an unknown error whose message is not there",
                  "u16:0x8063 ", 6, "u32:5 u16:0xffff"),
  BOTH_READ_SKIP ("an error at an offset without a number", ERROR_OFFSET, 3,
                  "x3:00"),
  BOTH_READ_SKIP ("an error at an offset without one", ERROR_OFFSET, 6,
                  "u32:5 u16:0"),
  BOTH_READ_SKIP ("an error at an offset with a part of one", ERROR_OFFSET,
                  13, "u32:5 u16:0 x7:00"),
  BOTH_READ_SKIP ("an error whose message leaves no room for its offset",
                  ERROR_OFFSET, 17, "u32:5 u16:4 'Fail' x7:00"),
  BOTH_READ_SKIP ("an error before the range", ERROR_OFFSET, 14,
                  "u32:5 u16:0 u64:4095"),
  BOTH_READ_SKIP ("an error just behind the range", ERROR_OFFSET, 14,
                  "u32:5 u16:0 u64:5120"),
  BOTH_READ_SKIP ("an error behind the range", ERROR_OFFSET, 14,
                  "u32:5 u16:0 u64:5121"),
  BOTH_READ_SKIP ("an error at the last offset there is", ERROR_OFFSET, 14,
                  "u32:5 u16:0 u64:0xffffffffffffffff"),
  READ_SKIPS_WITH ("an error with the longest message, and more behind it",
                   READ_FAILED (EIO), check_untouched,
                   SERVER (CHUNK (DONE, ERROR, 1, 65536)
                           "u32:5 u16:4096 x4096:41 x61434:00")),
  READ_SKIPS ("an error that is too long to be read",
              SERVER (CHUNK (DONE, ERROR, 1, 65537)
                      "u32:5 u16:0 x65531:00")),
  SKIPS ("an error of a write at an offset outside", write_512,
         REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a",
         FAILED ("write", "", EPROTO), retire_all,
         SERVER (CHUNK (DONE, ERROR_OFFSET, 1, 14)
                 "u32:28 u16:0 u64:12287")),
  WIDE_SKIPS ("an error of a trim at an offset outside", trim,
              WIDE_REQUEST (TRIM, 0, 1, 12288, 512),
              FAILED ("trim", "", EPROTO), retire_all,
              SERVER (WIDE_CHUNK (DONE, ERROR_OFFSET, 1, 12288, 14)
                      "u32:28 u16:0 u64:12801")),
  STATUS_SKIPS ("an error of a block status at an offset outside",
                SERVER (CHUNK (DONE, ERROR_OFFSET, 1, 14)
                        "u32:5 u16:0 u64:196609")),

  /* Chunks for another command. */
  UNFIT ("write", write_512, 12288,
         REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a",
         WIDE_REQUEST (WRITE, 0x20, 1, 12288, 512) "x512:5a"),
  UNFIT ("trim", trim, 12288, REQUEST (TRIM, 0, 1, 12288, 512),
         WIDE_REQUEST (TRIM, 0, 1, 12288, 512)),
  UNFIT ("zero", zero, 12288, REQUEST (ZERO, 0, 1, 12288, 512),
         WIDE_REQUEST (ZERO, 0, 1, 12288, 512)),
  UNFIT ("cache", cache, 12288, REQUEST (CACHE, 0, 1, 12288, 512),
         WIDE_REQUEST (CACHE, 0, 1, 12288, 512)),
  {
    .name = "broken: structured replies: data for a flush",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (flush_silently), CALL (flush),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER (CHUNK (MORE, DATA, 1, 520) "u64:0 x512:11"),
      SERVER (END (2)),
      SERVER (END (1)),
    },
    .state = "READY",
    .log = "done flush 0; free flush; retired 2 0; retired 1 "
           NUMBER (EPROTO) "; ",
    .check = retire_all,
  },
  {
    .name = "broken: extended headers: a hole for a flush",
    .steps = {
      EXTENDED_HANDSHAKE,
      CALL (flush_silently), CALL (flush),
      CLIENT (WIDE_REQUEST (FLUSH, 0, 1, 0, 0)),
      CLIENT (WIDE_REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER (WIDE_CHUNK (MORE, HOLE, 1, 0, 12) "u64:0 u32:0"),
      SERVER (WIDE_END (2, 0)),
      SERVER (WIDE_END (1, 0)),
    },
    .state = "READY",
    .log = "done flush 0; free flush; retired 2 0; retired 1 "
           NUMBER (EPROTO) "; ",
    .check = retire_all,
  },
  SKIPS ("an end of a write with a payload", write_512,
         REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a",
         FAILED ("write", "", EPROTO), retire_all,
         SERVER (CHUNK (DONE, NONE, 1, 512) "x512:5a")),
  STATUS_SKIPS ("data for a block status",
                SERVER (CHUNK (DONE, DATA, 1, 520) "u64:131072 x512:11")),
  STATUS_SKIPS ("a hole for a block status",
                SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:131072 u32:512")),
  WIDE_STATUS_SKIPS ("data for a block status",
                     SERVER (WIDE_CHUNK (DONE, DATA, 1, 131072, 520)
                             "u64:131072 x512:11")),
  WIDE_STATUS_SKIPS ("a hole for a block status",
                     SERVER (WIDE_CHUNK (DONE, HOLE, 1, 131072, 12)
                             "u64:131072 u32:512")),

  /* Extents. */
  STATUS_SKIPS ("extents without a context",
                SERVER (CHUNK (DONE, EXTENTS_32, 1, 0))),
  STATUS_SKIPS ("extents with a part of a context",
                SERVER (CHUNK (DONE, EXTENTS_32, 1, 3) "x3:00")),
  STATUS_SKIPS ("a context without extents",
                SERVER (CHUNK (DONE, EXTENTS_32, 1, 4) "u32:7")),
  STATUS_SKIPS ("half an extent",
                SERVER (CHUNK (DONE, EXTENTS_32, 1, 8) "u32:7 u32:512")),
  STATUS_SKIPS ("an extent and a byte",
                SERVER (CHUNK (DONE, EXTENTS_32, 1, 13)
                        "u32:7 u32:512 u32:0 00")),
  STATUS_SKIPS ("extents of a context that was not negotiated",
                SERVER (CHUNK (DONE, EXTENTS_32, 1, 12)
                        "u32:6 u32:65536 u32:0")),
  STATUS_SKIPS_WITH ("extents of another context do not hide those of ours",
                     "extents base:allocation 131072: 65536/0 error "
                     NUMBER (EPROTO) "; "
                     FAILED ("status", "free extent; ", EPROTO),
                     SERVER (CHUNK (MORE, EXTENTS_32, 1, 12)
                             "u32:0 u32:65536 u32:0"),
                     SERVER (CHUNK (DONE, EXTENTS_32, 1, 12)
                             "u32:7 u32:65536 u32:0")),
  STATUS_SKIPS ("extents of 64 bits without extended headers",
                SERVER (CHUNK (DONE, EXTENTS_64, 1, 24)
                        "u32:7 u32:1 u64:65536 u64:0")),
  WIDE_STATUS_SKIPS ("extents of nothing",
                     SERVER (WIDE_CHUNK (DONE, EXTENTS_64, 1, 131072, 0))),
  WIDE_STATUS_SKIPS ("a context without a count",
                     SERVER (WIDE_CHUNK (DONE, EXTENTS_64, 1, 131072, 4)
                             "u32:7")),
  WIDE_STATUS_SKIPS ("a context without extents",
                     SERVER (WIDE_CHUNK (DONE, EXTENTS_64, 1, 131072, 8)
                             "u32:7 u32:0")),
  WIDE_STATUS_SKIPS ("half an extent",
                     SERVER (WIDE_CHUNK (DONE, EXTENTS_64, 1, 131072, 16)
                             "u32:7 u32:1 u64:512")),
  WIDE_STATUS_SKIPS ("an extent and a byte",
                     SERVER (WIDE_CHUNK (DONE, EXTENTS_64, 1, 131072, 25)
                             "u32:7 u32:1 u64:512 u64:0 00")),
  WIDE_STATUS_SKIPS ("extents of a context that was not negotiated",
                     SERVER (WIDE_CHUNK (DONE, EXTENTS_64, 1, 131072, 24)
                             "u32:8 u32:1 u64:65536 u64:0")),
  WIDE_STATUS_SKIPS ("extents of 32 bits with extended headers",
                     SERVER (WIDE_CHUNK (DONE, EXTENTS_32, 1, 131072, 12)
                             "u32:7 u32:65536 u32:0")),
  WIDE_STATUS_SKIPS ("extents with another offset",
                     SERVER (WIDE_CHUNK (DONE, EXTENTS_64, 1, 0, 24)
                             "u32:7 u32:1 u64:65536 u64:0")),
  SKIPS_WITH (STRUCTURED_HANDSHAKE, any_command,
              "structured replies: extents when no context was negotiated",
              block_status, REQUEST (STATUS, 0, 1, 131072, 65536),
              REQUEST (FLUSH, 0, 2, 0, 0), END (2),
              FAILED ("status", "free extent; ", EPROTO), retire_all,
              SERVER (CHUNK (DONE, EXTENTS_32, 1, 12)
                      "u32:0 u32:65536 u32:0")),
  SKIPS_WITH (EXTENDED_HANDSHAKE, any_command,
              "extended headers: extents when no context was negotiated",
              block_status_64, WIDE_REQUEST (STATUS, 0, 1, 131072, 65536),
              WIDE_REQUEST (FLUSH, 0, 2, 0, 0), WIDE_END (2, 0),
              FAILED ("status", "free extent64; ", EPROTO), retire_all,
              SERVER (WIDE_CHUNK (DONE, EXTENTS_64, 1, 131072, 24)
                      "u32:0 u32:1 u64:65536 u64:0")),

  /* As many extents as there may be: the chunk is waited for.  One more: it is
   * skipped, or too long for that.
   */
  {
    .name = "broken: structured replies: 2^20 extents are not too many",
    .setup = one_context,
    .steps = {
      STRUCTURED_META_HANDSHAKE,
      CALL (block_status),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (CHUNK (DONE, EXTENTS_32, 1, 8388612) "u32:7 u32:512 u32:0"),
    },
    .state = "CHUNK_STATUS",
    .log = "done status " NUMBER (ENOTCONN) "; free extent; free status; ",
  },
  {
    .name = "broken: structured replies: more than 2^20 extents are skipped",
    .setup = one_context,
    .steps = {
      STRUCTURED_META_HANDSHAKE,
      CALL (block_status),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (CHUNK (DONE, EXTENTS_32, 1, 8388620) "u32:7 u32:512 u32:0"),
    },
    .state = "CHUNK_SKIP",
    .log = "done status " NUMBER (EPROTO) "; free extent; free status; ",
  },
  {
    .name = "broken: extended headers: 2^20 extents are not too many",
    .setup = one_context,
    .steps = {
      EXTENDED_META_HANDSHAKE,
      CALL (block_status_64),
      CLIENT (WIDE_REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (WIDE_CHUNK (DONE, EXTENTS_64, 1, 131072, 16777224)
              "u32:7 u32:0x100000"),
    },
    .state = "CHUNK_STATUS",
    .log = "done status " NUMBER (ENOTCONN) "; free extent64; free status; ",
  },
  KILLS_WITH (EXTENDED_META_HANDSHAKE, one_context,
              "extended headers: more than 2^20 extents", block_status_64,
              WIDE_REQUEST (STATUS, 0, 1, 131072, 65536),
              TOO_LONG (16777240), LOST ("status", "free extent64; "),
              SERVER (WIDE_CHUNK (DONE, EXTENTS_64, 1, 131072, 16777240)
                      "u32:7 u32:0x100001")),

  /* The end of the connection while skipping. */
  {
    .name = "broken: the server closes in the middle of what is skipped",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_1024),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      SERVER (CHUNK (DONE, DATA, 1, 1033) "u64:4096 x1024:11"),
      SERVER_CLOSES,
    },
    .state = "DEAD",
    .error = "recv: server disconnected unexpectedly",
    .log = "done read " NUMBER (EPROTO) "; free chunk; free read; retired 1 "
           NUMBER (EPROTO) "; ",
    .check = check_untouched,
  },
  {
    .name = "broken: the handle is closed in the middle of what is skipped",
    .steps = {
      EXTENDED_HANDSHAKE,
      CALL (read_1024),
      CLIENT (WIDE_REQUEST (READ, 0, 1, 4096, 1024)),
      SERVER (WIDE_CHUNK (DONE, DATA, 1, 4096, 16777224) "u64:4096"),
    },
    .state = "CHUNK_SKIP",
    .log = "done read " NUMBER (EPROTO) "; free chunk; free read; ",
  },

  /* Chunks that are too long even to be skipped. */
  KILLS ("a chunk that is too long", TOO_LONG (16777225),
         SERVER (CHUNK (DONE, DATA, 1, 16777225))),
  KILLS ("the longest chunk there is", TOO_LONG (4294967295),
         SERVER (CHUNK (DONE, ERROR, 1, 0xffffffff))),
  WIDE_KILLS ("a chunk that is too long", TOO_LONG (16777225),
              SERVER (WIDE_CHUNK (DONE, NONE, 1, 0, 16777225))),
  WIDE_KILLS ("a chunk of 4 GiB", TOO_LONG (4294967296),
              SERVER (WIDE_CHUNK (DONE, NONE, 1, 0, 0x100000000))),
  WIDE_KILLS ("the longest chunk there is", TOO_LONG (18446744073709551615),
              SERVER (WIDE_CHUNK (DONE, ERROR, 1, 0, 0xffffffffffffffff))),
  {
    .name = "broken: a chunk may be as long as a large read",
    .setup = not_initialized,
    .steps = {
      LARGE_HANDSHAKE,
      CALL (read_much),
      CLIENT (REQUEST (READ, 0, 1, 4096, 17825792)),
      SERVER (CHUNK (DONE, DATA, 1, 17825800) "u64:4096"),
    },
    .state = "CHUNK_DATA",
    .log = "done read " NUMBER (ENOTCONN) "; free read; ",
  },
  KILLS_WITH (LARGE_HANDSHAKE, not_initialized,
              "a chunk that is longer than a large read", read_much,
              REQUEST (READ, 0, 1, 4096, 17825792), TOO_LONG (17825801),
              LOST ("read", ""),
              SERVER (CHUNK (DONE, DATA, 1, 17825801) "u64:4096")),

  /* Replies without an end. */
  SKIPS_WITH (STRUCTURED_HANDSHAKE, NULL,
              "structured replies: 64 chunks about a flush are enough",
              trim, REQUEST (TRIM, 0, 1, 12288, 512),
              REQUEST (FLUSH, 0, 2, 0, 0),
              TIMES_16 (FAILURE (2)) TIMES_16 (FAILURE (2))
              TIMES_16 (FAILURE (2)) TIMES_4 (FAILURE (2))
              TIMES_4 (FAILURE (2)) TIMES_4 (FAILURE (2))
              FAILURE (2) FAILURE (2) FAILURE (2) END (2),
              "done trim 0; done flush " NUMBER (EIO)
              "; free trim; retired 1 0; free flush; retired 2 "
              NUMBER (EIO) "; ", retire_all,
              SERVER (END (1))),
  KILLS_WITH (STRUCTURED_HANDSHAKE, NULL,
              "structured replies: 65 chunks about a flush", flush,
              REQUEST (FLUSH, 0, 1, 0, 0), TOO_MANY,
              "done flush " NUMBER (EIO) "; free flush; retired 1 "
              NUMBER (EIO) "; ",
              SERVER (TIMES_64 (FAILURE (1))), SERVER (END (1))),
  KILLS_WITH (EXTENDED_HANDSHAKE, NULL,
              "extended headers: 65 chunks about a flush", flush,
              WIDE_REQUEST (FLUSH, 0, 1, 0, 0), TOO_MANY,
              "done flush " NUMBER (EIO) "; free flush; retired 1 "
              NUMBER (EIO) "; ",
              SERVER (TIMES_64 (WIDE_FAILURE (1))), SERVER (WIDE_END (1, 0))),
  KILLS_WITH (STRUCTURED_HANDSHAKE, NULL,
              "structured replies: 67 chunks about a read of one byte",
              read_1, REQUEST (READ, 0, 1, 4096, 1), TOO_MANY,
              LOST ("read", ""),
              SERVER (TIMES_64 (CHUNK (MORE, DATA, 1, 8) "u64:4096 ")),
              SERVER (CHUNK (MORE, HOLE, 1, 12) "u64:4096 u32:1"),
              SERVER (CHUNK (MORE, DATA, 1, 9) "u64:4096 11"),
              SERVER (END (1))),
  KILLS_WITH (STRUCTURED_META_HANDSHAKE, one_context,
              "structured replies: chunks that are skipped are counted",
              flush, REQUEST (FLUSH, 0, 1, 0, 0), TOO_MANY,
              "done flush " NUMBER (EPROTO) "; free flush; retired 1 "
              NUMBER (EPROTO) "; ",
              SERVER (TIMES_64 (CHUNK (MORE, NONE, 1, 0))),
              SERVER (CHUNK (MORE, NONE, 1, 0)),
              SERVER (CHUNK (MORE, NONE, 1, 0))),

  /* Replies that nobody waits for. */
  {
    .name = "broken: a reply before anything was asked",
    .steps = { SIMPLE_HANDSHAKE, CALL (ask_nothing), SERVER (SIMPLE (1, 0)) },
    .state = "DEAD",
    .error = NO_COOKIE (1),
    .check = check_dead,
  },
  {
    .name = "broken: a chunk before anything was asked",
    .steps = { STRUCTURED_HANDSHAKE, CALL (ask_nothing), SERVER (END (0)) },
    .state = "DEAD",
    .error = NO_COOKIE (0),
    .check = check_dead,
  },
  {
    .name = "broken: an extended chunk before anything was asked",
    .steps = { EXTENDED_HANDSHAKE, CALL (ask_nothing),
               SERVER (WIDE_END (1, 0)) },
    .state = "DEAD",
    .error = NO_COOKIE (1),
    .check = check_dead,
  },
  SIMPLE_KILLS ("an unknown cookie", NO_COOKIE (2), SERVER (SIMPLE (2, 0))),
  SIMPLE_KILLS ("cookie 0", NO_COOKIE (0), SERVER (SIMPLE (0, 5))),
  SIMPLE_KILLS ("a cookie that differs in its upper bits",
                NO_COOKIE (4294967297), SERVER (SIMPLE (0x100000001, 0))),
  SIMPLE_KILLS ("a cookie that falls into the same chain", NO_COOKIE (65),
                SERVER (SIMPLE (65, 0))),
  KILLS ("an unknown cookie", NO_COOKIE (2), SERVER (END (2))),
  KILLS ("an error about an unknown cookie",
         NO_COOKIE (18446744073709551615),
         SERVER (CHUNK (DONE, ERROR, 0xffffffffffffffff, 6) "u32:5 u16:0")),
  KILLS ("a simple reply to an unknown cookie", NO_COOKIE (7),
         SERVER (SIMPLE (7, 0))),
  WIDE_KILLS ("an unknown cookie", NO_COOKIE (2), SERVER (WIDE_END (2, 0))),
  KILLS_WITH (SIMPLE_HANDSHAKE, NULL,
              "simple replies: a second reply to a command that is done",
              flush, REQUEST (FLUSH, 0, 1, 0, 0), NO_COOKIE (1),
              "done flush 0; free flush; retired 1 0; ",
              SERVER (SIMPLE (1, 0)), SERVER (SIMPLE (1, 0))),
  KILLS_WITH (SIMPLE_HANDSHAKE, NULL,
              "simple replies: a second reply to a command that was retired",
              flush, REQUEST (FLUSH, 0, 1, 0, 0), NO_COOKIE (1),
              "done flush 0; free flush; retired 1 0; ",
              SERVER (SIMPLE (1, 0)), CALL (retire_all),
              SERVER (SIMPLE (1, 0))),
  KILLS_WITH (STRUCTURED_HANDSHAKE, NULL,
              "structured replies: a chunk after the last", flush,
              REQUEST (FLUSH, 0, 1, 0, 0), NO_COOKIE (1),
              "done flush 0; free flush; retired 1 0; ",
              SERVER (END (1)), SERVER (END (1))),
  KILLS_WITH (STRUCTURED_HANDSHAKE, NULL,
              "structured replies: data after the last chunk", read_1024,
              REQUEST (READ, 0, 1, 4096, 1024), NO_COOKIE (1),
              "chunk 4096+1024 status 1 error 0 sum 17408; done read 0; "
              "free chunk; free read; retired 1 0; ",
              SERVER (CHUNK (DONE, DATA, 1, 1032) "u64:4096 x1024:11"),
              SERVER (CHUNK (DONE, DATA, 1, 1032) "u64:4096 x1024:22")),
  KILLS_WITH (EXTENDED_HANDSHAKE, NULL,
              "extended headers: a chunk after the last", flush,
              WIDE_REQUEST (FLUSH, 0, 1, 0, 0), NO_COOKIE (1),
              "done flush 0; free flush; retired 1 0; ",
              SERVER (WIDE_END (1, 0)), CALL (retire_all),
              SERVER (WIDE_END (1, 0))),
  /* Nobody waits for it, and nobody minds. */
  {
    .name = "broken: simple replies: a reply to a disconnect",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (disconnect),
      CLIENT (REQUEST (DISC, 0, 1, 0, 0)),
      SERVER (SIMPLE (1, 0)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
  },
  {
    .name = "broken: extended headers: a reply to a disconnect",
    .steps = {
      EXTENDED_HANDSHAKE,
      CALL (disconnect),
      CLIENT (WIDE_REQUEST (DISC, 0, 1, 0, 0)),
      SERVER (WIDE_END (1, 0)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
  },
  {
    .name = "broken: structured replies: an error about a disconnect",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (flush), CALL (disconnect),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      CLIENT (REQUEST (DISC, 0, 2, 0, 0)),
      SERVER (CHUNK (DONE, ERROR, 2, 6) "u32:108 u16:0"),
      SERVER (END (1)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = "done flush 0; free flush; retired 1 0; ",
    .check = retire_all,
  },
  KILLS ("a second reply to a disconnect", NO_COOKIE (2),
         CALL (disconnect),
         CLIENT (REQUEST (DISC, 0, 2, 0, 0)),
         SERVER (SIMPLE (2, 0)), SERVER (SIMPLE (2, 0))),
  {
    .name = "broken: all that is in flight is lost",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_1024), CALL (write_512), CALL (flush), CALL (cache),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)
              REQUEST (WRITE, 0, 2, 12288, 512) "x512:5a "
              REQUEST (FLUSH, 0, 3, 0, 0)
              REQUEST (CACHE, 0, 4, 12288, 512)),
      SERVER (END (3)),
      SERVER (CHUNK (MORE, HOLE, 1, 12) "u64:4096 u32:512"),
      SERVER (END (5)),
      SERVER (END (4)),
    },
    .state = "DEAD",
    .error = NO_COOKIE (5),
    .log = "done flush 0; chunk 4096+512 status 2 error 0 sum 0; "
           "done cache " NUMBER (ENOTCONN) "; done write " NUMBER (ENOTCONN)
           "; done read " NUMBER (ENOTCONN) "; free flush; retired 3 0; "
           "free cache; retired 4 " NUMBER (ENOTCONN) "; "
           "free write; retired 2 " NUMBER (ENOTCONN) "; "
           "free chunk; free read; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_untouched,
  },

  /* Replies of another kind. */
  SIMPLE_KILLS ("garbage", "invalid reply magic 0x48545450",
                SERVER ("'HTTP/1.1_400_Bad'")),
  SIMPLE_KILLS ("its own request", "invalid reply magic 0x25609513",
                SERVER (REQUEST (FLUSH, 0, 1, 0, 0))),
  SIMPLE_KILLS ("zeroes", "invalid reply magic 0x00000000",
                SERVER ("x16:00")),
  SIMPLE_KILLS ("a structured reply", "invalid reply magic 0x668e33ef",
                SERVER (END (1))),
  SIMPLE_KILLS ("an extended reply", "invalid reply magic 0x6e8a278c",
                SERVER (WIDE_END (1, 0))),
  KILLS ("garbage", "invalid reply magic 0x48545450",
         SERVER ("'HTTP/1.1_400_Bad'")),
  KILLS ("an extended reply", "invalid reply magic 0x6e8a278c",
         SERVER (WIDE_END (1, 0))),
  WIDE_KILLS ("garbage", "invalid reply magic 0x48545450",
              SERVER ("'HTTP/1.1_400_Bad_Request_and_goodbye'")),
  WIDE_KILLS ("a simple reply", "invalid reply magic 0x67446698",
              SERVER (SIMPLE (1, 0) "x16:00")),
  WIDE_KILLS ("a structured reply", "invalid reply magic 0x668e33ef",
              SERVER (END (1) "x12:00")),
  WIDE_KILLS ("its own request", "invalid reply magic 0x21e41c71",
              SERVER (WIDE_REQUEST (FLUSH, 0, 1, 0, 0))),
  KILLS_WITH (STRUCTURED_HANDSHAKE, NULL,
              "structured replies: a simple reply with data", read_1024,
              REQUEST (READ, 0, 1, 4096, 1024),
              "server sent a simple reply to a structured read: "
              "Protocol error", LOST ("read", "free chunk; "),
              SERVER (SIMPLE (1, 0) "x1024:11")),
  /* No data follows, so it is read as what it says. */
  READ_SKIPS_WITH ("a simple reply that refuses a read", READ_FAILED (EIO),
                   check_untouched, SERVER (SIMPLE (1, 5))),
  KILLS_WITH (EXTENDED_HANDSHAKE, NULL,
              "extended headers: a simple reply that refuses a read",
              read_1024, WIDE_REQUEST (READ, 0, 1, 4096, 1024),
              "invalid reply magic 0x67446698",
              LOST ("read", "free chunk; "),
              SERVER (SIMPLE (1, 5) "x16:00")),

  /* Chunks of a type that is not known. */
  KILLS ("a chunk of type 3", UNKNOWN_TYPE (3),
         SERVER (CHUNK (DONE, "u16:3 ", 1, 0))),
  KILLS ("a chunk of type 4", UNKNOWN_TYPE (4),
         SERVER (CHUNK (DONE, "u16:4 ", 1, 8) "u64:0")),
  KILLS ("a chunk of type 7", UNKNOWN_TYPE (7),
         SERVER (CHUNK (MORE, "u16:7 ", 1, 0))),
  KILLS ("a chunk of the last type that is no error", UNKNOWN_TYPE (32767),
         SERVER (CHUNK (DONE, "u16:0x7fff ", 1, 6) "u32:5 u16:0")),
  WIDE_KILLS ("a chunk of type 99", UNKNOWN_TYPE (99),
              SERVER (WIDE_CHUNK (DONE, "u16:99 ", 1, 0, 0))),
  WIDE_KILLS ("a chunk of type 3", UNKNOWN_TYPE (3),
              SERVER (WIDE_CHUNK (DONE, "u16:3 ", 1, 0, 12)
                      "u64:0 u32:512")),
  { 0 }
};
