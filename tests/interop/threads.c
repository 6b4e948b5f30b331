/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Threads that share a handle, that have one each, and that issue requests
 * while another one polls.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

#define NR_THREADS 4
#define REGION ((size_t) 4 << 20)

/* What each thread has for itself.  Cases are printed by the main thread. */
struct worker {
  pthread_t thread;
  unsigned number;
  uint64_t seed, offset;
  uint8_t *want, *buffer;       /* of its part of the disk */
  struct nbd_handle *h;
  const struct server *server;
  unsigned done, wrong;
};

static void
init_workers (struct worker workers[NR_THREADS])
{
  for (unsigned i = 0; i < NR_THREADS; i++) {
    workers[i] = (struct worker) { .number = i, .seed = 100 + i,
                                   .offset = i * REGION };
    workers[i].want = calloc (1, REGION);
    workers[i].buffer = calloc (1, REGION);
    MUST_BE (workers[i].want && workers[i].buffer);
  }
}

static void
start_workers (struct worker workers[NR_THREADS], void *(*run) (void *))
{
  for (unsigned i = 0; i < NR_THREADS; i++)
    MUST_BE (pthread_create (&workers[i].thread, NULL, run, &workers[i]) == 0);
}

static void
end_workers (struct worker workers[NR_THREADS], unsigned done,
             const char *what)
{
  for (unsigned i = 0; i < NR_THREADS; i++) {
    pthread_join (workers[i].thread, NULL);
    is_int (workers[i].done, done, "%s: thread %u does all it has to", what,
            i);
    is_int (workers[i].wrong, 0, "%s: and finds nothing wrong", what);
    free (workers[i].want);
    free (workers[i].buffer);
  }
}

/* One write and one read of random size and place in the thread's region. */
static void
write_and_read (struct worker *w, struct nbd_handle *h)
{
  size_t n = 1 + next_random (&w->seed) % 100000;
  size_t at = next_random (&w->seed) % (REGION - n);
  size_t m = 1 + next_random (&w->seed) % 100000;
  size_t from = next_random (&w->seed) % (REGION - m);

  fill_random (&w->seed, w->want + at, n);
  w->wrong += nbd_pwrite (h, w->want + at, n, w->offset + at, 0) != 0;
  w->wrong += nbd_pread (h, w->buffer, m, w->offset + from, 0) != 0;
  w->wrong += memcmp (w->buffer, w->want + from, m) != 0;
  w->done++;
}

/* Each thread also makes an error of its own, which must stay its own. */
static void
fail_differently (struct worker *w, struct nbd_handle *h)
{
  char text[64];

  switch (w->number) {
  case 0:
    w->wrong += nbd_pread (h, w->buffer, 1, UINT64_MAX, 0) != -1;
    w->wrong += nbd_get_errno () != EINVAL;
    break;
  case 1:
    w->wrong += nbd_pwrite (h, w->buffer, 1, UINT64_MAX, 0) != -1;
    w->wrong += nbd_get_errno () != ENOSPC;
    break;
  case 2:
    w->wrong += nbd_aio_command_completed (h, 0) != -1;
    w->wrong += nbd_get_errno () != EINVAL;
    break;
  default:
    w->wrong += nbd_connect_unix (h, "/") != -1;
    w->wrong += nbd_get_errno () != EINVAL;
    break;
  }
  snprintf (text, sizeof text, "%s: ",
            (const char *[]) { "nbd_pread", "nbd_pwrite",
                               "nbd_aio_command_completed",
                               "nbd_connect_unix" }[w->number]);
  w->wrong += strncmp (nbd_get_error (), text, strlen (text)) != 0;
}

static void *
share_handle (void *opaque)
{
  struct worker *w = opaque;

  for (unsigned i = 0; i < 200; i++) {
    write_and_read (w, w->h);
    if (i % 4 == 0)
      fail_differently (w, w->h);
  }
  return NULL;
}

static void
check_shared (const struct server *s)
{
  struct worker workers[NR_THREADS];
  struct nbd_handle *h = connected (s);

  init_workers (workers);
  for (unsigned i = 0; i < NR_THREADS; i++)
    workers[i].h = h;
  start_workers (workers, share_handle);
  end_workers (workers, 200, "shared handle");
  is_int (nbd_aio_in_flight (h), 0, "shared handle: nothing is left");
  disconnect (h);
}

/* A handle is made, used and closed by its thread, several times. */
static void *
own_handle (void *opaque)
{
  struct worker *w = opaque;

  for (unsigned i = 0; i < 10; i++) {
    struct nbd_handle *h = nbd_create ();

    if (h == NULL || server_connect (w->server, h) == -1) {
      w->wrong++;
      nbd_close (h);
      break;
    }
    for (unsigned j = 0; j < 20; j++)
      write_and_read (w, h);
    fail_differently (w, h);
    w->wrong += nbd_shutdown (h, 0) != 0;
    nbd_close (h);
  }
  return NULL;
}

static void
check_own (const struct server *s)
{
  struct worker workers[NR_THREADS];

  init_workers (workers);
  for (unsigned i = 0; i < NR_THREADS; i++)
    workers[i].server = s;
  start_workers (workers, own_handle);
  end_workers (workers, 200, "a handle for each");
}

/* The main thread polls, the others issue requests and wait for their
 * completion callbacks, which the main thread runs.  With small requests it is
 * not told of them: what a call issues it also sends, so that the loop needs
 * to look at the direction READ only.  With large ones it is woken, because
 * the direction may have become WRITE.
 */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static unsigned nr_running;
static int wake_fd;
static size_t largest;

struct waiter {
  bool done;
  int error;
};

static int
wake_waiter (void *opaque, int *error)
{
  struct waiter *waiter = opaque;

  pthread_mutex_lock (&mutex);
  waiter->done = true;
  waiter->error = *error;
  pthread_cond_broadcast (&cond);
  pthread_mutex_unlock (&mutex);
  return 1;
}

static void
wake_loop (void)
{
  const uint64_t one = 1;

  MUST (write (wake_fd, &one, sizeof one));
}

static bool
issue_and_wait (struct worker *w, bool write, size_t n, uint64_t at)
{
  struct waiter waiter = { 0 };
  nbd_completion_callback cb = { .callback = wake_waiter,
                                 .user_data = &waiter };
  int64_t cookie;

  if (write)
    cookie = nbd_aio_pwrite (w->h, w->want + at, n, w->offset + at, cb, 0);
  else
    cookie = nbd_aio_pread (w->h, w->buffer, n, w->offset + at, cb, 0);
  if (cookie == -1)
    return false;
  if (largest > 4096)
    wake_loop ();
  pthread_mutex_lock (&mutex);
  while (!waiter.done)
    pthread_cond_wait (&cond, &mutex);
  pthread_mutex_unlock (&mutex);
  return waiter.error == 0;
}

static void *
issue_requests (void *opaque)
{
  struct worker *w = opaque;

  for (unsigned i = 0; i < 200; i++) {
    size_t n = 1 + next_random (&w->seed) % largest;
    size_t at = next_random (&w->seed) % (REGION - n);

    fill_random (&w->seed, w->want + at, n);
    w->wrong += !issue_and_wait (w, true, n, at);
    at = next_random (&w->seed) % (REGION - n);
    w->wrong += !issue_and_wait (w, false, n, at);
    w->wrong += memcmp (w->buffer, w->want + at, n) != 0;
    w->done++;
  }
  pthread_mutex_lock (&mutex);
  nr_running--;
  pthread_mutex_unlock (&mutex);
  wake_loop ();
  return NULL;
}

static bool
are_running (void)
{
  bool running;

  pthread_mutex_lock (&mutex);
  running = nr_running > 0;
  pthread_mutex_unlock (&mutex);
  return running;
}

static void
run_loop (struct nbd_handle *h)
{
  while (are_running ()) {
    unsigned direction = nbd_aio_get_direction (h);
    struct pollfd fds[2] = {
      { .fd = nbd_aio_get_fd (h) }, { .fd = wake_fd, .events = POLLIN },
    };
    uint64_t value;

    if (direction & LIBNBD_AIO_DIRECTION_READ)
      fds[0].events |= POLLIN;
    if (direction & LIBNBD_AIO_DIRECTION_WRITE)
      fds[0].events |= POLLOUT;
    MUST (poll (fds, 2, -1));
    if (fds[1].revents)
      MUST (read (wake_fd, &value, sizeof value));
    /* Another thread may have sent meanwhile what was to be sent. */
    if ((fds[0].revents & POLLOUT) &&
        (nbd_aio_get_direction (h) & LIBNBD_AIO_DIRECTION_WRITE) &&
        nbd_aio_notify_write (h) == -1)
      MUST_BE (nbd_get_errno () == EINVAL);
    if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
      MUST (nbd_aio_notify_read (h));
  }
}

static void
check_loop (const struct server *s, size_t size, const char *what)
{
  struct worker workers[NR_THREADS];
  struct nbd_handle *h = connected (s);

  largest = size;
  wake_fd = eventfd (0, EFD_CLOEXEC);
  MUST (wake_fd);
  nr_running = NR_THREADS;
  init_workers (workers);
  for (unsigned i = 0; i < NR_THREADS; i++)
    workers[i].h = h;
  start_workers (workers, issue_requests);
  run_loop (h);
  end_workers (workers, 200, what);
  is_int (nbd_aio_in_flight (h), 0, "%s: nothing is left", what);
  disconnect (h);
  close (wake_fd);
}

/* What takes no lock can be asked while a synchronous call sleeps. */

static void *
sleep_in_read (void *opaque)
{
  struct worker *w = opaque;

  w->wrong += nbd_pread (w->h, w->buffer, 512, 0, 0) != 0;
  w->done++;
  return NULL;
}

static void
check_lock_free (void)
{
  char *fifo = temp_path ("fifo"), *script;
  struct worker w = { .buffer = calloc (1, 512) };
  struct server *s;
  int fd;

  MUST_BE (w.buffer);
  MUST (mkfifo (fifo, 0600));
  /* The first opening tells that the server has the request, the second one
   * lets it go on.
   */
  MUST (asprintf (&script, "pread=: >%s; read x <%s; "
                  "dd if=/dev/zero count=$3 iflag=count_bytes", fifo, fifo));
  s = server_start (SERVER_UNIX, "nbdkit", "eval", "get_size=echo 1048576",
                    script, NULL);
  w.h = connected (s);
  MUST_BE (pthread_create (&w.thread, NULL, sleep_in_read, &w) == 0);
  fd = open (fifo, O_RDONLY | O_CLOEXEC);
  MUST (fd);
  close (fd);
  is_int (nbd_aio_get_direction (w.h), LIBNBD_AIO_DIRECTION_READ,
          "the direction can be asked for while a call sleeps");
  ok (!nbd_aio_is_created (w.h) && !nbd_aio_is_connecting (w.h) &&
      !nbd_aio_is_negotiating (w.h) && !nbd_aio_is_closed (w.h) &&
      !nbd_aio_is_dead (w.h), "and so can the state");
  ok (nbd_aio_is_ready (w.h) || nbd_aio_is_processing (w.h),
      "which is connected");
  fd = open (fifo, O_WRONLY | O_CLOEXEC);
  MUST (fd);
  MUST (write (fd, "\n", 1));
  close (fd);
  pthread_join (w.thread, NULL);
  ok (w.done == 1 && w.wrong == 0, "then the call returns");
  disconnect (w.h);
  server_stop (s);
  free (w.buffer);
  free (script);
  free (fifo);
}

int
main (void)
{
  struct server *s;

  server_require ("nbdkit", "eval", "--dump-plugin", NULL);
  tap_begin ();
  s = server_start (SERVER_UNIX, "nbdkit", "memory", "16M", NULL);
  check_shared (s);
  server_stop (s);
  s = server_start (SERVER_UNIX, "nbdkit", "memory", "16M", NULL);
  check_own (s);
  server_stop (s);
  s = server_start (SERVER_UNIX, "nbdkit", "memory", "16M", NULL);
  check_loop (s, 4096, "small requests and a loop");
  server_stop (s);
  s = server_start (SERVER_IPV4, "nbdkit", "memory", "16M", NULL);
  check_loop (s, 1 << 20, "large requests and a loop");
  server_stop (s);
  check_lock_free ();
  return tap_end ();
}
