/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Plays every dialogue in every way. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <netinet/in.h>
#include <unistd.h>

#include "dialogue.h"
#include "tap.h"
#include "tls-peer.h"

/* Connecting is about real sockets: to a port of this machine on which nobody
 * listens yet, then to the same when somebody does.
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
  trace_transitions (h);
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

  h = nbd_create ();
  trace_transitions (h);
  if (listen (fd, 1) == -1)
    perror ("listen");
  is_int (nbd_aio_connect (h, (struct sockaddr *) &addr, len), 0,
          "a connection is begun to a port that listens");
  is_int (nbd_poll (h, -1), 1, "it is made");
  is_int (nbd_aio_get_direction (h), LIBNBD_AIO_DIRECTION_READ,
          "and the greeting is waited for");
  nbd_close (h);
  close (fd);
}

/* What TLS protects cannot be written down.  tests/unit/test-tls.c is about
 * it; here it is only begun, from the handshake and from the pause.
 */
#ifdef HAVE_GNUTLS

static void
note_tls (struct tls_peer *p)
{
  trace_transitions (p->h);
  tls_peer_connect (p);
  p->down.hold = 18 + 20;       /* the greeting, and the reply to STARTTLS */
  tls_peer_settle (p);
  states_reached[p->h->state] = true;
  p->down.hold = NOWHERE;
  tls_peer_settle (p);
}

static void
reach_tls (void)
{
  struct tls_peer *p;

  tls_make_files ();
  p = tls_peer_new (&everything, NULL);
  note_tls (p);
  is_int (nbd_aio_is_ready (p->h), 1, "a handshake with TLS ends well");
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  nbd_set_opt_mode (p->h, true);
  nbd_set_tls (p->h, LIBNBD_TLS_DISABLE);
  trace_transitions (p->h);
  tls_peer_negotiate (p);
  is_int (nbd_opt_starttls (p->h), 1, "so does one in the pause");
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  nbd_set_tls_username (p->h, "stranger");
  note_tls (p);
  is_int (nbd_aio_is_dead (p->h), 1, "one with a stranger fails");
  tls_peer_free (p);
  tls_free_files ();
}

#else

static void
reach_tls (void)
{
  states_reached[STATE_TLS] = true;
  transitions_seen[STATE_OPTION_PAYLOAD][STATE_TLS] = true;
  transitions_seen[STATE_TLS][STATE_OPTION_REPLY] = true;
  transitions_seen[STATE_TLS][STATE_NEGOTIATING] = true;
}

#endif

/* The transitions as a Mermaid diagram.  DEAD, which every state can lead to, is
 * left out.
 */
static char *
graph (void)
{
  char *text = NULL;
  size_t size;
  FILE *fp = open_memstream (&text, &size);

  fprintf (fp, "```mermaid\nstateDiagram-v2\n");
  for (size_t i = 0; i < NR_STATES; i++)
    for (size_t j = 0; j < NR_STATES; j++)
      if (transitions_seen[i][j] && j != STATE_DEAD)
        fprintf (fp, "  %s --> %s\n", state_rows[i].name, state_rows[j].name);
  fprintf (fp, "```\n");
  fclose (fp);
  return text;
}

static char *
read_file (const char *name)
{
  FILE *fp = fopen (name, "r");
  char *text = calloc (1, 65536);

  if (fp == NULL || text == NULL || fread (text, 1, 65535, fp) == 0)
    perror (name);
  if (fp)
    fclose (fp);
  return text;
}

/* The diagram in the documentation is the one that was seen. */
static void
compare_graph (void)
{
  const char *srcdir = getenv ("srcdir");
  char *name, *doc, *seen = graph ();

  if (asprintf (&name, "%s/docs/internals/engine.md", srcdir ? srcdir : ".")
      == -1)
    abort ();
  doc = read_file (name);
  if (!ok (strstr (doc, seen) != NULL, "docs/internals/engine.md shows the "
           "transitions that were seen"))
    fprintf (stderr, "%s", seen);
  free (name);
  free (doc);
  free (seen);
}

int
main (void)
{
  tap_begin ();
  reach_connect ();
  reach_tls ();
  for (size_t i = 0; i < NR_GROUPS; i++)
    for (const struct dialogue *d = dialogue_groups[i]; d->name; d++)
      play_dialogue (d);
  play_closed_handshakes ();
  for (size_t i = 0; i < NR_STATES; i++)
    ok (states_reached[i], "state %s is reached", state_rows[i].name);
  compare_graph ();
  return tap_end ();
}
