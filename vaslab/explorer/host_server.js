// The host of `vaslab explore`: values come from the server that served the page, over loopback.
{
  const start = JSON.parse(document.getElementById("explorer-data").textContent);
  const token = new URLSearchParams(location.search).get("token") || "";
  const listeners = new Map();
  const waiting = (note) => start.meta.runs.map(() => ({ state: "waiting", note, seconds: 0, n_rows: 0, n_cells: 0, sinks: [], of: [] }));
  const values = { ...start, token: -1, picture: 0, pinned: [], region: {}, looks: {}, pictures: [], rows: start.meta.runs.map(() => []), attention: waiting("") };
  const noNumbers = (note) => ({
    map: { limit: 2, n: 0, unit: "", band: "", note },
    ...Object.fromEntries(["vas", "low", "high", "floored", "shares", "change", "change_low", "change_high", "significant"].map((name) => [name, new Uint8Array(0)])),
  });
  Object.assign(values, noNumbers("loading …"));
  values.map.coming = true;
  for (const run of [0, 1]) for (const name of ["share", "scale", "cells"]) values[`${name}_${run}`] = new Uint8Array(0);

  const fire = (event, ...told) => [...(listeners.get(event) || [])].forEach((listener) => listener(...told));
  const put = (changed) => {
    Object.assign(values, changed);
    for (const name of Object.keys(changed)) fire(`change:${name}`);
  };

  async function call(path, body) {
    const response = await fetch(path, {
      method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-Vaslab-Token": token },
    });
    if (!response.ok) throw new Error((await response.json()).error || `status ${response.status}`);
    const raw = new Uint8Array(await response.arrayBuffer());
    const length = new DataView(raw.buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(raw.subarray(4, 4 + length)));
    let at = 4 + length;
    for (const [name, size] of head.bytes) {
      head.values[name] = raw.slice(at, at + size);
      at += size;
    }
    return head.values;
  }

  const seen = () => ({ item: values.item, queries: values.queries, scope: values.scope, selected: values.selected, region: values.region });
  let want = new Set();
  let load = false;
  let busy = false;

  // one request at a time: what changes meanwhile is asked for together afterwards
  async function follow() {
    if (busy || !want.size) return;
    busy = true;
    const asked = [...want];
    const body = { ...seen(), want: asked, load, grid: asked.includes("pictures") ? false : Boolean((values.pictures[0] || {}).rows) };
    want = new Set();
    try {
      const found = await call("/state", body);
      put(found);
      const [best] = (found.looks && found.looks.runs[0]) || [];
      if (best) model.set("selected", best.slice(0, 2));
    } catch (error) {
      if (asked.includes("numbers")) put(noNumbers(`The server did not answer: ${error.message}`));
      if (asked.includes("looks")) put({ looks: { state: "none", note: error.message, of: [], runs: [] } });
      if (asked.some((name) => name !== "looks")) put({ attention: waiting("").map((each) => ({ ...each, state: "none", note: `the server did not answer: ${error.message}`, of: [values.item, values.queries, ...values.selected] })) });
    }
    busy = false;
    follow();
  }

  function changed(name) {
    if (["item", "queries", "scope"].includes(name)) {
      want.add("numbers");
      // until the answer is there, the numbers are of what was chosen before
      put({ map: { ...values.map, coming: true } });
    }
    if (name === "item") want.add("pictures");
    if (["item", "queries", "selected"].includes(name)) {
      load = true;
      want.add("map");
      put({ attention: waiting("asking the model …") });
    }
    follow();
  }

  async function ask(told) {
    put({ live: { ...values.live, state: "busy", message: "asking the model …", answer: "" } });
    try {
      const { asked, ...found } = await call("/ask", { ...told, at: seen() });
      put(found);
      if (asked !== null) {
        put({ scope: "item", item: asked, token: -1, picture: 0 });
        changed("item");
      }
    } catch (error) {
      put({ live: { ...values.live, state: "error", message: error.message } });
    }
  }

  const model = {
    get: (name) => values[name],
    set(name, value) {
      values[name] = value;
      if (name === "item") Object.assign(values, { token: -1, picture: 0, region: {} });
      fire(`change:${name}`);
      changed(name);
    },
    save_changes() {},
    on(event, listener) { listeners.set(event, [...(listeners.get(event) || []), listener]); },
    off(event, listener) { listeners.set(event, (listeners.get(event) || []).filter((each) => each !== listener)); },
    send(content) {
      if (content.type === "load") changed("selected");
      if (content.type === "rank") {
        put({ looks: { state: "busy", note: "asking the model …", of: [], runs: [] } });
        want.add("looks");
        follow();
      }
      if (content.type === "ask") ask(content);
    },
  };
  render({ model, el: document.getElementById("explorer") });
  want = new Set(["numbers", "pictures", "map"]);
  follow();
}
