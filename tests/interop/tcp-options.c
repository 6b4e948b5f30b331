/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The options of sockets that a program can ask for: they are on the sockets
 * that the library makes for TCP, whichever call makes them, and on no other.
 */

#include "config.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"
#include "tiny.h"

static const struct option {
  const char *name;
  int option, value, other;
} options[] = {
#ifdef TCP_KEEPCNT
  { "TCP_KEEPCNT", TCP_KEEPCNT, 11, 12 },
#endif
#ifdef TCP_KEEPIDLE
  { "TCP_KEEPIDLE", TCP_KEEPIDLE, 1001, 1002 },
#endif
#ifdef TCP_KEEPINTVL
  { "TCP_KEEPINTVL", TCP_KEEPINTVL, 101, 102 },
#endif
#ifdef TCP_USER_TIMEOUT
  { "TCP_USER_TIMEOUT", TCP_USER_TIMEOUT, 50001, 50002 },
#endif
};

#define NR_OPTIONS (sizeof options / sizeof options[0])

static int
get_option (int fd, int level, int option)
{
  int v = -1;
  socklen_t len = sizeof v;

  MUST (getsockopt (fd, level, option, &v, &len));
  return v;
}

/* What the system has by default. */
static int defaults[NR_OPTIONS];

static void
get_defaults (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);

  MUST (fd);
  for (size_t i = 0; i < NR_OPTIONS; i++) {
    defaults[i] = get_option (fd, IPPROTO_TCP, options[i].option);
    MUST_BE (defaults[i] != options[i].value &&
             defaults[i] != options[i].other);
  }
  close (fd);
}

/* Where the server is. */
static struct sockaddr_in in;
static struct sockaddr_in6 in6;
static struct sockaddr_un un;
static bool have_ipv6;
static char port[16], port6[16], uri[64], unix_uri[128];

/* Ways to connect. */

static int
finish (struct nbd_handle *h, int r)
{
  while (r != -1 && nbd_aio_is_connecting (h))
    r = nbd_poll (h, -1);
  return r == -1 ? -1 : 0;
}

static int
connect_tcp (struct nbd_handle *h)
{
  return nbd_connect_tcp (h, "127.0.0.1", port);
}

static int
connect_tcp6 (struct nbd_handle *h)
{
  return nbd_connect_tcp (h, "::1", port6);
}

static int
aio_connect_tcp (struct nbd_handle *h)
{
  return finish (h, nbd_aio_connect_tcp (h, "127.0.0.1", port));
}

static int
aio_connect (struct nbd_handle *h)
{
  return finish (h, nbd_aio_connect (h, (struct sockaddr *) &in, sizeof in));
}

static int
aio_connect6 (struct nbd_handle *h)
{
  return finish (h, nbd_aio_connect (h, (struct sockaddr *) &in6,
                                     sizeof in6));
}

static int
connect_uri (struct nbd_handle *h)
{
  return nbd_connect_uri (h, uri);
}

static int
aio_connect_uri (struct nbd_handle *h)
{
  return finish (h, nbd_aio_connect_uri (h, uri));
}

static int
connect_socket (struct nbd_handle *h)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  MUST (fd);
  MUST (connect (fd, (struct sockaddr *) &in, sizeof in));
  return nbd_connect_socket (h, fd);
}

static int
connect_unix (struct nbd_handle *h)
{
  return nbd_connect_unix (h, un.sun_path);
}

static int
aio_connect_unix (struct nbd_handle *h)
{
  return finish (h, nbd_aio_connect (h, (struct sockaddr *) &un, sizeof un));
}

static int
connect_unix_uri (struct nbd_handle *h)
{
  return nbd_connect_uri (h, unix_uri);
}

static const struct way {
  const char *name;
  int (*connect) (struct nbd_handle *h);
  enum { OURS, CALLERS, LOCAL } whose;
  bool ipv6;
} ways[] = {
  { "nbd_connect_tcp", connect_tcp, OURS, false },
  { "nbd_connect_tcp, IPv6", connect_tcp6, OURS, true },
  { "nbd_aio_connect_tcp", aio_connect_tcp, OURS, false },
  { "nbd_aio_connect", aio_connect, OURS, false },
  { "nbd_aio_connect, IPv6", aio_connect6, OURS, true },
  { "nbd_connect_uri", connect_uri, OURS, false },
  { "nbd_aio_connect_uri", aio_connect_uri, OURS, false },
  { "nbd_connect_socket", connect_socket, CALLERS, false },
  { "nbd_connect_unix", connect_unix, LOCAL, false },
  { "nbd_aio_connect, Unix", aio_connect_unix, LOCAL, false },
  { "nbd_connect_uri, Unix", connect_unix_uri, LOCAL, false },
};

#define NR_WAYS (sizeof ways / sizeof ways[0])

/* Which of them the program has set, bit by bit; one more: keepalive. */
#define KEEPALIVE (1u << NR_OPTIONS)
#define ALL (KEEPALIVE | (KEEPALIVE - 1))

static void
check_way (const struct way *way, unsigned set, bool again)
{
  struct nbd_handle *h = new_handle ();
  char what[128];
  int fd;

  snprintf (what, sizeof what, "%s, %#x%s", way->name, set,
            again ? ", set twice" : "");
  if (again)
    MUST (nbd_set_keepalive (h, true));
  if (again || (set & KEEPALIVE))
    is_int (nbd_set_keepalive (h, set & KEEPALIVE), 0,
            "%s: keepalive can be set", what);
  for (size_t i = 0; i < NR_OPTIONS; i++)
    if (set & 1u << i) {
      if (again)
        MUST (nbd_set_tcp_option (h, options[i].option, options[i].other));
      is_int (nbd_set_tcp_option (h, options[i].option, options[i].value), 0,
              "%s: %s can be set", what, options[i].name);
    }
  if (!is_int (way->connect (h), 0, "%s: connects", what)) {
    note ("%s", nbd_get_error ());
    nbd_close (h);
    return;
  }
  is_int (tiny_content (h), 9, "%s: it can be read from", what);
  fd = nbd_aio_get_fd (h);
  is_int (get_option (fd, SOL_SOCKET, SO_KEEPALIVE),
          way->whose == OURS && (set & KEEPALIVE), "%s: SO_KEEPALIVE", what);
  if (way->whose != LOCAL) {
    is_int (!!get_option (fd, IPPROTO_TCP, TCP_NODELAY), way->whose == OURS,
            "%s: TCP_NODELAY", what);
    for (size_t i = 0; i < NR_OPTIONS; i++)
      is_int (get_option (fd, IPPROTO_TCP, options[i].option),
              way->whose == OURS && (set & 1u << i) ? options[i].value :
              defaults[i], "%s: %s", what, options[i].name);
  }

  /* Then it is too late. */
  is_int (nbd_set_keepalive (h, true), -1, "%s: it cannot be set any more",
          what);
  is_int (nbd_get_errno (), EINVAL, "%s: EINVAL", what);
  is_int (nbd_set_tcp_option (h, options[0].option, 1), -1,
          "%s: nor can an option", what);
  is_int (nbd_get_errno (), EINVAL, "%s: EINVAL", what);
  disconnect (h);
}

/* What is no option, or none of the four. */
static void
check_unknown (void)
{
  static const int unknown[] = { TCP_NODELAY, TCP_MAXSEG, 0, -1, 12345 };

  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    struct nbd_handle *h = new_handle ();
    char text[128];

    is_int (nbd_set_tcp_option (h, unknown[i], 1), -1,
            "option %d is refused", unknown[i]);
    is_int (nbd_get_errno (), EINVAL, "option %d: EINVAL", unknown[i]);
    snprintf (text, sizeof text, "nbd_set_tcp_option: unknown TCP option: %d: "
              "%s", unknown[i], strerror (EINVAL));
    is_str (nbd_get_error (), text, "option %d: the text", unknown[i]);
    is_int (connect_tcp (h), 0, "option %d: the handle connects all the same",
            unknown[i]);
    disconnect (h);
  }
}

static unsigned named;

static int
find_name (void *name, const char *context, const char *text)
{
  (void) context;
  named += strstr (text, name) != NULL;
  return 0;
}

/* A value that the system does not accept. */
static void
check_refused (void)
{
  for (size_t i = 0; i < NR_OPTIONS; i++)
    for (size_t w = 0; w < NR_WAYS; w++) {
      struct nbd_handle *h;
      char what[128];
      nbd_debug_callback cb = {
        .callback = find_name, .user_data = (char *) options[i].name,
      };

      if (ways[w].ipv6 && !have_ipv6)
        continue;
      h = new_handle ();
      snprintf (what, sizeof what, "%s of -1, %s", options[i].name,
                ways[w].name);
      named = 0;
      MUST (nbd_set_debug_callback (h, cb));
      MUST (nbd_set_debug (h, true));
      is_int (nbd_set_tcp_option (h, options[i].option, -1), 0,
              "%s: can be set", what);
      if (ways[w].whose != OURS) {
        is_int (ways[w].connect (h), 0, "%s: does not matter", what);
        disconnect (h);
        continue;
      }
      named = 0;
      is_int (ways[w].connect (h), -1, "%s: the connection fails", what);
      is_int (nbd_get_errno (), EINVAL, "%s: EINVAL", what);
      ok (named > 0, "%s: the trace names the option", what);
      if (nbd_aio_is_created (h)) {
        MUST (nbd_set_tcp_option (h, options[i].option, options[i].value));
        is_int (ways[w].connect (h), 0, "%s: with another value it connects",
                what);
        is_int (get_option (nbd_aio_get_fd (h), IPPROTO_TCP,
                            options[i].option), options[i].value,
                "%s: which it has", what);
      }
      else
        ok (ways[w].connect == aio_connect || ways[w].connect == aio_connect6,
            "%s: the handle is dead only after nbd_aio_connect", what);
      nbd_close (h);
    }
}

/* A listening socket at the address. */
static int
listen_at (void *addr, socklen_t len)
{
  int fd = socket (((struct sockaddr *) addr)->sa_family,
                   SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (fd == -1 || bind (fd, addr, len) == -1) {
    if (fd != -1)
      close (fd);
    return -1;
  }
  MUST (getsockname (fd, addr, &len));
  MUST (listen (fd, 64));
  return fd;
}

int
main (void)
{
  struct tiny *server, *server6, *server_unix;
  int fd;

  alarm (180);
  temp_dir ();
  tap_begin ();
  get_defaults ();
  server = tiny_start (listen_tcp (&in, 64), 9);
  snprintf (port, sizeof port, "%u", ntohs (in.sin_port));
  snprintf (uri, sizeof uri, "nbd://127.0.0.1:%s/", port);
  in6.sin6_family = AF_INET6;
  in6.sin6_addr = in6addr_loopback;
  fd = listen_at (&in6, sizeof in6);
  have_ipv6 = fd != -1;
  server6 = have_ipv6 ? tiny_start (fd, 9) : NULL;
  snprintf (port6, sizeof port6, "%u", ntohs (in6.sin6_port));
  un.sun_family = AF_UNIX;
  snprintf (un.sun_path, sizeof un.sun_path, "%s/sock", temp_dir ());
  snprintf (unix_uri, sizeof unix_uri, "nbd+unix:///?socket=%s", un.sun_path);
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  MUST (fd);
  MUST (bind (fd, (struct sockaddr *) &un, sizeof un));
  MUST (listen (fd, 64));
  server_unix = tiny_start (fd, 9);

  for (size_t w = 0; w < NR_WAYS; w++) {
    if (ways[w].ipv6 && !have_ipv6) {
      skip_case (ways[w].name, "there is no IPv6 here");
      continue;
    }
    check_way (&ways[w], 0, false);
    check_way (&ways[w], 0, true);
    for (unsigned set = 1; set <= KEEPALIVE; set <<= 1)
      check_way (&ways[w], set, false);
    check_way (&ways[w], ALL, false);
    check_way (&ways[w], ALL, true);
  }
  check_unknown ();
  check_refused ();

  tiny_stop (server);
  if (server6)
    tiny_stop (server6);
  tiny_stop (server_unix);
  return tap_end ();
}
