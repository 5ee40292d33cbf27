// What an operator does: each deed asks once in a dialog, then says what came of it.

import { $, make } from "./dom.js";
import { number } from "./format.js";
import { act } from "./server.js";

const dialog = $("ask");
let deed = null;

export function toast(said, lines = [], failed = false) {
  const box = make("div", { class: failed ? "toast failed" : "toast" });
  const close = make("button", { type: "button", class: "plain small", "aria-label": "Dismiss", onclick: () => box.remove() }, "✕");
  box.append(make("div", { class: "head" }, make("span", {}, said), close));
  if (lines.length) box.append(make("ul", {}, ...lines.map((line) => make("li", {}, line))));
  $("toasts").append(box);
  setTimeout(() => box.remove(), failed ? 20000 : 9000);
}

function open(what) {
  deed = what;
  $("ask-title").textContent = what.title;
  $("ask-text").replaceChildren(...what.text);
  $("ask-reason-row").hidden = !what.reason;
  $("ask-reason-label").textContent = what.reason === "needed" ? "Reason (needed)" : "Reason";
  $("ask-reason").required = what.reason === "needed";
  $("ask-reason").value = "";
  $("ask-asset-row").hidden = !what.assets;
  $("ask-asset").replaceChildren(
    make("option", { value: "" }, "everything"),
    ...(what.assets ?? []).map((asset) => make("option", { value: asset }, asset)),
  );
  const confirm = $("ask-confirm");
  confirm.textContent = what.confirm;
  confirm.className = what.danger ? "danger" : "primary";
  confirm.disabled = false;
  $("ask-error").textContent = "";
  dialog.showModal();
  (what.reason ? $("ask-reason") : what.assets ? $("ask-asset") : confirm).focus();
}

$("ask-cancel").addEventListener("click", () => dialog.close());
$("ask-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const confirm = $("ask-confirm");
  if (confirm.disabled) return;
  confirm.disabled = true;
  try {
    const body = deed.body($("ask-reason").value.trim(), $("ask-asset").value);
    const done = await act(deed.name, body);
    dialog.close();
    toast(done.said, done.lines);
  } catch (error) {
    $("ask-error").textContent = error.message;
    confirm.disabled = false;
  }
});

const p = (text) => make("p", {}, text);
const heldIn = (assets) =>
  assets.filter((each) => each.position).map((each) => `${each.asset} ${each.position.side} ${number(each.position.shares)} shares, cost ${number(each.position.cost_usd)} USD`);
const list = (lines) => make("ul", {}, ...lines.map((line) => make("li", {}, line)));

export function halt(assets) {
  const held = heldIn(assets);
  open({
    name: "halt", title: "Halt trading", confirm: "Halt", danger: true, reason: "wanted",
    text: [
      p("Nothing is opened, nothing is sold, what rests is cancelled. It lasts, across restarts, until somebody resumes."),
      held.length ? p("Held to settlement unless flattened:") : p("Nothing is held."), held.length ? list(held) : "",
    ],
    body: (reason) => ({ reason }),
  });
}

export function flatten(assets) {
  const held = heldIn(assets);
  open({
    name: "flatten", title: "Flatten", confirm: "Sell what is held", danger: true, assets: assets.map((each) => each.asset),
    text: [
      p("What is held is sold at what the book pays now, and nothing is opened there until somebody resumes."),
      held.length ? list(held) : p("Nothing is held at the moment."),
    ],
    body: (_, asset) => ({ asset }),
  });
}

export function resume(holds) {
  open({
    name: "resume", title: "Resume trading", confirm: "Resume", reason: "needed",
    text: holds.length ? [p("This lifts:"), list(holds)] : [p("Nothing was halted or tripped.")],
    body: (reason) => ({ reason }),
  });
}

export function restart(name) {
  open({
    name: "restart", title: `Restart ${name}`, confirm: `Restart ${name}`,
    text: [p("It is replaced between two messages and keeps its state; the others trade on. A feed reconnects first, so its asset opens nothing for a moment.")],
    body: () => ({ name }),
  });
}
