/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "server.h"
#include "spawned.h"
#include "tap.h"

extern char **environ;

/* A condition that others bring about is waited for so many times 2 ms. */
#define PATIENCE 15000

static void
pause_a_little (void)
{
  poll (NULL, 0, 2);
}

int
way_connect (const struct way *way, struct nbd_handle *h, char **argv)
{
  int r = way->connect (h, argv);

  while (r != -1 && nbd_aio_is_connecting (h) == 1)
    r = nbd_poll (h, -1);
  return r == -1 ? -1 : 0;
}

/* Lists of strings. */

static size_t
list_length (char *const *list)
{
  size_t n = 0;

  while (list[n])
    n++;
  return n;
}

char **
copy_list (char *const *list)
{
  size_t n = list_length (list);
  char **copy = calloc (n + 1, sizeof *copy);

  MUST_BE (copy != NULL);
  for (size_t i = 0; i < n; i++)
    MUST_BE ((copy[i] = strdup (list[i])) != NULL);
  return copy;
}

void
free_list (char **list)
{
  for (size_t i = 0; list[i]; i++)
    free (list[i]);
  free (list);
}

/* What the library must not look at any more. */
static void
spoil_list (char **list)
{
  for (size_t i = 0; list[i]; i++) {
    memset (list[i], '#', strlen (list[i]));
    free (list[i]);
    list[i] = (char *) "spoilt";
  }
  free (list);
}

char **
child_argv (const char *behaviour, ...)
{
  static atomic_uint last;
  char *list[1024] = { (char *) CHILD }, name[32], **argv;
  size_t n = 3;
  va_list ap;

  snprintf (name, sizeof name, "report%u", atomic_fetch_add (&last, 1));
  list[1] = temp_path (name);
  list[2] = (char *) behaviour;
  va_start (ap, behaviour);
  while ((list[n] = va_arg (ap, char *)))
    MUST_BE (++n < 1024);
  va_end (ap);
  argv = copy_list (list);
  free (list[1]);
  return argv;
}

/* Reports. */

struct report {
  char *text;                   /* lines that end with NUL */
  size_t length;
};

/* The file, with %XX as the byte that it means. */
struct report *
read_report (char *const *argv)
{
  struct report *r = calloc (1, sizeof *r);
  size_t size = 0;
  int patience = PATIENCE;
  FILE *fp;
  int c;

  MUST_BE (r != NULL);
  while ((fp = fopen (argv[1], "re")) == NULL && patience-- > 0)
    pause_a_little ();
  MUST_BE (fp != NULL);
  while ((c = fgetc (fp)) != EOF) {
    unsigned byte = c;

    if (c == '%')
      MUST_BE (fscanf (fp, "%2x", &byte) == 1);
    if (r->length == size)
      MUST_BE ((r->text = realloc (r->text, size = 2 * size + 4096)) != NULL);
    r->text[r->length++] = c == '\n' ? '\0' : byte;
  }
  fclose (fp);
  MUST_BE (r->length > 0 && r->text[r->length - 1] == '\0');
  return r;
}

void
free_report (struct report *r)
{
  free (r->text);
  free (r);
}

const char *
report_value (const struct report *r, const char *key, size_t n)
{
  size_t length = strlen (key);

  for (const char *p = r->text; p < r->text + r->length; p += strlen (p) + 1)
    if (strncmp (p, key, length) == 0 && p[length] == '=' && n-- == 0)
      return p + length + 1;
  return NULL;
}

size_t
report_count (const struct report *r, const char *key)
{
  size_t n = 0;

  while (report_value (r, key, n))
    n++;
  return n;
}

static long long
report_number (const struct report *r, const char *key)
{
  const char *value = report_value (r, key, 0);

  return value ? atoll (value) : -1;
}

const char *
report_variable (const struct report *r, const char *name)
{
  size_t length = strlen (name);
  const char *value;

  for (size_t i = 0; (value = report_value (r, "env", i)); i++)
    if (strncmp (value, name, length) == 0 && value[length] == '=')
      return value + length + 1;
  return NULL;
}

bool
report_gets (char *const *argv, const char *line)
{
  char buf[4096];

  for (int i = 0; i < PATIENCE; i++) {
    FILE *fp = fopen (argv[1], "re");
    bool found = false;

    while (fp && !found && fgets (buf, sizeof buf, fp)) {
      buf[strcspn (buf, "\n")] = '\0';
      found = strcmp (buf, line) == 0;
    }
    if (fp)
      fclose (fp);
    if (found)
      return true;
    pause_a_little ();
  }
  return false;
}

/* What the report says of a descriptor, or that it is closed. */
static const char *
reported_fd (const struct report *r, int fd, char text[128])
{
  const char *value;

  snprintf (text, 128, "%d closed", fd);
  for (size_t i = 0; (value = report_value (r, "fd", i)); i++)
    if (atoi (value) == fd)
      return value;
  return text;
}

/* Handles and processes. */

struct nbd_handle *
started (const struct way *way, char **argv)
{
  struct nbd_handle *h = new_handle ();

  MUST (way_connect (way, h, argv));
  return h;
}

bool
is_gone (pid_t pid)
{
  return kill (pid, 0) == -1 && errno == ESRCH;
}

bool
no_children (void)
{
  siginfo_t info;

  return waitid (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 &&
    errno == ECHILD;
}

bool
disk_works (struct nbd_handle *h)
{
  static const uint64_t offsets[] = { 0, 512, 4096, 60 * 1024 };
  uint8_t out[4096], in[4096];
  uint64_t seed = 4711;

  for (size_t i = 0; i < 4; i++) {
    fill_random (&seed, out, sizeof out);
    memset (in, 0, sizeof in);
    if (nbd_pwrite (h, out, sizeof out, offsets[i], 0) == -1 ||
        nbd_pread (h, in, sizeof in, offsets[i], 0) == -1 ||
        memcmp (in, out, sizeof in) != 0)
      return false;
  }
  return true;
}

static int
keep_message (void *user_data, const char *context, const char *msg)
{
  struct messages *m = user_data;
  char *text;

  MUST (asprintf (&text, "%s%s: %s\n", m->text ? m->text : "", context, msg));
  free (m->text);
  m->text = text;
  return 0;
}

void
keep_messages (struct nbd_handle *h, struct messages *m)
{
  m->text = NULL;
  MUST (nbd_set_debug_callback (h, (nbd_debug_callback) {
        .callback = keep_message, .user_data = m }));
  MUST (nbd_set_debug (h, true));
}

/* How many descriptors are open. */
static unsigned
count_fds (void)
{
  unsigned n = 0;

  for (int fd = 0; fd < 1024; fd++)
    n += fcntl (fd, F_GETFD) != -1;
  return n;
}

/* The cases. */

/* An error that leaves the handle as it was. */
static void
is_refused (const struct way *way, struct nbd_handle *h, char **argv,
            int errnum, const char *text, const char *what)
{
  unsigned fds = count_fds ();
  char *message = NULL;

  is_int (way->connect (h, argv), -1, "%s: %s is refused", way->name, what);
  is_int (nbd_get_errno (), errnum, "%s: %s: %s", way->name, what,
          strerror (errnum));
  if (text) {
    MUST (asprintf (&message, "%s: %s: %s", way->name, text,
                    strerror (errnum)));
    is_str (nbd_get_error (), message, "%s: %s: the message", way->name, what);
    free (message);
  }
  is_int (nbd_aio_is_created (h), 1, "%s: %s: the handle is as good as new",
          way->name, what);
  is_int (nbd_get_subprocess_pid (h), -1, "%s: %s: it has no process",
          way->name, what);
  is_int (nbd_get_errno (), EINVAL, "%s: %s: which is EINVAL", way->name,
          what);
  is_int (nbd_kill_subprocess (h, 0), -1, "%s: %s: nothing can be killed",
          way->name, what);
  is_int (nbd_get_errno (), ESRCH, "%s: %s: which is ESRCH", way->name, what);
  ok (no_children (), "%s: %s: no process is left, and no zombie", way->name,
      what);
  is_int (count_fds (), fds, "%s: %s: no descriptor is left", way->name, what);
}

static void
check_arguments (const struct way *way)
{
  static char many[900][8];
  char *const odd[] = {
    (char *) "exit", (char *) "", (char *) "a b", (char *) "'", (char *) "\"",
    (char *) "$HOME `id` $(id)", (char *) "\\", (char *) "*", (char *) "-x",
    (char *) "", (char *) "tab\there\nand a line", (char *) "\xc3\xbc\xff\x01",
    (char *) "%41", (char *) "a;b|c&d>e<f", (char *) " ", (char *) "", NULL
  };
  char **child = child_argv ("exit", NULL), *list[1024], **argv;
  struct nbd_handle *h;
  struct report *r;
  size_t n = 0, i;
  char *large = malloc (100001);

  MUST_BE (large != NULL);
  memset (large, 'x', 100000);
  large[100000] = '\0';
  list[n++] = child[0];
  list[n++] = child[1];
  for (i = 0; odd[i]; i++)
    list[n++] = odd[i];
  list[n++] = large;
  for (i = 0; i < 900; i++) {
    snprintf (many[i], sizeof many[i], "%zu", i);
    list[n++] = many[i];
  }
  list[n] = NULL;

  argv = copy_list (list);
  h = new_handle ();
  way->connect (h, argv);
  spoil_list (argv);
  r = read_report (list);
  is_int (report_count (r, "arg"), n, "%s: all %zu parameters arrive",
          way->name, n);
  for (i = 0; list[i]; i++) {
    const char *got = report_value (r, "arg", i);

    if (got == NULL || strcmp (got, list[i]) != 0)
      break;
  }
  is_int (i, n, "%s: each as it was given, the caller's having been "
          "overwritten and freed", way->name);
  nbd_close (h);
  free_report (r);
  free (large);
  free_list (child);
}

/* The environment of the program for the time of a call. */
static char *const sample_environment[] = {
  (char *) "PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *) "EMPTY=",
  (char *) "SPACE=a b  c", (char *) "LINES=1\n2", (char *) "TWICE=1",
  (char *) "TWICE=2", (char *) "NO-EQUALS-SIGN", (char *) "=x",
  (char *) "LISTEN_PID=1", (char *) "LISTEN_FDS=7",
  (char *) "LISTEN_FDNAMES=a:b", (char *) "LISTEN_OTHER=x",
  (char *) "LISTENER=kept", (char *) "listen_pid=kept",
  (char *) "NOTIFY_SOCKET=/nowhere", NULL
};

static void
check_environment (const struct way *way)
{
  char **argv = child_argv ("exit", NULL), **saved = environ;
  struct nbd_handle *h = new_handle ();
  struct report *r;
  size_t want = 0, got = 0, i = 0;

  environ = copy_list (sample_environment);
  way->connect (h, argv);
  spoil_list (environ);
  environ = saved;
  r = read_report (argv);
  /* Those of socket activation are looked at elsewhere. */
  for (;;) {
    const char *entry = report_value (r, "env", got), *copied;

    do
      copied = sample_environment[want++];
    while (way->listens && copied && strncmp (copied, "LISTEN_", 7) == 0);
    while (way->listens && entry && strncmp (entry, "LISTEN_", 7) == 0)
      entry = report_value (r, "env", ++got);
    if (!entry || !copied || strcmp (entry, copied) != 0) {
      ok (!entry && !copied, "%s: the environment is that of the program, "
          "which has freed it", way->name);
      break;
    }
    got++;
    i++;
  }
  is_int (i, way->listens ? 11 : 15, "%s: with all the variables", way->name);
  if (!way->listens) {
    is_str (report_variable (r, "LISTEN_PID"), "1",
            "%s: LISTEN_PID is left as it was", way->name);
    is_str (report_variable (r, "LISTEN_FDS"), "7",
            "%s: LISTEN_FDS is left as it was", way->name);
    is_str (report_variable (r, "LISTEN_FDNAMES"), "a:b",
            "%s: LISTEN_FDNAMES is left as it was", way->name);
  }
  nbd_close (h);
  free_report (r);
  free_list (argv);

  for (int empty = 0; empty < 2; empty++) {
    char *none[] = { NULL };

    argv = child_argv ("exit", NULL);
    h = new_handle ();
    environ = empty ? none : NULL;
    way->connect (h, argv);
    environ = saved;
    r = read_report (argv);
    is_int (report_count (r, "env"), way->listens ? 3 : 0,
            "%s: an environment that is %s", way->name,
            empty ? "empty" : "not there");
    nbd_close (h);
    free_report (r);
    free_list (argv);
  }
}

/* What has a number of its own and is not asked about in other cases. */
static void
check_surroundings (const struct way *way)
{
  char **argv = child_argv ("serve", NULL), folder[PATH_MAX];
  struct nbd_handle *h;
  struct report *r;
  struct rlimit limit;
  mode_t mask = umask (0037);

  h = started (way, argv);
  r = read_report (argv);
  is_int (report_number (r, "umask"), 0037, "%s: the mask of modes",
          way->name);
  umask (mask);
  is_int (report_number (r, "pid"), nbd_get_subprocess_pid (h),
          "%s: nbd_get_subprocess_pid is the number of the process",
          way->name);
  is_int (report_number (r, "parent"), getpid (), "%s: our child", way->name);
  is_int (report_number (r, "group"), getpgrp (), "%s: in our process group",
          way->name);
  is_int (report_number (r, "session"), getsid (0), "%s: in our session",
          way->name);
  is_int (report_number (r, "user"), getuid (), "%s: our user", way->name);
  MUST (getrlimit (RLIMIT_NOFILE, &limit));
  is_int (report_number (r, "limit"), limit.rlim_cur, "%s: our limits",
          way->name);
  MUST_BE (getcwd (folder, sizeof folder));
  is_str (report_value (r, "folder", 0), folder, "%s: our working folder",
          way->name);
  ok (disk_works (h), "%s: data is written and read", way->name);
  is_int (nbd_shutdown (h, 0), 0, "%s: nbd_shutdown", way->name);
  is_int (nbd_get_subprocess_pid (h), report_number (r, "pid"),
          "%s: after that it has its number still", way->name);
  nbd_close (h);
  ok (is_gone (report_number (r, "pid")), "%s: nbd_close takes it back",
      way->name);
  ok (no_children (), "%s: nothing is left to be waited for", way->name);
  free_report (r);
  free_list (argv);
}

/* Which of the descriptors 0 to 2 are open makes no difference to what the
 * server gets.
 */
static void
check_standard_descriptors (const struct way *way)
{
  for (unsigned closed = 0; closed < 8; closed++) {
    char **argv = child_argv ("serve", NULL), own[3][128], what[64], text[128];
    unsigned left = 0;
    struct nbd_handle *h;
    struct report *r;
    bool works;
    char *nosuch[] = { (char *) "nosuch", NULL };
    int saved[3], result, refused, err;

    snprintf (what, sizeof what, "%s: descriptors closed:%s%s%s%s", way->name,
              closed ? "" : " none", closed & 1 ? " 0" : "",
              closed & 2 ? " 1" : "", closed & 4 ? " 2" : "");
    for (int fd = 0; fd < 3; fd++) {
      saved[fd] = fcntl (fd, F_DUPFD_CLOEXEC, 10);
      MUST (saved[fd]);
    }
    /* Nothing can be printed until they are back. */
    for (int fd = 0; fd < 3; fd++) {
      if (closed & 1 << fd)
        close (fd);
      describe_fd (fd, own[fd]);
    }
    h = nbd_create ();
    refused = way->connect (h, nosuch);
    err = nbd_get_errno ();
    result = way_connect (way, h, argv);
    works = result == 0 && disk_works (h) && nbd_shutdown (h, 0) == 0;
    nbd_close (h);
    for (int fd = 0; fd < 3; fd++) {
      left += (closed & 1 << fd) && fcntl (fd, F_GETFD) != -1;
      dup2 (saved[fd], fd);
      close (saved[fd]);
    }
    is_int (refused, -1, "%s: a program that does not exist", what);
    is_int (err, ENOENT, "%s: is ENOENT", what);
    is_int (result, 0, "%s: the server is started", what);
    if (result == -1) {
      note ("%s", nbd_get_error ());
      continue;
    }
    ok (works, "%s: data is written and read", what);
    is_int (left, 0, "%s: they are closed afterwards", what);

    r = read_report (argv);
    if (way->listens) {
      struct stat st;
      char want[32];

      MUST (stat ("/dev/null", &st));
      snprintf (want, sizeof want, "device %llx flags",
                (unsigned long long) st.st_rdev);
      ok (strstr (reported_fd (r, 0, text), want) != NULL,
          "%s: 0 is /dev/null", what);
      is_str (reported_fd (r, 1, text), own[1], "%s: 1 is ours", what);
      is_str (report_value (r, "listening", 0), "1", "%s: 3 listens", what);
    }
    else {
      const char *in = reported_fd (r, 0, text), *out;
      char text2[128];

      out = reported_fd (r, 1, text2);
      is_str (out + 1, in + 1, "%s: 0 and 1 are the same", what);
      ok (strstr (in, " type 140000 ") != NULL, "%s: a socket", what);
      ok (!(strtoul (in + strlen (in) - 1, NULL, 8) & O_NONBLOCK) &&
          strstr (in, " flags 2") != NULL, "%s: in blocking mode", what);
    }
    is_str (reported_fd (r, 2, text), own[2], "%s: 2 is ours", what);
    is_int (report_count (r, "fd"),
            3 - !!(closed & 4) - (way->listens && closed & 2) + way->listens,
            "%s: there are no others", what);
    free_report (r);
    free_list (argv);
  }
}

/* Descriptors that are to be inherited are; number 3 is not spared when it is
 * that of the socket.
 */
static void
check_inherited (const struct way *way)
{
  char **argv = child_argv ("serve", NULL), own[128], text[128];
  int saved = fcntl (3, F_DUPFD_CLOEXEC, 10), pipes[2];
  struct nbd_handle *h;
  struct report *r;

  MUST (pipe (pipes));
  MUST (dup2 (pipes[0], 3));
  MUST (dup2 (pipes[1], 77));
  if (pipes[0] != 3)
    MUST (fcntl (pipes[0], F_SETFD, FD_CLOEXEC));
  MUST (fcntl (pipes[1], F_SETFD, FD_CLOEXEC));
  h = started (way, argv);
  r = read_report (argv);
  describe_fd (77, own);
  is_str (reported_fd (r, 77, text), own, "%s: an inheritable descriptor is "
          "inherited", way->name);
  describe_fd (3, own);
  if (way->listens)
    is_str (report_value (r, "listening", 0), "1",
            "%s: in place of descriptor 3 there is the socket", way->name);
  else
    is_str (reported_fd (r, 3, text), own, "%s: so is number 3", way->name);
  is_int (report_count (r, "fd"), 5, "%s: no others are", way->name);
  nbd_close (h);
  close (3);
  if (saved != -1) {
    MUST (dup3 (saved, 3, O_CLOEXEC));
    close (saved);
  }
  for (int i = 0; i < 2; i++)
    if (pipes[i] != 3)
      close (pipes[i]);
  close (77);
  free_report (r);
  free_list (argv);
}

/* With the limit at each number of descriptors, from none left to enough. */
static void
check_few_descriptors (const struct way *way)
{
  unsigned refused = 0, wrong = 0, left = 0;
  struct rlimit limit, low;
  int free_fd = dup (0), r = -1;

  MUST (free_fd);
  close (free_fd);
  MUST (getrlimit (RLIMIT_NOFILE, &limit));
  low = limit;
  for (int n = 0; n < 32 && r == -1; n++) {
    char **argv = child_argv ("serve", NULL);
    struct nbd_handle *h = new_handle ();
    unsigned fds = count_fds ();

    low.rlim_cur = free_fd + n;
    MUST (setrlimit (RLIMIT_NOFILE, &low));
    r = way_connect (way, h, argv);
    MUST (setrlimit (RLIMIT_NOFILE, &limit));
    if (r == -1) {
      refused++;
      if (nbd_get_errno () != EMFILE || !nbd_aio_is_created (h)) {
        note ("%d descriptors: %s", n, nbd_get_error ());
        wrong++;
      }
      left += count_fds () != fds || !no_children ();
    }
    nbd_close (h);
    free_list (argv);
  }
  is_int (r, 0, "%s: with enough descriptors it works", way->name);
  ok (refused > 2, "%s: with fewer it does not", way->name);
  is_int (wrong, 0, "%s: and says EMFILE, the handle being as good as new",
          way->name);
  is_int (left, 0, "%s: nothing is left of it", way->name);
}

/* Signals. */

static atomic_int *handled_elsewhere;
static pid_t program;

static void
on_signal (int sig)
{
  (void) sig;
  if (getpid () != program)
    atomic_fetch_add (handled_elsewhere, 1);
}

struct caller {
  const struct way *way;
  char **argv;
  char blocked[512];
};

static void *
call_with_mask (void *arg)
{
  struct caller *c = arg;
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGWINCH);
  sigaddset (&set, SIGALRM);
  sigaddset (&set, SIGRTMAX);
  MUST_BE (pthread_sigmask (SIG_SETMASK, &set, NULL) == 0);
  nbd_close (started (c->way, c->argv));
  list_signals (is_blocked, c->blocked);
  return NULL;
}

static void
check_signals (const struct way *way)
{
  static const int caught[] = { SIGUSR1, SIGCHLD, SIGHUP, SIGURG };
  struct sigaction old[4], old_pipe, old_usr2, now;
  char **argv = child_argv ("serve", NULL), own[512], ignored[512], want[512];
  sigset_t set, old_set;
  struct caller caller = { .way = way, .argv = child_argv ("serve", NULL) };
  pthread_t thread;
  struct report *r;

  for (int i = 0; i < 4; i++)
    MUST (sigaction (caught[i],
                     &(struct sigaction) { .sa_handler = on_signal,
                                           .sa_flags = SA_RESTART }, &old[i]));
  MUST (sigaction (SIGPIPE, &(struct sigaction) { .sa_handler = SIG_DFL },
                   &old_pipe));
  MUST (sigaction (SIGUSR2, &(struct sigaction) { .sa_handler = SIG_IGN },
                   &old_usr2));
  list_signals (is_ignored, ignored);
  MUST (sigaction (SIGPIPE, &(struct sigaction) { .sa_handler = SIG_IGN },
                   NULL));
  sigemptyset (&set);
  sigaddset (&set, SIGUSR1);
  sigaddset (&set, SIGRTMIN + 1);
  MUST_BE (pthread_sigmask (SIG_SETMASK, &set, &old_set) == 0);
  list_signals (is_blocked, own);

  nbd_close (started (way, argv));
  r = read_report (argv);
  is_str (report_value (r, "blocked", 0), own,
          "%s: the mask of signals is that of the caller", way->name);
  is_str (report_value (r, "ignored", 0), ignored,
          "%s: ignored is what we ignore, except for SIGPIPE", way->name);
  is_str (report_value (r, "caught", 0), "",
          "%s: what we catch is at its default", way->name);
  list_signals (is_blocked, want);
  is_str (own, want, "%s: our mask is what it was", way->name);
  MUST (sigaction (SIGPIPE, NULL, &now));
  ok (now.sa_handler == SIG_IGN, "%s: we ignore SIGPIPE as before", way->name);
  MUST (sigaction (SIGUSR1, NULL, &now));
  ok (now.sa_handler == on_signal, "%s: and catch what we caught", way->name);
  free_report (r);

  MUST_BE (pthread_create (&thread, NULL, call_with_mask, &caller) == 0);
  MUST_BE (pthread_join (thread, NULL) == 0);
  r = read_report (caller.argv);
  snprintf (want, sizeof want, " %d %d %d", SIGALRM, SIGWINCH, SIGRTMAX);
  is_str (caller.blocked, want, "%s: another thread keeps its mask",
          way->name);
  is_str (report_value (r, "blocked", 0), want,
          "%s: and so does what it starts", way->name);
  free_report (r);

  MUST_BE (pthread_sigmask (SIG_SETMASK, &old_set, NULL) == 0);
  MUST (sigaction (SIGPIPE, &old_pipe, NULL));
  MUST (sigaction (SIGUSR2, &old_usr2, NULL));
  for (int i = 0; i < 4; i++)
    MUST (sigaction (caught[i], &old[i], NULL));
  free_list (argv);
  free_list (caller.argv);
}

static atomic_bool storm_over;

/* SIGURG does nothing to who does not catch it. */
static void *
storm (void *arg)
{
  (void) arg;
  while (!storm_over)
    kill (0, SIGURG);
  return NULL;
}

/* A signal for the whole process group at the very moment: no handler of ours
 * runs in the child, and the child is started nevertheless.
 */
static void
check_handlers (const struct way *way)
{
  unsigned failures = 0;
  struct sigaction old;
  pthread_t thread;
  pid_t group = getpgrp ();

  handled_elsewhere = mmap (NULL, sizeof *handled_elsewhere,
                            PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MUST_BE (handled_elsewhere != MAP_FAILED);
  /* The servers of others are not to be troubled; a session's leader stays. */
  setpgid (0, 0);
  MUST (sigaction (SIGURG,
                   &(struct sigaction) { .sa_handler = on_signal,
                                         .sa_flags = SA_RESTART }, &old));
  storm_over = false;
  MUST_BE (pthread_create (&thread, NULL, storm, NULL) == 0);
  for (int i = 0; i < 100; i++) {
    char **argv = child_argv ("exit", NULL);
    struct nbd_handle *h = new_handle ();

    /* The server ends at once; it only matters that it was executed. */
    if (way->connect (h, argv) == -1 && nbd_aio_is_created (h))
      failures++;
    nbd_close (h);
    unlink (argv[1]);
    free_list (argv);
  }
  storm_over = true;
  MUST_BE (pthread_join (thread, NULL) == 0);
  MUST (sigaction (SIGURG, &old, NULL));
  setpgid (0, group);
  is_int (failures, 0, "%s: signals do not keep servers from being started",
          way->name);
  is_int (atomic_load (handled_elsewhere), 0,
          "%s: handlers of ours run only here", way->name);
  munmap (handled_elsewhere, sizeof *handled_elsewhere);
}

/* Descriptors of other threads. */

static atomic_bool openers_done;

static void *
open_and_close (void *arg)
{
  (void) arg;
  while (!openers_done) {
    int pipes[2], pair[2], fd = open ("/dev/null", O_RDWR | O_CLOEXEC), more;

    if (pipe2 (pipes, O_CLOEXEC) == 0) {
      close (pipes[0]);
      close (pipes[1]);
    }
    if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
      more = fcntl (pair[0], F_DUPFD_CLOEXEC, 0);
      close (pair[0]);
      close (pair[1]);
      close (more);
    }
    close (fd);
  }
  return NULL;
}

struct starter {
  const struct way *way;
  unsigned nr_failures, nr_fds;
};

static void *
start_some (void *arg)
{
  struct starter *s = arg;

  for (int i = 0; i < 25; i++) {
    char **argv = child_argv ("serve", NULL);
    struct nbd_handle *h = nbd_create ();
    struct report *r;

    if (way_connect (s->way, h, argv) == -1 || !disk_works (h))
      s->nr_failures++;
    else {
      r = read_report (argv);
      if (report_count (r, "fd") != (s->way->listens ? 4 : 3)) {
        const char *fd;

        s->nr_fds++;
        for (size_t n = 0; (fd = report_value (r, "fd", n)); n++)
          note ("%s: %s", s->way->name, fd);
      }
      free_report (r);
    }
    nbd_close (h);
    unlink (argv[1]);
    free_list (argv);
  }
  return NULL;
}

static void
check_threads (const struct way *ways, size_t nr_ways)
{
  struct starter starters[8];
  pthread_t opener, threads[8];

  openers_done = false;
  MUST_BE (pthread_create (&opener, NULL, open_and_close, NULL) == 0);
  for (size_t i = 0; i < 2 * nr_ways; i++) {
    starters[i] = (struct starter) { .way = &ways[i % nr_ways] };
    MUST_BE (pthread_create (&threads[i], NULL, start_some,
                             &starters[i]) == 0);
  }
  for (size_t i = 0; i < 2 * nr_ways; i++) {
    MUST_BE (pthread_join (threads[i], NULL) == 0);
    is_int (starters[i].nr_failures, 0,
            "%s: in several threads at once it works", starters[i].way->name);
    is_int (starters[i].nr_fds, 0,
            "%s: no server gets descriptors of other threads",
            starters[i].way->name);
  }
  openers_done = true;
  MUST_BE (pthread_join (opener, NULL) == 0);
  ok (no_children (), "several threads leave no process behind");
}

/* Programs that cannot be executed, and where they are looked for. */

static void
make_file (const char *dir, const char *name, mode_t mode, const char *text)
{
  char *path;
  FILE *fp;

  MUST (asprintf (&path, "%s/%s", dir, name));
  MUST_BE ((fp = fopen (path, "we")) != NULL);
  fputs (text, fp);
  MUST_BE (fclose (fp) == 0);
  MUST (chmod (path, mode));
  free (path);
}

/* Folders that hold something different as "prog" each. */
enum { GOOD, NOTHING, PLAIN, FOLDER, DANGLING, NO_INTERPRETER, SCRIPT,
       LOOP, A_FILE, MISSING, NR_FOLDERS };
static char *folders[NR_FOLDERS];

static void
make_folders (void)
{
  char *path, *interpreter;

  for (int i = 0; i < NR_FOLDERS; i++) {
    char name[32];

    snprintf (name, sizeof name, "folder%d", i);
    folders[i] = temp_path (name);
    if (i != MISSING && i != A_FILE)
      MUST (mkdir (folders[i], 0700));
  }
  /* Both write to the file that is their parameter how they were called. */
  make_file (folders[GOOD], "prog", 0700,
             "#!/bin/sh\nprintf '%s\\n' \"good\" \"$@\" > \"$1\"\n");
  make_file (folders[SCRIPT], "prog", 0700,
             "printf '%s\\n' \"$0\" \"$@\" > \"$1\"\n");
  make_file (folders[PLAIN], "prog", 0600, "#!/bin/sh\n");
  interpreter = temp_path ("no/such/interpreter");
  MUST (asprintf (&path, "#!%s\n", interpreter));
  make_file (folders[NO_INTERPRETER], "prog", 0700, path);
  free (path);
  free (interpreter);
  make_file (temp_dir (), "folder8", 0700, "");
  MUST (asprintf (&path, "%s/prog", folders[FOLDER]));
  MUST (mkdir (path, 0700));
  free (path);
  MUST (asprintf (&path, "%s/prog", folders[DANGLING]));
  MUST (symlink ("nowhere", path));
  free (path);
  MUST (asprintf (&path, "%s/prog", folders[LOOP]));
  MUST (symlink ("prog", path));
  free (path);
}

/* The errno of execvp, or 0. */
static int
exec_error (char **argv)
{
  pid_t pid;
  int status, fds[2], err = 0;

  MUST (pipe2 (fds, O_CLOEXEC));
  pid = fork ();
  MUST (pid);
  if (pid == 0) {
    int null_fd = open ("/dev/null", O_RDWR);

    dup2 (null_fd, 0);
    dup2 (null_fd, 1);
    execvp (argv[0], argv);
    err = errno;
    _exit (write (fds[1], &err, sizeof err) == -1);
  }
  close (fds[1]);
  if (read (fds[0], &err, sizeof err) == -1)
    err = errno;
  close (fds[0]);
  MUST (waitpid (pid, &status, 0));
  return err;
}

static char *
read_file (const char *path)
{
  static char text[4096];
  FILE *fp = fopen (path, "re");

  text[0] = '\0';
  if (fp) {
    text[fread (text, 1, sizeof text - 1, fp)] = '\0';
    fclose (fp);
  }
  return text;
}

/* Waiting for what the library must not collect before nbd_close. */
static bool
wait_for_end (pid_t pid, int *code, int *status)
{
  siginfo_t info = { 0 };

  for (int i = 0; i < PATIENCE; i++) {
    if (waitid (P_PID, pid, &info, WEXITED | WNOWAIT | WNOHANG) == -1)
      return false;
    if (info.si_pid == pid) {
      *code = info.si_code;
      *status = info.si_status;
      return true;
    }
    pause_a_little ();
  }
  return false;
}

/* Our errno, or 0 after the end of the program. */
static int
way_error (const struct way *way, char **argv)
{
  struct nbd_handle *h = new_handle ();
  int err = 0, code, status;

  if (way->connect (h, argv) == -1 && nbd_aio_is_created (h))
    err = nbd_get_errno ();
  else
    MUST_BE (wait_for_end (nbd_get_subprocess_pid (h), &code, &status));
  nbd_close (h);
  return err;
}

static void
check_search (const struct way *way)
{
  char *output = temp_path ("output"), *saved_path = getenv ("PATH");
  char *argv[] = { (char *) "prog", output, (char *) "b c", NULL };
  unsigned differing = 0, nr = 0;

  saved_path = saved_path ? strdup (saved_path) : NULL;
  for (int i = 0; i < NR_FOLDERS; i++)
    for (int j = -1; j < NR_FOLDERS; j++) {
      char *path, ours[4096];
      int err;

      if (j == -1)
        MUST (asprintf (&path, "%s", folders[i]));
      else
        MUST (asprintf (&path, "%s:%s", folders[i], folders[j]));
      setenv ("PATH", path, 1);
      unlink (output);
      err = way_error (way, argv);
      strcpy (ours, read_file (output));
      unlink (output);
      nr++;
      if (err != exec_error (argv) || strcmp (ours, read_file (output)) != 0) {
        note ("PATH=%s: errno %d, execvp %d; ours %s", path, err,
              exec_error (argv), ours);
        differing++;
      }
      free (path);
    }
  is_int (differing, 0, "%s: in %u lists of folders the program is found, or "
          "not, as execvp does it", way->name, nr);

  /* The current folder, by an empty element. */
  {
    static const char *const lists[] = { ":/nowhere", "/nowhere:",
                                         "/nowhere::/nowhere", ":" };
    char folder[PATH_MAX];

    MUST_BE (getcwd (folder, sizeof folder));
    MUST (chdir (folders[GOOD]));
    for (size_t i = 0; i < 4; i++) {
      setenv ("PATH", lists[i], 1);
      unlink (output);
      is_int (way_error (way, argv), 0, "%s: PATH=%s finds it in the current "
              "folder", way->name, lists[i]);
      ok (strncmp (read_file (output), "good\n", 5) == 0,
          "%s: PATH=%s runs it", way->name, lists[i]);
    }
    /* Neither means the current folder. */
    setenv ("PATH", "", 1);
    is_int (way_error (way, argv), ENOENT, "%s: PATH is empty", way->name);
    unsetenv ("PATH");
    is_int (way_error (way, argv), ENOENT, "%s: PATH is not set", way->name);
    MUST (chdir (folder));
  }
  for (int unset = 0; unset < 2; unset++) {
    char *sh[] = { (char *) "sh", (char *) "-c", (char *) "echo $0 > \"$1\"",
                   (char *) "ran", output, NULL };

    if (unset)
      unsetenv ("PATH");
    else
      setenv ("PATH", "", 1);
    unlink (output);
    is_int (way_error (way, sh), 0, "%s: PATH is %s, sh is in /bin", way->name,
            unset ? "not set" : "empty");
    is_str (read_file (output), "ran\n", "%s: it ran", way->name);
  }

  /* With a slash there is no search. */
  {
    char *argv2[] = { (char *) "folder0/prog", output, NULL };
    char folder[PATH_MAX];

    MUST_BE (getcwd (folder, sizeof folder));
    MUST (chdir (temp_dir ()));
    setenv ("PATH", "/nowhere", 1);
    unlink (output);
    is_int (way_error (way, argv2), 0, "%s: a path from the current folder",
            way->name);
    ok (strncmp (read_file (output), "good\n", 5) == 0, "%s: it ran",
        way->name);
    MUST (chdir (folder));
    setenv ("PATH", folders[GOOD], 1);
    MUST_BE (argv2[0] != NULL);
    argv2[0] = (char *) "./prog";
    is_int (way_error (way, argv2), ENOENT, "%s: ./prog is not looked for",
            way->name);
  }

  if (saved_path)
    setenv ("PATH", saved_path, 1);
  free (saved_path);
  unlink (output);
  free (output);
}

/* A script without a first line that names the interpreter. */
static void
check_script (const struct way *way)
{
  char *output = temp_path ("output"), *path, *want;
  char *argv[] = { NULL, output, (char *) "", (char *) "b  c", NULL };

  MUST (asprintf (&path, "%s/prog", folders[SCRIPT]));
  MUST (asprintf (&want, "%s\n%s\n\nb  c\n", path, output));
  argv[0] = path;
  is_int (way_error (way, argv), 0, "%s: a script without #! is run",
          way->name);
  is_str (read_file (output), want, "%s: by the shell, with its parameters",
          way->name);
  unlink (output);
  free (output);
  free (path);
  free (want);
}

static void
refuse_program (const struct way *way, struct nbd_handle *h, const char *path,
                int errnum, const char *what)
{
  char *argv[] = { (char *) path, (char *) "x", NULL };

  is_refused (way, h, argv, errnum, path, what);
}

static void
check_refused (const struct way *way)
{
  static const struct {
    int folder, errnum;
    const char *what;
  } rows[] = {
    { NOTHING, ENOENT, "a file that does not exist" },
    { PLAIN, EACCES, "a file that is not executable" },
    { FOLDER, EACCES, "a folder" },
    { DANGLING, ENOENT, "a symbolic link to nowhere" },
    { NO_INTERPRETER, ENOENT, "a script whose interpreter is missing" },
    { LOOP, ELOOP, "a symbolic link to itself" },
    { A_FILE, ENOTDIR, "a file in a file" },
    { MISSING, ENOENT, "a folder that does not exist" },
  };
  char *empty[] = { NULL }, **argv, *large, *saved_path = getenv ("PATH");
  struct nbd_handle *h = new_handle ();
  pid_t pid;

  refuse_program (way, h, "nosuch", ENOENT, "a program that is not in PATH");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char *path;

    MUST (asprintf (&path, "%s/prog", folders[rows[i].folder]));
    refuse_program (way, h, path, rows[i].errnum, rows[i].what);
    free (path);
  }
  refuse_program (way, h, "", ENOENT, "an empty name");
  large = malloc (8192);
  MUST_BE (large != NULL);
  memset (large, 'x', 8191);
  large[8191] = large[0] = '/';
  large[8191] = '\0';
  is_refused (way, h, (char *[]) { large, NULL }, ENAMETOOLONG, NULL,
              "a path that is too long");
  large[0] = 'x';
  large[300] = '\0';
  is_refused (way, h, (char *[]) { large, NULL }, ENAMETOOLONG, NULL,
              "a name that is too long");
  free (large);

  saved_path = saved_path ? strdup (saved_path) : NULL;
  {
    char *path;

    MUST (asprintf (&path, "%s:%s:%s", folders[NOTHING], folders[PLAIN],
                    folders[MISSING]));
    setenv ("PATH", path, 1);
    free (path);
  }
  refuse_program (way, h, "prog", EACCES,
                  "what may not be run in one folder of PATH and is in no "
                  "later one");
  if (saved_path)
    setenv ("PATH", saved_path, 1);
  free (saved_path);

  is_refused (way, h, empty, EINVAL, "missing command name in argv list",
              "an empty list");
  is_int (way->connect (h, NULL), -1, "%s: NULL is refused", way->name);
  is_int (nbd_get_errno (), EFAULT, "%s: NULL: EFAULT", way->name);
  ok (nbd_get_error () && strstr (nbd_get_error (), "argv"),
      "%s: NULL: the message names the parameter", way->name);
  is_int (nbd_aio_is_created (h), 1, "%s: NULL: the handle is as good as new",
          way->name);

  /* More than a parameter may have, whatever the limits. */
  argv = child_argv ("exit", NULL, NULL);
  free (argv[2]);
  argv[2] = malloc (200000);
  MUST_BE (argv[2] != NULL);
  memset (argv[2], 'x', 199999);
  argv[2][199999] = '\0';
  is_refused (way, h, argv, E2BIG, CHILD, "a parameter that is too long");
  setenv ("LARGE", argv[2], 1);
  free_list (argv);
  argv = child_argv ("exit", NULL);
  is_refused (way, h, argv, E2BIG, CHILD, "an environment that is too large");
  unsetenv ("LARGE");
  free_list (argv);

  /* After all this. */
  argv = child_argv ("serve", NULL);
  is_int (way_connect (way, h, argv), 0, "%s: then it can be connected",
          way->name);
  ok (disk_works (h), "%s: data is written and read", way->name);
  pid = nbd_get_subprocess_pid (h);
  is_int (way->connect (h, argv), -1, "%s: but not twice", way->name);
  is_int (nbd_get_errno (), EINVAL, "%s: because of the state", way->name);
  is_int (nbd_get_subprocess_pid (h), pid, "%s: the process is the first",
          way->name);
  ok (nbd_get_uri (h) == NULL && nbd_get_errno () == EINVAL,
      "%s: it has no URI", way->name);
  nbd_close (h);
  ok (no_children (), "%s: there was only one", way->name);
  free_list (argv);

  /* Another way. */
  h = new_handle ();
  refuse_program (way, h, "nosuch", ENOENT, "a program that does not exist");
  {
    int pair[2];

    MUST (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    is_int (nbd_aio_connect_socket (h, pair[0]), 0,
            "%s: then it can be given a socket", way->name);
    is_int (nbd_get_subprocess_pid (h), -1, "%s: which is no process",
            way->name);
    is_int (nbd_get_errno (), EINVAL, "%s: EINVAL", way->name);
    nbd_close (h);
    close (pair[1]);
  }
}

/* What was tried before leaves no traces. */
static void
check_earlier_attempt (const struct way *way)
{
  struct sockaddr_in addr = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t len = sizeof addr;
  char **argv = child_argv ("serve", NULL), port[16];
  struct nbd_handle *h = new_handle ();
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  pid_t pid;

  /* Bound and not listening, so nobody can be connected to there. */
  MUST (fd);
  MUST (bind (fd, (struct sockaddr *) &addr, sizeof addr));
  MUST (getsockname (fd, (struct sockaddr *) &addr, &len));
  snprintf (port, sizeof port, "%d", ntohs (addr.sin_port));
  is_int (nbd_connect_tcp (h, "127.0.0.1", port), -1,
          "%s: after a host that could not be reached", way->name);
  is_int (nbd_aio_is_created (h), 1, "%s: the handle is as good as new",
          way->name);
  is_int (way_connect (way, h, argv), 0, "%s: and takes a server", way->name);
  ok (nbd_get_uri (h) == NULL && nbd_get_errno () == EINVAL,
      "%s: which has no URI, and not that of the host", way->name);
  nbd_close (h);
  free_list (argv);

  argv = child_argv ("exit", NULL);
  h = new_handle ();
  MUST_BE (nbd_connect_tcp (h, "127.0.0.1", port) == -1);
  is_int (way_connect (way, h, argv), -1, "%s: or one that ends at once",
          way->name);
  is_int (nbd_aio_is_dead (h), 1, "%s: then it is dead, and not as good as "
          "new", way->name);
  pid = nbd_get_subprocess_pid (h);
  ok (pid > 0, "%s: with a process", way->name);
  nbd_close (h);
  ok (is_gone (pid), "%s: that nbd_close collects", way->name);
  close (fd);
  free_list (argv);
}

/* How it ends. */

static void
check_kill (const struct way *way)
{
  static const int signals[] = { 0, SIGTERM, SIGKILL, SIGINT, SIGQUIT };
  char **argv = child_argv ("serve,note,defy", NULL);
  struct nbd_handle *h;
  int code = 0, status = 0;
  pid_t pid;

  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
    char **argv2 = child_argv ("serve,stay", NULL), buf[512];

    h = started (way, argv2);
    pid = nbd_get_subprocess_pid (h);
    is_int (nbd_kill_subprocess (h, signals[i]), 0,
            "%s: nbd_kill_subprocess, signal %d", way->name, signals[i]);
    ok (wait_for_end (pid, &code, &status), "%s: signal %d ends it", way->name,
        signals[i]);
    ok (code == CLD_KILLED || code == CLD_DUMPED, "%s: it was killed",
        way->name);
    is_int (status, signals[i] ? signals[i] : SIGTERM, "%s: by that signal",
            way->name);
    is_int (nbd_get_subprocess_pid (h), pid, "%s: it keeps its number",
            way->name);
    is_int (nbd_kill_subprocess (h, 0), 0,
            "%s: a process that has ended can be sent a signal", way->name);
    is_int (nbd_pread (h, buf, sizeof buf, 0, 0), -1,
            "%s: its connection is lost", way->name);
    nbd_close (h);
    ok (is_gone (pid), "%s: nbd_close collects it", way->name);
    free_list (argv2);
  }

  h = new_handle ();
  is_int (nbd_kill_subprocess (h, 0), -1, "a new handle has none to kill");
  is_int (nbd_get_errno (), ESRCH, "a new handle: ESRCH");
  is_int (nbd_get_subprocess_pid (h), -1, "a new handle has no process");
  is_int (nbd_get_errno (), EINVAL, "a new handle: EINVAL");
  MUST (way_connect (way, h, argv));
  is_int (nbd_kill_subprocess (h, SIGUSR1), 0, "%s: SIGUSR1", way->name);
  ok (report_gets (argv, "signal=USR1"), "%s: arrives", way->name);
  is_int (nbd_kill_subprocess (h, SIGHUP), 0, "%s: SIGHUP", way->name);
  ok (report_gets (argv, "signal=HUP"), "%s: arrives", way->name);
  is_int (nbd_kill_subprocess (h, 0), 0, "%s: 0", way->name);
  ok (report_gets (argv, "signal=TERM"), "%s: is SIGTERM", way->name);
  for (int i = 0; i < 4; i++) {
    const int wrong[] = { -1, -SIGTERM, INT_MIN, SIGRTMAX + 1 };

    is_int (nbd_kill_subprocess (h, wrong[i]), -1,
            "%s: there is no signal %d", way->name, wrong[i]);
    is_int (nbd_get_errno (), EINVAL, "%s: EINVAL", way->name);
    ok (strncmp (nbd_get_error (), "nbd_kill_subprocess: ", 21) == 0,
        "%s: the message names the function", way->name);
  }
  ok (disk_works (h), "%s: the connection is as it was", way->name);
  MUST (nbd_kill_subprocess (h, SIGKILL));
  nbd_close (h);
  free_list (argv);
}

/* A process of another user. */
static void
check_foreign (const struct way *way)
{
  char name[128], **argv = child_argv ("serve", NULL);
  int status = -1, fds[2], results[3] = { 0 };
  pid_t pid;

  snprintf (name, sizeof name, "%s: a server of another user: EPERM",
            way->name);
  if (getuid () != 0) {
    skip_case (name, "only root can become another user");
    free_list (argv);
    return;
  }
  MUST (pipe2 (fds, O_CLOEXEC));
  pid = fork ();
  MUST (pid);
  if (pid == 0) {
    struct nbd_handle *h = nbd_create ();

    if (way_connect (way, h, argv) == -1 || setuid (65534) == -1)
      _exit (1);
    results[0] = nbd_kill_subprocess (h, SIGTERM);
    results[1] = nbd_get_errno ();
    results[2] = disk_works (h);
    nbd_shutdown (h, 0);
    nbd_close (h);
    _exit (write (fds[1], results, sizeof results) == -1);
  }
  close (fds[1]);
  MUST_BE (read (fds[0], results, sizeof results) == sizeof results);
  close (fds[0]);
  MUST (waitpid (pid, &status, 0));
  is_int (results[0], -1, "%s: a server of another user gets no signal",
          way->name);
  is_int (results[1], EPERM, "%s", name);
  is_int (results[2], 1, "%s: it goes on", way->name);
  is_int (status, 0, "%s: nbd_close comes back", way->name);
  free_list (argv);
}

struct reader_thread {
  struct nbd_handle *h;
  int result;
};

static void *
read_something (void *arg)
{
  struct reader_thread *t = arg;
  char buf[512];

  t->result = nbd_pread (t->h, buf, sizeof buf, 0, 0);
  return NULL;
}

/* A thread that waits for a server that does not answer is freed by kill. */
static void
check_frozen (const struct way *way)
{
  char **argv = child_argv ("serve,frozen", NULL);
  struct reader_thread t = { .h = started (way, argv) };
  pid_t pid = nbd_get_subprocess_pid (t.h);
  pthread_t thread;

  MUST_BE (pthread_create (&thread, NULL, read_something, &t) == 0);
  is_int (kill (pid, SIGKILL), 0, "%s: another thread kills the server",
          way->name);
  MUST_BE (pthread_join (thread, NULL) == 0);
  is_int (t.result, -1, "%s: who waits for an answer is told", way->name);
  nbd_close (t.h);
  ok (is_gone (pid), "%s: the server is collected", way->name);
  free_list (argv);
}

static atomic_int nr_sigchld;

static void
on_child (int sig)
{
  (void) sig;
  nr_sigchld++;
}

static void
collect_all (int sig)
{
  int err = errno;

  (void) sig;
  while (waitpid (-1, NULL, WNOHANG) > 0)
    ;
  errno = err;
}

/* What the program does with SIGCHLD. */
static void
check_sigchld (const struct way *way)
{
  static const struct {
    void (*handler) (int sig);
    int flags;
    const char *what;
  } rows[] = {
    { on_child, 0, "SIGCHLD is caught" },
    { SIG_IGN, 0, "SIGCHLD is ignored" },
    { on_child, SA_NOCLDWAIT, "children become no zombies" },
    { collect_all, SA_RESTART, "the program collects all its children" },
  };

  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    /* Ended before nbd_close, or not; executed, or not. */
    for (int round = 0; round < 3; round++) {
      static const char *const rounds[] = {
        "the server runs", "the server has ended", "there is no server"
      };
      struct sigaction old;
      struct nbd_handle *h = new_handle ();
      char **argv = child_argv ("serve", NULL), what[128];
      pid_t pid = 0;

      snprintf (what, sizeof what, "%s: %s, %s", way->name, rows[i].what,
                rounds[round]);
      nr_sigchld = 0;
      MUST (sigaction (SIGCHLD,
                       &(struct sigaction) { .sa_handler = rows[i].handler,
                                             .sa_flags = rows[i].flags },
                       &old));
      if (round == 2) {
        char *nosuch[] = { (char *) "nosuch", NULL };

        is_int (way->connect (h, nosuch), -1, "%s: it fails", what);
        is_int (nbd_get_errno (), ENOENT, "%s: ENOENT", what);
        is_int (nbd_aio_is_created (h), 1, "%s: as good as new", what);
        nbd_close (h);
        ok (no_children (), "%s: nothing is left", what);
      }
      else {
        is_int (way_connect (way, h, argv), 0, "%s: it works", what);
        ok (disk_works (h), "%s: with data", what);
        pid = nbd_get_subprocess_pid (h);
        if (round == 1) {
          MUST (nbd_kill_subprocess (h, SIGKILL));
          for (int n = 0; n < PATIENCE; n++) {
            siginfo_t info = { 0 };

            if (waitid (P_PID, pid, &info,
                        WEXITED | WNOHANG | WNOWAIT) == -1 ||
                info.si_pid == pid)
              break;
            pause_a_little ();
          }
          if (i > 0) {
            /* The program has collected it, in whatever way. */
            if (rows[i].handler == collect_all)
              for (int n = 0; n < PATIENCE && !is_gone (pid); n++)
                pause_a_little ();
            is_int (nbd_kill_subprocess (h, 0), -1,
                    "%s: it cannot be killed", what);
            is_int (nbd_get_errno (), ESRCH, "%s: ESRCH", what);
          }
        }
        nbd_close (h);
        ok (is_gone (pid), "%s: nbd_close comes back and it is gone", what);
        if (rows[i].handler == on_child && i == 0)
          is_int (nr_sigchld, 1, "%s: the program gets the signal", what);
      }
      MUST (sigaction (SIGCHLD, &old, NULL));
      free_list (argv);
    }
}

static atomic_bool collector_done;

static void *
collector (void *arg)
{
  (void) arg;
  while (!collector_done)
    if (waitpid (-1, NULL, 0) == -1)
      pause_a_little ();
  return NULL;
}

/* A thread that is always first. */
static void
check_collector (const struct way *way)
{
  unsigned good = 0, refused = 0, left = 0;
  pthread_t thread;

  collector_done = false;
  MUST_BE (pthread_create (&thread, NULL, collector, NULL) == 0);
  for (int i = 0; i < 20; i++) {
    char **argv = child_argv ("serve", NULL);
    char *nosuch[] = { (char *) "nosuch", NULL };
    struct nbd_handle *h = new_handle ();
    pid_t pid;

    refused += way->connect (h, nosuch) == -1 &&
      nbd_get_errno () == ENOENT && nbd_aio_is_created (h) == 1;
    good += way_connect (way, h, argv) == 0 && disk_works (h);
    pid = nbd_get_subprocess_pid (h);
    nbd_close (h);
    left += !is_gone (pid);
    unlink (argv[1]);
    free_list (argv);
  }
  collector_done = true;
  MUST_BE (pthread_join (thread, NULL) == 0);
  is_int (refused, 20, "%s: a thread that collects all children does not hide "
          "why a program cannot be run", way->name);
  is_int (good, 20, "%s: nor stop one that can", way->name);
  is_int (left, 0, "%s: nor nbd_close", way->name);
}

/* Many at the same time, closed in another order. */
static void
check_many (const struct way *way)
{
  enum { NR = 40 };
  struct nbd_handle *h[NR];
  pid_t pids[NR];
  unsigned working = 0, gone = 0, alive = 0;
  char **argv[NR];

  for (int i = 0; i < NR; i++) {
    argv[i] = child_argv ("serve", NULL);
    h[i] = started (way, argv[i]);
    pids[i] = nbd_get_subprocess_pid (h[i]);
  }
  for (int i = 0; i < NR; i++)
    working += disk_works (h[i]);
  is_int (working, NR, "%s: %d at a time work", way->name, NR);
  for (int i = 0; i < NR; i++) {
    int n = i * 7 % NR;

    nbd_close (h[n]);
    gone += is_gone (pids[n]);
    h[n] = NULL;
    for (int j = 0; j < NR; j++)
      if (h[j])
        alive += kill (pids[j], 0) == 0;
    unlink (argv[n][1]);
    free_list (argv[n]);
  }
  is_int (gone, NR, "%s: each of them is gone when its handle is closed",
          way->name);
  is_int (alive, NR * (NR - 1) / 2, "%s: and none of the others", way->name);
  ok (no_children (), "%s: nothing is left of %d", way->name, NR);
}

/* Closed at once, in whatever state the negotiation is. */
static void
check_close_early (const struct way *way)
{
  static const char *const behaviours[] = {
    "mute", "serve", "exit", "hang-up", "garbage", "refuse"
  };
  unsigned left = 0;

  if (!way->async)
    return;
  for (int i = 0; i < 6; i++)
    for (int n = 0; n < 5; n++) {
      char **argv = child_argv (behaviours[i], NULL);
      struct nbd_handle *h = new_handle ();
      pid_t pid;

      /* One that hangs up and goes on is told to end. */
      way->connect (h, argv);
      pid = nbd_get_subprocess_pid (h);
      MUST (pid);
      if (i == 3)
        MUST (nbd_kill_subprocess (h, 0));
      nbd_close (h);
      left += !is_gone (pid);
      unlink (argv[1]);
      free_list (argv);
    }
  is_int (left, 0, "%s: closed at once, whatever the server is about",
          way->name);
  ok (no_children (), "%s: nothing is left then", way->name);
}

void
check_spawned (const struct way *ways, size_t nr_ways)
{
  char *path = getenv ("PATH") ? strdup (getenv ("PATH")) : NULL;

  program = getpid ();
  /* Without folders that cannot be looked into, where anything may be. */
  setenv ("PATH", "/usr/bin:/bin", 1);
  /* What make leaves open is not to be mistaken for ours. */
  for (int fd = 3; fd < MAX_FDS; fd++)
    fcntl (fd, F_SETFD, FD_CLOEXEC);
  make_folders ();
  MUST_BE (no_children ());
  for (size_t i = 0; i < nr_ways; i++) {
    const struct way *way = &ways[i];

    check_arguments (way);
    check_environment (way);
    check_surroundings (way);
    check_standard_descriptors (way);
    check_inherited (way);
    check_few_descriptors (way);
    check_signals (way);
    check_handlers (way);
    check_refused (way);
    check_earlier_attempt (way);
    check_script (way);
    check_search (way);
    check_kill (way);
    check_foreign (way);
    check_frozen (way);
    check_sigchld (way);
    check_collector (way);
    check_many (way);
    check_close_early (way);
  }
  check_threads (ways, nr_ways);
  if (path)
    setenv ("PATH", path, 1);
  free (path);
  for (int i = 0; i < NR_FOLDERS; i++)
    free (folders[i]);
}
