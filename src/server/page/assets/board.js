// The board: a row a pipeline, a cell a tier.

import { h, sign, link, paths } from "./dom.js";
import { look, buildLook, urgency, isHistory } from "./tiers.js";
import { age, counted } from "./words.js";
import { trouble } from "./frame.js";

const view = { text: "", only: "all" };

const FILTERS = [
  ["all", "All"],
  ["3", "Trouble"],
  ["2", "Waits for a person"],
  ["1", "In motion"],
];

function cell(pipeline, tier) {
  const seen = look(pipeline, tier);
  const current = tier.current?.version;
  return h(
    "li",
    { class: `cell ${seen.tone}`, key: tier.name },
    h("a", { class: "whole", href: `${paths.pipeline(pipeline.name)}#tier-${encodeURIComponent(tier.name)}` },
      h("span", { class: "cell-name" }, tier.name, tier.hold ? h("span", { class: "tag" }, "held") : null),
      h("span", { class: "cell-now" }, current ? [h("span", { class: "version" }, current), " ", h("span", { class: "quiet" }, age(tier.current.since))] : h("span", { class: "quiet" }, "nothing yet")),
      seen.tone === "none" ? null : h("span", { class: "cell-next" }, sign(seen.tone, seen.shape),
        h("span", { class: "clip" }, h("b", null, seen.word), seen.version && seen.version !== current ? [" ", h("span", { class: "version" }, seen.version)] : null, seen.detail.length ? [" ", h("span", { class: "quiet" }, seen.detail)] : null)),
    ),
  );
}


function row(pipeline) {
  const made = buildLook(pipeline);
  return h(
    "section",
    { class: "row", key: pipeline.name, "aria-label": pipeline.name },
    h("div", { class: "row-head" },
      h("h2", null, link(paths.pipeline(pipeline.name), pipeline.name)),
      pipeline.description ? h("p", { class: "quiet clip" }, pipeline.description) : null,
      pipeline.rejected.length ? h("p", { class: "line bad" }, sign("bad"), link(paths.definition(pipeline.name), "its file is refused")) : null,
      pipeline.hold ? h("p", { class: "line hold" }, sign("hold"), `held by ${pipeline.hold.by}`) : null,
      made ? h("p", { class: `line ${made.tone}` }, sign(made.tone), h("span", { class: "clip" }, h("b", null, made.word), " ", h("span", { class: "version" }, made.version), " ", h("span", { class: "quiet" }, made.detail))) : null),
    h("ol", { class: "cells" }, pipeline.tiers.map((tier) => cell(pipeline, tier)),
      pipeline.tiers.length ? null : h("li", { class: "cell none" }, h("span", { class: "quiet" }, "no tiers: it only builds"))),
  );
}

function wanted(pipeline) {
  const text = view.text.toLowerCase();
  const known = [pipeline.name, pipeline.description ?? "", ...pipeline.tiers.map((tier) => tier.current?.version ?? "")];
  if (text && !known.some((one) => one.toLowerCase().includes(text))) return false;
  return view.only === "all" || urgency(pipeline) === Number(view.only);
}

export const page = {
  title: () => "Board",
  draw({ state }) {
    const present = state.pipelines.filter((one) => !isHistory(one));
    const history = state.pipelines.filter(isHistory);
    const shown = present.filter(wanted);
    const count = (only) => (only === "all" ? present.length : present.filter((one) => urgency(one) === Number(only)).length);
    return [
      trouble(state),
      h("div", { class: "bar", key: "bar" },
        h("h1", null, "Board"),
        h("div", { class: "choice", role: "group", "aria-label": "Which pipelines" }, FILTERS.map(([only, word]) =>
          h("button", { type: "button", "data-do": "only", "data-only": only, "aria-pressed": String(view.only === only) }, word, " ", h("span", { class: "count" }, count(only))))),
        h("input", { type: "search", id: "find", placeholder: "Find a pipeline or version  ( / )", "aria-label": "Find a pipeline or version", "data-input": "find", autocomplete: "off", spellcheck: "false" })),
      h("div", { class: "rows", key: "rows" }, shown.map(row),
        present.length ? null : h("div", { class: "empty", key: "empty" }, h("h2", null, "No pipeline is loaded yet"), h("p", null, "Put a TOML file into the controller's ", h("code", null, "pipelines"), " folder; ", h("code", null, "tidegate init"), " writes a first one.")),
        present.length && !shown.length ? h("p", { class: "empty quiet", key: "nothing" }, "Nothing fits.") : null),
      history.length ? h("details", { class: "history", key: "history" }, h("summary", null, counted(history.length, "removed pipeline")), h("ul", null, history.map((one) => h("li", { key: one.name }, link(paths.pipeline(one.name), one.name))))) : null,
    ];
  },
  do: {
    only: (button) => void (view.only = button.dataset.only),
  },
  input: {
    find: (field) => void (view.text = field.value),
  },
};

