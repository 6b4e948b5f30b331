# SPDX-License-Identifier: LGPL-2.1-or-later

# The tables of docs/internals/contracts.md: every test that they name is where
# they say, and no lesson and no newer function is without one.

. "${srcdir:=.}/tests/build/common.sh"

doc=$srcdir/docs/internals/contracts.md
list=$(generated tests/abi/symbols.list)
functions=$srcdir/tests/abi/functions.list
lessons='1 2 3 4 5 6 7 8 9 10 11 12'

# rows FILE: "KIND<TAB>KEY<TAB>SOURCE<TAB>TEST" for each test of each row: a
# lesson's number or a function's name, the file and the name of the test.  A
# row that has another form becomes "bad<TAB>ROW".
rows ()
{
  awk -F '|' '
    function trim (s) { gsub (/^ +| +$/, "", s); return s }
    function unquote (s) {
      s = trim(s)
      return s ~ /^`[^`]+`$/ ? substr (s, 2, length (s) - 2) : ""
    }
    # The rows that a line stands for, or an empty string.
    function expand (    source, cell, keys, tests, n, m, i, j, key, all) {
      if (kind == "" || NF != 6 || trim($3) == "")
        return ""
      source = unquote($4)
      cell = trim($5)
      if (source == "" || cell !~ /^`.+`$/)
        return ""
      # What is between two names is a comma and a space.
      m = split (substr (cell, 2, length (cell) - 2), tests, /`, `/)
      n = split (trim($2), keys, /, */)
      for (i = 1; i <= n; i++) {
        key = kind == "lesson" ? keys[i] : unquote(keys[i])
        if (key !~ (kind == "lesson" ? "^[0-9]+$" : "^nbd_[a-z0-9_]+$"))
          return ""
        for (j = 1; j <= m; j++) {
          if (tests[j] == "" || tests[j] ~ /`/)
            return ""
          all = all kind "\t" key "\t" source "\t" tests[j] "\n"
        }
      }
      return all
    }
    !/^\|/ { kind = ""; next }
    $2 ~ /^ *(lesson|function) *$/ { kind = trim($2); next }
    /^\|[-|]*\|$/ { next }
    {
      row = expand()
      printf "%s", row == "" ? "bad\t" $0 "\n" : row
    }' "$1"
}

# literals FILE: the string literals of a C file, one a line; those that follow
# each other are one.  Those that a macro continues are without the colon and
# the space at their end.
literals ()
{
  awk '
    function finish () {
      if (some) {
        sub (/[: ]+$/, "", text)
        print text
      }
      some = 0
      text = ""
    }
    BEGIN { RS = "\"" }
    !inside {
      gsub (/\\\n/, " ")
      if ($0 !~ /^[ \t\n]*$/)
        finish()
      inside = 1
      next
    }
    {
      text = text $0
      some = 1
      if ($0 ~ /(^|[^\\])(\\\\)*\\$/)
        text = substr (text, 1, length (text) - 1) "\""
      else
        inside = 0
    }
    END { finish() }' "$1"
}

# names_tests FILE: whether each test of the tables in FILE is there.
names_tests ()
{
  rows "$1" > "$tmp/rows"
  _bad=0
  for _source in $(cut -f 3 "$tmp/rows" | sort -u); do
    case $_source in
      tests/*.c) ;;
      *) echo "$_source is no test"; _bad=1; continue ;;
    esac
    literals "$srcdir/$_source" | sort -u > "$tmp/literals" || return
    awk -F '\t' -v source="$_source" '$3 == source { print $4 }' \
      "$tmp/rows" | sort -u | comm -23 - "$tmp/literals" > "$tmp/missing"
    if test -s "$tmp/missing"; then
      sed "s|^|not in $_source: |" "$tmp/missing"
      _bad=1
    fi
  done
  test -s "$tmp/rows" && test "$_bad" = 0
}

well_formed ()
{
  rows "$doc" > "$tmp/rows"
  ! grep '^bad' "$tmp/rows" && test -s "$tmp/rows"
}

# covers FILE: whether the tables in FILE have a row for all that needs one.
covers ()
{
  rows "$1" > "$tmp/rows"
  cut -f 1,2 "$tmp/rows" | sort -u > "$tmp/keys"
  {
    for _lesson in $lessons; do
      printf 'lesson\t%s\n' "$_lesson"
    done
    # Newer than 1.14, and exported.
    awk '!/^#/ { split ($2, part, /\./)
                 if (part[2] > 14) print $1 }' "$functions" |
      sort > "$tmp/newer"
    awk '{ print $1 }' "$list" | sort | comm -12 "$tmp/newer" - |
      sed 's/^/function	/'
  } | sort > "$tmp/wanted"
  comm -23 "$tmp/wanted" "$tmp/keys" > "$tmp/without"
  cat "$tmp/without"
  test -s "$tmp/newer" && test ! -s "$tmp/without"
}

# Rows of functions that are not exported are about nothing.
functions_are_exported ()
{
  rows "$doc" | awk -F '\t' '$1 == "function" { print $2 }' |
    sort -u > "$tmp/named"
  awk '{ print $1 }' "$list" | sort | comm -23 "$tmp/named" - \
    > "$tmp/unknown"
  cat "$tmp/unknown"
  test -s "$tmp/named" && test ! -s "$tmp/unknown"
}

# The checks themselves: with one letter more in the last test of each file's
# rows, and with one row less, the tables are wrong.
notices_wrong_names ()
{
  rows "$doc" | cut -f 3 | sort -u > "$tmp/sources"
  while read -r _source; do
    awk -v source="\`$_source\`" '
      index ($0, source) && !done { sub (/` *\|$/, "x` |"); done = 1 }
      { print }' "$doc" > "$tmp/wrong.md"
    if names_tests "$tmp/wrong.md" > /dev/null; then
      echo "a wrong name in $_source is not noticed"
      return 1
    fi
  done < "$tmp/sources"
}

notices_missing_rows ()
{
  for _pattern in '^| 12 |' '`nbd_poll2`'; do
    grep -v "$_pattern" "$doc" > "$tmp/less.md"
    if covers "$tmp/less.md" > /dev/null; then
      echo "rows with $_pattern are not missed"
      return 1
    fi
  done
}

need "the tables can be read" well_formed
ok "every test that they name is in the file that they name" \
  names_tests "$doc"
ok "every lesson and every newer function has a test" covers "$doc"
ok "every function that they name is exported" functions_are_exported
ok "a name that is wrong is noticed" notices_wrong_names
ok "a row that is missing is noticed" notices_missing_rows

done_testing
