/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints what the server knows of an export in some meta contexts: what is
 * allocated, which blocks have changed since a backup, and the like.
 *
 *   block-status SOCKET CONTEXT...
 *
 * With qemu-nbd as the server:
 *
 *   qemu-nbd -k nbd.sock -r -B backup1 disk.qcow2 &
 *   block-status nbd.sock base:allocation qemu:dirty-bitmap:backup1
 *
 * Build: cc block-status.c -o block-status \
 *          $(pkg-config --cflags --libs libnbd)
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

/* Asked for in one request: what fits into 32 bits, and is aligned. */
#define WINDOW (UINT64_C (1) << 30)

struct walk {
  char *context;                /* the one that is of interest */
  uint64_t offset;              /* known up to here */
  uint64_t size;                /* of the export */
};

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

static void
print_extent (struct walk *walk, uint64_t length, uint64_t flags)
{
  const uint64_t left = walk->size - walk->offset;

  /* The last one may reach further than was asked. */
  if (length > left)
    length = left;
  if (length > 0)
    printf ("%s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", walk->context,
            walk->offset, length, flags);
  walk->offset += length;
}

/* [nbd_block_status] */
/* The entries are pairs of a length and flags. */
static int
extents_received (void *user_data, const char *metacontext,
                  uint64_t offset, uint32_t *entries,
                  size_t nr_entries, int *error)
{
  struct walk *walk = user_data;

  (void) offset, (void) error;
  if (strcmp (metacontext, walk->context) == 0)
    for (size_t i = 0; i + 1 < nr_entries; i += 2)
      print_extent (walk, entries[i], entries[i + 1]);
  return 0;
}

/* The state from walk->offset on, in each context of the connection.
 */
static int
ask_for_all (struct nbd_handle *nbd, struct walk *walk, uint64_t count)
{
  const nbd_extent_callback callback = {
    .callback = extents_received, .user_data = walk
  };

  if (nbd_block_status (nbd, count, walk->offset, callback, 0) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_block_status_filter] */
static int
extents64_received (void *user_data, const char *metacontext,
                    uint64_t offset, nbd_extent *entries,
                    size_t nr_entries, int *error)
{
  struct walk *walk = user_data;

  (void) metacontext, (void) offset, (void) error;
  for (size_t i = 0; i < nr_entries; i++)
    print_extent (walk, entries[i].length, entries[i].flags);
  return 0;
}

/* The server need not work out the contexts that are not asked for. */
static int
ask_for_one (struct nbd_handle *nbd, struct walk *walk, uint64_t count)
{
  char *contexts[] = { walk->context, NULL };
  const nbd_extent64_callback callback = {
    .callback = extents64_received, .user_data = walk
  };

  if (nbd_block_status_filter (nbd, count, walk->offset, contexts,
                               callback, 0) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_can_block_status_payload] */
static int
walk_context (struct nbd_handle *nbd, struct walk *walk)
{
  const int can_filter = nbd_can_block_status_payload (nbd);

  if (can_filter == -1)
    return library_error ();

  while (walk->offset < walk->size) {
    const uint64_t offset = walk->offset, left = walk->size - offset;
    const uint64_t count = left < WINDOW ? left : WINDOW;

    if ((can_filter ? ask_for_one (nbd, walk, count)
                    : ask_for_all (nbd, walk, count)) == -1)
      return -1;
    if (walk->offset == offset) {
      fprintf (stderr, "no extents at offset %" PRIu64 "\n", offset);
      return -1;
    }
  }
  return 0;
}
/* [end] */

/* [nbd_add_meta_context nbd_can_meta_context] */
/* The contexts must be chosen before the connection is made; what the
 * server does not know it leaves out.
 */
static int
open_export (struct nbd_handle *nbd, const char *path, char **contexts)
{
  for (char **p = contexts; *p; p++)
    if (nbd_add_meta_context (nbd, *p) == -1)
      return library_error ();
  if (nbd_connect_unix (nbd, path) == -1)
    return library_error ();

  for (char **p = contexts; *p; p++) {
    const int can = nbd_can_meta_context (nbd, *p);

    if (can == -1)
      return library_error ();
    if (!can) {
      fprintf (stderr, "%s: the server does not have it\n", *p);
      return -1;
    }
  }
  return 0;
}
/* [end] */

static int
print_status (struct nbd_handle *nbd, char **contexts)
{
  const int64_t size = nbd_get_size (nbd);

  if (size == -1)
    return library_error ();
  for (char **p = contexts; *p; p++) {
    struct walk walk = { .context = *p, .size = size };

    if (walk_context (nbd, &walk) == -1)
      return -1;
  }
  return 0;
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd;
  int status = EXIT_FAILURE;

  if (argc < 3) {
    fprintf (stderr, "usage: %s SOCKET CONTEXT...\n", argv[0]);
    return EXIT_FAILURE;
  }

  nbd = nbd_create ();
  if (nbd == NULL) {
    library_error ();
    return EXIT_FAILURE;
  }
  if (open_export (nbd, argv[1], &argv[2]) == 0 &&
      print_status (nbd, &argv[2]) == 0) {
    if (nbd_shutdown (nbd, 0) == -1)
      library_error ();
    else
      status = EXIT_SUCCESS;
  }
  nbd_close (nbd);
  return status;
}
