// What a reviewer notes: a suggested class, a flag, a note. Kept in the browser, apart for each store (content digest).

import { NO_LABEL, classNumber } from "./classes.js";

const COLUMNS = ["unit", "localid", "obs", "date", "label", "suggested", "flag", "note", "store_digest"];

export class Review {
  constructor(digest) {
    this.digest = digest;
    this.key = `s2ct review ${digest}`;
    this.entries = new Map();
    this.undone = [];
    try {
      for (const entry of JSON.parse(localStorage.getItem(this.key) ?? "[]")) this.entries.set(place(entry), entry);
    } catch {
      this.entries.clear();
    }
  }

  get(unit, obs) {
    return this.entries.get(place({ unit, obs }));
  }

  /** Change an entry: `about` is {unit, localid, obs, date, label}, `change` some of {suggested, flag, note}. */
  set(about, change) {
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
      return true;
    } catch {
      return false;
    }
  }

  #sorted() {
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
    const wrong = rows.find((row) => row.store_digest !== this.digest);
    if (wrong) throw new Error(`the review is of another store (${wrong.store_digest ?? "no store_digest"})`);
    const read = rows.map(checked);
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
  return {
    unit: row.unit, localid: String(row.localid), obs: number("obs", 0), date: row.date ?? "",
    label: number("label", NO_LABEL), suggested, flag: row.flag === true || row.flag === "true", note: row.note ?? "",
  };
}

// A cell that begins like a formula is text in no spreadsheet; the apostrophe makes it text.
function quoted(value) {
  if (value === null) return "";
  const text = String(value);
  const safe = /^[=+@\t\r]/.test(text) ? `'${text}` : text;
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
  return others.map((row) => Object.fromEntries(names.map((name, i) => [name, (row[i] ?? "").replace(/^'(?=[=+@\t\r])/, "")])));
}
