/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the generated wrappers are made of: entering and leaving a call, the
 * checks that a row of the table states, and the trace of a call.
 */

#ifndef LIBNBD_CALL_H
#define LIBNBD_CALL_H

#include <string.h>

#include "internal.h"

/* True, with the error set, when there is no handle. */
bool call_no_handle (const struct nbd_handle *h, const char *function);

static inline void
call_enter (struct nbd_handle *h, const char *function)
{
  pthread_mutex_lock (&h->lock);
  h->function = function;
}

static inline void
call_leave (struct nbd_handle *h)
{
  engine_publish (h);
  pthread_mutex_unlock (&h->lock);
}

/* Each is true, with the error set, when the call must be refused. */
bool call_bad_state_error (struct nbd_handle *h, unsigned permitted);
bool call_null_error (struct nbd_handle *h, const char *name);
bool call_bad_enum (struct nbd_handle *h, const char *name, int value,
                    const int *values, size_t nr_values);
bool call_bad_flags (struct nbd_handle *h, const char *name, uint32_t flags,
                     uint32_t valid);
bool call_bad_command_flags_error (struct nbd_handle *h, uint32_t flags,
                                   uint32_t valid);

static inline bool
call_bad_state (struct nbd_handle *h, unsigned permitted)
{
  return unlikely (!(handle_phase (h) & permitted)) &&
    call_bad_state_error (h, permitted);
}

static inline bool
call_null (struct nbd_handle *h, const char *name, const void *p)
{
  return unlikely (p == NULL) && call_null_error (h, name);
}

static inline bool
call_null_closure (struct nbd_handle *h, const char *name, bool present)
{
  return unlikely (!present) && call_null_error (h, name);
}

/* The buffer of a read that is refused. */
static inline void
call_zero (struct nbd_handle *h, void *p, size_t n)
{
  if (h->pread_initialize && p != NULL)
    memset (p, 0, n);
}

/* A callback without a function is one that does nothing, as long as there is
 * something to free.
 */
#define CALLBACK_PRESENT(cb) ((cb).callback != NULL || (cb).free != NULL)

/* Command flags that are not VALID for the function are refused in strict
 * mode; those that the protocol cannot carry, always.
 */
static inline bool
call_bad_command_flags (struct nbd_handle *h, const char *name,
                        uint32_t flags, uint32_t valid)
{
  (void) name;
  return unlikely (flags & ~valid) &&
    call_bad_command_flags_error (h, flags, valid);
}

/* Settings that are strings. */
int call_set_string (struct nbd_handle *h, char **field, const char *value);
char *call_get_string (struct nbd_handle *h, const char *value);

/* The parameters of a call as one line of text. */
struct trace {
  FILE *fp;
  char *text;
  size_t size;
};

void trace_begin (struct trace *t);
void trace_bool (struct trace *t, const char *name, bool v);
void trace_int (struct trace *t, const char *name, int64_t v);
void trace_uint (struct trace *t, const char *name, uint64_t v);
void trace_flags (struct trace *t, const char *name, uint32_t v);
void trace_string (struct trace *t, const char *name, const char *v);
void trace_list (struct trace *t, const char *name, char **v);
void trace_buffer (struct trace *t, const char *name, const void *v);
void trace_address (struct trace *t, const char *name, const void *v);
void trace_closure (struct trace *t, const char *name, bool present);
void trace_enter (struct nbd_handle *h, struct trace *t);

/* What the call returns, or with FAILED its error. */
void trace_leave_int (struct nbd_handle *h, int64_t ret, bool failed);
void trace_leave_unsigned (struct nbd_handle *h, uint64_t ret, bool failed);
void trace_leave_string (struct nbd_handle *h, const char *ret, bool failed);
void trace_leave_text (struct nbd_handle *h, const char *ret, bool failed);
void trace_leave_void (struct nbd_handle *h, bool failed);

#endif /* LIBNBD_CALL_H */
