/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

/* Seconds; only a failure takes that long. */
#define LIMIT 15

struct peer {
  int fd, listener;
  const struct step *steps;
  pthread_t thread, test;
  pid_t process, test_id;       /* the client: its process, and its thread */
  FILE *log;
  char *text;
  size_t text_size;
  /* What was received and is not yet looked at. */
  uint8_t *buffer;
  size_t have, size;
  bool timed_out;
  bool structured;              /* structured replies are negotiated */
  bool greeted;                 /* in TLS */
  uint64_t size_served;         /* of STEP_SERVE's export */
  bool forget;                  /* what follows the script */
  /* How far it has come, shared with the test. */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int arrived, released;        /* WAITs */
  bool finished;
  bool abandoned;               /* nobody lifts another WAIT */
};

/* Bytes as text. */

struct bytes {
  uint8_t *p;
  size_t n, size;
};

/* Room for N more. */
static uint8_t *
extend (struct bytes *b, size_t n)
{
  if (b->n + n > b->size) {
    b->size = (b->n + n) * 2 + 64;
    b->p = realloc (b->p, b->size);
    if (b->p == NULL)
      abort ();
  }
  b->n += n;
  return b->p + b->n - n;
}

static void
append (struct bytes *b, const void *p, size_t n)
{
  memcpy (extend (b, n), p, n);
}

static void
append_fill (struct bytes *b, uint8_t c, size_t n)
{
  memset (extend (b, n), c, n);
}

static void
append_number (struct bytes *b, uint64_t v, size_t n)
{
  while (n-- > 0) {
    uint8_t c = v >> (8 * n);

    append (b, &c, 1);
  }
}

/* One word; returns what follows it, or NULL. */
static const char *
append_word (struct bytes *b, const char *s)
{
  char *end;

  if (*s == '\'') {
    const char *close_quote = strchr (s + 1, '\'');

    if (close_quote == NULL)
      return NULL;
    append (b, s + 1, close_quote - s - 1);
    return close_quote + 1;
  }
  if (*s == 'u') {
    size_t bits = strtoul (s + 1, &end, 10);

    if (*end != ':')
      return NULL;
    append_number (b, strtoull (end + 1, &end, 0), bits / 8);
    return end;
  }
  if (*s == 'x') {
    size_t times = strtoul (s + 1, &end, 10);
    uint8_t c;

    if (*end != ':')
      return NULL;
    c = strtoul (end + 1, &end, 16);
    append_fill (b, c, times);
    return end;
  }
  if (isxdigit ((unsigned char) s[0]) && isxdigit ((unsigned char) s[1])) {
    char pair[3] = { s[0], s[1], '\0' };
    uint8_t c = strtoul (pair, NULL, 16);

    append (b, &c, 1);
    return s + 2;
  }
  return NULL;
}

static struct bytes
read_text (const char *text)
{
  struct bytes b = { 0 };
  const char *s = text, *next;

  while (*(s += strspn (s, " \n\t"))) {
    next = append_word (&b, s);
    if (next == NULL) {
      fprintf (stderr, "script: cannot read '%s'\n", s);
      abort ();
    }
    s = next;
  }
  return b;
}

/* The same notation, to FP.  Runs of one byte are shortened. */
#define SHORT_RUN 8
#define LONGEST 96

static void
write_text (FILE *fp, const uint8_t *p, size_t n)
{
  size_t written = 0;

  for (size_t i = 0, run; i < n; i += run) {
    for (run = 1; i + run < n && p[i + run] == p[i]; run++)
      ;
    if (written++ == LONGEST) {
      fprintf (fp, " ... %zu bytes in all", n);
      break;
    }
    if (run >= SHORT_RUN)
      fprintf (fp, " x%zu:%02x", run, p[i]);
    else {
      run = 1;
      fprintf (fp, " %02x", p[i]);
    }
  }
}

void
print_bytes (const void *bytes, size_t n)
{
  write_text (stdout, bytes, n);
}

static void
log_bytes (struct peer *p, const char *what, const uint8_t *bytes, size_t n)
{
  fprintf (p->log, "%s", what);
  write_text (p->log, bytes, n);
  fprintf (p->log, "\n");
}

/* Moving bytes. */

static bool
wait_for (struct peer *p, int fd, short events)
{
  int r;

  do
    r = poll (&(struct pollfd) { .fd = fd, .events = events }, 1,
              LIMIT * 1000);
  while (r == -1 && errno == EINTR);
  if (r == 0)
    p->timed_out = true;
  return r == 1;
}

/* Have N bytes in the buffer, and read no byte more than that.  Returns how
 * many there are: fewer at the end.
 */
static size_t
fill (struct peer *p, size_t n)
{
  if (p->size < n) {
    p->buffer = realloc (p->buffer, n);
    if (p->buffer == NULL)
      abort ();
    p->size = n;
  }
  while (p->fd != -1 && p->have < n && wait_for (p, p->fd, POLLIN)) {
    ssize_t r = recv (p->fd, p->buffer + p->have, n - p->have, 0);

    if (r == -1 && errno == EINTR)
      continue;
    if (r <= 0)
      break;
    p->have += r;
  }
  return p->have;
}

static void
drop (struct peer *p, size_t n)
{
  memmove (p->buffer, p->buffer + n, p->have - n);
  p->have -= n;
}

static bool
send_bytes (struct peer *p, const uint8_t *bytes, size_t n)
{
  while (p->fd != -1 && n > 0) {
    ssize_t r = send (p->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (r == -1 && errno == EINTR)
      continue;
    if (r == -1 && errno == EAGAIN && wait_for (p, p->fd, POLLOUT))
      continue;
    if (r == -1)
      return false;             /* what the client sees tells more */
    bytes += r;
    n -= r;
  }
  return n == 0;
}

static bool
send_text (struct peer *p, const char *text)
{
  struct bytes b = read_text (text);
  bool sent = send_bytes (p, b.p, b.n);

  if (strcmp (text, ACK (8)) == 0)
    p->structured = true;
  free (b.p);
  return sent;
}

/* Wait until the thread of the test sleeps: in the library, which waits for
 * us, or because it waits for us itself.  How much of a reply is there when
 * the client looks would otherwise be a matter of chance.
 */
static void
await_sleep (struct peer *p)
{
  const struct timespec moment = { .tv_nsec = 20000 };
  char path[64], text[512];
  time_t end = time (NULL) + LIMIT;
  const char *state;
  ssize_t n;
  int fd;

  snprintf (path, sizeof path, "/proc/%d/task/%d/stat", (int) p->process,
            (int) p->test_id);
  do {
    fd = open (path, O_RDONLY | O_CLOEXEC);
    n = fd == -1 ? -1 : read (fd, text, sizeof text - 1);
    if (fd != -1)
      close (fd);
    if (n <= 0)
      return;
    text[n] = '\0';
    state = strrchr (text, ')');
    if (state && state[1] == ' ' && state[2] == 'S')
      return;
    nanosleep (&moment, NULL);
  } while (time (NULL) < end);
  fprintf (p->log, "TIMED OUT: the client does not wait\n");
}

/* Clients newer than 1.14 begin the options with NBD_OPT_EXTENDED_HEADERS, and
 * programs written for 1.14 cannot tell them not to.  It is refused here and
 * does not appear in a log, so that a script is the same for all; this is the
 * only place that knows of it.
 */
static void
refuse_extended_headers (struct peer *p)
{
  static const uint8_t option[16] = "IHAVEOPT\0\0\0\13\0\0\0";

  while (fill (p, 1) >= 1 && p->buffer[0] == 'I' && fill (p, 16) >= 16 &&
         memcmp (p->buffer, option, 16) == 0) {
    drop (p, 16);
    await_sleep (p);
    send_text (p, UNSUP (11));
  }
}

/* Steps; each returns false when the script cannot go on. */

static bool
expect_text (struct peer *p, const char *text, bool quiet)
{
  struct bytes want = read_text (text);
  bool good;

  refuse_extended_headers (p);
  fill (p, want.n);
  good = p->have >= want.n && memcmp (p->buffer, want.p, want.n) == 0;
  if (!good) {
    log_bytes (p, "MISMATCH: expected:", want.p, want.n);
    log_bytes (p, "MISMATCH: received:", p->buffer, p->have);
    p->have = 0;
  }
  else {
    if (!quiet)
      log_bytes (p, "received:", p->buffer, want.n);
    drop (p, want.n);
  }
  free (want.p);
  return good;
}

static bool
receive (struct peer *p, size_t n)
{
  refuse_extended_headers (p);
  fill (p, n);
  if (n > p->have)
    n = p->have;
  log_bytes (p, "received:", p->buffer, n);
  drop (p, n);
  return n > 0;
}

/* The parts of a greeting: what is left of it, from one to the next. */
struct greeting {
  const uint8_t *p;
  size_t n;
};

static uint64_t
number_at (const uint8_t *p, size_t n)
{
  uint64_t v = 0;

  while (n-- > 0)
    v = v << 8 | *p++;
  return v;
}

static bool
skip_bytes (struct greeting *g, size_t n)
{
  if (n > g->n)
    return false;
  g->p += n;
  g->n -= n;
  return true;
}

/* What follows its own length, a number of WIDTH bytes. */
static bool
take_part (struct greeting *g, size_t width, struct greeting *part)
{
  size_t n;

  if (width > g->n)
    return false;
  n = number_at (g->p, width);
  skip_bytes (g, width);
  *part = (struct greeting) { g->p, n };
  return skip_bytes (g, n);
}

/* The name of the server, which is one of the extensions. */
static struct greeting
server_name (struct greeting g)
{
  static const struct greeting none = { (const uint8_t *) "nobody", 6 };
  struct greeting part, list, name;

  /* The version, random bytes, the session, ciphers and compressions. */
  if (!skip_bytes (&g, 2 + 32) || !take_part (&g, 1, &part) ||
      !take_part (&g, 2, &part) || !take_part (&g, 1, &part) ||
      !take_part (&g, 2, &list))
    return none;
  while (list.n >= 2) {
    bool wanted = number_at (list.p, 2) == 0;

    if (!skip_bytes (&list, 2) || !take_part (&list, 2, &part))
      break;
    if (wanted && take_part (&part, 2, &list) && skip_bytes (&list, 1) &&
        take_part (&list, 2, &name))
      return name;
  }
  return none;
}

static bool
receive_hello (struct peer *p)
{
  struct greeting g, name;
  size_t n = 9;

  refuse_extended_headers (p);
  if (fill (p, n) == n)
    n = 5 + number_at (p->buffer + 3, 2);
  if (n < 9 || fill (p, n) < n || p->buffer[0] != 22 || p->buffer[5] != 1) {
    log_bytes (p, "MISMATCH: received:", p->buffer, p->have);
    p->have = 0;
    return false;
  }
  g = (struct greeting) { p->buffer + 9, n - 9 };
  name = server_name (g);
  p->greeted = true;
  fprintf (p->log, "received: the greeting of TLS, for %.*s\n", (int) name.n,
           (const char *) name.p);
  drop (p, n);
  return true;
}

static void
close_connection (struct peer *p)
{
  if (p->fd != -1)
    close (p->fd);
  p->fd = -1;
}

/* A server that does what it is asked for.  Whatever the export is named,
 * every byte of it is 0x5a.
 */

static bool
serve_option (struct peer *p)
{
  uint32_t option, length;

  refuse_extended_headers (p);
  if (fill (p, 16) < 16)
    return false;
  option = number_at (p->buffer + 8, 4);
  length = number_at (p->buffer + 12, 4);
  if (length > 65536 || fill (p, 16 + length) < 16 + length)
    return false;
  log_bytes (p, "received:", p->buffer, 16 + length);
  drop (p, 16 + length);
  await_sleep (p);
  switch (option) {
  case 2:
    send_text (p, ACK (2));
    return false;
  case 3:
    return send_text (p, REP (3, 2, 5) "u32:1 61 ") && send_text (p, ACK (3));
  case 5:
    return send_text (p, UNSUP (5));
  case 6:
    return send_text (p, INFO_EXPORT (6, 1048576, 0x0dfd) ACK (6));
  case 7:
    return send_text (p, INFO_EXPORT (7, 1048576, 0x0dfd) ACK (7));
  case 8:
    return send_text (p, ACK (8));
  case 9:
    return send_text (p, META_REPLY (9, 0) ACK (9));
  case 10:
    return send_text (p, META_REPLY (10, 7) ACK (10));
  default:
    log_bytes (p, "MISMATCH: unknown option:", NULL, 0);
    return false;
  }
}

static void
append_chunk (struct bytes *b, uint16_t type, uint64_t cookie, uint32_t length)
{
  append_number (b, 0x668e33ef, 4);
  append_number (b, 1, 2);
  append_number (b, type, 2);
  append_number (b, cookie, 8);
  append_number (b, length, 4);
}

static bool
serve_command (struct peer *p)
{
  struct bytes b = { 0 };
  uint64_t type, cookie, offset, count;
  bool sent, outside;

  if (fill (p, 28) < 28)
    return false;
  type = number_at (p->buffer + 6, 2);
  cookie = number_at (p->buffer + 8, 8);
  offset = number_at (p->buffer + 16, 8);
  count = number_at (p->buffer + 24, 4);
  if (type == 1 && fill (p, 28 + count) < 28 + count)
    return false;
  log_bytes (p, "received:", p->buffer, type == 1 ? 28 + count : 28);
  drop (p, type == 1 ? 28 + count : 28);
  if (type == 2)
    return false;
  outside = offset > p->size_served || count > p->size_served - offset ||
    (type == 7 && count == 0);
  if (outside && p->structured) {
    append_chunk (&b, 0x8001, cookie, 6);
    append_number (&b, 22, 4);
    append_number (&b, 0, 2);
  }
  else if (type == 0 && p->structured && !outside) {
    append_chunk (&b, 1, cookie, 8 + count);
    append_number (&b, offset, 8);
  }
  else if (type == 7) {
    append_chunk (&b, 5, cookie, 12);
    append_number (&b, 7, 4);
    append_number (&b, count, 4);
    append_number (&b, 0, 4);
  }
  else {
    append_number (&b, 0x67446698, 4);
    append_number (&b, outside ? 22 : 0, 4);
    append_number (&b, cookie, 8);
  }
  if (type == 0 && !outside)
    append_fill (&b, 0x5a, count);
  await_sleep (p);
  sent = send_bytes (p, b.p, b.n);
  free (b.p);
  return sent;
}

/* From wherever the dialogue is. */
static void
serve (struct peer *p, uint64_t size)
{
  p->size_served = size;
  refuse_extended_headers (p);
  while (fill (p, 1) >= 1) {
    if (p->buffer[0] == 'I') {
      if (!serve_option (p))
        break;
    }
    else if (!serve_command (p))
      break;
  }
  close_connection (p);
}

static bool
arrive (struct peer *p)
{
  bool released;

  pthread_mutex_lock (&p->lock);
  p->arrived++;
  pthread_cond_broadcast (&p->changed);
  while (p->released < p->arrived && !p->abandoned)
    pthread_cond_wait (&p->changed, &p->lock);
  released = p->released >= p->arrived;
  pthread_mutex_unlock (&p->lock);
  return released;
}

static bool
play_step (struct peer *p, const struct step *s)
{
  bool told = s->kind == STEP_SEND || s->kind == STEP_SIGNAL ||
    s->kind == STEP_SHUT || s->kind == STEP_CLOSE;

  /* What is sent in pieces is sent at once.  And 1.14 does not sleep while it
   * waits for an answer to its greeting.
   */
  if (told && !p->greeted && (s == p->steps || s[-1].kind != STEP_SEND))
    await_sleep (p);
  switch (s->kind) {
  case STEP_SEND: return send_text (p, s->bytes);
  case STEP_EXPECT: return expect_text (p, s->bytes, false);
  case STEP_QUIET: return expect_text (p, s->bytes, true);
  case STEP_RECEIVE: return receive (p, strtoul (s->bytes, NULL, 0));
  case STEP_HELLO: return receive_hello (p);
  case STEP_WAIT: return arrive (p);
  case STEP_SIGNAL: return pthread_kill (p->test, SIGUSR1) == 0;
  case STEP_SHUT: return shutdown (p->fd, SHUT_WR) == 0;
  case STEP_SERVE: serve (p, strtoull (s->bytes, NULL, 0)); return true;
  case STEP_CLOSE: close_connection (p); return true;
  case STEP_FORGET: p->forget = true; return true;
  default: abort ();
  }
}

static void
accept_one (struct peer *p)
{
  if (p->listener == -1)
    return;
  if (wait_for (p, p->listener, POLLIN))
    p->fd = accept (p->listener, NULL, NULL);
  close (p->listener);
}

static void *
peer_thread (void *vp)
{
  struct peer *p = vp;
  const struct step *s = p->steps;

  accept_one (p);
  while (s->kind != STEP_END && play_step (p, s))
    s++;
  /* One that cannot go on must not leave the client waiting. */
  if (s->kind != STEP_END && s->kind != STEP_WAIT && p->fd != -1)
    shutdown (p->fd, SHUT_WR);
  pthread_mutex_lock (&p->lock);
  p->finished = true;
  pthread_cond_broadcast (&p->changed);
  pthread_mutex_unlock (&p->lock);

  /* What follows up to the end. */
  if (p->fd != -1) {
    refuse_extended_headers (p);
    for (size_t n = 4096; fill (p, n) == n && n < 1 << 26; n *= 2)
      ;
    if (p->have > 0 && !p->forget)
      log_bytes (p, "and then:", p->buffer, p->have);
    fprintf (p->log, p->timed_out ? "TIMED OUT: the client did not close\n"
             : "the client closed\n");
  }
  close_connection (p);
  return NULL;
}

static struct peer *
new_peer (const struct step *steps, int fd, int listener, pid_t process,
          pid_t test_id)
{
  struct peer *p = calloc (1, sizeof *p);

  if (p == NULL)
    abort ();
  p->steps = steps;
  p->fd = fd;
  p->listener = listener;
  p->test = pthread_self ();
  p->process = process;
  p->test_id = test_id;
  p->log = open_memstream (&p->text, &p->text_size);
  if (p->log == NULL || pthread_mutex_init (&p->lock, NULL) != 0 ||
      pthread_cond_init (&p->changed, NULL) != 0 ||
      pthread_create (&p->thread, NULL, peer_thread, p) != 0)
    abort ();
  return p;
}

struct peer *
peer_start (const struct step *steps, int *sock)
{
  int pair[2];

  if (socketpair (AF_UNIX, SOCK_STREAM, 0, pair) == -1)
    abort ();
  *sock = pair[0];
  return new_peer (steps, pair[1], -1, getpid (), gettid ());
}

struct peer *
peer_listen (const struct step *steps, int listener)
{
  return new_peer (steps, -1, listener, getpid (), gettid ());
}

struct peer *
peer_attach (const struct step *steps, int fd, pid_t client)
{
  return new_peer (steps, fd, -1, client, client);
}

/* With the lock. */
static bool
is_waiting (const struct peer *p)
{
  return p->finished || p->arrived > p->released;
}

/* With the lock. */
static void
await (struct peer *p)
{
  struct timespec end;

  clock_gettime (CLOCK_REALTIME, &end);
  end.tv_sec += LIMIT;
  while (!is_waiting (p))
    if (pthread_cond_timedwait (&p->changed, &p->lock, &end) == ETIMEDOUT) {
      printf ("TIMED OUT: the peer does not come to its next wait\n");
      fflush (stdout);
      _exit (1);
    }
}

void
peer_await (struct peer *p)
{
  pthread_mutex_lock (&p->lock);
  await (p);
  pthread_mutex_unlock (&p->lock);
}

bool
peer_is_waiting (struct peer *p)
{
  bool waiting;

  pthread_mutex_lock (&p->lock);
  waiting = is_waiting (p);
  pthread_mutex_unlock (&p->lock);
  return waiting;
}

void
peer_release (struct peer *p)
{
  pthread_mutex_lock (&p->lock);
  p->released++;
  pthread_cond_broadcast (&p->changed);
  pthread_mutex_unlock (&p->lock);
}

void
peer_go (struct peer *p)
{
  peer_await (p);
  peer_release (p);
  peer_await (p);
}

void
peer_end (struct peer *p)
{
  pthread_mutex_lock (&p->lock);
  p->abandoned = true;
  pthread_cond_broadcast (&p->changed);
  pthread_mutex_unlock (&p->lock);

  pthread_join (p->thread, NULL);
  fclose (p->log);
  printf ("the peer:\n");
  for (char *line = strtok (p->text, "\n"); line; line = strtok (NULL, "\n"))
    printf ("  %s\n", line);
  free (p->text);
  free (p->buffer);
  pthread_mutex_destroy (&p->lock);
  pthread_cond_destroy (&p->changed);
  free (p);
}
