/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Negotiates with a server step by step, prints each answer, and uses the
 * export in the end: for looking at what a server can do.
 *
 *   negotiate SOCKET EXPORT [KEYFILE]
 *
 * KEYFILE has a key for the user alice; with it TLS is asked for.
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - memory 1M --run 'negotiate "$unixsocket" ""'
 *
 * Build: cc negotiate.c -o negotiate $(pkg-config --cflags --libs libnbd)
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <libnbd.h>

static int
library_error (void)
{
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* Connect, and ask nothing but what is called for. */
static int
open_connection (struct nbd_handle *nbd, const char *path,
                 const char *keyfile)
{
  if (nbd_set_opt_mode (nbd, true) == -1 ||
      nbd_set_request_structured_replies (nbd, false) == -1 ||
      nbd_set_request_extended_headers (nbd, false) == -1 ||
      nbd_set_request_meta_context (nbd, false) == -1 ||
      (keyfile && (nbd_set_tls_psk_file (nbd, keyfile) == -1 ||
                   nbd_set_tls_username (nbd, "alice") == -1)) ||
      nbd_connect_unix (nbd, path) == -1)
    return library_error ();

  if (!nbd_aio_is_negotiating (nbd)) {
    fprintf (stderr, "%s: the server is too old to be asked\n", path);
    return -1;
  }
  return 0;
}

/* [nbd_opt_starttls] */
/* First of all, because with TLS everything else begins anew. */
static int
ask_for_tls (struct nbd_handle *nbd)
{
  const int agreed = nbd_opt_starttls (nbd);

  if (agreed == -1)
    return library_error ();
  printf ("TLS: %s\n", agreed ? "agreed" : "refused");
  return 0;
}
/* [end] */

/* [nbd_opt_extended_headers nbd_opt_structured_reply] */
/* Extended headers include structured replies. */
static int
ask_for_replies (struct nbd_handle *nbd)
{
  const int extended = nbd_opt_extended_headers (nbd);
  int structured = extended;

  if (extended == 0)
    structured = nbd_opt_structured_reply (nbd);
  if (extended == -1 || structured == -1)
    return library_error ();

  printf ("extended headers: %s\n", extended ? "agreed" : "refused");
  printf ("structured replies: %s\n",
          structured ? "agreed" : "refused");
  return 0;
}
/* [end] */

/* [nbd_opt_list_meta_context nbd_opt_list_meta_context_queries
    nbd_opt_set_meta_context nbd_opt_set_meta_context_queries] */
static int
print_context (void *user_data, const char *name)
{
  const char *what = user_data;

  printf ("  %s ", what);
  for (; *name; name++)
    putchar (iscntrl ((unsigned char) *name) ? '?' : *name);
  putchar ('\n');
  return 0;
}
/* [end] */

/* [nbd_opt_list_meta_context] */
/* With no name added to the handle, the server lists all that it has.
 */
static int
list_contexts (struct nbd_handle *nbd)
{
  const nbd_context_callback callback = {
    .callback = print_context, .user_data = (void *) "has"
  };
  const int n = nbd_opt_list_meta_context (nbd, callback);

  if (n == -1)
    return library_error ();
  printf ("meta contexts: %d\n", n);
  return 0;
}
/* [end] */

/* [nbd_opt_list_meta_context_queries] */
static int
list_qemu_contexts (struct nbd_handle *nbd)
{
  char name[] = "qemu:", *queries[] = { name, NULL };
  const nbd_context_callback callback = {
    .callback = print_context, .user_data = (void *) "has"
  };
  const int n = nbd_opt_list_meta_context_queries (nbd, queries,
                                                   callback);

  if (n == -1)
    return library_error ();
  printf ("meta contexts of qemu: %d\n", n);
  return 0;
}
/* [end] */

/* [nbd_opt_set_meta_context_queries] */
/* Only as a test: what is added to the handle is selected afterwards.
 */
static int
try_depth (struct nbd_handle *nbd)
{
  char name[] = LIBNBD_CONTEXT_QEMU_ALLOCATION_DEPTH;
  char *queries[] = { name, NULL };
  const nbd_context_callback callback = {
    .callback = print_context, .user_data = (void *) "could grant"
  };
  const int n = nbd_opt_set_meta_context_queries (nbd, queries,
                                                  callback);

  if (n == -1)
    return library_error ();
  printf ("depth of allocation: %s\n", n > 0 ? "yes" : "no");
  return 0;
}
/* [end] */

/* [nbd_clear_meta_contexts nbd_get_meta_context nbd_get_nr_meta_contexts] */
/* Of the names that the handle has, keep the first. */
static int
shorten_list (struct nbd_handle *nbd)
{
  const ssize_t n = nbd_get_nr_meta_contexts (nbd);
  char *first;
  int r;

  if (n == -1)
    return library_error ();
  if (n <= 1)
    return 0;

  first = nbd_get_meta_context (nbd, 0);
  if (first == NULL || nbd_clear_meta_contexts (nbd) == -1)
    r = library_error ();
  else
    r = nbd_add_meta_context (nbd, first) == -1 ? library_error () : 0;
  free (first);
  return r;
}
/* [end] */

/* [nbd_opt_set_meta_context] */
static int
select_contexts (struct nbd_handle *nbd)
{
  const nbd_context_callback callback = {
    .callback = print_context, .user_data = (void *) "grants"
  };
  int n;

  if (nbd_add_meta_context (nbd,
                            LIBNBD_CONTEXT_BASE_ALLOCATION) == -1 ||
      nbd_add_meta_context (nbd, "qemu:nothing") == -1 ||
      shorten_list (nbd) == -1)
    return library_error ();

  n = nbd_opt_set_meta_context (nbd, callback);
  if (n == -1)
    return library_error ();
  printf ("meta contexts granted: %d\n", n);
  return 0;
}
/* [end] */

/* [nbd_opt_go] */
static int
open_export (struct nbd_handle *nbd, const char *name)
{
  int64_t size;

  if (nbd_set_export_name (nbd, name) == -1)
    return library_error ();
  if (nbd_opt_go (nbd) == -1) {
    library_error ();
    /* After a refusal another export could be tried. */
    if (nbd_aio_is_negotiating (nbd))
      fprintf (stderr, "the connection still stands\n");
    return -1;
  }

  size = nbd_get_size (nbd);
  if (size == -1)
    return library_error ();
  printf ("size: %" PRIi64 " bytes\n", size);
  return 0;
}
/* [end] */

/* [nbd_get_opt_mode nbd_opt_abort] */
/* Take leave in the way that the state of the handle asks for. */
static int
leave (struct nbd_handle *nbd)
{
  int r = 0;

  if (nbd_get_opt_mode (nbd) && nbd_aio_is_negotiating (nbd))
    r = nbd_opt_abort (nbd);
  else if (nbd_aio_is_ready (nbd))
    r = nbd_shutdown (nbd, 0);
  return r == -1 ? library_error () : 0;
}
/* [end] */

static int
negotiate (struct nbd_handle *nbd, const char *name, bool tls)
{
  int structured;

  if ((tls && ask_for_tls (nbd) == -1) || ask_for_replies (nbd) == -1)
    return -1;
  structured = nbd_get_structured_replies_negotiated (nbd);
  if (structured == -1)
    return library_error ();

  /* Meta contexts belong to an export, and need structured replies. */
  if (nbd_set_export_name (nbd, name) == -1)
    return library_error ();
  if (structured && (list_contexts (nbd) == -1 ||
                     list_qemu_contexts (nbd) == -1 ||
                     try_depth (nbd) == -1 ||
                     select_contexts (nbd) == -1))
    return -1;
  return open_export (nbd, name);
}

int
main (int argc, char *argv[])
{
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
  if (open_connection (nbd, argv[1], argv[3]) == 0) {
    if (negotiate (nbd, argv[2], argc == 4) == 0)
      status = EXIT_SUCCESS;
    if (leave (nbd) == -1)
      status = EXIT_FAILURE;
  }
  nbd_close (nbd);
  return status;
}
