# SPDX-License-Identifier: LGPL-2.1-or-later

# The manual: a page for each function, from its row and its body in docs/api.

man3_MANS = $(FUNCTION_PAGES) docs/libnbd.3 docs/libnbd-security.3
man7_MANS = docs/libnbd-drop-in.7
function_bodies = $(FUNCTION_PAGES:docs/%.3=docs/api/%.pod)

EXTRA_DIST += $(man3_MANS) $(man7_MANS) $(function_bodies) docs/bodies.stamp \
	docs/libnbd.pod docs/libnbd-security.pod docs/libnbd-drop-in.pod \
	docs/local.mk docs/internals/buffers.md docs/internals/contracts.md \
	docs/internals/engine.md docs/internals/generator.md \
	docs/internals/testing.md
MAINTAINERCLEANFILES += $(man3_MANS) $(man7_MANS) docs/bodies.stamp

# A body for each row and for nothing else.
noinst_DATA = docs/bodies.stamp
docs/bodies.stamp: generator/generator.stamp $(function_bodies)
	$(AM_V_GEN)$(MKDIR_P) docs && { $(ensure_generator); } && \
	generator/generator check $(srcdir)/docs/api && touch $@

# $(call man_page,NAME,POD): from git, pod2man must be there.
man_page = \
	{ test "$(POD2MAN)" != no || \
	  { echo "pod2man (perl) is needed to build the manual from git"; \
	    exit 1; }; } && \
	$(POD2MAN) --utf8 --errors=die --section=3 --name=$(1) \
	  --center="NBD client library" --release="$(PACKAGE_STRING)" \
	  --date="$(RELEASE_DATE)" $(2) $@.new && mv $@.new $@

# A page holds lines of an example, which one is for the generator to know.
docs/%.3: docs/api/%.pod generator/generator.stamp \
		$(wildcard $(srcdir)/examples/*.c)
	$(AM_V_GEN)$(MKDIR_P) docs && { $(ensure_generator); } && \
	generator/generator pod $* $(srcdir)/docs/api $(srcdir)/examples \
	  docs/$*.pod && \
	$(call man_page,$*,docs/$*.pod) && rm -f docs/$*.pod

docs/libnbd.3: docs/libnbd.pod
	$(AM_V_GEN)$(MKDIR_P) docs && $(call man_page,libnbd,$<)
docs/libnbd-security.3: docs/libnbd-security.pod
	$(AM_V_GEN)$(MKDIR_P) docs && $(call man_page,libnbd-security,$<)
docs/libnbd-drop-in.7: docs/libnbd-drop-in.pod
	$(AM_V_GEN)$(MKDIR_P) docs && \
	$(call man_page,libnbd-drop-in,--section=7 $<)
