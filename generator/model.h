/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The model of the API: what a row of the table can say.  Only types live
 * here; the rows are in api.c, what they must obey is in check.c, and what is
 * written from them is in the emit-*.c files.
 */

#ifndef GENERATOR_MODEL_H
#define GENERATOR_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The public states of a handle.  A row permits a set of them. */
enum {
  CREATED = 1 << 0,
  CONNECTING = 1 << 1,
  NEGOTIATING = 1 << 2,
  CONNECTED = 1 << 3,
  CLOSED = 1 << 4,
  DEAD = 1 << 5,
  ANY = 0x3f,
};

#define NR_STATES 6

/* How each state is called in messages and pages, in the order of the bits. */
extern const struct state_name {
  const char *macro;
  const char *words;
} state_names[NR_STATES];

/* A constant of the header.  Values are text, so that they keep their base. */
struct constant {
  const char *file;
  int line;
  const char *name;             /* without the prefix of its set */
  const char *value;
  const char *comment;          /* optional */
};

enum set_kind { SET_ENUM, SET_FLAGS, SET_OTHER };

/* A family of constants: an enumeration, a set of flags, or plain values. */
struct constant_set {
  const char *file;
  int line;
  const char *name;             /* identifier in api.c, for messages */
  enum set_kind kind;
  const char *prefix;           /* "LIBNBD_TLS_" */
  const struct constant *members;
  size_t nr_members;
  const char *mask;             /* flags: value of PREFIX_MASK */
  bool relaxable;               /* flags: strict mode decides on the check */
};

enum arg_kind {
  ARG_NONE,                     /* ends the list */
  ARG_BOOL,
  ARG_INT,
  ARG_FD,
  ARG_UINT32,
  ARG_UINT64,
  ARG_SIZE,
  ARG_UINTPTR,
  ARG_STRING,
  ARG_STRING_LIST,
  ARG_BUFFER_OUT,               /* void *NAME, size_t COUNT */
  ARG_BUFFER_IN,                /* const void *NAME, size_t COUNT */
  ARG_SOCKADDR,                 /* const struct sockaddr *NAME, socklen_t */
  ARG_ENUM,
  ARG_FLAGS,
  ARG_CLOSURE,
  NR_ARG_KINDS
};

struct closure;

struct arg {
  enum arg_kind kind;
  const char *name;
  const char *length;           /* buffers, addresses: the second parameter */
  const struct constant_set *set;       /* ARG_ENUM, ARG_FLAGS */
  const char *valid;            /* ARG_FLAGS: accepted bits, as a C
                                   expression; NULL: the body decides */
  const struct closure *closure;        /* ARG_CLOSURE */
  bool optional;                /* ARG_CLOSURE: the callback may be NULL */
};

#define MAX_ARGS 8

/* A callback type: struct { int (*callback) (...); user_data; free; } */
struct closure {
  const char *file;
  int line;
  const char *name;             /* "chunk" for nbd_chunk_callback */
  int since;
  const char *params;           /* after user_data, as C text */
};

enum return_kind {
  RETURN_UNSET,
  RETURN_VOID,
  RETURN_ERR,                   /* 0 or -1 */
  RETURN_BOOL,
  RETURN_INT,
  RETURN_INT64,
  RETURN_COOKIE,
  RETURN_FD,
  RETURN_SSIZE,
  RETURN_STATIC_STRING,
  RETURN_STRING,                /* malloc'd, the caller frees */
  RETURN_ENUM,                  /* an int, cannot fail */
  RETURN_UINT,
  RETURN_UINT32,
  RETURN_UINT64,
  RETURN_UINTPTR,
  RETURN_HANDLE,
  NR_RETURN_KINDS
};

/* How completion of an asynchronous call is learnt. */
enum async_kind { NOT_ASYNC, ASYNC_COMPLETION, ASYNC_CONNECT, ASYNC_CLOSE };

#define MAX_SEE_ALSO 10

struct function {
  const char *file;
  int line;
  const char *name;             /* without nbd_ */
  int since;                    /* minor version: 14 is 1.14 */
  const char *summary;
  struct arg args[MAX_ARGS];    /* after the handle */
  enum return_kind ret;
  unsigned states;              /* permitted handle states */
  bool never_fails;
  bool no_lock;
  bool by_hand;                 /* the public symbol itself is hand-written */
  bool no_handle;               /* by_hand only: takes no handle */
  bool null_handle;             /* by_hand only: NULL is allowed */
  enum async_kind async;
  const char *set_field;        /* setter: the handle's field it stores to */
  const char *get_field;        /* getter: the handle's field it returns */
  const char *example;          /* file under examples/ */
  const char *see_also[MAX_SEE_ALSO];
};

/* A structure of the header, as C text. */
struct api_struct {
  const char *name;
  const char *text;
};

struct api {
  const struct function *functions;
  size_t nr_functions;
  const struct closure *const *closures;
  size_t nr_closures;
  const struct constant_set *const *sets;
  size_t nr_sets;
  const struct api_struct *structs;
  size_t nr_structs;
  int release;                  /* minor version of this API */
};

/* What each kind of argument and of return is in C; kinds.c. */
struct arg_type {
  const char *type;             /* with its trailing space or star */
  const char *type2;            /* of the length parameter, or NULL */
  bool pointer;                 /* the argument must not be NULL */
};

struct return_type {
  const char *type;             /* as printed in front of the name */
  const char *failure;          /* value that says "failed" */
  const char *meaning;          /* POD, of success */
};

extern const struct arg_type arg_types[NR_ARG_KINDS];
extern const struct return_type return_types[NR_RETURN_KINDS];

/* The name of the C parameter of a closure: "chunk_callback". */
const char *closure_param (const struct closure *closure);

/* The table that this generator was built with. */
extern const struct api api;

#endif /* GENERATOR_MODEL_H */
