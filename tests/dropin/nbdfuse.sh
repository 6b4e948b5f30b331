#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

GROUP=nbdfuse
. "${srcdir:=.}/tests/dropin/same.sh"
program libnbd-bin nbdfuse
has nbdkit || skip_all "nbdkit is not installed"
has qemu-nbd || skip_all "qemu-nbd is not installed"
has fusermount3 || skip_all "fusermount3 is not installed"
make_pki

cd "$tmp" || exit
server pattern nbdkit pattern 1M
server old nbdkit --oldstyle -r pattern 64K
server keys nbdkit --tls=require --tls-psk="$tmp/pki/keys.psk" pattern 1M
server certificates nbdkit --tls=require --tls-certificates="$pki" pattern 1M
tcp_server tcp pattern 1M

# mounted COMMANDS ARGUMENT...: nbdfuse with ARGUMENTS, COMMANDS while it is
# mounted, and what it exits with.
cat > mounted <<'END'
commands=$1
shift
mp=${MOUNTPOINT:-mp}
test "$mp" = file || mkdir mp
nbdfuse -P pid "$@" 2> messages &
fuse=$!
trap 'fusermount3 -q -u -z "$mp"' EXIT
trap 'exit 1' TERM
while ! test -s pid && kill -0 $fuse 2> /dev/null; do
  sleep 0.02
done
if test -s pid; then
  sh -c "$commands"
  echo "commands: $?"
  fusermount3 -u "$mp" || exit
fi
wait $fuse
echo "nbdfuse: $?"
cat messages >&2
rm -rf pid messages "$mp"
END
mounted="sh $tmp/mounted"
pattern="nbd+unix:///?socket=$tmp/pattern.sock"
export mounted pattern port tmp

run_on system '$mounted true mp "$pattern"'
grep 'nbdfuse: 0' "$tmp/system.run/stdout" > /dev/null ||
  skip_all "nbdfuse cannot mount here: $(head -n 1 "$tmp/system.run/stderr")"

loads '$mounted true mp "$pattern"'

same 'reading' \
  '$mounted "cksum < mp/nbd; stat -c \"%s %A\" mp/nbd; ls mp" mp "$pattern"'
same 'reading, with another name' \
  '$mounted "cksum < mp/disk.img; ls mp" mp/disk.img "$pattern"'
same 'reading, over a file' \
  ': > file; MOUNTPOINT=file $mounted "cksum < file" file "$pattern"'
same 'reading, read-only' \
  '$mounted "stat -c %A mp/nbd; echo x > mp/nbd" -r mp "$pattern"'
same 'reading, single-threaded' '$mounted "cksum < mp/nbd" -s mp "$pattern"'
same 'reading, one connection' '$mounted "cksum < mp/nbd" -C 1 mp "$pattern"'
same 'reading, many connections' \
  '$mounted "for i in 1 2 3 4; do cksum < mp/nbd & done; wait" -C 8 mp "$pattern"'
same 'reading, cached by the kernel' \
  '$mounted "cksum < mp/nbd; cksum < mp/nbd" -o kernel_cache mp "$pattern"'
same 'reading, at offsets' \
  '$mounted "dd if=mp/nbd bs=1000 skip=77 count=3 status=none | cksum; tail -c 10 mp/nbd | cksum" mp "$pattern"'
same 'reading, over TCP' \
  '$mounted "cksum < mp/nbd" mp --tcp 127.0.0.1 "$port"'
same 'reading, over a Unix socket' \
  '$mounted "cksum < mp/nbd" mp --unix "$tmp/pattern.sock"'
same 'reading, from a command' \
  '$mounted "cksum < mp/nbd" mp --command nbdkit -s pattern 1M'
same 'reading, from brackets' \
  '$mounted "cksum < mp/nbd" mp [ nbdkit --exit-with-parent pattern 1M ]'
same 'reading, of an oldstyle server' \
  '$mounted "cksum < mp/nbd; stat -c %A mp/nbd" mp --unix "$tmp/old.sock"'
same 'TLS with a key in a file, which nbdfuse does not allow' \
  '$mounted "cksum < mp/nbd" mp "nbds+unix://alice@/?socket=$tmp/keys.sock&tls-psk-file=$tmp/pki/keys.psk"'
same 'TLS with certificates in a folder, which nbdfuse does not allow' \
  '$mounted "cksum < mp/nbd" mp "nbds+unix:///?socket=$tmp/certificates.sock&tls-certificates=$tmp/pki/client"'
same 'reading fails' \
  '$mounted "cat mp/nbd" mp [ nbdkit --filter=error memory 1M error-pread-rate=100% ]'
same 'writing' \
  'truncate -s 1M disk; $mounted "printf abc | dd of=mp/nbd bs=1 seek=7000 conv=notrunc,fsync status=none; od -c -A d -j 6998 -N 8 mp/nbd" mp [ nbdkit file disk ]'
same 'writing, much at once' \
  'truncate -s 4M disk; $mounted "yes | head -c 3000001 | dd of=mp/nbd bs=1M conv=notrunc status=none; sync mp/nbd" mp [ nbdkit file disk ]'
same 'writing, to a qcow2 image' \
  'qemu-img create -q -f qcow2 image 1M; $mounted "yes | dd of=mp/nbd bs=64K count=3 iflag=fullblock conv=notrunc,fsync status=none" mp [ qemu-nbd -f qcow2 image ]; qemu-img convert -O raw image disk; rm image'
same 'writing, beyond the end' \
  '$mounted "printf abcdef | dd of=mp/nbd bs=1 seek=1048574 conv=notrunc" mp [ nbdkit memory 1M ] 2>&1 | grep -v copied'
same 'writing fails' \
  '$mounted "printf x | dd of=mp/nbd conv=notrunc,fsync" mp [ nbdkit --filter=error memory 1M error-pwrite-rate=100% ] 2>&1 | grep -v copied'
same 'punching a hole' \
  'yes | head -c 1M > disk; $mounted "fallocate -p -o 65536 -l 131072 mp/nbd; cksum < mp/nbd" mp [ nbdkit file disk ]'
same 'zeroing a range' \
  'yes | head -c 1M > disk; $mounted "fallocate -z -o 65536 -l 131072 mp/nbd; cksum < mp/nbd" mp [ nbdkit file disk ]'
same 'truncating, which is not possible' \
  '$mounted "truncate -s 5 mp/nbd" mp [ nbdkit memory 1M ]'
same 'a file system in it' \
  'truncate -s 4M disk; $mounted "mke2fs -q -F mp/nbd && e2fsck -n -f mp/nbd > /dev/null 2>&1" mp [ nbdkit file disk ]; rm disk'
same 'verbose' '$mounted "cksum < mp/nbd" -v mp "$pattern" 2> /dev/null'
same 'nobody listens' '$mounted true mp "nbd+unix:///?socket=$tmp/nobody.sock"'
same 'nobody listens on a port' '$mounted true mp --tcp 127.0.0.1 1'
same 'a command that ends' '$mounted true mp --command false'
same 'TLS is required' '$mounted true mp --unix "$tmp/keys.sock"'

end_group
