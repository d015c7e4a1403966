// Which samples have an observation that matches: the same as store.select(split=..., tile=..., label=..., months=...),
// and those of a cell of the matrix of labels and predictions.

import { CLASSES } from "./classes.js";
import { NO_DAY } from "./data.js";
import { NO_PREDICTION } from "./predictions.js";

export const WRONG = "wrong"; // the cell of all predictions that are not the label
export const EMPTY = { split: "", tile: "", classes: [], months: [], cell: null };

export function isEmpty(filters) {
  return !filters.split && !filters.tile && !filters.classes.length && !filters.months.length && filters.cell === null;
}

/** Whether two cells are one: {label, prediction}, WRONG, or null. */
export function sameCell(one, other) {
  return one === other || (one?.label === other?.label && one?.prediction === other?.prediction && one !== WRONG && other !== WRONG && one !== null && other !== null);
}

function isIn(cell, unit, label, obs) {
  const prediction = unit.predictions?.[obs] ?? NO_PREDICTION;
  if (prediction === NO_PREDICTION) return false;
  const one = unit.labelOf(label, obs);
  return cell === WRONG ? prediction !== one : prediction === cell.prediction && one === cell.label;
}

/** The month of a day since 1970-01-01, from 1 to 12; 0 without a day. */
export function monthOf(day) {
  return day === NO_DAY ? 0 : new Date(day * 86400000).getUTCMonth() + 1;
}

/** Whether observation `obs` matches; split and tile are those of its unit. */
export function matches(filters, unit, label, time, obs) {
  const { classes, months, cell } = filters;
  const parts = unit.labelParts;
  if (months.length && !months.includes(monthOf(time[obs]))) return false;
  if (cell !== null && !isIn(cell, unit, label, obs)) return false;
  if (!classes.length) return true;
  for (let i = obs * parts; i < (obs + 1) * parts; i++) if (classes.includes(label[i])) return true;
  return false;
}

/**
 * The samples that have a matching observation, and the units whose tables cannot be read, as [unit, error].
 *
 * Classes are counted in the index. Only a month, a cell, or a label that the index does not count, needs the labels and
 * days of units; pixels are never read.
 */
export async function select(store, filters) {
  const { split, tile, cell } = filters;
  const units = store.units.filter((unit) => (!split || unit.split === split) && (!tile || unit.tile === tile) && (cell === null || unit.predictions));
  const known = filters.classes.every((one) => one >= 0 && one < CLASSES.length);
  if (!filters.months.length && known && cell === null) {
    const wanted = (sample) => sample.size > 0 && (!filters.classes.length || filters.classes.some((one) => sample.counts[one]));
    const all = isEmpty({ ...filters, split: "", tile: "" });
    return { samples: units.flatMap((unit) => unit.rows().filter((sample) => all || wanted(sample))), failed: [] };
  }
  const failed = [];
  const parts = [];
  for (const unit of units) {
    try {
      const [label, time] = await Promise.all([unit.table("label"), unit.table("time")]);
      parts.push(unit.rows().filter((sample) => {
        for (let obs = sample.start; obs < sample.start + sample.size; obs++) {
          if (matches(filters, unit, label, time, obs)) return true;
        }
        return false;
      }));
    } catch (error) {
      failed.push([unit, error]);
    }
  }
  return { samples: parts.flat(), failed };
}
