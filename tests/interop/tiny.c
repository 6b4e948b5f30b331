/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"
#include "tiny.h"

#define MAX_CONNECTIONS 16

struct tiny {
  pthread_t thread;
  int stop[2];                  /* a pipe, closed when the end has come */
  int listener;
  uint8_t content;
  unsigned accepted;
  struct pollfd fds[2 + MAX_CONNECTIONS];
  nfds_t nfds;
};

static void
put (uint8_t *p, uint64_t v, size_t n)
{
  while (n-- > 0) {
    p[n] = v;
    v >>= 8;
  }
}

static uint64_t
get (const uint8_t *p, size_t n)
{
  uint64_t v = 0;

  while (n-- > 0)
    v = v << 8 | *p++;
  return v;
}

/* Accept what waits, and greet it. */
static void
welcome (struct tiny *t)
{
  int fd = accept4 (t->listener, NULL, NULL, SOCK_CLOEXEC);
  uint8_t greeting[152] = "NBDMAGIC";

  if (fd == -1)
    return;
  t->accepted++;
  put (greeting + 8, 0x00420281861253, 8);
  put (greeting + 16, TINY_SIZE, 8);
  put (greeting + 24, 1, 4);
  if (t->nfds == 2 + MAX_CONNECTIONS ||
      send (fd, greeting, sizeof greeting, MSG_NOSIGNAL) == -1) {
    close (fd);                 /* it has gone already */
    return;
  }
  t->fds[t->nfds++] = (struct pollfd) { .fd = fd, .events = POLLIN };
}

/* One request.  False when the connection is over. */
static bool
serve (struct tiny *t, int fd)
{
  uint8_t request[28], reply[16 + TINY_SIZE];
  size_t n;

  if (recv (fd, request, sizeof request, MSG_WAITALL) != sizeof request)
    return false;
  n = get (request + 24, 4);
  if (get (request + 6, 2) != 0 || n > TINY_SIZE)
    return false;               /* no read */
  put (reply, 0x67446698, 4);
  put (reply + 4, 0, 4);
  memcpy (reply + 8, request + 8, 8);
  memset (reply + 16, t->content, n);
  return send (fd, reply, 16 + n, MSG_NOSIGNAL) == (ssize_t) (16 + n);
}

static void *
run (void *opaque)
{
  struct tiny *t = opaque;

  while (poll (t->fds, t->nfds, -1) != -1 || errno == EINTR) {
    if (t->fds[0].revents)
      break;
    for (nfds_t i = t->nfds; i-- > 2; )
      if (t->fds[i].revents && !serve (t, t->fds[i].fd)) {
        close (t->fds[i].fd);
        t->fds[i] = t->fds[--t->nfds];
      }
    if (t->fds[1].revents)
      welcome (t);
  }
  return NULL;
}

struct tiny *
tiny_start (int listener, uint8_t content)
{
  struct tiny *t = calloc (1, sizeof *t);

  MUST_BE (t != NULL);
  MUST (pipe2 (t->stop, O_CLOEXEC));
  MUST (fcntl (listener, F_SETFL, fcntl (listener, F_GETFL) | O_NONBLOCK));
  t->listener = listener;
  t->content = content;
  t->fds[0] = (struct pollfd) { .fd = t->stop[0], .events = POLLIN };
  t->fds[1] = (struct pollfd) { .fd = listener, .events = POLLIN };
  t->nfds = 2;
  MUST_BE (pthread_create (&t->thread, NULL, run, t) == 0);
  return t;
}

unsigned
tiny_stop (struct tiny *t)
{
  unsigned accepted;
  int fd;

  close (t->stop[1]);
  pthread_join (t->thread, NULL);
  /* Connections that were made and are not greeted any more. */
  while ((fd = accept (t->listener, NULL, NULL)) != -1) {
    t->accepted++;
    close (fd);
  }
  accepted = t->accepted;
  for (nfds_t i = 2; i < t->nfds; i++)
    close (t->fds[i].fd);
  close (t->listener);
  close (t->stop[0]);
  free (t);
  return accepted;
}

int
listen_tcp (struct sockaddr_in *addr, int backlog)
{
  socklen_t len = sizeof *addr;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  MUST (fd);
  *addr = (struct sockaddr_in) { .sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  MUST (bind (fd, (struct sockaddr *) addr, len));
  MUST (getsockname (fd, (struct sockaddr *) addr, &len));
  if (backlog >= 0)
    MUST (listen (fd, backlog));
  return fd;
}

int
tiny_content (struct nbd_handle *h)
{
  uint8_t c;

  return nbd_pread (h, &c, 1, 0, 0) == -1 ? -1 : c;
}

void
fill_backlog (struct fillers *f, const void *addr, socklen_t len)
{
  const struct sockaddr *sa = addr;

  f->count = 0;
  for (;;) {
    int fd = socket (sa->sa_family,
                     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    MUST (fd);
    if (connect (fd, addr, len) == -1) {
      if (errno != EAGAIN)      /* as a Unix socket says */
        MUST_BE (errno == EINPROGRESS);
      /* A TCP socket does not become connected, which on this machine it would
       * in no time.
       */
      if (errno == EAGAIN || poll (&p, 1, 20) == 0) {
        close (fd);
        return;
      }
    }
    MUST_BE (f->count < MAX_FILLERS);
    f->fds[f->count++] = fd;
  }
}

void
drain_backlog (struct fillers *f, int listener)
{
  for (unsigned i = 0; i < f->count; i++) {
    int fd = accept (listener, NULL, NULL);

    MUST (fd);
    close (fd);
  }
  end_fillers (f);
}

void
end_fillers (struct fillers *f)
{
  for (unsigned i = 0; i < f->count; i++)
    close (f->fds[i]);
  f->count = 0;
}

unsigned
count_descriptors (const char *name)
{
  unsigned n = 0;

  for (int fd = 0; fd < 1024; fd++) {
    char link[64], target[64];
    ssize_t length;

    snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink (link, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    n += strncmp (target, name, strlen (name)) == 0;
  }
  return n;
}

uint64_t
socket_number (int fd)
{
  struct stat st;

  return fstat (fd, &st) == 0 && S_ISSOCK (st.st_mode) ? st.st_ino : 0;
}

bool
socket_is_open (uint64_t number)
{
  for (int fd = 0; fd < 1024; fd++)
    if (socket_number (fd) == number)
      return true;
  return false;
}

int64_t
now_ms (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
