/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* URIs: what each leads to, or what is wrong with it; what the program allows;
 * the way back with nbd_get_uri.  Nothing is connected unless a case says so.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef HAVE_LIBXML2
#include <libxml/xmlerror.h>
#include <libxml/xmlmemory.h>
#endif

#include "internal.h"
#include "tap.h"
#include "uri-target.h"

#ifdef HAVE_LIBXML2
#define HAVE_URIS true
#else
#define HAVE_URIS false
#endif

#define NO_URIS "ENOTSUP the library was built without libxml2"

/* The target of a URI that asks for TLS. */
#ifdef HAVE_GNUTLS
#define TLS(target) target
#else
#define TLS(target) "ENOTSUP the library was built without TLS"
#endif

#define PATH_SIZE sizeof ((struct sockaddr_un *) 0)->sun_path

/* Allocations of the library and of libxml2, of which the one of this number
 * fails.
 */
static unsigned failing_allocation;

void *__real_malloc (size_t n);
void *__real_calloc (size_t n, size_t size);
void *__real_realloc (void *p, size_t n);
void *__wrap_malloc (size_t n);
void *__wrap_calloc (size_t n, size_t size);
void *__wrap_realloc (void *p, size_t n);
char *__wrap_strdup (const char *s);
char *__wrap_strndup (const char *s, size_t n);

static bool
fails (void)
{
  if (failing_allocation == 0 || --failing_allocation > 0)
    return false;
  errno = ENOMEM;
  return true;
}

void *
__wrap_malloc (size_t n)
{
  return fails () ? NULL : __real_malloc (n);
}

void *
__wrap_calloc (size_t n, size_t size)
{
  return fails () ? NULL : __real_calloc (n, size);
}

void *
__wrap_realloc (void *p, size_t n)
{
  return fails () ? NULL : __real_realloc (p, n);
}

char *
__wrap_strndup (const char *s, size_t n)
{
  size_t length = strnlen (s, n);
  char *copy = fails () ? NULL : __real_malloc (length + 1);

  if (copy) {
    memcpy (copy, s, length);
    copy[length] = '\0';
  }
  return copy;
}

char *
__wrap_strdup (const char *s)
{
  return __wrap_strndup (s, strlen (s));
}

/* What is no matter of the locale is not left to it: these compare as in
 * Turkish, where I is not the capital i.
 */

int __wrap_strcasecmp (const char *a, const char *b);
int __wrap_strncasecmp (const char *a, const char *b, size_t n);

static int
turkish (char c)
{
  return c >= 'A' && c <= 'Z' && c != 'I' ? c + 32 : c;
}

int
__wrap_strncasecmp (const char *a, const char *b, size_t n)
{
  for (; n > 0; a++, b++, n--)
    if (*a == '\0' || turkish (*a) != turkish (*b))
      return turkish (*a) - turkish (*b);
  return 0;
}

int
__wrap_strcasecmp (const char *a, const char *b)
{
  return __wrap_strncasecmp (a, b, SIZE_MAX);
}

/* The resolver knows one host and one service. */

int __wrap_getaddrinfo (const char *host, const char *service,
                        const struct addrinfo *hints,
                        struct addrinfo **result);
void __wrap_freeaddrinfo (struct addrinfo *result);

static struct sockaddr_in known_address;

int
__wrap_getaddrinfo (const char *host, const char *service,
                    const struct addrinfo *hints, struct addrinfo **result)
{
  static struct addrinfo answer;

  (void) hints;
  if (strcmp (host, "known.example") != 0)
    return EAI_NONAME;
  if (strcmp (service, "a-service") != 0)
    known_address.sin_port = htons (atoi (service));
  answer = (struct addrinfo) {
    .ai_family = AF_INET, .ai_socktype = SOCK_STREAM,
    .ai_addr = (struct sockaddr *) &known_address,
    .ai_addrlen = sizeof known_address,
  };
  *result = &answer;
  return 0;
}

void
__wrap_freeaddrinfo (struct addrinfo *result)
{
  (void) result;
}

/* Help. */

static void *
checked (void *p)
{
  if (p == NULL)
    abort ();
  return p;
}

static struct nbd_handle *
new_handle (void)
{
  return checked (nbd_create ());
}

static void
must (int r)
{
  if (r != -1)
    return;
  note ("%s", nbd_get_error ());
  abort ();
}

static char *__attribute__ ((format (printf, 1, 2)))
make_text (const char *fmt, ...)
{
  va_list args;
  char *text;

  va_start (args, fmt);
  if (vasprintf (&text, fmt, args) == -1)
    abort ();
  va_end (args);
  return text;
}

/* N times the character. */
static char *
repeat (char c, size_t n)
{
  char *s = checked (malloc (n + 1));

  memset (s, c, n);
  s[n] = '\0';
  return s;
}

/* Numbers that look random and are the same each time. */
static uint64_t
next_random (void)
{
  static uint64_t seed = 4;
  uint64_t x = seed += 0x9e3779b97f4a7c15;

  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

static unsigned
below (unsigned n)
{
  return next_random () % n;
}

/* Whether this is what was wanted.  Of an error the wanted message can be a
 * part.
 */
static bool
is_as_wanted (const char *got, const char *want)
{
  size_t n = strcspn (want, " ");

  if (want[0] != 'E')
    return strcmp (got, want) == 0;
  return strncmp (got, want, n) == 0 && got[n] == ' ' &&
    (want[n] == '\0' || strstr (got + n, want + n));
}

/* Rows: a URI, and what it leads to.  */

enum {
  FILES = 1,                    /* local files are allowed */
  PRIORITY = 2,                 /* and so is the TLS priority */
};

struct row {
  const char *uri, *want;
};

#define PARSE "EINVAL unable to parse URI"
#define CODE "EINVAL bad percent-encoding"
#define SCHEME \
  "EINVAL NBD URI does not have a scheme: valid NBD URIs should start with"
#define LITERAL "EINVAL is not an IPv6 address in brackets"

static const struct row tcp_rows[] = {
  { "nbd://h", "tcp h 10809" },
  { "nbd://h/", "tcp h 10809" },
  { "NBD://h/", "tcp h 10809" },
  { "nBd://H/", "tcp H 10809" },
  { "nbd://", "tcp localhost 10809" },
  { "nbd:///", "tcp localhost 10809" },
  { "nbd:///disk", "tcp localhost 10809 export=disk" },
  { "nbd://?", "tcp localhost 10809" },
  { "nbd://#", "tcp localhost 10809" },

  /* Ports. */
  { "nbd://h:1", "tcp h 1" },
  { "nbd://h:10810/", "tcp h 10810" },
  { "nbd://h:10810?x", "tcp h 10810" },
  { "nbd://h:10810#x", "tcp h 10810" },
  { "nbd://:10810", "tcp localhost 10810" },
  { "nbd://:10810/disk", "tcp localhost 10810 export=disk" },
  { "nbd://h:65535", "tcp h 65535" },
  { "nbd://h:00010810/", "tcp h 10810" },
  { "nbd://h:0/", "tcp h 10809" },
  { "nbd://h:00/", "tcp h 10809" },
  { "nbd://h:", "tcp h 10809" },
  { "nbd://h:/disk", "tcp h 10809 export=disk" },
  { "nbd://:/", "tcp localhost 10809" },
  { "nbd://h:65536/", "EINVAL port: '65536' is not a port" },
  { "nbd://h:99999999", "EINVAL is not a port" },
  { "nbd://h:100000001", "EINVAL is not a port" },
  { "nbd://h:4294967297", "EINVAL is not a port" },
  { "nbd://h:18446744073709551617", "EINVAL is not a port" },
  { "nbd://h:184467440737095516170000000000001", "EINVAL is not a port" },
  { "nbd://h:-1/", PARSE },
  { "nbd://h:+1/", PARSE },
  { "nbd://h: 1/", PARSE },
  { "nbd://h:1 /", PARSE },
  { "nbd://h:1x/", PARSE },
  { "nbd://h:x1/", PARSE },
  { "nbd://h:0x10/", PARSE },
  { "nbd://h:%31/", PARSE },
  { "nbd://h:nbd/", PARSE },
  { "nbd://a:1:2/", PARSE },
  { "nbd://a::2/", PARSE },
  { "nbd://a:1:/", PARSE },
  { "nbd://12345", "tcp 12345 10809" },
  { "nbd://u:12345@h/", "tcp h 10809 user=u:12345" },
  { "nbd://u:12345@:6/", "tcp localhost 6 user=u:12345" },
  { "nbd://h/a:1", "tcp h 10809 export=a:1" },
  { "nbd://h/?a:1", "tcp h 10809" },

  /* Hosts. */
  { "nbd://1.2.3.4/", "tcp 1.2.3.4 10809" },
  { "nbd://256.1.1.1/", "tcp 256.1.1.1 10809" },
  { "nbd://[::1]", "tcp ::1 10809" },
  { "nbd://[::1]/", "tcp ::1 10809" },
  { "nbd://[::1]:1/", "tcp ::1 1" },
  { "nbd://u@[::1]:1/d", "tcp ::1 1 export=d user=u" },
  { "nbd://[::]:/", "tcp :: 10809" },
  { "nbd://[2001:DB8::1]:10810/disk%201",
    "tcp 2001:DB8::1 10810 export=disk 1" },
  { "nbd://[::ffff:1.2.3.4]/", "tcp ::ffff:1.2.3.4 10809" },
  { "nbd://[fe80::1%25eth0]:5/", "tcp fe80::1%eth0 5" },
  { "nbd://[fe80::1%25eth0%3A1]/", "tcp fe80::1%eth0:1 10809" },
  { "nbd://[fe80::1%251]/", "tcp fe80::1%1 10809" },
  { "nbd://[fe80::1%25a%20b~c.d]/", "tcp fe80::1%a b~c.d 10809" },
  { "nbd://[fe80::1%25]/", LITERAL },
  { "nbd://[fe80::1%25eth0:1]/", LITERAL },
  { "nbd://[fe80::1%25eth0=]/", LITERAL },
  { "nbd://[fe80::1%25eth0 ]/", LITERAL },
  { "nbd://[fe80::1%25\303\251]/", LITERAL },
  { "nbd://[fe80%3A%3A1]/", LITERAL },
  { "nbd://[fe80::1%eth0]/", CODE },
  { "nbd://[fe80::1%abc]/", LITERAL },
  { "nbd://[fe80::1%25a%00]/", CODE },
  { "nbd://[fe80::1%2]/", CODE },
  { "nbd://[]/", LITERAL },
  { "nbd://[h]/", LITERAL },
  { "nbd://[1.2.3.4]/", LITERAL },
  { "nbd://[v1.x]/", LITERAL },
  { "nbd://[:::]/", LITERAL },
  { "nbd://[12345::]/", LITERAL },
  { "nbd://[::1 ]/", LITERAL },
  { "nbd://[::1/]:99/", LITERAL },
  { "nbd://[::1%25a:9/b]:5/", LITERAL },
  { "nbd://[::1%25a?b]:5/", LITERAL },
  { "nbd://[::1%25a#b]:5/", LITERAL },
  { "nbd://[::1%25a@b]:5/", LITERAL },
  { "nbd://[[::1]]/", PARSE },
  { "nbd://[::1", PARSE },
  { "nbd://[::1/", PARSE },
  { "nbd://[", PARSE },
  { "nbd://]/", PARSE },
  { "nbd://::1]/", PARSE },
  { "nbd://x[::1]/", PARSE },
  { "nbd://[::1]x/", PARSE },
  { "nbd://::1/", PARSE },
  { "nbd://fe80::1/", PARSE },
  { "nbd://%5B%3A%3A1%5D/", "tcp [::1] 10809" },
  { "nbd://a%2eb/", "tcp a.b 10809" },
  { "nbd://-h/", "tcp -h 10809" },
  { "nbd://a!$&'()*+,;=-._~b/", "tcp a!$&'()*+,;=-._~b 10809" },
  { "nbd://a%20b/", "tcp a b 10809" },
  { "nbd://%C3%A9.example/", "tcp \\xC3\\xA9.example 10809" },
  { "nbd://\303\251.example/", PARSE },
  { "nbd://a b/", PARSE },
  { "nbd://h%00/", CODE },
  { "nbd://%00/", CODE },
  { "nbd://a%00b/", CODE },
  { "nbd://h%zz/", PARSE },
  { "nbd://h%/", PARSE },
  { "nbd://h%", PARSE },
  { "nbd://h%4", PARSE },

  /* Users. */
  { "nbd://u@h/", "tcp h 10809 user=u" },
  { "nbd://u@/", "tcp localhost 10809 user=u" },
  { "nbd://u:p@h/", "tcp h 10809 user=u:p" },
  { "nbd://u%40v%2F%25@h/", "tcp h 10809 user=u@v/%" },
  { "nbd://%C3%A9%20@h/", "tcp h 10809 user=\\xC3\\xA9 " },
  { "nbd://-u@h/", "tcp h 10809 user=-u" },
  { "nbd://a!$&'()*+,;=:-._~b@h/",
    "tcp h 10809 user=a!$&'()*+,;=:-._~b" },
  { "nbd://@h/", "tcp h 10809" },
  { "nbd://@/", "tcp localhost 10809" },
  { "nbd://u%00@h/", CODE },
  { "nbd://%00@h/", CODE },
  { "nbd://a@b@c/", PARSE },
  { "nbd://a%@c/", PARSE },
  { "nbd://a%4@c/", PARSE },
  { "nbd://a b@c/", PARSE },
  { "nbd://\303\251@c/", PARSE },

  /* Exports. */
  { "nbd://h/disk", "tcp h 10809 export=disk" },
  { "nbd://h//disk", "tcp h 10809 export=/disk" },
  { "nbd://h//", "tcp h 10809 export=/" },
  { "nbd://h///", "tcp h 10809 export=//" },
  { "nbd:////", "tcp localhost 10809 export=/" },
  { "nbd://h/a/b/", "tcp h 10809 export=a/b/" },
  { "nbd://h/./a/../b", "tcp h 10809 export=./a/../b" },
  { "nbd://h/disk%201", "tcp h 10809 export=disk 1" },
  { "nbd://h/%2F", "tcp h 10809 export=/" },
  { "nbd://h/%25", "tcp h 10809 export=%" },
  { "nbd://h/%2525", "tcp h 10809 export=%25" },
  { "nbd://h/%3f%23%26%3B%5b%5D", "tcp h 10809 export=?#&;[]" },
  { "nbd://h/%C3%A9%e2%82%AC",
    "tcp h 10809 export=\\xC3\\xA9\\xE2\\x82\\xAC" },
  { "nbd://h/%01%7f%ff%0A", "tcp h 10809 export=\\x01\\x7F\\xFF\\x0A" },
  { "nbd://h/a+b", "tcp h 10809 export=a+b" },
  { "nbd://h/-._~!$&'()*+,;=:@", "tcp h 10809 export=-._~!$&'()*+,;=:@" },
  { "nbd://h/nbd://h/", "tcp h 10809 export=nbd://h/" },
  { "nbd://h/disk?", "tcp h 10809 export=disk" },
  { "nbd://h/disk#", "tcp h 10809 export=disk" },
  { "nbd://h/disk#part", "tcp h 10809 export=disk" },
  { "nbd://h/disk#?tls-verify-peer=0", "tcp h 10809 export=disk" },
  { "nbd://h#disk/x", "tcp h 10809" },
  { "nbd://h?disk/x", "tcp h 10809" },
  { "nbd://h/disk#a#b", PARSE },
  { "nbd://h/disk#[a]", PARSE },
  { "nbd://h/disk#a b", PARSE },
  { "nbd://h/disk#%", PARSE },
  { "nbd://h/%00", CODE },
  { "nbd://h/a%00", CODE },
  { "nbd://h/%00a", CODE },
  { "nbd://h/a%00b", CODE },
  { "nbd://h/%", PARSE },
  { "nbd://h/%4", PARSE },
  { "nbd://h/%4g", PARSE },
  { "nbd://h/%g4", PARSE },
  { "nbd://h/%%41", PARSE },
  { "nbd://h/% 1", PARSE },
  { "nbd://h/a b", PARSE },
  { "nbd://h/a\tb", PARSE },
  { "nbd://h/a\nb", PARSE },
  { "nbd://h/a\1b", PARSE },
  { "nbd://h/a\177b", PARSE },
  { "nbd://h/\303\251", PARSE },
  { "nbd://h/a\"b", PARSE },
  { "nbd://h/a<b", PARSE },
  { "nbd://h/a>b", PARSE },
  { "nbd://h/a\\b", PARSE },
  { "nbd://h/a^b", PARSE },
  { "nbd://h/a`b", PARSE },
  { "nbd://h/a{b", PARSE },
  { "nbd://h/a|b", PARSE },
  { "nbd://h/a}b", PARSE },
  { "nbd://h/a[b", PARSE },
  { "nbd://h/a]b", PARSE },

  /* A socket does not belong here. */
  { "nbd://h/?socket=/s",
    "EINVAL socket parameter is not for the scheme nbd; did you mean "
    "nbd+unix?" },
  { "nbd:///?socket=", "EINVAL did you mean nbd+unix?" },
  { "nbd:///?SOCKET", "EINVAL did you mean nbd+unix?" },

  /* These belong to ssh, and are ignored here. */
  { "nbd://h/?nbd-port=1&compress=1", "tcp h 10809" },
  { "nbd://h/?nbd-port=x&compress=x", "tcp h 10809" },
};

/* What has no scheme, or not one of ours, or nothing but one. */
static const struct row scheme_rows[] = {
  { "", SCHEME },
  { "/", SCHEME },
  { "/path", SCHEME },
  { "/path to/a file", SCHEME },
  { "/path%", SCHEME },
  { "/\303\251", SCHEME },
  { "./file", SCHEME },
  { "file", SCHEME },
  { "localhost", SCHEME },
  { "localhost:10809", SCHEME },
  { "localhost/disk", SCHEME },
  { "127.0.0.1", SCHEME },
  { "127.0.0.1:10809", SCHEME },
  { "[::1]:10809", SCHEME },
  { "//h/disk", SCHEME },
  { "?socket=/s", SCHEME },
  { "#", SCHEME },
  { "%", SCHEME },
  { " ", SCHEME },
  { "nbd", SCHEME },
  { "nbd+unix", SCHEME },
  { "://h", PARSE },
  { "1nbd://h", PARSE },
  { "n%62d://h", PARSE },
  { " nbd://h", PARSE },
  { "\nnbd://h", PARSE },
  { "nbd://h ", PARSE },
  { "nbd://h\n", PARSE },
  { "nbd ://h", PARSE },
  { "n\303\251d://h", PARSE },
  { "/x?y=nbd://h:1/", SCHEME },
  { "nb://h", "EINVAL unknown NBD URI scheme: nb" },
  { "nbdx://h", "EINVAL unknown NBD URI scheme: nbdx" },
  { "nbdss://h", "EINVAL unknown NBD URI scheme: nbdss" },
  { "nbd.://h", "EINVAL unknown NBD URI scheme: nbd." },
  { "nbd+://h", "EINVAL unknown NBD URI scheme: nbd+" },
  { "nbd+tcp://h", "EINVAL unknown NBD URI scheme: nbd+tcp" },
  { "nbd+unixx://h", "EINVAL unknown NBD URI scheme: nbd+unixx" },
  { "nbd+unix+ssh://h", "EINVAL unknown NBD URI scheme: nbd+unix+ssh" },
  { "http://h/", "EINVAL unknown NBD URI scheme: http" },
  { "file:///disk", "EINVAL unknown NBD URI scheme: file" },
  { "nbd:", "EINVAL URI must begin with 'nbd://'" },
  { "nbd:disk", "EINVAL URI must begin with 'nbd://'" },
  { "nbd:h:10809", "EINVAL URI must begin with 'nbd://'" },
  { "nbd:/", "EINVAL URI must begin with 'nbd://'" },
  { "nbd:/disk", "EINVAL URI must begin with 'nbd://'" },
  { "nbd:?x=nbd://h/", "EINVAL URI must begin with 'nbd://'" },
  { "nbd:#x", "EINVAL URI must begin with 'nbd://'" },
  { "nbd:unix:/s", "EINVAL URI must begin with 'nbd://'" },
  { "NBD+Unix:/?socket=/s", "EINVAL URI must begin with 'nbd+unix://'" },
  { "nbds:/disk", "EINVAL URI must begin with 'nbds://'" },
};

#define NO_SOCKET(scheme) \
  "EINVAL cannot parse socket parameter from NBD URI (did you mean to use " \
  "\"" scheme ":///?socket=...\"?)"

static const struct row unix_rows[] = {
  { "nbd+unix:///?socket=/s", "unix /s" },
  { "nbd+unix://?socket=/s", "unix /s" },
  { "nbd+unix:///disk?socket=/s", "unix /s export=disk" },
  { "nbd+unix:////disk?socket=/s", "unix /s export=/disk" },
  { "nbd+unix://u@/disk?socket=/s", "unix /s export=disk user=u" },
  { "nbd+unix://u@h:1/disk?socket=/s", "unix /s export=disk user=u" },
  { "nbd+unix://[::1]:0/?socket=/s", "unix /s" },
  { "NBD+UNIX:///?SOCKET=/s", "unix /s" },
  { "nbd+uNIx:///?SoCkEt=/S", "unix /S" },

  { "nbd+unix:///?socket=s", "unix s" },
  { "nbd+unix:///?socket=./s/../t", "unix ./s/../t" },
  { "nbd+unix:///?socket=%2Fs", "unix /s" },
  { "nbd+unix:///?socket=@s", "unix @s" },
  { "nbd+unix:///?socket=%40s", "unix @s" },
  { "nbd+unix:///?socket=-s", "unix -s" },
  { "nbd+unix:///?socket=/a%20b%25%3A%26%3B%23%C3%A9",
    "unix /a b%:&;#\\xC3\\xA9" },
  { "nbd+unix:///?socket=/a=b==", "unix /a=b==" },
  { "nbd+unix:///?socket==", "unix =" },
  { "nbd+unix:///?socket=/a+b", "unix /a+b" },
  { "nbd+unix:///?socket=/a?b", "unix /a?b" },
  { "nbd+unix:///?socket=/-._~!$'()*+,=:@?", "unix /-._~!$'()*+,=:@?" },
  { "nbd+unix:///?socket=/%ff%01", "unix /\\xFF\\x01" },
  { "nbd+unix:///?socket=/s#t", "unix /s" },

  /* Abstract names. */
  { "nbd+unix:///?socket=%00s", "unix \\x00s" },
  { "nbd+unix:///disk?socket=%00", "unix \\x00 export=disk" },
  { "nbd+unix:///?socket=%00/a%20b", "unix \\x00/a b" },
  { "nbd+unix:///?socket=%00a%00b%00", "unix \\x00a\\x00b\\x00" },
  { "nbd+unix:///?socket=/s%00", "EINVAL only an abstract name" },
  { "nbd+unix:///?socket=/s%00t", "EINVAL only an abstract name" },
  { "nbd+unix:///?socket=s%00", "EINVAL only an abstract name" },

  /* None. */
  { "nbd+unix://", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///s", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///?", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///?socket", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///?socket=", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///?socket=&socket", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///?sock=/s", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///?sockets=/s", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///?/s", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///?=socket=/s", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///#?socket=/s", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///?socket%3D/s", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///?%20socket=/s", NO_SOCKET ("nbd+unix") },
  { "NBD+UNIX:///", NO_SOCKET ("nbd+unix") },

  /* Keys. */
  { "nbd+unix:///?%73ocket=/s", "unix /s" },
  { "nbd+unix:///?%53OCKET=/s", "unix /s" },
  { "nbd+unix:///?socket=/a&socket=/b", "unix /b" },
  { "nbd+unix:///?socket=/a;SOCKET=/b", "unix /b" },
  { "nbd+unix:///?socket=/a&socket=", NO_SOCKET ("nbd+unix") },
  { "nbd+unix:///?a&socket=/s&b=c", "unix /s" },
  { "nbd+unix:///?a;socket=/s;b=c", "unix /s" },
  { "nbd+unix:///?&&;;&socket=/s;;&;", "unix /s" },
  { "nbd+unix:///?=&socket=/s&=x", "unix /s" },
  { "nbd+unix:///?a=socket=/t&socket=/s", "unix /s" },
  { "nbd+unix:///?so%63ket=/s&x%3Dy=z%26socket=/t", "unix /s" },
  { "nbd+unix:///?socket=/s&nbd-port=0&compress=x", "unix /s" },
  { "nbd+unix:///?socket=/s&tls-verify-peers=x", "unix /s" },
  { "nbd+unix:///?socket=/s&%00=x", CODE },
  { "nbd+unix:///?socket=/s&unknown%00=x", CODE },
  { "nbd+unix:///?socket=/s&unknown=%00", "EINVAL the value has a NUL in it" },
  { "nbd+unix:///?socket=/s&x=%", PARSE },
  { "nbd+unix:///?socket=/s&x=%4", PARSE },
  { "nbd+unix:///?socket=/s&x=%zz", PARSE },
  { "nbd+unix:///?socket=/s&x%=1", PARSE },
  { "nbd+unix:///?socket=/s&x%4=1", PARSE },
  { "nbd+unix:///?socket=/a b", PARSE },
  { "nbd+unix:///?socket=/\303\251", PARSE },
  { "nbd+unix:///?socket=[s]", PARSE },
  { "nbd+unix:///?socket=a|b", PARSE },
  { "nbd+unix:///?socket=a\\b", PARSE },

  { "nbd+unix://h:65536/?socket=/s", "EINVAL is not a port" },
};

static const struct row vsock_rows[] = {
  { "nbd+vsock://", "vsock 2 10809" },
  { "nbd+vsock:///", "vsock 2 10809" },
  { "nbd+vsock:///disk", "vsock 2 10809 export=disk" },
  { "nbd+vsock://3", "vsock 3 10809" },
  { "NBD+VSock://3/", "vsock 3 10809" },
  { "nbd+vsock://:5/", "vsock 2 5" },
  { "nbd+vsock://u@3:10810/disk", "vsock 3 10810 export=disk user=u" },
  { "nbd+vsock://0:1/", "vsock 0 1" },
  { "nbd+vsock://007/", "vsock 7 10809" },
  { "nbd+vsock://%33/", "vsock 3 10809" },
  { "nbd+vsock://3:65536/", "vsock 3 65536" },
  { "nbd+vsock://3:99999999/", "vsock 3 99999999" },
  { "nbd+vsock://3:100000000/", "vsock 3 100000000" },
  { "nbd+vsock://3:4294967295/", "vsock 3 4294967295" },
  { "nbd+vsock://3:0/", "vsock 3 10809" },
  { "nbd+vsock://3:/", "vsock 3 10809" },
  { "nbd+vsock://3:4294967296/",
    "EINVAL port: '4294967296' is not a port" },
  { "nbd+vsock://3:18446744073709551617/", "EINVAL is not a port" },
  { "nbd+vsock://4294967295/", "vsock 4294967295 10809" },
  { "nbd+vsock://4294967296/", "EINVAL '4294967296' is not a CID" },
  { "nbd+vsock://18446744073709551618/", "EINVAL is not a CID" },
  { "nbd+vsock://-1/", "EINVAL is not a CID" },
  { "nbd+vsock://+1/", "EINVAL is not a CID" },
  { "nbd+vsock://0x3/", "EINVAL is not a CID" },
  { "nbd+vsock://3x/", "EINVAL is not a CID" },
  { "nbd+vsock://3%20/", "EINVAL is not a CID" },
  { "nbd+vsock://%203/", "EINVAL is not a CID" },
  { "nbd+vsock://3.0/", "EINVAL is not a CID" },
  { "nbd+vsock://host/", "EINVAL 'host' is not a CID" },
  { "nbd+vsock://[3]/", LITERAL },
  { "nbd+vsock://[::1]/", "EINVAL is not a CID" },
  { "nbd+vsock://3%00/", CODE },
  { "nbd+vsock://3/?socket=/s", "EINVAL did you mean nbd+unix?" },
  { "nbd+vsock://3/?nbd-port=1&compress=2", "vsock 3 10809" },
};

#define USER(name) "EINVAL '" name "' is not the name of a user"
#define HOST(name) "EINVAL '" name "' is not the name of a host"
#define DASH "EINVAL a host or user cannot begin with '-'"

/* What is wrong with ssh; what is right is made up below. */
static const struct row ssh_rows[] = {
  { "nbd+ssh://", "EINVAL nbd+ssh URI needs a host" },
  { "nbd+ssh:///disk", "EINVAL nbd+ssh URI needs a host" },
  { "nbd+ssh:///?socket=/s", "EINVAL nbd+ssh URI needs a host" },
  { "nbd+ssh://u@/", "EINVAL nbd+ssh URI needs a host" },
  { "nbd+ssh://:22/", "EINVAL nbd+ssh URI needs a host" },
  { "nbd+ssh://h:65536/", "EINVAL is not a port" },

  /* COMPAT, lesson 9. */
  { "nbd+ssh://-h/", DASH },
  { "nbd+ssh://-/", DASH },
  { "nbd+ssh://--/", DASH },
  { "nbd+ssh://-oProxyCommand=id/", DASH },
  { "nbd+ssh://-oProxyCommand%3Did/", DASH },
  { "nbd+ssh://%2Dh/", DASH },
  { "nbd+ssh://%2doProxyCommand=id/", DASH },
  { "nbd+ssh://u@-h/", DASH },
  { "nbd+ssh://-u@h/", DASH },
  { "nbd+ssh://%2du@h/", DASH },
  { "nbd+ssh://[-h]/", LITERAL },
  { "nbd+ssh://[::1%25-x%20]/", "EINVAL is not the name of a host" },
  { "nbd+ssh://a%40-oProxyCommand=id/", "EINVAL is not the name of a host" },
  { "nbd+ssh://a%40b/", HOST ("a@b") },
  { "nbd+ssh://a%20b/", HOST ("a b") },
  { "nbd+ssh://%20h/", HOST (" h") },
  { "nbd+ssh://h%0A/", HOST ("h\n") },
  { "nbd+ssh://h%3bid/", HOST ("h;id") },
  { "nbd+ssh://h;id/", HOST ("h;id") },
  { "nbd+ssh://$(id)/", HOST ("$(id)") },
  { "nbd+ssh://%60id%60/", HOST ("`id`") },
  { "nbd+ssh://h%7Cid/", HOST ("h|id") },
  { "nbd+ssh://h&id/", HOST ("h&id") },
  { "nbd+ssh://h'/", HOST ("h'") },
  { "nbd+ssh://h%22/", HOST ("h\"") },
  { "nbd+ssh://h%5C/", HOST ("h\\") },
  { "nbd+ssh://h%2Fx/", HOST ("h/x") },
  { "nbd+ssh://h=x/", HOST ("h=x") },
  { "nbd+ssh://h*/", HOST ("h*") },
  { "nbd+ssh://%C3%A9/", HOST ("\303\251") },
  { "nbd+ssh://%FF/", HOST ("\377") },
  { "nbd+ssh://%01/", HOST ("\1") },
  { "nbd+ssh://%7F/", HOST ("\177") },
  { "nbd+ssh://h%00/", CODE },
  { "nbd+ssh://u%00@h/", CODE },
  { "nbd+ssh://u%20v@h/", USER ("u v") },
  { "nbd+ssh://u%20-oX@h/", USER ("u -oX") },
  { "nbd+ssh://u%0A@h/", USER ("u\n") },
  { "nbd+ssh://u%7f@h/", USER ("u\177") },
  { "nbd+ssh://u;id@h/", USER ("u;id") },
  { "nbd+ssh://$(id)@h/", USER ("$(id)") },
  { "nbd+ssh://%60id%60@h/", USER ("`id`") },
  { "nbd+ssh://u%7Cid@h/", USER ("u|id") },
  { "nbd+ssh://u&id@h/", USER ("u&id") },
  { "nbd+ssh://u'@h/", USER ("u'") },
  { "nbd+ssh://u%22@h/", USER ("u\"") },
  { "nbd+ssh://u%3Ex@h/", USER ("u>x") },
  { "nbd+ssh://u%5C@h/", USER ("u\\") },

  /* The other side. */
  { "nbd+ssh://h/?socket=", "EINVAL the socket cannot be empty" },
  { "nbd+ssh://h/?socket", "EINVAL the socket cannot be empty" },
  { "nbd+ssh://h/?socket=%00s", "EINVAL the socket cannot be empty or an "
    "abstract one" },
  { "nbd+ssh://h/?socket=/s%00", "EINVAL only an abstract name" },
  { "nbd+ssh://h/?nbd-port=0", "EINVAL nbd-port: '0' is not a port from 1 to "
    "65535" },
  { "nbd+ssh://h/?nbd-port=65536", "EINVAL nbd-port: '65536' is not a port" },
  { "nbd+ssh://h/?nbd-port=", "EINVAL nbd-port: '' is not a port" },
  { "nbd+ssh://h/?nbd-port", "EINVAL nbd-port: '' is not a port" },
  { "nbd+ssh://h/?NBD-port=x", "EINVAL NBD-port: 'x' is not a port" },
  { "nbd+ssh://h/?nbd-port=1x", "EINVAL '1x' is not a port" },
  { "nbd+ssh://h/?nbd-port=+1", "EINVAL '+1' is not a port" },
  { "nbd+ssh://h/?nbd-port=-1", "EINVAL '-1' is not a port" },
  { "nbd+ssh://h/?nbd-port=%201", "EINVAL ' 1' is not a port" },
  { "nbd+ssh://h/?nbd-port=1%20", "EINVAL '1 ' is not a port" },
  { "nbd+ssh://h/?nbd-port=1;id", "ssh|-p|22|--|h|nc localhost 1" },
  { "nbd+ssh://h/?nbd-port=1%3bid", "EINVAL '1;id' is not a port" },
  { "nbd+ssh://h/?nbd-port=4294967297", "EINVAL is not a port" },
  { "nbd+ssh://h/?nbd-port=18446744073709551617", "EINVAL is not a port" },
  { "nbd+ssh://h/?nbd-port=5%00", "EINVAL the value has a NUL in it" },
  { "nbd+ssh://h/?nbd-port=1&nbd-port=2", "ssh|-p|22|--|h|nc localhost 2" },
  { "nbd+ssh://h/?nbd-port=0&nbd-port=2", "EINVAL is not a port" },
  { "nbd+ssh://h/?compress=1&compress=0",
    "ssh|-p|22|--|h|nc localhost 10809" },
  { "nbd+ssh://h/?compress=1%00", "EINVAL the value has a NUL in it" },

  /* Words that are not in the combinations below. */
  { "NBD+SSH://h", "ssh|-p|22|--|h|nc localhost 10809" },
  { "nbd+ssh://h:0/", "ssh|-p|22|--|h|nc localhost 10809" },
  { "nbd+ssh://h:1/", "ssh|-p|1|--|h|nc localhost 10809" },
  { "nbd+ssh://@h/", "ssh|-p|22|--|h|nc localhost 10809" },
  { "nbd+ssh://[fe80::1%25eth0]/",
    "ssh|-p|22|--|fe80::1%eth0|nc localhost 10809" },
  { "nbd+ssh://h/?tls-username=t",
    "ssh|-p|22|--|h|nc localhost 10809 user=t" },
  { "nbd+ssh://u@h/disk?tls-username=t&tls-hostname=n",
    "ssh|-p|22|-l|u|--|h|nc localhost 10809 export=disk user=t hostname=n" },
  { "nbd+ssh://u%40corp@h/", "ssh|-p|22|-l|u@corp|--|h|nc localhost 10809" },
  { "nbd+ssh://CORP%5Cu@h/",
    "ssh|-p|22|-l|CORP\\x5Cu|--|h|nc localhost 10809" },
  { "nbd+ssh://u:p@h/", "ssh|-p|22|-l|u:p|--|h|nc localhost 10809" },
  { "nbd+ssh://%C3%A9@h/",
    "ssh|-p|22|-l|\\xC3\\xA9|--|h|nc localhost 10809" },
  { "nbd+ssh://h/?NBD-PORT=00005", "ssh|-p|22|--|h|nc localhost 5" },
  { "nbd+ssh://h/?Socket=/s&nbd-port=5", "ssh|-p|22|--|h|nc -U '/s'" },
};

#define LOCAL(key) "EPERM local file access (" key ") is not allowed, call " \
  "nbd_set_uri_allow_local_file"

static const struct row tls_key_rows[] = {
  { "nbd://h/?tls-username=u", "tcp h 10809 user=u" },
  { "nbd://h/?TLS-USERNAME=a%20%25%40%C3%A9",
    "tcp h 10809 user=a %@\\xC3\\xA9" },
  { "nbd://u@h/?tls-username=v", "tcp h 10809 user=v" },
  { "nbd://u@h/?tls-username=", "tcp h 10809" },
  { "nbd://u@h/?tls-user=v", "tcp h 10809 user=u" },
  { "nbd://h/?tls-username=a&tls-username=b", "tcp h 10809 user=b" },
  { "nbd://h/?tls-username=a%00", "EINVAL tls-username: the value has a NUL" },
  { "nbd://h/?tls-hostname=n", "tcp h 10809 hostname=n" },
  { "nbd://h/?Tls-HostName=n;TLS-HOSTNAME=m", "tcp h 10809 hostname=m" },
  { "nbd://h/?tls-hostname", "tcp h 10809" },
  { "nbd://h/?tls-hostname=%00", "EINVAL tls-hostname: the value has a NUL" },
  { "nbd+unix://u@/d?tls-hostname=n&socket=/s",
    "unix /s export=d user=u hostname=n" },
  { "nbd+vsock://u@/d?tls-hostname=n",
    "vsock 2 10809 export=d user=u hostname=n" },

  { "nbd://h/?tls-certificates=/c", LOCAL ("tls-certificates") },
  { "nbd://h/?TLS-Certificates=/c", LOCAL ("TLS-Certificates") },
  { "nbd://h/?tls%2Dcertificates", LOCAL ("tls-certificates") },
  { "nbd://h/?tls-psk-file=/p", LOCAL ("tls-psk-file") },
  { "nbd+unix:///?socket=/s&tls-psk-file=/p", LOCAL ("tls-psk-file") },
  { "nbd+vsock:///?tls-psk-file=/p", LOCAL ("tls-psk-file") },
  { "nbd+ssh://h/?tls-psk-file=/p", LOCAL ("tls-psk-file") },
  { "nbd://h/?tls-psk-file=/p&tls-psk-file=", LOCAL ("tls-psk-file") },
  { "nbd://h/?tls-certificates=%00", "EINVAL the value has a NUL" },

  { "nbd://h/?tls-priority=NORMAL", "EPERM setting the TLS priority is not "
    "allowed, call nbd_set_uri_allow_tls_priority" },
  { "nbd://h/?TLS-PRIORITY=", "EPERM the TLS priority is not allowed" },

  { "nbd://h/?tls-verify-peer=0", "tcp h 10809 verify-peer=no" },
  { "nbd://h/?TLS-VERIFY-PEER=0", "tcp h 10809 verify-peer=no" },
  { "nbd://h/?tls-verify-peer=1", "tcp h 10809" },
  { "nbd://h/?tls-verify-peer=0&tls-verify-peer=1", "tcp h 10809" },
  { "nbd://h/?tls-verify-peer=1;tls-verify-peer=0",
    "tcp h 10809 verify-peer=no" },
  { "nbd://h/?tls-verify-peer=x&tls-verify-peer=1",
    "EINVAL tls-verify-peer: cannot parse 'x' as a boolean" },
  { "nbd://h/?tls-verify-peer", "EINVAL cannot parse '' as a boolean" },
};

/* The same where local files are allowed. */
static const struct row files_rows[] = {
  { "nbd://h/?tls-certificates=/c%20d", "tcp h 10809 certificates=/c d" },
  { "nbd://h/?tls-psk-file=p%25", "tcp h 10809 psk-file=p%" },
  { "nbd://h/?TLS-PSK-FILE=/p&tls-certificates=/c&tls-psk-file=/q",
    "tcp h 10809 certificates=/c psk-file=/q" },
  { "nbd://h/?tls-psk-file=/p%00", "EINVAL the value has a NUL" },
  { "nbd://h/?tls-priority=NORMAL", "EPERM the TLS priority is not allowed" },
};

/* Where the TLS priority is allowed. */
static const struct row priority_rows[] = {
  { "nbd://h/?tls-psk-file=/p", LOCAL ("tls-psk-file") },
  { "nbd://h/?tls-priority=NORMAL:%25COMPAT:-VERS-ALL",
    "tcp h 10809 priority=NORMAL:%COMPAT:-VERS-ALL" },
  { "nbd://h/?TLS-prIorIty=X", "tcp h 10809 priority=X" },
  { "nbd://h/?tls-priority=X%00", "EINVAL the value has a NUL" },
};

/* Those that ask for TLS. */
static const struct row tls_rows[] = {
  { "nbds://h/", TLS ("tcp h 10809 tls=2") },
  { "NBDS://u@h:1/disk", TLS ("tcp h 1 export=disk tls=2 user=u") },
  { "nbds+unix:///?socket=/s", TLS ("unix /s tls=2") },
  { "nbds+vsock://", TLS ("vsock 2 10809 tls=2") },
  { "nbds+ssh://h/", TLS ("ssh|-p|22|--|h|nc localhost 10809 tls=2") },
  { "nbds+ssh://u@h/?tls-username=v", TLS ("ssh|-p|22|-l|u|--|h|nc localhost "
                                           "10809 tls=2 user=v") },
  { "nbds://h/?tls-hostname=n&tls-verify-peer=no",
    TLS ("tcp h 10809 tls=2 hostname=n verify-peer=no") },
  { "nbds://h/?tls-psk-file=/p", LOCAL ("tls-psk-file") },
  { "nbds://h/?socket=/s", "EINVAL not for the scheme nbds" },
  { "nbds:disk", "EINVAL URI must begin with 'nbds://'" },
};

/* The handle is as it was before. */
static bool
is_untouched (struct nbd_handle *h)
{
  return nbd_aio_is_created (h) == 1 &&
    strcmp (settings_in (h), "settings:") == 0;
}

/* A URI that was refused is refused by the other function, too. */
static bool
is_refused_twice (struct nbd_handle *h, const char *uri)
{
  static const char function[] = "nbd_connect_uri: ";
  int errnum = nbd_get_errno ();

  return nbd_connect_uri (h, uri) == -1 && nbd_get_errno () == errnum &&
    strncmp (nbd_get_error (), function, strlen (function)) == 0 &&
    strstr (nbd_get_error (), strerror (errnum));
}

static void
check_row (const char *uri, const char *want, unsigned allow)
{
  struct nbd_handle *h = new_handle ();
  const char *got;
  bool good;

  if (!HAVE_URIS)
    want = NO_URIS;
  must (nbd_set_uri_allow_local_file (h, allow & FILES));
  h->uri_allow_tls_priority = allow & PRIORITY;
  nr_connects = 0;
  got = target_of (h, uri);
  good = is_as_wanted (got, want);
  if (want[0] == 'E')
    good = good && is_refused_twice (h, uri) && nr_connects == 0;
  else
    good = good && nr_connects == 1 && nbd_is_uri (h, uri) == 1;
  take_back (h);
  good = good && is_untouched (h);
  if (!ok (good, "%s%s%s", strpbrk (uri, "\n\1") ? "(control characters)" :
           *uri ? uri : "(empty)", allow & FILES ? " with files" : "",
           allow & PRIORITY ? " with a priority" : "")) {
    note ("got:  %s", got);
    note ("want: %s", want);
  }
  nbd_close (h);
}

static void
check_rows (const struct row *rows, size_t n, unsigned allow)
{
  for (size_t i = 0; i < n; i++)
    check_row (rows[i].uri, rows[i].want, allow);
}

/* The words of ssh, in all combinations. */
static void
check_ssh (void)
{
  static const char *const users[][2] = {
    { "", "" }, { "bob@", "-l|bob|" }, { "a.b%2d_9@", "-l|a.b-_9|" },
  };
  static const char *const hosts[][2] = {
    { "example.com", "example.com" }, { "[::1]", "::1" },
    { "%31.2.3.4", "1.2.3.4" },
  };
  static const char *const ports[][2] = {
    { "", "22" }, { ":2222", "2222" }, { ":65535", "65535" },
  };
  static const char *const compress[][2] = {
    { "", "" }, { "&compress=1", "-C|" }, { "&compress=no", "" },
  };
  static const char *const remote[][2] = {
    { "", "nc localhost 10809" },
    { "&nbd-port=1", "nc localhost 1" },
    { "&nbd-port=65535", "nc localhost 65535" },
    { "&socket=/s", "nc -U '/s'" },
    { "&socket=s&nbd-port=7", "nc -U 's'" },
    { "&socket=-s", "nc -U ./'-s'" },
    { "&socket=-", "nc -U ./'-'" },
    { "&socket=/a%20%20b", "nc -U '/a  b'" },
    { "&socket=/it's", "nc -U '/it'\\x5C''s'" },
    { "&socket=''", "nc -U ''\\x5C'''\\x5C'''" },
    { "&socket=/%22%5C%60", "nc -U '/\"\\x5C`'" },
    { "&socket=/s%3Bid", "nc -U '/s;id'" },
    { "&socket=$(id)", "nc -U '$(id)'" },
    { "&socket='$(id)'", "nc -U ''\\x5C''$(id)'\\x5C'''" },
    { "&socket=~/*?!%23%26%7C%3C%3E", "nc -U '~/*?!#&\\x7C<>'" },
    { "&socket=%0Aid%0A", "nc -U '\\x0Aid\\x0A'" },
    { "&socket=%C3%A9%FF", "nc -U '\\xC3\\xA9\\xFF'" },
  };
  unsigned n[5] = { 0 };

  for (n[0] = 0; n[0] < COUNT (users); n[0]++)
    for (n[1] = 0; n[1] < COUNT (hosts); n[1]++)
      for (n[2] = 0; n[2] < COUNT (ports); n[2]++)
        for (n[3] = 0; n[3] < COUNT (compress); n[3]++)
          for (n[4] = 0; n[4] < COUNT (remote); n[4]++) {
            char *uri = make_text ("nbd+ssh://%s%s%s/disk?%s%s",
                                   users[n[0]][0], hosts[n[1]][0],
                                   ports[n[2]][0], compress[n[3]][0],
                                   remote[n[4]][0]);
            char *want = make_text ("ssh|-p|%s|%s%s--|%s|%s export=disk",
                                    ports[n[2]][1], compress[n[3]][1],
                                    users[n[0]][1], hosts[n[1]][1],
                                    remote[n[4]][1]);

            check_row (uri, want, 0);
            free (uri);
            free (want);
          }
}

/* What a POSIX shell makes of the command for the other side. */
static void
check_remote_shell (void)
{
  static const char socket[] =
    "&socket=/it's%20%22%5C%60%3B$(id)%0A%26%7C%3C%3E*~%C3%A9'";
  static const char want[] = "-U /it's \"\\`;$(id)\n&|<>*~\303\251'";
  struct nbd_handle *h = new_handle ();
  char *uri = make_text ("nbd+ssh://h/?%s", socket + 1);
  char *command, *script, line[256];
  const char *target = target_of (h, uri), *s;
  size_t n = 0;
  FILE *fp;

  take_back (h);
  free (uri);
  nbd_close (h);
  if (!HAVE_URIS)
    return;
  /* The last word, without what makes it printable. */
  command = checked (strdup (strrchr (target, '|') + 1));
  for (s = command; *s; s++) {
    unsigned v = (unsigned char) *s;

    if (strncmp (s, "\\x", 2) == 0 && sscanf (s + 2, "%2x", &v) == 1)
      s += 3;
    command[n++] = v;
  }
  command[n] = '\0';
  script = make_text ("nc () { printf '%%s' \"$*\"; test $# = 2; }; %s",
                      command);
  fp = checked (popen (script, "r"));
  n = fread (line, 1, sizeof line - 1, fp);
  line[n] = '\0';
  is_int (pclose (fp), 0, "a shell passes the socket to nc as one word");
  is_str (line, want, "and unchanged");
  free (script);
  free (command);
}

static void
check_booleans (void)
{
  static const char *const words[][2] = {
    { "1", "0" }, { "true", "false" }, { "t", "f" }, { "yes", "no" },
    { "y", "n" }, { "on", "off" }, { "TRUE", "FALSE" }, { "T", "F" },
    { "Yes", "No" }, { "Y", "N" }, { "oN", "oFF" }, { "tRuE", "fAlSe" },
    { "%74rue", "%66alse" },
  };
  static const char *const wrong[] = {
    "", "2", "-1", "00", "01", "10", "tru", "truee", "fals", "ye", "yess",
    "o", "of", "offf", "enable", "null", "%20yes", "yes%20", "yes%0A", "1,0",
    "yes%00", "+1", "%C3%A9",
  };

  for (size_t i = 0; i < COUNT (words); i++)
    for (int v = 0; v < 2; v++) {
      char *uri = make_text ("nbd://h/?tls-verify-peer=%s", words[i][!v]);

      check_row (uri, v ? "tcp h 10809" : "tcp h 10809 verify-peer=no", 0);
      free (uri);
      uri = make_text ("nbd+ssh://h/?COMPRESS=%s", words[i][!v]);
      check_row (uri, v ? "ssh|-p|22|-C|--|h|nc localhost 10809" :
                 "ssh|-p|22|--|h|nc localhost 10809", 0);
      free (uri);
    }
  for (size_t i = 0; i < COUNT (wrong); i++) {
    const char *want = strstr (wrong[i], "%00") ? "EINVAL has a NUL in it" :
      "EINVAL as a boolean";
    char *uri = make_text ("nbd://h/?tls-verify-peer=%s", wrong[i]);

    check_row (uri, want, 0);
    free (uri);
    uri = make_text ("nbd+ssh://h/?compress=%s", wrong[i]);
    check_row (uri, want, 0);
    free (uri);
  }
}

/* Long names. */
static void
check_long (void)
{
  static const size_t sizes[] = { 4095, 4096, 4097, 100000 };

  for (size_t i = 0; i < COUNT (sizes); i++) {
    struct nbd_handle *h = new_handle ();
    char *name = repeat ('n', sizes[i]);
    char *uri = make_text ("nbd://h/%s", name);
    const char *got = target_of (h, uri);

    if (!HAVE_URIS)
      ok (is_as_wanted (got, NO_URIS), "%s", NO_URIS);
    else if (sizes[i] > 4096) {
      ok (is_as_wanted (got, "ENAMETOOLONG"), "an export name of %zu bytes",
          sizes[i]);
      ok (is_untouched (h), "it is not in the handle");
      ok (is_refused_twice (h, uri), "and is refused by nbd_connect_uri");
    }
    else
      is_str (h->export_name, name, "an export name of %zu bytes", sizes[i]);
    take_back (h);
    free (uri);
    free (name);
    nbd_close (h);
  }
  /* What does not fit into the text of an error. */
  for (int known = 0; known < 2; known++) {
    struct nbd_handle *h = new_handle ();
    char *name = repeat ('%', 100000);
    char *uri = make_text ("%s://%s", known ? "nbd" : "x", name);

    ok (is_as_wanted (target_of (h, uri), HAVE_URIS ? PARSE : NO_URIS),
        "a long URI that cannot be parsed");
    free (uri);
    free (name);
    nbd_close (h);
  }
}

/* nbd_supports_uri, nbd_is_uri */
static void
check_is_uri (void)
{
  static const char *const schemes[] = {
    "nbd", "nbds", "nbd+unix", "nbds+unix", "nbd+vsock", "nbds+vsock",
    "nbd+ssh", "nbds+ssh",
  };
  static const char *const yes[] = {
    "nbd://", "nbd:///", "nbd:// !%\n", "nbd://h:70000", "nbd+unix://",
    "nbd+ssh://-h", "nBdS+UnIx://", "NBDS+UNIX://", "nbd://://",
  };
  static const char *const no[] = {
    "", "n", "nbd", "nbds", "nbd:", "nbd:/", "nbd:/x/", "nbd:\\\\",
    "nbd+unix:/", "nbd+unix:/s", "nbd+unix", "nbdss://", "nbd+://",
    "nbd+tcp://", "nbd+unixx://", "nbd+uni://", "nb://", "xnbd://",
    " nbd://", "\tnbd://", "http://", "/nbd://", "localhost", "/path", "NBD",
    "nbd+unix+ssh://", "nbd%3A//", "n\303\251d://", "nbd+vsoc\313\232://",
    "[\\]://", "N\002D://", "file:nbd://", "nbd-unix://", "nbdx+ssh://",
  };
  struct nbd_handle *h = new_handle ();

  is_int (nbd_supports_uri (h), HAVE_URIS, "nbd_supports_uri");
  for (size_t i = 0; i < COUNT (schemes); i++)
    for (int upper = 0; upper < 2; upper++) {
      char *uri = make_text ("%s://anything", schemes[i]);

      for (char *c = uri; upper && *c; c++)
        if (*c >= 'a' && *c <= 'z')
          *c -= 32;
      is_int (nbd_is_uri (h, uri), 1, "%s is one", uri);
      uri[strlen (schemes[i]) + 1] = '\0';
      is_int (nbd_is_uri (h, uri), 0, "%s is none", uri);
      free (uri);
    }
  for (size_t i = 0; i < COUNT (yes); i++)
    is_int (nbd_is_uri (h, yes[i]), 1, "yes, number %zu", i);
  for (size_t i = 0; i < COUNT (no); i++)
    is_int (nbd_is_uri (h, no[i]), 0, "no, number %zu", i);
  is_int (nbd_is_uri (h, NULL), -1, "NULL is an error");
  is_int (nbd_get_errno (), EFAULT, "which is EFAULT");

  /* Nothing that the handle permits is looked at. */
  must (nbd_set_uri_allow_transports (h, 0));
  must (nbd_set_uri_allow_tls (h, LIBNBD_TLS_DISABLE));
  is_int (nbd_is_uri (h, "nbds+ssh://h"), 1, "what is not allowed is one");
  nbd_close (h);
}

/* What a program allows: each mask, with each scheme and each mode of TLS. */
static void
check_allowed (void)
{
  static const struct {
    const char *uri, *refused, *target;
    uint32_t transport;
    bool tls;
  } schemes[] = {
    { "nbd://h/", "EPERM URI transport nbd is not permitted",
      "tcp h 10809", LIBNBD_ALLOW_TRANSPORT_TCP, false },
    { "nbds://h/", "EPERM URI transport nbds is not permitted",
      TLS ("tcp h 10809 tls=2"), LIBNBD_ALLOW_TRANSPORT_TCP, true },
    { "NBD+UNIX:///?socket=/s",
      "EPERM URI transport nbd+unix is not permitted",
      "unix /s", LIBNBD_ALLOW_TRANSPORT_UNIX, false },
    { "nbds+unix:///?socket=/s",
      "EPERM URI transport nbds+unix is not permitted",
      TLS ("unix /s tls=2"), LIBNBD_ALLOW_TRANSPORT_UNIX, true },
    { "nbd+vsock://3/", "EPERM URI transport nbd+vsock is not permitted",
      "vsock 3 10809", LIBNBD_ALLOW_TRANSPORT_VSOCK, false },
    { "nbds+vsock://3/", "EPERM URI transport nbds+vsock is not permitted",
      TLS ("vsock 3 10809 tls=2"), LIBNBD_ALLOW_TRANSPORT_VSOCK, true },
    { "nbd+ssh://h/", "EPERM URI transport nbd+ssh is not permitted",
      "ssh|-p|22|--|h|nc localhost 10809", LIBNBD_ALLOW_TRANSPORT_SSH, false },
    { "nbds+ssh://h/", "EPERM URI transport nbds+ssh is not permitted",
      TLS ("ssh|-p|22|--|h|nc localhost 10809 tls=2"),
      LIBNBD_ALLOW_TRANSPORT_SSH, true },
  };
  static const int modes[] = {
    LIBNBD_TLS_DISABLE, LIBNBD_TLS_ALLOW, LIBNBD_TLS_REQUIRE,
  };

  is_int (LIBNBD_ALLOW_TRANSPORT_MASK, 15, "there are four transports");
  for (uint32_t mask = 0; mask <= LIBNBD_ALLOW_TRANSPORT_MASK; mask++)
    for (size_t m = 0; m < COUNT (modes); m++)
      for (size_t i = 0; i < COUNT (schemes); i++) {
        struct nbd_handle *h = new_handle ();
        const char *want = schemes[i].target, *got;

        must (nbd_set_uri_allow_transports (h, mask));
        must (nbd_set_uri_allow_tls (h, modes[m]));
        if (!HAVE_URIS)
          want = NO_URIS;
        else if (!(mask & schemes[i].transport))
          want = schemes[i].refused;
        else if (schemes[i].tls && modes[m] == LIBNBD_TLS_DISABLE)
          want = "EPERM TLS is not permitted in URIs: nbds";
        else if (!schemes[i].tls && modes[m] == LIBNBD_TLS_REQUIRE)
          want = "EPERM URIs must ask for TLS: nbd";
        nr_connects = 0;
        got = target_of (h, schemes[i].uri);
        if (!ok (is_as_wanted (got, want) && nr_connects == (*want != 'E'),
                 "mask %u, TLS %d: %s", mask, modes[m], schemes[i].uri)) {
          note ("got:  %s", got);
          note ("want: %s", want);
        }
        take_back (h);
        ok (is_untouched (h), "mask %u, TLS %d: %s: the handle is new", mask,
            modes[m], schemes[i].uri);
        nbd_close (h);
      }
}

/* The functions that set it. */
static void
check_allow_functions (void)
{
  static const uint32_t bad_masks[] = {
    16, 0x1f, 0x80000000, UINT32_MAX, LIBNBD_ALLOW_TRANSPORT_TCP | 32,
  };
  static const int bad_modes[] = { -1, 3, 42, INT32_MIN, INT32_MAX };
  static const char tls[] = "nbds://h/", plain[] = "nbd://h/";
  static const char file[] = "nbd://h/?tls-psk-file=/p";
  const char *none = HAVE_URIS ? NULL : NO_URIS;
  struct nbd_handle *h = new_handle ();

#define IS(uri, want, ...)                                              \
  do {                                                                  \
    ok (is_as_wanted (target_of (h, uri), none ? none : want), __VA_ARGS__); \
    take_back (h);                                                      \
  } while (0)

  IS (plain, "tcp h 10809", "a new handle allows the transport");
  IS (tls, TLS ("tcp h 10809 tls=2"), "and TLS");
  IS (file, "EPERM", "but no files");

  must (nbd_set_uri_allow_transports (h, LIBNBD_ALLOW_TRANSPORT_UNIX));
  for (size_t i = 0; i < COUNT (bad_masks); i++) {
    is_int (nbd_set_uri_allow_transports (h, bad_masks[i]), -1,
            "mask 0x%x is wrong", bad_masks[i]);
    is_int (nbd_get_errno (), EINVAL, "mask 0x%x: EINVAL", bad_masks[i]);
    ok (strstr (nbd_get_error (), "nbd_set_uri_allow_transports: mask: "),
        "mask 0x%x: the text names the parameter", bad_masks[i]);
    IS (plain, "EPERM", "mask 0x%x: it is not taken", bad_masks[i]);
  }
  must (nbd_set_uri_allow_transports (h, LIBNBD_ALLOW_TRANSPORT_TCP));
  IS ("nbd+unix:///?socket=/s", "EPERM", "a mask replaces the one before");
  IS (plain, "tcp h 10809", "and is obeyed");
  IS ("nbd+unix:///", "EPERM", "what is not allowed is not read further");
  IS ("nbd+ssh://-h:70000/?compress=x", "EPERM", "no part of it");
  IS ("nbd+unix:", "EINVAL", "if it is a URI at all");

  for (int mode = 0; mode < 3; mode++) {
    must (nbd_set_uri_allow_tls (h, mode));
    for (size_t i = 0; i < COUNT (bad_modes); i++) {
      is_int (nbd_set_uri_allow_tls (h, bad_modes[i]), -1, "mode %d is wrong",
              bad_modes[i]);
      is_int (nbd_get_errno (), EINVAL, "mode %d: EINVAL", bad_modes[i]);
      ok (strstr (nbd_get_error (), "nbd_set_uri_allow_tls: tls: "),
          "mode %d: the text names the parameter", bad_modes[i]);
    }
    IS (plain, mode == LIBNBD_TLS_REQUIRE ? "EPERM" : "tcp h 10809",
        "mode %d stays: %s", mode, plain);
    IS (tls, mode == LIBNBD_TLS_DISABLE ? "EPERM" :
        TLS ("tcp h 10809 tls=2"), "mode %d stays: %s", mode, tls);
  }
  must (nbd_set_uri_allow_tls (h, LIBNBD_TLS_ALLOW));

  for (int i = 0; i < 2; i++) {
    must (nbd_set_uri_allow_local_file (h, true));
    IS (file, "tcp h 10809 psk-file=/p", "files are allowed");
    must (nbd_set_uri_allow_local_file (h, false));
    IS (file, "EPERM", "and are not any more");
  }

  /* All of it is about URIs. */
  must (nbd_set_uri_allow_transports (h, 0));
  must (nbd_set_uri_allow_tls (h, LIBNBD_TLS_REQUIRE));
  is_int (nbd_aio_connect_tcp (h, "h", "1"), 0,
          "nbd_connect_tcp is not restricted");
  is_int (nbd_aio_connect_vsock (h, 1, 1), 0, "nor is nbd_connect_vsock");
#undef IS
  nbd_close (h);
}

/* What the parts of a connection become. */
static char *
uri_of (struct nbd_handle *h)
{
  h->function = "nbd_get_uri";
  return api_get_uri (h);
}

static void
check_uri_of (struct nbd_handle *h, const char *want)
{
  char *uri = uri_of (h);

  is_str (uri, want, "nbd_get_uri: %s", want);
  free (uri);
}

static void
check_get_uri (void)
{
  struct nbd_handle *h = new_handle ();
  char *uri;

  is_str (nbd_get_uri (h), NULL, "a new handle has no URI");
  is_int (nbd_get_errno (), ENOTCONN, "which is ENOTCONN");
  is_str (uri_of (h), NULL, "a connection of another kind has none");
  is_int (nbd_get_errno (), EINVAL, "which is EINVAL");

  uri_remember_tcp (h, "localhost", "10809");
  check_uri_of (h, "nbd://localhost:10809/");
  uri_remember_tcp (h, "1.2.3.4", "1");
  check_uri_of (h, "nbd://1.2.3.4:1/");
  uri_remember_tcp (h, "2001:db8::1", "10809");
  check_uri_of (h, "nbd://[2001:db8::1]:10809/");
  uri_remember_tcp (h, "fe80::1%eth0", "10809");
  check_uri_of (h, "nbd://[fe80::1%25eth0]:10809/");
  uri_remember_tcp (h, "fe80::1%eth0:1", "10809");
  check_uri_of (h, "nbd://[fe80::1%25eth0%3A1]:10809/");
  uri_remember_tcp (h, "a:b", "10809");
  check_uri_of (h, "nbd://a%3Ab:10809/");
  uri_remember_tcp (h, "a b%/?#@\303\251", "10809");
  check_uri_of (h, "nbd://a%20b%25%2F%3F%23%40%C3%A9:10809/");

  uri_remember_vsock (h, 2, 10809);
  check_uri_of (h, "nbd+vsock://2:10809/");
  uri_remember_vsock (h, UINT32_MAX, UINT32_MAX);
  check_uri_of (h, "nbd+vsock://4294967295:4294967295/");

  uri_remember_unix (h, "/run/nbd.sock", 13);
  check_uri_of (h, "nbd+unix:///?socket=/run/nbd.sock");
  uri_remember_unix (h, "relative", 8);
  check_uri_of (h, "nbd+unix:///?socket=relative");
  uri_remember_unix (h, "/a b%:;&#?=+'\"\303\251", 16);
  check_uri_of (h, "nbd+unix:///?socket=/a%20b%25:%3B%26%23?=%2B'%22%C3%A9");
  uri_remember_unix (h, "\0a\0", 3);
  check_uri_of (h, "nbd+unix:///?socket=%00a%00");

  /* The export is the one that is set now. */
  must (nbd_set_export_name (h, "disk"));
  check_uri_of (h, "nbd+unix:///disk?socket=%00a%00");
  uri_remember_tcp (h, "h", "1");
  check_uri_of (h, "nbd://h:1/disk");
  must (nbd_set_export_name (h, "/a b%:?#@&\303\251"));
  check_uri_of (h, "nbd://h:1//a%20b%25%3A%3F%23@&%C3%A9");
  must (nbd_set_export_name (h, "//"));
  check_uri_of (h, "nbd://h:1///");
  must (nbd_set_export_name (h, ""));

  /* TLS. */
  h->tls.username = strdup ("a:b@c/\303\251");
  check_uri_of (h, "nbd://a:b%40c%2F%C3%A9@h:1/");
  uri_remember_unix (h, "/s", 2);
  check_uri_of (h, "nbd+unix://a:b%40c%2F%C3%A9@/?socket=/s");
  uri_remember_vsock (h, 3, 4);
  check_uri_of (h, "nbd+vsock://a:b%40c%2F%C3%A9@3:4/");
  h->tls.username[0] = '\0';
  check_uri_of (h, "nbd+vsock://3:4/");
  h->tls.hostname = strdup ("n m");
  check_uri_of (h, "nbd+vsock://3:4/?tls-hostname=n%20m");
  h->tls.certificates = strdup ("/c");
  h->tls.psk_file = strdup ("/p&q");
  h->tls.priority = strdup ("NORMAL:%COMPAT:+X");
  h->tls.verify_peer = false;
  check_uri_of (h, "nbd+vsock://3:4/?tls-certificates=/c&tls-psk-file=/p%26q"
                "&tls-hostname=n%20m&tls-priority=NORMAL:%25COMPAT:%2BX"
                "&tls-verify-peer=false");
  h->tls.certificates[0] = h->tls.psk_file[0] = h->tls.hostname[0] =
    h->tls.priority[0] = '\0';
  check_uri_of (h, "nbd+vsock://3:4/?tls-verify-peer=false");
  h->tls.verify_peer = true;

  /* The scheme says whether TLS is, or would have been, used. */
  for (int negotiated = 0; negotiated < 2; negotiated++)
    for (int mode = 0; mode < 3; mode++) {
      bool secure = negotiated || mode == LIBNBD_TLS_REQUIRE;

      h->tls_negotiated = negotiated;
      h->tls.mode = mode;
      uri = make_text ("nbd%s+vsock://3:4/", secure ? "s" : "");
      check_uri_of (h, uri);
      free (uri);
    }
  h->tls_negotiated = true;
  uri_remember_unix (h, "/s", 2);
  check_uri_of (h, "nbds+unix:///?socket=/s");
  uri_remember_tcp (h, "h", "1");
  check_uri_of (h, "nbds://h:1/");
  nbd_close (h);
}

/* Names made of bytes that are trouble. */
#define NAME_SIZE 128

static size_t
random_name (char *to, const char *without)
{
  static const char *const pieces[] = {
    " ", "%", "%00", "%41", "%zz", "/", "//", ":", "?", "#", "&", ";", "=",
    "'", "\"", "@", "+", "[", "]", "\\", "\n", "\t", "\303\251",
    "\342\202\254", "\360\237\222\276", "\377", "socket=", "..", ".", "nbd://",
    "-", "~", "a", "Z", "0",
  };
  unsigned style = below (3), want = 1 + below (NAME_SIZE / 2);
  size_t n = 0;

  while (n < want) {
    char bytes[8];

    if (style == 0)
      sprintf (bytes, "%c", 1 + below (255));
    else if (style == 1)
      strcpy (bytes, pieces[below (COUNT (pieces))]);
    else
      sprintf (bytes, "%c", "abcXYZ019-._~"[below (13)]);
    if (strpbrk (bytes, without))
      continue;
    strcpy (to + n, bytes);
    n += strlen (bytes);
  }
  return n;
}

static void
random_setting (char **to)
{
  char name[NAME_SIZE];

  if (below (3) > 0)
    return;
  random_name (name, "");
  *to = strdup (name);
}

static bool
text_part_is (struct part p, const char *s)
{
  return part_is (p, s, s ? strlen (s) : 0);
}

/* The URI has all parts, and in them no byte that does not belong there. */
static bool
says_all (struct nbd_handle *h, const char *uri)
{
  static const char *const schemes[][2] = {
    [URI_TCP] = { "nbd", "nbds" },
    [URI_UNIX] = { "nbd+unix", "nbds+unix" },
    [URI_VSOCK] = { "nbd+vsock", "nbds+vsock" },
  };
  bool secure = h->tls.mode == LIBNBD_TLS_REQUIRE;
  const struct uri_parts *u = &h->uri;
  char cid[16], port[16];
  struct split_uri p;

  if (!split_uri (uri, &p))
    return false;
  snprintf (cid, sizeof cid, "%u", u->cid);
  snprintf (port, sizeof port, "%u", u->vsock_port);
  return text_part_is (p.scheme, schemes[u->kind][secure]) &&
    text_part_is (p.user, h->tls.username) &&
    text_part_is (p.host, u->kind == URI_TCP ? u->host :
                  u->kind == URI_VSOCK ? cid : "") &&
    text_part_is (p.port, u->kind == URI_TCP ? u->port :
                  u->kind == URI_VSOCK ? port : NULL) &&
    p.path.n > 0 && *p.path.s == '/' &&
    text_part_is ((struct part) { p.path.s + 1, p.path.n - 1 },
                  h->export_name) &&
    part_is (find_key (p.query, "socket"), u->path, u->path_length) &&
    text_part_is (find_key (p.query, "tls-certificates"),
                  h->tls.certificates) &&
    text_part_is (find_key (p.query, "tls-psk-file"), h->tls.psk_file) &&
    text_part_is (find_key (p.query, "tls-hostname"), h->tls.hostname) &&
    text_part_is (find_key (p.query, "tls-priority"), h->tls.priority) &&
    text_part_is (find_key (p.query, "tls-verify-peer"),
                  h->tls.verify_peer ? NULL : "false") &&
    p.fragment.n == -1;
}

/* There and back. */
static void
check_round_trips (void)
{
  static const char *const literals[] = {
    "::1", "::", "2001:db8::1", "fe80::1%eth0", "fe80::1%a b:c/d?e#f@g%h",
    "::ffff:1.2.3.4", "fe80::1%\303\251",
  };
  struct nbd_handle *to = new_handle ();
  unsigned wrong = 0, trips = 4000;

  must (nbd_set_uri_allow_local_file (to, true));
  to->uri_allow_tls_priority = true;
  for (unsigned i = 0; i < trips; i++) {
    struct nbd_handle *from = new_handle ();
    char name[NAME_SIZE] = "", port[8];
    const char *got = "", *want;
    char *uri, *again;
    size_t n;
    bool good;

    if (below (8) > 0)
      random_name (name, "");
    must (nbd_set_export_name (from, name));
#ifdef HAVE_GNUTLS
    from->tls.mode = below (2) ? LIBNBD_TLS_REQUIRE : LIBNBD_TLS_DISABLE;
#endif
    random_setting (&from->tls.username);
    random_setting (&from->tls.hostname);
    random_setting (&from->tls.certificates);
    random_setting (&from->tls.psk_file);
    random_setting (&from->tls.priority);
    from->tls.verify_peer = below (2);
    switch (below (5)) {
    case 0:
      n = random_name (name, ":");
      snprintf (port, sizeof port, "%u", 1 + below (65535));
      uri_remember_tcp (from, name, port);
      break;
    case 1:
      uri_remember_tcp (from, literals[below (COUNT (literals))], "10809");
      break;
    case 2:
      n = random_name (name, "");
      uri_remember_unix (from, name, n);
      break;
    case 3:
      n = random_name (name, "");
      for (size_t j = 0; j < n; j++)
        if (j == 0 || below (8) == 0)
          name[j] = '\0';
      uri_remember_unix (from, name, n);
      break;
    default:
      uri_remember_vsock (from, next_random (), 1 + below (UINT32_MAX));
      break;
    }
    uri = uri_of (from);
    good = uri && says_all (from, uri) && nbd_is_uri (from, uri) == 1;
    if (uri && HAVE_URIS) {
      got = target_of (to, uri);
      want = target_in (from);
      good = good && strcmp (got, want) == 0;
      again = uri_of (to);
      good = good && again && strcmp (again, uri) == 0;
      free (again);
      take_back (to);
    }
    if (!good) {
      wrong++;
      note ("URI:  %s", uri);
      note ("got:  %s", got);
      note ("want: %s", target_in (from));
    }
    free (uri);
    nbd_close (from);
  }
  is_int (wrong, 0, "%u URIs say all that they are made of, in characters of "
          "RFC 3986%s", trips, HAVE_URIS ? ", and lead back" : "");
  nbd_close (to);
}

/* A URI that failed leaves nothing in a handle that is created again. */

static const char full_query[] =
  "tls-username=u&tls-hostname=n&tls-certificates=/c&tls-psk-file=/p&"
  "tls-priority=X&tls-verify-peer=off";

static struct nbd_handle *
handle_with_settings (bool some)
{
  struct nbd_handle *h = new_handle ();

  must (nbd_set_uri_allow_local_file (h, true));
  h->uri_allow_tls_priority = true;
  if (!some)
    return h;
  must (nbd_set_export_name (h, "before"));
  h->tls.username = strdup ("user before");
  h->tls.hostname = strdup ("host before");
  h->tls.certificates = strdup ("/before");
  h->tls.psk_file = strdup ("/psk-before");
  h->tls.priority = strdup ("BEFORE");
  h->tls.mode = LIBNBD_TLS_ALLOW;
  return h;
}

/* Fails, and the handle is as before. */
static void
check_taken_back (const char *uri, int errnum, const char *what)
{
  for (int some = 0; some < 2; some++)
    for (int async = 0; async < 2; async++) {
      struct nbd_handle *h = handle_with_settings (some);
      char *before = strdup (settings_in (h));

      /* Twice: what is taken back is not lost the second time. */
      for (int i = 0; i < 2; i++) {
        is_int (async ? nbd_aio_connect_uri (h, uri) :
                nbd_connect_uri (h, uri), -1, "%s: it fails%s", what,
                async ? ", asynchronously" : "");
        is_int (nbd_get_errno (), errnum, "%s: %s", what, strerror (errnum));
        is_int (nbd_aio_is_created (h), 1, "%s: the handle is as new", what);
        is_str (settings_in (h), before, "%s: with its settings", what);
      }
      free (before);
      nbd_close (h);
    }
}

static void
check_settings (void)
{
  struct nbd_handle *h;
  char *uri;

  /* Nothing of the URI is made a setting before all of it is known. */
  uri = make_text ("nbd+vsock://x/disk?%s", full_query);
  check_taken_back (uri, EINVAL, "a wrong CID");
  free (uri);
  uri = make_text ("nbd://h/disk?%s&tls-verify-peer=x", full_query);
  check_taken_back (uri, EINVAL, "a wrong boolean");
  free (uri);
#ifndef HAVE_GNUTLS
  uri = make_text ("nbds://h/disk?%s", full_query);
  check_taken_back (uri, ENOTSUP, "TLS");
  free (uri);
#endif

  /* The transport fails. */
  connect_errno = ECONNREFUSED;
#ifdef HAVE_GNUTLS
  uri = make_text ("nbds://u@h/disk?%s", full_query);
  check_taken_back (uri, ECONNREFUSED, "TLS over TCP that fails");
  free (uri);
#endif
  uri = make_text ("nbd://u@h/disk?%s", full_query);
  check_taken_back (uri, ECONNREFUSED, "TCP that fails");
  free (uri);
  uri = make_text ("nbd+ssh://u@h/disk?%s", full_query);
  check_taken_back (uri, ECONNREFUSED, "ssh that fails");
  free (uri);
  connect_errno = 0;

  /* What the URI says is set, what it does not say stays. */
  h = handle_with_settings (true);
  h->tls.verify_peer = false;
  is_str (target_of (h, "nbd://h/"), "tcp h 10809 tls=1 user=user before "
          "hostname=host before certificates=/before psk-file=/psk-before "
          "priority=BEFORE verify-peer=no",
          "the export is replaced by the empty one");
  take_back (h);
  is_str (target_of (h, "nbd://u@h/?tls-verify-peer=1&tls-priority=A"),
          "tcp h 10809 tls=1 user=u hostname=host before "
          "certificates=/before psk-file=/psk-before priority=A",
          "what a URI says replaces what the handle says");
  take_back (h);
  is_str (target_of (h, "nbd+ssh://u@h/disk"),
          "ssh|-p|22|-l|u|--|h|nc localhost 10809 export=disk tls=1 "
          "user=user before hostname=host before certificates=/before "
          "psk-file=/psk-before priority=BEFORE verify-peer=no",
          "the user for ssh is not that for TLS");
  ok (h->pid_lingers == HAVE_URIS, "ssh is told to end, as it does not alone");
  take_back (h);
  ok (strstr (settings_in (h), "export=before"), "all was taken back");
  nbd_close (h);
}

/* The same with the functions that connect as they are. */

static int
listen_unix (const char *name, size_t n)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  memcpy (addr.sun_path, name, n);
  if (fd == -1 ||
      bind (fd, (struct sockaddr *) &addr,
            offsetof (struct sockaddr_un, sun_path) + n) == -1 ||
      listen (fd, 5) == -1)
    abort ();
  return fd;
}

/* A TCP port at which nobody listens, while the socket is open. */
static int
refusing_port (unsigned *port)
{
  socklen_t len = sizeof known_address;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  known_address = (struct sockaddr_in) {
    .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK),
  };
  if (fd == -1 ||
      bind (fd, (struct sockaddr *) &known_address, len) == -1 ||
      getsockname (fd, (struct sockaddr *) &known_address, &len) == -1)
    abort ();
  *port = ntohs (known_address.sin_port);
  return fd;
}

static void
check_real_failures (void)
{
  char *path = getenv ("PATH"), *long_name = repeat ('s', PATH_SIZE + 1), *uri;
  unsigned port;
  int fd;

  uri = make_text ("nbd://u@unknown.example/disk?%s", full_query);
  check_taken_back (uri, 0, "a host that is not found");
  ok (strstr (nbd_get_error (), "getaddrinfo: hostname \"unknown.example\" "
              "port \"10809\""), "a host that is not found: the text says it");
  free (uri);

  /* What is left of the handle after the synchronous form only. */
  fd = refusing_port (&port);
  uri = make_text ("nbd://u@known.example:%u/disk?%s", port, full_query);
  for (int some = 0; some < 2; some++) {
    struct nbd_handle *h = handle_with_settings (some);
    char *before = strdup (settings_in (h));

    is_int (nbd_connect_uri (h, uri), -1, "a port that refuses");
    is_int (nbd_get_errno (), ECONNREFUSED, "a port that refuses: errno");
    is_int (nbd_aio_is_created (h), 1, "a port that refuses: as new");
    is_str (settings_in (h), before, "a port that refuses: settings");
    free (before);
    nbd_close (h);
  }
  free (uri);
  close (fd);

  uri = make_text ("nbd+unix:///disk?socket=%s&%s", long_name, full_query);
  check_taken_back (uri, ENAMETOOLONG, "a long path");
  free (uri);
  uri = make_text ("nbd+unix:///disk?socket=%%00%s&%s", long_name + 1,
                   full_query);
  check_taken_back (uri, ENAMETOOLONG, "a long abstract name");
  free (uri);
  free (long_name);

  path = path ? strdup (path) : NULL;
  setenv ("PATH", temp_dir (), 1);
  uri = make_text ("nbd+ssh://u@h/disk?%s", full_query);
  check_taken_back (uri, ENOENT, "no ssh");
  ok (strstr (nbd_get_error (), "nbd_aio_connect_uri: ssh: "),
      "no ssh: the text says it");
  free (uri);
  if (path)
    setenv ("PATH", path, 1);
  free (path);
}

/* A handle that a URI has killed keeps what it said. */
static void
check_dead (void)
{
  char *path = temp_path ("nobody");

  for (int async = 0; async < 2; async++) {
    struct nbd_handle *h = handle_with_settings (true);
    char *uri = make_text ("nbd+unix://v@/disk?socket=%s", path);
    char *got;

    is_int (async ? nbd_aio_connect_uri (h, uri) : nbd_connect_uri (h, uri),
            -1, "a socket that does not exist");
    is_int (nbd_get_errno (), ENOENT, "a socket that does not exist: ENOENT");
    is_int (nbd_aio_is_dead (h), 1, "the handle is dead");
    h->tls.mode = LIBNBD_TLS_DISABLE;
    got = nbd_get_uri (h);
    ok (got && strncmp (got, "nbd+unix://v@/disk?socket=/tmp/", 31) == 0 &&
        strstr (got, "/nobody&tls-cert"),
        "the URI is the one that was tried: %s", got);
    free (got);
    is_int (nbd_connect_uri (h, uri), -1, "a dead handle cannot connect");
    is_int (nbd_get_errno (), EINVAL, "which is EINVAL");
    free (uri);
    nbd_close (h);
  }
  free (path);
}

/* The socket at which FD listens is connected to by the URI, which comes
 * back.
 */
static void
check_connects (int fd, const char *uri, const char *want)
{
  struct nbd_handle *h = handle_with_settings (false);
  struct nbd_handle *other = new_handle ();
  char *got;
  int peer;

  is_int (nbd_aio_connect_uri (h, uri), 0, "%s connects", uri);
  is_int (nbd_aio_is_connecting (h), 1, "%s: the handle is connecting", uri);
  peer = accept4 (fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  ok (peer >= 0, "%s: to where it should", uri);
  close (peer);
  got = nbd_get_uri (h);
  is_str (got, want, "%s: nbd_get_uri", uri);
  is_int (nbd_aio_connect_uri (other, got), 0, "%s: leads back", uri);
  peer = accept4 (fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  ok (peer >= 0, "%s: to the same place", uri);
  close (peer);
  free (got);
  ok (h->replaced == NULL, "%s: what was replaced is gone", uri);

  /* Only a new handle takes a URI, or what it may be. */
  is_int (nbd_aio_connect_uri (h, uri), -1, "%s: not twice", uri);
  is_int (nbd_get_errno (), EINVAL, "%s: EINVAL", uri);
  is_int (nbd_set_uri_allow_transports (h, 15), -1, "too late, transports");
  is_int (nbd_get_errno (), EINVAL, "which is EINVAL");
  is_int (nbd_set_uri_allow_tls (h, 1), -1, "too late, TLS");
  is_int (nbd_get_errno (), EINVAL, "which is EINVAL");
  is_int (nbd_set_uri_allow_local_file (h, true), -1, "too late, files");
  is_int (nbd_get_errno (), EINVAL, "which is EINVAL");
  is_int (nbd_is_uri (h, uri), 1, "not for nbd_is_uri");
  nbd_close (h);
  nbd_close (other);
}

static void
check_connected (void)
{
  struct nbd_handle *h = new_handle ();
  char name[PATH_SIZE] = "", *path = temp_path ("a b%:@;\303\251");
  char *uri, *want, *failing;
  int fd, n;

  fd = listen_unix (path, strlen (path));
  uri = make_text ("nbd+unix://u@/a%%20b%%2F:?socket=%s/a%%20b%%25%%3a@%%3b"
                   "%%C3%%a9&tls-verify-peer=no", temp_dir ());
  want = make_text ("nbd+unix://u@/a%%20b/%%3A?socket=%s/a%%20b%%25:@%%3B"
                    "%%C3%%A9&tls-verify-peer=false", temp_dir ());
  check_connects (fd, uri, want);

  /* A URI that failed before is forgotten. */
  failing = make_text ("nbd://v@unknown.example/other?tls-hostname=x&"
                       "tls-verify-peer=0");
  is_int (nbd_aio_connect_uri (h, failing), -1, "a URI fails");
  free (failing);
  free (uri);
  uri = make_text ("nbd+unix:///?socket=%s/a%%20b%%25:@%%3B%%C3%%A9",
                   temp_dir ());
  is_int (nbd_aio_connect_uri (h, uri), 0, "another works");
  free (want);
  want = nbd_get_uri (h);
  is_str (want, uri, "and nothing of the first is in nbd_get_uri");
  close (fd);
  unlink (path);
  free (uri);
  free (want);
  free (path);
  nbd_close (h);

  /* Abstract, of the greatest length. */
  n = snprintf (name, sizeof name, "%cnbd test %d", 0, getpid ());
  fd = listen_unix (name, n);
  uri = make_text ("nbd+unix:///?socket=%%00nbd%%20test%%20%d", getpid ());
  check_connects (fd, uri, uri);
  close (fd);
  free (uri);
  memset (name + n, 'x', sizeof name - n);
  name[n] = '\0';
  fd = listen_unix (name, sizeof name);
  uri = make_text ("nbd+unix:///?socket=%%00nbd%%20test%%20%d%%00%.*s",
                   getpid (), (int) sizeof name - n - 1, name + n + 1);
  check_connects (fd, uri, uri);
  close (fd);
  free (uri);
}

/* nbd_get_uri needs no URIs: these are other ways to connect. */
static void
check_other_ways (void)
{
  struct nbd_handle *h = new_handle ();
  char *path = temp_path ("@s"), *uri, *want;
  struct sockaddr_in6 in6 = {
    .sin6_family = AF_INET6, .sin6_port = htons (1), .sin6_scope_id = 1,
    .sin6_addr = { { { 0xfe, 0x80, [15] = 1 } } },
  };
  char name[64], cwd[4096];
  int fd, refusing, pair[2];
  unsigned port;

  fd = listen_unix (path, strlen (path));
  is_int (nbd_aio_connect_unix (h, path), 0, "a path");
  uri = nbd_get_uri (h);
  want = make_text ("nbd+unix:///?socket=%s/@s", temp_dir ());
  is_str (uri, want, "has a URI");
  free (uri);
  free (want);
  nbd_close (h);

  /* A path that looks like an abstract name. */
  h = new_handle ();
  checked (getcwd (cwd, sizeof cwd));
  must (chdir (temp_dir ()));
  is_int (nbd_aio_connect_unix (h, "@s"), 0, "a file @s is a path");
  must (chdir (cwd));
  uri = nbd_get_uri (h);
  is_str (uri, "nbd+unix:///?socket=@s", "and stays one");
  free (uri);
  nbd_close (h);
  close (fd);
  unlink (path);
  free (path);

  h = new_handle ();
  snprintf (name, sizeof name, "@nbd%%test %d", getpid ());
  name[0] = '\0';
  fd = listen_unix (name, 1 + strlen (name + 1));
  name[0] = '@';
  is_int (nbd_aio_connect_unix (h, name), 0, "an abstract name");
  uri = nbd_get_uri (h);
  want = make_text ("nbd+unix:///?socket=%%00nbd%%25test%%20%d", getpid ());
  is_str (uri, want, "has a URI");
  free (uri);
  free (want);
  nbd_close (h);
  close (fd);

  /* The service has a number, the host its name. */
  h = new_handle ();
  refusing = refusing_port (&port);
  is_int (nbd_connect_tcp (h, "known.example", "a-service"), -1,
          "a service that is not there");
  must (listen (refusing, 1));
  is_int (nbd_aio_connect_tcp (h, "known.example", "a-service"), 0,
          "and now is");
  uri = nbd_get_uri (h);
  want = make_text ("nbd://known.example:%u/", port);
  is_str (uri, want, "its URI has the number");
  free (uri);
  free (want);
  nbd_close (h);

  /* Addresses: their numbers. */
  h = new_handle ();
  is_int (nbd_aio_connect (h, (struct sockaddr *) &known_address,
                           sizeof known_address), 0, "an IPv4 address");
  uri = nbd_get_uri (h);
  want = make_text ("nbd://127.0.0.1:%u/", port);
  is_str (uri, want, "has a URI");
  free (uri);
  free (want);
  nbd_close (h);
  close (refusing);
  h = new_handle ();
  nbd_aio_connect (h, (struct sockaddr *) &in6, sizeof in6);
  uri = nbd_get_uri (h);
  ok (uri && strncmp (uri, "nbd://[fe80::1%25", 17) == 0 &&
      strcmp (strchr (uri, ']'), "]:1/") == 0,
      "an IPv6 address with a zone: %s", uri);
  free (uri);
  nbd_close (h);

  /* A path ends with its NUL or the address, an abstract name only so. */
  for (int abstract = 0; abstract < 2; abstract++) {
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    socklen_t start = offsetof (struct sockaddr_un, sun_path);

    memcpy (un.sun_path, abstract ? "\0no\0body" : "/no\0body", 8);
    h = new_handle ();
    is_int (nbd_aio_connect (h, (struct sockaddr *) &un, start + 8), -1,
            "a Unix address at which nobody listens");
    uri = nbd_get_uri (h);
    is_str (uri, abstract ? "nbd+unix:///?socket=%00no%00body" :
            "nbd+unix:///?socket=/no", "its name in the URI");
    free (uri);
    nbd_close (h);
    memset (un.sun_path, 'x', sizeof un.sun_path);
    un.sun_path[0] = abstract ? '\0' : '/';
    h = new_handle ();
    is_int (nbd_aio_connect (h, (struct sockaddr *) &un, sizeof un), -1,
            "one without an end");
    uri = nbd_get_uri (h);
    want = make_text ("nbd+unix:///?socket=%s%.*s", abstract ? "%00" : "/",
                      (int) sizeof un.sun_path - 1, un.sun_path + 1);
    is_str (uri, want, "all of it in the URI");
    free (uri);
    free (want);
    nbd_close (h);
  }

  /* None for a socket of the caller, even after another attempt. */
  h = new_handle ();
  refusing = refusing_port (&port);
  is_int (nbd_connect_tcp (h, "known.example", "a-service"), -1,
          "TCP that fails");
  close (refusing);
  must (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  is_int (nbd_aio_connect_socket (h, pair[0]), 0, "then a socket");
  is_str (nbd_get_uri (h), NULL, "has no URI");
  is_int (nbd_get_errno (), EINVAL, "which is EINVAL");
  ok (strstr (nbd_get_error (), "nbd_get_uri: cannot construct a URI for this "
              "connection type"), "and says why");
  close (pair[1]);
  nbd_close (h);
}

/* Every allocation failing: an error, or what it would have been without, and
 * never something in between.
 */
static void
check_allocations (const char *uri)
{
  struct nbd_handle *h = handle_with_settings (true);
  char *want = strdup (target_of (h, uri)), *before, *text = NULL;
  char *want_text = want[0] == 's' ? NULL : uri_of (h);
  unsigned n, failed = 0, allocations = 0;
  bool good = true;

  take_back (h);
  before = strdup (settings_in (h));
  for (n = 1; ; n++) {
    const char *got;
    bool hit;

    failing_allocation = n;
    nr_connects = 0;
    got = target_of (h, uri);
    hit = failing_allocation == 0;
    failing_allocation = 0;
    if (strcmp (got, want) != 0) {
      failed++;
      /* The splitting of libxml2 does not say why it fails. */
      if ((!is_as_wanted (got, "ENOMEM") && !is_as_wanted (got, PARSE) &&
           !is_as_wanted (got, SCHEME)) || nr_connects > 0) {
        note ("allocation %u: %s", n, got);
        good = false;
      }
    }
    take_back (h);
    if (strcmp (settings_in (h), before) != 0 || h->state != STATE_START) {
      note ("allocation %u: %s", n, settings_in (h));
      good = false;
    }
    if (!hit)
      break;
    allocations++;
  }
  ok (good && failed > 10 && failed <= allocations,
      "%.12s...: %u of %u failing allocations are errors", uri, failed,
      allocations);

  /* And back. */
  must (strcmp (target_of (h, uri), want) == 0 ? 0 : -1);
  good = true;
  for (n = 1; want_text; n++) {
    bool hit;

    failing_allocation = n;
    text = uri_of (h);
    hit = failing_allocation == 0;
    failing_allocation = 0;
    if (text == NULL ? nbd_get_errno () != ENOMEM :
        strcmp (text, want_text) != 0 || hit)
      good = false;
    free (text);
    if (!hit)
      break;
  }
  if (want_text)
    ok (good && n > 1, "%.12s...: %u failing allocations of nbd_get_uri",
        uri, n - 1);
  take_back (h);
  free (want_text);
  free (before);
  free (want);
  nbd_close (h);
}

#ifdef HAVE_LIBXML2
static void
say_nothing (void *data, const char *fmt, ...)
{
  (void) data, (void) fmt;
}
#endif

static void
check_all_allocations (void)
{
  char *name = repeat ('n', 2000);
  const char *const beginnings[] = {
    "nbd://u@h:1", "nbd+unix://u@", "nbd+vsock://u@3:4", "nbd+ssh://u@h:1",
    "nbd://u@[::1]:1",
  };

  for (size_t i = 0; i < COUNT (beginnings); i++) {
    bool has_socket = strstr (beginnings[i], "unix") ||
      strstr (beginnings[i], "ssh");
    char *uri = make_text ("%s/%s?%s&%s=%s#x", beginnings[i], name,
                           full_query, has_socket ? "socket" : "x", name);

    check_allocations (uri);
    free (uri);
  }
  free (name);
}

int
main (void)
{
#ifdef HAVE_LIBXML2
  xmlMemSetup (free, __wrap_malloc, __wrap_realloc, __wrap_strdup);
  xmlSetGenericErrorFunc (NULL, say_nothing);
#endif
  tap_begin ();
  check_is_uri ();
#define ROWS(rows, allow) check_rows (rows, COUNT (rows), allow)
  ROWS (tcp_rows, 0);
  ROWS (scheme_rows, 0);
  ROWS (unix_rows, 0);
  ROWS (vsock_rows, 0);
  ROWS (ssh_rows, 0);
  ROWS (tls_key_rows, 0);
  ROWS (files_rows, FILES);
  ROWS (priority_rows, PRIORITY);
  ROWS (tls_rows, 0);
#undef ROWS
  check_ssh ();
  check_remote_shell ();
  check_booleans ();
  check_long ();
  check_allowed ();
  check_allow_functions ();
  check_get_uri ();
  check_round_trips ();
  if (HAVE_URIS) {
    check_settings ();
    check_all_allocations ();
  }
  connect_for_real = true;
  if (HAVE_URIS) {
    check_real_failures ();
    check_dead ();
    check_connected ();
  }
  check_other_ways ();
  return tap_end ();
}
