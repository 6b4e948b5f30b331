/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dialogues in opt mode: the program itself says which option comes next. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "dialogue.h"

/* Setups. */

/* What is asked for before the pause: all there is, only structured replies,
 * or nothing.
 */
static void
opt_mode (struct nbd_handle *h)
{
  nbd_set_opt_mode (h, true);
}

static void
opt_mode_structured (struct nbd_handle *h)
{
  opt_mode (h);
  nbd_set_request_extended_headers (h, false);
}

static void
opt_mode_plain (struct nbd_handle *h)
{
  opt_mode (h);
  nbd_set_request_structured_replies (h, false);
}

static void
opt_mode_context (struct nbd_handle *h)
{
  opt_mode_structured (h);
  nbd_add_meta_context (h, "base:allocation");
}

static void
opt_mode_extended_context (struct nbd_handle *h)
{
  opt_mode (h);
  nbd_add_meta_context (h, "base:allocation");
}

static void
opt_mode_plain_context (struct nbd_handle *h)
{
  opt_mode_plain (h);
  nbd_add_meta_context (h, "base:allocation");
}

static void
opt_mode_no_automatic_context (struct nbd_handle *h)
{
  opt_mode_context (h);
  nbd_set_request_meta_context (h, false);
}

#ifdef HAVE_GNUTLS
static void
opt_mode_allow_tls (struct nbd_handle *h)
{
  opt_mode_structured (h);
  nbd_set_tls (h, LIBNBD_TLS_ALLOW);
}

static void
opt_mode_require_tls (struct nbd_handle *h)
{
  opt_mode_structured (h);
  nbd_set_tls (h, LIBNBD_TLS_REQUIRE);
}
#endif

static void
opt_mode_disk (struct nbd_handle *h)
{
  opt_mode_plain (h);
  nbd_set_export_name (h, "disk");
}

static void
opt_mode_fixed_newstyle_off (struct nbd_handle *h)
{
  opt_mode (h);
  nbd_set_handshake_flags (h, LIBNBD_HANDSHAKE_FLAG_NO_ZEROES);
}

/* Calls.  One that is refused is logged with its errno, behind the free
 * functions of its callbacks, which run before it returns.
 */
static void
called (struct play *p, const char *name, int r)
{
  if (r == -1)
    play_log (p, "%s: errno %d; ", name, nbd_get_errno ());
}

static void
opt_go (struct play *p)
{
  called (p, "opt_go", nbd_aio_opt_go (p->h, log_completion (p, "opt_go")));
}

static void
opt_info (struct play *p)
{
  called (p, "opt_info",
          nbd_aio_opt_info (p->h, log_completion (p, "opt_info")));
}

static void
opt_list (struct play *p)
{
  called (p, "opt_list",
          nbd_aio_opt_list (p->h, log_list (p),
                            log_completion (p, "opt_list")));
}

static void
opt_structured_reply (struct play *p)
{
  called (p, "opt_structured_reply",
          nbd_aio_opt_structured_reply
          (p->h, log_completion (p, "opt_structured_reply")));
}

static void
opt_extended_headers (struct play *p)
{
  called (p, "opt_extended_headers",
          nbd_aio_opt_extended_headers
          (p->h, log_completion (p, "opt_extended_headers")));
}

#ifdef HAVE_GNUTLS
static void
opt_starttls (struct play *p)
{
  called (p, "opt_starttls",
          nbd_aio_opt_starttls (p->h, log_completion (p, "opt_starttls")));
}
#endif

static void
opt_list_meta (struct play *p)
{
  called (p, "opt_list_meta",
          nbd_aio_opt_list_meta_context (p->h, log_context (p),
                                         log_completion (p, "opt_list_meta")));
}

static void
opt_set_meta (struct play *p)
{
  called (p, "opt_set_meta",
          nbd_aio_opt_set_meta_context (p->h, log_context (p),
                                        log_completion (p, "opt_set_meta")));
}

static void
list_queries (struct play *p, char **queries)
{
  called (p, "opt_list_meta",
          nbd_aio_opt_list_meta_context_queries
          (p->h, queries, log_context (p),
           log_completion (p, "opt_list_meta")));
}

static void
set_queries (struct play *p, char **queries)
{
  called (p, "opt_set_meta",
          nbd_aio_opt_set_meta_context_queries
          (p->h, queries, log_context (p),
           log_completion (p, "opt_set_meta")));
}

static char query_ab[] = "x-a:b", query_qemu[] = "qemu:";
static char query_base[] = "base:allocation";

static void
list_two_queries (struct play *p)
{
  list_queries (p, (char *[]) { query_ab, query_qemu, NULL });
}

static void
list_no_query (struct play *p)
{
  list_queries (p, (char *[]) { NULL });
}

static void
set_two_queries (struct play *p)
{
  set_queries (p, (char *[]) { query_ab, query_qemu, NULL });
}

static void
set_one_query (struct play *p)
{
  set_queries (p, (char *[]) { query_base, NULL });
}

static void
set_no_query (struct play *p)
{
  set_queries (p, (char *[]) { NULL });
}

static void
opt_abort (struct play *p)
{
  called (p, "opt_abort", nbd_opt_abort (p->h));
}

static void
aio_opt_abort (struct play *p)
{
  called (p, "opt_abort", nbd_aio_opt_abort (p->h));
}

static void
shutdown_handle (struct play *p)
{
  called (p, "shutdown", nbd_shutdown (p->h, 0));
}

static void
shutdown_abandoning (struct play *p)
{
  called (p, "shutdown",
          nbd_shutdown (p->h, LIBNBD_SHUTDOWN_ABANDON_PENDING));
}

/* Calls that change what is asked for. */

static void
name_disk (struct play *p)
{
  called (p, "set_export_name", nbd_set_export_name (p->h, "disk"));
}

static void
name_default (struct play *p)
{
  called (p, "set_export_name", nbd_set_export_name (p->h, ""));
}

/* A name of N bytes, in the play's buffer. */
static char *
long_name (struct play *p, size_t n)
{
  char *name = (char *) p->buffer[0];

  memset (name, 'n', n);
  name[n] = '\0';
  return name;
}

static void
name_4096 (struct play *p)
{
  called (p, "set_export_name", nbd_set_export_name (p->h,
                                                     long_name (p, 4096)));
}

static void
name_4097 (struct play *p)
{
  called (p, "set_export_name", nbd_set_export_name (p->h,
                                                     long_name (p, 4097)));
}

static void
add_4096 (struct play *p)
{
  called (p, "add_meta_context", nbd_add_meta_context (p->h,
                                                       long_name (p, 4096)));
}

static void
add_4097 (struct play *p)
{
  called (p, "add_meta_context", nbd_add_meta_context (p->h,
                                                       long_name (p, 4097)));
}

static void
set_query_4096 (struct play *p)
{
  set_queries (p, (char *[]) { long_name (p, 4096), NULL });
}

static void
queries_4097 (struct play *p)
{
  list_queries (p, (char *[]) { query_ab, long_name (p, 4097), NULL });
  set_queries (p, (char *[]) { query_ab, long_name (p, 4097), NULL });
}

static void
add_base_allocation (struct play *p)
{
  called (p, "add_meta_context",
          nbd_add_meta_context (p->h, "base:allocation"));
}

static void
add_ab (struct play *p)
{
  called (p, "add_meta_context", nbd_add_meta_context (p->h, "x-a:b"));
}

static void
clear_contexts (struct play *p)
{
  called (p, "clear_meta_contexts", nbd_clear_meta_contexts (p->h));
}

static void
ask_for_names (struct play *p)
{
  called (p, "set_full_info", nbd_set_full_info (p->h, true));
}

static void
ask_for_nothing (struct play *p)
{
  called (p, "set_full_info", nbd_set_full_info (p->h, false));
  called (p, "set_request_block_size",
          nbd_set_request_block_size (p->h, false));
}

static void
no_automatic_context (struct play *p)
{
  called (p, "set_request_meta_context",
          nbd_set_request_meta_context (p->h, false));
}

/* Calls with unusual callbacks. */

static int
unwilling_list (void *vp, const char *name, const char *description)
{
  play_log (vp, "%zu bytes (%zu bytes); ", strlen (name),
            strlen (description));
  return -1;
}

static int
unwilling_context (void *vp, const char *name)
{
  play_log (vp, "%zu bytes; ", strlen (name));
  return -1;
}

static int
unwilling_completion (void *vp, int *error)
{
  play_log (vp, "done %d; ", *error);
  *error = EIO;
  return -1;
}

static void
list_unwilling (struct play *p)
{
  nbd_list_callback list = { unwilling_list, p, NULL };
  nbd_completion_callback completion = { unwilling_completion, p, NULL };

  called (p, "opt_list", nbd_aio_opt_list (p->h, list, completion));
}

static void
set_unwilling (struct play *p)
{
  nbd_context_callback context = { unwilling_context, p, NULL };
  nbd_completion_callback completion = { unwilling_completion, p, NULL };

  called (p, "opt_set_meta",
          nbd_aio_opt_set_meta_context (p->h, context, completion));
}

static void
list_without_functions (struct play *p)
{
  nbd_list_callback list = log_list (p);
  nbd_completion_callback completion = log_completion (p, "opt_list");

  list.callback = NULL;
  completion.callback = NULL;
  called (p, "opt_list", nbd_aio_opt_list (p->h, list, completion));
}

static void
go_without_completion (struct play *p)
{
  called (p, "opt_go", nbd_aio_opt_go (p->h, NBD_NULL_COMPLETION));
}

/* A completion callback may ask for the state, without the lock. */
static int
asking_completion (void *vp, int *error)
{
  struct play *p = vp;

  play_log (p, "done %d%s%s%s; ", *error,
            nbd_aio_is_connecting (p->h) ? ", connecting" : "",
            nbd_aio_is_negotiating (p->h) ? ", negotiating" : "",
            nbd_aio_is_ready (p->h) ? ", ready" : "");
  return 0;
}

static void
info_asking (struct play *p)
{
  nbd_completion_callback completion = { asking_completion, p, NULL };

  called (p, "opt_info", nbd_aio_opt_info (p->h, completion));
}

static void
go_asking (struct play *p)
{
  nbd_completion_callback completion = { asking_completion, p, NULL };

  called (p, "opt_go", nbd_aio_opt_go (p->h, completion));
}

static void
null_callbacks (struct play *p)
{
  nbd_list_callback no_list = { 0 };
  nbd_context_callback no_context = { 0 };

  called (p, "opt_list",
          nbd_aio_opt_list (p->h, no_list, log_completion (p, "opt_list")));
  called (p, "opt_list_meta",
          nbd_aio_opt_list_meta_context
          (p->h, no_context, log_completion (p, "opt_list_meta")));
  called (p, "opt_set_meta",
          nbd_aio_opt_set_meta_context
          (p->h, no_context, log_completion (p, "opt_set_meta")));
  set_queries (p, NULL);
}

/* Every call that needs the pause, when there is none. */
static void
every_call (struct play *p)
{
  opt_list (p);
  opt_info (p);
  opt_go (p);
  opt_structured_reply (p);
  opt_extended_headers (p);
  opt_list_meta (p);
  set_one_query (p);
  aio_opt_abort (p);
}

#define NO_CALL(errnum)                                                 \
  "free list; free opt_list; opt_list: errno " errnum "; "              \
  "free opt_info; opt_info: errno " errnum "; "                         \
  "free opt_go; opt_go: errno " errnum "; "                             \
  "free opt_structured_reply; opt_structured_reply: errno " errnum "; " \
  "free opt_extended_headers; opt_extended_headers: errno " errnum "; " \
  "free context; free opt_list_meta; opt_list_meta: errno " errnum "; " \
  "free context; free opt_set_meta; opt_set_meta: errno " errnum "; "   \
  "opt_abort: errno " errnum "; "

static void
every_setting (struct play *p)
{
  name_disk (p);
  add_ab (p);
  clear_contexts (p);
  ask_for_nothing (p);
  no_automatic_context (p);
}

/* Calls that need the fixed newstyle protocol. */
static void
every_fixed_call (struct play *p)
{
  opt_list (p);
  opt_info (p);
  opt_structured_reply (p);
  opt_extended_headers (p);
  opt_list_meta (p);
  list_two_queries (p);
  opt_set_meta (p);
  set_one_query (p);
}

/* What can be known in the middle of a dialogue. */

static bool
speaks (struct play *p, const char *protocol)
{
  const char *s = nbd_get_protocol (p->h);

  return s && strcmp (s, protocol) == 0;
}

static void
is_paused (struct play *p)
{
  CHECK (p, nbd_aio_is_negotiating (p->h) == 1);
  CHECK (p, nbd_aio_is_connecting (p->h) == 0);
  CHECK (p, nbd_aio_is_ready (p->h) == 0);
  CHECK (p, nbd_aio_get_direction (p->h) == 0);
  CHECK (p, strncmp (nbd_connection_state (p->h), "NEGOTIATING:", 12) == 0);
}

/* A list is not of one export, so none is blamed. */
static void
is_paused_without_list (struct play *p)
{
  const char *text = nbd_get_error ();

  is_paused (p);
  CHECK (p, strstr (text, ": NBD_OPT_LIST: ") != NULL);
  CHECK (p, strstr (text, "export \"") == NULL);
}

static void
is_under_way (struct play *p)
{
  CHECK (p, nbd_aio_is_negotiating (p->h) == 0);
  CHECK (p, nbd_aio_is_connecting (p->h) == 1);
  CHECK (p, nbd_aio_is_ready (p->h) == 0);
  CHECK (p, nbd_aio_get_direction (p->h) & LIBNBD_AIO_DIRECTION_READ);
}

static void
is_ready (struct play *p)
{
  CHECK (p, nbd_aio_is_negotiating (p->h) == 0);
  CHECK (p, nbd_aio_is_connecting (p->h) == 0);
  CHECK (p, nbd_aio_is_ready (p->h) == 1);
}

/* Whether there is no string; it is freed. */
static bool
is_missing (char *string)
{
  bool missing = string == NULL;

  free (string);
  return missing;
}

static void
export_is_unknown (struct play *p)
{
  is_paused (p);
  CHECK (p, nbd_get_size (p->h) == -1);
  CHECK (p, nbd_get_errno () == EINVAL);
  CHECK (p, nbd_is_read_only (p->h) == -1);
  CHECK (p, nbd_get_errno () == EINVAL);
  CHECK (p, nbd_can_flush (p->h) == -1);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_MINIMUM) == -1);
  CHECK (p, nbd_get_errno () == EINVAL);
  CHECK (p, is_missing (nbd_get_canonical_export_name (p->h)));
  CHECK (p, nbd_get_errno () == EINVAL);
  CHECK (p, is_missing (nbd_get_export_description (p->h)));
  CHECK (p, nbd_get_errno () == EINVAL);
}

/* Neither is anything known of contexts. */
static void
all_is_unknown (struct play *p)
{
  export_is_unknown (p);
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == -1);
  CHECK (p, nbd_get_errno () == EINVAL);
}

/* As DISK_INFO has it. */
static void
export_is_disk (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 1048576);
  CHECK (p, nbd_is_read_only (p->h) == 0);
  CHECK (p, nbd_can_flush (p->h) == 1);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_MINIMUM) == 512);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_PREFERRED) == 4096);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_MAXIMUM) == 65536);
}

/* As SMALL_INFO has it. */
static void
export_is_small (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 512);
  CHECK (p, nbd_is_read_only (p->h) == 1);
  CHECK (p, nbd_can_flush (p->h) == 0);
  CHECK (p, nbd_get_block_size (p->h, LIBNBD_SIZE_MINIMUM) == 0);
  CHECK (p, is_missing (nbd_get_canonical_export_name (p->h)));
  CHECK (p, nbd_get_errno () == ENOTSUP);
}

static void
size_is_too_large (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == -1);
  CHECK (p, nbd_get_errno () == EOVERFLOW);
  CHECK (p, nbd_can_flush (p->h) == 1);
}

static void
names_are_known (struct play *p)
{
  char *name = nbd_get_canonical_export_name (p->h);
  char *description = nbd_get_export_description (p->h);

  CHECK (p, name && strcmp (name, "disk") == 0);
  CHECK (p, description && strcmp (description, "Disk") == 0);
  free (name);
  free (description);
}

static void
context_is_selected (struct play *p)
{
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == 1);
  CHECK (p, nbd_can_meta_context (p->h, "x-a:b") == 0);
}

static void
other_contexts_are_selected (struct play *p)
{
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == 0);
  CHECK (p, nbd_can_meta_context (p->h, "x-a:b") == 1);
  CHECK (p, nbd_can_meta_context (p->h, "qemu:depth") == 1);
}

static void
no_context_is_selected (struct play *p)
{
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == 0);
  CHECK (p, nbd_can_meta_context (p->h, "x-a:b") == 0);
}

static void
nothing_is_known_of_contexts (struct play *p)
{
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == -1);
  CHECK (p, nbd_get_errno () == EINVAL);
}

static void
has_simple_replies (struct play *p)
{
  CHECK (p, nbd_get_structured_replies_negotiated (p->h) == 0);
  CHECK (p, nbd_get_extended_headers_negotiated (p->h) == 0);
}

static void
has_structured_replies (struct play *p)
{
  CHECK (p, nbd_get_structured_replies_negotiated (p->h) == 1);
  CHECK (p, nbd_get_extended_headers_negotiated (p->h) == 0);
}

static void
has_extended_headers (struct play *p)
{
  CHECK (p, nbd_get_structured_replies_negotiated (p->h) == 1);
  CHECK (p, nbd_get_extended_headers_negotiated (p->h) == 1);
}

#ifdef HAVE_GNUTLS
static void
is_plain (struct play *p)
{
  is_paused (p);
  CHECK (p, nbd_get_tls_negotiated (p->h) == 0);
}
#endif

/* Checks at the end. */

static void
check_paused_simple (struct play *p)
{
  CHECK (p, speaks (p, "newstyle-fixed"));
  all_is_unknown (p);
  has_simple_replies (p);
}

static void
check_paused_structured (struct play *p)
{
  CHECK (p, speaks (p, "newstyle-fixed"));
  all_is_unknown (p);
  has_structured_replies (p);
}

static void
check_paused_extended (struct play *p)
{
  CHECK (p, speaks (p, "newstyle-fixed"));
  all_is_unknown (p);
  has_extended_headers (p);
}

static void
check_paused_newstyle (struct play *p)
{
  CHECK (p, speaks (p, "newstyle"));
  all_is_unknown (p);
  has_simple_replies (p);
}

static void
check_newstyle (struct play *p)
{
  is_ready (p);
  CHECK (p, speaks (p, "newstyle"));
  CHECK (p, nbd_get_size (p->h) == 512);
  has_simple_replies (p);
}

static void
check_oldstyle (struct play *p)
{
  is_ready (p);
  CHECK (p, speaks (p, "oldstyle"));
  CHECK (p, nbd_get_size (p->h) == 1048576);
  CHECK (p, nbd_get_opt_mode (p->h) == 1);
}

static void
check_ready (struct play *p)
{
  is_ready (p);
  export_is_disk (p);
  has_simple_replies (p);
}

static void
check_ready_small (struct play *p)
{
  is_ready (p);
  export_is_small (p);
}

static void
check_ready_extended (struct play *p)
{
  is_ready (p);
  has_extended_headers (p);
  CHECK (p, nbd_can_df (p->h) == 1);
  CHECK (p, nbd_can_block_status_payload (p->h) == 1);
}

/* Whether block status can be filtered. */
static void
filter_is_unknown (struct play *p)
{
  CHECK (p, nbd_can_block_status_payload (p->h) == -1);
  CHECK (p, nbd_get_errno () == EINVAL);
}

static void
filter_is_possible (struct play *p)
{
  CHECK (p, nbd_can_block_status_payload (p->h) == 1);
}

static void
filter_is_impossible (struct play *p)
{
  CHECK (p, nbd_can_block_status_payload (p->h) == 0);
}

/* Nor can anything be asked about no context. */
static void
check_ready_no_block_status (struct play *p)
{
  is_ready (p);
  CHECK (p, nbd_get_request_meta_context (p->h) == 0);
  CHECK (p, nbd_can_meta_context (p->h, "base:allocation") == 0);
  CHECK (p, nbd_aio_block_status (p->h, 512, 0, log_extent (p),
                                  NBD_NULL_COMPLETION, 0) == -1);
  CHECK (p, nbd_get_errno () == ENOTSUP);
  CHECK (p, nbd_aio_block_status_64 (p->h, 512, 0, log_extent64 (p),
                                     NBD_NULL_COMPLETION, 0) == -1);
  CHECK (p, nbd_get_errno () == ENOTSUP);
}

static void
check_ready_context (struct play *p)
{
  is_ready (p);
  context_is_selected (p);
}

static void
check_ready_other_contexts (struct play *p)
{
  is_ready (p);
  other_contexts_are_selected (p);
}

static void
check_ready_no_context (struct play *p)
{
  is_ready (p);
  no_context_is_selected (p);
}

static void
check_closed (struct play *p)
{
  CHECK (p, nbd_aio_is_closed (p->h) == 1);
  CHECK (p, nbd_aio_get_direction (p->h) == 0);
  CHECK (p, nbd_get_size (p->h) == -1);
  CHECK (p, nbd_get_errno () == EINVAL);
}

/* What was learnt can still be read. */
static void
check_closed_disk (struct play *p)
{
  CHECK (p, nbd_aio_is_closed (p->h) == 1);
  export_is_disk (p);
}

/* Parts of the transcripts. */

#define PLAIN_PAUSE                                     \
  SERVER (GREETING),                                    \
  CLIENT (CLIENT_FLAGS)

#define STRUCTURED_PAUSE                                \
  SERVER (GREETING),                                    \
  CLIENT (CLIENT_FLAGS OPT_STRUCTURED),                 \
  SERVER (ACK (8))

#define EXTENDED_PAUSE                                  \
  SERVER (GREETING),                                    \
  CLIENT (CLIENT_FLAGS OPT_EXTENDED),                   \
  SERVER (ACK (11))

#define NEWSTYLE_PAUSE                                  \
  SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0"),               \
  CLIENT ("u32:0")

#define OPT_EXPORT_NAME "'IHAVEOPT' u32:1 u32:0 "
#define OPT_LIST "'IHAVEOPT' u32:3 u32:0 "
#define OPT_INFO "'IHAVEOPT' u32:6 u32:8 u32:0 u16:1 u16:3 "
#define OPT_LIST_META                                                   \
  "'IHAVEOPT' u32:9 u32:27 u32:0 u32:1 u32:15 'base:allocation' "
#define OPT_LIST_META_ALL "'IHAVEOPT' u32:9 u32:8 u32:0 u32:0 "
#define OPT_SET_META_NONE "'IHAVEOPT' u32:10 u32:8 u32:0 u32:0 "
#define TWO_QUERIES "u32:2 u32:5 'x-a:b' u32:5 'qemu:' "
#define OPT_SET_META_TWO "'IHAVEOPT' u32:10 u32:26 u32:0 " TWO_QUERIES

#define INFO_DISK "'IHAVEOPT' u32:6 u32:12 u32:4 'disk' u16:1 u16:3 "
#define GO_DISK "'IHAVEOPT' u32:7 u32:12 u32:4 'disk' u16:1 u16:3 "

/* What the server says of two exports. */
#define DISK_INFO(n)                                                    \
  INFO_EXPORT (n, 0x100000, 0x0dfd) INFO_BLOCK_SIZE (n, 512, 4096, 65536)
#define SMALL_INFO(n) INFO_EXPORT (n, 512, 3)

/* Replies to LIST_META_CONTEXT and SET_META_CONTEXT. */
#define CONTEXT_BASE(n) REPLY (n, 4, 19) "u32:7 'base:allocation' "
#define CONTEXT_AB(n) REPLY (n, 4, 9) "u32:8 'x-a:b' "
#define CONTEXT_QEMU(n) REPLY (n, 4, 14) "u32:9 'qemu:depth' "

/* What is logged of a call. */
#define DONE(call, errnum) "done " call " " errnum "; free " call "; "
#define DONE_LIST(errnum)                                       \
  "done opt_list " errnum "; free list; free opt_list; "
#define DONE_LIST_META(errnum)                                  \
  "done opt_list_meta " errnum "; free context; free opt_list_meta; "
#define DONE_SET_META(errnum)                                   \
  "done opt_set_meta " errnum "; free context; free opt_set_meta; "

/* A server may say no, with or without a message, as often as it is asked. */
#define REFUSED(call, n, request, reason, type, done)                   \
  {                                                                     \
    .name = #call " refused: " reason,                                  \
    .setup = opt_mode_structured,                                       \
    .steps = {                                                          \
      STRUCTURED_PAUSE,                                                 \
      CALL (call),                                                      \
      CLIENT (request),                                                 \
      SERVER (REFUSE (n, type)),                                        \
      CALL (call),                                                      \
      CLIENT (request),                                                 \
      SERVER (REFUSE_TEXT (n, type)),                                   \
    },                                                                  \
    .state = "NEGOTIATING", .check = check_paused_structured,           \
    .log = done done,                                                   \
  }

#define GO_REFUSED(reason, type, errnum)                        \
  REFUSED (opt_go, 7, OPT_GO, reason, type, DONE ("opt_go", errnum))
#define INFO_REFUSED(reason, type, errnum)                      \
  REFUSED (opt_info, 6, OPT_INFO, reason, type, DONE ("opt_info", errnum))

/* For these ENOTSUP is all that a program is told. */
#define LIST_REFUSED(reason, type)                              \
  REFUSED (opt_list, 3, OPT_LIST, reason, type, DONE_LIST ("95"))
#define LIST_META_REFUSED(reason, type)                         \
  REFUSED (list_no_query, 9, OPT_LIST_META_ALL, reason, type,   \
           DONE_LIST_META ("95"))
#define SET_META_REFUSED(reason, type)                          \
  REFUSED (set_two_queries, 10, OPT_SET_META_TWO, reason, type, \
           DONE_SET_META ("95"))

/* To these "no" is an answer. */
#define FEATURE_REFUSED(reason, type)                                   \
  {                                                                     \
    .name = "opt_structured_reply and opt_extended_headers refused: "   \
      reason,                                                           \
    .setup = opt_mode_plain,                                            \
    .steps = {                                                          \
      PLAIN_PAUSE,                                                      \
      CALL (opt_structured_reply),                                      \
      CLIENT (OPT_STRUCTURED),                                          \
      SERVER (REFUSE (8, type)),                                        \
      CALL (opt_structured_reply),                                      \
      CLIENT (OPT_STRUCTURED),                                          \
      SERVER (REFUSE_TEXT (8, type)),                                   \
      CALL (opt_extended_headers),                                      \
      CLIENT (OPT_EXTENDED),                                            \
      SERVER (REFUSE (11, type)),                                       \
      CALL (opt_extended_headers),                                      \
      CLIENT (OPT_EXTENDED),                                            \
      SERVER (REFUSE_TEXT (11, type)),                                  \
    },                                                                  \
    .state = "NEGOTIATING", .check = check_paused_simple,               \
    .log = DONE ("opt_structured_reply", "0")                           \
      DONE ("opt_structured_reply", "0")                                \
      DONE ("opt_extended_headers", "0")                                \
      DONE ("opt_extended_headers", "0"),                               \
  }

/* Without TLS the negotiation goes on, and what was agreed to remains. */
#define OPT_STARTTLS "'IHAVEOPT' u32:5 u32:0 "
#define STARTTLS_REFUSED(reason, type)                                  \
  REFUSED (opt_starttls, 5, OPT_STARTTLS, reason, type,                 \
           DONE ("opt_starttls", "0")),                                 \
  {                                                                     \
    .name = "opt mode: TLS is allowed and refused: " reason,            \
    .setup = opt_mode_allow_tls,                                        \
    .steps = {                                                          \
      SERVER (GREETING),                                                \
      CLIENT (CLIENT_FLAGS OPT_STARTTLS),                               \
      SERVER (REFUSE (5, type)),                                        \
      CLIENT (OPT_STRUCTURED),                                          \
      SERVER (ACK (8)),                                                 \
      CALL (is_plain),                                                  \
      CALL (opt_starttls),                                              \
      CLIENT (OPT_STARTTLS),                                            \
      SERVER (REFUSE_TEXT (5, type)),                                   \
      CALL (is_plain),                                                  \
    },                                                                  \
    .state = "NEGOTIATING", .check = check_paused_structured,           \
    .log = DONE ("opt_starttls", "0"),                                  \
  },                                                                    \
  {                                                                     \
    .name = "opt mode: TLS is required and refused: " reason,           \
    .setup = opt_mode_require_tls,                                      \
    .steps = {                                                          \
      SERVER (GREETING),                                                \
      CLIENT (CLIENT_FLAGS OPT_STARTTLS),                               \
      SERVER (REFUSE (5, type)),                                        \
      CLIENT (OPT_ABORT),                                               \
    },                                                                  \
    .state = "DEAD",                                                    \
    .error = "handshake: server refused TLS, but handle TLS setting "   \
      "is 'require' (2): Operation not supported",                      \
  }

/* The reply breaks the protocol: the option ends with the connection. */
#define BROKEN(call, request, what, message, reply, done)               \
  {                                                                     \
    .name = "broken reply to " #call ": " what,                         \
    .setup = opt_mode_structured,                                       \
    .steps = {                                                          \
      STRUCTURED_PAUSE,                                                 \
      CALL (call),                                                      \
      CLIENT (request),                                                 \
      SERVER (reply),                                                   \
    },                                                                  \
    .state = "DEAD", .error = "handshake: " message, .log = done,       \
  }

#define BROKEN_LIST(what, message, reply)                               \
  BROKEN (opt_list, OPT_LIST, what, message, reply, DONE_LIST ("107"))
#define BROKEN_LIST_META(what, message, reply)                          \
  BROKEN (list_no_query, OPT_LIST_META_ALL, what, message, reply,       \
          DONE_LIST_META ("107"))
#define BROKEN_SET_META(what, message, reply)                           \
  BROKEN (set_one_query, OPT_SET_META, what, message, reply,            \
          DONE_SET_META ("107"))
#define BROKEN_INFO(what, message, reply)                               \
  BROKEN (opt_info, OPT_INFO, what, message, reply, DONE ("opt_info", "107"))
#define BROKEN_GO(what, message, reply)                                 \
  BROKEN (opt_go, OPT_GO, what, message, reply, DONE ("opt_go", "107"))

/* The server has gone, or the handle is closed, while the option is under
 * way.
 */
#define CLOSED_EARLY "recv: server disconnected unexpectedly"
#define CUT_SHORT(call, request, what, reply, where, done)              \
  {                                                                     \
    .name = "the server closes " what,                                  \
    .setup = opt_mode_structured,                                       \
    .steps = {                                                          \
      STRUCTURED_PAUSE,                                                 \
      CALL (call),                                                      \
      CLIENT (request),                                                 \
      SERVER (reply),                                                   \
      SERVER_CLOSES,                                                    \
    },                                                                  \
    .state = "DEAD", .error = CLOSED_EARLY, .log = done,                \
  },                                                                    \
  {                                                                     \
    .name = "the handle is closed " what,                               \
    .setup = opt_mode_structured,                                       \
    .steps = {                                                          \
      STRUCTURED_PAUSE,                                                 \
      CALL (call),                                                      \
      CLIENT (request),                                                 \
      SERVER (reply),                                                   \
      CALL (is_under_way),                                              \
    },                                                                  \
    .state = where, .log = done,                                        \
  }

/* More contexts than the client believes in. */
#define FOUR(bytes) bytes bytes bytes bytes
#define MANY_CONTEXTS FOUR (FOUR (FOUR (FOUR (FOUR (CONTEXT_AB (10))))))

const struct dialogue option_dialogues[] = {
  /* The pause. */
  {
    .name = "opt mode: a pause after structured replies",
    .setup = opt_mode,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_EXTENDED),
      SERVER (UNSUP (11)),
      CLIENT (OPT_STRUCTURED),
      SERVER (ACK (8)),
    },
    .state = "NEGOTIATING", .check = check_paused_structured,
  },
  {
    .name = "opt mode: a pause after extended headers",
    .setup = opt_mode_extended_context,
    .steps = { EXTENDED_PAUSE },
    .state = "NEGOTIATING", .check = check_paused_extended,
  },
  {
    .name = "opt mode: a pause when all was refused",
    .setup = opt_mode_extended_context,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_EXTENDED),
      SERVER (REFUSE_TEXT (11, ERR_POLICY)),
      CLIENT (OPT_STRUCTURED),
      SERVER (REFUSE (8, ERR_SHUTDOWN)),
    },
    .state = "NEGOTIATING", .check = check_paused_simple,
  },
  {
    .name = "opt mode: a pause after the client flags",
    .setup = opt_mode_plain,
    .steps = { PLAIN_PAUSE },
    .state = "NEGOTIATING", .check = check_paused_simple,
  },
  {
    .name = "opt mode: the server closes in the pause, which nobody notices",
    .setup = opt_mode_plain,
    .steps = { PLAIN_PAUSE, SERVER_CLOSES },
    .state = "NEGOTIATING", .check = check_paused_simple,
  },
  {
    .name = "opt mode: the server closes in the pause, then an option is sent",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE, SERVER_CLOSES,
      CALL (opt_info),
      CLIENT (OPT_INFO),
    },
    .state = "DEAD", .error = CLOSED_EARLY,
    .log = DONE ("opt_info", "107"),
  },
  {
    .name = "opt mode: the server closes before the pause",
    .setup = opt_mode_structured,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_STRUCTURED),
      SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
  },
  {
    .name = "opt mode: a reply that came before it was asked for",
    .setup = opt_mode_plain,
    .steps = {
      SERVER (GREETING DISK_INFO (7) ACK (7)),
      CLIENT (CLIENT_FLAGS),
      CALL (opt_go),
      CLIENT (OPT_GO),
    },
    .state = "READY", .check = check_ready,
    .log = DONE ("opt_go", "0"),
  },

  /* Old servers. */
  {
    .name = "opt mode, oldstyle: no pause",
    .setup = opt_mode,
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:1048576 u32:5 x124:00"),
      CALL (every_call),
    },
    .state = "READY", .check = check_oldstyle,
    .log = NO_CALL ("22"),
  },
  {
    .name = "opt mode, newstyle: a pause after the client flags",
    .setup = opt_mode,
    .steps = { NEWSTYLE_PAUSE },
    .state = "NEGOTIATING", .check = check_paused_newstyle,
  },
  {
    .name = "opt mode, newstyle: opt_go",
    .setup = opt_mode_extended_context,
    .steps = {
      NEWSTYLE_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_EXPORT_NAME),
      CALL (is_under_way),
      SERVER ("u64:512 u16:1 x124:00"),
    },
    .state = "READY", .check = check_newstyle,
    .log = DONE ("opt_go", "0"),
  },
  {
    .name = "opt mode, newstyle: other options are refused, opt_go is not",
    .setup = opt_mode_fixed_newstyle_off,
    .steps = {
      SERVER (GREETING),
      CLIENT ("u32:2"),
      CALL (every_fixed_call),
      CALL (all_is_unknown),
      CALL (name_disk),
      CALL (opt_go),
      CLIENT ("'IHAVEOPT' u32:1 u32:4 'disk'"),
      SERVER ("u64:512 u16:1"),
    },
    .state = "READY", .check = check_newstyle,
    .log = "free list; free opt_list; opt_list: errno 95; "
      "free opt_info; opt_info: errno 95; "
      "free opt_structured_reply; opt_structured_reply: errno 95; "
      "free opt_extended_headers; opt_extended_headers: errno 95; "
      "free context; free opt_list_meta; opt_list_meta: errno 95; "
      "free context; free opt_list_meta; opt_list_meta: errno 95; "
      "free context; free opt_set_meta; opt_set_meta: errno 95; "
      "free context; free opt_set_meta; opt_set_meta: errno 95; "
      DONE ("opt_go", "0"),
  },
  {
    .name = "opt mode, newstyle: the server has no such export",
    .setup = opt_mode,
    .steps = {
      NEWSTYLE_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_EXPORT_NAME),
      SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
    .log = DONE ("opt_go", "107"),
  },
  {
    .name = "opt mode, newstyle: no transmission flags",
    .setup = opt_mode,
    .steps = {
      NEWSTYLE_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_EXPORT_NAME),
      SERVER ("u64:512 u16:0 x124:00"),
    },
    .state = "DEAD",
    .error = "handshake: invalid eflags == 0 from server: Invalid argument",
    .log = DONE ("opt_go", "107"),
  },
  {
    .name = "opt mode, newstyle: the handle is closed before the export came",
    .setup = opt_mode,
    .steps = {
      NEWSTYLE_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_EXPORT_NAME),
      SERVER ("u64:512 u16:1"),
    },
    .state = "EXPORT_NAME_REPLY",
    .log = DONE ("opt_go", "107"),
  },
  /* Such a server does not know the option ABORT either. */
  {
    .name = "opt mode, newstyle: opt_abort just hangs up",
    .setup = opt_mode,
    .steps = { NEWSTYLE_PAUSE, CALL (opt_abort) },
    .state = "CLOSED", .check = check_closed,
  },
  {
    .name = "opt mode, newstyle: aio_opt_abort just hangs up",
    .setup = opt_mode,
    .steps = { NEWSTYLE_PAUSE, CALL (aio_opt_abort) },
    .state = "CLOSED", .check = check_closed,
  },
  {
    .name = "opt mode, newstyle: shutdown just hangs up",
    .setup = opt_mode,
    .steps = { NEWSTYLE_PAUSE, CALL (shutdown_handle) },
    .state = "CLOSED", .check = check_closed,
  },

  /* One option at a time. */
  {
    .name = "no other option while one is under way",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (is_paused),
      CALL (opt_info),
      CLIENT (OPT_INFO),
      CALL (is_under_way),
      CALL (every_call),
      CALL (every_setting),
      CALL (shutdown_handle),
      SERVER (DISK_INFO (6)),
      CALL (is_under_way),
      CALL (opt_info),
      SERVER (ACK (6)),
      CALL (is_paused),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
      CALL (every_call),
    },
    .state = "READY", .check = check_ready,
    .log = NO_CALL ("22")
      "set_export_name: errno 22; add_meta_context: errno 22; "
      "clear_meta_contexts: errno 22; set_full_info: errno 22; "
      "set_request_block_size: errno 22; set_request_meta_context: errno 22; "
      "shutdown: errno 22; "
      "free opt_info; opt_info: errno 22; "
      DONE ("opt_info", "0")
      DONE ("opt_go", "0")
      NO_CALL ("22"),
  },
  {
    .name = "no option before the pause",
    .setup = opt_mode_structured,
    .steps = {
      CALL (every_call),
      STRUCTURED_PAUSE,
    },
    .state = "NEGOTIATING", .check = check_paused_structured,
    .log = NO_CALL ("22"),
  },

  /* opt_list */
  {
    .name = "opt_list: no export",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_list),
      CLIENT (OPT_LIST),
      CALL (is_under_way),
      SERVER (ACK (3)),
    },
    .state = "NEGOTIATING", .check = check_paused_simple,
    .log = DONE_LIST ("0"),
  },
  {
    .name = "opt_list: several exports, with and without descriptions",
    .setup = opt_mode_disk,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_list),
      CLIENT (OPT_LIST),
      SERVER (REPLY (3, 2, 12) "u32:4 'disk' 'Disk'"
              REPLY (3, 2, 5) "u32:1 'b'"
              REPLY (3, 2, 4) "u32:0"
              REPLY (3, 2, 7) "u32:0 'any'"
              REPLY (3, 2, 6) "u32:2 c3a9"
              ACK (3)),
    },
    .state = "NEGOTIATING", .check = check_paused_simple,
    .log = "export disk (Disk); export b (); export  (); export  (any); "
      "export \303\251 (); " DONE_LIST ("0"),
  },
  {
    .name = "opt_list: as often as the program likes",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_list),
      CLIENT (OPT_LIST),
      SERVER (REPLY (3, 2, 5) "u32:1 'a'" ACK (3)),
      CALL (opt_list),
      CLIENT (OPT_LIST),
      SERVER (ACK (3)),
      CALL (opt_list),
      CLIENT (OPT_LIST),
      SERVER (REPLY (3, 2, 5) "u32:1 'b'" ACK (3)),
    },
    .state = "NEGOTIATING", .check = check_paused_simple,
    .log = "export a (); " DONE_LIST ("0") DONE_LIST ("0")
      "export b (); " DONE_LIST ("0"),
  },
  {
    .name = "opt_list: the longest strings, and callbacks that return -1",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (list_unwilling),
      CLIENT (OPT_LIST),
      SERVER (REPLY (3, 2, 8196) "u32:4096 x4096:6e x4096:64"
              REPLY (3, 2, 5) "u32:1 'a'" ACK (3)),
    },
    .state = "NEGOTIATING", .check = check_paused_simple,
    .log = "4096 bytes (4096 bytes); 1 bytes (0 bytes); done 0; ",
  },
  {
    .name = "opt_list: callbacks without a function are freed",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (list_without_functions),
      CLIENT (OPT_LIST),
      SERVER (REPLY (3, 2, 5) "u32:1 'a'" ACK (3)),
    },
    .state = "NEGOTIATING", .check = check_paused_simple,
    .log = "free list; free opt_list; ",
  },
  {
    .name = "callbacks and queries that are needed and not there",
    .setup = opt_mode_structured,
    .steps = { STRUCTURED_PAUSE, CALL (null_callbacks) },
    .state = "NEGOTIATING", .check = check_paused_structured,
    .log = "free opt_list; opt_list: errno 14; "
      "free opt_list_meta; opt_list_meta: errno 14; "
      "free opt_set_meta; opt_set_meta: errno 14; "
      "free context; free opt_set_meta; opt_set_meta: errno 14; ",
  },
  LIST_REFUSED ("UNSUP", ERR_UNSUP),
  LIST_REFUSED ("POLICY", ERR_POLICY),
  LIST_REFUSED ("INVALID", ERR_INVALID),
  LIST_REFUSED ("PLATFORM", ERR_PLATFORM),
  LIST_REFUSED ("TLS_REQD", ERR_TLS_REQD),
  LIST_REFUSED ("UNKNOWN", ERR_UNKNOWN),
  LIST_REFUSED ("SHUTDOWN", ERR_SHUTDOWN),
  LIST_REFUSED ("TOO_BIG", ERR_TOO_BIG),
  LIST_REFUSED ("EXT_HEADER_REQD", ERR_EXT_HEADER_REQD),
  LIST_REFUSED ("an unknown error", ERR_77),
  {
    .name = "opt_list refused after some exports, then not",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_list),
      CLIENT (OPT_LIST),
      SERVER (REPLY (3, 2, 5) "u32:1 'a'" REPLY (3, 2, 5) "u32:1 'b'"
              REFUSE_TEXT (3, ERR_POLICY)),
      CALL (is_paused_without_list),
      CALL (opt_list),
      CLIENT (OPT_LIST),
      SERVER (REPLY (3, 2, 5) "u32:1 'a'" ACK (3)),
    },
    .state = "NEGOTIATING", .check = check_paused_simple,
    .log = "export a (); export b (); " DONE_LIST ("95")
      "export a (); " DONE_LIST ("0"),
  },
  BROKEN_LIST ("no magic number", "invalid option reply magic",
               "'IHAVEOPT' u32:3 u32:1 u32:0"),
  BROKEN_LIST ("for another option",
               "option reply is for option 7, not NBD_OPT_LIST", ACK (7)),
  BROKEN_LIST ("acknowledgement with a payload",
               "invalid NBD_REP_ACK option reply length",
               REPLY (3, 1, 4) "u32:0"),
  BROKEN_LIST ("no length of the name",
               "invalid reply of type 2 to NBD_OPT_LIST",
               REPLY (3, 2, 0) ACK (3)),
  BROKEN_LIST ("half a length of the name",
               "invalid reply of type 2 to NBD_OPT_LIST",
               REPLY (3, 2, 3) "00 00 00" ACK (3)),
  BROKEN_LIST ("name beyond the payload",
               "invalid reply of type 2 to NBD_OPT_LIST",
               REPLY (3, 2, 8) "u32:5 'disk'" ACK (3)),
  BROKEN_LIST ("name far beyond the payload",
               "invalid reply of type 2 to NBD_OPT_LIST",
               REPLY (3, 2, 8) "u32:0xffffffff 'disk'" ACK (3)),
  BROKEN_LIST ("name of 4097 bytes", "invalid string in reply to "
               "NBD_OPT_LIST: Protocol error",
               REPLY (3, 2, 4101) "u32:4097 x4097:6e"),
  BROKEN_LIST ("description of 4097 bytes", "invalid string in reply to "
               "NBD_OPT_LIST: Protocol error",
               REPLY (3, 2, 4102) "u32:1 'a' x4097:64"),
  BROKEN_LIST ("a NUL in the name", "invalid string in reply to "
               "NBD_OPT_LIST: Protocol error",
               REPLY (3, 2, 8) "u32:4 'dis' 00"),
  BROKEN_LIST ("a NUL in the description", "invalid string in reply to "
               "NBD_OPT_LIST: Protocol error",
               REPLY (3, 2, 8) "u32:1 'a' 'b' 00 'c'"),
  BROKEN_LIST ("information", "invalid reply of type 3 to NBD_OPT_LIST",
               INFO_EXPORT (3, 512, 1)),
  BROKEN_LIST ("a refusal longer than any text",
               "option error string too long",
               REP_MAGIC "u32:3 " ERR_POLICY " u32:4097 x4097:41"),
  BROKEN_LIST ("longer than any name",
               "reply to NBD_OPT_LIST is too long: 65537 bytes",
               REPLY (3, 2, 65537)),
  BROKEN_LIST ("more information than there can be",
               "reply to NBD_OPT_LIST is too long: 65537 bytes",
               REPLY (3, 3, 65537)),
  CUT_SHORT (opt_list, OPT_LIST, "before the list", "", "OPTION_REPLY",
             DONE_LIST ("107")),
  CUT_SHORT (opt_list, OPT_LIST, "within the list",
             REPLY (3, 2, 5) "u32:1 'a'", "OPTION_REPLY",
             "export a (); " DONE_LIST ("107")),
  CUT_SHORT (opt_list, OPT_LIST, "within the name of an export",
             REPLY (3, 2, 8) "u32:4 'dis'", "OPTION_PAYLOAD",
             DONE_LIST ("107")),

  /* opt_info and opt_go */
  {
    .name = "opt_info",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6)),
      CALL (is_under_way),
      SERVER (ACK (6)),
      CALL (is_paused),
    },
    .state = "NEGOTIATING", .check = export_is_disk,
    .log = DONE ("opt_info", "0"),
  },
  {
    .name = "opt_go",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7)),
      CALL (is_under_way),
      SERVER (ACK (7)),
    },
    .state = "READY", .check = check_ready,
    .log = DONE ("opt_go", "0"),
  },
  {
    .name = "opt_go without a completion callback",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (go_without_completion),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready,
  },
  {
    .name = "opt_go without a completion callback, refused",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (go_without_completion),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_UNKNOWN)),
    },
    .state = "NEGOTIATING", .check = check_paused_simple,
  },
  {
    .name = "the completion callback finds the state that follows",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (info_asking),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (go_asking),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_UNKNOWN)),
      CALL (go_asking),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready,
    .log = "done 0, negotiating; done 2, negotiating; done 0, ready; ",
  },
  {
    .name = "opt_go with extended headers",
    .setup = opt_mode,
    .steps = {
      EXTENDED_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (INFO_EXPORT (7, 512, 0x1dfd) ACK (7)),
    },
    .state = "READY", .check = check_ready_extended,
    .log = DONE ("opt_go", "0"),
  },
  {
    .name = "opt_info, then opt_go with other flags: the last counts",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (export_is_disk),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (SMALL_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_small,
    .log = DONE ("opt_info", "0") DONE ("opt_go", "0"),
  },
  {
    .name = "opt_info and opt_go tell whether block status can be filtered",
    .setup = opt_mode,
    .steps = {
      EXTENDED_PAUSE,
      CALL (filter_is_unknown),
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (INFO_EXPORT (6, 512, 0x1dfd) ACK (6)),
      CALL (filter_is_possible),
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (INFO_EXPORT (6, 512, 0x0dfd) ACK (6)),
      CALL (filter_is_impossible),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (INFO_EXPORT (7, 512, 0x1dfd) ACK (7)),
    },
    .state = "READY", .check = filter_is_possible,
    .log = DONE ("opt_info", "0") DONE ("opt_info", "0") DONE ("opt_go", "0"),
  },
  {
    .name = "without extended headers block status cannot be filtered",
    .setup = opt_mode_structured,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (INFO_EXPORT (7, 512, 0x1dfd) ACK (7)),
    },
    .state = "READY", .check = filter_is_impossible,
    .log = DONE ("opt_go", "0"),
  },
  {
    .name = "opt_info twice: nothing of the first remains",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (ask_for_names),
      CALL (opt_info),
      CLIENT ("'IHAVEOPT' u32:6 u32:12 u32:0 u16:3 u16:3 u16:1 u16:2"),
      SERVER (REPLY (6, 3, 6) "u16:1 'disk'" REPLY (6, 3, 6) "u16:2 'Disk'"
              DISK_INFO (6) ACK (6)),
      CALL (names_are_known),
      CALL (export_is_disk),
      CALL (ask_for_nothing),
      CALL (opt_info),
      CLIENT ("'IHAVEOPT' u32:6 u32:6 u32:0 u16:0"),
      SERVER (SMALL_INFO (6) ACK (6)),
    },
    .state = "NEGOTIATING", .check = export_is_small,
    .log = DONE ("opt_info", "0") DONE ("opt_info", "0"),
  },
  {
    .name = "opt_info fails: nothing of an earlier one remains",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (export_is_disk),
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (REFUSE (6, ERR_UNKNOWN)),
    },
    .state = "NEGOTIATING", .check = check_paused_simple,
    .log = DONE ("opt_info", "0") DONE ("opt_info", "2"),
  },
  {
    .name = "opt_go fails: nothing of opt_info remains, then it does not",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (SMALL_INFO (6) ACK (6)),
      CALL (export_is_small),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (SMALL_INFO (7) REFUSE_TEXT (7, ERR_BLOCK_SIZE_REQD)),
      CALL (all_is_unknown),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready,
    .log = DONE ("opt_info", "0") DONE ("opt_go", "22") DONE ("opt_go", "0"),
  },
  {
    .name = "opt_info does not help, opt_go does",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (REFUSE (6, ERR_UNSUP)),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready,
    .log = DONE ("opt_info", "95") DONE ("opt_go", "0"),
  },
  {
    .name = "a size above INT64_MAX in opt_info and opt_go",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (INFO_EXPORT (6, 0x8000000000000000, 5) ACK (6)),
      CALL (size_is_too_large),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (INFO_EXPORT (7, 0xffffffffffffffff, 5) ACK (7)),
    },
    .state = "READY", .check = size_is_too_large,
    .log = DONE ("opt_info", "0") DONE ("opt_go", "0"),
  },
  INFO_REFUSED ("UNSUP", ERR_UNSUP, "95"),
  INFO_REFUSED ("POLICY", ERR_POLICY, "95"),
  INFO_REFUSED ("INVALID", ERR_INVALID, "22"),
  INFO_REFUSED ("PLATFORM", ERR_PLATFORM, "95"),
  INFO_REFUSED ("TLS_REQD", ERR_TLS_REQD, "95"),
  INFO_REFUSED ("UNKNOWN", ERR_UNKNOWN, "2"),
  INFO_REFUSED ("SHUTDOWN", ERR_SHUTDOWN, "108"),
  INFO_REFUSED ("BLOCK_SIZE_REQD", ERR_BLOCK_SIZE_REQD, "22"),
  INFO_REFUSED ("TOO_BIG", ERR_TOO_BIG, "22"),
  INFO_REFUSED ("EXT_HEADER_REQD", ERR_EXT_HEADER_REQD, "95"),
  INFO_REFUSED ("an unknown error", ERR_77, "95"),
  GO_REFUSED ("POLICY", ERR_POLICY, "95"),
  GO_REFUSED ("INVALID", ERR_INVALID, "22"),
  GO_REFUSED ("PLATFORM", ERR_PLATFORM, "95"),
  GO_REFUSED ("TLS_REQD", ERR_TLS_REQD, "95"),
  GO_REFUSED ("UNKNOWN", ERR_UNKNOWN, "2"),
  GO_REFUSED ("SHUTDOWN", ERR_SHUTDOWN, "108"),
  GO_REFUSED ("BLOCK_SIZE_REQD", ERR_BLOCK_SIZE_REQD, "22"),
  GO_REFUSED ("TOO_BIG", ERR_TOO_BIG, "22"),
  GO_REFUSED ("EXT_HEADER_REQD", ERR_EXT_HEADER_REQD, "95"),
  GO_REFUSED ("an unknown error", ERR_77, "95"),
  {
    .name = "opt_go at a server without GO",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) REFUSE_TEXT (7, ERR_UNSUP)),
      CLIENT (OPT_EXPORT_NAME),
      CALL (is_under_way),
      SERVER ("u64:512 u16:3"),
    },
    .state = "READY", .check = check_ready_small,
    .log = DONE ("opt_go", "0"),
  },
  {
    .name = "opt_go at a server without GO that sends zeroes",
    .setup = opt_mode_disk,
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:1"),
      CLIENT ("u32:1"),
      CALL (opt_info),
      CLIENT (INFO_DISK),
      SERVER (REFUSE (6, ERR_UNSUP)),
      CALL (opt_go),
      CLIENT (GO_DISK),
      SERVER (REFUSE (7, ERR_UNSUP)),
      CLIENT ("'IHAVEOPT' u32:1 u32:4 'disk'"),
      SERVER ("u64:512 u16:3 x124:00"),
    },
    .state = "READY", .check = check_ready_small,
    .log = DONE ("opt_info", "95") DONE ("opt_go", "0"),
  },
  {
    .name = "opt_go at a server without GO that has no such export",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_UNSUP)),
      CLIENT (OPT_EXPORT_NAME),
      SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
    .log = DONE ("opt_go", "107"),
  },
  {
    .name = "opt_go at a server without GO, no transmission flags",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_UNSUP)),
      CLIENT (OPT_EXPORT_NAME),
      SERVER ("u64:512 u16:0"),
    },
    .state = "DEAD",
    .error = "handshake: invalid eflags == 0 from server: Invalid argument",
    .log = DONE ("opt_go", "107"),
  },
  {
    .name = "opt_go at a server without GO, the handle is closed",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_UNSUP)),
      CLIENT (OPT_EXPORT_NAME),
      SERVER ("u64:512"),
    },
    .state = "EXPORT_NAME_REPLY",
    .log = DONE ("opt_go", "107"),
  },
  {
    .name = "opt_go at a server with extended headers cannot be unsupported",
    .setup = opt_mode,
    .steps = {
      EXTENDED_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_UNSUP)),
      CALL (check_paused_extended),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (INFO_EXPORT (7, 512, 0x1dfd) ACK (7)),
    },
    .state = "READY", .check = check_ready_extended,
    .log = DONE ("opt_go", "95") DONE ("opt_go", "0"),
  },
  BROKEN_INFO ("no magic number", "invalid option reply magic",
               "'IHAVEOPT' u32:6 u32:1 u32:0"),
  BROKEN_INFO ("for GO", "option reply is for option 7, not NBD_OPT_INFO",
               INFO_EXPORT (7, 512, 1)),
  BROKEN_INFO ("no NBD_INFO_EXPORT", "server omitted NBD_INFO_EXPORT reply "
               "to NBD_OPT_INFO: Protocol error", ACK (6)),
  BROKEN_INFO ("acknowledgement with a payload",
               "invalid NBD_REP_ACK option reply length",
               SMALL_INFO (6) REPLY (6, 1, 1) "00"),
  BROKEN_INFO ("another type", "invalid reply of type 4 to NBD_OPT_INFO",
               REPLY (6, 4, 5) "u32:1 'a'"),
  BROKEN_INFO ("half a type", "invalid reply of type 3 to NBD_OPT_INFO",
               REPLY (6, 3, 1) "00"),
  BROKEN_INFO ("NBD_INFO_EXPORT is short",
               "invalid reply of type 3 to NBD_OPT_INFO",
               REPLY (6, 3, 10) "u16:0 u64:512"),
  BROKEN_INFO ("NBD_INFO_BLOCK_SIZE is short",
               "invalid reply of type 3 to NBD_OPT_INFO",
               REPLY (6, 3, 2) "u16:3"),
  BROKEN_INFO ("a NUL in the name", "invalid string in reply to "
               "NBD_OPT_INFO: Protocol error",
               REPLY (6, 3, 3) "u16:1 00"),
  BROKEN_INFO ("no transmission flags",
               "invalid eflags == 0 from server: Invalid argument",
               INFO_EXPORT (6, 512, 0) ACK (6)),
  BROKEN_GO ("for INFO", "option reply is for option 6, not NBD_OPT_GO",
             SMALL_INFO (6)),
  BROKEN_GO ("no NBD_INFO_EXPORT", "server omitted NBD_INFO_EXPORT reply "
             "to NBD_OPT_GO: Protocol error", ACK (7)),
  BROKEN_GO ("no transmission flags",
             "invalid eflags == 0 from server: Invalid argument",
             INFO_EXPORT (7, 512, 0) ACK (7)),
  CUT_SHORT (opt_info, OPT_INFO, "before the information", "",
             "OPTION_REPLY", DONE ("opt_info", "107")),
  CUT_SHORT (opt_info, OPT_INFO, "within the information",
             REPLY (6, 3, 12) "u16:0 u64:512", "OPTION_PAYLOAD",
             DONE ("opt_info", "107")),
  CUT_SHORT (opt_info, OPT_INFO, "after the information", SMALL_INFO (6),
             "OPTION_REPLY", DONE ("opt_info", "107")),
  CUT_SHORT (opt_info, OPT_INFO, "while information is skipped",
             REPLY (6, 3, 70000) "u16:99", "OPTION_SKIP",
             DONE ("opt_info", "107")),
  CUT_SHORT (opt_go, OPT_GO, "before the export", "",
             "OPTION_REPLY", DONE ("opt_go", "107")),
  CUT_SHORT (opt_go, OPT_GO, "after half a header", "u64:0x3e889045565a9",
             "OPTION_REPLY", DONE ("opt_go", "107")),
  CUT_SHORT (opt_go, OPT_GO, "within a message",
             REPLY (7, 0x80000006, 7) "'beca'", "OPTION_PAYLOAD",
             DONE ("opt_go", "107")),
  CUT_SHORT (opt_go, OPT_GO, "before the export is acknowledged",
             SMALL_INFO (7), "OPTION_REPLY", DONE ("opt_go", "107")),

  /* The name of the export. */
  {
    .name = "another export name forgets what was known",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) REPLY (6, 3, 6) "u16:1 'disk'"
              REPLY (6, 3, 6) "u16:2 'Disk'" ACK (6)),
      CALL (export_is_disk),
      CALL (names_are_known),
      CALL (context_is_selected),
      CALL (name_disk),
      CALL (all_is_unknown),
      CALL (name_default),
      CALL (all_is_unknown),
      CALL (name_disk),
      CALL (no_automatic_context),
      CALL (opt_info),
      CLIENT (INFO_DISK),
      SERVER (SMALL_INFO (6) ACK (6)),
      CALL (export_is_small),
    },
    .state = "NEGOTIATING", .check = no_context_is_selected,
    .log = DONE ("opt_info", "0") DONE ("opt_info", "0"),
  },
  {
    .name = "the same export name forgets nothing",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (name_default),
      CALL (export_is_disk),
    },
    .state = "NEGOTIATING", .check = context_is_selected,
    .log = DONE ("opt_info", "0"),
  },
  {
    .name = "one name after another until there is an export",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_UNKNOWN)),
      CALL (opt_list),
      CLIENT (OPT_LIST),
      SERVER (REPLY (3, 2, 8) "u32:4 'disk'" ACK (3)),
      CALL (name_disk),
      CALL (opt_info),
      CLIENT (INFO_DISK),
      SERVER (SMALL_INFO (6) ACK (6)),
      CALL (opt_go),
      CLIENT (GO_DISK),
      SERVER (SMALL_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_small,
    .log = DONE ("opt_go", "2") "export disk (); " DONE_LIST ("0")
      DONE ("opt_info", "0") DONE ("opt_go", "0"),
  },
  {
    .name = "names of 4096 bytes, and no longer ones",
    .setup = opt_mode_structured,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (name_4096),
      CALL (name_4097),
      CALL (add_4096),
      CALL (add_4097),
      CALL (queries_4097),
      CALL (opt_set_meta),
      CLIENT ("'IHAVEOPT' u32:10 u32:8204 u32:4096 x4096:6e "
              "u32:1 u32:4096 x4096:6e"),
      SERVER (ACK (10)),
      CALL (clear_contexts),
      CALL (set_query_4096),
      CLIENT ("'IHAVEOPT' u32:10 u32:8204 u32:4096 x4096:6e "
              "u32:1 u32:4096 x4096:6e"),
      SERVER (ACK (10)),
      CALL (opt_go),
      CLIENT ("'IHAVEOPT' u32:7 u32:4104 u32:4096 x4096:6e u16:1 u16:3"),
      SERVER (SMALL_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_small,
    .log = "set_export_name: errno 36; add_meta_context: errno 36; "
      "free context; free opt_list_meta; opt_list_meta: errno 36; "
      "free context; free opt_set_meta; opt_set_meta: errno 36; "
      DONE_SET_META ("0") DONE_SET_META ("0") DONE ("opt_go", "0"),
  },

  /* opt_structured_reply and opt_extended_headers */
  {
    .name = "structured replies by hand",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (list_no_query),
      CALL (set_one_query),
      CALL (opt_structured_reply),
      CLIENT (OPT_STRUCTURED),
      CALL (is_under_way),
      SERVER (ACK (8)),
      CALL (check_paused_structured),
      CALL (list_no_query),
      CLIENT (OPT_LIST_META_ALL),
      SERVER (ACK (9)),
    },
    .state = "NEGOTIATING", .check = check_paused_structured,
    .log = "free context; free opt_list_meta; opt_list_meta: errno 95; "
      "free context; free opt_set_meta; opt_set_meta: errno 95; "
      DONE ("opt_structured_reply", "0") DONE_LIST_META ("0"),
  },
  {
    .name = "extended headers by hand, and with them structured replies",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_extended_headers),
      CLIENT (OPT_EXTENDED),
      CALL (is_under_way),
      SERVER (ACK (11)),
      CALL (check_paused_extended),
      CALL (list_no_query),
      CLIENT (OPT_LIST_META_ALL),
      SERVER (ACK (9)),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (INFO_EXPORT (7, 512, 0x1dfd) ACK (7)),
    },
    .state = "READY", .check = check_ready_extended,
    .log = DONE ("opt_extended_headers", "0") DONE_LIST_META ("0")
      DONE ("opt_go", "0"),
  },
  {
    .name = "extended headers by hand after structured replies",
    .setup = opt_mode_structured,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_extended_headers),
      CLIENT (OPT_EXTENDED),
      SERVER (ACK (11)),
    },
    .state = "NEGOTIATING", .check = check_paused_extended,
    .log = DONE ("opt_extended_headers", "0"),
  },
  {
    .name = "what was agreed to stays agreed to",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_structured_reply),
      CLIENT (OPT_STRUCTURED),
      SERVER (ACK (8)),
      CALL (opt_structured_reply),
      CLIENT (OPT_STRUCTURED),
      SERVER (REFUSE (8, ERR_INVALID)),
      CALL (has_structured_replies),
      CALL (opt_extended_headers),
      CLIENT (OPT_EXTENDED),
      SERVER (REFUSE (11, ERR_POLICY)),
      CALL (has_structured_replies),
      CALL (opt_extended_headers),
      CLIENT (OPT_EXTENDED),
      SERVER (ACK (11)),
      CALL (has_extended_headers),
      CALL (opt_structured_reply),
      CLIENT (OPT_STRUCTURED),
      SERVER (REFUSE (8, ERR_EXT_HEADER_REQD)),
      CALL (has_extended_headers),
      CALL (opt_extended_headers),
      CLIENT (OPT_EXTENDED),
      SERVER (REFUSE_TEXT (11, ERR_INVALID)),
      CALL (has_extended_headers),
      CALL (opt_structured_reply),
      CLIENT (OPT_STRUCTURED),
      SERVER (ACK (8)),
    },
    .state = "NEGOTIATING", .check = check_paused_extended,
    .log = DONE ("opt_structured_reply", "0")
      DONE ("opt_structured_reply", "0")
      DONE ("opt_extended_headers", "0")
      DONE ("opt_extended_headers", "0")
      DONE ("opt_structured_reply", "0")
      DONE ("opt_extended_headers", "0")
      DONE ("opt_structured_reply", "0"),
  },
  FEATURE_REFUSED ("UNSUP", ERR_UNSUP),
  FEATURE_REFUSED ("POLICY", ERR_POLICY),
  FEATURE_REFUSED ("INVALID", ERR_INVALID),
  FEATURE_REFUSED ("PLATFORM", ERR_PLATFORM),
  FEATURE_REFUSED ("TLS_REQD", ERR_TLS_REQD),
  FEATURE_REFUSED ("SHUTDOWN", ERR_SHUTDOWN),
  FEATURE_REFUSED ("TOO_BIG", ERR_TOO_BIG),
  FEATURE_REFUSED ("EXT_HEADER_REQD", ERR_EXT_HEADER_REQD),
  FEATURE_REFUSED ("an unknown error", ERR_77),
  BROKEN (opt_structured_reply, OPT_STRUCTURED, "a payload",
          "invalid NBD_REP_ACK option reply length",
          REPLY (8, 1, 1) "00", DONE ("opt_structured_reply", "107")),
  BROKEN (opt_structured_reply, OPT_STRUCTURED, "another type",
          "invalid reply of type 3 to NBD_OPT_STRUCTURED_REPLY",
          REPLY (8, 3, 0), DONE ("opt_structured_reply", "107")),
  BROKEN (opt_extended_headers, OPT_EXTENDED, "a payload",
          "invalid NBD_REP_ACK option reply length",
          REPLY (11, 1, 1) "00", DONE ("opt_extended_headers", "107")),
  BROKEN (opt_extended_headers, OPT_EXTENDED, "for another option",
          "option reply is for option 8, not NBD_OPT_EXTENDED_HEADERS",
          ACK (8), DONE ("opt_extended_headers", "107")),
  CUT_SHORT (opt_structured_reply, OPT_STRUCTURED,
             "before the reply about structured replies", "",
             "OPTION_REPLY", DONE ("opt_structured_reply", "107")),
  CUT_SHORT (opt_structured_reply, OPT_STRUCTURED,
             "within the refusal of structured replies",
             REPLY (8, 0x80000001, 7) "'no'", "OPTION_PAYLOAD",
             DONE ("opt_structured_reply", "107")),
  CUT_SHORT (opt_extended_headers, OPT_EXTENDED,
             "before the reply about extended headers", "",
             "OPTION_REPLY", DONE ("opt_extended_headers", "107")),

  /* opt_list_meta_context */
  {
    .name = "opt_list_meta_context: all contexts, and no selection by that",
    .setup = opt_mode_structured,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_list_meta),
      CLIENT (OPT_LIST_META_ALL),
      CALL (is_under_way),
      SERVER (CONTEXT_BASE (9) CONTEXT_AB (9) REPLY (9, 4, 9) "u32:0 'qemu:'"
              ACK (9)),
    },
    .state = "NEGOTIATING", .check = check_paused_structured,
    .log = "context base:allocation; context x-a:b; context qemu:; "
      DONE_LIST_META ("0"),
  },
  {
    .name = "opt_list_meta_context: the names that were added are queries",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_list_meta),
      CLIENT (OPT_LIST_META),
      SERVER (CONTEXT_BASE (9) ACK (9)),
      CALL (add_ab),
      CALL (name_disk),
      CALL (opt_list_meta),
      CLIENT ("'IHAVEOPT' u32:9 u32:40 u32:4 'disk' u32:2 "
              "u32:15 'base:allocation' u32:5 'x-a:b'"),
      SERVER (ACK (9)),
      CALL (clear_contexts),
      CALL (opt_list_meta),
      CLIENT ("'IHAVEOPT' u32:9 u32:12 u32:4 'disk' u32:0"),
      SERVER (CONTEXT_AB (9) ACK (9)),
    },
    .state = "NEGOTIATING", .check = check_paused_structured,
    .log = "context base:allocation; " DONE_LIST_META ("0")
      DONE_LIST_META ("0") "context x-a:b; " DONE_LIST_META ("0"),
  },
  {
    .name = "opt_list_meta_context_queries: the names that were added are not",
    .setup = opt_mode_extended_context,
    .steps = {
      EXTENDED_PAUSE,
      CALL (list_two_queries),
      CLIENT ("'IHAVEOPT' u32:9 u32:26 u32:0 " TWO_QUERIES),
      SERVER (CONTEXT_AB (9) CONTEXT_QEMU (9) ACK (9)),
      CALL (list_no_query),
      CLIENT (OPT_LIST_META_ALL),
      SERVER (ACK (9)),
      CALL (opt_list_meta),
      CLIENT (OPT_LIST_META),
      SERVER (CONTEXT_BASE (9) ACK (9)),
    },
    .state = "NEGOTIATING", .check = check_paused_extended,
    .log = "context x-a:b; context qemu:depth; " DONE_LIST_META ("0")
      DONE_LIST_META ("0")
      "context base:allocation; " DONE_LIST_META ("0"),
  },
  {
    .name = "opt_list_meta_context refused after some contexts, then not",
    .setup = opt_mode_structured,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (list_no_query),
      CLIENT (OPT_LIST_META_ALL),
      SERVER (CONTEXT_BASE (9) REFUSE_TEXT (9, ERR_TOO_BIG)),
      CALL (is_paused),
      CALL (list_no_query),
      CLIENT (OPT_LIST_META_ALL),
      SERVER (CONTEXT_BASE (9) ACK (9)),
    },
    .state = "NEGOTIATING", .check = check_paused_structured,
    .log = "context base:allocation; " DONE_LIST_META ("95")
      "context base:allocation; " DONE_LIST_META ("0"),
  },
  LIST_META_REFUSED ("UNSUP", ERR_UNSUP),
  LIST_META_REFUSED ("POLICY", ERR_POLICY),
  LIST_META_REFUSED ("INVALID", ERR_INVALID),
  LIST_META_REFUSED ("PLATFORM", ERR_PLATFORM),
  LIST_META_REFUSED ("TLS_REQD", ERR_TLS_REQD),
  LIST_META_REFUSED ("UNKNOWN", ERR_UNKNOWN),
  LIST_META_REFUSED ("SHUTDOWN", ERR_SHUTDOWN),
  LIST_META_REFUSED ("BLOCK_SIZE_REQD", ERR_BLOCK_SIZE_REQD),
  LIST_META_REFUSED ("TOO_BIG", ERR_TOO_BIG),
  LIST_META_REFUSED ("EXT_HEADER_REQD", ERR_EXT_HEADER_REQD),
  LIST_META_REFUSED ("an unknown error", ERR_77),
  BROKEN_LIST_META ("half an id", "invalid reply of type 4 to "
                    "NBD_OPT_LIST_META_CONTEXT", REPLY (9, 4, 2) "00 00"),
  BROKEN_LIST_META ("an empty name", "invalid reply of type 4 to "
                    "NBD_OPT_LIST_META_CONTEXT", REPLY (9, 4, 4) "u32:0"),
  BROKEN_LIST_META ("a name of 4097 bytes", "invalid string in reply to "
                    "NBD_OPT_LIST_META_CONTEXT: Protocol error",
                    REPLY (9, 4, 4101) "u32:0 x4097:61"),
  BROKEN_LIST_META ("a NUL in the name", "invalid string in reply to "
                    "NBD_OPT_LIST_META_CONTEXT: Protocol error",
                    REPLY (9, 4, 7) "u32:0 'a' 00 'b'"),
  BROKEN_LIST_META ("another type", "invalid reply of type 2 to "
                    "NBD_OPT_LIST_META_CONTEXT",
                    REPLY (9, 2, 5) "u32:1 'a'"),
  BROKEN_LIST_META ("for SET_META_CONTEXT", "option reply is for option 10, "
                    "not NBD_OPT_LIST_META_CONTEXT", CONTEXT_BASE (10)),
  BROKEN_LIST_META ("a payload", "invalid NBD_REP_ACK option reply length",
                    REPLY (9, 1, 4) "u32:0"),
  CUT_SHORT (list_no_query, OPT_LIST_META_ALL, "before the list of contexts",
             "", "OPTION_REPLY", DONE_LIST_META ("107")),
  CUT_SHORT (list_no_query, OPT_LIST_META_ALL, "within the list of contexts",
             CONTEXT_BASE (9) REPLY (9, 4, 9) "u32:0",
             "OPTION_PAYLOAD",
             "context base:allocation; " DONE_LIST_META ("107")),

  /* opt_set_meta_context */
  {
    .name = "opt_set_meta_context selects at once",
    .setup = opt_mode_no_automatic_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (nothing_is_known_of_contexts),
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      CALL (is_under_way),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CALL (export_is_unknown),
      CALL (context_is_selected),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_context,
    .log = "context base:allocation; " DONE_SET_META ("0")
      DONE ("opt_go", "0"),
  },
  {
    .name = "opt_set_meta_context: callbacks that return -1",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (set_unwilling),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
    },
    .state = "NEGOTIATING", .check = context_is_selected,
    .log = "15 bytes; done 0; ",
  },
  {
    .name = "opt_set_meta_context replaces what was selected",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CALL (context_is_selected),
      CALL (set_two_queries),
      CLIENT (OPT_SET_META_TWO),
      SERVER (CONTEXT_QEMU (10) CONTEXT_AB (10) ACK (10)),
      CALL (other_contexts_are_selected),
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
    },
    .state = "NEGOTIATING", .check = context_is_selected,
    .log = "context base:allocation; " DONE_SET_META ("0")
      "context qemu:depth; context x-a:b; " DONE_SET_META ("0")
      "context base:allocation; " DONE_SET_META ("0"),
  },
  {
    .name = "opt_set_meta_context: no query selects nothing",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CALL (set_no_query),
      CLIENT (OPT_SET_META_NONE),
      SERVER (ACK (10)),
      CALL (export_is_unknown),
      CALL (no_context_is_selected),
      CALL (clear_contexts),
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META_NONE),
      SERVER (ACK (10)),
    },
    .state = "NEGOTIATING", .check = no_context_is_selected,
    .log = "context base:allocation; " DONE_SET_META ("0")
      DONE_SET_META ("0") DONE_SET_META ("0"),
  },
  {
    .name = "opt_set_meta_context fails: nothing is selected any more",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CALL (context_is_selected),
      CALL (set_two_queries),
      CLIENT (OPT_SET_META_TWO),
      SERVER (CONTEXT_AB (10) REFUSE (10, ERR_INVALID)),
      CALL (nothing_is_known_of_contexts),
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
    },
    .state = "NEGOTIATING", .check = context_is_selected,
    .log = "context base:allocation; " DONE_SET_META ("0")
      "context x-a:b; " DONE_SET_META ("95")
      "context base:allocation; " DONE_SET_META ("0"),
  },
  {
    .name = "opt_set_meta_context is refused before it is sent: the selection "
      "stays",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CALL (queries_4097),
      CALL (null_callbacks),
    },
    .state = "NEGOTIATING", .check = context_is_selected,
    .log = "context base:allocation; " DONE_SET_META ("0")
      "free context; free opt_list_meta; opt_list_meta: errno 36; "
      "free context; free opt_set_meta; opt_set_meta: errno 36; "
      "free opt_list; opt_list: errno 14; "
      "free opt_list_meta; opt_list_meta: errno 14; "
      "free opt_set_meta; opt_set_meta: errno 14; "
      "free context; free opt_set_meta; opt_set_meta: errno 14; ",
  },
  {
    .name = "opt_set_meta_context fails after opt_info",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (context_is_selected),
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (REFUSE (10, ERR_UNKNOWN)),
      CALL (export_is_disk),
    },
    .state = "NEGOTIATING", .check = no_context_is_selected,
    .log = DONE ("opt_info", "0") DONE_SET_META ("95"),
  },
  {
    .name = "another export name forgets the contexts",
    .setup = opt_mode_no_automatic_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CALL (context_is_selected),
      CALL (name_disk),
      CALL (nothing_is_known_of_contexts),
      CALL (opt_go),
      CLIENT (GO_DISK),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_no_context,
    .log = "context base:allocation; " DONE_SET_META ("0")
      DONE ("opt_go", "0"),
  },
  {
    .name = "opt_list_meta_context leaves the selection alone",
    .setup = opt_mode_no_automatic_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CALL (list_two_queries),
      CLIENT ("'IHAVEOPT' u32:9 u32:26 u32:0 " TWO_QUERIES),
      SERVER (CONTEXT_AB (9) ACK (9)),
      CALL (context_is_selected),
      CALL (list_no_query),
      CLIENT (OPT_LIST_META_ALL),
      SERVER (CONTEXT_AB (9) REFUSE (9, ERR_POLICY)),
    },
    .state = "NEGOTIATING", .check = context_is_selected,
    .log = "context base:allocation; " DONE_SET_META ("0")
      "context x-a:b; " DONE_LIST_META ("0")
      "context x-a:b; " DONE_LIST_META ("95"),
  },
  SET_META_REFUSED ("UNSUP", ERR_UNSUP),
  SET_META_REFUSED ("POLICY", ERR_POLICY),
  SET_META_REFUSED ("INVALID", ERR_INVALID),
  SET_META_REFUSED ("PLATFORM", ERR_PLATFORM),
  SET_META_REFUSED ("TLS_REQD", ERR_TLS_REQD),
  SET_META_REFUSED ("UNKNOWN", ERR_UNKNOWN),
  SET_META_REFUSED ("SHUTDOWN", ERR_SHUTDOWN),
  SET_META_REFUSED ("BLOCK_SIZE_REQD", ERR_BLOCK_SIZE_REQD),
  SET_META_REFUSED ("TOO_BIG", ERR_TOO_BIG),
  SET_META_REFUSED ("EXT_HEADER_REQD", ERR_EXT_HEADER_REQD),
  SET_META_REFUSED ("an unknown error", ERR_77),
  BROKEN_SET_META ("half an id", "invalid reply of type 4 to "
                   "NBD_OPT_SET_META_CONTEXT", REPLY (10, 4, 2) "00 00"),
  BROKEN_SET_META ("an empty name", "invalid reply of type 4 to "
                   "NBD_OPT_SET_META_CONTEXT", REPLY (10, 4, 4) "u32:0"),
  BROKEN_SET_META ("a NUL in the name", "invalid string in reply to "
                   "NBD_OPT_SET_META_CONTEXT: Protocol error",
                   REPLY (10, 4, 7) "u32:0 'a' 00 'b'"),
  BROKEN_SET_META ("for LIST_META_CONTEXT", "option reply is for option 9, "
                   "not NBD_OPT_SET_META_CONTEXT", CONTEXT_BASE (9)),
  CUT_SHORT (set_one_query, OPT_SET_META, "before contexts are granted",
             "", "OPTION_REPLY", DONE_SET_META ("107")),
  CUT_SHORT (set_one_query, OPT_SET_META, "while contexts are granted",
             CONTEXT_BASE (10), "OPTION_REPLY",
             "context base:allocation; " DONE_SET_META ("107")),

  /* Contexts on the way to an export. */
  {
    .name = "opt_info and opt_go select contexts, each again",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_SET_META),
      CALL (is_under_way),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CLIENT (OPT_INFO),
      CALL (is_under_way),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (context_is_selected),
      CALL (opt_info),
      CLIENT (OPT_SET_META),
      SERVER (ACK (10)),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (no_context_is_selected),
      CALL (opt_go),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_context,
    .log = DONE ("opt_info", "0") DONE ("opt_info", "0") DONE ("opt_go", "0"),
  },
  {
    .name = "opt_go: contexts that were added in the pause, extended headers",
    .setup = opt_mode,
    .steps = {
      EXTENDED_PAUSE,
      CALL (name_disk),
      CALL (add_base_allocation),
      CALL (add_ab),
      CALL (opt_go),
      CLIENT ("'IHAVEOPT' u32:10 u32:40 u32:4 'disk' u32:2 "
              "u32:15 'base:allocation' u32:5 'x-a:b'"),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CLIENT (GO_DISK),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_context,
    .log = DONE ("opt_go", "0"),
  },
  {
    .name = "opt_go: the contexts that were added replace those selected",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (set_two_queries),
      CLIENT (OPT_SET_META_TWO),
      SERVER (CONTEXT_AB (10) CONTEXT_QEMU (10) ACK (10)),
      CALL (opt_go),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_context,
    .log = "context x-a:b; context qemu:depth; " DONE_SET_META ("0")
      DONE ("opt_go", "0"),
  },
  {
    .name = "opt_info and opt_go keep what was selected when told to",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (no_automatic_context),
      CALL (set_two_queries),
      CLIENT (OPT_SET_META_TWO),
      SERVER (CONTEXT_AB (10) CONTEXT_QEMU (10) ACK (10)),
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (other_contexts_are_selected),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_other_contexts,
    .log = "context x-a:b; context qemu:depth; " DONE_SET_META ("0")
      DONE ("opt_info", "0") DONE ("opt_go", "0"),
  },
  {
    .name = "opt_go keeps what was selected when there is nothing to ask for",
    .setup = opt_mode_structured,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (set_two_queries),
      CLIENT (OPT_SET_META_TWO),
      SERVER (CONTEXT_AB (10) CONTEXT_QEMU (10) ACK (10)),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_other_contexts,
    .log = "context x-a:b; context qemu:depth; " DONE_SET_META ("0")
      DONE ("opt_go", "0"),
  },
  {
    .name = "a failure of opt_info or opt_go does not take contexts away",
    .setup = opt_mode_no_automatic_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (REFUSE (6, ERR_UNSUP)),
      CALL (context_is_selected),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_POLICY)),
      CALL (context_is_selected),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_context,
    .log = "context base:allocation; " DONE_SET_META ("0")
      DONE ("opt_info", "95") DONE ("opt_go", "95") DONE ("opt_go", "0"),
  },
  {
    .name = "opt_info and opt_go do without contexts that are refused",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CALL (opt_info),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) REFUSE_TEXT (10, ERR_TOO_BIG)),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (export_is_disk),
      CALL (no_context_is_selected),
      CALL (opt_go),
      CLIENT (OPT_SET_META),
      SERVER (REFUSE (10, ERR_UNSUP)),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_no_context,
    .log = "context base:allocation; " DONE_SET_META ("0")
      DONE ("opt_info", "0") DONE ("opt_go", "0"),
  },
  {
    .name = "opt_go asks for no contexts without structured replies",
    .setup = opt_mode_plain_context,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_no_context,
    .log = DONE ("opt_info", "0") DONE ("opt_go", "0"),
  },
  {
    .name = "opt_go: nothing selected and nothing asked for, no block status",
    .setup = opt_mode_no_automatic_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_no_block_status,
    .log = DONE ("opt_go", "0") "free extent; free extent64; ",
  },
  {
    .name = "opt_go at a server without GO, with contexts",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_UNSUP)),
      CLIENT (OPT_EXPORT_NAME),
      SERVER ("u64:512 u16:3"),
    },
    .state = "READY", .check = check_ready_context,
    .log = DONE ("opt_go", "0"),
  },
  {
    .name = "opt_go: contexts are granted in a way that breaks the protocol",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) INFO_EXPORT (10, 512, 1)),
    },
    .state = "DEAD",
    .error = "handshake: invalid reply of type 3 to NBD_OPT_SET_META_CONTEXT",
    .log = DONE ("opt_go", "107"),
  },
  {
    .name = "opt_go: more contexts than there can be",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_SET_META),
      SERVER (MANY_CONTEXTS CONTEXT_AB (10)),
    },
    .state = "DEAD",
    .error = "handshake: server selected more than 1024 meta contexts: "
      "Protocol error",
    .log = DONE ("opt_go", "107"),
  },
  {
    .name = "opt_go: the server closes before it grants contexts",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_SET_META),
      SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
    .log = DONE ("opt_go", "107"),
  },
  {
    .name = "opt_go: the server closes after it granted contexts",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CLIENT (OPT_GO),
      SERVER_CLOSES,
    },
    .state = "DEAD", .error = CLOSED_EARLY,
    .log = DONE ("opt_go", "107"),
  },
  {
    .name = "opt_go: the handle is closed before contexts are granted",
    .setup = opt_mode_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10)),
    },
    .state = "OPTION_REPLY",
    .log = DONE ("opt_go", "107"),
  },

  /* Leaving without an export. */
  {
    .name = "opt_abort",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_abort),
      CLIENT (OPT_ABORT),
    },
    .state = "CLOSED", .check = check_closed,
  },
  {
    .name = "opt_abort, and then again",
    .setup = opt_mode_structured,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (aio_opt_abort),
      CLIENT (OPT_ABORT),
      CALL (every_call),
      CALL (shutdown_handle),
      CALL (every_setting),
    },
    .state = "CLOSED", .check = check_closed,
    .log = NO_CALL ("22") "shutdown: errno 22; "
      "set_export_name: errno 22; add_meta_context: errno 22; "
      "clear_meta_contexts: errno 22; set_full_info: errno 22; "
      "set_request_block_size: errno 22; set_request_meta_context: errno 22; ",
  },
  {
    .name = "opt_abort after opt_info",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (opt_abort),
      CLIENT (OPT_ABORT),
    },
    .state = "CLOSED", .check = check_closed_disk,
    .log = DONE ("opt_info", "0"),
  },
  {
    .name = "opt_abort after a failure",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (REFUSE (7, ERR_SHUTDOWN)),
      CALL (aio_opt_abort),
      CLIENT (OPT_ABORT),
    },
    .state = "CLOSED", .check = check_closed,
    .log = DONE ("opt_go", "108"),
  },
  {
    .name = "shutdown in the pause",
    .setup = opt_mode_structured,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (shutdown_handle),
      CLIENT (OPT_ABORT),
      CALL (shutdown_handle),
    },
    .state = "CLOSED", .check = check_closed,
    .log = "shutdown: errno 22; ",
  },
  {
    .name = "shutdown in the pause with nothing to abandon",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_list),
      CLIENT (OPT_LIST),
      SERVER (ACK (3)),
      CALL (shutdown_abandoning),
      CLIENT (OPT_ABORT),
    },
    .state = "CLOSED", .check = check_closed,
    .log = DONE_LIST ("0"),
  },

#ifdef HAVE_GNUTLS
  /* TLS, where there is none; tests/unit/test-tls.c has what follows when
   * there is.
   */
  STARTTLS_REFUSED ("unsupported", ERR_UNSUP),
  STARTTLS_REFUSED ("policy", ERR_POLICY),
  STARTTLS_REFUSED ("invalid", ERR_INVALID),
  STARTTLS_REFUSED ("platform", ERR_PLATFORM),
  STARTTLS_REFUSED ("TLS is required", ERR_TLS_REQD),
  STARTTLS_REFUSED ("shutting down", ERR_SHUTDOWN),
  STARTTLS_REFUSED ("an error of a later time", ERR_77),
  {
    .name = "opt_starttls refused: what was negotiated before remains",
    .setup = opt_mode_no_automatic_context,
    .steps = {
      STRUCTURED_PAUSE,
      CALL (opt_set_meta),
      CLIENT (OPT_SET_META),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (opt_starttls),
      CLIENT (OPT_STARTTLS),
      CALL (is_under_way),
      SERVER (UNSUP (5)),
      CALL (is_plain),
      CALL (export_is_disk),
      CALL (context_is_selected),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
    },
    .state = "READY", .check = check_ready_context,
    .log = "context base:allocation; " DONE_SET_META ("0")
      DONE ("opt_info", "0")
      DONE ("opt_starttls", "0")
      DONE ("opt_go", "0"),
  },
  {
    .name = "opt_starttls while another option is under way, and the reverse",
    .setup = opt_mode_plain,
    .steps = {
      PLAIN_PAUSE,
      CALL (opt_info),
      CLIENT (OPT_INFO),
      CALL (opt_starttls),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (opt_starttls),
      CLIENT (OPT_STARTTLS),
      CALL (every_call),
      CALL (opt_starttls),
      SERVER (UNSUP (5)),
      CALL (opt_go),
      CLIENT (OPT_GO),
      SERVER (DISK_INFO (7) ACK (7)),
      CALL (opt_starttls),
    },
    .state = "READY", .check = check_ready,
    .log = "free opt_starttls; opt_starttls: errno 22; "
      DONE ("opt_info", "0")
      NO_CALL ("22")
      "free opt_starttls; opt_starttls: errno 22; "
      DONE ("opt_starttls", "0")
      DONE ("opt_go", "0")
      "free opt_starttls; opt_starttls: errno 22; ",
  },
  {
    .name = "opt mode, newstyle: opt_starttls is refused, opt_go is not",
    .setup = opt_mode,
    .steps = {
      NEWSTYLE_PAUSE,
      CALL (opt_starttls),
      CALL (opt_go),
      CLIENT (OPT_EXPORT_NAME),
      SERVER ("u64:512 u16:1 x124:00"),
    },
    .state = "READY", .check = check_newstyle,
    .log = "free opt_starttls; opt_starttls: errno 95; " DONE ("opt_go", "0"),
  },
  {
    .name = "opt mode: TLS is required: newstyle without fixed",
    .setup = opt_mode_require_tls,
    .steps = { SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0") },
    .state = "DEAD",
    .error = "handshake: server is not using fixed newstyle, but handle TLS "
      "setting is 'require' (2): Operation not supported",
  },
  {
    .name = "opt mode: TLS is required: oldstyle",
    .setup = opt_mode_require_tls,
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:1048576 u32:5 x124:00"),
    },
    .state = "DEAD",
    .error = "handshake: server is oldstyle, but handle TLS setting is "
      "'require' (2): Operation not supported",
  },
  BROKEN (opt_starttls, OPT_STARTTLS, "an acknowledgement with a payload",
          "invalid NBD_REP_ACK option reply length", REPLY (5, 1, 4) "u32:0",
          DONE ("opt_starttls", "107")),
  BROKEN (opt_starttls, OPT_STARTTLS, "information",
          "invalid reply of type 3 to NBD_OPT_STARTTLS",
          INFO_EXPORT (5, 512, 1), DONE ("opt_starttls", "107")),
  CUT_SHORT (opt_starttls, OPT_STARTTLS, "before the reply about TLS", "",
             "OPTION_REPLY", DONE ("opt_starttls", "107")),
  CUT_SHORT (opt_starttls, OPT_STARTTLS, "within the refusal of TLS",
             REPLY (5, 0x80000001, 7) "'bec'", "OPTION_PAYLOAD",
             DONE ("opt_starttls", "107")),
#endif

  /* A long conversation. */
  {
    .name = "everything in one negotiation",
    .setup = opt_mode,
    .steps = {
      SERVER (GREETING),
      CLIENT (CLIENT_FLAGS OPT_EXTENDED),
      SERVER (UNSUP (11)),
      CLIENT (OPT_STRUCTURED),
      SERVER (UNSUP (8)),
      CALL (opt_list),
      CLIENT (OPT_LIST),
      SERVER (REPLY (3, 2, 4) "u32:0" REPLY (3, 2, 12) "u32:4 'disk' 'Disk'"
              ACK (3)),
      CALL (opt_info),
      CLIENT (OPT_INFO),
      SERVER (REFUSE_TEXT (6, ERR_POLICY)),
      CALL (name_disk),
      CALL (opt_structured_reply),
      CLIENT (OPT_STRUCTURED),
      SERVER (ACK (8)),
      CALL (list_no_query),
      CLIENT ("'IHAVEOPT' u32:9 u32:12 u32:4 'disk' u32:0"),
      SERVER (CONTEXT_BASE (9) ACK (9)),
      CALL (add_base_allocation),
      CALL (opt_set_meta),
      CLIENT ("'IHAVEOPT' u32:10 u32:31 u32:4 'disk' u32:1 "
              "u32:15 'base:allocation'"),
      SERVER (CONTEXT_BASE (10) ACK (10)),
      CALL (no_automatic_context),
      CALL (opt_info),
      CLIENT (INFO_DISK),
      SERVER (DISK_INFO (6) ACK (6)),
      CALL (export_is_disk),
      CALL (opt_go),
      CLIENT (GO_DISK),
      SERVER (REFUSE (7, ERR_INVALID)),
      CALL (opt_go),
      CLIENT (GO_DISK),
      SERVER (DISK_INFO (7) ACK (7)),
      CALL (has_structured_replies),
    },
    .state = "READY", .check = check_ready_context,
    .log = "export  (); export disk (Disk); " DONE_LIST ("0")
      DONE ("opt_info", "95")
      DONE ("opt_structured_reply", "0")
      "context base:allocation; " DONE_LIST_META ("0")
      "context base:allocation; " DONE_SET_META ("0")
      DONE ("opt_info", "0")
      DONE ("opt_go", "22")
      DONE ("opt_go", "0"),
  },
  { 0 }
};
