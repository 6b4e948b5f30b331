/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The debug trace of a handle: to the program's callback, or to stderr. */

#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "internal.h"

void
debug_print (struct nbd_handle *h, const char *fmt, ...)
{
  int saved_errno = errno;
  char *msg = NULL;
  va_list args;

  va_start (args, fmt);
  if (vasprintf (&msg, fmt, args) == -1)
    msg = NULL;
  va_end (args);
  /* The words of a server are in some; they are not to reach a terminal. */
  for (char *p = msg; p && *p; p++)
    if ((unsigned char) *p < 32 || *p == 127)
      *p = '?';

  if (msg && h->debug_callback.callback)
    h->debug_callback.callback (h->debug_callback.user_data,
                                h->function, msg);
  else if (msg)
    fprintf (stderr, "libnbd: debug: %s: %s: %s\n",
             h->name, h->function, msg);
  free (msg);
  errno = saved_errno;
}

int
api_set_debug_callback (struct nbd_handle *h,
                        nbd_debug_callback *debug_callback)
{
  FREE_CALLBACK (h->debug_callback);
  TAKE_CALLBACK (h->debug_callback, debug_callback);
  return 0;
}

int
api_clear_debug_callback (struct nbd_handle *h)
{
  FREE_CALLBACK (h->debug_callback);
  return 0;
}
