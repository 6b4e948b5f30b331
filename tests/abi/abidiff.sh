# SPDX-License-Identifier: LGPL-2.1-or-later

# The shared library against the system's, as abidiff sees them: functions are
# added, and nothing else differs.  The system's has no debug information, so
# that its types are compared elsewhere (types.sh).

. "${srcdir:=.}/tests/abi/common.sh"

need_shared_library
need_system_library
has abidiff || skip_all "abidiff is not installed"

soname ()
{
  readelf -d "$1" | sed -n 's/.*SONAME.*\[\(.*\)\]$/\1/p'
}

same_soname ()
{
  echo "the system's is $(soname "$system_library")"
  echo "ours is $(soname "$library")"
  test -n "$(soname "$library")" &&
    test "$(soname "$library")" = "$(soname "$system_library")"
}

# The second library lacks or changes nothing of the first.
only_adds ()
{
  abidiff --no-added-syms "$1" "$2"
}

# The system's library is the one that has less.
notices_removed_functions ()
{
  test "$(exported_functions "$library" | wc -l)" -gt \
    "$(exported_functions "$system_library" | wc -l)" || return
  not only_adds "$library" "$system_library"
}

# abidiff names the version of a symbol that has another one.
notices_another_node ()
{
  echo 'int nbd_create (void); int nbd_create (void) { return 0; }' \
    > "$tmp/node.c"
  for _node in LIBNBD_1.0 LIBNBD_1.2; do
    echo "$_node { global: nbd_create; local: *; };" > "$tmp/node.syms"
    $CC -shared -fPIC -o "$tmp/$_node.so" "$tmp/node.c" \
      -Wl,-soname,libnbd.so.0,--version-script,"$tmp/node.syms" || return
  done
  only_adds "$tmp/LIBNBD_1.0.so" "$tmp/LIBNBD_1.0.so" &&
    not only_adds "$tmp/LIBNBD_1.0.so" "$tmp/LIBNBD_1.2.so"
}

ok "the SONAME is that of the system's library" same_soname
ok "every symbol of the system's library is there, in its node" \
  only_adds "$system_library" "$library"
ok "a symbol that is missing would be noticed" notices_removed_functions
ok "so would one in another node" notices_another_node

done_testing
