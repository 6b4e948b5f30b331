/* SPDX-License-Identifier: LGPL-2.1-or-later */

#ifndef GENERATOR_CHECK_H
#define GENERATOR_CHECK_H

#include <stddef.h>

#include "model.h"
#include "output.h"

/* Check the whole table.  Each violation is a line "FILE:LINE: error: ..." in
 * ERRORS; the number of them is returned.
 */
size_t check_api (const struct api *api, struct output *errors);

/* Check that DIR holds one POD body for each row, and for nothing else, each
 * with the sections that a body has.
 */
size_t check_docs (const struct api *api, const char *dir,
                   struct output *errors);

#endif /* GENERATOR_CHECK_H */
