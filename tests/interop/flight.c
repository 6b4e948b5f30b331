/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many requests in flight: reads and writes mixed, replies in any order, each
 * completed and freed once, and the data right.  Built once for each server.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

#define DISK_SIZE ((size_t) 64 << 20)

static uint8_t *disk;           /* as it must read */
static uint64_t seed = 2;

/* How a request is retired. */
enum retirement {
  BY_CALLBACK,                  /* its completion callback returns 1 */
  BY_COOKIE,                    /* nbd_aio_command_completed, after it */
  BY_PEEK,                      /* it has no callback */
  NR_RETIREMENTS
};

struct slot;

struct request {
  struct slot *slot;
  enum retirement retirement;
  uint64_t offset;
  size_t n;
  bool write;
  int64_t cookie;
  unsigned completed, retired, freed;
  bool bad;                     /* what was read, or the order of events */
};

/* A part of the disk for which at most one request is in flight. */
struct slot {
  uint64_t offset;
  size_t size;
  uint8_t *buffer;
  struct request *request;      /* in flight */
  bool completed;               /* and to be retired by its cookie */
};

static void
check_content (struct request *r)
{
  if (!r->write && memcmp (r->slot->buffer, disk + r->offset, r->n) != 0)
    r->bad = true;
}

static int
complete (void *opaque, int *error)
{
  struct request *r = opaque;

  r->completed++;
  if (*error != 0 || r->freed)
    r->bad = true;
  check_content (r);
  if (r->retirement == BY_COOKIE) {
    r->slot->completed = true;
    return 0;
  }
  r->retired++;
  r->slot->request = NULL;
  return 1;
}

static void
release (void *opaque)
{
  struct request *r = opaque;

  r->freed++;
  if (r->completed != 1)
    r->bad = true;
}

static void
issue (struct nbd_handle *h, struct slot *slot, struct request *r)
{
  nbd_completion_callback cb = NBD_NULL_COMPLETION;

  r->slot = slot;
  slot->request = r;
  r->n = 1 + next_random (&seed) % slot->size;
  r->offset = slot->offset + next_random (&seed) % (slot->size - r->n + 1);
  r->write = next_random (&seed) % 2;
  r->retirement = next_random (&seed) % NR_RETIREMENTS;
  if (r->retirement != BY_PEEK)
    cb = (nbd_completion_callback) { .callback = complete, .user_data = r,
                                     .free = release };
  if (r->write) {
    /* Also what must be read later.  Nobody reads it meanwhile. */
    fill_random (&seed, disk + r->offset, r->n);
    memcpy (slot->buffer, disk + r->offset, r->n);
    r->cookie = nbd_aio_pwrite (h, slot->buffer, r->n, r->offset, cb, 0);
  }
  else {
    memset (slot->buffer, 0xa5, r->n);
    r->cookie = nbd_aio_pread (h, slot->buffer, r->n, r->offset, cb, 0);
  }
  MUST (r->cookie);
}

/* Retire what is left to do by hand. */
static void
retire (struct nbd_handle *h, struct slot *slots, unsigned nr_slots)
{
  int64_t cookie;

  for (unsigned i = 0; i < nr_slots; i++) {
    struct request *r = slots[i].request;

    if (!slots[i].completed)
      continue;
    if (nbd_aio_command_completed (h, r->cookie) == 1)
      r->retired++;
    slots[i].completed = false;
    slots[i].request = NULL;
  }
  while (nbd_aio_in_flight (h) >= 0 &&
         (cookie = nbd_aio_peek_command_completed (h)) > 0) {
    struct request *r = NULL;

    for (unsigned i = 0; r == NULL && i < nr_slots; i++)
      if (slots[i].request && slots[i].request->cookie == cookie)
        r = slots[i].request;
    MUST_BE (r && r->retirement == BY_PEEK);
    if (nbd_aio_command_completed (h, cookie) == 1)
      r->retired++;
    r->completed++;
    r->freed++;
    check_content (r);
    r->slot->request = NULL;
  }
}

static struct request *
calloc_requests (unsigned n)
{
  struct request *requests = calloc (n, sizeof *requests);

  MUST_BE (requests != NULL);
  return requests;
}

/* TOTAL requests, DEPTH of them at a time. */
static void
fly (const struct server *s, unsigned depth, size_t slot_size, unsigned total,
     const char *what)
{
  struct nbd_handle *h = connected (s);
  struct slot *slots = calloc (depth, sizeof *slots);
  struct request *requests = calloc_requests (total);
  unsigned issued = 0, bad = 0, completed = 0, retired = 0, freed = 0;
  unsigned out_of_order = 0;
  int most = 0;

  MUST_BE (slots != NULL);
  for (unsigned i = 0; i < depth; i++) {
    slots[i].offset = i * slot_size;
    slots[i].size = slot_size;
    slots[i].buffer = malloc (slot_size);
    MUST_BE (slots[i].buffer != NULL);
  }

  for (;;) {
    unsigned busy = 0;
    int n;

    for (unsigned i = 0; i < depth; i++) {
      if (slots[i].request == NULL && issued < total)
        issue (h, &slots[i], &requests[issued++]);
      busy += slots[i].request != NULL;
    }
    n = nbd_aio_in_flight (h);
    if (n > most)
      most = n;
    if (busy == 0)
      break;
    /* Nothing may be waited for that has completed already. */
    if (nbd_aio_peek_command_completed (h) == 0)
      MUST (nbd_poll (h, -1));
    retire (h, slots, depth);
  }

  for (unsigned i = 0; i < total; i++) {
    bad += requests[i].bad;
    completed += requests[i].completed == 1;
    retired += requests[i].retired == 1;
    freed += requests[i].freed == 1;
    out_of_order += i > 0 && requests[i].cookie <= requests[i - 1].cookie;
  }
  is_int (most, depth, "%s: %u are in flight", what, depth);
  is_int (bad, 0, "%s: none fails, and all reads are right", what);
  is_int (completed, total, "%s: each completes once", what);
  is_int (retired, total, "%s: each is retired once", what);
  is_int (freed, total, "%s: each callback is freed once, and last", what);
  is_int (out_of_order, 0, "%s: cookies count up", what);
  is_int (nbd_aio_in_flight (h), 0, "%s: in the end none is in flight", what);
  is_int (nbd_aio_peek_command_completed (h), -1,
          "%s: and none is left to be retired", what);

  disconnect (h);
  for (unsigned i = 0; i < depth; i++)
    free (slots[i].buffer);
  free (slots);
  free (requests);
}

/* One case: what was written by all of the above is on the disk. */
static void
check_disk (const struct server *s, const char *what)
{
  struct nbd_handle *h = connected (s);
  uint8_t *buf = malloc (DISK_SIZE);
  size_t n = DISK_SIZE / 4;

  MUST_BE (buf != NULL);
  for (size_t i = 0; i < DISK_SIZE; i += n)
    MUST (nbd_pread (h, buf + i, n, i, 0));
  ok (memcmp (buf, disk, DISK_SIZE) == 0, "%s: the disk is as written", what);
  free (buf);
  disconnect (h);
}

static void
check_server (struct server *s, const char *what)
{
  char *name;

  static const struct {
    unsigned depth;
    size_t slot_size;
    unsigned total;
    const char *size;
  } flights[] = {
    { 1, 65536, 50, "64 KiB" },
    { 64, 16384, 3000, "16 KiB" },
    { 64, 1 << 20, 300, "1 MiB" },
    { 1024, 512, 8192, "512 bytes" },
    { 1024, 65536, 2048, "64 KiB" },
  };

  for (size_t i = 0; i < sizeof flights / sizeof flights[0]; i++) {
    MUST (asprintf (&name, "%s, requests of up to %s", what,
                    flights[i].size));
    fly (s, flights[i].depth, flights[i].slot_size, flights[i].total, name);
    free (name);
  }
  check_disk (s, what);
  server_stop (s);
}

/* Replies in the reverse of the order of the requests.  Each read waits in the
 * server until it can open a named pipe.
 */
#define NR_HELD 8

struct held {
  unsigned *nr_completed;
  unsigned completed, freed, place;
};

static int
held_completed (void *opaque, int *error)
{
  struct held *held = opaque;

  held->completed += *error == 0;
  held->place = ++*held->nr_completed;
  return 0;
}

static void
held_freed (void *opaque)
{
  struct held *held = opaque;

  held->freed++;
}

static void
check_reverse_order (const char *file)
{
  char *script, *fifo[NR_HELD], name[32];
  struct held held[NR_HELD] = { 0 };
  int64_t cookie[NR_HELD];
  uint8_t buf[NR_HELD][4096];
  unsigned nr_completed = 0, wrong = 0, early = 0;
  struct server *s;
  struct nbd_handle *h;

  for (unsigned i = 0; i < NR_HELD; i++) {
    snprintf (name, sizeof name, "fifo%u", i * 4096);
    fifo[i] = temp_path (name);
    MUST (mkfifo (fifo[i], 0600));
  }
  MUST (asprintf (&script, "pread=read x <%s/fifo$4; "
                  "dd if=%s skip=$4 count=$3 iflag=skip_bytes,count_bytes",
                  temp_dir (), file));
  s = server_start (SERVER_UNIX, "nbdkit", "eval",
                    "thread_model=echo parallel", "get_size=echo 1048576",
                    script, NULL);
  h = connected (s);
  for (unsigned i = 0; i < NR_HELD; i++) {
    held[i].nr_completed = &nr_completed;
    cookie[i] = nbd_aio_pread (h, buf[i], sizeof buf[i], i * 4096,
                               (nbd_completion_callback) {
                                 .callback = held_completed,
                                 .user_data = &held[i],
                                 .free = held_freed }, 0);
    MUST (cookie[i]);
  }
  for (int i = NR_HELD - 1; i >= 0; i--) {
    int fd = open (fifo[i], O_WRONLY | O_CLOEXEC);

    MUST (fd);
    MUST (write (fd, "\n", 1));
    close (fd);
    while (nbd_aio_command_completed (h, cookie[i]) == 0)
      MUST (nbd_poll (h, -1));
    wrong += memcmp (buf[i], disk + i * 4096, sizeof buf[i]) != 0;
    early += nbd_aio_in_flight (h) != i;
  }
  is_int (early, 0, "a reply completes its own request and no other");
  is_int (wrong, 0, "replies in reverse order carry the right data");
  for (unsigned i = 0; i < NR_HELD; i++)
    ok (held[i].completed == 1 && held[i].freed == 1 &&
        held[i].place == NR_HELD - i,
        "request %u of %u completes as number %u", i + 1, NR_HELD,
        NR_HELD - i);
  disconnect (h);
  server_stop (s);
  for (unsigned i = 0; i < NR_HELD; i++)
    free (fifo[i]);
  free (script);
}

int
main (void)
{
  bool nbdkit = strcmp (SERVER, "nbdkit") == 0;
  char *path;
  int fd;

  server_require (SERVER, strcmp (SERVER, "nbd-server") == 0 ? "-V"
                  : "--version", NULL);
  if (nbdkit) {
    server_require ("nbdkit", "--filter=delay", "file", "--dump-plugin", NULL);
    server_require ("nbdkit", "eval", "--dump-plugin", NULL);
  }
  tap_begin ();
  path = temp_path ("disk");
  fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  MUST (fd);
  MUST (ftruncate (fd, DISK_SIZE));
  close (fd);
  disk = calloc (1, DISK_SIZE);
  MUST_BE (disk != NULL);

  check_server (server_start_file (SERVER_UNIX, SERVER, path),
                SERVER " on a Unix socket");
  check_server (server_start_file (SERVER_IPV4, SERVER, path),
                SERVER " on a TCP port");
  if (nbdkit) {
    struct server *s = server_start (SERVER_UNIX, "nbdkit", "--filter=delay",
                                     "file", path, "rdelay=2ms", "wdelay=1ms",
                                     NULL);

    fly (s, 64, 16384, 1000, "nbdkit, writes faster than reads");
    check_disk (s, "nbdkit, writes faster than reads");
    server_stop (s);
    check_reverse_order (path);
  }

  free (disk);
  free (path);
  return tap_end ();
}
