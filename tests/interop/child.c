/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program that the library is told to run, and that reports what it sees.
 *
 *   child REPORT BEHAVIOUR [ARGUMENT...]
 *
 * writes its findings to the file REPORT, a "key=value" per line in which %XX
 * stands for an unusual byte, and then does what BEHAVIOUR, words between
 * commas, says:
 *
 *   exit       end at once
 *   exec       become the program that the arguments name
 *   garbage    send what is not NBD and end
 *   hang-up    close what the client is connected to, and remain
 *   refuse     wait for a client and end without accepting it
 *   mute       say nothing, and end when the client is gone
 *   serve      be a server of NBD, with a disk of 64 KiB, for one client
 *   frozen     with serve: do not answer requests
 *   stay       with serve or mute: remain when the client is gone
 *   note       add to the report the signals USR1, HUP and TERM, and that the
 *              client is gone; end at TERM as usual
 *   defy       do not end at TERM
 */

#include "config.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "child.h"

#define LISTEN_FD 3

/* Nobody waits for us any more after so many seconds. */
#define LIFETIME 100

static const char *report, *behaviour;

static bool
told (const char *word)
{
  size_t n = strlen (word);

  for (const char *p = behaviour; (p = strstr (p, word)); p += n)
    if ((p == behaviour || p[-1] == ',') && (p[n] == ',' || p[n] == '\0'))
      return true;
  return false;
}

static void
add (FILE *fp, const char *key, const char *value)
{
  fprintf (fp, "%s=", key);
  for (const unsigned char *p = (const unsigned char *) value; *p; p++)
    if (*p < ' ' || *p > '~' || *p == '%')
      fprintf (fp, "%%%02x", *p);
    else
      fputc (*p, fp);
  fputc ('\n', fp);
}

static void
add_number (FILE *fp, const char *key, long long n)
{
  fprintf (fp, "%s=%lld\n", key, n);
}

static int
socket_option (int option)
{
  int v = -1;
  socklen_t len = sizeof v;

  getsockopt (LISTEN_FD, SOL_SOCKET, option, &v, &len);
  return v;
}

static void
add_socket (FILE *fp)
{
  struct sockaddr_un addr = { .sun_family = AF_UNSPEC };
  socklen_t len = sizeof addr;
  char path[sizeof addr.sun_path + 1] = "";

  if (getsockname (LISTEN_FD, (struct sockaddr *) &addr, &len) == -1)
    return;
  add_number (fp, "family", addr.sun_family);
  add_number (fp, "type", socket_option (SO_TYPE));
  add_number (fp, "listening", socket_option (SO_ACCEPTCONN));
  memcpy (path, addr.sun_path, sizeof addr.sun_path);
  add (fp, "socket", path);
}

/* The file is there when it is complete. */
static void
make_report (int argc, char **argv)
{
  extern char **environ;
  static char fds[MAX_FDS][128];
  unsigned nr_fds = 0;
  char temporary[4096], text[512];
  struct rlimit limit;
  mode_t mask = umask (0);
  FILE *fp;

  umask (mask);
  /* Before anything is opened here. */
  for (int fd = 0; fd < MAX_FDS; fd++)
    if (fcntl (fd, F_GETFD) != -1)
      describe_fd (fd, fds[nr_fds++]);
  snprintf (temporary, sizeof temporary, "%s.new", report);
  fp = fopen (temporary, "we");
  if (fp == NULL)
    exit (1);
  for (unsigned i = 0; i < nr_fds; i++)
    add (fp, "fd", fds[i]);
  for (int i = 0; i < argc; i++)
    add (fp, "arg", argv[i]);
  for (char **e = environ; e && *e; e++)
    add (fp, "env", *e);
  add_number (fp, "pid", getpid ());
  add_number (fp, "parent", getppid ());
  add_number (fp, "group", getpgrp ());
  add_number (fp, "session", getsid (0));
  add_number (fp, "user", getuid ());
  add_number (fp, "umask", mask);
  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    add_number (fp, "limit", limit.rlim_cur);
  if (getcwd (temporary, sizeof temporary))
    add (fp, "folder", temporary);
  list_signals (is_blocked, text);
  add (fp, "blocked", text);
  list_signals (is_ignored, text);
  add (fp, "ignored", text);
  list_signals (is_caught, text);
  add (fp, "caught", text);
  add_socket (fp);
  if (fclose (fp) == EOF)
    exit (1);
}

static void
publish_report (void)
{
  char temporary[4096];

  snprintf (temporary, sizeof temporary, "%s.new", report);
  if (rename (temporary, report) == -1)
    exit (1);
}

/* Also in the handler of a signal. */
static void
add_note (const char *line)
{
  int fd = open (report, O_WRONLY | O_APPEND | O_CLOEXEC);

  if (fd == -1 || write (fd, line, strlen (line)) == -1)
    _exit (1);
  close (fd);
}

static void
on_signal (int sig)
{
  int err = errno;

  add_note (sig == SIGUSR1 ? "signal=USR1\n" : sig == SIGHUP ? "signal=HUP\n" :
            "signal=TERM\n");
  if (sig == SIGTERM && !told ("defy"))
    _exit (0);
  errno = err;
}

/* False at the end of the stream. */
static bool
receive (int fd, void *buf, size_t n)
{
  for (char *p = buf; n > 0; ) {
    ssize_t r = read (fd, p, n);

    if (r == -1 && errno == EINTR)
      continue;
    if (r <= 0)
      return false;
    p += r;
    n -= r;
  }
  return true;
}

static void
send_all (int fd, const void *buf, size_t n)
{
  for (const char *p = buf; n > 0; ) {
    ssize_t r = write (fd, p, n);

    if (r == -1 && errno == EINTR)
      continue;
    if (r <= 0)
      return;
    p += r;
    n -= r;
  }
}

/* A server of the old style, which needs no negotiation. */
static void
serve (int in, int out)
{
  static uint8_t disk[65536];
  struct {
    uint64_t magic, style, size;
    uint32_t flags;
    char zeroes[124];
  } __attribute__ ((packed)) greeting = {
    htobe64 (0x4e42444d41474943), htobe64 (0x00420281861253),
    htobe64 (sizeof disk), htobe32 (1), "",
  };
  struct {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t count;
  } __attribute__ ((packed)) request;

  send_all (out, &greeting, sizeof greeting);
  while (receive (in, &request, sizeof request)) {
    uint64_t offset = be64toh (request.offset);
    uint32_t count = be32toh (request.count);
    struct {
      uint32_t magic, error;
      uint64_t cookie;
    } __attribute__ ((packed)) reply = {
      htobe32 (0x67446698), 0, request.cookie
    };
    unsigned type = be16toh (request.type);

    if (type > 1)
      break;
    if (offset > sizeof disk || count > sizeof disk - offset ||
        (type == 1 && !receive (in, disk + offset, count)))
      break;
    if (told ("frozen"))
      continue;
    send_all (out, &reply, sizeof reply);
    if (type == 0)
      send_all (out, disk + offset, count);
  }
}

static void __attribute__ ((noreturn))
remain (void)
{
  for (;;)
    pause ();
}

int
main (int argc, char **argv)
{
  struct pollfd client = { .fd = LISTEN_FD, .events = POLLIN };
  int in = 0, out = 1;
  sigset_t none;
  char c;

  if (argc < 3)
    return 1;
  alarm (LIFETIME);
  report = argv[1];
  behaviour = argv[2];
  make_report (argc, argv);
  /* Whatever we were given, we can be ended. */
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  if (told ("note")) {
    signal (SIGUSR1, on_signal);
    signal (SIGHUP, on_signal);
    signal (SIGTERM, on_signal);
  }
  else if (told ("defy"))
    signal (SIGTERM, SIG_IGN);
  publish_report ();

  if (told ("exec") && argc > 3) {
    execvp (argv[3], argv + 3);
    return 1;
  }
  if (told ("exit"))
    return 0;
  if (told ("hang-up")) {
    close (0);
    close (1);
    close (LISTEN_FD);
    remain ();
  }
  if (socket_option (SO_ACCEPTCONN) == 1) {
    while (poll (&client, 1, -1) == -1 && errno == EINTR)
      ;
    if (told ("refuse"))
      return 0;
    in = out = accept (LISTEN_FD, NULL, NULL);
  }
  if (told ("garbage"))
    send_all (out, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
  else if (told ("serve"))
    serve (in, out);
  else
    while (receive (in, &c, 1))
      ;
  /* A client that says goodbye waits for this. */
  close (in);
  close (out);
  if (told ("note"))
    add_note ("gone=1\n");
  if (told ("stay"))
    remain ();
  return 0;
}
