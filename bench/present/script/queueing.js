// Queues whose exact answers are known; bench/analyse/queueing.py line by line, which has the
// sources. Pure. A test holds both against the same vectors.
"use strict";

const Queueing = (() => {
  // Exact mean value analysis of a delay and stations in a ring, for 1 to `customers`.
  // `throughputs[n - 1]` is that with n of them; `residencesS` the times at each station with all.
  function closed(delayS, stations, customers) {
    const without = stations.map((_, place) => others(delayS, stations, place, customers));
    const here = stations.map(() => new Float64Array(customers + 1));
    for (const p of here) p[0] = 1;
    const throughputs = new Float64Array(customers);
    let residencesS = [];
    for (let n = 1; n <= customers; n++) {
      residencesS = stations.map((rates, s) => {
        let sum = 0;
        for (let j = 0; j < n; j++) sum += ((j + 1) / rates[j]) * here[s][j];
        return sum;
      });
      const rate = n / (delayS + residencesS.reduce((a, b) => a + b, 0));
      stations.forEach((rates, s) => {
        const p = here[s];
        for (let j = n; j >= 1; j--) p[j] = (rate / rates[j - 1]) * p[j - 1];
        p[0] *= rate / without[s][n - 1];
      });
      throughputs[n - 1] = rate;
    }
    return { throughput: throughputs[customers - 1], throughputs, residencesS };
  }

  // The throughputs of the network without one station; nothing holds up who is nowhere.
  function others(delayS, stations, place, customers) {
    const left = stations.filter((_, s) => s !== place);
    if (delayS <= 0 && left.length === 0) return new Float64Array(customers).fill(Infinity);
    return closed(delayS, left, customers).throughputs;
  }

  // The same for one station, at once: a birth and death process.
  function finiteSource(delayS, rates, customers) {
    if (delayS <= 0) {
      const throughput = rates[customers - 1];
      return { throughput, residencesS: [customers / throughput] };
    }
    const logs = new Float64Array(customers + 1);
    let most = 0;
    for (let j = 1; j <= customers; j++) {
      logs[j] = logs[j - 1] + Math.log((customers - j + 1) / rates[j - 1] / delayS);
      if (logs[j] > most) most = logs[j];
    }
    let total = 0, served = 0, there = 0;
    for (let j = 0; j <= customers; j++) {
      const weight = Math.exp(logs[j] - most);
      total += weight;
      if (j > 0) served += weight * rates[j - 1];
      there += weight * j;
    }
    return { throughput: served / total, residencesS: [there / served] };
  }

  // The rates of a station with so many servers that each keep a customer for a time.
  function severalServers(servers, timeS, customers) {
    return Float64Array.from({ length: customers }, (_, i) => Math.min(i + 1, servers) / timeS);
  }

  return { closed, finiteSource, severalServers };
})();
