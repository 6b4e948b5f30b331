#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# The examples about TLS, with certificates and keys that are made here.

. "${srcdir:=.}/tests/examples/common.sh"

needs certtool psktool
run library-info
if ! printed 'TLS: yes'; then
  echo '1..0 # SKIP this build has no TLS'
  exit 0
fi
if ! nbdkit --dump-config | grep '^tls=yes' >/dev/null; then
  echo '1..0 # SKIP this nbdkit has no TLS'
  exit 0
fi

serve_gone
serve plain memory 1M
usual_failures tls-psk @ keys.psk alice
too_many tls-psk
too_many tls-certificates

# Keys.

psktool -u alice -p keys.psk >out 2>err
psktool -u bob -p bob.psk >out 2>err
serve psk --tls=require --tls-psk=keys.psk memory 1M

run tls-psk psk.sock keys.psk alice
fine && printed 'connected as alice' && printed 'size: 1048576 bytes'
ok 'tls-psk connects with a key' $?

run tls-psk psk.sock bob.psk bob
failed 'nbd_connect_unix: '
ok 'tls-psk fails with the key of somebody else' $?

run tls-psk psk.sock no-such.psk alice
failed 'nbd_connect_unix: .*No such file'
ok 'tls-psk fails without its file' $?

run tls-psk plain.sock keys.psk alice
failed 'nbd_connect_unix: .*TLS'
ok 'tls-psk fails when the server has no TLS' $?

for p in negotiate negotiate-async; do
  run $p psk.sock '' keys.psk
  fine && printed 'TLS: agreed' && printed 'structured replies: agreed' &&
    printed 'size: 1048576 bytes'
  ok "$p goes over to TLS" $?

  run $p psk.sock ''
  [ "$status" -eq 1 ] && [ -s err ]
  ok "$p fails when the server insists on TLS" $?

  run $p psk.sock '' bob.psk
  [ "$status" -eq 1 ] && [ -s err ]
  ok "$p fails without the right key" $?
done

# Certificates: an authority, a server called localhost, a client.

mkdir pki client stranger
(
  cd pki || exit 1
  for whose in ca server client; do
    certtool --generate-privkey --key-type=ecdsa --no-text \
      --outfile $whose-key.pem
  done
  printf '%s\n' 'cn = "Authority"' ca cert_signing_key \
    'expiration_days = 10' >ca.info
  certtool --generate-self-signed --load-privkey ca-key.pem \
    --template ca.info --no-text --outfile ca-cert.pem
  printf '%s\n' 'cn = "localhost"' 'dns_name = "localhost"' \
    'dns_name = "disks.example.com"' tls_www_server signing_key \
    'expiration_days = 10' >server.info
  printf '%s\n' 'cn = "client"' tls_www_client signing_key \
    'expiration_days = 10' >client.info
  for whose in server client; do
    certtool --generate-certificate --load-privkey $whose-key.pem \
      --load-ca-certificate ca-cert.pem --load-ca-privkey ca-key.pem \
      --template $whose.info --no-text --outfile $whose-cert.pem
  done
  cp ca-cert.pem client-cert.pem client-key.pem ../client
  certtool --generate-self-signed --load-privkey client-key.pem \
    --template ca.info --no-text --outfile ../stranger/ca-cert.pem
) >out 2>err

run tls-certificates localhost 1 client
failed 'nbd_connect_tcp: .*refused'
ok 'tls-certificates fails when nothing listens on a port' $?

serve_tcp plain-tcp memory 1M
if [ -z "$port" ]; then
  skip 'tls-certificates with servers' 'no port was free'
  done_testing
fi
run tls-certificates localhost "$port" client
failed 'nbd_connect_tcp: .*TLS'
ok 'tls-certificates fails when the server has no TLS' $?

serve_tcp tls --tls=require --tls-certificates="$tmp/pki" --tls-verify-peer \
  memory 1M
[ "$port" ]
ok 'there is a server with a certificate' $?

run tls-certificates localhost "$port" client
fine && printed 'TLS is required, and is in use' &&
  printed 'size: 1048576 bytes'
ok 'tls-certificates connects' $?

run tls-certificates 127.0.0.1 "$port" client
failed 'nbd_connect_tcp: '
ok 'tls-certificates fails when the name is another' $?

run tls-certificates 127.0.0.1 "$port" client disks.example.com
fine && printed 'name in the certificate: disks.example.com'
ok 'tls-certificates connects when it is told the name' $?

run tls-certificates localhost "$port" client other.example.com
failed 'nbd_connect_tcp: '
ok 'tls-certificates fails when it is told another name' $?

run tls-certificates localhost "$port" stranger
failed 'nbd_connect_tcp: '
ok 'tls-certificates fails when it does not know the authority' $?

run tls-certificates localhost "$port" no-such-folder
failed 'nbd_.*: '
ok 'tls-certificates fails without its folder' $?

run tls-certificates -k 127.0.0.1 "$port" client
[ "$status" -eq 0 ] && grep 'not verified' err >/dev/null &&
  printed 'size: 1048576 bytes'
ok 'tls-certificates -k connects to anybody, with a warning' $?

done_testing
