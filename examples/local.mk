# SPDX-License-Identifier: LGPL-2.1-or-later

# Small complete programs that show how the library is used.  They are built
# with everything else, run by tests/examples.sh and the scripts in
# tests/examples, and never installed.  What stands between the marks
# [nbd_NAME ...] and [end] goes into the manual.

noinst_PROGRAMS = \
	examples/block-status \
	examples/connect-any \
	examples/connect-socket \
	examples/connect-vsock \
	examples/copy-image \
	examples/count-data \
	examples/debug-log \
	examples/erase-range \
	examples/library-info \
	examples/list-exports \
	examples/map-image \
	examples/multi-conn \
	examples/negotiate \
	examples/negotiate-async \
	examples/old-client \
	examples/poll-loop \
	examples/probe-server \
	examples/run-server \
	examples/simple-read \
	examples/sparse-read \
	examples/stop-read \
	examples/tls-certificates \
	examples/tls-psk \
	examples/uri-tool \
	examples/wait-server \
	examples/write-block \
	examples/write-image

examples_block_status_LDADD = lib/libnbd.la
examples_connect_any_LDADD = lib/libnbd.la
examples_connect_socket_LDADD = lib/libnbd.la
examples_connect_vsock_LDADD = lib/libnbd.la
examples_copy_image_LDADD = lib/libnbd.la
examples_count_data_LDADD = lib/libnbd.la
examples_debug_log_LDADD = lib/libnbd.la
examples_erase_range_LDADD = lib/libnbd.la
examples_library_info_LDADD = lib/libnbd.la
examples_list_exports_LDADD = lib/libnbd.la
examples_map_image_LDADD = lib/libnbd.la
examples_multi_conn_LDADD = lib/libnbd.la
examples_negotiate_LDADD = lib/libnbd.la
examples_negotiate_async_LDADD = lib/libnbd.la
examples_old_client_LDADD = lib/libnbd.la
examples_poll_loop_LDADD = lib/libnbd.la
examples_probe_server_LDADD = lib/libnbd.la
examples_run_server_LDADD = lib/libnbd.la
examples_simple_read_LDADD = lib/libnbd.la
examples_sparse_read_LDADD = lib/libnbd.la
examples_stop_read_LDADD = lib/libnbd.la
examples_tls_certificates_LDADD = lib/libnbd.la
examples_tls_psk_LDADD = lib/libnbd.la
examples_uri_tool_LDADD = lib/libnbd.la
examples_wait_server_LDADD = lib/libnbd.la
examples_write_block_LDADD = lib/libnbd.la
examples_write_image_LDADD = lib/libnbd.la

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
