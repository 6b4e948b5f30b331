/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Growing text, and replacing files.  Nothing here knows the API. */

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

static void
reserve (struct output *o, size_t more)
{
  if (o->size - o->len > more)
    return;
  while (o->size - o->len <= more)
    o->size = o->size ? o->size * 2 : 65536;
  o->text = realloc (o->text, o->size);
  if (o->text == NULL) {
    perror ("generator");
    exit (1);
  }
}

void
out_bytes (struct output *o, const char *p, size_t n)
{
  reserve (o, n);
  memcpy (o->text + o->len, p, n);
  o->len += n;
  o->text[o->len] = '\0';
}

void
out (struct output *o, const char *fmt, ...)
{
  va_list ap;
  int n;

  va_start (ap, fmt);
  n = vsnprintf (NULL, 0, fmt, ap);
  va_end (ap);
  if (n < 0) {
    perror ("generator");
    exit (1);
  }
  reserve (o, n);
  va_start (ap, fmt);
  vsnprintf (o->text + o->len, n + 1, fmt, ap);
  va_end (ap);
  o->len += n;
}

void
out_upper (struct output *o, const char *s)
{
  for (; *s; s++)
    out (o, "%c", toupper ((unsigned char) *s));
}

void
out_wrapped (struct output *o, size_t column, size_t width,
             const char *indent, const char *list)
{
  while (*list) {
    const char *comma = strstr (list, ", ");
    size_t n = comma ? (size_t) (comma - list) + 1 : strlen (list);

    if (column + n > width && column > strlen (indent)) {
      while (o->len > 0 && o->text[o->len - 1] == ' ')
        o->len--;
      out (o, "\n%s", indent);
      column = strlen (indent);
    }
    out_bytes (o, list, n);
    column += n;
    list += n;
    if (*list == ' ') {
      out (o, " ");
      column++;
      list++;
    }
  }
}

void
output_free (struct output *o)
{
  free (o->text);
  o->text = NULL;
  o->len = o->size = 0;
}

char *
read_whole_file (const char *file)
{
  struct output o = { 0 };
  char buf[8192];
  size_t n;
  FILE *fp = fopen (file, "r");
  int err;

  if (fp == NULL)
    return NULL;
  out_bytes (&o, "", 0);
  while ((n = fread (buf, 1, sizeof buf, fp)) > 0)
    out_bytes (&o, buf, n);
  err = ferror (fp) ? errno : 0;
  fclose (fp);
  if (err) {
    output_free (&o);
    errno = err;
    return NULL;
  }
  return o.text;
}

static bool
complain (const char *file)
{
  fprintf (stderr, "generator: %s: %s\n", file, strerror (errno));
  return false;
}

bool
output_replace (const struct output *o, const char *file)
{
  char *old = read_whole_file (file);
  struct output tmp = { 0 };
  bool same = old && strlen (old) == o->len &&
    memcmp (old, o->text, o->len) == 0;
  bool ok;
  FILE *fp;

  free (old);
  if (same)
    return true;

  out (&tmp, "%s.new", file);
  fp = fopen (tmp.text, "w");
  if (fp == NULL) {
    complain (tmp.text);
    output_free (&tmp);
    return false;
  }
  ok = fwrite (o->text, 1, o->len, fp) == o->len;
  ok = fclose (fp) == 0 && ok;
  ok = ok && rename (tmp.text, file) == 0;
  if (!ok) {
    complain (file);
    remove (tmp.text);
  }
  output_free (&tmp);
  return ok;
}
