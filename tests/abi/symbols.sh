# SPDX-License-Identifier: LGPL-2.1-or-later

# What the shared library exports and needs.  Programs that were linked with
# another libnbd.so.0 find every symbol under the version that they ask for.

. "${srcdir:=.}/tests/abi/common.sh"

need_shared_library

# Each line is "SYMBOL NODE"; "-" where a symbol has none.  Version nodes
# themselves are absolute symbols.
exports ()
{
  nm -D --defined-only --with-symbol-versions "$library" |
    awk '$2 == "A" && $3 ~ /^LIBNBD_1\.[0-9]+(@@LIBNBD_1\.[0-9]+)?$/ { next }
         { n = split ($3, part, /@+/)
           print part[1], (n > 1 ? part[2] : "-"), $2,
                 (index ($3, "@@") ? "default" : "hidden") }' |
    sort
}

# Only functions, each in the default version of its name.
only_functions ()
{
  exports | awk '
    $3 != "T" || $4 != "default" { print; bad = 1 }
    END { exit bad || NR == 0 }'
}

exports_are_listed ()
{
  exports | awk '{ print $1, $2 }' > "$tmp/exports"
  sort "$list" > "$tmp/list"
  diff "$tmp/list" "$tmp/exports"
}

list_is_table ()
{
  grep -v '^#' "$functions" | sort > "$tmp/functions"
  sort "$list" | diff "$tmp/functions" -
}

table_is_whole ()
{
  grep -v '^#' "$functions" | awk '
    NF != 2 || $1 !~ /^nbd_[a-z0-9_]+$/ || $2 !~ /^LIBNBD_1\.[0-9]*[02468]$/ ||
    seen[$1]++ { print; bad = 1 }
    END { print NR, "functions"; exit bad || NR != 168 }'
}

# dynamic TAG: the values of a tag of the dynamic section.
dynamic ()
{
  readelf -d "$library" |
    sed -n "s/^ *0x[0-9a-f]* *($1) .*\\[\\(.*\\)\\]\$/\\1/p"
}

soname_is_libnbd ()
{
  dynamic SONAME
  test "$(dynamic SONAME)" = libnbd.so.0
}

# Only what configure found may be needed beside the C library.
needed_is_expected ()
{
  _bad=0
  for _needed in $(dynamic NEEDED); do
    case $_needed in
      libc.*|libpthread.*|ld-linux*|ld64.*) ;;
      libgnutls.so.*)
        grep -q '^#define HAVE_GNUTLS 1$' "$builddir/config.h" || _bad=1 ;;
      libxml2.so.*)
        grep -q '^#define HAVE_LIBXML2 1$' "$builddir/config.h" || _bad=1 ;;
      *) _bad=1 ;;
    esac
    echo "needed: $_needed"
  done
  test "$_bad" = 0
}

# An executable takes a library only if the rest of what that needs is found.
links ()
{
  echo 'int main (void) { return 0; }' > "$tmp/main.c"
  $CC -o "$tmp/main" "$tmp/main.c" -Wl,--no-as-needed \
    -Wl,--no-allow-shlib-undefined "$library"
}

no_writable_code ()
{
  ! readelf -d "$library" | grep -w TEXTREL
}

no_executable_stack ()
{
  readelf -l -W "$library" | grep GNU_STACK
  ! readelf -l -W "$library" | grep GNU_STACK | grep -q RWE
}

ok "the table of the ABI has 168 functions" table_is_whole
ok "the library exports functions only, each with a default version" \
  only_functions
ok "it exports the listed symbols in their nodes, and nothing else" \
  exports_are_listed
ok "the listed symbols are those of the table of the ABI, with its nodes" \
  list_is_table
ok "the SONAME is libnbd.so.0" soname_is_libnbd
ok "code is not relocated" no_writable_code
ok "the stack is not executable" no_executable_stack
if sanitized; then
  skip "nothing unexpected is needed" "the sanitizers need more"
  skip "no symbol is undefined" "the sanitizers' symbols are"
else
  ok "nothing unexpected is needed" needed_is_expected
  ok "no symbol is undefined" links
fi

done_testing
