// What waits for a person, everywhere; first what whoever is signed in may lift.

import { h, sign, link, paths } from "./dom.js";
import { waitingForPeople, turnedAway, badNodes, isHistory } from "./tiers.js";
import { waits } from "./pipeline.js";

export const page = {
  title: () => "Waiting",
  draw({ state }) {
    const asked = waitingForPeople(state);
    const wrong = state.pipelines.filter((one) => !isHistory(one)).flatMap((pipeline) => pipeline.tiers.filter((tier) => tier.hold || badNodes(tier).length || turnedAway(pipeline, tier).length).map((tier) => ({ pipeline, tier })));
    const where = ({ pipeline, tier }) => h("h2", null, link(paths.pipeline(pipeline.name), pipeline.name), " / ", link(`${paths.pipeline(pipeline.name)}#tier-${encodeURIComponent(tier.name)}`, tier.name));
    return [
      h("div", { class: "bar", key: "bar" }, h("h1", null, "Waits for a person")),
      asked.length ? asked.map((one) => h("section", { class: "tier person", key: `${one.pipeline.name}/${one.tier.name}/${one.waiting.version}` }, where(one), waits(one.pipeline, one.tier, one.waiting)))
        : h("div", { class: "empty", key: "none" }, h("h2", null, "Nothing waits for a person"), h("p", { class: "quiet" }, "Versions that need a confirmation or a promotion by hand are listed here.")),
      wrong.length ? h("p", { class: "quiet", key: "h" }, "Wants to be looked at:") : null,
      wrong.map(({ pipeline, tier }) => h("section", { class: "tier bad", key: `${pipeline.name}/${tier.name}` }, where({ pipeline, tier }),
        tier.hold ? h("p", { class: "line hold" }, sign("hold"), `held by ${tier.hold.by}${tier.hold.why ? `: ${tier.hold.why}` : ""}`) : null,
        turnedAway(pipeline, tier).slice(0, 2).map(([version, cause]) => h("p", { class: "line bad", key: version.version }, sign("bad"), h("span", null, h("span", { class: "version" }, version.version), ` rejected: ${cause}`))),
        badNodes(tier).slice(0, 5).map((node) => h("p", { class: "line bad", key: node.name }, sign("bad"), `node ${node.name} ${node.rejected ? "has a rejected version" : node.behind ? "is behind" : node.failure}`)))),
    ];
  },
};
