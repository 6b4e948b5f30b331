# SPDX-License-Identifier: LGPL-2.1-or-later

# The prose of the manual: British spelling, and nothing said too often.  Words
# that the dictionary lacks are in docs/spelling.list.

. "${srcdir:=.}/tests/manual/common.sh"

# prose KIND FILE...
prose ()
{
  perl "$srcdir/tests/manual/prose.pl" "$@"
}

# The words that FILE... has and the dictionary and the list have not.
unknown_words ()
{
  prose words "$@" > "$tmp/words" || return
  cut -f 2 "$tmp/words" |
    LC_ALL=C.UTF-8 hunspell -d en_GB -p "$tmp/spelling" -l > "$tmp/found" ||
    return
  LC_ALL=C sort -u "$tmp/found" > "$tmp/unknown"
}

# shellcheck disable=SC2046
spelling_is_right ()
{
  unknown_words $(written_pods) || return
  while read -r _word; do
    echo "$_word:"
    grep -w -e "$_word" "$tmp/words" | cut -f 1
  done < "$tmp/unknown"
  test -s "$tmp/words" && test ! -s "$tmp/unknown"
}

list_is_sorted ()
{
  LC_ALL=C sort -u "$tmp/spelling" | diff "$tmp/spelling" -
}

notices_spelling ()
{
  printf '=head1 X\n\nThe color of the recieved C<bytez>.\n' > "$tmp/x.pod"
  unknown_words "$tmp/x.pod" || return
  test "$(tr '\n' ' ' < "$tmp/unknown")" = 'color recieved '
}

# too_often LIMIT FILE...: the sentences of four words or more that are in more
# files than that.
too_often ()
{
  _limit=$1
  shift
  prose sentences "$@" | perl -e '
    my $limit = shift;
    while (<STDIN>) {
      my ($where, $text) = /^(.*?):\d+:\t(.*)$/ or die;
      for my $sentence (split /(?<=[.!?:;])\s+/, $text) {
        my $key = join " ", lc ($sentence) =~ /[\w()*.-]*\w[\w()*]*/g;
        $pages{$key}{$where} = 1 if 3 < split / /, $key;
      }
    }
    for (sort keys %pages) {
      my @pages = sort keys %{$pages{$_}};
      print "$_: @pages\n" if @pages > $limit;
    }' "$_limit"
}

# shellcheck disable=SC2046
nothing_is_said_too_often ()
{
  silent too_often 5 $(written_pods)
}

# shellcheck disable=SC2046
notices_repetition ()
{
  too_often 1 $(written_pods) > "$tmp/twice"
  test -s "$tmp/twice"
}

grep -v '^#' "$srcdir/docs/spelling.list" > "$tmp/spelling"
if ! has hunspell; then
  skip "every word is spelt in British English" "hunspell is not installed"
elif ! echo word | hunspell -d en_GB -l > /dev/null 2>&1; then
  skip "every word is spelt in British English" \
    "hunspell's dictionary en_GB is not installed"
else
  ok "every word is spelt in British English" spelling_is_right
  ok "a word that is not is noticed, outside of code" notices_spelling
  ok "the list of words is sorted" list_is_sorted
fi
ok "no sentence is in more than five pages" nothing_is_said_too_often
ok "sentences that are in two are found" notices_repetition

done_testing
