/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The statistics of a handle are what went over the wire, as the server counts
 * it.
 */

#include "config.h"

#include <errno.h>

#include "calls.h"
#include "peer.h"
#include "tap.h"

/* The four numbers. */
struct numbers {
  uint64_t bytes_sent, chunks_sent, bytes_received, chunks_received;
};

static struct numbers
numbers_of (struct nbd_handle *h)
{
  return (struct numbers) {
    nbd_stats_bytes_sent (h), nbd_stats_chunks_sent (h),
    nbd_stats_bytes_received (h), nbd_stats_chunks_received (h),
  };
}

static struct numbers
numbers_of_server (const struct peer *p)
{
  return (struct numbers) {
    p->server->in.n, p->server->messages_in,
    p->taken, p->server->messages_out,
  };
}

static bool
are_equal (struct numbers got, struct numbers want, const char *name)
{
  bool same = memcmp (&got, &want, sizeof got) == 0;

  ok (same, "%s", name);
  if (!same) {
    note ("got:  sent %llu in %llu, received %llu in %llu",
          (unsigned long long) got.bytes_sent,
          (unsigned long long) got.chunks_sent,
          (unsigned long long) got.bytes_received,
          (unsigned long long) got.chunks_received);
    note ("want: sent %llu in %llu, received %llu in %llu",
          (unsigned long long) want.bytes_sent,
          (unsigned long long) want.chunks_sent,
          (unsigned long long) want.bytes_received,
          (unsigned long long) want.chunks_received);
  }
  return same;
}

/* What was counted since BEFORE. */
static struct numbers
since (struct numbers before, struct nbd_handle *h)
{
  struct numbers now = numbers_of (h);

  return (struct numbers) {
    now.bytes_sent - before.bytes_sent,
    now.chunks_sent - before.chunks_sent,
    now.bytes_received - before.bytes_received,
    now.chunks_received - before.chunks_received,
  };
}

/* A negotiation whose numbers can be counted by hand. */
static void
test_negotiation (void)
{
  struct offer offer = everything;
  struct peer *p;

  offer.replies = SIMPLE;
  p = peer_new (&offer);
  are_equal (numbers_of (p->h), (struct numbers) { 0 },
             "nothing is counted before connecting");
  peer_connect (p);
  are_equal (numbers_of (p->h), (struct numbers) { 0 },
             "nothing is counted before the greeting");
  peer_settle (p);
  /* Client flags; two options, GO and its data.  The greeting; two refusals;
   * the size of the export and the end.
   */
  are_equal (numbers_of (p->h), (struct numbers) {
      4 + 16 + 16 + 16 + 8, 3, 18 + 20 + 20 + 32 + 20, 5,
    }, "the handshake is counted, option by option and reply by reply");
  are_equal (numbers_of (p->h), numbers_of_server (p),
             "as the server counts it");
  peer_free (p);
}

/* Requests of each kind, over replies of each kind. */
static void
test_requests (enum replies replies, const char *words)
{
  /* What each of the calls below sends beside the header, and receives beside
   * the header or headers.
   */
  static const struct {
    const char *name;
    unsigned payload;
    unsigned chunks[3];         /* of the reply, by its kind */
    unsigned content[3];
  } rows[] = {
    { "nbd_pread", 0, { 1, 2, 2 }, { 512, 512 + 16, 512 + 16 } },
    { "nbd_pwrite", 512, { 1, 1, 1 }, { 0, 0, 0 } },
    { "nbd_flush", 0, { 1, 1, 1 }, { 0, 0, 0 } },
    { "nbd_trim", 0, { 1, 1, 1 }, { 0, 0, 0 } },
    { "nbd_cache", 0, { 1, 1, 1 }, { 0, 0, 0 } },
    { "nbd_zero", 0, { 1, 1, 1 }, { 0, 0, 0 } },
    { "nbd_block_status", 0, { 0, 1, 1 }, { 0, 12, 24 } },
  };
  const unsigned request = replies == EXTENDED ? 32 : 28;
  struct offer offer = everything;
  struct peer *p;

  offer.replies = replies;
  p = peer_mute (&offer);
  p->server->mute = false;
  p->server->chunked = true;
  for (size_t i = 0; i < COUNT (rows); i++) {
    struct numbers before = numbers_of (p->h);
    bool structured = replies == STRUCTURED &&
      (i == 0 || i == COUNT (rows) - 1);
    unsigned header = replies == EXTENDED ? 32 : structured ? 20 : 16;
    unsigned chunks = rows[i].chunks[replies];
    size_t j = 0;
    char name[128];

    if (chunks == 0)
      continue;
    reset_tokens ();
    while (strcmp (data_calls[j].name, rows[i].name) != 0)
      j++;
    data_calls[j].run (p->h, 512, 0, 0);
    snprintf (name, sizeof name, "%s with %s is counted, byte by byte",
              rows[i].name, words);
    are_equal (since (before, p->h), (struct numbers) {
        request + rows[i].payload, 1,
        chunks * header + rows[i].content[replies], chunks,
      }, name);
  }
  are_equal (numbers_of (p->h), numbers_of_server (p),
             "at the end it is all as the server counts it");
  peer_free (p);
}

static void
test_refused (void)
{
  struct peer *p = peer_in (PHASE_CONNECTED);
  struct numbers before = numbers_of (p->h);

  nbd_pread (p->h, call_buffer, 512, UINT64_MAX, 0);
  nbd_pwrite (p->h, call_buffer, 0, 0, 0);
  nbd_flush (p->h, 0x8000);
  are_equal (numbers_of (p->h), before, "calls that are refused send nothing");
  peer_free (p);
}

/* Bytes count when they leave, whenever that is. */
static void
test_half_sent (void)
{
  struct peer *p = peer_mute (&everything);
  struct numbers before = numbers_of (p->h);

  p->room = 100;
  nbd_aio_pwrite (p->h, call_buffer, 512, 0, NBD_NULL_COMPLETION, 0);
  is_int (since (before, p->h).bytes_sent, 100,
          "of a write that is half sent, that half is counted");
  p->room = 44;
  nbd_aio_notify_write (p->h);
  is_int (since (before, p->h).bytes_sent, 144, "what follows is added");
  p->room = SIZE_MAX;
  nbd_aio_notify_write (p->h);
  are_equal (numbers_of (p->h), numbers_of_server (p),
             "when it has left all is counted");
  peer_free (p);
}

/* Half a message that arrives. */
static void
test_half_received (void)
{
  struct peer *p = peer_mute (&everything);
  struct numbers before = numbers_of (p->h);
  uint8_t half[10] = { 0x6e, 0x8a, 0x27, 0x8c };

  buffer_append (&p->server->out, half, sizeof half);
  peer_settle (p);
  are_equal (since (before, p->h), (struct numbers) { 0, 0, sizeof half, 0 },
             "of a reply that is half received the bytes are counted");
  peer_free (p);
}

static void
test_end (void)
{
  struct peer *p = peer_in (PHASE_CONNECTED);
  struct numbers before = numbers_of (p->h);

  is_int (nbd_shutdown (p->h, 0), 0, "the connection is shut down");
  are_equal (since (before, p->h), (struct numbers) { 32, 1, 0, 0 },
             "the request to disconnect is counted");
  are_equal (numbers_of (p->h), numbers_of_server (p),
             "the numbers can be read when the connection has ended");
  peer_free (p);

  p = peer_in (PHASE_NEGOTIATING);
  before = numbers_of (p->h);
  nbd_opt_info (p->h);
  nbd_opt_abort (p->h);
  is_int (nbd_aio_is_closed (p->h), 1, "a negotiation is given up");
  is_int (nbd_stats_bytes_sent (p->h), p->server->in.n,
          "each byte of its options is counted");
  is_int (nbd_stats_chunks_sent (p->h), p->server->messages_in,
          "and each option, up to the one that gives up");
  peer_free (p);

  p = peer_in (PHASE_DEAD);
  ok (nbd_stats_bytes_sent (p->h) == p->server->in.n &&
      nbd_stats_bytes_received (p->h) == p->taken,
      "the bytes can be read when the handle is dead");
  peer_free (p);
}

/* Opens the way for what is still to be sent. */
static int
open_room (void *vp, int *error)
{
  struct peer *p = vp;

  p->room = SIZE_MAX;
  if (*error != ENOTCONN)
    note ("the command completed with %d", *error);
  return 0;
}

/* Commands that are dropped never went over the wire, but the request to
 * disconnect did, wherever in the queue it was.
 */
static void
test_abandoned (bool disconnect_first)
{
  const char *words = disconnect_first ? "after" : "before";
  struct peer *p = peer_in (PHASE_CONNECTED);
  struct numbers before = numbers_of (p->h);
  nbd_completion_callback dropped = { open_room, p, NULL };

  p->room = 100;
  nbd_aio_pwrite (p->h, call_buffer, 512, 0, NBD_NULL_COMPLETION, 0);
  nbd_aio_flush (p->h, dropped, 0);
  nbd_aio_trim (p->h, 512, 0, NBD_NULL_COMPLETION, 0);
  if (disconnect_first)
    nbd_aio_disconnect (p->h, 0);
  is_int (nbd_shutdown (p->h, LIBNBD_SHUTDOWN_ABANDON_PENDING), 0,
          "commands can be abandoned %s nbd_aio_disconnect", words);
  is_int (since (before, p->h).bytes_sent, 32 + 512 + 32,
          "%s it, what has begun to leave and the request to disconnect are "
          "sent, no more", words);
  are_equal (numbers_of (p->h), numbers_of_server (p),
             "and nothing else is counted");
  peer_free (p);
}

int
main (void)
{
  tap_begin ();
  test_negotiation ();
  test_requests (SIMPLE, "simple replies");
  test_requests (STRUCTURED, "structured replies");
  test_requests (EXTENDED, "extended headers");
  test_refused ();
  test_half_sent ();
  test_half_received ();
  test_end ();
  test_abandoned (false);
  test_abandoned (true);
  return tap_end ();
}
