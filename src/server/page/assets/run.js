// A run's log. Only what is looked at is loaded: an index says where each page of lines begins, pages are fetched by
// range, and lines are made for what is on the screen. While the run goes on, its end is followed.

import { h, sign, link, paths, children } from "./dom.js";
import { ask } from "./live.js";
import { paint } from "./ansi.js";
import { stepSaid } from "./story.js";
import { bytes, counted, instead, inWords, lasting, outcome, prose, took, when, FAILURES } from "./words.js";

/** Pixels of a line, as the style sheet has it. */
const LINE = 19;
/** Browsers draw nothing lower than some height; beyond this the scroll bar moves faster than the lines. */
const TALLEST = 8_000_000;
const KEPT_PAGES = 24;
const OVERSCAN = 20;

let log = null;

class Log {
  constructor(run, redraw) {
    this.run = run;
    this.redraw = redraw;
    this.index = { bytes: 0, lines: 0, pages: [] };
    this.pages = new Map();
    this.asked = new Set();
    this.following = true;
    this.marked = null;
    this.found = null;
    this.tail = "";
    this.stop = new AbortController();
    this.view = null;
    this.view = this.build();
  }

  build() {
    this.rows = h("div", { class: "log-rows" });
    this.space = h("div", { class: "log-space" }, this.rows);
    const box = h("div", { class: "log", tabindex: "0", role: "log", "aria-label": `Log of run ${this.run}`, "aria-live": "off" }, this.space);
    box.own = this;
    box.key = `log ${this.run}`;
    box.addEventListener("scroll", () => {
      // Where the page itself scrolled to says nothing of what is wanted.
      if (box.scrollTop === this.put) return this.show();
      const bottom = box.scrollTop + box.clientHeight >= box.scrollHeight - LINE;
      if (bottom !== this.following) (this.following = bottom), this.redraw();
      this.show();
    }, { passive: true });
    this.box = box;
    this.resize = new ResizeObserver(() => this.settle());
    this.resize.observe(box);
    return box;
  }

  /** Asks where pages begin; those that are whole already are not asked for again. */
  async load() {
    const known = this.index.pages.slice(0, -1);
    const [line, from] = this.index.pages.at(-1) ?? [0, 0];
    try {
      const found = await ask(`/api/runs/${this.run}/log/index?line=${line}&from=${from}`);
      this.index = { ...found, pages: [...known, ...found.pages] };
      this.problem = null;
    } catch (problem) {
      this.problem = problem;
    }
    this.layout();
  }

  /** How far the lines move when the scroll bar moves by a pixel: further when there are more than a browser can stack. */
  get scale() {
    const whole = this.index.lines * LINE, seen = this.box.clientHeight;
    return whole > TALLEST ? (whole - seen) / (TALLEST - seen) : 1;
  }

  layout() {
    this.space.style.height = `${Math.max(LINE, Math.min(TALLEST, this.index.lines * LINE))}px`;
    this.settle();
    this.redraw();
  }

  /** Goes where the address points, or follows the end: once the box is on the page, and once the line is there. */
  settle() {
    if (!this.box.clientHeight || !this.index.lines) return;
    const { target } = this;
    if (target && target > this.index.lines && !run?.end) return this.show();
    if (target) this.go(Math.min(target, this.index.lines));
    else if (this.following) {
      this.box.scrollTop = this.box.scrollHeight;
      this.put = this.box.scrollTop;
    }
    this.target = undefined;
    this.show();
    // On a small screen the box itself comes into sight, once, unless the log is read from its beginning.
    if (!this.met && this.box.scrollTop) this.box.scrollIntoView({ block: "nearest" });
    this.met = true;
  }

  go(line) {
    this.following = false;
    this.box.scrollTop = Math.max(0, (line - 1) * LINE - this.box.clientHeight / 3) / this.scale;
    this.put = this.box.scrollTop;
    this.show();
  }

  page(line) {
    const { pages } = this.index;
    let low = 0, high = pages.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (pages[middle][0] <= line) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  async fetch(number) {
    if (this.asked.has(number)) return;
    this.asked.add(number);
    const [, from] = this.index.pages[number];
    const to = this.index.pages[number + 1]?.[1] ?? this.index.bytes;
    try {
      const answer = await fetch(`/api/runs/${this.run}/log`, { headers: { Range: `bytes=${from}-${Math.max(from, to - 1)}` }, cache: "no-store", signal: this.stop.signal });
      if (!answer.ok) throw new Error(answer.statusText);
      const text = new TextDecoder().decode(await answer.arrayBuffer());
      this.pages.delete(number);
      this.pages.set(number, (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n"));
      if (this.pages.size > KEPT_PAGES) this.pages.delete(this.pages.keys().next().value);
    } catch {
      // Asked again when it is looked at again.
    }
    this.asked.delete(number);
    this.show();
  }

  show() {
    const { lines } = this.index;
    const top = this.box.scrollTop * this.scale;
    const first = Math.max(0, Math.floor(top / LINE) - OVERSCAN);
    const last = Math.min(lines, first + Math.ceil(this.box.clientHeight / LINE) + 2 * OVERSCAN);
    const made = [];
    let look;
    for (let line = first; line < last; line++) {
      const number = this.page(line);
      const page = this.pages.get(number);
      let shown = "…";
      if (!page) this.fetch(number);
      else [shown, look] = paint(page[line - this.index.pages[number][0]] ?? "", look);
      made.push(h("div", { class: `log-line${this.marked === line + 1 ? " marked" : ""}`, key: line },
        h("span", { class: "log-number", "data-do": "mark", "data-line": line + 1 }, line + 1), h("span", { class: "log-text" }, shown)));
    }
    children(this.rows, made);
    // Where the first of them is, seen from where the box is scrolled to.
    this.rows.style.transform = `translateY(${this.box.scrollTop - (top - first * LINE)}px)`;
  }

  /** What was written since: the last page is another one now. */
  async grow() {
    if (this.growing) return void (this.again = true);
    this.growing = true;
    const before = this.index.pages.length - 1;
    await this.load();
    if (before >= 0) this.pages.delete(before), this.fetch(before);
    this.growing = false;
    if (this.again) (this.again = false), setTimeout(() => this.grow(), 400);
  }

  async find(text, backwards) {
    if (!text) return void (this.found = null);
    const from = this.marked ?? (backwards ? this.index.lines + 1 : 0);
    try {
      this.found = await ask(`/api/runs/${this.run}/log/find?text=${encodeURIComponent(text)}&line=${from}&backwards=${backwards}`);
      if (this.found.line) (this.marked = this.found.line), this.go(this.found.line);
    } catch (problem) {
      this.found = { problem };
    }
    this.redraw();
  }

  end() {
    this.stop.abort();
    this.resize.disconnect();
  }
}

let run = null;
let text = "";

const passed = (one) => Boolean(one.end) && (one.end.outcome ? one.end.outcome.status === "pass" : !one.end.failure);

async function load({ parameters: [number], redraw }) {
  try {
    const found = await ask(`/api/runs/${number}`);
    if (log?.run !== Number(number)) return;
    // What goes on is followed, what failed is opened at its end, and what went well at its beginning.
    if (!run?.run_id && passed(found)) log.following = false;
    run = found;
  } catch (problem) {
    run = { problem };
  }
  redraw();
}

let timer = 0;
async function follow(context) {
  clearTimeout(timer);
  if (!run || run.problem || run.end) return;
  timer = setTimeout(async () => {
    if (!document.hidden) await log?.grow();
    follow(context);
  }, 1000);
}

function what(one) {
  if (one.task === "step") return ["step ", h("b", null, one.step)];
  if (one.task === "gate") return ["gate ", h("b", null, one.name), h("span", { class: "quiet" }, ` ${one.gate}`), " of ", one.tier];
  return [`${one.mode} to node `, h("b", null, one.node), " of ", one.tier];
}

function end(one) {
  if (!one.end) return h("span", { class: "line move" }, sign("move"), h("span", null, "runs ", lasting(one.started_at)));
  const outcomeOf = one.end.outcome;
  if (outcomeOf) {
    const tone = { pass: "good", fail: "bad", blocked: "wait" }[outcomeOf.status];
    return h("span", { class: `line ${tone}` }, sign(tone), h("span", null, outcome(outcomeOf), outcomeOf.message ? [": ", prose(outcomeOf.message)] : "", h("span", { class: "quiet" }, ` ${took(outcomeOf.elapsed_ms)}`, outcomeOf.exit_code !== undefined ? `, exit status ${outcomeOf.exit_code}` : "", outcomeOf.log_truncated ? ", the log was cut at its limit" : "")));
  }
  const failed = one.end.failure;
  return h("span", { class: `line ${failed ? "bad" : "good"}` }, sign(failed ? "bad" : "good"), h("span", null, failed ? [FAILURES[failed] ?? failed, one.end.message ? [": ", prose(one.end.message)] : ""] : `done ${took(one.end.elapsed_ms ?? 0)}`));
}

/** A line that an address can point to. */
function mark(line) {
  log.marked = line;
  window.history.replaceState(null, "", `#L${line}`);
  log.show();
}

export const page = {
  title: (number) => `Run ${number}`,
  enter(context) {
    run = null;
    text = "";
    log = new Log(Number(context.parameters[0]), context.redraw);
    const line = /^#L(\d+)$/.exec(location.hash);
    if (line) (log.marked = log.target = Number(line[1])), (log.following = false);
    load(context).then(() => follow(context));
    log.load();
  },
  leave() {
    clearTimeout(timer);
    log?.end();
    log = null;
  },
  again(context) {
    load(context).then(() => (log?.grow(), follow(context)));
  },
  event(event, context) {
    if (event.run_id === log?.run) load(context).then(() => (log?.grow(), follow(context)));
  },
  draw(context) {
    if (!run) return h("p", { class: "quiet loading" }, "Asking for the run …");
    if (run.problem) return instead(`Run ${context.parameters[0]}`, run.problem);
    const found = log.found;
    return [
      h("div", { class: "bar", key: "bar" }, h("div", null,
        h("p", { class: "quiet" }, link(paths.pipeline(run.pipeline), run.pipeline), " / ", h("a", { class: "version", href: paths.version(run.pipeline, run.version) }, run.version)),
        h("h1", null, `Run ${run.run_id}: `, what(run)), h("p", null, end(run), h("span", { class: "quiet" }, " began ", when(run.started_at))))),
      run.said.length ? h("ul", { class: "lines said", key: "said" }, run.said.slice(0, 50).map((one, place) => h("li", { class: "line note", key: place }, sign("note"), h("span", null, stepSaid(one.event))))) : null,
      h("div", { class: "log-bar", key: "log-bar" },
        h("input", { type: "search", id: "find", placeholder: "Find in the log  ( / )", "aria-label": "Find in the log", "data-input": "find", autocomplete: "off", spellcheck: "false" }),
        h("button", { type: "button", class: "small", "data-do": "previous", "aria-label": "The match before" }, "↑"), h("button", { type: "button", class: "small", "data-do": "next", "aria-label": "The next match" }, "↓"),
        h("span", { class: "quiet", role: "status" }, found?.problem ? found.problem.message : found ? (found.line ? `line ${found.line}` : "no more matches") : `${counted(log.index.lines, "line")}, ${bytes(log.index.bytes)}`),
        h("span", { class: "grow" }),
        h("label", { class: "quiet", for: "line" }, "Line"), h("input", { type: "text", id: "line", inputmode: "numeric", size: 7, "data-input": "line", autocomplete: "off" }),
        h("button", { type: "button", class: "small", "data-do": "bottom", "aria-pressed": String(log.following) }, run.end ? "End" : "Follow"),
        h("a", { href: `/api/runs/${run.run_id}/log`, download: `run-${run.run_id}.log` }, "Download")),
      log.problem ? h("p", { class: "empty quiet", key: "no-log" }, inWords(log.problem)[0]) : null,
      log.view,
    ];
  },
  drawn: () => log?.settle(),
  do: {
    mark: (number) => mark(Number(number.dataset.line)),
    next: () => log.find(text, false),
    previous: () => log.find(text, true),
    bottom() {
      log.following = true;
      log.settle();
    },
  },
  input: {
    line(field) {
      const line = Number(field.value);
      if (!(line >= 1 && line <= log.index.lines)) return;
      mark(line);
      log.go(line);
    },
    find(field) {
      text = field.value;
      log.marked = null;
      clearTimeout(log.typing);
      log.typing = setTimeout(() => log?.find(text, false), 250);
    },
  },
};
