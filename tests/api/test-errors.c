/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The last error: one for each thread, until the next. */

#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "peer.h"
#include "tap.h"

#define FIRST "nbd_get_meta_context: meta context request out of range: " \
  "Invalid argument"

/* A call that fails with FIRST and EINVAL. */
static void
fail_first (struct nbd_handle *h)
{
  free (nbd_get_meta_context (h, 99));
}

static void
test_start (void)
{
  struct nbd_handle *h;

  is_str (nbd_get_error (), NULL, "at the start there is no error");
  is_int (nbd_get_errno (), 0, "and no error number");
  h = nbd_create ();
  nbd_set_export_name (h, "x");
  nbd_close (h);
  is_str (nbd_get_error (), NULL, "successes set no error");
  is_int (nbd_get_errno (), 0, "and no error number");
}

static void
test_persistence (void)
{
  struct nbd_handle *h = nbd_create (), *other = nbd_create ();

  fail_first (h);
  is_str (nbd_get_error (), FIRST, "a failure sets the error");
  is_int (nbd_get_errno (), EINVAL, "and its number");
  is_str (nbd_get_error (), FIRST, "reading the error does not clear it");
  nbd_set_export_name (h, "x");
  nbd_set_export_name (other, "y");
  nbd_close (h);
  is_str (nbd_get_error (), FIRST,
          "it survives successes, other handles, and its own handle");
  is_int (nbd_get_errno (), EINVAL, "so does its number");
  nbd_pread (other, NULL, 0, 0, 0);
  ok (strncmp (nbd_get_error (), "nbd_pread: ", 11) == 0,
      "the next failure replaces it, on another handle too");
  is_int (nbd_get_errno (), ENOTCONN, "with its own number");
  nbd_get_size (NULL);
  is_str (nbd_get_error (), "nbd_get_size: h cannot be NULL: Bad address",
          "so does a failure without a handle");
  is_int (nbd_get_errno (), EFAULT, "with its own number");
  errno = ENOSPC;
  is_int (nbd_get_errno (), EFAULT, "errno has nothing to do with it");
  nbd_close (other);
}

/* A server that is none: an error that no number fits. */
static void
test_without_number (void)
{
  struct peer *p = peer_in (PHASE_CREATED);
  uint8_t garbage[32] = { 0 };

  fail_first (p->h);
  p->server->out.n = 0;
  buffer_append (&p->server->out, garbage, sizeof garbage);
  peer_connect (p);
  is_int (nbd_aio_notify_read (p->h), -1, "garbage is no greeting");
  is_str (nbd_get_error (), "nbd_aio_notify_read: handshake: server did not "
          "send expected NBD magic", "an error without a number has a text "
          "without one");
  is_int (nbd_get_errno (), 0, "the number before it is gone");
  peer_free (p);
}

/* The error names the function that the program called. */
static void
test_function (void)
{
  struct peer *p = peer_mute (&everything);
  int64_t cookie = nbd_aio_flush (p->h, NBD_NULL_COMPLETION, 0);
  uint8_t reply[32];
  struct writer w = writer_init (reply, sizeof reply);

  write_u32 (&w, NBD_EXTENDED_REPLY_MAGIC);
  write_u16 (&w, NBD_REPLY_FLAG_DONE);
  write_u16 (&w, NBD_REPLY_TYPE_ERROR);
  write_u64 (&w, cookie);
  write_u64 (&w, 0);
  write_u64 (&w, 6);
  buffer_append (&p->server->out, reply, sizeof reply);
  w = writer_init (reply, sizeof reply);
  write_u32 (&w, NBD_EIO);
  write_u16 (&w, 0);
  buffer_append (&p->server->out, reply, 6);

  fail_first (p->h);
  peer_settle (p);
  is_str (nbd_get_error (), FIRST,
          "a command that fails is no error of the call that receives that");
  is_int (nbd_aio_command_completed (p->h, cookie), -1,
          "it is one of the call that asks");
  is_str (nbd_get_error (), "nbd_aio_command_completed: flush: command "
          "failed: Input/output error", "whose name the error has");
  is_int (nbd_get_errno (), EIO, "the number is the server's");
  peer_free (p);
}

/* What a thread sees of errors. */
struct witness {
  struct nbd_handle *h;
  bool fresh, own, kept;
  pthread_barrier_t *barrier;
};

static void *
watch (void *vp)
{
  struct witness *w = vp;
  const char *text;

  w->fresh = nbd_get_error () == NULL && nbd_get_errno () == 0;
  nbd_get_size (w->h);
  w->own = nbd_get_errno () == ENOTCONN &&
    strncmp (nbd_get_error (), "nbd_get_size: ", 14) == 0;
  text = nbd_get_error ();
  pthread_barrier_wait (w->barrier);    /* the other thread fails between */
  pthread_barrier_wait (w->barrier);
  w->kept = nbd_get_error () == text && nbd_get_errno () == ENOTCONN &&
    strncmp (text, "nbd_get_size: ", 14) == 0;
  return NULL;
}

static void
test_threads (void)
{
  struct nbd_handle *h = nbd_create ();
  pthread_barrier_t barrier;
  struct witness w = { .h = h, .barrier = &barrier };
  pthread_t thread;

  pthread_barrier_init (&barrier, NULL, 2);
  fail_first (h);
  if (pthread_create (&thread, NULL, watch, &w) != 0)
    abort ();
  pthread_barrier_wait (&barrier);
  is_str (nbd_get_error (), FIRST, "another thread's failure is not ours");
  is_int (nbd_get_errno (), EINVAL, "nor is its number");
  nbd_set_strict_mode (h, UINT32_MAX);
  pthread_barrier_wait (&barrier);
  pthread_join (thread, NULL);
  pthread_barrier_destroy (&barrier);
  ok (w.fresh, "a new thread has no error");
  ok (w.own, "it has its own after its first failure");
  ok (w.kept, "which our next failure does not touch");
  nbd_close (h);
}

static void
test_long (void)
{
  static const char start[] =
    "nbd_connect_unix: socket name too long: xxxxxxxx";
  struct nbd_handle *h = nbd_create ();
  char *path = malloc (100001);
  bool good = true;
  size_t n;

  memset (path, 'x', 100000);
  path[100000] = '\0';
  is_int (nbd_connect_unix (h, path), -1, "a path of 100000 bytes is refused");
  is_int (nbd_get_errno (), ENAMETOOLONG, "its number is ENAMETOOLONG");
  n = strlen (nbd_get_error ());
  ok (n > 1000 && n < 100000, "a very long text is cut off");
  ok (strncmp (nbd_get_error (), start, strlen (start)) == 0,
      "its beginning is kept");

  /* Wherever the text, the number's words among it, meets the end. */
  for (size_t length = n - 100; length < n + 50; length++) {
    const char *text;

    path[length] = '\0';
    nbd_connect_unix (h, path);
    text = nbd_get_error ();
    good = good && strlen (text) <= n && nbd_get_errno () == ENAMETOOLONG &&
      strncmp (text, start, strlen (start)) == 0;
    path[length] = 'x';
  }
  ok (good, "texts of about the longest length are good");
  free (path);
  nbd_close (h);
}

/* Resolvers may take what fits into 16 bits. */
static void
test_port (void)
{
  struct nbd_handle *h = nbd_create ();

  ok (nbd_connect_tcp (h, "127.0.0.1", "65536") == -1 &&
      nbd_get_errno () == EINVAL &&
      strstr (nbd_get_error (), "65536") != NULL && nbd_aio_is_created (h),
      "a port above 65535 is refused");
  ok (nbd_connect_tcp (h, "127.0.0.1", "99999999999999999999999") == -1 &&
      nbd_get_errno () == EINVAL, "however far above");
  nbd_close (h);
}

int
main (void)
{
  tap_begin ();
  test_start ();
  test_persistence ();
  test_without_number ();
  test_function ();
  test_threads ();
  test_long ();
  test_port ();
  return tap_end ();
}
