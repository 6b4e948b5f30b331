/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* nbd_connect_command, and what becomes of its process. */

#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server.h"
#include "spawned.h"
#include "tap.h"

static const struct way ways[] = {
  { "nbd_connect_command", nbd_connect_command, false, false },
  { "nbd_aio_connect_command", nbd_aio_connect_command, true, false },
};

#define NR_WAYS (sizeof ways / sizeof ways[0])

/* A server that is no server, or ends too early, and why that is an error. */
static void
check_bad_servers (const struct way *way)
{
  static const struct {
    const char *behaviour;
    int errnum;
    const char *text;           /* of the message */
  } rows[] = {
    { "exit", 0, "recv: server disconnected unexpectedly" },
    { "hang-up", 0, "recv: server disconnected unexpectedly" },
    { "garbage", 0, NULL },
  };

  for (size_t i = 0; i < 3; i++) {
    struct nbd_handle *h = new_handle ();
    char **argv = child_argv (rows[i].behaviour, NULL);
    const char *message;
    pid_t pid;

    is_int (way_connect (way, h, argv), -1, "%s: %s is an error", way->name,
            rows[i].behaviour);
    ok (nbd_get_errno () == rows[i].errnum || nbd_get_errno () == ECONNRESET,
        "%s: %s: with the right errno", way->name, rows[i].behaviour);
    message = nbd_get_error ();
    ok (message && (rows[i].text == NULL || nbd_get_errno () == ECONNRESET ||
                    strstr (message, rows[i].text)),
        "%s: %s: it says why", way->name, rows[i].behaviour);
    if (!way->async)
      ok (message && strncmp (message, way->name, strlen (way->name)) == 0,
          "%s: %s: the message begins with the function", way->name,
          rows[i].behaviour);
    is_int (nbd_aio_is_dead (h), 1, "%s: %s: the handle is dead", way->name,
            rows[i].behaviour);
    is_int (nbd_aio_get_fd (h), -1, "%s: %s: and has no socket", way->name,
            rows[i].behaviour);
    pid = nbd_get_subprocess_pid (h);
    ok (pid > 0, "%s: %s: it still has a process", way->name,
        rows[i].behaviour);
    /* It would be given 10 seconds. */
    if (strcmp (rows[i].behaviour, "hang-up") == 0)
      is_int (nbd_kill_subprocess (h, 0), 0, "%s: which can be told to end",
              way->name);
    nbd_close (h);
    ok (is_gone (pid), "%s: %s: nbd_close collects it", way->name,
        rows[i].behaviour);
    free_list (argv);
  }
}

/* The server sees the end of its input when the connection is over, and is not
 * sent a signal as long as it ends by itself.
 */
static void
check_end_of_input (const struct way *way)
{
  for (int shut_down = 0; shut_down < 2; shut_down++) {
    char **argv = child_argv (shut_down ? "serve,note,stay" : "serve,note",
                              NULL);
    struct nbd_handle *h = started (way, argv);
    pid_t pid = nbd_get_subprocess_pid (h);
    struct messages m;
    struct report *r;

    keep_messages (h, &m);
    if (shut_down) {
      is_int (nbd_shutdown (h, 0), 0, "%s: nbd_shutdown", way->name);
      ok (report_gets (argv, "gone=1"), "%s: ends the server's input",
          way->name);
      is_int (kill (pid, 0), 0, "%s: and not the server", way->name);
      MUST (nbd_kill_subprocess (h, SIGKILL));
    }
    nbd_close (h);
    r = read_report (argv);
    ok (report_value (r, "gone", 0) != NULL, "%s: the server has seen the end "
        "of its input", way->name);
    ok (report_value (r, "signal", 0) == NULL &&
        (shut_down || strstr (m.text, "SIG") == NULL),
        "%s: nbd_close has sent no signal", way->name);
    ok (is_gone (pid), "%s: and the server is gone", way->name);
    free (m.text);
    free_report (r);
    free_list (argv);
  }
}

/* One that remains is sent SIGTERM; tests/interop/grace.c looks at the time
 * that passes before.
 */
static void
check_silent (void)
{
  char **argv = child_argv ("mute", NULL);
  struct nbd_handle *h = new_handle ();
  pid_t pid;

  is_int (nbd_aio_connect_command (h, argv), 0,
          "a server that says nothing: it is started");
  is_int (nbd_aio_is_connecting (h), 1, "it is waited for");
  is_int (nbd_poll (h, 0), 0, "nothing happens");
  is_int (nbd_aio_get_direction (h), LIBNBD_AIO_DIRECTION_READ,
          "there is something to read from");
  ok (nbd_aio_get_fd (h) >= 0, "there is a descriptor");
  pid = nbd_get_subprocess_pid (h);
  ok (pid > 0 && kill (pid, 0) == 0, "and a process");
  nbd_close (h);
  ok (is_gone (pid), "it ends when the handle is closed");
  free_list (argv);
}

/* The order of events in nbd_close: a command that is pending completes, the
 * server ends, and the callbacks are released.
 */
struct order {
  pid_t pid;
  int completed, released;      /* 1: the server was there; 2: it was not */
};

static int
note_completed (void *user_data, int *error)
{
  struct order *o = user_data;

  o->completed = *error == ENOTCONN ? 1 + is_gone (o->pid) : -1;
  return 0;
}

static void
note_released (void *user_data)
{
  struct order *o = user_data;

  o->released = 1 + is_gone (o->pid);
}

static void
check_order (const struct way *way)
{
  char **argv = child_argv ("serve,frozen", NULL), buf[512];
  struct nbd_handle *h = started (way, argv);
  struct order o = { .pid = nbd_get_subprocess_pid (h) };

  MUST (nbd_aio_pread (h, buf, sizeof buf, 0, (nbd_completion_callback) {
        .callback = note_completed, .user_data = &o, .free = note_released },
      0));
  nbd_close (h);
  is_int (o.completed, 1, "%s: nbd_close completes what is pending first",
          way->name);
  is_int (o.released, 2, "%s: then waits for the server, then releases the "
          "callbacks", way->name);
  free_list (argv);
}

/* Real servers. */

static void
check_server (const struct way *way, const char *what, const char *export_name,
              char **argv)
{
  struct nbd_handle *h = new_handle (), *h2 = new_handle ();
  char **copy = copy_list (argv);
  pid_t pid;

  MUST (nbd_set_export_name (h, export_name));
  if (!is_int (way_connect (way, h, copy), 0, "%s: %s is connected to",
               way->name, what))
    note ("%s", nbd_get_error ());
  free_list (copy);
  is_int (nbd_get_size (h), 1 << 20, "%s: %s has an export", way->name, what);
  ok (disk_works (h), "%s: %s: data is written and read", way->name, what);
  pid = nbd_get_subprocess_pid (h);
  ok (pid > 0 && kill (pid, 0) == 0, "%s: %s: it is a process", way->name,
      what);

  /* Another handle runs another server. */
  MUST (nbd_set_export_name (h2, export_name));
  is_int (way_connect (way, h2, argv), 0, "%s: %s: a second time", way->name,
          what);
  ok (nbd_get_subprocess_pid (h2) != pid, "%s: %s: another process", way->name,
      what);
  nbd_close (h2);
  ok (disk_works (h), "%s: %s: closing that one is of no matter", way->name,
      what);
  is_int (nbd_shutdown (h, 0), 0, "%s: %s is left in peace", way->name, what);
  nbd_close (h);
  ok (is_gone (pid), "%s: %s is gone", way->name, what);
}

static void
check_servers (const struct way *way)
{
  char *disk = temp_path ("disk image"), *config = temp_path ("conf");
  char *pid_file = temp_path ("pid");
  char *nbdkit[] = { (char *) "nbdkit", (char *) "-s", (char *) "memory",
                     (char *) "1M", NULL };
  char *nbdkit_file[] = { (char *) "nbdkit", (char *) "-s", (char *) "--",
                          (char *) "file", disk, NULL };
  char *nbd_server[] = { (char *) "nbd-server", (char *) "-d", (char *) "-C",
                         config, (char *) "-p", pid_file, NULL };
  char *shell[] = { (char *) "sh", (char *) "-c",
                    (char *) "exec nbdkit -s memory \"$1\"", (char *) "sh",
                    (char *) "1M", NULL };
  char **child = child_argv ("exec", "nbdkit", "-s", "memory", "1M", NULL);
  FILE *fp;

  MUST_BE ((fp = fopen (disk, "we")) != NULL);
  MUST (ftruncate (fileno (fp), 1 << 20));
  MUST_BE (fclose (fp) == 0);
  MUST_BE ((fp = fopen (config, "we")) != NULL);
  /* Port 0: the standard input is the client. */
  fprintf (fp, "[generic]\nport = 0\n[disk]\nexportname = %s\n", disk);
  MUST_BE (fclose (fp) == 0);
  check_server (way, "nbdkit", "", nbdkit);
  check_server (way, "nbdkit with a file", "", nbdkit_file);
  check_server (way, "nbd-server", "disk", nbd_server);
  check_server (way, "nbdkit behind a shell", "", shell);
  check_server (way, "nbdkit behind another program", "", child);
  unlink (disk);
  unlink (config);
  unlink (pid_file);
  free (disk);
  free (config);
  free (pid_file);
  free_list (child);
}

/* What a server refuses, or says when its parameters are wrong. */
static void
check_server_errors (void)
{
  char *wrong[] = { (char *) "nbdkit", (char *) "-s",
                    (char *) "--no-such-option", NULL };
  char *config = temp_path ("conf");
  char *nbd_server[] = { (char *) "nbd-server", (char *) "-d", (char *) "-C",
                         config, (char *) "-p", temp_path ("pid"), NULL };
  struct nbd_handle *h = new_handle ();
  FILE *fp;

  /* Some versions print advice, where only NBD should be. */
  is_int (nbd_connect_command (h, wrong), -1, "wrong parameters are an error");
  is_int (nbd_get_errno (), 0, "wrong parameters: errno 0");
  ok (strcmp (nbd_get_error (), "nbd_connect_command: handshake: server did "
              "not send expected NBD magic") == 0 ||
      strcmp (nbd_get_error (), "nbd_connect_command: recv: server "
              "disconnected unexpectedly") == 0,
      "wrong parameters: the message says what happened");
  is_int (nbd_aio_is_dead (h), 1, "wrong parameters: the handle is dead");
  nbd_close (h);

  MUST_BE ((fp = fopen (config, "we")) != NULL);
  fprintf (fp, "[generic]\nport = 0\n[disk]\nexportname = %s\n", config);
  MUST_BE (fclose (fp) == 0);
  h = new_handle ();
  MUST (nbd_set_export_name (h, "other"));
  is_int (nbd_connect_command (h, nbd_server), -1,
          "an export that does not exist is an error");
  is_int (nbd_get_errno (), ENOENT, "an export that does not exist: ENOENT");
  is_int (nbd_aio_is_dead (h), 1,
          "an export that does not exist: the handle is dead");
  nbd_close (h);
  ok (no_children (), "none of them is left");
  unlink (nbd_server[5]);
  free (nbd_server[5]);
  unlink (config);
  free (config);

  /* Negotiating by hand. */
  {
    char *nbdkit[] = { (char *) "nbdkit", (char *) "-s", (char *) "memory",
                       (char *) "1M", NULL };

    h = new_handle ();
    MUST (nbd_set_opt_mode (h, true));
    is_int (nbd_connect_command (h, nbdkit), 0, "in opt mode it is connected");
    is_int (nbd_aio_is_negotiating (h), 1, "and is negotiating");
    is_int (nbd_opt_go (h), 0, "then goes on");
    ok (disk_works (h), "and has data");
    nbd_close (h);
    h = new_handle ();
    MUST (nbd_set_opt_mode (h, true));
    MUST (nbd_connect_command (h, nbdkit));
    is_int (nbd_opt_abort (h), 0, "or is aborted");
    nbd_close (h);
    ok (no_children (), "which leaves no server");
  }
}

int
main (void)
{
  server_require ("nbdkit", "--version", NULL);
  server_require ("nbd-server", "-V", NULL);
  alarm (170);
  tap_begin ();
  check_spawned (ways, NR_WAYS);
  for (size_t i = 0; i < NR_WAYS; i++) {
    check_bad_servers (&ways[i]);
    check_end_of_input (&ways[i]);
    check_order (&ways[i]);
    check_servers (&ways[i]);
  }
  check_silent ();
  check_server_errors ();
  return tap_end ();
}
