/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The server of TLS in memory, and the relay. */

#include "config.h"

#ifdef HAVE_GNUTLS

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/x509.h>

#include "failing.h"
#include "tap.h"
#include "tls-peer.h"

#define KEY "0123456789abcdef0123456789abcdef"

char *tls_keys, *tls_folder;

static gnutls_psk_server_credentials_t keys;
static gnutls_certificate_credentials_t certificate;

/* What the peer allocates does not count. */
static unsigned
suspend (void)
{
  unsigned failing = failing_allocation;

  failing_allocation = 0;
  return failing;
}

static void
must (int r)
{
  if (r < 0) {
    fprintf (stderr, "gnutls: %s\n", gnutls_strerror (r));
    abort ();
  }
}

/* What both sides trust. */

static int
find_key (gnutls_session_t session, const char *username,
          gnutls_datum_t *key)
{
  (void) session;
  if (strcmp (username, USER) != 0)
    return -1;
  key->size = strlen (KEY) / 2;
  key->data = gnutls_malloc (key->size);
  for (unsigned i = 0; i < key->size; i++) {
    char pair[3] = { KEY[2 * i], KEY[2 * i + 1], '\0' };

    key->data[i] = strtoul (pair, NULL, 16);
  }
  return 0;
}

static void
write_file (const char *name, const void *p, size_t n)
{
  FILE *fp = fopen (name, "w");

  if (fp == NULL || fwrite (p, 1, n, fp) != n || fclose (fp) != 0)
    abort ();
}

/* A certificate for the name "server" that signs itself, which the client
 * trusts.
 */
static void
make_certificate (void)
{
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t crt;
  gnutls_datum_t pem;
  char *path;
  unsigned char serial = 1;

  must (gnutls_x509_privkey_init (&key));
  must (gnutls_x509_privkey_generate
        (key, GNUTLS_PK_ECDSA,
         GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0));
  must (gnutls_x509_crt_init (&crt));
  must (gnutls_x509_crt_set_version (crt, 3));
  must (gnutls_x509_crt_set_serial (crt, &serial, 1));
  must (gnutls_x509_crt_set_key (crt, key));
  must (gnutls_x509_crt_set_activation_time (crt, time (NULL) - 3600));
  must (gnutls_x509_crt_set_expiration_time (crt, time (NULL) + 86400));
  must (gnutls_x509_crt_set_dn_by_oid (crt, GNUTLS_OID_X520_COMMON_NAME, 0,
                                       "server", 6));
  must (gnutls_x509_crt_set_subject_alt_name (crt, GNUTLS_SAN_DNSNAME,
                                              "server", 6,
                                              GNUTLS_FSAN_SET));
  must (gnutls_x509_crt_set_basic_constraints (crt, 1, -1));
  must (gnutls_x509_crt_set_key_usage (crt, GNUTLS_KEY_DIGITAL_SIGNATURE |
                                       GNUTLS_KEY_KEY_CERT_SIGN));
  must (gnutls_x509_crt_sign2 (crt, crt, key, GNUTLS_DIG_SHA256, 0));

  must (gnutls_certificate_allocate_credentials (&certificate));
  must (gnutls_certificate_set_x509_key (certificate, &crt, 1, key));
  must (gnutls_x509_crt_export2 (crt, GNUTLS_X509_FMT_PEM, &pem));
  tls_folder = temp_path ("pki");
  if (mkdir (tls_folder, 0700) == -1 ||
      asprintf (&path, "%s/ca-cert.pem", tls_folder) == -1)
    abort ();
  write_file (path, pem.data, pem.size);
  free (path);
  gnutls_free (pem.data);
  gnutls_x509_crt_deinit (crt);
  gnutls_x509_privkey_deinit (key);
}

void
tls_make_files (void)
{
  static const char line[] = USER ":" KEY "\n";

  tls_keys = temp_path ("keys.psk");
  write_file (tls_keys, line, strlen (line));
  must (gnutls_psk_allocate_server_credentials (&keys));
  gnutls_psk_set_server_credentials_function (keys, find_key);
  make_certificate ();
}

void
tls_free_files (void)
{
  gnutls_psk_free_server_credentials (keys);
  gnutls_certificate_free_credentials (certificate);
  free (tls_keys);
  free (tls_folder);
}

/* The relay. */

static void
wire_init (struct wire *w)
{
  w->hold = w->end = w->flip = NOWHERE;
}

/* What arrives of a wire: bytes, 0 at its end, or -1 and EAGAIN. */
static ssize_t
wire_take (struct wire *w, void *p, size_t n)
{
  size_t end = MIN (w->bytes.n, w->end);
  size_t m = MIN (n, MIN (end, w->hold) - MIN (w->taken, w->hold));

  w->halted = w->halting && !w->halted;
  if (w->halted) {
    errno = EAGAIN;
    return -1;
  }
  if (w->limit)
    m = MIN (m, w->limit);
  if (w->taken < w->cut)
    m = MIN (m, w->cut - w->taken);
  if (m > 0) {
    memcpy (p, w->bytes.p + w->taken, m);
    if (w->flip >= w->taken && w->flip < w->taken + m)
      ((uint8_t *) p)[w->flip - w->taken] ^= 1 << (w->flip % 8);
    w->taken += m;
    return m;
  }
  if (w->taken == w->end || (w->closed && w->taken == w->bytes.n)) {
    if (!w->broken)
      return 0;
    errno = ECONNRESET;
    return -1;
  }
  errno = EAGAIN;
  return -1;
}

/* The server. */

static ssize_t
pull (gnutls_transport_ptr_t ptr, void *data, size_t n)
{
  struct tls_peer *p = ptr;
  ssize_t r = wire_take (&p->up, data, n);

  if (r == -1)
    gnutls_transport_set_errno (p->session, errno);
  return r;
}

static ssize_t
push (gnutls_transport_ptr_t ptr, const void *data, size_t n)
{
  struct tls_peer *p = ptr;

  buffer_append (&p->down.bytes, data, n);
  return n;
}

static void
begin_session (struct tls_peer *p)
{
  const char *priority = p->offer.priority;
  gnutls_datum_t ticket_key;

  must (gnutls_init (&p->session, GNUTLS_SERVER | GNUTLS_NONBLOCK |
                     (p->offer.tickets ? 0 : GNUTLS_NO_TICKETS)));
  if (priority == NULL)
    priority = p->offer.x509 ? "NORMAL" :
      "NORMAL:-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK";
  must (gnutls_priority_set_direct (p->session, priority, NULL));
  if (p->offer.x509)
    must (gnutls_credentials_set (p->session, GNUTLS_CRD_CERTIFICATE,
                                  certificate));
  else
    must (gnutls_credentials_set (p->session, GNUTLS_CRD_PSK, keys));
  if (p->offer.wants_certificate)
    gnutls_certificate_server_set_request (p->session, GNUTLS_CERT_REQUIRE);
  if (p->offer.tickets) {
    must (gnutls_session_ticket_key_generate (&ticket_key));
    must (gnutls_session_ticket_enable_server (p->session, &ticket_key));
    gnutls_free (ticket_key.data);
  }
  gnutls_transport_set_ptr (p->session, p);
  gnutls_transport_set_pull_function (p->session, pull);
  gnutls_transport_set_push_function (p->session, push);
}

/* The server goes. */
static void
end_session (struct tls_peer *p, int error)
{
  p->error = error;
  p->over = true;
  if (!p->offer.rude && error != 0 && error != GNUTLS_E_PREMATURE_TERMINATION)
    gnutls_alert_send_appropriate (p->session, error);
  else if (!p->offer.rude && error == 0)
    gnutls_bye (p->session, GNUTLS_SHUT_WR);
  p->down.closed = true;
}

void
tls_peer_say (struct tls_peer *p)
{
  const struct buffer *out = &p->server->out;

  while (p->said < out->n) {
    size_t n = out->n - p->said;
    ssize_t r = n;

    if (p->session == NULL)
      buffer_append (&p->down.bytes, out->p + p->said, n);
    else {
      if (p->offer.record)
        n = MIN (n, p->offer.record);
      r = gnutls_record_send (p->session, out->p + p->said, n);
      must (r);
    }
    p->said += r;
  }
}

static void
serve_plain (struct tls_peer *p)
{
  uint8_t buf[4096];
  ssize_t r;

  while (!p->over && p->server->stage != STARTTLS &&
         (r = wire_take (&p->up, buf, sizeof buf)) >= 0) {
    if (r > 0)
      server_take (p->server, buf, r);
    if (r == 0 || p->server->ended)
      p->over = p->down.closed = true;
  }
  tls_peer_say (p);
  if (p->server->stage == STARTTLS)
    begin_session (p);
}

static void
serve_secured (struct tls_peer *p)
{
  uint8_t buf[20000];
  ssize_t r;

  while (!p->over) {
    r = gnutls_record_recv (p->session, buf, sizeof buf);
    if (r > 0)
      server_take (p->server, buf, r);
    else if (r == GNUTLS_E_AGAIN)
      break;
    else if (r == 0) {
      p->farewell = true;
      if (p->error == 0)
        end_session (p, 0);
    }
    else if (gnutls_error_is_fatal (r))
      end_session (p, r);
    if (p->server->ended && p->offer.rude && !p->over)
      end_session (p, 0);
  }
  if (!p->over)
    tls_peer_say (p);
}

static void
serve (struct tls_peer *p)
{
  size_t n = sizeof p->name;
  unsigned type;
  int r;

  if (p->silent || p->over)
    return;
  if (p->session == NULL)
    serve_plain (p);
  if (p->session && !p->server->secured) {
    do
      r = gnutls_handshake (p->session);
    while (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal (r));
    if (r == GNUTLS_E_SUCCESS) {
      gnutls_server_name_get (p->session, p->name, &n, &type, 0);
      server_secure (p->server);
    }
    else if (r != GNUTLS_E_AGAIN)
      end_session (p, r);
  }
  if (p->session && p->server->secured)
    serve_secured (p);
}

/* Between the wires and the server's socket. */
static void
move_socket (struct tls_peer *p)
{
  uint8_t buf[65536];
  ssize_t r;

  while (!p->up.closed &&
         (r = recv (p->fd, buf, sizeof buf, MSG_DONTWAIT)) >= 0) {
    if (r > 0)
      buffer_append (&p->up.bytes, buf, r);
    else
      p->up.closed = true;
  }
  serve (p);
  while (p->down.taken < p->down.bytes.n &&
         (r = send (p->fd, p->down.bytes.p + p->down.taken,
                    p->down.bytes.n - p->down.taken,
                    MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
    p->down.taken += r;
  if (p->down.closed && p->down.taken == p->down.bytes.n)
    shutdown (p->fd, SHUT_WR);
}

void
tls_peer_serve (struct tls_peer *p)
{
  unsigned failing = suspend ();

  if (p->fd != -1 && !p->silent)
    move_socket (p);
  else
    serve (p);
  failing_allocation = failing;
}

/* The client's transport. */

static ssize_t
memory_receive (struct nbd_handle *h, struct iovec *iov, int n, bool wait)
{
  struct tls_peer *p = h->transport_data;
  size_t done = 0;
  ssize_t r = -1;

  p->receives++;
  /* Who sleeps here may be woken by the relay, or else never. */
  for (int tries = 0; tries < (wait ? 3 : 1) && r == -1; tries++) {
    tls_peer_serve (p);
    for (int i = 0; i < n; i++) {
      r = wire_take (&p->down, iov[i].iov_base, iov[i].iov_len);
      if (r <= 0)
        break;
      done += r;
      if ((size_t) r < iov[i].iov_len)
        break;
    }
    if (done > 0)
      return done;
    if (r == -1 && errno != EAGAIN)
      return -1;
  }
  if (r == -1 && wait) {
    p->stuck = true;
    return 0;
  }
  return r;
}

static ssize_t
memory_send (struct nbd_handle *h, struct iovec *iov, int n)
{
  struct tls_peer *p = h->transport_data;
  size_t room = MIN (p->room, p->at_once ? p->at_once : SIZE_MAX), done = 0;
  unsigned failing;

  p->sends++;
  if (p->up.closed || (p->down.broken && p->over)) {
    errno = EPIPE;
    return -1;
  }
  if (room == 0 && n > 0) {
    errno = EAGAIN;
    return -1;
  }
  failing = suspend ();
  for (int i = 0; i < n; i++) {
    size_t m = MIN (iov[i].iov_len, room - done);

    buffer_append (&p->up.bytes, iov[i].iov_base, m);
    done += m;
  }
  if (p->room != SIZE_MAX)
    p->room -= done;
  failing_allocation = failing;
  return done;
}

static void
memory_finish (struct nbd_handle *h)
{
  struct tls_peer *p = h->transport_data;

  p->up.closed = true;
}

static void
memory_close (struct nbd_handle *h)
{
  struct tls_peer *p = h->transport_data;

  p->up.closed = true;
  close (h->fd);
  h->fd = -1;
}

static const struct transport memory_transport = {
  .name = "memory",
  .receive = memory_receive,
  .send = memory_send,
  .finish = memory_finish,
  .close = memory_close,
};

static struct tls_peer *
new_peer (const struct offer *offer, const struct tls_offer *tls)
{
  struct tls_peer *p = calloc (1, sizeof *p);

  if (p == NULL)
    abort ();
  p->server = server_new (offer);
  p->server->offer.tls = true;
  for (size_t i = 0; i < DISK_SIZE; i++)
    p->server->disk[i] = i * 7 + (i >> 8);
  if (tls)
    p->offer = *tls;
  wire_init (&p->up);
  wire_init (&p->down);
  p->room = SIZE_MAX;
  p->fd = -1;
  return p;
}

struct tls_peer *
tls_peer_new (const struct offer *offer, const struct tls_offer *tls)
{
  unsigned failing = suspend ();
  struct tls_peer *p = new_peer (offer, tls);

  failing_allocation = failing;
  p->h = nbd_create ();
  if (p->h) {
    nbd_set_tls (p->h, LIBNBD_TLS_REQUIRE);
    nbd_set_tls_psk_file (p->h, tls_keys);
    nbd_set_tls_username (p->h, USER);
  }
  return p;
}

struct tls_peer *
tls_peer_new_x509 (const struct offer *offer, const struct tls_offer *tls)
{
  struct tls_peer *p = new_peer (offer, tls);

  p->offer.x509 = true;
  p->h = nbd_create ();
  nbd_set_tls (p->h, LIBNBD_TLS_REQUIRE);
  nbd_set_tls_certificates (p->h, tls_folder);
  return p;
}

void
tls_peer_connect (struct tls_peer *p)
{
  p->h->function = "tls_peer_connect";
  /* For poll: something can always happen. */
  p->h->fd = eventfd (1, EFD_CLOEXEC);
  p->h->transport = &memory_transport;
  p->h->transport_data = p;
  expect (p->h, STATE_MAGIC, NULL, 0);
  engine_publish (p->h);
}

void
tls_peer_connect_sockets (struct tls_peer *p)
{
  struct sockaddr_in addr = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t len = sizeof addr;
  int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int client = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;

  /* Little fits in, so that a send is soon refused. */
  setsockopt (client, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  setsockopt (listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  if (bind (listener, (struct sockaddr *) &addr, len) == -1 ||
      listen (listener, 1) == -1 ||
      getsockname (listener, (struct sockaddr *) &addr, &len) == -1 ||
      connect (client, (struct sockaddr *) &addr, len) == -1)
    abort ();
  p->fd = accept (listener, NULL, NULL);
  close (listener);
  if (p->fd == -1)
    abort ();
  nbd_aio_connect_socket (p->h, client);
}

/* What changes when either side does something. */
static size_t
progress (const struct tls_peer *p)
{
  return p->up.bytes.n + p->up.taken + p->down.bytes.n + p->down.taken +
    p->h->state + p->up.closed + p->down.closed + p->h->queue.count;
}

void
tls_peer_settle (struct tls_peer *p)
{
  size_t before;
  int idle = 0;

  /* A relay that halts makes every other round an idle one.  A socket needs a
   * moment.
   */
  while (idle < 4) {
    unsigned direction;

    before = progress (p);
    tls_peer_serve (p);
    direction = nbd_aio_get_direction (p->h);
    if (p->fd != -1 && direction)
      nbd_poll (p->h, idle == 3 ? 20 : 0);
    else if (direction & LIBNBD_AIO_DIRECTION_READ)
      nbd_aio_notify_read (p->h);
    else if (direction & LIBNBD_AIO_DIRECTION_WRITE)
      nbd_aio_notify_write (p->h);
    tls_peer_serve (p);
    idle = progress (p) == before ? idle + 1 : 0;
  }
}

void
tls_peer_negotiate (struct tls_peer *p)
{
  tls_peer_connect (p);
  tls_peer_settle (p);
}

void
tls_peer_free (struct tls_peer *p)
{
  if (p->h && p->trace.n > 0)
    nbd_set_debug (p->h, false);
  nbd_close (p->h);
  if (p->session)
    gnutls_deinit (p->session);
  if (p->fd != -1)
    close (p->fd);
  server_free (p->server);
  free (p->up.bytes.p);
  free (p->down.bytes.p);
  free (p->trace.p);
  free (p);
}

/* The trace, line by line. */
static int
trace_cb (void *vp, const char *context, const char *msg)
{
  struct tls_peer *p = vp;

  (void) context;
  buffer_append (&p->trace, msg, strlen (msg));
  buffer_append (&p->trace, "\n", 1);
  return 0;
}

void
tls_peer_trace (struct tls_peer *p)
{
  nbd_set_debug_callback (p->h, (nbd_debug_callback) { trace_cb, p, NULL });
  nbd_set_debug (p->h, true);
}

bool
tls_peer_traced (struct tls_peer *p, const char *text)
{
  return memmem (p->trace.p, p->trace.n, text, strlen (text)) != NULL;
}

unsigned
count_records (const struct wire *w, size_t from, size_t to, uint8_t content)
{
  unsigned n = 0;

  while (from + 5 <= to) {
    const uint8_t *p = w->bytes.p + from;

    n += content == 0 || p[0] == content;
    from += 5 + p[3] * 256 + p[4];
  }
  if (from != to)
    abort ();
  return n;
}

#endif /* HAVE_GNUTLS */
