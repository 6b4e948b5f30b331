/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The handshake up to the first option: which of the three forms of the
 * protocol the server speaks; see "Handshake" in the specification.
 */

#include "config.h"

#include <errno.h>

#include "internal.h"

void
handshake_magic (struct nbd_handle *h, struct reader *r)
{
  uint64_t magic = read_u64 (r), version = read_u64 (r);

  h->stats.chunks_received++;
  if (magic != NBD_MAGIC)
    fail (h, 0, "handshake: server did not send expected NBD magic");
  else if (version == NBD_NEW_VERSION)
    expect (h, STATE_HANDSHAKE_FLAGS, NULL, 0);
  else if (version == NBD_OLD_VERSION)
    expect (h, STATE_OLDSTYLE, NULL, 0);
  else
    fail (h, 0, "handshake: server is not either an oldstyle or fixed "
          "newstyle NBD server");
}

/* Where TLS is impossible it must not be required. */
static bool
may_be_plain (struct nbd_handle *h, const char *what)
{
  if (h->tls.mode != LIBNBD_TLS_REQUIRE)
    return true;
  fail (h, ENOTSUP, "handshake: server is %s, but handle TLS setting is "
        "'require' (2)", what);
  return false;
}

void
handshake_oldstyle (struct nbd_handle *h, struct reader *r)
{
  uint64_t size = read_u64 (r);
  uint32_t flags = read_u32 (r);

  h->protocol = "oldstyle";
  if (!may_be_plain (h, "oldstyle"))
    return;
  /* The upper half of the flags is for newstyle; the 124 bytes that follow are
   * reserved.
   */
  if (flags >> 16)
    fail (h, 0, "handshake: oldstyle server should not set gflags");
  else if (export_set (h, size, flags))
    reply_expect (h);
}

void
handshake_flags (struct nbd_handle *h, struct reader *r)
{
  uint16_t server_flags = read_u16 (r);
  uint8_t buf[4];
  struct writer w = writer_init (buf, sizeof buf);

  h->client_flags = server_flags & h->handshake_flags;
  h->protocol = server_flags & NBD_FLAG_FIXED_NEWSTYLE &&
    h->client_flags & NBD_FLAG_FIXED_NEWSTYLE ? "newstyle-fixed" : "newstyle";
  if (!(h->client_flags & NBD_FLAG_FIXED_NEWSTYLE) &&
      !may_be_plain (h, "not using fixed newstyle"))
    return;
  write_u32 (&w, h->client_flags);
  if (queue_push (h, buf, w.n, false) == -1)
    fail (h, errno, "malloc");
  else
    option_begin (h);
}
