// The panel of predictions: a confusion matrix, and the agreement by tile and by month.

import { CLASSES, classOf } from "./classes.js";
import { MONTHS } from "./controls.js";
import { byId, count, make, plural } from "./dom.js";
import { WRONG, sameCell } from "./filters.js";
import { agreement } from "./predictions.js";

export class Panel {
  /** `on`: {cell(cell or null), tile(name or ""), month(number or null)}. */
  constructor(predictions, on) {
    this.predictions = predictions;
    this.on = on;
    byId("predictions-file").textContent = predictions.file;
    byId("predictions-note").textContent = predictions.note ? `${predictions.note}.` : "";
    byId("wrong").addEventListener("click", () => on.cell(byId("wrong").ariaPressed === "true" ? null : WRONG));
    byId("any").addEventListener("click", () => on.cell(null));
  }

  /** Draw the counts for these filters. What has the keyboard keeps it. */
  show(filters) {
    const focused = document.activeElement?.dataset.key;
    const matrix = this.predictions.matrix(filters);
    const { all, same } = agreement(matrix);
    const where = [filters.split, filters.tile, filters.months.map((one) => MONTHS[one - 1]).join(", ")].filter(Boolean).join(", ");
    byId("predictions-facts").textContent = `${share(same, all)} of ${plural(all, "prediction")}${where ? ` (${where})` : ""} ${all === 1 ? "is" : "are"} the label.`;
    byId("matrix").replaceChildren(...this.#matrix(matrix, filters.cell));
    byId("wrong").textContent = `All ${count(all - same)} that differ`;
    byId("wrong").ariaPressed = String(filters.cell === WRONG);
    byId("wrong").disabled = all === same && filters.cell !== WRONG;
    byId("any").disabled = filters.cell === null;
    const { tiles } = this.predictions;
    this.#list("by-tile", "Tile", tiles, tiles.map((tile) => this.predictions.matrix({ ...filters, tile })), filters.tile, (tile) =>
      this.on.tile(tile === filters.tile ? "" : tile));
    const months = [...MONTHS.keys()].map((i) => i + 1);
    const chosen = filters.months.length === 1 ? filters.months[0] : null;
    this.#list("by-month", "Month", months, months.map((month) => this.predictions.matrix({ ...filters, months: [month] })), chosen, (month) =>
      this.on.month(month === chosen ? null : month), (month) => MONTHS[month - 1]);
    if (focused) byId("predictions").querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
  }

  #matrix(matrix, chosen) {
    const classes = [...CLASSES.keys()];
    const head = make("tr", {}, make("td", { class: "corner", text: "label" }), ...classes.map((one) => heading(one, "col")), make("th", { scope: "col", text: "all" }));
    const totals = classes.map((one) => [...matrix.values()].reduce((sum, row) => sum + row[one], 0));
    const rows = [...matrix].map(([label, row]) => {
      const all = row.reduce((sum, one) => sum + one, 0);
      const cells = row.map((number, prediction) => this.#cell({ label, prediction }, number, all, chosen));
      return make("tr", {}, heading(label, "row"), ...cells, make("td", { class: "total", text: short(all), title: count(all) }));
    });
    const sum = totals.reduce((one, other) => one + other, 0);
    const foot = [...totals, sum].map((one) => make("td", { class: "total", text: short(one), title: count(one) }));
    return [
      make("caption", { text: "Rows: label. Columns: prediction. A cell has the number and its share of the label, and shows its dates." }),
      make("thead", {}, head),
      make("tbody", {}, ...rows),
      make("tfoot", {}, make("tr", {}, make("th", { scope: "row", text: "all" }), ...foot)),
    ];
  }

  #cell(cell, number, all, chosen) {
    const pressed = sameCell(cell, chosen);
    if (!number && !pressed) return make("td", { class: "none", text: "0" });
    const { label, prediction } = cell;
    const pair = `label ${classOf(label).name}, predicted ${classOf(prediction).name}: `;
    const hidden = (text) => make("span", { class: "hidden", text });
    const button = make(
      "button",
      { type: "button", "aria-pressed": String(pressed), title: `${pair}${plural(number, "date")}`, "data-key": `${label}:${prediction}`,
        class: label === prediction ? "same" : "differs", onclick: () => this.on.cell(pressed ? null : cell) },
      hidden(pair), short(number), hidden(" dates, "), make("small", { text: share(number, all) }), hidden(" of this label"),
    );
    button.style.setProperty("--share", `${Math.round(8 + 37 * (all ? number / all : 0))}%`);
    return make("td", {}, button);
  }

  /** A table of numbers and agreement; each row is a button. Rows without predictions are left out. */
  #list(id, head, values, matrices, chosen, pick, name = (value) => value) {
    const rows = values.map((value, i) => [value, agreement(matrices[i])]).filter(([value, { all }]) => all || value === chosen);
    byId(id).replaceChildren(
      make("thead", {}, make("tr", {}, make("th", { scope: "col", text: head }), make("th", { scope: "col", text: "dates" }), make("th", { scope: "col", text: "agree" }))),
      make("tbody", {}, ...rows.map(([value, { all, same }]) => {
        const bar = make("span", { class: "meter", "aria-hidden": "true" }, make("span"));
        bar.firstChild.style.width = `${all ? (100 * same) / all : 0}%`;
        const button = make("button", { type: "button", "aria-pressed": String(value === chosen), "data-key": `${id} ${value}`, text: name(value), onclick: () => pick(value) });
        return make("tr", {}, make("th", { scope: "row" }, button), make("td", { text: count(all) }), make("td", {}, bar, share(same, all)));
      })),
    );
  }
}

function heading(label, scope) {
  const { name, mark, color } = classOf(label);
  const th = make("th", { scope }, make("span", { class: "key", "aria-hidden": "true", text: mark }), make("span", { text: name }));
  th.style.setProperty("--class", color);
  return th;
}

function share(number, all) {
  if (!all) return "–";
  const percent = (100 * number) / all;
  const digits = percent > 0 && percent < 10 ? 1 : 0;
  // Never 100 % or 0 % of what is not all or nothing.
  if (number < all && Number(percent.toFixed(digits)) === 100) return ">99 %";
  if (number && percent < 0.05) return "<0.1 %";
  return `${percent.toFixed(digits)} %`;
}

/** A number in at most five characters. */
function short(number) {
  if (number < 10000) return count(number);
  if (number < 999500) return `${(number / 1000).toPrecision(3).replace(/\.0+$/, "")}k`;
  return `${(number / 1e6).toPrecision(3)}M`;
}
