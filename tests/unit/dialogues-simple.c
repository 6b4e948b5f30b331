/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dialogues in transmission with simple replies, and all that is the same with
 * every kind of reply: the order in which commands complete, what completion
 * callbacks answer, requests that leave slowly, and the end of a connection.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "dialogue.h"

/* The number of an errno, in a log. */
#define NUMBER_(x) #x
#define NUMBER(x) NUMBER_ (x)

/* Requests and replies. */
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
#define SIMPLE(cookie, error) "u32:0x67446698 u32:" #error " u64:" #cookie " "

/* Ten of them, upwards and downwards. */
#define FLUSHES(c) REQUEST (FLUSH, 0, c, 0, 0)
#define GOOD(c) SIMPLE (c, 0)
#define ONE_TO_NINE(x) x (1) x (2) x (3) x (4) x (5) x (6) x (7) x (8) x (9)
#define NINE_TO_ONE(x) x (9) x (8) x (7) x (6) x (5) x (4) x (3) x (2) x (1)
#define TEN(x, d) x (d##0) x (d##1) x (d##2) x (d##3) x (d##4) x (d##5) \
  x (d##6) x (d##7) x (d##8) x (d##9)
#define TEN_DOWN(x, d) x (d##9) x (d##8) x (d##7) x (d##6) x (d##5) x (d##4) \
  x (d##3) x (d##2) x (d##1) x (d##0)

/* Close callbacks.  A logger is freed as that of any callback. */

static struct play *closing;

static int
close_cb (void *vp)
{
  (void) vp;
  play_log (closing, "close; ");
  return -1;                    /* ignored */
}

static void
add_close_callback (struct play *p)
{
  nbd_completion_callback logger = log_completion (p, "close");

  closing = p;
  CHECK (p, nbd_add_close_callback (p->h, (nbd_close_callback) {
        close_cb, logger.user_data, logger.free }) == 0);
}

/* What the program does.  Cookies count up from 1. */

static void
issued (struct play *p, int64_t cookie)
{
  CHECK (p, cookie == ++p->cookie[0]);
}

static void
read_512 (struct play *p)
{
  memset (p->buffer[0], 0xaa, 512);
  issued (p, nbd_aio_pread (p->h, p->buffer[0], 512, 4096,
                            log_completion (p, "read"), 0));
}

static void
read_1024 (struct play *p)
{
  memset (p->buffer[1], 0xaa, 1024);
  issued (p, nbd_aio_pread (p->h, p->buffer[1], 1024, 0xffc00,
                            log_completion (p, "last"), 0));
}

static void
read_nothing (struct play *p)
{
  issued (p, nbd_aio_pread (p->h, p->buffer[0], 0, 4096,
                            log_completion (p, "read"), 0));
}

static void
read_33000_twice (struct play *p)
{
  issued (p, nbd_aio_pread (p->h, p->buffer[0], 33000, 0,
                            log_completion (p, "read"), 0));
  issued (p, nbd_aio_pread (p->h, p->buffer[1], 33000, 33000,
                            log_completion (p, "last"), 0));
}

static void
read_chunks (struct play *p)
{
  issued (p, nbd_aio_pread_structured (p->h, p->buffer[0], 512, 4096,
                                       log_chunk (p),
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
                             LIBNBD_CMD_FLAG_FUA));
}

static void
write_65536 (struct play *p)
{
  memset (p->buffer[2], 0x5a, 65536);
  issued (p, nbd_aio_pwrite (p->h, p->buffer[2], 65536, 65536,
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
flush_9_times (struct play *p)
{
  for (int i = 0; i < 9; i++)
    flush_silently (p);
}

static void
flush_30_times (struct play *p)
{
  for (int i = 0; i < 30; i++)
    flush_silently (p);
}

static void
flush_99_times (struct play *p)
{
  for (int i = 0; i < 99; i++)
    flush_silently (p);
}

static void
trim (struct play *p)
{
  issued (p, nbd_aio_trim (p->h, 65536, 131072, log_completion (p, "trim"),
                           0));
}

static void
trim_fua (struct play *p)
{
  issued (p, nbd_aio_trim (p->h, 65536, 131072, log_completion (p, "trim"),
                           LIBNBD_CMD_FLAG_FUA));
}

static void
zero (struct play *p)
{
  issued (p, nbd_aio_zero (p->h, 65536, 131072, log_completion (p, "zero"),
                           0));
}

static void
zero_with_flags (struct play *p)
{
  issued (p, nbd_aio_zero (p->h, 65536, 131072, log_completion (p, "zero"),
                           LIBNBD_CMD_FLAG_FUA | LIBNBD_CMD_FLAG_NO_HOLE |
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
block_status_64 (struct play *p)
{
  issued (p, nbd_aio_block_status_64 (p->h, 65536, 131072, log_extent64 (p),
                                      log_completion (p, "status"),
                                      LIBNBD_CMD_FLAG_REQ_ONE));
}

static void
block_status_filter (struct play *p)
{
  char *contexts[] = { (char *) LIBNBD_CONTEXT_BASE_ALLOCATION, NULL };

  issued (p, nbd_aio_block_status_filter (p->h, 65536, 131072, contexts,
                                          log_extent64 (p),
                                          log_completion (p, "status"),
                                          LIBNBD_CMD_FLAG_PAYLOAD_LEN));
}

static void
many_commands (struct play *p)
{
  read_512 (p);
  write_512 (p);
  flush (p);
  read_1024 (p);
  trim (p);
  CHECK (p, nbd_aio_in_flight (p->h) == 5);
  CHECK (p, nbd_aio_peek_command_completed (p->h) == 0);
}

/* Retire one, and log the error that it failed with. */
static void
retire (struct play *p, int64_t cookie)
{
  int r = nbd_aio_command_completed (p->h, cookie);

  play_log (p, "retired %" PRIi64 " %d; ", cookie,
            r == 1 ? 0 : r == -1 ? nbd_get_errno () : -1);
}

/* All that have completed, in that order. */
static void
retire_all (struct play *p)
{
  int64_t cookie;

  while ((cookie = nbd_aio_peek_command_completed (p->h)) > 0) {
    retire (p, cookie);
    CHECK (p, nbd_aio_command_completed (p->h, cookie) == 0);
  }
  CHECK (p, cookie == (nbd_aio_in_flight (p->h) > 0 ? 0 : -1));
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

/* A call that must be refused; nothing is sent. */
static void
refused (struct play *p, int64_t r)
{
  CHECK (p, r == -1);
  log_error (p);
}

static void
any_command (struct nbd_handle *h)
{
  nbd_set_strict_mode (h, LIBNBD_STRICT_MASK & ~LIBNBD_STRICT_COMMANDS);
}

static void
any_size (struct nbd_handle *h)
{
  nbd_set_strict_mode (h, LIBNBD_STRICT_MASK & ~LIBNBD_STRICT_ZERO_SIZE);
}

static void
not_initialized (struct nbd_handle *h)
{
  nbd_set_pread_initialize (h, false);
}

static void
check_read (struct play *p)
{
  CHECK (p, p->buffer[0][0] == 0x11);
  CHECK (p, p->buffer[0][511] == 0x11);
  CHECK (p, p->buffer[0][512] == 0);
  CHECK (p, nbd_aio_in_flight (p->h) == 0);
  CHECK (p, nbd_aio_peek_command_completed (p->h) == 1);
  CHECK (p, nbd_aio_peek_command_completed (p->h) == 1);
  CHECK (p, nbd_aio_command_completed (p->h, 2) == 0);
  retire_all (p);
}

static void
check_zeroed (struct play *p)
{
  CHECK (p, p->buffer[0][0] == 0);
  CHECK (p, p->buffer[0][511] == 0);
  retire_all (p);
}

static void
check_old_memory (struct play *p)
{
  CHECK (p, p->buffer[0][0] == 0xaa);
  CHECK (p, p->buffer[0][511] == 0xaa);
  retire_all (p);
}

static void
check_33000_twice (struct play *p)
{
  CHECK (p, p->buffer[0][0] == 0x11);
  CHECK (p, p->buffer[0][32999] == 0x11);
  CHECK (p, p->buffer[0][33000] == 0);
  CHECK (p, p->buffer[1][0] == 0x22);
  CHECK (p, p->buffer[1][32999] == 0x22);
  CHECK (p, p->buffer[1][33000] == 0);
  retire_all (p);
}

/* The text of the error, and that asking again finds nothing. */
static void
check_message (struct play *p)
{
  CHECK (p, nbd_aio_command_completed (p->h, 1) == -1);
  CHECK (p, strcmp (nbd_get_error (), "nbd_aio_command_completed: write: "
                    "command failed: No space left on device") == 0);
  CHECK (p, nbd_aio_command_completed (p->h, 1) == 0);
  CHECK (p, nbd_aio_peek_command_completed (p->h) == -1);
  CHECK (p, nbd_get_errno () == EINVAL);
}

static void
check_out_of_order (struct play *p)
{
  CHECK (p, p->buffer[0][511] == 0x11);
  CHECK (p, p->buffer[1][1023] == 0x22);
  CHECK (p, nbd_aio_peek_command_completed (p->h) == 3);
  retire (p, 5);
  CHECK (p, nbd_aio_peek_command_completed (p->h) == 3);
  retire (p, 3);
  CHECK (p, nbd_aio_peek_command_completed (p->h) == 1);
  retire_all (p);
}

/* They completed in reverse order. */
static void
check_99 (struct play *p)
{
  CHECK (p, nbd_aio_in_flight (p->h) == 0);
  for (int64_t cookie = 99; cookie >= 1; cookie--) {
    CHECK (p, nbd_aio_peek_command_completed (p->h) == cookie);
    CHECK (p, nbd_aio_command_completed (p->h, cookie) == 1);
  }
  CHECK (p, nbd_aio_peek_command_completed (p->h) == -1);
}

/* Retire without a word. */
static void
check_all_good (struct play *p)
{
  int64_t cookie;

  while ((cookie = nbd_aio_peek_command_completed (p->h)) > 0)
    CHECK (p, nbd_aio_command_completed (p->h, cookie) == 1);
}

/* The first of two commands has completed. */
static void
check_one_is_left (struct play *p)
{
  CHECK (p, nbd_aio_in_flight (p->h) == 1);
  retire_all (p);
  CHECK (p, nbd_aio_peek_command_completed (p->h) == 0);
  CHECK (p, nbd_aio_command_completed (p->h, 2) == 0);
}

static void
check_cookie_0 (struct play *p)
{
  refused (p, nbd_aio_command_completed (p->h, 0));
  CHECK (p, nbd_aio_command_completed (p->h, UINT64_C (1) << 63) == 0);
  refused (p, nbd_aio_peek_command_completed (p->h));
}

/* What completion callbacks answer.  They log first. */

static int (*log_done) (void *vp, int *error);

static void
flush_answering (struct play *p, int (*callback) (void *vp, int *error))
{
  nbd_completion_callback cb = log_completion (p, "flush");

  log_done = cb.callback;
  cb.callback = callback;
  issued (p, nbd_aio_flush (p->h, cb, 0));
}

#define ANSWERING(name, value, assignment)      \
  static int                                    \
  done_##name (void *vp, int *error)            \
  {                                             \
    log_done (vp, error);                       \
    assignment;                                 \
    return value;                               \
  }                                             \
                                                \
  static void                                   \
  flush_##name (struct play *p)                 \
  {                                             \
    flush_answering (p, done_##name);           \
  }

ANSWERING (answering_1, 1, )
ANSWERING (answering_1_enospc, 1, *error = ENOSPC)
ANSWERING (answering_42, 42, )
ANSWERING (answering_0_enospc, 0, *error = ENOSPC)
ANSWERING (answering_0_no_error, 0, *error = 0)
ANSWERING (answering_minus_1, -1, )
ANSWERING (answering_minus_1_enospc, -1, *error = ENOSPC)
ANSWERING (answering_minus_1_no_error, -1, *error = 0)

/* A server that is slow: for a while it takes no more than so many bytes, and
 * what it says does not arrive.
 */
#define ROOM(p) ((p)->cookie[14])
#define IS_DEAF(p) ((p)->cookie[15])
#define NO_LIMIT INT64_MAX

static const struct transport *memory;

static ssize_t
slow_receive (struct nbd_handle *h, struct iovec *iov, int n, bool wait)
{
  struct play *p = h->transport_data;

  /* It closes when it has read what it was sent, if it reads at all. */
  if (IS_DEAF (p) ||
      (p->eof && ROOM (p) == NO_LIMIT && h->queue.count > 0)) {
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
  if (h->fd != -1)
    close (h->fd);
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
take_nothing (struct play *p)
{
  slow_down (p, 0, false);
}

/* A request, and nothing of what follows it. */
static void
take_28 (struct play *p)
{
  slow_down (p, 28, false);
}

/* A request and 12 bytes of what follows it. */
static void
take_40 (struct play *p)
{
  slow_down (p, 40, false);
}

static void
take_half (struct play *p)
{
  slow_down (p, 32768, false);
}

static void
take_the_rest (struct play *p)
{
  CHECK (p, nbd_aio_in_flight (p->h) >= 1);
  CHECK (p, nbd_aio_is_ready (p->h) == 0);
  CHECK (p, nbd_aio_is_processing (p->h) == 1);
  CHECK (p, nbd_aio_get_direction (p->h) ==
         (LIBNBD_AIO_DIRECTION_READ | LIBNBD_AIO_DIRECTION_WRITE));
  play_log (p, "room; ");
  slow_down (p, NO_LIMIT, false);
}

/* The connection breaks as soon as something is sent. */
static ssize_t
broken_send (struct nbd_handle *h, struct iovec *iov, int n)
{
  (void) h;
  (void) iov;
  (void) n;
  errno = EPIPE;
  return -1;
}

static const struct transport broken = {
  .name = "broken",
  .receive = slow_receive,
  .send = broken_send,
  .close = slow_close,
};

static void
break_sending (struct play *p)
{
  slow_down (p, 0, false);
  if (p->h->transport)
    p->h->transport = &broken;
}

/* Calls that wait.  The server's reply is there before they begin, unseen. */

static void
hold_replies (struct play *p)
{
  slow_down (p, NO_LIMIT, true);
}

/* From here on all is sent as soon as it can be polled for. */
static void
let_wait (struct play *p)
{
  p->send_limit = 0;
  p->send_blocked = false;
  slow_down (p, NO_LIMIT, false);
}

#define WAITING(name, call)                                     \
  static void                                                   \
  wait_##name (struct play *p)                                  \
  {                                                             \
    let_wait (p);                                               \
    if (call == 0)                                              \
      play_log (p, #name "; ");                                 \
    else                                                        \
      log_error (p);                                            \
    hold_replies (p);                                           \
  }

WAITING (pread, nbd_pread (p->h, p->buffer[0], 512, 4096, 0))
WAITING (pread_structured, nbd_pread_structured (p->h, p->buffer[0], 512, 4096,
                                                 log_chunk (p), 0))
WAITING (pwrite, nbd_pwrite (p->h, p->buffer[2], 512, 12288, 0))
WAITING (flush, nbd_flush (p->h, 0))
WAITING (trim, nbd_trim (p->h, 65536, 131072, 0))
WAITING (zero, nbd_zero (p->h, 65536, 131072, 0))
WAITING (cache, nbd_cache (p->h, 65536, 131072, 0))
WAITING (status, nbd_block_status (p->h, 65536, 131072, log_extent (p),
                                        0))

WAITING (pread_of_nothing, nbd_pread (p->h, p->buffer[0], 0, 4096, 0))

/* The same when the server closes after what it said. */
static void
wait_last_pread (struct play *p)
{
  p->eof = true;
  wait_pread (p);
}

static void
shut_down_with (struct play *p, uint32_t flags)
{
  p->eof = true;
  let_wait (p);
  /* There is always something to poll for here. */
  if (p->h->transport && p->h->fd == -1)
    p->h->fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  play_log (p, "shutdown %d; ", nbd_shutdown (p->h, flags));
  CHECK (p, nbd_aio_is_closed (p->h) == 1);
}

static void
shut_down (struct play *p)
{
  shut_down_with (p, 0);
}

static void
abandon (struct play *p)
{
  shut_down_with (p, LIBNBD_SHUTDOWN_ABANDON_PENDING);
}

static void
shut_down_again (struct play *p)
{
  refused (p, nbd_shutdown (p->h, 0));
  retire_all (p);
}

/* Disconnecting. */

static void
disconnect (struct play *p)
{
  int n = nbd_aio_in_flight (p->h);

  CHECK (p, nbd_aio_disconnect (p->h, 0) == 0);
  CHECK (p, nbd_aio_in_flight (p->h) == n + 1);
  CHECK (p, nbd_aio_peek_command_completed (p->h) == 0);
}

static void
nothing_after_disconnect (struct play *p)
{
  CHECK (p, nbd_aio_is_ready (p->h) == 1);
  refused (p, nbd_aio_pread (p->h, p->buffer[0], 512, 0,
                             log_completion (p, "read"), 0));
  refused (p, nbd_aio_pread_structured (p->h, p->buffer[0], 512, 0,
                                        log_chunk (p),
                                        log_completion (p, "read"), 0));
  refused (p, nbd_aio_pwrite (p->h, p->buffer[2], 512, 0,
                              log_completion (p, "write"), 0));
  refused (p, nbd_aio_flush (p->h, log_completion (p, "flush"), 0));
  refused (p, nbd_aio_trim (p->h, 512, 0, log_completion (p, "trim"), 0));
  refused (p, nbd_aio_zero (p->h, 512, 0, log_completion (p, "zero"), 0));
  refused (p, nbd_aio_cache (p->h, 512, 0, log_completion (p, "cache"), 0));
  refused (p, nbd_aio_disconnect (p->h, 0));
}

static void
check_closed (struct play *p)
{
  CHECK (p, nbd_aio_is_closed (p->h) == 1);
  CHECK (p, nbd_aio_in_flight (p->h) == 0);
  CHECK (p, nbd_aio_get_direction (p->h) == 0);
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

static void
pread_when_closed (struct play *p)
{
  refused (p, nbd_aio_pread (p->h, p->buffer[0], 512, 0,
                             log_completion (p, "read"), 0));
}

/* Refusals of strict mode. */

static void
strict_refusals (struct play *p)
{
  refused (p, nbd_aio_pread (p->h, p->buffer[0], 0, 0,
                             log_completion (p, "read"), 0));
  refused (p, nbd_aio_pread (p->h, p->buffer[0], 512, 0xffe01,
                             log_completion (p, "read"), 0));
  refused (p, nbd_aio_pwrite (p->h, p->buffer[2], 512, 0x100000,
                              log_completion (p, "write"), 0));
  refused (p, nbd_aio_flush (p->h, log_completion (p, "flush"),
                             LIBNBD_CMD_FLAG_FUA));
  refused (p, nbd_aio_pread_structured (p->h, p->buffer[0], 512, 0,
                                        log_chunk (p),
                                        log_completion (p, "read"),
                                        LIBNBD_CMD_FLAG_DF));
  refused (p, nbd_aio_block_status (p->h, 512, 0, log_extent (p),
                                    log_completion (p, "status"), 0));
  CHECK (p, nbd_aio_in_flight (p->h) == 0);
}

/* A command and its reply. */
#define ANSWERED(what, call, request, reply, callbacks, done)           \
  {                                                                     \
    .name = "simple replies: " what,                                    \
    .steps = { SIMPLE_HANDSHAKE, CALL (call), CLIENT (request),         \
               SERVER (reply) },                                        \
    .state = "READY",                                                   \
    .log = "done " done " 0; " callbacks "free " done "; retired 1 0; ", \
    .check = retire_all,                                                \
  }

/* A write that fails at the server. */
#define FAILS(error, errnum)                                            \
  {                                                                     \
    .name = "simple replies: error " #error " is " #errnum,             \
    .steps = {                                                          \
      SIMPLE_HANDSHAKE,                                                 \
      CALL (write_512),                                                 \
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a"),             \
      SERVER (SIMPLE (1, error)),                                        \
    },                                                                  \
    .state = "READY",                                                   \
    .log = "done write " NUMBER (errnum) "; free write; retired 1 "     \
           NUMBER (errnum) "; ",                                        \
    .check = retire_all,                                                \
  }

/* A flush whose completion callback answers something. */
#define ANSWERS(what, call, error, log_of_it)   \
  {                                             \
    .name = "completion callback: " what,       \
    .steps = {                                  \
      SIMPLE_HANDSHAKE,                         \
      CALL (flush_##call),                      \
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),     \
      SERVER (SIMPLE (1, error)),                \
    },                                          \
    .state = "READY",                           \
    .log = log_of_it,                           \
    .check = retire_all,                        \
  }

#define AFTER_DISC "cannot request more commands after NBD_CMD_DISC " \
  NUMBER (EINVAL) "; "

const struct dialogue simple_dialogues[] = {
  /* The commands. */
  {
    .name = "simple replies: a read is answered with data",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      SERVER (SIMPLE (1, 0) "x512:11"),
    },
    .state = "READY",
    .log = "done read 0; free read; retired 1 0; ",
    .check = check_read,
  },
  {
    .name = "simple replies: the data of a read is one chunk",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_chunks),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      SERVER (SIMPLE (1, 0) "x512:11"),
    },
    .state = "READY",
    .log = "chunk 4096+512 status 1 error 0 sum 8704; done read 0; "
           "free chunk; free read; retired 1 0; ",
    .check = check_read,
  },
  {
    .name = "simple replies: a read that fails shows no old memory",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      SERVER (SIMPLE (1, 5)),
    },
    .state = "READY",
    .log = "done read " NUMBER (EIO) "; free read; retired 1 " NUMBER (EIO)
           "; ",
    .check = check_zeroed,
  },
  {
    .name = "simple replies: a read that fails leaves the buffer alone when "
            "it is not to be initialized",
    .setup = not_initialized,
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      SERVER (SIMPLE (1, 5)),
    },
    .state = "READY",
    .log = "done read " NUMBER (EIO) "; free read; retired 1 " NUMBER (EIO)
           "; ",
    .check = check_old_memory,
  },
  {
    .name = "simple replies: a read that fails has no chunk",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_chunks),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      SERVER (SIMPLE (1, 12)),
    },
    .state = "READY",
    .log = "done read " NUMBER (ENOMEM) "; free chunk; free read; retired 1 "
           NUMBER (ENOMEM) "; ",
    .check = retire_all,
  },
  {
    .name = "simple replies: a read of nothing has no data",
    .setup = any_size,
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_nothing),
      CLIENT (REQUEST (READ, 0, 1, 4096, 0)),
      SERVER (SIMPLE (1, 0)),
      CALL (flush),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER (SIMPLE (2, 0)),
    },
    .state = "READY",
    .log = "done read 0; done flush 0; free read; retired 1 0; free flush; "
           "retired 2 0; ",
    .check = retire_all,
  },
  {
    .name = "simple replies: more data than is read ahead",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_33000_twice),
      CLIENT (REQUEST (READ, 0, 1, 0, 33000)
              REQUEST (READ, 0, 2, 33000, 33000)),
      SERVER (SIMPLE (1, 0) "x33000:11" SIMPLE (2, 0) "x33000:22"),
    },
    .state = "READY",
    .log = "done read 0; done last 0; free read; retired 1 0; free last; "
           "retired 2 0; ",
    .check = check_33000_twice,
  },
  ANSWERED ("a write sends its data", write_512,
            REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a", SIMPLE (1, 0),
            "", "write"),
  ANSWERED ("a write with FUA", write_fua,
            REQUEST (WRITE, 1, 1, 12288, 512) "x512:5a", SIMPLE (1, 0),
            "", "write"),
  ANSWERED ("a flush has no range", flush, REQUEST (FLUSH, 0, 1, 0, 0),
            SIMPLE (1, 0), "", "flush"),
  ANSWERED ("a trim", trim, REQUEST (TRIM, 0, 1, 131072, 65536),
            SIMPLE (1, 0), "", "trim"),
  ANSWERED ("a trim with FUA", trim_fua, REQUEST (TRIM, 1, 1, 131072, 65536),
            SIMPLE (1, 0), "", "trim"),
  ANSWERED ("a zero", zero, REQUEST (ZERO, 0, 1, 131072, 65536),
            SIMPLE (1, 0), "", "zero"),
  ANSWERED ("a zero with FUA, NO_HOLE and FAST_ZERO", zero_with_flags,
            REQUEST (ZERO, 0x13, 1, 131072, 65536), SIMPLE (1, 0), "", "zero"),
  ANSWERED ("a cache", cache, REQUEST (CACHE, 0, 1, 131072, 65536),
            SIMPLE (1, 0), "", "cache"),
  {
    .name = "simple replies: a block status can only be refused",
    .setup = any_command,
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (block_status),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (SIMPLE (1, 22)),
    },
    .state = "READY",
    .log = "done status " NUMBER (EINVAL) "; free extent; free status; "
           "retired 1 " NUMBER (EINVAL) "; ",
    .check = retire_all,
  },
  {
    .name = "simple replies: a block status that succeeds tells nothing",
    .setup = any_command,
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (block_status_64),
      CLIENT (REQUEST (STATUS, 8, 1, 131072, 65536)),
      SERVER (SIMPLE (1, 0)),
    },
    .state = "READY",
    .log = "done status 0; free extent64; free status; retired 1 0; ",
    .check = retire_all,
  },
  {
    .name = "simple replies: a block status filter has no payload",
    .setup = any_command,
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (block_status_filter),
      CLIENT (REQUEST (STATUS, 0, 1, 131072, 65536)),
      SERVER (SIMPLE (1, 95)),
    },
    .state = "READY",
    .log = "done status " NUMBER (ENOTSUP) "; free extent64; free status; "
           "retired 1 " NUMBER (ENOTSUP) "; ",
    .check = retire_all,
  },
  {
    .name = "simple replies: strict mode refuses before anything is sent",
    .steps = { SIMPLE_HANDSHAKE, CALL (strict_refusals) },
    .state = "READY",
    .log =
      "free read; nbd_aio_pread: count cannot be 0 " NUMBER (EINVAL) "; "
      "free read; nbd_aio_pread: request out of bounds " NUMBER (EINVAL) "; "
      "free write; nbd_aio_pwrite: request out of bounds " NUMBER (ENOSPC)
      "; free flush; nbd_aio_flush: flags: invalid value for flag: 0x1 "
      NUMBER (EINVAL)
      "; free chunk; free read; nbd_aio_pread_structured: server does not "
      "support the DF flag " NUMBER (EINVAL)
      "; free extent; free status; nbd_aio_block_status: server does not "
      "support structured replies " NUMBER (ENOTSUP) "; ",
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
  /* The specification does not know these. */
  FAILS (2, EINVAL),
  FAILS (107, EINVAL),
  FAILS (9999, EINVAL),
  FAILS (0xffffffff, EINVAL),
  {
    .name = "the error of a command names it",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (write_512),
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a"),
      SERVER (SIMPLE (1, 28)),
    },
    .state = "READY",
    .log = "done write " NUMBER (ENOSPC) "; free write; ",
    .check = check_message,
  },

  /* Several at once. */
  {
    .name = "simple replies: replies out of order",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (many_commands),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)
              REQUEST (WRITE, 0, 2, 12288, 512) "x512:5a "
              REQUEST (FLUSH, 0, 3, 0, 0)
              REQUEST (READ, 0, 4, 0xffc00, 1024)
              REQUEST (TRIM, 0, 5, 131072, 65536)),
      SERVER (SIMPLE (3, 0)),
      SERVER (SIMPLE (5, 1)),
      SERVER (SIMPLE (1, 0) "x512:11"),
      SERVER (SIMPLE (4, 0) "x1024:22"),
      SERVER (SIMPLE (2, 28)),
    },
    .state = "READY",
    .log = "done flush 0; done trim " NUMBER (EPERM) "; done read 0; "
           "done last 0; done write " NUMBER (ENOSPC) "; "
           "free trim; retired 5 " NUMBER (EPERM) "; "
           "free flush; retired 3 0; "
           "free read; retired 1 0; free last; retired 4 0; "
           "free write; retired 2 " NUMBER (ENOSPC) "; ",
    .check = check_out_of_order,
  },
  {
    .name = "a command that is not answered stays in flight",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (write_512), CALL (flush),
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a"),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER (SIMPLE (1, 0)),
    },
    .state = "READY",
    .log = "done write 0; free write; retired 1 0; done flush "
           NUMBER (ENOTCONN) "; free flush; ",
    .check = check_one_is_left,
  },
  {
    .name = "cookies count up and are not used again",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (flush),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      SERVER (SIMPLE (1, 0)),
      CALL (retire_all),
      CALL (trim),
      CLIENT (REQUEST (TRIM, 0, 2, 131072, 65536)),
      SERVER (SIMPLE (2, 0)),
      CALL (retire_all),
      CALL (read_512),
      CLIENT (REQUEST (READ, 0, 3, 4096, 512)),
      SERVER (SIMPLE (3, 0) "x512:11"),
    },
    .state = "READY",
    .log = "done flush 0; free flush; retired 1 0; "
           "done trim 0; free trim; retired 2 0; "
           "done read 0; free read; retired 3 0; ",
    .check = retire_all,
  },
  {
    .name = "99 commands that have to wait leave in order and may be answered "
            "in any",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (take_nothing),
      CALL (flush_99_times),
      CALL (take_the_rest),
      CLIENT (ONE_TO_NINE (FLUSHES) TEN (FLUSHES, 1) TEN (FLUSHES, 2)
              TEN (FLUSHES, 3) TEN (FLUSHES, 4) TEN (FLUSHES, 5)
              TEN (FLUSHES, 6) TEN (FLUSHES, 7) TEN (FLUSHES, 8)
              TEN (FLUSHES, 9)),
      SERVER (TEN_DOWN (GOOD, 9) TEN_DOWN (GOOD, 8) TEN_DOWN (GOOD, 7)
              TEN_DOWN (GOOD, 6) TEN_DOWN (GOOD, 5) TEN_DOWN (GOOD, 4)
              TEN_DOWN (GOOD, 3) TEN_DOWN (GOOD, 2) TEN_DOWN (GOOD, 1)
              NINE_TO_ONE (GOOD)),
    },
    .state = "READY",
    .log = "room; ",
    .check = check_99,
  },
  {
    .name = "an old command is found among many newer ones",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (flush_9_times),
      CLIENT (ONE_TO_NINE (FLUSHES)),
      SERVER (GOOD (2) GOOD (3) GOOD (4) GOOD (5) GOOD (6) GOOD (7) GOOD (8)),
      CALL (check_all_good),
      CALL (flush_30_times),
      CLIENT (TEN (FLUSHES, 1) TEN (FLUSHES, 2) TEN (FLUSHES, 3)),
      SERVER (TEN (GOOD, 1) TEN (GOOD, 2) TEN (GOOD, 3)),
      CALL (check_all_good),
      CALL (flush_30_times),
      CLIENT (TEN (FLUSHES, 4) TEN (FLUSHES, 5) TEN (FLUSHES, 6)),
      SERVER (SIMPLE (1, 5)),
      CALL (retire_all),
      SERVER (TEN (GOOD, 4) TEN (GOOD, 5) TEN (GOOD, 6)),
      CALL (check_all_good),
      SERVER (SIMPLE (9, 28)),
    },
    .state = "READY",
    .log = "retired 1 " NUMBER (EIO) "; retired 9 " NUMBER (ENOSPC) "; ",
    .check = retire_all,
  },
  {
    .name = "a command without a completion callback is retired by its cookie",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (flush_silently), CALL (flush_silently),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER (SIMPLE (2, 5)),
      SERVER (SIMPLE (1, 0)),
    },
    .state = "READY",
    .log = "retired 2 " NUMBER (EIO) "; retired 1 0; ",
    .check = retire_all,
  },
  {
    .name = "a command without a completion callback can be left alone",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (flush_silently), CALL (flush_silently),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER (SIMPLE (2, 0)),
    },
    .state = "READY",
  },
  {
    .name = "there is no cookie 0, and an unknown one has not completed",
    .steps = { SIMPLE_HANDSHAKE },
    .state = "READY",
    .log =
      "nbd_aio_command_completed: invalid aio cookie 0 " NUMBER (EINVAL) "; "
      "nbd_aio_peek_command_completed: no commands are in flight "
      NUMBER (EINVAL) "; ",
    .check = check_cookie_0,
  },

  /* What completion callbacks answer. */
  ANSWERS ("1 retires a command that succeeded", answering_1, 0,
           "done flush 0; free flush; "),
  ANSWERS ("1 retires a command that failed", answering_1, 5,
           "done flush " NUMBER (EIO) "; free flush; "),
  ANSWERS ("1 retires whatever the error is set to", answering_1_enospc, 0,
           "done flush 0; free flush; "),
  ANSWERS ("42 is as good as 0", answering_42, 0,
           "done flush 0; free flush; retired 1 0; "),
  ANSWERS ("an error is ignored without -1", answering_0_enospc, 0,
           "done flush 0; free flush; retired 1 0; "),
  ANSWERS ("clearing the error is ignored without -1", answering_0_no_error,
           5, "done flush " NUMBER (EIO) "; free flush; retired 1 "
           NUMBER (EIO) "; "),
  ANSWERS ("-1 without an error changes nothing", answering_minus_1, 0,
           "done flush 0; free flush; retired 1 0; "),
  ANSWERS ("-1 without another error changes nothing", answering_minus_1, 5,
           "done flush " NUMBER (EIO) "; free flush; retired 1 "
           NUMBER (EIO) "; "),
  ANSWERS ("-1 and an error make a command fail", answering_minus_1_enospc, 0,
           "done flush 0; free flush; retired 1 " NUMBER (ENOSPC) "; "),
  ANSWERS ("-1 and an error replace the server's", answering_minus_1_enospc,
           5, "done flush " NUMBER (EIO) "; free flush; retired 1 "
           NUMBER (ENOSPC) "; "),
  ANSWERS ("-1 and no error do not make a command succeed",
           answering_minus_1_no_error, 5,
           "done flush " NUMBER (EIO) "; free flush; retired 1 "
           NUMBER (EIO) "; "),
  {
    .name = "completion callback: 1 retires one command and not the others",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (flush_silently), CALL (flush_answering_1), CALL (flush_silently),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      CLIENT (REQUEST (FLUSH, 0, 3, 0, 0)),
      SERVER (SIMPLE (3, 0)),
      SERVER (SIMPLE (2, 0)),
      SERVER (SIMPLE (1, 0)),
    },
    .state = "READY",
    .log = "done flush 0; free flush; retired 3 0; retired 1 0; ",
    .check = retire_all,
  },
  {
    .name = "completion callback: it can replace the error of a lost "
            "connection",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (flush_answering_minus_1_enospc),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = "done flush " NUMBER (ENOTCONN) "; free flush; retired 1 "
           NUMBER (ENOSPC) "; ",
    .check = check_closed,
  },
  {
    .name = "completion callback: it can retire when the connection is lost",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (flush_answering_1), CALL (read_512),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      CLIENT (REQUEST (READ, 0, 2, 4096, 512)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = "done read " NUMBER (ENOTCONN) "; done flush " NUMBER (ENOTCONN)
           "; free flush; free read; retired 2 " NUMBER (ENOTCONN) "; ",
    .check = check_closed,
  },

  /* Requests that leave slowly. */
  {
    .name = "a reply that comes too early completes its command when the last "
            "byte of the request has left",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (take_half),
      CALL (write_65536),
      SERVER (SIMPLE (1, 0)),
      CALL (take_the_rest),
      CLIENT (REQUEST (WRITE, 0, 1, 65536, 65536) "x65536:5a"),
    },
    .state = "READY",
    .log = "room; done write 0; free write; retired 1 0; ",
    .check = retire_all,
  },
  {
    .name = "an error that comes too early does so too",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (take_40),
      CALL (write_512),
      SERVER (SIMPLE (1, 28)),
      CALL (take_the_rest),
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a"),
    },
    .state = "READY",
    .log = "room; done write " NUMBER (ENOSPC) "; free write; retired 1 "
           NUMBER (ENOSPC) "; ",
    .check = retire_all,
  },
  {
    .name = "replies are read while a write is stuck",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512),
      CALL (take_40),
      CALL (write_512), CALL (flush),
      SERVER (SIMPLE (1, 0) "x512:11"),
      CALL (retire_all),
      CALL (take_the_rest),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CLIENT (REQUEST (WRITE, 0, 2, 12288, 512) "x512:5a"),
      CLIENT (REQUEST (FLUSH, 0, 3, 0, 0)),
      SERVER (SIMPLE (2, 0)),
      SERVER (SIMPLE (3, 0)),
    },
    .state = "READY",
    .log = "done read 0; free read; retired 1 0; room; done write 0; "
           "done flush 0; free write; retired 2 0; free flush; retired 3 0; ",
    .check = retire_all,
  },
  {
    .name = "a second reply that comes too early ends the connection",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (take_40),
      CALL (write_512),
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x12:5a"),
      SERVER (SIMPLE (1, 28)),
      SERVER (SIMPLE (1, 28)),
    },
    .state = "DEAD",
    .error = "no matching cookie found for server reply: 1 is not in flight: "
             "Protocol error",
    .log = "done write " NUMBER (ENOSPC) "; free write; retired 1 "
           NUMBER (ENOSPC) "; ",
    .check = check_dead,
  },
  {
    .name = "a reply to a request of which nothing has left ends the "
            "connection",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (take_40),
      CALL (write_512), CALL (flush),
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x12:5a"),
      SERVER (SIMPLE (2, 0)),
    },
    .state = "DEAD",
    .error = "no matching cookie found for server reply: 2 is not in flight: "
             "Protocol error",
    .log = "done write " NUMBER (ENOTCONN) "; done flush " NUMBER (ENOTCONN)
           "; free write; retired 1 " NUMBER (ENOTCONN)
           "; free flush; retired 2 " NUMBER (ENOTCONN) "; ",
    .check = check_dead,
  },
  {
    .name = "a disconnect waits for the write before it",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (take_40),
      CALL (write_512),
      CALL (disconnect),
      CALL (take_the_rest),
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a"),
      CLIENT (REQUEST (DISC, 0, 2, 0, 0)),
      SERVER (SIMPLE (1, 0)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = "room; done write 0; free write; retired 1 0; ",
    .check = check_closed,
  },

  /* Disconnecting. */
  {
    .name = "disconnect: the server closes",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (disconnect),
      CLIENT (REQUEST (DISC, 0, 1, 0, 0)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .check = check_closed,
  },
  {
    .name = "disconnect: no command is accepted after it",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (flush),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      CALL (disconnect),
      CLIENT (REQUEST (DISC, 0, 2, 0, 0)),
      CALL (nothing_after_disconnect),
      SERVER (SIMPLE (1, 0)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log =
      "free read; nbd_aio_pread: " AFTER_DISC
      "free chunk; free read; nbd_aio_pread_structured: " AFTER_DISC
      "free write; nbd_aio_pwrite: " AFTER_DISC
      "free flush; nbd_aio_flush: " AFTER_DISC
      "free trim; nbd_aio_trim: " AFTER_DISC
      "free zero; nbd_aio_zero: " AFTER_DISC
      "free cache; nbd_aio_cache: " AFTER_DISC
      "nbd_aio_disconnect: " AFTER_DISC
      "done flush 0; free flush; retired 1 0; ",
    .check = check_closed,
  },
  {
    .name = "disconnect: the server may drop the commands in flight",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512), CALL (flush),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      CALL (disconnect),
      CLIENT (REQUEST (DISC, 0, 3, 0, 0)),
      SERVER (SIMPLE (2, 108)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = "done flush " NUMBER (ESHUTDOWN) "; done read " NUMBER (ENOTCONN)
           "; free flush; retired 2 " NUMBER (ESHUTDOWN)
           "; free read; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_closed,
  },
  {
    .name = "disconnect: a server that does not close is in nobody's way",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (flush),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      CALL (disconnect),
      CLIENT (REQUEST (DISC, 0, 2, 0, 0)),
    },
    .state = "READY",
    .log = "done flush " NUMBER (ENOTCONN) "; free flush; ",
  },
  {
    .name = "shutdown: it waits until the server has closed",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (shut_down),
      CLIENT (REQUEST (DISC, 0, 1, 0, 0)),
      CALL (shut_down_again),
    },
    .state = "CLOSED",
    .log = "shutdown 0; nbd_shutdown: invalid state: CLOSED: the handle must "
           "be negotiating, or connected with the server " NUMBER (EINVAL)
           "; ",
  },
  {
    .name = "shutdown: commands in flight complete before the server closes",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512), CALL (flush),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      CALL (hold_replies),
      SERVER (SIMPLE (2, 0)),
      CALL (shut_down),
      CLIENT (REQUEST (DISC, 0, 3, 0, 0)),
    },
    .state = "CLOSED",
    .log = "done flush 0; done read " NUMBER (ENOTCONN) "; shutdown 0; "
           "free flush; retired 2 0; free read; retired 1 " NUMBER (ENOTCONN)
           "; ",
    .check = check_closed,
  },
  {
    .name = "shutdown: after a disconnect it asks no second time",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (disconnect),
      CALL (shut_down),
      CLIENT (REQUEST (DISC, 0, 1, 0, 0)),
    },
    .state = "CLOSED",
    .log = "shutdown 0; ",
    .check = check_closed,
  },
  {
    .name = "shutdown: without ABANDON_PENDING everything is sent",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (take_40),
      CALL (write_512), CALL (flush),
      CALL (shut_down),
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a"),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      CLIENT (REQUEST (DISC, 0, 3, 0, 0)),
    },
    .state = "CLOSED",
    .log = "done flush " NUMBER (ENOTCONN) "; done write " NUMBER (ENOTCONN)
           "; shutdown 0; free flush; retired 2 " NUMBER (ENOTCONN)
           "; free write; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_closed,
  },
  {
    .name = "shutdown: ABANDON_PENDING drops what has not begun to leave",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (take_40),
      CALL (write_512), CALL (flush), CALL (trim),
      CALL (abandon),
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a"),
      CLIENT (REQUEST (DISC, 0, 4, 0, 0)),
    },
    .state = "CLOSED",
    .log = "done flush " NUMBER (ENOTCONN) "; done trim " NUMBER (ENOTCONN)
           "; done write " NUMBER (ENOTCONN) "; shutdown 0; "
           "free flush; retired 2 " NUMBER (ENOTCONN)
           "; free trim; retired 3 " NUMBER (ENOTCONN)
           "; free write; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_closed,
  },
  {
    .name = "shutdown: ABANDON_PENDING drops all that stands in the queue",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512),
      CALL (take_nothing),
      CALL (write_512), CALL (flush),
      CALL (abandon),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CLIENT (REQUEST (DISC, 0, 4, 0, 0)),
    },
    .state = "CLOSED",
    .log = "done write " NUMBER (ENOTCONN) "; done flush " NUMBER (ENOTCONN)
           "; done read " NUMBER (ENOTCONN) "; shutdown 0; "
           "free write; retired 2 " NUMBER (ENOTCONN)
           "; free flush; retired 3 " NUMBER (ENOTCONN)
           "; free read; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_closed,
  },
  {
    .name = "shutdown: ABANDON_PENDING keeps a write whose header has left",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (take_28),
      CALL (write_512), CALL (write_512),
      CALL (abandon),
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a"),
      CLIENT (REQUEST (DISC, 0, 3, 0, 0)),
    },
    .state = "CLOSED",
    .log = "done write " NUMBER (ENOTCONN) "; done write " NUMBER (ENOTCONN)
           "; shutdown 0; free write; retired 2 " NUMBER (ENOTCONN)
           "; free write; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_closed,
  },
  {
    .name = "shutdown: ABANDON_PENDING keeps a disconnect that is next",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (flush),
      CALL (take_nothing),
      CALL (disconnect),
      CALL (abandon),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      CLIENT (REQUEST (DISC, 0, 2, 0, 0)),
    },
    .state = "CLOSED",
    .log = "done flush " NUMBER (ENOTCONN) "; shutdown 0; free flush; "
           "retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_closed,
  },
  {
    .name = "shutdown: ABANDON_PENDING does not drop a disconnect",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (take_40),
      CALL (write_512), CALL (flush),
      CALL (disconnect),
      CALL (abandon),
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x512:5a"),
      CLIENT (REQUEST (DISC, 0, 3, 0, 0)),
    },
    .state = "CLOSED",
    .log = "done flush " NUMBER (ENOTCONN) "; done write " NUMBER (ENOTCONN)
           "; shutdown 0; free flush; retired 2 " NUMBER (ENOTCONN)
           "; free write; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_closed,
  },

  /* The end of the connection. */
  {
    .name = "end: the server closes when nothing is in flight",
    .steps = { SIMPLE_HANDSHAKE, SERVER_CLOSES, CALL (pread_when_closed) },
    .state = "CLOSED",
    .log = "free read; nbd_aio_pread: invalid state: CLOSED: the handle must "
           "be connected with the server " NUMBER (EINVAL) "; ",
    .check = check_closed,
  },
  {
    .name = "end: the server closes between replies",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512), CALL (trim), CALL (flush),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CLIENT (REQUEST (TRIM, 0, 2, 131072, 65536)),
      CLIENT (REQUEST (FLUSH, 0, 3, 0, 0)),
      SERVER (SIMPLE (2, 0)),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = "done trim 0; done flush " NUMBER (ENOTCONN) "; done read "
           NUMBER (ENOTCONN) "; free trim; retired 2 0; free flush; retired 3 "
           NUMBER (ENOTCONN) "; free read; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_closed,
  },
  {
    .name = "end: what has not been sent completes first, in order, then what "
            "the server owes, newest first",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512), CALL (read_1024),
      CALL (take_40),
      CALL (write_512), CALL (flush), CALL (trim),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CLIENT (REQUEST (READ, 0, 2, 0xffc00, 1024)),
      CLIENT (REQUEST (WRITE, 0, 3, 12288, 512) "x12:5a"),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = "done write " NUMBER (ENOTCONN) "; done flush " NUMBER (ENOTCONN)
           "; done trim " NUMBER (ENOTCONN) "; done last " NUMBER (ENOTCONN)
           "; done read " NUMBER (ENOTCONN)
           "; free write; retired 3 " NUMBER (ENOTCONN)
           "; free flush; retired 4 " NUMBER (ENOTCONN)
           "; free trim; retired 5 " NUMBER (ENOTCONN)
           "; free last; retired 2 " NUMBER (ENOTCONN)
           "; free read; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_closed,
  },
  {
    .name = "end: a write that was answered but has not left completes with "
            "the answer's error",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (take_40),
      CALL (write_512),
      SERVER (SIMPLE (1, 28)),
      CLIENT (REQUEST (WRITE, 0, 1, 12288, 512) "x12:5a"),
      SERVER_CLOSES,
    },
    .state = "CLOSED",
    .log = "done write " NUMBER (ENOSPC) "; free write; retired 1 "
           NUMBER (ENOSPC) "; ",
    .check = check_closed,
  },
  {
    .name = "end: the server closes within the header of a reply",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512), CALL (flush),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER ("u32:0x67446698 u32:0 u32:0"),
      SERVER_CLOSES,
    },
    .state = "DEAD",
    .error = "recv: server disconnected unexpectedly",
    .log = "done flush " NUMBER (ENOTCONN) "; done read " NUMBER (ENOTCONN)
           "; free flush; retired 2 " NUMBER (ENOTCONN)
           "; free read; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_dead,
  },
  {
    .name = "end: the server closes after the header of a reply with data",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      SERVER (SIMPLE (1, 0)),
      SERVER_CLOSES,
    },
    .state = "DEAD",
    .error = "recv: server disconnected unexpectedly",
    .log = "done read " NUMBER (ENOTCONN) "; free read; retired 1 "
           NUMBER (ENOTCONN) "; ",
    .check = check_dead,
  },
  {
    .name = "end: the server closes within the data of a reply",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_chunks),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      SERVER (SIMPLE (1, 0) "x511:11"),
      SERVER_CLOSES,
    },
    .state = "DEAD",
    .error = "recv: server disconnected unexpectedly",
    .log = "done read " NUMBER (ENOTCONN) "; free chunk; free read; retired 1 "
           NUMBER (ENOTCONN) "; ",
    .check = check_dead,
  },
  {
    .name = "end: sending fails",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CALL (take_40),
      CALL (write_512),
      CLIENT (REQUEST (WRITE, 0, 2, 12288, 512) "x12:5a"),
      CALL (break_sending),
    },
    .state = "DEAD",
    .error = "send: Broken pipe",
    .log = "done write " NUMBER (ENOTCONN) "; done read " NUMBER (ENOTCONN)
           "; free write; retired 2 " NUMBER (ENOTCONN)
           "; free read; retired 1 " NUMBER (ENOTCONN) "; ",
    .check = check_dead,
  },
  {
    .name = "end: the handle is closed with commands in flight",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (many_commands),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)
              REQUEST (WRITE, 0, 2, 12288, 512) "x512:5a "
              REQUEST (FLUSH, 0, 3, 0, 0)
              REQUEST (READ, 0, 4, 0xffc00, 1024)
              REQUEST (TRIM, 0, 5, 131072, 65536)),
      SERVER (SIMPLE (3, 5)),
    },
    .state = "READY",
    .log = "done flush " NUMBER (EIO) "; done trim " NUMBER (ENOTCONN)
           "; done last " NUMBER (ENOTCONN) "; done write " NUMBER (ENOTCONN)
           "; done read " NUMBER (ENOTCONN)
           "; free flush; free trim; free last; free write; free read; ",
  },
  {
    .name = "end: close callbacks run and are freed before what is in flight "
            "completes",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (add_close_callback), CALL (flush), CALL (add_close_callback),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
    },
    .state = "READY",
    .log = "close; close; free close; free close; done flush "
           NUMBER (ENOTCONN) "; free flush; ",
  },
  {
    .name = "end: the handle is closed with a write half sent",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_512),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CALL (take_40),
      CALL (write_512), CALL (flush),
      CLIENT (REQUEST (WRITE, 0, 2, 12288, 512) "x12:5a"),
    },
    .state = "READY",
    .log = "done write " NUMBER (ENOTCONN) "; done flush " NUMBER (ENOTCONN)
           "; done read " NUMBER (ENOTCONN)
           "; free write; free flush; free read; ",
  },
  {
    .name = "end: the handle is closed in the middle of a reply",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (read_chunks), CALL (flush_answering_1),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CLIENT (REQUEST (FLUSH, 0, 2, 0, 0)),
      SERVER (SIMPLE (1, 0) "x100:11"),
    },
    .state = "READ_DATA",
    .log = "done flush " NUMBER (ENOTCONN) "; free flush; done read "
           NUMBER (ENOTCONN) "; free chunk; free read; ",
  },

  /* Calls that wait. */
  {
    .name = "waiting: each command returns when its reply is complete",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (hold_replies),
      SERVER (SIMPLE (1, 0) "x512:11"), CALL (wait_pread),
      SERVER (SIMPLE (2, 0) "x512:11"), CALL (wait_pread_structured),
      SERVER (SIMPLE (3, 0)), CALL (wait_pwrite),
      SERVER (SIMPLE (4, 0)), CALL (wait_flush),
      SERVER (SIMPLE (5, 0)), CALL (wait_trim),
      SERVER (SIMPLE (6, 0)), CALL (wait_zero),
      SERVER (SIMPLE (7, 0)), CALL (wait_cache),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CLIENT (REQUEST (READ, 0, 2, 4096, 512)),
      CLIENT (REQUEST (WRITE, 0, 3, 12288, 512) "x512:00"),
      CLIENT (REQUEST (FLUSH, 0, 4, 0, 0)),
      CLIENT (REQUEST (TRIM, 0, 5, 131072, 65536)),
      CLIENT (REQUEST (ZERO, 0, 6, 131072, 65536)),
      CLIENT (REQUEST (CACHE, 0, 7, 131072, 65536)),
    },
    .state = "READY",
    .log = "pread; chunk 4096+512 status 1 error 0 sum 8704; free chunk; "
           "pread_structured; pwrite; flush; trim; zero; "
           "cache; ",
    .check = retire_all,
  },
  {
    .name = "waiting: each command fails with the server's error",
    .setup = any_command,
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (hold_replies),
      SERVER (SIMPLE (1, 1)), CALL (wait_pread),
      SERVER (SIMPLE (2, 1)), CALL (wait_pread_structured),
      SERVER (SIMPLE (3, 28)), CALL (wait_pwrite),
      SERVER (SIMPLE (4, 28)), CALL (wait_flush),
      SERVER (SIMPLE (5, 1)), CALL (wait_trim),
      SERVER (SIMPLE (6, 22)), CALL (wait_zero),
      SERVER (SIMPLE (7, 22)), CALL (wait_cache),
      SERVER (SIMPLE (8, 22)), CALL (wait_status),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
      CLIENT (REQUEST (READ, 0, 2, 4096, 512)),
      CLIENT (REQUEST (WRITE, 0, 3, 12288, 512) "x512:00"),
      CLIENT (REQUEST (FLUSH, 0, 4, 0, 0)),
      CLIENT (REQUEST (TRIM, 0, 5, 131072, 65536)),
      CLIENT (REQUEST (ZERO, 0, 6, 131072, 65536)),
      CLIENT (REQUEST (CACHE, 0, 7, 131072, 65536)),
      CLIENT (REQUEST (STATUS, 0, 8, 131072, 65536)),
    },
    .state = "READY",
    .log =
      "nbd_pread: read: command failed " NUMBER (EPERM) "; free chunk; "
      "nbd_pread_structured: read: command failed " NUMBER (EPERM) "; "
      "nbd_pwrite: write: command failed " NUMBER (ENOSPC) "; "
      "nbd_flush: flush: command failed " NUMBER (ENOSPC) "; "
      "nbd_trim: trim: command failed " NUMBER (EPERM) "; "
      "nbd_zero: write-zeroes: command failed " NUMBER (EINVAL) "; "
      "nbd_cache: cache: command failed " NUMBER (EINVAL) "; "
      "free extent; nbd_block_status: block-status: command failed "
      NUMBER (EINVAL) "; ",
    .check = retire_all,
  },
  {
    .name = "waiting: what is refused is not waited for",
    .steps = { SIMPLE_HANDSHAKE, CALL (wait_pread_of_nothing) },
    .state = "READY",
    .log = "nbd_pread: count cannot be 0 " NUMBER (EINVAL) "; ",
    .check = retire_all,
  },
  {
    .name = "waiting: other commands complete meanwhile",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (flush), CALL (trim),
      CLIENT (REQUEST (FLUSH, 0, 1, 0, 0)),
      CLIENT (REQUEST (TRIM, 0, 2, 131072, 65536)),
      CALL (hold_replies),
      SERVER (SIMPLE (2, 0) SIMPLE (3, 0) "x512:11"),
      CALL (wait_pread),
      CLIENT (REQUEST (READ, 0, 3, 4096, 512)),
    },
    .state = "READY",
    .log = "done trim 0; pread; free trim; retired 2 0; done flush "
           NUMBER (ENOTCONN) "; free flush; ",
    .check = retire_all,
  },
  {
    .name = "waiting: the server closes between replies",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (wait_last_pread),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
    },
    .state = "CLOSED",
    .log = "nbd_pread: read: command failed " NUMBER (ENOTCONN) "; ",
    .check = check_closed,
  },
  {
    .name = "waiting: the server closes within its reply",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (hold_replies),
      SERVER (SIMPLE (1, 0) "x511:11"),
      CALL (wait_last_pread),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
    },
    .state = "DEAD",
    .log = "nbd_pread: recv: server disconnected unexpectedly 0; ",
    .check = check_dead,
  },
  {
    .name = "waiting: the server's reply has no sense",
    .steps = {
      SIMPLE_HANDSHAKE,
      CALL (hold_replies),
      SERVER ("u32:0x12345678 u32:0 u64:1"),
      CALL (wait_pread),
      CLIENT (REQUEST (READ, 0, 1, 4096, 512)),
    },
    .state = "DEAD",
    .log = "nbd_pread: invalid reply magic 0x12345678 0; ",
    .check = check_dead,
  },
  { 0 }
};
