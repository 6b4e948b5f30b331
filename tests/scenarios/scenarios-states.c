/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every function in every state of a handle, permitted or not: one scenario
 * for each function.
 */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "scenario.h"

/* Ways to be in a state.  The peer is at a WAIT, with nothing left to do but
 * to serve.
 */

static void
be_created (void)
{
  create ();
}

static void
be_connecting (void)
{
  SCRIPT (WAIT, SEND (GREETING), SERVE);
  nbd_aio_connect_socket (h, sock);
}

static void
be_negotiating (void)
{
  NEGOTIATE (WAIT, SERVE);
  peer_await (peer);
}

/* With something of the export known. */
static void
be_informed (void)
{
  NEGOTIATE (QUIET (OPT_INFO), SEND (INFO_EXPORT (6, 4096, 0x0dfd) ACK (6)),
             WAIT, SERVE);
  nbd_opt_info (h);
  peer_await (peer);
}

static void
be_ready (void)
{
  PLAY (SIMPLE, WAIT, SERVE);
  peer_await (peer);
}

/* A read is in flight. */
static void
be_waiting (void)
{
  PLAY (SIMPLE, WAIT, SERVE);
  nbd_aio_pread (h, buf + 65536, 512, 0, done ("earlier"), 0);
}

/* Half of a write has left. */
static void
be_processing (void)
{
  SCRIPT (SIMPLE, FORGET, WAIT, SERVE);
  small_buffers ();
  nbd_connect_socket (h, sock);
  nbd_aio_pwrite (h, buf, sizeof buf, 0, done ("earlier"), 0);
}

static void
be_disconnecting (void)
{
  PLAY (SIMPLE, WAIT, SERVE);
  nbd_aio_disconnect (h, 0);
}

static void
be_closed (void)
{
  PLAY (SIMPLE, CLOSE, WAIT);
  peer_await (peer);
  nbd_poll (h, -1);
}

/* With a command that was not retired. */
static void
be_dead (void)
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 512)), SEND ("x16:00"), WAIT);
  nbd_aio_pread (h, buf + 65536, 512, 0, NO_COMPLETION, 0);
  peer_await (peer);
  nbd_poll (h, -1);
}

#define CREATED 0x001
#define CONNECTING 0x002
#define NEGOTIATING 0x004
#define INFORMED 0x008
#define READY 0x010
#define WAITING 0x020
#define PROCESSING 0x040
#define DISCONNECTING 0x080
#define CLOSED 0x100
#define DEAD 0x200

static const struct way {
  unsigned bit;
  const char *name;
  void (*be) (void);
} ways[] = {
  { CREATED, "created", be_created },
  { CONNECTING, "connecting", be_connecting },
  { NEGOTIATING, "negotiating", be_negotiating },
  { INFORMED, "negotiating, and informed", be_informed },
  { READY, "ready", be_ready },
  { WAITING, "waiting for a reply", be_waiting },
  { PROCESSING, "processing", be_processing },
  { DISCONNECTING, "disconnecting", be_disconnecting },
  { CLOSED, "closed", be_closed },
  { DEAD, "dead", be_dead },
};

/* A call, and in which ways of being it sleeps until the peer has answered. */
struct row {
  void (*call) (void);
  unsigned sleeps;
};

static void
run_row (void *arg)
{
  const struct row *row = arg;

  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    say ("--- %s", ways[i].name);
    memset (buf, 0xee, 4096);
    ways[i].be ();
    status ();
    if (row->sleeps & ways[i].bit)
      release ();
    row->call ();
    finish ();
  }
}

/* In any state the same, except that it sleeps where SLEEPS says. */
#define STATES(function, sleeping, expr)                        \
  static void                                                   \
  call_##function (void)                                        \
  {                                                             \
    CALL (expr);                                                \
  }                                                             \
                                                                \
  static void __attribute__ ((constructor))                     \
  add_##function (void)                                         \
  {                                                             \
    static struct row row = { call_##function, sleeping };      \
    scenario_add ((struct scenario) {                           \
      "states/" #function, NULL, run_row, &row });              \
  }

#define NEVER 0
#define OPTION_CALL (NEGOTIATING | INFORMED)
#define COMMAND_CALL (READY | WAITING | PROCESSING)

/* Settings. */
STATES (nbd_set_debug, NEVER, nbd_set_debug (h, false))
STATES (nbd_get_debug, NEVER, nbd_get_debug (h))
STATES (nbd_set_debug_callback, NEVER,
        nbd_set_debug_callback (h, trace ("debug")))
STATES (nbd_clear_debug_callback, NEVER, nbd_clear_debug_callback (h))
STATES (nbd_set_handle_name, NEVER, nbd_set_handle_name (h, "a name"))
STATES (nbd_get_handle_name, NEVER,
        (nbd_set_handle_name (h, "a name"), nbd_get_handle_name (h)))
STATES (nbd_set_private_data, NEVER, nbd_set_private_data (h, 7))
STATES (nbd_get_private_data, NEVER, nbd_get_private_data (h))
STATES (nbd_set_export_name, NEVER, nbd_set_export_name (h, "other"))
STATES (nbd_get_export_name, NEVER, nbd_get_export_name (h))
STATES (nbd_set_request_block_size, NEVER,
        nbd_set_request_block_size (h, false))
STATES (nbd_get_request_block_size, NEVER, nbd_get_request_block_size (h))
STATES (nbd_set_full_info, NEVER, nbd_set_full_info (h, true))
STATES (nbd_get_full_info, NEVER, nbd_get_full_info (h))
STATES (nbd_set_request_structured_replies, NEVER,
        nbd_set_request_structured_replies (h, false))
STATES (nbd_get_request_structured_replies, NEVER,
        nbd_get_request_structured_replies (h))
STATES (nbd_set_handshake_flags, NEVER, nbd_set_handshake_flags (h, 1))
STATES (nbd_get_handshake_flags, NEVER, nbd_get_handshake_flags (h))
STATES (nbd_set_pread_initialize, NEVER, nbd_set_pread_initialize (h, false))
STATES (nbd_get_pread_initialize, NEVER, nbd_get_pread_initialize (h))
STATES (nbd_set_strict_mode, NEVER, nbd_set_strict_mode (h, 0))
STATES (nbd_get_strict_mode, NEVER,
        (nbd_set_strict_mode (h, 9), nbd_get_strict_mode (h)))
STATES (nbd_set_opt_mode, NEVER, nbd_set_opt_mode (h, true))
STATES (nbd_get_opt_mode, NEVER, nbd_get_opt_mode (h))
STATES (nbd_add_meta_context, NEVER, nbd_add_meta_context (h, "x:y"))
STATES (nbd_get_nr_meta_contexts, NEVER, nbd_get_nr_meta_contexts (h))
STATES (nbd_get_meta_context, NEVER, nbd_get_meta_context (h, 0))
STATES (nbd_clear_meta_contexts, NEVER, nbd_clear_meta_contexts (h))
STATES (nbd_set_tls, NEVER, nbd_set_tls (h, LIBNBD_TLS_ALLOW))
STATES (nbd_get_tls, NEVER, nbd_get_tls (h))
STATES (nbd_set_tls_certificates, NEVER,
        nbd_set_tls_certificates (h, "folder"))
STATES (nbd_set_tls_verify_peer, NEVER, nbd_set_tls_verify_peer (h, false))
STATES (nbd_get_tls_verify_peer, NEVER, nbd_get_tls_verify_peer (h))
STATES (nbd_set_tls_username, NEVER, nbd_set_tls_username (h, "alice"))
STATES (nbd_get_tls_username, NEVER, nbd_get_tls_username (h))
STATES (nbd_set_tls_psk_file, NEVER, nbd_set_tls_psk_file (h, "file"))
STATES (nbd_supports_tls, NEVER, nbd_supports_tls (h))

/* What is known of the connection. */
STATES (nbd_get_tls_negotiated, NEVER, nbd_get_tls_negotiated (h))
STATES (nbd_get_structured_replies_negotiated, NEVER,
        nbd_get_structured_replies_negotiated (h))
STATES (nbd_get_protocol, NEVER, nbd_get_protocol (h))
STATES (nbd_get_size, NEVER, nbd_get_size (h))
STATES (nbd_get_block_size, NEVER,
        nbd_get_block_size (h, LIBNBD_SIZE_MINIMUM))
STATES (nbd_get_canonical_export_name, NEVER,
        nbd_get_canonical_export_name (h))
STATES (nbd_get_export_description, NEVER, nbd_get_export_description (h))
STATES (nbd_is_read_only, NEVER, nbd_is_read_only (h))
STATES (nbd_is_rotational, NEVER, nbd_is_rotational (h))
STATES (nbd_can_flush, NEVER, nbd_can_flush (h))
STATES (nbd_can_fua, NEVER, nbd_can_fua (h))
STATES (nbd_can_trim, NEVER, nbd_can_trim (h))
STATES (nbd_can_zero, NEVER, nbd_can_zero (h))
STATES (nbd_can_fast_zero, NEVER, nbd_can_fast_zero (h))
STATES (nbd_can_df, NEVER, nbd_can_df (h))
STATES (nbd_can_multi_conn, NEVER, nbd_can_multi_conn (h))
STATES (nbd_can_cache, NEVER, nbd_can_cache (h))
STATES (nbd_can_meta_context, NEVER,
        nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION))

/* Connecting.  A socket that is refused stays with the caller. */
static struct peer *other_peer;

/* With a peer that serves. */
static int
other_socket (void)
{
  static const struct step steps[] = {
    WAIT, SEND (GREETING), QUIET (CLIENT_FLAGS), SERVE, { STEP_END, NULL }
  };
  int fd;

  other_peer = peer_start (steps, &fd);
  return fd;
}

static void
end_other (int fd)
{
  if (nbd_aio_is_created (h) || nbd_aio_get_fd (h) != fd) {
    show_fd ("the other descriptor", fd);
    close (fd);
  }
  else {
    status ();
    nbd_close (h);
    h = NULL;
  }
  peer_end (other_peer);
}

static void
connect_socket_row (void *arg)
{
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    int fd;

    say ("--- %s", ways[i].name);
    ways[i].be ();
    fd = other_socket ();
    if (ways[i].bit == CREATED)
      peer_release (other_peer);
    if (arg)
      CALL (nbd_aio_connect_socket (h, fd));
    else
      CALL (nbd_connect_socket (h, fd));
    /* Where it goes on by itself is a matter of time. */
    while (nbd_aio_is_connecting (h) && ways[i].bit == CREATED)
      nbd_poll (h, -1);
    end_other (fd);
    finish ();
  }
}

static void __attribute__ ((constructor))
add_connect_socket (void)
{
  static int aio;

  scenario_add ((struct scenario) {
    "states/nbd_connect_socket", NULL, connect_socket_row, NULL });
  scenario_add ((struct scenario) {
    "states/nbd_aio_connect_socket", NULL, connect_socket_row, &aio });
}

static int
connect_nowhere (void)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "nowhere" };

  return nbd_aio_connect (h, (struct sockaddr *) &addr, sizeof addr);
}

STATES (nbd_connect_unix, NEVER, nbd_connect_unix (h, "nowhere"))
STATES (nbd_aio_connect_unix, NEVER, nbd_aio_connect_unix (h, "nowhere"))
STATES (nbd_aio_connect, NEVER, connect_nowhere ())
STATES (nbd_connect_tcp, NEVER,
        nbd_connect_tcp (h, "127.0.0.1", "no-such-service"))
STATES (nbd_aio_connect_tcp, NEVER,
        nbd_aio_connect_tcp (h, "127.0.0.1", "no-such-service"))
STATES (nbd_connect_vsock, NEVER,
        (divert_to_error (ENODEV), nbd_connect_vsock (h, 3, 5)))
STATES (nbd_aio_connect_vsock, NEVER,
        (divert_to_error (ENODEV), nbd_aio_connect_vsock (h, 3, 5)))
STATES (nbd_connect_uri, NEVER, nbd_connect_uri (h, "no-uri"))
STATES (nbd_aio_connect_uri, NEVER, nbd_aio_connect_uri (h, "no-uri"))
STATES (nbd_connect_command, NEVER,
        nbd_connect_command (h, ARGV ()))
STATES (nbd_aio_connect_command, NEVER,
        nbd_aio_connect_command (h, ARGV ()))
STATES (nbd_connect_systemd_socket_activation, NEVER,
        nbd_connect_systemd_socket_activation (h, ARGV ()))
STATES (nbd_aio_connect_systemd_socket_activation, NEVER,
        nbd_aio_connect_systemd_socket_activation (h, ARGV ()))
STATES (nbd_kill_subprocess, NEVER, nbd_kill_subprocess (h, 0))
STATES (nbd_set_uri_allow_transports, NEVER,
        nbd_set_uri_allow_transports (h, 1))
STATES (nbd_set_uri_allow_tls, NEVER, nbd_set_uri_allow_tls (h, 1))
STATES (nbd_set_uri_allow_local_file, NEVER,
        nbd_set_uri_allow_local_file (h, true))
STATES (nbd_get_uri, NEVER, nbd_get_uri (h))
STATES (nbd_supports_uri, NEVER, nbd_supports_uri (h))

/* Options. */
STATES (nbd_opt_go, OPTION_CALL, nbd_opt_go (h))
STATES (nbd_opt_abort, NEVER, nbd_opt_abort (h))
STATES (nbd_opt_list, OPTION_CALL, nbd_opt_list (h, list ("list")))
STATES (nbd_opt_info, OPTION_CALL, nbd_opt_info (h))
STATES (nbd_opt_list_meta_context, OPTION_CALL,
        nbd_opt_list_meta_context (h, context ("context")))
STATES (nbd_aio_opt_go, NEVER, nbd_aio_opt_go (h, done ("go")))
STATES (nbd_aio_opt_abort, NEVER, nbd_aio_opt_abort (h))
STATES (nbd_aio_opt_list, NEVER,
        nbd_aio_opt_list (h, list ("list"), done ("done")))
STATES (nbd_aio_opt_info, NEVER, nbd_aio_opt_info (h, done ("info")))
STATES (nbd_aio_opt_list_meta_context, NEVER,
        nbd_aio_opt_list_meta_context (h, context ("context"), done ("done")))

/* Commands. */
STATES (nbd_pread, COMMAND_CALL, nbd_pread (h, buf, 512, 0, 0))
STATES (nbd_pread_structured, COMMAND_CALL,
        nbd_pread_structured (h, buf, 512, 0, chunk ("chunk"), 0))
STATES (nbd_pwrite, COMMAND_CALL, nbd_pwrite (h, buf, 512, 0, 0))
STATES (nbd_flush, COMMAND_CALL, nbd_flush (h, 0))
STATES (nbd_trim, COMMAND_CALL, nbd_trim (h, 512, 0, 0))
STATES (nbd_cache, COMMAND_CALL, nbd_cache (h, 512, 0, 0))
STATES (nbd_zero, COMMAND_CALL, nbd_zero (h, 512, 0, 0))
STATES (nbd_block_status, NEVER,
        nbd_block_status (h, 512, 0, extent ("extent"), 0))
STATES (nbd_shutdown, COMMAND_CALL | DISCONNECTING, nbd_shutdown (h, 0))
STATES (nbd_aio_pread, NEVER,
        nbd_aio_pread (h, buf, 512, 0, done ("done"), 0))
STATES (nbd_aio_pread_structured, NEVER,
        nbd_aio_pread_structured (h, buf, 512, 0, chunk ("chunk"),
                                  done ("done"), 0))
STATES (nbd_aio_pwrite, NEVER,
        nbd_aio_pwrite (h, buf, 512, 0, done ("done"), 0))
STATES (nbd_aio_flush, NEVER, nbd_aio_flush (h, done ("done"), 0))
STATES (nbd_aio_trim, NEVER, nbd_aio_trim (h, 512, 0, done ("done"), 0))
STATES (nbd_aio_cache, NEVER, nbd_aio_cache (h, 512, 0, done ("done"), 0))
STATES (nbd_aio_zero, NEVER, nbd_aio_zero (h, 512, 0, done ("done"), 0))
STATES (nbd_aio_block_status, NEVER,
        nbd_aio_block_status (h, 512, 0, extent ("extent"), done ("done"), 0))
STATES (nbd_aio_disconnect, NEVER, nbd_aio_disconnect (h, 0))

/* The loop. */
STATES (nbd_poll, NEVER, nbd_poll (h, 0))
STATES (nbd_aio_get_direction, NEVER, nbd_aio_get_direction (h))
STATES (nbd_aio_notify_read, NEVER, nbd_aio_notify_read (h))
STATES (nbd_aio_notify_write, NEVER, nbd_aio_notify_write (h))
STATES (nbd_aio_is_created, NEVER, nbd_aio_is_created (h))
STATES (nbd_aio_is_connecting, NEVER, nbd_aio_is_connecting (h))
STATES (nbd_aio_is_negotiating, NEVER, nbd_aio_is_negotiating (h))
STATES (nbd_aio_is_ready, NEVER, nbd_aio_is_ready (h))
STATES (nbd_aio_is_processing, NEVER, nbd_aio_is_processing (h))
STATES (nbd_aio_is_dead, NEVER, nbd_aio_is_dead (h))
STATES (nbd_aio_is_closed, NEVER, nbd_aio_is_closed (h))
STATES (nbd_aio_command_completed, NEVER, nbd_aio_command_completed (h, 1))
STATES (nbd_aio_peek_command_completed, NEVER,
        nbd_aio_peek_command_completed (h))
STATES (nbd_aio_in_flight, NEVER, nbd_aio_in_flight (h))

/* These return what differs; only whether they fail is compared. */
STATES (nbd_aio_get_fd, NEVER, nbd_aio_get_fd (h) == -1 ? -1 : 0)
STATES (nbd_connection_state, NEVER, nbd_connection_state (h) ? 0 : -1)
STATES (nbd_get_package_name, NEVER, nbd_get_package_name (h))
STATES (nbd_get_version, NEVER, nbd_get_version (h) ? 0 : -1)
