/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connecting by URI: its settings become those of the handle, and one of the
 * other ways to connect does the rest.  What a URI says is in uri.c.
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "text.h"
#include "uri.h"

#define DEFAULT_PORT "10809"

/* What a URI replaces of the settings of the handle. */
struct uri_settings {
  char *export_name;
  struct tls_settings tls;
};

void
uri_settings_keep (struct nbd_handle *h)
{
  if (h->replaced == NULL)
    return;
  tls_settings_free (&h->replaced->tls);
  free (h->replaced->export_name);
  free (h->replaced);
  h->replaced = NULL;
}

void
uri_settings_restore (struct nbd_handle *h)
{
  struct uri_settings old;

  if (h->replaced == NULL)
    return;
  old = *h->replaced;
  *h->replaced = (struct uri_settings) { h->export_name, h->tls };
  h->export_name = old.export_name;
  h->tls = old.tls;
  uri_settings_keep (h);        /* which are those of the URI now */
}

#ifdef HAVE_LIBXML2

static int
copy_string (char **to, const char *s)
{
  *to = s ? strdup (s) : NULL;
  return s && *to == NULL ? -1 : 0;
}

/* Remember the settings that the URI replaces. */
static int
save_settings (struct nbd_handle *h)
{
  struct uri_settings *old = calloc (1, sizeof *old);

  uri_settings_keep (h);
  h->replaced = old;
  if (old == NULL || copy_string (&old->export_name, h->export_name) == -1 ||
      copy_string (&old->tls.certificates, h->tls.certificates) == -1 ||
      copy_string (&old->tls.psk_file, h->tls.psk_file) == -1 ||
      copy_string (&old->tls.username, h->tls.username) == -1 ||
      copy_string (&old->tls.hostname, h->tls.hostname) == -1 ||
      copy_string (&old->tls.priority, h->tls.priority) == -1) {
    error_set (h, ENOMEM, "strdup");
    uri_settings_keep (h);
    return -1;
  }
  old->tls.mode = h->tls.mode;
  old->tls.verify_peer = h->tls.verify_peer;
  return 0;
}

/* Move the settings of the URI into the handle. */
static int
apply_settings (struct nbd_handle *h, struct uri *p)
{
  bool ssh = p->scheme->transport == LIBNBD_ALLOW_TRANSPORT_SSH;

  if (save_settings (h) == -1 || api_set_export_name (h, p->export_name) == -1)
    return -1;
  if (p->scheme->tls)
    h->tls.mode = LIBNBD_TLS_REQUIRE;
  if (p->user && !ssh)
    uri_take (&h->tls.username, &p->user);
  if (p->username)
    uri_take (&h->tls.username, &p->username);
  if (p->hostname)
    uri_take (&h->tls.hostname, &p->hostname);
  if (p->certificates)
    uri_take (&h->tls.certificates, &p->certificates);
  if (p->psk_file)
    uri_take (&h->tls.psk_file, &p->psk_file);
  if (p->priority)
    uri_take (&h->tls.priority, &p->priority);
  if (p->verify_peer != -1)
    h->tls.verify_peer = p->verify_peer;
  return 0;
}

/* S as one word of a POSIX shell. */
static void
shell_quote (struct text *t, const char *s)
{
  text_add (t, "'");
  for (; *s; s++)
    if (*s == '\'')
      text_add (t, "'\\''");
    else
      text_add_bytes (t, s, 1);
  text_add (t, "'");
}

/* ssh runs its last argument through the shell of the remote side, so it is
 * one command line, quoted here.
 */
static char *
remote_command (struct nbd_handle *h, const struct uri *p)
{
  struct text t = { 0 };

  if (p->socket) {
    text_add (&t, "nc -U ");
    if (p->socket[0] == '-')
      text_add (&t, "./");           /* no option of nc */
    shell_quote (&t, p->socket);
  }
  else {
    text_add (&t, "nc localhost ");
    text_add_number (&t, p->nbd_port ? p->nbd_port : 10809);
  }
  return text_finish (h, &t);
}

static int
connect_ssh (struct nbd_handle *h, const struct uri *p)
{
  char port[16], *command = remote_command (h, p);
  char *argv[12];
  size_t n = 0;
  int r;

  if (command == NULL)
    return -1;
  snprintf (port, sizeof port, "%u", p->port ? p->port : 22);
  argv[n++] = (char *) "ssh";
  argv[n++] = (char *) "-p";
  argv[n++] = port;
  if (p->compress)
    argv[n++] = (char *) "-C";
  if (p->user) {
    argv[n++] = (char *) "-l";
    argv[n++] = p->user;
  }
  argv[n++] = (char *) "--";
  argv[n++] = p->host;
  argv[n++] = command;
  argv[n] = NULL;
  r = api_aio_connect_command (h, argv);
  /* Its other side waits for a server that has not been told goodbye. */
  h->pid_lingers = true;
  free (command);
  return r;
}

static int
connect_parsed (struct nbd_handle *h, const struct uri *p)
{
  char port[16];

  snprintf (port, sizeof port, "%u", p->port);
  switch (p->scheme->transport) {
  case LIBNBD_ALLOW_TRANSPORT_TCP:
    return api_aio_connect_tcp (h, p->host ? p->host : "localhost",
                                p->port ? port : DEFAULT_PORT);
  case LIBNBD_ALLOW_TRANSPORT_UNIX:
    return connect_unix_name (h, p->socket, p->socket_length);
  case LIBNBD_ALLOW_TRANSPORT_VSOCK:
    return api_aio_connect_vsock (h, p->cid, p->port ? p->port : 10809);
  default:
    return connect_ssh (h, p);
  }
}

int
api_aio_connect_uri (struct nbd_handle *h, const char *uri)
{
  struct uri p;
  int r = -1;

  if (uri_parse (h, &p, uri) == 0 && apply_settings (h, &p) == 0)
    r = connect_parsed (h, &p);
  if (r == -1 && h->state == STATE_START)
    uri_settings_restore (h);
  uri_free (&p);
  return r;
}

#else /* !HAVE_LIBXML2 */

int
api_aio_connect_uri (struct nbd_handle *h, const char *uri)
{
  (void) uri;
  error_set (h, ENOTSUP, "the library was built without libxml2 and has no "
             "URIs");
  return -1;
}

#endif /* HAVE_LIBXML2 */
