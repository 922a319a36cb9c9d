// What if: sliders for a load, and what each model would give at it by the queueing model.
"use strict";

const WhatIf = (() => {
  const DELAYS = [0, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000].map((ms) => ms / 1e3);
  const CPU = [0, 20, 50, 100, 200, 300, 500, 1000, 2000, 3000, 5000, 10000, 20000, 50000].map((us) => us / 1e6);
  const CONNECTIONS = [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096];
  const WORKERS = [null, 1, 2, 4, 8, 16, 32, 64, 128, 256];
  const UNITS = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256];
  const CHART_DELAY_MS = 120;

  let data, chosen, modes, counts, waiting;

  // Shows the sliders where there is a model to ask.
  function start(block) {
    data = block;
    if (data.parameters.length === 0) return;
    modes = [...new Map(data.parameters.map((each) => [modeKey(each), each])).values()]
      .sort((a, b) => (a.connection < b.connection ? 1 : -1)); // keep-alive first
    const most = Math.max(...data.parameters.map((each) => each.calibrated_to));
    const measured = Math.max(...data.cells.map((cell) => cell.connections));
    counts = CONNECTIONS.filter((count) => count <= Math.max(4 * most, measured, 64));
    const longest = Math.max(...data.cells.map((cell) => cell.delay_s));
    chosen = { mode: modes[0], delay_s: DELAYS.filter((delay) => delay <= Math.min(longest, 0.02)).at(-1), cpu_s: 0,
      connections: counts.filter((count) => count <= most).at(-1), workers: null, units: 0 };
    Dom.find("what-if").hidden = false;
    drawSliders();
    drawTable();
  }

  const modeKey = ({ connection, server_cores }) => `${connection}, ${Units.countOf(server_cores, "server core")}`;

  function drawSliders() {
    const sliders = [
      slider("delay_s", "Delay", DELAYS, Units.delay),
      slider("cpu_s", "CPU per request", CPU, (value) => (value ? Units.delay(value) : "none")),
      slider("connections", "Connections", counts, Units.count),
      slider("workers", "Workers (pools, processes)", WORKERS, (value) => (value === null ? "its own" : Units.count(value))),
      slider("units", "Units held while waiting", UNITS, (value) => (value === 0 ? "none" : Units.count(value))),
    ];
    if (modes.length > 1) sliders.unshift(modeField());
    Dom.fill(Dom.find("sliders"), ...sliders);
  }

  function modeField() {
    const options = modes.map((mode, i) => Dom.make("option", { value: String(i) }, modeKey(mode)));
    const select = Dom.make("select", { id: "what-if-mode", change: (event) => change("mode", modes[Number(event.target.value)]) }, ...options);
    return Dom.make("div", { class: "field" }, Dom.make("label", { for: "what-if-mode" }, "Connection mode"), select);
  }

  function slider(name, title, stops, words) {
    const id = `what-if-${name}`;
    const shown = Dom.make("output", { for: id }, words(chosen[name]));
    const range = Dom.make("input", { id, type: "range", min: "0", max: String(stops.length - 1), step: "1",
      value: String(stops.indexOf(chosen[name])), "aria-valuetext": words(chosen[name]),
      input: (event) => {
        const value = stops[Number(event.target.value)];
        shown.textContent = words(value);
        event.target.setAttribute("aria-valuetext", words(value));
        change(name, value);
      } });
    return Dom.make("div", { class: "field slider" }, Dom.make("label", { for: id }, title), shown, range);
  }

  // The table follows a slider at once, the charts when it rests.
  function change(name, value) {
    chosen = { ...chosen, [name]: value };
    drawTable();
    clearTimeout(waiting);
    waiting = setTimeout(drawCharts, CHART_DELAY_MS);
  }

  const fitted = () => data.parameters.filter((each) => modeKey(each) === modeKey(chosen.mode));

  function ask(parameters, load) {
    return { parameters, ...Model.predict(parameters, Predictions.load(load)), beyond: Predictions.beyond(data, parameters, load) };
  }

  function drawTable() {
    const answers = fitted().map((parameters) => ask(parameters, chosen)).sort((a, b) => b.throughput_rps - a.throughput_rps);
    const most = answers[0].throughput_rps;
    const rows = Dom.find("what-if-rows");
    Dom.fill(rows, ...answers.map((answer) => row(answer, most)));
    Tables.again(rows.closest("table"));
    const names = answers.map(({ parameters, throughput_rps }) => `${parameters.target} ${Units.number(throughput_rps)}`);
    Dom.find("what-if-words").textContent = `Predicted, requests/s: ${names.join(", ")}.`;
  }

  function row(answer, most) {
    const share = Math.round((100 * answer.throughput_rps) / most);
    const goes = Model.CAUSES.filter((cause) => answer.shares[cause] >= 0.005)
      .map((cause) => `${cause} ${Math.round(100 * answer.shares[cause])}%`);
    return Dom.make("tr", {},
      Dom.make("th", { scope: "row" }, answer.parameters.target),
      Dom.make("td", { class: "number bar", style: `--share: ${share}%` }, Units.number(answer.throughput_rps)),
      Dom.make("td", { class: "number" }, Units.number(1e3 * answer.response_s)),
      Dom.make("td", {}, `${answer.limited_by} (${Math.round(100 * answer.reached)}% reached)`),
      Dom.make("td", {}, goes.join(", ")),
      Dom.make("td", { class: answer.beyond.length ? "beyond" : "" },
        answer.beyond.length ? `extrapolated: ${answer.beyond.join("; ")}` : "within what was measured"));
  }

  // Both charts over all numbers of connections; plotly has to be there.
  function drawCharts() {
    if (!window.Plotly || !chosen) return;
    const lines = fitted().map((parameters) => ({ target: data.targets.find(({ name }) => name === parameters.target),
      answers: counts.map((connections) => ask(parameters, { ...chosen, connections })) }));
    Curves.show("what-if-throughput", Curves.predicted(lines, counts, chosen, "throughput"));
    Curves.show("what-if-response", Curves.predicted(lines, counts, chosen, "response"));
  }

  return { start, drawCharts };
})();
