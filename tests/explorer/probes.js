// What tests and timings read off a page that shows the explorer.
window.probe = {
  rgb: (text) => (text.match(/[\d.]+/g) || []).map(Number),

  /** Both layers of a picture at its own size; middle of the brightest 3 x 3 block, in the picture's pixels. */
  brightest(which, width, height) {
    const c = document.createElement("canvas");
    c.width = width;
    c.height = height;
    const g = c.getContext("2d");
    for (const layer of document.querySelectorAll(".vx-stack")[which].querySelectorAll("canvas")) {
      g.drawImage(layer, 0, 0, width, height);
    }
    const d = g.getImageData(0, 0, width, height).data;
    const light = (x, y) => {
      const at = 4 * (y * width + x);
      return 0.2126 * d[at] + 0.7152 * d[at + 1] + 0.0722 * d[at + 2];
    };
    let best = [-1, 0, 0];
    for (let y = 1; y < height - 1; y++) {
      for (let x = 1; x < width - 1; x++) {
        let sum = 0;
        for (const dy of [-1, 0, 1]) for (const dx of [-1, 0, 1]) sum += light(x + dx, y + dy);
        if (sum > best[0]) best = [sum, x + 0.5, y + 0.5];
      }
    }
    return best.slice(1);
  },

  /** Red, green, blue, alpha of the overlay at a place given in parts of its sides. */
  overlay(x, y) {
    const c = document.querySelector(".vx-over");
    return [...c.getContext("2d").getImageData(Math.floor(c.width * x), Math.floor(c.height * y), 1, 1).data];
  },

  /** How many pixels of a canvas's box (parts of its sides) carry ink. */
  ink(selector, x0 = 0, y0 = 0, x1 = 1, y1 = 1) {
    const c = document.querySelector(selector);
    const [x, y] = [Math.floor(c.width * x0), Math.floor(c.height * y0)];
    const d = c.getContext("2d").getImageData(x, y, Math.ceil(c.width * (x1 - x0)), Math.ceil(c.height * (y1 - y0))).data;
    let n = 0;
    for (let i = 3; i < d.length; i += 4) n += d[i] > 99;
    return n;
  },

  /** Colour of each [layer, head] of a map, off its middle, where marks are. */
  cells(board, places) {
    const c = document.querySelectorAll(".vx-map")[board], box = JSON.parse(c.dataset.box);
    const k = c.width / c.getBoundingClientRect().width, g = c.getContext("2d");
    return places.map(([layer, head]) => {
      const x = k * (box.left + (layer + 0.2) * box.cell), y = k * (box.top + (head + 0.75) * box.row);
      return [...g.getImageData(Math.round(x), Math.round(y), 1, 1).data].slice(0, 3);
    });
  },

  /** Middle of a cell of a map, in CSS pixels from the canvas's corner. */
  place(board, layer, head) {
    const box = JSON.parse(document.querySelectorAll(".vx-map")[board].dataset.box);
    return [box.left + (layer + 0.5) * box.cell, box.top + (head + 0.5) * box.row];
  },

  /** Contrast (WCAG) of every visible text with the first opaque ground behind it, lowest first. */
  contrasts() {
    const light = (c) => {
      const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (e) => {
      for (; e; e = e.parentElement) {
        const c = this.rgb(getComputedStyle(e).backgroundColor);
        if (c.length === 3 || c[3] === 1) return c.slice(0, 3);
      }
      return [255, 255, 255];
    };
    const found = [], walk = document.createTreeWalker(document.getElementById("explorer"), NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const e = walk.currentNode.parentElement, box = e.getBoundingClientRect();
      if (!walk.currentNode.textContent.trim() || e.tagName === "STYLE" || !box.width || !box.height) continue;
      const a = light(this.rgb(getComputedStyle(e).color).slice(0, 3)), b = light(ground(e));
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      found.push([contrast, e.className || e.tagName, walk.currentNode.textContent.slice(0, 30)]);
    }
    return found.sort((a, b) => a[0] - b[0]);
  },

  /** Elements that only text taken for markup could have made. */
  foreign() {
    const all = [...document.querySelectorAll("#explorer *")];
    const made = all.filter((e) => /^(script|img|svg|iframe)$/i.test(e.tagName)).length;
    const handlers = all.filter((e) => [...e.attributes].some((a) => a.name.startsWith("on"))).length;
    return [made, handlers, document.querySelectorAll("#explorer style").length, window.hacked];
  },

  /** Things that reach beyond the right edge. */
  sticking() {
    const right = document.getElementById("explorer").getBoundingClientRect().right + 1;
    return [...document.querySelectorAll("#explorer canvas, #explorer div, #explorer button")]
      .filter((e) => e.getBoundingClientRect().right > right && !e.closest(".vx-scroll, .vx-tokens, .vx-sr"))
      .map((e) => e.className || e.textContent);
  },

  focused() {
    const e = document.activeElement, style = getComputedStyle(e);
    return [e === document.body, e.className || e.textContent.slice(0, 12) || e.type, style.outlineStyle + style.outlineWidth];
  },

  /** Seconds from something done to the frame after `there()` is first true. */
  timed(act, there) {
    return new Promise((done) => {
      const began = performance.now();
      const drawn = () => {
        if (!there()) return;
        document.removeEventListener("vaslab-drawn", drawn);
        requestAnimationFrame(() => setTimeout(() => done((performance.now() - began) / 1000)));
      };
      document.addEventListener("vaslab-drawn", drawn);
      act();
    });
  },

  /** Seconds from a click on a head until its overlay is painted. */
  click(layer, head) {
    const map = document.querySelector(".vx-map"), at = map.getBoundingClientRect(), [x, y] = this.place(0, layer, head);
    const event = new MouseEvent("click", { clientX: at.left + x, clientY: at.top + y, bubbles: true });
    const text = (selector) => document.querySelector(selector).textContent;
    return this.timed(
      () => map.dispatchEvent(event),
      () => text(".vx-head b") === `Layer ${layer} · head ${head}` && text(".vx-peak") !== "",
    );
  },

  /** Seconds from the mouse coming over a row until its overlay is painted. */
  hover(row) {
    const span = document.querySelector(`.vx-tokens [data-row="${row}"]`);
    return this.timed(() => span.dispatchEvent(new MouseEvent("mouseover", { bubbles: true })), () => true);
  },

  async drop(uri, name) {
    const blob = await (await fetch(uri)).blob(), files = new DataTransfer();
    files.items.add(new File([blob], name, { type: blob.type }));
    const event = new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
    document.querySelector(".vx-drop").dispatchEvent(event);
  },

  /** Keep what would be saved: probe.saved (data URI) and probe.savedAs. */
  keepSaved() {
    const make = URL.createObjectURL.bind(URL);
    URL.createObjectURL = (blob) => {
      const reader = new FileReader();
      reader.onload = () => (this.saved = reader.result);
      reader.readAsDataURL(blob);
      return make(blob);
    };
    const keep = this;
    HTMLAnchorElement.prototype.click = function () {
      keep.savedAs = this.download;
    };
  },
};
