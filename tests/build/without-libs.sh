# SPDX-License-Identifier: LGPL-2.1-or-later

# A build without TLS, without URIs and without objcopy, which the static
# library is better with, and with a version of the packager's.

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

# Nothing but the C library is needed, and that there is as a static one.
# shellcheck disable=SC2046
build_static_program ()
{
  cat > "$tmp/static.c" <<'EOF'
#include <libnbd.h>
#include <stdio.h>

int
main (void)
{
  struct nbd_handle *nbd = nbd_create ();

  printf ("%s\n", nbd ? nbd_get_version (nbd) : nbd_get_error ());
  nbd_close (nbd);
  return 0;
}
EOF
  $CC -static -o "$tmp/static" "$tmp/static.c" \
    $(PKG_CONFIG_PATH=$build/lib ${PKG_CONFIG:-pkg-config} \
        --static --cflags --libs libnbd) &&
    test "$("$tmp/static")" = "$(make_variable PACKAGE_VERSION)"
}

need "the source is copied" copy_source "$source"
need "configure" configure_in "$build" "$source" --enable-werror \
  --without-gnutls --without-libxml2 --with-extra='(packaged)' OBJCOPY=false
need "make" make_in "$build"
ok "the library needs neither gnutls nor libxml2" needs_neither
ok "libnbd.pc names neither" \
  not grep -E 'gnutls|xml' "$build/lib/libnbd.pc"
ok "names of the static library were not made local" \
  test ! -e "$build/lib/libnbd.a.stamp"
ok "pkg-config --static is enough for a static program" build_static_program
ok "the packager's version is in it" \
  grep -q '"(packaged)"' "$build/config.h"
ok "there are tests that need no server" test -n "$(memory_tests)"
ok "they pass" make_in "$build" check VERBOSE=1 \
  TESTS="$(memory_tests | tr '\n' ' ')"
ok "so do the tests of the exported symbols" make_in "$build" check \
  VERBOSE=1 TESTS=tests/abi/symbols.sh

done_testing
