/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A layer between the library and the sockets of the system, with which a
 * scenario can connect to any address and nothing leaves the process.  Nor
 * does it matter who is logged in.  The functions here are found before those
 * of the C library, by whichever library runs.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "scenario.h"

/* Other names than those of <sys/socket.h>, whose types are special. */
int socket_here (int domain, int type, int protocol) __asm__ ("socket");
int connect_here (int fd, const struct sockaddr *addr, socklen_t len)
  __asm__ ("connect");
int getlogin_here (char *name, size_t size) __asm__ ("getlogin_r");

static bool diverted;
static const struct step *target;
static int refusal;

void
divert (const struct step *steps)
{
  create ();
  diverted = true;
  target = steps;
}

void
divert_to_error (int errnum)
{
  create ();
  diverted = true;
  target = NULL;
  refusal = errnum;
}

void
divert_no_more (void)
{
  diverted = false;
}

/* The system may have no vsock, so its sockets are others from the start. */
int
socket_here (int domain, int type, int protocol)
{
  if (diverted && domain == AF_VSOCK)
    domain = AF_UNIX;
  return syscall (SYS_socket, domain, type, protocol);
}

/* Where HOST is loopback, the order of its addresses is the resolver's. */
static void
print_internet (const struct sockaddr *addr, socklen_t len)
{
  char host[NI_MAXHOST], service[NI_MAXSERV];

  if (getnameinfo (addr, len, host, sizeof host, service, sizeof service,
                   NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    abort ();
  if (strcmp (host, "127.0.0.1") == 0 || strcmp (host, "::1") == 0)
    strcpy (host, "loopback");
  say ("  connect: %s, port %s", host, service);
}

/* A path ends at its NUL, an abstract name with the address. */
static void
print_unix (const struct sockaddr_un *un, socklen_t len)
{
  size_t n = len - offsetof (struct sockaddr_un, sun_path);

  printf ("  connect: Unix socket \"");
  if (un->sun_path[0])
    n = strnlen (un->sun_path, n);
  for (size_t i = 0; i < n; i++) {
    unsigned char c = un->sun_path[i];

    if (c < 0x20 || c >= 0x7f)
      printf ("\\%03o", c);
    else
      putchar (c);
  }
  printf ("\"\n");
}

static void
print_address (const struct sockaddr *addr, socklen_t len)
{
  const struct sockaddr_vm *vm = (const struct sockaddr_vm *) addr;

  switch (addr->sa_family) {
  case AF_INET:
  case AF_INET6:
    print_internet (addr, len);
    break;
  case AF_UNIX:
    print_unix ((const struct sockaddr_un *) addr, len);
    break;
  case AF_VSOCK:
    say ("  connect: vsock, CID %u, port %u", vm->svm_cid, vm->svm_port);
    break;
  default:
    say ("  connect: family %d", addr->sa_family);
  }
}

/* FD becomes the client's end of a new peer, with the flags that it had. */
static int
connect_to_peer (int fd)
{
  int flags = fcntl (fd, F_GETFL), end;

  peer = peer_start (target, &end);
  if (fcntl (end, F_SETFL, flags) == -1 ||
      dup3 (end, fd, fcntl (fd, F_GETFD) & FD_CLOEXEC ? O_CLOEXEC : 0) == -1)
    abort ();
  close (end);
  return 0;
}

int
connect_here (int fd, const struct sockaddr *addr, socklen_t len)
{
  if (!diverted)
    return syscall (SYS_connect, fd, addr, len);
  print_address (addr, len);
  if (target)
    return connect_to_peer (fd);
  errno = refusal;
  return -1;
}

const char *login;

int
getlogin_here (char *name, size_t size)
{
  if (login == NULL || strlen (login) >= size) {
    errno = login ? ERANGE : ENXIO;
    return errno;
  }
  strcpy (name, login);
  return 0;
}
