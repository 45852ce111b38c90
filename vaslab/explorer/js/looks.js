// Which heads look most at what is asked about: one button, then the heads with most attention on it.

import { finite, percent } from "./numbers.js";
import { button, fill, keepFocus, labelled, make } from "./elements.js";

/** The line between question and maps; `rank` asks the host, `select` takes a head, `mark` sets a region. */
export class Looks {
  constructor(rank, select, mark) {
    this.select = select;
    this.mark = mark;
    // not disabled while it waits: that would lose the focus
    const asked = () => this.ask.getAttribute("aria-disabled") === "true" || rank();
    this.ask = button("rank the heads", asked, { class: "vx-main" });
    this.words = make("b");
    this.lists = make("div", { class: "vx-lists" });
    this.note = make("div", { class: "vx-dim", role: "status" });
    this.field = make("input", {
      type: "text",
      size: "17",
      placeholder: "x0, y0, x1, y1",
      title: "left, top, right and bottom in pixels of the picture; empty: what is asked about",
      on: { change: () => this.typed() },
    });
    this.node = make(
      "section",
      { class: "vx-looks", "aria-label": "heads by attention on what is asked about" },
      make("div", { class: "vx-bar" }, this.words, this.ask, labelled("box", this.field)),
      this.lists,
      this.note,
    );
  }

  typed() {
    const numbers = this.field.value.split(/[\s,;]+/).filter(Boolean).map(Number);
    if (!numbers.length) this.mark(null);
    else if (numbers.length === 4 && numbers.every(finite)) this.mark(numbers);
    else this.note.textContent = "a box is four numbers: left, top, right, bottom";
  }

  /** Show what is marked, and how the heads rank on it if that was asked. */
  show(data, picture) {
    const { marked, known } = data.marked(picture),
      looks = data.looks,
      offers = data.meta.kernel || looks.state === "done";
    this.node.hidden = !offers || data.get("item", -1) < 0;
    if (this.node.hidden) return;
    const done = looks.state === "done",
      what = known && marked.length > 1 ? "the outlined objects" : known ? "the asked object" : "your box";
    const which = done && looks.note ? "Of the heads with a stored map, those" : "Heads";
    this.words.textContent = marked.length
      ? `${which} that look most at ${what}${done ? ":" : ""}`
      : "Drag a box on the picture: which heads look most at it?";
    const left = this.node.getRootNode().activeElement === this.ask;
    this.ask.hidden = done || !marked.length || !data.meta.kernel;
    this.ask.setAttribute("aria-disabled", String(looks.state === "busy"));
    if (this.field.getRootNode().activeElement !== this.field)
      this.field.value = !known && marked.length ? marked[0].map(Math.round).join(", ") : "";
    this.field.parentElement.hidden = !data.meta.kernel;
    keepFocus(this.lists, () => fill(this.lists, ...(done ? looks.runs.map((heads, r) => this.list(data, heads, r)) : [])));
    const first = this.lists.querySelector("button");
    if (left && this.ask.hidden && first) first.focus();
    const drawn = data.meta.kernel ? " Drag a box on the picture to ask about something else." : "";
    const partial = looks.note ? `Not of all heads: ${looks.note}. ` : "";
    this.note.textContent = done
      ? `${partial}Percent of the head's attention on the patches of the outline together (those that lie in it by a quarter or more), mean over the rows; the frame on the picture is the largest single patch, wherever it lies.${drawn}`
      : looks.note || (marked.length ? "" : "Where the answer is seen is not known for this item.");
  }

  list(data, heads, r) {
    const most = Math.max(1e-9, ...heads.map(([, , share]) => share)),
      [nowLayer, nowHead] = data.selected;
    const one = ([layer, head, share, part]) => {
      const name = button("", () => this.select([layer, head]), {
        "aria-pressed": String(layer === nowLayer && head === nowHead),
        title: `layer ${layer}, head ${head}: ${percent(share)} of its attention, ${percent(part)} of what it gives the picture`,
      });
      const rod = make("i", { class: "vx-share", "aria-hidden": "true" });
      rod.style.width = `${(100 * share) / most}%`;
      name.append(make("span", { text: `L${layer} H${head}` }), make("span", { text: percent(share) }), rod);
      return make("li", {}, name);
    };
    const said = data.pair ? make("span", { class: "vx-dim", text: `${data.label(r)} ` }) : null;
    return make("div", { class: "vx-ranks" }, said, make("ol", {}, ...heads.map(one)));
  }
}
