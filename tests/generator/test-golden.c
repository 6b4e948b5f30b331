/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is written from the small table, byte for byte.  With UPDATE_GOLDEN=1
 * in the environment the files in golden/ are rewritten; look at the
 * difference before it is committed.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "emit.h"
#include "tap.h"
#include "table.h"

/* Bodies as they are written by hand: one with every section, one with the
 * first only.
 */
static const char full_body[] =
  "=for comment SPDX-License-Identifier: LGPL-2.1-or-later\n"
  "\n"
  "=head1 DESCRIPTION\n"
  "\n"
  "Fetches I<count> bytes into I<buf>.\n"
  "\n"
  "=head2 Pieces\n"
  "\n"
  "They come in any order.\n"
  "\n"
  "=head1 RETURN VALUE\n"
  "\n"
  "The number of the command.\n"
  "\n"
  "=head1 ERRORS\n"
  "\n"
  "=over 4\n"
  "\n"
  "=item C<ERANGE>\n"
  "\n"
  "I<count> is too large.\n"
  "\n"
  "=item C<EINVAL>\n"
  "\n"
  "Something is wrong with one of\n"
  "\n"
  "=over 4\n"
  "\n"
  "=item C<EFAULT>\n"
  "\n"
  "which is the name of a parameter here, and\n"
  "\n"
  "=item I<count>.\n"
  "\n"
  "=back\n"
  "\n"
  "=item C<EFAULT>, C<EIO> and others\n"
  "\n"
  "What the server reported.\n"
  "\n"
  "=item C<ENOMEM>\n"
  "\n"
  "There is no room for I<count> bytes.\n"
  "\n"
  "=back\n";

static const char short_body[] =
  "=for comment SPDX-License-Identifier: LGPL-2.1-or-later\n"
  "\n"
  "=head1 DESCRIPTION\n"
  "\n"
  "Is heard by all.\n";

static const char example[] =
  "if (failed) {\n"
  "\n"
  "  return 1;\n"
  "}\n";

static void
print_line (const char *whose, const char *line)
{
  if (*line == '\0')
    note ("%s: the end of the file", whose);
  else
    note ("%s: %.*s", whose, (int) strcspn (line, "\n"), line);
}

/* Show the first line in which GOT and WANT differ. */
static void
show_difference (const char *got, const char *want)
{
  int line = 1;

  for (;;) {
    size_t n = strcspn (got, "\n"), m = strcspn (want, "\n");

    if (n != m || got[n] != want[m] || memcmp (got, want, n) != 0 ||
        got[n] == '\0')
      break;
    got += n + 1;
    want += m + 1;
    line++;
  }
  note ("first difference in line %d", line);
  print_line ("got ", got);
  print_line ("want", want);
}

static void
compare (const char *name, struct output *o)
{
  struct output path = { 0 };
  const char *srcdir = getenv ("srcdir");
  char *want;
  bool same;

  out (&path, "%s/tests/generator/golden/%s", srcdir ? srcdir : ".", name);
  if (getenv ("UPDATE_GOLDEN") && output_replace (o, path.text))
    note ("%s is written", path.text);
  want = read_whole_file (path.text);
  same = want && strlen (want) == o->len && strcmp (want, o->text) == 0;
  ok (same, "%s is the same as its golden file", name);
  if (want == NULL)
    note ("%s cannot be read", path.text);
  else if (!same)
    show_difference (o->text, want);
  free (want);
  output_free (&path);
  output_free (o);
}

static void
compare_page (const char *name, const char *text, const char *lines)
{
  struct output o = { 0 }, file = { 0 }, in = { 0 };
  char *path = temp_path ("body.pod");
  struct pod_body body;

  out (&in, "%s", text);
  if (!output_replace (&in, path) || !pod_body_read (&body, path))
    exit (1);
  emit_pod (&o, &small_api, small_function (name), &body, lines);
  out (&file, "nbd_%s.pod", name);
  compare (file.text, &o);
  pod_body_free (&body);
  output_free (&file);
  output_free (&in);
  free (path);
}

static void
test_whole_table (void)
{
  static const struct {
    const char *file;
    void (*emit) (struct output *o, const struct api *api);
  } outputs[] = {
    { "libnbd.h", emit_header },
    { "api.h", emit_prototypes },
    { "api.c", emit_wrappers },
    { "libnbd.syms", emit_symbol_map },
    { "symbols.list", emit_symbol_list },
  };

  for (size_t i = 0; i < COUNT (outputs); i++) {
    struct output o = { 0 };

    outputs[i].emit (&o, &small_api);
    compare (outputs[i].file, &o);
  }
}

/* The table is worth comparing only as long as everything occurs in it. */
static void
test_coverage (void)
{
  bool args[NR_ARG_KINDS] = { false }, rets[NR_RETURN_KINDS] = { false };

  for (size_t i = 0; i < small_api.nr_functions; i++) {
    const struct function *f = &small_api.functions[i];

    rets[f->ret] = true;
    for (size_t j = 0; j < function_nr_args (f); j++)
      args[f->args[j].kind] = true;
  }
  for (int kind = ARG_NONE + 1; kind < NR_ARG_KINDS; kind++)
    ok (args[kind], "argument kind %d occurs in the small table", kind);
  for (int kind = RETURN_UNSET + 1; kind < NR_RETURN_KINDS; kind++)
    ok (rets[kind], "return kind %d occurs in the small table", kind);
}

int
main (void)
{
  struct output errors = { 0 };

  tap_begin ();
  is_int (check_api (&small_api, &errors), 0,
          "the small table obeys every rule");
  if (errors.len > 0)
    note ("%s", errors.text);
  output_free (&errors);

  test_coverage ();
  test_whole_table ();
  compare_page ("aio_fetch", full_body, example);
  compare_page ("set_tone", short_body, example);
  compare_page ("get_mask", short_body, example);
  compare_page ("create", short_body, example);
  compare_page ("forget", short_body, example);
  return tap_end ();
}
