/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How much one call of nbd_poll completes, and notifications that come late: what
 * nbdfuse and nbdcopy rely on.  The server is the other end of a socket pair.
 */

#include "config.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol.h"
#include "server.h"
#include "tap.h"
#include "wire.h"

#define SIZE 512
#define COUNT 4

static struct nbd_handle *h;
static int server;              /* its end of the socket */
static unsigned completed, failed;
static char buffers[COUNT][SIZE];

static int
complete (void *opaque, int *error)
{
  (void) opaque;
  completed++;
  failed += *error != 0;
  return 1;
}

static void
begin (void)
{
  uint8_t greeting[152] = { 0 };
  struct writer w = writer_init (greeting, sizeof greeting);
  int fds[2];

  MUST (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  server = fds[1];
  write_u64 (&w, NBD_MAGIC);
  write_u64 (&w, NBD_OLD_VERSION);
  write_u64 (&w, 1 << 30);
  write_u16 (&w, 0);
  write_u16 (&w, NBD_FLAG_HAS_FLAGS);
  MUST_BE (write (server, greeting, sizeof greeting) == sizeof greeting);
  h = nbd_create ();
  MUST_BE (h != NULL);
  MUST (nbd_connect_socket (h, fds[0]));
  completed = failed = 0;
}

static void
end (void)
{
  close (server);
  nbd_close (h);
}

static void *
issue (void *arg)
{
  (void) arg;
  for (unsigned i = 0; i < COUNT; i++)
    MUST (nbd_aio_pread (h, buffers[i], SIZE, 0, (nbd_completion_callback) {
          .callback = complete }, 0));
  return NULL;
}

static void
issue_elsewhere (void)
{
  pthread_t thread;

  MUST_BE (pthread_create (&thread, NULL, issue, NULL) == 0);
  pthread_join (thread, NULL);
}

/* Answer all that is in flight, in one piece, and say something else. */
static void
answer_and_say (const char *words)
{
  uint8_t replies[COUNT * (16 + SIZE) + 64] = { 0 };
  struct writer w = writer_init (replies, sizeof replies);

  for (unsigned i = 0; i < COUNT; i++) {
    uint8_t request[28];

    MUST_BE (recv (server, request, 28, MSG_WAITALL) == 28);
    write_u32 (&w, NBD_SIMPLE_REPLY_MAGIC);
    write_u32 (&w, 0);
    write_bytes (&w, request + 8, 8);
    write_bytes (&w, (uint8_t[SIZE]) { 0 }, SIZE);
  }
  write_bytes (&w, words, strlen (words));
  MUST_BE (write (server, replies, w.n) == (ssize_t) w.n);
}

static void
answer (void)
{
  answer_and_say ("");
}

static void
check_own (void)
{
  begin ();
  issue (NULL);
  answer ();
  is_int (nbd_poll (h, -1), 1, "nbd_poll does something");
  is_int (completed, COUNT, "it completes all that has arrived, if this thread "
          "issued it");
  end ();
}

static void
check_elsewhere (void)
{
  bool one = true, none;

  begin ();
  issue_elsewhere ();
  answer ();
  for (unsigned i = 1; i <= COUNT; i++) {
    /* Whether it may sleep or not: nothing arrives any more. */
    one = one && nbd_poll (h, i % 2 ? -1 : 0) == 1 && completed == i;
  }
  ok (one, "nbd_poll completes one command of another thread at a time");
  none = nbd_poll (h, 0) == 0;
  ok (none && nbd_aio_in_flight (h) == 0, "and then there is nothing left");
  end ();

  begin ();
  issue_elsewhere ();
  answer ();
  MUST_BE (nbd_poll (h, -1) == 1);
  MUST (nbd_aio_notify_read (h));
  is_int (completed, COUNT, "nbd_aio_notify_read completes what nbd_poll left");
  end ();

  begin ();
  issue_elsewhere ();
  answer ();
  MUST_BE (nbd_poll (h, -1) == 1);
  close (server);
  MUST (nbd_shutdown (h, 0));
  ok (completed == COUNT && failed == 0,
      "so does nbd_shutdown, whose socket is closed already");
  server = -1;
  end ();

  begin ();
  issue_elsewhere ();
  answer ();
  MUST_BE (nbd_poll (h, -1) == 1);
  nbd_close (h);
  ok (completed == COUNT && failed == COUNT - 1,
      "nbd_close gives up what nbd_poll left");
  close (server);
}

/* What is left may be the end of the connection. */
static void
check_garbage (void)
{
  for (int i = 0; i < 3; i++) {
    static const char *const names[] = { "nbd_poll", "nbd_aio_notify_read",
                                         "nbd_pread" };
    int r = 0;
    char c;

    begin ();
    issue_elsewhere ();
    answer_and_say ("this is no reply");
    for (unsigned j = 0; j < COUNT; j++)
      MUST_BE (nbd_poll (h, -1) == 1);
    switch (i) {
    case 0: r = nbd_poll (h, -1); break;
    case 1: r = nbd_aio_notify_read (h); break;
    case 2: r = nbd_pread (h, &c, 1, 0, 0); break;
    }
    ok (r == -1 && nbd_aio_is_dead (h) && completed == COUNT &&
        strstr (nbd_get_error (), "invalid reply magic") != NULL,
        "%s says what is wrong with what was left", names[i]);
    note ("%s", nbd_get_error ());
    end ();
  }
}

/* The socket was full and can be written to; before the program tells us so, a
 * call on the handle has sent what was left.
 */
static void
check_late (void)
{
  size_t n = 4 << 20;
  char *large = calloc (1, n), *drain = malloc (n + 28);
  struct pollfd fd = { .events = POLLIN | POLLOUT };

  MUST_BE (large && drain);
  begin ();
  MUST_BE (nbd_aio_notify_write (h) == -1 && nbd_get_errno () == EINVAL);
  MUST (nbd_aio_pwrite (h, large, n, 0, NBD_NULL_COMPLETION, 0));
  ok (nbd_aio_get_direction (h) & LIBNBD_AIO_DIRECTION_WRITE,
      "a large write does not leave at once");
  fd.fd = nbd_aio_get_fd (h);
  while (nbd_aio_get_direction (h) & LIBNBD_AIO_DIRECTION_WRITE) {
    MUST_BE (recv (server, drain, n, 0) > 0);
    /* The program polls ... */
    MUST_BE (poll (&fd, 1, 10000) == 1 && (fd.revents & POLLOUT));
    /* ... and then something else is issued, which sends. */
    MUST (nbd_aio_pread (h, buffers[0], SIZE, 0, NBD_NULL_COMPLETION, 0));
  }
  ok (nbd_aio_notify_write (h) == 0,
      "a notification that comes after all was sent does nothing");
  ok (nbd_aio_notify_write (h) == -1 && nbd_get_errno () == EINVAL,
      "another one is an error");
  end ();
  free (large);
  free (drain);
}

int
main (void)
{
  tap_begin ();
  check_own ();
  check_elsewhere ();
  check_garbage ();
  check_late ();
  return tap_end ();
}
