// Search in the page itself: it works from a disk, and finds Chinese, of which lunr knows no words.
(function () {
  "use strict";
  var index = [];
  var field = document.getElementById("mkdocs-search-query");
  var list = document.getElementById("mkdocs-search-results");
  if (!field || !list) return;

  // Pages whose title or text hold every word, those with a word in the title first.
  function search(query) {
    var words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    return index
      .map(function (page) {
        var title = page.title.toLowerCase(), text = page.text.toLowerCase(), points = 0;
        for (var i = 0; i < words.length; i++) {
          var inTitle = title.indexOf(words[i]) >= 0, times = text.split(words[i]).length - 1;
          if (!inTitle && !times) return null;
          points += (inTitle ? 100 : 0) + Math.min(times, 20);
        }
        return {page: page, points: points, at: text.indexOf(words[0])};
      })
      .filter(Boolean)
      .sort(function (a, b) { return b.points - a.points; })
      .slice(0, 40);
  }

  function show() {
    var found = search(field.value);
    list.textContent = "";
    found.forEach(function (hit) {
      var article = document.createElement("article"), head = document.createElement("h3");
      var link = document.createElement("a"), text = document.createElement("p");
      var from = Math.max(0, hit.at - 60);
      link.href = hit.page.location;
      link.textContent = hit.page.title;
      text.textContent = (from ? "… " : "") + hit.page.text.substr(from, 200);
      head.appendChild(link);
      article.appendChild(head);
      article.appendChild(text);
      list.appendChild(article);
    });
    if (!found.length && field.value.trim()) list.textContent = list.dataset.noResultsText;
  }

  var asked = /[?&]q=([^&]*)/.exec(window.location.search);
  if (asked) field.value = decodeURIComponent(asked[1].replace(/\+/g, " "));
  field.addEventListener("input", show);
  field.form.addEventListener("submit", function (event) { event.preventDefault(); show(); });
  var script = document.createElement("script");
  script.src = "search/search_index.js";
  script.onload = function () {
    // A page stands in the index as a whole and by its headings: the headings lead to the place.
    var parts = window.searchIndex.docs.filter(function (d) { return d.location.indexOf("#") > 0; });
    var known = {};
    parts.forEach(function (d) { known[d.location.split("#")[0]] = true; });
    index = parts.concat(window.searchIndex.docs.filter(function (d) { return !known[d.location.split("#")[0]]; }));
    show();
  };
  document.body.appendChild(script);
})();
