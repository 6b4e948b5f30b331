/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every public function in every state where it is permitted, with each of its
 * allocations failing in turn.
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "calls.h"
#include "failing.h"
#include "peer.h"
#include "tap.h"

#define MOST 1000

/* Call it with the N-th allocation failing.  False when it does not allocate
 * that often.  ALONE is the error that it has in any case, or 0.
 */
static bool
run_failing (const struct call *call, const struct phase_name *name,
             unsigned n, int alone, bool *good)
{
  struct peer *p = peer_in (name->phase);
  bool reached, failed;
  int errnum;

  reset_tokens ();
  failing_allocation = n;
  failed = call->run (p->h) == failure_value (call->failure) &&
    call->failure != NEVER;
  reached = failing_allocation == 0;
  failing_allocation = 0;
  errnum = nbd_get_errno ();
  /* What fails for lack of memory says so; the trace does without. */
  if (reached && failed && errnum != ENOMEM && errnum != alone) {
    note ("allocation %u: %s", n, nbd_get_error ());
    *good = false;
  }
  peer_settle (p);
  peer_free (p);
  if (!tokens_freed_once (1)) {
    note ("allocation %u: its callbacks were not just freed once", n);
    *good = false;
  }
  return reached;
}

static int
error_alone (const struct call *call, const struct phase_name *name)
{
  struct peer *p = peer_in (name->phase);
  bool failed = call->run (p->h) == failure_value (call->failure) &&
    call->failure != NEVER;
  int errnum = failed ? nbd_get_errno () : 0;

  peer_settle (p);
  peer_free (p);
  return errnum;
}

static void
test_call (const struct call *call, const struct phase_name *name)
{
  int alone = error_alone (call, name);
  bool good = true;
  unsigned n = 1;

  while (n < MOST && run_failing (call, name, n, alone, &good))
    n++;
  ok (good && n < MOST, "%s when %s: each of %u allocations failing",
      call->name, name->words, n - 1);
}

static void
test_create (void)
{
  struct nbd_handle *h = NULL;
  unsigned n = 1;
  bool good = true;

  for (; n < MOST && h == NULL; n++) {
    failing_allocation = n;
    h = nbd_create ();
    failing_allocation = 0;
    good &= h != NULL || nbd_get_errno () == ENOMEM;
  }
  ok (good && n > 2, "nbd_create: each of %u allocations failing", n - 2);
  nbd_close (h);
}

int
main (void)
{
  tap_begin ();
  test_create ();
  for (size_t i = 0; i < nr_calls; i++)
    for (size_t j = 0; j < NR_PHASES; j++)
      if (calls[i].states & phase_names[j].phase)
        test_call (&calls[i], &phase_names[j]);
  return tap_end ();
}
