# SPDX-License-Identifier: LGPL-2.1-or-later

# The release tarball holds all that is generated: it is built and installed
# without perl, without the autotools and without the generator, both in its
# own folder and outside it.

. "${srcdir:=.}/tests/build/common.sh"

slow_test tar

source=$tmp/source
inside=$tmp/inside
outside=$tmp/outside
tools=$tmp/tools

# A folder with every program in reach but those that only git needs.
make_tools ()
{
  mkdir "$tools" || return
  _ifs=$IFS
  IFS=:
  for _dir in $PATH; do
    # A name that is already there, from a folder before, is kept.
    ln -s "$_dir"/* "$tools"
  done
  IFS=$_ifs
  (cd "$tools" && rm -f perl* pod2* auto* aclocal* libtoolize)
  test -x "$tools/sh"
}

is_hidden ()
{
  ! (PATH=$tools; command -v "$1")
}

# with_tools COMMAND...
with_tools ()
{
  (
    PATH=$tools
    unset POD2MAN PERL
    "$@"
  )
}

# Count the pages below $1.
pages ()
{
  find "$1" -name 'nbd_*.3' | wc -l
}

has_all_pages ()
{
  _functions=$(wc -l < "$source/tests/abi/symbols.list")
  echo "$(pages "$1") pages, $_functions functions"
  test "$(pages "$1")" -ge "$_functions" && test "$_functions" -gt 0
}

# unchanged FOLDER: since the tarball was unpacked.
unchanged ()
{
  find "$1" -newer "$tmp/before" ! -type d > "$tmp/made"
  cat "$tmp/made"
  test ! -s "$tmp/made"
}

has_nothing_to_do ()
{
  with_tools make_in "$1" > "$tmp/again" 2>&1 || return
  cat "$tmp/again"
  ! grep -E '^  [A-Z0-9]+ ' "$tmp/again"
}

nothing_was_generated ()
{
  find "$1" -newer "$tmp/before" \
    '(' -name generator -type f -o -name '*.stamp' \
        ! -name libnbd.a.stamp -o -name '*.pod' -o \
        -name 'nbd_*.3' -o -name api.c -o -name api.h ')' > "$tmp/made"
  cat "$tmp/made"
  test ! -s "$tmp/made"
}

need "make dist" unpack_tarball "$source"
need "there is a folder of tools" make_tools
for tool in perl pod2man autoconf automake; do
  ok "$tool is hidden" is_hidden "$tool"
done
ok "every function has its page in the tarball" has_all_pages "$source/docs"
touch "$tmp/before"

# A build outside must not write to the source.
cp -pR "$source" "$inside"
chmod -R a-w "$source"

for build in "$inside" "$outside"; do
  case $build in
    "$inside") where=inside from=$inside ;;
    *) where=outside from=$source ;;
  esac
  ok "configure, $where" \
    with_tools configure_in "$build" "$from" --prefix="$build/installed" ||
    continue
  ok "make, $where" with_tools make_in "$build" || continue
  ok "the generator was not built, $where" \
    test ! -e "$build/generator/generator"
  ok "nothing was generated, $where" nothing_was_generated "$build"
  ok "a second make has nothing to do, $where" has_nothing_to_do "$build"
  ok "make install, $where" with_tools make_in "$build" install
  ok "the library is installed, $where" \
    test -s "$build/installed/lib/libnbd.so.0"
  ok "the header is installed, $where" \
    cmp "$from/include/libnbd.h" "$build/installed/include/libnbd.h"
  ok "every page is installed, $where" has_all_pages "$build/installed"
done

ok "a build outside does not write to the source" unchanged "$source"

# Whoever changes the table gets what is made from it.
touch "$inside/generator/api.c"
ok "the library follows a newer table" make_in "$inside" lib/libnbd.la
ok "the generator is built for that" \
  test -x "$inside/generator/generator"
ok "and run" test "$inside/lib/api.c.stamp" -nt "$tmp/before"

done_testing
