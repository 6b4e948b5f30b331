/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The player of dialogues: a transport in memory, the ways of playing, and the
 * comparison of their ends.
 */

#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "dialogue.h"
#include "tap.h"

bool states_reached[NR_STATES];
unsigned failing_allocation;
bool transitions_seen[NR_STATES][NR_STATES];

const struct dialogue *const dialogue_groups[NR_GROUPS] = {
  handshake_dialogues, option_dialogues, simple_dialogues,
  structured_dialogues, extended_dialogues, broken_dialogues,
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
append_repeated (struct bytes *b, uint8_t c, size_t n)
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

static void
bad_word (const char *word)
{
  fprintf (stderr, "dialogue: cannot read '%s'\n", word);
  abort ();
}

static void
append_text (struct bytes *b, const char *s)
{
  while (*(s += strspn (s, " \n\t"))) {
    char *end;

    if (*s == '\'') {
      const char *close = strchr (s + 1, '\'');

      if (close == NULL)
        bad_word (s);
      append (b, s + 1, close - s - 1);
      s = close + 1;
    }
    else if (*s == 'u') {
      size_t bits = strtoul (s + 1, &end, 10);
      uint64_t v;

      if (*end != ':')
        bad_word (s);
      v = strtoull (end + 1, &end, 0);
      append_number (b, v, bits / 8);
      s = end;
    }
    else if (*s == 'x') {
      size_t times = strtoul (s + 1, &end, 10);

      if (*end != ':')
        bad_word (s);
      append_repeated (b, strtoul (end + 1, &end, 16), times);
      s = end;
    }
    else if (isxdigit ((unsigned char) s[0]) &&
             isxdigit ((unsigned char) s[1])) {
      char pair[3] = { s[0], s[1], '\0' };
      uint8_t c = strtoul (pair, NULL, 16);

      append (b, &c, 1);
      s += 2;
    }
    else
      bad_word (s);
  }
}

/* What the player allocates does not count. */
static unsigned
suspend_failing (void)
{
  unsigned failing = failing_allocation;

  failing_allocation = 0;
  return failing;
}

/* The transport. */

static ssize_t
memory_receive (struct nbd_handle *h, struct iovec *iov, int n, bool wait)
{
  struct play *p = h->transport_data;
  size_t done = 0;

  (void) wait;
  for (int i = 0; i < n; i++) {
    size_t m = MIN (iov[i].iov_len, p->available - p->taken);

    if (p->receive_limit)
      m = MIN (m, p->receive_limit - done);
    if (m > 0)
      memcpy (iov[i].iov_base, p->input + p->taken, m);
    p->taken += m;
    done += m;
  }
  if (done > 0)
    return done;
  if (p->eof && p->taken == p->input_length)
    return 0;
  errno = EAGAIN;
  return -1;
}

static ssize_t
memory_send (struct nbd_handle *h, struct iovec *iov, int n)
{
  struct play *p = h->transport_data;
  unsigned failing = suspend_failing ();
  struct bytes b = { p->output, p->output_length, p->output_size };
  size_t limit = p->send_limit ? p->send_limit : SIZE_MAX, done = 0;

  if (p->send_blocked) {
    failing_allocation = failing;
    errno = EAGAIN;
    return -1;
  }
  for (int i = 0; i < n; i++) {
    size_t m = MIN (iov[i].iov_len, limit - done);

    append (&b, iov[i].iov_base, m);
    done += m;
  }
  p->output = b.p;
  p->output_length = b.n;
  p->output_size = b.size;
  if (p->send_limit)
    p->send_blocked = true;     /* until the next notification */
  failing_allocation = failing;
  return done;
}

static void
memory_close (struct nbd_handle *h)
{
  (void) h;
}

static const struct transport memory_transport = {
  .name = "memory",
  .receive = memory_receive,
  .send = memory_send,
  .close = memory_close,
};

/* Logging callbacks. */

void
play_log (struct play *p, const char *fmt, ...)
{
  size_t n = strlen (p->log);
  va_list args;

  va_start (args, fmt);
  vsnprintf (p->log + n, sizeof p->log - n, fmt, args);
  va_end (args);
}

/* What a callback needs to know. */
struct logger {
  struct play *play;
  const char *name;
  unsigned completed;
};

static void *
logger (struct play *p, const char *name)
{
  unsigned failing = suspend_failing ();
  struct logger *l = malloc (sizeof *l);

  if (l == NULL)
    abort ();
  *l = (struct logger) { .play = p, .name = name };
  p->loggers++;
  failing_allocation = failing;
  return l;
}

static void
free_logger (void *vp)
{
  struct logger *l = vp;

  play_log (l->play, "free %s; ", l->name);
  l->play->loggers--;
  free (l);
}

static int
completion_cb (void *vp, int *error)
{
  struct logger *l = vp;

  if (l->completed++ > 0)
    play_log (l->play, "completed again: ");
  play_log (l->play, "done %s %d; ", l->name, *error);
  return 0;
}

nbd_completion_callback
log_completion (struct play *p, const char *name)
{
  return (nbd_completion_callback) { completion_cb, logger (p, name),
                                     free_logger };
}

static int
chunk_cb (void *vp, const void *subbuf, size_t count, uint64_t offset,
          unsigned status, int *error)
{
  struct logger *l = vp;
  unsigned sum = 0;

  for (size_t i = 0; i < count; i++)
    sum += ((const uint8_t *) subbuf)[i];
  play_log (l->play, "chunk %" PRIu64 "+%zu status %u error %d sum %u; ",
            offset, count, status, *error, sum);
  return 0;
}

nbd_chunk_callback
log_chunk (struct play *p)
{
  return (nbd_chunk_callback) { chunk_cb, logger (p, "chunk"), free_logger };
}

static int
extent_cb (void *vp, const char *context, uint64_t offset, uint32_t *entries,
           size_t nr_entries, int *error)
{
  struct logger *l = vp;

  play_log (l->play, "extents %s %" PRIu64 ":", context, offset);
  for (size_t i = 0; i < nr_entries; i += 2)
    play_log (l->play, " %u/%u", entries[i], entries[i + 1]);
  play_log (l->play, " error %d; ", *error);
  return 0;
}

nbd_extent_callback
log_extent (struct play *p)
{
  return (nbd_extent_callback) { extent_cb, logger (p, "extent"),
                                 free_logger };
}

static int
extent64_cb (void *vp, const char *context, uint64_t offset,
             nbd_extent *entries, size_t nr_entries, int *error)
{
  struct logger *l = vp;

  play_log (l->play, "extents %s %" PRIu64 ":", context, offset);
  for (size_t i = 0; i < nr_entries; i++)
    play_log (l->play, " %" PRIu64 "/%" PRIu64, entries[i].length,
              entries[i].flags);
  play_log (l->play, " error %d; ", *error);
  return 0;
}

nbd_extent64_callback
log_extent64 (struct play *p)
{
  return (nbd_extent64_callback) { extent64_cb, logger (p, "extent64"),
                                   free_logger };
}

static int
list_cb (void *vp, const char *name, const char *description)
{
  struct logger *l = vp;

  play_log (l->play, "export %s (%s); ", name, description);
  return 0;
}

nbd_list_callback
log_list (struct play *p)
{
  return (nbd_list_callback) { list_cb, logger (p, "list"), free_logger };
}

static int
context_cb (void *vp, const char *name)
{
  struct logger *l = vp;

  play_log (l->play, "context %s; ", name);
  return 0;
}

nbd_context_callback
log_context (struct play *p)
{
  return (nbd_context_callback) { context_cb, logger (p, "context"),
                                  free_logger };
}

/* Which state follows which, from the trace. */
static enum state
find_state (const char *name, size_t n)
{
  for (size_t i = 0; i < NR_STATES; i++)
    if (strlen (state_rows[i].name) == n &&
        memcmp (state_rows[i].name, name, n) == 0)
      return i;
  abort ();
}

static int
trace_cb (void *vp, const char *context, const char *msg)
{
  static const char state[] = "state: ", arrow[] = " -> ";
  const char *to;

  (void) vp;
  (void) context;
  if (strncmp (msg, state, strlen (state)) == 0) {
    msg += strlen (state);
    to = strstr (msg, arrow);
    transitions_seen[find_state (msg, to - msg)]
      [find_state (to + strlen (arrow), strlen (to + strlen (arrow)))] = true;
  }
  return 0;
}

void
trace_transitions (struct nbd_handle *h)
{
  nbd_set_debug_callback (h, (nbd_debug_callback) { .callback = trace_cb });
  nbd_set_debug (h, true);
}

/* Playing. */

/* How a dialogue is played. */
struct way {
  const char *name;
  bool natural;                 /* the server waits for what it is asked */
  bool traced;
  size_t receive_limit, send_limit;
  size_t cut;                   /* give this many bytes, then the rest */
};

static void
saw_state (struct play *p)
{
  states_reached[p->h->state] = true;
}

/* Let the handle do what it can. */
static void
settle (struct play *p)
{
  size_t taken, sent;
  unsigned direction;

  do {
    int r = 0;

    saw_state (p);
    taken = p->taken;
    sent = p->output_length;
    p->send_blocked = false;
    direction = nbd_aio_get_direction (p->h);
    if (direction & LIBNBD_AIO_DIRECTION_READ)
      r = nbd_aio_notify_read (p->h);
    else if (direction & LIBNBD_AIO_DIRECTION_WRITE)
      r = nbd_aio_notify_write (p->h);
    if (r == -1 && p->error[0] == '\0')
      snprintf (p->error, sizeof p->error, "%s", nbd_get_error ());
  } while (direction && (p->taken != taken || p->output_length != sent));
  saw_state (p);
}

/* The server's bytes of steps [FROM, TO) become available. */
static void
offer (struct play *p, const struct way *way, size_t n, size_t *offered)
{
  size_t end = p->available + n;

  if (way->cut && *offered < way->cut && *offered + n > way->cut) {
    p->available += way->cut - *offered;
    settle (p);
  }
  p->available = end;
  *offered += n;
  settle (p);
}

static size_t
length_of (const char *text)
{
  unsigned failing = suspend_failing ();
  struct bytes b = { 0 };

  append_text (&b, text);
  free (b.p);
  failing_allocation = failing;
  return b.n;
}

/* Whether the client takes no more. */
static bool
ended (const struct play *p)
{
  return p->h->state == STATE_DEAD || p->h->state == STATE_CLOSED;
}

/* What must be the same however a dialogue was played.  How many bytes the
 * client had received and sent when it died is a matter of the way.
 */
static char *
describe (struct play *p)
{
  const struct statistics *stats = &p->h->stats;
  char *text;

  if (asprintf (&text, "state %s, log %s, in flight %zu, received %" PRIu64
                "/%" PRIu64 ", sent %" PRIu64 "/%" PRIu64,
                state_rows[p->h->state].name, p->log,
                p->h->commands.nr_in_flight,
                ended (p) ? 0 : stats->bytes_received, stats->chunks_received,
                ended (p) ? 0 : stats->bytes_sent,
                ended (p) ? 0 : stats->chunks_sent) == -1)
    abort ();
  return text;
}

/* Compare what the client sent with the CLIENT steps.  A client that dies while
 * the transport takes one byte a call leaves some unsent.
 */
static bool
compare_output (struct play *p, const struct bytes *want)
{
  size_t n = MIN (want->n, p->output_length), i;
  bool cut_short = ended (p) && p->send_limit && p->output_length < want->n;

  if ((want->n == p->output_length || cut_short) &&
      (n == 0 || memcmp (want->p, p->output, n) == 0))
    return true;
  for (i = 0; i < n && want->p[i] == p->output[i]; i++)
    ;
  note ("the client sent %zu bytes instead of %zu; the first that differs is "
        "number %zu", p->output_length, want->n, i);
  for (size_t j = i; j < i + 32 && j < p->output_length; j++)
    printf ("%s%02x", j == i ? "# got  " : " ", p->output[j]);
  printf ("\n");
  for (size_t j = i; j < i + 32 && j < want->n; j++)
    printf ("%s%02x", j == i ? "# want " : " ", want->p[j]);
  printf ("\n");
  return false;
}

/* Without the name of the function, which depends on how it is played. */
static const char *
error_text (const char *error)
{
  const char *colon = strstr (error, ": ");

  return colon ? colon + 2 : error;
}

static struct play *
begin_play (const struct dialogue *d, const struct way *way)
{
  struct play *p = calloc (1, sizeof *p);
  struct bytes input = { 0 };

  if (p == NULL)
    abort ();
  for (const struct step *s = d->steps; s->kind != STEP_END; s++)
    if (s->kind == STEP_SERVER)
      append_text (&input, s->bytes);
  p->dialogue = d;
  p->input = input.p;
  p->input_length = input.n;
  p->receive_limit = way->receive_limit;
  p->send_limit = way->send_limit;
  return p;
}

static void
end_play (struct play *p)
{
  free (p->output);
  free (p->input);
  free (p);
}

/* A handle that is connected to the play; NULL if it cannot be created. */
static struct nbd_handle *
connect_play (struct play *p, const struct way *way)
{
  p->h = nbd_create ();
  if (p->h == NULL)
    return NULL;
  if (way->traced)
    trace_transitions (p->h);
  if (p->dialogue->setup)
    p->dialogue->setup (p->h);
  p->h->transport = &memory_transport;
  p->h->transport_data = p;
  expect (p->h, STATE_MAGIC, NULL, 0);
  engine_publish (p->h);
  saw_state (p);
  return p->h;
}

static void
play_steps (struct play *p, const struct way *way)
{
  const struct step *s = p->dialogue->steps;
  size_t offered = 0;

  while (s->kind != STEP_END) {
    size_t n = 0;

    switch (s->kind) {
    case STEP_CALL:
      s++->call (p);
      settle (p);
      break;
    case STEP_EOF:
      s++;
      p->eof = true;
      settle (p);
      break;
    default:
      /* All that the server says up to the next call; in the natural order only
       * up to the next question.
       */
      while (s->kind == STEP_SERVER || s->kind == STEP_CLIENT) {
        bool asked = s->kind == STEP_SERVER && s[1].kind == STEP_CLIENT;

        if (s->kind == STEP_SERVER)
          n += length_of (s->bytes);
        s++;
        if (way->natural && asked)
          break;
      }
      offer (p, way, n, &offered);
    }
  }
}

/* Whether the end is the one that the dialogue says. */
static bool
check_ending (struct play *p)
{
  const struct dialogue *d = p->dialogue;
  struct bytes want = { 0 };
  bool good = true;

  for (const struct step *s = d->steps; s->kind != STEP_END; s++)
    if (s->kind == STEP_CLIENT)
      append_text (&want, s->bytes);
  if (!compare_output (p, &want))
    good = false;
  free (want.p);
  if (strcmp (state_rows[p->h->state].name, d->state) != 0) {
    note ("the state is %s instead of %s", state_rows[p->h->state].name,
          d->state);
    good = false;
  }
  if (d->error ? strcmp (error_text (p->error), d->error) != 0
      : p->error[0] != '\0') {
    note ("the error is '%s' instead of '%s'", error_text (p->error),
          d->error ? d->error : "");
    good = false;
  }
  if (!ended (p) && p->taken != p->input_length) {
    note ("%zu bytes were not received", p->input_length - p->taken);
    good = false;
  }
  if (d->check)
    d->check (p);
  if (p->problem) {
    note ("this does not hold: %s", p->problem);
    good = false;
  }
  return good;
}

static bool
play_once (const struct dialogue *d, const struct way *way, char **ending)
{
  struct play *p = begin_play (d, way);
  bool good;

  if (connect_play (p, way) == NULL)
    abort ();
  play_steps (p, way);
  good = check_ending (p);
  *ending = describe (p);
  /* What is freed at the end belongs to the log. */
  nbd_close (p->h);
  if (strcmp (p->log, d->log ? d->log : "") != 0) {
    note ("logged: '%s'", p->log);
    note ("wanted: '%s'", d->log ? d->log : "");
    good = false;
  }
  if (p->loggers != 0) {
    note ("%d callbacks were not freed once", p->loggers);
    good = false;
  }
  end_play (p);
  return good;
}

bool
play_failing (const struct dialogue *d, unsigned n, bool *good)
{
  static const struct way way = { .name = "failing", .natural = true };
  struct play *p = begin_play (d, &way);
  bool reached;

  failing_allocation = n;
  if (connect_play (p, &way) != NULL)
    play_steps (p, &way);
  reached = failing_allocation == 0;
  failing_allocation = 0;
  nbd_close (p->h);
  *good = p->loggers == 0 && strstr (p->log, "completed again") == NULL;
  if (!*good)
    note ("allocation %u: %d callbacks were not freed once; %s", n,
          p->loggers, p->log);
  end_play (p);
  return reached;
}

static size_t
total_input (const struct dialogue *d)
{
  size_t n = 0;

  for (const struct step *s = d->steps; s->kind != STEP_END; s++)
    if (s->kind == STEP_SERVER)
      n += length_of (s->bytes);
  return n;
}

/* Splitting a long dialogue everywhere takes long and tells little more: its
 * first part, then every 61st place.
 */
#define ALL_CUTS 1024
#define STRIDE 61

void
play_dialogue (const struct dialogue *d)
{
  static const struct way ways[] = {
    { .name = "in order", .natural = true, .traced = true },
    { .name = "all at once" },
    { .name = "byte by byte", .receive_limit = 1 },
    { .name = "byte by byte in order", .natural = true, .receive_limit = 1 },
    { .name = "sending byte by byte", .natural = true, .send_limit = 1 },
    { .name = "both byte by byte", .receive_limit = 1, .send_limit = 1 },
  };
  char *first = NULL, *ending = NULL;
  size_t n = total_input (d);
  bool good;

  for (size_t i = 0; i < COUNT (ways); i++) {
    good = play_once (d, &ways[i], &ending);
    if (first && strcmp (first, ending) != 0) {
      note ("in order:  %s", first);
      note ("now:       %s", ending);
      good = false;
    }
    ok (good, "%s: %s", d->name, ways[i].name);
    if (first)
      free (ending);
    else
      first = ending;
  }
  good = true;
  for (size_t cut = 1; good && cut < n; cut += cut < ALL_CUTS ? 1 : STRIDE) {
    struct way way = { .name = "cut", .cut = cut };

    good = play_once (d, &way, &ending);
    if (strcmp (first, ending) != 0) {
      note ("in order:  %s", first);
      note ("now:       %s", ending);
      good = false;
    }
    free (ending);
    if (!good)
      note ("cut after %zu bytes", cut);
  }
  ok (good, "%s: cut at every place", d->name);
  free (first);
}
