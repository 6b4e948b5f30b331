/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What of libnbd.h's structs is compiled into programs: sizes and offsets.  It
 * is compiled and never run, as C and as C++, for 32 and 64 bits, and with the
 * system's header too, which has not all of them.
 */

#include <stddef.h>
#include <stdint.h>

#include <libnbd.h>

#ifdef __cplusplus
#define CHECK(cond) static_assert (cond, #cond)
#define SAME_TYPE(a, b) 1
#else
#define CHECK(cond) _Static_assert (cond, #cond)
#define SAME_TYPE(a, b) __builtin_types_compatible_p (a, b)
#endif

#define SIZEOF(type, member) sizeof (((type *) 0)->member)

/* Two pointers to functions with the caller's pointer between them. */
#define CHECK_CALLBACK(type)                                            \
  CHECK (sizeof (type) == 3 * sizeof (void *));                         \
  CHECK (offsetof (type, callback) == 0);                               \
  CHECK (offsetof (type, user_data) == sizeof (void *));                \
  CHECK (offsetof (type, free) == 2 * sizeof (void *));                 \
  CHECK (SIZEOF (type, callback) == sizeof (void *));                   \
  CHECK (SIZEOF (type, user_data) == sizeof (void *));                  \
  CHECK (SIZEOF (type, free) == sizeof (void *));                       \
  CHECK (SAME_TYPE (__typeof__ (((type *) 0)->user_data), void *));     \
  CHECK (SAME_TYPE (__typeof__ (((type *) 0)->free), void (*) (void *)))

/* The parameters of a callback, the caller's pointer being the first. */
#define CHECK_PARAMETERS(type, ...)                                     \
  CHECK (SAME_TYPE (__typeof__ (((type *) 0)->callback),                \
                    int (*) (void *, __VA_ARGS__)))

#ifdef LIBNBD_HAVE_NBD_CHUNK_CALLBACK
#define N_CHUNK 1
CHECK_CALLBACK (nbd_chunk_callback);
CHECK_PARAMETERS (nbd_chunk_callback, const void *, size_t, uint64_t,
                  unsigned, int *);
#else
#define N_CHUNK 0
#endif

#ifdef LIBNBD_HAVE_NBD_COMPLETION_CALLBACK
#define N_COMPLETION 1
CHECK_CALLBACK (nbd_completion_callback);
CHECK_PARAMETERS (nbd_completion_callback, int *);
#else
#define N_COMPLETION 0
#endif

#ifdef LIBNBD_HAVE_NBD_CONTEXT_CALLBACK
#define N_CONTEXT 1
CHECK_CALLBACK (nbd_context_callback);
CHECK_PARAMETERS (nbd_context_callback, const char *);
#else
#define N_CONTEXT 0
#endif

#ifdef LIBNBD_HAVE_NBD_DEBUG_CALLBACK
#define N_DEBUG 1
CHECK_CALLBACK (nbd_debug_callback);
CHECK_PARAMETERS (nbd_debug_callback, const char *, const char *);
#else
#define N_DEBUG 0
#endif

#ifdef LIBNBD_HAVE_NBD_EXTENT_CALLBACK
#define N_EXTENT 1
CHECK_CALLBACK (nbd_extent_callback);
CHECK_PARAMETERS (nbd_extent_callback, const char *, uint64_t, uint32_t *,
                  size_t, int *);
#else
#define N_EXTENT 0
#endif

#ifdef LIBNBD_HAVE_NBD_LIST_CALLBACK
#define N_LIST 1
CHECK_CALLBACK (nbd_list_callback);
CHECK_PARAMETERS (nbd_list_callback, const char *, const char *);
#else
#define N_LIST 0
#endif

#ifdef LIBNBD_HAVE_NBD_EXTENT64_CALLBACK
#define N_EXTENT64 1
CHECK_CALLBACK (nbd_extent64_callback);
CHECK_PARAMETERS (nbd_extent64_callback, const char *, uint64_t, nbd_extent *,
                  size_t, int *);
CHECK (sizeof (nbd_extent) == 16);
CHECK (offsetof (nbd_extent, length) == 0);
CHECK (offsetof (nbd_extent, flags) == 8);
CHECK (SIZEOF (nbd_extent, length) == 8);
CHECK (SIZEOF (nbd_extent, flags) == 8);
CHECK (SAME_TYPE (__typeof__ (((nbd_extent *) 0)->length), uint64_t));
CHECK (SAME_TYPE (__typeof__ (((nbd_extent *) 0)->flags), uint64_t));
#else
#define N_EXTENT64 0
#endif

#ifdef LIBNBD_HAVE_NBD_CLOSE_CALLBACK
#define N_CLOSE 1
CHECK_CALLBACK (nbd_close_callback);
CHECK (SAME_TYPE (__typeof__ (((nbd_close_callback *) 0)->callback),
                  int (*) (void *)));
#else
#define N_CLOSE 0
#endif

CHECK (SAME_TYPE (__typeof__ (NBD_NULL_COMPLETION), nbd_completion_callback));

/* How many of the callbacks must have been there. */
CHECK (N_CHUNK + N_COMPLETION + N_CONTEXT + N_DEBUG + N_EXTENT + N_LIST +
       N_EXTENT64 + N_CLOSE == CALLBACKS);
