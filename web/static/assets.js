// Each asset in a tab, one of them in full: price against fair value, spot against strike, probabilities, book, position.

import { restart } from "./actions.js";
import { Chart, around, colour } from "./charts.js";
import { $, keyed, make, mark, tint, write } from "./dom.js";
import { left, number, percent, price, signed, spot } from "./format.js";
import { ask } from "./server.js";

const NAMES = ["t", "up", "fair", "bid", "ask", "move", "hold", "buy", "sell"];
const AGAIN_MS = 60_000;
const MARKS_MS = 900;
const SLOW_MARKS_MS = 10_000;
const MOST = 2400;

export class Assets {
  constructor() {
    this.selected = null;
    this.minutes = 0;
    this.view = null;
    this.columns = null;
    this.marks = [];
    this.due = 0;
    this.marksDue = 0;
    this.signature = "";
    const range = (_, low, high) => this.range(low, high);
    this.prices = new Chart($("price-chart"), {
      name: "Up price", format: price, xRange: range, axis: 52,
      series: [
        { colour: "--strong", width: 0.5 }, { colour: "--strong", width: 0.5 },
        { name: "market", colour: "--accent", width: 1.75 }, { name: "fair", colour: "--fair", width: 1.5 },
      ],
      bands: [[2, 1]],
      yRange: (_, low, high) => (low === null ? [0, 1] : [Math.max(-0.03, low - 0.04), Math.min(1.03, high + 0.04)]),
      draw: (plot) => this.drawMarks(plot),
    });
    this.moves = new Chart($("spot-chart"), {
      name: "Spot against the strike in basis points", format: (v) => signed(v, 1), xRange: range, axis: 52, small: true,
      series: [{ name: "bp", colour: "--warn", fill: "--warn", fillTo: () => 0 }],
      yRange: (plot, low, high) => { const [a, b] = around(2)(plot, low, high); return low === null ? [-1, 1] : [Math.min(a, 0), Math.max(b, 0)]; },
    });
    this.actions = new Chart($("action-chart"), {
      name: "Action probabilities", format: (v) => percent(v), xRange: range, axis: 52, small: true,
      series: [{ name: "hold", colour: "--muted" }, { name: "buy", colour: "--up" }, { name: "sell", colour: "--down" }],
      yRange: () => [-0.03, 1.03],
    });
    for (const button of $("asset-range").querySelectorAll("button")) {
      button.addEventListener("click", () => {
        this.minutes = Number(button.dataset.minutes);
        for (const other of $("asset-range").querySelectorAll("button")) mark(other, "aria-pressed", String(other === button));
        this.reset();
      });
    }
    $("asset-tabs").addEventListener("keydown", (event) => this.walk(event));
  }

  get line() {
    return this.view?.status?.assets.find((each) => each.asset === this.selected) ?? null;
  }

  /** The time shown: the whole window, its end included, or so many minutes up to now. */
  range(low, high) {
    const line = this.line;
    if (this.minutes === 0 && line?.opens_at_ms) return [line.opens_at_ms / 1000, line.closes_at_ms / 1000];
    const end = high ?? Date.now() / 1000;
    return [Math.max(low ?? end - 60, end - 60 * (this.minutes || 15)), end];
  }

  select(asset) {
    if (asset === this.selected) return;
    this.selected = asset;
    this.reset();
    this.showTabs();
    this.showSide();
  }

  walk(event) {
    const tabs = [...$("asset-tabs").querySelectorAll("[role=tab]")];
    const place = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: place + 1, ArrowDown: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined || place < 0) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    this.select(tab.dataset.asset);
    tab.focus();
  }

  reset() {
    this.columns = null;
    this.marks = [];
    this.due = 0;
    this.draw();
  }

  show(view, now) {
    this.view = view;
    this.now = now;
    const assets = view.status?.assets ?? [];
    $("assets-empty").hidden = assets.length > 0;
    $("asset-panel").hidden = assets.length === 0;
    if (!assets.length) return;
    if (!assets.some((each) => each.asset === this.selected)) this.select(assets[0].asset);
    this.showTabs();
    this.showSide();
    if (view.state === "away") return;
    if (now() > this.due) this.load(now());
    else if (view.state === "live") this.append();
    this.refreshMarks(now());
  }

  // -- the tabs --------------------------------------------------------------------------------------------------

  showTabs() {
    keyed(
      $("asset-tabs"), this.view?.status?.assets ?? [], (each) => each.asset,
      (each) => make(
        "button", { type: "button", role: "tab", class: "asset-tab", "data-asset": each.asset, id: `asset-${each.asset}`, "aria-controls": "asset-panel", onclick: () => this.select(each.asset) },
        make("span", { class: "line" }, make("span", {}, make("b", {}, each.asset), " ", make("span", { class: "quiet" })), make("span", { class: "big" })),
        make("span", { class: "line quiet" }, make("span"), make("span", { class: "spot" })),
        make("span", { class: "line" }, make("span"), make("span")),
        make("span", { class: "left", "aria-hidden": "true" }, make("i")),
      ),
      (tab, each) => {
        const chosen = each.asset === this.selected;
        mark(tab, "aria-selected", String(chosen));
        mark(tab, "tabindex", chosen ? null : "-1");
        const [one, two, three] = tab.children;
        write(one.children[0].children[1], each.gate === "open" ? (each.leaving ? "leaving" : "") : each.gate);
        one.children[0].children[1].classList.toggle("warn", each.gate !== "open");
        write(one.children[1], price(each.up_price));
        write(two.children[0], `fair ${price(each.fair_value)}`);
        const move = each.spot && each.strike ? (each.spot / each.strike - 1) * 1e4 : null;
        write(two.children[1], move === null ? "" : `${signed(move, 1)} bp`);
        write(three.children[0], each.position ? `${each.position.side} ${number(each.position.shares)}` : (each.waiting_for ?? "flat"));
        const worth = each.position ? each.position.open_pnl_usd : each.pnl_net_usd;
        write(three.children[1], each.position ? `${signed(worth)} open` : `${signed(worth)} net`);
        tint(three.children[1], worth);
      },
    );
    if (this.selected) mark($("asset-panel"), "aria-labelledby", `asset-${this.selected}`);
  }

  /** What moves by itself: countdowns. */
  tick(now) {
    for (const each of this.view?.status?.assets ?? []) {
      const bar = $(`asset-${each.asset}`)?.querySelector(".left i");
      if (!bar) continue;
      const length = each.closes_at_ms - each.opens_at_ms;
      const part = this.view.state === "live" && length > 0 ? Math.min(1, Math.max(0, (each.closes_at_ms - now) / length)) : 0;
      bar.style.width = `${100 * part}%`;
      bar.classList.toggle("ending", part < 2 / 15);
    }
    const line = this.line;
    if (this.side && line) write(this.side.left, this.view.state === "live" && line.closes_at_ms ? left(line.closes_at_ms - now) : "–");
  }

  // -- the side of one asset -------------------------------------------------------------------------------------

  showSide() {
    const line = this.line;
    if (!line) return;
    if (!this.side) this.side = this.makeSide();
    const { side } = this;
    const position = line.position;
    const outcomes = [
      ["Window", line.window ?? "none"],
      ["Spot, strike", `${spot(line.spot)} / ${spot(line.strike)}`],
      ["Up price, fair value", `${price(line.up_price)} / ${price(line.fair_value)}`],
      ["Edge of Up at the middle", line.fair_value !== null && line.up_price !== null ? signed(line.fair_value - line.up_price, 3) : "–"],
      ["Position", position ? `${position.side} ${number(position.shares)} at ${price(position.entry_price)}` : "flat"],
      ["Open PnL, after fees", position ? `${signed(position.open_pnl_usd)} USD` : "–"],
      ["PnL net, trades", `${signed(line.pnl_net_usd)} USD, ${line.trades}`],
      ["Decisions", Number(line.decisions).toLocaleString("en-US")],
      ["Gate", line.gate + (line.leaving ? ", leaving" : "")],
      ...(line.waiting_for ? [["Waits for", line.waiting_for]] : []),
      ...(line.stale_feeds.length ? [["Stale", line.stale_feeds.join(", ")]] : []),
      ...(line.unsettled ? [["To settle", `${line.unsettled} ${line.unsettled === 1 ? "window" : "windows"}`]] : []),
    ];
    keyed(
      side.facts, outcomes.flatMap(([name, value]) => [["dt", name], ["dd", name, value]]), ([tag, name]) => tag + name,
      ([tag]) => make(tag),
      (element, [tag, name, value]) => {
        write(element, tag === "dt" ? name : value);
        if (tag === "dd" && name.includes("PnL")) tint(element, name.startsWith("Open") ? position?.open_pnl_usd ?? 0 : line.pnl_net_usd);
      },
    );
    write(side.restart, `Restart ${line.asset}`);
    side.restart.disabled = this.view.state !== "live";
    this.showBook(line);
  }

  makeSide() {
    const clock = make("b");
    const facts = make("dl", { class: "facts" });
    const again = make("button", { type: "button", class: "small", onclick: () => restart(this.selected) }, "Restart");
    const body = make("tbody");
    $("asset-side").append(
      make("div", { class: "head" }, make("h3", {}, "Closes in ", clock), again), facts,
      make("h3", {}, "Book of Up"),
      make("table", { class: "book" }, make("caption", { class: "hidden" }, "Best five levels of the Up token"),
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Price"), make("th", { scope: "col", class: "n" }, "Shares"), make("th", { scope: "col", class: "n" }, "USD"))), body),
    );
    return { left: clock, facts, restart: again, body };
  }

  showBook(line) {
    const asks = (line.asks ?? []).map(([at, shares]) => ["ask", at, shares]).reverse();
    const bids = (line.bids ?? []).map(([at, shares]) => ["bid", at, shares]);
    const deepest = Math.max(1e-9, ...[...asks, ...bids].map(([, , shares]) => Number(shares)));
    const rows = [...asks, ["mid", line.spread, null], ...bids];
    keyed(
      this.side.body, rows, ([kind], place) => `${kind} ${place}`,
      ([kind]) => kind === "mid"
        ? make("tr", { class: "mid" }, make("td", { colspan: "3" }))
        : make("tr", { class: kind }, make("td", {}, make("span")), make("td", { class: "n" }), make("td", { class: "n depth" }, make("span"), make("i", { class: "bar", "aria-hidden": "true" }))),
      (row, [kind, at, shares]) => {
        if (kind === "mid") {
          write(row.firstChild, at === null || at === undefined ? "no two-sided book" : `spread ${price(at)}`);
          return;
        }
        row.children[0].firstChild.className = kind === "ask" ? "down" : "up";
        write(row.children[0].firstChild, price(at));
        write(row.children[1], number(shares));
        write(row.children[2].firstChild, number(Number(at) * Number(shares)));
        row.children[2].lastChild.style.width = `${(100 * Number(shares)) / deepest}%`;
      },
    );
  }

  // -- the charts ------------------------------------------------------------------------------------------------

  async load(now) {
    const { selected: asset, minutes } = this;
    this.due = now + AGAIN_MS;
    const line = this.line;
    const wanted = minutes || Math.min(1440, Math.ceil((now - (line?.opens_at_ms ?? now)) / 60_000) + 1);
    let found;
    try {
      found = await ask("asset", { asset, minutes: wanted });
    } catch {
      this.due = 0; // the state above says why; the next view asks again
      return;
    }
    if (asset !== this.selected || minutes !== this.minutes) return;
    const { t, up, fair, bid, ask: offer, spot: spots, strike, hold, buy, sell } = found.samples;
    const move = spots.map((value, place) => (value && strike[place] ? (value / strike[place] - 1) * 1e4 : null));
    this.columns = { t, up, fair, bid, ask: offer, move, hold, buy, sell };
    this.marks = found.marks;
    this.draw();
  }

  append() {
    const line = this.line;
    const at = this.view.picture_ms / 1000;
    const columns = this.columns;
    if (!line || !columns || (columns.t.length && at <= columns.t.at(-1))) return;
    const value = (text) => (text === null || text === undefined ? null : Number(text));
    const [hold, buy, sell] = line.probabilities ?? [null, null, null];
    const move = line.spot && line.strike ? (line.spot / line.strike - 1) * 1e4 : null;
    const row = { t: at, up: value(line.up_price), fair: line.fair_value, bid: value(line.bids?.[0]?.[0]), ask: value(line.asks?.[0]?.[0]), move, hold, buy, sell };
    for (const name of NAMES) {
      columns[name].push(row[name]);
      if (columns.t.length > MOST) columns[name].shift();
    }
    this.draw();
  }

  draw() {
    let shown = this.columns ?? Object.fromEntries(NAMES.map((name) => [name, []]));
    const opens = this.minutes === 0 && this.line?.opens_at_ms ? this.line.opens_at_ms / 1000 : 0;
    const first = shown.t.findIndex((at) => at >= opens);
    if (first !== 0) shown = Object.fromEntries(NAMES.map((name) => [name, first < 0 ? [] : shown[name].slice(first)]));
    this.prices.set([shown.t, shown.bid, shown.ask, shown.up, shown.fair]);
    this.moves.set([shown.t, shown.move]);
    this.actions.set([shown.t, shown.hold, shown.buy, shown.sell]);
  }

  /** Orders and fills are asked for again as soon as the account shows that something happened there. */
  async refreshMarks(now) {
    const line = this.line;
    const signature = `${this.selected} ${line?.trades} ${line?.position?.side} ${line?.position?.shares}`;
    if (now < this.marksDue || (signature === this.signature && now < this.marksDue + SLOW_MARKS_MS)) return;
    this.signature = signature;
    this.marksDue = now + MARKS_MS;
    const asset = this.selected;
    try {
      const found = await ask("marks", { asset, minutes: this.minutes || Math.min(1440, Math.ceil((now - (line?.opens_at_ms ?? now)) / 60_000) + 1) });
      if (asset !== this.selected) return;
      this.marks = found.marks;
      this.prices.redraw();
    } catch { /* the next view asks again */ }
  }

  drawMarks(plot) {
    const { ctx } = plot;
    const { left: x0, width, top, height } = plot.bbox;
    const size = 5 * devicePixelRatio;
    const [up, down, muted] = [colour("--up"), colour("--down"), colour("--muted")];
    ctx.save();
    ctx.beginPath();
    ctx.rect(x0, top, width, height);
    ctx.clip();
    ctx.lineWidth = 1.5 * devicePixelRatio;
    for (const each of this.marks) {
      const x = plot.valToPos(each.t, "x", true);
      if (x < x0 - size || x > x0 + width + size) continue;
      const rising = (each.side === "UP") === (each.action === "OPEN");
      const traded = each.filled > 0;
      const value = traded ? (each.side === "UP" ? each.price : 1 - each.price) : this.priceAt(each.t);
      if (value === null || value === undefined) continue;
      const y = plot.valToPos(value, "y", true);
      ctx.strokeStyle = ctx.fillStyle = traded ? (rising ? up : down) : muted;
      ctx.beginPath();
      if (!traded) {
        ctx.moveTo(x - size / 2, y - size / 2); ctx.lineTo(x + size / 2, y + size / 2);
        ctx.moveTo(x + size / 2, y - size / 2); ctx.lineTo(x - size / 2, y + size / 2);
        ctx.stroke();
        continue;
      }
      const tip = rising ? -size : size;
      ctx.moveTo(x, y + tip); ctx.lineTo(x + size, y - tip * 0.7); ctx.lineTo(x - size, y - tip * 0.7);
      ctx.closePath();
      if (each.action === "OPEN") ctx.fill(); else ctx.stroke();
    }
    ctx.restore();
  }

  priceAt(seconds) {
    const times = this.columns?.t ?? [];
    let low = 0, high = times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= seconds) low = middle; else high = middle - 1;
    }
    return times.length ? this.columns.up[low] : null;
  }
}
