// How a target's line looks: its colour, dash and marker, in charts and in the key alike.
"use strict";

const Looks = (() => {
  // Outlines in a box from -5 to 5, by plotly's names for them.
  const OUTLINES = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "square": "M-4-4H4V4H-4Z",
    "diamond": "M0-5L5 0 0 5-5 0Z",
    "diamond-tall": "M0-5L3.5 0 0 5-3.5 0Z",
    "cross": "M-1.6-5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z",
    "x": "M-4.5-2.3L-2.3-4.5 0-2.2 2.3-4.5 4.5-2.3 2.2 0 4.5 2.3 2.3 4.5 0 2.2-2.3 4.5-4.5 2.3-2.2 0Z",
    "triangle-up": "M0-4.5L4.5 3.5H-4.5Z",
    "triangle-down": "M0 4.5L4.5-3.5H-4.5Z",
    "triangle-left": "M-4.5 0L3.5-4.5V4.5Z",
    "triangle-right": "M4.5 0L-3.5-4.5V4.5Z",
    "pentagon": "M0-4.5L4.3-1.4 2.6 3.6H-2.6L-4.3-1.4Z",
    "hexagon": "M0-4.5L3.9-2.2V2.2L0 4.5-3.9 2.2V-2.2Z",
    "hexagon2": "M-4.5 0L-2.2-3.9H2.2L4.5 0 2.2 3.9H-2.2Z",
    "octagon": "M-1.8-4.4H1.8L4.4-1.8V1.8L1.8 4.4H-1.8L-4.4 1.8V-1.8Z",
    "star": "M0-5L1.2-1.6 4.8-1.5 1.9.6 2.9 4 0 2-2.9 4-1.9.6-4.8-1.5-1.2-1.6Z",
  };

  // The colours are made for paper; on a dark page they are mixed with white.
  function lineColour(target) {
    if (!Dom.isDark()) return target.color;
    const parts = [1, 3, 5].map((i) => parseInt(target.color.slice(i, i + 2), 16));
    return `rgb(${parts.map((part) => Math.round(part + 0.38 * (255 - part))).join(",")})`;
  }

  const line = (target) => ({ color: lineColour(target), dash: target.dash, width: 2 });

  // A short sample of a line with its marker.
  function sample(target) {
    const svg = (tag, attributes) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      return element;
    };
    const colour = lineColour(target);
    const picture = svg("svg", { width: 40, height: 14, viewBox: "-20 -7 40 14", "aria-hidden": "true" });
    const dashes = target.dash === "solid" ? "none" : target.dash.replaceAll("px", "");
    picture.append(
      svg("path", { d: "M-20 0H20", stroke: colour, "stroke-width": 2, "stroke-dasharray": dashes }),
      svg("path", { d: OUTLINES[target.symbol.replace("-open", "")], stroke: colour, "stroke-width": 1.3,
        fill: target.symbol.endsWith("-open") ? Dom.colour("paper") : colour }));
    return picture;
  }

  return { line, lineColour, sample, OUTLINES };
})();
