/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Running a server as a subprocess: starting it, signalling it, and reaping it
 * without waiting forever.  Who connects to it is in connect-command.c.
 *
 * Between fork and exec only async-signal-safe calls are made, so everything
 * that the child needs is laid out before the fork.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* How long it has to end by itself, after SIGTERM, and after SIGKILL. */
#define GRACE_MS 10000
#define TERM_MS 2000
#define KILL_MS 2000

/* Where the shell looks when PATH is not set. */
#define DEFAULT_PATH "/bin:/usr/bin"

/* The first descriptor that socket activation passes. */
#define LISTEN_FD 3

/* What the child needs. */
struct plan {
  char **paths;                 /* files to be tried, in the order of PATH */
  char **argv;
  char **shell_argv;            /* for a script without an interpreter */
  char **envp;
  char *listen_pid;             /* where in ENVP its pid goes, or NULL */
  const struct spawn *spawn;
  int error_fd;
  sigset_t mask;                /* of the calling thread */
};

static void
free_strings (char **list)
{
  for (size_t i = 0; list && list[i]; i++)
    free (list[i]);
  free (list);
}

/* All of what may be executed as NAME, as execvp (3) would look for it. */
static char **
candidate_paths (const char *name)
{
  const char *path = getenv ("PATH"), *p;
  size_t n = 2, i = 0;
  char **list;

  if (path == NULL || *path == '\0')
    path = DEFAULT_PATH;
  for (p = path; *p; p++)
    n += *p == ':';
  list = calloc (n + 1, sizeof *list);
  if (list == NULL)
    return NULL;
  if (strchr (name, '/') || *name == '\0') {
    list[0] = strdup (name);
    if (list[0])
      return list;
  }
  else
    for (p = path; ; ) {
      size_t length = strcspn (p, ":");

      if (asprintf (&list[i], "%.*s%s%s", (int) length, p, length ? "/" : "",
                    name) == -1) {
        list[i] = NULL;
        break;
      }
      i++;
      if (p[length] == '\0')
        return list;
      p += length + 1;
    }
  free_strings (list);
  errno = ENOMEM;
  return NULL;
}

/* FD, which may be one of those that the server is given, out of their way. */
static bool
move_away (int *fd)
{
  if (*fd < 0)
    return true;
  *fd = fcntl (*fd, F_DUPFD_CLOEXEC, LISTEN_FD + 1);
  return *fd >= 0;
}

/* As exec does it, but now: a handler of the program must not run in the child
 * when signals that are pending are let through.
 */
static void
reset_signals (const sigset_t *mask)
{
  struct sigaction action;

  for (int i = 1; i < NSIG; i++)
    if (sigaction (i, NULL, &action) == 0 && action.sa_handler != SIG_IGN &&
        action.sa_handler != SIG_DFL)
      signal (i, SIG_DFL);
  signal (SIGPIPE, SIG_DFL);    /* programs that ignore it mean themselves */
  sigprocmask (SIG_SETMASK, mask, NULL);
}

/* The child, from here to the exec or the end. */
static void __attribute__ ((noreturn))
child (struct plan *plan)
{
  const struct spawn *s = plan->spawn;
  int stdio_fd = s->stdio_fd, null_fd = s->null_fd, listen_fd = s->listen_fd;
  int err = 0;
  bool denied = false;

  if (!move_away (&stdio_fd) || !move_away (&null_fd) ||
      !move_away (&listen_fd) ||
      (stdio_fd >= 0 && (dup2 (stdio_fd, STDIN_FILENO) == -1 ||
                         dup2 (stdio_fd, STDOUT_FILENO) == -1)) ||
      (null_fd >= 0 && dup2 (null_fd, STDIN_FILENO) == -1) ||
      (listen_fd >= 0 && dup2 (listen_fd, LISTEN_FD) == -1))
    err = errno;
  if (plan->listen_pid) {
    unsigned long pid = getpid ();
    char digits[24];
    size_t n = 0;

    do
      digits[n++] = '0' + pid % 10;
    while ((pid /= 10) > 0);
    for (char *p = plan->listen_pid; n > 0; )
      *p++ = digits[--n];
  }
  reset_signals (&plan->mask);

  for (size_t i = 0; err == 0 && plan->paths[i]; i++) {
    execve (plan->paths[i], plan->argv, plan->envp);
    if (errno == ENOEXEC) {
      plan->shell_argv[1] = plan->paths[i];
      execve ("/bin/sh", plan->shell_argv, plan->envp);
    }
    /* As execvp (3): what exists but may not be run is told last. */
    denied |= errno == EACCES;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
      err = errno;
  }
  if (err == 0)
    err = denied ? EACCES : errno;
  if (write (plan->error_fd, &err, sizeof err) == -1)
    _exit (127);
  _exit (126);
}

/* The environment, with the variables of socket activation if LISTEN. */
static char **
build_environment (const struct spawn *s, char **listen_pid)
{
  extern char **environ;
  size_t n = 0, j = 0;
  char **envp;

  while (environ && environ[n])
    n++;
  envp = calloc (n + 4, sizeof *envp);
  if (envp == NULL)
    return NULL;
  *listen_pid = NULL;
  if (s->listen_fd >= 0) {
    /* The pid is known in the child only: room for its digits and the NUL. */
    envp[j] = calloc (1, sizeof "LISTEN_PID=" + 24);
    if (envp[j]) {
      strcpy (envp[j], "LISTEN_PID=");
      *listen_pid = envp[j] + strlen (envp[j]);
      j++;
    }
    envp[j] = strdup ("LISTEN_FDS=1");
    j += envp[j] != NULL;
    if (asprintf (&envp[j], "LISTEN_FDNAMES=%s", s->listen_name) == -1)
      envp[j] = NULL;
    j += envp[j] != NULL;
    if (j < 3) {
      free_strings (envp);
      return NULL;
    }
  }
  for (size_t i = 0; i < n; i++) {
    if (s->listen_fd >= 0 && strncmp (environ[i], "LISTEN_", 7) == 0)
      continue;
    envp[j] = strdup (environ[i]);
    if (envp[j] == NULL) {
      free_strings (envp);
      return NULL;
    }
    j++;
  }
  return envp;
}

static size_t
count_strings (char **list)
{
  size_t n = 0;

  while (list[n])
    n++;
  return n;
}

/* Everything but the fork. */
static int
make_plan (struct plan *plan, const struct spawn *s)
{
  size_t argc = count_strings (s->argv);

  *plan = (struct plan) { .spawn = s, .argv = s->argv };
  plan->paths = candidate_paths (s->argv[0]);
  plan->envp = build_environment (s, &plan->listen_pid);
  plan->shell_argv = calloc (argc + 2, sizeof *plan->shell_argv);
  if (!plan->paths || !plan->envp || !plan->shell_argv)
    return -1;
  plan->shell_argv[0] = (char *) "sh";
  for (size_t i = 1; i < argc; i++)
    plan->shell_argv[i + 1] = s->argv[i];
  return 0;
}

static void
free_plan (struct plan *plan)
{
  free_strings (plan->paths);
  free_strings (plan->envp);
  free (plan->shell_argv);
}

/* The pipe through which the child tells why the exec failed.  Its end in the
 * child is out of the way of the descriptors that the server is given.
 */
static int
error_pipe (int fds[2])
{
  int high;

  if (pipe2 (fds, O_CLOEXEC) == -1)
    return -1;
  high = fcntl (fds[1], F_DUPFD_CLOEXEC, LISTEN_FD + 1);
  close (fds[1]);
  if (high == -1) {
    close (fds[0]);
    return -1;
  }
  fds[1] = high;
  return 0;
}

int
subprocess_start (struct nbd_handle *h, const struct spawn *s)
{
  struct plan plan;
  int fds[2], err = 0;
  sigset_t all;
  ssize_t r;
  pid_t pid;

  if (s->argv[0] == NULL) {
    error_set (h, EINVAL, "missing command name in argv list");
    return -1;
  }
  if (make_plan (&plan, s) == -1 || error_pipe (fds) == -1) {
    error_set (h, errno, "%s", s->argv[0]);
    free_plan (&plan);
    return -1;
  }
  plan.error_fd = fds[1];

  /* No handler of this process runs in the child. */
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &plan.mask);
  pid = fork ();
  err = errno;
  if (pid == 0)
    child (&plan);
  pthread_sigmask (SIG_SETMASK, &plan.mask, NULL);
  close (fds[1]);
  free_plan (&plan);
  if (pid == -1) {
    close (fds[0]);
    error_set (h, err, "fork");
    return -1;
  }

  /* The pipe closes when the exec succeeds. */
  do
    r = read (fds[0], &err, sizeof err);
  while (r == -1 && errno == EINTR);
  close (fds[0]);
  if (r != 0) {
    if (r != sizeof err)
      err = EIO;
    while (waitpid (pid, NULL, 0) == -1 && errno == EINTR)
      ;
    error_set (h, err, "%s", s->argv[0]);
    return -1;
  }
  h->pid = pid;
  h->pid_lingers = s->listen_fd >= 0;
  debug (h, "started %s as process %ld", s->argv[0], (long) pid);
  return 0;
}

/* Wait up to MS milliseconds by the clock, since signals of the program may
 * cut the sleep short.  True if it is gone.
 */
static bool
reap (pid_t pid, int ms)
{
  const int64_t end = milliseconds () + ms;
  int64_t pause = 1, left;

  for (;;) {
    pid_t r = waitpid (pid, NULL, WNOHANG);
    struct timespec t = { 0 };

    /* ECHILD: the program reaps all its children itself. */
    if (r == pid || (r == -1 && errno != EINTR))
      return true;
    left = end - milliseconds ();
    if (left <= 0)
      return false;
    t.tv_nsec = MIN (pause, left) * 1000000;
    nanosleep (&t, NULL);
    if (pause < 50)
      pause *= 2;
  }
}

void
subprocess_end (struct nbd_handle *h)
{
  if (h->pid <= 0)
    return;
  /* A server with a listening socket would wait for the next client, and ssh
   * for what it runs.  It is looked at first all the same: if the program has
   * reaped it, the number may be that of another process.
   */
  if (!reap (h->pid, h->pid_lingers ? 0 : GRACE_MS)) {
    debug (h, "process %ld: SIGTERM", (long) h->pid);
    kill (h->pid, SIGTERM);
    if (!reap (h->pid, h->pid_lingers ? GRACE_MS : TERM_MS)) {
      debug (h, "process %ld does not end: SIGKILL", (long) h->pid);
      kill (h->pid, SIGKILL);
      /* It may be another user's, or stuck in the kernel. */
      if (!reap (h->pid, KILL_MS))
        debug (h, "process %ld is left behind", (long) h->pid);
    }
  }
  h->pid = 0;
}

int
api_kill_subprocess (struct nbd_handle *h, int signum)
{
  if (h->pid <= 0) {
    error_set (h, ESRCH, "no subprocess exists");
    return -1;
  }
  if (signum < 0) {
    error_set (h, EINVAL, "invalid signal number: %d", signum);
    return -1;
  }
  if (kill (h->pid, signum ? signum : SIGTERM) == -1) {
    error_set (h, errno, "kill");
    return -1;
  }
  return 0;
}

int64_t
api_get_subprocess_pid (struct nbd_handle *h)
{
  if (h->pid <= 0) {
    error_set (h, EINVAL, "no subprocess exists");
    return -1;
  }
  return h->pid;
}
