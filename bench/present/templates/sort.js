// Tables of class "sortable" sort by a click, Enter or the space bar on the name of a column.
// A cell's data-sort goes before its text; cells without a value stay last.
document.addEventListener("DOMContentLoaded", () => {
  const text = (row, column) => row.cells[column]?.dataset.sort ?? row.cells[column]?.textContent.trim() ?? "";
  const empty = (value) => value === "" || value === "?" || value === "-";
  const number = (value) => parseFloat(value.replace(/,/g, "").replace(/^[^\d.-]+/, ""));
  const collator = new Intl.Collator("en", { numeric: true });
  const compare = (numeric) => (a, b) => (numeric ? number(a) - number(b) : collator.compare(a, b));

  const sort = (table, heads, column) => {
    const head = heads[column];
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const body = table.tBodies[0];
    const known = [...body.rows].map((row) => [text(row, column), row]);
    const values = known.map(([value]) => value).filter((value) => !empty(value));
    const order = compare(values.every((value) => !Number.isNaN(number(value)) && /^[^A-Za-z]*\d/.test(value)));
    known.sort(([a], [b]) => empty(a) - empty(b) || (empty(a) ? 0 : sign * order(a, b)));
    body.append(...known.map(([, row]) => row));
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  };

  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, heads, column));
      head.append(button);
    });
  });
});
