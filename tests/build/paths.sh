# SPDX-License-Identifier: LGPL-2.1-or-later

# Installing as Debian's packages do: every file lands where it is in those.
# And builds that have only one of the two libraries.

. "${srcdir:=.}/tests/build/common.sh"

slow_test tar nm readelf

source=$tmp/source
build=$tmp/build
dest=$tmp/dest
multiarch=$($CC -print-multiarch 2> /dev/null)
: "${multiarch:=x86_64-linux-gnu}"

# Without -g and -O all is built sooner.
configure_quickly ()
{
  configure_in "$@" CFLAGS=
}

# run TEST: on the build.
run ()
{
  (
    srcdir=$source
    builddir=$build
    unset LIBNBD_SLOW_TESTS
    export srcdir builddir
    sh "$source/$1" > "$tmp/run" 2>&1
    _status=$?
    cat "$tmp/run"
    test "$_status" = 0 && not grep -q '^1\.\.0' "$tmp/run"
  )
}

# The files of the packages libnbd0 and libnbd-dev, but for documents.  Pages
# are compressed there.
expected_files ()
{
  cat <<EOF
usr/include/libnbd.h
usr/lib/$multiarch/libnbd.a
usr/lib/$multiarch/libnbd.so
usr/lib/$multiarch/libnbd.so.0
usr/lib/$multiarch/libnbd.so.0.0.0
usr/lib/$multiarch/pkgconfig/libnbd.pc
usr/share/man/man3/libnbd.3
usr/share/man/man3/libnbd-security.3
usr/share/man/man7/libnbd-drop-in.7
EOF
  sed -n 's|^\(nbd_[^ ]*\) .*|usr/share/man/man3/\1.3|p' \
    "$source/tests/abi/functions.list"
}

# The one file that is ours alone is libtool's.
installed_files ()
{
  (cd "$dest" && find . ! -type d) | sed 's|^\./||' |
    grep -v -x "usr/lib/$multiarch/libnbd\.la" | sort
}

files_are_expected ()
{
  expected_files | sort > "$tmp/expected"
  installed_files | diff "$tmp/expected" -
}

package_files ()
{
  dpkg-query -L libnbd0 libnbd-dev 2> /dev/null |
    sed -n -e 's|^/\(usr/include/.*\)|\1|p' -e 's|^/\(usr/lib/.*\)|\1|p' \
      -e 's|^/\(usr/share/man/man3/nbd_.*\)\.gz$|\1|p' \
      -e 's|^/\(usr/share/man/man3/libnbd\.3\)\.gz$|\1|p' |
    grep -v -x -e "usr/lib/$multiarch" -e '.*/pkgconfig' | sort
}

packages_are_installed ()
{
  package_files | grep -q -x usr/include/libnbd.h &&
    package_files | grep -q -x "usr/lib/$multiarch/libnbd.so.0"
}

package_files_are_there ()
{
  installed_files > "$tmp/installed"
  package_files | comm -23 - "$tmp/installed" > "$tmp/missing"
  cat "$tmp/missing"
  test ! -s "$tmp/missing"
}

same_links ()
{
  for _link in libnbd.so libnbd.so.0; do
    _file=usr/lib/$multiarch/$_link
    echo "$_link: $(readlink "/$_file"), ours: $(readlink "$dest/$_file")"
    test "$(readlink "/$_file")" = "$(readlink "$dest/$_file")" || return
  done
}

# What pkg-config says is what it says about the packages.
same_flags ()
{
  env PKG_CONFIG_PATH="/usr/lib/$multiarch/pkgconfig" \
    ${PKG_CONFIG:-pkg-config} --cflags --libs libnbd > "$tmp/theirs" &&
    env PKG_CONFIG_PATH="$dest/usr/lib/$multiarch/pkgconfig" \
      ${PKG_CONFIG:-pkg-config} --cflags --libs libnbd > "$tmp/ours" &&
    diff "$tmp/theirs" "$tmp/ours"
}

need "make dist" unpack_tarball "$source"

need "configure as for a package" configure_quickly "$build" "$source" \
  --prefix=/usr --libdir="/usr/lib/$multiarch"
need "make" make_in "$build"
need "make install" make_in "$build" install DESTDIR="$dest"
ok "every file is where Debian's packages have it" files_are_expected
if packages_are_installed; then
  ok "every file of the installed packages is there" package_files_are_there
  ok "links lead where theirs lead" same_links
  ok "pkg-config has the same flags for it" same_flags
else
  skip "every file of the installed packages is there" \
    "libnbd-dev is not installed"
fi
ok "the test of what is installed passes" run tests/build/install.sh
rm -rf "$build"

need "configure --disable-static" configure_quickly "$build" "$source" \
  --disable-static
need "make, without the static library" make_in "$build"
ok "there is no static library" not test -e "$build/lib/.libs/libnbd.a"
ok "the test of what is installed passes" run tests/build/install.sh
ok "the test of what is exported passes" run tests/abi/symbols.sh
rm -rf "$build"

need "configure --disable-shared" configure_quickly "$build" "$source" \
  --disable-shared
need "make, without the shared library" make_in "$build"
ok "there is no shared library" not test -e "$build/lib/.libs/libnbd.so"
ok "the test of what is installed passes" run tests/build/install.sh
ok "the test of the static library passes" run tests/abi/archive.sh

done_testing
