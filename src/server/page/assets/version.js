// A version's story: what it is made of, its way through the tiers with times, and everything that happened to it.

import { h, sign, link, paths, segment } from "./dom.js";
import { ask } from "./live.js";
import { deed, mayNot } from "./act.js";
import { stage, standing, waits } from "./pipeline.js";
import { line } from "./story.js";
import { age, bytes, counted, instead, prose, short, took, when } from "./words.js";

let story = null;
let asking = false;
let stale = false;

async function load({ parameters: [pipeline, version], redraw }) {
  if (asking) return void (stale = true);
  asking = true;
  stale = false;
  const of = `${pipeline}\n${version}`;
  try {
    story = { of, ...(await ask(`/api/pipelines/${segment(pipeline)}/versions/${segment(version)}`)) };
  } catch (problem) {
    story = { of, problem };
  }
  asking = false;
  redraw();
  if (stale) setTimeout(() => load({ parameters: [pipeline, version], redraw }), 300);
}

/** When it entered and passed each tier. */
function way(events, tier) {
  const of = events.filter((one) => one.tier === tier);
  const start = of.findLast((one) => one.kind === "promote_start");
  const end = of.findLast((one) => (one.kind === "promote_complete" || one.kind === "promote_failed") && (!start || one.id > start.id));
  return { start, end };
}

export const page = {
  title: (pipeline, version) => `${version} of ${pipeline}`,
  enter(context) {
    story = null;
    load(context);
  },
  again: load,
  event(event, context) {
    const [pipeline, version] = context.parameters;
    if (event.pipeline === pipeline && (event.version === version || event.sha === story?.version?.sha || event.kind === "step_event")) load(context);
  },
  draw(context) {
    const { state, parameters: [name, label] } = context;
    const pipeline = state.pipelines.find((one) => one.name === name);
    if (!story) return h("p", { class: "quiet loading" }, "Reading the journal …");
    if (story.problem) return [instead(label, story.problem), h("p", { class: "empty", key: "back" }, link(paths.pipeline(name), `All versions of ${name}`))];
    const version = story.version;
    const [tone, word] = stage(version);
    const groups = [["Build", story.events.filter((one) => !one.tier)]];
    for (const tier of pipeline?.tiers ?? []) groups.push([tier.name, story.events.filter((one) => one.tier === tier.name)]);
    const others = new Set(story.events.filter((one) => one.tier && !pipeline?.tiers.some((tier) => tier.name === one.tier)).map((one) => one.tier));
    for (const tier of others) groups.push([tier, story.events.filter((one) => one.tier === tier)]);
    return [
      h("div", { class: "bar", key: "bar" }, h("div", null, h("p", { class: "quiet" }, link(paths.pipeline(name), name)), h("h1", { class: "version" }, label),
        h("p", null, version.subject), h("p", { class: "quiet" }, h("span", { class: "version" }, short(version.sha)), ` by ${version.author}`, version.ref ? ` on ${version.ref.replace("refs/heads/", "").replace("refs/tags/", "")}` : "", version.by ? `, asked for by ${version.by}` : "", " ", age(version.at))),
        h("div", { class: "buttons" }, version.blocked ? deed("unblock", "Unblock …", { pipeline: name, version: label }) : deed("block", "Block everywhere …", { pipeline: name, version: label }))),
      mayNot(),
      version.blocked ? h("p", { class: "line bad", key: "blocked" }, sign("bad"), h("span", null, `Blocked by ${version.blocked.by}`, version.blocked.why ? [": ", prose(version.blocked.why)] : "")) : null,
      h("ol", { class: "way", key: "way" },
        h("li", { class: `cell ${tone}`, key: "build" }, h("span", { class: "cell-name" }, "build"), h("span", { class: "cell-next" }, sign(tone), h("b", null, word)), version.cause ? h("span", { class: "quiet" }, prose(version.cause)) : null),
        (pipeline?.tiers ?? []).map((tier) => {
          const [t, w] = standing(version.tiers[tier.name]);
          const { start, end } = way(story.events, tier.name);
          const lasted = start && end ? Date.parse(end.at) - Date.parse(start.at) : null;
          return h("li", { class: `cell ${t}`, key: tier.name }, h("span", { class: "cell-name" }, tier.name), h("span", { class: "cell-next" }, sign(t), h("b", null, w)),
            start ? h("span", { class: "quiet" }, "entered ", when(start.at)) : null, lasted !== null ? h("span", { class: "quiet" }, `took ${took(lasted)}`) : null);
        })),
      (pipeline?.tiers ?? []).flatMap((tier) => tier.waiting.filter((one) => one.version === label).map((one) => h("section", { class: "tier wait", key: `waits ${tier.name}` }, h("h2", null, tier.name), waits(pipeline, tier, one)))),
      version.artifacts.length ? h("details", { class: "part", key: "artifacts" }, h("summary", null, `${counted(version.artifacts.length, "artifact")}, ${bytes(version.artifacts.reduce((sum, one) => sum + (one.size), 0))}`),
        h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Artifacts" }, h("table", null, h("tbody", null, version.artifacts.map((one) => h("tr", { key: one.path }, h("th", { scope: "row" }, one.path), h("td", null, bytes(one.size)), h("td", { class: "version quiet" }, one.sha256.slice(0, 16)))))))) : null,
      groups.filter(([, events]) => events.length).map(([tier, events]) => h("section", { key: `story ${tier}` }, h("h2", null, tier), h("ol", { class: "events" }, events.map((one) => line(one, { where: false }))))),
      story.more ? h("p", { class: "quiet", key: "more" }, "There is more than is shown here; the whole is in the journal: ", h("code", null, `tidegate events --pipeline ${name}`)) : null,
    ];
  },
};
