#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# nbdkit's plugin "nbd", a client between other clients and servers.

GROUP=nbdkit
. "${srcdir:=.}/tests/dropin/same.sh"
program nbdkit nbdkit
nbdkit --dump-plugin nbd > "$tmp/plugin" 2>&1 ||
  skip_all "nbdkit-nbd-plugin is not installed"
has qemu-nbd || skip_all "qemu-nbd is not installed"
has nbdinfo || skip_all "nbdinfo is not installed"
make_pki

cd "$tmp" || exit
truncate -s 4M disk
head -c 300000 /dev/urandom | dd of=disk bs=64K seek=32 conv=notrunc 2> /dev/null
mkdir disks
cp disk disks/one
head -c 1000 /dev/urandom > disks/two
qemu-img create -q -f qcow2 image 4M
qemu-io -f qcow2 -c 'write -P 7 1M 64K' image > qemu.log 2>&1 ||
  need "an image is made" cat qemu.log /none

server plain nbdkit file "$tmp/disk"
server read-only nbdkit -r file "$tmp/disk"
server old nbdkit --oldstyle file "$tmp/disk"
server several nbdkit file dir="$tmp/disks"
server simple nbdkit --no-sr file "$tmp/disk"
server blocks nbdkit --filter=blocksize-policy file "$tmp/disk" \
  blocksize-minimum=512 blocksize-preferred=64K blocksize-maximum=1M
server broken nbdkit --threads=1 --filter=error file "$tmp/disk" error-rate=100%
server qemu qemu-nbd -r -f qcow2 -x vm -D 'of a machine' "$tmp/image"
server certificates nbdkit --tls=require --tls-certificates="$pki" \
  --tls-verify-peer file "$tmp/disk"
server optional nbdkit --tls=on --tls-certificates="$pki" file "$tmp/disk"
server keys nbdkit --tls=require --tls-psk="$tmp/pki/keys.psk" \
  file "$tmp/disk"
tcp_server tcp file "$tmp/disk"
export port tmp

# proxy NAME PARAMETERS COMMAND: what COMMAND finds behind the plugin, in $uri.
# Servers name their threads: only what the client says is compared.
proxy ()
{
  same "$1" 'nbdkit -U - nbd '"$2"' --run '\''{ '"$3"'; } 2>&1'\'' 2> /dev/null'
}
convert='qemu-img convert -O raw "$uri" out'
sum='qemu-img convert -O raw "$uri" out && cksum < out && rm out'
info='nbdinfo --no-content "$uri" | grep -v uri:'

loads 'nbdkit -U - nbd socket="$tmp/plain.sock" --run "qemu-img info \$uri"'

# What nbdinfo, with the same library, sees through the plugin.
proxy 'everything' 'socket="$tmp/plain.sock"' "$info"
proxy 'everything, of a read-only server' 'socket="$tmp/read-only.sock"' \
  "$info"
proxy 'everything, of an oldstyle server' 'socket="$tmp/old.sock"' "$info"
proxy 'everything, without structured replies' 'socket="$tmp/simple.sock"' \
  "$info"
proxy 'everything, with block sizes' 'socket="$tmp/blocks.sock"' "$info"
proxy 'everything, of qemu-nbd' 'socket="$tmp/qemu.sock" export=vm' "$info"
proxy 'a map' 'socket="$tmp/plain.sock"' 'nbdinfo --map "$uri"'
proxy 'a map, of qemu-nbd' 'socket="$tmp/qemu.sock" export=vm' \
  'nbdinfo --map "$uri"'
proxy 'a map, without structured replies' 'socket="$tmp/simple.sock"' \
  'nbdinfo --map "$uri"'
proxy 'a map, in the eyes of qemu' 'socket="$tmp/plain.sock"' \
  'qemu-img map --output=json "$uri"'

# With qemu as the client.
proxy 'a copy, by a Unix socket' 'socket="$tmp/plain.sock"' "$convert"
proxy 'a copy, by TCP' 'hostname=127.0.0.1 port=$port' "$convert"
proxy 'a copy, by a URI' '"nbd+unix:///?socket=$tmp/plain.sock"' "$convert"
proxy 'a copy, by uri= and TCP' 'uri=nbd://127.0.0.1:$port/' "$convert"
proxy 'a copy, from an oldstyle server' 'socket="$tmp/old.sock"' "$convert"
proxy 'a copy, from qemu-nbd' 'socket="$tmp/qemu.sock" export=vm' "$convert"
proxy 'a copy, of one export of several' \
  'socket="$tmp/several.sock" export=one' "$convert"
proxy 'a copy, of an odd number of bytes' \
  '"nbd+unix:///two?socket=$tmp/several.sock"' "$convert"
proxy 'a copy, shared' 'socket="$tmp/plain.sock" shared=true' "$convert"
proxy 'a copy, from qemu-nbd as a command' \
  'command=qemu-nbd arg=-r arg=-f arg=qcow2 arg="$tmp/image"' "$convert"
proxy 'a copy, from nbdkit as a command' \
  'command=nbdkit arg=pattern arg=1M' "$convert"
same 'a copy, from a connected socket' \
  'bash -c "exec 3<> /dev/tcp/127.0.0.1/$port && nbdkit -U - nbd socket-fd=3 --run \"qemu-img convert -O raw \\\"\\\$uri\\\" out\""'
proxy 'two clients at once' 'socket="$tmp/plain.sock"' \
  "qemu-img convert -O raw \"\$uri\" a & qemu-img convert -O raw \"\$uri\" b; wait; cmp a b"
proxy 'two clients at once, shared' 'socket="$tmp/plain.sock" shared=true' \
  "qemu-img convert -O raw \"\$uri\" a & qemu-img convert -O raw \"\$uri\" b; wait; cmp a b"
proxy 'many connections' 'socket="$tmp/plain.sock"' \
  'nbdcopy -C 8 "$uri" out'
same 'a proxy of a proxy' \
  'nbdkit -U - nbd socket="$tmp/plain.sock" --run "nbdkit -U - nbd \"\$uri\" --run \"qemu-img convert -O raw \\\"\\\$uri\\\" out\""'
same 'a filter in front' \
  'nbdkit -U - --filter=offset nbd socket="$tmp/plain.sock" offset=2M range=300000 --run "qemu-img convert -O raw \"\$uri\" out"'
same 'an oldstyle server in front' \
  'nbdkit -U - --oldstyle nbd socket="$tmp/plain.sock" --run "qemu-img convert -O raw \"\$uri\" out"'
same 'retry until the server is there' \
  'nbdkit -U - nbd socket="$PWD/late" retry=20 --run "nbdinfo --size \"\$uri\" & sleep 0.2; nbdkit -P pid -U late null 3M; wait; kill \$(cat pid); tail --pid=\$(cat pid) -f /dev/null" 2> /dev/null; rm -f pid late'

# Writing.
write='qemu-io -f raw -c "write -P 1 0 64K" -c "write -P 2 1000448 512" -c "write -z 16K 32K" -c "discard 1M 64K" -c flush "$uri" | grep -v ops'
same 'writing' \
  'truncate -s 2M disk; nbdkit -U - nbd command=nbdkit arg=file arg="$PWD/disk" --run '\'"$write"\'
same 'writing, to a qcow2 image' \
  'qemu-img create -q -f qcow2 image 2M; nbdkit -U - nbd command=qemu-nbd arg=-f arg=qcow2 arg="$PWD/image" --run '\'"$write"\'' && qemu-img convert -O raw image disk && rm image'
same 'writing, with FUA' \
  'truncate -s 2M disk; nbdkit -U - nbd command=nbdkit arg=file arg="$PWD/disk" --run '\''qemu-io -f raw -c "write -f -P 9 4096 4096" "$uri" | grep -v ops'\'
same 'writing, a whole disk' \
  'truncate -s 4M disk; nbdkit -U - nbd command=nbdkit arg=file arg="$PWD/disk" --run '\''qemu-img convert -n -f raw -O raw "$tmp/disk" "$uri"'\'
proxy 'writing, to a read-only server' 'socket="$tmp/read-only.sock"' \
  'qemu-io -f raw -c "write 0 512" "$uri"'

# TLS.
proxy 'TLS with certificates' \
  'socket="$tmp/certificates.sock" tls=require tls-certificates="$tmp/pki/client" tls-verify=false' "$convert"
proxy 'TLS with certificates in a folder, which its URIs do not allow' \
  '"nbds+unix:///?socket=$tmp/certificates.sock&tls-certificates=$tmp/pki/client"' "$sum"
proxy 'TLS with a key' \
  'socket="$tmp/keys.sock" tls=require tls-psk="$tmp/pki/keys.psk" tls-username=alice' "$convert"
proxy 'TLS where it is possible' \
  'socket="$tmp/optional.sock" tls=on tls-certificates="$tmp/pki/trust"' \
  "$sum"
proxy 'TLS off where it is possible' 'socket="$tmp/optional.sock" tls=off' \
  "$sum"
proxy 'TLS on where there is none' 'socket="$tmp/plain.sock" tls=on' "$sum"

# Names.
proxy 'a list of exports' 'socket="$tmp/several.sock" dynamic-export=true' \
  'nbdinfo --list "$uri" | grep -v uri:'
proxy 'an export that the client names' \
  'socket="$tmp/several.sock" dynamic-export=true' \
  'qemu-img convert -O raw "nbd+unix:///two?socket=$unixsocket" out'
proxy 'an export that the client names and is not there' \
  'socket="$tmp/several.sock" dynamic-export=true' \
  'qemu-img info "nbd+unix:///three?socket=$unixsocket" | grep -v "nbdkit:"'
proxy 'a description' \
  'socket="$tmp/qemu.sock" export=vm dynamic-export=false' \
  'nbdinfo "$uri" | grep description'

# What the plugin itself says of errors.
fails ()
{
  same "$1" 'nbdkit -f -U "$PWD/sock" nbd '"$2"' shared=true; echo $?; rm -f sock'
}
fails 'nobody listens' 'socket="$tmp/nobody.sock"'
fails 'nobody listens, tried twice' 'socket="$PWD/never" retry=1'
fails 'nobody listens on a port' 'hostname=127.0.0.1 port=1'
fails 'no such export' 'socket="$tmp/several.sock" export=three'
fails 'no such export, of qemu-nbd' 'socket="$tmp/qemu.sock" export=x'
fails 'TLS is required' 'socket="$tmp/keys.sock"'
fails 'TLS with a wrong key' \
  'socket="$tmp/keys.sock" tls=require tls-psk="$tmp/pki/other.psk" tls-username=alice'
fails 'TLS where there is none' 'socket="$tmp/plain.sock" tls=require'
fails 'a URI of another protocol' 'uri=http://localhost/'
same 'a command that ends' \
  'nbdkit -f -U "$PWD/sock" nbd command=false 2> /dev/null; echo $?; rm -f sock'
proxy 'requests fail' 'socket="$tmp/broken.sock"' \
  'qemu-io -f raw -c "read 0 512" -c "write 0 512" -c "write -z 0 4096" -c "discard 0 4096" -c flush "$uri" | grep -v ops'
same 'what the plugin can' \
  'nbdkit --dump-plugin nbd | grep "^libnbd_" | grep -v version'

end_group
