#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# fio's engine "nbd", with verification of what was written.

GROUP=fio
. "${srcdir:=.}/tests/dropin/same.sh"
program fio fio
has nbdkit || skip_all "nbdkit is not installed"
has qemu-nbd || skip_all "qemu-nbd is not installed"
make_pki

cd "$tmp" || exit
server keys nbdkit --tls=require --tls-psk="$tmp/pki/keys.psk" memory 8M
tcp_server tcp pattern 8M
# fio_on ARGUMENT...: what does not depend on time: errors, bytes and requests.
cat > fio_on <<'END'
fio --name=job --ioengine=nbd "$@" --output-format=json --output=result
status=$?
grep -E '"(jobname|error|io_bytes|total_ios|short_ios|drop_ios)"' result
grep -v '^[{} ]' result >&2
rm -f result ./*verify.state
exit $status
END
fio="sh $tmp/fio_on"
# The servers: each is new for each command line.
memory='nbdkit -U - memory 16M --run'
export fio memory port tmp

loads '$memory "fio --name=x --ioengine=nbd --uri=\"\$uri\" --rw=read --size=1M"'

# on_memory NAME ARGUMENTS
on_memory ()
{
  same "$1" '$memory "$fio --uri=\"\$uri\" '"$2"'"'
}
on_memory 'sequential reads' '--rw=read --bs=64k --size=16M'
on_memory 'sequential writes, verified' \
  '--rw=write --bs=64k --size=16M --verify=crc32c --do_verify=1'
on_memory 'random reads, 32 in flight' \
  '--rw=randread --bs=4k --size=8M --iodepth=32'
on_memory 'random writes, verified' \
  '--rw=randwrite --bs=4k --size=4M --verify=crc32c --do_verify=1'
on_memory 'random writes, 64 in flight, verified' \
  '--rw=randwrite --bs=4k --size=8M --iodepth=64 --verify=sha256 --do_verify=1'
on_memory 'random reads and writes, verified' \
  '--rw=randrw --bs=4k --size=4M --iodepth=16 --verify=crc32c --do_verify=1'
on_memory 'small requests' \
  '--rw=randwrite --bs=512 --size=256k --iodepth=8 --verify=md5 --do_verify=1'
on_memory 'large requests' \
  '--rw=write --bs=4M --size=16M --iodepth=4 --verify=crc32c --do_verify=1'
on_memory 'requests of odd sizes' \
  '--rw=randwrite --bsrange=512-70k --bs_unaligned --size=4M --iodepth=8 --verify=crc32c --do_verify=1'
on_memory 'four jobs, each in its part' \
  '--rw=randwrite --bs=4k --size=2M --numjobs=4 --offset_increment=2M --iodepth=16 --verify=crc32c --do_verify=1'
on_memory 'four jobs as threads' \
  '--rw=randrw --bs=4k --size=2M --numjobs=4 --thread --offset_increment=2M --iodepth=16'
# With more in flight, how many there are depends on time.
on_memory 'flushes in between' '--rw=randwrite --bs=4k --size=1M --fsync=16'
on_memory 'flushes at the end' '--rw=write --bs=64k --size=4M --end_fsync=1'
on_memory 'trimming' '--rw=randtrim --bs=64k --size=4M --iodepth=8'
on_memory 'trimming and writing' \
  '--rw=trimwrite --bs=64k --size=4M --verify=crc32c --do_verify=1'
on_memory 'a fixed pattern, verified' \
  '--rw=write --bs=16k --size=2M --verify=pattern --verify_pattern=0xdeadbeef --do_verify=1'
on_memory 'written at one time, verified at another' \
  '--rw=randwrite --bs=8k --size=4M --verify=crc32c --do_verify=0 && $fio --uri=\"\$uri\" --rw=randwrite --bs=8k --size=4M --verify=crc32c --verify_only'
on_memory 'a wrong pattern is found' \
  '--rw=read --bs=16k --size=64k --verify=pattern --verify_pattern=0x11 2> /dev/null'
on_memory 'more than there is' '--rw=read --bs=1M --size=32M'
same 'qemu-nbd, verified' \
  'truncate -s 8M disk
   qemu-nbd -f raw --fork --persistent --pid-file="$PWD/pid" -k "$PWD/sock" disk
   $fio --uri="nbd+unix:///?socket=$PWD/sock" --rw=randrw --bs=4k --size=4M --iodepth=32 --verify=crc32c --do_verify=1
   status=$?; pid=$(cat pid); kill $pid; tail --pid=$pid -f /dev/null
   rm -f pid sock disk; exit $status'
same 'simple replies, verified' \
  'nbdkit -U - --no-sr memory 8M --run "$fio --uri=\"\$uri\" --rw=randrw --bs=16k --size=8M --iodepth=8 --verify=crc32c --do_verify=1"'
same 'over TCP' \
  '$fio --uri=nbd://127.0.0.1:$port --rw=randread --bs=4k --size=4M --iodepth=32'
same 'TLS with a key in a file, which fio does not allow' \
  '$fio --uri="nbds+unix://alice@/?socket=$tmp/keys.sock&tls-psk-file=$tmp/pki/keys.psk" --rw=read --size=64k'
same 'TLS is required' \
  '$fio --uri="nbd+unix:///?socket=$tmp/keys.sock" --rw=read --size=64k'
same 'read errors' \
  'nbdkit -U - --threads=1 --filter=error memory 8M error-pread-rate=100% --run "$fio --uri=\"\$uri\" --rw=read --bs=4k --size=64k" 2> /dev/null'
same 'write errors' \
  'nbdkit -U - --threads=1 --filter=error memory 8M error-pwrite-rate=100% --run "$fio --uri=\"\$uri\" --rw=write --bs=4k --size=64k" 2> /dev/null'
same 'writing to a read-only server' \
  'nbdkit -U - -r memory 8M --run "$fio --uri=\"\$uri\" --rw=write --bs=4k --size=64k" 2>&1'
same 'nobody listens' \
  '$fio --uri="nbd+unix:///?socket=$tmp/nobody.sock" --rw=read --size=64k 2>&1'
same 'no URI' '$fio --rw=read --size=64k 2>&1'

end_group
