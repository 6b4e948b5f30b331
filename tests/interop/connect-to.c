/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* For scripts: connect, and print what came of it.
 *
 *   connect-to [-a] [-o] [-r BYTES] [-x COMMAND] URI
 *   connect-to [-a] [-o] [-r BYTES] [-x COMMAND] HOST PORT
 *
 * -a connects asynchronously; -o stops in the negotiating state, tells so, and
 * goes on; -r reads so many bytes and prints their sum; -x runs a command
 * while connected, and reads again; if the command fails the handle is closed
 * without a goodbye.  The lines that are printed:
 *
 *   direction: READ | WRITE       of -a, when connecting has begun
 *   pid: PID                      of the subprocess, if there is one
 *   connected                     or: failed: ERRNO TEXT (state STATE)
 *   waited: MILLISECONDS
 *   peer: ADDRESS
 *   uri: URI                      or: uri: none
 *   size: SIZE
 *   text: TEXT                    the first bytes up to a newline
 *   sum: SUM
 *   then: TEXT                    after -x; or: then: failed: ERRNO TEXT
 *   closed
 */

#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "libnbd.h"

static int64_t
now_ms (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
say (const char *name, int64_t v)
{
  printf ("%s: %" PRIi64 "\n", name, v);
}

/* Wait until the handle is connected, negotiating, or neither is to come. */
static int
finish (struct nbd_handle *h, int r)
{
  if (r == 0)
    printf ("direction: %s\n", nbd_aio_get_direction (h) ==
            LIBNBD_AIO_DIRECTION_READ ? "READ" : "WRITE");
  while (r != -1 && nbd_aio_is_connecting (h))
    r = nbd_poll (h, -1);
  return r == -1 ? -1 : 0;
}

static int
connect_it (struct nbd_handle *h, bool async, char **arg)
{
  nbd_set_uri_allow_local_file (h, true);       /* keys for TLS */
  if (arg[1])
    return async ? finish (h, nbd_aio_connect_tcp (h, arg[0], arg[1]))
                 : nbd_connect_tcp (h, arg[0], arg[1]);
  return async ? finish (h, nbd_aio_connect_uri (h, arg[0]))
               : nbd_connect_uri (h, arg[0]);
}

static void
failed (struct nbd_handle *h, const char *prefix)
{
  printf ("%sfailed: %d %s (state %.*s)\n", prefix, nbd_get_errno (),
          nbd_get_error (), (int) strcspn (nbd_connection_state (h), ":"),
          nbd_connection_state (h));
}

static void
print_peer (struct nbd_handle *h)
{
  struct sockaddr_storage addr;
  socklen_t len = sizeof addr;
  char host[NI_MAXHOST];

  if (getpeername (nbd_aio_get_fd (h), (struct sockaddr *) &addr, &len) == 0 &&
      addr.ss_family != AF_UNIX &&
      getnameinfo ((struct sockaddr *) &addr, len, host, sizeof host, NULL, 0,
                   NI_NUMERICHOST) == 0)
    printf ("peer: %s\n", host);
}

/* The first line of the export. */
static int
print_text (struct nbd_handle *h, const char *name)
{
  char buf[512] = "";
  int64_t size = nbd_get_size (h);

  if (size == -1 ||
      nbd_pread (h, buf, size < 511 ? size : 511, 0, 0) == -1)
    return -1;
  printf ("%s: %.*s\n", name, (int) strcspn (buf, "\n"), buf);
  return 0;
}

static int
print_sum (struct nbd_handle *h, size_t n)
{
  unsigned char *buf = malloc (n);
  uint64_t sum = 0;

  if (buf == NULL || nbd_pread (h, buf, n, 0, 0) == -1) {
    free (buf);
    return -1;
  }
  for (size_t i = 0; i < n; i++)
    sum += (uint64_t) buf[i] * (i % 251 + 1);
  say ("sum", sum);
  free (buf);
  return 0;
}

static int
use (struct nbd_handle *h, size_t n, const char *command)
{
  char *uri = nbd_get_uri (h);

  print_peer (h);
  printf ("uri: %s\n", uri ? uri : "none");
  free (uri);
  say ("size", nbd_get_size (h));
  if (print_text (h, "text") == -1 || (n > 0 && print_sum (h, n) == -1)) {
    failed (h, "");
    return -1;
  }
  if (command) {
    fflush (stdout);
    if (system (command) != 0)
      return -1;
    if (print_text (h, "then") == -1)
      failed (h, "then: ");
    fflush (stdout);
  }
  return nbd_aio_is_ready (h) ? nbd_shutdown (h, 0) : 0;
}

int
main (int argc, char **argv)
{
  struct nbd_handle *h = nbd_create ();
  bool async = false, opt_mode = false;
  const char *command = NULL;
  size_t bytes = 0;
  int64_t start, pid;
  int c, r;

  while ((c = getopt (argc, argv, "aor:x:")) != -1)
    switch (c) {
    case 'a':
      async = true;
      break;
    case 'o':
      opt_mode = true;
      break;
    case 'r':
      bytes = atol (optarg);
      break;
    case 'x':
      command = optarg;
      break;
    default:
      return 2;
    }
  if (h == NULL || argc - optind < 1 || argc - optind > 2)
    return 2;
  if (nbd_set_opt_mode (h, opt_mode) == -1)
    return 2;
  alarm (120);
  start = now_ms ();
  r = connect_it (h, async, argv + optind);
  if (r == -1)
    failed (h, "");
  else {
    pid = nbd_get_subprocess_pid (h);
    if (pid > 0)
      say ("pid", pid);
    if (opt_mode) {
      printf ("negotiating: %d\n", nbd_aio_is_negotiating (h));
      r = nbd_opt_go (h);
      if (r == -1)
        failed (h, "");
    }
  }
  if (r == 0) {
    printf ("connected\n");
    say ("waited", now_ms () - start);
    r = use (h, bytes, command);
  }
  nbd_close (h);
  printf ("closed\n");
  return r == 0 ? 0 : 1;
}
