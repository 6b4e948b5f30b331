/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What TLS refuses, and the words for it, from which somebody can put it
 * right: files that cannot be used, certificates that are not accepted,
 * servers that do not accept ours.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pki.h"
#include "server.h"
#include "tap.h"

#define TLS12 "NORMAL:-VERS-ALL:+VERS-TLS1.2"
#define TLS13 "NORMAL:-VERS-ALL:+VERS-TLS1.3"

/* A user without rights; see user "nobody" of most systems. */
#define NOBODY 65534

static char *disk;

/* Folders with something wrong in them. */

static void
write_file (const char *folder, const char *name, const char *content)
{
  char both[64];
  FILE *fp;

  snprintf (both, sizeof both, "%s/%s", folder, name);
  fp = fopen (pki_path (both), "we");
  MUST_BE (fp != NULL);
  fputs (content, fp);
  MUST_BE (fclose (fp) == 0);
}

static void
copy_folder (const char *from, const char *to)
{
  MUST_BE (run_command (NULL, "cp", "-R", pki_path (from), pki_path (to),
                        NULL));
}

static void
remove_file (const char *folder, const char *name)
{
  char both[64];

  snprintf (both, sizeof both, "%s/%s", folder, name);
  MUST (unlink (pki_path (both)));
}

/* The handle is refused when it connects to S. */
static void
refuse (const struct server *s, struct nbd_handle *h, int errnum,
        const char *const *parts, const char *what)
{
  is_refused (h, server_connect (s, h), errnum, parts, what);
  nbd_close (h);
}

static void
accept_handle (const struct server *s, struct nbd_handle *h, const char *what)
{
  if (!is_int (server_connect (s, h), 0, "%s: the connection is made", what)) {
    note ("%s", nbd_get_error ());
    nbd_close (h);
    return;
  }
  is_int (nbd_get_tls_negotiated (h), 1, "%s: with TLS", what);
  disconnect (h);
}

static void
check_files (const struct server *s)
{
  static const char garbage[] = "-----BEGIN CERTIFICATE-----\nno\n";

  refuse (s, tls_handle ("missing"), ENOENT,
          PARTS (pki_path ("missing"), "No such file"), "a missing folder");
  refuse (s, tls_handle ("ca.pem"), ENOTDIR,
          PARTS (pki_path ("ca.pem"), "Not a directory"),
          "a file in place of a folder");

  copy_folder ("client", "bad-ca");
  write_file ("bad-ca", "ca-cert.pem", garbage);
  refuse (s, tls_handle ("bad-ca"), EINVAL,
          PARTS (pki_path ("bad-ca/ca-cert.pem"), "ase64"),
          "garbage in ca-cert.pem");
  write_file ("bad-ca", "ca-cert.pem", "");
  refuse (s, tls_handle ("bad-ca"), EINVAL,
          PARTS (pki_path ("bad-ca/ca-cert.pem")), "an empty ca-cert.pem");
  remove_file ("bad-ca", "ca-cert.pem");
  MUST (mkdir (pki_path ("bad-ca/ca-cert.pem"), 0755));
  refuse (s, tls_handle ("bad-ca"), EINVAL,
          PARTS (pki_path ("bad-ca/ca-cert.pem")),
          "a folder in place of ca-cert.pem");

  copy_folder ("revoked", "bad-crl");
  write_file ("bad-crl", "ca-crl.pem", garbage);
  refuse (s, tls_handle ("bad-crl"), EINVAL,
          PARTS (pki_path ("bad-crl/ca-crl.pem")), "garbage in ca-crl.pem");

  copy_folder ("client", "bad-cert");
  /* Of half a certificate gnutls 3.7 loses some memory. */
  write_file ("bad-cert", "client-cert.pem", "no certificate");
  refuse (s, tls_handle ("bad-cert"), EINVAL,
          PARTS (pki_path ("bad-cert/client-cert.pem")),
          "garbage in client-cert.pem");
  copy_folder ("client", "bad-key");
  write_file ("bad-key", "client-key.pem", "no key");
  refuse (s, tls_handle ("bad-key"), EINVAL,
          PARTS (pki_path ("bad-key/client-key.pem")),
          "garbage in client-key.pem");
  MUST_BE (run_command (NULL, "cp", pki_path ("server-key.pem"),
                        pki_path ("bad-key/client-key.pem"), NULL));
  refuse (s, tls_handle ("bad-key"), EINVAL,
          PARTS (pki_path ("bad-key/client-key.pem"), "do not match"),
          "a key that does not fit");
  remove_file ("bad-key", "client-key.pem");
  refuse (s, tls_handle ("bad-key"), ENOENT,
          PARTS (pki_path ("bad-key/client-key.pem"), "No such file"),
          "a client's certificate without its key");
  remove_file ("bad-cert", "client-cert.pem");
  refuse (s, tls_handle ("bad-cert"), ENOENT,
          PARTS (pki_path ("bad-cert/client-cert.pem"), "No such file"),
          "a client's key without its certificate");
}

/* What a process without rights is told.  Its error goes to TEXT. */

struct report {
  int result, errnum;
  bool dead;
  char error[1024];
  char trace[4096];
};

static void
in_child (const struct server *s, struct nbd_handle *h, const char *home,
          bool without_rights, struct report *report)
{
  int fds[2], status;
  pid_t pid;

  MUST (pipe (fds));
  pid = fork ();
  MUST (pid);
  if (pid == 0) {
    struct trace trace;

    if (without_rights && geteuid () == 0 &&
        (setgroups (0, NULL) == -1 || setgid (NOBODY) == -1 ||
         setuid (NOBODY) == -1))
      _exit (1);
    setenv ("HOME", home, 1);
    trace_start (h, &trace);
    memset (report, 0, sizeof *report);
    report->result = server_connect (s, h);
    report->errnum = nbd_get_errno ();
    report->dead = nbd_aio_is_dead (h);
    snprintf (report->error, sizeof report->error, "%s",
              nbd_get_error () ? nbd_get_error () : "");
    snprintf (report->trace, sizeof report->trace, "%s", trace.text);
    if (report->result == 0)
      nbd_shutdown (h, 0);
    _exit (write (fds[1], report, sizeof *report) == sizeof *report ? 0 : 1);
  }
  close (fds[1]);
  MUST_BE (read (fds[0], report, sizeof *report) == sizeof *report);
  close (fds[0]);
  MUST (waitpid (pid, &status, 0));
  MUST_BE (status == 0);
  nbd_close (h);
}

static void
child_refused (const struct report *r, int errnum, const char *const *parts,
               const char *what)
{
  if (!ok (r->result == -1 && r->errnum == errnum && r->dead &&
           has_all (r->error, parts), "%s: the connection fails and says why",
           what))
    note ("got: %d, errno %d, %s", r->result, r->errnum, r->error);
}

static void
check_rights (const struct server *s)
{
  struct report report;

  copy_folder ("client", "secret");
  MUST (chmod (pki_path ("secret/client-key.pem"), 0));
  in_child (s, tls_handle ("secret"), "/", true, &report);
  child_refused (&report, EACCES,
                 PARTS (pki_path ("secret/client-key.pem"), "ermission"),
                 "a key that must not be read");
  MUST (chmod (pki_path ("secret/client-key.pem"), 0644));
  MUST (chmod (pki_path ("secret/ca-cert.pem"), 0));
  in_child (s, tls_handle ("secret"), "/", true, &report);
  child_refused (&report, EACCES,
                 PARTS (pki_path ("secret/ca-cert.pem"), "ermission"),
                 "a ca-cert.pem that must not be read");
  MUST (chmod (pki_path ("secret"), 0));
  in_child (s, tls_handle ("secret"), "/", true, &report);
  child_refused (&report, EACCES, PARTS (pki_path ("secret"), "ermission"),
                 "a folder that must not be searched");
  MUST (chmod (pki_path ("secret"), 0755));
}

/* Where certificates are when nobody says. */

static struct nbd_handle *
default_handle (void)
{
  struct nbd_handle *h = new_handle ();

  MUST (nbd_set_tls (h, LIBNBD_TLS_REQUIRE));
  return h;
}

static void
check_default_folders (const struct server *s)
{
  static const char *const unknown[] = {
    "issuer is not known", "CN=Tests of NBD", "authorities of the system",
    NULL
  };
  const char *home = pki_path ("home");
  struct report report;
  bool root = geteuid () == 0;
  char where[256];

  MUST (mkdir (home, 0755));
  in_child (s, default_handle (), home, true, &report);
  child_refused (&report, 0, unknown, "no folder at all");
  ok (strstr (report.trace, "authorities of the system are trusted"),
      "the trace says who is trusted");

  MUST (mkdir (pki_path ("home/.config"), 0755));
  MUST (mkdir (pki_path ("home/.config/pki"), 0755));
  copy_folder ("trust", "home/.config/pki/libnbd");
  in_child (s, default_handle (), home, true, &report);
  is_int (report.result, 0, "$HOME/.config/pki/libnbd is used");
  snprintf (where, sizeof where, "TLS: certificates are in %s\n",
            pki_path ("home/.config/pki/libnbd"));
  ok (strstr (report.trace, where), "the trace says so");

  MUST (mkdir (pki_path ("home/.pki"), 0755));
  copy_folder ("trust", "home/.pki/libnbd");
  in_child (s, default_handle (), home, true, &report);
  is_int (report.result, 0, "$HOME/.pki/libnbd is used");
  snprintf (where, sizeof where, "TLS: certificates are in %s\n",
            pki_path ("home/.pki/libnbd"));
  ok (strstr (report.trace, where), "and before the other");
  write_file ("home/.pki/libnbd", "ca-cert.pem", "garbage");
  in_child (s, default_handle (), home, true, &report);
  child_refused (&report, EINVAL,
                 PARTS (pki_path ("home/.pki/libnbd/ca-cert.pem")),
                 "garbage in the first folder does not lead to the other");

  /* root has another folder, which is not ours to fill. */
  if (!root) {
    skip_case ("the folder of root", "this is not run by root");
    return;
  }
  remove_file ("home/.pki/libnbd", "ca-cert.pem");
  in_child (s, default_handle (), home, false, &report);
  child_refused (&report, 0, PARTS ("issuer is not known"),
                 "folders in the home of root are not used");
  if (access (SYSCONFDIR "/pki/libnbd/ca-cert.pem", F_OK) == 0 ||
      access (SYSCONFDIR "/pki/libnbd/client-cert.pem", F_OK) == 0)
    ok (strstr (report.trace, "TLS: certificates are in " SYSCONFDIR
                "/pki/libnbd\n"), "but that of the system");
  else
    ok (strstr (report.trace, "certificates are in") == NULL,
        "and no other folder is there");
}

/* The server's certificate. */

static struct nbd_handle *
named_handle (const char *folder, const char *name, const char *priority)
{
  struct nbd_handle *h = tls_handle (folder);

  MUST (nbd_set_tls_hostname (h, name));
  MUST (nbd_set_tls_priority (h, priority));
  return h;
}

static struct nbd_handle *
trusting_handle (const char *folder)
{
  struct nbd_handle *h = tls_handle (folder);

  MUST (nbd_set_tls_verify_peer (h, false));
  return h;
}

struct servers {
  struct server *good, *other, *intermediate, *unknown, *expired, *early,
    *taken_back;
};

static void
check_names (const struct servers *s, const char *priority)
{
  static const char *const names[] = {
    "disk.example.com, nbd.example.com, 192.0.2.1", "nbd_set_tls_hostname",
    NULL
  };
  struct nbd_handle *h = named_handle ("trust", "", priority);

  is_refused (h, nbd_connect_tcp (h, "localhost", server_port (s->other)), 0,
              PARTS (names[0], "not for localhost"), "another name");
  nbd_close (h);
  h = named_handle ("trust", "", priority);
  is_refused (h, nbd_connect_tcp (h, "127.0.0.1", server_port (s->other)), 0,
              PARTS (names[0], "not for 127.0.0.1"), "another address");
  nbd_close (h);
  refuse (s->other, named_handle ("trust", "example.com", priority), 0,
          names, "a part of a name");
  refuse (s->other, named_handle ("trust", "192.0.2.2", priority), 0,
          names, "an address that is not the one");
  refuse (s->other, named_handle ("trust", "2001:db8::1", priority), 0,
          names, "an address of another family");
  accept_handle (s->other, named_handle ("trust", "nbd.example.com", priority),
                 "the second name");
  accept_handle (s->other, named_handle ("trust", "DISK.EXAMPLE.COM",
                                         priority),
                 "the first name in capitals");
  accept_handle (s->other, named_handle ("trust", "192.0.2.1", priority),
                 "the address");
  accept_handle (s->good, named_handle ("trust", "::1", priority),
                 "an IPv6 address");
  refuse (s->good, named_handle ("trust", "disk.example.com", priority), 0,
          PARTS ("localhost, 127.0.0.1, ::1", "not for disk.example.com"),
          "a name that was set wins over that of the connection");
}

static void
check_certificates (const struct servers *s, const char *priority)
{
  refuse (s->unknown, named_handle ("trust", "", priority), 0,
          PARTS ("issuer is not known", "CN=Strangers",
                 pki_path ("trust/ca-cert.pem")), "an unknown issuer");
  refuse (s->good, named_handle ("nothing", "", priority), 0,
          PARTS ("issuer is not known", "CN=Tests of NBD",
                 "authorities of the system", "ca-cert.pem"),
          "a server that only we know, without a ca-cert.pem");
  refuse (s->expired, named_handle ("trust", "", priority), 0,
          PARTS ("expired", "2020-02-03 04:05"), "an expired certificate");
  refuse (s->early, named_handle ("trust", "", priority), 0,
          PARTS ("not yet valid", "2049-06-07 08:09"),
          "a certificate of the future");
  refuse (s->taken_back, named_handle ("revoked", "", priority), 0,
          PARTS ("revoked"), "a revoked certificate");
  accept_handle (s->good, named_handle ("revoked", "", priority),
                 "a certificate that is not in the list");
  accept_handle (s->taken_back, named_handle ("trust", "", priority),
                 "without the list nobody knows");
  accept_handle (s->intermediate, named_handle ("trust", "", priority),
                 "an authority between");
}

/* Only switching verification off does that; see lesson 8. */
static void
check_verification (const struct servers *s)
{
  struct nbd_handle *h;

  accept_handle (s->other, trusting_handle ("trust"),
                 "another name, not verified");
  accept_handle (s->unknown, trusting_handle ("trust"),
                 "an unknown issuer, not verified");
  accept_handle (s->expired, trusting_handle ("trust"),
                 "an expired certificate, not verified");
  accept_handle (s->taken_back, trusting_handle ("revoked"),
                 "a revoked certificate, not verified");
  accept_handle (s->good, trusting_handle ("nothing"),
                 "no authorities, not verified");
  refuse (s->good, trusting_handle ("missing"), ENOENT,
          PARTS (pki_path ("missing")),
          "a missing folder is missed even if nothing is verified");

  h = tls_handle ("trust");
  MUST (nbd_set_tls_verify_peer (h, false));
  MUST (nbd_set_tls_verify_peer (h, true));
  refuse (s->unknown, h, 0, PARTS ("issuer is not known"),
          "verification can be switched on again");

  h = tls_handle ("trust");
  MUST (nbd_set_tls (h, LIBNBD_TLS_ALLOW));
  refuse (s->unknown, h, 0, PARTS ("issuer is not known"),
          "where TLS is allowed a certificate is verified as well");
}

/* Without a host there is no name to verify, but the chain is. */
static void
check_unix (void)
{
  struct server *other = pki_start (SERVER_UNIX, "nbdkit", "other", 0, disk);
  struct server *unknown = pki_start (SERVER_UNIX, "nbdkit", "unknown", 0,
                                      disk);

  accept_handle (other, tls_handle ("trust"), "Unix, any name");
  refuse (unknown, tls_handle ("trust"), 0, PARTS ("issuer is not known"),
          "Unix, an unknown issuer");
  refuse (unknown, tls_handle ("nothing"), 0,
          PARTS ("issuer is not known", "authorities of the system"),
          "Unix, an unknown issuer and no ca-cert.pem");
  accept_handle (other, named_handle ("trust", "disk.example.com", "NORMAL"),
                 "Unix, a name that was set");
  refuse (other, named_handle ("trust", "localhost", "NORMAL"), 0,
          PARTS ("disk.example.com, nbd.example.com", "not for localhost"),
          "Unix, another name that was set");
  accept_handle (unknown, trusting_handle ("trust"), "Unix, not verified");
  server_stop (other);
  server_stop (unknown);
}

/* The client's certificate, which in TLS 1.3 a server looks at when the client
 * believes that the handshake is over.
 */

static void
refused_by_server (const char *program, const struct server *s,
                   struct nbd_handle *h, const char *what)
{
  int r = server_connect (s, h);
  const char *error = r == -1 ? nbd_get_error () : "no error";
  bool good = r == -1 && nbd_aio_is_dead (h) &&
    (strstr (error, "TLS: server ended the ") ||
     strstr (error, "client certificate?") ||
     strstr (error, "log may have the reason") ||
     /* nbd-server ends the session as it should, or sends something in the
      * clear.
      */
     (strcmp (program, "nbd-server") == 0 &&
      (strstr (error, "recv: server disconnected unexpectedly") ||
       strstr (error, "gnutls_handshake: An unexpected TLS packet"))));

  ok (good, "%s: the connection fails and says why", what);
  note ("%s", error);
  nbd_close (h);
}

static struct nbd_handle *
client_handle (const char *folder, const char *priority, bool nbd_server)
{
  struct nbd_handle *h = tls_handle (folder);

  MUST (nbd_set_tls_priority (h, priority));
  if (nbd_server)
    MUST (nbd_set_export_name (h, "disk"));
  return h;
}

static void
check_client_certificates (const char *program)
{
  static const char *const priorities[] = { TLS12, TLS13 };
  bool nbd_server = strcmp (program, "nbd-server") == 0;
  struct server *s;

  if (!run_command (NULL, program, "--version", NULL)) {
    skip_case (program, "it is not installed");
    return;
  }
  s = pki_start (SERVER_IPV4, program, "good", TLS_CLIENTS, disk);
  for (size_t i = 0; i < 2; i++) {
    char what[128];

    snprintf (what, sizeof what, "%s, TLS 1.%zu", program, i + 2);
    note ("%s", what);
    refused_by_server (program, s, client_handle ("trust", priorities[i],
                                                  nbd_server),
                       "no certificate of the client");
    refused_by_server (program, s, client_handle ("stranger", priorities[i],
                                                  nbd_server),
                       "a certificate of an authority that is not known");
    accept_handle (s, client_handle ("client", priorities[i], nbd_server),
                   what);
  }
  server_stop (s);
}

/* Shared keys. */

static void
change_key (const char *from, const char *to)
{
  FILE *in = fopen (pki_path (from), "re"), *out = fopen (pki_path (to), "we");
  char line[512];

  MUST_BE (in && out);
  while (fgets (line, sizeof line, in)) {
    char *key = strchr (line, ':') + 1;

    *key = *key == '0' ? '1' : '0';
    fputs (line, out);
  }
  fclose (in);
  MUST_BE (fclose (out) == 0);
}

static struct nbd_handle *
key_file_handle (const char *file, const char *user)
{
  struct nbd_handle *h = key_handle (user);

  MUST (nbd_set_tls_psk_file (h, pki_path (file)));
  return h;
}

static void
write_keys (const char *content)
{
  write_file (".", "odd.psk", content);
}

static void
check_keys (const char *program)
{
  static const char *const priorities[] = { TLS12, TLS13 };
  struct server *s;
  char what[128];

  if (!run_command (NULL, program, "--version", NULL)) {
    skip_case (program, "it is not installed");
    return;
  }
  s = pki_start (SERVER_IPV4, program, "good", TLS_KEYS, disk);
  note ("%s", program);
  for (unsigned i = 0; i < NR_PSK_USERS; i++) {
    snprintf (what, sizeof what, "user \"%s\"", psk_users[i]);
    accept_handle (s, key_handle (psk_users[i]), what);
  }
  for (size_t i = 0; i < 2; i++) {
    struct nbd_handle *h = key_file_handle ("wrong.psk", "alice");

    MUST (nbd_set_tls_priority (h, priorities[i]));
    refused_by_server (program, s, h, "a wrong key");
    h = key_file_handle ("mallory.psk", "mallory");
    MUST (nbd_set_tls_priority (h, priorities[i]));
    refused_by_server (program, s, h,
                       "a user that the server does not know");
  }
  refused_by_server (program, s, tls_handle ("client"),
                     "certificates for a server with keys");
  server_stop (s);
}

static void
check_key_files (void)
{
  struct server *s = pki_start (SERVER_IPV4, "nbdkit", "good", TLS_KEYS, disk);
  struct server *x509 = pki_start (SERVER_IPV4, "nbdkit", "good", 0, disk);
  struct nbd_handle *h;
  const char *odd = pki_path ("./odd.psk");

  refuse (s, key_handle ("bob"), EINVAL, PARTS (pki_path ("keys.psk"), "bob"),
          "a user who is not in the file");
  refuse (s, key_handle ("alic"), EINVAL, PARTS ("alic", "keys.psk"),
          "the beginning of a user");
  refuse (s, key_file_handle ("missing", "alice"), ENOENT,
          PARTS (pki_path ("missing"), "No such file"), "a missing file");
  refuse (s, key_file_handle ("trust", "alice"), EISDIR,
          PARTS (pki_path ("trust"), "Is a directory"),
          "a folder in place of the file");
  write_keys ("");
  refuse (s, key_file_handle ("./odd.psk", "alice"), EINVAL,
          PARTS (odd, "alice"), "an empty file");
  write_keys ("alice:not hexadecimal\n");
  refuse (s, key_file_handle ("./odd.psk", "alice"), EINVAL,
          PARTS (odd, "alice"), "a key that is none");
  write_keys ("alice:\n");
  refuse (s, key_file_handle ("./odd.psk", "alice"), EINVAL,
          PARTS (odd, "alice"), "a key of no length");
  write_keys ("alice\n\nalice");
  refuse (s, key_file_handle ("./odd.psk", "alice"), EINVAL,
          PARTS (odd, "alice"), "a file of another form");

  h = key_handle ("alice");
  if (server_connect (x509, h) == -1 && nbd_aio_is_dead (h))
    ok (strstr (nbd_get_error (), "TLS") || strstr (nbd_get_error (),
                                                    "handshake"),
        "a key for a server with certificates is refused");
  else
    ok (false, "a key for a server with certificates is refused");
  note ("%s", nbd_get_error ());
  nbd_close (h);
  /* Without the key, those of the folder are used. */
  h = tls_handle ("trust");
  MUST (nbd_set_tls_psk_file (h, pki_path ("keys.psk")));
  MUST (nbd_set_tls_psk_file (h, ""));
  accept_handle (x509, h, "an empty name of the file means none");
  server_stop (s);
  server_stop (x509);
}

/* Priorities, and servers without TLS. */

static void
check_priorities (const struct server *s)
{
  struct nbd_handle *h = named_handle ("trust", "", "NORMAL:+NONSENSE:-RSA");

  refuse (s, h, EINVAL, PARTS ("TLS priority", "+NONSENSE:-RSA"),
          "a priority with nonsense in it");
  h = named_handle ("trust", "", "nonsense");
  refuse (s, h, EINVAL, PARTS ("TLS priority", "nonsense"), "no priority");
  h = named_handle ("trust", "", TLS12 ":-KX-ALL:+RSA");
  is_int (server_connect (s, h), -1,
          "nothing in common with the server is refused");
  ok (nbd_aio_is_dead (h) && strstr (nbd_get_error (), "TLS"),
      "and the message says that it was TLS");
  note ("%s", nbd_get_error ());
  nbd_close (h);
}

static void
check_plain (const struct servers *all)
{
  struct server *s = server_start (SERVER_IPV4, "nbdkit", "--tls=off", "file",
                                   disk, NULL);
  struct nbd_handle *h = tls_handle ("trust");
  struct trace trace;
  char buf[512];

  refuse (s, h, ENOTSUP, PARTS ("refused TLS", "require"),
          "TLS is required of a server that has none");

  h = tls_handle ("missing");
  MUST (nbd_set_tls (h, LIBNBD_TLS_ALLOW));
  trace_start (h, &trace);
  is_int (server_connect (s, h), 0,
          "TLS is allowed: the connection goes on in plain text");
  is_int (nbd_get_tls_negotiated (h), 0, "which can be asked");
  is_int (nbd_pread (h, buf, sizeof buf, 0, 0), 0, "it can be read from");
  ok (trace_has (&trace, "server refused TLS") &&
      trace_has (&trace, "continuing with unencrypted connection"),
      "and the trace says so");
  disconnect (h);
  trace_end (&trace);

  h = tls_handle ("missing");
  MUST (nbd_set_tls (h, LIBNBD_TLS_DISABLE));
  trace_start (h, &trace);
  is_int (server_connect (s, h), 0, "TLS is off: nobody asks for it");
  ok (!trace_has (&trace, "STARTTLS"), "not even by an option");
  is_int (nbd_get_tls_negotiated (h), 0, "and it is not negotiated");
  disconnect (h);
  trace_end (&trace);
  server_stop (s);

  h = tls_handle ("trust");
  MUST (nbd_set_tls (h, LIBNBD_TLS_DISABLE));
  refuse (all->good, h, ENOTSUP, PARTS ("requires TLS"),
          "TLS is off: a server that requires it refuses");
}

int
main (void)
{
  struct servers s;

  server_require ("nbdkit", "--version", NULL);
  pki_begin ();
  disk = pki_disk ("disk", 1 << 20, NULL);
  change_key ("keys.psk", "wrong.psk");
  write_file (".", "mallory.psk", "mallory:0123456789abcdef\n");
  s.good = pki_start (SERVER_IPV4, "nbdkit", "good", 0, disk);
  s.other = pki_start (SERVER_IPV4, "nbdkit", "other", 0, disk);
  s.intermediate = pki_start (SERVER_IPV4, "nbdkit", "intermediate", 0, disk);
  s.unknown = pki_start (SERVER_IPV4, "nbdkit", "unknown", 0, disk);
  s.expired = pki_start (SERVER_IPV4, "nbdkit", "expired", 0, disk);
  s.early = pki_start (SERVER_IPV4, "nbdkit", "early", 0, disk);
  s.taken_back = pki_start (SERVER_IPV4, "nbdkit", "taken-back", 0, disk);
  check_files (s.good);
  check_rights (s.good);
  check_default_folders (s.good);
  check_names (&s, TLS12);
  check_names (&s, TLS13);
  check_certificates (&s, TLS12);
  check_certificates (&s, TLS13);
  check_verification (&s);
  check_priorities (s.good);
  check_plain (&s);
  server_stop (s.good);
  server_stop (s.other);
  server_stop (s.intermediate);
  server_stop (s.unknown);
  server_stop (s.expired);
  server_stop (s.early);
  server_stop (s.taken_back);
  check_unix ();
  check_client_certificates ("nbdkit");
  check_client_certificates ("qemu-nbd");
  check_client_certificates ("nbd-server");
  check_keys ("nbdkit");
  check_keys ("qemu-nbd");
  check_key_files ();
  free (disk);
  return tap_end ();
}
