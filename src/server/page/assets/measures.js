// How well deliveries go: the four measures of DORA, gates, and what versions wait for.

import { h } from "./dom.js";
import { ask } from "./live.js";
import { bars, ranked } from "./charts.js";
import { counted, took as tookMs, instead } from "./words.js";

const view = { days: "30", pipeline: "" };
let found = null;
let number = 0;

async function load({ redraw }) {
  const mine = ++number;
  const query = new URLSearchParams({ days: view.days });
  if (view.pipeline) query.set("pipeline", view.pipeline);
  let answer;
  try {
    answer = await ask(`/api/measures?${query}`);
  } catch (problem) {
    answer = { problem };
  }
  if (mine === number) found = answer;
  redraw();
}

const share = (value) => `${(value * 100).toFixed(value < 0.1 ? 1 : 0)}%`;
const BLOCKERS = { soak: "soak", confirm_missing: "confirmations", manual: "promotion by hand", window: "a window", freeze: "a freeze", hold: "a hold", tier_busy: "a busy tier", not_promoted: "the tier before", behind: "a version in front", not_built: "a build", disk_full: "the disk" };
const name = (kind) => BLOCKERS[kind] ?? kind.replaceAll("_", " ");

function measure(title, value, about) {
  return h("div", { class: "measure" }, h("h2", null, title), h("p", { class: "measure-value" }, value), h("p", { class: "quiet" }, about));
}

export const page = {
  title: () => "Measures",
  enter: load,
  again: load,
  draw({ state }) {
    const bar = h("div", { class: "bar", key: "bar" }, h("h1", null, "Measures"),
      h("select", { "data-input": "days", "aria-label": "How far back" }, [["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["365", "a year"]].map(([value, word]) => h("option", { value, selected: value === view.days }, word))),
      h("select", { "data-input": "pipeline", "aria-label": "Pipeline" }, [["", "Every pipeline"], ...state.pipelines.map((one) => [one.name, one.name])].map(([value, word]) => h("option", { value, selected: value === view.pipeline }, word))));
    if (!found) return [bar, h("p", { class: "quiet loading" }, "Counting …")];
    if (found.problem) return [bar, instead("", found.problem)];
    const { deployments, lead_time: lead, change_failure: failure, time_to_restore: restore } = found;
    const gates = new Map(found.gate_days.map((one) => [one.day, one.median_s]));
    const took = (seconds) => tookMs(seconds * 1000);
    const spans = (one) => (one.count ? [took(one.median_s), h("span", { class: "quiet small" }, ` median, ${took(one.p90_s)} for nine in ten`)] : "–");
    return [
      bar,
      h("div", { class: "measures", key: "measures" },
        measure("Deployment frequency", deployments.count ? [(deployments.count / found.covered_days).toFixed(2), h("span", { class: "quiet small" }, ` a day, ${deployments.count} in ${counted(Number(found.covered_days.toFixed(1)), "day")}`)] : "–", "Versions that passed a last tier: one that no other tier comes after."),
        measure("Lead time for changes", spans(lead), "From the push, or whoever asked for the build, to passing a last tier."),
        measure("Change failure rate", failure.of ? [share(failure.failed / failure.of), h("span", { class: "quiet small" }, ` ${failure.failed} of ${failure.of}`)] : "–", "Of the versions that were put on nodes of a last tier: those that went back, were stopped, or were rolled back later."),
        measure("Time to restore", spans(restore), "From the failure in a last tier to the next moment at which a version was current there and nothing was on its way back.")),
      h("div", { class: "two", key: "charts" },
        bars("Deployments a day", deployments.by_day.map((one) => [one.day, one.count]), String),
        bars("Duration of gates, median of each day", deployments.by_day.map(({ day }) => [day, gates.get(day)]), took)),
      h("div", { class: "two", key: "two" },
        ranked("Slowest gates", found.gates.slice(0, 12).map((one) => [`${one.pipeline} / ${one.tier} / ${one.name}`, one.median_s, counted(one.runs, "run")]), took, "No gate ran."),
        ranked("Flakiest gates", found.gates.filter((one) => one.flaky).sort((a, b) => b.flaky / b.runs - a.flaky / a.runs).slice(0, 12).map((one) => [`${one.pipeline} / ${one.tier} / ${one.name}`, one.flaky / one.runs, `${one.flaky} of ${counted(one.runs, "run")}`]), share, "No gate passed only at another try."),
        ranked("What versions waited for", found.waiting.slice(0, 12).map((one) => [name(one.kind), one.total_s, counted(one.times, "time")]), took, "Nothing waited.")),
      h("p", { class: "quiet", key: "note" }, `Counted from the journal: ${counted(found.events, "event")} of the last ${found.covered_days === 1 ? "day" : counted(Number(found.covered_days.toFixed(1)), "day")}`, found.covered_days < found.days ? "; it does not go back further." : "."),
    ];
  },
  input: {
    days: (field, context) => ((view.days = field.value), load(context)),
    pipeline: (field, context) => ((view.pipeline = field.value), load(context)),
  },
};
