// What a target would give at a load: bench/analyse/model.py line by line. Pure. Parameters and
// loads have the names that they have there; a test holds both against the same vectors.
"use strict";

const Model = (() => {
  const CAUSES = ["waiting", "CPU", "workers", "units"];

  // The closed network's throughput, its mean response time, and why it gives no more.
  function predict(parameters, load) {
    const n = inside(parameters, load);
    const solved = solve(parameters, load, n);
    const rate = solved.throughput;
    const cycleS = load.connections / rate;
    const [atCpuS, ...atUnitsS] = solved.residencesS;
    const spent = {
      waiting: thinkS(parameters, load),
      CPU: atCpuS,
      workers: (load.connections - n) / rate,
      units: atUnitsS.reduce((a, b) => a + b, 0),
    };
    const known = bounds(parameters, load);
    // The first of the least, in the order of model.py.
    const tightest = Object.keys(known).reduce((least, cause) => (known[cause] < known[least] ? cause : least));
    return {
      throughput_rps: rate,
      response_s: cycleS,
      limited_by: tightest,
      bound_rps: known[tightest],
      reached: Math.min(rate / known[tightest], 1),
      shares: Object.fromEntries(CAUSES.map((cause) => [cause, spent[cause] / cycleS])),
      extrapolated: load.connections > parameters.calibrated_to,
    };
  }

  function solve(parameters, load, n) {
    const rates = cpuRates(parameters, load);
    if (!load.hold_s) return Queueing.finiteSource(thinkS(parameters, load), rates, n);
    const units = Queueing.severalServers(load.units, heldS(parameters, load), n);
    return Queueing.closed(thinkS(parameters, load), [rates, units], n);
  }

  // Four bounds on the throughput: CPU always busy, all units held, all places taken, all waiting.
  function bounds(parameters, load) {
    const rates = cpuRates(parameters, load);
    const unitS = heldS(parameters, load);
    const aloneS = thinkS(parameters, load) + unitS + 1 / rates[0];
    const places = placesOf(parameters, load);
    return {
      CPU: rates.reduce((a, b) => Math.max(a, b)),
      units: unitS ? load.units / unitS : Infinity,
      workers: places !== null && places < load.connections ? places / aloneS : Infinity,
      waiting: load.connections / aloneS,
    };
  }

  // How many requests a target works on at once; null where nothing limits them.
  function placesOf(parameters, load) {
    return parameters.places === null ? null : (load.workers || parameters.workers) * parameters.places;
  }

  function inside(parameters, load) {
    const places = placesOf(parameters, load);
    return places === null ? load.connections : Math.min(load.connections, places);
  }

  // The time that a request spends in waits that keep nobody else waiting, lateness included.
  function thinkS(parameters, load) {
    const waitedS = load.delay_s + (parameters.is_loop ? 0 : load.block_s);
    const waits = waitsOf(parameters, load) - (load.hold_s ? 1 : 0);
    if (!waitedS || waits < 1) return waitedS;
    const perS = (inside(parameters, load) * waits) / (waitedS + load.hold_s);
    return waitedS + waits * onCurve(parameters.late_s, perS);
  }

  // The time for which a request keeps a unit: the wait with it, and by how much that ends late.
  function heldS(parameters, load) {
    if (!load.hold_s) return 0;
    const perS = Math.min(inside(parameters, load), load.units) / load.hold_s;
    return load.hold_s + onCurve(parameters.late_s, perS);
  }

  const waitsOf = (parameters, load) => load.waits + (parameters.is_loop ? 0 : load.blocks);

  // The rates of the CPU with 1, 2, ... of the requests that are inside there.
  function cpuRates(parameters, load) {
    const n = inside(parameters, load);
    const waitCpuS = onCurve(parameters.wait_cpu_s, load.connections);
    let besidesS = load.cpu_s * parameters.cpu_factor + waitsOf(parameters, load) * waitCpuS;
    if (parameters.is_loop && load.blocks) besidesS += load.block_s + load.blocks * onCurve(parameters.late_s, 0);
    const outside = n < load.connections
      ? rising(parameters.demand_s, load.connections) / rising(parameters.demand_s, n) : 1;
    return Float64Array.from({ length: n }, (_, i) =>
      1 / (rising(parameters.demand_s, i + 1) * outside + besidesS / Math.min(i + 1, parameters.lanes)));
  }

  // A curve that goes on beyond its last point as between its last two, and never falls there.
  function rising(curve, at) {
    if (curve.length < 2 || at <= curve[curve.length - 1][0]) return onCurve(curve, at);
    const [[x0, y0], [x1, y1]] = curve.slice(-2);
    return y1 + (Math.max(y1 - y0, 0) / (x1 - x0)) * (at - x1);
  }

  // The value of a curve: a power between two points (linear if one is 0), flat beyond the ends.
  function onCurve(curve, at) {
    if (curve.length === 0) return 0;
    if (at <= curve[0][0]) return curve[0][1];
    for (let i = 1; i < curve.length; i++) {
      const [x0, y0] = curve[i - 1], [x1, y1] = curve[i];
      if (at > x1) continue;
      const share = Math.log(at / x0) / Math.log(x1 / x0);
      if (y0 > 0 && y1 > 0) return Math.exp(Math.log(y0) + share * Math.log(y1 / y0));
      return y0 + share * (y1 - y0);
    }
    return curve[curve.length - 1][1];
  }

  return { predict, CAUSES, cpuRates, placesOf };
})();
