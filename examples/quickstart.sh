#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# A tour for newcomers, from a fresh clone to a copied disk image:
#
#   sh examples/quickstart.sh
#
# It installs what is missing (Debian and its relatives, as root or with sudo),
# builds the library in build-quickstart/, serves a disk image with nbdkit, and
# runs the example programs against it.  What stays behind is the packages,
# that folder, and in a clone configure and what belongs to it.

set -eu

# mke2fs and its relatives are there, and not in everybody's PATH.
PATH=$PATH:/usr/sbin:/sbin
export PATH

# The same messages everywhere.
LC_ALL=C
export LC_ALL

src=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$src/build-quickstart
log=$build/quickstart.log
stamp=$build/configured-for
tmp=
step='the start'

# Output.

say ()
{
  printf '%s\n' "$*"
}

section ()
{
  step=$*
  printf '\n== %s ==\n\n' "$*"
}

die ()
{
  printf 'quickstart: %s\n' "$*" >&2
  exit 1
}

has ()
{
  command -v "$1" >/dev/null 2>&1
}

# Print a command as it could be typed, then run it.
show ()
{
  line=
  for word; do
    case $word in
    *[!A-Za-z0-9_./=:,+-]*) word="'$word'" ;;
    esac
    line="$line $word"
  done
  printf '  $%s\n' "$line"
  "$@"
}

# LABEL COMMAND...: what the command prints goes to the log, and is shown when
# it fails.
quietly ()
{
  printf '%s ... ' "$1"
  shift
  if "$@" >>"$log" 2>&1 </dev/null; then
    say 'done'
  else
    say 'failed'
    printf '\nThe end of %s:\n\n' "$log" >&2
    tail -n 30 "$log" >&2
    exit 1
  fi
}

# However the script ends, the server and the temporary folder go away.

stop_server ()
{
  [ -s "$tmp/nbdkit.pid" ] || return 0
  pid=$(cat "$tmp/nbdkit.pid")
  kill "$pid" 2>/dev/null || return 0
  # It is not a child of the shell, which therefore cannot wait for it.
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || return 0
}

finish ()
{
  status=$?
  trap - EXIT
  trap '' HUP INT TERM
  set +e
  if [ -n "$tmp" ]; then
    stop_server
    rm -rf "$tmp"
  fi
  if [ "$status" -ne 0 ]; then
    printf '\nquickstart: FAILED (status %s) in "%s".\n' "$status" "$step" >&2
  fi
  exit "$status"
}

trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

section '1. What is needed'

if [ -f "$src/config.status" ]; then
  die "$src is itself configured as a build folder;" \
      "run 'make distclean' there first."
fi

# What an interrupted run left, or one before the folder was moved, is of no
# use.
if [ -d "$build" ] && [ "$(cat "$stamp" 2>/dev/null)" != "$build" ]; then
  rm -rf "$build"
fi
mkdir -p "$build"
: >"$log"

has_headers ()
{
  for compiler in "${CC-}" gcc cc; do
    if [ -n "$compiler" ] && has "${compiler%% *}"; then
      echo '#include <stdlib.h>' | $compiler -E - >/dev/null 2>&1
      return
    fi
  done
  return 1
}

has_library ()
{
  has pkg-config && pkg-config --exists "$1"
}

# Debian packages that bring what is not there.
find_missing ()
{
  missing=
  has_headers || missing="$missing gcc libc6-dev"
  has make || missing="$missing make"
  has pkg-config || missing="$missing pkg-config"
  has_library 'gnutls >= 3.5.18' || missing="$missing libgnutls28-dev"
  has_library libxml-2.0 || missing="$missing libxml2-dev"
  # A release brings what these make.
  if [ -e "$src/.git" ] || [ ! -x "$src/configure" ]; then
    has autoconf || missing="$missing autoconf"
    has automake || missing="$missing automake"
    has libtoolize || missing="$missing libtool"
    has pod2man || missing="$missing perl"
  fi
  has nbdkit || missing="$missing nbdkit"
  if ! { has mke2fs && has e2fsck && has debugfs; }; then
    missing="$missing e2fsprogs"
  fi
}

say 'Building takes a C compiler, make and the autotools; GnuTLS and libxml2'
say 'are the libraries for TLS and URIs.  For the tour there is nbdkit, an NBD'
say 'server, and e2fsprogs, which makes a disk image.'
say

find_missing
if [ -z "$missing" ]; then
  say 'Everything is there already.'
else
  say "Missing, by the names of Debian packages:$missing"
  if ! has apt-get; then
    say
    say 'There is no apt-get here.  Please install the packages of your system'
    say 'that correspond to these, and run this script again.'
    exit 1
  fi
  if [ "$(id -u)" -eq 0 ]; then
    as_root=
  elif has sudo; then
    as_root=sudo
  else
    die "please run this as root: apt-get install$missing"
  fi
  quietly 'Updating the list of packages' $as_root apt-get -q update
  # The names are to be split.
  # shellcheck disable=SC2086
  quietly 'Installing' $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y --no-install-recommends install $missing
  find_missing
  if [ -n "$missing" ]; then
    die "still missing after the installation:$missing"
  fi
fi

section '2. Build'

say "The build is kept out of the sources, in"
say "  $build"
say "Its details are in quickstart.log there."
say

# Relative, because configure refuses a path to the sources that has a space.
cd "$build"

if [ ! -x ../configure ]; then
  quietly 'Making configure (autoreconf -fi)' \
    sh -c 'cd .. && autoreconf -fi'
fi
if [ ! -f "$stamp" ]; then
  quietly 'Configuring' ../configure --disable-static
  printf '%s\n' "$build" >"$stamp"
fi

jobs=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
: >build-started
quietly "Running make -j$jobs" make -j"$jobs"
if [ -z "$(find lib examples -name '*.o' -newer build-started)" ]; then
  say
  say 'Nothing has changed since the last run, so nothing was built again.'
fi

# In a release these come with the sources.
include=$build/include
[ -f "$include/libnbd.h" ] || include=$src/include
manual=$build/docs
[ -f "$manual/nbd_pread.3" ] || manual=$src/docs
libs=$build/lib/.libs

section '3. A disk image, and a server'

tmp=$(mktemp -d "${TMPDIR:-/tmp}/quickstart.XXXXXX")
# The path of a socket has to fit in 107 bytes.
if [ ${#tmp} -gt 90 ]; then
  rmdir "$tmp"
  tmp=$(mktemp -d /tmp/quickstart.XXXXXX)
fi
cd "$tmp"
tmp=$(pwd)
PATH=$build/examples:$PATH

say "What follows happens in a temporary folder, $tmp."
say 'First a disk of 256 MiB: a file system with a few files in it, and a line'
say 'of text in the boot block.'
say
mkdir files files/sources
echo 'Hello from a file system that was read over NBD.' >files/hello.txt
cp "$src/COPYING.LIB" files/
cp "$src"/examples/*.c files/sources/
dd if=/dev/urandom of=files/random.bin bs=1048576 count=48 2>>"$log"
show mke2fs -q -t ext4 -L quickstart -d files disk.img 256M
echo 'A boot loader could be here.' |
  dd of=disk.img conv=notrunc 2>>"$log"

say
say 'nbdkit serves it on a Unix domain socket:'
say
# It returns when the socket is ready for clients.
show nbdkit -U nbd.sock -P nbdkit.pid --filter=exportname \
  file file=disk.img default-export=quickstart \
  exportname=quickstart exportname-list=explicit \
  exportdesc=fixed:'A disk with an ext4 file system'

section '4. What the server offers'

say 'This program makes and connects a socket of its own and hands it to'
say 'nbd_connect_socket, as the ones in sections 5, 6 and 8 do:'
say
show connect-socket nbd.sock
say
say 'A server can have more exports than one:'
say
show list-exports nbd.sock

section '5. Which parts are in use'

say 'The allocation map, asked for with block status requests:'
say
show map-image nbd.sock

section '6. Copy the disk'

say 'Up to 64 reads are in flight at any time.  What the map calls zero is not'
say 'read at all.'
say
show copy-image nbd.sock copy.img

say
say 'The copy must be the same as what the server has:'
say
show sha256sum disk.img copy.img >sums
cat sums
sum=$(sha256sum <disk.img)
copied=$(sha256sum <copy.img)
[ "$sum" = "$copied" ] || die 'the checksums differ'

section '7. Look into the copy'

say 'The file system in it is sound:'
say
show e2fsck -fn copy.img 2>&1
say
say 'and holds the files:'
say
# Not to a terminal, where it would start a pager.
show debugfs -R 'ls -l /' copy.img 2>>"$log" >listing
sed '/^$/d' listing
grep ' hello\.txt' listing >/dev/null || die 'hello.txt is not in the copy'
say
show debugfs -R 'cat /hello.txt' copy.img 2>>"$log" >output
cat output
debugfs -R 'cat /random.bin' copy.img 2>>"$log" >random.bin
cmp random.bin files/random.bin

section '8. Write'

say 'A block of the disk is overwritten with something else, flushed, read'
say 'back, compared, and restored:'
say
show write-block nbd.sock 1048576
written=$(sha256sum <disk.img)
[ "$sum" = "$written" ] || die 'the old content was not restored'
say
say 'The disk has the checksum that it had before.'

section '9. A program of your own'

say 'Any of the examples can be the start of one; here it is simple-read.c.'
say 'A program is compiled against the build folder, without installing the'
say 'library, like this:'
say
compiler=${CC-}
if [ -z "$compiler" ]; then
  compiler=cc
  has cc || compiler=gcc
fi
cp "$src/examples/simple-read.c" my-program.c
# CC may have arguments.
# shellcheck disable=SC2086
show $compiler -o my-program my-program.c \
  -I"$include" -L"$libs" -lnbd -Wl,-rpath,"$libs"
show ./my-program nbd.sock >output
sed -n '1,6p' output
say '[...]'
if has ldd; then
  ldd my-program >libraries
  grep -F "$libs/libnbd.so" libraries >/dev/null ||
    die 'the program found another libnbd'
fi

section '10. Where everything is'

say "library     $libs/libnbd.so"
say "header      $include/libnbd.h"
say "programs    $build/examples/"
say "sources     $src/examples/"
say "manual      man '$manual/nbd_pread.3'"
say
say 'To install all of it, and then compile with pkg-config:'
say
say "  sudo make -C '$build' install && sudo ldconfig"
say "  cc my-program.c \$(pkg-config --cflags --libs libnbd)"
say
say 'The server is stopped now, and the temporary folder removed.'
