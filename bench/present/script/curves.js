// What the charts show, as plotly takes it: a metric along an axis, and response times by
// percentile. Targets keep their colour, dash and marker; bounds are drawn in grey.
"use strict";

const Curves = (() => {
  // Names and numbers go into plotly's texts, which know some markup.
  const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");

  // The chosen metric along the axis that runs across, for the chosen row of the map.
  function along(data, state, plan, targets) {
    const points = plan.across.map((across) => Tiles.pointAt(state, { across, down: plan.place.down }));
    const x = places(state, plan);
    const lines = targets.map((target) => line(data, state, target, points, x)).filter(Boolean);
    const modelled = targets.map((target) => modelLine(data, state, target, plan, x)).filter(Boolean);
    const bounds = state.metric.name === "throughput" ? throughputBounds(data, points, x, targets)
      : state.metric.column.startsWith("response") ? delayBound(data, points, x) : [];
    const row = Data.words(data, state.down, plan.place.down);
    return {
      title: `${state.metric.title} at ${row}`,
      isEmpty: lines.length === 0,
      traces: [...bounds, ...modelled, ...lines],
      layout: { ...frame(), xaxis: xAxis(data, state, plan, x), yaxis: yAxis(state.metric, [...bounds, ...lines]),
        shapes: [chosenMark(x[plan.across.indexOf(plan.place.across)])] },
    };
  }

  // Numbers of connections have their own places on a log axis, everything else is evenly spaced.
  function places(state, plan) {
    return plan.across.map((value, i) => (state.across === "connections" ? value : i));
  }

  function line(data, state, target, points, x) {
    const cells = points.map((point) => Data.cellAt(data, target.name, point));
    const metric = state.metric;
    const y = cells.map((cell) => cell?.[metric.column] ?? null);
    if (y.every((value) => value === null)) return null;
    const end = (name, sign) => cells.map((cell, i) =>
      Units.known(cell?.[name]) && y[i] !== null ? Math.max(sign * (cell[name] - y[i]), 0) : 0);
    const owed = cells.map((cell) => Boolean(cell?.at_least) && metric.column.startsWith("response"));
    return {
      type: "scatter", mode: "lines+markers", name: plain(target.name), x, y, connectgaps: false,
      line: Looks.line(target),
      marker: { color: Looks.lineColour(target), size: owed.map((is) => (is ? 12 : 8)),
        symbol: owed.map((is) => (is ? "triangle-up-open" : target.symbol)) },
      error_y: { type: "data", symmetric: false, array: end(metric.high, 1), arrayminus: end(metric.low, -1),
        thickness: 1.2, width: 4 },
      text: cells.map((cell) => (cell ? `${plain(target.name)}<br>${plain(Detail.figure(cell, metric))}<br>`
        + plain(Data.placeWords(data, cell)) : "")),
      hovertemplate: "%{text}<extra></extra>",
    };
  }

  // What the model gives on the same way, on more points where the axis is of connections.
  function modelLine(data, state, target, plan, x) {
    const ask = { throughput: (said) => said.throughput_rps, mean: (said) => 1e3 * said.response_s }[state.metric.name];
    if (!ask) return null;
    const [first, last] = [x[0], x[x.length - 1]];
    const among = state.across === "connections" ? [...new Set([...x, ...halves(first, last)])].sort((a, b) => a - b) : plan.across;
    const said = among.map((across) => Predictions.at(data, target.name, Tiles.pointAt(state, { across, down: plan.place.down })));
    if (!said.some(Boolean)) return null;
    return {
      type: "scatter", mode: "lines", name: `model: ${plain(target.name)}`, x: state.across === "connections" ? among : x,
      y: said.map((each) => (each ? ask(each) : null)), line: { color: Looks.lineColour(target), width: 1 }, opacity: 0.75,
      text: said.map((each) => each && `model of ${plain(target.name)}<br>${Units.number(ask(each))} ${state.metric.unit}<br>`
        + `limited by ${each.limited_by}${each.extrapolated ? "<br>extrapolated" : ""}`),
      hovertemplate: "%{text}<extra></extra>",
    };
  }

  // Powers of the root of 2 between two numbers of connections.
  function halves(first, last) {
    const steps = Math.floor(2 * Math.log2(last / first));
    return Array.from({ length: steps + 1 }, (_, i) => Math.round(first * 2 ** (i / 2)));
  }

  // Lines of the model over connections for a load chosen by hand; open markers are extrapolated.
  function predicted(lines, counts, chosen, what) {
    const value = (answer) => (what === "throughput" ? answer.throughput_rps : 1e3 * answer.response_s);
    const unit = what === "throughput" ? "requests/s" : "ms";
    const traces = lines.map(({ target, answers }) => ({
      type: "scatter", mode: "lines+markers", name: plain(target.name), x: counts, y: answers.map(value), line: Looks.line(target),
      marker: { color: Looks.lineColour(target), size: 7,
        symbol: answers.map(({ beyond }) => target.symbol.replace("-open", "") + (beyond.length ? "-open" : "")) },
      text: answers.map((answer, i) => `${plain(target.name)}, ${Units.countOf(counts[i], "connection")}<br>`
        + `${Units.number(value(answer))} ${unit}<br>limited by ${answer.limited_by}`
        + answer.beyond.map((reason) => `<br>extrapolated: ${plain(reason)}`).join("")),
      hovertemplate: "%{text}<extra></extra>",
    }));
    if (chosen.delay_s > 0) {
      const y = counts.map((count) => (what === "throughput" ? count / chosen.delay_s : 1e3 * chosen.delay_s));
      traces.unshift(bound(what === "throughput" ? "physical bound N / d" : "the delay asked for", counts, y, "2px,4px"));
    }
    const shown = counts.filter((count) => Number.isInteger(Math.log2(count) / 2));
    const xaxis = { ...axis("connections"), type: "log", tickvals: shown, ticktext: shown.map(Units.count) };
    const name = what === "throughput" ? "predicted throughput, requests/s" : "predicted mean response time, ms";
    return { traces, layout: { ...frame(), xaxis, yaxis: { ...axis(name), ...logTicks(traces) }, shapes: [chosenMark(chosen.connections)] } };
  }

  const CHART = { displaylogo: false, responsive: true, displayModeBar: false };

  function show(id, { traces, layout }) {
    if (window.Plotly) Plotly.react(Dom.find(id), traces, layout, CHART);
  }

  // No server answers more often than N connections that each wait d, N / d; and known limits.
  function throughputBounds(data, points, x, targets) {
    const found = [];
    const delays = points.map((point) => anyCell(data, point)?.delay_s ?? null);
    const y = points.map((point, i) => (delays[i] > 0 ? point.connections / delays[i] : null));
    if (y.some((value) => value !== null)) found.push(bound("physical bound N / d", x, y, "2px,4px"));
    const limits = new Map();
    for (const target of targets) {
      const cells = points.map((point) => Data.cellAt(data, target.name, point));
      const rates = cells.map((cell) => (cell && Units.known(cell.limit_rps)
        && cell.connections >= cell.limit_connections ? cell.limit_rps : null));
      const what = cells.find((cell, i) => rates[i] !== null)?.limit_what;
      if (what) limits.set(`${what} ${rates}`, bound(`limit: ${what}`, x, rates, "14px,4px"));
    }
    return [...found, ...limits.values()];
  }

  // No reply comes before the delay that was asked for is over.
  function delayBound(data, points, x) {
    const y = points.map((point) => 1e3 * (anyCell(data, point)?.delay_s ?? 0) || null);
    return y.some((value) => value !== null) ? [bound("the delay asked for", x, y, "2px,4px")] : [];
  }

  const anyCell = (data, point) =>
    data.targets.map(({ name }) => Data.cellAt(data, name, point)).find(Boolean);

  function bound(name, x, y, dash) {
    return {
      type: "scatter", mode: "lines", name: plain(name), x, y, line: { color: Dom.colour("muted"), dash, width: 1.8 },
      text: y.map((value) => `${plain(name)}: ${Units.number(value)}`), hovertemplate: "%{text}<extra></extra>",
    };
  }

  // Response time by percentile at one place; 99.9 is at 3, by nines.
  function percentiles(data, state, plan, targets) {
    const point = Tiles.pointAt(state, plan.place);
    const nines = data.percentiles.map((percentile) => -Math.log10(1 - percentile / 100));
    const traces = targets.flatMap((target) => {
      const cell = Data.cellAt(data, target.name, point);
      if (!cell || cell.curve.every((value) => value === null)) return [];
      return [{
        type: "scatter", mode: "lines+markers", name: plain(target.name), x: nines, y: cell.curve,
        line: Looks.line(target), marker: { color: Looks.lineColour(target), size: 7, symbol: target.symbol },
        text: cell.curve.map((value, i) => `${plain(target.name)}<br>p${data.percentiles[i]}: `
          + `${cell.at_least ? "\u2265 " : ""}${Units.number(value)} ms`),
        hovertemplate: "%{text}<extra></extra>",
      }];
    });
    const named = [50, 90, 99, 99.9, 99.99];
    const xaxis = { ...axis("percentile"), tickvals: named.map((p) => -Math.log10(1 - p / 100)), ticktext: named.map(String) };
    return {
      title: `Response time by percentile at ${Data.placeWords(data, point)}`,
      isEmpty: traces.length === 0,
      traces,
      layout: { ...frame(), xaxis, yaxis: { ...axis("response time, ms"), ...logTicks(traces) } },
    };
  }

  function xAxis(data, state, plan, x) {
    const title = Data.AXES.find((each) => each.name === state.across).title;
    const log = state.across === "connections";
    const [first, last] = [x[0], x[x.length - 1]].map((value) => (log ? Math.log10(value) : value));
    const room = Math.max((last - first) * 0.07, 0.15);
    return { ...axis(title), type: log ? "log" : "linear", range: [first - room, last + room],
      tickvals: x, ticktext: plan.across.map((value) => plain(Data.words(data, state.across, value))) };
  }

  function yAxis(metric, traces) {
    const name = metric.unit === "requests/s" ? "correct completions per second" : `${metric.title.toLowerCase()}, ${metric.unit}`;
    return metric.log ? { ...axis(name), ...logTicks(traces) } : { ...axis(name), rangemode: "tozero" };
  }

  // A log axis written as 2,000 rather than 2 x 10^3, with about four to ten names.
  function logTicks(traces) {
    const values = traces.flatMap((trace) => trace.y).filter((value) => value > 0);
    const least = Math.min(...values), most = Math.max(...values), decades = Math.log10(most / least);
    const tickvals = decades > 0.5 ? powerTicks(decades) : evenTicks(least, most);
    const words = (value) => value.toLocaleString("en-GB", { maximumSignificantDigits: decades > 0.5 ? 3 : 4 });
    return { type: "log", tickvals, ticktext: tickvals.map(words) };
  }

  function powerTicks(decades) {
    const steps = decades > 3 ? [1] : decades > 1.2 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
    const powers = Array.from({ length: 16 }, (_, i) => 10 ** (i - 6));
    return powers.flatMap((power) => steps.map((step) => step * power));
  }

  // Steps of 1, 2 or 5 times a power of ten, for values that are close to each other.
  function evenTicks(least, most) {
    const rough = Math.max(most - least, most * 0.02) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
    const first = Math.floor(least / step) - 1, last = Math.ceil(most / step) + 1;
    return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step).filter((value) => value > 0);
  }

  const axis = (title) => ({ title: { text: title, standoff: 8 }, automargin: true, zeroline: false,
    gridcolor: Dom.colour("rule"), linecolor: Dom.colour("muted"), tickcolor: Dom.colour("muted"), ticks: "outside",
    exponentformat: "none", separatethousands: true });

  const chosenMark = (x) => ({ type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, layer: "below",
    line: { color: Dom.colour("rule"), width: 8 } });

  function frame() {
    const ink = Dom.colour("ink");
    return { showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", height: 380,
      margin: { l: 56, r: 12, t: 12, b: 44 }, font: { family: "system-ui, sans-serif", size: 13, color: ink },
      hovermode: "closest", dragmode: false,
      hoverlabel: { bgcolor: Dom.colour("soft"), bordercolor: Dom.colour("muted"), font: { color: ink }, align: "left" } };
  }

  return { along, percentiles, predicted, show };
})();
