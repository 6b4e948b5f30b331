# SPDX-License-Identifier: LGPL-2.1-or-later

# The static library gives a program the functions of the API and takes no
# other name from it.

. "${srcdir:=.}/tests/abi/common.sh"

archive=$builddir/lib/.libs/libnbd.a
objects=$builddir/lib/.libs/libengine.a

test -f "$archive" || skip_all "there is no static library"
test -n "$(make_variable hidden_stamp)" ||
  skip_all "these tools cannot make names local"

# The names that an archive defines for all.
names ()
{
  nm -g --defined-only "$1" | sed -n 's/^[0-9a-f]* [A-Z] //p' | sort
}

names_are_listed ()
{
  cut -d ' ' -f 1 "$list" | sort > "$tmp/list"
  names "$archive" | diff "$tmp/list" -
}

# A function of the program's own for each name that the library's objects
# share with each other, as the linker would see them if they were not hidden.
# They do nothing but end the program.
write_program ()
{
  cut -d ' ' -f 1 "$list" | sort > "$tmp/list"
  names "$objects" | comm -23 - "$tmp/list" |
    grep -x '[A-Za-z_][A-Za-z0-9_]*' > "$tmp/internal"
  echo "$(wc -l < "$tmp/internal") names"
  for _function in fail expect queue_push trace_begin error_set; do
    grep -x "$_function" "$tmp/internal" || return
  done
  {
    sed 's/.*/void & (void) { __builtin_trap (); }/' "$tmp/internal"
    cat <<'EOF'
#include <libnbd.h>
#include <stdio.h>
#include <string.h>

static int
print (void *user_data, const char *context, const char *message)
{
  return user_data != NULL || context == NULL || message == NULL;
}

int
main (void)
{
  struct nbd_handle *nbd = nbd_create ();
  nbd_debug_callback debug = { .callback = print };

  if (nbd == NULL || nbd_set_debug (nbd, 1) == -1 ||
      nbd_set_debug_callback (nbd, debug) == -1 ||
      nbd_connect_uri (nbd, "no-such-scheme://") != -1 ||
      strncmp (nbd_get_error (), "nbd_connect_uri: ", 17) != 0)
    return 1;
  printf ("%s\n", nbd_get_version (nbd));
  nbd_close (nbd);
  return 0;
}
EOF
  } > "$tmp/program.c"
}

# What the archive needs beside itself.
libraries ()
{
  for _variable in GNUTLS_LIBS LIBXML2_LIBS LIBS; do
    make_variable "$_variable"
  done
}

# link ARCHIVE NAME.  The names may be those of built-in functions.
# shellcheck disable=SC2046
link ()
{
  $CC -w -fno-builtin "-I$include" -o "$tmp/$2" "$tmp/program.c" "$1" \
    $(libraries) -lpthread
}

prints_version ()
{
  "$tmp/program" > "$tmp/printed" || return
  test "$(cat "$tmp/printed")" = "$(make_variable PACKAGE_VERSION)"
}

# A library that a program loads has a copy of its own.
# shellcheck disable=SC2046
links_into_shared_library ()
{
  echo '#include <libnbd.h>
        struct nbd_handle *plugin (void);
        struct nbd_handle *plugin (void) { return nbd_create (); }' \
    > "$tmp/plugin.c"
  $CC -shared -fPIC "-I$include" -o "$tmp/plugin.so" "$tmp/plugin.c" \
    "$archive" $(libraries) -lpthread
}

if sanitized; then
  skip "the archive's names are those of the API" \
    "the sanitizers add names of theirs"
  done_testing
fi
ok "the archive's names are those of the API" names_are_listed
need "a program is written that has all other names" write_program
ok "it is linked with the archive" link "$archive" program
ok "it runs" prints_version
ok "it could not be linked with the library's objects" \
  not link "$objects" other
if test -f "$library"; then
  ok "a shared library can hold the archive" links_into_shared_library
else
  skip "a shared library can hold the archive" \
    "without a shared library of ours the code need not be relocatable"
fi

done_testing
