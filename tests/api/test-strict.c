/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is refused before it is sent: each mistake on its own, which setting
 * lets it pass, what is sent then, and which mistake speaks when there are
 * several.
 */

#include "config.h"

#include <errno.h>

#include "calls.h"
#include "peer.h"
#include "tap.h"

#define GIB (UINT64_C (1) << 30)
#define MIB (UINT64_C (1) << 20)

/* A call and the connection that it is made on. */
struct situation {
  const struct data_call *call;
  struct offer offer;
  uint64_t count, offset;
  uint32_t flags;
  bool manual;                  /* the caller sets PAYLOAD_LEN */
  bool disconnected;            /* NBD_CMD_DISC was sent */
};

/* All is well. */
static struct situation
good_situation (const struct data_call *call)
{
  struct situation s = { .call = call, .offer = everything, .count = 512 };

  s.offer.size = 16 * GIB;
  s.offer.minimum = 512;
  s.offer.preferred = 4096;
  s.offer.maximum = UINT32_MAX;
  if (!call->filter)
    s.offer.replies = STRUCTURED;
  return s;
}

/* The mistakes that can be made, in the order in which they speak. */

struct fault {
  const char *name;
  uint32_t strict;              /* the setting that lets it pass; 0: none */
  bool (*applies) (const struct data_call *call);
  void (*make) (struct situation *s);
  int errnum;
  const char *text;             /* with %s: the operation; %x: the flags */
};

static bool
any (const struct data_call *call)
{
  (void) call;
  return true;
}

static bool
has_range (const struct data_call *call)
{
  return call->type != NBD_CMD_FLUSH;
}

static bool
writes (const struct data_call *call)
{
  return call->type == NBD_CMD_WRITE || call->type == NBD_CMD_TRIM ||
    call->type == NBD_CMD_WRITE_ZEROES;
}

static bool
reads (const struct data_call *call)
{
  return has_range (call) && !writes (call);
}

static bool
is_write (const struct data_call *call)
{
  return call->type == NBD_CMD_WRITE;
}

static bool
is_zero (const struct data_call *call)
{
  return call->type == NBD_CMD_WRITE_ZEROES;
}

static bool
is_block_status (const struct data_call *call)
{
  return call->type == NBD_CMD_BLOCK_STATUS;
}

static bool
is_filter (const struct data_call *call)
{
  return call->filter;
}

static bool
has_df (const struct data_call *call)
{
  return call->flags & LIBNBD_CMD_FLAG_DF;
}

static bool
has_payload (const struct data_call *call)
{
  return call->type == NBD_CMD_READ || is_write (call);
}

/* Its length is all that is large. */
static bool
is_only_long (const struct data_call *call)
{
  return has_range (call) && !has_payload (call) && !call->filter;
}

static uint16_t
needed_flag (const struct data_call *call)
{
  switch (call->type) {
  case NBD_CMD_FLUSH: return NBD_FLAG_SEND_FLUSH;
  case NBD_CMD_TRIM: return NBD_FLAG_SEND_TRIM;
  case NBD_CMD_CACHE: return NBD_FLAG_SEND_CACHE;
  case NBD_CMD_WRITE_ZEROES: return NBD_FLAG_SEND_WRITE_ZEROES;
  default: return 0;
  }
}

static bool
must_be_advertised (const struct data_call *call)
{
  return needed_flag (call) != 0;
}

static void
make_unknown_flag (struct situation *s)
{
  s->flags |= 0x80;
}

static void
make_simple (struct situation *s)
{
  s->offer.replies = SIMPLE;
}

static void
make_no_context (struct situation *s)
{
  s->offer.context = NULL;
}

static void
make_not_advertised (struct situation *s)
{
  s->offer.flags &= ~needed_flag (s->call);
}

static void
make_read_only (struct situation *s)
{
  s->offer.flags |= NBD_FLAG_READ_ONLY;
}

static void
make_fua (struct situation *s)
{
  s->offer.flags &= ~NBD_FLAG_SEND_FUA;
  s->flags |= LIBNBD_CMD_FLAG_FUA;
}

static void
make_fast_zero (struct situation *s)
{
  s->offer.flags &= ~NBD_FLAG_SEND_FAST_ZERO;
  s->flags |= LIBNBD_CMD_FLAG_FAST_ZERO;
}

static void
make_df (struct situation *s)
{
  s->offer.flags &= ~NBD_FLAG_SEND_DF;
  s->flags |= LIBNBD_CMD_FLAG_DF;
}

static void
make_wrong_payload_flag (struct situation *s)
{
  s->manual = true;
  s->flags |= LIBNBD_CMD_FLAG_PAYLOAD_LEN;
}

static void
make_no_filter (struct situation *s)
{
  s->offer.flags &= ~NBD_FLAG_BLOCK_STATUS_PAYLOAD;
}

static void
make_no_payload_flag (struct situation *s)
{
  s->manual = true;
}

static void
make_disconnected (struct situation *s)
{
  s->disconnected = true;
}

static void
make_empty (struct situation *s)
{
  s->count = 0;
}

static void
make_out_of_bounds (struct situation *s)
{
  s->offset += s->offer.size;
}

static void
make_unaligned (struct situation *s)
{
  s->offset++;
}

static void
make_above_maximum (struct situation *s)
{
  s->offer.maximum = MIB;
  if (s->count <= MIB)
    s->count = MIB + 512;
}

static void
make_above_64m (struct situation *s)
{
  s->count = MAX_COUNT + 512;
}

static void
make_above_32_bits (struct situation *s)
{
  s->count = UINT64_C (1) << 32;
}

#define COMMANDS LIBNBD_STRICT_COMMANDS
#define TOO_LARGE "request too large: maximum request size is "

static const struct fault faults[] = {
  { "an unknown flag", LIBNBD_STRICT_FLAGS, any, make_unknown_flag, EINVAL,
    "flags: invalid value for flag: 0x%x" },
  { "a connection without structured replies", COMMANDS, is_block_status,
    make_simple, ENOTSUP, "server does not support structured replies" },
  { "a connection without meta contexts", COMMANDS, is_block_status,
    make_no_context, ENOTSUP, "did not negotiate any metadata contexts, "
    "either you did not call nbd_add_meta_context before connecting or the "
    "server does not support it" },
  { "a command that is not advertised", COMMANDS, must_be_advertised,
    make_not_advertised, EINVAL, "server does not support %s operations" },
  { "a read-only export", COMMANDS, writes, make_read_only, EPERM,
    "server does not support write operations" },
  { "FUA that is not advertised", COMMANDS, writes, make_fua, EINVAL,
    "server does not support the FUA flag" },
  { "FAST_ZERO that is not advertised", COMMANDS, is_zero, make_fast_zero,
    EINVAL, "server does not support the fast zero flag" },
  { "DF that is not advertised", COMMANDS, has_df, make_df, EINVAL,
    "server does not support the DF flag" },
  { "PAYLOAD_LEN without extended headers", COMMANDS, is_write,
    make_wrong_payload_flag, EINVAL, "the PAYLOAD_LEN flag must be set with "
    "extended headers, and only there" },
  { "a filter that is not advertised", COMMANDS, is_filter, make_no_filter,
    EINVAL, "server does not support the block status payload" },
  { "a filter without PAYLOAD_LEN", COMMANDS, is_filter, make_no_payload_flag,
    EINVAL, "the PAYLOAD_LEN flag must be set" },
  { "a command after the last", 0, any, make_disconnected, EINVAL,
    "cannot request more commands after NBD_CMD_DISC" },
  { "a count of 0", LIBNBD_STRICT_ZERO_SIZE, has_range, make_empty, EINVAL,
    "count cannot be 0" },
  { "a range out of bounds", LIBNBD_STRICT_BOUNDS, reads, make_out_of_bounds,
    EINVAL, "request out of bounds" },
  { "a range out of bounds", LIBNBD_STRICT_BOUNDS, writes, make_out_of_bounds,
    ENOSPC, "request out of bounds" },
  { "an unaligned range", LIBNBD_STRICT_ALIGN, has_range, make_unaligned,
    EINVAL, "request is unaligned" },
  { "a payload above the server's maximum", LIBNBD_STRICT_PAYLOAD, is_write,
    make_above_maximum, ERANGE, TOO_LARGE "1048576" },
  { "a payload above 64 MiB", 0, has_payload, make_above_64m, ERANGE,
    TOO_LARGE "67108864" },
  { "a length above 32 bits", 0, is_only_long, make_above_32_bits, ERANGE,
    TOO_LARGE "4294967295" },
};

/* The whole message of FAULT. */
static void
describe (const struct situation *s, const struct fault *fault, char *text,
          size_t size)
{
  static const char *const operations[] = {
    [NBD_CMD_FLUSH] = "flush",
    [NBD_CMD_TRIM] = "trim",
    [NBD_CMD_CACHE] = "cache",
    [NBD_CMD_WRITE_ZEROES] = "zero",
  };
  char number[16];
  const char *percent = strchr (fault->text, '%');

  snprintf (number, sizeof number, "%x", s->flags);
  if (percent)
    snprintf (text, size, "%s: %.*s%s%s: %s", s->call->name,
              (int) (percent - fault->text), fault->text,
              percent[1] == 'x' ? number : operations[s->call->type],
              percent + 2, strerror (fault->errnum));
  else
    snprintf (text, size, "%s: %s: %s", s->call->name, fault->text,
              strerror (fault->errnum));
}

static bool
is_extended (const struct situation *s)
{
  return s->offer.replies == EXTENDED;
}

/* A peer on which the call is about to be made. */
static struct peer *
prepare (const struct situation *s, uint32_t strict)
{
  struct peer *p = peer_mute (&s->offer);

  if (s->manual)
    strict &= ~LIBNBD_STRICT_AUTO_FLAG;
  nbd_set_strict_mode (p->h, strict);
  nbd_set_pread_initialize (p->h, false);       /* for counts without memory */
  if (s->disconnected)
    nbd_aio_disconnect (p->h, 0);
  peer_sent (p);
  reset_tokens ();
  return p;
}

static bool
is_refused (const struct situation *s, uint32_t strict,
            const struct fault *fault)
{
  struct peer *p = prepare (s, strict);
  int64_t ret = s->call->run (p->h, s->count, s->offset, s->flags);
  char want[512];
  bool good;

  describe (s, fault, want, sizeof want);
  good = ret == -1 && nbd_get_errno () == fault->errnum &&
    strcmp (nbd_get_error (), want) == 0 && peer_sent (p).n == 0 &&
    tokens_freed_once (0) && nbd_aio_is_ready (p->h) == 1;
  if (!good) {
    note ("it returned %lld, in strict mode 0x%x", (long long) ret, strict);
    note ("got:  %s", nbd_get_error ());
    note ("want: %s", want);
  }
  peer_free (p);
  return good;
}

/* The first bytes of the request: its header, and the payload of a filter. */
static size_t
build_request (const struct situation *s, uint32_t flags, uint64_t length,
               uint8_t header[32])
{
  struct writer w = writer_init (header, 32);

  write_u32 (&w, is_extended (s) ? NBD_EXTENDED_REQUEST_MAGIC
             : NBD_REQUEST_MAGIC);
  write_u16 (&w, flags);
  write_u16 (&w, s->call->type);
  write_u64 (&w, 1);
  write_u64 (&w, has_range (s->call) ? s->offset : 0);
  write_uint (&w, length, is_extended (s) ? 8 : 4);
  return w.n;
}

/* The request is sent, with the flags SENT. */
static bool
is_sent_with (const struct situation *s, uint32_t strict, uint32_t sent)
{
  struct peer *p = prepare (s, strict);
  bool filtered = s->call->filter && is_extended (s) &&
    sent & LIBNBD_CMD_FLAG_PAYLOAD_LEN;
  uint64_t length = has_range (s->call) ? s->count : 0;
  uint8_t header[32], payload[12];
  struct writer w = writer_init (payload, sizeof payload);
  size_t n = build_request (s, sent, filtered ? sizeof payload : length,
                            header);
  struct reader r;
  const uint8_t *got;
  bool good;

  write_u64 (&w, s->count);
  write_u32 (&w, CONTEXT_ID);
  s->call->run (p->h, s->count, s->offset, s->flags);
  r = peer_sent (p);
  got = read_bytes (&r, n);
  good = got && memcmp (got, header, n) == 0;
  if (filtered)
    good = good && r.n == sizeof payload &&
      memcmp (r.p, payload, sizeof payload) == 0;
  else
    good = good && r.n == (is_write (s->call) ? s->count : 0);
  if (!good) {
    note ("in strict mode 0x%x, %zu bytes were sent: %s", strict,
          got ? n + r.n : r.n, nbd_get_error ());
    for (size_t i = 0; got && i < n; i++)
      if (got[i] != header[i])
        note ("byte %zu is %02x instead of %02x", i, got[i], header[i]);
  }
  peer_free (p);
  return good;
}

static bool
is_sent (const struct situation *s, uint32_t strict)
{
  uint32_t sent = s->flags;

  if (!s->manual && is_extended (s) && (s->call->filter || is_write (s->call)))
    sent |= LIBNBD_CMD_FLAG_PAYLOAD_LEN;
  return is_sent_with (s, strict, sent);
}

#define ALL LIBNBD_STRICT_MASK

static void
test_fault (const struct data_call *call, const struct fault *fault)
{
  struct situation s = good_situation (call);

  if (s.call->filter)
    s.manual = false;
  fault->make (&s);
  ok (is_refused (&s, ALL, fault), "%s refuses %s", call->name, fault->name);
  if (fault->strict == 0) {
    ok (is_refused (&s, LIBNBD_STRICT_AUTO_FLAG, fault),
        "%s refuses %s in any strict mode", call->name, fault->name);
    return;
  }
  ok (is_refused (&s, fault->strict | LIBNBD_STRICT_AUTO_FLAG, fault),
      "%s refuses %s by that check alone", call->name, fault->name);
  /* A filter must name a context that has an id. */
  if (call->filter && fault->make == make_no_context)
    return;
  ok (is_sent (&s, ALL & ~fault->strict),
      "%s sends %s as it is when that check is off", call->name, fault->name);
}

/* Make all the mistakes that apply, then mend them one by one. */
static void
test_order (const struct data_call *call)
{
  for (size_t first = 0; first < COUNT (faults); first++) {
    struct situation s = good_situation (call);

    if (!faults[first].applies (call))
      continue;
    for (size_t i = COUNT (faults); i-- > first; )
      if (faults[i].applies (call))
        faults[i].make (&s);
    ok (is_refused (&s, ALL, &faults[first]),
        "%s: %s speaks before the mistakes that come after it", call->name,
        faults[first].name);
  }
}

static void
test_call (const struct data_call *call)
{
  struct situation s = good_situation (call);

  ok (is_sent (&s, ALL), "%s sends what is in order", call->name);
  ok (is_sent (&s, LIBNBD_STRICT_AUTO_FLAG),
      "%s sends the same when nothing is checked", call->name);
  for (size_t i = 0; i < COUNT (faults); i++)
    if (faults[i].applies (call))
      test_fault (call, &faults[i]);
  test_order (call);
}

static const struct data_call *
find_call (const char *name)
{
  size_t i = 0;

  while (strcmp (data_calls[i].name, name) != 0)
    i++;
  return &data_calls[i];
}

static const struct fault *
find_fault (void (*make) (struct situation *s))
{
  size_t i = 0;

  while (faults[i].make != make)
    i++;
  return &faults[i];
}

/* Ranges at the edges. */
static void
test_edges (const struct data_call *call)
{
  const struct fault *bounds = find_fault (make_out_of_bounds);
  struct situation s = good_situation (call);

  while (!bounds->applies (call))
    bounds++;
  s.offer.minimum = 0;
  s.offset = s.offer.size - 512;
  ok (is_sent (&s, ALL), "%s can go up to the end of the export", call->name);
  s.offset++;
  ok (is_refused (&s, ALL, bounds), "%s cannot go one byte beyond it",
      call->name);
  s.offset = UINT64_MAX - 100;
  ok (is_refused (&s, ALL, bounds),
      "%s cannot go beyond it with an end that overflows", call->name);
  s.offset = UINT64_MAX;
  s.count = 1;
  ok (is_refused (&s, ALL, bounds),
      "%s cannot go beyond it with an end that is 0", call->name);
  s.offset = s.offer.size;
  s.count = 0;
  ok (is_sent (&s, ALL & ~LIBNBD_STRICT_ZERO_SIZE),
      "%s of nothing at the end of the export is within its bounds",
      call->name);
  s.offer.minimum = 512;
  s.offer.size += 100;
  s.offset = s.offer.size - 100;
  s.count = 100;
  ok (is_refused (&s, ALL, find_fault (make_unaligned)),
      "%s cannot reach an unaligned end of the export", call->name);
  s.offer.minimum = 0;
  s.offset = 1;
  s.count = 3;
  ok (is_sent (&s, ALL), "%s is never unaligned if the server gave no size",
      call->name);
}

static void
test_sizes (const struct data_call *call)
{
  struct situation s = good_situation (call);

  if (has_payload (call)) {
    s.count = MAX_COUNT;
    ok (is_sent (&s, ALL), "%s takes 64 MiB", call->name);
    s.offer.replies = EXTENDED;
    s.count++;
    ok (is_refused (&s, LIBNBD_STRICT_AUTO_FLAG, find_fault (make_above_64m)),
        "%s takes no byte more, with extended headers either", call->name);
  }
  else if (is_only_long (call)) {
    s.count = UINT32_MAX;
    ok (is_sent (&s, ALL & ~LIBNBD_STRICT_ALIGN),
        "%s takes the longest range of 32 bits", call->name);
    s.count = 5 * GIB;
    s.offer.replies = EXTENDED;
    ok (is_sent (&s, ALL), "%s takes more with extended headers", call->name);
    s.count = UINT64_MAX;
    ok (is_sent (&s, 0), "%s takes any count there when nothing is checked",
        call->name);
  }
}

/* How the server's maximum limits the payload that is sent. */
static void
test_payload (const char *name)
{
  static const struct {
    uint32_t maximum, limit;
    const char *words;
  } rows[] = {
    { 0, 32 * MIB, "no maximum" },
    { UINT32_MAX, 64 * MIB, "no limit" },
    { 128 * MIB, 64 * MIB, "128 MiB" },
    { 32 * MIB, 32 * MIB, "32 MiB" },
    { 2 * MIB, 2 * MIB, "2 MiB" },
    { MIB, MIB, "1 MiB" },
    { 65536, MIB, "64 KiB" },
  };

  for (size_t i = 0; i < COUNT (rows); i++) {
    struct situation s = good_situation (find_call (name));
    struct fault fault = *find_fault (make_above_maximum);
    char text[128];
    struct peer *p;

    s.offer.maximum = rows[i].maximum;
    if (rows[i].maximum == 0)
      s.offer.minimum = 0;
    snprintf (text, sizeof text, TOO_LARGE "%u", rows[i].limit);
    fault.text = text;
    s.count = rows[i].limit;
    ok (is_sent (&s, ALL), "%s: to a server that takes %s, %u bytes are sent",
        name, rows[i].words, rows[i].limit);
    s.count += 512;
    ok (is_refused (&s, ALL, &fault), "%s: and no more", name);
    p = peer_mute (&s.offer);
    is_int (nbd_get_block_size (p->h, LIBNBD_SIZE_PAYLOAD), rows[i].limit,
            "which is what LIBNBD_SIZE_PAYLOAD says");
    is_int (nbd_get_block_size (p->h, LIBNBD_SIZE_MAXIMUM), rows[i].maximum,
            "while LIBNBD_SIZE_MAXIMUM is what the server said");
    peer_free (p);
  }
}

static void
test_read_payload (const char *name)
{
  struct situation s = good_situation (find_call (name));

  s.offer.maximum = MIB;
  s.count = 2 * MIB;
  ok (is_sent (&s, ALL), "%s may ask for more than the server takes", name);
}

/* Who sets PAYLOAD_LEN: the library, or with AUTO_FLAG off the caller. */
static void
test_auto_flag (const char *name)
{
  static const uint32_t flag = LIBNBD_CMD_FLAG_PAYLOAD_LEN;
  static const uint32_t manual = ALL & ~LIBNBD_STRICT_AUTO_FLAG;
  struct situation s = good_situation (find_call (name));
  const struct fault *wrong = find_fault (make_wrong_payload_flag);

  for (enum replies replies = STRUCTURED; replies <= EXTENDED; replies++) {
    bool extended = replies == EXTENDED;
    const char *words = extended ? "with" : "without";

    s.offer.replies = replies;
    for (s.flags = 0; s.flags <= flag; s.flags += flag) {
      const char *given = s.flags ? "set" : "clear";

      ok (is_sent_with (&s, ALL, extended ? flag : 0),
          "%s %s extended headers: PAYLOAD_LEN given as %s is %s for the "
          "caller", name, words, given, extended ? "set" : "cleared");
      ok (is_sent_with (&s, LIBNBD_STRICT_AUTO_FLAG, extended ? flag : 0),
          "%s %s extended headers: so it is when nothing is checked", name,
          words);
      if (extended == (s.flags != 0))
        ok (is_sent_with (&s, manual, s.flags),
            "%s %s extended headers: %s by hand, it is sent", name, words,
            given);
      else
        ok (is_refused (&s, manual, wrong),
            "%s %s extended headers: %s by hand, it is refused", name, words,
            given);
      ok (is_sent_with (&s, manual & ~LIBNBD_STRICT_COMMANDS, s.flags),
          "%s %s extended headers: %s by hand, unchecked, it is sent", name,
          words, given);
    }
  }
}

static void
test_filter_flag (const char *name)
{
  static const uint32_t flag = LIBNBD_CMD_FLAG_PAYLOAD_LEN;
  static const uint32_t manual = ALL & ~LIBNBD_STRICT_AUTO_FLAG;
  struct situation s = good_situation (find_call (name));

  ok (is_sent_with (&s, ALL, flag), "%s: PAYLOAD_LEN is set for the caller",
      name);
  ok (is_refused (&s, manual, find_fault (make_no_payload_flag)),
      "%s: by hand, it must be set", name);
  ok (is_sent_with (&s, manual & ~LIBNBD_STRICT_COMMANDS, 0),
      "%s: unchecked, it is sent without a filter", name);
  s.flags = flag;
  ok (is_sent_with (&s, manual, flag), "%s: set by hand, it is sent", name);
  s.offer.replies = STRUCTURED;
  s.flags = 0;
  ok (is_refused (&s, ALL, find_fault (make_no_filter)),
      "%s needs extended headers", name);
  s.flags = flag;
  ok (is_sent_with (&s, ALL & ~LIBNBD_STRICT_COMMANDS, 0),
      "%s: unchecked and without them, PAYLOAD_LEN is cleared", name);
  ok (is_sent_with (&s, manual & ~LIBNBD_STRICT_COMMANDS, flag),
      "%s: unchecked and without them, by hand it is sent", name);
}

/* The contexts of a filter. */
static void
test_filter_names (void)
{
  char known[] = "base:allocation", unknown[] = "x:y";
  char *both[] = { known, unknown, NULL }, *twice[] = { known, known, NULL };
  struct offer offer = everything;
  struct peer *p = peer_mute (&offer);
  struct reader r;

  reset_tokens ();
  is_int (nbd_aio_block_status_filter (p->h, 512, 0, both, token_extent64 (),
                                       token_completion (), 0), -1,
          "a filter cannot name a context that was not negotiated");
  is_int (nbd_get_errno (), EINVAL, "the error is EINVAL");
  is_str (nbd_get_error (), "nbd_aio_block_status_filter: meta context 'x:y' "
          "was not negotiated: Invalid argument", "which names the context");
  ok (tokens_freed_once (0) && peer_sent (p).n == 0,
      "its callbacks are freed once and nothing is sent");
  is_int (nbd_aio_block_status_filter (p->h, 512, 0, twice, token_extent64 (),
                                       token_completion (), 0), 1,
          "the refused call used up no cookie");
  r = peer_sent (p);
  is_int (r.n, 32 + 8 + 4 + 4, "each name is sent as an id");
  peer_free (p);

  offer.context = NULL;
  p = peer_mute (&offer);
  nbd_set_strict_mode (p->h, 0);
  both[1] = NULL;
  ok (nbd_block_status_filter (p->h, 512, 0, both, token_extent64 (), 0) == -1
      || peer_sent (p).n > 0,
      "without contexts and checks, a filter is refused or sent unfiltered");
  peer_free (p);
}

int
main (void)
{
  tap_begin ();
  for (size_t i = 0; i < NR_DATA_CALLS; i++) {
    test_call (&data_calls[i]);
    test_sizes (&data_calls[i]);
    if (has_range (&data_calls[i]))
      test_edges (&data_calls[i]);
  }
  test_payload ("nbd_pwrite");
  test_payload ("nbd_aio_pwrite");
  test_read_payload ("nbd_pread");
  test_read_payload ("nbd_aio_pread");
  test_read_payload ("nbd_pread_structured");
  test_read_payload ("nbd_aio_pread_structured");
  test_auto_flag ("nbd_pwrite");
  test_auto_flag ("nbd_aio_pwrite");
  test_filter_flag ("nbd_block_status_filter");
  test_filter_flag ("nbd_aio_block_status_filter");
  test_filter_names ();
  return tap_end ();
}
