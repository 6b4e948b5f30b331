/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the pages of the functions newer than 1.14 promise, as far as no
 * dialogue can show it: what the synchronous forms return, sockets, threads,
 * and memory that is the caller's again.  docs/internals/contracts.md lists
 * each promise and its test.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "peer.h"
#include "tap.h"

/* A test that hangs is killed after so many seconds. */
#define PATIENCE 120

/* A server in a thread, on one end of a pair of sockets.  It counts what
 * passes there.
 */
struct service {
  int fd;
  struct server *server;
  pthread_t thread;
  uint64_t bytes_in, bytes_out;
  /* Whether it holds back its answers: it says that it has one, and waits. */
  bool holds;
  sem_t has_answer, may_answer;
};

static bool
send_answers (struct service *s)
{
  struct buffer *out = &s->server->out;
  size_t sent = 0;

  while (sent < out->n) {
    ssize_t r = send (s->fd, out->p + sent, out->n - sent, MSG_NOSIGNAL);

    if (r == -1)
      return false;
    sent += r;
  }
  s->bytes_out += sent;
  out->n = 0;
  return true;
}

static void *
serve (void *vp)
{
  struct service *s = vp;
  uint8_t buf[8192];
  ssize_t n;

  while (send_answers (s) && (n = recv (s->fd, buf, sizeof buf, 0)) > 0) {
    bool connected = s->server->stage == REQUESTS;

    s->bytes_in += n;
    server_take (s->server, buf, n);
    if (s->holds && connected && s->server->out.n > 0) {
      sem_post (&s->has_answer);
      sem_wait (&s->may_answer);
    }
    if (s->server->ended)
      shutdown (s->fd, SHUT_WR);
  }
  close (s->fd);
  return NULL;
}

/* Start the server; returns the client's socket. */
static int
start_service (struct service *s, const struct offer *offer, bool holds)
{
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1)
    abort ();
  *s = (struct service) { .fd = fds[1], .holds = holds };
  s->server = server_new (offer);
  s->server->chunked = true;
  sem_init (&s->has_answer, 0, 0);
  sem_init (&s->may_answer, 0, 0);
  if (pthread_create (&s->thread, NULL, serve, s) != 0)
    abort ();
  return fds[0];
}

static void
free_service (struct service *s)
{
  sem_destroy (&s->has_answer);
  sem_destroy (&s->may_answer);
  server_free (s->server);
}

static void
end_service (struct service *s)
{
  pthread_join (s->thread, NULL);
  free_service (s);
}

/* nbd_stats_*: what the other end of the socket saw. */
static void
test_capture (enum replies replies, const char *name)
{
  struct offer offer = everything;
  struct service s;
  struct nbd_handle *h = nbd_create ();
  bool good;

  offer.replies = replies;
  nbd_add_meta_context (h, offer.context);
  good = nbd_connect_socket (h, start_service (&s, &offer, false)) == 0;
  for (size_t i = 0; i < NR_DATA_CALLS; i++) {
    const struct data_call *call = &data_calls[i];

    if (strstr (call->name, "_aio_") ||
        (call->type == NBD_CMD_BLOCK_STATUS && replies == SIMPLE) ||
        (call->filter && replies != EXTENDED))
      continue;
    reset_tokens ();
    good = call->run (h, 512, 1024, 0) == 0 && good;
  }
  good = nbd_shutdown (h, 0) == 0 && good;
  pthread_join (s.thread, NULL);
  ok (good && nbd_stats_bytes_sent (h) == s.bytes_in &&
      nbd_stats_bytes_received (h) == s.bytes_out &&
      nbd_stats_chunks_sent (h) == s.server->messages_in &&
      nbd_stats_chunks_received (h) == s.server->messages_out, "%s", name);
  free_service (&s);
  nbd_close (h);
}

/* A thread that asks for the statistics while another sleeps in a call. */
struct asker {
  struct nbd_handle *h;
  atomic_int tid;               /* set before it asks */
  atomic_bool answered;
  uint64_t chunks;
};

static void *
ask (void *vp)
{
  struct asker *a = vp;

  atomic_store (&a->tid, syscall (SYS_gettid));
  a->chunks = nbd_stats_chunks_received (a->h);
  atomic_store (&a->answered, true);
  return NULL;
}

static void *
flush_once (void *vp)
{
  nbd_flush (vp, 0);
  return NULL;
}

/* Whether the thread sleeps, as far as the system tells. */
static bool
sleeps (int tid)
{
  char path[64], state = 'S';
  FILE *fp;

  snprintf (path, sizeof path, "/proc/self/task/%d/stat", tid);
  fp = fopen (path, "r");
  if (fp) {
    if (fscanf (fp, "%*d (%*[^)]) %c", &state) != 1)
      state = 'S';
    fclose (fp);
  }
  return state == 'S';
}

static void
test_statistics_wait (void)
{
  struct service s;
  struct nbd_handle *h = nbd_create ();
  struct asker a = { .h = h };
  pthread_t flusher, asker;
  uint64_t before;

  nbd_connect_socket (h, start_service (&s, &everything, true));
  before = nbd_stats_chunks_received (h);
  if (pthread_create (&flusher, NULL, flush_once, h) != 0)
    abort ();
  sem_wait (&s.has_answer);
  if (pthread_create (&asker, NULL, ask, &a) != 0)
    abort ();
  while (atomic_load (&a.tid) == 0 ||
         !(atomic_load (&a.answered) || sleeps (atomic_load (&a.tid))))
    sched_yield ();
  sem_post (&s.may_answer);
  pthread_join (flusher, NULL);
  pthread_join (asker, NULL);
  is_int (a.chunks, before + 1, "statistics wait for the synchronous command "
          "of another thread");
  nbd_shutdown (h, 0);
  end_service (&s);
  nbd_close (h);
}

/* A handle that negotiates, having asked for nothing yet. */
static struct peer *
negotiating (const struct offer *offer)
{
  struct peer *p = peer_new (offer);

  nbd_set_opt_mode (p->h, true);
  nbd_set_request_structured_replies (p->h, false);
  peer_negotiate (p);
  peer_sent (p);
  return p;
}

/* The server goes away without another word. */
static void
vanish (struct peer *p)
{
  p->server->stage = SILENCE;
  p->eof = true;
}

/* nbd_opt_structured_reply, nbd_opt_extended_headers */
static void
test_feature_answers (void)
{
  struct offer offer = everything;
  struct peer *p = negotiating (&offer);

  is_int (nbd_opt_extended_headers (p->h), 1,
          "nbd_opt_extended_headers returns 1 when the server agrees");
  is_int (nbd_get_structured_replies_negotiated (p->h), 1,
          "structured replies come with extended headers");
  is_int (nbd_opt_structured_reply (p->h), 1,
          "nbd_opt_structured_reply returns 1 when the server agrees");
  is_int (nbd_aio_is_negotiating (p->h), 1,
          "the handle negotiates when the server has agreed");
  p->server->offer.replies = SIMPLE;
  is_int (nbd_opt_extended_headers (p->h), 0,
          "nbd_opt_extended_headers returns 0 when the server refuses, even "
          "after it agreed");
  is_int (nbd_opt_structured_reply (p->h), 0,
          "nbd_opt_structured_reply returns 0 when the server refuses, even "
          "after it agreed");
  ok (nbd_get_extended_headers_negotiated (p->h) == 1 &&
      nbd_get_structured_replies_negotiated (p->h) == 1,
      "what was agreed to stays");
  is_int (nbd_aio_is_negotiating (p->h), 1,
          "the handle negotiates when the server has refused");
  vanish (p);
  is_int (nbd_opt_extended_headers (p->h), -1,
          "nbd_opt_extended_headers returns -1 when the connection is lost");
  is_int (nbd_aio_is_dead (p->h), 1, "then the handle is dead");
  peer_free (p);

  p = negotiating (&offer);
  vanish (p);
  is_int (nbd_opt_structured_reply (p->h), -1,
          "nbd_opt_structured_reply returns -1 when the connection is lost");
  peer_free (p);

  p = peer_new (&offer);
  nbd_set_opt_mode (p->h, true);
  nbd_set_handshake_flags (p->h, 0);
  peer_negotiate (p);
  ok (nbd_opt_extended_headers (p->h) == -1 && nbd_get_errno () == ENOTSUP &&
      nbd_opt_structured_reply (p->h) == -1 && nbd_get_errno () == ENOTSUP,
      "without fixed newstyle both return -1 with ENOTSUP");
  is_int (peer_sent (p).n, 4, "and nothing is sent");
  peer_free (p);
}

/* Replies that the server gives to the next option, whatever it is asked. */
static void
say (struct peer *p, uint32_t option, uint32_t type, const char *name)
{
  uint8_t bytes[256];
  struct writer w = writer_init (bytes, sizeof bytes);

  p->server->stage = SILENCE;
  write_u64 (&w, NBD_REP_MAGIC);
  write_u32 (&w, option);
  write_u32 (&w, type);
  write_u32 (&w, name ? 4 + strlen (name) : 0);
  if (name) {
    write_u32 (&w, strlen (name));
    write_bytes (&w, name, strlen (name));
  }
  buffer_append (&p->server->out, bytes, w.n);
}

static void
say_contexts (struct peer *p, uint32_t option, unsigned n, uint32_t last)
{
  static const char *const names[] = { "x:a", "x:b", "x:c" };

  for (unsigned i = 0; i < n; i++)
    say (p, option, NBD_REP_META_CONTEXT, names[i]);
  say (p, option, last, NULL);
}

/* The four calls that count contexts. */

static char query_a[] = "x:a", query_all[] = "x:";
static char *two_queries[] = { query_a, query_all, NULL };

static int
list (struct nbd_handle *h)
{
  return nbd_opt_list_meta_context (h, token_context ());
}

static int
list_queries (struct nbd_handle *h)
{
  return nbd_opt_list_meta_context_queries (h, two_queries, token_context ());
}

static int
set (struct nbd_handle *h)
{
  return nbd_opt_set_meta_context (h, token_context ());
}

static int
set_queries (struct nbd_handle *h)
{
  return nbd_opt_set_meta_context_queries (h, two_queries, token_context ());
}

static void
test_counting (int (*call) (struct nbd_handle *h), uint32_t option,
               const char *name)
{
  struct peer *p = negotiating (&everything);
  bool sets = option == NBD_OPT_SET_META_CONTEXT;

  reset_tokens ();
  ok (call (p->h) == -1 && nbd_get_errno () == ENOTSUP &&
      tokens_freed_once (0) && peer_sent (p).n == 0,
      "%s without structured replies: -1, ENOTSUP, nothing is sent", name);
  nbd_opt_structured_reply (p->h);
  peer_sent (p);
  nbd_add_meta_context (p->h, "x:added");

  for (unsigned n = 0; n <= 3; n++) {
    reset_tokens ();
    say_contexts (p, option, n, NBD_REP_ACK);
    ok (call (p->h) == (int) n && tokens[0].called == n &&
        tokens_freed_once (n),
        "%s returns the number of contexts, and calls back for each", name);
    if (sets)
      ok (nbd_can_meta_context (p->h, "x:a") == (n > 0) &&
          nbd_can_meta_context (p->h, "x:c") == (n > 2),
          "%s: they are selected, and nothing else is", name);
  }
  reset_tokens ();
  say_contexts (p, option, 2, NBD_REP_ERR_UNKNOWN);
  ok (call (p->h) == -1 && tokens_freed_once (2),
      "%s returns -1 when the server refuses", name);
  is_int (nbd_aio_is_negotiating (p->h), 1, "%s: the negotiation goes on",
          name);
  if (sets)
    ok (nbd_can_meta_context (p->h, "x:a") == -1 &&
        nbd_get_errno () == EINVAL, "%s: nothing is selected any more", name);
  is_int (nbd_get_nr_meta_contexts (p->h), 1,
          "%s: the names that were added are as they were", name);
  vanish (p);
  reset_tokens ();
  ok (call (p->h) == -1 && tokens_freed_once (0) &&
      nbd_aio_is_dead (p->h) == 1,
      "%s returns -1 when the connection is lost", name);
  peer_free (p);
}

/* Arrays and strings are the caller's again when the call has returned, even
 * if nothing of the request has left by then.
 */

/* What the server gets does not contain the letter that is written over the
 * caller's strings.
 */
static bool
is_sent_unspoilt (struct peer *p, size_t n, const char *word)
{
  struct reader r;

  p->room = SIZE_MAX;
  nbd_aio_notify_write (p->h);
  r = peer_sent (p);
  return r.n == n && memchr (r.p, 'Z', n) == NULL &&
    (word == NULL || memmem (r.p, n, word, strlen (word)) != NULL);
}

static void
spoil (char **strings)
{
  for (size_t i = 0; strings[i]; i++) {
    memset (strings[i], 'Z', strlen (strings[i]));
    strings[i] = NULL;
  }
}

static void
test_borrowed (void)
{
  char first[] = "base:first", second[] = "base:second";
  char *queries[] = { first, second, NULL };
  struct peer *p = peer_in (PHASE_NEGOTIATING);
  const size_t n = 16 + 4 + 4 + 4 + 10 + 4 + 11;
  char context[] = "base:allocation";
  char *contexts[] = { context, NULL };
  struct reader r;

  p->room = 0;
  nbd_aio_opt_list_meta_context_queries (p->h, queries, token_context (),
                                         token_completion ());
  spoil (queries);
  ok (is_sent_unspoilt (p, n, "base:second"),
      "nbd_aio_opt_list_meta_context_queries needs its queries no longer "
      "than the call");
  peer_free (p);

  strcpy (first, "base:first");
  strcpy (second, "base:second");
  queries[0] = first;
  queries[1] = second;
  p = peer_in (PHASE_NEGOTIATING);
  p->room = 0;
  nbd_aio_opt_set_meta_context_queries (p->h, queries, token_context (),
                                        token_completion ());
  spoil (queries);
  ok (is_sent_unspoilt (p, n, "base:second"),
      "nbd_aio_opt_set_meta_context_queries needs its queries no longer than "
      "the call");
  peer_free (p);

  p = peer_mute (&everything);
  p->room = 0;
  nbd_aio_block_status_filter (p->h, 512, 0, contexts, token_extent64 (),
                               token_completion (), 0);
  spoil (contexts);
  p->room = SIZE_MAX;
  nbd_aio_notify_write (p->h);
  r = peer_sent (p);
  read_bytes (&r, 32 + 8);
  ok (read_u32 (&r) == CONTEXT_ID && reader_finished (&r),
      "nbd_aio_block_status_filter needs its contexts no longer than the "
      "call");
  peer_free (p);
  reset_tokens ();
}

/* nbd_poll2 */

static void
test_poll2_refusals (int readable)
{
  for (size_t i = 0; i < NR_PHASES; i++) {
    struct peer *p = peer_in (phase_names[i].phase);

    if (nbd_aio_get_direction (p->h) == 0)
      ok (nbd_poll2 (p->h, readable, -1) == -1 && nbd_get_errno () == EINVAL,
          "nbd_poll2 does not wait for a descriptor alone when %s",
          phase_names[i].words);
    peer_free (p);
  }
}

static void
test_poll2 (void)
{
  const uint64_t one = 1;
  struct peer *p = peer_in (PHASE_CONNECTED);
  int fds[2], closed;
  int64_t cookie;
  char c;

  if (pipe2 (fds, O_CLOEXEC) == -1)
    abort ();
  is_int (nbd_poll2 (p->h, -1, 0), 0,
          "nbd_poll2 without a descriptor returns 0 when the time is over");
  is_int (nbd_poll2 (p->h, fds[0], 0), 0,
          "nbd_poll2 with a descriptor returns 0 when the time is over");
  is_int (write (fds[1], "xy", 2), 2, "the descriptor becomes readable");
  is_int (nbd_poll2 (p->h, fds[0], -1), 1,
          "nbd_poll2 returns 1 when the descriptor is readable");
  is_int (nbd_poll2 (p->h, fds[0], -1), 1,
          "nbd_poll2 returns 1 again as nothing was read from it");
  is_int (nbd_poll2 (p->h, -1, 0), 0,
          "which nbd_poll2 without it is not told");
  ok (read (fds[0], &c, 1) == 1 && c == 'x', "both bytes are still there");

  /* The peer's descriptor is an event that nobody else makes readable. */
  cookie = nbd_aio_flush (p->h, NBD_NULL_COMPLETION, 0);
  is_int (write (p->h->fd, &one, sizeof one), sizeof one,
          "the connection becomes readable as well");
  is_int (nbd_poll2 (p->h, fds[0], -1), 1,
          "nbd_poll2 returns 1 when both are ready");
  is_int (nbd_aio_command_completed (p->h, cookie), 1,
          "nbd_poll2 deals with the connection when both are ready");
  peer_free (p);

  test_poll2_refusals (fds[0]);

  p = peer_in (PHASE_CONNECTED);
  closed = dup (fds[0]);
  close (closed);
  is_int (nbd_poll2 (p->h, closed, -1), 1,
          "nbd_poll2 returns at once for a descriptor that is not open");
  is_int (nbd_aio_is_ready (p->h), 1, "and the connection is as before");
  buffer_append (&p->server->out, "this is not a reply of NBD at all", 33);
  is_int (write (p->h->fd, &one, sizeof one), sizeof one,
          "something arrives that is no NBD");
  is_int (nbd_poll2 (p->h, -1, -1), -1,
          "nbd_poll2 returns -1 when the connection fails");
  is_int (nbd_aio_is_dead (p->h), 1, "the handle is dead then");
  peer_free (p);
  close (fds[0]);
  close (fds[1]);
}

struct poller {
  struct nbd_handle *h;
  int fd, result;
};

static void *
poll_for_ever (void *vp)
{
  struct poller *p = vp;

  p->result = nbd_poll2 (p->h, p->fd, -1);
  return NULL;
}

/* The lock is free again once the descriptor has ended the wait. */
static void
test_poll2_lets_pass (void)
{
  struct service s;
  struct nbd_handle *h = nbd_create ();
  struct poller poller = { .h = h };
  pthread_t thread;
  int fds[2];

  if (pipe2 (fds, O_CLOEXEC) == -1)
    abort ();
  poller.fd = fds[0];
  nbd_connect_socket (h, start_service (&s, &everything, false));
  if (pthread_create (&thread, NULL, poll_for_ever, &poller) != 0)
    abort ();
  is_int (write (fds[1], "x", 1), 1, "another thread needs the handle");
  is_int (nbd_flush (h, 0), 0,
          "a thread in nbd_poll2 lets another pass when the descriptor is "
          "readable");
  pthread_join (thread, NULL);
  is_int (poller.result, 1, "and nbd_poll2 returned 1");
  close (fds[0]);
  close (fds[1]);
  nbd_shutdown (h, 0);
  end_service (&s);
  nbd_close (h);
}

/* nbd_add_close_callback */

struct closing {
  int fd, other_end;
  unsigned called, freed;
  bool open, freed_too_early;
  pthread_t thread;
};

/* Whether the socket is there, and its peer not told otherwise. */
static bool
is_connected (const struct closing *c)
{
  char byte;

  return fcntl (c->fd, F_GETFD) != -1 &&
    recv (c->other_end, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

static int
close_cb (void *vp)
{
  struct closing *c = vp;

  c->freed_too_early = c->freed_too_early || c->freed > 0;
  c->open = (c->called++ == 0 || c->open) && is_connected (c);
  c->thread = pthread_self ();
  return -1;                    /* ignored */
}

static void
free_cb (void *vp)
{
  struct closing *c = vp;

  c->freed++;
  c->open = c->open && is_connected (c);
}

static void *
close_handle (void *vp)
{
  nbd_close (vp);
  return NULL;
}

static void
test_close_callback (void)
{
  struct nbd_handle *h = nbd_create ();
  struct closing c = { 0 };
  nbd_close_callback cb = { close_cb, &c, free_cb };
  pthread_t thread;
  int fds[2];
  char byte;

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1)
    abort ();
  c.fd = fds[0];
  c.other_end = fds[1];
  is_int (nbd_aio_connect_socket (h, fds[0]), 0, "a handle has a socket");
  ok (nbd_add_close_callback (h, cb) == 0 &&
      nbd_add_close_callback (h, cb) == 0,
      "the same close callback can be added twice");
  is_int (c.called + c.freed, 0, "neither is called before nbd_close");
  if (pthread_create (&thread, NULL, close_handle, h) != 0)
    abort ();
  pthread_join (thread, NULL);
  ok (c.called == 2 && c.freed == 2, "each is called once and freed once");
  ok (!c.freed_too_early, "no close callback is freed before all have run");
  ok (pthread_equal (c.thread, thread),
      "close callbacks run in the thread that closes the handle");
  ok (c.open, "the connection is open while close callbacks run");
  is_int (recv (fds[1], &byte, 1, 0), 0, "and then it is closed");
  close (fds[1]);
}

int
main (void)
{
  alarm (PATIENCE);
  tap_begin ();
  test_capture (SIMPLE, "simple replies on a socket: the statistics are what "
                "its other end counts");
  test_capture (STRUCTURED, "structured replies on a socket: the statistics "
                "are what its other end counts");
  test_capture (EXTENDED, "extended headers on a socket: the statistics are "
                "what its other end counts");
  test_statistics_wait ();
  test_feature_answers ();
  test_counting (list, NBD_OPT_LIST_META_CONTEXT,
                 "nbd_opt_list_meta_context");
  test_counting (list_queries, NBD_OPT_LIST_META_CONTEXT,
                 "nbd_opt_list_meta_context_queries");
  test_counting (set, NBD_OPT_SET_META_CONTEXT, "nbd_opt_set_meta_context");
  test_counting (set_queries, NBD_OPT_SET_META_CONTEXT,
                 "nbd_opt_set_meta_context_queries");
  test_borrowed ();
  test_poll2 ();
  test_poll2_lets_pass ();
  test_close_callback ();
  return tap_end ();
}
