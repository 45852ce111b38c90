// Emitting rows: share of attention on the pictures, and the strip of tokens.

import { SHARE_POWER, css, inkOn, sampled } from "./colours.js";
import { finite, percent } from "./numbers.js";
import { button, fill, line, make, sheet } from "./elements.js";

export const WINDOW = 500;

export function drawTrace(canvas, width, shares, n, { pinned, hovered, start, ink, look }) {
  const height = 84,
    left = 40,
    right = 10,
    g = sheet(canvas, width, height);
  const room = width - left - right,
    x = (t) => left + ((t + 0.5) * room) / Math.max(1, n),
    y = (v) => 66 - 58 * v;
  if (n > WINDOW) {
    g.fillStyle = look.band;
    g.fillRect(left + (start * room) / n, 6, (Math.min(WINDOW, n - start) * room) / n, 62);
  }
  g.textAlign = "right";
  for (const v of [0, 0.5, 1]) {
    line(
      g,
      [
        [left, y(v)],
        [width - right, y(v)],
      ],
      v ? look.grid : look.reference,
    );
    g.fillStyle = look.muted;
    g.fillText(`${100 * v}%`, left - 6, y(v) + 4);
  }
  g.textAlign = "left";
  g.fillText("row 0", left, 80);
  g.textAlign = "right";
  if (n > 1) g.fillText(`${n - 1}`, width - right, 80);
  if (!shares.length) return;
  if (shares.length === 1 && n > 1)
    line(
      g,
      [
        [left, y(shares[0])],
        [width - right, y(shares[0])],
      ],
      ink,
      1.6,
      [5, 4],
    );
  else if (n === 1) dot(g, x(0), y(shares[0]), ink, look);
  else
    line(
      g,
      Array.from(shares, (v, t) => [x(t), y(v)]),
      ink,
      n > 800 ? 1 : 1.7,
    );
  const shown = hovered >= 0 ? hovered : pinned;
  if (shown < 0 || shown >= shares.length) return;
  line(
    g,
    [
      [x(shown), 6],
      [x(shown), 68],
    ],
    look.muted,
    1,
    [2, 2],
  );
  dot(g, x(shown), y(shares[shown]), ink, look);
  g.fillStyle = look.text;
  const flip = x(shown) > width - 110,
    words = `row ${shown}: ${percent(shares[shown])}`;
  const at = [x(shown) + (flip ? -9 : 9), shares[shown] < 0.7 ? y(shares[shown]) - 9 : y(shares[shown]) + 17];
  g.textAlign = flip ? "right" : "left";
  g.lineWidth = 4;
  g.lineJoin = "round";
  g.strokeStyle = look.background;
  g.strokeText(words, ...at);
  g.fillText(words, ...at);
}
function dot(g, x, y, ink, look) {
  g.beginPath();
  g.arc(x, y, 4, 0, 7);
  g.fillStyle = ink;
  g.fill();
  g.lineWidth = 1.5;
  g.strokeStyle = look.background;
  g.stroke();
}

/** A token as it stands, with what cannot be seen made visible. */
export const visible = (text) =>
  text === ""
    ? "∅"
    : text
        .replace(/\n/g, "⏎")
        .replace(/\t/g, "⇥")
        .replace(/^ +$/, (s) => "␣".repeat(s.length));

/** Tokens of the emitting rows, 500 at a time. */
export class TokenStrip {
  constructor(name, pick, preview) {
    this.start = 0;
    this.spans = [];
    this.list = make("div", { class: "vx-tokens", tabindex: "0", role: "listbox", "aria-label": name });
    this.windows = make("div", { class: "vx-windows" });
    this.node = make("div", {}, this.list, this.windows);
    const rowOf = (event) =>
      event.target.dataset && event.target.dataset.row !== undefined ? +event.target.dataset.row : -1;
    this.list.addEventListener("mouseover", (event) => preview(rowOf(event)));
    this.list.addEventListener("mouseleave", () => preview(-1));
    this.list.addEventListener(
      "click",
      (event) => rowOf(event) >= 0 && pick(rowOf(event) === this.pinned ? -1 : rowOf(event)),
    );
    this.list.addEventListener("keydown", (event) => {
      const n = this.rows.length,
        now = this.pinned;
      const next = {
        ArrowRight: now + 1,
        ArrowLeft: now < 0 ? n - 1 : now - 1,
        Home: 0,
        End: n - 1,
        PageDown: now + WINDOW,
        PageUp: now - WINDOW,
        Escape: -1,
      }[event.key];
      if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      // at once: keys may come faster than the strip is painted
      this.pinned = event.key === "Escape" ? -1 : Math.max(0, Math.min(n - 1, next));
      pick(this.pinned);
    });
  }

  /** Spans of the window that holds the pinned row, or of the one chosen. */
  build(rows, redraw) {
    this.rows = rows;
    this.start = Math.min(this.start, WINDOW * Math.floor(Math.max(0, rows.length - 1) / WINDOW));
    const shown = rows.slice(this.start, this.start + WINDOW);
    this.spans = shown.map((row, i) =>
      make("span", {
        role: "option",
        "data-row": this.start + i,
        id: `${this.list.id}-${this.start + i}`,
        text: visible(String(row.text)),
      }),
    );
    fill(this.list, ...this.spans);
    if (!rows.length) fill(this.list, make("span", { class: "vx-dim", text: "the rows come with the map of a head" }));
    const last = Math.min(rows.length, this.start + WINDOW) - 1;
    const move = (by) => () => ((this.start = Math.max(0, this.start + by)), redraw());
    if (rows.length <= WINDOW) return fill(this.windows);
    fill(
      this.windows,
      button("◀ earlier rows", move(-WINDOW), { disabled: this.start === 0 }),
      make("span", { class: "vx-dim", text: `rows ${this.start} to ${last} of ${rows.length.toLocaleString("en")}` }),
      button("later rows ▶", move(WINDOW), { disabled: last === rows.length - 1 }),
    );
  }

  paint(shares, pinned, hovered, look) {
    this.pinned = pinned;
    this.spans.forEach((span, i) => {
      const t = this.start + i,
        share = shares.length === 1 ? NaN : shares[t];
      const colour = sampled(look.token, finite(share) ? share ** SHARE_POWER : 0);
      span.style.background = css(colour);
      span.style.color = inkOn(colour);
      span.className = t === pinned ? "vx-pin" : t === hovered ? "vx-hover" : "";
      span.setAttribute("aria-selected", t === pinned);
      const row = this.rows[t],
        emits = row.emits === undefined || row.emits === row.text ? "" : ` · emits ${visible(String(row.emits))}`;
      span.title = `row ${t} · position ${row.position}${emits}${finite(share) ? ` · ${percent(share)} on the picture` : ""}`;
    });
    if (pinned >= 0) this.list.setAttribute("aria-activedescendant", `${this.list.id}-${pinned}`);
    else this.list.removeAttribute("aria-activedescendant");
  }
}
