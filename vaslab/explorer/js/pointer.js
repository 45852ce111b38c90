// The mouse: what it is over, and the box it draws on a picture.

import { Page } from "./page.js";

/** Follows the mouse over maps, rows and pictures; calls `set` and `model` of the View. */
export class Pointer extends Page {
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

  overRow(row) {
    if (row === this.hover.row) return;
    this.hover.row = row;
    this.draw("head picture rows");
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

  /** Outline a box on the picture shown; null: what the item says is asked about. */
  outline(box) {
    this.set({ region: box ? { picture: this.data.get("picture", 0), box } : {} });
    if (box) this.model.send({ type: "rank" });
  }

  /** A box drawn with the mouse; a press that hardly moves draws none. */
  drag(pane, event) {
    if (event.button !== 0 || event.pointerType === "touch" || !this.data.meta.kernel) return;
    const picture = this.picture(),
      from = pane.pixel(event, picture),
      least = Math.max(2, (4 * picture.width) / pane.width);
    const move = (now) => {
      const to = pane.pixel(now, picture),
        [x0, x1] = [from[0], to[0]].sort((a, b) => a - b),
        [y0, y1] = [from[1], to[1]].sort((a, b) => a - b);
      this.dragged = x1 - x0 >= least && y1 - y0 >= least ? [x0, y0, x1, y1] : null;
      this.draw("picture");
    };
    const end = () => {
      pane.over.removeEventListener("pointermove", move);
      const box = this.dragged;
      this.dragged = null;
      if (box) this.outline(box);
    };
    pane.over.setPointerCapture(event.pointerId);
    pane.over.addEventListener("pointermove", move);
    pane.over.addEventListener("lostpointercapture", end, { once: true });
  }
}
