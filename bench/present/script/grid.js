// The map as a grid of tiles: mouse, touch and arrow keys move over the same places.
"use strict";

const Grid = (() => {
  const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

  // The values across and down that have any data, and a measured place to begin at.
  function layout(data, state) {
    const across = Data.values(data, state.across, state.rows);
    const down = Data.values(data, state.down, state.rows);
    return { across, down, place: begin(state, across, down) };
  }

  // The wished place if anything was measured there, else the rightmost with a figure, in the
  // middle row before others, else the rightmost that was measured at all.
  function begin(state, across, down) {
    const at = (place) => state.rows.filter((row) => row[state.across] === place.across && row[state.down] === place.down);
    const middle = down[Math.floor((down.length - 1) / 2)];
    const rows = [...new Set([state.place.down, middle, ...down])].filter((value) => down.includes(value));
    const places = rows.flatMap((row) => [...across].reverse().map((column) => ({ across: column, down: row })));
    const isMeasured = (place) => at(place).length > 0;
    const hasFigure = (place) => at(place).some((row) => Units.known(row.ratio ?? row[state.metric.column]));
    return isMeasured(state.place) ? state.place : places.find(hasFigure) ?? places.find(isMeasured);
  }

  // Draws the map into `box`. `select` is called with a place that is chosen, `hover` with one that
  // is pointed at, or with null when none is any more.
  function draw(box, data, state, plan, { select, hover }) {
    const levels = levelsOf(data, state);
    const table = Dom.make("table", { role: "grid", "aria-label": title(state), class: "map",
      style: `--columns: ${plan.across.length}`,
      keydown: (event) => move(event, plan, select), mouseleave: () => hover(null) });
    const axis = (name) => Data.AXES.find((each) => each.name === name).title;
    const head = Dom.make("tr", { role: "row" },
      Dom.make("th", { scope: "col", class: "corner" }, `${axis(state.across)} \u2192`, Dom.make("br"), `${axis(state.down)} \u2193`),
      ...plan.across.map((value) => Dom.make("th", { scope: "col" }, Data.words(data, state.across, value))));
    const body = plan.down.map((down) => Dom.make("tr", { role: "row" },
      Dom.make("th", { scope: "row" }, Data.words(data, state.down, down)),
      ...plan.across.map((across) => square(data, state, { across, down }, plan, levels, { select, hover }))));
    table.append(Dom.make("thead", {}, head), Dom.make("tbody", {}, ...body));
    Dom.fill(box, table);
  }

  function square(data, state, place, plan, levels, { select, hover }) {
    const tile = Tiles.tile(data, state, place, levels);
    const chosen = isSame(place, plan.place);
    const words = [Data.words(data, state.down, place.down), Data.words(data, state.across, place.across),
      tile.main, tile.range, tile.label].filter(Boolean).join(", ");
    const strong = tile.share > 0.8 ? " strong" : "";
    return Dom.make("td",
      { role: "gridcell", class: `tile ${tile.tone} ${tile.side ? `side-${tile.side}` : ""}${strong}`,
        style: `--share: ${Math.round(100 * tile.share)}%`, tabindex: chosen ? "0" : "-1",
        "aria-selected": String(chosen), "aria-label": words, "data-across": String(place.across), "data-down": String(place.down),
        click: () => select(place), mouseenter: () => hover(place) },
      Dom.make("span", { class: "main" }, tile.main),
      Dom.make("span", { class: "range" }, tile.range),
      Dom.make("span", { class: "label" }, Dom.make("span", { class: "mark" }, tile.mark), Dom.make("span", { class: "word" }, tile.label)));
  }

  function levelsOf(data, state) {
    if (!state.subject.target) return null;
    const values = state.rows.map((cell) => cell[state.metric.column]).filter(Units.known);
    return [Math.min(...values), Math.max(...values)];
  }

  function title(state) {
    return `Map of ${state.metric.title.toLowerCase()}: ${state.subject.words}`;
  }

  const isSame = (a, b) => a.across === b.across && a.down === b.down;

  function move(event, plan, select) {
    const row = plan.down.indexOf(plan.place.down), column = plan.across.indexOf(plan.place.across);
    const lastRow = plan.down.length - 1, lastColumn = plan.across.length - 1;
    let to;
    if (event.key in STEPS) to = [row + STEPS[event.key][0], column + STEPS[event.key][1]];
    else if (event.key === "Home") to = [event.ctrlKey ? 0 : row, 0];
    else if (event.key === "End") to = [event.ctrlKey ? lastRow : row, lastColumn];
    else return;
    event.preventDefault();
    const within = (value, most) => Math.min(Math.max(value, 0), most);
    select({ down: plan.down[within(to[0], lastRow)], across: plan.across[within(to[1], lastColumn)] }, true);
  }

  // Marks another place as chosen without drawing all anew, and gives it the focus if asked.
  function choose(box, plan, place, focus) {
    const squares = [...box.querySelectorAll("td.tile")];
    squares.forEach((element, i) => {
      const at = { down: plan.down[Math.floor(i / plan.across.length)], across: plan.across[i % plan.across.length] };
      const chosen = isSame(at, place);
      element.setAttribute("tabindex", chosen ? "0" : "-1");
      element.setAttribute("aria-selected", String(chosen));
      if (chosen && focus) element.focus();
    });
  }

  return { layout, draw, choose, title };
})();
