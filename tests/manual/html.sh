# SPDX-License-Identifier: LGPL-2.1-or-later

# The manual as HTML: made, looked through, installed and taken away again.

. "${srcdir:=.}/tests/manual/common.sh"

html=$builddir/html
dest=$tmp/dest
htmldir=$dest$(make_variable htmldir)
symbols=$(generated tests/abi/symbols.list)

make_target ()
{
  (cd "$builddir" && $MAKE -s "$1" DESTDIR="$dest")
}

# Nothing but pages, the style sheet and the script.
has_every_page ()
{
  {
    awk '{ print $1 ".html" }' "$symbols"
    for _page in $overview; do
      basename "${_page%.*}.html"
    done
    printf '%s\n' index.html search.js style.css
  } | LC_ALL=C sort > "$tmp/wanted"
  (cd "$1" && ls -A) | LC_ALL=C sort | diff "$tmp/wanted" -
}

# In a folder of HTML: each href and src leads to a file and an id that are
# there, and no id is there twice.
references_lead_somewhere ()
{
  perl - "$1" <<'EOF'
use strict;
use warnings;

my $bad = 0;
my (%ids, @references);
chdir $ARGV[0] or die;
for my $file (glob '*') {
  open my $in, '<', $file or die "$file: $!\n";
  local $/;
  my $text = <$in>;
  $ids{$file} = {};
  next if $file !~ /\.html$/;
  for ($text =~ /\bid="([^"]*)"/g) {
    print "$file: id $_ twice\n" and $bad = 1 if $ids{$file}{$_}++;
  }
  push @references, [$file, $_] for $text =~ /\b(?:href|src)="([^"]*)"/g;
  print "$file: a link without a href\n" and $bad = 1
    if $text =~ /<a(?! href="[^"]+">)/;
}
for (@references) {
  my ($from, $to) = @$_;
  my ($file, $id) = $to =~ /^([^#]*)(?:#(.+))?$/;
  next if $to =~ m{^https://};
  $file = $from if defined $file && $file eq '';
  next if defined $file && $ids{$file} && (!defined $id || $ids{$file}{$id});
  print "$from: $to leads nowhere\n";
  $bad = 1;
}
print "there are no references\n" and $bad = 1 if @references < 1000;
exit $bad;
EOF
}

is_well_formed ()
{
  silent xmllint --noout --nonet "$1"/*.html
}

# Each function below a topic, with its summary.
index_lists_functions ()
{
  sed -n '/<div class="topic">/,$ {
            s/^<li><a href="\(nbd_[a-z0-9_]*\)\.html">\1<\/a> <span>..*$/\1/p
          }' "$1/index.html" | LC_ALL=C sort -u > "$tmp/listed"
  awk '{ print $1 }' "$symbols" | LC_ALL=C sort | diff - "$tmp/listed"
}

# It needs the script.
search_is_hidden ()
{
  grep '<p id="search" hidden="hidden">' "$1/index.html"
}

# What POD has and HTML has not.
nothing_is_left_of_pod ()
{
  ! grep -n -E '[BCFILSX]&lt;|^=(head|over|item|back|begin|end)|POD ERRORS' \
    "$1"/*.html
}

is_installed ()
{
  diff -r "$html" "$htmldir"
}

nothing_is_left ()
{
  find "$dest" ! -type d
  test -z "$(find "$dest" ! -type d)" && test ! -e "$htmldir"
}

# changed FILE EXPRESSION: a copy of the HTML with a fault.
changed ()
{
  rm -rf "$tmp/changed"
  cp -r "$html" "$tmp/changed" || return
  sed "$2" "$html/$1" > "$tmp/changed/$1"
  ! cmp -s "$html/$1" "$tmp/changed/$1"
}

notices_faults ()
{
  for _change in 's/href="nbd_create.html"/href="nbd_created.html"/' \
                 's/href="libnbd.html#ERRORS"/href="libnbd.html#errors"/' \
                 's/id="VERSION"/id="SYNOPSIS"/'; do
    changed nbd_pread.html "$_change" || changed nbd_close.html "$_change" ||
      return
    not references_lead_somewhere "$tmp/changed" || return
  done
}

need "make html" make_target html
ok "there is a page for each function and each overview" \
  has_every_page "$html"
ok "every link leads to a page and a section that are there" \
  references_lead_somewhere "$html"
ok "links that lead nowhere are noticed" notices_faults
if has xmllint; then
  ok "the pages are well-formed" is_well_formed "$html"
else
  skip "the pages are well-formed" "xmllint is not installed"
fi
ok "the index lists all functions" index_lists_functions "$html"
ok "the search field is not shown where there are no scripts" \
  search_is_hidden "$html"
ok "nothing of POD is left" nothing_is_left_of_pod "$html"
need "make install-html" make_target install-html
ok "what is installed is what was made" is_installed
ok "make uninstall" make_target uninstall
ok "nothing is left of it" nothing_is_left

done_testing
