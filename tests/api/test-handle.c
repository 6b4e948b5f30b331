/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The handle itself: its defaults, settings, names, private data, size, and
 * how it is closed.
 */

#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "calls.h"
#include "peer.h"
#include "tap.h"

/* Compare a string that must be freed. */
static void
is_string (char *got, const char *want, const char *name)
{
  is_str (got, want, "%s", name);
  free (got);
}

static void
test_defaults (void)
{
  struct nbd_handle *h = nbd_create ();

  is_int (nbd_get_debug (h), 0, "a new handle is not traced");
  is_string (nbd_get_export_name (h), "", "its export name is empty");
  is_int (nbd_get_request_block_size (h), 1, "it asks for block sizes");
  is_int (nbd_get_full_info (h), 0, "it does not ask for full information");
  is_int (nbd_get_request_extended_headers (h), 1,
          "it asks for extended headers");
  is_int (nbd_get_request_structured_replies (h), 1,
          "it asks for structured replies");
  is_int (nbd_get_request_meta_context (h), 1, "it asks for meta contexts");
  is_int (nbd_get_tls (h), LIBNBD_TLS_DISABLE, "it does not ask for TLS");
  is_int (nbd_get_tls_verify_peer (h), 1, "it verifies servers");
  is_string (nbd_get_tls_hostname (h), "", "it has no name to look for");
  is_string (nbd_get_tls_priority (h), TLS_PRIORITY,
             "its priority of TLS is the one that was configured");
  is_int (nbd_get_handshake_flags (h), LIBNBD_HANDSHAKE_FLAG_MASK,
          "it may use all handshake flags");
  is_int (nbd_get_pread_initialize (h), 1, "it zeroes read buffers");
  is_int (nbd_get_strict_mode (h), LIBNBD_STRICT_MASK,
          "it checks all requests");
  is_int (nbd_get_opt_mode (h), 0, "it is not in option mode");
  is_int (nbd_get_nr_meta_contexts (h), 0, "it has no meta contexts");
  is_int (nbd_get_private_data (h), 0, "its private data is 0");
  is_int (nbd_stats_bytes_sent (h), 0, "it has sent no bytes");
  is_int (nbd_stats_chunks_sent (h), 0, "it has sent no messages");
  is_int (nbd_stats_bytes_received (h), 0, "it has received no bytes");
  is_int (nbd_stats_chunks_received (h), 0, "it has received no messages");
  is_int (nbd_aio_is_created (h), 1, "it is newly created");
  is_int (nbd_aio_get_fd (h), -1, "it has no descriptor");
  is_int (nbd_get_errno (), EINVAL, "asking for it is an error");
  nbd_close (h);
}

/* The number at the end of the default name of a handle. */
static int
number_of (struct nbd_handle *h)
{
  char *name = nbd_get_handle_name (h);
  int n = -1;

  if (name && strncmp (name, "nbd", 3) == 0)
    n = atoi (name + 3);
  free (name);
  return n;
}

static void
test_names (void)
{
  struct nbd_handle *a = nbd_create (), *b = nbd_create ();
  char *name, *got;

  is_string (nbd_get_handle_name (a), "nbd1", "the first handle is nbd1");
  is_string (nbd_get_handle_name (b), "nbd2", "the second handle is nbd2");
  nbd_close (a);
  a = nbd_create ();
  is_string (nbd_get_handle_name (a), "nbd3",
             "the number of a handle that was closed is not used again");
  is_int (nbd_set_handle_name (a, "my handle"), 0, "a handle can be renamed");
  is_string (nbd_get_handle_name (a), "my handle", "it has its new name");
  is_string (nbd_get_handle_name (b), "nbd2", "others keep theirs");
  is_int (nbd_set_handle_name (a, ""), 0, "the name can be empty");
  is_string (nbd_get_handle_name (a), "", "it is empty then");
  name = malloc (10001);
  memset (name, 'n', 10000);
  name[10000] = '\0';
  is_int (nbd_set_handle_name (a, name), 0, "the name can be long");
  got = nbd_get_handle_name (a);
  ok (got && got != name && strcmp (got, name) == 0,
      "it is kept whole, in a copy");
  free (got);
  name[0] = 'N';
  got = nbd_get_handle_name (a);
  ok (got && got[0] == 'n', "it does not change with the caller's string");
  free (got);
  free (name);
  nbd_close (a);
  nbd_close (b);
}

/* Handles that several threads create at once. */
#define CREATORS 4
#define CREATED_EACH 50

static void *
create_handles (void *vp)
{
  int *numbers = vp;

  for (int i = 0; i < CREATED_EACH; i++) {
    struct nbd_handle *h = nbd_create ();

    numbers[i] = number_of (h);
    nbd_close (h);
  }
  return NULL;
}

static void
test_names_in_threads (void)
{
  static int numbers[CREATORS][CREATED_EACH];
  static bool seen[10000];
  pthread_t threads[CREATORS];
  bool good = true;

  for (int i = 0; i < CREATORS; i++)
    if (pthread_create (&threads[i], NULL, create_handles, numbers[i]) != 0)
      abort ();
  for (int i = 0; i < CREATORS; i++)
    pthread_join (threads[i], NULL);
  for (int i = 0; i < CREATORS; i++)
    for (int j = 0; j < CREATED_EACH; j++) {
      int n = numbers[i][j];

      if (n <= 0 || n >= (int) COUNT (seen) || seen[n])
        good = false;
      else
        seen[n] = true;
    }
  ok (good, "handles that threads create at once have different numbers");
}

/* Settings that are yes or no. */
static const struct setting {
  const char *name;
  int (*set) (struct nbd_handle *h, bool v);
  int (*get) (struct nbd_handle *h);
} settings[] = {
  { "request_block_size", nbd_set_request_block_size,
    nbd_get_request_block_size },
  { "full_info", nbd_set_full_info, nbd_get_full_info },
  { "request_extended_headers", nbd_set_request_extended_headers,
    nbd_get_request_extended_headers },
  { "request_structured_replies", nbd_set_request_structured_replies,
    nbd_get_request_structured_replies },
  { "request_meta_context", nbd_set_request_meta_context,
    nbd_get_request_meta_context },
  { "tls_verify_peer", nbd_set_tls_verify_peer, nbd_get_tls_verify_peer },
  { "pread_initialize", nbd_set_pread_initialize, nbd_get_pread_initialize },
  { "opt_mode", nbd_set_opt_mode, nbd_get_opt_mode },
};

static void
test_settings (void)
{
  struct nbd_handle *h = nbd_create (), *other = nbd_create ();

  for (size_t i = 0; i < COUNT (settings); i++) {
    const struct setting *s = &settings[i];
    bool good = true;

    for (int v = 0; v < 4; v++) {
      int before[COUNT (settings)];

      for (size_t j = 0; j < COUNT (settings); j++)
        before[j] = settings[j].get (h);
      good = good && s->set (h, v & 1) == 0 && s->get (h) == (v & 1);
      for (size_t j = 0; j < COUNT (settings); j++)
        good = good && (i == j || settings[j].get (h) == before[j]);
    }
    ok (good, "nbd_set_%s sets what nbd_get_%s returns, and no other",
        s->name, s->name);
    s->set (h, !s->get (other));
    ok (s->get (h) != s->get (other), "nbd_set_%s is about one handle",
        s->name);
  }
  is_int (nbd_set_debug_callback (h, token_debug ()), 0,
          "a callback can be set before tracing");
  is_int (nbd_set_debug (h, true), 0, "tracing can be switched on");
  is_int (nbd_get_debug (h), 1, "it is on then");
  is_int (nbd_set_debug (h, false), 0, "tracing can be switched off");
  is_int (nbd_get_debug (h), 0, "it is off then");
  nbd_close (h);
  nbd_close (other);
}

static void
test_flag_settings (void)
{
  struct nbd_handle *h = nbd_create ();
  bool good = true;

  for (uint32_t v = 0; v <= LIBNBD_STRICT_MASK; v++)
    good = good && nbd_set_strict_mode (h, v) == 0 &&
      nbd_get_strict_mode (h) == v;
  ok (good, "every strict mode can be set and read");
  ok (nbd_set_strict_mode (h, LIBNBD_STRICT_MASK + 1) == -1 &&
      nbd_get_strict_mode (h) == LIBNBD_STRICT_MASK,
      "a strict mode that is refused changes nothing");
  good = true;
  for (uint32_t v = 0; v <= LIBNBD_HANDSHAKE_FLAG_MASK; v++)
    good = good && nbd_set_handshake_flags (h, v) == 0 &&
      nbd_get_handshake_flags (h) == v;
  ok (good, "all handshake flags can be set and read");
  ok (nbd_set_handshake_flags (h, LIBNBD_HANDSHAKE_FLAG_MASK + 1) == -1 &&
      nbd_get_handshake_flags (h) == LIBNBD_HANDSHAKE_FLAG_MASK,
      "handshake flags that are refused change nothing");
  nbd_close (h);
}

/* A string that is set, and what an empty one stands for. */
static void
test_tls_string (const char *name,
                 int (*set) (struct nbd_handle *h, const char *value),
                 char *(*get) (struct nbd_handle *h), const char *empty)
{
  struct nbd_handle *h = nbd_create (), *other = nbd_create ();
  char value[] = "a value", *got;

  set (other, "another");
  ok (set (h, value) == 0, "nbd_set_%s takes a string", name);
  value[0] = 'A';
  got = get (h);
  is_str (got, "a value", "nbd_get_%s returns a copy of it", name);
  free (got);
  got = get (other);
  is_str (got, "another", "which is of one handle");
  free (got);
  ok (set (h, "a longer value") == 0, "it can be replaced");
  got = get (h);
  is_str (got, "a longer value", "by any other");
  free (got);
  ok (set (h, "") == 0, "an empty string restores the default");
  got = get (h);
  is_str (got, empty, "as if nothing had been set");
  free (got);
  nbd_close (h);
  nbd_close (other);
}

static void
test_tls_user (void)
{
  const char *login = getenv ("LOGNAME");
  char *saved = login ? strdup (login) : NULL, *name;
  struct nbd_handle *h = nbd_create ();

  setenv ("LOGNAME", "somebody", 1);
  is_string (nbd_get_tls_username (h), "somebody",
             "the user name is that of the login");
  test_tls_string ("tls_username", nbd_set_tls_username, nbd_get_tls_username,
                   "somebody");
  /* Then the system is asked, which need not know. */
  unsetenv ("LOGNAME");
  name = nbd_get_tls_username (h);
  ok (name ? *name != '\0' : nbd_get_errno () == ENXIO,
      "without one it is that of the process, or ENXIO");
  free (name);
  if (saved)
    setenv ("LOGNAME", saved, 1);
  free (saved);
  nbd_close (h);
}

static void
test_tls (void)
{
  struct nbd_handle *h = nbd_create ();
  struct peer *p;

#ifdef HAVE_GNUTLS
  is_int (nbd_supports_tls (h), 1, "there is TLS");
  for (int i = LIBNBD_TLS_REQUIRE; i >= LIBNBD_TLS_DISABLE; i--)
    ok (nbd_set_tls (h, i) == 0 && nbd_get_tls (h) == i,
        "the mode %d can be set and read", i);
  nbd_set_tls (h, LIBNBD_TLS_ALLOW);
  ok (nbd_set_tls (h, 3) == -1 && nbd_get_tls (h) == LIBNBD_TLS_ALLOW,
      "a mode that is refused changes nothing");
#else
  is_int (nbd_supports_tls (h), 0, "there is no TLS");
  for (int i = LIBNBD_TLS_ALLOW; i <= LIBNBD_TLS_REQUIRE; i++) {
    ok (nbd_set_tls (h, i) == -1 && nbd_get_errno () == ENOTSUP &&
        nbd_get_tls (h) == LIBNBD_TLS_DISABLE, "the mode %d is not "
        "supported", i);
    is_str (nbd_get_error (), "nbd_set_tls: the library was built without "
            "TLS: Operation not supported", "which the error says");
  }
  is_int (nbd_set_tls (h, LIBNBD_TLS_DISABLE), 0, "it can be switched off");
#endif
  is_int (nbd_set_tls_certificates (h, "/nonexistent"), 0,
          "a folder is not looked at before it is needed");
  is_int (nbd_set_tls_psk_file (h, "/nonexistent"), 0, "nor is a file");
  is_int (nbd_set_uri_allow_tls_priority (h, true), 0,
          "URIs may be allowed to set the priority");
  is_int (nbd_set_uri_allow_tls_priority (h, false), 0, "or not");
  test_tls_string ("tls_hostname", nbd_set_tls_hostname, nbd_get_tls_hostname,
                   "");
  test_tls_string ("tls_priority", nbd_set_tls_priority, nbd_get_tls_priority,
                   TLS_PRIORITY);
  test_tls_user ();
  nbd_close (h);

  p = peer_in (PHASE_CONNECTED);
  is_int (nbd_get_tls_negotiated (p->h), 0,
          "of a connection in the clear TLS was not negotiated");
  peer_free (p);

  p = peer_in (PHASE_NEGOTIATING);
#ifdef HAVE_GNUTLS
  is_int (nbd_opt_starttls (p->h), 0, "nbd_opt_starttls returns 0 where the "
          "server refuses");
#else
  is_int (nbd_opt_starttls (p->h), -1, "nbd_opt_starttls fails");
  is_int (nbd_get_errno (), ENOTSUP, "with ENOTSUP");
  reset_tokens ();
  ok (nbd_aio_opt_starttls (p->h, token_completion ()) == -1 &&
      nbd_get_errno () == ENOTSUP, "so does nbd_aio_opt_starttls");
  ok (tokens_freed_once (0), "whose callback is freed unused");
  is_int (peer_sent (p).n, 0, "nothing is sent");
#endif
  is_int (nbd_get_tls_negotiated (p->h), 0, "the connection stays as it is");
  is_int (nbd_opt_go (p->h), 0, "and the negotiation goes on");
  peer_free (p);
}

/* Threads that put values into the handle, and add up what they put in and
 * what they got out.
 */
#define SWAPPERS 4
#define SWAPS_EACH 1000000

struct swapper {
  struct nbd_handle *h;
  pthread_barrier_t *barrier;
  uintptr_t first, in, out;
};

static void *
swap (void *vp)
{
  struct swapper *s = vp;

  pthread_barrier_wait (s->barrier);
  for (uintptr_t v = s->first; v < s->first + SWAPS_EACH; v++) {
    s->in += v;
    s->out += nbd_set_private_data (s->h, v);
  }
  return NULL;
}

static void
test_private_data (void)
{
  struct swapper swappers[SWAPPERS];
  struct nbd_handle *h = nbd_create (), *other = nbd_create ();
  pthread_t threads[SWAPPERS];
  pthread_barrier_t barrier;
  uintptr_t in = 0, out = 0;

  is_int (nbd_set_private_data (h, 42), 0,
          "nbd_set_private_data returns the value before");
  is_int (nbd_get_private_data (h), 42, "nbd_get_private_data returns it");
  is_int (nbd_get_private_data (other), 0, "other handles have their own");
  is_int (nbd_set_private_data (h, UINTPTR_MAX), 42, "it can be any value");
  ok (nbd_set_private_data (h, 0) == UINTPTR_MAX, "as wide as a pointer");

  pthread_barrier_init (&barrier, NULL, SWAPPERS);
  for (int i = 0; i < SWAPPERS; i++) {
    swappers[i] = (struct swapper) {
      .h = h, .barrier = &barrier, .first = 1 + i * SWAPS_EACH,
    };
    if (pthread_create (&threads[i], NULL, swap, &swappers[i]) != 0)
      abort ();
  }
  for (int i = 0; i < SWAPPERS; i++) {
    pthread_join (threads[i], NULL);
    in += swappers[i].in;
    out += swappers[i].out;
  }
  pthread_barrier_destroy (&barrier);
  is_int (out + nbd_get_private_data (h), in,
          "each value that threads store at once is returned once");
  nbd_close (h);
  nbd_close (other);
}

/* A string of N characters, to be freed. */
static char *
long_string (size_t n)
{
  char *s = malloc (n + 1);

  memset (s, 'x', n);
  s[n] = '\0';
  return s;
}

static void
test_export_name (void)
{
  struct nbd_handle *h = nbd_create ();
  char *longest = long_string (4096), *too_long = long_string (4097), *got;

  is_int (nbd_set_export_name (h, "one"), 0, "an export name can be set");
  is_string (nbd_get_export_name (h), "one", "it is returned");
  is_int (nbd_set_export_name (h, longest), 0,
          "an export name of 4096 bytes is taken");
  got = nbd_get_export_name (h);
  is_str (got, longest, "and returned whole");
  free (got);
  nbd_set_export_name (h, "kept");
  is_int (nbd_set_export_name (h, too_long), -1,
          "an export name of 4097 bytes is refused");
  is_int (nbd_get_errno (), ENAMETOOLONG, "with ENAMETOOLONG");
  is_str (nbd_get_error (), "nbd_set_export_name: export name too long for "
          "NBD protocol: File name too long", "and a text that says so");
  is_string (nbd_get_export_name (h), "kept", "the name before is kept");
  is_int (nbd_set_export_name (h, ""), 0, "an export name can be empty");
  is_string (nbd_get_export_name (h), "", "it is empty then");
  free (longest);
  free (too_long);
  nbd_close (h);
}

static void
test_meta_contexts (void)
{
  struct nbd_handle *h = nbd_create ();
  char *longest = long_string (4096), *too_long = long_string (4097), *got;

  is_int (nbd_add_meta_context (h, "base:allocation"), 0,
          "a meta context can be added");
  is_int (nbd_get_nr_meta_contexts (h), 1, "it is counted");
  is_string (nbd_get_meta_context (h, 0), "base:allocation",
             "and can be read");
  nbd_add_meta_context (h, "base:allocation");
  nbd_add_meta_context (h, "");
  is_int (nbd_get_nr_meta_contexts (h), 3,
          "one that is there already is counted again, an empty one too");
  is_string (nbd_get_meta_context (h, 1), "base:allocation",
             "they are in the order in which they were added");
  is_string (nbd_get_meta_context (h, 2), "", "up to the last");
  ok (nbd_get_meta_context (h, 3) == NULL, "there is none after the last");
  is_int (nbd_get_errno (), EINVAL, "asking for it is EINVAL");
  is_str (nbd_get_error (), "nbd_get_meta_context: meta context request out "
          "of range: Invalid argument", "with a text that says so");
  ok (nbd_get_meta_context (h, SIZE_MAX) == NULL,
      "nor is there one with the largest number");
  is_int (nbd_add_meta_context (h, too_long), -1,
          "a meta context of 4097 bytes is refused");
  is_int (nbd_get_errno (), ENAMETOOLONG, "with ENAMETOOLONG");
  is_str (nbd_get_error (), "nbd_add_meta_context: meta context name too long "
          "for NBD protocol: File name too long", "and a text that says so");
  is_int (nbd_get_nr_meta_contexts (h), 3, "it is not added");
  is_int (nbd_clear_meta_contexts (h), 0, "the list can be cleared");
  is_int (nbd_get_nr_meta_contexts (h), 0, "it is empty then");
  ok (nbd_get_meta_context (h, 0) == NULL, "and has no first one");
  is_int (nbd_clear_meta_contexts (h), 0, "an empty list can be cleared");
  is_int (nbd_add_meta_context (h, longest), 0,
          "a meta context of 4096 bytes is taken");
  got = nbd_get_meta_context (h, 0);
  is_str (got, longest, "and returned whole");
  free (got);
  free (longest);
  free (too_long);
  nbd_close (h);
}

static void
test_versions (void)
{
  struct nbd_handle *h = nbd_create ();

  is_str (nbd_get_package_name (h), "libnbd", "the package is libnbd");
  is_str (nbd_get_version (h), PACKAGE_VERSION,
          "the version is that of the package");
  ok (nbd_get_version (h) == nbd_get_version (h),
      "the version is always the same string");
  is_str (nbd_get_version_extra (h), LIBNBD_VERSION_EXTRA,
          "the extra version is what the packager chose");
  ok (nbd_get_version_extra (h) != NULL, "which is never NULL");
  nbd_close (h);
}

static void
test_size (void)
{
  struct peer *p = peer_mute (&everything);
  ssize_t empty = nbd_get_handle_size (p->h), busy, now;

  ok (empty >= (ssize_t) sizeof *p->h,
      "the size of a handle includes its structure");
  ok (empty < 1 << 20, "and is less than a megabyte when it is idle");
  is_int (nbd_get_handle_size (p->h), empty,
          "it does not change when nothing happens");
  for (int i = 0; i < 1000; i++)
    nbd_aio_flush (p->h, NBD_NULL_COMPLETION, 0);
  busy = nbd_get_handle_size (p->h);
  ok (busy >= empty + (ssize_t) (1000 * sizeof (struct command)),
      "it grows with commands in flight");
  p->room = 0;
  for (int i = 0; i < 1000; i++)
    nbd_aio_flush (p->h, NBD_NULL_COMPLETION, 0);
  now = nbd_get_handle_size (p->h);
  ok (now >= busy + (ssize_t) (1000 * (sizeof (struct command) +
                                       sizeof (struct segment))),
      "it grows more with commands that wait to be sent");
  for (int i = 0; i < 100; i++)
    nbd_add_close_callback (p->h, (nbd_close_callback) { .free = free });
  ok (nbd_get_handle_size (p->h) >=
      now + (ssize_t) (100 * sizeof (nbd_close_callback)),
      "it grows with close callbacks");
  now = nbd_get_handle_size (p->h);
  nbd_set_handle_name (p->h, "a name of no fewer than forty characters....");
  ok (nbd_get_handle_size (p->h) >= now + 30, "it grows with its name");
  peer_free (p);
  p = peer_in (PHASE_CREATED);
  now = nbd_get_handle_size (p->h);
  nbd_set_export_name (p->h, "the name of an export");
  nbd_add_meta_context (p->h, "base:allocation");
  ok (nbd_get_handle_size (p->h) >= now + 21 + 15,
      "and with those of the export and of meta contexts");
  peer_free (p);
}

/* What happens when a handle is closed, as text. */
static char events[1024];

static void
add_event (const char *word, void *vp)
{
  size_t n = strlen (events);

  snprintf (events + n, sizeof events - n, "%s %s; ", word,
            (const char *) vp);
}

static int
close_cb (void *vp)
{
  add_event ("call", vp);
  return -1;                    /* ignored */
}

static int
completion_cb (void *vp, int *error)
{
  add_event (*error == ENOTCONN ? "complete" : "wrong", vp);
  return 0;
}

static int
debug_cb (void *vp, const char *context, const char *msg)
{
  if (strcmp (context, "nbd_close") == 0 &&
      strcmp (msg, "closing handle") == 0)
    add_event ("trace", vp);
  return 0;
}

static void
free_cb (void *vp)
{
  add_event ("free", vp);
}

static nbd_close_callback
at_close (const char *name)
{
  return (nbd_close_callback) { close_cb, (void *) name, free_cb };
}

static void
test_close (void)
{
  static char first[] = "a", second[] = "b", third[] = "c", trace[] = "t";
  struct peer *p = peer_mute (&everything);
  nbd_completion_callback done = { completion_cb, third, free_cb };
  nbd_debug_callback traced = { debug_cb, trace, free_cb };
  nbd_close_callback silent = { NULL, second, free_cb };

  nbd_close (NULL);
  ok (true, "nbd_close of NULL does nothing");

  events[0] = '\0';
  is_int (nbd_add_close_callback (NULL, at_close (first)), -1,
          "a close callback cannot be added to no handle");
  is_str (events, "free a; ", "it is freed then, and not called");

  events[0] = '\0';
  is_int (nbd_add_close_callback (p->h, at_close (first)), 0,
          "a close callback can be added");
  is_int (nbd_add_close_callback (p->h, at_close (second)), 0,
          "and another");
  is_int (nbd_add_close_callback (p->h, silent), 0,
          "and one without a function");
  ok (nbd_aio_flush (p->h, done, 0) > 0, "a command is in flight");
  nbd_set_debug_callback (p->h, traced);
  nbd_set_debug (p->h, true);
  is_str (events, "", "nothing is called before the handle is closed");
  peer_free (p);
  is_str (events, "trace t; call a; call b; free a; free b; free b; "
          "complete c; free c; free t; ",
          "all close callbacks are called, then freed, then commands "
          "complete, and the trace is freed last");

  for (size_t i = 0; i < NR_PHASES; i++) {
    p = peer_in (phase_names[i].phase);
    nbd_add_close_callback (p->h, at_close (first));
    events[0] = '\0';
    peer_free (p);
    is_str (events, "call a; free a; ",
            "a close callback added when %s is called once and freed once",
            phase_names[i].words);
  }
}

/* A command that is done but not retired holds its callbacks until then. */
static void
test_close_unretired (void)
{
  static char first[] = "a";
  struct peer *p = peer_in (PHASE_CONNECTED);
  nbd_completion_callback done = { NULL, first, free_cb };

  events[0] = '\0';
  nbd_aio_flush (p->h, done, 0);
  peer_settle (p);
  is_str (events, "", "a command that is not retired is not freed");
  peer_free (p);
  is_str (events, "free a; ", "closing the handle frees it");
}

/* An option call that is under way when the handle is closed. */
static void
test_close_option (void)
{
  static char first[] = "a";
  struct peer *p = peer_in (PHASE_NEGOTIATING);
  nbd_completion_callback done = { completion_cb, first, free_cb };

  events[0] = '\0';
  p->room = 0;
  nbd_aio_opt_info (p->h, done);
  peer_free (p);
  is_str (events, "complete a; free a; ",
          "an option that is pending completes with ENOTCONN");
}

int
main (void)
{
  tap_begin ();
  test_names ();
  test_defaults ();
  test_names_in_threads ();
  test_settings ();
  test_flag_settings ();
  test_tls ();
  test_private_data ();
  test_export_name ();
  test_meta_contexts ();
  test_versions ();
  test_size ();
  test_close ();
  test_close_unretired ();
  test_close_option ();
  return tap_end ();
}
