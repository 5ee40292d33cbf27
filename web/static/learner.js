// The learner's curves: one small chart for each number of its updates.

import { Chart, around } from "./charts.js";
import { $, make, write } from "./dom.js";
import { short, signed } from "./format.js";
import { ask } from "./server.js";

const CURVES = [
  ["entropy", "Entropy", "nats"], ["kl", "KL divergence", ""], ["policy_loss", "Policy loss", ""], ["value_loss", "Value loss", ""],
  ["explained_variance", "Explained variance", ""], ["reward_sum_usd", "Return of the batch", "USD"],
];
const AGAIN_MS = 60_000;

export class Learner {
  constructor() {
    this.due = 0;
    this.seen = "";
    this.charts = null;
  }

  show(view, now) {
    const learner = view.status?.learner;
    write($("learner-sum"), learner ? `${learner.source}, v${learner.version} · ${learner.learns ? `${learner.waiting} of ${learner.buffer} transitions for the next update` : "it does not learn"}${learner.rolled_back ? ` · last update undone: ${learner.rolled_back}` : ""}` : "");
    const seen = `${view.session} ${learner?.updates}`;
    if (view.session === null || view.state === "away" || (seen === this.seen && now() < this.due)) return;
    this.seen = seen;
    this.due = now() + AGAIN_MS;
    this.load();
  }

  async load() {
    let curves;
    try {
      ({ curves } = await ask("learner"));
    } catch {
      this.due = 0;
      return;
    }
    const some = CURVES.some(([name]) => curves[name].t.length > 0);
    $("curves-empty").hidden = some;
    if (!some) return;
    this.charts ??= new Map(CURVES.map(([name, title, unit]) => {
      const value = make("b");
      const host = make("div", { class: "chart curve" });
      $("curves").append(make("div", {}, make("h3", {}, make("span", {}, unit ? `${title}, ${unit}` : title), value), host));
      return [name, { value, chart: new Chart(host, { name: title, format: short, axis: 48, small: true, tight: true, yRange: around(0), series: [{ name: "", colour: "--accent", width: 1.25 }] }) }];
    }));
    for (const [name] of CURVES) {
      const { t, value } = curves[name];
      const shown = this.charts.get(name);
      shown.chart.set([t, value]);
      write(shown.value, value.length ? (name === "reward_sum_usd" ? signed(value.at(-1)) : short(value.at(-1))) : "");
    }
  }
}
