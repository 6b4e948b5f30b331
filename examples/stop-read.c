/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads an export to its end.  SIGINT (control-C) and SIGTERM stop it at once,
 * even while the server does not answer.
 *
 *   stop-read SOCKET
 *
 * With nbdkit as a slow server:
 *
 *   nbdkit -U - --filter=delay memory 1G rdelay=1 \
 *     --run 'stop-read "$unixsocket"'
 *
 * Build: cc stop-read.c -o stop-read $(pkg-config --cflags --libs libnbd)
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include <libnbd.h>

#define PIECE (64 * 1024)

/* A server that says nothing for so long is given up. */
#define TIMEOUT_MS 60000

static int stop_fd = -1;

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* [nbd_poll2] */
/* Another thread or, as here, a signal handler asks for the end. */
static void
ask_to_stop (int signum)
{
  const uint64_t one = 1;
  const int saved = errno;

  (void) signum;
  if (write (stop_fd, &one, sizeof one) == -1) {
    /* It was asked for already. */
  }
  errno = saved;
}

/* 1 when something has happened, 0 to stop, -1 after a message. */
static int
wait_for_event (struct nbd_handle *nbd)
{
  uint64_t asked;

  switch (nbd_poll2 (nbd, stop_fd, TIMEOUT_MS)) {
  case -1:
    return library_error ();
  case 0:
    fprintf (stderr, "the server does not answer\n");
    return -1;
  }
  /* Nobody else reads it, and it does not block. */
  return read (stop_fd, &asked, sizeof asked) == -1;
}
/* [end] */

/* Returns as wait_for_event. */
static int
read_export (struct nbd_handle *nbd, char *buf, uint64_t *offset)
{
  const int64_t size = nbd_get_size (nbd);

  if (size == -1)
    return library_error ();

  while (*offset < (uint64_t) size) {
    const uint64_t left = size - *offset;
    const size_t n = left < PIECE ? left : PIECE;
    int64_t cookie;
    int r;

    cookie = nbd_aio_pread (nbd, buf, n, *offset, NBD_NULL_COMPLETION, 0);
    if (cookie == -1)
      return library_error ();
    while ((r = nbd_aio_command_completed (nbd, cookie)) == 0) {
      r = wait_for_event (nbd);
      if (r != 1)
        return r;
    }
    if (r == -1)
      return library_error ();
    *offset += n;
  }
  return 1;
}

static int
catch_signals (void)
{
  struct sigaction action = { .sa_handler = ask_to_stop };

  stop_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_fd == -1) {
    perror ("eventfd");
    return -1;
  }
  sigemptyset (&action.sa_mask);
  action.sa_flags = SA_RESTART;
  if (sigaction (SIGINT, &action, NULL) == -1 ||
      sigaction (SIGTERM, &action, NULL) == -1) {
    perror ("sigaction");
    return -1;
  }
  return 0;
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd = NULL;
  int status = EXIT_FAILURE;
  uint64_t offset = 0;
  char *buf;

  if (argc != 2) {
    fprintf (stderr, "usage: %s SOCKET\n", argv[0]);
    return EXIT_FAILURE;
  }

  buf = malloc (PIECE);
  if (buf == NULL) {
    perror ("malloc");
    return EXIT_FAILURE;
  }
  if (catch_signals () == -1)
    goto out;

  nbd = nbd_create ();
  if (nbd == NULL || nbd_connect_unix (nbd, argv[1]) == -1) {
    library_error ();
    goto out;
  }
  switch (read_export (nbd, buf, &offset)) {
  case -1:
    goto out;
  case 0:
    fprintf (stderr, "stopped at offset %" PRIu64 "\n", offset);
    goto out;
  }
  printf ("%" PRIu64 " bytes read\n", offset);
  if (nbd_shutdown (nbd, 0) == -1) {
    library_error ();
    goto out;
  }
  status = EXIT_SUCCESS;

 out:
  /* A read that is still in flight ends here; its buffer must exist. */
  nbd_close (nbd);
  free (buf);
  if (stop_fd != -1)
    close (stop_fd);
  return status;
}
