/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Data through TLS: with certificates, with those of clients required and with
 * shared keys, in both versions of TLS, under each kind of loop.  Built once
 * for each server.
 */

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pki.h"
#include "server.h"
#include "tap.h"

#define READ LIBNBD_AIO_DIRECTION_READ
#define WRITE LIBNBD_AIO_DIRECTION_WRITE

#define DISK_SIZE ((size_t) 64 << 20)
#define LARGEST ((size_t) 32 << 20)
#define DEPTH 64

static uint64_t seed = 11;
static uint8_t *disk, *buffer;  /* what the file holds, and a large buffer */

/* Ways to use TLS, and its versions. */

static const struct mode {
  const char *name;
  unsigned flags;
  const char *folder;           /* of the client; NULL: a key */
} modes[] = {
  { "certificates", 0, "trust" },
  { "client certificates", TLS_CLIENTS, "client" },
  { "shared keys", TLS_KEYS, NULL },
};

static const struct version {
  const char *name, *priority;
} versions[] = {
  { "TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.2" },
  { "TLS1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.3" },
};

static struct nbd_handle *
mode_handle (const struct mode *mode, const char *priority)
{
  struct nbd_handle *h = mode->folder ? tls_handle (mode->folder) :
    key_handle ("alice");

  if (priority)
    MUST (nbd_set_tls_priority (h, priority));
  if (strcmp (SERVER, "nbd-server") == 0)
    MUST (nbd_set_export_name (h, "disk"));
  return h;
}

/* Loops: each turns once, sleeping until something happens. */

static int epoll_fd = -1, epoll_member = -1;

static void
end_epoll (void)
{
  if (epoll_fd != -1)
    close (epoll_fd);
  epoll_fd = epoll_member = -1;
}

static void
turn_poll (struct nbd_handle *h)
{
  struct pollfd fd = { .fd = nbd_aio_get_fd (h) };
  unsigned direction = nbd_aio_get_direction (h);

  MUST (fd.fd);
  fd.events = (direction & READ ? POLLIN : 0) |
    (direction & WRITE ? POLLOUT : 0);
  MUST (poll (&fd, 1, -1));
  if ((direction & READ) && (fd.revents & (POLLIN | POLLHUP | POLLERR)))
    MUST (nbd_aio_notify_read (h));
  else if ((direction & WRITE) && (fd.revents & (POLLOUT | POLLHUP | POLLERR)))
    MUST (nbd_aio_notify_write (h));
}

/* Watch for EVENTS, wait and tell the handle. */
static void
turn_events (struct nbd_handle *h, uint32_t events, bool again)
{
  int fd = nbd_aio_get_fd (h), op = EPOLL_CTL_MOD;
  struct epoll_event event = { .events = events };

  MUST (fd);
  if (fd != epoll_member) {
    end_epoll ();
    epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
    MUST (epoll_fd);
    epoll_member = fd;
    op = EPOLL_CTL_ADD;
  }
  if (again || op == EPOLL_CTL_ADD)
    MUST (epoll_ctl (epoll_fd, op, fd, &event));
  MUST_BE (epoll_wait (epoll_fd, &event, 1, -1) == 1);
  if ((nbd_aio_get_direction (h) & WRITE) && (event.events & EPOLLOUT))
    MUST (nbd_aio_notify_write (h));
  if ((nbd_aio_get_direction (h) & READ) &&
      (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
    MUST (nbd_aio_notify_read (h));
}

static void
turn_level (struct nbd_handle *h)
{
  unsigned direction = nbd_aio_get_direction (h);

  turn_events (h, (direction & READ ? EPOLLIN : 0) |
               (direction & WRITE ? EPOLLOUT : 0), true);
}

/* Told once of each change. */
static void
turn_edge (struct nbd_handle *h)
{
  turn_events (h, EPOLLET | EPOLLIN | EPOLLOUT, false);
}

static void
turn_nbd_poll (struct nbd_handle *h)
{
  MUST (nbd_poll (h, -1));
}

static const struct loop {
  const char *name;
  void (*turn) (struct nbd_handle *h);
} loops[] = {
  { "poll", turn_poll },
  { "epoll by level", turn_level },
  { "epoll by edge", turn_edge },
  { "nbd_poll", turn_nbd_poll },
};

/* Requests in flight.  Each slot has a part of the disk for itself. */

struct slot {
  bool busy, write;
  uint64_t offset;
  size_t n;
  uint8_t *buffer;
};

static unsigned completed, wrong, freed;

static int
complete (void *opaque, int *error)
{
  struct slot *slot = opaque;

  completed++;
  wrong += *error != 0 ||
    (!slot->write && memcmp (slot->buffer, disk + slot->offset, slot->n) != 0);
  slot->busy = false;
  return 1;
}

static void
count_free (void *opaque)
{
  (void) opaque;
  freed++;
}

static void
issue (struct nbd_handle *h, struct slot *slot, unsigned i, size_t largest)
{
  nbd_completion_callback cb = { .callback = complete, .user_data = slot,
                                 .free = count_free };

  slot->busy = true;
  slot->write = next_random (&seed) % 2;
  slot->n = 1 + next_random (&seed) % largest;
  slot->offset = i * largest;
  if (slot->write) {
    fill_random (&seed, slot->buffer, slot->n);
    memcpy (disk + slot->offset, slot->buffer, slot->n);
    MUST (nbd_aio_pwrite (h, slot->buffer, slot->n, slot->offset, cb, 0));
  }
  else {
    memset (slot->buffer, 0xa5, slot->n);
    MUST (nbd_aio_pread (h, slot->buffer, slot->n, slot->offset, cb, 0));
  }
}

static void
run_requests (struct nbd_handle *h, const struct loop *loop, size_t largest,
              unsigned total, const char *what)
{
  struct slot slots[DEPTH] = { 0 };
  unsigned issued = 0;

  completed = wrong = freed = 0;
  for (unsigned i = 0; i < DEPTH; i++)
    slots[i].buffer = buffer + i * largest;
  while (completed < total) {
    for (unsigned i = 0; i < DEPTH; i++)
      if (!slots[i].busy && issued < total) {
        issue (h, &slots[i], i, largest);
        issued++;
      }
    loop->turn (h);
  }
  is_int (completed, total, "%s: requests of up to %zu bytes complete", what,
          largest);
  is_int (wrong, 0, "%s: none is wrong", what);
  is_int (freed, total, "%s: each callback is freed once", what);
}

static void
check_loop (const struct server *s, const struct mode *mode,
            const struct loop *loop, const struct version *version)
{
  struct nbd_handle *h = mode_handle (mode, version->priority);
  char what[128];

  snprintf (what, sizeof what, "%s, %s, %s", mode->name, version->name,
            loop->name);
  MUST (nbd_aio_connect_tcp (h, "127.0.0.1", server_port (s)));
  while (nbd_aio_is_connecting (h))
    loop->turn (h);
  is_int (nbd_aio_is_ready (h), 1, "%s: the handle becomes ready", what);
  is_int (nbd_get_tls_negotiated (h), 1, "%s: with TLS", what);
  run_requests (h, loop, 4096, 640, what);
  run_requests (h, loop, 300000, 128, what);
  MUST (nbd_aio_disconnect (h, 0));
  while (!nbd_aio_is_closed (h) && !nbd_aio_is_dead (h))
    loop->turn (h);
  is_int (nbd_aio_is_closed (h), 1, "%s: the handle is closed in the end",
          what);
  nbd_close (h);
  end_epoll ();
}

/* One request after the other, of sizes around that of a record. */
static void
check_sizes (struct nbd_handle *h, const char *what)
{
  static const size_t sizes[] = {
    1, 511, 4096, 16383, 16384, 16385, 3 * 16384, 65537, (1 << 20) + 3,
    LARGEST,
  };
  bool same = true, is_good = true;

  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    size_t n = sizes[i];
    uint64_t offset = next_random (&seed) % (DISK_SIZE - n);

    fill_random (&seed, disk + offset, n);
    is_good = nbd_pwrite (h, disk + offset, n, offset, 0) == 0 && is_good;
    memset (buffer, 0xa5, n);
    is_good = nbd_pread (h, buffer, n, offset, 0) == 0 && is_good;
    same = same && memcmp (buffer, disk + offset, n) == 0;
  }
  if (!ok (is_good, "%s: writes and reads of 1 byte to 32 MiB succeed", what))
    note ("%s", nbd_get_error ());
  ok (same, "%s: what is read is what was written", what);
}

static void
check_version (const struct server *s, const struct mode *mode,
               const struct version *version)
{
  struct nbd_handle *h = mode_handle (mode, version->priority);
  struct trace trace;
  char what[128], session[32];

  snprintf (what, sizeof what, "%s, %s", mode->name, version->name);
  snprintf (session, sizeof session, "TLS: (%s)-", version->name);
  trace_start (h, &trace);
  is_int (server_connect (s, h), 0, "%s: the handle is connected", what);
  MUST (nbd_set_debug (h, false));
  is_int (nbd_get_tls_negotiated (h), 1, "%s: with TLS", what);
  if (!ok (trace_has (&trace, session), "%s: of this version", what))
    note ("%s", trace.text);
  is_int (nbd_get_size (h), DISK_SIZE, "%s: the size is right", what);
  check_sizes (h, what);
  is_int (nbd_shutdown (h, 0), 0, "%s: it is shut down", what);
  is_int (nbd_aio_is_closed (h), 1, "%s: and closed", what);
  nbd_close (h);
  trace_end (&trace);
}

/* A server that is killed between replies. */

static unsigned failed;

static int
complete_or_fail (void *opaque, int *error)
{
  int *count = opaque;

  ++*count;
  completed++;
  failed += *error != 0;
  return 1;
}

static void
check_kill (const struct mode *mode, const struct version *version)
{
  char *file = pki_disk ("other-disk", DISK_SIZE, NULL);
  struct server *s = pki_start (SERVER_IPV4, SERVER, "good", mode->flags,
                                file);
  struct nbd_handle *h = mode_handle (mode, version->priority);
  int counts[DEPTH] = { 0 };
  const size_t n = 256 << 10;
  bool once = true;
  char what[128];

  snprintf (what, sizeof what, "%s, %s, killed", mode->name, version->name);
  must_connect (s, h);
  completed = failed = freed = 0;
  for (unsigned i = 0; i < DEPTH; i++) {
    nbd_completion_callback cb = { .callback = complete_or_fail,
                                   .user_data = &counts[i],
                                   .free = count_free };

    if (i % 2)
      MUST (nbd_aio_pread (h, buffer + i * n, n, i * n, cb, 0));
    else
      MUST (nbd_aio_pwrite (h, buffer + i * n, n, i * n, cb, 0));
  }
  while (completed < 3)
    MUST (nbd_poll (h, -1));
  server_kill (s);
  while (nbd_poll (h, -1) != -1)
    ;
  ok (nbd_aio_is_dead (h) || nbd_aio_is_closed (h),
      "%s: the connection has ended", what);
  ok (failed == 0 || nbd_aio_is_dead (h), "%s: which is an error if something "
      "was owed", what);
  is_int (completed, DEPTH, "%s: all requests complete", what);
  for (unsigned i = 0; i < DEPTH; i++)
    once = once && counts[i] == 1;
  ok (once, "%s: each of them once", what);
  is_int (freed, DEPTH, "%s: each callback is freed once", what);
  is_int (nbd_pread (h, buffer, 512, 0, 0), -1, "%s: no more can be read",
          what);
  nbd_close (h);
  server_stop (s);
  free (file);
}

/* A client that goes without a word, which nbdkit mentions. */
static void
vanish (const struct server *s, const struct mode *mode)
{
  pid_t pid = fork ();
  int status;

  MUST (pid);
  if (pid == 0) {
    struct nbd_handle *h = mode_handle (mode, NULL);

    _exit (server_connect (s, h) == 0 ? 0 : 1);
  }
  MUST (waitpid (pid, &status, 0));
  MUST_BE (status == 0);
}

static void
check_mode (const struct mode *mode, const char *file)
{
  struct server *s = pki_start (SERVER_IPV4, SERVER, "good", mode->flags,
                                file);
  bool nbdkit = strcmp (SERVER, "nbdkit") == 0;
  unsigned before = pki_logged ("non-properly terminated");

  for (size_t i = 0; i < 2; i++) {
    check_version (s, mode, &versions[i]);
    for (size_t j = 0; j < sizeof loops / sizeof loops[0]; j++)
      check_loop (s, mode, &loops[j], &versions[i]);
  }
  server_stop (s);
  if (nbdkit) {
    is_int (pki_logged ("non-properly terminated"), before,
            "%s: the server has seen each session end", mode->name);
    s = pki_start (SERVER_IPV4, SERVER, "good", mode->flags, file);
    vanish (s, mode);
    /* When it is told to stop, it may not look any more. */
    for (int i = 0; i < 3000 &&
           pki_logged ("non-properly terminated") == before; i++)
      poll (NULL, 0, 10);
    server_stop (s);
    is_int (pki_logged ("non-properly terminated"), before + 1,
            "%s: and would have said if not", mode->name);
  }
  for (size_t i = 0; i < 2; i++)
    check_kill (mode, &versions[i]);
}

int
main (void)
{
  bool nbd_server = strcmp (SERVER, "nbd-server") == 0;
  char *file;

  server_require (SERVER, "--version", NULL);
  pki_begin ();
  disk = malloc (DISK_SIZE);
  buffer = malloc (LARGEST);
  MUST_BE (disk && buffer);
  file = pki_disk ("disk", DISK_SIZE, disk);
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
    if (nbd_server && modes[i].flags != TLS_CLIENTS)
      skip_case (modes[i].name, modes[i].flags ? "nbd-server has none" :
                 "nbd-server wants certificates of clients");
    else
      check_mode (&modes[i], file);
  free (file);
  free (disk);
  free (buffer);
  return tap_end ();
}
