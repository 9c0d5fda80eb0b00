// How things are said: blockers, times, spans, sizes. The command line says the same.

import { h, link, paths } from "./dom.js";
import { now } from "./live.js";

const HOUR = 3600, DAY = 86400;

/** A span of seconds in its two largest units: `3h 20m`. */
export function span(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  const d = Math.floor(all / DAY), hours = Math.floor(all / HOUR) % 24, m = Math.floor(all / 60) % 60;
  if (d) return `${d}d ${hours}h`;
  if (hours) return `${hours}h ${m}m`;
  if (m) return `${m}m ${all % 60}s`;
  return `${all}s`;
}

/** How long something took, from milliseconds. */
export const took = (ms) => (ms < 999.5 ? `${Math.round(ms)}ms` : ms < 59950 ? `${(ms / 1000).toFixed(1)}s` : span(ms / 1000));

export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < 4) (count /= 1024), unit++;
  return unit ? `${count.toFixed(1)} ${units[unit]}` : `${count} B`;
}

export const counted = (number, what) => (number === 1 ? `1 ${what}` : `${number} ${what}s`);

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** A moment as whoever reads it has it on the wall. */
function moment(text) {
  const at = new Date(text);
  const near = Math.abs(at - now()) < 18 * HOUR * 1000;
  return near ? clock.format(at) : `${day.format(at)} ${clock.format(at).slice(0, 5)}`;
}

/** How old something is; it goes on by itself. */
export const age = (text) => h("time", { datetime: text, "data-age": text, title: full.format(new Date(text)) }, agePhrase(text));
/** How long it is until something; it goes on by itself. */
export const until = (text) =>
  h("time", { datetime: text, "data-until": text, title: full.format(new Date(text)) }, untilPhrase(text));
/** For how long something has been so; it goes on by itself. */
export const lasting = (text) => h("time", { datetime: text, "data-lasts": text, title: full.format(new Date(text)) }, lastingPhrase(text));
/** A moment. */
export const at = (text) => h("time", { datetime: text, title: full.format(new Date(text)) }, moment(text));

/** A moment, with the word before it. */
export const when = (text) => [Math.abs(Date.parse(text) - now()) < 18 * HOUR * 1000 ? "at " : "on ", at(text)];

const coarse = (seconds) => (seconds < 60 ? `${Math.floor(seconds)}s` : seconds < HOUR ? `${Math.floor(seconds / 60)}m` : span(seconds));
export function agePhrase(text) {
  const seconds = (now() - Date.parse(text)) / 1000;
  return seconds < 1 ? "now" : `${coarse(seconds)} ago`;
}
export function lastingPhrase(text) {
  const seconds = (now() - Date.parse(text)) / 1000;
  return `for ${seconds < 1 ? "a moment" : coarse(seconds)}`;
}
export function untilPhrase(text) {
  const seconds = (Date.parse(text) - now()) / 1000;
  return seconds <= 0 ? "any moment" : `in ${span(Math.ceil(seconds))}`;
}

/** What is typed or named as it stands; its words do not break at their hyphens. */
export const code = (text) => h("code", null, text.split(" ").flatMap((word, place) => [place ? " " : "", word.includes("-") && word.length < 28 ? h("span", { class: "whole-word" }, word) : word]));
const because = (why) => (why ? [": ", ...prose(why)] : []);

/** A text of the controller's: a log that it names is a link, or left out where a link stands already; what is in backticks is code. */
export function prose(text, links = true) {
  const made = [];
  let from = 0;
  for (const found of (text ?? "").matchAll(/ ?\(tidegate logs (\d+)\)|(?:see )?`tidegate logs (\d+)`|`([^`]+)`/g)) {
    made.push(text.slice(from, found.index));
    const run = found[1] ?? found[2];
    if (!run) made.push(code(found[3]));
    else if (links) made.push(" ", link(paths.run(run), `log ${run}`));
    from = found.index + found[0].length;
  }
  return [...made, (text ?? "").slice(from)];
}

/** Where the controller's words are for its command line: what is so, and the way out, at this page. */
const HERE = {
  0: ["The controller does not answer", "This page asks again by itself as soon as it does."],
  "TG-AUTH-001": ["Nobody is signed in here, or no longer", "Sign in at the top of the page."],
  "TG-AUTH-002": [, "Sign in with a token that has it; whoever runs this controller makes one."],
  "TG-AUTH-010": [, "Sign in with a token that reaches that far; whoever runs this controller makes one."],
  "TG-AUTH-011": [, "Sign in with another token; whoever runs this controller makes one."],
  "TG-ASK-001": [, "The board lists those that are."],
  "TG-ASK-002": [, "The page of the pipeline lists its tiers."],
  "TG-ASK-004": [, "The page of the pipeline lists its versions."],
  "TG-ASK-005": [, "Wait until it is built, or ask for its build."],
  "TG-ASK-006": [, "Say why, in the field above."],
  "TG-ASK-007": [, "Roll back to get to an older version."],
  "TG-ASK-008": [, "Retry lets it wait again."],
  "TG-ASK-009": [, "Wait until it has, or lift that as an admin, with a reason."],
  "TG-ASK-010": [, "Its page shows where it stands."],
  "TG-ASK-011": [, "Promote lets a version in."],
  "TG-ASK-012": [, "Cancel ends what is inside; nodes stay as they are."],
  "TG-ASK-014": [, "Wait until it is through, or cancel it."],
  "TG-ASK-015": [, ""], "TG-ASK-016": [, ""], "TG-ASK-020": [, "Look at what is there now, and ask again."],
  "TG-ASK-021": [, "It needs nobody's word any more; cancel ends it."],
  "TG-HTTP-014": ["No run with this number is known", "Its log may have been removed by retention: History shows what is still there."],
};

/** A refusal, or no answer: what is so, and the way out. */
export function inWords(problem) {
  const [message, help] = HERE[problem.status ? problem.code : 0] ?? [];
  return [prose(message ?? problem.message), prose(help ?? problem.help)];
}

/** The same in a sentence or two. */
export function said(problem) {
  const [message, help] = inWords(problem);
  return [message, ". ", help];
}

/** The same instead of a page. */
export function instead(title, problem) {
  const [message, help] = inWords(problem);
  return h("div", { class: "empty", key: "instead" }, title ? h("h1", null, title) : null, h("p", null, message, "."), h("p", { class: "quiet" }, help));
}

/** What stands in the way, in one clause, as a list of texts and elements. */
export function blocker(one) {
  switch (one.kind) {
    case "not_promoted": return ["has not passed ", code(one.tier)];
    case "not_built": return ["is not built here"];
    case "soak": return one.until ? ["soaks, ready ", until(one.until)] : ["must soak longer, and is not current before"];
    case "confirm_missing": return [`${one.have} of ${one.need} confirmations`];
    case "manual": return ["waits to be promoted by hand"];
    case "window": return one.opens ? ["the window opens ", until(one.opens)] : ["no window ever opens"];
    case "freeze": return ["frozen, ends ", until(one.until), ...because(one.why)];
    case "hold": return [`held by ${one.by}`, ...because(one.why)];
    case "version_blocked": return ["is blocked"];
    case "tier_busy": return [`${one.version} is inside`];
    case "behind": return [`behind ${one.version}`];
    case "rejected": return ["rejected", ...because(one.cause)];
    case "gate_failed": return ["gate ", code(one.gate), " failed"];
    case "missing_tool": return [code(one.tool), " is not installed"];
    case "unreachable": return ["node ", code(one.node), " does not answer"];
    case "not_verified": return ["it is not known what is on node ", code(one.node)];
    case "node_locked": return [`the node is locked by ${one.by}`];
    case "disk_full": return ["the disk is full"];
    case "unsupported": return ["this release does not execute ", code(one.key)];
    case "backup_stale": return [one.age === "none" ? "there is no backup" : `the backup is ${one.age} old`];
    case "step_says": return prose(one.reason);
    default: return [one.kind.replaceAll("_", " ")];
  }
}

/** Several, as one phrase. */
export const blockers = (all) => all.flatMap((one, place) => (place ? ["; ", ...blocker(one)] : blocker(one)));

/** Whether only a person lifts it. */
export const asksPerson = (one) => one.kind === "confirm_missing" || one.kind === "manual";

/** How a run ended, in words. */
export function outcome(end) {
  const words = {
    ok: "passed", flaky: "passed at another try", test_failure: "tests failed", compile_error: "does not compile",
    lint: "a linter complained", check_failed: "failed", unhealthy: "unhealthy", timeout: "took too long", killed: "killed",
    missing_tool: "a program is missing", infrastructure: "the machine failed", canceled: "canceled",
    interrupted: "interrupted", step_says: "cannot judge",
  };
  return words[end.classification] ?? end.classification;
}

export const FAILURES = {
  unreachable: "not reachable", auth: "not let in", upload: "the upload failed", activate: "the command failed",
  unhealthy: "unhealthy", timeout: "took too long", canceled: "canceled", interrupted: "interrupted",
  artifact_missing: "an artifact is missing",
};

export const short = (digest) => (digest ?? "").replace(/^sha256:/, "").slice(0, 8);
