#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# GNU poke edits what is behind a URI.

GROUP=poke
. "${srcdir:=.}/tests/dropin/same.sh"
program poke poke
has nbdkit || skip_all "nbdkit is not installed"
has qemu-nbd || skip_all "qemu-nbd is not installed"
make_pki

cd "$tmp" || exit
server data nbdkit -r data '"hello, world" @0x1000 1*300' size=1M
server large nbdkit -r data '@0x80000000 7' size=3G
server broken nbdkit --threads=1 --filter=error pattern 1M error-pread-rate=100%
server keys nbdkit --tls=require --tls-psk="$tmp/pki/keys.psk" pattern 1M
data="nbd+unix:///?socket=$tmp/data.sock"
export data tmp

# poke_at URI COMMAND...: what follows is done with the file f.
cat > poke_at <<'END'
uri=$1
shift
set -- "$@" end
while test "$1" != end; do
  set -- "$@" -c "$1"
  shift
done
shift
exec poke -q --color=no -c "var f = open (\"$uri\")" "$@" < /dev/null
END
at="sh $tmp/poke_at"
export at

loads '$at "$data" "iosize (f)"'

same 'the size' '$at "$data" "iosize (f)"'
same 'the size, of a large disk' \
  '$at "nbd+unix:///?socket=$tmp/large.sock" "iosize (f)"'
same 'some bytes' '$at "$data" "byte[12] @ f : 0#B"'
same 'a dump' '$at "$data" "dump :from 0xff0#B :size 64#B"'
same 'all kinds of integers' \
  '$at "$data" "int<32> @ f : 0#B" "uint<64> @ f : 0xffc#B" "uint<12> @ f : 0x1000#B"'
same 'the end of a large disk' \
  '$at "nbd+unix:///?socket=$tmp/large.sock" "byte @ f : 0x80000000#B"'
same 'beyond the end' '$at "$data" "byte @ f : 1048576#B"'
same 'a search by a loop' \
  '$at "$data" "for (var i = 0x1000#B; i < 0x1140#B; i += 64#B) printf \"%i8d\n\", byte @ f : i"'
same 'writing' \
  'truncate -s 64K disk; nbdkit -U - file disk --run "\$at \"\$uri\" \"byte[3] @ f : 512#B = [1UB,2UB,3UB]\" \"byte @ f : 65535#B = 255\" \"close (f)\""'
same 'writing, to a qcow2 image' \
  'qemu-img create -q -f qcow2 image 64K &&
   nbdkit -U - nbd command=qemu-nbd arg=-f arg=qcow2 arg="$PWD/image" --run "\$at \"\$uri\" \"byte[3] @ f : 512#B = [1UB,2UB,3UB]\" \"close (f)\"" &&
   qemu-img convert -O raw image disk && rm image'
same 'writing to a read-only disk' '$at "$data" "byte @ f : 0#B = 7"'
same 'a read fails' \
  '$at "nbd+unix:///?socket=$tmp/broken.sock" "byte @ f : 0#B"'
same 'TLS with a key in a file, which poke does not allow' \
  '$at "nbds+unix://alice@/?socket=$tmp/keys.sock&tls-psk-file=$tmp/pki/keys.psk" "byte[8] @ f : 1024#B"'
same 'nobody listens' \
  '$at "nbd+unix:///?socket=$tmp/nobody.sock" "iosize (f)"'
same 'TLS is required' \
  '$at "nbd+unix:///?socket=$tmp/keys.sock" "iosize (f)"'

end_group
