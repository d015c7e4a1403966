// Which samples have an observation that matches: the same as store.select(split=..., label=..., months=...).

import { CLASSES } from "./classes.js";
import { NO_DAY } from "./data.js";

export const EMPTY = { split: "", classes: [], months: [] };

export function isEmpty(filters) {
  return !filters.split && !filters.classes.length && !filters.months.length;
}

/** The month of a day since 1970-01-01, from 1 to 12; 0 without a day. */
export function monthOf(day) {
  return day === NO_DAY ? 0 : new Date(day * 86400000).getUTCMonth() + 1;
}

/** Whether observation `obs` matches; the split is that of its unit. */
export function matches(filters, unit, label, time, obs) {
  const { classes, months } = filters;
  const parts = unit.labelParts;
  if (months.length && !months.includes(monthOf(time[obs]))) return false;
  if (!classes.length) return true;
  for (let i = obs * parts; i < (obs + 1) * parts; i++) if (classes.includes(label[i])) return true;
  return false;
}

/**
 * The samples that have a matching observation, and the units whose tables cannot be read, as [unit, error].
 *
 * Classes are counted in the index. Only a month, or a label that the index does not count, needs the labels and days
 * of units; pixels are never read.
 */
export async function select(store, filters) {
  const units = store.units.filter((unit) => !filters.split || unit.split === filters.split);
  const known = filters.classes.every((one) => one >= 0 && one < CLASSES.length);
  if (!filters.months.length && known) {
    const wanted = (sample) => sample.size > 0 && (!filters.classes.length || filters.classes.some((one) => sample.counts[one]));
    const all = isEmpty({ ...filters, split: "" });
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
