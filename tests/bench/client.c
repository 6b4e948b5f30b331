/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One case of the benchmark, with whichever libnbd.so.0 is loaded:
 *
 *   client URI OPERATION SIZE DEPTH COUNT [HANDLES [THREADS]]
 *
 * runs OPERATION until COUNT of them have completed, with DEPTH in flight on
 * each of HANDLES connections, all in one thread or in THREADS of them, and
 * prints what was done, in which time:
 *
 *   COUNT SECONDS CPU-SECONDS
 *
 * It uses only functions that 1.14 has.
 */

#include "config.h"

#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libnbd.h"
#include "measure.h"

struct job {
  struct nbd_handle *h;
  const struct operation *operation;
  struct slot *slots, *idle;
  size_t size;
  uint64_t offset, export_size;
  unsigned long depth, wanted, issued, completed;
};

struct slot {
  struct job *job;
  struct slot *next;
  char *buffer;
};

struct operation {
  const char *name;
  /* Keep DEPTH in flight, or run the whole by itself. */
  int64_t (*issue) (struct slot *slot, nbd_completion_callback cb);
  void (*run) (struct job *job);
};

static const char *uri;

static void
die (const char *what)
{
  fprintf (stderr, "client: %s: %s\n", what, nbd_get_error ());
  exit (1);
}

static struct nbd_handle *
open_handle (void)
{
  struct nbd_handle *h = nbd_create ();

  if (h == NULL)
    die ("nbd_create");
  if (nbd_set_uri_allow_local_file (h, true) == -1 ||
      nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION) == -1 ||
      nbd_connect_uri (h, uri) == -1)
    die (uri);
  return h;
}

static void
close_handle (struct nbd_handle *h)
{
  nbd_shutdown (h, 0);
  nbd_close (h);
}

static uint64_t
next_offset (struct job *job)
{
  uint64_t offset = job->offset;

  job->offset += job->size;
  if (job->offset + job->size > job->export_size)
    job->offset = 0;
  return offset;
}

/* Asynchronous requests. */

static int
complete (void *opaque, int *error)
{
  struct slot *slot = opaque;

  if (*error) {
    fprintf (stderr, "client: a request failed: %s\n", strerror (*error));
    exit (1);
  }
  slot->job->completed++;
  slot->next = slot->job->idle;
  slot->job->idle = slot;
  return 1;
}

static int
count_extents (void *opaque, const char *context, uint64_t offset,
               uint32_t *entries, size_t nr_entries, int *error)
{
  (void) context;
  (void) offset;
  (void) entries;
  (void) error;
  *(size_t *) opaque += nr_entries / 2;
  return 0;
}

static int64_t
issue_read (struct slot *slot, nbd_completion_callback cb)
{
  return nbd_aio_pread (slot->job->h, slot->buffer, slot->job->size,
                        next_offset (slot->job), cb, 0);
}

static int64_t
issue_write (struct slot *slot, nbd_completion_callback cb)
{
  return nbd_aio_pwrite (slot->job->h, slot->buffer, slot->job->size,
                         next_offset (slot->job), cb, 0);
}

/* Issue what is idle. */
static void
issue_all (struct job *job)
{
  while (job->idle && job->issued < job->wanted) {
    struct slot *slot = job->idle;

    job->idle = slot->next;
    job->issued++;
    if (job->operation->issue (slot, (nbd_completion_callback) {
          .callback = complete, .user_data = slot }) == -1)
      die ("cannot issue");
  }
}

static void
run_asynchronous (struct job *job)
{
  while (job->completed < job->wanted) {
    issue_all (job);
    if (nbd_poll (job->h, -1) == -1)
      die ("nbd_poll");
  }
}

/* Several handles in one thread. */
static void
run_together (struct job *jobs, size_t n)
{
  struct pollfd *fds = calloc (n, sizeof *fds);
  size_t running = n;

  while (fds && running > 0) {
    running = 0;
    for (size_t i = 0; i < n; i++) {
      unsigned direction;

      issue_all (&jobs[i]);
      direction = nbd_aio_get_direction (jobs[i].h);
      fds[i].fd = jobs[i].completed < jobs[i].wanted ?
        nbd_aio_get_fd (jobs[i].h) : -1;
      fds[i].events =
        (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
        (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0);
      running += fds[i].fd >= 0;
    }
    if (running > 0 && poll (fds, n, -1) == -1)
      die ("poll");
    for (size_t i = 0; i < n; i++)
      if (fds[i].fd >= 0 &&
          ((fds[i].revents & POLLIN &&
            nbd_aio_notify_read (jobs[i].h) == -1) ||
           (fds[i].revents & POLLOUT &&
            nbd_aio_get_direction (jobs[i].h) & LIBNBD_AIO_DIRECTION_WRITE &&
            nbd_aio_notify_write (jobs[i].h) == -1)))
        die ("notify");
  }
  free (fds);
}

/* Synchronous calls. */

static void
run_pread (struct job *job)
{
  for (; job->completed < job->wanted; job->completed++)
    if (nbd_pread (job->h, job->slots->buffer, job->size, next_offset (job),
                   0) == -1)
      die ("nbd_pread");
}

static void
run_pwrite (struct job *job)
{
  for (; job->completed < job->wanted; job->completed++)
    if (nbd_pwrite (job->h, job->slots->buffer, job->size, next_offset (job),
                    0) == -1)
      die ("nbd_pwrite");
}

static void
run_status (struct job *job)
{
  size_t extents = 0;

  for (; job->completed < job->wanted; job->completed++)
    if (nbd_block_status (job->h, 1 << 30, 0, (nbd_extent_callback) {
          .callback = count_extents, .user_data = &extents }, 0) == -1)
      die ("nbd_block_status");
  if (extents == 0)
    die ("no extents");
}

static void
run_connect (struct job *job)
{
  for (; job->completed < job->wanted; job->completed++)
    close_handle (open_handle ());
}

static const struct operation operations[] = {
  { .name = "read", .issue = issue_read },
  { .name = "write", .issue = issue_write },
  { .name = "pread", .run = run_pread },
  { .name = "pwrite", .run = run_pwrite },
  { .name = "status", .run = run_status },
  { .name = "connect", .run = run_connect },
};

static void
run (struct job *job)
{
  if (job->operation->run)
    job->operation->run (job);
  else
    run_asynchronous (job);
}

static void *
run_thread (void *arg)
{
  run (arg);
  return NULL;
}

static void
run_all (struct job *jobs, size_t handles, size_t threads,
         unsigned long count)
{
  pthread_t ids[64];

  for (size_t i = 0; i < handles; i++) {
    jobs[i].wanted = count / handles;
    jobs[i].issued = jobs[i].completed = 0;
  }
  if (threads > 1) {
    for (size_t i = 0; i < handles; i++)
      if (pthread_create (&ids[i], NULL, run_thread, &jobs[i]))
        exit (1);
    for (size_t i = 0; i < handles; i++)
      pthread_join (ids[i], NULL);
  }
  else if (handles > 1)
    run_together (jobs, handles);
  else
    run (jobs);
}

static void
prepare (struct job *job, const struct operation *operation, size_t size,
         unsigned long depth)
{
  *job = (struct job) { .operation = operation, .size = size, .depth = depth };
  if (operation->run == run_connect)
    return;
  job->h = open_handle ();
  job->export_size = nbd_get_size (job->h);
  job->slots = calloc (depth, sizeof *job->slots);
  for (unsigned long i = 0; i < depth; i++) {
    struct slot *slot = &job->slots[i];

    *slot = (struct slot) { .job = job, .next = job->idle,
                            .buffer = calloc (1, size) };
    memset (slot->buffer, 1, size);
    job->idle = slot;
  }
}

static void
finish (struct job *job)
{
  if (job->h == NULL)
    return;
  for (unsigned long i = 0; i < job->depth; i++)
    free (job->slots[i].buffer);
  free (job->slots);
  close_handle (job->h);
}

/* Print the bytes that malloc has given for COUNT idle handles, or for COUNT
 * requests in flight on one.
 */
static size_t
allocated (void)
{
  struct mallinfo2 m = mallinfo2 ();

  return m.uordblks + m.hblkhd;
}

static int
memory (const char *what, unsigned long count)
{
  struct nbd_handle **handles = calloc (count, sizeof *handles);
  char *buffer = calloc (1, 512);
  struct nbd_handle *first = open_handle ();
  size_t before = allocated ();

  if (strcmp (what, "handles") == 0)
    for (unsigned long i = 0; i < count; i++)
      handles[i] = open_handle ();
  else
    for (unsigned long i = 0; i < count; i++)
      if (nbd_aio_pread (first, buffer, 512, 0, NBD_NULL_COMPLETION, 0) == -1)
        die ("nbd_aio_pread");
  printf ("%lu %zu 0\n", count, allocated () - before);
  for (unsigned long i = 0; i < count; i++)
    nbd_close (handles[i]);
  nbd_close (first);
  free (handles);
  free (buffer);
  return 0;
}

int
main (int argc, char *argv[])
{
  const struct operation *operation = NULL;
  unsigned long depth, count, handles, threads;
  struct job jobs[64];
  struct measure m;

  if (argc == 2 && strcmp (argv[1], "--version") == 0) {
    struct nbd_handle *h = nbd_create ();

    puts (nbd_get_version (h));
    nbd_close (h);
    return 0;
  }
  uri = argv[1];
  if (argc == 5 && strcmp (argv[2], "memory") == 0)
    return memory (argv[3], strtoul (argv[4], NULL, 10));
  for (size_t i = 0; argc >= 6 && i < sizeof operations / sizeof *operations;
       i++)
    if (strcmp (argv[2], operations[i].name) == 0)
      operation = &operations[i];
  handles = argc > 6 ? strtoul (argv[6], NULL, 10) : 1;
  threads = argc > 7 ? strtoul (argv[7], NULL, 10) : 1;
  if (operation == NULL || handles < 1 || handles > 64) {
    fprintf (stderr, "usage: client URI OPERATION SIZE DEPTH COUNT [HANDLES "
             "[THREADS]]\n       client URI memory handles|requests COUNT\n");
    return 2;
  }
  depth = strtoul (argv[4], NULL, 10);
  count = strtoul (argv[5], NULL, 10);
  for (size_t i = 0; i < handles; i++)
    prepare (&jobs[i], operation, strtoul (argv[3], NULL, 10), depth);
  run_all (jobs, handles, threads, depth < count / 2 ? depth * handles : 1);
  m = measure_begin ();
  run_all (jobs, handles, threads, count);
  measure_print (&m, count);
  for (size_t i = 0; i < handles; i++)
    finish (&jobs[i]);
  return 0;
}
