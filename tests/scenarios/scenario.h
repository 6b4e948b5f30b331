/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Scenarios: small programs that use the library and print what a caller can
 * observe.  The same program runs on two libraries, and what it prints must be
 * the same.  Each scenario is a process of its own in a folder of its own, and
 * a function here:
 *
 *   SCENARIO (read_error, "simple/a read that the server refuses")
 *   {
 *     PLAY (SIMPLE, EXPECT (READ (1, 0, 512)), SEND (REPLY (1, 5)));
 *     CALL (nbd_pread (h, buf, 512, 0, 0));
 *   }
 *
 * When it returns, the state of the handle is printed, the handle is closed,
 * and the peer prints what it received.
 */

#ifndef SCENARIOS_SCENARIO_H
#define SCENARIOS_SCENARIO_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What the library makes of NULL is part of what is compared. */
#define LIBNBD_ATTRIBUTE_NONNULL(...)
#include "libnbd.h"

#include "peer.h"

struct scenario {
  const char *name;
  void (*run) (void);
  void (*run_on) (void *arg);   /* instead of RUN, with ARG */
  void *arg;
};

void scenario_add (struct scenario s);

#define SCENARIO(id, text)                              \
  static void id (void);                                \
  static void __attribute__ ((constructor))             \
  add_##id (void)                                       \
  {                                                     \
    scenario_add ((struct scenario) { text, id, NULL, NULL });  \
  }                                                     \
  static void                                           \
  id (void)

/* What every scenario has. */
extern struct nbd_handle *h;
extern struct peer *peer;
extern int sock;                /* the client's end */
extern char buf[1 << 20];

/* Make H.  Those below make it when there is none. */
void create (void);

/* Start a peer: SOCK is connected to it. */
#define SCRIPT(...)                                             \
  do {                                                          \
    static const struct step steps_[] = { __VA_ARGS__, { STEP_END, NULL } }; \
    script (steps_);                                            \
  } while (0)
void script (const struct step *steps);

/* Start a peer and connect to it, without a word. */
#define PLAY(...)                                               \
  do {                                                          \
    static const struct step steps_[] = { __VA_ARGS__, { STEP_END, NULL } }; \
    play (steps_);                                              \
  } while (0)
void play (const struct step *steps);

/* Start a peer and connect to it, and print what comes of it. */
#define CONNECT(...)                                            \
  do {                                                          \
    SCRIPT (__VA_ARGS__);                                       \
    CALL (nbd_connect_socket (h, sock));                        \
  } while (0)

/* As PLAY, with the meta context base:allocation, whose id is 7. */
#define PLAY_META(...)                                          \
  do {                                                          \
    create ();                                                  \
    nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);   \
    PLAY (META __VA_OPT__ (,) __VA_ARGS__);                     \
  } while (0)

/* As PLAY, with opt mode on. */
#define NEGOTIATE(...)                                          \
  do {                                                          \
    create ();                                                  \
    nbd_set_opt_mode (h, true);                                 \
    PLAY (OPT_MODE, __VA_ARGS__);                               \
  } while (0)

/* The peer is at a WAIT: let it go on, to its next WAIT or its end. */
void go (void);

/* Let the peer pass its next WAIT, and do not wait for it: a call that sleeps
 * follows.
 */
void release (void);

/* Let the client move until the peer is at its next WAIT or its end. */
void pump (void);

/* Move until nothing is in flight, or nothing can be done. */
void settle (void);

/* End what began so far: as at the end of a scenario. */
void finish (void);

/* A listening socket at the path or port, with a peer behind it. */
#define LISTEN_UNIX(path, ...)                                  \
  do {                                                          \
    static const struct step steps_[] = { __VA_ARGS__, { STEP_END, NULL } }; \
    listen_unix (path, steps_);                                 \
  } while (0)
void listen_unix (const char *path, const struct step *steps);

#define LISTEN_TCP(...)                                         \
  do {                                                          \
    static const struct step steps_[] = { __VA_ARGS__, { STEP_END, NULL } }; \
    listen_tcp (steps_);                                        \
  } while (0)
void listen_tcp (const struct step *steps);
extern char port[16];           /* of those that listen, or unused_port () */
void unused_port (void);

/* From now on print each address that is connected to, whatever it is, and
 * connect to a new peer instead, or fail.
 */
#define DIVERT(...)                                             \
  do {                                                          \
    static const struct step steps_[] = { __VA_ARGS__, { STEP_END, NULL } }; \
    divert (steps_);                                            \
  } while (0)
void divert (const struct step *steps);
void divert_to_error (int errnum);
void divert_no_more (void);

/* Who is logged in; NULL is nobody. */
extern const char *login;

/* A list of parameters, and those that make this program a server for the
 * library to start: one that serves what is its standard input, or a socket
 * that listens and is 3.  It says what it was given and what it was sent;
 * show_server () prints that after nbd_close.
 */
#define ARGV(...) \
  ((char **) (const char *[]) { __VA_ARGS__ __VA_OPT__ (,) NULL })
#define SERVER(...) \
  ARGV ("/proc/self/exe", "--server", "serve" __VA_OPT__ (,) __VA_ARGS__)
#define ACTIVATED(...) \
  ARGV ("/proc/self/exe", "--server", "activated" __VA_OPT__ (,) __VA_ARGS__)
int subprocess_main (int argc, char **argv);
void show_server (void);

/* Real servers: nbdkit with these parameters, at the other end of a socket;
 * any that is handed a socket that listens, at the path "sock" or at PORT.
 * The last ends the handle and the server.
 */
#define PROGRAM(...) ((const char *const []) { __VA_ARGS__, NULL })
int start_nbdkit (const char *const *args);
void serve_unix (const char *const *argv);
void serve_tcp (const char *const *argv);
void stop (void);

/* Do with a connection what every server can do: one thing after another, the
 * second time up to what it must refuse and to the end; or many at once.
 */
void exercise_within (void);
void exercise (void);
void flight (void);

/* A socket that listens. */
int unix_listener (const char *path);
int tcp_listener (void);

/* Make PWRITEs of a megabyte stop half way: the peer does not read. */
void small_buffers (void);

/* Count the signals that the peer sends. */
void catch_signals (void);
extern volatile int nr_signals;

/* Printing.  Texts that differ from run to run are replaced. */
void say (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));

/* Make VALUE appear as NAME. */
void alias (const char *value, const char *name);

/* What can be asked of the handle at any time, on one line. */
void status (void);

/* What the handle knows of the export. */
void facts (void);

/* Bytes of BUF, or of anything. */
void show (const void *p, size_t n);

/* Whether the descriptor is open, and its flags. */
void show_fd (const char *name, int fd);

/* Print a call, what callbacks say meanwhile, and what it returns. */
#define CALL(expr)                              \
  do {                                          \
    call_begin (#expr);                         \
    __auto_type ret_ = (expr);                  \
    _Generic (ret_,                             \
              int: call_end_int,                \
              long: call_end_long,              \
              long long: call_end_long,         \
              unsigned: call_end_unsigned,      \
              unsigned long: call_end_unsigned, \
              char *: call_end_string,          \
              const char *: call_end_text) (ret_);      \
  } while (0)

void call_begin (const char *text);
void call_end_int (int ret);
void call_end_long (long long ret);
void call_end_unsigned (unsigned long ret);
void call_end_string (char *ret);
void call_end_text (const char *ret);

/* The error of this thread. */
void show_error (void);

/* Callbacks that say when they are called and freed.  Those with _ret return
 * RET, after setting *error to ERROR unless that is KEEP.
 */
#define KEEP -1
nbd_completion_callback done (const char *name);
nbd_completion_callback done_ret (const char *name, int ret, int error);
nbd_chunk_callback chunk (const char *name);
nbd_chunk_callback chunk_ret (const char *name, int ret, int error);
nbd_extent_callback extent (const char *name);
nbd_extent_callback extent_ret (const char *name, int ret, int error);
nbd_list_callback list (const char *name);
nbd_list_callback list_ret (const char *name, int ret);
nbd_context_callback context (const char *name);
nbd_context_callback context_ret (const char *name, int ret);

/* Prints the trace of calls; what the library says besides is its own. */
nbd_debug_callback trace (const char *name);
nbd_debug_callback trace_ret (const char *name, int ret);

/* Callbacks that are absent, and those with nothing but a free function. */
#define NO_COMPLETION NBD_NULL_COMPLETION
#define NO_CHUNK ((nbd_chunk_callback) { .callback = NULL })
#define NO_EXTENT ((nbd_extent_callback) { .callback = NULL })
#define NO_LIST ((nbd_list_callback) { .callback = NULL })
#define NO_CONTEXT ((nbd_context_callback) { .callback = NULL })
#define NO_DEBUG ((nbd_debug_callback) { .callback = NULL })
#define ONLY_FREE(type, name) \
  ((type) { .user_data = (void *) name, .free = say_free })
void say_free (void *name);

/* End the scenario: it cannot run here.  The second does so unless PROGRAM is
 * installed.
 */
void skip (const char *why) __attribute__ ((noreturn));
void require (const char *program);

#endif /* SCENARIOS_SCENARIO_H */
