#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# Which lines of lib/ the tests reach: builds for gcov, runs the tests, prints
# the lines that no test has reached and a table of the files.  Fails when less
# than 95 % of all lines were reached.
#   sh tests/coverage.sh [--build-dir=DIR]

set -eu
LC_ALL=C.UTF-8
export LC_ALL

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/tests/packages.sh"

build=$top/build-coverage
case ${1-} in
  --build-dir=*) build=${1#--build-dir=};;
esac
jobs=$(nproc 2> /dev/null || echo 2)

need_packages $build_packages $server_packages qemu-utils nbd-server
test -f "$top/configure" || (cd "$top" && autoreconf -fi > /dev/null 2>&1)
mkdir -p "$build"
cd "$build"
"$top/configure" -q --disable-shared \
  CFLAGS="-O0 -g --coverage -fprofile-update=atomic"
make -s -j"$jobs" > make.log 2>&1 || { tail -n 40 make.log; exit 1; }
find . -name '*.gcda' -exec rm -f {} +
# A test that fails here fails in tests/check.sh, too.  Those of the build build
# without gcov.
make -s -j"$jobs" check build_tests= > check.log 2>&1 || tail -n 20 check.log

cd lib
for data in libengine_la-*.gcda lib_libengine_la-*.gcda; do
  if test -f "$data"; then
    gcov -s "$top" -r -o . "$data" > /dev/null 2>&1
  fi
done
# "COUNT: LINE: TEXT"; "-" is no code, "#####" was not reached.
awk -F: '
  FNR == 1 {
    file = FILENAME
    sub(/\.gcov$/, "", file)
    sub(/^.*#/, "", file)
  }
  { gsub(/^ +/, "", $1); gsub(/ /, "", $2) }
  $1 == "-" || $2 == 0 { next }
  {
    lines[file]++
    if ($1 ~ /^[#=]+$/) {
      text = $0
      sub(/^[^:]*:[^:]*:/, "", text)
      print file ":" $2 ": " text
      missed[file]++
    }
  }
  END {
    for (file in lines) {
      printf "%6.2f %% of %5d lines  %s\n",
        100 * (lines[file] - missed[file]) / lines[file], lines[file], file
      all += lines[file]
      bad += missed[file]
    }
    printf "%6.2f %% of %5d lines  all\n", 100 * (all - bad) / all, all
    exit all == 0 || bad * 20 > all
  }' *.c.gcov
