# SPDX-License-Identifier: LGPL-2.1-or-later

# To be sourced: need_packages NAME... installs the Debian packages that are
# missing.  Where there is no apt, or no right to use it, it says which packages
# are needed and ends the script.

need_packages ()
{
  missing=
  if ! command -v dpkg-query > /dev/null 2>&1 ||
     ! command -v apt-get > /dev/null 2>&1; then
    echo "This is not a system with apt.  Please install what these packages" >&2
    echo "of Debian hold, then build with ./configure && make:" >&2
    echo "  $*" >&2
    exit 1
  fi
  for package; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null) ||
      status=
    test "$status" = installed || missing="$missing $package"
  done
  test -n "$missing" || return 0

  sudo=
  if test "$(id -u)" != 0; then
    if command -v sudo > /dev/null 2>&1; then
      sudo=sudo
    else
      echo "These packages are missing, and only root can install them:" >&2
      echo "  apt-get install$missing" >&2
      exit 1
    fi
  fi
  echo "Installing packages:$missing"
  packages_log=$(mktemp)
  # The lists may be old or absent: fetch them only when that is the trouble.
  if ! $sudo env DEBIAN_FRONTEND=noninteractive \
       apt-get install -qq -y --no-install-recommends $missing \
       > "$packages_log" 2>&1 &&
     ! { $sudo apt-get update -qq > "$packages_log" 2>&1 &&
         $sudo env DEBIAN_FRONTEND=noninteractive \
           apt-get install -qq -y --no-install-recommends $missing \
           >> "$packages_log" 2>&1; }; then
    cat "$packages_log" >&2
    rm -f "$packages_log"
    echo "The packages could not be installed." >&2
    exit 1
  fi
  rm -f "$packages_log"
}

# What a build from git needs, and what the servers of the tests are.
build_packages="gcc make autoconf automake libtool pkg-config perl libc6-dev \
libgnutls28-dev libxml2-dev"
server_packages="nbdkit e2fsprogs systemd iproute2 netcat-openbsd \
openssh-client openssh-server gnutls-bin"

# What those of the examples take that show loops of other libraries.
example_packages="libglib2.0-dev libev-dev"
# What the tests of the manual look at its pages with.
manual_packages="groff-base mandoc hunspell hunspell-en-gb libxml2-utils \
chromium"
# Programs that are linked with libnbd, and what the tests run them with.
dropin_packages="libnbd-bin python3-libnbd libnbd-ocaml libnbd-ocaml-dev \
ocaml-findlib ocaml-nox fio poke fuse3"
# The servers of the benchmark, the library that it compares with, and plots.
bench_packages="nbdkit qemu-utils gnutls-bin libnbd0 gnuplot-nox"
