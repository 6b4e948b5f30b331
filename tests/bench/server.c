/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The server of the benchmark: it costs next to nothing, so that what is
 * measured is the client.  Requests are parsed from one large buffer, and all
 * that have arrived are answered with one sendmsg.  Nothing is stored: what is
 * read is a pattern, what is written is thrown away.
 *
 *   server SOCKET simple|structured|extended [EXTENTS]
 *
 * prints a line once it listens on the Unix socket, and ends with its standard
 * input.  A block status reply has EXTENTS extents.
 */

#include "config.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocol.h"
#include "wire.h"

#define EXPORT_SIZE ((uint64_t) 1 << 40)
#define MAX_DATA (64u << 20)    /* the largest read */
#define INPUT_SIZE (1u << 20)
#define MAX_IOV 1024

static enum { SIMPLE, STRUCTURED, EXTENDED } most = STRUCTURED;
static uint8_t *data;           /* what every read returns */
static uint8_t *status[2];      /* payload of block status, by width */
static size_t status_length[2];

struct connection {
  int fd;
  int mode;
  uint8_t *in;
  size_t head, tail;
  struct iovec out[MAX_IOV];
  int nr_out;
  uint8_t headers[MAX_IOV][64];
};

/* False when the client has gone. */
static bool
fill (struct connection *c)
{
  ssize_t r;

  if (c->head == c->tail)
    c->head = c->tail = 0;
  else if (c->tail == INPUT_SIZE) {
    memmove (c->in, c->in + c->head, c->tail - c->head);
    c->tail -= c->head;
    c->head = 0;
  }
  r = recv (c->fd, c->in + c->tail, INPUT_SIZE - c->tail, 0);
  if (r <= 0)
    return false;
  c->tail += r;
  return true;
}

static bool
flush (struct connection *c)
{
  struct msghdr msg = { .msg_iov = c->out, .msg_iovlen = c->nr_out };

  while (msg.msg_iovlen > 0) {
    ssize_t r = sendmsg (c->fd, &msg, MSG_NOSIGNAL);

    if (r == -1)
      return false;
    while (msg.msg_iovlen > 0 && (size_t) r >= msg.msg_iov->iov_len) {
      r -= msg.msg_iov->iov_len;
      msg.msg_iov++;
      msg.msg_iovlen--;
    }
    if (msg.msg_iovlen > 0) {
      msg.msg_iov->iov_base = (uint8_t *) msg.msg_iov->iov_base + r;
      msg.msg_iov->iov_len -= r;
    }
  }
  c->nr_out = 0;
  return true;
}

/* The next N bytes of the client, once they are there; NULL if it has gone. */
static const uint8_t *
take (struct connection *c, size_t n)
{
  while (c->tail - c->head < n)
    if (n > INPUT_SIZE || (c->nr_out > 0 && !flush (c)) || !fill (c))
      return NULL;
  c->head += n;
  return c->in + c->head - n;
}

static bool
skip (struct connection *c, uint64_t n)
{
  while (n > 0) {
    size_t some = c->tail - c->head;

    if (some == 0) {
      if ((c->nr_out > 0 && !flush (c)) || !fill (c))
        return false;
      continue;
    }
    some = some < n ? some : n;
    c->head += some;
    n -= some;
  }
  return true;
}

/* A writer for the header of the next reply; queue () takes it. */
static struct writer
header (struct connection *c)
{
  return writer_init (c->headers[c->nr_out], sizeof c->headers[0]);
}

static bool
queue (struct connection *c, struct writer *w, const uint8_t *payload,
       size_t length)
{
  c->out[c->nr_out] = (struct iovec) { c->headers[c->nr_out], w->n };
  c->nr_out++;
  if (length > 0)
    c->out[c->nr_out++] = (struct iovec) { (void *) payload, length };
  return c->nr_out < MAX_IOV - 2 || flush (c);
}

/* Negotiation. */

static bool
reply_option (struct connection *c, uint32_t option, uint32_t type,
              const uint8_t *payload, size_t length)
{
  struct writer w = header (c);

  write_u64 (&w, NBD_REP_MAGIC);
  write_u32 (&w, option);
  write_u32 (&w, type);
  write_u32 (&w, length);
  return queue (c, &w, payload, length) && flush (c);
}

static bool
reply_info (struct connection *c, uint32_t option)
{
  uint8_t info[12];
  struct writer w = writer_init (info, sizeof info);

  write_u16 (&w, NBD_INFO_EXPORT);
  write_u64 (&w, EXPORT_SIZE);
  write_u16 (&w, NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH |
             NBD_FLAG_CAN_MULTI_CONN);
  return reply_option (c, option, NBD_REP_INFO, info, sizeof info) &&
    reply_option (c, option, NBD_REP_ACK, NULL, 0);
}

static bool
reply_context (struct connection *c, uint32_t option)
{
  static const uint8_t context[] = "\0\0\0\1base:allocation";

  return reply_option (c, option, NBD_REP_META_CONTEXT, context,
                       sizeof context - 1) &&
    reply_option (c, option, NBD_REP_ACK, NULL, 0);
}

/* True once transmission begins. */
static bool
negotiate (struct connection *c)
{
  struct writer w = header (c);

  write_u64 (&w, NBD_MAGIC);
  write_u64 (&w, NBD_NEW_VERSION);
  write_u16 (&w, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
  if (!queue (c, &w, NULL, 0) || !flush (c) || take (c, 4) == NULL)
    return false;
  for (;;) {
    const uint8_t *p = take (c, 16);
    struct reader r = reader_init (p, p ? 16 : 0);
    uint32_t option, length;
    bool good;

    read_u64 (&r);
    option = read_u32 (&r);
    length = read_u32 (&r);
    if (r.bad || !skip (c, length))
      return false;
    switch (option) {
    case NBD_OPT_GO:
      return reply_info (c, option);
    case NBD_OPT_INFO:
      good = reply_info (c, option);
      break;
    case NBD_OPT_SET_META_CONTEXT:
      good = reply_context (c, option);
      break;
    case NBD_OPT_STRUCTURED_REPLY:
    case NBD_OPT_EXTENDED_HEADERS:
      good = option == NBD_OPT_STRUCTURED_REPLY ? most >= STRUCTURED :
        most == EXTENDED;
      if (good)
        c->mode = option == NBD_OPT_STRUCTURED_REPLY ? STRUCTURED : EXTENDED;
      good = reply_option (c, option, good ? NBD_REP_ACK : NBD_REP_ERR_UNSUP,
                           NULL, 0);
      break;
    case NBD_OPT_ABORT:
      return false;
    default:
      good = reply_option (c, option, NBD_REP_ERR_UNSUP, NULL, 0);
    }
    if (!good)
      return false;
  }
}

/* Transmission. */

struct request {
  uint16_t type;
  uint64_t cookie, offset, length;
};

/* The reply to a request, up to its payload, of LENGTH bytes. */
static struct writer
reply_header (struct connection *c, const struct request *q, uint16_t type,
              size_t length)
{
  struct writer w = header (c);
  bool offset = type == NBD_REPLY_TYPE_OFFSET_DATA;

  if (c->mode == EXTENDED) {
    write_u32 (&w, NBD_EXTENDED_REPLY_MAGIC);
    write_u16 (&w, NBD_REPLY_FLAG_DONE);
    write_u16 (&w, type);
    write_u64 (&w, q->cookie);
    write_u64 (&w, q->offset);
    write_u64 (&w, length + (offset ? 8 : 0));
  }
  else if (type == NBD_REPLY_TYPE_NONE || c->mode == SIMPLE) {
    write_u32 (&w, NBD_SIMPLE_REPLY_MAGIC);
    write_u32 (&w, 0);
    write_u64 (&w, q->cookie);
    return w;
  }
  else {
    write_u32 (&w, NBD_STRUCTURED_REPLY_MAGIC);
    write_u16 (&w, NBD_REPLY_FLAG_DONE);
    write_u16 (&w, type);
    write_u64 (&w, q->cookie);
    write_u32 (&w, length + (offset ? 8 : 0));
  }
  if (offset)
    write_u64 (&w, q->offset);
  return w;
}

static bool
answer (struct connection *c, const struct request *q)
{
  bool wide = c->mode == EXTENDED;
  struct writer w;

  switch (q->type) {
  case NBD_CMD_READ:
    if (q->length > MAX_DATA)
      return false;
    w = reply_header (c, q, NBD_REPLY_TYPE_OFFSET_DATA, q->length);
    return queue (c, &w, data, q->length);
  case NBD_CMD_BLOCK_STATUS:
    w = reply_header (c, q, wide ? NBD_REPLY_TYPE_BLOCK_STATUS_EXT :
                      NBD_REPLY_TYPE_BLOCK_STATUS, status_length[wide]);
    return queue (c, &w, status[wide], status_length[wide]);
  case NBD_CMD_WRITE:
    if (!skip (c, q->length))
      return false;
    /* fall through */
  case NBD_CMD_FLUSH:
    w = reply_header (c, q, NBD_REPLY_TYPE_NONE, 0);
    return queue (c, &w, NULL, 0);
  default:
    return false;               /* a disconnect, too */
  }
}

static void
transmit (struct connection *c)
{
  size_t size = c->mode == EXTENDED ? 32 : 28;
  struct request q;

  do {
    const uint8_t *p = take (c, size);
    struct reader r = reader_init (p, p ? size : 0);

    read_u32 (&r);
    read_u16 (&r);
    q.type = read_u16 (&r);
    q.cookie = read_u64 (&r);
    q.offset = read_u64 (&r);
    q.length = c->mode == EXTENDED ? read_u64 (&r) : read_u32 (&r);
    if (r.bad)
      break;
  } while (answer (c, &q));
}

static void *
serve (void *arg)
{
  struct connection *c = calloc (1, sizeof *c);

  if (c && (c->in = malloc (INPUT_SIZE)) != NULL) {
    c->fd = (intptr_t) arg;
    if (negotiate (c))
      transmit (c);
    free (c->in);
  }
  free (c);
  close ((intptr_t) arg);
  return NULL;
}

static void *
accept_all (void *arg)
{
  int listener = (intptr_t) arg;
  pthread_attr_t detached;
  pthread_t thread;

  pthread_attr_init (&detached);
  pthread_attr_setdetachstate (&detached, PTHREAD_CREATE_DETACHED);
  for (;;) {
    int fd = accept (listener, NULL, NULL);

    if (fd == -1 ||
        pthread_create (&thread, &detached, serve, (void *) (intptr_t) fd)) {
      perror ("server: accept");
      exit (EXIT_FAILURE);
    }
  }
}

/* N extents of 64 KiB, in turns data and holes. */
static void
make_status (size_t n)
{
  for (int wide = 0; wide < 2; wide++) {
    size_t length = wide ? 8 + 16 * n : 4 + 8 * n;
    uint8_t *p = malloc (length);
    struct writer w = writer_init (p, length);

    if (p == NULL)
      exit (EXIT_FAILURE);
    write_u32 (&w, 1);
    if (wide)
      write_u32 (&w, n);
    for (size_t i = 0; i < n; i++) {
      write_uint (&w, 65536, wide ? 8 : 4);
      write_uint (&w, i % 2 ? 3 : 0, wide ? 8 : 4);
    }
    status[wide] = p;
    status_length[wide] = length;
  }
}

int
main (int argc, char *argv[])
{
  static const char *const modes[] = { "simple", "structured", "extended" };
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  int listener = socket (AF_UNIX, SOCK_STREAM, 0);
  pthread_t thread;
  int mode = 3;

  for (int i = 0; argc >= 3 && i < 3; i++)
    if (strcmp (argv[2], modes[i]) == 0)
      mode = i;
  if (mode == 3 || strlen (argv[1]) >= sizeof addr.sun_path) {
    fprintf (stderr, "usage: server SOCKET simple|structured|extended "
             "[EXTENTS]\n");
    return EXIT_FAILURE;
  }
  most = mode;
  make_status (argc > 3 ? strtoul (argv[3], NULL, 10) : 1);
  data = malloc (MAX_DATA);
  if (data == NULL)
    return EXIT_FAILURE;
  memset (data, 0x5a, MAX_DATA);
  strcpy (addr.sun_path, argv[1]);
  if (listener == -1 ||
      bind (listener, (struct sockaddr *) &addr, sizeof addr) == -1 ||
      listen (listener, 1024) == -1 ||
      pthread_create (&thread, NULL, accept_all,
                      (void *) (intptr_t) listener)) {
    perror ("server");
    return EXIT_FAILURE;
  }
  puts ("listening");
  fflush (stdout);
  while (getchar () != EOF)
    ;
  return EXIT_SUCCESS;
}
