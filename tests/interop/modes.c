/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The forms of the protocol that nbdkit speaks, and what is negotiated in
 * them: handshake flags, options one by one, block sizes.
 */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

#define MIB ((uint64_t) 1 << 20)

static uint64_t seed = 6;
static uint8_t data[65536], back[sizeof data];

/* One case: reads and writes work. */
static void
check_data (struct nbd_handle *h, const char *what)
{
  bool good = true;

  for (unsigned i = 0; good && i < 4; i++) {
    fill_random (&seed, data, sizeof data);
    MUST (nbd_pwrite (h, data, sizeof data, i * sizeof data, 0));
    memset (back, 0xa5, sizeof back);
    MUST (nbd_pread (h, back, sizeof back, i * sizeof data, 0));
    good = memcmp (data, back, sizeof data) == 0;
  }
  ok (good, "%s: data reads back as written", what);
}

static int
ignore_name (void *opaque, const char *name)
{
  (void) opaque;
  (void) name;
  return 0;
}

static int
ignore_chunk (void *opaque, const void *p, size_t n, uint64_t offset,
              unsigned status, int *error)
{
  (void) p;
  (void) n;
  (void) offset;
  (void) error;
  if (status == LIBNBD_READ_DATA)
    ++*(unsigned *) opaque;
  return 0;
}

static void
check_oldstyle (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "--oldstyle",
                                   "memory", "1M", NULL);
  struct nbd_handle *h = connected (s);
  unsigned chunks = 0;

  is_str (nbd_get_protocol (h), "oldstyle", "nbdkit speaks the oldstyle");
  is_int (nbd_get_size (h), MIB, "oldstyle: the size is right");
  is_int (nbd_get_structured_replies_negotiated (h), 0,
          "oldstyle: there are no structured replies");
  is_int (nbd_get_extended_headers_negotiated (h), 0,
          "oldstyle: nor extended headers");
  is_int (nbd_can_df (h), 0, "oldstyle: nor DF");
  is_int (nbd_can_trim (h), 1, "oldstyle: there is trim");
  is_int (nbd_can_zero (h), 1, "oldstyle: there is zero");
  is_int (nbd_get_block_size (h, LIBNBD_SIZE_MINIMUM), 0,
          "oldstyle: no block size is known");
  check_data (h, "oldstyle");
  is_int (nbd_pread_structured (h, back, 1000, 0,
                                (nbd_chunk_callback) {
                                  .callback = ignore_chunk,
                                  .user_data = &chunks }, 0), 0,
          "oldstyle: a read in pieces succeeds");
  is_int (chunks, 1, "oldstyle: in one piece");
  /* nbdkit 1.32 advertises more commands than these, and then refuses them. */
  disconnect (h);

  /* There is nothing to negotiate. */
  h = new_handle ();
  MUST (nbd_set_opt_mode (h, true));
  MUST (nbd_set_export_name (h, "no names"));
  MUST (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  must_connect (s, h);
  is_int (nbd_aio_is_ready (h), 1, "oldstyle: opt mode does not pause");
  is_int (nbd_opt_go (h), -1, "oldstyle: an option cannot be sent");
  is_int (nbd_get_errno (), EINVAL, "oldstyle: because of the state");
  is_int (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION), 0,
          "oldstyle: there are no meta contexts");
  check_data (h, "oldstyle in opt mode");
  disconnect (h);

  server_stop (s);
}

/* Which protocol results from the flags of the two sides. */
static void
check_handshake_flags (void)
{
  static const char *const masks[] = {
    "--mask-handshake=0", "--mask-handshake=1", "--mask-handshake=2",
    "--mask-handshake=3",
  };

  for (uint32_t theirs = 0; theirs < 4; theirs++) {
    struct server *s = server_start (SERVER_UNIX, "nbdkit", masks[theirs],
                                     "memory", "1M", NULL);

    for (uint32_t ours = 0; ours < 4; ours++) {
      struct nbd_handle *h = new_handle ();
      bool fixed = theirs & ours & LIBNBD_HANDSHAKE_FLAG_FIXED_NEWSTYLE;
      char what[64];

      snprintf (what, sizeof what, "flags 0x%x and 0x%x", theirs, ours);
      MUST (nbd_set_handshake_flags (h, ours));
      must_connect (s, h);
      is_str (nbd_get_protocol (h), fixed ? "newstyle-fixed" : "newstyle",
              "%s: the protocol is right", what);
      is_int (nbd_get_structured_replies_negotiated (h), fixed,
              "%s: structured replies need fixed newstyle", what);
      is_int (nbd_get_size (h), MIB, "%s: the size is right", what);
      check_data (h, what);
      disconnect (h);

      h = new_handle ();
      MUST (nbd_set_handshake_flags (h, ours));
      MUST (nbd_set_opt_mode (h, true));
      must_connect (s, h);
      is_int (nbd_aio_is_negotiating (h), 1, "%s: opt mode pauses", what);
      is_int (nbd_opt_info (h), fixed ? 0 : -1,
              "%s: options need fixed newstyle", what);
      if (!fixed)
        is_int (nbd_get_errno (), ENOTSUP, "%s: else ENOTSUP", what);
      is_int (nbd_opt_go (h), 0, "%s: opt_go succeeds", what);
      is_int (nbd_get_size (h), MIB, "%s: and the size is right", what);
      disconnect (h);
    }
    server_stop (s);
  }
}

/* Structured replies, asked for or not, by default or one option at a time. */
static void
check_structured_replies (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "memory", "1M",
                                   NULL);
  struct server *simple = server_start (SERVER_UNIX, "nbdkit", "--no-sr",
                                        "memory", "1M", NULL);
  struct nbd_handle *h = connected (s);
  int r;

  is_int (nbd_get_structured_replies_negotiated (h), 1,
          "structured replies are the default");
  is_int (nbd_can_df (h), 1, "DF comes with them");
  check_data (h, "structured replies");
  disconnect (h);

  h = new_handle ();
  MUST (nbd_set_request_structured_replies (h, false));
  MUST (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  must_connect (s, h);
  is_int (nbd_get_structured_replies_negotiated (h), 0,
          "structured replies can be switched off");
  is_int (nbd_get_extended_headers_negotiated (h), 0,
          "then there are no extended headers either");
  is_int (nbd_can_df (h), 0, "nor DF");
  is_int (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION), 0,
          "nor meta contexts");
  check_data (h, "simple replies");
  disconnect (h);

  h = connected (simple);
  is_int (nbd_get_structured_replies_negotiated (h), 0,
          "a server may have no structured replies");
  check_data (h, "a server without structured replies");
  disconnect (h);

  h = new_handle ();
  MUST (nbd_set_opt_mode (h, true));
  MUST (nbd_set_request_structured_replies (h, false));
  MUST (nbd_set_request_meta_context (h, false));
  must_connect (s, h);
  is_int (nbd_get_structured_replies_negotiated (h), 0,
          "in opt mode there are none at first");
  r = nbd_opt_extended_headers (h);
  ok (r == 0 || r == 1, "extended headers are refused or agreed to");
  is_int (nbd_get_extended_headers_negotiated (h), r, "as can be asked");
  is_int (nbd_opt_structured_reply (h), r ? 0 : 1,
          "structured replies are agreed to, unless they are used already");
  is_int (nbd_get_structured_replies_negotiated (h), 1, "then they are used");
  is_int (nbd_opt_set_meta_context_queries (
            h, (char *[]) { (char *) LIBNBD_CONTEXT_BASE_ALLOCATION, NULL },
            (nbd_context_callback) { .callback = ignore_name }), 1,
          "a meta context can be set");
  is_int (nbd_opt_go (h), 0, "opt_go succeeds");
  is_int (nbd_can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION), 1,
          "and the meta context is still set");
  check_data (h, "options one by one");
  disconnect (h);

  h = new_handle ();
  MUST (nbd_set_opt_mode (h, true));
  must_connect (simple, h);
  is_int (nbd_opt_structured_reply (h), 0, "a server can refuse the option");
  is_int (nbd_opt_go (h), 0, "and opt_go succeeds nevertheless");
  check_data (h, "after a refusal");
  disconnect (h);

  server_stop (s);
  server_stop (simple);
}

/* Ways to end a negotiation, and to find out without ending it. */
static void
check_opt_mode (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "info",
                                   "exportname", NULL);
  struct nbd_handle *h = new_handle ();
  char *name;

  MUST (nbd_set_opt_mode (h, true));
  must_connect (s, h);
  is_int (nbd_aio_is_negotiating (h), 1, "opt mode pauses");
  is_int (nbd_aio_get_direction (h), 0, "then nothing is waited for");
  is_int (nbd_get_size (h), -1, "no export has a size yet");
  is_int (nbd_pread (h, back, 1, 0, 0), -1, "nor can it be read");
  MUST (nbd_set_export_name (h, "hello"));
  is_int (nbd_opt_info (h), 0, "information on an export");
  is_int (nbd_get_size (h), 5, "gives its size");
  is_int (nbd_is_read_only (h), 1, "and its flags");
  is_int (nbd_aio_is_negotiating (h), 1, "the negotiation goes on");
  MUST (nbd_set_export_name (h, "another"));
  is_int (nbd_get_size (h), -1, "of another export nothing is known");
  is_int (nbd_opt_go (h), 0, "but it can be gone to");
  is_int (nbd_get_size (h), 7, "it has another size");
  is_int (nbd_pread (h, back, 7, 0, 0), 0, "it can be read");
  ok (memcmp (back, "another", 7) == 0, "and is the other export");
  disconnect (h);

  h = new_handle ();
  MUST (nbd_set_opt_mode (h, true));
  must_connect (s, h);
  is_int (nbd_opt_abort (h), 0, "a negotiation can be aborted");
  is_int (nbd_aio_is_closed (h), 1, "then the handle is closed");
  nbd_close (h);

  h = new_handle ();
  MUST (nbd_set_opt_mode (h, true));
  must_connect (s, h);
  is_int (nbd_shutdown (h, 0), 0, "nbd_shutdown aborts one, too");
  is_int (nbd_aio_is_closed (h), 1, "then the handle is closed");
  nbd_close (h);

  h = new_handle ();
  MUST (nbd_set_opt_mode (h, true));
  must_connect (s, h);
  nbd_close (h);
  ok (true, "and so does nbd_close");

  /* The longest name. */
  name = malloc (4098);
  MUST_BE (name);
  memset (name, 'n', 4097);
  name[4097] = '\0';
  h = new_handle ();
  is_int (nbd_set_export_name (h, name), -1, "a name can be too long");
  is_int (nbd_get_errno (), ENAMETOOLONG, "the error is ENAMETOOLONG");
  name[4096] = '\0';
  for (unsigned i = 0; i < 4096; i++)
    name[i] = 'a' + i % 26;
  is_int (nbd_set_export_name (h, name), 0, "a name may have 4096 bytes");
  must_connect (s, h);
  is_int (nbd_get_size (h), 4096, "nbdkit receives all of them");
  is_int (nbd_pread (h, back, 4096, 0, 0), 0, "and sends them back");
  ok (memcmp (back, name, 4096) == 0, "unchanged");
  disconnect (h);
  free (name);
  server_stop (s);
}

static void
check_full_info (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit",
                                   "--filter=exportname", "memory", "1M",
                                   "default-export=the default",
                                   "exportname-list=explicit",
                                   "exportname=the default",
                                   "exportdesc=fixed:What it is", NULL);
  struct nbd_handle *h = new_handle ();
  char *text;

  MUST (nbd_set_full_info (h, true));
  must_connect (s, h);
  text = nbd_get_canonical_export_name (h);
  is_str (text, "the default", "full info: the name is that of the default");
  free (text);
  text = nbd_get_export_description (h);
  is_str (text, "What it is", "full info: there is a description");
  free (text);
  disconnect (h);

  h = connected (s);
  is_str (nbd_get_canonical_export_name (h), NULL,
          "without full info there is no name");
  is_int (nbd_get_errno (), ENOTSUP, "the error is ENOTSUP");
  is_str (nbd_get_export_description (h), NULL, "nor a description");
  is_int (nbd_get_errno (), ENOTSUP, "the error is ENOTSUP");
  disconnect (h);
  server_stop (s);
}

/* Block sizes, and requests that do not respect them. */

static int
read_at (struct nbd_handle *h, size_t n, uint64_t offset)
{
  return nbd_pread (h, back, n, offset, 0);
}

static int
write_at (struct nbd_handle *h, size_t n, uint64_t offset)
{
  return nbd_pwrite (h, data, n, offset, 0);
}

static int
zero_at (struct nbd_handle *h, size_t n, uint64_t offset)
{
  return nbd_zero (h, n, offset, 0);
}

static int
trim_at (struct nbd_handle *h, size_t n, uint64_t offset)
{
  return nbd_trim (h, n, offset, 0);
}

static int
cache_at (struct nbd_handle *h, size_t n, uint64_t offset)
{
  return nbd_cache (h, n, offset, 0);
}

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

static int
status_at (struct nbd_handle *h, size_t n, uint64_t offset)
{
  return nbd_block_status (h, n, offset,
                           (nbd_extent_callback) {
                             .callback = ignore_extents }, 0);
}

static const struct {
  const char *name;
  int (*call) (struct nbd_handle *h, size_t n, uint64_t offset);
} calls[] = {
  { "nbd_pread", read_at }, { "nbd_pwrite", write_at },
  { "nbd_zero", zero_at }, { "nbd_trim", trim_at },
  { "nbd_cache", cache_at }, { "nbd_block_status", status_at },
};

static void
check_alignment (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit",
                                   "--filter=blocksize-policy", "memory",
                                   "1M", "blocksize-minimum=4096",
                                   "blocksize-preferred=8192",
                                   "blocksize-maximum=65536",
                                   "blocksize-error-policy=error", NULL);
  struct nbd_handle *h = new_handle ();

  MUST (nbd_add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION));
  must_connect (s, h);
  is_int (nbd_get_block_size (h, LIBNBD_SIZE_MINIMUM), 4096,
          "the minimum block size is known");
  is_int (nbd_get_block_size (h, LIBNBD_SIZE_PREFERRED), 8192,
          "and the preferred one");
  is_int (nbd_get_block_size (h, LIBNBD_SIZE_MAXIMUM), 65536,
          "and the maximum");
  is_int (nbd_get_block_size (h, LIBNBD_SIZE_PAYLOAD), MIB,
          "the limit of a payload is at least 1 MiB");
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    const char *name = calls[i].name;
    uint64_t chunks;

    is_int (calls[i].call (h, 4096, 4096), 0, "%s: a block succeeds", name);
    is_int (calls[i].call (h, 65536, 65536), 0,
            "%s: the maximum succeeds", name);
    chunks = nbd_stats_chunks_sent (h);
    is_int (calls[i].call (h, 4095, 4096), -1,
            "%s: an unaligned length is refused", name);
    is_int (nbd_get_errno (), EINVAL, "%s: with EINVAL", name);
    is_int (calls[i].call (h, 4096, 1), -1,
            "%s: an unaligned offset is refused", name);
    is_int (nbd_get_errno (), EINVAL, "%s: with EINVAL", name);
    is_int (nbd_stats_chunks_sent (h), chunks, "%s: nothing is sent", name);

    MUST (nbd_set_strict_mode (h, LIBNBD_STRICT_MASK &
                               ~LIBNBD_STRICT_ALIGN));
    is_int (calls[i].call (h, 4096, 1), -1,
            "%s: nbdkit refuses it, too", name);
    is_int (nbd_get_errno (), EINVAL, "%s: with EINVAL", name);
    is_int (nbd_stats_chunks_sent (h), chunks + 1, "%s: it was sent", name);
    MUST (nbd_set_strict_mode (h, LIBNBD_STRICT_MASK));
  }
  is_int (nbd_flush (h, 0), 0, "nbd_flush has no alignment");
  disconnect (h);

  h = new_handle ();
  MUST (nbd_set_request_block_size (h, false));
  must_connect (s, h);
  for (int i = LIBNBD_SIZE_MINIMUM; i <= LIBNBD_SIZE_MAXIMUM; i++)
    is_int (nbd_get_block_size (h, i), 0,
            "block sizes that were not asked for are unknown");
  is_int (nbd_get_block_size (h, LIBNBD_SIZE_PAYLOAD), 32 * MIB,
          "then the limit of a payload is 32 MiB");
  is_int (nbd_pread (h, back, 1, 1, 0), -1,
          "and only the server refuses what is unaligned");
  is_int (nbd_get_errno (), EINVAL, "with EINVAL");
  disconnect (h);
  server_stop (s);
}

static void
check_payload (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit",
                                   "--filter=blocksize-policy", "memory",
                                   "128M", "blocksize-maximum=4M", NULL);
  struct nbd_handle *h = connected (s);
  uint8_t *p = calloc (1, 64 * MIB + 1);
  uint64_t chunks;

  MUST_BE (p);
  is_int (nbd_get_block_size (h, LIBNBD_SIZE_PAYLOAD), 4 * MIB,
          "the limit of a payload is that of the server");
  is_int (nbd_pwrite (h, p, 4 * MIB, 0, 0), 0, "which can be written");
  chunks = nbd_stats_chunks_sent (h);
  is_int (nbd_pwrite (h, p, 4 * MIB + 1, 0, 0), -1, "more is refused");
  is_int (nbd_get_errno (), ERANGE, "with ERANGE");
  is_int (nbd_stats_chunks_sent (h), chunks, "and not sent");
  MUST (nbd_set_strict_mode (h, LIBNBD_STRICT_MASK & ~LIBNBD_STRICT_PAYLOAD));
  is_int (nbd_pwrite (h, p, 4 * MIB + 1, 0, 0), 0,
          "but can be sent on request");
  is_int (nbd_pwrite (h, p, 64 * MIB, 0, 0), 0, "up to 64 MiB");
  is_int (nbd_pwrite (h, p, 64 * MIB + 1, 0, 0), -1, "and no more");
  is_int (nbd_get_errno (), ERANGE, "because of ERANGE");
  is_int (nbd_pread (h, p, 64 * MIB, 0, 0), 0, "64 MiB can be read");
  is_int (nbd_pread (h, p, 64 * MIB + 1, 0, 0), -1, "and no more");
  is_int (nbd_get_errno (), ERANGE, "because of ERANGE");
  free (p);
  disconnect (h);
  server_stop (s);
}

static void
check_multi_conn (void)
{
  struct server *s = server_start (SERVER_UNIX, "nbdkit", "memory", "1M",
                                   NULL);
  struct nbd_handle *a = connected (s), *b = connected (s);

  is_int (nbd_can_multi_conn (a), 1, "multi-conn is advertised");
  fill_random (&seed, data, sizeof data);
  MUST (nbd_pwrite (a, data, sizeof data, 0, 0));
  MUST (nbd_flush (a, 0));
  MUST (nbd_pread (b, back, sizeof back, 0, 0));
  ok (memcmp (data, back, sizeof data) == 0,
      "one connection reads what another wrote");
  disconnect (a);
  is_int (nbd_pread (b, back, sizeof back, 0, 0), 0,
          "closing one connection leaves the other open");
  disconnect (b);
  server_stop (s);

  s = server_start (SERVER_UNIX, "nbdkit", "--filter=multi-conn", "memory",
                    "1M", "multi-conn-mode=disable", NULL);
  a = connected (s);
  is_int (nbd_can_multi_conn (a), 0, "or it is not");
  disconnect (a);
  server_stop (s);
}

int
main (void)
{
  static const char *const filters[] = {
    "--filter=blocksize-policy", "--filter=exportname", "--filter=multi-conn",
  };

  for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
    server_require ("nbdkit", filters[i], "memory", "--dump-plugin", NULL);
  server_require ("nbdkit", "info", "--dump-plugin", NULL);
  tap_begin ();
  check_oldstyle ();
  check_handshake_flags ();
  check_structured_replies ();
  check_opt_mode ();
  check_full_info ();
  check_alignment ();
  check_payload ();
  check_multi_conn ();
  return tap_end ();
}
