/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The command line: checks the table, then writes the one output that was
 * asked for.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "emit.h"
#include "example.h"

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

static bool
write_pod (const char *name, const char *docs, const char *examples,
           const char *file)
{
  const struct function *f = NULL;
  struct output o = { 0 }, path = { 0 }, example = { 0 };
  struct pod_body body;
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
  path.len = 0;
  out (&path, "%s/%s", examples, f->example);
  if (!example_read (&example, &api, f, path.text))
    goto out_body;
  emit_pod (&o, &api, f, &body, example.text);
  ok = output_replace (&o, file);
 out_body:
  pod_body_free (&body);
 out:
  output_free (&o);
  output_free (&path);
  output_free (&example);
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
