/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A bad table for each rule of generator/check.c: the small table with one
 * row added that breaks one rule, which must give one message that names the
 * row's own file and line.  Then the same for the POD bodies.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "tap.h"
#include "table.h"

/* Each kind of row claims a file of its own, so that one cannot be reported
 * in the place of another.
 */
#define ROW(f) .file = f, .line = __LINE__

/* The part of a row that is in order. */
#define FUNCTION(n) ROW ("rows.c"), .name = n, .example = "thing.c"
#define NAMED(n) FUNCTION (n), .since = 2
#define THING NAMED ("thing"), .summary = "do something"
#define AIO_THING NAMED ("aio_thing"), .summary = "begin something"
#define PLAIN .ret = RETURN_ERR, .states = ANY
#define SURE .states = ANY, .never_fails = true

/* How many rules have been broken so far. */
static size_t rules_tested;

/* One error per line of MESSAGES. */
static void
expected (struct output *o, const char *file, int line, const char *what,
          const char *messages)
{
  while (*messages) {
    size_t n = strcspn (messages, "\n");

    out (o, "%s:%d: error: %s: %.*s\n", file, line, what, (int) n, messages);
    messages += n + (messages[n] == '\n');
  }
}

static size_t
count_lines (const struct output *o)
{
  size_t n = 0;

  for (size_t i = 0; i < o->len; i++)
    n += o->text[i] == '\n';
  return n;
}

/* Check API, and compare what is said about it with WANT, which is freed. */
static void
check_says (const struct api *table, struct output *want)
{
  struct output got = { 0 };
  size_t count = check_api (table, &got);
  const char *name = want->len > 0 ? want->text : "the table is accepted";

  is_str (got.text, want->text, "%.*s", (int) strcspn (name, "\n"), name);
  is_int (count, count_lines (want), "and nothing else is wrong");
  output_free (&got);
  output_free (want);
}

/* The small API with one more function. */
static void
check_function_says (const struct function *row, const char *messages)
{
  size_t n = small_api.nr_functions;
  struct function *rows = calloc (n + 1, sizeof *rows);
  struct output want = { 0 }, what = { 0 };
  struct api table = small_api;

  memcpy (rows, small_api.functions, n * sizeof *rows);
  rows[n] = *row;
  table.functions = rows;
  table.nr_functions = n + 1;

  out (&what, "nbd_%s", row->name);
  expected (&want, row->file, row->line, what.text, messages);
  output_free (&what);
  check_says (&table, &want);
  free (rows);
}

/* A rule is BROKEN by its first row, and broken AGAIN by more. */
#define BROKEN(text, ...)                                               \
  { .messages = text, .row = { __VA_ARGS__ } }
#define AGAIN(text, ...)                                                \
  { .messages = text, .row = { __VA_ARGS__ }, .again = true }

static const struct bad_function {
  const char *messages;
  struct function row;
  bool again;
} bad_functions[] = {
  /* The row itself. */
  BROKEN ("the name is not a lower case identifier",
          NAMED ("Thing"), .summary = "do something", PLAIN),
  AGAIN ("the name is not a lower case identifier",
         NAMED ("2nd_thing"), .summary = "do something", PLAIN),
  AGAIN ("the name is not a lower case identifier",
         NAMED (""), .summary = "do something", PLAIN),
  BROKEN ("since must be an even minor version, at most 6",
          FUNCTION ("thing"), .since = 3,
          .summary = "do something", PLAIN),
  AGAIN ("since must be an even minor version, at most 6",
         FUNCTION ("thing"), .since = 8,
         .summary = "do something", PLAIN),
  AGAIN ("since must be an even minor version, at most 6",
         FUNCTION ("thing"), .since = -2,
         .summary = "do something", PLAIN),
  BROKEN ("there is no summary",
          NAMED ("thing"), PLAIN),
  AGAIN ("there is no summary",
         NAMED ("thing"), .summary = "", PLAIN),
  BROKEN ("the summary is longer than 60",
          NAMED ("thing"), PLAIN,
          .summary =
            "do something that takes more than sixty letters to be explained"),
  BROKEN ("the summary starts in lower case and has no full stop",
          NAMED ("thing"), .summary = "Do something", PLAIN),
  AGAIN ("the summary starts in lower case and has no full stop",
         NAMED ("thing"), .summary = "do something.", PLAIN),
  BROKEN ("there is no example",
          ROW ("rows.c"), .name = "thing", .since = 2,
          .summary = "do something", PLAIN),
  AGAIN ("there is no example",
         ROW ("rows.c"), .name = "thing", .since = 2,
         .summary = "do something", .example = "", PLAIN),
  BROKEN ("there is no return kind",
          THING, .states = ANY),
  BROKEN ("states must be some of the six",
          THING, .ret = RETURN_ERR),
  AGAIN ("states must be some of the six",
         THING, .ret = RETURN_ERR, .states = ANY + 1),
  BROKEN ("a function that cannot fail is permitted in any state",
          THING, .ret = RETURN_INT, .states = CONNECTED, .never_fails = true),
  BROKEN ("the return kind has no value for failure",
          THING, .ret = RETURN_VOID, .states = ANY),
  AGAIN ("the return kind has no value for failure",
         THING, .ret = RETURN_UINT, .states = ANY),
  AGAIN ("the return kind has no value for failure",
         THING, .ret = RETURN_UINT32, .states = ANY),
  AGAIN ("the return kind has no value for failure",
         THING, .ret = RETURN_UINT64, .states = ANY),
  AGAIN ("the return kind has no value for failure",
         THING, .ret = RETURN_UINTPTR, .states = ANY),
  AGAIN ("the return kind has no value for failure",
         THING, .ret = RETURN_ENUM, .states = ANY),
  BROKEN ("a function that can fail takes the lock",
          THING, PLAIN, .no_lock = true),
  BROKEN ("a generated wrapper needs a handle",
          THING, PLAIN, .no_handle = true),
  AGAIN ("a generated wrapper needs a handle",
         THING, PLAIN, .null_handle = true),
  BROKEN ("argument 'name' may be NULL, so the function can fail",
          THING, .ret = RETURN_INT, SURE,
          .args = { { ARG (STRING, "name") } }),

  /* Arguments. */
  BROKEN ("argument 1 has no closure",
          THING, PLAIN, .args = { { .kind = ARG_CLOSURE } }),
  BROKEN ("closure arguments take the name of their type",
          THING, PLAIN,
          .args = { { ARG (CLOSURE, "piece"), .closure = &piece_closure } }),
  BROKEN ("closure 'piece' is given twice",
          THING, PLAIN,
          .args = { { .kind = ARG_CLOSURE, .closure = &piece_closure },
                    { ARG (INT, "n") },
                    { .kind = ARG_CLOSURE, .closure = &piece_closure } }),
  BROKEN ("argument name 'Count' is not a lower case identifier",
          THING, PLAIN, .args = { { ARG (INT, "Count") } }),
  AGAIN ("argument name '?' is not a lower case identifier",
         THING, PLAIN, .args = { { .kind = ARG_INT } }),
  BROKEN ("argument name 'h' is the handle's",
          THING, PLAIN, .args = { { ARG (INT, "h") } }),
  BROKEN ("argument 'n' has a closure",
          THING, PLAIN,
          .args = { { ARG (INT, "n"), .closure = &piece_closure } }),
  BROKEN ("argument 'n': only a closure is optional",
          AIO_THING, PLAIN, .async = ASYNC_COMPLETION,
          .args = { { ARG (INT, "n"), .optional = true } }),
  BROKEN ("argument 'n' is given twice",
          THING, PLAIN,
          .args = { { ARG (INT, "n") }, { ARG (INT, "m") },
                    { ARG (INT, "n") } }),
  BROKEN ("argument 'buf' lacks the name of its length",
          THING, PLAIN, .args = { { ARG (BUFFER_IN, "buf") } }),
  AGAIN ("argument 'addr' lacks the name of its length",
         THING, PLAIN,
         .args = { { ARG (SOCKADDR, "addr"), .length = "Len" } }),
  BROKEN ("argument 'n' has no length",
          THING, PLAIN, .args = { { ARG (INT, "n"), .length = "count" } }),
  BROKEN ("argument 'n' has no constants",
          THING, PLAIN, .args = { { ARG (INT, "n"), .set = &tones } }),
  BROKEN ("argument 'tone' needs an enumeration",
          THING, PLAIN, .args = { { ARG (ENUM, "tone"), .set = &switches } }),
  AGAIN ("argument 'tone' needs an enumeration",
         THING, PLAIN, .args = { { ARG (ENUM, "tone") } }),
  BROKEN ("argument 'flags' needs a set of flags",
          THING, PLAIN,
          .args = { { ARG (FLAGS, "flags"), .set = &tones, .valid = "0" } }),
  AGAIN ("argument 'flags' needs a set of flags",
         THING, PLAIN, .args = { { ARG (FLAGS, "flags"), .valid = "0" } }),
  BROKEN ("argument 'flags': valid flags belong to flags, and only there",
          THING, PLAIN,
          .args = { { ARG (FLAGS, "flags"), .set = &switches } }),
  AGAIN ("argument 'n': valid flags belong to flags, and only there",
         THING, PLAIN, .args = { { ARG (INT, "n"), .valid = "0" } }),

  /* Settings.  No row that is both can be in order as one of the two. */
  BROKEN ("a row is a setter or a getter, not both\n"
          "a getter takes no argument\n"
          "a getter returns a value",
          THING, PLAIN, .args = { { ARG (BOOL, "b") } },
          .set_field = "b", .get_field = "b"),
  BROKEN ("a hand-written function has no field",
          THING, .ret = RETURN_INT, .states = ANY, .by_hand = true,
          .get_field = "n"),
  BROKEN ("a setter takes one argument",
          THING, PLAIN, .args = { { ARG (BOOL, "b") }, { ARG (BOOL, "c") } },
          .set_field = "b"),
  BROKEN ("a setter cannot store such an argument",
          THING, PLAIN, .args = { { ARG (INT, "n") } }, .set_field = "n"),
  BROKEN ("a setter returns RETURN_ERR",
          THING, .ret = RETURN_BOOL, .states = ANY,
          .args = { { ARG (BOOL, "b") } }, .set_field = "b"),
  BROKEN ("a getter takes no argument",
          THING, .ret = RETURN_INT, .states = ANY,
          .args = { { ARG (INT, "n") } }, .get_field = "n"),
  BROKEN ("a getter returns a value",
          THING, PLAIN, .get_field = "n"),
  AGAIN ("a getter returns a value",
         THING, .ret = RETURN_VOID, SURE, .get_field = "n"),

  /* Asynchronous functions. */
  BROKEN ("an optional (completion) closure and ASYNC_COMPLETION go together",
          AIO_THING, PLAIN,
          .args = { { .kind = ARG_CLOSURE, .closure = &completion_closure,
                      .optional = true } }),
  AGAIN ("an optional (completion) closure and ASYNC_COMPLETION go together",
         AIO_THING, PLAIN, .async = ASYNC_COMPLETION),
  BROKEN ("an asynchronous function is named nbd_aio_*",
          THING, PLAIN, .async = ASYNC_CLOSE),
  BROKEN ("only a function with a completion closure returns a cookie",
          THING, .ret = RETURN_COOKIE, .states = ANY),

  /* See also. */
  BROKEN ("see also 'nbd_nothing', which is no function of this table",
          THING, PLAIN, .see_also = { "nbd_store", "nbd_nothing" }),
  AGAIN ("see also 'store', which is no function of this table",
         THING, PLAIN, .see_also = { "store" }),
  BROKEN ("see also refers to the function itself",
          THING, PLAIN, .see_also = { "nbd_thing" }),
  BROKEN ("see also 'nbd_store' twice",
          THING, PLAIN,
          .see_also = { "nbd_store", "nbd_describe", "nbd_store" }),
};

static void
test_bad_functions (void)
{
  static const struct function second = {
    NAMED ("store"), .summary = "do something", PLAIN,
  };
  struct output message = { 0 };

  for (size_t i = 0; i < COUNT (bad_functions); i++) {
    check_function_says (&bad_functions[i].row, bad_functions[i].messages);
    rules_tested += !bad_functions[i].again;
  }

  out (&message, "the name is already in line %d",
       small_function ("store")->line);
  check_function_says (&second, message.text);
  output_free (&message);
  rules_tested++;
}

/* A row that is in order must be accepted, or the messages above would prove
 * little.
 */
static void
test_good_functions (void)
{
  static const struct function good[] = {
    { THING, PLAIN },
    { NAMED ("thing2_"), .summary = "do something", PLAIN },
    { THING, .ret = RETURN_INT, SURE, .no_lock = true },
    { THING, PLAIN, .see_also = { "nbd_store", "nbd_close" } },
    { NAMED ("thing"), PLAIN,
      .summary =
        "do something that takes exactly sixty letters to explain it!" },
    { AIO_THING, .ret = RETURN_COOKIE, .states = CONNECTED,
      .async = ASYNC_COMPLETION,
      .args = { { .kind = ARG_CLOSURE, .closure = &completion_closure,
                  .optional = true } } },
  };

  for (size_t i = 0; i < COUNT (good); i++)
    check_function_says (&good[i], "");
}

/* The small API with one more closure, and a function that takes it. */
static void
check_closure_says (const struct closure *closure, bool used,
                    const char *message)
{
  const struct function user = {
    THING, PLAIN, .args = { { .kind = used ? ARG_CLOSURE : ARG_NONE,
                              .closure = used ? closure : NULL } },
  };
  size_t n = small_api.nr_functions, m = small_api.nr_closures;
  struct function *rows = calloc (n + 1, sizeof *rows);
  const struct closure **closures = calloc (m + 1, sizeof *closures);
  struct api table = small_api;
  struct output want = { 0 };

  memcpy (rows, small_api.functions, n * sizeof *rows);
  rows[n] = user;
  memcpy (closures, small_api.closures, m * sizeof *closures);
  closures[m] = closure;
  table.functions = rows;
  table.nr_functions = n + 1;
  table.closures = closures;
  table.nr_closures = m + 1;

  expected (&want, closure->file, closure->line, closure->name, message);
  check_says (&table, &want);
  free (closures);
  free (rows);
}

static void
test_bad_closures (void)
{
  static const struct closure capitals = {
    ROW ("closures.c"), .name = "Piece", .since = 2,
  };
  static const struct closure odd = {
    ROW ("closures.c"), .name = "thing", .since = 1,
  };
  static const struct closure second = {
    ROW ("closures.c"), .name = "piece", .since = 2,
  };
  static const struct closure unused = {
    ROW ("closures.c"), .name = "thing", .since = 2,
  };
  struct output message = { 0 };

  check_closure_says (&capitals, true,
                      "the name is not a lower case identifier");
  rules_tested++;
  /* The rule is the one for functions. */
  check_closure_says (&odd, true,
                      "since must be an even minor version, at most 6");
  out (&message, "the closure is already in line %d", piece_closure.line);
  check_closure_says (&second, true, message.text);
  output_free (&message);
  rules_tested++;
  check_closure_says (&unused, false, "no function takes the closure");
  rules_tested++;
}

/* The small API with one more set of constants.  The error is in MEMBER or,
 * when that is NULL, in the row of the set.
 */
static void
check_set_says (const struct constant_set *set, const struct constant *member,
                const char *message)
{
  size_t n = small_api.nr_sets;
  const struct constant_set **sets = calloc (n + 1, sizeof *sets);
  struct api table = small_api;
  struct output want = { 0 };

  memcpy (sets, small_api.sets, n * sizeof *sets);
  sets[n] = set;
  table.sets = sets;
  table.nr_sets = n + 1;

  expected (&want, member ? member->file : set->file,
            member ? member->line : set->line, set->name, message);
  check_says (&table, &want);
  free (sets);
}

#define MEMBER(n, v) { ROW ("members.c"), .name = n, .value = v }
#define MEMBERS(m) .members = m, .nr_members = COUNT (m)
#define SET(p) ROW ("sets.c"), .name = "things", .prefix = p

static void
test_bad_sets (void)
{
  static const struct constant good[] = {
    MEMBER ("FIRST", "1"), MEMBER ("SECOND", "2"),
  };
  static const struct constant small[] = { MEMBER ("first", "1") };
  static const struct constant nameless[] = { MEMBER ("", "1") };
  static const struct constant empty[] = { MEMBER ("FIRST", "") };
  static const struct constant missing[] = { MEMBER ("FIRST", NULL) };
  static const struct constant twice[] = {
    MEMBER ("FIRST", "1"),
    MEMBER ("SECOND", "2"),
    MEMBER ("FIRST", "3"),
  };
  static const struct constant known[] = {
    MEMBER ("MIDDLE", "1"),
    MEMBER ("HIGH", "2"),
  };
  const struct {
    bool first;                 /* row that breaks its rule */
    const char *message;
    const struct constant *member;
    struct constant_set set;
  } bad[] = {
    { true, "the prefix is not LIBNBD_ and capitals", NULL,
      { SET ("THING_"), .kind = SET_ENUM, MEMBERS (good) } },
    { false, "the prefix is not LIBNBD_ and capitals", NULL,
      { SET ("LIBNBD_thing_"), .kind = SET_ENUM, MEMBERS (good) } },
    { true, "the set is empty", NULL,
      { SET ("LIBNBD_THING_"), .kind = SET_ENUM } },
    { true, "a mask belongs to flags, and only there", NULL,
      { SET ("LIBNBD_THING_"), .kind = SET_FLAGS, MEMBERS (good) } },
    { false, "a mask belongs to flags, and only there", NULL,
      { SET ("LIBNBD_THING_"), .kind = SET_OTHER, .mask = "3",
        MEMBERS (good) } },
    { true, "'first' is not capitals", small,
      { SET ("LIBNBD_THING_"), .kind = SET_ENUM, MEMBERS (small) } },
    { false, "'' is not capitals", nameless,
      { SET ("LIBNBD_THING_"), .kind = SET_ENUM, MEMBERS (nameless) } },
    { true, "'FIRST' has no value", empty,
      { SET ("LIBNBD_THING_"), .kind = SET_ENUM, MEMBERS (empty) } },
    { false, "'FIRST' has no value", missing,
      { SET ("LIBNBD_THING_"), .kind = SET_ENUM, MEMBERS (missing) } },
    { true, "'FIRST' is there twice", &twice[2],
      { SET ("LIBNBD_THING_"), .kind = SET_ENUM, MEMBERS (twice) } },
    { false, "'HIGH' is there twice", &known[1],
      { SET ("LIBNBD_TONE_"), .kind = SET_ENUM, MEMBERS (known) } },
  };
  const struct constant_set fine = {
    SET ("LIBNBD_THING_"), .kind = SET_FLAGS, .mask = "3", MEMBERS (good),
  };

  for (size_t i = 0; i < COUNT (bad); i++) {
    check_set_says (&bad[i].set, bad[i].member, bad[i].message);
    rules_tested += bad[i].first;
  }
  check_set_says (&fine, NULL, "");
}

/* Two rows that have bodies. */
static const struct function documented[] = {
  { NAMED ("sure"), .summary = "do something", .ret = RETURN_INT, SURE },
  { NAMED ("thing"), .summary = "do something", PLAIN },
};

static const struct api documented_api = {
  .functions = documented, .nr_functions = COUNT (documented), .release = 2,
};

#define SPDX "=for comment SPDX-License-Identifier: LGPL-2.1-or-later\n\n"
#define DESCRIPTION "=head1 DESCRIPTION\n\nDoes something.\n\n"
#define RETURN_VALUE "=head1 RETURN VALUE\n\nA number.\n\n"
#define ERRORS "=head1 ERRORS\n\n=over 4\n\n=item C<EIO>\n\nBad.\n\n=back\n"

static void
write_body (const char *dir, const char *name, const char *text)
{
  struct output path = { 0 };
  FILE *fp;

  out (&path, "%s/%s", dir, name);
  fp = fopen (path.text, "w");
  if (fp == NULL || fputs (text, fp) == EOF || fclose (fp) == EOF) {
    perror (path.text);
    exit (1);
  }
  output_free (&path);
}

static void
remove_body (const char *dir, const char *name)
{
  struct output path = { 0 };

  out (&path, "%s/%s", dir, name);
  unlink (path.text);
  output_free (&path);
}

/* Check the bodies in DIR.  WANT is the one error, without the folder, or "".
 */
static void
docs_say (const char *dir, const char *want, const char *name)
{
  struct output got = { 0 }, full = { 0 };
  size_t count = check_docs (&documented_api, dir, &got);

  if (*want)
    out (&full, "%s%s\n", dir, want);
  is_str (got.text, full.text, "%s", name);
  is_int (count, count_lines (&full), "and nothing else is wrong");
  output_free (&got);
  output_free (&full);
}

static void
test_docs (void)
{
  static const struct {
    bool first;                 /* row that breaks its rule */
    const char *name, *file, *text;     /* no text: there is no such file */
    const char *message;
  } bad[] = {
    { true, "a row has no body", "nbd_thing.pod", NULL,
      "/nbd_thing.pod:1: error: thing: cannot be read: "
      "No such file or directory" },
    { true, "a body has no row", "nbd_stray.pod", SPDX DESCRIPTION,
      "/nbd_stray.pod:1: error: nbd_stray: "
      "there is no such function in the table" },
    { false, "a body lacks the prefix", "thing.pod", SPDX DESCRIPTION,
      "/thing.pod:1: error: thing: there is no such function in the table" },
    { true, "a body has no licence", "nbd_thing.pod", DESCRIPTION,
      "/nbd_thing.pod:1: error: thing: "
      "the first line is not '=for comment SPDX-...'" },
    { false, "a body has its licence in the second line", "nbd_thing.pod",
      "\n" SPDX DESCRIPTION,
      "/nbd_thing.pod:1: error: thing: "
      "the first line is not '=for comment SPDX-...'" },
    { false, "sections are in the wrong order", "nbd_thing.pod",
      SPDX DESCRIPTION ERRORS RETURN_VALUE,
      "/nbd_thing.pod:16: error: thing: sections are DESCRIPTION, "
      "RETURN VALUE and ERRORS, in this order" },
    { false, "a section is there twice", "nbd_thing.pod",
      SPDX DESCRIPTION DESCRIPTION,
      "/nbd_thing.pod:7: error: thing: sections are DESCRIPTION, "
      "RETURN VALUE and ERRORS, in this order" },
    { false, "a section is unknown", "nbd_thing.pod",
      SPDX DESCRIPTION "=head1 NOTES\n\nNothing.\n",
      "/nbd_thing.pod:7: error: thing: sections are DESCRIPTION, "
      "RETURN VALUE and ERRORS, in this order" },
    { false, "a section has a longer title", "nbd_thing.pod",
      SPDX DESCRIPTION "=head1 ERRORS AND MORE\n\nNothing.\n",
      "/nbd_thing.pod:7: error: thing: sections are DESCRIPTION, "
      "RETURN VALUE and ERRORS, in this order" },
    { false, "a body has no description", "nbd_thing.pod",
      SPDX RETURN_VALUE ERRORS,
      "/nbd_thing.pod:1: error: thing: there is no DESCRIPTION" },
    { false, "errors are no list", "nbd_thing.pod",
      SPDX DESCRIPTION "=head1 ERRORS\n\nMany.\n",
      "/nbd_thing.pod:8: error: thing: "
      "ERRORS must be a list and nothing behind its =back" },
    { false, "errors have a text behind the list", "nbd_thing.pod",
      SPDX DESCRIPTION ERRORS "\nAnd more.\n",
      "/nbd_thing.pod:8: error: thing: "
      "ERRORS must be a list and nothing behind its =back" },
    { false, "a body is only a licence", "nbd_thing.pod", SPDX,
      "/nbd_thing.pod:1: error: thing: there is no DESCRIPTION" },
    { false, "a body is empty", "nbd_thing.pod", "",
      "/nbd_thing.pod:1: error: thing: "
      "the first line is not '=for comment SPDX-...'" },
    { true, "a function that cannot fail has errors", "nbd_sure.pod",
      SPDX DESCRIPTION ERRORS,
      "/nbd_sure.pod:1: error: sure: "
      "a function that cannot fail has no ERRORS" },
  };
  char *dir = temp_path ("docs"), *nowhere = temp_path ("nowhere");
  struct output got = { 0 }, want = { 0 };

  if (mkdir (dir, 0777) == -1) {
    perror (dir);
    exit (1);
  }
  write_body (dir, "nbd_sure.pod", SPDX DESCRIPTION RETURN_VALUE);
  write_body (dir, "nbd_thing.pod", SPDX DESCRIPTION ERRORS);
  write_body (dir, "nbd_thing.txt", "Not a body.\n");
  write_body (dir, "README", "Not a body.\n");
  docs_say (dir, "", "good bodies are accepted, other files ignored");

  for (size_t i = 0; i < COUNT (bad); i++) {
    if (bad[i].text)
      write_body (dir, bad[i].file, bad[i].text);
    else
      remove_body (dir, bad[i].file);
    docs_say (dir, bad[i].message, bad[i].name);
    rules_tested += bad[i].first;

    remove_body (dir, bad[i].file);
    write_body (dir, "nbd_sure.pod", SPDX DESCRIPTION RETURN_VALUE);
    write_body (dir, "nbd_thing.pod", SPDX DESCRIPTION ERRORS);
  }

  /* Without a folder every body is missing as well. */
  check_docs (&documented_api, nowhere, &got);
  out (&want, "%s/nbd_sure.pod:1: error: sure: cannot be read: "
       "No such file or directory\n"
       "%s/nbd_thing.pod:1: error: thing: cannot be read: "
       "No such file or directory\n"
       "%s:1: error: docs: No such file or directory\n",
       nowhere, nowhere, nowhere);
  is_str (got.text, want.text, "a folder that is not there is reported");
  rules_tested++;
  output_free (&got);
  output_free (&want);
  free (nowhere);
  free (dir);
}

/* How many calls of rule () there are in check.c. */
static size_t
count_rules (void)
{
  struct output path = { 0 };
  const char *srcdir = getenv ("srcdir");
  size_t n = 0;
  char *text;

  out (&path, "%s/generator/check.c", srcdir ? srcdir : ".");
  text = read_whole_file (path.text);
  for (const char *p = text; p && (p = strstr (p, "rule (")) != NULL; p++)
    if (strncmp (p, "rule (c, ", 9) == 0 ||
        strncmp (p, "rule (&c, ", 10) == 0)
      n++;
  free (text);
  output_free (&path);
  return n;
}

int
main (void)
{
  tap_begin ();
  test_good_functions ();
  test_bad_functions ();
  test_bad_closures ();
  test_bad_sets ();
  test_docs ();
  is_int (rules_tested, count_rules (), "every rule was broken once");
  return tap_end ();
}
