// A store: its units, its index, the tables of a unit, the images of a sample. All of it is checked when it is read.

import * as zarr from "zarrita";
import "./codecs.js";
import { CLASSES, CLEAR } from "./classes.js";
import { crc32c } from "./crc32c.js";
import { HttpStore, Unreadable } from "./http.js";
import { BANDS, SIDE, VALUES } from "./stretch.js";

const LAYOUTS = [1, 2];
const DOI = "https://doi.org/10.5281/zenodo.10613705";
export const NO_DAY = -(2 ** 31);
const CHUNK_CACHE_BYTES = 96 * 2 ** 20;

export class Store {
  /** Open the store below `base` (a URL that ends in a slash). Reads zarr.json and the index. */
  static async open(base) {
    const files = withCoalescing(new HttpStore(base));
    const root = parse(await files.get("/zarr.json"));
    check(root);
    const store = new Store(files, root);
    await store.#readIndex();
    return store;
  }

  constructor(files, root) {
    this.attributes = root.attributes;
    this.digest = String(root.attributes.content_digest);
    this.nodes = root.consolidated_metadata.metadata;
    this.chunks = new Chunks(CHUNK_CACHE_BYTES);
    this.files = files;
    const names = Object.keys(this.nodes).filter((name) => /^[a-z]+\/[A-Z0-9]+$/.test(name));
    this.units = names
      .map((name) => new Unit(this, name))
      .sort((a, b) => compare(a.split, b.split) || compare(a.tile, b.tile));
    if (this.units.length !== root.attributes.number_of_units) {
      const found = `it names ${root.attributes.number_of_units} units and describes ${this.units.length}`;
      throw new Unreadable(`the root of the store is damaged: ${found}`, "zarr.json");
    }
    let first = 0;
    for (const unit of this.units) {
      unit.first = first;
      first += unit.samples;
    }
  }

  /** A small array, which is one chunk, as [values, shape]. */
  async array(name) {
    const node = this.nodes[name];
    if (node?.node_type !== "array") throw new Unreadable(`the array ${name} is not in the store`, "zarr.json");
    try {
      const array = new zarr.Array(this.files, `/${name}`, node);
      if (array.shape.includes(0)) return [new Int32Array(0), array.shape]; // it has no file
      if (String(array.chunks) !== String(array.shape)) throw new Error("the array is not one chunk, as s2ct convert writes it");
      const { data } = await array.getChunk(array.shape.map(() => 0));
      // zarrita does not compare the length: a file of another unit would pass.
      if (data.length !== product(array.shape)) throw new Error("the chunk has another size than its metadata say");
      return [data, array.shape];
    } catch (error) {
      throw asUnreadable(error, `${name}/c`);
    }
  }

  // `split` and `tile` are not read: the index is sorted by both, and each unit knows the number of its samples.
  async #readIndex() {
    const names = ["localid", "row_start", "row_size", "label_count"].map((name) => `index/${name}`);
    const [[localid], [start], [size], [count, shape]] = await Promise.all(names.map((name) => this.array(name)));
    const last = this.units.at(-1);
    if (localid.length !== (last ? last.first + last.samples : 0) || shape[1] !== CLASSES.length) {
      throw new Unreadable("the index does not fit the units", "index");
    }
    this.samples = Array.from(localid, (id, row) => ({
      row,
      localid: String(id),
      start: Number(start[row]),
      size: size[row],
      counts: count.subarray(row * CLASSES.length, (row + 1) * CLASSES.length),
    }));
    for (const unit of this.units) {
      for (const sample of unit.rows()) sample.unit = unit;
    }
  }

  unit(name) {
    return this.units.find((unit) => unit.name === name);
  }
}

/** One split of one tile. */
class Unit {
  #tables = new Map();
  #reading = new Map(); // chunks on their way, by number
  #checked;
  #image;

  constructor(store, name) {
    this.store = store;
    this.name = name;
    [this.split, this.tile] = name.split("/");
    this.samples = store.nodes[`${name}/localid`]?.shape?.[0] ?? 0;
    this.observations = store.nodes[`${name}/image`]?.shape?.[0] ?? 0;
    this.first = 0; // row in the index
  }

  /** Its samples, in the order of the index. */
  rows() {
    return this.store.samples.slice(this.first, this.first + this.samples);
  }

  /** A column, read once: values of one observation each, except labels of k x k parts. */
  table(name) {
    if (!this.#tables.has(name)) {
      const reading = this.store.array(`${this.name}/${name}`);
      reading.catch(() => this.#tables.delete(name)); // the next question asks the server again
      this.#tables.set(name, reading);
    }
    return this.#tables.get(name).then(([data]) => data);
  }

  /** What the page needs of the unit: labels, days and checksums, once they fit the index. */
  open() {
    this.#checked ??= this.#open().catch((error) => {
      this.#checked = undefined;
      throw error;
    });
    return this.#checked;
  }

  async #open() {
    const names = ["localid", "row_start", "label", "time", "image_crc32c"];
    const [localid, start, label, time, crc] = await Promise.all(names.map((name) => this.table(name)));
    const parts = this.labelParts;
    const fits =
      label.length === this.observations * parts &&
      time.length === this.observations &&
      crc.length === this.observations &&
      Number(start[this.samples]) === this.observations &&
      this.rows().every((sample, i) => sample.localid === String(localid[i]) && sample.start === Number(start[i]));
    if (!fits) throw new Unreadable("its tables do not fit the index", this.name);
    return { label, time, crc };
  }

  /** Labels of an observation: 1, or k x k. */
  get labelParts() {
    return product(this.store.nodes[`${this.name}/label`].shape.slice(1));
  }

  /** The label shown for observation `obs`: of k x k labels, the most common, and the lowest of those. */
  labelOf(label, obs) {
    const parts = this.labelParts;
    if (parts === 1) return label[obs];
    const counts = new Map();
    for (const one of label.subarray(obs * parts, (obs + 1) * parts)) counts.set(one, (counts.get(one) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0][0];
  }

  /** Whether an observation is clear, as s2ct_convert/pictures/stretch.py takes it. */
  isClear(label, obs) {
    const parts = this.labelParts;
    let clear = 0;
    for (let i = obs * parts; i < (obs + 1) * parts; i++) clear += label[i] === CLEAR;
    return parts === 1 ? clear === 1 : clear / parts > 0.5;
  }

  /** The pixels of observations [start, stop), and for each why it cannot be read, or null. */
  async images(start, stop) {
    const { crc } = await this.open();
    const images = new Uint16Array((stop - start) * VALUES);
    const problems = new Array(stop - start).fill(null);
    const array = this.#imageArray();
    const length = array.chunks[0];
    const numbers = [];
    for (let number = Math.floor(start / length); number * length < stop; number++) numbers.push(number);
    await Promise.all(
      numbers.map(async (number) => {
        const first = Math.max(start, number * length);
        const last = Math.min(stop, (number + 1) * length);
        const chunk = await this.#chunk(array, number);
        for (let obs = first; obs < last; obs++) {
          const values = chunk.data?.subarray((obs - number * length) * VALUES, (obs - number * length + 1) * VALUES);
          if (!values) problems[obs - start] = chunk.problem;
          else if (!isRight(chunk, obs - number * length, values, crc[obs])) {
            const why = "the pixels do not match their CRC-32C in image_crc32c";
            problems[obs - start] = new Unreadable(why, this.#place(number));
          } else images.set(values, (obs - start) * VALUES);
        }
      }),
    );
    return { images, problems };
  }

  /** A decoded chunk, or why there is none. Two samples that ask for it at the same time get the same answer. */
  #chunk(array, number) {
    const kept = this.store.chunks.get(`${this.name} ${number}`);
    if (kept) return kept;
    if (!this.#reading.has(number)) {
      this.#reading.set(number, this.#readChunk(array, number).finally(() => this.#reading.delete(number)));
    }
    return this.#reading.get(number);
  }

  async #readChunk(array, number) {
    try {
      const { data } = await array.getChunk([number, 0, 0, 0]);
      if (data.length !== array.chunks[0] * VALUES) throw new Error("the chunk has another size than its metadata say");
      const chunk = { data, right: new Uint8Array(array.chunks[0]) };
      this.store.chunks.set(`${this.name} ${number}`, chunk);
      return chunk;
    } catch (error) {
      return { problem: asUnreadable(error, this.#place(number)) };
    }
  }

  #place(number) {
    const node = this.store.nodes[`${this.name}/image`];
    const { configuration } = node.chunk_grid;
    const inShard = configuration.chunk_shape[0] / this.#imageArray().chunks[0];
    return `image/c/${Math.floor(number / inShard)}/0/0/0, chunk ${number % inShard}`;
  }

  #imageArray() {
    if (this.#image) return this.#image;
    const node = this.store.nodes[`${this.name}/image`];
    const [, ...patch] = node?.shape ?? [];
    if (node?.data_type !== "uint16" || String(patch) !== String([BANDS.length, SIDE, SIDE])) {
      throw new Unreadable(`image is not ${BANDS.length} x ${SIDE} x ${SIDE} values of uint16`, `${this.name}/image`);
    }
    this.#image = new zarr.Array(this.store.files, `/${this.name}/image`, node);
    return this.#image;
  }
}

/** Decoded chunks, the least recently used dropped first. */
class Chunks {
  #kept = new Map();
  #bytes = 0;

  constructor(most) {
    this.most = most;
  }

  get(key) {
    const chunk = this.#kept.get(key);
    if (chunk) {
      this.#kept.delete(key);
      this.#kept.set(key, chunk);
    }
    return chunk;
  }

  set(key, chunk) {
    this.#kept.set(key, chunk);
    this.#bytes += chunk.data.byteLength;
    for (const [oldest, { data }] of this.#kept) {
      if (this.#bytes <= this.most) break;
      this.#kept.delete(oldest);
      this.#bytes -= data.byteLength;
    }
  }
}

/** Whether pixels have their checksum. Each is computed once while the chunk is kept. */
function isRight(chunk, place, values, expected) {
  const RIGHT = 1;
  if (chunk.right[place] !== RIGHT) {
    if (crc32c(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)) !== expected) return false;
    chunk.right[place] = RIGHT;
  }
  return true;
}

function withCoalescing(files) {
  return zarr.withRangeCoalescing(files);
}

function parse(bytes) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Unreadable("it is not valid JSON", "zarr.json");
  }
}

function check(root) {
  const attributes = root?.attributes ?? {};
  const refuse = (message) => {
    throw new Unreadable(message, "zarr.json");
  };
  if (root?.zarr_format !== 3 || root.node_type !== "group" || !("s2ct_layout_version" in attributes)) {
    refuse("this is not a store of s2ct convert");
  }
  if (!LAYOUTS.includes(attributes.s2ct_layout_version)) {
    refuse(`the store has layout ${attributes.s2ct_layout_version}, which this page does not know; use the s2ct view of a newer version`);
  }
  if ("s2ct_dataset" in attributes) {
    refuse(`this page shows one data set, ${DOI}, and the store holds another: ${attributes.doi}`);
  }
  if (!["complete", "partial"].includes(attributes.state)) {
    refuse("the conversion of this store has not finished; run the command that made it again, it resumes");
  }
  if (!root.consolidated_metadata?.metadata) refuse("the root has no consolidated metadata; run s2ct verify store");
}

function asUnreadable(error, file) {
  for (let one = error; one; one = one.cause) {
    if (one instanceof Unreadable) return one;
    if (one.name === "AbortError") return one;
  }
  const cause = error.cause ?? error;
  if (error.name === "UnknownCodecError" || cause.name === "UnknownCodecError") {
    return new Unreadable(`${cause.message}; this page reads the codecs of s2ct convert`, file);
  }
  return new Unreadable(cause.message || String(cause), file);
}

function product(lengths) {
  return lengths.reduce((a, b) => a * b, 1);
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
