/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The slow side of the generated wrappers: refusals and tracing. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "call.h"

bool
call_no_handle (const struct nbd_handle *h, const char *function)
{
  if (likely (h != NULL))
    return false;
  error_set_for (function, EFAULT, "%s cannot be NULL", "h");
  return true;
}

bool
call_bad_state_error (struct nbd_handle *h, unsigned permitted)
{
  static const char *const words[] = {
    "newly created", "connecting", "negotiating", "connected with the server",
    "shut down", "dead",
  };
  char list[128] = "";
  size_t n = 0;

  for (size_t i = 0; i < COUNT (words); i++)
    if (permitted & (1u << i))
      n += snprintf (list + n, sizeof list - n, "%s%s", n ? ", or " : "",
                     words[i]);
  error_set (h, h->state == STATE_START ? ENOTCONN : EINVAL,
             "invalid state: %s: the handle must be %s",
             engine_row (h)->name, list);
  return true;
}

bool
call_null_error (struct nbd_handle *h, const char *name)
{
  error_set (h, EFAULT, "%s cannot be NULL", name);
  return true;
}

bool
call_bad_enum (struct nbd_handle *h, const char *name, int value,
               const int *values, size_t nr_values)
{
  for (size_t i = 0; i < nr_values; i++)
    if (values[i] == value)
      return false;
  error_set (h, EINVAL, "%s: invalid value for parameter: %d", name, value);
  return true;
}

bool
call_bad_flags (struct nbd_handle *h, const char *name, uint32_t flags,
                uint32_t valid)
{
  if (likely (!(flags & ~valid)))
    return false;
  error_set (h, EINVAL, "%s: invalid value for flag: 0x%x", name, flags);
  return true;
}

bool
call_bad_command_flags_error (struct nbd_handle *h, uint32_t flags,
                              uint32_t valid)
{
  if (!(h->strict_mode & LIBNBD_STRICT_FLAGS))
    valid = UINT16_MAX;
  return call_bad_flags (h, "flags", flags, valid);
}

int
call_set_string (struct nbd_handle *h, char **field, const char *value)
{
  char *copy = strdup (value);

  if (copy == NULL) {
    error_set (h, errno, "strdup");
    return -1;
  }
  free (*field);
  *field = copy;
  return 0;
}

char *
call_get_string (struct nbd_handle *h, const char *value)
{
  char *copy = strdup (value ? value : "");

  if (copy == NULL)
    error_set (h, errno, "strdup");
  return copy;
}

/* A trace that there is no memory for is not worth an error: it is empty. */
void
trace_begin (struct trace *t)
{
  t->text = NULL;
  t->fp = open_memstream (&t->text, &t->size);
}

#define TRACE(t, ...)                           \
  do {                                          \
    if ((t)->fp)                                \
      fprintf ((t)->fp, __VA_ARGS__);           \
  } while (0)

/* A string as a C literal would have it, cut off when it is long. */
static void
quote (FILE *fp, const char *s)
{
  size_t i;

  if (s == NULL) {
    fputs ("NULL", fp);
    return;
  }
  putc ('"', fp);
  for (i = 0; s[i] && i < 512; i++) {
    unsigned char c = s[i];

    if (c == '"' || c == '\\')
      fprintf (fp, "\\%c", c);
    else if (c == '\n')
      fputs ("\\n", fp);
    else if (c < 32 || c == 127)
      fprintf (fp, "\\x%02x", c);
    else
      putc (c, fp);
  }
  fputs (s[i] ? "\"..." : "\"", fp);
}

void
trace_bool (struct trace *t, const char *name, bool v)
{
  TRACE (t, " %s=%s", name, v ? "true" : "false");
}

void
trace_int (struct trace *t, const char *name, int64_t v)
{
  TRACE (t, " %s=%lld", name, (long long) v);
}

void
trace_uint (struct trace *t, const char *name, uint64_t v)
{
  TRACE (t, " %s=%llu", name, (unsigned long long) v);
}

void
trace_flags (struct trace *t, const char *name, uint32_t v)
{
  TRACE (t, " %s=0x%x", name, v);
}

void
trace_string (struct trace *t, const char *name, const char *v)
{
  TRACE (t, " %s=", name);
  if (t->fp)
    quote (t->fp, v);
}

void
trace_list (struct trace *t, const char *name, char **v)
{
  TRACE (t, " %s=", name);
  if (t->fp == NULL)
    return;
  if (v == NULL) {
    fputs ("NULL", t->fp);
    return;
  }
  putc ('[', t->fp);
  for (size_t i = 0; v[i]; i++) {
    if (i > 0)
      fputs (", ", t->fp);
    quote (t->fp, v[i]);
  }
  putc (']', t->fp);
}

void
trace_buffer (struct trace *t, const char *name, const void *v)
{
  TRACE (t, " %s=%s", name, v ? "<buf>" : "NULL");
}

void
trace_address (struct trace *t, const char *name, const void *v)
{
  TRACE (t, " %s=%s", name, v ? "<sockaddr>" : "NULL");
}

void
trace_closure (struct trace *t, const char *name, bool present)
{
  TRACE (t, " %s=%s", name, present ? "<fun>" : "NULL");
}

void
trace_enter (struct nbd_handle *h, struct trace *t)
{
  if (t->fp && fclose (t->fp) == 0)
    debug_print (h, "enter:%s", t->text);
  free (t->text);
}

static bool
trace_failed (struct nbd_handle *h, bool failed)
{
  if (failed)
    debug_print (h, "leave: error=\"%s\"", nbd_get_error ());
  return failed;
}

void
trace_leave_int (struct nbd_handle *h, int64_t ret, bool failed)
{
  if (!trace_failed (h, failed))
    debug_print (h, "leave: ret=%lld", (long long) ret);
}

void
trace_leave_unsigned (struct nbd_handle *h, uint64_t ret, bool failed)
{
  if (!trace_failed (h, failed))
    debug_print (h, "leave: ret=%llu", (unsigned long long) ret);
}

void
trace_leave_string (struct nbd_handle *h, const char *ret, bool failed)
{
  struct trace t;

  if (trace_failed (h, failed))
    return;
  trace_begin (&t);
  if (t.fp) {
    quote (t.fp, ret);
    if (fclose (t.fp) == 0)
      debug_print (h, "leave: ret=%s", t.text);
  }
  free (t.text);
}

void
trace_leave_text (struct nbd_handle *h, const char *ret, bool failed)
{
  if (!trace_failed (h, failed))
    debug_print (h, "leave: ret=%s", ret);
}

void
trace_leave_void (struct nbd_handle *h, bool failed)
{
  if (!trace_failed (h, failed))
    debug_print (h, "leave");
}
