// The table view: numbers of what is shown.

import { button, fill, make } from "./elements.js";

/** A table of plain numbers; long ones grow on demand. */
export function tableOf(caption, columns, rows, room = 100) {
  const body = make("tbody"),
    more = make("div");
  const draw = () => {
    const cell = (value) =>
      make("td", {
        class: typeof value === "number" ? "vx-number" : null,
        text: typeof value === "number" ? (Number.isInteger(value) ? value : value.toPrecision(6)) : value,
      });
    fill(body, ...rows.slice(0, room).map((row) => make("tr", {}, ...row.map(cell))));
    fill(more, rows.length > room ? button(`show all ${rows.length.toLocaleString("en")}`, all) : null);
  };
  const all = () => {
    room = rows.length;
    // the button goes: keys scroll on from where it was
    node.focus({ preventScroll: true });
    draw();
  };
  const head = make("tr", {}, ...columns.map((text) => make("th", { scope: "col", text })));
  const node = make(
    "div",
    { class: "vx-scroll", tabindex: "0", role: "region", "aria-label": caption },
    make("table", { class: "vx-table" }, make("caption", { text: caption }), make("thead", {}, head), body),
    more,
  );
  draw();
  return node;
}
