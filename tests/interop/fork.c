/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Programs that fork while they have handles.  Parent and child then have a
 * copy each, and the connection in common: one of them may go on with it, the
 * other one may close its copy, which must not be seen by the server.
 */

#include "config.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pki.h"
#include "server.h"
#include "tap.h"

/* What is read is in the first half, what is written in the other one. */
#define DISK_SIZE ((size_t) 1 << 20)
#define HALF (DISK_SIZE / 2)

static uint8_t content[DISK_SIZE];
static char *disk;
static struct server *unix_server, *tcp_server, *tls_server;

/* Connections of each kind. */

static int
begin_unix (struct nbd_handle *h)
{
  return nbd_aio_connect_unix (h, server_path (unix_server));
}

static int
begin_tcp (struct nbd_handle *h)
{
  return nbd_aio_connect_tcp (h, "127.0.0.1", server_port (tcp_server));
}

static int
begin_tls (struct nbd_handle *h)
{
  MUST (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  MUST (nbd_set_tls_psk_file (h, pki_path ("keys.psk")));
  MUST (nbd_set_tls_username (h, psk_users[0]));
  return nbd_aio_connect_unix (h, server_path (tls_server));
}

static int
begin_command (struct nbd_handle *h)
{
  return nbd_aio_connect_command (h, (char *[]) {
      (char *) "nbdkit", (char *) "-s", (char *) "file", disk, NULL });
}

static int
begin_activation (struct nbd_handle *h)
{
  return nbd_aio_connect_systemd_socket_activation (h, (char *[]) {
      (char *) "nbdkit", (char *) "file", disk, NULL });
}

static const struct kind {
  const char *name;
  int (*begin) (struct nbd_handle *h);
  bool tls;
  bool process;                 /* the library starts the server */
} kinds[] = {
  { "Unix socket", begin_unix, false, false },
  { "TCP", begin_tcp, false, false },
  { "TLS", begin_tls, true, false },
  { "subprocess", begin_command, false, true },
  { "socket activation", begin_activation, false, true },
};

static struct nbd_handle *
open_kind (const struct kind *kind)
{
  struct nbd_handle *h = new_handle ();

  MUST (kind->begin (h));
  while (nbd_aio_is_connecting (h))
    MUST (nbd_poll (h, -1));
  MUST_BE (nbd_aio_is_ready (h));
  return h;
}

/* A child prints no cases: it counts what is wrong.  These say 1 or 0. */

static unsigned
unless (bool good, const char *what)
{
  if (!good)
    note ("process %ld: wrong: %s (%s)", (long) getpid (), what,
          nbd_get_error () ? nbd_get_error () : "no error");
  return !good;
}

#define UNLESS(cond) unless (cond, #cond)

/* Data can be read and written, and are right. */
static unsigned
use_disk (struct nbd_handle *h)
{
  static uint8_t buffer[HALF], pattern[HALF];
  uint64_t seed = getpid ();
  unsigned wrong = 0;

  fill_random (&seed, pattern, HALF);
  wrong += UNLESS (nbd_pread (h, buffer, HALF, 0, 0) == 0);
  wrong += UNLESS (memcmp (buffer, content, HALF) == 0);
  wrong += UNLESS (nbd_pwrite (h, pattern, HALF, HALF, 0) == 0);
  wrong += UNLESS (nbd_pread (h, buffer, HALF, HALF, 0) == 0);
  wrong += UNLESS (memcmp (buffer, pattern, HALF) == 0);
  return wrong;
}

static unsigned
use_and_leave (struct nbd_handle *h)
{
  unsigned wrong = use_disk (h);

  wrong += UNLESS (nbd_shutdown (h, 0) == 0);
  nbd_close (h);
  return wrong;
}

static unsigned
just_close (struct nbd_handle *h)
{
  nbd_close (h);
  return 0;
}

static pid_t
start_child (unsigned (*run) (struct nbd_handle *h), struct nbd_handle *h)
{
  pid_t pid = fork ();

  MUST (pid);
  if (pid == 0) {
    alarm (60);
    _exit (run (h));
  }
  return pid;
}

/* How many things were wrong; -1 if the child was killed. */
static int
end_child (pid_t pid)
{
  int status;

  while (waitpid (pid, &status, 0) == -1)
    MUST_BE (errno == EINTR);
  return WIFEXITED (status) ? WEXITSTATUS (status) : -1;
}

static int
in_child (unsigned (*run) (struct nbd_handle *h), struct nbd_handle *h)
{
  return end_child (start_child (run, h));
}

/* The child goes on with the handle. */

static void
check_child_goes_on (const struct kind *kind)
{
  struct nbd_handle *h = open_kind (kind);
  pid_t pid = kind->process ? nbd_get_subprocess_pid (h) : 0;

  is_int (in_child (use_and_leave, h), 0,
          "%s: a child reads, writes and says goodbye", kind->name);
  nbd_close (h);
  if (kind->process)
    ok (kill (pid, 0) == -1 && errno == ESRCH,
        "%s: nbd_close of the parent collects the server", kind->name);
}

/* The same after the parent has closed its copy. */
static int parted[2];

static unsigned
use_when_parted (struct nbd_handle *h)
{
  char c;

  close (parted[1]);
  return UNLESS (read (parted[0], &c, 1) == 0) + use_and_leave (h);
}

static void
check_parent_closes (const struct kind *kind)
{
  struct nbd_handle *h = open_kind (kind);
  pid_t pid;

  MUST (pipe (parted));
  pid = start_child (use_when_parted, h);
  nbd_close (h);
  close (parted[0]);
  close (parted[1]);
  is_int (end_child (pid), 0,
          "%s: a child goes on after nbd_close in the parent", kind->name);
}

/* The child closes its copy, with a request in flight. */

static unsigned completions, frees;
static int completion_error;

static int
count_completion (void *opaque, int *error)
{
  (void) opaque;
  completions++;
  completion_error = *error;
  return 0;
}

static void
count_free (void *opaque)
{
  (void) opaque;
  frees++;
}

static unsigned
close_in_flight (struct nbd_handle *h)
{
  nbd_close (h);
  return UNLESS (completions == 1) + UNLESS (completion_error == ENOTCONN) +
    UNLESS (frees == 1);
}

static void
check_child_closes (const struct kind *kind)
{
  static uint8_t buffer[HALF];
  struct nbd_handle *h = open_kind (kind);
  pid_t pid = kind->process ? nbd_get_subprocess_pid (h) : 0;
  nbd_completion_callback cb = { .callback = count_completion,
                                 .free = count_free };
  int64_t cookie;
  int r;

  completions = frees = 0;
  cookie = nbd_aio_pread (h, buffer, HALF, 0, cb, 0);
  MUST (cookie);
  is_int (in_child (close_in_flight, h), 0,
          "%s: nbd_close in a child completes the request of its copy",
          kind->name);
  while ((r = nbd_aio_command_completed (h, cookie)) == 0)
    if (nbd_poll (h, -1) == -1)
      break;
  is_int (r, 1, "%s: in the parent it has its reply", kind->name);
  ok (memcmp (buffer, content, HALF) == 0, "%s: with the right data",
      kind->name);
  ok (completions == 1 && completion_error == 0 && frees == 1,
      "%s: and completes once", kind->name);
  is_int (use_disk (h), 0, "%s: the parent goes on", kind->name);
  if (kind->process)
    ok (nbd_get_subprocess_pid (h) == pid && kill (pid, 0) == 0,
        "%s: the server is still there", kind->name);
  is_int (nbd_shutdown (h, 0), 0, "%s: and says goodbye", kind->name);
  nbd_close (h);
  if (kind->process)
    ok (kill (pid, 0) == -1 && errno == ESRCH,
        "%s: the server ends with the handle of the parent", kind->name);
}

/* A child closes its copy at each step of the handshake. */
static void
check_handshake (const struct kind *kind)
{
  unsigned steps = 0, wrong = 0;
  bool all = false;

  while (!all) {
    struct nbd_handle *h = new_handle ();

    MUST (nbd_set_opt_mode (h, true));
    MUST (kind->begin (h));
    for (unsigned i = 0; i < steps && nbd_aio_is_connecting (h); i++)
      MUST (nbd_poll (h, -1));
    all = !nbd_aio_is_connecting (h);
    wrong += in_child (just_close, h) != 0;
    while (nbd_aio_is_connecting (h) && nbd_poll (h, -1) == 1)
      ;
    wrong += UNLESS (nbd_aio_is_negotiating (h));
    wrong += UNLESS (nbd_opt_info (h) == 0);
    wrong += UNLESS (nbd_opt_go (h) == 0);
    wrong += use_and_leave (h);
    steps++;
  }
  is_int (wrong, 0, "%s: a child may close its copy after each step of the "
          "handshake", kind->name);
  ok (steps > 1, "%s: which has several", kind->name);
}

/* What is queued in both copies is sent by the one that goes on: when a child
 * closes its copy it sends nothing, not even if there is room.
 */

static void
drain (int fd)
{
  char buffer[65536];

  while (recv (fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0)
    ;
}

static void
check_queue (struct nbd_handle *h, int peer, const char *what)
{
  char c;

  is_int (nbd_aio_get_direction (h),
          LIBNBD_AIO_DIRECTION_READ | LIBNBD_AIO_DIRECTION_WRITE,
          "%s: a part is still to be sent", what);
  drain (peer);
  is_int (in_child (just_close, h), 0, "%s: a child closes its copy", what);
  is_int (recv (peer, &c, 1, MSG_DONTWAIT), -1, "%s: it sends nothing", what);
  nbd_close (h);
  close (peer);
}

static void
check_queued_write (void)
{
  static char data[4 << 20];
  struct {
    uint64_t magic, style, size;
    uint32_t flags;
    char zeroes[124];
  } __attribute__ ((packed)) greeting = {
    htobe64 (0x4e42444d41474943), htobe64 (0x00420281861253),
    htobe64 (sizeof data), htobe32 (1), "",
  };
  struct nbd_handle *h = new_handle ();
  int pair[2];

  MUST (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  MUST_BE (write (pair[1], &greeting, sizeof greeting) == sizeof greeting);
  MUST (nbd_connect_socket (h, pair[0]));
  MUST (nbd_aio_pwrite (h, data, sizeof data, 0, NBD_NULL_COMPLETION, 0));
  check_queue (h, pair[1], "a write");
}

static int
no_context (void *opaque, const char *name)
{
  (void) opaque;
  (void) name;
  return 0;
}

/* An option of 4 MB: no server is asked so much. */
static void
check_queued_option (void)
{
  static char name[4000];
  struct {
    uint64_t magic, style;
    uint16_t flags;
    uint64_t reply;             /* structured replies are used */
    uint32_t option, type, length;
  } __attribute__ ((packed)) greeting = {
    htobe64 (0x4e42444d41474943), htobe64 (0x49484156454f5054), htobe16 (3),
    htobe64 (0x3e889045565a9), htobe32 (8), htobe32 (1), 0,
  };
  struct nbd_handle *h = new_handle ();
  int pair[2];

  MUST (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  MUST_BE (write (pair[1], &greeting, sizeof greeting) == sizeof greeting);
  MUST (nbd_set_opt_mode (h, true));
  MUST (nbd_set_request_extended_headers (h, false));
  MUST (nbd_connect_socket (h, pair[0]));
  memset (name, 'x', sizeof name - 1);
  for (unsigned i = 0; i < 1000; i++) {
    memcpy (name, &(char[4]) { 'a' + i % 10, 'a' + i / 10 % 10,
                               'a' + i / 100, ':' }, 4);
    MUST (nbd_add_meta_context (h, name));
  }
  MUST (nbd_aio_opt_list_meta_context (h, (nbd_context_callback) {
        .callback = no_context }, NBD_NULL_COMPLETION));
  check_queue (h, pair[1], "an option");
}

/* The last error belongs to the thread, and a child has a copy of it. */

static char parents_error[256];

static unsigned
look_at_error (struct nbd_handle *h)
{
  char c;
  unsigned wrong = 0;

  wrong += UNLESS (nbd_get_error () != NULL &&
                   strcmp (nbd_get_error (), parents_error) == 0);
  wrong += UNLESS (nbd_get_errno () == EINVAL);
  wrong += UNLESS (nbd_pwrite (h, &c, 1, DISK_SIZE, 0) == -1);
  wrong += UNLESS (nbd_get_errno () == ENOSPC);
  wrong += UNLESS (strncmp (nbd_get_error (), "nbd_pwrite: ", 12) == 0);
  return wrong;
}

static void
check_error (void)
{
  struct nbd_handle *h = open_kind (&kinds[0]);
  char c;

  MUST_BE (nbd_pread (h, &c, 1, DISK_SIZE, 0) == -1);
  snprintf (parents_error, sizeof parents_error, "%s", nbd_get_error ());
  is_int (in_child (look_at_error, h), 0,
          "a child knows the last error, and has its own from then on");
  is_int (nbd_get_errno (), EINVAL, "the errno of the parent is as it was");
  is_str (nbd_get_error (), parents_error, "and so is its error");
  disconnect (h);
}

/* Children of a program whose threads are inside calls: they use handles of
 * their own.
 */

#ifndef __SANITIZE_ADDRESS__

#define NR_THREADS 4

static atomic_bool stop;
static atomic_uint calls, wrong_calls;

static void *
keep_calling (void *opaque)
{
  struct nbd_handle *h = opaque;
  uint8_t buffer[4096];

  while (!stop) {
    wrong_calls += nbd_pread (h, buffer, sizeof buffer, 4096, 0) != 0 ||
      memcmp (buffer, content + 4096, sizeof buffer) != 0;
    calls++;
  }
  return NULL;
}

static unsigned
use_new_handles (struct nbd_handle *shared)
{
  unsigned wrong = 0;

  (void) shared;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    struct nbd_handle *h;

    /* gnutls does not promise anything here. */
    if (kinds[i].tls)
      continue;
    h = nbd_create ();
    wrong += UNLESS (h != NULL);
    wrong += UNLESS (kinds[i].begin (h) == 0);
    while (nbd_aio_is_connecting (h) && nbd_poll (h, -1) == 1)
      ;
    wrong += use_and_leave (h);
  }
  return wrong;
}

static void
check_threads (void)
{
  struct nbd_handle *h = open_kind (&kinds[0]);
  pthread_t threads[NR_THREADS];
  unsigned wrong = 0;

  for (unsigned i = 0; i < NR_THREADS; i++)
    MUST_BE (pthread_create (&threads[i], NULL, keep_calling, h) == 0);
  for (unsigned i = 0; i < 20; i++) {
    unsigned before = calls;

    wrong += in_child (use_new_handles, h) != 0;
    while (calls == before)
      sched_yield ();
  }
  stop = true;
  for (unsigned i = 0; i < NR_THREADS; i++)
    pthread_join (threads[i], NULL);
  is_int (wrong, 0, "children use new handles while threads are in calls");
  is_int (wrong_calls, 0, "those calls are not disturbed");
  is_int (use_disk (h), 0, "and the handle works");
  disconnect (h);
}

#endif

int
main (void)
{
  struct nbd_handle *h = nbd_create ();
  bool tls = h && nbd_supports_tls (h);

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

  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (kinds[i].tls && !tls)
      continue;
    check_child_goes_on (&kinds[i]);
    check_child_closes (&kinds[i]);
    check_handshake (&kinds[i]);
    /* A server that the library has started ends with the parent's copy. */
    if (!kinds[i].process)
      check_parent_closes (&kinds[i]);
  }
  check_queued_write ();
  check_queued_option ();
  check_error ();
#ifdef __SANITIZE_ADDRESS__
  skip_case ("children use new handles while threads are in calls",
             "the sanitizer's allocator may be locked in such a child");
#else
  check_threads ();
#endif

  server_stop (unix_server);
  server_stop (tcp_server);
  if (tls)
    server_stop (tls_server);
  free (disk);
  return tap_end ();
}
