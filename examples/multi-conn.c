/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads an export over several connections at once, if the server allows it,
 * and prints how much each of them had to do.
 *
 *   multi-conn SOCKET
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 100M --run 'multi-conn "$unixsocket"'
 *
 * Build: cc multi-conn.c -o multi-conn $(pkg-config --cflags --libs libnbd)
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <libnbd.h>

#define MAX_CONNECTIONS 4
#define PIECE (64 * 1024)

/* What belongs to a handle. */
struct worker {
  size_t number;
  uint64_t bytes;
  uint64_t cookie;              /* of the read in flight; 0: none */
  size_t count;                 /* its bytes */
  unsigned stalls;              /* how often the server did not listen */
  char *buf;                    /* not the worker's own: see attach */
};

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* [nbd_add_close_callback nbd_set_private_data] */
/* nbd_close calls this, and then the free function, before it ends the
 * commands in flight.  So the buffers of these are not part of WORKER.
 */
static int
say_goodbye (void *user_data)
{
  const struct worker *worker = user_data;

  printf ("connection %zu: %" PRIu64 " bytes, %u stalls\n",
          worker->number, worker->bytes, worker->stalls);
  return 0;
}

/* WORKER belongs to the handle from here on, whatever is returned. */
static int
attach (struct nbd_handle *nbd, struct worker *worker)
{
  const nbd_close_callback callback = {
    .callback = say_goodbye, .user_data = worker, .free = free
  };

  if (nbd_add_close_callback (nbd, callback) == -1)
    return library_error ();
  nbd_set_private_data (nbd, (uintptr_t) worker);
  return 0;
}
/* [end] */

static struct nbd_handle *
open_connection (const char *path, size_t number, char *buf)
{
  struct nbd_handle *nbd = nbd_create ();
  struct worker *worker = calloc (1, sizeof *worker);

  if (nbd == NULL) {
    library_error ();
    free (worker);
    return NULL;
  }
  if (worker == NULL) {
    perror ("calloc");
    nbd_close (nbd);
    return NULL;
  }
  worker->number = number;
  worker->buf = buf;
  if (attach (nbd, worker) == -1) {
    nbd_close (nbd);
    return NULL;
  }
  if (nbd_connect_unix (nbd, path) == -1) {
    library_error ();
    nbd_close (nbd);
    return NULL;
  }
  return nbd;
}

/* [nbd_can_multi_conn nbd_is_rotational] */
/* How many connections are of use, as the first of them knows. */
static int
choose_number (struct nbd_handle *nbd)
{
  const int multi = nbd_can_multi_conn (nbd);
  const int rotational = nbd_is_rotational (nbd);

  if (multi == -1 || rotational == -1)
    return library_error ();

  /* Without this promise each connection could have a cache of its
   * own, and not see what was written over another.
   */
  if (!multi)
    return 1;
  /* The heads of a disk should not be moved back and forth. */
  return rotational ? 1 : MAX_CONNECTIONS;
}
/* [end] */

/* [nbd_get_private_data] */
static int
start_read (struct nbd_handle *nbd, uint64_t offset, size_t count)
{
  struct worker *worker = (struct worker *) nbd_get_private_data (nbd);
  int64_t cookie;

  cookie = nbd_aio_pread (nbd, worker->buf, count, offset,
                          NBD_NULL_COMPLETION, 0);
  if (cookie == -1)
    return library_error ();
  worker->cookie = cookie;
  worker->count = count;
  return 0;
}
/* [end] */

/* [nbd_aio_cache] */
/* Have the server fetch what comes next.  That is only a hint, so its
 * outcome is of no interest.
 */
static int
ignore_outcome (void *user_data, int *error)
{
  (void) user_data, (void) error;
  return 1;
}

static int
announce (struct nbd_handle *nbd, uint64_t offset, uint64_t count)
{
  const nbd_completion_callback callback = {
    .callback = ignore_outcome
  };
  const int can_cache = nbd_can_cache (nbd);

  if (can_cache == -1)
    return library_error ();
  if (can_cache &&
      nbd_aio_cache (nbd, count, offset, callback, 0) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_aio_is_processing] */
/* Wait for the read of one connection; those of the others go on. */
static int
finish_read (struct nbd_handle *nbd, struct worker *worker)
{
  int r;

  while ((r = nbd_aio_command_completed (nbd, worker->cookie)) == 0) {
    /* Not even the request is sent: the server is slow to take it. */
    if (nbd_aio_is_processing (nbd))
      worker->stalls++;
    if (nbd_poll (nbd, -1) == -1)
      return library_error ();
  }
  if (r == -1)
    return library_error ();
  worker->bytes += worker->count;
  worker->cookie = 0;
  return 0;
}
/* [end] */

static int
read_export (struct nbd_handle **handles, size_t nr, uint64_t size)
{
  uint64_t offset = 0;

  while (offset < size) {
    /* A round: a piece for each. */
    for (size_t i = 0; i < nr && offset < size; i++) {
      const uint64_t left = size - offset;
      const size_t n = left < PIECE ? left : PIECE;
      const uint64_t next = left - n < PIECE ? left - n : PIECE;

      if (start_read (handles[i], offset, n) == -1)
        return -1;
      offset += n;
      if (next > 0 && announce (handles[i], offset, next) == -1)
        return -1;
    }
    for (size_t i = 0; i < nr; i++) {
      struct worker *worker =
        (struct worker *) nbd_get_private_data (handles[i]);

      if (worker->cookie != 0 && finish_read (handles[i], worker) == -1)
        return -1;
    }
  }
  return 0;
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *handles[MAX_CONNECTIONS] = { NULL };
  static char buffers[MAX_CONNECTIONS][PIECE];
  int status = EXIT_FAILURE;
  int64_t size;
  int nr;

  if (argc != 2) {
    fprintf (stderr, "usage: %s SOCKET\n", argv[0]);
    return EXIT_FAILURE;
  }

  handles[0] = open_connection (argv[1], 0, buffers[0]);
  if (handles[0] == NULL)
    return EXIT_FAILURE;
  nr = choose_number (handles[0]);
  if (nr == -1)
    goto out;
  for (int i = 1; i < nr; i++)
    if ((handles[i] = open_connection (argv[1], i, buffers[i])) == NULL)
      goto out;

  size = nbd_get_size (handles[0]);
  if (size == -1) {
    library_error ();
    goto out;
  }
  if (read_export (handles, nr, size) == -1)
    goto out;
  for (int i = 0; i < nr; i++)
    if (nbd_shutdown (handles[i], 0) == -1) {
      library_error ();
      goto out;
    }
  status = EXIT_SUCCESS;

 out:
  for (size_t i = 0; i < MAX_CONNECTIONS; i++)
    nbd_close (handles[i]);
  return status;
}
