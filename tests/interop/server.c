/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

/* A program that hangs is ended after this many seconds. */
#define WATCHDOG 180

/* A server that ignores SIGTERM for so many milliseconds is killed. */
#define PATIENCE 30000

#define MAX_ARGS 32

/* What the keeper is told.  When the other end is closed it stops the server.
 */
#define FREEZE 'F'
#define KILL 'K'

/* How the keeper ends. */
enum {
  KEEPER_GOOD,
  KEEPER_EARLY,                 /* the server ended before it was told to */
  KEEPER_KILLED,                /* it was told to kill the server */
  KEEPER_HUNG,                  /* it had to kill the server */
  KEEPER_CRASHED,               /* the server ended by another signal */
  KEEPER_FAILED,                /* the server ended with an error */
};

struct server {
  struct server *next;          /* that was started before */
  const char *program;
  enum server_transport transport;
  struct sockaddr_storage addr;
  socklen_t addr_len;
  char *path, *port;
  const char *export_name;      /* for server_connect; NULL: the handle's */
  char *log;                    /* what it printed */
  pid_t keeper;                 /* 0: ended */
  int control;                  /* of the keeper; closed: stop the server */
  int status;                   /* with which the keeper ended */
};

static unsigned nr_servers;
static struct server *running;

static void
print_log (const struct server *s)
{
  char line[512];
  FILE *fp = fopen (s->log, "re");

  while (fp && fgets (line, sizeof line, fp)) {
    line[strcspn (line, "\n")] = '\0';
    note ("%s: %s", s->program, line);
  }
  if (fp)
    fclose (fp);
}

void
must (bool good, const char *what, const char *file, int line)
{
  if (good)
    return;
  ok (false, "%s (%s:%d)", what, file, line);
  note ("%s", nbd_get_error () ? nbd_get_error () : strerror (errno));
  for (const struct server *s = running; s; s = s->next)
    print_log (s);
  printf ("Bail out!\n");
  exit (1);
}

static void *
checked (void *p)
{
  MUST_BE (p != NULL);
  return p;
}

static void
collect (const char *args[MAX_ARGS], const char *program, va_list ap)
{
  size_t n = 0;

  for (const char *arg = program; arg; arg = va_arg (ap, const char *)) {
    MUST_BE (n < MAX_ARGS - 1);
    args[n++] = arg;
  }
  args[n] = NULL;
}

/* In a child: become the program, with its output in a file. */
static void __attribute__ ((noreturn))
become (const char *const *args, const char *output)
{
  int in = open ("/dev/null", O_RDONLY);
  int out = open (output ? output : "/dev/null",
                  O_WRONLY | O_CREAT | O_APPEND, 0600);

  dup2 (in, 0);
  dup2 (out, 1);
  dup2 (out, 2);
  close (in);
  close (out);
  /* What it leaves in its temporary folder is removed with ours. */
  setenv ("TMPDIR", temp_dir (), 1);
  execvp (args[0], (char **) args);
  _exit (errno == ENOENT ? 127 : 126);
}

static int
wait_for (pid_t pid)
{
  int status = 0;

  while (waitpid (pid, &status, 0) == -1)
    MUST_BE (errno == EINTR);
  return status;
}

static int
run (const char *output, const char *const *args)
{
  pid_t pid = fork ();

  MUST_BE (pid != -1);
  if (pid == 0)
    become (args, output);
  return wait_for (pid);
}

bool
run_command (const char *file, const char *program, ...)
{
  const char *args[MAX_ARGS];
  va_list ap;

  va_start (ap, program);
  collect (args, program, ap);
  va_end (ap);
  return run (file, args) == 0;
}

void
server_require (const char *program, ...)
{
  const char *args[MAX_ARGS];
  char why[256];
  va_list ap;
  int status;

  va_start (ap, program);
  collect (args, program, ap);
  va_end (ap);
  temp_dir ();                  /* made by us and not by the child */
  status = run (NULL, args);
  if (status == 0)
    return;
  if (WIFEXITED (status) && WEXITSTATUS (status) == 127)
    snprintf (why, sizeof why, "%s is not installed", program);
  else
    snprintf (why, sizeof why, "%s %s %s does not work", program,
              args[1] ? args[1] : "", args[1] && args[2] ? args[2] : "");
  skip_all (why);
}

/* Sockets that listen, or only hold a port. */

static void
make_address (struct server *s)
{
  memset (&s->addr, 0, sizeof s->addr);
  switch (s->transport) {
  case SERVER_UNIX: {
    struct sockaddr_un *un = (struct sockaddr_un *) &s->addr;
    char name[32];

    snprintf (name, sizeof name, "sock%u", nr_servers);
    s->path = temp_path (name);
    un->sun_family = AF_UNIX;
    strncpy (un->sun_path, s->path, sizeof un->sun_path - 1);
    s->addr_len = sizeof *un;
    break;
  }
  case SERVER_IPV4: {
    struct sockaddr_in *in = (struct sockaddr_in *) &s->addr;

    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    s->addr_len = sizeof *in;
    break;
  }
  case SERVER_IPV6: {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) &s->addr;

    in6->sin6_family = AF_INET6;
    in6->sin6_addr = in6addr_loopback;
    s->addr_len = sizeof *in6;
    break;
  }
  }
}

/* A socket bound to the address; the system chooses the port. */
static int
bind_address (struct server *s)
{
  const int on = 1;
  in_port_t port;
  int fd = socket (s->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

  MUST (fd);
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  MUST (bind (fd, (struct sockaddr *) &s->addr, s->addr_len));
  if (s->transport == SERVER_UNIX)
    return fd;
  MUST (getsockname (fd, (struct sockaddr *) &s->addr, &s->addr_len));
  port = s->transport == SERVER_IPV4
    ? ((struct sockaddr_in *) &s->addr)->sin_port
    : ((struct sockaddr_in6 *) &s->addr)->sin6_port;
  MUST (asprintf (&s->port, "%u", ntohs (port)));
  return fd;
}

/* The keeper. */

struct launch {
  const char *const *args;
  const char *log;
  const char *pid_file;         /* of a server that makes itself a daemon */
  int listen_fd;                /* passed to the server, or -1 */
};

/* Start the server.  It gets a process group, to which whatever it starts
 * belongs, and dies with the keeper.
 */
static pid_t
spawn (const struct launch *l)
{
  pid_t keeper = getpid (), pid = fork ();
  char number[16];
  sigset_t none;

  if (pid != 0)
    return pid;
  setpgid (0, 0);
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != keeper)
    _exit (1);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  for (int sig = 1; sig < 32; sig++)
    signal (sig, SIG_DFL);
  if (l->listen_fd != -1) {
    snprintf (number, sizeof number, "%d", getpid ());
    setenv ("LISTEN_PID", number, 1);
    setenv ("LISTEN_FDS", "1", 1);
    /* Even if it has that number already, it must stay open. */
    if (l->listen_fd == 3)
      fcntl (3, F_SETFD, 0);
    else
      dup2 (l->listen_fd, 3);
  }
  become (l->args, l->log);
}

/* The process group of the server. */
static pid_t
server_group (const struct launch *l, pid_t pid)
{
  FILE *fp = l->pid_file ? fopen (l->pid_file, "r") : NULL;
  int n;

  if (fp) {
    if (fscanf (fp, "%d", &n) == 1 && n > 1)
      pid = n;
    fclose (fp);
  }
  return pid;
}

/* How the server ended, from its status. */
static int
judge (int status)
{
  if (WIFSIGNALED (status) && WTERMSIG (status) != SIGTERM)
    return KEEPER_CRASHED;
  if (WIFEXITED (status) && WEXITSTATUS (status) != 0)
    return KEEPER_FAILED;
  return KEEPER_GOOD;
}

/* The server has ended.  A test program that was killed cannot remove its
 * temporary folder.
 */
static void __attribute__ ((noreturn))
finish (pid_t program, int verdict)
{
  if (getppid () != program)
    execlp ("rm", "rm", "-rf", temp_dir (), NULL);
  _exit (verdict);
}

static void __attribute__ ((noreturn))
keep (const struct launch *l, pid_t program, int control)
{
  struct pollfd fds[2] = { { .fd = control, .events = POLLIN } };
  int verdict = KEEPER_EARLY, status, timeout = -1;
  sigset_t child;
  pid_t pid, group = 0;

  /* The test program may be interrupted; we are what remains. */
  signal (SIGINT, SIG_IGN);
  signal (SIGTERM, SIG_IGN);
  signal (SIGHUP, SIG_IGN);
  alarm (0);
  /* Another server's socket must not be kept open here. */
  for (int fd = 3; fd < 1024; fd++)
    if (fd != control && fd != l->listen_fd)
      close (fd);
  prctl (PR_SET_CHILD_SUBREAPER, 1);
  sigemptyset (&child);
  sigaddset (&child, SIGCHLD);
  sigprocmask (SIG_BLOCK, &child, NULL);
  pid = spawn (l);
  if (pid == -1)
    _exit (KEEPER_EARLY);
  if (l->listen_fd != -1)
    close (l->listen_fd);
  fds[1].fd = signalfd (-1, &child, 0);
  fds[1].events = POLLIN;

  for (;;) {
    int r = poll (fds, 2, timeout);

    if (r == 0) {
      verdict = KEEPER_HUNG;
      kill (-group, SIGKILL);
      continue;
    }
    if (fds[0].revents) {
      char order;
      bool stop = read (control, &order, 1) < 1;

      group = server_group (l, pid);
      if (!stop && order == FREEZE) {
        kill (-group, SIGSTOP);
        if (write (control, &order, 1) == 1)
          continue;
      }
      verdict = stop ? KEEPER_GOOD : KEEPER_KILLED;
      if (stop)
        kill (group, SIGTERM);
      else
        kill (-group, SIGKILL);
      fds[0].fd = -1;
      timeout = PATIENCE;
    }
    if (fds[1].revents) {
      struct signalfd_siginfo info;
      pid_t ended;

      r = read (fds[1].fd, &info, sizeof info);
      while ((ended = waitpid (-1, &status, WNOHANG)) > 0)
        if (verdict == KEEPER_GOOD && ended == group)
          verdict = judge (status);
      if (ended == -1 && errno == ECHILD)
        finish (program, verdict);
    }
  }
}

static void
start_keeper (struct server *s, const struct launch *l)
{
  pid_t program = getpid ();
  int control[2];

  MUST (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control));
  s->keeper = fork ();
  MUST (s->keeper);
  if (s->keeper == 0) {
    close (control[1]);
    keep (l, program, control[0]);
  }
  close (control[0]);
  s->control = control[1];
}

static struct server *
new_server (enum server_transport transport, const char *program)
{
  struct server *s = checked (calloc (1, sizeof *s));
  char name[32];

  alarm (WATCHDOG);
  nr_servers++;
  s->next = running;
  running = s;
  s->program = program;
  s->transport = transport;
  snprintf (name, sizeof name, "log%u", nr_servers);
  s->log = temp_path (name);
  make_address (s);
  return s;
}

static struct server *
start_with_socket (enum server_transport transport, const char *const *args)
{
  struct server *s = new_server (transport, args[0]);
  struct launch l = { .args = args, .log = s->log };

  l.listen_fd = bind_address (s);
  MUST (listen (l.listen_fd, SOMAXCONN));
  start_keeper (s, &l);
  close (l.listen_fd);
  return s;
}

struct server *
server_start (enum server_transport transport, const char *program, ...)
{
  const char *args[MAX_ARGS];
  va_list ap;

  va_start (ap, program);
  collect (args, program, ap);
  va_end (ap);
  return start_with_socket (transport, args);
}

/* Wait until it accepts connections.  A few that are closed at once do not
 * disturb it.
 */
static void
wait_until_listening (struct server *s)
{
  for (int i = 0; i < 3000; i++) {
    int fd = socket (s->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = connect (fd, (struct sockaddr *) &s->addr, s->addr_len);

    close (fd);
    if (r == 0)
      return;
    poll (NULL, 0, 10);
  }
  must (false, "nbd-server accepts connections", __FILE__, __LINE__);
}

struct server *
server_start_nbd_server (enum server_transport transport, const char *sections)
{
  struct server *s = new_server (transport, "nbd-server");
  char name[32];
  char *config, *pid_file;
  int held = -1;
  FILE *fp;

  snprintf (name, sizeof name, "conf%u", nr_servers);
  config = temp_path (name);
  snprintf (name, sizeof name, "pid%u", nr_servers);
  pid_file = temp_path (name);
  fp = checked (fopen (config, "we"));
  fprintf (fp, "[generic]\nallowlist = true\n");
  if (transport == SERVER_UNIX)
    fprintf (fp, "unixsock = %s\n", s->path);
  else {
    /* Bound and not listening, this keeps the port for the server. */
    held = bind_address (s);
    fprintf (fp, "listenaddr = %s\nport = %s\n",
             transport == SERVER_IPV4 ? "127.0.0.1" : "::1", s->port);
  }
  fprintf (fp, "%s", sections);
  MUST_BE (fclose (fp) == 0);
  {
    const char *const args[] = {
      "nbd-server", "-C", config, "-p", pid_file, NULL
    };

    start_keeper (s, &(struct launch) { .args = args, .log = s->log,
                                        .pid_file = pid_file,
                                        .listen_fd = -1 });
  }
  wait_until_listening (s);
  if (held != -1)
    close (held);
  free (config);
  free (pid_file);
  return s;
}

struct server *
server_start_file (enum server_transport transport, const char *program,
                   const char *file)
{
  char *sections;
  struct server *s;

  if (strcmp (program, "nbdkit") == 0)
    return server_start (transport, "nbdkit", "file", file, NULL);
  if (strcmp (program, "qemu-nbd") == 0)
    return server_start (transport, "qemu-nbd", "--persistent", "--shared=0",
                         "--format=raw", "--discard=unmap", file, NULL);
  MUST (asprintf (&sections,
                  "[disk]\nexportname = %s\nflush = true\nfua = true\n"
                  "trim = true\n", file));
  s = server_start_nbd_server (transport, sections);
  s->export_name = "disk";
  free (sections);
  return s;
}

const char *
server_path (const struct server *s)
{
  return s->path;
}

const char *
server_port (const struct server *s)
{
  return s->port;
}

socklen_t
server_address (const struct server *s, struct sockaddr_storage *addr)
{
  *addr = s->addr;
  return s->addr_len;
}

int
server_connect (const struct server *s, struct nbd_handle *h)
{
  if (s->export_name)
    MUST (nbd_set_export_name (h, s->export_name));
  if (s->transport == SERVER_UNIX)
    return nbd_connect_unix (h, s->path);
  return nbd_connect_tcp (h, s->transport == SERVER_IPV4 ? "127.0.0.1" : "::1",
                          s->port);
}

int
server_socket (const struct server *s)
{
  int fd = socket (s->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

  MUST (fd);
  MUST (connect (fd, (struct sockaddr *) &s->addr, s->addr_len));
  return fd;
}

/* Wait for the keeper, which ends when the server has. */
static void
end (struct server *s)
{
  int status = wait_for (s->keeper);

  s->keeper = 0;
  s->status = WIFEXITED (status) ? WEXITSTATUS (status) : KEEPER_CRASHED;
}

static void
tell_keeper (struct server *s, char order)
{
  MUST (send (s->control, &order, 1, MSG_NOSIGNAL));
}

void
server_freeze (struct server *s)
{
  char answer;

  tell_keeper (s, FREEZE);
  MUST_BE (read (s->control, &answer, 1) == 1);
}

void
server_kill (struct server *s)
{
  tell_keeper (s, KILL);
  end (s);
  close (s->control);
}

void
server_stop (struct server *s)
{
  static const char *const verdicts[] = {
    "good", "it ended by itself", "it was killed", "it did not stop",
    "it crashed", "it failed",
  };
  struct server **p = &running;
  bool killed = s->keeper == 0;

  while (*p != s)
    p = &(*p)->next;
  *p = s->next;
  if (!killed) {
    close (s->control);
    end (s);
  }
  if (!ok (s->status == (killed ? KEEPER_KILLED : KEEPER_GOOD),
           "%s ends as told and leaves no process", s->program)) {
    note ("%s", verdicts[s->status]);
    print_log (s);
  }
  if (s->path)
    unlink (s->path);
  free (s->path);
  free (s->port);
  free (s->log);
  free (s);
}

struct nbd_handle *
new_handle (void)
{
  struct nbd_handle *h = nbd_create ();

  MUST_BE (h != NULL);
  return h;
}

void
must_connect (const struct server *s, struct nbd_handle *h)
{
  MUST (server_connect (s, h));
}

struct nbd_handle *
connected (const struct server *s)
{
  struct nbd_handle *h = new_handle ();

  must_connect (s, h);
  return h;
}

void
disconnect (struct nbd_handle *h)
{
  MUST (nbd_shutdown (h, 0));
  nbd_close (h);
}

void
fill_random (uint64_t *seed, void *buf, size_t n)
{
  uint8_t *p = buf;
  uint64_t v;

  for (; n >= sizeof v; n -= sizeof v, p += sizeof v) {
    v = next_random (seed);
    memcpy (p, &v, sizeof v);
  }
  v = next_random (seed);
  memcpy (p, &v, n);
}
