/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the server said of the export, and the calls that tell it. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "internal.h"

void
export_reset (struct nbd_handle *h)
{
  free (h->export.canonical_name);
  free (h->export.description);
  h->export = (struct export) { 0 };
}

bool
export_set (struct nbd_handle *h, uint64_t size, uint16_t flags)
{
  debug (h, "export: %llu bytes, transmission flags 0x%x",
         (unsigned long long) size, flags);
  if (flags == 0) {
    fail (h, EINVAL, "handshake: invalid eflags == 0 from server");
    return false;
  }
  /* DF is about structured replies. */
  if (!h->structured_replies)
    flags &= ~NBD_FLAG_SEND_DF;
  if (!(flags & NBD_FLAG_SEND_WRITE_ZEROES))
    flags &= ~NBD_FLAG_SEND_FAST_ZERO;
  if (!h->extended_headers)
    flags &= ~NBD_FLAG_BLOCK_STATUS_PAYLOAD;
  h->export.size = size;
  h->export.flags = flags;
  h->export.known = true;
  return true;
}

static bool
is_power_of_2 (uint32_t v)
{
  return v && !(v & (v - 1));
}

void
export_set_block_sizes (struct nbd_handle *h, uint32_t minimum,
                        uint32_t preferred, uint32_t maximum)
{
  if (!is_power_of_2 (minimum) || minimum > 65536 ||
      !is_power_of_2 (preferred) || preferred < minimum || preferred < 512 ||
      maximum < preferred ||
      (maximum != UINT32_MAX && maximum % minimum != 0)) {
    debug (h, "server sent senseless block sizes %u, %u, %u, ignored",
           minimum, preferred, maximum);
    return;
  }
  h->export.block_minimum = minimum;
  h->export.block_preferred = preferred;
  h->export.block_maximum = maximum;
}

/* True, with the error set, if the server has not told yet. */
static bool
unknown (struct nbd_handle *h)
{
  if (h->export.known)
    return false;
  error_set (h, EINVAL, "server has not returned export flags, "
             "you need to connect to the server first");
  return true;
}

static int
has_flag (struct nbd_handle *h, uint16_t flag)
{
  if (unknown (h))
    return -1;
  return !!(h->export.flags & flag);
}

int
api_is_read_only (struct nbd_handle *h)
{
  return has_flag (h, NBD_FLAG_READ_ONLY);
}

int
api_can_flush (struct nbd_handle *h)
{
  return has_flag (h, NBD_FLAG_SEND_FLUSH);
}

int
api_can_fua (struct nbd_handle *h)
{
  return has_flag (h, NBD_FLAG_SEND_FUA);
}

int
api_is_rotational (struct nbd_handle *h)
{
  return has_flag (h, NBD_FLAG_ROTATIONAL);
}

int
api_can_trim (struct nbd_handle *h)
{
  return has_flag (h, NBD_FLAG_SEND_TRIM);
}

int
api_can_zero (struct nbd_handle *h)
{
  return has_flag (h, NBD_FLAG_SEND_WRITE_ZEROES);
}

int
api_can_fast_zero (struct nbd_handle *h)
{
  return has_flag (h, NBD_FLAG_SEND_FAST_ZERO);
}

int
api_can_block_status_payload (struct nbd_handle *h)
{
  return has_flag (h, NBD_FLAG_BLOCK_STATUS_PAYLOAD);
}

int
api_can_df (struct nbd_handle *h)
{
  return has_flag (h, NBD_FLAG_SEND_DF);
}

int
api_can_multi_conn (struct nbd_handle *h)
{
  return has_flag (h, NBD_FLAG_CAN_MULTI_CONN);
}

int
api_can_cache (struct nbd_handle *h)
{
  return has_flag (h, NBD_FLAG_SEND_CACHE);
}

int64_t
api_get_size (struct nbd_handle *h)
{
  if (!h->export.known) {
    error_set (h, EINVAL, "server has not returned export size, "
               "you need to connect to the server first");
    return -1;
  }
  if (h->export.size > INT64_MAX) {
    error_set (h, EOVERFLOW, "server claims size %llu which does not fit in "
               "signed result", (unsigned long long) h->export.size);
    return -1;
  }
  return h->export.size;
}

/* A string that the server may have sent. */
static char *
copy_text (struct nbd_handle *h, const char *text, const char *what)
{
  if (unknown (h))
    return NULL;
  if (text == NULL) {
    error_set (h, ENOTSUP, "server did not advertise a %s", what);
    return NULL;
  }
  char *copy = strdup (text);
  if (copy == NULL)
    error_set (h, errno, "strdup");
  return copy;
}

char *
api_get_canonical_export_name (struct nbd_handle *h)
{
  return copy_text (h, h->export.canonical_name, "canonical name");
}

char *
api_get_export_description (struct nbd_handle *h)
{
  return copy_text (h, h->export.description, "description");
}

int
api_set_export_name (struct nbd_handle *h, const char *export_name)
{
  char *copy;

  if (strlen (export_name) > NBD_MAX_STRING) {
    error_set (h, ENAMETOOLONG, "export name too long for NBD protocol");
    return -1;
  }
  if (strcmp (h->export_name, export_name) == 0)
    return 0;
  copy = strdup (export_name);
  if (copy == NULL) {
    error_set (h, errno, "strdup");
    return -1;
  }
  free (h->export_name);
  h->export_name = copy;
  /* What is known of the other export says nothing of this one. */
  export_reset (h);
  meta_reset (h);
  return 0;
}

/* Before there is a connection, what may be agreed on; then what was. */
uint32_t
api_get_handshake_flags (struct nbd_handle *h)
{
  return h->protocol ? h->client_flags : h->handshake_flags;
}

const char *
api_get_protocol (struct nbd_handle *h)
{
  return h->protocol;
}

int
api_get_structured_replies_negotiated (struct nbd_handle *h)
{
  return h->structured_replies;
}

int
api_get_extended_headers_negotiated (struct nbd_handle *h)
{
  return h->extended_headers;
}
