/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The transport that encrypts: records over another transport.  What arrives is
 * read ahead, so that many records cost one system call, and so do many that
 * leave together.  gnutls is never made to wait by a record that the socket
 * does not take: records queue up here, and the engine hears of it as bytes
 * that are unsent.
 */

#include "config.h"

#ifdef HAVE_GNUTLS

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "tls.h"

/* Bytes of records that are collected before they are sent. */
#define OUT_ENOUGH (64 * 1024)

/* Where gnutls reads. */
static ssize_t
pull (gnutls_transport_ptr_t ptr, void *data, size_t n)
{
  struct nbd_handle *h = ptr;
  struct session *s = h->session;

  if (s->head == s->tail) {
    struct iovec iov = { s->in, TLS_READ_AHEAD };
    ssize_t r;

    if (s->drained) {
      gnutls_transport_set_errno (s->tls, EAGAIN);
      return -1;
    }
    while ((r = s->lower->receive (h, &iov, 1, s->may_sleep)) == -1) {
      if (errno == EINTR)
        continue;
      if (!s->may_sleep || !would_block (errno)) {
        s->errnum = errno;
        gnutls_transport_set_errno (s->tls, errno);
        return -1;
      }
      /* Somebody who shares the socket made it non-blocking. */
      wait_readable (h);
    }
    s->head = 0;
    s->tail = r;
    s->drained = r < TLS_READ_AHEAD;
    s->cut = r == 0;
    if (r == 0)
      return 0;
  }
  n = MIN (n, s->tail - s->head);
  memcpy (data, s->in + s->head, n);
  s->head += n;
  return n;
}

/* Where gnutls writes; it is never refused. */
static ssize_t
push (gnutls_transport_ptr_t ptr, const giovec_t *iov, int n)
{
  struct nbd_handle *h = ptr;
  struct session *s = h->session;
  size_t length = 0;

  for (int i = 0; i < n; i++)
    length += iov[i].iov_len;
  if (s->filled + length > s->size) {
    size_t size = s->size ? s->size : OUT_ENOUGH / 4;
    uint8_t *out;

    while (size < s->filled + length)
      size *= 2;
    out = realloc (s->out, size);
    if (out == NULL) {
      gnutls_transport_set_errno (s->tls, ENOMEM);
      return -1;
    }
    s->out = out;
    s->size = size;
  }
  for (int i = 0; i < n; i++) {
    memcpy (s->out + s->filled, iov[i].iov_base, iov[i].iov_len);
    s->filled += iov[i].iov_len;
  }
  h->unsent = s->filled - s->sent;
  return length;
}

/* A record that was refused, once more. */
static int
send_refused (struct nbd_handle *h)
{
  struct session *s = h->session;
  ssize_t r;

  if (s->refused == 0)
    return 0;
  do
    r = gnutls_record_send (s->tls, s->record, s->refused);
  while (r == GNUTLS_E_INTERRUPTED);
  if (r == GNUTLS_E_AGAIN)
    return 0;
  if (r < 0) {
    errno = EIO;
    return -1;
  }
  s->refused -= r;
  memmove (s->record, s->record + r, s->refused);
  h->unsent = s->refused;
  return 0;
}

/* Say close_notify, for which the socket may have no room either. */
static void
finish_socket (struct nbd_handle *h)
{
  struct session *s = h->session;
  int r = gnutls_bye (s->tls, GNUTLS_SHUT_WR);

  h->unsent = r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED;
  if (h->unsent > 0)
    return;
  s->finishing = false;
  s->lower->finish (h);
}

int
tls_flush (struct nbd_handle *h)
{
  struct session *s = h->session;

  if (s->kernel) {
    if (send_refused (h) == -1)
      return -1;
    if (s->finishing && s->refused == 0)
      finish_socket (h);
    return 0;
  }
  while (s->sent < s->filled) {
    struct iovec iov = { s->out + s->sent, s->filled - s->sent };
    ssize_t r = s->lower->send (h, &iov, 1);

    if (r == -1 && errno == EINTR)
      continue;
    if (r == -1)
      return would_block (errno) ? 0 : -1;
    s->sent += r;
    h->unsent -= r;
  }
  s->filled = s->sent = 0;
  if (s->finishing && s->lower->finish) {
    s->finishing = false;
    s->lower->finish (h);
  }
  return 0;
}

/* After NBD_CMD_DISC, to which there is no reply, and with nothing else in
 * flight.  A server that then closes its socket with our close_notify unread
 * resets the connection.
 */
static bool
nothing_is_owed (const struct nbd_handle *h)
{
  return h->disconnecting && h->commands.nr_in_flight == 1;
}

/* gnutls has failed for good.  What it means depends on what is owed. */
static ssize_t
broken (struct nbd_handle *h)
{
  struct session *s = h->session;
  int error = s->error;

  if (nothing_is_owed (h) &&
      (error == GNUTLS_E_PREMATURE_TERMINATION ||
       (error == GNUTLS_E_PULL_ERROR && s->errnum == ECONNRESET)))
    return 0;                   /* many servers just close */
  if (handle_phase (h) == PHASE_CONNECTING && s->x509 &&
      (error == GNUTLS_E_PREMATURE_TERMINATION ||
       error == GNUTLS_E_PULL_ERROR))
    /* In TLS 1.3 the server looks at our certificate after the handshake, and
     * some servers say no by closing.
     */
    fail (h, error == GNUTLS_E_PULL_ERROR ? s->errnum : 0, "recv, after the "
          "TLS handshake (does the server want a client certificate?)");
  else if (error == GNUTLS_E_PREMATURE_TERMINATION)
    fail (h, 0, "TLS: server disconnected unexpectedly, or somebody cut the "
          "connection");
  else if (error == GNUTLS_E_FATAL_ALERT_RECEIVED) {
    gnutls_alert_description_t alert = gnutls_alert_get (s->tls);

    fail (h, 0, "TLS: server ended the connection: %s%s",
          gnutls_alert_get_name (alert),
          alert == GNUTLS_A_CERTIFICATE_REQUIRED ?
          " (client-cert.pem and client-key.pem in the folder of "
          "nbd_set_tls_certificates)" : "");
  }
  else if (error == GNUTLS_E_PULL_ERROR)
    fail (h, s->errnum, "recv");
  else
    fail (h, error == GNUTLS_E_MEMORY_ERROR ? ENOMEM : 0,
          "gnutls_record_recv: %s", gnutls_strerror (error));
  errno = EPROTO;
  return -1;
}

/* One record, or what is left of one.  An error is told when nothing came before
 * it.
 */
static ssize_t
receive_record (struct nbd_handle *h, uint8_t *p, size_t n, bool first,
                bool wait)
{
  struct session *s = h->session;

  for (;;) {
    ssize_t r;

    if (s->ended)
      return 0;
    if (s->error)
      return first ? broken (h) : -1;
    r = gnutls_record_recv (s->tls, p, n);
    if (r > 0)
      return r;
    if (r == 0)
      s->ended = true;
    else if (r == GNUTLS_E_AGAIN) {
      if (!wait) {
        errno = EAGAIN;
        return -1;
      }
      if (s->kernel)
        wait_readable (h);
      s->drained = false;
      s->may_sleep = true;
    }
    else if (r != GNUTLS_E_INTERRUPTED && gnutls_error_is_fatal (r))
      /* Of a record that is not whole gnutls says that it is wrong. */
      s->error = s->cut ? GNUTLS_E_PREMATURE_TERMINATION : r;
    else if (r == GNUTLS_E_WARNING_ALERT_RECEIVED)
      debug (h, "TLS: warning: %s",
             gnutls_alert_get_name (gnutls_alert_get (s->tls)));
    /* Anything else is the business of TLS: keys, tickets. */
  }
}

static ssize_t
tls_receive (struct nbd_handle *h, struct iovec *iov, int n, bool wait)
{
  struct session *s = h->session;
  size_t total = 0;

  h->unread = false;
  s->drained = false;
  s->may_sleep = wait;
  for (int i = 0; i < n; i++) {
    uint8_t *p = iov[i].iov_base;
    size_t left = iov[i].iov_len;

    while (left > 0) {
      ssize_t r;

      r = receive_record (h, p, left, total == 0, wait && total == 0);
      if (r <= 0 && total == 0)
        return r;
      if (r <= 0) {
        /* The end, or an error, behind good data is for the next call. */
        h->unread = s->ended || s->error;
        return total;
      }
      p += r;
      left -= r;
      total += r;
      s->may_sleep = false;
    }
  }
  return total;
}

/* The next record: as much as fits into one.  Small runs are put together, the
 * rest of a large one is taken where it is.
 */
static const uint8_t *
next_record (struct session *s, struct iovec **iov, int *n, size_t *length)
{
  const uint8_t *p;

  *length = 0;
  if ((*iov)->iov_len >= TLS_RECORD) {
    p = (*iov)->iov_base;
    *length = TLS_RECORD;
    (*iov)->iov_base = (uint8_t *) (*iov)->iov_base + TLS_RECORD;
    (*iov)->iov_len -= TLS_RECORD;
  }
  else {
    p = s->record;
    while (*n > 0 && *length < TLS_RECORD) {
      size_t m = MIN ((*iov)->iov_len, TLS_RECORD - *length);

      memcpy (s->record + *length, (*iov)->iov_base, m);
      *length += m;
      (*iov)->iov_base = (uint8_t *) (*iov)->iov_base + m;
      (*iov)->iov_len -= m;
      if ((*iov)->iov_len == 0) {
        (*iov)++;
        (*n)--;
      }
    }
  }
  while (*n > 0 && (*iov)->iov_len == 0) {
    (*iov)++;
    (*n)--;
  }
  return p;
}

/* Encrypt N bytes.  -1 and errno if that is impossible. */
static int
send_record (struct nbd_handle *h, const uint8_t *p, size_t n)
{
  struct session *s = h->session;

  while (n > 0) {
    ssize_t r = gnutls_record_send (s->tls, p, n);

    if (r == GNUTLS_E_INTERRUPTED)
      continue;
    if (r == GNUTLS_E_AGAIN) {
      memmove (s->record, p, n);
      s->refused = h->unsent = n;
      return 0;
    }
    if (r < 0) {
      debug (h, "gnutls_record_send: %s", gnutls_strerror (r));
      errno = r == GNUTLS_E_MEMORY_ERROR ? ENOMEM : EIO;
      return -1;
    }
    p += r;
    n -= r;
  }
  return 0;
}

static ssize_t
tls_send (struct nbd_handle *h, struct iovec *iov, int n)
{
  struct session *s = h->session;
  size_t total = 0, length;

  if (tls_flush (h) == -1)
    return -1;
  if (h->unsent > 0) {
    errno = EAGAIN;
    return -1;
  }
  while (n > 0 && h->unsent < OUT_ENOUGH) {
    const uint8_t *p = next_record (s, &iov, &n, &length);

    if (send_record (h, p, length) == -1)
      return -1;
    total += length;
    if ((s->kernel || h->unsent >= OUT_ENOUGH) && tls_flush (h) == -1)
      return -1;
    if (s->kernel && h->unsent > 0)
      break;
  }
  return tls_flush (h) == -1 ? -1 : (ssize_t) total;
}

static void
tls_finish (struct nbd_handle *h)
{
  struct session *s = h->session;

  if (!s->kernel)
    gnutls_bye (s->tls, GNUTLS_SHUT_WR);
  s->finishing = true;
  tls_flush (h);
}

/* Without close_notify: a process that has forked may close its copy of the
 * handle while the other one goes on with the connection.
 */
static void
tls_close (struct nbd_handle *h)
{
  h->session->lower->close (h);
}

const struct transport tls_transport = {
  .name = "TLS",
  .receive = tls_receive,
  .send = tls_send,
  .finish = tls_finish,
  .close = tls_close,
};

void
tls_use_socket (struct nbd_handle *h)
{
  struct session *s = h->session;
  int flags = fcntl (h->fd, F_GETFL);

  /* gnutls does not say in each call whether it may sleep. */
  if (flags != -1)
    fcntl (h->fd, F_SETFL, flags | O_NONBLOCK);
  gnutls_transport_set_int (s->tls, h->fd);
  s->kernel = true;
}

void
tls_use_lower (struct nbd_handle *h)
{
  struct session *s = h->session;
  int flags;

  if (s->kernel && (flags = fcntl (h->fd, F_GETFL)) != -1)
    fcntl (h->fd, F_SETFL, flags & ~O_NONBLOCK);
  s->kernel = false;
  gnutls_transport_set_ptr (s->tls, h);
  gnutls_transport_set_pull_function (s->tls, pull);
  gnutls_transport_set_vec_push_function (s->tls, push);
}

#endif /* HAVE_GNUTLS */
