/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Text that grows; see text.h. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "text.h"

void
text_add_bytes (struct text *t, const char *s, size_t n)
{
  if (!t->failed && t->size - t->n <= n) {
    size_t size = 2 * t->size + n + 64;
    char *grown = realloc (t->s, size);

    t->failed = grown == NULL;
    if (grown) {
      t->s = grown;
      t->size = size;
    }
  }
  if (t->failed)
    return;
  memcpy (t->s + t->n, s, n);
  t->n += n;
  t->s[t->n] = '\0';
}

void
text_add (struct text *t, const char *s)
{
  text_add_bytes (t, s, strlen (s));
}

void
text_add_number (struct text *t, unsigned n)
{
  char digits[16];

  snprintf (digits, sizeof digits, "%u", n);
  text_add (t, digits);
}

char *
text_finish (struct nbd_handle *h, struct text *t)
{
  if (!t->failed)
    return t->s;
  error_set (h, ENOMEM, "realloc");
  free (t->s);
  return NULL;
}
