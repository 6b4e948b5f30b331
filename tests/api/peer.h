/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A handle and its server, connected in memory: so a handle can be taken to
 * any of the public states, and what it sends can be seen.
 */

#ifndef TESTS_PEER_H
#define TESTS_PEER_H

#include "internal.h"
#include "server.h"

struct peer {
  struct nbd_handle *h;
  struct server *server;
  size_t taken;                 /* bytes of the server that were received */
  bool eof;                     /* the server has closed the connection */
  size_t room;                  /* bytes that can be sent before it blocks */
  size_t seen;                  /* bytes that peer_sent () has returned */
};

/* A handle that was just created. */
struct peer *peer_new (const struct offer *offer);

/* The handle waits for the server's greeting. */
void peer_connect (struct peer *p);

/* Receive until nothing more happens. */
void peer_settle (struct peer *p);

/* Connect, and negotiate as far as the handle does on its own. */
void peer_negotiate (struct peer *p);

/* A handle in the state.  On the way the context base:allocation is asked for;
 * the export has every feature.
 */
struct peer *peer_in (enum phase phase);

/* The same, connected to a server that offers OFFER and answers no request. */
struct peer *peer_mute (const struct offer *offer);

/* Close the handle. */
void peer_free (struct peer *p);

/* What the client has sent since the last call; valid until it sends more. */
struct reader peer_sent (struct peer *p);

/* What the public states are called in messages, by the order of their bits.
 */
#define NR_PHASES 6
extern const struct phase_name {
  enum phase phase;
  const char *words;            /* in what is permitted */
  const char *state;            /* the state of peer_in () */
} phase_names[NR_PHASES];

#endif /* TESTS_PEER_H */
