/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* URIs and real servers: the URI of every connection leads back to the same
 * export.  nbdkit's info plugin tells which one it is: its content is the name
 * that the client asked for.
 */

#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

#define MAX_NAME 4096

static const char *const names[] = {
  "", "disk", "disk 1", "  ", "%", "100%", "%41", "%00", "%zz", "/", "/disk",
  "//", "a/b/", ".", "../..", "a:b", ":", "a@b", "?", "a?b=c&d;e#f", "#",
  "[::1]", "+", "a+b", "it's", "\"quoted\"", "\\", "`id`$(id)", "<{|}>^",
  "nbd://h/disk?socket=/s", "tab\tnewline\nescape\033", "\177",
  "\303\251\342\202\254\360\237\222\276", "\377\376\200",
};

#define NR_NAMES (sizeof names / sizeof names[0])

/* Ways to connect. */
struct way {
  const char *what;
  int (*connect) (struct nbd_handle *h, const struct way *way);
  const struct server *server;
  const char *path, *host;
};

static int
by_path (struct nbd_handle *h, const struct way *way)
{
  return nbd_connect_unix (h, way->path);
}

static int
by_host (struct nbd_handle *h, const struct way *way)
{
  return nbd_connect_tcp (h, way->host, server_port (way->server));
}

static int
until_connected (struct nbd_handle *h, int r)
{
  while (r == 0 && nbd_aio_is_connecting (h) > 0)
    r = nbd_poll (h, -1) == -1 ? -1 : 0;
  return r;
}

static int
by_address (struct nbd_handle *h, const struct way *way)
{
  struct sockaddr_storage addr;
  socklen_t len = server_address (way->server, &addr);

  return until_connected (h, nbd_aio_connect (h, (struct sockaddr *) &addr,
                                              len));
}

/* Whether the server was asked for the export NAME. */
static bool
is_export (struct nbd_handle *h, const char *name)
{
  size_t n = strlen (name);
  char content[MAX_NAME];

  return nbd_get_size (h) == (int64_t) n &&
    (n == 0 || nbd_pread (h, content, n, 0, 0) == 0) &&
    memcmp (content, name, n) == 0;
}

/* Only what RFC 3986 knows. */
static bool
is_plain (const char *uri)
{
  static const char set[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    "-._~:/?[]@!$&'()*+,;=%";

  return uri[strspn (uri, set)] == '\0';
}

/* Connect, and once more by the URI of that, both forms. */
static void
check_name (const struct way *way, const char *name)
{
  struct nbd_handle *h = new_handle ();
  bool good = false, same = true;
  char *uri;

  MUST (nbd_set_export_name (h, name));
  MUST (way->connect (h, way));
  uri = nbd_get_uri (h);
  if (uri)
    good = is_export (h, name) && is_plain (uri);
  disconnect (h);
  for (int async = 0; good && async < 2; async++) {
    char *again = NULL;

    h = new_handle ();
    if (async)
      good = until_connected (h, nbd_aio_connect_uri (h, uri)) == 0;
    else
      good = nbd_connect_uri (h, uri) == 0;
    if (good) {
      good = is_export (h, name);
      again = nbd_get_uri (h);
      same = same && again && strcmp (again, uri) == 0;
      disconnect (h);
    }
    else {
      note ("%s", nbd_get_error ());
      nbd_close (h);
    }
    free (again);
  }
  ok (good, "%s: %.100s: is the same export", way->what,
      uri ? uri : nbd_get_error ());
  ok (same, "%s: and has the same URI", way->what);
  free (uri);
}

static void
check_way (const struct way *way, uint64_t seed)
{
  char name[MAX_NAME + 1];

  for (size_t i = 0; i < NR_NAMES; i++)
    check_name (way, names[i]);
  for (unsigned i = 0; i < 10; i++) {
    size_t n = 1 + next_random (&seed) % 100;

    for (size_t j = 0; j < n; j++)
      name[j] = 1 + next_random (&seed) % 255;
    name[n] = '\0';
    check_name (way, name);
  }
  for (size_t j = 0; j < MAX_NAME; j++)
    name[j] = "%\303\251 /n"[j % 6];
  name[MAX_NAME] = '\0';
  check_name (way, name);
}

/* Paths that are trouble: other names for the socket of the server. */
static void
check_paths (const struct server *s)
{
  static const char *const paths[] = {
    "a b", "100%", "%41", "%00", "a:b", "a?b=c&d;e#f", "+", "@s", "-s",
    "it's", "\"\\`$(id)", "<{|}>^[]", "\n\t\033\177",
    "\303\251\342\202\254", "\377\376",
  };
  struct way way = { "a path", by_path, s, NULL, NULL };
  char cwd[4096];

  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    char *path = temp_path (paths[i]);

    MUST (symlink (server_path (s), path));
    way.path = path;
    check_name (&way, "");
    check_name (&way, "a b%\303\251");
    MUST (unlink (path));
    free (path);
  }

  /* Relative to a folder, and so is the URI. */
  MUST_BE (getcwd (cwd, sizeof cwd) != NULL);
  MUST (chdir (temp_dir ()));
  way.what = "a relative path";
  way.path = strrchr (server_path (s), '/') + 1;
  check_name (&way, "disk");
  MUST (symlink (server_path (s), "@x y"));
  way.path = "@x y";
  check_name (&way, "disk");
  MUST (chdir (cwd));
}

/* nbdkit, handed a socket with an abstract name. */
static void
check_abstract (void)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  char name[sizeof addr.sun_path];
  struct way way = { "an abstract name", by_path, NULL, name, NULL };
  pid_t parent = getpid (), pid;
  int fd, status;
  size_t n;

  n = snprintf (name, sizeof name, "@nbd test%%:/\303\251&%d", getpid ());
  memcpy (addr.sun_path, name, n);
  addr.sun_path[0] = '\0';
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  MUST (fd);
  MUST (bind (fd, (struct sockaddr *) &addr,
              offsetof (struct sockaddr_un, sun_path) + n));
  MUST (listen (fd, SOMAXCONN));
  pid = fork ();
  MUST (pid);
  if (pid == 0) {
    char number[16];

    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != parent)
      _exit (1);
    snprintf (number, sizeof number, "%d", getpid ());
    setenv ("LISTEN_PID", number, 1);
    setenv ("LISTEN_FDS", "1", 1);
    /* By way of another number: a copy of itself would stay close-on-exec. */
    dup2 (dup (fd), 3);
    execlp ("nbdkit", "nbdkit", "info", NULL);
    _exit (1);
  }
  close (fd);
  check_way (&way, 1);
  MUST (kill (pid, SIGTERM));
  MUST_BE (waitpid (pid, &status, 0) == pid);
  ok (WIFEXITED (status) && WEXITSTATUS (status) == 0,
      "nbdkit ends as told");
}

static bool
has_ipv6 (void)
{
  struct sockaddr_in6 addr = { .sin6_family = AF_INET6,
                               .sin6_addr = in6addr_loopback };
  int fd = socket (AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool has = fd != -1 &&
    bind (fd, (struct sockaddr *) &addr, sizeof addr) == 0;

  close (fd);
  return has;
}

static void
check_tcp (enum server_transport transport, const char *host,
           const char *format)
{
  struct server *s = server_start (transport, "nbdkit", "info", NULL);
  struct way way = { host, by_host, s, NULL, host };
  struct nbd_handle *h = new_handle ();
  char *uri, *want;

  check_way (&way, 2);
  way = (struct way) { "a socket address", by_address, s, NULL, NULL };
  check_way (&way, 3);

  /* The host is the name, and not what was found. */
  MUST (nbd_connect_tcp (h, host, server_port (s)));
  uri = nbd_get_uri (h);
  MUST (asprintf (&want, format, server_port (s)));
  is_str (uri, want, "%s: the host is as it was named", host);
  disconnect (h);
  free (uri);
  free (want);
  server_stop (s);
}

/* A name that the server has, and one that it does not have. */
static void
check_qemu (void)
{
  static const char *const exports[] = {
    "disk 1", "100%", "a:b/c?d#e&f", "\303\251\342\202\254",
  };
  char *file = temp_path ("raw");
  FILE *fp = fopen (file, "we");

  MUST_BE (fp != NULL);
  MUST (ftruncate (fileno (fp), 65536));
  MUST_BE (fclose (fp) == 0);
  for (size_t i = 0; i < sizeof exports / sizeof exports[0]; i++) {
    struct server *s = server_start (SERVER_UNIX, "qemu-nbd", "--persistent",
                                     "--shared=0", "--format=raw", "-x",
                                     exports[i], file, NULL);
    struct nbd_handle *h = new_handle ();
    char *uri, *wrong;

    MUST (nbd_set_export_name (h, exports[i]));
    MUST (nbd_connect_unix (h, server_path (s)));
    uri = nbd_get_uri (h);
    disconnect (h);
    h = new_handle ();
    is_int (nbd_connect_uri (h, uri), 0, "qemu-nbd: %s", uri);
    is_int (nbd_get_size (h), 65536, "qemu-nbd: it is the export");
    disconnect (h);

    h = new_handle ();
    MUST (asprintf (&wrong, "nbd+unix:///other?socket=%s", server_path (s)));
    is_int (nbd_connect_uri (h, wrong), -1, "qemu-nbd: another is unknown");
    is_int (nbd_get_errno (), ENOENT, "qemu-nbd: ENOENT");
    is_int (nbd_aio_is_dead (h), 1, "qemu-nbd: the handle is dead");
    free (uri);
    uri = nbd_get_uri (h);
    is_str (uri, wrong, "qemu-nbd: and has the URI that was tried");
    nbd_close (h);
    free (uri);
    free (wrong);
    server_stop (s);
  }
  free (file);
}

/* The export of the URI replaces that of the handle, unless the program
 * chooses one in option mode.
 */
static void
check_export_name (const struct server *s)
{
  static const char *const exports[] = { "", "disk", "/a%20b" };

  for (size_t i = 0; i < 3; i++) {
    struct nbd_handle *h = new_handle ();
    char *uri, *name;

    MUST (asprintf (&uri, "nbd+unix:///%s?socket=%s", exports[i],
                    server_path (s)));
    MUST (nbd_set_export_name (h, "before"));
    is_int (nbd_connect_uri (h, uri), 0, "%s", uri);
    name = nbd_get_export_name (h);
    ok (name && is_export (h, name) &&
        strcmp (name, i == 2 ? "/a b" : exports[i]) == 0,
        "%s: its export is used", uri);
    free (name);
    disconnect (h);

    h = new_handle ();
    MUST (nbd_set_opt_mode (h, true));
    is_int (nbd_connect_uri (h, uri), 0, "%s: in option mode", uri);
    is_int (nbd_aio_is_negotiating (h), 1, "%s: is negotiating", uri);
    free (uri);
    uri = nbd_get_uri (h);
    ok (uri && strstr (uri, exports[i]), "%s: with the export", uri);
    MUST (nbd_set_export_name (h, "chosen later"));
    is_int (nbd_opt_go (h), 0, "%s: another is chosen", uri);
    ok (is_export (h, "chosen later"), "%s: which is used", uri);
    free (uri);
    uri = nbd_get_uri (h);
    ok (uri && strstr (uri, ":///chosen%20later?"), "%s: and in the URI", uri);
    free (uri);
    disconnect (h);
  }
}

/* A URI that failed leaves nothing for the one that works. */
static void
check_after_failure (const struct server *s)
{
  struct nbd_handle *h = new_handle ();
  struct sockaddr_in addr = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t len = sizeof addr;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char *failing, *uri, *got;

  /* Nobody listens there. */
  MUST (fd);
  MUST (bind (fd, (struct sockaddr *) &addr, len));
  MUST (getsockname (fd, (struct sockaddr *) &addr, &len));
  MUST (asprintf (&failing, "nbd://eve@127.0.0.1:%u/other?"
                  "tls-verify-peer=false&tls-hostname=evil",
                  ntohs (addr.sin_port)));
  is_int (nbd_connect_uri (h, failing), -1, "a port that refuses");
  is_int (nbd_get_errno (), ECONNREFUSED, "a port that refuses: errno");
  is_int (nbd_aio_is_created (h), 1, "a port that refuses: as new");
  got = nbd_get_export_name (h);
  is_str (got, "", "a port that refuses: the export is the one before");
  free (got);
  MUST (asprintf (&uri, "nbd+unix:///disk?socket=%s", server_path (s)));
  is_int (nbd_connect_uri (h, uri), 0, "then a server");
  got = nbd_get_uri (h);
  is_str (got, uri, "nothing of the first is left");
  ok (is_export (h, "disk"), "and the export is right");
  disconnect (h);
  free (got);

  /* Nor for another way to connect. */
  h = new_handle ();
  is_int (nbd_connect_uri (h, failing), -1, "the same again");
  MUST (nbd_connect_unix (h, server_path (s)));
  ok (is_export (h, ""), "then another call, and the default export");
  disconnect (h);
  close (fd);
  free (failing);
  free (uri);
}

/* What is not allowed does not reach the server. */
static void
check_allowed (const struct server *s)
{
  struct nbd_handle *h = new_handle ();
  char *uri;

  MUST (asprintf (&uri, "nbd+unix:///?socket=%s", server_path (s)));
  MUST (nbd_set_uri_allow_transports (h, LIBNBD_ALLOW_TRANSPORT_TCP));
  is_int (nbd_connect_uri (h, uri), -1, "Unix is not allowed");
  is_int (nbd_get_errno (), EPERM, "which is EPERM");
  is_int (nbd_aio_is_created (h), 1, "the handle is as new");
  is_int (nbd_connect_unix (h, server_path (s)), 0,
          "the other call is allowed");
  disconnect (h);
  h = new_handle ();
  MUST (nbd_set_uri_allow_transports (h, LIBNBD_ALLOW_TRANSPORT_UNIX));
  is_int (nbd_connect_uri (h, uri), 0, "Unix is allowed");
  disconnect (h);
  h = new_handle ();
  MUST (nbd_set_uri_allow_tls (h, LIBNBD_TLS_REQUIRE));
  is_int (nbd_connect_uri (h, uri), -1, "TLS is required");
  is_int (nbd_get_errno (), EPERM, "which is EPERM");
  is_int (nbd_connect_unix (h, server_path (s)), 0,
          "that was about URIs only");
  disconnect (h);
  free (uri);
}

/* Connections that no URI can say. */
static void
check_none (const struct server *s)
{
  static const char *const command[] = { "nbdkit", "-s", "info", NULL };
  struct nbd_handle *h = new_handle ();

  MUST (nbd_connect_socket (h, server_socket (s)));
  is_str (nbd_get_uri (h), NULL, "nbd_connect_socket: there is no URI");
  is_int (nbd_get_errno (), EINVAL, "nbd_connect_socket: EINVAL");
  disconnect (h);

  h = new_handle ();
  MUST (nbd_connect_command (h, (char **) command));
  is_str (nbd_get_uri (h), NULL, "nbd_connect_command: there is no URI");
  is_int (nbd_get_errno (), EINVAL, "nbd_connect_command: EINVAL");
  disconnect (h);
}

/* A program called ssh that is none: it says what it was told to do, and is
 * the server itself.
 */
static void
check_ssh (void)
{
  static const char *const rows[][2] = {
    { "nbd+ssh://example.com/disk%201",
      "-p\n22\n--\nexample.com\nnc localhost 10809\n" },
    { "nbd+ssh://bob@[::1]:2222/disk%201?compress=1&nbd-port=5",
      "-p\n2222\n-C\n-l\nbob\n--\n::1\nnc localhost 5\n" },
    { "nbd+ssh://h/disk%201?socket=-it's%20%22$(id)%22;x",
      "-p\n22\n--\nh\nnc -U ./'-it'\\''s \"$(id)\"'\n" },
  };
  char *program = temp_path ("ssh"), *said = temp_path ("said");
  const char *path = getenv ("PATH");
  char *old_path = strdup (path ? path : "/bin:/usr/bin"), *new_path;
  FILE *fp = fopen (program, "we");

  MUST_BE (fp != NULL && old_path != NULL);
  fprintf (fp, "#!/bin/sh\nprintf '%%s\\n' \"$@\" > '%s'\n"
           "exec nbdkit -s info\n", said);
  MUST_BE (fclose (fp) == 0);
  MUST (chmod (program, 0700));
  MUST (asprintf (&new_path, "%s:%s", temp_dir (), old_path));
  MUST (setenv ("PATH", new_path, 1));
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct nbd_handle *h = new_handle ();
    char text[512];
    pid_t pid;
    size_t n;

    is_int (nbd_connect_uri (h, rows[i][0]), 0, "%s", rows[i][0]);
    ok (is_export (h, "disk 1"), "%s: the export", rows[i][0]);
    is_str (nbd_get_uri (h), NULL, "%s: there is no URI", rows[i][0]);
    is_int (nbd_get_errno (), EINVAL, "%s: EINVAL", rows[i][0]);
    pid = nbd_get_subprocess_pid (h);
    ok (pid > 0, "%s: it is a subprocess", rows[i][0]);
    disconnect (h);
    ok (pid <= 0 || (waitpid (pid, NULL, WNOHANG) == -1 && errno == ECHILD),
        "%s: which is gone", rows[i][0]);
    fp = fopen (said, "re");
    MUST_BE (fp != NULL);
    n = fread (text, 1, sizeof text - 1, fp);
    fclose (fp);
    text[n] = '\0';
    is_str (text, rows[i][1], "%s: the words", rows[i][0]);
  }
  MUST (setenv ("PATH", old_path, 1));
  free (program);
  free (said);
  free (old_path);
  free (new_path);
}

int
main (void)
{
  struct nbd_handle *h = new_handle ();
  bool supported = nbd_supports_uri (h) == 1;
  struct server *s;
  struct way way = { "a Unix socket", by_path, NULL, NULL, NULL };

  server_require ("nbdkit", "info", "--version", NULL);
  server_require ("qemu-nbd", "--version", NULL);
  tap_begin ();
  if (!supported) {
    is_int (nbd_connect_uri (h, "nbd://h"), -1, "there are no URIs");
    is_int (nbd_get_errno (), ENOTSUP, "which is ENOTSUP");
    is_int (nbd_aio_connect_uri (h, ""), -1, "whatever they say");
    is_int (nbd_get_errno (), ENOTSUP, "which is ENOTSUP");
    nbd_close (h);
    return tap_end ();
  }
  nbd_close (h);

  s = server_start (SERVER_UNIX, "nbdkit", "info", NULL);
  way.server = s;
  way.path = server_path (s);
  check_way (&way, 4);
  way.connect = by_address;
  way.what = "the address of a Unix socket";
  check_way (&way, 5);
  check_paths (s);
  check_abstract ();
  check_tcp (SERVER_IPV4, "127.0.0.1", "nbd://127.0.0.1:%s/");
  check_tcp (SERVER_IPV4, "localhost", "nbd://localhost:%s/");
  if (has_ipv6 ())
    check_tcp (SERVER_IPV6, "::1", "nbd://[::1]:%s/");
  else
    skip_case ("IPv6", "there is no IPv6 here");
  check_export_name (s);
  check_after_failure (s);
  check_allowed (s);
  check_none (s);
  check_qemu ();
  check_ssh ();
  server_stop (s);
  return tap_end ();
}
