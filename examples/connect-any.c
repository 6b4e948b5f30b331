/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connects in the way that the command line names, without ever being blocked
 * by it, and prints the size of the export.
 *
 *   connect-any [-t MILLISECONDS] tcp HOST PORT
 *   connect-any [-t MILLISECONDS] address IPV4-ADDRESS PORT
 *   connect-any [-t MILLISECONDS] vsock CID PORT
 *   connect-any [-t MILLISECONDS] socket PATH
 *   connect-any [-t MILLISECONDS] uri URI
 *   connect-any [-t MILLISECONDS] command PROGRAM...
 *   connect-any [-t MILLISECONDS] activate PROGRAM...
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 1M --run 'connect-any socket "$unixsocket"'
 *   connect-any command nbdkit -s memory 1M
 *
 * Build: cc connect-any.c -o connect-any $(pkg-config --cflags --libs libnbd)
 */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <libnbd.h>

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

static int
parse_number (const char *arg, unsigned long max, unsigned long *number)
{
  char *end;

  errno = 0;
  *number = strtoul (arg, &end, 10);
  if (end == arg || *end != '\0' || errno != 0 || *number > max) {
    fprintf (stderr, "%s: not a number up to %lu\n", arg, max);
    return -1;
  }
  return 0;
}

/* Each way begins to connect; none waits for the server. */

/* [nbd_aio_connect_tcp nbd_set_keepalive nbd_set_tcp_option] */
/* A server that is gone without a word is noticed: an idle connection
 * is tested after five minutes, and what is sent must be acknowledged
 * within thirty seconds.
 */
static int
connect_tcp (struct nbd_handle *nbd, char **args)
{
  if (nbd_set_keepalive (nbd, true) == -1 ||
      nbd_set_tcp_option (nbd, TCP_KEEPIDLE, 5 * 60) == -1 ||
      nbd_set_tcp_option (nbd, TCP_USER_TIMEOUT, 30 * 1000) == -1 ||
      nbd_aio_connect_tcp (nbd, args[0], args[1]) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_aio_connect] */
/* No name has to be looked up, which can take a while. */
static int
connect_address (struct nbd_handle *nbd, char **args)
{
  struct sockaddr_in addr = { .sin_family = AF_INET };
  unsigned long port;

  if (inet_pton (AF_INET, args[0], &addr.sin_addr) != 1) {
    fprintf (stderr, "%s: not an IPv4 address\n", args[0]);
    return -1;
  }
  if (parse_number (args[1], UINT16_MAX, &port) == -1)
    return -1;
  addr.sin_port = htons (port);

  if (nbd_aio_connect (nbd, (struct sockaddr *) &addr,
                       sizeof addr) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_aio_connect_vsock] */
static int
connect_vsock (struct nbd_handle *nbd, char **args)
{
  unsigned long cid, port;

  /* The host is always number 2 to its virtual machines. */
  if (parse_number (args[0], UINT32_MAX, &cid) == -1 ||
      parse_number (args[1], UINT32_MAX, &port) == -1)
    return -1;
  if (nbd_aio_connect_vsock (nbd, cid, port) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_aio_connect_socket] */
static int
connect_socket (struct nbd_handle *nbd, char **args)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  int sock;

  if (strlen (args[0]) >= sizeof addr.sun_path) {
    fprintf (stderr, "%s: %s\n", args[0], strerror (ENAMETOOLONG));
    return -1;
  }
  strcpy (addr.sun_path, args[0]);
  sock = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (sock == -1 ||
      connect (sock, (struct sockaddr *) &addr, sizeof addr) == -1) {
    perror (args[0]);
    if (sock != -1)
      close (sock);
    return -1;
  }

  /* From here on the library closes the socket, unless the call fails.
   */
  if (nbd_aio_connect_socket (nbd, sock) == -1) {
    if (nbd_aio_is_created (nbd))
      close (sock);
    return library_error ();
  }
  return 0;
}
/* [end] */

/* [nbd_aio_connect_uri] */
static int
connect_uri (struct nbd_handle *nbd, char **args)
{
  if (nbd_aio_connect_uri (nbd, args[0]) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_aio_connect_command nbd_aio_connect_systemd_socket_activation] */
/* { "nbdkit", "-s", "memory", "1M", NULL } speaks over its stdin. */
static int
connect_command (struct nbd_handle *nbd, char **args)
{
  if (nbd_aio_connect_command (nbd, args) == -1)
    return library_error ();
  return 0;
}

/* { "nbdkit", "memory", "1M", NULL } is given a socket to listen on.
 */
static int
connect_activate (struct nbd_handle *nbd, char **args)
{
  if (nbd_aio_connect_systemd_socket_activation (nbd, args) == -1)
    return library_error ();
  return 0;
}
/* [end] */

static const struct way {
  const char *name;
  int nr_args;                  /* -1: one or more */
  int (*connect) (struct nbd_handle *nbd, char **args);
} ways[] = {
  { "tcp", 2, connect_tcp },
  { "address", 2, connect_address },
  { "vsock", 2, connect_vsock },
  { "socket", 1, connect_socket },
  { "uri", 1, connect_uri },
  { "command", -1, connect_command },
  { "activate", -1, connect_activate },
};

/* [nbd_aio_is_created nbd_aio_is_ready nbd_connection_state nbd_poll] */
static int
wait_until_connected (struct nbd_handle *nbd, int milliseconds)
{
  if (nbd_aio_is_created (nbd)) {
    fprintf (stderr, "nothing was done to connect\n");
    return -1;
  }

  while (!nbd_aio_is_ready (nbd)) {
    switch (nbd_poll (nbd, milliseconds)) {
    case -1:
      return library_error ();
    case 0:
      /* For people: what it waits for has a name such as CONNECTING.
       */
      fprintf (stderr, "no answer in this state: %s\n",
               nbd_connection_state (nbd));
      return -1;
    }
    /* Other work would be done here. */
  }
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

static const struct way *
find_way (int argc, char **argv)
{
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    if (argc > 1 && strcmp (argv[0], ways[i].name) == 0 &&
        (ways[i].nr_args == -1 || ways[i].nr_args == argc - 1))
      return &ways[i];
  return NULL;
}

int
main (int argc, char *argv[])
{
  const char *program = argv[0];
  const struct way *way;
  struct nbd_handle *nbd;
  int milliseconds = -1;        /* no limit */
  int status = EXIT_FAILURE;

  argc--, argv++;
  if (argc > 2 && strcmp (argv[0], "-t") == 0) {
    unsigned long number;

    if (parse_number (argv[1], INT_MAX, &number) == -1)
      return EXIT_FAILURE;
    milliseconds = number;
    argc -= 2, argv += 2;
  }
  way = find_way (argc, argv);
  if (way == NULL) {
    fprintf (stderr, "usage: %s [-t MILLISECONDS] WAY ARGUMENT...\n"
             "see the head of the source for the ways\n", program);
    return EXIT_FAILURE;
  }

  nbd = nbd_create ();
  if (nbd == NULL) {
    library_error ();
    return EXIT_FAILURE;
  }
  if (way->connect (nbd, &argv[1]) == 0 &&
      wait_until_connected (nbd, milliseconds) == 0 &&
      use_export (nbd) == 0)
    status = EXIT_SUCCESS;
  nbd_close (nbd);
  return status;
}
