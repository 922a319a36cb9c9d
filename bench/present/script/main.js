// Puts the explorer together: choices lead to a map, the chosen tile to words and curves.
"use strict";

const Explorer = (() => {
  let data, state, plan, shown; // `shown`: the names of the targets whose lines are drawn

  function start() {
    data = Data.unpack(JSON.parse(Dom.find("explorer-data").textContent));
    if (data.cells.length === 0) return;
    Dom.find("explorer").hidden = false;
    wish({});
    WhatIf.start(data);
    ready("usable");
    requestAnimationFrame(() => setTimeout(startCharts));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      wish({});
      WhatIf.drawCharts();
    });
  }

  // plotly.js takes longest to read, so the map is there before it.
  function startCharts() {
    document.head.append(Dom.make("script", {}, Dom.find("plotly").textContent));
    drawCurves();
    if (data.parameters.length > 0) WhatIf.drawCharts();
    ready("interactive");
  }

  // Says how far the page is, for whoever drives or times it.
  function ready(state) {
    performance.mark(state);
    document.documentElement.dataset.ready = state;
  }

  // Draws everything for the state with some choices changed.
  function wish(change) {
    const before = state ? { ...state, subject: state.subject.key, metric: state.metric.name } : {};
    state = Choices.settle(data, { ...before, ...change });
    plan = Grid.layout(data, state);
    if (change.subject || !shown) shown = new Set(own());
    Choices.draw(Dom.find("choices"), data, state, wish);
    drawMap();
    drawKey();
    drawPlace();
  }

  const own = () => (state.subject.target ? [state.subject.target] : [state.subject.a, state.subject.b]);

  function drawMap() {
    const select = (place, focus = false) => {
      state.place = plan.place = place;
      Grid.choose(Dom.find("map"), plan, place, focus);
      drawPlace();
    };
    const hover = (place) => Detail.draw(Dom.find("detail"), data, state, place ?? plan.place);
    Dom.find("map-title").textContent = Grid.title(state);
    Dom.find("map-key").textContent = keyText();
    Grid.draw(Dom.find("map"), data, state, plan, { select, hover });
  }

  function keyText() {
    const { subject, metric } = state;
    if (subject.target) return `${metric.title} in ${metric.unit}, its interval in brackets; darker is more.`;
    if (!Tiles.isJudged(data, metric)) {
      return `${metric.title} in ${metric.unit}: ${subject.a} above, ${subject.b} below. No verdict was given on it.`;
    }
    const way = metric.better === "more" ? "above 1: more" : "below 1: shorter";
    return `${subject.a} / ${subject.b} (${way}), its interval in brackets. Blue, \u25b2: ${subject.a} better;`
      + ` orange, \u25bc: ${subject.b} better; =: equal; hatched, ?: undecided; crossed, \u00d7: invalid.`
      + ` Interval and verdict are of a tile alone; of the tiles that a run colours ${data.false_discoveries}% are false on average.`;
  }

  // A checkbox for each target that was measured in what is fixed; it is the key of the charts too.
  function drawKey() {
    const rows = data.cells.filter((cell) => Data.matches(cell, state.fixed));
    const names = new Set(rows.map((cell) => cell.target));
    const boxes = data.targets.filter(({ name }) => names.has(name)).map((target) => {
      const box = Dom.make("input", { type: "checkbox", checked: shown.has(target.name), value: target.name,
        change: (event) => {
          shown[event.target.checked ? "add" : "delete"](target.name);
          drawCurves();
        } });
      return Dom.make("label", {}, box, Looks.sample(target), target.name);
    });
    const only = (text, chosen) => Dom.make("button", { type: "button", click: () => {
      shown = new Set(chosen);
      drawKey();
      drawCurves();
    } }, text);
    Dom.fill(Dom.find("lines"), Dom.make("legend", {}, "Lines"), ...boxes,
      only("all", names), only("those of the map", own()));
  }

  function drawPlace() {
    Detail.draw(Dom.find("detail"), data, state, plan.place);
    drawCurves();
  }

  function drawCurves() {
    const targets = data.targets.filter(({ name }) => shown.has(name));
    chart("curves", Curves.along(data, state, plan, targets));
    chart("percentiles", Curves.percentiles(data, state, plan, targets));
  }

  function chart(id, drawing) {
    Dom.find(`${id}-title`).textContent = drawing.title;
    Dom.find(`${id}-none`).hidden = !drawing.isEmpty;
    Dom.find(id).hidden = drawing.isEmpty;
    if (!drawing.isEmpty) Curves.show(id, drawing);
  }

  return { start };
})();

Explorer.start();
Still.start();
