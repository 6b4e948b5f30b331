/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The public header, and C prototypes in general. */

#include <stdio.h>
#include <string.h>

#include "emit.h"

size_t
function_nr_args (const struct function *f)
{
  size_t n = 0;

  while (n < MAX_ARGS && f->args[n].kind != ARG_NONE)
    n++;
  return n;
}

/* The parameters of a function, separated by ", ". */
static void
params (struct output *o, const struct function *f, bool internal)
{
  const char *sep = "";

  if (f->no_handle && f->args[0].kind == ARG_NONE)
    out (o, "void");
  if (!f->no_handle) {
    out (o, "struct nbd_handle *h");
    sep = ", ";
  }
  for (size_t i = 0; i < function_nr_args (f); i++) {
    const struct arg *a = &f->args[i];
    const struct arg_type *t = &arg_types[a->kind];

    out (o, "%s", sep);
    sep = ", ";
    if (a->kind == ARG_CLOSURE)
      out (o, "nbd_%s %s%s", closure_param (a->closure), internal ? "*" : "",
           closure_param (a->closure));
    else
      out (o, "%s%s", t->type, a->name);
    if (t->type2)
      out (o, ", %s%s", t->type2, a->length);
  }
}

/* The longest of the parameters in LIST. */
static size_t
longest (const char *list)
{
  size_t most = 0;

  while (*list) {
    const char *comma = strstr (list, ", ");
    size_t n = comma ? (size_t) (comma - list) + 1 : strlen (list);

    if (n > most)
      most = n;
    list += n + (comma != NULL);
  }
  return most;
}

/* Append "TYPE NAME (PARAMS)", broken so that no line exceeds WIDTH columns. */
void
emit_prototype (struct output *o, const struct function *f, size_t width,
                const char *prefix, bool newline, bool internal)
{
  struct output list = { 0 };
  const char *type = return_types[f->ret].type;
  char indent[80];
  size_t start, column;
  int trim = newline && type[strlen (type) - 1] == ' ';

  start = o->len;
  out (o, "%.*s%s", (int) strlen (type) - trim, type, newline ? "\n" : "");
  if (newline)
    start = o->len;
  out (o, "%s%s (", prefix, f->name);
  column = o->len - start;
  params (&list, f, internal);
  out (&list, ")");
  if (column + longest (list.text) > width)
    column = 8;                 /* long names: further to the left */
  snprintf (indent, sizeof indent, "%*s", (int) column, "");
  out_wrapped (o, o->len - start, width, indent, list.text);
  output_free (&list);
}

static void
constants (struct output *o, const struct constant_set *set)
{
  for (size_t i = 0; i < set->nr_members; i++) {
    const struct constant *m = &set->members[i];
    size_t start = o->len;

    out (o, "#define %s%s ", set->prefix, m->name);
    while (o->len - start < 48)
      out (o, " ");
    out (o, "%s\n", m->value);
  }
  if (set->mask) {
    size_t start = o->len;

    out (o, "#define %sMASK ", set->prefix);
    while (o->len - start < 48)
      out (o, " ");
    out (o, "%s\n", set->mask);
  }
  out (o, "\n");
}

static void
have (struct output *o, const char *name, const char *suffix)
{
  out (o, "#define LIBNBD_HAVE_NBD_");
  out_upper (o, name);
  out (o, "%s 1\n", suffix);
}

static void
closure (struct output *o, const struct closure *c)
{
  struct output words = { 0 };

  have (o, c->name, "_CALLBACK");
  out (o, "typedef struct {\n  int (*callback) (");
  out (&words, "void *user_data%s%s);", c->params ? ", " : "",
       c->params ? c->params : "");
  out_wrapped (o, 19, 78, "                   ", words.text);
  out (o, "\n  void *user_data;\n  void (*free) (void *user_data);\n"
       "} nbd_%s_callback;\n\n", c->name);
  output_free (&words);
}

/* The numbers of the parameters that must not be NULL. */
static void
nonnull (struct output *o, const struct function *f)
{
  int position = f->no_handle ? 1 : 2;
  const char *sep = "";
  struct output list = { 0 };

  if (!f->no_handle && !f->null_handle) {
    out (&list, "1");
    sep = ", ";
  }
  for (size_t i = 0; i < function_nr_args (f); i++) {
    const struct arg_type *t = &arg_types[f->args[i].kind];

    if (t->pointer) {
      out (&list, "%s%d", sep, position);
      sep = ", ";
    }
    position += t->type2 ? 2 : 1;
  }
  if (list.len > 0)
    out (o, "\n  LIBNBD_ATTRIBUTE_NONNULL ((%s))", list.text);
  output_free (&list);
}

static void
function (struct output *o, const struct function *f)
{
  have (o, f->name, "");
  emit_prototype (o, f, 78, "nbd_", false, false);
  nonnull (o, f);
  if (f->ret == RETURN_HANDLE)
    out (o, "\n  LIBNBD_ATTRIBUTE_ALLOC_DEALLOC (nbd_close)");
  if (f->ret == RETURN_STRING)
    out (o, "\n  LIBNBD_ATTRIBUTE_ALLOC_DEALLOC (free)");
  out (o, ";\n\n");
}

static const char head[] =
  "/* NBD client library.\n"
  " *\n"
  " * Generated from the API table; SPDX-License-Identifier:\n"
  " * LGPL-2.1-or-later\n"
  " *\n"
  " * Each function has a manual page of its name: man 3 nbd_pread.  The\n"
  " * overview is libnbd(3).\n"
  " */\n"
  "\n"
  "#ifndef LIBNBD_H\n"
  "#define LIBNBD_H\n"
  "\n"
  "#include <stdbool.h>\n"
  "#include <stddef.h>\n"
  "#include <stdint.h>\n"
  "#include <stdlib.h>\n"
  "#include <sys/types.h>\n"
  "#include <sys/socket.h>\n"
  "\n"
  "#ifdef __cplusplus\n"
  "extern \"C\" {\n"
  "#endif\n"
  "\n"
  "/* Tells the compiler which parameters must not be NULL.  Define it as\n"
  " * nothing before including this file to switch that off.  Its parameter is\n"
  " * a list in brackets, because C++98 has no variadic macros.\n"
  " */\n"
  "#ifndef LIBNBD_ATTRIBUTE_NONNULL\n"
  "#if defined (__GNUC__)\n"
  "#define LIBNBD_ATTRIBUTE_NONNULL(list) __attribute__ ((__nonnull__ list))\n"
  "#else\n"
  "#define LIBNBD_ATTRIBUTE_NONNULL(list)\n"
  "#endif\n"
  "#endif\n"
  "\n"
  "/* Tells the compiler which function releases what is returned. */\n"
  "#ifndef LIBNBD_ATTRIBUTE_ALLOC_DEALLOC\n"
  "#if defined (__GNUC__) && !defined (__clang__) && __GNUC__ >= 12\n"
  "#define LIBNBD_ATTRIBUTE_ALLOC_DEALLOC(fn) \\\n"
  "  __attribute__ ((__malloc__, __malloc__ (fn, 1)))\n"
  "#else\n"
  "#define LIBNBD_ATTRIBUTE_ALLOC_DEALLOC(fn)\n"
  "#endif\n"
  "#endif\n"
  "\n"
  "struct nbd_handle;\n"
  "\n";

static const char null_completion[] =
  "/* A completion callback that is absent. */\n"
  "#ifdef __cplusplus\n"
  "#define NBD_NULL_COMPLETION (nbd_completion_callback ())\n"
  "#else\n"
  "#define NBD_NULL_COMPLETION \\\n"
  "  ((nbd_completion_callback) { .callback = NULL })\n"
  "#endif\n"
  "\n";

static const char tail[] =
  "#ifdef __cplusplus\n"
  "}\n"
  "#endif\n"
  "\n"
  "#endif /* LIBNBD_H */\n";

void
emit_header (struct output *o, const struct api *api)
{
  out (o, "%s", head);
  for (size_t i = 0; i < api->nr_sets; i++)
    constants (o, api->sets[i]);
  for (size_t i = 0; i < api->nr_structs; i++)
    out (o, "%s\n", api->structs[i].text);
  out (o, "/* Callbacks.  A callback whose function is NULL is not called; its"
       " free\n * function still is. */\n\n");
  for (size_t i = 0; i < api->nr_closures; i++)
    closure (o, api->closures[i]);
  out (o, "%s", null_completion);
  /* The deallocator is named in attributes, so it comes before the rest. */
  for (size_t i = 0; i < api->nr_functions; i++)
    if (api->functions[i].null_handle)
      function (o, &api->functions[i]);
  for (size_t i = 0; i < api->nr_functions; i++)
    if (!api->functions[i].null_handle)
      function (o, &api->functions[i]);
  out (o, "%s", tail);
}
