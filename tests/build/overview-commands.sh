# SPDX-License-Identifier: LGPL-2.1-or-later

# The programs, parts of programs and commands of the overview pages, with
# nbdkit.  Each of their blocks is here:
# tries: first.c uri.c poll.c callback.c options.c extents.c versions.c tls.c
# tries: x509-ca.sh x509-server.sh x509-nbdkit.sh x509-connect.c
# tries: x509-client.sh x509-verify.sh x509-revoke.sh
# tries: psk-key.sh psk-nbdkit.sh psk-connect.c
# tries: trace-connect.txt trace-size.txt
# tries: which-library.c stranger.c bounded.c

. "${srcdir:=.}/tests/build/common.sh"
. "$srcdir/tests/build/pages.sh"

has nbdkit || skip_all "nbdkit is not installed"
unset LIBNBD_DEBUG

page=$tmp/page
trap 'stop_servers
      find "$tmp" -type d -exec chmod u+w "{}" +; rm -rf "$tmp"' EXIT

stop_servers ()
{
  for _pid in "$tmp"/*.pid; do
    ! test -s "$_pid" || kill "$(cat "$_pid")" 2> /dev/null
    rm -f "$_pid"
  done
}

# compile PROGRAM: from page/PROGRAM.c.
compile ()
{
  _flags="-g -Wall -Wextra -Wno-unused-parameter -Werror"
  _flags="$_flags $(make_variable SANITIZE_FLAGS)"
  # Flags are lists of words.
  # shellcheck disable=SC2086
  $CC -std=gnu11 $_flags -I"$(dirname "$(generated include/libnbd.h)")" \
      -c -o "$page/$1.o" "$page/$1.c" &&
    "$builddir/libtool" --silent --tag=CC --mode=link $CC $_flags -no-install \
      -o "$page/$1" "$page/$1.o" "$builddir/lib/libnbd.la"
}

# run PROGRAM ARGUMENT...: it may not hang.
run ()
{
  _program=$page/$1
  shift
  timeout --foreground 60 "$_program" "$@"
}

# fails_with TEXT PROGRAM ARGUMENT...: it fails by itself, and says this.
fails_with ()
{
  _text=$1
  shift
  run "$@" > "$tmp/said" 2>&1
  _status=$?
  cat "$tmp/said"
  test "$_status" = 1 && grep -q -e "$_text" "$tmp/said"
}

# serve_tcp SCRIPT FOLDER: what the page's SCRIPT starts, in FOLDER, on a port
# that is free: the variable port.  nbdkit comes back when it listens.
serve_tcp ()
{
  _script=$1
  _folder=$2
  for _try in 1 2 3 4 5 6 7 8 9 10; do
    port=$(awk -v seed="$$$_try" \
             'BEGIN { srand (seed); print 20000 + int (rand () * 12000) }')
    (
      cd "$_folder" || exit
      nbdkit ()
      {
        command nbdkit -i localhost -p "$port" -P "$tmp/tcp.pid" "$@"
      }
      . "$_script"
    ) 2> "$tmp/nbdkit.err" && return
    cat "$tmp/nbdkit.err"
    grep -q 'in use' "$tmp/nbdkit.err" || return
  done
}

blocks "$srcdir/docs/libnbd.pod" "$page"
blocks "$srcdir/docs/libnbd-drop-in.pod" "$page"
blocks "$srcdir/docs/libnbd-security.pod" "$page"
printf 'disk' > "$tmp/disk.img"
truncate -s 1M "$tmp/disk.img"

# --- The first program.

cat > "$page/serve.sh" <<END
nbdkit file "$tmp/disk.img"
END
need "a server" serve_tcp "$page/serve.sh" "$tmp"
sed "s/\"10809\"/\"$port\"/" "$page/first.c" > "$page/program.c"
need "the first program is compiled" compile program

prints_first_sector ()
{
  run program > "$tmp/sector" &&
    head -c 512 "$tmp/disk.img" | cmp - "$tmp/sector"
}
ok "it prints the first 512 bytes" prints_first_sector
stop_servers
ok "without a server it fails, and says why" \
  fails_with '^nbd_connect_tcp: ' program

# --- Parts of programs, in one.

cat > "$page/parts.c" <<END
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libnbd.h>

#include "poll.c"
#include "options.c"
#include "extents.c"

static int nr_completed;

static int
completed (void *user_data, int *error)
{
  nr_completed += *error == 0 && strcmp (user_data, "request") == 0;
  return 1;
}

static int
extents (void *user_data, const char *metacontext, uint64_t offset,
         nbd_extent *entries, size_t nr_entries, int *error)
{
  (void) user_data, (void) metacontext, (void) offset, (void) entries;
  (void) nr_entries, (void) error;
  return 0;
}

static int
work (struct nbd_handle *nbd, const char *path)
{
  const uint64_t count = 65536, offset = 0;
  char buf[3][512];
  uint64_t holes;
  int r = -1;

  if (nbd_add_meta_context (nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == -1 ||
      nbd_connect_unix (nbd, path) == -1 ||
      count_holes (nbd, &holes) == -1)
    return -1;
  printf ("holes: %llu\n", (unsigned long long) holes);
  for (int i = 0; i < 3; i++) {
    char *request = strdup ("request");
#include "callback.c"

    if (nbd_aio_pread (nbd, buf[i], sizeof buf[i], 512 * i, callback, 0) == -1)
      return -1;
  }
  if (wait_for_all (nbd) == -1)
    return -1;
  printf ("completed: %d\n", nr_completed);
  {
    nbd_extent64_callback callback = { .callback = extents };
#include "versions.c"
  }
  printf ("status: %d\n", r);
  return 0;
}

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd = nbd_create ();
  int r = -1;

  if (nbd == NULL || argc != 2)
    return 1;
  if (list_exports (nbd, argv[1]) == 0) {
    nbd_close (nbd);
    nbd = nbd_create ();
    r = work (nbd, argv[1]);
  }
  if (r == -1)
    fprintf (stderr, "%s\n", nbd_get_error ());
  nbd_close (nbd);
  return r == 0 ? 0 : 1;
}
END
cat > "$tmp/expected" <<'END'
disk: A disk
holes: 4128768
completed: 3
status: 0
END

serve_parts ()
{
  nbdkit -U "$tmp/parts.sock" -P "$tmp/parts.pid" --filter=exportname \
    data data='"hello" @0x100000 1' size=4M default-export=disk \
    exportname=disk exportname-list=explicit exportdesc=fixed:'A disk'
}
does_its_parts ()
{
  run parts "$tmp/parts.sock" > "$tmp/printed" || return
  diff "$tmp/expected" "$tmp/printed"
}
need "a server with a list of exports" serve_parts
need "parts of programs are compiled" compile parts
ok "exports are listed, holes counted, replies awaited" does_its_parts
ok "they fail without a server" fails_with '^nbd_connect_unix: ' parts \
  "$tmp/none.sock"
stop_servers

# --- The trace.

cat > "$page/trace.c" <<END
#include <libnbd.h>

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd = nbd_create ();
  int r;

  r = argc == 2 && nbd_connect_unix (nbd, argv[1]) == 0 &&
    nbd_get_size (nbd) == 1048576;
  nbd_close (nbd);
  return r ? 0 : 1;
}
END
serve_trace ()
{
  nbdkit -U "$tmp/trace.sock" -P "$tmp/trace.pid" memory 1M
}
has_lines ()
{
  LIBNBD_DEBUG=1 run trace "$tmp/trace.sock" 2> "$tmp/trace" || return
  cat "$page/trace-connect.txt" "$page/trace-size.txt" |
    sed -e "s|/run/nbd.sock|$tmp/trace.sock|" -e '/^$/d' > "$tmp/lines"
  while read -r _line; do
    grep -q -x -F -e "$_line" "$tmp/trace" || echo "missing: $_line"
  done < "$tmp/lines" > "$tmp/missing"
  cat "$tmp/missing"
  test ! -s "$tmp/missing" && test -s "$tmp/lines"
}
need "a server for a trace" serve_trace
need "a program for a trace" compile trace
ok "the trace has the lines of the page" has_lines
stop_servers

# --- What the pages say to do about URIs, hosts that hang, and libraries.

cat > "$page/uri-policy.c" <<END
#include <stdio.h>
#include <libnbd.h>

int
main (int argc, char *argv[])
{
  struct nbd_handle *nbd = nbd_create ();
  int r;

  if (argc != 2)
    return 2;
#include POLICY
  r = nbd_connect_uri (nbd, argv[1]);
  if (r == -1)
    fprintf (stderr, "%d %s\n", nbd_aio_is_created (nbd), nbd_get_error ());
  nbd_close (nbd);
  return r == 0 ? 0 : 1;
}
END
for policy in uri stranger; do
  sed "s/POLICY/\"$policy.c\"/" "$page/uri-policy.c" > "$page/policy.c"
  need "$policy.c is compiled" compile policy
  if test "$(make_variable LIBXML2_LIBS)" = ''; then
    skip "with $policy.c URIs are refused" "the library has no URIs"
    continue
  fi
  for uri in nbd://localhost/ 'nbd+unix:///?socket=/none' \
             nbds+ssh://localhost/ 'nbds+unix:///?socket=/dev/null' \
             'nbds://localhost/?tls-certificates=/' \
             'nbds://localhost/?tls-priority=NORMAL'; do
    ok "with $policy.c the URI $uri is refused" \
      fails_with '^1 nbd_connect_uri: .*: Operation not permitted$' policy \
        "$uri"
  done
done

shows_library ()
{
  run which-library > "$tmp/library" || return
  cat "$tmp/library"
  grep -q "libnbd $(make_variable PACKAGE_VERSION)" "$tmp/library" &&
    { ! test -e "$builddir/lib/.libs/libnbd.so.0" ||
      grep -q '/libnbd\.so\.0' "$tmp/library"; }
}
need "the program that asks for the library is compiled" compile which-library
ok "it prints the version and the file" shows_library

# A server that says nothing: what listens, and never accepts.
cat > "$page/silent.c" <<END
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <libnbd.h>

#include "bounded.c"

int
main (void)
{
  struct nbd_handle *nbd = nbd_create ();
  int fds[2], r;

  if (nbd == NULL || socketpair (AF_UNIX, SOCK_STREAM, 0, fds) == -1 ||
      nbd_aio_connect_socket (nbd, fds[0]) == -1)
    return 2;
  r = connected_within (nbd, 0);
  printf ("%d\n", r);
  nbd_close (nbd);
  return r;
}
END
gives_up ()
{
  test "$(run silent)" = 0
}
need "waiting with a limit is compiled" compile silent
ok "a server that says nothing is given up" gives_up

# --- TLS, step by step.

if test "$(make_variable GNUTLS_LIBS)" = ''; then
  skip "TLS, step by step" "the library was built without TLS"
  done_testing
fi
for tool in certtool psktool; do
  if ! has "$tool"; then
    skip "TLS, step by step" "$tool is not installed"
    done_testing
  fi
done
if ! nbdkit --dump-config | grep -q '^tls=yes'; then
  skip "TLS, step by step" "this nbdkit has no TLS"
  done_testing
fi

# tls_client PROGRAM FRAGMENT FOLDER: connects as FRAGMENT of the page does.
tls_client ()
{
  sed -e "s|/path/to/directory|$3|" -e "s|nbd.example.com|localhost|" \
      -e "s|\"10809\"|\"$port\"|" -e "s|keys.psk|$3/keys.psk|" \
    "$page/$2" > "$page/$1-fragment.c"
  cat > "$page/$1.c" <<END
#include <stdio.h>
#include <libnbd.h>

int
main (void)
{
  struct nbd_handle *nbd = nbd_create ();
  char buf[512];

#include "$1-fragment.c"
  if (nbd_aio_is_ready (nbd) != 1 ||
      nbd_pread (nbd, buf, sizeof buf, 0, 0) == -1 ||
      nbd_shutdown (nbd, 0) == -1)
    goto error;
  nbd_close (nbd);
  return 0;
 error:
  fprintf (stderr, "%s\n", nbd_get_error ());
  nbd_close (nbd);
  return 1;
}
END
  compile "$1"
}

# runs_block NAME FOLDER: a block of commands of the page.
runs_block ()
{
  (cd "$2" && set -e && . "$page/$1")
}

# Every user's own certificates are of no interest.
HOME=$tmp
LOGNAME=nobody
export HOME LOGNAME

x509=$tmp/x509
mkdir "$x509" "$x509/server" "$x509/client" "$x509/nothing"
sed -i -e "s|/path/to/directory|$x509/server|" -e "s|disk.img|$tmp/disk.img|" \
  "$page/x509-nbdkit.sh" "$page/x509-verify.sh" "$page/psk-nbdkit.sh"

need "an authority is made" runs_block x509-ca.sh "$x509"
need "a certificate for the server is made" runs_block x509-server.sh "$x509"
cp "$x509/ca-cert.pem" "$x509/server-cert.pem" "$x509/server-key.pem" \
  "$x509/server"
cp "$x509/ca-cert.pem" "$x509/client"
need "the server starts" serve_tcp "$page/x509-nbdkit.sh" "$x509"
need "the client is compiled" tls_client client x509-connect.c "$x509/client"
ok "the client connects" run client
need "another without the authority" \
  tls_client stranger x509-connect.c "$x509/nothing"
ok "is told that the issuer is not known" \
  fails_with 'issuer is not known' stranger
need "another that names no directory" tls_client tls tls.c "$x509/nothing"
ok "is told the same" fails_with 'issuer is not known' tls
stop_servers

need "a certificate for a client is made" runs_block x509-client.sh "$x509"
need "a server starts that verifies clients" \
  serve_tcp "$page/x509-verify.sh" "$x509"
need "the client is compiled for it" \
  tls_client client x509-connect.c "$x509/client"
ok "without a certificate the client is refused" fails_with . client
cp "$x509/client-cert.pem" "$x509/client-key.pem" "$x509/client"
ok "with one it connects" run client

cp "$x509/server-cert.pem" "$x509/revoked.pem"
need "the certificate of the server is revoked" \
  runs_block x509-revoke.sh "$x509"
cp "$x509/ca-crl.pem" "$x509/client"
ok "the client refuses a server that was revoked" fails_with revoked client
stop_servers

psk=$tmp/psk
mkdir "$psk"
need "a shared key is made" runs_block psk-key.sh "$psk"
need "a server starts with it" serve_tcp "$page/psk-nbdkit.sh" "$psk"
need "a client for it is compiled" tls_client shared psk-connect.c "$psk"
ok "a client with the key connects" run shared
mkdir "$psk/other"
echo "alice:0123456789abcdef" > "$psk/other/keys.psk"
need "a client with another key is compiled" \
  tls_client shared psk-connect.c "$psk/other"
ok "a client with another key does not" fails_with 'TLS: ' shared
stop_servers

done_testing
