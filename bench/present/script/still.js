// The figures as they are in charts/: in a browser that runs scripts they wait, unread, in a noscript
// element until their part of the page is opened, so that the page is there sooner.
"use strict";

const Still = (() => {
  function start() {
    for (const part of document.querySelectorAll("details.still")) {
      part.open = false;
      part.addEventListener("toggle", () => part.open && show(part));
    }
    addEventListener("hashchange", openLinked);
    addEventListener("beforeprint", () => document.querySelectorAll("details.still").forEach(show));
    openLinked();
  }

  // The markup in the noscript element is the report's own, not a reader's.
  function show(part) {
    const waiting = part.querySelector("noscript");
    if (!waiting) return;
    const figures = Dom.make("div");
    figures.innerHTML = waiting.textContent;
    waiting.replaceWith(figures);
  }

  // A link to a part of the page leads to open figures.
  function openLinked() {
    const part = location.hash && Dom.find(decodeURIComponent(location.hash.slice(1)))?.querySelector("details.still");
    if (part) part.open = true;
  }

  return { start };
})();
