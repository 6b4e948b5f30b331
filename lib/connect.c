/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connecting: what every source of a socket has in common, and the sources
 * that need no more than an address: a socket of the caller, a socket address,
 * a Unix domain socket, vsock.  All of them end in connect_done ().
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef HAVE_LINUX_VM_SOCKETS_H
#include <linux/vm_sockets.h>
#endif
#ifdef HAVE_SYS_TIMERFD_H
#include <sys/timerfd.h>
#endif

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
  h->unreached = false;
  uri_settings_keep (h);
  expect (h, STATE_MAGIC, NULL, 0);
  return 0;
}

/* The options of TCP that a program may set, row by row. */
static const struct tcp_option {
  int option;
  const char *name;
} tcp_options[NR_TCP_OPTIONS] = {
#ifdef TCP_KEEPCNT
  { TCP_KEEPCNT, "TCP_KEEPCNT" },
#endif
#ifdef TCP_KEEPIDLE
  { TCP_KEEPIDLE, "TCP_KEEPIDLE" },
#endif
#ifdef TCP_KEEPINTVL
  { TCP_KEEPINTVL, "TCP_KEEPINTVL" },
#endif
#ifdef TCP_USER_TIMEOUT
  { TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT" },
#endif
};

int
api_set_tcp_option (struct nbd_handle *h, int option, int v)
{
  for (size_t i = 0; i < NR_TCP_OPTIONS; i++)
    if (tcp_options[i].name && tcp_options[i].option == option) {
      h->tcp_options[i].set = true;
      h->tcp_options[i].value = v;
      return 0;
    }
  error_set (h, EINVAL, "unknown TCP option: %d", option);
  return -1;
}

static int
set_int (int fd, int level, int option, int value)
{
  return setsockopt (fd, level, option, &value, sizeof value);
}

/* What the program asked for on sockets that we make. */
static int
set_socket_options (struct nbd_handle *h, int fd, sa_family_t family)
{
  if (family != AF_INET && family != AF_INET6)
    return 0;
  /* Requests are small and wait for nothing; see "Protocol phases".  Worth a
   * try, no more.
   */
  set_int (fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (h->keepalive && set_int (fd, SOL_SOCKET, SO_KEEPALIVE, 1) == -1) {
    debug (h, "SO_KEEPALIVE: %s", strerror (errno));
    return -1;
  }
  for (size_t i = 0; i < NR_TCP_OPTIONS; i++)
    if (h->tcp_options[i].set &&
        set_int (fd, IPPROTO_TCP, tcp_options[i].option,
                 h->tcp_options[i].value) == -1) {
      debug (h, "%s: %s", tcp_options[i].name, strerror (errno));
      return -1;
    }
  return 0;
}

int
connect_begin (struct nbd_handle *h, const struct sockaddr *addr,
               socklen_t len, bool *connected)
{
  int fd = socket (addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                   0);
  int err;

  *connected = false;
  if (fd == -1)
    return -1;
  if (set_socket_options (h, fd, addr->sa_family) == 0) {
    if (connect (fd, addr, len) == 0) {
      *connected = true;
      return fd;
    }
    if (errno == EINPROGRESS)
      return fd;
  }
  err = errno;
  close (fd);
  errno = err;
  return -1;
}

int
connect_result (int fd)
{
  struct sockaddr_storage peer;
  socklen_t len = sizeof peer, err_len;
  int err = 0;

  err_len = sizeof err;
  if (getsockopt (fd, SOL_SOCKET, SO_ERROR, &err, &err_len) == -1)
    return errno;
  if (err == 0 && getpeername (fd, (struct sockaddr *) &peer, &len) == -1)
    err = errno == ENOTCONN ? EINPROGRESS : errno;
  return err;
}

/* A Unix socket whose backlog is full says EAGAIN at once, on Linux.  It is
 * tried again each time that a timer, which stands in for the socket, has
 * expired.
 */
#define RETRY_MS 20
#define RETRIES 50

struct retry {
  struct sockaddr_un addr;
  socklen_t len;
  int left;
};

#ifdef HAVE_SYS_TIMERFD_H
/* False, and errno is as before, if this is not a case for it. */
static bool
retry_later (struct nbd_handle *h, const struct sockaddr *addr, socklen_t len)
{
  const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000L };
  const struct itimerspec timer = { pause, pause };
  int fd;

  if (errno != EAGAIN || addr->sa_family != AF_UNIX ||
      len > sizeof h->retry->addr)
    return false;
  fd = timerfd_create (CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  h->retry = malloc (sizeof *h->retry);
  if (fd == -1 || h->retry == NULL ||
      timerfd_settime (fd, 0, &timer, NULL) == -1) {
    if (fd >= 0)
      close (fd);
    retry_free (h);
    errno = EAGAIN;
    return false;
  }
  memcpy (&h->retry->addr, addr, len);
  h->retry->len = len;
  h->retry->left = RETRIES;
  h->fd = fd;
  debug (h, "connect: the backlog of the server is full");
  return true;
}

static void
retry_progress (struct nbd_handle *h)
{
  struct retry *retry = h->retry;
  uint64_t expirations;
  bool connected;
  int fd;

  if (read (h->fd, &expirations, sizeof expirations) == -1)
    return;                     /* woken too early */
  fd = connect_begin (h, (struct sockaddr *) &retry->addr, retry->len,
                      &connected);
  if (fd == -1 && errno == EAGAIN && --retry->left > 0)
    return;
  if (fd == -1) {
    fail (h, errno, errno == EAGAIN ?
          "connect: the server's queue of connections is full" : "connect");
    return;
  }
  close (h->fd);
  h->fd = fd;
  retry_free (h);
  if (connected && connect_done (h, fd, &socket_transport) == -1)
    fail (h, errno, "fcntl");
}
#else
static bool
retry_later (struct nbd_handle *h, const struct sockaddr *addr, socklen_t len)
{
  (void) h, (void) addr, (void) len;
  return false;
}

static void
retry_progress (struct nbd_handle *h)
{
  (void) h;
}
#endif

void
retry_free (struct nbd_handle *h)
{
  free (h->retry);
  h->retry = NULL;
}

unsigned
connect_direction (const struct nbd_handle *h)
{
  return h->retry || addresses_race (h) ? LIBNBD_AIO_DIRECTION_READ
                                        : LIBNBD_AIO_DIRECTION_WRITE;
}

void
connect_progress (struct nbd_handle *h)
{
  int err, fd = h->fd;

  if (h->addresses) {
    addresses_progress (h);
    return;
  }
  if (h->retry) {
    retry_progress (h);
    return;
  }
  err = connect_result (fd);
  if (err == EINPROGRESS)
    return;                     /* woken too early */
  if (err == 0 && connect_done (h, fd, &socket_transport) == -1)
    err = errno;
  if (err)
    fail (h, err, "connect");
}

int
connect_address (struct nbd_handle *h, const struct sockaddr *addr,
                 socklen_t len)
{
  bool connected;
  int fd = connect_begin (h, addr, len, &connected);

  if (fd == -1 && retry_later (h, addr, len))
    expect (h, STATE_CONNECT, NULL, 0);
  else if (fd == -1)
    fail (h, errno, "connect");
  else if (!connected) {
    h->fd = fd;
    expect (h, STATE_CONNECT, NULL, 0);
  }
  else if (connect_done (h, fd, &socket_transport) == -1) {
    close (fd);
    return -1;
  }
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
  uri_remember_address (h, addr, addrlen);
  return connect_address (h, addr, addrlen);
}

int
connect_unix_name (struct nbd_handle *h, const char *name, size_t n)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  bool abstract = n > 0 && name[0] == '\0';

  /* The longest path has no room for a NUL, nor needs one. */
  if (n > sizeof addr.sun_path) {
    error_set (h, ENAMETOOLONG, "socket name too long: %s",
               abstract ? name + 1 : name);
    return -1;
  }
  uri_remember_unix (h, name, n);
  if (n == 0) {
    /* Nobody is there.  The system would take it for an abstract name of
     * nothing but NULs.
     */
    fail (h, ECONNREFUSED, "connect");
    return -1;
  }
  memcpy (addr.sun_path, name, n);
  /* An abstract name is as long as the address says. */
  return connect_address (h, (struct sockaddr *) &addr, abstract ?
                          offsetof (struct sockaddr_un, sun_path) + n :
                          sizeof addr);
}

/* "@name" is the abstract name "name", as tools print it, unless there is a
 * file of that name.
 */
int
api_aio_connect_unix (struct nbd_handle *h, const char *unixsocket)
{
  size_t n = strlen (unixsocket);
  char name[sizeof ((struct sockaddr_un *) 0)->sun_path];

  if (unixsocket[0] == '@' && n <= sizeof name &&
      access (unixsocket, F_OK) == -1) {
    memcpy (name, unixsocket, n);
    name[0] = '\0';
    return connect_unix_name (h, name, n);
  }
  return connect_unix_name (h, unixsocket, n);
}

int
api_supports_vsock (struct nbd_handle *h)
{
  (void) h;
#ifdef HAVE_LINUX_VM_SOCKETS_H
  return 1;
#else
  return 0;
#endif
}

int
api_aio_connect_vsock (struct nbd_handle *h, uint32_t cid, uint32_t port)
{
#ifdef HAVE_LINUX_VM_SOCKETS_H
  struct sockaddr_vm addr = {
    .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port,
  };

  uri_remember_vsock (h, cid, port);
  return connect_address (h, (struct sockaddr *) &addr, sizeof addr);
#else
  (void) cid, (void) port;
  error_set (h, ENOTSUP, "this system has no vsock");
  return -1;
#endif
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
  uri_parts_free (h);           /* of an earlier attempt */
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
  int r = -1;

  if (started == 0 && transport_wait (h, not_connecting, NULL) == 0) {
    if (handle_phase (h) & (PHASE_CONNECTED | PHASE_NEGOTIATING))
      r = 0;
    else
      error_set (h, ENOTCONN, "the connection ended during negotiation");
  }
  /* No address of the name could be reached: the handle is as good as new. */
  if (r == -1 && h->unreached) {
    expect (h, STATE_START, NULL, 0);
    uri_settings_restore (h);
  }
  h->unreached = false;         /* it says nothing about the next attempt */
  return r;
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
  return wait_connected (h, api_aio_connect_tcp (h, hostname, port));
}

int
api_connect_vsock (struct nbd_handle *h, uint32_t cid, uint32_t port)
{
  return wait_connected (h, api_aio_connect_vsock (h, cid, port));
}

int
api_connect_command (struct nbd_handle *h, char **argv)
{
  return wait_connected (h, api_aio_connect_command (h, argv));
}

int
api_connect_systemd_socket_activation (struct nbd_handle *h, char **argv)
{
  return wait_connected (h, api_aio_connect_systemd_socket_activation (h,
                                                                       argv));
}

int
api_connect_uri (struct nbd_handle *h, const char *uri)
{
  return wait_connected (h, api_aio_connect_uri (h, uri));
}
