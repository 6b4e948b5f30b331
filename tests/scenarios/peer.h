/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A scripted server: a thread that plays exact bytes at the other end of a
 * socket and checks the bytes that it gets.  What it received is logged, and
 * printed when it ends.  No wait is without a limit.
 */

#ifndef SCENARIOS_PEER_H
#define SCENARIOS_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes are written as words separated by white space:
 *   4e42 00       hex digits, two a byte
 *   'IHAVEOPT'    the characters (no spaces)
 *   u16:3 u32:0x10 u64:512    big-endian numbers
 *   x124:00       a byte repeated
 */
enum step_kind {
  STEP_END,
  STEP_SEND,                    /* send the bytes */
  STEP_EXPECT,                  /* receive these bytes and no others */
  STEP_QUIET,                   /* the same, and leave them out of the log */
  STEP_RECEIVE,                 /* receive and log this number of bytes */
  STEP_HELLO,                   /* receive the greeting of TLS, and log to
                                   whom it is addressed */
  STEP_WAIT,                    /* wait until the test says go */
  STEP_SERVE,                   /* do what the client asks for, to its end,
                                   with an export of that size */
  STEP_SIGNAL,                  /* send SIGUSR1 to the thread of the test */
  STEP_SHUT,                    /* send no more, but go on receiving */
  STEP_CLOSE,                   /* close the connection */
  STEP_FORGET,                  /* do not log what follows the script: how
                                   much a socket holds is its own affair */
};

struct step {
  enum step_kind kind;
  const char *bytes;
};

#define SEND(...) { STEP_SEND, __VA_ARGS__ }
#define EXPECT(...) { STEP_EXPECT, __VA_ARGS__ }
#define QUIET(...) { STEP_QUIET, __VA_ARGS__ }
#define RECEIVE(n) { STEP_RECEIVE, #n }
#define HELLO { STEP_HELLO, NULL }
#define WAIT { STEP_WAIT, NULL }
#define SERVE { STEP_SERVE, "1048576" }
#define SERVE_LARGE { STEP_SERVE, "0x7fffffffffffffff" }
#define SIGNAL { STEP_SIGNAL, NULL }
#define SHUT { STEP_SHUT, NULL }
#define CLOSE { STEP_CLOSE, NULL }
#define FORGET { STEP_FORGET, NULL }

struct peer;

/* Start a peer at one end of a new socket pair; the other end is *SOCK. */
struct peer *peer_start (const struct step *steps, int *sock);

/* Start a peer that accepts one connection from LISTENER, and closes that. */
struct peer *peer_listen (const struct step *steps, int listener);

/* Start a peer at FD, the other end of which is the first thread of another
 * process.
 */
struct peer *peer_attach (const struct step *steps, int fd, pid_t client);

/* Wait until the peer is at a WAIT or at the end of its script. */
void peer_await (struct peer *p);
bool peer_is_waiting (struct peer *p);

/* Let the peer pass its next WAIT, whether it is there or still to come. */
void peer_release (struct peer *p);

/* Let the peer go on from the WAIT where it is, to the next one or the end of
 * its script.
 */
void peer_go (struct peer *p);

/* Wait until the client has closed the connection, print the log, and free the
 * peer.
 */
void peer_end (struct peer *p);

/* Print bytes in the notation of the scripts; long runs are shortened. */
void print_bytes (const void *bytes, size_t n);

/* Parts that many scripts share. */
#define GREETING "'NBDMAGIC' 'IHAVEOPT' u16:3 "
#define OLD_GREETING "'NBDMAGIC' u64:0x00420281861253 "
#define CLIENT_FLAGS "u32:3 "
#define OPTION(n, length) "'IHAVEOPT' u32:" #n " u32:" #length " "
#define OPT_ABORT OPTION (2, 0)
#define OPT_LIST OPTION (3, 0)
#define OPT_STARTTLS OPTION (5, 0)
#define OPT_INFO OPTION (6, 8) "u32:0 u16:1 u16:3 "
#define OPT_GO OPTION (7, 8) "u32:0 u16:1 u16:3 "
#define OPT_STRUCTURED OPTION (8, 0)
#define META_QUERY "u32:0 u32:1 u32:15 'base:allocation' "
#define OPT_LIST_META OPTION (9, 27) META_QUERY
#define OPT_SET_META OPTION (10, 27) META_QUERY

/* Replies to option N. */
#define REP(n, type, length) \
  "u64:0x3e889045565a9 u32:" #n " u32:" #type " u32:" #length " "
#define ACK(n) REP (n, 1, 0)
#define REFUSE(n, error) REP (n, 0x8000000##error, 0)
#define UNSUP(n) REFUSE (n, 1)
#define INFO_EXPORT(n, size, flags) \
  REP (n, 3, 12) "u16:0 u64:" #size " u16:" #flags " "
#define INFO_BLOCK_SIZE(n, min, preferred, max) \
  REP (n, 3, 14) "u16:3 u32:" #min " u32:" #preferred " u32:" #max " "
#define META_REPLY(n, id) REP (n, 4, 19) "u32:" #id " 'base:allocation' "

/* Requests; the flags are those of the command. */
#define REQUEST(flags, type, cookie, offset, count)                     \
  "u32:0x25609513 u16:" #flags " u16:" #type " u64:" #cookie " u64:" #offset \
  " u32:" #count " "
#define READ(cookie, offset, count) REQUEST (0, 0, cookie, offset, count)
#define WRITE(cookie, offset, count) REQUEST (0, 1, cookie, offset, count)
#define DISC(cookie) REQUEST (0, 2, cookie, 0, 0)
#define FLUSH(cookie) REQUEST (0, 3, cookie, 0, 0)
#define TRIM(cookie, offset, count) REQUEST (0, 4, cookie, offset, count)
#define CACHE(cookie, offset, count) REQUEST (0, 5, cookie, offset, count)
#define ZERO(cookie, offset, count) REQUEST (0, 6, cookie, offset, count)
#define BLOCK_STATUS(cookie, offset, count) \
  REQUEST (0, 7, cookie, offset, count)

/* Simple replies, and chunks of structured ones. */
#define REPLY(cookie, error) \
  "u32:0x67446698 u32:" #error " u64:" #cookie " "
#define CHUNK(flags, type, cookie, length)                              \
  "u32:0x668e33ef u16:" #flags " u16:" #type " u64:" #cookie " u32:" #length \
  " "
#define DONE(cookie) CHUNK (1, 0, cookie, 0)
#define ERROR(cookie, error) \
  CHUNK (1, 0x8001, cookie, 6) "u32:" #error " u16:0 "

/* Handshakes that end in transmission with an export of 1 MiB.  All features
 * but read only: 0x0dfd.
 */
#define HANDSHAKE(structured, size, flags)                              \
  SEND (GREETING), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),        \
  SEND (structured), QUIET (OPT_GO),                                    \
  SEND (INFO_EXPORT (7, size, flags) ACK (7))
#define SIMPLE HANDSHAKE (UNSUP (8), 1048576, 0x0dfd)
#define STRUCTURED HANDSHAKE (ACK (8), 1048576, 0x0dfd)

/* With the meta context base:allocation, whose id is 7. */
#define META                                                            \
  SEND (GREETING), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),        \
  SEND (ACK (8)), QUIET (OPT_SET_META), SEND (META_REPLY (10, 7) ACK (10)), \
  QUIET (OPT_GO), SEND (INFO_EXPORT (7, 1048576, 0x0dfd) ACK (7))

/* Up to where the program negotiates, in opt mode. */
#define OPT_MODE                                                        \
  SEND (GREETING), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),        \
  SEND (ACK (8))

#endif /* SCENARIOS_PEER_H */
