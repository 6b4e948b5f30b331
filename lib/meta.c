/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Meta contexts: the names that the program asks for, and the contexts that the
 * server granted.
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* More contexts than any server offers. */
#define MAX_CONTEXTS 1024

void
meta_reset (struct nbd_handle *h)
{
  for (size_t i = 0; i < h->meta.count; i++)
    free (h->meta.items[i].name);
  free (h->meta.items);
  h->meta = (struct meta_contexts) { 0 };
}

bool
meta_add (struct nbd_handle *h, uint32_t id, const char *name)
{
  struct meta_context *items;
  char *copy;

  if (h->meta.count >= MAX_CONTEXTS) {
    fail (h, EPROTO, "handshake: server selected more than %d meta contexts",
          MAX_CONTEXTS);
    return false;
  }
  items = realloc (h->meta.items, (h->meta.count + 1) * sizeof *items);
  copy = strdup (name);
  if (items)
    h->meta.items = items;
  if (items == NULL || copy == NULL) {
    free (copy);
    fail (h, ENOMEM, "malloc");
    return false;
  }
  items[h->meta.count++] = (struct meta_context) { .id = id, .name = copy };
  debug (h, "meta context %s has id %u", copy, id);
  return true;
}

const struct meta_context *
meta_find_id (struct nbd_handle *h, uint32_t id)
{
  for (size_t i = 0; i < h->meta.count; i++)
    if (h->meta.items[i].id == id)
      return &h->meta.items[i];
  return NULL;
}

const struct meta_context *
meta_find_name (struct nbd_handle *h, const char *name)
{
  for (size_t i = 0; i < h->meta.count; i++)
    if (strcmp (h->meta.items[i].name, name) == 0)
      return &h->meta.items[i];
  return NULL;
}

int
api_can_meta_context (struct nbd_handle *h, const char *metacontext)
{
  if (!h->export.known && !h->meta.valid) {
    error_set (h, EINVAL, "need a successful server meta context request "
               "first");
    return -1;
  }
  return meta_find_name (h, metacontext) != NULL;
}

int
api_add_meta_context (struct nbd_handle *h, const char *name)
{
  struct string_list *list = &h->meta_names;
  char **items, *copy;

  if (strlen (name) > NBD_MAX_STRING) {
    error_set (h, ENAMETOOLONG, "meta context name too long for NBD protocol");
    return -1;
  }
  items = realloc (list->items, (list->count + 1) * sizeof *items);
  if (items)
    list->items = items;
  copy = strdup (name);
  if (items == NULL || copy == NULL) {
    free (copy);
    error_set (h, ENOMEM, "malloc");
    return -1;
  }
  items[list->count++] = copy;
  return 0;
}

ssize_t
api_get_nr_meta_contexts (struct nbd_handle *h)
{
  return h->meta_names.count;
}

char *
api_get_meta_context (struct nbd_handle *h, size_t i)
{
  char *copy;

  if (i >= h->meta_names.count) {
    error_set (h, EINVAL, "meta context request out of range");
    return NULL;
  }
  copy = strdup (h->meta_names.items[i]);
  if (copy == NULL)
    error_set (h, errno, "strdup");
  return copy;
}

void
string_list_free (struct string_list *list)
{
  for (size_t i = 0; i < list->count; i++)
    free (list->items[i]);
  free (list->items);
  *list = (struct string_list) { 0 };
}

int
api_clear_meta_contexts (struct nbd_handle *h)
{
  string_list_free (&h->meta_names);
  return 0;
}
