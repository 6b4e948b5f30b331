/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Errors that nbdkit sends, and features that it does not offer: each is told
 * to the caller by its number, once, and the connection goes on.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

#define DISK_SIZE ((uint64_t) 1 << 20)

static uint8_t buf[4096];

static int
ignore_extents (void *opaque, const char *context, uint64_t offset,
                uint32_t *entries, size_t n, int *error)
{
  (void) opaque;
  (void) context;
  (void) offset;
  (void) entries;
  (void) n;
  (void) error;
  return 0;
}

static const nbd_extent_callback no_extents = { .callback = ignore_extents };

/* The commands that the error filter knows. */

static int
call_read (struct nbd_handle *h)
{
  return nbd_pread (h, buf, sizeof buf, 4096, 0);
}

static int64_t
start_read (struct nbd_handle *h, nbd_completion_callback cb)
{
  return nbd_aio_pread (h, buf, sizeof buf, 4096, cb, 0);
}

static int
call_write (struct nbd_handle *h)
{
  return nbd_pwrite (h, buf, sizeof buf, 4096, 0);
}

static int64_t
start_write (struct nbd_handle *h, nbd_completion_callback cb)
{
  return nbd_aio_pwrite (h, buf, sizeof buf, 4096, cb, 0);
}

static int
call_trim (struct nbd_handle *h)
{
  return nbd_trim (h, 4096, 4096, 0);
}

static int64_t
start_trim (struct nbd_handle *h, nbd_completion_callback cb)
{
  return nbd_aio_trim (h, 4096, 4096, cb, 0);
}

static int
call_zero (struct nbd_handle *h)
{
  return nbd_zero (h, 4096, 4096, 0);
}

static int64_t
start_zero (struct nbd_handle *h, nbd_completion_callback cb)
{
  return nbd_aio_zero (h, 4096, 4096, cb, 0);
}

static int
call_extents (struct nbd_handle *h)
{
  return nbd_block_status (h, 4096, 4096, no_extents, 0);
}

static int64_t
start_extents (struct nbd_handle *h, nbd_completion_callback cb)
{
  return nbd_aio_block_status (h, 4096, 4096, no_extents, cb, 0);
}

static int
call_cache (struct nbd_handle *h)
{
  return nbd_cache (h, 4096, 4096, 0);
}

static int64_t
start_cache (struct nbd_handle *h, nbd_completion_callback cb)
{
  return nbd_aio_cache (h, 4096, 4096, cb, 0);
}

static const struct command {
  const char *name;             /* as the filter has it */
  const char *function, *text;  /* as the error has them */
  int (*call) (struct nbd_handle *h);
  int64_t (*start) (struct nbd_handle *h, nbd_completion_callback cb);
} commands[] = {
  { "pread", "nbd_pread", "read", call_read, start_read },
  { "pwrite", "nbd_pwrite", "write", call_write, start_write },
  { "trim", "nbd_trim", "trim", call_trim, start_trim },
  { "zero", "nbd_zero", "write-zeroes", call_zero, start_zero },
  { "extents", "nbd_block_status", "block-status", call_extents,
    start_extents },
  { "cache", "nbd_cache", "cache", call_cache, start_cache },
};

#define NR_COMMANDS (sizeof commands / sizeof commands[0])

static const struct {
  const char *name;
  int errnum;
} errors[] = {
  { "EPERM", EPERM }, { "EIO", EIO }, { "ENOMEM", ENOMEM },
  { "EINVAL", EINVAL }, { "ENOSPC", ENOSPC }, { "ESHUTDOWN", ESHUTDOWN },
};

#define NR_ERRORS (sizeof errors / sizeof errors[0])

struct outcome {
  unsigned completed, freed;
  int error;
};

static int
completed (void *opaque, int *error)
{
  struct outcome *o = opaque;

  o->completed++;
  o->error = *error;
  return 0;
}

static void
freed (void *opaque)
{
  ((struct outcome *) opaque)->freed++;
}

static void
check_command (struct nbd_handle *h, const struct command *cmd,
               const char *error, int errnum)
{
  struct outcome o = { 0 };
  nbd_completion_callback cb = { .callback = completed, .user_data = &o,
                                 .free = freed };
  char text[256];
  int64_t cookie;
  int r;

  r = cmd->call (h);
  is_int (r, -1, "%s: nbdkit answers with %s", cmd->function, error);
  if (r == -1) {
    is_int (nbd_get_errno (), errnum, "%s: the error is %s", cmd->function,
            error);
    snprintf (text, sizeof text, "%s: %s: command failed: %s", cmd->function,
              cmd->text, strerror (errnum));
    is_str (nbd_get_error (), text, "%s: its text names the command",
            cmd->function);
  }

  cookie = cmd->start (h, cb);
  MUST (cookie);
  while ((r = nbd_aio_command_completed (h, cookie)) == 0)
    MUST (nbd_poll (h, -1));
  is_int (r, -1, "%s, asynchronous: %s fails it", cmd->function, error);
  is_int (nbd_get_errno (), errnum, "and it is retired with the error");
  is_int (o.error, errnum, "which the completion callback is given");
  ok (o.completed == 1 && o.freed == 1, "once, and it is freed once");
}

/* Every command with every error. */
static void
check_every_error (void)
{
  char *file = temp_path ("fail"), *with_file;
  char rule[NR_COMMANDS][64];
  struct server *s;
  struct nbd_handle *h;
  int fd;

  MUST (asprintf (&with_file, "error-file=%s", file));
  for (size_t k = 0; k < NR_ERRORS; k++) {
    for (size_t i = 0; i < NR_COMMANDS; i++)
      snprintf (rule[i], sizeof rule[i], "error-%s=%s", commands[i].name,
                errors[(i + k) % NR_ERRORS].name);
    s = server_start (SERVER_UNIX, "nbdkit", "--filter=error", "memory", "1M",
                      rule[0], rule[1], rule[2], rule[3], rule[4], rule[5],
                      "error-rate=100%", with_file, NULL);
    h = new_handle ();
    MUST (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
    must_connect (s, h);
    for (size_t i = 0; i < NR_COMMANDS; i++)
      is_int (commands[i].call (h), 0, "%s: no error at first",
              commands[i].function);

    fd = open (file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    MUST (fd);
    close (fd);
    for (size_t i = 0; i < NR_COMMANDS; i++)
      check_command (h, &commands[i], errors[(i + k) % NR_ERRORS].name,
                     errors[(i + k) % NR_ERRORS].errnum);

    unlink (file);
    ok (nbd_aio_is_ready (h), "the connection is as good as before");
    for (size_t i = 0; i < NR_COMMANDS; i++)
      is_int (commands[i].call (h), 0, "%s: no error in the end",
              commands[i].function);
    disconnect (h);
    server_stop (s);
  }
  free (with_file);
  free (file);
}

/* Some of many reads fail: those and no others. */

#define NR_READS 600
#define READ_SIZE 512

static bool
is_pattern (const uint8_t *p, size_t n, uint64_t offset)
{
  for (size_t i = 0; i < n; i++) {
    uint64_t word = (offset + i) & ~(uint64_t) 7;

    if (p[i] != (uint8_t) (word >> (56 - 8 * ((offset + i) % 8))))
      return false;
  }
  return true;
}

static void
check_some_errors (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "--filter=error",
                                   "pattern", "1M", "error-pread=EIO",
                                   "error-pread-rate=50%", NULL);
  struct nbd_handle *h = connected (s);
  static uint8_t data[NR_READS][READ_SIZE];
  static struct outcome o[NR_READS];
  int64_t cookie[NR_READS];
  unsigned failed = 0, good = 0, wrong = 0, twice = 0;

  for (unsigned i = 0; i < NR_READS; i++) {
    memset (data[i], 0xa5, READ_SIZE);
    cookie[i] = nbd_aio_pread (h, data[i], READ_SIZE, i * 513,
                               (nbd_completion_callback) {
                                 .callback = completed, .user_data = &o[i],
                                 .free = freed }, 0);
    MUST (cookie[i]);
  }
  for (unsigned i = 0; i < NR_READS; i++) {
    int r;

    while ((r = nbd_aio_command_completed (h, cookie[i])) == 0)
      MUST (nbd_poll (h, -1));
    if (r == -1) {
      failed++;
      wrong += nbd_get_errno () != EIO || o[i].error != EIO;
    }
    else {
      good++;
      wrong += o[i].error != 0 || !is_pattern (data[i], READ_SIZE, i * 513);
    }
    twice += o[i].completed != 1 || o[i].freed != 1;
  }
  ok (failed > 0 && good > 0, "with half of the reads failing, %u of %u fail",
      failed, NR_READS);
  is_int (wrong, 0, "those with EIO, and the others have the right data");
  is_int (twice, 0, "and each completes and is freed once");

  failed = good = wrong = 0;
  for (unsigned i = 0; i < 200; i++)
    if (nbd_pread (h, data[0], READ_SIZE, i * 1027, 0) == -1) {
      failed++;
      wrong += nbd_get_errno () != EIO;
    }
    else {
      good++;
      wrong += !is_pattern (data[0], READ_SIZE, i * 1027);
    }
  ok (failed > 0 && good > 0, "synchronous, %u of 200 fail", failed);
  is_int (wrong, 0, "those with EIO, and the others have the right data");
  disconnect (h);
  server_stop (s);
}

/* Refused by the library and, when that is told not to look, by nbdkit. */
static void
check_refused (struct nbd_handle *h, int (*call) (struct nbd_handle *h),
               int errnum, int server_errnum, const char *what)
{
  uint64_t chunks = nbd_stats_chunks_sent (h);

  is_int (call (h), -1, "%s is refused", what);
  is_int (nbd_get_errno (), errnum, "%s: the error is %s", what,
          strerror (errnum));
  is_int (nbd_stats_chunks_sent (h), chunks, "%s: nothing is sent", what);
  if (server_errnum) {
    MUST (nbd_set_strict_mode (h, LIBNBD_STRICT_AUTO_FLAG));
    is_int (call (h), -1, "%s: nbdkit refuses it, too", what);
    is_int (nbd_get_errno (), server_errnum, "%s: its error is %s", what,
            strerror (server_errnum));
    is_int (nbd_stats_chunks_sent (h), chunks + 1, "%s: it was sent", what);
    MUST (nbd_set_strict_mode (h, LIBNBD_STRICT_MASK));
  }
  is_int (nbd_pread (h, buf, 512, 0, 0), 0, "%s: then reading works", what);
}

static int
call_write_fua (struct nbd_handle *h)
{
  return nbd_pwrite (h, buf, sizeof buf, 4096, LIBNBD_CMD_FLAG_FUA);
}

static int
call_fast_zero (struct nbd_handle *h)
{
  return nbd_zero (h, 4096, 4096, LIBNBD_CMD_FLAG_FAST_ZERO);
}

static int
call_flush (struct nbd_handle *h)
{
  return nbd_flush (h, 0);
}

static int
ignore_chunk (void *opaque, const void *p, size_t n, uint64_t offset,
              unsigned status, int *error)
{
  (void) opaque;
  (void) p;
  (void) n;
  (void) offset;
  (void) status;
  (void) error;
  return 0;
}

static int
call_read_whole (struct nbd_handle *h)
{
  return nbd_pread_structured (h, buf, sizeof buf, 0,
                               (nbd_chunk_callback) {
                                 .callback = ignore_chunk },
                               LIBNBD_CMD_FLAG_DF);
}

static void
check_features (void)
{
  struct server *s;
  struct nbd_handle *h;

  s = server_start (SERVER_UNIX, "nbdkit", "memory", "1M", NULL);
  h = connected (s);
  ok (nbd_can_zero (h) == 1 && nbd_can_fast_zero (h) == 1 &&
      nbd_can_trim (h) == 1 && nbd_can_fua (h) == 1 &&
      nbd_can_flush (h) == 1 && nbd_can_cache (h) == 1 &&
      nbd_can_df (h) == 1 && nbd_can_multi_conn (h) == 1 &&
      nbd_is_read_only (h) == 0, "nbdkit's memory offers every feature");
  is_int (call_write_fua (h), 0, "a write with FUA succeeds");
  is_int (call_fast_zero (h), 0, "a fast zero succeeds");
  is_int (call_read_whole (h), 0, "a read with DF succeeds");
  is_int (call_flush (h), 0, "a flush succeeds");
  disconnect (h);
  server_stop (s);

  s = server_start (SERVER_UNIX, "nbdkit", "--filter=nozero", "memory", "1M",
                    NULL);
  h = connected (s);
  is_int (nbd_can_zero (h), 0, "with the nozero filter there is no zero");
  is_int (nbd_can_fast_zero (h), 0, "nor fast zero");
  check_refused (h, call_zero, EINVAL, EINVAL, "zero without its feature");
  disconnect (h);
  server_stop (s);

  s = server_start (SERVER_UNIX, "nbdkit", "--filter=nozero", "memory", "1M",
                    "zeromode=plugin", "fastzeromode=none", NULL);
  h = connected (s);
  is_int (nbd_can_zero (h), 1, "without fast zero there is zero");
  is_int (nbd_can_fast_zero (h), 0, "and no fast zero");
  /* nbdkit 1.32 does not survive one that is sent nevertheless. */
  check_refused (h, call_fast_zero, EINVAL, 0,
                 "fast zero without its feature");
  disconnect (h);
  server_stop (s);

  s = server_start (SERVER_UNIX, "nbdkit", "--filter=nozero", "memory", "1M",
                    "zeromode=plugin", "fastzeromode=slow", NULL);
  h = connected (s);
  is_int (nbd_can_fast_zero (h), 1, "fast zero may be offered");
  is_int (call_fast_zero (h), -1, "and still fail");
  is_int (nbd_get_errno (), ENOTSUP, "with ENOTSUP");
  disconnect (h);
  server_stop (s);

  s = server_start (SERVER_UNIX, "nbdkit", "--filter=fua", "memory", "1M",
                    NULL);
  h = connected (s);
  is_int (nbd_can_fua (h), 0, "with the fua filter there is no FUA");
  check_refused (h, call_write_fua, EINVAL, EINVAL, "FUA without its feature");
  disconnect (h);
  server_stop (s);

  s = server_start (SERVER_UNIX, "nbdkit", "--filter=nocache", "memory", "1M",
                    NULL);
  h = connected (s);
  is_int (nbd_can_cache (h), 0, "with the nocache filter there is no cache");
  check_refused (h, call_cache, EINVAL, EINVAL, "cache without its feature");
  disconnect (h);
  server_stop (s);

  /* A plugin that can only read and write. */
  s = server_start (SERVER_UNIX, "nbdkit", "eval", "get_size=echo 1048576",
                    "pread=dd if=/dev/zero count=$3 iflag=count_bytes",
                    "can_write=exit 0", "pwrite=cat >/dev/null", NULL);
  h = connected (s);
  is_int (nbd_can_trim (h), 0, "a plugin may have no trim");
  check_refused (h, call_trim, EINVAL, EINVAL, "trim without its feature");
  is_int (nbd_can_flush (h), 0, "and no flush");
  check_refused (h, call_flush, EINVAL, EINVAL, "flush without its feature");
  is_int (call_write (h), 0, "it can still write");
  disconnect (h);
  server_stop (s);

  s = server_start (SERVER_UNIX, "nbdkit", "--no-sr", "memory", "1M", NULL);
  h = new_handle ();
  MUST (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  must_connect (s, h);
  is_int (nbd_get_structured_replies_negotiated (h), 0,
          "nbdkit may have no structured replies");
  is_int (nbd_can_df (h), 0, "then there is no DF");
  check_refused (h, call_read_whole, EINVAL, 0, "DF without its feature");
  is_int (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION), 0,
          "nor a meta context");
  check_refused (h, call_extents, ENOTSUP, 0,
                 "block status without structured replies");
  disconnect (h);
  server_stop (s);

  s = server_start (SERVER_UNIX, "nbdkit", "memory", "1M", NULL);
  h = connected (s);
  check_refused (h, call_extents, ENOTSUP, 0,
                 "block status without a meta context");
  disconnect (h);
  server_stop (s);

  /* Errors for a part of the disk. */
  s = server_start (SERVER_UNIX, "nbdkit", "--filter=protect", "memory", "1M",
                    "protect=0x1000-0x1fff", NULL);
  h = connected (s);
  memset (buf, 1, sizeof buf);
  is_int (nbd_pwrite (h, buf, 4096, 4096, 0), -1,
          "what nbdkit protects cannot be written");
  is_int (nbd_get_errno (), EPERM, "because of EPERM");
  is_int (nbd_pwrite (h, buf, 4096, 8192, 0), 0, "what is behind it can");
  is_int (nbd_pwrite (h, buf, 4096, 0, 0), 0, "and what is before it");
  disconnect (h);
  server_stop (s);
}

/* Requests beyond the end. */
static void
check_bounds (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "memory", "1M",
                                   NULL);
  struct nbd_handle *h = connected (s);

  is_int (nbd_pread (h, buf, 2, DISK_SIZE - 1, 0), -1,
          "a read beyond the end is refused");
  is_int (nbd_get_errno (), EINVAL, "with EINVAL");
  is_int (nbd_pwrite (h, buf, 2, DISK_SIZE - 1, 0), -1,
          "a write beyond the end is refused");
  is_int (nbd_get_errno (), ENOSPC, "with ENOSPC");
  is_int (nbd_pread (h, buf, 1, UINT64_MAX, 0), -1,
          "a read that would overflow is refused");
  is_int (nbd_get_errno (), EINVAL, "with EINVAL");
  is_int (nbd_pread (h, buf, 0, 0, 0), -1, "a read of nothing is refused");
  is_int (nbd_get_errno (), EINVAL, "with EINVAL");
  MUST (nbd_set_strict_mode (h, LIBNBD_STRICT_AUTO_FLAG));
  is_int (nbd_pread (h, buf, 2, DISK_SIZE - 1, 0), -1,
          "nbdkit refuses the read, too");
  is_int (nbd_get_errno (), EINVAL, "with EINVAL");
  is_int (nbd_pwrite (h, buf, 2, DISK_SIZE - 1, 0), -1,
          "and the write, whose payload it takes");
  is_int (nbd_get_errno (), ENOSPC, "with ENOSPC");
  is_int (nbd_pread (h, buf, 1, DISK_SIZE - 1, 0), 0,
          "the last byte can be read");
  disconnect (h);
  server_stop (s);
}

/* The message of nbd_get_error is that of the thread, and stays. */
static void
check_error_stays (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "--filter=error",
                                   "memory", "1M", "error-pwrite=ENOSPC",
                                   "error-pwrite-rate=100%", NULL);
  struct nbd_handle *h = connected (s);
  char *first;

  is_int (nbd_pwrite (h, buf, 512, 0, 0), -1, "a write fails");
  first = strdup (nbd_get_error ());
  MUST_BE (first);
  is_int (nbd_pread (h, buf, 512, 0, 0), 0, "a read succeeds");
  is_str (nbd_get_error (), first, "the error is still that of the write");
  is_int (nbd_get_errno (), ENOSPC, "and so is its number");
  free (first);
  disconnect (h);
  server_stop (s);
}

int
main (void)
{
  static const char *const filters[] = {
    "--filter=error", "--filter=nozero", "--filter=fua", "--filter=nocache",
    "--filter=protect",
  };

  for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
    server_require ("nbdkit", filters[i], "memory", "--dump-plugin", NULL);
  server_require ("nbdkit", "eval", "--dump-plugin", NULL);
  server_require ("nbdkit", "pattern", "--dump-plugin", NULL);
  tap_begin ();
  check_every_error ();
  check_some_errors ();
  check_features ();
  check_bounds ();
  check_error_stays ();
  return tap_end ();
}
