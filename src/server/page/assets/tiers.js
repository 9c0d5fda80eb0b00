// What a tier comes to, in one sign and one clause: the same on every page, and as in the terminal (`src/words/brief.rs`).

import { blockers, asksPerson, prose, FAILURES } from "./words.js";

/** The moment at which the last of these lifts by itself; none: some wait for something else. */
const onlyTime = (waiting) => waiting.blockers.length && waiting.blockers.every((one) => one.until || one.opens);

const running = (all) => all.filter((one) => one.status === "running");

function within(gates, nodes) {
  const busy = running(nodes);
  const locked = busy.find((node) => node.blockers?.length);
  if (locked) return [`${locked.name}: `, ...blockers(locked.blockers)];
  if (busy.length || nodes.some((node) => node.status !== "waiting")) {
    const done = nodes.filter((node) => node.status === "ok").length;
    const failed = nodes.filter((node) => node.status === "failed").length;
    if (busy.length || done + failed < nodes.length)
      return [`${done} of ${nodes.length} nodes${failed ? `, ${failed} failed` : ""}`];
  }
  const gate = running(gates)[0];
  if (gate) return [`gate ${gate.name}`];
  const stuck = gates.find((one) => one.status === "blocked");
  return stuck ? [`gate ${stuck.name} could not judge`] : ["under way"];
}

/** Versions newer than the current one that were turned away here. */
export function turnedAway(pipeline, tier) {
  const found = [];
  for (const version of pipeline.versions) {
    if (tier.current && version.version === tier.current.version) break;
    const standing = version.tiers[tier.name];
    if (standing?.status === "rejected") found.push([version, standing.cause]);
  }
  return found;
}

/** The newest that was turned away here, if nothing newer waits: what is older is about to be replaced. */
function turnedAwayLast(pipeline, tier) {
  const waits = new Set(tier.waiting.map((one) => one.version));
  for (const version of pipeline.versions) {
    if (version.version === tier.current?.version || waits.has(version.version)) return null;
    const standing = version.tiers[tier.name];
    if (standing?.status === "rejected") return [version, standing.cause];
  }
  return null;
}

/** What is not right on nodes. */
export const badNodes = (tier) => tier.nodes.filter((node) => node.rejected || node.behind || (node.failure && !node.changing));

/**
 * `tone`: good, move, wait, person, hold, bad or none; `word`: that in a word; `detail`: texts and elements; `version`:
 * the one that it is about. `links`: whether logs may be linked.
 */
export function look(pipeline, tier, links = true) {
  const { inside, going_back: back, redeploy, waiting } = tier;
  if (back)
    return { tone: "bad", shape: "back", word: back.failed ? "could not go back" : "goes back", version: back.to,
      detail: [`from ${back.from}, `, ...within(back.gates, back.nodes)] };
  if (inside) {
    if (inside.ending) return { tone: "move", word: "is ended", version: inside.version, detail: prose(inside.ending, links) };
    const stuck = inside.blockers.length && !running(inside.gates).length && !running(inside.nodes).length;
    if (stuck) return { tone: "wait", word: "stuck inside", version: inside.version, detail: blockers(inside.blockers) };
    return { tone: "move", word: "inside", version: inside.version, detail: within(inside.gates, inside.nodes) };
  }
  if (redeploy) return { tone: "move", word: "redeploys", version: redeploy.version, detail: within([], redeploy.nodes) };
  if (tier.adopting) return { tone: "move", word: "adopts", version: tier.adopting, detail: ["once it is built"] };
  const bad = badNodes(tier);
  if (bad.length) {
    const first = bad[0];
    const what = first.rejected ? "has a rejected version" : first.failure ? FAILURES[first.failure] ?? first.failure : "is behind";
    return { tone: "bad", word: "not right", version: first.version ?? "", detail: [`${first.name} ${what}`, bad.length > 1 ? ` and ${bad.length - 1} more` : ""] };
  }
  const hold = tier.hold ?? pipeline.hold;
  // Who holds it knows.
  const away = hold ? null : turnedAwayLast(pipeline, tier);
  if (away) return { tone: "bad", word: "rejected", version: away[0].version, detail: prose(away[1], links) };
  const asked = waiting.findLast((one) => one.blockers.some(asksPerson));
  if (asked) return { tone: "person", word: "waits for a person", version: asked.version, detail: blockers(asked.blockers) };
  if (hold) return { tone: "hold", word: "held", version: "", detail: [`by ${hold.by}`, hold.why ? [": ", prose(hold.why, links)] : ""] };
  const next = waiting.at(-1);
  if (next)
    return { tone: "wait", word: onlyTime(next) ? "waits" : next.blockers.length ? "waits for" : "enters next", version: next.version,
      detail: blockers(next.blockers) };
  if (tier.current) return { tone: "good", word: "current", version: tier.current.version, detail: [] };
  return { tone: "none", word: "nothing yet", version: "", detail: [] };
}

/** The newest build, when it says something that tiers do not. */
export function buildLook(pipeline) {
  const { build, queue } = pipeline;
  if (build) {
    const step = build.steps.find((one) => one.status === "running");
    return { tone: "move", word: build.canceled ? "is ended" : "builds", version: build.version, detail: step ? [`step ${step.name}`] : [] };
  }
  if (queue.length) return { tone: "wait", word: "to be built", version: queue[0].sha.slice(0, 8), detail: blockers(queue[0].blockers) };
  const newest = pipeline.versions[0];
  if (newest?.stage === "failed") return { tone: "bad", word: "build failed", version: newest.version, detail: prose(newest.cause) };
  return null;
}

/** From what wants attention most to what wants none, as in the terminal. */
const ORDER = ["bad", "person", "move", "hold", "wait", "good", "none"];

/** What of a pipeline wants attention most, in a tone: the same as in the terminal (`attention` in `src/words/brief.rs`). */
export function attention(pipeline) {
  const { build, rejected, definition, hold, queue, versions } = pipeline;
  const made = build ? "move" : rejected.length ? "bad" : !definition ? "none" : hold ? "hold" : queue.length ? "wait" : versions[0]?.stage === "failed" ? "bad" : versions.length ? "good" : "none";
  const tones = [...pipeline.tiers.map((tier) => look(pipeline, tier).tone), made];
  return ORDER[Math.min(...tones.map((tone) => ORDER.indexOf(tone)))];
}

/** What wants attention most comes first; the rest as it was. */
export const byAttention = (pipelines) => {
  const rank = new Map(pipelines.map((one) => [one, ORDER.indexOf(attention(one))]));
  return [...pipelines].sort((a, b) => rank.get(a) - rank.get(b));
};

/** Whether something of it moves: what is held or waits does not. */
export const inMotion = (pipeline) => Boolean(pipeline.build) || pipeline.tiers.some((tier) => look(pipeline, tier).tone === "move");

/** What of a pipeline waits for a person. */
export const asksPeople = (pipeline) =>
  pipeline.tiers.flatMap((tier) => tier.waiting.filter((waiting) => waiting.blockers.some(asksPerson)).map((waiting) => ({ pipeline, tier, waiting })));

/** What no person steers any more: removed, and nothing of it goes on. */
export const isHistory = (pipeline) =>
  !pipeline.definition && !pipeline.build && !pipeline.tiers.some((tier) => tier.inside || tier.going_back || tier.redeploy);
