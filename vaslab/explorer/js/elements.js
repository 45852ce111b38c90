// Elements of the page and strokes on canvas.

import { finite } from "./numbers.js";

export function make(tag, props = {}, ...children) {
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
export const fill = (node, ...children) => (
  node.replaceChildren(...children.filter((c) => c !== null && c !== undefined)),
  node
);
/** Draw again what is in a node, and leave the focus on the control of the same name, else on the one in its place. */
export function keepFocus(node, redraw) {
  const root = node.getRootNode(),
    now = root.activeElement;
  const all = () => [...node.querySelectorAll("button, select, input, textarea, [tabindex='0']")].filter((e) => e.offsetParent !== null),
    name = (e) => e.getAttribute("aria-label") || e.textContent;
  const before = node.contains(now) ? all() : [],
    at = before.indexOf(now),
    wanted = at < 0 ? "" : name(now);
  redraw();
  if (at < 0 || (root.activeElement === now && now.isConnected)) return;
  const after = all(),
    same = after.filter((e) => name(e) === wanted),
    to = same.includes(after[at]) ? after[at] : same[0] || after[Math.min(at, after.length - 1)];
  if (to) to.focus();
}
/** A labelled control: the label is its name for a screen reader too. */
export const labelled = (words, control, after) =>
  make("label", { class: "vx-label" }, make("span", { text: words }), control, after);
export function choice(words, options, value, change) {
  const select = make("select", { on: { change: () => change(select.value) } });
  for (const [key, text] of options) select.append(make("option", { value: key, text }));
  select.value = value;
  return labelled(words, select);
}
export const button = (text, press, props = {}) =>
  make("button", { type: "button", text, on: { click: press }, ...props });

export const FONT = '"Open Sans", Helvetica, Arial, "DejaVu Sans", sans-serif';
/** Size a canvas in CSS pixels; returns its context, scaled to the screen and wiped. */
export function sheet(canvas, width, height) {
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
export const offscreen = () => document.createElement("canvas");
export function line(g, points, stroke, width = 1, dash = []) {
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
export function frame(g, x, y, w, h, width = 2) {
  g.lineWidth = width + 2;
  g.strokeStyle = "#ffffff";
  g.strokeRect(x, y, w, h);
  g.lineWidth = width;
  g.strokeStyle = "#000000";
  g.strokeRect(x, y, w, h);
}
