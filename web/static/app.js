// The page: takes each view of the stream apart and hands the parts to those who show them.

import * as actions from "./actions.js";
import { Assets } from "./assets.js";
import { $, mark, write } from "./dom.js";
import { Divergence } from "./divergence.js";
import { Equity } from "./equity.js";
import { lately, span } from "./format.js";
import { Gate, holdText } from "./gate.js";
import { Learner } from "./learner.js";
import { Ledger } from "./ledger.js";
import { follow, logout, session } from "./server.js";
import { Actors } from "./actors.js";
import { Tiles } from "./tiles.js";

const parts = { tiles: new Tiles(), equity: new Equity(), gate: new Gate(), assets: new Assets(), actors: new Actors(), learner: new Learner(), divergence: new Divergence(), ledger: new Ledger() };
const LINKS = {
  starting: "Connecting", live: "Live", silent: "Trader silent", down: "Trader down", empty: "Nothing stored", away: "Database away", lost: "Page server away",
};
let view = null;
let offset = 0;
let lost = false;

const now = () => Date.now() + offset;
const since = (ms) => (ms === null || ms === undefined ? "" : ` since ${lately(ms)} (${span((now() - ms) / 1000)})`);

function bannerOf() {
  if (lost) return ["bad", "The page's server does not answer; what is shown is what it said last. Trading does not depend on it."];
  if (!view) return null;
  const failure = view.status?.failure;
  switch (view.state) {
    case "away":
      return ["bad", `The database does not answer${since(view.since_ms)}: ${view.why}. What is shown is what was known before; it goes on by itself.`];
    case "down":
      return ["plain", `No process trades${since(view.since_ms)}. What is shown is what it left; \`python supervisor.py run\` starts one.`];
    case "silent":
      return ["warn", `A process holds the lease and has shown nothing${since(view.since_ms)}. It may be starting, or its database is slow.`];
    case "empty":
      return ["plain", "Nothing was traded with this database yet: `python supervisor.py run` starts."];
    default:
      return failure ? ["bad", `The trader is giving up: ${failure}`] : null;
  }
}

function showState() {
  const state = lost ? "lost" : (view?.state ?? "starting");
  mark($("link"), "data-state", state);
  write($("link-text"), LINKS[state]);
  const said = bannerOf();
  const banner = $("banner");
  banner.hidden = said === null;
  if (said) {
    mark(banner, "data-kind", said[0]);
    write(banner, said[1]);
  }
  const reachable = !lost && view !== null;
  $("do-halt").disabled = !reachable || state === "empty";
  $("do-flatten").disabled = !reachable || state === "empty";
  $("do-resume").disabled = !reachable || lasting().length === 0;
}

const holds = () => (view?.state === "down" ? (view.stored?.gate ?? []) : (view?.status?.gate?.holds ?? []));
const lasting = () => holds().filter((hold) => hold.lasting);

function show(next) {
  view = next;
  lost = false;
  offset = view.at_ms - Date.now();
  const status = view.status;
  const process = status?.process;
  const mode = process?.mode ?? view.stored?.session?.mode;
  $("mode").hidden = !mode;
  if (mode) {
    mark($("mode"), "data-mode", mode);
    write($("mode"), mode);
  }
  write($("session"), view.session ? `session ${view.session}${process ? `, ${process.profile}` : ""}` : "");
  document.title = status?.portfolio && view.state === "live" ? `${status.portfolio.pnl_net_usd >= 0 ? "+" : "−"}${Math.abs(status.portfolio.pnl_net_usd).toFixed(2)} · fusebox` : "fusebox";
  for (const part of Object.values(parts)) part.show(view, now);
  showState();
}

$("do-halt").addEventListener("click", () => actions.halt(view?.status?.assets ?? []));
$("do-flatten").addEventListener("click", () => actions.flatten(view?.status?.assets ?? []));
$("do-resume").addEventListener("click", () => actions.resume(lasting().map(holdText)));
$("logout").addEventListener("click", logout);

const theme = $("theme");
const SIGNS = { system: "◐", light: "☀", dark: "☾" };
const nameTheme = () => {
  write($("theme-sign"), SIGNS[window.fuseboxTheme.chosen]);
  mark(theme, "aria-label", `Theme: ${window.fuseboxTheme.chosen}; change`);
  mark(theme, "title", `Theme: ${window.fuseboxTheme.chosen}`);
};
theme.addEventListener("click", () => {
  window.fuseboxTheme.next();
  nameTheme();
});
nameTheme();
write($("clock-note"), `Times are those of this browser (${Intl.DateTimeFormat().resolvedOptions().timeZone}). PnL and equity are net of fees.`);

setInterval(() => {
  showState();
  parts.assets.tick(now());
}, 500);
session().then((found) => { $("logout").hidden = !found.password; }, () => {});
follow(show, () => { lost = true; showState(); });
