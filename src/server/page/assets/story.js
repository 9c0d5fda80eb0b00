// An event in one line for people. Kinds that are not known are shown as they are.

import { h, sign, link, paths } from "./dom.js";
import { at, blockers, outcome, prose, FAILURES, took, span, bytes, short } from "./words.js";

const v = (event, label) => h("a", { class: "version", href: paths.version(event.pipeline, label) }, label);
const b = (text) => h("b", null, text);
const log = (event) => (event.run_id ? [" ", link(paths.run(event.run_id), `log ${event.run_id}`)] : null);
const retry = (event) => (event.will_retry ? ", tried again" : "");
const TONE = { pass: "good", fail: "bad", blocked: "wait" };
const ended = (end) => [outcome(end), end.message ? h("span", { class: "quiet" }, ": ", prose(end.message)) : null, h("span", { class: "quiet" }, ` ${took(end.elapsed_ms)}`)];

/** Each gives a tone and what is said. */
const SAID = {
  rebuild_requested: (e) => ["note", ["Build of ", h("span", { class: "version" }, short(e.sha)), " asked for: ", e.subject, " ", h("span", { class: "quiet" }, e.author)]],
  push_ignored: (e) => ["none", [`A push of ${short(e.sha)} was left out: `, prose(e.reason)]],
  build_aborted: (e) => ["none", [`The build of ${short(e.sha_aborted)} was ended`, e.by_sha ? `, ${short(e.by_sha)} took its place` : ""]],
  build_start: (e) => ["move", ["Build of ", v(e, e.version), " began"]],
  build_ok: (e) => ["good", [v(e, e.version), ` is built`, h("span", { class: "quiet" }, e.elapsed_s ? ` ${span(e.elapsed_s)}` : " in less than a second")]],
  build_failed: (e) => ["bad", ["The build of ", v(e, e.version), " failed: ", prose(e.cause)]],
  step_start: (e) => ["move", ["Step ", b(e.step), " began", log(e)]],
  step_done: (e) => [TONE[e.outcome.status], ["Step ", b(e.step), " ", ended(e.outcome), retry(e), log(e)]],
  gate_start: (e) => ["move", ["Gate ", b(e.name ?? e.gate), " began", log(e)]],
  gate_done: (e) => [TONE[e.outcome.status], ["Gate ", b(e.name ?? e.gate), " ", ended(e.outcome), retry(e), log(e)]],
  deploy_start: (e) => ["move", [v(e, e.version), " goes to node ", b(e.node), e.mode === "deploy" ? "" : ` (${e.mode})`, log(e)]],
  deploy_ok: (e) => ["good", [v(e, e.version), " is on node ", b(e.node), h("span", { class: "quiet" }, ` ${took(e.elapsed_ms ?? 0)}`), log(e)]],
  deploy_failed: (e) => ["bad", [v(e, e.version), " did not get to node ", b(e.node), `: ${FAILURES[e.failure] ?? e.failure}. `, prose(e.message), retry(e), log(e)]],
  promote_start: (e) => ["move", [v(e, e.version), " entered", e.by_hand ? " by hand" : ""]],
  promote_blocked: (e) => e.blockers.length ? ["wait", [v(e, e.version), e.stepped_back ? " stepped back in front of the tier: " : " does not enter yet: ", blockers(e.blockers)]] : ["note", [v(e, e.version), " waits for nothing any more"]],
  promote_complete: (e) => ["good", [v(e, e.version), " passed and is current", e.nodes?.length ? `; behind: ${e.nodes.join(", ")}` : ""]],
  promote_failed: (e) => ["bad", [v(e, e.version), ` is out (${e.end.replaceAll("_", " ")}): `, prose(e.cause)]],
  rollback: (e) => ["bad", ["Goes back from ", v(e, e.from), " to ", v(e, e.to), e.cause ? [": ", prose(e.cause)] : ""]],
  rollback_complete: (e) => ["good", ["Is back at ", v(e, e.version)]],
  rollback_failed: (e) => ["bad", ["Could not go back to ", v(e, e.version), " everywhere: ", prose(e.cause)]],
  superseded: (e) => ["none", [v(e, e.version), " no longer waits: ", v(e, e.by_version), " passed"]],
  manual_confirm: (e) => ["person", [b(e.by ?? "somebody"), " confirmed ", v(e, e.version), ` (${e.have} of ${e.need})`]],
  confirm_denied: (e) => ["bad", [b(e.by ?? "somebody"), " denied ", v(e, e.version)]],
  confirm_voided: (e) => ["wait", ["Confirmations of ", v(e, e.version), " no longer count: ", prose(e.reason)]],
  manual_action: (e) => ["person", [b(e.by ?? "somebody"), ` asked for ${e.action.replaceAll("_", " ")}`, e.version ? [" of ", v(e, e.version)] : "", e.node ? ` on ${e.node}` : "", e.lift ? ", lifting what only an admin may" : ""]],
  hold_set: (e) => ["hold", [b(e.by ?? "tidegate"), ` holds ${e.tier ? "the tier" : "the pipeline"}${e.of_rollback ? ", which went back" : ""}`]],
  hold_lifted: (e) => ["note", [b(e.by ?? "tidegate"), ` lifted the hold of ${e.tier ? "the tier" : "the pipeline"}`]],
  version_blocked: (e) => ["bad", [b(e.by ?? "somebody"), " blocked ", v(e, e.version)]],
  version_unblocked: (e) => ["note", [b(e.by ?? "somebody"), " unblocked ", v(e, e.version)]],
  pipeline_loaded: (e) => ["note", ["The definition was loaded ", h("span", { class: "version quiet" }, short(e.digest))]],
  pipeline_removed: () => ["note", ["The pipeline was removed"]],
  pipeline_rejected: (e) => ["bad", [`${e.file} was refused: `, prose(e.diagnostics?.[0]?.message)]],
  backup_fetched: (e) => ["good", [`A backup of ${bytes(e.byte_size)} was fetched from ${e.source}`]],
  step_event: (e) => ["note", [stepSaid(e.event), log(e)]],
  journal_restored: (e) => ["hold", [`Restored from a backup of ${e.taken_at}, up to event ${e.last}: every pipeline is held`]],
  controller_started: (e) => ["note", [`The controller started (${e.release})${e.kept ? `; runs that go on: ${e.kept.join(", ")}` : ""}`]],
  access_refused: (e) => ["note", [`Turned away: ${e.method} ${e.route}${e.by ? ` for ${e.by}` : ""}${e.from ? ` from ${e.from}` : ""}${e.count > 1 ? `, ${e.count} times` : ""} (${e.code})`]],
  controller_stopping: () => ["note", ["The controller stops"]],
  schedule_due: (e) => ["note", [`The clock asks for ${e.ref || "HEAD"}`]],
};

/** What a step said through `$TIDEGATE_EVENTS`, as texts and elements. */
export function stepSaid(said) {
  switch (said.kind) {
    case "progress": return `${said.percent}% ${said.note ?? ""}`;
    case "annotation": return [h("span", { class: "tag" }, said.level), " ", said.file ? h("code", null, `${said.file}${said.line ? `:${said.line}` : ""}`) : null, " ", said.message];
    case "metric": return `${said.name} = ${said.value} ${said.unit ?? ""}`;
    case "output": return `${said.key} = ${said.value}`;
    case "blocked": return ["cannot judge: ", prose(said.reason)];
    case "backup_fetched": return `fetched a backup of ${bytes(said.byte_size)} from ${said.source}`;
    case "node_locked": return said.by ? `waits for the node's lock, which ${said.by} holds` : "has the node's lock";
    default: return said.message ?? said.kind;
  }
}

/** Whether the line says the reason already, or the line of the rollback that holds the tier. */
const saidAlready = (event) => event.of_rollback || event.cause?.includes(event.why);

/** One event as a line of a list. */
export function line(event, { where = true } = {}) {
  const [tone, what] = (SAID[event.kind] ?? ((e) => ["note", [e.kind.replaceAll("_", " ")]]))(event);
  return h("li", { class: `event ${tone}`, key: event.id, id: `event-${event.id}` },
    h("span", { class: "event-at" }, at(event.at)), sign(tone === "note" ? "note" : tone),
    h("span", { class: "event-what" },
      where && event.pipeline ? h("span", { class: "event-where" }, link(paths.pipeline(event.pipeline), event.pipeline), event.tier ? ` / ${event.tier}` : "", " ") : null,
      what, event.by && !["manual_confirm", "confirm_denied", "manual_action", "hold_set", "hold_lifted", "version_blocked", "version_unblocked"].includes(event.kind) && !event.cause?.includes(event.by) ? h("span", { class: "quiet" }, ` by ${event.by}`) : null,
      event.why && !saidAlready(event) ? h("q", { class: "why" }, prose(event.why)) : null));
}

export const KINDS = Object.keys(SAID);
