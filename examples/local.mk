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

EXTRA_DIST += examples/local.mk examples/quickstart.sh
