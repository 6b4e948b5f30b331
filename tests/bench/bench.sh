#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# The benchmark ("make bench"): each case of cases.list on our library, on the
# system's, and on a client without a library ("floor"), in turns, BENCH_ROUNDS
# times.  Prints medians and ratios, and leaves every figure in bench.csv and
# plots in bench.svg, in the build folder.  Arguments are the cases to be run, by
# name (patterns of the shell).

set -eu
LC_ALL=C.UTF-8
export LC_ALL

source=${srcdir:-.}
build=${builddir:-.}
bench=$build/tests/bench
rounds=${BENCH_ROUNDS:-5}
csv=$build/bench.csv
cases=$source/tests/bench/cases.list

. "$source/tests/packages.sh"
need_packages $bench_packages

die ()
{
  echo "bench: $*" >&2
  exit 1
}

system=$(${CC:-cc} -print-file-name=libnbd.so.0)
test -e "$system" || die "the system's libnbd.so.0 is not installed"

work=$(mktemp -d /tmp/nbdbenchXXXXXX)
servers=
finish ()
{
  exec 9>&- || true             # the ends of the standard input of servers
  test -z "$servers" || kill $servers 2> /dev/null || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/lib"
ln -s "$(realpath "$system")" "$work/lib/libnbd.so.0"
mkfifo "$work/life"
exec 9<> "$work/life"

# Where there are two processors or more, servers and clients have half of them
# each, so that nobody is moved from one to the other in the middle of a case.
half=$(($(nproc) / 2))
servers_on=
clients_on=
if test $half -gt 0; then
  servers_on="taskset -c $half-$(($(nproc) - 1))"
  clients_on="taskset -c 0-$((half - 1))"
fi

# The servers, each started when a case first needs it.

wait_for ()
{
  _tries=200
  until test -s "$1"; do
    _tries=$((_tries - 1))
    test $_tries -gt 0 || die "a server does not start"
    sleep 0.05
  done
}

# own MODE [EXTENTS]
own ()
{
  $servers_on "$bench/server" "$socket" "$@" < "$work/life" > "$socket.ready" 9>&- &
  servers="$servers $!"
  wait_for "$socket.ready"
}

kit ()
{
  $servers_on nbdkit -f -U "$socket" -P "$socket.ready" "$@" memory 64M 9>&- &
  servers="$servers $!"
  wait_for "$socket.ready"
}

qemu ()
{
  dd if=/dev/urandom of="$work/disk" bs=1M count=64 status=none
  $servers_on qemu-nbd -t --cache=writeback -f raw -k "$socket" --pid-file="$socket.ready" \
    "$work/disk" 9>&- &
  servers="$servers $!"
  wait_for "$socket.ready"
}

# Set socket and uri to those of a server.
use_server ()
{
  socket=$work/$1
  uri="nbd+unix:///?socket=$socket"
  _running=false
  test ! -e "$socket.ready" || _running=true
  case $1 in
    simple | structured | extended) $_running || own "$1";;
    extents-*) $_running || own structured "${1#extents-}";;
    nbdkit) $_running || kit;;
    qemu-nbd) $_running || qemu;;
    tls)
      $_running || psktool -u bench -p "$work/keys.psk" > /dev/null 2>&1
      $_running || kit --tls=require --tls-psk="$work/keys.psk"
      uri="nbds+unix://bench@/?socket=$socket&tls-psk-file=$work/keys.psk";;
    *) die "no server $1";;
  esac
}

wanted ()
{
  _case=$1
  shift
  test $# -gt 0 || return 0
  for _pattern; do
    case $_case in
      $_pattern) return 0;;
    esac
  done
  return 1
}

# The floor has the operations of the protocol, on one connection to our server.
has_floor ()
{
  case $server,$operation,$handles in
    simple,*,1 | structured,*,1 | extents-*,*,1) ;;
    *) return 1;;
  esac
  case $operation in
    read | write | pread | pwrite | status) ;;
    *) return 1;;
  esac
}

# client LIBRARY ARGUMENT...
client ()
{
  case $1 in
    ours) shift; env -u LD_LIBRARY_PATH $clients_on "$bench/client" "$@";;
    system) shift; LD_LIBRARY_PATH=$work/lib $clients_on "$bench/client" "$@";;
  esac
}

run_on ()
{
  case $1 in
    ours | system)
      client $1 "$uri" "$operation" "$size" "$depth" "$count" "$handles" \
        "$threads";;
    floor)
      _mode=structured
      test "$server" != simple || _mode=simple
      $clients_on "$bench/floor" "$socket" $_mode "${operation#p}" "$size" "$depth" \
        "$count";;
  esac
}

echo "case,library,size,requests,seconds,cpu" > "$csv"
# Who is first may pay for what was measured before, so they take turns.
order="ours system floor"
round=0
while test $round -lt "$rounds"; do
  while read -r name server operation size depth count handles threads; do
    case $name in
      '#'* | '') continue;;
    esac
    wanted "$name" "$@" || continue
    use_server "$server"
    for library in $order; do
      test $library != floor || has_floor || continue
      figures=$(run_on $library < /dev/null) || die "$name on $library"
      echo "$name,$library,$size,$(echo "$figures" | tr ' ' ,)" >> "$csv"
    done
  done < "$cases"
  order="${order#* } ${order%% *}"
  round=$((round + 1))
done

echo "medians of $rounds rounds on $(nproc) processors; ours is" \
  "$(client ours --version), the system's $(client system --version)"
awk -f "$source/tests/bench/medians.awk" "$csv" > "$work/medians"
awk -f "$source/tests/bench/table.awk" "$work/medians"

# bytes LIBRARY WHAT COUNT: what malloc has given for each.
bytes ()
{
  client "$1" "$uri" memory "$2" "$3" | awk '{ printf "%.0f", $2 / $1 }'
}
if wanted memory "$@"; then
  use_server structured
  for library in ours system; do
    echo "memory, $library: $(bytes $library handles 500) bytes a connected" \
      "handle, $(bytes $library requests 20000) a request in flight"
  done
fi

sed "s|MEDIANS|$work/medians|; s|OUTPUT|$build/bench.svg|" \
  "$source/tests/bench/plot.gp" > "$work/plot.gp"
gnuplot "$work/plot.gp" 2> /dev/null ||
  echo "(too few cases for the plots)"
