// Export: the view as it stands, as one PNG.

import { make, offscreen } from "./elements.js";

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
export function exportPng(root, name) {
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
