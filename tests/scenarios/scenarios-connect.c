/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sources of a connection, and how they fail. */

#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "scenario.h"

/* Sockets of the caller's that cannot be used. */

static void
try_socket (int fd)
{
  create ();
  CALL (nbd_connect_socket (h, fd));
  status ();
  show_fd ("the descriptor", fd);
  finish ();
  show_fd ("after nbd_close the descriptor", fd);
  close (fd);
}

static void
try_aio_socket (int fd)
{
  create ();
  CALL (nbd_aio_connect_socket (h, fd));
  status ();
  show_fd ("the descriptor", fd);
  finish ();
  close (fd);
}

SCENARIO (fd_minus, "connect/socket: -1")
{
  create ();
  CALL (nbd_connect_socket (h, -1));
  CALL (nbd_aio_connect_socket (h, -1));
  status ();
}

SCENARIO (fd_closed, "connect/socket: a descriptor that is not open")
{
  create ();
  CALL (nbd_connect_socket (h, 9999));
  CALL (nbd_aio_connect_socket (h, 9999));
}

SCENARIO (fd_again, "connect/socket: a good one after a bad one")
{
  create ();
  CALL (nbd_connect_socket (h, -1));
  CONNECT (SIMPLE, SERVE);
  status ();
}

SCENARIO (fd_pipe, "connect/socket: a pipe")
{
  int fds[2];

  if (pipe (fds) == -1)
    abort ();
  try_socket (fds[0]);
  close (fds[1]);
}

SCENARIO (fd_aio_pipe, "connect/socket: a pipe, asynchronously")
{
  int fds[2];

  if (pipe (fds) == -1)
    abort ();
  try_aio_socket (fds[0]);
  close (fds[1]);
}

SCENARIO (fd_file, "connect/socket: a file")
{
  try_socket (open ("file", O_RDWR | O_CREAT, 0600));
}

SCENARIO (fd_null, "connect/socket: /dev/null")
{
  try_socket (open ("/dev/null", O_RDWR));
}

SCENARIO (fd_tcp, "connect/socket: a TCP socket that is not connected")
{
  try_socket (socket (AF_INET, SOCK_STREAM, 0));
}

SCENARIO (fd_listening, "connect/socket: a TCP socket that listens")
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);

  if (listen (fd, 1) == -1)
    abort ();
  try_socket (fd);
}

SCENARIO (fd_unix, "connect/socket: a Unix socket that is not connected")
{
  try_socket (socket (AF_UNIX, SOCK_STREAM, 0));
}

SCENARIO (fd_garbage, "connect/socket: the descriptor of a dead connection")
{
  CONNECT (SEND ("x16:00"));
  show_fd ("the descriptor", sock);
  CALL (nbd_aio_get_fd (h));
}

SCENARIO (fd_flags, "connect/socket: flags of the descriptor")
{
  SCRIPT (SIMPLE, SERVE);
  say ("close-on-exec %d", fcntl (sock, F_GETFD) & FD_CLOEXEC);
  nbd_connect_socket (h, sock);
  say ("close-on-exec %d", fcntl (sock, F_GETFD) & FD_CLOEXEC);
}

SCENARIO (fd_nonblocking, "connect/socket: one that does not block")
{
  SCRIPT (SIMPLE, SERVE);
  fcntl (sock, F_SETFL, O_NONBLOCK);
  CALL (nbd_connect_socket (h, sock));
  CALL (nbd_flush (h, 0));
}

SCENARIO (fd_used, "connect/socket: while there is a connection")
{
  int pair[2];

  PLAY (SIMPLE, SERVE);
  if (socketpair (AF_UNIX, SOCK_STREAM, 0, pair) == -1)
    abort ();
  CALL (nbd_connect_socket (h, pair[0]));
  show_fd ("the descriptor", pair[0]);
  close (pair[0]);
  close (pair[1]);
}

SCENARIO (twice, "connect/a handle cannot connect twice")
{
  PLAY (SIMPLE, SERVE);
  nbd_shutdown (h, 0);
  CALL (nbd_connect_unix (h, "nowhere"));
  CALL (nbd_aio_connect_tcp (h, "127.0.0.1", "1"));
}

/* Unix domain sockets. */

SCENARIO (unix_ok, "connect/unix")
{
  LISTEN_UNIX ("sock", SIMPLE, SERVE);
  CALL (nbd_connect_unix (h, "sock"));
  say ("close-on-exec %d", fcntl (nbd_aio_get_fd (h), F_GETFD) & FD_CLOEXEC);
  CALL (nbd_flush (h, 0));
  CALL (nbd_shutdown (h, 0));
}

#define UNIX_FAILS(id, text, setup, path)                       \
  SCENARIO (id, "connect/unix: " text)                          \
  {                                                             \
    setup;                                                      \
    create ();                                                  \
    CALL (nbd_connect_unix (h, path));                          \
    finish ();                                                  \
    create ();                                                  \
    CALL (nbd_aio_connect_unix (h, path));                      \
    status ();                                                  \
    while (nbd_aio_is_connecting (h))                           \
      if (nbd_poll (h, -1) == -1) {                             \
        show_error ();                                          \
        break;                                                  \
      }                                                         \
  }

static void
make_file (void)
{
  close (open ("file", O_RDWR | O_CREAT, 0600));
}

/* A socket of TYPE that is bound to "sock". */
static void
make_socket (int type)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "sock" };
  int fd = socket (AF_UNIX, type | SOCK_CLOEXEC, 0);

  if (bind (fd, (struct sockaddr *) &addr, sizeof addr) == -1)
    abort ();
}

UNIX_FAILS (unix_missing, "no such file", , "nowhere")
UNIX_FAILS (unix_directory, "a folder", mkdir ("folder", 0700), "folder")
UNIX_FAILS (unix_file, "a file", make_file (), "file")
UNIX_FAILS (unix_below_file, "below a file", make_file (), "file/sock")
UNIX_FAILS (unix_bound, "nobody listens", make_socket (SOCK_STREAM), "sock")
UNIX_FAILS (unix_datagram, "a datagram socket", make_socket (SOCK_DGRAM),
            "sock")
UNIX_FAILS (unix_empty, "an empty name", , "")

/* The path has N bytes. */
static void
try_long_path (size_t n)
{
  char path[200] = "";

  memset (path, 'p', n);
  create ();
  CALL (nbd_connect_unix (h, path));
  status ();
  CALL (nbd_aio_connect_unix (h, path));
}

SCENARIO (unix_107, "connect/unix: a path of 107 bytes")
{
  try_long_path (107);
}

SCENARIO (unix_108, "connect/unix: a path of 108 bytes")
{
  try_long_path (108);
}

SCENARIO (unix_109, "connect/unix: a path of 109 bytes")
{
  try_long_path (109);
}

SCENARIO (unix_retry, "connect/unix: after a path that is too long")
{
  char path[200] = "";

  LISTEN_UNIX ("sock", SIMPLE, SERVE);
  memset (path, 'p', 150);
  CALL (nbd_connect_unix (h, path));
  CALL (nbd_connect_unix (h, "sock"));
}

SCENARIO (unix_garbage, "connect/unix: another protocol")
{
  LISTEN_UNIX ("sock", SEND ("'SSH-2.0-OpenSSH' 0d 0a"), WAIT);
  CALL (nbd_connect_unix (h, "sock"));
}

SCENARIO (unix_closed, "connect/unix: closed at once")
{
  LISTEN_UNIX ("sock", CLOSE);
  CALL (nbd_connect_unix (h, "sock"));
}

SCENARIO (unix_steps, "connect/unix: step by step")
{
  LISTEN_UNIX ("sock", WAIT, SEND (GREETING), QUIET (CLIENT_FLAGS), SERVE);
  CALL (nbd_aio_connect_unix (h, "sock"));
  while (nbd_aio_get_direction (h) == LIBNBD_AIO_DIRECTION_WRITE)
    nbd_poll (h, -1);
  status ();
  release ();
  while (nbd_aio_is_connecting (h))
    nbd_poll (h, -1);
  status ();
}

/* TCP. */

SCENARIO (tcp_ok, "connect/tcp")
{
  int v = -1;
  socklen_t len = sizeof v;

  LISTEN_TCP (SIMPLE, SERVE);
  CALL (nbd_connect_tcp (h, "127.0.0.1", port));
  getsockopt (nbd_aio_get_fd (h), IPPROTO_TCP, TCP_NODELAY, &v, &len);
  say ("TCP_NODELAY %d, close-on-exec %d", !!v,
       fcntl (nbd_aio_get_fd (h), F_GETFD) & FD_CLOEXEC);
  getsockopt (nbd_aio_get_fd (h), SOL_SOCKET, SO_KEEPALIVE, &v, &len);
  say ("SO_KEEPALIVE %d", !!v);
  CALL (nbd_pread (h, buf, 512, 0, 0));
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (tcp_localhost, "connect/tcp: a name")
{
  LISTEN_TCP (SIMPLE, SERVE);
  CALL (nbd_connect_tcp (h, "localhost", port));
}

SCENARIO (tcp_aio, "connect/tcp: asynchronously")
{
  LISTEN_TCP (SIMPLE, SERVE);
  CALL (nbd_aio_connect_tcp (h, "127.0.0.1", port));
  while (nbd_aio_is_connecting (h))
    if (nbd_poll (h, -1) == -1) {
      show_error ();
      break;
    }
  status ();
}

SCENARIO (tcp_refused, "connect/tcp: refused")
{
  unused_port ();
  create ();
  CALL (nbd_connect_tcp (h, "127.0.0.1", port));
  status ();
}

SCENARIO (tcp_refused_name, "connect/tcp: refused, by name")
{
  unused_port ();
  create ();
  CALL (nbd_connect_tcp (h, "localhost", port));
}

SCENARIO (tcp_again, "connect/tcp: again after it was refused")
{
  unused_port ();
  create ();
  CALL (nbd_connect_tcp (h, "127.0.0.1", port));
  status ();
  LISTEN_TCP (SIMPLE, SERVE);
  CALL (nbd_connect_tcp (h, "127.0.0.1", port));
  status ();
}

SCENARIO (tcp_service, "connect/tcp: an unknown service")
{
  create ();
  CALL (nbd_connect_tcp (h, "127.0.0.1", "no-such-service"));
  status ();
  CALL (nbd_aio_connect_tcp (h, "127.0.0.1", "no-such-service"));
  status ();
}

SCENARIO (tcp_bad_address, "connect/tcp: a host that is none")
{
  create ();
  CALL (nbd_connect_tcp (h, "300.300.300.300.", "1"));
  status ();
}

SCENARIO (tcp_unreachable, "connect/tcp: an address that cannot be reached")
{
  create ();
  CALL (nbd_connect_tcp (h, "255.255.255.255", "1"));
  status ();
}

SCENARIO (tcp_garbage, "connect/tcp: another protocol")
{
  LISTEN_TCP (SEND ("x16:00"), WAIT);
  CALL (nbd_connect_tcp (h, "127.0.0.1", port));
  status ();
}

SCENARIO (tcp_closed, "connect/tcp: closed at once")
{
  LISTEN_TCP (CLOSE);
  CALL (nbd_connect_tcp (h, "127.0.0.1", port));
  status ();
}

/* Addresses. */

static int
connect_address (const struct sockaddr *addr, socklen_t len)
{
  return nbd_aio_connect (h, addr, len);
}

static void
await_connection (void)
{
  while (nbd_aio_is_connecting (h))
    if (nbd_poll (h, -1) == -1) {
      show_error ();
      break;
    }
  status ();
}

SCENARIO (address_unix, "connect/address: Unix")
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "sock" };

  LISTEN_UNIX ("sock", SIMPLE, SERVE);
  CALL (connect_address ((struct sockaddr *) &addr, sizeof addr));
  await_connection ();
}

SCENARIO (address_short, "connect/address: Unix, only as long as needed")
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "sock" };

  LISTEN_UNIX ("sock", SIMPLE, SERVE);
  CALL (connect_address ((struct sockaddr *) &addr,
                         offsetof (struct sockaddr_un, sun_path) + 5));
  await_connection ();
}

SCENARIO (address_tcp, "connect/address: TCP")
{
  struct sockaddr_in addr = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };

  LISTEN_TCP (SIMPLE, SERVE);
  addr.sin_port = htons (atoi (port));
  CALL (connect_address ((struct sockaddr *) &addr, sizeof addr));
  await_connection ();
}

SCENARIO (address_refused, "connect/address: Unix, nobody there")
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "nowhere" };

  create ();
  CALL (connect_address ((struct sockaddr *) &addr, sizeof addr));
  status ();
}

SCENARIO (address_family, "connect/address: an unknown family")
{
  struct sockaddr_un addr = { .sun_family = 99 };

  create ();
  CALL (connect_address ((struct sockaddr *) &addr, sizeof addr));
  status ();
}

SCENARIO (address_tiny, "connect/address: two bytes")
{
  struct sockaddr_in addr = { .sin_family = AF_INET };

  create ();
  CALL (connect_address ((struct sockaddr *) &addr, 2));
  status ();
}

SCENARIO (address_empty, "connect/address: no bytes")
{
  struct sockaddr_in addr = { .sin_family = AF_INET };

  create ();
  CALL (connect_address ((struct sockaddr *) &addr, 0));
  status ();
}
