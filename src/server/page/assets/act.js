// What people do by hand: what it will do is said before it is done, the reason goes into the journal, and a refusal is
// shown in the controller's own words.

import { h, sign, segment } from "./dom.js";
import { ask, picture } from "./live.js";
import { signIn } from "./signin.js";
import { blockers, counted, prose, said as words } from "./words.js";

const ORDER = ["viewer", "trigger", "operator", "admin"];
let open = null;

const lacks = (role) => Boolean(picture.who?.name) && ORDER.indexOf(picture.who.role) < ORDER.indexOf(role);

/** In words for everybody on the page why buttons are not for whoever is signed in; nothing where they are. */
export const mayNot = () =>
  lacks("operator") ? h("p", { class: "line note", key: "may-not" }, sign("note"), h("span", null, "Your token ", h("b", null, picture.who.name), ` has the role ${picture.who.role}: what is done by hand here takes the role operator.`)) : null;

/** A button for a deed. */
export function deed(verb, word, data, { strong = false, role = "operator" } = {}) {
  const no = lacks(role);
  const attributes = Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined).map(([name, value]) => [`data-${name}`, value]));
  return h("button", { type: "button", class: strong && picture.who?.name ? "main small" : "small", "data-do": "act", "data-verb": verb, ...attributes, disabled: no, title: no ? `takes a token of the role ${role}` : null }, word);
}

/** The pipeline and the tier that a button is about. */
function place({ pipeline, tier }) {
  const p = picture.state.pipelines.find((one) => one.name === pipeline);
  return [p, p?.tiers.find((one) => one.name === tier)];
}

/** On which nodes, and how: as in the terminal (`src/tui/act.rs`), as are the sentences below. */
function nodesOf(tier) {
  const names = tier?.nodes.filter((node) => !node.removed).map((node) => node.name) ?? [];
  if (!tier?.deploys || !names.length) return "nothing is deployed";
  const waves = tier.waves?.length > 1 ? `, in ${tier.waves.length} waves` : "";
  return `${counted(names.length, "node")} (${names.slice(0, 4).join(", ")}${names.length > 4 ? ", …" : ""})${waves}`;
}

/** How a version goes on once the blockers of these kinds are gone. */
function enters(where, tier, waiting, lifted) {
  const left = (waiting?.blockers ?? []).filter((one) => !lifted.includes(one.kind));
  const then = tier?.deploys ? `its gates run first, then it is deployed on ${nodesOf(tier)}.` : "its gates run first; nothing is deployed.";
  if (!left.length) return [`${waiting?.version} enters ${where} at once: ${then}`];
  return [`${waiting.version} enters ${where} once this is out of the way: `, blockers(left), `. ${then[0].toUpperCase()}${then.slice(1)}`];
}

/** What comes that the tier has not, as far as it is known here, and which node comes in which wave. */
function brings(p, t, version) {
  const order = (label) => p.versions.find((one) => one.version === label)?.order;
  const [to, from] = [order(version), order(t.current?.version)];
  const news = p.versions.filter((one) => one.order <= to && !(one.order <= from));
  const rest = t.nodes.filter((node) => !node.removed).map((node) => node.name);
  const waves = (t.deploys && t.waves?.length > 1 ? t.waves : []).map((count, nth) => {
    const these = rest.splice(0, count);
    return `${nth + 1}: ${these.length > 3 ? `${these[0]} to ${these.at(-1)}` : these.join(", ")}`;
  });
  return h("div", { class: "quiet" },
    !to ? null : !t.current ? h("p", null, "No version is current here yet.")
      : [h("p", null, `Since ${t.current.version}, which is current: ${from ? "" : "at least "}${counted(news.length, "commit")}.`),
        h("ul", null, news.slice(0, 5).map((one) => h("li", null, one.version, " ", one.subject)), news.length > 5 ? h("li", null, `and ${news.length - 5} before`) : null)],
    waves.length ? h("p", null, `Wave ${waves.join("; wave ")}.`) : null);
}

/** What it will do, and how it is asked for. */
function meaning({ verb, pipeline, tier, version, node }) {
  const [p, t] = place({ pipeline, tier });
  const where = tier ? `${pipeline} / ${tier}` : pipeline;
  const waiting = t?.waiting.find((one) => one.version === version);
  const held = "is rejected here, and the tier is held until resume.";
  switch (verb) {
    case "confirm": {
      const missing = waiting?.blockers.find((one) => one.kind === "confirm_missing");
      const [have, need] = missing ? [missing.have + 1, missing.need] : [1, 1];
      return { title: `Confirm ${version}`, what: [`This will give your word for ${version}, ${have} of ${need}. `, have >= need ? enters(where, t, waiting, ["confirm_missing"]) : `${need - have} more must follow.`] };
    }
    case "deny": return { title: `Deny ${version}`, what: [`This will reject ${version} in ${where}: it does not enter until retry; newer versions are not touched.`], danger: true };
    case "promote": {
      const hard = (waiting?.blockers ?? []).filter((one) => ["freeze", "not_promoted"].includes(one.kind));
      return {
        title: `Promote ${version}`,
        what: ["This will let it in: ", enters(where, t, waiting, ["manual", "soak", "window", "hold"])],
        lift: hard.length ? h("span", null, "Lift also: ", blockers(hard), " (takes the role admin and a reason)") : null,
      };
    }
    case "rollback": {
      const current = t?.current?.version;
      const inside = t?.inside?.version;
      const what = !inside ? `This will send ${where} back from ${current} to ${t?.rollback_to}, on ${nodesOf(t)}. ${current} ${held}`
        : current ? `This will end ${inside} inside ${where} and send what it changed back to ${current}, on ${nodesOf(t)}. ${inside} ${held}`
          : `This will end ${inside} inside ${where}; nothing was there before it. ${inside} ${held}`;
      return { title: `Roll back ${where}`, what: [what], danger: true };
    }
    case "retry": {
      const what = t?.inside ? `This will try at once what ${t.inside.version} waits to try again.`
        : t?.going_back ? `This will try at once again to send ${where} back to ${t.going_back.to}.`
          : `This will let ${version} wait for ${where} again; gates that passed are not run again.`;
      return { title: `Retry ${version ?? `in ${where}`}`, what: [what] };
    }
    case "redeploy": return { title: `Redeploy ${version}`, what: [`This will put ${version} there again, on ${node ? `node ${node}` : nodesOf(t)}, without gates.`] };
    case "cancel": return { title: `Cancel ${version}`, what: [tier ? `This will end ${version} inside ${where}: its gates and deploys are ended, nodes that were changed go back, and it is rejected here until retry.` : `This will end the build of ${version} of ${pipeline}: its steps are ended.`], danger: true };
    case "hold": return { title: `Hold ${where}`, what: [tier ? `This will hold ${where}: no version enters by itself until resume; what is inside, and promote, go on.` : `This will hold all of ${pipeline}: no version enters any of its ${counted(p?.tiers.length ?? 0, "tier")} by itself; builds, what is inside, and promote go on.`] };
    case "resume": {
      const by = (t ?? p)?.hold?.by;
      const next = t?.waiting.at(-1);
      return { title: `Resume ${where}`, what: tier ? [`This will lift the hold by ${by}. `, next ? enters(where, t, next, ["hold"]) : ""] : [`This will lift the hold of all of ${pipeline} by ${by}: versions that wait may enter at once.`] };
    }
    case "block": return { title: `Block ${version}`, what: [`${version} enters no tier of ${pipeline} any more and is never chosen by a rollback. Where it is, it stays.`], danger: true };
    case "unblock": return { title: `Unblock ${version}`, what: [`${version} may enter tiers of ${pipeline} again.`] };
    case "rebuild": return { title: `Rebuild ${pipeline}`, what: [`This will ask for a build of ${pipeline} from the head of the branch that it takes. A commit that is built already is not built again: its version moves to the front.`], at: "/rebuild", body: { pipeline, again: true }, role: "trigger" };
    default: return { title: verb, what: [`${verb} ${where}`] };
  }
}

export function closeDialog() {
  if (!open) return;
  open.close();
  open.remove();
  open = null;
}

/** One at a time, in the frame, above what it is about. */
function toast(tone, ...what) {
  const one = h("div", { class: `toast ${tone}` }, sign(tone), h("span", null, ...what));
  document.getElementById("notice").replaceChildren(one);
  setTimeout(() => one.remove(), 6000);
}

export function act(data) {
  closeDialog();
  const { verb, pipeline, tier, version, node } = data;
  const means = meaning(data);
  const who = picture.who?.name;
  const reason = h("input", { id: "why", name: "why", type: "text", autocomplete: "off", maxlength: 500, placeholder: "kept in the journal" });
  const lift = means.lift && who ? h("input", { type: "checkbox", id: "lift" }) : null;
  const said = h("p", { class: "line bad", role: "alert", hidden: true });
  const may = !lacks(means.role ?? "operator");
  const go = h("button", { type: "submit", class: means.danger && who ? "main danger" : "main", disabled: !may }, who ? means.title : "Sign in …");
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "act-title" },
    h("form", { method: "dialog" },
      h("h2", { id: "act-title" }, means.title),
      h("p", null, means.what), ["confirm", "promote"].includes(verb) ? brings(...place(data), version) : null,
      lift ? h("label", { class: "check" }, lift, means.lift) : null,
      who ? [h("label", { for: "why" }, "Reason ", h("span", { class: "quiet" }, "(may be left out)")), reason] : null, said,
      h("p", { class: may ? "quiet" : "line note" }, who && may ? `Signed with the token ${who}.` : `${who ? `The token ${who} has the role ${picture.who.role}` : "You are not signed in"}: it takes a token of the role ${means.role ?? "operator"}.`),
      h("div", { class: "buttons" }, h("button", { type: "button", value: "cancel" }, "Leave it"), go)));
  dialog.querySelector("[value=cancel]").addEventListener("click", closeDialog);
  dialog.addEventListener("cancel", (event) => (event.preventDefault(), closeDialog()));
  const key = crypto.randomUUID?.() ?? String(Math.random());
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    // Once signed in, what was asked for is asked again, with what is so then.
    if (!who) return void (closeDialog(), signIn(false, () => act(data)));
    said.hidden = true;
    go.disabled = true;
    const body = { ...means.body };
    if (version) body.version = version;
    if (node) body.node = node;
    if (lift?.checked) body.lift = true;
    if (reason.value.trim()) body.why = reason.value.trim();
    const path = means.at ?? (tier ? `/api/pipelines/${segment(pipeline)}/tiers/${segment(tier)}/${verb}` : `/api/pipelines/${segment(pipeline)}/${verb}`);
    try {
      const done = await ask(path, body, key);
      closeDialog();
      const waits = done.waits_for?.length ? [" It still waits: ", blockers(done.waits_for), "."] : [];
      const no = done.ignored?.[0];
      if (no) toast("wait", `${means.title}: `, prose(no.reason), ".");
      else toast("good", `${means.title}: ${done.already ? "it was so already" : means.at ? "it is asked for" : "done"}.`, ...waits);
    } catch (problem) {
      said.replaceChildren(h("span", null, words(problem), problem.code ? [" ", h("code", { class: "whole-word quiet" }, problem.code)] : ""));
      said.hidden = false;
      go.disabled = false;
    }
  });
  open = dialog;
  document.body.append(dialog);
  dialog.showModal();
  (who && may ? reason : go).focus();
}
