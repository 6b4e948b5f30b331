/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* nbd_shutdown and nbd_close. */

#include "config.h"

#include <stdio.h>

#include "scenario.h"

SCENARIO (idle, "shutdown/idle")
{
  PLAY (SIMPLE, EXPECT (DISC (1)), CLOSE);
  CALL (nbd_shutdown (h, 0));
  status ();
  CALL (nbd_shutdown (h, 0));
  CALL (nbd_get_size (h));
}

SCENARIO (after_commands, "shutdown/after commands")
{
  PLAY (SIMPLE, SERVE);
  CALL (nbd_pwrite (h, buf, 4, 0, 0));
  CALL (nbd_flush (h, 0));
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (answered, "shutdown/commands in flight are answered")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), EXPECT (DISC (2)), SEND (REPLY (1, 0)),
        CLOSE);
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_shutdown (h, 0));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (answered_late, "shutdown/commands in flight are answered first")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), WAIT, SEND (REPLY (1, 5)),
        EXPECT (DISC (2)), CLOSE);
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  release ();
  CALL (nbd_shutdown (h, 0));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (unanswered, "shutdown/commands in flight are not answered")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), EXPECT (DISC (2)), CLOSE);
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_shutdown (h, 0));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (after_disconnect, "shutdown/after a disconnect")
{
  PLAY (SIMPLE, EXPECT (DISC (1)), WAIT, CLOSE);
  CALL (nbd_aio_disconnect (h, 0));
  release ();
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (half_closed, "shutdown/the server sends no more")
{
  PLAY (SIMPLE, SHUT, WAIT, EXPECT (DISC (1)));
  peer_await (peer);
  release ();
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (gone, "shutdown/the server is gone")
{
  PLAY (SIMPLE, CLOSE);
  peer_await (peer);
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (gone_noticed, "shutdown/the server is gone, which was noticed")
{
  PLAY (SIMPLE, CLOSE);
  peer_await (peer);
  nbd_poll (h, -1);
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (reset, "shutdown/the server closes with unread requests")
{
  PLAY (SIMPLE, WAIT, CLOSE);
  nbd_aio_flush (h, done ("flush"), 0);
  release ();
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (junk, "shutdown/the server sends junk after it")
{
  PLAY (SIMPLE, EXPECT (DISC (1)), SEND ("x16:ff"), CLOSE);
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (half_reply, "shutdown/the server closes in a reply")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), EXPECT (DISC (2)),
        SEND ("u32:0x67446698 u32:0"), CLOSE);
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_shutdown (h, 0));
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (abandon_idle, "shutdown/abandon, with nothing pending")
{
  PLAY (SIMPLE, EXPECT (DISC (1)), CLOSE);
  CALL (nbd_shutdown (h, LIBNBD_SHUTDOWN_ABANDON_PENDING));
}

SCENARIO (abandon_sent, "shutdown/abandon, with a request that has left")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), EXPECT (DISC (2)), CLOSE);
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_shutdown (h, LIBNBD_SHUTDOWN_ABANDON_PENDING));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (abandon_queued, "shutdown/abandon, with requests in the queue")
{
  SCRIPT (SIMPLE, WAIT, RECEIVE (1048604), EXPECT (DISC (4)), CLOSE);
  small_buffers ();
  nbd_connect_socket (h, sock);
  CALL (nbd_aio_pwrite (h, buf, 1048576, 0, done ("write"), 0));
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_aio_pread (h, buf, 512, 0, done ("read"), 0));
  release ();
  CALL (nbd_shutdown (h, LIBNBD_SHUTDOWN_ABANDON_PENDING));
  status ();
  for (uint64_t cookie = 1; cookie <= 3; cookie++)
    CALL (nbd_aio_command_completed (h, cookie));
}

SCENARIO (queued, "shutdown/with requests in the queue")
{
  SCRIPT (SIMPLE, WAIT, SERVE);
  small_buffers ();
  nbd_connect_socket (h, sock);
  CALL (nbd_aio_pwrite (h, buf, 1048576, 0, done ("write"), 0));
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  release ();
  CALL (nbd_shutdown (h, 0));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
  CALL (nbd_aio_command_completed (h, 2));
}

SCENARIO (oldstyle, "shutdown/oldstyle")
{
  PLAY (SEND (OLD_GREETING "u64:1048576 u32:0x0005 x124:00"),
        EXPECT (DISC (1)), CLOSE);
  CALL (nbd_shutdown (h, 0));
}

SCENARIO (known_afterwards, "shutdown/what is known stays known")
{
  PLAY (SIMPLE, SERVE);
  CALL (nbd_shutdown (h, 0));
  facts ();
}

SCENARIO (unknown_afterwards, "shutdown/what is known of a dead handle")
{
  PLAY (SIMPLE, WAIT, SEND ("x16:00"), WAIT);
  go ();
  CALL (nbd_poll (h, -1));
  facts ();
}

SCENARIO (close_created, "close/a new handle")
{
  create ();
}

SCENARIO (close_ready, "close/without a shutdown")
{
  PLAY (SIMPLE);
}

SCENARIO (close_closed, "close/after a shutdown")
{
  PLAY (SIMPLE, SERVE);
  nbd_shutdown (h, 0);
}

SCENARIO (close_dead, "close/a dead handle")
{
  CONNECT (SEND ("x16:00"));
}

SCENARIO (close_disconnecting, "close/while disconnecting")
{
  PLAY (SIMPLE, EXPECT (DISC (1)));
  CALL (nbd_aio_disconnect (h, 0));
}

SCENARIO (close_half_reply, "close/in the middle of a reply")
{
  PLAY (SIMPLE, QUIET (READ (1, 0, 512)), WAIT,
        SEND (REPLY (1, 0) "x100:aa"), WAIT);
  CALL (nbd_aio_pread (h, buf, 512, 0, done ("read"), 0));
  go ();
  CALL (nbd_poll (h, -1));
}

SCENARIO (close_callbacks, "close/the debug callback is freed")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), WAIT);
  CALL (nbd_set_debug_callback (h, ONLY_FREE (nbd_debug_callback, "debug")));
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  peer_await (peer);
}
