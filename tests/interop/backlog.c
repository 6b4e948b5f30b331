/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Unix domain sockets: a server whose backlog is full for a while, or for
 * good, and the names that a socket can have, with a file or without.  The
 * attempts to connect are counted by a function defined here, which the library
 * calls.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"
#include "tiny.h"

#define READ LIBNBD_AIO_DIRECTION_READ
#define WRITE LIBNBD_AIO_DIRECTION_WRITE

#define PATH_SIZE sizeof ((struct sockaddr_un *) 0)->sun_path

/* No case waits longer. */
#define PATIENCE_MS 20000

/* A listening socket, for the moment without a server. */
static struct sockaddr_un address;
static socklen_t address_length;
static int listener = -1;
static struct fillers fillers;
static struct tiny *server;

/* Attempts to connect there. */
static unsigned nr_attempts, nr_refused;
static struct sockaddr_un attempted;
static socklen_t attempted_length;

/* What happens before an attempt, if it is the one with that number. */
static unsigned event_at;
static void (*event) (void);

int divert_connect (int fd, const struct sockaddr *addr, socklen_t len)
  __asm__ ("connect");

int
divert_connect (int fd, const struct sockaddr *addr, socklen_t len)
{
  int r;

  if (addr->sa_family == AF_UNIX) {
    memset (&attempted, 0, sizeof attempted);
    memcpy (&attempted, addr, len);
    attempted_length = len;
    if (++nr_attempts == event_at)
      event ();
  }
  r = syscall (SYS_connect, fd, addr, len);
  nr_refused += r == -1 && errno == EAGAIN;
  return r;
}

/* Listen at the name of N bytes. */
static void
listen_at (const char *name, size_t n, int backlog)
{
  listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  MUST (listener);
  address = (struct sockaddr_un) { .sun_family = AF_UNIX };
  memcpy (address.sun_path, name, n);
  address_length = offsetof (struct sockaddr_un, sun_path) + n;
  MUST (bind (listener, (struct sockaddr *) &address, address_length));
  MUST (listen (listener, backlog));
}

static void
serve (void)
{
  server = tiny_start (listener, 77);
  listener = -1;
}

/* The backlog is empty, and there is a server. */
static void
drain_and_serve (void)
{
  drain_backlog (&fillers, listener);
  MUST (listen (listener, 16));
  serve ();
}

static void
stop_listening (void)
{
  close (listener);
  listener = -1;
}

static void
remove_path (void)
{
  unlink (address.sun_path);
}

static unsigned
stop (void)
{
  unsigned n = 0;

  if (server)
    n = tiny_stop (server);
  server = NULL;
  event_at = 0;
  if (listener != -1)
    close (listener);
  listener = -1;
  end_fillers (&fillers);
  if (address.sun_path[0])
    unlink (address.sun_path);
  return n;
}

/* A socket whose backlog is full, at a path or an abstract name. */
static char path[64], uri[128], abstract[80];

static void
prepare (bool is_abstract, unsigned at, void (*what) (void))
{
  char name[80];
  size_t n;

  snprintf (path, sizeof path, "%s/sock", temp_dir ());
  snprintf (abstract, sizeof abstract, "@%s", path);
  snprintf (name, sizeof name, "%s", is_abstract ? abstract : path);
  snprintf (uri, sizeof uri, "nbd+unix:///?socket=%s%s",
            is_abstract ? "%00" : "", path);
  n = strlen (name);
  if (is_abstract)
    name[0] = '\0';
  listen_at (name, n, 0);
  fill_backlog (&fillers, &address, address_length);
  nr_attempts = nr_refused = 0;
  event_at = at;
  event = what;
}

/* Ways to connect. */

static int
connect_unix (struct nbd_handle *h)
{
  return nbd_connect_unix (h, address.sun_path[0] ? path : abstract);
}

static int
connect_uri (struct nbd_handle *h)
{
  return nbd_connect_uri (h, uri);
}

static int
finish (struct nbd_handle *h, int r)
{
  const int64_t end = now_ms () + PATIENCE_MS;

  while (r != -1 && nbd_aio_is_connecting (h)) {
    MUST_BE (now_ms () < end);
    r = nbd_poll (h, PATIENCE_MS);
  }
  return r == -1 ? -1 : 0;
}

static int
aio_connect_unix (struct nbd_handle *h)
{
  return finish (h, nbd_aio_connect_unix (h, address.sun_path[0] ? path :
                                             abstract));
}

static int
aio_connect (struct nbd_handle *h)
{
  return finish (h, nbd_aio_connect (h, (struct sockaddr *) &address,
                                     address_length));
}

static int
aio_connect_uri (struct nbd_handle *h)
{
  return finish (h, nbd_aio_connect_uri (h, uri));
}

/* Loops of the program. */

static int
notify (struct nbd_handle *h, bool in, bool out)
{
  const unsigned direction = nbd_aio_get_direction (h);

  if (in && (direction & READ))
    return nbd_aio_notify_read (h);
  if (out && (direction & WRITE))
    return nbd_aio_notify_write (h);
  return 0;
}

static int
loop_poll (struct nbd_handle *h)
{
  int r = nbd_aio_connect_unix (h, address.sun_path[0] ? path : abstract);

  while (r != -1 && nbd_aio_is_connecting (h)) {
    const unsigned direction = nbd_aio_get_direction (h);
    struct pollfd p = { .fd = nbd_aio_get_fd (h) };

    p.events = (direction & READ ? POLLIN : 0) |
      (direction & WRITE ? POLLOUT : 0);
    MUST_BE (poll (&p, 1, PATIENCE_MS) == 1);
    r = notify (h, p.revents & ~POLLOUT, p.revents & POLLOUT);
  }
  return r;
}

/* By edge, and registered once for each descriptor. */
static int
loop_epoll (struct nbd_handle *h)
{
  int r = nbd_aio_connect_unix (h, address.sun_path[0] ? path : abstract);
  int epoll_fd = -1;
  struct stat old = { 0 }, st;

  while (r != -1 && nbd_aio_is_connecting (h)) {
    struct epoll_event e = { .events = EPOLLET | EPOLLIN | EPOLLOUT };
    int fd = nbd_aio_get_fd (h);

    MUST (fstat (fd, &st));
    if (epoll_fd == -1 || st.st_ino != old.st_ino || st.st_dev != old.st_dev) {
      if (epoll_fd != -1)
        close (epoll_fd);
      epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
      MUST (epoll_fd);
      MUST (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &e));
      old = st;
    }
    MUST_BE (epoll_wait (epoll_fd, &e, 1, PATIENCE_MS) == 1);
    r = notify (h, e.events & ~EPOLLOUT, e.events & EPOLLOUT);
  }
  if (epoll_fd != -1)
    close (epoll_fd);
  return r;
}

static const struct way {
  const char *name, *function;  /* that fails */
  int (*connect) (struct nbd_handle *h);
} ways[] = {
  { "nbd_connect_unix", "nbd_connect_unix", connect_unix },
  { "nbd_connect_uri", "nbd_connect_uri", connect_uri },
  { "nbd_aio_connect_unix", "nbd_poll", aio_connect_unix },
  { "nbd_aio_connect", "nbd_poll", aio_connect },
  { "nbd_aio_connect_uri", "nbd_poll", aio_connect_uri },
  { "poll", "nbd_aio_notify_read", loop_poll },
  { "epoll by edge", "nbd_aio_notify_read", loop_epoll },
};

#define NR_WAYS (sizeof ways / sizeof ways[0])

/* The server comes a little later. */
static void
check_later (void)
{
  for (size_t w = 0; w < NR_WAYS; w++)
    for (int is_abstract = 0; is_abstract < 2; is_abstract++) {
      struct nbd_handle *h = new_handle ();
      char what[128], *text;

      snprintf (what, sizeof what, "%s, %s", ways[w].name,
                is_abstract ? "an abstract name" : "a path");
      prepare (is_abstract, 4, drain_and_serve);
      is_int (ways[w].connect (h), 0, "%s: a full backlog is waited for",
              what);
      is_int (nr_attempts, 4, "%s: and tried again", what);
      is_int (nr_refused, 3, "%s: each time that it is full", what);
      is_int (count_descriptors ("anon_inode:"), 0,
              "%s: then nothing is left of that", what);
      ok (socket_number (nbd_aio_get_fd (h)) != 0,
          "%s: the descriptor is a socket", what);
      is_int (tiny_content (h), 77, "%s: it is read from", what);
      text = nbd_get_uri (h);
      is_str (text, uri, "%s: the URI is right", what);
      free (text);
      disconnect (h);
      is_int (stop (), 1, "%s: the server had one connection", what);
    }
}

/* It never comes. */
static void
check_never (void)
{
  for (size_t w = 0; w < NR_WAYS; w++) {
    struct nbd_handle *h = new_handle ();
    int64_t start = now_ms ();
    char text[256];

    prepare (false, 0, NULL);
    is_int (ways[w].connect (h), -1, "%s: a full backlog is a failure",
            ways[w].name);
    is_int (nbd_get_errno (), EAGAIN, "%s: EAGAIN", ways[w].name);
    ok (now_ms () - start >= 900, "%s: but not at once", ways[w].name);
    ok (now_ms () - start < PATIENCE_MS, "%s: yet before long", ways[w].name);
    snprintf (text, sizeof text, "%s: connect: the server's queue of "
              "connections is full: %s", ways[w].function, strerror (EAGAIN));
    is_str (nbd_get_error (), text, "%s: the text says why", ways[w].name);
    ok (nr_attempts > 10 && nr_refused == nr_attempts,
        "%s: after many attempts", ways[w].name);
    is_int (nbd_aio_is_dead (h), 1, "%s: the handle is dead", ways[w].name);
    is_int (nbd_aio_get_fd (h), -1, "%s: and has no descriptor",
            ways[w].name);
    is_int (count_descriptors ("anon_inode:"), 0,
            "%s: nothing is left that waits", ways[w].name);
    nbd_close (h);
    stop ();
  }
}

/* Something else becomes of it. */
static void
check_vanished (void)
{
  static const struct {
    const char *name;
    void (*event) (void);
    int errnum;
  } events[] = {
    { "the server goes", stop_listening, ECONNREFUSED },
    { "the file is removed", remove_path, ENOENT },
  };

  for (size_t i = 0; i < 2; i++)
    for (size_t w = 0; w < NR_WAYS; w++) {
      struct nbd_handle *h = new_handle ();
      char text[256];

      prepare (false, 3, events[i].event);
      is_int (ways[w].connect (h), -1, "%s, %s: fails", events[i].name,
              ways[w].name);
      is_int (nbd_get_errno (), events[i].errnum, "%s, %s: the errno",
              events[i].name, ways[w].name);
      snprintf (text, sizeof text, "%s: connect: %s", ways[w].function,
                strerror (events[i].errnum));
      is_str (nbd_get_error (), text, "%s, %s: the text", events[i].name,
              ways[w].name);
      is_int (nr_attempts, 3, "%s, %s: at the next attempt", events[i].name,
              ways[w].name);
      nbd_close (h);
      stop ();
    }
}

/* Step by step. */
static void
check_steps (void)
{
  struct nbd_handle *h = new_handle ();
  struct rlimit limit, low;
  int fd;

  prepare (false, 0, NULL);
  is_int (nbd_aio_connect_unix (h, path), 0, "steps: connecting is begun");
  is_int (nr_attempts, 1, "steps: with one attempt");
  fd = nbd_aio_get_fd (h);
  is_int (nbd_aio_is_connecting (h), 1, "steps: the handle is connecting");
  is_int (nbd_aio_get_direction (h), READ, "steps: it is to be read from");
  is_int (socket_number (fd), 0, "steps: its descriptor is no socket");
  is_int (fcntl (fd, F_GETFD), FD_CLOEXEC, "steps: and not inherited");
  is_int (nbd_aio_notify_write (h), -1, "steps: it is not to be written to");
  is_int (nbd_get_errno (), EINVAL, "steps: which is EINVAL");
  is_int (nbd_poll (h, PATIENCE_MS), 1, "steps: something happens");
  is_int (nr_attempts, 2, "steps: the second attempt");
  is_int (nbd_aio_get_fd (h), fd, "steps: the descriptor is the same");
  is_int (nbd_aio_notify_read (h), 0, "steps: a read too early is no error");
  is_int (nbd_poll2 (h, -1, PATIENCE_MS), 1, "steps: something happens again");
  is_int (nr_attempts, 3, "steps: the third attempt");
  nbd_close (h);
  is_int (count_descriptors ("anon_inode:"), 0,
          "steps: closing the handle is the end of it");
  end_fillers (&fillers);
  stop ();

  /* The descriptor is needed for something else meanwhile. */
  h = new_handle ();
  prepare (false, 0, NULL);
  MUST (nbd_aio_connect_unix (h, path));
  MUST (getrlimit (RLIMIT_NOFILE, &limit));
  low = (struct rlimit) { 1, limit.rlim_max };
  MUST (setrlimit (RLIMIT_NOFILE, &low));
  /* nbd_poll itself needs no descriptor, but the limit allows it one only. */
  is_int (nbd_poll (h, PATIENCE_MS), -1,
          "steps: without descriptors it fails");
  is_int (nbd_get_errno (), EMFILE, "steps: with EMFILE");
  MUST (setrlimit (RLIMIT_NOFILE, &limit));
  is_int (nbd_aio_is_dead (h), 1, "steps: and the handle is dead");
  nbd_close (h);
  stop ();

  /* A free place is no matter for a timer. */
  h = new_handle ();
  prepare (false, 1, drain_and_serve);
  is_int (nbd_aio_connect_unix (h, path), 0, "steps: a server with room");
  is_int (nr_attempts, 1, "steps: is asked once");
  ok (socket_number (nbd_aio_get_fd (h)) != 0,
      "steps: the descriptor is a socket");
  is_int (finish (h, 0), 0, "steps: it connects");
  is_int (tiny_content (h), 77, "steps: and is read from");
  disconnect (h);
  stop ();
}

/* Names. */

/* Connect to a server at a name of N bytes. */
static void
check_name (const char *what, const char *name, size_t n, const char *given)
{
  char *text;

  for (int async = 0; async < 2; async++) {
    struct nbd_handle *h = new_handle ();
    int r;

    listen_at (name, n, 16);
    serve ();
    if (strncmp (given, "nbd", 3) == 0)
      r = async ? finish (h, nbd_aio_connect_uri (h, given))
                : nbd_connect_uri (h, given);
    else
      r = async ? finish (h, nbd_aio_connect_unix (h, given))
                : nbd_connect_unix (h, given);
    is_int (r, 0, "%s: connects%s", what, async ? ", asynchronously" : "");
    if (name[0] == '\0') {
      is_int (attempted_length, offsetof (struct sockaddr_un, sun_path) + n,
              "%s: the address is no longer than the name", what);
      ok (memcmp (attempted.sun_path, name, n) == 0, "%s: and has it", what);
    }
    if (r == 0) {
      is_int (tiny_content (h), 77, "%s: the server is the right one", what);
      text = nbd_get_uri (h);
      disconnect (h);
      /* Which leads to the same server. */
      h = new_handle ();
      is_int (text ? nbd_connect_uri (h, text) : -1, 0,
              "%s: the URI leads there", what);
      is_int (tiny_content (h), 77, "%s: to the right one", what);
      free (text);
    }
    nbd_close (h);
    is_int (stop (), 2, "%s: which had both connections", what);
  }
}

static void
check_refused (const char *what, const char *given, int errnum)
{
  for (int async = 0; async < 2; async++) {
    struct nbd_handle *h = new_handle ();

    nr_attempts = 0;
    is_int (async ? nbd_aio_connect_unix (h, given) :
            nbd_connect_unix (h, given), -1, "%s: fails%s", what,
            async ? ", asynchronously" : "");
    is_int (nbd_get_errno (), errnum, "%s: %s", what, strerror (errnum));
    ok (nbd_get_error () &&
        strncmp (nbd_get_error (), async ? "nbd_aio_connect_unix: " :
                 "nbd_connect_unix: ", async ? 22 : 18) == 0,
        "%s: the text names the function", what);
    is_int (nr_attempts, errnum != ENAMETOOLONG, "%s: attempts", what);
    is_int (nbd_aio_is_created (h), errnum == ENAMETOOLONG,
            "%s: the handle is as new only if nothing was tried", what);
    nbd_close (h);
  }
}

static void
check_names (void)
{
  char name[PATH_SIZE + 2], text[PATH_SIZE + 64], here[PATH_MAX];
  const char odd[] = "a b%c&d;e#f?g=h@i\xc3\xa9", *dir = temp_dir ();

  MUST_BE (getcwd (here, sizeof here) != NULL);
  MUST (chdir (dir));

  /* Abstract ones are the program's own by the name of its folder. */
  snprintf (name, sizeof name, "%c%s", '\0', dir);
  memcpy (name + 1, dir, strlen (dir) + 1);
  snprintf (abstract, sizeof abstract, "@%s", dir);
  snprintf (uri, sizeof uri, "nbd+unix:///?socket=%%00%s", dir);
  check_name ("an abstract name", name, 1 + strlen (dir), abstract);
  check_name ("an abstract name in a URI", name, 1 + strlen (dir), uri);

  /* Each byte counts in them, a NUL too. */
  memcpy (name + 1 + strlen (dir), "\0a b\0", 5);
  snprintf (text, sizeof text, "nbd+unix:///?socket=%%00%s%%00a%%20b%%00",
            dir);
  check_name ("an abstract name with NULs", name, 1 + strlen (dir) + 5, text);

  /* As long as can be, and one byte longer. */
  memset (name, 'x', sizeof name);
  name[0] = '\0';
  memcpy (name + 1, dir, strlen (dir));
  memset (text, 'x', sizeof text);
  text[0] = '@';
  memcpy (text + 1, dir, strlen (dir));
  text[PATH_SIZE] = '\0';
  {
    char longest[PATH_SIZE + 64];

    check_name ("the longest abstract name", name, PATH_SIZE, text);
    text[PATH_SIZE] = 'x';
    text[PATH_SIZE + 1] = '\0';
    check_refused ("an abstract name that is too long", text, ENAMETOOLONG);
    snprintf (longest, sizeof longest, "nbd+unix:///?socket=%%00%s", text + 1);
    {
      struct nbd_handle *h = new_handle ();

      is_int (nbd_connect_uri (h, longest), -1, "nor can a URI have it");
      is_int (nbd_get_errno (), ENAMETOOLONG, "which is ENAMETOOLONG");
      is_int (nbd_aio_is_created (h), 1, "and the handle is as new");
      nbd_close (h);
    }
  }
  snprintf (abstract, sizeof abstract, "@%s/nobody", dir);
  check_refused ("an abstract name where nobody is", abstract, ECONNREFUSED);

  /* Paths.  The longest has no room for a NUL. */
  memset (name, 'y', sizeof name);
  name[PATH_SIZE] = '\0';
  check_name ("the longest path", name, PATH_SIZE, name);
  name[PATH_SIZE] = 'y';
  name[PATH_SIZE + 1] = '\0';
  check_refused ("a path that is too long", name, ENAMETOOLONG);
  check_refused ("a path that does not exist", "nobody", ENOENT);
  check_refused ("a file that is no socket", "/dev/null", ECONNREFUSED);
  check_name ("a relative path", "sock", 4, "sock");
  check_name ("a path with all kinds of characters", odd, sizeof odd - 1, odd);

  /* A file whose name begins with "@" is what is meant. */
  check_name ("a path that begins with @", "@sock", 5, "@sock");
  check_name ("the same as ./@", "@sock", 5, "./@sock");
  check_name ("in a URI @ is no more than itself", "@sock", 5,
              "nbd+unix:///?socket=@sock");
  {
    int fd = open ("@file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    MUST (fd);
    close (fd);
    check_refused ("a file that begins with @ and is no socket", "@file",
                   ECONNREFUSED);
    unlink ("@file");
  }
  MUST (chdir (here));
}

int
main (void)
{
  alarm (180);
  temp_dir ();
  tap_begin ();
  check_later ();
  check_never ();
  check_vanished ();
  check_steps ();
  check_names ();
  return tap_end ();
}
