/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The shortest way to use the library: every call waits until it is done.
 * Connects to the server on a Unix domain socket, prints the size of the
 * export and its first sector in hexadecimal.
 *
 *   simple-read SOCKET
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - data data='"hello" @0x1fe 0x55 0xAA' size=1M \
 *     --run 'simple-read "$unixsocket"'
 *
 * Build: cc simple-read.c -o simple-read $(pkg-config --cflags --libs libnbd)
 */

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <libnbd.h>

#define SECTOR 512

static void
print_hex (const unsigned char *p, size_t n)
{
  for (size_t i = 0; i < n; i += 16) {
    printf ("%04zx:", i);
    for (size_t j = i; j < i + 16; j++) {
      if (j < n)
        printf (" %02x", p[j]);
      else
        printf ("   ");
    }
    printf ("  ");
    for (size_t j = i; j < i + 16 && j < n; j++)
      putchar (isprint (p[j]) ? p[j] : '.');
    putchar ('\n');
  }
}

int
main (int argc, char *argv[])
{
  unsigned char sector[SECTOR];
  struct nbd_handle *nbd;
  size_t count = SECTOR;
  int64_t size;

  if (argc != 2) {
    fprintf (stderr, "usage: %s SOCKET\n", argv[0]);
    return EXIT_FAILURE;
  }

  /* [nbd_connect_unix nbd_create nbd_get_error nbd_get_size] */
  nbd = nbd_create ();
  if (nbd == NULL || nbd_connect_unix (nbd, argv[1]) == -1)
    goto error;

  size = nbd_get_size (nbd);
  if (size == -1)
    goto error;
  printf ("size: %" PRIi64 " bytes\n", size);
  /* [end] */

  /* [nbd_pread] */
  /* A read beyond the end would be refused. */
  if (size < SECTOR)
    count = size;
  if (count > 0) {
    if (nbd_pread (nbd, sector, count, 0, 0) == -1)
      goto error;
    print_hex (sector, count);
  }
  /* [end] */

  /* [nbd_close nbd_shutdown] */
  /* Tell the server that we leave. */
  if (nbd_shutdown (nbd, 0) == -1)
    goto error;
  nbd_close (nbd);
  return EXIT_SUCCESS;
  /* [end] */

  /* [nbd_close nbd_create nbd_get_error nbd_shutdown] */
 error:
  fprintf (stderr, "%s\n", nbd_get_error ());
  nbd_close (nbd);
  return EXIT_FAILURE;
  /* [end] */
}
