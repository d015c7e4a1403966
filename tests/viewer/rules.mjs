// node rules.mjs FOLDER: reads images.bin (uint16) and labels.json, writes what the page makes of them.
import { readFileSync, writeFileSync } from "node:fs";
import { CLASSES } from "../../web/src/classes.js";
import { crc32c } from "../../web/src/crc32c.js";
import { COLOURINGS, paint, stretchFor } from "../../web/src/stretch.js";
import { RULES, spectra, suspicions } from "../../web/src/suspicion.js";

const [folder] = process.argv.slice(2);
const bytes = new Uint8Array(readFileSync(`${folder}/images.bin`));
const images = new Uint16Array(bytes.buffer);
const labels = JSON.parse(readFileSync(`${folder}/labels.json`, "utf8"));
const rows = [...labels.keys()];
const stretch = stretchFor(images, rows, labels.map((label) => label === 0));
const painted = ["true", "false"].map((colouring) => rows.map((row) => {
  const out = new Uint8ClampedArray(42 * 42 * 4);
  paint(images, row, stretch, colouring, out);
  return new Uint8Array(out.buffer);
}));
writeFileSync(`${folder}/painted.bin`, new Uint8Array(Buffer.concat(painted.flat())));
const spectrum = spectra(images, labels.length);
console.log(JSON.stringify({
  stretch: stretch.map(({ low, high, top }) => [low, high, top]),
  spectrum: [...spectrum],
  suspicions: suspicions(spectrum, labels, labels.map(() => true)),
  points: Object.fromEntries(Object.entries(RULES).map(([name, rule]) => [name, rule.points])),
  classes: CLASSES,
  crc: crc32c(bytes.subarray(1)),
  colourings: Object.keys(COLOURINGS),
}));
