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

run header "$tmp/page/libnbd.h"
ok "an output below a file is refused" \
  failed "^generator: $tmp/page/libnbd.h.new: Not a directory$"

done_testing
