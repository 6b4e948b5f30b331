# SPDX-License-Identifier: LGPL-2.1-or-later

# The manual: a page for each function, from its row and its body in docs/api.

# The overview pages, by section.  The text of docs/NAME.3 is docs/NAME.pod.
# The tests and the HTML edition find them here.
overview_man3 = docs/libnbd.3 docs/libnbd-security.3
overview_man7 = docs/libnbd-drop-in.7
overview_bodies = $(overview_man3:.3=.pod) $(overview_man7:.7=.pod)

man3_MANS = $(FUNCTION_PAGES) $(overview_man3)
man7_MANS = $(overview_man7)
function_bodies = $(FUNCTION_PAGES:docs/%.3=docs/api/%.pod)

EXTRA_DIST += $(man3_MANS) $(man7_MANS) $(function_bodies) \
	docs/bodies.stamp $(overview_bodies) docs/local.mk docs/drop-in.md \
	docs/internals/buffers.md docs/internals/contracts.md \
	docs/internals/engine.md docs/internals/generator.md \
	docs/internals/performance.md docs/internals/testing.md
MAINTAINERCLEANFILES += $(man3_MANS) $(man7_MANS) docs/bodies.stamp

# A body for each row and for nothing else.
noinst_DATA = docs/bodies.stamp
docs/bodies.stamp: generator/generator.stamp $(function_bodies)
	$(AM_V_GEN)$(MKDIR_P) docs && { $(ensure_generator); } && \
	generator/generator check $(srcdir)/docs/api && touch $@

# $(call man_page,NAME,SECTION,POD): from git, pod2man must be there.  Where an
# item ends with a list, pod2man leaves an empty block.
man_page = \
	{ test "$(POD2MAN)" != no || \
	  { echo "pod2man (perl) is needed to build the manual from git"; \
	    exit 1; }; } && \
	$(POD2MAN) --utf8 --errors=die --section=$(2) --name=$(1) \
	  --center="NBD client library" --release="$(PACKAGE_STRING)" \
	  --date="$(RELEASE_DATE)" $(3) $@.raw.new && \
	$(SED) -e '/^\.RS 4$$/{' -e '$$!N' -e '/\n\.RE$$/d' -e '}' \
	  $@.raw.new > $@.new && rm -f $@.raw.new && mv $@.new $@

# Parts of the examples are in the pages.
example_files = $(wildcard $(srcdir)/examples/*.c)

docs/%.3: docs/api/%.pod generator/generator.stamp $(example_files)
	$(AM_V_GEN)$(MKDIR_P) docs && { $(ensure_generator); } && \
	generator/generator pod $* $(srcdir)/docs/api $(srcdir)/examples \
	  docs/$*.pod && \
	$(call man_page,$*,3,docs/$*.pod) && rm -f docs/$*.pod

$(overview_man3): docs/%.3: docs/%.pod
	$(AM_V_GEN)$(MKDIR_P) docs && $(call man_page,$*,3,$<)

$(overview_man7): docs/%.7: docs/%.pod
	$(AM_V_GEN)$(MKDIR_P) docs && $(call man_page,$*,7,$<)

# The same pages as HTML, in the folder html of the build, which is made new
# each time.
html_sources = docs/html/pages.pl docs/html/page.html docs/html/style.css \
	docs/html/search.js
html_overview = $(overview_man3) $(overview_man7)
html_files = index.html style.css search.js \
	$(FUNCTION_PAGES:docs/%.3=%.html) $(overview_bodies:docs/%.pod=%.html)
EXTRA_DIST += $(html_sources)

html-local: html/index.html
html/index.html: generator/generator.stamp $(function_bodies) \
	  $(overview_bodies) $(example_files) $(html_sources) docs/local.mk
	$(AM_V_GEN)test "$(PERL)" != no || \
	  { echo "perl is needed for the manual as HTML"; exit 1; }; \
	{ $(ensure_generator); } && rm -rf html && $(MKDIR_P) html/pod && \
	for page in $(FUNCTION_PAGES:docs/%.3=%); do \
	  generator/generator pod $$page $(srcdir)/docs/api \
	    $(srcdir)/examples html/pod/$$page.3.pod || exit; \
	done && \
	for page in $(html_overview:docs/%=%); do \
	  cp $(srcdir)/docs/$${page%.*}.pod html/pod/$$page.pod || exit; \
	done && \
	cp $(srcdir)/docs/html/style.css $(srcdir)/docs/html/search.js html/ && \
	$(PERL) $(srcdir)/docs/html/pages.pl $(srcdir)/docs/html/page.html \
	  "$(PACKAGE_STRING)" html html/pod/*.pod && rm -rf html/pod

install-html-local: html/index.html
	$(MKDIR_P) "$(DESTDIR)$(htmldir)"
	cd html && $(INSTALL_DATA) $(html_files) "$(DESTDIR)$(htmldir)"

uninstall-local:
	test ! -d "$(DESTDIR)$(htmldir)" || \
	  (cd "$(DESTDIR)$(htmldir)" && rm -f $(html_files))
	@rmdir "$(DESTDIR)$(htmldir)" 2> /dev/null || :

clean-local:
	rm -rf html
