/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Block status of sparse disks that nbdkit makes or serves, compared with what
 * is known of them, and with what reads find.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
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

#define HOLE_AND_ZERO (LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO)

static uint64_t seed = 4;

static struct nbd_handle *
connected_with_context (const struct server *s)
{
  struct nbd_handle *h = new_handle ();

  MUST (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  must_connect (s, h);
  is_int (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION), 1,
          "nbdkit has base:allocation");
  return h;
}

static bool
all_bytes_are (const uint8_t *p, size_t n, uint8_t c)
{
  return n == 0 || (p[0] == c && memcmp (p, p + 1, n - 1) == 0);
}

/* The data plugin has pages of 32 KiB. */
static void
check_data_plugin (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "data",
                                   "1*65536 @0x30000 2*32768 "
                                   "@0x80000 3 @0xf8000 4*32768",
                                   "size=2M", NULL);
  struct nbd_handle *h = connected_with_context (s);
  struct map want = { 0 };
  uint8_t *p = malloc (2 * MIB);

  map_append (&want, 64 * KIB, 0);
  map_append (&want, 128 * KIB, HOLE_AND_ZERO);
  map_append (&want, 32 * KIB, 0);
  map_append (&want, 288 * KIB, HOLE_AND_ZERO);
  map_append (&want, 32 * KIB, 0);
  map_append (&want, 448 * KIB, HOLE_AND_ZERO);
  map_append (&want, 32 * KIB, 0);
  map_append (&want, 1024 * KIB, HOLE_AND_ZERO);
  check_map (h, LIBNBD_CONTEXT_BASE_ALLOCATION, &want, "data");

  MUST_BE (p);
  MUST (nbd_pread (h, p, 2 * MIB, 0, 0));
  ok (all_bytes_are (p, 64 * KIB, 1) &&
      all_bytes_are (p + 64 * KIB, 128 * KIB, 0) &&
      all_bytes_are (p + 192 * KIB, 32 * KIB, 2) &&
      all_bytes_are (p + 224 * KIB, 288 * KIB, 0) &&
      p[512 * KIB] == 3 &&
      all_bytes_are (p + 512 * KIB + 1, 480 * KIB - 1, 0) &&
      all_bytes_are (p + 992 * KIB, 32 * KIB, 4) &&
      all_bytes_are (p + MIB, MIB, 0), "data: reads find what was given");
  free (p);
  map_free (&want);
  disconnect (h);
  server_stop (s);
}

/* sparse-random fills each block of data with bytes that are not zero. */
static void
check_sparse_random (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "sparse-random",
                                   "size=64M", "seed=42", "percent=30",
                                   "runlength=262144", NULL);
  struct nbd_handle *h = connected_with_context (s);
  struct question q = { .context = LIBNBD_CONTEXT_BASE_ALLOCATION,
                        .wide = true, .step = 64 * MIB };
  struct map map = map_ask (h, &q);
  uint8_t *p = malloc (64 * MIB);
  uint64_t offset = 0;
  unsigned wrong = 0;

  ok (map.n > 10, "sparse-random: there are %zu extents", map.n);
  check_map (h, LIBNBD_CONTEXT_BASE_ALLOCATION, &map, "sparse-random");
  MUST_BE (p);
  for (unsigned i = 0; i < 4; i++)
    MUST (nbd_pread (h, p + i * 16 * MIB, 16 * MIB, i * 16 * MIB, 0));
  for (size_t i = 0; i < map.n; i++) {
    uint64_t n = map.items[i].length;

    if (map.items[i].flags == HOLE_AND_ZERO)
      wrong += !all_bytes_are (p + offset, n, 0);
    else
      wrong += map.items[i].flags != 0 || memchr (p + offset, 0, n) != NULL;
    offset += n;
  }
  is_int (wrong, 0, "sparse-random: reads agree with the block status");
  free (p);
  map_free (&map);
  disconnect (h);
  server_stop (s);
}

static void
check_pattern (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "pattern", "8M",
                                   NULL);
  struct nbd_handle *h = connected_with_context (s);
  struct map want = { 0 };

  map_append (&want, 8 * MIB, 0);
  check_map (h, LIBNBD_CONTEXT_BASE_ALLOCATION, &want, "pattern");
  map_free (&want);
  disconnect (h);
  server_stop (s);
}

/* Thousands of extents with every flag of base:allocation. */
static void
check_many (void)
{
  static const char *const types[] = { "data", "hole", "zero", "hole,zero" };
  char *list = temp_path ("extents"), *parameter;
  FILE *fp = fopen (list, "we");
  struct map want = { 0 };
  struct server *s;
  struct nbd_handle *h;

  MUST_BE (fp);
  while (want.size < 64 * MIB) {
    uint64_t length = 4096 * (1 + next_random (&seed) % 8);
    unsigned type = next_random (&seed) % 4;

    if (length > 64 * MIB - want.size)
      length = 64 * MIB - want.size;
    fprintf (fp, "%llu %llu %s\n", (unsigned long long) want.size,
             (unsigned long long) length, types[type]);
    map_append (&want, length, type);
  }
  fclose (fp);
  MUST (asprintf (&parameter, "extentlist=%s", list));
  s = server_start (SERVER_UNIX, "nbdkit", "--filter=extentlist", "memory",
                    "64M", parameter, NULL);
  h = connected_with_context (s);
  ok (want.n > 2000, "extentlist: there are %zu extents", want.n);
  check_map (h, LIBNBD_CONTEXT_BASE_ALLOCATION, &want, "extentlist");
  disconnect (h);
  server_stop (s);
  map_free (&want);
  free (parameter);
  free (list);
}

/* A sparse file, and what zero and trim make of it. */
static void
check_file (void)
{
  char *path = temp_path ("sparse");
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  static uint8_t chunk[64 * 1024];
  struct server *s;
  struct nbd_handle *h;
  struct map want;

  MUST (fd);
  MUST (ftruncate (fd, 32 * MIB));
  for (unsigned i = 0; i < 40; i++) {
    fill_random (&seed, chunk, sizeof chunk);
    MUST_BE (pwrite (fd, chunk, sizeof chunk,
                     next_random (&seed) % 512 * 65536) == sizeof chunk);
  }
  s = server_start (SERVER_UNIX, "nbdkit", "file", path, NULL);
  h = connected_with_context (s);
  want = map_of_file (path);
  ok (want.n > 1, "file: it is sparse, with %zu extents", want.n);
  check_map (h, LIBNBD_CONTEXT_BASE_ALLOCATION, &want, "file");
  map_free (&want);

  is_int (nbd_trim (h, 7 * MIB, 3 * MIB, 0), 0, "file: trim succeeds");
  is_int (nbd_zero (h, 5 * MIB, 17 * MIB, 0), 0, "file: zero succeeds");
  is_int (nbd_pwrite (h, chunk, sizeof chunk, 19 * MIB, 0), 0,
          "file: write succeeds");
  is_int (nbd_flush (h, 0), 0, "file: flush succeeds");
  want = map_of_file (path);
  check_map (h, LIBNBD_CONTEXT_BASE_ALLOCATION, &want, "file, changed");
  map_free (&want);
  disconnect (h);
  server_stop (s);
  close (fd);
  free (path);
}

/* Places beyond 4 GiB, with 32 KiB of data at each. */
static const uint64_t places[] = {
  0, 4 * GIB - 32 * KIB, 4 * GIB, 4 * GIB + 32 * KIB, 6 * GIB, 1 * TIB,
  5 * TIB + 64 * KIB, 8 * TIB - 32 * KIB,
};

#define NR_PLACES (sizeof places / sizeof places[0])

static uint8_t block[32 * 1024], back[sizeof block];

/* One case: the data at each place was written to it. */
static void
check_places (struct nbd_handle *h, const char *what)
{
  unsigned wrong = 0;

  for (size_t i = 0; i < NR_PLACES; i++) {
    memset (block, i + 1, sizeof block);
    MUST (nbd_pwrite (h, block, sizeof block, places[i], 0));
  }
  for (size_t i = 0; i < NR_PLACES; i++) {
    MUST (nbd_pread (h, back, sizeof back, places[i], 0));
    wrong += !all_bytes_are (back, sizeof back, i + 1);
  }
  is_int (wrong, 0, "%s: each place holds what was written there", what);
  MUST (nbd_pread (h, back, sizeof back, 2 * TIB, 0));
  ok (all_bytes_are (back, sizeof back, 0), "%s: a hole is zero", what);
}

/* One case: what is at OFFSET. */
static void
check_byte (struct nbd_handle *h, uint64_t offset, uint8_t c, const char *what)
{
  MUST (nbd_pread (h, back, sizeof back, offset, 0));
  ok (all_bytes_are (back, sizeof back, c), "%s", what);
}

static void
check_large_memory (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "memory", "8T",
                                   NULL);
  struct nbd_handle *h = connected (s);
  bool extended = nbd_get_extended_headers_negotiated (h);

  is_int (nbd_get_size (h), 8 * TIB, "8 TiB of memory: the size is right");
  check_places (h, "8 TiB of memory");

  /* Ranges as long as 32 bits allow, and longer. */
  is_int (nbd_zero (h, UINT32_MAX, 4 * GIB, 0), 0,
          "a zero of 4 GiB - 1 succeeds");
  check_byte (h, 4 * GIB, 0, "its beginning is zero");
  check_byte (h, 6 * GIB, 0, "its middle is zero");
  check_byte (h, 4 * GIB - 32 * KIB, 2, "what is before it is not");
  is_int (nbd_trim (h, UINT32_MAX, 1 * TIB - GIB, 0), 0,
          "a trim of 4 GiB - 1 succeeds");
  check_byte (h, 1 * TIB, 0, "its middle is zero");
  check_byte (h, 8 * TIB - 32 * KIB, 8, "what is behind it is not");
  is_int (nbd_zero (h, 4 * GIB, TIB, 0), extended ? 0 : -1,
          "a zero of 4 GiB needs extended headers");
  if (!extended)
    is_int (nbd_get_errno (), ERANGE, "else it is out of range");
  is_int (nbd_trim (h, 5 * GIB, TIB, 0), extended ? 0 : -1,
          "a trim of 5 GiB needs extended headers");
  if (!extended)
    is_int (nbd_get_errno (), ERANGE, "else it is out of range");
  disconnect (h);
  server_stop (s);
}

static void
check_large_file (void)
{
  char *path = temp_path ("large");
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  struct map want;
  struct server *s;
  struct nbd_handle *h;

  MUST (fd);
  if (ftruncate (fd, 8 * TIB) == -1) {
    skip_case ("a file of 8 TiB", "the file system cannot hold one");
    close (fd);
    free (path);
    return;
  }
  s = server_start (SERVER_UNIX, "nbdkit", "file", path, NULL);
  h = connected_with_context (s);
  is_int (nbd_get_size (h), 8 * TIB, "a file of 8 TiB: the size is right");
  check_places (h, "a file of 8 TiB");
  MUST (nbd_flush (h, 0));
  want = map_of_file (path);
  ok (want.n > NR_PLACES, "it has %zu extents", want.n);
  for (int wide = 0; wide < 2; wide++) {
    struct question q = { .context = LIBNBD_CONTEXT_BASE_ALLOCATION,
                          .wide = wide, .step = 4 * GIB - 32 * KIB };
    struct map got = map_ask (h, &q);

    is_map (&got, &want, "its map is right, %d bits", wide ? 64 : 32);
    map_free (&got);
  }
  map_free (&want);
  disconnect (h);
  server_stop (s);
  close (fd);
  free (path);
}

/* The largest disk there can be. */
static void
check_largest (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "pattern",
                                   "9223372036854775807", NULL);
  struct nbd_handle *h = connected (s);
  uint8_t p[16];
  static const uint8_t want[16] = {
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0,
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
  };

  is_int (nbd_get_size (h), INT64_MAX, "largest: the size is 2^63 - 1");
  is_int (nbd_pread (h, p, 15, INT64_MAX - 15, 0), 0,
          "largest: its end can be read");
  ok (memcmp (p, want, 15) == 0, "largest: it is as it must be");
  is_int (nbd_pread (h, p, 16, INT64_MAX - 15, 0), -1,
          "largest: nothing is behind it");
  is_int (nbd_get_errno (), EINVAL, "largest: the error is EINVAL");
  disconnect (h);
  server_stop (s);
}

int
main (void)
{
  server_require ("nbdkit", "data", "--dump-plugin", NULL);
  server_require ("nbdkit", "sparse-random", "--dump-plugin", NULL);
  server_require ("nbdkit", "pattern", "--dump-plugin", NULL);
  server_require ("nbdkit", "--filter=extentlist", "memory", "--dump-plugin",
                  NULL);
  tap_begin ();
  check_data_plugin ();
  check_sparse_random ();
  check_pattern ();
  check_many ();
  check_file ();
  check_large_memory ();
  check_large_file ();
  check_largest ();
  return tap_end ();
}
