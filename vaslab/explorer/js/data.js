// Traits as typed arrays.

import { counted } from "./numbers.js";

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

/** What a host has set, read through; typed arrays are kept until their trait changes. */
export class Data {
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
  /** Every item there is; holes where a text has not been fetched. */
  get items() {
    const sent = this.get("items", []),
      n = Math.max(this.get("n_items", 0), sent.length);
    if (this.fetched && this.fetched.length === n) return this.fetched;
    if (sent.length === n) return sent;
    return this.keep("items", () => {
      const all = new Array(n);
      for (const item of sent) all[item.at] = item;
      return all;
    });
  }
  /** How many items have no text here yet. */
  get absent() {
    const sent = this.get("items", []);
    return this.items === this.fetched ? 0 : this.items.length - sent.length;
  }
  /** Whether the numbers of what is chosen are still on their way. */
  get coming() {
    return this.get("map", {}).coming === true;
  }
  /** Whose numbers the map shows. */
  get whose() {
    if (this.get("scope", "item") !== "run" && this.get("item", -1) >= 0) return "this item";
    const { n = 0 } = this.get("map", {});
    return n ? `mean over ${counted(n, "item")}` : "no numbers";
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
  /** What is outlined on a picture, as boxes in its pixels, and whether the item knows them (else a user drew one). */
  marked(picture) {
    const { box, picture: on = 0 } = this.get("region", {}),
      pictures = this.get("pictures", []);
    if (box) return { marked: pictures[on] === picture ? [box] : [], known: false };
    return { marked: picture.boxes || [], known: true };
  }
  /** How heads rank on what is outlined now: {state, note, runs}; one of another item or box is none. */
  get looks() {
    const said = { state: "none", note: "", runs: [], ...this.get("looks", {}) },
      now = [this.get("item", -1), this.get("queries", ""), this.get("region", {})];
    return said.state !== "busy" && JSON.stringify(said.of) !== JSON.stringify(now)
      ? { state: "none", note: said.of && said.of.length ? "" : said.note, runs: [] }
      : said;
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
}
