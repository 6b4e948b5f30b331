/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One case of the benchmark, with whichever libnbd.so.0 is loaded: keeps DEPTH
 * requests in flight until COUNT of them have completed, and prints
 *   REQUESTS SECONDS CPU-SECONDS
 * It uses only functions that 1.14 has.
 */

#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "libnbd.h"

struct slot {
  bool busy;
  char *buffer;
};

static unsigned long completed;

static void
die (const char *what)
{
  fprintf (stderr, "client: %s: %s\n", what, nbd_get_error ());
  exit (1);
}

static int
complete (void *opaque, int *error)
{
  struct slot *slot = opaque;

  if (*error) {
    fprintf (stderr, "client: a request failed: %s\n", strerror (*error));
    exit (1);
  }
  completed++;
  slot->busy = false;
  return 1;
}

static double
cpu_seconds (void)
{
  struct rusage r;

  getrusage (RUSAGE_SELF, &r);
  return r.ru_utime.tv_sec + r.ru_stime.tv_sec +
    (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static double
seconds (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void
issue (struct nbd_handle *h, struct slot *slot, bool write, size_t size,
       uint64_t offset)
{
  nbd_completion_callback cb = { .callback = complete, .user_data = slot };
  int64_t r = write ?
    nbd_aio_pwrite (h, slot->buffer, size, offset, cb, 0) :
    nbd_aio_pread (h, slot->buffer, size, offset, cb, 0);

  if (r == -1)
    die ("cannot issue");
  slot->busy = true;
}

static void
run (struct nbd_handle *h, bool write, size_t size, unsigned long depth,
     unsigned long count)
{
  struct slot *slots = calloc (depth, sizeof *slots);
  uint64_t export_size = nbd_get_size (h), offset = 0;
  unsigned long issued = 0;

  for (unsigned long i = 0; slots && i < depth; i++)
    if ((slots[i].buffer = calloc (1, size)) == NULL)
      exit (1);
  while (slots && completed < count) {
    for (unsigned long i = 0; i < depth && issued < count; i++)
      if (!slots[i].busy) {
        issue (h, &slots[i], write, size, offset);
        issued++;
        offset += size;
        if (offset + size > export_size)
          offset = 0;
      }
    if (nbd_poll (h, -1) == -1)
      die ("nbd_poll");
  }
  for (unsigned long i = 0; slots && i < depth; i++)
    free (slots[i].buffer);
  free (slots);
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *h = nbd_create ();
  unsigned long size, depth, count;
  double cpu, wall;
  bool write;

  if (h == NULL)
    die ("nbd_create");
  if (argc == 2 && strcmp (argv[1], "--version") == 0) {
    puts (nbd_get_version (h));
    nbd_close (h);
    return 0;
  }
  if (argc != 6) {
    fprintf (stderr, "usage: client URI read|write SIZE DEPTH COUNT\n");
    return 2;
  }
  write = strcmp (argv[2], "write") == 0;
  size = strtoul (argv[3], NULL, 10);
  depth = strtoul (argv[4], NULL, 10);
  count = strtoul (argv[5], NULL, 10);
  if (nbd_set_uri_allow_local_file (h, true) == -1 ||
      nbd_connect_uri (h, argv[1]) == -1)
    die (argv[1]);
  run (h, write, size, depth, depth);   /* warm */
  completed = 0;
  cpu = cpu_seconds ();
  wall = seconds ();
  run (h, write, size, depth, count);
  printf ("%lu %.6f %.6f\n", count, seconds () - wall, cpu_seconds () - cpu);
  nbd_shutdown (h, 0);
  nbd_close (h);
  return 0;
}
