/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Typed big-endian reads and writes on a cursor.  An error sticks: a handler
 * reads a whole message like its schema and asks once, at the end, whether
 * all of it was there.
 */

#ifndef LIBNBD_WIRE_H
#define LIBNBD_WIRE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that were received.  What is read beyond the end is zero. */
struct reader {
  const uint8_t *p;
  size_t n;                     /* bytes left */
  bool bad;                     /* something was read beyond the end */
};

static inline struct reader
reader_init (const void *p, size_t n)
{
  return (struct reader) { .p = p, .n = n };
}

/* The next N bytes in place; NULL when they are not all there. */
static inline const uint8_t *
read_bytes (struct reader *r, size_t n)
{
  const uint8_t *p = r->p;

  if (r->bad || n > r->n) {
    r->bad = true;
    r->n = 0;
    return NULL;
  }
  r->p += n;
  r->n -= n;
  return p;
}

static inline uint64_t
read_uint (struct reader *r, size_t n)
{
  const uint8_t *p = read_bytes (r, n);
  uint64_t v = 0;

  for (size_t i = 0; p && i < n; i++)
    v = v << 8 | p[i];
  return v;
}

/* The usual widths, which are read for each reply. */
#define READ(bits)                                              \
  static inline uint##bits##_t                                  \
  read_u##bits (struct reader *r)                               \
  {                                                             \
    const uint8_t *p = read_bytes (r, sizeof (uint##bits##_t)); \
    uint##bits##_t v = 0;                                       \
                                                                \
    if (p)                                                      \
      memcpy (&v, p, sizeof v);                                 \
    return be##bits##toh (v);                                   \
  }

READ (16)
READ (32)
READ (64)

#undef READ

/* All was there and nothing is left. */
static inline bool
reader_finished (const struct reader *r)
{
  return !r->bad && r->n == 0;
}

/* A message being built.  Without memory it only counts, so that the same code
 * says how long a message is and writes it.
 */
struct writer {
  uint8_t *base;                /* or NULL */
  size_t size;
  size_t n;                     /* bytes written */
  bool bad;                     /* it did not fit */
};

static inline struct writer
writer_init (void *base, size_t size)
{
  return (struct writer) { .base = base, .size = size };
}

/* Room for N bytes, or NULL. */
static inline uint8_t *
write_room (struct writer *w, size_t n)
{
  uint8_t *p = w->base ? w->base + w->n : NULL;

  if (w->base && n > w->size - w->n) {
    w->bad = true;
    return NULL;
  }
  w->n += n;
  return p;
}

static inline void
write_bytes (struct writer *w, const void *p, size_t n)
{
  uint8_t *to = write_room (w, n);

  if (to && n > 0)
    memcpy (to, p, n);
}

static inline void
write_uint (struct writer *w, uint64_t v, size_t n)
{
  uint8_t *to = write_room (w, n);

  for (size_t i = n; to && i-- > 0; v >>= 8)
    to[i] = v;
}

#define WRITE(bits)                                     \
  static inline void                                    \
  write_u##bits (struct writer *w, uint##bits##_t v)    \
  {                                                     \
    uint##bits##_t be = htobe##bits (v);                \
                                                        \
    write_bytes (w, &be, sizeof be);                    \
  }

WRITE (16)
WRITE (32)
WRITE (64)

#undef WRITE

/* Whether OFFSET and COUNT lie within SIZE, without overflow: the one place
 * where a range from the peer or the caller is compared with its bounds.
 */
static inline bool
range_inside (uint64_t offset, uint64_t count, uint64_t size)
{
  return offset <= size && count <= size - offset;
}

#endif /* LIBNBD_WIRE_H */
