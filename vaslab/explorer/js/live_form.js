// The live form: question, system prompt, picture, factors.

import { counted, finite, number } from "./numbers.js";
import { button, choice, fill, labelled, make, sheet } from "./elements.js";
import { decoded } from "./picture.js";

const GLYPH_INKS = {
  red: "#d62828",
  green: "#2a8f3c",
  blue: "#2563c9",
  yellow: "#e0b100",
  purple: "#7b2fa0",
  black: "#111111",
  orange: "#e07a1f",
  white: "#ffffff",
  grey: "#808080",
  gray: "#808080",
};
function glyph(g, shape, ink, x, y, size) {
  g.fillStyle = GLYPH_INKS[ink] || ink;
  g.beginPath();
  if (shape === "circle") g.arc(x, y, size, 0, 7);
  else if (shape === "square") g.rect(x - size, y - size, 2 * size, 2 * size);
  else {
    const corners =
      shape === "triangle"
        ? [
            [0, -1],
            [1, 1],
            [-1, 1],
          ]
        : [
            [0, -1.2],
            [1.2, 0],
            [0, 1.2],
            [-1.2, 0],
          ];
    for (const [dx, dy] of corners) g.lineTo(x + dx * size, y + dy * size);
  }
  g.fill();
}

/** A question to the model, with its picture and the factors on attention. */
export class LiveForm {
  constructor(send) {
    this.node = make("form", { class: "vx-live", "aria-label": "ask the model" });
    this.scene = [];
    this.picture = null;
    this.send = send;
    this.question = make("textarea", { rows: "2", required: true });
    this.system = make("textarea", { rows: "2", placeholder: "the template's own" });
    this.preview = make("canvas", { class: "vx-preview", role: "img", "aria-label": "picture to ask about" });
    this.file = make("input", {
      type: "file",
      accept: "image/png,image/jpeg,image/webp",
      on: { change: () => this.read(this.file.files[0]) },
    });
    this.source = make("span", { class: "vx-dim" });
    this.ask = make("button", { type: "submit", class: "vx-main", text: "ask the model again" });
    this.said = make("span", { role: "status", class: "vx-said" });
    this.answer = make("div", { class: "vx-reply" });
    this.visual = this.slider("visual attention");
    this.system_factor = this.slider("system attention");
    this.draft = make("div", { class: "vx-draft" });
    const drop = make(
      "div",
      { class: "vx-drop" },
      this.preview,
      make("div", {}, labelled("picture (drop it here, or)", this.file), this.source, this.draft),
    );
    const stop = (f) => (event) => (event.preventDefault(), event.stopPropagation(), f(event));
    drop.addEventListener(
      "dragover",
      stop(() => drop.classList.add("vx-over-drop")),
    );
    drop.addEventListener("dragleave", () => drop.classList.remove("vx-over-drop"));
    drop.addEventListener(
      "drop",
      stop((event) => (drop.classList.remove("vx-over-drop"), this.read(event.dataTransfer.files[0]))),
    );
    fill(
      this.node,
      make(
        "div",
        { class: "vx-fields" },
        labelled("question", this.question),
        labelled("system prompt", this.system),
        this.visual.node,
        this.system_factor.node,
      ),
      drop,
      make("div", { class: "vx-send" }, this.ask, this.said, this.answer),
    );
    this.node.addEventListener("submit", (event) => (event.preventDefault(), this.submit()));
    this.use(null, "the picture of the item shown");
  }

  /** A factor from 0 to 8, in steps of half an octave; 1 in the middle leaves the model alone. */
  slider(words) {
    const steps = [0, ...Array.from({ length: 13 }, (_, i) => 2 ** ((i - 6) / 2))];
    const out = make("output", { text: "×1" });
    const range = make("input", { type: "range", min: "0", max: `${steps.length - 1}`, value: "7" });
    const word = () => `×${steps[+range.value] === 0 ? 0 : number(steps[+range.value]).replace(/\.?0+$/, "")}`;
    const show = () => ((out.textContent = word()), range.setAttribute("aria-valuetext", word()));
    range.addEventListener("input", show);
    show();
    return {
      node: labelled(words, range, out),
      get value() {
        return steps[+range.value];
      },
    };
  }

  use(uri, words) {
    this.picture = uri;
    if (uri !== null) this.scene = [];
    this.source.textContent = words;
    const g = sheet(this.preview, 96, 96),
      image = uri && decoded(uri, () => this.use(uri, words));
    if (image) {
      const scale = Math.min(96 / image.naturalWidth, 96 / image.naturalHeight),
        w = image.naturalWidth * scale,
        h = image.naturalHeight * scale;
      g.drawImage(image, (96 - w) / 2, (96 - h) / 2, w, h);
    } else if (this.scene.length) {
      g.fillStyle = "#ffffff";
      g.fillRect(0, 0, 96, 96);
      for (const { shape, color, cell } of this.scene)
        glyph(g, shape, color, 16 + 32 * (cell % 3), 16 + 32 * Math.floor(cell / 3), 11);
    }
  }

  read(file) {
    if (!file) return;
    if (!/^image\/(png|jpeg|webp)$/.test(file.type))
      return void (this.source.textContent = `${file.name}: not a PNG, JPEG or WebP picture`);
    if (file.size > 20e6) return void (this.source.textContent = `${file.name}: over 20 MB`);
    const reader = new FileReader();
    reader.onload = () => this.use(reader.result, file.name);
    reader.readAsDataURL(file);
  }

  /** A 3 x 3 scene: choose shape and colour, press a cell; press it again to clear it. */
  drafts(live) {
    const shapes = live.shapes || [],
      colors = live.colors || [];
    if (!shapes.length || !colors.length || this.draft.firstChild) return;
    let shape = shapes[0],
      color = colors[0];
    const named = (words) => words.map((word) => [word, word]);
    const place = (cell) => {
      const there = this.scene.find((each) => each.cell === cell),
        same = there && there.shape === shape && there.color === color;
      this.scene = [...this.scene.filter((each) => each.cell !== cell), ...(same ? [] : [{ shape, color, cell }])];
      this.use(
        null,
        this.scene.length ? `drawn here: ${counted(this.scene.length, "glyph")}` : "the picture of the item shown",
      );
      told();
    };
    const words = ["top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right"];
    const cells = words.map((word, cell) =>
      button("", () => place(cell), { "aria-label": `draw at the ${word}`, "aria-pressed": "false", class: "vx-cell" }),
    );
    const told = () =>
      cells.forEach((node, cell) => {
        const there = this.scene.find((each) => each.cell === cell);
        node.setAttribute("aria-pressed", String(Boolean(there)));
        node.title = there ? `${there.color} ${there.shape}` : "";
      });
    fill(
      this.draft,
      choice("or draw a", named(shapes), shape, (v) => (shape = v)),
      choice("in", named(colors), color, (v) => (color = v)),
      make("div", { class: "vx-raster" }, ...cells),
    );
  }

  submit() {
    const message = {
      type: "ask",
      question: this.question.value,
      system: this.system.value,
      visual: this.visual.value,
      system_factor: this.system_factor.value,
      picture: this.picture,
    };
    if (this.scene.length) {
      delete message.picture;
      message.glyphs = this.scene;
    }
    this.started = performance.now();
    this.said.textContent = "asking …";
    this.send(message);
  }

  /** `item` is the one on the page: an answer is shown beside the item it was given for alone. */
  show(live, item, question) {
    this.drafts(live);
    if (!this.question.value) this.question.value = live.question || question || "";
    if (!this.system.value && live.system) this.system.value = live.system;
    if (live.picture && !this.picture && !this.scene.length) this.use(live.picture, "given");
    this.ask.disabled = live.state === "busy";
    const seconds = finite(live.seconds) ? ` in ${live.seconds.toFixed(2)} s` : "";
    const words = { busy: "asking …", done: `answered${seconds}`, error: "" }[live.state] || "",
      others = live.state === "done" && finite(live.item) && live.item !== item;
    this.said.textContent = others ? "" : [words, live.message].filter(Boolean).join(" · ");
    this.said.className = live.state === "error" ? "vx-said vx-wrong" : "vx-said";
    fill(this.answer, live.answer && !others ? make("b", { text: live.answer }) : null);
  }
}
