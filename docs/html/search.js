/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The search field of the index: shows the functions that have all of the words
 * in their name or summary.  The list that it looks through is the page itself.
 * A page can be opened with words in its address: index.html#q=block+status
 */

(function () {
  "use strict";

  var search = document.getElementById ("search");
  var field, count, topics;

  if (!search)
    return;

  field = search.querySelector ("input");
  count = search.querySelector ("span");
  topics = Array.from (document.querySelectorAll (".topic"));

  function show ()
  {
    var words = field.value.toLowerCase ().split (/\s+/);
    var names = new Set ();

    topics.forEach (function (topic) {
      var items = Array.from (topic.querySelectorAll ("li"));

      items.forEach (function (item) {
        var text = item.textContent.toLowerCase ();

        item.hidden = !words.every (function (word) {
          return text.includes (word);
        });
        if (!item.hidden)
          names.add (item.querySelector ("a").textContent);
      });
      topic.hidden = items.every (function (item) {
        return item.hidden;
      });
    });
    count.textContent = names.size === 1 ? "1 function"
      : names.size + " functions";
  }

  function read_address ()
  {
    var q = /^#q=(.*)$/.exec (window.location.hash);

    if (q)
      field.value = decodeURIComponent (q[1].replace (/\+/g, " "));
    show ();
  }

  search.hidden = false;
  field.addEventListener ("input", show);
  field.addEventListener ("keydown", function (event) {
    var first = document.querySelector
      (".topic:not([hidden]) li:not([hidden]) a");

    if (event.key === "Enter" && first)
      window.location.href = first.href;
  });
  window.addEventListener ("hashchange", read_address);
  read_address ();
}) ();
