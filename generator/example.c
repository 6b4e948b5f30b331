/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Takes the lines of a program that go into the pages of functions.  Before
 * them stands a comment with nothing but the names of the functions in
 * brackets, as in [nbd_get_tls nbd_set_tls], and behind them one with [end].
 * A function can be named by several spans of its file; on the page they stand
 * behind each other.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "example.h"

/* What man leaves of a page that is 79 columns wide. */
#define WIDTH 71

struct span_reader {
  const struct api *api;
  const struct function *f;
  const char *path;
  const char *text;             /* the whole file */
  struct output *out;
};

/* Print what is wrong at P.  Returns false. */
static bool complain (const struct span_reader *r, const char *p,
                      const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));

static bool
complain (const struct span_reader *r, const char *p, const char *fmt, ...)
{
  int line = 1;
  va_list ap;

  while (p > r->text)
    line += *--p == '\n';
  fprintf (stderr, "%s:%d: error: ", r->path, line);
  va_start (ap, fmt);
  vfprintf (stderr, fmt, ap);
  va_end (ap);
  fputc ('\n', stderr);
  return false;
}

/* Whether the example of the function NAME, with nbd_, is this file. */
static bool
belongs_here (const struct span_reader *r, const char *name, size_t n)
{
  const char *slash = strrchr (r->path, '/');
  const char *file = slash ? slash + 1 : r->path;

  for (size_t i = 0; i < r->api->nr_functions; i++) {
    const struct function *f = &r->api->functions[i];

    if (n > 4 && strncmp (name, "nbd_", 4) == 0 &&
        strlen (f->name) == n - 4 && strncmp (f->name, name + 4, n - 4) == 0)
      return f->example && strcmp (f->example, file) == 0;
  }
  return false;
}

/* The names between P and END.  WANTED: whether the function is among them. */
static bool
read_names (const struct span_reader *r, const char *p, const char *end,
            bool *wanted)
{
  *wanted = false;
  while (p += strspn (p, " \n"), p < end) {
    const size_t n = strcspn (p, " \n]");

    if (!belongs_here (r, p, n))
      return complain (r, p, "%.*s: the row of this function, if there is one,"
                       " does not name this file", (int) n, p);
    if (n == strlen (r->f->name) + 4 &&
        strncmp (p + 4, r->f->name, n - 4) == 0)
      *wanted = true;
    p += n;
  }
  return true;
}

static bool
read_spans (const struct span_reader *r)
{
  const char *span = NULL;      /* its first line */
  const char *p = r->text, *end;
  bool wanted = false;

  for (; (p = strstr (p, "/* [")) != NULL; p = end) {
    const char *line = p;

    while (line > r->text && line[-1] == ' ')
      line--;
    end = strstr (p, "] */\n");
    if (end == NULL || memchr (p + 2, '*', end - p - 2) != NULL)
      return complain (r, p, "this mark has no end");
    if (strncmp (p + 4, "end]", 4) == 0) {
      if (span == NULL)
        return complain (r, p, "there is no span to end");
      if (wanted) {
        out (r->out, r->out->len > 0 ? "\n" : "");
        out_bytes (r->out, span, line - span);
      }
      span = NULL;
    }
    else {
      if (span)
        return complain (r, p, "a span begins inside of another");
      if (!read_names (r, p + 4, end, &wanted))
        return false;
      span = strchr (end, '\n') + 1;
    }
  }
  return span == NULL || complain (r, span, "the span is not ended");
}

/* Append TEXT to O, moved to the left margin.  The first line that is too wide
 * is returned, or NULL.
 */
static const char *
append_lines (struct output *o, const char *text)
{
  size_t margin = WIDTH;

  for (const char *p = text; *p; p = strchr (p, '\n') + 1)
    if (*p != '\n' && strspn (p, " ") < margin)
      margin = strspn (p, " ");
  while (*text) {
    const size_t n = strcspn (text, "\n");
    const size_t skip = n < margin ? n : margin;

    if (n - skip > WIDTH)
      return text;
    out_bytes (o, text + skip, n - skip + 1);
    text += n + 1;
  }
  return NULL;
}

bool
example_read (struct output *o, const struct api *api,
              const struct function *f, const char *path)
{
  struct output lines = { 0 }, call = { 0 };
  char *text = read_whole_file (path);
  const struct span_reader r = {
    .api = api, .f = f, .path = path, .text = text, .out = &lines
  };
  const char *problem = NULL, *wide = "";
  bool ok = text == NULL || read_spans (&r);

  out (&call, "nbd_%s (", f->name);
  if (text == NULL)
    problem = strerror (errno);
  else if (ok && lines.len == 0)
    problem = "has no lines for this function";
  else if (ok && strstr (lines.text, call.text) == NULL)
    problem = "does not call the function in the lines for it";
  else if (ok && (wide = append_lines (o, lines.text)) != NULL)
    problem = "has a line that is wider than the page: ";
  if (problem) {
    fprintf (stderr, "%s:%d: error: nbd_%s: %s: %s%.*s\n", f->file, f->line,
             f->name, path, problem, (int) strcspn (wide, "\n"), wide);
    ok = false;
  }
  output_free (&call);
  output_free (&lines);
  free (text);
  return ok;
}
