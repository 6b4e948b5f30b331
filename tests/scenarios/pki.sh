#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# Makes the certificates and keys of the scenarios about TLS in the folder that
# is named:  sh pki.sh FOLDER
# Scenarios that are run by hand find it by SCENARIO_PKI.

set -eu
cd "$1"

key ()
{
  certtool --generate-privkey --key-type=ecdsa --no-text --outfile "$1-key.pem"
}

# A certificate NAME, issued by ISSUER, as the template on stdin says.
certificate ()
{
  { echo "signing_key"; cat; } > "$1.info"
  certtool --generate-certificate --load-privkey "$2-key.pem" \
    --load-ca-certificate "$3.pem" --load-ca-privkey "$3-key.pem" \
    --template "$1.info" --no-text --outfile "$1.pem"
}

authority ()
{
  key "$1"
  cat > "$1.info"
  certtool --generate-self-signed --load-privkey "$1-key.pem" \
    --template "$1.info" --no-text --outfile "$1.pem"
}

# FOLDER of a server or client: WHOSE certificate is NAME, issued by ISSUER.
folder ()
{
  mkdir "$1"
  cp "$4.pem" "$1/ca-cert.pem"
  cp "$3.pem" "$1/$2-cert.pem"
  cp "$2-key.pem" "$1/$2-key.pem"
}

{
  authority ours << END
cn = "Authority"
ca
cert_signing_key
crl_signing_key
expiration_days = 10
END
  authority other << END
cn = "Another authority"
ca
cert_signing_key
expiration_days = 10
END
  key server
  key client

  certificate good server ours << END
cn = "localhost"
dns_name = "localhost"
ip_address = "127.0.0.1"
ip_address = "::1"
tls_www_server
expiration_days = 10
END
  certificate elsewhere server ours << END
cn = "elsewhere.example.com"
dns_name = "elsewhere.example.com"
tls_www_server
expiration_days = 10
END
  certificate expired server ours << END
cn = "localhost"
dns_name = "localhost"
tls_www_server
activation_date = "2019-01-02 03:04:05 UTC"
expiration_date = "2020-02-03 04:05:06 UTC"
END
  certificate revoked server ours << END
cn = "localhost"
dns_name = "localhost"
tls_www_server
expiration_days = 10
END
  certificate client client ours << END
cn = "client"
tls_www_client
expiration_days = 10
END
  certificate stranger client other << END
cn = "stranger"
tls_www_client
expiration_days = 10
END
  cat > list.info << END
crl_next_update = 10
crl_number = 1
END
  certtool --generate-crl --load-ca-certificate ours.pem \
    --load-ca-privkey ours-key.pem --load-certificate revoked.pem \
    --template list.info --outfile list.pem

  # Of servers.
  folder good server good ours
  folder elsewhere server elsewhere ours
  folder expired server expired ours
  folder revoked server revoked ours

  # Of clients.
  folder client client client ours
  folder stranger client stranger ours
  mkdir trust other-trust listed no-list no-key garbage empty
  cp ours.pem trust/ca-cert.pem
  cp other.pem other-trust/ca-cert.pem
  cp ours.pem listed/ca-cert.pem
  cp list.pem listed/ca-crl.pem
  cp ours.pem no-list/ca-cert.pem
  echo "no list" > no-list/ca-crl.pem
  cp ours.pem no-key/ca-cert.pem
  cp client.pem no-key/client-cert.pem
  echo "no certificate" > garbage/ca-cert.pem

  # Of both.
  psktool --username alice --pskfile keys.psk
  psktool --username bob --pskfile keys.psk
  psktool --username "two words" --pskfile keys.psk
  sed '/^alice:/!d' keys.psk > alice.psk
  cp keys.psk good/keys.psk
  psktool --username alice --pskfile other.psk
  echo "alice" > no-key.psk
  echo "alice:no digits" > bad.psk
  echo "alice:" > empty-key.psk
  : > empty.psk
  awk '{ printf "%s\r\n", $0 }' alice.psk > dos.psk
  { echo "# alice:00"; echo; echo "alicia:00"; cat alice.psk; } > more.psk
} > log 2>&1 || {
  cat log >&2
  exit 1
}
