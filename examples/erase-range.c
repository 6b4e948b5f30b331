/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Clears a part of an export, gives it back to the server, or has the server
 * read it ahead.
 *
 *   erase-range SOCKET zero|trim|cache OFFSET LENGTH
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 1M --run 'erase-range "$unixsocket" zero 4096 8192'
 *
 * Build: cc erase-range.c -o erase-range $(pkg-config --cflags --libs libnbd)
 */

#include <ctype.h>
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

static int
unable (const char *what)
{
  fprintf (stderr, "the server cannot %s\n", what);
  return -1;
}

/* [nbd_can_fast_zero nbd_can_zero nbd_zero] */
static int
zero (struct nbd_handle *nbd, uint64_t length, uint64_t offset)
{
  const int can = nbd_can_zero (nbd), fast = nbd_can_fast_zero (nbd);

  if (can == -1 || fast == -1)
    return library_error ();
  if (!can)
    return unable ("write zeroes");

  if (fast) {
    if (nbd_zero (nbd, length, offset,
                  LIBNBD_CMD_FLAG_FAST_ZERO) == 0) {
      printf ("zeroed at once\n");
      return 0;
    }
    /* This one says that it would take as long as writing. */
    if (nbd_get_errno () != ENOTSUP)
      return library_error ();
  }
  /* These take up space, so that there is some for a later write. */
  if (nbd_zero (nbd, length, offset, LIBNBD_CMD_FLAG_NO_HOLE) == -1)
    return library_error ();
  printf ("zeroed\n");
  return 0;
}
/* [end] */

/* [nbd_can_fua nbd_can_trim nbd_trim] */
/* What the range reads as afterwards is up to the server. */
static int
trim (struct nbd_handle *nbd, uint64_t length, uint64_t offset)
{
  const int can = nbd_can_trim (nbd), fua = nbd_can_fua (nbd);

  if (can == -1 || fua == -1)
    return library_error ();
  if (!can)
    return unable ("trim");

  /* With FUA it has happened on the disk when the call returns. */
  if (nbd_trim (nbd, length, offset,
                fua ? LIBNBD_CMD_FLAG_FUA : 0) == -1)
    return library_error ();
  printf ("trimmed%s\n", fua ? ", and on the disk" : "");
  return 0;
}
/* [end] */

/* [nbd_cache nbd_can_cache] */
/* It will be read soon. */
static int
cache (struct nbd_handle *nbd, uint64_t length, uint64_t offset)
{
  const int can = nbd_can_cache (nbd);

  if (can == -1)
    return library_error ();
  if (!can)
    return unable ("read ahead");
  if (nbd_cache (nbd, length, offset, 0) == -1)
    return library_error ();
  printf ("cached\n");
  return 0;
}
/* [end] */

static const struct action {
  const char *name;
  int (*run) (struct nbd_handle *nbd, uint64_t length, uint64_t offset);
} actions[] = {
  { "zero", zero }, { "trim", trim }, { "cache", cache },
};

static int
parse_number (const char *arg, uint64_t *number)
{
  char *end;

  errno = 0;
  *number = strtoull (arg, &end, 0);
  /* The function would take a sign and leading blanks as well. */
  if (!isdigit ((unsigned char) arg[0]) || *end != '\0' || errno != 0) {
    fprintf (stderr, "%s: not a number of bytes\n", arg);
    return -1;
  }
  return 0;
}

int
main (int argc, char *argv[])
{
  const struct action *action = NULL;
  struct nbd_handle *nbd;
  uint64_t offset, length;
  int status = EXIT_FAILURE;

  for (size_t i = 0; argc == 5 && i < sizeof actions / sizeof actions[0]; i++)
    if (strcmp (argv[2], actions[i].name) == 0)
      action = &actions[i];
  if (action == NULL) {
    fprintf (stderr, "usage: %s SOCKET zero|trim|cache OFFSET LENGTH\n",
             argv[0]);
    return EXIT_FAILURE;
  }
  if (parse_number (argv[3], &offset) == -1 ||
      parse_number (argv[4], &length) == -1)
    return EXIT_FAILURE;

  nbd = nbd_create ();
  if (nbd == NULL || nbd_connect_unix (nbd, argv[1]) == -1)
    library_error ();
  else if (action->run (nbd, length, offset) == 0) {
    if (nbd_shutdown (nbd, 0) == -1)
      library_error ();
    else
      status = EXIT_SUCCESS;
  }
  nbd_close (nbd);
  return status;
}
