// Reads the pixels of many samples, one after another, and adds up how suspicious their labels are.

import { points, spectra, suspicions } from "./suspicion.js";

/**
 * Points of each sample, as a Map. `progress(done)` is called after each; false from it ends the scan.
 * `failed` is the number of dates that cannot be read; they have no points.
 */
export async function scan(samples, progress) {
  const found = new Map(samples.map((sample) => [sample, 0]));
  let failed = 0;
  for (const [i, sample] of samples.entries()) {
    const { unit, start, size } = sample;
    const { label } = await unit.open();
    const { images, problems } = await unit.images(start, start + size);
    const labels = problems.map((_, row) => unit.labelOf(label, start + row));
    const rules = suspicions(spectra(images, size), labels, problems.map((one) => one === null));
    found.set(sample, rules.reduce((sum, one) => sum + points(one), 0));
    failed += problems.filter(Boolean).length;
    if (!progress(i + 1)) break;
  }
  return { points: found, failed };
}
