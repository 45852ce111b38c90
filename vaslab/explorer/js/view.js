// The view: its elements, and what the user does.

import { hostTheme } from "./colours.js";
import { button, choice, fill, labelled, make } from "./elements.js";
import { Data } from "./data.js";
import { CHANGES, HeadMap, LEVELS } from "./head_map.js";
import { Picture } from "./picture.js";
import { TokenStrip } from "./rows.js";
import { Items } from "./items.js";
import { LiveForm } from "./live_form.js";
import { Looks } from "./looks.js";
import { exportPng } from "./export_png.js";
import { STYLE } from "./style.js";
import { QUERIES } from "./page.js";
import { Pointer } from "./pointer.js";

/** What must be drawn again when a trait changes. */
const REDRAWS = {
  meta: "all",
  items: "items item",
  n_items: "items item",
  item: "item items head picture rows table looks live",
  queries: "all",
  scope: "all",
  selected: "marks head picture rows table looks",
  token: "head picture rows table",
  picture: "picture looks",
  pictures: "picture table looks",
  region: "picture looks",
  looks: "looks",
  rows: "tokens rows head table",
  attention: "head picture rows table",
  pinned: "pinned",
  live: "live",
  map: "maps",
  vas: "maps",
  low: "head table",
  high: "head table",
  floored: "maps",
  shares: "head table",
  change: "maps",
  change_low: "head table",
  change_high: "head table",
  significant: "maps",
};
for (const r of [0, 1]) for (const name of ["share", "scale", "cells"]) REDRAWS[`${name}_${r}`] = "picture rows table";
let serial = 0;

/** One explorer in one element: builds it, listens to its model and to its user. */
class View extends Pointer {
  constructor(model, el) {
    super();
    this.model = model;
    this.el = el;
    this.data = new Data(model);
    this.opened = { items: this.data.pair, table: false, live: false };
    this.options = { opacity: 0.8, spot: false, grid: true, own: false };
    this.hover = { head: null, row: -1, cell: -1 };
    this.pinned = this.data.get("pinned", []).map(([l, h]) => [l, h]);
    this.waiting = new Set();
    this.redrawn = () => this.draw("picture");
    this.build();
    this.listen();
    this.measure();
    this.draw("all");
  }

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
    this.lookers = new Looks(
      () => this.model.send({ type: "rank" }),
      (head) => this.select(head),
      (box) => this.outline(box),
    );
    this.lookers.node.setAttribute("data-screen-only", "");
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
      this.lookers.node,
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
      view.trace = make("canvas", { role: "img", "aria-label": "share of attention on the picture per row" });
      view.strip = new TokenStrip(
        `rows, ${data.label(r)}`,
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
      view.picture.over.addEventListener("pointerdown", (event) => this.drag(view.picture, event));
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
        "aria-expanded": String(this.opened[name]),
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
      (this.tabler = toggle("table", "table", "the numbers of what is shown (T)")),
      meta.live ? toggle("live", "ask", "ask the model a question of your own") : null,
      button("export PNG", () => this.exported(), { title: "save this view as a picture (E)" }),
    );
  }

  set(changes) {
    for (const [name, value] of Object.entries(changes)) this.model.set(name, value);
    this.model.save_changes();
  }

  select(head) {
    const same = head.every((at, i) => at === this.data.selected[i]);
    // the head shown first has no maps until somebody asks for them
    if (same && this.data.meta.kernel && this.data.runs.some((_, r) => this.data.stateOf(r) === "none"))
      this.model.send({ type: "load" });
    else this.set({ selected: head });
  }

  choose(index) {
    this.set({ item: index, token: -1, picture: 0, region: {} });
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
    // texts of items that are too many to be saved with a notebook
    const told = (content) => {
      if (!content || content.type !== "items") return;
      this.data.fetched = content.items;
      drawLater("items item");
    };
    this.model.on("msg:custom", told);
    this.heard.push(["msg:custom", told]);
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
}

/** anywidget's entry: draw the explorer of `model` into `el`; returns what takes it down again. */
function render({ model, el }) {
  const view = new View(model, el);
  return () => view.destroy();
}

export default { render };
