// The model asked about points of the run, and about loads that nobody measured. Pure.
"use strict";

const Predictions = (() => {
  function parametersOf(data, target, point) {
    return data.parameters.find((each) => each.target === target && each.connection === point.connection
      && (each.server_cores === point.server_cores || point.server_cores === undefined));
  }

  // What the model says of a target at a point of the run; null where it was not fitted.
  function at(data, target, point) {
    const parameters = parametersOf(data, target, point);
    const asked = data.works.find((work) => work.path === point.work)?.load;
    if (!parameters || !asked) return null;
    return Model.predict(parameters, { ...asked, connections: point.connections,
      workers: point.workers ?? null, units: point.units || 1 });
  }

  // A load as it is chosen by hand: one wait, of which `units` may be held at a time if not 0.
  function load({ delay_s, cpu_s, connections, workers, units }) {
    const held = units > 0 && delay_s > 0;
    return { connections, delay_s: held ? 0 : delay_s, waits: delay_s > 0 ? 1 : 0, cpu_s, block_s: 0, blocks: 0,
      hold_s: held ? delay_s : 0, workers, units: held ? units : 1 };
  }

  // How a load lies beyond what was measured of a target: reasons, none where it lies within.
  function beyond(data, parameters, chosen) {
    const cells = data.cells.filter((cell) => cell.target === parameters.target
      && cell.connection === parameters.connection && cell.server_cores === parameters.server_cores);
    const loads = cells.map((cell) => data.works.find((work) => work.path === cell.work).load);
    const most = (values) => Math.max(0, ...values);
    const longest = most(cells.map((cell) => cell.delay_s)), busiest = most(loads.map((each) => each.cpu_s));
    const reasons = [];
    if (chosen.connections > parameters.calibrated_to) {
      reasons.push(`more than the ${Units.countOf(parameters.calibrated_to, "connection")} that it was fitted to`);
    }
    if (chosen.delay_s > longest) reasons.push(`no wait over ${Units.delay(longest)} was measured`);
    if (chosen.cpu_s > busiest) {
      reasons.push(busiest > 0 ? `no work over ${Units.delay(busiest)} of CPU was measured` : "no work that computes was measured");
    }
    if (chosen.workers !== null && parameters.places !== null && chosen.workers !== parameters.workers
      && !cells.some((cell) => cell.workers === chosen.workers)) {
      reasons.push(`it was not measured with ${Units.countOf(chosen.workers, "worker")}`);
    }
    if (chosen.units > 0 && chosen.delay_s > 0 && !loads.some((each) => each.hold_s > 0)) {
      reasons.push("no work that holds a unit was measured");
    }
    return reasons;
  }

  return { parametersOf, at, load, beyond };
})();
