/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What holds for every server that the library starts, whether it speaks on
 * its standard input or is handed a socket: the cases that commands.c and
 * activation.c have in common, and what they need for their own.
 */

#ifndef TESTS_SPAWNED_H
#define TESTS_SPAWNED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "libnbd.h"

/* A function that starts a server. */
struct way {
  const char *name;
  int (*connect) (struct nbd_handle *h, char **argv);
  bool async;
  bool listens;                 /* the server is handed a socket */
};

/* Call it and complete the negotiation.  0 or -1. */
int way_connect (const struct way *way, struct nbd_handle *h, char **argv);

/* The path of a report that is not there yet, and the parameters of a child
 * that writes it and behaves so.  They end with NULL.  Free with free_list.
 */
char **child_argv (const char *behaviour, ...) __attribute__ ((sentinel));
void free_list (char **list);

/* A new list with the same strings. */
char **copy_list (char *const *list);

/* The report of the last child_argv, when it is there. */
struct report;
struct report *read_report (char *const *argv);
void free_report (struct report *r);

/* The value number N of a key, or NULL. */
const char *report_value (const struct report *r, const char *key, size_t n);
size_t report_count (const struct report *r, const char *key);

/* Wait until the report has this line.  False after a long while. */
bool report_gets (char *const *argv, const char *line);

/* The value of a variable of the environment of the child. */
const char *report_variable (const struct report *r, const char *name);

/* A new handle that is connected to such a child. */
struct nbd_handle *started (const struct way *way, char **argv);

/* The process has ended and nobody waits to be told. */
bool is_gone (pid_t pid);

/* No child of this program is left, not even as a zombie. */
bool no_children (void);

/* Data can be written and read. */
bool disk_works (struct nbd_handle *h);

/* Debug messages of the handle are kept from here on.  To be freed after
 * nbd_close.
 */
struct messages {
  char *text;
};

void keep_messages (struct nbd_handle *h, struct messages *m);

/* The cases. */
void check_spawned (const struct way *ways, size_t nr_ways);

#endif /* TESTS_SPAWNED_H */
