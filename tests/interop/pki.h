/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Certificates and shared keys for the tests of TLS, made by certtool and
 * psktool in the temporary folder; servers that use them; and the trace of a
 * handle.
 *
 * The client's folders:
 *
 *   trust     ca-cert.pem: whom to trust
 *   client    the same, and a certificate of the client
 *   stranger  the same, but the client's certificate is of an authority that
 *             no server knows
 *   revoked   as trust, and the list of revoked certificates
 *   nothing   empty
 *
 * and those of servers, each with ca-cert.pem, server-cert.pem, server-key.pem
 * and, for qemu-nbd, keys.psk:
 *
 *   good          for localhost, 127.0.0.1 and ::1
 *   other         for disk.example.com, nbd.example.com and 192.0.2.1
 *   intermediate  as good, but issued by an authority below the one
 *   unknown       as good, but of another authority
 *   expired       on 2020-02-03 04:05:06 UTC
 *   early         not valid before 2049-06-07 08:09:10 UTC
 *   taken-back    revoked; only the folder of that name says so
 *
 * keys.psk has the users of psk_users[].
 */

#ifndef TESTS_PKI_H
#define TESTS_PKI_H

#include <stdbool.h>

#include "libnbd.h"
#include "server.h"

/* End the program unless there is all that it takes.  Without TLS in the
 * library, the cases are what its calls say then, and the program ends.
 */
void pki_begin (void);

/* The path of a file or folder, which lasts as long as the program. */
const char *pki_path (const char *name);

#define NR_PSK_USERS 5
extern const char *const psk_users[NR_PSK_USERS];

/* How a server uses TLS. */
enum {
  TLS_CLIENTS = 1 << 0,         /* clients must have a certificate */
  TLS_KEYS = 1 << 1,            /* shared keys instead of certificates */
  TLS_OPTIONAL = 1 << 2,        /* clients may do without */
};

/* Start a server of that file with TLS, and a folder of the above. */
struct server *pki_start (enum server_transport transport, const char *program,
                          const char *folder, unsigned flags,
                          const char *file);

/* How often this text is in what the servers have printed. */
unsigned pki_logged (const char *text);

/* A raw file of that size, with random bytes if CONTENT is not NULL, which
 * gets a copy.  To be freed.
 */
char *pki_disk (const char *name, size_t size, uint8_t *content);

/* A handle for which TLS is required, with certificates of a folder of the
 * above, or with the key of a user.
 */
struct nbd_handle *tls_handle (const char *folder);
struct nbd_handle *key_handle (const char *user);

/* The debug messages of a handle. */
struct trace {
  char *text;
  size_t size;
};

void trace_start (struct nbd_handle *h, struct trace *t);
bool trace_has (const struct trace *t, const char *text);

/* When the handle is closed. */
void trace_end (struct trace *t);

/* TEXT has all of these in it, in any order.  They end with NULL. */
bool has_all (const char *text, const char *const *parts);

/* One case: the call has failed with that errno, and a message with all of
 * PARTS in it, and the handle is dead.
 */
void is_refused (struct nbd_handle *h, int result, int errnum,
                 const char *const *parts, const char *what);

#define PARTS(...) ((const char *const[]) { __VA_ARGS__, NULL })

#endif /* TESTS_PKI_H */
