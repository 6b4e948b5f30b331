# SPDX-License-Identifier: LGPL-2.1-or-later

# The HTML edition in a browser, from files: the search field, and that pages
# are no wider than a small screen.

. "${srcdir:=.}/tests/manual/common.sh"

slow_test chromium timeout

html=$tmp/html

make_html ()
{
  make_pods && mkdir "$html" &&
    cp "$srcdir/docs/html/style.css" "$srcdir/docs/html/search.js" "$html" &&
    perl "$srcdir/docs/html/pages.pl" "$srcdir/docs/html/page.html" libnbd \
      "$html" "$pods"/*.pod
}

# browse FILE: print the document as it is when its scripts have run.
browse ()
{
  HOME=$tmp timeout 120 chromium --headless --no-sandbox --disable-gpu \
    --disable-dev-shm-usage --user-data-dir="$tmp/profile" \
    --allow-file-access-from-files --virtual-time-budget=20000 \
    --dump-dom "file://$1" 2> "$tmp/browser.err" ||
    { cat "$tmp/browser.err"; return 1; }
}

# A page with others in frames, which writes a line for all that is found out.
cat > "$tmp/frames.html" <<'EOF'
<!DOCTYPE html>
<title>frames</title>
<iframe src="html/index.html" width="400" height="800"></iframe>
<iframe src="html/index.html#q=block+status" width="400" height="800"></iframe>
<iframe src="html/libnbd.html" width="400" height="800"></iframe>
<iframe src="html/nbd_pread.html" width="400" height="800"></iframe>
<iframe src="html/nbd_connect_systemd_socket_activation.html" width="400"
  height="800"></iframe>
<pre></pre>
<script>
function say (text)
{
  document.querySelector ("pre").append ("\n@" + text);
}

function shown (page)
{
  var links = page.querySelectorAll
    (".topic:not([hidden]) li:not([hidden]) a");

  return new Set (Array.from (links, function (a) {
    return a.textContent;
  }));
}

window.onload = function () {
  var frames = document.querySelectorAll ("iframe");
  var index = frames[0].contentDocument;
  var field = index.querySelector ("#search input");

  frames.forEach (function (frame) {
    var root = frame.contentDocument.documentElement;

    say (root.querySelector ("main h1") === null ? "empty" :
         root.scrollWidth > root.clientWidth ? "too wide" : "fits");
  });
  say ("search " + (index.querySelector ("#search").offsetHeight > 0));
  say ("all " + shown (index).size);
  ["PREAD", "set  tls", "no such function", ""].forEach (function (words) {
    field.value = words;
    field.dispatchEvent (new Event ("input"));
    say ("[" + words + "] " + Array.from (shown (index)).slice (0, 12).sort ());
  });
  say ("said " + index.querySelector ("#search span").textContent);
  say ("opened " + shown (frames[1].contentDocument).size);
  say ("end");
};
</script>
EOF

# found LINE...: what the page has written.
found ()
{
  grep '^@' "$tmp/dom"
  for _line; do
    grep -q -x -e "@$_line" "$tmp/dom" || { echo "not: $_line"; return 1; }
  done
}

open_frames ()
{
  browse "$tmp/frames.html" > "$tmp/dom" && grep -q '^@end' "$tmp/dom"
}

functions_of ()
{
  awk '{ print $1 }' "$(generated tests/abi/symbols.list)" | grep -c .
}

fits_a_small_screen ()
{
  grep '^@' "$tmp/dom"
  test "$(grep -c -x '@fits' "$tmp/dom")" = 5
}

need "the pages can be made" make_html
need "the browser opens them" open_frames
ok "no page is wider than a screen of 400 pixels" fits_a_small_screen
ok "the search field is shown" found 'search true'
ok "all functions are listed at first" found "all $(functions_of)"
ok "a word is found in any case" found \
  '\[PREAD\] .*nbd_aio_pread,nbd_aio_pread_structured.*,nbd_pread,.*'
ok "all words must be found" found '\[set  tls\] .*nbd_set_tls,.*'
ok "words that are nowhere leave nothing" found '\[no such function\] '
ok "the list comes back" found '\[\] .*nbd_create.*' \
  "said $(functions_of) functions"
ok "words can be given in the address" found 'opened [1-9]'

done_testing
