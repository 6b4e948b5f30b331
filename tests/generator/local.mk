# SPDX-License-Identifier: LGPL-2.1-or-later

# The generator's own sources but its table and its main, as a library.  The
# tests give it tables of their own.
check_LTLIBRARIES += tests/generator/libgenerator.la
tests_generator_libgenerator_la_SOURCES = \
	generator/check.c \
	generator/emit-header.c \
	generator/emit-pod.c \
	generator/emit-symbols.c \
	generator/emit-wrappers.c \
	generator/kinds.c \
	generator/output.c \
	generator/pod.c
tests_generator_libgenerator_la_CPPFLAGS = $(generator_test_cppflags)
# The generator is built without these warnings.
tests_generator_libgenerator_la_CFLAGS = $(AM_CFLAGS) -Wno-shadow \
	-Wno-missing-field-initializers

generator_test_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/generator \
	-I$(top_srcdir)/tests -I$(top_srcdir)/tests/generator
generator_test_ldadd = tests/libtap.la tests/generator/libgenerator.la

generator_tests = \
	tests/generator/test-check \
	tests/generator/test-golden \
	tests/generator/test-output
generator_scripts = \
	tests/generator/command-line.sh \
	tests/generator/golden-compiles.sh

check_PROGRAMS += $(generator_tests)
TESTS += $(generator_tests) $(generator_scripts)

tests_generator_test_check_SOURCES = \
	tests/generator/table.c \
	tests/generator/table.h \
	tests/generator/test-check.c
tests_generator_test_check_CPPFLAGS = $(generator_test_cppflags)
tests_generator_test_check_LDADD = $(generator_test_ldadd)

tests_generator_test_golden_SOURCES = \
	tests/generator/table.c \
	tests/generator/table.h \
	tests/generator/test-golden.c
tests_generator_test_golden_CPPFLAGS = $(generator_test_cppflags)
tests_generator_test_golden_LDADD = $(generator_test_ldadd)

tests_generator_test_output_SOURCES = tests/generator/test-output.c
tests_generator_test_output_CPPFLAGS = $(generator_test_cppflags)
tests_generator_test_output_LDADD = $(generator_test_ldadd)

# In a release tarball nothing but its test needs the program.
generator/generator:
	$(AM_V_GEN)$(compile_generator)
tests/generator/command-line.log: generator/generator

golden_files = \
	tests/generator/golden/api.c \
	tests/generator/golden/api.h \
	tests/generator/golden/libnbd.h \
	tests/generator/golden/libnbd.syms \
	tests/generator/golden/nbd_aio_fetch.pod \
	tests/generator/golden/nbd_create.pod \
	tests/generator/golden/nbd_forget.pod \
	tests/generator/golden/nbd_get_mask.pod \
	tests/generator/golden/nbd_set_tone.pod \
	tests/generator/golden/symbols.list

EXTRA_DIST += tests/generator/local.mk $(generator_scripts) $(golden_files) \
	tests/generator/stub/call.h \
	tests/generator/stub/config.h \
	tests/generator/stub/internal.h
