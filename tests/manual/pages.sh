# SPDX-License-Identifier: LGPL-2.1-or-later

# The pages of the manual as POD: there is one for each function, with all its
# sections, and what its SYNOPSIS says is what the header says.

. "${srcdir:=.}/tests/manual/common.sh"

symbols=$(generated tests/abi/symbols.list)
header=$(generated include/libnbd.h)

# In a folder of pods: no function without a page and no page without one.
every_function_has_a_page ()
{
  (cd "$1" && ls nbd_*.3.pod) | sed 's/\.3\.pod$//' | LC_ALL=C sort \
    > "$tmp/pages"
  awk '{ print $1 }' "$symbols" | LC_ALL=C sort > "$tmp/symbols"
  diff "$tmp/symbols" "$tmp/pages" && test -s "$tmp/pages"
}

every_page_is_built ()
{
  for _page in $(man_pages); do
    test -s "$_page" || { echo "$_page is not there"; return 1; }
  done
}

sections_of_functions='NAME
SYNOPSIS
DESCRIPTION
RETURN VALUE
ERRORS
HANDLE STATE
VERSION
EXAMPLE
SEE ALSO
AUTHORS
COPYRIGHT'

functions_have_all_sections ()
{
  _bad=0
  echo "$sections_of_functions" > "$tmp/wanted"
  for _file in "$1"/nbd_*.pod; do
    sed -n 's/^=head1 //p' "$_file" | diff "$tmp/wanted" - > "$tmp/diff" || {
      echo "$(basename "$_file"):" $(grep '^[<>]' "$tmp/diff")
      _bad=1
    }
  done
  return "$_bad"
}

# A section is more than its title.
no_section_is_empty ()
{
  awk 'function finish () {
         if (title != "" && !some) {
           print file ": " title " is empty"
           bad = 1
         }
         title = ""
       }
       FNR == 1 { finish(); file = FILENAME }
       /^=head1 / { finish(); title = $0; some = 0; next }
       /[^ ]/ { some = 1 }
       END { finish(); exit bad }' "$1"/*.pod
}

overview_has_its_sections ()
{
  _bad=0
  for _page in $overview; do
    sed -n 's/^=head1 //p' "$1/$(basename "$_page").pod" > "$tmp/titles"
    if test "$(head -n 1 "$tmp/titles")" != NAME ||
       test "$(tail -n 3 "$tmp/titles" | tr '\n' ,)" != \
            'SEE ALSO,AUTHORS,COPYRIGHT,'; then
      echo "$_page:" $(cat "$tmp/titles")
      _bad=1
    fi
  done
  return "$_bad"
}

# The declarations of all pages as one C file: the functions as they are, the
# types of callbacks under another name and compared with those of the header.
synopses ()
{
  echo '#include <libnbd.h>'
  for _file in "$1"/nbd_*.pod; do
    _page=$(basename "$_file" .3.pod)
    section SYNOPSIS "$_file" > "$tmp/synopsis"
    grep -q '^ #include <libnbd\.h>$' "$tmp/synopsis" &&
      grep -q "[ *]$_page (" "$tmp/synopsis" || {
      echo "#error $_page: no #include, or no declaration"
    }
    echo "#line 1 \"$_page\""
    awk -v page="$_page" '
      function same (type, member) {
        printf "_Static_assert (__builtin_types_compatible_p " \
               "(__typeof__ (((%s *) 0)->%s), " \
               "__typeof__ (((%s_%s *) 0)->%s)), \"%s\");",
               type, member, page, type, member, member
      }
      !/^ / { print "" }
      /^ #include/ { print ""; next }
      /^ } / {
        type = $2
        sub (/;$/, "", type)
        sub (type, page "_" type)
        printf "%s _Static_assert (sizeof (%s) == sizeof (%s_%s), \"size\");",
               $0, type, page, type
        same(type, "callback")
        same(type, "user_data")
        same(type, "free")
        print ""
        next
      }
      /^ / { print }' "$tmp/synopsis"
  done
}

synopses_compile ()
{
  synopses "$1" > "$tmp/synopses.c"
  "$CC" -std=gnu11 -Wall -Wextra -Wno-unused -Werror -fsyntax-only \
    "-I$(dirname "$header")" "$tmp/synopses.c"
}

# The name of each parameter, in italics.
parameters_are_explained ()
{
  _bad=0
  for _file in "$1"/nbd_*.pod; do
    section SYNOPSIS "$_file" | tr '\n' ' ' |
      sed 's/.* nbd_[a-z0-9_]* (\(.*\));.*/\1/; s/,/\n/g' |
      sed -n 's/.*[ *]\([a-z_0-9]*\)$/\1/p' | grep -v '^h$' \
      > "$tmp/parameters"
    section DESCRIPTION "$_file" > "$tmp/description"
    while read -r _parameter; do
      grep -q "I<$_parameter>" "$tmp/description" || {
        echo "$(basename "$_file"): I<$_parameter> is not in the DESCRIPTION"
        _bad=1
      }
    done < "$tmp/parameters"
  done
  return "$_bad"
}

# The macro of VERSION is in the header.
macros_are_defined ()
{
  _bad=0
  for _file in "$1"/nbd_*.pod; do
    _macro=$(section VERSION "$_file" | sed -n 's/^ #ifdef //p')
    _page=$(basename "$_file" .3.pod)
    test "$_macro" = "LIBNBD_HAVE_$(echo "$_page" | tr a-z A-Z)" &&
      grep -q "^#define $_macro 1\$" "$header" || {
      echo "$_page: '$_macro' is not defined"
      _bad=1
    }
  done
  return "$_bad"
}

# The overview lists each function, and no other.
overview_lists_functions ()
{
  section FUNCTIONS "$1/libnbd.3.pod" |
    sed 's/L</\n&/g' | sed -n 's/^L<\(nbd_[a-z0-9_]*\)(3)>.*/\1/p' |
    LC_ALL=C sort -u > "$tmp/listed"
  awk '{ print $1 }' "$symbols" | LC_ALL=C sort | diff - "$tmp/listed"
}

# All items of one number are in one place.
errors_have_one_item ()
{
  awk '/^=head1 / { inside = $0 == "=head1 ERRORS"; split ("", seen) }
       inside && /^=item / && seen[$0]++ {
         print FILENAME ": " $0 " twice"
         bad = 1
       }
       END { exit bad }' "$1"/nbd_*.pod
}

# The second level of warnings is about titles that occur twice in a page.
podchecker_is_content ()
{
  podchecker -warnings "$1"/*.pod > "$tmp/podchecker" 2>&1
  _status=$?
  grep -v ' pod syntax OK\.$' "$tmp/podchecker"
  test "$_status" = 0 && ! grep -q -v ' pod syntax OK\.$' "$tmp/podchecker"
}

need "each page can be made" make_pods
ok "every function has a page, and every page is that of a function" \
  every_function_has_a_page "$pods"
ok "every page of the manual is built" every_page_is_built
ok "pages of functions have all sections, in order" \
  functions_have_all_sections "$pods"
ok "no section is empty" no_section_is_empty "$pods"
ok "overview pages have the first and last sections" \
  overview_has_its_sections "$pods"
ok "every SYNOPSIS declares what the header declares" synopses_compile "$pods"
ok "every parameter is named in the description" \
  parameters_are_explained "$pods"
ok "every page names the macro that tells of its function" \
  macros_are_defined "$pods"
ok "the overview lists all functions" overview_lists_functions "$pods"
ok "no list of errors has a number twice" errors_have_one_item "$pods"
if has podchecker; then
  ok "podchecker has nothing to say" podchecker_is_content "$pods"
  ok "podchecker would have said something" notices nbd_pread.3 \
    's/^=back$/=head2/' podchecker_is_content
else
  skip "podchecker has nothing to say" "podchecker is not installed"
fi

ok "another type of a parameter is noticed" \
  notices nbd_pread.3 's/uint64_t offset/uint32_t offset/' synopses_compile
ok "another type in a callback is noticed" \
  notices nbd_block_status.3 's/uint32_t \*entries/int32_t *entries/' \
  synopses_compile
ok "another type that is returned is noticed" \
  notices nbd_aio_pread.3 's/^ int64_t nbd/ int nbd/' synopses_compile
ok "a section in the wrong place is noticed" notices nbd_pread.3 \
  's/^=head1 VERSION/=head1 AUTHORS/' functions_have_all_sections
ok "a parameter without a word is noticed" notices nbd_pread.3 \
  's/I<count>/some/g' parameters_are_explained
ok "a number with two items is noticed" notices nbd_pread.3 \
  's/^=item C<ERANGE>/=item C<EINVAL>/' errors_have_one_item
ok "a function that the overview lacks is noticed" notices libnbd.3 \
  '/^=head1 FUNC/,$s/L<nbd_poll2(3)>/L<nbd_poll(3)>/' \
  overview_lists_functions

done_testing
