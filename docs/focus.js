// Lets keys scroll what is wider than its place: tables and listings that scroll get the focus.
(function () {
  "use strict";
  function mark() {
    document.querySelectorAll(".rst-content table, .rst-content pre, .rst-content pre > code, .wy-table-responsive")
      .forEach(function (each) {
        var scrolls = each.scrollWidth > each.clientWidth && getComputedStyle(each).overflowX !== "visible";
        if (scrolls) each.tabIndex = 0;
        else each.removeAttribute("tabindex");
      });
  }
  // After the theme has wrapped its tables.
  window.addEventListener("load", function () { setTimeout(mark, 0); });
  window.addEventListener("resize", mark);
})();
