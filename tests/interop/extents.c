/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extents.h"
#include "server.h"
#include "tap.h"

#define HOLE_AND_ZERO (LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO)

void
map_append (struct map *map, uint64_t length, uint64_t flags)
{
  nbd_extent *items;

  map->size += length;
  if (length == 0)
    return;
  if (map->n > 0 && map->items[map->n - 1].flags == flags) {
    map->items[map->n - 1].length += length;
    return;
  }
  /* Doubled whenever it is full. */
  if ((map->n & (map->n - 1)) == 0) {
    items = realloc (map->items, (map->n ? map->n * 2 : 1) * sizeof *items);
    MUST_BE (items != NULL);
    map->items = items;
  }
  map->items[map->n++] = (nbd_extent) { .length = length, .flags = flags };
}

void
map_free (struct map *map)
{
  free (map->items);
  *map = (struct map) { 0 };
}

/* One request. */
struct asking {
  const struct question *q;
  struct map *map;
  uint64_t offset, count;
  unsigned calls;
  const char *problem;
};

static void
problem (struct asking *a, const char *what)
{
  if (a->problem == NULL)
    a->problem = what;
}

/* All that can be said of one answer. */
static void
answer (struct asking *a, uint64_t offset, size_t n, int error)
{
  if (++a->calls > 1)
    problem (a, "the callback is called once for a context");
  if (error)
    problem (a, "there is no error");
  if (offset != a->offset)
    problem (a, "the offset is that of the request");
  if (n == 0)
    problem (a, "there is an extent");
  if ((a->q->flags & LIBNBD_CMD_FLAG_REQ_ONE) && n != 1)
    problem (a, "one extent was asked for");
}

/* One extent of it, at the present end of the map. */
static void
append (struct asking *a, uint64_t length, uint64_t flags, bool last)
{
  uint64_t end = a->offset + a->count;

  if (length == 0)
    problem (a, "an extent has a length");
  if (a->map->size >= end)
    problem (a, "an extent begins within the request");
  if (a->map->size + length > end &&
      (!last || (a->q->flags & LIBNBD_CMD_FLAG_REQ_ONE)))
    problem (a, "only the last extent ends behind the request, and not with "
             "REQ_ONE");
  map_append (a->map, length, flags);
}

static int
take_narrow (void *opaque, const char *context, uint64_t offset,
             uint32_t *entries, size_t n, int *error)
{
  struct asking *a = opaque;

  if (strcmp (context, a->q->context) != 0)
    return 0;
  if (n % 2)
    problem (a, "an extent is two numbers");
  answer (a, offset, n / 2, *error);
  for (size_t i = 0; i + 1 < n; i += 2)
    append (a, entries[i], entries[i + 1], i + 2 == n);
  return 0;
}

static int
take_wide (void *opaque, const char *context, uint64_t offset,
           nbd_extent *entries, size_t n, int *error)
{
  struct asking *a = opaque;

  if (strcmp (context, a->q->context) != 0)
    return 0;
  answer (a, offset, n, *error);
  for (size_t i = 0; i < n; i++)
    append (a, entries[i].length, entries[i].flags, i + 1 == n);
  return 0;
}

struct map
map_ask (struct nbd_handle *h, const struct question *q)
{
  struct map map = { 0 };
  int64_t size = nbd_get_size (h);

  MUST (size);
  while (map.size < (uint64_t) size) {
    struct asking a = { .q = q, .map = &map, .offset = map.size,
                        .count = q->step };

    if (a.count > size - map.size)
      a.count = size - map.size;
    if (q->wide)
      MUST (nbd_block_status_64 (h, a.count, a.offset,
                                 (nbd_extent64_callback) {
                                   .callback = take_wide, .user_data = &a },
                                 q->flags));
    else
      MUST (nbd_block_status (h, a.count, a.offset,
                              (nbd_extent_callback) {
                                .callback = take_narrow, .user_data = &a },
                              q->flags));
    if (a.calls == 0)
      problem (&a, "the context is answered");
    if (a.problem) {
      ok (false, "block status of %llu bytes at %llu: %s",
          (unsigned long long) a.count, (unsigned long long) a.offset,
          a.problem);
      break;
    }
  }
  return map;
}

struct map
map_of_file (const char *path)
{
  struct map map = { 0 };
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  struct stat st;

  MUST (fd);
  MUST (fstat (fd, &st));
  while (map.size < (uint64_t) st.st_size) {
    off_t end = lseek (fd, map.size, SEEK_DATA);

    if (end == -1) {
      MUST_BE (errno == ENXIO);
      end = st.st_size;
    }
    if ((uint64_t) end > map.size)
      map_append (&map, end - map.size, HOLE_AND_ZERO);
    else {
      end = lseek (fd, map.size, SEEK_HOLE);
      MUST (end);
      map_append (&map, end - map.size, 0);
    }
  }
  close (fd);
  return map;
}

static void
print_extent (const char *which, const struct map *map, size_t i,
              uint64_t offset)
{
  if (i < map->n)
    note ("%s: extent %zu of %zu at %llu: length %llu, flags 0x%llx", which, i,
          map->n, (unsigned long long) offset,
          (unsigned long long) map->items[i].length,
          (unsigned long long) map->items[i].flags);
  else
    note ("%s: %zu extents", which, map->n);
}

bool
is_map (const struct map *got, const struct map *want, const char *fmt, ...)
{
  bool equal;
  char *name;
  va_list ap;
  size_t i = 0;
  uint64_t offset = 0;

  while (i < got->n && i < want->n &&
         got->items[i].length == want->items[i].length &&
         got->items[i].flags == want->items[i].flags)
    offset += got->items[i++].length;
  equal = i == got->n && i == want->n;
  va_start (ap, fmt);
  MUST (vasprintf (&name, fmt, ap));
  va_end (ap);
  ok (equal, "%s", name);
  free (name);
  if (!equal) {
    print_extent ("got", got, i, offset);
    print_extent ("want", want, i, offset);
  }
  return equal;
}

void
check_map (struct nbd_handle *h, const char *context, const struct map *want,
           const char *what)
{
  /* Requests that cover all, and requests that cut extents in pieces; their
   * ends are multiples of 4096, which is as fine as servers are.
   */
  uint64_t all = want->size < 0xffff8000 ? want->size : 0xffff8000;
  uint64_t piece = 4096 * (want->size / 4096 / 67 + 1);

  if (piece > all)
    piece = all;
  for (int wide = 0; wide < 2; wide++)
    for (int one = 0; one < 2; one++)
      for (int small = 0; small < 2; small++) {
        struct question q = {
          .context = context, .wide = wide,
          .flags = one ? LIBNBD_CMD_FLAG_REQ_ONE : 0,
          .step = small ? piece : all,
        };
        struct map got = map_ask (h, &q);

        is_map (&got, want, "%s: %s, %d bits, %s, %s", what, context,
                wide ? 64 : 32, one ? "one extent at a time" : "all extents",
                small ? "piece by piece" : "whole");
        map_free (&got);
      }
}
