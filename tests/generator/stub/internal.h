/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the golden wrappers use of the library's lib/internal.h. */

#ifndef TESTS_GENERATOR_STUB_INTERNAL_H
#define TESTS_GENERATOR_STUB_INTERNAL_H

/* The wrappers check what callers were told not to pass. */
#define LIBNBD_ATTRIBUTE_NONNULL(...)
#include "libnbd.h"
#include "api.h"

#define COUNT(a) (sizeof (a) / sizeof ((a)[0]))
#define unlikely(x) __builtin_expect (!!(x), 0)

enum {
  PHASE_CREATED = 1,
  PHASE_CONNECTING = 2,
  PHASE_NEGOTIATING = 4,
  PHASE_CONNECTED = 8,
  PHASE_CLOSED = 16,
  PHASE_DEAD = 32,
};

/* The fields that rows of the small table name. */
struct nbd_handle {
  bool debug, pread_initialize;
  int tone;
  char *title;
  uint32_t switches;
  uintptr_t private_data;
};

#define FREE_CALLBACK(cb)                       \
  do {                                          \
    if ((cb).free)                              \
      (cb).free ((cb).user_data);               \
  } while (0)

#endif /* TESTS_GENERATOR_STUB_INTERNAL_H */
