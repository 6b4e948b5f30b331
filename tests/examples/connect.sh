#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# The examples about making a connection, and about the handle itself.

. "${srcdir:=.}/tests/examples/common.sh"

serve_gone
serve plain memory 1M
serve_tcp tcp memory 7654321

usual_failures old-client @
usual_failures uri-tool @
usual_failures connect-any socket @
usual_failures debug-log @ log
usual_failures probe-server @
for p in old-client uri-tool debug-log probe-server wait-server connect-vsock
do
  too_many $p
done

# library-info

run library-info
fine && [ "$(wc -l <out)" -eq 4 ] && printed 'libnbd 1\.[0-9]*\.[0-9]*.*' &&
  printed 'TLS: \(yes\|no\)' && printed 'NBD URIs: \(yes\|no\)' &&
  printed 'vsock: \(yes\|no\)'
ok 'library-info prints version and features' $?
lacks_uris=$(sed -n 's/^\(NBD URIs\|TLS\): no/no/p' out)

run library-info more
failed '^usage: .*library-info'
ok 'library-info takes no argument' $?

# old-client

run old-client plain.sock
cat >expected <<'END'
present client
asks for: block sizes, extended headers, structured replies, meta contexts,
protocol: newstyle-fixed, compact headers, structured replies
old client
asks for:
protocol: newstyle, compact headers, simple replies
END
fine && cmp -s out expected
ok 'old-client prints what is asked for and what is agreed on' $?

serve oldstyle -o memory 1M
run old-client oldstyle.sock
fine &&
  [ "$(grep -c "^protocol: oldstyle, compact headers, simple" out)" -eq 2 ]
ok 'old-client prints that the server is older than both' $?

# uri-tool

run uri-tool plain.sock
if [ -z "$lacks_uris" ]; then
  fine && printed 'nbd+unix:///?socket=plain.sock' &&
    printed 'size: 1048576 bytes'
  ok 'uri-tool prints the URI of a socket' $?

  run uri-tool 'nbd+unix:///name?socket=plain.sock'
  fine && printed 'nbd+unix:///name?socket=plain.sock'
  ok 'uri-tool connects to a URI' $?

  run uri-tool -s 'nbd+unix:///?socket=plain.sock'
  failed 'nbd_connect_uri: URI transport nbd+unix is not permitted'
  ok 'uri-tool -s does not reach what is local' $?

  # Nothing of NBD listens on the first port.
  for parameter in "tls-certificates=$tmp" tls-priority=NORMAL; do
    run uri-tool -s "nbds://127.0.0.1:1/?$parameter"
    failed 'nbd_connect_uri: .*Operation not permitted'
    ok "uri-tool -s does not allow ${parameter%=*}" $?

    run uri-tool "nbds://127.0.0.1:1/?$parameter"
    failed 'nbd_connect_uri: .*Connection refused'
    ok "uri-tool allows ${parameter%=*}" $?
  done

  run uri-tool -s "nbd://127.0.0.1:$port/"
  failed 'nbd_connect_uri: .*TLS'
  ok 'uri-tool -s wants TLS' $?

  run uri-tool 'nbd://127.0.0.1:1/'
  failed 'nbd_connect_uri: .*refused'
  ok 'uri-tool fails when nothing listens on a port' $?

  run uri-tool 'nbd+unix:///'
  failed 'nbd_connect_uri: '
  ok 'uri-tool refuses a URI without its socket' $?

  run connect-any uri 'nbd+unix:///?socket=plain.sock'
  fine && printed 'size: 1048576 bytes'
  ok 'connect-any connects to a URI' $?

  run connect-any uri 'http://localhost/'
  failed 'nbd_aio_connect_uri: '
  ok 'connect-any refuses another kind of URI' $?
else
  skip 'uri-tool and connect-any with URIs' 'this build lacks URIs or TLS'
fi

# connect-any

run connect-any socket plain.sock
fine && printed 'size: 1048576 bytes'
ok 'connect-any connects its own socket' $?

name='connect-any connects to a host and a port'
if [ "$port" ]; then
  run connect-any tcp localhost "$port"
  fine && printed 'size: 7654321 bytes'
  ok "$name" $?

  run connect-any address 127.0.0.1 "$port"
  fine && printed 'size: 7654321 bytes'
  ok 'connect-any connects to an address' $?
else
  skip "$name" 'no port was free'
fi

run connect-any tcp 127.0.0.1 1
failed 'nbd_poll: connect: .*Connection refused'
ok 'connect-any fails when nothing listens on a port' $?

run connect-any address 127.0.0.1 1
failed 'Connection refused'
ok 'connect-any fails when nothing listens at an address' $?

run connect-any address 127.0.0.256 10809
failed '^127.0.0.256: not an IPv4 address'
ok 'connect-any refuses what is no address' $?

run connect-any command nbdkit -s memory 1M
fine && printed 'size: 1048576 bytes'
ok 'connect-any starts a server on its standard input' $?

run connect-any activate nbdkit memory 1M
fine && printed 'size: 1048576 bytes'
ok 'connect-any starts a server with a socket' $?

run connect-any command ./no-such-server
failed 'nbd_.*: .*No such file'
ok 'connect-any fails when there is no such program' $?

# It takes the connection, has nothing to say, and ends when it is closed.
run connect-any -t 100 command cat
failed '^no answer in this state: [A-Z]*'
ok 'connect-any gives up a server that says nothing' $?

run connect-any socket "$(printf '%0200d' 0)"
failed '[Tt]oo long'
ok 'connect-any fails when the path is too long for a socket' $?

for arguments in '-t soon tcp a b' 'address 127.0.0.1 70000' 'vsock 2 x' \
                 'vsock 4294967296 1'; do
  # shellcheck disable=SC2086
  run connect-any $arguments
  failed 'not a number up to [0-9]*'
  ok "connect-any refuses a number in \"$arguments\"" $?
done

for arguments in 'tcp' 'tcp localhost' 'socket' 'tcp a b c' 'carrier pigeon'
do
  # shellcheck disable=SC2086
  run connect-any $arguments
  failed '^usage: .*connect-any'
  ok "connect-any refuses the arguments \"$arguments\"" $?
done

# There may be no vsock here, nor anybody who listens on it: not on this port.

run connect-any vsock 2 1
failed 'nbd_.*: .*: [A-Z].*'
ok 'connect-any fails when nothing listens on a vsock' $?

run connect-vsock 2 1
failed '\(nbd_connect_vsock: .*: [A-Z].*\|without vsock\)'
ok 'connect-vsock fails when nothing listens' $?

for number in x 4294967296 '' 12x; do
  run connect-vsock "$number" 10809
  failed 'not a number of 32 bits'
  ok "connect-vsock refuses the number \"$number\"" $?
done

# run-server

run run-server nbdkit -s memory 1M
fine && printed 'the server is process [0-9]*' &&
  printed 'size: 1048576 bytes'
ok 'run-server starts a server on its standard input' $?
pid=$(sed -n 's/^the server is process //p' out)
! kill -0 "$pid" 2>/dev/null
ok 'run-server leaves no server behind' $?

run run-server -a disk7 nbdkit memory 1M
fine && printed 'the server finds LISTEN_FDNAMES=disk7' &&
  printed 'size: 1048576 bytes'
ok 'run-server starts a server with a socket' $?

run run-server -a '' nbdkit memory 1M
fine && printed 'the server finds LISTEN_FDNAMES=unknown'
ok 'run-server starts a server with a socket that has no name' $?

run run-server -a 'disk-7' nbdkit memory 1M
failed 'nbd_set_socket_activation_name: '
ok 'run-server refuses a name that is not letters and digits' $?

run run-server ./no-such-server
failed 'nbd_connect_command: .*No such file'
ok 'run-server fails when there is no such program' $?

run run-server false
failed 'nbd_connect_command: '
ok 'run-server fails when the server ends at once' $?

for arguments in '' '-a' '-a name'; do
  # shellcheck disable=SC2086
  run run-server $arguments
  failed '^usage: .*run-server'
  ok "run-server refuses the arguments \"$arguments\"" $?
done

# debug-log

run debug-log plain.sock log
fine && printed 'handle nbd1 is called plain.sock from now on' &&
  printed 'the handle takes up about [1-9][0-9]* bytes' &&
  printed 'sent: [1-9][0-9]* bytes in [1-9][0-9]* messages' &&
  printed 'received: [1-9][0-9]* bytes in [1-9][0-9]* messages'
ok 'debug-log prints name, memory and traffic' $?

grep '^nbd_connect_unix: ' log >/dev/null &&
  grep '^nbd_shutdown: ' log >/dev/null && ! grep '^libnbd' log >/dev/null
ok 'debug-log writes a line for each message' $?

LIBNBD_DEBUG=1
export LIBNBD_DEBUG
run debug-log plain.sock log
unset LIBNBD_DEBUG
printed 'debugging is on'
ok 'debug-log notices that debugging was on' $?

run debug-log nobody.sock log
failed 'No such file' && grep '^nbd_connect_unix: ' log >/dev/null
ok 'debug-log logs what failed' $?

run debug-log plain.sock no-such-folder/log
failed '^no-such-folder/log: No such file'
ok 'debug-log fails when the file cannot be made' $?

# wait-server

run wait-server
failed '^usage: .*wait-server'
ok 'wait-server without arguments says how it is used' $?

run wait-server plain.sock 0
fine && printed 'plain.sock: the server is up'
ok 'wait-server finds a server' $?

run wait-server nobody.sock 0
failed '^nobody.sock: there is no server, last of all: .*No such file'
ok 'wait-server gives up' $?

run wait-server gone.sock 60
failed 'nbd_connect_unix: '
ok 'wait-server does not wait for what time does not mend' $?

run wait-server plain.sock soon
failed '^usage: .*wait-server'
ok 'wait-server refuses what is no number' $?

timeout 60 "$builddir/examples/wait-server" late.sock 50 >out 2>err &
waiting=$!
serve late memory 1M
wait $waiting
status=$?
fine && printed 'late.sock: the server is up'
ok 'wait-server waits for a server' $?

# probe-server

run probe-server plain.sock
fine && printed 'read beyond the end: refused: Invalid argument' &&
  printed 'read with an unknown flag: refused: Invalid argument'
ok 'probe-server prints what the server refuses' $?

# This one looks at neither.
"$builddir/tests/examples/extended-server" extended.sock extended.pid
run probe-server extended.sock
fine && printed 'read beyond the end: accepted' &&
  printed 'read with an unknown flag: accepted'
ok 'probe-server prints what the server accepts' $?

done_testing
