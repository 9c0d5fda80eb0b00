// One pipeline: its tiers as a picture, each tier with what is in it, in front of it and on its nodes, and its versions.

import { h, sign, link, paths } from "./dom.js";
import { ask } from "./live.js";
import { deed, mayNot } from "./act.js";
import { graph } from "./graph.js";
import { look, buildLook, turnedAway } from "./tiers.js";
import { age, at, blocker, blockers, asksPerson, lasting, outcome, prose, FAILURES, short, until, counted, bytes, took } from "./words.js";

const MORE = 50;
let older = { of: "", versions: [], before: undefined, done: false };

const version = (pipeline, label) => h("a", { class: "version", href: paths.version(pipeline.name, label) }, label);
const TONES = { waiting: "none", running: "move", pass: "good", ok: "good", fail: "bad", failed: "bad", blocked: "wait" };
const WORDS = { waiting: "waits", running: "runs", pass: "passed", ok: "done", fail: "failed", failed: "failed", blocked: "could not judge" };

const runLink = (one) => { const run = one.run_id ?? one.last_run_id; return run ? link(paths.run(run), `log ${run}`) : null; };

function gate(one) {
  const tone = TONES[one.status];
  const said = one.outcome ? outcome(one.outcome) : WORDS[one.status];
  return h("li", { class: `line ${tone}`, key: `gate ${one.name}` }, sign(tone), h("span", null,
    h("b", null, one.name), " ", h("span", { class: "quiet" }, `${one.gate}${one.phase === "verify" ? ", after the deploy" : ""}${one.required ? "" : ", not required"}`), " ", said,
    one.outcome?.message ? h("span", { class: "quiet" }, ": ", prose(one.outcome.message)) : null,
    one.outcome && one.status !== "running" ? h("span", { class: "quiet" }, ` ${took(one.outcome.elapsed_ms)}`) : null,
    one.not_before ? [" tried again ", until(one.not_before)] : null, " ", runLink(one)));
}

function node(one) {
  const tone = TONES[one.status];
  return h("li", { class: `line ${tone}`, key: `node ${one.name}` }, sign(tone), h("span", null, h("b", null, one.name), " ",
    one.failure ? FAILURES[one.failure] ?? one.failure : WORDS[one.status], one.blockers?.length ? [": ", blockers(one.blockers)] : null,
    one.not_before ? [" tried again ", until(one.not_before)] : null, " ", runLink(one)));
}

function progress(nodes) {
  if (nodes.length < 2) return null;
  const share = (status) => (nodes.filter((one) => one.status === status).length / nodes.length) * 100;
  const done = nodes.filter((one) => one.status === "ok").length;
  return h("div", { class: "progress", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": nodes.length, "aria-valuenow": done, "aria-label": `${done} of ${nodes.length} nodes are done` },
    h("progress", { max: 100, value: share("ok"), "aria-hidden": "true" }), h("span", { class: "quiet" }, `${done} of ${nodes.length} nodes`));
}

function inside(pipeline, tier) {
  const one = tier.inside;
  if (!one) return null;
  return h("div", { class: "part" },
    h("h3", null, sign("move"), "Inside: ", version(pipeline, one.version), " ", h("span", { class: "quiet" }, lasting(one.at), one.by_hand ? ", by hand" : "")),
    one.ending ? h("p", { class: "line bad" }, sign("bad"), h("span", null, "is ended: ", prose(one.ending))) : null,
    one.blockers.length ? h("p", { class: "line wait" }, sign("wait"), h("span", null, blockers(one.blockers))) : null,
    progress(one.nodes),
    h("ul", { class: "lines" }, one.gates.filter((g) => g.phase === "check").map(gate), one.nodes.map(node), one.gates.filter((g) => g.phase !== "check").map(gate)),
    h("div", { class: "buttons" }, deed("cancel", "Cancel …", { pipeline: pipeline.name, tier: tier.name, version: one.version }), one.gates.some((g) => g.status === "blocked") ? deed("retry", "Try now …", { pipeline: pipeline.name, tier: tier.name, version: one.version }) : null));
}

function goingBack(pipeline, tier) {
  const one = tier.going_back;
  if (!one) return null;
  return h("div", { class: "part" },
    h("h3", null, sign("bad", "back"), "Goes back from ", version(pipeline, one.from), " to ", version(pipeline, one.to)),
    h("p", null, prose(one.cause)), progress(one.nodes), h("ul", { class: "lines" }, one.nodes.map(node), one.gates.map(gate)),
    one.failed ? h("div", { class: "buttons" }, deed("retry", "Try now …", { pipeline: pipeline.name, tier: tier.name, version: one.from })) : null);
}

/** What a retry judges anew, as in the terminal. */
const NOT_JUDGED = ["missing_tool", "step_says", "unreachable", "not_verified", "node_locked", "backup_stale"];

/** What lifts a wait, as buttons. */
function lifts(pipeline, tier, one) {
  const data = { pipeline: pipeline.name, tier: tier.name, version: one.version };
  const kinds = new Set(one.blockers.map((b) => b.kind));
  const confirms = kinds.has("confirm_missing");
  return h("div", { class: "buttons" },
    confirms ? deed("confirm", "Confirm …", data, { strong: true }) : null,
    ["manual", "soak", "window", "freeze", "not_promoted"].some((kind) => kinds.has(kind)) && !one.by_hand ? deed("promote", "Promote …", data, { strong: kinds.has("manual") && !confirms }) : null,
    confirms || kinds.has("manual") ? deed("deny", "Deny …", data) : null,
    ["rejected", "gate_failed", ...NOT_JUDGED].some((kind) => kinds.has(kind)) ? deed("retry", "Retry …", data) : null,
    kinds.has("version_blocked") ? deed("unblock", "Unblock …", { pipeline: pipeline.name, version: one.version }) : null);
}

export function waits(pipeline, tier, one) {
  const tone = one.blockers.some(asksPerson) ? "person" : "wait";
  return h("div", { class: "part", key: `waits ${one.version}` },
    h("h3", null, sign(tone), "Waits: ", version(pipeline, one.version), one.by_hand ? h("span", { class: "quiet" }, " let in by hand") : null),
    one.blockers.length ? h("ul", { class: "reasons" }, one.blockers.map((b) => h("li", { key: b.kind }, blocker(b), b.kind === "step_says" && b.help ? h("span", { class: "quiet" }, " (", prose(b.help), ")") : null))) : h("p", { class: "quiet" }, "enters next"),
    one.confirmations?.length ? h("p", { class: "quiet" }, "Confirmed by ", one.confirmations.map((word, place) => [place ? ", " : "", h("b", null, word.by), " ", age(word.at), word.until ? [", counts ", until(word.until)] : ""])) : null,
    lifts(pipeline, tier, one));
}

function nodes(pipeline, tier) {
  if (!tier.nodes.length) return null;
  const tone = (one) => (one.rejected || one.failure ? "bad" : one.changing ? "move" : one.behind ? "wait" : one.version ? "good" : "none");
  const word = (one) => one.changing ? `changes to ${one.changing}` : one.rejected ? ["rejected: ", prose(one.rejected)] : one.failure ? FAILURES[one.failure] ?? one.failure : one.behind ? "behind" : one.version ? "as it should be" : "nothing known";
  const wrong = tier.nodes.filter((one) => tone(one) === "bad" || tone(one) === "wait").length;
  return h("details", { class: "part", open: wrong > 0 || tier.nodes.length <= 4 },
    h("summary", null, counted(tier.nodes.length, "node"), wrong ? `, ${wrong} not right` : ""),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Nodes of ${tier.name}` }, h("table", null, h("thead", null, h("tr", null, ["Node", "Version", "Changed", "State", ""].map((one) => (one ? h("th", { scope: "col" }, one) : h("td", null))))),
      h("tbody", null, tier.nodes.map((one) => h("tr", { key: one.name }, h("th", { scope: "row" }, one.name, one.removed ? h("span", { class: "tag" }, "removed") : null),
        h("td", null, one.version ? version(pipeline, one.version) : "–"), h("td", null, one.at ? age(one.at) : "–"), h("td", { class: `line ${tone(one)}` }, sign(tone(one)), word(one)),
        h("td", null, tier.current && !one.removed && (one.behind || one.failure) ? deed("redeploy", "Redeploy …", { pipeline: pipeline.name, tier: tier.name, version: tier.current.version, node: one.name }) : null)))))));
}

function tierPart(pipeline, tier, before) {
  const seen = look(pipeline, tier);
  const data = { pipeline: pipeline.name, tier: tier.name };
  const away = turnedAway(pipeline, tier).slice(0, 3);
  const leaves = tier.inside?.version ?? tier.current?.version;
  return h("section", { class: `tier ${seen.tone}`, id: `tier-${tier.name}`, key: tier.name, "aria-label": `tier ${tier.name}` },
    h("div", { class: "tier-head" },
      h("h2", null, sign(seen.tone, seen.shape), tier.name, tier.removed ? h("span", { class: "tag" }, "removed") : null, tier.mode === "manual" ? h("span", { class: "tag" }, "by hand") : null),
      h("p", null, tier.current ? [version(pipeline, tier.current.version), " ", h("span", { class: "quiet" }, lasting(tier.current.since))] : h("span", { class: "quiet" }, "nothing yet")),
      h("div", { class: "buttons" },
        before && tier.current ? link(paths.compare(pipeline.name, tier.name, before), `compare with ${before}`) : null,
        leaves && (tier.inside || tier.rollback_to) ? deed("rollback", "Roll back …", { ...data, version: leaves }) : null,
        tier.current && tier.deploys && !tier.inside ? deed("redeploy", "Redeploy …", { ...data, version: tier.current.version }) : null,
        tier.hold ? deed("resume", "Resume …", data, { strong: true }) : deed("hold", "Hold …", data))),
    tier.hold ? h("p", { class: "line hold" }, sign("hold"), h("span", null, `Held by ${tier.hold.by} `, age(tier.hold.at), tier.hold.why ? [": ", prose(tier.hold.why)] : "", tier.hold.of_rollback ? ". A version promoted by hand that passes lifts it." : "")) : null,
    tier.went_back ? h("p", { class: "line wait" }, sign("wait", "back"), h("span", null, "Went back from ", version(pipeline, tier.went_back.from), " to ", version(pipeline, tier.went_back.to), " ", age(tier.went_back.at), ": ", prose(tier.went_back.cause))) : null,
    inside(pipeline, tier), goingBack(pipeline, tier),
    tier.redeploy ? h("div", { class: "part" }, h("h3", null, sign("move"), "Redeploys ", version(pipeline, tier.redeploy.version)), progress(tier.redeploy.nodes), h("ul", { class: "lines" }, tier.redeploy.nodes.map(node))) : null,
    tier.waiting.map((one) => waits(pipeline, tier, one)).reverse(),
    away.map(([one, cause]) => h("div", { class: "part", key: `away ${one.version}` }, h("p", { class: "line bad" }, sign("bad"), h("span", null, "Rejected: ", version(pipeline, one.version), " ", prose(cause))), h("div", { class: "buttons" }, deed("retry", "Retry …", { ...data, version: one.version })))),
    nodes(pipeline, tier),
    tier.backups?.length ? h("details", { class: "part" }, h("summary", null, counted(tier.backups.length, "backup")), h("ul", null, tier.backups.map((one, place) => h("li", { key: place }, at(one.at), ` ${bytes(one.byte_size)} from ${one.source} for `, version(pipeline, one.version))))) : null);
}

const STAGES = { building: ["move", "builds"], built: ["good", "built"], failed: ["bad", "build failed"], aborted: ["none", "aborted"], adopted: ["good", "adopted"] };
const STANDINGS = { waiting: ["wait", "waits"], inside: ["move", "inside"], going_back: ["bad", "goes back"], rejected: ["bad", "rejected"], superseded: ["none", "superseded"] };
export const standing = (one) => (one === undefined ? ["none", "not there yet"] : one.status === "passed" ? ["good", one.current ? "current" : "passed"] : STANDINGS[one.status]);
export const stage = (one) => STAGES[one.stage];

function versions(pipeline) {
  const own = older.of === pipeline.name ? older.versions.filter((one) => one.order < (pipeline.versions.at(-1)?.order ?? Infinity)) : [];
  const all = [...pipeline.versions, ...own];
  const more = own.length ? !older.done : pipeline.older_before !== undefined;
  return h("section", { id: "versions", key: "versions" }, h("h2", null, "Versions"),
    all.length ? h("div", { class: "scroll" }, h("table", { class: "versions" },
      h("thead", null, h("tr", null, ["Version", "Commit", "Asked for", "Build", ...pipeline.tiers.map((tier) => tier.name)].map((one) => h("th", { scope: "col" }, one)))),
      h("tbody", null, all.map((one) => { const [tone, word] = stage(one); return h("tr", { key: one.version },
        h("th", { scope: "row" }, version(pipeline, one.version), one.blocked ? h("span", { class: "tag" }, "blocked") : null),
        h("td", { class: "clip" }, h("span", { class: "version quiet" }, short(one.sha)), " ", one.subject, " ", h("span", { class: "quiet" }, one.author)),
        h("td", null, age(one.at)), h("td", { class: `line ${tone}` }, sign(tone), word),
        pipeline.tiers.map((tier) => { const [t, w] = standing(one.tiers[tier.name]); return h("td", { class: `line ${t}` }, one.tiers[tier.name] ? [sign(t), w] : h("span", { class: "quiet" }, "–")); })); })))) : h("p", { class: "empty quiet" }, "No version was built yet: push one, or rebuild."),
    more ? h("button", { type: "button", "data-do": "more" }, "Older ones") : null);
}

export const page = {
  title: (name) => name,
  draw({ state, parameters: [name] }) {
    const pipeline = state.pipelines.find((one) => one.name === name);
    if (!pipeline) return h("div", { class: "empty" }, h("h1", null, "No such pipeline"), h("p", null, "There is no pipeline ", h("code", null, name), ". ", link("/", "Back to the board")));
    const made = buildLook(pipeline);
    const running = pipeline.build;
    const { definition } = pipeline;
    return [
      h("div", { class: "bar", key: "bar" }, h("div", null, h("h1", null, pipeline.name), pipeline.description ? h("p", { class: "quiet" }, pipeline.description) : null,
        h("p", { class: "quiet" }, definition ? [h("span", { class: "version" }, definition.repo), definition.refs.length ? ` ${definition.refs.join(", ")}` : "", " · ", link(paths.definition(pipeline.name), definition.file)] : "removed; what is inside finishes")),
        h("div", { class: "buttons" }, definition ? deed("rebuild", "Rebuild …", { pipeline: name }, { role: "trigger" }) : null, pipeline.hold ? deed("resume", "Resume …", { pipeline: name }, { strong: true }) : deed("hold", "Hold all …", { pipeline: name }))),
      mayNot(),
      pipeline.hold ? h("p", { class: "line hold", key: "hold" }, sign("hold"), h("span", null, `The pipeline is held by ${pipeline.hold.by} `, age(pipeline.hold.at), pipeline.hold.why ? [": ", prose(pipeline.hold.why)] : "")) : null,
      pipeline.rejected.length ? h("p", { class: "line bad", key: "rejected" }, sign("bad"), h("span", null, "Its file as it is now does not load; the last good definition stays. ", link(paths.definition(name), "What is wrong with it"))) : null,
      definition?.unsupported?.length ? h("p", { class: "line bad", key: "unsupported" }, sign("bad"), `This release does not execute ${definition.unsupported.join(", ")}: every tier stays shut.`) : null,
      h("div", { class: "scroll graph-place", key: "graph" }, graph(pipeline)),
      made ? h("section", { class: `tier ${made.tone}`, key: "build", "aria-label": "build" }, h("div", { class: "tier-head" }, h("h2", null, sign(made.tone), "build"), h("p", null, h("b", null, made.word), " ", made.tone === "wait" ? h("span", { class: "version" }, made.version) : version(pipeline, made.version), " ", h("span", { class: "quiet" }, made.detail)), h("div", { class: "buttons" }, running ? deed("cancel", "Cancel …", { pipeline: name, version: running.version }) : null)),
        running ? h("ul", { class: "lines" }, running.steps.map((one) => { const tone = TONES[one.status]; return h("li", { class: `line ${tone}`, key: one.name }, sign(tone), h("span", null, h("b", null, one.name), " ", one.outcome ? outcome(one.outcome) : WORDS[one.status], " ", runLink(one))); })) : null,
        pipeline.queue.length ? h("p", { class: "quiet" }, `${pipeline.queue.length} to be built: `, pipeline.queue.map((one) => short(one.sha)).join(", ")) : null) : null,
      pipeline.schedules?.length ? h("ul", { class: "lines", key: "clock" }, pipeline.schedules.map((one) => h("li", { class: "line none", key: one.cron }, sign("wait"), h("span", null, "The clock builds ", h("code", null, one.ref || "HEAD"), " ", one.next ? ["next ", until(one.next)] : "never", h("span", { class: "quiet" }, ` (${one.cron}, ${one.zone})`))))) : null,
      h("div", { class: "tiers", key: "tiers" }, pipeline.tiers.map((tier) => tierPart(pipeline, tier, tier.after[0]))),
      versions(pipeline),
    ];
  },
  do: {
    async more(button, { state, parameters: [name], redraw }) {
      const pipeline = state.pipelines.find((one) => one.name === name);
      if (older.of !== name) older = { of: name, versions: [], before: pipeline.older_before, done: false };
      const { pipeline: next } = await ask(`/api/pipelines/${encodeURIComponent(name)}?limit=${MORE}&before=${older.before}`);
      older.versions.push(...next.versions);
      older.before = next.older_before;
      older.done = next.older_before === undefined;
      redraw();
    },
  },
};
