// Labels that deserve a second look. The rules and numbers are those of s2ct_convert/viewer/suspicion.py; a test compares.

import { CLEAR } from "./classes.js";
import { BANDS, PIXELS, SIDE, VALUES } from "./stretch.js";

const CENTRE = 6; // the labelled pixels: 6 x 6
const OPAQUE = 1;
const THIN = 2;
const BRIGHT = 2000; // a reflectance of 0.2, brighter than most ground
const ABOVE_CLEAR = 1.5; // times the median of the clear dates
const FLAT = 0.25; // spread of B2, B3, B4 over their mean
const ALIKE = 0.1; // of the clear median, in each band
const ALIKE_LEAST = 100; // values
const LEAST_CLEAR = 3; // dates that make a median

export const RULES = {
  bright: {
    points: 2,
    title: "clear, but bright and flat",
    text: `The label is clear. The mean of B2, B3 and B4 of the centre is above ${BRIGHT}, and above ${ABOVE_CLEAR} times its median over the clear dates. The three bands differ by less than ${FLAT * 100} % of that mean, as in clouds and snow.`,
  },
  like_clear: {
    points: 2,
    title: "cloud, but like the clear dates",
    text: `The label is opaque or thin cloud. Each band of the centre is within ${ALIKE * 100} % (or ${ALIKE_LEAST}) of its median over the clear dates, of which there are at least ${LEAST_CLEAR}.`,
  },
  alone: {
    points: 1,
    title: "unlike both neighbours",
    text: "The dates before and after have one label, and this date has another. Weather does that often, so this counts half.",
  },
};

/** Mean of the centre pixels of each band: Float64Array, n x 4. */
export function spectra(images, n) {
  const first = (SIDE - CENTRE) / 2;
  const out = new Float64Array(n * BANDS.length);
  for (let row = 0; row < n; row++) {
    for (let band = 0; band < BANDS.length; band++) {
      let sum = 0;
      for (let y = first; y < first + CENTRE; y++) {
        const start = row * VALUES + band * PIXELS + y * SIDE + first;
        for (let i = start; i < start + CENTRE; i++) sum += images[i];
      }
      out[row * BANDS.length + band] = sum / (CENTRE * CENTRE);
    }
  }
  return out;
}

/** For each observation the names of the rules that it meets. `readable`: which have pixels. */
export function suspicions(spectrum, labels, readable) {
  const n = labels.length;
  const value = (row, band) => spectrum[row * BANDS.length + band];
  const visible = (row) => (value(row, 0) + value(row, 1) + value(row, 2)) / 3;
  const clear = [...Array(n).keys()].filter((row) => labels[row] === CLEAR && readable[row]);
  const usual = clear.length ? median(clear.map(visible)) : 0;
  const medians = BANDS.map((_, band) => (clear.length ? median(clear.map((row) => value(row, band))) : 0));
  return Array.from(labels, (label, row) => {
    const found = [];
    if (readable[row] && label === CLEAR) {
      const mean = visible(row);
      const parts = [0, 1, 2].map((band) => value(row, band));
      const flat = Math.max(...parts) - Math.min(...parts) < FLAT * mean;
      if (mean > BRIGHT && mean > ABOVE_CLEAR * usual && flat) found.push("bright");
    }
    if (readable[row] && (label === OPAQUE || label === THIN) && clear.length >= LEAST_CLEAR) {
      const alike = medians.every((one, band) => Math.abs(value(row, band) - one) <= Math.max(ALIKE * one, ALIKE_LEAST));
      if (alike) found.push("like_clear");
    }
    if (row > 0 && row < n - 1) {
      const [before, after] = [labels[row - 1], labels[row + 1]];
      if (before === after && before !== label && before >= 0 && label >= 0) found.push("alone");
    }
    return found;
  });
}

/** The points of a list of rules. */
export function points(rules) {
  return rules.reduce((sum, rule) => sum + RULES[rule].points, 0);
}

function median(values) {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
