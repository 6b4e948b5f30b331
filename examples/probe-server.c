/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sends requests to a server that it has to refuse, and prints its answers:
 * for those who write servers.
 *
 *   probe-server SOCKET
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 1M --run 'probe-server "$unixsocket"'
 *
 * Build: cc probe-server.c -o probe-server \
 *          $(pkg-config --cflags --libs libnbd)
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

/* A command flag that no version of the protocol has. */
#define UNKNOWN_FLAG (1u << 14)

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* [nbd_get_strict_mode nbd_set_strict_mode] */
/* The library itself refuses what cannot be right.  Switch that off,
 * so that it is left to the server; all other checks stay as they are.
 */
static int
leave_it_to_the_server (struct nbd_handle *nbd)
{
  uint32_t strict = nbd_get_strict_mode (nbd);

  strict &= ~(LIBNBD_STRICT_BOUNDS | LIBNBD_STRICT_FLAGS);
  if (nbd_set_strict_mode (nbd, strict) == -1)
    return library_error ();
  return 0;
}
/* [end] */

static int
try_read (struct nbd_handle *nbd, const char *what, uint64_t offset,
          uint32_t flags)
{
  char buf[512];

  if (nbd_pread (nbd, buf, sizeof buf, offset, flags) == 0) {
    printf ("%s: accepted\n", what);
    return 0;
  }
  /* A refusal is an answer; anything else is the end. */
  if (!nbd_aio_is_ready (nbd))
    return library_error ();
  printf ("%s: refused: %s\n", what, strerror (nbd_get_errno ()));
  return 0;
}

static int
probe (struct nbd_handle *nbd)
{
  const int64_t size = nbd_get_size (nbd);

  if (size == -1)
    return library_error ();
  if (leave_it_to_the_server (nbd) == -1 ||
      try_read (nbd, "read beyond the end", size, 0) == -1 ||
      try_read (nbd, "read with an unknown flag", 0, UNKNOWN_FLAG) == -1)
    return -1;
  if (nbd_shutdown (nbd, 0) == -1)
    return library_error ();
  return 0;
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd;
  int status = EXIT_FAILURE;

  if (argc != 2) {
    fprintf (stderr, "usage: %s SOCKET\n", argv[0]);
    return EXIT_FAILURE;
  }

  nbd = nbd_create ();
  if (nbd == NULL || nbd_connect_unix (nbd, argv[1]) == -1)
    library_error ();
  else if (probe (nbd) == 0)
    status = EXIT_SUCCESS;
  nbd_close (nbd);
  return status;
}
