// Equity over time: marked once a second for a day, and for the whole session what closed trades came to.

import { Chart, around } from "./charts.js";
import { $, mark } from "./dom.js";
import { number } from "./format.js";
import { ask } from "./server.js";

const AGAIN_MS = 60_000;

export class Equity {
  constructor() {
    this.minutes = 60;
    this.session = null;
    this.due = 0;
    this.start = null;
    this.columns = [[], [], []];
    this.chart = new Chart($("equity-chart"), {
      name: "Equity in dollars",
      series: [
        { name: "equity", colour: "--accent", fill: "--accent", width: 1.75 },
        { name: "closed trades", colour: "--muted", width: 1.25, dash: [4, 3], steps: true },
      ],
      format: (value) => number(value, Math.abs(value) >= 100000 ? 0 : 1),
      axis: 70,
      yRange: around(10),
      xRange: (_, low, high) => (this.minutes && high !== null ? [Math.min(low, high - 60), high] : [low ?? 0, high ?? 1]),
    });
    for (const button of $("equity-range").querySelectorAll("button")) {
      button.addEventListener("click", () => {
        this.minutes = Number(button.dataset.minutes);
        for (const other of $("equity-range").querySelectorAll("button")) mark(other, "aria-pressed", String(other === button));
        this.due = 0;
      });
    }
  }

  show(view, now) {
    const account = view.status?.portfolio;
    if (account) this.start = Number(account.cash_usd) + Number(account.open_cost_usd) - Number(account.pnl_net_usd);
    if (view.session !== null && view.state !== "away" && (view.session !== this.session || now() > this.due)) {
      this.session = view.session;
      this.due = now() + AGAIN_MS;
      this.load();
    } else if (view.state === "live" && this.minutes && account?.open_pnl_usd !== null && account) {
      const at = view.picture_ms / 1000;
      const times = this.columns[0];
      if (!times.length || at > times.at(-1)) {
        times.push(at);
        this.columns[1].push(Number(account.cash_usd) + Number(account.open_cost_usd) + Number(account.open_pnl_usd));
        this.columns[2].push(this.start + Number(account.pnl_net_usd));
        const oldest = at - this.minutes * 60;
        while (times.length && times[0] < oldest) this.columns.forEach((column) => column.shift());
        this.chart.set(this.columns);
      }
    }
  }

  async load() {
    const asked = this.minutes;
    let found;
    try {
      found = await ask("equity", { minutes: asked || 1440 });
    } catch {
      return; // the state above says why; the next view asks again
    }
    if (asked !== this.minutes) return;
    const start = this.start ?? 0;
    if (asked) {
      const { t, equity, net } = found.marked;
      this.columns = [t, equity, net.map((value) => (value === null ? null : start + value))];
    } else {
      const { t, net } = found.realised;
      this.columns = [t, t.map(() => null), net.map((value) => start + value)];
    }
    this.chart.set(this.columns);
  }
}
