/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The floor of the benchmark: a client without a library that does the least
 * possible work and checks nothing.  One send for each request, one receive for
 * all that has arrived; of a large read, the data go straight to their place.
 *
 *   floor SOCKET simple|structured OPERATION SIZE DEPTH COUNT
 *
 * with the operations read, write and status, and the output of client.
 */

#include "config.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "measure.h"
#include "protocol.h"
#include "wire.h"

#define INPUT_SIZE (256u << 10)

/* Data that are longer than this are received in place. */
#define LARGE 16384

static int fd;
static bool structured;
static uint16_t type;
static size_t size;
static uint8_t in[INPUT_SIZE];
static size_t head, tail;

static void
die (const char *what)
{
  perror (what);
  exit (1);
}

/* Exactly N bytes of the server. */
static void
receive (void *p, size_t n)
{
  if (n > 0 && recv (fd, p, n, MSG_WAITALL) != (ssize_t) n)
    die ("floor: recv");
}

static void
say (const struct writer *w)
{
  if (send (fd, w->base, w->n, MSG_NOSIGNAL) != (ssize_t) w->n)
    die ("floor: send");
}

static void
option (uint32_t number, const void *payload, size_t length)
{
  uint8_t buffer[256];
  struct writer w = writer_init (buffer, sizeof buffer);
  uint8_t reply[20];

  write_u64 (&w, NBD_NEW_VERSION);
  write_u32 (&w, number);
  write_u32 (&w, length);
  write_bytes (&w, payload, length);
  say (&w);
  do {
    receive (reply, 20);
    receive (buffer, be32toh (*(uint32_t *) (reply + 16)));
  } while (be32toh (*(uint32_t *) (reply + 12)) != NBD_REP_ACK);
}

static void
negotiate (const char *path)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  uint8_t buffer[18] = { 0 };
  struct writer w = writer_init (buffer, sizeof buffer);

  strncpy (addr.sun_path, path, sizeof addr.sun_path - 1);
  fd = socket (AF_UNIX, SOCK_STREAM, 0);
  if (connect (fd, (struct sockaddr *) &addr, sizeof addr) == -1)
    die (path);
  receive (buffer, 18);
  write_u32 (&w, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
  say (&w);
  if (structured) {
    option (NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    option (NBD_OPT_SET_META_CONTEXT, "\0\0\0\0\0\0\0\1\0\0\0\17"
            "base:allocation", 27);
  }
  option (NBD_OPT_GO, "\0\0\0\0\0\0", 6);
}

/* The rest of a write that the socket did not take as a whole.  The server may be
 * waiting for us to take its replies, so that happens meanwhile.
 */
static void
send_rest (const uint8_t *p, size_t n)
{
  struct pollfd pollfd = { .fd = fd, .events = POLLIN | POLLOUT };

  while (n > 0) {
    ssize_t r;

    if (poll (&pollfd, 1, -1) == -1)
      die ("floor: poll");
    r = recv (fd, in + tail, INPUT_SIZE - tail, MSG_DONTWAIT);
    if (r > 0)
      tail += r;
    r = send (fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (r == -1 && errno != EAGAIN)
      die ("floor: send");
    if (r > 0) {
      p += r;
      n -= r;
    }
  }
}

/* False if the socket is full. */
static bool
request (uint64_t cookie, uint64_t offset, uint8_t *payload)
{
  uint8_t header[28];
  struct writer w = writer_init (header, sizeof header);
  struct iovec iov[2] = { { header, 28 }, { payload, size } };
  struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

  write_u32 (&w, NBD_REQUEST_MAGIC);
  write_u16 (&w, 0);
  write_u16 (&w, type);
  write_u64 (&w, cookie);
  write_u64 (&w, offset);
  write_u32 (&w, type == NBD_CMD_BLOCK_STATUS ? 1 << 30 : size);
  if (type == NBD_CMD_WRITE) {
    ssize_t r = sendmsg (fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (r == -1 && errno == EAGAIN)
      return false;
    if (r < 28)
      die ("floor: sendmsg");
    send_rest (payload + (r - 28), 28 + size - r);
  }
  else if (send (fd, header, w.n, MSG_NOSIGNAL | MSG_DONTWAIT) != 28) {
    if (errno != EAGAIN)
      die ("floor: send");
    return false;
  }
  return true;
}

/* Make N bytes be in the buffer. */
static void
want (size_t n)
{
  while (tail - head < n) {
    size_t room;
    ssize_t r;

    if (head == tail)
      head = tail = 0;
    else if (head + n > INPUT_SIZE) {
      memmove (in, in + head, tail - head);
      tail -= head;
      head = 0;
    }
    room = size > LARGE ? n - (tail - head) : INPUT_SIZE - tail;
    r = recv (fd, in + tail, room, 0);
    if (r <= 0)
      die ("floor: recv");
    tail += r;
  }
}

/* Take one reply; its cookie. */
static uint64_t
reply (uint8_t **buffers)
{
  bool chunk = structured && type != NBD_CMD_WRITE;
  size_t n = chunk ? 20 : 16, length = type == NBD_CMD_READ ? size : 0;
  const uint8_t *p;
  uint64_t cookie;

  if (chunk && type == NBD_CMD_READ)
    n += 8;
  want (n);
  p = in + head;
  memcpy (&cookie, p + 8, 8);
  cookie = be64toh (cookie);
  if (type == NBD_CMD_BLOCK_STATUS)
    length = be32toh (*(uint32_t *) (p + 16));
  head += n;
  if (length > LARGE && tail - head < length) {
    size_t some = tail - head;

    memcpy (buffers[cookie], in + head, some);
    head = tail = 0;
    receive (buffers[cookie] + some, length - some);
  }
  else if (length > 0) {
    want (length);
    memcpy (buffers[cookie], in + head, length);
    head += length;
  }
  return cookie;
}

int
main (int argc, char *argv[])
{
  unsigned long depth, count, idle = 0, issued = 0, completed = 0;
  size_t room;
  uint8_t **buffers;
  uint64_t *slots;
  struct measure m;

  if (argc != 7)
    return 2;
  structured = strcmp (argv[2], "structured") == 0;
  type = argv[3][0] == 'r' ? NBD_CMD_READ : argv[3][0] == 'w' ?
    NBD_CMD_WRITE : NBD_CMD_BLOCK_STATUS;
  size = strtoul (argv[4], NULL, 10);
  depth = strtoul (argv[5], NULL, 10);
  count = strtoul (argv[6], NULL, 10);
  room = type == NBD_CMD_BLOCK_STATUS ? 64 << 20 : size;
  buffers = calloc (depth, sizeof *buffers);
  slots = calloc (depth, sizeof *slots);
  for (; idle < depth; idle++) {
    slots[idle] = idle;
    buffers[idle] = malloc (room);
    memset (buffers[idle], 1, room);
  }
  negotiate (argv[1]);
  m = measure_begin ();
  while (completed < count) {
    for (; idle > 0 && issued < count; issued++, idle--) {
      uint64_t slot = slots[idle - 1];

      if (!request (slot, issued * size % (1ul << 40), buffers[slot]))
        break;
    }
    do {
      slots[idle++] = reply (buffers);
      completed++;
    } while (completed < count && tail > head);
  }
  measure_print (&m, count);
  return 0;
}
