// The linked panels: maps, head, pictures, rows.

import { SHARED } from "./colours.js";
import { counted, finite, limitOf, number, percent, rounded } from "./numbers.js";
import { button, fill, keepFocus, make } from "./elements.js";
import { VAS, boundMark, changeWords, rankWords, vasWords } from "./head_words.js";
import { drawScale } from "./picture.js";
import { WINDOW, drawTrace } from "./rows.js";

export const SHARE_NAMES = ["picture", "system", "user text", "other"];

/** Draws what belongs to the selected head, into elements that a View has built. */
export class Panels {
  tellHead([layer, head]) {
    const { data } = this,
      index = layer * data.heads + head;
    const told = data.runs.map((_, r) => {
      const shares = data.shares(r, index);
      const parts = shares ? `\n${[...shares].map((v, i) => `${SHARE_NAMES[i]} ${percent(v)}`).join(" · ")}` : "";
      return `${data.pair ? `${data.label(r)}: ` : ""}${VAS} ${vasWords(data, r, index)} · ${rankWords(data, r, index)}${parts}`;
    });
    return [`layer ${layer} · head ${head}`, ...told, data.pair ? changeWords(data, index) : null]
      .filter(Boolean)
      .join("\n");
  }

  tellCell(shares, cell) {
    let sum = 0;
    for (const v of shares) sum += v;
    const mean = sum / shares.length;
    return `${percent(shares[cell])} of attention${mean > 0 ? `, ${number(shares[cell] / mean)} × the mean patch` : ""}`;
  }

  /** The row shown: the one under the mouse, else the pinned one, else (-1) the mean. */
  shownRow(r) {
    return this.hover.row >= 0 && this.hover.row < this.data.rows(r).length ? this.hover.row : this.data.token(r);
  }

  /** The picture shown; a blank one where there is none. */
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

  /** Where the colours of the overlay end, in parts of a row's attention. */
  limit(shown) {
    const n = Math.max(1, ...shown.map((shares) => (shares ? shares.length : 0)));
    // depends on the prompt alone: heads, rows and checkpoints compare
    if (!this.options.own) return Math.min(1, rounded(SHARED / n));
    return Math.max(1e-9, ...shown.filter(Boolean).map((shares) => shares.reduce((a, b) => Math.max(a, b), 0)));
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
          make("span", { text: "mean of ratios · log₂ scale · click or arrow keys" }),
        );
      if (i < 2) {
        board.title.style.color = look.runs[i];
        return fill(board.title, `${data.label(i)} `, make("span", { text: VAS }));
      }
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
      const [value, floored] = ["vas", "floored"].map(
          (name) => data.perHead(name, data.pair ? 1 : 0)[layer * data.heads + head],
        ),
        name = `L${layer} H${head}`;
      const drop = () => ((this.pinned = this.pinned.filter(([l, h]) => l !== layer || h !== head)), this.keepPinned());
      return make(
        "span",
        {},
        button(`${name}  ${boundMark(floored)}${number(value)}`, () => this.select([layer, head]), { title: VAS }),
        button("×", drop, { "aria-label": `unpin ${name}` }),
      );
    });
    const here = pinned.some(([l, h]) => l === data.selected[0] && h === data.selected[1]);
    if (!this.pinner) this.pinner = button("", () => this.pin(), { title: "P", "data-screen-only": true });
    this.pinner.textContent = here ? "unpin this head" : "pin this head";
    keepFocus(this.pins, () => fill(this.pins, this.pinner, ...chips));
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
    const kv = group > 1 ? `KV head ${Math.floor(head / group)}` : null;
    // the numbers may be the run's while the picture is the item's: say whose they are
    const whose = data.coming ? null : data.whose;
    const value = data.coming
      ? "loading the numbers …"
      : data.pair
        ? `${VAS}: ${data.runs.map((_, r) => `${data.label(r)} ${vasWords(data, r, index)}`).join(" → ")} · ${changeWords(data, index)}`
        : `${VAS} ${vasWords(data, 0, index)} · ${rankWords(data, 0, index)}`;
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
    if (this.hover.row < 0 && !data.coming && this.status.textContent !== said) this.status.textContent = said;
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
    const best = shares ? shares.reduce((a, b) => Math.max(a, b), 0) : 0,
      peak = best > 0 ? shares.indexOf(best) : -1;
    view.picture.size(picture, this.room.look, this.room.picture);
    // without a map nothing competes with the picture's own colours
    view.picture.drawGround(picture, Boolean(fits) && !options.spot, look, this.redrawn);
    view.picture.drawOverlay(picture, fits ? shares : null, {
      ...options,
      limit,
      sinks: said.sinks || [],
      peak,
      hovered: this.hover.cell,
      ...(this.dragged ? { marked: [this.dragged], known: false } : data.marked(picture)),
    });
    view.picture.stack.setAttribute("aria-busy", state === "waiting");
    const clipped = shares ? shares.some((v) => v > limit * 1.0001) : false;
    view.scale.hidden = !fits;
    if (fits) drawScale(view.scale, 236, limit, clipped, options, look);
    const own = options.own ? (data.pair ? "this head (both checkpoints)" : "this head") : "shared scale";
    const keys = [
      `${own}: 0 to ${percent(limit)} of the row's attention on a patch`,
      "▢ peak patch",
      data.marked(picture).marked.length ? (data.marked(picture).known ? "green outline: asked about" : "green outline: your box") : null,
      (said.sinks || []).length ? `× ${said.sinks_words || "sink patch"}` : null,
      clipped ? "◥ beyond the scale" : null,
    ];
    const { natural } = view.picture;
    const reduced =
      natural && natural[0] < picture.width
        ? `picture shown with ${natural.join(" × ")} of its ${picture.width} × ${picture.height} pixels`
        : null;
    view.words.textContent = (fits ? [...keys, reduced] : [reduced]).filter(Boolean).join(" · ");
    const exact = said.n_rows === 1 || this.shownRow(r) >= 0;
    view.peak.textContent = fits ? this.tellPeak(pictures, shares, peak, exact) : "";
    if (data.pair) (fill(view.name, data.label(r)), (view.name.style.color = look.runs[r]));
    const told = data.fits(r) || said.state === "waiting" ? said.note : "";
    const waits =
      state === "waiting" && !told
        ? "computing the maps of this head …"
        : state === "mean"
          ? "mean over rows; single rows are not stored"
          : "";
    const held = view.note.contains(this.el.getRootNode().activeElement);
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
    // the button goes once it is pressed
    if (held) (view.note.querySelector("button") || this.boards[0].canvas).focus();
    this.drawThumbs(view, pictures, shares);
  }

  /** `exact`: of one row, whose largest patch is the scale of its bytes; a mean adds up rounded ones. */
  tellPeak(pictures, shares, peak, exact) {
    if (peak < 0) return "no attention on the picture: no patch is the peak";
    let tied = 0;
    for (const v of shares) tied += v === shares[peak];
    if (tied === shares.length && tied > 1) return `all ${tied} patches tie: each ${this.tellCell(shares, peak)}`;
    const at = pictures.findIndex(({ first_cell: first, rows, cols }) => peak >= first && peak < first + rows * cols);
    if (at < 0) return "";
    const { cols, first_cell: first } = pictures[at],
      place = `row ${Math.floor((peak - first) / cols)}, column ${(peak - first) % cols}`;
    return `peak patch: ${place}${pictures.length > 1 ? ` of picture ${at + 1}` : ""}: ${exact ? "" : "≈ "}${this.tellCell(shares, peak)}${tied > 1 ? `, tied with ${tied - 1} more` : ""}`;
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
      `Share of attention on the picture, per ${data.get("queries", "user") === "response" ? "emitting row" : "row"} `,
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
    view.rowsWords.textContent = (data.meta.rows_words || {})[data.get("queries", "user")] || "";
  }
}
