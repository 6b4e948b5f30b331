/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Counts the bytes of an export that are data, as opposed to holes and zeroes,
 * with up to eight questions to the server in flight.
 *
 *   count-data SOCKET [32|64|filter]
 *
 * The last argument chooses the call with which the server is asked.
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - data data='@0x100000 1*1000000 @0xa00000 2' \
 *     --run 'count-data "$unixsocket"'
 *
 * Build: cc count-data.c -o count-data $(pkg-config --cflags --libs libnbd)
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

#define NR_WINDOWS 8
#define WINDOW (UINT64_C (128) << 20)

/* A part of the export that is asked about. */
struct window {
  uint64_t offset, end;         /* what of it is not known yet */
  uint64_t data;                /* bytes of data that were found */
  bool in_flight;
  int error;
};

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

static void
count_extent (struct window *w, uint64_t length, uint64_t flags)
{
  const uint64_t left = w->end - w->offset;

  /* The last one may reach further than was asked. */
  if (length > left)
    length = left;
  if (!(flags & LIBNBD_STATE_ZERO))
    w->data += length;
  w->offset += length;
}

/* [nbd_aio_block_status] */
/* The entries are pairs of a length and flags. */
static int
extents_received (void *user_data, const char *metacontext,
                  uint64_t offset, uint32_t *entries,
                  size_t nr_entries, int *error)
{
  (void) offset, (void) error;
  if (strcmp (metacontext, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0)
    for (size_t i = 0; i + 1 < nr_entries; i += 2)
      count_extent (user_data, entries[i], entries[i + 1]);
  return 0;
}
/* [end] */

/* [nbd_aio_block_status_64 nbd_aio_block_status_filter] */
static int
extents64_received (void *user_data, const char *metacontext,
                    uint64_t offset, nbd_extent *entries,
                    size_t nr_entries, int *error)
{
  (void) offset, (void) error;
  if (strcmp (metacontext, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0)
    for (size_t i = 0; i < nr_entries; i++)
      count_extent (user_data, entries[i].length, entries[i].flags);
  return 0;
}
/* [end] */

/* [nbd_aio_block_status nbd_aio_block_status_64
    nbd_aio_block_status_filter] */
/* After the last of its extents. */
static int
answer_complete (void *user_data, int *error)
{
  struct window *w = user_data;

  w->in_flight = false;
  w->error = *error;
  return 1;
}
/* [end] */

/* Each of these asks about the rest of a window. */

/* [nbd_aio_block_status] */
static int64_t
ask_32 (struct nbd_handle *nbd, struct window *w)
{
  const nbd_extent_callback extents = {
    .callback = extents_received, .user_data = w
  };
  const nbd_completion_callback complete = {
    .callback = answer_complete, .user_data = w
  };

  w->in_flight = true;
  return nbd_aio_block_status (nbd, w->end - w->offset, w->offset,
                               extents, complete, 0);
}
/* [end] */

/* [nbd_aio_block_status_64] */
static int64_t
ask_64 (struct nbd_handle *nbd, struct window *w)
{
  const nbd_extent64_callback extents = {
    .callback = extents64_received, .user_data = w
  };
  const nbd_completion_callback complete = {
    .callback = answer_complete, .user_data = w
  };

  w->in_flight = true;
  return nbd_aio_block_status_64 (nbd, w->end - w->offset, w->offset,
                                  extents, complete, 0);
}
/* [end] */

/* [nbd_aio_block_status_filter] */
/* Only for a server that nbd_can_block_status_payload is true of. */
static int64_t
ask_filter (struct nbd_handle *nbd, struct window *w)
{
  char context[] = LIBNBD_CONTEXT_BASE_ALLOCATION;
  char *contexts[] = { context, NULL };
  const nbd_extent64_callback extents = {
    .callback = extents64_received, .user_data = w
  };
  const nbd_completion_callback complete = {
    .callback = answer_complete, .user_data = w
  };

  w->in_flight = true;
  return nbd_aio_block_status_filter (nbd, w->end - w->offset,
                                      w->offset, contexts, extents,
                                      complete, 0);
}
/* [end] */

typedef int64_t ask_function (struct nbd_handle *nbd, struct window *w);

/* Look at a window, and have it do what comes next.  1 if it is busy, 0 if
 * there is nothing left for it, -1 after a message.
 */
static int
advance (struct nbd_handle *nbd, struct window *w, uint64_t *next,
         uint64_t size, ask_function *ask)
{
  if (w->in_flight)
    return 1;
  if (w->error) {
    fprintf (stderr, "at offset %" PRIu64 ": %s\n", w->offset,
             strerror (w->error));
    return -1;
  }
  if (w->offset == w->end) {
    if (*next == size)
      return 0;
    w->offset = *next;
    w->end = size - *next < WINDOW ? size : *next + WINDOW;
    *next = w->end;
  }
  /* An answer may be for less than was asked: the rest is asked anew. */
  return ask (nbd, w) == -1 ? library_error () : 1;
}

static int
count_data (struct nbd_handle *nbd, struct window *windows, ask_function *ask)
{
  const int64_t size = nbd_get_size (nbd);
  uint64_t next = 0, data = 0;

  if (size == -1)
    return library_error ();
  for (;;) {
    int busy = 0;

    for (size_t i = 0; i < NR_WINDOWS; i++) {
      const int r = advance (nbd, &windows[i], &next, size, ask);

      if (r == -1)
        return -1;
      busy += r;
    }
    if (busy == 0)
      break;
    if (nbd_poll (nbd, -1) == -1)
      return library_error ();
  }
  for (size_t i = 0; i < NR_WINDOWS; i++)
    data += windows[i].data;
  printf ("%" PRIu64 " of %" PRIi64 " bytes are data\n", data, size);
  return 0;
}

static int
open_export (struct nbd_handle *nbd, const char *path)
{
  int can;

  if (nbd_add_meta_context (nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == -1 ||
      nbd_connect_unix (nbd, path) == -1)
    return library_error ();
  can = nbd_can_meta_context (nbd, LIBNBD_CONTEXT_BASE_ALLOCATION);
  if (can == -1)
    return library_error ();
  if (!can) {
    fprintf (stderr, "%s: the server has no allocation map\n", path);
    return -1;
  }
  return 0;
}

static ask_function *
find_function (const char *name)
{
  if (strcmp (name, "32") == 0)
    return ask_32;
  if (strcmp (name, "64") == 0)
    return ask_64;
  if (strcmp (name, "filter") == 0)
    return ask_filter;
  return NULL;
}

int
main (int argc, char *argv[])
{
  struct window windows[NR_WINDOWS] = { { 0 } };
  ask_function *ask = NULL;
  struct nbd_handle *nbd;
  int status = EXIT_FAILURE;

  if (argc == 2 || argc == 3)
    ask = find_function (argc == 3 ? argv[2] : "64");
  if (ask == NULL) {
    fprintf (stderr, "usage: %s SOCKET [32|64|filter]\n", argv[0]);
    return EXIT_FAILURE;
  }

  nbd = nbd_create ();
  if (nbd == NULL) {
    library_error ();
    return EXIT_FAILURE;
  }
  if (open_export (nbd, argv[1]) == 0 &&
      count_data (nbd, windows, ask) == 0) {
    if (nbd_shutdown (nbd, 0) == -1)
      library_error ();
    else
      status = EXIT_SUCCESS;
  }
  /* Calls the callbacks of what is still in flight. */
  nbd_close (nbd);
  return status;
}
