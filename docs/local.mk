# SPDX-License-Identifier: LGPL-2.1-or-later

# The manual: a page for each function, from its row and its body in docs/api.

man3_MANS = $(FUNCTION_PAGES)
function_pods = $(FUNCTION_PAGES:.3=.pod)
function_bodies = $(function_pods:docs/%=docs/api/%)

EXTRA_DIST += $(FUNCTION_PAGES) $(function_pods) $(function_bodies) \
	docs/local.mk docs/pods.stamp
MAINTAINERCLEANFILES += $(FUNCTION_PAGES) $(function_pods) docs/pods.stamp

docs/pods.stamp: generator/generator.stamp $(function_bodies)
	$(AM_V_GEN)$(MKDIR_P) docs && { $(ensure_generator); } && \
	generator/generator check $(srcdir)/docs/api && \
	for f in $(function_pods); do \
	  generator/generator pod `basename $$f .pod` $(srcdir)/docs/api \
	    $(srcdir)/examples $$f || exit 1; \
	done && touch $@

$(function_pods): docs/pods.stamp
	@test -f $@ || test -f $(srcdir)/$@ || \
	  { rm -f $<; $(MAKE) $(AM_MAKEFLAGS) $<; }

docs/%.3: docs/%.pod
	@test "$(POD2MAN)" != no || \
	  { echo "pod2man (perl) is needed to build the manual from git"; exit 1; }
	@$(MKDIR_P) docs
	$(AM_V_GEN)$(POD2MAN) --utf8 --errors=die --section=3 --name=$* \
	  --center="NBD client library" --release="$(PACKAGE_STRING)" \
	  --date="$(RELEASE_DATE)" $< $@.new && mv $@.new $@
