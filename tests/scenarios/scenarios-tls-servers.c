/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TLS with real servers: certificates, shared keys, and what is refused. */

#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scenario.h"

/* Have certificates and keys, of pki.sh, in the folder "pki"; no others. */
static void
begin (void)
{
  const char *dir = getenv ("SCENARIO_PKI");

  require ("certtool");
  require ("psktool");
  if (dir == NULL)
    skip ("SCENARIO_PKI is not set");
  if (symlink (dir, "pki") == -1)
    abort ();
  setenv ("HOME", ".", 1);
  create ();
}

/* Servers.  Those of nbdkit work on one command after another, so that replies
 * have an order.
 */
#define MODE(tls, ...)                                                  \
  PROGRAM ("nbdkit", "-t", "1", "--tls=" tls, __VA_ARGS__, "memory", "1M")
#define X509(folder, ...)                                               \
  MODE ("require", "--tls-certificates=pki/" folder __VA_OPT__ (,) __VA_ARGS__)
#define KEYS MODE ("require", "--tls-psk=pki/keys.psk")
#define QEMU(object) \
  PROGRAM ("qemu-nbd", "-t", "--object", object, "--tls-creds", "t", "-f", \
           "raw", "disk")
#define QEMU_X509(verify) \
  QEMU ("tls-creds-x509,id=t,dir=pki/good,endpoint=server,verify-peer=" verify)

static void
make_empty_disk (void)
{
  int fd = open ("disk", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

  if (fd == -1 || ftruncate (fd, 1048576) == -1)
    abort ();
  close (fd);
}

/* Clients. */
static void
trusting (const char *folder)
{
  CALL (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  CALL (nbd_set_tls_certificates (h, folder));
}

static void
sharing (const char *file, const char *user)
{
  CALL (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  CALL (nbd_set_tls_psk_file (h, file));
  CALL (nbd_set_tls_username (h, user));
}

/* What came of it. */
static void
outcome (void)
{
  status ();
  CALL (nbd_get_tls_negotiated (h));
  if (!nbd_aio_is_ready (h))
    return;
  CALL (nbd_get_uri (h));
  CALL (nbd_pread (h, buf, 512, 0, 0));
  show (buf, 512);
  CALL (nbd_shutdown (h, 0));
}

static void
over_tcp (const char *const *server)
{
  serve_tcp (server);
  CALL (nbd_connect_tcp (h, "localhost", port));
  outcome ();
  stop ();
}

static void
over_unix (const char *const *server)
{
  serve_unix (server);
  CALL (nbd_connect_unix (h, "sock"));
  outcome ();
  stop ();
}

/* Data.  nbdkit 1.32 skips the data of a write that it refuses behind the back
 * of TLS, so it is not asked for what it must refuse.
 */

SCENARIO (exercise_tcp, "tls/data: certificates, TCP")
{
  begin ();
  trusting ("pki/trust");
  serve_tcp (X509 ("good"));
  CALL (nbd_connect_tcp (h, "localhost", port));
  CALL (nbd_get_tls_negotiated (h));
  CALL (nbd_get_uri (h));
  exercise_within ();
  CALL (nbd_shutdown (h, 0));
  stop ();
}

SCENARIO (exercise_keys, "tls/data: keys, TCP")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_tcp (KEYS);
  CALL (nbd_connect_tcp (h, "localhost", port));
  CALL (nbd_get_tls_negotiated (h));
  CALL (nbd_get_uri (h));
  exercise_within ();
  CALL (nbd_shutdown (h, 0));
  stop ();
}

SCENARIO (exercise_unix, "tls/data: keys, Unix socket")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  CALL (nbd_get_tls_negotiated (h));
  CALL (nbd_get_uri (h));
  exercise_within ();
  CALL (nbd_shutdown (h, 0));
  stop ();
}

SCENARIO (exercise_socket, "tls/data: keys, a socket of the caller's")
{
  int fd;

  begin ();
  sharing ("pki/keys.psk", "alice");
  fd = start_nbdkit (PROGRAM ("--tls=require", "--tls-psk=pki/keys.psk",
                              "memory", "1M"));
  CALL (nbd_connect_socket (h, fd));
  CALL (nbd_get_tls_negotiated (h));
  exercise_within ();
  CALL (nbd_shutdown (h, 0));
  stop ();
}

SCENARIO (exercise_command, "tls/data: keys, a command")
{
  begin ();
  require ("nbdkit");
  sharing ("pki/keys.psk", "alice");
  CALL (nbd_connect_command (h, ARGV ("nbdkit", "-s", "--exit-with-parent",
                                      "--tls=require",
                                      "--tls-psk=pki/keys.psk", "memory",
                                      "1M")));
  CALL (nbd_get_tls_negotiated (h));
  exercise_within ();
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (exercise_activation, "tls/data: keys, an activated server")
{
  begin ();
  require ("nbdkit");
  sharing ("pki/keys.psk", "alice");
  CALL (nbd_connect_systemd_socket_activation (
          h, ARGV ("nbdkit", "--exit-with-parent", "--tls=require",
                   "--tls-psk=pki/keys.psk", "memory", "1M")));
  CALL (nbd_get_tls_negotiated (h));
  exercise_within ();
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (exercise_qemu, "tls/data: certificates, qemu-nbd")
{
  begin ();
  make_empty_disk ();
  trusting ("pki/client");
  serve_tcp (QEMU_X509 ("on"));
  CALL (nbd_connect_tcp (h, "localhost", port));
  CALL (nbd_get_tls_negotiated (h));
  exercise ();
  stop ();
}

SCENARIO (exercise_qemu_keys, "tls/data: keys, qemu-nbd")
{
  begin ();
  make_empty_disk ();
  sharing ("pki/keys.psk", "bob");
  /* It opens the file when it is somewhere else. */
  snprintf (buf, sizeof buf, "tls-creds-psk,id=t,dir=%s/good,endpoint=server",
            getenv ("SCENARIO_PKI"));
  serve_unix (QEMU (buf));
  CALL (nbd_connect_unix (h, "sock"));
  CALL (nbd_get_tls_negotiated (h));
  exercise ();
  stop ();
}

SCENARIO (flight_tcp, "tls/data: many commands, TCP")
{
  begin ();
  trusting ("pki/trust");
  serve_tcp (X509 ("good"));
  CALL (nbd_connect_tcp (h, "localhost", port));
  flight ();
  stop ();
}

SCENARIO (flight_unix, "tls/data: many commands, Unix socket")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  flight ();
  stop ();
}

SCENARIO (flight_qemu, "tls/data: many commands, qemu-nbd")
{
  begin ();
  make_empty_disk ();
  trusting ("pki/client");
  serve_unix (QEMU_X509 ("on"));
  CALL (nbd_connect_unix (h, "sock"));
  flight ();
  stop ();
}

static const char *const names[] = {
  "0", "1", "2", "3", "4", "5", "6", "7",
};

SCENARIO (callbacks, "tls/data: the order of callbacks")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  for (int i = 0; i < 8; i++)
    if (nbd_aio_pwrite (h, buf + i * 4096, 4096, i * 4096, done (names[i]),
                        0) == -1)
      show_error ();
  settle ();
  for (int i = 0; i < 8; i++)
    if (nbd_aio_pread (h, buf + i * 4096, 4096, i * 4096,
                       done_ret (names[i], 1, KEEP), 0) == -1)
      show_error ();
  settle ();
  status ();
  for (int i = 0; i < 16; i++)
    CALL (nbd_aio_command_completed (h, i + 1));
  stop ();
}

SCENARIO (chunks, "tls/data: the order of chunks")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  CALL (nbd_get_structured_replies_negotiated (h));
  for (int i = 0; i < 4; i++)
    if (nbd_aio_pread_structured (h, buf + i * 512, 512, i * 512,
                                  chunk ("chunk"), done (names[i]), 0) == -1)
      show_error ();
  settle ();
  stop ();
}

SCENARIO (large, "tls/data: a megabyte")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_tcp (KEYS);
  CALL (nbd_connect_tcp (h, "localhost", port));
  for (size_t i = 0; i < sizeof buf; i++)
    buf[i] = i >> 13;
  CALL (nbd_pwrite (h, buf, sizeof buf, 0, 0));
  memset (buf, 0xee, sizeof buf);
  CALL (nbd_pread (h, buf, sizeof buf, 0, 0));
  for (size_t i = 0; i < sizeof buf; i++)
    if (buf[i] != (char) (i >> 13)) {
      say ("byte %zu is wrong", i);
      break;
    }
  stop ();
}

SCENARIO (sizes, "tls/data: sizes around that of a record")
{
  static const size_t counts[] = {
    1, 2, 16355, 16356, 16357, 16383, 16384, 16385, 32767, 32768, 32769,
    65535, 65536, 65537, 131071, 131072, 131073,
  };

  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    say ("%zu", counts[i]);
    memset (buf, i + 1, counts[i]);
    CALL (nbd_pwrite (h, buf, counts[i], 0, 0));
    memset (buf, 0xee, counts[i]);
    CALL (nbd_pread (h, buf, counts[i], 0, 0));
    show (buf, counts[i]);
  }
  stop ();
}

SCENARIO (errors, "tls/data: errors")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (PROGRAM ("nbdkit", "--tls=require", "--tls-psk=pki/keys.psk",
                       "--filter=error", "memory", "1M", "error=ENOSPC",
                       "error-rate=100%"));
  CALL (nbd_connect_unix (h, "sock"));
  CALL (nbd_pread (h, buf, 512, 0, 0));
  CALL (nbd_pwrite (h, buf, 512, 0, 0));
  CALL (nbd_zero (h, 512, 0, 0));
  status ();
  stop ();
}

SCENARIO (extents_scenario, "tls/data: extents")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  serve_unix (PROGRAM ("nbdkit", "--tls=require", "--tls-psk=pki/keys.psk",
                       "data", "1 @32768 2 @131072 3", "size=1M"));
  CALL (nbd_connect_unix (h, "sock"));
  facts ();
  CALL (nbd_block_status (h, 1048576, 0, extent ("extents"), 0));
  stop ();
}

/* Trust. */

#define TRUST(id, text, folder, how)            \
  SCENARIO (id, "tls/trust: " text)             \
  {                                             \
    begin ();                                   \
    trusting (folder);                          \
    how;                                        \
  }

TRUST (good_tcp, "TCP", "pki/trust", over_tcp (X509 ("good")))
TRUST (good_unix, "Unix socket", "pki/trust", over_unix (X509 ("good")))
TRUST (unknown, "an unknown authority", "pki/other-trust",
       over_tcp (X509 ("good")))
TRUST (wrong_name, "another name", "pki/trust", over_tcp (X509 ("elsewhere")))
TRUST (wrong_name_unix, "another name, which a Unix socket has not",
       "pki/trust", over_unix (X509 ("elsewhere")))
TRUST (expired, "expired", "pki/trust", over_tcp (X509 ("expired")))
TRUST (expired_unix, "expired, Unix socket", "pki/trust",
       over_unix (X509 ("expired")))
TRUST (revoked, "revoked", "pki/listed", over_tcp (X509 ("revoked")))
TRUST (not_revoked, "another is revoked", "pki/listed",
       over_tcp (X509 ("good")))
TRUST (nobody_tells, "revoked, and there is no list", "pki/trust",
       over_tcp (X509 ("revoked")))

/* Folders. */
TRUST (no_folder, "no such folder", "nowhere", over_tcp (X509 ("good")))
TRUST (a_file, "a file instead of a folder", "pki/keys.psk",
       over_tcp (X509 ("good")))
TRUST (empty_folder, "an empty folder", "pki/empty", over_tcp (X509 ("good")))
TRUST (no_list, "a list of revoked ones that is none", "pki/no-list",
       over_tcp (X509 ("good")))
TRUST (garbage, "an authority that is none", "pki/garbage",
       over_tcp (X509 ("good")))
TRUST (no_key, "a certificate without its key", "pki/no-key",
       over_tcp (X509 ("good")))
TRUST (no_setting, "no folder is set", "", over_tcp (X509 ("good")))

SCENARIO (ip_address, "tls/trust: an address")
{
  begin ();
  trusting ("pki/trust");
  serve_tcp (X509 ("good"));
  CALL (nbd_connect_tcp (h, "127.0.0.1", port));
  outcome ();
  stop ();
}

SCENARIO (wrong_address, "tls/trust: an address that is another's")
{
  begin ();
  trusting ("pki/trust");
  serve_tcp (X509 ("elsewhere"));
  CALL (nbd_connect_tcp (h, "127.0.0.1", port));
  outcome ();
  stop ();
}

SCENARIO (unset, "tls/trust: nothing is set")
{
  begin ();
  CALL (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  over_tcp (X509 ("good"));
}

SCENARIO (untrusted_allow, "tls/trust: an unknown authority, ALLOW")
{
  begin ();
  trusting ("pki/other-trust");
  CALL (nbd_set_tls (h, LIBNBD_TLS_ALLOW));
  over_tcp (X509 ("good"));
}

/* Verified by nobody. */
#define BLIND(id, text, folder, server)                 \
  SCENARIO (id, "tls/not verified: " text)              \
  {                                                     \
    begin ();                                           \
    trusting (folder);                                  \
    CALL (nbd_set_tls_verify_peer (h, false));          \
    over_tcp (server);                                  \
  }

BLIND (blind, "good", "pki/trust", X509 ("good"))
BLIND (blind_unknown, "an unknown authority", "pki/other-trust", X509 ("good"))
BLIND (blind_name, "another name", "pki/trust", X509 ("elsewhere"))
BLIND (blind_expired, "expired", "pki/trust", X509 ("expired"))
BLIND (blind_empty, "an empty folder", "pki/empty", X509 ("good"))
BLIND (blind_unset, "no folder is set", "", X509 ("good"))
BLIND (blind_garbage, "an authority that is none", "pki/garbage",
       X509 ("good"))

/* The client's own certificate. */
#define VERIFYING X509 ("good", "--tls-verify-peer")

TRUST (client, "a client's certificate", "pki/client", over_tcp (VERIFYING))
TRUST (client_unix, "a client's certificate, Unix socket", "pki/client",
       over_unix (VERIFYING))
TRUST (client_missing, "a client without one", "pki/trust",
       over_tcp (VERIFYING))
TRUST (client_stranger, "a client's that is not known", "pki/stranger",
       over_tcp (VERIFYING))
TRUST (client_unasked, "a client's that nobody asked for", "pki/client",
       over_tcp (X509 ("good")))

SCENARIO (qemu_missing, "tls/trust: a client without one, qemu-nbd")
{
  begin ();
  make_empty_disk ();
  trusting ("pki/trust");
  over_tcp (QEMU_X509 ("on"));
}

SCENARIO (qemu_stranger, "tls/trust: a client's that is not known, qemu-nbd")
{
  begin ();
  make_empty_disk ();
  trusting ("pki/stranger");
  over_tcp (QEMU_X509 ("on"));
}

/* Folders where nobody says, of a user who is not root: at HOME, which is this
 * folder.
 */
static void
try_home (const char *commands)
{
  uid_t user = geteuid ();

  begin ();
  serve_tcp (X509 ("good"));
  if (system (commands) != 0 ||
      (user == 0 && (chown (".", 65534, -1) == -1 || seteuid (65534) == -1)))
    abort ();
  CALL (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  CALL (nbd_connect_tcp (h, "localhost", port));
  outcome ();
  finish ();
  if (seteuid (user) == -1)
    abort ();
  stop ();
}

SCENARIO (home_good, "tls/trust: a folder at home")
{
  try_home ("mkdir .pki && cp -r pki/trust .pki/libnbd");
}

SCENARIO (home_other, "tls/trust: a folder at home, an unknown authority")
{
  try_home ("mkdir .pki && cp -r pki/other-trust .pki/libnbd");
}

SCENARIO (home_config, "tls/trust: the other folder at home")
{
  try_home ("mkdir -p .config/pki && cp -r pki/other-trust "
            ".config/pki/libnbd");
}

SCENARIO (home_both, "tls/trust: both folders at home")
{
  try_home ("mkdir -p .pki .config/pki && cp -r pki/trust .pki/libnbd && "
            "cp -r pki/other-trust .config/pki/libnbd");
}

SCENARIO (home_nothing, "tls/trust: nothing at home")
{
  try_home ("mkdir -p .pki/libnbd");
}

/* Shared keys. */

#define SHARE(id, text, file, user, how)        \
  SCENARIO (id, "tls/shared: " text)            \
  {                                             \
    begin ();                                   \
    sharing (file, user);                       \
    how;                                        \
  }

SHARE (psk_tcp, "TCP", "pki/keys.psk", "alice", over_tcp (KEYS))
SHARE (psk_unix, "Unix socket", "pki/keys.psk", "alice", over_unix (KEYS))
SHARE (psk_second, "the second of the file", "pki/keys.psk", "bob",
       over_unix (KEYS))
SHARE (psk_words, "a name of two words", "pki/keys.psk", "two words",
       over_unix (KEYS))
SHARE (psk_wrong_key, "a wrong key", "pki/other.psk", "alice",
       over_unix (KEYS))
SHARE (psk_wrong_key_tcp, "a wrong key, TCP", "pki/other.psk", "alice",
       over_tcp (KEYS))
SHARE (psk_unknown, "a name that is not known here", "pki/keys.psk", "eve",
       over_unix (KEYS))
SHARE (psk_stranger, "a name that is not known there", "pki/keys.psk", "bob",
       over_unix (MODE ("require", "--tls-psk=pki/alice.psk")))
SHARE (psk_absent, "no such file", "nowhere", "alice", over_unix (KEYS))
SHARE (psk_empty, "an empty file", "pki/empty.psk", "alice", over_unix (KEYS))
SHARE (psk_no_key, "a name without a key", "pki/no-key.psk", "alice",
       over_unix (KEYS))
SHARE (psk_empty_key, "an empty key", "pki/empty-key.psk", "alice",
       over_unix (KEYS))
SHARE (psk_bad, "a key that is none", "pki/bad.psk", "alice", over_unix (KEYS))
SHARE (psk_dos, "lines of another system", "pki/dos.psk", "alice",
       over_unix (KEYS))
SHARE (psk_more, "other lines before it", "pki/more.psk", "alice",
       over_unix (KEYS))
SHARE (psk_certificates, "but the server has certificates", "pki/keys.psk",
       "alice", over_unix (X509 ("good")))
TRUST (certificates_psk, "but the server has keys", "pki/trust",
       over_unix (KEYS))

SCENARIO (psk_login, "tls/shared: the user who is logged in")
{
  begin ();
  login = "bob";
  CALL (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  CALL (nbd_set_tls_psk_file (h, "pki/keys.psk"));
  over_unix (KEYS);
}

SCENARIO (psk_both, "tls/shared: and certificates as well")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  CALL (nbd_set_tls_certificates (h, "pki/trust"));
  over_unix (KEYS);
}

SCENARIO (psk_both_x509, "tls/shared: and certificates, which are wanted")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  CALL (nbd_set_tls_certificates (h, "pki/trust"));
  over_unix (X509 ("good"));
}

/* Modes of the client and of the server. */
#define MODES(id, text, mode, server)           \
  SCENARIO (id, "tls/mode: " text)              \
  {                                             \
    begin ();                                   \
    sharing ("pki/keys.psk", "alice");          \
    CALL (nbd_set_tls (h, mode));               \
    over_unix (server);                         \
  }

#define ON MODE ("on", "--tls-psk=pki/keys.psk")
#define OFF MODE ("off", "-n")
MODES (disable_off, "disabled, off", LIBNBD_TLS_DISABLE, OFF)
MODES (disable_on, "disabled, on", LIBNBD_TLS_DISABLE, ON)
MODES (disable_require, "disabled, required", LIBNBD_TLS_DISABLE, KEYS)
MODES (allow_off, "allowed, off", LIBNBD_TLS_ALLOW, OFF)
MODES (allow_on, "allowed, on", LIBNBD_TLS_ALLOW, ON)
MODES (allow_require, "allowed, required", LIBNBD_TLS_ALLOW, KEYS)
MODES (require_off, "required, off", LIBNBD_TLS_REQUIRE, OFF)
MODES (require_on, "required, on", LIBNBD_TLS_REQUIRE, ON)

SCENARIO (allow_wrong_key, "tls/mode: allowed, on, with a wrong key")
{
  begin ();
  sharing ("pki/other.psk", "alice");
  CALL (nbd_set_tls (h, LIBNBD_TLS_ALLOW));
  over_unix (ON);
}

SCENARIO (require_oldstyle, "tls/mode: required, oldstyle")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  over_unix (PROGRAM ("nbdkit", "-o", "memory", "1M"));
}

SCENARIO (allow_oldstyle, "tls/mode: allowed, oldstyle")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  CALL (nbd_set_tls (h, LIBNBD_TLS_ALLOW));
  over_unix (PROGRAM ("nbdkit", "-o", "memory", "1M"));
}

/* Opt mode. */

static void
negotiate (void)
{
  CALL (nbd_connect_unix (h, "sock"));
  status ();
  CALL (nbd_get_tls_negotiated (h));
  CALL (nbd_get_structured_replies_negotiated (h));
  CALL (nbd_opt_list (h, list ("list")));
  CALL (nbd_opt_info (h));
  CALL (nbd_get_size (h));
  CALL (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
}

SCENARIO (opt_go, "tls/options: up to go")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  CALL (nbd_set_opt_mode (h, true));
  serve_unix (KEYS);
  negotiate ();
  CALL (nbd_opt_go (h));
  facts ();
  CALL (nbd_get_uri (h));
  CALL (nbd_shutdown (h, 0));
  CALL (nbd_get_tls_negotiated (h));
  stop ();
}

SCENARIO (opt_abort, "tls/options: up to abort")
{
  begin ();
  trusting ("pki/trust");
  CALL (nbd_set_opt_mode (h, true));
  serve_unix (X509 ("good"));
  negotiate ();
  CALL (nbd_opt_abort (h));
  status ();
  stop ();
}

SCENARIO (opt_disabled, "tls/options: disabled, and the server requires it")
{
  begin ();
  CALL (nbd_set_opt_mode (h, true));
  serve_unix (KEYS);
  negotiate ();
  CALL (nbd_opt_go (h));
  status ();
  stop ();
}

SCENARIO (opt_allowed, "tls/options: allowed, and the server has none")
{
  begin ();
  CALL (nbd_set_tls (h, LIBNBD_TLS_ALLOW));
  CALL (nbd_set_opt_mode (h, true));
  serve_unix (OFF);
  negotiate ();
  CALL (nbd_opt_go (h));
  CALL (nbd_get_uri (h));
  stop ();
}

SCENARIO (opt_wrong, "tls/options: a wrong key")
{
  begin ();
  sharing ("pki/other.psk", "alice");
  CALL (nbd_set_opt_mode (h, true));
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  status ();
  stop ();
}

SCENARIO (settings_late, "tls/options: settings after the connection")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  CALL (nbd_set_opt_mode (h, true));
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  CALL (nbd_set_tls (h, LIBNBD_TLS_DISABLE));
  CALL (nbd_set_tls_username (h, "bob"));
  CALL (nbd_set_tls_verify_peer (h, false));
  CALL (nbd_get_tls (h));
  CALL (nbd_get_tls_username (h));
  CALL (nbd_opt_go (h));
  CALL (nbd_get_uri (h));
  stop ();
}

/* Asynchronously, and the ends of connections. */

SCENARIO (aio, "tls/loop: an asynchronous connection")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_aio_connect_unix (h, "sock"));
  while (nbd_aio_is_connecting (h))
    if (nbd_poll (h, -1) == -1) {
      show_error ();
      break;
    }
  status ();
  CALL (nbd_get_tls_negotiated (h));
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  settle ();
  CALL (nbd_poll (h, 0));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
  CALL (nbd_aio_disconnect (h, 0));
  while (!nbd_aio_is_closed (h))
    if (nbd_poll (h, -1) == -1) {
      show_error ();
      break;
    }
  status ();
  CALL (nbd_get_tls_negotiated (h));
  stop ();
}

SCENARIO (notify, "tls/loop: notified of what is not there")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  /* The server has sent all that it will by itself. */
  CALL (nbd_flush (h, 0));
  CALL (nbd_aio_notify_read (h));
  CALL (nbd_aio_notify_read (h));
  CALL (nbd_aio_in_flight (h));
  CALL (nbd_flush (h, 0));
  stop ();
}

SCENARIO (shutdown_in_flight, "tls/end: shutdown with commands in flight")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  for (int i = 0; i < 8; i++)
    if (nbd_aio_pread (h, buf + i * 4096, 4096, i * 4096, done (names[i]),
                       0) == -1)
      show_error ();
  CALL (nbd_shutdown (h, 0));
  status ();
  stop ();
}

SCENARIO (no_shutdown, "tls/end: closed without shutdown")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  CALL (nbd_pread (h, buf, 512, 0, 0));
  stop ();
}

SCENARIO (after_shutdown, "tls/end: after shutdown")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  CALL (nbd_shutdown (h, 0));
  status ();
  CALL (nbd_get_tls_negotiated (h));
  CALL (nbd_get_uri (h));
  CALL (nbd_get_size (h));
  CALL (nbd_pread (h, buf, 512, 0, 0));
  CALL (nbd_connect_unix (h, "sock"));
  stop ();
}

/* A real server over a connection that is cut, behind the back of both. */
static void
cut (int how)
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_connect_unix (h, "sock"));
  CALL (nbd_flush (h, 0));
  shutdown (nbd_aio_get_fd (h), how);
}

SCENARIO (cut_idle, "tls/end: cut while nothing is in flight")
{
  cut (SHUT_RD);
  CALL (nbd_poll (h, 10000));
  status ();
  stop ();
}

SCENARIO (cut_flight, "tls/end: cut while a command is in flight")
{
  cut (SHUT_RD);
  CALL (nbd_aio_pread (h, buf, 512, 0, done ("read"), 0));
  settle ();
  status ();
  CALL (nbd_aio_command_completed (h, 2));
  stop ();
}

SCENARIO (cut_synchronous, "tls/end: cut before a command")
{
  cut (SHUT_RD);
  CALL (nbd_pread (h, buf, 512, 0, 0));
  status ();
  stop ();
}

SCENARIO (cut_disconnecting, "tls/end: cut after the disconnect")
{
  cut (SHUT_RD);
  CALL (nbd_shutdown (h, 0));
  status ();
  stop ();
}

/* URIs. */

static void
try_uri (const char *format, const char *const *server)
{
  serve_tcp (server);
  snprintf (buf, sizeof buf, format, port);
  say ("\"%s\"", buf);
  CALL (nbd_connect_uri (h, buf));
  CALL (nbd_get_tls (h));
  outcome ();
}

/* With local files allowed. */
#define URI(id, text, uri, server)                      \
  SCENARIO (id, "tls/uri: " text)                       \
  {                                                     \
    begin ();                                           \
    nbd_set_uri_allow_local_file (h, true);             \
    try_uri (uri, server);                              \
    stop ();                                            \
  }

URI (uri_certificates, "certificates",
     "nbds://localhost:%s/?tls-certificates=pki/trust", X509 ("good"))
URI (uri_keys, "keys", "nbds://alice@localhost:%s/?tls-psk-file=pki/keys.psk",
     KEYS)
URI (uri_escaped, "an escaped name and an export",
     "nbds://two%%20words@localhost:%s/disk?tls-psk-file=pki%%2Fkeys.psk",
     KEYS)
URI (uri_address, "an address",
     "nbds://127.0.0.1:%s/?tls-certificates=pki/trust", X509 ("good"))
URI (uri_wrong_name, "another name",
     "nbds://localhost:%s/?tls-certificates=pki/trust", X509 ("elsewhere"))
URI (uri_hostname, "another name, which is given",
     "nbds://localhost:%s/?tls-certificates=pki/trust"
     "&tls-hostname=elsewhere.example.com", X509 ("elsewhere"))
URI (uri_unknown, "an unknown authority",
     "nbds://localhost:%s/?tls-certificates=pki/other-trust", X509 ("good"))
URI (uri_blind, "an unknown authority, not verified",
     "nbds://localhost:%s/?tls-certificates=pki/other-trust"
     "&tls-verify-peer=false", X509 ("good"))
URI (uri_wrong_key, "a wrong key",
     "nbds://alice@localhost:%s/?tls-psk-file=pki/other.psk", KEYS)
URI (uri_off, "a server without TLS",
     "nbds://localhost:%s/?tls-certificates=pki/trust", OFF)
URI (uri_plain, "plain, and the server requires TLS", "nbd://localhost:%s/",
     KEYS)
URI (uri_plain_keys, "plain, with keys, and the server requires TLS",
     "nbd://alice@localhost:%s/?tls-psk-file=pki/keys.psk", KEYS)
URI (uri_no_folder, "no such folder",
     "nbds://localhost:%s/?tls-certificates=nowhere", X509 ("good"))

SCENARIO (uri_unix, "tls/uri: a Unix socket")
{
  begin ();
  nbd_set_uri_allow_local_file (h, true);
  serve_unix (KEYS);
  CALL (nbd_connect_uri (h, "nbds+unix://alice@/?socket=sock"
                         "&tls-psk-file=pki/keys.psk"));
  outcome ();
  stop ();
}

SCENARIO (uri_user_of_handle, "tls/uri: with settings of the handle")
{
  begin ();
  CALL (nbd_set_tls_psk_file (h, "pki/keys.psk"));
  CALL (nbd_set_tls_username (h, "alice"));
  serve_unix (KEYS);
  CALL (nbd_connect_uri (h, "nbds+unix:///?socket=sock"));
  CALL (nbd_get_tls (h));
  outcome ();
  stop ();
}

SCENARIO (uri_plain_required, "tls/uri: plain, and the handle requires TLS")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  serve_unix (KEYS);
  CALL (nbd_connect_uri (h, "nbd+unix:///?socket=sock"));
  CALL (nbd_get_tls (h));
  outcome ();
  stop ();
}

SCENARIO (uri_local, "tls/uri: local files are not allowed")
{
  begin ();
  serve_unix (KEYS);
  CALL (nbd_connect_uri (h, "nbds+unix://alice@/?socket=sock"
                         "&tls-psk-file=pki/keys.psk"));
  CALL (nbd_connect_uri (h, "nbds+unix://alice@/?socket=sock"
                         "&tls-certificates=pki/trust"));
  CALL (nbd_get_tls (h));
  CALL (nbd_get_tls_username (h));
  CALL (nbd_set_uri_allow_local_file (h, true));
  CALL (nbd_connect_uri (h, "nbds+unix://alice@/?socket=sock"
                         "&tls-psk-file=pki/keys.psk"));
  CALL (nbd_get_tls (h));
  outcome ();
  stop ();
}

SCENARIO (uri_must, "tls/uri: must be TLS")
{
  begin ();
  sharing ("pki/keys.psk", "alice");
  CALL (nbd_set_uri_allow_tls (h, LIBNBD_TLS_REQUIRE));
  serve_unix (KEYS);
  CALL (nbd_connect_uri (h, "nbds+unix:///?socket=sock"));
  outcome ();
  stop ();
}

SCENARIO (uri_aio, "tls/uri: asynchronously")
{
  begin ();
  nbd_set_uri_allow_local_file (h, true);
  serve_unix (KEYS);
  CALL (nbd_aio_connect_uri (h, "nbds+unix://alice@/?socket=sock"
                             "&tls-psk-file=pki/keys.psk"));
  while (nbd_aio_is_connecting (h))
    if (nbd_poll (h, -1) == -1) {
      show_error ();
      break;
    }
  outcome ();
  stop ();
}
