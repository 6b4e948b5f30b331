#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# The examples that read, write and erase.

. "${srcdir:=.}/tests/examples/common.sh"

serve_gone
head -c 1000000 /dev/urandom >random.img

usual_failures erase-range @ zero 0 512
usual_failures sparse-read @
usual_failures sparse-read -a @
usual_failures stop-read @
usual_failures multi-conn @
usual_failures write-image random.img @
for p in erase-range sparse-read stop-read multi-conn write-image; do
  too_many $p
done

# erase-range

cp random.img disk.img
serve disk --filter=log file file=disk.img logfile=disk.log
head -c 4096 disk.img >expected
head -c 8192 /dev/zero >>expected
tail -c +12289 disk.img >>expected
run erase-range disk.sock zero 4096 8192
fine && printed 'zeroed.*' && cmp -s disk.img expected
ok 'erase-range writes zeroes' $?

run erase-range disk.sock trim 0x1000 0x1000
fine && printed 'trimmed, and on the disk' &&
  grep 'Trim id.* offset=0x1000 count=0x1000 fua=1' disk.log >/dev/null
ok 'erase-range trims' $?

run erase-range disk.sock cache 0 4096
fine && printed 'cached' &&
  grep 'Cache id.* offset=0x0 count=0x1000' disk.log >/dev/null
ok 'erase-range caches' $?

# shellcheck disable=SC2016
serve slowzero eval get_size='echo 1048576' pread='head -c $3 /dev/zero' \
  pwrite='cat >/dev/null' can_write='exit 0' can_zero='exit 0' \
  can_fast_zero='exit 0' \
  zero='echo "$5" >>zero.log
        case $5 in *fast*) echo ENOTSUP >&2; exit 1 ;; esac'
run erase-range slowzero.sock zero 0 4096
fine && printed 'zeroed'
ok 'erase-range writes zeroes slowly where it cannot be done at once' $?

# shellcheck disable=SC2016
serve nozero eval get_size='echo 1048576' pread='head -c $3 /dev/zero' \
  can_write='exit 0' pwrite='exit 1' can_zero='exit 3'
run erase-range nozero.sock trim 0 4096
failed 'the server cannot trim'
ok 'erase-range does not trim where the server cannot' $?

serve nofilter --filter=nozero memory 1M
run erase-range nofilter.sock zero 0 4096
failed 'the server cannot write zeroes'
ok 'erase-range does not write zeroes where the server cannot' $?

serve nocache --filter=nocache memory 1M cachemode=none
run erase-range nocache.sock cache 0 4096
failed 'the server cannot read ahead'
ok 'erase-range does not cache where the server cannot' $?

serve errors --filter=error memory 1M error-zero=EIO error-trim=EIO \
  error-cache=EIO error-rate=100%
for action in zero trim cache; do
  run erase-range errors.sock $action 0 4096
  failed "nbd_$action: .*Input/output error"
  ok "erase-range reports a failed $action" $?
done

run erase-range disk.sock zero 999999 2
failed 'nbd_zero: .*out of bounds'
ok 'erase-range refuses a range that reaches beyond the end' $?

run erase-range disk.sock burn 0 512
failed '^usage: .*erase-range'
ok 'erase-range refuses another action' $?

for number in '' x 12x -512; do
  run erase-range disk.sock zero "$number" 512
  failed 'not a number of bytes'
  ok "erase-range refuses the offset \"$number\"" $?
done

# write-image

write_to ()
{
  run write-image "$1" "$2.sock"
  fine && printed "$(wc -c <"$1") bytes written"
}

for size in 0 1 65535 65536 65537 1000000; do
  head -c $size random.img >part.img
  cp random.img target-$size.img
  serve target-$size file file=target-$size.img
  write_to part.img target-$size && head -c $size target-$size.img |
    cmp -s - part.img && [ "$(wc -c <target-$size.img)" -eq 1000000 ]
  ok "write-image writes $size bytes" $?
done

head -c 3000001 /dev/urandom >many.img
truncate -s 4M many-target.img
serve many file file=many-target.img
write_to many.img many && head -c 3000001 many-target.img |
  cmp -s - many.img
ok 'write-image writes more than can be in flight' $?

head -c 200000 random.img >holes.img
head -c 600000 /dev/zero >>holes.img
head -c 200000 random.img >>holes.img
cp random.img target.img
serve target --filter=log file file=target.img logfile=target.log
write_to holes.img target && cmp -s holes.img target.img &&
  grep ' Zero id' target.log >/dev/null &&
  [ "$(grep -c ' Write id' target.log)" -le 9 ] &&
  grep ' Flush id' target.log >/dev/null
ok 'write-image does not send zeroes, and flushes' $?

# Beyond the file lies more than one trim.
serve large --filter=log memory 3G logfile=large.log
write_to random.img large && [ "$(grep -c ' Trim id' large.log)" -eq 3 ]
ok 'write-image trims the rest' $?

serve few eval get_size='echo 1000000' can_write='exit 0' \
  pwrite='cat >/dev/null' can_zero='exit 3' can_trim='exit 3'
write_to holes.img few
ok 'write-image writes to a server that can do nothing else' $?

head -c 1000001 /dev/zero >larger.img
run write-image larger.img target.sock
failed 'larger than the export' && cmp -s holes.img target.img
ok 'write-image refuses a file that is too large' $?

run write-image no-such-file target.sock
failed '^no-such-file: No such file'
ok 'write-image fails when there is no file' $?

serve nowrite --threads=1 --filter=error memory 2M error-pwrite-rate=100%
run write-image random.img nowrite.sock
failed 'Input/output error' && [ ! -s out ]
ok 'write-image reports a failed write' $?

serve readonly -r memory 2M
run write-image random.img readonly.sock
failed 'nbd_aio_.*: Operation not permitted'
ok 'write-image reports a read-only export' $?

# sparse-read

if command -v qemu-nbd >/dev/null 2>&1; then
  truncate -s 1M sparse.img
  head -c 65536 random.img | dd of=sparse.img bs=65536 seek=8 conv=notrunc \
    2>/dev/null
  qemu-nbd -r -t --fork --pid-file qemu.pid -k "$tmp/qemu.sock" -f raw \
    sparse.img >out 2>err
  for option in '' -a; do
    run sparse-read $option qemu.sock
    fine && printed 'data: 65536 bytes' && printed 'holes: 983040 bytes'
    ok "sparse-read $option counts data and holes" $?
  done

  run sparse-read -d qemu.sock
  fine && printed 'data: .*' &&
    printed 'buffer: left as it is before each read'
  ok 'sparse-read -d has each answer in one piece' $?
else
  skip 'sparse-read counts data and holes' 'qemu-nbd is not installed'
fi

serve simple --no-sr file file=random.img
run sparse-read simple.sock
fine && printed 'data: 1000000 bytes' && printed 'holes: 0 bytes'
ok 'sparse-read finds no holes without structured replies' $?

run sparse-read -d simple.sock
failed 'does not promise whole answers'
ok 'sparse-read -d fails without structured replies' $?

serve broken --threads=1 --filter=error pattern 3M error-pread-rate=100%
for option in '' -a; do
  run sparse-read $option broken.sock
  failed 'Input/output error'
  ok "sparse-read $option reports a failed read" $?
done

# stop-read

run stop-read disk.sock
fine && printed '1000000 bytes read'
ok 'stop-read reads to the end' $?

run stop-read broken.sock
failed 'Input/output error'
ok 'stop-read reports a failed read' $?

# The server says that it was asked, and gives no answer until all is over.
mkfifo asked go-on
for signal in INT TERM; do
  serve silent-$signal eval get_size='echo 1000000' \
    pread="timeout 60 sh -c 'echo >$tmp/asked'; timeout 60 cat '$tmp/go-on'"
  "$builddir/examples/stop-read" silent-$signal.sock >out 2>err &
  waiting=$!
  timeout 60 cat asked >/dev/null
  kill -$signal $waiting
  wait $waiting
  status=$?
  failed '^stopped at offset 0$' && [ ! -s out ]
  ok "stop-read is stopped by SIG$signal" $?
  timeout 60 sh -c 'echo >go-on'
done

# multi-conn

serve multi --filter=log memory 1000001 logfile=multi.log
run multi-conn multi.sock
fine && [ "$(wc -l <out)" -eq 4 ] &&
  [ "$(awk '{ n += $3 } END { print n }' out)" -eq 1000001 ] &&
  [ "$(grep -c ' Cache id' multi.log)" -eq 15 ] &&
  [ "$(grep ' Read id' multi.log | sed 's/.*connection=\([0-9]*\) .*/\1/' |
       sort -u | wc -l)" -eq 4 ]
ok 'multi-conn reads over four connections' $?

serve single --filter=multi-conn memory 1000001 multi-conn-mode=disable
run multi-conn single.sock
fine && [ "$(wc -l <out)" -eq 1 ] && printed 'connection 0: 1000001 bytes, .*'
ok 'multi-conn reads over one where the server does not allow more' $?

# shellcheck disable=SC2016
serve rotational eval get_size='echo 70000' pread='head -c $3 /dev/zero' \
  can_multi_conn='exit 0' is_rotational='exit 0'
run multi-conn rotational.sock
fine && [ "$(wc -l <out)" -eq 1 ] && printed 'connection 0: 70000 bytes, .*'
ok 'multi-conn reads over one where a disk rotates' $?

run multi-conn broken.sock
failed 'Input/output error'
ok 'multi-conn reports a failed read' $?

done_testing
