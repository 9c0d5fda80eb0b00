// Bytes of a log as elements: colours of SGR sequences become classes, every other control sequence is left out, and
// the rest is text. Nothing in a log can be markup, move the cursor or set a title.

import { h } from "./dom.js";

const ESCAPE = /\x1b(?:\[([0-9;:]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~]|$)/g;
// What is left of controls, and what turns the direction of a whole line: shown, not obeyed.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const plain = () => ({ fg: null, bg: null, bold: false, dim: false, italic: false, under: false, strike: false, turned: false });

const cube = (value) => (value ? 55 + value * 40 : 0);
function palette(code) {
  if (code < 16) return code;
  if (code > 231) return Array(3).fill(8 + (code - 232) * 10);
  const rest = code - 16;
  return [cube(Math.floor(rest / 36)), cube(Math.floor(rest / 6) % 6), cube(rest % 6)];
}

function colour(codes, at) {
  if (codes[at] === 5 && codes[at + 1] <= 255) return [palette(codes[at + 1]), 2];
  if (codes[at] === 2 && codes.length > at + 3) return [codes.slice(at + 1, at + 4).map((one) => Math.min(255, one)), 4];
  return [null, codes.length];
}

function set(look, text) {
  const codes = text.split(/[;:]/).map(Number);
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at];
    if (code === 0) Object.assign(look, plain());
    else if (code === 1) look.bold = true;
    else if (code === 2) look.dim = true;
    else if (code === 3) look.italic = true;
    else if (code === 4) look.under = true;
    else if (code === 7) look.turned = true;
    else if (code === 9) look.strike = true;
    else if (code === 22) look.bold = look.dim = false;
    else if (code === 23) look.italic = false;
    else if (code === 24) look.under = false;
    else if (code === 27) look.turned = false;
    else if (code === 29) look.strike = false;
    else if (code >= 30 && code <= 37) look.fg = code - 30;
    else if (code >= 40 && code <= 47) look.bg = code - 40;
    else if (code >= 90 && code <= 97) look.fg = code - 82;
    else if (code >= 100 && code <= 107) look.bg = code - 92;
    else if (code === 39) look.fg = null;
    else if (code === 49) look.bg = null;
    else if (code === 38 || code === 48) {
      const [found, used] = colour(codes, at + 1);
      if (found !== null) look[code === 38 ? "fg" : "bg"] = found;
      at += used;
    }
  }
}

function piece(text, look) {
  const shown = text.replace(HIDDEN, (one) => (one === "\r" ? "" : "\ufffd"));
  if (!shown) return null;
  const classes = ["bold", "dim", "italic", "under", "strike", "turned"].filter((name) => look[name]);
  if (typeof look.fg === "number") classes.push(`f${look.fg}`);
  if (typeof look.bg === "number") classes.push(`b${look.bg}`);
  if (!classes.length && !Array.isArray(look.fg) && !Array.isArray(look.bg)) return shown;
  const made = h("span", { class: classes.join(" ") || null }, shown);
  // By script, since the page allows no styles in markup.
  if (Array.isArray(look.fg)) made.style.color = `rgb(${look.fg})`;
  if (Array.isArray(look.bg)) made.style.backgroundColor = `rgb(${look.bg})`;
  return made;
}

/** A line as texts and elements, and how the next one begins. */
export function paint(line, look = plain()) {
  // A line that was written over shows what was written last.
  const over = line.replace(/\r+$/, "").lastIndexOf("\r");
  const text = over < 0 ? line : line.slice(over + 1);
  const state = { ...look };
  if (over >= 0) for (const [, codes, end] of line.slice(0, over).matchAll(ESCAPE)) if (end === "m") set(state, codes);
  const made = [];
  let from = 0;
  for (const match of text.matchAll(ESCAPE)) {
    made.push(piece(text.slice(from, match.index), state));
    if (match[2] === "m") set(state, match[1]);
    from = match.index + match[0].length;
  }
  made.push(piece(text.slice(from), state));
  return [made.filter((one) => one !== null), state];
}
