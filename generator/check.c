/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every rule that the table must obey.  One function per kind of row; a rule is
 * one call of rule (), which says what is wrong and where.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "pod.h"

struct checker {
  const struct api *api;
  struct output *errors;
  size_t count;
  const char *file;             /* of the row that is being checked */
  int line;
  const char *what;
};

static void
begin (struct checker *c, const char *file, int line, const char *what)
{
  c->file = file;
  c->line = line;
  c->what = what;
}

/* What must hold, and what to say when it does not. */
static void rule (struct checker *c, bool holds, const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));

static void
rule (struct checker *c, bool holds, const char *fmt, ...)
{
  char buf[512];
  va_list ap;

  if (holds)
    return;
  va_start (ap, fmt);
  vsnprintf (buf, sizeof buf, fmt, ap);
  va_end (ap);
  out (c->errors, "%s:%d: error: %s: %s\n", c->file, c->line, c->what, buf);
  c->count++;
}

static bool
is_identifier (const char *s, bool upper)
{
  if (s == NULL || *s == '\0' || isdigit ((unsigned char) *s))
    return false;
  for (; *s; s++) {
    bool letter = upper ? isupper ((unsigned char) *s)
                        : islower ((unsigned char) *s);
    if (!letter && !isdigit ((unsigned char) *s) && *s != '_')
      return false;
  }
  return true;
}

static const struct function *
find_function (const struct api *api, const char *name)
{
  for (size_t i = 0; i < api->nr_functions; i++)
    if (strcmp (api->functions[i].name, name) == 0)
      return &api->functions[i];
  return NULL;
}

static size_t
nr_args (const struct function *f)
{
  size_t n = 0;

  while (n < MAX_ARGS && f->args[n].kind != ARG_NONE)
    n++;
  return n;
}

static void
check_since (struct checker *c, int since)
{
  rule (c, since >= 0 && since % 2 == 0 && since <= c->api->release,
        "since must be an even minor version, at most %d", c->api->release);
}

static void
check_arg (struct checker *c, const struct function *f, size_t i)
{
  const struct arg *a = &f->args[i];
  bool has_length = arg_types[a->kind].type2 != NULL;
  bool has_set = a->kind == ARG_ENUM || a->kind == ARG_FLAGS;
  const char *name = a->name ? a->name : "?";

  if (a->kind == ARG_CLOSURE) {
    rule (c, a->closure != NULL, "argument %zu has no closure", i + 1);
    rule (c, a->name == NULL, "closure arguments take the name of their type");
    for (size_t j = 0; j < i; j++)
      rule (c, f->args[j].closure != a->closure || a->closure == NULL,
            "closure '%s' is given twice", a->closure->name);
  }
  else {
    rule (c, is_identifier (a->name, false),
          "argument name '%s' is not a lower case identifier", name);
    rule (c, strcmp (name, "h") != 0, "argument name 'h' is the handle's");
    rule (c, a->closure == NULL, "argument '%s' has a closure", name);
    rule (c, !a->optional, "argument '%s': only a closure is optional", name);
    for (size_t j = 0; a->name && j < i; j++)
      rule (c, !f->args[j].name || strcmp (f->args[j].name, a->name) != 0,
            "argument '%s' is given twice", name);
  }
  rule (c, !has_length || is_identifier (a->length, false),
        "argument '%s' lacks the name of its length", name);
  rule (c, has_length || !a->length, "argument '%s' has no length", name);
  rule (c, has_set || !a->set, "argument '%s' has no constants", name);
  rule (c, a->kind != ARG_ENUM || (a->set && a->set->kind == SET_ENUM),
        "argument '%s' needs an enumeration", name);
  rule (c, a->kind != ARG_FLAGS || (a->set && a->set->kind == SET_FLAGS),
        "argument '%s' needs a set of flags", name);
  rule (c, (a->kind == ARG_FLAGS) == (a->valid != NULL),
        "argument '%s': valid flags belong to flags, and only there", name);
}

static void
check_setting (struct checker *c, const struct function *f)
{
  enum arg_kind kind = f->args[0].kind;

  rule (c, !f->set_field || !f->get_field,
        "a row is a setter or a getter, not both");
  rule (c, !(f->set_field || f->get_field) || !f->by_hand,
        "a hand-written function has no field");
  if (f->set_field) {
    rule (c, nr_args (f) == 1, "a setter takes one argument");
    rule (c, kind == ARG_BOOL || kind == ARG_ENUM || kind == ARG_FLAGS ||
          kind == ARG_STRING, "a setter cannot store such an argument");
    rule (c, f->ret == RETURN_ERR, "a setter returns RETURN_ERR");
  }
  if (f->get_field) {
    rule (c, nr_args (f) == 0, "a getter takes no argument");
    rule (c, f->ret != RETURN_ERR && f->ret != RETURN_VOID,
          "a getter returns a value");
  }
}

static void
check_async (struct checker *c, const struct function *f)
{
  bool aio = strncmp (f->name, "aio_", 4) == 0;
  bool completion = false;

  for (size_t i = 0; i < nr_args (f); i++)
    if (f->args[i].optional)
      completion = true;
  rule (c, completion == (f->async == ASYNC_COMPLETION),
        "an optional (completion) closure and ASYNC_COMPLETION go together");
  rule (c, f->async == NOT_ASYNC || aio,
        "an asynchronous function is named nbd_aio_*");
  rule (c, f->ret != RETURN_COOKIE || f->async == ASYNC_COMPLETION,
        "only a function with a completion closure returns a cookie");
}

static void
check_see_also (struct checker *c, const struct function *f)
{
  for (size_t i = 0; i < MAX_SEE_ALSO && f->see_also[i]; i++) {
    const char *s = f->see_also[i];

    rule (c, strncmp (s, "nbd_", 4) == 0 && find_function (c->api, s + 4),
          "see also '%s', which is no function of this table", s);
    rule (c, strncmp (s, "nbd_", 4) != 0 || strcmp (s + 4, f->name) != 0,
          "see also refers to the function itself");
    for (size_t j = 0; j < i; j++)
      rule (c, strcmp (s, f->see_also[j]) != 0, "see also '%s' twice", s);
  }
}

static void
check_function (struct checker *c, const struct function *f)
{
  const struct function *first = find_function (c->api, f->name);

  rule (c, is_identifier (f->name, false),
        "the name is not a lower case identifier");
  rule (c, first == f, "the name is already in line %d", first->line);
  check_since (c, f->since);
  rule (c, f->summary && *f->summary, "there is no summary");
  if (f->summary && *f->summary) {
    rule (c, strlen (f->summary) <= 60, "the summary is longer than 60");
    rule (c, islower ((unsigned char) f->summary[0]) &&
          f->summary[strlen (f->summary) - 1] != '.',
          "the summary starts in lower case and has no full stop");
  }
  rule (c, f->example && *f->example, "there is no example");
  rule (c, f->ret != RETURN_UNSET, "there is no return kind");
  rule (c, f->states != 0 && (f->states & ~ANY) == 0,
        "states must be some of the six");
  rule (c, f->states == ANY || !f->never_fails,
        "a function that cannot fail is permitted in any state");
  rule (c, f->never_fails || (f->ret != RETURN_VOID && f->ret != RETURN_UINT &&
                              f->ret != RETURN_UINT32 &&
                              f->ret != RETURN_UINT64 &&
                              f->ret != RETURN_UINTPTR &&
                              f->ret != RETURN_ENUM),
        "the return kind has no value for failure");
  rule (c, f->never_fails || !f->no_lock,
        "a function that can fail takes the lock");
  rule (c, f->by_hand || !(f->no_handle || f->null_handle),
        "a generated wrapper needs a handle");
  for (size_t i = 0; i < nr_args (f); i++) {
    check_arg (c, f, i);
    rule (c, !f->never_fails || !arg_types[f->args[i].kind].pointer,
          "argument '%s' may be NULL, so the function can fail",
          f->args[i].name ? f->args[i].name : "?");
  }
  check_setting (c, f);
  check_async (c, f);
  check_see_also (c, f);
}

static void
check_closure (struct checker *c, size_t i)
{
  const struct closure *closure = c->api->closures[i];
  bool used = false;

  rule (c, is_identifier (closure->name, false),
        "the name is not a lower case identifier");
  check_since (c, closure->since);
  for (size_t j = 0; j < i; j++)
    rule (c, strcmp (c->api->closures[j]->name, closure->name) != 0,
          "the closure is already in line %d", c->api->closures[j]->line);
  for (size_t j = 0; j < c->api->nr_functions; j++)
    for (size_t k = 0; k < nr_args (&c->api->functions[j]); k++)
      if (c->api->functions[j].args[k].closure == closure)
        used = true;
  rule (c, used, "no function takes the closure");
}

/* Whether the macro PREFIX NAME is already made by a row before (I, J). */
static bool
macro_is_new (const struct api *api, size_t i, size_t j)
{
  const struct constant_set *set = api->sets[i];

  for (size_t k = 0; k <= i; k++)
    for (size_t l = 0; l < (k < i ? api->sets[k]->nr_members : j); l++)
      if (strcmp (api->sets[k]->prefix, set->prefix) == 0 &&
          strcmp (api->sets[k]->members[l].name, set->members[j].name) == 0)
        return false;
  return true;
}

static void
check_set (struct checker *c, size_t i)
{
  const struct constant_set *set = c->api->sets[i];

  begin (c, set->file, set->line, set->name);
  rule (c, is_identifier (set->prefix, true) &&
        strncmp (set->prefix, "LIBNBD_", 7) == 0,
        "the prefix is not LIBNBD_ and capitals");
  rule (c, set->nr_members > 0, "the set is empty");
  rule (c, (set->kind == SET_FLAGS) == (set->mask != NULL),
        "a mask belongs to flags, and only there");
  for (size_t j = 0; j < set->nr_members; j++) {
    const struct constant *m = &set->members[j];

    begin (c, m->file, m->line, set->name);
    rule (c, is_identifier (m->name, true), "'%s' is not capitals",
          m->name ? m->name : "?");
    rule (c, m->value && *m->value, "'%s' has no value", m->name);
    rule (c, macro_is_new (c->api, i, j), "'%s' is there twice", m->name);
  }
}

size_t
check_api (const struct api *api, struct output *errors)
{
  struct checker c = { .api = api, .errors = errors };

  for (size_t i = 0; i < api->nr_sets; i++)
    check_set (&c, i);
  for (size_t i = 0; i < api->nr_closures; i++) {
    begin (&c, api->closures[i]->file, api->closures[i]->line,
           api->closures[i]->name);
    check_closure (&c, i);
  }
  for (size_t i = 0; i < api->nr_functions; i++) {
    struct output what = { 0 };

    out (&what, "nbd_%s", api->functions[i].name);
    begin (&c, api->functions[i].file, api->functions[i].line, what.text);
    check_function (&c, &api->functions[i]);
    output_free (&what);
  }
  return c.count;
}

/* A body that belongs to no row. */
static void
check_strays (struct checker *c, const char *dir)
{
  DIR *d = opendir (dir);
  struct dirent *e;

  begin (c, dir, 1, "docs");
  rule (c, d != NULL, "%s", strerror (errno));
  while (d && (e = readdir (d)) != NULL) {
    const char *dot = strrchr (e->d_name, '.');
    struct output path = { 0 }, name = { 0 };

    if (dot && strcmp (dot, ".pod") == 0) {
      out (&path, "%s/%s", dir, e->d_name);
      out_bytes (&name, e->d_name, dot - e->d_name);
      begin (c, path.text, 1, name.text);
      rule (c, strncmp (name.text, "nbd_", 4) == 0 &&
            find_function (c->api, name.text + 4),
            "there is no such function in the table");
    }
    output_free (&path);
    output_free (&name);
  }
  if (d)
    closedir (d);
}

size_t
check_docs (const struct api *api, const char *dir, struct output *errors)
{
  struct checker c = { .api = api, .errors = errors };

  for (size_t i = 0; i < api->nr_functions; i++) {
    const struct function *f = &api->functions[i];
    struct output path = { 0 };
    struct pod_body body;

    out (&path, "%s/nbd_%s.pod", dir, f->name);
    begin (&c, path.text, 1, f->name);
    if (pod_body_read (&body, path.text)) {
      begin (&c, path.text, body.bad_line, f->name);
      rule (&c, body.problem == NULL, "%s", body.problem);
      begin (&c, path.text, 1, f->name);
      rule (&c, !(f->never_fails && body.errors),
            "a function that cannot fail has no ERRORS");
      pod_body_free (&body);
    }
    else
      rule (&c, false, "cannot be read: %s", strerror (errno));
    output_free (&path);
  }
  check_strays (&c, dir);
  return c.count;
}
