/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dialogues: what a server sends and what the client must send, as bytes, with
 * the engine in memory and no socket.  Each dialogue is played many times: in
 * its natural order, with all of the server's bytes at once, one byte at a time,
 * cut at every place, and with a transport that takes one byte a call.  It must
 * come to the same end each time.
 */

#ifndef TESTS_DIALOGUE_H
#define TESTS_DIALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "failing.h"
#include "internal.h"

/* Bytes are written as words separated by white space:
 *   4e42 00       hex digits, two a byte
 *   'IHAVEOPT'    the characters (no spaces)
 *   u16:3 u32:0x10 u64:512    big-endian numbers
 *   x124:00       a byte repeated
 */
enum step_kind {
  STEP_END,
  STEP_SERVER,                  /* the server sends BYTES */
  STEP_CLIENT,                  /* the client must have sent BYTES */
  STEP_CALL,                    /* the program does something */
  STEP_EOF,                     /* the server closes the connection */
};

struct play;

struct step {
  enum step_kind kind;
  const char *bytes;
  void (*call) (struct play *p);
};

#define SERVER(...) { STEP_SERVER, __VA_ARGS__, NULL }
#define CLIENT(...) { STEP_CLIENT, __VA_ARGS__, NULL }
#define CALL(fn) { STEP_CALL, NULL, fn }
#define SERVER_CLOSES { STEP_EOF, NULL, NULL }

#define MAX_STEPS 64

struct dialogue {
  const char *name;
  void (*setup) (struct nbd_handle *h); /* before connecting, or NULL */
  struct step steps[MAX_STEPS];
  /* What must hold at the end: the state's name, the error that the handle died
   * of (NULL: none), and what the callbacks logged.
   */
  const char *state;
  const char *error;
  const char *log;
  void (*check) (struct play *p);       /* more, or NULL; uses CHECK */
};

/* One playing of a dialogue. */
struct play {
  struct nbd_handle *h;
  const struct dialogue *dialogue;
  /* The server's bytes: those below AVAILABLE can be received. */
  uint8_t *input;
  size_t input_length, available, taken;
  bool eof;
  /* What the client sent. */
  uint8_t *output;
  size_t output_length, output_size;
  size_t receive_limit, send_limit;     /* bytes a call; 0: no limit */
  bool send_blocked;
  char log[8192];
  char error[512];              /* of the first call that failed */
  const char *problem;          /* of CHECK */
  int loggers;                  /* callbacks that were not freed */
  /* For the dialogues' own use. */
  uint8_t buffer[4][65536];
  int64_t cookie[16];
};

/* Append to the log. */
void play_log (struct play *p, const char *fmt, ...)
  __attribute__ ((format (printf, 2, 3)));

/* In a check: remember what does not hold. */
#define CHECK(p, cond)                          \
  do {                                          \
    if (!(cond) && (p)->problem == NULL)        \
      (p)->problem = #cond;                     \
  } while (0)

/* Callbacks that log: "done NAME ERROR", "chunk OFFSET+COUNT STATUS ERROR",
 * "extents CONTEXT OFFSET: LEN/FLAGS ... ERROR", "export NAME (DESCRIPTION)",
 * "context NAME", each followed by "; ", and "free NAME; " when freed.
 */
nbd_completion_callback log_completion (struct play *p, const char *name);
nbd_chunk_callback log_chunk (struct play *p);
nbd_extent_callback log_extent (struct play *p);
nbd_extent64_callback log_extent64 (struct play *p);
nbd_list_callback log_list (struct play *p);
nbd_context_callback log_context (struct play *p);

/* Play a dialogue in every way; one TAP case for each way. */
void play_dialogue (const struct dialogue *d);

/* Play a dialogue once, in order, with the N-th allocation of the library (from
 * 1) failing: whatever comes of it, each callback must be freed once and each
 * completion called at most once.  False if the library does not allocate that
 * often, which ends the series.
 */
bool play_failing (const struct dialogue *d, unsigned n, bool *good);

/* The states that any playing has been in. */
extern bool states_reached[NR_STATES];

/* Which state was seen to follow which, on handles that are traced. */
void trace_transitions (struct nbd_handle *h);
extern bool transitions_seen[NR_STATES][NR_STATES];

/* The dialogues, by file. */
extern const struct dialogue handshake_dialogues[], option_dialogues[],
  simple_dialogues[], structured_dialogues[], extended_dialogues[],
  broken_dialogues[];

#define NR_GROUPS 6
extern const struct dialogue *const dialogue_groups[NR_GROUPS];

/* A handshake that the server breaks off, once after each byte. */
void play_closed_handshakes (void);

/* Parts that many dialogues share. */
#define GREETING "'NBDMAGIC' 'IHAVEOPT' u16:3 "
#define REP_MAGIC "u64:0x3e889045565a9 "

/* Replies to option N. */
#define ACK(n) REP_MAGIC "u32:" #n " u32:1 u32:0 "
#define UNSUP(n) REP_MAGIC "u32:" #n " u32:0x80000001 u32:0 "
#define REPLY(n, type, length) \
  REP_MAGIC "u32:" #n " u32:" #type " u32:" #length " "
#define REFUSE(n, type) REP_MAGIC "u32:" #n " " type "u32:0 "
#define REFUSE_TEXT(n, type) REP_MAGIC "u32:" #n " " type "u32:7 'because' "
#define INFO_EXPORT(n, size, flags) \
  REP_MAGIC "u32:" #n " u32:3 u32:12 u16:0 u64:" #size " u16:" #flags " "

#define INFO_BLOCK_SIZE(n, minimum, preferred, maximum) \
  REP_MAGIC "u32:" #n " u32:3 u32:14 u16:3 u32:" #minimum " u32:" #preferred \
  " u32:" #maximum " "

/* The types of error replies; 77 is none of the specification. */
#define ERR_UNSUP "u32:0x80000001 "
#define ERR_POLICY "u32:0x80000002 "
#define ERR_INVALID "u32:0x80000003 "
#define ERR_PLATFORM "u32:0x80000004 "
#define ERR_TLS_REQD "u32:0x80000005 "
#define ERR_UNKNOWN "u32:0x80000006 "
#define ERR_SHUTDOWN "u32:0x80000007 "
#define ERR_BLOCK_SIZE_REQD "u32:0x80000008 "
#define ERR_TOO_BIG "u32:0x80000009 "
#define ERR_EXT_HEADER_REQD "u32:0x8000000a "
#define ERR_77 "u32:0x8000004d "

/* What the client sends by default up to its GO for the export "". */
#define CLIENT_FLAGS "u32:3 "
#define OPT_EXTENDED "'IHAVEOPT' u32:11 u32:0 "
#define OPT_STRUCTURED "'IHAVEOPT' u32:8 u32:0 "
#define OPT_ABORT "'IHAVEOPT' u32:2 u32:0 "
#define OPT_GO "'IHAVEOPT' u32:7 u32:8 u32:0 u16:1 u16:3 "

/* Handshakes that end in transmission, with an export of 1 MiB that has every
 * feature: simple, structured and extended replies.
 */
#define ALL_FLAGS 0x0dfd
#define SIMPLE_HANDSHAKE                                        \
  SERVER (GREETING),                                            \
  CLIENT (CLIENT_FLAGS OPT_EXTENDED),                           \
  SERVER (UNSUP (11)),                                          \
  CLIENT (OPT_STRUCTURED),                                      \
  SERVER (UNSUP (8)),                                           \
  CLIENT (OPT_GO),                                              \
  SERVER (INFO_EXPORT (7, 0x100000, 0x0dfd) ACK (7))

#define STRUCTURED_HANDSHAKE                                    \
  SERVER (GREETING),                                            \
  CLIENT (CLIENT_FLAGS OPT_EXTENDED),                           \
  SERVER (UNSUP (11)),                                          \
  CLIENT (OPT_STRUCTURED),                                      \
  SERVER (ACK (8)),                                             \
  CLIENT (OPT_GO),                                              \
  SERVER (INFO_EXPORT (7, 0x100000, 0x0dfd) ACK (7))

#define EXTENDED_HANDSHAKE                                      \
  SERVER (GREETING),                                            \
  CLIENT (CLIENT_FLAGS OPT_EXTENDED),                           \
  SERVER (ACK (11)),                                            \
  CLIENT (OPT_GO),                                              \
  SERVER (INFO_EXPORT (7, 0x100000, 0x1dfd) ACK (7))

/* The same with the context base:allocation, whose id is 7. */
#define OPT_SET_META                                            \
  "'IHAVEOPT' u32:10 u32:27 u32:0 u32:1 u32:15 'base:allocation' "
#define META_REPLY(id) REP_MAGIC "u32:10 u32:4 u32:19 u32:" #id \
  " 'base:allocation' "

#define STRUCTURED_META_HANDSHAKE                               \
  SERVER (GREETING),                                            \
  CLIENT (CLIENT_FLAGS OPT_EXTENDED),                           \
  SERVER (UNSUP (11)),                                          \
  CLIENT (OPT_STRUCTURED),                                      \
  SERVER (ACK (8)),                                             \
  CLIENT (OPT_SET_META),                                        \
  SERVER (META_REPLY (7) ACK (10)),                             \
  CLIENT (OPT_GO),                                              \
  SERVER (INFO_EXPORT (7, 0x100000, 0x0dfd) ACK (7))

#define EXTENDED_META_HANDSHAKE                                 \
  SERVER (GREETING),                                            \
  CLIENT (CLIENT_FLAGS OPT_EXTENDED),                           \
  SERVER (ACK (11)),                                            \
  CLIENT (OPT_SET_META),                                        \
  SERVER (META_REPLY (7) ACK (10)),                             \
  CLIENT (OPT_GO),                                              \
  SERVER (INFO_EXPORT (7, 0x100000, 0x1dfd) ACK (7))

#endif /* TESTS_DIALOGUE_H */
