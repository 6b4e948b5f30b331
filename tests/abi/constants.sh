# SPDX-License-Identifier: LGPL-2.1-or-later

# The values of the header's constants are those of the list, and those of the
# system's header.

. "${srcdir:=.}/tests/abi/common.sh"

constants=$srcdir/tests/abi/constants.list

# The names of the constants that the header in $1 defines: macros without
# parameters that are neither marks for #ifdef nor helpers for the compiler.
names ()
{
  echo '#include <libnbd.h>' | $CC -x c -E -dM "-I$1" - |
    sed -n 's/^#define \(LIBNBD_[A-Z0-9_]*\) ..*/\1/p' |
    grep -v -E '^LIBNBD_(HAVE_|ATTRIBUTE_|GCC_VERSION$)' | sort
}

# An assertion for each constant of the list $1.
write_assertions ()
{
  echo '#include <libnbd.h>'
  grep -v '^#' "$1" | while read -r _constant _value; do
    case $_constant:$_value in
      *:\"*) _condition="__builtin_strcmp ($_constant, $_value) == 0" ;;
      *) _condition="$_constant == $_value" ;;
    esac
    echo "_Static_assert ($_condition, \"$_constant\");"
  done
}

# holds FOLDER LIST
holds ()
{
  write_assertions "$2" > "$tmp/assertions.c"
  $CC -std=gnu11 -Wall -Werror -fsyntax-only "-I$1" "$tmp/assertions.c"
}

list_is_whole ()
{
  grep -v '^#' "$constants" | cut -d ' ' -f 1 > "$tmp/listed"
  names "$include" > "$tmp/defined"
  diff "$tmp/listed" "$tmp/defined"
}

# Change each value of the list in turn.
notices_every_value ()
{
  grep -v '^#' "$constants" | cut -d ' ' -f 1 > "$tmp/listed"
  while read -r _constant; do
    awk -v name="$_constant" '
      $1 == name { sub (/"$/, "x\"") || $2 = "1+" $2 }
      { print }' "$constants" > "$tmp/wrong.list"
    if holds "$include" "$tmp/wrong.list" 2> /dev/null; then
      echo "$_constant"
      return 1
    fi
  done < "$tmp/listed"
}

system_constants_are_listed ()
{
  names "$system_include" > "$tmp/system"
  test -s "$tmp/system" || return
  grep -v '^#' "$constants" | cut -d ' ' -f 1 |
    comm -13 - "$tmp/system" > "$tmp/unknown"
  cat "$tmp/unknown"
  test ! -s "$tmp/unknown"
}

# The part of the list that the system's header has, too.  Of masks, only that
# no bit was taken away.
system_values_are_ours ()
{
  names "$system_include" > "$tmp/system"
  grep -v '^#' "$constants" | sort | join "$tmp/system" - > "$tmp/common"
  grep -v _MASK "$tmp/common" > "$tmp/common.list"
  grep _MASK "$tmp/common" | while read -r _constant _value; do
    echo "($_constant&~$_value) 0"
  done >> "$tmp/common.list"
  wc -l < "$tmp/common.list"
  test "$(wc -l < "$tmp/common.list")" = "$(wc -l < "$tmp/system")" &&
    holds "$system_include" "$tmp/common.list"
}

ok "the list has every constant of the header" list_is_whole
ok "the values are those of the list" holds "$include" "$constants"
ok "another value would be noticed" notices_every_value
if find_system_header; then
  ok "every constant of the system's header is in the list" \
    system_constants_are_listed
  ok "those have the values that they have there" system_values_are_ours
else
  skip "the values are those of the system's header" \
    "the system's libnbd.h is not installed"
fi

done_testing
