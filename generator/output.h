/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Text is collected in memory and put in place in one step, so that no
 * failure leaves half a file and no unchanged file looks new to make.
 */

#ifndef GENERATOR_OUTPUT_H
#define GENERATOR_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

struct output {
  char *text;
  size_t len, size;
};

/* Append.  Running out of memory ends the program. */
void out (struct output *o, const char *fmt, ...)
  __attribute__ ((format (printf, 2, 3)));
void out_bytes (struct output *o, const char *p, size_t n);

/* Append S in capitals. */
void out_upper (struct output *o, const char *s);

/* Append LIST (parameters separated by ", "), beginning at column COLUMN and
 * broken between parameters so that no line passes WIDTH columns; each further
 * line starts with INDENT.
 */
void out_wrapped (struct output *o, size_t column, size_t width,
                  const char *indent, const char *list);

void output_free (struct output *o);

/* Replace FILE by the text if it differs.  False, with a message on stderr,
 * when it cannot be written; FILE is then as it was.
 */
bool output_replace (const struct output *o, const char *file);

/* Read a whole file as a string; NULL with errno set when it cannot be. */
char *read_whole_file (const char *file);

#endif /* GENERATOR_OUTPUT_H */
