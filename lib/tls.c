/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TLS: its settings, and the handshake that NBD_OPT_STARTTLS begins.  What is
 * trusted is loaded in tls-credentials.c, refusals are put into words in
 * tls-verify.c, and data travels through tls-transport.c.
 */

#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef HAVE_GNUTLS_TRANSPORT_IS_KTLS_ENABLED
#include <gnutls/socket.h>
#endif

#include "call.h"
#include "internal.h"
#include "tls.h"

int
api_supports_tls (struct nbd_handle *h)
{
  (void) h;
#ifdef HAVE_GNUTLS
  return 1;
#else
  return 0;
#endif
}

int
api_set_tls (struct nbd_handle *h, int tls)
{
  if (tls != LIBNBD_TLS_DISABLE && !api_supports_tls (h)) {
    error_set (h, ENOTSUP, "the library was built without TLS");
    return -1;
  }
  h->tls.mode = tls;
  return 0;
}

int
api_get_tls_negotiated (struct nbd_handle *h)
{
  return h->tls_negotiated;
}

char *
api_get_tls_username (struct nbd_handle *h)
{
  char name[4096];              /* or a line of the user database */
  const char *login = getenv ("LOGNAME");
  struct passwd user, *found = NULL;

  if (h->tls.username && *h->tls.username)
    return call_get_string (h, h->tls.username);
  if (login && *login)
    return call_get_string (h, login);
  if (getlogin_r (name, sizeof name) == 0)
    return call_get_string (h, name);
  if (getpwuid_r (geteuid (), &user, name, sizeof name, &found) == 0 && found)
    return call_get_string (h, user.pw_name);
  error_set (h, ENXIO, "there is no user name: call nbd_set_tls_username");
  return NULL;
}

char *
api_get_tls_priority (struct nbd_handle *h)
{
  const char *priority = h->tls.priority;

  return call_get_string (h, priority && *priority ? priority : TLS_PRIORITY);
}

#ifdef HAVE_GNUTLS

/* The name that the server's certificate must be for; NULL if there is none. */
static const char *
peer_name (const struct nbd_handle *h)
{
  if (h->tls.hostname && *h->tls.hostname)
    return h->tls.hostname;
  return h->uri.named;
}

/* The name in the greeting, which has none for addresses.  What has a colon is
 * one of IPv6, perhaps with a zone.
 */
static int
set_server_name (struct session *s, const char *name)
{
  struct in_addr addr;

  if (name == NULL || strchr (name, ':') ||
      inet_pton (AF_INET, name, &addr) == 1)
    return 0;
  return gnutls_server_name_set (s->tls, GNUTLS_NAME_DNS, name, strlen (name));
}

/* Whether the kernel might take over.  gnutls does it if the administrator has
 * said so, and only on a TCP socket that it uses itself.
 */
static bool
kernel_may_help (const struct nbd_handle *h)
{
#ifdef HAVE_GNUTLS_TRANSPORT_IS_KTLS_ENABLED
  FILE *fp;
  char list[128] = "";
  int domain = AF_UNSPEC;
  socklen_t len = sizeof domain;

  if (h->transport != &socket_transport ||
      getsockopt (h->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == -1 ||
      (domain != AF_INET && domain != AF_INET6))
    return false;
  fp = fopen ("/proc/sys/net/ipv4/tcp_available_ulp", "re");
  if (fp == NULL)
    return false;
  if (fgets (list, sizeof list, fp) == NULL)
    list[0] = '\0';
  fclose (fp);
  return strstr (list, "tls") != NULL;
#else
  (void) h;
  return false;
#endif
}

/* Whether it has; the trace says so. */
static bool
kernel_helps (struct nbd_handle *h)
{
#ifdef HAVE_GNUTLS_TRANSPORT_IS_KTLS_ENABLED
  static const char *const words[] = {
    "neither direction", "receiving", "sending", "both directions",
  };
  unsigned on = gnutls_transport_is_ktls_enabled (h->session->tls);

  debug (h, "TLS in the kernel: %s", words[on & GNUTLS_KTLS_DUPLEX]);
  return on != 0;
#else
  (void) h;
  return false;
#endif
}

static int
set_priority (struct nbd_handle *h)
{
  char *priority = tls_priority (h);
  const char *where = priority;
  int r;

  if (priority == NULL) {
    fail (h, ENOMEM, "malloc");
    return -1;
  }
  debug (h, "TLS priority: %s", priority);
  r = gnutls_priority_set_direct (h->session->tls, priority, &where);
  if (r != GNUTLS_E_SUCCESS)
    fail (h, r == GNUTLS_E_MEMORY_ERROR ? ENOMEM : EINVAL,
          "TLS priority \"%s\" is wrong from \"%s\"", priority, where);
  free (priority);
  return r == GNUTLS_E_SUCCESS ? 0 : -1;
}

/* Everything up to the first byte.  -1 after fail (). */
static int
create_session (struct nbd_handle *h)
{
  struct session *s = calloc (1, sizeof *s);
  const char *name = peer_name (h);
  int r;

  h->session = s;
  if (s)
    s->in = malloc (TLS_READ_AHEAD);
  if (s == NULL || s->in == NULL) {
    fail (h, ENOMEM, "malloc");
    return -1;
  }
  s->lower = h->transport;
  r = gnutls_init (&s->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK |
                   GNUTLS_NO_SIGNAL);
  if (r == GNUTLS_E_SUCCESS)
    r = set_server_name (s, name);
  if (r != GNUTLS_E_SUCCESS) {
    fail (h, r == GNUTLS_E_MEMORY_ERROR ? ENOMEM : 0, "gnutls_init: %s",
          gnutls_strerror (r));
    return -1;
  }
  if (set_priority (h) == -1 || tls_load_credentials (h) == -1)
    return -1;
  if (s->x509 && h->tls.verify_peer)
    tls_verify (h, name);
  if (kernel_may_help (h))
    tls_use_socket (h);
  else
    tls_use_lower (h);
  return 0;
}

static void
handshake_failed (struct nbd_handle *h, int r)
{
  struct session *s = h->session;
  const char *hint = s->psk ?
    " (is the user name known to it, with the same key?)" : "";
  char text[1024];

  /* Of a record that is not whole gnutls says that it is wrong. */
  if (s->cut && r != GNUTLS_E_FATAL_ALERT_RECEIVED)
    r = GNUTLS_E_PREMATURE_TERMINATION;
  switch (r) {
  case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
    tls_describe_refusal (h, peer_name (h), text, sizeof text);
    fail (h, 0, "TLS: %s", text);
    break;
  case GNUTLS_E_FATAL_ALERT_RECEIVED:
    fail (h, 0, "TLS: server ended the handshake: %s%s",
          gnutls_alert_get_name (gnutls_alert_get (s->tls)), hint);
    break;
  case GNUTLS_E_PREMATURE_TERMINATION:
    fail (h, 0, "TLS: server disconnected during the handshake; its log may "
          "have the reason%s", hint);
    break;
  case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
    fail (h, 0, "gnutls_handshake: %s (the server wants %s)",
          gnutls_strerror (r), s->psk ? "certificates, not a shared key" :
          "other credentials than certificates");
    break;
  case GNUTLS_E_PULL_ERROR:
    fail (h, s->errnum, "recv, during the TLS handshake; the server's log may "
          "have the reason%s", hint);
    break;
  default:
    fail (h, r == GNUTLS_E_MEMORY_ERROR ? ENOMEM : 0, "gnutls_handshake: %s",
          gnutls_strerror (r));
  }
}

static void
established (struct nbd_handle *h)
{
  char *text = gnutls_session_get_desc (h->session->tls);

  debug (h, "TLS: %s", text ? text : "established");
  gnutls_free (text);
  if (h->session->kernel && !kernel_helps (h))
    tls_use_lower (h);
  h->transport = &tls_transport;
  h->tls_negotiated = true;
  option_tls_established (h);
}

/* The server learns why the handshake ends, unless it was the server that
 * ended it.
 */
static void
tell_server (struct session *s, int r)
{
  if (r < 0 && gnutls_error_is_fatal (r) &&
      r != GNUTLS_E_FATAL_ALERT_RECEIVED && r != GNUTLS_E_PULL_ERROR &&
      r != GNUTLS_E_PREMATURE_TERMINATION && !s->cut)
    gnutls_alert_send_appropriate (s->tls, r);
}

void
tls_progress (struct nbd_handle *h)
{
  struct session *s;
  int r;

  if (h->session == NULL && create_session (h) == -1)
    return;
  s = h->session;
  s->drained = s->may_sleep = false;
  do
    r = gnutls_handshake (s->tls);
  while (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal (r));
  tell_server (s, r);
  if (tls_flush (h) == -1 && (r == GNUTLS_E_SUCCESS || r == GNUTLS_E_AGAIN)) {
    int errnum = errno;

    /* The server may have said why before it went. */
    s->drained = false;
    if (r == GNUTLS_E_AGAIN)
      r = gnutls_handshake (s->tls);
    if (r < 0 && gnutls_error_is_fatal (r))
      handshake_failed (h, r);
    fail (h, errnum, "send");
  }
  else if (r == GNUTLS_E_SUCCESS)
    established (h);
  else if (r != GNUTLS_E_AGAIN)
    handshake_failed (h, r);
}

unsigned
tls_direction (const struct nbd_handle *h)
{
  const struct session *s = h->session;

  if (s && s->kernel)
    return gnutls_record_get_direction (s->tls) ?
      LIBNBD_AIO_DIRECTION_WRITE : LIBNBD_AIO_DIRECTION_READ;
  return LIBNBD_AIO_DIRECTION_READ |
    (s == NULL || h->unsent > 0 ? LIBNBD_AIO_DIRECTION_WRITE : 0);
}

void
tls_free (struct nbd_handle *h)
{
  struct session *s = h->session;

  if (s == NULL)
    return;
  if (s->tls)
    gnutls_deinit (s->tls);
  if (s->x509)
    gnutls_certificate_free_credentials (s->x509);
  if (s->psk)
    gnutls_psk_free_client_credentials (s->psk);
  free (s->authorities);
  free (s->in);
  free (s->out);
  free (s);
  h->session = NULL;
  h->unsent = 0;
}

size_t
tls_size (const struct nbd_handle *h)
{
  const struct session *s = h->session;

  return s ? sizeof *s + TLS_READ_AHEAD + s->size : 0;
}

#else /* !HAVE_GNUTLS: no option of ours ever asks for it */

void
tls_progress (struct nbd_handle *h)
{
  fail (h, ENOTSUP, "the library was built without TLS");
}

unsigned
tls_direction (const struct nbd_handle *h)
{
  (void) h;
  return LIBNBD_AIO_DIRECTION_WRITE;
}

void
tls_free (struct nbd_handle *h)
{
  (void) h;
}

size_t
tls_size (const struct nbd_handle *h)
{
  (void) h;
  return 0;
}

#endif /* HAVE_GNUTLS */
