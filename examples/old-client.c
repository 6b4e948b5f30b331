/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connects to a server twice, once as the library does it by itself and once
 * in the way of a client that knows nothing but the first protocol.  Prints
 * what was asked for, and what came of it.
 *
 *   old-client SOCKET
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 1M --run 'old-client "$unixsocket"'
 *
 * Build: cc old-client.c -o old-client $(pkg-config --cflags --libs libnbd)
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

/* [nbd_set_request_block_size nbd_set_request_extended_headers
    nbd_set_request_meta_context nbd_set_request_structured_replies] */
/* Before connecting: do not ask the server for what it may not know.
 */
static int
ask_for_less (struct nbd_handle *nbd)
{
  if (nbd_set_request_block_size (nbd, false) == -1 ||
      nbd_set_request_extended_headers (nbd, false) == -1 ||
      nbd_set_request_structured_replies (nbd, false) == -1 ||
      nbd_set_request_meta_context (nbd, false) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_get_handshake_flags nbd_set_handshake_flags] */
/* Without fixed newstyle there are no options but the name of the
 * export, and without "no zeroes" 124 of them end the handshake.
 */
static int
shake_hands_in_the_old_way (struct nbd_handle *nbd)
{
  uint32_t flags = nbd_get_handshake_flags (nbd);

  flags &= ~LIBNBD_HANDSHAKE_FLAG_FIXED_NEWSTYLE;
  flags &= ~LIBNBD_HANDSHAKE_FLAG_NO_ZEROES;
  if (nbd_set_handshake_flags (nbd, flags) == -1)
    return library_error ();
  return 0;
}
/* [end] */

/* [nbd_get_full_info nbd_get_request_block_size
    nbd_get_request_extended_headers nbd_get_request_meta_context
    nbd_get_request_structured_replies] */
static int
print_requests (struct nbd_handle *nbd)
{
  const int sizes = nbd_get_request_block_size (nbd);
  const int headers = nbd_get_request_extended_headers (nbd);
  const int replies = nbd_get_request_structured_replies (nbd);
  const int contexts = nbd_get_request_meta_context (nbd);
  const int info = nbd_get_full_info (nbd);

  if (sizes == -1 || headers == -1 || replies == -1 ||
      contexts == -1 || info == -1)
    return library_error ();

  printf ("asks for:%s%s%s%s%s\n", sizes ? " block sizes," : "",
          headers ? " extended headers," : "",
          replies ? " structured replies," : "",
          contexts ? " meta contexts," : "",
          info ? " description," : "");
  return 0;
}
/* [end] */

/* [nbd_get_extended_headers_negotiated nbd_get_protocol
    nbd_get_structured_replies_negotiated] */
/* Once connected: what both sides have agreed on. */
static int
print_agreement (struct nbd_handle *nbd)
{
  const char *protocol = nbd_get_protocol (nbd);
  const int headers = nbd_get_extended_headers_negotiated (nbd);
  const int replies = nbd_get_structured_replies_negotiated (nbd);

  if (protocol == NULL || headers == -1 || replies == -1)
    return library_error ();

  printf ("protocol: %s, %s headers, %s replies\n", protocol,
          headers ? "extended" : "compact",
          replies ? "structured" : "simple");
  return 0;
}
/* [end] */

static int
try_server (const char *path, bool old)
{
  struct nbd_handle *nbd = nbd_create ();
  int r = -1;

  if (nbd == NULL)
    return library_error ();
  if (old && (ask_for_less (nbd) == -1 ||
              shake_hands_in_the_old_way (nbd) == -1))
    goto out;

  printf ("%s client\n", old ? "old" : "present");
  if (print_requests (nbd) == -1)
    goto out;
  if (nbd_connect_unix (nbd, path) == -1) {
    library_error ();
    goto out;
  }
  if (print_agreement (nbd) == -1)
    goto out;
  if (nbd_shutdown (nbd, 0) == -1) {
    library_error ();
    goto out;
  }
  r = 0;

 out:
  nbd_close (nbd);
  return r;
}

int
main (int argc, char *argv[])
{
  if (argc != 2) {
    fprintf (stderr, "usage: %s SOCKET\n", argv[0]);
    return EXIT_FAILURE;
  }
  if (try_server (argv[1], false) == -1 || try_server (argv[1], true) == -1)
    return EXIT_FAILURE;
  return EXIT_SUCCESS;
}
