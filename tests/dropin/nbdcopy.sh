#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

GROUP=nbdcopy
. "${srcdir:=.}/tests/dropin/same.sh"
program libnbd-bin nbdcopy
has nbdkit || skip_all "nbdkit is not installed"
has qemu-nbd || skip_all "qemu-nbd is not installed"
make_pki

# A disk of 8 MiB with data, zeroes that are written, and holes.
cd "$tmp" || exit
truncate -s 8M disk
head -c 1000001 /dev/urandom | dd of=disk bs=1M seek=2 conv=notrunc 2> /dev/null
head -c 1M /dev/zero | dd of=disk bs=1M seek=4 conv=notrunc 2> /dev/null
head -c 70000 /dev/urandom |
  dd of=disk bs=100000 seek=70 conv=notrunc 2> /dev/null
chmod 444 disk
head -c 2234567 disk > odd

server disk nbdkit file "$tmp/disk"
server dense nbdkit --filter=noextents file "$tmp/disk"
server certificates nbdkit --tls=require --tls-certificates="$pki" \
  file "$tmp/disk"
server keys nbdkit --tls=require --tls-psk="$tmp/pki/keys.psk" \
  file "$tmp/disk"
server broken nbdkit --threads=1 --filter=error file "$tmp/disk" error-pread-rate=100%
server rejects nbdkit --threads=1 --filter=error memory 8M error-pwrite-rate=100%
tcp_server tcp file "$tmp/disk"
tcp=nbd://127.0.0.1:$port
disk="nbd+unix:///?socket=$tmp/disk.sock"
map='qemu-img map --output=json -f raw'
export tcp disk map tmp

prepare ()
{
  truncate -s 8M target
}

loads 'nbdcopy "$disk" null:'

# From NBD to a file.  "out" is compared with the disk, and by its checksum.
copy ()
{
  same "$1" "$2 && cmp \"\$tmp/disk\" out"
}
copy 'to a file' 'nbdcopy "$disk" out'
copy 'to a file, over TCP' 'nbdcopy "$tcp" out'
copy 'to a file, from a server in brackets' \
  'nbdcopy -- [ nbdkit file "$tmp/disk" ] out'
copy 'to a file, from qemu-nbd in brackets' \
  'nbdcopy -- [ qemu-nbd -r -f raw "$tmp/disk" ] out'
copy 'to a file, with TLS and certificates' \
  'nbdcopy "nbds+unix:///?socket=$tmp/certificates.sock&tls-certificates=$tmp/pki/client" out'
copy 'to a file, with TLS and a key' \
  'nbdcopy "nbds+unix://alice@/?socket=$tmp/keys.sock&tls-psk-file=$tmp/pki/keys.psk" out'
copy 'to a file that is there' 'nbdcopy "$disk" target && mv target out'
copy 'to a file, as sparse as it was' 'nbdcopy "$disk" out && $map out'
copy 'to a file, sparse by zeroes that are found' \
  'nbdcopy "nbd+unix:///?socket=$tmp/dense.sock" out && $map out'
copy 'to a file, allocated' 'nbdcopy --allocated "$disk" out && $map out'
copy 'to a file, no search for zeroes' \
  'nbdcopy -S 0 "$disk" out && $map out'
copy 'to a file, search for larger zeroes' \
  'nbdcopy --sparse=65536 "$disk" out && $map out'
copy 'to a file, no extents' 'nbdcopy --no-extents "$disk" out && $map out'
copy 'to a file, synchronous' \
  'nbdcopy --synchronous "$disk" out && $map out'
copy 'to a file, which is zero' \
  'nbdcopy --destination-is-zero "$disk" out && $map out'
copy 'to a file, which is zero, spelled otherwise' \
  'nbdcopy --target-is-zero "$disk" out'
copy 'to a file, one connection' 'nbdcopy --connections=1 "$disk" out'
copy 'to a file, eight connections' 'nbdcopy -C 8 "$disk" out'
copy 'to a file, one request at a time' 'nbdcopy --requests=1 "$disk" out'
copy 'to a file, many requests' 'nbdcopy -R 1000 "$disk" out'
copy 'to a file, one thread' 'nbdcopy --threads=1 "$disk" out'
copy 'to a file, many threads' 'nbdcopy -T 16 -C 16 "$disk" out'
copy 'to a file, small requests' 'nbdcopy --request-size=65536 "$disk" out'
copy 'to a file, large requests' \
  'nbdcopy --request-size=33554432 --queue-size=67108864 "$disk" out'
copy 'to a file, a short queue' 'nbdcopy --queue-size=262144 "$disk" out'
copy 'to a file, flushed' 'nbdcopy --flush "$disk" out'
copy 'to a file, verbose' 'nbdcopy -v "$disk" out 2> /dev/null'
copy 'to stdout' 'nbdcopy "$disk" - > out'
copy 'to stdout, in a pipe' 'nbdcopy "$disk" - | cat > out'
copy 'to another file' 'nbdcopy "$tmp/disk" out'

# From a file, or stdin, to NBD: the server writes to "target".
upload ()
{
  same "$1" "$2 && cmp \"\$tmp/disk\" target"
}
upload 'from a file' 'nbdcopy -- "$tmp/disk" [ nbdkit file target ]'
upload 'from a file, to qemu-nbd' \
  'nbdcopy -- "$tmp/disk" [ qemu-nbd -f raw target ]'
upload 'from a file, to a qcow2 image' \
  'qemu-img create -q -f qcow2 image 8M &&
   nbdcopy -- "$tmp/disk" [ qemu-nbd -f qcow2 image ] &&
   qemu-img convert -O raw image target && rm image'
upload 'from a file, where everything is zero' \
  'nbdcopy --destination-is-zero --flush -- "$tmp/disk" [ nbdkit file target ] && $map target'
upload 'from a file, over what was there' \
  'tr "\0" x < target > full && mv full target &&
   nbdcopy -- "$tmp/disk" [ nbdkit file target ] && $map target'
upload 'from a file, allocated' \
  'nbdcopy --allocated -- "$tmp/disk" [ nbdkit file target ] && $map target'
upload 'from a file, without trim and zeroes' \
  'nbdcopy -- "$tmp/disk" [ nbdkit --filter=nozero file target ]'
upload 'from stdin' 'nbdcopy -- - [ nbdkit file target ] < "$tmp/disk"'
upload 'from a pipe' 'cat "$tmp/disk" | nbdcopy -- - [ nbdkit file target ]'
upload 'from NBD' 'nbdcopy -- "$disk" [ nbdkit file target ]'
upload 'from NBD, synchronous' \
  'nbdcopy --synchronous -- "$disk" [ nbdkit file target ]'
upload 'from NBD, many connections' \
  'nbdkit -U - file target --run "nbdcopy -C 8 -R 16 \"\$disk\" \"\$uri\""'
upload 'from NBD, between brackets' \
  'nbdcopy -- [ qemu-nbd -r -f raw "$tmp/disk" ] [ nbdkit file target ]'
upload 'from NBD, small requests and block sizes' \
  'nbdcopy --request-size=32768 -- "$disk" [ nbdkit --filter=blocksize-policy file target blocksize-minimum=512 blocksize-preferred=4096 blocksize-maximum=64K ]'
same 'an odd number of bytes, to a file' \
  'nbdcopy -- [ nbdkit file "$tmp/odd" ] out && cmp "$tmp/odd" out'
same 'an odd number of bytes, from stdin' \
  'nbdcopy -- - [ nbdkit file target ] < "$tmp/odd"'
same 'an odd number of bytes, to NBD' \
  'nbdcopy -- "$tmp/odd" [ nbdkit file target ]'
same 'no bytes' 'nbdcopy -- [ nbdkit null ] out'
same 'to nothing' 'nbdcopy "$disk" null:'
same 'to nothing, from a large export' \
  'nbdcopy -- [ nbdkit sparse-random 1T seed=1 percent=0.00001 ] null:'
same 'progress, on a descriptor' \
  'nbdcopy --progress=3 "$disk" out 3> progress; tail -n 1 progress > last; rm progress'
same 'progress, as a bar' \
  'nbdcopy -p "$disk" null: 2> bar; grep -c 100 bar; rm bar'

# Errors.
one='--connections=1 --requests=1 --threads=1'
export one
same 'the target is too small' 'nbdcopy -- "$tmp/disk" [ nbdkit memory 1M ]'
same 'the target is too small, from NBD' \
  'nbdcopy -- "$disk" [ nbdkit memory 1M ]'
same 'the target is too small, from stdin' \
  'nbdcopy -- - [ nbdkit memory 1M ] < "$tmp/disk"'
same 'the target is read-only' 'nbdcopy -- "$tmp/disk" [ nbdkit -r memory 8M ]'
same 'a read fails' \
  'nbdcopy $one "nbd+unix:///?socket=$tmp/broken.sock" null:'
same 'a read fails, synchronous' \
  'nbdcopy --synchronous "nbd+unix:///?socket=$tmp/broken.sock" null:'
same 'a read fails, many in flight' \
  'nbdcopy "nbd+unix:///?socket=$tmp/broken.sock" null: 2> /dev/null'
same 'a write fails' \
  'nbdcopy $one --no-extents -S 0 "$tmp/disk" "nbd+unix:///?socket=$tmp/rejects.sock"'
same 'a write fails, synchronous' \
  'nbdcopy --synchronous --no-extents -S 0 "$tmp/disk" "nbd+unix:///?socket=$tmp/rejects.sock"'
same 'extents cannot be had' \
  'nbdcopy $one -- [ nbdkit --filter=error file "$tmp/disk" error-extents-rate=100% ] out 2> /dev/null'
# The shell that dies with its server leaves nothing behind.
die='{ rm -r $tmpdir; kill -9 $PPID; }'
export die
same 'the server dies' \
  'nbdcopy $one -- [ nbdkit eval get_size="echo 10000000" pread="test \$4 -lt 5000000 || $die; head -c \$3 /dev/zero" ] null:'
same 'the server dies, synchronous' \
  'nbdcopy --synchronous -- [ nbdkit eval get_size="echo 10000000" pread="test \$4 -lt 5000000 || $die; head -c \$3 /dev/zero" ] null:'
same 'the server dies, many in flight' \
  'nbdcopy -- [ nbdkit eval get_size="echo 10000000" pread="test \$4 -lt 5000000 || $die; head -c \$3 /dev/zero" ] null: 2> /dev/null'
same 'nobody listens' 'nbdcopy "nbd+unix:///?socket=$tmp/nobody.sock" out'
same 'no file' 'nbdcopy /nonexistent/file null:'
same 'a program in brackets that ends' 'nbdcopy -- [ false ] null: 2> /dev/null'
same 'a request size that is too large' \
  'nbdcopy --request-size=67108864 "$disk" null:'
same 'a request size that is no power of two' \
  'nbdcopy --request-size=100000 "$disk" null:'

end_group
