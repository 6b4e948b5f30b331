/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Threads that come and go: each makes a few calls on a handle that all share
 * and on one of its own, and some errors.  Nothing of them remains.
 */

#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

/* Several at a time; the first rounds grow what is kept for later ones. */
#define AT_ONCE 10
#define WARM_UP 100
#define TOTAL 600

/* Each has a region of the disk, which it overwrites. */
#define REGION 16384
#define DISK_SIZE ((uint64_t) AT_ONCE * REGION)

static const struct server *server;
static struct nbd_handle *shared;

struct visitor {
  pthread_t thread;
  unsigned number;
  unsigned wrong;
};

static unsigned
unless (bool good, unsigned number, const char *what)
{
  if (!good)
    note ("thread %u: wrong: %s (%s)", number, what,
          nbd_get_error () ? nbd_get_error () : "no error");
  return !good;
}

#define UNLESS(cond) v->wrong += unless (cond, v->number, #cond)

/* What is read is what the same thread has written. */
static void
use (struct visitor *v, struct nbd_handle *h)
{
  uint8_t data[REGION], buffer[REGION];
  uint64_t seed = v->number, offset = v->number % AT_ONCE * REGION;

  fill_random (&seed, data, sizeof data);
  UNLESS (nbd_pwrite (h, data, sizeof data, offset, 0) == 0);
  UNLESS (nbd_pread (h, buffer, sizeof buffer, offset, 0) == 0);
  UNLESS (memcmp (buffer, data, sizeof data) == 0);
}

/* An error whose message has the number of the thread in it. */
static void
fail (struct visitor *v, struct nbd_handle *h, char text[64])
{
  char name[40];

  snprintf (name, sizeof name, "name-%u", v->number);
  UNLESS (nbd_set_socket_activation_name (h, name) == -1);
  snprintf (text, 64, "name-%u:", v->number);
}

static void
check_error (struct visitor *v, const char *text)
{
  const char *error = nbd_get_error ();

  UNLESS (error != NULL && strncmp (error, "nbd_set_socket_activation_name: ",
                                    32) == 0);
  UNLESS (error != NULL && strstr (error, text) != NULL);
  UNLESS (nbd_get_errno () == EINVAL);
}

static void *
visit (void *opaque)
{
  struct visitor *v = opaque;
  struct nbd_handle *h;
  char text[64];

  UNLESS (nbd_get_error () == NULL && nbd_get_errno () == 0);
  h = nbd_create ();
  UNLESS (h != NULL);
  fail (v, h, text);
  use (v, shared);
  check_error (v, text);
  UNLESS (server_connect (server, h) == 0);
  use (v, h);
  check_error (v, text);
  /* Every other thread leaves without a goodbye. */
  if (v->number % 2)
    UNLESS (nbd_shutdown (h, 0) == 0);
  nbd_close (h);
  check_error (v, text);
  return NULL;
}

static unsigned
visits (unsigned first, unsigned count)
{
  struct visitor visitors[AT_ONCE];
  unsigned wrong = 0;

  for (unsigned n = first; n < first + count; n += AT_ONCE) {
    for (unsigned i = 0; i < AT_ONCE; i++) {
      visitors[i] = (struct visitor) { .number = n + i };
      MUST_BE (pthread_create (&visitors[i].thread, NULL, visit,
                               &visitors[i]) == 0);
    }
    for (unsigned i = 0; i < AT_ONCE; i++) {
      pthread_join (visitors[i].thread, NULL);
      wrong += visitors[i].wrong;
    }
  }
  return wrong;
}

/* Bytes that are allocated now; 0 where that cannot be known.  A sanitizer,
 * which has an allocator of its own, looks for leaks itself.
 */
static size_t
allocated (void)
{
#if defined __GLIBC__ && __GLIBC_PREREQ (2, 33)
  return mallinfo2 ().uordblks;
#else
  return 0;
#endif
}

int
main (void)
{
  struct server *s;
  size_t before, after;
  char c;

  server_require ("nbdkit", "--version", NULL);
  tap_begin ();
  s = server_start (SERVER_UNIX, "nbdkit", "--threads=2", "memory", "1M",
                    NULL);
  server = s;
  shared = connected (s);
  MUST_BE (nbd_pread (shared, &c, 1, UINT64_MAX, 0) == -1);

  is_int (visits (0, WARM_UP), 0, "the first %d threads find nothing wrong",
          WARM_UP);
  before = allocated ();
  is_int (visits (WARM_UP, TOTAL - WARM_UP), 0,
          "%d more threads find nothing wrong", TOTAL - WARM_UP);
  after = allocated ();
  /* Less than half of the smallest piece of memory for each thread. */
  if (!ok (after < before + (TOTAL - WARM_UP) * 16,
           "no memory is left of each thread"))
    note ("%zu bytes before, %zu after", before, after);
  is_int (nbd_get_errno (), EINVAL, "the error of this thread is its own");
  ok (strncmp (nbd_get_error (), "nbd_pread: ", 11) == 0,
      "and so is the message");
  is_int (nbd_aio_in_flight (shared), 0, "nothing is left in flight");
  disconnect (shared);
  server_stop (s);
  return tap_end ();
}
