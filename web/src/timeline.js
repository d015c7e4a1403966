// The series of the centre pixels: one line for each band, a mark for each label below, and a cursor.

import { classOf } from "./classes.js";
import { NO_DAY } from "./data.js";
import { count, draw, isoDay, make } from "./dom.js";
import { BANDS } from "./stretch.js";

const MARGIN = { left: 52, right: 12, top: 8, bottom: 46 };
const LINES = ["", "6 2", "2 2", "8 2 2 2"]; // a pattern for each band, so that colour is not needed

export class Timeline {
  /** `onpoint(index)` is called when the pointer is nearest to a date, with null when it leaves. */
  constructor(svg, onpoint, onpick) {
    this.svg = svg;
    this.onpoint = onpoint;
    svg.addEventListener("pointermove", (event) => this.onpoint(this.#nearest(event)));
    svg.addEventListener("pointerleave", () => this.onpoint(null));
    svg.addEventListener("click", (event) => onpick(this.#nearest(event)));
    new ResizeObserver(() => this.#redraw()).observe(svg);
  }

  show(series) {
    this.series = series;
    this.#redraw();
  }

  /** `series`: {time, labels, spectrum, readable}; null for none. */
  #redraw() {
    const { svg, series } = this;
    svg.replaceChildren();
    this.places = [];
    if (!series) return;
    const { width, height } = svg.getBoundingClientRect();
    if (!width) return;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const dated = series.time.filter((day) => day !== NO_DAY);
    const [first, last] = dated.length ? [dated[0], dated.at(-1)] : [0, 0];
    const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    const x = (day) => MARGIN.left + (last > first ? ((day - first) / (last - first)) * inner.width : inner.width / 2);
    const most = niceTop(Math.max(1, ...series.spectrum.filter((_, i) => series.readable[Math.floor(i / BANDS.length)])));
    const y = (value) => MARGIN.top + inner.height * (1 - value / most);
    const bottom = MARGIN.top + inner.height;
    this.places = Array.from(series.time, (day) => (day === NO_DAY ? null : x(day)));
    this.#axes(x, y, first, last, most, width, dated.length);
    BANDS.forEach((band, i) => {
      const points = [];
      this.places.forEach((place, row) => {
        if (place !== null && series.readable[row]) points.push(`${place.toFixed(1)},${y(series.spectrum[row * BANDS.length + i]).toFixed(1)}`);
      });
      svg.append(draw("polyline", { class: `band ${band}`, points: points.join(" "), "stroke-dasharray": LINES[i] }));
    });
    this.places.forEach((place, row) => {
      if (place === null) return;
      const { color, mark } = classOf(series.labels[row]);
      svg.append(draw("rect", { class: "tick", x: place - 2, y: bottom + 3, width: 4, height: 10, fill: color }));
      if (this.places.length < 60) svg.append(draw("text", { class: "mark", x: place, y: bottom + 24, text: mark }));
    });
    this.cursor = draw("line", { class: "cursor", y1: MARGIN.top, y2: bottom + 13, visibility: "hidden" });
    svg.append(this.cursor);
    svg.setAttribute("aria-label", this.#words(dated, first, last));
  }

  #axes(x, y, first, last, most, width, dates) {
    for (const value of [0, most / 2, most]) {
      const place = y(value);
      this.svg.append(
        draw("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: place, y2: place }),
        draw("text", { class: "axis", x: MARGIN.left - 6, y: place + 4, "text-anchor": "end", text: count(value) }),
      );
    }
    const bottom = y(0);
    const starts = dates ? monthStarts(first, last) : [];
    const room = starts.length > 1 ? (x(starts.at(-1)) - x(starts[0])) / (starts.length - 1) : width;
    const step = [1, 2, 3, 6, 12, 24, 48].find((months) => months * room >= 64) ?? 96;
    for (const day of starts) {
      const place = x(day);
      const month = isoDay(day).slice(0, 7);
      const number = 12 * Number(month.slice(0, 4)) + Number(month.slice(5)) - 1;
      if (number % step) continue;
      this.svg.append(draw("line", { class: "grid", x1: place, x2: place, y1: MARGIN.top, y2: bottom }));
      if (place > width - 30) continue;
      this.svg.append(draw("text", { class: "axis", x: place, y: bottom + 40, "text-anchor": "middle", text: month }));
    }
  }

  #words(dated, first, last) {
    if (!dated.length) return "No date of this sample is known.";
    return `Series of the centre pixels, bands ${BANDS.join(", ")}, ${dated.length} dates from ${isoDay(first)} to ${isoDay(last)}.`;
  }

  /** Move the cursor to a date; null hides it. */
  point(row) {
    const place = row === null || row === undefined ? null : this.places?.[row];
    if (!this.cursor) return;
    this.cursor.setAttribute("visibility", place === null || place === undefined ? "hidden" : "visible");
    if (place !== null && place !== undefined) {
      this.cursor.setAttribute("x1", place);
      this.cursor.setAttribute("x2", place);
    }
  }

  #nearest(event) {
    const at = event.clientX - this.svg.getBoundingClientRect().left;
    let best = null;
    this.places?.forEach((place, row) => {
      if (place !== null && (best === null || Math.abs(place - at) < Math.abs(this.places[best] - at))) best = row;
    });
    return best;
  }
}

/** The legend: the line of each band. */
export function fillLegend(box) {
  const lines = BANDS.map((band, i) =>
    draw("svg", { viewBox: "0 0 30 10" }, draw("line", { class: `band ${band}`, x2: 30, y1: 5, y2: 5, "stroke-dasharray": LINES[i] })),
  );
  box.replaceChildren(...BANDS.flatMap((band, i) => [make("span", {}, lines[i], band)]), "mean of the centre 6 x 6 pixels");
}

function niceTop(value) {
  const step = [1000, 2000, 4000, 6000, 8000, 10000, 12000, 16000, 20000].find((one) => one >= value);
  return step ?? Math.ceil(value / 10000) * 10000;
}

/** The first days of the months in a range. */
function monthStarts(first, last) {
  const out = [];
  const date = new Date(first * 86400000);
  date.setUTCDate(1);
  for (;;) {
    const day = Math.floor(date / 86400000);
    if (day > last) return out;
    if (day >= first) out.push(day);
    date.setUTCMonth(date.getUTCMonth() + 1);
  }
}
