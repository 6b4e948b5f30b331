/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Replies in the transmission phase: simple replies, structured chunks and
 * extended chunks; see "Transmission" in the specification.
 *
 * A reply that breaks the protocol in a way that can be skipped fails its own
 * command with EPROTO; one that leaves the stream without sense fails the
 * connection.
 */

#include "config.h"

#include <errno.h>

#include "internal.h"

/* Chunks of one reply beyond what its content can need. */
#define SPARE_CHUNKS 64

/* Bytes of extents that are converted together: a multiple of either size. */
#define EXTENTS_PIECE 4096

void
reply_expect (struct nbd_handle *h)
{
  h->reply.command = NULL;
  expect (h, STATE_READY, NULL, h->extended_headers ? 32 : 16);
}

static int
errno_of (uint32_t error)
{
  switch (error) {
  case 0: return 0;
  case NBD_EPERM: return EPERM;
  case NBD_EIO: return EIO;
  case NBD_ENOMEM: return ENOMEM;
  case NBD_EINVAL: return EINVAL;
  case NBD_ENOSPC: return ENOSPC;
  case NBD_EOVERFLOW: return EOVERFLOW;
  case NBD_ENOTSUP: return ENOTSUP;
  case NBD_ESHUTDOWN: return ESHUTDOWN;
  default: return EINVAL;
  }
}

/* No more of the reply will come. */
static void
reply_end (struct nbd_handle *h)
{
  struct command *cmd = h->reply.command;

  if (cmd->type == NBD_CMD_READ && cmd->error == 0 &&
      cmd->received != cmd->count) {
    debug (h, "read of %llu bytes was answered with %llu bytes",
           (unsigned long long) cmd->count, (unsigned long long) cmd->received);
    cmd->error = EPROTO;
  }
  reply_expect (h);
  command_replied (h, cmd);
}

/* A chunk is over. */
static void
chunk_end (struct nbd_handle *h)
{
  if (h->reply.flags & NBD_REPLY_FLAG_DONE)
    reply_end (h);
  else
    reply_expect (h);
}

/* Skip what is left of a chunk, in pieces that the buffer can hold. */
static void
skip (struct nbd_handle *h)
{
  if (h->reply.left == 0)
    chunk_end (h);
  else
    expect (h, STATE_CHUNK_SKIP, NULL, MIN (h->reply.left, READ_AHEAD));
}

void
reply_chunk_skip (struct nbd_handle *h, struct reader *r)
{
  h->reply.left -= r->n;
  skip (h);
}

/* The chunk breaks the protocol, but its length is known. */
static void
skip_invalid (struct nbd_handle *h, const char *why)
{
  debug (h, "invalid chunk of type %u: %s", h->reply.type, why);
  command_error (h->reply.command, EPROTO);
  skip (h);
}

/* The mid-command callback of a read.  It may fail the command. */
static void
call_chunk (struct command *cmd, uint8_t *p, uint64_t n, uint64_t offset,
            unsigned status, int error)
{
  nbd_chunk_callback *cb = &cmd->cb.chunk;

  if (cb->callback &&
      cb->callback (cb->user_data, p, n, offset, status, &error) == -1)
    command_error (cmd, error ? error : EPROTO);
}

/* Content was placed: N bytes for OFFSET of the export. */
static void
content (struct command *cmd, uint64_t offset, uint64_t n, unsigned status)
{
  cmd->received += n;           /* chunks are counted, so this is bounded */
  command_filled (cmd, cmd->data + (offset - cmd->offset) + n);
  call_chunk (cmd, cmd->data + (offset - cmd->offset), n, offset, status,
              cmd->error);
}

/* The part of the caller's buffer for a range of the export; NULL if the range
 * is not within what was asked for.
 */
static uint8_t *
place (const struct command *cmd, uint64_t offset, uint64_t n)
{
  if (offset < cmd->offset ||
      !range_inside (offset - cmd->offset, n, cmd->count))
    return NULL;
  return cmd->data + (offset - cmd->offset);
}

/* Payloads, by type of chunk. */

static void
begin_none (struct nbd_handle *h)
{
  if (h->reply.left > 0)
    skip_invalid (h, "it has a payload");
  else if (!(h->reply.flags & NBD_REPLY_FLAG_DONE))
    skip_invalid (h, "it is not the last");
  else
    chunk_end (h);
}

static void
begin_data (struct nbd_handle *h)
{
  if (h->reply.left < 8)
    skip_invalid (h, "it has no offset");
  else
    expect (h, STATE_CHUNK_OFFSET, NULL, 0);
}

void
reply_chunk_offset (struct nbd_handle *h, struct reader *r)
{
  uint64_t offset = read_u64 (r);
  uint8_t *p;

  h->reply.left -= 8;
  h->reply.offset = offset;
  p = place (h->reply.command, offset, h->reply.left);
  if (p) {
    command_fill (h->reply.command, offset - h->reply.command->offset);
    expect (h, STATE_CHUNK_DATA, p, h->reply.left);
  }
  else
    skip_invalid (h, "its data is not within the request");
}

void
reply_chunk_data (struct nbd_handle *h, struct reader *r)
{
  content (h->reply.command, h->reply.offset, r->n, LIBNBD_READ_DATA);
  chunk_end (h);
}

static void
begin_hole (struct nbd_handle *h)
{
  if (h->reply.left != 12)
    skip_invalid (h, "its length is not 12");
  else
    expect (h, STATE_CHUNK_HOLE, NULL, 0);
}

void
reply_chunk_hole (struct nbd_handle *h, struct reader *r)
{
  struct command *cmd = h->reply.command;
  uint64_t offset = read_u64 (r);
  uint32_t n = read_u32 (r);
  uint8_t *p = place (cmd, offset, n);

  h->reply.left = 0;
  if (p == NULL) {
    skip_invalid (h, "its hole is not within the request");
    return;
  }
  /* The callbacks or an earlier chunk may have written there. */
  command_fill (cmd, offset - cmd->offset);
  memset (p, 0, n);
  content (cmd, offset, n, LIBNBD_READ_HOLE);
  chunk_end (h);
}

static void
begin_status (struct nbd_handle *h)
{
  bool extended = h->reply.type == NBD_REPLY_TYPE_BLOCK_STATUS_EXT;
  uint64_t head = extended ? 8 : 4, each = extended ? 16 : 8;
  uint64_t length = h->reply.left;

  if (extended != h->extended_headers)
    skip_invalid (h, "it is of the other kind of header");
  else if (length <= head || (length - head) % each != 0 ||
           (length - head) / each > NBD_MAX_EXTENTS)
    skip_invalid (h, "its length makes no sense");
  else
    expect (h, STATE_CHUNK_CONTEXT, NULL, head);
}

/* The next extents, in pieces that stay in the cache. */
static void
expect_extents (struct nbd_handle *h)
{
  expect (h, STATE_CHUNK_STATUS, NULL, MIN (h->reply.left, EXTENTS_PIECE));
}

void
reply_chunk_context (struct nbd_handle *h, struct reader *r)
{
  const struct meta_context *context;
  size_t n;

  h->reply.left -= r->n;
  n = h->reply.left / (h->extended_headers ? 16 : 8);
  context = meta_find_id (h, read_u32 (r));
  if (context == NULL)
    skip_invalid (h, "its meta context was not negotiated");
  else if (h->extended_headers && read_u32 (r) != n)
    skip_invalid (h, "its count of extents is not their number");
  else if (extents_begin (h, h->reply.command, context->name, n))
    expect_extents (h);
}

void
reply_chunk_status (struct nbd_handle *h, struct reader *r)
{
  h->reply.left -= r->n;
  extents_add (h, h->reply.command, r);
  if (h->reply.left > 0) {
    expect_extents (h);
    return;
  }
  extents_deliver (h, h->reply.command);
  extents_end (h);
  chunk_end (h);
}

static void
begin_error (struct nbd_handle *h)
{
  if (h->reply.left > READ_AHEAD)
    skip_invalid (h, "its message is too long");
  else
    expect (h, STATE_CHUNK_ERROR, NULL, h->reply.left);
}

void
reply_chunk_error (struct nbd_handle *h, struct reader *r)
{
  struct command *cmd = h->reply.command;
  uint32_t error = read_u32 (r);
  uint16_t length = read_u16 (r);
  const uint8_t *message = read_bytes (r, length);
  int errnum = errno_of (error);
  uint64_t offset;

  h->reply.left = 0;
  if (r->bad || length > NBD_MAX_STRING) {
    skip_invalid (h, "its message is longer than the chunk");
    return;
  }
  if (error == 0)
    errnum = EINVAL;            /* an error without an error */
  debug (h, "error %u from server: %.*s", error, (int) length,
         (const char *) message);
  if (h->reply.type == NBD_REPLY_TYPE_ERROR_OFFSET) {
    offset = read_u64 (r);
    if (r->bad || offset < cmd->offset ||
        !range_inside (offset - cmd->offset, 1, cmd->count)) {
      skip_invalid (h, "its offset is not within the request");
      return;
    }
    if (cmd->type == NBD_CMD_READ)
      call_chunk (cmd, cmd->data + (offset - cmd->offset), 0, offset,
                  LIBNBD_READ_ERROR, errnum);
  }
  command_error (cmd, errnum);
  chunk_end (h);
}

/* Which chunk goes with which command.  Unknown types with the error bit are
 * read as NBD_REPLY_TYPE_ERROR, as the specification has it.
 */
#define ANY_COMMAND -1

static const struct chunk_row {
  uint16_t type;
  int command;
  void (*begin) (struct nbd_handle *h);
} chunk_rows[] = {
  { NBD_REPLY_TYPE_NONE, ANY_COMMAND, begin_none },
  { NBD_REPLY_TYPE_OFFSET_DATA, NBD_CMD_READ, begin_data },
  { NBD_REPLY_TYPE_OFFSET_HOLE, NBD_CMD_READ, begin_hole },
  { NBD_REPLY_TYPE_BLOCK_STATUS, NBD_CMD_BLOCK_STATUS, begin_status },
  { NBD_REPLY_TYPE_BLOCK_STATUS_EXT, NBD_CMD_BLOCK_STATUS, begin_status },
};

/* Longer than any chunk that is skipped can be without a purpose: the largest
 * read and its offset, or the most extents.
 */
static bool
is_too_long (const struct command *cmd, uint64_t length)
{
  uint64_t most = 16 * (uint64_t) NBD_MAX_EXTENTS + 8;

  if (cmd->type == NBD_CMD_READ && cmd->count + 8 > most)
    most = cmd->count + 8;
  return length > most;
}

/* The command that a reply is about; NULL after fail (). */
static struct command *
find_awaited (struct nbd_handle *h, uint64_t cookie)
{
  struct command *cmd = command_find (h, cookie);

  h->stats.chunks_received++;
  if (cmd == NULL || cmd->replied || !cmd->begun) {
    fail (h, EPROTO, "no matching cookie found for server reply: %llu is not "
          "in flight", (unsigned long long) cookie);
    return NULL;
  }
  h->reply.command = cmd;
  return cmd;
}

/* The header of a chunk is complete. */
static void
chunk_begin (struct nbd_handle *h, uint64_t cookie, uint64_t length)
{
  struct command *cmd = find_awaited (h, cookie);
  uint64_t most;

  if (cmd == NULL)
    return;
  h->reply.left = length;
  most = MIN (cmd->count, UINT32_MAX / 4) * 2 + h->meta.count + SPARE_CHUNKS;
  if (is_too_long (cmd, length)) {
    fail (h, EPROTO, "server sent a chunk of %llu bytes",
          (unsigned long long) length);
    return;
  }
  if (++cmd->chunks > most) {
    fail (h, EPROTO, "server sent too many chunks in one reply");
    return;
  }
  if (h->extended_headers && h->reply.offset != cmd->offset) {
    skip_invalid (h, "its offset is not that of the request");
    return;
  }
  if (h->reply.type & NBD_REPLY_TYPE_ERR_BIT) {
    begin_error (h);
    return;
  }
  for (size_t i = 0; i < COUNT (chunk_rows); i++)
    if (chunk_rows[i].type == h->reply.type) {
      if (chunk_rows[i].command == ANY_COMMAND ||
          chunk_rows[i].command == cmd->type)
        chunk_rows[i].begin (h);
      else
        skip_invalid (h, "it is not for this command");
      return;
    }
  /* "it MUST initiate a hard disconnect" */
  fail (h, EPROTO, "unknown structured reply type (%u)", h->reply.type);
}

static void
simple_reply (struct nbd_handle *h, struct reader *r)
{
  uint32_t error = read_u32 (r);
  uint64_t cookie = read_u64 (r);
  struct command *cmd = find_awaited (h, cookie);

  if (cmd == NULL)
    return;
  command_error (cmd, errno_of (error));
  if (cmd->type == NBD_CMD_READ && h->structured_replies && error == 0)
    /* Whether data follows is anybody's guess. */
    fail (h, EPROTO, "server sent a simple reply to a structured read");
  else if (cmd->type == NBD_CMD_READ && error == 0)
    expect (h, STATE_READ_DATA, cmd->data, cmd->count);
  else
    reply_end (h);
}

void
reply_read_data (struct nbd_handle *h, struct reader *r)
{
  struct command *cmd = h->reply.command;

  content (cmd, cmd->offset, r->n, LIBNBD_READ_DATA);
  reply_end (h);
}

void
reply_header (struct nbd_handle *h, struct reader *r)
{
  uint32_t magic = read_u32 (r);
  uint64_t cookie;

  if (h->extended_headers && magic == NBD_EXTENDED_REPLY_MAGIC) {
    h->reply.flags = read_u16 (r);
    h->reply.type = read_u16 (r);
    cookie = read_u64 (r);
    h->reply.offset = read_u64 (r);
    chunk_begin (h, cookie, read_u64 (r));
  }
  else if (!h->extended_headers && magic == NBD_SIMPLE_REPLY_MAGIC)
    simple_reply (h, r);
  else if (!h->extended_headers && h->structured_replies &&
           magic == NBD_STRUCTURED_REPLY_MAGIC) {
    h->reply.flags = read_u16 (r);
    h->reply.type = read_u16 (r);
    h->reply.cookie = read_u64 (r);
    expect (h, STATE_CHUNK_LENGTH, NULL, 0);
  }
  else
    fail (h, 0, "invalid reply magic 0x%08x", magic);
}

void
reply_chunk_length (struct nbd_handle *h, struct reader *r)
{
  chunk_begin (h, h->reply.cookie, read_u32 (r));
}
