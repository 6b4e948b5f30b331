# SPDX-License-Identifier: LGPL-2.1-or-later

# What the tests of the examples share: TAP, a temporary folder, servers, and
# a look at what a program did.

srcdir=$(cd "${srcdir:-.}" && pwd)
builddir=$(cd "${builddir:-.}" && pwd)

# needs TOOL...: without one of them nothing here can run.
needs ()
{
  for tool; do
    if ! command -v "$tool" >/dev/null 2>&1; then
      echo "1..0 # SKIP $tool is not installed"
      exit 0
    fi
  done
}

needs nbdkit

tmp=$(mktemp -d) || exit 1
cd "$tmp" || exit 1
trap 'cd /; stop_all; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
LC_ALL=C
export LC_ALL
unset LIBNBD_DEBUG

cases=0
failures=0

# NAME: the case holds if the last command succeeded.
ok ()
{
  if [ "$2" -eq 0 ]; then
    good=
  else
    good='not '
    failures=$((failures + 1))
  fi
  cases=$((cases + 1))
  printf '%sok %d - %s\n' "$good" "$cases" "$1"
  if [ "$good" ]; then
    echo "# status $status"
    sed 's/^/# out: /' out
    sed 's/^/# err: /' err
  fi
}

skip ()
{
  cases=$((cases + 1))
  printf 'ok %d - %s # SKIP %s\n' "$cases" "$1" "$2"
}

done_testing ()
{
  echo "1..$cases"
  [ "$failures" -eq 0 ]
  exit
}

# NAME ARGUMENT...: nbdkit, listening on NAME.sock when this returns.  One that
# fails reads or writes needs --threads=1: nbdkit 1.32 aborts when the client goes
# while several of its threads have errors to tell.
serve ()
{
  server=$1
  shift
  # What it says of requests that fail on purpose is not of interest.
  if ! nbdkit -U "$server.sock" -P "$server.pid" "$@" 2>"$server.err"; then
    sed 's/^/# nbdkit: /' "$server.err"
    return 1
  fi
}

# A server of another kind on gone.sock: it hangs up at once.
serve_gone ()
{
  serve gone eval get_size='echo 1024' pread='exit 1' \
    preconnect='echo EIO no >&2; exit 1'
}

# NAME ARGUMENT...: the same on TCP; sets port, to nothing if none was free.
# One that is free now may be taken in a moment, so several are tried.
serve_tcp ()
{
  server=$1
  shift
  port=
  for try in 1 2 3 4 5 6 7 8 9 10; do
    candidate=$(awk -v seed="$$$try$cases" \
      'BEGIN { srand (seed); print 20000 + int (rand () * 12000) }')
    if nbdkit -i 127.0.0.1 -p "$candidate" -P "$server.pid" "$@" \
         2>/dev/null; then
      port=$candidate
      break
    fi
  done
}

stop_all ()
{
  for file in "$tmp"/*.pid; do
    [ -s "$file" ] && kill "$(cat "$file")" 2>/dev/null
  done
}

# PROGRAM ARGUMENT...: leaves status, out and err.
run ()
{
  program=$1
  shift
  timeout --foreground 60 "$builddir/examples/$program" "$@" \
    >out 2>err </dev/null
  status=$?
  # No failure is an excuse for a crash, or for what a sanitizer finds.
  if [ "$status" -ge 124 ] ||
     grep -E 'Sanitizer|runtime error:' err >/dev/null; then
    ok "$program ends by itself" 1
  fi
}

# The program succeeded and had nothing to complain about.
fine ()
{
  [ "$status" -eq 0 ] && [ ! -s err ]
}

# It failed, and said this.
failed ()
{
  [ "$status" -eq 1 ] && grep -e "$1" err >/dev/null
}

printed ()
{
  grep -x -e "$1" out >/dev/null
}

# PROGRAM ARGUMENT...: how the program fails whatever it is for.  The argument
# @ stands for the socket.  gone.sock must be served.
usual_failures ()
{
  p=$1
  shift
  run "$p"
  failed '^usage: .*'"$p" && [ ! -s out ]
  ok "$p without arguments says how it is used" $?
  fails_with nobody.sock 'No such file or directory' "$@"
  ok "$p fails when nobody listens" $?
  fails_with gone.sock . "$@"
  ok "$p fails when the server hangs up" $?
}

# SOCKET TEXT ARGUMENT...: so does the program p.
fails_with ()
{
  socket=$1
  text=$2
  shift 2
  n=$#
  while [ "$n" -gt 0 ]; do
    argument=$1
    shift
    [ "$argument" != @ ] || argument=$socket
    set -- "$@" "$argument"
    n=$((n - 1))
  done
  run "$p" "$@"
  failed "$text"
}

# PROGRAM: it takes no more than so many arguments.
too_many ()
{
  run "$1" 1 2 3 4 5 6 7
  failed '^usage: .*'"$1" && [ ! -s out ]
  ok "$1 with too many arguments says how it is used" $?
}
