/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists the exports of a server, with their sizes and descriptions, without
 * using any of them: the connection stays in option mode.
 *
 *   list-exports SOCKET
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - file dir=/boot --run 'list-exports "$unixsocket"'
 *
 * Build: cc list-exports.c -o list-exports \
 *          $(pkg-config --cflags --libs libnbd)
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

/* A server can send names without end. */
#define MAX_EXPORTS 10000

struct export {
  char *name, *description;
};

struct exports {
  struct export *items;
  size_t count;
  size_t left_out;
  int error;                    /* errno if memory ran out */
};

/* Text of the server goes to the terminal without its control characters. */
static void
print_text (const char *text)
{
  for (; *text; text++)
    putchar (iscntrl ((unsigned char) *text) ? '?' : *text);
}

static int
add_export (struct exports *exports, const char *name,
            const char *description)
{
  struct export *items, item;

  items = realloc (exports->items, (exports->count + 1) * sizeof *items);
  if (items == NULL)
    return -1;
  exports->items = items;

  item.name = strdup (name);
  item.description = strdup (description);
  if (item.name == NULL || item.description == NULL) {
    free (item.name);
    free (item.description);
    return -1;
  }
  items[exports->count++] = item;
  return 0;
}

/* [nbd_opt_list] */
/* Both strings are gone when the callback returns. */
static int
export_listed (void *user_data, const char *name,
               const char *description)
{
  struct exports *exports = user_data;

  if (exports->count == MAX_EXPORTS)
    exports->left_out++;
  else if (add_export (exports, name, description) == -1)
    exports->error = ENOMEM;
  return 0;
}

static int
list_exports (struct nbd_handle *nbd, struct exports *exports)
{
  const nbd_list_callback callback = {
    .callback = export_listed, .user_data = exports
  };

  if (nbd_opt_list (nbd, callback) == -1) {
    fprintf (stderr, "%s\n", nbd_get_error ());
    return -1;
  }
  if (exports->error) {
    fprintf (stderr, "list of exports: %s\n",
             strerror (exports->error));
    return -1;
  }
  return 0;
}
/* [end] */

/* [nbd_opt_info nbd_set_export_name] */
/* The size is -1 when the server refuses: that concerns this export,
 * and the next may be all right.
 */
static int
get_size (struct nbd_handle *nbd, const char *name, int64_t *size)
{
  *size = -1;
  if (nbd_set_export_name (nbd, name) == 0) {
    if (nbd_opt_info (nbd) == 0)
      *size = nbd_get_size (nbd);
    if (*size != -1 || nbd_aio_is_negotiating (nbd))
      return 0;
  }
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}
/* [end] */

static int
print_export (struct nbd_handle *nbd, const struct export *export)
{
  int64_t size;

  if (get_size (nbd, export->name, &size) == -1)
    return -1;
  putchar ('"');
  print_text (export->name);
  if (size == -1) {
    printf ("\"  ");
    print_text (nbd_get_error ());
  }
  else
    printf ("\"  %" PRIi64 " bytes", size);
  if (export->description[0] != '\0') {
    printf ("  ");
    print_text (export->description);
  }
  printf ("\n");
  return 0;
}

int
main (int argc, char *argv[])
{
  struct exports exports = { 0 };
  struct nbd_handle *nbd;
  int status = EXIT_FAILURE;

  if (argc != 2) {
    fprintf (stderr, "usage: %s SOCKET\n", argv[0]);
    return EXIT_FAILURE;
  }

  /* [nbd_aio_is_negotiating nbd_set_opt_mode] */
  nbd = nbd_create ();
  if (nbd == NULL ||
      nbd_set_opt_mode (nbd, true) == -1 ||
      nbd_connect_unix (nbd, argv[1]) == -1) {
    fprintf (stderr, "%s\n", nbd_get_error ());
    goto out;
  }
  if (!nbd_aio_is_negotiating (nbd)) {
    fprintf (stderr, "%s: the server is too old to be asked\n", argv[1]);
    goto out;
  }
  /* [end] */

  if (list_exports (nbd, &exports) == -1)
    goto out;
  for (size_t i = 0; i < exports.count; i++)
    if (print_export (nbd, &exports.items[i]) == -1)
      goto out;
  printf ("%zu export%s\n", exports.count, exports.count == 1 ? "" : "s");
  if (exports.left_out > 0)
    printf ("%zu more are not shown\n", exports.left_out);

  if (nbd_opt_abort (nbd) == -1) {
    fprintf (stderr, "%s\n", nbd_get_error ());
    goto out;
  }
  status = EXIT_SUCCESS;

 out:
  nbd_close (nbd);
  for (size_t i = 0; i < exports.count; i++) {
    free (exports.items[i].name);
    free (exports.items[i].description);
  }
  free (exports.items);
  return status;
}
