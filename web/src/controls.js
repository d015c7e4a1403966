// The controls of the side: unit, split, classes, months; and the choice of colours.

import { CLASSES, NO_LABEL, classOf } from "./classes.js";
import { byId, make, plural } from "./dom.js";
import { COLOURINGS } from "./stretch.js";

export const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Fill the controls for a store. `on`: {unit(name), filters(), colouring(name)}. */
export function makeControls(store, on) {
  const unit = byId("unit");
  unit.append(...store.units.map((one) => make("option", { value: one.name, text: `${one.name} · ${plural(one.samples, "sample")}` })));
  unit.addEventListener("change", () => on.unit(unit.value));
  const split = byId("split");
  const splits = [...new Set(store.units.map((one) => one.split))];
  split.append(make("option", { value: "", text: "all" }), ...splits.map((one) => make("option", { value: one, text: one })));
  split.addEventListener("change", on.filters);
  for (const number of [...CLASSES.keys(), NO_LABEL]) {
    const { name, mark, color } = classOf(number);
    const one = chip("checkbox", "class", number, `${mark} ${name}`, on.filters);
    one.style.setProperty("--class", color);
    byId("classes").append(one);
  }
  MONTHS.forEach((name, i) => byId("months").append(chip("checkbox", "month", i + 1, name, on.filters)));
  for (const [key, { name }] of Object.entries(COLOURINGS)) {
    byId("colouring").append(chip("radio", "colouring", key, name, () => on.colouring(key)));
  }
}

function chip(type, name, value, text, onchange) {
  return make("label", { class: "chip" }, make("input", { type, name, value, onchange }), make("span", { text }));
}

/** The filters that the controls say. */
export function readFilters() {
  const checked = (name) => [...document.querySelectorAll(`input[name=${name}]:checked`)].map((one) => Number(one.value));
  return { split: byId("split").value, classes: checked("class"), months: checked("month") }; // tile and cell have no control here
}

/** Make the controls say this. */
export function writeControls({ filters, colouring, sort, sample }) {
  byId("split").value = filters.split;
  if (byId("split").selectedIndex < 0) byId("split").value = "";
  for (const one of document.querySelectorAll("input[name=class]")) one.checked = filters.classes.includes(Number(one.value));
  for (const one of document.querySelectorAll("input[name=month]")) one.checked = filters.months.includes(Number(one.value));
  for (const one of document.querySelectorAll("input[name=colouring]")) one.checked = one.value === colouring;
  byId("sort").value = sort;
  if (sample) byId("unit").value = sample.unit.name;
}
