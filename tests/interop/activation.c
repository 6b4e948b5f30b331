/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* nbd_connect_systemd_socket_activation, and what the server is handed. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server.h"
#include "spawned.h"
#include "tap.h"

static const struct way ways[] = {
  { "nbd_connect_systemd_socket_activation",
    nbd_connect_systemd_socket_activation, false, true },
  { "nbd_aio_connect_systemd_socket_activation",
    nbd_aio_connect_systemd_socket_activation, true, true },
};

#define NR_WAYS (sizeof ways / sizeof ways[0])

/* Where sockets were made in /tmp: the library calls the function defined
 * here.
 */
static pthread_mutex_t made_lock = PTHREAD_MUTEX_INITIALIZER;
static struct made {
  char path[sizeof ((struct sockaddr_un *) 0)->sun_path + 1];
  mode_t folder_mode;
} made[4096];
static unsigned nr_made;

int
bind (int fd, const struct sockaddr *addr, socklen_t len)
{
  const struct sockaddr_un *un = (const struct sockaddr_un *) addr;

  if (addr->sa_family == AF_UNIX && len > sizeof addr->sa_family) {
    struct made *m;
    char path[sizeof m->path];
    struct stat st;

    pthread_mutex_lock (&made_lock);
    MUST_BE (nr_made < 4096);
    m = &made[nr_made++];
    memcpy (m->path, un->sun_path, len - sizeof un->sun_family);
    strcpy (path, m->path);
    m->folder_mode = stat (dirname (path), &st) == 0 ? st.st_mode : 0;
    pthread_mutex_unlock (&made_lock);
  }
  return syscall (SYS_bind, fd, addr, len);
}

/* None of the sockets that were made since is in a folder any more. */
static bool
nothing_left (unsigned since)
{
  bool good = true;

  for (; since < nr_made; since++) {
    char path[sizeof made[0].path];
    bool is_socket, is_folder;

    strcpy (path, made[since].path);
    is_socket = access (path, F_OK) == 0;
    is_folder = access (dirname (path), F_OK) == 0;
    if (is_socket || is_folder) {
      note ("%s is left", path);
      good = false;
    }
  }
  return good;
}

/* The variables, as the child sees them. */
static void
check_variables (const struct way *way)
{
  static const char *const names[] = {
    NULL, "", "a", "disk0", "0", "ABCxyz019",
    "abcdefghijklmnopqrstuvwxyz012345"
  };

  setenv ("LISTEN_PID", "1", 1);
  setenv ("LISTEN_FDS", "17", 1);
  setenv ("LISTEN_FDNAMES", "older", 1);
  setenv ("LISTEN_PIDFDID", "12345", 1);
  setenv ("LISTENER", "kept", 1);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct nbd_handle *h = new_handle ();
    char **argv = child_argv ("serve", NULL), pid[32], *name, what[160];
    struct report *r;

    snprintf (what, sizeof what, "%s: name %s", way->name,
              names[i] ? *names[i] ? names[i] : "empty" : "not set");
    if (names[i]) {
      /* A name before that counts for nothing. */
      MUST (nbd_set_socket_activation_name (h, "earlier"));
      is_int (nbd_set_socket_activation_name (h, names[i]), 0,
              "%s: is accepted", what);
    }
    name = nbd_get_socket_activation_name (h);
    is_str (name, names[i] ? names[i] : "", "%s: can be asked for", what);
    free (name);
    is_int (way_connect (way, h, argv), 0, "%s: it is connected", what);
    r = read_report (argv);
    snprintf (pid, sizeof pid, "%ld", (long) nbd_get_subprocess_pid (h));
    is_str (report_value (r, "pid", 0), pid, "%s: it is our process", what);
    is_str (report_variable (r, "LISTEN_PID"), pid,
            "%s: LISTEN_PID is its own number", what);
    is_str (report_variable (r, "LISTEN_FDS"), "1", "%s: LISTEN_FDS is 1",
            what);
    is_str (report_variable (r, "LISTEN_FDNAMES"),
            names[i] && *names[i] ? names[i] : "unknown",
            "%s: LISTEN_FDNAMES is the name", what);
    ok (!report_variable (r, "LISTEN_PIDFDID"), "%s: other variables of ours "
        "that begin so are not passed on", what);
    is_str (report_variable (r, "LISTENER"), "kept", "%s: others are", what);
    {
      unsigned n = 0;
      const char *entry;

      for (size_t j = 0; (entry = report_value (r, "env", j)); j++)
        n += strncmp (entry, "LISTEN_", 7) == 0;
      is_int (n, 3, "%s: there are three of them", what);
    }
    nbd_close (h);
    free_report (r);
    free_list (argv);
  }
  is_str (getenv ("LISTEN_PID"), "1", "our own LISTEN_PID is what it was");
  unsetenv ("LISTEN_PID");
  unsetenv ("LISTEN_FDS");
  unsetenv ("LISTEN_FDNAMES");
  unsetenv ("LISTEN_PIDFDID");
  unsetenv ("LISTENER");
}

/* Names that cannot be. */
static void
check_names (void)
{
  static const struct {
    const char *name;
    int errnum;
  } rows[] = {
    { "abcdefghijklmnopqrstuvwxyz0123456", ENAMETOOLONG },
    { "abcdefghijklmnopqrstuvwxyz-0123456789", ENAMETOOLONG },
    { "a-b", EINVAL }, { "a_b", EINVAL }, { "a:b", EINVAL }, { " ", EINVAL },
    { "a b", EINVAL }, { "a.b", EINVAL }, { "\xc3\xa4", EINVAL },
    { "a\n", EINVAL }, { "/", EINVAL }, { "=", EINVAL }, { "\x7f", EINVAL },
  };
  struct nbd_handle *h = new_handle ();
  char buffer[] = "kept", *name;

  is_int (nbd_set_socket_activation_name (h, buffer), 0, "a name is set");
  memset (buffer, 'x', 4);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    is_int (nbd_set_socket_activation_name (h, rows[i].name), -1,
            "row %zu: the name is refused", i);
    is_int (nbd_get_errno (), rows[i].errnum, "row %zu: %s", i,
            strerror (rows[i].errnum));
    ok (strncmp (nbd_get_error (), "nbd_set_socket_activation_name: ", 32) ==
        0, "row %zu: the message names the function", i);
    name = nbd_get_socket_activation_name (h);
    is_str (name, "kept", "row %zu: the earlier one is kept, as a copy", i);
    free (name);
  }
  nbd_close (h);
}

/* The socket and its folder. */
static void
check_socket (const struct way *way)
{
  char **argv = child_argv ("serve", NULL), number[16], *elsewhere;
  unsigned since = nr_made;
  struct nbd_handle *h;
  struct report *r;
  const char *path;
  struct sockaddr_un peer = { .sun_family = AF_UNSPEC };
  socklen_t len = sizeof peer;
  int fd;

  elsewhere = temp_path ("elsewhere");
  setenv ("TMPDIR", elsewhere, 1);
  h = started (way, argv);
  unsetenv ("TMPDIR");
  r = read_report (argv);
  path = report_value (r, "socket", 0);
  ok (nr_made == since + 1 && path && strcmp (path, made[since].path) == 0,
      "%s: the server has the socket that was made", way->name);
  ok (path && strncmp (path, "/tmp/libnbd", 11) == 0 &&
      strchr (path + 11, '/') != NULL, "%s: in a folder in /tmp, whatever "
      "TMPDIR says", way->name);
  is_int (made[since].folder_mode, S_IFDIR | 0700,
          "%s: which only this user could enter", way->name);
  ok (nothing_left (since), "%s: it is removed when the call returns",
      way->name);
  snprintf (number, sizeof number, "%d", AF_UNIX);
  is_str (report_value (r, "family", 0), number, "%s: a Unix socket",
          way->name);
  snprintf (number, sizeof number, "%d", SOCK_STREAM);
  is_str (report_value (r, "type", 0), number, "%s: a stream", way->name);
  is_str (report_value (r, "listening", 0), "1", "%s: that listens",
          way->name);
  ok (strstr (report_value (r, "fd", 3), "3 type 140000 ") &&
      strstr (report_value (r, "fd", 3), " flags 2") &&
      report_value (r, "fd", 4) == NULL,
      "%s: it is number 3, in blocking mode", way->name);
  MUST (getpeername (nbd_aio_get_fd (h), (struct sockaddr *) &peer, &len));
  is_str (peer.sun_path, path, "%s: that is what we are connected to",
          way->name);
  /* The server still listens; there is no name to connect to. */
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  MUST (fd);
  is_int (connect (fd, (struct sockaddr *) &peer, sizeof peer), -1,
          "%s: nobody else can be", way->name);
  is_int (errno, ENOENT, "%s: ENOENT", way->name);
  close (fd);
  nbd_close (h);
  free (elsewhere);
  free_report (r);
  free_list (argv);
}

/* The same program, run by systemd's own tool. */

static struct report *
activated_by_systemd (char **argv, const char *name)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  char *path = temp_path ("socket"), *option = NULL;
  struct report *r;
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), tries = 15000;
  pid_t pid;

  MUST (fd);
  if (name)
    MUST (asprintf (&option, "--fdname=%s", name));
  pid = fork ();
  MUST (pid);
  if (pid == 0) {
    int in = open ("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open ("/dev/null", O_WRONLY | O_CLOEXEC);

    dup2 (in, 0);
    dup2 (out, 2);              /* it tells what it does */
    alarm (100);
    execlp ("systemd-socket-activate", "systemd-socket-activate", "-l", path,
            name ? option : "-Enone=none", argv[0], argv[1], argv[2], NULL);
    _exit (127);
  }
  strcpy (addr.sun_path, path);
  while (connect (fd, (struct sockaddr *) &addr, sizeof addr) == -1 &&
         tries-- > 0)
    poll (NULL, 0, 2);
  r = read_report (argv);
  close (fd);
  kill (pid, SIGTERM);
  MUST (waitpid (pid, NULL, 0));
  unlink (path);
  free (path);
  free (option);
  return r;
}

static void
same_value (const struct report *ours, const struct report *theirs,
            const char *key)
{
  is_str (report_value (ours, key, 0), report_value (theirs, key, 0),
          "systemd-socket-activate: %s is the same", key);
}

/* A number and what follows without the inode. */
static char *
kind_of_fd (const struct report *r, size_t n, char text[160])
{
  const char *fd = report_value (r, "fd", n), *inode, *device;

  strcpy (text, "none");
  if (fd && (inode = strstr (fd, " inode ")) &&
      (device = strstr (fd, " device ")))
    snprintf (text, 160, "%.*s%s", (int) (inode - fd), fd, device);
  return text;
}

static void
check_conventions (void)
{
  if (!run_command (NULL, "systemd-socket-activate", "--version", NULL)) {
    skip_case ("systemd-socket-activate does the same",
               "systemd-socket-activate is not installed");
    return;
  }
  for (int named = 0; named < 2; named++) {
    char **argv = child_argv ("mute", NULL), **argv2 = child_argv ("serve",
                                                                   NULL);
    struct report *theirs = activated_by_systemd (argv, named ? "disk" : NULL);
    struct nbd_handle *h = new_handle ();
    char text[160], text2[160];
    struct report *ours;

    if (named)
      MUST (nbd_set_socket_activation_name (h, "disk"));
    MUST (nbd_connect_systemd_socket_activation (h, argv2));
    ours = read_report (argv2);
    same_value (ours, theirs, "family");
    same_value (ours, theirs, "type");
    same_value (ours, theirs, "listening");
    same_value (ours, theirs, "caught");
    same_value (ours, theirs, "blocked");
    is_int (report_count (ours, "fd"), report_count (theirs, "fd"),
            "systemd-socket-activate: as many descriptors");
    is_str (kind_of_fd (ours, 0, text), kind_of_fd (theirs, 0, text2),
            "systemd-socket-activate: descriptor 0 is of the same kind");
    is_str (kind_of_fd (ours, 3, text), kind_of_fd (theirs, 3, text2),
            "systemd-socket-activate: so is descriptor 3");
    is_str (report_variable (ours, "LISTEN_FDS"),
            report_variable (theirs, "LISTEN_FDS"),
            "systemd-socket-activate: LISTEN_FDS is the same");
    is_str (report_variable (theirs, "LISTEN_PID"),
            report_value (theirs, "pid", 0),
            "systemd-socket-activate: LISTEN_PID is the process");
    is_str (report_variable (ours, "LISTEN_PID"),
            report_value (ours, "pid", 0), "here, too");
    /* Without a name systemd's tool sets no variable, for which
     * sd_listen_fds_with_names (3) says "unknown".
     */
    is_str (report_variable (ours, "LISTEN_FDNAMES"),
            named ? report_variable (theirs, "LISTEN_FDNAMES") : "unknown",
            "systemd-socket-activate: the name is the same");
    nbd_close (h);
    free_report (ours);
    free_report (theirs);
    free_list (argv);
    free_list (argv2);
  }
}

/* Servers that never serve. */
static void
check_bad_servers (const struct way *way)
{
  static const char *const behaviours[] = {
    "exit", "hang-up", "refuse", "garbage"
  };

  for (int i = 0; i < 4; i++) {
    struct nbd_handle *h = new_handle ();
    char **argv = child_argv (behaviours[i], NULL), what[128];
    unsigned since = nr_made;
    pid_t pid;

    snprintf (what, sizeof what, "%s: %s", way->name, behaviours[i]);
    is_int (way_connect (way, h, argv), -1, "%s: is an error", what);
    if (!ok (nbd_get_errno () == ECONNRESET || nbd_get_errno () == EPIPE ||
             nbd_get_errno () == 0, "%s: of an ended connection", what))
      note ("%s", nbd_get_error ());
    ok (nbd_get_error () && strlen (nbd_get_error ()) > strlen ("nbd_poll: "),
        "%s: it says why", what);
    is_int (nbd_aio_is_dead (h), 1, "%s: the handle is dead", what);
    ok (nr_made == since + 1 && nothing_left (since),
        "%s: no socket is left", what);
    pid = nbd_get_subprocess_pid (h);
    ok (pid > 0, "%s: it still has a process", what);
    nbd_close (h);
    ok (is_gone (pid), "%s: nbd_close ends and collects it", what);
    free_list (argv);
  }
}

/* A program gives up on a server that knows nothing of socket activation. */
static void
check_giving_up (void)
{
  char *argv[] = { (char *) "sleep", (char *) "100", NULL };
  struct nbd_handle *h = new_handle ();
  unsigned since = nr_made;
  struct messages m;
  pid_t pid;

  keep_messages (h, &m);
  is_int (nbd_aio_connect_systemd_socket_activation (h, argv), 0,
          "a program that does not accept is started");
  is_int (nbd_aio_is_connecting (h), 1, "it is waited for");
  is_int (nbd_poll (h, 1), 0, "in vain");
  is_int (nbd_aio_is_connecting (h), 1, "as long as one likes");
  ok (nothing_left (since), "there is no socket in /tmp");
  pid = nbd_get_subprocess_pid (h);
  is_int (kill (pid, 0), 0, "it runs");
  nbd_close (h);
  ok (is_gone (pid), "until the handle is closed");
  ok (strstr (m.text, "SIGTERM") && !strstr (m.text, "SIGKILL"),
      "for which it was sent SIGTERM");
  free (m.text);
}

/* A server that waits for the next client is told to end, with the connection
 * closed already.
 */
static void
check_patient (const struct way *way)
{
  for (int shut_down = 0; shut_down < 2; shut_down++) {
    char **argv = child_argv ("serve,stay,note", NULL);
    struct nbd_handle *h = started (way, argv);
    pid_t pid = nbd_get_subprocess_pid (h);
    struct report *r;

    if (shut_down) {
      is_int (nbd_shutdown (h, 0), 0, "%s: nbd_shutdown", way->name);
      ok (report_gets (argv, "gone=1"), "%s: is seen by the server",
          way->name);
      is_int (kill (pid, 0), 0, "%s: which goes on", way->name);
    }
    nbd_close (h);
    ok (is_gone (pid), "%s: nbd_close ends a patient server", way->name);
    r = read_report (argv);
    is_str (report_value (r, "signal", 0), "TERM", "%s: by SIGTERM",
            way->name);
    is_int (report_count (r, "signal"), 1, "%s: and no other", way->name);
    free_report (r);
    free_list (argv);
  }
}

/* Real servers. */
static void
check_servers (const struct way *way)
{
  char *disk = temp_path ("disk image");
  char *nbdkit[] = { (char *) "nbdkit", (char *) "memory", (char *) "1M",
                     NULL };
  char *nbdkit_file[] = { (char *) "nbdkit", (char *) "--", (char *) "file",
                          disk, NULL };
  char *qemu_nbd[] = { (char *) "qemu-nbd", (char *) "-f", (char *) "raw",
                       (char *) "--", disk, NULL };
  char *patient[] = { (char *) "qemu-nbd", (char *) "--persistent",
                      (char *) "--shared=0", (char *) "-f", (char *) "raw",
                      (char *) "--", disk, NULL };
  char *shell[] = { (char *) "sh", (char *) "-c",
                    (char *) "exec nbdkit memory 1M", NULL };
  char **child = child_argv ("exec", "qemu-nbd", "-f", "raw", disk, NULL);
  const struct {
    const char *what;
    char **argv;
    bool keeps;
  } rows[] = {
    { "nbdkit", nbdkit, false },
    { "nbdkit with a file", nbdkit_file, true },
    { "qemu-nbd", qemu_nbd, true },
    { "qemu-nbd, persistent", patient, true },
    { "nbdkit behind a shell", shell, false },
    { "qemu-nbd behind another program", child, true },
  };
  FILE *fp;

  MUST_BE ((fp = fopen (disk, "we")) != NULL);
  MUST (ftruncate (fileno (fp), 1 << 20));
  MUST_BE (fclose (fp) == 0);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct nbd_handle *h = new_handle ();
    char **copy = copy_list (rows[i].argv), what[128], last[512];
    unsigned since = nr_made;
    pid_t pid;

    snprintf (what, sizeof what, "%s: %s", way->name, rows[i].what);
    MUST (nbd_set_socket_activation_name (h, i % 2 ? "name" : ""));
    if (!is_int (way_connect (way, h, copy), 0, "%s is connected to", what))
      note ("%s", nbd_get_error ());
    free_list (copy);
    ok (nothing_left (since), "%s: the socket has no name any more", what);
    is_int (nbd_get_size (h), 1 << 20, "%s has an export", what);
    ok (disk_works (h), "%s: data is written and read", what);
    memset (last, 'a' + i, sizeof last);
    is_int (nbd_pwrite (h, last, sizeof last, 1000 * 512, 0), 0,
            "%s: some more data", what);
    MUST (nbd_flush (h, 0));
    pid = nbd_get_subprocess_pid (h);
    ok (pid > 0 && kill (pid, 0) == 0, "%s: it is a process", what);
    is_int (nbd_shutdown (h, 0), 0, "%s is left in peace", what);
    nbd_close (h);
    ok (is_gone (pid), "%s is gone", what);
    if (rows[i].keeps) {
      char found[512];

      MUST_BE ((fp = fopen (disk, "re")) != NULL);
      MUST (fseek (fp, 1000 * 512, SEEK_SET));
      ok (fread (found, sizeof found, 1, fp) == 1 &&
          memcmp (found, last, sizeof last) == 0,
          "%s: the data is in the file", what);
      fclose (fp);
    }
  }
  unlink (disk);
  free (disk);
  free_list (child);
}

int
main (void)
{
  server_require ("nbdkit", "--version", NULL);
  server_require ("qemu-nbd", "--version", NULL);
  alarm (170);
  tap_begin ();
  check_spawned (ways, NR_WAYS);
  ok (nothing_left (0), "none of %u sockets is left", nr_made);
  check_names ();
  for (size_t i = 0; i < NR_WAYS; i++) {
    check_variables (&ways[i]);
    check_socket (&ways[i]);
    check_bad_servers (&ways[i]);
    check_patient (&ways[i]);
    check_servers (&ways[i]);
  }
  check_conventions ();
  check_giving_up ();
  ok (nothing_left (0), "none of %u sockets is left in the end", nr_made);
  ok (no_children (), "nor any process");
  return tap_end ();
}
