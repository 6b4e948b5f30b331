/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connects with TLS, verifies the certificate of the server, and shows one of
 * its own if the folder has one.  Prints the size of the export.
 *
 *   tls-certificates [-k] HOST PORT FOLDER [NAME]
 *
 * FOLDER has ca-cert.pem, and for a server that wants to know its clients also
 * client-cert.pem and client-key.pem.  NAME is what the certificate calls the
 * server if that is not HOST.  -k: do not verify the certificate.
 *
 * With nbdkit as the server:
 *
 *   nbdkit --tls=require --tls-certificates=/etc/pki/nbdkit memory 1M
 *
 * Build: cc tls-certificates.c -o tls-certificates \
 *          $(pkg-config --cflags --libs libnbd)
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libnbd.h>

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* [nbd_get_tls_priority nbd_set_tls_priority] */
/* Add to the algorithms of the library, which may be those that this
 * system prescribes, that versions before 1.3 are not accepted.
 */
static int
allow_new_versions_only (struct nbd_handle *nbd)
{
  char *priority = nbd_get_tls_priority (nbd);
  char longer[200];
  int n;

  if (priority == NULL)
    return library_error ();
  n = snprintf (longer, sizeof longer, "%s:-VERS-ALL:+VERS-TLS1.3",
                priority);
  free (priority);
  if (n >= (int) sizeof longer) {
    fprintf (stderr, "the priority string is too long\n");
    return -1;
  }
  if (nbd_set_tls_priority (nbd, longer) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_get_tls_hostname nbd_set_tls_hostname] */
/* The certificate must be made out to NAME, which is not the host that
 * is connected to: there may be a tunnel, or only an address.
 */
static int
expect_name (struct nbd_handle *nbd, const char *name)
{
  char *expected;

  if (nbd_set_tls_hostname (nbd, name) == -1)
    return library_error ();

  expected = nbd_get_tls_hostname (nbd);
  if (expected == NULL)
    return library_error ();
  printf ("name in the certificate: %s\n", expected);
  free (expected);
  return 0;
}
/* [end] */

/* [nbd_get_tls_verify_peer nbd_set_tls_verify_peer] */
/* Against somebody who only listens the connection is safe even so;
 * whoever can redirect it can be the server.
 */
static int
trust_anybody (struct nbd_handle *nbd)
{
  if (nbd_set_tls_verify_peer (nbd, false) == -1)
    return library_error ();
  if (!nbd_get_tls_verify_peer (nbd))
    fprintf (stderr, "warning: the server is not verified\n");
  return 0;
}
/* [end] */

/* [nbd_connect_tcp nbd_set_tls nbd_set_tls_certificates] */
static int
connect_with_tls (struct nbd_handle *nbd, const char *host,
                  const char *port, const char *folder)
{
  /* The connection fails if the server has no TLS. */
  if (nbd_set_tls (nbd, LIBNBD_TLS_REQUIRE) == -1 ||
      nbd_set_tls_certificates (nbd, folder) == -1 ||
      nbd_connect_tcp (nbd, host, port) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_get_tls nbd_get_tls_negotiated] */
/* Only where TLS is allowed but not required can the two differ. */
static int
print_tls (struct nbd_handle *nbd)
{
  static const char *const modes[] = {
    [LIBNBD_TLS_DISABLE] = "disabled",
    [LIBNBD_TLS_ALLOW] = "allowed",
    [LIBNBD_TLS_REQUIRE] = "required",
  };
  const int negotiated = nbd_get_tls_negotiated (nbd);

  if (negotiated == -1)
    return library_error ();
  printf ("TLS is %s, and is %s\n", modes[nbd_get_tls (nbd)],
          negotiated ? "in use" : "not in use");
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
  const char *program = argv[0];
  const bool verify = argc < 2 || strcmp (argv[1], "-k") != 0;
  struct nbd_handle *nbd;
  int status = EXIT_FAILURE;

  if (!verify) {
    argc--;
    argv++;
  }
  if (argc != 4 && argc != 5) {
    fprintf (stderr, "usage: %s [-k] HOST PORT FOLDER [NAME]\n", program);
    return EXIT_FAILURE;
  }

  nbd = nbd_create ();
  if (nbd == NULL) {
    library_error ();
    return EXIT_FAILURE;
  }
  if (allow_new_versions_only (nbd) == 0 &&
      (verify || trust_anybody (nbd) == 0) &&
      (argc == 4 || expect_name (nbd, argv[4]) == 0) &&
      connect_with_tls (nbd, argv[1], argv[2], argv[3]) == 0 &&
      print_tls (nbd) == 0 &&
      use_export (nbd) == 0)
    status = EXIT_SUCCESS;
  nbd_close (nbd);
  return status;
}
