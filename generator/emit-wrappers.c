/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The API wrappers (lib/api.c) and the prototypes of the bodies that they call
 * (lib/api.h).  The order of the steps of a wrapper is that of wrapper ().
 */

#include <stdio.h>
#include <string.h>

#include "emit.h"

/* How the value of an argument is written to the debug trace. */
static const char *const trace_functions[NR_ARG_KINDS] = {
  [ARG_BOOL] = "bool",
  [ARG_INT] = "int",
  [ARG_FD] = "int",
  [ARG_UINT32] = "uint",
  [ARG_UINT64] = "uint",
  [ARG_SIZE] = "uint",
  [ARG_UINTPTR] = "uint",
  [ARG_STRING] = "string",
  [ARG_STRING_LIST] = "list",
  [ARG_BUFFER_OUT] = "buffer",
  [ARG_BUFFER_IN] = "buffer",
  [ARG_SOCKADDR] = "address",
  [ARG_ENUM] = "int",
  [ARG_FLAGS] = "flags",
  [ARG_CLOSURE] = "closure",
};

/* The same for what is returned; strings have a function of their own. */
static const char *
leave_function (enum return_kind kind)
{
  switch (kind) {
  case RETURN_VOID: return "void";
  case RETURN_STRING: return "string";
  case RETURN_STATIC_STRING: return "text";
  case RETURN_UINT:
  case RETURN_UINT32:
  case RETURN_UINT64:
  case RETURN_UINTPTR: return "unsigned";
  default: return "int";
  }
}

static void
trace_enter (struct output *o, const struct function *f)
{
  out (o, "  if (unlikely (h->debug)) {\n"
       "    struct trace trace;\n\n"
       "    trace_begin (&trace);\n");
  for (size_t i = 0; i < function_nr_args (f); i++) {
    const struct arg *a = &f->args[i];
    if (a->kind == ARG_CLOSURE)
      out (o, "    trace_closure (&trace, \"%s\", %s.callback != NULL);\n",
           a->closure->name, closure_param (a->closure));
    else
      out (o, "    trace_%s (&trace, \"%s\", %s);\n",
           trace_functions[a->kind], a->name, a->name);
    if (a->length)
      out (o, "    trace_uint (&trace, \"%s\", %s);\n", a->length, a->length);
  }
  out (o, "    trace_enter (h, &trace);\n  }\n");
}

/* A call is refused.  Even then a read buffer shows no old memory. */
static void
refuse (struct output *o, const struct function *f)
{
  for (size_t i = 0; i < function_nr_args (f); i++)
    if (f->args[i].kind == ARG_BUFFER_OUT) {
      out (o, " {\n    call_zero (h, %s, %s);\n    goto out;\n  }\n",
           f->args[i].name, f->args[i].length);
      return;
    }
  out (o, "\n    goto out;\n");
}

static void
states (struct output *o, unsigned set)
{
  const char *sep = "";

  for (size_t i = 0; i < NR_STATES; i++)
    if (set & (1u << i)) {
      out (o, "%s%s", sep, state_names[i].macro);
      sep = " | ";
    }
}

/* The checks that the row states.  True if there is any. */
static bool
checks (struct output *o, const struct function *f)
{
  struct output list = { 0 };
  bool any = false;

#define CHECK(...)                              \
  do {                                          \
    out (&list, "%s", any ? " ||\n      " : "");\
    out (&list, __VA_ARGS__);                   \
    any = true;                                 \
  } while (0)

  if (f->states != ANY) {
    CHECK ("call_bad_state (h, ");
    states (&list, f->states);
    out (&list, ")");
  }
  for (size_t i = 0; i < function_nr_args (f); i++) {
    const struct arg *a = &f->args[i];

    if (a->kind == ARG_CLOSURE && !a->optional)
      CHECK ("call_null_closure (h, \"%s\", CALLBACK_PRESENT (%s))",
             a->closure->name, closure_param (a->closure));
    if (arg_types[a->kind].pointer)
      CHECK ("call_null (h, \"%s\", %s)", a->name, a->name);
    if (a->kind == ARG_ENUM)
      CHECK ("call_bad_enum (h, \"%s\", %s, %s_values, COUNT (%s_values))",
             a->name, a->name, a->set->name, a->set->name);
    if (a->kind == ARG_FLAGS)
      CHECK ("call_bad_%sflags (h, \"%s\", %s, %s)",
             a->set->relaxable ? "command_" : "", a->name, a->name, a->valid);
  }
#undef CHECK
  if (any) {
    out (o, "  if (%s)", list.text);
    refuse (o, f);
  }
  output_free (&list);
  return any;
}

/* Call the body, or do what the row says it all about. */
static void
body (struct output *o, const struct function *f)
{
  if (f->set_field && f->args[0].kind == ARG_STRING)
    out (o, "  ret = call_set_string (h, &h->%s, %s);\n", f->set_field,
         f->args[0].name);
  else if (f->set_field)
    out (o, "  h->%s = %s;\n  ret = 0;\n", f->set_field, f->args[0].name);
  else if (f->get_field && f->ret == RETURN_STRING)
    out (o, "  ret = call_get_string (h, h->%s);\n", f->get_field);
  else if (f->get_field)
    out (o, "  ret = h->%s;\n", f->get_field);
  else {
    out (o, "  %sapi_%s (h", f->ret == RETURN_VOID ? "" : "ret = ", f->name);
    for (size_t i = 0; i < function_nr_args (f); i++) {
      const struct arg *a = &f->args[i];

      if (a->kind == ARG_CLOSURE)
        out (o, ", &%s", closure_param (a->closure));
      else
        out (o, ", %s", a->name);
      if (a->length)
        out (o, ", %s", a->length);
    }
    out (o, ");\n");
  }
}

/* What the body did not keep is freed here, whatever happened. */
static void
free_closures (struct output *o, const struct function *f, const char *indent)
{
  for (size_t i = 0; i < function_nr_args (f); i++)
    if (f->args[i].kind == ARG_CLOSURE)
      out (o, "%sFREE_CALLBACK (%s);\n", indent,
           closure_param (f->args[i].closure));
}

static void
wrapper (struct output *o, const struct function *f)
{
  const struct return_type *ret = &return_types[f->ret];
  bool any;

  out (o, "\n");
  emit_prototype (o, f, 78, "nbd_", true, false);
  out (o, "\n{\n");
  if (f->ret != RETURN_VOID)
    out (o, "  %sret = %s;\n\n", ret->type, ret->failure);
  out (o, "  if (call_no_handle (h, \"nbd_%s\")) {\n", f->name);
  free_closures (o, f, "    ");
  out (o, "    return%s%s;\n  }\n", f->ret == RETURN_VOID ? "" : " ",
       ret->failure);

  if (f->no_lock) {
    body (o, f);
    out (o, "  return ret;\n}\n");
    return;
  }
  out (o, "  call_enter (h, \"nbd_%s\");\n", f->name);
  trace_enter (o, f);
  any = checks (o, f);
  body (o, f);
  out (o, "%s  if (unlikely (h->debug))\n    trace_leave_%s (h%s%s);\n",
       any ? " out:\n" : "", leave_function (f->ret),
       f->ret == RETURN_VOID ? "" : ", ret",
       f->never_fails ? ", false" : !strcmp (ret->failure, "NULL") ?
       ", ret == NULL" : ", ret == -1");
  free_closures (o, f, "  ");
  out (o, "  call_leave (h);\n  return%s;\n}\n",
       f->ret == RETURN_VOID ? "" : " ret");
}

/* The values of an enumeration, for its check. */
static void
constant_table (struct output *o, const struct constant_set *set)
{
  out (o, "\nstatic const int %s_values[] = {\n", set->name);
  for (size_t i = 0; i < set->nr_members; i++)
    out (o, "  %s%s,\n", set->prefix, set->members[i].name);
  out (o, "};\n");
}

/* Whether some function takes a value of the enumeration. */
static bool
set_is_used (const struct api *api, const struct constant_set *set)
{
  for (size_t i = 0; i < api->nr_functions; i++)
    for (size_t j = 0; j < function_nr_args (&api->functions[i]); j++)
      if (api->functions[i].args[j].set == set)
        return true;
  return false;
}

void
emit_wrappers (struct output *o, const struct api *api)
{
  out (o,
       "/* Generated from the API table.  SPDX-License-Identifier:\n"
       " * LGPL-2.1-or-later\n"
       " */\n\n"
       "#include \"config.h\"\n\n"
       "#include \"internal.h\"\n"
       "#include \"call.h\"\n");
  for (size_t i = 0; i < api->nr_sets; i++)
    if (api->sets[i]->kind == SET_ENUM && set_is_used (api, api->sets[i]))
      constant_table (o, api->sets[i]);
  for (size_t i = 0; i < api->nr_functions; i++)
    if (!api->functions[i].by_hand)
      wrapper (o, &api->functions[i]);
}

void
emit_prototypes (struct output *o, const struct api *api)
{
  out (o,
       "/* Generated from the API table.  SPDX-License-Identifier:\n"
       " * LGPL-2.1-or-later\n"
       " */\n\n"
       "/* The bodies that the API wrappers call, with the lock held and the\n"
       " * parameters checked as far as the table says.  A body that keeps a\n"
       " * callback takes it out of the structure that it was given.\n"
       " */\n\n"
       "#ifndef LIBNBD_API_H\n"
       "#define LIBNBD_API_H\n\n");
  for (size_t i = 0; i < api->nr_functions; i++) {
    const struct function *f = &api->functions[i];

    if (f->by_hand || f->set_field || f->get_field)
      continue;
    emit_prototype (o, f, 78, "api_", false, true);
    out (o, ";\n");
  }
  out (o, "\n#endif /* LIBNBD_API_H */\n");
}
