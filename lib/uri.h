/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the files about URIs share. */

#ifndef LIBNBD_URI_H
#define LIBNBD_URI_H

#include <stdlib.h>

#include "call.h"
#include "internal.h"

struct uri_scheme {
  const char *name;
  uint32_t transport;           /* LIBNBD_ALLOW_TRANSPORT_* */
  bool tls;
};

/* A URI taken apart. */
struct uri {
  const struct uri_scheme *scheme;
  char *user, *host, *export_name;
  unsigned port;                /* 0: none was given */
  char *socket;
  size_t socket_length;
  unsigned nbd_port;            /* on the remote side of ssh */
  unsigned cid;                 /* of vsock */
  bool compress;
  int verify_peer;              /* -1: not given */
  char *username, *hostname, *certificates, *psk_file, *priority;
};

/* Take a URI apart, if the program allows what it asks for and everything that
 * its transport needs is there.  It must be freed in any case.
 */
int uri_parse (struct nbd_handle *h, struct uri *p, const char *uri);
void uri_free (struct uri *p);

/* Move a string. */
static inline void
uri_take (char **to, char **from)
{
  free (*to);
  *to = *from;
  *from = NULL;
}

/* Whether S is an IPv6 address, with or without a zone. */
bool uri_is_ipv6 (char *s);

#endif /* LIBNBD_URI_H */
