# SPDX-License-Identifier: LGPL-2.1-or-later

# The engine in memory: linked with the hidden symbols in reach.

unit_cppflags = $(AM_CPPFLAGS) -I$(top_builddir)/lib -I$(top_srcdir)/lib \
	-I$(top_srcdir)/tests -I$(top_srcdir)/tests/unit
unit_ldadd = tests/libtap.la lib/libengine.la

failing_sources = tests/unit/failing.c tests/unit/failing.h
failing_ldflags = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc \
	-Wl,--wrap=strdup,--wrap=strndup

dialogue_sources = \
	tests/unit/dialogue.c \
	tests/unit/dialogue.h \
	tests/unit/dialogues-broken.c \
	tests/unit/dialogues-extended.c \
	tests/unit/dialogues-handshake.c \
	tests/unit/dialogues-option.c \
	tests/unit/dialogues-simple.c \
	tests/unit/dialogues-structured.c

# A server of TLS in memory; nothing without gnutls.
tls_peer_sources = tests/unit/tls-peer.c tests/unit/tls-peer.h
tls_peer_cppflags = $(unit_cppflags) -I$(top_srcdir)/tests/api $(GNUTLS_CFLAGS)
tls_peer_ldadd = tests/api/libpeer.la $(unit_ldadd) $(GNUTLS_LIBS)

check_PROGRAMS += tests/unit/test-dialogues
TESTS += tests/unit/test-dialogues
tests_unit_test_dialogues_SOURCES = \
	$(dialogue_sources) \
	$(tls_peer_sources) \
	tests/unit/test-dialogues.c
tests_unit_test_dialogues_CPPFLAGS = $(tls_peer_cppflags)
tests_unit_test_dialogues_LDADD = $(tls_peer_ldadd)

check_PROGRAMS += tests/unit/test-allocations
TESTS += tests/unit/test-allocations
tests_unit_test_allocations_SOURCES = \
	$(dialogue_sources) \
	$(failing_sources) \
	tests/unit/test-allocations.c
tests_unit_test_allocations_CPPFLAGS = $(unit_cppflags)
tests_unit_test_allocations_LDADD = $(unit_ldadd)
tests_unit_test_allocations_LDFLAGS = $(failing_ldflags)

# What URIs lead to, without connecting.
uri_target_sources = \
	tests/unit/uri-target.c \
	tests/unit/uri-target.h
uri_target_ldflags = $(AM_LDFLAGS) \
	-Wl,--wrap=api_aio_connect_tcp,--wrap=connect_unix_name \
	-Wl,--wrap=api_aio_connect_vsock,--wrap=api_aio_connect_command

check_PROGRAMS += tests/unit/test-uri
TESTS += tests/unit/test-uri
tests_unit_test_uri_SOURCES = $(uri_target_sources) tests/unit/test-uri.c
tests_unit_test_uri_CPPFLAGS = $(unit_cppflags) $(LIBXML2_CFLAGS)
tests_unit_test_uri_LDADD = $(unit_ldadd) $(LIBXML2_LIBS)
tests_unit_test_uri_LDFLAGS = $(uri_target_ldflags) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc \
	-Wl,--wrap=strdup,--wrap=strndup \
	-Wl,--wrap=strcasecmp,--wrap=strncasecmp \
	-Wl,--wrap=getaddrinfo,--wrap=freeaddrinfo

check_PROGRAMS += tests/unit/fuzz-uri
TESTS += tests/unit/fuzz-uri
tests_unit_fuzz_uri_SOURCES = $(uri_target_sources) tests/unit/fuzz-uri.c
tests_unit_fuzz_uri_CPPFLAGS = $(unit_cppflags)
tests_unit_fuzz_uri_LDADD = $(unit_ldadd)
tests_unit_fuzz_uri_LDFLAGS = $(uri_target_ldflags)

# The same for libFuzzer: not part of anything, see fuzz-uri.c.
EXTRA_PROGRAMS += tests/unit/libfuzzer-uri
tests_unit_libfuzzer_uri_SOURCES = $(tests_unit_fuzz_uri_SOURCES)
tests_unit_libfuzzer_uri_CPPFLAGS = $(unit_cppflags) -DLIBFUZZER
tests_unit_libfuzzer_uri_LDADD = $(unit_ldadd)
tests_unit_libfuzzer_uri_LDFLAGS = $(uri_target_ldflags) -fsanitize=fuzzer
CLEANFILES += tests/unit/libfuzzer-uri

check_PROGRAMS += tests/unit/test-tls
TESTS += tests/unit/test-tls
tests_unit_test_tls_SOURCES = \
	$(failing_sources) \
	$(tls_peer_sources) \
	tests/unit/test-tls.c
tests_unit_test_tls_CPPFLAGS = $(tls_peer_cppflags)
tests_unit_test_tls_LDADD = $(tls_peer_ldadd)
tests_unit_test_tls_LDFLAGS = $(failing_ldflags) \
	-Wl,--wrap=asprintf,--wrap=__asprintf_chk \
	-Wl,--wrap=fopen,--wrap=fopen64 \
	-Wl,--wrap=gnutls_transport_is_ktls_enabled,--wrap=gnutls_bye \
	-Wl,--wrap=gnutls_record_send

EXTRA_DIST += tests/unit/local.mk
