// Signing in with a token, which goes to the controller once. It answers with a cookie that no script can read.

import { h } from "./dom.js";
import { ask, restart } from "./live.js";
import { code, said as words } from "./words.js";

let open = null;

/** `needed`: nothing is shown before; `then`: what goes on once somebody is signed in. */
export function signIn(needed, then) {
  if (open) return;
  const field = h("input", { type: "password", id: "token", name: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
  const said = h("p", { class: "line bad", role: "alert", hidden: true });
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "signin-title" },
    h("form", { method: "dialog" },
      h("h2", { id: "signin-title" }, "Sign in"),
      h("p", { class: "quiet" }, needed ? "This controller shows nothing without a token." : "To act you need a token of the role operator or above.", " Make one on its machine: ",
        code("tidegate token create NAME --role operator")),
      h("label", { for: "token" }, "Token"), field, said,
      h("div", { class: "buttons" }, needed ? null : h("button", { type: "button", value: "cancel" }, "Cancel"), h("button", { type: "submit", class: "main" }, "Sign in"))));
  const close = () => (dialog.close(), dialog.remove(), (open = null));
  dialog.querySelector("[value=cancel]")?.addEventListener("click", close);
  dialog.addEventListener("cancel", (event) => (needed ? event.preventDefault() : close()));
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    said.hidden = true;
    try {
      await ask("/api/login", { token: field.value.trim() });
      close();
      await restart();
      then?.();
    } catch (problem) {
      said.replaceChildren(h("span", null, problem.code === "TG-AUTH-001" ? "This token is not known here: it may be mistyped, revoked, or of another controller. Paste it whole, or ask whoever runs this controller for a new one." : words(problem)));
      said.hidden = false;
      field.select();
    }
  });
  open = dialog;
  document.body.append(dialog);
  dialog.showModal();
}
