// The six classes: names, colours and marks as in s2ct_convert/pictures/palette.py, which a test compares.

export const CLASSES = [
  { name: "clear", color: "#35883a", mark: "○" },
  { name: "opaque cloud", color: "#606060", mark: "●" },
  { name: "thin cloud", color: "#bdbdbd", mark: "◐" },
  { name: "haze", color: "#e8a33d", mark: "≈" },
  { name: "cloud shadow", color: "#6a1b8f", mark: "◆" },
  { name: "snow", color: "#4fb2ee", mark: "✱" },
];
export const CLEAR = 0;
export const NO_LABEL = -1;

/** How a label is shown. One outside the six classes is white and has its number. */
export function classOf(label) {
  return CLASSES[label] ?? { name: label === NO_LABEL ? "no label" : `label ${label}`, color: "#ffffff", mark: "?" };
}

/** Black or white, whichever has the higher contrast (WCAG 2) on a colour. */
export function inkOn(color) {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const part = parseInt(color.slice(i, i + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return 1.05 / (light + 0.05) > (light + 0.05) / 0.05 ? "#ffffff" : "#000000";
}

/** The number of a class from its number or name; null if there is none such. */
export function classNumber(word) {
  if (/^-?\d+$/.test(word)) return Number(word);
  const name = word.replaceAll("_", " ");
  const found = [...CLASSES.keys(), NO_LABEL].find((number) => classOf(number).name === name);
  return found ?? null;
}
