# SPDX-License-Identifier: LGPL-2.1-or-later

# "make bench": our library, the system's, and a client without a library.

bench_programs = \
	tests/bench/client \
	tests/bench/floor \
	tests/bench/server
EXTRA_PROGRAMS += $(bench_programs)

tests_bench_client_SOURCES = tests/bench/client.c tests/bench/measure.h
tests_bench_client_CPPFLAGS = $(AM_CPPFLAGS)
tests_bench_client_LDADD = lib/libnbd.la
tests_bench_client_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_bench_floor_SOURCES = tests/bench/floor.c tests/bench/measure.h
tests_bench_floor_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/lib
tests_bench_server_SOURCES = tests/bench/server.c
tests_bench_server_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/lib

EXTRA_DIST += tests/bench/local.mk tests/bench/bench.sh \
	tests/bench/cases.list tests/bench/medians.awk tests/bench/plot.gp \
	tests/bench/table.awk
CLEANFILES += $(bench_programs) bench.csv bench.svg

bench: $(bench_programs)
	$(AM_TESTS_ENVIRONMENT) $(SHELL) $(srcdir)/tests/bench/bench.sh $(BENCH)
.PHONY: bench
