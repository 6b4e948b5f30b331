/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Starts a server of its own, uses it, and has it end with the program.
 *
 *   run-server COMMAND...            it speaks over its standard input
 *   run-server -a NAME COMMAND...    it is given a socket, as by systemd
 *
 * With nbdkit and qemu-nbd as the servers:
 *
 *   run-server nbdkit -s memory 1M
 *   run-server -a disk qemu-nbd -f raw disk.img
 *
 * Build: cc run-server.c -o run-server $(pkg-config --cflags --libs libnbd)
 */

#include <inttypes.h>
#include <signal.h>
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

/* [nbd_connect_command] */
/* COMMAND is the program and its arguments, and ends with NULL, as
 * main has it: { "nbdkit", "-s", "memory", "1M", NULL }
 */
static int
start_on_stdin (struct nbd_handle *nbd, char **command)
{
  if (nbd_connect_command (nbd, command) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_connect_systemd_socket_activation nbd_get_socket_activation_name
    nbd_set_socket_activation_name] */
/* A server that can be activated needs no option for its socket:
 * { "qemu-nbd", "-f", "raw", "disk.img", NULL }
 */
static int
start_activated (struct nbd_handle *nbd, const char *name,
                 char **command)
{
  char *told;

  if (nbd_set_socket_activation_name (nbd, name) == -1)
    return library_error ();
  told = nbd_get_socket_activation_name (nbd);
  if (told == NULL)
    return library_error ();
  printf ("the server finds LISTEN_FDNAMES=%s\n",
          *told ? told : "unknown");
  free (told);

  if (nbd_connect_systemd_socket_activation (nbd, command) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_get_subprocess_pid] */
static int
print_process (struct nbd_handle *nbd)
{
  const int64_t pid = nbd_get_subprocess_pid (nbd);

  if (pid == -1)
    return library_error ();
  printf ("the server is process %" PRIi64 "\n", pid);
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

/* [nbd_kill_subprocess] */
/* nbd_close waits for the server to end.  One that would go on for the
 * next client is told not to.
 */
static int
stop (struct nbd_handle *nbd)
{
  if (nbd_kill_subprocess (nbd, SIGTERM) == -1)
    return library_error ();
  return 0;
}
/* [end] */

int
main (int argc, char *argv[])
{
  const bool activate = argc > 1 && strcmp (argv[1], "-a") == 0;
  struct nbd_handle *nbd;
  int status = EXIT_FAILURE;

  if (argc < (activate ? 4 : 2)) {
    fprintf (stderr, "usage: %s COMMAND...\n       %s -a NAME COMMAND...\n",
             argv[0], argv[0]);
    return EXIT_FAILURE;
  }

  nbd = nbd_create ();
  if (nbd == NULL) {
    library_error ();
    return EXIT_FAILURE;
  }
  if ((activate ? start_activated (nbd, argv[2], &argv[3])
                : start_on_stdin (nbd, &argv[1])) == 0 &&
      print_process (nbd) == 0 &&
      use_export (nbd) == 0 &&
      stop (nbd) == 0)
    status = EXIT_SUCCESS;
  nbd_close (nbd);
  return status;
}
