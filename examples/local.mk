# SPDX-License-Identifier: LGPL-2.1-or-later

# Small complete programs that show how the library is used.  They are built
# with everything else, run by tests/examples.sh, and never installed.

noinst_PROGRAMS = \
	examples/connect-socket \
	examples/copy-image \
	examples/list-exports \
	examples/map-image \
	examples/poll-loop \
	examples/simple-read \
	examples/write-block

examples_connect_socket_LDADD = lib/libnbd.la
examples_copy_image_LDADD = lib/libnbd.la
examples_list_exports_LDADD = lib/libnbd.la
examples_map_image_LDADD = lib/libnbd.la
examples_poll_loop_LDADD = lib/libnbd.la
examples_simple_read_LDADD = lib/libnbd.la
examples_write_block_LDADD = lib/libnbd.la

# Loops of other libraries and systems, where they are.
if HAVE_EPOLL
noinst_PROGRAMS += examples/epoll-loop
endif
if HAVE_GLIB
noinst_PROGRAMS += examples/glib-loop
endif
if HAVE_LIBEV
noinst_PROGRAMS += examples/libev-loop
endif
examples_epoll_loop_LDADD = lib/libnbd.la
examples_glib_loop_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
examples_glib_loop_LDADD = lib/libnbd.la $(GLIB_LIBS)
examples_libev_loop_LDADD = lib/libnbd.la $(EV_LIBS)

EXTRA_DIST += examples/local.mk examples/quickstart.sh
