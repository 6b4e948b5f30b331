/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads an export in a program whose main loop is GLib's, and prints its
 * SHA-256.  A handle becomes a GSource like any other; a timer of the same
 * loop shows the progress.
 *
 *   glib-loop SOCKET
 *
 * Build:
 *   cc glib-loop.c -o glib-loop $(pkg-config --cflags --libs libnbd glib-2.0)
 */

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <libnbd.h>

#define DEPTH 16                /* requests in flight */
#define CHUNK (256 * 1024)
#define PROGRESS_MS 200

/* A GSource that belongs to a handle.  Its callback runs after each event. */
struct nbd_source {
  GSource base;
  struct nbd_handle *nbd;
  gpointer tag;                 /* of the descriptor */
  GIOCondition events;          /* that are waited for */
};

static gboolean
prepare (GSource *base, gint *timeout)
{
  struct nbd_source *s = (struct nbd_source *) base;
  const unsigned dir = nbd_aio_get_direction (s->nbd);
  const GIOCondition events =
    (dir & LIBNBD_AIO_DIRECTION_READ ? G_IO_IN : 0) |
    (dir & LIBNBD_AIO_DIRECTION_WRITE ? G_IO_OUT : 0);

  *timeout = -1;
  /* The connection is over, which the callback should know. */
  if (events == 0)
    return TRUE;
  /* Only if it changes: this call wakes the loop up. */
  if (events != s->events)
    g_source_modify_unix_fd (base, s->tag, events);
  s->events = events;
  return FALSE;
}

static gboolean
check (GSource *base)
{
  struct nbd_source *s = (struct nbd_source *) base;

  return g_source_query_unix_fd (base, s->tag) != 0;
}

static gboolean
dispatch (GSource *base, GSourceFunc callback, gpointer data)
{
  struct nbd_source *s = (struct nbd_source *) base;
  const GIOCondition got = g_source_query_unix_fd (base, s->tag);
  const unsigned dir = nbd_aio_get_direction (s->nbd);

  /* One call handles all that has arrived.  If it fails the handle is dead, as
   * the callback will see.
   */
  if (got & ~G_IO_OUT && dir & LIBNBD_AIO_DIRECTION_READ)
    nbd_aio_notify_read (s->nbd);
  else if (got && dir & LIBNBD_AIO_DIRECTION_WRITE)
    nbd_aio_notify_write (s->nbd);
  return callback (data);
}

/* The handle is connecting, so that it has a descriptor. */
static GSource *
nbd_source_new (struct nbd_handle *nbd)
{
  static GSourceFuncs funcs = {
    .prepare = prepare, .check = check, .dispatch = dispatch,
  };
  GSource *base = g_source_new (&funcs, sizeof (struct nbd_source));
  struct nbd_source *s = (struct nbd_source *) base;

  s->nbd = nbd;
  s->tag = g_source_add_unix_fd (base, nbd_aio_get_fd (nbd), G_IO_ERR);
  return base;
}

/* The reading.  Requests are used in turn, so that the data can be looked at
 * in order: DEPTH chunks, from SUMMED on, are in flight or wait for that.
 */
struct request {
  bool done;
  int error;
  size_t count;
  unsigned char buf[CHUNK];
};

struct job {
  GMainLoop *loop;
  struct nbd_handle *nbd;
  GChecksum *sum;
  bool leaving, failed;
  size_t chunk;                 /* bytes of a request; 0: not connected yet */
  uint64_t size, next, summed;  /* bytes: all, asked for, in the sum */
  struct request requests[DEPTH];
};

static gboolean
fail (struct job *job, const char *why)
{
  fprintf (stderr, "%s\n", why);
  job->failed = true;
  g_main_loop_quit (job->loop);
  return G_SOURCE_REMOVE;
}

/* This runs inside the notification, where the handle must not be used. */
static int
read_done (void *opaque, int *error)
{
  struct request *r = opaque;

  r->done = true;
  r->error = *error;
  return 1;                     /* the command is retired */
}

static int64_t
issue (struct job *job)
{
  struct request *r = &job->requests[job->next / job->chunk % DEPTH];
  const uint64_t offset = job->next;

  r->done = false;
  r->count = MIN (job->size - offset, job->chunk);
  job->next += r->count;
  return nbd_aio_pread (job->nbd, r->buf, r->count, offset,
                        (nbd_completion_callback) { .callback = read_done,
                                                    .user_data = r }, 0);
}

/* Something has happened to the handle: do what comes next. */
static gboolean
advance (gpointer data)
{
  struct job *job = data;
  struct request *r;

  if (nbd_aio_is_closed (job->nbd) || nbd_aio_is_dead (job->nbd)) {
    if (!job->leaving)
      return fail (job, nbd_aio_is_dead (job->nbd) ? nbd_get_error () :
                   "the server has closed the connection");
    g_main_loop_quit (job->loop);
    return G_SOURCE_REMOVE;
  }
  if (nbd_aio_is_connecting (job->nbd) || job->leaving)
    return G_SOURCE_CONTINUE;
  if (job->chunk == 0) {
    const int64_t size = nbd_get_size (job->nbd);
    const int64_t maximum = nbd_get_block_size (job->nbd, LIBNBD_SIZE_MAXIMUM);

    if (size == -1 || maximum == -1)
      return fail (job, nbd_get_error ());
    job->size = size;
    job->chunk = maximum > 0 ? MIN (maximum, CHUNK) : CHUNK;
  }

  while (r = &job->requests[job->summed / job->chunk % DEPTH], r->done) {
    if (r->error)
      return fail (job, g_strerror (r->error));
    g_checksum_update (job->sum, r->buf, r->count);
    job->summed += r->count;
    r->done = false;
  }
  while (job->next < job->size &&
         job->next - job->summed < DEPTH * job->chunk)
    if (issue (job) == -1)
      return fail (job, nbd_get_error ());
  if (job->summed == job->size) {
    if (nbd_aio_disconnect (job->nbd, 0) == -1)
      return fail (job, nbd_get_error ());
    job->leaving = true;
  }
  return G_SOURCE_CONTINUE;
}

static gboolean
show_progress (gpointer data)
{
  const struct job *job = data;

  fprintf (stderr, "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " bytes\n",
           job->summed, job->size);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char *argv[])
{
  struct job *job;
  GSource *source;
  bool failed;

  if (argc != 2) {
    fprintf (stderr, "usage: %s SOCKET\n", argv[0]);
    return EXIT_FAILURE;
  }
  job = g_new0 (struct job, 1);
  job->nbd = nbd_create ();
  if (job->nbd == NULL ||
      nbd_aio_connect_unix (job->nbd, argv[1]) == -1) {
    fprintf (stderr, "%s\n", nbd_get_error ());
    nbd_close (job->nbd);
    g_free (job);
    return EXIT_FAILURE;
  }
  job->loop = g_main_loop_new (NULL, FALSE);
  job->sum = g_checksum_new (G_CHECKSUM_SHA256);
  source = nbd_source_new (job->nbd);
  g_source_set_callback (source, advance, job, NULL);
  g_source_attach (source, NULL);
  g_timeout_add (PROGRESS_MS, show_progress, job);

  g_main_loop_run (job->loop);

  failed = job->failed;
  if (!failed)
    printf ("%s  %" G_GUINT64_FORMAT " bytes\n",
            g_checksum_get_string (job->sum), job->size);
  g_source_destroy (source);    /* no event after this */
  g_source_unref (source);
  nbd_close (job->nbd);
  g_checksum_free (job->sum);
  g_main_loop_unref (job->loop);
  g_free (job);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
