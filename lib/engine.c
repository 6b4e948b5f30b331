/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The engine: one table with a row per state, and what moves it along.  It does
 * no I/O: bytes are placed where engine_room () says, engine_received () hands
 * each complete want to the taker of the present state, and the taker says what
 * is wanted next.  A state changes by expect (), fail () and engine_close ()
 * only.
 */

#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "internal.h"

#define VARIABLE 0

/* Bytes of a read from which a copy costs more than another call. */
#define LARGE_READ 16384

#define ROW(state, ph, n, fn, words)                                    \
  [STATE_##state] = { .name = #state, .phase = PHASE_##ph, .need = n,    \
                      .take = fn, .text = #state ": " words }

#define WAIT_ROW(state, what, words)                                    \
  [STATE_##state] = { .name = #state, .phase = PHASE_CONNECTING,        \
                      .progress = what##_progress,                      \
                      .direction = what##_direction,                    \
                      .text = #state ": " words }

const struct state_row state_rows[NR_STATES] = {
  ROW (START, CREATED, VARIABLE, NULL,
       "the handle was created and not yet connected"),
  WAIT_ROW (CONNECT, connect, "a socket is being connected"),
  WAIT_ROW (TLS, tls, "TLS is being negotiated"),
  ROW (MAGIC, CONNECTING, 16, handshake_magic,
       "waiting for the server's greeting"),
  ROW (OLDSTYLE, CONNECTING, 136, handshake_oldstyle,
       "waiting for the export of an oldstyle server"),
  ROW (HANDSHAKE_FLAGS, CONNECTING, 2, handshake_flags,
       "waiting for the handshake flags of a newstyle server"),
  ROW (OPTION_REPLY, CONNECTING, 20, option_reply,
       "waiting for the reply to an option"),
  ROW (OPTION_PAYLOAD, CONNECTING, VARIABLE, option_payload,
       "receiving the reply to an option"),
  ROW (OPTION_SKIP, CONNECTING, VARIABLE, option_skip,
       "skipping a reply to an option"),
  ROW (EXPORT_NAME_REPLY, CONNECTING, VARIABLE, option_export_name_reply,
       "waiting for the export"),
  ROW (NEGOTIATING, NEGOTIATING, VARIABLE, NULL,
       "the next option is up to the program"),
  ROW (READY, CONNECTED, VARIABLE, reply_header,
       "connected, and between replies"),
  ROW (CHUNK_LENGTH, CONNECTED, 4, reply_chunk_length,
       "receiving the header of a structured reply"),
  ROW (READ_DATA, CONNECTED, VARIABLE, reply_read_data,
       "receiving the data of a simple reply"),
  ROW (CHUNK_OFFSET, CONNECTED, 8, reply_chunk_offset,
       "receiving the offset of a data chunk"),
  ROW (CHUNK_DATA, CONNECTED, VARIABLE, reply_chunk_data,
       "receiving a data chunk"),
  ROW (CHUNK_HOLE, CONNECTED, 12, reply_chunk_hole,
       "receiving a hole chunk"),
  ROW (CHUNK_CONTEXT, CONNECTED, VARIABLE, reply_chunk_context,
       "receiving the context of a block status chunk"),
  ROW (CHUNK_STATUS, CONNECTED, VARIABLE, reply_chunk_status,
       "receiving the extents of a block status chunk"),
  ROW (CHUNK_ERROR, CONNECTED, VARIABLE, reply_chunk_error,
       "receiving an error chunk"),
  ROW (CHUNK_SKIP, CONNECTED, VARIABLE, reply_chunk_skip,
       "skipping a chunk"),
  ROW (CLOSED, CLOSED, VARIABLE, NULL,
       "the connection was shut down"),
  ROW (DEAD, DEAD, VARIABLE, NULL,
       "the connection failed; the handle can only be closed"),
};

#undef ROW
#undef WAIT_ROW

int
engine_init (struct nbd_handle *h)
{
  h->input.buffer = malloc (READ_AHEAD);
  return h->input.buffer ? 0 : -1;
}

void
engine_free (struct nbd_handle *h)
{
  free (h->input.buffer);
  h->input.buffer = NULL;
}

static void
change_state (struct nbd_handle *h, enum state next)
{
  if (h->state != next)
    debug (h, "state: %s -> %s", state_rows[h->state].name,
           state_rows[next].name);
  h->state = next;
}

void
expect (struct nbd_handle *h, enum state next, void *where, size_t n)
{
  if (state_rows[next].need)
    n = state_rows[next].need;
  assert (where || n <= READ_AHEAD);
  h->input.need = n;
  h->input.where = where;
  h->input.got = 0;
  if (h->state != next)
    change_state (h, next);
}

/* Enter a state that ends the connection.  Nothing borrows the callers' buffers
 * when their completions run.
 */
static void
end (struct nbd_handle *h, enum state last)
{
  /* What has arrived of a read is not zeroed. */
  if (h->input.where)
    command_filled (h->reply.command, h->input.where + h->input.got);
  h->input.need = h->input.got = h->input.head = h->input.tail = 0;
  h->input.where = NULL;
  change_state (h, last);
  engine_publish (h);           /* for completion callbacks that ask */
  addresses_free (h);
  retry_free (h);
  transport_close (h);
  queue_clear (h);
  option_abandon (h, ENOTCONN);
  command_abort_all (h, ENOTCONN);
}

void
fail (struct nbd_handle *h, int errnum, const char *fmt, ...)
{
  va_list args;

  if (h->state == STATE_DEAD || h->state == STATE_CLOSED)
    return;
  /* A goodbye may be queued: it leaves if it can. */
  if (handle_phase (h) & (PHASE_CONNECTING | PHASE_NEGOTIATING) &&
      h->transport)
    transport_send (h);
  end (h, STATE_DEAD);
  /* Last, because completion callbacks may use other handles. */
  va_start (args, fmt);
  error_vset (h->function, errnum, fmt, args);
  va_end (args);
}

void
engine_close (struct nbd_handle *h)
{
  if (h->state != STATE_DEAD && h->state != STATE_CLOSED)
    end (h, STATE_CLOSED);
}

/* How much to receive ahead.  Where a large read is likely to be answered next
 * it is no more than the header, so that its data can go straight to their
 * place.
 */
static size_t
ahead (const struct nbd_handle *h)
{
  const struct command *next = h->commands.in_flight.first;

  if (next && next == h->reply.command)
    next = next->next;
  if (next == NULL || next->type != NBD_CMD_READ || next->count < LARGE_READ)
    return READ_AHEAD;
  return h->extended_headers ? 40 : h->structured_replies ? 28 : 16;
}

/* Whether bytes are received at their place.  Where only a few are missing it
 * costs less to copy them than to receive in two places.
 */
static bool
goes_straight (const struct input *in)
{
  return in->where && in->need - in->got >= LARGE_READ;
}

int
engine_room (struct nbd_handle *h, struct iovec iov[2])
{
  struct input *in = &h->input;
  size_t missing = in->need - in->got, room = ahead (h);
  int n = 0;

  if (state_rows[h->state].take == NULL)
    return 0;
  if (in->head == in->tail)
    in->head = in->tail = 0;
  else if (in->head + in->need > READ_AHEAD) {
    memmove (in->buffer, in->buffer + in->head, in->tail - in->head);
    in->tail -= in->head;
    in->head = 0;
  }
  if (goes_straight (in))
    iov[n++] = (struct iovec) { in->where + in->got, missing };
  else if (in->where)
    room += missing;
  else
    room = MAX (room, missing - (in->tail - in->head));
  room = MIN (room, READ_AHEAD - in->tail);
  iov[n++] = (struct iovec) { in->buffer + in->tail, room };
  return n;
}

/* Give the taker of the present state what it wants, if all of it is there. */
static bool
step (struct nbd_handle *h)
{
  struct input *in = &h->input;
  const struct state_row *row = &state_rows[h->state];
  size_t buffered = in->tail - in->head, n;
  const uint8_t *p;

  if (row->take == NULL)
    return false;
  if (in->where) {
    n = MIN (in->need - in->got, buffered);
    memcpy (in->where + in->got, in->buffer + in->head, n);
    in->got += n;
    in->head += n;
    if (in->got < in->need)
      return false;
    p = in->where;
  }
  else {
    if (buffered < in->need)
      return false;
    p = in->buffer + in->head;
    in->head += in->need;
  }
  row->take (h, &(struct reader) { .p = p, .n = in->need });
  return true;
}

void
engine_run (struct nbd_handle *h)
{
  h->paused = false;
  while (!h->paused && step (h))
    ;
}

int
engine_resume (struct nbd_handle *h)
{
  if (!h->paused)
    return 0;
  engine_run (h);
  return h->state == STATE_DEAD ? -1 : 0;
}

void
engine_received (struct nbd_handle *h, size_t n)
{
  struct input *in = &h->input;

  h->stats.bytes_received += n;
  if (goes_straight (in)) {
    size_t placed = MIN (n, in->need - in->got);

    in->got += placed;
    n -= placed;
  }
  in->tail += n;
  engine_run (h);
}

void
engine_eof (struct nbd_handle *h)
{
  /* Between replies a server may go, whatever it owes us. */
  if (h->state == STATE_READY && !engine_has_input (h))
    engine_close (h);
  else
    fail (h, 0, "recv: server disconnected unexpectedly");
}

bool
engine_has_input (const struct nbd_handle *h)
{
  return h->input.head != h->input.tail;
}

bool
engine_is_idle (const struct nbd_handle *h)
{
  return handle_phase (h) == PHASE_CONNECTED && h->queue.count == 0 &&
    h->unsent == 0;
}

const struct state_row *
engine_row (const struct nbd_handle *h)
{
  return &state_rows[engine_is_idle (h) ? STATE_READY : h->state];
}

/* Inline, since each call of the API ends with it. */
static inline unsigned
direction (const struct nbd_handle *h)
{
  const struct state_row *row = &state_rows[h->state];

  if (row->direction)
    return row->direction (h);
  return (row->take ? LIBNBD_AIO_DIRECTION_READ : 0) |
    (h->queue.count > 0 || h->unsent > 0 ? LIBNBD_AIO_DIRECTION_WRITE : 0);
}

unsigned
engine_direction (const struct nbd_handle *h)
{
  return direction (h);
}

void
engine_publish (struct nbd_handle *h)
{
  unsigned d = direction (h);
  unsigned v = handle_phase (h) | (engine_is_idle (h) ? PUBLISHED_IDLE : 0) |
    d << PUBLISHED_DIRECTION_SHIFT;

  if (d & LIBNBD_AIO_DIRECTION_WRITE)
    h->told_to_write = true;
  if (v != atomic_load_explicit (&h->published, memory_order_relaxed))
    atomic_store_explicit (&h->published, v, memory_order_release);
}
