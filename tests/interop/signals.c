/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program with a timer whose handler interrupts system calls: no call of the
 * library fails for it or returns too early.
 */

#include "config.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "server.h"
#include "tap.h"

static volatile sig_atomic_t signals;

static void
count_signal (int sig)
{
  (void) sig;
  signals++;
}

/* Every millisecond, without SA_RESTART. */
static timer_t
start_timer (void)
{
  struct sigaction action = { .sa_handler = count_signal };
  struct sigevent event = {
    .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1,
  };
  const struct timespec period = { .tv_nsec = 1000000 };
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

int
main (void)
{
  struct server *s;
  struct nbd_handle *h;
  timer_t timer;

  server_require ("nbdkit", "--version", NULL);
  tap_begin ();
  s = server_start (SERVER_UNIX, "nbdkit", "--filter=delay", "memory", "8M",
                    "delay-read=50ms", "delay-write=50ms", NULL);
  timer = start_timer ();
  h = connected (s);
  check_poll (h);
  check_calls (h);
  is_int (nbd_shutdown (h, 0), 0, "and the handle shuts down");
  nbd_close (h);
  timer_delete (timer);
  server_stop (s);
  return tap_end ();
}
