#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# Installs what is missing, builds, runs every test, and closes with a line
# "N passed, N failed, N skipped".  Anything after the options goes to configure:
#   sh tests/check.sh [--build-dir=DIR] [CONFIGURE-OPTION...]

set -eu
LC_ALL=C.UTF-8
export LC_ALL

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/tests/packages.sh"

build=$top/build-check
case ${1-} in
  --build-dir=*) build=${1#--build-dir=}; shift;;
esac
jobs=$(nproc 2> /dev/null || echo 2)

need_packages $build_packages $server_packages $example_packages \
  $manual_packages $dropin_packages \
  qemu-utils nbd-server clang g++ libclang-rt-14-dev binutils \
  gcc-aarch64-linux-gnu libc6-dev-arm64-cross \
  libnbd0 libnbd-dev abigail-tools cmake meson ninja-build valgrind

# Nothing is left out here; plain "make check" leaves out what is slow.
LIBNBD_SLOW_TESTS=1
export LIBNBD_SLOW_TESTS

if ! test -f "$top/configure" ||
   test -n "$(find "$top" -name '*.mk' -newer "$top/configure" -o \
                   -name configure.ac -newer "$top/configure" -o \
                   -name Makefile.am -newer "$top/configure")"; then
  echo "== autoreconf"
  (cd "$top" && autoreconf -fi > autoreconf.log 2>&1) ||
    { cat "$top/autoreconf.log"; exit 1; }
  rm -f "$top/autoreconf.log"
fi
mkdir -p "$build"
cd "$build"
echo "== configure $*"
"$top/configure" --enable-werror "$@" > configure.log 2>&1 ||
  { tail -n 40 configure.log; exit 1; }
echo "== make"
make -j"$jobs" > make.log 2>&1 || { tail -n 40 make.log; exit 1; }
echo "== make check"
find . -name '*.trs' -exec rm -f {} +
status=0
make -j"$jobs" check > check.log 2>&1 || status=$?

# One line a case.  A case that was skipped because something is not installed
# has failed: it could have been installed.
results=$(find . -name '*.trs' -exec cat {} + | grep '^:test-result:' || true)
count ()
{
  printf '%s\n' "$results" | grep -c -E "$1" || true
}
passed=$(count '^:test-result: (PASS|XFAIL)')
failed=$(count '^:test-result: (FAIL|ERROR|XPASS)')
skipped=$(count '^:test-result: SKIP')
absent=$(count '^:test-result: SKIP.*not installed')
failed=$((failed + absent))
skipped=$((skipped - absent))

printf '%s\n' "$results" |
  sed -n -E 's/^:test-result: (FAIL|ERROR|XPASS|SKIP)/\1/p'
if test "$failed" -gt 0; then
  cat test-suite.log 2> /dev/null | grep -v '^ok ' || true
fi
if test "$status" != 0 && test "$failed" = 0; then
  tail -n 40 check.log          # it failed before or beside the cases
  failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
test "$failed" = 0
