#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

GROUP=nbddump
. "${srcdir:=.}/tests/dropin/same.sh"
program libnbd-bin nbddump
has nbdkit || skip_all "nbdkit is not installed"
has qemu-nbd || skip_all "qemu-nbd is not installed"
make_pki

server pattern nbdkit pattern 4096
server data nbdkit data '"hello, world" @0x10000 1*300 @0xfffff 255' size=1M
server keys nbdkit --tls=require --tls-psk="$tmp/pki/keys.psk" pattern 64
data="nbd+unix:///?socket=$tmp/data.sock"
export data tmp

loads 'nbddump "$data"'

same 'a disk' 'nbddump "$data"'
same 'a disk, in UTF-8' 'LC_ALL=C.UTF-8 nbddump "$data"'
same 'a disk, in colour' 'nbddump --color "$data"'
same 'a disk, in colour, spelled otherwise' 'nbddump --colour "$data"'
same 'a disk, without colour' 'nbddump --no-colour "$data"'
same 'its beginning' 'nbddump -n 20 "$data"'
same 'its beginning, with the long option' 'nbddump --length=65600 "$data"'
same 'more than there is' 'nbddump -n 2000000 "$data"'
same 'nothing of it' 'nbddump -n 0 "$data"'
same 'another disk' 'nbddump "nbd+unix:///?socket=$tmp/pattern.sock"'
same 'an empty disk' 'nbddump -- [ nbdkit null ]'
same 'a server in brackets' \
  'nbddump -- [ nbdkit data "1 2 3 @0x200 0x55 0xAA" size=513 ]'
same 'an image of qcow2 in brackets' \
  'qemu-img create -q -f qcow2 image 64K &&
   qemu-io -f qcow2 -c "write -P 65 100 3" image > log && rm log &&
   nbddump -- [ qemu-nbd -r -f qcow2 image ] && rm image'
same 'a large sparse disk' 'nbddump -- [ nbdkit data "@0x80000000 7" size=3G ]'
same 'by TLS with a key' \
  'nbddump "nbds+unix://alice@/?socket=$tmp/keys.sock&tls-psk-file=$tmp/pki/keys.psk"'
same 'no extents' 'nbddump -- [ nbdkit --no-sr data "1 @1000 2" size=2000 ]'
same 'a read fails' \
  'nbddump -- [ nbdkit --filter=error pattern 4096 error-pread-rate=100% ]'
same 'a read fails in the middle' \
  'nbddump -- [ nbdkit eval get_size="echo 40000000" \
     pread="test \$4 = 0 || { echo EIO no more >&2; exit 1; }; head -c \$3 /dev/zero" ]'
same 'nobody listens' 'nbddump "nbd+unix:///?socket=$tmp/nobody.sock"'
same 'an export that is not there' \
  'mkdir d && nbddump -- [ nbdkit file dir=d ]; rmdir d'

end_group
