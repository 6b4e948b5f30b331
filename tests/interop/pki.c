/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki.h"
#include "tap.h"

const char *const psk_users[NR_PSK_USERS] = {
  "alice", "alice2", "a b", "j\303\274rgen", "user@host/x+%41",
};

/* Paths that have been asked for. */
static struct path {
  struct path *next;
  char *name, *path;
} *paths;

const char *
pki_path (const char *name)
{
  struct path *p = paths;

  while (p && strcmp (p->name, name) != 0)
    p = p->next;
  if (p == NULL) {
    p = calloc (1, sizeof *p);
    MUST_BE (p != NULL);
    p->name = strdup (name);
    p->path = temp_path (name);
    p->next = paths;
    paths = p;
  }
  return p->path;
}

/* The path of NAME in a folder. */
static const char *
in_folder (const char *folder, const char *name)
{
  char both[64];

  snprintf (both, sizeof both, "%s/%s", folder, name);
  return pki_path (both);
}

static void
make_key (const char *name)
{
  char file[32];

  snprintf (file, sizeof file, "%s-key.pem", name);
  MUST_BE (run_command (NULL, "certtool", "--generate-privkey",
                        "--key-type=ecdsa", "--no-text", "--outfile",
                        pki_path (file), NULL));
}

static const char *
make_template (const char *name, const char *content)
{
  char file[32];
  FILE *fp;

  snprintf (file, sizeof file, "%s.tmpl", name);
  fp = fopen (pki_path (file), "we");
  MUST_BE (fp != NULL);
  fputs (content, fp);
  MUST_BE (fclose (fp) == 0);
  return pki_path (file);
}

/* A certificate of NAME by ISSUER, or by itself if that is NULL. */
static void
make_certificate (const char *name, const char *key, const char *issuer,
                  const char *content)
{
  const char *template = make_template (name, content);
  char file[32], issuer_key[32], issuer_file[32];
  char key_file[32];

  snprintf (file, sizeof file, "%s.pem", name);
  snprintf (key_file, sizeof key_file, "%s-key.pem", key);
  if (issuer == NULL) {
    MUST_BE (run_command (NULL, "certtool", "--generate-self-signed",
                          "--load-privkey", pki_path (key_file), "--template",
                          template, "--no-text", "--outfile", pki_path (file),
                          NULL));
    return;
  }
  snprintf (issuer_file, sizeof issuer_file, "%s.pem", issuer);
  snprintf (issuer_key, sizeof issuer_key, "%s-key.pem", issuer);
  MUST_BE (run_command (NULL, "certtool", "--generate-certificate",
                        "--load-privkey", pki_path (key_file),
                        "--load-ca-certificate", pki_path (issuer_file),
                        "--load-ca-privkey", pki_path (issuer_key),
                        "--template", template, "--no-text", "--outfile",
                        pki_path (file), NULL));
}

/* Append a file to another. */
static void
append (const char *to, const char *from)
{
  FILE *in = fopen (from, "re"), *out = fopen (to, "ae");
  char buf[4096];
  size_t n;

  MUST_BE (in && out);
  while ((n = fread (buf, 1, sizeof buf, in)) > 0)
    MUST_BE (fwrite (buf, 1, n, out) == n);
  fclose (in);
  MUST_BE (fclose (out) == 0);
}

static void
make_folder (const char *name)
{
  MUST (mkdir (pki_path (name), 0755));
}

static void
make_server_folder (const char *name, const char *certificate)
{
  char file[32];

  make_folder (name);
  snprintf (file, sizeof file, "%s.pem", certificate);
  append (in_folder (name, "ca-cert.pem"), pki_path ("ca.pem"));
  append (in_folder (name, "server-cert.pem"), pki_path (file));
  append (in_folder (name, "server-key.pem"), pki_path ("server-key.pem"));
  append (in_folder (name, "keys.psk"), pki_path ("keys.psk"));
}

static void
make_client_folder (const char *name, const char *certificate,
                    const char *revocations)
{
  char file[32];

  make_folder (name);
  append (in_folder (name, "ca-cert.pem"), pki_path ("ca.pem"));
  if (certificate) {
    snprintf (file, sizeof file, "%s.pem", certificate);
    append (in_folder (name, "client-cert.pem"), pki_path (file));
    append (in_folder (name, "client-key.pem"), pki_path ("client-key.pem"));
  }
  if (revocations)
    append (in_folder (name, "ca-crl.pem"), pki_path (revocations));
}

#define VALID "expiration_days = 10\n"
#define AUTHORITY "ca\ncert_signing_key\ncrl_signing_key\n" VALID
#define LOCALHOST \
  "cn = \"localhost\"\n" \
  "dns_name = \"localhost\"\n" \
  "ip_address = \"127.0.0.1\"\n" \
  "ip_address = \"::1\"\n" \
  "tls_www_server\nsigning_key\n"
#define CLIENT "cn = \"client\"\ntls_www_client\nsigning_key\n" VALID

static void
make_all (void)
{
  make_key ("ca");
  make_key ("stranger-ca");
  make_key ("below");
  make_key ("server");
  make_key ("client");
  make_certificate ("ca", "ca", NULL, "cn = \"Tests of NBD\"\n" AUTHORITY);
  make_certificate ("stranger-ca", "stranger-ca", NULL,
                    "cn = \"Strangers\"\n" AUTHORITY);
  make_certificate ("below", "below", "ca",
                    "cn = \"Below the tests\"\n" AUTHORITY);

  make_certificate ("good", "server", "ca", LOCALHOST VALID);
  make_certificate ("other", "server", "ca", "cn = \"not this one\"\n"
                    "dns_name = \"disk.example.com\"\n"
                    "dns_name = \"nbd.example.com\"\n"
                    "ip_address = \"192.0.2.1\"\n"
                    "tls_www_server\nsigning_key\n" VALID);
  make_certificate ("intermediate", "server", "below", LOCALHOST VALID);
  append (pki_path ("intermediate.pem"), pki_path ("below.pem"));
  make_certificate ("unknown", "server", "stranger-ca", LOCALHOST VALID);
  make_certificate ("expired", "server", "ca", LOCALHOST
                    "activation_date = \"2019-01-02 03:04:05 UTC\"\n"
                    "expiration_date = \"2020-02-03 04:05:06 UTC\"\n");
  make_certificate ("early", "server", "ca", LOCALHOST
                    "activation_date = \"2049-06-07 08:09:10 UTC\"\n"
                    "expiration_date = \"2049-07-08 09:10:11 UTC\"\n");
  make_certificate ("taken-back", "server", "ca", LOCALHOST VALID);
  MUST_BE (run_command (NULL, "certtool", "--generate-crl",
                        "--load-ca-certificate", pki_path ("ca.pem"),
                        "--load-ca-privkey", pki_path ("ca-key.pem"),
                        "--load-certificate", pki_path ("taken-back.pem"),
                        "--template",
                        make_template ("crl", "crl_next_update = 10\n"
                                       "crl_number = 1\n"),
                        "--outfile", pki_path ("crl.pem"), NULL));
  make_certificate ("client", "client", "ca", CLIENT);
  make_certificate ("strange", "client", "stranger-ca", CLIENT);
  for (unsigned i = 0; i < NR_PSK_USERS; i++)
    MUST_BE (run_command (NULL, "psktool", "--username", psk_users[i],
                          "--pskfile", pki_path ("keys.psk"), NULL));

  make_folder ("nothing");
  make_client_folder ("trust", NULL, NULL);
  make_client_folder ("client", "client", NULL);
  make_client_folder ("stranger", "strange", NULL);
  make_client_folder ("revoked", NULL, "crl.pem");
  make_server_folder ("good", "good");
  make_server_folder ("other", "other");
  make_server_folder ("intermediate", "intermediate");
  make_server_folder ("unknown", "unknown");
  make_server_folder ("expired", "expired");
  make_server_folder ("early", "early");
  make_server_folder ("taken-back", "taken-back");
}

/* What a library without TLS says. */

static void
is_unsupported (int result, const char *what)
{
  is_int (result, -1, "%s fails", what);
  is_int (nbd_get_errno (), ENOTSUP, "%s: with ENOTSUP", what);
  ok (nbd_get_error () && strstr (nbd_get_error (), "without TLS"),
      "%s: because the library was built without TLS", what);
}

static void
check_without_tls (void)
{
  struct nbd_handle *h = new_handle ();
  char *text;
  int pair[2];

  is_int (nbd_supports_tls (h), 0, "the library has no TLS");
  is_unsupported (nbd_set_tls (h, LIBNBD_TLS_ALLOW), "allowing TLS");
  is_unsupported (nbd_set_tls (h, LIBNBD_TLS_REQUIRE), "requiring TLS");
  is_int (nbd_get_tls (h), LIBNBD_TLS_DISABLE, "it is off");
  is_int (nbd_set_tls (h, LIBNBD_TLS_DISABLE), 0, "and may be switched off");
  is_int (nbd_set_tls_certificates (h, "folder"), 0,
          "a folder can be named in vain");
  is_int (nbd_set_tls_psk_file (h, "file"), 0, "and a file");
  is_int (nbd_set_tls_username (h, "user"), 0, "and a user");
  is_int (nbd_set_tls_hostname (h, "host"), 0, "and a host");
  is_int (nbd_set_tls_priority (h, "NORMAL"), 0, "and a priority");
  is_int (nbd_set_tls_verify_peer (h, true), 0, "and what to verify");
  text = nbd_get_tls_username (h);
  is_str (text, "user", "the user is remembered");
  free (text);
  if (nbd_supports_uri (h)) {
    is_unsupported (nbd_connect_uri (h, "nbds://localhost"), "a nbds URI");
    is_unsupported (nbd_connect_uri (h, "nbds+unix:///?socket=x"),
                    "a nbds+unix URI");
  }
  is_int (nbd_aio_is_created (h), 1, "the handle is as new");

  MUST (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  MUST (nbd_set_opt_mode (h, true));
  MUST (nbd_set_request_structured_replies (h, false));
  MUST_BE (write (pair[1], "NBDMAGICIHAVEOPT\0\3", 18) == 18);
  MUST (nbd_connect_socket (h, pair[0]));
  is_unsupported (nbd_opt_starttls (h), "nbd_opt_starttls");
  is_unsupported (nbd_aio_opt_starttls (h, NBD_NULL_COMPLETION),
                  "nbd_aio_opt_starttls");
  is_int (nbd_get_tls_negotiated (h), 0, "TLS is not negotiated");
  is_int (nbd_aio_is_negotiating (h), 1, "the handle is as it was");
  nbd_close (h);
  close (pair[1]);
}

void
pki_begin (void)
{
  struct nbd_handle *h = new_handle ();
  bool tls = nbd_supports_tls (h);

  nbd_close (h);
  if (!tls) {
    tap_begin ();
    check_without_tls ();
    exit (tap_end ());
  }
  server_require ("certtool", "--version", NULL);
  server_require ("psktool", "--version", NULL);
  tap_begin ();
  /* A server that works as another user must get there. */
  MUST (chmod (temp_dir (), 0711));
  make_all ();
}

/* Servers. */

static struct server *
start_nbdkit (enum server_transport transport, const char *folder,
              unsigned flags, const char *file)
{
  const char *mode = flags & TLS_OPTIONAL ? "--tls=on" : "--tls=require";
  char *option;
  struct server *s;

  if (flags & TLS_KEYS)
    MUST (asprintf (&option, "--tls-psk=%s", pki_path ("keys.psk")));
  else
    MUST (asprintf (&option, "--tls-certificates=%s", pki_path (folder)));
  if (flags & TLS_CLIENTS)
    s = server_start (transport, "nbdkit", mode, option, "--tls-verify-peer",
                      "file", file, NULL);
  else
    s = server_start (transport, "nbdkit", mode, option, "file", file, NULL);
  free (option);
  return s;
}

static struct server *
start_qemu_nbd (enum server_transport transport, const char *folder,
                unsigned flags, const char *file)
{
  char *object;
  struct server *s;

  if (flags & TLS_KEYS)
    MUST (asprintf (&object, "tls-creds-psk,id=tls,endpoint=server,dir=%s",
                    pki_path (folder)));
  else
    MUST (asprintf (&object, "tls-creds-x509,id=tls,endpoint=server,dir=%s,"
                    "verify-peer=%s", pki_path (folder),
                    flags & TLS_CLIENTS ? "on" : "off"));
  s = server_start (transport, "qemu-nbd", "--persistent", "--shared=0",
                    "--format=raw", "--object", object, "--tls-creds=tls",
                    file, NULL);
  free (object);
  return s;
}

/* Its configuration begins with what is for all exports. */
static struct server *
start_nbd_server (enum server_transport transport, const char *folder,
                  unsigned flags, const char *file)
{
  char *sections, *authority = NULL;
  struct server *s;

  MUST_BE (!(flags & TLS_KEYS));
  if (flags & TLS_CLIENTS)
    MUST (asprintf (&authority, "cacertfile = %s\n", pki_path ("ca.pem")));
  MUST (asprintf (&sections,
                  "certfile = %s\nkeyfile = %s\n%sforce_tls = %s\n"
                  /* The default has TLS 1.2 alone. */
                  "tlsprio = NORMAL\n"
                  "[disk]\nexportname = %s\nflush = true\nfua = true\n",
                  in_folder (folder, "server-cert.pem"),
                  in_folder (folder, "server-key.pem"),
                  authority ? authority : "",
                  flags & TLS_OPTIONAL ? "false" : "true", file));
  s = server_start_nbd_server (transport, sections);
  free (sections);
  free (authority);
  return s;
}

struct server *
pki_start (enum server_transport transport, const char *program,
           const char *folder, unsigned flags, const char *file)
{
  if (strcmp (program, "nbdkit") == 0)
    return start_nbdkit (transport, folder, flags, file);
  if (strcmp (program, "qemu-nbd") == 0)
    return start_qemu_nbd (transport, folder, flags, file);
  return start_nbd_server (transport, folder, flags, file);
}

static unsigned
count_in_file (const char *path, const char *text)
{
  FILE *fp = fopen (path, "re");
  char *line = NULL;
  size_t size = 0;
  unsigned n = 0;

  while (fp && getline (&line, &size, fp) != -1)
    n += strstr (line, text) != NULL;
  free (line);
  if (fp)
    fclose (fp);
  return n;
}

unsigned
pki_logged (const char *text)
{
  DIR *dir = opendir (temp_dir ());
  struct dirent *entry;
  unsigned n = 0;

  MUST_BE (dir != NULL);
  while ((entry = readdir (dir)) != NULL)
    if (strncmp (entry->d_name, "log", 3) == 0)
      n += count_in_file (pki_path (entry->d_name), text);
  closedir (dir);
  return n;
}

char *
pki_disk (const char *name, size_t size, uint8_t *content)
{
  char *path = temp_path (name);
  uint64_t seed = 5;
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

  MUST (fd);
  MUST (ftruncate (fd, size));
  if (content) {
    fill_random (&seed, content, size);
    for (size_t n = 0; n < size;) {
      ssize_t r = write (fd, content + n, size - n);

      MUST (r);
      n += r;
    }
  }
  close (fd);
  return path;
}

/* Handles. */

struct nbd_handle *
tls_handle (const char *folder)
{
  struct nbd_handle *h = new_handle ();

  MUST (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  MUST (nbd_set_tls_certificates (h, pki_path (folder)));
  return h;
}

struct nbd_handle *
key_handle (const char *user)
{
  struct nbd_handle *h = new_handle ();

  MUST (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  MUST (nbd_set_tls_psk_file (h, pki_path ("keys.psk")));
  MUST (nbd_set_tls_username (h, user));
  return h;
}

static int
note_trace (void *opaque, const char *context, const char *message)
{
  struct trace *t = opaque;
  size_t n = strlen (message);

  (void) context;
  t->text = realloc (t->text, t->size + n + 2);
  if (t->text == NULL)
    abort ();
  memcpy (t->text + t->size, message, n);
  t->size += n;
  strcpy (t->text + t->size++, "\n");
  return 0;
}

void
trace_start (struct nbd_handle *h, struct trace *t)
{
  nbd_debug_callback cb = { .callback = note_trace, .user_data = t };

  memset (t, 0, sizeof *t);
  MUST (nbd_set_debug_callback (h, cb));
  MUST (nbd_set_debug (h, true));
}

bool
trace_has (const struct trace *t, const char *text)
{
  return t->text && strstr (t->text, text);
}

void
trace_end (struct trace *t)
{
  free (t->text);
  memset (t, 0, sizeof *t);
}

bool
has_all (const char *text, const char *const *parts)
{
  for (; *parts; parts++)
    if (text == NULL || strstr (text, *parts) == NULL)
      return false;
  return true;
}

void
is_refused (struct nbd_handle *h, int result, int errnum,
            const char *const *parts, const char *what)
{
  const char *error = nbd_get_error ();
  int got = nbd_get_errno ();

  if (!ok (result == -1 && got == errnum && has_all (error, parts) &&
           nbd_aio_is_dead (h), "%s: the connection fails and says why",
           what)) {
    note ("got:  %d, errno %d, %s", result, got, error ? error : "no message");
    note ("want: -1, errno %d, and in the message:", errnum);
    for (; *parts; parts++)
      note ("  %s", *parts);
  }
}
