/* The head explorer: one module without imports, drawn on canvas.
 *
 * `render({model, el})` takes anywidget's model (get, set, save_changes, on, off, send) from a kernel, from a page that
 * holds everything, or from one that asks over loopback. Text from the model reaches the page as text nodes only.
 *
 * It is one file, and longer than others here, because a notebook loads a widget as one module and nothing may be
 * fetched. Sections: colours, numbers, elements, data, head map, picture, rows, items, live form, table, export, view.
 */

// ---------------------------------------------------------------- colours (the figures' own: vaslab/plots/theme.py)

const hex = (words) => words.split(" ").map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
const LEVEL = hex(
  "#133b65 #1d4d7f #30679c #4882b7 #71a2cc #97bdda #c2d7e6 #dee7ed #f6f5f3 " +
    "#fae5cf #f9d2ac #f4b47c #e99354 #d76e2c #bd5219 #9c390b #7c2704",
);
const CHANGE = hex(
  "#3c105d #57257a #723e93 #8f5eaa #a981bd #c0a0ce #dac6e1 #e9deec #f5f4f6 " +
    "#dfeddf #c2e1c4 #9ed0a2 #74b980 #4a9f5e #2a8343 #12642d #01451c",
);
const HEAT = hex("#000000 #3d0404 #7d0a08 #b81f0d #e04a12 #f47d1b #fbb030 #fedd55 #fffbb8");
const LOOKS = {
  light: {
    name: "light",
    background: "#ffffff",
    text: "#17202e",
    muted: "#5d6877",
    grid: "#e9ecef",
    reference: "#b4bac2",
    missing: "#cfd2d6",
    hatch: "#868d96",
    more: "#b04d14",
    less: "#2b6098",
    field: "#f6f7f9",
    line: "#d5dae0",
    accent: "#1d4d7f",
    up: "#12642d",
    down: "#723e93",
    band: "#d9dde2",
    runs: ["#5d6877", "#0b7a75"],
    token: hex("#ffffff #fdf0e2 #fae0c6 #f7cba2 #f4b47c #eda261 #e99354"),
  },
  dark: {
    name: "dark",
    background: "#12161c",
    text: "#e9edf2",
    muted: "#a4aeba",
    grid: "#262d36",
    reference: "#5b6673",
    missing: "#4a515a",
    hatch: "#9aa3ad",
    more: "#f0a06a",
    less: "#86b6e2",
    field: "#1d232b",
    line: "#3a434e",
    accent: "#97bdda",
    up: "#74b980",
    down: "#c0a0ce",
    band: "#39424d",
    runs: ["#a4aeba", "#35b5ac"],
    token: hex("#1d232b #38291f #573520 #7a431f #9c4f1d #b55a1f #c8641f"),
  },
};
const PALE = 0.85; // as in the compare figure: how far a change that is not significant goes to the middle colour
const SHARED = 5; // the shared scale ends at this many times an even share of the row's attention
const SHARE_POWER = 0.6; // alpha of a patch and colour of a token: small shares stay visible

function sampled(stops, at) {
  const place = Math.max(0, Math.min(1, at)) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(place));
  return stops[low].map((c, k) => c + (stops[low + 1][k] - c) * (place - low));
}
const css = (c) => `rgb(${c.map(Math.round).join(",")})`;
const mixed = (a, b, part) => a.map((c, k) => c + (b[k] - c) * part);
function luminance(c) {
  const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
/** Black or white ink, whichever reads better: at least 4.58 on any colour. */
const inkOn = (c) => (luminance(c) > 0.179 ? "#000000" : "#ffffff");
const rgbOf = (text) => (text.match(/[\d.]+/g) || [255, 255, 255]).slice(0, 3).map(Number);

/** Light or dark, as the host says: JupyterLab, VS Code, marimo, Colab, otherwise the system. */
function hostTheme() {
  const body = document.body.dataset,
    page = document.documentElement;
  if (body.jpThemeLight) return body.jpThemeLight === "false" ? "dark" : "light";
  if (body.vscodeThemeKind) return /light/.test(body.vscodeThemeKind) ? "light" : "dark";
  const said = [page.dataset.theme, body.theme, page.getAttribute("theme"), page.className, document.body.className];
  for (const word of said) {
    if (/(^|\s)dark(\s|$|-theme)/.test(word || "")) return "dark";
    if (/(^|\s)light(\s|$|-theme)/.test(word || "")) return "light";
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// ---------------------------------------------------------------- numbers

const finite = Number.isFinite;
function number(x) {
  if (!finite(x)) return "undefined";
  if (x !== 0 && (Math.abs(x) < 0.001 || Math.abs(x) >= 1e5)) return x.toExponential(2);
  return Math.abs(x) >= 1000 ? Math.round(x).toLocaleString("en") : x.toPrecision(3);
}
const percent = (x) =>
  finite(x) ? `${(100 * x).toFixed(x >= 0.1 ? 1 : x >= 0.0005 || x === 0 ? 2 : 4)}%` : "undefined";
const counted = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
const ratioWord = (power) => (power < 0 ? `1/${2 ** -power}` : `${2 ** power}`);
const changeWord = (power) => (power < 0 ? `÷${2 ** -power}` : power > 0 ? `×${2 ** power}` : "no change");
const times = (ratio) => (!finite(ratio) ? "undefined" : ratio >= 1 ? `×${number(ratio)}` : `÷${number(1 / ratio)}`);
/** The nearest plain number: 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten. */
function rounded(x) {
  const ten = 10 ** Math.floor(Math.log10(x)),
    off = (m) => Math.abs(Math.log(m * ten) - Math.log(x));
  return ten * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].reduce((best, m) => (off(m) < off(best) ? m : best));
}
/** Smallest power of 2, at least 2, beyond which at most 2 % of the ratios lie; its log2. */
function limitOf(ratios) {
  const sizes = [];
  for (const v of ratios) if (finite(v) && v > 0) sizes.push(Math.abs(Math.log2(v)));
  let power = 1;
  while (sizes.filter((s) => s > power).length > 0.02 * sizes.length) power++;
  return power;
}
function quartiles(sorted) {
  const at = (q) => {
    const place = q * (sorted.length - 1),
      low = Math.floor(place);
    return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (place - low);
  };
  return sorted.length ? [at(0.25), at(0.5), at(0.75)] : [NaN, NaN, NaN];
}

// ---------------------------------------------------------------- elements

function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, f] of Object.entries(value)) node.addEventListener(event, f);
    else if (name === "value" || name === "checked" || name === "disabled") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const fill = (node, ...children) => (
  node.replaceChildren(...children.filter((c) => c !== null && c !== undefined)),
  node
);
/** A labelled control: the label is its name for a screen reader too. */
const labelled = (words, control, after) =>
  make("label", { class: "vx-label" }, make("span", { text: words }), control, after);
function choice(words, options, value, change) {
  const select = make("select", { on: { change: () => change(select.value) } });
  for (const [key, text] of options) select.append(make("option", { value: key, text }));
  select.value = value;
  return labelled(words, select);
}
const button = (text, press, props = {}) => make("button", { type: "button", text, on: { click: press }, ...props });

const FONT = '"Open Sans", Helvetica, Arial, "DejaVu Sans", sans-serif';
/** Size a canvas in CSS pixels; returns its context, scaled to the screen and wiped. */
function sheet(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const w = Math.max(1, Math.round(width * ratio)),
    h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    if (canvas.style) {
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
  }
  const g = canvas.getContext("2d");
  g.setTransform(1, 0, 0, 1, 0, 0);
  g.clearRect(0, 0, w, h);
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.font = `11.5px ${FONT}`;
  g.textBaseline = "alphabetic";
  return g;
}
const offscreen = () => document.createElement("canvas");
function line(g, points, stroke, width = 1, dash = []) {
  g.strokeStyle = stroke;
  g.lineWidth = width;
  g.setLineDash(dash);
  g.beginPath();
  let down = false;
  for (const [x, y] of points) {
    if (!finite(y)) down = false;
    else if (down) g.lineTo(x, y);
    else (g.moveTo(x, y), (down = true));
  }
  g.stroke();
  g.setLineDash([]);
}
/** A frame that is seen on dark and on light. */
function frame(g, x, y, w, h, width = 2) {
  g.lineWidth = width + 2;
  g.strokeStyle = "#ffffff";
  g.strokeRect(x, y, w, h);
  g.lineWidth = width;
  g.strokeStyle = "#000000";
  g.strokeRect(x, y, w, h);
}

// ---------------------------------------------------------------- data: traits as typed arrays

function bytes(value) {
  if (value instanceof DataView) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof Uint8Array) return value;
  return new Uint8Array(value instanceof ArrayBuffer ? value : 0);
}
/** Copied, because a view into a message need not be aligned. */
function floats(value) {
  const raw = bytes(value);
  return new Float32Array(raw.slice(0, raw.length & ~3).buffer);
}

class Data {
  constructor(model) {
    this.model = model;
    this.kept = new Map();
  }
  forget(name) {
    this.kept.delete(name);
    if (/^(attention|share|scale|cells)/.test(name)) for (const r of [0, 1]) this.kept.delete(`rows ${r}`);
  }
  keep(name, build) {
    if (!this.kept.has(name)) this.kept.set(name, build());
    return this.kept.get(name);
  }
  get(name, otherwise) {
    const value = this.model.get(name);
    return value === undefined || value === null ? otherwise : value;
  }
  floats(name) {
    return this.keep(name, () => floats(this.model.get(name)));
  }
  bytes(name) {
    return this.keep(name, () => bytes(this.model.get(name)));
  }
  get meta() {
    return this.get("meta", {});
  }
  get runs() {
    const runs = this.meta.runs || [];
    return runs.length ? runs.slice(0, 2) : [{ label: "run" }];
  }
  get pair() {
    return this.runs.length > 1;
  }
  get layers() {
    return this.meta.layers || 0;
  }
  get heads() {
    return this.meta.heads || 0;
  }
  get size() {
    return this.layers * this.heads;
  }
  get selected() {
    const [layer = 0, head = 0] = this.get("selected", [0, 0]);
    return [Math.min(layer, this.layers - 1), Math.min(head, this.heads - 1)];
  }
  label(r) {
    return this.runs[r].label || this.runs[r].name || `run ${r + 1}`;
  }
  /** One value per head of a run, or of the change (no run): a view, NaN where nothing was given. */
  perHead(name, r = 0) {
    const all = this.floats(name);
    return all.length >= (r + 1) * this.size
      ? all.subarray(r * this.size, (r + 1) * this.size)
      : new Float32Array(this.size).fill(NaN);
  }
  shares(r, index) {
    const at = 4 * (r * this.size + index),
      all = this.floats("shares");
    return all.length >= at + 4 ? all.subarray(at, at + 4) : null;
  }
  rows(r) {
    const rows = this.get("rows", []);
    return rows[r] || rows[0] || [];
  }
  token(r) {
    const token = this.get("token", -1);
    return token < this.rows(r).length ? token : -1;
  }
  /** Attention maps of the selection in one run, or why there are none; never those of another head. */
  attention(r) {
    return this.keep(`rows ${r}`, () => {
      const said = {
        state: "none",
        note: "",
        n_rows: 0,
        n_cells: 0,
        sinks: [],
        ...(this.get("attention", [])[r] || {}),
      };
      const share = this.floats(`share_${r}`),
        scale = this.floats(`scale_${r}`),
        cells = this.bytes(`cells_${r}`);
      const whole = said.n_rows > 0 && scale.length === said.n_rows && cells.length === said.n_rows * said.n_cells;
      const shown = (said.state === "full" || said.state === "mean") && whole;
      if (!shown && said.state !== "none") said.state = "waiting";
      return { ...said, share, scale, cells, shown, means: new Map() };
    });
  }
  /** Whether the maps of a run belong to what is selected now. */
  fits(r) {
    const of = this.attention(r).of;
    if (!of) return true;
    const [layer, head] = this.selected;
    return of[0] === this.get("item", -1) && of[1] === this.get("queries", "") && of[2] === layer && of[3] === head;
  }
  stateOf(r) {
    const said = this.attention(r);
    return said.state !== "none" && !this.fits(r) ? "waiting" : said.state;
  }
  /** Attention on each cell as a share of the row's: of one emitting row, or (token -1) the mean over rows. */
  cellShares(r, token) {
    const said = this.attention(r);
    if (!said.shown || this.stateOf(r) === "waiting") return null;
    const row = said.state === "full" && token < said.n_rows ? token : -1;
    if (!said.means.has(row)) {
      const n = said.n_cells,
        out = new Float32Array(n);
      const [from, to] = row < 0 ? [0, said.n_rows] : [row, row + 1];
      for (let t = from; t < to; t++) {
        const unit = said.scale[t] / 255 / (to - from),
          start = t * n;
        for (let p = 0; p < n; p++) out[p] += said.cells[start + p] * unit;
      }
      if (said.means.size > 4) said.means.clear();
      said.means.set(row, out);
    }
    return said.means.get(row);
  }
  /** Share of attention on all pictures per emitting row; empty where it is not known. */
  rowShares(r) {
    const said = this.attention(r);
    return said.shown && this.stateOf(r) !== "waiting" ? said.share : new Float32Array(0);
  }
  shareAt(r, token) {
    const share = this.rowShares(r);
    if (token >= 0 && token < share.length) return share[token];
    let sum = 0;
    for (const v of share) sum += v;
    return share.length ? sum / share.length : NaN;
  }
}

// ---------------------------------------------------------------- head map: cells, medians per layer, histogram as legend

const LEVELS = { stops: LEVEL, word: ratioWord };
const CHANGES = { stops: CHANGE, word: changeWord };

/** One map of layers x heads with its marginal and its legend. `kind` is LEVELS or CHANGES. */
class HeadMap {
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
    const every =
      [1, 2, 3, 4, 8].find((k) => (k * room) / (2 * this.limit) >= 36 && this.limit % k === 0) || this.limit;
    for (let power = -this.limit; power <= this.limit; power += every) {
      const ends = power === -this.limit && under ? "≤ " : power === this.limit && over ? "≥ " : "";
      const word = power === 0 && room < 200 ? "1" : this.kind.word(power);
      const half = g.measureText(ends + word).width / 2,
        x = left + ((power / this.limit + 1) / 2) * room;
      g.fillText(ends + word, Math.max(half + 1, Math.min(x, left + room + 17 - half)), base + 21);
    }
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

// ---------------------------------------------------------------- picture: grey, patch overlay in percent of attention

const PICTURES = new Map();
/** A decoded picture by its data URI; `ready` is called once when it can be drawn. */
function decoded(src, ready) {
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
class Picture {
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

  drawOverlay(picture, shares, { limit, opacity, spot, grid, sinks, peak, hovered }) {
    const g = sheet(this.over, this.width, this.height),
      { rows, cols, first_cell: first } = picture,
      n = rows * cols;
    if (!n) return;
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
function drawScale(canvas, width, limit, clipped, { opacity, spot }, look) {
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

// ---------------------------------------------------------------- rows: share of attention on the pictures, token strip

const WINDOW = 500;

function drawTrace(canvas, width, shares, n, { pinned, hovered, start, ink, look }) {
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
const visible = (text) =>
  text === ""
    ? "∅"
    : text
        .replace(/\n/g, "⏎")
        .replace(/\t/g, "⇥")
        .replace(/^ +$/, (s) => "␣".repeat(s.length));

class TokenStrip {
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
      pick(event.key === "Escape" ? -1 : Math.max(0, Math.min(n - 1, next)));
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

// ---------------------------------------------------------------- items: search, filters, one row an item

const VERDICTS = { true: "✓ right", false: "✗ wrong", null: "– not graded" };
const verdict = (run) => VERDICTS[run && run.correct !== undefined ? run.correct : null];
const FILTERS = {
  all: ["all items", () => true],
  right: ["right", (a) => a.correct === true],
  wrong: ["wrong", (a) => a.correct === false],
  ungraded: ["not graded", (a) => a.correct !== true && a.correct !== false],
  fixed: ["fixed by", (a, b) => a.correct === false && b.correct === true],
  broken: ["broken by", (a, b) => a.correct === true && b.correct === false],
  change: ["largest change", () => true],
  highest: ["highest VAS", () => true],
  lowest: ["lowest VAS", () => true],
};

class Items {
  constructor(choose) {
    this.choose = choose;
    this.kind = "all";
    this.room = 100;
    this.search = make("input", {
      type: "search",
      placeholder: "search question, answer, id",
      "aria-label": "search items",
      on: { input: () => this.renew() },
    });
    this.filters = make("span");
    this.count = make("span", { class: "vx-dim", role: "status" });
    this.body = make("tbody");
    this.headings = make("tr");
    this.more = make("div");
    const table = make(
      "table",
      { class: "vx-table" },
      make("caption", { class: "vx-sr", text: "items" }),
      make("thead", {}, this.headings),
      this.body,
    );
    this.scroll = make("div", { class: "vx-scroll", tabindex: "-1" }, table, this.more);
    this.node = make(
      "div",
      { class: "vx-items" },
      make("div", { class: "vx-bar" }, this.search, this.filters, this.count),
      this.scroll,
    );
    this.body.addEventListener("keydown", (event) => {
      const row = event.target.closest("tr"),
        to = { ArrowDown: row.nextSibling, ArrowUp: row.previousSibling }[event.key];
      if (!to) return;
      event.preventDefault();
      to.querySelector("button").focus();
    });
  }

  set(data) {
    this.data = data;
    this.items = data.get("items", []);
    this.texts = null;
    const offered = Object.entries(FILTERS).filter(
      ([key]) => data.pair || !["fixed", "broken", "change"].includes(key),
    );
    fill(
      this.filters,
      choice(
        "show",
        offered.map(([key, [words]]) => [key, / by$/.test(words) ? `${words} ${data.label(1)}` : words]),
        this.kind,
        (kind) => ((this.kind = kind), this.renew()),
      ),
    );
    const columns = [
      "item",
      "question",
      "reference",
      ...data.runs.flatMap((_, r) => [data.label(r), `VAS ${data.pair ? data.label(r) : ""}`]),
      ...(data.pair ? ["change of VAS"] : []),
    ];
    fill(this.headings, ...columns.map((text) => make("th", { scope: "col", text })));
    this.renew();
  }

  vas(item, r) {
    const run = item.runs[r],
      value = run && run.vas ? run.vas[this.data.get("queries", "user")] : null;
    return finite(value) ? value : NaN;
  }
  change(item) {
    return Math.log2(this.vas(item, 1) / this.vas(item, 0));
  }

  found() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !this.texts) {
      this.texts = this.items.map((item) =>
        [item.id, item.question, item.reference, item.category, ...(item.runs || []).map((run) => run.response)]
          .join("\n")
          .toLowerCase(),
      );
    }
    const keep = FILTERS[this.kind][1],
      places = [];
    this.items.forEach((item, i) => {
      const [a = {}, b = {}] = item.runs || [];
      if (keep(a, b) && words.every((word) => this.texts[i].includes(word))) places.push(i);
    });
    const last = (v) => (Number.isNaN(v) ? -Infinity : v);
    const keys = {
      change: (i) => last(Math.abs(this.change(this.items[i]))),
      highest: (i) => last(this.vas(this.items[i], 0)),
      lowest: (i) => last(-this.vas(this.items[i], 0)),
    };
    return keys[this.kind]
      ? places
          .map((i) => [keys[this.kind](i), i])
          .sort((a, b) => b[0] - a[0])
          .map(([, i]) => i)
      : places;
  }

  renew() {
    this.room = 100;
    this.draw();
  }

  draw() {
    this.places = this.found();
    const n = this.places.length,
      now = this.data.get("item", -1);
    this.count.textContent = `${n.toLocaleString("en")} of ${counted(this.items.length, "item")}`;
    fill(this.body, ...this.places.slice(0, this.room).map((i) => this.row(i, i === now)));
    fill(
      this.more,
      n > this.room
        ? button(`show ${Math.min(100, n - this.room)} more`, () => ((this.room += 100), this.draw()))
        : null,
    );
  }

  row(i, chosen) {
    const item = this.items[i],
      cell = (text, props = {}) => make("td", { ...props, title: text, text });
    const cells = [cell(item.question, { class: "vx-long" }), cell(item.reference || "")];
    this.data.runs.forEach((_, r) => {
      const run = item.runs[r] || {},
        mark = run.correct === true ? "vx-right" : run.correct === false ? "vx-wrong" : "vx-dim";
      const words = make(
        "td",
        { class: "vx-answer", title: [run.response, run.why].filter(Boolean).join(" — ") },
        make("span", { class: mark, text: verdict(run) }),
        ` ${run.response || ""}`,
      );
      cells.push(words, cell(number(this.vas(item, r)), { class: "vx-number" }));
    });
    if (this.data.pair) cells.push(this.bar(this.change(item)));
    const name = button(String(item.id), () => this.choose(i), { "aria-current": chosen ? "true" : null });
    return make(
      "tr",
      { class: chosen ? "vx-chosen" : null, on: { click: () => this.choose(i) } },
      make("td", {}, name),
      ...cells,
    );
  }

  /** The ratio as a small bar from the middle, in the colours of a change. */
  bar(power) {
    if (!finite(power)) return make("td", { text: "undefined" });
    const t = Math.max(-1, Math.min(1, power / 2)),
      ink = css(sampled(CHANGE, (t + Math.sign(t) * 0.35 + 1) / 2));
    const rod = make("i", { class: "vx-rod" });
    Object.assign(rod.style, { background: ink, left: `${50 + Math.min(0, 50 * t)}%`, width: `${Math.abs(50 * t)}%` });
    return make("td", { class: "vx-number" }, make("span", { class: "vx-track" }, rod), ` ${times(2 ** power)}`);
  }

  /** The item before or after the one chosen, among those found. */
  step(by) {
    const at = this.places.indexOf(this.data.get("item", -1)),
      to = this.places[at < 0 ? (by > 0 ? 0 : this.places.length - 1) : at + by];
    if (to !== undefined) this.choose(to);
  }
}

// ---------------------------------------------------------------- live form: question, system prompt, picture, factors

const GLYPH_INKS = {
  red: "#d62828",
  green: "#2a8f3c",
  blue: "#2563c9",
  yellow: "#e0b100",
  purple: "#7b2fa0",
  black: "#111111",
  orange: "#e07a1f",
  white: "#ffffff",
  grey: "#808080",
  gray: "#808080",
};
function glyph(g, shape, ink, x, y, size) {
  g.fillStyle = GLYPH_INKS[ink] || ink;
  g.beginPath();
  if (shape === "circle") g.arc(x, y, size, 0, 7);
  else if (shape === "square") g.rect(x - size, y - size, 2 * size, 2 * size);
  else {
    const corners =
      shape === "triangle"
        ? [
            [0, -1],
            [1, 1],
            [-1, 1],
          ]
        : [
            [0, -1.2],
            [1.2, 0],
            [0, 1.2],
            [-1.2, 0],
          ];
    for (const [dx, dy] of corners) g.lineTo(x + dx * size, y + dy * size);
  }
  g.fill();
}

class LiveForm {
  constructor(send) {
    this.node = make("form", { class: "vx-live", "aria-label": "ask the model" });
    this.scene = [];
    this.picture = null;
    this.send = send;
    this.question = make("textarea", { rows: "2", required: true });
    this.system = make("textarea", { rows: "2", placeholder: "the template's own" });
    this.preview = make("canvas", { class: "vx-preview", role: "img", "aria-label": "picture to ask about" });
    this.file = make("input", {
      type: "file",
      accept: "image/png,image/jpeg,image/webp",
      on: { change: () => this.read(this.file.files[0]) },
    });
    this.source = make("span", { class: "vx-dim" });
    this.ask = make("button", { type: "submit", class: "vx-main", text: "ask the model again" });
    this.said = make("span", { role: "status", class: "vx-said" });
    this.answer = make("div", { class: "vx-reply" });
    this.visual = this.slider("visual attention");
    this.system_factor = this.slider("system attention");
    this.draft = make("div", { class: "vx-draft" });
    const drop = make(
      "div",
      { class: "vx-drop" },
      this.preview,
      make("div", {}, labelled("picture (drop it here, or)", this.file), this.source, this.draft),
    );
    const stop = (f) => (event) => (event.preventDefault(), event.stopPropagation(), f(event));
    drop.addEventListener(
      "dragover",
      stop(() => drop.classList.add("vx-over-drop")),
    );
    drop.addEventListener("dragleave", () => drop.classList.remove("vx-over-drop"));
    drop.addEventListener(
      "drop",
      stop((event) => (drop.classList.remove("vx-over-drop"), this.read(event.dataTransfer.files[0]))),
    );
    fill(
      this.node,
      make(
        "div",
        { class: "vx-fields" },
        labelled("question", this.question),
        labelled("system prompt", this.system),
        this.visual.node,
        this.system_factor.node,
      ),
      drop,
      make("div", { class: "vx-send" }, this.ask, this.said, this.answer),
    );
    this.node.addEventListener("submit", (event) => (event.preventDefault(), this.submit()));
    this.use(null, "the picture of the item shown");
  }

  /** A factor from 0 to 8, in steps of half an octave; 1 in the middle leaves the model alone. */
  slider(words) {
    const steps = [0, ...Array.from({ length: 13 }, (_, i) => 2 ** ((i - 6) / 2))];
    const out = make("output", { text: "×1" });
    const range = make("input", { type: "range", min: "0", max: `${steps.length - 1}`, value: "7" });
    const word = () => `×${steps[+range.value] === 0 ? 0 : number(steps[+range.value]).replace(/\.?0+$/, "")}`;
    const show = () => ((out.textContent = word()), range.setAttribute("aria-valuetext", word()));
    range.addEventListener("input", show);
    show();
    return {
      node: labelled(words, range, out),
      get value() {
        return steps[+range.value];
      },
    };
  }

  use(uri, words) {
    this.picture = uri;
    if (uri !== null) this.scene = [];
    this.source.textContent = words;
    const g = sheet(this.preview, 96, 96),
      image = uri && decoded(uri, () => this.use(uri, words));
    if (image) {
      const scale = Math.min(96 / image.naturalWidth, 96 / image.naturalHeight),
        w = image.naturalWidth * scale,
        h = image.naturalHeight * scale;
      g.drawImage(image, (96 - w) / 2, (96 - h) / 2, w, h);
    } else if (this.scene.length) {
      g.fillStyle = "#ffffff";
      g.fillRect(0, 0, 96, 96);
      for (const { shape, color, cell } of this.scene)
        glyph(g, shape, color, 16 + 32 * (cell % 3), 16 + 32 * Math.floor(cell / 3), 11);
    }
  }

  read(file) {
    if (!file) return;
    if (!/^image\/(png|jpeg|webp)$/.test(file.type))
      return void (this.source.textContent = `${file.name}: not a PNG, JPEG or WebP picture`);
    if (file.size > 20e6) return void (this.source.textContent = `${file.name}: over 20 MB`);
    const reader = new FileReader();
    reader.onload = () => this.use(reader.result, file.name);
    reader.readAsDataURL(file);
  }

  /** A 3 x 3 scene: choose shape and colour, press a cell; press it again to clear it. */
  drafts(live) {
    const shapes = live.shapes || [],
      colors = live.colors || [];
    if (!shapes.length || !colors.length || this.draft.firstChild) return;
    let shape = shapes[0],
      color = colors[0];
    const named = (words) => words.map((word) => [word, word]);
    const place = (cell) => {
      const there = this.scene.find((each) => each.cell === cell),
        same = there && there.shape === shape && there.color === color;
      this.scene = [...this.scene.filter((each) => each.cell !== cell), ...(same ? [] : [{ shape, color, cell }])];
      this.use(
        null,
        this.scene.length ? `drawn here: ${counted(this.scene.length, "glyph")}` : "the picture of the item shown",
      );
    };
    const words = ["top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right"];
    const cells = words.map((word, cell) =>
      button("", () => place(cell), { "aria-label": `draw at the ${word}`, class: "vx-cell" }),
    );
    fill(
      this.draft,
      choice("or draw a", named(shapes), shape, (v) => (shape = v)),
      choice("in", named(colors), color, (v) => (color = v)),
      make("div", { class: "vx-raster" }, ...cells),
    );
  }

  submit() {
    const message = {
      type: "ask",
      question: this.question.value,
      system: this.system.value,
      visual: this.visual.value,
      system_factor: this.system_factor.value,
      picture: this.picture,
    };
    if (this.scene.length) {
      delete message.picture;
      message.glyphs = this.scene;
    }
    this.started = performance.now();
    this.said.textContent = "asking …";
    this.send(message);
  }

  show(live, question) {
    this.drafts(live);
    if (!this.question.value) this.question.value = live.question || question || "";
    if (!this.system.value && live.system) this.system.value = live.system;
    if (live.picture && !this.picture && !this.scene.length) this.use(live.picture, "given");
    this.ask.disabled = live.state === "busy";
    const seconds = finite(live.seconds) ? ` in ${live.seconds.toFixed(2)} s` : "";
    const words = { busy: "asking …", done: `answered${seconds}`, error: "" }[live.state] || "";
    this.said.textContent = [words, live.message].filter(Boolean).join(" · ");
    this.said.className = live.state === "error" ? "vx-said vx-wrong" : "vx-said";
    fill(this.answer, live.answer ? make("b", { text: live.answer }) : null);
  }
}

// ---------------------------------------------------------------- table view: the numbers of what is shown

/** A table of plain numbers; long ones grow on demand. */
function tableOf(caption, columns, rows, room = 100) {
  const body = make("tbody"),
    more = make("div");
  const draw = () => {
    const cell = (value) =>
      make("td", {
        class: typeof value === "number" ? "vx-number" : null,
        text: typeof value === "number" ? (Number.isInteger(value) ? value : value.toPrecision(6)) : value,
      });
    fill(body, ...rows.slice(0, room).map((row) => make("tr", {}, ...row.map(cell))));
    fill(
      more,
      rows.length > room
        ? button(`show all ${rows.length.toLocaleString("en")}`, () => ((room = rows.length), draw()))
        : null,
    );
  };
  draw();
  const head = make("tr", {}, ...columns.map((text) => make("th", { scope: "col", text })));
  return make(
    "div",
    { class: "vx-scroll" },
    make("table", { class: "vx-table" }, make("caption", { text: caption }), make("thead", {}, head), body),
    more,
  );
}

// ---------------------------------------------------------------- export: the view as it stands, as one PNG

/** Paint an element and what is in it onto a canvas: boxes, canvases, words at their places. */
function paint(g, node, origin) {
  if (node.nodeType === Node.TEXT_NODE) {
    const style = getComputedStyle(node.parentElement),
      range = document.createRange();
    g.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    g.fillStyle = style.color;
    g.textAlign = "left";
    g.textBaseline = "middle";
    for (const { index, 0: word } of node.textContent.matchAll(/\S+/g)) {
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const at = range.getBoundingClientRect();
      if (at.width) g.fillText(word, at.left - origin.left, (at.top + at.bottom) / 2 - origin.top + 0.5);
    }
    return;
  }
  if (node.nodeType !== Node.ELEMENT_NODE || node.hasAttribute("data-screen-only")) return;
  const style = getComputedStyle(node),
    at = node.getBoundingClientRect();
  const empty = (!at.width || !at.height) && style.display !== "contents";
  if (style.display === "none" || style.visibility === "hidden" || empty) return;
  const [x, y] = [at.left - origin.left, at.top - origin.top];
  g.save();
  if (style.backgroundColor !== "rgba(0, 0, 0, 0)") {
    g.fillStyle = style.backgroundColor;
    g.fillRect(x, y, at.width, at.height);
  }
  if (style.overflowY === "auto") {
    g.beginPath();
    g.rect(x, y, at.width, at.height);
    g.clip();
  }
  if (node instanceof HTMLCanvasElement) g.drawImage(node, x, y, at.width, at.height);
  else for (const child of node.childNodes) paint(g, child, origin);
  if (node.classList.contains("vx-pin")) {
    g.lineWidth = parseFloat(style.outlineWidth);
    g.strokeStyle = style.outlineColor;
    g.strokeRect(x, y, at.width, at.height);
  }
  g.restore();
}
function exportPng(root, name) {
  const at = root.getBoundingClientRect(),
    canvas = offscreen(),
    scale = 2;
  canvas.width = at.width * scale;
  canvas.height = at.height * scale;
  const g = canvas.getContext("2d");
  g.scale(scale, scale);
  paint(g, root, at);
  canvas.toBlob((blob) => {
    const url = URL.createObjectURL(blob),
      link = make("a", { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }, "image/png");
}

// ---------------------------------------------------------------- view: all of it together

const STYLE = `
.vaslab-explorer { box-sizing: border-box; width: 100%; padding: 14px 16px 12px; border-radius: 6px; color: var(--vx-text);
  background: var(--vx-ground); font: 13px/1.4 ${FONT}; position: relative; overflow-x: auto; }
.vaslab-explorer *, .vaslab-explorer *::before { box-sizing: border-box; }
.vaslab-explorer canvas { display: block; }
.vaslab-explorer :focus-visible { outline: 2px solid var(--vx-accent); outline-offset: 2px; border-radius: 3px; }
.vx-top, .vx-bar, .vx-tools, .vx-itembar, .vx-pins, .vx-windows { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 14px; }
.vx-top { align-items: flex-start; justify-content: space-between; margin-bottom: 8px; }
.vx-title { font-size: 18px; font-weight: 700; line-height: 1.25; }
.vx-sub, .vx-dim, .vx-foot, .vx-label > span { color: var(--vx-muted); }
.vx-sub { font-size: 12.5px; }
.vx-controls { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; }
.vx-label { display: inline-flex; align-items: center; gap: 6px; font-size: 12.5px; }
.vaslab-explorer button, .vaslab-explorer select, .vaslab-explorer input[type=search], .vaslab-explorer textarea { font: inherit;
  font-size: 12.5px; color: var(--vx-text); background: var(--vx-field); border: 1px solid var(--vx-line); border-radius: 5px; padding: 2px 9px; margin: 0; }
.vaslab-explorer select { padding: 2px 4px; max-width: 190px; }
.vaslab-explorer button { cursor: pointer; }
.vaslab-explorer button:hover:not(:disabled) { border-color: var(--vx-accent); }
.vaslab-explorer button:disabled { opacity: 1; color: var(--vx-muted); cursor: default; }
.vaslab-explorer button[aria-pressed=true], .vaslab-explorer button[aria-expanded=true], .vaslab-explorer .vx-main { background: var(--vx-accent);
  color: var(--vx-ground); border-color: var(--vx-accent); }
.vaslab-explorer input[type=range] { width: 96px; accent-color: var(--vx-accent); margin: 0; }
.vaslab-explorer input[type=checkbox] { accent-color: var(--vx-accent); margin: 0; }
.vx-itembar { border: solid var(--vx-grid); border-width: 1px 0; padding: 7px 0; margin-bottom: 10px; gap: 6px 10px; align-items: flex-start; }
.vx-nav { display: inline-flex; gap: 4px; flex: none; }
.vx-question { flex: 1 1 300px; min-width: 0; max-height: 62px; overflow-y: auto; overflow-wrap: anywhere; white-space: pre-wrap; }
.vx-question b { font-weight: 600; }
.vx-right { color: var(--vx-up); font-weight: 600; white-space: nowrap; }
.vx-wrong { color: var(--vx-more); font-weight: 600; white-space: nowrap; }
.vx-items { margin-bottom: 12px; }
.vx-bar { margin-bottom: 6px; }
.vx-bar input { width: 230px; }
.vx-scroll { max-height: 208px; overflow-y: auto; border: 1px solid var(--vx-line); border-radius: 5px; }
.vx-scroll button { margin: 2px; }
.vx-table { border-collapse: collapse; width: 100%; font-size: 12.5px; margin: 0; table-layout: auto; color: var(--vx-text); }
.vx-table caption { text-align: left; padding: 4px 8px; font-weight: 600; color: var(--vx-text); }
.vx-table th, .vx-table td { text-align: left; padding: 3px 8px; border-bottom: 1px solid var(--vx-grid); max-width: 220px; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; vertical-align: middle; background: none; color: inherit; }
.vx-table th { position: sticky; top: 0; background: var(--vx-field); font-weight: 600; z-index: 1; }
.vx-table td.vx-long { max-width: 380px; }
.vx-table td.vx-number { font-variant-numeric: tabular-nums; }
.vx-items tbody tr { cursor: pointer; }
.vx-items tbody tr:hover, .vx-table tr.vx-chosen { background: var(--vx-field); }
.vx-table tr.vx-chosen td:first-child { box-shadow: inset 3px 0 var(--vx-accent); }
.vx-track { display: inline-block; position: relative; width: 64px; height: 9px; background: linear-gradient(var(--vx-reference), var(--vx-reference)) center/1px 100% no-repeat; }
.vx-rod { position: absolute; top: 0; height: 100%; }
.vx-body { display: grid; gap: 14px 26px; align-items: start; }
.vx-maps { display: flex; gap: 18px; align-items: flex-start; }
.vx-maps > div { min-width: 0; }
.vx-map { cursor: crosshair; touch-action: manipulation; }
.vx-name { font-weight: 600; }
.vx-name span { font-weight: 400; color: var(--vx-muted); font-size: 12px; }
.vx-head { margin-bottom: 5px; }
.vx-masses { margin-bottom: 6px; }
.vx-head b { font-size: 14.5px; font-weight: 700; }
.vx-shares { display: flex; flex-wrap: wrap; gap: 2px 12px; align-items: center; font-size: 12.5px; }
.vx-shares i { display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 5px; }
.vx-stackbar { display: flex; width: 100%; max-width: 420px; height: 9px; border-radius: 3px; overflow: hidden; background: var(--vx-grid); margin: 4px 0 3px; }
.vx-pins { gap: 5px; margin-top: 8px; }
.vx-pins span { display: inline-flex; }
.vx-pins span button:first-child { border-radius: 5px 0 0 5px; }
.vx-pins span button:last-child { border-radius: 0 5px 5px 0; border-left: 0; padding: 2px 6px; }
.vx-panes { display: contents; }
.vx-pair .vx-panes { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 14px 26px; }
.vx-stack { position: relative; }
.vx-stack canvas { position: absolute; inset: 0; }
.vx-tools { margin: 7px 0; font-size: 12.5px; }
.vx-peak { margin-top: 5px; font-variant-numeric: tabular-nums; }
.vx-key > div { flex: 1 1 190px; }
.vx-key { display: flex; flex-wrap: wrap; gap: 2px 14px; align-items: flex-start; margin-top: 5px; font-size: 12px; }
.vx-note { font-size: 12.5px; color: var(--vx-muted); }
.vx-note.vx-differs { color: var(--vx-more); font-weight: 600; }
.vx-thumbs { display: flex; gap: 5px; flex-wrap: wrap; margin-bottom: 5px; }
.vx-rows .vx-name { margin-top: 2px; }
.vx-tokens { max-height: 156px; overflow-y: auto; display: flex; flex-wrap: wrap; gap: 3px; padding: 4px; margin: 2px -4px 4px; line-height: 1.5; }
.vx-tokens span[data-row] { padding: 0 4px; border-radius: 3px; cursor: pointer; white-space: pre; max-width: 100%; overflow: hidden; text-overflow: ellipsis; }
.vx-tokens .vx-pin { outline: 2px solid var(--vx-text); }
.vx-tokens .vx-hover { outline: 1.5px solid var(--vx-muted); }
.vx-windows { gap: 8px; margin-bottom: 4px; }
.vx-live { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(380px, 100%), 1fr)); gap: 10px 24px; border: 1px solid var(--vx-line); border-radius: 6px; padding: 10px 12px; margin-bottom: 12px; }
.vx-fields { display: grid; gap: 6px; }
.vx-fields .vx-label { display: grid; grid-template-columns: 116px minmax(0, 1fr) 52px; }
.vx-fields textarea { grid-column: 2 / 4; resize: vertical; width: 100%; }
.vx-fields input[type=range] { width: 100%; }
.vx-drop { display: flex; gap: 12px; border: 1px dashed var(--vx-reference); border-radius: 6px; padding: 8px; }
.vx-drop > div { display: grid; gap: 5px; align-content: start; min-width: 0; }
.vx-drop input[type=file] { font: inherit; font-size: 12px; color: var(--vx-text); max-width: 190px; }
.vx-over-drop { border-color: var(--vx-accent); background: var(--vx-field); }
.vx-preview { border: 1px solid var(--vx-line); border-radius: 4px; flex: none; }
.vx-draft select { max-width: 100px; }
.vx-draft { display: flex; flex-wrap: wrap; gap: 5px 8px; align-items: center; }
.vx-raster { display: grid; grid-template-columns: repeat(3, 20px); gap: 2px; }
.vaslab-explorer .vx-cell { width: 20px; height: 20px; padding: 0; border-radius: 3px; }
.vx-send { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; }
.vx-reply { white-space: pre-wrap; overflow-wrap: anywhere; }
.vx-numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 12px; margin-top: 12px; }
.vx-numbers .vx-scroll { max-height: 300px; }
.vx-foot { font-size: 12px; margin-top: 12px; border-top: 1px solid var(--vx-grid); padding-top: 7px; overflow-wrap: anywhere; }
.vx-foot kbd { font: inherit; border: 1px solid var(--vx-line); border-radius: 3px; padding: 0 4px; background: var(--vx-field); color: var(--vx-text); }
.vx-tip { position: absolute; z-index: 9; pointer-events: none; white-space: pre; font-size: 12px; line-height: 1.4; padding: 5px 9px; border-radius: 5px;
  background: var(--vx-text); color: var(--vx-ground); box-shadow: 0 2px 8px rgba(0,0,0,.25); }
.vx-sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.vaslab-explorer [hidden] { display: none !important; }
.vaslab-explorer[data-size=narrow] .vx-maps, .vaslab-explorer[data-size=narrow] .vx-pair .vx-panes { display: grid; grid-template-columns: minmax(0, 1fr); }
`;

const QUERIES = {
  user: "user text",
  user_after_image: "user text after the last picture",
  response: "response tokens",
};
const SHARE_NAMES = ["picture", "system", "user text", "other"];
/** What must be drawn again when a trait changes. */
const REDRAWS = {
  meta: "all",
  items: "items item",
  item: "item items head picture rows table",
  queries: "all",
  scope: "all",
  selected: "marks head picture rows table",
  token: "head picture rows table",
  picture: "picture",
  pictures: "picture table",
  rows: "tokens rows head table",
  attention: "head picture rows table",
  pinned: "pinned",
  live: "live",
  map: "maps",
  vas: "maps",
  low: "head table",
  high: "head table",
  shares: "head table",
  change: "maps",
  change_low: "head table",
  change_high: "head table",
  significant: "maps",
};
for (const r of [0, 1]) for (const name of ["share", "scale", "cells"]) REDRAWS[`${name}_${r}`] = "picture rows table";
let serial = 0;

class View {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.data = new Data(model);
    this.opened = { items: this.data.pair, table: false, live: false };
    this.options = { opacity: 0.95, spot: false, grid: true, own: false };
    this.hover = { head: null, row: -1, cell: -1 };
    this.pinned = this.data.get("pinned", []).map(([l, h]) => [l, h]);
    this.waiting = new Set();
    this.redrawn = () => this.draw("picture");
    this.build();
    this.listen();
    this.measure();
    this.draw("all");
  }

  // -- elements

  build() {
    this.id = `vx${++serial}`;
    this.el.classList.add("vaslab-explorer");
    this.el.setAttribute("role", "region");
    this.el.setAttribute("aria-label", "head explorer");
    const box = (name, props = {}) => (this[name] = make("div", { class: `vx-${name}`, ...props }));
    this.status = make("div", { class: "vx-sr", role: "status", "aria-live": "polite", "data-screen-only": true });
    this.tip = make("div", { class: "vx-tip", hidden: true, "data-screen-only": true });
    this.items = new Items((index) => this.choose(index));
    this.items.node.setAttribute("data-screen-only", "");
    this.form = new LiveForm((message) => this.model.send(message));
    this.form.node.setAttribute("data-screen-only", "");
    box("title");
    box("sub");
    box("controls", { "data-screen-only": true });
    box("itembar");
    box("head");
    box("pins");
    box("numbers");
    box("foot");
    box("tools", { "data-screen-only": true });
    this.nav = make("div", { class: "vx-nav", "data-screen-only": true });
    this.question = make("div", { class: "vx-question", tabindex: "-1" });
    this.maps = make("div", { class: "vx-maps" });
    this.panes = make("div", { class: "vx-panes" });
    this.left = make("div", {}, this.maps, this.pins);
    this.body = make("div", { class: "vx-body" }, this.left, this.panes);
    const top = make("div", { class: "vx-top" }, make("div", {}, this.title, this.sub), this.controls);
    fill(this.itembar, this.nav, this.question);
    fill(
      this.el,
      make("style", { text: STYLE }),
      top,
      this.itembar,
      this.items.node,
      this.form.node,
      this.body,
      this.numbers,
      this.foot,
      this.status,
      this.tip,
    );
    this.buildMaps();
    this.buildPanes();
    this.buildTools();
  }

  buildMaps() {
    const { data } = this,
      names = data.runs.map((_, r) => `Visual Attention Score of ${data.label(r)}`);
    this.boards = names.map((name) => new HeadMap(LEVELS, name));
    if (data.pair) this.boards.push(new HeadMap(CHANGES, `change from ${data.label(0)} to ${data.label(1)}`));
    fill(this.maps, ...this.boards.map((board) => board.node));
    for (const board of this.boards) {
      board.canvas.addEventListener("click", (event) => {
        const head = board.at(event);
        if (head) this.select(head);
      });
      board.canvas.addEventListener("mousemove", (event) => this.overMap(board.at(event), event));
      board.canvas.addEventListener("mouseleave", () => this.overMap(null));
      board.canvas.addEventListener("keydown", (event) => this.moveHead(event));
    }
  }

  buildPanes() {
    const { data } = this;
    this.views = data.runs.map((_, r) => {
      const view = { picture: new Picture(`picture with the attention of the selected head, ${data.label(r)}`) };
      view.name = make("div", { class: "vx-name" });
      view.masses = make("div", { class: "vx-masses" });
      view.thumbs = make("div", { class: "vx-thumbs", "data-screen-only": true });
      view.peak = make("div", { class: "vx-peak" });
      view.scale = make("canvas", { "aria-hidden": "true" });
      view.words = make("div", { class: "vx-dim" });
      view.note = make("div", { class: "vx-note" });
      view.rowsName = make("div", { class: "vx-name" });
      view.trace = make("canvas", { role: "img", "aria-label": "share of attention on the picture per emitting row" });
      view.strip = new TokenStrip(
        `emitting rows, ${data.label(r)}`,
        (row) => this.set({ token: row }),
        (row) => this.overRow(row),
      );
      view.strip.list.id = `${this.id}-rows-${r}`;
      view.rowsWords = make("div", { class: "vx-note" });
      view.look = make(
        "div",
        { class: "vx-look" },
        view.thumbs,
        view.picture.stack,
        view.peak,
        make("div", { class: "vx-key" }, view.scale, view.words),
        view.note,
      );
      view.rows = make("div", { class: "vx-rows" }, view.rowsName, view.trace, view.strip.node, view.rowsWords);
      view.picture.over.addEventListener("mousemove", (event) => this.overPicture(r, event));
      view.picture.over.addEventListener("mouseleave", () => this.overPicture(r, null));
      const rowAt = (event) => {
        const at = view.trace.getBoundingClientRect(),
          n = data.rows(r).length;
        const row = Math.floor(((event.clientX - at.left - 40) / (at.width - 50)) * n);
        return row >= 0 && row < n ? row : -1;
      };
      view.trace.addEventListener("mousemove", (event) => this.overRow(rowAt(event)));
      view.trace.addEventListener("mouseleave", () => this.overRow(-1));
      view.trace.addEventListener("click", (event) => this.set({ token: rowAt(event) }));
      return view;
    });
    this.body.classList.toggle("vx-pair", data.pair);
    this.header = make("div", {}, this.head, data.pair ? null : this.views[0].masses, this.tools);
    if (data.pair) {
      fill(this.body, this.left, this.header, this.panes);
      fill(this.panes, ...this.views.map((view) => make("div", {}, view.name, view.masses, view.look, view.rows)));
    } else {
      this.right = make("div", {}, this.header, this.views[0].look);
      fill(this.panes, this.right, this.views[0].rows);
    }
  }

  buildTools() {
    const { options } = this,
      again = (change) => (change(), this.draw("picture"));
    const opacity = make("input", {
      type: "range",
      min: "0",
      max: "100",
      value: `${100 * options.opacity}`,
      on: { input: () => again(() => (options.opacity = opacity.value / 100)) },
    });
    const grid = make("input", {
      type: "checkbox",
      checked: options.grid,
      on: { change: () => again(() => (options.grid = grid.checked)) },
    });
    fill(
      this.tools,
      choice(
        "overlay",
        [
          ["heat", "heat"],
          ["spot", "spotlight"],
        ],
        "heat",
        (value) => again(() => (options.spot = value === "spot")),
      ),
      choice(
        "scale",
        [
          ["shared", "shared scale"],
          ["own", "this head"],
        ],
        "shared",
        (value) => again(() => (options.own = value === "own")),
      ),
      labelled("opacity", opacity),
      make("label", { class: "vx-label" }, grid, make("span", { text: "patch grid" })),
    );
  }

  buildControls() {
    const { data } = this,
      meta = data.meta,
      queries = meta.queries || ["user"];
    const toggle = (name, words, title) =>
      button(words, () => ((this.opened[name] = !this.opened[name]), this.draw("controls items table live")), {
        "aria-expanded": this.opened[name],
        title,
      });
    fill(
      this.controls,
      choice(
        "queries",
        queries.map((name) => [name, QUERIES[name] || name]),
        data.get("queries", queries[0]),
        (name) => this.set({ queries: name, token: -1 }),
      ),
      choice(
        "map of",
        [
          ["item", "this item"],
          ["run", "mean over the run"],
        ],
        data.get("scope", "item"),
        (scope) => this.set({ scope }),
      ),
      toggle("table", "table", "the numbers of what is shown (T)"),
      meta.live ? toggle("live", "ask", "ask the model a question of your own") : null,
      button("export PNG", () => this.exported(), { title: "save this view as a picture (E)" }),
    );
  }

  // -- what the user does

  set(changes) {
    for (const [name, value] of Object.entries(changes)) this.model.set(name, value);
    this.model.save_changes();
  }
  select(head) {
    this.set({ selected: head });
  }
  choose(index) {
    this.set({ item: index, token: -1, picture: 0 });
  }
  pin() {
    const [layer, head] = this.data.selected,
      same = ([l, h]) => l === layer && h === head;
    this.pinned = this.pinned.some(same) ? this.pinned.filter((each) => !same(each)) : [...this.pinned, [layer, head]];
    this.keepPinned();
  }
  keepPinned() {
    if (this.data.get("pinned", null) !== null) this.set({ pinned: this.pinned });
    this.draw("marks head");
  }
  exported() {
    const [layer, head] = this.data.selected,
      run = String(this.data.meta.run_id || "run").replace(/[^\w.-]+/g, "-");
    exportPng(this.el, `${run}-L${layer}H${head}.png`);
  }

  moveHead(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const { layers, heads, selected } = this.data;
    this.select([(selected[0] + step[0] + layers) % layers, (selected[1] + step[1] + heads) % heads]);
  }

  listen() {
    const drawLater = (parts) => {
      parts.split(" ").forEach((part) => this.waiting.add(part));
      if (this.frame === undefined) this.frame = requestAnimationFrame(() => this.flush());
    };
    this.heard = Object.entries(REDRAWS).map(([name, parts]) => {
      const hear = () => (this.data.forget(name), drawLater(parts));
      this.model.on(`change:${name}`, hear);
      return [`change:${name}`, hear];
    });
    this.keys = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      // a notebook takes plain keys for its own commands: "dd" would delete the cell
      if (!/^(Tab|Escape|Shift|F\d+)$/.test(event.key) && !(event.shiftKey && event.key === "Enter"))
        event.stopPropagation();
      if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
      const act = {
        p: () => this.pin(),
        e: () => this.exported(),
        t: () => ((this.opened.table = !this.opened.table), this.draw("controls table")),
      }[event.key.toLowerCase()];
      if (act && !event.shiftKey) (event.preventDefault(), act());
    };
    this.el.addEventListener("keydown", this.keys);
    const themed = () => (this.measure(), this.draw("all"));
    this.sizes = new ResizeObserver(() => Math.abs(this.el.clientWidth - this.seen) > 1 && themed());
    this.sizes.observe(this.el);
    // a host's colours may load after it has said which theme they are
    this.hosts = new MutationObserver(() => hostTheme() !== this.theme && (themed(), setTimeout(themed, 500)));
    for (const node of [document.documentElement, document.body]) this.hosts.observe(node, { attributes: true });
    this.system = matchMedia("(prefers-color-scheme: dark)");
    this.system.addEventListener("change", themed);
    this.themed = themed;
  }

  destroy() {
    for (const [name, hear] of this.heard) this.model.off && this.model.off(name, hear);
    cancelAnimationFrame(this.frame);
    this.el.removeEventListener("keydown", this.keys);
    this.sizes.disconnect();
    this.hosts.disconnect();
    this.system.removeEventListener("change", this.themed);
  }

  // -- hovering

  showTip(words, event) {
    this.tip.hidden = !words;
    if (!words) return;
    this.tip.textContent = words;
    const at = this.el.getBoundingClientRect(),
      x = event.clientX - at.left + this.el.scrollLeft,
      y = event.clientY - at.top;
    const flip = x + this.tip.offsetWidth + 24 > this.el.clientWidth;
    this.tip.style.left = `${Math.max(2, flip ? x - this.tip.offsetWidth - 12 : x + 14)}px`;
    this.tip.style.top = `${Math.min(y + 12, this.el.clientHeight - this.tip.offsetHeight - 4)}px`;
  }

  overMap(head, event) {
    const before = this.hover.head;
    this.hover.head = head;
    this.showTip(head && this.tellHead(head), event);
    if (String(before) !== String(head)) this.draw("marks");
  }
  tellHead([layer, head]) {
    const { data } = this,
      index = layer * data.heads + head;
    const told = data.runs.map((_, r) => {
      const shares = data.shares(r, index);
      const parts = shares ? `\n${[...shares].map((v, i) => `${SHARE_NAMES[i]} ${percent(v)}`).join(" · ")}` : "";
      return `${data.pair ? `${data.label(r)}: ` : ""}VAS ${this.tellVas(r, index)} · rank ${this.rank(r, index)} of ${this.ranked(r)}${parts}`;
    });
    return [`layer ${layer} · head ${head}`, ...told, data.pair ? this.tellChange(index) : null]
      .filter(Boolean)
      .join("\n");
  }
  tellVas(r, index) {
    const low = this.data.perHead("low", r)[index],
      high = this.data.perHead("high", r)[index];
    return (
      number(this.data.perHead("vas", r)[index]) +
      (finite(low) && finite(high)
        ? ` (${this.data.get("map", {}).band || "95 % CI"} ${number(low)}–${number(high)})`
        : "")
    );
  }
  tellChange(index) {
    const { data } = this,
      ratio = data.perHead("change")[index],
      low = data.perHead("change_low")[index],
      high = data.perHead("change_high")[index];
    const band = finite(low) && finite(high) ? ` (95 % CI ${times(low)} to ${times(high)})` : "";
    const tested = data.bytes("significant");
    return `change ${times(ratio)}${band}${tested.length ? (tested[index] ? ", significant" : ", not significant") : ", not tested"}`;
  }
  order(r) {
    return this.data.keep(`order ${r}`, () =>
      Array.from(this.data.perHead("vas", r))
        .filter((v) => !Number.isNaN(v))
        .sort((a, b) => b - a),
    );
  }
  ranked(r) {
    return this.order(r).length.toLocaleString("en");
  }
  rank(r, index) {
    const value = this.data.perHead("vas", r)[index],
      place = this.order(r).indexOf(value);
    return place < 0 ? "–" : (place + 1).toLocaleString("en");
  }

  overRow(row) {
    if (row === this.hover.row) return;
    this.hover.row = row;
    this.draw("head picture rows");
  }
  /** The row shown: the one under the mouse, else the pinned one, else (-1) the mean. */
  shownRow(r) {
    return this.hover.row >= 0 && this.hover.row < this.data.rows(r).length ? this.hover.row : this.data.token(r);
  }

  overPicture(r, event) {
    const picture = this.picture(),
      cell = event && picture.rows ? this.views[r].picture.at(event, picture) : -1;
    const changed = cell !== this.hover.cell;
    this.hover.cell = cell;
    if (changed) this.draw("picture");
    const shares = cell >= 0 ? this.data.cellShares(r, this.shownRow(r)) : null;
    if (cell < 0) return this.showTip("");
    const { rows, cols, width, height } = picture,
      row = Math.floor(cell / cols),
      col = cell % cols;
    const span = (i, n, size) => `${Math.round((i * size) / n)}–${Math.round(((i + 1) * size) / n)}`;
    const told = shares ? `\n${this.tellCell(shares, picture.first_cell + cell)}` : "";
    this.showTip(
      `patch row ${row}, column ${col}${told}\npixels x ${span(col, cols, width)}, y ${span(row, rows, height)}`,
      event,
    );
  }
  tellCell(shares, cell) {
    let sum = 0;
    for (const v of shares) sum += v;
    const mean = sum / shares.length;
    return `${percent(shares[cell])} of attention${mean > 0 ? `, ${number(shares[cell] / mean)} × the mean patch` : ""}`;
  }

  // -- drawing

  measure() {
    this.theme = hostTheme();
    this.seen = this.el.clientWidth;
    const style = this.el.style;
    style.setProperty("--vx-ground", `var(--jp-layout-color1, ${LOOKS[this.theme].background})`);
    this.ground = getComputedStyle(this.el).backgroundColor;
    // a theme of the host's own may say "light" and be dark: its ground decides
    const look = LOOKS[luminance(rgbOf(this.ground)) < 0.18 ? "dark" : "light"];
    this.look = { ...look, background: this.ground };
    for (const name of ["text", "muted", "grid", "reference", "field", "line", "accent", "more", "up"])
      style.setProperty(`--vx-${name}`, look[name]);
    style.colorScheme = look.name;
    const width = (this.width = Math.max(300, (this.seen || 900) - 32));
    this.size = width < 560 ? "narrow" : width < 1480 ? "mid" : "wide";
    this.el.dataset.size = this.size;
    const { pair } = this.data,
      gap = 26;
    let columns = "minmax(0, 1fr)",
      map = width,
      look_ = width,
      tall = { narrow: 320, mid: 500, wide: 560 }[this.size];
    if (pair) {
      map = this.size === "narrow" ? width : Math.floor((width - 36) / 3);
      look_ = this.size === "narrow" ? width : Math.floor((width - gap) / 2);
      tall = Math.min(tall, this.size === "wide" ? 420 : 360);
    } else if (this.size !== "narrow") {
      const parts = this.size === "wide" ? [0.33] : [0.46],
        room = width - gap * (this.size === "wide" ? 2 : 1);
      map = Math.floor(Math.min(parts[0] * room, 62 + 64 * Math.max(5, this.data.layers)));
      look_ = this.size === "wide" ? Math.floor((room - map) * 0.55) : room - map;
      columns = `${map}px ${look_}px${this.size === "wide" ? " minmax(0, 1fr)" : ""}`;
    }
    this.room = {
      map,
      look: look_,
      tall,
      rows: this.size === "wide" && !pair ? width - 2 * gap - map - look_ : look_,
      picture: pair ? 420 : this.size === "wide" ? 560 : 470,
    };
    this.body.style.gridTemplateColumns = columns;
    const single = !pair && this.size === "mid";
    if (!pair) {
      this.left.style.gridRow = single ? "1 / span 2" : "";
      this.right.style.gridColumn = single ? "2" : "";
      this.views[0].rows.style.gridColumn = single ? "2" : "";
    }
  }

  flush() {
    this.frame = undefined;
    const parts = [...this.waiting].join(" ");
    this.waiting.clear();
    this.draw(parts);
  }

  draw(words) {
    const parts = new Set(words.split(" "));
    const also = {
      all: "controls item items maps tokens picture live",
      maps: "marks head foot table",
      tokens: "rows",
      pinned: "marks",
    };
    for (const [part, more] of Object.entries(also))
      if (parts.has(part)) more.split(" ").forEach((each) => parts.add(each));
    if (parts.has("maps")) ["order 0", "order 1"].forEach((name) => this.data.forget(name));
    if (parts.has("pinned")) this.pinned = this.data.get("pinned", this.pinned);
    const steps = {
      controls: () => this.drawControls(),
      item: () => this.drawItem(),
      items: () => this.drawItems(parts),
      maps: () => this.drawMaps(),
      marks: () => this.drawMarks(),
      tokens: () => this.views.forEach((view, r) => view.strip.build(this.data.rows(r), () => this.draw("tokens"))),
      picture: () => this.views.forEach((view, r) => this.drawPicture(view, r)),
      rows: () => this.views.forEach((view, r) => this.drawRows(view, r)),
      head: () => this.drawHead(),
      live: () => this.drawLive(),
      table: () => this.drawTable(),
      foot: () => this.drawFoot(),
    };
    for (const [part, step] of Object.entries(steps)) if (parts.has(part)) step();
    this.el.dispatchEvent(new CustomEvent("vaslab-drawn", { bubbles: true, detail: [...parts] }));
  }

  drawControls() {
    const { data } = this,
      meta = data.meta,
      map = data.get("map", {});
    this.title.textContent = meta.title || "Where the heads look";
    const runs = data.runs
      .map((run, r) => [data.pair ? data.label(r) : null, run.model].filter(Boolean).join(": "))
      .join(" against ");
    const scope = data.get("scope", "item") === "run" ? `mean over ${counted(map.n || 0, "item")}` : "this item";
    const fresh = (words) => words && !this.title.textContent.includes(words);
    this.sub.textContent = [data.pair ? runs : data.runs[0].model, data.runs[0].data]
      .filter(fresh)
      .concat([
        `queries: ${QUERIES[data.get("queries", "user")] || data.get("queries", "user")}`,
        `map: ${scope}`,
        data.runs[0].decoding,
      ])
      .filter(Boolean)
      .join(" · ");
    const all = () => [...this.controls.querySelectorAll("select, button")],
      focused = all().indexOf(this.el.getRootNode().activeElement);
    this.buildControls();
    if (focused >= 0 && all()[focused]) all()[focused].focus();
  }

  drawItem() {
    const { data } = this,
      items = data.get("items", []),
      index = data.get("item", -1),
      item = items[index];
    this.itembar.hidden = !items.length;
    if (!this.nav.firstChild) {
      const open = () => ((this.opened.items = !this.opened.items), this.draw("item items"));
      this.opener = button("", open, { "aria-expanded": "false" });
      this.before = button("◀", () => this.items.step(-1), { "aria-label": "previous item" });
      this.after = button("▶", () => this.items.step(1), { "aria-label": "next item" });
      fill(this.nav, this.before, this.opener, this.after);
    }
    this.opener.textContent = item
      ? `item ${index + 1} of ${items.length.toLocaleString("en")}`
      : counted(items.length, "item");
    this.opener.setAttribute("aria-expanded", this.opened.items);
    this.before.hidden = this.after.hidden = items.length < 2;
    if (!item)
      return fill(
        this.question,
        make("span", { class: "vx-dim", text: "no item chosen: the map is the mean over the run" }),
      );
    const answers = (item.runs || []).flatMap((run, r) => {
      if (run.response === undefined || run.response === null || run.response === "") return [];
      const mark = run.correct === true ? "vx-right" : run.correct === false ? "vx-wrong" : "vx-dim";
      return [
        make("span", { class: "vx-dim", text: `  ${data.pair ? data.label(r) : "answer"}: ` }),
        make("span", { text: `${run.response} ` }),
        make("span", { class: mark, title: run.why || null, text: verdict(run) }),
      ];
    });
    fill(
      this.question,
      make("b", { text: String(item.question) }),
      item.reference ? make("span", { class: "vx-dim", text: `  reference: ${item.reference}` }) : null,
      ...answers,
    );
  }

  drawItems(parts) {
    this.items.node.hidden = !this.opened.items || !this.data.get("items", []).length;
    const fresh = parts.has("all") || this.items.items !== this.data.get("items", []);
    if (fresh) this.items.set(this.data);
    else if (!this.items.node.hidden) this.items.draw();
  }

  drawMaps() {
    const { data, look } = this,
      group = data.meta.kv_group || 1,
      map = data.get("map", {});
    const limit = Math.max(1, Math.round(Math.log2(map.limit || 2 ** limitOf(data.floats("vas")))));
    const tested = data.bytes("significant"),
      pale = data.pair && tested.length === data.size ? tested : data.pair ? new Uint8Array(data.size) : null;
    const given = (values, more) => ({
      layers: data.layers,
      heads: data.heads,
      group,
      values,
      limit,
      pale: null,
      other: null,
      ...more,
    });
    const inks = data.pair ? look.runs : [look.text];
    const shapes = data.runs.map((_, r) => given(data.perHead("vas", r), { ink: inks[r] }));
    // one span for the medians of all levels, so that they compare
    const extent = (board, shape) => (
      Object.assign(board, shape),
      Math.max(0.5, ...board.quartilesPerLayer().flat().filter(finite).map(Math.abs)) * 1.1
    );
    const span = Math.max(...shapes.map((shape, r) => extent(this.boards[r], shape)));
    shapes.forEach((shape, r) =>
      this.boards[r].prepare(
        { ...shape, span, other: r ? this.boards[0] : null },
        this.room.map,
        this.room.tall,
        look,
        this.ground,
      ),
    );
    if (data.pair) {
      const values = data.perHead("change"),
        shape = given(values, {
          pale,
          ink: look.text,
          limit: Math.max(1, Math.round(Math.log2(map.change_limit || 2 ** limitOf(values)))),
        });
      this.boards[2].prepare(
        { ...shape, span: extent(this.boards[2], shape) },
        this.room.map,
        this.room.tall,
        look,
        this.ground,
      );
    }
    this.boards.forEach((board, i) => {
      if (!data.pair)
        return fill(
          board.title,
          "Visual Attention Score per head ",
          make("span", { text: "log₂ scale · click or arrow keys" }),
        );
      if (i < 2) return (fill(board.title, data.label(i)), (board.title.style.color = look.runs[i]));
      let n = 0;
      for (const v of pale) n += v > 0;
      fill(
        board.title,
        `${data.label(1)} ÷ ${data.label(0)} `,
        make("span", {
          text: tested.length ? `${percent(n / data.size).replace(/\.\d+/, "")} of heads differ` : "not tested",
        }),
      );
    });
  }

  drawMarks() {
    const { data } = this,
      pinned = this.pinned;
    for (const board of this.boards) board.mark(data.selected, pinned, this.hover.head);
    const chips = pinned.map(([layer, head]) => {
      const vas = number(data.perHead("vas", data.pair ? 1 : 0)[layer * data.heads + head]),
        name = `L${layer} H${head}`;
      const drop = () => ((this.pinned = this.pinned.filter(([l, h]) => l !== layer || h !== head)), this.keepPinned());
      return make(
        "span",
        {},
        button(`${name}  ${vas}`, () => this.select([layer, head])),
        button("×", drop, { "aria-label": `unpin ${name}` }),
      );
    });
    const here = pinned.some(([l, h]) => l === data.selected[0] && h === data.selected[1]);
    if (!this.pinner) this.pinner = button("", () => this.pin(), { title: "P", "data-screen-only": true });
    this.pinner.textContent = here ? "unpin this head" : "pin this head";
    const old = [...this.pins.children];
    if (old[0] === this.pinner) (old.slice(1).forEach((node) => node.remove()), this.pins.append(...chips));
    else fill(this.pins, this.pinner, ...chips);
  }

  drawHead() {
    const { data } = this,
      [layer, head] = data.selected,
      index = layer * data.heads + head,
      group = data.meta.kv_group || 1;
    const row = this.shownRow(0),
      n = data.rows(0).length;
    const which = !n
      ? null
      : row < 0
        ? `picture: mean over ${counted(n, "row")}`
        : `picture: ${row === data.token(0) && this.hover.row < 0 ? "pinned row" : "row"} ${row}`;
    // the numbers may be the run's while the picture is the item's: say whose they are
    const map = data.get("map", {}),
      whose =
        data.get("scope", "item") === "run" || data.get("item", -1) < 0
          ? `mean over ${counted(map.n || 0, "item")}`
          : "this item";
    const kv = group > 1 ? `KV head ${Math.floor(head / group)}` : null;
    const value = data.pair
      ? `${data.runs.map((_, r) => `${data.label(r)} ${this.tellVas(r, index)}`).join(" → ")} · ${this.tellChange(index)}`
      : `VAS ${this.tellVas(0, index)} · rank ${this.rank(0, index)} of ${this.ranked(0)}`;
    const inks = [this.look.more, this.look.less, this.look.muted, this.look.band];
    this.views.forEach((view, r) => this.drawMasses(view.masses, data.shares(r, index)));
    fill(
      this.head,
      make(
        "div",
        {},
        make("b", { text: `Layer ${layer} · head ${head}` }),
        make("span", { class: "vx-dim", text: ` ${[value, whose, kv, which].filter(Boolean).join(" · ")}` }),
      ),
    );
    const said = [`Layer ${layer}, head ${head}: ${value}`, which].filter(Boolean).join(", ");
    if (this.hover.row < 0 && this.status.textContent !== said) this.status.textContent = said;
    for (const board of this.boards) board.canvas.setAttribute("aria-valuetext", said);
  }

  /** Where the head's attention goes: a bar of four parts, and their numbers. */
  drawMasses(node, shares) {
    if (!shares || ![...shares].every(finite)) return fill(node);
    const inks = [this.look.more, this.look.less, this.look.muted, this.look.band];
    const tinted = (tag, i, style = {}) => {
      const part = make(tag);
      Object.assign(part.style, { background: inks[i], ...style });
      return part;
    };
    const bar = make(
      "div",
      { class: "vx-stackbar", "aria-hidden": "true" },
      ...[...shares].map((v, i) => tinted("div", i, { width: `${100 * v}%` })),
    );
    return fill(
      node,
      bar,
      make(
        "div",
        { class: "vx-shares" },
        ...[...shares].map((v, i) => make("span", {}, tinted("i", i), `${SHARE_NAMES[i]} ${percent(v)}`)),
      ),
    );
  }

  picture() {
    const pictures = this.data.get("pictures", []);
    return (
      pictures[Math.min(this.data.get("picture", 0), pictures.length - 1)] || {
        name: "no picture",
        src: "",
        width: 4,
        height: 3,
        rows: 0,
        cols: 0,
        first_cell: 0,
      }
    );
  }
  limit(shown) {
    const n = Math.max(1, ...shown.map((shares) => (shares ? shares.length : 0)));
    // depends on the prompt alone: heads, rows and checkpoints compare
    if (!this.options.own) return Math.min(1, rounded(SHARED / n));
    return Math.max(1e-9, ...shown.filter(Boolean).map((shares) => shares.reduce((a, b) => Math.max(a, b), 0)));
  }

  drawPicture(view, r) {
    const { data, look, options } = this,
      picture = this.picture(),
      pictures = data.get("pictures", []);
    const shares = data.cellShares(r, this.shownRow(r)),
      said = data.attention(r),
      state = data.stateOf(r);
    // both checkpoints of a pair are drawn to one scale, also when it is "this head"
    const limit = this.limit(data.runs.map((_, k) => data.cellShares(k, this.shownRow(k))));
    const fits = shares && picture.rows > 0 && picture.first_cell + picture.rows * picture.cols <= shares.length;
    let peak = -1;
    if (shares) for (let p = 0; p < shares.length; p++) if (peak < 0 || shares[p] > shares[peak]) peak = p;
    view.picture.size(picture, this.room.look, this.room.picture);
    view.picture.drawGround(picture, !options.spot, look, this.redrawn);
    view.picture.drawOverlay(picture, fits ? shares : null, {
      ...options,
      limit,
      sinks: said.sinks || [],
      peak,
      hovered: this.hover.cell,
    });
    view.picture.stack.setAttribute("aria-busy", state === "waiting");
    const clipped = shares ? shares.some((v) => v > limit * 1.0001) : false;
    view.scale.hidden = !fits;
    if (fits) drawScale(view.scale, 236, limit, clipped, options, look);
    const own = options.own ? (data.pair ? "this head (both checkpoints)" : "this head") : "shared scale";
    const keys = [
      `${own}: 0 to ${percent(limit)} of the row's attention on a patch`,
      "▢ peak patch",
      (said.sinks || []).length ? `× ${said.sinks_words || "sink patch"}` : null,
      clipped ? "◥ beyond the scale" : null,
    ];
    view.words.textContent = fits ? keys.filter(Boolean).join(" · ") : "";
    view.peak.textContent = fits ? this.tellPeak(pictures, shares, peak) : "";
    if (data.pair) (fill(view.name, data.label(r)), (view.name.style.color = look.runs[r]));
    const told = data.fits(r) || said.state === "waiting" ? said.note : "";
    const waits =
      state === "waiting" && !told
        ? "computing the maps of this head …"
        : state === "mean"
          ? "mean over rows; single rows are not stored"
          : "";
    view.note.classList.toggle("vx-differs", said.differs === true);
    fill(
      view.note,
      [
        waits,
        told,
        state === "full" && finite(said.seconds) && said.seconds > 0 ? `computed in ${said.seconds.toFixed(2)} s` : "",
        state === "full" ? said.agreement : "",
      ]
        .filter(Boolean)
        .join(" · "),
    );
    if (state === "none" && data.meta.kernel && data.get("item", -1) >= 0)
      view.note.append(
        " ",
        button("load the maps", () => this.model.send({ type: "load" })),
      );
    this.drawThumbs(view, pictures, shares);
  }

  tellPeak(pictures, shares, peak) {
    const at = pictures.findIndex(({ first_cell: first, rows, cols }) => peak >= first && peak < first + rows * cols);
    if (at < 0) return "";
    const { cols, first_cell: first } = pictures[at],
      place = `row ${Math.floor((peak - first) / cols)}, column ${(peak - first) % cols}`;
    return `peak patch: ${place}${pictures.length > 1 ? ` of picture ${at + 1}` : ""}: ${this.tellCell(shares, peak)}`;
  }

  drawThumbs(view, pictures, shares) {
    view.thumbs.hidden = pictures.length < 2;
    if (pictures.length < 2) return;
    const now = this.data.get("picture", 0);
    const words = pictures.map(({ first_cell: first, rows, cols }, i) => {
      const sum = shares ? shares.subarray(first, first + rows * cols).reduce((a, b) => a + b, 0) : NaN;
      return `picture ${i + 1}${finite(sum) ? ` · ${percent(sum)}` : ""}`;
    });
    if (view.thumbs.children.length !== pictures.length) {
      fill(
        view.thumbs,
        ...pictures.map((picture, i) => button("", () => this.set({ picture: i }), { title: picture.name })),
      );
    }
    [...view.thumbs.children].forEach((thumb, i) => {
      thumb.textContent = words[i];
      thumb.setAttribute("aria-pressed", i === now);
    });
  }

  drawRows(view, r) {
    const { data, look } = this,
      rows = data.rows(r),
      shares = data.rowShares(r),
      pinned = data.token(r);
    const strip = view.strip;
    if (pinned >= 0 && pinned !== strip.followed && (pinned < strip.start || pinned >= strip.start + WINDOW)) {
      strip.start = WINDOW * Math.floor(pinned / WINDOW);
      strip.build(rows, () => this.draw("tokens"));
    }
    strip.followed = pinned;
    fill(
      view.rowsName,
      "Share of attention on the picture, per emitting row ",
      make("span", { text: "hover: preview · click: pin" }),
    );
    const ink = data.pair ? look.runs[r] : look.more;
    drawTrace(view.trace, this.room.rows, shares, rows.length, {
      pinned,
      hovered: this.hover.row,
      start: strip.start,
      ink,
      look,
    });
    strip.paint(shares, pinned, this.hover.row, look);
    if (this.hover.row < 0 && pinned >= 0 && strip.list.scrollHeight > strip.list.clientHeight) {
      const span = strip.spans[pinned - strip.start],
        list = strip.list;
      if (span && (span.offsetTop < list.scrollTop || span.offsetTop + 22 > list.scrollTop + list.clientHeight))
        list.scrollTop = span.offsetTop - 60;
    }
    const words =
      (data.meta.rows_words || {})[data.get("queries", "user")] ||
      "Each row is an emitting row: the attention of the position from which the next token is drawn.";
    view.rowsWords.textContent = words;
  }

  drawLive() {
    const { data } = this,
      item = data.get("items", [])[data.get("item", -1)];
    this.form.node.hidden = !data.meta.live || !this.opened.live;
    if (data.meta.live) this.form.show(data.get("live", {}), item && item.question);
  }

  drawTable() {
    this.numbers.hidden = !this.opened.table;
    if (!this.opened.table) return;
    const { data } = this,
      heads = [],
      columns = [
        "layer",
        "head",
        ...data.runs.flatMap((_, r) => [`VAS ${data.pair ? data.label(r) : ""}`.trim(), "low", "high"]),
      ];
    if (data.pair) columns.push("change (ratio)", "significant");
    else columns.push(...SHARE_NAMES.map((name) => `${name} %`));
    for (let i = 0; i < data.size; i++) {
      const row = [
        Math.floor(i / data.heads),
        i % data.heads,
        ...data.runs.flatMap((_, r) => ["vas", "low", "high"].map((name) => data.perHead(name, r)[i])),
      ];
      if (data.pair) row.push(data.perHead("change")[i], data.bytes("significant")[i] ? "yes" : "no");
      else row.push(...(data.shares(0, i) || [NaN, NaN, NaN, NaN]).map((v) => 100 * v));
      heads.push(row.map((v) => (Number.isNaN(v) ? "undefined" : v)));
    }
    const at = data.pair ? 5 : 2,
      value = (row) => (typeof row[at] === "number" ? row[at] : -Infinity);
    heads.sort((a, b) => value(b) - value(a));
    const [layer, head] = data.selected,
      tables = [tableOf("heads, highest VAS first", columns, heads)];
    data.runs.forEach((_, r) => {
      const name = `layer ${layer}, head ${head}${data.pair ? `, ${data.label(r)}` : ""}`,
        shares = data.rowShares(r),
        cells = data.cellShares(r, data.token(r));
      if (shares.length)
        tables.push(
          tableOf(
            `${name}: rows`,
            ["row", "position", "token", "picture %"],
            data
              .rows(r)
              .map((row, t) => [
                t,
                row.position,
                visible(String(row.text)),
                shares.length === 1 ? "not stored" : 100 * shares[t],
              ]),
          ),
        );
      if (!cells) return;
      const patches = data
        .get("pictures", [])
        .flatMap(({ first_cell: first, rows, cols }, i) =>
          Array.from({ length: rows * cols }, (_, p) => [
            i + 1,
            Math.floor(p / cols),
            p % cols,
            100 * cells[first + p],
          ]),
        );
      tables.push(
        tableOf(
          `${name}: patches, ${data.token(r) < 0 ? "mean over rows" : `row ${data.token(r)}`}`,
          ["picture", "row", "column", "attention %"],
          patches.sort((a, b) => b[3] - a[3]),
        ),
      );
    });
    fill(this.numbers, ...tables);
  }

  drawFoot() {
    const { data } = this,
      meta = data.meta,
      map = data.get("map", {}),
      queries = data.get("queries", "user");
    const band = data.get("low", null) && data.floats("low").length ? `Intervals: ${map.band || "95 % CI"}.` : "";
    const pale = data.pair ? "Pale: no significant change." : "";
    const sentences = [
      (meta.definitions || {})[queries],
      map.unit ? `Unit: ${map.unit}.` : "",
      "Line: median over the heads of a layer; band: interquartile range.",
      band,
      pale,
      map.note,
      meta.quantisation,
      meta.note,
      meta.run_id ? `Run ${meta.run_id}.` : "",
    ];
    const key = (name, words) => [make("kbd", { text: name }), ` ${words} `];
    const help = make(
      "div",
      { "data-screen-only": true },
      "Keys: ",
      ...key("←→↑↓", "on a map: another head,"),
      ...key("P", "pin it,"),
      ...key("T", "table,"),
      ...key("E", "export;"),
      ...key("←→", "in the strip: pin a row,"),
      ...key("Esc", "unpin"),
    );
    fill(this.foot, make("div", { text: sentences.filter(Boolean).join(" ") }), help);
  }
}

/** anywidget's entry: draw the explorer of `model` into `el`; returns what takes it down again. */
function render({ model, el }) {
  const view = new View(model, el);
  return () => view.destroy();
}

export default { render };
