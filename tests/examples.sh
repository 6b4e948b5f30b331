#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# The example programs against nbdkit: what they print, and how they fail.

. "${srcdir:=.}/tests/examples/common.sh"

programs='connect-socket copy-image list-exports map-image poll-loop
          simple-read write-block'

# How they are called.

for p in $programs; do
  run $p
  failed '^usage: .*'"$p" && [ ! -s out ]
  ok "$p without arguments says how it is used" $?

  run $p 1 2 3 4
  failed '^usage: .*'"$p" && [ ! -s out ]
  ok "$p with too many arguments says how it is used" $?

  case $p in
  copy-image) more=new.img ;;
  poll-loop) more=nobody.sock ;;
  write-block) more=0 ;;
  *) more= ;;
  esac
  run $p nobody.sock $more
  failed 'No such file or directory'
  ok "$p fails when nobody listens" $?

  run $p "$(printf '%0200d' 0)" $more
  failed '[Tt]oo long'
  ok "$p fails when the path is too long for a socket" $?
done

[ ! -e new.img ]
ok 'copy-image makes no file when it cannot connect' $?

# A server of another kind: it hangs up, and never was an NBD server.

if serve_gone; then
  for p in $programs; do
    case $p in
    copy-image) more=new.img ;;
    poll-loop) more=gone.sock ;;
    write-block) more=0 ;;
    *) more= ;;
    esac
    run $p gone.sock $more
    failed .
    ok "$p fails when the server hangs up" $?
  done
else
  ok 'a server that hangs up' 1
fi

# simple-read

serve read1 data data='"hello" @0x1fe 0x55 0xAA' size=1M
run simple-read read1.sock
fine && printed 'size: 1048576 bytes' && [ "$(wc -l <out)" -eq 33 ] &&
  printed '0000: 68 65 6c 6c 6f\( 00\)*  hello\.*' &&
  printed '01f0:\( 00\)* 55 aa  \.*U\.'
ok 'simple-read prints the first sector' $?

serve read2 data data='"hello"'
run simple-read read2.sock
fine && printed 'size: 5 bytes' && [ "$(wc -l <out)" -eq 2 ] &&
  printed '0000: 68 65 6c 6c 6f  *  hello'
ok 'simple-read prints an export that is smaller than a sector' $?

serve empty memory 0
run simple-read empty.sock
fine && printed 'size: 0 bytes' && [ "$(wc -l <out)" -eq 1 ]
ok 'simple-read does not read from an empty export' $?

serve broken --threads=1 --filter=error pattern 3M error-pread-rate=100%
run simple-read broken.sock
failed 'nbd_pread: .*Input/output error'
ok 'simple-read reports a failed read' $?

# connect-socket

serve named --filter=exportname memory 12345 default-export=disk \
  exportname=disk exportdesc=fixed:'A small disk'
run connect-socket named.sock
fine && printed 'canonical name:  *disk' &&
  printed 'description:  *A small disk' &&
  printed 'size:  *12345 bytes'
ok 'connect-socket prints canonical name, description and size' $?

printed 'transmission flags:  *flush fua .*multi-conn' &&
  printed 'protocol:  *newstyle-fixed, structured replies'
ok 'connect-socket prints flags and protocol' $?

escape=$(printf '\033')
serve evil --filter=exportname memory 1M default-export="a${escape}b" \
  exportname="a${escape}b" exportname-list=explicit \
  exportdesc=fixed:"c${escape}d"
run connect-socket evil.sock
fine && printed 'canonical name:  *a?b' && printed 'description:  *c?d'
ok 'connect-socket prints no control characters of the server' $?

serve plain -r --no-sr --filter=blocksize-policy memory 1M \
  blocksize-minimum=512 blocksize-preferred=4096 blocksize-maximum=65536
run connect-socket plain.sock
fine && printed 'description:  *(none)' &&
  printed 'block sizes:  *minimum 512, preferred 4096, maximum 65536' &&
  printed 'transmission flags:  *read-only .*' &&
  printed 'protocol:  *newstyle-fixed, simple replies'
ok 'connect-socket prints block sizes, read-only and simple replies' $?

serve oldstyle -o memory 1M
run connect-socket oldstyle.sock
fine && printed 'export name:  *(empty: the default export)' &&
  printed 'block sizes:  *not given by the server' &&
  printed 'protocol:  *oldstyle, simple replies'
ok 'connect-socket prints what little an oldstyle server says' $?

serve_tcp tcp memory 7654321
name='connect-socket connects to a host and a port'
if [ "$port" ]; then
  run connect-socket 127.0.0.1 "$port"
  fine && printed 'size:  *7654321 bytes'
  ok "$name" $?
else
  skip "$name" 'no port was free'
fi

# Nothing of NBD listens on the first port.
run connect-socket 127.0.0.1 1
failed '^127.0.0.1, port 1: '
ok 'connect-socket fails when nothing listens on a port' $?

run connect-socket 127.0.0.1 no-such-service
failed '^127.0.0.1, port no-such-service: '
ok 'connect-socket fails for an unknown service' $?

# map-image

cat >extents <<'END'
0 64K
64K 64K hole
128K 64K zero
192K 64K hole,zero
256K 768K
END
cat >expected <<'END'
          offset           length  state
               0            65536  data
           65536            65536  hole
          131072            65536  zero
          196608            65536  hole, zero
          262144           786432  data
851968 of 1048576 bytes are data
END
serve extents --filter=extentlist memory 1M extentlist=extents
run map-image extents.sock
fine && cmp -s out expected
ok 'map-image prints every area with its state' $?

# More than one request can cover; each of them is a multiple of 1 GiB.
serve large --filter=noextents memory 5000000001
run map-image large.sock
fine && [ "$(wc -l <out)" -eq 3 ] &&
  printed '  *0  *5000000001  data' &&
  printed '5000000001 of 5000000001 bytes are data'
ok 'map-image merges the answers to several requests' $?

run map-image empty.sock
fine && [ "$(wc -l <out)" -eq 2 ] && printed '0 of 0 bytes are data'
ok 'map-image prints an empty map for an empty export' $?

run map-image plain.sock
failed 'no allocation map'
ok 'map-image fails when the server has no map' $?

serve nomap --filter=error memory 3M error-extents-rate=100%
run map-image nomap.sock
failed 'nbd_block_status_64: .*Input/output error'
ok 'map-image reports a failed request' $?

# copy-image

copy_of ()
{
  run copy-image "$1.sock" copy.img
  fine && cmp -s "$2" copy.img
}

for size in 0 1 511 262144 1048577 17000000; do
  head -c $size /dev/urandom >source.img
  cp source.img source-$size.img
  serve size-$size file file=source-$size.img
  copy_of size-$size source-$size.img && printed "$size bytes copied: .*"
  ok "copy-image copies $size bytes" $?
done

# The file is larger than the export now.
copy_of size-511 source-511.img
ok 'copy-image replaces a larger file' $?

run copy-image nobody.sock copy.img
failed . && cmp -s source-511.img copy.img
ok 'copy-image leaves the file alone when it cannot connect' $?

# Data at both ends, and across the first GiB, where the second request for the
# map begins.
head -c 5000 /dev/urandom >source.img
head -c 300001 /dev/urandom |
  dd of=source.img bs=100000 seek=10736 2>/dev/null
echo end | dd of=source.img bs=100000 seek=12000 2>/dev/null
serve sparse --filter=log file file=source.img logfile=sparse.log
copy_of sparse source.img &&
  [ "$(grep -c ' Read id' sparse.log)" -lt 100 ] &&
  [ "$(du -k copy.img | cut -f 1)" -lt 100000 ]
ok 'copy-image neither reads nor writes what is zero' $?
rm -f copy.img source.img

head -c 3000001 /dev/urandom >source.img
serve simple --no-sr file file=source.img
copy_of simple source.img
ok 'copy-image copies without structured replies' $?

serve noextents --filter=noextents file file=source.img
copy_of noextents source.img
ok 'copy-image copies what has no map' $?

serve badmap --filter=error file file=source.img error-extents-rate=100%
copy_of badmap source.img
ok 'copy-image copies when the map cannot be had' $?

serve small --filter=blocksize-policy file file=source.img \
  blocksize-minimum=1 blocksize-preferred=4096 blocksize-maximum=64K \
  blocksize-error-policy=error
copy_of small source.img
ok 'copy-image asks for no more than the maximum of the server' $?

LIBNBD_DEBUG=1
export LIBNBD_DEBUG
serve deep pattern 32M
run copy-image deep.sock copy.img
unset LIBNBD_DEBUG
[ "$status" -eq 0 ] &&
  [ "$(sed '/ nbd_poll: enter/q' err |
       grep -c ' nbd_aio_pread: enter')" -eq 64 ]
issued=$?
# The trace is of no use to a reader.
: >err
ok 'copy-image has 64 requests in flight before it waits' $issued

name='copy-image shows its progress on a terminal'
if command -v script >/dev/null 2>&1; then
  script -qec "'$builddir/examples/copy-image' deep.sock copy.img" \
    /dev/null >out 2>err </dev/null
  status=$?
  tr '\r' '\n' <out >lines
  [ "$status" -eq 0 ] && grep '^ *[0-9.]* %  .* MiB  .* in flight' lines |
    grep -v '^100' >/dev/null && grep '^100.0 %  32.0 of 32.0 MiB' lines \
    >/dev/null && grep '^33554432 bytes copied' lines >/dev/null
  ok "$name" $?
else
  skip "$name" 'script is not installed'
fi

run copy-image deep.sock copy.img
fine && printed '33554432 bytes copied: 32.0 MiB read, 0.0 .*'
ok 'copy-image shows no progress where there is no terminal' $?

run copy-image broken.sock copy.img
failed '^read at offset [0-9]*: Input/output error' &&
  failed 'copy.img is incomplete' && [ ! -s out ]
ok 'copy-image reports a failed read' $?

# shellcheck disable=SC2016
die='{ rm -r $tmpdir; kill -9 $PPID; }'  # and leave nothing behind
serve dies eval get_size='echo 10000000' \
  pread="test \$4 -lt 5000000 || $die; head -c \$3 /dev/zero"
run copy-image dies.sock copy.img
failed 'copy.img is incomplete' && [ ! -s out ]
ok 'copy-image fails when the server dies' $?

run copy-image deep.sock no-such-folder/copy.img
failed '^no-such-folder/copy.img: No such file'
ok 'copy-image fails when the file cannot be made' $?

# write-block

head -c 1000000 /dev/urandom >disk.img
cp disk.img before.img
serve disk --filter=log file file=disk.img logfile=disk.log
run write-block disk.sock 0x1000
fine && cmp -s disk.img before.img
ok 'write-block restores what was there' $?

sed -n 's/.* connection=[0-9]* \([A-Z][a-z]*\) id=[0-9]*/\1/p' disk.log |
  sed 's/ \.\.\.$//; s/ fua=0//' >calls
cat >expected <<'END'
Read offset=0x1000 count=0x200
Write offset=0x1000 count=0x200
Flush
Read offset=0x1000 count=0x200
Write offset=0x1000 count=0x200
Flush
Read offset=0x1000 count=0x200
END
cp calls out
cmp -s calls expected
ok 'write-block writes, flushes and reads, twice' $?

run write-block disk.sock 999600
failed 'out of bounds' && cmp -s disk.img before.img
ok 'write-block refuses a block that reaches beyond the end' $?

for offset in '' x 12x -512 ' 512' 99999999999999999999; do
  run write-block disk.sock "$offset"
  failed 'not an offset'
  ok "write-block refuses the offset \"$offset\"" $?
done

serve blocks --filter=blocksize-policy file file=disk.img \
  blocksize-minimum=4096 blocksize-preferred=4096 blocksize-maximum=1M \
  blocksize-error-policy=error
run write-block blocks.sock 8192
fine && printed 'read the old 4096 bytes at offset 8192' &&
  cmp -s disk.img before.img
ok 'write-block writes as much as the server wants at least' $?

run write-block blocks.sock 512
failed 'nbd_pread: .*unaligned'
ok 'write-block fails at an offset that the server does not allow' $?

run write-block plain.sock 0
failed 'read-only'
ok 'write-block refuses to write to a read-only export' $?

serve forgets null 1M
run write-block forgets.sock 0
failed 'returned something else'
ok 'write-block notices when nothing was written' $?

serve nowrite --threads=1 --filter=error memory 1M error-pwrite-rate=100%
run write-block nowrite.sock 0
failed 'nbd_pwrite: .*Input/output error' && failed 'could not be restored'
ok 'write-block reports a failed write' $?

# list-exports

mkdir disks
: >disks/one
head -c 77 source.img >disks/two
serve disks file dir=disks
run list-exports disks.sock
fine && printed '"one"  0 bytes' && printed '"two"  77 bytes' &&
  printed '2 exports' && [ "$(wc -l <out)" -eq 3 ]
ok 'list-exports lists every export with its size' $?

run list-exports evil.sock
fine && printed '"a?b"  1048576 bytes  c?d' && printed '1 export'
ok 'list-exports prints descriptions, but no control characters' $?

serve missing --filter=exportname file dir=disks exportname-list=explicit \
  exportname=one exportname=three exportname=two
run list-exports missing.sock
fine && printed '"one"  0 bytes' && printed '"three"  nbd_opt_info: .*' &&
  printed '"two"  77 bytes' && printed '3 exports'
ok 'list-exports goes on after an export that cannot be used' $?

serve nolist --filter=exportname null 1M exportname-list=empty
run list-exports nolist.sock
fine && printed '0 exports'
ok 'list-exports prints an empty list' $?

serve refuses --filter=exportname null 1M exportname-list=error
run list-exports refuses.sock
failed 'nbd_opt_list: ' && [ ! -s out ]
ok 'list-exports fails when the server does not list' $?

run list-exports oldstyle.sock
failed 'too old'
ok 'list-exports fails with a server that has no options' $?

# poll-loop

run poll-loop simple.sock small.sock
fine && [ "$(grep -c ': 3000001 bytes, hash [0-9a-f]*$' out)" -eq 2 ] &&
  printed 'the exports are the same'
ok 'poll-loop finds two exports that are the same' $?

# One byte of the last read differs.
cp source.img other.img
printf x >>source.img
printf y >>other.img
serve x file file=source.img
serve y file file=other.img
run poll-loop x.sock y.sock
fine && printed 'the exports are different'
ok 'poll-loop finds a difference in the last byte' $?

run poll-loop empty.sock read2.sock
fine && printed 'empty.sock: 0 bytes, hash cbf29ce484222325' &&
  printed 'read2.sock: 5 bytes, hash a430d84680aabd0b' &&
  printed 'the exports are different'
ok 'poll-loop reads exports of different sizes' $?

# The first server answers only after the second was asked.
mkfifo gate
serve waits eval get_size='echo 100' \
  pread="timeout 30 cat '$tmp/gate' >/dev/null && head -c 100 /dev/zero"
serve opens eval get_size='echo 100' \
  pread="timeout 30 sh -c 'echo >$tmp/gate' && head -c 100 /dev/zero"
run poll-loop waits.sock opens.sock
fine && printed 'the exports are the same'
ok 'poll-loop reads one export while the other makes it wait' $?

run poll-loop simple.sock nobody.sock
failed '^nobody.sock: .*No such file'
ok 'poll-loop fails when one of the servers cannot be reached' $?

run poll-loop simple.sock broken.sock
failed '^broken.sock: .*Input/output error'
ok 'poll-loop reports a failed read' $?

# shellcheck disable=SC2016
serve dies2 eval get_size='echo 10000000' pread="$die"
run poll-loop simple.sock dies2.sock
failed '^dies2.sock: '
ok 'poll-loop fails when a server dies' $?

# The tour itself takes a machine that may install packages.

sh -n "$srcdir/examples/quickstart.sh" >out 2>err
ok 'quickstart.sh is a shell script' $?

done_testing
