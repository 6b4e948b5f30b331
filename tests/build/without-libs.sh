# SPDX-License-Identifier: LGPL-2.1-or-later

# A build without TLS and without URIs, and with a version of the packager's.

. "${srcdir:=.}/tests/build/common.sh"

slow_test readelf

source=$tmp/source
build=$tmp/build

# The tests that need no server, as make knows them.
memory_tests ()
{
  for _test in $(make_variable TESTS "$build"); do
    case $_test in
      tests/unit/* | tests/api/*) echo "$_test" ;;
    esac
  done
}

needs_neither ()
{
  readelf -d "$build/lib/.libs/libnbd.so.0" | grep NEEDED
  ! readelf -d "$build/lib/.libs/libnbd.so.0" | grep -E 'gnutls|xml2'
}

need "the source is copied" copy_source "$source"
need "configure" configure_in "$build" "$source" --enable-werror \
  --without-gnutls --without-libxml2 --with-extra='(packaged)'
need "make" make_in "$build"
ok "the library needs neither gnutls nor libxml2" needs_neither
ok "libnbd.pc names neither" \
  not grep -E 'gnutls|xml' "$build/lib/libnbd.pc"
ok "the packager's version is in it" \
  grep -q '"(packaged)"' "$build/config.h"
ok "there are tests that need no server" test -n "$(memory_tests)"
ok "they pass" make_in "$build" check VERBOSE=1 \
  TESTS="$(memory_tests | tr '\n' ' ')"
ok "so do the tests of the exported symbols" make_in "$build" check \
  VERBOSE=1 TESTS=tests/build/symbols.sh

done_testing
