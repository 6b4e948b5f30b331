/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What each kind of argument and of return value is in C and in words. */

#include <stdio.h>

#include "model.h"

const struct state_name state_names[NR_STATES] = {
  { "PHASE_CREATED", "newly created" },
  { "PHASE_CONNECTING", "connecting" },
  { "PHASE_NEGOTIATING", "negotiating" },
  { "PHASE_CONNECTED", "connected with the server" },
  { "PHASE_CLOSED", "shut down" },
  { "PHASE_DEAD", "dead" },
};

const struct arg_type arg_types[NR_ARG_KINDS] = {
  [ARG_BOOL] = { "bool " },
  [ARG_INT] = { "int " },
  [ARG_FD] = { "int " },
  [ARG_UINT32] = { "uint32_t " },
  [ARG_UINT64] = { "uint64_t " },
  [ARG_SIZE] = { "size_t " },
  [ARG_UINTPTR] = { "uintptr_t " },
  [ARG_STRING] = { "const char *", .pointer = true },
  [ARG_STRING_LIST] = { "char **", .pointer = true },
  [ARG_BUFFER_OUT] = { "void *", "size_t ", .pointer = true },
  [ARG_BUFFER_IN] = { "const void *", "size_t ", .pointer = true },
  [ARG_SOCKADDR] = { "const struct sockaddr *", "socklen_t ",
                     .pointer = true },
  [ARG_ENUM] = { "int " },
  [ARG_FLAGS] = { "uint32_t " },
  [ARG_CLOSURE] = { NULL },     /* from the closure's name */
};

const struct return_type return_types[NR_RETURN_KINDS] = {
  [RETURN_VOID] = { "void ", "", "Nothing is returned." },
  [RETURN_ERR] = { "int ", "-1", "C<0> on success." },
  [RETURN_BOOL] = { "int ", "-1", "C<1> for true, C<0> for false." },
  [RETURN_INT] = { "int ", "-1", "A number that is zero or more." },
  [RETURN_INT64] = { "int64_t ", "-1",
                     "A 64 bit number that is zero or more." },
  [RETURN_COOKIE] = { "int64_t ", "-1",
                      "The cookie of the command, a number from 1 up that is "
                      "unique within the handle." },
  [RETURN_FD] = { "int ", "-1", "A file descriptor." },
  [RETURN_SSIZE] = { "ssize_t ", "-1", "A number that is zero or more." },
  [RETURN_STATIC_STRING] = { "const char *", "NULL",
                             "A string that belongs to the library and stays "
                             "valid while the library is loaded; do not free "
                             "it." },
  [RETURN_STRING] = { "char *", "NULL",
                      "A new string, which the caller must release with "
                      "L<free(3)>." },
  [RETURN_ENUM] = { "int ", "-1", "One of the constants above." },
  [RETURN_UINT] = { "unsigned ", "0", "A bit mask." },
  [RETURN_UINT32] = { "uint32_t ", "0", "A bit mask." },
  [RETURN_UINT64] = { "uint64_t ", "0", "A 64 bit number." },
  [RETURN_UINTPTR] = { "uintptr_t ", "0", "An integer as wide as a pointer." },
  [RETURN_HANDLE] = { "struct nbd_handle *", "NULL", "A new handle." },
};

const char *
closure_param (const struct closure *closure)
{
  static char buf[64];

  snprintf (buf, sizeof buf, "%s_callback", closure->name);
  return buf;
}
