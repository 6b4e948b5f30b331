# SPDX-License-Identifier: LGPL-2.1-or-later

# The layout of every public struct (layout.c).

. "${srcdir:=.}/tests/abi/common.sh"

source=$srcdir/tests/abi/layout.c

# compiles COMPILER LANGUAGE FOLDER CALLBACKS OPTIONS...
compiles ()
{
  _cc=$1
  _language=$2
  _include=$3
  _callbacks=$4
  shift 4
  "$_cc" -x "$_language" -std="${_language}11" -Wall -Werror -fsyntax-only \
    "-I$_include" -DCALLBACKS="$_callbacks" "$@" "$source"
}

# Without a 32-bit C library its headers do for this, but for one that says
# nothing about types.
mkdir -p "$tmp/gnu"
: > "$tmp/gnu/stubs-32.h"
for_32_bits ()
{
  echo "-m32 -I$tmp -idirafter $(echo '#include <sys/socket.h>' |
    "$1" -x c -E - | sed -n 's/^# 1 "\(.*\)\/sys\/socket\.h".*/\1/p' |
    head -n 1)"
}

# Flags are lists of words.
# shellcheck disable=SC2046
compiles_for_32_bits ()
{
  compiles "$1" c "$include" 8 $(for_32_bits "$1")
}

# shellcheck disable=SC2046
has_32_bits ()
{
  echo '#include <sys/socket.h>
        _Static_assert (sizeof (void *) == 4, "32 bits");' |
    "$1" $(for_32_bits "$1") -x c -fsyntax-only - 2> /dev/null
}

# notices EXPRESSION
notices ()
{
  mkdir -p "$tmp/changed" || return
  sed "$1" "$include/libnbd.h" > "$tmp/changed/libnbd.h"
  not cmp "$include/libnbd.h" "$tmp/changed/libnbd.h" &&
    not compiles "$CC" c "$tmp/changed" 8
}

for cc in gcc clang; do
  if ! has "$cc"; then
    skip "structs are as programs expect, $cc" "there is no $cc"
    continue
  fi
  ok "structs are as programs expect, $cc" compiles "$cc" c "$include" 8
  ok "so they are in C++, $cc" compiles "$cc" c++ "$include" 8
  if has_32_bits "$cc"; then
    ok "so they are with 32 bits, $cc" compiles_for_32_bits "$cc"
  else
    skip "so they are with 32 bits, $cc" "this $cc does not know such machines"
  fi
done

# 1.14 has neither 64-bit extents nor close callbacks, and later versions have.
if find_system_header; then
  ok "so they are in the system's header" compiles "$CC" c \
    "$system_include" '(6 + N_EXTENT64 + N_CLOSE)'
else
  skip "so they are in the system's header" \
    "the system's libnbd.h is not installed"
fi

ok "a member that is added would be noticed" \
  notices 's/^} nbd_list_callback;/int more; &/'
ok "so would members in another order" \
  notices 's/^  uint64_t length;.*//; s/^  uint64_t flags;/&uint64_t length;/'
ok "so would another parameter of a callback" \
  notices 's/unsigned status, int/int status, int/'
ok "so would a callback without a struct" \
  notices '/^#define LIBNBD_HAVE_NBD_CLOSE_CALLBACK/d'

done_testing
