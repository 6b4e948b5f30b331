#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# The examples about negotiation, without TLS.

. "${srcdir:=.}/tests/examples/common.sh"

serve_gone
serve plain memory 1M
serve simple --no-sr memory 1M
serve oldstyle -o memory 1M
mkdir disks
head -c 77 /dev/zero >disks/one
: >disks/two
serve disks file dir=disks
"$builddir/tests/examples/extended-server" extended.sock extended.pid

for p in negotiate negotiate-async; do
  usual_failures $p @ one
  too_many $p

  run $p plain.sock ''
  fine && printed 'extended headers: refused' &&
    printed 'structured replies: agreed' &&
    printed '  has base:allocation' && printed '  grants base:allocation' &&
    printed 'size: 1048576 bytes'
  ok "$p prints the answers of a server" $?

  run $p simple.sock ''
  fine && printed 'extended headers: refused' &&
    printed 'structured replies: refused' && ! printed '  has .*' &&
    printed 'size: 1048576 bytes'
  ok "$p asks for no contexts without structured replies" $?

  run $p extended.sock ''
  fine && printed 'extended headers: agreed' &&
    printed 'structured replies: agreed' && printed 'size: 1048576 bytes'
  ok "$p prints that headers are extended" $?

  run $p disks.sock one
  fine && printed 'size: 77 bytes'
  ok "$p opens the export that is named" $?

  run $p oldstyle.sock ''
  failed 'too old'
  ok "$p fails with a server that has no options" $?

  # What is not known here: TLS on a server that has none.
  : >keys.psk
  run $p plain.sock '' keys.psk
  printed 'TLS: refused'
  ok "$p goes on when TLS is refused" $?
done

run negotiate plain.sock ''
printed 'meta contexts: 1' && printed 'meta contexts of qemu: 0' &&
  printed 'depth of allocation: no' && printed 'meta contexts granted: 1'
ok 'negotiate counts the contexts' $?

run negotiate disks.sock three
failed 'nbd_opt_.*: '
ok 'negotiate fails when there is no such export' $?

run negotiate-async plain.sock ''
printed 'list of meta contexts: complete' &&
  printed 'list of two families: complete' &&
  printed 'depth of allocation: complete' && printed 'allocation: complete' &&
  printed 'the export is open'
ok 'negotiate-async prints how each question ended' $?

run negotiate-async disks.sock three
failed 'there is no such export' && printed '  export one' &&
  printed '  export two' && printed 'list of exports: complete'
ok 'negotiate-async lists the exports when there is no such' $?

name='negotiate and negotiate-async print the contexts of qemu-nbd'
if command -v qemu-nbd >/dev/null 2>&1; then
  head -c 1000448 /dev/urandom >disk.img
  qemu-nbd -A -t --fork --pid-file qemu.pid -k "$tmp/qemu.sock" -f raw \
    disk.img >out 2>err
  run negotiate qemu.sock ''
  fine && printed '  has qemu:allocation-depth' &&
    printed 'meta contexts of qemu: 1' &&
    printed '  could grant qemu:allocation-depth' &&
    printed 'depth of allocation: yes' && printed 'meta contexts granted: 1'
  ok "$name" $?
  run negotiate-async qemu.sock ''
  fine && printed '  has qemu:allocation-depth' &&
    printed '  grants qemu:allocation-depth' &&
    printed '  grants base:allocation' && printed 'the export is open'
  ok "$name, asynchronously" $?
else
  skip "$name" 'qemu-nbd is not installed'
fi

done_testing
