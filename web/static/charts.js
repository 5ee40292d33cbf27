// Charts in the page's colours: a thin layer over uPlot that follows size and theme, with a readout instead of a legend.

import uPlot from "/static/vendor/uPlot.esm.js";
import { make, mark } from "./dom.js";
import { clock } from "./format.js";

const all = new Set();
document.addEventListener("themechange", () => all.forEach((chart) => chart.rebuild()));

const FONT = '11px Inter, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const times = (_, splits, __, ___, step) => splits.map((s) => (step >= 60 ? clock(s * 1000).slice(0, 5) : clock(s * 1000)));

export class Chart {
  /**
   * @param host the element it fills
   * @param spec { name, series: [{ name, colour, width, dash, fill, steps }], format, xRange, yRange, draw, axis, small }
   */
  constructor(host, spec) {
    this.host = host;
    this.spec = spec;
    this.data = [[], ...spec.series.map(() => [])];
    this.readout = make("div", { class: "readout" });
    this.nothing = make("div", { class: "nothing" }, "No data yet");
    mark(host, "role", "img");
    mark(host, "aria-label", `${spec.name}: no data yet`);
    host.append(this.readout, this.nothing);
    this.plot = null;
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(host);
    all.add(this);
    this.rebuild();
  }

  set(data) {
    this.data = data;
    const some = data[0].length > 0;
    this.nothing.hidden = some;
    this.plot?.setData(data);
    const last = data[0].length - 1;
    mark(this.host, "aria-label", some ? `${this.spec.name}: ${this.values(last)}` : `${this.spec.name}: no data yet`);
    if (this.plot?.cursor.idx === null || this.plot?.cursor.idx === undefined) this.readout.textContent = "";
  }

  values(index) {
    return this.spec.series
      .filter((series) => series.name)
      .map((series) => [series, this.data[this.spec.series.indexOf(series) + 1]?.[index]])
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([series, value]) => `${series.name} ${this.spec.format(value)}`)
      .join(", ");
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (this.plot && width > 0 && (this.plot.width !== width || this.plot.height !== height)) {
      this.plot.setSize({ width, height });
    } else if (!this.plot && width > 0) this.rebuild();
  }

  rebuild() {
    this.plot?.destroy();
    this.plot = null;
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width === 0) return;
    const { spec } = this;
    const muted = colour("--muted");
    const axis = { stroke: muted, font: FONT, ticks: { show: false }, grid: { stroke: colour("--grid"), width: 1 } };
    this.plot = new uPlot(
      {
        width,
        height,
        padding: [10, spec.tight ? 18 : 26, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { x: { time: true, range: spec.xRange }, y: { range: spec.yRange } },
        axes: [
          { ...axis, size: 24, space: 76, values: times, grid: { show: false } },
          { ...axis, size: spec.axis ?? 50, space: spec.small ? 22 : 34, values: (_, splits) => splits.map(spec.format) },
        ],
        series: [
          {},
          ...spec.series.map((series) => ({
            stroke: series.colour ? colour(series.colour) : "transparent",
            width: series.width ?? 1.5,
            dash: series.dash,
            fill: series.fill ? `${colour(series.fill)}${series.opacity ?? "22"}` : undefined,
            fillTo: series.fillTo,
            points: { show: false },
            spanGaps: false,
            paths: series.steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
          })),
        ],
        bands: spec.bands?.map((band) => ({ series: band, fill: `${colour("--strong")}66` })),
        hooks: {
          draw: spec.draw ? [(plot) => spec.draw(plot)] : [],
          setCursor: [
            (plot) => {
              const index = plot.cursor.idx;
              const at = index === null || index === undefined ? undefined : this.data[0][index];
              this.readout.textContent = at === undefined ? "" : `${clock(at * 1000)}  ${this.values(index)}`;
            },
          ],
        },
      },
      this.data,
      this.host,
    );
  }

  redraw() {
    this.plot?.redraw();
  }
}

/** A range that holds all values with some air, at least `least` wide. */
export const around = (least) => (_, low, high) => {
  if (low === null || high === null) return [0, 1];
  const air = Math.max((high - low) * 0.08, least / 2 - (high - low) / 2, 1e-9);
  return [low - air, high + air];
};
