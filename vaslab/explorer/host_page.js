// The host of a saved page: everything the explorer asks for is in the page already.
{
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const inflated = async (text) => {
    const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  const listeners = new Map();
  const values = { ...data.state, attention: data.runs.map(() => ({ state: "waiting", note: "", of: [] })) };
  const numbers = {};
  for (const [scope, found] of Object.entries(data.numbers)) {
    numbers[scope] = {};
    for (const [name, value] of Object.entries(found)) numbers[scope][name] = name === "map" ? value : bytes(value);
  }
  for (const run of [0, 1]) for (const name of ["share", "scale", "cells"]) values[`${name}_${run}`] = new Uint8Array(0);
  Object.assign(values, numbers[values.scope]);

  const fire = (event, ...told) => [...(listeners.get(event) || [])].forEach((listener) => listener(...told));
  const put = (changed) => {
    Object.assign(values, changed);
    for (const name of Object.keys(changed)) fire(`change:${name}`);
  };

  let latest = 0;
  async function show() {
    const mine = ++latest;
    const [layer, head] = values.selected;
    const of = [values.item, values.queries, layer, head];
    const changed = {};
    const attention = [];
    for (const [run, held] of data.runs.entries()) {
      const found = held.heads[`${layer},${head}`];
      if (!found) {
        attention.push({ state: "none", note: held.common.note || "not in this page", seconds: 0, n_rows: 0, n_cells: 0, sinks: [], of });
        continue;
      }
      const [shares, scales, cells] = found.lengths;
      const raw = await inflated(found.bytes);
      const share = Float32Array.from(raw.subarray(0, shares), (step) => (step / 255) * found.share_scale);
      changed[`share_${run}`] = new Uint8Array(share.buffer);
      changed[`scale_${run}`] = raw.slice(shares, shares + 4 * scales);
      changed[`cells_${run}`] = raw.slice(shares + 4 * scales);
      attention.push({
        state: found.state, note: found.note, seconds: 0, n_rows: scales, n_cells: scales ? cells / scales : 0,
        sinks: found.sinks, sinks_words: held.common.sinks_words, agreement: found.agreement, differs: found.differs, of,
      });
    }
    if (mine === latest) put({ ...changed, attention });
  }

  const model = {
    get: (name) => values[name],
    set(name, value) {
      values[name] = value;
      fire(`change:${name}`);
      if (name === "scope") put(numbers[value]);
      if (name === "selected") show();
    },
    save_changes() {},
    on(event, listener) { listeners.set(event, [...(listeners.get(event) || []), listener]); },
    off(event, listener) { listeners.set(event, (listeners.get(event) || []).filter((each) => each !== listener)); },
    send() {},
  };
  render({ model, el: document.getElementById("explorer") });
  show();
}
