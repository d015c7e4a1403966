// node read.mjs STORE FOLDER ARRAY...: writes the values of each array in memory order to FOLDER/<n>.bin and
// prints [{"array", "dtype", "shape", "dimensions"}] as JSON. ARRAY may end in [first:last], a range of its first axis.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { FileSystemStore } from "@zarrita/storage";
import * as zarr from "zarrita";

const [store, folder, ...names] = process.argv.slice(2);
const root = zarr.root(new FileSystemStore(store));
const out = [];
for (const [n, name] of names.entries()) {
  const [, path, first, last] = name.match(/^(.*?)(?:\[(\d+):(\d+)\])?$/);
  const array = await zarr.open(root.resolve(path), { kind: "array" });
  const selection = first && [zarr.slice(Number(first), Number(last)), ...array.shape.slice(1).map(() => null)];
  const { data, shape } = await zarr.get(array, selection ?? null);
  writeFileSync(join(folder, `${n}.bin`), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  out.push({ array: name, dtype: array.dtype, shape, dimensions: array.dimensionNames });
}
console.log(JSON.stringify(out));
