// The keyboard. Everything of the page has a key; ? shows them.

import { byId, make } from "./dom.js";

export const KEYS = [
  ["← →", "date before, date after"],
  ["↑ ↓", "sample before, sample after"],
  ["Shift + ↑ ↓", "unit before, unit after"],
  ["Home End", "first date, last date"],
  ["n", "next sample that matches, and its first date that matches"],
  ["c", "next way of colouring"],
  ["+ −", "larger, smaller patches"],
  ["0 to 5", "review: suggest this class and go on (0 clear, 1 opaque cloud, 2 thin cloud, 3 haze, 4 cloud shadow, 5 snow)"],
  ["f", "review: flag the date and go on"],
  ["m", "review: write a note"],
  ["u", "review: undo"],
  ["s", "sort by suspicion"],
  ["/", "go to the filters"],
  ["p", "show or hide the predictions, if there are some"],
  ["?", "this help"],
];

/** Call `on[name](event)` for each key that is not typed into a field. */
export function listen(on) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    const { target } = event;
    if (target.matches("input[type=text], select")) {
      if (event.key === "Escape" || (event.key === "Enter" && target.matches("input"))) target.blur();
      return;
    }
    if (target.matches("input[type=radio]") && event.key.startsWith("Arrow")) return;
    const action = actionOf(event, on);
    if (!action) return;
    event.preventDefault();
    action(event);
  });
}

function actionOf(event, on) {
  const { key, shiftKey } = event;
  if (/^[0-5]$/.test(key)) return () => on.suggest(Number(key));
  switch (key) {
    case "ArrowLeft": return () => on.step(-1);
    case "ArrowRight": return () => on.step(1);
    case "ArrowUp": return () => (shiftKey ? on.unit(-1) : on.sample(-1));
    case "ArrowDown": return () => (shiftKey ? on.unit(1) : on.sample(1));
    case "Home": return () => on.step(-Infinity);
    case "End": return () => on.step(Infinity);
    case "n": return on.next;
    case "c": return on.colour;
    case "+": case "=": return () => on.size(1);
    case "-": case "−": return () => on.size(-1);
    case "f": return on.flag;
    case "m": return on.note;
    case "u": return on.undo;
    case "s": return on.sort;
    case "/": return on.filters;
    case "p": return on.panel;
    case "?": return on.help;
    default: return null;
  }
}

export function fillHelp(rules) {
  byId("keys").append(...KEYS.flatMap(([key, text]) => [make("dt", {}, make("kbd", { text: key })), make("dd", { text })]));
  byId("rules").append(...rules.flatMap(({ title, text }) => [make("dt", { text: title }), make("dd", { text })]));
}
