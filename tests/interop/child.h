/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the helper program and the tests that run it say in the same words. */

#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The most descriptors that the helper looks for. */
#define MAX_FDS 4096

/* What the descriptor is: the same text for the same open file. */
static inline void
describe_fd (int fd, char text[128])
{
  struct stat st;

  if (fstat (fd, &st) == -1)
    snprintf (text, 128, "%d closed", fd);
  else
    snprintf (text, 128, "%d type %o inode %llx:%llx device %llx flags %o",
              fd, (unsigned) st.st_mode & S_IFMT,
              (unsigned long long) st.st_dev, (unsigned long long) st.st_ino,
              (unsigned long long) st.st_rdev,
              (unsigned) fcntl (fd, F_GETFL));
}

/* The numbers of the signals for which HAS is true. */
static inline void
list_signals (bool (*has) (int sig), char text[512])
{
  size_t n = 0;

  text[0] = '\0';
  for (int sig = 1; sig <= SIGRTMAX; sig++)
    if (has (sig))
      n += snprintf (text + n, 512 - n, " %d", sig);
}

static inline bool
is_blocked (int sig)
{
  sigset_t mask;

  sigprocmask (SIG_SETMASK, NULL, &mask);
  return sigismember (&mask, sig) == 1;
}

static inline bool
is_ignored (int sig)
{
  struct sigaction action;

  return sigaction (sig, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static inline bool
is_caught (int sig)
{
  struct sigaction action;

  return sigaction (sig, NULL, &action) == 0 &&
    action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL;
}

#endif /* TESTS_CHILD_H */
