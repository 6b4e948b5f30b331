/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connecting by name: the addresses of a host race, as RFC 8305 has it.  They
 * are tried in the resolver's order (RFC 6724) with the families taking turns,
 * each a quarter of a second after the one before, which goes on meanwhile.
 *
 * The program polls one descriptor: that of an epoll instance which holds the
 * sockets and the timer.  Where the system has none, addresses are tried in turn.
 */

#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

#if defined (HAVE_SYS_EPOLL_H) && defined (HAVE_SYS_TIMERFD_H)
#define CAN_RACE 1
#include <sys/epoll.h>
#include <sys/timerfd.h>
#else
#define CAN_RACE 0
#endif

#include "internal.h"

/* "Connection Attempt Delay" */
#define DELAY_MS 250

struct attempt {
  struct addrinfo *ai;
  int fd;                       /* -1: not begun, or over */
  int errnum;                   /* why it failed */
};

struct addresses {
  char *hostname, *port;        /* as the caller named them */
  struct addrinfo *all;         /* as the resolver returned them */
  struct attempt *attempts;     /* in the order in which they are tried */
  size_t count, next;
  int epoll_fd, timer_fd;       /* -1: one at a time */
};

static void
release (struct addresses *a)
{
  if (a == NULL)
    return;
  for (size_t i = 0; i < a->count; i++)
    if (a->attempts[i].fd >= 0)
      close (a->attempts[i].fd);
  if (a->timer_fd >= 0)
    close (a->timer_fd);
  if (a->epoll_fd >= 0)
    close (a->epoll_fd);
  if (a->all)
    freeaddrinfo (a->all);
  free (a->attempts);
  free (a->hostname);
  free (a->port);
  free (a);
}

/* While there are addresses, the descriptor of the handle is theirs. */
void
addresses_free (struct nbd_handle *h)
{
  if (h->addresses == NULL)
    return;
  release (h->addresses);
  h->addresses = NULL;
  h->fd = -1;
}

/* The families take turns, beginning with the one that the resolver prefers. */
static int
order_attempts (struct addresses *a)
{
  struct addrinfo *first = a->all, *second = a->all;
  int family = a->all->ai_family;
  size_t n = 0;

  for (struct addrinfo *ai = a->all; ai; ai = ai->ai_next)
    n++;
  a->attempts = calloc (n, sizeof *a->attempts);
  if (a->attempts == NULL)
    return -1;
  while (a->count < n) {
    while (first && first->ai_family != family)
      first = first->ai_next;
    if (first) {
      a->attempts[a->count++] = (struct attempt) { .ai = first, .fd = -1 };
      first = first->ai_next;
    }
    while (second && second->ai_family == family)
      second = second->ai_next;
    if (second) {
      a->attempts[a->count++] = (struct attempt) { .ai = second, .fd = -1 };
      second = second->ai_next;
    }
  }
  return 0;
}

/* "HOST: why" of each address that failed. */
static void
describe_failures (const struct addresses *a, char *buf, size_t size)
{
  size_t n = 0;

  for (size_t i = 0; i < a->next && n < size; i++) {
    const struct addrinfo *ai = a->attempts[i].ai;
    char host[64];

    if (getnameinfo (ai->ai_addr, ai->ai_addrlen, host, sizeof host, NULL, 0,
                     NI_NUMERICHOST) != 0)
      strcpy (host, "?");
    n += snprintf (buf + n, size - n, "%s%s: %s", i ? ", " : "", host,
                   strerror (a->attempts[i].errnum));
  }
}

/* None of them could be reached. */
static void
fail_all (struct nbd_handle *h, int errnum)
{
  struct addresses *a = h->addresses;
  char list[3500] = "";         /* an error has room for 4096 bytes */

  h->addresses = NULL;          /* the text of the error outlives it */
  h->fd = -1;
  h->unreached = true;
  if (a->count > 1) {
    describe_failures (a, list, sizeof list);
    fail (h, errnum, "connect: %s:%s: could not connect to remote host (%s)",
          a->hostname, a->port, list);
  }
  else
    fail (h, errnum, "connect: %s:%s: could not connect to remote host",
          a->hostname, a->port);
  release (a);
}

/* An attempt won. */
static void
won (struct nbd_handle *h, struct attempt *attempt)
{
  int fd = attempt->fd;

  attempt->fd = -1;
  addresses_free (h);           /* and all others */
  if (connect_done (h, fd, &socket_transport) == -1) {
    close (fd);
    fail (h, errno, "fcntl");
  }
}

#if CAN_RACE
static int
set_timer (struct addresses *a, bool on)
{
  struct itimerspec t = { .it_value.tv_nsec = on ? DELAY_MS * 1000000L : 0 };

  return timerfd_settime (a->timer_fd, 0, &t, NULL);
}

/* More than one address: let them be watched through one descriptor. */
static int
prepare_race (struct nbd_handle *h)
{
  struct addresses *a = h->addresses;
  struct epoll_event ev = { .events = EPOLLIN, .data.u64 = UINT64_MAX };

  a->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  a->timer_fd = timerfd_create (CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (a->epoll_fd == -1 || a->timer_fd == -1 ||
      epoll_ctl (a->epoll_fd, EPOLL_CTL_ADD, a->timer_fd, &ev) == -1)
    return -1;
  h->fd = a->epoll_fd;
  return 0;
}

static int
watch (struct addresses *a, size_t i)
{
  struct epoll_event ev = { .events = EPOLLOUT, .data.u64 = i };

  return epoll_ctl (a->epoll_fd, EPOLL_CTL_ADD, a->attempts[i].fd, &ev);
}
#endif

static bool
is_racing (const struct addresses *a)
{
  return a && a->epoll_fd >= 0;
}

bool
addresses_race (const struct nbd_handle *h)
{
  return is_racing (h->addresses);
}

static bool
any_pending (const struct addresses *a)
{
  for (size_t i = 0; i < a->next; i++)
    if (a->attempts[i].fd >= 0)
      return true;
  return false;
}

/* Begin the next attempt, or the one after it if that fails at once.  False when
 * the race is over, one way or the other.
 */
static bool
begin_next (struct nbd_handle *h)
{
  struct addresses *a = h->addresses;
  int errnum = 0;

  while (a->next < a->count) {
    struct attempt *attempt = &a->attempts[a->next++];
    bool connected;

    attempt->fd = connect_begin (h, attempt->ai->ai_addr,
                                 attempt->ai->ai_addrlen, &connected);
    if (attempt->fd >= 0 && connected) {
      won (h, attempt);
      return false;
    }
    if (attempt->fd >= 0) {
#if CAN_RACE
      if (is_racing (a)) {
        if (watch (a, a->next - 1) == 0 &&
            set_timer (a, a->next < a->count) == 0)
          return true;
      }
      else
#endif
      {
        h->fd = attempt->fd;
        return true;
      }
      close (attempt->fd);
      attempt->fd = -1;
    }
    attempt->errnum = errnum = errno;
    debug (h, "connect: %s", strerror (errnum));
  }
  if (any_pending (a))
    return true;
  for (size_t i = 0; i < a->next; i++)
    if (a->attempts[i].errnum)
      errnum = a->attempts[i].errnum;
  fail_all (h, errnum);
  return false;
}

/* Something happened on the socket of an attempt.  False when it is the end of
 * the race.
 */
static bool
look_at (struct nbd_handle *h, struct attempt *attempt)
{
  int err = connect_result (attempt->fd);

  if (err == EINPROGRESS)
    return true;
  if (err == 0) {
    won (h, attempt);
    return false;
  }
  debug (h, "connect: %s", strerror (err));
  close (attempt->fd);
  attempt->fd = -1;
  attempt->errnum = err;
  return begin_next (h);
}

void
addresses_progress (struct nbd_handle *h)
{
  struct addresses *a = h->addresses;

#if CAN_RACE
  if (is_racing (a)) {
    struct epoll_event events[8];
    int n;

    /* All that have happened: a loop that is edge-triggered is told once. */
    do {
      n = epoll_wait (a->epoll_fd, events, COUNT (events), 0);
      for (int i = 0; i < n; i++) {
        uint64_t which = events[i].data.u64, expirations;

        if (which != UINT64_MAX) {
          if (a->attempts[which].fd >= 0 && !look_at (h, &a->attempts[which]))
            return;
        }
        else if (read (a->timer_fd, &expirations, sizeof expirations) > 0 &&
                 !begin_next (h))
          return;
      }
    } while (n == (int) COUNT (events));
    return;
  }
#endif
  look_at (h, &a->attempts[a->next - 1]);
}

/* Of a number that is no port some resolvers take what fits into 16 bits. */
static bool
is_beyond_ports (const char *port)
{
  return *port && port[strspn (port, "0123456789")] == '\0' &&
    strtoul (port, NULL, 10) > UINT16_MAX;
}

int
api_aio_connect_tcp (struct nbd_handle *h, const char *hostname,
                     const char *port)
{
  struct addrinfo hints = {
    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
  };
  struct addresses *a = calloc (1, sizeof *a);
  char number[NI_MAXSERV];
  int err;

  if (is_beyond_ports (port)) {
    error_set (h, EINVAL, "port %s is above 65535", port);
    free (a);
    return -1;
  }
  if (a) {
    a->epoll_fd = a->timer_fd = -1;
    a->hostname = strdup (hostname);
    a->port = strdup (port);
  }
  if (a == NULL || a->hostname == NULL || a->port == NULL) {
    error_set (h, ENOMEM, "strdup");
    release (a);
    return -1;
  }
  err = getaddrinfo (hostname, port, &hints, &a->all);
  if (err != 0) {
    error_set (h, err == EAI_SYSTEM ? errno : 0,
               "getaddrinfo: hostname \"%s\" port \"%s\": %s",
               hostname, port, gai_strerror (err));
    release (a);
    return -1;
  }
  if (order_attempts (a) == -1) {
    error_set (h, errno, "malloc");
    release (a);
    return -1;
  }
  h->addresses = a;
  h->unreached = false;
  /* A URI has no names of services. */
  if (getnameinfo (a->all->ai_addr, a->all->ai_addrlen, NULL, 0, number,
                   sizeof number, NI_NUMERICSERV) == 0)
    uri_remember_tcp (h, hostname, number);
  else
    uri_parts_free (h);
  h->uri.named = strdup (hostname);
  if (h->uri.named == NULL) {
    error_set (h, errno, "strdup");
    addresses_free (h);
    return -1;
  }
#if CAN_RACE
  if (a->count > 1 && prepare_race (h) == -1) {
    error_set (h, errno, "epoll");
    addresses_free (h);
    return -1;
  }
#endif
  expect (h, STATE_CONNECT, NULL, 0);
  begin_next (h);
  if (h->unreached)
    expect (h, STATE_START, NULL, 0);   /* as good as new */
  h->unreached = false;
  return h->state == STATE_START || h->state == STATE_DEAD ? -1 : 0;
}
