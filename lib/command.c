/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests from the call that issues them until they are retired.  A command is
 * in flight until both its last byte has left and its reply is complete; then
 * it completes, and stays in the list of those that are done until it is
 * retired.  Records are recycled: in a steady state nothing is allocated.
 */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "internal.h"

static void
list_append (struct command_list *list, struct command *cmd)
{
  cmd->next = NULL;
  cmd->prev = list->last;
  if (list->last)
    list->last->next = cmd;
  else
    list->first = cmd;
  list->last = cmd;
}

static void
list_remove (struct command_list *list, struct command *cmd)
{
  if (cmd->prev)
    cmd->prev->next = cmd->next;
  else
    list->first = cmd->next;
  if (cmd->next)
    cmd->next->prev = cmd->prev;
  else
    list->last = cmd->prev;
}

/* Cookies count up, so consecutive ones fall into different chains and a chain
 * is as good as never longer than one.
 */
static struct command **
chain_of (const struct nbd_handle *h, uint64_t cookie)
{
  return &h->commands.table[cookie & (h->commands.size - 1)];
}

static int
table_grow (struct nbd_handle *h)
{
  struct commands *c = &h->commands;
  size_t old_size = c->size;
  struct command **old = c->table, **table;

  table = calloc (old_size ? old_size * 2 : 64, sizeof *table);
  if (table == NULL)
    return -1;
  c->table = table;
  c->size = old_size ? old_size * 2 : 64;
  for (size_t i = 0; i < old_size; i++) {
    struct command *cmd, *chain;

    for (cmd = old[i]; cmd; cmd = chain) {
      struct command **to = chain_of (h, cmd->cookie);

      chain = cmd->chain;
      cmd->chain = *to;
      *to = cmd;
    }
  }
  free (old);
  return 0;
}

struct command *
command_find (struct nbd_handle *h, uint64_t cookie)
{
  struct command *cmd = NULL;

  if (h->commands.size > 0)
    for (cmd = *chain_of (h, cookie); cmd; cmd = cmd->chain)
      if (cmd->cookie == cookie)
        break;
  return cmd;
}

static void
table_remove (struct nbd_handle *h, struct command *cmd)
{
  struct command **p = chain_of (h, cmd->cookie);

  while (*p != cmd)
    p = &(*p)->chain;
  *p = cmd->chain;
  h->commands.count--;
}

struct command *
command_new (struct nbd_handle *h)
{
  struct command *cmd = h->commands.unused;

  if (cmd)
    h->commands.unused = cmd->chain;
  else {
    cmd = calloc (1, sizeof *cmd);
    if (cmd == NULL)
      return NULL;
    h->commands.allocated++;
  }
  /* Not all of it: this costs time in each request. */
  memset (&cmd->offset, 0, offsetof (struct command, payload) -
          offsetof (struct command, offset));
  return cmd;
}

/* Mid-command callbacks first, then the completion callback. */
static void
free_callbacks (struct command *cmd)
{
  if (cmd->type == NBD_CMD_READ)
    FREE_CALLBACK (cmd->cb.chunk);
  else if (cmd->type == NBD_CMD_BLOCK_STATUS && cmd->wide)
    FREE_CALLBACK (cmd->cb.extent64);
  else if (cmd->type == NBD_CMD_BLOCK_STATUS)
    FREE_CALLBACK (cmd->cb.extent);
  FREE_CALLBACK (cmd->completion);
}

void
command_discard (struct nbd_handle *h, struct command *cmd)
{
  free_callbacks (cmd);
  free (cmd->payload);
  cmd->payload = NULL;
  cmd->chain = h->commands.unused;
  h->commands.unused = cmd;
}

/* The request as it goes over the wire; returns its length. */
static size_t
build_header (struct nbd_handle *h, struct command *cmd, uint64_t length)
{
  struct writer w = writer_init (cmd->header, sizeof cmd->header);

  write_u32 (&w, h->extended_headers ? NBD_EXTENDED_REQUEST_MAGIC
             : NBD_REQUEST_MAGIC);
  write_u16 (&w, cmd->flags);
  write_u16 (&w, cmd->type);
  write_u64 (&w, cmd->cookie);
  write_u64 (&w, cmd->offset);
  if (h->extended_headers)
    write_u64 (&w, length);
  else
    write_u32 (&w, length);
  return w.n;
}

/* At once: somebody may be polling already, without looking for room to send.  A
 * failure is found by whoever receives, after what the server still said.
 */
static void
send_command (struct nbd_handle *h, struct command *cmd, const void *payload,
              size_t payload_length)
{
  size_t n = build_header (h, cmd, payload_length ? payload_length :
                           cmd->count);
  struct iovec iov[2] = { { cmd->header, n },
                          { (void *) payload, payload_length } };
  ssize_t sent;

  if (h->queue.count > 0 || h->unsent > 0 || h->disconnecting) {
    queue_push_command (h, cmd, n, payload, payload_length);
    /* Where there was no room it can wait for a reply to one of those that have
     * left, after which all goes together.
     */
    if (!h->full || h->commands.nr_in_flight <= h->queue.count)
      transport_send (h);
    return;
  }
  /* Most requests do not pass through the queue. */
  sent = transport_attempt (h, iov, payload_length ? 2 : 1,
                            n + payload_length);
  if (sent == (ssize_t) (n + payload_length)) {
    h->stats.bytes_sent += sent;
    h->stats.chunks_sent++;
    cmd->begun = cmd->sent = true;
    return;
  }
  queue_push_command (h, cmd, n, payload, payload_length);
  if (sent > 0)
    queue_sent (h, sent);
}

int64_t
command_issue (struct nbd_handle *h, struct command *cmd,
               const void *payload, size_t payload_length)
{
  struct commands *c = &h->commands;
  uint64_t cookie = c->last_cookie + 1;

  if ((c->count >= c->size && table_grow (h) == -1) ||
      queue_reserve (h, 2) == -1) {
    error_set (h, errno, "malloc");
    command_fill (cmd, cmd->count);
    command_discard (h, cmd);
    return -1;
  }
  cmd->cookie = cookie;
  cmd->issuer = pthread_self ();
  c->last_cookie = cookie;
  cmd->chain = *chain_of (h, cookie);
  *chain_of (h, cookie) = cmd;
  c->count++;
  list_append (&c->in_flight, cmd);
  c->nr_in_flight++;
  send_command (h, cmd, payload, payload_length);
  return cookie;
}

void
command_error (struct command *cmd, int errnum)
{
  if (cmd->error == 0)
    cmd->error = errnum;
}

void
command_fill (struct command *cmd, uint64_t n)
{
  if (cmd->initialize && cmd->filled < n) {
    memset (cmd->data + cmd->filled, 0, n - cmd->filled);
    cmd->filled = n;
  }
}

void
command_filled (struct command *cmd, const uint8_t *end)
{
  cmd->filled = MAX (cmd->filled, (uint64_t) (end - cmd->data));
}

/* Forget a command that is done. */
static void
retire (struct nbd_handle *h, struct command *cmd)
{
  table_remove (h, cmd);
  command_discard (h, cmd);
}

static void
complete (struct nbd_handle *h, struct command *cmd)
{
  int error = cmd->error, r = 0;

  list_remove (&h->commands.in_flight, cmd);
  h->commands.nr_in_flight--;
  h->commands.completed++;
  /* A program that issues in one thread and polls in another may look at what it
   * has in flight between two polls, and not have counted the next one yet.
   */
  if (h->polling && !pthread_equal (cmd->issuer, h->poller))
    h->paused = true;
  /* When the handle is closed nobody is told of a command without a callback, and
   * its buffer may be gone already.
   */
  if (!h->closing || cmd->completion.callback)
    command_fill (cmd, cmd->count);
  if (cmd->completion.callback) {
    r = cmd->completion.callback (cmd->completion.user_data, &error);
    if (r == -1 && error)
      cmd->error = error;
  }
  /* Nobody knows the cookie of NBD_CMD_DISC. */
  if (r == 1 || cmd->type == NBD_CMD_DISC) {
    retire (h, cmd);
    return;
  }
  cmd->done = true;
  list_append (&h->commands.done, cmd);
}

void
command_replied (struct nbd_handle *h, struct command *cmd)
{
  cmd->replied = true;
  if (cmd->sent)
    complete (h, cmd);
}

void
command_sent (struct nbd_handle *h, struct command *cmd)
{
  cmd->sent = true;
  if (cmd->replied)
    complete (h, cmd);
}

/* Complete CMD, which no byte of the server will be about. */
static void
command_abort (struct nbd_handle *h, struct command *cmd, int errnum)
{
  cmd->sent = cmd->replied = cmd->aborted = true;
  command_error (cmd, errnum);
  complete (h, cmd);
}

void
command_abort_dropped (struct nbd_handle *h)
{
  struct command *cmd, *next;

  for (cmd = h->commands.in_flight.first; cmd; cmd = next) {
    next = cmd->next;
    if (cmd->dropped)
      command_abort (h, cmd, ENOTCONN);
  }
}

void
command_abort_all (struct nbd_handle *h, int errnum)
{
  struct command_list *list = &h->commands.in_flight;
  struct command *cmd, *next;

  /* What the server has not seen first, then what it owes, newest first. */
  for (cmd = list->first; cmd; cmd = next) {
    next = cmd->next;
    if (!cmd->sent)
      command_abort (h, cmd, errnum);
  }
  while (list->last)
    command_abort (h, list->last, errnum);
}

/* What the protocol calls each command, for messages. */
static const char *
command_name (uint16_t type)
{
  static const char *const names[] = {
    [NBD_CMD_READ] = "read",
    [NBD_CMD_WRITE] = "write",
    [NBD_CMD_DISC] = "disconnect",
    [NBD_CMD_FLUSH] = "flush",
    [NBD_CMD_TRIM] = "trim",
    [NBD_CMD_CACHE] = "cache",
    [NBD_CMD_WRITE_ZEROES] = "write-zeroes",
    [NBD_CMD_BLOCK_STATUS] = "block-status",
  };

  return type < COUNT (names) ? names[type] : "unknown";
}

/* Retire a command that is done; 0 or -1 with its error set. */
static int
finish (struct nbd_handle *h, struct command *cmd)
{
  int error = cmd->error;

  if (error)
    error_set (h, error, "%s: command failed", command_name (cmd->type));
  list_remove (&h->commands.done, cmd);
  retire (h, cmd);
  return error ? -1 : 0;
}

static bool
is_done (struct nbd_handle *h, const void *arg)
{
  const struct command *cmd = arg;

  (void) h;
  return cmd->done;
}

int
command_wait (struct nbd_handle *h, int64_t cookie)
{
  struct command *cmd;

  if (cookie == -1)
    return -1;
  /* Without a completion callback nothing retires it before finish (). */
  cmd = command_find (h, cookie);
  if (transport_wait (h, is_done, cmd) == 0 || !cmd->aborted)
    return finish (h, cmd);
  /* Why the connection died says more than that the command failed. */
  list_remove (&h->commands.done, cmd);
  retire (h, cmd);
  return -1;
}

void
commands_free (struct nbd_handle *h)
{
  struct commands *c = &h->commands;
  struct command *cmd;

  while ((cmd = c->done.first) != NULL) {
    list_remove (&c->done, cmd);
    retire (h, cmd);
  }
  while ((cmd = c->unused) != NULL) {
    c->unused = cmd->chain;
    free (cmd);
  }
  free (c->table);
  *c = (struct commands) { 0 };
}

int
api_aio_command_completed (struct nbd_handle *h, uint64_t cookie)
{
  struct command *cmd;

  if (cookie == 0) {
    error_set (h, EINVAL, "invalid aio cookie 0");
    return -1;
  }
  cmd = command_find (h, cookie);
  if (cmd == NULL || !cmd->done)
    return 0;
  return finish (h, cmd) == 0 ? 1 : -1;
}

int64_t
api_aio_peek_command_completed (struct nbd_handle *h)
{
  if (h->commands.done.first)
    return h->commands.done.first->cookie;
  if (h->commands.in_flight.first)
    return 0;
  error_set (h, EINVAL, "no commands are in flight");
  return -1;
}

int
api_aio_in_flight (struct nbd_handle *h)
{
  return MIN (h->commands.nr_in_flight, INT_MAX);
}
