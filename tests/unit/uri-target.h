/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a URI leads to, as text, with nothing being connected: the linker sends
 * the library's calls of the functions that connect here (--wrap), see
 * uri_target_ldflags in local.mk.
 */

#ifndef TESTS_URI_TARGET_H
#define TESTS_URI_TARGET_H

#include "internal.h"

/* Connect all the same. */
extern bool connect_for_real;

/* Unless it is 0, what the functions that connect fail with. */
extern int connect_errno;

/* How many times one of them was called. */
extern unsigned nr_connects;

/* Pass the URI to nbd_aio_connect_uri.  The text is valid until the next call:
 *
 *   tcp HOST PORT, unix NAME, vsock CID PORT, ssh WORD|WORD|...
 *
 * followed by the settings that are not those of a new handle, as in
 * " export=NAME user=NAME verify-peer=no", or
 *
 *   EINVAL message
 *
 * Bytes that are not printable, and backslashes and bars, are written \xXX.
 * The settings stay in the handle until take_back ().
 */
const char *target_of (struct nbd_handle *h, const char *uri);
void take_back (struct nbd_handle *h);

/* What target_of () says when the parts in H, as nbd_get_uri knows them, are
 * those of a URI.  In other memory.
 */
const char *target_in (struct nbd_handle *h);

/* The settings alone.  In the same memory as target_in (). */
const char *settings_in (struct nbd_handle *h);

/* A URI, taken apart by RFC 3986.  The parts are as they are written there, in
 * place; -1 is the length of what is not there.
 */
struct part {
  const char *s;
  int n;
};

struct split_uri {
  struct part scheme, user, host, port, path, query, fragment;
};

/* False if it is not valid, or has no authority. */
bool split_uri (const char *uri, struct split_uri *to);

/* The value of a key in a query that nbd_get_uri has made. */
struct part find_key (struct part query, const char *key);

/* Whether the part, decoded, is these bytes.  NULL: the part is not there. */
bool part_is (struct part p, const void *s, size_t n);

#endif /* TESTS_URI_TARGET_H */
