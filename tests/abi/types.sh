# SPDX-License-Identifier: LGPL-2.1-or-later

# The types of every function that the system's library has, and of every
# constant that its header has, as that header says and as ours does.  A
# translation unit for each header has a pointer to each; abidiff follows what
# the compiler wrote down about them into parameters, callbacks and structs.

. "${srcdir:=.}/tests/abi/common.sh"

need_system_library
need_system_header
has abidiff || skip_all "abidiff is not installed"

write_pointers ()
{
  echo '#include <libnbd.h>'
  for _function in $(exported_functions "$system_library"); do
    echo "extern __typeof__ ($_function) *pointer_to_$_function;"
    echo "__typeof__ ($_function) *pointer_to_$_function;"
  done
  grep -v '^#' "$srcdir/tests/abi/constants.list" | cut -d ' ' -f 1 |
  while read -r _constant; do
    echo "#ifdef $_constant"
    echo "extern __typeof__ ($_constant) *pointer_to_$_constant;"
    echo "__typeof__ ($_constant) *pointer_to_$_constant;"
    echo "#endif"
  done
}

# compile_pointers FOLDER NAME
compile_pointers ()
{
  $CC -g -w -shared -fPIC -nostdlib -Wl,-soname,pointers "-I$1" \
    -o "$tmp/$2.so" "$tmp/pointers.c"
}

# same_types NAME: newer constants may be added.
same_types ()
{
  abidiff --harmless --no-added-syms "$tmp/system.so" "$tmp/$1.so"
}

# How many functions are compared.
all_functions ()
{
  _wanted=$(exported_functions "$system_library" | wc -l)
  _there=$(nm -D --defined-only "$tmp/$1.so" | grep -c pointer_to_nbd_)
  echo "$_there of $_wanted functions"
  test "$_wanted" -gt 0 && test "$_there" = "$_wanted"
}

# notices EXPRESSION: that sed changes something and abidiff says so.
notices ()
{
  mkdir -p "$tmp/changed" || return
  sed "$1" "$include/libnbd.h" > "$tmp/changed/libnbd.h"
  not cmp "$include/libnbd.h" "$tmp/changed/libnbd.h" &&
    compile_pointers "$tmp/changed" changed &&
    not same_types changed
}

write_pointers > "$tmp/pointers.c"
need "the system's header declares every function of its library" \
  compile_pointers "$system_include" system
need "so does ours" compile_pointers "$include" ours
for name in system ours; do
  ok "every function has its pointer ($name)" all_functions "$name"
done
ok "functions, callbacks, structs and constants have the same types" \
  same_types ours

while read -r what expression; do
  ok "another $(echo "$what" | tr - " ") would be noticed" notices "$expression"
done <<'EOF'
returned-type s/^int64_t nbd_get_size /int nbd_get_size /
size-of-a-number s/void \*buf, size_t count/void *buf, uint32_t count/
sign-of-a-number s/\(int nbd_poll (.*, \)int /\1unsigned /
number-of-the-same-size s/\(nbd_trim (.*, \)uint64_t c/\1unsigned long long c/
kind-of-bool s/\(nbd_set_debug (.*, \)bool /\1int /
pointed-to-type s/\(nbd_connect_unix (.*, const \)char/\1unsigned char/
constness s/\(nbd_connect_unix (.*, \)const /\1/
parameter-of-a-callback s/uint32_t \*entries/uint64_t *entries/
order /^typedef/,/^} nbd_debug/{/user_data;$/d;s/.*free.*/&void *user_data;/;}
type-of-a-constant s/\(LIBNBD_STRICT_BOUNDS .*\)U$/\1/
number-of-parameters s/\(int nbd_flush (.*\), uint32_t flags)/\1)/
EOF

done_testing
