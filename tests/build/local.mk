# SPDX-License-Identifier: LGPL-2.1-or-later

# The build itself: what is exported, installed and distributed.  Those that
# build the whole tree again run only with LIBNBD_SLOW_TESTS=1 in the
# environment.

build_tests = \
	tests/build/clang.sh \
	tests/build/contracts.sh \
	tests/build/cross.sh \
	tests/build/install.sh \
	tests/build/overview-commands.sh \
	tests/build/overview.sh \
	tests/build/paths.sh \
	tests/build/programs.sh \
	tests/build/tarball.sh \
	tests/build/without-libs.sh
TESTS += $(build_tests)

EXTRA_DIST += tests/build/local.mk tests/build/common.sh \
	tests/build/pages.sh $(build_tests)
