# SPDX-License-Identifier: LGPL-2.1-or-later

# Programs that are to be built with older versions as well ask LIBNBD_HAVE_*
# whether there is a function.

. "${srcdir:=.}/tests/abi/common.sh"

need_shared_library

names_of_functions ()
{
  grep -v '^#' "$functions" | cut -d ' ' -f 1
}

# Each function that is declared has its macro, so that this compiles only if
# the macros and the declarations are all there.
every_function_has_its_macro ()
{
  {
    echo '#include <libnbd.h>'
    names_of_functions | while read -r _macro; do
      echo "#ifndef LIBNBD_HAVE_$(echo "$_macro" | tr a-z A-Z)"
      echo "#error $_macro has no macro"
      echo "#endif"
      echo "#if LIBNBD_HAVE_$(echo "$_macro" | tr a-z A-Z) != 1"
      echo "#error the macro of $_macro is not 1"
      echo "#endif"
      echo "extern __typeof__ (&$_macro) pointer_to_$_macro;"
    done
  } > "$tmp/macros.c"
  test "$(names_of_functions | wc -l)" = 168 &&
    $CC -Wall -Werror -fsyntax-only "-I$1" "$tmp/macros.c"
}

# Print the macros of the header in $1.
macros ()
{
  echo '#include <libnbd.h>' | $CC -x c -E -dM "-I$1" - |
    sed -n 's/^#define LIBNBD_HAVE_\([A-Z0-9_]*\) .*/\1/p' | sort
}

# Functions and callbacks, and nothing that is not there.
every_macro_has_something ()
{
  macros "$include" | tr A-Z a-z | sort > "$tmp/all"
  grep -v '_callback$' "$tmp/all" > "$tmp/macros"
  grep '_callback$' "$tmp/all" > "$tmp/callbacks"
  names_of_functions | sort | comm -13 - "$tmp/macros" > "$tmp/unknown"
  cat "$tmp/unknown"
  test ! -s "$tmp/unknown" || return
  {
    echo '#include <libnbd.h>'
    while read -r _macro; do
      case $_macro in
        nbd_*_callback)
          if names_of_functions | grep -q -x "$_macro"; then
            continue
          fi ;;
      esac
      echo "extern $_macro variable_$_macro;"
    done < "$tmp/callbacks"
  } > "$tmp/callbacks.c"
  $CC -Wall -Werror -fsyntax-only "-I$include" "$tmp/callbacks.c"
}

system_macros_are_there ()
{
  macros "$system_include" > "$tmp/system"
  test -s "$tmp/system" || return
  macros "$include" | comm -13 - "$tmp/system" > "$tmp/missing"
  cat "$tmp/missing"
  test ! -s "$tmp/missing"
}

# A program that uses the newest function that there is.  Its words say which.
cat > "$tmp/program.c" <<'EOF'
#include <libnbd.h>
#include <stdio.h>

int
main (void)
{
  struct nbd_handle *nbd = nbd_create ();

  if (nbd == NULL)
    return 1;
#ifdef LIBNBD_HAVE_NBD_SET_TCP_OPTION
  printf ("tcp %d\n", nbd_set_tcp_option (nbd, -1, 0) == -1);
#elif defined LIBNBD_HAVE_NBD_STATS_BYTES_SENT
  printf ("stats %d\n", (int) nbd_stats_bytes_sent (nbd));
#else
  printf ("old %d\n", nbd_get_opt_mode (nbd));
#endif
#ifdef LIBNBD_HAVE_NBD_AIO_NO_SUCH_FUNCTION
#error this function is in no version
#endif
  nbd_close (nbd);
  return 0;
}
EOF

# build FOLDER LIBRARY NAME
build ()
{
  $CC -Wall -Werror "-I$1" -o "$tmp/$3" "$tmp/program.c" "$2"
}

# prints NAME WORDS FOLDER: with the library in a folder, "" for the system's.
prints ()
{
  LD_LIBRARY_PATH=$3 "$tmp/$1" > "$tmp/printed" || return
  cat "$tmp/printed"
  grep -q -x "$2" "$tmp/printed"
}

ok "each of the 168 functions has its macro" \
  every_function_has_its_macro "$include"
ok "each macro has a function or a callback" every_macro_has_something

if sanitized; then
  skip "programs run" "the sanitizers must be linked with them"
else
  need "a program is built with this header" build "$include" "$library" new
  ok "it takes the newest function" \
    prints new 'tcp 1' "$(dirname "$library")"
  if ! find_system_header || ! find_system_library; then
    skip "a program is built with the system's header" \
      "the system's libnbd is not installed, or not to build with"
  else
    ok "every macro of the system's header is there" system_macros_are_there
    ok "the same program is built with the system's header" \
      build "$system_include" "$system_library" old
    ok "it takes what that has" prints old '[a-z]* [0-9]*' ''
    cp "$tmp/printed" "$tmp/words"
    ok "it does the same with this library" \
      prints old "$(cat "$tmp/words")" "$(dirname "$library")"
  fi
fi

done_testing
