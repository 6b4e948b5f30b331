/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every dialogue again and again, each time with another allocation failing. */

#include "config.h"

#include "dialogue.h"
#include "tap.h"

static void
play_all_failing (const struct dialogue *d)
{
  bool good = true, all_good = true;
  unsigned n = 1;

  while (play_failing (d, n, &good) && n < 1000) {
    all_good = all_good && good;
    n++;
  }
  ok (all_good, "%s: each of %u allocations failing", d->name, n - 1);
}

int
main (void)
{
  tap_begin ();
  for (size_t i = 0; i < NR_GROUPS; i++)
    for (const struct dialogue *d = dialogue_groups[i]; d->name; d++)
      play_all_failing (d);
  return tap_end ();
}
