// Every date of a sample as a patch: picture, date, label.

import { classOf, inkOn } from "./classes.js";
import { NO_DAY } from "./data.js";
import { isoDay, make } from "./dom.js";
import { NO_PREDICTION } from "./predictions.js";
import { RULES, points } from "./suspicion.js";
import { BANDS, PIXELS, SIDE, VALUES, paint } from "./stretch.js";

export class Patches {
  /** `on`: {pick(row), hover(row, pixel or null), leave()}. */
  constructor(list, on) {
    this.list = list;
    this.on = on;
    list.addEventListener("click", (event) => this.#at(event, (row) => on.pick(row)));
    list.addEventListener("pointermove", (event) => this.#at(event, (row) => on.hover(row, this.#pixel(event))));
    list.addEventListener("pointerleave", () => on.leave());
  }

  /** `view`: the sample as main.js has it. Without one, there are no patches. */
  show(view) {
    this.view = view;
    this.items = view ? view.labels.map((_, row) => this.#item(row)) : [];
    this.list.replaceChildren(...this.items);
  }

  #item(row) {
    const { view } = this;
    const day = view.time[row];
    const date = day === NO_DAY ? "" : isoDay(day);
    const label = view.labels[row];
    const one = classOf(label);
    const problem = view.problems[row];
    const rules = view.suspicions[row];
    const item = make("li", {
      class: "patch", role: "option", tabindex: "-1", "aria-selected": "false", "data-obs": view.start + row,
      "data-date": date, "data-label": label, "data-class": one.name, "data-damaged": problem ? "" : undefined,
    });
    item.style.setProperty("--class", one.color);
    item.style.setProperty("--ink-on", inkOn(one.color));
    item.append(
      problem ? make("p", { class: "broken", text: damageWords(view.unit, problem) }) : this.#picture(row),
      make("span", { class: "date", text: date || "no date" }),
      make("span", { class: "label" }, make("span", { "aria-hidden": "true", text: `${one.mark} ` }), one.name),
    );
    const prediction = view.unit.predictions?.[view.start + row] ?? NO_PREDICTION;
    if (prediction !== NO_PREDICTION) item.append(predicted(prediction, label));
    if (view.unit.predictions) item.dataset.prediction = prediction === NO_PREDICTION ? "" : prediction;
    if (rules.length) {
      const weak = points(rules) < 2;
      const title = rules.map((rule) => RULES[rule].title).join("; ");
      const mark = make("span", { "aria-hidden": "true", text: weak ? "?" : "!" });
      item.append(make("span", { class: weak ? "flag weak" : "flag", title }, mark, make("span", { class: "hidden", text: ` suspicious: ${title}` })));
    }
    return item;
  }

  #picture(row) {
    const canvas = make("canvas", { width: SIDE, height: SIDE });
    this.#paint(canvas, row);
    return make("span", { class: "picture" }, canvas, make("span", { class: "centre" }));
  }

  #paint(canvas, row) {
    const picture = new ImageData(SIDE, SIDE);
    paint(this.view.images, row, this.view.stretch, this.view.colouring, picture.data);
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }

  /** Draw all pictures again, in the colouring of the view. */
  repaint() {
    this.items.forEach((item, row) => {
      const canvas = item.querySelector("canvas");
      if (canvas) this.#paint(canvas, row);
    });
  }

  /** Mark the chosen date. `focus`: give it the keyboard. */
  choose(row, focus) {
    this.items.forEach((item, i) => {
      item.setAttribute("aria-selected", String(i === row));
      item.tabIndex = i === (row ?? 0) ? 0 : -1;
    });
    if (row === null) return;
    if (focus) this.items[row].focus({ preventScroll: true });
    this.items[row].scrollIntoView({ block: "nearest" });
  }

  /** Mark the date under the pointer, here or in the timeline. */
  point(row) {
    this.items.forEach((item, i) => item.classList.toggle("pointed", i === row));
  }

  /** Dim the dates that do not match the filters. */
  dim(isShown) {
    this.items.forEach((item, row) => item.classList.toggle("dim", !isShown(row)));
  }

  /** Show suggestions and flags of the review; words(row) is a text or "". */
  review(words) {
    this.items.forEach((item, row) => {
      item.querySelector(".reviewed")?.remove();
      const text = words(row);
      if (text) item.append(make("span", { class: "reviewed", text }));
    });
  }

  #at(event, use) {
    const item = event.target.closest("[data-obs]");
    if (item && this.view) use(Number(item.dataset.obs) - this.view.start);
  }

  /** [x, y] of the pixel under the pointer; null outside pictures. */
  #pixel(event) {
    const canvas = event.target.closest(".picture")?.querySelector("canvas");
    if (!canvas) return null;
    const box = canvas.getBoundingClientRect();
    const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return at.map((part) => Math.min(SIDE - 1, Math.max(0, Math.floor(part * SIDE))));
  }
}

/** What the model says, below the label. */
function predicted(prediction, label) {
  const one = classOf(prediction);
  const same = prediction === label;
  const text = make("span", { class: same ? "predicted" : "predicted differs" }, make("span", { class: "hidden", text: "predicted: " }), make("span", { "aria-hidden": "true", text: same ? "= " : `≠ ${one.mark} ` }), one.name);
  text.style.setProperty("--class", one.color);
  text.style.setProperty("--ink-on", inkOn(one.color));
  return text;
}

/** The published values of a pixel, by band. */
export function valuesAt(images, row, [x, y]) {
  return BANDS.map((_, band) => images[row * VALUES + band * PIXELS + y * SIDE + x]);
}

/** The damage of a date, in words. */
export function damageWords(unit, problem) {
  return `Damaged: ${unit.name}, ${problem.file}: ${problem.message}.`.replace(`${unit.name}, ${unit.name}/`, `${unit.name}, `);
}
