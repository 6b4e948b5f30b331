/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The transmit queue: runs of bytes in the order in which they leave.  Whoever
 * queues does not send; the transport takes what queue_peek () shows.
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "internal.h"

static struct segment *
segment_at (const struct nbd_handle *h, size_t i)
{
  const struct queue *q = &h->queue;

  return &q->ring[(q->head + i) & (q->size - 1)];
}

static int
grow (struct nbd_handle *h, size_t n)
{
  struct queue *q = &h->queue;
  size_t size = q->size ? q->size : 16;
  struct segment *ring;

  while (size < q->count + n)
    size *= 2;
  ring = malloc (size * sizeof *ring);
  if (ring == NULL)
    return -1;
  for (size_t i = 0; i < q->count; i++)
    ring[i] = *segment_at (h, i);
  free (q->ring);
  q->ring = ring;
  q->size = size;
  q->head = 0;
  return 0;
}

int
queue_reserve (struct nbd_handle *h, size_t n)
{
  return h->queue.count + n <= h->queue.size ? 0 : grow (h, n);
}

/* Where the next segment goes. */
static struct segment *
push (struct nbd_handle *h)
{
  return segment_at (h, h->queue.count++);
}

int
queue_push (struct nbd_handle *h, const void *p, size_t n, bool chunk)
{
  void *copy = malloc (n);

  if (copy == NULL || queue_reserve (h, 1) == -1) {
    free (copy);
    return -1;
  }
  memcpy (copy, p, n);
  *push (h) = (struct segment) { .p = copy, .n = n, .owned = copy,
                                 .last = chunk };
  return 0;
}

void
queue_push_command (struct nbd_handle *h, struct command *cmd,
                    size_t header_length, const void *payload,
                    size_t payload_length)
{
  *push (h) = (struct segment) { .p = cmd->header, .n = header_length,
                                 .command = cmd, .last = payload_length == 0 };
  if (payload_length)
    *push (h) = (struct segment) { .p = payload, .n = payload_length,
                                   .command = cmd, .last = true };
}

int
queue_peek (const struct nbd_handle *h, struct iovec *iov, int max)
{
  int n;

  for (n = 0; n < max && (size_t) n < h->queue.count; n++) {
    const struct segment *s = segment_at (h, n);

    iov[n] = (struct iovec) { (void *) s->p, s->n };
  }
  return n;
}

/* The first segment is done with. */
static void
pop (struct nbd_handle *h, struct segment *s)
{
  h->queue.head = (h->queue.head + 1) & (h->queue.size - 1);
  h->queue.count--;
  free (s->owned);
  h->stats.chunks_sent += s->last;
  if (s->last && s->command)
    command_sent (h, s->command);
}

void
queue_sent (struct nbd_handle *h, size_t n)
{
  h->stats.bytes_sent += n;
  while (n > 0) {
    struct segment *s = segment_at (h, 0);

    if (s->command)
      s->command->begun = true;
    if (n < s->n) {
      s->p += n;
      s->n -= n;
      return;
    }
    n -= s->n;
    pop (h, s);
  }
}

void
queue_clear (struct nbd_handle *h)
{
  struct queue *q = &h->queue;

  for (size_t i = 0; i < q->count; i++)
    free (segment_at (h, i)->owned);
  q->count = 0;
}

void
queue_free (struct nbd_handle *h)
{
  queue_clear (h);
  free (h->queue.ring);
  h->queue = (struct queue) { 0 };
}

/* What has begun to leave must leave, and so must the goodbye and messages that
 * belong to no command.
 */
static bool
must_leave (const struct segment *s)
{
  return s->command == NULL || s->command->begun ||
    s->command->type == NBD_CMD_DISC;
}

void
queue_abandon (struct nbd_handle *h)
{
  size_t kept = 0;

  for (size_t i = 0; i < h->queue.count; i++) {
    struct segment s = *segment_at (h, i);

    if (must_leave (&s))
      *segment_at (h, kept++) = s;
    else
      s.command->dropped = true;
  }
  h->queue.count = kept;        /* before any completion runs */
  command_abort_dropped (h);
}
