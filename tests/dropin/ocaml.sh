#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later

# A program that is linked with the OCaml binding.

GROUP=ocaml
. "${srcdir:=.}/tests/dropin/same.sh"
has ocamlfind || skip_all "ocamlfind is not installed"
ocamlfind query nbd > "$tmp/query" 2>&1 ||
  skip_all "libnbd-ocaml-dev is not installed"
program libnbd-ocaml ocamlfind
has nbdkit || skip_all "nbdkit is not installed"

cd "$tmp" || exit
cp "$here/binding.ml" .
need "the program compiles" \
  ocamlfind ocamlopt -package nbd,unix -linkpkg binding.ml -o binding
export tmp

loads '"$tmp/binding" defaults'

for section in settings defaults data status commands exports connections \
               collection tracing; do
  same "$section" "\"\$tmp/binding\" $section"
done

end_group
