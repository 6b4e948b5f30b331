/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Test programs print TAP: one line per case, the plan last.  When a program
 * ends it also checks that every descriptor that it opened is closed again, and
 * removes its temporary folder.
 */

#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdbool.h>
#include <stdint.h>

/* One case.  Returns COND. */
bool ok (bool cond, const char *fmt, ...)
  __attribute__ ((format (printf, 2, 3)));

/* Cases that say what they got. */
bool is_int (int64_t got, int64_t want, const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));
bool is_str (const char *got, const char *want, const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));

/* A line for people. */
void note (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));

/* A case that cannot run here. */
void skip_case (const char *name, const char *why);

/* End the program: nothing in it can run here. */
void skip_all (const char *why) __attribute__ ((noreturn));

/* A folder for this program alone, removed with all in it at the end. */
const char *temp_dir (void);

/* A path in that folder; the caller frees it. */
char *temp_path (const char *name);

/* Before the first case: remembers which descriptors are open. */
void tap_begin (void);

/* The plan; returns the exit status. */
int tap_end (void);

#endif /* TESTS_TAP_H */
