/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

static int cases, failures;
static char dir[64];
static bool open_at_start[1024];

static void
print_case (bool good, const char *fmt, va_list args)
{
  cases++;
  failures += !good;
  printf ("%sok %d - ", good ? "" : "not ", cases);
  vprintf (fmt, args);
  printf ("\n");
  fflush (stdout);
}

bool
ok (bool cond, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  print_case (cond, fmt, args);
  va_end (args);
  return cond;
}

bool
is_int (int64_t got, int64_t want, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  print_case (got == want, fmt, args);
  va_end (args);
  if (got != want)
    note ("got %lld, want %lld", (long long) got, (long long) want);
  return got == want;
}

bool
is_str (const char *got, const char *want, const char *fmt, ...)
{
  bool same = got == want || (got && want && strcmp (got, want) == 0);
  va_list args;

  va_start (args, fmt);
  print_case (same, fmt, args);
  va_end (args);
  if (!same) {
    note ("got:  %s", got ? got : "NULL");
    note ("want: %s", want ? want : "NULL");
  }
  return same;
}

void
note (const char *fmt, ...)
{
  va_list args;

  printf ("# ");
  va_start (args, fmt);
  vprintf (fmt, args);
  va_end (args);
  printf ("\n");
  fflush (stdout);
}

void
skip_case (const char *name, const char *why)
{
  printf ("ok %d - %s # SKIP %s\n", ++cases, name, why);
}

void
skip_all (const char *why)
{
  printf ("1..0 # SKIP %s\n", why);
  exit (0);
}

static int
remove_one (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void) st;
  (void) type;
  (void) ftw;
  return remove (path);
}

static void
remove_dir (void)
{
  if (dir[0])
    nftw (dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  dir[0] = '\0';
}

/* Short, because paths of sockets are. */
const char *
temp_dir (void)
{
  if (dir[0] == '\0') {
    strcpy (dir, "/tmp/nbdtestXXXXXX");
    if (mkdtemp (dir) == NULL) {
      perror ("mkdtemp");
      exit (1);
    }
    atexit (remove_dir);
  }
  return dir;
}

char *
temp_path (const char *name)
{
  char *path;

  if (asprintf (&path, "%s/%s", temp_dir (), name) == -1)
    abort ();
  return path;
}

static bool
is_open (int fd)
{
  return fcntl (fd, F_GETFD) != -1;
}

void
tap_begin (void)
{
  /* A shell has them ignored in what it runs in the background. */
  signal (SIGINT, SIG_DFL);
  signal (SIGQUIT, SIG_DFL);
  for (int fd = 0; fd < 1024; fd++)
    open_at_start[fd] = is_open (fd);
}

int
tap_end (void)
{
  int left = 0;

  for (int fd = 0; fd < 1024; fd++)
    if (is_open (fd) && !open_at_start[fd]) {
      char link[64], target[256];
      ssize_t n;

      snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
      n = readlink (link, target, sizeof target - 1);
      target[n > 0 ? n : 0] = '\0';
      note ("descriptor %d is still open: %s", fd, target);
      left++;
    }
  ok (left == 0, "every descriptor is closed");
  printf ("1..%d\n", cases);
  return failures ? 1 : 0;
}
