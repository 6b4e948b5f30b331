/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the golden wrappers use of the library's lib/call.h. */

#ifndef TESTS_GENERATOR_STUB_CALL_H
#define TESTS_GENERATOR_STUB_CALL_H

#include "internal.h"

bool call_no_handle (const struct nbd_handle *h, const char *function);
void call_enter (struct nbd_handle *h, const char *function);
void call_leave (struct nbd_handle *h);
bool call_bad_state (struct nbd_handle *h, unsigned permitted);
bool call_null (struct nbd_handle *h, const char *name, const void *p);
bool call_null_closure (struct nbd_handle *h, const char *name, bool present);
bool call_bad_enum (struct nbd_handle *h, const char *name, int value,
                    const int *values, size_t nr_values);
bool call_bad_flags (struct nbd_handle *h, const char *name, uint32_t flags,
                     uint32_t valid);
bool call_bad_command_flags (struct nbd_handle *h, const char *name,
                             uint32_t flags, uint32_t valid);
void call_zero (struct nbd_handle *h, void *p, size_t n);

#define CALLBACK_PRESENT(cb) ((cb).callback != NULL || (cb).free != NULL)

int call_set_string (struct nbd_handle *h, char **field, const char *value);
char *call_get_string (struct nbd_handle *h, const char *value);

struct trace {
  char *text;
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

void trace_leave_int (struct nbd_handle *h, int64_t ret, bool failed);
void trace_leave_unsigned (struct nbd_handle *h, uint64_t ret, bool failed);
void trace_leave_string (struct nbd_handle *h, const char *ret, bool failed);
void trace_leave_text (struct nbd_handle *h, const char *ret, bool failed);
void trace_leave_void (struct nbd_handle *h, bool failed);

#endif /* TESTS_GENERATOR_STUB_CALL_H */
