// Small helpers to make elements. Text is set as text, never as markup.

/** An element with properties (`class`, `text`, `on...` and attributes) and children. */
export function make(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function draw(tag, properties = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** A number with thousands separators. */
export const count = (n) => n.toLocaleString("en");

/** "1 date", "2 dates". */
export const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

/** A day since 1970-01-01 as YYYY-MM-DD. */
export const isoDay = (day) => new Date(day * 86400000).toISOString().slice(0, 10);
