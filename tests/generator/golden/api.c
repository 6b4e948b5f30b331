/* Generated from the API table.  SPDX-License-Identifier:
 * LGPL-2.1-or-later
 */

#include "config.h"

#include "internal.h"
#include "call.h"

static const int tones_values[] = {
  LIBNBD_TONE_LOW,
  LIBNBD_TONE_HIGH,
};

int
nbd_set_tone (struct nbd_handle *h, int tone)
{
  int ret = -1;

  if (call_no_handle (h, "nbd_set_tone")) {
    return -1;
  }
  call_enter (h, "nbd_set_tone");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_int (&trace, "tone", tone);
    trace_enter (h, &trace);
  }
  if (call_bad_state (h, PHASE_CREATED) ||
      call_bad_enum (h, "tone", tone, tones_values, COUNT (tones_values)))
    goto out;
  h->tone = tone;
  ret = 0;
 out:
  if (unlikely (h->debug))
    trace_leave_int (h, ret, ret == -1);
  call_leave (h);
  return ret;
}

int
nbd_get_tone (struct nbd_handle *h)
{
  int ret = -1;

  if (call_no_handle (h, "nbd_get_tone")) {
    return -1;
  }
  call_enter (h, "nbd_get_tone");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_enter (h, &trace);
  }
  ret = h->tone;
  if (unlikely (h->debug))
    trace_leave_int (h, ret, false);
  call_leave (h);
  return ret;
}

int
nbd_set_title (struct nbd_handle *h, const char *title)
{
  int ret = -1;

  if (call_no_handle (h, "nbd_set_title")) {
    return -1;
  }
  call_enter (h, "nbd_set_title");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_string (&trace, "title", title);
    trace_enter (h, &trace);
  }
  if (call_bad_state (h, PHASE_CREATED | PHASE_NEGOTIATING) ||
      call_null (h, "title", title))
    goto out;
  ret = call_set_string (h, &h->title, title);
 out:
  if (unlikely (h->debug))
    trace_leave_int (h, ret, ret == -1);
  call_leave (h);
  return ret;
}

char *
nbd_get_title (struct nbd_handle *h)
{
  char *ret = NULL;

  if (call_no_handle (h, "nbd_get_title")) {
    return NULL;
  }
  call_enter (h, "nbd_get_title");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_enter (h, &trace);
  }
  ret = call_get_string (h, h->title);
  if (unlikely (h->debug))
    trace_leave_string (h, ret, ret == NULL);
  call_leave (h);
  return ret;
}

int
nbd_set_switches (struct nbd_handle *h, uint32_t flags)
{
  int ret = -1;

  if (call_no_handle (h, "nbd_set_switches")) {
    return -1;
  }
  call_enter (h, "nbd_set_switches");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_flags (&trace, "flags", flags);
    trace_enter (h, &trace);
  }
  if (call_bad_flags (h, "flags", flags, LIBNBD_SWITCH_MASK))
    goto out;
  h->switches = flags;
  ret = 0;
 out:
  if (unlikely (h->debug))
    trace_leave_int (h, ret, ret == -1);
  call_leave (h);
  return ret;
}

uint32_t
nbd_get_switches (struct nbd_handle *h)
{
  uint32_t ret = 0;

  if (call_no_handle (h, "nbd_get_switches")) {
    return 0;
  }
  ret = h->switches;
  return ret;
}

int64_t
nbd_aio_fetch (struct nbd_handle *h, void *buf, size_t count, uint64_t offset,
               nbd_piece_callback piece_callback,
               nbd_completion_callback completion_callback, uint32_t flags)
{
  int64_t ret = -1;

  if (call_no_handle (h, "nbd_aio_fetch")) {
    FREE_CALLBACK (piece_callback);
    FREE_CALLBACK (completion_callback);
    return -1;
  }
  call_enter (h, "nbd_aio_fetch");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_buffer (&trace, "buf", buf);
    trace_uint (&trace, "count", count);
    trace_uint (&trace, "offset", offset);
    trace_closure (&trace, "piece", piece_callback.callback != NULL);
    trace_closure (&trace, "completion", completion_callback.callback != NULL);
    trace_flags (&trace, "flags", flags);
    trace_enter (h, &trace);
  }
  if (call_bad_state (h, PHASE_CONNECTED) ||
      call_null (h, "buf", buf) ||
      call_null_closure (h, "piece", CALLBACK_PRESENT (piece_callback)) ||
      call_bad_command_flags (h, "flags", flags, LIBNBD_ORDER_NOW)) {
    call_zero (h, buf, count);
    goto out;
  }
  ret = api_aio_fetch (h, buf, count, offset, &piece_callback, &completion_callback, flags);
 out:
  if (unlikely (h->debug))
    trace_leave_int (h, ret, ret == -1);
  FREE_CALLBACK (piece_callback);
  FREE_CALLBACK (completion_callback);
  call_leave (h);
  return ret;
}

ssize_t
nbd_store (struct nbd_handle *h, const void *buf, size_t count,
           uint64_t offset, uint32_t flags)
{
  ssize_t ret = -1;

  if (call_no_handle (h, "nbd_store")) {
    return -1;
  }
  call_enter (h, "nbd_store");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_buffer (&trace, "buf", buf);
    trace_uint (&trace, "count", count);
    trace_uint (&trace, "offset", offset);
    trace_flags (&trace, "flags", flags);
    trace_enter (h, &trace);
  }
  if (call_bad_state (h, PHASE_CONNECTED | PHASE_CLOSED | PHASE_DEAD) ||
      call_null (h, "buf", buf) ||
      call_bad_command_flags (h, "flags", flags, 0))
    goto out;
  ret = api_store (h, buf, count, offset, flags);
 out:
  if (unlikely (h->debug))
    trace_leave_int (h, ret, ret == -1);
  call_leave (h);
  return ret;
}

int
nbd_aio_connect_to_whoever_is_the_first_to_answer (struct nbd_handle *h,
        bool wait, const struct sockaddr *addr, socklen_t addrlen,
        const char *name, char **argv)
{
  int ret = -1;

  if (call_no_handle (h, "nbd_aio_connect_to_whoever_is_the_first_to_answer")) {
    return -1;
  }
  call_enter (h, "nbd_aio_connect_to_whoever_is_the_first_to_answer");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_bool (&trace, "wait", wait);
    trace_address (&trace, "addr", addr);
    trace_uint (&trace, "addrlen", addrlen);
    trace_string (&trace, "name", name);
    trace_list (&trace, "argv", argv);
    trace_enter (h, &trace);
  }
  if (call_bad_state (h, PHASE_CREATED) ||
      call_null (h, "addr", addr) ||
      call_null (h, "name", name) ||
      call_null (h, "argv", argv))
    goto out;
  ret = api_aio_connect_to_whoever_is_the_first_to_answer (h, wait, addr, addrlen, name, argv);
 out:
  if (unlikely (h->debug))
    trace_leave_int (h, ret, ret == -1);
  call_leave (h);
  return ret;
}

int
nbd_tune (struct nbd_handle *h, int number, int fd, uint32_t bits,
          size_t size, uintptr_t cookie)
{
  int ret = -1;

  if (call_no_handle (h, "nbd_tune")) {
    return -1;
  }
  call_enter (h, "nbd_tune");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_int (&trace, "number", number);
    trace_int (&trace, "fd", fd);
    trace_uint (&trace, "bits", bits);
    trace_uint (&trace, "size", size);
    trace_uint (&trace, "cookie", cookie);
    trace_enter (h, &trace);
  }
  ret = api_tune (h, number, fd, bits, size, cookie);
  if (unlikely (h->debug))
    trace_leave_int (h, ret, ret == -1);
  call_leave (h);
  return ret;
}

int
nbd_on_farewell (struct nbd_handle *h,
                 nbd_farewell_callback farewell_callback)
{
  int ret = -1;

  if (call_no_handle (h, "nbd_on_farewell")) {
    FREE_CALLBACK (farewell_callback);
    return -1;
  }
  call_enter (h, "nbd_on_farewell");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_closure (&trace, "farewell", farewell_callback.callback != NULL);
    trace_enter (h, &trace);
  }
  if (call_null_closure (h, "farewell", CALLBACK_PRESENT (farewell_callback)))
    goto out;
  ret = api_on_farewell (h, &farewell_callback);
 out:
  if (unlikely (h->debug))
    trace_leave_int (h, ret, ret == -1);
  FREE_CALLBACK (farewell_callback);
  call_leave (h);
  return ret;
}

int64_t
nbd_get_extent (struct nbd_handle *h)
{
  int64_t ret = -1;

  if (call_no_handle (h, "nbd_get_extent")) {
    return -1;
  }
  call_enter (h, "nbd_get_extent");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_enter (h, &trace);
  }
  if (call_bad_state (h, PHASE_NEGOTIATING | PHASE_CONNECTED | PHASE_CLOSED))
    goto out;
  ret = api_get_extent (h);
 out:
  if (unlikely (h->debug))
    trace_leave_int (h, ret, ret == -1);
  call_leave (h);
  return ret;
}

int
nbd_aio_get_fd (struct nbd_handle *h)
{
  int ret = -1;

  if (call_no_handle (h, "nbd_aio_get_fd")) {
    return -1;
  }
  call_enter (h, "nbd_aio_get_fd");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_enter (h, &trace);
  }
  ret = api_aio_get_fd (h);
  if (unlikely (h->debug))
    trace_leave_int (h, ret, ret == -1);
  call_leave (h);
  return ret;
}

const char *
nbd_describe (struct nbd_handle *h)
{
  const char *ret = NULL;

  if (call_no_handle (h, "nbd_describe")) {
    return NULL;
  }
  call_enter (h, "nbd_describe");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_enter (h, &trace);
  }
  ret = api_describe (h);
  if (unlikely (h->debug))
    trace_leave_text (h, ret, ret == NULL);
  call_leave (h);
  return ret;
}

unsigned
nbd_get_mask (struct nbd_handle *h)
{
  unsigned ret = 0;

  if (call_no_handle (h, "nbd_get_mask")) {
    return 0;
  }
  call_enter (h, "nbd_get_mask");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_enter (h, &trace);
  }
  ret = api_get_mask (h);
  if (unlikely (h->debug))
    trace_leave_unsigned (h, ret, false);
  call_leave (h);
  return ret;
}

uint64_t
nbd_get_total (struct nbd_handle *h)
{
  uint64_t ret = 0;

  if (call_no_handle (h, "nbd_get_total")) {
    return 0;
  }
  ret = api_get_total (h);
  return ret;
}

uintptr_t
nbd_get_private (struct nbd_handle *h)
{
  uintptr_t ret = 0;

  if (call_no_handle (h, "nbd_get_private")) {
    return 0;
  }
  call_enter (h, "nbd_get_private");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_enter (h, &trace);
  }
  ret = h->private_data;
  if (unlikely (h->debug))
    trace_leave_unsigned (h, ret, false);
  call_leave (h);
  return ret;
}

void
nbd_forget (struct nbd_handle *h)
{
  if (call_no_handle (h, "nbd_forget")) {
    return;
  }
  call_enter (h, "nbd_forget");
  if (unlikely (h->debug)) {
    struct trace trace;

    trace_begin (&trace);
    trace_enter (h, &trace);
  }
  api_forget (h);
  if (unlikely (h->debug))
    trace_leave_void (h, false);
  call_leave (h);
  return;
}
