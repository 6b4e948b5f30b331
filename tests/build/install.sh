# SPDX-License-Identifier: LGPL-2.1-or-later

# What is installed and where, into an empty folder and over what is there, and
# that it can be taken away again.

. "${srcdir:=.}/tests/build/common.sh"

if sanitized; then
  skip_all "a library with sanitizers is not for installing"
fi

dest=$tmp/dest
version=$(make_variable PACKAGE_VERSION)
includedir=$dest$(make_variable includedir)
libdir=$dest$(make_variable libdir)
man3dir=$dest$(make_variable man3dir)
man7dir=$dest$(make_variable man7dir)

# Every file that belongs there, and no other.
expected_files ()
{
  echo "$includedir/libnbd.h"
  echo "$libdir/libnbd.la"
  echo "$libdir/pkgconfig/libnbd.pc"
  if enabled build_libtool_libs; then
    echo "$libdir/libnbd.so"
    echo "$libdir/libnbd.so.0"
    echo "$libdir/libnbd.so.0.0.0"
  fi
  if enabled build_old_libs; then
    echo "$libdir/libnbd.a"
  fi
  for _page in $(make_variable overview_man3); do
    echo "$man3dir/${_page#docs/}"
  done
  for _page in $(make_variable overview_man7); do
    echo "$man7dir/${_page#docs/}"
  done
  sed "s|\\([^ ]*\\) .*|$man3dir/\\1.3|" "$(generated tests/abi/symbols.list)"
}

files_are_expected ()
{
  expected_files | sort > "$tmp/expected"
  find "$dest" ! -type d | sort | diff "$tmp/expected" -
}

# is_link FILE TARGET
is_link ()
{
  test -L "$1" && test "$(readlink "$1")" = "$2"
}

# No page is empty or only refers to another.
pages_are_whole ()
{
  find "$man3dir" "$man7dir" -name '*.[37]' > "$tmp/pages"
  while read -r _page; do
    grep -q '^\.SH NAME\|^\.SH "NAME"' "$_page" || {
      echo "$_page has no section NAME"
      return 1
    }
  done < "$tmp/pages"
}

version_is_right ()
{
  PKG_CONFIG_PATH=$libdir/pkgconfig \
    ${PKG_CONFIG:-pkg-config} --modversion libnbd > "$tmp/version" || return
  cat "$tmp/version"
  test "$(cat "$tmp/version")" = "$version"
}

# same_names ARCHIVE ARCHIVE
same_names ()
{
  nm -g "$1" | sed '1d' > "$tmp/names"
  test -s "$tmp/names" && nm -g "$2" | sed '1d' | diff "$tmp/names" -
}

# What was installed, by content.
sums ()
{
  (cd "$dest" && find . -type f -exec cksum '{}' + | sort -k 3)
}

# Make each file another one.
spoil ()
{
  find "$dest" -type f -exec sh -c '
    for file; do echo old > "$file"; done' sh '{}' + &&
    not nothing_differs
}

nothing_differs ()
{
  sums | diff "$tmp/sums" -
}

nothing_is_left ()
{
  find "$dest" ! -type d > "$tmp/left"
  cat "$tmp/left"
  test ! -s "$tmp/left"
}

# Folders that are there on every system stay; others are not made.
only_common_folders ()
{
  for _folder in "$includedir" "$libdir/pkgconfig" "$man3dir" \
      "$man7dir"; do
    while test "$_folder" != "$dest"; do
      echo "$_folder"
      _folder=$(dirname "$_folder")
    done
  done | sort -u > "$tmp/common"
  find "$dest" -mindepth 1 -type d | sort | comm -23 - "$tmp/common" \
    > "$tmp/folders"
  cat "$tmp/folders"
  test ! -s "$tmp/folders"
}

need "make install" make_install install "$dest"
ok "every file is where it belongs, and no other" files_are_expected
ok "the header is the one of the build" \
  cmp "$(generated include/libnbd.h)" "$includedir/libnbd.h"
ok "pkg-config knows the version" version_is_right
ok "the pages are whole" pages_are_whole
if enabled build_libtool_libs; then
  ok "the library's SONAME is a link to it" \
    is_link "$libdir/libnbd.so.0" libnbd.so.0.0.0
  ok "the linker's name is a link to it" \
    is_link "$libdir/libnbd.so" libnbd.so.0.0.0
else
  skip "the library's names are links to it" "there is no shared library"
fi
if enabled build_old_libs; then
  ok "the archive is the one of the build" \
    same_names "$builddir/lib/.libs/libnbd.a" "$libdir/libnbd.a"
else
  skip "the archive is the one of the build" "there is no static library"
fi

sums > "$tmp/sums"
ok "there was an older version" spoil
ok "make install over it" make_install install "$dest"
ok "it replaces every file" nothing_differs
ok "every file is still where it belongs" files_are_expected

ok "make uninstall" make_install uninstall "$dest"
ok "it leaves no file behind" nothing_is_left
ok "nor folders that were not there" only_common_folders
ok "make uninstall again" make_install uninstall "$dest"

done_testing
