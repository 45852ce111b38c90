// Everything around the panels: size and theme, controls, item, table, foot; what is drawn when.

import { LOOKS, hostTheme, luminance, rgbOf } from "./colours.js";
import { counted } from "./numbers.js";
import { button, fill, keepFocus, make } from "./elements.js";
import { VAS, boundWords, floorWords, onFloor } from "./head_words.js";
import { visible } from "./rows.js";
import { verdict } from "./items.js";
import { tableOf } from "./number_table.js";
import { Panels, SHARE_NAMES } from "./panels.js";

export const QUERIES = {
  user: "user text",
  user_after_image: "user text after the last picture",
  response: "response tokens",
};

/** Size, theme and all that stands around the panels; decides what is drawn again. */
export class Page extends Panels {
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
    this.arrange(Math.max(300, (this.seen || 900) - 32));
  }

  /** Columns of the page, and how large what stands in them may be, for a width in CSS pixels. */
  arrange(width) {
    this.size = width < 560 ? "narrow" : width < 1480 ? "mid" : "wide";
    this.el.dataset.size = this.size;
    const { pair } = this.data,
      gap = 26;
    let columns = "minmax(0, 1fr)",
      map = width,
      look = width,
      tall = { narrow: 320, mid: 500, wide: 560 }[this.size];
    if (pair) {
      map = this.size === "narrow" ? width : Math.floor((width - 36) / 3);
      look = this.size === "narrow" ? width : Math.floor((width - gap) / 2);
      tall = Math.min(tall, this.size === "wide" ? 420 : 360);
    } else if (this.size !== "narrow") {
      const room = width - gap * (this.size === "wide" ? 2 : 1);
      map = Math.floor(Math.min((this.size === "wide" ? 0.33 : 0.46) * room, 62 + 64 * Math.max(5, this.data.layers)));
      look = this.size === "wide" ? Math.floor((room - map) * 0.55) : room - map;
      columns = `${map}px ${look}px${this.size === "wide" ? " minmax(0, 1fr)" : ""}`;
    }
    this.room = {
      map,
      look,
      tall,
      rows: this.size === "wide" && !pair ? width - 2 * gap - map - look : look,
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
      all: "controls item items maps tokens picture live looks",
      maps: "heading marks head foot table",
      tokens: "rows",
      pinned: "marks",
    };
    for (const [part, more] of Object.entries(also))
      if (parts.has(part)) more.split(" ").forEach((each) => parts.add(each));
    if (parts.has("maps")) ["order 0", "order 1"].forEach((name) => this.data.forget(name));
    if (parts.has("pinned")) this.pinned = this.data.get("pinned", this.pinned);
    const steps = {
      heading: () => this.drawHeading(),
      controls: () => keepFocus(this.controls, () => this.buildControls()),
      item: () => this.drawItem(),
      items: () => this.drawItems(parts),
      maps: () => this.drawMaps(),
      marks: () => this.drawMarks(),
      tokens: () => this.views.forEach((view, r) => view.strip.build(this.data.rows(r), () => this.draw("tokens"))),
      picture: () => this.views.forEach((view, r) => this.drawPicture(view, r)),
      rows: () => this.views.forEach((view, r) => this.drawRows(view, r)),
      head: () => this.drawHead(),
      live: () => this.drawLive(),
      looks: () => this.lookers.show(this.data, this.picture()),
      table: () => this.drawTable(),
      foot: () => this.drawFoot(),
    };
    for (const [part, step] of Object.entries(steps)) if (parts.has(part)) step();
    this.el.dispatchEvent(new CustomEvent("vaslab-drawn", { bubbles: true, detail: [...parts] }));
  }

  drawHeading() {
    const { data } = this,
      { meta } = data;
    this.title.textContent = meta.title || "Where the heads look";
    const runs = data.runs
      .map((run, r) => [...new Set([data.pair ? data.label(r) : null, run.model])].filter(Boolean).join(": "))
      .join(" and ");
    const fresh = (words) => words && !this.title.textContent.includes(words);
    this.sub.textContent = [data.pair ? runs : data.runs[0].model, data.runs[0].data]
      .filter(fresh)
      .concat([
        `queries: ${QUERIES[data.get("queries", "user")] || data.get("queries", "user")}`,
        `map: ${data.coming ? "loading …" : data.whose}`,
        data.runs[0].decoding,
      ])
      .filter(Boolean)
      .join(" · ");
  }

  drawItem() {
    const { data } = this,
      { items } = data,
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
      // first, because a long question scrolls: nobody is to take an edited answer for a plain one
      item.edit ? make("span", { class: "vx-edit", text: `${item.edit} ` }) : null,
      make("b", { text: String(item.question) }),
      item.system ? make("span", { class: "vx-dim", text: `  system prompt: ${item.system}` }) : null,
      item.reference ? make("span", { class: "vx-dim", text: `  reference: ${item.reference}` }) : null,
      ...answers,
    );
  }

  drawItems(parts) {
    const { data } = this;
    this.items.node.hidden = !this.opened.items || !data.items.length;
    // asked for once: a saved view has nobody to answer
    if (!this.items.node.hidden && data.absent && this.fetching !== data.items.length) {
      this.fetching = data.items.length;
      this.model.send({ type: "items" });
    }
    const fresh = parts.has("all") || this.items.items !== data.items;
    if (fresh) this.items.set(this.data);
    else if (!this.items.node.hidden) this.items.draw();
  }

  drawLive() {
    const { data } = this,
      item = data.items[data.get("item", -1)];
    this.form.node.hidden = !data.meta.live || !this.opened.live;
    if (data.meta.live) this.form.show(data.get("live", {}), data.get("item", -1), item && item.question);
  }

  drawTable() {
    const left = !this.opened.table && this.numbers.contains(this.el.getRootNode().activeElement);
    this.numbers.hidden = !this.opened.table;
    // its own keys close it too
    if (left) this.tabler.focus();
    if (!this.opened.table) return;
    const { data } = this,
      band = data.floats("low").length ? ["low", "high"] : [],
      // of rows whose system mass is taken as 1e-6: VAS is a bound where more than 1 % are
      low = data.floats("floored").some(onFloor),
      heads = [],
      columns = [
        "layer",
        "head",
        ...data.runs.flatMap((_, r) => [`VAS ${data.pair ? data.label(r) : ""}`.trim(), ...band, ...(low ? ["on floor %"] : [])]),
      ];
    if (data.pair) columns.push("change (ratio)", ...(low ? ["bound"] : []), "significant");
    else columns.push(...SHARE_NAMES.map((name) => `${name} %`));
    for (let i = 0; i < data.size; i++) {
      const row = [
        Math.floor(i / data.heads),
        i % data.heads,
        ...data.runs.flatMap((_, r) => [
          ...["vas", ...band].map((name) => data.perHead(name, r)[i]),
          ...(low ? [100 * data.perHead("floored", r)[i]] : []),
        ]),
      ];
      const ratio = data.perHead("change")[i],
        bound = boundWords(ratio, ...[0, 1].map((r) => data.perHead("floored", r)[i])).trim();
      if (data.pair) row.push(ratio, ...(low ? [bound] : []), data.bytes("significant")[i] ? "yes" : "no");
      else row.push(...(data.shares(0, i) || [NaN, NaN, NaN, NaN]).map((v) => 100 * v));
      heads.push(row.map((v) => (Number.isNaN(v) ? "undefined" : v)));
    }
    const at = data.pair ? 3 + band.length + Number(low) : 2,
      value = (row) => (typeof row[at] === "number" ? row[at] : -Infinity);
    heads.sort((a, b) => value(b) - value(a));
    const [layer, head] = data.selected,
      tables = [tableOf(`heads, highest ${VAS} first`, columns, heads)];
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
    keepFocus(this.numbers, () => fill(this.numbers, ...tables));
  }

  drawFoot() {
    const { data } = this,
      meta = data.meta,
      map = data.get("map", {}),
      queries = data.get("queries", "user");
    const band = data.get("low", null) && data.floats("low").length ? `Intervals: ${map.band || "95 % CI"}.` : "";
    const pale = !data.pair ? "" : data.bytes("significant").length ? "Pale: no significant change." : "Pale: not tested.";
    const sentences = [
      (meta.definitions || {})[queries],
      map.unit ? `Unit: ${map.unit}.` : "",
      "Line: median over the heads of a layer; band: interquartile range.",
      band,
      floorWords(data),
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
