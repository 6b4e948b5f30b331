/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Random data written to a server, in every size and over every kind of
 * connection, reads back as it was written, and is in the file that the server
 * serves.  Built once for each server.
 */

#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

#define KIB ((uint64_t) 1024)
#define MIB (1024 * KIB)
#define DISK_SIZE (40 * MIB)

/* What every server takes in one request. */
#define MAX_REQUEST (32 * MIB)

/* The largest requests of a connection that is not tried with all sizes. */
#define SMALL 4097, 4097, 4097, 4097
#define MEDIUM 128 * KIB, MIB, 128 * KIB, 128 * KIB

static uint8_t *disk;           /* as it must read */
static uint8_t *buffer;
static uint64_t seed = 1;
static struct server *unix_server, *tcp_server;

/* Ways to issue a request. */

static void
wait_for_command (struct nbd_handle *h, int64_t cookie)
{
  int r;

  MUST (cookie);
  while ((r = nbd_aio_command_completed (h, cookie)) == 0)
    MUST (nbd_poll (h, -1));
  MUST (r);
}

static void
write_sync (struct nbd_handle *h, const void *p, size_t n, uint64_t offset)
{
  MUST (nbd_pwrite (h, p, n, offset, 0));
}

static void
read_sync (struct nbd_handle *h, void *p, size_t n, uint64_t offset)
{
  MUST (nbd_pread (h, p, n, offset, 0));
}

static void
write_async (struct nbd_handle *h, const void *p, size_t n, uint64_t offset)
{
  wait_for_command (h, nbd_aio_pwrite (h, p, n, offset, NBD_NULL_COMPLETION,
                                       0));
}

static void
read_async (struct nbd_handle *h, void *p, size_t n, uint64_t offset)
{
  wait_for_command (h, nbd_aio_pread (h, p, n, offset, NBD_NULL_COMPLETION,
                                      0));
}

/* A read that is told of its pieces. */
struct pieces {
  const uint8_t *buf;
  uint64_t offset;
  size_t count, seen;
  bool good;
};

static int
piece (void *opaque, const void *p, size_t n, uint64_t offset, unsigned status,
       int *error)
{
  struct pieces *pieces = opaque;

  if (status != LIBNBD_READ_DATA && status != LIBNBD_READ_HOLE)
    return 0;
  pieces->good = pieces->good && *error == 0 && offset >= pieces->offset &&
    offset + n <= pieces->offset + pieces->count &&
    (const uint8_t *) p == pieces->buf + (offset - pieces->offset) &&
    memcmp (p, disk + offset, n) == 0;
  pieces->seen += n;
  return 0;
}

static void
read_structured (struct nbd_handle *h, void *p, size_t n, uint64_t offset)
{
  struct pieces pieces = { p, offset, n, 0, true };

  MUST (nbd_pread_structured (h, p, n, offset,
                              (nbd_chunk_callback) { .callback = piece,
                                                     .user_data = &pieces },
                              0));
  if (!pieces.good || pieces.seen != n)
    ok (false, "the pieces of a read of %zu bytes at %llu are its content", n,
        (unsigned long long) offset);
}

static void
read_structured_async (struct nbd_handle *h, void *p, size_t n,
                       uint64_t offset)
{
  struct pieces pieces = { p, offset, n, 0, true };
  nbd_chunk_callback chunk = { .callback = piece, .user_data = &pieces };

  wait_for_command (h, nbd_aio_pread_structured (h, p, n, offset, chunk,
                                                 NBD_NULL_COMPLETION, 0));
  if (!pieces.good || pieces.seen != n)
    ok (false, "the pieces of a read of %zu bytes at %llu are its content", n,
        (unsigned long long) offset);
}

static const struct way {
  const char *name;
  void (*write) (struct nbd_handle *h, const void *p, size_t n,
                 uint64_t offset);
  void (*read) (struct nbd_handle *h, void *p, size_t n, uint64_t offset);
} ways[] = {
  { "synchronous calls", write_sync, read_sync },
  { "asynchronous calls", write_async, read_async },
  { "reads in pieces", write_sync, read_structured },
  { "asynchronous reads in pieces", write_async, read_structured_async },
};

#define NR_WAYS (sizeof ways / sizeof ways[0])

/* Comparing. */

static bool
read_is_right (struct nbd_handle *h, const struct way *way, size_t n,
               uint64_t offset)
{
  size_t i = 0;

  /* Neither what was read before nor zeroes may pass for the answer. */
  memset (buffer, 0xa5, n);
  way->read (h, buffer, n, offset);
  if (memcmp (buffer, disk + offset, n) == 0)
    return true;
  while (buffer[i] == disk[offset + i])
    i++;
  note ("read of %zu bytes at %llu: byte %zu is 0x%02x, not 0x%02x", n,
        (unsigned long long) offset, i, buffer[i], disk[offset + i]);
  return false;
}

/* Write N bytes at OFFSET, and read them with what is around them. */
static bool
round_trip (struct nbd_handle *h, const struct way *way, size_t n,
            uint64_t offset)
{
  uint64_t before = next_random (&seed) % 5000;
  uint64_t after = next_random (&seed) % 5000;

  if (before > offset)
    before = offset;
  if (after > DISK_SIZE - offset - n)
    after = DISK_SIZE - offset - n;
  if (before + n + after > MAX_REQUEST)
    before = after = 0;
  fill_random (&seed, disk + offset, n);
  way->write (h, disk + offset, n, offset);
  return read_is_right (h, way, n, offset) &&
    read_is_right (h, way, before + n + after, offset - before);
}

static const size_t sizes[] = {
  1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100, 255, 256, 257,
  511, 512, 513, 1000, 1023, 1024, 1025, 4095, 4096, 4097, 8191, 8192, 8193,
  32767, 32768, 32769, 65535, 65536, 65537, 65536 + 512, 131071, 131072,
  131073, 262144 + 5, 524288 - 1, 1048575, 1048576, 1048577,
  2 * 1048576 - 17, 4 * 1048576 + 3, 8 * 1048576 + 1,
  16 * 1048576, 32 * 1048576 - 1, 32 * 1048576,
};

#define NR_SIZES (sizeof sizes / sizeof sizes[0])

/* One case: all sizes up to a largest, each at the beginning, at the end and
 * at odd places.
 */
static void
check_sizes (struct nbd_handle *h, const struct way *way, size_t largest,
             const char *what)
{
  bool good = true;
  size_t last = 0;

  for (size_t i = 0; good && i < NR_SIZES && sizes[i] <= largest; i++) {
    size_t n = sizes[i];
    unsigned times = n > MIB ? 1 : n > 64 * KIB ? 2 : 4;

    last = n;
    for (unsigned j = 0; good && j < times; j++) {
      uint64_t offset = next_random (&seed) % (DISK_SIZE - n + 1);

      if (j == 1)
        offset = DISK_SIZE - n;
      else if (j == 2)
        offset = 0;
      else if (j == 3 && offset + 4095 + n <= DISK_SIZE)
        offset = (offset | 4095);
      good = round_trip (h, way, n, offset);
    }
  }
  ok (good, "%s: %s: 1 to %zu bytes read back as written", what, way->name,
      last);
}

/* One case: the whole disk, in requests of odd sizes. */
static void
check_whole (struct nbd_handle *h, const char *what)
{
  bool good = true;
  uint64_t offset = 0;

  while (good && offset < DISK_SIZE) {
    size_t n = 1 + next_random (&seed) % (3 * MIB);

    if (n > DISK_SIZE - offset)
      n = DISK_SIZE - offset;
    good = read_is_right (h, &ways[0], n, offset);
    offset += n;
  }
  ok (good, "%s: the whole disk is as written", what);
}

/* Ways to connect. */

static void
poll_until_connected (struct nbd_handle *h)
{
  while (nbd_aio_is_connecting (h))
    MUST (nbd_poll (h, -1));
  MUST_BE (nbd_aio_is_ready (h));
}

static void
name_export (struct nbd_handle *h)
{
  MUST (nbd_set_export_name (h, strcmp (SERVER, "nbd-server") == 0
                             ? "disk" : ""));
}

static void
by_unix (struct nbd_handle *h)
{
  MUST (nbd_connect_unix (h, server_path (unix_server)));
}

static void
by_tcp (struct nbd_handle *h)
{
  MUST (nbd_connect_tcp (h, "127.0.0.1", server_port (tcp_server)));
}

static void
by_name (struct nbd_handle *h)
{
  MUST (nbd_connect_tcp (h, "localhost", server_port (tcp_server)));
}

static void
by_unix_async (struct nbd_handle *h)
{
  MUST (nbd_aio_connect_unix (h, server_path (unix_server)));
  poll_until_connected (h);
}

static void
by_name_async (struct nbd_handle *h)
{
  MUST (nbd_aio_connect_tcp (h, "localhost", server_port (tcp_server)));
  poll_until_connected (h);
}

static void
by_address (struct nbd_handle *h, const struct server *s)
{
  struct sockaddr_storage addr;
  socklen_t len = server_address (s, &addr);

  MUST (nbd_aio_connect (h, (struct sockaddr *) &addr, len));
  /* The address need not outlive the call. */
  memset (&addr, 0xff, sizeof addr);
  poll_until_connected (h);
}

static void
by_unix_address (struct nbd_handle *h)
{
  by_address (h, unix_server);
}

static void
by_tcp_address (struct nbd_handle *h)
{
  by_address (h, tcp_server);
}

static int
socket_in_mode (const struct server *s, int flags)
{
  int fd = server_socket (s);

  MUST (fcntl (fd, F_SETFL, flags));
  return fd;
}

static void
by_unix_socket (struct nbd_handle *h)
{
  MUST (nbd_connect_socket (h, socket_in_mode (unix_server, 0)));
}

static void
by_unix_socket_nonblocking (struct nbd_handle *h)
{
  MUST (nbd_connect_socket (h, socket_in_mode (unix_server, O_NONBLOCK)));
}

static void
by_tcp_socket (struct nbd_handle *h)
{
  MUST (nbd_connect_socket (h, socket_in_mode (tcp_server, 0)));
}

static void
by_tcp_socket_nonblocking (struct nbd_handle *h)
{
  MUST (nbd_connect_socket (h, socket_in_mode (tcp_server, O_NONBLOCK)));
}

static void
by_unix_socket_async (struct nbd_handle *h)
{
  MUST (nbd_aio_connect_socket (h, socket_in_mode (unix_server, 0)));
  poll_until_connected (h);
}

static void
by_tcp_socket_async (struct nbd_handle *h)
{
  MUST (nbd_aio_connect_socket (h, socket_in_mode (tcp_server, O_NONBLOCK)));
  poll_until_connected (h);
}

/* Two threads pass on what comes in, in pieces of random sizes, so that no
 * message arrives whole.
 */
static struct pump {
  int from, to;
  uint64_t seed;
  pthread_t thread;
} pumps[2];

static int relay_ends[2];

static void *
pump (void *opaque)
{
  struct pump *p = opaque;
  uint8_t piece_buffer[5000];
  ssize_t n;

  while ((n = recv (p->from, piece_buffer,
                    1 + next_random (&p->seed) % sizeof piece_buffer,
                    0)) > 0) {
    for (ssize_t sent = 0, r; sent < n; sent += r) {
      r = send (p->to, piece_buffer + sent, n - sent, MSG_NOSIGNAL);
      if (r == -1)
        return NULL;
    }
  }
  shutdown (p->to, SHUT_WR);
  return NULL;
}

static void
by_relay (struct nbd_handle *h)
{
  int pair[2];

  MUST (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  relay_ends[0] = pair[1];
  relay_ends[1] = server_socket (unix_server);
  for (int i = 0; i < 2; i++) {
    pumps[i].from = relay_ends[i];
    pumps[i].to = relay_ends[!i];
    pumps[i].seed = 1000 + i;
    MUST_BE (pthread_create (&pumps[i].thread, NULL, pump, &pumps[i]) == 0);
  }
  MUST (nbd_connect_socket (h, pair[0]));
}

static void
end_relay (void)
{
  for (int i = 0; i < 2; i++)
    pthread_join (pumps[i].thread, NULL);
  for (int i = 0; i < 2; i++)
    close (relay_ends[i]);
}

static const struct route {
  const char *name;
  void (*connect) (struct nbd_handle *h);
  void (*done) (void);
  size_t largest[NR_WAYS];      /* request, for each way to issue it */
} routes[] = {
  { "nbd_connect_unix", by_unix, NULL,
    { MAX_REQUEST, 2 * MIB, 2 * MIB, 2 * MIB } },
  { "nbd_connect_tcp", by_tcp, NULL,
    { 2 * MIB, MAX_REQUEST, 2 * MIB, 2 * MIB } },
  { "nbd_connect_tcp to localhost", by_name, NULL, { SMALL } },
  { "nbd_aio_connect_unix", by_unix_async, NULL, { SMALL } },
  { "nbd_aio_connect_tcp", by_name_async, NULL, { SMALL } },
  { "nbd_aio_connect to a Unix address", by_unix_address, NULL, { SMALL } },
  { "nbd_aio_connect to an IPv4 address", by_tcp_address, NULL, { SMALL } },
  { "a blocking Unix socket", by_unix_socket, NULL, { MEDIUM } },
  { "a non-blocking Unix socket", by_unix_socket_nonblocking, NULL,
    { MEDIUM } },
  { "a blocking TCP socket", by_tcp_socket, NULL, { MEDIUM } },
  { "a non-blocking TCP socket", by_tcp_socket_nonblocking, NULL,
    { MEDIUM } },
  { "nbd_aio_connect_socket, Unix", by_unix_socket_async, NULL, { SMALL } },
  { "nbd_aio_connect_socket, TCP", by_tcp_socket_async, NULL, { SMALL } },
  { "a socket pair and a relay", by_relay, end_relay, { MEDIUM } },
};

static void
check_route (const struct route *route)
{
  struct nbd_handle *h = new_handle ();

  name_export (h);
  /* Only what the reply says is placed, holes included. */
  MUST (nbd_set_pread_initialize (h, route == routes));
  route->connect (h);
  is_int (nbd_get_size (h), DISK_SIZE, "%s: the size is that of the file",
          route->name);
  for (size_t i = 0; i < NR_WAYS; i++)
    check_sizes (h, &ways[i], route->largest[i], route->name);
  if (route->largest[0] > MIB)
    check_whole (h, route->name);
  if (nbd_can_flush (h))
    is_int (nbd_flush (h, 0), 0, "%s: nbd_flush succeeds", route->name);
  disconnect (h);
  if (route->done)
    route->done ();
}

/* One case: the file itself. */
static void
check_file (const char *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  uint64_t done = 0;

  MUST (fd);
  MUST (fstat (fd, &st));
  while (done < DISK_SIZE) {
    ssize_t r = pread (fd, buffer + done, DISK_SIZE - done, done);

    MUST_BE (r > 0);
    done += r;
  }
  close (fd);
  ok (st.st_size == (off_t) DISK_SIZE &&
      memcmp (buffer, disk, DISK_SIZE) == 0,
      "the file holds what was written");
}

int
main (void)
{
  char *path;
  int fd;

  server_require (SERVER, strcmp (SERVER, "nbd-server") == 0 ? "-V"
                  : "--version", NULL);
  tap_begin ();
  path = temp_path ("disk");
  fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  MUST (fd);
  MUST (ftruncate (fd, DISK_SIZE));
  close (fd);
  disk = calloc (1, DISK_SIZE);
  buffer = malloc (DISK_SIZE);
  MUST_BE (disk && buffer);

  unix_server = server_start_file (SERVER_UNIX, SERVER, path);
  tcp_server = server_start_file (SERVER_IPV4, SERVER, path);
  for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
    check_route (&routes[i]);
  server_stop (unix_server);
  server_stop (tcp_server);
  check_file (path);

  free (disk);
  free (buffer);
  free (path);
  return tap_end ();
}
