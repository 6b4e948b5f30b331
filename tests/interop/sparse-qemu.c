/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Block status of raw and qcow2 images that qemu-nbd serves: allocation, depth
 * of allocation and dirty bitmaps.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "extents.h"
#include "server.h"
#include "tap.h"

#define KIB ((uint64_t) 1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

#define CLUSTER (64 * KIB)
#define IMAGE_SIZE (64 * MIB)
#define NR_CLUSTERS (IMAGE_SIZE / CLUSTER)

#define HOLE_AND_ZERO (LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO)

#define DEPTH LIBNBD_CONTEXT_QEMU_ALLOCATION_DEPTH
#define BITMAP LIBNBD_CONTEXT_QEMU_DIRTY_BITMAP

static uint64_t seed = 5;
static uint8_t cluster[CLUSTER], back[CLUSTER];

static bool
is_zero (const uint8_t *p, size_t n)
{
  return p[0] == 0 && memcmp (p, p + 1, n - 1) == 0;
}

static void
write_cluster (struct nbd_handle *h, unsigned i)
{
  fill_random (&seed, cluster, CLUSTER);
  MUST (nbd_pwrite (h, cluster, CLUSTER, i * CLUSTER, 0));
}

/* A connection with these contexts; NULL ends them. */
static struct nbd_handle *
connected_with_contexts (const struct server *s, const char *first,
                         const char *second, const char *third)
{
  struct nbd_handle *h = new_handle ();
  const char *contexts[] = { first, second, third };

  for (int i = 0; i < 3 && contexts[i]; i++)
    MUST (nbd_add_meta_context (h, contexts[i]));
  must_connect (s, h);
  for (int i = 0; i < 3 && contexts[i]; i++)
    is_int (nbd_can_meta_context (h, contexts[i]), 1, "qemu-nbd has %s",
            contexts[i]);
  return h;
}

/* The map of clusters whose flags are in an array. */
static struct map
map_of_clusters (const uint8_t *flags)
{
  struct map map = { 0 };

  for (unsigned i = 0; i < NR_CLUSTERS; i++)
    map_append (&map, CLUSTER, flags[i]);
  return map;
}

static void
check_clusters (struct nbd_handle *h, const char *context,
                const uint8_t *flags, const char *what)
{
  struct map want = map_of_clusters (flags);

  check_map (h, context, &want, what);
  map_free (&want);
}

static void
check_raw (void)
{
  char *path = temp_path ("raw");
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  struct server *s;
  struct nbd_handle *h;
  struct map want;

  MUST (fd);
  MUST (ftruncate (fd, IMAGE_SIZE));
  for (unsigned i = 0; i < 60; i++) {
    fill_random (&seed, cluster, CLUSTER);
    MUST_BE (pwrite (fd, cluster, CLUSTER,
                     next_random (&seed) % NR_CLUSTERS * CLUSTER) == CLUSTER);
  }
  s = server_start_file (SERVER_UNIX, "qemu-nbd", path);
  h = connected_with_contexts (s, LIBNBD_CONTEXT_BASE_ALLOCATION, NULL, NULL);
  want = map_of_file (path);
  ok (want.n > 1, "raw: it is sparse, with %zu extents", want.n);
  check_map (h, LIBNBD_CONTEXT_BASE_ALLOCATION, &want, "raw");
  map_free (&want);
  disconnect (h);
  server_stop (s);
  close (fd);
  free (path);
}

/* A new image, on another if there is one. */
static void
create_qcow2 (const char *path, const char *backing)
{
  bool good = backing
    ? run_command (NULL, "qemu-img", "create", "-q", "-f", "qcow2", "-F",
                   "qcow2", "-b", backing, path, NULL)
    : run_command (NULL, "qemu-img", "create", "-q", "-f", "qcow2", path,
                   "64M", NULL);

  MUST_BE (good);
}

/* What was written is allocated, what was not is a hole, what was zeroed is
 * zero.
 */
static void
check_qcow2 (const char *path, uint8_t allocated[NR_CLUSTERS])
{
  uint8_t flags[NR_CLUSTERS];
  struct server *s = server_start (SERVER_UNIX, "qemu-nbd", "--persistent",
                                   "--format=qcow2", "--allocation-depth",
                                   path, NULL);
  struct nbd_handle *h = connected_with_contexts (
    s, LIBNBD_CONTEXT_BASE_ALLOCATION, DEPTH, NULL);

  is_int (nbd_get_size (h), IMAGE_SIZE, "qcow2: the size is right");
  memset (flags, HOLE_AND_ZERO, sizeof flags);
  check_clusters (h, LIBNBD_CONTEXT_BASE_ALLOCATION, flags, "qcow2, empty");
  memset (allocated, 0, NR_CLUSTERS);
  check_clusters (h, DEPTH, allocated, "qcow2, empty");

  for (unsigned i = 0; i < 80; i++) {
    unsigned c = next_random (&seed) % NR_CLUSTERS;

    write_cluster (h, c);
    flags[c] = 0;
    allocated[c] = 1;
  }
  check_clusters (h, LIBNBD_CONTEXT_BASE_ALLOCATION, flags, "qcow2");
  check_clusters (h, DEPTH, allocated, "qcow2");
  disconnect (h);
  server_stop (s);
}

/* An image on the first one: its own clusters have the depth 1, those of the
 * other 2.
 */
static void
check_backing (const char *base, const char *path,
               const uint8_t base_allocated[NR_CLUSTERS])
{
  uint8_t flags[NR_CLUSTERS], depth[NR_CLUSTERS];
  struct server *s;
  struct nbd_handle *h;

  create_qcow2 (path, base);
  s = server_start (SERVER_UNIX, "qemu-nbd", "--persistent", "--format=qcow2",
                    "--allocation-depth", path, NULL);
  h = connected_with_contexts (s, LIBNBD_CONTEXT_BASE_ALLOCATION, DEPTH, NULL);
  for (unsigned i = 0; i < NR_CLUSTERS; i++) {
    depth[i] = base_allocated[i] ? 2 : 0;
    flags[i] = base_allocated[i] ? 0 : HOLE_AND_ZERO;
  }
  check_clusters (h, DEPTH, depth, "overlay, empty");
  for (unsigned i = 0; i < 80; i++) {
    unsigned c = next_random (&seed) % NR_CLUSTERS;

    write_cluster (h, c);
    flags[c] = 0;
    depth[c] = 1;
  }
  check_clusters (h, DEPTH, depth, "overlay");
  check_clusters (h, LIBNBD_CONTEXT_BASE_ALLOCATION, flags, "overlay");
  disconnect (h);
  server_stop (s);
}

/* Context names, as a list that ends with a space. */
static int
append_name (void *opaque, const char *name)
{
  char *list = opaque;

  MUST_BE (strlen (list) + strlen (name) + 2 < 512);
  strcat (list, name);
  strcat (list, " ");
  return 0;
}

static void
check_names (const struct server *s)
{
  struct nbd_handle *h = new_handle ();
  nbd_context_callback cb = { .callback = append_name };
  char list[512] = "";

  MUST (nbd_set_opt_mode (h, true));
  must_connect (s, h);
  cb.user_data = list;
  is_int (nbd_opt_list_meta_context (h, cb), 3,
          "without a query qemu-nbd lists three contexts");
  is_str (list, "base:allocation qemu:allocation-depth "
          "qemu:dirty-bitmap:b0 ", "which are these");
  MUST (nbd_add_meta_context (h, "qemu:"));
  list[0] = '\0';
  is_int (nbd_opt_list_meta_context (h, cb), 2, "it has two that are its own");
  is_str (list, "qemu:allocation-depth qemu:dirty-bitmap:b0 ",
          "which are these");
  MUST (nbd_clear_meta_contexts (h));
  MUST (nbd_add_meta_context (h, "qemu:dirty-bitmap:"));
  list[0] = '\0';
  is_int (nbd_opt_list_meta_context (h, cb), 1, "one of them is a bitmap");
  is_str (list, "qemu:dirty-bitmap:b0 ", "which is this");
  MUST (nbd_clear_meta_contexts (h));
  MUST (nbd_add_meta_context (h, "qemu:dirty-bitmap:b1"));
  list[0] = '\0';
  is_int (nbd_opt_list_meta_context (h, cb), 0, "it has no other bitmap");
  is_int (nbd_opt_set_meta_context (h, cb), 0, "which cannot be set either");
  is_str (list, "", "there is nothing to call the callback for");
  is_int (nbd_can_meta_context (h, "qemu:dirty-bitmap:b1"), 0,
          "and cannot be used");
  is_int (nbd_opt_go (h), 0, "the export can be used nevertheless");
  disconnect (h);
}

/* What is written after a bitmap was made is dirty in it. */
static void
check_bitmap (const char *path)
{
  uint8_t dirty[NR_CLUSTERS] = { 0 };
  struct server *s;
  struct nbd_handle *h;

  MUST_BE (run_command (NULL, "qemu-img", "bitmap", "--add", "-g", "65536",
                        "-f", "qcow2", path, "b0", NULL));
  s = server_start (SERVER_UNIX, "qemu-nbd", "--persistent", "--format=qcow2",
                    path, NULL);
  h = connected (s);
  for (unsigned i = 0; i < 70; i++) {
    unsigned c = next_random (&seed) % NR_CLUSTERS;

    write_cluster (h, c);
    dirty[c] = LIBNBD_STATE_DIRTY;
  }
  MUST (nbd_flush (h, 0));
  disconnect (h);
  server_stop (s);

  s = server_start (SERVER_UNIX, "qemu-nbd", "--persistent", "--shared=0",
                    "--read-only", "--format=qcow2", "--allocation-depth",
                    "--bitmap=b0", path, NULL);
  h = connected_with_contexts (s, BITMAP "b0", NULL, NULL);
  check_clusters (h, BITMAP "b0", dirty, "bitmap");
  disconnect (h);
  h = connected_with_contexts (s, DEPTH, BITMAP "b0",
                               LIBNBD_CONTEXT_BASE_ALLOCATION);
  check_clusters (h, BITMAP "b0", dirty, "bitmap among other contexts");
  disconnect (h);
  check_names (s);
  server_stop (s);
}

/* All contexts in one request: each is answered, for the same range. */

struct seen {
  unsigned calls, wrong;
  const char *context[3];
};

static int
see (void *opaque, const char *context, uint64_t offset, nbd_extent *entries,
     size_t n, int *error)
{
  struct seen *seen = opaque;

  seen->wrong += *error != 0 || offset != 0 || n != 1 ||
    entries[0].length == 0 || entries[0].length > CLUSTER;
  if (seen->calls < 3)
    seen->context[seen->calls] = strdup (context);
  seen->calls++;
  return 0;
}

static void
check_all_contexts (const char *path)
{
  struct server *s = server_start (SERVER_UNIX, "qemu-nbd", "--persistent",
                                   "--read-only", "--format=qcow2",
                                   "--allocation-depth", "--bitmap=b0", path,
                                   NULL);
  struct nbd_handle *h = connected_with_contexts (
    s, LIBNBD_CONTEXT_BASE_ALLOCATION, DEPTH, BITMAP "b0");
  struct seen seen = { 0 };
  unsigned found = 0;

  is_int (nbd_block_status_64 (h, CLUSTER, 0,
                               (nbd_extent64_callback) {
                                 .callback = see, .user_data = &seen },
                               LIBNBD_CMD_FLAG_REQ_ONE), 0,
          "a block status of three contexts succeeds");
  is_int (seen.calls, 3, "the callback is called for each of them");
  is_int (seen.wrong, 0, "with one extent each, as was asked for");
  for (unsigned i = 0; i < 3 && i < seen.calls; i++) {
    found |= strcmp (seen.context[i], LIBNBD_CONTEXT_BASE_ALLOCATION) == 0;
    found |= (strcmp (seen.context[i], DEPTH) == 0) << 1;
    found |= (strcmp (seen.context[i], BITMAP "b0") == 0) << 2;
    free ((char *) seen.context[i]);
  }
  is_int (found, 7, "and each has its own name");
  disconnect (h);
  server_stop (s);
}

/* Zero and trim. */
static void
check_zero (const char *path)
{
  struct server *s = server_start (SERVER_UNIX, "qemu-nbd", "--persistent",
                                   "--format=qcow2", "--discard=unmap", path,
                                   NULL);
  struct nbd_handle *h = connected_with_contexts (
    s, LIBNBD_CONTEXT_BASE_ALLOCATION, NULL, NULL);
  struct question q = { .context = LIBNBD_CONTEXT_BASE_ALLOCATION,
                        .wide = true, .step = CLUSTER };
  struct map map;
  unsigned wrong = 0;

  for (unsigned i = 0; i < 64; i++)
    write_cluster (h, i);
  is_int (nbd_zero (h, 16 * CLUSTER, 0, 0), 0, "zero succeeds");
  is_int (nbd_zero (h, 16 * CLUSTER, 16 * CLUSTER, LIBNBD_CMD_FLAG_NO_HOLE),
          0, "zero without a hole succeeds");
  is_int (nbd_zero (h, 100, 50 * CLUSTER + 100, 0), 0,
          "zero of a part of a cluster succeeds");
  is_int (nbd_trim (h, 8 * CLUSTER, 40 * CLUSTER, 0), 0, "trim succeeds");
  is_int (nbd_cache (h, 8 * CLUSTER, 30 * CLUSTER, 0), 0, "cache succeeds");
  map = map_ask (h, &q);
  ok (map.n > 0 && (map.items[0].flags & LIBNBD_STATE_ZERO),
      "what was zeroed has the flag");
  map_free (&map);
  for (unsigned i = 0; i < 32; i++) {
    MUST (nbd_pread (h, back, CLUSTER, i * CLUSTER, 0));
    wrong += !is_zero (back, CLUSTER);
  }
  is_int (wrong, 0, "and reads as zero");
  MUST (nbd_pread (h, back, CLUSTER, 50 * CLUSTER, 0));
  ok (is_zero (back + 100, 100) && !is_zero (back, 100) &&
      !is_zero (back + 200, 100), "and so does the part of a cluster");
  MUST (nbd_pread (h, back, CLUSTER, 63 * CLUSTER, 0));
  ok (memcmp (back, cluster, CLUSTER) == 0, "the last cluster is untouched");
  disconnect (h);
  server_stop (s);
}

/* Beyond 4 GiB. */

static bool
can_punch (int fd)
{
  return fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, CLUSTER)
    == 0;
}

static void
check_large (void)
{
  static const uint64_t places[] = {
    0, 4 * GIB - CLUSTER, 4 * GIB, 6 * GIB, 1 * TIB, 5 * TIB + CLUSTER,
    8 * TIB - CLUSTER,
  };
  char *path = temp_path ("large");
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const uint64_t step = 4 * GIB - CLUSTER;
  unsigned wrong = 0;
  struct server *s;
  struct nbd_handle *h;
  struct map want;

  MUST (fd);
  if (ftruncate (fd, 8 * TIB) == -1 || !can_punch (fd)) {
    skip_case ("an image of 8 TiB", "the file system cannot hold one");
    close (fd);
    free (path);
    return;
  }
  s = server_start_file (SERVER_UNIX, "qemu-nbd", path);
  h = connected_with_contexts (s, LIBNBD_CONTEXT_BASE_ALLOCATION, NULL, NULL);
  is_int (nbd_get_size (h), 8 * TIB, "large: the size is right");
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    memset (cluster, i + 1, CLUSTER);
    MUST (nbd_pwrite (h, cluster, CLUSTER, places[i], 0));
  }
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    MUST (nbd_pread (h, back, CLUSTER, places[i], 0));
    memset (cluster, i + 1, CLUSTER);
    wrong += memcmp (back, cluster, CLUSTER) != 0;
    MUST_BE (pread (fd, back, CLUSTER, places[i]) == CLUSTER);
    wrong += memcmp (back, cluster, CLUSTER) != 0;
  }
  is_int (wrong, 0, "large: each place holds what was written there");

  for (int zeroed = 0; zeroed < 2; zeroed++) {
    MUST (nbd_flush (h, 0));
    want = map_of_file (path);
    for (int wide = 0; wide < 2; wide++) {
      struct question q = { .context = LIBNBD_CONTEXT_BASE_ALLOCATION,
                            .wide = wide, .step = step };
      struct map got = map_ask (h, &q);

      is_map (&got, &want, "large: the map is right, %d bits",
              wide ? 64 : 32);
      map_free (&got);
    }
    map_free (&want);
    if (zeroed)
      break;
    is_int (nbd_trim (h, 3 * GIB, 4 * GIB + CLUSTER, 0), 0,
            "large: a trim of 3 GiB succeeds");
    is_int (nbd_zero (h, 3 * GIB, 1 * TIB - GIB, 0), 0,
            "large: a zero of 3 GiB succeeds");
    MUST (nbd_pread (h, back, CLUSTER, 1 * TIB, 0));
    ok (is_zero (back, CLUSTER), "large: it is zero");
    MUST (nbd_pread (h, back, CLUSTER, 8 * TIB - CLUSTER, 0));
    ok (!is_zero (back, CLUSTER), "large: what is behind it is not");
  }
  disconnect (h);
  server_stop (s);
  close (fd);
  free (path);
}

int
main (void)
{
  char *base = temp_path ("base.qcow2"), *top = temp_path ("top.qcow2");
  uint8_t allocated[NR_CLUSTERS];

  server_require ("qemu-nbd", "--version", NULL);
  server_require ("qemu-img", "--version", NULL);
  tap_begin ();
  check_raw ();
  create_qcow2 (base, NULL);
  check_qcow2 (base, allocated);
  check_backing (base, top, allocated);
  check_bitmap (top);
  check_all_contexts (top);
  check_zero (top);
  check_large ();
  free (base);
  free (top);
  return tap_end ();
}
