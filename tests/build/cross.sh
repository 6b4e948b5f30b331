# SPDX-License-Identifier: LGPL-2.1-or-later

# A build for another processor: the library is for that one, the generator
# ran on this one, and what it wrote does not differ.

. "${srcdir:=.}/tests/build/common.sh"

host=aarch64-linux-gnu
slow_test "$host-gcc" "$host-nm" readelf

source=$tmp/source
build=$tmp/build

machine ()
{
  readelf -h "$1" | sed -n 's/^ *Machine: *//p' | sort -u
}

# is_for MACHINE FILE
is_for ()
{
  machine "$2"
  test "$(machine "$2")" = "$1"
}

# Made with the other machine's tools.
archive_has_names_of_api ()
{
  cut -d ' ' -f 1 "$(generated tests/abi/symbols.list)" | sort > "$tmp/list"
  "$host-nm" -g --defined-only "$build/lib/.libs/libnbd.a" |
    sed -n 's/^[0-9a-f]* [A-Z] //p' | sort | diff "$tmp/list" -
}

need "the source is copied" copy_source "$source"
need "configure" configure_in "$build" "$source" --host="$host" \
  --enable-werror --without-gnutls --without-libxml2
need "make" make_in "$build"
ok "the library is for AArch64" \
  is_for AArch64 "$build/lib/.libs/libnbd.so.0.0.0"
ok "so is every object of the archive" \
  is_for AArch64 "$build/lib/.libs/libnbd.a"
ok "the archive's names are those of the API" archive_has_names_of_api
ok "the generator is for this machine" \
  is_for "$(machine "$(command -v readelf)")" "$build/generator/generator"
for file in include/libnbd.h lib/api.c lib/api.h lib/libnbd.syms \
            tests/abi/symbols.list; do
  ok "the generator wrote $file as it does elsewhere" \
    cmp "$(generated "$file")" "$build/$file"
done
ok "the test programs are built too" make_in "$build" check TESTS=

done_testing
