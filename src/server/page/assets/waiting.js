// What waits for a person, everywhere, and what wants to be looked at, each with what lifts it.

import { h, sign, link, paths } from "./dom.js";
import { deed, mayNot } from "./act.js";
import { asksPeople, buildLook, turnedAway, badNodes, isHistory } from "./tiers.js";
import { waits } from "./pipeline.js";
import { counted, prose, FAILURES } from "./words.js";

const held = (hold, data) =>
  hold ? [h("p", { class: "line hold" }, sign("hold"), h("span", null, `held by ${hold.by}`, hold.why ? [": ", prose(hold.why)] : "")), h("div", { class: "buttons" }, deed("resume", "Resume …", data))] : null;
const rejected = ([one, cause], data) =>
  h("div", { class: "part", key: one.version }, h("p", { class: "line bad" }, sign("bad"), h("span", null, h("span", { class: "version" }, one.version), " rejected: ", prose(cause))),
    h("div", { class: "buttons" }, deed("retry", "Retry …", { ...data, version: one.version })));
const bad = (node, tier, data) =>
  h("div", { class: "part", key: node.name }, h("p", { class: "line bad" }, sign("bad"), h("span", null, "node ", h("b", null, node.name), ` ${node.rejected ? "has a rejected version" : node.behind ? "is behind" : FAILURES[node.failure] ?? node.failure}`)),
    tier.current && tier.deploys && !tier.inside ? h("div", { class: "buttons" }, deed("redeploy", "Redeploy …", { ...data, version: tier.current.version, node: node.name })) : null);

/** A whole pipeline that is held, or whose newest build failed. */
function whole(pipeline) {
  const data = { pipeline: pipeline.name };
  const made = buildLook(pipeline);
  const failed = made?.tone === "bad" ? [h("p", { class: "line bad" }, sign("bad"), h("span", null, "the build of ", h("a", { class: "version", href: paths.version(pipeline.name, made.version) }, made.version), " failed: ", made.detail)), h("div", { class: "buttons" }, deed("rebuild", "Rebuild …", data, { role: "trigger" }))] : null;
  if (!failed && !pipeline.hold) return null;
  return h("section", { class: `tier ${failed ? "bad" : "hold"}`, key: pipeline.name }, h("h2", null, link(paths.pipeline(pipeline.name), pipeline.name)), failed, held(pipeline.hold, data));
}

export const page = {
  title: () => "Waiting",
  draw({ state }) {
    const present = state.pipelines.filter((one) => !isHistory(one));
    const asked = present.flatMap(asksPeople);
    const where = ({ pipeline, tier }) => h("h2", null, link(paths.pipeline(pipeline.name), pipeline.name), " / ", link(`${paths.pipeline(pipeline.name)}#tier-${encodeURIComponent(tier.name)}`, tier.name));
    const wrong = present.flatMap((pipeline) => [whole(pipeline), ...pipeline.tiers.filter((tier) => tier.hold || badNodes(tier).length || turnedAway(pipeline, tier).length).map((tier) => {
      const data = { pipeline: pipeline.name, tier: tier.name };
      const away = turnedAway(pipeline, tier), nodes = badNodes(tier);
      return h("section", { class: `tier ${away.length || nodes.length ? "bad" : "hold"}`, key: `${pipeline.name}/${tier.name}` }, where({ pipeline, tier }),
        held(tier.hold, data), away.slice(0, 2).map((one) => rejected(one, data)), nodes.slice(0, 5).map((one) => bad(one, tier, data)));
    })]).filter(Boolean);
    const pipelines = new Set(asked.map((one) => one.pipeline)).size;
    return [
      h("div", { class: "bar", key: "bar" }, h("h1", null, "Waits for a person"), asked.length ? h("p", { class: "quiet" }, `${counted(asked.length, "version")} in ${counted(pipelines, "pipeline")}`) : null),
      mayNot(),
      asked.length ? asked.map((one) => h("section", { class: "tier person", key: `${one.pipeline.name}/${one.tier.name}/${one.waiting.version}` }, where(one), waits(one.pipeline, one.tier, one.waiting)))
        : h("div", { class: "empty", key: "none" }, h("h2", null, "Nothing waits for a person"), h("p", { class: "quiet" }, "Versions that need a confirmation or a promotion by hand are listed here.")),
      wrong.length ? h("p", { class: "quiet", key: "h" }, "Wants to be looked at:") : null,
      wrong,
    ];
  },
};
