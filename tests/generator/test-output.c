/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Collecting text, replacing files, and cutting bodies into sections. */

#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "pod.h"
#include "tap.h"

#define COUNT(a) (sizeof (a) / sizeof ((a)[0]))

/* Long ago, so that a file that is written now is seen to be newer. */
#define LONG_AGO 1000000000

static void
must (bool good, const char *what)
{
  if (!good) {
    perror (what);
    exit (1);
  }
}

static void
make_old (const char *file)
{
  struct timespec times[2] = { { .tv_sec = LONG_AGO },
                               { .tv_sec = LONG_AGO } };

  must (utimensat (AT_FDCWD, file, times, 0) == 0, file);
}

static bool
is_old (const char *file)
{
  struct stat st;

  return stat (file, &st) == 0 && st.st_mtime == LONG_AGO;
}

/* Replace FILE by TEXT.  What is said on stderr is given back in SAID. */
static bool
replace (const char *file, const char *text, char said[256])
{
  char *log = temp_path ("stderr");
  int keep = dup (2), fd = open (log, O_CREAT | O_TRUNC | O_RDWR, 0666);
  struct output o = { 0 };
  ssize_t n;
  bool done;

  must (keep != -1 && fd != -1 && dup2 (fd, 2) == 2, log);
  out (&o, "%s", text);
  done = output_replace (&o, file);
  output_free (&o);
  must (dup2 (keep, 2) == 2, log);
  n = pread (fd, said, 255, 0);
  said[n > 0 ? n : 0] = '\0';
  close (keep);
  close (fd);
  free (log);
  return done;
}

static void
holds (const char *file, const char *text, const char *name)
{
  char *got = read_whole_file (file);

  is_str (got, text, "%s", name);
  free (got);
}

static void
no_new_file (const char *file)
{
  struct output path = { 0 };
  struct stat st;

  out (&path, "%s.new", file);
  ok (lstat (path.text, &st) == -1, "no .new file is left behind");
  output_free (&path);
}

static void
test_replace (void)
{
  char *file = temp_path ("file");
  char *longer = malloc (200001);
  char said[256];
  struct stat before, after;

  ok (replace (file, "one\n", said), "a file that is not there is written");
  holds (file, "one\n", "with the text");
  no_new_file (file);
  is_str (said, "", "nothing is said");

  make_old (file);
  must (stat (file, &before) == 0, file);
  ok (replace (file, "one\n", said), "the same text is written again");
  ok (is_old (file), "the file keeps its time");
  must (stat (file, &after) == 0, file);
  ok (before.st_ino == after.st_ino, "it is the same file");
  no_new_file (file);

  ok (replace (file, "two\n", said), "another text of this length is written");
  ok (!is_old (file), "the file is new");
  holds (file, "two\n", "and has the text");
  no_new_file (file);

  make_old (file);
  ok (replace (file, "two\nmore\n", said), "a longer text is written");
  ok (!is_old (file), "the file is new");
  holds (file, "two\nmore\n", "and has the text");

  make_old (file);
  ok (replace (file, "two\n", said), "a shorter text is written");
  ok (!is_old (file), "the file is new");
  holds (file, "two\n", "and has the text");

  memset (longer, 'x', 200000);
  longer[200000] = '\0';
  ok (replace (file, longer, said), "a text that passes all buffers");
  holds (file, longer, "is written whole");
  ok (replace (file, "", said), "an empty text is written");
  holds (file, "", "and read");
  no_new_file (file);
  free (longer);
  free (file);
}

/* The tests may run as root, whom no permission stops: what cannot be written
 * here cannot be written by anyone.
 */
static void
test_replace_fails (void)
{
  char *file = temp_path ("kept"), *new = temp_path ("kept.new");
  char *below = temp_path ("kept/below"), *dir = temp_path ("dir");
  char *absent = temp_path ("absent/file");
  struct output want = { 0 };
  char said[256];
  struct stat st;

  ok (replace (file, "old\n", said), "there is an old file");
  make_old (file);

  ok (!replace (below, "text\n", said), "a file is no folder to write to");
  out (&want, "generator: %s.new: Not a directory\n", below);
  is_str (said, want.text, "the message has the name and the reason");
  ok (is_old (file), "the file is not touched");

  ok (!replace (absent, "text\n", said), "nor is a folder that is not there");
  want.len = 0;
  out (&want, "generator: %s.new: No such file or directory\n", absent);
  is_str (said, want.text, "the message has the name and the reason");

  must (mkdir (new, 0777) == 0, new);
  ok (!replace (file, "text\n", said), "a folder is in the place of the .new");
  holds (file, "old\n", "the old text is there");
  ok (is_old (file), "the old file is not touched");
  must (rmdir (new) == 0, new);

  if (access ("/dev/full", W_OK) == 0) {
    must (symlink ("/dev/full", new) == 0, new);
    ok (!replace (file, "text\n", said), "the disk is full");
    want.len = 0;
    out (&want, "generator: %s: No space left on device\n", file);
    is_str (said, want.text, "the message has the name and the reason");
    holds (file, "old\n", "the old text is there");
    ok (is_old (file), "the old file is not touched");
    no_new_file (file);
  }
  else
    skip_case ("the disk is full", "there is no /dev/full");

  must (mkdir (dir, 0777) == 0, dir);
  ok (!replace (dir, "text\n", said), "a folder is not replaced by a file");
  ok (stat (dir, &st) == 0 && S_ISDIR (st.st_mode), "it is still a folder");
  no_new_file (dir);

  output_free (&want);
  free (absent);
  free (dir);
  free (below);
  free (new);
  free (file);
}

static void
test_wrapped (void)
{
  static const struct {
    const char *name;
    size_t column, width;
    const char *list, *want;
  } cases[] = {
    { "a list that fits stays in one line",
      4, 20, "int a, int b", "int a, int b" },
    { "the last column may be used",
      4, 16, "int a, int b", "int a, int b" },
    { "one column less breaks the line, and leaves no blank at its end",
      4, 15, "int a, int b", "int a,\n    int b" },
    { "a list may take many lines",
      4, 11, "int a, int b, int c", "int a,\n    int b,\n    int c" },
    { "a parameter is never broken",
      4, 10, "const struct sockaddr *addr", "const struct sockaddr *addr" },
    { "a list that starts beyond the width begins in the next line",
      30, 20, "int a, int b", "\n    int a, int b" },
  };

  for (size_t i = 0; i < COUNT (cases); i++) {
    struct output o = { 0 };

    out_wrapped (&o, cases[i].column, cases[i].width, "    ", cases[i].list);
    is_str (o.text, cases[i].want, "%s", cases[i].name);
    output_free (&o);
  }
}

static void
test_text (void)
{
  struct output o = { 0 };

  out (&o, "%s=%d", "a", 1);
  out_bytes (&o, "bcd", 2);
  out_upper (&o, "tls_9x");
  is_str (o.text, "a=1bcTLS_9X", "text is appended");
  is_int (o.len, strlen (o.text), "and its length known");
  output_free (&o);
  ok (o.text == NULL && o.len == 0 && o.size == 0, "and released");
}

#define SPDX "=for comment SPDX-License-Identifier: LGPL-2.1-or-later\n"
#define LIST "=over 4\n\n=item C<EIO>\n\nBad.\n\n=back\n"

static void
test_sections (void)
{
  static const struct {
    const char *name, *text;
    const char *description, *return_value, *errors;
  } cases[] = {
    { "a body with all sections",
      SPDX "\n=head1 DESCRIPTION\n\nWords.\n\n=head2 More\n\nWords.\n\n"
      "=head1 RETURN VALUE\n\nNumber.\n\n=head1 ERRORS\n\n" LIST,
      "\nWords.\n\n=head2 More\n\nWords.\n\n", "\nNumber.\n\n",
      "\n" LIST },
    { "a body that has only a description",
      SPDX "\n=head1 DESCRIPTION\n\nWords.\n", "\nWords.\n", NULL, NULL },
    { "a body without a return value",
      SPDX "\n=head1 DESCRIPTION\n\nWords.\n=head1 ERRORS\n" LIST "\n",
      "\nWords.\n", NULL, LIST "\n" },
    { "a body without errors",
      SPDX "\n=head1 DESCRIPTION\n\nA =head1 in a line.\n\n"
      "=head1 RETURN VALUE\n",
      "\nA =head1 in a line.\n\n", "", NULL },
  };
  char *file = temp_path ("body"), said[256];
  struct pod_body body;

  for (size_t i = 0; i < COUNT (cases); i++) {
    must (replace (file, cases[i].text, said), file);
    ok (pod_body_read (&body, file), "%s", cases[i].name);
    is_str (body.problem, NULL, "has no problem");
    is_str (body.description, cases[i].description, "its DESCRIPTION");
    is_str (body.return_value, cases[i].return_value, "its RETURN VALUE");
    is_str (body.errors, cases[i].errors, "its ERRORS");
    pod_body_free (&body);
    ok (body.text == NULL, "it is released");
  }

  /* Of many problems the first is told. */
  must (replace (file, "=head1 NOTES\n\n=head1 BUGS\n", said), file);
  ok (pod_body_read (&body, file), "a body with many problems is read");
  is_str (body.problem, "the first line is not '=for comment SPDX-...'",
          "the first problem is told");
  is_int (body.bad_line, 1, "with its line");
  pod_body_free (&body);

  ok (!pod_body_read (&body, temp_dir ()), "a folder is not a body");
  unlink (file);
  ok (!pod_body_read (&body, file), "a file that is not there is not a body");
  free (file);
}

int
main (void)
{
  tap_begin ();
  test_text ();
  test_wrapped ();
  test_replace ();
  test_replace_fails ();
  test_sections ();
  return tap_end ();
}
