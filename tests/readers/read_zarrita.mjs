// Shapes and SHA-256 of arrays of a Zarr store as zarrita.js reads them.
// usage: node read_zarrita.mjs STORE '["train/50SMG/image", ...]'
import { createHash } from "node:crypto";
import * as zarr from "zarrita";
import { FileSystemStore } from "@zarrita/storage";

const [path, names] = process.argv.slice(2);
const root = zarr.root(new FileSystemStore(path));
const out = {};
for (const name of JSON.parse(names)) {
  const array = await zarr.open(root.resolve(name), { kind: "array" });
  const { data, shape } = await zarr.get(array);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  out[name] = [shape, createHash("sha256").update(bytes).digest("hex")];
}
console.log(JSON.stringify(out));
