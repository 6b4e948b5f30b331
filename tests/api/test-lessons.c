/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Servers that vanish, that never stop talking, and that talk before it is
 * their turn: what other clients learnt the hard way, as far as it takes more
 * than a dialogue.  docs/internals/contracts.md lists the tests of each
 * lesson.
 */

#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "calls.h"
#include "peer.h"
#include "tap.h"

/* A test that hangs is killed after so many seconds. */
#define PATIENCE 300

static const struct transport *memory;

static ssize_t
send_to_memory (struct nbd_handle *h, struct iovec *iov, int n)
{
  return memory->send (h, iov, n);
}

static void
close_memory (struct nbd_handle *h)
{
  memory->close (h);
}

/* Connect through TRANSPORT, which hands on to the peer's own. */
static void
connect_through (struct peer *p, const struct transport *transport)
{
  peer_connect (p);
  memory = p->h->transport;
  p->h->transport = transport;
  peer_settle (p);
}

/* The server vanishes when so many of its bytes have arrived. */
static size_t vanishes_after;

static ssize_t
receive_until_then (struct nbd_handle *h, struct iovec *iov, int n, bool wait)
{
  struct peer *p = h->transport_data;
  size_t left = vanishes_after - p->taken;
  struct iovec cut[2];
  int m = 0;

  for (; m < n && left > 0; m++) {
    cut[m] = iov[m];
    cut[m].iov_len = MIN (iov[m].iov_len, left);
    left -= cut[m].iov_len;
  }
  return m > 0 ? memory->receive (h, cut, m, wait) : 0;
}

static const struct transport vanishing = {
  .name = "vanishing",
  .receive = receive_until_then,
  .send = send_to_memory,
  .close = close_memory,
};

/* What became of one connection. */
struct outcome {
  unsigned calls, failures;
  bool good;
};

/* A call that succeeds after another failed, or fails without saying so, or
 * does not free its callbacks, is wrong.
 */
static void
returned (struct outcome *o, const char *name, int64_t r)
{
  bool said = r != -1 ||
    (strncmp (nbd_get_error (), name, strlen (name)) == 0 &&
     (o->failures > 0 || nbd_get_errno () == 0 ||
      nbd_get_errno () == ENOTCONN));

  o->calls++;
  if (!said || (r != -1 && o->failures > 0) || !tokens_freed_once (8)) {
    if (o->good)
      note ("%s returned %lld after %zu bytes: %s", name, (long long) r,
            vanishes_after, nbd_get_error ());
    o->good = false;
  }
  o->failures += r == -1;
  reset_tokens ();
}

#define CALL(o, fn, h, ...) returned (o, #fn, fn (h, ##__VA_ARGS__))

static char base[] = LIBNBD_CONTEXT_BASE_ALLOCATION;
static char *contexts[] = { base, NULL };

/* Every option. */
static void
negotiate (struct outcome *o, struct nbd_handle *h, enum replies replies)
{
  CALL (o, nbd_opt_list, h, token_list ());
  CALL (o, nbd_opt_extended_headers, h);
  if (replies != EXTENDED)      /* else the server would go back to those */
    CALL (o, nbd_opt_structured_reply, h);
  if (replies != SIMPLE) {
    CALL (o, nbd_opt_list_meta_context, h, token_context ());
    CALL (o, nbd_opt_list_meta_context_queries, h, contexts,
          token_context ());
    CALL (o, nbd_opt_set_meta_context, h, token_context ());
    CALL (o, nbd_opt_set_meta_context_queries, h, contexts, token_context ());
  }
  CALL (o, nbd_opt_info, h);
  CALL (o, nbd_opt_go, h);
}

/* Every command. */
static void
transmit (struct outcome *o, struct nbd_handle *h, enum replies replies)
{
  for (size_t i = 0; i < NR_DATA_CALLS; i++) {
    const struct data_call *call = &data_calls[i];

    if (strstr (call->name, "_aio_") ||
        (call->type == NBD_CMD_BLOCK_STATUS && replies == SIMPLE) ||
        (call->filter && replies != EXTENDED))
      continue;
    returned (o, call->name, call->run (h, 64, 512, 0));
  }
}

static struct peer *
connect_vanishing (const struct offer *offer, bool opt_mode)
{
  struct peer *p = peer_new (offer);

  nbd_set_opt_mode (p->h, opt_mode);
  nbd_add_meta_context (p->h, base);
  p->server->chunked = true;
  connect_through (p, &vanishing);
  return p;
}

/* One connection, from the greeting to the end.  Returns how much the server
 * said.
 */
static size_t
use_all (struct outcome *o, const struct offer *offer, bool opt_mode)
{
  struct peer *p = connect_vanishing (offer, opt_mode);
  size_t said;

  *o = (struct outcome) { .good = true };
  /* It may vanish before the first call. */
  if (nbd_aio_is_dead (p->h) || nbd_aio_is_closed (p->h))
    o->failures = 1;
  reset_tokens ();
  if (opt_mode)
    negotiate (o, p->h, offer->replies);
  transmit (o, p->h, offer->replies);
  said = p->server->out.n;
  if (o->failures > 0 && !nbd_aio_is_dead (p->h) && !nbd_aio_is_closed (p->h))
    o->good = false;
  peer_free (p);
  return said;
}

static void
test_vanishing (enum replies replies, bool opt_mode, const char *name)
{
  struct offer offer = everything;
  struct outcome o;
  bool good = true;
  size_t said;

  offer.replies = replies;
  vanishes_after = SIZE_MAX;
  said = use_all (&o, &offer, opt_mode);
  ok (o.good && o.failures == 0, "%s: without it %u calls succeed", name,
      o.calls);
  for (vanishes_after = 0; vanishes_after < said; vanishes_after++) {
    use_all (&o, &offer, opt_mode);
    good = good && o.good && o.failures > 0;
  }
  ok (good, "%s", name);
}

/* The same with commands in flight. */

struct flight {
  unsigned completed, freed, wrong;
};

static int
land (void *vp, int *error)
{
  struct flight *f = vp;

  f->completed++;
  f->wrong += *error != 0 && *error != ENOTCONN;
  return f->completed & 1;      /* some are retired at once */
}

static void
leave (void *vp)
{
  struct flight *f = vp;

  f->freed++;
}

static size_t
fly (const struct offer *offer, bool *good)
{
  static uint8_t buf[4][64];
  struct flight f = { 0 };
  nbd_completion_callback done = { land, &f, leave };
  struct peer *p = connect_vanishing (offer, false);
  int64_t cookies[] = {
    nbd_aio_pread (p->h, buf[0], 64, 0, done, 0),
    nbd_aio_flush (p->h, done, 0),
    nbd_aio_pread_structured (p->h, buf[1], 64, 0, token_chunk (), done, 0),
    nbd_aio_pwrite (p->h, buf[2], 64, 512, done, 0),
    nbd_aio_block_status_64 (p->h, 512, 0, token_extent64 (), done, 0),
    nbd_aio_pread (p->h, buf[3], 64, 0, done, 0),
  };
  bool issued = cookies[0] != -1;
  size_t said;

  peer_settle (p);
  said = p->server->out.n;
  for (size_t i = 0; i < COUNT (cookies); i++)
    *good = *good && (cookies[i] != -1) == issued;
  *good = *good && f.completed == (issued ? COUNT (cookies) : 0) &&
    f.wrong == 0;
  peer_free (p);
  *good = *good && f.freed == COUNT (cookies) && tokens_freed_once (8);
  reset_tokens ();
  return said;
}

static void
test_vanishing_in_flight (enum replies replies, const char *name)
{
  struct offer offer = everything;
  bool good = true;
  size_t said;

  offer.replies = replies;
  reset_tokens ();
  vanishes_after = SIZE_MAX;
  said = fly (&offer, &good);
  ok (good, "%s: without it all complete", name);
  for (vanishes_after = 0; vanishes_after < said; vanishes_after++)
    fly (&offer, &good);
  ok (good, "%s", name);
}

/* A server that answers one option for ever. */

static uint8_t answer[64];
static size_t answer_length;
static uint64_t answered;       /* bytes */
static bool floods;

static ssize_t
receive_flood (struct nbd_handle *h, struct iovec *iov, int n, bool wait)
{
  size_t done = 0;

  if (!floods)
    return memory->receive (h, iov, n, wait);
  for (int i = 0; i < n; i++) {
    uint8_t *p = iov[i].iov_base;

    for (size_t j = 0; j < iov[i].iov_len; j++)
      p[j] = answer[answered++ % answer_length];
    done += iov[i].iov_len;
  }
  return done;
}

static const struct transport flooding = {
  .name = "flooding",
  .receive = receive_flood,
  .send = send_to_memory,
  .close = close_memory,
};

static void
prepare_flood (uint32_t option, uint32_t type, const void *payload, size_t n)
{
  struct writer w = writer_init (answer, sizeof answer);

  write_u64 (&w, NBD_REP_MAGIC);
  write_u32 (&w, option);
  write_u32 (&w, type);
  write_u32 (&w, n);
  write_bytes (&w, payload, n);
  answer_length = w.n;
  answered = 0;
}

static void
test_flood (const char *call_name, int64_t (*call) (struct nbd_handle *h),
            const char *what, const char *name)
{
  struct peer *p = peer_new (&everything);
  char want[128];
  int64_t r;

  nbd_set_opt_mode (p->h, true);
  floods = false;
  connect_through (p, &flooding);
  floods = true;
  reset_tokens ();
  snprintf (want, sizeof want, "%s: handshake: too many replies to %s",
            call_name, what);
  r = call (p->h);
  ok (r == -1 && strcmp (nbd_get_error (), want) == 0 &&
      nbd_aio_is_dead (p->h) == 1 && tokens_freed_once (1 << 20) &&
      nbd_get_handle_size (p->h) < 1 << 20, "%s", name);
  if (r != -1 || strcmp (nbd_get_error (), want) != 0)
    note ("%lld: %s", (long long) r, nbd_get_error ());
  peer_free (p);
}

static int64_t
call_list (struct nbd_handle *h)
{
  return nbd_opt_list (h, token_list ());
}

static int64_t
call_list_contexts (struct nbd_handle *h)
{
  return nbd_opt_list_meta_context (h, token_context ());
}

static int64_t
call_info (struct nbd_handle *h)
{
  return nbd_opt_info (h);
}

static int64_t
call_go (struct nbd_handle *h)
{
  return nbd_opt_go (h);
}

static void
test_floods (void)
{
  prepare_flood (NBD_OPT_LIST, NBD_REP_SERVER, "\0\0\0\1x", 5);
  test_flood ("nbd_opt_list", call_list, "NBD_OPT_LIST",
              "a list of exports that never ends ends the connection");
  prepare_flood (NBD_OPT_LIST_META_CONTEXT, NBD_REP_META_CONTEXT,
                 "\0\0\0\1x:y", 7);
  test_flood ("nbd_opt_list_meta_context", call_list_contexts,
              "NBD_OPT_LIST_META_CONTEXT",
              "a list of contexts that never ends ends the connection");
  prepare_flood (NBD_OPT_INFO, NBD_REP_INFO, "\0\1name", 6);
  test_flood ("nbd_opt_info", call_info, "NBD_OPT_INFO",
              "information that never ends ends the connection");
  prepare_flood (NBD_OPT_GO, NBD_REP_INFO, "\0\143", 2);
  test_flood ("nbd_opt_go", call_go, "NBD_OPT_GO",
              "unknown information that never ends ends the connection");
}

/* A server that says all it has to say about many contexts before it listens
 * to the end of the question.  Question and answer are longer than what sockets
 * hold, so that a client that does not listen while it speaks would wait for
 * ever, and the server for it.
 */
#define NR_CONTEXTS 1000
#define NAME_LENGTH 4096

static bool
receive_all (int fd, void *p, size_t n)
{
  return recv (fd, p, n, MSG_WAITALL) == (ssize_t) n;
}

static bool
send_all (int fd, const void *p, size_t n)
{
  const uint8_t *bytes = p;
  size_t sent = 0;

  while (sent < n) {
    ssize_t r = send (fd, bytes + sent, n - sent, MSG_NOSIGNAL);

    if (r == -1)
      return false;
    sent += r;
  }
  return true;
}

static bool
reply (int fd, uint32_t option, uint32_t type, const void *payload, size_t n)
{
  static uint8_t bytes[20 + 4 + NAME_LENGTH];
  struct writer w = writer_init (bytes, sizeof bytes);

  write_u64 (&w, NBD_REP_MAGIC);
  write_u32 (&w, option);
  write_u32 (&w, type);
  write_u32 (&w, n);
  write_bytes (&w, payload, n);
  return send_all (fd, bytes, w.n);
}

/* The head of the next option; the length of its data. */
static bool
receive_option (int fd, uint32_t option, uint32_t *length)
{
  uint8_t head[16];
  struct reader r = reader_init (head, sizeof head);

  if (!receive_all (fd, head, sizeof head))
    return false;
  read_bytes (&r, 8);
  if (read_u32 (&r) != option)
    return false;
  *length = read_u32 (&r);
  return true;
}

static bool
talk_early (int fd)
{
  static uint8_t context[4 + NAME_LENGTH], question[4100 * NR_CONTEXTS + 8];
  static const uint8_t export[12] = { [8] = 2, [11] = NBD_FLAG_HAS_FLAGS };
  uint8_t flags[4];
  uint32_t length;

  memset (context + 4, 'c', NAME_LENGTH);
  if (!send_all (fd, "NBDMAGIC" "IHAVEOPT" "\0\3", 18) ||
      !receive_all (fd, flags, 4) ||
      !receive_option (fd, NBD_OPT_STRUCTURED_REPLY, &length) ||
      !reply (fd, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0) ||
      !receive_option (fd, NBD_OPT_SET_META_CONTEXT, &length) ||
      length != sizeof question)
    return false;
  for (unsigned i = 0; i < NR_CONTEXTS; i++)
    if (!reply (fd, NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT, context,
                sizeof context))
      return false;
  return reply (fd, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, NULL, 0) &&
    receive_all (fd, question, length) &&
    receive_option (fd, NBD_OPT_GO, &length) &&
    receive_all (fd, question, length) &&
    reply (fd, NBD_OPT_GO, NBD_REP_INFO, export, sizeof export) &&
    reply (fd, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
}

static void *
serve_early (void *vp)
{
  int fd = *(int *) vp;
  bool good = talk_early (fd);

  close (fd);
  return good ? vp : NULL;
}

static void
test_early_answers (void)
{
  static char name[NAME_LENGTH + 1];
  struct nbd_handle *h = nbd_create ();
  pthread_t thread;
  void *result;
  int fds[2];

  memset (name, 'q', NAME_LENGTH);
  for (unsigned i = 0; i < NR_CONTEXTS; i++)
    nbd_add_meta_context (h, name);
  memset (name, 'c', NAME_LENGTH);
  nbd_set_request_extended_headers (h, false);
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1 ||
      pthread_create (&thread, NULL, serve_early, &fds[1]) != 0)
    abort ();
  is_int (nbd_connect_socket (h, fds[0]), 0,
          "a server that answers while it is still asked is listened to");
  is_int (nbd_get_size (h), 512, "the export is known then");
  is_int (nbd_can_meta_context (h, name), 1, "and so are the contexts");
  pthread_join (thread, &result);
  ok (result != NULL, "the server was asked for all of them");
  nbd_close (h);
}

int
main (void)
{
  alarm (PATIENCE);
  tap_begin ();
  test_vanishing (SIMPLE, false, "simple replies: a server that vanishes at "
                  "any byte is an error");
  test_vanishing (STRUCTURED, false, "structured replies: a server that "
                  "vanishes at any byte is an error");
  test_vanishing (EXTENDED, false, "extended headers: a server that vanishes "
                  "at any byte is an error");
  test_vanishing (SIMPLE, true, "options with simple replies: a server that "
                  "vanishes at any byte is an error");
  test_vanishing (STRUCTURED, true, "options with structured replies: a "
                  "server that vanishes at any byte is an error");
  test_vanishing (EXTENDED, true, "options with extended headers: a server "
                  "that vanishes at any byte is an error");
  test_vanishing_in_flight (STRUCTURED, "structured replies: commands in "
                            "flight complete once when the server vanishes "
                            "at any byte");
  test_vanishing_in_flight (EXTENDED, "extended headers: commands in flight "
                            "complete once when the server vanishes at any "
                            "byte");
  test_floods ();
  test_early_answers ();
  return tap_end ();
}
