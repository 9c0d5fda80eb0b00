// What one tier has and another one has not: commits, artifacts, definition.

import { h, sign, link, paths, segment } from "./dom.js";
import { ask } from "./live.js";
import { age, bytes, instead, lasting, prose, short } from "./words.js";

let found = null;

async function load({ parameters: [name], query, redraw }) {
  const from = query.get("from") ?? "", to = query.get("to") ?? "";
  const of = `${name}\n${from}\n${to}`;
  let answer;
  try {
    answer = await ask(`/api/pipelines/${segment(name)}/compare?${new URLSearchParams({ from, to })}`);
  } catch (problem) {
    answer = { problem };
  }
  found = { of, ...answer };
  redraw();
}

const choose = (which, chosen, tiers) => h("select", { "data-input": which, "aria-label": which === "from" ? "One tier" : "The other tier" }, tiers.map((tier) => h("option", { value: tier.name, selected: tier.name === chosen }, tier.name)));

function side(name, tier, one) {
  return h("div", { class: "cell none" }, h("span", { class: "cell-name" }, tier), one ? [h("a", { class: "version", href: paths.version(name, one.version) }, one.version), h("span", { class: "quiet" }, lasting(one.since), " · ", h("span", { class: "version" }, short(one.sha)))] : h("span", { class: "quiet" }, "nothing yet"));
}

function artifacts(rows, from, to) {
  if (!rows.length) return h("p", { class: "quiet" }, "The artifacts are the same.");
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Artifacts that differ" }, h("table", null, h("thead", null, h("tr", null, ["Artifact", `In ${from}`, `In ${to}`, "Difference"].map((one) => h("th", { scope: "col" }, one)))), h("tbody", null, rows.map((one) => h("tr", { key: one.path }, h("th", { scope: "row" }, one.path), h("td", null, one.from === undefined ? "–" : bytes(one.from)), h("td", null, one.to === undefined ? "–" : bytes(one.to)), h("td", { class: "quiet" }, one.from === undefined ? `only in ${to}` : one.to === undefined ? `only in ${from}` : "different content"))))));
}

export const page = {
  title: (name) => `Compare tiers of ${name}`,
  enter(context) {
    found = null;
    load(context);
  },
  again: load,
  event(event, context) {
    if (event.pipeline === context.parameters[0] && ["promote_complete", "rollback_complete"].includes(event.kind)) load(context);
  },
  draw({ state, parameters: [name], query }) {
    const pipeline = state.pipelines.find((one) => one.name === name);
    const from = query.get("from"), to = query.get("to");
    const bar = h("div", { class: "bar", key: "bar" }, h("div", null, h("p", { class: "quiet" }, link(paths.pipeline(name), name)), h("h1", null, "Compare tiers")), pipeline ? [choose("from", from, pipeline.tiers), h("span", { class: "quiet" }, "with"), choose("to", to, pipeline.tiers)] : null);
    if (!found) return [bar, h("p", { class: "quiet loading" }, "Comparing …")];
    if (found.problem) return [bar, instead("", found.problem)];
    const commits = (title, all, more) => h("section", { key: title }, h("h2", null, title), all.length ? h("ol", { class: "commits" }, all.map((one) => h("li", { key: one.sha }, h("span", { class: "version quiet" }, short(one.sha)), " ", one.subject, " ", h("span", { class: "quiet" }, `${one.author} `, age(one.at))))) : h("p", { class: "quiet" }, "None."), more ? h("p", { class: "quiet" }, "and more") : null);
    return [bar, h("div", { class: "way two-sides", key: "sides" }, side(name, from, found.from), side(name, to, found.to)),
      found.problem_of_git ? h("p", { class: "line wait", key: "git" }, sign("wait"), h("span", null, prose(found.problem_of_git))) : null,
      !found.from || !found.to ? h("p", { class: "quiet", key: "none" }, "There is nothing to compare: one of them has no version yet.") : found.from.sha === found.to.sha ? h("p", { class: "line good", key: "same" }, sign("good"), "Both have the same commit.") : [commits(`Only in ${to}`, found.ahead, found.ahead_more), commits(`Only in ${from}`, found.behind, found.behind_more)],
      found.from && found.to ? h("section", { key: "artifacts" }, h("h2", null, "Artifacts"), artifacts(found.artifacts, from, to)) : null,
      found.from && found.to ? h("section", { key: "definition" }, h("h2", null, "Definition"), found.definition_differs ? h("p", { class: "line wait" }, sign("wait"), "They passed under different definitions of the pipeline.") : h("p", { class: "quiet" }, "They passed under the same definition.")) : null];
  },
  input: {
    from: (field) => go("from", field.value),
    to: (field) => go("to", field.value),
  },
};

function go(which, value) {
  const query = new URLSearchParams(location.search);
  query.set(which, value);
  window.history.replaceState(null, "", `?${query}`);
  dispatchEvent(new PopStateEvent("popstate"));
}
