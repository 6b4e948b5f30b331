# SPDX-License-Identifier: LGPL-2.1-or-later

# Programs of Debian on the system's library and on ours, a script for each.

dropin_scripts = \
	tests/dropin/fio.sh \
	tests/dropin/nbdcopy.sh \
	tests/dropin/nbddump.sh \
	tests/dropin/nbdfuse.sh \
	tests/dropin/nbdinfo.sh \
	tests/dropin/nbdkit.sh \
	tests/dropin/nbdsh.sh \
	tests/dropin/ocaml.sh \
	tests/dropin/poke.sh
TESTS += $(dropin_scripts)

EXTRA_DIST += $(dropin_scripts) \
	tests/dropin/accepted.txt \
	tests/dropin/binding.ml \
	tests/dropin/local.mk \
	tests/dropin/methods.py \
	tests/dropin/same.sh
