// The board: a row a pipeline, a cell a tier.

import { h, sign, link, paths } from "./dom.js";
import { look, buildLook, attention, byAttention, asksPeople, inMotion, isHistory } from "./tiers.js";
import { age, counted } from "./words.js";
import { trouble } from "./frame.js";

const view = { text: "", only: "" };

/** Name in the address, word, and which pipelines are meant. */
const FILTERS = [
  ["", "All", () => true],
  ["trouble", "Trouble", (pipeline) => attention(pipeline) === "bad"],
  ["person", "Waits for a person", (pipeline) => asksPeople(pipeline).length > 0],
  ["motion", "In motion", inMotion],
];
const chosen = () => FILTERS.find(([name]) => name === view.only) ?? FILTERS[0];

function cell(pipeline, tier) {
  // All of it is a link: others have no place in it.
  const seen = look(pipeline, tier, false);
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
  return chosen()[2](pipeline);
}

/** What is chosen stands in the address, so that it can be kept, sent, and come back to. */
function remember() {
  const query = new URLSearchParams(Object.entries({ show: view.only, find: view.text }).filter(([, value]) => value));
  window.history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

export const page = {
  title: () => "Board",
  enter({ query }) {
    view.only = query.get("show") ?? "";
    view.text = query.get("find") ?? "";
  },
  draw({ state }) {
    const present = state.pipelines.filter((one) => !isHistory(one));
    const history = state.pipelines.filter(isHistory);
    const shown = byAttention(present.filter(wanted));
    return [
      trouble(state),
      h("div", { class: "bar", key: "bar" },
        h("h1", null, "Board"),
        h("div", { class: "choice", role: "group", "aria-label": "Which pipelines" }, FILTERS.map(([only, word, fits]) =>
          h("button", { type: "button", "data-do": "only", "data-only": only, "aria-pressed": String(chosen()[0] === only) }, word, " ", h("span", { class: "count" }, present.filter(fits).length)))),
        h("input", { type: "search", id: "find", placeholder: "Find a pipeline or version  ( / )", "aria-label": "Find a pipeline or version", "data-input": "find", value: view.text, autocomplete: "off", spellcheck: "false" })),
      h("div", { class: "rows", key: "rows" }, shown.map(row),
        present.length ? null : h("div", { class: "empty", key: "empty" }, h("h2", null, "No pipeline is loaded yet"), h("p", null, "Put a TOML file into the controller's ", h("code", null, "pipelines"), " folder; ", h("code", null, "tidegate init"), " writes a first one.")),
        present.length && !shown.length ? h("p", { class: "empty quiet", key: "nothing" }, "Nothing fits.") : null),
      history.length ? h("details", { class: "history", key: "history" }, h("summary", null, counted(history.length, "removed pipeline")), h("ul", null, history.map((one) => h("li", { key: one.name }, link(paths.pipeline(one.name), one.name))))) : null,
    ];
  },
  do: {
    only: (button) => ((view.only = button.dataset.only), remember()),
  },
  input: {
    find: (field) => ((view.text = field.value), remember()),
  },
};
