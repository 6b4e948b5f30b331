/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What requests cost, where that does not depend on the machine: system calls of
 * the library, and allocations.  The linker sends them here (--wrap).
 *
 * With the argument N it only reads N times, for tests/api/instructions.sh.
 */

#include "config.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"
#include "server.h"
#include "tap.h"

#define DEPTH 64
#define MAX_DEPTH 1024

/* Only what this thread does in calls of the library is counted. */
static __thread bool counting;
static unsigned long sends, receives, polls, allocations;

#define COUNTED(counter, type, name, params, args)      \
  type __real_##name params;                            \
  type __wrap_##name params;                            \
                                                        \
  type                                                  \
  __wrap_##name params                                  \
  {                                                     \
    counter += counting;                                \
    return __real_##name args;                          \
  }

COUNTED (sends, ssize_t, send, (int fd, const void *p, size_t n, int flags),
         (fd, p, n, flags))
COUNTED (sends, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags),
         (fd, m, flags))
COUNTED (receives, ssize_t, recv, (int fd, void *p, size_t n, int flags),
         (fd, p, n, flags))
COUNTED (receives, ssize_t, recvmsg, (int fd, struct msghdr *m, int flags),
         (fd, m, flags))
COUNTED (polls, int, poll, (struct pollfd *fds, nfds_t n, int timeout),
         (fds, n, timeout))
COUNTED (allocations, void *, malloc, (size_t n), (n))
COUNTED (allocations, void *, calloc, (size_t n, size_t size), (n, size))
COUNTED (allocations, void *, realloc, (void *p, size_t n), (p, n))

static void
count_from_here (void)
{
  sends = receives = polls = allocations = 0;
}

/* CALL with its cost. */
#define COUNT_CALL(call)                        \
  ({                                            \
    __typeof__ (call) _r;                       \
                                                \
    counting = true;                            \
    _r = (call);                                \
    counting = false;                           \
    _r;                                         \
  })

struct wire {
  struct nbd_handle *h;
  struct server *server;
  int fd;                       /* the server's end */
  size_t said;                  /* bytes of the server that have left */
  pthread_t thread;
};

static char buffers[MAX_DEPTH][4096];

/* One turn of the server: take what has arrived, say what there is to say. */
static bool
serve (struct wire *w, int flags)
{
  struct buffer *out = &w->server->out;
  uint8_t bytes[65536];
  ssize_t r;

  while ((r = __real_recv (w->fd, bytes, sizeof bytes, flags)) > 0) {
    server_take (w->server, bytes, r);
    if (flags == 0)
      break;
  }
  if (r == 0)
    return false;
  while (w->said < out->n) {
    r = __real_send (w->fd, out->p + w->said, out->n - w->said,
                     flags | MSG_NOSIGNAL);
    if (r <= 0)
      break;
    w->said += r;
  }
  if (w->said == out->n)
    w->said = out->n = 0;
  return true;
}

static void *
serve_all (void *arg)
{
  while (serve (arg, 0))
    ;
  return NULL;
}

/* Connected; with a thread the server answers by itself. */
static struct wire *
wire_new (enum replies replies, bool thread)
{
  struct wire *w = calloc (1, sizeof *w);
  struct offer offer = everything;
  int fds[2];

  offer.replies = replies;
  if (socketpair (AF_UNIX, SOCK_STREAM, 0, fds) == -1)
    abort ();
  w->fd = fds[1];
  w->server = server_new (&offer);
  w->h = nbd_create ();
  if (thread) {
    /* It says its greeting before anything was received. */
    serve (w, MSG_DONTWAIT);
    pthread_create (&w->thread, NULL, serve_all, w);
    if (nbd_connect_socket (w->h, fds[0]) == -1)
      abort ();
    return w;
  }
  if (nbd_aio_connect_socket (w->h, fds[0]) == -1)
    abort ();
  while (!nbd_aio_is_ready (w->h)) {
    serve (w, MSG_DONTWAIT);
    if (nbd_poll (w->h, 0) == -1)
      abort ();
  }
  return w;
}

static void
wire_free (struct wire *w)
{
  nbd_close (w->h);
  if (w->thread)
    pthread_join (w->thread, NULL);
  close (w->fd);
  server_free (w->server);
  free (w);
}

static int
retire (void *opaque, int *error)
{
  ++*(unsigned long *) opaque;
  return *error ? 0 : 1;
}

/* COUNT requests, DEPTH of them in flight before the server answers. */
static void
transfer (struct wire *w, bool write, size_t size, unsigned depth,
          unsigned long count)
{
  unsigned long issued = 0, completed = 0;
  nbd_completion_callback cb = { .callback = retire,
                                 .user_data = &completed };

  while (completed < count) {
    for (; issued < count && issued - completed < depth; issued++) {
      char *buffer = buffers[issued % depth];
      uint64_t offset = issued % 16 * size;
      int64_t r = write ?
        COUNT_CALL (nbd_aio_pwrite (w->h, buffer, size, offset, cb, 0)) :
        COUNT_CALL (nbd_aio_pread (w->h, buffer, size, offset, cb, 0));

      if (r == -1)
        abort ();
    }
    serve (w, MSG_DONTWAIT);
    if (COUNT_CALL (nbd_poll (w->h, -1)) == -1)
      abort ();
  }
}

static void
check_asynchronous (enum replies replies, bool write, size_t size,
                    unsigned depth, const char *name)
{
  struct wire *w = wire_new (replies, false);
  unsigned long count = 10 * depth, calls;

  transfer (w, write, size, depth, depth);
  count_from_here ();
  transfer (w, write, size, depth, count);
  calls = sends + receives + polls;
  if (!ok (calls * 10 <= count * 12, "%s, %u in flight: at most 1.2 system "
           "calls each", name, depth))
    note ("%lu requests: %lu sends, %lu receives, %lu polls", count, sends,
          receives, polls);
  is_int (allocations, 0, "%s, %u in flight: nothing is allocated", name,
          depth);
  wire_free (w);
}

static void
check_synchronous (enum replies replies, const char *name)
{
  struct wire *w = wire_new (replies, true);
  unsigned long count = 100;

  for (int write = 0; write < 2; write++) {
    for (unsigned long i = 0; i <= count; i++) {
      int r = write ?
        COUNT_CALL (nbd_pwrite (w->h, buffers[0], 4096, 0, 0)) :
        COUNT_CALL (nbd_pread (w->h, buffers[0], 4096, 0, 0));

      if (r == -1)
        abort ();
      if (i == 0)
        count_from_here ();
    }
    is_int (sends + receives + polls, 2 * count, "%s: a synchronous %s is two "
            "system calls", name, write ? "write" : "read");
    is_int (allocations, 0, "%s: a synchronous %s allocates nothing", name,
            write ? "write" : "read");
  }
  wire_free (w);
}

int
main (int argc, char *argv[])
{
  static const char *const names[] = { "simple replies", "structured replies",
                                       "extended headers" };

  if (argc > 1) {
    struct wire *w = wire_new (STRUCTURED, false);

    transfer (w, false, 512, DEPTH, strtoul (argv[1], NULL, 10));
    wire_free (w);
    return 0;
  }
  tap_begin ();
  for (enum replies r = SIMPLE; r <= EXTENDED; r++) {
    char *reads, *writes;

    if (asprintf (&reads, "%s: reads of 4 KiB", names[r]) == -1 ||
        asprintf (&writes, "%s: writes of 4 KiB", names[r]) == -1)
      abort ();
    check_synchronous (r, names[r]);
    check_asynchronous (r, false, 4096, DEPTH, reads);
    check_asynchronous (r, true, 4096, DEPTH, writes);
    free (reads);
    free (writes);
  }
  /* More than the socket holds. */
  check_asynchronous (STRUCTURED, false, 512, MAX_DEPTH, "reads of 512 bytes");
  return tap_end ();
}
