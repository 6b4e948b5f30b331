#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# nbdsh, and every method of its Python binding.

GROUP=nbdsh
. "${srcdir:=.}/tests/dropin/same.sh"
program python3-libnbd nbdsh
has nbdkit || skip_all "nbdkit is not installed"
has qemu-nbd || skip_all "qemu-nbd is not installed"
make_pki

cd "$tmp" || exit
mkdir disks
: > disks/one
echo two > disks/two
server pattern nbdkit pattern 1M
server null nbdkit null 1M
server several nbdkit file dir="$tmp/disks"
server keys nbdkit --tls=require --tls-psk="$tmp/pki/keys.psk" pattern 1M
server certificates nbdkit --tls=require --tls-certificates="$pki" pattern 1M
server expired nbdkit --tls=require --tls-certificates="$tmp/pki/expired" \
  pattern 1M
tcp_server tcp pattern 1M
pattern="nbd+unix:///?socket=$tmp/pattern.sock"
methods="/usr/bin/python3 $here/methods.py"
NULL_SOCKET=$tmp/null.sock
export NULL_SOCKET methods pattern port tmp

loads 'nbdsh -u "$pattern" -c "print (h.get_version ())"'

same 'a URI' 'nbdsh -u "$pattern" -c "print(h.get_size())"'
same 'a URI, over TCP' \
  'nbdsh --uri nbd://127.0.0.1:$port -c "print(h.pread(16, 4096))"'
same 'several commands' \
  'nbdsh -c "h.connect_command([\"nbdkit\", \"-s\", \"memory\", \"1M\"])" -c "h.pwrite(b\"abc\" * 100, 0)" -c "print(h.pread(9, 0))" --command "print(h.get_protocol())"'
same 'a program from stdin' \
  'echo "for i in range(3): print(h.pread(8, i * 512))" | nbdsh -u "$pattern" -c -'
same 'allocation' \
  'nbdsh --base-allocation -u "$pattern" -c "print(h.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION))" -c "h.block_status(65536, 0, lambda *args: print(args))"'
same 'option mode' \
  'nbdsh --opt-mode -u "nbd+unix:///?socket=$tmp/several.sock" -c "h.opt_list(lambda *args: print(args))" -c "h.set_export_name(\"two\")" -c "h.opt_go()" -c "print(h.pread(4, 0))"'
same 'no handle' 'nbdsh -n -c "print(\"h\" in globals())" -c "print(nbd.NBD().aio_is_created())"'
same 'a server in brackets' \
  'nbdsh -c "h.connect_systemd_socket_activation([\"qemu-nbd\", \"-f\", \"raw\", \"-r\", \"$tmp/disks/two\"])" -c "print(h.pread(4, 0), h.get_block_size(nbd.SIZE_PREFERRED))"'
same 'constants' \
  'nbdsh -n -c "print(sorted((n, getattr(nbd, n)) for n in dir(nbd) if n.isupper()))"'
same 'a URI that is made' 'nbdsh -u "$pattern" -c "print(h.get_uri())"'
same 'an interactive shell' \
  'printf "print(h.aio_is_created())\nh.pread(1, 0)\n" | nbdsh 2>&1 | grep -e True -e nbd.Error'
same 'TLS with a key' \
  'nbdsh -c "h.set_tls(nbd.TLS_REQUIRE)" -c "h.set_tls_psk_file(\"$tmp/pki/keys.psk\")" -c "h.set_tls_username(\"alice\")" -c "h.connect_unix(\"$tmp/keys.sock\")" -c "print(h.get_tls_negotiated(), h.pread(16, 512))"'
same 'TLS with certificates' \
  'nbdsh -c "h.set_tls(nbd.TLS_REQUIRE)" -c "h.set_tls_certificates(\"$tmp/pki/client\")" -c "h.connect_unix(\"$tmp/certificates.sock\")" -c "print(h.get_tls_negotiated(), h.get_size())"'
same 'TLS with a certificate that has expired' \
  'nbdsh -c "h.set_tls(nbd.TLS_REQUIRE)" -c "h.set_tls_certificates(\"$tmp/pki/trust\")" -c "h.connect_unix(\"$tmp/expired.sock\")" 2>&1 | tail -n 1'
same 'TLS with a wrong key' \
  'nbdsh -c "h.set_tls(nbd.TLS_REQUIRE)" -c "h.set_tls_psk_file(\"$tmp/pki/other.psk\")" -c "h.set_tls_username(\"alice\")" -c "h.connect_unix(\"$tmp/keys.sock\")" 2>&1 | tail -n 1'
same 'nobody listens' \
  'nbdsh -u "nbd+unix:///?socket=$tmp/nobody.sock" -c "print(5)" 2>&1 | tail -n 1'
same 'an exception' \
  'nbdsh -u "$pattern" -c "h.pread(512, 2**20)" 2>&1 | tail -n 1'
same 'an exception that is caught' \
  'printf "try:\n  h.pwrite(b\"x\", 2**20)\nexcept nbd.Error as e:\n  print(e.string, e.errno)\n" | nbdsh -u "$pattern" -c -'

# Each section of methods.py.
for section in $($methods list); do
  CALLED=$tmp/called
  export CALLED
  same "methods: $section" "\$methods $section"
done
ok "every method was called" $methods uncalled

end_group
