// All that is known of one place, in words: intervals, rounds, slices, validity and reasons.
"use strict";

const Detail = (() => {
  const FIGURES = ["throughput", "p50", "p99", "cpu"];

  // What is known of a place of the map, as elements: verdicts, figures side by side, validity.
  function draw(box, data, state, place) {
    const point = Tiles.pointAt(state, place);
    const targets = state.subject.target ? [state.subject.target] : [state.subject.a, state.subject.b];
    const cells = targets.map((target) => Data.cellAt(data, target, point));
    const lines = state.subject.target ? [] : verdicts(data, state, point);
    Dom.fill(box, Dom.make("h3", {}, `${state.subject.words} at ${Data.placeWords(data, point)}`),
      ...lines.map((line) => Dom.make("p", {}, line)), figures(data, state.metric, targets, cells),
      ...targets.flatMap((target, i) => about(data, target, cells[i])));
  }

  // A row for the chosen metric and for each of the usual ones, a column for each target.
  function figures(data, metric, targets, cells) {
    const names = new Set([metric.name, ...FIGURES]);
    const shown = [...names].map((name) => data.metrics.find((each) => each.name === name));
    const head = Dom.make("tr", {}, Dom.make("td"), ...targets.map((target) => Dom.make("th", { scope: "col" }, target)));
    const rows = shown.map((each) => Dom.make("tr", {}, Dom.make("th", { scope: "row" }, `${each.title}, ${each.unit}`),
      ...cells.map((cell) => Dom.make("td", {}, ...value(cell, each)))));
    return Dom.make("table", {}, Dom.make("tbody", {}, head, ...rows));
  }

  function value(cell, metric) {
    if (!cell || !Units.known(cell[metric.column])) return ["-"];
    return [`${Tiles.bound(cell, metric)}${Units.number(cell[metric.column])}`, Dom.make("br"),
      Dom.make("span", { class: "interval" }, range(cell, metric))];
  }

  function range(cell, metric) {
    const low = cell[metric.low], high = cell[metric.high];
    return Units.known(low) || Units.known(high) ? Units.interval(low, high, Units.number) : "too few rounds for an interval";
  }

  // What was judged there: the chosen metric first.
  function verdicts(data, state, point) {
    const rows = state.rows.filter((row) => Data.matches(row, point));
    rows.sort((a, b) => (b.metric === state.metric.name) - (a.metric === state.metric.name));
    return rows.map((row) => verdict(data, row));
  }

  function verdict(data, row) {
    const name = row.metric === "throughput" ? "Throughput" : `Response time, ${row.metric}`;
    const reason = row.reason ? `: ${row.reason}` : "";
    if (row.verdict === "invalid") return `${name}: not judged${reason}.`;
    const least = row.at_least ? " (known from one side only)" : "";
    const says = { A: `${row.label} better`, B: `${row.label} better` }[row.verdict] ?? row.verdict;
    const alone = row.on_map === false && "AB".includes(row.verdict) ? ", which does not stand among all comparisons of the run" : "";
    const ratio = `${row.a} / ${row.b} = ${Units.factor(row.ratio)} ${Units.interval(row.low, row.high)}`;
    return `${name}: ${ratio}${least}, ${data.confidence}% interval of this comparison by itself,`
      + ` ${Units.countOf(row.rounds, "round")}: ${says}${alone}${reason}.`;
  }

  function about(data, target, cell) {
    const name = Dom.make("h4", {}, target);
    if (!cell) return [name, Dom.make("p", {}, "Not measured there.")];
    const lines = [...validity(cell), ...limits(cell), ...model(data, cell)];
    return [name, Dom.make("ul", {}, ...lines.map((line) => Dom.make("li", {}, line)))];
  }

  // A figure on one line, for the charts.
  function figure(cell, metric) {
    if (!Units.known(cell[metric.column])) return `${metric.title}: not known`;
    return `${metric.title}: ${Tiles.bound(cell, metric)}${Units.number(cell[metric.column])} ${metric.unit}, ${range(cell, metric)}`;
  }

  function limits(cell) {
    const found = [];
    if (cell.delay_s > 0) {
      const share = Units.known(cell.bound_ratio) ? `; it gave ${Units.number(100 * cell.bound_ratio)}% of it` : "";
      found.push(`Physical bound N / d: ${Units.number(cell.connections / cell.delay_s)} requests/s${share}`);
    }
    if (Units.known(cell.limit_rps)) found.push(`Limited by ${cell.limit_what}: at most ${Units.number(cell.limit_rps)} requests/s`);
    return found;
  }

  function model(data, cell) {
    const said = Predictions.at(data, cell.target, cell);
    if (!said) return [];
    const beyond = said.extrapolated ? ", extrapolated" : "";
    return [`The model gives ${Units.number(said.throughput_rps)} requests/s and a mean of ${Units.number(1e3 * said.response_s)} ms`
      + ` (limited by ${said.limited_by}: ${Units.number(100 * said.reached)}% of ${Units.number(said.bound_rps)}${beyond})`];
  }

  function validity(cell) {
    const valid = cell.slices - cell.invalid;
    const found = [`${valid} of ${Units.countOf(cell.slices, "slice")} valid, ${Units.countOf(cell.rounds, "round")}`];
    if (cell.invalid > 0) found.push(`Invalid because: ${cell.reasons}`);
    if (cell.at_least) found.push("Replies were still owed after a slice: its response times are lower bounds");
    if (cell.shared_core) found.push("Server and generator shared a core");
    return found;
  }

  return { draw, verdict, figure };
})();
