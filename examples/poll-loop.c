/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads two exports at once from a single poll(2) loop of its own, the way a
 * program with a main loop does, and says whether they are the same.
 *
 *   poll-loop SOCKET1 SOCKET2
 *
 * With nbdkit as the servers:
 *
 *   nbdkit -U - pattern 10M --run 'poll-loop "$unixsocket" "$unixsocket"'
 *
 * No call waits here but poll itself.
 *
 * Build: cc poll-loop.c -o poll-loop $(pkg-config --cflags --libs libnbd)
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

#define NR_READERS 2
#define CHUNK (128 * 1024)

/* A server that says nothing for so long is given up. */
#define TIMEOUT_MS 30000

/* One export, read from its start to its end. */
struct reader {
  const char *path;
  struct nbd_handle *nbd;
  bool connected;
  bool leaving;                 /* all is read, the server was told */
  bool done;
  uint64_t size, offset;
  size_t chunk;                 /* bytes to read at once */
  uint64_t cookie;              /* of the read in flight; 0: none */
  size_t count;                 /* its bytes */
  uint64_t hash;                /* of what was read: FNV-1a */
  unsigned char buf[CHUNK];
};

static int
library_error (const struct reader *r)
{
  fprintf (stderr, "%s: %s\n", r->path, nbd_get_error ());
  return -1;
}

static void
hash_bytes (struct reader *r)
{
  for (size_t i = 0; i < r->count; i++)
    r->hash = (r->hash ^ r->buf[i]) * UINT64_C (0x100000001b3);
}

/* [nbd_aio_connect_unix] */
static int
start (struct reader *r, const char *path)
{
  r->path = path;
  r->hash = UINT64_C (0xcbf29ce484222325);
  r->nbd = nbd_create ();
  if (r->nbd == NULL || nbd_aio_connect_unix (r->nbd, path) == -1)
    return library_error (r);
  return 0;
}
/* [end] */

/* [nbd_aio_disconnect] */
/* Issue the next read or, when there is none, the disconnect. */
static int
issue (struct reader *r)
{
  const uint64_t left = r->size - r->offset;
  int64_t cookie;

  if (left == 0) {
    r->leaving = true;
    if (nbd_aio_disconnect (r->nbd, 0) == -1)
      return library_error (r);
    return 0;
  }

  r->count = left < r->chunk ? left : r->chunk;
  cookie = nbd_aio_pread (r->nbd, r->buf, r->count, r->offset,
                          NBD_NULL_COMPLETION, 0);
  if (cookie == -1)
    return library_error (r);
  r->cookie = cookie;
  return 0;
}
/* [end] */

/* The state of the handle may have changed: do what comes next. */
static int
advance (struct reader *r)
{
  if (nbd_aio_is_connecting (r->nbd))
    return 0;

  /* [nbd_aio_command_completed] */
  if (r->cookie != 0) {
    switch (nbd_aio_command_completed (r->nbd, r->cookie)) {
    case 0:
      return 0;
    case -1:
      return library_error (r);
    }
    hash_bytes (r);
    r->offset += r->count;
    r->cookie = 0;
  }
  /* [end] */

  /* [nbd_aio_is_closed nbd_aio_is_dead] */
  if (nbd_aio_is_closed (r->nbd) || nbd_aio_is_dead (r->nbd)) {
    if (!r->leaving) {
      fprintf (stderr, "%s: the server closed the connection\n",
               r->path);
      return -1;
    }
    r->done = true;
    return 0;
  }
  /* [end] */

  if (!r->connected) {
    const int64_t size = nbd_get_size (r->nbd);
    const int64_t maximum = nbd_get_block_size (r->nbd, LIBNBD_SIZE_MAXIMUM);

    if (size == -1 || maximum == -1)
      return library_error (r);
    r->size = size;
    r->chunk = maximum > 0 && maximum < CHUNK ? maximum : CHUNK;
    r->connected = true;
  }
  return r->leaving ? 0 : issue (r);
}

/* [nbd_aio_get_direction nbd_aio_get_fd] */
static void
watch (const struct reader *r, struct pollfd *p)
{
  const unsigned dir = r->done ? 0 : nbd_aio_get_direction (r->nbd);

  p->events = 0;
  if (dir & LIBNBD_AIO_DIRECTION_READ)
    p->events |= POLLIN;
  if (dir & LIBNBD_AIO_DIRECTION_WRITE)
    p->events |= POLLOUT;

  /* A negative descriptor is one that poll ignores. */
  p->fd = dir ? nbd_aio_get_fd (r->nbd) : -1;
  p->revents = 0;
}
/* [end] */

/* [nbd_aio_get_direction nbd_aio_notify_read nbd_aio_notify_write] */
static int
notify (const struct reader *r, const struct pollfd *p)
{
  const unsigned dir = nbd_aio_get_direction (r->nbd);
  const bool failed = p->revents & (POLLHUP | POLLERR | POLLNVAL);
  const bool readable = p->revents & POLLIN || failed;
  const bool writable = p->revents & POLLOUT || failed;

  /* One of the two is enough: reading can change the direction, and
   * what is still to be written comes up again in the next round.
   */
  if (readable && dir & LIBNBD_AIO_DIRECTION_READ)
    return nbd_aio_notify_read (r->nbd);
  if (writable && dir & LIBNBD_AIO_DIRECTION_WRITE)
    return nbd_aio_notify_write (r->nbd);
  return 0;
}
/* [end] */

static int
wait_for_events (struct reader *readers)
{
  struct pollfd fds[NR_READERS];
  int n;

  for (size_t i = 0; i < NR_READERS; i++)
    watch (&readers[i], &fds[i]);

  n = poll (fds, NR_READERS, TIMEOUT_MS);
  if (n == -1) {
    if (errno == EINTR)
      return 0;
    perror ("poll");
    return -1;
  }
  if (n == 0) {
    fprintf (stderr, "no answer for %d seconds\n", TIMEOUT_MS / 1000);
    return -1;
  }

  for (size_t i = 0; i < NR_READERS; i++)
    /* Once a server was told that we leave it may cut the connection. */
    if (fds[i].revents != 0 && notify (&readers[i], &fds[i]) == -1 &&
        !readers[i].leaving)
      return library_error (&readers[i]);
  return 0;
}

static int
read_exports (struct reader *readers)
{
  for (;;) {
    bool done = true;

    for (size_t i = 0; i < NR_READERS; i++) {
      if (!readers[i].done && advance (&readers[i]) == -1)
        return -1;
      done &= readers[i].done;
    }
    if (done)
      return 0;
    if (wait_for_events (readers) == -1)
      return -1;
  }
}

int
main (int argc, char *argv[])
{
  struct reader *readers;
  int status = EXIT_FAILURE;

  if (argc != 1 + NR_READERS) {
    fprintf (stderr, "usage: %s SOCKET1 SOCKET2\n", argv[0]);
    return EXIT_FAILURE;
  }

  readers = calloc (NR_READERS, sizeof *readers);
  if (readers == NULL) {
    perror ("calloc");
    return EXIT_FAILURE;
  }
  for (size_t i = 0; i < NR_READERS; i++)
    if (start (&readers[i], argv[1 + i]) == -1)
      goto out;
  if (read_exports (readers) == -1)
    goto out;

  for (size_t i = 0; i < NR_READERS; i++)
    printf ("%s: %" PRIu64 " bytes, hash %016" PRIx64 "\n", readers[i].path,
            readers[i].size, readers[i].hash);
  printf ("the exports are %s\n",
          readers[0].size == readers[1].size &&
          readers[0].hash == readers[1].hash ? "the same" : "different");
  status = EXIT_SUCCESS;

 out:
  for (size_t i = 0; i < NR_READERS; i++)
    nbd_close (readers[i].nbd);
  free (readers);
  return status;
}
