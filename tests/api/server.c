/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The server of the API tests; see "Handshake" and "Transmission" in the
 * specification.
 */

#include "config.h"

#include <stdlib.h>

#include "internal.h"
#include "server.h"

const struct offer everything = {
  .replies = EXTENDED, .size = 1 << 20,
  .flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
    NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_DF |
    NBD_FLAG_CAN_MULTI_CONN | NBD_FLAG_SEND_CACHE | NBD_FLAG_SEND_FAST_ZERO |
    NBD_FLAG_BLOCK_STATUS_PAYLOAD,
  .context = "base:allocation",
};

void
buffer_append (struct buffer *b, const void *p, size_t n)
{
  if (b->n + n > b->size) {
    b->size = (b->n + n) * 2;
    b->p = realloc (b->p, b->size);
    if (b->p == NULL)
      abort ();
  }
  if (n > 0)
    memcpy (b->p + b->n, p, n);
  b->n += n;
}

static void
say_uint (struct server *s, uint64_t v, size_t n)
{
  uint8_t bytes[8];
  struct writer w = writer_init (bytes, sizeof bytes);

  write_uint (&w, v, n);
  buffer_append (&s->out, bytes, w.n);
}

/* The head of a reply to OPTION, whose payload of N bytes follows. */
static void
say_option_reply (struct server *s, uint32_t option, uint32_t type, uint32_t n)
{
  say_uint (s, NBD_REP_MAGIC, 8);
  say_uint (s, option, 4);
  say_uint (s, type, 4);
  say_uint (s, n, 4);
  s->messages_out++;
}

/* Agree to replies of KIND if they are offered. */
static void
negotiate (struct server *s, uint32_t option, enum replies kind)
{
  bool agreed = s->offer.replies >= kind;

  if (agreed)
    s->replies = kind;
  say_option_reply (s, option, agreed ? NBD_REP_ACK : NBD_REP_ERR_UNSUP, 0);
}

static void
grant_context (struct server *s, uint32_t option)
{
  if (s->offer.context) {
    size_t n = strlen (s->offer.context);

    say_option_reply (s, option, NBD_REP_META_CONTEXT, 4 + n);
    say_uint (s, CONTEXT_ID, 4);
    buffer_append (&s->out, s->offer.context, n);
  }
  say_option_reply (s, option, NBD_REP_ACK, 0);
}

static void
describe_export (struct server *s, uint32_t option)
{
  const struct offer *o = &s->offer;

  say_option_reply (s, option, NBD_REP_INFO, 12);
  say_uint (s, NBD_INFO_EXPORT, 2);
  say_uint (s, o->size, 8);
  say_uint (s, o->flags, 2);
  if (o->minimum) {
    say_option_reply (s, option, NBD_REP_INFO, 14);
    say_uint (s, NBD_INFO_BLOCK_SIZE, 2);
    say_uint (s, o->minimum, 4);
    say_uint (s, o->preferred, 4);
    say_uint (s, o->maximum, 4);
  }
  say_option_reply (s, option, NBD_REP_ACK, 0);
}

/* The stage is one in which nothing is handled. */
static void
answer_starttls (struct server *s)
{
  const struct offer *o = &s->offer;
  uint32_t type = s->secured ? NBD_REP_ERR_INVALID : NBD_REP_ERR_UNSUP;

  if (s->secured ? o->tls_twice : o->tls) {
    type = NBD_REP_ACK;
    s->stage = STARTTLS;
  }
  say_option_reply (s, NBD_OPT_STARTTLS, type, 0);
}

static void
answer_option (struct server *s, uint32_t option)
{
  s->messages_in++;
  switch (option) {
  case NBD_OPT_ABORT:
    say_option_reply (s, option, NBD_REP_ACK, 0);
    s->ended = true;
    s->stage = SILENCE;
    break;
  case NBD_OPT_LIST:
    say_option_reply (s, option, NBD_REP_SERVER, 4);
    say_uint (s, 0, 4);
    say_option_reply (s, option, NBD_REP_ACK, 0);
    break;
  case NBD_OPT_STARTTLS:
    answer_starttls (s);
    break;
  case NBD_OPT_STRUCTURED_REPLY:
    negotiate (s, option, STRUCTURED);
    break;
  case NBD_OPT_EXTENDED_HEADERS:
    negotiate (s, option, EXTENDED);
    break;
  case NBD_OPT_LIST_META_CONTEXT:
  case NBD_OPT_SET_META_CONTEXT:
    grant_context (s, option);
    break;
  case NBD_OPT_INFO:
  case NBD_OPT_GO:
    describe_export (s, option);
    if (option == NBD_OPT_GO)
      s->stage = REQUESTS;
    break;
  default:
    say_option_reply (s, option, NBD_REP_ERR_UNSUP, 0);
  }
}

/* A request, and how its reply begins. */
struct request {
  uint16_t flags, type;
  uint64_t cookie, offset, length;
};

static void
say_simple (struct server *s, const struct request *r)
{
  say_uint (s, NBD_SIMPLE_REPLY_MAGIC, 4);
  say_uint (s, 0, 4);
  say_uint (s, r->cookie, 8);
  s->messages_out++;
}

static void
say_chunk (struct server *s, const struct request *r, uint16_t type,
           uint64_t n, bool last)
{
  bool extended = s->replies == EXTENDED;

  say_uint (s, extended ? NBD_EXTENDED_REPLY_MAGIC
            : NBD_STRUCTURED_REPLY_MAGIC, 4);
  say_uint (s, last ? NBD_REPLY_FLAG_DONE : 0, 2);
  say_uint (s, type, 2);
  say_uint (s, r->cookie, 8);
  if (extended)
    say_uint (s, r->offset, 8);
  say_uint (s, n, extended ? 8 : 4);
  s->messages_out++;
}

static void
say_data (struct server *s, uint64_t offset, uint64_t n)
{
  for (uint64_t i = offset; i < offset + n; i++)
    say_uint (s, i < DISK_SIZE ? s->disk[i] : 0, 1);
}

static void
answer_read (struct server *s, const struct request *r)
{
  uint64_t first = s->chunked ? r->length / 2 : 0;

  if (s->replies == SIMPLE) {
    say_simple (s, r);
    say_data (s, r->offset, r->length);
    return;
  }
  if (first > 0) {
    say_chunk (s, r, NBD_REPLY_TYPE_OFFSET_DATA, 8 + first, false);
    say_uint (s, r->offset, 8);
    say_data (s, r->offset, first);
  }
  say_chunk (s, r, NBD_REPLY_TYPE_OFFSET_DATA, 8 + r->length - first, true);
  say_uint (s, r->offset + first, 8);
  say_data (s, r->offset + first, r->length - first);
}

/* One extent: all of it is data. */
static void
answer_block_status (struct server *s, const struct request *r,
                     uint64_t length)
{
  if (s->replies == EXTENDED) {
    say_chunk (s, r, NBD_REPLY_TYPE_BLOCK_STATUS_EXT, 8 + 16, true);
    say_uint (s, CONTEXT_ID, 4);
    say_uint (s, 1, 4);
    say_uint (s, length, 8);
    say_uint (s, 0, 8);
  }
  else {
    say_chunk (s, r, NBD_REPLY_TYPE_BLOCK_STATUS, 4 + 8, true);
    say_uint (s, CONTEXT_ID, 4);
    say_uint (s, length, 4);
    say_uint (s, 0, 4);
  }
}

static void
store (struct server *s, uint64_t offset, const uint8_t *p, uint64_t n)
{
  for (uint64_t i = 0; i < n && offset + i < DISK_SIZE; i++)
    s->disk[offset + i] = p ? p[i] : 0;
}

static void
answer_request (struct server *s, const struct request *r,
                const uint8_t *payload)
{
  struct reader effect = reader_init (payload, 8);

  switch (r->type) {
  case NBD_CMD_READ:
    answer_read (s, r);
    return;
  case NBD_CMD_BLOCK_STATUS:
    answer_block_status (s, r, payload ? read_u64 (&effect) : r->length);
    return;
  case NBD_CMD_DISC:
    s->ended = true;
    s->stage = SILENCE;
    return;
  case NBD_CMD_WRITE:
  case NBD_CMD_WRITE_ZEROES:
    store (s, r->offset, payload, r->length);
    break;
  }
  if (s->replies == EXTENDED)
    say_chunk (s, r, NBD_REPLY_TYPE_NONE, 0, true);
  else
    say_simple (s, r);
}

/* Each of these takes one message, if all of it is there. */

static bool
take_client_flags (struct server *s, struct reader *r)
{
  if (read_bytes (r, 4) == NULL)
    return false;
  s->stage = OPTIONS;
  return true;
}

static bool
take_option (struct server *s, struct reader *r)
{
  uint32_t option, length;

  read_bytes (r, 8);
  option = read_u32 (r);
  length = read_u32 (r);
  if (read_bytes (r, length) == NULL)
    return false;
  answer_option (s, option);
  return true;
}

static bool
take_request (struct server *s, struct reader *r)
{
  struct request req;
  const uint8_t *payload = NULL;

  read_bytes (r, 4);
  req.flags = read_u16 (r);
  req.type = read_u16 (r);
  req.cookie = read_u64 (r);
  req.offset = read_u64 (r);
  req.length = read_uint (r, s->replies == EXTENDED ? 8 : 4);
  if (r->bad)
    return false;
  if (req.type == NBD_CMD_WRITE ||
      (s->replies == EXTENDED && req.flags & LIBNBD_CMD_FLAG_PAYLOAD_LEN)) {
    payload = read_bytes (r, req.length);
    if (payload == NULL)
      return false;
  }
  s->messages_in++;
  if (!s->mute)
    answer_request (s, &req, payload);
  return true;
}

void
server_take (struct server *s, const void *p, size_t n)
{
  bool more = true;

  buffer_append (&s->in, p, n);
  while (more) {
    struct reader r = reader_init (s->in.p + s->handled, s->in.n - s->handled);

    switch (s->stage) {
    case HANDSHAKE_FLAGS: more = take_client_flags (s, &r); break;
    case OPTIONS: more = take_option (s, &r); break;
    case REQUESTS: more = take_request (s, &r); break;
    default: more = false;
    }
    if (more)
      s->handled = s->in.n - r.n;
  }
}

struct server *
server_new (const struct offer *offer)
{
  struct server *s = calloc (1, sizeof *s);

  if (s == NULL)
    abort ();
  s->offer = *offer;
  say_uint (s, NBD_MAGIC, 8);
  say_uint (s, NBD_NEW_VERSION, 8);
  say_uint (s, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES, 2);
  s->messages_out++;
  return s;
}

void
server_secure (struct server *s)
{
  s->secured = true;
  s->replies = SIMPLE;
  s->stage = OPTIONS;
}

void
server_free (struct server *s)
{
  free (s->in.p);
  free (s->out.p);
  free (s);
}
