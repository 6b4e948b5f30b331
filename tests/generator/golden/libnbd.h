/* NBD client library.
 *
 * Generated from the API table; SPDX-License-Identifier:
 * LGPL-2.1-or-later
 *
 * Each function has a manual page of its name: man 3 nbd_pread.  The
 * overview is libnbd(3).
 */

#ifndef LIBNBD_H
#define LIBNBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Tells the compiler which parameters must not be NULL.  Define it as
 * nothing before including this file to switch that off.  Its parameter is
 * a list in brackets, because C++98 has no variadic macros.
 */
#ifndef LIBNBD_ATTRIBUTE_NONNULL
#if defined (__GNUC__)
#define LIBNBD_ATTRIBUTE_NONNULL(list) __attribute__ ((__nonnull__ list))
#else
#define LIBNBD_ATTRIBUTE_NONNULL(list)
#endif
#endif

/* Tells the compiler which function releases what is returned. */
#ifndef LIBNBD_ATTRIBUTE_ALLOC_DEALLOC
#if defined (__GNUC__) && !defined (__clang__) && __GNUC__ >= 12
#define LIBNBD_ATTRIBUTE_ALLOC_DEALLOC(fn) \
  __attribute__ ((__malloc__, __malloc__ (fn, 1)))
#else
#define LIBNBD_ATTRIBUTE_ALLOC_DEALLOC(fn)
#endif
#endif

struct nbd_handle;

#define LIBNBD_TONE_LOW                         0
#define LIBNBD_TONE_HIGH                        1

#define LIBNBD_SHAPE_ROUND                      7

#define LIBNBD_SWITCH_LIGHT                     0x01U
#define LIBNBD_SWITCH_HEAT                      0x02U
#define LIBNBD_SWITCH_MASK                      0x03U

#define LIBNBD_ORDER_NOW                        0x01U
#define LIBNBD_ORDER_WITH_A_NAME_THAT_PASSES_THE_COLUMN 0x02U
#define LIBNBD_ORDER_MASK                       0x03U

#define LIBNBD_GREETING                         "hello"

typedef struct {
  uint64_t length;
} nbd_piece;

/* Callbacks.  A callback whose function is NULL is not called; its free
 * function still is. */

#define LIBNBD_HAVE_NBD_COMPLETION_CALLBACK 1
typedef struct {
  int (*callback) (void *user_data, int *error);
  void *user_data;
  void (*free) (void *user_data);
} nbd_completion_callback;

#define LIBNBD_HAVE_NBD_PIECE_CALLBACK 1
typedef struct {
  int (*callback) (void *user_data, const char *context, nbd_piece *pieces,
                   size_t nr_pieces, int *error);
  void *user_data;
  void (*free) (void *user_data);
} nbd_piece_callback;

#define LIBNBD_HAVE_NBD_FAREWELL_CALLBACK 1
typedef struct {
  int (*callback) (void *user_data);
  void *user_data;
  void (*free) (void *user_data);
} nbd_farewell_callback;

/* A completion callback that is absent. */
#ifdef __cplusplus
#define NBD_NULL_COMPLETION (nbd_completion_callback ())
#else
#define NBD_NULL_COMPLETION \
  ((nbd_completion_callback) { .callback = NULL })
#endif

#define LIBNBD_HAVE_NBD_CLOSE 1
void nbd_close (struct nbd_handle *h);

#define LIBNBD_HAVE_NBD_CREATE 1
struct nbd_handle *nbd_create (void)
  LIBNBD_ATTRIBUTE_ALLOC_DEALLOC (nbd_close);

#define LIBNBD_HAVE_NBD_SET_TONE 1
int nbd_set_tone (struct nbd_handle *h, int tone)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_GET_TONE 1
int nbd_get_tone (struct nbd_handle *h)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_SET_TITLE 1
int nbd_set_title (struct nbd_handle *h, const char *title)
  LIBNBD_ATTRIBUTE_NONNULL ((1, 2));

#define LIBNBD_HAVE_NBD_GET_TITLE 1
char *nbd_get_title (struct nbd_handle *h)
  LIBNBD_ATTRIBUTE_NONNULL ((1))
  LIBNBD_ATTRIBUTE_ALLOC_DEALLOC (free);

#define LIBNBD_HAVE_NBD_SET_SWITCHES 1
int nbd_set_switches (struct nbd_handle *h, uint32_t flags)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_GET_SWITCHES 1
uint32_t nbd_get_switches (struct nbd_handle *h)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_AIO_FETCH 1
int64_t nbd_aio_fetch (struct nbd_handle *h, void *buf, size_t count,
                       uint64_t offset, nbd_piece_callback piece_callback,
                       nbd_completion_callback completion_callback,
                       uint32_t flags)
  LIBNBD_ATTRIBUTE_NONNULL ((1, 2));

#define LIBNBD_HAVE_NBD_STORE 1
ssize_t nbd_store (struct nbd_handle *h, const void *buf, size_t count,
                   uint64_t offset, uint32_t flags)
  LIBNBD_ATTRIBUTE_NONNULL ((1, 2));

#define LIBNBD_HAVE_NBD_AIO_CONNECT_TO_WHOEVER_IS_THE_FIRST_TO_ANSWER 1
int nbd_aio_connect_to_whoever_is_the_first_to_answer (struct nbd_handle *h,
        bool wait, const struct sockaddr *addr, socklen_t addrlen,
        const char *name, char **argv)
  LIBNBD_ATTRIBUTE_NONNULL ((1, 3, 5, 6));

#define LIBNBD_HAVE_NBD_TUNE 1
int nbd_tune (struct nbd_handle *h, int number, int fd, uint32_t bits,
              size_t size, uintptr_t cookie)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_ON_FAREWELL 1
int nbd_on_farewell (struct nbd_handle *h,
                     nbd_farewell_callback farewell_callback)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_GET_EXTENT 1
int64_t nbd_get_extent (struct nbd_handle *h)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_AIO_GET_FD 1
int nbd_aio_get_fd (struct nbd_handle *h)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_DESCRIBE 1
const char *nbd_describe (struct nbd_handle *h)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_GET_MASK 1
unsigned nbd_get_mask (struct nbd_handle *h)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_GET_TOTAL 1
uint64_t nbd_get_total (struct nbd_handle *h)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_GET_PRIVATE 1
uintptr_t nbd_get_private (struct nbd_handle *h)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#define LIBNBD_HAVE_NBD_FORGET 1
void nbd_forget (struct nbd_handle *h)
  LIBNBD_ATTRIBUTE_NONNULL ((1));

#ifdef __cplusplus
}
#endif

#endif /* LIBNBD_H */
