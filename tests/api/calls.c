/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The functions of the API made alike, and the callbacks that they take. */

#include "config.h"

#include <stdlib.h>

#include "calls.h"

uint8_t call_buffer[CALL_SIZE];
uint8_t data_buffer[MAX_COUNT + 4096];
struct token tokens[MAX_TOKENS];
size_t nr_tokens;

void
reset_tokens (void)
{
  memset (tokens, 0, sizeof tokens);
  nr_tokens = 0;
}

bool
tokens_freed_once (unsigned most)
{
  for (size_t i = 0; i < nr_tokens; i++)
    if (tokens[i].freed != 1 || tokens[i].called > most)
      return false;
  return true;
}

static void *
new_token (void)
{
  if (nr_tokens == MAX_TOKENS)
    abort ();
  return &tokens[nr_tokens++];
}

static void
free_token (void *vp)
{
  struct token *t = vp;

  t->freed++;
}

static int
use (void *vp)
{
  struct token *t = vp;

  t->called++;
  return 0;
}

static int
chunk_cb (void *vp, const void *subbuf, size_t count, uint64_t offset,
          unsigned status, int *error)
{
  (void) subbuf;
  (void) count;
  (void) offset;
  (void) status;
  (void) error;
  return use (vp);
}

static int
completion_cb (void *vp, int *error)
{
  (void) error;
  return use (vp);
}

/* The trace calls as often as it likes. */
static int
debug_cb (void *vp, const char *context, const char *msg)
{
  (void) vp;
  (void) context;
  (void) msg;
  return 0;
}

static int
extent_cb (void *vp, const char *context, uint64_t offset, uint32_t *entries,
           size_t nr_entries, int *error)
{
  (void) context;
  (void) offset;
  (void) entries;
  (void) nr_entries;
  (void) error;
  return use (vp);
}

static int
extent64_cb (void *vp, const char *context, uint64_t offset,
             nbd_extent *entries, size_t nr_entries, int *error)
{
  (void) context;
  (void) offset;
  (void) entries;
  (void) nr_entries;
  (void) error;
  return use (vp);
}

static int
list_cb (void *vp, const char *name, const char *description)
{
  (void) name;
  (void) description;
  return use (vp);
}

static int
context_cb (void *vp, const char *name)
{
  (void) name;
  return use (vp);
}

#define MAKER(name, fn)                                                 \
  nbd_##name##_callback                                                 \
  token_##name (void)                                                   \
  {                                                                     \
    return (nbd_##name##_callback) { fn, new_token (), free_token };    \
  }

MAKER (chunk, chunk_cb)
MAKER (completion, completion_cb)
MAKER (debug, debug_cb)
MAKER (extent, extent_cb)
MAKER (extent64, extent64_cb)
MAKER (list, list_cb)
MAKER (context, context_cb)
MAKER (close, use)

int64_t
failure_value (enum failure failure)
{
  return failure == MINUS_ONE ? -1 : 0;
}

static int64_t
release (char *s)
{
  free (s);
  return s != NULL;
}

/* What is passed where one value is as good as another. */
static char *words[] = { (char *) "base:allocation", NULL };
static const struct sockaddr unknown_family = { .sa_family = 99 };

#define CREATED PHASE_CREATED
#define CONNECTING PHASE_CONNECTING
#define NEGOTIATING PHASE_NEGOTIATING
#define CONNECTED PHASE_CONNECTED
#define CLOSED PHASE_CLOSED
#define DEAD PHASE_DEAD
#define ANY PHASE_MASK
#define KNOWN (NEGOTIATING | CONNECTED | CLOSED)

#define RESULT_INT(v) (v)
#define RESULT_COUNT(v) ((int64_t) (v))
#define RESULT_TEXT(v) ((v) != NULL)
#define RESULT_STRING(v) release (v)

#define CALL(kind, name, states, ...)                           \
  static int64_t                                                \
  call_##name (struct nbd_handle *h)                            \
  {                                                             \
    return RESULT_##kind (nbd_##name (h, ##__VA_ARGS__));       \
  }

#include "calls.def"

#undef CALL

#define FAILURE_INT MINUS_ONE
#define FAILURE_COUNT NEVER
#define FAILURE_TEXT NO_STRING
#define FAILURE_STRING NO_STRING

#define CALL(kind, name, states, ...)                           \
  { "nbd_" #name, states, FAILURE_##kind, call_##name },

const struct call calls[] = {
#include "calls.def"
};

const size_t nr_calls = COUNT (calls);

/* The data commands, each in both forms. */

#define NONE NBD_NULL_COMPLETION
#define RANGE count, offset
#define BUFFER data_buffer, count, offset

#define DATA_CALLS                                                      \
  DATA (READ, pread, 0, BUFFER)                                         \
  DATA (READ, aio_pread, 0, BUFFER, NONE)                               \
  DATA (READ, pread_structured, DF, BUFFER, token_chunk ())             \
  DATA (READ, aio_pread_structured, DF, BUFFER, token_chunk (), NONE)   \
  DATA (WRITE, pwrite, FUA | PAYLOAD_LEN, BUFFER)                       \
  DATA (WRITE, aio_pwrite, FUA | PAYLOAD_LEN, BUFFER, NONE)             \
  DATA (FLUSH, flush, 0)                                                \
  DATA (FLUSH, aio_flush, 0, NONE)                                      \
  DATA (TRIM, trim, FUA, RANGE)                                         \
  DATA (TRIM, aio_trim, FUA, RANGE, NONE)                               \
  DATA (CACHE, cache, 0, RANGE)                                         \
  DATA (CACHE, aio_cache, 0, RANGE, NONE)                               \
  DATA (WRITE_ZEROES, zero, FUA | NO_HOLE | FAST_ZERO, RANGE)           \
  DATA (WRITE_ZEROES, aio_zero, FUA | NO_HOLE | FAST_ZERO, RANGE, NONE) \
  DATA (BLOCK_STATUS, block_status, REQ_ONE, RANGE, token_extent ())    \
  DATA (BLOCK_STATUS, aio_block_status, REQ_ONE, RANGE,                 \
        token_extent (), NONE)                                          \
  DATA (BLOCK_STATUS, block_status_64, REQ_ONE, RANGE,                  \
        token_extent64 ())                                              \
  DATA (BLOCK_STATUS, aio_block_status_64, REQ_ONE, RANGE,              \
        token_extent64 (), NONE)                                        \
  DATA (BLOCK_STATUS, block_status_filter, REQ_ONE | PAYLOAD_LEN,       \
        RANGE, words, token_extent64 ())                                \
  DATA (BLOCK_STATUS, aio_block_status_filter, REQ_ONE | PAYLOAD_LEN,   \
        RANGE, words, token_extent64 (), NONE)

enum {
  FUA = LIBNBD_CMD_FLAG_FUA,
  NO_HOLE = LIBNBD_CMD_FLAG_NO_HOLE,
  DF = LIBNBD_CMD_FLAG_DF,
  REQ_ONE = LIBNBD_CMD_FLAG_REQ_ONE,
  FAST_ZERO = LIBNBD_CMD_FLAG_FAST_ZERO,
  PAYLOAD_LEN = LIBNBD_CMD_FLAG_PAYLOAD_LEN,
};

#define DATA(type, name, valid, ...)                                    \
  static int64_t                                                        \
  data_##name (struct nbd_handle *h, uint64_t count, uint64_t offset,   \
               uint32_t flags)                                          \
  {                                                                     \
    (void) count;                                                       \
    (void) offset;                                                      \
    return nbd_##name (h, ##__VA_ARGS__, flags);                        \
  }

DATA_CALLS

#undef DATA
#define DATA(type, name, valid, ...)                                    \
  { "nbd_" #name, NBD_CMD_##type, valid, (valid) == (REQ_ONE | PAYLOAD_LEN), \
    data_##name },

const struct data_call data_calls[NR_DATA_CALLS] = { DATA_CALLS };
