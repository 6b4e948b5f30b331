/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connects from a virtual machine to a server on its host, or from a host to
 * one in a virtual machine, and prints the size of the export.
 *
 *   connect-vsock CID PORT
 *
 * The host is always CID 2.  With nbdkit as the server there:
 *
 *   nbdkit --vsock memory 1M
 *
 * Build: cc connect-vsock.c -o connect-vsock \
 *          $(pkg-config --cflags --libs libnbd)
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <libnbd.h>

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

static int
parse_number (const char *arg, uint32_t *number)
{
  char *end;
  unsigned long n;

  errno = 0;
  n = strtoul (arg, &end, 10);
  if (end == arg || *end != '\0' || errno != 0 || n > UINT32_MAX) {
    fprintf (stderr, "%s: not a number of 32 bits\n", arg);
    return -1;
  }
  *number = n;
  return 0;
}

/* [nbd_connect_vsock] */
static int
connect_vsock (struct nbd_handle *nbd, uint32_t cid, uint32_t port)
{
  if (!nbd_supports_vsock (nbd)) {
    fprintf (stderr, "the library was built without vsock\n");
    return -1;
  }
  if (nbd_connect_vsock (nbd, cid, port) == -1)
    return library_error ();
  return 0;
}
/* [end] */

static int
use_export (struct nbd_handle *nbd)
{
  const int64_t size = nbd_get_size (nbd);

  if (size == -1)
    return library_error ();
  printf ("size: %" PRIi64 " bytes\n", size);
  if (nbd_shutdown (nbd, 0) == -1)
    return library_error ();
  return 0;
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd;
  uint32_t cid, port;
  int status = EXIT_FAILURE;

  if (argc != 3) {
    fprintf (stderr, "usage: %s CID PORT\n", argv[0]);
    return EXIT_FAILURE;
  }
  if (parse_number (argv[1], &cid) == -1 ||
      parse_number (argv[2], &port) == -1)
    return EXIT_FAILURE;

  nbd = nbd_create ();
  if (nbd == NULL) {
    library_error ();
    return EXIT_FAILURE;
  }
  if (connect_vsock (nbd, cid, port) == 0 && use_export (nbd) == 0)
    status = EXIT_SUCCESS;
  nbd_close (nbd);
  return status;
}
