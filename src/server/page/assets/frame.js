// What is around every page: where one is, whether the picture is live, who one is, and what is wrong with the controller.

import { h, sign, link } from "./dom.js";
import { picture } from "./live.js";
import { asksPeople, attention, isHistory } from "./tiers.js";
import { age, counted, prose } from "./words.js";

const PAGES = [
  ["/", "Board"],
  ["/ui/waiting", "Waiting"],
  ["/ui/history", "History"],
  ["/ui/measures", "Measures"],
  ["/ui/definitions", "Definitions"],
  ["/ui/audit", "Audit"],
];

/** How many pipelines have trouble. */
function troubled(state) {
  if (!state) return 0;
  const pipelines = state.pipelines.filter((one) => !isHistory(one) && attention(one) === "bad").length;
  return pipelines + state.rejected.length + (state.standstill ? 1 : 0) + (state.troubles ?? []).length;
}

/** How many pipelines wait for a person: the number that the board shows too. */
const asking = (state) => (state ? state.pipelines.filter((one) => !isHistory(one) && asksPeople(one).length).length : 0);

function pill() {
  const seconds = Math.floor((Date.now() - picture.cutAt) / 1000);
  switch (picture.link) {
    case "live": return h("span", { class: "pill good", title: "What you see is what is so" }, h("span", { class: "dot" }), "live");
    case "cut": return h("span", { class: "pill bad", role: "alert" }, sign("bad"), h("span", { "data-cut": picture.cutAt }, `cut off, as of ${seconds}s ago`));
    case "refused": return h("span", { class: "pill wait" }, "signed out");
    default: return h("span", { class: "pill wait" }, "asking …");
  }
}

export function head(path) {
  const waiting = asking(picture.state);
  const who = picture.who;
  return [
    h("div", { class: "brand" }, h("a", { href: "/", "aria-label": "tidegate, the board" }, mark(), h("span", null, "tidegate"))),
    h("nav", { "aria-label": "Pages" }, PAGES.map(([href, word]) =>
      h("a", { href, "aria-current": (href === "/" ? path === "/" || path.startsWith("/ui/pipelines") || path.startsWith("/ui/runs") : path.startsWith(href)) ? "page" : null },
        word, href === "/ui/waiting" && waiting ? h("span", { class: "badge" }, waiting) : null))),
    h("div", { class: "side" }, pill(),
      h("button", { type: "button", class: "plain", "data-do": "keys", title: "Which keys do what", "aria-label": "Keys" }, "?"),
      theme(),
      who?.name ? h("button", { type: "button", class: "plain", "data-do": "signout", title: `Signed in with the token ${who.name}, role ${who.role}${who.pipelines ? `, for ${who.pipelines.join(", ")}` : ""}${who.tiers ? `, to act on ${who.tiers.join(", ")}` : ""}` }, `${who.name} · sign out`)
        : h("button", { type: "button", "data-do": "signin" }, "Sign in")),
  ];
}

/** Which colours there are, in words, and which come next. */
function theme() {
  const [word, next] = { light: ["light", "Always light; press for always dark"], dark: ["dark", "Always dark; press for the colours of your system"] }[document.documentElement.dataset.theme]
    ?? ["system", "Light or dark as your system is; press for always light"];
  return h("button", { type: "button", class: "plain", "data-do": "theme", title: next }, `Theme: ${word}`);
}

function mark() {
  const made = sign("good", "good");
  made.setAttribute("class", "mark");
  return made;
}

/** What is wrong with the controller itself, and files that belong to no pipeline. */
export function trouble(state) {
  const all = [];
  const say = (tone, what, code, help) =>
    all.push(h("div", { class: `banner ${tone}`, key: `${code}${what}` }, sign(tone), h("div", null, h("p", null, h("b", null, prose(what)), " ", code ? h("code", { class: "whole-word quiet" }, code) : null), help ? h("p", { class: "quiet" }, prose(help)) : null)));
  if (state.standstill) say("bad", `Nothing new begins: ${state.standstill.message}`, state.standstill.code, state.standstill.help);
  for (const one of state.troubles ?? []) say("bad", one.message, one.code, one.help);
  for (const one of state.notices ?? []) if (one.trouble) say("bad", `Notice ${one.number} of ${one.pipeline} is not taken: ${one.trouble.error}`, "", "");
  for (const file of state.rejected)
    all.push(h("div", { class: "banner bad", key: file.file }, sign("bad"), h("div", null,
      h("p", null, h("b", null, link(`/ui/definitions#refused-${encodeURIComponent(file.file)}`, `${file.file} is refused`)), ` (${counted(file.diagnostics.length, "problem")}, `, age(file.at), ")"))));
  return all.length ? h("div", { class: "banners", key: "banners" }, all) : null;
}

export function setTitle(title) {
  const bad = troubled(picture.state);
  document.title = `${bad ? `(${bad}) ` : ""}${title ? `${title} · ` : ""}tidegate`;
  const icon = document.getElementById("favicon");
  const name = picture.link === "cut" ? "cut" : bad ? "bad" : asking(picture.state) ? "wait" : "good";
  const href = icon.href.replace(/[a-z]+\.svg$/, `${name}.svg`);
  if (icon.href !== href) icon.href = href;
}

