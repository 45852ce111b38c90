// Colours: the figures' own (vaslab/plots/theme.py), and which theme the host has.

export const hex = (words) => words.split(" ").map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
export const LEVEL = hex(
  "#133b65 #1d4d7f #30679c #4882b7 #71a2cc #97bdda #c2d7e6 #dee7ed #f6f5f3 " +
    "#fae5cf #f9d2ac #f4b47c #e99354 #d76e2c #bd5219 #9c390b #7c2704",
);
export const CHANGE = hex(
  "#3c105d #57257a #723e93 #8f5eaa #a981bd #c0a0ce #dac6e1 #e9deec #f5f4f6 " +
    "#dfeddf #c2e1c4 #9ed0a2 #74b980 #4a9f5e #2a8343 #12642d #01451c",
);
export const HEAT = hex("#000000 #3d0404 #7d0a08 #b81f0d #e04a12 #f47d1b #fbb030 #fedd55 #fffbb8");
export const LOOKS = {
  light: {
    name: "light",
    background: "#ffffff",
    text: "#17202e",
    muted: "#5d6877",
    grid: "#e9ecef",
    reference: "#b4bac2",
    missing: "#cfd2d6",
    hatch: "#868d96",
    more: "#b04d14",
    less: "#2b6098",
    field: "#f6f7f9",
    line: "#d5dae0",
    accent: "#1d4d7f",
    up: "#12642d",
    down: "#723e93",
    band: "#d9dde2",
    runs: ["#5d6877", "#0b7a75"],
    token: hex("#ffffff #fdf0e2 #fae0c6 #f7cba2 #f4b47c #eda261 #e99354"),
  },
  dark: {
    name: "dark",
    background: "#12161c",
    text: "#e9edf2",
    muted: "#a4aeba",
    grid: "#262d36",
    reference: "#5b6673",
    missing: "#4a515a",
    hatch: "#9aa3ad",
    more: "#f0a06a",
    less: "#86b6e2",
    field: "#1d232b",
    line: "#3a434e",
    accent: "#97bdda",
    up: "#74b980",
    down: "#c0a0ce",
    band: "#39424d",
    runs: ["#a4aeba", "#35b5ac"],
    token: hex("#1d232b #38291f #573520 #7a431f #9c4f1d #b55a1f #c8641f"),
  },
};
export const PALE = 0.85; // as in the compare figure: how far a change that is not significant goes to the middle colour
export const SHARED = 5; // the shared scale ends at this many times an even share of the row's attention
export const SHARE_POWER = 0.6; // alpha of a patch and colour of a token: small shares stay visible

export function sampled(stops, at) {
  const place = Math.max(0, Math.min(1, at)) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(place));
  return stops[low].map((c, k) => c + (stops[low + 1][k] - c) * (place - low));
}
export const css = (c) => `rgb(${c.map(Math.round).join(",")})`;
export const mixed = (a, b, part) => a.map((c, k) => c + (b[k] - c) * part);
export function luminance(c) {
  const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
/** Black or white ink, whichever reads better: at least 4.58 on any colour. */
export const inkOn = (c) => (luminance(c) > 0.179 ? "#000000" : "#ffffff");
export const rgbOf = (text) => (text.match(/[\d.]+/g) || [255, 255, 255]).slice(0, 3).map(Number);

/** Light or dark, as the host says: JupyterLab, VS Code, marimo, Colab, otherwise the system. */
export function hostTheme() {
  const body = document.body.dataset,
    page = document.documentElement;
  if (body.jpThemeLight) return body.jpThemeLight === "false" ? "dark" : "light";
  if (body.vscodeThemeKind) return /light/.test(body.vscodeThemeKind) ? "light" : "dark";
  const said = [page.dataset.theme, body.theme, page.getAttribute("theme"), page.className, document.body.className];
  for (const word of said) {
    if (/(^|\s)dark(\s|$|-theme)/.test(word || "")) return "dark";
    if (/(^|\s)light(\s|$|-theme)/.test(word || "")) return "light";
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
