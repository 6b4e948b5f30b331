/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The transport in memory, and the ways into each state. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "failing.h"
#include "peer.h"

unsigned failing_allocation;

const struct phase_name phase_names[NR_PHASES] = {
  { PHASE_CREATED, "newly created", "START" },
  { PHASE_CONNECTING, "connecting", "MAGIC" },
  { PHASE_NEGOTIATING, "negotiating", "NEGOTIATING" },
  { PHASE_CONNECTED, "connected with the server", "READY" },
  { PHASE_CLOSED, "shut down", "CLOSED" },
  { PHASE_DEAD, "dead", "DEAD" },
};

static ssize_t
memory_receive (struct nbd_handle *h, struct iovec *iov, int n, bool wait)
{
  struct peer *p = h->transport_data;
  const struct buffer *out = &p->server->out;
  size_t done = 0;

  for (int i = 0; i < n; i++) {
    size_t m = MIN (iov[i].iov_len, out->n - p->taken);

    if (m > 0)
      memcpy (iov[i].iov_base, out->p + p->taken, m);
    p->taken += m;
    done += m;
  }
  if (done > 0)
    return done;
  /* Who sleeps here would sleep for ever. */
  if (p->eof || p->server->ended || wait)
    return 0;
  errno = EAGAIN;
  return -1;
}

static ssize_t
memory_send (struct nbd_handle *h, struct iovec *iov, int n)
{
  struct peer *p = h->transport_data;
  unsigned failing = failing_allocation;
  size_t done = 0;

  if (p->room == 0) {
    errno = EAGAIN;
    return -1;
  }
  failing_allocation = 0;       /* the server always has memory */
  for (int i = 0; i < n; i++) {
    size_t m = MIN (iov[i].iov_len, p->room);

    server_take (p->server, iov[i].iov_base, m);
    p->room -= m;
    done += m;
  }
  failing_allocation = failing;
  return done;
}

static void
memory_close (struct nbd_handle *h)
{
  close (h->fd);
  h->fd = -1;
}

static const struct transport memory_transport = {
  .name = "memory",
  .receive = memory_receive,
  .send = memory_send,
  .close = memory_close,
};

struct peer *
peer_new (const struct offer *offer)
{
  struct peer *p = calloc (1, sizeof *p);

  if (p == NULL)
    abort ();
  p->server = server_new (offer);
  p->room = SIZE_MAX;
  p->h = nbd_create ();
  if (p->h == NULL)
    abort ();
  return p;
}

void
peer_connect (struct peer *p)
{
  p->h->function = "peer_connect";
  /* For poll: it can always be written to, and never be read. */
  p->h->fd = eventfd (0, EFD_CLOEXEC);
  p->h->transport = &memory_transport;
  p->h->transport_data = p;
  expect (p->h, STATE_MAGIC, NULL, 0);
  engine_publish (p->h);
}

void
peer_settle (struct peer *p)
{
  size_t taken;

  do {
    taken = p->taken;
    if (nbd_aio_get_direction (p->h) & LIBNBD_AIO_DIRECTION_READ)
      nbd_aio_notify_read (p->h);
  } while (p->taken != taken);
}

void
peer_negotiate (struct peer *p)
{
  peer_connect (p);
  peer_settle (p);
}

struct peer *
peer_in (enum phase phase)
{
  static const uint8_t garbage[32];
  struct peer *p = peer_new (&everything);

  if (phase == PHASE_NEGOTIATING)
    nbd_set_opt_mode (p->h, true);
  nbd_add_meta_context (p->h, everything.context);
  if (phase == PHASE_CONNECTING)
    peer_connect (p);
  else if (phase != PHASE_CREATED)
    peer_negotiate (p);
  if (phase == PHASE_CLOSED)
    p->eof = true;
  if (phase == PHASE_DEAD)
    buffer_append (&p->server->out, garbage, sizeof garbage);
  if (phase & (PHASE_CLOSED | PHASE_DEAD))
    peer_settle (p);
  peer_sent (p);
  return p;
}

struct peer *
peer_mute (const struct offer *offer)
{
  struct peer *p = peer_new (offer);

  p->server->mute = true;
  nbd_add_meta_context (p->h, "base:allocation");
  peer_negotiate (p);
  peer_sent (p);
  return p;
}

struct reader
peer_sent (struct peer *p)
{
  const struct buffer *in = &p->server->in;
  struct reader r = reader_init (in->p + p->seen, in->n - p->seen);

  p->seen = in->n;
  return r;
}

void
peer_free (struct peer *p)
{
  nbd_close (p->h);
  server_free (p->server);
  free (p);
}
