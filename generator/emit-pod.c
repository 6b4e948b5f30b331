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

/* The parameters that must not be NULL, separated by commas. */
static void
required (struct output *o, const struct function *f)
{
  if (!f->no_handle && !f->null_handle)
    out (o, "I<h>");
  for (size_t i = 0; i < function_nr_args (f); i++) {
    const struct arg *a = &f->args[i];

    if (arg_types[a->kind].pointer)
      out (o, "%sI<%s>", o->len ? ", " : "", a->name);
    if (a->kind == ARG_CLOSURE && !a->optional)
      out (o, "%sI<%s> (with neither function)", o->len ? ", " : "",
           closure_param (a->closure));
  }
}

/* What the row knows about errors: a number, and a paragraph for each of its
 * causes.
 */
struct causes {
  const char *errnum;
  struct output text;
};

enum { C_NOTCONN, C_INVAL, C_FAULT, C_NOMEM, NR_CAUSES };

static void
row_causes (struct causes causes[NR_CAUSES], const struct function *f)
{
  struct output *inval = &causes[C_INVAL].text, null = { 0 };

  causes[C_NOTCONN].errnum = "ENOTCONN";
  causes[C_INVAL].errnum = "EINVAL";
  causes[C_FAULT].errnum = "EFAULT";
  causes[C_NOMEM].errnum = "ENOMEM";

  if (f->states != ANY && !(f->states & CREATED))
    out (&causes[C_NOTCONN].text,
         "The handle is newly created and was not connected.\n\n");
  if (f->states != ANY)
    out (inval, "The call is not permitted in the state of the handle, which "
         "the message names.\nSee L</HANDLE STATE>.\n\n");
  for (size_t i = 0; i < function_nr_args (f); i++) {
    const struct arg *a = &f->args[i];

    if (a->kind == ARG_ENUM)
      out (inval, "I<%s> is none of the constants above.\n\n", a->name);
    if (a->kind == ARG_FLAGS)
      out (inval, "I<%s> has a bit that this call does not know.\n\n",
           a->name);
  }
  required (&null, f);
  if (null.len > 0)
    out (&causes[C_FAULT].text, "%s%s was C<NULL>.\n\n",
         strchr (null.text, ',') ? "One of " : "", null.text);
  out (&causes[C_NOMEM].text, "There is not enough memory.\n\n");
  output_free (&null);
}

/* Add the causes of the number that the line ITEM is about, or of all, if it
 * is NULL, as items of their own.
 */
static void
add_causes (struct output *o, struct causes causes[NR_CAUSES],
            const char *item)
{
  for (size_t i = 0; i < NR_CAUSES; i++) {
    struct output line = { 0 };

    out (&line, "=item C<%s>\n", causes[i].errnum);
    if (causes[i].text.len > 0 &&
        (item == NULL || strncmp (item, line.text, line.len) == 0)) {
      out (o, "%s%s%s", item ? "" : line.text, item ? "" : "\n",
           causes[i].text.text);
      output_free (&causes[i].text);
    }
    output_free (&line);
  }
}

/* The body's list of errors together with what the row knows, so that no
 * number has two items.
 */
static void
merge_errors (struct output *o, const char *errors,
              struct causes causes[NR_CAUSES])
{
  const char *item = "";        /* the one that we are in */
  int depth = 0;

  for (const char *p = errors, *next; *p; p = next) {
    const size_t n = strcspn (p, "\n");
    const bool back = strncmp (p, "=back", 5) == 0;
    const bool new_item = strncmp (p, "=item", 5) == 0;

    if (depth == 1 && (new_item || back)) {
      add_causes (o, causes, item);
      item = p;
    }
    if (depth == 1 && back)
      add_causes (o, causes, NULL);
    depth += (strncmp (p, "=over", 5) == 0) - back;
    out (o, "%.*s\n", (int) n, p);
    next = p + n + (p[n] == '\n');
  }
}

static void
errors (struct output *o, const struct function *f,
        const struct pod_body *body)
{
  struct causes causes[NR_CAUSES] = { 0 };

  section (o, "ERRORS");
  if (f->never_fails) {
    out (o, "The call cannot fail.");
    if (!f->no_handle && !f->null_handle) {
      out (o, "  Only if I<h> is C<NULL> it ");
      if (f->ret == RETURN_VOID)
        out (o, "does nothing");
      else
        out (o, "returns C<%s>", return_types[f->ret].failure);
      out (o, ", and\nL<nbd_get_errno(3)> says C<EFAULT>.");
    }
    out (o, "\n");
    return;
  }
  out (o, "L<nbd_get_error(3)> returns the message of the error, and "
       "L<nbd_get_errno(3)>\none of these numbers, or C<0> when none fits:"
       "\n\n");
  row_causes (causes, f);
  if (body->errors && strstr (body->errors, "\n=item C<ENOMEM>\n"))
    output_free (&causes[C_NOMEM].text);        /* said in better words */
  merge_errors (o, body->errors ? body->errors : "=over 4\n\n=back\n", causes);
  for (size_t i = 0; i < NR_CAUSES; i++)
    output_free (&causes[i].text);
}

/* The table of the states, for each format in its own words.  A terminal may
 * have no ticks: then roff leaves the marks out.
 */
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

  out (o,
       "=begin man\n\n"
       ".ie c\\[OK] \\{\\\n"
       ".ds Ys \\[OK] yes\n"
       ".ds Nn \\[mu] no\n"
       ".\\}\n"
       ".el \\{\\\n"
       ".ds Ys yes\n"
       ".ds Nn no\n"
       ".\\}\n"
       ".PP\n"
       ".Vb %d\n", NR_STATES);
  for (size_t i = 0; i < NR_STATES; i++)
    out (o, "\\&   %-25s  \\*(%s\n", state_names[i].words,
         f->states & (1u << i) ? "Ys" : "Nn");
  out (o, ".Ve\n\n=end man\n\n");

  out (o, "=begin html\n\n<table class=\"states\">\n");
  for (size_t i = 0; i < NR_STATES; i++)
    out (o, "<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n",
         state_names[i].words,
         f->states & (1u << i) ? "&#x2713; yes" : "&#xd7; no");
  out (o, "</table>\n\n=end html\n");
}

static void
version (struct output *o, const struct function *f)
{
  section (o, "VERSION");
  out (o, "The function is there since version 1.%d of the library, whose "
       "header has a macro\nto test for it:\n\n #ifdef LIBNBD_HAVE_NBD_",
       f->since);
  out_upper (o, f->name);
  out (o, "\n");
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
  errors (o, f, body);
  handle_state (o, f);
  version (o, f);
  section (o, "EXAMPLE");
  out (o, "Part of F<examples/%s>:\n\n", f->example);
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
