// What a reviewer notes: a suggested class, a flag, a note. Kept in the browser, apart for each store (content digest).

import { NO_LABEL, classNumber } from "./classes.js";

const COLUMNS = ["unit", "localid", "obs", "date", "label", "suggested", "flag", "note", "store_digest"];

export class Review {
  constructor(digest) {
    this.digest = digest;
    this.key = `s2ct review ${digest}`;
    this.entries = new Map();
    this.undone = [];
    this.kept = true; // whether the browser keeps what is here
    this.refresh();
  }

  /** Take what the browser keeps: another tab of the same page may have changed it. */
  refresh() {
    if (!this.kept) return;
    try {
      const text = localStorage.getItem(this.key);
      if (text !== null) this.entries = new Map(JSON.parse(text).map((entry) => [place(entry), entry]));
    } catch {
      // The browser forbids it, or what it keeps is not ours.
    }
  }

  get(unit, obs) {
    return this.entries.get(place({ unit, obs }));
  }

  /** Change an entry: `about` is {unit, localid, obs, date, label}, `change` some of {suggested, flag, note}. */
  set(about, change) {
    this.refresh();
    const key = place(about);
    const before = this.entries.get(key);
    const entry = { suggested: null, flag: false, note: "", ...before, ...about, ...change };
    this.undone.push([key, before]);
    this.#put(key, entry.suggested === null && !entry.flag && !entry.note ? undefined : entry);
    return this.#keep();
  }

  /** Take back the last change; the entry's place, or null if there is none. */
  undo() {
    const last = this.undone.pop();
    if (!last) return null;
    const [key, before] = last;
    this.refresh();
    this.#put(key, before);
    this.#keep();
    return key;
  }

  #put(key, entry) {
    if (entry) this.entries.set(key, entry);
    else this.entries.delete(key);
  }

  /** Whether the browser keeps the review; it may have no room, or forbid it. */
  #keep() {
    try {
      localStorage.setItem(this.key, JSON.stringify([...this.entries.values()]));
      this.kept = true;
    } catch {
      this.kept = false;
    }
    return this.kept;
  }

  #sorted() {
    this.refresh();
    return [...this.entries.values()].sort((a, b) => (a.unit < b.unit ? -1 : a.unit > b.unit ? 1 : a.obs - b.obs));
  }

  json() {
    const rows = this.#sorted().map((entry) => Object.fromEntries(COLUMNS.map((name) => [name, this.#value(entry, name)])));
    return `${JSON.stringify(rows, null, 1)}\n`;
  }

  csv() {
    const rows = this.#sorted().map((entry) => COLUMNS.map((name) => quoted(this.#value(entry, name))).join(","));
    return [COLUMNS.join(","), ...rows].join("\r\n") + "\r\n";
  }

  #value(entry, name) {
    if (name === "store_digest") return this.digest;
    return entry[name] ?? null;
  }

  /** Add the entries of a file. Throws an Error in a sentence if it is none of ours, or of another store. */
  load(text) {
    const rows = text.trimStart().startsWith("[") ? JSON.parse(text) : fromCsv(text);
    const wrong = rows.find((row) => row?.store_digest !== this.digest);
    if (wrong !== undefined) throw new Error(`the review is of another store (${wrong?.store_digest ?? "no store_digest"})`);
    const read = rows.map(checked);
    this.refresh();
    this.undone = []; // taking an earlier change back would take a row of the file away
    for (const entry of read) this.#put(place(entry), entry);
    this.#keep();
    return read.length;
  }
}

function place({ unit, obs }) {
  return `${unit} ${obs}`;
}

function checked(row) {
  const number = (name, none) => {
    const value = row[name];
    if (value === null || value === undefined || value === "") return none;
    const found = typeof value === "number" ? value : classNumber(String(value));
    if (!Number.isInteger(found)) throw new Error(`${name} of a row is not a number: ${value}`);
    return found;
  };
  const suggested = number("suggested", null);
  if (suggested !== null && (suggested < NO_LABEL || suggested > 127)) throw new Error(`there is no class ${suggested}`);
  if (!/^[a-z]+\/[A-Z0-9]+$/.test(row.unit ?? "")) throw new Error(`a row has no unit: ${row.unit}`);
  const obs = number("obs", -1);
  if (obs < 0) throw new Error(`obs of a row is not a row of its unit: ${row.obs}`);
  const [date, flag, note] = ["date", "flag", "note"].map((name) => String(row[name] ?? ""));
  if (!/^(\d{4}-\d{2}-\d{2})?$/.test(date)) throw new Error(`date of a row is not like 2018-06-01: ${date}`);
  const flags = { "": false, false: false, true: true };
  const flagged = flags[flag.toLowerCase()]; // spreadsheets write TRUE
  if (flagged === undefined) throw new Error(`flag of a row is not true or false: ${flag}`);
  return {
    unit: row.unit, localid: String(row.localid), obs, date, label: number("label", NO_LABEL), suggested, flag: flagged, note,
  };
}

// A cell that begins like a formula is text in no spreadsheet; the apostrophe makes it text. A number is none. Text that
// has apostrophes there already gets one more, and loading takes one away.
const FORMULA = /^'*(?!-?\d+$)[=+@\t\r-]/;

function quoted(value) {
  if (value === null) return "";
  const text = String(value);
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function fromCsv(text) {
  const rows = [[""]];
  let inside = false;
  for (let i = 0; i < text.length; i++) {
    const row = rows.at(-1);
    const char = text[i];
    if (inside && char === '"' && text[i + 1] === '"') row[row.length - 1] += text[i++];
    else if (char === '"') inside = !inside;
    else if (!inside && char === ",") row.push("");
    else if (!inside && char === "\n") rows.push([""]);
    else if (inside || char !== "\r") row[row.length - 1] += char;
  }
  const [names, ...others] = rows.filter((row) => row.length > 1);
  if (!names?.includes("store_digest")) throw new Error("this is not a review: it has no column store_digest");
  return others.map((row) => Object.fromEntries(names.map((name, i) => [name, plain(row[i] ?? "")])));
}

function plain(cell) {
  return cell.startsWith("'") && FORMULA.test(cell) ? cell.slice(1) : cell;
}
