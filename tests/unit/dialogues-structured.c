/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dialogues in transmission with structured replies. */

#include "config.h"

#include "dialogue.h"

static void
read_1024 (struct play *p)
{
  p->cookie[0] =
    nbd_aio_pread_structured (p->h, p->buffer[0], 1024, 4096, log_chunk (p),
                              log_completion (p, "read"), 0);
}

static void
check_read (struct play *p)
{
  CHECK (p, p->buffer[0][0] == 0x11);
  CHECK (p, p->buffer[0][511] == 0x11);
  CHECK (p, p->buffer[0][512] == 0);
  CHECK (p, nbd_aio_command_completed (p->h, p->cookie[0]) == 1);
  CHECK (p, nbd_aio_command_completed (p->h, p->cookie[0]) == 0);
}

const struct dialogue structured_dialogues[] = {
  {
    .name = "structured read: data, hole, end",
    .steps = {
      STRUCTURED_HANDSHAKE,
      CALL (read_1024),
      CLIENT ("u32:0x25609513 u16:0 u16:0 u64:1 u64:4096 u32:1024"),
      SERVER ("u32:0x668e33ef u16:0 u16:2 u64:1 u32:12 u64:4608 u32:512"),
      SERVER ("u32:0x668e33ef u16:0 u16:1 u64:1 u32:520 u64:4096 x512:11"),
      SERVER ("u32:0x668e33ef u16:1 u16:0 u64:1 u32:0"),
    },
    .state = "READY",
    .log = "chunk 4608+512 status 2 error 0 sum 0; "
           "chunk 4096+512 status 1 error 0 sum 8704; "
           "done read 0; free chunk; free read; ",
    .check = check_read,
  },
  { 0 }
};
