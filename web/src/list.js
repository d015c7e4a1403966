// The list of samples. Only the rows in view are in the document.

import { CLASSES } from "./classes.js";
import { make, plural } from "./dom.js";

const ROW = 30; // pixels
const MORE = 8; // rows drawn above and below the view

export class SampleList {
  constructor(box, onpick) {
    this.box = box;
    this.onpick = onpick;
    this.inner = make("div", { role: "presentation" });
    this.inner.style.position = "relative";
    box.append(this.inner);
    this.rows = [];
    box.addEventListener("scroll", () => this.#render());
    new ResizeObserver(() => this.#render()).observe(box);
  }

  /** Show samples, in this order, with a heading before each unit. `note(sample)`: a word at the end of its row, or "". */
  show(samples, note = () => "") {
    this.rows = [];
    this.note = note;
    let unit = null;
    samples.forEach((sample, place) => {
      if (sample.unit !== unit) this.rows.push({ heading: sample.unit });
      unit = sample.unit;
      this.rows.push({ sample, place, of: samples.length });
    });
    this.inner.style.height = `${this.rows.length * ROW}px`;
    this.#render();
  }

  /** Mark the current sample and bring it into view. */
  mark(sample) {
    this.current = sample;
    const at = this.rows.findIndex((row) => row.sample === sample);
    if (at >= 0) {
      const top = at * ROW;
      const room = this.box.clientHeight;
      if (top - ROW < this.box.scrollTop) this.box.scrollTop = top - ROW;
      else if (top + 2 * ROW > this.box.scrollTop + room) this.box.scrollTop = top + 2 * ROW - room;
    }
    this.#render();
  }

  #render() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - MORE);
    const last = Math.min(this.rows.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + MORE);
    const shown = this.rows.slice(first, last).map((row, i) => this.#row(row, (first + i) * ROW));
    this.inner.replaceChildren(...shown);
    const active = this.inner.querySelector("[aria-selected=true]");
    if (active) this.box.setAttribute("aria-activedescendant", active.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  #row(row, top) {
    if (row.heading) {
      const heading = make("div", { class: "heading", role: "presentation", text: row.heading.name });
      heading.style.top = `${top}px`;
      return heading;
    }
    const { sample, place, of } = row;
    const chosen = sample === this.current;
    const note = this.note(sample);
    const counted = CLASSES.map((one, i) => (sample.counts[i] ? `${one.name} ${sample.counts[i]}` : "")).filter(Boolean);
    const option = make(
      "div",
      {
        class: "row", role: "option", id: `sample-${sample.row}`, "aria-selected": String(chosen),
        "aria-setsize": of, "aria-posinset": place + 1, onclick: () => this.onpick(sample),
      },
      make("span", { class: "id", text: sample.localid }),
      bar(sample.counts),
      make("span", { class: "size", text: note || sample.size }),
      make("span", { class: "hidden", text: ` ${note ? plural(sample.size, "date") : "dates"}: ${counted.join(", ")}; ${sample.unit.name}` }),
    );
    option.style.top = `${top}px`;
    return option;
  }
}

/** The labels of a sample as a bar, in the order of the classes. */
function bar(counts) {
  const parts = CLASSES.flatMap((one, i) => {
    if (!counts[i]) return [];
    const part = make("span", { title: `${one.name} ${counts[i]}` });
    part.style.flexGrow = counts[i];
    part.style.background = one.color;
    return [part];
  });
  return make("span", { class: "bar", "aria-hidden": "true" }, ...parts);
}
