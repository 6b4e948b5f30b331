/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dialogues up to the first option: which form of the protocol it is. */

#include "config.h"

#include "dialogue.h"

static void
check_oldstyle (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 1048576);
  CHECK (p, strcmp (nbd_get_protocol (p->h), "oldstyle") == 0);
  CHECK (p, nbd_is_read_only (p->h) == 0);
  CHECK (p, nbd_can_flush (p->h) == 1);
  CHECK (p, nbd_can_df (p->h) == 0);
}

static void
check_newstyle (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 512);
  CHECK (p, strcmp (nbd_get_protocol (p->h), "newstyle") == 0);
}

static void
check_extended (struct play *p)
{
  CHECK (p, nbd_get_size (p->h) == 1048576);
  CHECK (p, strcmp (nbd_get_protocol (p->h), "newstyle-fixed") == 0);
  CHECK (p, nbd_get_extended_headers_negotiated (p->h) == 1);
  CHECK (p, nbd_get_structured_replies_negotiated (p->h) == 1);
}

const struct dialogue handshake_dialogues[] = {
  {
    .name = "oldstyle",
    .steps = {
      SERVER ("'NBDMAGIC' u64:0x00420281861253 u64:1048576 u32:0x0005 x124:00"),
    },
    .state = "READY", .check = check_oldstyle,
  },
  {
    .name = "newstyle without fixed",
    .steps = {
      SERVER ("'NBDMAGIC' 'IHAVEOPT' u16:0"),
      CLIENT ("u32:0 'IHAVEOPT' u32:1 u32:0"),
      SERVER ("u64:512 u16:1 x124:00"),
    },
    .state = "READY", .check = check_newstyle,
  },
  {
    .name = "fixed newstyle with extended headers",
    .steps = { EXTENDED_HANDSHAKE },
    .state = "READY", .check = check_extended,
  },
  {
    .name = "not a server of NBD",
    .steps = { SERVER ("'HTTP/1.1' '400BadReq'") },
    .state = "DEAD",
    .error = "handshake: server did not send expected NBD magic",
  },
  {
    .name = "the server closes in the middle of its greeting",
    .steps = { SERVER ("'NBDMAGIC' 'IHAVE'"), SERVER_CLOSES },
    .state = "DEAD",
    .error = "recv: server disconnected unexpectedly",
  },
  { 0 }
};
