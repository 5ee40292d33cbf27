// Paper beside live: what each came to, and how they differ where both acted on the same decision.

import { $, make } from "./dom.js";
import { number, percent, price, signed } from "./format.js";

export class Divergence {
  constructor() {
    this.said = "";
  }

  show(view) {
    const found = view.divergence;
    $("beside").hidden = !found;
    const said = JSON.stringify(found);
    if (!found || said === this.said) return;
    this.said = said;
    const { live, paper, same } = found;
    const rate = (e) => (Number(e.shares) ? percent(Number(e.filled_shares) / Number(e.shares), 1) : "–");
    const rows = [];
    for (const [kind, name] of [["opening", "Opening"], ["closing", "Closing"]]) {
      rows.push([`${name}: orders filled`, (s) => `${s[kind].filled} of ${s[kind].orders}`]);
      rows.push([`${name}: shares filled`, (s) => rate(s[kind])]);
      rows.push([`${name}: average price`, (s) => (s[kind].price === null ? "–" : price(s[kind].price))]);
    }
    rows.push(["Trades closed", (s) => String(s.trades)], ["Fees, USD", (s) => number(s.fees_usd)], ["PnL net, USD", (s) => signed(s.pnl_net_usd)]);
    $("divergence").replaceChildren(
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, ""), make("th", { scope: "col", class: "n" }, `Live, session ${live.session}`), make("th", { scope: "col", class: "n" }, `Paper, session ${paper.session}`))),
      make("tbody", {}, ...rows.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "n" }, value(live)), make("td", { class: "n" }, value(paper))))),
    );
    const worse = same.price_worse === null ? "" : ` Where both filled (${same.both_filled}), live's price was ${signed(same.price_worse, 4)} USD a share worse, its fee ${signed(same.fee_more, 4)} more.`;
    $("divergence-note").textContent = `Same decisions: ${same.orders} orders of both, ${same.only_live} only live, ${same.only_paper} only paper.${worse} Round trips of both: ${same.trades}; live ${signed(same.live_pnl_net_usd)}, paper ${signed(same.paper_pnl_net_usd)} USD.`;
  }
}
