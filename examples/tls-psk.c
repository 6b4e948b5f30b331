/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connects with TLS and a key that client and server share instead of
 * certificates, and prints the size of the export.
 *
 *   tls-psk SOCKET KEYFILE USER
 *
 * With nbdkit as the server:
 *
 *   psktool -u alice -p keys.psk
 *   nbdkit -U - --tls=require --tls-psk=keys.psk memory 1M \
 *     --run 'tls-psk "$unixsocket" keys.psk alice'
 *
 * Build: cc tls-psk.c -o tls-psk $(pkg-config --cflags --libs libnbd)
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <libnbd.h>

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* [nbd_set_tls_psk_file nbd_set_tls_username] */
/* The file has a line "USER:KEY" for each user, and so the server's
 * own can be used.  It is read when the connection is made.
 */
static int
connect_with_key (struct nbd_handle *nbd, const char *path,
                  const char *keyfile, const char *user)
{
  if (nbd_set_tls (nbd, LIBNBD_TLS_REQUIRE) == -1 ||
      nbd_set_tls_psk_file (nbd, keyfile) == -1 ||
      nbd_set_tls_username (nbd, user) == -1 ||
      nbd_connect_unix (nbd, path) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_get_tls_username] */
static int
print_user (struct nbd_handle *nbd)
{
  /* If none was set it is the user that runs the program. */
  char *user = nbd_get_tls_username (nbd);

  if (user == NULL)
    return library_error ();
  printf ("connected as %s\n", user);
  free (user);
  return 0;
}
/* [end] */

static int
use_export (struct nbd_handle *nbd)
{
  const int64_t size = nbd_get_size (nbd);

  if (size == -1)
    return library_error ();
  printf ("size: %" PRIi64 " bytes\n", size);
  if (nbd_shutdown (nbd, 0) == -1)
    return library_error ();
  return 0;
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd;
  int status = EXIT_FAILURE;

  if (argc != 4) {
    fprintf (stderr, "usage: %s SOCKET KEYFILE USER\n", argv[0]);
    return EXIT_FAILURE;
  }

  nbd = nbd_create ();
  if (nbd == NULL) {
    library_error ();
    return EXIT_FAILURE;
  }
  if (connect_with_key (nbd, argv[1], argv[2], argv[3]) == 0 &&
      print_user (nbd) == 0 &&
      use_export (nbd) == 0)
    status = EXIT_SUCCESS;
  nbd_close (nbd);
  return status;
}
