// Numbers as text, as bench/present/units.py writes them: a test compares the two.
"use strict";

const Units = (() => {
  // toFixed rounds the number that is there; toLocaleString rounds its shortest decimal.
  function fixed(value, decimals) {
    const [whole, rest] = value.toFixed(decimals).split(".");
    const apart = whole.replace(/\B(?=(\d{3})+$)/g, ",");
    return rest === undefined ? apart : `${apart}.${rest}`;
  }

  const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

  // A whole number with thousands set apart: 1,024.
  const count = (value) => fixed(value, 0);

  // A measured number to so many significant figures, never in exponents; - for none.
  function number(value, digits = 3) {
    if (!known(value)) return "-";
    if (value === 0) return "0";
    return fixed(value, Math.max(digits - 1 - Math.floor(Math.log10(Math.abs(value))), 0));
  }

  // A ratio with two decimals, three figures from 10 on, two below 0.1; ? for none.
  function factor(ratio) {
    if (!known(ratio)) return "?";
    return ratio >= 0.1 && ratio < 10 ? fixed(ratio, 2) : number(ratio, ratio > 1 ? 3 : 2);
  }

  // An interval as [1.71, 1.95]; an end that is not known is ?.
  const interval = (low, high, text = factor) =>
    `[${known(low) ? text(low) : "?"}, ${known(high) ? text(high) : "?"}]`;

  // A delay in the unit that reads best: 500 us, 5 ms, 1.5 s; 0 ms for none.
  function delay(seconds) {
    const plain = (value) => String(Number(value.toPrecision(6)));
    if (seconds >= 1) return `${plain(seconds)} s`;
    if (seconds > 0 && seconds < 1e-3) return `${plain(seconds * 1e6)} us`;
    return `${plain(seconds * 1e3)} ms`;
  }

  // 1 connection, 64 connections, 8 processes.
  function countOf(value, noun) {
    if (value === 1) return `1 ${noun}`;
    return `${count(value)} ${noun}${noun.endsWith("s") ? "es" : "s"}`;
  }

  return { known, count, number, factor, interval, delay, countOf };
})();
