// The actor tree: the process, what all assets share, and each asset's own, with health and what it has been through.

import { restart } from "./actions.js";
import { $, keyed, make, mark, write } from "./dom.js";
import { age, span } from "./format.js";

const SHARED = "shared by all";
const BUSY_S = 5;

const assetOf = (address) => {
  const last = address.split(".").at(-1);
  return address.includes(".") && last === last.toUpperCase() ? last : SHARED;
};

function healthOf(actor, live) {
  if (!live) return ["", "not running"];
  if (actor.life !== "running") return [actor.life === "starting" || actor.life === "restarting" ? "warn" : "bad", actor.life];
  if (actor.busy_s !== null && actor.busy_s > BUSY_S) return ["warn", `busy ${age(actor.busy_s)}`];
  return ["ok", "running"];
}

export class Actors {
  constructor() {
    this.table = $("actors");
  }

  show(view) {
    const status = view.status;
    const actors = status?.actors ?? [];
    const live = view.state === "live" || view.state === "silent";
    const groups = new Map();
    for (const actor of actors) {
      const asset = assetOf(actor.address);
      if (!groups.has(asset)) groups.set(asset, []);
      groups.get(asset).push(actor);
    }
    const process = status?.process;
    const restarts = actors.reduce((sum, each) => sum + each.restarts, 0);
    write($("actors-sum"), process ? `process ${process.pid}${view.lease ? ` on ${view.lease.host}, lease ${view.lease.epoch}` : ""}, up ${live ? span((view.at_ms - process.process_started_ms) / 1000) : "–"} · ${restarts} restarts · ${status.dead_letters} dead letters${status.hung_threads ? ` · ${status.hung_threads} hung threads` : ""}` : "");
    this.table.keyedFirst = this.table.tHead;
    keyed(this.table, [...groups], ([name]) => name, ([name]) => this.group(name), (body, [name, members]) => {
      const button = body.rows[0].querySelector("button");
      if (button) button.disabled = view.state !== "live";
      body.keyedFirst = body.rows[0];
      keyed(body, members, (each) => each.address, (each) => this.row(each, name), (row, each) => this.fill(row, each, live, view.state));
    });
  }

  group(name) {
    const button = name === SHARED ? null : make("button", { type: "button", class: "small", onclick: () => restart(name), "aria-label": `Restart ${name}` }, "Restart");
    return make("tbody", {}, make("tr", { class: "group" }, make("th", { scope: "rowgroup", colspan: "7" }, name, button)));
  }

  row(actor, group) {
    const button = make("button", { type: "button", class: "small plain", "aria-label": `Restart ${actor.address}`, onclick: () => restart(actor.address) }, "Restart");
    return make(
      "tr", {},
      make("th", { scope: "row" }, make("span", { class: "leaf mono" }, actor.address), make("div", { class: "failure" })),
      make("td", {}, make("span", { class: "health" }, make("span", { class: "dot", "aria-hidden": "true" }), make("span"))),
      make("td", { class: "n" }), make("td", { class: "n" }), make("td", { class: "n" }), make("td", { class: "n nowrap" }), make("td", {}, group === SHARED ? button : null),
    );
  }

  fill(row, actor, live, state) {
    const [name, health, incarnation, restarts, mailbox, last, again] = row.cells;
    const [kind, text] = healthOf(actor, live);
    mark(health.firstChild.firstChild, "class", `dot ${kind}`);
    write(health.firstChild.lastChild, text);
    write(incarnation, actor.incarnation);
    write(restarts, actor.restarts);
    restarts.classList.toggle("warn", actor.restarts > 0);
    write(mailbox, actor.mailbox);
    mailbox.classList.toggle("warn", actor.mailbox > 100);
    write(last, live ? age(actor.last_message_age_s) : "–");
    write(name.lastChild, actor.last_failure ? `last failure: ${actor.last_failure}` : "");
    if (again.firstChild) again.firstChild.disabled = state !== "live";
  }
}
