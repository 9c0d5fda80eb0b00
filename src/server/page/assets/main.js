// Which page is shown, and when it is drawn: after the picture changed, and never otherwise. Words that depend on the
// clock go on by themselves.

import { children, h } from "./dom.js";
import { begin, hear, hearEvents, picture, restart, ask } from "./live.js";
import { head, setTitle } from "./frame.js";
import { agePhrase, lastingPhrase, untilPhrase, span, instead } from "./words.js";
import { act, closeDialog } from "./act.js";
import { signIn } from "./signin.js";
import { showKeys } from "./keys.js";
import { page as board } from "./board.js";
import { page as pipeline } from "./pipeline.js";
import { page as version } from "./version.js";
import { page as run } from "./run.js";
import { page as waiting } from "./waiting.js";
import { page as history, audit } from "./history.js";
import { page as measures } from "./measures.js";
import { page as definitions } from "./definitions.js";
import { page as compare } from "./compare.js";

const ROUTES = [
  [/^\/$/, board],
  [/^\/ui\/pipelines\/([^/]+)$/, pipeline],
  [/^\/ui\/pipelines\/([^/]+)\/versions\/([^/]+)$/, version],
  [/^\/ui\/pipelines\/([^/]+)\/compare$/, compare],
  [/^\/ui\/runs\/(\d+)$/, run],
  [/^\/ui\/waiting$/, waiting],
  [/^\/ui\/history$/, history],
  [/^\/ui\/measures$/, measures],
  [/^\/ui\/definitions(?:\/([^/]+))?$/, definitions],
  [/^\/ui\/audit$/, audit],
];

const lost = { title: () => "Not here", draw: () => h("div", { class: "empty" }, h("h1", null, "Nothing is here"), h("p", null, h("a", { href: "/" }, "Back to the board"))) };
const main = document.getElementById("main");
const top = document.getElementById("top");
let current = null;
let drawing = 0;

function find() {
  for (const [pattern, page] of ROUTES) {
    const match = pattern.exec(location.pathname);
    if (match) return { page, parameters: match.slice(1).map((one) => one && decodeURIComponent(one)), query: new URLSearchParams(location.search) };
  }
  return { page: lost, parameters: [], query: new URLSearchParams() };
}

/** What a page works with. */
const context = () => ({ ...current, state: picture.state, who: picture.who, redraw });

function redraw() {
  // A page in the background draws no frames, but its title and its sign still show trouble.
  if (!drawing) drawing = document.hidden ? setTimeout(draw, 200) : requestAnimationFrame(draw);
}

function draw() {
  drawing = 0;
  children(top, head(location.pathname).flat());
  setTitle(current.page.title(...current.parameters));
  if (picture.link === "refused" && !picture.who?.name) return void signIn(true);
  if (!picture.state) {
    const problem = picture.problem;
    if (problem) children(main, [instead("No picture yet", problem)]);
    return;
  }
  const made = [current.page.draw(context())].flat(Infinity).filter((one) => one);
  children(main, made);
  current.page.drawn?.(main, context());
}

function leave() {
  current?.page.leave?.();
  closeDialog();
}

function go() {
  leave();
  current = find();
  main.replaceChildren();
  current.page.enter?.(context());
  draw();
  const there = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (there) there.scrollIntoView();
  else scrollTo(0, 0);
}

/** Goes to another place of this page. */
function navigate(path) {
  if (path === location.pathname + location.search + location.hash) return;
  window.history.pushState(null, "", path);
  go();
  main.focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button && !button.disabled) {
    const name = button.dataset.do;
    const deed = GLOBAL[name] ?? current.page.do?.[name];
    if (deed) {
      event.preventDefault();
      deed(button, context());
      redraw();
    }
    return;
  }
  const link = event.target.closest("a[href]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target || link.download) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || !(url.pathname === "/" || url.pathname.startsWith("/ui/"))) return;
  if (url.pathname === location.pathname && url.hash) return;
  event.preventDefault();
  navigate(url.pathname + url.search + url.hash);
});

const GLOBAL = {
  act: (button) => act(button.dataset),
  keys: showKeys,
  signin: () => signIn(false),
  signout: async () => {
    await ask("/api/logout", {}).catch(() => {});
    await restart();
  },
  theme: () => {
    const order = { undefined: "light", light: "dark", dark: undefined };
    const next = order[document.documentElement.dataset.theme];
    if (next) (document.documentElement.dataset.theme = next), localStorage.setItem("theme", next);
    else delete document.documentElement.dataset.theme, localStorage.removeItem("theme");
  },
};

document.addEventListener("input", (event) => {
  const name = event.target.dataset?.input;
  if (!name || !current.page.input?.[name]) return;
  current.page.input[name](event.target, context());
  redraw();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") return void showKeys();
  if (event.key === "/") {
    const field = document.getElementById("find");
    if (field) event.preventDefault(), field.focus(), field.select();
  }
});

// Ages and countdowns: texts change, nothing else.
setInterval(() => {
  if (document.hidden) return;
  const set = (element, text) => element.firstChild?.data !== text && (element.textContent = text);
  for (const one of document.querySelectorAll("[data-age]")) set(one, agePhrase(one.dataset.age));
  for (const one of document.querySelectorAll("[data-lasts]")) set(one, lastingPhrase(one.dataset.lasts));
  for (const one of document.querySelectorAll("[data-until]")) set(one, untilPhrase(one.dataset.until));
  for (const one of document.querySelectorAll("[data-cut]")) set(one, `cut off, as of ${span((Date.now() - one.dataset.cut) / 1000)} ago`);
}, 1000);

addEventListener("popstate", go);
let wasCut = false;
hear(() => {
  // What a page asked for in vain, or could not hear of, it asks for again.
  if (picture.link === "live" && wasCut) current.page.again?.(context());
  wasCut = picture.link !== "live" && (wasCut || picture.link === "cut");
  redraw();
});
hearEvents((event) => current?.page.event?.(event, context()));

const theme = localStorage.getItem("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
current = find();
begin().then(go);
