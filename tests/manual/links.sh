# SPDX-License-Identifier: LGPL-2.1-or-later

# Every link of the manual leads to a page and a section that are there.

. "${srcdir:=.}/tests/manual/common.sh"

links_lead_somewhere ()
{
  silent perl "$srcdir/tests/manual/links.pl" \
    "$srcdir/tests/manual/external.list" "$1"/*.pod
}

# One link for each kind of fault, and one without.
notices_faults ()
{
  cat >> "$pods/nbd_pread.3.pod" <<EOF

L<poll(2)>, L<libnbd(3)/ERRORS> and L</HANDLE STATE>; but
L<nbd_aio_preed(3)>,
L<nbd_aio_pread(2)>,
L<nbd_pread(3)>,
L<nosuch(7)>,
L<poll(2)/ERRORS>,
L<nbd_create>,
L<libnbd(3)/ERROR>,
L</STATE>.
EOF
  links_lead_somewhere "$pods"
  test "$(grep -c '^nbd_pread(3):[0-9]*: L<' "$tmp/said")" = 8
}

need "each page can be made" make_pods
ok "every link leads to a page and a section that are there" \
  links_lead_somewhere "$pods"
ok "links that lead nowhere are noticed" notices_faults

done_testing
