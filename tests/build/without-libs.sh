# SPDX-License-Identifier: LGPL-2.1-or-later

# A build without TLS and without URIs.

. "${srcdir:=.}/tests/build/common.sh"

slow_test readelf

source=$tmp/source
build=$tmp/build

# The unit tests, as make knows them.
unit_tests ()
{
  for _test in $(make_variable TESTS "$build"); do
    case $_test in
      tests/unit/*) echo "$_test" ;;
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
  --without-gnutls --without-libxml2
need "make" make_in "$build"
ok "the library needs neither gnutls nor libxml2" needs_neither
ok "libnbd.pc names neither" \
  not grep -E 'gnutls|xml' "$build/lib/libnbd.pc"
ok "there are unit tests" test -n "$(unit_tests)"
ok "the unit tests pass" make_in "$build" check VERBOSE=1 \
  TESTS="$(unit_tests | tr '\n' ' ')"
ok "so do the tests of the exported symbols" make_in "$build" check \
  VERBOSE=1 TESTS=tests/build/symbols.sh

done_testing
