/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The trace of calls: the callback, and the lines on stderr. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scenario.h"

static void
tracing (void)
{
  create ();
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
}

/* What goes to stderr meanwhile is kept in a file. */
static int old_stderr = -1;

static void
catch_stderr (void)
{
  int fd = open ("stderr", O_RDWR | O_CREAT | O_TRUNC, 0600);

  old_stderr = dup (2);
  dup2 (fd, 2);
  close (fd);
}

/* Only the lines of calls. */
static void
show_stderr (void)
{
  static const char *const wanted[] = {
    ": enter:", ": leave:", ": opening handle", ": closing handle",
  };
  char line[4096];
  FILE *fp;

  dup2 (old_stderr, 2);
  close (old_stderr);
  fp = fopen ("stderr", "r");
  while (fgets (line, sizeof line, fp))
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
      if (strstr (line, wanted[i])) {
        line[strcspn (line, "\n")] = '\0';
        say ("  stderr: %s", line);
        break;
      }
  fclose (fp);
}

SCENARIO (callback, "trace/settings")
{
  tracing ();
  CALL (nbd_set_export_name (h, "hello"));
  CALL (nbd_get_export_name (h));
  CALL (nbd_set_full_info (h, true));
  CALL (nbd_get_full_info (h));
  CALL (nbd_set_handshake_flags (h, 3));
  CALL (nbd_get_handshake_flags (h));
  CALL (nbd_set_private_data (h, 99));
  CALL (nbd_get_private_data (h));
  CALL (nbd_add_meta_context (h, "x:y"));
  CALL (nbd_get_nr_meta_contexts (h));
  CALL (nbd_get_meta_context (h, 0));
}

SCENARIO (states, "trace/questions")
{
  tracing ();
  CALL (nbd_aio_is_created (h));
  CALL (nbd_aio_is_dead (h));
  CALL (nbd_aio_get_direction (h));
  CALL (nbd_get_debug (h));
  CALL (nbd_get_package_name (h));
}

SCENARIO (failures, "trace/failures")
{
  tracing ();
  CALL (nbd_set_export_name (h, NULL));
  CALL (nbd_pread (h, buf, 512, 0, 0));
  CALL (nbd_set_handshake_flags (h, 0x10));
  CALL (nbd_get_meta_context (h, 7));
}

SCENARIO (commands, "trace/commands")
{
  PLAY_META (SERVE);
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
  memset (buf, 0, 1024);
  CALL (nbd_pread (h, buf, 512, 1024, 0));
  CALL (nbd_flush (h, 0));
  CALL (nbd_trim (h, 512, 0, LIBNBD_CMD_FLAG_FUA));
  CALL (nbd_zero (h, 512, 0, LIBNBD_CMD_FLAG_NO_HOLE));
  CALL (nbd_cache (h, 512, 0, 0));
}

SCENARIO (structured, "trace/a read with a chunk callback")
{
  PLAY (STRUCTURED, SERVE);
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
  CALL (nbd_pread_structured (h, buf, 512, 0, chunk ("chunk"),
                              LIBNBD_CMD_FLAG_DF));
}

SCENARIO (status_call, "trace/block status")
{
  PLAY_META (SERVE);
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
  CALL (nbd_block_status (h, 512, 0, extent ("extents"),
                          LIBNBD_CMD_FLAG_REQ_ONE));
}

SCENARIO (write_short, "trace/a short write")
{
  PLAY (SIMPLE, SERVE);
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
  memcpy (buf, "hello, world\n\0\1\177\200\377", 18);
  CALL (nbd_pwrite (h, buf, 18, 0, 0));
}

SCENARIO (write_long, "trace/a long write")
{
  PLAY (SIMPLE, SERVE);
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
  memset (buf, 'a', 1000);
  CALL (nbd_pwrite (h, buf, 1000, 0, 0));
}

SCENARIO (asynchronous, "trace/asynchronous commands")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), WAIT, SEND (REPLY (1, 5)), WAIT);
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
  CALL (nbd_aio_flush (h, done ("done"), 0));
  go ();
  CALL (nbd_poll (h, -1));
  CALL (nbd_aio_peek_command_completed (h));
  CALL (nbd_aio_command_completed (h, 1));
  CALL (nbd_aio_in_flight (h));
}

SCENARIO (no_completion, "trace/an asynchronous command without completion")
{
  PLAY (SIMPLE, SERVE);
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
  CALL (nbd_aio_pread (h, buf, 512, 0, NBD_NULL_COMPLETION, 0));
  settle ();
}

SCENARIO (options, "trace/options")
{
  NEGOTIATE (SERVE);
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
  CALL (nbd_opt_list (h, list ("list")));
  CALL (nbd_opt_info (h));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
  CALL (nbd_opt_go (h));
}

SCENARIO (facts_traced, "trace/what is known of the export")
{
  PLAY (SIMPLE, SERVE);
  nbd_set_debug_callback (h, trace ("trace"));
  nbd_set_debug (h, true);
  CALL (nbd_get_size (h));
  CALL (nbd_get_protocol (h));
  CALL (nbd_can_flush (h));
  CALL (nbd_get_block_size (h, LIBNBD_SIZE_PREFERRED));
  CALL (nbd_can_meta_context (h, "x:y"));
  CALL (nbd_get_canonical_export_name (h));
}

SCENARIO (connecting, "trace/connecting")
{
  tracing ();
  CALL (nbd_connect_unix (h, "nowhere"));
  finish ();
  tracing ();
  CALL (nbd_connect_tcp (h, "127.0.0.1", "no-such-service"));
  CALL (nbd_aio_connect_tcp (h, NULL, "1"));
  CALL (nbd_connect_socket (h, -1));
}

SCENARIO (transports, "trace/URIs and vsock")
{
  tracing ();
  CALL (nbd_supports_uri (h));
  CALL (nbd_set_uri_allow_transports (h, LIBNBD_ALLOW_TRANSPORT_TCP |
                                      LIBNBD_ALLOW_TRANSPORT_UNIX));
  CALL (nbd_set_uri_allow_transports (h, 0x40));
  CALL (nbd_set_uri_allow_tls (h, LIBNBD_TLS_DISABLE));
  CALL (nbd_set_uri_allow_tls (h, LIBNBD_TLS_REQUIRE));
  CALL (nbd_set_uri_allow_tls (h, LIBNBD_TLS_ALLOW));
  CALL (nbd_set_uri_allow_local_file (h, true));
  CALL (nbd_set_uri_allow_local_file (h, false));
  CALL (nbd_get_uri (h));
  CALL (nbd_connect_uri (h, "no-uri"));
  CALL (nbd_aio_connect_uri (h, NULL));
  CALL (nbd_kill_subprocess (h, 15));
  CALL (nbd_kill_subprocess (h, -1));
  divert_to_error (ENODEV);
  CALL (nbd_connect_vsock (h, 3, 4294967295));
  CALL (nbd_get_uri (h));
}

SCENARIO (lists, "trace/lists of strings")
{
  tracing ();
  CALL (nbd_connect_command (h, NULL));
  CALL (nbd_connect_systemd_socket_activation (h, ARGV ()));
  CALL (nbd_connect_command (h, ARGV ("sh", "-c", "exit 0", "two words",
                                      "")));
}

SCENARIO (lists_quoted, "trace/lists of strings that need care")
{
  tracing ();
  CALL (nbd_connect_command (h, ARGV ("sh", "-c", "exit 0",
                                      "a \"quoted\" \\ name", "a\nline")));
}

SCENARIO (strings, "trace/strings that need care")
{
  tracing ();
  CALL (nbd_set_export_name (h, ""));
  CALL (nbd_set_export_name (h, "two words"));
  CALL (nbd_set_export_name (h, "a\nline"));
  CALL (nbd_set_export_name (h, "a\ttab \1 \177"));
}

SCENARIO (quotes, "trace/strings with quotation marks")
{
  tracing ();
  CALL (nbd_set_export_name (h, "a \"quoted\" \\ name"));
}

SCENARIO (not_ascii, "trace/strings that are not ASCII")
{
  tracing ();
  CALL (nbd_set_export_name (h, "caf\303\251"));
}

SCENARIO (return_ignored, "trace/what the callback returns does not matter")
{
  create ();
  nbd_set_debug_callback (h, trace_ret ("trace", -1));
  nbd_set_debug (h, true);
  CALL (nbd_set_export_name (h, "name"));
}

SCENARIO (replace, "trace/a callback is replaced")
{
  tracing ();
  CALL (nbd_set_debug_callback (h, trace ("second")));
  CALL (nbd_get_full_info (h));
}

SCENARIO (clear, "trace/a callback is cleared")
{
  create ();
  nbd_set_debug_callback (h, trace ("trace"));
  CALL (nbd_clear_debug_callback (h));
  CALL (nbd_clear_debug_callback (h));
}

SCENARIO (clear_traced, "trace/a callback is cleared while tracing")
{
  tracing ();
  catch_stderr ();
  CALL (nbd_clear_debug_callback (h));
  CALL (nbd_get_full_info (h));
  nbd_set_debug (h, false);
  show_stderr ();
}

SCENARIO (callback_off, "trace/nothing is said while debugging is off")
{
  create ();
  CALL (nbd_set_debug_callback (h, trace ("trace")));
  CALL (nbd_get_full_info (h));
  CALL (nbd_get_debug (h));
}

SCENARIO (switching, "trace/switched on and off")
{
  create ();
  nbd_set_debug_callback (h, trace ("trace"));
  CALL (nbd_set_debug (h, true));
  CALL (nbd_set_debug (h, true));
  CALL (nbd_set_debug (h, false));
  CALL (nbd_set_debug (h, false));
}

SCENARIO (on_stderr, "trace/on stderr")
{
  create ();
  catch_stderr ();
  CALL (nbd_set_debug (h, true));
  CALL (nbd_set_export_name (h, "hello"));
  CALL (nbd_set_handle_name (h, "my handle"));
  CALL (nbd_get_export_name (h));
  CALL (nbd_pread (h, buf, 512, 0, 0));
  nbd_close (h);
  h = NULL;
  show_stderr ();
}

#define ENVIRONMENT(id, value)                                  \
  SCENARIO (id, "trace/LIBNBD_DEBUG is " #value)                \
  {                                                             \
    setenv ("LIBNBD_DEBUG", value, 1);                          \
    catch_stderr ();                                            \
    create ();                                                  \
    CALL (nbd_get_debug (h));                                   \
    nbd_close (h);                                              \
    h = NULL;                                                   \
    show_stderr ();                                             \
  }

ENVIRONMENT (environment_1, "1")
ENVIRONMENT (environment_0, "0")
ENVIRONMENT (environment_empty, "")
ENVIRONMENT (environment_yes, "yes")
ENVIRONMENT (environment_01, "01")
ENVIRONMENT (environment_true, "true")
ENVIRONMENT (environment_11, "11")

SCENARIO (closing, "trace/closing comes before the callback is freed")
{
  tracing ();
  call_begin ("nbd_close (h)");
  nbd_close (h);
  h = NULL;
}
