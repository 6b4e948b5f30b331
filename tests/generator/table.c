/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The rows of the small API.  They are not part of libnbd. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

#define HERE .file = __FILE__, .line = __LINE__

static const struct constant tones_members[] = {
  { HERE, .name = "LOW", .value = "0" },
  { HERE, .name = "HIGH", .value = "1" },
};

const struct constant_set tones = {
  HERE, .name = "tones", .kind = SET_ENUM, .prefix = "LIBNBD_TONE_",
  .members = tones_members, .nr_members = COUNT (tones_members),
};

/* No function takes one, so the wrappers have no list of its values. */
static const struct constant shapes_members[] = {
  { HERE, .name = "ROUND", .value = "7" },
};

static const struct constant_set shapes = {
  HERE, .name = "shapes", .kind = SET_ENUM, .prefix = "LIBNBD_SHAPE_",
  .members = shapes_members, .nr_members = COUNT (shapes_members),
};

static const struct constant switches_members[] = {
  { HERE, .name = "LIGHT", .value = "0x01U" },
  { HERE, .name = "HEAT", .value = "0x02U" },
};

const struct constant_set switches = {
  HERE, .name = "switches", .kind = SET_FLAGS, .prefix = "LIBNBD_SWITCH_",
  .members = switches_members, .nr_members = COUNT (switches_members),
  .mask = "0x03U",
};

static const struct constant orders_members[] = {
  { HERE, .name = "NOW", .value = "0x01U" },
  { HERE, .name = "WITH_A_NAME_THAT_PASSES_THE_COLUMN", .value = "0x02U" },
};

static const struct constant_set orders = {
  HERE, .name = "orders", .kind = SET_FLAGS, .prefix = "LIBNBD_ORDER_",
  .members = orders_members, .nr_members = COUNT (orders_members),
  .mask = "0x03U", .relaxable = true,
};

static const struct constant words_members[] = {
  { HERE, .name = "GREETING", .value = "\"hello\"" },
};

static const struct constant_set words = {
  HERE, .name = "words", .kind = SET_OTHER, .prefix = "LIBNBD_",
  .members = words_members, .nr_members = COUNT (words_members),
};

static const struct constant_set *const sets[] = {
  &tones, &shapes, &switches, &orders, &words,
};

static const struct api_struct structs[] = {
  {
    .name = "nbd_piece",
    .text = "typedef struct {\n"
            "  uint64_t length;\n"
            "} nbd_piece;\n"
  },
};

const struct closure completion_closure = {
  HERE, .name = "completion", .since = 0, .params = "int *error",
};

const struct closure piece_closure = {
  HERE, .name = "piece", .since = 2,
  .params = "const char *context, nbd_piece *pieces, size_t nr_pieces, "
            "int *error",
};

static const struct closure farewell_closure = {
  HERE, .name = "farewell", .since = 4,
};

static const struct closure *const closures[] = {
  &completion_closure, &piece_closure, &farewell_closure,
};

/* Not in the order of their versions, which the symbol map must sort. */
static const struct function functions[] = {
  {
    HERE, .name = "create", .since = 0,
    .summary = "make a handle",
    .ret = RETURN_HANDLE, .states = ANY,
    .by_hand = true, .no_handle = true,
    .example = "small.c",
  },
  {
    HERE, .name = "close", .since = 0,
    .summary = "release a handle",
    .ret = RETURN_VOID, .states = ANY,
    .never_fails = true, .by_hand = true, .null_handle = true,
    .example = "small.c",
  },
  {
    HERE, .name = "set_tone", .since = 4,
    .summary = "choose the tone",
    .args = { { ARG (ENUM, "tone"), .set = &tones } },
    .ret = RETURN_ERR, .states = CREATED, .set_field = "tone",
    .example = "small.c",
    .see_also = { "nbd_get_tone" },
  },
  {
    HERE, .name = "get_tone", .since = 4,
    .summary = "return the tone",
    .ret = RETURN_ENUM, .states = ANY, .never_fails = true,
    .get_field = "tone",
    .example = "small.c",
    .see_also = { "nbd_set_tone" },
  },
  {
    HERE, .name = "set_title", .since = 2,
    .summary = "choose the title",
    .args = { { ARG (STRING, "title") } },
    .ret = RETURN_ERR, .states = CREATED | NEGOTIATING, .set_field = "title",
    .example = "small.c",
  },
  {
    HERE, .name = "get_title", .since = 2,
    .summary = "return the title",
    .ret = RETURN_STRING, .states = ANY, .get_field = "title",
    .example = "small.c",
  },
  {
    HERE, .name = "set_switches", .since = 2,
    .summary = "turn switches on and off",
    .args = { { ARG (FLAGS, "flags"), .set = &switches,
                .valid = "LIBNBD_SWITCH_MASK" } },
    .ret = RETURN_ERR, .states = ANY, .set_field = "switches",
    .example = "small.c",
  },
  {
    HERE, .name = "get_switches", .since = 2,
    .summary = "return the switches",
    .ret = RETURN_UINT32, .states = ANY,
    .never_fails = true, .no_lock = true, .get_field = "switches",
    .example = "small.c",
  },
  {
    HERE, .name = "aio_fetch", .since = 0,
    .summary = "begin to fetch pieces",
    .args = { { ARG (BUFFER_OUT, "buf"), .length = "count" },
              { ARG (UINT64, "offset") },
              { .kind = ARG_CLOSURE, .closure = &piece_closure },
              { .kind = ARG_CLOSURE, .closure = &completion_closure,
                .optional = true },
              { ARG (FLAGS, "flags"), .set = &orders,
                .valid = "LIBNBD_ORDER_NOW" } },
    .ret = RETURN_COOKIE, .states = CONNECTED, .async = ASYNC_COMPLETION,
    .example = "fetch.c",
    .see_also = { "nbd_store", "nbd_aio_get_fd" },
  },
  {
    HERE, .name = "store", .since = 0,
    .summary = "store bytes",
    .args = { { ARG (BUFFER_IN, "buf"), .length = "count" },
              { ARG (UINT64, "offset") },
              { ARG (FLAGS, "flags"), .set = &orders, .valid = "0" } },
    .ret = RETURN_SSIZE, .states = CONNECTED | CLOSED | DEAD,
    .example = "small.c",
  },
  {
    HERE, .name = "aio_connect_to_whoever_is_the_first_to_answer", .since = 4,
    .summary = "begin to connect to some address",
    .args = { { ARG (BOOL, "wait") },
              { ARG (SOCKADDR, "addr"), .length = "addrlen" },
              { ARG (STRING, "name") },
              { ARG (STRING_LIST, "argv") } },
    .ret = RETURN_ERR, .states = CREATED, .async = ASYNC_CONNECT,
    .example = "small.c",
  },
  {
    HERE, .name = "tune", .since = 2,
    .summary = "turn all knobs together",
    .args = { { ARG (INT, "number") }, { ARG (FD, "fd") },
              { ARG (UINT32, "bits") }, { ARG (SIZE, "size") },
              { ARG (UINTPTR, "cookie") } },
    .ret = RETURN_BOOL, .states = ANY,
    .example = "small.c",
  },
  {
    HERE, .name = "on_farewell", .since = 4,
    .summary = "call a function at the end",
    .args = { { .kind = ARG_CLOSURE, .closure = &farewell_closure } },
    .ret = RETURN_INT, .states = ANY,
    .example = "small.c",
  },
  {
    HERE, .name = "get_extent", .since = 2,
    .summary = "return how far it goes",
    .ret = RETURN_INT64, .states = NEGOTIATING | CONNECTED | CLOSED,
    .example = "small.c",
  },
  {
    HERE, .name = "aio_get_fd", .since = 0,
    .summary = "return the descriptor",
    .ret = RETURN_FD, .states = ANY,
    .example = "small.c",
  },
  {
    HERE, .name = "describe", .since = 0,
    .summary = "describe the handle in words",
    .ret = RETURN_STATIC_STRING, .states = ANY,
    .example = "small.c",
  },
  {
    HERE, .name = "get_mask", .since = 0,
    .summary = "return the bits in use",
    .ret = RETURN_UINT, .states = ANY, .never_fails = true,
    .example = "small.c",
  },
  {
    HERE, .name = "get_total", .since = 4,
    .summary = "return the number of bytes",
    .ret = RETURN_UINT64, .states = ANY,
    .never_fails = true, .no_lock = true,
    .example = "small.c",
  },
  {
    HERE, .name = "get_private", .since = 4,
    .summary = "return the number given by the caller",
    .ret = RETURN_UINTPTR, .states = ANY, .never_fails = true,
    .get_field = "private_data",
    .example = "small.c",
  },
  {
    HERE, .name = "forget", .since = 2,
    .summary = "forget the pieces",
    .ret = RETURN_VOID, .states = ANY, .never_fails = true,
    .example = "small.c",
  },
};

/* Version 1.6 has no function yet, so it has no node. */
const struct api small_api = {
  .functions = functions, .nr_functions = COUNT (functions),
  .closures = closures, .nr_closures = COUNT (closures),
  .sets = sets, .nr_sets = COUNT (sets),
  .structs = structs, .nr_structs = COUNT (structs),
  .release = 6,
};

const struct function *
small_function (const char *name)
{
  for (size_t i = 0; i < COUNT (functions); i++)
    if (strcmp (functions[i].name, name) == 0)
      return &functions[i];
  fprintf (stderr, "the small table has no row %s\n", name);
  exit (1);
}
