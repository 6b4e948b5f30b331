/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dialogues in transmission with structured replies. */

#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "dialogue.h"

/* The number of an errno, in a log. */
#define NUMBER_(x) #x
#define NUMBER(x) NUMBER_ (x)

/* Requests. */
#define READ "u16:0 "
#define WRITE "u16:1 "
#define DISC "u16:2 "
#define FLUSH "u16:3 "
#define TRIM "u16:4 "
#define CACHE "u16:5 "
#define ZERO "u16:6 "
#define STATUS "u16:7 "
#define REQUEST(command, flags, cookie, offset, count)                  \
  "u32:0x25609513 u16:" #flags " " command "u64:" #cookie " u64:" #offset \
  " u32:" #count " "

/* Chunks, and what a server may say with a simple reply. */
#define MORE "u16:0 "
#define DONE "u16:1 "
#define NONE "u16:0 "
#define DATA "u16:1 "
#define HOLE "u16:2 "
#define EXTENTS "u16:5 "
#define ERROR "u16:0x8001 "
#define ERROR_OFFSET "u16:0x8002 "
#define CHUNK(flags, type, cookie, length) \
  "u32:0x668e33ef " flags type "u64:" #cookie " u32:" #length " "
#define END(cookie) CHUNK (DONE, NONE, cookie, 0)
#define FAILURE(flags, cookie, error) \
  CHUNK (flags, ERROR, cookie, 6) "u32:" #error " u16:0 "
#define FAILURE_AT(flags, cookie, error, offset) \
  CHUNK (flags, ERROR_OFFSET, cookie, 14) "u32:" #error " u16:0 u64:" \
  #offset " "
#define SIMPLE(cookie, error) "u32:0x67446698 u32:" #error " u64:" #cookie " "

/* Two contexts, with the ids 7 and 9. */
#define TWO_CONTEXTS_HANDSHAKE                                          \
  SERVER (GREETING),                                                    \
  CLIENT (CLIENT_FLAGS OPT_EXTENDED),                                   \
  SERVER (UNSUP (11)),                                                  \
  CLIENT (OPT_STRUCTURED),                                              \
  SERVER (ACK (8)),                                                     \
  CLIENT ("'IHAVEOPT' u32:10 u32:34 u32:0 u32:2 "                       \
          "u32:15 'base:allocation' u32:3 'x:y' "),                     \
  SERVER (META_REPLY (7)                                                \
          REP_MAGIC "u32:10 u32:4 u32:7 u32:9 'x:y' " ACK (10)),        \
  CLIENT (OPT_GO),                                                      \
  SERVER (INFO_EXPORT (7, 0x100000, 0x0dfd) ACK (7))

/* An export of 1 TiB. */
#define LARGE_META_HANDSHAKE                                    \
  SERVER (GREETING),                                            \
  CLIENT (CLIENT_FLAGS OPT_EXTENDED),                           \
  SERVER (UNSUP (11)),                                          \
  CLIENT (OPT_STRUCTURED),                                      \
  SERVER (ACK (8)),                                             \
  CLIENT (OPT_SET_META),                                        \
  SERVER (META_REPLY (7) ACK (10)),                             \
  CLIENT (OPT_GO),                                              \
  SERVER (INFO_EXPORT (7, 0x10000000000, 0x0dfd) ACK (7))

static void
one_context (struct nbd_handle *h)
{
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
}

static void
two_contexts (struct nbd_handle *h)
{
  one_context (h);
  nbd_add_meta_context (h, "x:y");
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
  memset (p->buffer[0], 0xaa, 1024);
  issued (p, nbd_aio_pread_structured (p->h, p->buffer[0], 1024, 4096,
                                       log_chunk (p),
                                       log_completion (p, "read"), 0));
}

static void
read_df (struct play *p)
{
  memset (p->buffer[0], 0xaa, 1024);
  issued (p, nbd_aio_pread_structured (p->h, p->buffer[0], 1024, 4096,
                                       log_chunk (p),
                                       log_completion (p, "read"),
                                       LIBNBD_CMD_FLAG_DF));
}

static void
read_second (struct play *p)
{
  issued (p, nbd_aio_pread_structured (p->h, p->buffer[1], 512, 0,
                                       log_chunk (p),
                                       log_completion (p, "second"), 0));
}

/* The setting changes while reads are in flight, once after each. */
static void
read_initialized_and_not (struct play *p)
{
  read_1024 (p);
  nbd_set_pread_initialize (p->h, false);
  memset (p->buffer[1], 0xaa, 512);
  read_second (p);
  nbd_set_pread_initialize (p->h, true);
}

static void
read_plainly (struct play *p)
{
  memset (p->buffer[0], 0xaa, 1024);
  issued (p, nbd_aio_pread (p->h, p->buffer[0], 1024, 4096,
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
write_fua (struct play *p)
{
  memset (p->buffer[2], 0x5a, 512);
  issued (p, nbd_aio_pwrite (p->h, p->buffer[2], 512, 12288,
                             log_completion (p, "write"),
                             LIBNBD_CMD_FLAG_FUA |
                             LIBNBD_CMD_FLAG_PAYLOAD_LEN));
}

static void
flush (struct play *p)
{
  issued (p, nbd_aio_flush (p->h, log_completion (p, "flush"), 0));
}

static void
trim (struct play *p)
{
  issued (p, nbd_aio_trim (p->h, 65536, 131072, log_completion (p, "trim"),
                           LIBNBD_CMD_FLAG_FUA));
}

static void
zero (struct play *p)
{
  issued (p, nbd_aio_zero (p->h, 65536, 131072, log_completion (p, "zero"),
                           LIBNBD_CMD_FLAG_NO_HOLE |
                           LIBNBD_CMD_FLAG_FAST_ZERO));
}

static void
cache (struct play *p)
{
  issued (p, nbd_aio_cache (p->h, 65536, 131072, log_completion (p, "cache"),
                            0));
}

static void
block_status (struct play *p)
{
  issued (p, nbd_aio_block_status (p->h, 65536, 131072, log_extent (p),
                                   log_completion (p, "status"), 0));
}

static void
block_status_one (struct play *p)
{
  issued (p, nbd_aio_block_status (p->h, 65536, 131072, log_extent (p),
                                   log_completion (p, "status"),
                                   LIBNBD_CMD_FLAG_REQ_ONE));
}

static void
block_status_64 (struct play *p)
{
  issued (p, nbd_aio_block_status_64 (p->h, 65536, 131072, log_extent64 (p),
                                      log_completion (p, "status"), 0));
}

static void
disconnect (struct play *p)
{
  CHECK (p, nbd_aio_disconnect (p->h, 0) == 0);
}

/* The last error: its number in place of strerror (3), on which no two C
 * libraries agree.
 */
static void
log_error (struct play *p)
{
  const char *text = nbd_get_error (), *why = strerror (nbd_get_errno ());
  size_t n = strlen (text), m = strlen (why);

  if (nbd_get_errno () != 0) {
    CHECK (p, n > m + 2 && strcmp (text + n - m, why) == 0);
    n -= MIN (n, m + 2);
  }
  play_log (p, "%.*s %d; ", (int) n, text, nbd_get_errno ());
}

/* A filter is about a payload, which these requests do not have; and 4 GiB do
 * not fit into them.
 */
static void
too_much_for_32_bits (struct play *p)
{
  char *contexts[] = { (char *) LIBNBD_CONTEXT_BASE_ALLOCATION, NULL };

  CHECK (p, nbd_aio_block_status_filter (p->h, 65536, 131072, contexts,
                                         log_extent64 (p),
                                         log_completion (p, "status"), 0)
         == -1);
  log_error (p);
  CHECK (p, nbd_aio_block_status_64 (p->h, UINT64_C (1) << 32, 0,
                                     log_extent64 (p),
                                     log_completion (p, "status"), 0) == -1);
  log_error (p);
  issued (p, nbd_aio_block_status_64 (p->h, UINT32_MAX, 0, log_extent64 (p),
                                      log_completion (p, "status"), 0));
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
    CHECK (p, nbd_aio_command_completed (p->h, cookie) == 0);
  }
  CHECK (p, cookie == (nbd_aio_in_flight (p->h) > 0 ? 0 : -1));
}

/* The four quarters of the buffer of a read of 1024 bytes. */
static void
check_quarters (struct play *p, uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
  const uint8_t want[] = { a, b, c, d };

  for (size_t i = 0; i < 1024; i++)
    CHECK (p, p->buffer[0][i] == want[i / 256]);
  CHECK (p, p->buffer[0][1024] == 0);
  retire_all (p);
}

#define CHECK_QUARTERS(name, a, b, c, d)        \
  static void                                   \
  check_##name (struct play *p)                 \
  {                                             \
    check_quarters (p, a, b, c, d);             \
  }

CHECK_QUARTERS (data, 0x11, 0x11, 0x11, 0x11)
CHECK_QUARTERS (zeroes, 0, 0, 0, 0)
CHECK_QUARTERS (data_and_hole, 0x11, 0x11, 0, 0)
CHECK_QUARTERS (four_parts, 0x11, 0x22, 0, 0x44)
CHECK_QUARTERS (hole_in_data, 0x11, 0, 0x11, 0x11)
CHECK_QUARTERS (data_in_hole, 0, 0x22, 0, 0)
CHECK_QUARTERS (hole_in_old_memory, 0xaa, 0, 0, 0xaa)
CHECK_QUARTERS (data_in_old_memory, 0x11, 0x11, 0xaa, 0xaa)

static void
check_first_initialized (struct play *p)
{
  for (size_t i = 0; i < 512; i++)
    CHECK (p, p->buffer[1][i] == 0xaa);
  check_data_and_hole (p);
}

static void
check_interleaved (struct play *p)
{
  CHECK (p, p->buffer[1][0] == 0x33);
  CHECK (p, p->buffer[1][255] == 0x33);
  CHECK (p, p->buffer[1][256] == 0);
  check_data_and_hole (p);
}

static void
check_stats (struct play *p)
{
  /* 5 messages in the handshake. */
  CHECK (p, nbd_stats_chunks_received (p->h) == 5 + 3);
  CHECK (p, nbd_stats_bytes_received (p->h) == p->input_length);
  CHECK (p, nbd_stats_bytes_sent (p->h) == p->output_length);
  retire_all (p);
}

static void
check_ended (struct play *p)
{
  CHECK (p, nbd_aio_in_flight (p->h) == 0);
  CHECK (p, nbd_aio_get_direction (p->h) == 0);
  retire_all (p);
}

/* Callbacks that fail.  They log first. */

static int (*log_this_chunk) (void *vp, const void *subbuf, size_t count,
                              uint64_t offset, unsigned status, int *error);

#define CHUNK_ANSWERING(name, value, assignment)                        \
  static int                                                            \
  chunk_##name (void *vp, const void *subbuf, size_t count,             \
                uint64_t offset, unsigned status, int *error)           \
  {                                                                     \
    log_this_chunk (vp, subbuf, count, offset, status, error);          \
    assignment;                                                         \
    return value;                                                       \
  }                                                                     \
                                                                        \
  static void                                                           \
  read_##name (struct play *p)                                          \
  {                                                                     \
    nbd_chunk_callback cb = log_chunk (p);                              \
                                                                        \
    log_this_chunk = cb.callback;                                       \
    cb.callback = chunk_##name;                                         \
    issued (p, nbd_aio_pread_structured (p->h, p->buffer[0], 1024, 4096, \
                                         cb, log_completion (p, "read"), \
                                         0));                           \
  }

CHUNK_ANSWERING (answering_minus_1, -1, )
CHUNK_ANSWERING (answering_minus_1_enospc, -1, *error = ENOSPC)
CHUNK_ANSWERING (answering_minus_1_no_error, -1, *error = 0)
CHUNK_ANSWERING (answering_0_enospc, 0, *error = ENOSPC)
CHUNK_ANSWERING (answering_1_enospc, 1, *error = ENOSPC)

/* A callback without a function is one that does nothing. */
static void
read_without_function (struct play *p)
{
  nbd_chunk_callback cb = log_chunk (p);

  cb.callback = NULL;
  issued (p, nbd_aio_pread_structured (p->h, p->buffer[0], 1024, 4096, cb,
                                       log_completion (p, "read"), 0));
}

static int (*log_these_extents) (void *vp, const char *context,
                                 uint64_t offset, uint32_t *entries,
                                 size_t nr_entries, int *error);

#define EXTENTS_ANSWERING(name, value, assignment)                      \
  static int                                                            \
  extents_##name (void *vp, const char *context, uint64_t offset,       \
                  uint32_t *entries, size_t nr_entries, int *error)     \
  {                                                                     \
    log_these_extents (vp, context, offset, entries, nr_entries, error); \
    assignment;                                                         \
    return value;                                                       \
  }                                                                     \
                                                                        \
  static void                                                           \
  block_status_##name (struct play *p)                                  \
  {                                                                     \
    nbd_extent_callback cb = log_extent (p);                            \
                                                                        \
    log_these_extents = cb.callback;                                    \
    cb.callback = extents_##name;                                       \
    issued (p, nbd_aio_block_status (p->h, 65536, 131072, cb,           \
                                     log_completion (p, "status"), 0)); \
  }

EXTENTS_ANSWERING (answering_minus_1, -1, )
EXTENTS_ANSWERING (answering_minus_1_enospc, -1, *error = ENOSPC)
EXTENTS_ANSWERING (answering_1_enospc, 1, *error = ENOSPC)

/* They may use the array as they like. */
EXTENTS_ANSWERING (scribbling, 0, memset (entries, 0xff, nr_entries * 4))

static void
block_status_without_function (struct play *p)
{
  nbd_extent_callback cb = log_extent (p);

  cb.callback = NULL;
  issued (p, nbd_aio_block_status (p->h, 65536, 131072, cb,
                                   log_completion (p, "status"), 0));
}

/* Too many extents for the log. */

static struct play *counting;

static int
count_extents (void *vp, const char *context, uint64_t offset,
               uint32_t *entries, size_t nr_entries, int *error)
{
  uint64_t sum = 0;

  (void) vp;
  for (size_t i = 0; i < nr_entries; i += 2)
    sum += entries[i];
  play_log (counting, "%zu entries %s %" PRIu64 ": %" PRIu64 " error %d; ",
            nr_entries, context, offset, sum, *error);
  return 0;
}

static int
count_extents_64 (void *vp, const char *context, uint64_t offset,
                  nbd_extent *entries, size_t nr_entries, int *error)
{
  uint64_t sum = 0;

  (void) vp;
  for (size_t i = 0; i < nr_entries; i++)
    sum += entries[i].length;
  play_log (counting, "%zu entries %s %" PRIu64 ": %" PRIu64 " error %d; ",
            nr_entries, context, offset, sum, *error);
  return 0;
}

static void
block_status_counting (struct play *p)
{
  nbd_extent_callback cb = log_extent (p);

  counting = p;
  cb.callback = count_extents;
  issued (p, nbd_aio_block_status (p->h, 65536, 131072, cb,
                                   log_completion (p, "status"), 0));
}

static void
block_status_64_counting (struct play *p)
{
  nbd_extent64_callback cb = log_extent64 (p);

  counting = p;
  cb.callback = count_extents_64;
  issued (p, nbd_aio_block_status_64 (p->h, 65536, 131072, cb,
                                      log_completion (p, "status"), 0));
}

/* Callbacks that need not be freed. */

static int
count_chunk (void *vp, const void *subbuf, size_t count, uint64_t offset,
             unsigned status, int *error)
{
  (void) vp;
  (void) subbuf;
  play_log (counting, "%zu bytes at %" PRIu64 " status %u error %d; ", count,
            offset, status, *error);
  return 0;
}

static int
count_done (void *vp, int *error)
{
  (void) vp;
  play_log (counting, "done with error %d; ", *error);
  return 0;
}

static void
nothing_to_free (struct play *p)
{
  nbd_completion_callback done = { .callback = count_done };

  counting = p;
  issued (p, nbd_aio_pread_structured (p->h, p->buffer[0], 1024, 4096,
                                       (nbd_chunk_callback) {
                                         .callback = count_chunk }, done, 0));
  issued (p, nbd_aio_block_status (p->h, 65536, 131072,
                                   (nbd_extent_callback) {
                                     .callback = count_extents }, done, 0));
  issued (p, nbd_aio_block_status_64 (p->h, 65536, 131072,
                                      (nbd_extent64_callback) {
                                        .callback = count_extents_64 }, done,
                                      0));
}

/* A read of 1024 bytes, and what the server says. */
#define READS_WITH(issue, what, log_of_it, check_of_it, ...)            \
  {                                                                     \
    .name = "structured read: " what,                                   \
    .steps = {                                                          \
      STRUCTURED_HANDSHAKE,                                             \
      CALL (issue),                                                     \
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),                        \
      __VA_ARGS__                                                       \
    },                                                                  \
    .state = "READY",                                                   \
    .log = log_of_it,                                                   \
    .check = check_of_it,                                               \
  }
#define READS(...) READS_WITH (read_1024, __VA_ARGS__)

#define READ_DONE "done read 0; free chunk; free read; retired 1 0; "
#define READ_FAILS(errnum) \
  "done read " NUMBER (errnum) "; free chunk; free read; retired 1 " \
  NUMBER (errnum) "; "
#define READ_LOST "done read " NUMBER (ENOTCONN) "; free chunk; free read; " \
  "retired 1 " NUMBER (ENOTCONN) "; "

/* A command and its reply. */
#define ANSWERED(what, call, request, reply, done, error)               \
  {                                                                     \
    .name = "structured replies: " what,                                \
    .steps = { STRUCTURED_HANDSHAKE, CALL (call), CLIENT (request),     \
               SERVER (reply) },                                        \
    .state = "READY",                                                   \
    .log = "done " done " " NUMBER (error) "; free " done "; retired 1 " \
           NUMBER (error) "; ",                                         \
    .check = retire_all,                                                \
  }

/* A flush that fails at the server. */
#define FAILS(error, errnum)                                            \
  ANSWERED ("error " #error " is " #errnum, flush,                      \
            REQUEST (FLUSH, 0, 1, 0, 0), FAILURE (DONE, 1, error),      \
            "flush", errnum)

/* A block status, and what the server says. */
#define TELLS_WITH(issue, what, log_of_it, ...)                         \
  {                                                                     \
    .name = "structured block status: " what,                           \
    .setup = one_context,                                               \
    .steps = {                                                          \
      STRUCTURED_META_HANDSHAKE,                                        \
      CALL (issue),                                                     \
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),                   \
      __VA_ARGS__                                                       \
    },                                                                  \
    .state = "READY",                                                   \
    .log = log_of_it,                                                   \
    .check = retire_all,                                                \
  }
#define TELLS(...) TELLS_WITH (block_status, __VA_ARGS__)

#define STATUS_DONE "done status 0; free extent; free status; retired 1 0; "
#define STATUS_FAILS(errnum) \
  "done status " NUMBER (errnum) "; free extent; free status; retired 1 " \
  NUMBER (errnum) "; "

/* The server closes in the middle of what it says about a read. */
#define ENDS(where, logged_before, ...)                         \
  {                                                             \
    .name = "structured read: the server closes " where,        \
    .steps = {                                                  \
      STRUCTURED_HANDSHAKE,                                     \
      CALL (read_1024),                                         \
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),                \
      __VA_ARGS__,                                              \
      SERVER_CLOSES,                                            \
    },                                                          \
    .state = "DEAD",                                            \
    .error = "recv: server disconnected unexpectedly",          \
    .log = logged_before READ_LOST,                             \
    .check = check_ended,                                       \
  }

#define HALF "u64:4096 x512:11 "
#define ALL "u64:4096 x1024:11 "

const struct dialogue structured_dialogues[] = {
  /* Reads. */
  READS ("one chunk of data is all",
         "chunk 4096+1024 status 1 error 0 sum 17408; " READ_DONE, check_data,
         SERVER (CHUNK (DONE, DATA, 1, 1032) ALL)),
  READS ("data, end",
         "chunk 4096+1024 status 1 error 0 sum 17408; " READ_DONE, check_data,
         SERVER (CHUNK (MORE, DATA, 1, 1032) ALL),
         SERVER (END (1))),
  READS ("a hole is zeroes",
         "chunk 4096+1024 status 2 error 0 sum 0; " READ_DONE, check_zeroes,
         SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:4096 u32:1024")),
  READS ("data, hole, end",
         "chunk 4096+512 status 1 error 0 sum 8704; "
         "chunk 4608+512 status 2 error 0 sum 0; " READ_DONE,
         check_data_and_hole,
         SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
         SERVER (CHUNK (MORE, HOLE, 1, 12) "u64:4608 u32:512"),
         SERVER (END (1))),
  READS ("hole, data",
         "chunk 4608+512 status 2 error 0 sum 0; "
         "chunk 4096+512 status 1 error 0 sum 8704; " READ_DONE,
         check_data_and_hole,
         SERVER (CHUNK (MORE, HOLE, 1, 12) "u64:4608 u32:512"),
         SERVER (CHUNK (DONE, DATA, 1, 520) HALF)),
  READS ("parts in reverse order",
         "chunk 4864+256 status 1 error 0 sum 17408; "
         "chunk 4608+256 status 2 error 0 sum 0; "
         "chunk 4352+256 status 1 error 0 sum 8704; "
         "chunk 4096+256 status 1 error 0 sum 4352; " READ_DONE,
         check_four_parts,
         SERVER (CHUNK (MORE, DATA, 1, 264) "u64:4864 x256:44"),
         SERVER (CHUNK (MORE, HOLE, 1, 12) "u64:4608 u32:256"),
         SERVER (CHUNK (MORE, DATA, 1, 264) "u64:4352 x256:22"),
         SERVER (CHUNK (DONE, DATA, 1, 264) "u64:4096 x256:11")),
  READS ("parts of odd sizes",
         "chunk 4097+1023 status 1 error 0 sum 17391; "
         "chunk 4096+1 status 1 error 0 sum 17; " READ_DONE, check_data,
         SERVER (CHUNK (MORE, DATA, 1, 1031) "u64:4097 x1023:11"),
         SERVER (CHUNK (DONE, DATA, 1, 9) "u64:4096 11")),
  READS ("a hole over data that came before",
         "chunk 4096+1024 status 1 error 0 sum 17408; "
         "chunk 4352+256 status 2 error 0 sum 0; " READ_FAILS (EPROTO),
         check_hole_in_data,
         SERVER (CHUNK (MORE, DATA, 1, 1032) ALL),
         SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:4352 u32:256")),
  READS ("data over a hole that came before",
         "chunk 4096+1024 status 2 error 0 sum 0; "
         "chunk 4352+256 status 1 error 0 sum 8704; " READ_FAILS (EPROTO),
         check_data_in_hole,
         SERVER (CHUNK (MORE, HOLE, 1, 12) "u64:4096 u32:1024"),
         SERVER (CHUNK (DONE, DATA, 1, 264) "u64:4352 x256:22")),
  READS ("the same half twice counts as the whole",
         "chunk 4096+512 status 1 error 0 sum 8704; "
         "chunk 4096+512 status 1 error 0 sum 8704; " READ_DONE,
         check_data_and_hole,
         SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
         SERVER (CHUNK (DONE, DATA, 1, 520) HALF)),
  READS ("empty chunks are told and count for nothing",
         "chunk 4096+0 status 1 error 0 sum 0; "
         "chunk 5120+0 status 1 error 0 sum 0; "
         "chunk 4608+0 status 2 error 0 sum 0; "
         "chunk 4096+1024 status 1 error 0 sum 17408; " READ_DONE,
         check_data,
         SERVER (CHUNK (MORE, DATA, 1, 8) "u64:4096"),
         SERVER (CHUNK (MORE, DATA, 1, 8) "u64:5120"),
         SERVER (CHUNK (MORE, HOLE, 1, 12) "u64:4608 u32:0"),
         SERVER (CHUNK (DONE, DATA, 1, 1032) ALL)),
  READS_WITH (read_plainly, "nobody need be told of the chunks",
              "done read 0; free read; retired 1 0; ", check_data_and_hole,
              SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
              SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:4608 u32:512")),
  READS_WITH (read_without_function, "a callback without a function is freed",
              READ_DONE, check_data,
              SERVER (CHUNK (MORE, DATA, 1, 1032) ALL),
              SERVER (END (1))),
  {
    .name = "structured read: a hole in a buffer that is not initialized",
    .setup = not_initialized,
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_1024),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      SERVER (CHUNK (MORE, HOLE, 1, 12) "u64:4352 u32:512"),
      SERVER (FAILURE (DONE, 1, 5)),
    },
    .state = "READY",
    .log = "chunk 4352+512 status 2 error 0 sum 0; " READ_FAILS (EIO),
    .check = check_hole_in_old_memory,
  },
  {
    .name = "structured read: too short, in a buffer that is not initialized",
    .setup = not_initialized,
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_1024),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      SERVER (CHUNK (DONE, DATA, 1, 520) HALF),
    },
    .state = "READY",
    .log = "chunk 4096+512 status 1 error 0 sum 8704; " READ_FAILS (EPROTO),
    .check = check_data_in_old_memory,
  },
  {
    .name = "structured read: each keeps the choice to initialize that it was "
            "issued with",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_initialized_and_not),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      CLIENT (REQUEST (READ, 0, 2, 0, 512)),
      SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
      SERVER (FAILURE (DONE, 2, 5)),
      SERVER (END (1)),
    },
    .state = "READY",
    .log = "chunk 4096+512 status 1 error 0 sum 8704; "
           "done second " NUMBER (EIO) "; done read " NUMBER (EPROTO) "; "
           "free chunk; free second; retired 2 " NUMBER (EIO) "; "
           "free chunk; free read; retired 1 " NUMBER (EPROTO) "; ",
    .check = check_first_initialized,
  },
  READS ("flags of a chunk that are not known are ignored",
         "chunk 4096+512 status 1 error 0 sum 8704; "
         "chunk 4608+512 status 2 error 0 sum 0; " READ_DONE,
         check_data_and_hole,
         SERVER (CHUNK ("u16:0xfffe ", DATA, 1, 520) HALF),
         SERVER (CHUNK ("u16:0xffff ", HOLE, 1, 12) "u64:4608 u32:512")),
  {
    .name = "structured read: what is received and sent is counted",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_1024),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
      SERVER (CHUNK (MORE, HOLE, 1, 12) "u64:4608 u32:512"),
      SERVER (END (1)),
    },
    .state = "READY",
    .log = "chunk 4096+512 status 1 error 0 sum 8704; "
           "chunk 4608+512 status 2 error 0 sum 0; " READ_DONE,
    .check = check_stats,
  },
  {
    .name = "structured read: not to be fragmented",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_df),
      CLIENT (REQUEST (READ, 4, 1, 4096, 1024)),
      SERVER (CHUNK (MORE, DATA, 1, 1032) ALL),
      SERVER (END (1)),
    },
    .state = "READY",
    .log = "chunk 4096+1024 status 1 error 0 sum 17408; " READ_DONE,
    .check = check_data,
  },
  {
    .name = "structured read: too long not to be fragmented",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_df),
      CLIENT (REQUEST (READ, 4, 1, 4096, 1024)),
      SERVER (FAILURE (DONE, 1, 75)),
    },
    .state = "READY",
    .log = READ_FAILS (EOVERFLOW),
    .check = check_zeroes,
  },

  /* Reads that fail. */
  READS ("an error and no data", READ_FAILS (EIO), check_zeroes,
         SERVER (FAILURE (DONE, 1, 5))),
  READS ("an error with a message",
         READ_FAILS (EPERM), check_zeroes,
         SERVER (CHUNK (DONE, ERROR, 1, 14) "u32:1 u16:8 'Go_away!'")),
  READS ("an error after data, end",
         "chunk 4096+512 status 1 error 0 sum 8704; " READ_FAILS (EIO),
         check_data_and_hole,
         SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
         SERVER (FAILURE (MORE, 1, 5)),
         SERVER (END (1))),
  READS ("an error before data, which is told of it",
         "chunk 4096+1024 status 1 error " NUMBER (EIO) " sum 17408; "
         READ_FAILS (EIO), check_data,
         SERVER (FAILURE (MORE, 1, 5)),
         SERVER (CHUNK (DONE, DATA, 1, 1032) ALL)),
  READS ("an error before a hole, which is told of it",
         "chunk 4096+1024 status 2 error " NUMBER (EIO) " sum 0; "
         READ_FAILS (EIO), check_zeroes,
         SERVER (FAILURE (MORE, 1, 5)),
         SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:4096 u32:1024")),
  READS ("an error at an offset, before data",
         "chunk 4608+0 status 3 error " NUMBER (EIO) " sum 0; "
         "chunk 4096+512 status 1 error " NUMBER (EIO) " sum 8704; "
         READ_FAILS (EIO), check_data_and_hole,
         SERVER (FAILURE_AT (MORE, 1, 5, 4608)),
         SERVER (CHUNK (DONE, DATA, 1, 520) HALF)),
  READS ("an error at an offset, after data",
         "chunk 4096+1024 status 1 error 0 sum 17408; "
         "chunk 4096+0 status 3 error " NUMBER (EIO) " sum 0; "
         READ_FAILS (EIO), check_data,
         SERVER (CHUNK (MORE, DATA, 1, 1032) ALL),
         SERVER (FAILURE_AT (DONE, 1, 5, 4096))),
  READS ("an error at the last offset, with a message",
         "chunk 5119+0 status 3 error " NUMBER (ENOSPC) " sum 0; "
         READ_FAILS (ENOSPC), check_zeroes,
         SERVER (CHUNK (DONE, ERROR_OFFSET, 1, 18)
                 "u32:28 u16:4 'Full' u64:5119")),
  READS ("errors at two offsets: each is told, the first one counts",
         "chunk 4096+0 status 3 error " NUMBER (ENOMEM) " sum 0; "
         "chunk 4608+0 status 3 error " NUMBER (EIO) " sum 0; "
         READ_FAILS (ENOMEM), check_zeroes,
         SERVER (FAILURE_AT (MORE, 1, 12, 4096)),
         SERVER (FAILURE_AT (MORE, 1, 5, 4608)),
         SERVER (END (1))),
  READS ("several errors: the first one counts",
         "chunk 4096+0 status 3 error " NUMBER (EIO) " sum 0; "
         READ_FAILS (EPERM), check_zeroes,
         SERVER (FAILURE (MORE, 1, 1)),
         SERVER (FAILURE_AT (MORE, 1, 5, 4096)),
         SERVER (FAILURE (DONE, 1, 28))),
  READS ("an error that is none is EINVAL", READ_FAILS (EINVAL), check_zeroes,
         SERVER (FAILURE (DONE, 1, 0))),
  READS ("an error at an offset that is none is EINVAL",
         "chunk 4096+0 status 3 error " NUMBER (EINVAL) " sum 0; "
         READ_FAILS (EINVAL), check_zeroes,
         SERVER (FAILURE_AT (DONE, 1, 0, 4096))),
  READS ("an unknown type of error is an error",
         READ_FAILS (EIO), check_zeroes,
         SERVER (CHUNK (DONE, "u16:0x8063 ", 1, 14)
                 "u32:5 u16:0 u64:0xffffffffffffffff")),
  READS ("an error may be followed by what is not known",
         READ_FAILS (EIO), check_zeroes,
         SERVER (CHUNK (DONE, ERROR, 1, 12) "u32:5 u16:2 'No' u32:77")),
  READS ("nothing but the end is too short",
         READ_FAILS (EPROTO), check_zeroes,
         SERVER (END (1))),
  READS ("half of the data is too short",
         "chunk 4096+512 status 1 error 0 sum 8704; " READ_FAILS (EPROTO),
         check_data_and_hole,
         SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
         SERVER (END (1))),
  READS ("all but a byte is too short",
         "chunk 4096+512 status 1 error 0 sum 8704; "
         "chunk 4608+511 status 2 error 0 sum 0; " READ_FAILS (EPROTO),
         check_data_and_hole,
         SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
         SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:4608 u32:511")),
  READS ("an error is the reason why it is short",
         "chunk 4096+512 status 1 error 0 sum 8704; " READ_FAILS (EIO),
         check_data_and_hole,
         SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
         SERVER (FAILURE (DONE, 1, 5))),

  /* What chunk callbacks answer. */
  READS_WITH (read_answering_minus_1, "a chunk callback fails",
              "chunk 4096+1024 status 1 error 0 sum 17408; "
              READ_FAILS (EPROTO), check_data,
              SERVER (CHUNK (MORE, DATA, 1, 1032) ALL),
              SERVER (END (1))),
  READS_WITH (read_answering_minus_1_enospc,
              "a chunk callback fails with an error, which the next is told",
              "chunk 4096+512 status 1 error 0 sum 8704; "
              "chunk 4608+512 status 2 error " NUMBER (ENOSPC) " sum 0; "
              READ_FAILS (ENOSPC), check_data_and_hole,
              SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
              SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:4608 u32:512")),
  READS_WITH (read_answering_0_enospc, "an error without -1 is ignored",
              "chunk 4096+512 status 1 error 0 sum 8704; "
              "chunk 4608+512 status 2 error 0 sum 0; " READ_DONE,
              check_data_and_hole,
              SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
              SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:4608 u32:512")),
  READS_WITH (read_answering_1_enospc, "an error with 1 is ignored",
              "chunk 4096+1024 status 1 error 0 sum 17408; " READ_DONE,
              check_data,
              SERVER (CHUNK (DONE, DATA, 1, 1032) ALL)),
  READS_WITH (read_answering_minus_1_enospc,
              "the server's error does not replace a callback's",
              "chunk 4096+512 status 1 error 0 sum 8704; "
              READ_FAILS (ENOSPC), check_data_and_hole,
              SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
              SERVER (FAILURE (DONE, 1, 5))),
  READS_WITH (read_answering_minus_1_enospc,
              "a callback's error does not replace the server's",
              "chunk 4096+1024 status 1 error " NUMBER (EIO) " sum 17408; "
              READ_FAILS (EIO), check_data,
              SERVER (FAILURE (MORE, 1, 5)),
              SERVER (CHUNK (DONE, DATA, 1, 1032) ALL)),
  READS_WITH (read_answering_minus_1,
              "a callback may fail with the error that it is told",
              "chunk 4608+0 status 3 error " NUMBER (EIO) " sum 0; "
              READ_FAILS (EIO), check_zeroes,
              SERVER (FAILURE_AT (DONE, 1, 5, 4608))),
  READS_WITH (read_answering_minus_1_enospc,
              "a callback may replace the error that it is told",
              "chunk 4608+0 status 3 error " NUMBER (EIO) " sum 0; "
              READ_FAILS (ENOSPC), check_zeroes,
              SERVER (FAILURE_AT (DONE, 1, 5, 4608))),
  READS_WITH (read_answering_minus_1_no_error,
              "a callback cannot make a read succeed",
              "chunk 4096+1024 status 1 error " NUMBER (EIO) " sum 17408; "
              READ_FAILS (EIO), check_data,
              SERVER (FAILURE (MORE, 1, 5)),
              SERVER (CHUNK (DONE, DATA, 1, 1032) ALL)),
  {
    .name = "structured read: a callback that fails does not harm the next "
            "command",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_answering_minus_1),
      CALL (read_second),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      CLIENT (REQUEST (READ, 0, 2, 0, 512)),
      SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:4096 u32:1024"),
      SERVER (CHUNK (DONE, HOLE, 2, 12) "u64:0 u32:512"),
    },
    .state = "READY",
    .log = "chunk 4096+1024 status 2 error 0 sum 0; done read "
           NUMBER (EPROTO) "; chunk 0+512 status 2 error 0 sum 0; "
           "done second 0; free chunk; free read; retired 1 " NUMBER (EPROTO)
           "; free chunk; free second; retired 2 0; ",
    .check = retire_all,
  },

  /* The other commands. */
  ANSWERED ("a write", write_512,
            REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a", END (1), "write", 0),
  ANSWERED ("a write with FUA; PAYLOAD_LEN is for extended headers",
            write_fua, REQUEST (WRITE, 1, 1, 12288, 512) "x512:5a", END (1),
            "write", 0),
  ANSWERED ("a flush", flush, REQUEST (FLUSH, 0, 1, 0, 0), END (1), "flush",
            0),
  ANSWERED ("a trim with FUA", trim, REQUEST (TRIM, 1, 1, 131072, 65536),
            END (1), "trim", 0),
  ANSWERED ("a zero with NO_HOLE and FAST_ZERO", zero,
            REQUEST (ZERO, 0x12, 1, 131072, 65536), END (1), "zero", 0),
  ANSWERED ("a cache", cache, REQUEST (CACHE, 0, 1, 131072, 65536), END (1),
            "cache", 0),
  ANSWERED ("a write with a simple reply", write_512,
            REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a", SIMPLE (1, 0),
            "write", 0),
  ANSWERED ("a flush with a simple reply", flush,
            REQUEST (FLUSH, 0, 1, 0, 0), SIMPLE (1, 0), "flush", 0),
  ANSWERED ("a trim that fails with a simple reply", trim,
            REQUEST (TRIM, 1, 1, 131072, 65536), SIMPLE (1, 1), "trim", EPERM),
  ANSWERED ("a write that fails", write_512,
            REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a",
            FAILURE (DONE, 1, 28), "write", ENOSPC),
  ANSWERED ("a write that fails at an offset", write_512,
            REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a",
            FAILURE_AT (DONE, 1, 28, 12300), "write", ENOSPC),
  ANSWERED ("a trim that fails at an offset", trim,
            REQUEST (TRIM, 1, 1, 131072, 65536),
            FAILURE_AT (DONE, 1, 5, 131072), "trim", EIO),
  ANSWERED ("a zero that fails, end", zero,
            REQUEST (ZERO, 0x12, 1, 131072, 65536),
            FAILURE (MORE, 1, 95) END (1), "zero", ENOTSUP),
  ANSWERED ("a cache that fails twice: the first error counts", cache,
            REQUEST (CACHE, 0, 1, 131072, 65536),
            FAILURE (MORE, 1, 12) FAILURE (DONE, 1, 5), "cache", ENOMEM),
  ANSWERED ("an unknown type of error is an error of any command", flush,
            REQUEST (FLUSH, 0, 1, 0, 0),
            CHUNK (DONE, "u16:0xffff ", 1, 9) "u32:5 u16:3 'Why'", "flush",
            EIO),

  /* The server's errors. */
  FAILS (1, EPERM),
  FAILS (5, EIO),
  FAILS (12, ENOMEM),
  FAILS (22, EINVAL),
  FAILS (28, ENOSPC),
  FAILS (75, EOVERFLOW),
  FAILS (95, ENOTSUP),
  FAILS (108, ESHUTDOWN),
  FAILS (2, EINVAL),
  FAILS (0xffffffff, EINVAL),

  /* Several at once. */
  {
    .name = "structured replies: chunks of several commands take turns",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_1024), CALL (flush), CALL (read_second), CALL (write_512),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      CLIENT (REQUEST (READ, 0, 3, 0, 512)),
      CLIENT (REQUEST (WRITE, 0, 4, 12288, 512) "x512:5a"),
      SERVER (CHUNK (MORE, DATA, 3, 264) "u64:0 x256:33"),
      SERVER (CHUNK (MORE, HOLE, 1, 12) "u64:4608 u32:512"),
      SERVER (SIMPLE (4, 0)),
      SERVER (FAILURE_AT (MORE, 3, 5, 256)),
      SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
      SERVER (END (3)),
      SERVER (END (2)),
      SERVER (END (1)),
    },
    .state = "READY",
    .log = "chunk 0+256 status 1 error 0 sum 13056; "
           "chunk 4608+512 status 2 error 0 sum 0; "
           "done write 0; "
           "chunk 256+0 status 3 error " NUMBER (EIO) " sum 0; "
           "chunk 4096+512 status 1 error 0 sum 8704; "
           "done second " NUMBER (EIO) "; done flush 0; done read 0; "
           "free write; retired 4 0; "
           "free chunk; free second; retired 3 " NUMBER (EIO) "; "
           "free flush; retired 2 0; free chunk; free read; retired 1 0; ",
    .check = check_interleaved,
  },
  {
    .name = "structured replies: callbacks without a free function",
    .setup = one_context,
    .steps = {
      STRUCTURED_META_HANDSHAKE,
      CALL (nothing_to_free),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      CLIENT (REQUEST (STATUS, 0, 2, 131072, 65536)),
      CLIENT (REQUEST (STATUS, 0, 3, 131072, 65536)),
      SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:4096 u32:1024"),
      SERVER (CHUNK (DONE, EXTENTS, 2, 12) "u32:7 u32:512 u32:0"),
      SERVER (CHUNK (DONE, EXTENTS, 3, 12) "u32:7 u32:1024 u32:0"),
    },
    .state = "READY",
    .log = "1024 bytes at 4096 status 2 error 0; done with error 0; "
           "2 entries base:allocation 131072: 512 error 0; "
           "done with error 0; "
           "1 entries base:allocation 131072: 1024 error 0; "
           "done with error 0; retired 1 0; retired 2 0; retired 3 0; ",
    .check = retire_all,
  },
  {
    .name = "structured replies: a disconnect has the next cookie",
    .setup = one_context,
    .steps = {
      STRUCTURED_META_HANDSHAKE,
      CALL (block_status), CALL (disconnect),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      CLIENT (REQUEST (DISC, 0, 2, 0, 0)),
      SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:7 u32:65536 u32:0"),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = "extents base:allocation 131072: 65536/0 error 0; " STATUS_DONE,
    .check = check_ended,
  },

  /* Block status. */
  TELLS ("one extent",
         "extents base:allocation 131072: 65536/3 error 0; " STATUS_DONE,
         SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:7 u32:65536 u32:3")),
  TELLS ("several extents, end",
         "extents base:allocation 131072: 4096/0 512/3 1/4294967295 error 0; "
         STATUS_DONE,
         SERVER (CHUNK (MORE, EXTENTS, 1, 28) "u32:7 u32:4096 u32:0 "
                 "u32:512 u32:3 u32:1 u32:0xffffffff"),
         SERVER (END (1))),
  {
    .name = "structured block status: one extent is asked for",
    .setup = one_context,
    .steps = {
      STRUCTURED_META_HANDSHAKE,
      CALL (block_status_one),
      CLIENT (REQUEST (STATUS, 8, 1, 131072, 65536)),
      SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:7 u32:512 u32:0"),
    },
    .state = "READY",
    .log = "extents base:allocation 131072: 512/0 error 0; " STATUS_DONE,
    .check = retire_all,
  },
  TELLS_WITH (block_status_64, "extents of 32 bits for a callback of 64",
              "extents base:allocation 131072: 4096/0 512/3 1/4294967295 "
              "error 0; done status 0; free extent64; free status; "
              "retired 1 0; ",
              SERVER (CHUNK (MORE, EXTENTS, 1, 28) "u32:7 u32:4096 u32:0 "
                      "u32:512 u32:3 u32:1 u32:0xffffffff"),
              SERVER (END (1))),
  TELLS ("more than was asked for, up to the end of the export",
         "extents base:allocation 131072: 65536/0 851968/3 error 0; "
         STATUS_DONE,
         SERVER (CHUNK (DONE, EXTENTS, 1, 20) "u32:7 u32:65536 u32:0 "
                 "u32:851968 u32:3")),
  TELLS ("nothing but the end",
         STATUS_DONE,
         SERVER (END (1))),
  TELLS ("a context twice is told twice",
         "extents base:allocation 131072: 512/0 error 0; "
         "extents base:allocation 131072: 1024/1 error 0; " STATUS_DONE,
         SERVER (CHUNK (MORE, EXTENTS, 1, 12) "u32:7 u32:512 u32:0"),
         SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:7 u32:1024 u32:1")),
  TELLS ("a simple reply tells nothing", STATUS_DONE, SERVER (SIMPLE (1, 0))),
  TELLS ("a simple reply that is an error", STATUS_FAILS (EIO),
         SERVER (SIMPLE (1, 5))),
  TELLS ("an error", STATUS_FAILS (EINVAL), SERVER (FAILURE (DONE, 1, 22))),
  TELLS ("an error at an offset", STATUS_FAILS (EIO),
         SERVER (FAILURE_AT (DONE, 1, 5, 131072))),
  TELLS ("an error after extents",
         "extents base:allocation 131072: 65536/0 error 0; "
         STATUS_FAILS (EIO),
         SERVER (CHUNK (MORE, EXTENTS, 1, 12) "u32:7 u32:65536 u32:0"),
         SERVER (FAILURE (DONE, 1, 5))),
  TELLS ("an error before extents, which are told of it",
         "extents base:allocation 131072: 65536/0 error " NUMBER (EIO) "; "
         STATUS_FAILS (EIO),
         SERVER (FAILURE (MORE, 1, 5)),
         SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:7 u32:65536 u32:0")),
  TELLS_WITH (block_status_answering_minus_1, "a callback fails",
              "extents base:allocation 131072: 65536/0 error 0; "
              STATUS_FAILS (EPROTO),
              SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:7 u32:65536 u32:0")),
  TELLS_WITH (block_status_answering_minus_1_enospc,
              "a callback fails with an error",
              "extents base:allocation 131072: 65536/0 error 0; "
              STATUS_FAILS (ENOSPC),
              SERVER (CHUNK (MORE, EXTENTS, 1, 12) "u32:7 u32:65536 u32:0"),
              SERVER (FAILURE (DONE, 1, 5))),
  TELLS_WITH (block_status_answering_1_enospc,
              "an error without -1 is ignored",
              "extents base:allocation 131072: 65536/0 error 0; " STATUS_DONE,
              SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:7 u32:65536 u32:0")),
  TELLS_WITH (block_status_scribbling,
              "what a callback does to its array does no harm",
              "extents base:allocation 131072: 512/0 512/1 error 0; "
              "extents base:allocation 131072: 1024/3 error 0; " STATUS_DONE,
              SERVER (CHUNK (MORE, EXTENTS, 1, 20) "u32:7 u32:512 u32:0 "
                      "u32:512 u32:1"),
              SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:7 u32:1024 u32:3")),
  TELLS_WITH (block_status_without_function,
              "a callback without a function is freed",
              STATUS_DONE,
              SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:7 u32:65536 u32:0")),
  {
    .name = "structured block status: two contexts in the server's order",
    .setup = two_contexts,
    .steps = {
      TWO_CONTEXTS_HANDSHAKE,
      CALL (block_status),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (CHUNK (MORE, EXTENTS, 1, 20) "u32:9 u32:512 u32:0x100 "
              "u32:65024 u32:0x101"),
      SERVER (CHUNK (MORE, EXTENTS, 1, 12) "u32:7 u32:65536 u32:3"),
      SERVER (END (1)),
    },
    .state = "READY",
    .log = "extents x:y 131072: 512/256 65024/257 error 0; "
           "extents base:allocation 131072: 65536/3 error 0; " STATUS_DONE,
    .check = retire_all,
  },
  {
    .name = "structured block status: a callback that fails is called for the "
            "next context",
    .setup = two_contexts,
    .steps = {
      TWO_CONTEXTS_HANDSHAKE,
      CALL (block_status_answering_minus_1_enospc),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (CHUNK (MORE, EXTENTS, 1, 12) "u32:7 u32:512 u32:0"),
      SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:9 u32:512 u32:0"),
    },
    .state = "READY",
    .log = "extents base:allocation 131072: 512/0 error 0; "
           "extents x:y 131072: 512/0 error " NUMBER (ENOSPC) "; "
           STATUS_FAILS (ENOSPC),
    .check = retire_all,
  },
  {
    .name = "structured block status: lists of two commands take turns",
    .setup = two_contexts,
    .steps = {
      TWO_CONTEXTS_HANDSHAKE,
      CALL (block_status), CALL (block_status_64),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      CLIENT (REQUEST (STATUS, 0, 2, 131072, 65536)),
      SERVER (CHUNK (MORE, EXTENTS, 1, 12) "u32:7 u32:512 u32:0"),
      SERVER (CHUNK (MORE, EXTENTS, 2, 12) "u32:9 u32:1024 u32:1"),
      SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:9 u32:2048 u32:2"),
      SERVER (CHUNK (DONE, EXTENTS, 2, 12) "u32:7 u32:4096 u32:3"),
    },
    .state = "READY",
    .log = "extents base:allocation 131072: 512/0 error 0; "
           "extents x:y 131072: 1024/1 error 0; "
           "extents x:y 131072: 2048/2 error 0; done status 0; "
           "extents base:allocation 131072: 4096/3 error 0; done status 0; "
           "free extent; free status; retired 1 0; "
           "free extent64; free status; retired 2 0; ",
    .check = retire_all,
  },
  {
    .name = "structured block status: requests do not grow beyond 32 bits",
    .setup = one_context,
    .steps = {
      LARGE_META_HANDSHAKE,
      CALL (too_much_for_32_bits),
      CLIENT (REQUEST (STATUS, 0, 1, 0, 0xffffffff)),
      SERVER (CHUNK (DONE, EXTENTS, 1, 20) "u32:7 u32:0xffffffff u32:0 "
              "u32:0xffffffff u32:1"),
    },
    .state = "READY",
    .log = "free extent64; free status; nbd_aio_block_status_filter: server "
           "does not support the block status payload " NUMBER (EINVAL)
           "; free extent64; free status; nbd_aio_block_status_64: request "
           "too large: maximum request size is 4294967295 " NUMBER (ERANGE)
           "; "
           "extents base:allocation 0: 4294967295/0 4294967295/1 error 0; "
           "done status 0; free extent64; free status; retired 1 0; ",
    .check = retire_all,
  },
  {
    .name = "structured block status: very many extents",
    .setup = one_context,
    .steps = {
      LARGE_META_HANDSHAKE,
      CALL (block_status_counting), CALL (block_status_64_counting),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      CLIENT (REQUEST (STATUS, 0, 2, 131072, 65536)),
      SERVER (CHUNK (DONE, EXTENTS, 1, 24004) "u32:7 x24000:01"),
      SERVER (CHUNK (DONE, EXTENTS, 2, 12) "u32:7 u32:512 u32:0"),
    },
    .state = "READY",
    .log = "6000 entries base:allocation 131072: 50529027000 error 0; "
           "done status 0; 1 entries base:allocation 131072: 512 error 0; "
           "done status 0; free extent; free status; retired 1 0; "
           "free extent64; free status; retired 2 0; ",
    .check = retire_all,
  },

  /* Extents that make no sense. */
  TELLS ("a first extent of length 0 fails", STATUS_FAILS (EPROTO),
         SERVER (CHUNK (DONE, EXTENTS, 1, 20) "u32:7 u32:0 u32:0 "
                 "u32:512 u32:0")),
  TELLS ("an extent of length 0 ends the list",
         "extents base:allocation 131072: 512/1 error 0; " STATUS_DONE,
         SERVER (CHUNK (DONE, EXTENTS, 1, 28) "u32:7 u32:512 u32:1 "
                 "u32:0 u32:0 u32:512 u32:0")),
  TELLS ("a first extent beyond the export fails", STATUS_FAILS (EPROTO),
         SERVER (CHUNK (DONE, EXTENTS, 1, 12) "u32:7 u32:917505 u32:0")),
  TELLS ("an extent beyond the export ends the list and fails",
         "extents base:allocation 131072: 917503/1 error " NUMBER (EPROTO)
         "; " STATUS_FAILS (EPROTO),
         SERVER (CHUNK (DONE, EXTENTS, 1, 28) "u32:7 u32:917503 u32:1 "
                 "u32:2 u32:0 u32:1 u32:0")),
  TELLS ("lengths do not wrap around",
         "extents base:allocation 131072: 512/1 error " NUMBER (EPROTO) "; "
         STATUS_FAILS (EPROTO),
         SERVER (CHUNK (DONE, EXTENTS, 1, 20) "u32:7 u32:512 u32:1 "
                 "u32:0xffffffff u32:0")),
  TELLS_WITH (block_status_64, "a wide callback is spared them as well",
              "extents base:allocation 131072: 512/1 error " NUMBER (EPROTO)
              "; done status " NUMBER (EPROTO) "; free extent64; "
              "free status; retired 1 " NUMBER (EPROTO) "; ",
              SERVER (CHUNK (DONE, EXTENTS, 1, 20) "u32:7 u32:512 u32:1 "
                      "u32:917000 u32:0")),

  /* The end of the connection. */
  {
    .name = "structured read: the server closes between chunks",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_1024), CALL (flush),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = "chunk 4096+512 status 1 error 0 sum 8704; "
           "done flush " NUMBER (ENOTCONN) "; done read " NUMBER (ENOTCONN)
           "; free flush; retired 2 " NUMBER (ENOTCONN)
           "; free chunk; free read; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_ended,
  },
  {
    .name = "structured read: the error that came first outlives the "
            "connection",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_1024),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      SERVER (FAILURE (MORE, 1, 5)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = READ_FAILS (EIO),
    .check = check_ended,
  },
  ENDS ("within a header", "", SERVER ("u32:0x668e33ef u16:0 u16:1")),
  ENDS ("before the length", "", SERVER ("u32:0x668e33ef u16:0 u16:1 u64:1")),
  ENDS ("within the length", "",
        SERVER ("u32:0x668e33ef u16:0 u16:1 u64:1 00 00 04")),
  ENDS ("before the offset of data", "", SERVER (CHUNK (DONE, DATA, 1, 1032))),
  ENDS ("before data", "", SERVER (CHUNK (DONE, DATA, 1, 1032) "u64:4096")),
  ENDS ("within data", "",
        SERVER (CHUNK (DONE, DATA, 1, 1032) "u64:4096 x1023:11")),
  ENDS ("within a hole", "chunk 4096+512 status 1 error 0 sum 8704; ",
        SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
        SERVER (CHUNK (DONE, HOLE, 1, 12) "u64:4608 u16:0")),
  ENDS ("within an error", "chunk 4096+512 status 1 error 0 sum 8704; ",
        SERVER (CHUNK (MORE, DATA, 1, 520) HALF),
        SERVER (CHUNK (DONE, ERROR, 1, 10) "u32:5 u16:4 'Oop'")),
  {
    .name = "structured block status: the server closes within extents",
    .setup = one_context,
    .steps = {
      STRUCTURED_META_HANDSHAKE,
      CALL (block_status),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (CHUNK (DONE, EXTENTS, 1, 20) "u32:7 u32:512 u32:0 u32:512"),
      SERVER_CLOSES,
    },
    .state = "DEAD",
    .error = "recv: server disconnected unexpectedly",
    .log = STATUS_FAILS (ENOTCONN),
    .check = check_ended,
  },
  {
    .name = "structured read: the handle is closed within data",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_1024), CALL (read_second),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      CLIENT (REQUEST (READ, 0, 2, 0, 512)),
      SERVER (CHUNK (MORE, HOLE, 2, 12) "u64:0 u32:256"),
      SERVER (CHUNK (DONE, DATA, 1, 1032) "u64:4096 x100:11"),
    },
    .state = "CHUNK_DATA",
    .log = "chunk 0+256 status 2 error 0 sum 0; "
           "done second " NUMBER (ENOTCONN) "; done read " NUMBER (ENOTCONN)
           "; free chunk; free second; free chunk; free read; ",
  },
  {
    .name = "structured block status: the handle is closed within extents",
    .setup = one_context,
    .steps = {
      STRUCTURED_META_HANDSHAKE,
      CALL (block_status),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (CHUNK (DONE, EXTENTS, 1, 20) "u32:7 u32:512 u32:0"),
    },
    .state = "CHUNK_STATUS",
    .log = "done status " NUMBER (ENOTCONN) "; free extent; free status; ",
  },
  { 0 }
};
