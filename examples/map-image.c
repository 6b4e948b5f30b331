/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints which parts of an export hold data, which are holes, and which read
 * as zeroes, over a socket that the program connects itself.
 *
 *   map-image SOCKET
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - data data='@0x100000 1*1000000 @0xa00000 2' \
 *     --run 'map-image "$unixsocket"'
 *
 * Build: cc map-image.c -o map-image $(pkg-config --cflags --libs libnbd)
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <libnbd.h>

/* Asked for in one request.  Without extended headers it must stay below
 * 4 GiB, and a multiple of every block size is always aligned.
 */
#define WINDOW (UINT64_C (1) << 30)

#define STATES (LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO)

struct map {
  uint64_t size;                /* of the export */
  uint64_t known;               /* the state is known up to this offset */
  uint64_t start;               /* of the last area, which may still grow */
  uint64_t flags;               /* its state */
  uint64_t data;                /* bytes of data in the areas before */
};

static const char *
state_name (uint64_t flags)
{
  switch (flags) {
  case 0:
    return "data";
  case LIBNBD_STATE_HOLE:
    return "hole";
  case LIBNBD_STATE_ZERO:
    return "zero";
  default:
    return "hole, zero";
  }
}

static void
end_area (struct map *map)
{
  const uint64_t length = map->known - map->start;

  if (length == 0)
    return;
  printf ("%16" PRIu64 " %16" PRIu64 "  %s\n", map->start, length,
          state_name (map->flags));
  if (map->flags == 0)
    map->data += length;
  map->start = map->known;
}

static void
add_extent (struct map *map, uint64_t length, uint64_t flags)
{
  const uint64_t left = map->size - map->known;

  flags &= STATES;
  if (flags != map->flags) {
    end_area (map);
    map->flags = flags;
  }
  /* The last one may reach further than was asked. */
  map->known += length < left ? length : left;
}

/* [nbd_block_status_64] */
static int
extents_received (void *user_data, const char *metacontext,
                  uint64_t offset, nbd_extent *extents,
                  size_t nr_extents, int *error)
{
  struct map *map = user_data;

  if (strcmp (metacontext, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
    return 0;
  if (offset != map->known) {
    *error = EPROTO;
    return -1;
  }
  for (size_t i = 0; i < nr_extents; i++)
    add_extent (map, extents[i].length, extents[i].flags);
  return 0;
}

static int
read_map (struct nbd_handle *nbd, struct map *map)
{
  while (map->known < map->size) {
    const uint64_t offset = map->known, left = map->size - offset;
    const nbd_extent64_callback callback = {
      .callback = extents_received, .user_data = map
    };

    if (nbd_block_status_64 (nbd, left < WINDOW ? left : WINDOW,
                             offset, callback, 0) == -1) {
      fprintf (stderr, "%s\n", nbd_get_error ());
      return -1;
    }
    /* The server may answer for less than was asked, so the next
     * request starts where the answer ended.
     */
    if (map->known == offset) {
      fprintf (stderr, "no extents at offset %" PRIu64 "\n", offset);
      return -1;
    }
  }
  return 0;
}
/* [end] */

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

/* Connect the handle to PATH.  -1 after a message. */
static int
open_export (struct nbd_handle *nbd, const char *path)
{
  const uint32_t strict = nbd_get_strict_mode (nbd);
  int sock;

  /* The end of an export whose size is no multiple of its block size is asked
   * for as it is; let the server decide.
   */
  if (nbd_set_strict_mode (nbd, strict & ~LIBNBD_STRICT_ALIGN) == -1 ||
      nbd_add_meta_context (nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == -1) {
    fprintf (stderr, "%s\n", nbd_get_error ());
    return -1;
  }

  sock = connect_unix (path);
  if (sock == -1)
    return -1;
  if (nbd_connect_socket (nbd, sock) == -1) {
    fprintf (stderr, "%s\n", nbd_get_error ());
    /* From a handle that is still new the socket has to be taken back. */
    if (nbd_aio_is_created (nbd))
      close (sock);
    return -1;
  }

  switch (nbd_can_meta_context (nbd, LIBNBD_CONTEXT_BASE_ALLOCATION)) {
  case 1:
    return 0;
  case 0:
    fprintf (stderr, "%s: the server has no allocation map\n", path);
    return -1;
  default:
    fprintf (stderr, "%s\n", nbd_get_error ());
    return -1;
  }
}

int
main (int argc, char *argv[])
{
  struct map map = { 0 };
  struct nbd_handle *nbd;
  int64_t size;

  if (argc != 2) {
    fprintf (stderr, "usage: %s SOCKET\n", argv[0]);
    return EXIT_FAILURE;
  }

  nbd = nbd_create ();
  if (nbd == NULL) {
    fprintf (stderr, "%s\n", nbd_get_error ());
    return EXIT_FAILURE;
  }
  if (open_export (nbd, argv[1]) == -1)
    goto error;

  size = nbd_get_size (nbd);
  if (size == -1) {
    fprintf (stderr, "%s\n", nbd_get_error ());
    goto error;
  }
  map.size = size;

  printf ("%16s %16s  %s\n", "offset", "length", "state");
  if (read_map (nbd, &map) == -1)
    goto error;
  end_area (&map);
  printf ("%" PRIu64 " of %" PRIu64 " bytes are data\n", map.data, map.size);

  if (nbd_shutdown (nbd, 0) == -1) {
    fprintf (stderr, "%s\n", nbd_get_error ());
    goto error;
  }
  nbd_close (nbd);
  return EXIT_SUCCESS;

 error:
  nbd_close (nbd);
  return EXIT_FAILURE;
}
