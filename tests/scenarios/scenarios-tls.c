/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The settings of TLS, and how it begins, byte for byte. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "scenario.h"

/* Settings. */

SCENARIO (defaults, "tls/settings: defaults")
{
  create ();
  CALL (nbd_supports_tls (h));
  CALL (nbd_get_tls (h));
  CALL (nbd_get_tls_negotiated (h));
  CALL (nbd_get_tls_verify_peer (h));
}

SCENARIO (modes, "tls/settings: disable, allow, require")
{
  create ();
  CALL (nbd_set_tls (h, LIBNBD_TLS_ALLOW));
  CALL (nbd_get_tls (h));
  CALL (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  CALL (nbd_get_tls (h));
  CALL (nbd_set_tls (h, LIBNBD_TLS_DISABLE));
  CALL (nbd_get_tls (h));
}

SCENARIO (wrong_modes, "tls/settings: modes that are none")
{
  create ();
  CALL (nbd_set_tls (h, 3));
  CALL (nbd_set_tls (h, 42));
  CALL (nbd_set_tls (h, -1));
  CALL (nbd_set_tls (h, INT32_MIN));
  CALL (nbd_get_tls (h));
}

SCENARIO (verify_peer, "tls/settings: whether the peer is verified")
{
  create ();
  CALL (nbd_set_tls_verify_peer (h, false));
  CALL (nbd_get_tls_verify_peer (h));
  CALL (nbd_set_tls_verify_peer (h, true));
  CALL (nbd_get_tls_verify_peer (h));
}

SCENARIO (certificates, "tls/settings: folders of certificates")
{
  create ();
  CALL (nbd_set_tls_certificates (h, "there/is/none"));
  CALL (nbd_set_tls_certificates (h, "."));
  CALL (nbd_set_tls_certificates (h, ""));
  CALL (nbd_set_tls_certificates (h, NULL));
}

SCENARIO (psk_file, "tls/settings: files of keys")
{
  create ();
  CALL (nbd_set_tls_psk_file (h, "there/is/none"));
  CALL (nbd_set_tls_psk_file (h, "."));
  CALL (nbd_set_tls_psk_file (h, ""));
  CALL (nbd_set_tls_psk_file (h, NULL));
}

SCENARIO (usernames, "tls/settings: user names")
{
  static const char *const names[] = {
    "alice", "two words", "caf\303\251", "\377\376", "a:b", "-",
  };
  char *name;

  create ();
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    CALL (nbd_set_tls_username (h, names[i]));
    CALL (nbd_get_tls_username (h));
  }
  CALL (nbd_set_tls_username (h, NULL));
  CALL (nbd_get_tls_username (h));
  memset (buf, 'u', 10000);
  CALL (nbd_set_tls_username (h, buf));
  name = nbd_get_tls_username (h);
  say ("%zu characters", name ? strlen (name) : 0);
  free (name);
}

SCENARIO (no_username, "tls/settings: a user name, when nobody is logged in")
{
  create ();
  CALL (nbd_get_tls_username (h));
}

SCENARIO (login_name, "tls/settings: the user who is logged in")
{
  login = "somebody";
  create ();
  CALL (nbd_get_tls_username (h));
  CALL (nbd_set_tls_username (h, "alice"));
  CALL (nbd_get_tls_username (h));
}

SCENARIO (empty_username, "tls/settings: an empty user name")
{
  login = "somebody";
  create ();
  CALL (nbd_set_tls_username (h, ""));
  CALL (nbd_get_tls_username (h));
}

SCENARIO (environment, "tls/settings: LOGNAME")
{
  setenv ("LOGNAME", "somebody", 1);
  create ();
  CALL (nbd_get_tls_username (h));
}

SCENARIO (traced, "tls/settings: their trace")
{
  create ();
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
  CALL (nbd_set_tls (h, LIBNBD_TLS_DISABLE));
  CALL (nbd_set_tls (h, LIBNBD_TLS_ALLOW));
  CALL (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  CALL (nbd_set_tls (h, 42));
  CALL (nbd_get_tls (h));
  CALL (nbd_get_tls_negotiated (h));
  CALL (nbd_set_tls_certificates (h, "dir"));
  CALL (nbd_set_tls_verify_peer (h, false));
  CALL (nbd_get_tls_verify_peer (h));
  CALL (nbd_set_tls_username (h, "alice"));
  CALL (nbd_get_tls_username (h));
  CALL (nbd_set_tls_psk_file (h, "keys.psk"));
  CALL (nbd_set_tls_certificates (h, NULL));
  CALL (nbd_set_tls_username (h, NULL));
  CALL (nbd_set_tls_psk_file (h, NULL));
}

SCENARIO (supports_traced, "tls/settings: the trace of a question")
{
  create ();
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
  CALL (nbd_supports_tls (h));
}

/* A scripted server, and what comes of it.  Nothing is trusted, which is no
 * matter: there is never a certificate.
 */

static void
prepare (int mode)
{
  create ();
  setenv ("HOME", ".", 1);
  CALL (nbd_set_tls (h, mode));
}

static void
outcome (void)
{
  status ();
  CALL (nbd_get_tls (h));
  CALL (nbd_get_tls_negotiated (h));
  if (!nbd_aio_is_ready (h))
    return;
  CALL (nbd_get_protocol (h));
  CALL (nbd_get_structured_replies_negotiated (h));
  CALL (nbd_flush (h, 0));
  CALL (nbd_shutdown (h, 0));
}

struct dialogue {
  int mode;
  const struct step *steps;
};

static void
run_dialogue (void *arg)
{
  const struct dialogue *d = arg;

  prepare (d->mode);
  script (d->steps);
  CALL (nbd_connect_socket (h, sock));
  outcome ();
}

/* In one mode, or where TLS is allowed and where it is required. */
#define DIALOGUE(text, mode, ...) \
  DIALOGUE_AT (__LINE__, text, mode, __VA_ARGS__)
#define DIALOGUE_AT(line, text, mode, ...) \
  DIALOGUE_NAMED (line, mode, text, mode, __VA_ARGS__)
#define DIALOGUE_NAMED(line, id, text, mode, ...)                       \
  static void __attribute__ ((constructor))                             \
  add_##id##_##line (void)                                              \
  {                                                                     \
    static const struct step steps[] = { __VA_ARGS__, { STEP_END, NULL } }; \
    static struct dialogue d = { LIBNBD_TLS_##mode, steps };            \
                                                                        \
    scenario_add ((struct scenario) {                                   \
      "tls/" text ", " #mode, NULL, run_dialogue, &d });                \
  }
#define BOTH(text, ...)                                 \
  DIALOGUE (text, ALLOW, __VA_ARGS__)                   \
  DIALOGUE (text, REQUIRE, __VA_ARGS__)

#define ASKED SEND (GREETING), QUIET (CLIENT_FLAGS), EXPECT (OPT_STARTTLS)
#define ACKNOWLEDGED ASKED, SEND (ACK (5)), HELLO

/* Servers without TLS. */
#define OLDSTYLE SEND (OLD_GREETING "u64:1048576 u32:0x0005 x124:00"), SERVE
DIALOGUE ("oldstyle", DISABLE, OLDSTYLE)
BOTH ("oldstyle", OLDSTYLE)

#define NEWSTYLE(flags, zeroes)                                 \
  SEND ("'NBDMAGIC' 'IHAVEOPT' u16:" #flags),                   \
  EXPECT ("u32:" #flags " " OPTION (1, 0)),                     \
  SEND ("u64:1048576 u16:0x0105 " zeroes), SERVE
DIALOGUE ("newstyle that is not fixed", DISABLE, NEWSTYLE (0, "x124:00"))
DIALOGUE ("newstyle that is not fixed", ALLOW, NEWSTYLE (0, "x124:00"))
DIALOGUE ("newstyle that is not fixed, without zeroes", ALLOW,
          NEWSTYLE (2, ""))
#define NO_WORD SEND ("'NBDMAGIC' 'IHAVEOPT' u16:0"), WAIT
DIALOGUE ("newstyle that is not fixed", REQUIRE, NO_WORD)
DIALOGUE ("newstyle that is not fixed, without zeroes", REQUIRE,
          SEND ("'NBDMAGIC' 'IHAVEOPT' u16:2"), WAIT)

/* What is asked for where TLS is not wanted. */
DIALOGUE ("a server that has no TLS", DISABLE,
          SEND (GREETING), EXPECT (CLIENT_FLAGS), SERVE)
DIALOGUE ("a server that wants it", DISABLE,
          SEND (GREETING), QUIET (CLIENT_FLAGS), EXPECT (OPT_STRUCTURED),
          SEND (REFUSE (8, 5)), EXPECT (OPT_GO), SEND (REFUSE (7, 5)))
DIALOGUE ("a server that wants it and says why", DISABLE,
          SEND (GREETING), QUIET (CLIENT_FLAGS), EXPECT (OPT_STRUCTURED),
          SEND (REFUSE (8, 5)), EXPECT (OPT_GO),
          SEND (REP (7, 0x80000005, 4) "'text'"))

/* Refusals. */
#define REFUSED(name, error)                                            \
  BOTH ("refused: " name, ASKED, SEND (REFUSE (5, error)), SERVE)
REFUSED ("UNSUP", 1)
REFUSED ("POLICY", 2)
REFUSED ("INVALID", 3)
REFUSED ("PLATFORM", 4)
REFUSED ("TLS_REQD", 5)
REFUSED ("UNKNOWN", 6)
REFUSED ("SHUTDOWN", 7)
REFUSED ("BLOCK_SIZE_REQD", 8)
REFUSED ("TOO_BIG", 9)
BOTH ("refused: an error that is not known", ASKED,
      SEND (REP (5, 0x80001234, 0)), SERVE)
BOTH ("refused: with a reason", ASKED,
      SEND (REP (5, 0x80000002, 11) "'not' 20 'for' 20 'you'"), SERVE)
DIALOGUE ("refused: the server goes then", ALLOW, ASKED, SEND (UNSUP (5)),
          EXPECT (OPT_STRUCTURED), SHUT)
DIALOGUE ("refused: the server goes then", REQUIRE, ASKED, SEND (UNSUP (5)),
          EXPECT (OPT_ABORT), SHUT)
DIALOGUE ("refused: and it is wanted for the export", ALLOW, ASKED,
          SEND (UNSUP (5)), EXPECT (OPT_STRUCTURED), SEND (ACK (8)),
          EXPECT (OPT_GO), SEND (REFUSE (7, 5)))

/* Replies that are none. */
BOTH ("broken: nothing", ASKED, CLOSE)
BOTH ("broken: half a reply", ASKED, SEND ("u64:0x3e889045565a9 u32:5"), CLOSE)
BOTH ("broken: another magic", ASKED, SEND ("x20:42"))
BOTH ("broken: a reply to another option", ASKED, SEND (ACK (8)))
BOTH ("broken: a reply of another type", ASKED, SEND (REP (5, 2, 0)))
BOTH ("broken: information", ASKED,
      SEND (INFO_EXPORT (5, 1048576, 0x0dfd)))
BOTH ("broken: data in the acknowledgement", ASKED,
      SEND (REP (5, 1, 4) "'text'"))
BOTH ("broken: an acknowledgement of 4 GiB", ASKED,
      SEND (REP (5, 1, 0xffffffff)))
BOTH ("broken: a refusal of 4 GiB", ASKED,
      SEND (REP (5, 0x80000001, 0xffffffff)))

/* Acknowledged, and then it goes wrong: never in plain text. */
BOTH ("acknowledged: and closed", ASKED, SEND (ACK (5)), CLOSE)
BOTH ("acknowledged: and closed after the greeting", ACKNOWLEDGED, CLOSE)
BOTH ("acknowledged: and no more is sent", ACKNOWLEDGED, SHUT)
BOTH ("acknowledged: data right behind it", ASKED, FORGET,
      SEND (ACK (5) "'x'"), SHUT)
BOTH ("acknowledged: a reply right behind it", ASKED, FORGET,
      SEND (ACK (5) ACK (8)), SHUT)
BOTH ("acknowledged: twice", ASKED, FORGET, SEND (ACK (5) ACK (5)), SHUT)
BOTH ("acknowledged: an alert right behind it", ASKED, FORGET,
      SEND (ACK (5) "15 0303 0002 0228"), SHUT)
BOTH ("acknowledged: garbage", ACKNOWLEDGED, SEND ("x64:42"), WAIT)
BOTH ("acknowledged: a reply in plain text", ACKNOWLEDGED, SEND (ACK (8)),
      WAIT)
BOTH ("acknowledged: half a record, and closed", ACKNOWLEDGED,
      SEND ("16 0303"), CLOSE)
BOTH ("acknowledged: a record without a greeting, and closed", ACKNOWLEDGED,
      SEND ("16 0303 u16:100 02 000060 0303"), CLOSE)
BOTH ("acknowledged: a record that is too long", ACKNOWLEDGED,
      SEND ("16 0303 ffff x64:42"), WAIT)
BOTH ("acknowledged: a record of data", ACKNOWLEDGED,
      SEND ("17 0303 u16:16 x16:42"), WAIT)
BOTH ("acknowledged: an alert", ACKNOWLEDGED, SEND ("15 0303 0002 0228"), WAIT)
BOTH ("acknowledged: an alert about the version", ACKNOWLEDGED,
      SEND ("15 0303 0002 0246"), WAIT)
BOTH ("acknowledged: an alert, and closed", ACKNOWLEDGED,
      SEND ("15 0303 0002 0228"), CLOSE)
BOTH ("acknowledged: a goodbye", ACKNOWLEDGED, SEND ("15 0303 0002 0100"),
      CLOSE)
BOTH ("acknowledged: an empty greeting", ACKNOWLEDGED,
      SEND ("16 0303 0004 02000000"), WAIT)
BOTH ("acknowledged: a greeting of an old version", ACKNOWLEDGED,
      SEND ("16 0300 u16:42 02 000026 0300 x32:42 00 002f 00"), WAIT)
BOTH ("acknowledged: a greeting with a cipher that was not offered",
      ACKNOWLEDGED,
      SEND ("16 0303 u16:42 02 000026 0303 x32:42 00 0000 00"), WAIT)
BOTH ("acknowledged: the end before the greeting", ACKNOWLEDGED,
      SEND ("16 0303 0004 14000000"), WAIT)

/* In opt mode. */

static void
run_opt_dialogue (void *arg)
{
  const struct dialogue *d = arg;

  prepare (d->mode);
  CALL (nbd_set_opt_mode (h, true));
  script (d->steps);
  CALL (nbd_connect_socket (h, sock));
  status ();
  CALL (nbd_get_tls_negotiated (h));
  CALL (nbd_get_protocol (h));
  CALL (nbd_get_structured_replies_negotiated (h));
  if (nbd_aio_is_negotiating (h)) {
    CALL (nbd_opt_list (h, list ("list")));
    CALL (nbd_opt_go (h));
    CALL (nbd_get_tls_negotiated (h));
    CALL (nbd_shutdown (h, 0));
  }
}

#define OPT(id, text, mode, ...)                                        \
  static void __attribute__ ((constructor))                             \
  add_opt_##id##_##mode (void)                                          \
  {                                                                     \
    static const struct step steps[] = { __VA_ARGS__, { STEP_END, NULL } }; \
    static struct dialogue d = { LIBNBD_TLS_##mode, steps };            \
                                                                        \
    scenario_add ((struct scenario) {                                   \
      "tls/opt mode: " text ", " #mode, NULL, run_opt_dialogue, &d });  \
  }
#define OPT_BOTH(id, text, ...)                                 \
  OPT (id, text, ALLOW, __VA_ARGS__)                            \
  OPT (id, text, REQUIRE, __VA_ARGS__)

OPT (wanted, "the server wants it", DISABLE,
     SEND (GREETING), QUIET (CLIENT_FLAGS), EXPECT (OPT_STRUCTURED),
     SEND (REFUSE (8, 5)), EXPECT (OPT_LIST), SEND (REFUSE (3, 5)),
     EXPECT (OPT_GO), SEND (REFUSE (7, 5)))
OPT_BOTH (refused, "refused", ASKED, SEND (UNSUP (5)), SERVE)
OPT_BOTH (policy, "refused with a reason", ASKED,
          SEND (REP (5, 0x80000002, 4) "'text'"), SERVE)
OPT_BOTH (oldstyle, "oldstyle", OLDSTYLE)
OPT (newstyle, "newstyle that is not fixed", ALLOW, NEWSTYLE (0, "x124:00"))
OPT (newstyle, "newstyle that is not fixed", REQUIRE, NO_WORD)
OPT_BOTH (closed, "acknowledged, and closed", ACKNOWLEDGED, CLOSE)
OPT_BOTH (garbage, "acknowledged, and garbage", ACKNOWLEDGED, SEND ("x64:42"),
          WAIT)
OPT_BOTH (behind, "acknowledged, and data right behind it", ASKED, FORGET,
          SEND (ACK (5) "'x'"), SHUT)

/* The client's own flags say that nothing is fixed. */

SCENARIO (flags_allow, "tls/no flags of the client, ALLOW")
{
  prepare (LIBNBD_TLS_ALLOW);
  CALL (nbd_set_handshake_flags (h, 0));
  CONNECT (SEND (GREETING), EXPECT ("u32:0" OPTION (1, 0)),
           SEND ("u64:1048576 u16:0x0105 x124:00"), SERVE);
  outcome ();
}

SCENARIO (flags_require, "tls/no flags of the client, REQUIRE")
{
  prepare (LIBNBD_TLS_REQUIRE);
  CALL (nbd_set_handshake_flags (h, 0));
  CONNECT (SEND (GREETING), WAIT);
  outcome ();
}

SCENARIO (fixed_require, "tls/only one flag of the client, REQUIRE")
{
  prepare (LIBNBD_TLS_REQUIRE);
  CALL (nbd_set_handshake_flags (h, LIBNBD_HANDSHAKE_FLAG_FIXED_NEWSTYLE));
  CONNECT (SEND (GREETING), EXPECT ("u32:1" OPT_STARTTLS), SEND (UNSUP (5)),
           SERVE);
  outcome ();
}

/* Step by step. */

static void
await_end (void)
{
  while (nbd_aio_is_connecting (h))
    if (nbd_poll (h, -1) == -1) {
      show_error ();
      break;
    }
}

SCENARIO (steps, "tls/step by step, acknowledged")
{
  prepare (LIBNBD_TLS_REQUIRE);
  SCRIPT (WAIT, SEND (GREETING), QUIET (CLIENT_FLAGS), EXPECT (OPT_STARTTLS),
          WAIT, SEND (ACK (5)), HELLO, SEND ("15 0303 0002 0228"));
  CALL (nbd_aio_connect_socket (h, sock));
  peer_await (peer);
  status ();
  release ();
  pump ();
  status ();
  CALL (nbd_get_tls_negotiated (h));
  CALL (nbd_set_tls (h, LIBNBD_TLS_DISABLE));
  CALL (nbd_poll (h, 0));
  release ();
  await_end ();
  status ();
}

SCENARIO (steps_refused, "tls/step by step, refused")
{
  prepare (LIBNBD_TLS_ALLOW);
  SCRIPT (SEND (GREETING), QUIET (CLIENT_FLAGS), EXPECT (OPT_STARTTLS),
          WAIT, SEND (UNSUP (5)), SERVE);
  CALL (nbd_aio_connect_socket (h, sock));
  pump ();
  status ();
  CALL (nbd_get_tls_negotiated (h));
  release ();
  await_end ();
  outcome ();
}

SCENARIO (bytes, "tls/an answer to the greeting in pieces")
{
  prepare (LIBNBD_TLS_REQUIRE);
  CONNECT (ACKNOWLEDGED, SEND ("15"), SEND ("03"), SEND ("03"), SEND ("00"),
           SEND ("02"), SEND ("02"), SEND ("28"), WAIT);
  status ();
}

SCENARIO (close_early, "tls/close before the reply")
{
  prepare (LIBNBD_TLS_REQUIRE);
  SCRIPT (ASKED, WAIT);
  CALL (nbd_aio_connect_socket (h, sock));
  pump ();
}

SCENARIO (signal_greeting, "tls/a signal during the handshake")
{
  catch_signals ();
  prepare (LIBNBD_TLS_REQUIRE);
  CONNECT (ACKNOWLEDGED, SIGNAL, SEND ("15 0303 0002 0228"), WAIT);
  say ("signals: %d", nr_signals);
  status ();
}

/* Whom the greeting is for. */

static void
try_host (const char *host)
{
  prepare (LIBNBD_TLS_REQUIRE);
  DIVERT (ACKNOWLEDGED, SEND ("15 0303 0002 0228"), WAIT);
  CALL (nbd_connect_tcp (h, host, "1234"));
}

SCENARIO (host_name, "tls/addressed to the name of a host")
{
  try_host ("localhost");
}

SCENARIO (host_ipv4, "tls/addressed to an IPv4 address")
{
  try_host ("192.0.2.1");
}

SCENARIO (host_ipv6, "tls/addressed to an IPv6 address")
{
  try_host ("2001:db8::1");
}

SCENARIO (host_unix, "tls/addressed to a Unix socket")
{
  prepare (LIBNBD_TLS_REQUIRE);
  DIVERT (ACKNOWLEDGED, SEND ("15 0303 0002 0228"), WAIT);
  CALL (nbd_connect_unix (h, "sock"));
}

SCENARIO (host_uri, "tls/addressed to the host of a URI")
{
  create ();
  setenv ("HOME", ".", 1);
  DIVERT (ACKNOWLEDGED, SEND ("15 0303 0002 0228"), WAIT);
  CALL (nbd_connect_uri (h, "nbds://localhost/"));
  CALL (nbd_get_tls (h));
}

/* Credentials that are not there, seen from the other end. */

static void
try_psk (const char *file, const char *user)
{
  prepare (LIBNBD_TLS_REQUIRE);
  login = "somebody";
  CALL (nbd_set_tls_psk_file (h, file));
  if (user)
    CALL (nbd_set_tls_username (h, user));
  CONNECT (ASKED, SEND (ACK (5)), FORGET, WAIT);
  outcome ();
}

SCENARIO (psk_absent, "tls/keys: no such file")
{
  try_psk ("nowhere", "alice");
}

SCENARIO (psk_folder, "tls/keys: a folder")
{
  try_psk (".", "alice");
}

static void
write_keys (const char *text)
{
  FILE *fp = fopen ("keys", "w");

  fputs (text, fp);
  fclose (fp);
}

SCENARIO (psk_empty, "tls/keys: an empty file")
{
  write_keys ("");
  try_psk ("keys", "alice");
}

SCENARIO (psk_others, "tls/keys: only those of others")
{
  write_keys ("alice2:00\nalic:00\n alice:00\n#alice:00\nALICE:00\n");
  try_psk ("keys", "alice");
}

SCENARIO (psk_no_digits, "tls/keys: no digits")
{
  write_keys ("alice:no digits\n");
  try_psk ("keys", "alice");
}

SCENARIO (psk_no_key, "tls/keys: a name without a key")
{
  write_keys ("alice\n");
  try_psk ("keys", "alice");
}

SCENARIO (psk_login, "tls/keys: none for the user who is logged in")
{
  write_keys ("alice:00\n");
  try_psk ("keys", NULL);
}

SCENARIO (psk_allow, "tls/keys: no such file, ALLOW")
{
  prepare (LIBNBD_TLS_ALLOW);
  CALL (nbd_set_tls_psk_file (h, "nowhere"));
  CALL (nbd_set_tls_username (h, "alice"));
  CONNECT (ASKED, SEND (ACK (5)), FORGET, WAIT);
  outcome ();
}

SCENARIO (psk_refused, "tls/keys: no such file, and TLS is refused")
{
  prepare (LIBNBD_TLS_ALLOW);
  CALL (nbd_set_tls_psk_file (h, "nowhere"));
  CONNECT (ASKED, SEND (UNSUP (5)), SERVE);
  outcome ();
}
