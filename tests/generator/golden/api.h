/* Generated from the API table.  SPDX-License-Identifier:
 * LGPL-2.1-or-later
 */

/* The bodies that the API wrappers call, with the lock held and the
 * parameters checked as far as the table says.  A body that keeps a
 * callback takes it out of the structure that it was given.
 */

#ifndef LIBNBD_API_H
#define LIBNBD_API_H

int64_t api_aio_fetch (struct nbd_handle *h, void *buf, size_t count,
                       uint64_t offset, nbd_piece_callback *piece_callback,
                       nbd_completion_callback *completion_callback,
                       uint32_t flags);
ssize_t api_store (struct nbd_handle *h, const void *buf, size_t count,
                   uint64_t offset, uint32_t flags);
int api_aio_connect_to_whoever_is_the_first_to_answer (struct nbd_handle *h,
        bool wait, const struct sockaddr *addr, socklen_t addrlen,
        const char *name, char **argv);
int api_tune (struct nbd_handle *h, int number, int fd, uint32_t bits,
              size_t size, uintptr_t cookie);
int api_on_farewell (struct nbd_handle *h,
                     nbd_farewell_callback *farewell_callback);
int64_t api_get_extent (struct nbd_handle *h);
int api_aio_get_fd (struct nbd_handle *h);
const char *api_describe (struct nbd_handle *h);
unsigned api_get_mask (struct nbd_handle *h);
uint64_t api_get_total (struct nbd_handle *h);
void api_forget (struct nbd_handle *h);

#endif /* LIBNBD_API_H */
