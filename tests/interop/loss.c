/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Servers that refuse, are missing, or are killed while requests are in
 * flight.  Built once for each server.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

#define DISK_SIZE ((uint64_t) 64 << 20)

static bool nbdkit, qemu_nbd, nbd_server;
static char *path;              /* of the file that is served */
static uint8_t *disk;           /* what it holds */

/* A read-only export. */

static struct server *
start_read_only (void)
{
  char *section;
  struct server *s;

  if (nbdkit)
    return server_start (SERVER_UNIX, "nbdkit", "--readonly", "file", path,
                         NULL);
  if (qemu_nbd)
    return server_start (SERVER_UNIX, "qemu-nbd", "--persistent",
                         "--read-only", "--format=raw", path, NULL);
  MUST (asprintf (&section, "[ro]\nexportname = %s\nreadonly = true\n"
                  "trim = true\n", path));
  s = server_start_nbd_server (SERVER_UNIX, section);
  free (section);
  return s;
}

static void
check_read_only (void)
{
  struct server *s = start_read_only ();
  struct nbd_handle *h = new_handle ();
  uint8_t buf[4096] = { 1 };
  uint64_t chunks;

  MUST (nbd_set_export_name (h, nbd_server ? "ro" : ""));
  must_connect (s, h);
  chunks = nbd_stats_chunks_sent (h);
  is_int (nbd_is_read_only (h), 1, "the server says that it is read-only");
  is_int (nbd_pwrite (h, buf, sizeof buf, 0, 0), -1, "a write is refused");
  is_int (nbd_get_errno (), EPERM, "with EPERM");
  is_int (nbd_zero (h, sizeof buf, 0, 0), -1, "a zero is refused");
  is_int (nbd_get_errno (), nbd_can_zero (h) ? EPERM : EINVAL,
          "with EPERM, or with EINVAL if it is not offered");
  is_int (nbd_trim (h, sizeof buf, 0, 0), -1, "a trim is refused");
  is_int (nbd_get_errno (), nbd_can_trim (h) ? EPERM : EINVAL,
          "with EPERM, or with EINVAL if it is not offered");
  is_int (nbd_stats_chunks_sent (h), chunks, "nothing is sent");
  is_int (nbd_pread (h, buf, sizeof buf, 0, 0), 0, "a read succeeds");
  ok (memcmp (buf, disk, sizeof buf) == 0, "nothing was written");

  MUST (nbd_set_strict_mode (h, LIBNBD_STRICT_AUTO_FLAG));
  memset (buf, 1, sizeof buf);
  is_int (nbd_pwrite (h, buf, sizeof buf, 0, 0), -1,
          "a write that is sent is refused by the server");
  if (qemu_nbd && nbd_get_errno () == EINVAL)
    note ("qemu 7 says EINVAL");
  else
    is_int (nbd_get_errno (), EPERM, "with EPERM");
  is_int (nbd_pread (h, buf, sizeof buf, 0, 0), 0, "then a read succeeds");
  ok (memcmp (buf, disk, sizeof buf) == 0, "nothing was written");
  disconnect (h);
  server_stop (s);
}

/* A name that the server does not know. */

static struct server *
start_named (void)
{
  char *section;
  struct server *s;

  if (nbdkit)
    return server_start (SERVER_UNIX, "nbdkit", "--filter=exportname", "file",
                         path, "exportname=right", "exportname-strict=true",
                         NULL);
  if (qemu_nbd)
    return server_start (SERVER_UNIX, "qemu-nbd", "--persistent",
                         "--shared=0", "--export-name=right", "--format=raw",
                         path, NULL);
  MUST (asprintf (&section, "[right]\nexportname = %s\n", path));
  s = server_start_nbd_server (SERVER_UNIX, section);
  free (section);
  return s;
}

static int
set_errno (void *opaque, int *error)
{
  *(int *) opaque = *error;
  return 1;
}

static void
check_wrong_name (void)
{
  struct server *s = start_named ();
  struct nbd_handle *h = new_handle ();
  int error = -1;

  MUST (nbd_set_export_name (h, "wrong"));
  is_int (server_connect (s, h), -1, "an unknown export is refused");
  ok (nbd_get_errno () != 0, "with an error number");
  /* nbdkit finds out when it opens the plugin, and says that it failed. */
  if (!nbdkit)
    is_int (nbd_get_errno (), ENOENT, "which is ENOENT");
  is_int (nbd_aio_is_dead (h), 1, "then the handle is dead");
  is_int (nbd_aio_get_fd (h), -1, "and has no descriptor");
  nbd_close (h);

  h = new_handle ();
  MUST (nbd_set_export_name (h, "right"));
  is_int (server_connect (s, h), 0, "the export that exists is found");
  is_int (nbd_get_size (h), DISK_SIZE, "and has the right size");
  disconnect (h);

  h = new_handle ();
  MUST (nbd_set_opt_mode (h, true));
  must_connect (s, h);
  MUST (nbd_set_export_name (h, "wrong"));
  is_int (nbd_opt_info (h), -1, "information on an unknown export fails");
  is_int (nbd_aio_is_negotiating (h), 1, "the negotiation goes on");
  is_int (nbd_opt_go (h), -1, "opt_go to it fails");
  is_int (nbd_aio_is_negotiating (h), 1, "the negotiation goes on");
  MUST (nbd_aio_opt_go (h, (nbd_completion_callback) {
      .callback = set_errno, .user_data = &error }));
  while (nbd_aio_is_connecting (h))
    MUST (nbd_poll (h, -1));
  ok (error > 0, "its completion callback is given an error");
  is_int (nbd_get_size (h), -1, "there is no size");
  MUST (nbd_set_export_name (h, "right"));
  is_int (nbd_opt_info (h), 0, "information on the other export");
  /* nbd-server has not looked at the file yet. */
  if (!nbd_server)
    is_int (nbd_get_size (h), DISK_SIZE, "gives its size");
  is_int (nbd_opt_go (h), 0, "opt_go to it succeeds");
  is_int (nbd_aio_is_ready (h), 1, "and the handle is ready");
  disconnect (h);
  server_stop (s);
}

/* The server is killed.  Every request has one end. */

#define NR_REQUESTS 64
#define REQUEST_SIZE ((size_t) 1 << 20)

struct request {
  unsigned completed, freed;
  int error;
  uint8_t *buf;
};

static int
completed (void *opaque, int *error)
{
  struct request *r = opaque;

  r->completed++;
  r->error = *error;
  return 0;
}

static void
freed (void *opaque)
{
  ((struct request *) opaque)->freed++;
}

/* The server sees half of the requests, and the rest is more than the sockets
 * can hold.  A read that succeeds has the right data nevertheless.
 */
static void
check_kill (enum server_transport transport, bool write, const char *what)
{
  struct server *s = server_start_file (transport, SERVER, path);
  struct nbd_handle *h = connected (s);
  struct request requests[NR_REQUESTS] = { 0 };
  int64_t cookie[NR_REQUESTS];
  unsigned lost = 0, wrong = 0, twice = 0;
  int r = 0;

  for (unsigned i = 0; i < NR_REQUESTS; i++) {
    nbd_completion_callback cb = { .callback = completed,
                                   .user_data = &requests[i], .free = freed };

    requests[i].buf = malloc (REQUEST_SIZE);
    MUST_BE (requests[i].buf);
    /* A write changes nothing, so that all reads are to find the same. */
    if (write)
      memcpy (requests[i].buf, disk + i * REQUEST_SIZE, REQUEST_SIZE);
    else
      memset (requests[i].buf, 0xa5, REQUEST_SIZE);
    cookie[i] = write
      ? nbd_aio_pwrite (h, requests[i].buf, REQUEST_SIZE, i * REQUEST_SIZE,
                        cb, 0)
      : nbd_aio_pread (h, requests[i].buf, REQUEST_SIZE, i * REQUEST_SIZE, cb,
                       0);
    MUST (cookie[i]);
    if (i == NR_REQUESTS / 2)
      server_freeze (s);
  }
  server_kill (s);
  while (r != -1 && !nbd_aio_is_closed (h) && !nbd_aio_is_dead (h))
    r = nbd_poll (h, -1);
  ok (nbd_aio_is_closed (h) || nbd_aio_is_dead (h),
      "%s: the loss is noticed", what);
  is_int (nbd_aio_in_flight (h), 0, "%s: nothing is in flight then", what);
  is_int (nbd_aio_get_direction (h), 0, "%s: nor waited for", what);
  is_int (nbd_aio_get_fd (h), -1, "%s: there is no descriptor", what);
  for (unsigned i = 0; i < NR_REQUESTS; i++) {
    r = nbd_aio_command_completed (h, cookie[i]);
    if (r == 1 && requests[i].error == 0)
      wrong += memcmp (requests[i].buf, disk + i * REQUEST_SIZE,
                       REQUEST_SIZE) != 0;
    else {
      lost++;
      wrong += r != -1 || requests[i].error != ENOTCONN ||
        nbd_get_errno () != ENOTCONN;
    }
    twice += requests[i].completed != 1 || requests[i].freed != 1;
    free (requests[i].buf);
  }
  ok (lost > 0, "%s: some requests are lost", what);
  is_int (wrong, 0, "%s: with ENOTCONN; the others are right", what);
  is_int (twice, 0, "%s: each completes and is freed once", what);
  is_int (nbd_pread (h, &wrong, 1, 0, 0), -1, "%s: then nothing works", what);
  is_int (nbd_get_errno (), EINVAL, "%s: because of the state", what);
  is_int (nbd_shutdown (h, 0), -1, "%s: not even nbd_shutdown", what);
  nbd_close (h);
  server_stop (s);
}

/* The same with nbd_close before the loss is noticed: the close completes what
 * is in flight.
 */
static void
check_close (void)
{
  /* nbdkit 1.32 with several threads may fail when a client goes away. */
  struct server *s = nbdkit
    ? server_start (SERVER_UNIX, "nbdkit", "--threads=1", "file", path, NULL)
    : server_start_file (SERVER_UNIX, SERVER, path);
  struct nbd_handle *h = connected (s);
  struct request requests[NR_REQUESTS] = { 0 };
  unsigned wrong = 0;

  for (unsigned i = 0; i < NR_REQUESTS; i++) {
    requests[i].buf = malloc (REQUEST_SIZE);
    MUST_BE (requests[i].buf);
    MUST (nbd_aio_pread (h, requests[i].buf, REQUEST_SIZE, i * REQUEST_SIZE,
                         (nbd_completion_callback) {
                           .callback = completed, .user_data = &requests[i],
                           .free = freed }, 0));
  }
  nbd_close (h);
  for (unsigned i = 0; i < NR_REQUESTS; i++) {
    wrong += requests[i].completed != 1 || requests[i].freed != 1 ||
      requests[i].error != ENOTCONN;
    free (requests[i].buf);
  }
  is_int (wrong, 0, "nbd_close completes and frees what is in flight, once");
  server_stop (s);
}

/* Killed while idle: noticed by the next call, or by the loop. */
static void
check_kill_idle (void)
{
  struct server *s = server_start_file (SERVER_UNIX, SERVER, path);
  struct nbd_handle *h = connected (s), *h2 = connected (s);
  uint8_t buf[512];

  server_kill (s);
  is_int (nbd_pread (h, buf, sizeof buf, 0, 0), -1,
          "a read from a server that is gone fails");
  is_int (nbd_get_errno (), ENOTCONN, "with ENOTCONN");
  ok (nbd_aio_is_dead (h) || nbd_aio_is_closed (h), "the handle is of no use");
  nbd_close (h);

  is_int (nbd_poll (h2, -1), 1, "a loop notices that the server is gone");
  is_int (nbd_aio_is_closed (h2), 1, "and as nothing was owed it is closed");
  nbd_close (h2);

  h = new_handle ();
  is_int (nbd_connect_unix (h, server_path (s)), -1,
          "a socket on which nobody listens any more cannot be connected to");
  is_int (nbd_get_errno (), ECONNREFUSED, "because of ECONNREFUSED");
  is_int (nbd_aio_is_dead (h), 1, "then the handle is dead");
  nbd_close (h);
  server_stop (s);
}

/* A synchronous call that sleeps when nbdkit is killed. */

static struct server *asleep;
static char *fifo;

static void *
kill_when_asked (void *opaque)
{
  /* The plugin has the request when it opens the pipe. */
  int fd = open (fifo, O_RDONLY | O_CLOEXEC);

  (void) opaque;
  server_kill (asleep);
  close (fd);
  return NULL;
}

static void
check_kill_asleep (void)
{
  char *script;
  struct nbd_handle *h;
  pthread_t thread;
  uint8_t buf[512];

  fifo = temp_path ("fifo");
  MUST (mkfifo (fifo, 0600));
  /* What is killed does not clean up behind itself. */
  MUST (asprintf (&script, "pread=rm -r $tmpdir; exec >%s; sleep 1000", fifo));
  asleep = server_start (SERVER_UNIX, "nbdkit", "eval",
                         "thread_model=echo parallel", "get_size=echo 1048576",
                         script, NULL);
  h = connected (asleep);
  MUST_BE (pthread_create (&thread, NULL, kill_when_asked, NULL) == 0);
  is_int (nbd_pread (h, buf, sizeof buf, 0, 0), -1,
          "a read during which the server is killed fails");
  is_int (nbd_get_errno (), ENOTCONN, "with ENOTCONN");
  pthread_join (thread, NULL);
  nbd_close (h);
  server_stop (asleep);
  free (fifo);
  free (script);
}

/* Killed during the negotiation: in the option nbdkit opens the plugin, which
 * takes its time.
 */
static void
check_kill_option (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "--filter=delay",
                                   "memory", "1M", "delay-open=1000", NULL);
  struct nbd_handle *h = new_handle ();
  struct request r = { 0 };

  MUST (nbd_set_opt_mode (h, true));
  must_connect (s, h);
  MUST (nbd_aio_opt_go (h, (nbd_completion_callback) {
      .callback = completed, .user_data = &r, .free = freed }));
  is_int (nbd_aio_is_connecting (h), 1, "an option is under way");
  server_kill (s);
  is_int (nbd_poll (h, -1), -1, "killing the server is an error");
  is_int (nbd_aio_is_dead (h), 1, "then the handle is dead");
  is_int (r.error, ENOTCONN, "the option completes with ENOTCONN");
  ok (r.completed == 1 && r.freed == 1, "once, and is freed once");
  nbd_close (h);
  server_stop (s);
}

/* Places where there is no server. */

static void
refused_unix (const char *name, int errnum, const char *what)
{
  struct nbd_handle *h = new_handle ();

  is_int (nbd_connect_unix (h, name), -1, "%s cannot be connected to", what);
  is_int (nbd_get_errno (), errnum, "%s: %s", what, strerror (errnum));
  is_int (nbd_aio_is_dead (h), 1, "%s: then the handle is dead", what);
  is_int (nbd_aio_get_fd (h), -1, "%s: and has no descriptor", what);
  nbd_close (h);

  h = new_handle ();
  is_int (nbd_aio_connect_unix (h, name), -1, "%s: asynchronous, too", what);
  is_int (nbd_get_errno (), errnum, "%s: with the same error", what);
  nbd_close (h);
}

static void
check_missing (void)
{
  struct server *s = server_start_file (SERVER_IPV4, SERVER, path);
  struct nbd_handle *h = new_handle ();
  struct sockaddr_in in = { .sin_family = AF_INET,
                            .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  struct sockaddr_un un = { .sun_family = AF_UNIX };
  socklen_t len = sizeof in;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char *name = temp_path ("missing"), *port;
  char longer[200];

  refused_unix (name, ENOENT, "a missing socket");
  refused_unix (path, ECONNREFUSED, "a file");
  refused_unix ("", ECONNREFUSED, "an empty name");
  memset (longer, 'x', sizeof longer - 1);
  longer[0] = '/';
  longer[sizeof longer - 1] = '\0';
  is_int (nbd_connect_unix (h, longer), -1, "a path that is too long fails");
  is_int (nbd_get_errno (), ENAMETOOLONG, "with ENAMETOOLONG");
  is_int (nbd_aio_is_created (h), 1, "the handle is as new");

  /* A port that is bound and on which nobody listens. */
  MUST (fd);
  MUST (bind (fd, (struct sockaddr *) &in, sizeof in));
  MUST (getsockname (fd, (struct sockaddr *) &in, &len));
  MUST (asprintf (&port, "%u", ntohs (in.sin_port)));
  for (int i = 0; i < 3; i++) {
    is_int (nbd_connect_tcp (h, i == 1 ? "localhost" : "127.0.0.1", port), -1,
            "a port that nobody listens on is refused");
    is_int (nbd_get_errno (), ECONNREFUSED, "with ECONNREFUSED");
    is_int (nbd_aio_is_created (h), 1, "the handle is as new");
  }
  is_int (server_connect (s, h), 0, "and can be connected to a server");
  disconnect (h);

  h = new_handle ();
  is_int (nbd_aio_connect (h, (struct sockaddr *) &in, sizeof in), 0,
          "an asynchronous connect is begun");
  is_int (nbd_poll (h, -1), -1, "and refused");
  is_int (nbd_get_errno (), ECONNREFUSED, "with ECONNREFUSED");
  is_int (nbd_aio_is_dead (h), 1, "then the handle is dead");
  nbd_close (h);

  h = new_handle ();
  strcpy (un.sun_path, name);
  is_int (nbd_aio_connect (h, (struct sockaddr *) &un, sizeof un), -1,
          "an asynchronous connect to a missing socket fails at once");
  is_int (nbd_get_errno (), ENOENT, "with ENOENT");
  nbd_close (h);

  h = new_handle ();
  is_int (nbd_connect_tcp (h, "127.0.0.1", "no-such-service"), -1,
          "a service that does not exist is an error");
  ok (nbd_get_error () && strstr (nbd_get_error (), "no-such-service"),
      "that names it");
  is_int (nbd_aio_is_created (h), 1, "the handle is as new");
  is_int (server_connect (s, h), 0, "and can be connected to a server");
  disconnect (h);

  close (fd);
  free (port);
  free (name);
  server_stop (s);
}

int
main (void)
{
  uint64_t seed = 3;
  int fd;

  nbdkit = strcmp (SERVER, "nbdkit") == 0;
  qemu_nbd = strcmp (SERVER, "qemu-nbd") == 0;
  nbd_server = strcmp (SERVER, "nbd-server") == 0;
  server_require (SERVER, nbd_server ? "-V" : "--version", NULL);
  if (nbdkit) {
    server_require ("nbdkit", "--filter=delay", "--filter=exportname", "file",
                    "--dump-plugin", NULL);
    server_require ("nbdkit", "eval", "--dump-plugin", NULL);
  }
  tap_begin ();
  path = temp_path ("disk");
  fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  MUST (fd);
  disk = malloc (DISK_SIZE);
  MUST_BE (disk != NULL);
  fill_random (&seed, disk, DISK_SIZE);
  MUST_BE (write (fd, disk, DISK_SIZE) == DISK_SIZE);
  close (fd);

  check_read_only ();
  check_wrong_name ();
  check_kill (SERVER_UNIX, false, "reads, Unix socket");
  check_kill (SERVER_UNIX, true, "writes, Unix socket");
  check_kill (SERVER_IPV4, false, "reads, TCP");
  check_kill (SERVER_IPV4, true, "writes, TCP");
  check_close ();
  check_kill_idle ();
  if (nbdkit) {
    check_kill_asleep ();
    check_kill_option ();
  }
  check_missing ();
  free (disk);
  free (path);
  return tap_end ();
}
