// The gate with whatever holds it, and the limits with what is left of each.

import { $, keyed, make, mark, write } from "./dom.js";
import { lately, number, price } from "./format.js";

export function holdText(hold) {
  const by = hold.set_by ? `, by ${hold.set_by}` : "";
  return `${hold.scope || "all assets"} ${hold.level}: ${hold.reason}${hold.detail ? ` (${hold.detail})` : ""}${by}`;
}

const amount = (value, unit) => {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(Number(value))) return String(value);
  if (unit?.startsWith("USD")) return number(value);
  return Number.isInteger(Number(value)) ? Number(value).toLocaleString("en-US") : price(value);
};

/** What a person should know besides: what is unfinished, what was refused last, how the recorder and the venue do. */
function notesOf(status) {
  const notes = [];
  const open = status?.portfolio?.outstanding;
  for (const each of open?.unknown_orders ?? []) notes.push([`${each.asset} ${each.action} ${each.side}: outcome unknown since ${lately(each.since_ms)}${each.error ? ` (${each.error})` : ""}`, "warn"]);
  for (const each of open?.held_to_settlement ?? []) notes.push([`${each.asset} ${each.side} ${number(each.shares)} shares wait for the winner: ${each.reason}`, ""]);
  for (const each of open?.claims ?? []) notes.push([`${each.asset} ${each.market}: ${number(each.claimable_usd)} USD to redeem`, ""]);
  if (status?.portfolio?.last_refusal) notes.push([`Last refusal: ${status.portfolio.last_refusal}`, ""]);
  const venue = status?.venue;
  if (venue?.refusal) notes.push([`The venue refuses: ${venue.refusal}`, "warn"]);
  if (venue?.paused_until_ms) notes.push([`The venue is paused until ${lately(venue.paused_until_ms)}`, "warn"]);
  const recorder = status?.recorder;
  if (recorder?.error) notes.push([`Recorder: ${recorder.error}, ${recorder.queued} rows wait`, "warn"]);
  if (recorder?.journal_error) notes.push([`Journal: ${recorder.journal_error}`, "warn"]);
  if (recorder?.refused) notes.push([`${recorder.refused} batches were refused by the database and wait in the journal folder`, "warn"]);
  return notes;
}

const storedNotes = (stored) =>
  (stored?.positions ?? []).map((each) => [`Holds ${each.asset} ${each.side} ${number(each.shares)} shares, cost ${number(each.cost_usd)} USD`, ""]);

export class Gate {
  show(view) {
    const status = view.status;
    const down = view.state === "down" || view.state === "empty";
    const holds = view.state === "down" ? (view.stored?.gate ?? []) : (status?.gate?.holds ?? []);
    const level = down ? (holds.some((h) => h.level === "closed") ? "closed" : holds.length ? "reduce-only" : "open") : status?.gate?.level;
    mark($("gate-pill"), "data-level", level ?? "unknown");
    write($("gate-text"), level ? (down ? `Next start ${level}` : `Gate ${level}`) : "Gate unknown");
    const shown = holds.length ? holds : [null];
    keyed(
      $("holds"), shown, (hold) => (hold ? `${hold.scope} ${hold.reason}` : "none"),
      () => make("div"),
      (box, hold) => {
        if (!hold) {
          box.className = "quiet";
          write(box, level ? "Nothing holds it: everything within the limits is allowed." : "Not known.");
          return;
        }
        box.className = "gate-hold";
        mark(box, "data-level", hold.level);
        const softened = hold.softened_for?.length ? `; reduce-only for ${hold.softened_for.join(", ")}` : "";
        const when = hold.set_at_ms ? `, since ${lately(hold.set_at_ms)}` : "";
        write(box, `${holdText(hold)}${when}${softened}${hold.lasting ? ". Resume lifts it." : ""}`);
      },
    );
    this.limits(status?.limits ?? []);
    const notes = down ? storedNotes(view.stored) : notesOf(status);
    keyed($("notes"), notes, (_, place) => place, () => make("li"), (item, [text, kind]) => {
      write(item, text);
      item.className = kind;
    });
  }

  limits(limits) {
    keyed(
      $("limits"), limits, (limit) => `${limit.name} ${limit.scope ?? ""}`,
      () => make("div", { class: "limit" }, make("span", { class: "name" }, make("span"), make("span", { class: "quiet" })), make("span"), make("span", { class: "quiet" }), make("div", { class: "track", "aria-hidden": "true" }, make("i"))),
      (row, limit) => {
        const [name, used, room, track] = row.children;
        const unit = limit.unit ? ` ${limit.unit}` : "";
        write(name.children[0], `${String(limit.name).replaceAll("_", " ")}${limit.scope ? ` ${limit.scope}` : ""}`);
        write(name.children[1], `${limit.note ? ` ${limit.note}` : ""}${limit.trips ? " · trips" : ""}`);
        mark(name, "title", [limit.trips ? "Trips the kill switch" : "", limit.note ?? ""].filter(Boolean).join("; ") || null);
        const known = limit.used !== null && limit.used !== undefined;
        write(used, known ? `${amount(limit.used, limit.unit)} of ${amount(limit.limit, limit.unit)}${unit}` : `${amount(limit.limit, limit.unit)}${unit}`);
        write(room, limit.headroom === null || limit.headroom === undefined ? "" : `${amount(limit.headroom, limit.unit)} left`);
        const [most, now] = [Number(limit.limit), Number(limit.used)];
        const part = known && most > 0 && Number.isFinite(now) ? Math.min(1, Math.max(0, now / most)) : null;
        track.classList.toggle("none", part === null);
        track.firstChild.style.width = `${100 * (part ?? 0)}%`;
        track.firstChild.className = part >= 1 ? "over" : part > 0.8 ? "near" : "";
      },
    );
  }
}
