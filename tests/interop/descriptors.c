/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Programs with more descriptors than select (2) can wait for, with more than
 * a thousand handles, and with no descriptor left.
 */

#include "config.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pki.h"
#include "server.h"
#include "tap.h"

#define MANY 1100
#define LIMIT 4096

#define DISK_SIZE ((size_t) 1 << 20)

static uint8_t content[DISK_SIZE], buffer[DISK_SIZE];
static char *disk;
static struct server *unix_server, *tcp_server, *tls_server;

static void
set_limit (rlim_t n)
{
  struct rlimit limit;

  MUST (getrlimit (RLIMIT_NOFILE, &limit));
  limit.rlim_cur = n;
  MUST (setrlimit (RLIMIT_NOFILE, &limit));
}

static unsigned
count_open (void)
{
  DIR *dir = opendir ("/proc/self/fd");
  unsigned n = 0;

  MUST_BE (dir != NULL);
  while (readdir (dir))
    n++;
  closedir (dir);
  return n;
}

/* Descriptors of the program that are in the way. */
static int fillers[LIMIT];
static unsigned nr_fillers;

static bool
fill_one (void)
{
  int fd = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

  if (fd == -1) {
    MUST_BE (errno == EMFILE);
    return false;
  }
  MUST_BE (nr_fillers < LIMIT);
  fillers[nr_fillers++] = fd;
  return true;
}

static void
remove_fillers (unsigned n)
{
  while (n-- > 0 && nr_fillers > 0)
    close (fillers[--nr_fillers]);
}

/* Ways to connect. */

static int
connect_unix (struct nbd_handle *h)
{
  return nbd_connect_unix (h, server_path (unix_server));
}

static int
connect_tcp (struct nbd_handle *h)
{
  return nbd_connect_tcp (h, "127.0.0.1", server_port (tcp_server));
}

static int
connect_tls (struct nbd_handle *h)
{
  MUST (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  MUST (nbd_set_tls_psk_file (h, pki_path ("keys.psk")));
  MUST (nbd_set_tls_username (h, psk_users[0]));
  return nbd_connect_unix (h, server_path (tls_server));
}

static int
connect_command (struct nbd_handle *h)
{
  return nbd_connect_command (h, (char *[]) {
      (char *) "nbdkit", (char *) "-s", (char *) "file", disk, NULL });
}

static int
connect_activation (struct nbd_handle *h)
{
  return nbd_connect_systemd_socket_activation (h, (char *[]) {
      (char *) "nbdkit", (char *) "file", disk, NULL });
}

static const struct way {
  const char *name;
  int (*connect) (struct nbd_handle *h);
  bool tls;
} ways[] = {
  { "nbd_connect_unix", connect_unix, false },
  { "nbd_connect_tcp", connect_tcp, false },
  { "TLS", connect_tls, true },
  { "nbd_connect_command", connect_command, false },
  { "nbd_connect_systemd_socket_activation", connect_activation, false },
};

static bool
read_is_right (struct nbd_handle *h)
{
  memset (buffer, 0, DISK_SIZE);
  return nbd_pread (h, buffer, DISK_SIZE, 0, 0) == 0 &&
    memcmp (buffer, content, DISK_SIZE) == 0;
}

/* Descriptors with large numbers. */

static void
check_large_numbers (const struct way *way)
{
  struct nbd_handle *h = new_handle ();
  int extra = eventfd (0, EFD_CLOEXEC);
  const uint64_t one = 1;
  int64_t cookie;
  int r;

  MUST_BE (extra >= FD_SETSIZE);
  if (!is_int (way->connect (h), 0, "%s: connects with a large descriptor",
               way->name)) {
    note ("%s", nbd_get_error ());
    nbd_close (h);
    close (extra);
    return;
  }
  ok (nbd_aio_get_fd (h) >= FD_SETSIZE, "%s: which it has", way->name);
  ok (read_is_right (h), "%s: a read is right", way->name);
  is_int (nbd_pwrite (h, content, DISK_SIZE, 0, 0), 0, "%s: a write succeeds",
          way->name);
  is_int (nbd_poll (h, 0), 0, "%s: nbd_poll times out", way->name);
  is_int (nbd_poll2 (h, extra, 0), 0, "%s: nbd_poll2 times out", way->name);
  MUST (write (extra, &one, sizeof one));
  is_int (nbd_poll2 (h, extra, -1), 1, "%s: a large descriptor wakes it",
          way->name);
  for (int two = 0; two < 2; two++) {
    memset (buffer, 0, DISK_SIZE);
    cookie = nbd_aio_pread (h, buffer, DISK_SIZE, 0, NBD_NULL_COMPLETION, 0);
    MUST (cookie);
    while ((r = nbd_aio_command_completed (h, cookie)) == 0)
      if ((two ? nbd_poll2 (h, extra, -1) : nbd_poll (h, -1)) == -1)
        break;
    ok (r == 1 && memcmp (buffer, content, DISK_SIZE) == 0,
        "%s: an asynchronous read is right, with %s", way->name,
        two ? "nbd_poll2" : "nbd_poll");
  }
  is_int (nbd_shutdown (h, 0), 0, "%s: it is shut down", way->name);
  nbd_close (h);
  close (extra);
}

/* More than a thousand handles.  The server, a thread, answers when it has a
 * request of each of them, the last one first.
 */

#define CHUNK 512

struct server_end {
  int fd;
  uint64_t cookie, offset;
};

static int listener;

static uint8_t
byte_at (uint64_t offset)
{
  return offset / CHUNK * 7 + 1;
}

static void
greet (int fd)
{
  struct {
    uint64_t magic, style, size;
    uint32_t flags;
    char zeroes[124];
  } __attribute__ ((packed)) greeting = {
    htobe64 (0x4e42444d41474943), htobe64 (0x00420281861253),
    htobe64 (MANY * CHUNK), htobe32 (1), "",
  };

  MUST_BE (send (fd, &greeting, sizeof greeting, MSG_NOSIGNAL) ==
           sizeof greeting);
}

static void
receive_read (struct server_end *end)
{
  struct {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t count;
  } __attribute__ ((packed)) request;

  MUST_BE (recv (end->fd, &request, sizeof request, MSG_WAITALL) ==
           sizeof request);
  MUST_BE (request.type == 0 && be32toh (request.count) == CHUNK);
  end->cookie = request.cookie;
  end->offset = be64toh (request.offset);
}

static void
answer (const struct server_end *end)
{
  struct {
    uint32_t magic, error;
    uint64_t cookie;
    uint8_t data[CHUNK];
  } __attribute__ ((packed)) reply = {
    htobe32 (0x67446698), 0, end->cookie, ""
  };

  memset (reply.data, byte_at (end->offset), CHUNK);
  MUST_BE (send (end->fd, &reply, sizeof reply, MSG_NOSIGNAL) ==
           sizeof reply);
}

static void *
serve_many (void *opaque)
{
  static struct server_end ends[MANY];

  (void) opaque;
  for (unsigned i = 0; i < MANY; i++) {
    ends[i].fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
    MUST (ends[i].fd);
    greet (ends[i].fd);
  }
  for (unsigned i = 0; i < MANY; i++)
    receive_read (&ends[i]);
  for (unsigned i = MANY; i-- > 0; )
    answer (&ends[i]);
  /* The client leaves first. */
  for (unsigned i = 0; i < MANY; i++) {
    char c[28];

    while (recv (ends[i].fd, c, sizeof c, 0) > 0)
      ;
    close (ends[i].fd);
  }
  return NULL;
}

static void
check_many_handles (void)
{
  static struct nbd_handle *handles[MANY];
  static struct pollfd fds[MANY];
  static int64_t cookies[MANY];
  struct sockaddr_storage addr = { .ss_family = AF_UNIX };
  socklen_t len = sizeof addr;
  unsigned in_flight = 0, completed = 0, wrong = 0;
  pthread_t thread;

  /* A name that the system chooses. */
  listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  MUST (listener);
  MUST (bind (listener, (struct sockaddr *) &addr, sizeof (sa_family_t)));
  MUST (getsockname (listener, (struct sockaddr *) &addr, &len));
  MUST (listen (listener, 16));
  MUST_BE (pthread_create (&thread, NULL, serve_many, NULL) == 0);

  for (unsigned i = 0; i < MANY; i++) {
    handles[i] = new_handle ();
    MUST (nbd_aio_connect (handles[i], (struct sockaddr *) &addr, len));
    while (nbd_aio_is_connecting (handles[i]))
      MUST (nbd_poll (handles[i], -1));
    MUST_BE (nbd_aio_is_ready (handles[i]));
  }
  for (unsigned i = 0; i < MANY; i++) {
    cookies[i] = nbd_aio_pread (handles[i], buffer + i * CHUNK,
                                CHUNK, i * CHUNK, NBD_NULL_COMPLETION, 0);
    MUST (cookies[i]);
    fds[i] = (struct pollfd) { .fd = nbd_aio_get_fd (handles[i]),
                               .events = POLLIN };
  }
  /* The first one is answered last. */
  while (completed < MANY) {
    MUST (poll (fds, MANY, -1));
    for (unsigned i = 0; i < MANY; i++) {
      if (fds[i].revents == 0)
        continue;
      in_flight += nbd_aio_in_flight (handles[i]);
      MUST (nbd_aio_notify_read (handles[i]));
      if (nbd_aio_command_completed (handles[i], cookies[i]) == 0) {
        in_flight--;
        continue;
      }
      completed++;
      for (unsigned j = 0; j < CHUNK; j++)
        wrong += buffer[i * CHUNK + j] != byte_at (i * CHUNK);
      fds[i].fd = -1;
    }
  }
  is_int (in_flight, MANY, "%d handles have a request in flight", MANY);
  is_int (wrong, 0, "each gets its data");
  for (unsigned i = 0; i < MANY; i++)
    nbd_close (handles[i]);
  pthread_join (thread, NULL);
  close (listener);
}

/* No descriptor left at any moment of the connecting. */
static void
check_limit (const struct way *way)
{
  const unsigned before = count_open ();
  unsigned missing, unclear = 0, left = 0;
  bool connects = false;

  while (fill_one ())
    ;
  /* One more is free each time. */
  for (missing = 0; !connects && missing < 32; missing++) {
    struct nbd_handle *h = new_handle ();
    unsigned open_fillers = nr_fillers;

    connects = way->connect (h) == 0;
    if (!connects &&
        (nbd_get_errno () != EMFILE ||
         strstr (nbd_get_error (), strerror (EMFILE)) == NULL)) {
      note ("%u free: %s", missing, nbd_get_error ());
      unclear++;
    }
    if (connects && !read_is_right (h))
      unclear++;
    nbd_close (h);
    /* There is room for as many as there was before. */
    while (fill_one ())
      ;
    left += nr_fillers != open_fillers + missing;
    remove_fillers (nr_fillers - open_fillers);
    remove_fillers (1);
  }
  ok (connects && missing > 1, "%s: at the limit it fails, and connects when "
      "there are enough", way->name);
  is_int (unclear, 0, "%s: each failure is EMFILE, and says so", way->name);
  is_int (left, 0, "%s: no failure leaves a descriptor", way->name);
  remove_fillers (nr_fillers);
  is_int (count_open (), before, "%s: nor does all of it", way->name);
}

/* A handle that could not be connected, and that is still newly created, can
 * be connected when there is room.
 */
static void
check_again (const struct way *way)
{
  struct nbd_handle *h = new_handle ();

  while (fill_one ())
    ;
  MUST_BE (way->connect (h) == -1);
  remove_fillers (nr_fillers);
  if (nbd_aio_is_created (h))
    ok (way->connect (h) == 0 && read_is_right (h),
        "%s: the same handle connects later", way->name);
  else
    is_int (nbd_aio_is_dead (h), 1, "%s: the handle is dead", way->name);
  nbd_close (h);
}

/* A connection that is there needs no more descriptors. */
static void
check_connected (void)
{
  struct nbd_handle *h = connected (unix_server);

  while (fill_one ())
    ;
  ok (read_is_right (h), "without a free descriptor a handle can be used");
  is_int (nbd_poll (h, 0), 0, "and polled");
  is_int (nbd_shutdown (h, 0), 0, "and shut down");
  nbd_close (h);
  remove_fillers (nr_fillers);
}

static void
check_large (bool tls)
{
  struct rlimit limit;

  MUST (getrlimit (RLIMIT_NOFILE, &limit));
  if (limit.rlim_max < LIMIT) {
    skip_case ("more than a thousand descriptors",
               "the hard limit of this system is lower");
    return;
  }
  set_limit (LIMIT);
  for (unsigned i = 0; i < MANY; i++)
    MUST_BE (fill_one ());
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    if (tls || !ways[i].tls)
      check_large_numbers (&ways[i]);
  check_many_handles ();
  remove_fillers (nr_fillers);
}

int
main (void)
{
  struct nbd_handle *h = new_handle ();
  bool tls = nbd_supports_tls (h);
  unsigned before;

  nbd_close (h);
  server_require ("nbdkit", "file", "--dump-plugin", NULL);
  if (tls)
    pki_begin ();
  else
    tap_begin ();
  disk = pki_disk ("disk", DISK_SIZE, content);
  unix_server = server_start (SERVER_UNIX, "nbdkit", "file", disk, NULL);
  tcp_server = server_start (SERVER_IPV4, "nbdkit", "file", disk, NULL);
  if (tls)
    tls_server = pki_start (SERVER_UNIX, "nbdkit", NULL, TLS_KEYS, disk);

  before = count_open ();
  check_large (tls);
  is_int (count_open (), before, "not one of many descriptors is left open");

  set_limit (64);
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    if (tls || !ways[i].tls) {
      check_limit (&ways[i]);
      check_again (&ways[i]);
    }
  check_connected ();

  server_stop (unix_server);
  server_stop (tcp_server);
  if (tls)
    server_stop (tls_server);
  free (disk);
  return tap_end ();
}
