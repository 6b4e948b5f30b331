/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Writes what the library does during a connection to a log file, and prints
 * how much went over the wire.
 *
 *   debug-log SOCKET FILE
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 1M --run 'debug-log "$unixsocket" nbd.log'
 *
 * Build: cc debug-log.c -o debug-log $(pkg-config --cflags --libs libnbd)
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* [nbd_get_handle_name nbd_set_handle_name] */
/* In a program with several handles the messages tell which it was. */
static int
name_handle (struct nbd_handle *nbd, const char *name)
{
  char *old = nbd_get_handle_name (nbd);

  if (old == NULL)
    return library_error ();
  if (nbd_set_handle_name (nbd, name) == -1) {
    free (old);
    return library_error ();
  }
  printf ("handle %s is called %s from now on\n", old, name);
  free (old);
  return 0;
}
/* [end] */

/* [nbd_get_debug nbd_set_debug nbd_set_debug_callback] */
/* CONTEXT is the function that was called.  The text has no newline.
 */
static int
write_line (void *user_data, const char *context, const char *msg)
{
  FILE *fp = user_data;

  fprintf (fp, "%s: %s\n", context, msg);
  return 0;
}

static int
start_log (struct nbd_handle *nbd, FILE *fp)
{
  const nbd_debug_callback callback = {
    .callback = write_line, .user_data = fp
  };

  /* LIBNBD_DEBUG=1 in the environment has switched it on already. */
  if (nbd_get_debug (nbd))
    printf ("debugging is on\n");
  if (nbd_set_debug_callback (nbd, callback) == -1 ||
      nbd_set_debug (nbd, true) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_clear_debug_callback] */
/* Before the file is closed: it must not be written to any more. */
static int
end_log (struct nbd_handle *nbd)
{
  if (nbd_set_debug (nbd, false) == -1 ||
      nbd_clear_debug_callback (nbd) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_stats_bytes_received nbd_stats_bytes_sent
    nbd_stats_chunks_received nbd_stats_chunks_sent] */
static void
print_traffic (struct nbd_handle *nbd)
{
  printf ("sent: %" PRIu64 " bytes in %" PRIu64 " messages\n",
          nbd_stats_bytes_sent (nbd), nbd_stats_chunks_sent (nbd));
  printf ("received: %" PRIu64 " bytes in %" PRIu64 " messages\n",
          nbd_stats_bytes_received (nbd),
          nbd_stats_chunks_received (nbd));
}
/* [end] */

/* [nbd_get_handle_size] */
static int
print_memory (struct nbd_handle *nbd)
{
  const ssize_t size = nbd_get_handle_size (nbd);

  if (size == -1)
    return library_error ();
  printf ("the handle takes up about %zd bytes\n", size);
  return 0;
}
/* [end] */

static int
use_export (struct nbd_handle *nbd)
{
  char buf[512];
  const int64_t size = nbd_get_size (nbd);

  if (size == -1)
    return library_error ();
  if (size >= (int64_t) sizeof buf &&
      nbd_pread (nbd, buf, sizeof buf, 0, 0) == -1)
    return library_error ();
  if (print_memory (nbd) == -1)
    return -1;
  if (nbd_shutdown (nbd, 0) == -1)
    return library_error ();
  print_traffic (nbd);
  return 0;
}

static int
connect_logged (struct nbd_handle *nbd, const char *path, FILE *fp)
{
  int r = -1;

  if (name_handle (nbd, path) == -1 || start_log (nbd, fp) == -1)
    return -1;
  if (nbd_connect_unix (nbd, path) == -1)
    library_error ();
  else
    r = use_export (nbd);
  return end_log (nbd) == -1 ? -1 : r;
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd;
  FILE *fp;
  int status = EXIT_FAILURE;

  if (argc != 3) {
    fprintf (stderr, "usage: %s SOCKET FILE\n", argv[0]);
    return EXIT_FAILURE;
  }

  fp = fopen (argv[2], "w");
  if (fp == NULL) {
    perror (argv[2]);
    return EXIT_FAILURE;
  }
  nbd = nbd_create ();
  if (nbd == NULL)
    library_error ();
  else if (connect_logged (nbd, argv[1], fp) == 0)
    status = EXIT_SUCCESS;
  nbd_close (nbd);
  if (fclose (fp) == EOF) {
    perror (argv[2]);
    status = EXIT_FAILURE;
  }
  return status;
}
