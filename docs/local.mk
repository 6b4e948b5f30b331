# SPDX-License-Identifier: LGPL-2.1-or-later

# The manual: a page for each function, from its row and its body in docs/api.

man3_MANS = $(FUNCTION_PAGES)
function_bodies = $(FUNCTION_PAGES:docs/%.3=docs/api/%.pod)

EXTRA_DIST += $(FUNCTION_PAGES) $(function_bodies) docs/bodies.stamp \
	docs/internals/engine.md docs/local.mk
MAINTAINERCLEANFILES += $(FUNCTION_PAGES) docs/bodies.stamp

# A body for each row and for nothing else.
noinst_DATA = docs/bodies.stamp
docs/bodies.stamp: generator/generator.stamp $(function_bodies)
	$(AM_V_GEN)$(MKDIR_P) docs && { $(ensure_generator); } && \
	generator/generator check $(srcdir)/docs/api && touch $@

docs/%.3: docs/api/%.pod generator/generator.stamp
	@test "$(POD2MAN)" != no || \
	  { echo "pod2man (perl) is needed to build the manual from git"; exit 1; }
	$(AM_V_GEN)$(MKDIR_P) docs && { $(ensure_generator); } && \
	generator/generator pod $* $(srcdir)/docs/api $(srcdir)/examples \
	  docs/$*.pod && \
	$(POD2MAN) --utf8 --errors=die --section=3 --name=$* \
	  --center="NBD client library" --release="$(PACKAGE_STRING)" \
	  --date="$(RELEASE_DATE)" docs/$*.pod $@.new && \
	rm -f docs/$*.pod && mv $@.new $@
