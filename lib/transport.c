/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The only code that sends and receives.  The socket may be in blocking mode:
 * each call says itself whether it may sleep.
 */

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* Segments that leave in one call. */
#define MAX_IOV 64

/* Bytes that arrive in more than one part. */
#define WORTH_WAITING 65536

static ssize_t
socket_receive (struct nbd_handle *h, struct iovec *iov, int n, bool wait)
{
  struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
  int flags = wait ? 0 : MSG_DONTWAIT;

  /* The first of two is what a command still has to get.  To sleep once for all
   * of it costs less than to be woken for each part.
   */
  if (wait && n > 1 && iov->iov_len >= WORTH_WAITING)
    return recv (h->fd, iov->iov_base, iov->iov_len, MSG_WAITALL);

  /* One run of bytes costs less without a message around it. */
  return n == 1 ? recv (h->fd, iov->iov_base, iov->iov_len, flags) :
    recvmsg (h->fd, &msg, flags);
}

static ssize_t
socket_send (struct nbd_handle *h, struct iovec *iov, int n)
{
  int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

  if (n == 1)
    return send (h->fd, iov->iov_base, iov->iov_len, flags);
  return sendmsg (h->fd, &(struct msghdr) { .msg_iov = iov, .msg_iovlen = n },
                  flags);
}

static void
socket_finish (struct nbd_handle *h)
{
  shutdown (h->fd, SHUT_WR);
}

static void
socket_close (struct nbd_handle *h)
{
  close (h->fd);
  h->fd = -1;
}

const struct transport socket_transport = {
  .name = "socket",
  .receive = socket_receive,
  .send = socket_send,
  .finish = socket_finish,
  .close = socket_close,
};

bool
would_block (int errnum)
{
  return errnum == EAGAIN || errnum == EWOULDBLOCK;
}

void
wait_readable (struct nbd_handle *h)
{
  poll (&(struct pollfd) { .fd = h->fd, .events = POLLIN }, 1, -1);
}

int
transport_receive (struct nbd_handle *h, enum receive how)
{
  for (;;) {
    struct iovec iov[2];
    int n = engine_room (h, iov);
    size_t room = 0;
    ssize_t r;

    if (n == 0)
      break;
    for (int i = 0; i < n; i++)
      room += iov[i].iov_len;
    r = h->transport->receive (h, iov, n, how == RECEIVE_WAIT);
    if (r == -1 && errno == EINTR)
      continue;
    if (r == -1 && would_block (errno)) {
      if (how != RECEIVE_WAIT)
        break;
      /* Somebody who shares the socket made it non-blocking. */
      h->non_blocking = true;
      wait_readable (h);
      continue;
    }
    if (r == -1)
      fail (h, errno, "recv");
    else if (r == 0)
      engine_eof (h);
    else {
      engine_received (h, r);
      if (h->paused)
        break;
      /* Less than there was room for: nothing more has arrived, except
       * perhaps the end of the stream.
       */
      if ((size_t) r == room || how == RECEIVE_ALL || h->unread) {
        if (how == RECEIVE_WAIT)
          how = RECEIVE_ARRIVED;
        continue;
      }
    }
    break;
  }
  return h->state == STATE_DEAD ? -1 : 0;
}

static bool
has_to_send (const struct nbd_handle *h)
{
  return h->queue.count > 0 || h->unsent > 0;
}

/* After NBD_CMD_DISC nothing follows.  Servers that wait for more in another
 * thread (nbdkit 1.42) only notice when they are told so.
 */
static void
finish_sending (struct nbd_handle *h)
{
  if (h->disconnecting && !h->finished && h->transport->finish) {
    h->finished = true;
    h->transport->finish (h);
  }
}

int
transport_send (struct nbd_handle *h)
{
  while (has_to_send (h)) {
    struct iovec iov[MAX_IOV];
    int n = queue_peek (h, iov, MAX_IOV);
    size_t length = 0;
    ssize_t r;

    for (int i = 0; i < n; i++)
      length += iov[i].iov_len;
    r = transport_attempt (h, iov, n, length);
    if (r == -1 && errno == EINTR)
      continue;
    if (r == -1)
      return would_block (errno) ? 0 : -1;
    queue_sent (h, r);
    if (h->full)
      return 0;
  }
  finish_sending (h);
  return 0;
}

/* A server that closes the connection may have replied before that, so what can
 * be received counts before a failure to send.
 */
int
transport_move (struct nbd_handle *h, enum receive how)
{
  int errnum = 0;

  if (state_rows[h->state].progress) {
    state_rows[h->state].progress (h);
    if (state_rows[h->state].progress || h->state == STATE_DEAD)
      return h->state == STATE_DEAD ? -1 : 0;
    /* The server's next words may be there already, which an edge-triggered
     * loop is not told again.
     */
    how = RECEIVE_ALL;
  }
  if (how != RECEIVE_NOTHING && transport_receive (h, how) == -1)
    return -1;
  if (state_rows[h->state].progress)    /* that was the reply to STARTTLS */
    return transport_move (h, RECEIVE_NOTHING);
  if (has_to_send (h) && transport_send (h) == -1)
    errnum = errno;
  if (errnum) {
    h->polling = false;         /* no pause: there is no next call */
    if (engine_resume (h) == 0 && transport_receive (h, RECEIVE_ARRIVED) == 0)
      fail (h, errnum, "send");
  }
  return h->state == STATE_DEAD ? -1 : 0;
}

/* The events that poll (2) is to wait for. */
static short
wanted_events (const struct nbd_handle *h)
{
  unsigned direction = engine_direction (h);
  short events = 0;

  if (direction & LIBNBD_AIO_DIRECTION_READ)
    events |= POLLIN;
  if (direction & LIBNBD_AIO_DIRECTION_WRITE)
    events |= POLLOUT;
  return events;
}

int64_t
milliseconds (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* poll (2) that signals do not end. */
static int
poll_until (struct pollfd *fds, nfds_t n, int timeout)
{
  int64_t end = timeout > 0 ? milliseconds () + timeout : 0;
  int r;

  while ((r = poll (fds, n, timeout)) == -1 && errno == EINTR)
    if (timeout > 0) {
      int64_t left = end - milliseconds ();

      timeout = left > 0 ? left : 0;
    }
  return r;
}

/* With nothing to send there is one thing to wait for, so that sleeping in the
 * receive itself saves a call of poll.
 */
static bool
may_sleep_in_receive (const struct nbd_handle *h)
{
  return !state_rows[h->state].progress && !h->non_blocking &&
    engine_direction (h) == LIBNBD_AIO_DIRECTION_READ;
}

static int
sleep_in_receive (struct nbd_handle *h)
{
  int r = transport_receive (h, RECEIVE_WAIT);

  if (r == 0 && (has_to_send (h) || state_rows[h->state].progress))
    r = transport_move (h, RECEIVE_NOTHING);
  return r;
}

int
transport_poll (struct nbd_handle *h, int extra_fd, int timeout)
{
  struct pollfd fds[2] = {
    { .fd = h->fd, .events = wanted_events (h) },
    { .fd = extra_fd, .events = POLLIN },
  };
  int r;

  if (fds[0].events == 0) {
    error_set (h, EINVAL, "nothing to poll for in state %s",
               engine_row (h)->name);
    return -1;
  }
  if (extra_fd == -1 && timeout < 0 && may_sleep_in_receive (h))
    return sleep_in_receive (h) == -1 ? -1 : 1;
  r = poll_until (fds, extra_fd == -1 ? 1 : 2, timeout);
  if (r == -1) {
    error_set (h, errno, "poll");
    return -1;
  }
  if (r == 0)
    return 0;
  if (fds[0].revents &&
      transport_move (h, fds[0].revents & ~POLLOUT ? RECEIVE_ARRIVED :
                      RECEIVE_NOTHING) == -1)
    return -1;
  return 1;
}

int
transport_wait (struct nbd_handle *h,
                bool (*done) (struct nbd_handle *h, const void *arg),
                const void *arg)
{
  if (engine_resume (h) == -1)
    return -1;
  while (!done (h, arg))
    if (transport_poll (h, -1, -1) == -1)
      return -1;
  return 0;
}

void
transport_close (struct nbd_handle *h)
{
  if (h->transport)
    h->transport->close (h);
  else if (h->fd >= 0)
    close (h->fd);
  tls_free (h);
  h->transport = NULL;
  h->fd = -1;
}

/* The loop of the program saw an event. */
static int
notify (struct nbd_handle *h, unsigned direction)
{
  bool late = false;

  if (engine_resume (h) == -1)
    return -1;
  if (direction == LIBNBD_AIO_DIRECTION_WRITE) {
    late = h->told_to_write && h->transport;
    h->told_to_write = false;
  }
  if (!(engine_direction (h) & direction)) {
    /* A call that came after the program's poll has sent all. */
    if (late)
      return 0;
    error_set (h, EINVAL, "not waiting to %s in state %s",
               direction == LIBNBD_AIO_DIRECTION_READ ? "read" : "write",
               engine_row (h)->name);
    return -1;
  }
  /* All there is, the end of the stream too: a loop that is edge-triggered is
   * told once.
   */
  return transport_move (h, direction == LIBNBD_AIO_DIRECTION_READ ?
                         RECEIVE_ALL : RECEIVE_NOTHING);
}

int
api_aio_notify_read (struct nbd_handle *h)
{
  return notify (h, LIBNBD_AIO_DIRECTION_READ);
}

int
api_aio_notify_write (struct nbd_handle *h)
{
  return notify (h, LIBNBD_AIO_DIRECTION_WRITE);
}

int
api_poll (struct nbd_handle *h, int timeout)
{
  return api_poll2 (h, -1, timeout);
}

int
api_poll2 (struct nbd_handle *h, int fd, int timeout)
{
  uint64_t completed = h->commands.completed;
  int r;

  h->polling = true;
  h->poller = pthread_self ();
  r = engine_resume (h);
  if (r == 0)
    r = h->commands.completed != completed ? 1 :
      transport_poll (h, fd, timeout);
  h->polling = false;
  return r;
}
