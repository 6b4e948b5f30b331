/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every public function in each of the six states of a handle. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "calls.h"
#include "peer.h"
#include "tap.h"

/* The words of the states in SET, as a message lists them. */
static const char *
describe (unsigned set)
{
  static char text[256];

  text[0] = '\0';
  for (size_t i = 0; i < NR_PHASES; i++)
    if (set & phase_names[i].phase)
      snprintf (text + strlen (text), sizeof text - strlen (text), "%s%s",
                text[0] ? ", or " : "", phase_names[i].words);
  return text;
}

/* Exactly one of the calls that tell the state says yes. */
static bool
is_in_one_state (struct nbd_handle *h, enum phase phase)
{
  int created = nbd_aio_is_created (h);
  int connecting = nbd_aio_is_connecting (h);
  int negotiating = nbd_aio_is_negotiating (h);
  int ready = nbd_aio_is_ready (h), processing = nbd_aio_is_processing (h);
  int closed = nbd_aio_is_closed (h), dead = nbd_aio_is_dead (h);

  return created + connecting + negotiating + ready + processing + closed +
    dead == 1 &&
    created == (phase == PHASE_CREATED) &&
    connecting == (phase == PHASE_CONNECTING) &&
    negotiating == (phase == PHASE_NEGOTIATING) &&
    (ready || processing) == (phase == PHASE_CONNECTED) &&
    closed == (phase == PHASE_CLOSED) && dead == (phase == PHASE_DEAD);
}

static void
test_state (const struct phase_name *name, unsigned direction)
{
  struct peer *p = peer_in (name->phase);
  const char *text = nbd_connection_state (p->h);
  size_t n = strlen (name->state);

  ok (strncmp (text, name->state, n) == 0 && text[n] == ':',
      "when %s, nbd_connection_state begins with %s and a colon", name->words,
      name->state);
  ok (is_in_one_state (p->h, name->phase),
      "when %s, exactly one of the calls nbd_aio_is_* says yes", name->words);
  is_int (nbd_aio_get_direction (p->h), direction,
          "when %s, the direction is %u", name->words, direction);
  peer_free (p);
}

/* A refusal says why, changes nothing, sends nothing, and releases what it was
 * given.
 */
static bool
is_refused (struct peer *p, const struct call *call,
            const struct phase_name *name)
{
  int errnum = name->phase == PHASE_CREATED ? ENOTCONN : EINVAL;
  enum state state = p->h->state;
  int64_t ret = call->run (p->h);
  char want[512];
  bool good = true;

  snprintf (want, sizeof want,
            "%s: invalid state: %s: the handle must be %s: %s", call->name,
            name->state, describe (call->states), strerror (errnum));
  if (ret != failure_value (call->failure)) {
    note ("it returned %lld", (long long) ret);
    good = false;
  }
  if (nbd_get_errno () != errnum || strcmp (nbd_get_error (), want) != 0) {
    note ("got:  %d %s", nbd_get_errno (), nbd_get_error ());
    note ("want: %d %s", errnum, want);
    good = false;
  }
  if (!tokens_freed_once (0)) {
    note ("its callbacks were not just freed once");
    good = false;
  }
  if (p->h->state != state || peer_sent (p).n > 0) {
    note ("it did something");
    good = false;
  }
  return good;
}

/* Whatever comes of a call that is permitted, it is not the state's fault. */
static bool
is_permitted (struct peer *p, const struct call *call)
{
  int64_t ret;

  nbd_get_block_size (NULL, 0);         /* an error to be replaced */
  ret = call->run (p->h);
  if (call->failure == NEVER || ret != failure_value (call->failure))
    return true;
  if (strncmp (nbd_get_error (), call->name, strlen (call->name)) == 0 &&
      strstr (nbd_get_error (), "invalid state") == NULL)
    return true;
  note ("it failed: %s", nbd_get_error ());
  return false;
}

static void
test_call (const struct call *call, const struct phase_name *name)
{
  struct peer *p = peer_in (name->phase);
  bool permitted = call->states & name->phase, good;

  reset_tokens ();
  good = permitted ? is_permitted (p, call) : is_refused (p, call, name);
  peer_settle (p);
  peer_free (p);
  ok (good, "%s is %s when %s", call->name,
      permitted ? "permitted" : "refused", name->words);
  if (permitted && nr_tokens > 0)
    ok (tokens_freed_once (1), "%s called when %s frees its callbacks once",
        call->name, name->words);
}

/* The states inside a public one are as good as it. */
static void
test_inner_states (void)
{
  struct peer *p = peer_in (PHASE_NEGOTIATING);
  uint8_t half[10] = { 0x66, 0x8e, 0x33, 0xef };

  p->room = 0;
  is_int (nbd_aio_opt_info (p->h, NBD_NULL_COMPLETION), 0,
          "an option call is permitted when negotiating");
  is_int (nbd_opt_go (p->h), -1, "another is refused while it is under way");
  is_str (nbd_get_error (),
          "nbd_opt_go: invalid state: OPTION_REPLY: the handle must be "
          "negotiating: Invalid argument",
          "the refusal names the state of the option under way");
  p->room = SIZE_MAX;
  peer_settle (p);
  peer_settle (p);
  is_int (nbd_opt_go (p->h), 0, "it is permitted when the first is over");
  peer_free (p);

  p = peer_in (PHASE_CONNECTED);
  p->room = 10;
  ok (nbd_aio_flush (p->h, NBD_NULL_COMPLETION, 0) > 0 &&
      is_in_one_state (p->h, PHASE_CONNECTED) &&
      nbd_aio_is_processing (p->h) == 1,
      "a request that is half sent makes the handle processing");
  is_int (nbd_aio_get_direction (p->h), LIBNBD_AIO_DIRECTION_BOTH,
          "and the direction is both");
  ok (nbd_aio_flush (p->h, NBD_NULL_COMPLETION, 0) > 0,
      "another command is permitted while one is half sent");
  peer_free (p);

  p = peer_in (PHASE_CONNECTED);
  p->server->mute = true;
  buffer_append (&p->server->out, half, sizeof half);
  nbd_aio_notify_read (p->h);
  ok (nbd_aio_flush (p->h, NBD_NULL_COMPLETION, 0) > 0 &&
      is_in_one_state (p->h, PHASE_CONNECTED),
      "a command is permitted while a reply is half received");
  peer_free (p);
}

/* Which functions have no row in calls.def, and why they need none. */
static bool
is_exempt (const char *name)
{
  static const char *const names[] = {
    "nbd_create", "nbd_close", "nbd_get_error", "nbd_get_errno",
  };

  for (size_t i = 0; i < COUNT (names); i++)
    if (strcmp (names[i], name) == 0)
      return true;
  return false;
}

static FILE *
open_symbol_list (void)
{
  static const char *const variables[] = { "builddir", "srcdir" };
  FILE *fp = NULL;

  for (size_t i = 0; fp == NULL && i < COUNT (variables); i++) {
    const char *dir = getenv (variables[i]);
    char *path;

    if (asprintf (&path, "%s/tests/abi/symbols.list", dir ? dir : ".") == -1)
      abort ();
    fp = fopen (path, "r");
    free (path);
  }
  return fp;
}

static void
test_completeness (void)
{
  FILE *fp = open_symbol_list ();
  char name[128];
  size_t seen = 0;
  bool good = true;

  ok (fp != NULL, "the generated list of functions can be read");
  while (fp && fscanf (fp, "%127s %*[^\n]", name) == 1) {
    size_t i = 0;

    if (is_exempt (name))
      continue;
    seen++;
    while (i < nr_calls && strcmp (calls[i].name, name) != 0)
      i++;
    if (i == nr_calls) {
      note ("there is no row for %s in tests/api/calls.def", name);
      good = false;
    }
  }
  if (fp)
    fclose (fp);
  ok (good, "every public function has a row in calls.def");
  is_int (nr_calls, seen, "every row is a public function, once");
}

/* Buffers do not show what was in memory, unless the caller wants that. */
static bool
buffer_is (uint8_t byte)
{
  for (size_t i = 0; i < CALL_SIZE; i++)
    if (call_buffer[i] != byte)
      return false;
  return true;
}

static void
test_buffer (const struct call *call, const struct phase_name *name,
             bool initialize)
{
  struct peer *p = peer_in (name->phase);

  p->server->mute = true;
  nbd_set_pread_initialize (p->h, initialize);
  memset (call_buffer, 0xaa, CALL_SIZE);
  reset_tokens ();
  call->run (p->h);
  ok (buffer_is (initialize ? 0 : 0xaa), "%s when %s %s", call->name,
      name->words, initialize ? "zeroes the buffer" :
      "leaves the buffer alone if it must not be zeroed");
  peer_free (p);
}

/* A read that is refused although the handle is connected. */
static void
test_refused_read (const struct data_call *call, uint64_t offset,
                   uint32_t flags, const char *why)
{
  for (int initialize = 0; initialize < 2; initialize++) {
    struct peer *p = peer_in (PHASE_CONNECTED);
    bool good = true;

    nbd_set_pread_initialize (p->h, initialize);
    memset (data_buffer, 0xaa, CALL_SIZE + 1);
    reset_tokens ();
    good = call->run (p->h, CALL_SIZE, offset, flags) == -1;
    for (size_t i = 0; i < CALL_SIZE; i++)
      good = good && data_buffer[i] == (initialize ? 0 : 0xaa);
    ok (good && data_buffer[CALL_SIZE] == 0xaa,
        "%s that is refused for its %s %s the buffer", call->name, why,
        initialize ? "zeroes" : "can leave alone");
    peer_free (p);
  }
}

static void
test_buffers (void)
{
  for (size_t i = 0; i < NR_DATA_CALLS; i++)
    if (data_calls[i].type == NBD_CMD_READ) {
      test_refused_read (&data_calls[i], 0, 0x80, "flags");
      test_refused_read (&data_calls[i], UINT64_MAX, 0, "range");
    }
  for (size_t i = 0; i < nr_calls; i++)
    if (strstr (calls[i].name, "_pread") &&
        strstr (calls[i].name, "_initialize") == NULL)
      for (size_t j = 0; j < NR_PHASES; j++) {
        test_buffer (&calls[i], &phase_names[j], true);
        test_buffer (&calls[i], &phase_names[j], false);
      }
}

int
main (void)
{
  static const unsigned directions[NR_PHASES] = {
    0, LIBNBD_AIO_DIRECTION_READ, 0, LIBNBD_AIO_DIRECTION_READ, 0, 0,
  };

  tap_begin ();
  test_completeness ();
  for (size_t i = 0; i < NR_PHASES; i++)
    test_state (&phase_names[i], directions[i]);
  for (size_t i = 0; i < nr_calls; i++)
    for (size_t j = 0; j < NR_PHASES; j++)
      test_call (&calls[i], &phase_names[j]);
  test_inner_states ();
  test_buffers ();
  return tap_end ();
}
