# SPDX-License-Identifier: LGPL-2.1-or-later

# The example programs, one script for each subject.  The older ones are in
# tests/examples.sh.

examples_tests = \
	tests/examples/connect.sh \
	tests/examples/data.sh \
	tests/examples/negotiate.sh \
	tests/examples/sources.sh \
	tests/examples/status.sh \
	tests/examples/tls.sh

TESTS += $(examples_tests)

# A server with extended headers, which those that are installed may lack.
check_PROGRAMS += tests/examples/extended-server
tests_examples_extended_server_SOURCES = tests/examples/extended-server.c
tests_examples_extended_server_CPPFLAGS = $(unit_cppflags) \
	-I$(top_srcdir)/tests/api
tests_examples_extended_server_LDADD = tests/api/libpeer.la $(unit_ldadd)

EXTRA_DIST += tests/examples/local.mk tests/examples/common.sh \
	$(examples_tests)
