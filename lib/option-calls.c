/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The option calls of the API: each runs a program of options and, if it is
 * synchronous, waits for the last reply.
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "internal.h"

static const uint8_t go_program[] = {
  NBD_OPT_SET_META_CONTEXT, NBD_OPT_GO, 0
};
static const uint8_t info_program[] = {
  NBD_OPT_SET_META_CONTEXT, NBD_OPT_INFO, 0
};
static const uint8_t starttls_program[] = { NBD_OPT_STARTTLS, 0 };
static const uint8_t list_program[] = { NBD_OPT_LIST, 0 };
static const uint8_t structured_reply_program[] = {
  NBD_OPT_STRUCTURED_REPLY, 0
};
static const uint8_t extended_headers_program[] = {
  NBD_OPT_EXTENDED_HEADERS, 0
};
static const uint8_t list_meta_context_program[] = {
  NBD_OPT_LIST_META_CONTEXT, 0
};
static const uint8_t set_meta_context_program[] = {
  NBD_OPT_SET_META_CONTEXT, 0
};

/* What a call asks for; what it does not need is NULL. */
struct call {
  const uint8_t *program;
  char **queries;
  nbd_list_callback *list;
  nbd_context_callback *context;
  nbd_completion_callback *completion;
};

static int
copy_queries (struct nbd_handle *h, char **queries)
{
  struct string_list *list = &h->option.queries;
  size_t n = 0;

  while (queries[n]) {
    if (strlen (queries[n]) > NBD_MAX_STRING) {
      error_set (h, ENAMETOOLONG, "meta context name too long for NBD protocol");
      return -1;
    }
    n++;
  }
  list->items = calloc (n + 1, sizeof *list->items);
  for (size_t i = 0; list->items && i < n; i++) {
    list->items[i] = strdup (queries[i]);
    if (list->items[i] == NULL)
      break;
    list->count++;
  }
  if (list->items == NULL || list->count < n) {
    error_set (h, ENOMEM, "malloc");
    string_list_free (list);
    return -1;
  }
  return 0;
}

static int
start (struct nbd_handle *h, const struct call *call)
{
  struct option_progress *o = &h->option;
  const uint8_t *program = call->program;

  if (!(h->client_flags & NBD_FLAG_FIXED_NEWSTYLE)) {
    if (program != go_program) {
      error_set (h, ENOTSUP, "server is not using fixed newstyle protocol");
      return -1;
    }
    program = option_export_name_program;
  }
  if ((program == list_meta_context_program ||
       program == set_meta_context_program) && !h->structured_replies) {
    error_set (h, ENOTSUP, "server lacks structured replies");
    return -1;
  }
  if (call->queries && copy_queries (h, call->queries) == -1)
    return -1;
  if (call->list)
    TAKE_CALLBACK (o->list, call->list);
  if (call->context)
    TAKE_CALLBACK (o->context, call->context);
  if (call->completion)
    TAKE_CALLBACK (o->completion, call->completion);
  o->program = program;
  o->by_caller = true;
  option_run (h);
  if (h->transport)
    transport_send (h);         /* whoever receives learns of a failure */
  engine_run (h);               /* on what came while nothing was asked */
  if (h->state == STATE_DEAD)
    /* The completion callback has said so already. */
    return call->completion ? 0 : -1;
  return 0;
}

static bool
is_answered (struct nbd_handle *h, const void *arg)
{
  (void) arg;
  return handle_phase (h) != PHASE_CONNECTING;
}

static int
start_and_wait (struct nbd_handle *h, const struct call *call)
{
  if (start (h, call) == -1 ||
      transport_wait (h, is_answered, NULL) == -1 ||
      h->option.error)
    return -1;
  return 0;
}

#define START(p, ...) \
  start (h, &(struct call) { .program = p, ##__VA_ARGS__ })
#define WAIT(p, ...) \
  start_and_wait (h, &(struct call) { .program = p, ##__VA_ARGS__ })

int
api_opt_go (struct nbd_handle *h)
{
  return WAIT (go_program);
}

int
api_aio_opt_go (struct nbd_handle *h, nbd_completion_callback *completion)
{
  return START (go_program, .completion = completion);
}

int
api_opt_info (struct nbd_handle *h)
{
  return WAIT (info_program);
}

int
api_aio_opt_info (struct nbd_handle *h, nbd_completion_callback *completion)
{
  return START (info_program, .completion = completion);
}

int
api_opt_extended_headers (struct nbd_handle *h)
{
  return WAIT (extended_headers_program) == -1 ? -1 : h->option.accepted;
}

int
api_aio_opt_extended_headers (struct nbd_handle *h,
                              nbd_completion_callback *completion)
{
  return START (extended_headers_program, .completion = completion);
}

static bool
has_tls (struct nbd_handle *h)
{
  if (api_supports_tls (h))
    return true;
  error_set (h, ENOTSUP, "the library was built without TLS");
  return false;
}

int
api_opt_starttls (struct nbd_handle *h)
{
  return !has_tls (h) || WAIT (starttls_program) == -1 ? -1 :
    h->option.accepted;
}

int
api_aio_opt_starttls (struct nbd_handle *h,
                      nbd_completion_callback *completion)
{
  return has_tls (h) ? START (starttls_program, .completion = completion) : -1;
}

int
api_opt_structured_reply (struct nbd_handle *h)
{
  return WAIT (structured_reply_program) == -1 ? -1 : h->option.accepted;
}

int
api_aio_opt_structured_reply (struct nbd_handle *h,
                              nbd_completion_callback *completion)
{
  return START (structured_reply_program, .completion = completion);
}

int
api_opt_list (struct nbd_handle *h, nbd_list_callback *list)
{
  return WAIT (list_program, .list = list) == -1 ? -1 : h->option.count;
}

int
api_aio_opt_list (struct nbd_handle *h, nbd_list_callback *list,
                  nbd_completion_callback *completion)
{
  return START (list_program, .list = list, .completion = completion);
}

int
api_opt_list_meta_context_queries (struct nbd_handle *h, char **queries,
                                   nbd_context_callback *context)
{
  return WAIT (list_meta_context_program, .queries = queries,
               .context = context) == -1 ? -1 : h->option.count;
}

int
api_opt_list_meta_context (struct nbd_handle *h, nbd_context_callback *context)
{
  return api_opt_list_meta_context_queries (h, NULL, context);
}

int
api_aio_opt_list_meta_context_queries (struct nbd_handle *h, char **queries,
                                       nbd_context_callback *context,
                                       nbd_completion_callback *completion)
{
  return START (list_meta_context_program, .queries = queries,
                .context = context, .completion = completion);
}

int
api_aio_opt_list_meta_context (struct nbd_handle *h,
                               nbd_context_callback *context,
                               nbd_completion_callback *completion)
{
  return api_aio_opt_list_meta_context_queries (h, NULL, context, completion);
}

int
api_opt_set_meta_context_queries (struct nbd_handle *h, char **queries,
                                  nbd_context_callback *context)
{
  return WAIT (set_meta_context_program, .queries = queries,
               .context = context) == -1 ? -1 : h->option.count;
}

int
api_opt_set_meta_context (struct nbd_handle *h, nbd_context_callback *context)
{
  return api_opt_set_meta_context_queries (h, NULL, context);
}

int
api_aio_opt_set_meta_context_queries (struct nbd_handle *h, char **queries,
                                      nbd_context_callback *context,
                                      nbd_completion_callback *completion)
{
  return START (set_meta_context_program, .queries = queries,
                .context = context, .completion = completion);
}

int
api_aio_opt_set_meta_context (struct nbd_handle *h,
                              nbd_context_callback *context,
                              nbd_completion_callback *completion)
{
  return api_aio_opt_set_meta_context_queries (h, NULL, context, completion);
}

/* Servers need not reply, and some just close, so neither is waited for; see
 * "NBD_OPT_ABORT" in the specification.
 */
int
api_aio_opt_abort (struct nbd_handle *h)
{
  if (h->client_flags & NBD_FLAG_FIXED_NEWSTYLE &&
      option_queue_abort (h) == -1) {
    error_set (h, errno, "malloc");
    return -1;
  }
  transport_send (h);           /* as much as leaves at once */
  engine_close (h);
  return 0;
}

int
api_opt_abort (struct nbd_handle *h)
{
  return api_aio_opt_abort (h);
}
