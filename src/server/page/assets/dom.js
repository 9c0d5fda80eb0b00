// Elements from values, never from markup: what comes from outside can only ever become text. Pages build a fresh tree
// from the picture and `patch` brings the one on the screen to it, so that focus, scrolling and selections stay.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "key") element.key = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (child === undefined || child === null || child === false || child === "") continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : String(child));
  }
}

/** An element of HTML. */
export const h = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);

/** An element of SVG. */
export const s = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

const same = (a, b) =>
  a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.key === b.key && a.own === undefined && b.own === undefined;

/** Brings an element to another one that was just made. What has `own` set is its maker's own affair. */
function patch(old, fresh) {
  if (old === fresh) return;
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // Whether it is open is for whoever reads it.
    if (name === "open" && old.nodeName === "DETAILS") continue;
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (name === "open" && old.nodeName === "DETAILS") continue;
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  old.key = fresh.key;
  children(old, [...fresh.childNodes]);
}

/** Brings the children of an element to these. */
export function children(old, wanted) {
  const keyed = new Map();
  for (const child of old.childNodes) if (child.key !== undefined) keyed.set(child.key, child);
  let at = old.firstChild;
  for (const fresh of wanted) {
    const known = fresh.key === undefined ? undefined : keyed.get(fresh.key);
    const candidate = known ?? at;
    if (candidate && same(candidate, fresh) && (known || candidate.key === undefined)) {
      if (candidate !== at) old.insertBefore(candidate, at);
      else at = at.nextSibling;
      patch(candidate, fresh);
    } else if (fresh === at) {
      at = at.nextSibling;
    } else {
      old.insertBefore(fresh, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

const SHAPES = {
  good: "M4 8.5l3 3 5.5-6.5",
  bad: "M4.5 4.5l7 7m0-7l-7 7",
  move: "M5.5 3.8v8.4l6.5-4.2z",
  wait: "M8 4.5V8l2.5 1.8",
  person: "M8 7.6a2.1 2.1 0 1 0 0-4.2 2.1 2.1 0 0 0 0 4.2zM4 12.6c.5-2.4 2-3.4 4-3.4s3.500 1 4 3.400z",
  hold: "M6 4.500v7m4-7v7",
  none: "M5 8h6",
  note: "M8 4v5m0 2.600v.1",
  back: "M10.500 4.500L6 8l4.500 3.500z",
};

/** A sign: a shape of its own beside its colour. Whoever listens hears the word that stands beside it. */
export function sign(tone, shape = tone) {
  const solid = shape === "move" || shape === "person" || shape === "back";
  return s(
    "svg",
    { class: `sign ${tone}`, viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    s("circle", { cx: 8, cy: 8, r: 7.5, class: "disc" }),
    s("path", { d: SHAPES[shape] ?? SHAPES.none, class: solid ? "solid" : "line" }),
  );
}

/** A link within the page. */
export const link = (path, ...children) => h("a", { href: path }, ...children);

/** A piece of a path from a name. */
export const segment = encodeURIComponent;

export const paths = {
  pipeline: (pipeline) => `/ui/pipelines/${segment(pipeline)}`,
  version: (pipeline, version) => `/ui/pipelines/${segment(pipeline)}/versions/${segment(version)}`,
  compare: (pipeline, from, to) =>
    `/ui/pipelines/${segment(pipeline)}/compare?from=${segment(from)}&to=${segment(to)}`,
  run: (run) => `/ui/runs/${run}`,
  definition: (pipeline) => `/ui/definitions/${segment(pipeline)}`,
};
