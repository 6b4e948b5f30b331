#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# The examples that show event loops of others, against nbdkit: that they can
# be built as they say, what they print and do, and how they fail.

. "${srcdir:-.}/tests/build/common.sh"

has nbdkit || skip_all 'nbdkit is not installed'
unset LIBNBD_DEBUG
trap 'stop_all; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

# NAME ARGUMENT...: nbdkit, listening on NAME.sock when this returns.
serve ()
{
  _server=$1
  shift
  # What it says of requests that fail on purpose is not of interest.
  if ! nbdkit -U "$_server.sock" -P "$_server.pid" "$@" 2> "$_server.err"
  then
    sed 's/^/# nbdkit: /' "$_server.err"
    return 1
  fi
}

stop_all ()
{
  for _file in "$tmp"/*.pid; do
    test -s "$_file" && kill "$(cat "$_file")" 2> /dev/null
  done
}

# PROGRAM ARGUMENT...: leaves status, out and err, and shows them.
run ()
{
  _program=$1
  shift
  status=0
  timeout --foreground 60 "$builddir/examples/$_program" "$@" \
    > out 2> err < /dev/null || status=$?
  echo "$_program: status $status"
  cat out err
  # No failure is an excuse for a crash, or for what a sanitizer finds.
  test "$status" -lt 124 && ! grep -q -E 'Sanitizer|runtime error:' err
}

# The program succeeds and says nothing but how far it is.
runs ()
{
  run "$@" && test "$status" = 0 && ! grep -v '^[0-9]* of [0-9]* bytes$' err
}

# REGEX PROGRAM ARGUMENT...: it fails and says that, and prints nothing.
fails ()
{
  _regex=$1
  shift
  run "$@" && test "$status" = 1 && grep -q -e "$_regex" err && test ! -s out
}

printed ()
{
  grep -q -x -e "$1" out
}

# In the folder of a copy, with the library of this build.
builds_as_it_says ()
{
  _command=$(sed -n -e 's/^ \* Build: *\(cc .*\)/\1/p' \
                    -e '/^ \* Build:$/{n;s/^ \* *\(cc .*\)/\1/p;}' \
                    "$srcdir/examples/$1.c")
  echo "$_command"
  rm -rf "$tmp/copy"
  mkdir "$tmp/copy" && cd "$tmp/copy" && cp "$srcdir/examples/$1.c" . &&
    PKG_CONFIG_PATH=$tmp/pc sh -c "$_command" && test -x "$1"
}

# Whether there is such an example: if not, because something is missing.
begin ()
{
  _example=$1
  if ! test -x "$builddir/examples/$_example"; then
    skip "$_example" "$2 is not installed"
    return 1
  fi
  _name="$_example is built by the line in its head"
  if sanitized || ! test -f "$builddir/lib/.libs/libnbd.so" ||
     ! has pkg-config; then
    skip "$_name" 'there is no shared library that any program could use'
  else
    ok "$_name" in_folder builds_as_it_says "$_example"
  fi
  ok "$_example explains how it is called" fails '^usage: ' "$_example"
  return 0
}

in_folder ()
{
  ( "$@" )
}

mkdir pc
cat > pc/libnbd.pc <<END
Name: libnbd
Description: the library of this build
Version: 1
Cflags: -I$(dirname "$(generated include/libnbd.h)")
Libs: -L$builddir/lib/.libs -lnbd
END

# What all of them read from.

sizes='0 1 262144 17000001'
for size in $sizes; do
  head -c "$size" /dev/urandom > "$size.img"
  serve "size-$size" -r file file="$size.img"
done
serve broken --threads=1 --filter=error pattern 3M error-rate=100%
serve small --filter=blocksize-policy file file=17000001.img \
  blocksize-minimum=1 blocksize-preferred=4096 blocksize-maximum=64K \
  blocksize-error-policy=error
# shellcheck disable=SC2016
die='{ rm -r $tmpdir; kill -9 $PPID; }'  # and leave nothing behind
# shellcheck disable=SC2016
dies ()
{
  serve "$1" eval get_size='echo 10000000' \
    pread="test \$4 -lt 5000000 || $die; head -c \$3 /dev/zero" \
    pwrite="test \$4 -lt 5000000 || $die; cat > /dev/null"
}

# glib-loop

sum_is_right ()
{
  runs glib-loop "$1" &&
    printed "$(sha256sum < "$2" | cut -d ' ' -f 1)  $(wc -c < "$2") bytes"
}

has_in_flight ()
{
  run "$2" "$3" > trace 2>&1
  test "$status" = 0 &&
    awk -v want="$1" '
      / nbd_aio_p(read|write): enter/ { n++ }
      / nbd_aio_notify_[a-z]*: enter/ && n > 0 { good = n == want; exit }
      END { exit !good }' err
}

# PROGRAM COUNT: it has that many requests in flight before it waits.
check_depth ()
{
  LIBNBD_DEBUG=1
  export LIBNBD_DEBUG
  serve "deep-$1" memory 17000001
  ok "$1 has $2 requests in flight before it waits" \
    has_in_flight "$2" "$1" "deep-$1.sock"
  unset LIBNBD_DEBUG
}

shows_progress ()
{
  runs glib-loop slow.sock && test -s err
}

if begin glib-loop libglib2.0-dev; then
  for size in $sizes; do
    ok "glib-loop prints the sum of $size bytes" \
      sum_is_right "size-$size.sock" "$size.img"
  done
  ok 'glib-loop asks for no more than the maximum of the server' \
    sum_is_right small.sock 17000001.img
  check_depth glib-loop 16
  serve slow --filter=delay memory 1M delay-read=500ms
  ok 'glib-loop shows its progress while it reads' shows_progress
  ok 'glib-loop fails when there is no server' \
    fails 'No such file' glib-loop nobody.sock
  ok 'glib-loop reports a failed read' \
    fails 'Input/output error' glib-loop broken.sock
  dies glib-dies
  ok 'glib-loop fails when the server dies' fails . glib-loop glib-dies.sock
fi

# libev-loop

wipes ()
{
  cp "$1.img" wiped.img
  serve "wipe-$1" --filter=log file file=wiped.img logfile="wipe-$1.log"
  head -c "$1" /dev/zero > zeroes
  runs libev-loop "wipe-$1.sock" && cmp wiped.img zeroes &&
    printed "$1 of $1 bytes are overwritten"
}

flushes_last ()
{
  sed -n 's/.* connection=[0-9]* \([A-Z][a-z]*\) id=.*/\1/p' "$1" | tail -n 1 |
    grep -x Flush
}

# The server interrupts the program when it gets the first request.
stops_when_interrupted ()
{
  status=0
  timeout --foreground 60 sh -c "echo \$\$ > client; exec $1 interrupt.sock" \
    > out 2> err || status=$?
  cat out err
  test "$status" = 1 && test ! -s err &&
    printed '[1-9][0-9]* of 100000000 bytes are overwritten' &&
    ! printed '100000000 of .*' && test -f flushed
}

if begin libev-loop libev-dev; then
  for size in $sizes; do
    ok "libev-loop overwrites $size bytes" wipes "$size"
  done
  ok 'libev-loop flushes in the end' flushes_last wipe-17000001.log
  check_depth libev-loop 8
  # shellcheck disable=SC2016
  serve interrupt eval get_size='echo 100000000' can_write='exit 0' \
    can_flush='exit 0' flush="touch $tmp/flushed" \
    pwrite="test -f $tmp/told || kill -INT \$(cat $tmp/client)
            touch $tmp/told; cat > /dev/null"
  ok 'libev-loop ends in good order when it is interrupted' \
    stops_when_interrupted "$builddir/examples/libev-loop"
  serve maximum --filter=blocksize-policy memory 3000001 \
    blocksize-minimum=1 blocksize-preferred=4096 blocksize-maximum=64K \
    blocksize-error-policy=error
  ok 'libev-loop writes no more than the maximum of the server' \
    runs libev-loop maximum.sock
  ok 'libev-loop fails when there is no server' \
    fails 'No such file' libev-loop nobody.sock
  ok 'libev-loop fails when the export is read-only' \
    fails 'Operation not permitted' libev-loop size-1.sock
  serve full --threads=1 --filter=error memory 3M \
    error-pwrite-rate=100% error=ENOSPC
  ok 'libev-loop reports a failed write' \
    fails 'No space left on device' libev-loop full.sock
  serve unsafe eval get_size='echo 1000' can_write='exit 0' \
    can_flush='exit 0' pwrite='cat > /dev/null' flush='echo EIO >&2; exit 1'
  ok 'libev-loop reports a failed flush' \
    fails 'Input/output error' libev-loop unsafe.sock
  dies libev-dies
  ok 'libev-loop fails when the server dies' fails . libev-loop libev-dies.sock
fi

# epoll-loop

zeroes_in ()
{
  tr -d -c '\000' < "$1" | wc -c
}

counts ()
{
  runs epoll-loop "$1" size-0.sock size-1.sock size-262144.sock \
    size-17000001.sock small.sock && test "$(wc -l < out)" = 5 || return
  for _size in $sizes; do
    printed \
      "size-$_size.sock: $(zeroes_in "$_size.img") of $_size bytes are zero" ||
      return
  done
  printed "small.sock: $(zeroes_in 17000001.img) of 17000001 bytes are zero"
}

# The same server many times.
counts_many ()
{
  _way=$1
  set --
  while test $# -lt 60; do
    set -- "$@" size-262144.sock
  done
  set -- "$_way" "$@"
  runs epoll-loop "$@" && test "$(sort -u out | wc -l)" = 1 &&
    test "$(wc -l < out)" = 60 &&
    printed ".*: $(zeroes_in 262144.img) of 262144 bytes are zero"
}

# The first server answers only after the second was asked.
serves_both ()
{
  mkfifo "gate-$1"
  serve "waits-$1" eval get_size='echo 100' \
    pread="timeout 30 cat '$tmp/gate-$1' >/dev/null && head -c 100 /dev/zero"
  serve "opens-$1" eval get_size='echo 100' \
    pread="timeout 30 sh -c 'echo >$tmp/gate-$1' && head -c 100 /dev/zero"
  runs epoll-loop "$1" "waits-$1.sock" "opens-$1.sock" &&
    printed "waits-$1.sock: 100 of 100 bytes are zero" &&
    printed "opens-$1.sock: 100 of 100 bytes are zero"
}

if begin epoll-loop 'a system with epoll'; then
  ok 'epoll-loop knows two ways' fails '^usage: ' epoll-loop both size-1.sock
  for way in level edge; do
    ok "epoll-loop reads several exports, by $way" counts $way
    ok "epoll-loop reads from 60 connections, by $way" counts_many $way
    ok "epoll-loop reads one export while another makes it wait, by $way" \
      serves_both $way
    ok "epoll-loop fails when one of the servers is not there, by $way" \
      fails '^nobody.sock: .*No such file' epoll-loop $way size-1.sock \
      nobody.sock size-0.sock
    ok "epoll-loop reports a failed read, by $way" \
      fails '^broken.sock: Input/output error' epoll-loop $way size-1.sock \
      broken.sock
    dies epoll-dies-$way
    ok "epoll-loop fails when a server dies, by $way" \
      fails "^epoll-dies-$way.sock: " epoll-loop $way size-1.sock \
      epoll-dies-$way.sock
  done
fi

done_testing
