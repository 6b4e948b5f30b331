# SPDX-License-Identifier: LGPL-2.1-or-later

# To be sourced, with GROUP set: a group of command lines of one program, each
# run on the system's libnbd 1.14 and on ours.  It must do the same on both:
# exit status, output, errors, and the files that it leaves.
#
#   program PACKAGE COMMAND          what the group is about
#   loads COMMAND LINE               a command line that shows which library
#                                    the program has loaded
#   same NAME COMMAND LINE           the comparison
#   end_group                        the last line
#
# What may differ is in accepted.txt, exactly.  With DROPIN_SHOW=FILE in
# the environment all transcripts (of ours) are added to a file.

. "$srcdir/tests/build/common.sh"

# What is tested is Debian's, whatever else is installed.
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
unset LIBNBD_DEBUG LD_LIBRARY_PATH LD_PRELOAD

here=$srcdir/tests/dropin
page=$srcdir/docs/drop-in.md
seconds=30

# Servers must get through it as another user too.
chmod 711 "$tmp"

stop_servers ()
{
  for _file in "$tmp"/*.pid; do
    test -s "$_file" && kill "$(cat "$_file")" 2> /dev/null
  done
}
trap 'stop_servers; chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT

# program PACKAGE COMMAND: of Debian.
program ()
{
  package=$1
  has "$2" || skip_all "$2 is not installed"
  test -e "$builddir/lib/.libs/libnbd.so.0" ||
    skip_all "there is no shared library in this build"
  sanitized &&
    skip_all "a library with sanitizers needs a program with sanitizers"
  _system=$($CC -print-file-name=libnbd.so.0)
  test -e "$_system" || skip_all "libnbd.so.0 is not installed"
  # The differences were accepted for 1.14, which has no symbols of its own.
  nm -D "$_system" | grep 'LIBNBD_1\.12' > /dev/null &&
    nm -D "$_system" | not grep 'LIBNBD_1\.16' > /dev/null ||
    skip_all "the system's libnbd is not 1.14"
  mkdir "$tmp/system" "$tmp/ours"
  ln -s "$(realpath "$_system")" "$tmp/system/libnbd.so.0"
  ln -s "$(realpath "$builddir/lib/.libs/libnbd.so.0")" "$tmp/ours/libnbd.so.0"
  nr_lines=0
  nr_accepted=0
  : > "$tmp/names"
}

# server NAME COMMAND ARGUMENT...: nbdkit or qemu-nbd, which listens on
# $tmp/NAME.sock when this returns.  nbdkit needs --threads=1 if it fails reads or
# writes: 1.32 aborts when the client goes while several threads have errors to
# tell.
server ()
{
  _name=$1
  _command=$2
  shift 2
  case $_command in
    nbdkit) set -- -P "$tmp/$_name.pid" -U "$tmp/$_name.sock" "$@" ;;
    qemu-nbd) set -- --fork --pid-file="$tmp/$_name.pid" --persistent \
                --shared=0 --socket="$tmp/$_name.sock" "$@" ;;
  esac
  # What it says of requests that fail on purpose is not of interest.
  need "the server $_name starts" "$_command" "$@" > "$tmp/need" ||
    cat "$tmp/need"
  cases=$((cases - 1))
}

# tcp_server NAME ARGUMENT...: nbdkit on a free port of 127.0.0.1, whose number
# is left in port.
tcp_server ()
{
  _name=$1
  shift
  _tries=50
  while test "$_tries" -gt 0; do
    port=$(awk -v seed="$$$_tries" \
             'BEGIN { srand(seed); print 20000 + int(rand() * 12000) }')
    if nbdkit -P "$tmp/$_name.pid" -i 127.0.0.1 -p "$port" "$@" \
         > "$tmp/nbdkit.log" 2>&1; then
      return
    fi
    _tries=$((_tries - 1))
  done
  need "nbdkit finds a port" cat "$tmp/nbdkit.log" /nonexistent
}

# Certificates and keys: the folder $pki has the server's, $pki/client a
# client's, $pki/other those of a stranger; and keys.psk and other.psk.
make_pki ()
{
  has certtool && has psktool || skip_all "certtool is not installed"
  mkdir "$tmp/pki"
  pki=$tmp/pki/good
  need "certificates are made" sh "$srcdir/tests/scenarios/pki.sh" \
    "$tmp/pki" > "$tmp/need" || cat "$tmp/need"
  cases=$((cases - 1))
}

# Files that a command line finds in the folder where it runs.
prepare ()
{
  :
}

# run_on LIBRARY COMMAND LINE: leaves stdout, stderr and status in files of
# $tmp/LIBRARY.run, and what the command line leaves in its folder "run".
run_on ()
{
  rm -rf "$tmp/$1.run"
  mkdir -p "$tmp/$1.run/run"
  (
    run=$tmp/$1.run/run
    cd "$run" || exit
    prepare
    LD_LIBRARY_PATH=$tmp/$1
    export LD_LIBRARY_PATH
    exec timeout -k 5 "$seconds" sh -c "$2" < /dev/null
  ) > "$tmp/$1.run/stdout" 2> "$tmp/$1.run/stderr"
  echo $? > "$tmp/$1.run/status"
}

# The whole normalisation: our own folders and port, the names of temporary
# folders of libnbd and nbdkit, and which of its threads nbdkit speaks of.
normalise ()
{
  sed -e "s,$tmp/[a-z]*\.run/run,RUN,g" -e "s,$tmp,TMP,g" \
      -e "s,:${port:-none}\b,:PORT,g" \
      -e 's,^\(nbdkit: [a-z]*\)\.[0-9]*: ,\1.N: ,' \
      -e 's,/tmp/libnbd[A-Za-z0-9]\{6\}/,/tmp/libnbd-RANDOM/,g' \
      -e 's,/tmp/nbdkit[A-Za-z0-9]\{6\}/,/tmp/nbdkit-RANDOM/,g' "$1"
}

transcript ()
{
  run_on "$1" "$2"
  echo "status: $(cat "$tmp/$1.run/status")"
  normalise "$tmp/$1.run/stdout" | sed 's/^/stdout: /'
  normalise "$tmp/$1.run/stderr" | sed 's/^/stderr: /'
  (cd "$tmp/$1.run/run" && find . ! -type d ! -type p | LC_ALL=C sort |
    xargs -r cksum | sed 's/^/file: /')
}

# Ended by itself, and not by a signal.
has_ended ()
{
  test "$(cat "$tmp/$1.run/status")" -lt 124 || {
    echo "it did not end well on $1:"
    cat "$tmp/transcript.$1"
    return 1
  }
}

# What is accepted for the command line NAME, as the lines of a diff.
accepted ()
{
  awk -v name="$GROUP: $1" '
    /^$/ { mine = 0 }
    /^test: / { if (substr($0, 7) == name) mine = 1 }
    mine && /^[-+]/' "$here/accepted.txt"
}

agree ()
{
  transcript system "$2" > "$tmp/transcript.system" &
  _other=$!
  transcript ours "$2" > "$tmp/transcript.ours"
  wait $_other
  has_ended system && has_ended ours || return
  diff -U 9999 "$tmp/transcript.system" "$tmp/transcript.ours" \
    > "$tmp/whole.diff"
  test -z "${DROPIN_SHOW-}" ||
    { echo "=== $1"; cat "$tmp/transcript.ours"; } >> "$DROPIN_SHOW"
  sed -n -e 1,2d -e '/^[-+]/p' "$tmp/whole.diff" > "$tmp/differs"
  accepted "$1" > "$tmp/accepted"
  cmp -s "$tmp/differs" "$tmp/accepted" || {
    echo "$2"
    echo "what differs (- the system's, + ours):"
    cat "$tmp/whole.diff"
    echo "what is accepted:"
    cat "$tmp/accepted"
    return 1
  }
}

# same NAME COMMAND LINE
same ()
{
  nr_lines=$((nr_lines + 1))
  echo "$GROUP: $1" >> "$tmp/names"
  ok "$1" agree "$1" "$2"
  if test -s "$tmp/accepted"; then
    nr_accepted=$((nr_accepted + 1))
  fi
}

loads_it ()
{
  LD_DEBUG=libs
  LD_DEBUG_OUTPUT=$tmp/loader
  export LD_DEBUG LD_DEBUG_OUTPUT
  run_on "$1" "$2"
  unset LD_DEBUG LD_DEBUG_OUTPUT
  cat "$tmp"/loader.* | sed -n 's,.*calling init: \(.*/libnbd\.so.*\),\1,p' |
    sort -u > "$tmp/loaded"
  rm -f "$tmp"/loader.*
  cat "$tmp/$1.run/stdout" "$tmp/$1.run/stderr" "$tmp/loaded"
  test "$(cat "$tmp/loaded")" = "$tmp/$1/libnbd.so.0"
}

# loads COMMAND LINE: proves that the program runs on either library.
loads ()
{
  need "the program loads the system's library, and no other" \
    loads_it system "$1"
  need "the program loads ours, and no other" loads_it ours "$1"
}

# Blocks of accepted.txt for command lines that are not there, or without a
# reason.
nothing_stale ()
{
  awk 'BEGIN { RS = "" } !/^#/ { print; bad = 1 } END { exit bad }' \
    "$here/accepted.txt" || return
  sed -n "s/^test: \($GROUP: .*\)/\1/p" "$here/accepted.txt" | sort \
    > "$tmp/expected"
  sort "$tmp/names" | uniq -d > "$tmp/twice"
  sort -u "$tmp/names" | comm -23 "$tmp/expected" - > "$tmp/stale"
  cat "$tmp/stale" "$tmp/twice"
  ! test -s "$tmp/stale" && ! test -s "$tmp/twice"
}

# The row of the page for administrators.
in_page ()
{
  _version=
  if has dpkg-query; then
    _version=$(dpkg-query -W -f '${Version}' "$package")
  fi
  echo "docs/drop-in.md must say of \`$GROUP\`, after the second column:"
  echo "$_version | $nr_lines | $nr_accepted"
  awk -F ' *[|] *' -v name="\`$GROUP\`" -v version="$_version" \
    -v lines="$nr_lines" -v words="$nr_accepted" '
    $2 == name && (version == "" || $4 "" == version) &&
      $5 == lines && $6 == words { found = 1 }
    END { exit !found }' "$page"
}

end_group ()
{
  ok "every accepted difference is that of a command line here" nothing_stale
  ok "the page for administrators has these numbers" in_page
  done_testing
}
