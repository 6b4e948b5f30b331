/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Servers with named exports: listing them, asking about one and using
 * another.  Built once for each server.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"
#include "tap.h"

#define NR_EXPORTS 3

/* Different in all respects, so that none can be mistaken for another. */
static struct export {
  const char *name;
  size_t size;
  bool listed;
  uint8_t content[8192];
} exports[NR_EXPORTS] = {
  { .name = "alpha", .size = 512 }, { .name = "beta", .size = 8192 },
  { .name = "gamma", .size = 4096 },
};

static bool nbdkit, qemu_nbd, nbd_server;
static unsigned nr_exports = NR_EXPORTS;
static const char *folder;

static struct server *
start (enum server_transport transport)
{
  struct server *s;
  char *arg;

  if (nbdkit) {
    MUST (asprintf (&arg, "dir=%s", folder));
    s = server_start (transport, "nbdkit", "file", arg, NULL);
  }
  else if (qemu_nbd) {
    MUST (asprintf (&arg, "%s/alpha", folder));
    s = server_start (transport, "qemu-nbd", "--persistent", "--shared=0",
                      "--export-name=alpha", "--description=The first one",
                      "--format=raw", arg, NULL);
  }
  else {
    MUST (asprintf (&arg, "[alpha]\nexportname = %s/alpha\n"
                    "[beta]\nexportname = %s/beta\nreadonly = true\n"
                    "[gamma]\nexportname = %s/gamma\nflush = true\n"
                    "fua = true\n", folder, folder, folder));
    s = server_start_nbd_server (transport, arg);
  }
  free (arg);
  return s;
}

static void
write_files (void)
{
  uint64_t seed = 7;
  char *path = temp_path ("exports");

  folder = path;
  MUST (mkdir (path, 0700));
  for (unsigned i = 0; i < NR_EXPORTS; i++) {
    struct export *e = &exports[i];
    int fd;

    MUST (asprintf (&path, "%s/%s", folder, e->name));
    fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    MUST (fd);
    fill_random (&seed, e->content, e->size);
    MUST_BE (write (fd, e->content, e->size) == (ssize_t) e->size);
    close (fd);
    free (path);
  }
}

struct listing {
  unsigned calls, unknown, twice, freed;
  int completed, error;
  char description[64];
};

static int
take_name (void *opaque, const char *name, const char *description)
{
  struct listing *l = opaque;
  unsigned i = 0;

  l->calls++;
  snprintf (l->description, sizeof l->description, "%s", description);
  while (i < nr_exports && strcmp (exports[i].name, name) != 0)
    i++;
  if (i == nr_exports)
    l->unknown++;
  else {
    l->twice += exports[i].listed;
    exports[i].listed = true;
  }
  return 0;
}

static void
count_free (void *opaque)
{
  ((struct listing *) opaque)->freed++;
}

static int
complete_list (void *opaque, int *error)
{
  struct listing *l = opaque;

  l->completed++;
  l->error = *error;
  return 1;
}

static void
check_listing (const struct listing *l)
{
  is_int (l->calls, nr_exports, "the callback is called for each");
  is_int (l->unknown, 0, "with its name");
  is_int (l->twice, 0, "once");
  is_str (l->description, qemu_nbd ? "The first one" : "",
          "and with its description");
  for (unsigned i = 0; i < nr_exports; i++)
    exports[i].listed = false;
}

static struct nbd_handle *
negotiating (const struct server *s)
{
  struct nbd_handle *h = new_handle ();

  MUST (nbd_set_opt_mode (h, true));
  MUST (nbd_set_full_info (h, true));
  must_connect (s, h);
  return h;
}

static void
check_list (const struct server *s)
{
  struct nbd_handle *h = negotiating (s);
  struct listing l = { 0 };
  nbd_list_callback list = { .callback = take_name, .user_data = &l,
                             .free = count_free };
  int again;

  is_int (nbd_opt_list (h, list), nr_exports, "the exports are listed");
  check_listing (&l);
  is_int (l.freed, 1, "the callback is freed once");
  /* nbdkit lists them once in a connection. */
  memset (&l, 0, sizeof l);
  again = nbd_opt_list (h, list);
  is_int (again, nbdkit && again == -1 ? -1 : (int) nr_exports,
          "and a second time, or the server refuses that");
  is_int (l.calls, again == -1 ? 0 : nr_exports,
          "the callback is called for each, or not at all");
  is_int (l.freed, 1, "and is freed once");
  for (unsigned i = 0; i < nr_exports; i++)
    exports[i].listed = false;
  is_int (nbd_aio_is_negotiating (h), 1, "the negotiation goes on");
  is_int (nbd_opt_abort (h), 0, "and can be aborted");
  nbd_close (h);

  h = negotiating (s);
  memset (&l, 0, sizeof l);
  is_int (nbd_aio_opt_list (h, list, (nbd_completion_callback) {
        .callback = complete_list, .user_data = &l, .free = count_free }), 0,
          "an asynchronous listing is begun");
  while (nbd_aio_is_connecting (h))
    MUST (nbd_poll (h, -1));
  check_listing (&l);
  ok (l.completed == 1 && l.error == 0, "it completes once, without error");
  is_int (l.freed, 2, "both callbacks are freed once");
  is_int (nbd_aio_is_negotiating (h), 1, "the negotiation goes on");
  is_int (nbd_opt_abort (h), 0, "and can be aborted");
  nbd_close (h);
}

static void
check_content (struct nbd_handle *h, const struct export *e)
{
  uint8_t back[sizeof e->content];

  is_int (nbd_get_size (h), e->size, "%s has its own size", e->name);
  MUST (nbd_pread (h, back, e->size, 0, 0));
  ok (memcmp (back, e->content, e->size) == 0, "%s has its own content",
      e->name);
}

/* From each export to each other, by asking about one and going to another. */
static void
check_changes (const struct server *s)
{
  for (unsigned i = 0; i < nr_exports; i++)
    for (unsigned j = 0; j < nr_exports; j++) {
      struct nbd_handle *h = negotiating (s);

      MUST (nbd_set_export_name (h, exports[i].name));
      is_int (nbd_opt_info (h), 0, "information on %s", exports[i].name);
      /* nbd-server has not opened the file yet. */
      if (!nbd_server)
        is_int (nbd_get_size (h), exports[i].size, "gives its size");
      if (qemu_nbd) {
        char *text = nbd_get_export_description (h);

        is_str (text, "The first one", "and its description");
        free (text);
      }
      MUST (nbd_set_export_name (h, exports[j].name));
      is_int (nbd_opt_go (h), 0, "then %s can be used", exports[j].name);
      check_content (h, &exports[j]);
      if (nbd_server)
        is_int (nbd_is_read_only (h), j == 1, "%s has its own flags",
                exports[j].name);
      disconnect (h);
    }
}

static void
check_without_opt_mode (const struct server *s)
{
  for (unsigned i = 0; i < nr_exports; i++) {
    struct nbd_handle *h = new_handle ();

    MUST (nbd_set_export_name (h, exports[i].name));
    must_connect (s, h);
    check_content (h, &exports[i]);
    disconnect (h);

    /* With NBD_OPT_EXPORT_NAME, and with and without its zeroes. */
    for (int zeroes = 0; zeroes < 2; zeroes++) {
      h = new_handle ();
      MUST (nbd_set_export_name (h, exports[i].name));
      MUST (nbd_set_handshake_flags (h, zeroes ? 0
                                     : LIBNBD_HANDSHAKE_FLAG_NO_ZEROES));
      must_connect (s, h);
      is_str (nbd_get_protocol (h), "newstyle",
              "without fixed newstyle, %s zeroes", zeroes ? "with" : "no");
      check_content (h, &exports[i]);
      disconnect (h);
    }
  }
}

int
main (void)
{
  struct server *s;

  nbdkit = strcmp (SERVER, "nbdkit") == 0;
  qemu_nbd = strcmp (SERVER, "qemu-nbd") == 0;
  nbd_server = strcmp (SERVER, "nbd-server") == 0;
  if (qemu_nbd)
    nr_exports = 1;
  server_require (SERVER, nbd_server ? "-V" : "--version", NULL);
  tap_begin ();
  write_files ();
  s = start (SERVER_UNIX);
  check_list (s);
  check_changes (s);
  check_without_opt_mode (s);
  server_stop (s);
  s = start (SERVER_IPV4);
  check_list (s);
  check_changes (s);
  server_stop (s);
  free ((char *) folder);
  return tap_end ();
}
