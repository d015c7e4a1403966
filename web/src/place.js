// The state of the page in its address: ?unit=train/50SMG&sample=7&obs=12 and what is filtered.

import { CLASSES, classNumber, classOf } from "./classes.js";
import { EMPTY, WRONG } from "./filters.js";
import { COLOURINGS } from "./stretch.js";

/** What the address asks for. Words that mean nothing are left out. */
export function readPlace() {
  const query = new URLSearchParams(location.search);
  const words = (name) => (query.get(name) ?? "").split(",").filter(Boolean);
  const colouring = query.get("colour");
  return {
    unit: query.get("unit"),
    sample: query.get("sample"),
    row: query.get("row") === null ? null : Number(query.get("row")),
    obs: query.get("obs") === null ? null : Number(query.get("obs")),
    colouring: colouring in COLOURINGS ? colouring : "true",
    sort: query.get("sort") === "suspicion" ? "suspicion" : "",
    panel: query.get("panel") !== "closed",
    filters: {
      ...EMPTY,
      split: query.get("split") ?? "",
      tile: query.get("tile") ?? "",
      cell: readCell(query.get("cell")),
      classes: words("label").map(classNumber).filter((one) => one !== null),
      months: words("month").map(Number).filter((one) => one >= 1 && one <= 12),
    },
  };
}

/** Put the state into the address. `push`: as a new step that the browser's Back leaves. */
export function writePlace({ sample, obs, colouring, sort, filters, panel }, push) {
  const query = [];
  const add = (name, value) => query.push(`${name}=${encodeURIComponent(value).replaceAll("%2F", "/").replaceAll("%2C", ",").replaceAll("%3A", ":")}`);
  if (sample) {
    add("unit", sample.unit.name);
    add("sample", sample.localid);
    // Samples without an id all have -1; their row in the unit tells them apart.
    const same = sample.unit.rows().filter((one) => one.localid === sample.localid);
    if (same.length > 1) add("row", sample.row - sample.unit.first);
  }
  if (obs !== null) add("obs", obs);
  if (colouring !== "true") add("colour", colouring);
  if (filters.split) add("split", filters.split);
  if (filters.tile) add("tile", filters.tile);
  if (filters.cell === WRONG) add("cell", WRONG);
  else if (filters.cell) add("cell", `${classWord(filters.cell.label)}:${classWord(filters.cell.prediction)}`);
  if (filters.classes.length) add("label", filters.classes.map(classWord).join(","));
  if (filters.months.length) add("month", filters.months.join(","));
  if (sort) add("sort", sort);
  if (!panel) add("panel", "closed");
  const address = query.length ? `?${query.join("&")}` : location.pathname;
  if (push) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

function readCell(text) {
  if (text === null || text === WRONG) return text;
  const [label, prediction, ...rest] = text.split(":").map(classNumber);
  return label === null || (prediction ?? null) === null || rest.length ? null : { label, prediction };
}

function classWord(number) {
  return number in CLASSES ? classOf(number).name.replaceAll(" ", "_") : String(number);
}
