/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where the linker sends the library's allocations (--wrap). */

#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "failing.h"

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
