/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vsock.  Few machines have its loopback device, so the system's socket layer
 * is replaced for it by functions defined here, which the library calls: a
 * socket of AF_VSOCK is one of TCP, each byte of its address is checked, and
 * where it leads is up to the case.  Then the same with the real socket layer,
 * as far as the kernel has it.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef HAVE_LINUX_VM_SOCKETS_H
#include <linux/vm_sockets.h>
#endif

#include "server.h"
#include "tap.h"
#include "tiny.h"

#define READ LIBNBD_AIO_DIRECTION_READ
#define WRITE LIBNBD_AIO_DIRECTION_WRITE

#ifdef HAVE_LINUX_VM_SOCKETS_H

/* The script. */
static bool scripted;
static struct sockaddr_in target;       /* where it leads */
static int socket_error, connect_error; /* 0: as the target has it */

/* What happened. */
static unsigned nr_sockets, nr_connects;
static int socket_type, vsock_fd;
static uint8_t address[128];
static socklen_t address_length;

/* The names are in the way of prototypes that differ between systems. */
int divert_socket (int family, int type, int protocol) __asm__ ("socket");
int divert_connect (int fd, const struct sockaddr *addr, socklen_t len)
  __asm__ ("connect");

int
divert_socket (int family, int type, int protocol)
{
  if (family != AF_VSOCK || !scripted)
    return syscall (SYS_socket, family, type, protocol);
  nr_sockets++;
  socket_type = type;
  MUST_BE (protocol == 0);
  if (socket_error) {
    errno = socket_error;
    return -1;
  }
  return vsock_fd = syscall (SYS_socket, AF_INET, type, 0);
}

int
divert_connect (int fd, const struct sockaddr *addr, socklen_t len)
{
  if (addr->sa_family != AF_VSOCK || !scripted)
    return syscall (SYS_connect, fd, addr, len);
  nr_connects++;
  MUST_BE (fd == vsock_fd && len <= sizeof address);
  memset (address, 0xee, sizeof address);
  memcpy (address, addr, len);
  address_length = len;
  if (connect_error) {
    errno = connect_error;
    return -1;
  }
  return syscall (SYS_connect, fd, &target, sizeof target);
}

/* The address that was connected to, byte by byte: family, two bytes that are
 * reserved, port and CID in the order of the machine, and four more, all 0.
 */
static void
check_address (const char *what, uint32_t cid, uint32_t port)
{
  uint8_t want[16] = { 0 };
  const uint16_t family = 40;

  memcpy (want, &family, 2);
  memcpy (want + 4, &port, 4);
  memcpy (want + 8, &cid, 4);
  is_int (nr_sockets, 1, "%s: one socket", what);
  is_int (socket_type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC), SOCK_STREAM,
          "%s: a stream socket", what);
  ok (socket_type & SOCK_CLOEXEC, "%s: that is not inherited", what);
  is_int (nr_connects, 1, "%s: connected once", what);
  is_int (address_length, sizeof want, "%s: an address of 16 bytes", what);
  ok (memcmp (address, want, sizeof want) == 0, "%s: the right ones", what);
}

static void
reset (void)
{
  nr_sockets = nr_connects = 0;
  socket_error = connect_error = 0;
  vsock_fd = -1;
}

/* Ways to connect. */

static uint32_t wanted_cid, wanted_port;

static int
finish (struct nbd_handle *h, int r)
{
  while (r != -1 && nbd_aio_is_connecting (h))
    r = nbd_poll (h, -1);
  return r == -1 ? -1 : 0;
}

static int
connect_vsock (struct nbd_handle *h)
{
  return nbd_connect_vsock (h, wanted_cid, wanted_port);
}

static int
aio_connect_vsock (struct nbd_handle *h)
{
  return finish (h, nbd_aio_connect_vsock (h, wanted_cid, wanted_port));
}

static int
aio_connect (struct nbd_handle *h)
{
  struct sockaddr_vm addr = {
    .svm_family = AF_VSOCK, .svm_cid = wanted_cid, .svm_port = wanted_port,
  };

  return finish (h, nbd_aio_connect (h, (struct sockaddr *) &addr,
                                     sizeof addr));
}

static int
connect_uri (struct nbd_handle *h)
{
  char uri[64];

  snprintf (uri, sizeof uri, "nbd+vsock://%u:%u/", wanted_cid, wanted_port);
  return nbd_connect_uri (h, uri);
}

static int
aio_connect_uri (struct nbd_handle *h)
{
  char uri[64];

  snprintf (uri, sizeof uri, "NBD+VSOCK://%u:%u", wanted_cid, wanted_port);
  return finish (h, nbd_aio_connect_uri (h, uri));
}

static const struct way {
  const char *name;
  int (*connect) (struct nbd_handle *h);
  /* The function that fails, at once and later. */
  const char *at_once, *later;
} ways[] = {
  { "nbd_connect_vsock", connect_vsock, "nbd_connect_vsock",
    "nbd_connect_vsock" },
  { "nbd_aio_connect_vsock", aio_connect_vsock, "nbd_aio_connect_vsock",
    "nbd_poll" },
  { "nbd_aio_connect", aio_connect, "nbd_aio_connect", "nbd_poll" },
  { "nbd_connect_uri", connect_uri, "nbd_connect_uri", "nbd_connect_uri" },
  { "nbd_aio_connect_uri", aio_connect_uri, "nbd_aio_connect_uri",
    "nbd_poll" },
};

#define NR_WAYS (sizeof ways / sizeof ways[0])

/* Connected: it is what was asked for, and works. */
static void
use (struct nbd_handle *h, const char *what)
{
  char want[64], *uri;

  is_int (tiny_content (h), 5, "%s: it can be read from", what);
  uri = nbd_get_uri (h);
  snprintf (want, sizeof want, "nbd+vsock://%u:%u/", wanted_cid, wanted_port);
  is_str (uri, want, "%s: it has the URI", what);
  free (uri);
  MUST (nbd_shutdown (h, 0));
  is_int (nbd_aio_is_closed (h), 1, "%s: it can be shut down", what);
  nbd_close (h);
}

static void
check_scripted (void)
{
  static const struct {
    uint32_t cid, port;
  } places[] = {
    { 2, 10809 }, { 1, 10809 }, { 3, 1 }, { 0, 65535 },
    { 0x01020304, 0x05060708 }, { 0xfffffffe, 65536 }, { 42, 0xfffffffe },
  };
  int on;
  socklen_t len = sizeof on;

  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
    for (size_t w = 0; w < NR_WAYS; w++) {
      struct nbd_handle *h = new_handle ();
      struct tiny *server = tiny_start (listen_tcp (&target, 16), 5);
      char what[128];

      wanted_cid = places[i].cid;
      wanted_port = places[i].port;
      snprintf (what, sizeof what, "%s, CID %u, port %u", ways[w].name,
                wanted_cid, wanted_port);
      reset ();
      MUST (nbd_set_keepalive (h, true));
      MUST (nbd_set_tcp_option (h, TCP_KEEPCNT, 77));
      is_int (ways[w].connect (h), 0, "%s: connects", what);
      check_address (what, wanted_cid, wanted_port);
      is_int (nbd_aio_get_fd (h), vsock_fd, "%s: the descriptor is the socket",
              what);
      /* Which is one of TCP here, so that it would show. */
      MUST (getsockopt (vsock_fd, IPPROTO_TCP, TCP_NODELAY, &on, &len));
      is_int (on, 0, "%s: TCP_NODELAY is not for vsock", what);
      MUST (getsockopt (vsock_fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len));
      is_int (on, 0, "%s: and neither is SO_KEEPALIVE", what);
      MUST (getsockopt (vsock_fd, IPPROTO_TCP, TCP_KEEPCNT, &on, &len));
      ok (on != 77, "%s: or any option of TCP", what);
      use (h, what);
      is_int (tiny_stop (server), 1, "%s: the server had one connection",
              what);
    }
}

static void
check_uris (void)
{
  static const struct {
    const char *uri;
    uint32_t cid, port;
    const char *export_name;
  } uris[] = {
    { "nbd+vsock://", 2, 10809, "" },
    { "nbd+vsock:///", 2, 10809, "" },
    { "nbd+vsock:///disk", 2, 10809, "disk" },
    { "nbd+vsock://7", 7, 10809, "" },
    { "nbd+vsock://7/", 7, 10809, "" },
    { "nbd+vsock://1:5/a%20b", 1, 5, "a b" },
    { "Nbd+VSock://0:4294967295//d", 0, 4294967295, "/d" },
    { "nbd+vsock://4294967295:70000", 4294967295, 70000, "" },
    { "nbd+vsock://:70000", 2, 70000, "" },
    { "nbd+vsock://3:/x", 3, 10809, "x" },
  };
  static const char *const wrong[] = {
    "nbd+vsock://localhost/", "nbd+vsock://-1/", "nbd+vsock://0x2/",
    "nbd+vsock://4294967296/", "nbd+vsock://2x/", "nbd+vsock://%2B2/",
    "nbd+vsock://2:4294967296/", "nbd+vsock://2:0x10/", "nbd+vsock://2:-1/",
    "nbd+vsock:///?socket=/x",
  };

  for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
    struct nbd_handle *h = new_handle ();
    struct tiny *server = tiny_start (listen_tcp (&target, 16), 5);
    char *name;

    reset ();
    is_int (nbd_is_uri (h, uris[i].uri), 1, "%s: is a URI", uris[i].uri);
    is_int (nbd_connect_uri (h, uris[i].uri), 0, "%s: connects", uris[i].uri);
    check_address (uris[i].uri, uris[i].cid, uris[i].port);
    name = nbd_get_export_name (h);
    is_str (name, uris[i].export_name, "%s: the export", uris[i].uri);
    free (name);
    name = nbd_get_uri (h);
    nbd_close (h);
    h = new_handle ();
    reset ();
    is_int (name ? nbd_connect_uri (h, name) : -1, 0,
            "%s: the URI of the connection leads there, too", uris[i].uri);
    check_address (uris[i].uri, uris[i].cid, uris[i].port);
    free (name);
    nbd_close (h);
    tiny_stop (server);
  }

  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    struct nbd_handle *h = new_handle ();

    reset ();
    is_int (nbd_connect_uri (h, wrong[i]), -1, "%s: is wrong", wrong[i]);
    is_int (nbd_get_errno (), EINVAL, "%s: EINVAL", wrong[i]);
    is_int (nbd_aio_is_created (h), 1, "%s: the handle is as new", wrong[i]);
    is_int (nr_sockets, 0, "%s: and nothing was tried", wrong[i]);
    nbd_close (h);
  }

  {
    struct nbd_handle *h = new_handle ();

    reset ();
    MUST (nbd_set_uri_allow_transports (h, LIBNBD_ALLOW_TRANSPORT_MASK &
                                        ~LIBNBD_ALLOW_TRANSPORT_VSOCK));
    is_int (nbd_connect_uri (h, "nbd+vsock://2/"), -1,
            "a transport that is not allowed is refused");
    is_int (nbd_get_errno (), EPERM, "with EPERM");
    is_int (nr_sockets, 0, "and nothing is tried");
    nbd_close (h);
  }
}

/* TLS over vsock, with a shared key. */
static void
check_tls (void)
{
  struct nbd_handle *h = new_handle ();

  reset ();
#ifdef HAVE_GNUTLS
  char *keys = temp_path ("keys.psk"), *file, *uri, *got;
  const struct sockaddr_in before = target;
  struct sockaddr_storage addr;
  struct server *s;
  uint8_t buf[512];

  server_require ("psktool", "--version", NULL);
  MUST_BE (run_command (NULL, "psktool", "-u", "alice", "-p", keys, NULL));
  MUST (asprintf (&file, "--tls-psk=%s", keys));
  s = server_start (SERVER_IPV4, "nbdkit", "--tls=require", file, "memory",
                    "1M", NULL);
  server_address (s, &addr);
  memcpy (&target, &addr, sizeof target);
  MUST (asprintf (&uri, "nbds+vsock://alice@2:10809/?tls-psk-file=%s", keys));
  MUST (nbd_set_uri_allow_local_file (h, true));
  is_int (nbd_connect_uri (h, uri), 0, "nbds+vsock connects");
  check_address ("nbds+vsock", 2, 10809);
  is_int (nbd_get_tls_negotiated (h), 1, "nbds+vsock: with TLS");
  is_int (nbd_pread (h, buf, sizeof buf, 0, 0), 0, "nbds+vsock: it works");
  got = nbd_get_uri (h);
  is_str (got, uri, "nbds+vsock: it has the URI");
  is_int (nbd_shutdown (h, 0), 0, "nbds+vsock: it is shut down");
  server_stop (s);
  target = before;
  free (got);
  free (uri);
  free (file);
  free (keys);
#else
  is_int (nbd_connect_uri (h, "nbds+vsock://2/"), -1, "nbds+vsock is refused");
  is_int (nbd_get_errno (), ENOTSUP, "with ENOTSUP");
  is_int (nr_sockets, 0, "and nothing is tried");
#endif
  nbd_close (h);
}

static void
check_failures (void)
{
  static const struct {
    const char *what;
    int socket_error, connect_error;    /* neither: nobody listens */
    int errnum;
  } failures[] = {
    { "a kernel without vsock", EAFNOSUPPORT, 0, EAFNOSUPPORT },
    { "no such CID", 0, ENODEV, ENODEV },
    { "a CID that is not to be reached", 0, ENETUNREACH, ENETUNREACH },
    { "a reset", 0, ECONNRESET, ECONNRESET },
    { "a time limit", 0, ETIMEDOUT, ETIMEDOUT },
    { "a full backlog, which is not waited for", 0, EAGAIN, EAGAIN },
    { "a server that refuses, later", 0, 0, ECONNREFUSED },
  };

  for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
    for (size_t w = 0; w < NR_WAYS; w++) {
      struct nbd_handle *h = new_handle ();
      int held = listen_tcp (&target, -1);
      char what[128], text[256];

      reset ();
      socket_error = failures[i].socket_error;
      connect_error = failures[i].connect_error;
      wanted_cid = 99;
      wanted_port = 10809;
      snprintf (what, sizeof what, "%s, %s", failures[i].what, ways[w].name);
      is_int (ways[w].connect (h), -1, "%s: fails", what);
      is_int (nbd_get_errno (), failures[i].errnum, "%s: %s", what,
              strerror (failures[i].errnum));
      snprintf (text, sizeof text, "%s: connect: %s",
                socket_error || connect_error ? ways[w].at_once :
                ways[w].later, strerror (failures[i].errnum));
      is_str (nbd_get_error (), text, "%s: the text", what);
      is_int (nr_connects, !socket_error, "%s: it was tried once", what);
      is_int (nbd_aio_is_dead (h), 1, "%s: the handle is dead", what);
      is_int (nbd_aio_get_fd (h), -1, "%s: it has no descriptor", what);
      ok (vsock_fd == -1 || fcntl (vsock_fd, F_GETFD) == -1,
          "%s: the socket is closed", what);
      nbd_close (h);
      close (held);
    }
}

/* Step by step: a server that makes it wait. */
static void
check_steps (void)
{
  int listener = listen_tcp (&target, 0);
  struct fillers fillers;

  fill_backlog (&fillers, &target, sizeof target);
  for (int give_up = 1; give_up >= 0; give_up--) {
    struct nbd_handle *h = new_handle ();
    struct tiny *server;

    reset ();
    is_int (nbd_aio_connect_vsock (h, 3, 10809), 0, "steps: it is begun");
    is_int (nbd_aio_is_connecting (h), 1, "steps: the handle is connecting");
    is_int (nbd_aio_get_direction (h), WRITE, "steps: it is to be written to");
    is_int (nbd_aio_get_fd (h), vsock_fd,
            "steps: the descriptor is the socket");
    is_int (nbd_aio_notify_read (h), -1, "steps: it is not to be read from");
    is_int (nbd_get_errno (), EINVAL, "steps: which is EINVAL");
    is_int (nbd_aio_notify_write (h), 0,
            "steps: a write too early is no error");
    is_int (nbd_poll (h, 0), 0, "steps: nothing happens");
    if (give_up) {
      nbd_close (h);
      ok (fcntl (vsock_fd, F_GETFD) == -1,
          "steps: the socket is closed with the handle");
      continue;
    }
    drain_backlog (&fillers, listener);
    MUST (listen (listener, 16));
    server = tiny_start (listener, 5);
    is_int (finish (h, 0), 0, "steps: it connects");
    is_int (nbd_aio_get_direction (h), READ, "steps: it is to be read from");
    wanted_cid = 3;
    wanted_port = 10809;
    use (h, "steps");
    is_int (tiny_stop (server), 1, "steps: the server had one connection");
  }
}

/* The real socket layer.  The loopback has the CID 1. */
static void
check_real (void)
{
  struct sockaddr_vm addr = {
    .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL,
    .svm_port = VMADDR_PORT_ANY,
  };
  socklen_t len = sizeof addr;
  int fd = socket (AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

  wanted_cid = VMADDR_CID_LOCAL;
  wanted_port = 10809;
  if (fd == -1)
    skip_case ("vsock in the kernel", strerror (errno));
  else if (bind (fd, (struct sockaddr *) &addr, sizeof addr) == -1) {
    skip_case ("the loopback of vsock", "this kernel does not have it");
    close (fd);
  }
  else {
    MUST (getsockname (fd, (struct sockaddr *) &addr, &len));
    MUST (listen (fd, 16));
    wanted_port = addr.svm_port;
    for (size_t w = 0; w < NR_WAYS; w++) {
      struct nbd_handle *h = new_handle ();
      int listener = fcntl (fd, F_DUPFD_CLOEXEC, 0);
      struct tiny *server;
      char what[64];

      MUST (listener);
      server = tiny_start (listener, 5);
      snprintf (what, sizeof what, "the loopback, %s", ways[w].name);
      is_int (ways[w].connect (h), 0, "%s: connects", what);
      use (h, what);
      is_int (tiny_stop (server), 1, "%s: the server had one connection",
              what);
    }
    close (fd);
  }

  /* Nobody is there, or no way to find out, which takes the kernel seconds. */
  for (size_t w = 0; w < 2; w++) {
    struct nbd_handle *h = new_handle ();

    is_int (ways[w].connect (h), -1, "nobody there, %s: fails", ways[w].name);
    ok (nbd_get_errno () != 0, "nobody there, %s: with an error",
        ways[w].name);
    note ("%s", nbd_get_error ());
    is_int (nbd_aio_is_dead (h), 1, "nobody there, %s: the handle is dead",
            ways[w].name);
    nbd_close (h);
  }
}

int
main (void)
{
  struct nbd_handle *h = new_handle ();

  alarm (180);
  tap_begin ();
  is_int (nbd_supports_vsock (h), 1, "vsock is supported");
  nbd_close (h);
  scripted = true;
  check_scripted ();
  check_uris ();
  check_tls ();
  check_failures ();
  check_steps ();
  scripted = false;
  check_real ();
  return tap_end ();
}

#else /* !HAVE_LINUX_VM_SOCKETS_H */

/* A system that does not have it says so. */
int
main (void)
{
  struct nbd_handle *h = new_handle ();

  tap_begin ();
  is_int (nbd_supports_vsock (h), 0, "vsock is not supported");
  is_int (nbd_connect_vsock (h, 2, 10809), -1, "connecting fails");
  is_int (nbd_get_errno (), ENOTSUP, "with ENOTSUP");
  is_int (nbd_aio_connect_vsock (h, 2, 10809), -1, "asynchronously, too");
  is_int (nbd_get_errno (), ENOTSUP, "with ENOTSUP");
  is_int (nbd_aio_is_created (h), 1, "the handle is as new");
  nbd_close (h);
  return tap_end ();
}

#endif
