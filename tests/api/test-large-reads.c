/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads that are too large to be zeroed as a whole: whatever the server leaves
 * out, the buffer shows no old memory when they have ended.
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "failing.h"
#include "peer.h"
#include "tap.h"

#define SIZE 20000
#define OLD 0xaa                /* memory before the read */
#define NEW 0x11                /* data of the server */
#define MAX_CHUNKS 4

/* What the server sends, and what becomes of the buffer. */
static const struct reply {
  const char *name;
  struct chunk {
    uint16_t type;
    uint32_t offset, length;
    uint32_t sent;              /* bytes of data, if not all; then it goes */
  } chunks[MAX_CHUNKS];
  int error;                    /* of the command */
} replies[] = {
  { "all of it", { { NBD_REPLY_TYPE_OFFSET_DATA, 0, SIZE, 0 } }, 0 },
  { "the second half alone", { { NBD_REPLY_TYPE_OFFSET_DATA, 10000, 10000, 0 } },
    EPROTO },
  { "the first half alone", { { NBD_REPLY_TYPE_OFFSET_DATA, 0, 10000, 0 } },
    EPROTO },
  { "both ends, the last first",
    { { NBD_REPLY_TYPE_OFFSET_DATA, 15000, 5000, 0 },
      { NBD_REPLY_TYPE_OFFSET_DATA, 0, 5000, 0 } }, EPROTO },
  { "three parts in disorder",
    { { NBD_REPLY_TYPE_OFFSET_DATA, 12000, 8000, 0 },
      { NBD_REPLY_TYPE_OFFSET_DATA, 0, 4000, 0 },
      { NBD_REPLY_TYPE_OFFSET_DATA, 4000, 8000, 0 } }, 0 },
  { "the same part twice",
    { { NBD_REPLY_TYPE_OFFSET_DATA, 0, 10000, 0 },
      { NBD_REPLY_TYPE_OFFSET_DATA, 0, 10000, 0 } }, 0 },
  { "a hole between data",
    { { NBD_REPLY_TYPE_OFFSET_DATA, 0, 5000, 0 },
      { NBD_REPLY_TYPE_OFFSET_HOLE, 5000, 10000, 0 },
      { NBD_REPLY_TYPE_OFFSET_DATA, 15000, 5000, 0 } }, 0 },
  { "a hole behind nothing", { { NBD_REPLY_TYPE_OFFSET_HOLE, 9000, 11000, 0 } },
    EPROTO },
  { "an error", { { NBD_REPLY_TYPE_ERROR, 0, 0, 0 } }, EIO },
  { "some data, then an error",
    { { NBD_REPLY_TYPE_OFFSET_DATA, 3000, 7000, 0 },
      { NBD_REPLY_TYPE_ERROR, 0, 0, 0 } }, EIO },
  { "part of the data, then the end",
    { { NBD_REPLY_TYPE_OFFSET_DATA, 0, SIZE, 7000 } }, ENOTCONN },
  { "part of later data, then the end",
    { { NBD_REPLY_TYPE_OFFSET_DATA, 4000, 16000, 100 } }, ENOTCONN },
  { "the second half, part of the first, then the end",
    { { NBD_REPLY_TYPE_OFFSET_DATA, 10000, 10000, 0 },
      { NBD_REPLY_TYPE_OFFSET_DATA, 0, 10000, 100 } }, ENOTCONN },
};

static uint8_t buffer[SIZE + 1], expected[SIZE];
static int result;

static int
complete (void *opaque, int *error)
{
  (void) opaque;
  result = *error;
  return 1;
}

static void
send_chunk (struct peer *p, uint64_t cookie, const struct chunk *c, bool last)
{
  bool data = c->type == NBD_REPLY_TYPE_OFFSET_DATA;
  uint8_t bytes[32 + SIZE];
  struct writer w = writer_init (bytes, sizeof bytes);
  size_t n;

  write_u32 (&w, NBD_STRUCTURED_REPLY_MAGIC);
  write_u16 (&w, last ? NBD_REPLY_FLAG_DONE : 0);
  write_u16 (&w, c->type);
  write_u64 (&w, cookie);
  if (c->type == NBD_REPLY_TYPE_ERROR) {
    write_u32 (&w, 6);
    write_u32 (&w, NBD_EIO);
    write_u16 (&w, 0);
  }
  else {
    write_u32 (&w, data ? 8 + c->length : 12);
    write_u64 (&w, c->offset);
    if (!data)
      write_u32 (&w, c->length);
  }
  n = !data ? 0 : c->sent ? c->sent : c->length;
  memset (bytes + w.n, NEW, n);
  buffer_append (&p->server->out, bytes, w.n + n);
  if (c->type != NBD_REPLY_TYPE_ERROR)
    memset (expected + c->offset, data ? NEW : 0, data ? n : c->length);
  p->server->ended = c->sent > 0;
}

static struct peer *
begin (bool initialize, bool callback, uint64_t *cookie)
{
  struct offer offer = everything;
  struct peer *p;

  offer.replies = STRUCTURED;
  p = peer_mute (&offer);
  nbd_set_pread_initialize (p->h, initialize);
  memset (buffer, OLD, sizeof buffer);
  memset (expected, initialize ? 0 : OLD, SIZE);
  result = -1;
  *cookie = nbd_aio_pread (p->h, buffer, SIZE, 0, (nbd_completion_callback) {
      .callback = callback ? complete : NULL }, 0);
  return p;
}

static void
check_reply (const struct reply *r, bool initialize)
{
  uint64_t cookie;
  struct peer *p = begin (initialize, true, &cookie);

  for (int i = 0; i < MAX_CHUNKS && r->chunks[i].type; i++)
    send_chunk (p, cookie, &r->chunks[i],
                i + 1 == MAX_CHUNKS || r->chunks[i + 1].type == 0);
  peer_settle (p);
  ok (result == r->error && memcmp (buffer, expected, SIZE) == 0 &&
      buffer[SIZE] == OLD, "%s: %s", r->name, initialize ?
      "the rest is zero" : "the rest can be left alone");
  peer_free (p);
}

static bool
buffer_is (uint8_t byte)
{
  memset (expected, byte, SIZE);
  return memcmp (buffer, expected, SIZE) == 0;
}

/* Without the memory for a read; false if it needs less than N allocations. */
static bool
check_no_memory (unsigned n)
{
  struct peer *p = peer_mute (&everything);
  int64_t cookie;

  memset (buffer, OLD, SIZE);
  failing_allocation = n;
  cookie = nbd_aio_pread (p->h, buffer, SIZE, 0, NBD_NULL_COMPLETION, 0);
  failing_allocation = 0;
  if (cookie == -1)
    ok (nbd_get_errno () == ENOMEM && buffer_is (0),
        "a read without memory zeroes the buffer (allocation %u)", n);
  peer_free (p);
  return cookie == -1;
}

int
main (void)
{
  unsigned allocations = 0;
  struct peer *p;
  uint64_t cookie;

  tap_begin ();
  for (size_t i = 0; i < COUNT (replies); i++) {
    check_reply (&replies[i], true);
    check_reply (&replies[i], false);
  }

  p = begin (true, true, &cookie);
  memset (buffer, OLD, SIZE);
  ok (nbd_pread (p->h, buffer, SIZE, UINT64_MAX, 0) == -1 && buffer_is (0),
      "a read that is refused zeroes the buffer");
  nbd_close (p->h);
  p->h = NULL;
  ok (result == ENOTCONN && buffer_is (0), "a read with a completion callback "
      "that nbd_close ends zeroes the buffer");
  peer_free (p);

  p = begin (true, false, &cookie);
  nbd_close (p->h);
  p->h = NULL;
  ok (buffer_is (OLD), "nbd_close leaves the buffer of one without alone");
  peer_free (p);

  while (check_no_memory (allocations + 1))
    allocations++;
  ok (allocations >= 2, "the first read needs %u allocations", allocations);
  return tap_end ();
}
