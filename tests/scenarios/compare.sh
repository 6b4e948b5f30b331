#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# Runs the scenarios on the system's libnbd 1.14 and on ours and compares their
# transcripts.  Where they may differ, and why, is in accepted.txt.

set -eu
LC_ALL=C.UTF-8
export LC_ALL

skip_all ()
{
  echo "1..0 # SKIP $*"
  exit 0
}

here=${srcdir:-.}/tests/scenarios
build=${builddir:-.}
program=$build/tests/scenarios/scenarios
case $program in
  /*) ;;
  *) program=$PWD/$program;;
esac

test -e "$build/lib/.libs/libnbd.so.0" ||
  skip_all "there is no shared library in this build"

# Where the system keeps it: the compiler's search path knows.
system=$(${CC:-cc} -print-file-name=libnbd.so.0)
test -e "$system" || skip_all "libnbd.so.0 is not installed"

work=$(mktemp -d /tmp/nbdscenariosXXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/lib" "$work/system" "$work/ours"
ln -s "$(realpath "$system")" "$work/lib/libnbd.so.0"

# The functions of 1.14: all must be called, and no others.
syms=$build/lib/libnbd.syms
test -f "$syms" || syms=${srcdir:-.}/lib/libnbd.syms
nm -D -u "$program" | sed -n 's/.*[ _]\(nbd_[a-z0-9_]*\).*/\1/p' | sort -u \
  > "$work/called"
sed -n -e '/^LIBNBD_1\.1[6-9]/q' -e '/^LIBNBD_1\.[2-9][0-9]/q' \
    -e 's/^ *\(nbd_[a-z0-9_]*\);.*/\1/p' "$syms" | sort -u > "$work/functions"
comm -13 "$work/called" "$work/functions" > "$work/uncalled"
comm -23 "$work/called" "$work/functions" > "$work/newer"
test -s "$work/functions" && test -s "$work/called" ||
  echo "the lists of functions" > "$work/uncalled"

# The library that the program was linked with is found by itself.  Leaks of
# the other one are not ours.
on_system ()
{
  LD_LIBRARY_PATH=$work/lib ASAN_OPTIONS=detect_leaks=0 "$program" "$@"
}
on_ours ()
{
  env -u LD_LIBRARY_PATH "$program" "$@"
}

if test -s "$work/newer"; then
  sed 's/^/# newer than 1.14: /' "$work/newer"
  echo "Bail out! the scenarios call functions that 1.14 does not have"
  exit 1
fi
version=$(on_system --version) ||
  skip_all "the system's libnbd.so.0 cannot be used"
case $version in
  1.14.*) ;;
  *) skip_all "the system's libnbd is $version, the scenarios are for 1.14";;
esac

if test "$(on_ours --version)" = "$version"; then
  echo "Bail out! the program does not run on the library of this build"
  exit 1
fi

# Certificates and keys; without certtool the scenarios that need them say so.
if command -v certtool > /dev/null && command -v psktool > /dev/null; then
  mkdir "$work/pki"
  sh "$here/pki.sh" "$work/pki" || {
    echo "Bail out! the certificates could not be made"
    exit 1
  }
fi
SCENARIO_PKI=$work/pki
export SCENARIO_PKI

jobs=$(nproc 2> /dev/null || echo 2)
on_system --all "$work/system" $((jobs * 2)) &
other=$!
on_ours --all "$work/ours" $((jobs * 2))
wait $other
on_ours --list > "$work/list"

status=0
${AWK:-awk} -v work="$work" -v accepted="$here/accepted.txt" \
  -f "$here/compare.awk" || status=$?
exit $status
