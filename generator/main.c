/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The command line: checks the table, then writes the one output that was
 * asked for.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "emit.h"

/* The outputs that need the table and nothing else. */
static const struct {
  const char *name;
  void (*emit) (struct output *o, const struct api *api);
} outputs[] = {
  { "header", emit_header },
  { "prototypes", emit_prototypes },
  { "wrappers", emit_wrappers },
  { "symbol-map", emit_symbol_map },
  { "symbol-list", emit_symbol_list },
};

#define NR_OUTPUTS (sizeof outputs / sizeof outputs[0])

static int
usage (void)
{
  fprintf (stderr,
           "usage: generator OUTPUT FILE\n"
           "       generator pod NAME DOCS EXAMPLES FILE\n"
           "       generator check DOCS\n"
           "OUTPUT is one of");
  for (size_t i = 0; i < NR_OUTPUTS; i++)
    fprintf (stderr, " %s", outputs[i].name);
  fprintf (stderr, ".\n");
  return 2;
}

/* The lines of TEXT between the line that has "[NAME]" and the one that has
 * "[end]"; NULL if they are not there.
 */
static char *
example_lines (char *text, const char *name)
{
  char marker[128], *start, *end;

  snprintf (marker, sizeof marker, "/* [%s] */\n", name);
  start = strstr (text, marker);
  if (start == NULL)
    return NULL;
  start += strlen (marker);
  end = strstr (start, "/* [end] */");
  if (end == NULL)
    return NULL;
  while (end > start && end[-1] != '\n')
    end--;
  *end = '\0';
  return start;
}

static bool
write_pod (const char *name, const char *docs, const char *examples,
           const char *file)
{
  const struct function *f = NULL;
  struct output o = { 0 }, path = { 0 };
  struct pod_body body;
  char *text = NULL, *example = NULL;
  bool ok = false;

  for (size_t i = 0; i < api.nr_functions; i++)
    if (strncmp (name, "nbd_", 4) == 0 &&
        strcmp (api.functions[i].name, name + 4) == 0)
      f = &api.functions[i];
  if (f == NULL) {
    fprintf (stderr, "generator: %s: no such function\n", name);
    return false;
  }

  out (&path, "%s/%s.pod", docs, name);
  if (!pod_body_read (&body, path.text)) {
    fprintf (stderr, "generator: %s: %s\n", path.text, strerror (errno));
    goto out;
  }
  if (body.problem) {
    fprintf (stderr, "%s:%d: error: %s\n", path.text, body.bad_line,
             body.problem);
    goto out_body;
  }
  if (f->example) {
    path.len = 0;
    out (&path, "%s/%s", examples, f->example);
    text = read_whole_file (path.text);
    example = text ? example_lines (text, name) : NULL;
    if (example == NULL) {
      fprintf (stderr, "%s:%d: error: %s: %s\n", f->file, f->line, path.text,
               text ? "has no lines for this function" : strerror (errno));
      goto out_body;
    }
  }
  emit_pod (&o, &api, f, &body, example);
  ok = output_replace (&o, file);
 out_body:
  pod_body_free (&body);
 out:
  free (text);
  output_free (&o);
  output_free (&path);
  return ok;
}

int
main (int argc, char *argv[])
{
  struct output o = { 0 };
  bool ok = true;

  if (argc < 3)
    return usage ();

  if (check_api (&api, &o) > 0) {
    fputs (o.text, stderr);
    return 1;
  }

  if (strcmp (argv[1], "check") == 0 && argc == 3) {
    ok = check_docs (&api, argv[2], &o) == 0;
    if (!ok)
      fputs (o.text, stderr);
    return ok ? 0 : 1;
  }
  if (strcmp (argv[1], "pod") == 0 && argc == 6)
    return write_pod (argv[2], argv[3], argv[4], argv[5]) ? 0 : 1;

  for (size_t i = 0; i < NR_OUTPUTS; i++)
    if (strcmp (argv[1], outputs[i].name) == 0 && argc == 3) {
      outputs[i].emit (&o, &api);
      ok = output_replace (&o, argv[2]);
      output_free (&o);
      return ok ? 0 : 1;
    }
  return usage ();
}
