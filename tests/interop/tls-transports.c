/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TLS over every transport that reaches a server here: TCP by name and by
 * address, a socket address, Unix, a subprocess, systemd socket activation and
 * a socket of the caller; and what nbd_get_uri makes of it.
 */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pki.h"
#include "server.h"
#include "tap.h"

#define DISK_SIZE ((size_t) 4 << 20)

static uint8_t content[DISK_SIZE], buffer[DISK_SIZE];
static char *disk;

/* Ways to use TLS. */
static const struct mode {
  const char *name;
  unsigned flags;
  const char *option, *value;   /* of nbdkit */
  const char *priority;         /* NULL: the default */
} modes[] = {
  { "certificates, TLS 1.2", TLS_CLIENTS, "certificates", "good",
    "NORMAL:-VERS-ALL:+VERS-TLS1.2" },
  { "certificates", TLS_CLIENTS, "certificates", "good", NULL },
  { "shared keys", TLS_KEYS, "psk", "keys.psk", NULL },
};

static struct nbd_handle *
mode_handle (const struct mode *mode)
{
  struct nbd_handle *h = mode->flags & TLS_KEYS ? key_handle ("alice") :
    tls_handle ("client");

  if (mode->priority)
    MUST (nbd_set_tls_priority (h, mode->priority));
  return h;
}

/* H has been connected, or not; it is closed here. */
static void
use (struct nbd_handle *h, int r, const struct mode *mode, const char *how)
{
  char what[128];

  snprintf (what, sizeof what, "%s, %s", mode->name, how);
  if (!is_int (r, 0, "%s: the connection is made", what)) {
    note ("%s", nbd_get_error ());
    nbd_close (h);
    return;
  }
  is_int (nbd_get_tls_negotiated (h), 1, "%s: with TLS", what);
  is_int (nbd_get_size (h), DISK_SIZE, "%s: the size is right", what);
  memset (buffer, 0, DISK_SIZE);
  is_int (nbd_pread (h, buffer, DISK_SIZE, 0, 0), 0, "%s: a read succeeds",
          what);
  ok (memcmp (buffer, content, DISK_SIZE) == 0, "%s: and is right", what);
  is_int (nbd_pwrite (h, content, DISK_SIZE, 0, 0), 0, "%s: a write succeeds",
          what);
  is_int (nbd_shutdown (h, 0), 0, "%s: it is shut down", what);
  is_int (nbd_aio_is_closed (h), 1, "%s: and closed", what);
  nbd_close (h);
}

static void
check_tcp (const struct mode *mode, enum server_transport transport,
           const char *address)
{
  struct server *s = pki_start (transport, "nbdkit", "good", mode->flags,
                                disk);
  struct sockaddr_storage addr;
  socklen_t len = server_address (s, &addr);
  struct nbd_handle *h = mode_handle (mode);

  /* Not everywhere is that name one for ::1, too. */
  if (transport == SERVER_IPV4) {
    use (h, nbd_connect_tcp (h, "localhost", server_port (s)), mode,
         "TCP by name");
    h = mode_handle (mode);
  }
  use (h, nbd_connect_tcp (h, address, server_port (s)), mode, address);

  h = mode_handle (mode);
  MUST (nbd_aio_connect (h, (struct sockaddr *) &addr, len));
  while (nbd_aio_is_connecting (h) && nbd_poll (h, -1) == 1)
    ;
  use (h, nbd_aio_is_ready (h) - 1, mode, "nbd_aio_connect");

  h = mode_handle (mode);
  use (h, nbd_connect_socket (h, server_socket (s)), mode,
       "a TCP socket of the caller");
  server_stop (s);
}

static void
check_unix (const struct mode *mode)
{
  struct server *s = pki_start (SERVER_UNIX, "nbdkit", "good", mode->flags,
                                disk);
  struct nbd_handle *h = mode_handle (mode);

  use (h, nbd_connect_unix (h, server_path (s)), mode, "Unix");
  h = mode_handle (mode);
  use (h, nbd_connect_socket (h, server_socket (s)), mode,
       "a Unix socket of the caller");
  server_stop (s);
}

static void
check_subprocess (const struct mode *mode)
{
  struct nbd_handle *h = mode_handle (mode);
  char *option;
  char *command[] = {
    (char *) "nbdkit", (char *) "--single", (char *) "--exit-with-parent",
    (char *) "--tls=require", NULL, (char *) "--log=null", (char *) "file",
    disk, NULL
  };
  char *activation[] = {
    (char *) "nbdkit", (char *) "--exit-with-parent", (char *) "--tls=require",
    NULL, (char *) "--log=null", (char *) "file", disk, NULL
  };

  MUST (asprintf (&option, "--tls-%s=%s", mode->option,
                  pki_path (mode->value)));
  command[4] = activation[3] = option;
  use (h, nbd_connect_command (h, command), mode, "a command");
  h = mode_handle (mode);
  use (h, nbd_connect_systemd_socket_activation (h, activation), mode,
       "socket activation");
  free (option);
}

/* A socket address names nobody, so that the chain alone is verified. */
static void
check_nameless (void)
{
  struct server *s = pki_start (SERVER_IPV4, "nbdkit", "other", 0, disk);
  struct sockaddr_storage addr;
  socklen_t len = server_address (s, &addr);
  struct nbd_handle *h = tls_handle ("trust");
  int r;

  MUST (nbd_aio_connect (h, (struct sockaddr *) &addr, len));
  while ((r = nbd_aio_is_connecting (h)) && nbd_poll (h, -1) == 1)
    ;
  is_int (nbd_aio_is_ready (h), 1, "nbd_aio_connect verifies no name");
  disconnect (h);

  h = tls_handle ("trust");
  MUST (nbd_set_tls_hostname (h, "localhost"));
  MUST (nbd_aio_connect (h, (struct sockaddr *) &addr, len));
  while ((r = nbd_aio_is_connecting (h)) && (r = nbd_poll (h, -1)) == 1)
    ;
  is_refused (h, r, 0, PARTS ("disk.example.com", "not for localhost"),
              "nbd_aio_connect, and a name that was set");
  nbd_close (h);

  h = tls_handle ("trust");
  is_int (nbd_connect_socket (h, server_socket (s)), 0,
          "nbd_connect_socket verifies no name");
  disconnect (h);
  server_stop (s);

  s = pki_start (SERVER_IPV4, "nbdkit", "unknown", 0, disk);
  h = tls_handle ("trust");
  is_refused (h, nbd_connect_socket (h, server_socket (s)), 0,
              PARTS ("issuer is not known", "CN=Strangers"),
              "nbd_connect_socket, an unknown issuer");
  nbd_close (h);
  server_stop (s);
}

int
main (void)
{
  server_require ("nbdkit", "--version", NULL);
  pki_begin ();
  disk = pki_disk ("disk", DISK_SIZE, content);
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    check_tcp (&modes[i], SERVER_IPV4, "127.0.0.1");
    check_tcp (&modes[i], SERVER_IPV6, "::1");
    check_unix (&modes[i]);
    check_subprocess (&modes[i]);
  }
  check_nameless ();
  free (disk);
  return tap_end ();
}
