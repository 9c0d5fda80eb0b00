// The definitions in force as their files are, and beside them what is wrong with the file as it is now.

import { h, sign, link, paths, segment } from "./dom.js";
import { ask } from "./live.js";
import { age, short, counted, instead, lasting, prose } from "./words.js";

let found = null;

async function load({ parameters: [name], redraw }) {
  found = null;
  if (!name) return;
  let answer;
  try {
    answer = await ask(`/api/pipelines/${segment(name)}/definition`);
  } catch (problem) {
    answer = { problem };
  }
  found = { of: name, ...answer };
  redraw();
}

/** The line, with what is meant of it marked. Columns count characters, not what a script counts. */
function marked(one) {
  const all = [...(one.text ?? "")];
  const [from, upto] = [one.column - 1, one.end_line > one.line ? all.length : Math.max(one.end_column - 1, one.column)];
  const part = (...range) => all.slice(...range).join("");
  return one.text ? h("code", { class: "meant" }, part(0, from), h("mark", null, part(from, upto) || " "), part(upto)) : null;
}

const problem = (one) =>
  h("li", { class: `line ${one.severity === "warning" ? "wait" : "bad"}`, key: `${one.line}:${one.column}${one.message}` }, sign(one.severity === "warning" ? "wait" : "bad"), h("span", null,
    h("b", null, `line ${one.line}`, one.end_line > one.line ? ` to ${one.end_line}` : `, column ${one.column}`), ": ", prose(one.message), " ", h("code", { class: "whole-word quiet" }, one.code), marked(one), one.help ? h("span", { class: "help" }, "help: ", prose(one.help)) : null));

const refused = (file) =>
  h("section", { class: "tier bad", key: `refused ${file.file}`, id: `refused-${file.file}` }, h("h2", null, sign("bad"), `${file.file} is refused`), h("p", { class: "quiet" }, age(file.at), file.pipeline ? "; the last good definition stays in force" : ""), h("ul", { class: "lines" }, file.diagnostics.map(problem)));

/** A line of TOML with its parts told apart; only by what stands on the line. */
function toml(text) {
  const comment = /^\s*#/.test(text);
  if (comment) return h("span", { class: "toml-comment" }, text);
  const table = /^(\s*)(\[\[?[^\]]*\]\]?)(.*)$/.exec(text);
  if (table) return [table[1], h("span", { class: "toml-table" }, table[2]), table[3]];
  const key = /^(\s*)([A-Za-z0-9_."-]+)(\s*=\s*)(.*)$/.exec(text);
  return key ? [key[1], h("span", { class: "toml-key" }, key[2]), key[3], key[4]] : text;
}

export const page = {
  title: (name) => (name ? `Definition of ${name}` : "Definitions"),
  enter: load,
  again: (context) => found?.problem && load(context),
  event(event, context) {
    if (event.kind.startsWith("pipeline_") && event.pipeline === context.parameters[0]) load(context);
  },
  draw({ state, parameters: [name] }) {
    const list = h("nav", { class: "side-list", key: "list", "aria-label": "Definitions" }, h("ul", null, state.pipelines.map((one) => h("li", { key: one.name }, h("a", { href: paths.definition(one.name), "aria-current": one.name === name ? "page" : null }, one.rejected.length ? sign("bad") : sign(one.definition ? "good" : "none"), one.name, one.definition ? null : h("span", { class: "quiet" }, " removed")))),
      state.rejected.map((one) => h("li", { key: `refused ${one.file}` }, h("a", { href: `/ui/definitions#refused-${segment(one.file)}` }, sign("bad"), one.file, h("span", { class: "quiet" }, " refused"))))));
    const loose = state.rejected.map(refused);
    const pipeline = state.pipelines.find((one) => one.name === name);
    let body;
    if (!name) body = [loose, h("p", { class: "quiet", key: "hint" }, state.pipelines.length ? `${counted(state.pipelines.length, "pipeline")}: choose one to see its definition.` : "No pipeline is loaded yet.")];
    else if (!found || found.of !== name) body = [h("p", { class: "quiet loading" }, "Asking for the definition …")];
    else if (found.problem) body = [instead("", found.problem)];
    else
      body = [(pipeline?.rejected ?? []).map(refused),
        h("p", { key: "about" }, h("b", null, found.file), h("span", { class: "quiet" }, " in force ", lasting(found.at), ", digest ", h("span", { class: "version" }, short(found.digest)), found.removed ? "; the pipeline is removed" : "")),
        h("div", { class: "code scroll", key: "text", tabindex: "0", role: "region", "aria-label": `text of ${found.file}` }, h("ol", null, found.text.replace(/\n$/, "").split("\n").map((text) => h("li", null, h("code", null, toml(text))))))];
    return [h("div", { class: "bar", key: "bar" }, h("h1", null, name ? ["Definition of ", link(paths.pipeline(name), name)] : "Definitions")), h("div", { class: "split", key: "split" }, list, h("div", { class: "grow" }, body))];
  },
};
