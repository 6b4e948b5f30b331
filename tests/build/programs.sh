# SPDX-License-Identifier: LGPL-2.1-or-later

# Programs that are built as others build theirs, by pkg-config, CMake and
# Meson, with the shared library and with the static one: from what make
# install made below DESTDIR, and from the folder of the build.

. "${srcdir:=.}/tests/build/common.sh"

if sanitized; then
  skip_all "a library with sanitizers is not for other programs"
fi
has "${PKG_CONFIG:-pkg-config}" || skip_all "pkg-config is not installed"

dest=$tmp/dest
version=$(make_variable PACKAGE_VERSION)
pc_folder=$dest$(make_variable pkgconfigdir)

# Choose where the library is taken from.
from_install ()
{
  libraries=$dest$(make_variable libdir)
  environment="PKG_CONFIG_SYSROOT_DIR=$dest PKG_CONFIG_PATH=$pc_folder"
}

from_build ()
{
  libraries=$builddir/lib/.libs
  environment="PKG_CONFIG_PATH=$builddir/lib"
}

# with_library COMMAND...: the command finds libnbd.
# shellcheck disable=SC2086
with_library ()
{
  env $environment PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
    PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 LD_LIBRARY_PATH="$libraries" "$@"
}

libnbd_flags ()
{
  with_library ${PKG_CONFIG:-pkg-config} "$@" libnbd
}

# An example says in a comment how it is built, on one line or several:
#   Build: cc NAME.c -o NAME $(pkg-config --cflags --libs libnbd glib-2.0) -lm
# Without that it needs libnbd alone.
build_command ()
{
  awk '/Build:/ { found = 1 }
       found {
         sub (/^ *\*/, ""); sub (/\*\/.*/, ""); sub (/\\$/, "")
         command = command " " $0
         if (/\)/) { print command; exit }
       }' "$1"
}

# The modules beside libnbd.
modules ()
{
  build_command "$1" | sed -n 's/.*(pkg-config \([^)]*\)).*/\1/p' |
    tr -s ' ' '\n' | grep -v -x -e '--.*' -e libnbd
}

# What is written after them.
further_flags ()
{
  build_command "$1" | sed -n 's/.*(pkg-config [^)]*)//p'
}

# Set needed to a module or library of $1 that is absent, if there is one.
# shellcheck disable=SC2046
is_missing ()
{
  for needed in $(modules "$1"); do
    ${PKG_CONFIG:-pkg-config} --exists "$needed" || return 0
  done
  for needed in $(further_flags "$1"); do
    echo 'int main (void) { return 0; }' |
      $CC -x c - -o "$tmp/empty" "$needed" 2> /dev/null || return 0
  done
  return 1
}

# module_flags OPTION FILE
# shellcheck disable=SC2046
module_flags ()
{
  test -z "$(modules "$2")" ||
    ${PKG_CONFIG:-pkg-config} "$1" $(modules "$2")
}

# compile COMPILER FILE OBJECT
# shellcheck disable=SC2046
compile ()
{
  $1 -Wall -Werror $(libnbd_flags --cflags) $(module_flags --cflags "$2") \
    -c -o "$3" "$2"
}

# link_shared COMPILER FILE OBJECT PROGRAM
# shellcheck disable=SC2046
link_shared ()
{
  $1 -o "$4" "$3" $(libnbd_flags --libs) $(module_flags --libs "$2") \
    $(further_flags "$2") &&
    needs_libnbd "$4"
}

# The archive, and shared libraries for what it needs besides.
# shellcheck disable=SC2046
link_static ()
{
  $1 -o "$4" "$3" \
    $(libnbd_flags --static --libs | sed 's/-lnbd/-l:libnbd.a/') \
    $(module_flags --libs "$2") $(further_flags "$2") &&
    not needs_libnbd "$4"
}

# build COMPILER FILE: $tmp/bin/shared and $tmp/bin/static, as far as there are
# such libraries.
build ()
{
  rm -rf "$tmp/bin"
  mkdir "$tmp/bin" && compile "$1" "$2" "$tmp/bin/object.o" || return
  if enabled build_libtool_libs; then
    link_shared "$1" "$2" "$tmp/bin/object.o" "$tmp/bin/shared" || return
  fi
  if enabled build_old_libs; then
    link_static "$1" "$2" "$tmp/bin/object.o" "$tmp/bin/static" || return
  fi
}

# Nothing else need be installed to be told how to build with the shared
# library, and no flags of other libraries come along.
needs_no_other_module ()
{
  with_library env PKG_CONFIG_LIBDIR="$tmp" ${PKG_CONFIG:-pkg-config} \
    --cflags --libs libnbd > "$tmp/flags" || return
  cat "$tmp/flags"
  tr -s ' ' '\n' < "$tmp/flags" | grep . | grep -v -x -e '-[IL].*' \
    > "$tmp/words"
  test "$(cat "$tmp/words")" = -lnbd && not grep -e -I/usr "$tmp/flags"
}

needs_libnbd ()
{
  readelf -d "$1" | grep 'NEEDED.*\[libnbd\.so\.0\]'
}

# The library that a program runs with is ours and not the system's.
prints_version ()
{
  with_library "$1" > "$tmp/version" || return
  cat "$tmp/version"
  test "$(cat "$tmp/version")" = "$version"
}

# A project of others.
mkdir "$tmp/project" || exit
cp "$srcdir/examples/simple-read.c" "$tmp/project"
cat > "$tmp/project/version.c" <<'EOF'
#include <libnbd.h>
#include <stdio.h>

#ifndef LIBNBD_HAVE_NBD_SET_TCP_OPTION
#error this is the header of an older version
#endif

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
cat > "$tmp/project/CMakeLists.txt" <<EOF
cmake_minimum_required (VERSION 3.13)
project (others C)
find_package (PkgConfig REQUIRED)
pkg_check_modules (LIBNBD REQUIRED IMPORTED_TARGET libnbd>=$version)
foreach (name version simple-read)
  add_executable (\${name} \${name}.c)
  target_link_libraries (\${name} PkgConfig::LIBNBD)
endforeach ()
EOF
cat > "$tmp/project/meson.build" <<EOF
project ('others', 'c')
libnbd = dependency ('libnbd', version: '>= $version')
foreach name: ['version', 'simple-read']
  executable (name, name + '.c', dependencies: libnbd)
endforeach
EOF

build_with_cmake ()
{
  with_library cmake -S "$tmp/project" -B "$1" &&
    with_library cmake --build "$1" &&
    needs_libnbd "$1/simple-read"
}

build_with_meson ()
{
  with_library meson setup "$1" "$tmp/project" &&
    with_library ninja -C "$1" &&
    needs_libnbd "$1/simple-read"
}

# programs PLACE: the one that is run, and each example.
programs ()
{
  for _compiler in gcc clang; do
    if ! has "$_compiler"; then
      skip "$_compiler builds programs, $1" "there is no $_compiler"
      continue
    fi
    ok "$_compiler builds programs, $1" \
      build "$_compiler" "$tmp/project/version.c"
    for _way in shared static; do
      test ! -e "$tmp/bin/$_way" ||
        ok "the one with the $_way library runs" \
          prints_version "$tmp/bin/$_way"
    done
  done
  for _file in "$srcdir"/examples/*.c; do
    _title="$(basename "$_file") is built as it says, $1"
    if is_missing "$_file"; then
      skip "$_title" "$needed is not installed"
    else
      ok "$_title" build "$CC" "$_file"
    fi
  done
}

# project TOOL FUNCTION PLACE OTHER: another tool that it needs.
project ()
{
  _title="$1 builds a project, $3"
  _function=$2
  for _tool in "$1" "$4"; do
    if ! has "$_tool"; then
      skip "$_title" "$_tool is not installed"
      return
    fi
  done
  ok "$_title" "$_function" "$tmp/others" &&
    ok "its program runs" prints_version "$tmp/others/version"
  rm -rf "$tmp/others"
}

need "what programs need is installed" make_install "install-libLTLIBRARIES \
  install-nodist_includeHEADERS install-pkgconfigDATA" "$dest"

for place in install build; do
  "from_$place"
  place="from the $place"
  ok "pkg-config asks for no other module, $place" needs_no_other_module
  programs "$place"
  if enabled build_libtool_libs; then
    project cmake build_with_cmake "$place" make
    project meson build_with_meson "$place" ninja
  fi
done

done_testing
