/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints which library the program runs with, and what it was built to do.
 *
 *   library-info
 *
 * Build: cc library-info.c -o library-info \
 *          $(pkg-config --cflags --libs libnbd)
 */

#include <stdio.h>
#include <stdlib.h>

#include <libnbd.h>

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* [nbd_get_package_name nbd_get_version nbd_get_version_extra] */
static int
print_version (struct nbd_handle *nbd)
{
  const char *name = nbd_get_package_name (nbd);
  const char *version = nbd_get_version (nbd);
  const char *extra = nbd_get_version_extra (nbd);

  if (name == NULL || version == NULL || extra == NULL)
    return library_error ();

  /* The last is empty unless whoever built the library gave it. */
  printf ("%s %s%s%s\n", name, version, *extra ? " " : "", extra);
  return 0;
}
/* [end] */

/* [nbd_supports_tls nbd_supports_uri nbd_supports_vsock] */
static int
print_features (struct nbd_handle *nbd)
{
  const int tls = nbd_supports_tls (nbd);
  const int uri = nbd_supports_uri (nbd);
  const int vsock = nbd_supports_vsock (nbd);

  if (tls == -1 || uri == -1 || vsock == -1)
    return library_error ();

  printf ("TLS: %s\n", tls ? "yes" : "no");
  printf ("NBD URIs: %s\n", uri ? "yes" : "no");
  printf ("vsock: %s\n", vsock ? "yes" : "no");
  return 0;
}
/* [end] */

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd;
  int status = EXIT_FAILURE;

  if (argc != 1) {
    fprintf (stderr, "usage: %s\n", argv[0]);
    return EXIT_FAILURE;
  }

  nbd = nbd_create ();
  if (nbd == NULL) {
    library_error ();
    return EXIT_FAILURE;
  }
  if (print_version (nbd) == 0 && print_features (nbd) == 0)
    status = EXIT_SUCCESS;
  nbd_close (nbd);
  return status;
}
