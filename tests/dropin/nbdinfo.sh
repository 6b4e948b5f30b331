#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

GROUP=nbdinfo
. "${srcdir:=.}/tests/dropin/same.sh"
program libnbd-bin nbdinfo
has nbdkit || skip_all "nbdkit is not installed"
has qemu-nbd || skip_all "qemu-nbd is not installed"
make_pki

# A disk with data, holes and an image of qcow2 with a dirty bitmap.
cd "$tmp" || exit
truncate -s 8M disk
printf 'some text at the beginning\n' | dd of=disk conv=notrunc 2> /dev/null
head -c 300000 /dev/urandom |
  dd of=disk bs=64K seek=32 conv=notrunc 2> /dev/null
mkdir disks
cp disk disks/one
echo two > disks/two
: > disks/zero
{
  qemu-img create -f qcow2 dirty.qcow2 4M &&
  qemu-img bitmap --add -g 64K dirty.qcow2 changes &&
  qemu-io -f qcow2 -c 'write 1M 128K' -c 'write -z 2M 64K' dirty.qcow2 &&
  cp dirty.qcow2 other.qcow2
} > qemu.log 2>&1 || need "an image with a bitmap is made" cat qemu.log /none

server plain nbdkit file "$tmp/disk"
server several nbdkit file dir="$tmp/disks"
server old nbdkit --oldstyle -r file "$tmp/disk"
server qemu qemu-nbd -f qcow2 -x vm -D 'the disk of a machine' -B changes -A \
  "$tmp/dirty.qcow2"
server certificates nbdkit --tls=require --tls-certificates="$pki" \
  memory 1M
server keys nbdkit --tls=require --tls-psk="$tmp/pki/keys.psk" memory 1M
tcp_server tcp file "$tmp/disk"
tcp=nbd://localhost:$port
plain="nbd+unix:///?socket=$tmp/plain.sock"
several="nbd+unix:///?socket=$tmp/several.sock"
old="nbd+unix:///?socket=$tmp/old.sock"
qemu="nbd+unix:///vm?socket=$tmp/qemu.sock"
x509="nbds+unix:///?socket=$tmp/certificates.sock"
psk="nbds+unix://alice@/?socket=$tmp/keys.sock"
export tcp plain several old qemu x509 psk tmp

loads 'nbdinfo --size "$plain"'

same 'everything, over a Unix socket' 'nbdinfo "$plain"'
same 'everything, over TCP' 'nbdinfo "$tcp"'
same 'everything, as JSON' 'nbdinfo --json "$plain"'
same 'everything, of a server in brackets' \
  'nbdinfo -- [ nbdkit file "$tmp/disk" ]'
same 'everything, of qemu-nbd in brackets' \
  'nbdinfo -- [ qemu-nbd -r -f qcow2 "$tmp/other.qcow2" ]'
same 'everything, of qemu-nbd with bitmaps' 'nbdinfo "$qemu"'
same 'everything, as JSON, of qemu-nbd with bitmaps' 'nbdinfo --json "$qemu"'
same 'everything, of an oldstyle server' 'nbdinfo "$old"'
same 'everything, as JSON, of an oldstyle server' 'nbdinfo --json "$old"'
same 'everything, of a read-only server' 'nbdinfo -- [ nbdkit -r memory 1M ]'
same 'everything, of an empty export' 'nbdinfo -- [ nbdkit null ]'
same 'everything, of the largest export' \
  'nbdinfo --no-content -- [ nbdkit null 9223372036854775807 ]'
same 'everything, without structured replies' \
  'nbdinfo -- [ nbdkit --no-sr memory 1M ]'
same 'everything, with block sizes' \
  'nbdinfo -- [ nbdkit --filter=blocksize-policy memory 1M \
     blocksize-minimum=512 blocksize-preferred=64K blocksize-maximum=1M ]'
same 'everything, with a description' \
  'nbdinfo -- [ nbdkit --filter=exportname memory 1M \
     exportdesc=fixed:"two words \"quoted\"" ]'
same 'everything, in colour' 'nbdinfo --color "$plain"'
same 'everything, in colour, spelled otherwise' 'nbdinfo --colour "$plain"'
same 'everything, without colour' 'nbdinfo --no-color "$plain"'
same 'no content' 'nbdinfo --no-content "$plain"'
same 'content' 'nbdinfo --content "$plain"'
same 'content cannot be read' \
  'nbdinfo -- [ nbdkit --filter=error memory 1M error-pread-rate=100% ]'

same 'TLS with certificates' \
  'nbdinfo "$x509&tls-certificates=$tmp/pki/client"'
same 'TLS with certificates, as JSON' \
  'nbdinfo --json "$x509&tls-certificates=$tmp/pki/trust"'
same 'TLS with a key' 'nbdinfo "$psk&tls-psk-file=$tmp/pki/keys.psk"'
same 'TLS, without verification' \
  'nbdinfo --size "$x509&tls-verify-peer=false"'
same 'TLS, other name in the certificate' \
  'nbdinfo -- "nbds+unix:///?socket=$tmp/certificates.sock&tls-certificates=$tmp/pki/other-trust"'
same 'TLS, wrong key' \
  'nbdinfo "$psk&tls-psk-file=$tmp/pki/other.psk"'
same 'TLS, a user without a key' \
  'nbdinfo "nbds+unix://nobody@/?socket=$tmp/keys.sock&tls-psk-file=$tmp/pki/keys.psk"'
same 'TLS, no such file of keys' \
  'nbdinfo "$psk&tls-psk-file=/nonexistent/keys.psk"'
same 'TLS is asked for and not there' \
  'nbdinfo "nbds+unix:///?socket=$tmp/plain.sock"'
same 'TLS is not asked for and required' \
  'nbdinfo "nbd+unix:///?socket=$tmp/keys.sock"'

same 'a map' 'nbdinfo --map "$plain"'
same 'a map, as JSON' 'nbdinfo --map --json "$plain"'
same 'a map, of a part that is missing' \
  'nbdinfo --map -- [ nbdkit data "1 @0x100000 2" size=4M ]'
same 'a map, with totals' 'nbdinfo --map --totals "$plain"'
same 'a map, with totals, as JSON' 'nbdinfo --map --totals --json "$plain"'
same 'a map, in colour' 'nbdinfo --map --color "$plain"'
same 'a map, of an empty export' 'nbdinfo --map -- [ nbdkit null ]'
same 'a map, of a large export' \
  'nbdinfo --map -- [ nbdkit sparse-random 1T seed=1 percent=0.000001 ]'
same 'a map, of a server without one' \
  'nbdinfo --map -- [ nbdkit --no-sr memory 1M ]'
same 'a map, that cannot be read' \
  'nbdinfo --map -- [ nbdkit --filter=error memory 1M error-extents-rate=100% ]'
same 'a map, of a dirty bitmap' \
  'nbdinfo --map=qemu:dirty-bitmap:changes "$qemu"'
same 'a map, of a dirty bitmap, with totals' \
  'nbdinfo --map=qemu:dirty-bitmap:changes --totals "$qemu"'
same 'a map, of a dirty bitmap, as JSON' \
  'nbdinfo --map=qemu:dirty-bitmap:changes --json "$qemu"'
same 'a map, of the depth of an allocation' \
  'nbdinfo --map=qemu:allocation-depth "$qemu"'
same 'a map, that the server does not know' 'nbdinfo --map=x:nothing "$qemu"'

same 'a list' 'nbdinfo --list "$several"'
same 'a list, with the short option' 'nbdinfo -L "$several"'
same 'a list, as JSON' 'nbdinfo --list --json "$several"'
same 'a list, with content' 'nbdinfo --list --content "$several"'
same 'a list, of qemu-nbd' 'nbdinfo --list "$qemu"'
same 'a list, of qemu-nbd, as JSON' 'nbdinfo --list --json "$qemu"'
same 'a list, of an oldstyle server' 'nbdinfo --list "$old"'
same 'a list, by TLS' \
  'nbdinfo --list "$psk&tls-psk-file=$tmp/pki/keys.psk"'
same 'a list, that the server refuses' \
  'nbdinfo --list -- [ nbdkit --filter=exportname memory 1M \
     exportname-list=error ]'
same 'a list, with names that are not there' \
  'nbdinfo --list -- [ nbdkit --filter=exportname file dir="$tmp/disks" \
     exportname-list=explicit exportname=one exportname=three ]'
same 'one export of several' \
  'nbdinfo "nbd+unix:///two?socket=$tmp/several.sock"'
same 'an export that is not there' \
  'nbdinfo "nbd+unix:///three?socket=$tmp/several.sock"'
same 'an export that qemu-nbd does not have' \
  'nbdinfo "nbd+unix:///other?socket=$tmp/qemu.sock"'

same 'the size' 'nbdinfo --size "$plain"'
same 'the size, as JSON' 'nbdinfo --size --json "$plain"'
same 'the size, of a server in brackets' 'nbdinfo --size [ nbdkit null 1M ]'
same 'the size, over TCP with an export name' 'nbdinfo --size "$tcp/name"'

for what in read-only rotational tls; do
  same "is $what" "nbdinfo --is $what \"\$plain\""
done
same 'is read-only, with -r' 'nbdinfo --is read-only -- [ nbdkit -r null 1M ]'
same 'is tls, with TLS' \
  'nbdinfo --is tls "$psk&tls-psk-file=$tmp/pki/keys.psk"'
same 'is rotational, where it is' \
  'nbdinfo --is rotational -- [ nbdkit eval get_size="echo 1M" \
     is_rotational="exit 0" ]'
for what in cache connect df fast-zero flush fua multi-conn read \
            structured-reply trim write zero; do
  same "can $what" "nbdinfo --can $what \"\$plain\""
done
same 'can multi-conn, where it cannot' \
  'nbdinfo --can multi-conn -- [ nbdkit --filter=multi-conn memory 1M \
     multi-conn-mode=disable ]'
same 'can connect, where nobody listens' \
  'nbdinfo --can connect "nbd+unix:///?socket=$tmp/nobody.sock"'
same 'can something that is not known' 'nbdinfo --can fly "$plain"'

same 'nobody listens on a Unix socket' \
  'nbdinfo "nbd+unix:///?socket=$tmp/nobody.sock"'
same 'nobody listens on a port' 'nbdinfo nbd://127.0.0.1:1/'
same 'a URI of another protocol' 'nbdinfo http://localhost/'
same 'a URI without a socket' 'nbdinfo nbd+unix:///'
same 'a URI with a port that is none' 'nbdinfo nbd://localhost:x/'
same 'a parameter of a URI that is not known' 'nbdinfo --size "$plain&x=y"'
# What else they say depends on when the program has ended.
same 'a program in brackets that is not there' \
  'nbdinfo -- [ /nonexistent ] 2> messages; echo $?
   grep -o "/nonexistent: .*" messages; rm messages'
same 'a program in brackets that ends' 'nbdinfo -- [ false ] 2> /dev/null'
same 'brackets without an end' 'nbdinfo -- [ nbdkit null 1M'
same 'no argument' 'nbdinfo'

end_group
