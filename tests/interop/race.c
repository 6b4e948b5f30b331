/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The addresses of a host race, as RFC 8305 has it.  The program is its own
 * resolver, so that a host has whatever addresses a case wants, of the blocks
 * that are for documentation.  Where they lead is decided here, too: to a
 * server, to a port at which nobody listens, to a server whose backlog is
 * full, which swallows packets, or to an error at once.  The library calls the
 * functions that are defined here.
 */

#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"
#include "tiny.h"

#define HOST "several.example"
#define PORT "10809"
#define MAX_PLACES 128

#define READ LIBNBD_AIO_DIRECTION_READ
#define WRITE LIBNBD_AIO_DIRECTION_WRITE

/* No case waits longer, and a dead address costs much more where nothing
 * races: more than two minutes.
 */
#define PATIENCE_MS 20000

enum kind { ALIVE, REFUSING, SWALLOWING, FAILING };

struct place {
  struct sockaddr_storage shown;        /* to the library */
  socklen_t len;
  struct sockaddr_in target;            /* where it leads */
  enum kind kind;
  int errnum;                           /* FAILING */
  int socket;                           /* REFUSING, SWALLOWING */
  struct fillers fillers;               /* SWALLOWING */
  struct tiny *server;                  /* ALIVE */
  unsigned begun;                       /* attempts, in all */
  uint64_t number;                      /* of the socket of the last one */
  int fd;
  int64_t when;
};

static struct place places[MAX_PLACES];
static unsigned nr_places;
static struct addrinfo answer[MAX_PLACES];
static int resolver_error, resolver_errno;
static unsigned nr_resolved, nr_freed;

/* Attempts, in order. */
static unsigned order[MAX_PLACES], nr_begun;
static unsigned nr_abandoned;           /* others that were not open then */

int
getaddrinfo (const char *host, const char *service,
             const struct addrinfo *hints, struct addrinfo **result)
{
  nr_resolved++;
  MUST_BE (strcmp (host, HOST) == 0 && strcmp (service, PORT) == 0 &&
           hints && hints->ai_socktype == SOCK_STREAM &&
           hints->ai_family == AF_UNSPEC);
  if (resolver_error) {
    errno = resolver_errno;
    return resolver_error;
  }
  for (unsigned i = 0; i < nr_places; i++)
    answer[i] = (struct addrinfo) {
      .ai_family = places[i].shown.ss_family, .ai_socktype = SOCK_STREAM,
      .ai_addrlen = places[i].len,
      .ai_addr = (struct sockaddr *) &places[i].shown,
      .ai_next = i + 1 < nr_places ? &answer[i + 1] : NULL,
    };
  *result = answer;
  return 0;
}

void
freeaddrinfo (struct addrinfo *result)
{
  MUST_BE (result == answer);
  nr_freed++;
}

/* The name is in the way of a prototype that differs between systems. */
int divert_connect (int fd, const struct sockaddr *addr, socklen_t len)
  __asm__ ("connect");

int
divert_connect (int fd, const struct sockaddr *addr, socklen_t len)
{
  for (unsigned i = 0; i < nr_places; i++) {
    struct place *p = &places[i];
    struct sockaddr_in6 mapped = { .sin6_family = AF_INET6,
                                   .sin6_port = p->target.sin_port };

    if (len != p->len || memcmp (addr, &p->shown, len) != 0)
      continue;
    for (unsigned j = 0; j < nr_begun; j++) {
      const struct place *earlier = &places[order[j]];

      if (earlier->kind == SWALLOWING && !socket_is_open (earlier->number))
        nr_abandoned++;
    }
    MUST_BE (nr_begun < MAX_PLACES);
    order[nr_begun++] = i;
    p->begun++;
    p->fd = fd;
    p->number = socket_number (fd);
    p->when = now_ms ();
    if (p->kind == FAILING) {
      errno = p->errnum;
      return -1;
    }
    if (addr->sa_family == AF_INET)
      return syscall (SYS_connect, fd, &p->target, sizeof p->target);
    inet_pton (AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    return syscall (SYS_connect, fd, &mapped, sizeof mapped);
  }
  return syscall (SYS_connect, fd, addr, len);
}

/* Another address of the host. */
static struct place *
add (const char *address, enum kind kind, int errnum)
{
  struct place *p = &places[nr_places++];
  struct sockaddr_in *in = (struct sockaddr_in *) &p->shown;
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) &p->shown;

  MUST_BE (nr_places <= MAX_PLACES);
  *p = (struct place) { .kind = kind, .errnum = errnum, .socket = -1 };
  if (strchr (address, ':')) {
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons (10809);
    MUST_BE (inet_pton (AF_INET6, address, &in6->sin6_addr) == 1);
    p->len = sizeof *in6;
  }
  else {
    in->sin_family = AF_INET;
    in->sin_port = htons (10809);
    MUST_BE (inet_pton (AF_INET, address, &in->sin_addr) == 1);
    p->len = sizeof *in;
  }
  if (kind == ALIVE)
    p->server = tiny_start (listen_tcp (&p->target, 16), nr_places);
  else if (kind == REFUSING)
    p->socket = listen_tcp (&p->target, -1);
  else if (kind == SWALLOWING) {
    p->socket = listen_tcp (&p->target, 0);
    fill_backlog (&p->fillers, &p->target, sizeof p->target);
  }
  return p;
}

/* Before the next connection. */
static void
forget (void)
{
  nr_resolved = nr_freed = nr_begun = nr_abandoned = 0;
  for (unsigned i = 0; i < nr_places; i++)
    places[i].number = 0;
}

/* Before the next host: nothing may be left of this one. */
static void
leave (const char *what)
{
  unsigned open = 0, wrong = 0;

  for (unsigned i = 0; i < nr_places; i++) {
    struct place *p = &places[i];

    open += p->number && socket_is_open (p->number);
    if (p->server)
      wrong += tiny_stop (p->server) != p->begun;
    end_fillers (&p->fillers);
    if (p->socket != -1)
      close (p->socket);
  }
  is_int (open, 0, "%s: no socket is left", what);
  is_int (count_descriptors ("anon_inode:"), 0,
          "%s: no other descriptor is left", what);
  is_int (nr_freed, nr_resolved, "%s: the addresses are freed once", what);
  is_int (wrong, 0, "%s: no server had more connections than attempts", what);
  nr_places = 0;
  resolver_error = 0;
  forget ();
}

/* Ways to connect. */

static int
connect_tcp (struct nbd_handle *h)
{
  return nbd_connect_tcp (h, HOST, PORT);
}

static int
connect_uri (struct nbd_handle *h)
{
  return nbd_connect_uri (h, "nbd://" HOST);
}

/* Begin, and let a loop do the rest. */
static int
drive (struct nbd_handle *h, int (*turn) (struct nbd_handle *h))
{
  const int64_t end = now_ms () + PATIENCE_MS;
  int r = nbd_aio_connect_tcp (h, HOST, PORT);

  while (r != -1 && nbd_aio_is_connecting (h)) {
    MUST_BE (now_ms () < end);
    r = turn (h);
  }
  return r == -1 ? -1 : 0;
}

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
turn_poll (struct nbd_handle *h)
{
  const unsigned direction = nbd_aio_get_direction (h);
  struct pollfd p = { .fd = nbd_aio_get_fd (h) };
  const short trouble = POLLHUP | POLLERR;

  MUST (p.fd);
  p.events = (direction & READ ? POLLIN : 0) |
    (direction & WRITE ? POLLOUT : 0);
  MUST (poll (&p, 1, PATIENCE_MS));
  return notify (h, p.revents & (POLLIN | trouble),
                 p.revents & (POLLOUT | trouble));
}

/* An epoll instance of the program, in which the descriptor of the handle is
 * registered anew when it is another: its link in /proc tells.
 */
static int epoll_fd = -1;
static char epoll_member[64];

static void
epoll_end (void)
{
  if (epoll_fd != -1)
    close (epoll_fd);
  epoll_fd = -1;
  epoll_member[0] = '\0';
}

static int
turn_epoll_with (struct nbd_handle *h, uint32_t mode, bool again)
{
  const unsigned direction = nbd_aio_get_direction (h);
  const int fd = nbd_aio_get_fd (h);
  struct epoll_event e = { .events = mode | (direction & READ ? EPOLLIN : 0) |
                                     (direction & WRITE ? EPOLLOUT : 0) };
  const uint32_t trouble = EPOLLHUP | EPOLLERR;
  char link[64], member[64];
  ssize_t n;

  MUST (fd);
  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  n = readlink (link, member, sizeof member - 1);
  member[n > 0 ? n : 0] = '\0';
  if (strcmp (member, epoll_member) != 0) {
    epoll_end ();
    strcpy (epoll_member, member);
    epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
    MUST (epoll_fd);
    if (!again)
      e.events = mode | EPOLLIN | EPOLLOUT;
    MUST (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &e));
  }
  else if (again)
    MUST (epoll_ctl (epoll_fd, EPOLL_CTL_MOD, fd, &e));
  if (epoll_wait (epoll_fd, &e, 1, PATIENCE_MS) < 1)
    return 0;
  return notify (h, e.events & (EPOLLIN | trouble),
                 e.events & (EPOLLOUT | trouble));
}

static int
turn_epoll (struct nbd_handle *h)
{
  return turn_epoll_with (h, 0, true);
}

/* By edge, and told once. */
static int
turn_epoll_edge (struct nbd_handle *h)
{
  return turn_epoll_with (h, EPOLLET, false);
}

static int
turn_nbd_poll (struct nbd_handle *h)
{
  return nbd_poll (h, PATIENCE_MS);
}

/* Many of these come too early. */
static int
turn_nbd_poll_often (struct nbd_handle *h)
{
  return nbd_poll (h, 1);
}

static int
turn_nbd_poll2 (struct nbd_handle *h)
{
  return nbd_poll2 (h, -1, PATIENCE_MS);
}

static int
connect_poll (struct nbd_handle *h)
{
  return drive (h, turn_poll);
}

static int
connect_epoll (struct nbd_handle *h)
{
  return drive (h, turn_epoll);
}

static int
connect_epoll_edge (struct nbd_handle *h)
{
  return drive (h, turn_epoll_edge);
}

static int
connect_nbd_poll (struct nbd_handle *h)
{
  return drive (h, turn_nbd_poll);
}

static int
connect_nbd_poll_often (struct nbd_handle *h)
{
  return drive (h, turn_nbd_poll_often);
}

static int
connect_nbd_poll2 (struct nbd_handle *h)
{
  return drive (h, turn_nbd_poll2);
}

static const struct way {
  const char *name;
  int (*connect) (struct nbd_handle *h);
  bool waits;                   /* until the end, in the call itself */
  const char *function;         /* that fails */
} ways[] = {
  { "nbd_connect_tcp", connect_tcp, true, "nbd_connect_tcp" },
  { "nbd_connect_uri", connect_uri, true, "nbd_connect_uri" },
  { "poll", connect_poll, false, "nbd_aio_notify_read" },
  { "epoll by level", connect_epoll, false, "nbd_aio_notify_read" },
  { "epoll by edge", connect_epoll_edge, false, "nbd_aio_notify_read" },
  { "nbd_poll", connect_nbd_poll, false, "nbd_poll" },
  { "nbd_poll, often", connect_nbd_poll_often, false, "nbd_poll" },
  { "nbd_poll2", connect_nbd_poll2, false, "nbd_poll2" },
};

#define NR_WAYS (sizeof ways / sizeof ways[0])

/* The attempts as the numbers of the addresses, from 1. */
static const char *
attempts (void)
{
  static char text[MAX_PLACES * 4];
  size_t n = 0;

  text[0] = '\0';
  for (unsigned i = 0; i < nr_begun; i++)
    n += snprintf (text + n, sizeof text - n, "%s%u", i ? " " : "",
                   order[i] + 1);
  return text;
}

/* The descriptor of a handle that is connected is a socket. */
static bool
has_socket_of (struct nbd_handle *h, const struct place *p)
{
  return socket_number (nbd_aio_get_fd (h)) == p->number;
}

/* Every way to connect leads to the server at the address WINNER, from 1. */
static void
check_won (const char *what, unsigned winner, const char *want_attempts)
{
  for (size_t w = 0; w < NR_WAYS; w++) {
    struct nbd_handle *h = new_handle ();
    int64_t start = now_ms ();
    unsigned open = 0;
    bool early = false;

    forget ();
    is_int (ways[w].connect (h), 0, "%s, %s: connected", what, ways[w].name);
    epoll_end ();
    ok (now_ms () - start < PATIENCE_MS, "%s, %s: before long", what,
        ways[w].name);
    is_str (attempts (), want_attempts, "%s, %s: the attempts", what,
            ways[w].name);
    is_int (nr_abandoned, 0, "%s, %s: the earlier ones go on meanwhile", what,
            ways[w].name);
    for (unsigned i = 1; i < nr_begun; i++)
      early |= places[order[i - 1]].kind == SWALLOWING &&
        places[order[i]].when - places[order[i - 1]].when < 240;
    ok (!early, "%s, %s: none begins too early", what, ways[w].name);
    ok (has_socket_of (h, &places[winner - 1]),
        "%s, %s: the descriptor is the socket of the winner", what,
        ways[w].name);
    for (unsigned i = 0; i < nr_places; i++)
      open += places[i].number && socket_is_open (places[i].number);
    is_int (open, 1, "%s, %s: the other sockets are closed", what,
            ways[w].name);
    is_int (count_descriptors ("anon_inode:"), 0,
            "%s, %s: and so is what watched them", what, ways[w].name);
    is_int (nr_resolved, 1, "%s, %s: the host is looked up once", what,
            ways[w].name);
    is_int (nr_freed, 1, "%s, %s: and its addresses are freed", what,
            ways[w].name);
    is_int (tiny_content (h), winner, "%s, %s: the winner is read from", what,
            ways[w].name);
    {
      char *uri = nbd_get_uri (h);

      is_str (uri, "nbd://" HOST ":" PORT "/", "%s, %s: it has the URI", what,
              ways[w].name);
      free (uri);
    }
    disconnect (h);
  }
  forget ();
  leave (what);
}

/* No way to connect leads anywhere. */
static void
check_lost (const char *what, int errnum, const char *want_attempts,
            const char *reasons)
{
  struct sockaddr_in addr;
  struct tiny *other = tiny_start (listen_tcp (&addr, 16), 200);
  char port[16];

  snprintf (port, sizeof port, "%u", ntohs (addr.sin_port));
  for (size_t w = 0; w < NR_WAYS; w++) {
    struct nbd_handle *h = new_handle ();
    int64_t start = now_ms ();
    char text[8192];
    unsigned open = 0;
    bool created;

    forget ();
    is_int (ways[w].connect (h), -1, "%s, %s: fails", what, ways[w].name);
    epoll_end ();
    is_int (nbd_get_errno (), errnum, "%s, %s: with the last error", what,
            ways[w].name);
    ok (now_ms () - start < PATIENCE_MS, "%s, %s: before long", what,
        ways[w].name);
    created = nbd_aio_is_created (h);
    snprintf (text, sizeof text,
              "%s: connect: %s:%s: could not connect to remote host%s%s%s: %s",
              ways[w].waits || !created ? ways[w].function :
              "nbd_aio_connect_tcp", HOST, PORT, *reasons ? " (" : "", reasons,
              *reasons ? ")" : "", strerror (errnum));
    is_str (nbd_get_error (), text,
            "%s, %s: the text has each address and its reason", what,
            ways[w].name);
    is_str (attempts (), want_attempts, "%s, %s: the attempts", what,
            ways[w].name);
    for (unsigned i = 0; i < nr_places; i++)
      open += places[i].number && socket_is_open (places[i].number);
    is_int (open, 0, "%s, %s: all sockets are closed", what, ways[w].name);
    is_int (count_descriptors ("anon_inode:"), 0,
            "%s, %s: and so is what watched them", what, ways[w].name);
    is_int (nbd_aio_get_fd (h), -1, "%s, %s: the handle has no descriptor",
            what, ways[w].name);
    is_int (nbd_aio_get_direction (h), 0, "%s, %s: and no direction", what,
            ways[w].name);
    is_int (nr_freed, 1, "%s, %s: the addresses are freed once", what,
            ways[w].name);
    if (ways[w].waits)
      ok (created, "%s, %s: the handle is as new", what, ways[w].name);
    else
      ok (created != nbd_aio_is_dead (h),
          "%s, %s: the handle is as new, or dead", what, ways[w].name);
    if (created) {
      nr_begun = 0;
      is_int (nbd_connect_tcp (h, HOST, PORT), -1,
              "%s, %s: it can be tried again", what, ways[w].name);
      is_int (nbd_aio_is_created (h), 1, "%s, %s: and is as new again", what,
              ways[w].name);
      MUST_BE (nr_resolved == 2);
      is_int (nbd_aio_connect (h, (struct sockaddr *) &addr, sizeof addr), 0,
              "%s, %s: and can be connected elsewhere", what, ways[w].name);
      while (nbd_aio_is_connecting (h))
        MUST (nbd_poll (h, -1));
      is_int (tiny_content (h), 200, "%s, %s: and read from", what,
              ways[w].name);
    }
    nbd_close (h);
  }
  tiny_stop (other);
  forget ();
  leave (what);
}

/* In which order? */

static void
check_order (void)
{
  add ("192.0.2.1", FAILING, ENETUNREACH);
  add ("192.0.2.2", FAILING, EHOSTUNREACH);
  add ("192.0.2.3", FAILING, ENETDOWN);
  check_lost ("one family", ENETDOWN, "1 2 3",
              "192.0.2.1: Network is unreachable, "
              "192.0.2.2: No route to host, 192.0.2.3: Network is down");

  add ("192.0.2.1", FAILING, ENETUNREACH);
  add ("192.0.2.2", FAILING, EHOSTUNREACH);
  add ("2001:db8::1", FAILING, EACCES);
  add ("2001:db8::2", FAILING, ENETDOWN);
  add ("2001:db8::3", FAILING, ETIMEDOUT);
  check_lost ("IPv4 first", ETIMEDOUT, "1 3 2 4 5",
              "192.0.2.1: Network is unreachable, "
              "2001:db8::1: Permission denied, 192.0.2.2: No route to host, "
              "2001:db8::2: Network is down, "
              "2001:db8::3: Connection timed out");

  add ("2001:db8::1", FAILING, EACCES);
  add ("2001:db8::2", FAILING, ENETDOWN);
  add ("2001:db8::3", FAILING, ETIMEDOUT);
  add ("192.0.2.1", FAILING, ENETUNREACH);
  add ("192.0.2.2", FAILING, EHOSTUNREACH);
  check_lost ("IPv6 first", ETIMEDOUT, "1 4 2 5 3",
              "2001:db8::1: Permission denied, "
              "192.0.2.1: Network is unreachable, "
              "2001:db8::2: Network is down, 192.0.2.2: No route to host, "
              "2001:db8::3: Connection timed out");

  add ("2001:db8::1", FAILING, EACCES);
  add ("192.0.2.1", FAILING, ENETUNREACH);
  add ("2001:db8::2", FAILING, ENETDOWN);
  add ("2001:db8::3", FAILING, ETIMEDOUT);
  add ("192.0.2.2", FAILING, EHOSTUNREACH);
  check_lost ("mixed by the resolver", ETIMEDOUT, "1 2 3 5 4",
              "2001:db8::1: Permission denied, "
              "192.0.2.1: Network is unreachable, "
              "2001:db8::2: Network is down, 192.0.2.2: No route to host, "
              "2001:db8::3: Connection timed out");

  add ("192.0.2.1", FAILING, ECONNREFUSED);
  check_lost ("only one address", ECONNREFUSED, "1", "");

  add ("192.0.2.1", REFUSING, 0);
  add ("2001:db8::1", FAILING, ENETUNREACH);
  add ("192.0.2.2", REFUSING, 0);
  check_lost ("some fail later", ECONNREFUSED, "1 2 3",
              "192.0.2.1: Connection refused, "
              "2001:db8::1: Network is unreachable, "
              "192.0.2.2: Connection refused");

  add ("192.0.2.1", REFUSING, 0);
  add ("192.0.2.2", FAILING, EHOSTUNREACH);
  check_lost ("the last fails first", EHOSTUNREACH, "1 2",
              "192.0.2.1: Connection refused, 192.0.2.2: No route to host");
}

/* A host of so many addresses that waiting after each of them shows. */
static void
add_refusing (unsigned n)
{
  for (unsigned i = 1; i <= n; i++) {
    char address[32];

    snprintf (address, sizeof address, "198.51.100.%u", i);
    add (address, REFUSING, 0);
  }
}

static void
check_many (void)
{
  char want[1024] = "", reasons[4096] = "";
  size_t n = 0, m = 0;

  for (unsigned i = 1; i <= 100; i++) {
    n += snprintf (want + n, sizeof want - n, "%s%u", i > 1 ? " " : "", i);
    m += snprintf (reasons + m, sizeof reasons - m,
                   "%s198.51.100.%u: Connection refused", i > 1 ? ", " : "",
                   i);
  }
  add_refusing (100);
  check_lost ("a hundred refuse", ECONNREFUSED, want, reasons);

  add_refusing (100);
  add ("192.0.2.1", ALIVE, 0);
  strcat (want, " 101");
  check_won ("a hundred refuse before the server", 101, want);
}

/* Dead ones first. */

static void
check_dead (void)
{
  add ("192.0.2.1", ALIVE, 0);
  check_won ("one address", 1, "1");

  add ("192.0.2.1", ALIVE, 0);
  add ("192.0.2.2", SWALLOWING, 0);
  check_won ("the first is the server", 1, "1");

  add ("192.0.2.1", SWALLOWING, 0);
  add ("192.0.2.2", ALIVE, 0);
  check_won ("the first swallows", 2, "1 2");

  add ("2001:db8::1", SWALLOWING, 0);
  add ("192.0.2.1", ALIVE, 0);
  check_won ("IPv6 is dead", 2, "1 2");

  add ("192.0.2.1", SWALLOWING, 0);
  add ("2001:db8::1", ALIVE, 0);
  check_won ("IPv4 is dead", 2, "1 2");

  add ("2001:db8::1", SWALLOWING, 0);
  add ("2001:db8::2", SWALLOWING, 0);
  add ("192.0.2.1", SWALLOWING, 0);
  add ("192.0.2.2", ALIVE, 0);
  check_won ("all but the last swallow", 4, "1 3 2 4");

  /* At once when one fails, in whatever way and while another goes on. */
  add ("192.0.2.1", SWALLOWING, 0);
  add_refusing (60);
  for (unsigned i = 1; i <= 60; i++) {
    char address[32];

    snprintf (address, sizeof address, "203.0.113.%u", i);
    add (address, FAILING, i % 2 ? ENETUNREACH : EHOSTUNREACH);
  }
  add ("192.0.2.2", ALIVE, 0);
  {
    char want[1024] = "1";

    for (unsigned i = 2; i <= 122; i++)
      sprintf (want + strlen (want), " %u", i);
    check_won ("one swallows and the others fail", 122, want);
  }

  add ("2001:db8::1", FAILING, ENETUNREACH);
  add ("192.0.2.1", SWALLOWING, 0);
  add ("2001:db8::2", REFUSING, 0);
  add ("192.0.2.2", REFUSING, 0);
  add ("192.0.2.3", ALIVE, 0);
  check_won ("of each kind", 5, "1 2 3 4 5");
}

/* The race step by step. */

static struct nbd_handle *
begin (void)
{
  struct nbd_handle *h = new_handle ();

  forget ();
  MUST (nbd_aio_connect_tcp (h, HOST, PORT));
  return h;
}

static void
poll_until_begun (struct nbd_handle *h, unsigned n)
{
  const int64_t end = now_ms () + PATIENCE_MS;

  while (nr_begun < n && nbd_aio_is_connecting (h)) {
    MUST_BE (now_ms () < end);
    MUST (nbd_poll (h, 1000));
  }
  MUST_BE (nr_begun == n);
}

static void
finish (struct nbd_handle *h)
{
  const int64_t end = now_ms () + PATIENCE_MS;

  while (nbd_aio_is_connecting (h)) {
    MUST_BE (now_ms () < end);
    if (nbd_poll (h, 1000) == -1)
      break;
  }
}

/* Let the server that swallowed packets serve. */
static void
revive (struct place *p)
{
  drain_backlog (&p->fillers, p->socket);
  MUST (listen (p->socket, 16));
  p->server = tiny_start (p->socket, p - places + 1);
  p->socket = -1;
}

/* The attempt fails, now. */
static void
cut (struct place *p)
{
  shutdown (p->fd, SHUT_RDWR);
}

static void
check_steps (void)
{
  struct nbd_handle *h;
  int fd;

  add ("192.0.2.1", SWALLOWING, 0);
  add ("192.0.2.2", SWALLOWING, 0);
  add ("192.0.2.3", SWALLOWING, 0);
  h = begin ();
  fd = nbd_aio_get_fd (h);
  is_int (nr_begun, 1, "steps: the call begins one attempt");
  is_int (nbd_aio_is_connecting (h), 1, "steps: the handle is connecting");
  is_int (nbd_aio_get_direction (h), READ, "steps: it is to be read from");
  is_int (socket_number (fd), 0, "steps: its descriptor is no socket");
  is_int (fcntl (fd, F_GETFD), FD_CLOEXEC, "steps: and not inherited");
  is_int (nbd_aio_notify_write (h), -1, "steps: it is not to be written to");
  is_int (nbd_get_errno (), EINVAL, "steps: which is EINVAL");
  is_int (nbd_aio_notify_read (h), 0, "steps: a read too early is no error");
  is_int (nbd_poll (h, 0), 0, "steps: nbd_poll times out");
  is_int (nbd_poll2 (h, -1, 0), 0, "steps: and so does nbd_poll2");
  is_int (nr_begun, 1, "steps: all of which begins nothing");
  is_int (nbd_poll (h, PATIENCE_MS), 1, "steps: then something happens");
  is_int (nr_begun, 2, "steps: the second attempt");
  is_int (nbd_aio_get_fd (h), fd, "steps: the descriptor is the same");
  is_int (nbd_aio_get_direction (h), READ, "steps: and so is the direction");
  cut (&places[0]);
  is_int (nbd_poll (h, PATIENCE_MS), 1, "steps: when the first fails");
  is_int (nr_begun, 3, "steps: the third is begun at once");
  ok (!socket_is_open (places[0].number) && socket_is_open (places[1].number),
      "steps: and the second goes on");
  is_int (nbd_poll (h, 400), 0, "steps: then there is nothing to begin");
  is_int (nbd_aio_is_connecting (h), 1, "steps: it is connecting as before");
  cut (&places[1]);
  is_int (nbd_poll (h, PATIENCE_MS), 1, "steps: the second fails");
  is_int (nbd_aio_is_connecting (h), 1, "steps: the third goes on");
  is_int (nbd_poll (h, 0), 0, "steps: and nothing else happens");
  cut (&places[2]);
  is_int (nbd_poll (h, PATIENCE_MS), -1, "steps: the last fails");
  is_int (nbd_get_errno (), ECONNRESET, "steps: with its error");
  is_int (nbd_aio_is_dead (h), 1, "steps: the handle is dead");
  is_int (nbd_aio_get_fd (h), -1, "steps: and has no descriptor");
  is_int (nbd_connect_tcp (h, HOST, PORT), -1, "steps: it cannot connect");
  is_int (nbd_get_errno (), EINVAL, "steps: which is EINVAL");
  nbd_close (h);
  leave ("steps");

  /* An earlier attempt may still win. */
  for (unsigned i = 0; i < 3; i++) {
    add ("2001:db8::1", SWALLOWING, 0);
    add ("192.0.2.1", SWALLOWING, 0);
    add ("192.0.2.2", SWALLOWING, 0);
    h = begin ();
    poll_until_begun (h, 3);
    revive (&places[i]);
    finish (h);
    is_int (tiny_content (h), i + 1,
            "attempt %u of three wins after the last was begun", i + 1);
    ok (has_socket_of (h, &places[i]), "its socket is the descriptor");
    is_int (nbd_aio_get_direction (h), READ, "which is to be read from");
    disconnect (h);
    leave ("a late winner");
  }

  /* Several at the same time. */
  add ("192.0.2.1", SWALLOWING, 0);
  add ("192.0.2.2", SWALLOWING, 0);
  add ("192.0.2.3", SWALLOWING, 0);
  h = begin ();
  poll_until_begun (h, 3);
  for (unsigned i = 0; i < 3; i++) {
    struct pollfd p = { .fd = places[i].fd, .events = POLLOUT };

    revive (&places[i]);
    MUST_BE (poll (&p, 1, PATIENCE_MS) == 1);
  }
  finish (h);
  {
    int winner = tiny_content (h);

    ok (winner >= 1 && winner <= 3, "one of three that are ready wins");
    for (int i = 1; i <= 3; i++)
      is_int (socket_is_open (places[i - 1].number), i == winner,
              "only the winner keeps its socket");
  }
  disconnect (h);
  leave ("three winners");

  /* One wins while another fails. */
  add ("192.0.2.1", SWALLOWING, 0);
  add ("192.0.2.2", SWALLOWING, 0);
  h = begin ();
  poll_until_begun (h, 2);
  revive (&places[0]);
  MUST_BE (poll (&(struct pollfd) { .fd = places[0].fd, .events = POLLOUT }, 1,
                 PATIENCE_MS) == 1);
  cut (&places[1]);
  finish (h);
  is_int (tiny_content (h), 1, "one wins while the other fails");
  disconnect (h);
  leave ("a winner and a loser");

  /* The server goes while the packets are on the way. */
  add ("192.0.2.1", SWALLOWING, 0);
  add ("192.0.2.2", SWALLOWING, 0);
  h = begin ();
  poll_until_begun (h, 2);
  for (unsigned i = 0; i < 2; i++) {
    close (places[i].socket);
    places[i].socket = -1;
    end_fillers (&places[i].fillers);
  }
  finish (h);
  is_int (nbd_aio_is_dead (h), 1, "when the servers go the race is lost");
  is_int (nbd_get_errno (), ECONNREFUSED, "because they refuse");
  is_str (nbd_get_error (), "nbd_poll: connect: " HOST ":" PORT
          ": could not connect to remote host (192.0.2.1: Connection refused, "
          "192.0.2.2: Connection refused): Connection refused",
          "each of them");
  nbd_close (h);
  leave ("servers that go");

  /* One that accepts and then says nothing has won all the same. */
  add ("192.0.2.1", SWALLOWING, 0);
  add ("192.0.2.2", SWALLOWING, 0);
  h = begin ();
  drain_backlog (&places[0].fillers, places[0].socket);
  MUST_BE (poll (&(struct pollfd) { .fd = places[0].fd, .events = POLLOUT }, 1,
                 PATIENCE_MS) == 1);
  for (int i = 0; i < 100 && !has_socket_of (h, &places[0]); i++)
    MUST (nbd_poll (h, 1000));
  ok (has_socket_of (h, &places[0]), "a silent server wins");
  is_int (nbd_poll (h, 400), 0, "nothing more happens");
  ok (places[1].number == 0 || !socket_is_open (places[1].number),
      "no other address is tried after that");
  is_int (nbd_aio_is_connecting (h), 1, "it is waited for");
  fd = accept (places[0].socket, NULL, NULL);
  MUST (fd);
  close (fd);
  finish (h);
  is_int (nbd_aio_is_dead (h), 1, "when it hangs up that is the end");
  ok (strstr (nbd_get_error (), HOST) == NULL,
      "which is not a matter of addresses");
  nbd_close (h);
  leave ("a silent server");
}

/* More attempts than are looked at in one go end at the same time. */
static void
check_crowd (void)
{
  for (size_t w = 0; w < NR_WAYS; w++) {
    struct nbd_handle *h;
    int (*turn) (struct nbd_handle *) =
      ways[w].connect == connect_epoll ? turn_epoll :
      ways[w].connect == connect_epoll_edge ? turn_epoll_edge :
      NULL;
    const int64_t end = now_ms () + PATIENCE_MS;

    if (turn == NULL)
      continue;
    for (unsigned i = 1; i <= 12; i++) {
      char address[32];

      snprintf (address, sizeof address, "192.0.2.%u", i);
      add (address, SWALLOWING, 0);
    }
    h = begin ();
    while (nr_begun < 12 && now_ms () < end)
      MUST (turn (h));
    MUST_BE (nr_begun == 12);
    for (unsigned i = 0; i < 12; i++)
      cut (&places[i]);
    /* An edge that is not told ends this by the clock. */
    while (nbd_aio_is_connecting (h) && now_ms () < end)
      turn (h);
    is_int (nbd_aio_is_dead (h), 1, "%s: twelve that fail at once are the end",
            ways[w].name);
    is_int (nbd_get_errno (), ECONNRESET, "%s: with their error",
            ways[w].name);
    epoll_end ();
    nbd_close (h);
    leave ("a crowd");
  }
}

/* A program that gives up. */
static void
check_close (void)
{
  for (unsigned stage = 0; stage <= 3; stage++) {
    struct nbd_handle *h;
    uint64_t first;

    add ("192.0.2.1", SWALLOWING, 0);
    add ("2001:db8::1", SWALLOWING, 0);
    add ("192.0.2.2", FAILING, ENETUNREACH);
    add ("192.0.2.3", SWALLOWING, 0);
    add ("192.0.2.4", SWALLOWING, 0);
    h = begin ();
    /* The last step begins the last attempt. */
    for (unsigned i = 0; i < stage; i++)
      MUST (nbd_poll (h, PATIENCE_MS));
    is_int (nr_begun, stage < 2 ? stage + 1 : stage + 2,
            "closing after %u steps: so many attempts have begun", stage);
    first = places[0].number;
    ok (socket_is_open (first), "closing after %u steps: there is a race",
        stage);
    nbd_close (h);
    ok (!socket_is_open (first), "closing after %u steps: it is over", stage);
    leave ("closing in the middle");
  }
}

/* One address is a plain socket. */
static void
check_single (void)
{
  struct nbd_handle *h;
  int fd;

  add ("192.0.2.1", SWALLOWING, 0);
  h = begin ();
  fd = nbd_aio_get_fd (h);
  is_int (nbd_aio_get_direction (h), WRITE,
          "one address: the direction is WRITE");
  ok (has_socket_of (h, &places[0]),
      "one address: the descriptor is a socket");
  is_int (nbd_aio_notify_read (h), -1, "one address: it is not to be read");
  is_int (nbd_get_errno (), EINVAL, "one address: which is EINVAL");
  is_int (nbd_aio_notify_write (h), 0,
          "one address: a write too early is no error");
  is_int (nbd_poll (h, 300), 0, "one address: there is nothing else to try");
  is_int (nr_begun, 1, "one address: and nothing else is");
  revive (&places[0]);
  finish (h);
  is_int (nbd_aio_get_fd (h), fd, "one address: the descriptor stays");
  is_int (tiny_content (h), 1, "one address: it is read from");
  disconnect (h);
  leave ("one address");

  /* nbd_aio_connect takes an address and no name. */
  for (int alive = 0; alive < 2; alive++) {
    struct place *p = add ("192.0.2.1", alive ? ALIVE : REFUSING, 0);

    h = new_handle ();
    is_int (nbd_aio_connect (h, (struct sockaddr *) &p->shown, p->len), 0,
            "nbd_aio_connect: begins");
    is_int (nbd_aio_get_direction (h), WRITE,
            "nbd_aio_connect: the direction is WRITE");
    ok (has_socket_of (h, p), "nbd_aio_connect: the descriptor is a socket");
    finish (h);
    if (alive) {
      is_int (tiny_content (h), 1, "nbd_aio_connect: leads to the server");
      disconnect (h);
    }
    else {
      is_int (nbd_aio_is_dead (h), 1, "nbd_aio_connect: or fails");
      is_int (nbd_get_errno (), ECONNREFUSED,
              "nbd_aio_connect: being refused");
      nbd_close (h);
    }
    leave ("nbd_aio_connect");
  }
}

/* Names that do not resolve. */
static void
check_unknown (void)
{
  static const struct {
    int error, errnum, want;
  } errors[] = {
    { EAI_NONAME, ENOTTY, 0 },
    { EAI_AGAIN, ENOTTY, 0 },
    { EAI_FAIL, ENOTTY, 0 },
    { EAI_SERVICE, ENOTTY, 0 },
    { EAI_SYSTEM, EMFILE, EMFILE },
  };

  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
    for (size_t w = 0; w < 3; w++) {
      struct nbd_handle *h = new_handle ();
      char text[512];

      resolver_error = errors[i].error;
      resolver_errno = errors[i].errnum;
      is_int (ways[w].connect (h), -1, "%s, %s: fails",
              gai_strerror (resolver_error), ways[w].name);
      is_int (nbd_get_errno (), errors[i].want, "%s, %s: the errno",
              gai_strerror (resolver_error), ways[w].name);
      snprintf (text, sizeof text, "%s: getaddrinfo: hostname \"" HOST
                "\" port \"" PORT "\": %s%s%s",
                w == 2 ? "nbd_aio_connect_tcp" : ways[w].function,
                gai_strerror (resolver_error), errors[i].want ? ": " : "",
                errors[i].want ? strerror (errors[i].want) : "");
      is_str (nbd_get_error (), text, "%s, %s: the text",
              gai_strerror (resolver_error), ways[w].name);
      is_int (nbd_aio_is_created (h), 1, "%s, %s: the handle is as new",
              gai_strerror (resolver_error), ways[w].name);
      nr_resolved = 0;
      resolver_error = 0;
      add ("192.0.2.1", ALIVE, 0);
      is_int (ways[w].connect (h), 0, "unknown, %s: it can be tried again",
              ways[w].name);
      is_int (tiny_content (h), 1, "unknown, %s: and connects", ways[w].name);
      disconnect (h);
      leave ("unknown");
    }
}

/* No descriptors are left for what watches the sockets. */
static void
check_exhausted (void)
{
  struct rlimit limit, low;
  struct nbd_handle *h = new_handle ();

  add ("192.0.2.1", SWALLOWING, 0);
  add ("192.0.2.2", ALIVE, 0);
  MUST (getrlimit (RLIMIT_NOFILE, &limit));
  for (rlim_t left = 0; left < 3; left++) {
    int fd = dup (0), r;

    MUST (fd);
    close (fd);
    low = (struct rlimit) { fd + left, limit.rlim_max };
    nr_resolved = nr_freed = 0;
    MUST (setrlimit (RLIMIT_NOFILE, &low));
    r = nbd_connect_tcp (h, HOST, PORT);
    MUST (setrlimit (RLIMIT_NOFILE, &limit));
    is_int (r, -1, "%u descriptors are too few for a race", (unsigned) left);
    is_int (nbd_get_errno (), EMFILE, "which is EMFILE");
    is_int (nbd_aio_is_created (h), 1, "the handle is as new");
    is_int (nr_resolved, 1, "the host is looked up");
    is_int (nr_freed, 1, "and its addresses are freed");
  }
  is_int (nbd_connect_tcp (h, HOST, PORT), 0,
          "with enough of them it connects");
  is_int (tiny_content (h), 2, "and is read from");
  disconnect (h);
  leave ("exhausted");
}

int
main (void)
{
  alarm (300);
  tap_begin ();
  check_order ();
  check_many ();
  check_dead ();
  check_steps ();
  check_crowd ();
  check_close ();
  check_single ();
  check_unknown ();
  check_exhausted ();
  return tap_end ();
}
