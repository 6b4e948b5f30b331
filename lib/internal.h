/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The handle, and what the files of the library offer each other, one section
 * per file.  docs/internals/engine.md explains how they work together.
 */

#ifndef LIBNBD_INTERNAL_H
#define LIBNBD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* The library checks for NULL itself, so the compiler must not assume. */
#define LIBNBD_ATTRIBUTE_NONNULL(list)

/* Everything is hidden (-fvisibility) but what the public header declares. */
#pragma GCC visibility push(default)
#include "libnbd.h"
#pragma GCC visibility pop

#include "api.h"
#include "protocol.h"
#include "wire.h"

#define likely(x) __builtin_expect (!!(x), 1)
#define unlikely(x) __builtin_expect (!!(x), 0)
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define COUNT(a) (sizeof (a) / sizeof ((a)[0]))

/* The public states; a function is permitted in a set of them. */
enum phase {
  PHASE_CREATED = 1 << 0,
  PHASE_CONNECTING = 1 << 1,
  PHASE_NEGOTIATING = 1 << 2,
  PHASE_CONNECTED = 1 << 3,
  PHASE_CLOSED = 1 << 4,
  PHASE_DEAD = 1 << 5,
  PHASE_MASK = 0x3f,
};

/* The states of the engine; their rows are in engine.c. */
enum state {
  STATE_START,
  STATE_CONNECT,
  STATE_TLS,
  STATE_MAGIC,
  STATE_OLDSTYLE,
  STATE_HANDSHAKE_FLAGS,
  STATE_OPTION_REPLY,
  STATE_OPTION_PAYLOAD,
  STATE_OPTION_SKIP,
  STATE_EXPORT_NAME_REPLY,
  STATE_NEGOTIATING,
  STATE_READY,
  STATE_CHUNK_LENGTH,
  STATE_READ_DATA,
  STATE_CHUNK_OFFSET,
  STATE_CHUNK_DATA,
  STATE_CHUNK_HOLE,
  STATE_CHUNK_CONTEXT,
  STATE_CHUNK_STATUS,
  STATE_CHUNK_ERROR,
  STATE_CHUNK_SKIP,
  STATE_CLOSED,
  STATE_DEAD,
  NR_STATES
};

struct state_row {
  const char *name;
  enum phase phase;
  size_t need;                  /* bytes that TAKE is given; 0: as expected */
  void (*take) (struct nbd_handle *h, struct reader *r);
  /* States that wait for something else than bytes of NBD: what to do when it
   * has happened, and the direction meanwhile.
   */
  void (*progress) (struct nbd_handle *h);
  unsigned (*direction) (const struct nbd_handle *h);
  const char *text;             /* for nbd_connection_state */
};

/* What was received and what is wanted; engine.c. */
struct input {
  size_t need;                  /* bytes that the state waits for */
  uint8_t *where;               /* they are placed here; NULL: in the buffer */
  size_t got;                   /* bytes already at WHERE */
  uint8_t *buffer;              /* bytes that arrived and are not yet taken */
  size_t head, tail;
};

/* A run of bytes to be sent; queue.c. */
struct segment {
  const uint8_t *p;
  size_t n;
  void *owned;                  /* freed when sent */
  struct command *command;      /* whose request it is part of */
  bool last;                    /* the end of a request or option */
};

struct queue {
  struct segment *ring;         /* SIZE is a power of 2 */
  size_t size, head, count;
};

/* Where bytes come from and go to; transport.c.  Both directions return the
 * number of bytes, or -1 and errno: EAGAIN when it would block.  0 bytes
 * received is the end of the stream.
 */
struct transport {
  const char *name;
  ssize_t (*receive) (struct nbd_handle *h, struct iovec *iov, int n,
                      bool wait);
  ssize_t (*send) (struct nbd_handle *h, struct iovec *iov, int n);
  void (*finish) (struct nbd_handle *h);        /* nothing more to send; or
                                                   NULL */
  void (*close) (struct nbd_handle *h);
};

/* One request, from the call that issues it until it is retired; command.c. */
struct command {
  struct command *next, *prev;  /* in the list of its stage */
  struct command *chain;        /* in the table of cookies, or the free list */
  uint64_t cookie;
  pthread_t issuer;             /* the thread that issued it */
  uint8_t header[32];

  /* Zero in a new command, up to filled. */
  uint64_t offset, count;
  uint16_t type, flags;
  bool begun;                   /* some byte of it has left */
  bool dropped;                 /* it will never be sent */
  bool aborted;                 /* it did not end with a reply */
  bool sent;                    /* its last byte has left */
  bool replied;                 /* no more of the reply will come */
  bool done;                    /* completed, and not yet retired */
  bool wide;                    /* block status: the 64 bit callback is set */
  bool initialize;              /* read: what the server leaves out is zero */
  int error;
  uint32_t chunks;              /* of the reply, so far */
  uint64_t received;            /* bytes of content, so far */
  uint8_t *data;                /* read: the caller's buffer */
  uint64_t filled;              /* bytes at its start that show no old memory */

  /* Empty in a record that is not in use. */
  void *payload;                /* block status filter: owned */
  nbd_completion_callback completion;
  union {
    nbd_chunk_callback chunk;
    nbd_extent_callback extent;
    nbd_extent64_callback extent64;
  } cb;
};

struct command_list {
  struct command *first, *last;
};

struct commands {
  uint64_t last_cookie;
  struct command_list in_flight, done;
  size_t nr_in_flight;
  uint64_t completed;           /* so far */
  struct command **table;       /* chains by cookie; SIZE is a power of 2 */
  size_t size, count;
  struct command *unused;
  size_t allocated;
};

struct string_list {
  char **items;
  size_t count;
};

/* What the server said of the export; export.c. */
struct export {
  bool known;                   /* size and flags are set */
  uint64_t size;
  uint16_t flags;
  uint32_t block_minimum, block_preferred, block_maximum;
  char *canonical_name, *description;
};

/* The meta contexts that the server granted; meta.c. */
struct meta_context {
  uint32_t id;
  char *name;
};

struct meta_contexts {
  struct meta_context *items;
  size_t count;
  bool valid;                   /* SET_META_CONTEXT succeeded */
};

/* The option being negotiated; option.c. */
struct option_progress {
  const struct option *current; /* whose reply is awaited */
  const uint8_t *program;       /* the options that follow */
  bool by_caller;               /* an option call started it */
  uint32_t reply_type;
  uint32_t skip;                /* bytes of a reply still to be skipped */
  uint32_t replies;             /* to the current option, so far */
  struct string_list queries;   /* of a meta context option; without items:
                                   the names that were added */
  int count;                    /* contexts or exports that were listed */
  bool accepted;                /* the server agreed */
  int error;                    /* of the last one that finished */
  nbd_completion_callback completion;
  nbd_list_callback list;
  nbd_context_callback context;
};

/* The reply being received; reply.c. */
struct reply_progress {
  struct command *command;
  uint16_t flags, type;
  uint64_t cookie;
  uint64_t offset;              /* of the data chunk, in the export */
  uint64_t left;                /* bytes of payload still to be taken */
};

/* The extents of one chunk, for the callback; extents.c. */
struct extents {
  void *items;                  /* as wide as the callback takes them */
  size_t size;                  /* bytes of memory; some is kept for reuse */
  const char *context;
  size_t total, count;          /* of the chunk; of those that are good */
  uint64_t left;                /* bytes of the export behind the last one */
  int error;                    /* what is wrong with the next one */
  bool ended;                   /* the rest is not looked at */
};

/* Settings of TLS; the URI may set them. */
struct tls_settings {
  int mode;                     /* LIBNBD_TLS_* */
  bool verify_peer;
  char *certificates, *psk_file, *username, *hostname, *priority;
};

/* Which way the connection was made, if a URI can say it; get-uri.c. */
struct uri_parts {
  enum { URI_NONE, URI_TCP, URI_UNIX, URI_VSOCK } kind;
  char *host, *port;            /* TCP */
  char *path;                   /* Unix */
  char *named;                  /* TCP: the host in the caller's words; it is
                                   what TLS expects to find */
  size_t path_length;
  uint32_t cid, vsock_port;
};

#define NR_TCP_OPTIONS 4

struct statistics {
  uint64_t bytes_sent, chunks_sent, bytes_received, chunks_received;
};

struct nbd_handle {
  pthread_mutex_t lock;
  _Atomic unsigned published;   /* phase and direction, readable unlocked */
  const char *function;         /* the public function that has the lock */

  /* Settings.  Those with a getter and nothing else to do are read and written
   * by the generated wrappers.
   */
  char *name;
  bool debug;
  nbd_debug_callback debug_callback;
  _Atomic uintptr_t private_data;
  char *export_name;
  struct string_list meta_names;
  bool request_block_size;
  bool full_info;
  bool request_extended_headers;
  bool request_structured_replies;
  bool request_meta_context;
  bool pread_initialize;
  bool opt_mode;
  uint32_t handshake_flags;
  uint32_t strict_mode;
  char *socket_activation_name;
  bool keepalive;
  struct {
    bool set;
    int value;
  } tcp_options[NR_TCP_OPTIONS];
  uint32_t uri_allow_transports;
  int uri_allow_tls;
  bool uri_allow_local_file, uri_allow_tls_priority;
  struct tls_settings tls;
  nbd_close_callback *close_callbacks;
  size_t nr_close_callbacks;

  /* The connection. */
  int fd;
  const struct transport *transport;
  void *transport_data;
  struct session *session;      /* of TLS; tls.h */
  bool non_blocking;            /* a receive does not sleep, whatever it is told */
  bool full;                    /* the socket did not take all, last time */
  size_t unsent;                /* bytes that the transport still has */
  bool unread;                  /* it has more than it returned */
  struct addresses *addresses;  /* of a name, being tried; connect-tcp.c */
  struct retry *retry;          /* of a full Unix socket; connect.c */
  bool reached;                 /* a socket was connected */
  bool unreached;               /* none of the addresses could be reached */
  pid_t pid;                    /* of the subprocess, or 0 */
  bool pid_lingers;             /* it does not end when the connection does */
  struct uri_parts uri;         /* what nbd_get_uri is made from */
  struct uri_settings *replaced;        /* by a URI; connect-uri.c */

  /* The engine. */
  enum state state;
  bool told_to_write;           /* somebody may still notify us of it */
  bool polling;                 /* in nbd_poll, called by POLLER */
  pthread_t poller;
  bool paused;                  /* what has arrived is for the next call */
  struct input input;
  struct queue queue;
  struct statistics stats;
  bool disconnecting;           /* NBD_CMD_DISC was queued */
  bool closing;                 /* by nbd_close */
  bool finished;                /* and the transport knows that it was sent */

  /* Negotiation. */
  const char *protocol;
  uint32_t client_flags;        /* handshake flags that both sides have */
  bool structured_replies;
  bool extended_headers;
  bool tls_negotiated;
  struct option_progress option;
  struct export export;
  struct meta_contexts meta;

  /* Transmission. */
  struct commands commands;
  struct reply_progress reply;
  struct extents extents;
};

/* error.c: the last error of each thread. */

/* Record the failure of the public function that has the lock.  ERRNUM may be
 * 0 when no number fits.
 */
void error_set (struct nbd_handle *h, int errnum, const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));
void error_vset (const char *function, int errnum, const char *fmt,
                 va_list args);
/* The same for a function without a handle. */
void error_set_for (const char *function, int errnum, const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));

/* debug.c: the trace. */

void debug_print (struct nbd_handle *h, const char *fmt, ...)
  __attribute__ ((format (printf, 2, 3)));

#define debug(h, ...)                           \
  do {                                          \
    if (unlikely ((h)->debug))                  \
      debug_print ((h), __VA_ARGS__);           \
  } while (0)

/* handle.c */

void tls_settings_free (struct tls_settings *tls);

/* Call the free function of CB, if there is one, and empty CB. */
#define FREE_CALLBACK(cb)                       \
  do {                                          \
    if ((cb).free)                              \
      (cb).free ((cb).user_data);               \
    (cb).callback = NULL;                       \
    (cb).free = NULL;                           \
  } while (0)

/* Move a callback out of the wrapper's structure, so that the wrapper does not
 * free it.
 */
#define TAKE_CALLBACK(to, from)                 \
  do {                                          \
    (to) = *(from);                             \
    (from)->callback = NULL;                    \
    (from)->free = NULL;                        \
  } while (0)

/* engine.c: the states, and the only three ways to change one (with
 * queue_push).
 */

extern const struct state_row state_rows[NR_STATES];

static inline enum phase
handle_phase (const struct nbd_handle *h)
{
  return state_rows[h->state].phase;
}

/* Bytes of the buffer that holds what was received ahead: the largest message
 * that a state can want in place.
 */
#define READ_AHEAD 65536

/* Allocate the buffer. */
int engine_init (struct nbd_handle *h);
void engine_free (struct nbd_handle *h);

/* Wait in state NEXT for N bytes (for what its row says if that is not 0), to
 * be placed at WHERE or, if that is NULL, in the buffer.
 */
void expect (struct nbd_handle *h, enum state next, void *where, size_t n);

/* The connection is of no more use.  Pending commands and options complete
 * with ENOTCONN, then the error is recorded.
 */
void fail (struct nbd_handle *h, int errnum, const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));

/* The connection ended as it should. */
void engine_close (struct nbd_handle *h);

/* Where the next bytes go: fills in up to 2 iovecs, returns their number, 0
 * if no input is wanted.
 */
int engine_room (struct nbd_handle *h, struct iovec iov[2]);

/* N bytes were placed where engine_room () said: handle all that they
 * complete.
 */
void engine_received (struct nbd_handle *h, size_t n);

/* Handle what was received and is wanted by now, up to a pause. */
void engine_run (struct nbd_handle *h);

/* What was left when nbd_poll paused.  -1 if it was the end of the handle. */
int engine_resume (struct nbd_handle *h);

/* The server closed the stream. */
void engine_eof (struct nbd_handle *h);

/* Whether bytes have arrived that nobody has taken. */
bool engine_has_input (const struct nbd_handle *h);

/* Connected, and all that was issued has left. */
bool engine_is_idle (const struct nbd_handle *h);

/* The row of the state as programs see it: between issuing commands a connection
 * is READY, even in the middle of a reply.
 */
const struct state_row *engine_row (const struct nbd_handle *h);

/* LIBNBD_AIO_DIRECTION_* of the present state. */
unsigned engine_direction (const struct nbd_handle *h);

/* Make phase and direction visible to the calls that take no lock. */
void engine_publish (struct nbd_handle *h);

#define PUBLISHED_IDLE (1u << 6)
#define PUBLISHED_DIRECTION_SHIFT 7

/* queue.c: what is to be sent. */

/* Queue a message, of which a copy is made.  CHUNK says whether the statistics
 * count it.
 */
int queue_push (struct nbd_handle *h, const void *p, size_t n, bool chunk);

/* Queue a command.  Its bytes are borrowed until they have left.  There is room
 * for its 2 segments after queue_reserve ().
 */
int queue_reserve (struct nbd_handle *h, size_t n);
void queue_push_command (struct nbd_handle *h, struct command *cmd,
                         size_t header_length, const void *payload,
                         size_t payload_length);

/* The first bytes of the queue, as up to MAX iovecs. */
int queue_peek (const struct nbd_handle *h, struct iovec *iov, int max);

/* N bytes have left. */
void queue_sent (struct nbd_handle *h, size_t n);

/* Forget what has not been sent. */
void queue_clear (struct nbd_handle *h);
void queue_free (struct nbd_handle *h);

/* Take commands of which no byte has left out of the queue, and complete them
 * with ENOTCONN.
 */
void queue_abandon (struct nbd_handle *h);

/* transport.c: moving bytes between the engine and the socket. */

extern const struct transport socket_transport;

/* How much to receive.  What has arrived is mostly had in one call, which comes
 * back with less than there was room for; only another call tells whether the
 * end of the stream is behind it.
 */
enum receive {
  RECEIVE_NOTHING,
  RECEIVE_ARRIVED,
  RECEIVE_ALL,                  /* to the end of the stream, if it is there */
  RECEIVE_WAIT,                 /* what has arrived, sleeping until it has */
};

/* Receive and handle what there is.  -1 if the handle is dead. */
int transport_receive (struct nbd_handle *h, enum receive how);

/* What the transports share: whether a call was refused because it may not
 * sleep, and how to sleep outside of it.
 */
bool would_block (int errnum);
void wait_readable (struct nbd_handle *h);

/* By the clock that is never set. */
int64_t milliseconds (void);

/* One attempt to send LENGTH bytes: the number of those that left, or -1 and
 * errno.
 */
static inline ssize_t
transport_attempt (struct nbd_handle *h, struct iovec *iov, int n,
                   size_t length)
{
  ssize_t r = h->transport->send (h, iov, n);

  h->full = r != (ssize_t) length || h->unsent > 0;
  return r;
}

/* Send what the socket takes of the queue.  -1 and errno if sending is
 * impossible.
 */
int transport_send (struct nbd_handle *h);

/* Receive and send as far as both go without sleeping.  -1 if the handle is
 * dead.
 */
int transport_move (struct nbd_handle *h, enum receive how);

/* Sleep until the socket is ready in the wanted direction or, if EXTRA_FD is
 * not -1, that descriptor is readable, and handle it.  Returns 1 if something
 * happened, 0 on timeout, -1 on error.
 */
int transport_poll (struct nbd_handle *h, int extra_fd, int timeout);

/* Let the connection proceed, sleeping as needed, until DONE (h, ARG). -1 if
 * the handle is dead before that.
 */
int transport_wait (struct nbd_handle *h,
                    bool (*done) (struct nbd_handle *h, const void *arg),
                    const void *arg);

void transport_close (struct nbd_handle *h);

/* connect.c: sources of a connected socket. */

/* The socket is connected: start the handshake. */
int connect_done (struct nbd_handle *h, int fd,
                  const struct transport *transport);

/* Something happened on a socket that is being connected. */
void connect_progress (struct nbd_handle *h);

/* Connect to one address.  The handle is dead if that fails. */
int connect_address (struct nbd_handle *h, const struct sockaddr *addr,
                     socklen_t len);

/* What a program that polls the handle waits for meanwhile. */
unsigned connect_direction (const struct nbd_handle *h);

void retry_free (struct nbd_handle *h);

/* Make a socket and begin to connect it.  The socket, or -1 and errno. */
int connect_begin (struct nbd_handle *h, const struct sockaddr *addr,
                   socklen_t len, bool *connected);

/* How the connecting of a socket ended: 0, EINPROGRESS or an error. */
int connect_result (int fd);

/* Connect to the Unix socket of a name of N bytes, which is abstract when the
 * first of them is NUL.
 */
int connect_unix_name (struct nbd_handle *h, const char *name, size_t n);

/* connect-tcp.c */

/* Something happened on the descriptor of the addresses. */
void addresses_progress (struct nbd_handle *h);

/* Whether they are tried together, behind one descriptor to read from. */
bool addresses_race (const struct nbd_handle *h);

void addresses_free (struct nbd_handle *h);

/* subprocess.c */

/* How to start a subprocess. */
struct spawn {
  char **argv;
  int stdio_fd;                 /* its standard input and output, or -1 */
  int null_fd;                  /* its standard input, or -1 */
  int listen_fd;                /* passed as systemd does, or -1 */
  const char *listen_name;      /* the name of that */
};

/* 0 when the program runs. */
int subprocess_start (struct nbd_handle *h, const struct spawn *spawn);

/* Wait for it; at some point, make it end. */
void subprocess_end (struct nbd_handle *h);

/* tls.c */

/* Begin, or go on with, the TLS handshake. */
void tls_progress (struct nbd_handle *h);

/* What it waits for. */
unsigned tls_direction (const struct nbd_handle *h);

void tls_free (struct nbd_handle *h);

/* The memory that the session holds, without what gnutls holds. */
size_t tls_size (const struct nbd_handle *h);

/* connect-uri.c, get-uri.c */

void uri_parts_free (struct nbd_handle *h);

/* The settings of a URI are those of the handle once it is connected.  Until
 * then, when the handle is as good as new, they can be put back.
 */
void uri_settings_keep (struct nbd_handle *h);
void uri_settings_restore (struct nbd_handle *h);

/* Remember how the connection is made.  Strings are copied; a failure only
 * means that there is no URI.
 */
void uri_remember_tcp (struct nbd_handle *h, const char *host,
                       const char *port);
void uri_remember_unix (struct nbd_handle *h, const char *path, size_t n);
void uri_remember_address (struct nbd_handle *h, const struct sockaddr *addr,
                           socklen_t len);
void uri_remember_vsock (struct nbd_handle *h, uint32_t cid, uint32_t port);

/* handshake.c: takers up to the first option. */

void handshake_magic (struct nbd_handle *h, struct reader *r);
void handshake_oldstyle (struct nbd_handle *h, struct reader *r);
void handshake_flags (struct nbd_handle *h, struct reader *r);

/* option.c: the options of fixed newstyle. */

void option_reply (struct nbd_handle *h, struct reader *r);
void option_payload (struct nbd_handle *h, struct reader *r);
void option_skip (struct nbd_handle *h, struct reader *r);
void option_export_name_reply (struct nbd_handle *h, struct reader *r);

/* Negotiate what comes first after the handshake flags. */
void option_begin (struct nbd_handle *h);

/* Send the next option of the program that is wanted. */
void option_run (struct nbd_handle *h);

/* Queue NBD_OPT_ABORT. */
int option_queue_abort (struct nbd_handle *h);

/* What is left to do with a server that has no other option. */
extern const uint8_t option_export_name_program[];

/* TLS is there, and the next option can be sent through it. */
void option_tls_established (struct nbd_handle *h);

/* Complete the option under way with ERRNUM, because the connection ended. */
void option_abandon (struct nbd_handle *h, int errnum);

/* export.c */

void export_reset (struct nbd_handle *h);

/* Size and transmission flags, which every form of negotiation gives.  False
 * after fail ().
 */
bool export_set (struct nbd_handle *h, uint64_t size, uint16_t flags);

/* Sizes that make no sense are ignored. */
void export_set_block_sizes (struct nbd_handle *h, uint32_t minimum,
                             uint32_t preferred, uint32_t maximum);

/* meta.c */

void meta_reset (struct nbd_handle *h);
/* False after fail (). */
bool meta_add (struct nbd_handle *h, uint32_t id, const char *name);
const struct meta_context *meta_find_id (struct nbd_handle *h, uint32_t id);
const struct meta_context *meta_find_name (struct nbd_handle *h,
                                           const char *name);

void string_list_free (struct string_list *list);

/* reply.c: takers of the transmission phase. */

void reply_header (struct nbd_handle *h, struct reader *r);
void reply_chunk_length (struct nbd_handle *h, struct reader *r);
void reply_read_data (struct nbd_handle *h, struct reader *r);
void reply_chunk_offset (struct nbd_handle *h, struct reader *r);
void reply_chunk_data (struct nbd_handle *h, struct reader *r);
void reply_chunk_hole (struct nbd_handle *h, struct reader *r);
void reply_chunk_context (struct nbd_handle *h, struct reader *r);
void reply_chunk_status (struct nbd_handle *h, struct reader *r);
void reply_chunk_error (struct nbd_handle *h, struct reader *r);
void reply_chunk_skip (struct nbd_handle *h, struct reader *r);

/* Enter transmission, or wait for the next reply there. */
void reply_expect (struct nbd_handle *h);

/* extents.c: the payload of block status. */

/* A chunk of N extents begins.  False after fail (). */
bool extents_begin (struct nbd_handle *h, const struct command *cmd,
                    const char *context, size_t n);

/* Take whole extents, as they are on the wire. */
void extents_add (struct nbd_handle *h, const struct command *cmd,
                  const struct reader *r);

/* Pass those that are good to the callback of CMD. */
void extents_deliver (struct nbd_handle *h, struct command *cmd);

/* The chunk is done with. */
void extents_end (struct nbd_handle *h);
void extents_free (struct nbd_handle *h);

/* command.c: requests in flight. */

struct command *command_new (struct nbd_handle *h);

/* Give the command a cookie, queue it and send what can be sent.  The cookie,
 * or -1 with the error set and CMD released.
 */
int64_t command_issue (struct nbd_handle *h, struct command *cmd,
                       const void *payload, size_t payload_length);

struct command *command_find (struct nbd_handle *h, uint64_t cookie);

/* Content is about to be placed from byte N of the buffer on: zero what was left
 * out before it, unless nobody wants that.
 */
void command_fill (struct command *cmd, uint64_t n);

/* It was, up to END. */
void command_filled (struct command *cmd, const uint8_t *end);

/* The first error of a command is the one that counts. */
void command_error (struct command *cmd, int errnum);

/* The reply is complete, or the last byte of the request has left. */
void command_replied (struct nbd_handle *h, struct command *cmd);
void command_sent (struct nbd_handle *h, struct command *cmd);

/* Complete all that is in flight with ERRNUM. */
void command_abort_all (struct nbd_handle *h, int errnum);

/* Complete those that were taken out of the queue. */
void command_abort_dropped (struct nbd_handle *h);

/* Wait for a command and retire it. */
int command_wait (struct nbd_handle *h, int64_t cookie);

/* Free a command that was never issued. */
void command_discard (struct nbd_handle *h, struct command *cmd);
void commands_free (struct nbd_handle *h);

#endif /* LIBNBD_INTERNAL_H */
