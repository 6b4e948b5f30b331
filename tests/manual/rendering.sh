# SPDX-License-Identifier: LGPL-2.1-or-later

# The man pages as a terminal shows them.  mandoc complains at level "warning":
# what it says about style, long lines of the source for most, comes from how
# pod2man writes.

. "${srcdir:=.}/tests/manual/common.sh"

pages=$(man_pages)

# With nothing of the terminal's own: no colours, no overstriking.
# render DEVICE FILE...
render ()
{
  _device=$1
  shift
  groff -man -ww -rLL=80n "-T$_device" -P-cbou "$@"
}

# It says nothing on stderr.
# shellcheck disable=SC2086
groff_is_content ()
{
  render "$1" $pages > "$tmp/$1" 2> "$tmp/said"
  _status=$?
  cat "$tmp/said"
  test "$_status" = 0 && test ! -s "$tmp/said" && test -s "$tmp/$1"
}

# fits FILE: no line is wider than 80 columns.
fits ()
{
  perl -CSD -ne '
    $page = $1 if /^(\S+\(\d\)) +\S.* \1$/;
    chomp;
    if (length > 80) { print "$page: $_\n"; $bad = 1 }
    END { exit ($bad // 0) }' "$1"
}

# shellcheck disable=SC2086
mandoc_fits ()
{
  mandoc -Tascii -Owidth=80 $pages > "$tmp/bold" &&
    perl -pe 's/.\x08//g' "$tmp/bold" > "$tmp/mandoc" || return
  test -s "$tmp/mandoc" && fits "$tmp/mandoc"
}

# shows_states FILE YES NO: six rows for each function that takes a handle.
shows_states ()
{
  _takers=$(grep -l 'call is permitted in' $pages | grep -c '/nbd_')
  _rows=$(grep -c -E "^ +(newly created|connecting|negotiating|connected with\
 the server|shut down|dead) +($2|$3)\$" "$1")
  echo "$_rows rows on $_takers pages"
  test "$_rows" = $((6 * _takers)) && test "$_takers" -gt 150 &&
    grep -q -E "dead +$2\$" "$1" && grep -q -E "dead +$3\$" "$1"
}

if has groff; then
  ok "groff has nothing to say where there is UTF-8" groff_is_content utf8
  ok "nor where there is only ASCII" groff_is_content ascii
  ok "no line is wider than 80 columns in UTF-8" fits "$tmp/utf8"
  ok "nor in ASCII" fits "$tmp/ascii"
  ok "the table of states has ticks and crosses" \
    shows_states "$tmp/utf8" '✓ yes' '× no'
  ok "and words where there is only ASCII" \
    shows_states "$tmp/ascii" yes no
else
  skip "groff has nothing to say" "groff is not installed"
fi

if has mandoc; then
  # shellcheck disable=SC2086
  ok "mandoc has no warnings" silent mandoc -Tlint -Wwarning $pages
  ok "no line of it is wider than 80 columns" mandoc_fits
  ok "its table of states has marks and words" \
    shows_states "$tmp/mandoc" '[\]/ yes' 'x no'
else
  skip "mandoc has no warnings" "mandoc is not installed"
fi

printf 'x(3)  page  x(3)\n%081d\n' 0 > "$tmp/wide"
ok "a line of 81 columns is noticed" not fits "$tmp/wide"

done_testing
