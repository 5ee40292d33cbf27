// What was recorded: trades, orders and health events, with filters, newest first.

import { $, make, mark, tint } from "./dom.js";
import { lately, moment, number, price, signed } from "./format.js";
import { ask } from "./server.js";

const PAGE = 50;
const AGAIN_MS = 4000;
const KINDS = {
  trades: [["", "all trades"], ["won", "won"], ["lost", "lost"], ["forced", "forced exits"]],
  orders: [["", "all orders"], ["filled", "filled"], ["unfilled", "nothing filled"], ["live", "still live"]],
  events: [],
};
const at = (ms) => make("td", { class: "nowrap", title: moment(ms) }, lately(ms));
const cell = (text) => make("td", {}, text);
const num = (text) => make("td", { class: "n" }, text);
const side = (text) => make("td", { class: text === "UP" ? "up" : "down" }, text);
const net = (value) => { const made = num(signed(value)); tint(made, value); return made; };

const TABLES = {
  trades: {
    head: [["Closed"], ["Asset"], ["Side"], ["Shares", "n"], ["Entry", "n"], ["Exit", "n"], ["Fees", "n"], ["PnL net", "n"], ["Ended by"]],
    row: (r) => [at(r.closed_ms), cell(r.asset), side(r.side), num(number(r.shares)), num(price(r.entry_price)), num(price(r.exit_price)), num(number(r.fees_usd)), net(r.pnl_net_usd),
      make("td", { class: "wrap" }, r.exit_reason + (r.force_close_reason ? `: ${r.force_close_reason}` : ""))],
    before: (r) => r.closed_ms,
  },
  orders: {
    head: [["Decided"], ["Asset"], ["Action"], ["Side"], ["State"], ["Limit", "n"], ["Filled", "n"], ["Of", "n"], ["At", "n"], ["Fees", "n"], ["Why"]],
    row: (r) => [at(r.decided_ms), cell(r.asset), cell(r.action), side(r.side), cell(r.state.toLowerCase().replaceAll("_", " ")), num(price(r.price)), num(number(r.filled_shares)), num(number(r.shares)),
      num(r.fill_price === null ? "–" : price(r.fill_price)), num(number(r.fees_usd)), make("td", { class: "wrap" }, r.reason + (r.last_error ? `; ${r.last_error}` : ""))],
    before: (r) => r.decided_ms,
  },
  events: {
    head: [["At"], ["Subject"], ["Status"], ["Detail"]],
    row: (r) => [at(r.at_ms), make("td", { class: "mono nowrap" }, r.subject), cell(r.status), make("td", { class: "wrap" }, r.detail)],
    before: (r) => r.at_ms,
  },
};

export class Ledger {
  constructor() {
    this.kind = "trades";
    this.rows = [];
    this.older = false;
    this.due = 0;
    this.assets = "";
    this.asked = 0;
    this.tabs = ["trades", "orders", "events"].map((kind) => $(`tab-${kind}`));
    this.tabs.forEach((tab, place) => {
      tab.addEventListener("click", () => this.turn(tab.id.slice(4)));
      tab.addEventListener("keydown", (event) => {
        const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: 2 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        const next = this.tabs[(to + 3) % 3];
        this.turn(next.id.slice(4));
        next.focus();
      });
    });
    this.form = $("filters");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", () => this.again());
    $("more").addEventListener("click", () => this.load(true));
    this.turn("trades");
  }

  turn(kind) {
    this.kind = kind;
    for (const tab of this.tabs) {
      const chosen = tab.id === `tab-${kind}`;
      mark(tab, "aria-selected", String(chosen));
      mark(tab, "tabindex", chosen ? null : "-1");
    }
    mark($("ledger-panel"), "aria-labelledby", `tab-${kind}`);
    $("filter-side").hidden = kind === "events";
    $("filter-kind").hidden = kind === "events";
    $("filter-text").hidden = kind !== "events";
    this.form.elements.kind.replaceChildren(...KINDS[kind].map(([value, text]) => make("option", { value }, text)));
    $("ledger").replaceChildren(
      make("thead", {}, make("tr", {}, ...TABLES[kind].head.map(([text, how]) => make("th", { scope: "col", class: how }, text)))),
      make("tbody"),
    );
    this.again();
  }

  again() {
    this.rows = [];
    this.older = false;
    this.due = 0;
    if (this.session) this.load(false);
  }

  show(view, now) {
    const assets = (view.status?.assets ?? []).map((each) => each.asset);
    if (assets.join() !== this.assets) {
      this.assets = assets.join();
      const chosen = this.form.elements.asset.value;
      this.form.elements.asset.replaceChildren(make("option", { value: "" }, "all"), ...assets.map((asset) => make("option", {}, asset)));
      this.form.elements.asset.value = assets.includes(chosen) ? chosen : "";
    }
    const changed = view.session !== this.session;
    this.session = view.session;
    if (view.session === null || view.state === "away" || (!changed && (now() < this.due || this.older))) return;
    if (document.hidden) return;
    this.load(false);
  }

  async load(older) {
    const { kind } = this;
    const number = ++this.asked;
    this.due = Date.now() + AGAIN_MS;
    const fields = this.form.elements;
    const query = { most: PAGE, asset: fields.asset.value };
    if (kind === "events") query.text = fields.text.value;
    else Object.assign(query, { side: fields.side.value, kind: fields.kind.value });
    if (older && this.rows.length) query.before = TABLES[kind].before(this.rows.at(-1));
    let rows;
    try {
      ({ rows } = await ask(kind, query));
    } catch {
      this.due = 0;
      return;
    }
    if (number !== this.asked) return;
    this.older = older || this.older;
    const said = JSON.stringify(rows);
    if (!older && said === this.said && this.rows.length) return;
    this.said = older ? "" : said;
    this.rows = older ? [...this.rows, ...rows] : rows;
    $("more").hidden = rows.length < PAGE;
    $("ledger-empty").hidden = this.rows.length > 0;
    const body = $("ledger").tBodies[0];
    const made = rows.map((row) => make("tr", {}, ...TABLES[kind].row(row)));
    if (older) body.append(...made); else body.replaceChildren(...made);
  }
}
