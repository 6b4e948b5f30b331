/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TLS in memory: what the relay of tls-peer.c does to the records must never
 * be seen, or end the connection; how many records and calls there are; what
 * TLS says between them; and a kernel that does the encryption, as far as one
 * can be imitated.
 */

#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "failing.h"
#include "internal.h"
#include "tap.h"
#include "tls-peer.h"
#include "tls.h"

#ifdef HAVE_GNUTLS_TRANSPORT_IS_KTLS_ENABLED
#include <gnutls/socket.h>
#endif

unsigned failing_allocation;

/* What the library calls instead; see local.mk. */

int __wrap_asprintf (char **s, const char *fmt, ...)
  __attribute__ ((format (printf, 2, 3)));
int __wrap___asprintf_chk (char **s, int flag, const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));
FILE *__real_fopen (const char *path, const char *mode);
FILE *__wrap_fopen (const char *path, const char *mode);
FILE *__wrap_fopen64 (const char *path, const char *mode);

static bool
allocation_fails (void)
{
  if (failing_allocation == 0 || --failing_allocation > 0)
    return false;
  errno = ENOMEM;
  return true;
}

int
__wrap_asprintf (char **s, const char *fmt, ...)
{
  va_list args;
  int r = -1;

  va_start (args, fmt);
  if (!allocation_fails ())
    r = vasprintf (s, fmt, args);
  va_end (args);
  return r;
}

int
__wrap___asprintf_chk (char **s, int flag, const char *fmt, ...)
{
  va_list args;
  int r = -1;

  (void) flag;
  va_start (args, fmt);
  if (!allocation_fails ())
    r = vasprintf (s, fmt, args);
  va_end (args);
  return r;
}

/* Whether the kernel seems to know TLS. */
static bool has_kernel;

FILE *
__wrap_fopen (const char *path, const char *mode)
{
  static char list[] = "espintcp mptcp tls\n";

  if (strcmp (path, "/proc/sys/net/ipv4/tcp_available_ulp") != 0)
    return __real_fopen (path, mode);
  if (has_kernel)
    return fmemopen (list, strlen (list), "r");
  errno = ENOENT;
  return NULL;
}

FILE *
__wrap_fopen64 (const char *path, const char *mode)
{
  return __wrap_fopen (path, mode);
}

#ifndef HAVE_GNUTLS

int
main (void)
{
  struct nbd_handle *h = nbd_create ();

  tap_begin ();
  is_int (nbd_supports_tls (h), 0, "there is no TLS");
  is_int (nbd_set_tls (h, LIBNBD_TLS_ALLOW), -1, "it cannot be allowed");
  is_int (nbd_get_errno (), ENOTSUP, "with ENOTSUP");
  is_int (nbd_set_tls (h, LIBNBD_TLS_REQUIRE), -1, "it cannot be required");
  is_int (nbd_get_errno (), ENOTSUP, "with ENOTSUP, too");
  is_int (nbd_set_tls (h, LIBNBD_TLS_DISABLE), 0, "it can be switched off");
  is_int (nbd_get_tls (h), LIBNBD_TLS_DISABLE, "and is off");
  nbd_close (h);
  return tap_end ();
}

#else

/* A test that hangs is killed after so many seconds. */
#define PATIENCE 900

unsigned __wrap_gnutls_transport_is_ktls_enabled (gnutls_session_t session);
ssize_t __real_gnutls_record_send (gnutls_session_t session,
                                   const void *data, size_t n);
ssize_t __wrap_gnutls_record_send (gnutls_session_t session,
                                   const void *data, size_t n);
int __real_gnutls_bye (gnutls_session_t session, gnutls_close_request_t how);
int __wrap_gnutls_bye (gnutls_session_t session, gnutls_close_request_t how);

/* What the kernel does. */
static unsigned kernel_directions;

unsigned
__wrap_gnutls_transport_is_ktls_enabled (gnutls_session_t session)
{
  (void) session;
  return kernel_directions;
}

/* How often it is as if there were no room for close_notify. */
static unsigned refused_farewells;

int
__wrap_gnutls_bye (gnutls_session_t session, gnutls_close_request_t how)
{
  if (refused_farewells == 0)
    return __real_gnutls_bye (session, how);
  refused_farewells--;
  return GNUTLS_E_AGAIN;
}

/* A kernel takes all of a record, a part or nothing of it, and remembers
 * nothing.  gnutls itself, which does the work here, remembers the rest of a
 * record that it has encrypted.
 */
static gnutls_session_t choosy;

ssize_t
__wrap_gnutls_record_send (gnutls_session_t session, const void *data,
                           size_t n)
{
  static bool remembered;
  static unsigned calls;
  ssize_t r;

  if (session != choosy)
    return __real_gnutls_record_send (session, data, n);
  if (!remembered && ++calls % 2 == 0)
    return GNUTLS_E_AGAIN;
  if (!remembered && n > 100)
    n -= n / 3;
  r = __real_gnutls_record_send (session, data, n);
  remembered = r == GNUTLS_E_AGAIN;
  return r;
}

/* The versions of TLS, and what the client's own choice leads to. */
static const struct version {
  const char *name, *priority;
} versions[] = {
  { "TLS 1.3",
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK" },
  { "TLS 1.2",
    "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK" },
};

static bool
is_error (int errnum, const char *text)
{
  const char *got = nbd_get_error ();

  if (nbd_get_errno () == errnum && got && strstr (got, text))
    return true;
  note ("got:  %d %s", nbd_get_errno (), got);
  note ("want: %d %s", errnum, text);
  return false;
}

/* How the server's disk begins. */
static uint8_t
disk_byte (size_t i)
{
  return i * 7 + (i >> 8);
}

static bool
is_disk (const uint8_t *p, size_t offset, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (p[i] != disk_byte (offset + i))
      return false;
  return true;
}

static bool
is_filled (const uint8_t *p, uint8_t c, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (p[i] != c)
      return false;
  return true;
}

/* Records at which a wire can be looked at from here on. */
struct mark {
  size_t up, down;
  unsigned sends, receives;
};

static struct mark
mark (struct tls_peer *p)
{
  return (struct mark) { p->up.bytes.n, p->down.bytes.n, p->sends,
                         p->receives };
}

static struct tls_peer *
connected (const struct tls_offer *tls)
{
  struct tls_peer *p = tls_peer_new (&everything, tls);

  tls_peer_negotiate (p);
  if (nbd_aio_is_ready (p->h) != 1)
    note ("not connected: %s", nbd_get_error ());
  return p;
}

/* A short conversation that has a bit of everything, and its end. */

#define READ_SIZE 20000
#define WRITE_SIZE 700
#define WRITE_OFFSET 30000

struct outcome {
  bool secured;                 /* TLS was negotiated */
  bool done[3];                 /* which commands succeeded */
  bool right;                   /* with the right data */
  bool early;                   /* dead before NBD_CMD_DISC was sent */
  enum state state;
  size_t up, down;              /* bytes that went over the wires */
  char error[256];
};

/* The connection is closed if neither side knows what to do. */
static void
hang_up (struct tls_peer *p)
{
  tls_peer_settle (p);
  if (handle_phase (p->h) & (PHASE_CLOSED | PHASE_DEAD))
    return;
  p->down.closed = true;
  p->over = true;
  tls_peer_settle (p);
}

static void
converse (struct tls_peer *p, struct outcome *o)
{
  static uint8_t read_buffer[READ_SIZE], back[WRITE_SIZE], data[WRITE_SIZE];
  int64_t cookies[3] = { -1, -1, -1 };
  nbd_completion_callback none = NBD_NULL_COMPLETION;

  memset (o, 0, sizeof *o);
  memset (read_buffer, 0, sizeof read_buffer);
  memset (data, 0x5a, sizeof data);
  tls_peer_negotiate (p);
  o->secured = nbd_get_tls_negotiated (p->h) == 1;
  if (nbd_aio_is_ready (p->h) == 1) {
    cookies[0] = nbd_aio_pread (p->h, read_buffer, READ_SIZE, 5, none, 0);
    cookies[1] = nbd_aio_pwrite (p->h, data, WRITE_SIZE, WRITE_OFFSET, none,
                                 0);
    tls_peer_settle (p);
    if (nbd_aio_is_ready (p->h) == 1)
      cookies[2] = nbd_aio_pread (p->h, back, WRITE_SIZE, WRITE_OFFSET, none,
                                  0);
    tls_peer_settle (p);
  }
  o->right = true;
  for (int i = 0; i < 3; i++)
    o->done[i] = cookies[i] > 0 &&
      nbd_aio_command_completed (p->h, cookies[i]) == 1;
  if (o->done[0])
    o->right = o->right && is_disk (read_buffer, 5, READ_SIZE);
  if (o->done[1])
    o->right = o->right &&
      is_filled (p->server->disk + WRITE_OFFSET, 0x5a, WRITE_SIZE);
  if (o->done[2])
    o->right = o->right && is_filled (back, 0x5a, WRITE_SIZE);
  o->early = nbd_aio_is_ready (p->h) != 1 ||
    nbd_aio_disconnect (p->h, 0) == -1;
  hang_up (p);
  o->state = p->h->state;
  o->up = p->up.bytes.n;
  o->down = p->down.bytes.n;
  snprintf (o->error, sizeof o->error, "%s",
            nbd_get_error () ? nbd_get_error () : "");
}

static bool
is_complete (const struct outcome *o)
{
  return o->secured && o->done[0] && o->done[1] && o->done[2] && o->right &&
    !o->early && o->state == STATE_CLOSED;
}

static void
describe (const char *what, size_t where, const struct outcome *o)
{
  note ("%s %zu: TLS %d, commands %d %d %d, data right %d, %s, %s", what,
        where, o->secured, o->done[0], o->done[1], o->done[2], o->right,
        state_rows[o->state].name, o->error);
}

/* The conversation, with the relay as CHANGE sets it at WHERE. */
static void
run_with (const struct tls_offer *tls,
          void (*change) (struct tls_peer *p, size_t where), size_t where,
          struct outcome *o)
{
  struct tls_peer *p = tls_peer_new (&everything, tls);

  if (change)
    change (p, where);
  converse (p, o);
  tls_peer_free (p);
}

static void
cut_up (struct tls_peer *p, size_t where)
{
  p->up.cut = where;
}

static void
cut_down (struct tls_peer *p, size_t where)
{
  p->down.cut = where;
}

static void
limit_up (struct tls_peer *p, size_t n)
{
  p->up.limit = n;
}

static void
limit_down (struct tls_peer *p, size_t n)
{
  p->down.limit = n;
}

static void
limit_sending (struct tls_peer *p, size_t n)
{
  p->at_once = n;
}

static void
limit_all (struct tls_peer *p, size_t n)
{
  p->at_once = p->up.limit = p->down.limit = n;
}

static void
halt_all (struct tls_peer *p, size_t n)
{
  limit_all (p, n);
  p->up.halting = p->down.halting = true;
}

static void
end_up (struct tls_peer *p, size_t where)
{
  p->up.end = where;
}

static void
end_down (struct tls_peer *p, size_t where)
{
  p->down.end = where;
}

static void
reset_down (struct tls_peer *p, size_t where)
{
  p->down.end = where;
  p->down.broken = true;
}

static void
flip_up (struct tls_peer *p, size_t where)
{
  p->up.flip = where;
}

static void
flip_down (struct tls_peer *p, size_t where)
{
  p->down.flip = where;
}

/* Ways that must not be noticed. */
static void
test_relay (const struct version *v)
{
  static const struct {
    const char *name;
    void (*change) (struct tls_peer *p, size_t n);
  } ways[] = {
    { "to the server", limit_up }, { "to the client", limit_down },
    { "as the client sends", limit_sending }, { "in every way", limit_all },
    { "in every way, with pauses", halt_all },
  };
  static const size_t sizes[] = { 1, 2, 5, 7, 1000, 16389 };
  struct tls_offer tls = { .priority = v->priority };
  struct outcome o;

  for (size_t i = 0; i < COUNT (ways); i++) {
    bool good = true;

    for (size_t j = 0; j < COUNT (sizes); j++) {
      run_with (&tls, ways[i].change, sizes[j], &o);
      if (!is_complete (&o)) {
        describe ("pieces of", sizes[j], &o);
        good = false;
      }
    }
    ok (good, "%s: records in small pieces %s make no difference", v->name,
        ways[i].name);
  }
}

/* Places of a conversation: all of the handshake, then some. */
static size_t
next_place (size_t i, size_t dense)
{
  return i + (i < dense ? 1 : 97);
}

/* Every record cut in two at every place. */
static void
test_cuts (const struct version *v)
{
  struct tls_offer tls = { .priority = v->priority };
  struct outcome whole, o;
  bool good = true;

  run_with (&tls, NULL, 0, &whole);
  ok (is_complete (&whole), "%s: a conversation", v->name);
  for (size_t i = 1; i < whole.up; i = next_place (i, 1500)) {
    run_with (&tls, cut_up, i, &o);
    if (!is_complete (&o)) {
      describe ("cut after", i, &o);
      good = false;
    }
  }
  ok (good, "%s: records to the server are cut at every place", v->name);
  good = true;
  for (size_t i = 1; i < whole.down; i = next_place (i, 1500)) {
    run_with (&tls, cut_down, i, &o);
    if (!is_complete (&o)) {
      describe ("cut after", i, &o);
      good = false;
    }
  }
  ok (good, "%s: records to the client are cut at every place", v->name);
}

/* What an attacker can do: nothing but end it. */
static void
test_attacks (const struct version *v)
{
  struct tls_offer tls = { .priority = v->priority };
  struct outcome whole, o;
  bool good = true, dead = true;

  run_with (&tls, NULL, 0, &whole);
  /* Of the farewell nothing is wanted. */
  for (size_t i = 0; i < whole.down; i = next_place (i, 1200)) {
    run_with (&tls, end_down, i, &o);
    if (!o.right || (o.early && o.state != STATE_DEAD) ||
        (!o.early && o.state != STATE_CLOSED)) {
      describe ("ended after", i, &o);
      good = false;
    }
    if (o.early && o.error[0] == '\0')
      dead = false;
  }
  ok (good, "%s: to be cut off is an error at every place before the "
      "disconnection, and none behind it", v->name);
  ok (dead, "%s: which has a text", v->name);
  good = true;
  for (size_t i = 0; i < whole.down; i = next_place (i, 1200)) {
    run_with (&tls, reset_down, i, &o);
    if (!o.right || (o.early && o.state != STATE_DEAD)) {
      describe ("reset after", i, &o);
      good = false;
    }
  }
  ok (good, "%s: so is a reset", v->name);
  good = true;
  for (size_t i = 0; i < whole.up; i = next_place (i, 1200)) {
    run_with (&tls, end_up, i, &o);
    if (!o.right || (o.early && o.state != STATE_DEAD)) {
      describe ("server cut off after", i, &o);
      good = false;
    }
  }
  ok (good, "%s: the server is cut off at every place", v->name);
  good = true;
  for (size_t i = 0; i < whole.up; i = next_place (i, 1200)) {
    run_with (&tls, flip_up, i, &o);
    if (!o.right || (o.state != STATE_DEAD && o.state != STATE_CLOSED)) {
      describe ("wrong to the server", i, &o);
      good = false;
    }
  }
  ok (good, "%s: a bit that is wrong at every place on the way to the server "
      "does no harm", v->name);
  good = true;
  for (size_t i = 0; i < whole.down; i = next_place (i, 1200)) {
    run_with (&tls, flip_down, i, &o);
    if (!o.right || (o.state != STATE_DEAD && o.state != STATE_CLOSED)) {
      describe ("wrong to the client", i, &o);
      good = false;
    }
  }
  ok (good, "%s: nor does one on the way to the client", v->name);
}

/* How a connection ends. */

static void
test_ends (const struct version *v)
{
  struct tls_offer polite = { .priority = v->priority };
  struct tls_offer rude = { .priority = v->priority, .rude = true };
  struct tls_peer *p = connected (&polite);
  uint8_t buf[64];

  is_int (nbd_shutdown (p->h, 0), 0, "%s: nbd_shutdown", v->name);
  is_int (nbd_aio_is_closed (p->h), 1, "closes the handle");
  tls_peer_serve (p);
  ok (p->farewell, "the server is told with close_notify");
  ok (p->up.closed, "behind which nothing follows");
  ok (!p->stuck, "without waiting for what does not come");
  tls_peer_free (p);

  p = connected (&rude);
  is_int (nbd_shutdown (p->h, 0), 0, "%s: a server that just closes when it "
          "is told to is no error", v->name);
  is_int (nbd_aio_is_closed (p->h), 1, "the handle is closed");
  tls_peer_free (p);

  /* Asked for more, it sees what was sent. */
  p = connected (&polite);
  nbd_aio_disconnect (p->h, 0);
  tls_peer_serve (p);
  ok (p->server->ended && p->farewell, "%s: close_notify follows "
      "NBD_CMD_DISC at once", v->name);
  tls_peer_settle (p);
  is_int (nbd_aio_is_closed (p->h), 1, "the answer closes the handle");
  tls_peer_free (p);

  p = connected (&polite);
  nbd_close (p->h);
  p->h = NULL;
  tls_peer_serve (p);
  ok (!p->farewell && !p->server->ended, "%s: a handle that is just closed "
      "says nothing", v->name);
  tls_peer_free (p);

  p = connected (&polite);
  p->down.closed = p->over = true;
  is_int (nbd_pread (p->h, buf, sizeof buf, 0, 0), -1, "%s: a connection that "
          "is cut before NBD_CMD_DISC is an error", v->name);
  ok (is_error (0, "nbd_pread: TLS: server disconnected unexpectedly"),
      "for the command");
  is_int (nbd_aio_is_dead (p->h), 1, "and the handle is dead");
  tls_peer_free (p);

  p = connected (&polite);
  p->down.closed = p->over = true;
  is_int (nbd_aio_notify_read (p->h), -1, "%s: also when nothing is asked",
          v->name);
  ok (is_error (0, "TLS: server disconnected unexpectedly, or somebody cut "
                "the connection"), "with a text that says so");
  is_int (nbd_aio_is_dead (p->h), 1, "and the handle is dead");
  tls_peer_free (p);

  /* What was asked before the disconnection is still owed. */
  p = connected (&rude);
  p->server->mute = true;
  nbd_aio_pread (p->h, buf, sizeof buf, 0, NBD_NULL_COMPLETION, 0);
  tls_peer_settle (p);
  nbd_aio_disconnect (p->h, 0);
  p->down.closed = p->over = true;
  tls_peer_settle (p);
  is_int (nbd_aio_is_dead (p->h), 1, "%s: a connection that is cut while a "
          "reply is due is dead", v->name);
  tls_peer_free (p);

  p = connected (&polite);
  gnutls_bye (p->session, GNUTLS_SHUT_WR);
  p->over = true;
  tls_peer_settle (p);
  is_int (nbd_aio_is_closed (p->h), 1, "%s: close_notify of the server "
          "between replies closes the handle", v->name);
  tls_peer_free (p);
}

/* Records and calls. */

#define MANY 64

static void
test_requests (const struct version *v)
{
  struct tls_offer tls = { .priority = v->priority };
  struct tls_peer *p = connected (&tls);
  static uint8_t bufs[MANY][512];
  static uint8_t large[100000];
  struct mark from;
  uint64_t before;
  size_t received;
  bool good = true;

  /* They queue up behind one that is refused. */
  p->room = 0;
  from = mark (p);
  before = p->server->messages_in;
  for (int i = 0; i < MANY; i++)
    nbd_aio_pread (p->h, bufs[i], 512, i * 512, NBD_NULL_COMPLETION, 0);
  is_int (p->up.bytes.n, from.up, "%s: where there is no room nothing leaves",
          v->name);
  is_int (nbd_aio_get_direction (p->h), LIBNBD_AIO_DIRECTION_BOTH,
          "and the direction includes WRITE");
  is_int (nbd_aio_is_processing (p->h), 1, "the handle is processing");
  p->room = SIZE_MAX;
  p->silent = true;
  from = mark (p);
  nbd_aio_notify_write (p->h);
  is_int (nbd_aio_get_direction (p->h), LIBNBD_AIO_DIRECTION_READ,
          "when there is, all leave, and the direction is READ");
  /* The first one was encrypted before the others came. */
  is_int (count_records (&p->up, from.up, p->up.bytes.n, 23), 2,
          "%d requests are in two records", MANY);
  is_int (count_records (&p->up, from.up, p->up.bytes.n, 0), 2,
          "and in no others");
  ok (p->sends - from.sends <= 3, "in at most three calls (%u)",
      p->sends - from.sends);
  p->silent = false;
  tls_peer_serve (p);
  is_int (p->server->messages_in - before, MANY, "each arrives once");

  received = p->receives;
  while (nbd_aio_in_flight (p->h) > 0 &&
         nbd_aio_peek_command_completed (p->h) >= 0)
    nbd_poll (p->h, -1);
  for (int64_t i = 1; i <= MANY; i++)
    good = nbd_aio_command_completed (p->h, i) == 1 &&
      is_disk (bufs[i - 1], (i - 1) * 512, 512) && good;
  ok (good, "%s: %d replies in one pass are right", v->name, MANY);
  ok (p->receives - received <= 3, "in at most three calls (%zu)",
      p->receives - received);
  tls_peer_free (p);

  /* Two requests that wait are one record. */
  p = connected (&tls);
  p->room = 0;
  nbd_aio_flush (p->h, NBD_NULL_COMPLETION, 0);
  p->room = SIZE_MAX;
  tls_peer_settle (p);
  memset (large, 0xa5, sizeof large);
  from = mark (p);
  is_int (nbd_pwrite (p->h, large, 60000, 0, 0), 0, "%s: a large write",
          v->name);
  is_int (count_records (&p->up, from.up, p->up.bytes.n, 23), 4,
          "fills records");
  ok (is_filled (p->server->disk, 0xa5, 60000), "and arrives");
  from = mark (p);
  is_int (nbd_pwrite (p->h, large, sizeof large, 0, 0), 0,
          "%s: a larger write", v->name);
  is_int (count_records (&p->up, from.up, p->up.bytes.n, 23), 7,
          "fills records, too");
  from = mark (p);
  is_int (nbd_pwrite (p->h, large, 100, 0, 0), 0, "%s: a small write",
          v->name);
  is_int (count_records (&p->up, from.up, p->up.bytes.n, 23), 1,
          "is in the same record as its request");
  tls_peer_free (p);
}

/* Synchronous requests: what each costs below TLS. */
static void
test_calls (const struct version *v)
{
  struct tls_offer tls = { .priority = v->priority };
  struct tls_peer *p = connected (&tls);
  static uint8_t buf[4096];
  struct mark from = mark (p);
  bool good = true;

  for (int i = 0; i < MANY; i++)
    good = nbd_pread (p->h, buf, sizeof buf, i * 512, 0) == 0 &&
      is_disk (buf, i * 512, sizeof buf) && good;
  ok (good, "%s: %d synchronous reads", v->name, MANY);
  is_int (p->sends - from.sends, MANY, "take one send each");
  is_int (p->receives - from.receives, MANY, "and one receive each");

  /* Byte by byte they sleep more often, but not for ever. */
  p->down.limit = 1;
  ok (nbd_pread (p->h, buf, 100, 3, 0) == 0 && is_disk (buf, 3, 100) &&
      !p->stuck, "%s: a synchronous read byte by byte", v->name);
  tls_peer_free (p);
}

/* Replies that come in all kinds of records. */
static void
test_replies (const struct version *v)
{
  static const size_t sizes[] = { 0, 1, 3, 17, 1000, 16384 };
  static uint8_t bufs[MANY][512], large[READ_SIZE];
  bool good = true;

  for (size_t j = 0; j < COUNT (sizes); j++) {
    struct tls_offer tls = { .priority = v->priority, .record = sizes[j] };
    struct tls_peer *p = connected (&tls);
    struct mark from;

    p->silent = true;
    for (int i = 0; i < MANY; i++)
      nbd_aio_pread (p->h, bufs[i], 512, i * 512, NBD_NULL_COMPLETION, 0);
    p->silent = false;
    from = mark (p);
    is_int (nbd_poll (p->h, -1), 1, "%s: one pass with records of %zu bytes",
            v->name, sizes[j]);
    for (int64_t i = 1; i <= MANY; i++)
      good = nbd_aio_command_completed (p->h, i) == 1 &&
        is_disk (bufs[i - 1], (i - 1) * 512, 512) && good;
    ok (good, "ends %d commands in %u calls", MANY,
        p->receives - from.receives);
    if (sizes[j] == 0) {
      is_int (p->receives - from.receives, 1, "in fact in one call");
      is_int (count_records (&p->down, from.down, p->down.bytes.n, 23), 3,
              "of three records");
    }
    good = nbd_pread (p->h, large, READ_SIZE, 77, 0) == 0 &&
      is_disk (large, 77, READ_SIZE);
    ok (good, "one reply in many records is right");
    tls_peer_free (p);
  }
}

/* Data that gnutls has, and no poll tells of. */
static void
test_pending (const struct version *v)
{
  struct tls_offer tls = { .priority = v->priority };
  static uint8_t a[512], b[512], large[50000];
  struct tls_peer *p = connected (&tls);
  int64_t one, two;

  /* One record with both replies: the second is there when the first is
   * waited for.
   */
  p->silent = true;
  one = nbd_aio_pread (p->h, a, sizeof a, 0, NBD_NULL_COMPLETION, 0);
  two = nbd_aio_pread (p->h, b, sizeof b, 512, NBD_NULL_COMPLETION, 0);
  p->silent = false;
  tls_peer_serve (p);
  p->silent = true;
  is_int (nbd_aio_notify_read (p->h), 0, "%s: two replies in one record",
          v->name);
  ok (nbd_aio_command_completed (p->h, one) == 1 &&
      nbd_aio_command_completed (p->h, two) == 1 && is_disk (a, 0, 512) &&
      is_disk (b, 512, 512), "are both there at once");
  p->silent = false;

  /* A record that ends in the middle of a buffer. */
  one = nbd_aio_pread (p->h, large, sizeof large, 0, NBD_NULL_COMPLETION, 0);
  two = nbd_aio_pread (p->h, b, sizeof b, 1024, NBD_NULL_COMPLETION, 0);
  tls_peer_serve (p);
  p->silent = true;
  is_int (nbd_poll (p->h, -1), 1, "%s: four records that were there",
          v->name);
  ok (nbd_aio_command_completed (p->h, one) == 1 &&
      nbd_aio_command_completed (p->h, two) == 1 &&
      is_disk (large, 0, sizeof large) && is_disk (b, 1024, 512),
      "are handled in one pass");
  tls_peer_free (p);

  /* Behind the last reply the server says goodbye, and stays: there is nothing
   * that a poll would tell.
   */
  p = connected (&tls);
  p->silent = true;
  one = nbd_aio_pread (p->h, a, sizeof a, 0, NBD_NULL_COMPLETION, 0);
  p->silent = false;
  tls_peer_serve (p);
  gnutls_bye (p->session, GNUTLS_SHUT_WR);
  p->silent = true;
  nbd_poll (p->h, -1);
  ok (nbd_aio_command_completed (p->h, one) == 1 && is_disk (a, 0, 512),
      "%s: a reply with close_notify behind it", v->name);
  is_int (nbd_aio_is_closed (p->h), 1, "closes the handle in the same pass");
  tls_peer_free (p);

  p = connected (&tls);
  p->silent = true;
  one = nbd_aio_pread (p->h, a, sizeof a, 0, NBD_NULL_COMPLETION, 0);
  p->silent = false;
  tls_peer_serve (p);
  gnutls_alert_send (p->session, GNUTLS_AL_FATAL, GNUTLS_A_INTERNAL_ERROR);
  p->silent = true;
  nbd_poll (p->h, -1);
  ok (nbd_aio_command_completed (p->h, one) == 1 && is_disk (a, 0, 512),
      "%s: a reply with a fatal alert behind it", v->name);
  is_int (nbd_aio_is_dead (p->h), 1, "and the handle is dead in the same "
          "pass");
  tls_peer_free (p);

  /* A reset that is found behind a reply keeps its number. */
  p = connected (&tls);
  p->silent = true;
  one = nbd_aio_pread (p->h, a, sizeof a, 0, NBD_NULL_COMPLETION, 0);
  p->silent = false;
  tls_peer_serve (p);
  p->silent = true;
  p->down.closed = p->down.broken = true;
  tls_peer_settle (p);
  ok (nbd_aio_command_completed (p->h, one) == 1 && is_disk (a, 0, 512),
      "%s: a reply with a reset behind it", v->name);
  is_int (nbd_aio_is_dead (p->h), 1, "and the handle is dead");
  tls_peer_free (p);
}

/* A write of which bytes leave as there is room. */
static void
test_room (const struct version *v)
{
  struct tls_offer tls = { .priority = v->priority };
  static const size_t rooms[] = { 1, 4, 5, 6, 100, 4000, 16000 };
  static uint8_t data[50000], back[50000];

  for (size_t j = 0; j < COUNT (rooms); j++) {
    struct tls_peer *p = connected (&tls);
    struct mark from;
    uint64_t before = p->server->messages_in, sent;
    nbd_completion_callback none = NBD_NULL_COMPLETION;
    bool write_wanted = true;
    int64_t one, two;

    memset (data, 0x11 + j, sizeof data);
    p->room = 0;
    from = mark (p);
    sent = nbd_stats_bytes_sent (p->h);
    one = nbd_aio_pwrite (p->h, data, sizeof data, 0, none, 0);
    two = nbd_aio_pwrite (p->h, data, 1000, 50000, none, 0);
    while (nbd_aio_get_direction (p->h) & LIBNBD_AIO_DIRECTION_WRITE &&
           p->up.bytes.n - from.up < 60000) {
      size_t n = p->up.bytes.n;

      p->room = rooms[j];
      nbd_aio_notify_write (p->h);
      write_wanted = write_wanted && p->up.bytes.n - n <= rooms[j];
      write_wanted = write_wanted && p->up.bytes.n > n;
    }
    ok (write_wanted, "%s: with room for %zu bytes a time, so many leave",
        v->name, rooms[j]);
    is_int (nbd_aio_get_direction (p->h), LIBNBD_AIO_DIRECTION_READ,
            "until all have left");
    p->room = SIZE_MAX;
    tls_peer_settle (p);
    ok (nbd_aio_command_completed (p->h, one) == 1 &&
        nbd_aio_command_completed (p->h, two) == 1 &&
        is_filled (p->server->disk, 0x11 + j, 51000),
        "nothing of it is lost");
    is_int (p->server->messages_in - before, 2, "nothing is doubled");
    is_int (nbd_stats_bytes_sent (p->h) - sent, 51000 + 64,
            "the statistics count what TLS protects");
    is_int (nbd_pread (p->h, back, sizeof back, 0, 0), 0,
            "the connection goes on");
    ok (is_filled (back, 0x11 + j, sizeof back), "with the right data");
    tls_peer_free (p);
  }
}

/* Where nothing leaves, the rest of a large write waits in the clear. */
static void
test_bounded (const struct version *v)
{
  static const uint8_t data[1 << 20];
  struct tls_offer tls = { .priority = v->priority };
  struct tls_peer *p = connected (&tls);
  nbd_completion_callback none = NBD_NULL_COMPLETION;
  uint64_t before = p->server->messages_in;

  p->room = 0;
  nbd_aio_pwrite (p->h, data, sizeof data, 0, none, 0);
  nbd_aio_pwrite (p->h, data, sizeof data, 0, none, 0);
  ok (p->h->unsent > 0 && p->h->unsent < 100000, "%s: no more is encrypted "
      "than can soon leave (%zu bytes)", v->name, p->h->unsent);
  p->room = SIZE_MAX;
  while (p->h->commands.nr_in_flight > 0 &&
         nbd_aio_peek_command_completed (p->h) <= 0)
    nbd_poll (p->h, -1);
  tls_peer_settle (p);
  ok (is_filled (p->server->disk, 0, DISK_SIZE) &&
      p->server->messages_in - before == 2, "and all of it leaves in the end");
  tls_peer_free (p);
}

/* Bytes that wait while the farewell is said. */
static void
test_room_for_farewell (const struct version *v)
{
  struct tls_offer tls = { .priority = v->priority };
  struct tls_peer *p = connected (&tls);

  p->room = 0;
  nbd_aio_disconnect (p->h, 0);
  tls_peer_serve (p);
  ok (!p->server->ended, "%s: a disconnection that finds no room waits",
      v->name);
  ok (nbd_aio_get_direction (p->h) & LIBNBD_AIO_DIRECTION_WRITE,
      "and the direction says so");
  p->room = 40;
  nbd_aio_notify_write (p->h);
  tls_peer_serve (p);
  ok (!p->up.closed, "the sending side is open while something is left");
  p->room = SIZE_MAX;
  nbd_aio_notify_write (p->h);
  tls_peer_serve (p);
  ok (p->server->ended && p->farewell && p->up.closed,
      "when there is room both leave, and then nothing follows");
  tls_peer_settle (p);
  is_int (nbd_aio_is_closed (p->h), 1, "the handle is closed");
  tls_peer_free (p);
}

/* What TLS itself says in the middle. */

static bool
works (struct tls_peer *p)
{
  static uint8_t buf[5000], data[5000];

  memset (data, 0x77, sizeof data);
  return nbd_pread (p->h, buf, sizeof buf, 10, 0) == 0 &&
    is_disk (buf, 10, sizeof buf) &&
    nbd_pwrite (p->h, data, sizeof data, 40000, 0) == 0 &&
    is_filled (p->server->disk + 40000, 0x77, sizeof data) && !p->stuck;
}

static void
test_keys (void)
{
  struct tls_offer tls = { .priority = versions[0].priority };
  struct tls_peer *p = connected (&tls);
  static const uint8_t large[100000];
  bool good = true;

  is_int (gnutls_session_key_update (p->session, 0), 0,
          "the server changes its keys");
  ok (works (p), "and the connection goes on");
  is_int (gnutls_session_key_update (p->session, GNUTLS_KU_PEER), 0,
          "it wants the client to change its keys, too");
  tls_peer_settle (p);
  is_int (nbd_aio_get_direction (p->h), LIBNBD_AIO_DIRECTION_READ,
          "which waits until there is something to say");
  ok (works (p), "and the connection goes on");
  for (int i = 0; i < 3; i++) {
    gnutls_session_key_update (p->session, GNUTLS_KU_PEER);
    good = works (p) && good;
  }
  ok (good, "keys change in the middle of commands");

  /* The server wants it between the parts of a request. */
  p->room = 0;
  nbd_aio_pwrite (p->h, large, sizeof large, 0, NBD_NULL_COMPLETION, 0);
  p->room = 20000;
  nbd_aio_notify_write (p->h);
  gnutls_session_key_update (p->session, GNUTLS_KU_PEER);
  nbd_aio_notify_read (p->h);
  p->room = SIZE_MAX;
  tls_peer_settle (p);
  ok (is_filled (p->server->disk, 0, DISK_SIZE) && p->h->state == STATE_READY,
      "and in the middle of a large write");
  is_int (nbd_aio_get_direction (p->h), LIBNBD_AIO_DIRECTION_READ,
          "of which all leaves");
  tls_peer_free (p);
}

static void
test_tickets (void)
{
  struct tls_offer tls = { .priority = versions[0].priority, .tickets = true };
  struct tls_peer *p = connected (&tls);

  is_int (nbd_aio_is_ready (p->h), 1, "a server that sends session tickets");
  is_int (gnutls_session_ticket_send (p->session, 3, 0), 0,
          "and some more");
  ok (works (p), "changes nothing");
  gnutls_session_ticket_send (p->session, 1, 0);
  tls_peer_settle (p);
  is_int (nbd_aio_is_ready (p->h), 1, "not between commands either");
  tls_peer_free (p);
}

static void
test_renegotiation (void)
{
  struct tls_offer tls = { .priority = versions[1].priority };
  struct tls_peer *p = connected (&tls);

  is_int (gnutls_rehandshake (p->session), 0,
          "a server of TLS 1.2 that asks for another handshake");
  tls_peer_settle (p);
  is_int (nbd_aio_is_ready (p->h), 1, "is not listened to");
  ok (works (p), "and the connection goes on");
  tls_peer_free (p);
}

static void
test_warning (void)
{
  /* In TLS 1.3 nearly every alert is fatal. */
  struct tls_offer tls = { .priority = versions[1].priority };
  struct tls_peer *p = connected (&tls);

  tls_peer_trace (p);
  gnutls_alert_send (p->session, GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED);
  tls_peer_settle (p);
  is_int (nbd_aio_is_ready (p->h), 1, "a warning ends nothing");
  ok (tls_peer_traced (p, "TLS: warning: User canceled"),
      "the trace has it");
  ok (works (p), "the connection goes on");
  tls_peer_free (p);
}

static void
test_alerts (const struct version *v)
{
  struct tls_offer tls = { .priority = v->priority };
  struct tls_peer *p = connected (&tls);
  char buf[16];

  gnutls_alert_send (p->session, GNUTLS_AL_FATAL, GNUTLS_A_INTERNAL_ERROR);
  is_int (nbd_aio_notify_read (p->h), -1, "%s: a fatal alert ends the "
          "connection", v->name);
  ok (is_error (0, "TLS: server ended the connection: Internal error"),
      "with the server's word");
  is_int (nbd_aio_is_dead (p->h), 1, "the handle is dead");
  tls_peer_free (p);

  p = connected (&tls);
  gnutls_alert_send (p->session, GNUTLS_AL_FATAL, GNUTLS_A_ACCESS_DENIED);
  is_int (nbd_pread (p->h, buf, sizeof buf, 0, 0), -1, "%s: it fails a "
          "command", v->name);
  ok (is_error (0, "nbd_pread: TLS: server ended the connection: Access was "
                "denied"), "with the server's word");
  tls_peer_free (p);
}

/* Handshakes that fail. */

static void
fails_with (struct tls_peer *p, int errnum, const char *text, const char *name)
{
  tls_peer_connect (p);
  while (nbd_aio_is_connecting (p->h) == 1 && nbd_poll (p->h, -1) == 1)
    ;
  ok (is_error (errnum, text), "%s", name);
  is_int (nbd_aio_is_dead (p->h), 1, "the handle is dead");
  tls_peer_free (p);
}

/* Where the reply to STARTTLS ends in what the server says. */
#define REPLY_END (18 + 20)

#define OTHER_CIPHER "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305"

static void
test_refusals (void)
{
  struct tls_offer aes = { .priority = "NORMAL:-CIPHER-ALL:+AES-256-GCM:"
                           "-KX-ALL:+ECDHE-PSK" };
  struct tls_peer *p = tls_peer_new (&everything, NULL);

  nbd_set_tls_username (p->h, "bob");
  fails_with (p, EINVAL, "username bob was not found in PSK file",
              "a user name without a key");

  p = tls_peer_new (&everything, &aes);
  nbd_set_tls_priority (p->h, OTHER_CIPHER);
  fails_with (p, 0, "TLS: server ended the handshake: ",
              "ciphers that have nothing in common");

  p = tls_peer_new (&everything, NULL);
  nbd_set_tls_priority (p->h, "NORMAL:+NONSENSE");
  fails_with (p, EINVAL, "is wrong from \"+NONSENSE",
              "a priority that makes no sense");

  p = tls_peer_new (&everything, NULL);
  p->down.end = REPLY_END;
  fails_with (p, 0, "TLS: server disconnected during the handshake",
              "a server that goes");

  /* The reason came, and then the connection went. */
  p = tls_peer_new (&everything, &aes);
  nbd_set_tls_priority (p->h, OTHER_CIPHER);
  tls_peer_connect (p);
  while (p->down.bytes.n < REPLY_END)
    nbd_poll (p->h, -1);
  while (!p->over) {
    nbd_poll (p->h, -1);
    tls_peer_serve (p);
  }
  p->up.closed = true;
  while (nbd_aio_is_connecting (p->h) == 1 && nbd_poll (p->h, -1) == 1)
    ;
  ok (is_error (0, "TLS: server ended the handshake: "),
      "an alert that was received counts more than what cannot be sent");
  tls_peer_free (p);
}

/* The client says why it gives up. */
static void
test_own_alert (void)
{
  struct tls_peer *p = tls_peer_new_x509 (&everything, NULL);

  nbd_set_tls_hostname (p->h, "other");
  tls_peer_negotiate (p);
  tls_peer_serve (p);
  is_int (nbd_aio_is_dead (p->h), 1, "a certificate for another name is not "
          "accepted");
  is_int (p->error, GNUTLS_E_FATAL_ALERT_RECEIVED,
          "and the server is told why");
  tls_peer_free (p);

  /* Whether or not it listens. */
  p = tls_peer_new_x509 (&everything, NULL);
  nbd_set_tls_hostname (p->h, "other");
  tls_peer_connect (p);
  p->down.hold = REPLY_END;
  tls_peer_settle (p);
  p->up.closed = true;
  p->down.hold = NOWHERE;
  tls_peer_settle (p);
  ok (is_error (0, "it is for server and not for other"),
      "the reason counts more than what cannot be sent");
  tls_peer_free (p);
}

/* Certificates, as far as they need no program to make them. */
static void
test_certificates (void)
{
  static const char *const addresses[] = {
    "192.0.2.1", "::1", "fe80::1%lo",
  };
  struct tls_offer strict = { .wants_certificate = true };
  struct tls_peer *p = tls_peer_new_x509 (&everything, NULL);

  nbd_set_tls_hostname (p->h, "server");
  tls_peer_negotiate (p);
  is_int (nbd_aio_is_ready (p->h), 1, "a certificate for the name that was "
          "set is accepted");
  is_str (p->name, "server", "which is the name that is asked for");
  ok (works (p), "and data is right");
  tls_peer_free (p);

  p = tls_peer_new_x509 (&everything, NULL);
  tls_peer_negotiate (p);
  is_int (nbd_aio_is_ready (p->h), 1, "without a name any is accepted");
  is_str (p->name, "", "and none is asked for");
  tls_peer_free (p);

  for (size_t i = 0; i < COUNT (addresses); i++) {
    p = tls_peer_new_x509 (&everything, NULL);
    nbd_set_tls_hostname (p->h, addresses[i]);
    nbd_set_tls_verify_peer (p->h, false);
    tls_peer_negotiate (p);
    ok (nbd_aio_is_ready (p->h) == 1 && p->name[0] == '\0',
        "an address is not asked for");
    tls_peer_free (p);
  }

  p = tls_peer_new_x509 (&everything, NULL);
  nbd_set_tls_hostname (p->h, "192.0.2.1");
  fails_with (p, 0, "it is for server and not for 192.0.2.1",
              "an address that the certificate does not have");

  p = tls_peer_new_x509 (&everything, NULL);
  nbd_set_tls_hostname (p->h, "other");
  nbd_set_tls_verify_peer (p->h, false);
  tls_peer_negotiate (p);
  is_int (nbd_aio_is_ready (p->h), 1, "unless nothing is verified");
  is_str (p->name, "other", "the name is asked for all the same");
  tls_peer_free (p);

  p = tls_peer_new_x509 (&everything, NULL);
  nbd_set_tls_hostname (p->h, "other");
  fails_with (p, 0, "it is for server and not for other "
              "(nbd_set_tls_hostname)", "a certificate for another name");

  /* Without ca-cert.pem, or a folder at all, the authorities of the system are
   * asked.
   */
  p = tls_peer_new_x509 (&everything, NULL);
  nbd_set_tls_certificates (p->h, temp_dir ());
  fails_with (p, 0, "its issuer is not known", "a certificate is verified "
              "with a folder that has no authority, and no host name");
  p = tls_peer_new_x509 (&everything, NULL);
  nbd_set_tls_certificates (p->h, "");
  fails_with (p, 0, "its issuer is not known", "a certificate is verified "
              "without a folder and without a host name");
  p = tls_peer_new_x509 (&everything, NULL);
  nbd_set_tls_certificates (p->h, "");
  nbd_set_tls_hostname (p->h, "server");
  fails_with (p, 0, "its issuer is not known", "a certificate is verified "
              "without a folder, with a host name");
  p = tls_peer_new_x509 (&everything, NULL);
  nbd_set_tls (p->h, LIBNBD_TLS_ALLOW);
  nbd_set_tls_certificates (p->h, "");
  fails_with (p, 0, "its issuer is not known", "a certificate is verified "
              "where TLS is only allowed, too");
  p = tls_peer_new_x509 (&everything, NULL);
  nbd_set_tls_certificates (p->h, "");
  nbd_set_tls_verify_peer (p->h, false);
  tls_peer_negotiate (p);
  is_int (nbd_aio_is_ready (p->h), 1, "only switching verification off "
          "switches it off");
  tls_peer_free (p);

  p = tls_peer_new_x509 (&everything, &strict);
  fails_with (p, 0, "TLS: server ended the connection: Certificate is "
              "required (client-cert.pem and client-key.pem",
              "a server that requires a certificate of the client");

  strict.rude = true;
  p = tls_peer_new_x509 (&everything, &strict);
  fails_with (p, 0, "does the server want a client certificate?",
              "a server that requires one and just goes");

  p = tls_peer_new_x509 (&everything, &strict);
  p->down.broken = true;
  fails_with (p, ECONNRESET, "does the server want a client certificate?",
              "a server that requires one and resets the connection");
}

/* The priority is what the caller says, or one that prefers AES. */
#define PSK_KEYS ":-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK"

static void
test_priority (void)
{
  struct tls_peer *p = tls_peer_new (&everything, NULL);
  char *s;

  s = nbd_get_tls_priority (p->h);
  is_str (s, TLS_PRIORITY, "the priority is the one that was configured");
  free (s);
  tls_peer_trace (p);
  tls_peer_negotiate (p);
  is_int (gnutls_protocol_get_version (p->session), GNUTLS_TLS1_3,
          "by default the newest version of TLS is spoken");
#if defined (__x86_64__) || defined (__i386__)
  if (strcmp (TLS_PRIORITY, "NORMAL") == 0)
    ok (!__builtin_cpu_supports ("aes") || !__builtin_cpu_supports ("pclmul")
        || gnutls_cipher_get (p->session) != GNUTLS_CIPHER_CHACHA20_POLY1305,
        "and AES where the processor knows it");
#endif
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  p->offer.priority = "NORMAL:-VERS-ALL:+VERS-TLS1.1" PSK_KEYS;
  tls_peer_negotiate (p);
  if (strcmp (TLS_PRIORITY, "NORMAL") == 0)
    is_int (nbd_aio_is_dead (p->h), 1, "by default TLS 1.1 is too old");
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  nbd_set_tls_priority (p->h, "NORMAL");
  tls_peer_trace (p);
  tls_peer_negotiate (p);
  ok (tls_peer_traced (p, "TLS priority: NORMAL" PSK_KEYS "\n"),
      "the order of one that was set is left alone");
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  nbd_set_tls_priority (p->h, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:"
                        "+CHACHA20-POLY1305");
  s = nbd_get_tls_priority (p->h);
  is_str (s, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+CHACHA20-POLY1305",
          "another priority can be set");
  free (s);
  tls_peer_negotiate (p);
  ok (nbd_aio_is_ready (p->h) == 1 &&
      gnutls_protocol_get_version (p->session) == GNUTLS_TLS1_2 &&
      gnutls_cipher_get (p->session) == GNUTLS_CIPHER_CHACHA20_POLY1305,
      "and is what is negotiated");
  tls_peer_free (p);
}

/* What was said in the clear. */

/* A server that says EXTRA bytes too many, of which the first N come with its
 * reply.
 */
static bool
injected (bool opt_mode, size_t extra, size_t n, bool sync)
{
  static const uint8_t reply[] = {
    0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0,
  };
  struct tls_peer *p = tls_peer_new (&everything, NULL);
  bool good;

  nbd_set_request_extended_headers (p->h, false);
  nbd_set_opt_mode (p->h, opt_mode);
  tls_peer_connect (p);
  p->down.hold = 18;
  tls_peer_settle (p);
  buffer_append (&p->down.bytes, reply, extra);
  p->silent = true;             /* whatever the client says */
  if (n < extra)
    p->down.cut = REPLY_END + n;
  p->down.hold = NOWHERE;
  if (sync)
    nbd_poll (p->h, -1);
  else
    nbd_aio_notify_read (p->h);
  /* What comes later is for TLS to refuse. */
  good = n == 0 ||
    (nbd_aio_is_dead (p->h) == 1 &&
     is_error (EPROTO, "handshake: server sent data before TLS began: "
               "Protocol error"));
  p->down.closed = true;
  tls_peer_settle (p);
  good = good && nbd_aio_is_dead (p->h) == 1 && !p->stuck;
  if (!good)
    note ("%zu bytes, %zu with the reply", extra, n);
  tls_peer_free (p);
  return good;
}

static void
test_injection (void)
{
  for (int opt_mode = 0; opt_mode < 2; opt_mode++)
    for (int sync = 0; sync < 2; sync++) {
      bool good = true;

      for (size_t extra = 1; extra <= 20; extra++)
        for (size_t n = 0; n <= extra; n++)
          good = injected (opt_mode, extra, n, sync) && good;
      ok (good, "bytes right behind the reply to STARTTLS end the connection"
          "%s%s", opt_mode ? ", in opt mode" : "", sync ? ", polled" : "");
    }
}

/* A reply to what was not yet asked. */
static void
test_early_reply (void)
{
  static const uint8_t reply[] = {
    0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0,
  };
  bool good = true;

  /* The flags and the option are 20 bytes. */
  for (size_t n = 0; n < 20; n++) {
    struct tls_peer *p = tls_peer_new (&everything, NULL);

    p->room = n;
    tls_peer_connect (p);
    tls_peer_settle (p);
    buffer_append (&p->down.bytes, reply, sizeof reply);
    p->silent = true;
    if (nbd_aio_notify_read (p->h) != -1 ||
        !is_error (EPROTO, "handshake: server sent data before TLS began"))
      good = false;
    good = good && nbd_aio_is_dead (p->h) == 1 && p->up.bytes.n == n;
    tls_peer_free (p);
  }
  ok (good, "a reply to STARTTLS before all of it was sent ends the "
      "connection");
}

static bool
is_missing (char *s)
{
  bool missing = s == NULL;

  free (s);
  return missing;
}

static int
context_cb (void *vp, const char *name)
{
  (void) vp;
  (void) name;
  return 0;
}

static void
test_forgets (enum replies replies)
{
  struct offer offer = everything;
  struct tls_peer *p;
  struct nbd_handle *h;
  nbd_context_callback context = { context_cb, NULL, NULL };

  offer.replies = replies;
  p = tls_peer_new (&offer, NULL);
  h = p->h;
  nbd_set_opt_mode (h, true);
  nbd_set_tls (h, LIBNBD_TLS_DISABLE);
  nbd_set_full_info (h, true);
  nbd_add_meta_context (h, "base:allocation");
  tls_peer_negotiate (p);
  is_int (nbd_opt_set_meta_context (h, context), 1,
          "before TLS a context is selected");
  is_int (nbd_opt_info (h), 0, "and the export is looked at");
  is_int (nbd_get_size (h), 1 << 20, "its size is known");
  is_int (nbd_can_meta_context (h, "base:allocation"), 1, "so is the context");
  is_int (nbd_get_structured_replies_negotiated (h), 1,
          "and structured replies");
  is_int (nbd_get_extended_headers_negotiated (h), replies == EXTENDED,
          "and extended headers, or not");
  is_int (nbd_get_tls_negotiated (h), 0, "TLS is not negotiated");

  is_int (nbd_opt_starttls (h), 1, "nbd_opt_starttls returns 1 when the "
          "server agrees");
  is_int (nbd_get_tls_negotiated (h), 1, "then TLS is negotiated");
  is_int (nbd_aio_is_negotiating (h), 1, "the negotiation goes on");
  is_int (nbd_get_structured_replies_negotiated (h), 0,
          "structured replies are forgotten");
  is_int (nbd_get_extended_headers_negotiated (h), 0,
          "extended headers are");
  is_int (nbd_can_meta_context (h, "base:allocation"), -1,
          "the context is");
  is_int (nbd_get_size (h), -1, "the size is");
  ok (nbd_is_read_only (h) == -1 && nbd_can_flush (h) == -1 &&
      nbd_get_block_size (h, LIBNBD_SIZE_MINIMUM) == -1 &&
      is_missing (nbd_get_canonical_export_name (h)) &&
      is_missing (nbd_get_export_description (h)), "everything is");
  is_int (nbd_get_nr_meta_contexts (h), 1,
          "what the program asks for is not");
  if (replies == EXTENDED)
    is_int (nbd_opt_extended_headers (h), 1, "extended headers can be "
            "negotiated again");
  else
    is_int (nbd_opt_structured_reply (h), 1, "structured replies can be "
            "negotiated again");
  is_int (nbd_opt_go (h), 0, "and the export can be opened");
  is_int (nbd_can_meta_context (h, "base:allocation"), 1,
          "with its context");
  ok (works (p), "through TLS");
  tls_peer_free (p);
}

/* Without waiting. */

static int
completed (void *vp, int *error)
{
  int *result = vp;

  *result = *error;
  return 0;
}

static void
test_aio (void)
{
  struct tls_peer *p = tls_peer_new (&everything, NULL);
  int result = -1;
  nbd_completion_callback completion = { completed, &result, NULL };

  nbd_set_opt_mode (p->h, true);
  nbd_set_tls (p->h, LIBNBD_TLS_DISABLE);
  tls_peer_negotiate (p);
  p->down.hold = p->down.bytes.n + 20;
  is_int (nbd_aio_opt_starttls (p->h, completion), 0,
          "nbd_aio_opt_starttls does not wait");
  tls_peer_settle (p);
  is_int (nbd_aio_is_connecting (p->h), 1,
          "while TLS is negotiated the handle is connecting");
  is_int (nbd_aio_opt_go (p->h, NBD_NULL_COMPLETION), -1,
          "and no other option can be sent");
  is_int (result, -1, "the completion callback was not called");
  p->down.hold = NOWHERE;
  tls_peer_settle (p);
  is_int (result, 0, "when it is over it is told 0");
  is_int (nbd_aio_is_negotiating (p->h), 1, "the handle is negotiating");
  is_int (nbd_get_tls_negotiated (p->h), 1, "within TLS");
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  p->server->offer.tls = false;
  nbd_set_opt_mode (p->h, true);
  nbd_set_tls (p->h, LIBNBD_TLS_DISABLE);
  tls_peer_negotiate (p);
  result = -1;
  nbd_aio_opt_starttls (p->h, completion);
  tls_peer_settle (p);
  is_int (result, 0, "a refusal is 0, too");
  is_int (nbd_get_tls_negotiated (p->h), 0, "but the connection is in the "
          "clear");
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  nbd_set_opt_mode (p->h, true);
  nbd_set_tls (p->h, LIBNBD_TLS_DISABLE);
  nbd_set_tls_priority (p->h, "NONSENSE");
  tls_peer_negotiate (p);
  result = -1;
  is_int (nbd_aio_opt_starttls (p->h, completion), 0, "a handshake that fails "
          "begins like any");
  while (nbd_aio_is_connecting (p->h) == 1 && nbd_poll (p->h, -1) == 1)
    ;
  is_int (result, ENOTCONN, "the completion callback is told ENOTCONN");
  is_int (nbd_aio_is_dead (p->h), 1, "and the handle is dead");
  tls_peer_free (p);
}

/* TLS in TLS. */
static void
test_twice (void)
{
  struct offer offer = everything;
  struct tls_peer *p = tls_peer_new (&offer, NULL);

  nbd_set_opt_mode (p->h, true);
  tls_peer_negotiate (p);
  is_int (nbd_get_tls_negotiated (p->h), 1, "in opt mode TLS comes by itself");
  is_int (nbd_get_structured_replies_negotiated (p->h), 1,
          "and other options follow");
  tls_peer_trace (p);
  is_int (nbd_opt_starttls (p->h), 0, "a second STARTTLS is refused");
  ok (tls_peer_traced (p, "server refused TLS, continuing with the encrypted "
                       "connection"), "which the trace tells");
  is_int (nbd_get_tls_negotiated (p->h), 1, "TLS remains");
  is_int (nbd_get_structured_replies_negotiated (p->h), 1,
          "so does what was negotiated in it");
  is_int (nbd_opt_go (p->h), 0, "the negotiation goes on");
  ok (works (p), "and the connection works");
  tls_peer_free (p);

  offer.tls_twice = true;
  p = tls_peer_new (&offer, NULL);
  nbd_set_opt_mode (p->h, true);
  tls_peer_negotiate (p);
  is_int (nbd_opt_starttls (p->h), -1, "a second STARTTLS that is "
          "acknowledged is an error");
  ok (is_error (EPROTO, "handshake: server wants TLS inside of TLS"),
      "with a text that says so");
  is_int (nbd_aio_is_dead (p->h), 1, "the handle is dead");
  tls_peer_free (p);
}

static void
test_modes (void)
{
  struct tls_peer *p = tls_peer_new (&everything, NULL);
  char buf[16];

  nbd_set_tls (p->h, LIBNBD_TLS_ALLOW);
  p->server->offer.tls = false;
  tls_peer_trace (p);
  tls_peer_negotiate (p);
  is_int (nbd_aio_is_ready (p->h), 1, "TLS that is allowed and refused");
  ok (tls_peer_traced (p, "server refused TLS, continuing with unencrypted "
                       "connection"), "is told in the trace");
  is_int (nbd_get_tls_negotiated (p->h), 0, "the connection is in the clear");
  is_int (nbd_pread (p->h, buf, sizeof buf, 0, 0), 0, "and works");
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  nbd_set_tls (p->h, LIBNBD_TLS_ALLOW);
  tls_peer_trace (p);
  tls_peer_negotiate (p);
  is_int (nbd_get_tls_negotiated (p->h), 1, "TLS that is allowed and offered "
          "is used");
  ok (tls_peer_traced (p, "TLS: (TLS1.3)"), "the trace says which");
  ok (tls_peer_traced (p, "TLS priority: " TLS_PRIORITY ":"),
      "and what was asked for");
  is_int (nbd_get_tls (p->h), LIBNBD_TLS_ALLOW, "the setting is as it was");
  tls_peer_free (p);

  /* A handshake that fails does not lead back into the clear. */
  p = tls_peer_new (&everything, NULL);
  nbd_set_tls (p->h, LIBNBD_TLS_ALLOW);
  nbd_set_tls_priority (p->h, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
  p->offer.priority = versions[0].priority;
  fails_with (p, 0, "TLS: server ended the handshake: ",
              "TLS that is allowed, agreed on and fails");

  p = tls_peer_new (&everything, NULL);
  nbd_set_tls (p->h, LIBNBD_TLS_DISABLE);
  tls_peer_negotiate (p);
  is_int (nbd_get_tls_negotiated (p->h), 0, "TLS that is off is not asked "
          "for");
  is_int (nbd_aio_is_ready (p->h), 1, "and the connection is made");
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  nbd_set_opt_mode (p->h, true);
  nbd_set_tls (p->h, LIBNBD_TLS_DISABLE);
  p->server->offer.tls = false;
  tls_peer_negotiate (p);
  is_int (nbd_opt_starttls (p->h), 0, "nbd_opt_starttls returns 0 when the "
          "server refuses");
  is_int (nbd_aio_is_negotiating (p->h), 1, "the negotiation goes on");
  is_int (nbd_opt_go (p->h), 0, "and leads to the export");
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  nbd_set_opt_mode (p->h, true);
  nbd_set_tls (p->h, LIBNBD_TLS_DISABLE);
  tls_peer_negotiate (p);
  p->down.closed = p->over = true;
  is_int (nbd_opt_starttls (p->h), -1, "nbd_opt_starttls returns -1 when the "
          "connection is lost");
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  nbd_set_opt_mode (p->h, true);
  nbd_set_tls (p->h, LIBNBD_TLS_DISABLE);
  nbd_set_tls_username (p->h, "bob");
  tls_peer_negotiate (p);
  is_int (nbd_opt_starttls (p->h), -1, "nbd_opt_starttls returns -1 when the "
          "handshake fails");
  ok (is_error (EINVAL, "nbd_opt_starttls: "), "with its reason");
  is_int (nbd_aio_is_dead (p->h), 1, "and the handle is dead");
  tls_peer_free (p);
}

/* While the handshake is under way. */
static void
test_handshake_direction (void)
{
  struct tls_peer *p = tls_peer_new (&everything, NULL);

  p->down.hold = REPLY_END;
  tls_peer_connect (p);
  p->room = 20;                 /* the flags and the option */
  tls_peer_settle (p);
  is_str (nbd_connection_state (p->h), "TLS: TLS is being negotiated",
          "the state says that TLS is negotiated");
  is_int (nbd_aio_is_connecting (p->h), 1, "the handle is connecting");
  ok (nbd_aio_get_direction (p->h) & LIBNBD_AIO_DIRECTION_WRITE,
      "without room the direction includes WRITE");
  p->room = 100;
  nbd_aio_notify_write (p->h);
  ok (nbd_aio_get_direction (p->h) & LIBNBD_AIO_DIRECTION_WRITE,
      "and while some is left");
  p->room = SIZE_MAX;
  nbd_aio_notify_write (p->h);
  is_int (nbd_aio_get_direction (p->h), LIBNBD_AIO_DIRECTION_READ,
          "when all has left it is READ");
  p->down.hold = NOWHERE;
  tls_peer_settle (p);
  is_int (nbd_aio_is_ready (p->h), 1, "the handshake goes on");
  tls_peer_free (p);

  p = tls_peer_new (&everything, NULL);
  p->down.hold = REPLY_END;
  tls_peer_connect (p);
  tls_peer_settle (p);
  nbd_close (p->h);
  p->h = NULL;
  ok (p->up.closed, "a handle can be closed in the middle of the handshake");
  tls_peer_free (p);
}

/* Every allocation of the library failing, once in each conversation. */
static bool
run_failing (bool x509, unsigned n)
{
  struct outcome o = { 0 };
  struct tls_peer *p;
  bool reached;

  if (x509) {
    p = tls_peer_new_x509 (&everything, NULL);
    nbd_set_tls_hostname (p->h, "server");
    failing_allocation = n;
  }
  else {
    failing_allocation = n;
    p = tls_peer_new (&everything, NULL);
  }
  if (p->h)
    converse (p, &o);
  reached = failing_allocation == 0;
  failing_allocation = 0;
  if (reached && !o.right && p->h)
    describe ("allocation", n, &o);
  tls_peer_free (p);
  return reached;
}

static void
test_allocations (void)
{
  for (int x509 = 0; x509 < 2; x509++) {
    unsigned n = 1;

    while (n < 1000 && run_failing (x509, n))
      n++;
    ok (n > 20 && n < 1000, "each of %u allocations failing%s", n - 1,
        x509 ? ", with certificates" : "");
  }
}

/* With a kernel that does the encryption gnutls uses the socket itself. */

#ifdef HAVE_GNUTLS_TRANSPORT_IS_KTLS_ENABLED

static struct tls_peer *
connected_to_kernel (bool trace)
{
  struct tls_peer *p = tls_peer_new (&everything, NULL);

  if (trace)
    tls_peer_trace (p);
  tls_peer_connect_sockets (p);
  for (int i = 0; i < 100 && nbd_aio_is_ready (p->h) != 1; i++)
    tls_peer_settle (p);
  return p;
}

/* Until the commands are done; PATIENCE ends it otherwise. */
static void
finish_commands (struct tls_peer *p)
{
  while (nbd_aio_is_dead (p->h) == 0 && p->h->commands.nr_in_flight > 0)
    tls_peer_settle (p);
}

static void
test_kernel (unsigned directions, const char *words)
{
  static uint8_t data[4][60000], back[60000];
  struct tls_peer *p;
  int64_t cookies[4], cookie;
  char text[128];
  uint64_t before;
  bool good = true;

  has_kernel = true;
  kernel_directions = directions;
  p = connected_to_kernel (true);
  is_int (nbd_aio_is_ready (p->h), 1, "a kernel that encrypts in %s", words);
  snprintf (text, sizeof text, "TLS in the kernel: %s\n", words);
  ok (tls_peer_traced (p, text), "the trace says so");
  is_int (nbd_get_tls_negotiated (p->h), 1, "TLS is negotiated");
  is_int (nbd_aio_get_direction (p->h), LIBNBD_AIO_DIRECTION_READ,
          "with nothing to send the direction is READ");

  cookie = nbd_aio_pread (p->h, back, sizeof back, 3, NBD_NULL_COMPLETION, 0);
  finish_commands (p);
  ok (nbd_aio_command_completed (p->h, cookie) == 1 &&
      is_disk (back, 3, sizeof back), "a read is right");

  choosy = p->h->session->tls;

  /* Nobody takes what is sent until the socket is full. */
  before = p->server->messages_in;
  p->silent = true;
  for (int i = 0; i < 4; i++) {
    for (size_t j = 0; j < sizeof data[i]; j++)
      data[i][j] = j / 100 + i;
    cookies[i] = nbd_aio_pwrite (p->h, data[i], sizeof data[i], i * 100,
                                 NBD_NULL_COMPLETION, 0);
  }
  for (int i = 0; i < 20; i++)
    nbd_poll (p->h, 0);
  ok (nbd_aio_get_direction (p->h) & LIBNBD_AIO_DIRECTION_WRITE,
      "a socket that is full makes the direction WRITE");
  ok (p->h->unsent > 0, "a record is kept");
  p->silent = false;
  finish_commands (p);
  for (int i = 0; i < 4; i++)
    good = nbd_aio_command_completed (p->h, cookies[i]) == 1 && good;
  ok (good, "when there is room again all writes complete");
  is_int (p->server->messages_in - before, 4, "each arrives once");
  ok (is_filled (p->server->disk, 0, 100) &&
      is_filled (p->server->disk + 100, 1, 100) &&
      is_filled (p->server->disk + 200, 2, 100) &&
      memcmp (p->server->disk + 300, data[3], sizeof data[3]) == 0,
      "nothing is lost");
  cookie = nbd_aio_pread (p->h, back, sizeof back, 300, NBD_NULL_COMPLETION,
                          0);
  finish_commands (p);
  ok (nbd_aio_command_completed (p->h, cookie) == 1 &&
      memcmp (back, data[3], sizeof back) == 0, "the connection goes on");
  choosy = NULL;

  refused_farewells = 2;
  nbd_aio_disconnect (p->h, 0);
  is_int (nbd_aio_get_direction (p->h), LIBNBD_AIO_DIRECTION_BOTH,
          "where there is no room for close_notify the direction is WRITE");
  for (int i = 0; i < 100 && nbd_aio_is_closed (p->h) != 1; i++)
    tls_peer_settle (p);
  is_int (nbd_aio_is_closed (p->h), 1, "it is closed as it should");
  ok (p->server->ended && p->farewell && refused_farewells == 0,
      "with close_notify");
  tls_peer_free (p);

  p = connected_to_kernel (false);
  nbd_close (p->h);
  p->h = NULL;
  for (int i = 0; i < 100 && !p->over; i++)
    tls_peer_serve (p);
  ok (p->over && !p->farewell, "a handle that is just closed says nothing");
  tls_peer_free (p);

  p = connected_to_kernel (false);
  shutdown (p->fd, SHUT_WR);
  for (int i = 0; i < 100 && nbd_aio_is_dead (p->h) != 1; i++)
    tls_peer_settle (p);
  is_int (nbd_aio_is_dead (p->h), 1, "to be cut off is an error");
  ok (is_error (0, "TLS: server disconnected unexpectedly"), "that says so");
  tls_peer_free (p);
  has_kernel = false;
}

static void
test_no_kernel (void)
{
  struct tls_peer *p;

  has_kernel = true;
  kernel_directions = 0;
  p = connected_to_kernel (true);
  is_int (nbd_aio_is_ready (p->h), 1, "a kernel that could, and does not");
  ok (tls_peer_traced (p, "TLS in the kernel: neither direction"),
      "the trace says so");
  ok (!p->h->session->kernel, "the library does it");
  tls_peer_free (p);
  has_kernel = false;
}

#endif

int
main (void)
{
  tap_begin ();
  alarm (PATIENCE);
  setenv ("HOME", temp_dir (), 1);
  tls_make_files ();
  for (size_t i = 0; i < COUNT (versions); i++) {
    const struct version *v = &versions[i];

    test_cuts (v);
    test_relay (v);
    test_attacks (v);
    test_ends (v);
    test_requests (v);
    test_calls (v);
    test_replies (v);
    test_pending (v);
    test_room (v);
    test_bounded (v);
    test_room_for_farewell (v);
    test_alerts (v);
  }
  test_keys ();
  test_tickets ();
  test_renegotiation ();
  test_warning ();
  test_refusals ();
  test_own_alert ();
  test_certificates ();
  test_priority ();
  test_injection ();
  test_early_reply ();
  test_forgets (STRUCTURED);
  test_forgets (EXTENDED);
  test_aio ();
  test_twice ();
  test_modes ();
  test_handshake_direction ();
  test_allocations ();
#ifdef HAVE_GNUTLS_TRANSPORT_IS_KTLS_ENABLED
  test_kernel (GNUTLS_KTLS_DUPLEX, "both directions");
  test_kernel (GNUTLS_KTLS_SEND, "sending");
  test_kernel (GNUTLS_KTLS_RECV, "receiving");
  test_no_kernel ();
#endif
  tls_free_files ();
  return tap_end ();
}

#endif
