# SPDX-License-Identifier: LGPL-2.1-or-later

# Names, addresses and routes of the real system: its resolver with files of
# our own, dead routes, and slow links.  All of it in namespaces that end with
# this script, which needs no rights where the system lets users have theirs.

. "${srcdir:=.}/tests/build/common.sh"

for tool in ip unshare mount nbdkit; do
  has "$tool" || skip_all "$tool is not installed"
done

if test "${1-}" != inside; then
  rm -rf "$tmp"
  for options in -nm -rnm; do
    if unshare $options true 2> /dev/null; then
      srcdir=$srcdir builddir=$builddir \
        exec unshare $options "${BASH:-sh}" "$0" inside
    fi
  done
  skip_all "namespaces are not permitted"
fi

client=$builddir/tests/interop/connect-to
link=$builddir/tests/interop/slow-link
processes=

cleanup ()
{
  test -z "$processes" || kill $processes 2> /dev/null
  wait
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

# settled FILE PID: the process has written to the file, or ended.
settled ()
{
  test -s "$1" || ! kill -0 "$2" 2> /dev/null
}

# run ARGUMENT...: leaves status, out and err.
run ()
{
  "$client" "$@" > out 2> err < /dev/null
  status=$?
}

# said PATTERN: a line of what it printed.
said ()
{
  cat out err
  grep -q -x -e "$1" out
}

# connected PEER LINE...: it did, to that address, and printed these.
connected ()
{
  said connected && test "$status" = 0 && said "peer: $1" &&
    said "text: hello" && said closed || return 1
  shift
  for _line; do
    said "$_line" || return 1
  done
}

# failed ERRNO-NAME LINE: it did, and what it printed.
failed ()
{
  said "failed: $1" && test "$status" = 1 && said closed
}

# waited LEAST MOST: so many milliseconds.
waited ()
{
  said 'waited: [0-9]*' && _ms=$(sed -n 's/^waited: //p' out) &&
    test "$_ms" -ge "$1" && test "$_ms" -le "$2"
}

# both NAME CHECK... -- ARGUMENT...: the same synchronously and not.
both ()
{
  _case=$1
  _check=
  shift
  while test "$1" != --; do
    _check="$_check '$1'"
    shift
  done
  shift
  run "$@"
  eval "ok \"\$_case\" $_check"
  run -a "$@"
  eval "ok \"\$_case, asynchronously\" $_check"
}

# No resolver but our files, and no name service but them.
mkdir etc
for file in passwd group ld.so.cache ld.so.conf ld.so.conf.d; do
  test ! -e "/etc/$file" || cp -R "/etc/$file" etc
done
cat > etc/nsswitch.conf << EOF
passwd: files
group: files
hosts: files
services: files
EOF
cat > etc/services << EOF
nbdtest 10810/tcp
EOF
cat > etc/hosts << EOF
127.0.0.1 localhost
::1 localhost
192.0.2.1 four
2001:db8::1 six
2001:db8::1 mixed
192.0.2.1 mixed
2001:db8::dead silent
192.0.2.1 silent
2001:db8::dead dead
192.0.2.222 dead
2001:db8::dead twice
2001:db8::beef twice
192.0.2.1 twice
2001:db8:1::1 unreachable
192.0.2.1 unreachable
2001:db8:2::1 far
192.0.2.1 far
192.0.2.99 nowhere
192.0.2.98 nowhere
2001:db8:1::1 nowhere
198.51.100.1 unrouted
10.77.0.2 slow
10.77.0.3 slow-twice
10.77.0.4 slow-twice
2001:db8:78::2 slower
192.0.2.1 slower
10.79.0.2 lossy
2001:db8:77::2 slow-six
EOF
echo 'multi on' > etc/host.conf
: > etc/resolv.conf
: > etc/gai.conf
need "the files of the resolver are ours" mount --bind etc /etc
need "the loopback device is up" ip link set lo up

# A network on which the other side never answers: it is a pair of devices, and
# who sends to the second sends to nobody.
ip link add silent0 type veth peer name silent1 > out 2>&1 &&
  ip link set silent0 up && ip link set silent1 up &&
  ip addr add 192.0.2.1/24 dev silent0
ok "there is a network that swallows packets" test $? = 0
mac=$(cat /sys/class/net/silent1/address 2> /dev/null ||
      ip -o link show silent1 | sed 's/.*link.ether \([^ ]*\).*/\1/')
for address in 192.0.2.222; do
  ip neigh replace $address lladdr "$mac" dev silent0 nud permanent
done
ipv6=no
if ip -6 addr add ::2/128 dev lo 2> /dev/null &&
   ip -6 addr add 2001:db8::1/64 dev silent0 nodad; then
  ipv6=yes
  for address in dead beef; do
    ip -6 neigh replace 2001:db8::$address lladdr "$mac" dev silent0 \
      nud permanent
  done
  ip -6 route add unreachable 2001:db8:1::/64
fi
ip route add unreachable 192.0.2.99
ip route add prohibit 192.0.2.98

# The servers: at the default port and at that of the service.
printf 'hello\nworld\n' > disk
head -c 1000000 /dev/urandom >> disk
size=$(wc -c < disk)
# serve PORT ARGUMENT...: nbdkit, which accepts connections when this returns.
serve ()
{
  _port=$1
  shift
  nbdkit -f -P "$_port.pid" -p "$_port" "$@" file file="$tmp/disk" \
    2> "$_port.err" &
  processes="$processes $!"
  wait_for settled "$_port.pid" $!
  test -s "$_port.pid" && return
  cat "$_port.err"
  return 1
}

need 'a server at the default port' serve 10809
need 'a server at the port of the service' serve 10810
need 'a server of IPv4 only' serve 10811 -i 127.0.0.1

# Names and numbers.

both 'a name and a number' connected 192.0.2.1 'uri: nbd://four:10809/' -- \
  four 10809
both 'a name and a service' connected 192.0.2.1 'uri: nbd://four:10810/' -- \
  four nbdtest
both 'an IPv4 address' connected 127.0.0.1 'uri: nbd://127.0.0.1:10809/' -- \
  127.0.0.1 10809
both 'a URI has a default port' connected 192.0.2.1 'uri: nbd://four:10809/' \
  -- nbd://four
both 'a URI with another port' connected 192.0.2.1 'uri: nbd://four:10810/' \
  -- nbd://four:10810
both 'the port 0 is the default one' connected 192.0.2.1 \
  'uri: nbd://four:10809/' -- nbd://four:0/
run nbd:///
ok 'a URI without a host is that of localhost' said connected
run -o nbd://four/
ok 'connecting stops in option mode' \
  connected 192.0.2.1 'negotiating: 1' "size: $size"

both 'an unknown host' failed \
  '0 .*getaddrinfo: hostname "nosuch" port "10809": .* (state START)' -- \
  nosuch 10809
both 'an unknown host in a URI' failed \
  '0 .*getaddrinfo: hostname "nosuch" port "10809": .* (state START)' -- \
  nbd://nosuch/
both 'an unknown service' failed \
  '0 .*getaddrinfo: hostname "four" port "nosuch": .* (state START)' -- \
  four nosuch
both 'a service is nothing for a URI' failed '22 .* (state START)' -- \
  nbd://four:nbdtest/

if test $ipv6 = yes; then
  both 'an IPv6 address' connected ::1 'uri: nbd://\[::1\]:10809/' -- ::1 10809
  both 'an IPv6 address in a URI' connected 2001:db8::1 \
    'uri: nbd://\[2001:db8::1\]:10810/' -- 'nbd://[2001:db8::1]:10810/'
  both 'an IPv6 name' connected 2001:db8::1 'uri: nbd://six:10809/' -- \
    nbd://six
  both 'a name of both' connected 2001:db8::1 -- nbd://mixed
  both 'localhost with a server of IPv4 only' connected 127.0.0.1 -- \
    localhost 10811
  local6=$(ip -o -6 addr show dev silent0 scope link |
           sed 's/.*inet6 \([^/]*\).*/\1/')
  if test "$local6"; then
    # Its address is tentative for a second.
    ip -6 addr del "$local6/64" dev silent0
    ip -6 addr add "$local6/64" dev silent0 nodad
    both 'an address with a zone' connected "$local6%silent0" -- \
      "$local6%silent0" 10809
    both 'an address with a zone in a URI' connected "$local6%silent0" \
      "uri: nbd://\\[$local6%25silent0\\]:10809/" -- \
      "nbd://[$local6%25silent0]/"
  else
    skip 'an address with a zone' 'there is no link-local address'
  fi
else
  skip 'IPv6' 'this system does not have it'
fi

# Dead routes.  A dead address costs a quarter of a second.

if test $ipv6 = yes; then
  both 'a dead IPv6 route' connected 192.0.2.1 'uri: nbd://silent:10809/' -- \
    silent 10809
  ok 'a dead IPv6 route was tried first' waited 240 20000
  both 'a dead IPv6 route in a URI' connected 192.0.2.1 -- nbd://silent/
  run -a nbd://silent/
  ok 'while two addresses are tried the direction is READ' \
    connected 192.0.2.1 'direction: READ'
  both 'two dead addresses' connected 192.0.2.1 -- nbd://twice/
  ok 'two dead addresses: the families take turns' waited 240 20000
  both 'an unreachable route' connected 192.0.2.1 -- nbd://unreachable/

  # A router that says so: it is in a network of its own.
  if ip link add far0 type veth peer name far1 2> err &&
     { unshare -n sh -c 'echo $$ > router.pid && exec sleep 100' &
       processes="$processes $!"
       wait_for settled router.pid $!
       router=$(cat router.pid)
       ip link set far1 netns "$router" 2> err; } &&
     nsenter -t "$router" -n sh -c '
       ip link set lo up && ip link set far1 up &&
       echo 1 > /proc/sys/net/ipv6/conf/all/forwarding &&
       ip -6 addr add 2001:db8:f::2/64 dev far1 nodad &&
       ip -6 route add unreachable 2001:db8:2::/64' 2> err &&
     ip link set far0 up && ip -6 addr add 2001:db8:f::1/64 dev far0 nodad &&
     ip -6 route add 2001:db8:2::/64 via 2001:db8:f::2
  then
    both 'a router that knows no route' connected 192.0.2.1 -- nbd://far/
    both 'what the router says' failed \
      '[0-9]* .*connect: 2001:db8:2::1:10809: could not connect .*' -- \
      2001:db8:2::1 10809
  else
    skip 'a router that knows no route' "$(head -n 1 err)"
  fi

  both 'all that failed is told' failed \
    '[0-9]* .*connect: nowhere:10809: could not connect to remote host (.*' \
    -- nowhere 10809
  ok 'all that failed: the IPv6 address' said '.*2001:db8:1::1: [^,]*[,)].*'
  ok 'all that failed: the first IPv4 address' \
    said '.*192.0.2.99: No route to host[,)].*'
  ok 'all that failed: the second IPv4 address' \
    said '.*192.0.2.98: Permission denied[,)].*'
else
  skip 'a dead IPv6 route' 'this system does not have IPv6'
fi

not_reached='could not connect to remote host'
both 'a network without a route' failed \
  "[0-9]* .*connect: unrouted:10809: $not_reached: Network is unreachable .*" \
  -- unrouted 10809
both 'a port at which nobody listens' failed \
  "[0-9]* .*connect: four:1: $not_reached: Connection refused (state [A-Z]*)" \
  -- four 1
run nbd://four:1
ok 'after that a handle is as new' said 'failed: .* (state START)'

# Slow links.

# slow DEVICE NETWORK MILLISECONDS LOSS
slow ()
{
  "$link" "$1" "$3" "$4" > "$1.out" 2> err &
  processes="$processes $!"
  wait_for settled "$1.out" $!
  test -s "$1.out" && ip link set "$1" up && ip addr add "$2.1/24" dev "$1"
}

sum=$("$client" -r 1000000 nbd://four/ | sed -n 's/^sum: //p')
if slow slow0 10.77.0 300 0 && slow slow1 10.78.0 3000 0 &&
   slow slow2 10.79.0 20 7
then
  both 'a slow link' connected 10.77.0.2 -- slow 10809
  ok 'a slow link is slow' waited 600 20000
  run nbd://slow-twice/
  ok 'a slow link to two addresses' connected '10.77.0.[34]'
  run -r 1000000 nbd://lossy/
  ok 'a link that loses packets' connected 10.79.0.2 "sum: $sum"
  if test $ipv6 = yes &&
     ip -6 addr add 2001:db8:77::1/64 dev slow0 nodad &&
     ip -6 addr add 2001:db8:78::1/64 dev slow1 nodad
  then
    run -a nbd://slow-six
    ok 'a slow link of IPv6' connected 2001:db8:77::2 'direction: WRITE'
    both 'a slow link and a fast one' connected 192.0.2.1 -- nbd://slower/
    ok 'a slow link and a fast one: the slow one was first' waited 240 20000
  else
    skip 'a slow link of IPv6' 'this system does not have it'
  fi
else
  skip 'slow links' "$(head -n 1 err)"
fi

done_testing
