# SPDX-License-Identifier: LGPL-2.1-or-later

# Installing into an empty folder, building a program with what is there, and
# taking it all away again.

. "${srcdir:=.}/tests/build/common.sh"

if sanitized; then
  skip_all "a library with sanitizers is not for installing"
fi

dest=$tmp/dest
version=$(make_variable PACKAGE_VERSION)
includedir=$dest$(make_variable includedir)
libdir=$dest$(make_variable libdir)
man3dir=$dest$(make_variable man3dir)

enabled ()
{
  "$builddir/libtool" --config | grep -q "^$1=yes"
}

make_install ()
{
  (cd "$builddir" && $MAKE "$1" DESTDIR="$dest")
}

# is_link FILE TARGET
is_link ()
{
  test -L "$1" && test "$(readlink "$1")" = "$2"
}

# Every function has a page of its own.
pages_are_there ()
{
  _bad=0
  while read -r _function _; do
    test -s "$man3dir/$_function.3" || {
      echo "there is no page of $_function"
      _bad=1
    }
  done < "$(generated tests/abi/symbols.list)"
  return "$_bad"
}

# Ask pkg-config about the installed library.
pkg_config ()
{
  PKG_CONFIG_SYSROOT_DIR=$dest PKG_CONFIG_PATH=$libdir/pkgconfig \
  PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
    ${PKG_CONFIG:-pkg-config} "$@" libnbd
}

version_is_right ()
{
  pkg_config --modversion
  test "$(pkg_config --modversion)" = "$version"
}

cat > "$tmp/program.c" <<'EOF'
#include <libnbd.h>
#include <stdio.h>

int
main (void)
{
  struct nbd_handle *nbd = nbd_create ();

  if (nbd == NULL) {
    fprintf (stderr, "%s\n", nbd_get_error ());
    return 1;
  }
  if (nbd_aio_get_direction (nbd) == LIBNBD_AIO_DIRECTION_BOTH ||
      nbd_flush (nbd, 0) != -1)
    return 1;
  printf ("%s\n", nbd_get_version (nbd));
  nbd_close (nbd);
  return 0;
}
EOF

# Flags are lists of words.
# shellcheck disable=SC2046
build_shared ()
{
  "$1" -Wall -Werror $(pkg_config --cflags) -o "$tmp/shared" \
    "$tmp/program.c" $(pkg_config --libs)
}

# What the archive needs beside itself, as far as libnbd.pc names it.  What
# those need in turn is not asked for: they may be shared.
# shellcheck disable=SC2086
private_libs ()
{
  sed -n 's/^Libs\.private: *//p' "$libdir/pkgconfig/libnbd.pc"
  _requires=$(pkg_config --print-requires-private)
  test -z "$_requires" || ${PKG_CONFIG:-pkg-config} --libs $_requires
}

# shellcheck disable=SC2046
build_static ()
{
  "$1" -Wall -Werror $(pkg_config --cflags) -o "$tmp/static" \
    "$tmp/program.c" $(pkg_config --libs | sed 's/-lnbd/-l:libnbd.a/') \
    $(private_libs)
}

needs_libnbd ()
{
  readelf -d "$1" | grep -q 'NEEDED.*\[libnbd\.so\.0\]'
}

# prints_version PROGRAM: with the shared library in $2 in reach, if given.
prints_version ()
{
  LD_LIBRARY_PATH=${2:-} "$1" > "$tmp/version" || return
  cat "$tmp/version"
  test "$(cat "$tmp/version")" = "$version"
}

need "make install" make_install install
ok "the header is installed" test -s "$includedir/libnbd.h"
ok "the header is the one of the build" \
  cmp "$(generated include/libnbd.h)" "$includedir/libnbd.h"
ok "libnbd.pc is installed" test -s "$libdir/pkgconfig/libnbd.pc"
ok "every function has its page in section 3" pages_are_there
ok "pkg-config knows the version" version_is_right

if enabled build_libtool_libs; then
  ok "the library is installed" test -s "$libdir/libnbd.so.0.0.0"
  ok "its SONAME is a link to it" \
    is_link "$libdir/libnbd.so.0" libnbd.so.0.0.0
  ok "the linker's name is a link to it" \
    is_link "$libdir/libnbd.so" libnbd.so.0.0.0
else
  skip "the library is installed" "there is no shared library"
fi
if enabled build_old_libs; then
  ok "the archive is installed" test -s "$libdir/libnbd.a"
else
  skip "the archive is installed" "there is no static library"
fi

for cc in gcc clang; do
  if ! has "$cc"; then
    skip "$cc builds programs" "there is no $cc"
    continue
  fi
  if enabled build_libtool_libs; then
    ok "$cc builds a program with the shared library" build_shared "$cc"
    ok "the program needs it" needs_libnbd "$tmp/shared"
    ok "the program runs with it" prints_version "$tmp/shared" "$libdir"
  fi
  if enabled build_old_libs; then
    ok "$cc builds a program with the archive" build_static "$cc"
    ok "the program needs no shared library" not needs_libnbd "$tmp/static"
    ok "the program runs" prints_version "$tmp/static"
  fi
done

# Print what is left; nothing should be.
nothing_is_left ()
{
  find "$dest" ! -type d > "$tmp/left"
  cat "$tmp/left"
  test ! -s "$tmp/left"
}

ok "make uninstall" make_install uninstall
ok "it leaves no file behind" nothing_is_left

done_testing
