// The picture, grey, with its patches in percent of attention.

import { HEAT, SHARE_POWER, sampled } from "./colours.js";
import { percent } from "./numbers.js";
import { frame, line, make, offscreen, sheet } from "./elements.js";

const PICTURES = new Map();
/** A decoded picture by its data URI; `ready` is called once when it can be drawn. */
export function decoded(src, ready) {
  if (!src) return null;
  let image = PICTURES.get(src);
  if (!image) {
    image = new Image();
    if (PICTURES.size >= 16) PICTURES.delete(PICTURES.keys().next().value);
    PICTURES.set(src, image);
    image.src = src;
  }
  if (image.complete && image.naturalWidth) return image;
  if (image.waited !== ready)
    for (const event of ["load", "error"]) image.addEventListener(event, ready, { once: true });
  image.waited = ready;
  return null;
}

/** One picture with its overlay: two canvases, so that a new head repaints the overlay alone. */
export class Picture {
  constructor(name) {
    this.ground = make("canvas", { class: "vx-ground", "aria-hidden": "true" });
    this.over = make("canvas", { class: "vx-over", role: "img", "aria-label": name });
    this.stack = make("div", { class: "vx-stack" }, this.ground, this.over);
    this.painted = "";
    this.cells = offscreen();
  }

  size(picture, room, tall) {
    const scale = Math.min(room / picture.width, tall / picture.height);
    this.width = Math.max(24, Math.round(picture.width * scale));
    this.height = Math.max(24, Math.round(picture.height * scale));
    this.stack.style.width = `${this.width}px`;
    this.stack.style.height = `${this.height}px`;
  }

  /** The picture itself, grey under a heat overlay because colour on colour cannot be read. */
  drawGround(picture, grey, look, ready) {
    const key = [
      picture.src.length,
      picture.src.slice(-64),
      this.width,
      this.height,
      grey,
      look.name,
      window.devicePixelRatio,
    ].join("|");
    const image = decoded(picture.src, ready);
    this.natural = image ? [image.naturalWidth, image.naturalHeight] : null;
    if (this.painted === key && image) return;
    const g = sheet(this.ground, this.width, this.height);
    this.painted = image ? key : "";
    g.fillStyle = image ? "#ffffff" : look.field;
    g.fillRect(0, 0, this.width, this.height);
    if (!image) {
      g.fillStyle = look.muted;
      g.textAlign = "center";
      g.fillText(picture.src ? "" : picture.name || "no picture", this.width / 2, this.height / 2);
      return;
    }
    // few pixels stay pixels: what the model got, not what a smooth enlargement suggests
    g.imageSmoothingEnabled = this.width < 3 * image.naturalWidth;
    g.imageSmoothingQuality = "high";
    g.drawImage(image, 0, 0, this.width, this.height);
    if (!grey) return;
    const pixels = g.getImageData(0, 0, this.ground.width, this.ground.height),
      d = pixels.data;
    for (let i = 0; i < d.length; i += 4) {
      const y = (0.2126 * d[i] + 0.7152 * d[i + 1] + 0.0722 * d[i + 2]) * 0.86 + 22;
      d[i] = d[i + 1] = d[i + 2] = y;
    }
    g.putImageData(pixels, 0, 0);
  }

  /** Box of a cell of this picture in CSS pixels. */
  box(picture, cell) {
    const w = this.width / picture.cols,
      h = this.height / picture.rows;
    return [(cell % picture.cols) * w, Math.floor(cell / picture.cols) * h, w, h];
  }

  drawOverlay(picture, shares, { limit, opacity, spot, grid, sinks, peak, hovered, marked = [], known = true }) {
    const g = sheet(this.over, this.width, this.height),
      { rows, cols, first_cell: first } = picture,
      n = rows * cols;
    if (!n) {
      for (const box of marked) this.outline(g, picture, box, known);
      return;
    }
    if (shares) {
      const layer = new ImageData(cols, rows);
      for (let p = 0; p < n; p++) {
        const t = Math.max(0, Math.min(1, shares[first + p] / limit)),
          alpha = t ** SHARE_POWER;
        const colour = spot ? [10, 12, 20] : sampled(HEAT, alpha);
        layer.data.set([...colour.map(Math.round), Math.round(255 * opacity * (spot ? 1 - alpha : alpha))], 4 * p);
      }
      this.cells.width = cols;
      this.cells.height = rows;
      this.cells.getContext("2d").putImageData(layer, 0, 0);
      g.imageSmoothingEnabled = false;
      g.drawImage(this.cells, 0, 0, this.width, this.height);
    }
    if (grid && Math.min(this.width / cols, this.height / rows) >= 4) {
      for (const [width, ink] of [
        [1.2, "rgba(0,0,0,0.14)"],
        [0.6, "rgba(255,255,255,0.5)"],
      ]) {
        for (let c = 1; c < cols; c++)
          line(
            g,
            [
              [(c * this.width) / cols, 0],
              [(c * this.width) / cols, this.height],
            ],
            ink,
            width,
          );
        for (let r = 1; r < rows; r++)
          line(
            g,
            [
              [0, (r * this.height) / rows],
              [this.width, (r * this.height) / rows],
            ],
            ink,
            width,
          );
      }
    }
    for (const box of marked) this.outline(g, picture, box, known);
    if (!shares) return;
    for (let p = 0; p < n; p++) if (shares[first + p] > limit * 1.0001) this.corner(g, this.box(picture, p));
    for (const cell of sinks) if (cell >= first && cell < first + n) this.cross(g, this.box(picture, cell - first));
    if (hovered >= 0) {
      const [x, y, w, h] = this.box(picture, hovered);
      g.strokeStyle = "#ffffff";
      g.lineWidth = 1.5;
      g.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
    }
    if (peak >= first && peak < first + n) {
      const [x, y, w, h] = this.box(picture, peak - first);
      frame(g, x + 1.5, y + 1.5, Math.max(2, w - 3), Math.max(2, h - 3), 1.5);
    }
  }

  /** What is asked about: an outline in its pixels, broken where a user drew it. */
  outline(g, picture, [x0, y0, x1, y1], known) {
    const [w, h] = [this.width / picture.width, this.height / picture.height];
    g.setLineDash(known ? [] : [6, 4]);
    for (const [width, ink] of [
      [5, "#ffffff"],
      [2.5, "#0b7a75"],
    ]) {
      g.lineWidth = width;
      g.strokeStyle = ink;
      g.strokeRect(x0 * w, y0 * h, (x1 - x0) * w, (y1 - y0) * h);
    }
    g.setLineDash([]);
  }

  /** Where the mouse is, in the picture's pixels. */
  pixel(event, picture) {
    const at = this.over.getBoundingClientRect(),
      part = (v) => Math.max(0, Math.min(1, v));
    return [
      Math.round(part((event.clientX - at.left) / at.width) * picture.width),
      Math.round(part((event.clientY - at.top) / at.height) * picture.height),
    ];
  }

  /** Beyond the scale: a filled corner. */
  corner(g, [x, y, w, h]) {
    const size = Math.min(9, w / 2.5, h / 2.5);
    g.fillStyle = "#000000";
    g.strokeStyle = "#ffffff";
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(x + w - 3, y + 3);
    g.lineTo(x + w - 3 - size, y + 3);
    g.lineTo(x + w - 3, y + 3 + size);
    g.closePath();
    g.fill();
    g.stroke();
  }

  /** A sink: a cross in the lower left corner. */
  cross(g, [x, y, w, h]) {
    const size = Math.min(9, w / 3, h / 3),
      x0 = x + 4,
      y0 = y + h - 4;
    for (const [width, ink] of [
      [3.5, "#000000"],
      [1.6, "#ffffff"],
    ]) {
      line(
        g,
        [
          [x0, y0],
          [x0 + size, y0 - size],
        ],
        ink,
        width,
      );
      line(
        g,
        [
          [x0, y0 - size],
          [x0 + size, y0],
        ],
        ink,
        width,
      );
    }
  }

  at(event, picture) {
    const at = this.over.getBoundingClientRect();
    const col = Math.floor(((event.clientX - at.left) / at.width) * picture.cols),
      row = Math.floor(((event.clientY - at.top) / at.height) * picture.rows);
    return col >= 0 && col < picture.cols && row >= 0 && row < picture.rows ? row * picture.cols + col : -1;
  }
}

/** Colours of the overlay from 0 to its limit, on the grey they lie on. */
export function drawScale(canvas, width, limit, clipped, { opacity, spot }, look) {
  const g = sheet(canvas, width, 30);
  const bar = Math.min(190, width - 20);
  g.fillStyle = "#8f8f8f";
  g.fillRect(4, 2, bar, 9);
  for (let x = 0; x < bar; x++) {
    const t = x / (bar - 1),
      alpha = t ** SHARE_POWER,
      c = spot ? [10, 12, 20] : sampled(HEAT, alpha);
    g.fillStyle = `rgba(${c.map(Math.round).join(",")},${opacity * (spot ? 1 - alpha : alpha)})`;
    g.fillRect(4 + x, 2, 1, 9);
  }
  g.strokeStyle = look.reference;
  g.strokeRect(3.5, 1.5, bar + 1, 10);
  g.fillStyle = look.text;
  g.textAlign = "left";
  g.fillText("0", 3, 25);
  g.textAlign = "center";
  g.fillText(percent(limit / 2), 4 + bar / 2, 25);
  g.fillText((clipped ? "≥ " : "") + percent(limit), 4 + bar, 25);
}
