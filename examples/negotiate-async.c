/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Negotiates with a server step by step, without waiting in the library:
 * each question is sent, and its answer is noticed by a callback.
 *
 *   negotiate-async SOCKET EXPORT [KEYFILE]
 *
 * KEYFILE has a key for the user alice; with it TLS is asked for.  If there is
 * no such EXPORT, those that there are are listed.
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 1M --run 'negotiate-async "$unixsocket" ""'
 *
 * Build: cc negotiate-async.c -o negotiate-async \
 *          $(pkg-config --cflags --libs libnbd)
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* To the one question that was asked.  Its place is in main, since it must
 * live until it has arrived.
 */
struct answer {
  bool arrived;
  int error;
};

/* [nbd_aio_opt_extended_headers nbd_aio_opt_go nbd_aio_opt_info
    nbd_aio_opt_list nbd_aio_opt_list_meta_context
    nbd_aio_opt_list_meta_context_queries nbd_aio_opt_set_meta_context
    nbd_aio_opt_set_meta_context_queries nbd_aio_opt_starttls
    nbd_aio_opt_structured_reply] */
static int
answer_arrived (void *user_data, int *error)
{
  struct answer *answer = user_data;

  answer->error = *error;
  answer->arrived = true;
  return 1;
}
/* [end] */

/* A program with a main loop would return to it here. */
static int
wait_for (struct nbd_handle *nbd, struct answer *answer)
{
  while (!answer->arrived)
    if (nbd_poll (nbd, -1) == -1)
      return library_error ();
  answer->arrived = false;
  return 0;
}

static void
print_text (const char *text)
{
  for (; *text; text++)
    putchar (iscntrl ((unsigned char) *text) ? '?' : *text);
}

static const char *
outcome (const struct answer *answer)
{
  return answer->error ? strerror (answer->error) : "complete";
}

/* Text of the server: what it says, with a label before it. */
static int
print_context (void *user_data, const char *name)
{
  printf ("  %s ", (const char *) user_data);
  print_text (name);
  putchar ('\n');
  return 0;
}

static int
print_export (void *user_data, const char *name, const char *description)
{
  (void) description;
  return print_context (user_data, name);
}

/* [nbd_aio_opt_starttls] */
static int
ask_for_tls (struct nbd_handle *nbd, struct answer *answer)
{
  const nbd_completion_callback done = {
    .callback = answer_arrived, .user_data = answer
  };

  if (nbd_aio_opt_starttls (nbd, done) == -1)
    return library_error ();
  if (wait_for (nbd, answer) == -1)
    return -1;

  /* A refusal is no error, so the handle is asked for the outcome. */
  printf ("TLS: %s\n",
          nbd_get_tls_negotiated (nbd) == 1 ? "agreed" : "refused");
  return 0;
}
/* [end] */

/* [nbd_aio_opt_extended_headers] */
static int
ask_for_headers (struct nbd_handle *nbd, struct answer *answer)
{
  const nbd_completion_callback done = {
    .callback = answer_arrived, .user_data = answer
  };

  if (nbd_aio_opt_extended_headers (nbd, done) == -1)
    return library_error ();
  if (wait_for (nbd, answer) == -1)
    return -1;
  printf ("extended headers: %s\n",
          nbd_get_extended_headers_negotiated (nbd) == 1 ? "agreed"
          : "refused");
  return 0;
}
/* [end] */

/* [nbd_aio_opt_structured_reply] */
static int
ask_for_replies (struct nbd_handle *nbd, struct answer *answer)
{
  const nbd_completion_callback done = {
    .callback = answer_arrived, .user_data = answer
  };

  if (nbd_aio_opt_structured_reply (nbd, done) == -1)
    return library_error ();
  if (wait_for (nbd, answer) == -1)
    return -1;
  printf ("structured replies: %s\n",
          nbd_get_structured_replies_negotiated (nbd) == 1 ? "agreed"
          : "refused");
  return 0;
}
/* [end] */

/* [nbd_aio_opt_list_meta_context] */
/* No name was added to the handle, so the server lists them all. */
static int
list_contexts (struct nbd_handle *nbd, struct answer *answer)
{
  const nbd_context_callback callback = {
    .callback = print_context, .user_data = (void *) "has"
  };
  const nbd_completion_callback done = {
    .callback = answer_arrived, .user_data = answer
  };

  if (nbd_aio_opt_list_meta_context (nbd, callback,
                                     done) == -1)
    return library_error ();
  if (wait_for (nbd, answer) == -1)
    return -1;
  printf ("list of meta contexts: %s\n", outcome (answer));
  return 0;
}
/* [end] */

/* [nbd_aio_opt_list_meta_context_queries] */
static int
list_two_families (struct nbd_handle *nbd, struct answer *answer)
{
  char base[] = "base:", qemu[] = "qemu:";
  char *queries[] = { base, qemu, NULL };
  const nbd_context_callback callback = {
    .callback = print_context, .user_data = (void *) "has"
  };
  const nbd_completion_callback done = {
    .callback = answer_arrived, .user_data = answer
  };

  if (nbd_aio_opt_list_meta_context_queries (nbd, queries, callback,
                                             done) == -1)
    return library_error ();
  if (wait_for (nbd, answer) == -1)
    return -1;
  printf ("list of two families: %s\n", outcome (answer));
  return 0;
}
/* [end] */

/* [nbd_aio_opt_set_meta_context_queries] */
static int
select_depth (struct nbd_handle *nbd, struct answer *answer)
{
  char name[] = LIBNBD_CONTEXT_QEMU_ALLOCATION_DEPTH;
  char *queries[] = { name, NULL };
  const nbd_context_callback callback = {
    .callback = print_context, .user_data = (void *) "grants"
  };
  const nbd_completion_callback done = {
    .callback = answer_arrived, .user_data = answer
  };

  if (nbd_aio_opt_set_meta_context_queries (nbd, queries, callback,
                                            done) == -1)
    return library_error ();
  if (wait_for (nbd, answer) == -1)
    return -1;
  printf ("depth of allocation: %s\n", outcome (answer));
  return 0;
}
/* [end] */

/* [nbd_aio_opt_set_meta_context] */
/* The names that were added.  They replace an earlier choice. */
static int
select_allocation (struct nbd_handle *nbd, struct answer *answer)
{
  const nbd_context_callback callback = {
    .callback = print_context, .user_data = (void *) "grants"
  };
  const nbd_completion_callback done = {
    .callback = answer_arrived, .user_data = answer
  };

  if (nbd_add_meta_context (nbd,
                            LIBNBD_CONTEXT_BASE_ALLOCATION) == -1 ||
      nbd_aio_opt_set_meta_context (nbd, callback,
                                    done) == -1)
    return library_error ();
  if (wait_for (nbd, answer) == -1)
    return -1;
  printf ("allocation: %s\n", outcome (answer));
  return 0;
}
/* [end] */

/* [nbd_aio_opt_list] */
static int
list_exports (struct nbd_handle *nbd, struct answer *answer)
{
  const nbd_list_callback callback = {
    .callback = print_export, .user_data = (void *) "export"
  };
  const nbd_completion_callback done = {
    .callback = answer_arrived, .user_data = answer
  };

  if (nbd_aio_opt_list (nbd, callback, done) == -1)
    return library_error ();
  if (wait_for (nbd, answer) == -1)
    return -1;
  printf ("list of exports: %s\n", outcome (answer));
  return 0;
}
/* [end] */

/* [nbd_aio_opt_info] */
/* 1 if the server has the export, 0 if not. */
static int
look_for_export (struct nbd_handle *nbd, const char *name,
                 struct answer *answer)
{
  const nbd_completion_callback done = {
    .callback = answer_arrived, .user_data = answer
  };
  int64_t size;

  if (nbd_set_export_name (nbd, name) == -1 ||
      nbd_aio_opt_info (nbd, done) == -1)
    return library_error ();
  if (wait_for (nbd, answer) == -1)
    return -1;
  if (answer->error != 0)
    return 0;

  size = nbd_get_size (nbd);
  if (size == -1)
    return library_error ();
  printf ("size: %" PRIi64 " bytes\n", size);
  return 1;
}
/* [end] */

/* [nbd_aio_opt_go] */
static int
open_export (struct nbd_handle *nbd, struct answer *answer)
{
  const nbd_completion_callback done = {
    .callback = answer_arrived, .user_data = answer
  };

  if (nbd_aio_opt_go (nbd, done) == -1)
    return library_error ();
  if (wait_for (nbd, answer) == -1)
    return -1;
  if (answer->error != 0) {
    fprintf (stderr, "the export cannot be used: %s\n",
             strerror (answer->error));
    return -1;
  }
  printf ("the export is open\n");
  return 0;
}
/* [end] */

/* [nbd_aio_opt_abort] */
/* The handle is closed when the call returns: there is no answer. */
static int
leave (struct nbd_handle *nbd)
{
  if (nbd_aio_opt_abort (nbd) == -1)
    return library_error ();
  return 0;
}
/* [end] */

static int
start (struct nbd_handle *nbd, const char *path, const char *keyfile)
{
  if (nbd_set_opt_mode (nbd, true) == -1 ||
      nbd_set_request_structured_replies (nbd, false) == -1 ||
      nbd_set_request_meta_context (nbd, false) == -1 ||
      (keyfile && (nbd_set_tls_psk_file (nbd, keyfile) == -1 ||
                   nbd_set_tls_username (nbd, "alice") == -1)) ||
      nbd_aio_connect_unix (nbd, path) == -1)
    return library_error ();

  /* [nbd_aio_is_connecting] */
  /* Until the connection is made or lost, and negotiation can begin. */
  while (nbd_aio_is_connecting (nbd))
    if (nbd_poll (nbd, -1) == -1)
      return library_error ();
  if (!nbd_aio_is_negotiating (nbd)) {
    fprintf (stderr, "%s: the server is too old to be asked\n", path);
    return -1;
  }
  /* [end] */
  return 0;
}

static int
negotiate (struct nbd_handle *nbd, const char *name, bool tls,
           struct answer *answer)
{
  int there;

  if ((tls && ask_for_tls (nbd, answer) == -1) ||
      ask_for_headers (nbd, answer) == -1 ||
      ask_for_replies (nbd, answer) == -1)
    return -1;

  there = look_for_export (nbd, name, answer);
  if (there == -1)
    return -1;
  if (!there) {
    if (list_exports (nbd, answer) == 0 && leave (nbd) == 0)
      fprintf (stderr, "there is no such export\n");
    return -1;
  }

  if (nbd_get_structured_replies_negotiated (nbd) == 1 &&
      (list_contexts (nbd, answer) == -1 ||
       list_two_families (nbd, answer) == -1 ||
       select_depth (nbd, answer) == -1 ||
       select_allocation (nbd, answer) == -1))
    return -1;
  if (open_export (nbd, answer) == -1)
    return -1;
  return nbd_shutdown (nbd, 0) == -1 ? library_error () : 0;
}

int
main (int argc, char *argv[])
{
  struct answer answer = { false };
  struct nbd_handle *nbd;
  int status = EXIT_FAILURE;

  if (argc != 3 && argc != 4) {
    fprintf (stderr, "usage: %s SOCKET EXPORT [KEYFILE]\n", argv[0]);
    return EXIT_FAILURE;
  }

  nbd = nbd_create ();
  if (nbd == NULL) {
    library_error ();
    return EXIT_FAILURE;
  }
  if (start (nbd, argv[1], argv[3]) == 0 &&
      negotiate (nbd, argv[2], argc == 4, &answer) == 0)
    status = EXIT_SUCCESS;
  nbd_close (nbd);
  return status;
}
