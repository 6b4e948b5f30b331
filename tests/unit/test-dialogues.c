/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Plays every dialogue in every way. */

#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "dialogue.h"
#include "tap.h"

static const struct dialogue *const groups[] = {
  handshake_dialogues, option_dialogues, simple_dialogues,
  structured_dialogues, extended_dialogues, broken_dialogues,
};

/* Connecting is about a real socket: to a port of this machine on which nobody
 * listens any more.
 */
static void
reach_connect (void)
{
  struct sockaddr_in addr = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t len = sizeof addr;
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  struct nbd_handle *h = nbd_create ();

  if (bind (fd, (struct sockaddr *) &addr, len) == -1 ||
      getsockname (fd, (struct sockaddr *) &addr, &len) == -1) {
    perror ("bind");
    return;
  }
  is_int (nbd_aio_connect (h, (struct sockaddr *) &addr, len), 0,
          "a connection is begun");
  is_int (nbd_aio_get_direction (h), LIBNBD_AIO_DIRECTION_WRITE,
          "while it is made, the direction is WRITE");
  states_reached[STATE_START] = true;
  states_reached[h->state] = true;
  is_int (nbd_poll (h, -1), -1, "it is refused");
  is_int (nbd_get_errno (), ECONNREFUSED, "with the error of connect (2)");
  is_int (nbd_aio_is_dead (h), 1, "and the handle is dead");
  nbd_close (h);
  close (fd);
}

int
main (void)
{
  tap_begin ();
  reach_connect ();
  for (size_t i = 0; i < COUNT (groups); i++)
    for (const struct dialogue *d = groups[i]; d->name; d++)
      play_dialogue (d);
  for (size_t i = 0; i < NR_STATES; i++)
    ok (states_reached[i], "state %s is reached", state_rows[i].name);
  return tap_end ();
}
