# SPDX-License-Identifier: LGPL-2.1-or-later

# The generator is built with the build machine's compiler.  What it writes
# depends on its stamp and not on the program, so that in a release tarball,
# which holds the stamp and the outputs, it is not even built.

generator_sources = \
	generator/check.c \
	generator/emit-header.c \
	generator/emit-pod.c \
	generator/emit-symbols.c \
	generator/emit-wrappers.c \
	generator/example.c \
	generator/kinds.c \
	generator/main.c \
	generator/output.c \
	generator/pod.c

generator_headers = \
	generator/check.h \
	generator/emit.h \
	generator/example.h \
	generator/model.h \
	generator/output.h \
	generator/pod.h

generator_table = generator/api.c

generator_inputs = $(generator_sources) $(generator_headers) $(generator_table)

EXTRA_DIST += $(generator_inputs) generator/local.mk

compile_generator = \
	$(MKDIR_P) generator; srcs=; \
	for f in $(generator_sources) $(generator_table); do \
	  test -f $$f || f=$(srcdir)/$$f; srcs="$$srcs $$f"; \
	done; \
	$(CC_FOR_BUILD) -std=gnu11 $(CFLAGS_FOR_BUILD) \
	  -I$(srcdir)/generator -o generator/generator $$srcs

generator/generator.stamp: $(generator_inputs)
	$(AM_V_GEN)$(compile_generator) && touch $@
CLEANFILES += generator/generator
EXTRA_DIST += generator/generator.stamp
MAINTAINERCLEANFILES = generator/generator.stamp

# When only a body was edited in a tarball.
ensure_generator = test -x generator/generator || { $(compile_generator); }

# An output is replaced only when it changes; its stamp says when it was looked
# at last.  $(call generate,KIND,FILE)
generate = $(MKDIR_P) $(dir $(2)) && { $(ensure_generator); } && \
	generator/generator $(1) $(2) && touch $@

include/libnbd.h.stamp: generator/generator.stamp
	$(AM_V_GEN)$(call generate,header,include/libnbd.h)
lib/api.h.stamp: generator/generator.stamp
	$(AM_V_GEN)$(call generate,prototypes,lib/api.h)
lib/api.c.stamp: generator/generator.stamp
	$(AM_V_GEN)$(call generate,wrappers,lib/api.c)
lib/libnbd.syms.stamp: generator/generator.stamp
	$(AM_V_GEN)$(call generate,symbol-map,lib/libnbd.syms)
tests/abi/symbols.list.stamp: generator/generator.stamp
	$(AM_V_GEN)$(call generate,symbol-list,tests/abi/symbols.list)

generated = \
	include/libnbd.h \
	lib/api.h \
	lib/api.c \
	lib/libnbd.syms \
	tests/abi/symbols.list
generated_stamps = $(generated:=.stamp)

$(generated): %: %.stamp
	@test -f $@ || test -f $(srcdir)/$@ || \
	  { rm -f $<; $(MAKE) $(AM_MAKEFLAGS) $<; }

BUILT_SOURCES += $(generated)
EXTRA_DIST += $(generated) $(generated_stamps)
MAINTAINERCLEANFILES += $(generated) $(generated_stamps)
