/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Option haggling: one row per option, with what is sent, what is made of each
 * reply and what follows, side by side.  The option calls of the API, which run
 * these rows, are in option-calls.c.
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* Replies to one option: more than any server has exports or contexts. */
#define MAX_REPLIES (1 << 20)

/* Bytes of one reply, most of which are skipped. */
#define MAX_REPLY_LENGTH (16 * 1024 * 1024)

struct option {
  uint32_t number;
  const char *name;
  /* Whether a program sends it; NULL: always. */
  bool (*wanted) (const struct nbd_handle *h);
  /* The data of the request; NULL: none. */
  void (*build) (struct nbd_handle *h, struct writer *w);
  /* A reply that is not the last.  False if it is not one of this option's. */
  bool (*reply) (struct nbd_handle *h, uint32_t type, struct reader *r);
  /* The last reply: NBD_REP_ACK or an error. */
  void (*last) (struct nbd_handle *h, uint32_t type, const char *message);
};

static const uint8_t nothing[] = { 0 };
const uint8_t option_export_name_program[] = { NBD_OPT_EXPORT_NAME, 0 };


/* The option is over with ERRNUM (0: well).  The next of the program follows,
 * or the turn is the caller's.
 */
static void
finished (struct nbd_handle *h, int errnum)
{
  nbd_completion_callback completion = h->option.completion;
  nbd_list_callback list = h->option.list;
  nbd_context_callback context = h->option.context;

  h->option.error = errnum;
  if (errnum == 0 && *h->option.program) {
    option_run (h);
    return;
  }
  if (handle_phase (h) == PHASE_CONNECTING)
    expect (h, STATE_NEGOTIATING, NULL, 0);
  h->option.by_caller = false;
  string_list_free (&h->option.queries);
  memset (&h->option.completion, 0, sizeof completion);
  memset (&h->option.list, 0, sizeof list);
  memset (&h->option.context, 0, sizeof context);
  engine_publish (h);           /* for a completion callback that asks */
  if (completion.callback)
    completion.callback (completion.user_data, &errnum);
  FREE_CALLBACK (list);
  FREE_CALLBACK (context);
  FREE_CALLBACK (completion);
}

/* What each error reply means. */
static const struct error_reply {
  uint32_t type;
  int errnum;
  const char *text;
} error_replies[] = {
  { NBD_REP_ERR_UNSUP, ENOTSUP, "server does not know the option" },
  { NBD_REP_ERR_POLICY, ENOTSUP, "server policy prevents it" },
  { NBD_REP_ERR_INVALID, EINVAL, "server rejected it as invalid" },
  { NBD_REP_ERR_PLATFORM, ENOTSUP, "server's platform does not support it" },
  { NBD_REP_ERR_TLS_REQD, ENOTSUP, "server requires TLS encryption first" },
  { NBD_REP_ERR_UNKNOWN, ENOENT, "server has no such export" },
  { NBD_REP_ERR_SHUTDOWN, ESHUTDOWN, "server is shutting down" },
  { NBD_REP_ERR_BLOCK_SIZE_REQD, EINVAL,
    "server requires specific block sizes" },
  { NBD_REP_ERR_TOO_BIG, EINVAL, "the request or its reply is too big" },
  { NBD_REP_ERR_EXT_HEADER_REQD, ENOTSUP, "server requires extended headers" },
};

/* Say goodbye; "it MUST use soft disconnect". */
int
option_queue_abort (struct nbd_handle *h)
{
  uint8_t message[16];
  struct writer w = writer_init (message, sizeof message);

  write_u64 (&w, NBD_NEW_VERSION);
  write_u32 (&w, NBD_OPT_ABORT);
  write_u32 (&w, 0);
  return queue_push (h, message, w.n, true);
}

/* The server refused.  Fatal unless a caller who negotiates can go on. */
static void
refused (struct nbd_handle *h, uint32_t type, const char *message)
{
  const struct error_reply *row = NULL;
  uint32_t number = h->option.current->number;
  const char *text, *colon = *message ? ": " : "";
  int errnum = ENOTSUP;

  for (size_t i = 0; i < COUNT (error_replies); i++)
    if (error_replies[i].type == type)
      row = &error_replies[i];
  /* Why an export cannot be opened matters; other options are there or not. */
  if (row && (number == NBD_OPT_GO || number == NBD_OPT_INFO))
    errnum = row->errnum;
  text = row ? row->text : "unknown error reply";
  if (!h->option.by_caller) {
    option_queue_abort (h);
    fail (h, errnum, "handshake: %s: export \"%s\": %s%s%s",
          h->option.current->name, h->export_name, text, colon, message);
    return;
  }
  if (number == NBD_OPT_LIST)   /* of all exports */
    error_set (h, errnum, "%s: %s%s%s", h->option.current->name, text, colon,
               message);
  else
    error_set (h, errnum, "%s: export \"%s\": %s%s%s",
               h->option.current->name, h->export_name, text, colon, message);
  finished (h, errnum);
}

/* Options without data that the server takes or leaves. */

static void
agreed (struct nbd_handle *h, uint32_t type, bool *negotiated)
{
  h->option.accepted = type == NBD_REP_ACK;
  if (h->option.accepted)
    *negotiated = true;
  debug (h, "%s: %s", h->option.current->name,
         h->option.accepted ? "negotiated" : "refused");
}

/* NBD_OPT_STARTTLS */

static bool
want_starttls (const struct nbd_handle *h)
{
  return h->tls.mode != LIBNBD_TLS_DISABLE && !h->tls_negotiated;
}

static void
last_starttls (struct nbd_handle *h, uint32_t type, const char *message)
{
  if (type != NBD_REP_ACK && h->tls.mode == LIBNBD_TLS_REQUIRE &&
      !h->tls_negotiated) {
    option_queue_abort (h);
    fail (h, ENOTSUP, "handshake: server refused TLS, but handle TLS setting "
          "is 'require' (2)%s%s", *message ? ": " : "", message);
  }
  else if (type != NBD_REP_ACK) {
    debug (h, "server refused TLS%s%s, continuing with %s connection",
           *message ? ": " : "", message, h->tls_negotiated ? "the encrypted" :
           "unencrypted");
    finished (h, 0);
  }
  else if (h->tls_negotiated)
    fail (h, EPROTO, "handshake: server wants TLS inside of TLS");
  else if (engine_has_input (h) || h->queue.count > 0)
    /* What came in the clear would be taken for what TLS protects. */
    fail (h, EPROTO, "handshake: server sent data before TLS began");
  else
    expect (h, STATE_TLS, NULL, 0);
}

/* Nothing that was said in the clear counts. */
void
option_tls_established (struct nbd_handle *h)
{
  h->structured_replies = h->extended_headers = false;
  meta_reset (h);
  export_reset (h);
  h->option.accepted = true;
  finished (h, 0);
}

static bool
want_extended_headers (const struct nbd_handle *h)
{
  return h->request_extended_headers && h->request_structured_replies;
}

static void
last_extended_headers (struct nbd_handle *h, uint32_t type,
                       const char *message)
{
  (void) message;
  agreed (h, type, &h->extended_headers);
  /* Extended replies are structured. */
  if (h->extended_headers)
    h->structured_replies = true;
  finished (h, 0);
}

static bool
want_structured_reply (const struct nbd_handle *h)
{
  return h->request_structured_replies && !h->extended_headers;
}

static void
last_structured_reply (struct nbd_handle *h, uint32_t type,
                       const char *message)
{
  (void) message;
  agreed (h, type, &h->structured_replies);
  finished (h, 0);
}

/* A copy of what is left of a reply, as a string; NULL after fail (). */
static char *
take_string (struct nbd_handle *h, const uint8_t *p, size_t n)
{
  char *s;

  if (n > NBD_MAX_STRING || (n > 0 && memchr (p, '\0', n))) {
    fail (h, EPROTO, "handshake: invalid string in reply to %s",
          h->option.current->name);
    return NULL;
  }
  s = strndup (n > 0 ? (const char *) p : "", n);
  if (s == NULL)
    fail (h, errno, "strdup");
  return s;
}

/* NBD_OPT_LIST */

static bool
reply_list (struct nbd_handle *h, uint32_t type, struct reader *r)
{
  nbd_list_callback *cb = &h->option.list;
  uint32_t length = read_u32 (r);
  const uint8_t *p = read_bytes (r, length);
  char *name, *description = NULL;

  if (type != NBD_REP_SERVER || r->bad)
    return false;
  name = take_string (h, p, length);
  if (name)
    description = take_string (h, r->p, r->n);
  if (description) {
    h->option.count++;
    if (cb->callback)
      cb->callback (cb->user_data, name, description);
  }
  free (name);
  free (description);
  return true;
}

static void
last_list (struct nbd_handle *h, uint32_t type, const char *message)
{
  if (type == NBD_REP_ACK)
    finished (h, 0);
  else
    refused (h, type, message);
}

/* NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT */

static void
build_name (struct nbd_handle *h, struct writer *w)
{
  write_u32 (w, strlen (h->export_name));
  write_bytes (w, h->export_name, strlen (h->export_name));
}

static void
build_queries (struct nbd_handle *h, struct writer *w)
{
  const struct string_list *list =
    h->option.queries.items ? &h->option.queries : &h->meta_names;

  build_name (h, w);
  write_u32 (w, list->count);
  for (size_t i = 0; i < list->count; i++) {
    write_u32 (w, strlen (list->items[i]));
    write_bytes (w, list->items[i], strlen (list->items[i]));
  }
}

static bool
reply_meta_context (struct nbd_handle *h, uint32_t type, struct reader *r)
{
  nbd_context_callback *cb = &h->option.context;
  uint32_t id = read_u32 (r);
  bool set = h->option.current->number == NBD_OPT_SET_META_CONTEXT;
  char *name;

  if (type != NBD_REP_META_CONTEXT || r->bad || r->n == 0)
    return false;
  name = take_string (h, r->p, r->n);
  if (name && (!set || meta_add (h, id, name))) {
    h->option.count++;
    if (cb->callback)
      cb->callback (cb->user_data, name);
  }
  free (name);
  return true;
}

static bool
want_set_meta_context (const struct nbd_handle *h)
{
  return h->request_meta_context && h->structured_replies &&
    h->meta_names.count > 0;
}

static void
build_set_meta_context (struct nbd_handle *h, struct writer *w)
{
  meta_reset (h);               /* even when it fails */
  build_queries (h, w);
}

static void
last_meta_context (struct nbd_handle *h, uint32_t type, const char *message)
{
  bool set = h->option.current->number == NBD_OPT_SET_META_CONTEXT;

  if (type == NBD_REP_ACK) {
    if (set)
      h->meta.valid = true;
    finished (h, 0);
    return;
  }
  if (set)
    meta_reset (h);
  if (h->option.by_caller && !*h->option.program)
    refused (h, type, message);
  else {
    /* On the way to an export: it is worth less without, but it is there. */
    debug (h, "%s: refused", h->option.current->name);
    finished (h, 0);
  }
}

/* NBD_OPT_INFO and NBD_OPT_GO */

static void
build_info (struct nbd_handle *h, struct writer *w)
{
  uint16_t infos[3];
  size_t n = 0;

  if (h->request_block_size)
    infos[n++] = NBD_INFO_BLOCK_SIZE;
  if (h->full_info) {
    infos[n++] = NBD_INFO_NAME;
    infos[n++] = NBD_INFO_DESCRIPTION;
  }
  export_reset (h);
  build_name (h, w);
  write_u16 (w, n);
  for (size_t i = 0; i < n; i++)
    write_u16 (w, infos[i]);
}

/* A string of the export, replacing an earlier one. */
static void
set_info_string (struct nbd_handle *h, char **field, struct reader *r)
{
  char *s = take_string (h, r->p, r->n);

  if (s) {
    free (*field);
    *field = s;
  }
}

static bool
reply_info (struct nbd_handle *h, uint32_t type, struct reader *r)
{
  uint16_t info = read_u16 (r);
  uint64_t size;
  uint32_t minimum, preferred, maximum;
  uint16_t flags;

  if (type != NBD_REP_INFO || r->bad)
    return false;
  switch (info) {
  case NBD_INFO_EXPORT:
    size = read_u64 (r);
    flags = read_u16 (r);
    if (!reader_finished (r))
      return false;
    export_set (h, size, flags);
    break;
  case NBD_INFO_NAME:
    set_info_string (h, &h->export.canonical_name, r);
    break;
  case NBD_INFO_DESCRIPTION:
    set_info_string (h, &h->export.description, r);
    break;
  case NBD_INFO_BLOCK_SIZE:
    minimum = read_u32 (r);
    preferred = read_u32 (r);
    maximum = read_u32 (r);
    if (!reader_finished (r))
      return false;
    export_set_block_sizes (h, minimum, preferred, maximum);
    break;
  default:
    debug (h, "unknown information %u, ignored", info);
  }
  return true;
}

static void
last_info (struct nbd_handle *h, uint32_t type, const char *message)
{
  bool go = h->option.current->number == NBD_OPT_GO;

  if (type == NBD_REP_ACK && !h->export.known)
    fail (h, EPROTO, "handshake: server omitted NBD_INFO_EXPORT reply to %s",
          h->option.current->name);
  else if (type == NBD_REP_ACK) {
    if (go)
      reply_expect (h);
    finished (h, 0);
  }
  else if (go && type == NBD_REP_ERR_UNSUP && !h->extended_headers) {
    debug (h, "falling back to NBD_OPT_EXPORT_NAME");
    h->option.program = option_export_name_program;
    option_run (h);
  }
  else {
    export_reset (h);
    refused (h, type, message);
  }
}

/* NBD_OPT_EXPORT_NAME: its reply has a form of its own. */

static void
build_export_name (struct nbd_handle *h, struct writer *w)
{
  export_reset (h);
  write_bytes (w, h->export_name, strlen (h->export_name));
}

void
option_export_name_reply (struct nbd_handle *h, struct reader *r)
{
  uint64_t size = read_u64 (r);
  uint16_t flags = read_u16 (r);

  h->stats.chunks_received++;
  if (export_set (h, size, flags)) {
    reply_expect (h);
    finished (h, 0);
  }
}

static const struct option options[] = {
  { NBD_OPT_EXPORT_NAME, "NBD_OPT_EXPORT_NAME", NULL, build_export_name,
    NULL, NULL },
  { NBD_OPT_LIST, "NBD_OPT_LIST", NULL, NULL, reply_list, last_list },
  { NBD_OPT_STARTTLS, "NBD_OPT_STARTTLS", want_starttls, NULL, NULL,
    last_starttls },
  { NBD_OPT_INFO, "NBD_OPT_INFO", NULL, build_info, reply_info, last_info },
  { NBD_OPT_GO, "NBD_OPT_GO", NULL, build_info, reply_info, last_info },
  { NBD_OPT_STRUCTURED_REPLY, "NBD_OPT_STRUCTURED_REPLY",
    want_structured_reply, NULL, NULL, last_structured_reply },
  { NBD_OPT_LIST_META_CONTEXT, "NBD_OPT_LIST_META_CONTEXT", NULL,
    build_queries, reply_meta_context, last_meta_context },
  { NBD_OPT_SET_META_CONTEXT, "NBD_OPT_SET_META_CONTEXT",
    want_set_meta_context, build_set_meta_context, reply_meta_context,
    last_meta_context },
  { NBD_OPT_EXTENDED_HEADERS, "NBD_OPT_EXTENDED_HEADERS",
    want_extended_headers, NULL, NULL, last_extended_headers },
};

static const struct option *
find_option (uint32_t number)
{
  const struct option *row = options;

  while (row->number != number)
    row++;
  return row;
}

/* Queue a request and wait for the reply. */
static void
request (struct nbd_handle *h, const struct option *row)
{
  struct writer w = writer_init (NULL, 0);
  uint8_t *message;
  size_t length;
  int r;

  h->option.current = row;
  h->option.replies = 0;
  h->option.count = 0;
  h->option.accepted = false;
  if (row->build)
    row->build (h, &w);
  length = w.n;
  message = malloc (16 + length);
  if (message == NULL) {
    fail (h, errno, "malloc");
    return;
  }
  w = writer_init (message, 16 + length);
  write_u64 (&w, NBD_NEW_VERSION);
  write_u32 (&w, row->number);
  write_u32 (&w, length);
  if (row->build)
    row->build (h, &w);
  r = queue_push (h, message, w.n, true);
  free (message);
  if (r == -1) {
    fail (h, errno, "malloc");
    return;
  }
  debug (h, "%s: sent", row->name);
  if (row->number == NBD_OPT_EXPORT_NAME)
    expect (h, STATE_EXPORT_NAME_REPLY, NULL,
            h->client_flags & NBD_FLAG_NO_ZEROES ? 10 : 10 + 124);
  else
    expect (h, STATE_OPTION_REPLY, NULL, 0);
}

/* Send the next option of the program that is wanted; it has one, or the caller
 * gets the turn.
 */
void
option_run (struct nbd_handle *h)
{
  while (*h->option.program) {
    const struct option *row = find_option (*h->option.program++);

    /* What ends the program of a caller is what the caller asked for. */
    bool asked = h->option.by_caller && *h->option.program == 0;

    if (asked || !row->wanted || row->wanted (h)) {
      request (h, row);
      return;
    }
  }
  finished (h, 0);
}

void
option_begin (struct nbd_handle *h)
{
  static const uint8_t all[] = {
    NBD_OPT_STARTTLS, NBD_OPT_EXTENDED_HEADERS, NBD_OPT_STRUCTURED_REPLY,
    NBD_OPT_SET_META_CONTEXT, NBD_OPT_GO, 0,
  };
  static const uint8_t until_caller[] = {
    NBD_OPT_STARTTLS, NBD_OPT_EXTENDED_HEADERS, NBD_OPT_STRUCTURED_REPLY, 0,
  };

  if (h->client_flags & NBD_FLAG_FIXED_NEWSTYLE)
    h->option.program = h->opt_mode ? until_caller : all;
  else
    h->option.program = h->opt_mode ? nothing : option_export_name_program;
  option_run (h);
}

void
option_reply (struct nbd_handle *h, struct reader *r)
{
  const struct option *row = h->option.current;
  uint64_t magic = read_u64 (r);
  uint32_t option = read_u32 (r), type = read_u32 (r), length = read_u32 (r);

  h->stats.chunks_received++;
  if (magic != NBD_REP_MAGIC)
    fail (h, 0, "handshake: invalid option reply magic");
  else if (option != row->number)
    fail (h, 0, "handshake: option reply is for option %u, not %s", option,
          row->name);
  else if (++h->option.replies > MAX_REPLIES)
    fail (h, 0, "handshake: too many replies to %s", row->name);
  else if (type == NBD_REP_ACK && length > 0)
    fail (h, 0, "handshake: invalid NBD_REP_ACK option reply length");
  else if (length > MAX_REPLY_LENGTH ||
           (length > READ_AHEAD &&
            (type != NBD_REP_INFO || row->reply != reply_info)))
    fail (h, 0, "handshake: reply to %s is too long: %u bytes", row->name,
          length);
  else if (type & NBD_REP_ERR_BIT && length > NBD_MAX_STRING)
    fail (h, 0, "handshake: option error string too long");
  else if (length > READ_AHEAD) {
    /* Only information that we do not know can be that long. */
    h->option.skip = length;
    expect (h, STATE_OPTION_SKIP, NULL, READ_AHEAD);
  }
  else {
    h->option.reply_type = type;
    expect (h, STATE_OPTION_PAYLOAD, NULL, length);
  }
}

void
option_skip (struct nbd_handle *h, struct reader *r)
{
  h->option.skip -= r->n;
  if (h->option.skip > 0)
    expect (h, STATE_OPTION_SKIP, NULL, MIN (h->option.skip, READ_AHEAD));
  else
    expect (h, STATE_OPTION_REPLY, NULL, 0);
}

void
option_payload (struct nbd_handle *h, struct reader *r)
{
  const struct option *row = h->option.current;
  uint32_t type = h->option.reply_type;
  char message[256];

  if (type & NBD_REP_ERR_BIT || type == NBD_REP_ACK) {
    /* The message is for people: what is no text is left out. */
    size_t n = 0;

    for (; type != NBD_REP_ACK && r->n > 0 && n < sizeof message - 1; n++) {
      uint8_t c = read_uint (r, 1);

      message[n] = c < 32 || c == 127 ? '?' : c;
    }
    message[n] = '\0';
    row->last (h, type, message);
    return;
  }
  if (row->reply == NULL || !row->reply (h, type, r))
    fail (h, 0, "handshake: invalid reply of type %u to %s", type, row->name);
  else if (h->state == STATE_OPTION_PAYLOAD)
    expect (h, STATE_OPTION_REPLY, NULL, 0);
}

void
option_abandon (struct nbd_handle *h, int errnum)
{
  h->option.program = nothing;
  if (h->option.by_caller)
    finished (h, errnum);
}
