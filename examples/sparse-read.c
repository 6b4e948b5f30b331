/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads an export and prints which parts of it the server sent as data and
 * which it only named as holes.
 *
 *   sparse-read [-a|-d] SOCKET
 *
 * -a: with the asynchronous call.  -d: each answer is to be in one piece.
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - data data='1 @0x100000 2' --run 'sparse-read "$unixsocket"'
 *
 * Build: cc sparse-read.c -o sparse-read $(pkg-config --cflags --libs libnbd)
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

/* Bytes read at once. */
#define PIECE (256 * 1024)

struct totals {
  uint64_t data, holes;
};

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* [nbd_get_pread_initialize nbd_set_pread_initialize] */
/* The buffer is never looked at after an error, and need not be zeroed
 * before each read.
 */
static int
leave_buffer_alone (struct nbd_handle *nbd)
{
  int zeroed;

  if (nbd_set_pread_initialize (nbd, false) == -1)
    return library_error ();
  zeroed = nbd_get_pread_initialize (nbd);
  if (zeroed == -1)
    return library_error ();
  printf ("buffer: %s before each read\n",
          zeroed ? "zeroed" : "left as it is");
  return 0;
}
/* [end] */

/* [nbd_aio_pread_structured nbd_pread_structured] */
/* Called for each chunk, in the order of the server.  SUBBUF is the
 * place in the buffer of the call where the chunk lies, a hole as
 * zeroes.
 */
static int
chunk_received (void *user_data, const void *subbuf, size_t count,
                uint64_t offset, unsigned status, int *error)
{
  struct totals *totals = user_data;

  (void) subbuf, (void) error;
  if (status == LIBNBD_READ_DATA)
    totals->data += count;
  else if (status == LIBNBD_READ_HOLE)
    totals->holes += count;
  else
    fprintf (stderr, "bad from offset %" PRIu64 "\n", offset);
  return 0;
}
/* [end] */

/* [nbd_can_df nbd_pread_structured] */
static int
read_piece (struct nbd_handle *nbd, char *buf, size_t count,
            uint64_t offset, bool whole, struct totals *totals)
{
  const nbd_chunk_callback callback = {
    .callback = chunk_received, .user_data = totals
  };
  const int can = nbd_can_df (nbd);

  if (can == -1)
    return library_error ();
  if (whole && !can) {
    fprintf (stderr, "the server does not promise whole answers\n");
    return -1;
  }
  if (nbd_pread_structured (nbd, buf, count, offset, callback,
                            whole ? LIBNBD_CMD_FLAG_DF : 0) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_aio_pread_structured] */
static int
read_piece_async (struct nbd_handle *nbd, char *buf, size_t count,
                  uint64_t offset, struct totals *totals)
{
  const nbd_chunk_callback callback = {
    .callback = chunk_received, .user_data = totals
  };
  int64_t cookie;
  int r;

  cookie = nbd_aio_pread_structured (nbd, buf, count, offset, callback,
                                     NBD_NULL_COMPLETION, 0);
  if (cookie == -1)
    return library_error ();
  while ((r = nbd_aio_command_completed (nbd, cookie)) == 0)
    if (nbd_poll (nbd, -1) == -1)
      return library_error ();
  return r == -1 ? library_error () : 0;
}
/* [end] */

static int
read_export (struct nbd_handle *nbd, char *buf, bool async, bool whole)
{
  const int64_t size = nbd_get_size (nbd);
  struct totals totals = { 0 };

  if (size == -1)
    return library_error ();
  for (int64_t offset = 0; offset < size; offset += PIECE) {
    const size_t n = size - offset < PIECE ? size - offset : PIECE;

    if (async) {
      if (read_piece_async (nbd, buf, n, offset, &totals) == -1)
        return -1;
    }
    else if (read_piece (nbd, buf, n, offset, whole, &totals) == -1)
      return -1;
  }
  printf ("data: %" PRIu64 " bytes\n", totals.data);
  printf ("holes: %" PRIu64 " bytes\n", totals.holes);
  return 0;
}

int
main (int argc, char *argv[])
{
  const bool async = argc > 1 && strcmp (argv[1], "-a") == 0;
  const bool whole = argc > 1 && strcmp (argv[1], "-d") == 0;
  struct nbd_handle *nbd = NULL;
  int status = EXIT_FAILURE;
  char *buf;

  if (argc != 2 + (async || whole)) {
    fprintf (stderr, "usage: %s [-a|-d] SOCKET\n", argv[0]);
    return EXIT_FAILURE;
  }

  buf = malloc (PIECE);
  if (buf == NULL) {
    perror ("malloc");
    return EXIT_FAILURE;
  }
  nbd = nbd_create ();
  if (nbd == NULL || nbd_connect_unix (nbd, argv[argc - 1]) == -1)
    library_error ();
  else if (leave_buffer_alone (nbd) == 0 &&
           read_export (nbd, buf, async, whole) == 0) {
    if (nbd_shutdown (nbd, 0) == -1)
      library_error ();
    else
      status = EXIT_SUCCESS;
  }
  nbd_close (nbd);
  free (buf);
  return status;
}
