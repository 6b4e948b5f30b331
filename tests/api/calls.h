/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every public function that takes a handle, in a form in which it can be
 * called without knowing it; the list is calls.def.
 */

#ifndef TESTS_CALLS_H
#define TESTS_CALLS_H

#include "internal.h"

/* What a function returns when it fails. */
enum failure { MINUS_ONE, NO_STRING, NEVER };

struct call {
  const char *name;
  unsigned states;              /* PHASE_*: where it is permitted */
  enum failure failure;
  /* Call it with parameters that are right.  Strings are freed, and become 1,
   * or 0 if NULL.
   */
  int64_t (*run) (struct nbd_handle *h);
};

extern const struct call calls[];
extern const size_t nr_calls;

/* The calls that send a data command, as if they all took the same.  Reads and
 * writes use data_buffer.
 */
struct data_call {
  const char *name;
  uint16_t type;
  uint32_t flags;               /* those that are valid for it */
  bool filter;                  /* it names meta contexts */
  int64_t (*run) (struct nbd_handle *h, uint64_t count, uint64_t offset,
                  uint32_t flags);
};

#define NR_DATA_CALLS 20
extern const struct data_call data_calls[NR_DATA_CALLS];

#define MAX_COUNT (64 * 1024 * 1024)
extern uint8_t data_buffer[MAX_COUNT + 4096];

/* What FAILURE is as a number. */
int64_t failure_value (enum failure failure);

/* The buffer of the calls that read. */
#define CALL_SIZE 512
extern uint8_t call_buffer[CALL_SIZE];

/* Callbacks that know how often they were called and freed. */
struct token {
  unsigned called, freed;
};

#define MAX_TOKENS 8
extern struct token tokens[MAX_TOKENS];
extern size_t nr_tokens;

/* Forget the tokens.  The callbacks of earlier calls must be gone. */
void reset_tokens (void);

/* Whether each callback since then was called at most MOST times and freed
 * once.
 */
bool tokens_freed_once (unsigned most);

nbd_chunk_callback token_chunk (void);
nbd_completion_callback token_completion (void);
nbd_debug_callback token_debug (void);
nbd_extent_callback token_extent (void);
nbd_extent64_callback token_extent64 (void);
nbd_list_callback token_list (void);
nbd_context_callback token_context (void);
nbd_close_callback token_close (void);

#endif /* TESTS_CALLS_H */
