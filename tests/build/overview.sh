# SPDX-License-Identifier: LGPL-2.1-or-later

# The overview pages: what libnbd(3) has for other build systems builds a
# program, its list of functions is complete, what pages refer to is there, and
# libnbd-drop-in(7) knows every group of differences that the scenarios accept,
# and the internals name what there is.  The programs and commands are tried by
# overview-commands.sh.

. "${srcdir:=.}/tests/build/common.sh"
. "$srcdir/tests/build/pages.sh"

prefix=$tmp/prefix
page=$srcdir/docs/libnbd.pod
drop_in=$srcdir/docs/libnbd-drop-in.pod
pages="$page $drop_in $srcdir/docs/libnbd-security.pod"
version=$(make_variable PACKAGE_VERSION)
symbols=$(generated tests/abi/symbols.list)

# Blocks that are tried here, and in overview-commands.sh.
tried_here='pkg-config.sh autoconf/configure.ac autoconf/Makefile.am
cmake/CMakeLists.txt meson/meson.build'
tried_there=$(sed -n 's/^# tries: //p' \
                "$srcdir/tests/build/overview-commands.sh")

every_block_is_tried ()
{
  for _file in $pages; do
    sed -n 's/^=for test //p' "$_file"
  done | sort > "$tmp/have"
  printf '%s\n' $tried_here $tried_there | sort > "$tmp/want"
  diff "$tmp/want" "$tmp/have" && test -s "$tmp/have"
}

# section FILE TITLE: the lines of a section.
section ()
{
  awk -v title="=head1 $2" '
    /^=head1 / { inside = $0 == title }
    inside { print }' "$1"
}

lists_each_function_once ()
{
  section "$page" FUNCTIONS | grep -o 'L<nbd_[a-z0-9_]*(3)>' |
    sed 's/L<//; s/(3)>//' | sort > "$tmp/listed"
  cut -d ' ' -f 1 "$symbols" | sort > "$tmp/exported"
  diff "$tmp/exported" "$tmp/listed" && test -s "$tmp/listed"
}

names_functions_that_exist ()
{
  cut -d ' ' -f 1 "$symbols" | sort > "$tmp/exported"
  cat $pages | grep -o 'L<nbd_[a-z0-9_]*(3)' | sed 's/L<//; s/(3)//' |
    sort -u | comm -23 - "$tmp/exported" > "$tmp/unknown"
  cat "$tmp/unknown"
  test ! -s "$tmp/unknown"
}

# Sections of libnbd(3) that other pages refer to.
sections_exist ()
{
  cat "$srcdir"/docs/api/*.pod $pages |
    grep -o 'L<libnbd(3)/[^>]*>' | sed 's/.*\///; s/>//' | sort -u |
    while read -r _title; do
      grep -q -x -e "=head[12] $_title" "$page" ||
        echo "there is no section $_title"
    done > "$tmp/missing"
  cat "$tmp/missing"
  test ! -s "$tmp/missing"
}

pods_are_sound ()
{
  podchecker -warnings -warnings $pages
}

# "GROUP<TAB>BLOCKS" of what the scenarios accept, and of the page's table.
accepted_groups ()
{
  awk '/^# --- / { group = substr($0, 7) }
       /^scenarios:/ { blocks[group]++ }
       END { for (group in blocks) print group "\t" blocks[group] }' \
    "$srcdir/tests/scenarios/accepted.txt" | sort
}
named_groups ()
{
  section "$1" 'HOW IT IS KNOWN' |
    sed -n 's/^   \([A-Z][A-Za-z ]*[A-Za-z]\)  *\([0-9]*\)  .*/\1\t\2/p' |
    grep '[0-9]$' | sort
}
names_every_group ()
{
  accepted_groups > "$tmp/groups"
  named_groups "$1" | diff "$tmp/groups" - && test -s "$tmp/groups"
}
notices_a_new_group ()
{
  sed 's/^   URIs  .*//' "$drop_in" > "$tmp/less.pod"
  ! names_every_group "$tmp/less.pod" > /dev/null
}

# The tests that libnbd-security(3) names are those of the contracts.
names_the_tests_of_lessons ()
{
  grep -o 'F<tests/[a-z/-]*\.[a-z]*>' "$srcdir/docs/libnbd-security.pod" |
    sed 's/F<//; s/>//' | sort -u > "$tmp/sources"
  while read -r _source; do
    test -f "$srcdir/$_source" || echo "there is no $_source"
  done < "$tmp/sources" > "$tmp/missing"
  sed -n 's/^=item \([0-9][0-9]*\)\. .*/\1/p' \
    "$srcdir/docs/libnbd-security.pod" > "$tmp/lessons"
  sed -n 's/^| \([0-9][0-9]*\) |.*| `\(tests[^`]*\)` |.*/\1 \2/p' \
    "$srcdir/docs/internals/contracts.md" | sort -u > "$tmp/contracts"
  awk '/^=item [0-9]+\. / { lesson = $2 + 0 }
       /^=back/ { lesson = 0 }
       lesson {
         line = $0
         while (match (line, /F<tests\/[^>]*>/)) {
           print lesson, substr (line, RSTART + 2, RLENGTH - 3)
           line = substr (line, RSTART + RLENGTH)
         }
       }' "$srcdir/docs/libnbd-security.pod" | sort -u |
    comm -13 "$tmp/contracts" - | sed 's/^/not in contracts.md: /' \
    >> "$tmp/missing"
  awk 'BEGIN { RS = "" }
       /^F<tests\// {
         gsub (/\n/, " ")
         while (match ($0, /"[^"]*"/)) {
           print substr ($0, RSTART + 1, RLENGTH - 2)
           $0 = substr ($0, RSTART + RLENGTH)
         }
       }' "$srcdir/docs/libnbd-security.pod" |
    while read -r _test; do
      grep -q -F -e "\`$_test\`" "$srcdir/docs/internals/contracts.md" ||
        echo "no such test: $_test"
    done >> "$tmp/missing"
  cat "$tmp/missing"
  test ! -s "$tmp/missing" && test -s "$tmp/sources" &&
    cut -d ' ' -f 1 "$tmp/contracts" | sort -n -u | diff - "$tmp/lessons"
}

# The table of constants in buffers.md: each is defined where it says.
constants_are_there ()
{
  sed -n 's/^| \(`[A-Z].*`\) | .* | `\([a-z.-]*\)` |$/\2 \1/p' \
    "$srcdir/docs/internals/buffers.md" | tr -d '`,' > "$tmp/constants"
  while read -r _source _constants; do
    for _constant in $_constants; do
      grep -q -e "^#define $_constant " "$srcdir/lib/$_source" ||
        echo "$_constant is not in $_source"
    done
  done < "$tmp/constants" > "$tmp/missing"
  cat "$tmp/missing"
  test ! -s "$tmp/missing" && test -s "$tmp/constants"
}

# generator.md has each field of a row.
fields_are_there ()
{
  sed -n '/^struct function {/,/^};/s/.*[ *]\([a-z_]*\)[][A-Z_]*;.*/\1/p' \
    "$srcdir/generator/model.h" | grep -v -x -e file -e line > "$tmp/fields"
  while read -r _field; do
    grep -q -e "\`$_field\`" "$srcdir/docs/internals/generator.md" ||
      echo "there is no word about $_field"
  done < "$tmp/fields" > "$tmp/missing"
  cat "$tmp/missing"
  test ! -s "$tmp/missing" && test -s "$tmp/fields"
}

ok "every block of the pages is tried, and no other" every_block_is_tried
ok "libnbd(3) lists each function once" lists_each_function_once
ok "the pages refer to functions that there are" names_functions_that_exist
ok "the pages refer to sections that there are" sections_exist
if has podchecker; then
  ok "podchecker finds nothing to complain about" pods_are_sound
else
  skip "podchecker finds nothing to complain about" \
    "podchecker is not installed"
fi
ok "libnbd-drop-in(7) has every group of accepted differences" \
  names_every_group "$drop_in"
ok "a group that is missing there is noticed" notices_a_new_group
ok "libnbd-security(3) has every lesson, with tests of its contract" \
  names_the_tests_of_lessons

ok "buffers.md knows where constants are" constants_are_there
ok "generator.md has every field of a row" fields_are_there

# An installed library, as far as compilers see it.

install_library ()
{
  mkdir -p "$prefix/include" "$prefix/lib/pkgconfig" &&
    cp "$(generated include/libnbd.h)" "$prefix/include" &&
    cp -P "$builddir"/lib/.libs/libnbd.so* "$prefix/lib" &&
    sed -e "s|^prefix=.*|prefix=$prefix|" \
        -e "s|^exec_prefix=.*|exec_prefix=\${prefix}|" \
        -e "s|^libdir=.*|libdir=\${prefix}/lib|" \
        -e "s|^includedir=.*|includedir=\${prefix}/include|" \
        "$builddir/lib/libnbd.pc" > "$prefix/lib/pkgconfig/libnbd.pc"
}

# The program of each, in its folder.
for folder in pkg-config autoconf cmake meson; do
  mkdir -p "$tmp/page/$folder"
  cat > "$tmp/page/$folder/prog.c" <<'END'
#include <stdio.h>
#include <libnbd.h>

int
main (void)
{
  struct nbd_handle *nbd = nbd_create ();

  printf ("%s\n", nbd_get_version (nbd));
  nbd_close (nbd);
  return 0;
}
END
done

blocks "$page" "$tmp/page"
PKG_CONFIG_PATH=$prefix/lib/pkgconfig
PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
export PKG_CONFIG_PATH PKG_CONFIG_ALLOW_SYSTEM_CFLAGS

with_pkg_config ()
{
  cd "$tmp/page/pkg-config" && . "$tmp/page/pkg-config.sh"
}
with_autoconf ()
{
  cd "$tmp/page/autoconf" && autoreconf -i && ./configure CC="$CC" && $MAKE
}
with_cmake ()
{
  cd "$tmp/page/cmake" && cmake . && $MAKE
}
with_meson ()
{
  cd "$tmp/page/meson" && meson setup . build && ninja -C build &&
    cp build/prog .
}

# builds SYSTEM TOOL...
builds ()
{
  _system=$1
  _name="the program is built with $_system"
  shift
  if sanitized; then
    skip "$_name" "the library has sanitizers"
    return
  fi
  for _tool; do
    if ! has "$_tool"; then
      skip "$_name" "$_tool is not installed"
      return
    fi
  done
  _function=with_$(echo "$_system" | tr - _)
  ok "$_name" eval "(unset CFLAGS LDFLAGS; $_function)" &&
    ok "and runs with $_system" runs "$_system"
}
runs ()
{
  LD_LIBRARY_PATH=$prefix/lib "$tmp/page/$1/prog" > "$tmp/version" || return
  cat "$tmp/version"
  test "$(cat "$tmp/version")" = "$version"
}

if test -e "$builddir/lib/.libs/libnbd.so"; then
  need "the library can be found by pkg-config" install_library
  builds pkg-config pkg-config
  builds autoconf autoreconf pkg-config
  builds cmake cmake pkg-config
  builds meson meson ninja pkg-config
else
  skip "programs are built with the library" "there is no shared library"
fi

done_testing
