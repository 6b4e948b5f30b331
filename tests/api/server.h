/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A small server of NBD that does no I/O: it is given bytes and leaves its
 * answers in a buffer.  It counts what passes, so that the library's own
 * counts can be compared.
 */

#ifndef TESTS_SERVER_H
#define TESTS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the server can do, from the least.  Each kind of reply includes those
 * before it.
 */
enum replies { SIMPLE, STRUCTURED, EXTENDED };

struct offer {
  enum replies replies;
  uint64_t size;                /* of the export */
  uint16_t flags;               /* transmission flags */
  uint32_t minimum, preferred, maximum; /* block sizes; 0: none are sent */
  const char *context;          /* the meta context that is granted, or NULL */
  bool tls, tls_twice;          /* STARTTLS, and inside of TLS once more */
};

/* An export of 1 MiB that has every feature. */
extern const struct offer everything;

/* The id of the meta context. */
#define CONTEXT_ID 7

struct buffer {
  uint8_t *p;
  size_t n, size;
};

void buffer_append (struct buffer *b, const void *p, size_t n);

#define DISK_SIZE 65536

struct server {
  struct offer offer;
  /* Everything that was received, and how much of it was handled. */
  struct buffer in;
  size_t handled;
  struct buffer out;            /* everything that was said */
  enum { HANDSHAKE_FLAGS, OPTIONS, STARTTLS, REQUESTS, SILENCE } stage;
  bool secured;                 /* by TLS */
  enum replies replies;         /* as negotiated */
  bool mute;                    /* requests are not answered */
  bool chunked;                 /* reads are answered in two chunks */
  bool ended;                   /* the connection is to be closed */
  uint64_t messages_in, messages_out;
  /* The beginning of the export; what is beyond reads as zeroes. */
  uint8_t disk[DISK_SIZE];
};

/* A server that has said its greeting. */
struct server *server_new (const struct offer *offer);

/* Bytes have arrived. */
void server_take (struct server *s, const void *p, size_t n);

/* The stage STARTTLS is over: what follows was encrypted. */
void server_secure (struct server *s);

void server_free (struct server *s);

#endif /* TESTS_SERVER_H */
