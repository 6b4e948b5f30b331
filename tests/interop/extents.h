/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps of a disk: what block status says of all of it, and what it ought to
 * say.
 */

#ifndef TESTS_EXTENTS_H
#define TESTS_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libnbd.h"

/* Extents that follow each other from offset 0; those next to each other have
 * different flags.
 */
struct map {
  nbd_extent *items;
  size_t n;
  uint64_t size;
};

void map_append (struct map *map, uint64_t length, uint64_t flags);
void map_free (struct map *map);

/* How to ask. */
struct question {
  const char *context;
  bool wide;                    /* nbd_block_status_64 */
  uint32_t flags;               /* LIBNBD_CMD_FLAG_REQ_ONE, or 0 */
  uint64_t step;                /* the longest range in a request */
};

/* Ask for the whole export, from the first byte to the last.  What breaks the
 * rules of block status on the way is a failed case.
 */
struct map map_ask (struct nbd_handle *h, const struct question *q);

/* The map of a file, with the flags of base:allocation. */
struct map map_of_file (const char *path);

/* One case: they are equal. */
bool is_map (const struct map *got, const struct map *want,
             const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));

/* Cases: the answers to every form of the question are WANT. */
void check_map (struct nbd_handle *h, const char *context,
                const struct map *want, const char *what);

#endif /* TESTS_EXTENTS_H */
