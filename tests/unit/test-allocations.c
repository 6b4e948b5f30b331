/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every dialogue again and again, each time with another allocation failing.
 * The linker sends the library's allocations here (--wrap).
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "dialogue.h"
#include "tap.h"

void *__real_malloc (size_t n);
void *__real_calloc (size_t n, size_t size);
void *__real_realloc (void *p, size_t n);
void *__wrap_malloc (size_t n);
void *__wrap_calloc (size_t n, size_t size);
void *__wrap_realloc (void *p, size_t n);
char *__wrap_strdup (const char *s);
char *__wrap_strndup (const char *s, size_t n);

static bool
fails (void)
{
  if (failing_allocation == 0 || --failing_allocation > 0)
    return false;
  errno = ENOMEM;
  return true;
}

void *
__wrap_malloc (size_t n)
{
  return fails () ? NULL : __real_malloc (n);
}

void *
__wrap_calloc (size_t n, size_t size)
{
  return fails () ? NULL : __real_calloc (n, size);
}

void *
__wrap_realloc (void *p, size_t n)
{
  return fails () ? NULL : __real_realloc (p, n);
}

char *
__wrap_strndup (const char *s, size_t n)
{
  size_t length = strnlen (s, n);
  char *copy = fails () ? NULL : __real_malloc (length + 1);

  if (copy) {
    memcpy (copy, s, length);
    copy[length] = '\0';
  }
  return copy;
}

char *
__wrap_strdup (const char *s)
{
  return __wrap_strndup (s, strlen (s));
}

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
