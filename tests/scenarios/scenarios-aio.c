/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life of asynchronous commands: direction, order of callbacks, retiring,
 * half-sent requests, and what happens to all of it at the end.
 */

#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "scenario.h"

/* Connecting by hand. */

SCENARIO (connect_steps, "aio/connect, step by step")
{
  SCRIPT (WAIT, SEND ("'NBDMAGIC'"), WAIT, SEND ("'IHAVEOPT'"), WAIT,
          SEND ("u16:3"), EXPECT (CLIENT_FLAGS), EXPECT (OPT_STRUCTURED),
          WAIT, SEND (ACK (8)), EXPECT (OPT_GO), WAIT,
          SEND (INFO_EXPORT (7, 512, 1)), WAIT, SEND (ACK (7)), WAIT);
  CALL (nbd_aio_connect_socket (h, sock));
  show_fd ("the descriptor", sock);
  status ();
  for (int i = 0; i < 2; i++) {
    go ();
    CALL (nbd_poll (h, -1));
    status ();
  }
  release ();
  pump ();
  status ();
  release ();
  pump ();
  status ();
  go ();
  CALL (nbd_poll (h, -1));
  status ();
  go ();
  CALL (nbd_poll (h, -1));
  status ();
}

SCENARIO (connect_greeted, "aio/connect to a server that has spoken already")
{
  SCRIPT (SEND ("'NBDMAGIC'"), WAIT, SEND ("'IHAVEOPT' u16:3"),
          EXPECT (CLIENT_FLAGS), SERVE);
  peer_await (peer);
  CALL (nbd_aio_connect_socket (h, sock));
  status ();
  release ();
  while (nbd_aio_is_connecting (h))
    nbd_poll (h, -1);
  status ();
}

SCENARIO (connect_bad, "aio/connect to a server that has spoken badly")
{
  SCRIPT (SEND ("x16:00"), WAIT);
  peer_await (peer);
  CALL (nbd_aio_connect_socket (h, sock));
  status ();
  show_fd ("the descriptor", sock);
}

SCENARIO (connect_gone, "aio/connect to a server that is gone already")
{
  SCRIPT (SEND ("'NBD'"), CLOSE);
  peer_await (peer);
  CALL (nbd_aio_connect_socket (h, sock));
  while (nbd_aio_is_connecting (h))
    CALL (nbd_poll (h, -1));
}

SCENARIO (connect_unix, "aio/connect to a Unix domain socket")
{
  LISTEN_UNIX ("sock", SEND (GREETING), EXPECT (CLIENT_FLAGS), SERVE);
  CALL (nbd_aio_connect_unix (h, "sock"));
  while (nbd_aio_is_connecting (h))
    if (nbd_poll (h, -1) == -1) {
      show_error ();
      break;
    }
  status ();
}

SCENARIO (connect_close, "aio/close while connecting")
{
  SCRIPT (WAIT);
  CALL (nbd_aio_connect_socket (h, sock));
}

/* The loop. */

SCENARIO (poll_timeout, "aio/nbd_poll comes back after its time")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), WAIT, SEND (REPLY (1, 0)), WAIT);
  CALL (nbd_poll (h, 0));
  CALL (nbd_poll (h, 1));
  nbd_aio_flush (h, done ("flush"), 0);
  CALL (nbd_poll (h, 1));
  status ();
  go ();
  CALL (nbd_poll (h, 60000));
  CALL (nbd_poll (h, 0));
}

SCENARIO (poll_one_reply, "aio/three replies at once")
{
  PLAY (SIMPLE, QUIET (FLUSH (1) FLUSH (2) FLUSH (3)), WAIT,
        SEND (REPLY (1, 0) REPLY (2, 0) REPLY (3, 0)), WAIT);
  nbd_aio_flush (h, done ("first"), 0);
  nbd_aio_flush (h, done ("second"), 0);
  nbd_aio_flush (h, done ("third"), 0);
  go ();
  settle ();
  status ();
  for (uint64_t cookie = 1; cookie <= 3; cookie++)
    CALL (nbd_aio_command_completed (h, cookie));
}

SCENARIO (poll_calls, "aio/how often nbd_poll has to be called")
{
  PLAY (SIMPLE, QUIET (FLUSH (1) FLUSH (2)), WAIT,
        SEND (REPLY (1, 0) REPLY (2, 0)), WAIT);
  nbd_aio_flush (h, done ("first"), 0);
  nbd_aio_flush (h, done ("second"), 0);
  go ();
  CALL (nbd_poll (h, -1));
  status ();
}

SCENARIO (notify_idle, "aio/notified although there is nothing to read")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), WAIT, SEND (REPLY (1, 0)), WAIT);
  nbd_aio_flush (h, done ("flush"), 0);
  peer_await (peer);
  CALL (nbd_aio_notify_read (h));
  CALL (nbd_aio_get_direction (h));
  go ();
  settle ();
  status ();
}

SCENARIO (notify_unwanted, "aio/notified of what was not wanted")
{
  PLAY (SIMPLE, WAIT, SERVE);
  CALL (nbd_aio_notify_write (h));
  status ();
  release ();
  CALL (nbd_flush (h, 0));
}

SCENARIO (poll_by_hand, "aio/a loop of the program's own")
{
  PLAY (SIMPLE, SERVE);
  nbd_aio_flush (h, done ("flush"), 0);
  while (nbd_aio_in_flight (h) > 0) {
    struct pollfd fd = { .fd = nbd_aio_get_fd (h), .events = POLLIN };

    say ("direction %u", nbd_aio_get_direction (h));
    poll (&fd, 1, -1);
    CALL (nbd_aio_notify_read (h));
  }
  status ();
}

/* Requests that have not left as a whole. */

static void
half_sent (void)
{
  create ();
  small_buffers ();
  CALL (nbd_connect_socket (h, sock));
  memset (buf, 0x11, sizeof buf);
  CALL (nbd_aio_pwrite (h, buf, 1048576, 0, done ("write"), 0));
}

SCENARIO (half_write, "aio/half a write has left")
{
  SCRIPT (SIMPLE, WAIT, SERVE);
  half_sent ();
  status ();
  CALL (nbd_poll (h, 0));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
  release ();
  settle ();
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (half_write_queue, "aio/requests behind half a write")
{
  SCRIPT (SIMPLE, WAIT, SERVE);
  half_sent ();
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_aio_pread (h, buf, 512, 0, done ("read"), 0));
  CALL (nbd_aio_disconnect (h, 0));
  status ();
  release ();
  while (!nbd_aio_is_closed (h) && !nbd_aio_is_dead (h))
    if (nbd_poll (h, -1) == -1)
      show_error ();
  status ();
}

SCENARIO (half_write_notify, "aio/notified while a write is blocked")
{
  SCRIPT (SIMPLE, WAIT, SERVE);
  half_sent ();
  CALL (nbd_aio_notify_write (h));
  status ();
  release ();
  settle ();
  status ();
}

SCENARIO (half_write_read, "aio/a reply while half a write has left")
{
  SCRIPT (SIMPLE, QUIET (FLUSH (1)), WAIT, SEND (REPLY (1, 0)), WAIT,
          SERVE);
  small_buffers ();
  nbd_connect_socket (h, sock);
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_aio_pwrite (h, buf, 1048576, 0, done ("write"), 0));
  go ();
  CALL (nbd_aio_notify_read (h));
  status ();
  release ();
  settle ();
  status ();
}

SCENARIO (half_write_replied,
          "aio/a write that is answered before it has left")
{
  SCRIPT (SIMPLE, FORGET, RECEIVE (28), WAIT, SEND (REPLY (1, 28)), WAIT);
  half_sent ();
  peer_await (peer);
  go ();
  CALL (nbd_aio_notify_read (h));
  say ("in flight %d", nbd_aio_in_flight (h));
  say ("dead %d", nbd_aio_is_dead (h));
}

SCENARIO (half_write_sync, "aio/a synchronous call behind half a write")
{
  SCRIPT (SIMPLE, WAIT, SERVE);
  half_sent ();
  release ();
  CALL (nbd_flush (h, 0));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (half_write_close, "aio/close when half a write has left")
{
  SCRIPT (SIMPLE, FORGET, WAIT);
  half_sent ();
  CALL (nbd_aio_flush (h, done ("flush"), 0));
}

SCENARIO (half_write_gone, "aio/the server goes when half a write has left")
{
  SCRIPT (SIMPLE, FORGET, WAIT, SHUT, WAIT);
  half_sent ();
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  go ();
  CALL (nbd_aio_notify_read (h));
  status ();
}

SCENARIO (two_writes, "aio/two large writes")
{
  SCRIPT (SIMPLE, WAIT, SERVE);
  half_sent ();
  CALL (nbd_aio_pwrite (h, buf, 65536, 65536, done ("second"), 0));
  status ();
  release ();
  settle ();
  status ();
}

/* Retiring. */

SCENARIO (retire, "aio/retiring")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), WAIT, SEND (REPLY (1, 0)), WAIT);
  CALL (nbd_aio_peek_command_completed (h));
  CALL (nbd_aio_command_completed (h, 0));
  CALL (nbd_aio_command_completed (h, 1));
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_aio_peek_command_completed (h));
  CALL (nbd_aio_command_completed (h, 1));
  go ();
  settle ();
  CALL (nbd_aio_in_flight (h));
  CALL (nbd_aio_peek_command_completed (h));
  CALL (nbd_aio_peek_command_completed (h));
  CALL (nbd_aio_command_completed (h, 2));
  CALL (nbd_aio_command_completed (h, UINT64_MAX));
  CALL (nbd_aio_command_completed (h, 1));
  CALL (nbd_aio_command_completed (h, 1));
  CALL (nbd_aio_peek_command_completed (h));
}

SCENARIO (retire_failed, "aio/retiring a failure")
{
  PLAY (SIMPLE, QUIET (TRIM (1, 0, 512)), WAIT, SEND (REPLY (1, 28)), WAIT);
  CALL (nbd_aio_trim (h, 512, 0, done ("trim"), 0));
  go ();
  settle ();
  CALL (nbd_aio_peek_command_completed (h));
  CALL (nbd_aio_command_completed (h, 1));
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (retire_automatic, "aio/commands that retire themselves")
{
  PLAY (SIMPLE, QUIET (FLUSH (1) FLUSH (2) FLUSH (3)), WAIT,
        SEND (REPLY (1, 0) REPLY (2, 5) REPLY (3, 0)), WAIT);
  CALL (nbd_aio_flush (h, done_ret ("first", 1, KEEP), 0));
  CALL (nbd_aio_flush (h, done_ret ("second", 1, KEEP), 0));
  CALL (nbd_aio_flush (h, done_ret ("third", 1, KEEP), 0));
  go ();
  settle ();
  status ();
}

SCENARIO (retire_after_end, "aio/retiring after the connection has ended")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), WAIT, SEND (REPLY (1, 0)), CLOSE);
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  go ();
  while (!nbd_aio_is_closed (h))
    nbd_poll (h, -1);
  status ();
  CALL (nbd_aio_command_completed (h, 1));
  status ();
}

SCENARIO (not_retired, "aio/closed with commands that were not retired")
{
  PLAY (SIMPLE, QUIET (FLUSH (1) FLUSH (2)), WAIT,
        SEND (REPLY (1, 0) REPLY (2, 0)), WAIT);
  CALL (nbd_aio_flush (h, done ("first"), 0));
  CALL (nbd_aio_flush (h, done ("second"), 0));
  go ();
  settle ();
}

SCENARIO (refused_cookie, "aio/a refused call uses up no cookie")
{
  PLAY (SIMPLE, SERVE);
  CALL (nbd_aio_pread (h, buf, 512, 2097152, done ("read"), 0));
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_flush (h, 0));
  CALL (nbd_aio_flush (h, done ("last"), 0));
  settle ();
}

SCENARIO (many, "aio/a thousand commands")
{
  PLAY (SIMPLE, SERVE);
  for (int i = 0; i < 1000; i++)
    if (nbd_aio_flush (h, NBD_NULL_COMPLETION, 0) != i + 1)
      say ("wrong cookie");
  CALL (nbd_aio_in_flight (h));
  settle ();
  CALL (nbd_aio_in_flight (h));
  for (int i = 0; i < 1000; i++) {
    if (nbd_aio_peek_command_completed (h) != i + 1 ||
        nbd_aio_command_completed (h, i + 1) != 1)
      say ("number %d is not completed", i + 1);
  }
  status ();
}

SCENARIO (sync_and_aio, "aio/a synchronous call handles what was in flight")
{
  PLAY (SIMPLE, QUIET (FLUSH (1) FLUSH (2)), SEND (REPLY (1, 5)),
        SEND (REPLY (2, 0)));
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_flush (h, 0));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (close_pending, "aio/close with commands of every kind in flight")
{
  PLAY_META (WAIT);
  CALL (nbd_aio_pread (h, buf, 512, 0, done ("read"), 0));
  CALL (nbd_aio_pread_structured (h, buf, 512, 0, chunk ("chunk"),
                                  done ("structured"), 0));
  CALL (nbd_aio_pwrite (h, buf, 512, 0, done ("write"), 0));
  CALL (nbd_aio_block_status (h, 512, 0, extent ("extents"), done ("status"),
                              0));
  CALL (nbd_aio_flush (h, NBD_NULL_COMPLETION, 0));
  CALL (nbd_aio_flush (h, done_ret ("one", 1, KEEP), 0));
}

SCENARIO (lost_pending, "aio/the server goes with every kind in flight")
{
  PLAY_META (RECEIVE (624), WAIT, CLOSE);
  CALL (nbd_aio_pread (h, buf, 512, 0, done ("read"), 0));
  CALL (nbd_aio_pread_structured (h, buf, 512, 0, chunk ("chunk"),
                                  done ("structured"), 0));
  CALL (nbd_aio_pwrite (h, buf, 512, 0, done ("write"), 0));
  CALL (nbd_aio_block_status (h, 512, 0, extent ("extents"), done ("status"),
                              0));
  peer_await (peer);
  go ();
  CALL (nbd_poll (h, -1));
  status ();
  for (uint64_t cookie = 1; cookie <= 4; cookie++)
    CALL (nbd_aio_command_completed (h, cookie));
}

SCENARIO (lost_completion, "aio/what completions return when the server goes")
{
  PLAY (SIMPLE, QUIET (FLUSH (1) FLUSH (2) FLUSH (3)), WAIT, CLOSE);
  CALL (nbd_aio_flush (h, done_ret ("minus", -1, 28), 0));
  CALL (nbd_aio_flush (h, done_ret ("one", 1, KEEP), 0));
  CALL (nbd_aio_flush (h, done_ret ("clear", 0, 0), 0));
  go ();
  CALL (nbd_poll (h, -1));
  status ();
  for (uint64_t cookie = 1; cookie <= 3; cookie++)
    CALL (nbd_aio_command_completed (h, cookie));
}

SCENARIO (refused_frees, "aio/what a refused call frees, and when")
{
  create ();
  CALL (nbd_aio_pread_structured (h, buf, 512, 0, chunk ("chunk"),
                                  done ("done"), 0));
  CALL (nbd_aio_block_status (h, 512, 0, extent ("extents"), done ("done"),
                              0));
  CALL (nbd_aio_opt_list (h, list ("list"), done ("done")));
  CALL (nbd_aio_opt_list_meta_context (h, context ("context"),
                                       done ("done")));
  CALL (nbd_aio_flush (h, done ("done"), 0));
}

SCENARIO (two_handles, "aio/two handles at once")
{
  struct nbd_handle *first;
  struct peer *first_peer;

  PLAY (SIMPLE, QUIET (FLUSH (1)), WAIT, SEND (REPLY (1, 0)), WAIT);
  first = h;
  first_peer = peer;
  h = NULL;
  PLAY (SIMPLE, QUIET (FLUSH (1)), WAIT, SEND (REPLY (1, 5)), WAIT);
  CALL (nbd_aio_flush (first, done ("first"), 0));
  CALL (nbd_aio_flush (h, done ("second"), 0));
  go ();
  settle ();
  CALL (nbd_aio_in_flight (first));
  CALL (nbd_aio_command_completed (h, 1));
  peer_go (first_peer);
  CALL (nbd_poll (first, -1));
  CALL (nbd_aio_command_completed (first, 1));
  nbd_close (first);
  peer_end (first_peer);
}

SCENARIO (descriptor, "aio/the descriptor of a connection")
{
  int flags;

  SCRIPT (SIMPLE, SERVE);
  flags = fcntl (sock, F_GETFD);
  say ("close-on-exec before: %d", !!(flags & FD_CLOEXEC));
  nbd_connect_socket (h, sock);
  say ("the same: %d", nbd_aio_get_fd (h) == sock);
  show_fd ("the descriptor", sock);
  nbd_shutdown (h, 0);
  show_fd ("the descriptor", sock);
  CALL (nbd_aio_get_fd (h));
}

/* Disconnecting. */

SCENARIO (disconnect, "aio/disconnect")
{
  PLAY (SIMPLE, EXPECT (DISC (1)), WAIT, CLOSE);
  CALL (nbd_aio_disconnect (h, 0));
  status ();
  CALL (nbd_aio_disconnect (h, 0));
  CALL (nbd_poll (h, 0));
  peer_await (peer);
  go ();
  CALL (nbd_poll (h, -1));
  status ();
}

SCENARIO (disconnect_pending, "aio/disconnect with commands in flight")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), EXPECT (DISC (2)), WAIT,
        SEND (REPLY (1, 0)), CLOSE);
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_aio_disconnect (h, 0));
  status ();
  go ();
  while (!nbd_aio_is_closed (h) && !nbd_aio_is_dead (h))
    nbd_poll (h, -1);
  status ();
  CALL (nbd_aio_command_completed (h, 1));
  CALL (nbd_aio_command_completed (h, 2));
}

SCENARIO (disconnect_unanswered, "aio/disconnect, and commands are dropped")
{
  PLAY (SIMPLE, QUIET (FLUSH (1)), EXPECT (DISC (2)), WAIT, CLOSE);
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  CALL (nbd_aio_disconnect (h, 0));
  go ();
  CALL (nbd_poll (h, -1));
  status ();
  CALL (nbd_aio_command_completed (h, 1));
}

SCENARIO (disconnect_commands, "aio/commands after a disconnect")
{
  PLAY (SIMPLE, EXPECT (DISC (1)), WAIT);
  CALL (nbd_aio_disconnect (h, 0));
  CALL (nbd_aio_pread (h, buf, 512, 0, done ("read"), 0));
  CALL (nbd_pwrite (h, buf, 512, 0, 0));
  CALL (nbd_aio_flush (h, done ("flush"), 0));
  status ();
}

SCENARIO (disconnect_gone, "aio/disconnect when the server is gone")
{
  PLAY (SIMPLE, CLOSE);
  peer_await (peer);
  CALL (nbd_aio_disconnect (h, 0));
  while (nbd_aio_get_direction (h))
    if (nbd_poll (h, -1) == -1)
      show_error ();
  CALL (nbd_aio_is_ready (h));
}

SCENARIO (disconnect_answer, "aio/a server that replies to a disconnect")
{
  PLAY (SIMPLE, EXPECT (DISC (1)), SEND (REPLY (1, 0)), WAIT);
  CALL (nbd_aio_disconnect (h, 0));
  peer_await (peer);
  CALL (nbd_poll (h, -1));
  status ();
}
