// A chart of the last 30 minutes: an area, lines, two axes, and a cursor for mouse and keyboard.

import { timeTicks } from "./axis.js";
import { element, setAttribute, setText, svg } from "./dom.js";
import { timeWithSeconds } from "./format.js";

const LEFT = 44;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 20;
const LONGEST = 1800;
const SHORTEST = 300;

export class Chart {
  // `series` are {kind, name}; `unit` formats a value, `short` a value at the axis; the axis ends at `round(highest)`,
  // and at `least` or above.
  constructor(title, series, { unit, short, least, round }) {
    this.title = title;
    this.series = series;
    this.unit = unit;
    this.short = short;
    this.least = least;
    this.round = round;
    this.points = [];
    this.now = 0;
    this.picked = null;
    this.readout = element("output");
    this.drawing = svg("svg", { class: "chart", role: "img", tabindex: "0" });
    this.figure = element("figure", {}, element("figcaption", {}, element("span", {}, title), this.readout), this.drawing);
    this.drawing.addEventListener("pointermove", (event) => this.pick(this.nearest(event.offsetX)));
    this.drawing.addEventListener("pointerleave", () => this.pick(null));
    this.drawing.addEventListener("blur", () => this.pick(null));
    this.drawing.addEventListener("keydown", (event) => this.move(event));
    new ResizeObserver(() => this.draw()).observe(this.drawing);
  }

  // `points` are [time, value of each series …]; null: no value.
  update(points, now) {
    this.points = points;
    this.now = now;
    // a history of 5 to 30 minutes fills the width
    this.span = Math.min(LONGEST, Math.max(SHORTEST, points.length ? now - points[0][0] : 0));
    this.draw();
  }

  x(at) {
    return LEFT + ((at - (this.now - this.span)) / this.span) * (this.width - LEFT - RIGHT);
  }

  y(value) {
    return this.height - BOTTOM - (value / this.top) * (this.height - TOP - BOTTOM);
  }

  draw() {
    this.width = this.drawing.clientWidth;
    this.height = this.drawing.clientHeight;
    if (!this.width || !this.now) return;
    const values = this.points.flatMap((point) => point.slice(1)).filter((value) => value !== null);
    this.top = this.round(Math.max(this.least, ...values));
    this.drawing.replaceChildren(...this.axes(), ...this.series.flatMap((one, index) => this.curve(one, index + 1)));
    this.drawCursor();
    setAttribute(this.drawing, "aria-label", this.summary(values));
  }

  axes() {
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      const y = this.y(this.top * share);
      parts.push(svg("line", { class: share ? "grid" : "grid base", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y }));
      const text = share ? this.short(this.top * share) : "0";
      parts.push(svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, text));
    }
    const most = Math.max(2, Math.floor((this.width - LEFT) / 60));
    const { ticks, write } = timeTicks(this.now - this.span, this.now, most);
    for (const at of ticks) {
      const x = this.x(at);
      if (x < LEFT + 12 || x > this.width - 16) continue;
      parts.push(svg("line", { class: "grid", x1: x, x2: x, y1: this.height - BOTTOM, y2: this.height - BOTTOM + 4 }));
      parts.push(svg("text", { x, y: this.height - 3, "text-anchor": "middle" }, write(at)));
    }
    return parts;
  }

  curve({ kind }, index) {
    const runs = [];
    let run = [];
    for (const point of this.points) {
      if (point[index] === null || point[0] < this.now - this.span) {
        if (run.length) runs.push(run);
        run = [];
      } else run.push([this.x(point[0]), this.y(point[index])]);
    }
    if (run.length) runs.push(run);
    const parts = [];
    for (const path of runs) {
      const line = path.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
      if (index === 1) {
        const foot = this.y(0).toFixed(1);
        const area = `M${path[0][0].toFixed(1)} ${foot}L${line}L${path.at(-1)[0].toFixed(1)} ${foot}Z`;
        parts.push(svg("path", { class: `area ${kind}`, d: area }));
      }
      parts.push(svg("path", { class: `line ${kind}`, d: path.length > 1 ? `M${line}` : `M${line}h1` }));
    }
    return parts;
  }

  nearest(x) {
    let best = null;
    this.points.forEach((point, index) => {
      if (best === null || Math.abs(this.x(point[0]) - x) < Math.abs(this.x(this.points[best][0]) - x)) best = index;
    });
    return best === null ? null : this.points[best][0];
  }

  move(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || !this.points.length) return;
    event.preventDefault();
    const last = this.points.length - 1;
    const here = this.picked === null ? last : this.points.findIndex((point) => point[0] >= this.picked);
    const index = Math.min(last, Math.max(0, (here < 0 ? last : here) + steps[event.key]));
    this.pick(this.points[index][0]);
  }

  pick(at) {
    this.picked = at;
    this.drawCursor();
  }

  drawCursor() {
    this.drawing.querySelector(".cursor")?.remove();
    const point = this.picked === null ? null : this.points.find((candidate) => candidate[0] >= this.picked);
    if (!point) {
      setText(this.readout, "");
      return;
    }
    const x = this.x(point[0]);
    this.drawing.append(svg("line", { class: "cursor", x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM }));
    const parts = this.series.map(({ name }, index) => `${name} ${this.value(point[index + 1])}`);
    setText(this.readout, `${timeWithSeconds(point[0])}: ${parts.join(", ")}`);
  }

  value(number) {
    return number === null ? "unknown" : this.unit(number);
  }

  summary(values) {
    const last = this.points.at(-1);
    if (!last) return `${this.title}: no data yet`;
    const parts = this.series.map(({ name }, index) => `${name} ${this.value(last[index + 1])}`);
    const most = values.length ? `; at most ${this.unit(Math.max(...values))} in the last 30 minutes` : "";
    return `${this.title}: ${parts.join(", ")} now${most}`;
  }
}
