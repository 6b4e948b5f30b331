# SPDX-License-Identifier: LGPL-2.1-or-later

# Test programs and scripts print TAP.  They run in parallel and share nothing.

LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
TEST_EXTENSIONS = .sh
SH_LOG_DRIVER = $(LOG_DRIVER)
SH_LOG_COMPILER = $(SHELL)
AM_TESTS_ENVIRONMENT = \
	srcdir='$(srcdir)' builddir='$(builddir)' CC='$(CC)' \
	export srcdir builddir CC;

check_LTLIBRARIES += tests/libtap.la
tests_libtap_la_SOURCES = tests/tap.c tests/tap.h
tests_libtap_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests

TESTS += tests/examples.sh tests/examples-loops.sh
EXTRA_DIST += tests/local.mk tests/examples.sh tests/check.sh \
	tests/examples-loops.sh \
	tests/coverage.sh tests/packages.sh

include tests/unit/local.mk
include tests/generator/local.mk
include tests/abi/local.mk
include tests/api/local.mk
include tests/examples/local.mk
include tests/interop/local.mk
include tests/scenarios/local.mk
include tests/bench/local.mk
include tests/build/local.mk
include tests/manual/local.mk
