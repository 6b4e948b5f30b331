# SPDX-License-Identifier: LGPL-2.1-or-later

# nbd+ssh through a real sshd on the loopback device, with keys, configuration
# and port of its own, that runs as the user who runs this, and nbdkit behind
# it.  The library finds a script called ssh, which writes down its arguments
# and adds the options that make ssh use those keys and nothing else.

. "${srcdir:=.}/tests/build/common.sh"

PATH=$PATH:/usr/sbin:/sbin
for tool in ssh sshd ssh-keygen nc nbdkit psktool; do
  has $tool || skip_all "$tool is not installed"
done
user=$(id -un)
shell=$(getent passwd "$(id -u)" | cut -d : -f 7)
case $shell in
  */nologin | */false) skip_all "the shell of $user runs no commands" ;;
esac
ssh=$(command -v ssh)
sshd=$(command -v sshd)
client=$builddir/tests/interop/connect-to
unset SSH_AUTH_SOCK SSH_ASKPASS DISPLAY LIBNBD_DEBUG
processes=
made_run_sshd=no

cleanup ()
{
  for _pid in $processes $(left_over); do
    kill "$_pid" 2> /dev/null
  done
  wait
  test $made_run_sshd = no || rmdir /run/sshd 2> /dev/null
  cd /
  rm -rf "$tmp"
}
trap cleanup EXIT
cd "$tmp"

# wait_for COMMAND...: until it succeeds, but not for ever.
wait_for ()
{
  _i=0
  while ! "$@"; do
    _i=$((_i + 1))
    test $_i -lt 300 || return 1
    sleep 0.1
  done
}

# gone PID
gone ()
{
  ! kill -0 "$1" 2> /dev/null
}

# Processes that a connection has started, on this side or on the other: they
# have this in their environment.  Those of sshd have not.
marker=NBD_SSH_TEST=$tmp

left_over ()
{
  grep -l -z -x -F -e "$marker" /proc/[0-9]*/environ 2> /dev/null |
    tr -d -c '0-9\n'
}

# children_of PID
children_of ()
{
  sed -n "s/^\\([0-9]*\\) (.*) [A-Y] $1 .*/\\1/p" /proc/[0-9]*/stat \
    2> /dev/null
}

# The other side takes a moment to end.
is_empty ()
{
  _left="$(left_over) $(children_of "$sshd_pid")"
  test "$_left" = ' '
}

nothing_left ()
{
  wait_for is_empty && return
  for _pid in $_left; do
    tr '\0' ' ' < "/proc/$_pid/cmdline"
    echo
  done
  return 1
}

# Keys of the host, of another host, and of the user.
for key in host other user; do
  need "a key of the $key" ssh-keygen -q -t ed25519 -N '' -f "$key" -C "$key"
done
cp user.pub authorized_keys

mkdir bin nothing
cat > bin/ssh << EOF
#!/bin/sh
for argument; do
  printf '%s\n' "\$argument"
done > '$tmp/argv'
exec '$ssh' -F '$tmp/ssh_config' "\$@"
EOF
chmod +x bin/ssh
cat > ssh_config << EOF
BatchMode yes
ConnectTimeout 30
ControlPath none
GlobalKnownHostsFile none
IdentitiesOnly yes
IdentityAgent none
IdentityFile $tmp/user
StrictHostKeyChecking yes
UpdateHostKeys no
UserKnownHostsFile $tmp/known_hosts
EOF

pam=no

# A port that is free now may be taken in a moment, so several are tried.
some_port ()
{
  awk -v seed="$$$1" \
    'BEGIN { srand (seed); print 20000 + int (rand () * 12000) }'
}

# As root sshd wants a folder in /run, which it is given in a /run of its own.
run_sshd ()
{
  if test "$(id -u)" != 0 || test -d /run/sshd; then
    exec "$@"
  elif unshare -m mount -t tmpfs tmpfs /run 2> /dev/null; then
    exec unshare -m sh -c \
      'mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/sshd && exec "$@"' \
      sh "$@"
  fi
  exec "$@"
}
if test "$(id -u)" = 0 && ! test -d /run/sshd &&
   ! unshare -m mount -t tmpfs tmpfs /run 2> /dev/null; then
  mkdir /run/sshd && made_run_sshd=yes
fi

sshd_settled ()
{
  grep -q 'Server listening' "$1" 2> /dev/null || gone $sshd_pid
}

# start_sshd NAME [LINE]: leaves sshd_port and sshd_pid.
start_sshd ()
{
  cat > "$1.conf" << EOF
HostKey $tmp/host
PidFile $tmp/$1.pid
AuthorizedKeysFile $tmp/authorized_keys
StrictModes no
UsePAM $pam
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PrintMotd no
PrintLastLog no
UseDNS no
LogLevel VERBOSE
${2-SetEnv $marker}
EOF
  for _try in 1 2 3 4 5 6 7 8 9 10; do
    sshd_port=$(some_port "1$_try")
    (run_sshd "$sshd" -D -e -f "$tmp/$1.conf" -o ListenAddress=127.0.0.1 \
       -p "$sshd_port") > "$1.log" 2>&1 &
    sshd_pid=$!
    wait_for sshd_settled "$1.log"
    if ! gone $sshd_pid; then
      processes="$processes $sshd_pid"
      return 0
    fi
  done
  cat "$1.log"
  return 1
}

# know KEY: the key that the client expects of the host.
know ()
{
  echo "[127.0.0.1]:$sshd_port $(cut -d ' ' -f 1,2 "$1.pub")" > known_hosts
}

# The servers: on TCP, and on a socket whose name has all that a shell could
# stumble over.
printf 'hello\nworld\n' > disk
head -c 1000000 /dev/urandom >> disk
size=$(wc -c < disk)
socket="$tmp/it's \"a\" \$b;c&d%e \\f"
socket_in_uri="$tmp/it%27s%20%22a%22%20%24b%3Bc%26d%25e%20%5Cf"

# serve NAME ARGUMENT...: leaves nbdkit_pid.
serve ()
{
  _name=$1
  shift
  nbdkit -f -P "$tmp/$_name.pid" "$@" file file="$tmp/disk" 2> "$_name.err" &
  nbdkit_pid=$!
  wait_for nbdkit_settled "$_name"
  gone $nbdkit_pid && return 1
  processes="$processes $nbdkit_pid"
}

nbdkit_settled ()
{
  test -s "$1.pid" || gone $nbdkit_pid
}

serve_tcp ()
{
  for _try in 1 2 3 4 5 6 7 8 9 10; do
    nbd_port=$(some_port "2$_try")
    serve tcp -i 127.0.0.1 -p "$nbd_port" && return 0
  done
  cat tcp.err
  return 1
}

start_sshd sshd > output
status=$?
sed 's/^/# /' output
need 'sshd starts' test $status = 0
# Without PAM an account that is locked may not log in, with any key.
know host
PATH="$tmp/bin:$PATH" ssh -p "$sshd_port" 127.0.0.1 true > output 2>&1 ||
  if grep -q 'account is locked' sshd.log; then
    kill "$sshd_pid"
    wait "$sshd_pid"
    pam=yes
    need 'sshd starts, with PAM' start_sshd sshd
    know host
  fi
serve_tcp > output
need 'nbdkit starts on TCP' test $? = 0
serve unix -U "$socket"
need 'nbdkit starts on a Unix socket' test $? = 0

# run ARGUMENT...: leaves status, out and err.
run ()
{
  rm -f argv
  env "$marker" PATH="$tmp/bin:$PATH" "$client" "$@" > out 2> err < /dev/null
  status=$?
}

# said PATTERN: a line of what it printed.
said ()
{
  cat out err
  tail -n 3 sshd.log
  grep -q -x -e "$1" out
}

connected ()
{
  said connected && test "$status" = 0 && said 'uri: none' &&
    said "size: $size" && said 'text: hello' && said closed && nothing_left
}

# failed PATTERN [PATTERN-OF-SSH]
failed ()
{
  said "failed: $1" && test "$status" = 1 && said closed &&
    { test $# = 1 || grep -q -e "$2" err; } && nothing_left
}

# called ARGUMENT...: ssh was, with exactly these.
called ()
{
  printf '%s\n' "$@" > expected
  diff expected argv
}

# not_called: nothing was run.
not_called ()
{
  ! test -e argv
}

here=nbd+ssh://127.0.0.1:$sshd_port
for async in '' -a; do
  how=${async:+, asynchronously}

  run $async "$here/?nbd-port=$nbd_port"
  ok "TCP$how" connected
  ok "TCP$how: the arguments" called -p "$sshd_port" -- 127.0.0.1 \
    "nc localhost $nbd_port"

  run $async "$here/?socket=$socket_in_uri"
  ok "a Unix socket$how" connected
  ok "a Unix socket$how: the arguments" called -p "$sshd_port" -- 127.0.0.1 \
    "nc -U '$tmp/it'\\''s \"a\" \$b;c&d%e \\f'"

  run $async "NBD+SSH://$user@127.0.0.1:$sshd_port/?NBD-Port=$nbd_port"
  ok "a user$how" connected
  ok "a user$how: the arguments" called -p "$sshd_port" -l "$user" -- \
    127.0.0.1 "nc localhost $nbd_port"

  run $async "$here/?compress=yes&nbd-port=$nbd_port"
  ok "compression$how" connected
  ok "compression$how: the arguments" called -p "$sshd_port" -C -- 127.0.0.1 \
    "nc localhost $nbd_port"
done

run "nbd+ssh://$user@127.0.0.1:$sshd_port/x?compress=1;socket=$socket_in_uri"
ok 'all together' connected
ok 'all together: the arguments' called -p "$sshd_port" -C -l "$user" -- \
  127.0.0.1 "nc -U '$tmp/it'\\''s \"a\" \$b;c&d%e \\f'"
run "$here/?compress=off&nbd-port=$nbd_port"
ok 'no compression' connected
ok 'no compression: the arguments' called -p "$sshd_port" -- 127.0.0.1 \
  "nc localhost $nbd_port"
run "$here/?nbd-port=$nbd_port&socket=$socket_in_uri"
ok 'a socket comes before a port' connected
ok 'a socket comes before a port: the arguments' called -p "$sshd_port" -- \
  127.0.0.1 "nc -U '$tmp/it'\\''s \"a\" \$b;c&d%e \\f'"
run -o "$here/?nbd-port=$nbd_port"
ok 'option mode' connected
ok 'option mode stops' said 'negotiating: 1'

nbdkit -f -U - file file="$tmp/disk" \
  --run "'$client' -r 1000000 \"\$uri\"" > out 2> err
sum=$(grep '^sum: ' out)
run -r 1000000 "$here/?nbd-port=$nbd_port&compress=1"
ok 'a large read' connected
ok 'a large read: the content' said "${sum:-no sum}"

run "$here/?nbd-port=$nbd_port"
pid=$(sed -n 's/^pid: //p' out)
ok 'the number of the process is known' test "$pid"
ok 'and the process is gone when the handle is closed' \
  gone "${pid:-$$}"

# Those that are looked for after each connection can be found.
cat > look << EOF
#!/bin/sh
grep -l -z -x -F -e '$marker' /proc/[0-9]*/environ 2> /dev/null |
  sed 's,environ,cmdline,' | xargs cat | tr '\\0' ' ' > found
EOF
chmod +x look
run -x "$tmp/look" "$here/?nbd-port=$nbd_port"
ok 'ssh is found while it runs' grep -q -e "-F $tmp/ssh_config" found
ok 'nc on the other side is found' grep -q -e "nc localhost $nbd_port" found

# What does not become a connection.  The arguments count all the same.

broken='0 .*: recv: server disconnected unexpectedly (state DEAD)'
run "$here/?nbd-port=1"
ok 'a port at which nobody listens' failed "$broken"
run -a "$here/?nbd-port=1"
ok 'a port at which nobody listens, asynchronously' failed "$broken"
run "$here/?socket=$tmp/nobody"
ok 'a socket that does not exist' failed "$broken" 'No such file'
run "$here/?socket=-U"
ok 'a socket that looks like an option' failed "$broken"
ok 'a socket that looks like an option: the arguments' \
  called -p "$sshd_port" -- 127.0.0.1 "nc -U ./'-U'"
run 'nbd+ssh://127.0.0.1:1/'
ok 'a port without sshd' failed "$broken" 'Connection refused'
ok 'the default port of NBD' called -p 1 -- 127.0.0.1 'nc localhost 10809'
run 'nbd+ssh://nosuch.invalid/'
ok 'a host that does not exist' failed "$broken" nosuch.invalid
ok 'the default port of ssh' called -p 22 -- nosuch.invalid \
  'nc localhost 10809'
run 'nbd+ssh://[::1]:1/'
ok 'an IPv6 address' failed "$broken"
ok 'an IPv6 address: the arguments' called -p 1 -- ::1 'nc localhost 10809'

know other
run "$here/?nbd-port=$nbd_port"
ok 'the key of another host' failed "$broken" 'Host key verification failed'
: > known_hosts
run "$here/?nbd-port=$nbd_port"
ok 'a host that is not known' failed "$broken" 'Host key verification failed'
know host
cp other.pub authorized_keys
run "$here/?nbd-port=$nbd_port"
ok 'the key of another user' failed "$broken" 'Permission denied'
cp user.pub authorized_keys

refused='22 nbd_connect_uri: .* (state START)'
run "nbd+ssh://-oProxyCommand=touch%20$tmp%2Fowned/"
ok 'a host that looks like an option' failed "$refused"
ok 'a host that looks like an option: nothing is run' not_called
run "nbd+ssh://-lroot@127.0.0.1:$sshd_port/?nbd-port=$nbd_port"
ok 'a user who looks like an option' failed "$refused"
ok 'a user who looks like an option: nothing is run' not_called
run "nbd+ssh://a%40b:$sshd_port/?nbd-port=$nbd_port"
ok 'a host that has a user in it' failed "$refused"
ok 'a host that has a user in it: nothing is run' not_called
run "nbd+ssh:///?nbd-port=$nbd_port"
ok 'no host' failed "$refused"
ok 'no host: nothing is run' not_called
for wrong in nbd-port=0 nbd-port=65536 nbd-port=x nbd-port= compress=x \
             socket= socket=%00x socket=/x%00y; do
  run "$here/?$wrong"
  ok "$wrong" failed "$refused"
  ok "$wrong: nothing is run" not_called
done

# TLS inside of ssh, with a shared key.
run "nbds+ssh://127.0.0.1:$sshd_port/?nbd-port=$nbd_port"
if grep -q 'built without TLS' out; then
  ok 'nbds+ssh' failed '[0-9]* nbd_connect_uri: .* (state START)'
  ok 'nbds+ssh: nothing is run' not_called
else
  ok 'nbds+ssh to a server without TLS' failed \
    '95 nbd_connect_uri: handshake: server refused TLS.*(state DEAD)'
  unix_pid=$nbdkit_pid
  psktool -u alice -p keys.psk > output 2>&1
  need 'nbdkit starts with TLS' \
    serve tls -U "$tmp/tls" --tls=require --tls-psk="$tmp/keys.psk"
  tls="nbds+ssh://127.0.0.1:$sshd_port/?socket=$tmp/tls&tls-username=alice"
  run "$tls&tls-psk-file=$tmp/keys.psk"
  ok 'nbds+ssh' connected
  nbdkit_pid=$unix_pid
fi

env "$marker" PATH="$tmp/nothing" "$client" "$here/" > out 2> err < /dev/null
status=$?
if test $status = 1; then
  ok 'no ssh' failed \
    '2 nbd_connect_uri: ssh: No such file or directory (state START)'
else
  skip 'no ssh' 'the program is a script that needs other programs'
fi

# The other side goes in the middle.

cat > cut << EOF
#!/bin/sh
children ()
{
  sed -n "s/^\\([0-9]*\\) (\$2) [A-Y] \$1 .*/\\1/p" /proc/[0-9]*/stat \\
    2> /dev/null
}
for pid in \$(children $sshd_pid '.*'); do
  kill -9 \$(children \$pid sshd) \$pid
done
EOF
chmod +x cut
run -x "$tmp/cut" "$here/?nbd-port=$nbd_port"
pid=$(sed -n 's/^pid: //p' out)
ok 'sshd goes' said 'then: failed: .*'
ok 'sshd goes: the handle can be closed' said closed
ok 'sshd goes: ssh has ended' gone "${pid:-$$}"
# nc on the other side does not notice before its own server does.
for pid in $(left_over); do
  kill "$pid"
done
ok 'sshd goes: nothing is left' nothing_left
run "$here/?nbd-port=$nbd_port"
ok 'sshd goes: another connection is none the worse' connected

run -x "kill -9 $nbdkit_pid" "$here/?socket=$socket_in_uri"
ok 'the server goes' said 'then: failed: .*'
ok 'the server goes: the handle can be closed' said closed
ok 'the server goes: nothing is left' nothing_left

cat > kill-ssh << EOF
#!/bin/sh
for dir in /proc/[0-9]*; do
  if tr '\\0' ' ' < \$dir/cmdline 2> /dev/null |
     grep -q -e '-F $tmp/ssh_config'; then
    kill -9 \${dir#/proc/}
  fi
done
EOF
chmod +x kill-ssh
run -x "$tmp/kill-ssh" "$here/?nbd-port=$nbd_port"
ok 'ssh is killed' said 'then: failed: .*'
ok 'ssh is killed: the handle can be closed' said closed
for pid in $(left_over); do
  kill "$pid"
done
ok 'ssh is killed: nothing is left' nothing_left

# A program that closes the handle without a goodbye, of which nc on the other
# side takes no notice.
run -x false "$here/?nbd-port=$nbd_port"
pid=$(sed -n 's/^pid: //p' out)
ok 'no goodbye: the handle can be closed' said closed
ok 'no goodbye: ssh has ended' gone "${pid:-$$}"
for pid in $(left_over); do
  echo "# left on the other side: $(tr '\0' ' ' < "/proc/$pid/cmdline")"
  kill "$pid"
done
ok 'no goodbye: nothing else is left' nothing_left

# A machine without nc.
start_sshd poor "SetEnv $marker PATH=$tmp/nothing"
need 'another sshd starts' test $? = 0
know host
run "nbd+ssh://127.0.0.1:$sshd_port/?nbd-port=$nbd_port"
ok 'a machine without nc' failed "$broken" 'nc.*not found'
run -a "nbd+ssh://127.0.0.1:$sshd_port/?socket=/x"
ok 'a machine without nc, asynchronously' failed "$broken" 'nc.*not found'

done_testing
