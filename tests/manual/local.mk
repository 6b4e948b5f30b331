# SPDX-License-Identifier: LGPL-2.1-or-later

# The manual: what its pages say, how they look, and where their links lead.

manual_tests = \
	tests/manual/browser.sh \
	tests/manual/html.sh \
	tests/manual/language.sh \
	tests/manual/links.sh \
	tests/manual/pages.sh \
	tests/manual/rendering.sh
TESTS += $(manual_tests)

# In a release tarball the program is not there yet.
$(manual_tests:.sh=.log): generator/generator

EXTRA_DIST += tests/manual/local.mk tests/manual/common.sh $(manual_tests) \
	tests/manual/external.list tests/manual/links.pl \
	tests/manual/prose.pl docs/spelling.list
