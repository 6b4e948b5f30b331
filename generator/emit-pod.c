/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The POD of a manual page: what the row says, around the hand-written body. */

#include <stdio.h>
#include <string.h>

#include "emit.h"

static void
section (struct output *o, const char *title)
{
  out (o, "\n=head1 %s\n\n", title);
}

/* Text as a verbatim paragraph: each line one space in. */
static void
verbatim (struct output *o, const char *text)
{
  while (*text) {
    size_t n = strcspn (text, "\n");

    out (o, "%s%.*s\n", n ? " " : "", (int) n, text);
    text += n + (text[n] == '\n');
  }
}

static void
synopsis (struct output *o, const struct function *f)
{
  struct output c = { 0 };

  out (&c, "#include <libnbd.h>\n\n");
  for (size_t i = 0; i < function_nr_args (f); i++) {
    const struct closure *closure = f->args[i].closure;
    struct output words = { 0 };

    if (closure == NULL)
      continue;
    out (&c, "typedef struct {\n  int (*callback) (");
    out (&words, "void *user_data%s%s);", closure->params ? ", " : "",
         closure->params ? closure->params : "");
    out_wrapped (&c, 19, 68, "                   ", words.text);
    out (&c, "\n  void *user_data;\n  void (*free) (void *user_data);\n"
         "} nbd_%s_callback;\n\n", closure->name);
    output_free (&words);
  }
  emit_prototype (&c, f, 68, "nbd_", false, false);
  out (&c, ";\n");
  section (o, "SYNOPSIS");
  verbatim (o, c.text);
  output_free (&c);
}

static void
return_value (struct output *o, const struct function *f,
              const struct pod_body *body)
{
  const struct return_type *ret = &return_types[f->ret];

  section (o, "RETURN VALUE");
  if (body->return_value)
    out (o, "%s", body->return_value);
  else {
    out (o, "%s\n", ret->meaning);
    if (!f->never_fails)
      out (o, "\nOn error, C<%s>; see L</ERRORS>.\n", ret->failure);
  }
}

static void
item (struct output *o, const char *errnum, const char *text)
{
  out (o, "=item C<%s>\n\n%s\n\n", errnum, text);
}

/* The body's list of errors, cut open before its "=back", so that what the row
 * knows can follow.
 */
static void
body_errors (struct output *o, const char *errors)
{
  const char *back = NULL;

  for (const char *p = errors; (p = strstr (p, "\n=back")) != NULL; p++)
    back = p;
  out_bytes (o, errors, back ? (size_t) (back - errors) + 1 : strlen (errors));
  if (o->len < 2 || strcmp (o->text + o->len - 2, "\n\n") != 0)
    out (o, "\n");
}

static void
errors (struct output *o, const struct function *f,
        const struct pod_body *body)
{
  struct output null = { 0 };
  const char *flags = NULL;
  bool enums = false;

  if (!f->no_handle && !f->null_handle)
    out (&null, "I<h>");
  for (size_t i = 0; i < function_nr_args (f); i++) {
    const struct arg *a = &f->args[i];

    if (arg_types[a->kind].pointer)
      out (&null, "%sI<%s>", null.len ? ", " : "", a->name);
    if (a->kind == ARG_CLOSURE && !a->optional)
      out (&null, "%sI<%s> (with neither function)", null.len ? ", " : "",
           closure_param (a->closure));
    enums |= a->kind == ARG_ENUM;
    if (a->kind == ARG_FLAGS)
      flags = a->name;
  }

  section (o, "ERRORS");
  out (o, "L<nbd_get_error(3)> returns the message of the error, and "
       "L<nbd_get_errno(3)>\none of these numbers, or C<0> when none fits:\n\n");
  if (body->errors)
    body_errors (o, body->errors);
  else
    out (o, "=over 4\n\n");
  if (f->states & CREATED && f->states != ANY)
    item (o, "EINVAL",
          "The call is not permitted in the state of the handle, which the "
          "message names.\nSee L</HANDLE STATE>.");
  else if (f->states != ANY)
    item (o, "ENOTCONN",
          "The handle is newly created and was not connected.  In any other "
          "state that the\ncall is not permitted in, the number is C<EINVAL>; "
          "the message names the state.\nSee L</HANDLE STATE>.");
  if (enums)
    item (o, "EINVAL", "A parameter is none of the constants above.");
  if (flags) {
    struct output text = { 0 };

    out (&text, "I<%s> has a bit that this call does not know.", flags);
    item (o, "EINVAL", text.text);
    output_free (&text);
  }
  if (null.len > 0) {
    struct output text = { 0 };

    out (&text, "%s%s was C<NULL>.", strchr (null.text, ',') ? "One of " : "",
         null.text);
    item (o, "EFAULT", text.text);
    output_free (&text);
  }
  item (o, "ENOMEM", "There is not enough memory.");
  out (o, "=back\n");
  output_free (&null);
}

static void
handle_state (struct output *o, const struct function *f)
{
  section (o, "HANDLE STATE");
  if (f->no_handle) {
    out (o, "The call takes no handle.\n");
    return;
  }
  out (o, "%s:\n\n",
       f->states == ANY ? "The call is permitted in any state of the handle"
       : "The call is permitted in these states of the handle");
  for (size_t i = 0; i < NR_STATES; i++)
    out (o, "   %-25s  %s\n", state_names[i].words,
         f->states & (1u << i) ? "yes" : "no");
}

static void
version (struct output *o, const struct function *f)
{
  section (o, "VERSION");
  out (o, "The function is there since version 1.%d of the library.  Where it "
       "is, the header\ndefines\n\n #define LIBNBD_HAVE_NBD_", f->since);
  out_upper (o, f->name);
  out (o, " 1\n");
}

void
emit_pod (struct output *o, const struct api *api, const struct function *f,
          const struct pod_body *body, const char *example)
{
  (void) api;
  out (o, "=encoding utf8\n\n=head1 NAME\n\nnbd_%s - %s\n", f->name,
       f->summary);
  synopsis (o, f);
  section (o, "DESCRIPTION");
  out (o, "%s", body->description);
  return_value (o, f, body);
  if (!f->never_fails)
    errors (o, f, body);
  handle_state (o, f);
  version (o, f);
  section (o, "EXAMPLE");
  out (o, "From F<examples/%s>:\n\n", f->example);
  verbatim (o, example);
  section (o, "SEE ALSO");
  for (size_t i = 0; i < MAX_SEE_ALSO && f->see_also[i]; i++)
    out (o, "L<%s(3)>,\n", f->see_also[i]);
  out (o, "L<libnbd(3)>.\n");
  section (o, "AUTHORS");
  out (o, "The contributors of this project wrote the library and its manual."
       "  The API was\ndesigned by Eric Blake and Richard W.M. Jones.\n");
  section (o, "COPYRIGHT");
  out (o, "Copyright the contributors of this project.  The library is free "
       "software under\nthe GNU Lesser General Public License, version 2.1 or "
       "later.\n");
}
