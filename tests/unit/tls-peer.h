/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A handle and a server that speaks TLS, connected in memory.  The records
 * pass through a relay that can split, delay, cut off and damage them in
 * either direction; or they take a pair of sockets.
 */

#ifndef TESTS_TLS_PEER_H
#define TESTS_TLS_PEER_H

#ifdef HAVE_GNUTLS

#include <gnutls/gnutls.h>

#include "internal.h"
#include "server.h"

#define NOWHERE SIZE_MAX

/* One direction, and what the relay does to it. */
struct wire {
  struct buffer bytes;          /* all that was sent */
  size_t taken;                 /* how much of it has arrived */
  size_t limit;                 /* bytes a time; 0: all */
  size_t cut;                   /* a place that no receive goes beyond */
  bool halting;                 /* there is nothing every other time */
  bool halted;
  size_t hold;                  /* what follows has not arrived yet */
  size_t end;                   /* the stream ends here */
  size_t flip;                  /* a bit of this byte is wrong */
  bool closed;                  /* by who sends */
  bool broken;                  /* at its end: a reset */
};

/* What the server is like. */
struct tls_offer {
  const char *priority;         /* NULL: all that fits */
  bool x509;                    /* a certificate in place of keys */
  bool wants_certificate;       /* of the client */
  bool tickets;                 /* it sends session tickets */
  bool rude;                    /* it closes without a word */
  size_t record;                /* bytes a record; 0: as many as fit */
};

struct tls_peer {
  struct nbd_handle *h;
  struct server *server;
  struct tls_offer offer;
  struct wire up, down;         /* from the client, and to it */
  size_t room;                  /* bytes that can be sent before it blocks */
  size_t at_once;               /* bytes a call can send; 0: no limit */
  unsigned receives, sends;     /* calls of the transport */
  bool stuck;                   /* the client would have slept for ever */
  bool silent;                  /* the server does nothing */
  int fd;                       /* the server's end, if there are sockets */
  /* The server's side of TLS. */
  gnutls_session_t session;
  size_t said;                  /* bytes of the server that are on the way */
  bool farewell;                /* close_notify has come */
  bool over;                    /* it takes and says nothing more */
  int error;                    /* of gnutls, that ended it */
  char name[256];               /* the host name that the client asked for */
  /* The trace, while it is kept. */
  struct buffer trace;
};

/* A file of keys, in which USER has one, and a certificate, with an authority
 * in a folder.  The strings are valid until tls_free_files ().
 */
#define USER "alice"
extern char *tls_keys, *tls_folder;
void tls_make_files (void);
void tls_free_files (void);

/* A handle that is told to require TLS, with the key of USER. */
struct tls_peer *tls_peer_new (const struct offer *offer,
                               const struct tls_offer *tls);

/* The same, that asks for TLS and trusts what is in the folder. */
struct tls_peer *tls_peer_new_x509 (const struct offer *offer,
                                    const struct tls_offer *tls);

/* Wait for the greeting, in memory or through sockets on the loopback device.
 */
void tls_peer_connect (struct tls_peer *p);
void tls_peer_connect_sockets (struct tls_peer *p);

/* Let both sides do what they can. */
void tls_peer_settle (struct tls_peer *p);

/* Connect, and negotiate as far as the handle does on its own. */
void tls_peer_negotiate (struct tls_peer *p);

/* Only the server. */
void tls_peer_serve (struct tls_peer *p);

/* The server sends what it has to say. */
void tls_peer_say (struct tls_peer *p);

/* Close the handle, if it is still there. */
void tls_peer_free (struct tls_peer *p);

/* Keep the trace from now on. */
void tls_peer_trace (struct tls_peer *p);
bool tls_peer_traced (struct tls_peer *p, const char *text);

/* How many records of CONTENT type there are in bytes [FROM, TO) of a wire,
 * which begin and end with a record; 0 for any type.
 */
unsigned count_records (const struct wire *w, size_t from, size_t to,
                        uint8_t content);

#endif /* HAVE_GNUTLS */

#endif /* TESTS_TLS_PEER_H */
