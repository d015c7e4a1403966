// Predictions of a model, as s2ct_convert/viewer/predictions.py writes them: a class for each observation, and counts.

import { CLASSES } from "./classes.js";

export const NO_PREDICTION = -128;

/** Read predictions.json, and give each unit its `predictions`. Throws an Error in a sentence. */
export async function loadPredictions(url, store) {
  const answer = await fetch(url, { credentials: "same-origin", redirect: "error" });
  if (!answer.ok) throw new Error(`the server answers with status ${answer.status}`);
  const document = await answer.json();
  if (document.format !== 1) throw new Error("they have a form that this page does not know");
  if (document.store_digest !== store.digest) throw new Error("they are of another store; run s2ct view --predictions again");
  const counts = new Map();
  for (const [name, one] of Object.entries(document.units)) {
    const unit = store.unit(name);
    const values = Int8Array.from(atob(one.predictions), (char) => char.charCodeAt(0));
    if (values.length !== unit?.observations) throw new Error(`they do not fit the unit ${name}`);
    unit.predictions = values;
    counts.set(unit, one.counts);
  }
  return new Predictions(document, counts);
}

export class Predictions {
  constructor({ file, rows, used, note }, counts) {
    Object.assign(this, { file, rows, used, note });
    this.units = counts; // of each unit: rows of month, label, prediction, number
  }

  /** The number of each pair, as a Map from label to an array by prediction. The filters are split, tile and months. */
  matrix({ split = "", tile = "", months = [] }) {
    const found = new Map([...CLASSES.keys()].map((label) => [label, new Array(CLASSES.length).fill(0)]));
    for (const [unit, rows] of this.units) {
      if ((split && unit.split !== split) || (tile && unit.tile !== tile)) continue;
      for (const [month, label, prediction, number] of rows) {
        if (months.length && !months.includes(month)) continue;
        if (!found.has(label)) found.set(label, new Array(CLASSES.length).fill(0));
        found.get(label)[prediction] += number;
      }
    }
    return found;
  }

  get tiles() {
    return [...new Set([...this.units.keys()].map((unit) => unit.tile))].sort();
  }
}

/** All observations of a matrix, and those where the prediction is the label. */
export function agreement(matrix) {
  let [all, same] = [0, 0];
  for (const [label, row] of matrix) {
    all += row.reduce((sum, one) => sum + one, 0);
    same += row[label] ?? 0;
  }
  return { all, same };
}
