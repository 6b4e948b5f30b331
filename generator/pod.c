/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading POD bodies: cuts a file into its sections. */

#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "pod.h"

static const char head[] = "=head1 ";

/* The number of the line in which P stands. */
static int
line_of (const char *text, const char *p)
{
  int line = 1;

  for (; text < p; text++)
    line += *text == '\n';
  return line;
}

static void
complain (struct pod_body *body, const char *p, const char *problem)
{
  if (body->problem == NULL) {
    body->problem = problem;
    body->bad_line = line_of (body->text, p);
  }
}

/* The next "=head1 " at the start of a line, from P on. */
static char *
next_head (char *p)
{
  while (p && strncmp (p, head, strlen (head)) != 0) {
    p = strchr (p, '\n');
    if (p)
      p++;
  }
  return p;
}

/* What follows the last "=back" of a list; NULL if there is none. */
static const char *
last_back (const char *text)
{
  static const char back[] = "\n=back";
  const char *last = NULL;

  for (const char *p = text; (p = strstr (p, back)) != NULL; p++)
    last = p + strlen (back);
  return last;
}

bool
pod_body_read (struct pod_body *body, const char *file)
{
  const struct {
    const char *title;
    char **where;
  } sections[] = {
    { "DESCRIPTION\n", &body->description },
    { "RETURN VALUE\n", &body->return_value },
    { "ERRORS\n", &body->errors },
  };
  size_t section = 0;
  char *p;

  memset (body, 0, sizeof *body);
  body->bad_line = 1;
  body->text = read_whole_file (file);
  if (body->text == NULL)
    return false;

  if (strncmp (body->text, "=for comment SPDX-License-Identifier: ", 38) != 0)
    complain (body, body->text, "the first line is not '=for comment SPDX-...'");

  for (p = next_head (body->text); p; ) {
    char *title = p + strlen (head);
    char *start = strchr (title, '\n');
    char *end = next_head (title);

    while (section < 3 && strncmp (title, sections[section].title,
                                   strlen (sections[section].title)) != 0)
      section++;
    if (section == 3)
      complain (body, p, "sections are DESCRIPTION, RETURN VALUE and ERRORS, "
                "in this order");
    else {
      *sections[section++].where = start ? start + 1 : title;
    }
    *p = '\0';                  /* ends the section before */
    p = end;
  }
  if (body->description == NULL)
    complain (body, body->text, "there is no DESCRIPTION");
  if (body->errors) {
    const char *back = last_back (body->errors);

    /* What the row knows is added to the list. */
    if (back == NULL || back[strspn (back, " \n")] != '\0')
      complain (body, body->errors, "ERRORS must be a list and nothing behind "
                "its =back");
  }
  return true;
}

void
pod_body_free (struct pod_body *body)
{
  free (body->text);
  memset (body, 0, sizeof *body);
}
