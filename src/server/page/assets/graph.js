// The picture of a pipeline: its tiers from left to right, each after those that a version passes first.

import { s, paths } from "./dom.js";
import { look, buildLook } from "./tiers.js";

const WIDE = 190, HIGH = 74, GAP_X = 54, GAP_Y = 18, EDGE = 8;

/** In which column each tier stands: behind the last of those that come before it. */
function columns(tiers) {
  const column = new Map();
  const place = (tier, seen) => {
    if (column.has(tier.name)) return column.get(tier.name);
    if (seen.has(tier.name)) return 1;
    seen.add(tier.name);
    const before = tier.after.map((name) => tiers.find((one) => one.name === name)).filter(Boolean);
    const found = before.length ? Math.max(...before.map((one) => place(one, seen))) + 1 : 1;
    column.set(tier.name, found);
    return found;
  };
  tiers.forEach((tier) => place(tier, new Set()));
  return column;
}

/** So many characters fit into a box, of each of its lines. */
const NAME = 22, VERSION = 18, WORD = 25;
const clip = (text, most) => ([...text].length > most ? `${[...text].slice(0, most - 1).join("")}…` : text);

function box(x, y, href, name, version, seen) {
  const word = seen.word + (seen.version && seen.version !== version ? ` ${seen.version}` : "");
  return s("a", { href, class: `box ${seen.tone}` },
    s("title", null, `${name}: ${version}, ${word}`),
    s("rect", { x, y, width: WIDE, height: HIGH, rx: 8, class: "box-back" }),
    s("rect", { x, y: y + 8, width: 4, height: HIGH - 16, rx: 2, class: "box-edge" }),
    // What is wider than characters usually are ends at the edge all the same.
    s("svg", { x: x + 16, y, width: WIDE - 20, height: HIGH },
      s("text", { y: 22, class: "box-name" }, clip(name, NAME)),
      s("text", { y: 42, class: "box-version" }, clip(version, VERSION)),
      s("text", { y: 61, class: "box-word" }, clip(word, WORD))));
}

export function graph(pipeline) {
  const { tiers } = pipeline;
  const column = columns(tiers);
  const build = buildLook(pipeline) ?? { tone: "good", word: "built", version: "", detail: [] };
  const newest = pipeline.versions.find((one) => one.stage === "built" || one.stage === "building");
  const stacks = new Map();
  const spot = new Map();
  for (const tier of tiers) {
    const x = column.get(tier.name);
    const row = stacks.get(x) ?? 0;
    stacks.set(x, row + 1);
    spot.set(tier.name, [x, row]);
  }
  const deep = Math.max(1, ...stacks.values());
  const left = (x) => EDGE + x * (WIDE + GAP_X);
  // A short column stands in the middle.
  const upper = (x, row) => EDGE + (row + (deep - (x ? stacks.get(x) : 1)) / 2) * (HIGH + GAP_Y);
  const wide = left(Math.max(0, ...column.values())) + WIDE + EDGE;
  const high = EDGE * 2 + deep * (HIGH + GAP_Y) - GAP_Y;
  const edges = tiers.flatMap((tier) => {
    const [x, row] = spot.get(tier.name);
    const to = [left(x), upper(x, row) + HIGH / 2];
    const before = tier.after.filter((name) => spot.has(name)).map((name) => spot.get(name));
    return (before.length ? before : [[0, 0]]).map(([bx, brow]) => {
      const from = [left(bx) + WIDE, upper(bx, brow) + HIGH / 2];
      const middle = (from[0] + to[0]) / 2;
      const moving = tier.inside ? " moving" : "";
      return s("path", { class: `edge${moving}`, d: `M${from[0]} ${from[1]}C${middle} ${from[1]} ${middle} ${to[1]} ${to[0] - 5} ${to[1]}`, "marker-end": "url(#arrow)" });
    });
  });
  return s("svg", { class: "graph", viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, role: "group", "aria-label": "The tiers in their order" },
    s("defs", null, s("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 5, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, s("path", { d: "M0 0l8 4-8 4z", class: "arrow" }))),
    edges,
    box(left(0), upper(0, 0), newest ? paths.version(pipeline.name, newest.version) : "#versions", "build", newest?.version ?? "nothing yet", build),
    tiers.map((tier) => {
      const [x, row] = spot.get(tier.name);
      const seen = look(pipeline, tier);
      return box(left(x), upper(x, row), `#tier-${encodeURIComponent(tier.name)}`, tier.name, tier.current?.version ?? "nothing yet", seen);
    }));
}
