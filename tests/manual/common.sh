# SPDX-License-Identifier: LGPL-2.1-or-later

# What the tests of the manual share; to be sourced.

. "${srcdir:=.}/tests/build/common.sh"

perl -MPod::Simple -e 1 2> /dev/null ||
  skip_all "perl, with Pod::Simple, is not installed"

pods=$tmp/pods
overview=$(make_variable overview_man3; make_variable overview_man7)
functions=$(make_variable FUNCTION_PAGES)

# Write the POD of each page to $pods/NAME.SECTION.pod.
make_pods ()
{
  mkdir -p "$pods"
  for _page in $functions; do
    _page=$(basename "$_page" .3)
    "$builddir/generator/generator" pod "$_page" "$srcdir/docs/api" \
      "$srcdir/examples" "$pods/$_page.3.pod" || return
  done
  for _page in $overview; do
    cp "$srcdir/${_page%.*}.pod" "$pods/$(basename "$_page").pod" || return
  done
}

# The names of the man pages of the build.
man_pages ()
{
  for _page in $functions $overview; do
    generated "$_page"
  done
}

# The files that are written by hand.
written_pods ()
{
  echo "$srcdir"/docs/api/*.pod
  for _page in $overview; do
    echo "$srcdir/${_page%.*}.pod"
  done
}

# silent COMMAND...: it succeeds without a word.
silent ()
{
  "$@" > "$tmp/said" 2>&1
  _status=$?
  cat "$tmp/said"
  test "$_status" = 0 && test ! -s "$tmp/said"
}

# section TITLE FILE: the text of a section of a POD file.
section ()
{
  awk -v title="=head1 $1" '/^=head1 / { inside = $0 == title; next }
                            inside' "$2"
}

# notices PAGE EXPRESSION CHECK: the check fails for a folder with this page as
# sed changes it.
notices ()
{
  rm -rf "$tmp/changed"
  mkdir "$tmp/changed"
  sed "$2" "$pods/$1.pod" > "$tmp/changed/$1.pod" || return
  if cmp -s "$pods/$1.pod" "$tmp/changed/$1.pod"; then
    echo "$1 has nothing to change"
    return 1
  fi
  if "$3" "$tmp/changed" > "$tmp/said" 2>&1; then
    echo "$3 does not notice: $2"
    return 1
  fi
}
