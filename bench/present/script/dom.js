// Making and finding elements. Text is always set as text: a target's name is never markup.
"use strict";

const Dom = (() => {
  // An element with attributes (true: present, false or null: absent; functions: listeners).
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const find = (id) => document.getElementById(id);

  function fill(element, ...children) {
    element.replaceChildren(...children.filter((child) => child !== null));
  }

  // A colour of the page as it is now, light or dark.
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

  return { make, find, fill, colour, isDark };
})();
