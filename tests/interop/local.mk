# SPDX-License-Identifier: LGPL-2.1-or-later

# Programs that use the library as any other does, with real servers.  Some are
# built once for each server.

interop_cppflags = $(AM_CPPFLAGS) -I$(srcdir)/tests -I$(srcdir)/tests/interop
interop_ldadd = tests/interop/libinterop.la tests/libtap.la lib/libnbd.la

check_LTLIBRARIES += tests/interop/libinterop.la
tests_interop_libinterop_la_SOURCES = \
	tests/interop/extents.c \
	tests/interop/extents.h \
	tests/interop/pki.c \
	tests/interop/pki.h \
	tests/interop/server.c \
	tests/interop/server.h \
	tests/interop/tiny.c \
	tests/interop/tiny.h
tests_interop_libinterop_la_CPPFLAGS = $(interop_cppflags)

interop_nbd_server = $(interop_cppflags) -DSERVER='"nbd-server"'
interop_nbdkit = $(interop_cppflags) -DSERVER='"nbdkit"'
interop_qemu_nbd = $(interop_cppflags) -DSERVER='"qemu-nbd"'

interop_programs = \
	tests/interop/activation \
	tests/interop/addresses \
	tests/interop/backlog \
	tests/interop/brief-threads \
	tests/interop/commands \
	tests/interop/data-nbd-server \
	tests/interop/data-nbdkit \
	tests/interop/data-qemu-nbd \
	tests/interop/descriptors \
	tests/interop/errors \
	tests/interop/exports-nbd-server \
	tests/interop/exports-nbdkit \
	tests/interop/exports-qemu-nbd \
	tests/interop/flight-nbd-server \
	tests/interop/flight-nbdkit \
	tests/interop/flight-qemu-nbd \
	tests/interop/fork \
	tests/interop/grace \
	tests/interop/loop \
	tests/interop/loss-nbd-server \
	tests/interop/loss-nbdkit \
	tests/interop/loss-qemu-nbd \
	tests/interop/modes \
	tests/interop/poll-pace \
	tests/interop/race \
	tests/interop/signals \
	tests/interop/sockets \
	tests/interop/sparse-nbdkit \
	tests/interop/sparse-qemu \
	tests/interop/stale-loop \
	tests/interop/tcp-options \
	tests/interop/threads \
	tests/interop/tls-options \
	tests/interop/tls-refusals \
	tests/interop/tls-servers-nbd-server \
	tests/interop/tls-servers-nbdkit \
	tests/interop/tls-servers-qemu-nbd \
	tests/interop/tls-transports \
	tests/interop/uris \
	tests/interop/vsock
check_PROGRAMS += $(interop_programs)
TESTS += $(interop_programs)

# What the library starts in some of them.  It is built without sanitizers,
# which would catch signals in it.
spawned_cppflags = $(interop_cppflags) \
	-DCHILD='"$(abs_builddir)/tests/interop/child"'
spawned_sources = \
	tests/interop/child.h \
	tests/interop/spawned.c \
	tests/interop/spawned.h

check_PROGRAMS += tests/interop/child
tests_interop_child_SOURCES = tests/interop/child.c tests/interop/child.h
tests_interop_child_CPPFLAGS = $(interop_cppflags)
tests_interop_child_CFLAGS = -std=gnu11 $(WARN_CFLAGS)
tests_interop_child_LDFLAGS = -no-install

tests_interop_activation_SOURCES = tests/interop/activation.c \
	$(spawned_sources)
tests_interop_activation_CPPFLAGS = $(spawned_cppflags)
tests_interop_activation_LDADD = $(interop_ldadd)

tests_interop_addresses_SOURCES = tests/interop/addresses.c
tests_interop_addresses_CPPFLAGS = $(interop_cppflags)
tests_interop_addresses_LDADD = $(interop_ldadd)

tests_interop_commands_SOURCES = tests/interop/commands.c \
	$(spawned_sources)
tests_interop_commands_CPPFLAGS = $(spawned_cppflags)
tests_interop_commands_LDADD = $(interop_ldadd)

tests_interop_backlog_SOURCES = tests/interop/backlog.c
tests_interop_backlog_CPPFLAGS = $(interop_cppflags)
tests_interop_backlog_LDADD = $(interop_ldadd)

tests_interop_brief_threads_SOURCES = tests/interop/brief-threads.c
tests_interop_brief_threads_CPPFLAGS = $(interop_cppflags)
tests_interop_brief_threads_LDADD = $(interop_ldadd)

tests_interop_data_nbd_server_SOURCES = tests/interop/data.c
tests_interop_data_nbd_server_CPPFLAGS = $(interop_nbd_server)
tests_interop_data_nbd_server_LDADD = $(interop_ldadd)

tests_interop_data_nbdkit_SOURCES = tests/interop/data.c
tests_interop_data_nbdkit_CPPFLAGS = $(interop_nbdkit)
tests_interop_data_nbdkit_LDADD = $(interop_ldadd)

tests_interop_data_qemu_nbd_SOURCES = tests/interop/data.c
tests_interop_data_qemu_nbd_CPPFLAGS = $(interop_qemu_nbd)
tests_interop_data_qemu_nbd_LDADD = $(interop_ldadd)

tests_interop_descriptors_SOURCES = tests/interop/descriptors.c
tests_interop_descriptors_CPPFLAGS = $(interop_cppflags)
tests_interop_descriptors_LDADD = $(interop_ldadd)

tests_interop_errors_SOURCES = tests/interop/errors.c
tests_interop_errors_CPPFLAGS = $(interop_cppflags)
tests_interop_errors_LDADD = $(interop_ldadd)

tests_interop_exports_nbd_server_SOURCES = tests/interop/exports.c
tests_interop_exports_nbd_server_CPPFLAGS = $(interop_nbd_server)
tests_interop_exports_nbd_server_LDADD = $(interop_ldadd)

tests_interop_exports_nbdkit_SOURCES = tests/interop/exports.c
tests_interop_exports_nbdkit_CPPFLAGS = $(interop_nbdkit)
tests_interop_exports_nbdkit_LDADD = $(interop_ldadd)

tests_interop_exports_qemu_nbd_SOURCES = tests/interop/exports.c
tests_interop_exports_qemu_nbd_CPPFLAGS = $(interop_qemu_nbd)
tests_interop_exports_qemu_nbd_LDADD = $(interop_ldadd)

tests_interop_flight_nbd_server_SOURCES = tests/interop/flight.c
tests_interop_flight_nbd_server_CPPFLAGS = $(interop_nbd_server)
tests_interop_flight_nbd_server_LDADD = $(interop_ldadd)

tests_interop_flight_nbdkit_SOURCES = tests/interop/flight.c
tests_interop_flight_nbdkit_CPPFLAGS = $(interop_nbdkit)
tests_interop_flight_nbdkit_LDADD = $(interop_ldadd)

tests_interop_flight_qemu_nbd_SOURCES = tests/interop/flight.c
tests_interop_flight_qemu_nbd_CPPFLAGS = $(interop_qemu_nbd)
tests_interop_flight_qemu_nbd_LDADD = $(interop_ldadd)

tests_interop_fork_SOURCES = tests/interop/fork.c
tests_interop_fork_CPPFLAGS = $(interop_cppflags)
tests_interop_fork_LDADD = $(interop_ldadd)

# With lib/subprocess.c as a part of it, and in place of that of the library.
tests_interop_grace_SOURCES = tests/interop/grace.c $(spawned_sources)
tests_interop_grace_CPPFLAGS = $(spawned_cppflags) -I$(top_builddir)/lib \
	-I$(top_srcdir)/lib
tests_interop_grace_LDADD = tests/interop/libinterop.la tests/libtap.la \
	lib/libengine.la
tests_interop_grace_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free \
	-Wl,--wrap=strdup,--wrap=asprintf,--wrap=vasprintf,--wrap=getenv \
	-Wl,--wrap=pthread_mutex_lock,--wrap=mkdtemp,--wrap=socket \
	-Wl,--wrap=bind,--wrap=listen,--wrap=socketpair,--wrap=pipe2

tests_interop_loop_SOURCES = tests/interop/loop.c
tests_interop_loop_CPPFLAGS = $(interop_cppflags)
tests_interop_loop_LDADD = $(interop_ldadd)

tests_interop_loss_nbd_server_SOURCES = tests/interop/loss.c
tests_interop_loss_nbd_server_CPPFLAGS = $(interop_nbd_server)
tests_interop_loss_nbd_server_LDADD = $(interop_ldadd)

tests_interop_loss_nbdkit_SOURCES = tests/interop/loss.c
tests_interop_loss_nbdkit_CPPFLAGS = $(interop_nbdkit)
tests_interop_loss_nbdkit_LDADD = $(interop_ldadd)

tests_interop_loss_qemu_nbd_SOURCES = tests/interop/loss.c
tests_interop_loss_qemu_nbd_CPPFLAGS = $(interop_qemu_nbd)
tests_interop_loss_qemu_nbd_LDADD = $(interop_ldadd)

tests_interop_modes_SOURCES = tests/interop/modes.c
tests_interop_modes_CPPFLAGS = $(interop_cppflags)
tests_interop_modes_LDADD = $(interop_ldadd)

tests_interop_signals_SOURCES = tests/interop/signals.c
tests_interop_signals_CPPFLAGS = $(interop_cppflags)
tests_interop_signals_LDADD = $(interop_ldadd)

tests_interop_poll_pace_SOURCES = tests/interop/poll-pace.c
tests_interop_poll_pace_CPPFLAGS = $(interop_cppflags) -I$(top_srcdir)/lib
tests_interop_poll_pace_LDADD = $(interop_ldadd)

tests_interop_race_SOURCES = tests/interop/race.c
tests_interop_race_CPPFLAGS = $(interop_cppflags)
tests_interop_race_LDADD = $(interop_ldadd)

tests_interop_sockets_SOURCES = tests/interop/sockets.c
tests_interop_sockets_CPPFLAGS = $(interop_cppflags)
tests_interop_sockets_LDADD = $(interop_ldadd)

tests_interop_sparse_nbdkit_SOURCES = tests/interop/sparse-nbdkit.c
tests_interop_sparse_nbdkit_CPPFLAGS = $(interop_cppflags)
tests_interop_sparse_nbdkit_LDADD = $(interop_ldadd)

tests_interop_sparse_qemu_SOURCES = tests/interop/sparse-qemu.c
tests_interop_sparse_qemu_CPPFLAGS = $(interop_cppflags)
tests_interop_sparse_qemu_LDADD = $(interop_ldadd)

tests_interop_stale_loop_SOURCES = tests/interop/stale-loop.c
tests_interop_stale_loop_CPPFLAGS = $(interop_cppflags)
tests_interop_stale_loop_LDADD = $(interop_ldadd)

tests_interop_tcp_options_SOURCES = tests/interop/tcp-options.c
tests_interop_tcp_options_CPPFLAGS = $(interop_cppflags)
tests_interop_tcp_options_LDADD = $(interop_ldadd)

tests_interop_threads_SOURCES = tests/interop/threads.c
tests_interop_threads_CPPFLAGS = $(interop_cppflags)
tests_interop_threads_LDADD = $(interop_ldadd)

tests_interop_tls_options_SOURCES = tests/interop/tls-options.c
tests_interop_tls_options_CPPFLAGS = $(interop_cppflags)
tests_interop_tls_options_LDADD = $(interop_ldadd)

tests_interop_tls_refusals_SOURCES = tests/interop/tls-refusals.c
tests_interop_tls_refusals_CPPFLAGS = $(interop_cppflags) \
	-DSYSCONFDIR='"$(sysconfdir)"'
tests_interop_tls_refusals_LDADD = $(interop_ldadd)

tests_interop_tls_servers_nbd_server_SOURCES = tests/interop/tls-servers.c
tests_interop_tls_servers_nbd_server_CPPFLAGS = $(interop_nbd_server)
tests_interop_tls_servers_nbd_server_LDADD = $(interop_ldadd)

tests_interop_tls_servers_nbdkit_SOURCES = tests/interop/tls-servers.c
tests_interop_tls_servers_nbdkit_CPPFLAGS = $(interop_nbdkit)
tests_interop_tls_servers_nbdkit_LDADD = $(interop_ldadd)

tests_interop_tls_servers_qemu_nbd_SOURCES = tests/interop/tls-servers.c
tests_interop_tls_servers_qemu_nbd_CPPFLAGS = $(interop_qemu_nbd)
tests_interop_tls_servers_qemu_nbd_LDADD = $(interop_ldadd)

tests_interop_tls_transports_SOURCES = tests/interop/tls-transports.c
tests_interop_tls_transports_CPPFLAGS = $(interop_cppflags)
tests_interop_tls_transports_LDADD = $(interop_ldadd)

tests_interop_uris_SOURCES = tests/interop/uris.c
tests_interop_uris_CPPFLAGS = $(interop_cppflags)
tests_interop_uris_LDADD = $(interop_ldadd)

tests_interop_vsock_SOURCES = tests/interop/vsock.c
tests_interop_vsock_CPPFLAGS = $(interop_cppflags)
tests_interop_vsock_LDADD = $(interop_ldadd)

# What the scripts run.
check_PROGRAMS += tests/interop/connect-to tests/interop/slow-link
tests_interop_connect_to_SOURCES = tests/interop/connect-to.c
tests_interop_connect_to_LDADD = lib/libnbd.la
tests_interop_slow_link_SOURCES = tests/interop/slow-link.c

interop_scripts = tests/interop/networks.sh tests/interop/ssh.sh
TESTS += $(interop_scripts)

EXTRA_DIST += tests/interop/local.mk $(interop_scripts)
