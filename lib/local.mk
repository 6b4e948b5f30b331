# SPDX-License-Identifier: LGPL-2.1-or-later

# All of the library but its name: the unit tests link it with the hidden
# symbols in reach.
noinst_LTLIBRARIES += lib/libengine.la
lib_libengine_la_SOURCES = \
	lib/call.c \
	lib/call.h \
	lib/command.c \
	lib/connect-command.c \
	lib/connect-tcp.c \
	lib/connect-uri.c \
	lib/connect.c \
	lib/debug.c \
	lib/engine.c \
	lib/error.c \
	lib/export.c \
	lib/extents.c \
	lib/get-uri.c \
	lib/handle.c \
	lib/handshake.c \
	lib/internal.h \
	lib/meta.c \
	lib/option-calls.c \
	lib/option.c \
	lib/protocol.h \
	lib/queue.c \
	lib/reply.c \
	lib/request.c \
	lib/subprocess.c \
	lib/text.c \
	lib/text.h \
	lib/tls-credentials.c \
	lib/tls-transport.c \
	lib/tls-verify.c \
	lib/tls.c \
	lib/tls.h \
	lib/transport.c \
	lib/uri.c \
	lib/uri.h \
	lib/wire.h
nodist_lib_libengine_la_SOURCES = lib/api.c
lib_libengine_la_CPPFLAGS = $(AM_CPPFLAGS) \
	-I$(top_builddir)/lib -I$(top_srcdir)/lib \
	-DSYSCONFDIR='"$(sysconfdir)"'
lib_libengine_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden \
	$(GNUTLS_CFLAGS) $(LIBXML2_CFLAGS)
lib_libengine_la_LIBADD = $(GNUTLS_LIBS) $(LIBXML2_LIBS)

lib_LTLIBRARIES = lib/libnbd.la
lib_libnbd_la_SOURCES =
lib_libnbd_la_LIBADD = lib/libengine.la
lib_libnbd_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 $(NO_UNDEFINED) \
	-Wl,--version-script,$(symbol_map)
lib_libnbd_la_DEPENDENCIES = lib/libengine.la lib/libnbd.syms
symbol_map = `test -f lib/libnbd.syms || echo $(srcdir)/`lib/libnbd.syms
if !SANITIZE
NO_UNDEFINED = -no-undefined -Wl,-z,defs
endif

# In the static library the hidden symbols of the objects would be as global as
# the API's, and a program with a "fail" or a "queue_push" of its own could not
# be linked.  So the archive that libtool made is replaced by one with a single
# object, in which they are local.
if HIDE_NAMES
hidden_stamp = lib/libnbd.a.stamp
all-local: $(hidden_stamp)
lib/libnbd.a.stamp: lib/libnbd.la
	$(AM_V_GEN)rm -f lib/libnbd.a && \
	$(LD_MERGE) -o lib/libnbd.o --whole-archive lib/.libs/libengine.a && \
	$(OBJCOPY_HIDE) lib/libnbd.o && \
	$(AR) cr lib/libnbd.a lib/libnbd.o && \
	$(RANLIB) lib/libnbd.a && \
	mv -f lib/libnbd.a lib/.libs/libnbd.a && rm -f lib/libnbd.o && touch $@
CLEANFILES += lib/libnbd.a.stamp lib/libnbd.a lib/libnbd.o
endif

nodist_include_HEADERS = include/libnbd.h

pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = lib/libnbd.pc
EXTRA_DIST += lib/local.mk
