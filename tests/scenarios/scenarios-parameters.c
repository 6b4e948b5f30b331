/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Settings and their defaults, parameters that are refused, errors, and what a
 * buffer holds after a failure.
 */

#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "scenario.h"

SCENARIO (defaults, "parameters/what a new handle is set to")
{
  create ();
  CALL (nbd_get_debug (h));
  CALL (nbd_get_handle_name (h));
  CALL (nbd_get_private_data (h));
  CALL (nbd_get_export_name (h));
  CALL (nbd_get_request_block_size (h));
  CALL (nbd_get_full_info (h));
  CALL (nbd_get_request_structured_replies (h));
  CALL (nbd_get_handshake_flags (h));
  CALL (nbd_get_pread_initialize (h));
  CALL (nbd_get_strict_mode (h) & 0x1f);
  CALL (nbd_get_opt_mode (h));
  CALL (nbd_get_nr_meta_contexts (h));
}

SCENARIO (default_strict, "parameters/the default strict mode")
{
  create ();
  CALL (nbd_get_strict_mode (h));
}

SCENARIO (booleans, "parameters/settings that are on or off")
{
  create ();
  for (int on = 1; on >= 0; on--) {
    CALL (nbd_set_full_info (h, on));
    CALL (nbd_get_full_info (h));
    CALL (nbd_set_request_block_size (h, on));
    CALL (nbd_get_request_block_size (h));
    CALL (nbd_set_pread_initialize (h, on));
    CALL (nbd_get_pread_initialize (h));
    CALL (nbd_set_request_structured_replies (h, on));
    CALL (nbd_get_request_structured_replies (h));
    CALL (nbd_set_opt_mode (h, on));
    CALL (nbd_get_opt_mode (h));
  }
}

SCENARIO (package, "parameters/the package's name and version")
{
  const char *version;
  int a, b, c, n = 0;

  create ();
  CALL (nbd_get_package_name (h));
  version = nbd_get_version (h);
  say ("the version is three numbers: %d",
       sscanf (version, "%d.%d.%d%n", &a, &b, &c, &n) == 3 &&
       version[n] == '\0');
}

/* Names. */

/* Whether a name is that in BUF. */
static void
show_same (char *name)
{
  say ("the same: %d", strcmp (name, buf) == 0);
  free (name);
}

SCENARIO (handle_names, "parameters/handles are numbered as they are created")
{
  struct nbd_handle *other;

  create ();
  other = nbd_create ();
  CALL (nbd_get_handle_name (h));
  CALL (nbd_get_handle_name (other));
  nbd_close (other);
  other = nbd_create ();
  CALL (nbd_get_handle_name (other));
  nbd_close (other);
}

SCENARIO (handle_name, "parameters/the name of a handle")
{
  create ();
  CALL (nbd_set_handle_name (h, "my handle"));
  CALL (nbd_get_handle_name (h));
  CALL (nbd_set_handle_name (h, ""));
  CALL (nbd_get_handle_name (h));
}

SCENARIO (long_handle_name, "parameters/the name of a handle may be long")
{
  create ();
  memset (buf, 'n', 10000);
  CALL (nbd_set_handle_name (h, buf));
  show_same (nbd_get_handle_name (h));
}

SCENARIO (private_data, "parameters/private data is a number of the caller's")
{
  create ();
  CALL (nbd_set_private_data (h, 42));
  CALL (nbd_get_private_data (h));
  CALL (nbd_set_private_data (h, UINTPTR_MAX));
  CALL (nbd_set_private_data (h, 0));
  CALL (nbd_get_private_data (h));
}

SCENARIO (export_name, "parameters/the name of the export")
{
  create ();
  CALL (nbd_set_export_name (h, "disk"));
  CALL (nbd_get_export_name (h));
  CALL (nbd_set_export_name (h, "disk"));
  CALL (nbd_set_export_name (h, ""));
  CALL (nbd_get_export_name (h));
}

SCENARIO (export_name_4096, "parameters/an export name of 4096 bytes")
{
  create ();
  memset (buf, 'e', 4096);
  CALL (nbd_set_export_name (h, buf));
  show_same (nbd_get_export_name (h));
}

SCENARIO (export_name_4097, "parameters/an export name of 4097 bytes")
{
  create ();
  nbd_set_export_name (h, "kept");
  memset (buf, 'e', 4097);
  CALL (nbd_set_export_name (h, buf));
  CALL (nbd_get_export_name (h));
}

SCENARIO (meta_contexts, "parameters/names of meta contexts")
{
  create ();
  CALL (nbd_add_meta_context (h, "a:b"));
  CALL (nbd_add_meta_context (h, ""));
  CALL (nbd_add_meta_context (h, "a:b"));
  CALL (nbd_get_nr_meta_contexts (h));
  CALL (nbd_get_meta_context (h, 0));
  CALL (nbd_get_meta_context (h, 1));
  CALL (nbd_get_meta_context (h, 2));
  CALL (nbd_get_meta_context (h, 3));
  CALL (nbd_get_meta_context (h, SIZE_MAX));
  CALL (nbd_clear_meta_contexts (h));
  CALL (nbd_get_nr_meta_contexts (h));
  CALL (nbd_clear_meta_contexts (h));
  CALL (nbd_get_meta_context (h, 0));
}

SCENARIO (meta_context_4096, "parameters/a meta context name of 4096 bytes")
{
  create ();
  memset (buf, 'm', 4096);
  CALL (nbd_add_meta_context (h, buf));
  show_same (nbd_get_meta_context (h, 0));
}

SCENARIO (meta_context_4097, "parameters/a meta context name of 4097 bytes")
{
  create ();
  memset (buf, 'm', 4097);
  CALL (nbd_add_meta_context (h, buf));
  CALL (nbd_get_nr_meta_contexts (h));
}

SCENARIO (many_contexts, "parameters/five hundred meta context names")
{
  create ();
  for (int i = 0; i < 500; i++) {
    snprintf (buf, sizeof buf, "x:%d", i);
    nbd_add_meta_context (h, buf);
  }
  CALL (nbd_get_nr_meta_contexts (h));
  CALL (nbd_get_meta_context (h, 499));
}

/* NULL. */

#define NULL_STRING(id, expr)                           \
  SCENARIO (id, "parameters/NULL for a string: " #expr) \
  {                                                     \
    create ();                                          \
    CALL (expr);                                        \
    status ();                                          \
  }

NULL_STRING (null_handle_name, nbd_set_handle_name (h, NULL))
NULL_STRING (null_export_name, nbd_set_export_name (h, NULL))
NULL_STRING (null_meta, nbd_add_meta_context (h, NULL))
NULL_STRING (null_unix, nbd_connect_unix (h, NULL))
NULL_STRING (null_aio_unix, nbd_aio_connect_unix (h, NULL))
NULL_STRING (null_host, nbd_connect_tcp (h, NULL, "1"))
NULL_STRING (null_port, nbd_connect_tcp (h, "127.0.0.1", NULL))
NULL_STRING (null_host_port, nbd_connect_tcp (h, NULL, NULL))
NULL_STRING (null_aio_host, nbd_aio_connect_tcp (h, NULL, "1"))
NULL_STRING (null_aio_port, nbd_aio_connect_tcp (h, "127.0.0.1", NULL))
NULL_STRING (null_addr, nbd_aio_connect (h, NULL, 16))
NULL_STRING (null_uri, nbd_connect_uri (h, NULL))
NULL_STRING (null_aio_uri, nbd_aio_connect_uri (h, NULL))
NULL_STRING (null_argv, nbd_connect_command (h, NULL))
NULL_STRING (null_aio_argv, nbd_aio_connect_command (h, NULL))
NULL_STRING (null_activation,
             nbd_connect_systemd_socket_activation (h, NULL))
NULL_STRING (null_aio_activation,
             nbd_aio_connect_systemd_socket_activation (h, NULL))

SCENARIO (null_refused_first, "parameters/the state is checked before NULL")
{
  PLAY (SIMPLE);
  CALL (nbd_set_export_name (h, NULL));
  CALL (nbd_connect_unix (h, NULL));
}

SCENARIO (null_can_meta, "parameters/NULL for the name that is asked about")
{
  PLAY_META (SERVE);
  CALL (nbd_can_meta_context (h, NULL));
}

SCENARIO (null_callback, "parameters/no callback where one is needed")
{
  PLAY_META (SERVE);
  CALL (nbd_pread_structured (h, buf, 512, 0, NO_CHUNK, 0));
  CALL (nbd_aio_pread_structured (h, buf, 512, 0, NO_CHUNK, done ("d"), 0));
  CALL (nbd_block_status (h, 512, 0, NO_EXTENT, 0));
  CALL (nbd_aio_block_status (h, 512, 0, NO_EXTENT, done ("d"), 0));
  CALL (nbd_set_debug_callback (h, NO_DEBUG));
}

SCENARIO (null_option_callback,
          "parameters/no callback where an option needs one")
{
  NEGOTIATE (SERVE);
  CALL (nbd_opt_list (h, NO_LIST));
  CALL (nbd_aio_opt_list (h, NO_LIST, done ("d")));
  CALL (nbd_opt_list_meta_context (h, NO_CONTEXT));
  CALL (nbd_aio_opt_list_meta_context (h, NO_CONTEXT, done ("d")));
}

SCENARIO (only_free, "parameters/callbacks that are nothing but a free")
{
  PLAY_META (SERVE);
  CALL (nbd_pread_structured (h, buf, 512, 0,
                              ONLY_FREE (nbd_chunk_callback, "chunk"), 0));
  CALL (nbd_block_status (h, 512, 0,
                          ONLY_FREE (nbd_extent_callback, "extent"), 0));
  CALL (nbd_aio_flush (h, ONLY_FREE (nbd_completion_callback, "flush"), 0));
  settle ();
  CALL (nbd_aio_command_completed (h, 3));
  CALL (nbd_set_debug_callback (h, ONLY_FREE (nbd_debug_callback, "debug")));
}

SCENARIO (only_free_option,
          "parameters/callbacks of options that are nothing but a free")
{
  NEGOTIATE (SERVE);
  CALL (nbd_opt_list (h, ONLY_FREE (nbd_list_callback, "list")));
  CALL (nbd_opt_list_meta_context (
          h, ONLY_FREE (nbd_context_callback, "context")));
  finish ();
  NEGOTIATE (QUIET (OPT_INFO), WAIT, SERVE);
  CALL (nbd_aio_opt_info (
          h, ONLY_FREE (nbd_completion_callback, "completion")));
}

SCENARIO (null_completion, "parameters/no completion callback")
{
  PLAY (SIMPLE, SERVE);
  CALL (nbd_aio_flush (h, NBD_NULL_COMPLETION, 0));
  settle ();
  CALL (nbd_aio_peek_command_completed (h));
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (null_write, "parameters/NULL is written")
{
  PLAY (SIMPLE, SERVE);
  CALL (nbd_pwrite (h, NULL, 512, 0, 0));
  CALL (nbd_pwrite (h, NULL, 0, 0, 0));
  CALL (nbd_aio_pwrite (h, NULL, 512, 0, done ("d"), 0));
  CALL (nbd_set_strict_mode (h, 0));
  CALL (nbd_pwrite (h, NULL, 512, 0, 0));
  CALL (nbd_pwrite (h, NULL, 512, 0, LIBNBD_CMD_FLAG_DF));
}

SCENARIO (null_read, "parameters/NULL is read into, without initialisation")
{
  PLAY_META (SERVE);
  nbd_set_pread_initialize (h, false);
  CALL (nbd_pread (h, NULL, 512, 0, 0));
  CALL (nbd_pread (h, NULL, 0, 0, 0));
  CALL (nbd_aio_pread (h, NULL, 512, 0, done ("d"), 0));
  CALL (nbd_pread_structured (h, NULL, 512, 0, chunk ("c"), 0));
  CALL (nbd_pread_structured (h, NULL, 512, 0, NO_CHUNK, 0));
  CALL (nbd_aio_pread_structured (h, NULL, 512, 0, chunk ("c"), done ("d"),
                                  0));
}

SCENARIO (null_before_flags, "parameters/NULL is refused before flags are")
{
  PLAY_META (SERVE);
  CALL (nbd_block_status (h, 512, 0, NO_EXTENT, 0x40));
  CALL (nbd_pwrite (h, NULL, 512, 0, 0x40));
}

SCENARIO (close_null, "parameters/NULL is closed")
{
  call_begin ("nbd_close (NULL)");
  nbd_close (NULL);
}

/* Numbers. */

SCENARIO (handshake_flags, "parameters/handshake flags")
{
  create ();
  for (uint32_t flags = 0; flags < 4; flags++) {
    CALL (nbd_set_handshake_flags (h, flags));
    CALL (nbd_get_handshake_flags (h));
  }
  CALL (nbd_set_handshake_flags (h, 4));
  CALL (nbd_set_handshake_flags (h, 0x80000001));
  CALL (nbd_set_handshake_flags (h, UINT32_MAX));
  CALL (nbd_get_handshake_flags (h));
}

SCENARIO (strict_flags, "parameters/strict mode's flags")
{
  create ();
  for (uint32_t flags = 0; flags <= 0x1f; flags++) {
    CALL (nbd_set_strict_mode (h, flags));
    CALL (nbd_get_strict_mode (h));
  }
  CALL (nbd_set_strict_mode (h, 0x80));
  CALL (nbd_set_strict_mode (h, 0x10000));
  CALL (nbd_set_strict_mode (h, UINT32_MAX));
  CALL (nbd_get_strict_mode (h));
}

SCENARIO (newer_strict_flags, "parameters/strict mode's flags after 1.14")
{
  create ();
  CALL (nbd_set_strict_mode (h, 0x20));
  CALL (nbd_set_strict_mode (h, 0x40));
}

SCENARIO (size_types, "parameters/types of block sizes")
{
  PLAY (SEND (GREETING), QUIET (CLIENT_FLAGS), QUIET (OPT_STRUCTURED),
        SEND (ACK (8)), QUIET (OPT_GO),
        SEND (INFO_EXPORT (7, 1048576, 0x0dfd)
              INFO_BLOCK_SIZE (7, 512, 4096, 65536) ACK (7)));
  CALL (nbd_get_block_size (h, LIBNBD_SIZE_MINIMUM));
  CALL (nbd_get_block_size (h, LIBNBD_SIZE_PREFERRED));
  CALL (nbd_get_block_size (h, LIBNBD_SIZE_MAXIMUM));
  CALL (nbd_get_block_size (h, 42));
  CALL (nbd_get_block_size (h, -1));
}

SCENARIO (newer_size_type, "parameters/a type of block size after 1.14")
{
  PLAY (SIMPLE);
  CALL (nbd_get_block_size (h, LIBNBD_SIZE_PAYLOAD));
}

SCENARIO (size_type_state, "parameters/the state is checked before an enum")
{
  create ();
  CALL (nbd_get_block_size (h, 42));
}

SCENARIO (shutdown_flags, "parameters/flags of nbd_shutdown")
{
  PLAY (SIMPLE, SERVE);
  CALL (nbd_shutdown (h, 1));
  CALL (nbd_shutdown (h, 0x20000));
  nbd_set_strict_mode (h, 0);
  CALL (nbd_shutdown (h, 1));
  CALL (nbd_shutdown (h, LIBNBD_SHUTDOWN_ABANDON_PENDING));
}

SCENARIO (disconnect_flags, "parameters/flags of nbd_aio_disconnect")
{
  PLAY (SIMPLE, SERVE);
  CALL (nbd_aio_disconnect (h, 1));
  CALL (nbd_aio_disconnect (h, 0x10000));
  nbd_set_strict_mode (h, 0);
  CALL (nbd_aio_disconnect (h, 0x10000));
  CALL (nbd_aio_disconnect (h, 1));
}

/* Each flag for each command. */

static int
sync_pread (uint32_t flags)
{
  return nbd_pread (h, buf, 16, 0, flags);
}

static int
sync_pread_structured (uint32_t flags)
{
  return nbd_pread_structured (h, buf, 16, 0, ONLY_FREE (nbd_chunk_callback,
                                                         "chunk"), flags);
}

static int
sync_pwrite (uint32_t flags)
{
  return nbd_pwrite (h, buf + 4096, 16, 0, flags);
}

static int
sync_flush (uint32_t flags)
{
  return nbd_flush (h, flags);
}

static int
sync_trim (uint32_t flags)
{
  return nbd_trim (h, 16, 0, flags);
}

static int
sync_cache (uint32_t flags)
{
  return nbd_cache (h, 16, 0, flags);
}

static int
sync_zero (uint32_t flags)
{
  return nbd_zero (h, 16, 0, flags);
}

static int
sync_block_status (uint32_t flags)
{
  return nbd_block_status (h, 16, 0, extent ("extent"), flags);
}

static void
try_flags (void *arg)
{
  int (*call) (uint32_t) = *(int (**) (uint32_t)) arg;

  for (int strict = 1; strict >= 0; strict--) {
    create ();
    nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
    PLAY (SEND (GREETING), QUIET (CLIENT_FLAGS), SERVE);
    nbd_set_strict_mode (h, strict ? 0x1f : 0);
    say ("strict mode %d", strict);
    for (int bit = 0; bit < 32; bit += bit < 6 || bit >= 14 ? 1 : 8) {
      say ("flag 0x%x", UINT32_C (1) << bit);
      call_end_int (call (UINT32_C (1) << bit));
    }
    CALL (call (UINT32_MAX));
    finish ();
  }
}

#define FLAGS_OF(function)                                      \
  static void __attribute__ ((constructor))                     \
  add_flags_of_##function (void)                                \
  {                                                             \
    static int (*call) (uint32_t) = sync_##function;            \
    scenario_add ((struct scenario) {                           \
      "parameters/every flag for nbd_" #function, NULL,         \
      try_flags, &call });                                      \
  }

FLAGS_OF (pread)
FLAGS_OF (pread_structured)
FLAGS_OF (pwrite)
FLAGS_OF (flush)
FLAGS_OF (trim)
FLAGS_OF (cache)
FLAGS_OF (zero)
FLAGS_OF (block_status)

SCENARIO (aio_flags, "parameters/flags that asynchronous calls refuse")
{
  PLAY_META (SERVE);
  CALL (nbd_aio_pread (h, buf, 512, 0, done ("d"), LIBNBD_CMD_FLAG_FUA));
  CALL (nbd_aio_pread_structured (h, buf, 512, 0, chunk ("c"), done ("d"),
                                  LIBNBD_CMD_FLAG_FUA));
  CALL (nbd_aio_pwrite (h, buf, 512, 0, done ("d"), LIBNBD_CMD_FLAG_DF));
  CALL (nbd_aio_flush (h, done ("d"), LIBNBD_CMD_FLAG_FUA));
  CALL (nbd_aio_trim (h, 512, 0, done ("d"), LIBNBD_CMD_FLAG_DF));
  CALL (nbd_aio_cache (h, 512, 0, done ("d"), LIBNBD_CMD_FLAG_FUA));
  CALL (nbd_aio_zero (h, 512, 0, done ("d"), LIBNBD_CMD_FLAG_DF));
  CALL (nbd_aio_block_status (h, 512, 0, extent ("e"), done ("d"),
                              LIBNBD_CMD_FLAG_FUA));
  status ();
}

SCENARIO (state_before_flags, "parameters/the state is checked before flags")
{
  create ();
  CALL (nbd_pread (h, buf, 512, 0, 0x40));
  CALL (nbd_shutdown (h, 1));
}

/* Errors. */

SCENARIO (no_error, "parameters/before the first error there is none")
{
  show_error ();
  create ();
  nbd_set_export_name (h, "name");
  show_error ();
}

SCENARIO (error_stays, "parameters/a success leaves the last error alone")
{
  create ();
  CALL (nbd_set_handle_name (h, NULL));
  CALL (nbd_set_handle_name (h, "name"));
  show_error ();
  nbd_close (h);
  h = NULL;
  show_error ();
}

SCENARIO (errno_is_replaced,
          "parameters/an error without a number follows one with")
{
  create ();
  CALL (nbd_set_handle_name (h, NULL));
  CONNECT (SEND ("x16:00"));
  show_error ();
}

static void *
fail_in_thread (void *unused)
{
  (void) unused;
  show_error ();
  CALL (nbd_set_export_name (h, NULL));
  return NULL;
}

SCENARIO (error_by_thread, "parameters/each thread has an error of its own")
{
  pthread_t thread;

  create ();
  CALL (nbd_pread (h, buf, 1, 0, 0));
  pthread_create (&thread, NULL, fail_in_thread, NULL);
  pthread_join (thread, NULL);
  show_error ();
}

SCENARIO (error_by_handle, "parameters/handles share the error of a thread")
{
  struct nbd_handle *other = nbd_create ();

  create ();
  CALL (nbd_set_handle_name (other, NULL));
  CALL (nbd_get_handle_name (h));
  show_error ();
  nbd_close (other);
}

/* What a buffer holds after a call that was refused. */

static void
try_read (bool initialize)
{
  PLAY (STRUCTURED, SERVE);
  nbd_set_pread_initialize (h, initialize);

  memset (buf, 0xee, 32);
  CALL (nbd_pread (h, buf, 16, 2097152, 0));
  show (buf, 32);
  memset (buf, 0xee, 32);
  CALL (nbd_pread (h, buf, 16, 0, 0x40));
  show (buf, 32);
  memset (buf, 0xee, 32);
  CALL (nbd_aio_pread (h, buf, 16, 2097152, done ("d"), 0));
  show (buf, 32);
  memset (buf, 0xee, 32);
  CALL (nbd_pread_structured (h, buf, 16, 0, NO_CHUNK, 0));
  show (buf, 32);
  memset (buf, 0xee, 32);
  CALL (nbd_aio_pread_structured (h, buf, 16, 0, NO_CHUNK, done ("d"), 0));
  show (buf, 32);
  memset (buf, 0xee, 32);
  CALL (nbd_pread (h, buf, 0, 0, 0));
  show (buf, 32);
  memset (buf, 0xee, 32);
  CALL (nbd_pread (h, buf, 16, 0, 0));
  show (buf, 32);
  nbd_shutdown (h, 0);
  memset (buf, 0xee, 32);
  CALL (nbd_pread (h, buf, 16, 0, 0));
  show (buf, 32);
  memset (buf, 0xee, 32);
  CALL (nbd_aio_pread_structured (h, buf, 16, 0, chunk ("c"), done ("d"),
                                  0));
  show (buf, 32);
}

SCENARIO (initialized, "parameters/a buffer is initialized by default")
{
  try_read (true);
}

SCENARIO (not_initialized, "parameters/a buffer is not initialized")
{
  try_read (false);
}

SCENARIO (initialized_early,
          "parameters/a buffer is initialized when the read is issued")
{
  PLAY (SIMPLE, WAIT, QUIET (READ (1, 0, 32)), SEND (REPLY (1, 0) "x16:aa"),
        WAIT, SEND ("x16:bb"), WAIT);
  memset (buf, 0xee, 32);
  CALL (nbd_aio_pread (h, buf, 32, 0, done ("d"), 0));
  show (buf, 32);
  nbd_set_pread_initialize (h, false);
  go ();
  nbd_poll (h, -1);
  go ();
  settle ();
  show (buf, 32);
}

SCENARIO (latched, "parameters/the choice to initialize is made for each read")
{
  PLAY (SIMPLE, WAIT, QUIET (READ (1, 0, 32)), SEND (REPLY (1, 5)), WAIT);
  memset (buf, 0xee, 32);
  nbd_set_pread_initialize (h, false);
  CALL (nbd_aio_pread (h, buf, 32, 0, done ("d"), 0));
  nbd_set_pread_initialize (h, true);
  go ();
  settle ();
  CALL (nbd_aio_command_completed (h, 1));
  show (buf, 32);
}
