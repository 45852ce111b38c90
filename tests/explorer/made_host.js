// The smallest host that keeps the explorer's contract: everything is in the page.
const un = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const given = (value) => (value && value.base64 !== undefined ? un(value.base64) : value);

class Host {
  constructor({ traits, heads_of: heads, delay }) {
    Object.assign(this, { heads, delay, heard: {}, sent: [], now: {} });
    // bytes reach a real host as bytes: their decoding is no part of a click
    for (const maps of Object.values(heads)) {
      for (const { bytes = {} } of maps) for (const [name, value] of Object.entries(bytes)) bytes[name] = given(value);
    }
    for (const [name, value] of Object.entries(traits)) this.now[name] = given(value);
    this.load();
  }
  get(name) {
    return this.now[name];
  }
  set(name, value) {
    this.now[name] = value;
    this.tell(name);
    if (!["item", "selected", "queries"].includes(name)) return;
    if (this.delay) setTimeout(() => this.load(), this.delay);
    else this.load();
  }
  put(changes) {
    for (const [name, value] of Object.entries(changes)) this.now[name] = given(value);
    for (const name of Object.keys(changes)) this.tell(name);
  }
  tell(name) {
    for (const hear of this.heard[`change:${name}`] || []) hear();
  }
  save_changes() {}
  on(name, hear) {
    (this.heard[name] ||= []).push(hear);
  }
  off(name, hear) {
    this.heard[name] = (this.heard[name] || []).filter((each) => each !== hear);
  }
  send(content) {
    this.sent.push(content);
  }
  /** A message of the kernel. */
  say(content) {
    for (const hear of this.heard["msg:custom"] || []) hear(content);
  }
  /** The maps of the selection, as a kernel would answer. */
  load() {
    const [layer, head] = this.now.selected, of = [this.now.item, this.now.queries, layer, head];
    const maps = this.heads[`${layer},${head}`] || this.heads.any;
    if (maps === undefined) return;
    const changes = { attention: maps.map(({ bytes, ...said }) => ({ of, ...said })) };
    maps.forEach(({ bytes }, r) => {
      for (const [name, value] of Object.entries(bytes || {})) changes[`${name}_${r}`] = value;
    });
    this.put(changes);
  }
}

const model = (window.model = new Host(JSON.parse(document.getElementById("given").textContent)));
window.down = render({ model, el: document.getElementById("explorer") });
