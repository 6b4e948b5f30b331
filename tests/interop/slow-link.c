/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A slow network for scripts:
 *
 *   slow-link DEVICE MILLISECONDS [LOSS]
 *
 * makes the network device and prints "ready".  Each packet that is sent to it
 * comes back after so many milliseconds with its two addresses exchanged: what
 * this machine sends to any address there, it receives from that address.  A
 * server on this machine can then be reached at any such address, slowly.  Of
 * every LOSS packets one is lost.  It runs until it is killed, for 5 minutes
 * at most.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_PACKETS 4096

static struct packet {
  int64_t due;
  ssize_t length;
  uint8_t bytes[1600];
} packets[MAX_PACKETS];
static unsigned first, count;

static int64_t
now_ms (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
open_device (const char *name)
{
  struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
  int fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC);

  if (fd == -1) {
    perror ("/dev/net/tun");
    exit (1);
  }
  snprintf (request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (ioctl (fd, TUNSETIFF, &request) == -1) {
    perror (name);
    exit (1);
  }
  return fd;
}

/* Neither checksum changes when the addresses are exchanged. */
static bool
exchange (struct packet *p)
{
  size_t n = p->bytes[0] >> 4 == 4 ? 4 : 16;
  uint8_t *from = p->bytes + (n == 4 ? 12 : 8), address[16];

  if (p->length < 40)
    return false;
  memcpy (address, from, n);
  memcpy (from, from + n, n);
  memcpy (from + n, address, n);
  return true;
}

int
main (int argc, char **argv)
{
  unsigned loss, seen = 0;
  int delay, fd;

  if (argc < 3 || argc > 4)
    return 2;
  delay = atoi (argv[2]);
  loss = argc > 3 ? atoi (argv[3]) : 0;
  alarm (300);
  fd = open_device (argv[1]);
  printf ("ready\n");
  fflush (stdout);

  for (;;) {
    struct pollfd pfd = { .fd = fd, .events = POLLIN };
    int timeout = -1;

    while (count > 0 && packets[first].due <= now_ms ()) {
      struct packet *p = &packets[first];

      /* What the device does not take is lost, as on any network. */
      if (write (fd, p->bytes, p->length) == -1 && errno == EBADF)
        return 1;
      first = (first + 1) % MAX_PACKETS;
      count--;
    }
    if (count > 0)
      timeout = packets[first].due - now_ms ();
    if (count == MAX_PACKETS)
      pfd.events = 0;
    if (poll (&pfd, 1, timeout < -1 ? 0 : timeout) == 1) {
      struct packet *p = &packets[(first + count) % MAX_PACKETS];

      p->length = read (fd, p->bytes, sizeof p->bytes);
      p->due = now_ms () + delay;
      if (p->length > 0 && exchange (p) && (loss == 0 || ++seen % loss != 0))
        count++;
    }
  }
}
