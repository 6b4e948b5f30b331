# SPDX-License-Identifier: LGPL-2.1-or-later

# The golden files are C: the header in every language and version that the
# real one supports, the wrappers with stubs for what the library has.

. "${srcdir:=.}/tests/build/common.sh"

here=$srcdir/tests/generator

check_header "$here/golden"

for cc in gcc clang; do
  name="$cc accepts the golden wrappers"
  if has "$cc"; then
    ok "$name" "$cc" -std=gnu11 -Wall -Wextra -Wstrict-prototypes -Wshadow \
      -Wno-unused-function -Werror -fsyntax-only -I"$here/stub" \
      -I"$here/golden" "$here/golden/api.c"
  else
    skip "$name" "there is no $cc"
  fi
done

done_testing
