# SPDX-License-Identifier: LGPL-2.1-or-later

# What programs that are already built, or are built against the header, rest
# on: symbols, types, values and names.

abi_scripts = \
	tests/abi/abidiff.sh \
	tests/abi/archive.sh \
	tests/abi/constants.sh \
	tests/abi/header.sh \
	tests/abi/layout.sh \
	tests/abi/macros.sh \
	tests/abi/symbols.sh \
	tests/abi/types.sh

# It loads the library itself and is not linked with it.
check_PROGRAMS += tests/abi/dlopen
tests_abi_dlopen_SOURCES = tests/abi/dlopen.c
tests_abi_dlopen_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
tests_abi_dlopen_LDADD = tests/libtap.la -ldl

TESTS += tests/abi/dlopen $(abi_scripts)
EXTRA_DIST += tests/abi/local.mk $(abi_scripts) \
	tests/abi/common.sh \
	tests/abi/constants.list \
	tests/abi/functions.list \
	tests/abi/layout.c
