/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The hand-written part of a manual page: one POD file with the sections
 * DESCRIPTION, then optionally RETURN VALUE, then optionally ERRORS.
 */

#ifndef GENERATOR_POD_H
#define GENERATOR_POD_H

#include <stdbool.h>

struct pod_body {
  char *text;                   /* the whole file; the others point into it */
  char *description;
  char *return_value;           /* NULL when absent */
  char *errors;                 /* NULL when absent */
  const char *problem;          /* what is wrong with it, or NULL */
  int bad_line;
};

/* False, with errno set, when FILE cannot be read. */
bool pod_body_read (struct pod_body *body, const char *file);
void pod_body_free (struct pod_body *body);

#endif /* GENERATOR_POD_H */
