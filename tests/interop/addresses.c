/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A host with several addresses: they are tried in turn.  The program is its
 * own resolver, because what the system's knows is not ours to choose: the
 * library calls the two functions defined here.
 */

#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

#define HOST "several.example"
#define MAX_ADDRESSES 8

static struct addrinfo answer[MAX_ADDRESSES];
static struct sockaddr_storage answer_address[MAX_ADDRESSES];
static unsigned nr_addresses, nr_resolved, nr_freed;

int
getaddrinfo (const char *host, const char *service,
             const struct addrinfo *hints, struct addrinfo **result)
{
  nr_resolved++;
  MUST_BE (strcmp (host, HOST) == 0 && strcmp (service, "a-service") == 0 &&
           (hints == NULL || hints->ai_socktype == SOCK_STREAM));
  if (nr_addresses == 0)
    return EAI_NONAME;
  for (unsigned i = 0; i < nr_addresses; i++)
    answer[i].ai_next = i + 1 < nr_addresses ? &answer[i + 1] : NULL;
  *result = answer;
  return 0;
}

void
freeaddrinfo (struct addrinfo *result)
{
  MUST_BE (result == answer);
  nr_freed++;
}

static void
add_address (const void *addr, socklen_t len, int family)
{
  unsigned i = nr_addresses++;

  memcpy (&answer_address[i], addr, len);
  answer[i] = (struct addrinfo) {
    .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_addrlen = len,
    .ai_addr = (struct sockaddr *) &answer_address[i],
  };
}

static void
add_server (const struct server *s)
{
  struct sockaddr_storage addr;
  socklen_t len = server_address (s, &addr);

  add_address (&addr, len, addr.ss_family);
}

/* Addresses at which nobody listens, while the sockets are open. */
static int refusing[2];

static void
add_refusing (unsigned i)
{
  struct sockaddr_storage addr;
  socklen_t len = sizeof addr;

  MUST (getsockname (refusing[i], (struct sockaddr *) &addr, &len));
  add_address (&addr, len, addr.ss_family);
}

static void
open_refusing (void)
{
  struct sockaddr_in in = { .sin_family = AF_INET,
                            .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
                              .sin6_addr = in6addr_loopback };

  refusing[0] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  MUST (refusing[0]);
  MUST (bind (refusing[0], (struct sockaddr *) &in, sizeof in));
  /* Where there is no IPv6, another port has to do. */
  refusing[1] = socket (AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (refusing[1] != -1 &&
      bind (refusing[1], (struct sockaddr *) &in6, sizeof in6) == 0)
    return;
  note ("there is no IPv6 here");
  close (refusing[1]);
  refusing[1] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  MUST (refusing[1]);
  MUST (bind (refusing[1], (struct sockaddr *) &in, sizeof in));
}

/* An address that no socket can be made for. */
static void
add_strange (void)
{
  const struct sockaddr addr = { .sa_family = AF_MAX };

  add_address (&addr, sizeof addr, AF_MAX);
}

static void
reset (void)
{
  nr_addresses = nr_resolved = nr_freed = 0;
}

static int
connect_async (struct nbd_handle *h)
{
  int r = nbd_aio_connect_tcp (h, HOST, "a-service");

  while (r != -1 && nbd_aio_is_connecting (h))
    r = nbd_poll (h, -1);
  return r == -1 ? -1 : 0;
}

static int
connect_sync (struct nbd_handle *h)
{
  return nbd_connect_tcp (h, HOST, "a-service");
}

/* The addresses that were added lead to the server. */
static void
check_reached (const char *what)
{
  for (int async = 0; async < 2; async++) {
    struct nbd_handle *h = new_handle ();
    uint8_t buf[512];

    nr_resolved = nr_freed = 0;
    is_int (async ? connect_async (h) : connect_sync (h), 0,
            "%s: the server is reached%s", what,
            async ? ", asynchronously" : "");
    is_int (nr_resolved, 1, "%s: the host is looked up once", what);
    is_int (nbd_pread (h, buf, sizeof buf, 0, 0), 0,
            "%s: it can be read from", what);
    disconnect (h);
    is_int (nr_freed, 1, "%s: the addresses are freed once", what);
  }
  reset ();
}

/* They do not.  Then the handle is as new, and dead only if the failure comes
 * after an asynchronous call has returned.
 */
static void
check_not_reached (const struct server *s, int errnum, const char *what)
{
  for (int async = 0; async < 2; async++) {
    struct nbd_handle *h = new_handle ();

    nr_freed = 0;
    is_int (async ? connect_async (h) : connect_sync (h), -1,
            "%s: it fails%s", what, async ? ", asynchronously" : "");
    is_int (nbd_get_errno (), errnum, "%s: with the last error", what);
    ok (nbd_get_error () && strstr (nbd_get_error (), HOST),
        "%s: the error names the host", what);
    is_int (nbd_aio_get_fd (h), -1, "%s: no descriptor is left", what);
    is_int (nr_freed, nr_addresses > 0, "%s: the addresses are freed once",
            what);
    if (!async)
      is_int (nbd_aio_is_created (h), 1, "%s: the handle is as new", what);
    if (nbd_aio_is_created (h)) {
      is_int (nbd_connect_unix (h, server_path (s)), 0,
              "%s: and can be connected elsewhere", what);
      disconnect (h);
    }
    else
      nbd_close (h);
  }
  reset ();
}

int
main (void)
{
  struct server *tcp, *local;

  server_require ("nbdkit", "--version", NULL);
  tap_begin ();
  tcp = server_start (SERVER_IPV4, "nbdkit", "memory", "1M", NULL);
  local = server_start (SERVER_UNIX, "nbdkit", "memory", "1M", NULL);
  open_refusing ();

  add_server (tcp);
  check_reached ("one address");

  add_refusing (0);
  add_server (tcp);
  check_reached ("the first refuses");

  add_refusing (1);
  add_refusing (0);
  add_refusing (1);
  add_server (tcp);
  add_refusing (0);
  check_reached ("all but the fourth refuse");

  add_strange ();
  add_refusing (1);
  add_strange ();
  add_server (tcp);
  check_reached ("some are of a family that does not exist");

  add_server (tcp);
  add_refusing (0);
  check_reached ("the second would refuse");

  check_not_reached (local, 0, "no address");

  add_refusing (0);
  check_not_reached (local, ECONNREFUSED, "one refuses");

  add_strange ();
  add_refusing (1);
  add_refusing (0);
  check_not_reached (local, ECONNREFUSED, "all refuse");

  add_strange ();
  check_not_reached (local, EAFNOSUPPORT, "none can be tried");

  /* A program that gives up between two addresses. */
  for (unsigned polls = 0; polls < 2; polls++) {
    struct nbd_handle *h = new_handle ();

    add_refusing (0);
    add_server (tcp);
    is_int (nbd_aio_connect_tcp (h, HOST, "a-service"), 0,
            "connecting is begun");
    for (unsigned i = 0; i < polls && nbd_aio_is_connecting (h); i++)
      MUST (nbd_poll (h, -1));
    nbd_close (h);
    is_int (nr_freed, 1, "closing the handle frees the addresses");
    reset ();
  }

  close (refusing[0]);
  close (refusing[1]);
  server_stop (tcp);
  server_stop (local);
  return tap_end ();
}
