/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the files about TLS share: the session of a handle. */

#ifndef LIBNBD_TLS_H
#define LIBNBD_TLS_H

#ifdef HAVE_GNUTLS

#include <gnutls/gnutls.h>

#include "internal.h"

/* The plaintext of a record at most, in every version of TLS. */
#define TLS_RECORD 16384

/* Bytes of records that are read ahead. */
#define TLS_READ_AHEAD (128 * 1024)

struct session {
  gnutls_session_t tls;
  gnutls_certificate_credentials_t x509;
  gnutls_psk_client_credentials_t psk;
  char *authorities;            /* whom we trust, for messages */
  const struct transport *lower;        /* what records travel over */

  /* Records that have arrived. */
  uint8_t *in;
  size_t head, tail;
  bool may_sleep;               /* in the next receive */
  bool drained;                 /* nothing more has arrived */
  bool ended;                   /* the peer has said that it sends no more */
  bool cut;                     /* the stream ended without that */
  int error;                    /* of gnutls, perhaps behind good data */
  int errnum;                   /* of the lower transport */

  /* Records that are to leave. */
  uint8_t *out;
  size_t filled, sent, size;
  bool finishing;               /* nothing follows them */

  /* With a kernel that does the encryption gnutls uses the socket itself, and
   * may refuse a record, which is kept here.
   */
  bool kernel;
  uint8_t record[TLS_RECORD];
  size_t refused;
};

/* tls-credentials.c */

/* Load what the settings of the handle name.  -1 after fail (). */
int tls_load_credentials (struct nbd_handle *h);

/* The priority string; NULL if there is no memory.  To be freed. */
char *tls_priority (const struct nbd_handle *h);

/* tls-verify.c */

/* Have the server's certificate verified during the handshake. */
void tls_verify (struct nbd_handle *h, const char *hostname);

/* Why it was not accepted, in words. */
void tls_describe_refusal (struct nbd_handle *h, const char *hostname,
                           char *text, size_t size);

/* tls-transport.c */

extern const struct transport tls_transport;

/* Let gnutls read and write through us, or use the socket itself. */
void tls_use_lower (struct nbd_handle *h);
void tls_use_socket (struct nbd_handle *h);

/* Send records as far as they go.  -1 and errno if that is impossible. */
int tls_flush (struct nbd_handle *h);

#endif /* HAVE_GNUTLS */

#endif /* LIBNBD_TLS_H */
