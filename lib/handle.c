/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life of a handle, and what it can tell of itself and the library. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* Handles are numbered in the order of their creation in the process. */
static atomic_uint last_number;

void
tls_settings_free (struct tls_settings *tls)
{
  free (tls->certificates);
  free (tls->psk_file);
  free (tls->username);
  free (tls->hostname);
  free (tls->priority);
}

static void
handle_free (struct nbd_handle *h)
{
  commands_free (h);
  queue_free (h);
  engine_free (h);
  export_reset (h);
  meta_reset (h);
  string_list_free (&h->meta_names);
  addresses_free (h);
  retry_free (h);
  uri_parts_free (h);
  uri_settings_keep (h);
  tls_settings_free (&h->tls);
  free (h->socket_activation_name);
  FREE_CALLBACK (h->debug_callback);
  extents_free (h);
  free (h->close_callbacks);
  free (h->export_name);
  free (h->name);
  pthread_mutex_destroy (&h->lock);
  free (h);
}

struct nbd_handle *
nbd_create (void)
{
  struct nbd_handle *h = calloc (1, sizeof *h);
  const char *debug_env;
  int err;

  if (h == NULL) {
    error_set_for ("nbd_create", errno, "calloc");
    return NULL;
  }
  err = pthread_mutex_init (&h->lock, NULL);
  if (err != 0) {
    error_set_for ("nbd_create", err, "pthread_mutex_init");
    free (h);
    return NULL;
  }

  h->function = "nbd_create";
  h->fd = -1;
  h->protocol = NULL;
  h->tls.verify_peer = true;
  h->uri_allow_transports = LIBNBD_ALLOW_TRANSPORT_MASK;
  h->uri_allow_tls = LIBNBD_TLS_ALLOW;
  h->request_block_size = true;
  h->request_extended_headers = true;
  h->request_structured_replies = true;
  h->request_meta_context = true;
  h->pread_initialize = true;
  h->handshake_flags = LIBNBD_HANDSHAKE_FLAG_MASK;
  h->strict_mode = LIBNBD_STRICT_MASK;
  h->export_name = strdup ("");
  if (asprintf (&h->name, "nbd%u", atomic_fetch_add (&last_number, 1) + 1)
      == -1)
    h->name = NULL;
  if (h->export_name == NULL || h->name == NULL || engine_init (h) == -1) {
    error_set_for ("nbd_create", ENOMEM, "out of memory");
    handle_free (h);
    return NULL;
  }

  debug_env = getenv ("LIBNBD_DEBUG");
  h->debug = debug_env && strcmp (debug_env, "1") == 0;
  debug (h, "opening handle");
  engine_publish (h);
  return h;
}

void
nbd_close (struct nbd_handle *h)
{
  if (h == NULL)
    return;

  h->function = "nbd_close";
  debug (h, "closing handle");
  for (size_t i = 0; i < h->nr_close_callbacks; i++)
    if (h->close_callbacks[i].callback)
      h->close_callbacks[i].callback (h->close_callbacks[i].user_data);
  for (size_t i = 0; i < h->nr_close_callbacks; i++)
    FREE_CALLBACK (h->close_callbacks[i]);

  h->closing = true;
  engine_close (h);
  transport_close (h);
  subprocess_end (h);
  handle_free (h);
}

int
api_add_close_callback (struct nbd_handle *h,
                        nbd_close_callback *close_callback)
{
  nbd_close_callback *list;

  list = realloc (h->close_callbacks,
                  (h->nr_close_callbacks + 1) * sizeof *list);
  if (list == NULL) {
    error_set (h, errno, "realloc");
    return -1;
  }
  h->close_callbacks = list;
  TAKE_CALLBACK (list[h->nr_close_callbacks], close_callback);
  h->nr_close_callbacks++;
  return 0;
}

uintptr_t
api_set_private_data (struct nbd_handle *h, uintptr_t private_data)
{
  return atomic_exchange (&h->private_data, private_data);
}

uintptr_t
api_get_private_data (struct nbd_handle *h)
{
  return atomic_load (&h->private_data);
}

const char *
api_get_package_name (struct nbd_handle *h)
{
  (void) h;
  return PACKAGE_NAME;
}

const char *
api_get_version (struct nbd_handle *h)
{
  (void) h;
  return PACKAGE_VERSION;
}

const char *
api_get_version_extra (struct nbd_handle *h)
{
  (void) h;
  return LIBNBD_VERSION_EXTRA;
}

static size_t
string_size (const char *s)
{
  return s ? strlen (s) + 1 : 0;
}

static size_t
names_size (const struct nbd_handle *h)
{
  size_t size = string_size (h->name) + string_size (h->export_name) +
    string_size (h->export.canonical_name) +
    string_size (h->export.description);

  for (size_t i = 0; i < h->meta_names.count; i++)
    size += sizeof *h->meta_names.items + string_size (h->meta_names.items[i]);
  for (size_t i = 0; i < h->meta.count; i++)
    size += sizeof *h->meta.items + string_size (h->meta.items[i].name);
  return size;
}

/* The sizes that grow with use; the rest of the handle is a constant. */
ssize_t
api_get_handle_size (struct nbd_handle *h)
{
  return sizeof *h + READ_AHEAD + names_size (h) + tls_size (h) +
    h->queue.size * sizeof *h->queue.ring +
    h->commands.size * sizeof *h->commands.table +
    h->commands.allocated * sizeof (struct command) +
    h->extents.size + h->nr_close_callbacks * sizeof *h->close_callbacks;
}

static unsigned
published (const struct nbd_handle *h)
{
  return atomic_load_explicit (&h->published, memory_order_acquire);
}

int
api_aio_is_created (struct nbd_handle *h)
{
  return !!(published (h) & PHASE_CREATED);
}

int
api_aio_is_connecting (struct nbd_handle *h)
{
  return !!(published (h) & PHASE_CONNECTING);
}

int
api_aio_is_negotiating (struct nbd_handle *h)
{
  return !!(published (h) & PHASE_NEGOTIATING);
}

int
api_aio_is_ready (struct nbd_handle *h)
{
  return !!(published (h) & PUBLISHED_IDLE);
}

int
api_aio_is_processing (struct nbd_handle *h)
{
  return (published (h) & PHASE_CONNECTED) && !(published (h) & PUBLISHED_IDLE);
}

int
api_aio_is_dead (struct nbd_handle *h)
{
  return !!(published (h) & PHASE_DEAD);
}

int
api_aio_is_closed (struct nbd_handle *h)
{
  return !!(published (h) & PHASE_CLOSED);
}

unsigned
api_aio_get_direction (struct nbd_handle *h)
{
  return published (h) >> PUBLISHED_DIRECTION_SHIFT;
}

int
api_aio_get_fd (struct nbd_handle *h)
{
  if (h->fd == -1)
    error_set (h, EINVAL, "there is no connection");
  return h->fd;
}

const char *
api_connection_state (struct nbd_handle *h)
{
  return engine_row (h)->text;
}
