// Items: search, filters, one row an item.

import { CHANGE, css, sampled } from "./colours.js";
import { counted, finite, number, percent, times } from "./numbers.js";
import { button, choice, fill, keepFocus, make } from "./elements.js";
import { VAS, boundMark, boundWords, onFloor } from "./head_words.js";

const VERDICTS = { true: "✓ right", false: "✗ wrong", null: "– not graded" };
export const verdict = (run) => VERDICTS[run && run.correct !== undefined ? run.correct : null];
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

/** The table of items; `choose` gets the index of the one pressed. */
export class Items {
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
    this.items = data.items;
    this.texts = null;
    // two runs have three columns more
    this.node.classList.toggle("vx-two", data.pair);
    const offered = Object.entries(FILTERS).filter(
      ([key]) => data.pair || !["fixed", "broken", "change"].includes(key),
    );
    const named = offered.map(([key, [words]]) => [key, / by$/.test(words) ? `${words} ${data.label(1)}` : words]);
    keepFocus(this.filters, () =>
      fill(
        this.filters,
        choice("show", named, this.kind, (kind) => ((this.kind = kind), this.renew())),
      ),
    );
    const columns = [
      "item",
      "question",
      "reference",
      ...data.runs.flatMap((_, r) => [data.label(r), `${VAS}${data.pair ? `, ${data.label(r)}` : ""}`]),
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
  /** Share of the item's rows on the floor of the system mass, over all heads. */
  floored(item, r) {
    const { floored = {} } = item.runs[r] || {};
    return floored[this.data.get("queries", "user")] || 0;
  }
  change(item) {
    return Math.log2(this.vas(item, 1) / this.vas(item, 0));
  }

  found() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !this.texts) {
      this.texts = Array.from(this.items, (item = {}) =>
        [item.id, item.question, item.reference, item.category, ...(item.runs || []).map((run) => run.response)]
          .join("\n")
          .toLowerCase(),
      );
    }
    const keep = FILTERS[this.kind][1],
      places = [];
    const open = this.kind === "all" && !words.length;
    for (let i = 0; i < this.items.length; i++) {
      // what is not here yet can be gone to, but not judged
      const [a = {}, b = {}] = (this.items[i] || {}).runs || [];
      if (this.items[i] ? keep(a, b) && words.every((word) => this.texts[i].includes(word)) : open) places.push(i);
    }
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
    const { absent } = this.data,
      here = absent ? this.places.filter((i) => this.items[i]) : this.places;
    this.count.textContent = absent
      ? `${here.length.toLocaleString("en")} of ${counted(this.items.length, "item")}; the texts of the others come from the kernel`
      : `${n.toLocaleString("en")} of ${counted(this.items.length, "item")}`;
    const rest = Math.min(100, here.length - this.room);
    keepFocus(this.scroll, () => {
      fill(this.body, ...here.slice(0, this.room).map((i) => this.row(i, i === now)));
      fill(this.more, rest > 0 ? button(`show ${rest} more`, () => ((this.room += 100), this.draw())) : null);
    });
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
        ` ${[run.response, item.edit && `(${item.edit})`].filter(Boolean).join(" ")}`,
      );
      const low = this.floored(item, r),
        vas = `${boundMark(low)}${number(this.vas(item, r))}`,
        why = onFloor(low) ? `${vas}, a bound: ${percent(low)} of rows have a system mass below 1e-6` : vas;
      cells.push(words, make("td", { class: "vx-number", title: why, text: vas }));
    });
    if (this.data.pair) cells.push(this.bar(this.change(item), [0, 1].map((r) => this.floored(item, r))));
    const name = button(String(item.id), () => this.choose(i), { "aria-current": chosen ? "true" : null });
    return make(
      "tr",
      { class: chosen ? "vx-chosen" : null, on: { click: () => this.choose(i) } },
      make("td", {}, name),
      ...cells,
    );
  }

  /** The ratio as a small bar from the middle, in the colours of a change; `low`: share on the floor in each run. */
  bar(power, low) {
    if (!finite(power)) return make("td", { text: "undefined" });
    const t = Math.max(-1, Math.min(1, power / 2)),
      ink = css(sampled(CHANGE, (t + Math.sign(t) * 0.35 + 1) / 2));
    const rod = make("i", { class: "vx-rod" });
    Object.assign(rod.style, { background: ink, left: `${50 + Math.min(0, 50 * t)}%`, width: `${Math.abs(50 * t)}%` });
    return make("td", { class: "vx-number" }, make("span", { class: "vx-track" }, rod), ` ${boundWords(2 ** power, ...low)}${times(2 ** power)}`);
  }

  /** The item before or after the one chosen, among those found. */
  step(by) {
    const at = this.places.indexOf(this.data.get("item", -1)),
      to = this.places[at < 0 ? (by > 0 ? 0 : this.places.length - 1) : at + by];
    if (to !== undefined) this.choose(to);
  }
}
