/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The data commands: what is checked before a request is sent, and the
 * functions of the API that send one.  Each asynchronous function describes
 * its request; the synchronous one waits for it.
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "call.h"
#include "internal.h"

/* No more payload than this, whatever the server would take. */
#define MAX_PAYLOAD (64 * 1024 * 1024)

/* What the server takes when it does not say; see "Size constraints". */
#define DEFAULT_PAYLOAD (32 * 1024 * 1024)
#define MIN_PAYLOAD (1024 * 1024)

/* Bytes of a read from which it is worth not to zero all of its buffer. */
#define ZERO_LATER 4096

/* What a command needs of the server, row by command. */
static const struct command_rule {
  uint16_t needs;               /* transmission flag, or 0 */
  const char *operation;        /* as the refusal names it */
  bool has_range;               /* offset and count mean something */
  bool writes;                  /* not to a read-only export */
  bool has_payload;             /* count bytes travel one way or the other */
} rules[] = {
  [NBD_CMD_READ] = { 0, "read", true, false, true },
  [NBD_CMD_WRITE] = { 0, "write", true, true, true },
  [NBD_CMD_FLUSH] = { NBD_FLAG_SEND_FLUSH, "flush", false, false, false },
  [NBD_CMD_TRIM] = { NBD_FLAG_SEND_TRIM, "trim", true, true, false },
  [NBD_CMD_CACHE] = { NBD_FLAG_SEND_CACHE, "cache", true, false, false },
  [NBD_CMD_WRITE_ZEROES] = { NBD_FLAG_SEND_WRITE_ZEROES, "zero", true, true,
                             false },
  [NBD_CMD_BLOCK_STATUS] = { 0, "block status", true, false, false },
};

/* Command flags that the server must know, row by flag. */
static const struct flag_rule {
  uint16_t flag, needs;
  const char *name;
} flag_rules[] = {
  { LIBNBD_CMD_FLAG_FUA, NBD_FLAG_SEND_FUA, "FUA" },
  { LIBNBD_CMD_FLAG_FAST_ZERO, NBD_FLAG_SEND_FAST_ZERO, "fast zero" },
  { LIBNBD_CMD_FLAG_DF, NBD_FLAG_SEND_DF, "DF" },
};

/* For each function of the API its own: there the type is known, which answers
 * most of the questions, and the call that sends is the last thing to be done.
 * Each function that a system call returns through costs more than the questions.
 */
#define INLINE static inline __attribute__ ((always_inline))

/* A request as the caller describes it.  Callbacks are taken only when the
 * request is sent.
 */
struct request {
  uint16_t type;
  uint32_t flags;
  uint64_t offset, count;
  void *data;                   /* read */
  const void *payload;          /* write */
  char **contexts;              /* block status filter */
  nbd_chunk_callback *chunk;
  nbd_extent_callback *extent;
  nbd_extent64_callback *extent64;
  nbd_completion_callback *completion;
};

/* The largest payload that is sent to the server. */
static uint32_t
max_outgoing_payload (struct nbd_handle *h)
{
  uint32_t max = h->export.block_maximum;

  if (max == 0)
    max = DEFAULT_PAYLOAD;
  if (max < MIN_PAYLOAD)
    max = MIN_PAYLOAD;
  return MIN (max, MAX_PAYLOAD);
}

int64_t
api_get_block_size (struct nbd_handle *h, int size_type)
{
  if (!h->export.known) {
    error_set (h, EINVAL, "server has not returned export flags, "
               "you need to connect to the server first");
    return -1;
  }
  switch (size_type) {
  case LIBNBD_SIZE_MINIMUM: return h->export.block_minimum;
  case LIBNBD_SIZE_PREFERRED: return h->export.block_preferred;
  case LIBNBD_SIZE_MAXIMUM: return h->export.block_maximum;
  default: return max_outgoing_payload (h);
  }
}

/* Whether the request is within what the server advertised. */
INLINE bool
is_advertised (struct nbd_handle *h, const struct request *r)
{
  const struct command_rule *rule = &rules[r->type];

  if (r->type == NBD_CMD_BLOCK_STATUS) {
    if (!h->structured_replies) {
      error_set (h, ENOTSUP, "server does not support structured replies");
      return false;
    }
    if (h->meta.count == 0) {
      error_set (h, ENOTSUP, "did not negotiate any metadata contexts, either "
                 "you did not call nbd_add_meta_context before connecting or "
                 "the server does not support it");
      return false;
    }
  }
  if (rule->needs && !(h->export.flags & rule->needs)) {
    error_set (h, EINVAL, "server does not support %s operations",
               rule->operation);
    return false;
  }
  if (rule->writes && (h->export.flags & NBD_FLAG_READ_ONLY)) {
    error_set (h, EPERM, "server does not support write operations");
    return false;
  }
  for (size_t i = 0; i < COUNT (flag_rules); i++)
    if ((r->flags & flag_rules[i].flag) &&
        !(h->export.flags & flag_rules[i].needs)) {
      error_set (h, EINVAL, "server does not support the %s flag",
                 flag_rules[i].name);
      return false;
    }
  if (r->type == NBD_CMD_WRITE &&
      !!(r->flags & LIBNBD_CMD_FLAG_PAYLOAD_LEN) != h->extended_headers) {
    error_set (h, EINVAL, "the PAYLOAD_LEN flag must be set with extended "
               "headers, and only there");
    return false;
  }
  if (r->contexts && !(h->export.flags & NBD_FLAG_BLOCK_STATUS_PAYLOAD)) {
    error_set (h, EINVAL, "server does not support the block status payload");
    return false;
  }
  if (r->contexts && !(r->flags & LIBNBD_CMD_FLAG_PAYLOAD_LEN)) {
    error_set (h, EINVAL, "the PAYLOAD_LEN flag must be set");
    return false;
  }
  return true;
}

/* Whether offset and count are within bounds, aligned and not too large. */
INLINE bool
is_in_range (struct nbd_handle *h, const struct request *r)
{
  const struct command_rule *rule = &rules[r->type];
  uint64_t limit = h->extended_headers ? UINT64_MAX : UINT32_MAX;

  if (rule->has_payload)
    limit = MAX_PAYLOAD;
  if ((h->strict_mode & LIBNBD_STRICT_ZERO_SIZE) && r->count == 0) {
    error_set (h, EINVAL, "count cannot be 0");
    return false;
  }
  if ((h->strict_mode & LIBNBD_STRICT_BOUNDS) &&
      !range_inside (r->offset, r->count, h->export.size)) {
    error_set (h, rule->writes ? ENOSPC : EINVAL, "request out of bounds");
    return false;
  }
  if ((h->strict_mode & LIBNBD_STRICT_ALIGN) && h->export.block_minimum &&
      ((r->offset | r->count) & (h->export.block_minimum - 1))) {
    error_set (h, EINVAL, "request is unaligned");
    return false;
  }
  if (r->type == NBD_CMD_WRITE && (h->strict_mode & LIBNBD_STRICT_PAYLOAD))
    limit = max_outgoing_payload (h);
  if (r->count > limit) {
    error_set (h, ERANGE, "request too large: maximum request size is %llu",
               (unsigned long long) limit);
    return false;
  }
  return true;
}

INLINE bool
is_permitted (struct nbd_handle *h, const struct request *r)
{
  if ((h->strict_mode & LIBNBD_STRICT_COMMANDS) && !is_advertised (h, r))
    return false;
  if (h->disconnecting) {
    error_set (h, EINVAL, "cannot request more commands after NBD_CMD_DISC");
    return false;
  }
  return !rules[r->type].has_range || is_in_range (h, r);
}

/* The payload that limits block status to some contexts: the effect length and
 * the ids.  NULL with the error set.
 */
static void *
build_filter (struct nbd_handle *h, char **contexts, uint64_t count,
              size_t *length)
{
  size_t n = 0;
  struct writer w;
  void *p;

  while (contexts[n])
    n++;
  *length = 8 + 4 * n;
  p = malloc (*length);
  if (p == NULL) {
    error_set (h, errno, "malloc");
    return NULL;
  }
  w = writer_init (p, *length);
  write_u64 (&w, count);
  for (size_t i = 0; i < n; i++) {
    const struct meta_context *context = meta_find_name (h, contexts[i]);

    if (context == NULL) {
      error_set (h, EINVAL, "meta context '%s' was not negotiated",
                 contexts[i]);
      free (p);
      return NULL;
    }
    write_u32 (&w, context->id);
  }
  return p;
}

/* A read buffer never shows old memory.  A small one is zeroed before the request
 * is sent, and any that is refused.  Of a larger one that would be up to a tenth of
 * all that the read costs, so only what the server leaves out is zeroed, when the
 * command completes; see command_fill ().
 */
static int64_t
refuse (struct nbd_handle *h, void *data, size_t count)
{
  call_zero (h, data, count);
  return -1;
}

/* Check, issue; the cookie or -1. */
INLINE int64_t
submit (struct nbd_handle *h, struct request *r)
{
  const void *payload = r->payload;
  size_t payload_length = r->payload ? r->count : 0;
  struct command *cmd;
  void *owned = NULL;

  if ((h->strict_mode & LIBNBD_STRICT_AUTO_FLAG) &&
      (r->type == NBD_CMD_WRITE || r->contexts)) {
    r->flags &= ~LIBNBD_CMD_FLAG_PAYLOAD_LEN;
    if (h->extended_headers)
      r->flags |= LIBNBD_CMD_FLAG_PAYLOAD_LEN;
  }
  if (!is_permitted (h, r))
    return refuse (h, r->data, r->count);
  if (r->contexts && h->extended_headers &&
      (r->flags & LIBNBD_CMD_FLAG_PAYLOAD_LEN)) {
    payload = owned = build_filter (h, r->contexts, r->count, &payload_length);
    if (owned == NULL)
      return -1;
  }
  cmd = command_new (h);
  if (cmd == NULL) {
    error_set (h, errno, "malloc");
    free (owned);
    return refuse (h, r->data, r->count);
  }
  cmd->type = r->type;
  cmd->flags = r->flags;
  cmd->offset = r->offset;
  cmd->count = r->count;
  cmd->data = r->data;
  cmd->payload = owned;
  if (r->data && r->count < ZERO_LATER)
    call_zero (h, r->data, r->count);
  else
    cmd->initialize = r->data && h->pread_initialize;
  if (r->completion)
    TAKE_CALLBACK (cmd->completion, r->completion);
  if (r->chunk)
    TAKE_CALLBACK (cmd->cb.chunk, r->chunk);
  if (r->extent)
    TAKE_CALLBACK (cmd->cb.extent, r->extent);
  if (r->extent64) {
    TAKE_CALLBACK (cmd->cb.extent64, r->extent64);
    cmd->wide = true;
  }
  return command_issue (h, cmd, payload, payload_length);
}

#define SUBMIT(...) submit (h, &(struct request) { __VA_ARGS__ })

int64_t
api_aio_pread (struct nbd_handle *h, void *buf, size_t count, uint64_t offset,
               nbd_completion_callback *completion, uint32_t flags)
{
  return SUBMIT (.type = NBD_CMD_READ, .flags = flags, .offset = offset,
                 .count = count, .data = buf, .completion = completion);
}

int
api_pread (struct nbd_handle *h, void *buf, size_t count, uint64_t offset,
           uint32_t flags)
{
  return command_wait (h, api_aio_pread (h, buf, count, offset, NULL, flags));
}

int64_t
api_aio_pread_structured (struct nbd_handle *h, void *buf, size_t count,
                          uint64_t offset, nbd_chunk_callback *chunk,
                          nbd_completion_callback *completion, uint32_t flags)
{
  return SUBMIT (.type = NBD_CMD_READ, .flags = flags, .offset = offset,
                 .count = count, .data = buf, .chunk = chunk,
                 .completion = completion);
}

int
api_pread_structured (struct nbd_handle *h, void *buf, size_t count,
                      uint64_t offset, nbd_chunk_callback *chunk,
                      uint32_t flags)
{
  return command_wait (h, api_aio_pread_structured (h, buf, count, offset,
                                                    chunk, NULL, flags));
}

int64_t
api_aio_pwrite (struct nbd_handle *h, const void *buf, size_t count,
                uint64_t offset, nbd_completion_callback *completion,
                uint32_t flags)
{
  return SUBMIT (.type = NBD_CMD_WRITE, .flags = flags, .offset = offset,
                 .count = count, .payload = buf, .completion = completion);
}

int
api_pwrite (struct nbd_handle *h, const void *buf, size_t count,
            uint64_t offset, uint32_t flags)
{
  return command_wait (h, api_aio_pwrite (h, buf, count, offset, NULL, flags));
}

int64_t
api_aio_flush (struct nbd_handle *h, nbd_completion_callback *completion,
               uint32_t flags)
{
  return SUBMIT (.type = NBD_CMD_FLUSH, .flags = flags,
                 .completion = completion);
}

int
api_flush (struct nbd_handle *h, uint32_t flags)
{
  return command_wait (h, api_aio_flush (h, NULL, flags));
}

/* The commands that name a range and nothing else differ in their type. */
#define RANGE_COMMAND(name, command)                                    \
  int64_t                                                               \
  api_aio_##name (struct nbd_handle *h, uint64_t count, uint64_t offset, \
                  nbd_completion_callback *completion, uint32_t flags)  \
  {                                                                     \
    return SUBMIT (.type = command, .flags = flags, .offset = offset,   \
                   .count = count, .completion = completion);           \
  }                                                                     \
                                                                        \
  int                                                                   \
  api_##name (struct nbd_handle *h, uint64_t count, uint64_t offset,    \
              uint32_t flags)                                           \
  {                                                                     \
    return command_wait (h, api_aio_##name (h, count, offset, NULL,     \
                                            flags));                    \
  }

RANGE_COMMAND (trim, NBD_CMD_TRIM)
RANGE_COMMAND (cache, NBD_CMD_CACHE)
RANGE_COMMAND (zero, NBD_CMD_WRITE_ZEROES)

int64_t
api_aio_block_status (struct nbd_handle *h, uint64_t count, uint64_t offset,
                      nbd_extent_callback *extent,
                      nbd_completion_callback *completion, uint32_t flags)
{
  return SUBMIT (.type = NBD_CMD_BLOCK_STATUS, .flags = flags,
                 .offset = offset, .count = count, .extent = extent,
                 .completion = completion);
}

int
api_block_status (struct nbd_handle *h, uint64_t count, uint64_t offset,
                  nbd_extent_callback *extent, uint32_t flags)
{
  return command_wait (h, api_aio_block_status (h, count, offset, extent, NULL,
                                                flags));
}

int64_t
api_aio_block_status_64 (struct nbd_handle *h, uint64_t count, uint64_t offset,
                         nbd_extent64_callback *extent64,
                         nbd_completion_callback *completion, uint32_t flags)
{
  return SUBMIT (.type = NBD_CMD_BLOCK_STATUS, .flags = flags,
                 .offset = offset, .count = count, .extent64 = extent64,
                 .completion = completion);
}

int
api_block_status_64 (struct nbd_handle *h, uint64_t count, uint64_t offset,
                     nbd_extent64_callback *extent64, uint32_t flags)
{
  return command_wait (h, api_aio_block_status_64 (h, count, offset, extent64,
                                                   NULL, flags));
}

int64_t
api_aio_block_status_filter (struct nbd_handle *h, uint64_t count,
                             uint64_t offset, char **contexts,
                             nbd_extent64_callback *extent64,
                             nbd_completion_callback *completion,
                             uint32_t flags)
{
  return SUBMIT (.type = NBD_CMD_BLOCK_STATUS, .flags = flags,
                 .offset = offset, .count = count, .contexts = contexts,
                 .extent64 = extent64, .completion = completion);
}

int
api_block_status_filter (struct nbd_handle *h, uint64_t count, uint64_t offset,
                         char **contexts, nbd_extent64_callback *extent64,
                         uint32_t flags)
{
  return command_wait (h, api_aio_block_status_filter (h, count, offset,
                                                       contexts, extent64,
                                                       NULL, flags));
}

/* Disconnecting.  NBD_CMD_DISC has no reply: the server closes. */

int
api_aio_disconnect (struct nbd_handle *h, uint32_t flags)
{
  struct command *cmd;

  if (h->disconnecting) {
    error_set (h, EINVAL, "cannot request more commands after NBD_CMD_DISC");
    return -1;
  }
  cmd = command_new (h);
  if (cmd == NULL) {
    error_set (h, errno, "malloc");
    return -1;
  }
  cmd->type = NBD_CMD_DISC;
  cmd->flags = flags;
  h->disconnecting = true;
  if (command_issue (h, cmd, NULL, 0) == -1) {
    h->disconnecting = false;
    return -1;
  }
  return 0;
}

static bool
has_ended (struct nbd_handle *h, const void *arg)
{
  (void) arg;
  return handle_phase (h) & (PHASE_CLOSED | PHASE_DEAD);
}

int
api_shutdown (struct nbd_handle *h, uint32_t flags)
{
  if (handle_phase (h) == PHASE_NEGOTIATING)
    return api_aio_opt_abort (h);
  if (flags & LIBNBD_SHUTDOWN_ABANDON_PENDING)
    queue_abandon (h);
  if (!h->disconnecting && api_aio_disconnect (h, 0) == -1)
    return -1;
  return transport_wait (h, has_ended, NULL);
}
