/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Writes a file to the beginning of an export, with up to 16 requests in
 * flight.  Blocks of zeroes are not sent as such, and what the export has
 * beyond the file is given back to the server.
 *
 *   write-image FILE SOCKET
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 1G --run 'write-image disk.img "$unixsocket"'
 *
 * Build: cc write-image.c -o write-image $(pkg-config --cflags --libs libnbd)
 */

#define _FILE_OFFSET_BITS 64

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <libnbd.h>

#define IN_FLIGHT 16
#define BLOCK_SIZE (64 * 1024)

/* Bytes in one trim. */
#define MAX_TRIM (UINT64_C (1) << 30)

/* Here completion is learnt from the cookies of the commands.  The buffer of
 * a write must be left alone as long as its cookie is not 0.
 */
struct slot {
  uint64_t cookie;
  char buf[BLOCK_SIZE];
};

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* [nbd_aio_peek_command_completed] */
/* Retire every command that has completed, whichever it is. */
static int
retire (struct nbd_handle *nbd, struct slot *slots)
{
  int64_t cookie;

  while ((cookie = nbd_aio_peek_command_completed (nbd)) > 0) {
    if (nbd_aio_command_completed (nbd, cookie) == -1)
      return library_error ();
    for (size_t i = 0; i < IN_FLIGHT; i++)
      if (slots[i].cookie == (uint64_t) cookie)
        slots[i].cookie = 0;
  }
  return 0;
}
/* [end] */

/* [nbd_aio_in_flight] */
/* Wait until fewer than LIMIT commands are in flight. */
static int
wait_for_room (struct nbd_handle *nbd, struct slot *slots, int limit)
{
  while (nbd_aio_in_flight (nbd) >= limit)
    if (nbd_poll (nbd, -1) == -1)
      return library_error ();
  return retire (nbd, slots);
}
/* [end] */

/* [nbd_aio_pwrite nbd_aio_zero] */
/* N bytes, which are in the buffer of the slot. */
static int
start_write (struct nbd_handle *nbd, struct slot *slot, size_t n,
             uint64_t offset)
{
  static const char zeroes[BLOCK_SIZE];
  const int can_zero = nbd_can_zero (nbd);
  int64_t cookie;

  if (can_zero == -1)
    return library_error ();
  if (can_zero && memcmp (slot->buf, zeroes, n) == 0)
    cookie = nbd_aio_zero (nbd, n, offset, NBD_NULL_COMPLETION, 0);
  else
    cookie = nbd_aio_pwrite (nbd, slot->buf, n, offset,
                             NBD_NULL_COMPLETION, 0);
  if (cookie == -1)
    return library_error ();
  slot->cookie = cookie;
  return 0;
}
/* [end] */

/* [nbd_aio_trim] */
/* Give up what is between OFFSET and END. */
static int
trim_rest (struct nbd_handle *nbd, struct slot *slots, uint64_t offset,
           uint64_t end)
{
  const int can_trim = nbd_can_trim (nbd);

  if (can_trim == -1)
    return library_error ();
  while (can_trim && offset < end) {
    const uint64_t left = end - offset;
    const uint64_t n = left < MAX_TRIM ? left : MAX_TRIM;

    if (wait_for_room (nbd, slots, IN_FLIGHT) == -1)
      return -1;
    if (nbd_aio_trim (nbd, n, offset, NBD_NULL_COMPLETION, 0) == -1)
      return library_error ();
    offset += n;
  }
  return 0;
}
/* [end] */

/* [nbd_aio_flush] */
/* A flush covers what has completed before it was issued, and so the
 * others are waited for.
 */
static int
flush (struct nbd_handle *nbd, struct slot *slots)
{
  const int can_flush = nbd_can_flush (nbd);

  if (can_flush == -1)
    return library_error ();
  if (wait_for_room (nbd, slots, 1) == -1)
    return -1;
  if (!can_flush)
    return 0;
  if (nbd_aio_flush (nbd, NBD_NULL_COMPLETION, 0) == -1)
    return library_error ();
  return wait_for_room (nbd, slots, 1);
}
/* [end] */

static struct slot *
find_unused (struct slot *slots)
{
  for (size_t i = 0; i < IN_FLIGHT; i++)
    if (slots[i].cookie == 0)
      return &slots[i];
  return NULL;
}

static int
write_file (struct nbd_handle *nbd, struct slot *slots, FILE *fp,
            uint64_t *written)
{
  uint64_t offset = 0;

  for (;;) {
    struct slot *slot;
    size_t n;

    if (wait_for_room (nbd, slots, IN_FLIGHT) == -1)
      return -1;
    slot = find_unused (slots);
    n = fread (slot->buf, 1, BLOCK_SIZE, fp);
    if (n == 0)
      break;
    if (start_write (nbd, slot, n, offset) == -1)
      return -1;
    offset += n;
  }
  if (ferror (fp)) {
    perror ("read");
    return -1;
  }
  *written = offset;
  return 0;
}

static int
write_image (struct nbd_handle *nbd, struct slot *slots, FILE *fp)
{
  const int64_t size = nbd_get_size (nbd);
  uint64_t written = 0;
  off_t length;

  if (size == -1)
    return library_error ();
  if (fseeko (fp, 0, SEEK_END) == -1 || (length = ftello (fp)) == -1 ||
      fseeko (fp, 0, SEEK_SET) == -1) {
    perror ("seek");
    return -1;
  }
  if (length > size) {
    fprintf (stderr, "the file is larger than the export\n");
    return -1;
  }

  if (write_file (nbd, slots, fp, &written) == -1 ||
      trim_rest (nbd, slots, written, size) == -1 ||
      flush (nbd, slots) == -1)
    return -1;
  printf ("%" PRIu64 " bytes written\n", written);
  return 0;
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd = NULL;
  struct slot *slots = NULL;
  FILE *fp;
  int status = EXIT_FAILURE;

  if (argc != 3) {
    fprintf (stderr, "usage: %s FILE SOCKET\n", argv[0]);
    return EXIT_FAILURE;
  }

  fp = fopen (argv[1], "rb");
  if (fp == NULL) {
    perror (argv[1]);
    return EXIT_FAILURE;
  }
  slots = calloc (IN_FLIGHT, sizeof *slots);
  if (slots == NULL) {
    perror ("calloc");
    goto out;
  }
  nbd = nbd_create ();
  if (nbd == NULL || nbd_connect_unix (nbd, argv[2]) == -1) {
    library_error ();
    goto out;
  }
  if (write_image (nbd, slots, fp) == -1)
    goto out;
  if (nbd_shutdown (nbd, 0) == -1) {
    library_error ();
    goto out;
  }
  status = EXIT_SUCCESS;

 out:
  /* Commands that are still in flight end here; their buffers must exist. */
  nbd_close (nbd);
  free (slots);
  fclose (fp);
  return status;
}
