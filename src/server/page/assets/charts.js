// Charts that need no library: bars over days, and ranked bars. Each has a table for whoever cannot see it.

import { h, s } from "./dom.js";

const WIDE = 560, HIGH = 120;

/** `points`: [label, value]; `tell`: a value in words. */
export function bars(title, points, tell) {
  const most = Math.max(...points.map(([, value]) => value ?? 0), 0);
  const step = WIDE / Math.max(points.length, 1);
  const thick = Math.min(28, Math.max(1, step * 0.76));
  return h("figure", { class: "chart" },
    h("figcaption", null, title, h("span", { class: "quiet" }, most ? ` most: ${tell(most)}` : " nothing yet")),
    s("svg", { viewBox: `0 0 ${WIDE} ${HIGH + 18}`, role: "img", "aria-label": `${title}; the table below has the numbers` },
      s("line", { x1: 0, x2: WIDE, y1: HIGH, y2: HIGH, class: "axis" }),
      points.map(([label, value], place) => {
        const high = most && value ? Math.max(2, (value / most) * (HIGH - 6)) : 0;
        return s("rect", { x: place * step + (step - thick) / 2, width: thick, y: HIGH - high, height: high, rx: 1.5, class: "column" }, s("title", null, `${label}: ${value ? tell(value) : "none"}`));
      }),
      points.length ? [s("text", { x: 0, y: HIGH + 14, class: "tick" }, points[0][0]), s("text", { x: WIDE, y: HIGH + 14, class: "tick", "text-anchor": "end" }, points.at(-1)[0])] : null),
    h("details", null, h("summary", null, "As a table"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, h("table", null, h("tbody", null, points.map(([label, value]) => h("tr", { key: label }, h("th", { scope: "row" }, label), h("td", null, value ? tell(value) : "–"))))))));
}

/** `rows`: [label, value, more]. */
export function ranked(title, rows, tell, empty) {
  const most = Math.max(...rows.map(([, value]) => value), 0);
  return h("figure", { class: "chart" }, h("figcaption", null, title),
    rows.length ? h("table", { class: "ranked" }, h("tbody", null, rows.map(([label, value, more]) => h("tr", { key: label }, h("th", { scope: "row" }, label), h("td", { class: "ranked-bar" }, h("meter", { min: 0, max: most || 1, value, "aria-label": tell(value) })), h("td", null, tell(value), more ? h("span", { class: "quiet" }, ` ${more}`) : null))))) : h("p", { class: "quiet" }, empty));
}
