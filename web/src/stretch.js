// From published values to brightness, by the rule of s2ct_convert/pictures/stretch.py: same steps, same numbers.

export const SIDE = 42;
export const PIXELS = SIDE * SIDE;
export const BANDS = ["B2", "B3", "B4", "B8"];
export const VALUES = BANDS.length * PIXELS; // of an image

const LOW_PERCENT = 1;
const HIGH_PERCENT = 99;
const TOP_PERCENT = 99.5;
const KNEE = 0.7;
const LEAST_SPAN = 800;
const GAMMA = 1.5;
const VISIBLE = [0, 1, 2];

export const COLOURINGS = {
  true: { name: "True colour", bands: [2, 1, 0] },
  false: { name: "False colour", bands: [3, 2, 1] },
  ndvi: { name: "NDVI" },
  b2: { name: "B2", bands: [0, 0, 0] },
  b3: { name: "B3", bands: [1, 1, 1] },
  b4: { name: "B4", bands: [2, 2, 2] },
  b8: { name: "B8", bands: [3, 3, 3] },
};

/**
 * The stretch of a sample.
 *
 * images: Uint16Array, n x 4 x 42 x 42. rows: which of the n to use, at least one. clear: for each of the n, whether
 * its label is clear. The result has for each band {low, high, top} and a table from value to brightness, 0 to 255.
 */
export function stretchFor(images, rows, clear) {
  const ground = rows.some((row) => clear[row]) ? rows.filter((row) => clear[row]) : rows;
  const lows = [];
  const tops = [];
  const spans = [];
  for (let band = 0; band < BANDS.length; band++) {
    const counts = new Uint32Array(65536);
    for (const row of rows) {
      const start = row * VALUES + band * PIXELS;
      for (let i = start; i < start + PIXELS; i++) counts[images[i]]++;
    }
    const n = rows.length * PIXELS;
    lows[band] = percentile(n, LOW_PERCENT, ranked(counts));
    tops[band] = percentile(n, TOP_PERCENT, ranked(counts));
    const medians = medianOverTime(images, ground, band).sort();
    spans[band] = Math.max(percentile(PIXELS, HIGH_PERCENT, (rank) => medians[rank]) - lows[band], LEAST_SPAN);
  }
  const visible = Math.max(...VISIBLE.map((band) => spans[band]));
  return BANDS.map((_, band) => {
    const low = lows[band];
    const high = low + (VISIBLE.includes(band) ? visible : spans[band]);
    const top = Math.max(tops[band], high + LEAST_SPAN);
    return { low, high, top, table: brightness(low, high, top) };
  });
}

/** numpy.percentile of n sorted values, with its linear method; value(rank) is the value of a rank. */
function percentile(n, percent, value) {
  const place = (n - 1) * (percent / 100);
  const below = Math.floor(place);
  const part = place - below;
  const a = value(below);
  const b = value(Math.min(below + 1, n - 1));
  return part >= 0.5 ? b - (b - a) * (1 - part) : a + (b - a) * part;
}

function ranked(counts) {
  return (rank) => {
    let seen = 0;
    for (let value = 0; ; value++) {
      seen += counts[value];
      if (seen > rank) return value;
    }
  };
}

function medianOverTime(images, rows, band) {
  const out = new Float64Array(PIXELS);
  const series = new Uint16Array(rows.length);
  const middle = rows.length >> 1;
  for (let pixel = 0; pixel < PIXELS; pixel++) {
    for (let i = 0; i < rows.length; i++) series[i] = images[rows[i] * VALUES + band * PIXELS + pixel];
    series.sort();
    out[pixel] = rows.length % 2 ? series[middle] : (series[middle - 1] + series[middle]) / 2;
  }
  return out;
}

/** Brightness of each value up to `top`: ground up to the knee, the range above it for clouds and snow. */
function brightness(low, high, top) {
  const table = new Uint8Array(65536).fill(255);
  for (let value = 0; value < 65536 && value < top; value++) {
    const part = value <= low ? 0 : value < high ? (1 / (high - low)) * (value - low) : (1 / (top - high)) * (value - high) + 1;
    table[value] = halfToEven(255 * (part < 1 ? KNEE * part ** (1 / GAMMA) : KNEE + (1 - KNEE) * (part - 1)));
  }
  return table;
}

function halfToEven(x) {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 ? down + 1 : down;
}

/** Write image `row` as 42 x 42 RGBA into `out`, in one of COLOURINGS. */
export function paint(images, row, stretch, colouring, out) {
  const start = row * VALUES;
  const { bands } = COLOURINGS[colouring];
  if (!bands) {
    paintNdvi(images, start, out);
    return;
  }
  const tables = bands.map((band) => stretch[band].table);
  for (let pixel = 0; pixel < PIXELS; pixel++) {
    for (let i = 0; i < 3; i++) out[4 * pixel + i] = tables[i][images[start + bands[i] * PIXELS + pixel]];
    out[4 * pixel + 3] = 255;
  }
}

// NDVI from below -0.2 (water, snow) over 0 (bare ground) to 0.9 (dense plants). Lightness rises to 0 and falls again.
const NDVI_STOPS = [[-0.2, 49, 84, 150], [0, 240, 236, 215], [0.3, 190, 200, 110], [0.6, 70, 140, 60], [0.9, 10, 70, 30]];

function paintNdvi(images, start, out) {
  for (let pixel = 0; pixel < PIXELS; pixel++) {
    const red = images[start + 2 * PIXELS + pixel];
    const near = images[start + 3 * PIXELS + pixel];
    out.set(ndviColour(red + near ? (near - red) / (near + red) : 0), 4 * pixel);
    out[4 * pixel + 3] = 255;
  }
}

function ndviColour(value) {
  const last = NDVI_STOPS.length - 1;
  if (value <= NDVI_STOPS[0][0]) return NDVI_STOPS[0].slice(1);
  if (value >= NDVI_STOPS[last][0]) return NDVI_STOPS[last].slice(1);
  const above = NDVI_STOPS.findIndex((stop) => stop[0] > value);
  const [a, b] = [NDVI_STOPS[above - 1], NDVI_STOPS[above]];
  const part = (value - a[0]) / (b[0] - a[0]);
  return [1, 2, 3].map((i) => a[i] + part * (b[i] - a[i]));
}
