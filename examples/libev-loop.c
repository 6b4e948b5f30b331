/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Overwrites an export with zeroes in a program whose loop is libev's: the
 * watcher of the handle's descriptor follows the direction in which the handle
 * wants to go, a timer gives up a server that says nothing, and SIGINT ends in
 * good order.
 *
 *   libev-loop SOCKET
 *
 * Build:
 *   cc libev-loop.c -o libev-loop $(pkg-config --cflags --libs libnbd) -lev
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>
#include <libnbd.h>

#define DEPTH 8                 /* requests in flight */
#define CHUNK (256 * 1024)
#define TIMEOUT 30.             /* seconds without any event */

static const char zeroes[CHUNK];

struct job {
  struct ev_loop *loop;
  ev_io io;
  ev_timer timer;
  ev_signal interrupt;
  struct nbd_handle *nbd;
  size_t chunk;                 /* bytes of a request; 0: not connected yet */
  uint64_t size, next;          /* bytes: all, asked for */
  unsigned in_flight;
  bool interrupted, flushed, leaving;
  char failure[256];            /* empty: none */
};

static void
fail (struct job *job, const char *why)
{
  if (job->failure[0] == '\0')
    snprintf (job->failure, sizeof job->failure, "%s", why);
  ev_break (job->loop, EVBREAK_ALL);
}

/* This runs inside the notification, where the handle must not be used.
 * ENOTCONN: the connection has failed.  Why is asked for afterwards.
 */
static int
command_done (void *opaque, int *error)
{
  struct job *job = opaque;

  job->in_flight--;
  if (*error && *error != ENOTCONN)
    fail (job, strerror (*error));
  return 1;                     /* the command is retired */
}

/* The connection is there: do what comes next. */
static int64_t
advance (struct job *job)
{
  nbd_completion_callback cb = { .callback = command_done, .user_data = job };

  if (job->chunk == 0) {
    const int64_t size = nbd_get_size (job->nbd);
    const int64_t maximum = nbd_get_block_size (job->nbd, LIBNBD_SIZE_MAXIMUM);

    if (size == -1 || maximum == -1)
      return -1;
    job->size = size;
    job->chunk = maximum > 0 && maximum < CHUNK ? maximum : CHUNK;
  }

  while (job->in_flight < DEPTH && job->next < job->size &&
         !job->interrupted) {
    const uint64_t left = job->size - job->next, offset = job->next;
    const size_t n = left < job->chunk ? left : job->chunk;

    job->next += n;
    job->in_flight++;
    /* The buffer is borrowed until the command is done. */
    if (nbd_aio_pwrite (job->nbd, zeroes, n, offset, cb, 0) == -1)
      return -1;
  }
  if (job->in_flight > 0 || job->leaving)
    return 0;

  /* All is written: make it durable, then say goodbye. */
  if (!job->flushed && nbd_can_flush (job->nbd) == 1) {
    job->flushed = true;
    job->in_flight++;
    return nbd_aio_flush (job->nbd, cb, 0);
  }
  job->leaving = true;
  return nbd_aio_disconnect (job->nbd, 0);
}

/* To be called after each use of the handle, which may have changed what it
 * wants to wait for.
 */
static void
follow_direction (struct job *job)
{
  const unsigned dir = nbd_aio_get_direction (job->nbd);
  const int events = (dir & LIBNBD_AIO_DIRECTION_READ ? EV_READ : 0) |
    (dir & LIBNBD_AIO_DIRECTION_WRITE ? EV_WRITE : 0);

  ev_io_stop (job->loop, &job->io);
  if (events == 0) {            /* closed or dead */
    if (!job->leaving)
      fail (job, nbd_aio_is_dead (job->nbd) ? nbd_get_error () :
            "the server has closed the connection");
    ev_break (job->loop, EVBREAK_ALL);
    return;
  }
  ev_io_set (&job->io, nbd_aio_get_fd (job->nbd), events);
  ev_io_start (job->loop, &job->io);
}

static void
use_handle (struct job *job)
{
  if (!nbd_aio_is_connecting (job->nbd) && !nbd_aio_is_closed (job->nbd) &&
      !nbd_aio_is_dead (job->nbd) && advance (job) == -1)
    fail (job, nbd_get_error ());
  follow_direction (job);
}

static void
on_io (struct ev_loop *loop, ev_io *io, int events)
{
  struct job *job = io->data;

  ev_timer_again (loop, &job->timer);
  /* One call handles all that has arrived.  Reading first: it may make the
   * other needless.  If it fails the handle is dead, which is seen later.
   */
  if (events & EV_READ)
    nbd_aio_notify_read (job->nbd);
  else
    nbd_aio_notify_write (job->nbd);
  use_handle (job);
}

static void
on_timeout (struct ev_loop *loop, ev_timer *timer, int events)
{
  (void) loop;
  (void) events;
  fail (timer->data, "the server does not answer");
}

/* Issue nothing more; what is in flight is waited for. */
static void
on_interrupt (struct ev_loop *loop, ev_signal *interrupt, int events)
{
  struct job *job = interrupt->data;

  (void) loop;
  (void) events;
  job->interrupted = true;
  use_handle (job);
}

int
main (int argc, char *argv[])
{
  struct job job = { .loop = EV_DEFAULT };

  if (argc != 2 || job.loop == NULL) {
    fprintf (stderr, argc != 2 ? "usage: %s SOCKET\n" : "%s: no loop\n",
             argv[0]);
    return EXIT_FAILURE;
  }
  job.nbd = nbd_create ();
  if (job.nbd == NULL || nbd_aio_connect_unix (job.nbd, argv[1]) == -1) {
    fprintf (stderr, "%s\n", nbd_get_error ());
    nbd_close (job.nbd);
    return EXIT_FAILURE;
  }
  ev_io_init (&job.io, on_io, -1, 0);
  ev_init (&job.timer, on_timeout);
  job.timer.repeat = TIMEOUT;
  ev_signal_init (&job.interrupt, on_interrupt, SIGINT);
  job.io.data = job.timer.data = job.interrupt.data = &job;
  ev_timer_again (job.loop, &job.timer);
  ev_signal_start (job.loop, &job.interrupt);
  use_handle (&job);

  ev_run (job.loop, 0);

  ev_io_stop (job.loop, &job.io);       /* before its descriptor is closed */
  nbd_close (job.nbd);
  if (job.failure[0]) {
    fprintf (stderr, "%s\n", job.failure);
    return EXIT_FAILURE;
  }
  printf ("%" PRIu64 " of %" PRIu64 " bytes are overwritten\n", job.next,
          job.size);
  return job.interrupted ? EXIT_FAILURE : EXIT_SUCCESS;
}
