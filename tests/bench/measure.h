/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The two clocks of the benchmark. */

#ifndef LIBNBD_TESTS_MEASURE_H
#define LIBNBD_TESTS_MEASURE_H

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

struct measure {
  double wall, cpu;
};

static inline struct measure
measure_begin (void)
{
  struct timespec t;
  struct rusage r;

  clock_gettime (CLOCK_MONOTONIC, &t);
  getrusage (RUSAGE_SELF, &r);
  return (struct measure) {
    .wall = t.tv_sec + t.tv_nsec / 1e9,
    .cpu = r.ru_utime.tv_sec + r.ru_stime.tv_sec +
      (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6,
  };
}

/* COUNT, and the seconds since then. */
static inline void
measure_print (const struct measure *begin, unsigned long count)
{
  struct measure end = measure_begin ();

  printf ("%lu %.6f %.6f\n", count, end.wall - begin->wall,
          end.cpu - begin->cpu);
}

#endif /* LIBNBD_TESTS_MEASURE_H */
