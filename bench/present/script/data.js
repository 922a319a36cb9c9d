// The page's data block as rows, and the axes along which rows differ. Pure.
"use strict";

const Data = (() => {
  // What can be laid out across, down, or be kept fixed, in the order in which it is offered.
  const AXES = [
    { name: "connections", title: "connections" },
    { name: "work", title: "work" },
    { name: "connection", title: "connection mode" },
    { name: "workers", title: "workers" },
    { name: "units", title: "units" },
    { name: "server_cores", title: "server cores" },
  ];
  const POINT = AXES.map((axis) => axis.name);

  // Columns to rows; a column of text is {of: distinct values, at: the number of each}.
  function rows(columns) {
    const names = Object.keys(columns);
    const read = names.map((name) => {
      const column = columns[name];
      return Array.isArray(column) ? (i) => column[i] : (i) => column.of[column.at[i]];
    });
    const first = columns[names[0]];
    const length = (Array.isArray(first) ? first : first.at).length;
    return Array.from({ length }, (_, i) => Object.fromEntries(names.map((name, n) => [name, read[n](i)])));
  }

  function unpack(block) {
    const cells = rows(block.cells);
    const index = new Map(cells.map((cell) => [keyOf(cell.target, cell), cell]));
    return { ...block, cells, comparisons: rows(block.comparisons), index };
  }

  const keyOf = (target, point) => JSON.stringify([target, ...POINT.map((name) => point[name] ?? null)]);

  // The cell of a target at a point; undefined where it was not measured.
  const cellAt = (data, target, point) => data.index.get(keyOf(target, point));

  // The distinct values of an axis among rows, in reading order.
  function values(data, axis, among) {
    const found = [...new Set(among.map((row) => row[axis]))];
    if (axis === "work") {
      const order = new Map(data.works.map((work, i) => [work.path, i]));
      return found.sort((a, b) => order.get(a) - order.get(b));
    }
    if (axis === "connection") return found.sort((a, b) => (a < b ? 1 : -1));
    return found.sort((a, b) => (a ?? -1) - (b ?? -1));
  }

  const axesThatVary = (data, among) => POINT.filter((axis) => values(data, axis, among).length > 1);

  // An axis' value in words.
  function words(data, axis, value) {
    if (value === null || value === undefined) return "the model's own";
    if (axis === "work") return data.works.find((work) => work.path === value)?.words ?? value;
    return typeof value === "number" ? Units.count(value) : value;
  }

  // A point in words: 5 ms x 128 connections, keep-alive, 4 workers.
  function placeWords(data, point) {
    const settings = [["workers", "worker"], ["units", "unit"], ["server_cores", "server core"]]
      .filter(([name]) => point[name] !== null && point[name] !== undefined && point[name] > 1)
      .map(([name, noun]) => Units.countOf(point[name], noun));
    const at = `${words(data, "work", point.work)} x ${Units.countOf(point.connections, "connection")}`;
    return [at, point.connection, ...settings].join(", ");
  }

  const matches = (row, wanted) => Object.entries(wanted).every(([name, value]) => row[name] === value);

  const pointOf = (row) => Object.fromEntries(POINT.map((name) => [name, row[name]]));

  return { AXES, POINT, unpack, cellAt, values, axesThatVary, words, placeWords, matches, pointOf };
})();
