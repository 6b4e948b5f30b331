/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One handle in several threads, with a server in a thread of its own behind a
 * pair of sockets.  Most of what can go wrong here only ThreadSanitizer sees:
 * configure --enable-sanitizers=thread.
 */

#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"
#include "server.h"
#include "tap.h"

/* A test that hangs is killed after so many seconds. */
#define PATIENCE 120

/* The server. */
struct service {
  int fd;
  struct server *server;
  pthread_t thread;
  /* Whether it holds back its answers: it says that it has one, and waits. */
  bool holds;
  sem_t has_answer, may_answer;
};

static bool
send_answers (struct service *s)
{
  struct buffer *out = &s->server->out;
  size_t sent = 0;

  while (sent < out->n) {
    ssize_t r = send (s->fd, out->p + sent, out->n - sent, MSG_NOSIGNAL);

    if (r == -1)
      return false;
    sent += r;
  }
  out->n = 0;
  return true;
}

static void *
serve (void *vp)
{
  struct service *s = vp;
  uint8_t buf[8192];
  ssize_t n;

  while (send_answers (s) && !s->server->ended &&
         (n = recv (s->fd, buf, sizeof buf, 0)) > 0) {
    bool connected = s->server->stage == REQUESTS;

    server_take (s->server, buf, n);
    if (s->holds && connected && s->server->out.n > 0) {
      sem_post (&s->has_answer);
      sem_wait (&s->may_answer);
    }
  }
  close (s->fd);
  return NULL;
}

/* Start the server; returns the client's socket. */
static int
start_service (struct service *s, bool holds)
{
  struct offer offer = everything;
  int fds[2];

  offer.replies = SIMPLE;
  offer.context = NULL;
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1)
    abort ();
  *s = (struct service) { .fd = fds[1], .holds = holds };
  s->server = server_new (&offer);
  sem_init (&s->has_answer, 0, 0);
  sem_init (&s->may_answer, 0, 0);
  if (pthread_create (&s->thread, NULL, serve, s) != 0)
    abort ();
  return fds[0];
}

static void
end_service (struct service *s)
{
  pthread_join (s->thread, NULL);
  sem_destroy (&s->has_answer);
  sem_destroy (&s->may_answer);
  server_free (s->server);
}

/* Threads that use the handle.  Each has a part of the export for itself. */
#define PART 8192
#define ROUNDS 100
#define NR_SYNC 3
#define NR_ASYNC 2
#define NR_WATCHERS 2
#define DEPTH 4

struct user {
  struct nbd_handle *h;
  pthread_t thread;
  uint64_t part;                /* where its part begins */
  atomic_bool *stop;            /* for watchers */
  bool good;
  char problem[256];
  int completed;
  int64_t cookies[ROUNDS * DEPTH];
  size_t nr_cookies;
};

static void
problem (struct user *u, const char *what)
{
  if (u->good)
    snprintf (u->problem, sizeof u->problem, "%s: %s", what, nbd_get_error ());
  u->good = false;
}

static void *
use_synchronously (void *vp)
{
  struct user *u = vp;
  uint8_t out[PART], in[PART];

  for (unsigned i = 0; i < ROUNDS; i++) {
    size_t n = 512 + i * 64 % (PART - 512);

    memset (out, i + u->part, n);
    memset (in, 0xff, n);
    if (nbd_pwrite (u->h, out, n, u->part, 0) == -1)
      problem (u, "write");
    if (nbd_pread (u->h, in, n, u->part, 0) == -1 || memcmp (in, out, n) != 0)
      problem (u, "read");
    if (i % 4 == 0 && nbd_flush (u->h, 0) == -1)
      problem (u, "flush");
    if (i % 8 == 0 &&
        (nbd_zero (u->h, 512, u->part, 0) == -1 ||
         nbd_pread (u->h, in, 1, u->part, 0) == -1 || in[0] != 0))
      problem (u, "zero");
    /* The error is this thread's own, whatever the others do. */
    if (nbd_pread (u->h, in, 512, UINT64_MAX, 0) != -1 ||
        strcmp (nbd_get_error (), "nbd_pread: request out of bounds: "
                "Invalid argument") != 0)
      problem (u, "bounds");
  }
  return NULL;
}

static int
count_completion (void *vp, int *error)
{
  struct user *u = vp;

  /* Any thread may run this, with the handle's lock held. */
  u->completed++;
  if (*error)
    u->completed = -100000;
  return 0;
}

static void
wait_for (struct user *u, int64_t cookie)
{
  int r;

  while ((r = nbd_aio_command_completed (u->h, cookie)) == 0)
    /* Another thread may have received the reply since: do not sleep long. */
    if (nbd_poll (u->h, 1) == -1)
      break;
  if (r != 1)
    problem (u, "completed");
}

static void *
use_asynchronously (void *vp)
{
  struct user *u = vp;
  nbd_completion_callback done = { count_completion, u, NULL };
  uint8_t out[DEPTH][512], in[DEPTH][512];

  for (unsigned i = 0; i < ROUNDS / 2; i++) {
    int64_t *cookies = u->cookies + u->nr_cookies;

    for (unsigned j = 0; j < DEPTH; j++) {
      memset (out[j], i * 7 + j + u->part, 512);
      cookies[j] = nbd_aio_pwrite (u->h, out[j], 512, u->part + j * 512, done,
                                   0);
    }
    for (unsigned j = 0; j < DEPTH; j++)
      cookies[DEPTH + j] = nbd_aio_pread (u->h, in[j], 512, u->part + j * 512,
                                          done, 0);
    for (unsigned j = 0; j < 2 * DEPTH; j++)
      if (cookies[j] == -1)
        problem (u, "issue");
      else
        wait_for (u, cookies[j]);
    if (memcmp (in, out, sizeof in) != 0)
      problem (u, "content");
    u->nr_cookies += 2 * DEPTH;
  }
  return NULL;
}

/* The calls that take no lock, all the while. */
static void *
watch (void *vp)
{
  struct user *u = vp;

  while (!atomic_load (u->stop)) {
    unsigned direction = nbd_aio_get_direction (u->h);

    if (nbd_aio_is_created (u->h) || nbd_aio_is_connecting (u->h) ||
        nbd_aio_is_negotiating (u->h) || nbd_aio_is_closed (u->h) ||
        nbd_aio_is_dead (u->h))
      problem (u, "another state");
    if (nbd_aio_is_ready (u->h) & ~1 || nbd_aio_is_processing (u->h) & ~1)
      problem (u, "neither yes nor no");
    if (!(direction & LIBNBD_AIO_DIRECTION_READ))
      problem (u, "direction");
    nbd_set_private_data (u->h, 7);
    if (nbd_get_private_data (u->h) != 7)
      problem (u, "private data");
    sched_yield ();
  }
  return NULL;
}

static void
start_user (struct user *u, struct nbd_handle *h, uint64_t part,
            atomic_bool *stop, void *(*run) (void *))
{
  *u = (struct user) { .h = h, .part = part, .stop = stop, .good = true };
  if (pthread_create (&u->thread, NULL, run, u) != 0)
    abort ();
}

static void
end_user (struct user *u, const char *name)
{
  pthread_join (u->thread, NULL);
  if (!ok (u->good, "%s", name))
    note ("%s", u->problem);
}

/* Cookies are different, and each thread's own count up. */
static bool
cookies_are_good (const struct user *users, size_t n)
{
  static bool seen[100000];

  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < users[i].nr_cookies; j++) {
      int64_t cookie = users[i].cookies[j];

      if (cookie <= 0 || cookie >= (int64_t) COUNT (seen) || seen[cookie] ||
          (j > 0 && cookie <= users[i].cookies[j - 1]))
        return false;
      seen[cookie] = true;
    }
  return true;
}

static void
test_sharing (void)
{
  static struct user sync_users[NR_SYNC], async_users[NR_ASYNC];
  static struct user watchers[NR_WATCHERS];
  atomic_bool stop = false;
  struct service service;
  struct nbd_handle *h = nbd_create ();
  uint64_t part = 0;

  is_int (nbd_connect_socket (h, start_service (&service, false)), 0,
          "the handle is connected");
  for (size_t i = 0; i < NR_WATCHERS; i++)
    start_user (&watchers[i], h, 0, &stop, watch);
  for (size_t i = 0; i < NR_SYNC; i++, part += PART)
    start_user (&sync_users[i], h, part, &stop, use_synchronously);
  for (size_t i = 0; i < NR_ASYNC; i++, part += PART)
    start_user (&async_users[i], h, part, &stop, use_asynchronously);
  for (size_t i = 0; i < NR_SYNC; i++)
    end_user (&sync_users[i], "a thread that makes synchronous calls reads "
              "what it wrote, and has its own errors");
  for (size_t i = 0; i < NR_ASYNC; i++) {
    end_user (&async_users[i], "a thread that makes asynchronous calls reads "
              "what it wrote");
    is_int (async_users[i].completed, async_users[i].nr_cookies,
            "each of its completions is called once, without an error");
  }
  ok (cookies_are_good (async_users, NR_ASYNC),
      "cookies count up, and no two threads have the same");
  is_int (nbd_aio_in_flight (h), 0, "nothing is left in flight");
  atomic_store (&stop, true);
  for (size_t i = 0; i < NR_WATCHERS; i++)
    end_user (&watchers[i], "a thread that only watches always sees a "
              "connection that wants input");
  is_int (nbd_shutdown (h, 0), 0, "the connection is shut down");
  is_int (nbd_aio_is_closed (h), 1, "it is closed then");
  end_service (&service);
  nbd_close (h);
}

static void *
read_once (void *vp)
{
  struct user *u = vp;
  uint8_t buf[512];

  if (nbd_pread (u->h, buf, sizeof buf, 0, 0) == -1)
    problem (u, "read");
  return NULL;
}

/* The calls that take no lock return while another thread sleeps in a call; if
 * they waited for it this would never end.
 */
static void
test_no_lock (void)
{
  struct service service;
  struct nbd_handle *h = nbd_create ();
  struct user u;

  is_int (nbd_connect_socket (h, start_service (&service, true)), 0,
          "the handle is connected to a server that holds back its answer");
  start_user (&u, h, 0, NULL, read_once);
  sem_wait (&service.has_answer);
  is_int (nbd_aio_is_dead (h), 0,
          "the state can be asked while another thread sleeps in a call");
  ok (nbd_aio_is_ready (h) + nbd_aio_is_processing (h) == 1,
      "the handle is connected all the while");
  ok (nbd_aio_get_direction (h) & LIBNBD_AIO_DIRECTION_READ,
      "the direction can be asked");
  is_int (nbd_set_private_data (h, 1), 0, "private data can be stored");
  is_str (nbd_get_package_name (h), "libnbd", "the name can be asked");
  sem_post (&service.may_answer);
  end_user (&u, "the call that slept ends well");
  is_int (nbd_shutdown (h, 0), 0, "the connection is shut down");
  end_service (&service);
  nbd_close (h);
}

/* A thread that watches a handle from its creation to its end never sees it go
 * back.
 */
static void *
watch_progress (void *vp)
{
  struct user *u = vp;
  bool connected = false, closed = false;

  while (!closed) {
    bool created = nbd_aio_is_created (u->h);
    bool ready = nbd_aio_is_ready (u->h) || nbd_aio_is_processing (u->h);

    closed = nbd_aio_is_closed (u->h);
    if (nbd_aio_is_dead (u->h) || (connected && created))
      problem (u, "went back");
    connected = connected || ready;
    sched_yield ();
  }
  if (nbd_aio_get_direction (u->h) != 0 || nbd_aio_is_ready (u->h))
    problem (u, "not over");
  return NULL;
}

static void
test_progress (void)
{
  struct service service;
  struct nbd_handle *h = nbd_create ();
  struct user u;

  start_user (&u, h, 0, NULL, watch_progress);
  is_int (nbd_connect_socket (h, start_service (&service, false)), 0,
          "a handle that is watched is connected");
  is_int (nbd_flush (h, 0), 0, "it is used");
  is_int (nbd_shutdown (h, 0), 0, "it is shut down");
  end_user (&u, "who watched saw it go forward only");
  end_service (&service);
  nbd_close (h);
}

/* The connection breaks while threads use it. */
static void *
read_until_error (void *vp)
{
  struct user *u = vp;
  uint8_t buf[512];

  while (nbd_pread (u->h, buf, sizeof buf, 0, 0) == 0)
    ;
  if (strncmp (nbd_get_error (), "nbd_pread: ", 11) != 0 ||
      nbd_pread (u->h, buf, sizeof buf, 0, 0) != -1 ||
      nbd_get_errno () != EINVAL)
    problem (u, "not over");
  return NULL;
}

static void
test_breaking (void)
{
  struct service service;
  struct nbd_handle *h = nbd_create ();
  struct user users[NR_SYNC];
  int fd = start_service (&service, false), copy = dup (fd);

  is_int (nbd_connect_socket (h, fd), 0, "the handle is connected");
  for (size_t i = 0; i < NR_SYNC; i++)
    start_user (&users[i], h, 0, NULL, read_until_error);
  shutdown (copy, SHUT_RDWR);
  close (copy);
  for (size_t i = 0; i < NR_SYNC; i++)
    end_user (&users[i], "a thread whose connection breaks gets an error");
  ok (nbd_aio_is_dead (h) || nbd_aio_is_closed (h),
      "the handle is dead or closed then");
  end_service (&service);
  nbd_close (h);
}

int
main (void)
{
  alarm (PATIENCE);
  tap_begin ();
  test_sharing ();
  test_no_lock ();
  test_progress ();
  test_breaking ();
  return tap_end ();
}
