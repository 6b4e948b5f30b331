/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Text that grows.  (When a memory stream of glibc finds no memory, it drops
 * what was written and does not say so.)
 */

#ifndef LIBNBD_TEXT_H
#define LIBNBD_TEXT_H

#include "internal.h"

struct text {
  char *s;
  size_t n, size;
  bool failed;
};

void text_add_bytes (struct text *t, const char *s, size_t n);
void text_add (struct text *t, const char *s);
void text_add_number (struct text *t, unsigned n);

/* What was written, which the caller frees; NULL with the error set. */
char *text_finish (struct nbd_handle *h, struct text *t);

#endif /* LIBNBD_TEXT_H */
