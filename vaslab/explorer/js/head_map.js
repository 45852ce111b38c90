// One map of heads: cells, medians per layer, a histogram as legend.

import { CHANGE, LEVEL, PALE, css, hex, mixed, sampled } from "./colours.js";
import { changeWord, counted, finite, quartiles, ratioWord, ticks } from "./numbers.js";
import { frame, line, make, offscreen, sheet } from "./elements.js";

export const LEVELS = { stops: LEVEL, word: ratioWord };
export const CHANGES = { stops: CHANGE, word: changeWord };

/** One map of layers x heads with its marginal and its legend. `kind` is LEVELS or CHANGES. */
export class HeadMap {
  constructor(kind, name) {
    this.kind = kind;
    this.title = make("div", { class: "vx-name" });
    this.canvas = make("canvas", {
      class: "vx-map",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "map of heads",
      "aria-label": name,
    });
    this.legend = make("canvas", {
      class: "vx-legend",
      role: "img",
      "aria-label": `${name}: histogram of heads, the colour scale`,
    });
    this.node = make("div", { class: "vx-mapbox" }, this.title, this.canvas, this.legend);
    this.drawn = offscreen();
    this.bars = offscreen();
  }

  /** Draw what only data, size and theme decide, once: the map is then a copy plus marks. */
  prepare(given, width, tall, look, background) {
    const { layers, heads, values, limit, group, pale, other, span, ink } = given;
    Object.assign(this, { layers, heads, values, limit, look });
    const labelled = width > 250;
    const left = labelled ? 46 : 26,
      right = 18,
      top = 66,
      bottom = 38;
    let cell = (width - left - right) / layers;
    cell = Math.min(cell >= 4 ? Math.floor(cell) : cell, 64);
    let row = Math.min(tall / heads, Math.max(cell * 1.25, 12), 44);
    if (row >= 3) row = Math.floor(row);
    this.box = { left, top, cell, row, right: left + cell * layers, bottom: top + row * heads };
    this.canvas.dataset.box = JSON.stringify(this.box);
    this.width = this.box.right + right;
    this.height = this.box.bottom + bottom;
    const g = sheet(this.drawn, this.width, this.height);
    this.drawMarginal(g, { ink, other, span, labelled });
    this.drawCells(g, pale, group, background);
    this.drawAxes(g, group, labelled);
    this.drawLegend(pale, width);
  }

  level(index) {
    const z = Math.log2(this.values[index]); // log2(0) is -Infinity: clipped at the low end, as it should be
    return Number.isNaN(z) ? NaN : Math.max(-this.limit, Math.min(this.limit, z));
  }

  colour(index, pale) {
    const z = this.level(index),
      { stops } = this.kind;
    const colour = sampled(stops, (z / this.limit + 1) / 2);
    return pale ? mixed(colour, stops[8], PALE) : colour;
  }

  drawMarginal(g, { ink, other, span, labelled }) {
    const { left, top, cell, right } = this.box,
      look = this.look,
      middle = top - 34,
      half = 24;
    const y = (z) => middle - (Math.max(-span, Math.min(span, z)) / span) * half;
    const x = (layer) => left + (layer + 0.5) * cell;
    line(
      g,
      [
        [left, middle],
        [right, middle],
      ],
      look.reference,
    );
    const octave = span >= 1 ? 2 ** Math.floor(Math.log2(span)) : 0;
    g.fillStyle = look.muted;
    g.textAlign = "right";
    for (const power of octave ? [-octave, 0, octave] : [0]) {
      if (power)
        line(
          g,
          [
            [left, y(power)],
            [right, y(power)],
          ],
          look.grid,
        );
      if (labelled || !power)
        g.fillText(power || this.kind !== CHANGES ? this.kind.word(power) : "1", left - 6, y(power) + 4);
    }
    const rows = this.quartilesPerLayer();
    const there = rows.map((q, layer) => [layer, q]).filter(([, q]) => finite(q[1]));
    g.fillStyle = look.band;
    g.beginPath();
    there.forEach(([layer, q]) => g.lineTo(x(layer), y(q[0])));
    there
      .slice()
      .reverse()
      .forEach(([layer, q]) => g.lineTo(x(layer), y(q[2])));
    g.fill();
    if (other)
      line(
        g,
        other.quartilesPerLayer().map((q, layer) => [x(layer), y(q[1])]),
        look.muted,
        1.2,
        [3, 3],
      );
    line(
      g,
      rows.map((q, layer) => [x(layer), finite(q[1]) ? y(q[1]) : NaN]),
      ink,
      2,
    );
  }

  quartilesPerLayer() {
    return Array.from({ length: this.layers }, (_, layer) => {
      const row = [];
      for (let head = 0; head < this.heads; head++) {
        const z = this.level(layer * this.heads + head);
        if (!Number.isNaN(z)) row.push(z);
      }
      return quartiles(row.sort((a, b) => a - b));
    });
  }

  drawCells(g, pale, group, background) {
    const { left, top, cell, row, right, bottom } = this.box,
      missing = hex(this.look.missing)[0];
    const picture = new ImageData(this.layers, this.heads);
    const holes = [];
    for (let layer = 0; layer < this.layers; layer++) {
      for (let head = 0; head < this.heads; head++) {
        const index = layer * this.heads + head,
          at = 4 * (head * this.layers + layer);
        const hole = Number.isNaN(this.values[index]);
        if (hole) holes.push([layer, head]);
        picture.data.set([...(hole ? missing : this.colour(index, pale && !pale[index])).map(Math.round), 255], at);
      }
    }
    const small = offscreen();
    small.width = this.layers;
    small.height = this.heads;
    small.getContext("2d").putImageData(picture, 0, 0);
    g.imageSmoothingEnabled = false;
    g.drawImage(small, left, top, right - left, bottom - top);
    for (const [layer, head] of holes) {
      const x = left + layer * cell,
        y = top + head * row;
      line(
        g,
        [
          [x, y + row],
          [x + cell, y],
        ],
        this.look.hatch,
      );
    }
    g.fillStyle = background;
    // thin lines on a dark page would outweigh the light cells
    g.globalAlpha = this.look.name === "dark" ? 0.45 : 1;
    if (cell >= 8 && row >= 8) {
      for (let k = 1; k < this.layers; k++) g.fillRect(left + k * cell - 0.5, top, 1, bottom - top);
      for (let k = 1; k < this.heads; k++) g.fillRect(left, top + k * row - 0.5, right - left, 1);
    }
    g.globalAlpha = 1;
    const gap = row >= 8 ? 4 : row >= 4 ? 2 : 1;
    if (group > 1)
      for (let k = group; k < this.heads; k += group) g.fillRect(left, top + k * row - gap / 2, right - left, gap);
  }

  drawAxes(g, group, labelled) {
    const { left, top, cell, row, right, bottom } = this.box;
    g.fillStyle = this.look.text;
    g.textAlign = "center";
    const every = [1, 2, 4, 5, 8, 10, 20, 40].find((n) => n * cell >= 24) || 80;
    for (let layer = 0; layer < this.layers; layer += every)
      g.fillText(layer, left + (layer + 0.5) * cell, bottom + 14);
    g.fillText("layer", (left + right) / 2, bottom + 30);
    g.textAlign = "right";
    const unit = Math.max(1, group || 1);
    const step = unit * ([1, 2, 4, 8, 16, 32].find((n) => n * unit * row >= 13) || 64);
    for (let head = 0; head < this.heads; head += step) g.fillText(head, left - 6, top + (head + 0.5) * row + 4);
    if (!labelled) return;
    g.save();
    g.translate(12, (top + bottom) / 2);
    g.rotate(-Math.PI / 2);
    g.textAlign = "center";
    g.fillText(group > 1 && bottom - top > 190 ? "head (lines: key-value groups)" : "head", 0, 0);
    g.restore();
  }

  drawLegend(pale, width) {
    const { left, right } = this.box,
      room = Math.max(right - left, Math.min(150, width - left - 18)),
      look = this.look;
    const bins = Math.max(10, Math.min(56, Math.floor(room / 6), Math.ceil(2 * Math.sqrt(this.values.length))));
    const counts = new Array(bins).fill(0),
      strong = new Array(bins).fill(0);
    let under = 0,
      over = 0,
      n = 0;
    for (let i = 0; i < this.values.length; i++) {
      if (Number.isNaN(this.values[i])) continue;
      const z = Math.log2(this.values[i]);
      const bin = Math.max(0, Math.min(bins - 1, Math.floor(((z / this.limit + 1) / 2) * bins)));
      n++;
      counts[bin]++;
      if (!pale || pale[i]) strong[bin]++;
      under += z < -this.limit;
      over += z > this.limit;
    }
    const most = Math.max(1, ...counts),
      base = 46,
      tall = 38,
      step = room / bins;
    this.scaleBox = { left, room, base, tall };
    const g = sheet(this.bars, left + room + 18, 86);
    counts.forEach((count, bin) => {
      const colour = sampled(this.kind.stops, (bin + 0.5) / bins),
        h = (c) => (c ? 2 + (tall - 2) * (c / most) : 0);
      const x = left + bin * step,
        w = Math.max(step - 0.6, 0.8);
      g.strokeStyle = look.reference;
      g.lineWidth = 0.6;
      if (count) {
        g.fillStyle = css(mixed(colour, this.kind.stops[8], PALE));
        if (count > strong[bin])
          (g.fillRect(x, base - h(count), w, h(count)), g.strokeRect(x, base - h(count), w, h(count)));
        g.fillStyle = css(colour);
        if (strong[bin])
          (g.fillRect(x, base - h(strong[bin]), w, h(strong[bin])),
            g.strokeRect(x, base - h(strong[bin]), w, h(strong[bin])));
      }
      g.fillStyle = css(colour);
      g.fillRect(x, base + 2, step + 0.4, 5);
    });
    g.fillStyle = look.text;
    g.textAlign = "center";
    const word = (power) =>
      `${power === -this.limit && under ? "≤ " : power === this.limit && over ? "≥ " : ""}${power === 0 && room < 200 ? "1" : this.kind.word(power)}`;
    const wide = (power) => g.measureText(word(power)).width,
      widest = Math.max(...Array.from({ length: 2 * this.limit + 1 }, (_, i) => wide(i - this.limit)));
    // the ends are moved inwards where they would be cut off
    const apart = Math.max(36, widest + 8 + Math.max(0, widest / 2 - 17));
    const words = ticks(this.limit, room / apart).map((power) => {
      const half = wide(power) / 2,
        x = Math.max(half + 1, Math.min(left + ((power / this.limit + 1) / 2) * room, left + room + 17 - half));
      g.fillText(word(power), x, base + 21);
      return [word(power), x - half, x + half];
    });
    this.legend.dataset.words = JSON.stringify(words);
    g.fillStyle = look.muted;
    const clipped = under + over ? `, ${under + over} beyond the ends` : "";
    if (room > (this.kind === CHANGES ? 420 : 190))
      g.fillText(`${counted(n, "head")}${clipped}`, left + room / 2, base + 37);
    if (this.kind === CHANGES && room > 260) {
      g.textAlign = "left";
      g.fillStyle = look.down;
      g.fillText("← less image", left, base + 37);
      g.textAlign = "right";
      g.fillStyle = look.up;
      g.fillText("more image →", left + room, base + 37);
    }
  }

  /** Copy what was drawn; frame the selected head, mark pinned ones and the one under the mouse. */
  mark(selected, pinned, hovered) {
    const { left, top, cell, row } = this.box,
      g = sheet(this.canvas, this.width, this.height);
    const copy = (context, from) => (
      context.save(),
      context.setTransform(1, 0, 0, 1, 0, 0),
      context.drawImage(from, 0, 0),
      context.restore()
    );
    copy(g, this.drawn);
    const place = ([layer, head]) => [left + layer * cell, top + head * row];
    for (const head of pinned) {
      const [x, y] = place(head),
        size = Math.max(1.8, Math.min(4, cell / 5, row / 5));
      g.beginPath();
      g.arc(x + cell / 2, y + row / 2, size, 0, 7);
      g.fillStyle = "#000000";
      g.fill();
      g.lineWidth = 1;
      g.strokeStyle = "#ffffff";
      g.stroke();
    }
    if (hovered) ((g.lineWidth = 1.5), (g.strokeStyle = this.look.text), g.strokeRect(...place(hovered), cell, row));
    frame(g, ...place(selected).map((v) => v - 0.5), cell + 1, row + 1);
    const bar = sheet(
      this.legend,
      this.bars.width / (window.devicePixelRatio || 1),
      this.bars.height / (window.devicePixelRatio || 1),
    );
    copy(bar, this.bars);
    const z = this.level(selected[0] * this.heads + selected[1]);
    if (!finite(z)) return;
    const x = this.scaleBox.left + ((z / this.limit + 1) / 2) * this.scaleBox.room,
      y = this.scaleBox.base + 1;
    bar.fillStyle = this.look.text;
    bar.fillRect(x - 0.75, this.scaleBox.base - this.scaleBox.tall - 6, 1.5, this.scaleBox.tall + 13);
    bar.beginPath();
    bar.moveTo(x - 4, y - this.scaleBox.tall - 7);
    bar.lineTo(x + 4, y - this.scaleBox.tall - 7);
    bar.lineTo(x, y - this.scaleBox.tall - 1);
    bar.fill();
  }

  at(event) {
    const at = this.canvas.getBoundingClientRect(),
      { left, top, cell, row } = this.box;
    const layer = Math.floor((event.clientX - at.left - left) / cell),
      head = Math.floor((event.clientY - at.top - top) / row);
    return layer >= 0 && layer < this.layers && head >= 0 && head < this.heads ? [layer, head] : null;
  }
}
