// What happened, newest first, from the journal: filtered, searched, and live at its top. The audit list is the same of
// what people did and of what they were refused.

import { h, sign } from "./dom.js";
import { ask } from "./live.js";
import { line, KINDS } from "./story.js";
import { said } from "./words.js";

const PAGE = 100;

const GROUPS = {
  "": "Everything but steps",
  promote: "Promotions", deploy: "Deploys", gate: "Gates", build: "Builds", by: "By hand", definition: "Definitions", all: "Everything",
};
const KINDS_OF = {
  "": KINDS.filter((kind) => !/^(step|gate_start|deploy_start|build_start|schedule)/.test(kind)),
  promote: ["promote_*", "rollback*", "superseded"], deploy: ["deploy_*"], gate: ["gate_*"],
  build: ["build_*", "rebuild_requested", "push_ignored", "step_*"],
  by: ["manual_*", "confirm_*", "hold_*", "version_blocked", "version_unblocked"],
  definition: ["pipeline_*"], all: [],
};
const fits = (kinds, kind) => !kinds.length || kinds.some((one) => (one.endsWith("*") ? kind.startsWith(one.slice(0, -1)) : one === kind));

class List {
  constructor(base) {
    this.base = base;
    this.reset();
  }
  reset() {
    this.events = [];
    this.before = null;
    this.done = false;
    this.problem = null;
    this.number = (this.number ?? 0) + 1;
  }
  path(filter) {
    const query = new URLSearchParams({ limit: PAGE });
    if (this.before) query.set("before", this.before);
    if (filter.pipeline) query.append("pipeline", filter.pipeline);
    if (filter.text) query.set("text", filter.text);
    if (filter.by) query.set("by", "true");
    for (const kind of filter.kinds) query.append("kind", kind);
    return `/api/history?${query}`;
  }
  async more(filter, redraw) {
    if (this.asking || this.done) return;
    this.asking = true;
    const number = this.number;
    try {
      const page = await ask(this.path(filter));
      if (number === this.number) {
        this.events.push(...page.events);
        this.before = page.before ?? null;
        this.done = page.before === undefined || page.before === null;
      }
    } catch (problem) {
      if (number === this.number) this.problem = problem;
    }
    this.asking = false;
    redraw();
    if (number !== this.number) this.more(filter, redraw);
  }
}

function make(title, filterOf, controls, { about, empty }) {
  const list = new List();
  const view = { group: "", pipeline: "", text: "" };
  let typing = 0;
  const filter = () => filterOf(view);
  const again = ({ redraw }) => (list.reset(), list.more(filter(), redraw));
  return {
    title: () => title,
    enter(context) {
      view.pipeline = context.query.get("pipeline") ?? view.pipeline;
      again(context);
    },
    again(context) {
      if (list.problem && !list.events.length) again(context);
      list.problem = null;
    },
    event(event) {
      const wanted = filter();
      if (!event.id || !fits(wanted.kinds, event.kind) || (wanted.by && !event.by)) return;
      if (wanted.pipeline && event.pipeline !== wanted.pipeline) return;
      if (wanted.text && !JSON.stringify(event).toLowerCase().includes(wanted.text.toLowerCase())) return;
      if (!list.events.some((one) => one.id === event.id)) list.events.unshift(event);
    },
    draw({ state }) {
      return [
        h("div", { class: "bar", key: "bar" }, h("h1", null, title), controls(view, state),
          h("input", { type: "search", id: "find", placeholder: "Search  ( / )", "aria-label": "Search", "data-input": "text", value: view.text, autocomplete: "off", spellcheck: "false" })),
        about ? h("p", { class: "quiet", key: "about" }, about) : null,
        list.problem ? h("p", { class: "line bad", key: "problem" }, sign("bad"), h("span", null, said(list.problem))) : null,
        h("ol", { class: "events", key: "events" }, list.events.map((one) => line(one))),
        list.events.length || list.asking || list.problem ? null : h("p", { class: "empty quiet", key: "empty" }, view.group || view.pipeline || view.text ? "Nothing fits." : empty),
        list.asking ? h("p", { class: "quiet", key: "asking" }, "Reading the journal …") : list.done || list.problem ? null : h("button", { type: "button", "data-do": "more", key: "more" }, "Older ones"),
      ];
    },
    do: { more: (_, { redraw }) => list.more(filter(), redraw) },
    input: {
      group: (field, context) => ((view.group = field.value), again(context)),
      pipeline: (field, context) => ((view.pipeline = field.value), again(context)),
      text(field, context) {
        view.text = field.value;
        clearTimeout(typing);
        typing = setTimeout(() => again(context), 250);
      },
    },
  };
}

const choose = (name, word, chosen, options) =>
  h("select", { "data-input": name, "aria-label": word }, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
const pipelines = (view, state) => choose("pipeline", "Pipeline", view.pipeline, [["", "Every pipeline"], ...state.pipelines.map((one) => [one.name, one.name])]);

export const page = make(
  "History",
  (view) => ({ pipeline: view.pipeline, text: view.text, kinds: KINDS_OF[view.group] }),
  (view, state) => [choose("group", "What", view.group, Object.entries(GROUPS)), pipelines(view, state)],
  { empty: "Nothing has happened yet." },
);

export const audit = make(
  "Audit",
  (view) => ({ pipeline: view.pipeline, text: view.text, kinds: [], by: true }),
  pipelines,
  { about: "Everything that a person or a token caused, with who and why, as it stands in the journal.", empty: "Nobody has caused anything yet." },
);
