#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# The example programs as texts: what a reader needs in order to build them.

. "${srcdir:=.}/tests/build/common.sh"

header=$(dirname "$(generated include/libnbd.h)")

# The first comment says what the program is for and how it is built.
has_head ()
{
  sed '/^ \*\/$/q' "$1" | tail -n +3 > "$tmp/head"
  sed -n '/Build: /,$p' "$tmp/head" | tr -d '\n*\\' | tr -s ' ' > "$tmp/line"
  cat "$tmp/head" "$tmp/line"
  grep -q "^ \*   $2\( \|\$\)" "$tmp/head" &&
    grep -q "Build: cc $2\.c -o $2 .*libnbd" "$tmp/line"
}

for source in "$srcdir"/examples/*.c; do
  program=$(basename "$source" .c)
  # A program for the main loop of another library needs its header as well.
  if grep -q '^#include <\(glib\|ev\|event\|uv\)\.h>' "$source"; then
    continue
  fi
  ok "$program says how it is called and built" has_head "$source" "$program"
  for compiler in gcc clang; do
    name="$compiler accepts $program without a warning"
    if has $compiler; then
      ok "$name" accepts $compiler gnu11 "$header" "$source"
    else
      skip "$name" "$compiler is not installed"
    fi
  done
done

done_testing
