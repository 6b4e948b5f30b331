/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connecting by name: the addresses of a host, tried in turn. */

#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>

#include "internal.h"

struct addresses {
  char *hostname, *port;        /* as the caller named them */
  struct addrinfo *all;         /* as the resolver returned them */
  struct addrinfo *next;        /* to be tried when this one fails */
};

static void
release (struct addresses *a)
{
  if (a == NULL)
    return;
  if (a->all)
    freeaddrinfo (a->all);
  free (a->hostname);
  free (a->port);
  free (a);
}

void
addresses_free (struct nbd_handle *h)
{
  release (h->addresses);
  h->addresses = NULL;
}

int
addresses_next (struct nbd_handle *h, int errnum)
{
  struct addrinfo *ai;

  while ((ai = h->addresses->next) != NULL) {
    h->addresses->next = ai->ai_next;
    if (connect_start (h, ai->ai_addr, ai->ai_addrlen) != -1)
      return 0;
    errnum = errno;
    debug (h, "connect: %s", strerror (errnum));
  }
  return errnum;
}

void
addresses_fail (struct nbd_handle *h, int errnum)
{
  struct addresses *a = h->addresses;

  h->addresses = NULL;          /* the text of the error outlives it */
  fail (h, errnum, "connect: %s:%s: could not connect to remote host",
        a->hostname, a->port);
  release (a);
}

int
api_aio_connect_tcp (struct nbd_handle *h, const char *hostname,
                     const char *port)
{
  struct addrinfo hints = {
    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
  };
  struct addresses *a = calloc (1, sizeof *a);
  int err;

  if (a) {
    a->hostname = strdup (hostname);
    a->port = strdup (port);
  }
  if (a == NULL || a->hostname == NULL || a->port == NULL) {
    error_set (h, errno, "strdup");
    release (a);
    return -1;
  }
  err = getaddrinfo (hostname, port, &hints, &a->all);
  if (err != 0) {
    error_set (h, err == EAI_SYSTEM ? errno : 0,
               "getaddrinfo: hostname \"%s\" port \"%s\": %s",
               hostname, port, gai_strerror (err));
    release (a);
    return -1;
  }
  a->next = a->all;
  h->addresses = a;
  err = addresses_next (h, 0);
  if (err != 0) {
    /* No server was reached: the handle is as good as new. */
    addresses_fail (h, err);
    expect (h, STATE_START, NULL, 0);
    return -1;
  }
  return 0;
}
