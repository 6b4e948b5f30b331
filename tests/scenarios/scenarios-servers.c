/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Real servers: nbdkit, qemu-nbd, nbd-server. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scenario.h"

static pid_t server;

static bool
is_installed (const char *program)
{
  char command[64];

  snprintf (command, sizeof command, "command -v %s > /dev/null", program);
  return system (command) == 0;
}

void
require (const char *program)
{
  static char why[64];

  if (!is_installed (program)) {
    snprintf (why, sizeof why, "%s is not installed", program);
    skip (why);
  }
}

/* A process of our own, or the end: what is not one must never be killed. */
static pid_t
fork_server (void)
{
  pid_t pid = fork ();

  if (pid == -1) {
    perror ("fork");
    abort ();
  }
  return pid;
}

/* In the child: run the server, which does not outlive us. */
static void
become (const char *const *argv)
{
  int null = open ("/dev/null", O_WRONLY);

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  dup2 (null, 2);
  execvp (argv[0], (char *const *) argv);
  _exit (127);
}

#define MAX_ARGS 16

/* nbdkit serves the socket that is its stdin and stdout. */
int
start_nbdkit (const char *const *args)
{
  const char *argv[MAX_ARGS] = { "nbdkit", "-s" };
  int pair[2], n = 2;

  require ("nbdkit");
  while (*args)
    argv[n++] = *args++;
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
    abort ();
  server = fork_server ();
  if (server == 0) {
    dup2 (pair[1], 0);
    dup2 (pair[1], 1);
    become (argv);
  }
  close (pair[1]);
  return pair[0];
}

#define NBDKIT(...) start_nbdkit (PROGRAM (__VA_ARGS__))

static int
connect_path (const char *path)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  strcpy (addr.sun_path, path);
  if (connect (fd, (struct sockaddr *) &addr, sizeof addr) == 0)
    return fd;
  close (fd);
  return -1;
}

/* The server is handed a socket that listens, as by systemd. */
static void
serve_listener (int fd, const char *const *argv)
{
  require (argv[0]);
  server = fork_server ();
  if (server == 0) {
    char pid[16];

    snprintf (pid, sizeof pid, "%d", (int) getpid ());
    setenv ("LISTEN_PID", pid, 1);
    setenv ("LISTEN_FDS", "1", 1);
    if (fd == 3)
      fcntl (fd, F_SETFD, 0);
    else
      dup2 (fd, 3);
    become (argv);
  }
  close (fd);
}

void
serve_unix (const char *const *argv)
{
  unlink ("sock");
  serve_listener (unix_listener ("sock"), argv);
}

void
serve_tcp (const char *const *argv)
{
  serve_listener (tcp_listener (), argv);
}

static int
start_qemu_nbd (const char *const *args)
{
  const char *argv[MAX_ARGS] = { "qemu-nbd" };
  int n = 1;

  while (*args)
    argv[n++] = *args++;
  serve_unix (argv);
  return connect_path ("sock");
}

#define QEMU_NBD(...) start_qemu_nbd (PROGRAM (__VA_ARGS__))

/* nbd-server makes its own socket; it is there when it can be connected to. */
static int
start_nbd_server (const char *exports)
{
  const struct timespec moment = { .tv_nsec = 5000000 };
  const char *const argv[] = { "nbd-server", "-d", "-C", "config", NULL };
  char *dir, *path;
  FILE *fp;
  int fd;

  require ("nbd-server");
  dir = getcwd (NULL, 0);
  if (asprintf (&path, "%s/sock", dir) == -1)
    abort ();
  fp = fopen ("config", "w");
  fprintf (fp, "[generic]\nallowlist = true\nunixsock = %s\n", path);
  fprintf (fp, exports, dir);
  fclose (fp);
  free (dir);
  free (path);
  server = fork_server ();
  if (server == 0)
    become (argv);
  for (int i = 0; i < 2000; i++) {
    fd = connect_path ("sock");
    if (fd != -1)
      return fd;
    nanosleep (&moment, NULL);
  }
  say ("TIMED OUT: nbd-server does not listen");
  exit (1);
}

static void
make_disk (const char *name, size_t size)
{
  FILE *fp = fopen (name, "w");

  for (size_t i = 0; i < size; i += 512) {
    memset (buf, 1 + i / 512 % 255, 512);
    fwrite (buf, 1, 512, fp);
  }
  fclose (fp);
}

static void
connect_server (int fd)
{
  create ();
  CALL (nbd_connect_socket (h, fd));
}

/* How the server ends does not belong to the transcript. */
void
stop (void)
{
  finish ();
  if (server <= 0)
    abort ();
  kill (server, SIGKILL);
  waitpid (server, NULL, 0);
  server = 0;
}

void
exercise_within (void)
{
  facts ();
  CALL (nbd_pread (h, buf, 4096, 0, 0));
  show (buf, 4096);
  memset (buf, 0x42, 4096);
  CALL (nbd_pwrite (h, buf, 4096, 8192, 0));
  CALL (nbd_flush (h, 0));
  memset (buf, 0, 12288);
  CALL (nbd_pread (h, buf, 12288, 4096, 0));
  show (buf, 12288);
  CALL (nbd_zero (h, 4096, 8192, 0));
  CALL (nbd_trim (h, 4096, 0, 0));
  CALL (nbd_cache (h, 4096, 0, 0));
  CALL (nbd_pread (h, buf, 4096, 8192, 0));
  show (buf, 4096);
  CALL (nbd_pread (h, buf, 4096, 1048576, 0));
  CALL (nbd_pwrite (h, buf, 1, 1048575, LIBNBD_CMD_FLAG_FUA));
}

void
exercise (void)
{
  exercise_within ();
  nbd_set_strict_mode (h, 0);
  CALL (nbd_pread (h, buf, 4096, 1048576, 0));
  CALL (nbd_pwrite (h, buf, 4096, 1048576, 0));
  CALL (nbd_flush (h, 0));
  CALL (nbd_shutdown (h, 0));
}

/* A few commands at once; the order of the replies is the server's, so only
 * what came of them is shown.
 */
void
flight (void)
{
  for (int i = 0; i < 64; i++) {
    memset (buf + i * 512, 0x80 + i, 512);
    if (nbd_aio_pwrite (h, buf + i * 512, 512, i * 512, NBD_NULL_COMPLETION,
                        0) == -1)
      show_error ();
  }
  settle ();
  for (int i = 0; i < 64; i++)
    if (nbd_aio_command_completed (h, i + 1) != 1)
      show_error ();
  memset (buf, 0, 32768);
  for (int i = 0; i < 64; i++)
    if (nbd_aio_pread (h, buf + i * 512, 512, i * 512, NBD_NULL_COMPLETION,
                       0) == -1)
      show_error ();
  settle ();
  for (int i = 64; i < 128; i++)
    if (nbd_aio_command_completed (h, i + 1) != 1)
      show_error ();
  show (buf, 32768);
}

SCENARIO (nbdkit_memory, "servers/nbdkit: memory")
{
  connect_server (NBDKIT ("memory", "1M"));
  exercise ();
  stop ();
}

SCENARIO (nbdkit_flight, "servers/nbdkit: many commands")
{
  connect_server (NBDKIT ("memory", "1M"));
  flight ();
  stop ();
}

SCENARIO (nbdkit_oldstyle, "servers/nbdkit: oldstyle")
{
  connect_server (NBDKIT ("-o", "memory", "1M"));
  exercise ();
  stop ();
}

SCENARIO (nbdkit_no_structured, "servers/nbdkit: without structured replies")
{
  connect_server (NBDKIT ("--no-sr", "memory", "1M"));
  exercise ();
  stop ();
}

SCENARIO (nbdkit_read_only, "servers/nbdkit: read only")
{
  connect_server (NBDKIT ("-r", "memory", "1M"));
  exercise ();
  stop ();
}

SCENARIO (nbdkit_pattern, "servers/nbdkit: a pattern, at 8 EiB")
{
  connect_server (NBDKIT ("pattern", "9223372036854775807"));
  CALL (nbd_get_size (h));
  CALL (nbd_pread (h, buf, 32, UINT64_C (0x7ffffffffffff000), 0));
  show (buf, 32);
  stop ();
}

SCENARIO (nbdkit_null, "servers/nbdkit: null")
{
  connect_server (NBDKIT ("null", "1M"));
  exercise ();
  stop ();
}

SCENARIO (nbdkit_empty, "servers/nbdkit: no bytes")
{
  connect_server (NBDKIT ("null", "0"));
  facts ();
  CALL (nbd_pread (h, buf, 1, 0, 0));
  stop ();
}

SCENARIO (nbdkit_file, "servers/nbdkit: a file")
{
  make_disk ("disk", 1048576);
  connect_server (NBDKIT ("file", "disk"));
  exercise ();
  stop ();
}

SCENARIO (nbdkit_extents, "servers/nbdkit: extents of sparse data")
{
  create ();
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  connect_server (NBDKIT ("data", "1 @32768 2 @131072 3", "size=1M"));
  facts ();
  CALL (nbd_block_status (h, 1048576, 0, extent ("extents"), 0));
  CALL (nbd_block_status (h, 65536, 32768, extent ("extents"), 0));
  CALL (nbd_block_status (h, 1048576, 0, extent ("extents"),
                          LIBNBD_CMD_FLAG_REQ_ONE));
  CALL (nbd_pread_structured (h, buf, 65536, 0, chunk ("chunk"), 0));
  CALL (nbd_pread_structured (h, buf, 65536, 0, chunk ("chunk"),
                              LIBNBD_CMD_FLAG_DF));
  stop ();
}

SCENARIO (nbdkit_errors, "servers/nbdkit: errors of every kind")
{
  static const char *const errors[] = {
    "EPERM", "EIO", "ENOMEM", "ESHUTDOWN", "EINVAL",
  };

  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
    char arg[32];

    snprintf (arg, sizeof arg, "error=%s", errors[i]);
    connect_server (NBDKIT ("--filter=error", "memory", "1M", arg,
                            "error-rate=100%"));
    CALL (nbd_pread (h, buf, 512, 0, 0));
    CALL (nbd_pwrite (h, buf, 512, 0, 0));
    CALL (nbd_zero (h, 512, 0, 0));
    CALL (nbd_trim (h, 512, 0, 0));
    stop ();
  }
}

SCENARIO (nbdkit_block_sizes, "servers/nbdkit: block sizes")
{
  connect_server (NBDKIT ("--filter=blocksize-policy", "memory", "1M",
                          "blocksize-minimum=512", "blocksize-preferred=4k",
                          "blocksize-maximum=1M",
                          "blocksize-error-policy=error"));
  facts ();
  CALL (nbd_pread (h, buf, 100, 0, 0));
  nbd_set_strict_mode (h, 0);
  CALL (nbd_pread (h, buf, 100, 0, 0));
  CALL (nbd_pread (h, buf, 512, 512, 0));
  stop ();
}

SCENARIO (nbdkit_options, "servers/nbdkit: options")
{
  create ();
  nbd_set_opt_mode (h, true);
  nbd_set_full_info (h, true);
  connect_server (NBDKIT ("--filter=exportname", "memory", "1M",
                          "exportname=one", "exportname=two",
                          "exportdesc=fixed:text", "exportname-strict=true",
                          "default-export=one"));
  CALL (nbd_opt_list (h, list ("list")));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
  CALL (nbd_set_export_name (h, "three"));
  CALL (nbd_opt_info (h));
  CALL (nbd_set_export_name (h, ""));
  CALL (nbd_opt_info (h));
  facts ();
  CALL (nbd_set_export_name (h, "two"));
  CALL (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_opt_go (h));
  facts ();
  CALL (nbd_shutdown (h, 0));
  stop ();
}

SCENARIO (nbdkit_abort, "servers/nbdkit: abort")
{
  create ();
  nbd_set_opt_mode (h, true);
  connect_server (NBDKIT ("memory", "1M"));
  CALL (nbd_opt_abort (h));
  status ();
  stop ();
}

SCENARIO (nbdkit_fails, "servers/nbdkit: one that does not start")
{
  connect_server (NBDKIT ("memory", "no-size"));
  status ();
  stop ();
}

SCENARIO (nbdkit_newstyle, "servers/nbdkit: without fixed newstyle")
{
  connect_server (NBDKIT ("--mask-handshake=0", "memory", "1M"));
  facts ();
  CALL (nbd_pread (h, buf, 512, 0, 0));
  CALL (nbd_shutdown (h, 0));
  stop ();
}

SCENARIO (qemu_raw, "servers/qemu-nbd: a raw file")
{
  make_disk ("disk", 1048576);
  connect_server (QEMU_NBD ("-f", "raw", "disk"));
  exercise ();
  stop ();
}

SCENARIO (qemu_flight, "servers/qemu-nbd: many commands")
{
  make_disk ("disk", 1048576);
  connect_server (QEMU_NBD ("-f", "raw", "disk"));
  flight ();
  stop ();
}

SCENARIO (qemu_read_only, "servers/qemu-nbd: read only, with a name")
{
  make_disk ("disk", 1048576);
  create ();
  nbd_set_export_name (h, "name");
  nbd_set_full_info (h, true);
  connect_server (QEMU_NBD ("-r", "-f", "raw", "-x", "name", "-D", "the text",
                            "disk"));
  exercise ();
  stop ();
}

SCENARIO (qemu_wrong_name, "servers/qemu-nbd: an export that is not there")
{
  make_disk ("disk", 1048576);
  create ();
  nbd_set_export_name (h, "other");
  connect_server (QEMU_NBD ("-f", "raw", "-x", "name", "disk"));
  status ();
  stop ();
}

SCENARIO (qemu_options, "servers/qemu-nbd: options")
{
  make_disk ("disk", 1048576);
  create ();
  nbd_set_opt_mode (h, true);
  connect_server (QEMU_NBD ("-A", "-f", "raw", "-x", "name", "disk"));
  CALL (nbd_opt_list (h, list ("list")));
  CALL (nbd_opt_info (h));
  CALL (nbd_set_export_name (h, "name"));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
  CALL (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  CALL (nbd_add_meta_context (h, LIBNBD_CONTEXT_QEMU_ALLOCATION_DEPTH));
  CALL (nbd_opt_list_meta_context (h, context ("context")));
  CALL (nbd_opt_info (h));
  facts ();
  CALL (nbd_opt_go (h));
  CALL (nbd_can_meta_context (h, LIBNBD_CONTEXT_QEMU_ALLOCATION_DEPTH));
  CALL (nbd_block_status (h, 1048576, 0, extent ("extents"), 0));
  CALL (nbd_shutdown (h, 0));
  stop ();
}

SCENARIO (qemu_sparse, "servers/qemu-nbd: a sparse file")
{
  make_disk ("disk", 65536);
  if (truncate ("disk", 1048576) == -1)
    abort ();
  create ();
  nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
  connect_server (QEMU_NBD ("-f", "raw", "disk"));
  CALL (nbd_block_status (h, 1048576, 0, extent ("extents"), 0));
  CALL (nbd_pread (h, buf, 131072, 0, 0));
  show (buf + 65536, 65536);
  stop ();
}

#define DISK "[disk]\nexportname = %s/disk\nflush = true\nfua = true\n"

SCENARIO (server_file, "servers/nbd-server: a file")
{
  make_disk ("disk", 1048576);
  create ();
  nbd_set_export_name (h, "disk");
  connect_server (start_nbd_server (DISK));
  exercise ();
  stop ();
}

SCENARIO (server_flight, "servers/nbd-server: many commands, read only")
{
  make_disk ("disk", 1048576);
  create ();
  nbd_set_export_name (h, "disk");
  connect_server (start_nbd_server (DISK "readonly = true\n"));
  facts ();
  CALL (nbd_pwrite (h, buf, 512, 0, 0));
  for (int i = 0; i < 64; i++)
    if (nbd_aio_pread (h, buf + i * 512, 512, i * 512, NBD_NULL_COMPLETION,
                       0) != i + 1)
      show_error ();
  settle ();
  show (buf, 32768);
  for (int i = 0; i < 64; i++)
    if (nbd_aio_command_completed (h, i + 1) != 1)
      show_error ();
  nbd_set_strict_mode (h, 0);
  CALL (nbd_pwrite (h, buf, 512, 0, 0));
  stop ();
}

SCENARIO (server_options, "servers/nbd-server: options")
{
  make_disk ("disk", 1048576);
  create ();
  nbd_set_opt_mode (h, true);
  connect_server (start_nbd_server (DISK));
  CALL (nbd_opt_list (h, list ("list")));
  CALL (nbd_set_export_name (h, "other"));
  CALL (nbd_opt_info (h));
  CALL (nbd_set_export_name (h, "disk"));
  CALL (nbd_opt_go (h));
  facts ();
  CALL (nbd_shutdown (h, 0));
  stop ();
}
