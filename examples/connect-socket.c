/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Makes and connects a socket of its own, hands it to nbd_connect_socket, and
 * prints what the server says of its default export.
 *
 *   connect-socket SOCKET          a Unix domain socket
 *   connect-socket HOST PORT       TCP
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 1G --run 'connect-socket "$unixsocket"'
 *
 * A program does this when it needs something of the connection that the
 * library does not offer, such as a proxy, an address family of its own, or a
 * descriptor that another process passed to it.
 *
 * Build: cc connect-socket.c -o connect-socket \
 *          $(pkg-config --cflags --libs libnbd)
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <libnbd.h>

/* Returns a connected socket, or -1 after a message. */
static int
connect_unix (const char *path)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  int sock;

  if (strlen (path) >= sizeof addr.sun_path) {
    fprintf (stderr, "%s: %s\n", path, strerror (ENAMETOOLONG));
    return -1;
  }
  strcpy (addr.sun_path, path);

  sock = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (sock == -1) {
    perror ("socket");
    return -1;
  }
  if (connect (sock, (struct sockaddr *) &addr, sizeof addr) == -1) {
    perror (path);
    close (sock);
    return -1;
  }
  return sock;
}

static int
connect_tcp (const char *host, const char *port)
{
  const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
  struct addrinfo *list, *ai;
  const int on = 1;
  int r, sock = -1, last_error = 0;

  r = getaddrinfo (host, port, &hints, &list);
  if (r != 0) {
    fprintf (stderr, "%s, port %s: %s\n", host, port, gai_strerror (r));
    return -1;
  }

  /* A host can have several addresses: the first that answers is taken. */
  for (ai = list; ai && sock == -1; ai = ai->ai_next) {
    sock = socket (ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC,
                   ai->ai_protocol);
    if (sock == -1)
      last_error = errno;
    else if (connect (sock, ai->ai_addr, ai->ai_addrlen) == -1) {
      last_error = errno;
      close (sock);
      sock = -1;
    }
  }
  freeaddrinfo (list);

  if (sock == -1) {
    fprintf (stderr, "%s, port %s: %s\n", host, port, strerror (last_error));
    return -1;
  }

  /* NBD requests are small and must not wait for each other.  The options of
   * a socket that is not its own are none of the library's business.
   */
  if (setsockopt (sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == -1)
    perror ("TCP_NODELAY");
  return sock;
}

/* Text of the server goes to the terminal without its control characters. */
static void
print_text (const char *label, const char *text)
{
  printf ("%-20s", label);
  for (; *text; text++)
    putchar (iscntrl ((unsigned char) *text) ? '?' : *text);
  putchar ('\n');
}

/* [nbd_get_canonical_export_name nbd_get_export_name] */
/* The server's own name for the export if it gives one, else the name
 * that was asked for.
 */
static int
print_name (struct nbd_handle *nbd)
{
  char *name = nbd_get_canonical_export_name (nbd);
  const char *label = "canonical name:";

  if (name == NULL) {
    if (nbd_get_errno () != ENOTSUP)
      return -1;
    name = nbd_get_export_name (nbd);
    if (name == NULL)
      return -1;
    label = "export name:";
  }
  print_text (label, *name ? name : "(empty: the default export)");
  free (name);
  return 0;
}
/* [end] */

/* [nbd_get_export_description] */
static int
print_description (struct nbd_handle *nbd)
{
  char *description = nbd_get_export_description (nbd);

  if (description == NULL && nbd_get_errno () != ENOTSUP)
    return -1;
  print_text ("description:", description ? description : "(none)");
  free (description);
  return 0;
}
/* [end] */

/* [nbd_get_block_size] */
static int
print_sizes (struct nbd_handle *nbd)
{
  const int64_t size = nbd_get_size (nbd);
  int64_t minimum, preferred, maximum;

  minimum = nbd_get_block_size (nbd, LIBNBD_SIZE_MINIMUM);
  preferred = nbd_get_block_size (nbd, LIBNBD_SIZE_PREFERRED);
  maximum = nbd_get_block_size (nbd, LIBNBD_SIZE_MAXIMUM);
  if (size == -1 || minimum == -1 || preferred == -1 || maximum == -1)
    return -1;
  printf ("%-20s%" PRIi64 " bytes\n", "size:", size);

  /* A server gives all three of them or none. */
  printf ("%-20s", "block sizes:");
  if (minimum > 0)
    printf ("minimum %" PRIi64 ", preferred %" PRIi64 ", maximum %"
            PRIi64 "\n", minimum, preferred, maximum);
  else
    printf ("not given by the server\n");
  return 0;
}
/* [end] */

static int
print_flags (struct nbd_handle *nbd)
{
  static const struct {
    const char *name;
    int (*get) (struct nbd_handle *nbd);
  } flags[] = {
    { "read-only", nbd_is_read_only },
    { "rotational", nbd_is_rotational },
    { "flush", nbd_can_flush },
    { "fua", nbd_can_fua },
    { "trim", nbd_can_trim },
    { "zero", nbd_can_zero },
    { "fast-zero", nbd_can_fast_zero },
    { "cache", nbd_can_cache },
    { "df", nbd_can_df },
    { "multi-conn", nbd_can_multi_conn },
  };

  printf ("%-20s", "transmission flags:");
  for (size_t i = 0, n = 0; i < sizeof flags / sizeof flags[0]; i++) {
    const int r = flags[i].get (nbd);

    if (r == -1)
      return -1;
    if (r)
      printf ("%s%s", n++ > 0 ? " " : "", flags[i].name);
  }
  putchar ('\n');
  return 0;
}

static int
print_protocol (struct nbd_handle *nbd)
{
  const char *protocol = nbd_get_protocol (nbd);
  const int structured = nbd_get_structured_replies_negotiated (nbd);

  if (protocol == NULL || structured == -1)
    return -1;
  printf ("%-20s%s, %s replies\n", "protocol:", protocol,
          structured ? "structured" : "simple");
  return 0;
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd = NULL;
  int sock;

  if (argc == 2)
    sock = connect_unix (argv[1]);
  else if (argc == 3)
    sock = connect_tcp (argv[1], argv[2]);
  else {
    fprintf (stderr, "usage: %s SOCKET\n       %s HOST PORT\n",
             argv[0], argv[0]);
    return EXIT_FAILURE;
  }
  if (sock == -1)
    return EXIT_FAILURE;

  nbd = nbd_create ();
  if (nbd == NULL) {
    close (sock);
    goto error;
  }

  /* [nbd_get_canonical_export_name nbd_get_export_description
      nbd_set_full_info] */
  /* Before connecting: name and description have to be asked for. */
  if (nbd_set_full_info (nbd, true) == -1) {
    close (sock);
    goto error;
  }
  /* [end] */

  /* [nbd_connect_socket] */
  if (nbd_connect_socket (nbd, sock) == -1) {
    /* A handle that is still new has not taken the socket.  In every
     * other case the socket is the library's, which closes it.
     */
    if (nbd_aio_is_created (nbd))
      close (sock);
    goto error;
  }
  /* [end] */

  if (print_name (nbd) == -1 ||
      print_description (nbd) == -1 ||
      print_sizes (nbd) == -1 ||
      print_flags (nbd) == -1 ||
      print_protocol (nbd) == -1 ||
      nbd_shutdown (nbd, 0) == -1)
    goto error;
  nbd_close (nbd);
  return EXIT_SUCCESS;

 error:
  fprintf (stderr, "%s\n", nbd_get_error ());
  nbd_close (nbd);
  return EXIT_FAILURE;
}
