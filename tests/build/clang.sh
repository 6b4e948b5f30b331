# SPDX-License-Identifier: LGPL-2.1-or-later

# Everything, the tests included, is without warnings of clang.

. "${srcdir:=.}/tests/build/common.sh"

slow_test clang

source=$tmp/source
build=$tmp/build

need "the source is copied" copy_source "$source"
need "configure" configure_in "$build" "$source" CC=clang --enable-werror
need "make" make_in "$build"
ok "make check without running the tests" make_in "$build" check TESTS=
ok "the generator was built with clang too" \
  grep -q '^CC_FOR_BUILD = clang' "$build/Makefile"

done_testing
