// Tables that sort: each column's name becomes a button; a second press turns the order round.
"use strict";

const Tables = (() => {
  const UNITS = { us: 1e-6, ms: 1e-3, s: 1 };

  const NAMES = new Intl.Collator("en", { numeric: true });

  // What a text sorts by: its first number, times in seconds; text by itself; nothing known last.
  function key(text) {
    const plain = text.trim();
    const found = /^[[(\u2265\u2264>= ]*([+-]?[\d,]*\.?\d+)\s*(us|ms|s)?\b/.exec(plain);
    if (found) return [0, Number(found[1].replaceAll(",", "")) * (UNITS[found[2]] ?? 1), plain];
    return plain === "" || plain === "-" || plain.startsWith("?") ? [2, 0, plain] : [1, 0, plain];
  }

  function compare(a, b, down) {
    if (a[0] !== b[0]) return a[0] - b[0]; // what is not known stays last either way
    const order = a[0] === 0 && a[1] !== b[1] ? a[1] - b[1] : NAMES.compare(a[2], b[2]);
    return down ? -order : order;
  }

  // By what its cells show, or by their data-sort where they have one.
  function sort(table, column, down) {
    const body = table.tBodies[0];
    const text = (cell) => cell.dataset.sort ?? cell.textContent;
    const keyed = [...body.rows].map((row) => [key(text(row.cells[column])), row]);
    keyed.sort((a, b) => compare(a[0], b[0], down));
    body.append(...keyed.map(([, row]) => row));
  }

  // Sorts a table whose rows are new as it was sorted before.
  function again(table) {
    const heads = [...table.tHead.rows[0].cells];
    const column = heads.findIndex((head) => head.hasAttribute("aria-sort"));
    if (column >= 0) sort(table, column, heads[column].getAttribute("aria-sort") === "descending");
  }

  // Makes a table with a head sortable by mouse and keyboard.
  function enhance(table) {
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
    if (heads.length === 0 || table.classList.contains("map")) return;
    heads.forEach((head, column) => {
      const button = Dom.make("button", { type: "button", class: "sort",
        click: () => {
          const down = head.getAttribute("aria-sort") === "ascending";
          heads.forEach((each) => each.removeAttribute("aria-sort"));
          head.setAttribute("aria-sort", down ? "descending" : "ascending");
          sort(table, column, down);
        } }, ...head.childNodes);
      head.append(button);
    });
  }

  return { key, compare, enhance, again };
})();
