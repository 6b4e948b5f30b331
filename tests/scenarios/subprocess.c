/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* This program as the server that the library starts.  It writes what it was
 * given, and then what it was sent, into a file in the folder of the scenario.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "scenario.h"

#define LOG "server.log"

static FILE *log_file;
static volatile int last_signal;

static void
remember_signal (int signum)
{
  last_signal = signum;
}

/* What a descriptor is. */
static void
describe_fd (int fd)
{
  struct stat st, other;
  int listens = 0;
  socklen_t len = sizeof listens;

  fprintf (log_file, "descriptor %d: ", fd);
  if (fstat (fd, &st) == -1)
    fprintf (log_file, "closed");
  else if (S_ISSOCK (st.st_mode)) {
    getsockopt (fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
    fprintf (log_file, "a socket%s%s", listens ? " that listens" : "",
             fcntl (fd, F_GETFL) & O_NONBLOCK ? ", does not block" : "");
    if (fd == 1 && fstat (0, &other) == 0 && st.st_ino == other.st_ino)
      fprintf (log_file, ", the same as 0");
  }
  else if (S_ISCHR (st.st_mode) && st.st_rdev == makedev (1, 3))
    fprintf (log_file, "/dev/null");
  else
    fprintf (log_file, "a file");
  fprintf (log_file, "\n");
}

/* Sockets that it was not given. */
static void
describe_others (int from)
{
  struct stat st;
  int n = 0;

  for (int fd = from; fd < 256; fd++)
    n += fstat (fd, &st) == 0 && S_ISSOCK (st.st_mode);
  fprintf (log_file, "other sockets: %d\n", n);
}

static void
describe_signal (const char *name, int signum)
{
  struct sigaction action;
  sigset_t mask;

  sigprocmask (SIG_SETMASK, NULL, &mask);
  sigaction (signum, NULL, &action);
  fprintf (log_file, "%s: %s%s\n", name,
           action.sa_handler == SIG_IGN ? "ignored" :
           action.sa_handler == SIG_DFL ? "default" : "caught",
           sigismember (&mask, signum) ? ", blocked" : "");
}

static void
describe_environment (void)
{
  const char *pid = getenv ("LISTEN_PID"), *fds = getenv ("LISTEN_FDS");
  const char *names = getenv ("LISTEN_FDNAMES"), *own = getenv ("SCENARIO");

  fprintf (log_file, "LISTEN_PID: %s\n", pid == NULL ? "none" :
           atoi (pid) == getpid () ? "its own" : "another's");
  fprintf (log_file, "LISTEN_FDS: %s\n", fds ? fds : "none");
  fprintf (log_file, "LISTEN_FDNAMES: %s\n", names ? names : "none");
  fprintf (log_file, "SCENARIO: %s\n", own ? own : "none");
}

/* Where the socket of FD listens. */
static void
remember_listener (int fd)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  socklen_t len = sizeof addr;
  FILE *fp;

  if (getsockname (fd, (struct sockaddr *) &addr, &len) == -1 ||
      addr.sun_family != AF_UNIX)
    return;
  fprintf (log_file, "the socket is below /tmp: %d\n",
           strncmp (addr.sun_path, "/tmp/", 5) == 0);
  fp = fopen ("socket.path", "w");
  fprintf (fp, "%s\n", addr.sun_path);
  fclose (fp);
}

static void
serve_one (int fd)
{
  static const struct step steps[] = {
    SEND (GREETING), QUIET (CLIENT_FLAGS), SERVE, { STEP_END, NULL }
  };
  static const struct step silent[] = { { STEP_END, NULL } };

  peer_end (peer_attach (getenv ("SILENT") ? silent : steps, fd, getppid ()));
}

static void
accept_and_serve (int listener)
{
  int fd;

  do
    fd = accept (listener, NULL, NULL);
  while (fd == -1 && errno == EINTR);
  if (fd == -1)
    printf ("accept: %s\n", strerror (errno));
  else
    serve_one (fd);
}

/* With a program name, a role, and parameters. */
int
subprocess_main (int argc, char **argv)
{
  bool activated = strcmp (argv[2], "activated") == 0;
  int fd = open (LOG ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  int out = fcntl (fd, F_DUPFD_CLOEXEC, 10);
  struct sigaction action = { .sa_handler = remember_signal,
                              .sa_flags = SA_RESTART };

  close (fd);
  log_file = fdopen (out, "w");
  if (log_file == NULL)
    return 1;
  for (int i = 3; i < argc; i++)
    fprintf (log_file, "parameter %d: '%s'\n", i - 2, argv[i]);
  for (fd = 0; fd <= (activated ? 3 : 2); fd++)
    describe_fd (fd);
  describe_others (fd);
  describe_signal ("SIGPIPE", SIGPIPE);
  describe_signal ("SIGUSR1", SIGUSR1);
  describe_signal ("SIGUSR2", SIGUSR2);
  describe_environment ();
  if (activated)
    remember_listener (3);
  fflush (log_file);

  /* The rest goes to the same file, and the socket is 0 only. */
  dup2 (out, 1);
  sigaction (SIGUSR1, &action, NULL);
  sigaction (SIGTERM, &action, NULL);
  if (activated)
    accept_and_serve (3);
  else
    serve_one (0);
  if (last_signal && !activated)
    printf ("signal %d came\n", last_signal);
  fclose (log_file);
  if (fflush (stdout) == EOF || rename (LOG ".new", LOG) == -1)
    return 1;
  return 0;
}

void
show_server (void)
{
  char line[1024];
  FILE *fp = fopen (LOG, "r");

  say ("the server:");
  if (fp == NULL) {
    say ("  said nothing");
    return;
  }
  while (fgets (line, sizeof line, fp)) {
    line[strcspn (line, "\n")] = '\0';
    say ("  %s", line);
  }
  fclose (fp);
  remove (LOG);
}
