/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Servers that the library starts, and vsock. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenario.h"

static void
await_connection (void)
{
  while (nbd_aio_is_connecting (h))
    if (nbd_poll (h, -1) == -1) {
      show_error ();
      break;
    }
  status ();
}

/* Both forms of the call, each with a handle of its own.  Whether the end of a
 * program is seen by the asynchronous call itself or later is chance.
 */
static void
try_command (char **argv)
{
  create ();
  CALL (nbd_connect_command (h, argv));
  CALL (nbd_get_uri (h));
  finish ();
  create ();
  call_begin ("nbd_aio_connect_command (h, argv), to the end");
  if (nbd_aio_connect_command (h, argv) == 0)
    while (nbd_aio_is_connecting (h) && nbd_poll (h, -1) != -1)
      ;
  status ();
}

static void
try_activation (char **argv)
{
  create ();
  CALL (nbd_connect_systemd_socket_activation (h, argv));
  finish ();
}

/* A file that is executable, or not. */
static void
make_program (const char *name, const char *text, int mode)
{
  FILE *fp = fopen (name, "w");

  fputs (text, fp);
  fclose (fp);
  chmod (name, mode);
}

/* Commands. */

SCENARIO (command, "command/a server")
{
  create ();
  CALL (nbd_connect_command (h, SERVER ()));
  status ();
  facts ();
  CALL (nbd_pread (h, buf, 16, 0, 0));
  show (buf, 16);
  CALL (nbd_get_uri (h));
  CALL (nbd_shutdown (h, 0));
  finish ();
  show_server ();
}

SCENARIO (command_closed, "command/closed without a goodbye")
{
  create ();
  CALL (nbd_connect_command (h, SERVER ()));
  finish ();
  show_server ();
}

SCENARIO (command_aio, "command/asynchronously")
{
  create ();
  CALL (nbd_aio_connect_command (h, SERVER ()));
  CALL (nbd_get_uri (h));
  await_connection ();
  CALL (nbd_flush (h, 0));
  finish ();
  show_server ();
}

SCENARIO (command_pending, "command/closed while it connects")
{
  setenv ("SILENT", "1", 1);
  create ();
  CALL (nbd_aio_connect_command (h, SERVER ()));
  status ();
  finish ();
  show_server ();
}

SCENARIO (command_options, "command/in opt mode")
{
  create ();
  nbd_set_opt_mode (h, true);
  nbd_set_export_name (h, "disk");
  CALL (nbd_connect_command (h, SERVER ()));
  status ();
  CALL (nbd_opt_list (h, list ("list")));
  CALL (nbd_opt_abort (h));
  finish ();
  show_server ();
}

SCENARIO (command_parameters, "command/parameters are passed as they are")
{
  create ();
  CALL (nbd_connect_command (h, SERVER ("two words", "", "it's", "\"quoted\"",
                                        "$HOME", "*", "-x", "\303\251")));
  finish ();
  show_server ();
}

SCENARIO (command_environment, "command/the environment is passed on")
{
  setenv ("SCENARIO", "a value", 1);
  setenv ("LISTEN_PID", "1", 1);
  setenv ("LISTEN_FDS", "7", 1);
  create ();
  CALL (nbd_connect_command (h, SERVER ()));
  finish ();
  show_server ();
}

/* What the program does with signals is not for the server. */
static void
set_signals (void)
{
  sigset_t mask;

  sigemptyset (&mask);
  sigaddset (&mask, SIGUSR1);
  sigprocmask (SIG_BLOCK, &mask, NULL);
  signal (SIGPIPE, SIG_IGN);
  signal (SIGUSR2, SIG_IGN);
}

SCENARIO (command_signals, "command/signals are passed on, but SIGPIPE")
{
  set_signals ();
  create ();
  CALL (nbd_connect_command (h, SERVER ()));
  finish ();
  show_server ();
}

SCENARIO (command_handlers, "command/handlers are not passed on")
{
  catch_signals ();
  create ();
  CALL (nbd_connect_command (h, SERVER ()));
  finish ();
  show_server ();
}

SCENARIO (command_two, "command/two servers know nothing of each other")
{
  struct nbd_handle *first;

  create ();
  CALL (nbd_connect_command (h, SERVER ()));
  first = h;
  h = NULL;
  create ();
  CALL (nbd_connect_command (h, SERVER ()));
  finish ();
  show_server ();
  h = first;
  CALL (nbd_flush (h, 0));
  finish ();
  show_server ();
}

SCENARIO (command_path, "command/a program in PATH")
{
  mkdir ("first", 0700);
  mkdir ("second", 0700);
  symlink ("/proc/self/exe", "second/a-server");
  setenv ("PATH", "first:second", 1);
  create ();
  CALL (nbd_connect_command (h, ARGV ("a-server", "--server", "serve", "x")));
  finish ();
  show_server ();
}

SCENARIO (command_relative, "command/a program in this folder is not in PATH")
{
  make_program ("here", "#!/bin/sh\necho started >&2\n", 0700);
  setenv ("PATH", "/bin:/usr/bin", 1);
  create ();
  CALL (nbd_connect_command (h, ARGV ("./here")));
  finish ();
  try_command (ARGV ("here"));
}

SCENARIO (command_script, "command/a script without an interpreter")
{
  make_program ("script", "echo started with \"$1\" >&2\n", 0700);
  try_command (ARGV ("./script", "a parameter"));
}

SCENARIO (command_missing, "command/failure: no such file")
{
  try_command (ARGV ("/nonexistent/program"));
}

SCENARIO (command_not_found, "command/failure: not in PATH")
{
  try_command (ARGV ("no-such-program", "-x"));
}

SCENARIO (command_denied, "command/failure: not executable")
{
  make_program ("program", "#!/bin/sh\n", 0600);
  try_command (ARGV ("./program"));
}

SCENARIO (command_folder, "command/failure: a folder")
{
  mkdir ("folder", 0700);
  try_command (ARGV ("./folder"));
}

SCENARIO (command_below_file, "command/failure: below a file")
{
  make_program ("program", "", 0600);
  try_command (ARGV ("./program/x"));
}

SCENARIO (command_interpreter, "command/failure: no interpreter")
{
  make_program ("program", "#!/nonexistent/sh\n", 0700);
  try_command (ARGV ("./program"));
}

SCENARIO (command_empty_name, "command/failure: an empty name")
{
  try_command (ARGV (""));
}

SCENARIO (command_again, "command/failure: and then another")
{
  create ();
  CALL (nbd_connect_command (h, ARGV ("/nonexistent/program")));
  status ();
  CALL (nbd_connect_command (h, SERVER ()));
}

SCENARIO (command_no_argv, "command/refused: no parameters at all")
{
  try_command (NULL);
}

SCENARIO (command_empty_argv, "command/refused: an empty list")
{
  try_command (ARGV ());
  CALL (nbd_kill_subprocess (h, 0));
}

SCENARIO (command_retry, "command/refused: and then a good one")
{
  create ();
  CALL (nbd_connect_command (h, ARGV ()));
  status ();
  CALL (nbd_connect_command (h, SERVER ()));
  status ();
}

SCENARIO (command_true, "command/ends at once")
{
  try_command (ARGV ("true"));
}

SCENARIO (command_false, "command/ends with a failure")
{
  try_command (ARGV ("sh", "-c", "exit 3"));
}

SCENARIO (command_killed, "command/ends by a signal")
{
  try_command (ARGV ("sh", "-c", "kill -9 $$"));
}

SCENARIO (command_garbage, "command/is no server")
{
  try_command (ARGV ("sh", "-c", "echo This is not NBD, is it?; read x"));
}

SCENARIO (command_short, "command/is no server, and brief")
{
  try_command (ARGV ("sh", "-c", "echo NBD"));
}

SCENARIO (command_closes, "command/closes its descriptors and lives on")
{
  try_command (ARGV ("sh", "-c", "exec 0<&- 1>&-; sleep 0.1"));
}

SCENARIO (command_stderr, "command/complains")
{
  try_command (ARGV ("sh", "-c", "echo cannot open the disk >&2; exit 1"));
}

SCENARIO (command_nbdkit, "command/nbdkit")
{
  require ("nbdkit");
  create ();
  CALL (nbd_connect_command (h, ARGV ("nbdkit", "-s", "--exit-with-parent",
                                      "memory", "1M")));
  CALL (nbd_get_size (h));
  CALL (nbd_pwrite (h, "content", 7, 0, 0));
  CALL (nbd_pread (h, buf, 7, 0, 0));
  show (buf, 7);
  CALL (nbd_shutdown (h, 0));
}

/* Signals. */

SCENARIO (kill_none, "kill/there is no subprocess")
{
  create ();
  CALL (nbd_kill_subprocess (h, SIGTERM));
  CALL (nbd_kill_subprocess (h, 0));
  CALL (nbd_kill_subprocess (h, -1));
  CALL (nbd_kill_subprocess (h, 9999));
  PLAY (SIMPLE, SERVE);
  CALL (nbd_kill_subprocess (h, SIGTERM));
}

/* With a server, which serves on. */
static void
try_signal (int signum)
{
  create ();
  nbd_connect_command (h, SERVER ());
  CALL (nbd_kill_subprocess (h, signum));
  CALL (nbd_flush (h, 0));
  finish ();
  show_server ();
}

SCENARIO (kill_zero, "kill/0 is SIGTERM")
{
  try_signal (0);
}

SCENARIO (kill_term, "kill/SIGTERM")
{
  try_signal (SIGTERM);
}

SCENARIO (kill_usr1, "kill/SIGUSR1")
{
  try_signal (SIGUSR1);
}

SCENARIO (kill_negative, "kill/a negative number")
{
  try_signal (-1);
}

SCENARIO (kill_large, "kill/a number that is no signal's")
{
  try_signal (9999);
}

SCENARIO (kill_minimum, "kill/the smallest number")
{
  try_signal (INT32_MIN);
}

/* Its end of the socket closes. */
static void
await_end (void)
{
  poll (&(struct pollfd) { .fd = nbd_aio_get_fd (h), .events = POLLIN }, 1,
        -1);
}

/* The server is gone. */
static void
kill_server (void)
{
  create ();
  nbd_connect_command (h, SERVER ());
  CALL (nbd_kill_subprocess (h, SIGKILL));
  await_end ();
}

SCENARIO (kill_kill, "kill/SIGKILL")
{
  kill_server ();
  CALL (nbd_flush (h, 0));
  status ();
}

SCENARIO (kill_poll, "kill/SIGKILL is noticed by polling")
{
  kill_server ();
  CALL (nbd_poll (h, -1));
  status ();
}

SCENARIO (kill_again, "kill/one that has ended")
{
  kill_server ();
  CALL (nbd_kill_subprocess (h, SIGKILL));
  CALL (nbd_kill_subprocess (h, 0));
  nbd_poll (h, -1);
  CALL (nbd_kill_subprocess (h, 0));
}

SCENARIO (kill_connecting, "kill/while it connects")
{
  setenv ("SILENT", "1", 1);
  create ();
  nbd_aio_connect_command (h, SERVER ());
  CALL (nbd_kill_subprocess (h, SIGKILL));
  await_connection ();
}

SCENARIO (kill_shut, "kill/after nbd_shutdown")
{
  create ();
  nbd_connect_command (h, SERVER ());
  CALL (nbd_shutdown (h, 0));
  CALL (nbd_kill_subprocess (h, SIGKILL));
}

SCENARIO (kill_failed, "kill/after a program that is not there")
{
  create ();
  nbd_connect_command (h, ARGV ("/nonexistent/program"));
  CALL (nbd_kill_subprocess (h, SIGKILL) == 0 ? 0 : -1);
}

/* Socket activation. */

/* Whether the socket is gone with the handle. */
static void
show_socket (void)
{
  char path[256];
  FILE *fp = fopen ("socket.path", "r");

  if (fp == NULL || fgets (path, sizeof path, fp) == NULL) {
    say ("there was no socket");
    return;
  }
  fclose (fp);
  remove ("socket.path");
  path[strcspn (path, "\n")] = '\0';
  say ("the socket is %s", access (path, F_OK) == 0 ? "still there" : "gone");
  *strrchr (path, '/') = '\0';
  say ("its folder is %s", access (path, F_OK) == 0 ? "still there" : "gone");
}

SCENARIO (activation, "activation/a server")
{
  create ();
  CALL (nbd_connect_systemd_socket_activation (h, ACTIVATED ()));
  status ();
  facts ();
  CALL (nbd_pread (h, buf, 16, 0, 0));
  show (buf, 16);
  CALL (nbd_get_uri (h) ? 0 : -1);
  CALL (nbd_shutdown (h, 0));
  finish ();
  show_server ();
  show_socket ();
}

SCENARIO (activation_aio, "activation/asynchronously")
{
  create ();
  CALL (nbd_aio_connect_systemd_socket_activation (h, ACTIVATED ("x y")));
  await_connection ();
  CALL (nbd_flush (h, 0));
  CALL (nbd_shutdown (h, 0));
  finish ();
  show_server ();
  show_socket ();
}

SCENARIO (activation_options, "activation/in opt mode")
{
  create ();
  nbd_set_opt_mode (h, true);
  CALL (nbd_connect_systemd_socket_activation (h, ACTIVATED ()));
  CALL (nbd_opt_list (h, list ("list")));
  CALL (nbd_opt_abort (h));
  finish ();
  show_server ();
}

SCENARIO (activation_environment,
          "activation/variables of another activation are not passed on")
{
  setenv ("SCENARIO", "a value", 1);
  setenv ("LISTEN_PID", "1", 1);
  setenv ("LISTEN_FDS", "7", 1);
  create ();
  CALL (nbd_connect_systemd_socket_activation (h, ACTIVATED ()));
  CALL (nbd_shutdown (h, 0));
  finish ();
  show_server ();
}

SCENARIO (activation_names, "activation/the names of another activation")
{
  setenv ("LISTEN_FDNAMES", "other", 1);
  create ();
  CALL (nbd_connect_systemd_socket_activation (h, ACTIVATED ()));
  CALL (nbd_shutdown (h, 0));
  finish ();
  show_server ();
}

SCENARIO (activation_signals, "activation/signals are passed on, but SIGPIPE")
{
  set_signals ();
  create ();
  CALL (nbd_connect_systemd_socket_activation (h, ACTIVATED ()));
  CALL (nbd_shutdown (h, 0));
  finish ();
  show_server ();
}

SCENARIO (activation_kill, "activation/killed")
{
  create ();
  nbd_connect_systemd_socket_activation (h, ACTIVATED ());
  CALL (nbd_kill_subprocess (h, SIGKILL));
  await_end ();
  CALL (nbd_poll (h, -1));
  status ();
  finish ();
  show_socket ();
}

SCENARIO (activation_unaccepted, "activation/closed before it is accepted")
{
  create ();
  CALL (nbd_aio_connect_systemd_socket_activation (
          h, ARGV ("sh", "-c", "exec sleep 60")));
  while (nbd_aio_get_direction (h) == LIBNBD_AIO_DIRECTION_WRITE)
    nbd_poll (h, -1);
  status ();
  CALL (nbd_kill_subprocess (h, SIGKILL));
  await_connection ();
}

SCENARIO (activation_missing, "activation/failure: no such file")
{
  try_activation (ARGV ("/nonexistent/program"));
}

SCENARIO (activation_not_found, "activation/failure: not in PATH")
{
  try_activation (ARGV ("no-such-program"));
}

SCENARIO (activation_denied, "activation/failure: not executable")
{
  make_program ("program", "#!/bin/sh\n", 0600);
  try_activation (ARGV ("./program"));
}

/* Whether it has ended when it is connected to is chance, and with 1.14 what
 * becomes of the handle is, too.
 */
SCENARIO (activation_ends, "activation/ends at once")
{
  create ();
  say ("%d", nbd_connect_systemd_socket_activation (
         h, ARGV ("sh", "-c", "exit 0")));
  nbd_close (h);
  h = NULL;
}

SCENARIO (activation_no_argv, "activation/refused: no parameters at all")
{
  create ();
  CALL (nbd_connect_systemd_socket_activation (h, NULL));
  CALL (nbd_aio_connect_systemd_socket_activation (h, NULL));
}

SCENARIO (activation_empty_argv, "activation/refused: an empty list")
{
  create ();
  CALL (nbd_connect_systemd_socket_activation (h, ARGV ()));
  CALL (nbd_aio_connect_systemd_socket_activation (h, ARGV ()));
}

SCENARIO (activation_retry, "activation/refused: and then a good one")
{
  create ();
  CALL (nbd_connect_systemd_socket_activation (h, ARGV ()));
  CALL (nbd_connect_systemd_socket_activation (h, ACTIVATED ()));
  CALL (nbd_shutdown (h, 0));
  finish ();
  show_server ();
}

SCENARIO (activation_qemu, "activation/qemu-nbd")
{
  require ("qemu-nbd");
  make_program ("disk", "content", 0600);
  truncate ("disk", 1 << 20);
  create ();
  CALL (nbd_connect_systemd_socket_activation (
          h, ARGV ("qemu-nbd", "-f", "raw", "disk")));
  CALL (nbd_get_size (h));
  CALL (nbd_pread (h, buf, 7, 0, 0));
  show (buf, 7);
  CALL (nbd_shutdown (h, 0));
}

/* vsock: no kernel needs to have it, since the address is all that is used. */

#define SERVING SEND (GREETING), QUIET (CLIENT_FLAGS), SERVE

SCENARIO (vsock, "vsock/connected")
{
  DIVERT (SERVING);
  CALL (nbd_connect_vsock (h, 3, 10809));
  CALL (nbd_get_uri (h));
  CALL (nbd_flush (h, 0));
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (vsock_aio, "vsock/asynchronously")
{
  DIVERT (SERVING);
  CALL (nbd_aio_connect_vsock (h, 3, 10809));
  CALL (nbd_get_uri (h));
  await_connection ();
  CALL (nbd_get_uri (h));
}

SCENARIO (vsock_options, "vsock/in opt mode")
{
  DIVERT (SERVING);
  nbd_set_opt_mode (h, true);
  nbd_set_export_name (h, "disk");
  CALL (nbd_connect_vsock (h, 2, 1));
  CALL (nbd_get_uri (h));
}

static void
try_vsock (uint32_t cid, uint32_t vsock_port)
{
  DIVERT (SERVING);
  CALL (nbd_connect_vsock (h, cid, vsock_port));
  CALL (nbd_get_uri (h));
}

SCENARIO (vsock_zero, "vsock/zeroes")
{
  try_vsock (0, 0);
}

SCENARIO (vsock_large, "vsock/the largest numbers")
{
  try_vsock (UINT32_MAX, UINT32_MAX);
}

SCENARIO (vsock_middle, "vsock/numbers of 31 bits and one")
{
  try_vsock (0x7fffffff, 0x80000000);
}

static void
try_vsock_error (int errnum)
{
  divert_to_error (errnum);
  CALL (nbd_connect_vsock (h, 3, 10809));
  status ();
  CALL (nbd_get_uri (h));
  finish ();
  create ();
  CALL (nbd_aio_connect_vsock (h, 3, 10809));
  CALL (nbd_get_uri (h));
}

#define VSOCK_ERROR(errnum)                             \
  SCENARIO (vsock_##errnum, "vsock/" #errnum)           \
  {                                                     \
    try_vsock_error (errnum);                           \
  }

VSOCK_ERROR (ENODEV)
VSOCK_ERROR (ECONNRESET)
VSOCK_ERROR (ETIMEDOUT)
VSOCK_ERROR (EPERM)
VSOCK_ERROR (EINVAL)

SCENARIO (vsock_again, "vsock/again after a failure")
{
  divert_to_error (ECONNRESET);
  CALL (nbd_connect_vsock (h, 3, 1));
  DIVERT (SERVING);
  CALL (nbd_connect_vsock (h, 3, 2));
}

SCENARIO (vsock_garbage, "vsock/another protocol")
{
  DIVERT (SEND ("'SSH-2.0-OpenSSH' 0d 0a"), WAIT);
  CALL (nbd_connect_vsock (h, 3, 22));
  CALL (nbd_get_uri (h));
}
