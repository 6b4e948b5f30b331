# SPDX-License-Identifier: LGPL-2.1-or-later

# "make bench": our library against the system's.

EXTRA_PROGRAMS += tests/bench/client
tests_bench_client_SOURCES = tests/bench/client.c
tests_bench_client_CPPFLAGS = $(AM_CPPFLAGS)
tests_bench_client_LDADD = lib/libnbd.la
tests_bench_client_LDFLAGS = $(AM_LDFLAGS) -no-install
EXTRA_DIST += tests/bench/local.mk tests/bench/bench.sh
CLEANFILES += tests/bench/client bench.csv

bench: tests/bench/client
	$(AM_TESTS_ENVIRONMENT) $(SHELL) $(srcdir)/tests/bench/bench.sh $(BENCH)
.PHONY: bench
