/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads from several servers at once in a loop of epoll(7), and prints how
 * many bytes of each export are zero.
 *
 *   epoll-loop level|edge SOCKET...
 *
 * By level, epoll is told whenever the direction of a handle changes.  By edge
 * it is told once, of both directions, and tells each change once: what the
 * handle can do then, it must do.  A notification of the library does so: it
 * handles all that has arrived, and sends all that there is room for.
 *
 * Build: cc epoll-loop.c -o epoll-loop $(pkg-config --cflags --libs libnbd)
 */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <libnbd.h>

#define DEPTH 8                 /* requests in flight, of each server */
#define CHUNK (128 * 1024)
#define MAX_EVENTS 16           /* in one wake-up */

/* Servers that say nothing for so long are given up. */
#define TIMEOUT_MS 30000

struct client {
  const char *path;
  struct nbd_handle *nbd;
  uint32_t events;              /* that epoll was told */
  size_t chunk;                 /* bytes of a request; 0: not connected yet */
  uint64_t size, next;          /* bytes: all, asked for */
  unsigned in_flight;
  int error;                    /* of a request that failed */
  bool leaving, done;
  uint64_t zeroes;              /* what we want to know */
  struct request {
    struct client *client;
    size_t count;               /* 0: not in flight */
    unsigned char buf[CHUNK];
  } requests[DEPTH];
};

static bool edge;
static int epoll_fd;

static int
failed (const struct client *c, const char *why)
{
  fprintf (stderr, "%s: %s\n", c->path, why);
  return -1;
}

/* This runs inside the notification, where the handle must not be used. */
static int
read_done (void *opaque, int *error)
{
  struct request *r = opaque;
  struct client *c = r->client;

  for (size_t i = 0; i < r->count; i++)
    c->zeroes += r->buf[i] == 0;
  r->count = 0;
  c->in_flight--;
  if (*error)
    c->error = *error;
  return 1;                     /* the command is retired */
}

static int64_t
issue (struct client *c, struct request *r)
{
  const uint64_t left = c->size - c->next, offset = c->next;

  r->client = c;
  r->count = left < c->chunk ? left : c->chunk;
  c->in_flight++;
  c->next += r->count;
  return nbd_aio_pread (c->nbd, r->buf, r->count, offset,
                        (nbd_completion_callback) { .callback = read_done,
                                                    .user_data = r }, 0);
}

/* Something may have happened to the handle: do what comes next. */
static int
advance (struct client *c)
{
  if (nbd_aio_is_closed (c->nbd) || nbd_aio_is_dead (c->nbd)) {
    if (!c->leaving)
      return failed (c, nbd_aio_is_dead (c->nbd) ? nbd_get_error () :
                     "the server has closed the connection");
    c->done = true;
    return 0;
  }
  if (nbd_aio_is_connecting (c->nbd) || c->leaving)
    return 0;
  if (c->error)
    return failed (c, strerror (c->error));

  if (c->chunk == 0) {
    const int64_t size = nbd_get_size (c->nbd);
    const int64_t maximum = nbd_get_block_size (c->nbd, LIBNBD_SIZE_MAXIMUM);

    if (size == -1 || maximum == -1)
      return failed (c, nbd_get_error ());
    c->size = size;
    c->chunk = maximum > 0 && maximum < CHUNK ? maximum : CHUNK;
  }
  for (unsigned i = 0; i < DEPTH && c->next < c->size; i++)
    if (c->requests[i].count == 0 && issue (c, &c->requests[i]) == -1)
      return failed (c, nbd_get_error ());
  if (c->next == c->size && c->in_flight == 0) {
    c->leaving = true;
    if (nbd_aio_disconnect (c->nbd, 0) == -1)
      return failed (c, nbd_get_error ());
    return advance (c);         /* that may have been the end */
  }
  return 0;
}

/* Tell epoll what the handle waits for.  When a handle is done its descriptor
 * is closed, which epoll notices itself.
 */
static int
watch (struct client *c)
{
  const unsigned dir = nbd_aio_get_direction (c->nbd);
  const int op = c->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  struct epoll_event event = { .data.ptr = c };

  if (edge)
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
  else
    event.events = (dir & LIBNBD_AIO_DIRECTION_READ ? EPOLLIN : 0) |
      (dir & LIBNBD_AIO_DIRECTION_WRITE ? EPOLLOUT : 0);
  if (c->done || event.events == c->events)
    return 0;
  c->events = event.events;
  if (epoll_ctl (epoll_fd, op, nbd_aio_get_fd (c->nbd), &event) == -1)
    return failed (c, strerror (errno));
  return 0;
}

/* Both, since an edge is not told again; but only what the handle still wants.
 * A failure of the connection is seen by advance, with the reason.
 */
static int
dispatch (struct client *c, uint32_t events)
{
  if (events & EPOLLOUT &&
      nbd_aio_get_direction (c->nbd) & LIBNBD_AIO_DIRECTION_WRITE)
    nbd_aio_notify_write (c->nbd);
  if (events & ~EPOLLOUT &&
      nbd_aio_get_direction (c->nbd) & LIBNBD_AIO_DIRECTION_READ)
    nbd_aio_notify_read (c->nbd);
  if (advance (c) == -1)
    return -1;
  return watch (c);
}

static int
run (unsigned nr_clients)
{
  struct epoll_event events[MAX_EVENTS];

  while (nr_clients > 0) {
    const int n = epoll_wait (epoll_fd, events, MAX_EVENTS, TIMEOUT_MS);

    if (n == -1 && errno == EINTR)
      continue;
    if (n <= 0) {
      fprintf (stderr, "epoll_wait: %s\n",
               n == 0 ? "no server answers" : strerror (errno));
      return -1;
    }
    for (int i = 0; i < n; i++) {
      struct client *c = events[i].data.ptr;

      if (dispatch (c, events[i].events) == -1)
        return -1;
      nr_clients -= c->done;
    }
  }
  return 0;
}

static int
start (struct client *c, const char *path)
{
  c->path = path;
  c->nbd = nbd_create ();
  if (c->nbd == NULL || nbd_aio_connect_unix (c->nbd, path) == -1)
    return failed (c, nbd_get_error ());
  return watch (c);
}

int
main (int argc, char *argv[])
{
  const unsigned n = argc > 2 ? argc - 2 : 0;
  struct client *clients = calloc (n, sizeof *clients);
  int r = 0;

  edge = argc > 1 && strcmp (argv[1], "edge") == 0;
  if (n == 0 || (!edge && strcmp (argv[1], "level") != 0)) {
    fprintf (stderr, "usage: %s level|edge SOCKET...\n", argv[0]);
    free (clients);
    return EXIT_FAILURE;
  }
  epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (clients == NULL || epoll_fd == -1) {
    perror (argv[0]);
    free (clients);
    return EXIT_FAILURE;
  }
  for (unsigned i = 0; i < n && r == 0; i++)
    r = start (&clients[i], argv[2 + i]);
  if (r == 0)
    r = run (n);
  for (unsigned i = 0; i < n && r == 0; i++)
    printf ("%s: %" PRIu64 " of %" PRIu64 " bytes are zero\n",
            clients[i].path, clients[i].zeroes, clients[i].size);

  for (unsigned i = 0; i < n; i++)
    nbd_close (clients[i].nbd);
  close (epoll_fd);
  free (clients);
  return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
