// The page. Its state is one object; each change goes to the address, to the list, and to what is drawn.
//
// For tests and other programs: <body data-ready data-unit data-sample data-samples>, [data-obs], [data-damaged], [role=alert]
// (docs/view.md says what each promises).

import { CLASSES, classOf } from "./classes.js";
import { makeControls, readFilters, writeControls } from "./controls.js";
import { NO_DAY, Store } from "./data.js";
import { byId, count, isoDay, make, plural } from "./dom.js";
import { EMPTY, isEmpty, matches, select } from "./filters.js";
import { Unreadable } from "./http.js";
import { fillHelp, listen } from "./keys.js";
import { SampleList } from "./list.js";
import { makeMap } from "./map.js";
import { Panel } from "./panel.js";
import { Patches, valuesAt } from "./patches.js";
import { readPlace, writePlace } from "./place.js";
import { NO_PREDICTION, loadPredictions } from "./predictions.js";
import { Review } from "./review.js";
import { scan } from "./scan.js";
import { RULES, spectra, suspicions } from "./suspicion.js";
import { BANDS, COLOURINGS, stretchFor } from "./stretch.js";
import { Timeline, fillLegend } from "./timeline.js";

const SIZES = [42, 63, 84, 105, 126, 168, 210]; // width of a patch in CSS pixels

class App {
  state = { sample: null, obs: null, colouring: "true", sort: "", filters: EMPTY, panel: true };
  passing = [];
  view = null; // the sample that is drawn
  turn = 0; // of the sample that is being read
  busy = 0; // works that data-ready waits for
  moved = false; // whether the user has gone to another sample: only then is the next one read ahead

  constructor(store, predictions) {
    this.store = store;
    this.review = new Review(store.digest);
    this.list = new SampleList(byId("list"), (sample) => this.go(sample));
    this.patches = new Patches(byId("patches"), {
      pick: (row) => this.choose(row),
      hover: (row, pixel) => this.hover(row, pixel),
      leave: () => this.hover(null),
    });
    this.timeline = new Timeline(byId("timeline"), (row) => this.hover(row), (row) => row !== null && this.choose(row));
    makeControls(store, {
      unit: (name) => this.goUnit(store.unit(name)),
      filters: () => this.filter({ ...this.state.filters, ...readFilters() }),
      colouring: (name) => this.colour(name),
    });
    this.markMap = makeMap(store, (tile, units) => this.goUnit(this.#ofTile(units)));
    byId("store").textContent = storeWords(store);
    if (predictions) {
      this.panel = new Panel(predictions, {
        cell: (cell) => this.cell(cell),
        tile: (tile) => this.filter({ ...this.state.filters, tile }),
        month: (month) => this.filter({ ...this.state.filters, months: month === null ? [] : [month] }),
      });
      byId("predictions-button").hidden = false;
    }
    this.#buttons();
    this.#keys();
    addEventListener("popstate", () => this.arrive());
    addEventListener("storage", () => {
      this.review.refresh();
      this.#reviewed();
    });
  }

  /** Do a work that <body data-ready> waits for. */
  async #working(work) {
    this.busy++;
    document.body.dataset.ready = "false";
    try {
      await work();
    } finally {
      this.busy--;
      if (!this.busy) document.body.dataset.ready = "true";
    }
  }

  /** Show what the address asks for. */
  async arrive() {
    const asked = readPlace();
    if (!this.panel) asked.filters.cell = null; // nothing is predicted
    await this.#working(async () => {
      Object.assign(this.state, { colouring: asked.colouring, filters: asked.filters, sort: asked.sort, obs: asked.obs, panel: asked.panel });
      this.#openPanel();
      await this.#apply();
      const { sample, problem } = this.#find(asked);
      if (sample) {
        await this.show(sample, { obs: asked.obs });
        if (asked.obs === null && asked.filters.cell) this.#chooseMatch();
        return;
      }
      this.turn++;
      this.#clear();
      this.#alert(problem);
      this.#shown(null);
    });
    if (asked.sort && this.state.sample) await this.sort("suspicion");
  }

  #find({ unit, sample, row }) {
    if (unit === null && sample === null) {
      const first = this.passing.find((one) => one.size > 0) ?? this.passing[0] ?? this.store.samples[0];
      return first ? { sample: first } : { problem: "The store has no samples." };
    }
    const home = unit === null ? null : this.store.unit(unit);
    if (unit !== null && !home) return { problem: `There is no unit ${unit}. The store has ${this.store.units.map((one) => one.name).join(", ")}.` };
    const rows = home ? home.rows() : this.store.samples;
    const found = rows.filter((one) => sample === null || one.localid === sample);
    const chosen = (home && row !== null ? found.find((one) => one.row - home.first === row) : null) ?? found[0];
    return chosen ? { sample: chosen } : { problem: `There is no sample ${sample} in ${unit ?? "the store"}.` };
  }

  /** Read and draw a sample. */
  show(sample, options = {}) {
    return this.#working(() => this.#show(sample, options));
  }

  async #show(sample, { obs = null, push = false, focus = false }) {
    const turn = ++this.turn;
    this.state.sample = sample;
    this.state.obs = obs;
    writePlace(this.state, push);
    writeControls(this.state);
    this.list.mark(sample);
    this.markMap(sample.unit);
    this.#title(sample);
    try {
      const view = await this.#read(sample);
      if (turn !== this.turn) return;
      this.#draw(view, obs, focus);
    } catch (error) {
      if (turn !== this.turn) return;
      this.#clear();
      this.#alert(tablesWords(sample.unit, error));
    }
    this.#shown(sample);
  }

  async #read(sample) {
    const { unit, start, size } = sample;
    const { label, time } = await unit.open();
    const { images, problems } = await unit.images(start, start + size);
    const rows = [...Array(size).keys()];
    const labels = rows.map((row) => unit.labelOf(label, start + row));
    const readable = problems.map((one) => one === null);
    const seen = rows.filter((row) => readable[row]);
    const spectrum = spectra(images, size);
    return {
      sample, unit, start, images, problems, labels, readable, spectrum, label,
      days: time, // of the whole unit
      time: time.subarray(start, start + size),
      stretch: seen.length ? stretchFor(images, seen, rows.map((row) => unit.isClear(label, start + row))) : null,
      suspicions: suspicions(spectrum, labels, readable),
    };
  }

  #draw(view, obs, focus) {
    this.view = { ...view, colouring: this.state.colouring };
    this.#clearMessage();
    byId("facts").textContent = datesWords(view.time);
    this.patches.show(this.view);
    this.timeline.show(this.view);
    this.#dim();
    this.#reviewed();
    const broken = view.problems.filter(Boolean);
    if (broken.length) {
      this.#note(`${plural(broken.length, "date")} of ${view.labels.length} cannot be read. ${sentence(broken[0].message)} The places are named below; s2ct verify store checks the whole store.`);
    } else if (!view.labels.length) this.#note("This sample has no dates.");
    const row = obs === null ? null : obs - view.start;
    const known = row !== null && row >= 0 && row < view.labels.length;
    if (row !== null && !known) this.#note(`Observation ${obs} is not one of this sample.`);
    byId("patches").scrollTop = 0;
    this.choose(known ? row : null, { focus });
  }

  #shown(sample) {
    const { dataset } = document.body;
    dataset.unit = sample?.unit.name ?? "";
    dataset.sample = sample?.localid ?? "";
    if (this.moved && sample) this.#readAhead(sample);
  }

  #readAhead(sample) {
    const at = this.passing.indexOf(sample);
    const next = this.passing[at + (this.direction ?? 1)];
    if (at < 0 || !next) return;
    next.unit.images(next.start, next.start + next.size).catch(() => {}); // it is reported when it is shown
  }

  #title(sample) {
    byId("title").textContent = `${sample.unit.name} · sample ${sample.localid}`;
    byId("facts").textContent = plural(sample.size, "date");
    document.title = `${sample.localid} · ${sample.unit.name} · s2ct view`;
  }

  #clear() {
    this.view = null;
    this.patches.show(null);
    this.timeline.show(null);
    byId("info").textContent = "";
  }

  #alert(text) {
    byId("message").replaceChildren(make("p", { class: "alert", role: "alert", text }));
  }

  #note(text) {
    byId("message").replaceChildren(make("p", { class: "note", role: "status", text }));
  }

  /** Say something about the whole page, which stays. */
  warn(text) {
    byId("warning").replaceChildren(make("p", { class: "note", role: "status", text }));
  }

  #clearMessage() {
    byId("message").replaceChildren();
  }

  // Moving

  go(sample, options = {}) {
    if (!sample) return;
    byId("side").classList.remove("open"); // on a phone, where it covers the dates
    byId("samples-button").setAttribute("aria-expanded", "false");
    this.moved = true;
    this.show(sample, { push: true, ...options });
  }

  goUnit(unit) {
    if (!unit) return;
    if (this.state.sort) this.#unsort();
    this.go(this.passing.find((one) => one.unit === unit) ?? unit.rows()[0]);
  }

  /** The unit of a tile to go to: one that passes, and another than the one that is shown. */
  #ofTile(units) {
    const passing = units.filter((unit) => this.passing.some((one) => one.unit === unit));
    const from = passing.length ? passing : units;
    return from[(from.indexOf(this.state.sample?.unit) + 1) % from.length];
  }

  stepSample(by) {
    this.direction = by;
    const at = this.passing.indexOf(this.state.sample);
    const after = at >= 0 ? at + by : this.passing.findIndex((one) => one.row > (this.state.sample?.row ?? -1)) - (by < 0 ? 1 : 0);
    this.go(this.passing[after]);
  }

  stepUnit(by) {
    this.goUnit(this.store.units[this.store.units.indexOf(this.state.sample?.unit) + by]);
  }

  /** Choose a date of the sample by its place; null for none. */
  choose(row, { focus = true } = {}) {
    const { view, state } = this;
    state.obs = row === null || !view ? null : view.start + row;
    writePlace(state, false);
    this.patches.choose(row, focus);
    this.hover(null);
    const entry = state.obs === null ? null : this.review.get(view.unit.name, state.obs);
    byId("note").value = entry?.note ?? "";
    byId("suggest").value = entry?.suggested ?? "";
    for (const id of ["note", "flag", "suggest"]) byId(id).disabled = state.obs === null;
  }

  step(by) {
    if (!this.view?.labels.length) return;
    const last = this.view.labels.length - 1;
    const from = this.state.obs === null ? (by > 0 ? -1 : last + 1) : this.state.obs - this.view.start;
    this.choose(Math.min(last, Math.max(0, from + by)));
  }

  /** Go to the next sample that matches the filters, and to its first date that does. */
  async nextMatch() {
    const at = this.passing.findIndex((one) => one.row > (this.state.sample?.row ?? -1));
    const next = this.state.sort ? this.passing[this.passing.indexOf(this.state.sample) + 1] : this.passing[at];
    const sample = next ?? this.passing[0];
    if (!sample) return;
    this.moved = true;
    await this.show(sample, { push: true });
    if (this.view?.sample !== sample || isEmpty(this.state.filters)) return;
    const row = this.view.labels.findIndex((_, i) => this.#matches(i));
    if (row >= 0) this.choose(row);
  }

  // What is shown

  async filter(filters) {
    this.state.filters = filters;
    await this.#working(async () => {
      await this.#apply();
      writePlace(this.state, false);
      this.#dim();
    });
    if (this.state.sort) await this.sort("suspicion");
  }

  /** Show the dates of a cell of the matrix: those of the sample that is shown, or else of the first that has some. */
  async cell(cell) {
    await this.filter({ ...this.state.filters, cell });
    if (cell === null || !this.passing.length) return;
    if (!this.passing.includes(this.state.sample)) {
      this.moved = true;
      await this.show(this.passing[0], { push: true });
    }
    this.#chooseMatch();
  }

  /** Choose the first date that matches the filters; the keyboard stays where it is. */
  #chooseMatch() {
    const row = this.view?.labels.findIndex((_, i) => this.#matches(i)) ?? -1;
    if (row >= 0) this.choose(row, { focus: false });
  }

  togglePanel() {
    if (!this.panel) return;
    this.state.panel = !this.panelOpen;
    this.panelOpen = this.state.panel;
    writePlace(this.state, false);
    this.#drawPanel();
  }

  /** On a phone the panel covers the dates, so it waits for its button. */
  #openPanel() {
    this.panelOpen = this.state.panel && !matchMedia("(max-width: 700px)").matches;
    this.#drawPanel();
  }

  #drawPanel() {
    const open = Boolean(this.panel && this.panelOpen);
    document.body.classList.toggle("with-predictions", open);
    byId("predictions").hidden = !open;
    byId("predictions-button").setAttribute("aria-expanded", String(open));
  }

  async #apply() {
    writeControls(this.state);
    this.panel?.show(this.state.filters);
    byId("passing").textContent = "Filtering …";
    const turn = (this.filterTurn = (this.filterTurn ?? 0) + 1);
    const { samples, failed } = await select(this.store, this.state.filters);
    if (turn !== this.filterTurn) return;
    this.passing = samples;
    document.body.dataset.samples = samples.length;
    this.list.show(samples);
    this.list.mark(this.state.sample);
    const lacks = failed.map(([unit, error]) => ` ${tablesWords(unit, error)}`).join("");
    byId("passing").textContent = `${count(samples.length)} of ${plural(this.store.samples.length, "sample")}${isEmpty(this.state.filters) ? "" : " match"}.${lacks}`;
  }

  #matches(row) {
    const { view } = this;
    return matches(this.state.filters, view.unit, view.label, view.days, view.start + row);
  }

  #dim() {
    if (this.view) this.patches.dim((row) => this.#matches(row));
  }

  colour(name) {
    this.state.colouring = name;
    writePlace(this.state, false);
    writeControls(this.state);
    if (!this.view) return;
    this.view.colouring = name;
    this.patches.repaint();
  }

  resize(by) {
    const now = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--size"));
    const at = SIZES.findIndex((size) => size >= now);
    const size = SIZES[Math.min(SIZES.length - 1, Math.max(0, at + by))];
    document.documentElement.style.setProperty("--size", `${size}px`);
  }

  /** Point at a date, and say its values: at a pixel, or the mean of the centre. null: the chosen date. */
  async hover(row, pixel = null) {
    const { view } = this;
    this.patches.point(row);
    const shown = row ?? (this.state.obs === null || !view ? null : this.state.obs - view.start);
    this.timeline.point(shown);
    if (!view || shown === null) {
      byId("info").textContent = view ? "Point at a patch, or press an arrow key, to see its values." : "";
      return;
    }
    const turn = (this.infoTurn = (this.infoTurn ?? 0) + 1);
    const words = infoWords(view, shown, pixel);
    byId("info").textContent = words;
    const obs = view.start + shown;
    try {
      const [example, position, weight] = await Promise.all(["example", "position", "weight"].map((name) => view.unit.table(name)));
      if (turn !== this.infoTurn || view !== this.view) return;
      const given = Number.isNaN(weight[obs]) ? "no weight" : `weight ${Number(weight[obs].toPrecision(4))}`;
      byId("info").textContent = `${words} · ${given} · example ${example[obs]}, position ${position[obs]}`;
    } catch (error) {
      if (view !== this.view) return;
      this.#clear();
      this.#alert(tablesWords(view.unit, error));
    }
  }

  // Suspicion

  async sort(by) {
    this.state.sort = by;
    writePlace(this.state, false);
    writeControls(this.state);
    if (!by) {
      await this.#apply();
      return;
    }
    const unit = this.state.sample?.unit;
    if (!unit) return;
    const samples = this.passing.filter((one) => one.unit === unit);
    const turn = (this.filterTurn = (this.filterTurn ?? 0) + 1);
    const { points, failed } = await scan(samples, (done) => {
      if (turn === this.filterTurn) byId("passing").textContent = `Reading ${unit.name}: ${done} of ${plural(samples.length, "sample")} …`;
      return turn === this.filterTurn;
    });
    if (turn !== this.filterTurn) return;
    this.passing = [...samples].sort((a, b) => points.get(b) - points.get(a) || a.row - b.row);
    this.list.show(this.passing, (sample) => (points.get(sample) ? `! ${points.get(sample)}` : ""));
    this.list.mark(this.state.sample);
    const lacks = failed ? ` ${plural(failed, "date")} cannot be read.` : "";
    byId("passing").textContent = `${plural(this.passing.length, "sample")} of ${unit.name}, the most suspicious first.${lacks}`;
  }

  #unsort() {
    this.state.sort = "";
    writeControls(this.state);
    this.#apply();
  }

  // Review

  #about(row) {
    const { view } = this;
    const day = view.time[row];
    return {
      unit: view.unit.name, localid: view.sample.localid, obs: view.start + row,
      date: day === NO_DAY ? "" : isoDay(day), label: view.labels[row],
    };
  }

  #judge(change, goOn) {
    if (!this.view || this.state.obs === null) {
      this.#say("Choose a date first, with the arrow keys.");
      return;
    }
    const row = this.state.obs - this.view.start;
    const kept = this.review.set(this.#about(row), change(this.review.get(this.view.unit.name, this.state.obs)));
    this.#reviewed();
    if (!kept) this.#say("The browser does not keep the review: save it as a file before you leave.");
    if (goOn) this.step(1);
  }

  #reviewed() {
    const { view, review } = this;
    if (view) {
      this.patches.review((row) => {
        const entry = review.get(view.unit.name, view.start + row);
        if (!entry) return "";
        const suggested = entry.suggested === null ? "" : `${classOf(entry.suggested).mark} ${entry.suggested}`;
        return [suggested, entry.flag ? "⚑" : "", entry.note ? "✎" : ""].filter(Boolean).join(" ");
      });
    }
    this.#say(review.entries.size ? `${plural(review.entries.size, "date")} reviewed` : "");
  }

  #say(text) {
    byId("reviewed").textContent = text;
  }

  #save(name, type, text) {
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  async #load(file) {
    try {
      const read = this.review.load(await file.text());
      this.#reviewed();
      this.#say(`${plural(read, "row")} loaded from ${file.name}.`);
    } catch (error) {
      this.#say(`${file.name} is not loaded: ${error.message}.`);
    }
  }

  // Buttons and keys

  #buttons() {
    const on = (id, type, act) => byId(id).addEventListener(type, act);
    on("help-button", "click", () => byId("help").showModal());
    on("samples-button", "click", () => {
      const open = byId("side").classList.toggle("open");
      byId("samples-button").setAttribute("aria-expanded", String(open));
    });
    on("before", "click", () => this.stepSample(-1));
    on("after", "click", () => this.stepSample(1));
    on("next-match", "click", () => this.nextMatch());
    on("clear-filters", "click", () => this.filter(EMPTY));
    on("predictions-button", "click", () => this.togglePanel());
    on("close-predictions", "click", () => {
      this.togglePanel();
      byId("predictions-button").focus();
    });
    on("sort", "change", () => this.sort(byId("sort").value));
    on("smaller", "click", () => this.resize(-1));
    on("larger", "click", () => this.resize(1));
    const classes = CLASSES.map(({ name, mark }, value) => make("option", { value, text: `${mark} ${name}` }));
    byId("suggest").append(make("option", { value: "", text: "no other class" }), ...classes);
    on("suggest", "change", () => {
      const { value } = byId("suggest");
      this.#judge(() => ({ suggested: value === "" ? null : Number(value) }), false);
    });
    on("flag", "click", () => this.#judge((entry) => ({ flag: !entry?.flag }), false));
    on("note", "change", () => this.#judge(() => ({ note: byId("note").value }), false));
    on("save-csv", "click", () => this.#save("review.csv", "text/csv", this.review.csv()));
    on("save-json", "click", () => this.#save("review.json", "application/json", this.review.json()));
    on("load", "change", async () => {
      await this.#load(byId("load").files[0]);
      byId("load").value = "";
    });
  }

  #keys() {
    fillHelp(Object.values(RULES));
    fillLegend(byId("legend"));
    const colours = Object.keys(COLOURINGS);
    listen({
      step: (by) => this.step(by),
      sample: (by) => this.stepSample(by),
      unit: (by) => this.stepUnit(by),
      next: () => this.nextMatch(),
      colour: () => this.colour(colours[(colours.indexOf(this.state.colouring) + 1) % colours.length]),
      size: (by) => this.resize(by),
      suggest: (number) => this.#judge((entry) => ({ suggested: entry?.suggested === number ? null : number }), true),
      flag: () => this.#judge((entry) => ({ flag: !entry?.flag }), true),
      note: () => byId("note").focus(),
      undo: () => {
        const place = this.review.undo();
        this.#reviewed();
        const row = place && this.view ? this.view.labels.findIndex((_, i) => place === `${this.view.unit.name} ${this.view.start + i}`) : -1;
        if (row >= 0) this.choose(row);
      },
      sort: () => this.sort(this.state.sort ? "" : "suspicion"),
      filters: () => {
        byId("side").classList.add("open");
        byId("unit").focus();
      },
      panel: () => this.togglePanel(),
      help: () => byId("help").showModal(),
    });
  }
}

function datesWords(time) {
  const days = time.filter((day) => day !== NO_DAY);
  const span = days.length ? `, ${isoDay(days[0])} to ${isoDay(days.at(-1))}` : "";
  return `${plural(time.length, "date")}${span}`;
}

function infoWords(view, row, pixel) {
  const day = view.time[row];
  const parts = [day === NO_DAY ? "no date" : isoDay(day), classOf(view.labels[row]).name];
  if (!view.readable[row]) parts.push("no pixels");
  else {
    const values = pixel
      ? valuesAt(view.images, row, pixel)
      : BANDS.map((_, band) => Math.round(view.spectrum[row * BANDS.length + band]));
    parts.push(`${pixel ? `pixel ${pixel.join(", ")}` : "centre"}: ${BANDS.map((band, i) => `${band} ${values[i]}`).join("  ")}`);
  }
  const prediction = view.unit.predictions?.[view.start + row] ?? NO_PREDICTION;
  if (prediction !== NO_PREDICTION) parts.splice(2, 0, `predicted ${classOf(prediction).name}`);
  parts.push(`row ${view.start + row}`, ...view.suspicions[row].map((rule) => `suspicious: ${RULES[rule].title}`));
  return parts.join(" · ");
}

function storeWords({ attributes, units, samples, digest }) {
  const lacks = [
    attributes.missing_units ? `without ${attributes.missing_units}` : "",
    attributes.refused_sources ? `refused sources: ${attributes.refused_sources}` : "",
    attributes.salvaged_units ? `salvaged, with gaps: ${attributes.salvaged_units}` : "",
  ].filter(Boolean);
  const state = attributes.state === "partial" ? ` · partial: ${lacks.join("; ")}` : "";
  return `${plural(units.length, "unit")}, ${plural(samples.length, "sample")}${state} · ${digest.slice(0, 19)}`;
}

function tablesWords(unit, error) {
  const file = error instanceof Unreadable && error.file !== unit.name ? ` (${error.file})` : "";
  return `The tables of ${unit.name} cannot be read${file}: ${error.message}. s2ct verify store checks the whole store.`;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

async function readPredictions(store) {
  const name = document.querySelector("meta[name=s2ct-predictions]").content;
  if (!name) return {};
  try {
    return { predictions: await loadPredictions(new URL(name, location.href), store) };
  } catch (error) {
    return { problem: `The predictions cannot be shown: ${error.message}.` };
  }
}

async function start() {
  const base = new URL(document.querySelector("meta[name=s2ct-store]").content, location.href);
  try {
    const store = await Store.open(base);
    const { predictions, problem } = await readPredictions(store);
    const app = new App(store, predictions);
    if (problem) app.warn(problem);
    await app.arrive();
  } catch (error) {
    const place = error instanceof Unreadable ? `${error.file}: ` : "";
    byId("store").textContent = "";
    byId("message").replaceChildren(
      make("p", { class: "alert", role: "alert", text: `The store cannot be shown. ${place}${error.message}.` }),
    );
    if (!(error instanceof Unreadable)) console.error(error);
    document.body.dataset.samples ??= "0";
    document.body.dataset.ready = "true";
  }
}

start();
