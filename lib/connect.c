/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connecting: what every source of a socket has in common, and the sources
 * that need no more than an address: a socket of the caller, a socket address,
 * a Unix domain socket.  All of them end in connect_done ().
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"

int
connect_done (struct nbd_handle *h, int fd, const struct transport *transport)
{
  int flags = fcntl (fd, F_GETFL);

  /* Blocking, so that a synchronous call can sleep in the receive. */
  if (flags == -1 ||
      ((flags & O_NONBLOCK) &&
       fcntl (fd, F_SETFL, flags & ~O_NONBLOCK) == -1) ||
      fcntl (fd, F_SETFD, FD_CLOEXEC) == -1) {
    error_set (h, errno, "fcntl");
    return -1;
  }
  h->fd = fd;
  h->transport = transport;
  h->reached = true;
  addresses_free (h);
  expect (h, STATE_MAGIC, NULL, 0);
  return 0;
}

int
connect_start (struct nbd_handle *h, const struct sockaddr *addr,
               socklen_t len)
{
  int fd = socket (addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                   0);
  int err;

  if (fd == -1)
    return -1;
  if (addr->sa_family == AF_INET || addr->sa_family == AF_INET6) {
    const int on = 1;

    /* Requests are small and wait for nothing; see "Protocol phases". */
    setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (connect (fd, addr, len) == 0) {
    if (connect_done (h, fd, &socket_transport) == 0)
      return 0;
  }
  else if (errno == EINPROGRESS) {
    h->fd = fd;
    expect (h, STATE_CONNECT, NULL, 0);
    return 1;
  }
  err = errno;
  close (fd);
  errno = err;
  return -1;
}

void
connect_progress (struct nbd_handle *h)
{
  int err = 0, fd = h->fd;
  socklen_t len = sizeof err;
  struct sockaddr_storage peer;
  socklen_t peer_len = sizeof peer;

  if (getsockopt (fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
    err = errno;
  if (err == 0 &&
      getpeername (fd, (struct sockaddr *) &peer, &peer_len) == -1) {
    if (errno == ENOTCONN)
      return;                   /* woken too early */
    err = errno;
  }
  if (err == 0) {
    h->fd = -1;
    if (connect_done (h, fd, &socket_transport) == -1) {
      h->fd = fd;
      fail (h, errno, "fcntl");
    }
    return;
  }

  close (fd);
  h->fd = -1;
  if (h->addresses == NULL)
    fail (h, err, "connect");
  else if ((err = addresses_next (h, err)) != 0)
    addresses_fail (h, err);
}

/* Start with one address.  The handle is dead if that fails. */
static int
connect_address (struct nbd_handle *h, const struct sockaddr *addr,
                 socklen_t len)
{
  if (connect_start (h, addr, len) == -1)
    fail (h, errno, "connect");
  return h->state == STATE_DEAD ? -1 : 0;
}

int
api_aio_connect (struct nbd_handle *h, const struct sockaddr *addr,
                 socklen_t addrlen)
{
  if (addrlen < sizeof addr->sa_family) {
    error_set (h, EINVAL, "addrlen is too short");
    return -1;
  }
  return connect_address (h, addr, addrlen);
}

int
api_aio_connect_unix (struct nbd_handle *h, const char *unixsocket)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  size_t n = strlen (unixsocket);

  /* The longest path has no room for a NUL, nor needs one. */
  if (n > sizeof addr.sun_path) {
    error_set (h, ENAMETOOLONG, "socket name too long: %s", unixsocket);
    return -1;
  }
  memcpy (addr.sun_path, unixsocket, n);
  return connect_address (h, (struct sockaddr *) &addr, sizeof addr);
}

int
api_aio_connect_socket (struct nbd_handle *h, int sock)
{
  struct sockaddr_storage peer;
  socklen_t len = sizeof peer, type_len;
  int type = 0;

  /* What is no connected stream socket stays with the caller, untouched. */
  type_len = sizeof type;
  if (getsockopt (sock, SOL_SOCKET, SO_TYPE, &type, &type_len) == -1 ||
      getpeername (sock, (struct sockaddr *) &peer, &len) == -1) {
    error_set (h, errno, "descriptor %d is not a connected socket", sock);
    return -1;
  }
  if (type != SOCK_STREAM) {
    error_set (h, EPROTOTYPE, "descriptor %d is not a stream socket", sock);
    return -1;
  }
  if (connect_done (h, sock, &socket_transport) == -1)
    return -1;
  return transport_move (h, RECEIVE_ARRIVED);
}

/* The synchronous forms: start, then wait for the end of the negotiation. */
static bool
not_connecting (struct nbd_handle *h, const void *arg)
{
  (void) arg;
  return handle_phase (h) != PHASE_CONNECTING;
}

static int
wait_connected (struct nbd_handle *h, int started)
{
  if (started == -1)
    return -1;
  if (transport_wait (h, not_connecting, NULL) == -1)
    return -1;
  if (handle_phase (h) & (PHASE_CONNECTED | PHASE_NEGOTIATING))
    return 0;
  error_set (h, ENOTCONN, "the connection ended during negotiation");
  return -1;
}

int
api_connect_socket (struct nbd_handle *h, int sock)
{
  return wait_connected (h, api_aio_connect_socket (h, sock));
}

int
api_connect_unix (struct nbd_handle *h, const char *unixsocket)
{
  return wait_connected (h, api_aio_connect_unix (h, unixsocket));
}

int
api_connect_tcp (struct nbd_handle *h, const char *hostname, const char *port)
{
  int r = wait_connected (h, api_aio_connect_tcp (h, hostname, port));

  /* No server was reached: the handle is as good as new. */
  if (r == -1 && !h->reached)
    expect (h, STATE_START, NULL, 0);
  return r;
}
