/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dialogues in transmission with extended headers. */

#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "dialogue.h"

/* The number of an errno, in a log. */
#define NUMBER_(x) #x
#define NUMBER(x) NUMBER_ (x)

/* Requests.  Flag 0x20 is PAYLOAD_LEN. */
#define READ "u16:0 "
#define WRITE "u16:1 "
#define DISC "u16:2 "
#define FLUSH "u16:3 "
#define TRIM "u16:4 "
#define CACHE "u16:5 "
#define ZERO "u16:6 "
#define STATUS "u16:7 "
#define REQUEST(command, flags, cookie, offset, length)                 \
  "u32:0x21e41c71 u16:" #flags " " command "u64:" #cookie " u64:" #offset \
  " u64:" #length " "

/* Chunks.  OFFSET is that of the request. */
#define MORE "u16:0 "
#define DONE "u16:1 "
#define NONE "u16:0 "
#define DATA "u16:1 "
#define HOLE "u16:2 "
#define EXTENTS "u16:6 "
#define ERROR "u16:0x8001 "
#define ERROR_OFFSET "u16:0x8002 "
#define CHUNK(flags, type, cookie, offset, length)                      \
  "u32:0x6e8a278c " flags type "u64:" #cookie " u64:" #offset " u64:"   \
  #length " "
#define END(cookie, offset) CHUNK (DONE, NONE, cookie, offset, 0)
#define FAILURE(flags, cookie, offset, error) \
  CHUNK (flags, ERROR, cookie, offset, 6) "u32:" #error " u16:0 "
#define FAILURE_AT(flags, cookie, offset, error, where)                 \
  CHUNK (flags, ERROR_OFFSET, cookie, offset, 14) "u32:" #error " u16:0 " \
  "u64:" #where " "

/* The largest export that nbd_get_size can tell, with a context. */
#define WIDE_HANDSHAKE_WITH(size, flags)                        \
  SERVER (GREETING),                                            \
  CLIENT (CLIENT_FLAGS OPT_EXTENDED),                           \
  SERVER (ACK (11)),                                            \
  CLIENT (OPT_SET_META),                                        \
  SERVER (META_REPLY (7) ACK (10)),                             \
  CLIENT (OPT_GO),                                              \
  SERVER (INFO_EXPORT (7, size, flags) ACK (7))
#define WIDE_HANDSHAKE WIDE_HANDSHAKE_WITH (0x7fffffffffffffff, 0x1dfd)

/* Three contexts, with the ids 7, 9 and 0xffffffff. */
#define THREE_CONTEXTS_HANDSHAKE                                        \
  SERVER (GREETING),                                                    \
  CLIENT (CLIENT_FLAGS OPT_EXTENDED),                                   \
  SERVER (ACK (11)),                                                    \
  CLIENT ("'IHAVEOPT' u32:10 u32:41 u32:0 u32:3 "                       \
          "u32:15 'base:allocation' u32:3 'x:y' u32:3 'x:z' "),         \
  SERVER (REP_MAGIC "u32:10 u32:4 u32:7 u32:9 'x:y' "                   \
          META_REPLY (7)                                                \
          REP_MAGIC "u32:10 u32:4 u32:7 u32:0xffffffff 'x:z' "          \
          ACK (10)),                                                    \
  CLIENT (OPT_GO),                                                      \
  SERVER (INFO_EXPORT (7, 0x100000, 0x1dfd) ACK (7))

static void
one_context (struct nbd_handle *h)
{
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
}

static void
three_contexts (struct nbd_handle *h)
{
  one_context (h);
  nbd_add_meta_context (h, "x:y");
  nbd_add_meta_context (h, "x:z");
}

/* The program sets PAYLOAD_LEN itself. */
static void
manual_flag (struct nbd_handle *h)
{
  one_context (h);
  nbd_set_strict_mode (h, LIBNBD_STRICT_MASK & ~LIBNBD_STRICT_AUTO_FLAG);
}

static void
manual_flag_unchecked (struct nbd_handle *h)
{
  one_context (h);
  nbd_set_strict_mode (h, LIBNBD_STRICT_MASK & ~LIBNBD_STRICT_AUTO_FLAG &
                       ~LIBNBD_STRICT_COMMANDS);
}

static void
any_offset (struct nbd_handle *h)
{
  one_context (h);
  nbd_set_strict_mode (h, LIBNBD_STRICT_MASK & ~LIBNBD_STRICT_BOUNDS);
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
read_plainly (struct play *p)
{
  memset (p->buffer[0], 0xaa, 1024);
  issued (p, nbd_aio_pread (p->h, p->buffer[0], 1024, 4096,
                            log_completion (p, "read"), 0));
}

static void
read_second (struct play *p)
{
  issued (p, nbd_aio_pread_structured (p->h, p->buffer[1], 512, 0,
                                       log_chunk (p),
                                       log_completion (p, "second"), 0));
}

static void
write_with (struct play *p, uint32_t flags)
{
  memset (p->buffer[2], 0x5a, 512);
  issued (p, nbd_aio_pwrite (p->h, p->buffer[2], 512, 12288,
                             log_completion (p, "write"), flags));
}

static void
write_512 (struct play *p)
{
  write_with (p, 0);
}

static void
write_65536 (struct play *p)
{
  memset (p->buffer[2], 0x5a, 65536);
  issued (p, nbd_aio_pwrite (p->h, p->buffer[2], 65536, 65536,
                             log_completion (p, "write"), 0));
}

static void
write_fua (struct play *p)
{
  write_with (p, LIBNBD_CMD_FLAG_FUA);
}

static void
write_payload_len (struct play *p)
{
  write_with (p, LIBNBD_CMD_FLAG_PAYLOAD_LEN);
}

static void
flush (struct play *p)
{
  issued (p, nbd_aio_flush (p->h, log_completion (p, "flush"), 0));
}

/* More than 32 bits each. */
static void
trim (struct play *p)
{
  issued (p, nbd_aio_trim (p->h, UINT64_C (0x100000000), 512,
                           log_completion (p, "trim"), LIBNBD_CMD_FLAG_FUA));
}

static void
zero (struct play *p)
{
  issued (p, nbd_aio_zero (p->h, UINT64_C (0x123456789abc), 0x10000,
                           log_completion (p, "zero"),
                           LIBNBD_CMD_FLAG_NO_HOLE |
                           LIBNBD_CMD_FLAG_FAST_ZERO));
}

static void
cache (struct play *p)
{
  issued (p, nbd_aio_cache (p->h, UINT64_C (0x7fffffffffffffff), 0,
                            log_completion (p, "cache"), 0));
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
block_status_behind (struct play *p)
{
  issued (p, nbd_aio_block_status_64 (p->h, 512, 0x200000, log_extent64 (p),
                                      log_completion (p, "status"), 0));
}

/* The whole of the wide export. */
static void
block_status_wide (struct play *p)
{
  issued (p, nbd_aio_block_status (p->h, INT64_MAX, 0, log_extent (p),
                                   log_completion (p, "status"), 0));
}

static void
block_status_64_wide (struct play *p)
{
  issued (p, nbd_aio_block_status_64 (p->h, INT64_MAX, 0, log_extent64 (p),
                                      log_completion (p, "status"),
                                      LIBNBD_CMD_FLAG_REQ_ONE));
}

static void
filter (struct play *p, char **contexts, uint32_t flags)
{
  issued (p, nbd_aio_block_status_filter (p->h, 65536, 131072, contexts,
                                          log_extent64 (p),
                                          log_completion (p, "status"),
                                          flags));
}

static char base_allocation[] = LIBNBD_CONTEXT_BASE_ALLOCATION,
  x_y[] = "x:y", x_z[] = "x:z";

static void
filter_two (struct play *p)
{
  filter (p, (char *[]) { x_z, base_allocation, NULL }, 0);
}

static void
filter_one (struct play *p)
{
  filter (p, (char *[]) { x_y, NULL }, LIBNBD_CMD_FLAG_REQ_ONE);
}

static void
filter_none (struct play *p)
{
  filter (p, (char *[]) { NULL }, 0);
}

static void
filter_without_flag (struct play *p)
{
  filter (p, (char *[]) { base_allocation, NULL }, 0);
}

static void
filter_with_flag (struct play *p)
{
  filter (p, (char *[]) { base_allocation, NULL },
          LIBNBD_CMD_FLAG_PAYLOAD_LEN);
}

static void
disconnect (struct play *p)
{
  CHECK (p, nbd_aio_disconnect (p->h, 0) == 0);
  CHECK (p, nbd_aio_in_flight (p->h) == 1);
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

/* Calls that must be refused; nothing is sent. */

static void
refused (struct play *p, int64_t r)
{
  CHECK (p, r == -1);
  log_error (p);
}

static void
refuse_filter (struct play *p, const char *context, uint32_t flags)
{
  char *contexts[] = { base_allocation, (char *) context, NULL };

  refused (p, nbd_aio_block_status_filter (p->h, 512, 0, contexts,
                                           log_extent64 (p),
                                           log_completion (p, "status"),
                                           flags));
}

static void
refuse_unknown_context (struct play *p)
{
  refuse_filter (p, "x:unknown", 0);
}

static void
refuse_known_context (struct play *p)
{
  refuse_filter (p, base_allocation, 0);
}

static void
refuse_without_flag (struct play *p)
{
  refuse_filter (p, base_allocation, 0);
  refused (p, nbd_aio_pwrite (p->h, p->buffer[2], 512, 0,
                              log_completion (p, "write"), 0));
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

static void
check_halves (struct play *p, uint8_t first, uint8_t second)
{
  for (size_t i = 0; i < 1024; i++)
    CHECK (p, p->buffer[0][i] == (i < 512 ? first : second));
  CHECK (p, p->buffer[0][1024] == 0);
  retire_all (p);
}

static void
check_data (struct play *p)
{
  check_halves (p, 0x11, 0x11);
}

static void
check_data_and_hole (struct play *p)
{
  check_halves (p, 0x11, 0);
}

static void
check_zeroes (struct play *p)
{
  check_halves (p, 0, 0);
}

static void
check_interleaved (struct play *p)
{
  CHECK (p, p->buffer[1][255] == 0x33);
  CHECK (p, p->buffer[1][256] == 0);
  check_data_and_hole (p);
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

static int
chunk_failing (void *vp, const void *subbuf, size_t count, uint64_t offset,
               unsigned status, int *error)
{
  log_this_chunk (vp, subbuf, count, offset, status, error);
  *error = ENOSPC;
  return -1;
}

static void
read_failing (struct play *p)
{
  nbd_chunk_callback cb = log_chunk (p);

  log_this_chunk = cb.callback;
  cb.callback = chunk_failing;
  issued (p, nbd_aio_pread_structured (p->h, p->buffer[0], 1024, 4096, cb,
                                       log_completion (p, "read"), 0));
}

static int (*log_extents) (void *vp, const char *context, uint64_t offset,
                           uint32_t *entries, size_t nr_entries, int *error);

#define EXTENTS_ANSWERING(name, value, assignment)                      \
  static int                                                            \
  extents_##name (void *vp, const char *context, uint64_t offset,       \
                  uint32_t *entries, size_t nr_entries, int *error)     \
  {                                                                     \
    log_extents (vp, context, offset, entries, nr_entries, error);      \
    assignment;                                                         \
    return value;                                                       \
  }                                                                     \
                                                                        \
  static void                                                           \
  block_status_##name (struct play *p)                                  \
  {                                                                     \
    nbd_extent_callback cb = log_extent (p);                            \
                                                                        \
    log_extents = cb.callback;                                          \
    cb.callback = extents_##name;                                       \
    issued (p, nbd_aio_block_status (p->h, 65536, 131072, cb,           \
                                     log_completion (p, "status"), 0)); \
  }

EXTENTS_ANSWERING (answering_minus_1, -1, )
EXTENTS_ANSWERING (answering_minus_1_enospc, -1, *error = ENOSPC)
EXTENTS_ANSWERING (answering_0_no_error, 0, *error = 0)

static int (*log_extents_64) (void *vp, const char *context, uint64_t offset,
                              nbd_extent *entries, size_t nr_entries,
                              int *error);

#define EXTENTS_64_ANSWERING(name, value, assignment)                   \
  static int                                                            \
  extents_64_##name (void *vp, const char *context, uint64_t offset,    \
                     nbd_extent *entries, size_t nr_entries, int *error) \
  {                                                                     \
    log_extents_64 (vp, context, offset, entries, nr_entries, error);   \
    assignment;                                                         \
    return value;                                                       \
  }                                                                     \
                                                                        \
  static void                                                           \
  block_status_64_##name (struct play *p)                               \
  {                                                                     \
    nbd_extent64_callback cb = log_extent64 (p);                        \
                                                                        \
    log_extents_64 = cb.callback;                                       \
    cb.callback = extents_64_##name;                                    \
    issued (p, nbd_aio_block_status_64 (p->h, 65536, 131072, cb,        \
                                        log_completion (p, "status"),   \
                                        0));                            \
  }

EXTENTS_64_ANSWERING (answering_minus_1, -1, )
EXTENTS_64_ANSWERING (answering_minus_1_enospc, -1, *error = ENOSPC)
EXTENTS_64_ANSWERING (answering_1_enospc, 1, *error = ENOSPC)

static void
block_status_64_without_function (struct play *p)
{
  nbd_extent64_callback cb = log_extent64 (p);

  cb.callback = NULL;
  issued (p, nbd_aio_block_status_64 (p->h, 65536, 131072, cb,
                                      log_completion (p, "status"), 0));
}

/* A server that is slow: for a while it takes no more than 36 bytes (a request
 * and 4 bytes of its payload), or what it says does not arrive.
 */
#define ROOM(p) ((p)->cookie[14])
#define IS_DEAF(p) ((p)->cookie[15])
#define NO_LIMIT INT64_MAX

static const struct transport *memory;

static ssize_t
slow_receive (struct nbd_handle *h, struct iovec *iov, int n, bool wait)
{
  struct play *p = h->transport_data;

  if (IS_DEAF (p)) {
    errno = EAGAIN;
    return -1;
  }
  return memory->receive (h, iov, n, wait);
}

static ssize_t
slow_send (struct nbd_handle *h, struct iovec *iov, int n)
{
  struct play *p = h->transport_data;
  struct iovec first = { iov[0].iov_base,
                         MIN (iov[0].iov_len, (size_t) ROOM (p)) };
  ssize_t r;

  if (ROOM (p) == NO_LIMIT)
    return memory->send (h, iov, n);
  if (first.iov_len == 0) {
    errno = EAGAIN;
    return -1;
  }
  r = memory->send (h, &first, 1);
  if (r > 0)
    ROOM (p) -= r;
  return r;
}

static void
slow_close (struct nbd_handle *h)
{
  memory->close (h);
}

static const struct transport slow = {
  .name = "slow",
  .receive = slow_receive,
  .send = slow_send,
  .close = slow_close,
};

static void
slow_down (struct play *p, int64_t room, bool deaf)
{
  if (p->h->transport && p->h->transport != &slow) {
    memory = p->h->transport;
    p->h->transport = &slow;
  }
  ROOM (p) = room;
  IS_DEAF (p) = deaf;
}

static void
take_36 (struct play *p)
{
  slow_down (p, 36, false);
}

static void
take_the_rest (struct play *p)
{
  CHECK (p, nbd_aio_in_flight (p->h) >= 1);
  CHECK (p, nbd_aio_is_processing (p->h) == 1);
  play_log (p, "room; ");
  slow_down (p, NO_LIMIT, false);
}

/* Calls that wait.  The server's reply is there before they begin, unseen. */

static void
hold_replies (struct play *p)
{
  slow_down (p, NO_LIMIT, true);
}

#define WAITING(name, call)                                     \
  static void                                                   \
  wait_##name (struct play *p)                                  \
  {                                                             \
    p->send_limit = 0;                                          \
    p->send_blocked = false;                                    \
    slow_down (p, NO_LIMIT, false);                             \
    if (call == 0)                                              \
      play_log (p, #name "; ");                                 \
    else                                                        \
      log_error (p);                                            \
    hold_replies (p);                                           \
  }

WAITING (pwrite, nbd_pwrite (p->h, p->buffer[2], 512, 12288, 0))
WAITING (block_status, nbd_block_status (p->h, 65536, 131072, log_extent (p),
                                         0))
WAITING (block_status_64, nbd_block_status_64 (p->h, 65536, 131072,
                                               log_extent64 (p), 0))
WAITING (block_status_filter,
         nbd_block_status_filter (p->h, 65536, 131072,
                                  (char *[]) { base_allocation, NULL },
                                  log_extent64 (p), 0))

/* A command on the wide export, and its reply. */
#define ANSWERED(what, call, request, reply, done, error)               \
  {                                                                     \
    .name = "extended headers: " what,                                  \
    .setup = one_context,                                               \
    .steps = { WIDE_HANDSHAKE, CALL (call), CLIENT (request),           \
               SERVER (reply) },                                        \
    .state = "READY",                                                   \
    .log = "done " done " " NUMBER (error) "; free " done "; retired 1 " \
           NUMBER (error) "; ",                                         \
    .check = retire_all,                                                \
  }

/* A flush that fails at the server. */
#define FAILS(error, errnum)                                            \
  ANSWERED ("error " #error " is " #errnum, flush,                      \
            REQUEST (FLUSH, 0, 1, 0, 0), FAILURE (DONE, 1, 0, error),   \
            "flush", errnum)

/* A read of 1024 bytes, and what the server says. */
#define READS_WITH(issue, what, log_of_it, check_of_it, ...)            \
  {                                                                     \
    .name = "extended read: " what,                                     \
    .steps = {                                                          \
      EXTENDED_HANDSHAKE,                                               \
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

/* A block status on an export of 1 MiB, and what the server says. */
#define TELLS_WITH(issue, what, log_of_it, ...)                         \
  {                                                                     \
    .name = "extended block status: " what,                             \
    .setup = one_context,                                               \
    .steps = {                                                          \
      EXTENDED_META_HANDSHAKE,                                          \
      CALL (issue),                                                     \
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),                   \
      __VA_ARGS__                                                       \
    },                                                                  \
    .state = "READY",                                                   \
    .log = log_of_it,                                                   \
    .check = retire_all,                                                \
  }
#define TELLS(...) TELLS_WITH (block_status, __VA_ARGS__)
#define TELLS_64(...) TELLS_WITH (block_status_64, __VA_ARGS__)

/* A block status of all of the wide export. */
#define TELLS_WIDELY_WITH(issue, flags, what, log_of_it, ...)           \
  {                                                                     \
    .name = "extended block status: " what,                             \
    .setup = one_context,                                               \
    .steps = {                                                          \
      WIDE_HANDSHAKE,                                                   \
      CALL (issue),                                                     \
      CLIENT (REQUEST (STATUS, flags, 1, 0, 0x7fffffffffffffff)),       \
      __VA_ARGS__                                                       \
    },                                                                  \
    .state = "READY",                                                   \
    .log = log_of_it,                                                   \
    .check = retire_all,                                                \
  }
#define TELLS_WIDELY(...) TELLS_WIDELY_WITH (block_status_wide, 0, __VA_ARGS__)
#define TELLS_WIDELY_64(...) \
  TELLS_WIDELY_WITH (block_status_64_wide, 8, __VA_ARGS__)

#define STATUS_DONE "done status 0; free extent; free status; retired 1 0; "
#define STATUS_FAILS(errnum) \
  "done status " NUMBER (errnum) "; free extent; free status; retired 1 " \
  NUMBER (errnum) "; "
#define STATUS_64_DONE \
  "done status 0; free extent64; free status; retired 1 0; "
#define STATUS_64_FAILS(errnum) \
  "done status " NUMBER (errnum) "; free extent64; free status; retired 1 " \
  NUMBER (errnum) "; "

#define HALF "u64:4096 x512:11 "
#define ALL "u64:4096 x1024:11 "

const struct dialogue extended_dialogues[] = {
  /* The commands. */
  ANSWERED ("a write has PAYLOAD_LEN without being told", write_512,
            REQUEST (WRITE, 0x20, 1, 12288, 512) "x512:5a", END (1, 12288),
            "write", 0),
  ANSWERED ("a write with FUA has PAYLOAD_LEN as well", write_fua,
            REQUEST (WRITE, 0x21, 1, 12288, 512) "x512:5a", END (1, 12288),
            "write", 0),
  ANSWERED ("a write may be told to have PAYLOAD_LEN", write_payload_len,
            REQUEST (WRITE, 0x20, 1, 12288, 512) "x512:5a", END (1, 12288),
            "write", 0),
  ANSWERED ("a flush has no range", flush, REQUEST (FLUSH, 0, 1, 0, 0),
            END (1, 0), "flush", 0),
  ANSWERED ("a trim of 4 GiB", trim, REQUEST (TRIM, 1, 1, 512, 0x100000000),
            END (1, 512), "trim", 0),
  ANSWERED ("a zero of more than 4 GiB", zero,
            REQUEST (ZERO, 0x12, 1, 0x10000, 0x123456789abc),
            END (1, 0x10000), "zero", 0),
  ANSWERED ("a cache of all there is", cache,
            REQUEST (CACHE, 0, 1, 0, 0x7fffffffffffffff), END (1, 0),
            "cache", 0),
  ANSWERED ("a write that fails", write_512,
            REQUEST (WRITE, 0x20, 1, 12288, 512) "x512:5a",
            FAILURE (DONE, 1, 12288, 28), "write", ENOSPC),
  ANSWERED ("a write that fails at an offset", write_512,
            REQUEST (WRITE, 0x20, 1, 12288, 512) "x512:5a",
            FAILURE_AT (DONE, 1, 12288, 28, 12799), "write", ENOSPC),
  ANSWERED ("a trim that fails beyond 32 bits", trim,
            REQUEST (TRIM, 1, 1, 512, 0x100000000),
            FAILURE_AT (DONE, 1, 512, 5, 0x1000001ff), "trim", EIO),
  ANSWERED ("a zero that fails, end", zero,
            REQUEST (ZERO, 0x12, 1, 0x10000, 0x123456789abc),
            FAILURE (MORE, 1, 0x10000, 95) END (1, 0x10000), "zero",
            ENOTSUP),
  ANSWERED ("a cache that fails twice: the first error counts", cache,
            REQUEST (CACHE, 0, 1, 0, 0x7fffffffffffffff),
            FAILURE (MORE, 1, 0, 12) FAILURE (DONE, 1, 0, 5), "cache",
            ENOMEM),
  {
    .name = "extended headers: with the flag in the program's hands it is "
            "sent as given",
    .setup = manual_flag,
    .steps = {
      EXTENDED_META_HANDSHAKE,
      CALL (write_payload_len), CALL (filter_with_flag),
      CLIENT (REQUEST (WRITE, 0x20, 1, 12288, 512) "x512:5a"),
      CLIENT (REQUEST (STATUS, 0x20, 2, 131072, 12) "u64:65536 u32:7"),
      SERVER (END (1, 12288)),
      SERVER (FAILURE (DONE, 2, 131072, 22)),
    },
    .state = "READY",
    .log = "done write 0; done status " NUMBER (EINVAL) "; "
           "free write; retired 1 0; "
           "free extent64; free status; retired 2 " NUMBER (EINVAL) "; ",
    .check = retire_all,
  },
  {
    .name = "extended headers: with the flag in the program's hands it must "
            "be there",
    .setup = manual_flag,
    .steps = { EXTENDED_META_HANDSHAKE, CALL (refuse_without_flag) },
    .state = "READY",
    .log = "free extent64; free status; nbd_aio_block_status_filter: the "
           "PAYLOAD_LEN flag must be set " NUMBER (EINVAL)
           "; free write; nbd_aio_pwrite: the PAYLOAD_LEN flag must be set "
           "with extended headers, and only there " NUMBER (EINVAL) "; ",
    .check = retire_all,
  },
  {
    .name = "extended headers: unchecked, a filter without the flag has no "
            "payload",
    .setup = manual_flag_unchecked,
    .steps = {
      EXTENDED_META_HANDSHAKE,
      CALL (filter_without_flag),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
              "u32:7 u32:1 u64:65536 u64:0"),
    },
    .state = "READY",
    .log = "extents base:allocation 131072: 65536/0 error 0; " STATUS_64_DONE,
    .check = retire_all,
  },
  {
    .name = "extended headers: a disconnect has a header of 32 bytes",
    .steps = {
      EXTENDED_HANDSHAKE,
      CALL (disconnect),
      CLIENT (REQUEST (DISC, 0, 1, 0, 0)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .check = check_ended,
  },

  /* The server's errors. */
  FAILS (1, EPERM),
  FAILS (5, EIO),
  FAILS (12, ENOMEM),
  FAILS (22, EINVAL),
  FAILS (28, ENOSPC),
  FAILS (75, EOVERFLOW),
  FAILS (95, ENOTSUP),
  FAILS (108, ESHUTDOWN),
  FAILS (107, EINVAL),
  FAILS (0x80000000, EINVAL),
  FAILS (0, EINVAL),

  /* Reads. */
  READS ("one chunk of data is all",
         "chunk 4096+1024 status 1 error 0 sum 17408; " READ_DONE, check_data,
         SERVER (CHUNK (DONE, DATA, 1, 4096, 1032) ALL)),
  READS ("data, hole, end",
         "chunk 4096+512 status 1 error 0 sum 8704; "
         "chunk 4608+512 status 2 error 0 sum 0; " READ_DONE,
         check_data_and_hole,
         SERVER (CHUNK (MORE, DATA, 1, 4096, 520) HALF),
         SERVER (CHUNK (MORE, HOLE, 1, 4096, 12) "u64:4608 u32:512"),
         SERVER (END (1, 4096))),
  READS ("hole, data",
         "chunk 4608+512 status 2 error 0 sum 0; "
         "chunk 4096+512 status 1 error 0 sum 8704; " READ_DONE,
         check_data_and_hole,
         SERVER (CHUNK (MORE, HOLE, 1, 4096, 12) "u64:4608 u32:512"),
         SERVER (CHUNK (DONE, DATA, 1, 4096, 520) HALF)),
  READS ("a hole over data that came before",
         "chunk 4096+1024 status 1 error 0 sum 17408; "
         "chunk 4608+512 status 2 error 0 sum 0; " READ_FAILS (EPROTO),
         check_data_and_hole,
         SERVER (CHUNK (MORE, DATA, 1, 4096, 1032) ALL),
         SERVER (CHUNK (DONE, HOLE, 1, 4096, 12) "u64:4608 u32:512")),
  READS ("empty chunks are told and count for nothing",
         "chunk 4096+0 status 1 error 0 sum 0; "
         "chunk 5120+0 status 2 error 0 sum 0; " READ_FAILS (EPROTO),
         check_zeroes,
         SERVER (CHUNK (MORE, DATA, 1, 4096, 8) "u64:4096"),
         SERVER (CHUNK (MORE, HOLE, 1, 4096, 12) "u64:5120 u32:0"),
         SERVER (END (1, 4096))),
  READS_WITH (read_plainly, "nobody need be told of the chunks",
              "done read 0; free read; retired 1 0; ", check_data_and_hole,
              SERVER (CHUNK (MORE, DATA, 1, 4096, 520) HALF),
              SERVER (CHUNK (DONE, HOLE, 1, 4096, 12) "u64:4608 u32:512")),
  READS ("flags of a chunk that are not known are ignored",
         "chunk 4096+1024 status 1 error 0 sum 17408; " READ_DONE, check_data,
         SERVER (CHUNK ("u16:0xfffe ", DATA, 1, 4096, 1032) ALL),
         SERVER (CHUNK ("u16:0xffff ", NONE, 1, 4096, 0))),
  {
    .name = "extended read: not to be fragmented",
    .steps = {
      EXTENDED_HANDSHAKE,
      CALL (read_df),
      CLIENT (REQUEST (READ, 4, 1, 4096, 1024)),
      SERVER (CHUNK (MORE, DATA, 1, 4096, 1032) ALL),
      SERVER (END (1, 4096)),
    },
    .state = "READY",
    .log = "chunk 4096+1024 status 1 error 0 sum 17408; " READ_DONE,
    .check = check_data,
  },
  {
    .name = "extended read: too long not to be fragmented",
    .steps = {
      EXTENDED_HANDSHAKE,
      CALL (read_df),
      CLIENT (REQUEST (READ, 4, 1, 4096, 1024)),
      SERVER (FAILURE (DONE, 1, 4096, 75)),
    },
    .state = "READY",
    .log = READ_FAILS (EOVERFLOW),
    .check = check_zeroes,
  },
  READS ("an error with a message", READ_FAILS (EPERM), check_zeroes,
         SERVER (CHUNK (DONE, ERROR, 1, 4096, 14) "u32:1 u16:8 'Go_away!'")),
  READS ("an error at an offset, before data",
         "chunk 4608+0 status 3 error " NUMBER (EIO) " sum 0; "
         "chunk 4096+512 status 1 error " NUMBER (EIO) " sum 8704; "
         READ_FAILS (EIO), check_data_and_hole,
         SERVER (FAILURE_AT (MORE, 1, 4096, 5, 4608)),
         SERVER (CHUNK (DONE, DATA, 1, 4096, 520) HALF)),
  READS ("an error at an offset, after data",
         "chunk 4096+1024 status 1 error 0 sum 17408; "
         "chunk 5119+0 status 3 error " NUMBER (EIO) " sum 0; "
         READ_FAILS (EIO), check_data,
         SERVER (CHUNK (MORE, DATA, 1, 4096, 1032) ALL),
         SERVER (FAILURE_AT (DONE, 1, 4096, 5, 5119))),
  READS ("several errors: the first one counts",
         "chunk 4096+0 status 3 error " NUMBER (EIO) " sum 0; "
         READ_FAILS (EPERM), check_zeroes,
         SERVER (FAILURE (MORE, 1, 4096, 1)),
         SERVER (FAILURE_AT (MORE, 1, 4096, 5, 4096)),
         SERVER (FAILURE (DONE, 1, 4096, 28))),
  READS ("an unknown type of error is an error",
         READ_FAILS (EIO), check_zeroes,
         SERVER (CHUNK (DONE, "u16:0x8003 ", 1, 4096, 14)
                 "u32:5 u16:0 u64:0xffffffffffffffff")),
  READS ("nothing but the end is too short",
         READ_FAILS (EPROTO), check_zeroes,
         SERVER (END (1, 4096))),
  READS ("half of the data is too short",
         "chunk 4096+512 status 1 error 0 sum 8704; " READ_FAILS (EPROTO),
         check_data_and_hole,
         SERVER (CHUNK (DONE, DATA, 1, 4096, 520) HALF)),
  READS ("an error is the reason why it is short",
         "chunk 4096+512 status 1 error 0 sum 8704; " READ_FAILS (EIO),
         check_data_and_hole,
         SERVER (CHUNK (MORE, DATA, 1, 4096, 520) HALF),
         SERVER (FAILURE (DONE, 1, 4096, 5))),
  READS_WITH (read_failing, "a chunk callback fails; the next is told",
              "chunk 4096+512 status 1 error 0 sum 8704; "
              "chunk 4608+512 status 2 error " NUMBER (ENOSPC) " sum 0; "
              READ_FAILS (ENOSPC), check_data_and_hole,
              SERVER (CHUNK (MORE, DATA, 1, 4096, 520) HALF),
              SERVER (CHUNK (MORE, HOLE, 1, 4096, 12) "u64:4608 u32:512"),
              SERVER (FAILURE (DONE, 1, 4096, 5))),

  /* Several at once. */
  {
    .name = "extended headers: chunks of several commands take turns",
    .steps = {
      EXTENDED_HANDSHAKE,
      CALL (read_1024), CALL (flush), CALL (read_second), CALL (write_512),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      CLIENT (REQUEST (READ, 0, 3, 0, 512)),
      CLIENT (REQUEST (WRITE, 0x20, 4, 12288, 512) "x512:5a"),
      SERVER (CHUNK (MORE, DATA, 3, 0, 264) "u64:0 x256:33"),
      SERVER (CHUNK (MORE, HOLE, 1, 4096, 12) "u64:4608 u32:512"),
      SERVER (END (4, 12288)),
      SERVER (FAILURE_AT (MORE, 3, 0, 5, 256)),
      SERVER (CHUNK (MORE, DATA, 1, 4096, 520) HALF),
      SERVER (END (3, 0)),
      SERVER (END (2, 0)),
      SERVER (END (1, 4096)),
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

  /* Block status. */
  TELLS_64 ("one extent",
            "extents base:allocation 131072: 65536/3 error 0; "
            STATUS_64_DONE,
            SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
                    "u32:7 u32:1 u64:65536 u64:3")),
  TELLS_64 ("several extents, end",
            "extents base:allocation 131072: 4096/0 512/18446744073709551615 "
            "1/3 error 0; " STATUS_64_DONE,
            SERVER (CHUNK (MORE, EXTENTS, 1, 131072, 56) "u32:7 u32:3 "
                    "u64:4096 u64:0 u64:512 u64:0xffffffffffffffff "
                    "u64:1 u64:3"),
            SERVER (END (1, 131072))),
  TELLS ("extents that fit into 32 bits",
         "extents base:allocation 131072: 4096/0 512/3 1/4294967295 error 0; "
         STATUS_DONE,
         SERVER (CHUNK (MORE, EXTENTS, 1, 131072, 56) "u32:7 u32:3 "
                 "u64:4096 u64:0 u64:512 u64:3 u64:1 u64:0xffffffff"),
         SERVER (END (1, 131072))),
  TELLS ("more than was asked for, up to the end of the export",
         "extents base:allocation 131072: 65536/0 851968/3 error 0; "
         STATUS_DONE,
         SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 40) "u32:7 u32:2 "
                 "u64:65536 u64:0 u64:851968 u64:3")),
  TELLS ("nothing but the end", STATUS_DONE, SERVER (END (1, 131072))),
  TELLS_64 ("an error", STATUS_64_FAILS (EINVAL),
            SERVER (FAILURE (DONE, 1, 131072, 22))),
  TELLS_64 ("an error before extents, which are told of it",
            "extents base:allocation 131072: 65536/0 error " NUMBER (EIO)
            "; " STATUS_64_FAILS (EIO),
            SERVER (FAILURE_AT (MORE, 1, 131072, 5, 196607)),
            SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
                    "u32:7 u32:1 u64:65536 u64:0")),
  TELLS_64 ("a context twice is told twice",
            "extents base:allocation 131072: 512/0 error 0; "
            "extents base:allocation 131072: 1024/1 error 0; "
            STATUS_64_DONE,
            SERVER (CHUNK (MORE, EXTENTS, 1, 131072, 24)
                    "u32:7 u32:1 u64:512 u64:0"),
            SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
                    "u32:7 u32:1 u64:1024 u64:1")),
  TELLS_WIDELY_64 ("an extent of 64 bits",
                   "extents base:allocation 0: 9223372036854775807/"
                   "18446744073709551615 error 0; " STATUS_64_DONE,
                   SERVER (CHUNK (DONE, EXTENTS, 1, 0, 24) "u32:7 u32:1 "
                           "u64:0x7fffffffffffffff u64:0xffffffffffffffff")),
  TELLS_WIDELY ("the longest extent of 32 bits",
                "extents base:allocation 0: 4294967295/3 512/0 error 0; "
                STATUS_DONE,
                SERVER (CHUNK (DONE, EXTENTS, 1, 0, 40) "u32:7 u32:2 "
                        "u64:0xffffffff u64:3 u64:512 u64:0")),
  TELLS_WIDELY ("a longer one is shortened and ends the list",
                "extents base:allocation 0: 4227858432/3 error 0; "
                STATUS_DONE,
                SERVER (CHUNK (DONE, EXTENTS, 1, 0, 40) "u32:7 u32:2 "
                        "u64:0x100000000 u64:3 u64:512 u64:0")),
  TELLS_WIDELY ("a longer one after others ends the list",
                "extents base:allocation 0: 512/0 512/1 4227858432/3 error "
                "0; " STATUS_DONE,
                SERVER (CHUNK (DONE, EXTENTS, 1, 0, 72) "u32:7 u32:4 "
                        "u64:512 u64:0 u64:512 u64:1 "
                        "u64:0x7ffffffffffffbff u64:3 u64:0 u64:0")),
  TELLS ("first flags above 32 bits are an error, of which the callback is "
         "told",
         "extents base:allocation 131072: error " NUMBER (EOVERFLOW) "; "
         STATUS_FAILS (EOVERFLOW),
         SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 40) "u32:7 u32:2 "
                 "u64:512 u64:0x100000000 u64:512 u64:0")),
  TELLS ("flags above 32 bits end the list",
         "extents base:allocation 131072: 512/1 error 0; " STATUS_DONE,
         SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 56) "u32:7 u32:3 "
                 "u64:512 u64:1 u64:512 u64:0xffffffff00000001 "
                 "u64:512 u64:0")),
  TELLS_WIDELY ("flags above 32 bits count before a length that does",
                "extents base:allocation 0: error " NUMBER (EOVERFLOW) "; "
                STATUS_FAILS (EOVERFLOW),
                SERVER (CHUNK (DONE, EXTENTS, 1, 0, 24) "u32:7 u32:1 "
                        "u64:0x100000000 u64:0x100000000")),
  TELLS_WITH (block_status_answering_0_no_error,
              "a callback cannot undo the error of flags above 32 bits",
              "extents base:allocation 131072: error " NUMBER (EOVERFLOW)
              "; " STATUS_FAILS (EOVERFLOW),
              SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24) "u32:7 u32:1 "
                      "u64:512 u64:0x100000000")),
  TELLS_WITH (block_status_answering_minus_1,
              "a callback may fail with the error of flags above 32 bits",
              "extents base:allocation 131072: error " NUMBER (EOVERFLOW)
              "; " STATUS_FAILS (EOVERFLOW),
              SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24) "u32:7 u32:1 "
                      "u64:512 u64:0x100000000")),
  TELLS_WITH (block_status_answering_minus_1_enospc,
              "a callback may replace the error of flags above 32 bits",
              "extents base:allocation 131072: error " NUMBER (EOVERFLOW)
              "; " STATUS_FAILS (ENOSPC),
              SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24) "u32:7 u32:1 "
                      "u64:512 u64:0x100000000")),
  TELLS ("flags above 32 bits after an error do not replace it",
         "extents base:allocation 131072: error " NUMBER (EIO) "; "
         STATUS_FAILS (EIO),
         SERVER (FAILURE (MORE, 1, 131072, 5)),
         SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24) "u32:7 u32:1 "
                 "u64:512 u64:0x100000000")),
  TELLS_WITH (block_status_64_answering_minus_1, "a callback fails",
              "extents base:allocation 131072: 65536/0 error 0; "
              STATUS_64_FAILS (EPROTO),
              SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
                      "u32:7 u32:1 u64:65536 u64:0")),
  TELLS_WITH (block_status_64_answering_minus_1_enospc,
              "a callback fails with an error, which the next is told",
              "extents base:allocation 131072: 512/0 error 0; "
              "extents base:allocation 131072: 1024/1 error " NUMBER (ENOSPC)
              "; " STATUS_64_FAILS (ENOSPC),
              SERVER (CHUNK (MORE, EXTENTS, 1, 131072, 24)
                      "u32:7 u32:1 u64:512 u64:0"),
              SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
                      "u32:7 u32:1 u64:1024 u64:1")),
  TELLS_WITH (block_status_64_answering_1_enospc,
              "an error without -1 is ignored",
              "extents base:allocation 131072: 65536/0 error 0; "
              STATUS_64_DONE,
              SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
                      "u32:7 u32:1 u64:65536 u64:0")),
  TELLS_WITH (block_status_64_without_function,
              "a callback without a function is freed",
              STATUS_64_DONE,
              SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
                      "u32:7 u32:1 u64:65536 u64:0")),

  /* Extents that make no sense. */
  TELLS ("a first extent of length 0 fails", STATUS_FAILS (EPROTO),
         SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 40) "u32:7 u32:2 "
                 "u64:0 u64:0 u64:512 u64:0")),
  TELLS_64 ("a first extent of length 0 fails with a wide callback",
            STATUS_64_FAILS (EPROTO),
            SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24) "u32:7 u32:1 "
                    "u64:0 u64:0")),
  TELLS ("an extent of length 0 ends the list",
         "extents base:allocation 131072: 512/1 error 0; " STATUS_DONE,
         SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 56) "u32:7 u32:3 "
                 "u64:512 u64:1 u64:0 u64:0 u64:512 u64:0")),
  TELLS_64 ("an extent of length 0 ends the list of a wide callback",
            "extents base:allocation 131072: 512/1 error 0; "
            STATUS_64_DONE,
            SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 56) "u32:7 u32:3 "
                    "u64:512 u64:1 u64:0 u64:0 u64:512 u64:0")),
  TELLS ("a first extent beyond the export fails", STATUS_FAILS (EPROTO),
         SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24) "u32:7 u32:1 "
                 "u64:917505 u64:0")),
  TELLS_64 ("a first extent far beyond the export fails",
            STATUS_64_FAILS (EPROTO),
            SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24) "u32:7 u32:1 "
                    "u64:0xffffffffffffffff u64:0")),
  TELLS ("an extent beyond the export ends the list and fails",
         "extents base:allocation 131072: 917503/1 error " NUMBER (EPROTO)
         "; " STATUS_FAILS (EPROTO),
         SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 56) "u32:7 u32:3 "
                 "u64:917503 u64:1 u64:2 u64:0 u64:1 u64:0")),
  TELLS_64 ("lengths do not wrap around",
            "extents base:allocation 131072: 512/1 error " NUMBER (EPROTO)
            "; " STATUS_64_FAILS (EPROTO),
            SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 40) "u32:7 u32:2 "
                    "u64:512 u64:1 u64:0xfffffffffffffe00 u64:0")),
  TELLS ("an extent beyond the export after flags above 32 bits is not seen",
         "extents base:allocation 131072: 512/1 error 0; " STATUS_DONE,
         SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 56) "u32:7 u32:3 "
                 "u64:512 u64:1 u64:512 u64:0x100000000 "
                 "u64:917504 u64:0")),
  {
    .name = "extended block status: no extent is longer than INT64_MAX",
    .setup = one_context,
    .steps = {
      WIDE_HANDSHAKE_WITH (0xffffffffffffffff, 0x1dfd),
      CALL (block_status_64),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 40) "u32:7 u32:2 "
              "u64:512 u64:1 u64:0x8000000000000000 u64:0"),
    },
    .state = "READY",
    .log = "extents base:allocation 131072: 512/1 error " NUMBER (EPROTO)
           "; " STATUS_64_FAILS (EPROTO),
    .check = retire_all,
  },
  {
    .name = "extended block status: behind the export there is nothing",
    .setup = any_offset,
    .steps = {
      EXTENDED_META_HANDSHAKE,
      CALL (block_status_behind),
      CLIENT (REQUEST (STATUS, 0, 1, 0x200000, 512)),
      SERVER (CHUNK (DONE, EXTENTS, 1, 0x200000, 24) "u32:7 u32:1 "
              "u64:512 u64:0"),
    },
    .state = "READY",
    .log = STATUS_64_FAILS (EPROTO),
    .check = retire_all,
  },
  TELLS_64 ("fewer extents than counted", STATUS_64_FAILS (EPROTO),
            SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24) "u32:7 u32:2 "
                    "u64:65536 u64:0")),
  TELLS ("more extents than counted", STATUS_FAILS (EPROTO),
         SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 40) "u32:7 u32:1 "
                 "u64:512 u64:0 u64:512 u64:1")),
  TELLS ("a count of 0", STATUS_FAILS (EPROTO),
         SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24) "u32:7 u32:0 "
                 "u64:65536 u64:0")),
  TELLS_64 ("a count that overflows", STATUS_64_FAILS (EPROTO),
            SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
                    "u32:7 u32:0x10000001 u64:65536 u64:0")),
  TELLS_64 ("a wrong count does not hide the next list",
            "extents base:allocation 131072: 512/0 error " NUMBER (EPROTO)
            "; " STATUS_64_FAILS (EPROTO),
            SERVER (CHUNK (MORE, EXTENTS, 1, 131072, 24) "u32:7 u32:2 "
                    "u64:65536 u64:0"),
            SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24) "u32:7 u32:1 "
                    "u64:512 u64:0")),

  /* Filters. */
  {
    .name = "filter: the ids of the contexts, in the order in which they are "
            "named",
    .setup = three_contexts,
    .steps = {
      THREE_CONTEXTS_HANDSHAKE,
      CALL (filter_two),
      CLIENT (REQUEST (STATUS, 0x20, 1, 131072, 16)
              "u64:65536 u32:0xffffffff u32:7"),
      SERVER (CHUNK (MORE, EXTENTS, 1, 131072, 24)
              "u32:7 u32:1 u64:65536 u64:0"),
      SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
              "u32:0xffffffff u32:1 u64:512 u64:0x123456789"),
    },
    .state = "READY",
    .log = "extents base:allocation 131072: 65536/0 error 0; "
           "extents x:z 131072: 512/4886718345 error 0; " STATUS_64_DONE,
    .check = retire_all,
  },
  {
    .name = "filter: one context, one extent",
    .setup = three_contexts,
    .steps = {
      THREE_CONTEXTS_HANDSHAKE,
      CALL (filter_one), CALL (flush),
      CLIENT (REQUEST (STATUS, 0x28, 1, 131072, 12) "u64:65536 u32:9"),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
              "u32:9 u32:1 u64:65536 u64:1"),
      SERVER (END (2, 0)),
    },
    .state = "READY",
    .log = "extents x:y 131072: 65536/1 error 0; done status 0; "
           "done flush 0; free extent64; free status; retired 1 0; "
           "free flush; retired 2 0; ",
    .check = retire_all,
  },
  {
    .name = "filter: no context at all",
    .setup = three_contexts,
    .steps = {
      THREE_CONTEXTS_HANDSHAKE,
      CALL (filter_none),
      CLIENT (REQUEST (STATUS, 0x20, 1, 131072, 8) "u64:65536"),
      SERVER (END (1, 131072)),
    },
    .state = "READY",
    .log = STATUS_64_DONE,
    .check = retire_all,
  },
  {
    .name = "filter: a context that was filtered out is told all the same",
    .setup = three_contexts,
    .steps = {
      THREE_CONTEXTS_HANDSHAKE,
      CALL (filter_one),
      CLIENT (REQUEST (STATUS, 0x28, 1, 131072, 12) "u64:65536 u32:9"),
      SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
              "u32:7 u32:1 u64:65536 u64:1"),
    },
    .state = "READY",
    .log = "extents base:allocation 131072: 65536/1 error 0; "
           STATUS_64_DONE,
    .check = retire_all,
  },
  {
    .name = "filter: the server refuses it",
    .setup = three_contexts,
    .steps = {
      THREE_CONTEXTS_HANDSHAKE,
      CALL (filter_one),
      CLIENT (REQUEST (STATUS, 0x28, 1, 131072, 12) "u64:65536 u32:9"),
      SERVER (FAILURE (DONE, 1, 131072, 22)),
    },
    .state = "READY",
    .log = STATUS_64_FAILS (EINVAL),
    .check = retire_all,
  },
  {
    .name = "filter: PAYLOAD_LEN may be given",
    .setup = one_context,
    .steps = {
      EXTENDED_META_HANDSHAKE,
      CALL (filter_with_flag),
      CLIENT (REQUEST (STATUS, 0x20, 1, 131072, 12) "u64:65536 u32:7"),
      SERVER (END (1, 131072)),
    },
    .state = "READY",
    .log = STATUS_64_DONE,
    .check = retire_all,
  },
  {
    .name = "filter: a context that was not negotiated is refused",
    .setup = one_context,
    .steps = { EXTENDED_META_HANDSHAKE, CALL (refuse_unknown_context) },
    .state = "READY",
    .log = "free extent64; free status; nbd_aio_block_status_filter: meta "
           "context 'x:unknown' was not negotiated " NUMBER (EINVAL) "; ",
    .check = retire_all,
  },
  {
    .name = "filter: a server that does not advertise it is not asked",
    .setup = one_context,
    .steps = {
      WIDE_HANDSHAKE_WITH (0x100000, 0x0dfd),
      CALL (refuse_known_context),
    },
    .state = "READY",
    .log = "free extent64; free status; nbd_aio_block_status_filter: server "
           "does not support the block status payload " NUMBER (EINVAL) "; ",
    .check = retire_all,
  },
  {
    .name = "filter: a reply that comes too early completes it when its "
            "payload has left",
    .setup = one_context,
    .steps = {
      EXTENDED_META_HANDSHAKE,
      CALL (take_36),
      CALL (filter_with_flag),
      SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24)
              "u32:7 u32:1 u64:65536 u64:0"),
      CALL (take_the_rest),
      CLIENT (REQUEST (STATUS, 0x20, 1, 131072, 12) "u64:65536 u32:7"),
    },
    .state = "READY",
    .log = "extents base:allocation 131072: 65536/0 error 0; room; "
           STATUS_64_DONE,
    .check = retire_all,
  },
  {
    .name = "filter: the server closes when its payload has half left",
    .setup = one_context,
    .steps = {
      EXTENDED_META_HANDSHAKE,
      CALL (take_36),
      CALL (filter_with_flag),
      CLIENT (REQUEST (STATUS, 0x20, 1, 131072, 12) "u32:0"),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = STATUS_64_FAILS (ENOTCONN),
    .check = check_ended,
  },
  {
    .name = "filter: the handle is closed when its payload has half left",
    .setup = one_context,
    .steps = {
      EXTENDED_META_HANDSHAKE,
      CALL (take_36),
      CALL (filter_with_flag),
      CLIENT (REQUEST (STATUS, 0x20, 1, 131072, 12) "u32:0"),
    },
    .state = "READY",
    .log = "done status " NUMBER (ENOTCONN) "; free extent64; free status; ",
  },

  /* Requests that leave slowly. */
  {
    .name = "extended headers: a reply that comes too early completes a large "
            "write when its last byte has left",
    .steps = {
      EXTENDED_HANDSHAKE,
      CALL (take_36),
      CALL (write_65536), CALL (flush),
      SERVER (FAILURE (MORE, 1, 65536, 28)),
      SERVER (END (1, 65536)),
      CALL (take_the_rest),
      CLIENT (REQUEST (WRITE, 0x20, 1, 65536, 65536) "x65536:5a"),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER (END (2, 0)),
    },
    .state = "READY",
    .log = "room; done write " NUMBER (ENOSPC) "; done flush 0; free write; "
           "retired 1 " NUMBER (ENOSPC) "; free flush; retired 2 0; ",
    .check = retire_all,
  },

  /* Calls that wait. */
  {
    .name = "extended headers: calls that wait return when their reply is "
            "complete",
    .setup = one_context,
    .steps = {
      EXTENDED_META_HANDSHAKE,
      CALL (hold_replies),
      SERVER (END (1, 12288)), CALL (wait_pwrite),
      SERVER (CHUNK (DONE, EXTENTS, 2, 131072, 24)
              "u32:7 u32:1 u64:512 u64:0"), CALL (wait_block_status),
      SERVER (CHUNK (DONE, EXTENTS, 3, 131072, 24)
              "u32:7 u32:1 u64:512 u64:0x100000000"),
      CALL (wait_block_status_64),
      SERVER (CHUNK (DONE, EXTENTS, 4, 131072, 24)
              "u32:7 u32:1 u64:512 u64:1"), CALL (wait_block_status_filter),
      SERVER (CHUNK (DONE, EXTENTS, 5, 131072, 24)
              "u32:7 u32:1 u64:0 u64:1"), CALL (wait_block_status_filter),
      CLIENT (REQUEST (WRITE, 0x20, 1, 12288, 512) "x512:00"),
      CLIENT (REQUEST (STATUS, 0, 2, 131072, 65536)),
      CLIENT (REQUEST (STATUS, 0, 3, 131072, 65536)),
      CLIENT (REQUEST (STATUS, 0x20, 4, 131072, 12) "u64:65536 u32:7"),
      CLIENT (REQUEST (STATUS, 0x20, 5, 131072, 12) "u64:65536 u32:7"),
    },
    .state = "READY",
    .log = "pwrite; extents base:allocation 131072: 512/0 error 0; "
           "free extent; block_status; "
           "extents base:allocation 131072: 512/4294967296 error 0; "
           "free extent64; block_status_64; "
           "extents base:allocation 131072: 512/1 error 0; "
           "free extent64; block_status_filter; free extent64; "
           "nbd_block_status_filter: block-status: command failed "
           NUMBER (EPROTO) "; ",
    .check = retire_all,
  },

  /* The end of the connection. */
  {
    .name = "extended headers: the server closes between chunks",
    .steps = {
      EXTENDED_HANDSHAKE,
      CALL (read_1024), CALL (flush),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER (CHUNK (MORE, DATA, 1, 4096, 520) HALF),
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
    .name = "extended headers: the server closes within a header",
    .steps = {
      EXTENDED_HANDSHAKE,
      CALL (flush),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      SERVER ("u32:0x6e8a278c u16:1 u16:0 u64:1 u64:0 u32:0 u16:0 00"),
      SERVER_CLOSES,
    },
    .state = "DEAD",
    .error = "recv: server disconnected unexpectedly",
    .log = "done flush " NUMBER (ENOTCONN) "; free flush; retired 1 "
           NUMBER (ENOTCONN) "; ",
    .check = check_ended,
  },
  {
    .name = "extended headers: the server closes within data",
    .steps = {
      EXTENDED_HANDSHAKE,
      CALL (read_1024),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      SERVER (CHUNK (DONE, DATA, 1, 4096, 1032) "u64:4096 x1:11"),
      SERVER_CLOSES,
    },
    .state = "DEAD",
    .error = "recv: server disconnected unexpectedly",
    .log = READ_FAILS (ENOTCONN),
    .check = check_ended,
  },
  {
    .name = "extended headers: the server closes within extents",
    .setup = one_context,
    .steps = {
      EXTENDED_META_HANDSHAKE,
      CALL (block_status_64),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (CHUNK (DONE, EXTENTS, 1, 131072, 24) "u32:7 u32:1 u64:65536"),
      SERVER_CLOSES,
    },
    .state = "DEAD",
    .error = "recv: server disconnected unexpectedly",
    .log = STATUS_64_FAILS (ENOTCONN),
    .check = check_ended,
  },
  {
    .name = "extended headers: the handle is closed with commands in flight",
    .setup = one_context,
    .steps = {
      EXTENDED_META_HANDSHAKE,
      CALL (read_1024), CALL (filter_with_flag), CALL (flush),
      CLIENT (REQUEST (READ, 0, 1, 4096, 1024)),
      CLIENT (REQUEST (STATUS, 0x20, 2, 131072, 12) "u64:65536 u32:7"),
      CLIENT (REQUEST (FLUSH, 0, 3, 0, 0)),
      SERVER (END (3, 0)),
      SERVER (CHUNK (DONE, HOLE, 1, 4096, 12) "u64:4096"),
    },
    .state = "CHUNK_HOLE",
    .log = "done flush 0; done status " NUMBER (ENOTCONN) "; done read "
           NUMBER (ENOTCONN) "; free flush; free extent64; free status; "
           "free chunk; free read; ",
  },
  { 0 }
};
