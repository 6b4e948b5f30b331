/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Writes a block at an offset, flushes, reads it back and compares.  In the
 * end the block has its old content again.
 *
 *   write-block SOCKET OFFSET
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 1M --run 'write-block "$unixsocket" 65536'
 *
 * Build: cc write-block.c -o write-block $(pkg-config --cflags --libs libnbd)
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <libnbd.h>

/* The largest minimum that a server can ask for. */
#define MAX_BLOCK 65536

/* Returns a connected socket, or -1 after a message. */
static int
connect_unix (const char *path)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  int sock;

  if (strlen (path) >= sizeof addr.sun_path) {
    fprintf (stderr, "%s: %s\n", path, strerror (ENAMETOOLONG));
    return -1;
  }
  strcpy (addr.sun_path, path);

  sock = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (sock == -1) {
    perror ("socket");
    return -1;
  }
  if (connect (sock, (struct sockaddr *) &addr, sizeof addr) == -1) {
    perror (path);
    close (sock);
    return -1;
  }
  return sock;
}

static int
parse_offset (const char *arg, uint64_t *offset)
{
  char *end;

  errno = 0;
  *offset = strtoull (arg, &end, 0);
  /* The function would take a sign and leading blanks as well. */
  if (!isdigit ((unsigned char) arg[0]) || *end != '\0' || errno != 0) {
    fprintf (stderr, "%s: not an offset in bytes\n", arg);
    return -1;
  }
  return 0;
}

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* [nbd_can_flush nbd_flush nbd_pwrite] */
/* Write BLOCK and see that the server has it. */
static int
write_and_check (struct nbd_handle *nbd, const unsigned char *block,
                 size_t count, uint64_t offset)
{
  unsigned char back[MAX_BLOCK];
  const int can_flush = nbd_can_flush (nbd);

  if (can_flush == -1)
    return library_error ();
  if (nbd_pwrite (nbd, block, count, offset, 0) == -1)
    return library_error ();

  /* Only what was flushed is sure to survive a crash of the server. */
  if (can_flush && nbd_flush (nbd, 0) == -1)
    return library_error ();

  if (nbd_pread (nbd, back, count, offset, 0) == -1)
    return library_error ();
  if (memcmp (back, block, count) != 0) {
    fprintf (stderr, "the server returned something else\n");
    return -1;
  }
  return 0;
}
/* [end] */

/* [nbd_is_read_only] */
static int
check_writable (struct nbd_handle *nbd)
{
  const int read_only = nbd_is_read_only (nbd);

  if (read_only == -1)
    return library_error ();
  if (read_only) {
    fprintf (stderr, "the export is read-only\n");
    return -1;
  }
  return 0;
}
/* [end] */

static int
try_block (struct nbd_handle *nbd, uint64_t offset)
{
  unsigned char old[MAX_BLOCK], block[MAX_BLOCK];
  const int64_t minimum = nbd_get_block_size (nbd, LIBNBD_SIZE_MINIMUM);
  size_t count = 512;
  int r;

  if (minimum == -1)
    return library_error ();
  if ((size_t) minimum > count)
    count = minimum;

  if (nbd_pread (nbd, old, count, offset, 0) == -1)
    return library_error ();
  printf ("read the old %zu bytes at offset %" PRIu64 "\n", count, offset);

  /* Every byte differs from the old one. */
  for (size_t i = 0; i < count; i++)
    block[i] = ~old[i];
  r = write_and_check (nbd, block, count, offset);
  if (r == 0)
    printf ("wrote new ones, flushed, and read the same back\n");

  /* Put the old content back even if the new one did not arrive whole. */
  if (write_and_check (nbd, old, count, offset) == -1) {
    fprintf (stderr, "the old content could not be restored\n");
    return -1;
  }
  printf ("restored the old content\n");
  return r;
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd;
  uint64_t offset;
  int sock;

  if (argc != 3) {
    fprintf (stderr, "usage: %s SOCKET OFFSET\n", argv[0]);
    return EXIT_FAILURE;
  }
  if (parse_offset (argv[2], &offset) == -1)
    return EXIT_FAILURE;
  sock = connect_unix (argv[1]);
  if (sock == -1)
    return EXIT_FAILURE;

  nbd = nbd_create ();
  if (nbd == NULL) {
    library_error ();
    close (sock);
    return EXIT_FAILURE;
  }
  if (nbd_connect_socket (nbd, sock) == -1) {
    library_error ();
    /* From a handle that is still new the socket has to be taken back. */
    if (nbd_aio_is_created (nbd))
      close (sock);
    goto error;
  }

  if (check_writable (nbd) == -1 || try_block (nbd, offset) == -1)
    goto error;
  if (nbd_shutdown (nbd, 0) == -1) {
    library_error ();
    goto error;
  }
  nbd_close (nbd);
  return EXIT_SUCCESS;

 error:
  nbd_close (nbd);
  return EXIT_FAILURE;
}
