/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program with a timer whose handler interrupts system calls: no call of the
 * library fails for it or returns too early.
 */

#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pki.h"
#include "server.h"
#include "tap.h"

static volatile sig_atomic_t signals;

static void
count_signal (int sig)
{
  (void) sig;
  signals++;
}

/* Five times in a millisecond, without SA_RESTART. */
static timer_t
start_timer (void)
{
  struct sigaction action = { .sa_handler = count_signal };
  struct sigevent event = {
    .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1,
  };
  const struct timespec period = { .tv_nsec = 200000 };
  const struct itimerspec spec = { period, period };
  timer_t timer;

  MUST (sigaction (SIGUSR1, &action, NULL));
  MUST (timer_create (CLOCK_MONOTONIC, &event, &timer));
  MUST (timer_settime (timer, 0, &spec, NULL));
  return timer;
}

static int64_t
milliseconds (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
check_poll (struct nbd_handle *h)
{
  int64_t before = milliseconds ();

  signals = 0;
  is_int (nbd_poll (h, 100), 0, "nbd_poll times out");
  ok (milliseconds () - before >= 100, "not before its time");
  ok (signals > 0, "although signals arrived");
  before = milliseconds ();
  is_int (nbd_poll2 (h, -1, 100), 0, "nbd_poll2 times out");
  ok (milliseconds () - before >= 100, "not before its time, either");
}

static void
check_calls (struct nbd_handle *h)
{
  static uint8_t buf[4 << 20];
  int64_t cookie;
  int r;

  signals = 0;
  is_int (nbd_pread (h, buf, 512, 0, 0), 0, "a slow read succeeds");
  ok (signals > 0, "although signals arrived");
  signals = 0;
  memset (buf, 0x5a, sizeof buf);
  is_int (nbd_pwrite (h, buf, sizeof buf, 0, 0), 0, "a large write succeeds");
  ok (signals > 0, "although signals arrived");
  is_int (nbd_flush (h, 0), 0, "so does what follows it");
  cookie = nbd_aio_pread (h, buf, 512, 0, NBD_NULL_COMPLETION, 0);
  MUST (cookie);
  while ((r = nbd_aio_command_completed (h, cookie)) == 0)
    MUST (nbd_poll (h, -1));
  is_int (r, 1, "nbd_poll without a limit goes on until there is a reply");
}

/* Every kind of call that waits, with a server that takes its time for each.
 */

#define DISK_SIZE ((size_t) 8 << 20)
#define NR_SCRIPTS 8

static char *disk, *scripts[NR_SCRIPTS];
static struct server *slow_unix, *slow_tcp, *slow_tls;

static void
write_scripts (void)
{
  static const char slow[] = "sleep 0.05;";

  MUST (asprintf (&scripts[0], "preconnect=%s", slow));
  MUST (asprintf (&scripts[1], "list_exports=%s "
                  "echo NAMES; echo one; echo two", slow));
  MUST (asprintf (&scripts[2], "open=%s echo handle", slow));
  MUST (asprintf (&scripts[3], "get_size=echo %zu", DISK_SIZE));
  MUST (asprintf (&scripts[4], "pread=%s dd if=%s skip=$4 count=$3 "
                  "iflag=skip_bytes,count_bytes", slow, disk));
  MUST (asprintf (&scripts[5], "pwrite=%s dd of=%s seek=$4 conv=notrunc "
                  "oflag=seek_bytes", slow, disk));
  MUST (asprintf (&scripts[6], "flush=%s", slow));
  MUST (asprintf (&scripts[7], "extents=%s "
                  "echo 0 4M; echo 4M 4M hole,zero", slow));
}

/* Its arguments, behind those of the program. */
#define SCRIPTS \
  "eval", scripts[0], scripts[1], scripts[2], scripts[3], scripts[4], \
  scripts[5], scripts[6], scripts[7], NULL

static int
connect_unix (struct nbd_handle *h)
{
  return nbd_connect_unix (h, server_path (slow_unix));
}

static int
connect_tcp (struct nbd_handle *h)
{
  return nbd_connect_tcp (h, "127.0.0.1", server_port (slow_tcp));
}

static int
connect_tls (struct nbd_handle *h)
{
  MUST (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  MUST (nbd_set_tls_psk_file (h, pki_path ("keys.psk")));
  MUST (nbd_set_tls_username (h, psk_users[0]));
  return nbd_connect_unix (h, server_path (slow_tls));
}

/* The program, but not the shell, is slow to begin and to end. */
static int
connect_command (struct nbd_handle *h)
{
  const char *const argv[] = {
    "sh", "-c", "sleep 0.05; nbdkit -s \"$@\"; sleep 0.05", "sh", SCRIPTS
  };

  return nbd_connect_command (h, (char **) argv);
}

static int
connect_activation (struct nbd_handle *h)
{
  const char *const argv[] = { "nbdkit", SCRIPTS };

  return nbd_connect_systemd_socket_activation (h, (char **) argv);
}

static const struct way {
  const char *name;
  int (*connect) (struct nbd_handle *h);
  bool tls;
} ways[] = {
  { "nbd_connect_unix", connect_unix, false },
  { "nbd_connect_tcp", connect_tcp, false },
  { "TLS", connect_tls, true },
  { "nbd_connect_command", connect_command, false },
  { "nbd_connect_systemd_socket_activation", connect_activation, false },
};

/* Two cases, and the next call may begin. */
static void
is_done (bool good, const struct way *way, const char *what)
{
  const bool interrupted = signals > 0;

  if (!ok (good, "%s: %s", way->name, what))
    note ("%s", nbd_get_error () ? nbd_get_error () : "no error");
  ok (interrupted, "%s: while signals arrive", way->name);
  signals = 0;
}

static int
count_name (void *opaque, const char *name, const char *description)
{
  (void) description;
  *(unsigned *) opaque += strcmp (name, "one") == 0 ||
    strcmp (name, "two") == 0;
  return 0;
}

static int
check_extents (void *opaque, const char *context, uint64_t offset,
               uint32_t *entries, size_t nr_entries, int *error)
{
  static const uint32_t want[] = {
    4 << 20, 0, 4 << 20, LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO
  };

  (void) context;
  *(bool *) opaque = offset == 0 && nr_entries == 4 && *error == 0 &&
    memcmp (entries, want, sizeof want) == 0;
  return 0;
}

static void
check_way (const struct way *way)
{
  static uint8_t data[DISK_SIZE], buffer[DISK_SIZE];
  static uint64_t seed = 11;
  struct nbd_handle *h = new_handle ();
  bool right = false;
  unsigned names = 0;
  int64_t cookie;
  int r;

  fill_random (&seed, data, DISK_SIZE);
  MUST (nbd_set_opt_mode (h, true));
  MUST (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  signals = 0;
  is_done (way->connect (h) == 0, way, "the connection is made");
  is_done (nbd_opt_list (h, (nbd_list_callback) { .callback = count_name,
                                                  .user_data = &names }) == 2
           && names == 2, way, "exports are listed");
  is_done (nbd_opt_info (h) == 0, way, "information is given");
  is_done (nbd_opt_go (h) == 0, way, "the export is opened");
  is_int (nbd_get_size (h), DISK_SIZE, "%s: it has its size", way->name);
  is_done (nbd_pwrite (h, data, DISK_SIZE, 0, 0) == 0, way,
           "a large write succeeds");
  is_done (nbd_flush (h, 0) == 0, way, "a flush succeeds");
  is_done (nbd_pread (h, buffer, DISK_SIZE, 0, 0) == 0 &&
           memcmp (buffer, data, DISK_SIZE) == 0, way,
           "a large read has what was written");
  is_done (nbd_block_status (h, DISK_SIZE, 0, (nbd_extent_callback) {
               .callback = check_extents, .user_data = &right }, 0) == 0 &&
           right, way, "extents are told");
  memset (buffer, 0, DISK_SIZE);
  cookie = nbd_aio_pread (h, buffer, DISK_SIZE, 0, NBD_NULL_COMPLETION, 0);
  MUST (cookie);
  while ((r = nbd_aio_command_completed (h, cookie)) == 0)
    if (nbd_poll2 (h, -1, 100000) != 1)
      break;
  is_done (r == 1 && memcmp (buffer, data, DISK_SIZE) == 0, way,
           "nbd_poll2 does not end before there is something");
  memset (buffer, 0, DISK_SIZE);
  cookie = nbd_aio_pread (h, buffer, DISK_SIZE, 0, NBD_NULL_COMPLETION, 0);
  MUST (cookie);
  is_done (nbd_shutdown (h, 0) == 0 && nbd_aio_is_closed (h) == 1 &&
           nbd_aio_command_completed (h, cookie) == 1 &&
           memcmp (buffer, data, DISK_SIZE) == 0, way,
           "nbd_shutdown waits for what is in flight");
  nbd_close (h);
}

/* The server is there until it has ended by itself: nobody has to be killed
 * because a wait was cut short, and nobody is left behind.
 */
static void
check_close (void)
{
  struct nbd_handle *h = new_handle ();
  pid_t pid;

  MUST (connect_command (h));
  pid = nbd_get_subprocess_pid (h);
  MUST (pid);
  signals = 0;
  nbd_close (h);
  ok (signals > 0, "signals arrive while nbd_close waits for a process");
  ok (kill (pid, 0) == -1 && errno == ESRCH, "which it collects");
}

/* The handshake of TLS again and again: each has many short waits. */
static void
check_tls_handshakes (void)
{
  unsigned wrong = 0;

  signals = 0;
  for (unsigned i = 0; i < 20; i++) {
    struct nbd_handle *h = new_handle ();

    MUST (nbd_set_opt_mode (h, true));
    wrong += connect_tls (h) == -1 || nbd_get_tls_negotiated (h) != 1;
    nbd_close (h);
  }
  is_int (wrong, 0, "all of many handshakes of TLS succeed");
  ok (signals > 0, "while signals arrive");
}

int
main (void)
{
  struct nbd_handle *h = new_handle ();
  bool tls = nbd_supports_tls (h);
  struct server *s;
  timer_t timer;

  nbd_close (h);
  server_require ("nbdkit", "eval", "--dump-plugin", NULL);
  if (tls)
    pki_begin ();
  else
    tap_begin ();
  disk = pki_disk ("disk", DISK_SIZE, NULL);
  write_scripts ();
  s = server_start (SERVER_UNIX, "nbdkit", "--filter=delay", "memory", "8M",
                    "delay-read=50ms", "delay-write=50ms", NULL);
  slow_unix = server_start (SERVER_UNIX, "nbdkit", SCRIPTS);
  slow_tcp = server_start (SERVER_IPV4, "nbdkit", SCRIPTS);
  if (tls) {
    char *option;

    MUST (asprintf (&option, "--tls-psk=%s", pki_path ("keys.psk")));
    slow_tls = server_start (SERVER_UNIX, "nbdkit", "--tls=require", option,
                             SCRIPTS);
    free (option);
  }

  timer = start_timer ();
  h = connected (s);
  check_poll (h);
  check_calls (h);
  is_int (nbd_shutdown (h, 0), 0, "and the handle shuts down");
  nbd_close (h);
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    if (tls || !ways[i].tls)
      check_way (&ways[i]);
  check_close ();
  if (tls)
    check_tls_handshakes ();
  timer_delete (timer);

  server_stop (s);
  server_stop (slow_unix);
  server_stop (slow_tcp);
  if (tls)
    server_stop (slow_tls);
  for (unsigned i = 0; i < NR_SCRIPTS; i++)
    free (scripts[i]);
  free (disk);
  return tap_end ();
}
