/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connecting to a subprocess: one that speaks NBD on its standard input and
 * output, or one that is handed a listening socket as systemd does it.
 */

#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"
#include "call.h"

int
api_aio_connect_command (struct nbd_handle *h, char **argv)
{
  struct spawn s = {
    .argv = argv, .stdio_fd = -1, .null_fd = -1, .listen_fd = -1,
  };
  int fds[2], r;

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1) {
    error_set (h, errno, "socketpair");
    return -1;
  }
  uri_parts_free (h);           /* of an earlier attempt */
  s.stdio_fd = fds[1];
  r = subprocess_start (h, &s);
  close (fds[1]);
  if (r == -1 || connect_done (h, fds[0], &socket_transport) == -1) {
    close (fds[0]);
    return -1;
  }
  return transport_move (h, RECEIVE_ARRIVED);
}

/* A socket that listens in a folder of its own. */
struct listener {
  char dir[32];
  struct sockaddr_un addr;
  int fd;
};

static int
listener_open (struct listener *l)
{
  strcpy (l->dir, "/tmp/libnbdXXXXXX");
  l->fd = -1;
  if (mkdtemp (l->dir) == NULL) {
    l->dir[0] = '\0';
    return -1;
  }
  l->addr = (struct sockaddr_un) { .sun_family = AF_UNIX };
  snprintf (l->addr.sun_path, sizeof l->addr.sun_path, "%s/sock", l->dir);
  l->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (l->fd == -1 ||
      bind (l->fd, (struct sockaddr *) &l->addr, sizeof l->addr) == -1 ||
      listen (l->fd, 1) == -1)
    return -1;
  return 0;
}

/* Nobody needs the name once we are connected. */
static void
listener_close (struct listener *l)
{
  int err = errno;

  if (l->fd >= 0)
    close (l->fd);
  if (l->dir[0]) {
    unlink (l->addr.sun_path);
    rmdir (l->dir);
  }
  errno = err;
}

int
api_aio_connect_systemd_socket_activation (struct nbd_handle *h, char **argv)
{
  struct spawn s = { .argv = argv, .stdio_fd = -1, .null_fd = -1 };
  const char *name = h->socket_activation_name;
  struct listener l;
  int r = -1;

  if (listener_open (&l) == -1) {
    error_set (h, errno, "cannot make a socket in /tmp");
    goto out;
  }
  s.null_fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  if (s.null_fd == -1) {
    error_set (h, errno, "/dev/null");
    goto out;
  }
  uri_parts_free (h);           /* of an earlier attempt */
  s.listen_fd = l.fd;
  s.listen_name = name && *name ? name : "unknown";
  if (subprocess_start (h, &s) == -1)
    goto out;
  /* The socket listens already, so this does not wait for the server. */
  r = connect_address (h, (struct sockaddr *) &l.addr, sizeof l.addr);
 out:
  if (s.null_fd >= 0)
    close (s.null_fd);
  listener_close (&l);
  return r;
}

int
api_set_socket_activation_name (struct nbd_handle *h, const char *socket_name)
{
  size_t n = strlen (socket_name);

  if (n > 32) {
    error_set (h, ENAMETOOLONG, "socket activation name is longer than 32");
    return -1;
  }
  for (size_t i = 0; i < n; i++)
    if (!isascii ((unsigned char) socket_name[i]) ||
        !isalnum ((unsigned char) socket_name[i])) {
      error_set (h, EINVAL, "socket activation name may hold letters and "
                 "digits only: %s", socket_name);
      return -1;
    }
  return call_set_string (h, &h->socket_activation_name, socket_name);
}
