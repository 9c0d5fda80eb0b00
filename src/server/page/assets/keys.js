// Which keys do what.

import { h } from "./dom.js";

const KEYS = [
  ["/", "find: on the board, in a list, in a log"],
  ["?", "these keys"],
  ["Tab", "to the next link, button or field; Enter opens or presses it"],
  ["Home, End", "in a log: its first, its last line"],
  ["Esc", "leaves a dialog"],
];

export function showKeys() {
  if (document.querySelector("dialog")) return;
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "keys-title" },
    h("form", { method: "dialog" }, h("h2", { id: "keys-title" }, "Keys"),
      h("dl", { class: "keys" }, KEYS.map(([key, what]) => [h("dt", null, h("kbd", null, key)), h("dd", null, what)])),
      h("div", { class: "buttons" }, h("button", { type: "submit" }, "Close"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
