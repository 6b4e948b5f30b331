/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A plugin host: loads the library, uses it in the main thread and in others,
 * lets go of it and begins again.  Some of those threads end when the library
 * is gone, so that nothing of theirs may lead into it, and 2000 rounds are
 * more than there are keys for thread-specific data.  The program is not
 * linked with the library.
 */

#include "config.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libnbd.h>

#include "tap.h"

#if defined (__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined (__has_feature)
#if __has_feature (address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif
#ifndef ADDRESS_SANITIZER
#define ADDRESS_SANITIZER 0
#endif

/* The smallest block that malloc gives is larger. */
#define LEAK 16

enum when { NO_THREAD, ENDS_BEFORE, ENDS_AFTER };

static const struct {
  const char *name;
  enum when when;
  bool tls;
  unsigned rounds;
} cases[] = {
  { "in one thread", NO_THREAD, false, 2000 },
  { "in threads that end before the library goes", ENDS_BEFORE, false, 500 },
  { "in threads that end after the library went", ENDS_AFTER, false, 2000 },
  { "TLS in one thread", NO_THREAD, true, 100 },
  { "TLS in threads that end after the library went", ENDS_AFTER, true, 100 },
};

static char *path;

static struct library {
  void *handle;
  __typeof__ (nbd_create) *create;
  __typeof__ (nbd_close) *close;
  __typeof__ (nbd_get_error) *get_error;
  __typeof__ (nbd_connect_uri) *connect_uri;
  __typeof__ (nbd_connect_socket) *connect_socket;
  __typeof__ (nbd_set_tls) *set_tls;
  __typeof__ (nbd_set_tls_verify_peer) *set_tls_verify_peer;
  __typeof__ (nbd_supports_tls) *supports_tls;
} lib;

static bool
load (void)
{
  lib.handle = dlopen (path, RTLD_NOW | RTLD_LOCAL);
  if (lib.handle == NULL) {
    note ("%s", dlerror ());
    return false;
  }
#define LOAD(name) ((lib.name = dlsym (lib.handle, "nbd_" #name)) != NULL)
  return LOAD (create) && LOAD (close) && LOAD (get_error) &&
    LOAD (connect_uri) && LOAD (connect_socket) && LOAD (set_tls) &&
    LOAD (set_tls_verify_peer) && LOAD (supports_tls);
#undef LOAD
}

/* Agrees to TLS and then says no more. */
static void *
server (void *arg)
{
  static const char greeting[] = "NBDMAGICIHAVEOPT\0\3";
  static const char reply[] =
    "\0\3\xe8\x89\x04\x55\x65\xa9" "\0\0\0\5" "\0\0\0\1" "\0\0\0\0";
  char request[4 + 16];
  int sock = *(int *) arg;

  if (send (sock, greeting, sizeof greeting - 1, 0) == -1 ||
      recv (sock, request, sizeof request, MSG_WAITALL) != sizeof request ||
      send (sock, reply, sizeof reply - 1, 0) == -1 ||
      shutdown (sock, SHUT_WR) == -1)
    return NULL;
  return arg;
}

/* A handshake of TLS that gets as far as random numbers, and fails. */
static bool
use_tls (struct nbd_handle *nbd)
{
  int socks[2];
  pthread_t thread;
  void *agreed;
  bool r;

  if (socketpair (AF_UNIX, SOCK_STREAM, 0, socks) == -1 ||
      pthread_create (&thread, NULL, server, &socks[1]) != 0)
    return false;
  r = lib.set_tls (nbd, LIBNBD_TLS_REQUIRE) == 0 &&
    lib.set_tls_verify_peer (nbd, false) == 0 &&
    lib.connect_socket (nbd, socks[0]) == -1 &&
    strncmp (lib.get_error (), "nbd_connect_socket: TLS: ", 25) == 0;
  pthread_join (thread, &agreed);
  close (socks[1]);
  return r && agreed != NULL;
}

static bool
use (bool tls)
{
  struct nbd_handle *nbd = lib.create ();
  bool r;

  if (nbd == NULL)
    return false;
  r = lib.connect_uri (nbd, "no-such-scheme://host/export") == -1 &&
    strncmp (lib.get_error (), "nbd_connect_uri: ", 17) == 0 &&
    (!tls || use_tls (nbd));
  lib.close (nbd);
  return r;
}

static struct {
  bool tls, good;
  sem_t used, may_end;
} worker;

static void *
work (void *arg)
{
  worker.good = use (worker.tls);
  sem_post (&worker.used);
  sem_wait (&worker.may_end);
  return arg;
}

static bool
one_round (enum when when, bool tls)
{
  pthread_t thread;
  bool r;

  if (!load ())
    return false;
  worker.tls = tls;
  worker.good = true;
  if (when != NO_THREAD) {
    if (pthread_create (&thread, NULL, work, NULL) != 0)
      return false;
    sem_wait (&worker.used);
  }
  r = use (tls);
  if (when == ENDS_BEFORE) {
    sem_post (&worker.may_end);
    pthread_join (thread, NULL);
  }
  r = dlclose (lib.handle) == 0 && r;
  if (when == ENDS_AFTER) {
    sem_post (&worker.may_end);
    pthread_join (thread, NULL);
  }
  return r && worker.good;
}

/* Whether there is TLS, and whether the library is unloaded at all. */
static bool
knows_tls (void)
{
  struct nbd_handle *nbd;
  bool r;

  if (!load () || (nbd = lib.create ()) == NULL)
    return false;
  r = lib.supports_tls (nbd) == 1;
  lib.close (nbd);
  dlclose (lib.handle);
  ok (dlopen (path, RTLD_NOW | RTLD_NOLOAD) == NULL,
      "dlclose takes the library away");
  return r;
}

static bool
rounds (enum when when, bool tls, unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    if (!one_round (when, tls)) {
      note ("round %u failed", i);
      return false;
    }
  return true;
}

static size_t
memory_used (void)
{
  struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
}

static void
test_case (unsigned i)
{
  enum when when = cases[i].when;
  bool tls = cases[i].tls;
  unsigned n = cases[i].rounds;
  size_t before, after;

  /* The first rounds fill what the C library keeps. */
  if (!ok (rounds (when, tls, 20), "it works, %s", cases[i].name))
    return;
  before = memory_used ();
  if (!ok (rounds (when, tls, n), "%u times, %s", n, cases[i].name))
    return;
  after = memory_used ();
  if (ADDRESS_SANITIZER)
    skip_case ("no memory is lost", "LeakSanitizer counts instead");
  else if (!ok (after < before + (size_t) n * LEAK,
                "no memory is lost, %s", cases[i].name))
    note ("%zu bytes before, %zu bytes after", before, after);
}

int
main (int argc, char *argv[])
{
  /* Blocks that malloc keeps for each thread would count as used. */
  static const char tunables[] = "glibc.malloc.tcache_count=0";
  const char *dir = getenv ("builddir"), *set = getenv ("GLIBC_TUNABLES");
  bool tls;

  if (argc == 1 && (set == NULL || strcmp (set, tunables) != 0)) {
    setenv ("GLIBC_TUNABLES", tunables, 1);
    execl ("/proc/self/exe", argv[0], "again", NULL);
  }
  mallopt (M_ARENA_MAX, 1);
  sem_init (&worker.used, 0, 0);
  sem_init (&worker.may_end, 0, 0);
  if (asprintf (&path, "%s/lib/.libs/libnbd.so.0", dir ? dir : ".") == -1)
    return 1;
  if (access (path, F_OK) == -1)
    skip_all ("there is no shared library");

  tap_begin ();
  tls = knows_tls ();
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (!cases[i].tls || tls)
      test_case (i);
    else
      skip_case (cases[i].name, "the library was built without TLS");
  sem_destroy (&worker.used);
  sem_destroy (&worker.may_end);
  free (path);
  return tap_end ();
}
