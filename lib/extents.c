/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Block status: the extents of a chunk are checked and converted to the width
 * that the callback takes as they arrive, piece by piece, while they are still in
 * the cache of the processor; the whole list is then passed on.
 */

#include "config.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* Memory that is kept for the next list. */
#define KEPT_SIZE 65536

/* A length that 32 bits cannot hold is cut to this: the largest that is aligned
 * to any block size.
 */
#define SHORTENED (UINT32_MAX & ~(uint32_t) (64 * 1024 * 1024 - 1))

bool
extents_begin (struct nbd_handle *h, const struct command *cmd,
               const char *context, size_t n)
{
  struct extents *x = &h->extents;
  size_t size = n * (cmd->wide ? sizeof (nbd_extent) : 8);

  if (x->size < size) {
    free (x->items);
    x->size = MAX (size, KEPT_SIZE);
    x->items = malloc (x->size);
    if (x->items == NULL) {
      x->size = 0;
      fail (h, errno, "malloc");
      return false;
    }
  }
  x->context = context;
  x->total = n;
  x->count = 0;
  x->left = cmd->offset <= h->export.size ? h->export.size - cmd->offset : 0;
  x->error = 0;
  x->ended = false;
  return true;
}

void
extents_end (struct nbd_handle *h)
{
  if (h->extents.size > KEPT_SIZE)
    extents_free (h);
}

void
extents_free (struct nbd_handle *h)
{
  free (h->extents.items);
  h->extents = (struct extents) { 0 };
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

/* Take the next extent, unless the list ends before it. */
static bool
add (struct extents *x, const struct command *cmd, nbd_extent e)
{
  uint32_t *pair = (uint32_t *) x->items + 2 * x->count;

  if (e.length == 0) {
    if (x->count == 0)
      x->error = EPROTO;
    return false;
  }
  if (e.length > x->left || e.length > INT64_MAX) {
    x->error = EPROTO;
    return false;
  }
  x->left -= e.length;
  if (cmd->wide)
    ((nbd_extent *) x->items)[x->count++] = e;
  else if (e.flags > UINT32_MAX) {
    if (x->count == 0)
      x->error = EOVERFLOW;
    return false;
  }
  else {
    pair[0] = e.length <= UINT32_MAX ? e.length : SHORTENED;
    pair[1] = e.flags;
    x->count++;
    return e.length <= UINT32_MAX;
  }
  return true;
}

/* Convert N extents of 32 bits.  Returns the sum of their lengths, and whether
 * one of them is 0.  A million of them take as long as receiving them unless the
 * compiler makes wide instructions of it.
 */
#ifdef HAVE_TARGET_CLONES
__attribute__ ((target_clones ("avx2", "default"), optimize ("O3")))
#endif
static uint64_t
convert (uint32_t *restrict to, const uint8_t *restrict p, size_t n,
         bool *empty)
{
  uint64_t sum = 0, borrow = 0;

  for (size_t i = 0; i < 2 * n; i++) {
    uint32_t v;

    memcpy (&v, p + 4 * i, 4);
    to[i] = be32toh (v);
  }
  for (size_t i = 0; i < n; i++) {
    sum += to[2 * i];
    borrow |= (uint64_t) to[2 * i] - 1;
  }
  *empty = borrow >> 63;
  return sum;
}

/* The usual case, all at once: both sides have 32 bits, and nothing is wrong.
 * False if that is not so; then nothing was done.
 */
static bool
add_narrow (struct extents *x, const uint8_t *p, size_t n)
{
  bool empty;
  uint64_t sum = convert ((uint32_t *) x->items + 2 * x->count, p, n, &empty);

  if (empty || sum > x->left)
    return false;
  x->left -= sum;
  x->count += n;
  return true;
}

void
extents_add (struct nbd_handle *h, const struct command *cmd,
             const struct reader *r)
{
  struct extents *x = &h->extents;
  size_t each = h->extended_headers ? 16 : 8, n = r->n / each;

  if (x->ended || (!cmd->wide && !h->extended_headers &&
                   add_narrow (x, r->p, n)))
    return;
  for (size_t i = 0; i < n && !x->ended; i++)
    x->ended = !add (x, cmd, read_extent (r->p + i * each,
                                          h->extended_headers));
}

void
extents_deliver (struct nbd_handle *h, struct command *cmd)
{
  struct extents *x = &h->extents;
  int cb_error, r = 0;

  if (x->error)
    debug (h, "block status: %s: extent %zu of %zu is invalid", x->context,
           x->count + 1, x->total);
  if (x->error == EPROTO)
    command_error (cmd, EPROTO);
  /* A status that is too wide is told to the callback, all else only when there
   * is something to tell.
   */
  if (x->count == 0 && x->error != EOVERFLOW)
    return;
  cb_error = cmd->error ? cmd->error : x->error;
  if (cmd->wide && cmd->cb.extent64.callback)
    r = cmd->cb.extent64.callback (cmd->cb.extent64.user_data, x->context,
                                   cmd->offset, x->items, x->count,
                                   &cb_error);
  else if (!cmd->wide && cmd->cb.extent.callback)
    r = cmd->cb.extent.callback (cmd->cb.extent.user_data, x->context,
                                 cmd->offset, x->items, x->count * 2,
                                 &cb_error);
  if (r == -1)
    command_error (cmd, cb_error ? cb_error : EPROTO);
  if (x->error == EOVERFLOW)
    command_error (cmd, EOVERFLOW);
}
