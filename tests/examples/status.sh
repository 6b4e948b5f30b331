#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# The examples that ask for block status.

. "${srcdir:=.}/tests/examples/common.sh"

serve_gone
"$builddir/tests/examples/extended-server" extended.sock extended.pid

usual_failures block-status @ base:allocation
usual_failures count-data @
too_many count-data

cat >extents <<'END'
0 64K
64K 64K hole
128K 64K zero
192K 64K hole,zero
256K 768K
END
serve extents --filter=extentlist memory 1M extentlist=extents
serve plain --no-sr memory 1M
serve noextents --filter=noextents memory 5000000001
serve broken --filter=error memory 3M error-extents-rate=100%
serve empty memory 0

# block-status

cat >expected <<'END'
base:allocation 0 65536 0
base:allocation 65536 65536 1
base:allocation 131072 65536 2
base:allocation 196608 65536 3
base:allocation 262144 786432 0
END
run block-status extents.sock base:allocation
fine && cmp -s out expected
ok 'block-status prints every extent' $?

run block-status noextents.sock base:allocation
fine && [ "$(awk '{ n += $3 } END { printf "%.0f", n }' out)" = 5000000001 ]
ok 'block-status goes on where an answer ends' $?

run block-status empty.sock base:allocation
fine && [ ! -s out ]
ok 'block-status prints nothing for an empty export' $?

run block-status extents.sock base:allocation qemu:allocation-depth
failed '^qemu:allocation-depth: the server does not have it' && [ ! -s out ]
ok 'block-status fails when the server does not have a context' $?

run block-status plain.sock base:allocation
failed '^base:allocation: the server does not have it'
ok 'block-status fails without structured replies' $?

run block-status broken.sock base:allocation
failed 'nbd_block_status: .*Input/output error'
ok 'block-status reports a failed request' $?

LIBNBD_DEBUG=1
export LIBNBD_DEBUG
run block-status extended.sock base:allocation
unset LIBNBD_DEBUG
[ "$status" -eq 0 ] && printed 'base:allocation 0 1048576 0' &&
  grep 'nbd_block_status_filter: enter' err >/dev/null
ok 'block-status asks for one context where the server can filter' $?

if command -v qemu-nbd >/dev/null 2>&1; then
  head -c 1048576 /dev/urandom >disk.img
  qemu-nbd -A -r -t --fork --pid-file qemu.pid -k "$tmp/qemu.sock" -f raw \
    disk.img >out 2>err
  run block-status qemu.sock base:allocation qemu:allocation-depth
  cat >expected <<'END'
base:allocation 0 1048576 0
qemu:allocation-depth 0 1048576 1
END
  fine && cmp -s out expected
  ok 'block-status prints one context after the other' $?
else
  skip 'block-status prints one context after the other' \
    'qemu-nbd is not installed'
fi

# count-data

for way in 32 64; do
  run count-data extents.sock $way
  fine && printed '917504 of 1048576 bytes are data'
  ok "count-data counts with calls of $way bits" $?

  run count-data noextents.sock $way
  fine && printed '5000000001 of 5000000001 bytes are data'
  ok "count-data counts large exports with calls of $way bits" $?

  run count-data broken.sock $way
  failed '^at offset 0: Input/output error'
  ok "count-data reports a failed request of $way bits" $?

  run count-data extended.sock $way
  fine && printed '1048576 of 1048576 bytes are data'
  ok "count-data counts with calls of $way bits and extended headers" $?
done

run count-data extents.sock
fine && printed '917504 of 1048576 bytes are data'
ok 'count-data counts without being told how' $?

run count-data extended.sock filter
fine && printed '1048576 of 1048576 bytes are data'
ok 'count-data counts with a filter' $?

run count-data extents.sock filter
failed 'nbd_aio_block_status_filter: '
ok 'count-data fails where the server cannot filter' $?

run count-data empty.sock
fine && printed '0 of 0 bytes are data'
ok 'count-data counts an empty export' $?

run count-data plain.sock
failed 'no allocation map'
ok 'count-data fails when the server has no map' $?

run count-data extents.sock 48
failed '^usage: .*count-data'
ok 'count-data refuses another way' $?

done_testing
