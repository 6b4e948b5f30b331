/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Copies an export to a file, with up to 64 reads in flight, over a socket
 * that the program connects itself.  What the server reports as zeroes is not
 * read and becomes a hole in the file.  On a terminal it shows its progress.
 *
 *   copy-image SOCKET FILE
 *
 * With nbdkit as the server:
 *
 *   nbdkit -U - pattern 100M --run 'copy-image "$unixsocket" pattern.img'
 *
 * Build: cc copy-image.c -o copy-image $(pkg-config --cflags --libs libnbd)
 */

#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <libnbd.h>

#define IN_FLIGHT 64

/* Bytes in one read: a multiple of every block size. */
#define REQUEST_SIZE (256 * 1024)

/* Bytes in one question about the allocation.  Without extended headers it
 * must be below 4 GiB.
 */
#define WINDOW (UINT64_C (1) << 30)

#define MIB (1024.0 * 1024.0)

struct copy;

/* A read, in flight or unused. */
struct request {
  struct copy *copy;
  struct request *next;         /* in the list of unused ones */
  uint64_t offset;
  size_t count;
  char *buf;
};

/* A part of the export that has to be read. */
struct range {
  uint64_t start, end;
};

struct copy {
  struct nbd_handle *nbd;
  int fd;
  uint64_t size;
  size_t request_size;

  struct request requests[IN_FLIGHT];
  struct request *unused;
  unsigned in_flight;

  bool has_map;                 /* the server knows what is allocated */
  uint64_t known;               /* up to here RANGES are complete */
  struct range *ranges;         /* behind each other, with gaps */
  size_t nr_ranges, allocated;
  size_t next_range;            /* the first that is not all asked for */
  uint64_t position;            /* up to here all is asked for or skipped */

  uint64_t copied, skipped;     /* bytes that are done */
  int error;                    /* the first errno; 0: all is well */
  const char *action;           /* what it happened to */
  uint64_t error_offset;

  bool terminal;                /* stderr is one */
  int permille;                 /* shown last */
};

static void
show_progress (struct copy *copy)
{
  const uint64_t done = copy->copied + copy->skipped;
  const int permille = done < copy->size ? 1000.0 * done / copy->size : 1000;

  if (!copy->terminal || permille == copy->permille)
    return;
  copy->permille = permille;
  fprintf (stderr, "\r%3d.%d %%  %.1f of %.1f MiB  %2u in flight ",
           permille / 10, permille % 10, done / MIB, copy->size / MIB,
           copy->in_flight);
}

/* What is printed next begins on a line of its own. */
static void
end_progress (struct copy *copy)
{
  if (copy->permille >= 0)
    fputc ('\n', stderr);
  copy->permille = -1;
}

static int
library_error (struct copy *copy)
{
  end_progress (copy);
  fprintf (stderr, "%s\n", nbd_get_error ());
  return -1;
}

/* Only the first error counts: it is the cause of the others. */
static void
set_error (struct copy *copy, int error, const char *action, uint64_t offset)
{
  if (copy->error == 0) {
    copy->error = error;
    copy->action = action;
    copy->error_offset = offset;
  }
}

/* The map of the export: which ranges have to be read. */

static int
add_range (struct copy *copy, uint64_t start, uint64_t end)
{
  struct range *last = &copy->ranges[copy->nr_ranges];

  if (copy->nr_ranges > 0 && last[-1].end == start) {
    last[-1].end = end;
    return 0;
  }
  if (copy->nr_ranges == copy->allocated) {
    const size_t n = copy->allocated ? 2 * copy->allocated : 64;
    struct range *p = realloc (copy->ranges, n * sizeof *p);

    if (p == NULL)
      return -1;
    copy->ranges = p;
    copy->allocated = n;
  }
  copy->ranges[copy->nr_ranges++] = (struct range) { start, end };
  return 0;
}

static int
extents_received (void *user_data, const char *metacontext, uint64_t offset,
                  nbd_extent *extents, size_t nr_extents, int *error)
{
  struct copy *copy = user_data;

  if (strcmp (metacontext, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
    return 0;
  if (offset != copy->known) {
    *error = EPROTO;
    return -1;
  }

  for (size_t i = 0; i < nr_extents; i++) {
    const uint64_t left = copy->size - copy->known;
    /* The last one may reach further than was asked. */
    const uint64_t n = extents[i].length < left ? extents[i].length : left;

    if (n > 0 && !(extents[i].flags & LIBNBD_STATE_ZERO) &&
        add_range (copy, copy->known, copy->known + n) == -1) {
      *error = ENOMEM;
      return -1;
    }
    copy->known += n;
  }
  return 0;
}

/* Find out what there is to read behind KNOWN. */
static int
extend_map (struct copy *copy)
{
  const uint64_t known = copy->known, left = copy->size - known;
  const uint64_t count = left < WINDOW ? left : WINDOW;
  const nbd_extent64_callback callback = {
    .callback = extents_received, .user_data = copy
  };

  copy->nr_ranges = copy->next_range = 0;
  if (copy->has_map) {
    /* The replies to reads in flight are handled while this call waits. */
    if (nbd_block_status_64 (copy->nbd, count, known, callback, 0) == 0 &&
        copy->known > known)
      return 0;
    if (nbd_aio_is_dead (copy->nbd) || nbd_aio_is_closed (copy->nbd))
      return library_error (copy);

    /* The data matters, the map does not: go on without. */
    copy->has_map = false;
    copy->nr_ranges = 0;
    copy->known = known;
  }

  if (add_range (copy, known, known + count) == -1) {
    end_progress (copy);
    perror ("realloc");
    return -1;
  }
  copy->known += count;
  return 0;
}

/* What lies before END and is not asked for is zeroes. */
static void
skip_to (struct copy *copy, uint64_t end)
{
  copy->skipped += end - copy->position;
  copy->position = end;
}

/* The next piece to be read, for REQ.  1 if there is one, 0 at the end of the
 * export, -1 after a message.
 */
static int
next_piece (struct copy *copy, struct request *req)
{
  struct range *range;
  uint64_t left;

  while (copy->next_range == copy->nr_ranges) {
    if (copy->known == copy->size) {
      skip_to (copy, copy->size);
      return 0;
    }
    if (extend_map (copy) == -1)
      return -1;
  }

  range = &copy->ranges[copy->next_range];
  left = range->end - range->start;
  skip_to (copy, range->start);
  req->offset = range->start;
  req->count = left < copy->request_size ? left : copy->request_size;
  range->start += req->count;
  copy->position = range->start;
  if (range->start == range->end)
    copy->next_range++;
  return 1;
}

static int
write_all (int fd, const char *p, size_t n, uint64_t offset)
{
  while (n > 0) {
    const ssize_t r = pwrite (fd, p, n, offset);

    if (r == -1) {
      if (errno == EINTR)
        continue;
      return -1;
    }
    p += r;
    n -= r;
    offset += r;
  }
  return 0;
}

/* [nbd_aio_pread] */
/* Called once for each read, in any order, from within a call on the
 * handle, and so it must not use the handle itself.  It returns 1 to
 * say that nobody will ask for the result again.
 */
static int
read_completed (void *user_data, int *error)
{
  struct request *req = user_data;
  struct copy *copy = req->copy;

  if (*error != 0)
    set_error (copy, *error, "read", req->offset);
  else if (write_all (copy->fd, req->buf, req->count,
                      req->offset) == -1)
    set_error (copy, errno, "write", req->offset);
  else
    copy->copied += req->count;

  req->next = copy->unused;
  copy->unused = req;
  copy->in_flight--;
  return 1;
}
/* [end] */

/* [nbd_aio_pread] */
/* Returns as next_piece. */
static int
start_read (struct copy *copy)
{
  struct request *req = copy->unused;
  const nbd_completion_callback callback = {
    .callback = read_completed, .user_data = req
  };
  const int r = next_piece (copy, req);

  if (r != 1)
    return r;

  /* The read can complete before the call returns. */
  copy->unused = req->next;
  copy->in_flight++;
  if (nbd_aio_pread (copy->nbd, req->buf, req->count, req->offset,
                     callback, 0) == -1)
    return library_error (copy);
  return 1;
}
/* [end] */

static int
read_all (struct copy *copy)
{
  int more = 1;

  while (more || copy->in_flight > 0) {
    /* After an error only wait for what is in flight. */
    while (more && copy->unused && copy->error == 0) {
      more = start_read (copy);
      if (more == -1)
        return -1;
    }
    if (copy->error)
      more = 0;
    if (copy->in_flight > 0 && nbd_poll (copy->nbd, -1) == -1)
      return library_error (copy);
    show_progress (copy);
  }
  return 0;
}

static int
copy_all (struct copy *copy)
{
  if (read_all (copy) == -1)
    return -1;

  end_progress (copy);
  if (copy->error) {
    fprintf (stderr, "%s at offset %" PRIu64 ": %s\n", copy->action,
             copy->error_offset, strerror (copy->error));
    return -1;
  }
  if (copy->copied + copy->skipped != copy->size) {
    fprintf (stderr, "%" PRIu64 " of %" PRIu64 " bytes were copied\n",
             copy->copied + copy->skipped, copy->size);
    return -1;
  }
  return 0;
}

/* Returns a connected socket, or -1 after a message. */
static int
connect_unix (const char *path)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  int sock;

  if (strlen (path) >= sizeof addr.sun_path) {
    fprintf (stderr, "%s: %s\n", path, strerror (ENAMETOOLONG));
    return -1;
  }
  strcpy (addr.sun_path, path);

  sock = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (sock == -1) {
    perror ("socket");
    return -1;
  }
  if (connect (sock, (struct sockaddr *) &addr, sizeof addr) == -1) {
    perror (path);
    close (sock);
    return -1;
  }
  return sock;
}

/* Connect, and take down what the copy has to know of the export. */
static int
open_export (struct copy *copy, const char *path)
{
  struct nbd_handle *nbd = copy->nbd = nbd_create ();
  int64_t size, maximum;
  int sock, has_map;

  if (nbd == NULL)
    return library_error (copy);

  /* Buffers are written out only after a read has filled them, so there is no
   * need to zero them before.  The end of an export whose size is no multiple
   * of its block size is read as it is; let the server decide.
   */
  if (nbd_set_pread_initialize (nbd, false) == -1 ||
      nbd_set_strict_mode (nbd, nbd_get_strict_mode (nbd) &
                                ~LIBNBD_STRICT_ALIGN) == -1 ||
      nbd_add_meta_context (nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == -1)
    return library_error (copy);

  sock = connect_unix (path);
  if (sock == -1)
    return -1;
  if (nbd_connect_socket (nbd, sock) == -1) {
    /* From a handle that is still new the socket has to be taken back. */
    if (nbd_aio_is_created (nbd))
      close (sock);
    return library_error (copy);
  }

  size = nbd_get_size (nbd);
  maximum = nbd_get_block_size (nbd, LIBNBD_SIZE_MAXIMUM);
  has_map = nbd_can_meta_context (nbd, LIBNBD_CONTEXT_BASE_ALLOCATION);
  if (size == -1 || maximum == -1 || has_map == -1)
    return library_error (copy);

  copy->size = size;
  copy->request_size = REQUEST_SIZE;
  if (maximum > 0 && maximum < REQUEST_SIZE)
    copy->request_size = maximum;
  copy->has_map = has_map;
  return 0;
}

static int
make_requests (struct copy *copy)
{
  for (size_t i = 0; i < IN_FLIGHT; i++) {
    struct request *req = &copy->requests[i];

    req->copy = copy;
    req->buf = malloc (copy->request_size);
    if (req->buf == NULL) {
      perror ("malloc");
      return -1;
    }
    req->next = copy->unused;
    copy->unused = req;
  }
  return 0;
}

static int
open_file (struct copy *copy, const char *file)
{
  copy->fd = open (file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

  /* All holes, until something is written. */
  if (copy->fd == -1 || ftruncate (copy->fd, copy->size) == -1) {
    perror (file);
    return -1;
  }
  return 0;
}

/* The copy is complete only when the file is on the disk. */
static int
close_file (struct copy *copy, const char *file)
{
  const int r = fsync (copy->fd);
  const int fd = copy->fd;

  copy->fd = -1;
  if (r == -1) {
    perror (file);
    close (fd);
    return -1;
  }
  if (close (fd) == -1) {
    perror (file);
    return -1;
  }
  return 0;
}

static double
seconds_since (const struct timespec *start)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec - start->tv_sec + (now.tv_nsec - start->tv_nsec) / 1e9;
}

int
main (int argc, char *argv[])
{
  struct copy copy = {
    .fd = -1, .permille = -1, .terminal = isatty (STDERR_FILENO)
  };
  struct timespec start;
  int status = EXIT_FAILURE;
  double seconds;

  if (argc != 3) {
    fprintf (stderr, "usage: %s SOCKET FILE\n", argv[0]);
    return EXIT_FAILURE;
  }

  /* The file is touched last, when the export is there to be copied. */
  if (open_export (&copy, argv[1]) == -1 ||
      make_requests (&copy) == -1 ||
      open_file (&copy, argv[2]) == -1)
    goto out;

  clock_gettime (CLOCK_MONOTONIC, &start);
  if (copy_all (&copy) == -1 || close_file (&copy, argv[2]) == -1) {
    fprintf (stderr, "%s is incomplete\n", argv[2]);
    goto out;
  }
  seconds = seconds_since (&start);

  if (nbd_shutdown (copy.nbd, 0) == -1) {
    library_error (&copy);
    goto out;
  }

  printf ("%" PRIu64 " bytes copied: %.1f MiB read, %.1f MiB of zeroes "
          "skipped\n", copy.size, copy.copied / MIB, copy.skipped / MIB);
  printf ("%.2f seconds, %.0f MiB/s read\n", seconds,
          seconds > 0 ? copy.copied / MIB / seconds : 0);
  status = EXIT_SUCCESS;

 out:
  /* Reads that are still in flight end here; their buffers must exist. */
  nbd_close (copy.nbd);
  for (size_t i = 0; i < IN_FLIGHT; i++)
    free (copy.requests[i].buf);
  free (copy.ranges);
  if (copy.fd != -1)
    close (copy.fd);
  return status;
}
