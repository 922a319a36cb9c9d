// What a tile of the map says: its text, its mark and how it is coloured. Pure. It shows verdicts
// as they were judged and must not judge.
"use strict";

const Tiles = (() => {
  const MARKS = { A: "\u25b2", B: "\u25bc", equal: "=", undecided: "?", invalid: "\u00d7" };
  const MOST_DOUBLINGS = 2;
  const EMPTY = { tone: "empty", share: 0, mark: "", main: "", range: "", label: "not measured" };

  // The point of a place on the map.
  function pointAt(state, place) {
    return { ...state.fixed, [state.across]: place.across, [state.down]: place.down };
  }

  // The comparison that was declared there, for metrics that are judged.
  function comparisonAt(data, state, point) {
    return state.rows.find((row) => row.metric === state.metric.name && Data.matches(row, point));
  }

  // Whether verdicts were given on a metric.
  const isJudged = (data, metric) => data.comparisons.some((row) => row.metric === metric.name);

  // The tile at a place. `levels` are the least and the most value of the map, for one target's map.
  function tile(data, state, place, levels) {
    const point = pointAt(state, place);
    if (state.subject.target) return level(data, state, Data.cellAt(data, state.subject.target, point), levels);
    if (isJudged(data, state.metric)) return judged(comparisonAt(data, state, point));
    return sideBySide(state, ["a", "b"].map((side) => Data.cellAt(data, state.subject[side], point)));
  }

  // Colour is of differences that stand among all comparisons of the run; interval, mark and word
  // are of this comparison by itself.
  function judged(row) {
    if (!row) return EMPTY;
    const mark = MARKS[row.verdict] ?? "";
    if (row.verdict === "invalid") return { tone: "invalid", share: 0, mark, main: "invalid", range: "", label: "" };
    if (row.ratio === null) return { tone: "undecided", share: 0, mark, main: "-", range: "both at least", label: "undecided" };
    const least = row.at_least ? (row.high === null ? "\u2265 " : "\u2264 ") : "";
    const doublings = Math.log2(row.ratio) * (row.metric === "throughput" ? 1 : -1);
    return {
      tone: row.verdict === "undecided" ? "undecided" : doublings < 0 ? "b" : "a",
      side: doublings < 0 ? "b" : "a",
      share: row.on_map === false ? 0 : Math.min(Math.abs(doublings) / MOST_DOUBLINGS, 1),
      mark,
      main: `${least}${Units.factor(row.ratio)}`,
      range: row.rounds > 1 ? Units.interval(row.low, row.high) : "one round",
      label: row.label,
    };
  }

  // One target's figure, darker for more of it.
  function level(data, state, cell, levels) {
    if (!cell) return EMPTY;
    const value = cell[state.metric.column];
    if (value === null) {
      return cell.invalid === cell.slices
        ? { tone: "invalid", share: 0, mark: MARKS.invalid, main: "invalid", range: "", label: "" }
        : { tone: "undecided", share: 0, mark: "?", main: "-", range: "", label: "not known" };
    }
    const [least, most] = levels;
    const share = most > least && least > 0 ? Math.log(value / least) / Math.log(most / least) : 0.5;
    const low = cell[state.metric.low], high = cell[state.metric.high];
    return {
      tone: "level",
      share: 0.55 * share,
      mark: "",
      main: `${bound(cell, state.metric)}${Units.number(value)}`,
      range: low !== null || high !== null ? Units.interval(low, high, Units.number) : "",
      label: "",
    };
  }

  // Both figures of a pair, where no verdict was given on the metric: no ratio, no colour.
  function sideBySide(state, cells) {
    if (!cells.some(Boolean)) return EMPTY;
    const text = (cell) => (cell ? bound(cell, state.metric) + Units.number(cell[state.metric.column]) : "-");
    return { tone: "plain", share: 0, mark: "", main: text(cells[0]), range: text(cells[1]), label: "" };
  }

  // A sign for a value that is only a lower bound.
  const bound = (cell, metric) => (cell.at_least && metric.column.startsWith("response") ? "\u2265 " : "");

  return { tile, pointAt, comparisonAt, isJudged, bound };
})();
