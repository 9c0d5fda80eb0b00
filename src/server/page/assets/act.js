// What people do by hand: what it will do is said before it is done, the reason goes into the journal, and a refusal is
// shown in the controller's own words.

import { h, sign, segment } from "./dom.js";
import { ask, picture } from "./live.js";
import { blocker, blockers, counted } from "./words.js";

const ORDER = ["viewer", "trigger", "operator", "admin"];
let open = null;

/** Whether whoever is signed in may do that; the reason why not, or an empty text. */
function refusal(role = "operator") {
  const who = picture.who;
  if (!who?.name) return "sign in first";
  return ORDER.indexOf(who.role) < ORDER.indexOf(role) ? `takes a token of the role ${role}` : "";
}

/** A button for a deed. */
export function deed(verb, word, data, { strong = false, why = "" } = {}) {
  const no = why || (picture.who?.name ? refusal() : "");
  const attributes = Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined).map(([name, value]) => [`data-${name}`, value]));
  return h("button", { type: "button", class: strong ? "main small" : "small", "data-do": "act", "data-verb": verb, ...attributes, disabled: Boolean(no), title: no || null }, word);
}

const nodesOf = (tier) => (tier?.nodes.filter((node) => !node.removed).length ? ` on ${counted(tier.nodes.filter((node) => !node.removed).length, "node")}` : "");

const list = (title, all) => (all.length ? h("div", null, h("p", null, title), h("ul", { class: "reasons" }, all.map((one) => h("li", null, blocker(one))))) : null);

/** What it will do, and how it is asked for. */
function meaning({ verb, pipeline, tier, version, node, to }) {
  const p = picture.state.pipelines.find((one) => one.name === pipeline);
  const t = p?.tiers.find((one) => one.name === tier);
  const where = tier ? `${pipeline} / ${tier}` : pipeline;
  const waiting = t?.waiting.find((one) => one.version === version);
  const deploys = t?.deploys ? `then it is deployed${nodesOf(t)}` : "then it is current there";
  switch (verb) {
    case "confirm": {
      const missing = waiting?.blockers.find((one) => one.kind === "confirm_missing");
      return { title: `Confirm ${version}`, what: [`This gives your word that ${version} may enter ${where}`, missing ? ` (${missing.have} of ${missing.need} are there).` : ".", " It says nothing about what else it waits for."] };
    }
    case "deny": return { title: `Deny ${version}`, what: [`This rejects ${version} in ${where}: it stays out until somebody says retry.`], danger: true };
    case "promote": {
      const lifted = (waiting?.blockers ?? []).filter((one) => ["manual", "soak", "window"].includes(one.kind));
      const hard = (waiting?.blockers ?? []).filter((one) => ["freeze", "not_promoted"].includes(one.kind));
      const others = (waiting?.blockers ?? []).filter((one) => !lifted.includes(one) && !hard.includes(one));
      return {
        title: `Promote ${version}`,
        what: [`This lets ${version} into ${where} before everything else that waits. Its gates run as always, ${deploys}.`],
        more: [list("Lifted by this:", lifted), list("Not lifted, it enters once these are gone:", [...others, ...hard])],
        lift: hard.length ? h("span", null, "Lift also: ", blockers(hard), " (takes the role admin and a reason)") : null,
      };
    }
    case "rollback": {
      const target = to ?? (t?.inside ? t.current?.version : t?.rollback_to);
      return { title: `Roll back ${where}`, what: [t?.inside ? `This cancels ${version}, which is inside; what it changed goes back to ${target ?? "nothing"}.` : `This sends ${where} back from ${version} to ${target ?? "the version before"}${nodesOf(t)}.`, ` ${version} is rejected here, and the tier is held until a version is promoted by hand.`], danger: true };
    }
    case "retry": return { title: version ? `Retry ${version}` : `Retry in ${where}`, what: [version ? `This lets ${version} wait for ${where} again, under the definition that is in force now. Gates that passed with the same definition and artifacts are not repeated.` : `What would be tried again later in ${where} is tried now.`] };
    case "redeploy": return { title: `Redeploy ${version}`, what: [`This runs the deploy of ${version} again on ${node ? `node ${node}` : counted(t?.nodes.length ?? 0, "node")} of ${where}, without gates.`] };
    case "cancel": return { title: `Cancel ${version}`, what: [tier ? `This ends ${version} inside ${where}. It is rejected there; nodes that it changed go back.` : `This ends the build of ${version}.`], danger: true };
    case "hold": return { title: `Hold ${where}`, what: [`Nothing enters ${tier ? where : `any tier of ${pipeline}`} by itself any more. What is inside goes on, and so does what a person promotes.`] };
    case "resume": return { title: `Resume ${where}`, what: ["This lifts the hold: what waits and may enter does so at once."] };
    case "block": return { title: `Block ${version}`, what: [`${version} enters no tier of ${pipeline} any more and is never chosen by a rollback. Where it is, it stays.`], danger: true };
    case "unblock": return { title: `Unblock ${version}`, what: [`${version} may enter tiers of ${pipeline} again.`] };
    default: return { title: verb, what: [`${verb} ${where}`] };
  }
}

export function closeDialog() {
  if (!open) return;
  open.close();
  open.remove();
  open = null;
}

function toast(tone, ...what) {
  const place = document.getElementById("notice");
  const one = h("div", { class: `toast ${tone}` }, sign(tone), h("span", null, ...what));
  place.append(one);
  setTimeout(() => one.remove(), 6000);
}

export function act(data) {
  closeDialog();
  const { verb, pipeline, tier, version, node, to } = data;
  const means = meaning(data);
  const who = picture.who?.name;
  const reason = h("input", { id: "why", name: "why", type: "text", autocomplete: "off", maxlength: 500, placeholder: "kept in the journal" });
  const lift = means.lift ? h("input", { type: "checkbox", id: "lift" }) : null;
  const said = h("p", { class: "line bad", role: "alert", hidden: true });
  const go = h("button", { type: "submit", class: means.danger ? "main danger" : "main" }, means.title);
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "act-title" },
    h("form", { method: "dialog" },
      h("h2", { id: "act-title" }, means.title),
      h("p", null, means.what),
      means.more ?? null,
      lift ? h("label", { class: "check" }, lift, means.lift) : null,
      h("label", { for: "why" }, "Reason ", h("span", { class: "quiet" }, "(may be left out)")), reason, said,
      h("p", { class: "quiet" }, who ? `Signed with the token ${who}.` : "You are not signed in: the controller will refuse this."),
      h("div", { class: "buttons" }, h("button", { type: "button", value: "cancel" }, "Leave it"), go)));
  dialog.querySelector("[value=cancel]").addEventListener("click", closeDialog);
  dialog.addEventListener("cancel", (event) => (event.preventDefault(), closeDialog()));
  const key = crypto.randomUUID?.() ?? String(Math.random());
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    said.hidden = true;
    go.disabled = true;
    const body = {};
    if (version) body.version = version;
    if (node) body.node = node;
    if (to) body.to = to;
    if (lift?.checked) body.lift = true;
    if (reason.value.trim()) body.why = reason.value.trim();
    const place = tier ? `/api/pipelines/${segment(pipeline)}/tiers/${segment(tier)}/${verb}` : `/api/pipelines/${segment(pipeline)}/${verb}`;
    try {
      const done = await ask(place, body, key);
      closeDialog();
      const waits = done.waits_for?.length ? [" It still waits: ", blockers(done.waits_for), "."] : [];
      toast("good", done.already ? `${means.title}: it was so already.` : `${means.title}: done.`, ...waits);
    } catch (problem) {
      said.replaceChildren(...[`${problem.message}. `, problem.help, " ", h("code", null, problem.code)].filter(Boolean));
      said.hidden = false;
      go.disabled = false;
    }
  });
  open = dialog;
  document.body.append(dialog);
  dialog.showModal();
  reason.focus();
}
