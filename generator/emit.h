/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is written from the table.  Each function makes one whole output. */

#ifndef GENERATOR_EMIT_H
#define GENERATOR_EMIT_H

#include "model.h"
#include "output.h"
#include "pod.h"

void emit_header (struct output *o, const struct api *api);
void emit_prototypes (struct output *o, const struct api *api);
void emit_wrappers (struct output *o, const struct api *api);
void emit_symbol_map (struct output *o, const struct api *api);
void emit_symbol_list (struct output *o, const struct api *api);

/* The POD of one manual page.  EXAMPLE is the text of the example. */
void emit_pod (struct output *o, const struct api *api,
               const struct function *f, const struct pod_body *body,
               const char *example);

/* Shared by the emitters: the C prototype of a function, wrapped at WIDTH with
 * continuation lines under its first parameter.  Internal prototypes have
 * another prefix and pass closures as pointers.
 */
void emit_prototype (struct output *o, const struct function *f, size_t width,
                     const char *prefix, bool newline, bool internal);

/* How many arguments a row has. */
size_t function_nr_args (const struct function *f);

#endif /* GENERATOR_EMIT_H */
