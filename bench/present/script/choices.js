// What the reader has chosen to see, and the selects that choose it. Choices that a new choice
// leaves without data fall back to the first that has some.
"use strict";

const Choices = (() => {
  // The pairs and targets that can be looked at: {key, words, a, b} or {key, words, target}.
  function subjects(data) {
    const pairs = new Map();
    for (const row of data.comparisons) {
      const words = `${row.a} against ${row.b}`;
      if (!pairs.has(words)) pairs.set(words, { key: `pair ${words}`, words, a: row.a, b: row.b });
    }
    const targets = data.targets
      .filter(({ name }) => data.cells.some((cell) => cell.target === name))
      .map(({ name }) => ({ key: `target ${name}`, words: name, target: name }));
    return { pairs: [...pairs.values()], targets };
  }

  // All points of a subject, whatever the metric: rows of cells or of comparisons.
  function rowsOf(data, subject) {
    if (subject.target) return data.cells.filter((cell) => cell.target === subject.target);
    return data.comparisons.filter((row) => row.a === subject.a && row.b === subject.b);
  }

  // A whole state from a wish: what is impossible in it is replaced.
  function settle(data, wish) {
    const all = subjects(data);
    const known = [...all.pairs, ...all.targets];
    const subject = known.find((each) => each.key === wish.subject) ?? first(data, all);
    const metric = data.metrics.find((each) => each.name === wish.metric) ?? data.metrics[0];
    const rows = rowsOf(data, subject);
    const varying = Data.axesThatVary(data, rows);
    const across = pick(wish.across, varying, "connections");
    const down = pick(wish.down === across ? null : wish.down, varying.filter((axis) => axis !== across),
      across === "work" ? "connections" : "work");
    const fixed = {};
    const offered = {};
    let left = rows;
    for (const axis of Data.POINT.filter((name) => name !== across && name !== down)) {
      offered[axis] = Data.values(data, axis, left);
      const wanted = wish.fixed?.[axis];
      fixed[axis] = offered[axis].includes(wanted) ? wanted : mostUsed(left, axis);
      left = left.filter((row) => row[axis] === fixed[axis]);
    }
    return { subject, metric, across, down, fixed, offered, varying, rows: left, place: wish.place ?? {} };
  }

  // The first pair of an async and a sync model, else the first of all.
  function first(data, { pairs, targets }) {
    const family = (name) => data.targets.find((target) => target.name === name)?.family;
    return pairs.find(({ a, b }) => family(a) !== family(b)) ?? pairs[0] ?? targets[0];
  }

  function pick(wanted, offered, usual) {
    if (offered.includes(wanted)) return wanted;
    return offered.includes(usual) || offered.length === 0 ? usual : offered[0];
  }

  function mostUsed(rows, axis) {
    const counts = new Map();
    for (const row of rows) counts.set(row[axis], (counts.get(row[axis]) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
  }

  // Fills the form anew; `choose` is called with what is to change.
  function draw(form, data, state, choose) {
    const all = subjects(data);
    const asOptions = (each) => each.map(({ key, words }) => [key, words]);
    const groups = [["Pairs", asOptions(all.pairs)], ["One model", asOptions(all.targets)]];
    const axes = (names) => names.map((name) => [name, Data.AXES.find((axis) => axis.name === name).title]);
    const fields = [
      field("subject", "Look at", groups, state.subject.key, (value) => choose({ subject: value })),
      field("metric", "Metric", [[null, data.metrics.map((m) => [m.name, m.title])]], state.metric.name,
        (value) => choose({ metric: value })),
    ];
    if (state.varying.length > 1) {
      fields.push(
        field("across", "Across", [[null, axes(state.varying)]], state.across,
          (value) => choose({ across: value, down: value === state.down ? state.across : state.down })),
        field("down", "Down", [[null, axes(state.varying.filter((name) => name !== state.across))]], state.down,
          (value) => choose({ down: value })),
      );
    }
    for (const [axis, values] of Object.entries(state.offered)) {
      if (values.length < 2) continue;
      const title = Data.AXES.find((each) => each.name === axis).title;
      const options = values.map((value, i) => [String(i), Data.words(data, axis, value)]);
      fields.push(field(`fixed-${axis}`, capital(title), [[null, options]], String(values.indexOf(state.fixed[axis])),
        (value) => choose({ fixed: { ...state.fixed, [axis]: values[Number(value)] } })));
    }
    const focused = document.activeElement?.id;
    Dom.fill(form, ...fields);
    if (focused && form.contains(Dom.find(focused))) Dom.find(focused).focus();
  }

  const capital = (text) => text[0].toUpperCase() + text.slice(1);

  function field(name, title, groups, chosen, change) {
    const id = `choose-${name}`;
    const option = ([value, words]) => Dom.make("option", { value, selected: value === chosen }, words);
    const select = Dom.make("select", { id, change: (event) => change(event.target.value) });
    for (const [label, options] of groups) {
      if (options.length === 0) continue;
      select.append(...(label ? [Dom.make("optgroup", { label }, ...options.map(option))] : options.map(option)));
    }
    return Dom.make("div", { class: "field" }, Dom.make("label", { for: id }, title), select);
  }

  return { settle, draw, subjects, rowsOf };
})();
