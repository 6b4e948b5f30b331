#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# The benchmark ("make bench"): each case on our library and on the system's, in
# turns, BENCH_ROUNDS times; prints medians and ratios, and writes every figure
# to bench.csv in the build folder.  Arguments are the cases to be run, by name
# (patterns of the shell).

set -eu
LC_ALL=C.UTF-8
export LC_ALL

build=${builddir:-.}
client=$build/tests/bench/client
rounds=${BENCH_ROUNDS:-5}
csv=$build/bench.csv

die ()
{
  echo "bench: $*" >&2
  exit 1
}

test -x "$client" || die "build it first: make bench"
for tool in nbdkit psktool; do
  command -v $tool > /dev/null 2>&1 || die "$tool is not installed"
done
system=$(${CC:-cc} -print-file-name=libnbd.so.0)
test -e "$system" || die "the system's libnbd.so.0 is not installed"

work=$(mktemp -d /tmp/nbdbenchXXXXXX)
servers=
finish ()
{
  test -z "$servers" || kill $servers 2> /dev/null || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/lib"
ln -s "$(realpath "$system")" "$work/lib/libnbd.so.0"

# serve NAME [ARGUMENT...]: nbdkit on the socket NAME.
serve ()
{
  _name=$1
  shift
  nbdkit -f -U "$work/$_name" -P "$work/$_name.pid" "$@" memory 64M &
  servers="$servers $!"
  _tries=100
  until test -s "$work/$_name.pid"; do
    _tries=$((_tries - 1))
    test $_tries -gt 0 || die "nbdkit does not start"
    sleep 0.1
  done
}

psktool -u bench -p "$work/keys.psk" > /dev/null 2>&1
serve plain
serve tls --tls=require --tls-psk="$work/keys.psk"
plain="nbd+unix:///?socket=$work/plain"
tls="nbds+unix://bench@/?socket=$work/tls&tls-psk-file=$work/keys.psk"

# NAME URI OPERATION SIZE DEPTH COUNT
cases ()
{
  cat << EOF
read-4k-1 $plain read 4096 1 20000
read-4k-64 $plain read 4096 64 100000
write-4k-64 $plain write 4096 64 100000
read-256k-8 $plain read 262144 8 4000
write-256k-8 $plain write 262144 8 4000
tls-read-4k-64 $tls read 4096 64 50000
tls-write-4k-64 $tls write 4096 64 50000
tls-read-256k-8 $tls read 262144 8 2000
tls-write-256k-8 $tls write 262144 8 2000
EOF
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

on_ours ()
{
  env -u LD_LIBRARY_PATH "$@"
}
on_system ()
{
  LD_LIBRARY_PATH=$work/lib "$@"
}

echo "case,library,size,requests,seconds,cpu" > "$csv"
cases > "$work/cases"
round=0
while test $round -lt "$rounds"; do
  while read -r name uri operation size depth count; do
    wanted "$name" "$@" || continue
    for library in ours system; do
      figures=$(on_$library "$client" "$uri" "$operation" "$size" "$depth" \
        "$count") || die "$name on $library"
      echo "$name,$library,$size,$(echo "$figures" | tr ' ' ,)" >> "$csv"
    done
  done < "$work/cases"
  round=$((round + 1))
done

echo "medians of $rounds rounds: ours, $(on_ours "$client" --version), and" \
  "the system's, $(on_system "$client" --version)"
awk -F , '
  function median (key, column,    n, i, j, v, t) {
    n = count[key]
    for (i = 1; i <= n; i++)
      v[i] = value[key, i, column]
    for (i = 2; i <= n; i++)
      for (j = i; j > 1 && v[j - 1] > v[j]; j--) {
        t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
      }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
  }
  NR > 1 {
    key = $1 SUBSEP $2
    i = ++count[key]
    value[key, i, "rate"] = $4 / $5
    value[key, i, "cpu"] = $6 / $4 * 1e6
    size[$1] = $3
    if (!seen[$1]++)
      names[++nr] = $1
  }
  END {
    printf "%-18s %12s %12s %7s %10s %10s %7s\n", "case", "ours req/s",
      "system", "ratio", "us CPU/req", "system", "ratio"
    for (i = 1; i <= nr; i++) {
      a = names[i] SUBSEP "ours"
      b = names[i] SUBSEP "system"
      printf "%-18s %12.0f %12.0f %6.2fx %10.2f %10.2f %6.2fx\n", names[i],
        median(a, "rate"), median(b, "rate"),
        median(a, "rate") / median(b, "rate"),
        median(a, "cpu"), median(b, "cpu"),
        median(b, "cpu") / median(a, "cpu")
    }
  }' "$csv"
