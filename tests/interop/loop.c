/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Programs with a loop of their own: poll (2), epoll by level and by edge,
 * nbd_poll2 with a descriptor of the program.  The loops remember nothing
 * about the handle: descriptor and direction are asked for each time.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

#define READ LIBNBD_AIO_DIRECTION_READ
#define WRITE LIBNBD_AIO_DIRECTION_WRITE

#define DISK_SIZE ((size_t) 64 << 20)

static uint64_t seed = 8;
static uint8_t *disk;

/* Each turns the loop once, sleeping until something happens. */

static int epoll_fd = -1, epoll_member = -1;

static unsigned
poll_events (unsigned direction)
{
  return (direction & READ ? POLLIN : 0) | (direction & WRITE ? POLLOUT : 0);
}

static void
turn_poll (struct nbd_handle *h)
{
  struct pollfd fd = { .fd = nbd_aio_get_fd (h) };
  unsigned direction = nbd_aio_get_direction (h);

  MUST (fd.fd);
  fd.events = poll_events (direction);
  MUST (poll (&fd, 1, -1));
  if ((direction & READ) && (fd.revents & (POLLIN | POLLHUP | POLLERR)))
    MUST (nbd_aio_notify_read (h));
  else if ((direction & WRITE) && (fd.revents & (POLLOUT | POLLHUP | POLLERR)))
    MUST (nbd_aio_notify_write (h));
}

/* In the other order, and both if both are ready. */
static void
turn_poll_both (struct nbd_handle *h)
{
  struct pollfd fd = { .fd = nbd_aio_get_fd (h) };

  MUST (fd.fd);
  fd.events = poll_events (nbd_aio_get_direction (h));
  MUST (poll (&fd, 1, -1));
  if ((nbd_aio_get_direction (h) & WRITE) && (fd.revents & POLLOUT))
    MUST (nbd_aio_notify_write (h));
  if ((nbd_aio_get_direction (h) & READ) &&
      (fd.revents & (POLLIN | POLLHUP | POLLERR)))
    MUST (nbd_aio_notify_read (h));
}

static void
end_epoll (void)
{
  if (epoll_fd != -1)
    close (epoll_fd);
  epoll_fd = epoll_member = -1;
}

/* Watch the descriptor that the handle has now. */
static void
watch (struct nbd_handle *h, uint32_t events)
{
  int fd = nbd_aio_get_fd (h), op = EPOLL_CTL_MOD;
  struct epoll_event event = { .events = events };

  MUST (fd);
  if (fd != epoll_member) {
    end_epoll ();
    epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
    MUST (epoll_fd);
    epoll_member = fd;
    op = EPOLL_CTL_ADD;
  }
  MUST (epoll_ctl (epoll_fd, op, fd, &event));
}

static uint32_t
wait_epoll (void)
{
  struct epoll_event event;

  MUST_BE (epoll_wait (epoll_fd, &event, 1, -1) == 1);
  return event.events;
}

static void
dispatch (struct nbd_handle *h, uint32_t events)
{
  if ((nbd_aio_get_direction (h) & WRITE) && (events & EPOLLOUT))
    MUST (nbd_aio_notify_write (h));
  if ((nbd_aio_get_direction (h) & READ) &&
      (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
    MUST (nbd_aio_notify_read (h));
}

static void
turn_epoll (struct nbd_handle *h)
{
  unsigned direction = nbd_aio_get_direction (h);

  watch (h, (direction & READ ? EPOLLIN : 0) |
         (direction & WRITE ? EPOLLOUT : 0));
  dispatch (h, wait_epoll ());
}

/* By edge, armed anew each time. */
static void
turn_epoll_armed (struct nbd_handle *h)
{
  unsigned direction = nbd_aio_get_direction (h);

  watch (h, EPOLLET | EPOLLONESHOT | (direction & READ ? EPOLLIN : 0) |
         (direction & WRITE ? EPOLLOUT : 0));
  dispatch (h, wait_epoll ());
}

/* By edge, and told once: all that has arrived must be read, and all that can
 * be sent must be sent, before the loop sleeps again.
 */
static void
turn_epoll_edge (struct nbd_handle *h)
{
  int fd = nbd_aio_get_fd (h);

  MUST (fd);
  if (fd != epoll_member)
    watch (h, EPOLLET | EPOLLIN | EPOLLOUT);
  dispatch (h, wait_epoll ());
}

static void
turn_nbd_poll (struct nbd_handle *h)
{
  MUST (nbd_poll (h, -1));
}

static void
turn_nbd_poll2 (struct nbd_handle *h)
{
  MUST (nbd_poll2 (h, -1, -1));
}

static const struct loop {
  const char *name;
  void (*turn) (struct nbd_handle *h);
} loops[] = {
  { "poll", turn_poll },
  { "poll, both directions", turn_poll_both },
  { "epoll by level", turn_epoll },
  { "epoll by edge, armed each time", turn_epoll_armed },
  { "epoll by edge", turn_epoll_edge },
  { "nbd_poll", turn_nbd_poll },
  { "nbd_poll2", turn_nbd_poll2 },
};

/* Requests. */

#define DEPTH 64

struct slot {
  bool busy, write;
  uint64_t offset;
  size_t n;
  uint8_t *buffer;
};

static unsigned completed, wrong, freed;

static int
complete (void *opaque, int *error)
{
  struct slot *slot = opaque;

  completed++;
  wrong += *error != 0 ||
    (!slot->write && memcmp (slot->buffer, disk + slot->offset, slot->n) != 0);
  slot->busy = false;
  return 1;
}

static void
count_free (void *opaque)
{
  (void) opaque;
  freed++;
}

static void
issue (struct nbd_handle *h, struct slot *slot, unsigned i, size_t largest)
{
  nbd_completion_callback cb = { .callback = complete, .user_data = slot,
                                 .free = count_free };

  slot->busy = true;
  slot->write = next_random (&seed) % 2;
  slot->n = 1 + next_random (&seed) % largest;
  slot->offset = i * largest;
  if (slot->write) {
    fill_random (&seed, slot->buffer, slot->n);
    memcpy (disk + slot->offset, slot->buffer, slot->n);
    MUST (nbd_aio_pwrite (h, slot->buffer, slot->n, slot->offset, cb, 0));
  }
  else {
    memset (slot->buffer, 0xa5, slot->n);
    MUST (nbd_aio_pread (h, slot->buffer, slot->n, slot->offset, cb, 0));
  }
}

static void
run_requests (struct nbd_handle *h, const struct loop *loop, size_t largest,
              unsigned total, const char *what)
{
  struct slot slots[DEPTH] = { 0 };
  unsigned issued = 0;

  completed = wrong = freed = 0;
  for (unsigned i = 0; i < DEPTH; i++) {
    slots[i].buffer = malloc (largest);
    MUST_BE (slots[i].buffer);
  }
  while (completed < total) {
    for (unsigned i = 0; i < DEPTH; i++)
      if (!slots[i].busy && issued < total) {
        issue (h, &slots[i], i, largest);
        issued++;
      }
    loop->turn (h);
  }
  for (unsigned i = 0; i < DEPTH; i++)
    free (slots[i].buffer);
  is_int (completed, total, "%s: all requests of up to %zu bytes complete",
          what, largest);
  is_int (wrong, 0, "%s: none is wrong", what);
  is_int (freed, total, "%s: each callback is freed once", what);
}

static void
check_loop (const struct server *s, const struct loop *loop,
            const char *transport)
{
  struct nbd_handle *h = new_handle ();
  struct sockaddr_storage addr;
  socklen_t len = server_address (s, &addr);
  char what[128];

  snprintf (what, sizeof what, "%s, %s", loop->name, transport);
  MUST (nbd_aio_connect (h, (struct sockaddr *) &addr, len));
  while (nbd_aio_is_connecting (h))
    loop->turn (h);
  is_int (nbd_aio_is_ready (h), 1, "%s: the handle becomes ready", what);
  is_int (nbd_get_size (h), DISK_SIZE, "%s: the size is right", what);
  run_requests (h, loop, 4096, 2000, what);
  run_requests (h, loop, 1 << 20, 300, what);
  MUST (nbd_aio_disconnect (h, 0));
  while (!nbd_aio_is_closed (h) && !nbd_aio_is_dead (h))
    loop->turn (h);
  is_int (nbd_aio_is_closed (h), 1, "%s: the handle is closed in the end",
          what);
  is_int (nbd_aio_get_direction (h), 0, "%s: then there is no direction",
          what);
  nbd_close (h);
  end_epoll ();
}

/* Options under a loop of the program. */
static int
note_done (void *opaque, int *error)
{
  *(int *) opaque = *error == 0;
  return 1;
}

static void
check_options (const struct server *s, const struct loop *loop)
{
  struct nbd_handle *h = new_handle ();
  int done = -1;
  nbd_completion_callback cb = { .callback = note_done, .user_data = &done };

  MUST (nbd_set_opt_mode (h, true));
  MUST (nbd_aio_connect_unix (h, server_path (s)));
  while (nbd_aio_is_connecting (h))
    loop->turn (h);
  is_int (nbd_aio_is_negotiating (h), 1, "%s: opt mode pauses", loop->name);
  MUST (nbd_aio_opt_info (h, cb));
  while (nbd_aio_is_connecting (h))
    loop->turn (h);
  is_int (done, 1, "%s: an option completes", loop->name);
  done = -1;
  MUST (nbd_aio_opt_go (h, cb));
  while (nbd_aio_is_connecting (h))
    loop->turn (h);
  is_int (done, 1, "%s: and so does the last one", loop->name);
  is_int (nbd_aio_is_ready (h), 1, "%s: the handle is ready", loop->name);
  disconnect (h);
  end_epoll ();
}

/* An edge is told once: neither a greeting that was there before the connection
 * was noticed nor the end of the stream behind a reply may be missed.
 */
static void
check_edges (void)
{
  static const uint8_t greeting[152] = {
    'N', 'B', 'D', 'M', 'A', 'G', 'I', 'C',     /* oldstyle */
    0x00, 0x00, 0x42, 0x02, 0x81, 0x86, 0x12, 0x53,
    0, 0, 0, 0, 0, 0, 0x10, 0,                  /* 4096 bytes */
    0, 0, 0, 1,                                 /* NBD_FLAG_HAS_FLAGS */
  };
  uint8_t reply[16 + 512] = { 0x67, 0x44, 0x66, 0x98 };
  struct sockaddr_in addr = {
    .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK),
  };
  socklen_t len = sizeof addr;
  int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
  struct nbd_handle *h = new_handle ();
  uint8_t request[28], buf[512];
  struct pollfd fd;
  int64_t cookie;

  MUST (bind (listener, (struct sockaddr *) &addr, len));
  MUST (getsockname (listener, (struct sockaddr *) &addr, &len));
  MUST (listen (listener, 1));
  MUST (nbd_aio_connect (h, (struct sockaddr *) &addr, len));
  peer = accept (listener, NULL, NULL);
  MUST (peer);
  MUST_BE (send (peer, greeting, sizeof greeting, 0) == sizeof greeting);
  fd = (struct pollfd) { .fd = nbd_aio_get_fd (h), .events = POLLIN };
  MUST_BE (poll (&fd, 1, -1) == 1);     /* it has arrived */
  while (nbd_aio_is_connecting (h))
    turn_epoll_edge (h);
  is_int (nbd_aio_is_ready (h), 1,
          "by edge, a greeting from before the connection was noticed counts");

  cookie = nbd_aio_pread (h, buf, sizeof buf, 0, NBD_NULL_COMPLETION, 0);
  MUST (cookie);
  MUST_BE (recv (peer, request, sizeof request, MSG_WAITALL) ==
           sizeof request);
  memcpy (reply + 8, request + 8, 8);   /* the cookie */
  MUST_BE (send (peer, reply, sizeof reply, 0) == sizeof reply);
  close (peer);
  fd.events = POLLRDHUP;
  MUST_BE (poll (&fd, 1, -1) == 1);     /* all of it has arrived */
  while (!nbd_aio_is_closed (h) && !nbd_aio_is_dead (h))
    turn_epoll_edge (h);
  is_int (nbd_aio_command_completed (h, cookie), 1,
          "by edge, a reply in front of the end of the stream counts");
  is_int (nbd_aio_is_closed (h), 1, "and so does the end");
  nbd_close (h);
  close (listener);
  end_epoll ();
}

/* What a loop does wrong is refused or does no harm. */
static void
check_wrong_loop (const struct server *s)
{
  struct nbd_handle *h = new_handle ();
  uint8_t buf[512];

  is_int (nbd_poll (h, -1), -1, "there is nothing to poll for at first");
  is_int (nbd_get_errno (), EINVAL, "which is EINVAL");
  is_int (nbd_aio_notify_read (h), -1, "nor to be notified of");
  is_int (nbd_get_errno (), EINVAL, "which is EINVAL");
  is_int (nbd_aio_get_fd (h), -1, "nor a descriptor");
  is_int (nbd_get_errno (), EINVAL, "which is EINVAL");
  must_connect (s, h);
  is_int (nbd_aio_get_direction (h), READ, "when idle the direction is READ");
  is_int (nbd_aio_notify_write (h), -1, "a write that is not wanted fails");
  is_int (nbd_get_errno (), EINVAL, "with EINVAL");
  for (unsigned i = 0; i < 3; i++)
    is_int (nbd_aio_notify_read (h), 0, "a read of nothing is no error");
  is_int (nbd_poll (h, 0), 0, "without a reply nbd_poll times out");
  is_int (nbd_poll2 (h, -1, 0), 0, "and so does nbd_poll2");
  is_int (nbd_aio_is_ready (h), 1, "the handle is ready as before");
  is_int (nbd_pread (h, buf, sizeof buf, 0, 0), 0, "and works");
  disconnect (h);
}

/* nbd_poll2 and a descriptor of the program. */

static int wake_fd, wake_event_fd;

static void *
wake (void *opaque)
{
  const uint64_t one = 1;

  (void) opaque;
  MUST (write (wake_fd, "x", 1));
  MUST (write (wake_event_fd, &one, sizeof one));
  return NULL;
}

static void
check_poll2 (const struct server *s)
{
  struct nbd_handle *h = connected (s);
  uint8_t buf[4096];
  pthread_t thread;
  int fds[2], event_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  uint64_t value;
  int64_t cookie;
  char c;
  int r;

  MUST (event_fd);
  MUST (pipe2 (fds, O_CLOEXEC));
  wake_fd = fds[1];
  wake_event_fd = event_fd;
  is_int (nbd_poll2 (h, event_fd, 0), 0,
          "an event descriptor that is not readable times out");
  is_int (nbd_poll2 (h, fds[0], 0), 0, "and so does a pipe");

  MUST_BE (pthread_create (&thread, NULL, wake, NULL) == 0);
  is_int (nbd_poll2 (h, fds[0], -1), 1, "a pipe wakes nbd_poll2");
  is_int (nbd_poll2 (h, event_fd, -1), 1, "an event descriptor does, too");
  pthread_join (thread, NULL);
  is_int (nbd_poll2 (h, event_fd, 0), 1, "as long as it is readable");
  is_int (read (fds[0], &c, 1), 1, "the byte is still in the pipe");
  is_int (read (event_fd, &value, sizeof value), sizeof value,
          "and the event is there");
  is_int (nbd_poll2 (h, event_fd, 0), 0, "then it times out again");
  is_int (nbd_aio_is_ready (h), 1, "the handle is as before");

  /* The connection is looked after when it is ready, alone or not. */
  for (int both = 0; both < 2; both++) {
    value = 1;
    if (both)
      MUST (write (event_fd, &value, sizeof value));
    memset (buf, 0xa5, sizeof buf);
    cookie = nbd_aio_pread (h, buf, sizeof buf, 0, NBD_NULL_COMPLETION, 0);
    MUST (cookie);
    while ((r = nbd_aio_command_completed (h, cookie)) == 0)
      MUST (nbd_poll2 (h, event_fd, -1));
    is_int (r, 1, "a read completes %s",
            both ? "while the other descriptor is ready" : "meanwhile");
    ok (memcmp (buf, disk, sizeof buf) == 0, "and has the right data");
  }
  close (event_fd);
  close (fds[0]);
  close (fds[1]);
  disconnect (h);
}

int
main (void)
{
  struct server *s[2];

  server_require ("nbdkit", "--version", NULL);
  tap_begin ();
  disk = calloc (1, DISK_SIZE);
  MUST_BE (disk);
  s[0] = server_start (SERVER_UNIX, "nbdkit", "memory", "64M", NULL);
  s[1] = server_start (SERVER_IPV4, "nbdkit", "memory", "64M", NULL);
  for (size_t t = 0; t < 2; t++) {
    memset (disk, 0, DISK_SIZE);
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++)
      check_loop (s[t], &loops[i], t ? "TCP" : "Unix socket");
    if (t == 0) {
      for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++)
        check_options (s[0], &loops[i]);
      check_edges ();
      check_wrong_loop (s[0]);
      check_poll2 (s[0]);
    }
  }
  server_stop (s[0]);
  server_stop (s[1]);
  free (disk);
  return tap_end ();
}
