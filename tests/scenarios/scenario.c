/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The program: the list of scenarios, their processes, and the transcript. */

#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario.h"

/* Seconds that a scenario may take before it is ended. */
#define LIMIT 60

#define COUNT(a) (sizeof (a) / sizeof ((a)[0]))

struct nbd_handle *h;
struct peer *peer;
int sock = -1;
char buf[1 << 20];
char port[16];

static struct scenario *scenarios;
static size_t nr_scenarios;

void
scenario_add (struct scenario s)
{
  scenarios = realloc (scenarios, (nr_scenarios + 1) * sizeof s);
  if (scenarios == NULL)
    abort ();
  scenarios[nr_scenarios++] = s;
}

/* The transcript. */

static struct {
  char *value;
  const char *name;
} aliases[8];

static size_t nr_aliases;

void
alias (const char *value, const char *name)
{
  if (nr_aliases == COUNT (aliases))
    abort ();
  aliases[nr_aliases].value = strdup (value);
  aliases[nr_aliases++].name = name;
}

/* States that programs know by name.  What others are called is a matter of
 * the library.
 */
static bool
is_public_state (const char *name, size_t n)
{
  static const char *const names[] = {
    "START", "NEGOTIATING", "READY", "CLOSED", "DEAD",
  };

  for (size_t i = 0; i < COUNT (names); i++)
    if (strlen (names[i]) == n && memcmp (names[i], name, n) == 0)
      return true;
  return false;
}

/* Print TEXT with the aliases, and without the names of inner states. */
static void
print_text (const char *text)
{
  static const char *const before[] = { "invalid state: ", "in state " };
  const char *s = text;

  while (*s) {
    size_t n = 0;

    for (size_t i = 0; i < nr_aliases && n == 0; i++)
      if (strncmp (s, aliases[i].value, strlen (aliases[i].value)) == 0) {
        printf ("%s", aliases[i].name);
        n = strlen (aliases[i].value);
      }
    for (size_t i = 0; i < COUNT (before) && n == 0; i++)
      if (strncmp (s, before[i], strlen (before[i])) == 0) {
        size_t length;

        n = strlen (before[i]);
        printf ("%s", before[i]);
        length = strspn (s + n, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_.");
        if (!is_public_state (s + n, length)) {
          printf ("(inner)");
          n += length;
        }
      }
    if (n == 0) {
      putchar (*s);
      n = 1;
    }
    s += n;
  }
}

void
say (const char *fmt, ...)
{
  char *text;
  va_list args;
  int r;

  va_start (args, fmt);
  r = vasprintf (&text, fmt, args);
  va_end (args);
  if (r == -1)
    abort ();
  print_text (text);
  putchar ('\n');
  free (text);
}

static const char *
errno_name (int errnum)
{
  static char number[16];
  static const struct {
    int errnum;
    const char *name;
  } names[] = {
#define NAME(e) { e, #e }
    { 0, "no errno" },
    NAME (EPERM), NAME (ENOENT), NAME (ESRCH), NAME (EINTR), NAME (EIO),
    NAME (ENXIO), NAME (EBADF), NAME (EAGAIN), NAME (ENOMEM), NAME (EFAULT),
    NAME (EINVAL), NAME (EPIPE), NAME (ERANGE), NAME (ENOSPC),
    NAME (ENAMETOOLONG), NAME (EPROTO), NAME (EOVERFLOW), NAME (ENOTSOCK),
    NAME (EPROTOTYPE), NAME (ENOTSUP), NAME (EAFNOSUPPORT),
    NAME (ENETUNREACH), NAME (ECONNRESET), NAME (ENOTCONN),
    NAME (ESHUTDOWN), NAME (ETIMEDOUT), NAME (ECONNREFUSED),
    NAME (ECONNABORTED), NAME (EACCES), NAME (ENODEV), NAME (ENOEXEC),
    NAME (ENOTDIR), NAME (EISDIR), NAME (E2BIG), NAME (EHOSTUNREACH),
    NAME (EPROTONOSUPPORT),
#undef NAME
  };

  for (size_t i = 0; i < COUNT (names); i++)
    if (names[i].errnum == errnum)
      return names[i].name;
  snprintf (number, sizeof number, "errno %d", errnum);
  return number;
}

void
show_error (void)
{
  const char *text = nbd_get_error ();

  say ("  error: %s, %s", errno_name (nbd_get_errno ()),
       text ? text : "NULL");
}

void
call_begin (const char *text)
{
  printf ("%s\n", text);
}

void
call_end_int (int ret)
{
  call_end_long (ret);
}

void
call_end_long (long long ret)
{
  say ("  = %lld", ret);
  if (ret == -1)
    show_error ();
}

void
call_end_unsigned (unsigned long ret)
{
  say ("  = %lu", ret);
}

void
call_end_string (char *ret)
{
  call_end_text (ret);
  free (ret);
}

void
call_end_text (const char *ret)
{
  if (ret)
    say ("  = \"%s\"", ret);
  else {
    say ("  = NULL");
    show_error ();
  }
}

/* The questions of status () and of loops are not part of a trace. */
static bool untraced;

static void
print_state_name (void)
{
  const char *text = nbd_connection_state (h), *colon = strchr (text, ':');

  if (colon && is_public_state (text, colon - text))
    printf ("%.*s", (int) (colon - text), text);
  else
    printf (colon ? "(inner)" : "(without a colon)");
}

void
status (void)
{
  unsigned direction;

  untraced = true;
  direction = nbd_aio_get_direction (h);
  printf ("status:");
  if (nbd_aio_is_created (h))
    printf (" created");
  if (nbd_aio_is_connecting (h))
    printf (" connecting");
  if (nbd_aio_is_negotiating (h))
    printf (" negotiating");
  if (nbd_aio_is_ready (h))
    printf (" ready");
  if (nbd_aio_is_processing (h))
    printf (" processing");
  if (nbd_aio_is_dead (h))
    printf (" dead");
  if (nbd_aio_is_closed (h))
    printf (" closed");
  printf (", state ");
  print_state_name ();
  printf (", direction %s%s%s", direction ? "" : "none",
          direction & LIBNBD_AIO_DIRECTION_READ ? "r" : "",
          direction & LIBNBD_AIO_DIRECTION_WRITE ? "w" : "");
  printf (", fd %s, in flight %d, peek %" PRIi64 "\n",
          nbd_aio_get_fd (h) == -1 ? "none" : "open",
          nbd_aio_in_flight (h), nbd_aio_peek_command_completed (h));
  untraced = false;
}

void
facts (void)
{
  CALL (nbd_get_protocol (h));
  CALL (nbd_get_size (h));
  printf ("read only %d, rotational %d, flush %d, FUA %d, trim %d, zero %d, "
          "fast zero %d, DF %d, multi-conn %d, cache %d\n",
          nbd_is_read_only (h), nbd_is_rotational (h), nbd_can_flush (h),
          nbd_can_fua (h), nbd_can_trim (h), nbd_can_zero (h),
          nbd_can_fast_zero (h), nbd_can_df (h), nbd_can_multi_conn (h),
          nbd_can_cache (h));
  printf ("block sizes %" PRIi64 ", %" PRIi64 ", %" PRIi64 "\n",
          nbd_get_block_size (h, LIBNBD_SIZE_MINIMUM),
          nbd_get_block_size (h, LIBNBD_SIZE_PREFERRED),
          nbd_get_block_size (h, LIBNBD_SIZE_MAXIMUM));
  CALL (nbd_get_structured_replies_negotiated (h));
  CALL (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_get_canonical_export_name (h));
  CALL (nbd_get_export_description (h));
}

void
show (const void *p, size_t n)
{
  printf ("  bytes:");
  print_bytes (p, n);
  putchar ('\n');
}

void
show_fd (const char *name, int fd)
{
  int flags = fcntl (fd, F_GETFD);

  if (flags == -1)
    say ("  %s is closed", name);
  else
    say ("  %s is open%s", name, flags & FD_CLOEXEC ? ", close-on-exec" : "");
}

/* Callbacks. */

struct speaker {
  const char *name;
  int ret, error;
};

static struct speaker *
speaker (const char *name, int ret, int error)
{
  struct speaker *s = malloc (sizeof *s);

  if (s == NULL)
    abort ();
  *s = (struct speaker) { name, ret, error };
  return s;
}

static void
free_speaker (void *vp)
{
  struct speaker *s = vp;

  say ("  free %s", s->name);
  free (s);
}

void
say_free (void *name)
{
  say ("  free %s", (const char *) name);
}

static int
answer (const struct speaker *s, int *error)
{
  if (s->error != KEEP)
    *error = s->error;
  return s->ret;
}

static int
completion_cb (void *vp, int *error)
{
  const struct speaker *s = vp;

  say ("  %s: completed, %s", s->name, errno_name (*error));
  return answer (s, error);
}

static int
chunk_cb (void *vp, const void *subbuf, size_t count, uint64_t offset,
          unsigned status_of_chunk, int *error)
{
  const struct speaker *s = vp;

  say ("  %s: chunk, count %zu, offset %" PRIu64 ", status %u, %s", s->name,
       count, offset, status_of_chunk, errno_name (*error));
  if (count > 0) {
    ptrdiff_t place = (const char *) subbuf - buf;

    if (place < 0 || place >= (ptrdiff_t) sizeof buf)
      say ("  outside of the buffer");
    else
      say ("  at %td of the buffer", place);
    show (subbuf, count);
  }
  return answer (s, error);
}

static int
extent_cb (void *vp, const char *metacontext, uint64_t offset,
           uint32_t *entries, size_t nr_entries, int *error)
{
  const struct speaker *s = vp;

  printf ("  %s: %s, offset %" PRIu64 ",", s->name, metacontext, offset);
  for (size_t i = 0; i < nr_entries; i++)
    printf (i % 2 ? "/%" PRIu32 : " %" PRIu32, entries[i]);
  printf (", %s\n", errno_name (*error));
  return answer (s, error);
}

static int
list_cb (void *vp, const char *name, const char *description)
{
  const struct speaker *s = vp;

  say ("  %s: export \"%s\", \"%s\"", s->name, name, description);
  return s->ret;
}

static int
context_cb (void *vp, const char *name)
{
  const struct speaker *s = vp;

  say ("  %s: context \"%s\"", s->name, name);
  return s->ret;
}

static int
trace_cb (void *vp, const char *function, const char *msg)
{
  const struct speaker *s = vp;

  if (untraced)
    return s->ret;
  if (strncmp (msg, "enter:", 6) == 0 || strncmp (msg, "leave:", 6) == 0 ||
      strcmp (msg, "opening handle") == 0 ||
      strcmp (msg, "closing handle") == 0)
    say ("  %s: %s: %s", s->name, function, msg);
  return s->ret;
}

#define MAKER(type, name)                                       \
  nbd_##type##_callback                                         \
  name##_ret (const char *label, int ret, int error)            \
  {                                                             \
    return (nbd_##type##_callback) {                            \
      type##_cb, speaker (label, ret, error), free_speaker };   \
  }                                                             \
                                                                \
  nbd_##type##_callback                                         \
  name (const char *label)                                      \
  {                                                             \
    return name##_ret (label, 0, KEEP);                         \
  }

MAKER (completion, done)
MAKER (chunk, chunk)
MAKER (extent, extent)

#define MAKER_WITHOUT_ERROR(type, name)                         \
  nbd_##type##_callback                                         \
  name##_ret (const char *label, int ret)                       \
  {                                                             \
    return (nbd_##type##_callback) {                            \
      type##_cb, speaker (label, ret, KEEP), free_speaker };    \
  }                                                             \
                                                                \
  nbd_##type##_callback                                         \
  name (const char *label)                                      \
  {                                                             \
    return name##_ret (label, 0);                               \
  }

MAKER_WITHOUT_ERROR (list, list)
MAKER_WITHOUT_ERROR (context, context)

/* The type is named debug, and what it prints is the trace. */
#define debug_cb trace_cb
MAKER_WITHOUT_ERROR (debug, trace)

/* Handles and peers. */

void
create (void)
{
  if (h == NULL)
    h = nbd_create ();
  if (h == NULL)
    abort ();
}

/* Which socket SOCK is: the peer opens files at any time, which may get the
 * number of a socket that was closed.
 */
static ino_t sock_inode;

void
script (const struct step *steps)
{
  struct stat st;

  create ();
  peer = peer_start (steps, &sock);
  if (fstat (sock, &st) == -1)
    abort ();
  sock_inode = st.st_ino;
}

void
play (const struct step *steps)
{
  script (steps);
  if (nbd_connect_socket (h, sock) == -1) {
    say ("the connection failed");
    show_error ();
  }
}

void
go (void)
{
  peer_go (peer);
}

void
release (void)
{
  peer_release (peer);
}

void
pump (void)
{
  while (!peer_is_waiting (peer)) {
    if (nbd_aio_get_direction (h) == 0) {
      peer_await (peer);
      break;
    }
    if (nbd_poll (h, 10) == -1) {
      show_error ();
      peer_await (peer);
      break;
    }
  }
}

void
settle (void)
{
  untraced = true;
  while (nbd_aio_in_flight (h) > 0) {
    int r = nbd_poll (h, LIMIT * 1000);

    if (r == -1)
      show_error ();
    if (r != 1)
      break;
  }
  untraced = false;
}

static int
listener (const struct sockaddr *addr, socklen_t len)
{
  int fd = socket (addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (fd == -1 || bind (fd, addr, len) == -1 || listen (fd, 5) == -1) {
    perror ("listen");
    abort ();
  }
  return fd;
}

int
unix_listener (const char *path)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };

  strcpy (addr.sun_path, path);
  return listener ((struct sockaddr *) &addr, sizeof addr);
}

void
listen_unix (const char *path, const struct step *steps)
{
  create ();
  peer = peer_listen (steps, unix_listener (path));
}

int
tcp_listener (void)
{
  struct sockaddr_in addr = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t len = sizeof addr;
  int fd = listener ((struct sockaddr *) &addr, sizeof addr);

  if (getsockname (fd, (struct sockaddr *) &addr, &len) == -1)
    abort ();
  snprintf (port, sizeof port, "%u", ntohs (addr.sin_port));
  alias (port, "PORT");
  return fd;
}

void
listen_tcp (const struct step *steps)
{
  create ();
  peer = peer_listen (steps, tcp_listener ());
}

/* Bound and not listened on, to the end of the process: connections are
 * refused and nobody else gets it.
 */
void
unused_port (void)
{
  struct sockaddr_in addr = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t len = sizeof addr;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (fd == -1 || bind (fd, (struct sockaddr *) &addr, sizeof addr) == -1 ||
      getsockname (fd, (struct sockaddr *) &addr, &len) == -1)
    abort ();
  snprintf (port, sizeof port, "%u", ntohs (addr.sin_port));
  alias (port, "PORT");
}

void
small_buffers (void)
{
  const int size = 8192;

  setsockopt (sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

volatile int nr_signals;

static void
count_signal (int signum)
{
  (void) signum;
  nr_signals++;
}

void
catch_signals (void)
{
  struct sigaction action = { .sa_handler = count_signal };

  sigaction (SIGUSR1, &action, NULL);
}

void
finish (void)
{
  if (h) {
    status ();
    call_begin ("nbd_close (h)");
    nbd_close (h);
    h = NULL;
  }
  if (peer) {
    struct stat st;

    if (sock != -1 && fstat (sock, &st) == 0 && S_ISSOCK (st.st_mode) &&
        st.st_ino == sock_inode) {
      say ("the client's descriptor is still open");
      close (sock);
    }
    peer_end (peer);
    peer = NULL;
  }
  sock = -1;
}

void
skip (const char *why)
{
  say ("SKIP %s", why);
  exit (0);
}

/* A library may have been built without URIs. */
static void
require_uris (const struct scenario *s)
{
  bool supported;

  if (strncmp (s->name, "uri/", 4) != 0 &&
      strncmp (s->name, "allow/", 6) != 0 &&
      strstr (s->name, "connect_uri") == NULL &&
      strstr (s->name, "supports_uri") == NULL &&
      strstr (s->name, "URIs") == NULL)
    return;
  create ();
  supported = nbd_supports_uri (h) == 1;
  nbd_close (h);
  h = NULL;
  if (!supported)
    skip ("the library has no URIs");
}

/* Nor with TLS; it has the functions all the same. */
static void
require_tls (const struct scenario *s)
{
  bool supported;

  if (strncmp (s->name, "tls/", 4) != 0 &&
      strncmp (s->name, "uri/nbds:", 9) != 0 &&
      strcmp (s->name, "uri/ssh: with TLS") != 0 &&
      strcmp (s->name, "states/nbd_set_tls") != 0 &&
      strcmp (s->name, "states/nbd_supports_tls") != 0)
    return;
  create ();
  supported = nbd_supports_tls (h) == 1;
  nbd_close (h);
  h = NULL;
  if (!supported)
    skip ("the library has no TLS");
}

/* Processes. */

static void
run_here (const struct scenario *s)
{
  setvbuf (stdout, NULL, _IOLBF, 0);
  alarm (LIMIT);
  require_uris (s);
  require_tls (s);
  if (s->run)
    s->run ();
  else
    s->run_on (s->arg);
  finish ();
  for (size_t i = 0; i < nr_aliases; i++)
    free (aliases[i].value);
  free (scenarios);
}

/* Scenarios by number: their transcripts are DIR/NUMBER, their folders
 * DIR/NUMBER.d.
 */
static pid_t
start (size_t i, const char *dir)
{
  char path[4096];
  pid_t pid;
  int fd;

  snprintf (path, sizeof path, "%s/%zu", dir, i);
  fflush (NULL);
  pid = fork ();
  if (pid != 0)
    return pid;
  fd = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd == -1 || dup2 (fd, 1) == -1 || dup2 (fd, 2) == -1 || close (fd) == -1)
    _exit (1);
  strcat (path, ".d");
  if (mkdir (path, 0700) == -1 || chdir (path) == -1)
    _exit (1);
  run_here (&scenarios[i]);
  exit (0);
}

/* Append how a process ended, if not as it should. */
static void
ended (size_t i, const char *dir, int wait_status)
{
  char path[4096];
  FILE *fp;

  if (wait_status == 0)
    return;
  snprintf (path, sizeof path, "%s/%zu", dir, i);
  fp = fopen (path, "a");
  if (fp == NULL)
    return;
  if (WIFSIGNALED (wait_status))
    fprintf (fp, "ENDED by signal %d\n", WTERMSIG (wait_status));
  else
    fprintf (fp, "ENDED with exit status %d\n", WEXITSTATUS (wait_status));
  fclose (fp);
}

static int
run_all (const char *dir, size_t jobs)
{
  pid_t *pids = calloc (nr_scenarios, sizeof *pids), pid;
  size_t started = 0, running = 0;
  int wait_status;

  if (pids == NULL)
    return 1;
  while (started < nr_scenarios || running > 0) {
    if (started < nr_scenarios && running < jobs) {
      pids[started] = start (started, dir);
      if (pids[started] == -1) {
        perror ("fork");
        return 1;
      }
      started++;
      running++;
      continue;
    }
    pid = wait (&wait_status);
    if (pid == -1) {
      perror ("wait");
      return 1;
    }
    for (size_t i = 0; i < started; i++)
      if (pids[i] == pid) {
        ended (i, dir, wait_status);
        pids[i] = 0;            /* another may get that number */
        running--;
      }
  }
  free (pids);
  return 0;
}

/* By hand: the transcript goes to stdout. */
static char folder[] = "/tmp/nbdscenarioXXXXXX";

static int
remove_one (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void) st;
  (void) type;
  (void) ftw;
  return remove (path);
}

static void
remove_folder (void)
{
  nftw (folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int
run_one (const char *name)
{
  for (size_t i = 0; i < nr_scenarios; i++)
    if (strcmp (scenarios[i].name, name) == 0) {
      if (mkdtemp (folder) == NULL || chdir (folder) == -1) {
        perror (folder);
        return 1;
      }
      atexit (remove_folder);
      run_here (&scenarios[i]);
      return 0;
    }
  fprintf (stderr, "there is no scenario '%s'\n", name);
  return 1;
}

static int
by_name (const void *a, const void *b)
{
  const struct scenario *s = a, *t = b;

  return strcmp (s->name, t->name);
}

static int
print_version (void)
{
  create ();
  printf ("%s\n", nbd_get_version (h));
  nbd_close (h);
  free (scenarios);
  return 0;
}

int
main (int argc, char *argv[])
{
  if (argc >= 3 && strcmp (argv[1], "--server") == 0)
    return subprocess_main (argc, argv);
  unsetenv ("LIBNBD_DEBUG");
  unsetenv ("LOGNAME");
  signal (SIGPIPE, SIG_DFL);
  qsort (scenarios, nr_scenarios, sizeof *scenarios, by_name);
  if (argc == 2 && strcmp (argv[1], "--version") == 0)
    return print_version ();
  if (argc == 2 && strcmp (argv[1], "--list") == 0) {
    for (size_t i = 0; i < nr_scenarios; i++)
      printf ("%s\n", scenarios[i].name);
    return 0;
  }
  if (argc == 4 && strcmp (argv[1], "--all") == 0)
    return run_all (argv[2], strtoul (argv[3], NULL, 10));
  if (argc == 2)
    return run_one (argv[1]);
  fprintf (stderr, "usage: scenarios --list | --version | --all DIR JOBS "
           "| NAME\n");
  return 2;
}
