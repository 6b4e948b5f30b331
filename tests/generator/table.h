/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A small API of our own, which obeys every rule and in which every kind of
 * argument, return value and row occurs.  The golden files are made from it,
 * and each bad table is this one with something wrong added.
 */

#ifndef TESTS_GENERATOR_TABLE_H
#define TESTS_GENERATOR_TABLE_H

#include "model.h"

#define COUNT(a) (sizeof (a) / sizeof ((a)[0]))

/* The beginning of an argument. */
#define ARG(k, n) .kind = ARG_##k, .name = n

extern const struct constant_set tones, switches;
extern const struct closure completion_closure, piece_closure;

extern const struct api small_api;

/* The row NAME of the small API; the program ends if there is none. */
const struct function *small_function (const char *name);

#endif /* TESTS_GENERATOR_TABLE_H */
