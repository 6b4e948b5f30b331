/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Loops that know less than they could: the descriptor and the direction were
 * asked for once, or before the last call, or nobody waits for an event at
 * all; and loops with hundreds of handles, by level and by edge.  Those that
 * ask each time are in loop.c.
 */

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pki.h"
#include "server.h"
#include "tap.h"

#define READ LIBNBD_AIO_DIRECTION_READ
#define WRITE LIBNBD_AIO_DIRECTION_WRITE

#define DEPTH 16
#define AREA ((size_t) 1 << 20)         /* of each request in flight */
#define DISK_SIZE (DEPTH * AREA)

static uint64_t seed = 21;
static uint8_t *disk;           /* as it must read */

/* Requests in random order and size.  A lock, because the callbacks may run in
 * another thread.
 */
static struct slot {
  bool busy, write;
  size_t n;
  uint8_t *want, *buffer;
} slots[DEPTH];

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static unsigned completed, wrong;

static int
complete (void *opaque, int *error)
{
  struct slot *slot = opaque;

  pthread_mutex_lock (&mutex);
  completed++;
  wrong += *error != 0 ||
    (!slot->write && memcmp (slot->buffer, slot->want, slot->n) != 0);
  slot->busy = false;
  pthread_cond_signal (&cond);
  pthread_mutex_unlock (&mutex);
  return 1;
}

/* The slot is free, so no other thread looks at it. */
static void
issue (struct nbd_handle *h, struct slot *slot, size_t largest_write,
       size_t largest_read)
{
  nbd_completion_callback cb = { .callback = complete, .user_data = slot };
  uint64_t offset = slot->want - disk;

  slot->busy = true;
  slot->write = next_random (&seed) % 2;
  slot->n = 1 + next_random (&seed) % (slot->write ? largest_write :
                                       largest_read);
  if (slot->write) {
    fill_random (&seed, slot->want, slot->n);
    MUST (nbd_aio_pwrite (h, slot->want, slot->n, offset, cb, 0));
  }
  else
    MUST (nbd_aio_pread (h, slot->buffer, slot->n, offset, cb, 0));
}

static struct slot *
free_slot (void)
{
  for (unsigned i = 0; i < DEPTH; i++)
    if (!slots[i].busy)
      return &slots[i];
  return NULL;
}

static void
make_slots (void)
{
  disk = calloc (1, DISK_SIZE);
  MUST_BE (disk != NULL);
  for (unsigned i = 0; i < DEPTH; i++) {
    slots[i].want = disk + i * AREA;
    slots[i].buffer = malloc (AREA);
    MUST_BE (slots[i].buffer != NULL);
  }
}

static void
free_slots (void)
{
  for (unsigned i = 0; i < DEPTH; i++)
    free (slots[i].buffer);
  free (disk);
}

static void
are_right (unsigned total, const char *loop, const char *transport)
{
  is_int (completed, total, "%s, %s: all requests complete", loop, transport);
  is_int (wrong, 0, "%s, %s: and are right", loop, transport);
}

/* What is in flight at once fits into the buffer of a socket: then a call
 * sends all that it has to send, and the direction is READ before and after.
 */
#define SMALL 4096

/* A thread that polls.  It was told once what to poll, and nobody wakes it
 * because of a request.
 */
struct poller {
  pthread_t thread;
  struct nbd_handle *h;
  int fd, stop_fd;
};

static void *
keep_polling (void *opaque)
{
  const struct poller *p = opaque;
  struct pollfd fds[2] = {
    { .fd = p->fd, .events = POLLIN }, { .fd = p->stop_fd, .events = POLLIN },
  };

  while (fds[1].revents == 0) {
    MUST (poll (fds, 2, -1));
    if (fds[0].revents)
      MUST (nbd_aio_notify_read (p->h));
  }
  return NULL;
}

static void
check_other_thread (struct nbd_handle *h, const char *transport)
{
  static const char loop[] = "a thread with the first direction";
  struct poller p = { .h = h };
  const uint64_t one = 1;

  completed = wrong = 0;
  p.fd = nbd_aio_get_fd (h);
  MUST_BE (p.fd >= 0 && nbd_aio_get_direction (h) == READ);
  p.stop_fd = eventfd (0, EFD_CLOEXEC);
  MUST (p.stop_fd);
  MUST_BE (pthread_create (&p.thread, NULL, keep_polling, &p) == 0);
  for (unsigned issued = 0; issued < 3000; issued++) {
    struct slot *slot;

    pthread_mutex_lock (&mutex);
    while ((slot = free_slot ()) == NULL)
      pthread_cond_wait (&cond, &mutex);
    pthread_mutex_unlock (&mutex);
    issue (h, slot, SMALL, 65536);
  }
  pthread_mutex_lock (&mutex);
  while (completed < 3000)
    pthread_cond_wait (&cond, &mutex);
  pthread_mutex_unlock (&mutex);
  MUST (write (p.stop_fd, &one, sizeof one));
  pthread_join (p.thread, NULL);
  close (p.stop_fd);
  are_right (3000, loop, transport);
  is_int (nbd_aio_get_fd (h), p.fd, "%s, %s: the descriptor is the same", loop,
          transport);
  disconnect (h);
}

/* A loop that asks after its own calls of notify, but not after it has issued
 * requests.
 */
static void
check_own_notify (struct nbd_handle *h, const char *transport)
{
  struct pollfd fd = { .fd = nbd_aio_get_fd (h) };
  unsigned direction = nbd_aio_get_direction (h), issued = 0;

  completed = wrong = 0;
  while (completed < 3000) {
    struct slot *slot;

    while (issued < 3000 && (slot = free_slot ()) != NULL) {
      issue (h, slot, SMALL, 65536);
      issued++;
    }
    fd.events = (direction & READ ? POLLIN : 0) |
      (direction & WRITE ? POLLOUT : 0);
    MUST (poll (&fd, 1, -1));
    if (fd.revents & ~POLLOUT)
      MUST (nbd_aio_notify_read (h));
    else
      MUST (nbd_aio_notify_write (h));
    direction = nbd_aio_get_direction (h);
  }
  are_right (3000, "the direction of the last notify", transport);
  disconnect (h);
}

/* Is refused if it is not wanted, and does no harm in any case. */
static void
notify_anyway (struct nbd_handle *h)
{
  if (nbd_aio_notify_write (h) == -1)
    MUST_BE (nbd_get_errno () == EINVAL);
  if (nbd_aio_notify_read (h) == -1)
    MUST_BE (nbd_get_errno () == EINVAL);
}

/* A loop that waits for anything and calls both, whatever the direction. */
static void
turn_both (struct nbd_handle *h)
{
  struct pollfd fd = { .fd = nbd_aio_get_fd (h), .events = POLLIN | POLLOUT };

  MUST (fd.fd);
  MUST (poll (&fd, 1, -1));
  notify_anyway (h);
}

/* One that does not even wait. */
static void
turn_blindly (struct nbd_handle *h)
{
  notify_anyway (h);
  sched_yield ();
}

static void
check_anyway (struct nbd_handle *h, void (*turn) (struct nbd_handle *h),
              const char *loop, const char *transport)
{
  unsigned issued = 0;

  while (nbd_aio_is_connecting (h))
    turn (h);
  MUST_BE (nbd_aio_is_negotiating (h));
  is_int (nbd_aio_get_direction (h), 0, "%s, %s: no option is under way", loop,
          transport);
  notify_anyway (h);
  MUST (nbd_aio_opt_go (h, NBD_NULL_COMPLETION));
  while (nbd_aio_is_connecting (h))
    turn (h);
  is_int (nbd_aio_is_ready (h), 1, "%s, %s: the handle becomes ready", loop,
          transport);
  completed = wrong = 0;
  while (completed < 500) {
    struct slot *slot;

    while (issued < 500 && (slot = free_slot ()) != NULL) {
      issue (h, slot, AREA, AREA);
      issued++;
    }
    turn (h);
  }
  are_right (500, loop, transport);
  MUST (nbd_aio_disconnect (h, 0));
  while (!nbd_aio_is_closed (h) && !nbd_aio_is_dead (h))
    turn (h);
  is_int (nbd_aio_is_closed (h), 1, "%s, %s: the handle is closed in the end",
          loop, transport);
  notify_anyway (h);
  nbd_close (h);
}

static struct server *servers[3];

static const struct transport {
  const char *name;
  bool tls;
} transports[] = {
  { "Unix socket", false }, { "TCP", false }, { "TLS", true },
};

static struct nbd_handle *
begin (unsigned i)
{
  struct nbd_handle *h = transports[i].tls ? key_handle (psk_users[0]) :
    new_handle ();
  struct sockaddr_storage addr;
  socklen_t len = server_address (servers[i], &addr);

  MUST (nbd_set_opt_mode (h, true));
  MUST (nbd_aio_connect (h, (struct sockaddr *) &addr, len));
  return h;
}

static struct nbd_handle *
ready (unsigned i)
{
  struct nbd_handle *h = begin (i);

  while (nbd_aio_is_connecting (h))
    MUST (nbd_poll (h, -1));
  MUST (nbd_opt_go (h));
  return h;
}

/* Hundreds of handles in one epoll instance.  Some of the requests are larger
 * than the buffer of a socket, so that there is something to wait for in both
 * directions.
 */

#define NR_CLIENTS 300
#define NR_ROUNDS 10
#define CLIENT_AREA 8192
#define LARGE ((size_t) 512 * 1024)

struct client {
  struct nbd_handle *h;
  uint32_t events;              /* that the instance was told; by level */
  uint64_t offset;              /* of its own area of the disk */
  unsigned issued[2], done[2], wrong;
  bool leaving, gone;
  uint8_t data[CLIENT_AREA], buffer[CLIENT_AREA];
};

static int
small_done (void *opaque, int *error)
{
  struct client *c = opaque;

  c->wrong += *error != 0;
  if (c->done[0]++ % 2)
    c->wrong += memcmp (c->buffer, c->data, CLIENT_AREA) != 0;
  return 1;
}

static int
large_done (void *opaque, int *error)
{
  struct client *c = opaque;

  c->wrong += *error != 0;
  c->done[1]++;
  return 1;
}

/* Its own area is written and read in turn; the large writes are the same for
 * all.
 */
static void
issue_client (struct client *c)
{
  nbd_completion_callback small = { .callback = small_done, .user_data = c };
  nbd_completion_callback large = { .callback = large_done, .user_data = c };

  if (c->issued[0] == c->done[0] && c->issued[0] < NR_ROUNDS) {
    if (c->issued[0]++ % 2)
      MUST (nbd_aio_pread (c->h, c->buffer, CLIENT_AREA, c->offset, small, 0));
    else {
      fill_random (&seed, c->data, CLIENT_AREA);
      MUST (nbd_aio_pwrite (c->h, c->data, CLIENT_AREA, c->offset, small, 0));
    }
  }
  if (c->issued[1] == c->done[1] && c->issued[1] < NR_ROUNDS / 5) {
    c->issued[1]++;
    MUST (nbd_aio_pwrite (c->h, disk, LARGE, 0, large, 0));
  }
}

static void
advance_client (struct client *c)
{
  if (nbd_aio_is_connecting (c->h) || c->gone)
    return;
  if (nbd_aio_is_closed (c->h) || nbd_aio_is_dead (c->h)) {
    c->wrong += !c->leaving || nbd_aio_is_dead (c->h);
    c->gone = true;
    return;
  }
  if (c->leaving)
    return;
  issue_client (c);
  if (c->done[0] == NR_ROUNDS && c->done[1] == NR_ROUNDS / 5) {
    MUST (nbd_aio_disconnect (c->h, 0));
    c->leaving = true;
    advance_client (c);         /* it may be over */
  }
}

/* By level: the instance is told when the direction is another one. */
static void
follow_direction (int epoll_fd, struct client *c)
{
  unsigned direction = nbd_aio_get_direction (c->h);
  struct epoll_event event = { .data.ptr = c };

  event.events = (direction & READ ? EPOLLIN : 0) |
    (direction & WRITE ? EPOLLOUT : 0);
  if (c->gone || event.events == c->events)
    return;
  MUST (epoll_ctl (epoll_fd, EPOLL_CTL_MOD, nbd_aio_get_fd (c->h), &event));
  c->events = event.events;
}

static void
dispatch (struct client *c, uint32_t events)
{
  if ((events & EPOLLOUT) && (nbd_aio_get_direction (c->h) & WRITE))
    MUST (nbd_aio_notify_write (c->h));
  if ((events & ~EPOLLOUT) && (nbd_aio_get_direction (c->h) & READ))
    MUST (nbd_aio_notify_read (c->h));
}

static void
check_hundreds (const struct server *s, bool edge)
{
  const char *what = edge ? "by edge" : "by level";
  struct client *clients = calloc (NR_CLIENTS, sizeof *clients);
  int epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  unsigned nr_gone = 0, nr_wrong = 0;

  MUST_BE (clients != NULL);
  MUST (epoll_fd);
  for (unsigned i = 0; i < NR_CLIENTS; i++) {
    struct client *c = &clients[i];
    struct epoll_event event = { .data.ptr = c };

    c->offset = LARGE + i * CLIENT_AREA;
    c->h = new_handle ();
    c->events = event.events = edge ? EPOLLIN | EPOLLOUT | EPOLLET : 0;
    MUST (nbd_aio_connect_unix (c->h, server_path (s)));
    MUST (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, nbd_aio_get_fd (c->h), &event));
    if (!edge)
      follow_direction (epoll_fd, c);
  }
  while (nr_gone < NR_CLIENTS) {
    struct epoll_event events[64];
    int n = epoll_wait (epoll_fd, events, 64, -1);

    MUST (n);
    for (int i = 0; i < n; i++) {
      struct client *c = events[i].data.ptr;

      dispatch (c, events[i].events);
      advance_client (c);
      if (!edge)
        follow_direction (epoll_fd, c);
      nr_gone += c->gone;
    }
  }
  for (unsigned i = 0; i < NR_CLIENTS; i++) {
    nr_wrong += clients[i].wrong;
    nbd_close (clients[i].h);
  }
  close (epoll_fd);
  free (clients);
  is_int (nr_gone, NR_CLIENTS, "%s, %d handles: all get to their end", what,
          NR_CLIENTS);
  is_int (nr_wrong, 0, "%s, %d handles: nothing is wrong", what, NR_CLIENTS);
}

int
main (void)
{
  struct nbd_handle *h = new_handle ();
  bool tls = nbd_supports_tls (h);

  nbd_close (h);
  server_require ("nbdkit", "memory", "--dump-plugin", NULL);
  if (tls)
    pki_begin ();
  else
    tap_begin ();
  make_slots ();
  for (unsigned i = 0; i < 3; i++) {
    const struct transport *t = &transports[i];
    char *file;

    if (t->tls && !tls)
      continue;
    memset (disk, 0, DISK_SIZE);
    file = pki_disk (t->name, DISK_SIZE, NULL);
    if (t->tls)
      servers[i] = pki_start (SERVER_UNIX, "nbdkit", NULL, TLS_KEYS, file);
    else
      servers[i] = server_start (i == 0 ? SERVER_UNIX : SERVER_IPV4, "nbdkit",
                                 "file", file, NULL);
    check_other_thread (ready (i), t->name);
    check_own_notify (ready (i), t->name);
    check_anyway (begin (i), turn_both, "both notified each time", t->name);
    check_anyway (begin (i), turn_blindly, "no wait at all", t->name);
    server_stop (servers[i]);
    free (file);
  }

  servers[0] = server_start (SERVER_UNIX, "nbdkit", "--threads=1", "memory",
                             "16M", NULL);
  check_hundreds (servers[0], false);
  check_hundreds (servers[0], true);
  server_stop (servers[0]);
  free_slots ();
  return tap_end ();
}
