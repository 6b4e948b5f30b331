# SPDX-License-Identifier: LGPL-2.1-or-later

# One program of scenarios, compiled and linked once, that runs on the system's
# library and on ours.  It is an executable and no wrapper, so that
# LD_LIBRARY_PATH chooses the library.

check_PROGRAMS += tests/scenarios/scenarios
tests_scenarios_scenarios_SOURCES = \
	tests/scenarios/divert.c \
	tests/scenarios/peer.c \
	tests/scenarios/peer.h \
	tests/scenarios/scenario.c \
	tests/scenarios/scenario.h \
	tests/scenarios/scenarios-aio.c \
	tests/scenarios/scenarios-connect.c \
	tests/scenarios/scenarios-negotiation.c \
	tests/scenarios/scenarios-options.c \
	tests/scenarios/scenarios-parameters.c \
	tests/scenarios/scenarios-servers.c \
	tests/scenarios/scenarios-shutdown.c \
	tests/scenarios/scenarios-simple.c \
	tests/scenarios/scenarios-states.c \
	tests/scenarios/scenarios-status.c \
	tests/scenarios/scenarios-strict.c \
	tests/scenarios/scenarios-structured.c \
	tests/scenarios/scenarios-tls-servers.c \
	tests/scenarios/scenarios-tls.c \
	tests/scenarios/scenarios-trace.c \
	tests/scenarios/scenarios-transports.c \
	tests/scenarios/scenarios-uri.c \
	tests/scenarios/subprocess.c
tests_scenarios_scenarios_CPPFLAGS = $(AM_CPPFLAGS) \
	-I$(top_srcdir)/tests/scenarios
tests_scenarios_scenarios_LDADD = lib/libnbd.la
tests_scenarios_scenarios_LDFLAGS = $(AM_LDFLAGS) -no-install -pthread \
	-Wl,--enable-new-dtags

TESTS += tests/scenarios/compare.sh
EXTRA_DIST += \
	tests/scenarios/accepted.txt \
	tests/scenarios/compare.awk \
	tests/scenarios/compare.sh \
	tests/scenarios/local.mk \
	tests/scenarios/pki.sh
