/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Block status: the extents of a chunk are checked, converted to the width that
 * the callback takes, and passed on.
 */

#include "config.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* Memory that is kept for the next chunk. */
#define KEPT_SIZE 65536

/* A length that 32 bits cannot hold is cut to this: the largest that is aligned
 * to any block size.
 */
#define SHORTENED (UINT32_MAX & ~(uint32_t) (64 * 1024 * 1024 - 1))

/* The payload, and behind it room for its extents in the other width: at most
 * twice as long.
 */
uint8_t *
extents_buffer (struct nbd_handle *h, size_t n)
{
  size_t size = n + 8 + 2 * n;

  if (h->extents_size < size) {
    free (h->extents);
    h->extents = malloc (size < KEPT_SIZE ? KEPT_SIZE : size);
    h->extents_size = h->extents ? size < KEPT_SIZE ? KEPT_SIZE : size : 0;
    if (h->extents == NULL)
      fail (h, errno, "malloc");
  }
  return h->extents;
}

void
extents_release (struct nbd_handle *h)
{
  if (h->extents_size > KEPT_SIZE) {
    free (h->extents);
    h->extents = NULL;
    h->extents_size = 0;
  }
}

static nbd_extent
read_extent (const uint8_t *p, bool extended)
{
  nbd_extent e;

  if (extended) {
    memcpy (&e, p, sizeof e);
    e.length = be64toh (e.length);
    e.flags = be64toh (e.flags);
  }
  else {
    uint32_t pair[2];

    memcpy (pair, p, sizeof pair);
    e.length = be32toh (pair[0]);
    e.flags = be32toh (pair[1]);
  }
  return e;
}

/* Convert up to N extents.  Returns how many are good; *ERROR says what is wrong
 * with the one after them, if that must be told.
 */
static size_t
convert (struct nbd_handle *h, const struct command *cmd, const uint8_t *p,
         size_t n, void *to, int *error)
{
  size_t each = h->extended_headers ? 16 : 8;
  uint64_t left = cmd->offset <= h->export.size ?
    h->export.size - cmd->offset : 0;
  size_t i;

  for (i = 0; i < n; i++) {
    nbd_extent e = read_extent (p + i * each, h->extended_headers);
    bool shortened = false;

    if (e.length == 0) {
      if (i == 0)
        *error = EPROTO;
      break;
    }
    if (e.length > left || e.length > INT64_MAX) {
      *error = EPROTO;
      break;
    }
    left -= e.length;
    if (cmd->wide)
      ((nbd_extent *) to)[i] = e;
    else {
      uint32_t *pair = (uint32_t *) to + 2 * i;

      if (e.flags > UINT32_MAX) {
        if (i == 0)
          *error = EOVERFLOW;
        break;
      }
      shortened = e.length > UINT32_MAX;
      pair[0] = shortened ? SHORTENED : e.length;
      pair[1] = e.flags;
    }
    if (shortened) {
      i++;
      break;
    }
  }
  return i;
}

/* Where the converted extents go: over the payload if they are as wide, else
 * behind it.
 */
static void *
target (struct nbd_handle *h, const struct command *cmd, struct reader *r)
{
  const uint8_t *end = r->p + r->n;

  if (cmd->wide == h->extended_headers)
    return (void *) r->p;
  return h->extents + ((end - h->extents + 7) & ~(size_t) 7);
}

void
extents_deliver (struct nbd_handle *h, struct command *cmd,
                 const char *context, struct reader *r)
{
  size_t n, good;
  int error = 0, r_cb = 0;
  void *to;

  if (h->extended_headers) {
    uint32_t count = read_u32 (r);

    n = r->n / 16;
    if (count != n) {
      debug (h, "block status: %zu extents, but the count is %u", n, count);
      command_error (cmd, EPROTO);
      return;
    }
  }
  else
    n = r->n / 8;
  to = target (h, cmd, r);
  good = convert (h, cmd, r->p, n, to, &error);
  if (error)
    debug (h, "block status: %s: extent %zu of %zu is invalid", context,
           good + 1, n);
  if (error == EPROTO)
    command_error (cmd, EPROTO);
  /* A status that is too wide is told to the callback, all else only when there
   * is something to tell.
   */
  if (good > 0 || error == EOVERFLOW) {
    int cb_error = cmd->error ? cmd->error : error;

    if (cmd->wide && cmd->cb.extent64.callback)
      r_cb = cmd->cb.extent64.callback (cmd->cb.extent64.user_data, context,
                                        cmd->offset, to, good, &cb_error);
    else if (!cmd->wide && cmd->cb.extent.callback)
      r_cb = cmd->cb.extent.callback (cmd->cb.extent.user_data, context,
                                      cmd->offset, to, good * 2, &cb_error);
    if (r_cb == -1)
      command_error (cmd, cb_error ? cb_error : EPROTO);
    if (error == EOVERFLOW)
      command_error (cmd, EOVERFLOW);
  }
}
