// A small map of the tiles, from the limits that units have as attributes. It loads nothing.

import { byId, draw } from "./dom.js";

const SIZE = { width: 256, height: 92 };
const LEAST = 7; // pixels of a tile, so that it can be seen and clicked
const LEAST_DEGREES = 6; // of the part that is shown

/** Where the tiles are, as [{tile, units, west, east, south, north}]; units without limits are left out. */
function placesOf(store) {
  const tiles = new Map();
  for (const unit of store.units) {
    const limits = store.nodes[unit.name]?.attributes ?? {};
    let [west, east, south, north] = ["lon_min", "lon_max", "lat_min", "lat_max"].map((one) => limits[`geospatial_${one}`]);
    if (![west, east, south, north].every(Number.isFinite)) continue;
    if (east < west) east += 360; // across the 180th meridian
    if (!tiles.has(unit.tile)) tiles.set(unit.tile, { tile: unit.tile, units: [], west, east, south, north });
    tiles.get(unit.tile).units.push(unit);
  }
  return [...tiles.values()];
}

/** Draw the map, hidden if no tile has a place. `onpick(tile, units)`. Returns a function that marks the tile of a unit. */
export function makeMap(store, onpick) {
  const svg = byId("map");
  const places = placesOf(store);
  svg.closest("figure").hidden = !places.length;
  if (!places.length) return () => {};
  const { x, y, lines } = frame(places);
  svg.setAttribute("viewBox", `0 0 ${SIZE.width} ${SIZE.height}`);
  svg.append(...lines);
  const boxes = new Map();
  for (const one of places) {
    const [left, right, top, bottom] = [x(one.west), x(one.east), y(one.north), y(one.south)];
    const [width, height] = [Math.max(LEAST, right - left), Math.max(LEAST, bottom - top)];
    const box = draw("rect", { class: "tile", x: (left + right - width) / 2, y: (top + bottom - height) / 2, width, height, "data-tile": one.tile });
    box.append(draw("title", {}, one.tile));
    box.addEventListener("click", () => onpick(one.tile, one.units));
    boxes.set(one.tile, box);
    svg.append(box);
  }
  svg.setAttribute("aria-label", `Map of ${places.length} ${places.length === 1 ? "tile" : "tiles"}; the list of units below chooses the same.`);
  const caption = byId("map-tile");
  return (unit) => {
    for (const [tile, box] of boxes) box.classList.toggle("chosen", tile === unit?.tile);
    const place = places.find((one) => one.tile === unit?.tile);
    if (place) svg.append(boxes.get(place.tile)); // above its neighbours
    caption.textContent = place ? `${place.tile} · ${degrees((place.south + place.north) / 2, "N", "S")} ${degrees((place.west + place.east) / 2, "E", "W")}` : "";
  };
}

/** Places of longitudes and latitudes on the map, and its grid. All degrees have one size. */
function frame(places) {
  const [west, east] = [Math.min(...places.map((one) => one.west)), Math.max(...places.map((one) => one.east))];
  const [south, north] = [Math.min(...places.map((one) => one.south)), Math.max(...places.map((one) => one.north))];
  const wide = Math.max((east - west) * 1.2, LEAST_DEGREES);
  const high = Math.max((north - south) * 1.4, LEAST_DEGREES / 2);
  const scale = Math.min(SIZE.width / wide, SIZE.height / high);
  const x = (lon) => SIZE.width / 2 + (lon - (west + east) / 2) * scale;
  const y = (lat) => SIZE.height / 2 - (lat - (south + north) / 2) * scale;
  const step = [1, 2, 5, 10, 20, 30, 60, 90].find((one) => one * scale >= 44) ?? 90;
  const lines = [];
  const steps = (middle, room) => {
    const first = Math.ceil((middle - room / 2 / scale) / step);
    const last = Math.floor((middle + room / 2 / scale) / step);
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step);
  };
  for (const lon of steps((west + east) / 2, SIZE.width)) {
    lines.push(draw("line", { class: "grid", x1: x(lon), x2: x(lon), y1: 0, y2: SIZE.height }));
    lines.push(draw("text", { class: "axis", x: x(lon) + 2, y: SIZE.height - 3 }, degrees(((lon + 540) % 360) - 180, "E", "W")));
  }
  for (const lat of steps((south + north) / 2, SIZE.height)) {
    if (Math.abs(lat) > 90) continue;
    lines.push(draw("line", { class: "grid", x1: 0, x2: SIZE.width, y1: y(lat), y2: y(lat) }));
    lines.push(draw("text", { class: "axis", x: 2, y: y(lat) - 2 }, degrees(lat, "N", "S")));
  }
  return { x, y, lines };
}

function degrees(value, positive, negative) {
  const size = Math.abs(value);
  return `${Number.isInteger(size) ? size : size.toFixed(1)}°${size === 0 ? "" : value > 0 ? positive : negative}`;
}
