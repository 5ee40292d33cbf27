// The account in numbers.

import { $, keyed, make, tint, write } from "./dom.js";
import { number, percent, signed } from "./format.js";

export class Tiles {
  show(view) {
    const account = view.status?.portfolio;
    const stored = view.stored?.session;
    const learner = view.status?.learner;
    const equity = account && account.open_pnl_usd !== null ? Number(account.cash_usd) + Number(account.open_cost_usd) + Number(account.open_pnl_usd) : null;
    const net = account?.pnl_net_usd ?? stored?.pnl_net_usd;
    const held = (view.status?.assets ?? []).filter((each) => each.position).length;
    const outstanding = account?.outstanding;
    const tiles = [
      ["Equity", number(equity), "USD, marked at the bid", null],
      ["PnL net", signed(net), "USD, closed trades", net],
      ["Open PnL", signed(account?.open_pnl_usd), `USD, ${held} ${held === 1 ? "position" : "positions"}`, account?.open_pnl_usd],
      ["Fees paid", number(account?.fees_usd ?? stored?.fees_usd), "USD", null],
      ["Trades", String(account?.trades ?? stored?.trades ?? "–"), account?.trades ? `${percent(account.wins / account.trades)} won` : "none closed", null],
      ["Cash", number(account?.cash_usd), account ? `${number(account.reserved_usd)} reserved` : "", null],
      ["At risk", number(account?.open_cost_usd ?? stored?.open_cost_usd), outstanding && Number(outstanding.claimable_usd) > 0 ? `${number(outstanding.claimable_usd)} to redeem` : "USD at cost", null],
      ["Policy", learner ? `v${learner.version}` : "–", learner ? (learner.learns ? `${learner.updates} updates` : learner.source) : "", null],
    ];
    keyed(
      $("tiles"), tiles, ([name]) => name,
      ([name]) => make("div", { class: "tile" }, make("div", { class: "name" }, name), make("div", { class: "value" }), make("div", { class: "more" })),
      (tile, [, value, more, sign]) => {
        write(tile.children[1], value);
        tint(tile.children[1], sign ?? 0);
        write(tile.children[2], more);
      },
    );
  }
}
