/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Real servers for a test program: nbdkit and qemu-nbd, which are handed a
 * socket that listens already, and nbd-server.  Each server is the child of a
 * keeper process that ends it when the test program stops it or ends in
 * whatever way, and that tells whether it ended as it should.
 */

#ifndef TESTS_SERVER_H
#define TESTS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "libnbd.h"

enum server_transport {
  SERVER_UNIX,                  /* a socket in the temporary folder */
  SERVER_IPV4,                  /* a free port of 127.0.0.1 */
  SERVER_IPV6,                  /* a free port of ::1 */
};

struct server;

/* End the program with skip_all unless this command runs and succeeds.  The
 * arguments end with NULL.
 */
void server_require (const char *program, ...)
  __attribute__ ((sentinel));

/* Start nbdkit or qemu-nbd.  The arguments end with NULL.  It can be connected
 * to at once.  A server that cannot be started ends the program.
 */
struct server *server_start (enum server_transport transport,
                             const char *program, ...)
  __attribute__ ((sentinel));

/* Start nbd-server with these sections, which are its exports, in its
 * configuration.
 */
struct server *server_start_nbd_server (enum server_transport transport,
                                        const char *sections);

/* Start any of the three, nbd-server included, so that it serves a raw file as
 * the export "" or, in the case of nbd-server, "disk"; see server_connect.
 */
struct server *server_start_file (enum server_transport transport,
                                  const char *program, const char *file);

/* Where it listens. */
const char *server_path (const struct server *s);       /* SERVER_UNIX */
const char *server_port (const struct server *s);       /* SERVER_IPV4, 6 */
socklen_t server_address (const struct server *s,
                          struct sockaddr_storage *addr);

/* Connect H to the server, to the file of server_start_file if that is how it
 * was started.  The result of nbd_connect_unix or nbd_connect_tcp.
 */
int server_connect (const struct server *s, struct nbd_handle *h);

/* The same; the program ends if that fails. */
void must_connect (const struct server *s, struct nbd_handle *h);

/* A socket of our own that is connected to the server. */
int server_socket (const struct server *s);

/* Let the server do nothing more, until it is killed. */
void server_freeze (struct server *s);

/* Kill the server.  When this returns it is gone. */
void server_kill (struct server *s);

/* Stop the server and free S.  One case: it ended as it was told to, in good
 * order, and left no process behind.
 */
void server_stop (struct server *s);

/* Run a command and wait for it.  The arguments end with NULL.  Returns
 * whether it succeeded; what it prints is in FILE unless that is NULL.
 */
bool run_command (const char *file, const char *program, ...)
  __attribute__ ((sentinel));

/* End the program if a call that all else needs has failed, or if what all
 * else needs is not so.
 */
#define MUST(call) must ((call) != -1, #call, __FILE__, __LINE__)
#define MUST_BE(cond) must ((cond), #cond, __FILE__, __LINE__)
void must (bool good, const char *what, const char *file, int line);

/* A new handle; never NULL. */
struct nbd_handle *new_handle (void);

/* A new handle, connected to the server. */
struct nbd_handle *connected (const struct server *s);

/* Say goodbye and close. */
void disconnect (struct nbd_handle *h);

/* Numbers that look random and are the same each time. */
static inline uint64_t
next_random (uint64_t *seed)
{
  uint64_t x = *seed += 0x9e3779b97f4a7c15;

  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

void fill_random (uint64_t *seed, void *buf, size_t n);

#endif /* TESTS_SERVER_H */
