/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A server that has every feature of the protocol, extended headers and the
 * filter of block status among them, on a Unix domain socket.
 *
 *   extended-server SOCKET PIDFILE
 *
 * It listens when the program returns, serves one client after the other in
 * the background, and ends after five minutes if nobody ends it before.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "server.h"

static void
fail (const char *what)
{
  perror (what);
  exit (1);
}

static int
listen_on (const char *path)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  int sock = socket (AF_UNIX, SOCK_STREAM, 0);

  strncpy (addr.sun_path, path, sizeof addr.sun_path - 1);
  if (sock == -1 ||
      bind (sock, (struct sockaddr *) &addr, sizeof addr) == -1 ||
      listen (sock, 16) == -1)
    fail (path);
  return sock;
}

/* Send what the server has to say beyond SAID. */
static bool
say (int fd, const struct server *s, size_t *said)
{
  while (*said < s->out.n) {
    ssize_t n = send (fd, s->out.p + *said, s->out.n - *said, MSG_NOSIGNAL);

    if (n == -1)
      return false;
    *said += n;
  }
  return true;
}

static void
serve (int fd)
{
  struct server *s = server_new (&everything);
  size_t said = 0;
  char buf[65536];
  ssize_t n;

  while (say (fd, s, &said) && !s->ended &&
         (n = recv (fd, buf, sizeof buf, 0)) > 0)
    server_take (s, buf, n);
  server_free (s);
  close (fd);
}

int
main (int argc, char *argv[])
{
  int sock, fd;
  pid_t pid;
  FILE *fp;

  if (argc != 3) {
    fprintf (stderr, "usage: %s SOCKET PIDFILE\n", argv[0]);
    return 1;
  }
  sock = listen_on (argv[1]);
  fp = fopen (argv[2], "w");
  if (fp == NULL)
    fail (argv[2]);

  pid = fork ();
  if (pid == -1)
    fail ("fork");
  if (pid > 0) {
    fprintf (fp, "%d\n", (int) pid);
    return fclose (fp) == EOF;
  }

  fclose (fp);
  alarm (300);
  while ((fd = accept (sock, NULL, NULL)) != -1)
    serve (fd);
  return 1;
}
