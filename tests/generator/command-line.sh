# SPDX-License-Identifier: LGPL-2.1-or-later

# The generator as a program: its command line, its exit status, and what it
# leaves alone when it fails.

. "${srcdir:=.}/tests/build/common.sh"

generator=$builddir/generator/generator

# run ARGUMENTS...: sets $status; the output is in $tmp/out and $tmp/err.
run ()
{
  "$generator" "$@" > "$tmp/out" 2> "$tmp/err"
  status=$?
}

# The last run was refused, and said how the program is used.
refused ()
{
  test "$status" = 2 && test ! -s "$tmp/out" &&
    grep -q '^usage: generator OUTPUT FILE$' "$tmp/err" &&
    grep -q ' header prototypes wrappers symbol-map symbol-list\.$' "$tmp/err"
}

# The last run failed, and said TEXT.
failed ()
{
  cat "$tmp/err"
  test "$status" = 1 && test ! -s "$tmp/out" && grep -q -e "$1" "$tmp/err"
}

# The last run succeeded without a word.
succeeded ()
{
  cat "$tmp/err"
  test "$status" = 0 && test ! -s "$tmp/out" && test ! -s "$tmp/err"
}

run
ok "no argument is refused with the usage" refused
run header
ok "an output without a file is refused" refused
run heading "$tmp/file"
ok "an unknown output is refused" refused
run header "$tmp/file" more
ok "an argument too many is refused" refused
run check "$srcdir/docs/api" more
ok "check with an argument too many is refused" refused
run pod nbd_create "$srcdir/docs/api" "$srcdir/examples"
ok "pod with an argument too few is refused" refused
run pod nbd_create "$srcdir/docs/api" "$srcdir/examples" "$tmp/file" more
ok "pod with an argument too many is refused" refused
run --help "$tmp/file"
ok "an option is refused" refused
ok "nothing was written" test ! -e "$tmp/file"

for pair in header:include/libnbd.h prototypes:lib/api.h \
            wrappers:lib/api.c symbol-map:lib/libnbd.syms \
            symbol-list:tests/abi/symbols.list; do
  output=${pair%%:*}
  file=${pair#*:}
  run "$output" "$tmp/$output"
  ok "$output is written" succeeded
  ok "$output is what the build uses" \
    cmp "$tmp/$output" "$(generated "$file")"
done

run check "$srcdir/docs/api"
ok "the bodies of the manual are accepted" succeeded
mkdir "$tmp/empty"
run check "$tmp/empty"
ok "an empty folder is not a manual" \
  failed "^$tmp/empty/nbd_create.pod:1: error: create: cannot be read: "

run pod nbd_create "$srcdir/docs/api" "$srcdir/examples" "$tmp/page"
ok "a page is written" succeeded
ok "and is about its function" grep -q '^nbd_create - ' "$tmp/page"
run pod nbd_nothing "$srcdir/docs/api" "$srcdir/examples" "$tmp/nothing"
ok "a page of an unknown function is refused" \
  failed '^generator: nbd_nothing: no such function$'
run pod create "$srcdir/docs/api" "$srcdir/examples" "$tmp/nothing"
ok "a page is asked for by its full name" \
  failed '^generator: create: no such function$'
run pod nbd_create "$tmp/empty" "$srcdir/examples" "$tmp/nothing"
ok "a page without its body is refused" \
  failed "^generator: $tmp/empty/nbd_create.pod: "
echo 'No licence, no sections.' > "$tmp/empty/nbd_create.pod"
run pod nbd_create "$tmp/empty" "$srcdir/examples" "$tmp/nothing"
ok "a page with a bad body is refused" \
  failed "^$tmp/empty/nbd_create.pod:1: error: "
ok "nothing was written" test ! -e "$tmp/nothing"

# An example: the row of nbd_create names a file, and in it are marks.

example=$(sed -n '/FN (create)/,/},/s/^ *\.example = "\(.*\)",$/\1/p' \
            "$srcdir/generator/api.c")
other=nbd_aio_pread             # whose row names another file
mkdir "$tmp/examples"

# page LINE...: the page of nbd_create, whose example has these lines.
page ()
{
  printf '%s\n' "$@" > "$tmp/examples/$example"
  run pod nbd_create "$srcdir/docs/api" "$tmp/examples" "$tmp/marked"
}

# has_example LINE...: the page has exactly these.
has_example ()
{
  printf '%s\n' "$@" > "$tmp/want"
  sed -n '/^=head1 EXAMPLE/,/^=head1 SEE ALSO/p' "$tmp/marked" |
    sed '1,4d; $d' | sed '$d' > "$tmp/got"
  diff "$tmp/want" "$tmp/got"
}

# wrong LINE TEXT: the mark in that line of the example is refused.
wrong ()
{
  failed "^$tmp/examples/$example:$1: error: $2"
}

# bad TEXT: the lines as a whole are refused.
bad ()
{
  failed "^[^ ]*generator/api\.c:[0-9]*: error: nbd_create: $tmp/.*: $1"
}

run pod nbd_create "$srcdir/docs/api" "$tmp/examples" "$tmp/marked"
ok "an example that is not there is an error" bad 'No such file or directory$'

page before '/* [nbd_create] */' 'h = nbd_create ();' '' 'done' \
  '/* [end] */' after
ok "a page with its example is written" succeeded
ok "and has the lines between the marks" \
  has_example ' h = nbd_create ();' '' ' done'

page '    /* [nbd_create] */' '    h = nbd_create ();' '      further' \
  '    /* [end] */'
ok "indented marks are understood" succeeded
ok "and the lines begin at the margin" \
  has_example ' h = nbd_create ();' '   further'

page '/* [nbd_close nbd_create' '    nbd_get_error] */' \
  'h = nbd_create ();' '/* [end] */'
ok "a mark in two lines with several names is understood" succeeded
ok "and is not part of the example" has_example ' h = nbd_create ();'

page '/* [nbd_create] */' '  first' '/* [end] */' '/* [nbd_close] */' no \
  '/* [end] */' '/* [nbd_close nbd_create] */' ' nbd_create ();' \
  '/* [end] */'
ok "two spans for one function are understood" succeeded
ok "and stand behind each other" has_example '  first' '' ' nbd_create ();'

page '/* [nbd_close] */' 'nbd_create ();' '/* [end] */'
ok "a file without a span for the function is an error" \
  bad 'has no lines for this function$'
page '/* [nbd_create] */' 'nbd_create_all (); nbd_close (h);' '/* [end] */'
ok "lines that do not call the function are an error" \
  bad 'does not call the function in the lines for it$'
page '' '/* [nbd_create nbd_nothing] */' 'nbd_create ();' '/* [end] */'
ok "a name that is no function is an error" wrong 2 'nbd_nothing: '
page '/* [nbd_create' "$other] */" 'nbd_create ();' '/* [end] */'
ok "a function whose example is another file is an error" wrong 2 "$other: "
page '/* [nbd_create] */' 'nbd_create ();'
ok "a span without its end is an error" wrong 2 'the span is not ended$'
page '/* [nbd_create] */' 'nbd_create ();' '/* [nbd_close] */' \
  '/* [end] */'
ok "a span inside of another is an error" \
  wrong 3 'a span begins inside of another$'
page 'nbd_create ();' '/* [end] */'
ok "an end without a span is an error" wrong 2 'there is no span to end$'
page '/* [nbd_create */' 'nbd_create ();' '/* [end] */'
ok "a mark without its bracket is an error" wrong 1 'this mark has no end$'
page '/* [nbd_create] */' 'nbd_create ();' "$(printf '%071d' 0)" '/* [end] */'
ok "a line as wide as the page is accepted" succeeded
page '/* [nbd_create] */' 'nbd_create ();' "$(printf '%072d' 0)" '/* [end] */'
ok "a line that is wider is an error" \
  bad 'has a line that is wider than the page: 0000'

run header "$tmp/page/libnbd.h"
ok "an output below a file is refused" \
  failed "^generator: $tmp/page/libnbd.h.new: Not a directory$"

done_testing
