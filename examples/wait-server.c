/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Waits until a server is up: tries to connect until it can, or until some
 * seconds are over, or until there is an error that time does not mend.
 *
 *   wait-server SOCKET SECONDS
 *
 * With nbdkit as a server that takes its time:
 *
 *   (sleep 5; nbdkit -U nbd.sock memory 1M) &
 *   wait-server nbd.sock 10
 *
 * Build: cc wait-server.c -o wait-server $(pkg-config --cflags --libs libnbd)
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libnbd.h>

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

static double
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

/* [nbd_get_errno] */
/* 1 if there is a server, 0 if not yet, -1 after a message. */
static int
try_once (const char *path)
{
  /* A handle connects only once: each attempt needs its own. */
  struct nbd_handle *nbd = nbd_create ();
  int r = 1;

  if (nbd == NULL)
    return library_error ();
  if (nbd_connect_unix (nbd, path) == -1) {
    switch (nbd_get_errno ()) {
    case ENOENT:
    case ECONNREFUSED:
      r = 0;
      break;
    default:
      r = library_error ();
    }
  }
  else if (nbd_shutdown (nbd, 0) == -1)
    r = library_error ();
  nbd_close (nbd);
  return r;
}
/* [end] */

int
main (int argc, char *argv[])
{
  const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
  double end;
  int r;

  if (argc != 3 || !isdigit ((unsigned char) argv[2][0])) {
    fprintf (stderr, "usage: %s SOCKET SECONDS\n", argv[0]);
    return EXIT_FAILURE;
  }

  end = now () + atoi (argv[2]);
  while ((r = try_once (argv[1])) == 0 && now () < end)
    nanosleep (&pause, NULL);
  if (r == 0)
    fprintf (stderr, "%s: there is no server, last of all: %s\n", argv[1],
             nbd_get_error ());
  if (r != 1)
    return EXIT_FAILURE;
  printf ("%s: the server is up\n", argv[1]);
  return EXIT_SUCCESS;
}
