/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The last error of each thread.  A success does not clear it.  The text lives
 * in thread-local memory of a fixed size, so that recording an error cannot
 * fail and nothing is left behind when a thread ends.
 */

#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "internal.h"

static _Thread_local struct {
  bool set;
  int errnum;
  char text[4096];
} last;

/* strerror in a buffer of the caller's; glibc and musl differ in strerror_r. */
static const char *
describe_errno (int errnum, char *buf, size_t size)
{
#ifdef STRERROR_R_CHAR_P
  return strerror_r (errnum, buf, size);
#else
  if (strerror_r (errnum, buf, size) != 0)
    snprintf (buf, size, "error %d", errnum);
  return buf;
#endif
}

void
error_vset (const char *function, int errnum, const char *fmt, va_list args)
{
  char text[sizeof last.text], buf[128];
  size_t size = sizeof text, n;

  n = snprintf (text, size, "%s: ", function);
  n += vsnprintf (text + n, size - n, fmt, args);
  if (errnum != 0 && n < size)
    snprintf (text + n, size - n, ": %s",
              describe_errno (errnum, buf, sizeof buf));
  /* An argument may be the present text, so it is replaced last. */
  memcpy (last.text, text, strlen (text) + 1);
  last.errnum = errnum;
  last.set = true;
}

void
error_set (struct nbd_handle *h, int errnum, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  error_vset (h->function, errnum, fmt, args);
  va_end (args);
}

void
error_set_for (const char *function, int errnum, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  error_vset (function, errnum, fmt, args);
  va_end (args);
}

const char *
nbd_get_error (void)
{
  return last.set ? last.text : NULL;
}

int
nbd_get_errno (void)
{
  return last.errnum;
}
