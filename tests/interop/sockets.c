/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sockets that the caller gives to the library: who owns them, and when.  What
 * is no connected stream socket stays with the caller, untouched, and the
 * handle stays new.  What is one belongs to the library, which closes it once.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

/* Both functions that take a socket. */
static const struct taker {
  const char *name;
  int (*take) (struct nbd_handle *h, int fd);
} takers[] = {
  { "nbd_connect_socket", nbd_connect_socket },
  { "nbd_aio_connect_socket", nbd_aio_connect_socket },
};

#define NR_TAKERS (sizeof takers / sizeof takers[0])

static bool
is_open (int fd)
{
  return fcntl (fd, F_GETFD) != -1;
}

/* Connect the handle, which must be as good as new. */
static void
use_handle (struct nbd_handle *h, const struct server *s, const char *what)
{
  char buf[512];

  is_int (nbd_aio_is_created (h), 1, "%s: the handle is still created", what);
  is_int (server_connect (s, h), 0, "%s: and can be connected", what);
  is_int (nbd_pread (h, buf, sizeof buf, 0, 0), 0, "%s: and read from", what);
  disconnect (h);
}

static void
refuse (const struct server *s, int fd, int errnum, const char *what)
{
  for (size_t i = 0; i < NR_TAKERS; i++) {
    struct nbd_handle *h = new_handle ();
    int fd_flags = fcntl (fd, F_GETFD), flags = fcntl (fd, F_GETFL);
    char name[128];

    snprintf (name, sizeof name, "%s: %s", takers[i].name, what);
    for (int again = 0; again < 2; again++) {
      is_int (takers[i].take (h, fd), -1, "%s is refused", name);
      is_int (nbd_get_errno (), errnum, "%s: %s", name, strerror (errnum));
      ok (nbd_get_error () &&
          strncmp (nbd_get_error (), takers[i].name,
                   strlen (takers[i].name)) == 0,
          "%s: the error names the function", name);
      is_int (nbd_aio_get_fd (h), -1, "%s: the handle does not have it", name);
    }
    is_int (fcntl (fd, F_GETFD), fd_flags, "%s: it is open or not as before",
            name);
    is_int (fcntl (fd, F_GETFL), flags, "%s: and its flags are", name);
    use_handle (h, s, name);
    is_int (fcntl (fd, F_GETFD), fd_flags,
            "%s: closing the handle leaves it alone", name);
  }
}

/* What is no socket. */
static void
check_not_sockets (const struct server *s)
{
  char *path = temp_path ("file"), c = 0;
  int fds[2], fd;

  refuse (s, -1, EBADF, "-1");
  fd = dup (0);
  MUST (fd);
  close (fd);
  refuse (s, fd, EBADF, "a closed descriptor");

  MUST (pipe (fds));
  refuse (s, fds[0], ENOTSOCK, "the reading end of a pipe");
  refuse (s, fds[1], ENOTSOCK, "the writing end of a pipe");
  ok (write (fds[1], "x", 1) == 1 && read (fds[0], &c, 1) == 1 && c == 'x',
      "the pipe still works");
  close (fds[0]);
  close (fds[1]);

  fd = open (path, O_RDWR | O_CREAT, 0600);
  MUST (fd);
  MUST_BE (write (fd, "content", 7) == 7);
  refuse (s, fd, ENOTSOCK, "a file");
  ok (pread (fd, &c, 1, 3) == 1 && c == 't', "the file can still be read");
  is_int (lseek (fd, 0, SEEK_CUR), 7, "and nothing has been read from it");
  close (fd);

  fd = open ("/dev/null", O_RDWR);
  MUST (fd);
  refuse (s, fd, ENOTSOCK, "/dev/null");
  close (fd);
  free (path);
}

/* A socket bound to a free port of 127.0.0.1. */
static int
bound_socket (int type, struct sockaddr_in *addr)
{
  socklen_t len = sizeof *addr;
  int fd = socket (AF_INET, type, 0);

  MUST (fd);
  *addr = (struct sockaddr_in) { .sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  MUST (bind (fd, (struct sockaddr *) addr, len));
  MUST (getsockname (fd, (struct sockaddr *) addr, &len));
  return fd;
}

/* Sockets that cannot be used. */
static void
check_wrong_sockets (const struct server *s, const struct server *tcp)
{
  struct sockaddr_storage server_addr;
  struct sockaddr_in addr, other_addr;
  socklen_t len = server_address (tcp, &server_addr);
  struct nbd_handle *h = new_handle ();
  int fd, fd2, pair[2];
  char c = 0;

  fd = socket (AF_INET, SOCK_STREAM, 0);
  MUST (fd);
  refuse (s, fd, ENOTCONN, "an unconnected TCP socket");
  is_int (connect (fd, (struct sockaddr *) &server_addr, len), 0,
          "then it can be connected");
  is_int (nbd_connect_socket (h, fd), 0, "and used");
  disconnect (h);
  ok (!is_open (fd), "and is closed with the handle");

  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  MUST (fd);
  refuse (s, fd, ENOTCONN, "an unconnected Unix socket");
  close (fd);

  fd = bound_socket (SOCK_STREAM, &addr);
  MUST (listen (fd, 5));
  refuse (s, fd, ENOTCONN, "a listening socket");
  fd2 = socket (AF_INET, SOCK_STREAM, 0);
  MUST (fd2);
  is_int (connect (fd2, (struct sockaddr *) &addr, sizeof addr), 0,
          "it can still be connected to");
  pair[0] = accept (fd, NULL, NULL);
  ok (pair[0] != -1, "and accept");
  close (pair[0]);
  close (fd2);
  close (fd);

  fd = bound_socket (SOCK_DGRAM, &addr);
  fd2 = bound_socket (SOCK_DGRAM, &other_addr);
  refuse (s, fd, ENOTCONN, "an unconnected UDP socket");
  MUST (connect (fd2, (struct sockaddr *) &addr, sizeof addr));
  refuse (s, fd2, EPROTOTYPE, "a connected UDP socket");
  ok (send (fd2, "x", 1, 0) == 1 && recv (fd, &c, 1, 0) == 1 && c == 'x',
      "they can still be used");
  close (fd);
  close (fd2);

  MUST (socketpair (AF_UNIX, SOCK_DGRAM, 0, pair));
  refuse (s, pair[0], EPROTOTYPE, "a datagram socket of a pair");
  c = 0;
  ok (send (pair[0], "x", 1, 0) == 1 && recv (pair[1], &c, 1, 0) == 1 &&
      c == 'x', "the pair can still be used");
  close (pair[0]);
  close (pair[1]);

  MUST (socketpair (AF_UNIX, SOCK_SEQPACKET, 0, pair));
  refuse (s, pair[0], EPROTOTYPE, "a packet socket of a pair");
  close (pair[0]);
  close (pair[1]);
}

static int
nodelay (int fd)
{
  int v = -1;
  socklen_t len = sizeof v;

  MUST (getsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &v, &len));
  return !!v;
}

/* Sockets that can be used: blocking or not, inheritable or not. */
static void
check_good_sockets (const struct server *s, const char *transport, bool tcp)
{
  for (size_t i = 0; i < NR_TAKERS; i++)
    for (int flags = 0; flags < 4; flags++) {
      struct nbd_handle *h = new_handle ();
      int fd = server_socket (s);
      char name[128], buf[512];

      snprintf (name, sizeof name, "%s: %s, %s, %s", takers[i].name,
                transport, flags & 1 ? "non-blocking" : "blocking",
                flags & 2 ? "close-on-exec" : "inheritable");
      MUST (fcntl (fd, F_SETFL, flags & 1 ? O_NONBLOCK : 0));
      MUST (fcntl (fd, F_SETFD, flags & 2 ? FD_CLOEXEC : 0));
      is_int (takers[i].take (h, fd), 0, "%s: is accepted", name);
      is_int (nbd_aio_get_fd (h), fd, "%s: the handle has it", name);
      is_int (fcntl (fd, F_GETFD), FD_CLOEXEC,
              "%s: it will not be inherited", name);
      if (tcp)
        is_int (nodelay (fd), 0, "%s: its options are the caller's", name);
      while (nbd_aio_is_connecting (h))
        MUST (nbd_poll (h, -1));
      is_int (nbd_pread (h, buf, sizeof buf, 0, 0), 0, "%s: it is used",
              name);

      /* A handle that is connected takes no other. */
      if (flags == 0) {
        int other = server_socket (s);
        int other_flags;
        struct nbd_handle *h2 = new_handle ();

        MUST (fcntl (other, F_SETFD, 0));
        other_flags = fcntl (other, F_GETFL);
        is_int (takers[i].take (h, other), -1, "%s: another is not", name);
        is_int (nbd_get_errno (), EINVAL, "%s: because of the state", name);
        is_int (fcntl (other, F_GETFD), 0, "%s: that stays open", name);
        is_int (fcntl (other, F_GETFL), other_flags, "%s: and as it was",
                name);
        is_int (nbd_connect_socket (h2, other), 0,
                "%s: another handle can use it", name);
        disconnect (h2);
        ok (!is_open (other), "%s: and close it", name);
      }

      if (flags & 1) {
        MUST (nbd_shutdown (h, 0));
        ok (!is_open (fd), "%s: nbd_shutdown closes it", name);
      }
      nbd_close (h);
      ok (!is_open (fd), "%s: it is closed with the handle", name);
    }
}

/* Sockets that the library makes itself. */
static void
check_own_sockets (const struct server *s, const struct server *tcp)
{
  struct nbd_handle *h = connected (s);
  int fd = nbd_aio_get_fd (h);

  is_int (fcntl (fd, F_GETFD), FD_CLOEXEC,
          "a Unix socket of the library is not inherited");
  disconnect (h);
  ok (!is_open (fd), "and is closed in the end");
  h = connected (tcp);
  fd = nbd_aio_get_fd (h);
  is_int (fcntl (fd, F_GETFD), FD_CLOEXEC,
          "a TCP socket of the library is not inherited");
  is_int (nodelay (fd), 1, "and does not wait for more to send");
  disconnect (h);
  ok (!is_open (fd), "and is closed in the end");
}

/* Once it is taken, a socket on which the handshake fails is closed at once,
 * and not a second time when the number is another's.
 */
static void
check_bad_peer (const struct taker *taker, const char *greeting, size_t n,
                bool hang_up, const char *what)
{
  struct nbd_handle *h = new_handle ();
  int pair[2], r, fd;

  MUST (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  MUST_BE (send (pair[1], greeting, n, MSG_NOSIGNAL) == (ssize_t) n);
  if (hang_up)
    close (pair[1]);
  r = taker->take (h, pair[0]);
  while (r != -1 && nbd_aio_is_connecting (h))
    r = nbd_poll (h, -1);
  is_int (r, -1, "%s: %s fails", taker->name, what);
  is_int (nbd_aio_is_dead (h), 1, "%s: %s: the handle is dead", taker->name,
          what);
  ok (!is_open (pair[0]), "%s: %s: the socket is closed", taker->name, what);
  is_int (nbd_aio_get_fd (h), -1, "%s: %s: the handle has none", taker->name,
          what);
  fd = dup (0);
  MUST (fd);
  if (fd != pair[0])
    MUST (dup2 (fd, pair[0]));
  nbd_close (h);
  ok (is_open (pair[0]), "%s: %s: it is closed once", taker->name, what);
  if (fd != pair[0])
    close (fd);
  close (pair[0]);
  if (!hang_up)
    close (pair[1]);
}

/* A peer that says nothing, and a program that gives up. */
static void
check_silent_peer (void)
{
  struct nbd_handle *h = new_handle ();
  int pair[2];
  char c;

  MUST (socketpair (AF_UNIX, SOCK_STREAM, 0, pair));
  is_int (nbd_aio_connect_socket (h, pair[0]), 0,
          "a silent peer: the handshake is begun");
  is_int (fcntl (pair[0], F_GETFD), FD_CLOEXEC,
          "a silent peer: the socket will not be inherited");
  is_int (nbd_aio_is_connecting (h), 1, "a silent peer: it is not over");
  is_int (nbd_poll (h, 0), 0, "a silent peer: nothing happens");
  nbd_close (h);
  ok (!is_open (pair[0]), "a silent peer: the socket is closed");
  is_int (recv (pair[1], &c, 1, 0), 0, "a silent peer: which it can see");
  close (pair[1]);
}

int
main (void)
{
  static const char half[] = "NBDMAGIC";
  static const char garbage[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
  static const char other[] = "NBDMAGICOTHERMAGIC";
  static const char greeting[] = "NBDMAGICIHAVEOPT\0\3";
  struct server *s, *tcp;

  server_require ("nbdkit", "--version", NULL);
  tap_begin ();
  s = server_start (SERVER_UNIX, "nbdkit", "memory", "1M", NULL);
  tcp = server_start (SERVER_IPV4, "nbdkit", "memory", "1M", NULL);
  check_not_sockets (s);
  check_wrong_sockets (s, tcp);
  check_good_sockets (s, "Unix", false);
  check_good_sockets (tcp, "TCP", true);
  check_own_sockets (s, tcp);
  for (size_t i = 0; i < NR_TAKERS; i++) {
    const struct taker *t = &takers[i];

    check_bad_peer (t, garbage, sizeof garbage - 1, false, "garbage");
    check_bad_peer (t, other, sizeof other - 1, false, "another protocol");
    check_bad_peer (t, "", 0, true, "a closed connection");
    check_bad_peer (t, half, sizeof half - 1, true, "half a greeting");
    check_bad_peer (t, greeting, sizeof greeting - 1, true,
                    "a greeting and no more");
  }
  check_silent_peer ();
  server_stop (s);
  server_stop (tcp);
  return tap_end ();
}
