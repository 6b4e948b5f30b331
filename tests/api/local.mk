# SPDX-License-Identifier: LGPL-2.1-or-later

# The calls of the API, one program for each subject, with a server in memory.

check_LTLIBRARIES += tests/api/libpeer.la
tests_api_libpeer_la_SOURCES = \
	tests/api/calls.c \
	tests/api/calls.def \
	tests/api/calls.h \
	tests/api/peer.c \
	tests/api/peer.h \
	tests/api/server.c \
	tests/api/server.h
tests_api_libpeer_la_CPPFLAGS = $(unit_cppflags)

api_ldadd = tests/api/libpeer.la $(unit_ldadd)

api_tests = \
	tests/api/test-counts \
	tests/api/test-errors \
	tests/api/test-handle \
	tests/api/test-large-reads \
	tests/api/test-lessons \
	tests/api/test-memory \
	tests/api/test-newer \
	tests/api/test-parameters \
	tests/api/test-states \
	tests/api/test-stats \
	tests/api/test-strict \
	tests/api/test-threads \
	tests/api/test-trace

check_PROGRAMS += $(api_tests)
TESTS += $(api_tests) tests/api/instructions.sh
EXTRA_DIST += tests/api/instructions.sh

tests_api_test_counts_SOURCES = tests/api/test-counts.c
tests_api_test_counts_CPPFLAGS = $(unit_cppflags)
tests_api_test_counts_LDADD = $(api_ldadd)
tests_api_test_counts_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=send,--wrap=sendmsg,--wrap=recv,--wrap=recvmsg \
	-Wl,--wrap=poll,--wrap=malloc,--wrap=calloc,--wrap=realloc

tests_api_test_errors_SOURCES = tests/api/test-errors.c
tests_api_test_errors_CPPFLAGS = $(unit_cppflags)
tests_api_test_errors_LDADD = $(api_ldadd)

tests_api_test_handle_SOURCES = tests/api/test-handle.c
tests_api_test_handle_CPPFLAGS = $(unit_cppflags)
tests_api_test_handle_LDADD = $(api_ldadd)

tests_api_test_large_reads_SOURCES = \
	$(failing_sources) \
	tests/api/test-large-reads.c
tests_api_test_large_reads_CPPFLAGS = $(unit_cppflags)
tests_api_test_large_reads_LDADD = $(api_ldadd)
tests_api_test_large_reads_LDFLAGS = $(failing_ldflags)

tests_api_test_lessons_SOURCES = tests/api/test-lessons.c
tests_api_test_lessons_CPPFLAGS = $(unit_cppflags)
tests_api_test_lessons_LDADD = $(api_ldadd)

tests_api_test_memory_SOURCES = \
	$(failing_sources) \
	tests/api/test-memory.c
tests_api_test_memory_CPPFLAGS = $(unit_cppflags)
tests_api_test_memory_LDADD = $(api_ldadd)
tests_api_test_memory_LDFLAGS = $(failing_ldflags)

tests_api_test_newer_SOURCES = tests/api/test-newer.c
tests_api_test_newer_CPPFLAGS = $(unit_cppflags)
tests_api_test_newer_LDADD = $(api_ldadd)

tests_api_test_parameters_SOURCES = tests/api/test-parameters.c
tests_api_test_parameters_CPPFLAGS = $(unit_cppflags)
tests_api_test_parameters_LDADD = $(api_ldadd)

tests_api_test_states_SOURCES = tests/api/test-states.c
tests_api_test_states_CPPFLAGS = $(unit_cppflags)
tests_api_test_states_LDADD = $(api_ldadd)

tests_api_test_stats_SOURCES = tests/api/test-stats.c
tests_api_test_stats_CPPFLAGS = $(unit_cppflags)
tests_api_test_stats_LDADD = $(api_ldadd)

tests_api_test_strict_SOURCES = tests/api/test-strict.c
tests_api_test_strict_CPPFLAGS = $(unit_cppflags)
tests_api_test_strict_LDADD = $(api_ldadd)

tests_api_test_threads_SOURCES = tests/api/test-threads.c
tests_api_test_threads_CPPFLAGS = $(unit_cppflags)
tests_api_test_threads_LDADD = $(api_ldadd)

tests_api_test_trace_SOURCES = tests/api/test-trace.c
tests_api_test_trace_CPPFLAGS = $(unit_cppflags)
tests_api_test_trace_LDADD = $(api_ldadd)

EXTRA_DIST += tests/api/local.mk
