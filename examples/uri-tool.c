/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connects to an NBD URI, or to the path of a Unix domain socket, and prints
 * the URI by which the connection can be made again, and the size.
 *
 *   uri-tool [-s] URI
 *   uri-tool SOCKET
 *
 * -s: the URI is somebody else's, and is not to reach what is private.
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 1M --run 'uri-tool "$uri"'
 *
 * Build: cc uri-tool.c -o uri-tool $(pkg-config --cflags --libs libnbd)
 */

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

/* [nbd_connect_uri nbd_is_uri] */
static int
connect_to (struct nbd_handle *nbd, const char *where)
{
  int r;

  switch (nbd_is_uri (nbd, where)) {
  case 1:
    r = nbd_connect_uri (nbd, where);
    break;
  case 0:
    r = nbd_connect_unix (nbd, where);
    break;
  default:
    r = -1;
  }
  return r == -1 ? library_error () : 0;
}
/* [end] */

/* [nbd_set_uri_allow_local_file nbd_set_uri_allow_tls
    nbd_set_uri_allow_tls_priority nbd_set_uri_allow_transports] */
/* A URI from a stranger: no sockets of this machine, no program such
 * as ssh, nothing in the clear, no files of ours, and no say in how
 * TLS is done.
 */
static int
be_careful (struct nbd_handle *nbd)
{
  const uint32_t transports = LIBNBD_ALLOW_TRANSPORT_TCP;

  if (nbd_set_uri_allow_transports (nbd, transports) == -1 ||
      nbd_set_uri_allow_tls (nbd, LIBNBD_TLS_REQUIRE) == -1 ||
      nbd_set_uri_allow_local_file (nbd, false) == -1 ||
      nbd_set_uri_allow_tls_priority (nbd, false) == -1)
    return library_error ();
  return 0;
}

/* One of our own, which may name files with keys. */
static int
be_generous (struct nbd_handle *nbd)
{
  if (nbd_set_uri_allow_local_file (nbd, true) == -1 ||
      nbd_set_uri_allow_tls_priority (nbd, true) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_get_uri] */
static int
print_uri (struct nbd_handle *nbd)
{
  char *uri = nbd_get_uri (nbd);

  if (uri == NULL)
    return library_error ();
  printf ("%s\n", uri);
  free (uri);
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
  const bool careful = argc == 3 && strcmp (argv[1], "-s") == 0;
  struct nbd_handle *nbd;
  int status = EXIT_FAILURE;

  if (argc != 2 && !careful) {
    fprintf (stderr, "usage: %s [-s] URI\n       %s SOCKET\n", argv[0],
             argv[0]);
    return EXIT_FAILURE;
  }

  nbd = nbd_create ();
  if (nbd == NULL) {
    library_error ();
    return EXIT_FAILURE;
  }
  if ((careful ? be_careful (nbd) : be_generous (nbd)) == 0 &&
      connect_to (nbd, argv[argc - 1]) == 0 &&
      print_uri (nbd) == 0 &&
      use_export (nbd) == 0)
    status = EXIT_SUCCESS;
  nbd_close (nbd);
  return status;
}
