/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The example of a manual page: lines of a program under examples/. */

#ifndef GENERATOR_EXAMPLE_H
#define GENERATOR_EXAMPLE_H

#include "model.h"
#include "output.h"

/* Append to O the lines of the program PATH that are marked for F.  False,
 * with a message on stderr, if the marks are wrong or there is no such line.
 */
bool example_read (struct output *o, const struct api *api,
                   const struct function *f, const char *path);

#endif /* GENERATOR_EXAMPLE_H */
