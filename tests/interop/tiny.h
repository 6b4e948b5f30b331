/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A server inside the test program, for tests of what comes before it is
 * reached.  It speaks the oldest form of the protocol, on any listening
 * socket, and tells how many connections there were.
 */

#ifndef TESTS_TINY_H
#define TESTS_TINY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "libnbd.h"

#define TINY_SIZE 65536

struct tiny;

/* Serve, in a thread, whoever connects to the socket, which becomes the
 * server's.  Every byte of the export is CONTENT.
 */
struct tiny *tiny_start (int listener, uint8_t content);

/* The number of connections that there were. */
unsigned tiny_stop (struct tiny *t);

/* A listening socket at a free port of 127.0.0.1. */
int listen_tcp (struct sockaddr_in *addr, int backlog);

/* Of which server is this the export?  -1 if it cannot be read from. */
int tiny_content (struct nbd_handle *h);

/* Connections that nobody accepts, until there is no room for another. */
#define MAX_FILLERS 64

struct fillers {
  int fds[MAX_FILLERS];
  unsigned count;
};

void fill_backlog (struct fillers *f, const void *addr, socklen_t len);

/* Accept and drop them, then others can be accepted. */
void drain_backlog (struct fillers *f, int listener);

/* The end of them, accepted or not. */
void end_fillers (struct fillers *f);

/* How many descriptors have a name that begins so in /proc/self/fd? */
unsigned count_descriptors (const char *name);

/* The number of a socket that no other has; 0: not open. */
uint64_t socket_number (int fd);
bool socket_is_open (uint64_t number);

/* Milliseconds of a clock. */
int64_t now_ms (void);

#endif /* TESTS_TINY_H */
