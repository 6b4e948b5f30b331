# SPDX-License-Identifier: LGPL-2.1-or-later

# What the test scripts share: TAP, a temporary folder, copies of the source
# and builds of them.  The environment has srcdir, builddir and CC; run by hand
# in the folder of a build, a script needs none of them but srcdir.

set -u
LC_ALL=C
export LC_ALL

: "${srcdir:=.}" "${builddir:=.}" "${CC:=cc}"
srcdir=$(cd "$srcdir" && pwd)
builddir=$(cd "$builddir" && pwd)

# A make inside a test is not part of the one that runs the tests.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS DESTDIR

# Nor is the manual's search path or pkg-config's that of whoever runs them.
unset PKG_CONFIG_PATH PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR

MAKE='make'
if command -v gmake > /dev/null 2>&1; then
  MAKE=gmake
fi

cases=0
failures=0
tmp=$(mktemp -d "${TMPDIR:-/tmp}/nbdtestXXXXXX") || exit 1
trap 'find "$tmp" -type d -exec chmod u+w "{}" +; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

# ok NAME COMMAND...: a case that holds if the command succeeds.  What it
# prints is shown if not.
ok ()
{
  _name=$1
  shift
  cases=$((cases + 1))
  if "$@" > "$tmp/output" 2>&1; then
    echo "ok $cases - $_name"
  else
    echo "not ok $cases - $_name"
    tail -n 40 "$tmp/output" | sed 's/^/# /'
    failures=$((failures + 1))
    return 1
  fi
}

# skip NAME WHY: a case that cannot run here.
skip ()
{
  cases=$((cases + 1))
  echo "ok $cases - $1 # SKIP $2"
}

# skip_all WHY: nothing in this script can run here.
skip_all ()
{
  echo "1..0 # SKIP $1"
  exit 0
}

done_testing ()
{
  echo "1..$cases"
  test "$failures" = 0
  exit
}

# Cases that the others rest on.
need ()
{
  ok "$@" || done_testing
}

has ()
{
  command -v "$1" > /dev/null 2>&1
}

not ()
{
  ! "$@"
}

# For tests that take longer than all others together.  Where they were asked
# for, a tool that is missing is a failure.
slow_test ()
{
  test "${LIBNBD_SLOW_TESTS:-}" = 1 ||
    skip_all "slow: set LIBNBD_SLOW_TESTS=1 to run it"
  for _tool; do
    need "$_tool is there" has "$_tool"
  done
}

# The place of a generated file, which in a tarball is beside the source.
generated ()
{
  if test -f "$builddir/$1"; then
    echo "$builddir/$1"
  else
    echo "$srcdir/$1"
  fi
}

# The value of a variable of the Makefile, as make expands it.
make_variable ()
{
  printf 'print-variable:\n\t@echo "$(%s)"\n' "$1" |
    (cd "${2:-$builddir}" && $MAKE -s -f Makefile -f - print-variable)
}

sanitized ()
{
  test -n "$(make_variable SANITIZE_FLAGS)"
}

# enabled VARIABLE: of the libtool of the build.
enabled ()
{
  "$builddir/libtool" --config | grep -q "^$1=yes"
}

# make_install TARGETS FOLDER
make_install ()
{
  # The targets are words.
  # shellcheck disable=SC2086
  (cd "$builddir" && $MAKE $1 DESTDIR="$2")
}

# accepts COMPILER STANDARD FOLDER FILE
accepts ()
{
  "$1" -std="$2" -Wall -Wextra -pedantic -Werror -fsyntax-only "-I$3" "$4"
}

# check_languages HOW FOLDER FILE: a case for each language that libnbd.h is
# written for.
check_languages ()
{
  cp "$3" "$3.cc" || return
  for _pair in gcc:c99 gcc:c11 gcc:c17 gcc:gnu11 \
               clang:c99 clang:c11 clang:c17 clang:gnu11 \
               g++:c++98 g++:c++03 g++:c++11 g++:c++14 g++:c++17 g++:c++20 \
               clang++:c++98 clang++:c++03 clang++:c++11 clang++:c++14 \
               clang++:c++17 clang++:c++20; do
    _cc=${_pair%%:*}
    _std=${_pair#*:}
    case $_cc in
      *++) _file=$3.cc ;;
      *) _file=$3 ;;
    esac
    _name="$_cc -std=$_std accepts the header, $1"
    if ! has "$_cc"; then
      skip "$_name" "there is no $_cc"
    elif ! echo 'int main (void) { return 0; }' |
         "$_cc" -x "$(case $_cc in *++) echo c++ ;; *) echo c ;; esac)" \
           -std="$_std" -fsyntax-only - > /dev/null 2>&1; then
      skip "$_name" "this $_cc does not know $_std"
    else
      ok "$_name" accepts "$_cc" "$_std" "$2" "$_file"
    fi
  done
}

# check_header FOLDER: it must need nothing before it.
check_header ()
{
  cat > "$tmp/header.c" <<EOF
#include <libnbd.h>
#include <libnbd.h>

nbd_completion_callback test_callback (void);

nbd_completion_callback
test_callback (void)
{
  nbd_completion_callback callback = NBD_NULL_COMPLETION;

  if (callback.callback == NULL)
    return NBD_NULL_COMPLETION;
  return callback;
}
EOF
  check_languages "as the first include" "$1" "$tmp/header.c"
}

# unpack_tarball FOLDER: make the release tarball, outside the folder of the
# build, and unpack it.
unpack_tarball ()
{
  _distdir=$tmp/$(make_variable distdir)
  _depth=$(echo "${_distdir#/}" | tr / '\n' | wc -l)

  (cd "$builddir" && $MAKE dist-gzip distdir="$_distdir") &&
    mkdir -p "$1" &&
    tar -x -z -f "$_distdir.tar.gz" -C "$1" --strip-components="$_depth" &&
    rm -f "$_distdir.tar.gz"
}

# copy_source FOLDER: the same without what is generated from the table, as it
# is in git.
copy_source ()
{
  unpack_tarball "$1" &&
    (cd "$1" && make_variable MAINTAINERCLEANFILES | xargs rm -f)
}

# configure_in FOLDER SOURCE ARGUMENTS...
configure_in ()
{
  mkdir -p "$1" || return
  (
    cd "$1" || exit
    shift
    _source=$1
    shift
    unset CC CFLAGS CPPFLAGS LDFLAGS CC_FOR_BUILD CFLAGS_FOR_BUILD
    "$_source/configure" --quiet "$@"
  )
}

# make_in FOLDER ARGUMENTS...
make_in ()
{
  (
    cd "$1" || exit
    shift
    $MAKE -j2 "$@"
  )
}
