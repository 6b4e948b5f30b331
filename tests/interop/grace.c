/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What cannot be waited for or provoked from outside: how long nbd_close waits
 * for a server that does not end, by a clock of our own; what the child does
 * before it becomes the server; and what happens when the system refuses
 * something.  The library is linked in, with the file in question as a part of
 * this one, and the linker sends its other calls here (--wrap).
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "server.h"
#include "spawned.h"
#include "tap.h"

/* The clock, in microseconds, and what happened when. */
static int64_t clock_us;
static struct event {
  int signal;
  int64_t when;                 /* milliseconds */
} events[8];
static unsigned nr_events;

/* After this signal the server ends (0: before any; -1: never); then time
 * stands still until it has.  Otherwise it passes quickly.
 */
static int ends_at;
static pid_t server;
static bool signals_refused;    /* as if the server were another user's */
static bool ticking;            /* signals interrupt every sleep */

static int
fake_nanosleep (const struct timespec *t, struct timespec *left)
{
  int64_t us = t->tv_sec * INT64_C (1000000) + t->tv_nsec / 1000;
  int last = nr_events ? events[nr_events - 1].signal : 0;
  siginfo_t info;

  MUST_BE (us > 0 && us <= 1000000);
  if (server && last == ends_at)
    MUST (waitid (P_PID, server, &info, WEXITED | WNOWAIT));
  if (ticking && us > 1000) {
    clock_us += 1000;
    us -= 1000;
    if (left)
      *left = (struct timespec) { us / 1000000, us % 1000000 * 1000 };
    errno = EINTR;
    return -1;
  }
  clock_us += us;
  return 0;
}

static int64_t
fake_milliseconds (void)
{
  return clock_us / 1000;
}

static int
fake_kill (pid_t pid, int sig)
{
  MUST_BE (pid == server && nr_events < 8);
  events[nr_events++] = (struct event) { sig, clock_us / 1000 };
  if (signals_refused) {
    errno = EPERM;
    return -1;
  }
  return kill (pid, sig);
}

/* What the child must not call, because another thread may have been inside
 * when it was forked.
 */
static struct shared {
  atomic_uint nr_children;
  char unsafe[64];
} *shared;
static bool in_child, fork_fails;

static pid_t
fake_fork (void)
{
  pid_t pid;

  if (fork_fails) {
    errno = EAGAIN;
    return -1;
  }
  pid = fork ();
  if (pid == 0) {
    in_child = true;
    shared->nr_children++;
  }
  return pid;
}

static void
called (const char *name)
{
  if (in_child)
    strncpy (shared->unsafe, name, sizeof shared->unsafe - 1);
}

/* One of the calls that fail on demand: the number COUNTDOWN of that NAME. */
static const char *failing;
static unsigned countdown;
static int failing_errno;

static bool
fails (const char *name)
{
  called (name);
  if (failing == NULL || strcmp (failing, name) != 0 || countdown == 0 ||
      --countdown > 0)
    return false;
  errno = failing_errno;
  return true;
}

void *__real_malloc (size_t n);
void *__real_calloc (size_t n, size_t size);
void *__real_realloc (void *p, size_t n);
void __real_free (void *p);
int __real_vasprintf (char **p, const char *fmt, va_list ap);
char *__real_getenv (const char *name);
int __real_pthread_mutex_lock (pthread_mutex_t *lock);
char *__real_mkdtemp (char *template);
int __real_socket (int family, int type, int protocol);
int __real_bind (int fd, const struct sockaddr *addr, socklen_t len);
int __real_listen (int fd, int backlog);
int __real_socketpair (int family, int type, int protocol, int fds[2]);
int __real_pipe2 (int fds[2], int flags);

void *__wrap_malloc (size_t n);
void *__wrap_calloc (size_t n, size_t size);
void *__wrap_realloc (void *p, size_t n);
void __wrap_free (void *p);
char *__wrap_strdup (const char *s);
int __wrap_vasprintf (char **p, const char *fmt, va_list ap);
int __wrap_asprintf (char **p, const char *fmt, ...);
char *__wrap_getenv (const char *name);
int __wrap_pthread_mutex_lock (pthread_mutex_t *lock);
char *__wrap_mkdtemp (char *template);
int __wrap_socket (int family, int type, int protocol);
int __wrap_bind (int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_listen (int fd, int backlog);
int __wrap_socketpair (int family, int type, int protocol, int fds[2]);
int __wrap_pipe2 (int fds[2], int flags);

void *
__wrap_malloc (size_t n)
{
  return fails ("memory") ? NULL : __real_malloc (n);
}

void *
__wrap_calloc (size_t n, size_t size)
{
  return fails ("memory") ? NULL : __real_calloc (n, size);
}

void *
__wrap_realloc (void *p, size_t n)
{
  return fails ("memory") ? NULL : __real_realloc (p, n);
}

void
__wrap_free (void *p)
{
  called ("free");
  __real_free (p);
}

char *
__wrap_strdup (const char *s)
{
  size_t n = strlen (s) + 1;
  char *copy = fails ("memory") ? NULL : __real_malloc (n);

  return copy ? memcpy (copy, s, n) : NULL;
}

int
__wrap_vasprintf (char **p, const char *fmt, va_list ap)
{
  return fails ("memory") ? -1 : __real_vasprintf (p, fmt, ap);
}

int
__wrap_asprintf (char **p, const char *fmt, ...)
{
  va_list ap;
  int r;

  va_start (ap, fmt);
  r = __wrap_vasprintf (p, fmt, ap);
  va_end (ap);
  return r;
}

char *
__wrap_getenv (const char *name)
{
  called ("getenv");
  return __real_getenv (name);
}

int
__wrap_pthread_mutex_lock (pthread_mutex_t *lock)
{
  called ("pthread_mutex_lock");
  return __real_pthread_mutex_lock (lock);
}

/* Where the library made its last folder and socket. */
static char made_folder[64], made_socket[128];

char *
__wrap_mkdtemp (char *template)
{
  char *r = fails ("mkdtemp") ? NULL : __real_mkdtemp (template);

  if (r && strncmp (r, "/tmp/libnbd", 11) == 0)
    snprintf (made_folder, sizeof made_folder, "%s", r);
  return r;
}

int
__wrap_socket (int family, int type, int protocol)
{
  return fails ("socket") ? -1 : __real_socket (family, type, protocol);
}

int
__wrap_bind (int fd, const struct sockaddr *addr, socklen_t len)
{
  if (fails ("bind"))
    return -1;
  snprintf (made_socket, sizeof made_socket, "%s",
            ((const struct sockaddr_un *) addr)->sun_path);
  return __real_bind (fd, addr, len);
}

int
__wrap_listen (int fd, int backlog)
{
  return fails ("listen") ? -1 : __real_listen (fd, backlog);
}

int
__wrap_socketpair (int family, int type, int protocol, int fds[2])
{
  return fails ("socketpair") ? -1 :
    __real_socketpair (family, type, protocol, fds);
}

int
__wrap_pipe2 (int fds[2], int flags)
{
  return fails ("pipe2") ? -1 : __real_pipe2 (fds, flags);
}

/* The file that this is about. */
#define milliseconds fake_milliseconds
#define nanosleep fake_nanosleep
#define kill fake_kill
#define fork fake_fork
#include "../../lib/subprocess.c"
#undef milliseconds
#undef nanosleep
#undef kill
#undef fork

static const struct way ways[] = {
  { "nbd_connect_command", nbd_connect_command, false, false },
  { "nbd_connect_systemd_socket_activation",
    nbd_connect_systemd_socket_activation, false, true },
  { "nbd_aio_connect_command", nbd_aio_connect_command, true, false },
  { "nbd_aio_connect_systemd_socket_activation",
    nbd_aio_connect_systemd_socket_activation, true, true },
};

/* How nbd_close ends servers of all kinds. */

static void
reset_clock (void)
{
  clock_us = 0;
  nr_events = 0;
  ends_at = SIGKILL;
  server = 0;
  signals_refused = ticking = false;
}

static void
is_event (const char *what, unsigned n, int signal, int64_t when)
{
  if (!ok (nr_events > n && events[n].signal == signal &&
           events[n].when >= when && events[n].when < when + 200,
           "%s: %s after %d seconds", what, strsignal (signal),
           (int) (when / 1000)) && nr_events > n)
    note ("signal %d after %lld ms", events[n].signal,
          (long long) events[n].when);
}

static void
check_end (const struct way *way, const char *behaviour, const char *kind,
           int end, bool foreign, bool ticks)
{
  const int64_t first = way->listens ? 0 : 10000;
  const int64_t second = way->listens ? 10000 : 12000;
  char **argv = child_argv (behaviour, NULL), what[160];
  unsigned want = end == 0 ? 0 : end == SIGTERM ? 1 : 2;
  struct nbd_handle *h;
  struct messages m;

  snprintf (what, sizeof what, "%s: %s", way->name, kind);
  reset_clock ();
  h = started (way, argv);
  keep_messages (h, &m);
  server = nbd_get_subprocess_pid (h);
  ends_at = foreign ? -1 : end;
  signals_refused = foreign;
  ticking = ticks;
  if (end == SIGSTOP) {
    /* It is stopped, and ends by nothing but SIGKILL. */
    MUST (kill (server, SIGSTOP));
    ends_at = SIGKILL;
  }
  nbd_close (h);
  is_int (nr_events, want, "%s: so many signals are sent", what);
  if (want > 0)
    is_event (what, 0, SIGTERM, first);
  if (want > 1)
    is_event (what, 1, SIGKILL, second);
  is_int (strstr (m.text, "SIGTERM") != NULL, want > 0,
          "%s: the debug messages tell of SIGTERM, or do not", what);
  is_int (strstr (m.text, "SIGKILL") != NULL, want > 1,
          "%s: or of SIGKILL", what);
  if (foreign) {
    ok (clock_us / 1000 < second + 10000, "%s: nbd_close gives up", what);
    MUST (kill (server, SIGKILL));
    MUST (waitpid (server, NULL, 0));
  }
  ok (is_gone (server), "%s: it is gone", what);
  ok (no_children (), "%s: nothing is left", what);
  free (m.text);
  free_list (argv);
}

static void
check_ends (const struct way *way)
{
  if (!way->listens) {
    check_end (way, "serve", "it ends by itself", 0, false, false);
    check_end (way, "serve", "it ends by itself, in a program that ticks", 0,
               false, true);
  }
  check_end (way, "serve,stay,note", "it remains until SIGTERM", SIGTERM,
             false, false);
  check_end (way, "serve,stay", "it does not look at signals", SIGTERM, false,
             false);
  check_end (way, "serve,stay,defy", "it ignores SIGTERM", SIGKILL, false,
             false);
  check_end (way, "serve,stay,note,defy", "it goes on after SIGTERM", SIGKILL,
             false, false);
  check_end (way, "serve,stay,defy", "signals interrupt the waiting", SIGKILL,
             false, true);
  check_end (way, "serve,stay", "it is stopped", SIGSTOP, false, false);
  check_end (way, "serve,stay", "it belongs to another user", SIGKILL, true,
             false);
}

/* A server that the program has collected itself: its number may be that of
 * another process by now, which is not to get a signal.
 */
static void
check_collected (const struct way *way)
{
  char **argv = child_argv ("serve", NULL);
  struct nbd_handle *h;

  reset_clock ();
  h = started (way, argv);
  server = nbd_get_subprocess_pid (h);
  MUST (kill (server, SIGKILL));
  MUST (waitpid (server, NULL, 0));
  nbd_close (h);
  is_int (nr_events, 0, "%s: what the program has collected gets no signal",
          way->name);
  is_int (clock_us, 0, "%s: and is not waited for", way->name);
  free_list (argv);
}

/* The child makes no unsafe call, whatever becomes of it. */
static void
check_safe_calls (const struct way *way)
{
  static const char script[] = "exit 0\n";
  char *path = temp_path ("prog");
  char **child = child_argv ("exit", NULL);
  char *nosuch[] = { (char *) "nosuch", (char *) "x", NULL };
  char *shell[] = { path, (char *) "x", NULL };
  char **const argvs[] = { child, nosuch, shell };
  int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

  MUST (fd);
  MUST_BE (write (fd, script, strlen (script)) == (ssize_t) strlen (script));
  close (fd);
  for (int i = 0; i < 3; i++) {
    struct nbd_handle *h = new_handle ();
    unsigned nr = shared->nr_children;

    reset_clock ();
    ends_at = way->listens ? SIGTERM : 0;
    shared->unsafe[0] = '\0';
    way->connect (h, argvs[i]);
    is_int (shared->nr_children, nr + 1, "%s: there is a child", way->name);
    is_str (shared->unsafe, "", "%s: it calls nothing that is not safe in it",
            way->name);
    server = i == 1 ? 0 : nbd_get_subprocess_pid (h);
    nbd_close (h);
  }
  unlink (path);
  free (path);
  free_list (child);
}

static bool
folder_is_gone (void)
{
  return access (made_folder, F_OK) == -1 && access (made_socket, F_OK) == -1;
}

/* What the system can refuse, one call at a time. */
static void
check_failures (const struct way *way)
{
  static const struct {
    const char *call;
    int errnum;
    int which;                  /* of the two ways; -1: both */
    const char *text;
  } rows[] = {
    { "fork", EAGAIN, -1, "fork" },
    { "pipe2", EMFILE, -1, NULL },
    { "pipe2", ENFILE, -1, NULL },
    { "socketpair", EMFILE, 0, "socketpair" },
    { "socketpair", ENFILE, 0, "socketpair" },
    { "mkdtemp", EACCES, 1, "cannot make a socket in /tmp" },
    { "mkdtemp", EROFS, 1, "cannot make a socket in /tmp" },
    { "mkdtemp", ENOENT, 1, "cannot make a socket in /tmp" },
    { "socket", EMFILE, 1, "cannot make a socket in /tmp" },
    { "bind", ENOSPC, 1, "cannot make a socket in /tmp" },
    { "listen", EADDRINUSE, 1, "cannot make a socket in /tmp" },
  };
  struct nbd_handle *h = new_handle ();
  char **argv = child_argv ("serve", NULL);

  reset_clock ();
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char what[128], *message;
    int r;

    if (rows[i].which != -1 && rows[i].which != way->listens)
      continue;
    snprintf (what, sizeof what, "%s: %s: %s", way->name, rows[i].call,
              strerror (rows[i].errnum));
    fork_fails = strcmp (rows[i].call, "fork") == 0;
    failing = rows[i].call;
    failing_errno = rows[i].errnum;
    countdown = 1;
    r = way->connect (h, argv);
    failing = NULL;
    fork_fails = false;
    is_int (r, -1, "%s: is an error", what);
    is_int (nbd_get_errno (), rows[i].errnum, "%s: with that errno", what);
    MUST (asprintf (&message, "%s: %s: %s", way->name,
                    rows[i].text ? rows[i].text : CHILD,
                    strerror (rows[i].errnum)));
    is_str (nbd_get_error (), message, "%s: and a message", what);
    free (message);
    is_int (nbd_aio_is_created (h), 1, "%s: the handle is as good as new",
            what);
    is_int (nbd_get_subprocess_pid (h), -1, "%s: without a process", what);
    ok (no_children (), "%s: no process is left", what);
    ok (folder_is_gone (), "%s: nor a folder", what);
  }

  /* The socket of the client, when the server runs already. */
  if (way->listens) {
    failing = "socket";
    failing_errno = EMFILE;
    countdown = 2;
    is_int (way->connect (h, argv), -1, "%s: no socket to connect with",
            way->name);
    failing = NULL;
    is_int (nbd_get_errno (), EMFILE, "%s: EMFILE", way->name);
    is_int (nbd_aio_is_dead (h), 1, "%s: the handle is dead", way->name);
    ok (folder_is_gone (), "%s: the folder is removed", way->name);
    server = nbd_get_subprocess_pid (h);
    ends_at = SIGTERM;
    nbd_close (h);
    ok (is_gone (server), "%s: and the server is ended", way->name);
    h = new_handle ();
    reset_clock ();
  }
  is_int (way_connect (way, h, argv), 0, "%s: after that it works", way->name);
  ok (disk_works (h), "%s: with data", way->name);
  server = nbd_get_subprocess_pid (h);
  ends_at = way->listens ? SIGTERM : 0;
  nbd_close (h);
  free_list (argv);
}

/* Each allocation failing. */
static void
check_memory (const struct way *way)
{
  char **child = child_argv ("serve", NULL);
  char *nosuch[] = { (char *) "nosuch", NULL };
  char **const argvs[] = { child, nosuch };

  for (int i = 0; i < 2; i++) {
    unsigned n = 1, wrong = 0;
    bool more = true;

    for (; more && n < 1000; n++) {
      struct nbd_handle *h = new_handle ();
      int r;

      reset_clock ();
      failing = "memory";
      failing_errno = ENOMEM;
      countdown = n;
      r = way->connect (h, argvs[i]);
      more = countdown == 0;
      failing = NULL;
      if (more && (r != -1 || nbd_get_errno () != ENOMEM)) {
        note ("allocation %u: %s", n, r == -1 ? nbd_get_error () : "0");
        wrong++;
      }
      if (nbd_aio_is_created (h) && !no_children ())
        wrong++;
      if (way->listens && !folder_is_gone ())
        wrong++;
      server = nbd_get_subprocess_pid (h) > 0 ? nbd_get_subprocess_pid (h) : 0;
      ends_at = way->listens ? SIGTERM : 0;
      nbd_close (h);
      wrong += !no_children ();
    }
    is_int (wrong, 0, "%s: without memory for any of %u things it fails, and "
            "leaves nothing", way->name, n - 2);
  }
  free_list (child);
}

int
main (void)
{
  alarm (170);
  tap_begin ();
  temp_dir ();
  shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MUST_BE (shared != MAP_FAILED);
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    check_ends (&ways[i]);
    check_collected (&ways[i]);
    check_safe_calls (&ways[i]);
    check_failures (&ways[i]);
    check_memory (&ways[i]);
  }
  return tap_end ();
}
