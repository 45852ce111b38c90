// What is said of a head: its VAS, its rank, its change; bounds where they rest on the floor of the system mass.

import { counted, finite, number, percent, times } from "./numbers.js";

/** Share of rows whose system mass is taken as 1e-6 from which a VAS is called a bound, as in the figures. */
const FLOORED = 0.01;
/** VAS as it is named beside a number: never without its form. */
export const VAS = "VAS (mean of ratios)";
export const onFloor = (share) => share > FLOORED;
/** What stands before a VAS: ≥ where it rests on the floor. */
export const boundMark = (share) => (onFloor(share) ? "≥ " : "");
/** What stands before a change of VAS, given the share of rows on the floor in the first and the second. */
export function boundWords(ratio, first, second) {
  if (!finite(ratio)) return "";
  if (onFloor(first) && onFloor(second)) return "nominally ";
  if (!onFloor(first) && !onFloor(second)) return "";
  return onFloor(second) === (ratio >= 1) ? "at least " : "at most ";
}

/** VAS of a head with its interval, and why it is a bound. */
export function vasWords(data, r, index) {
  const [value, low, high, floored] = ["vas", "low", "high", "floored"].map((name) => data.perHead(name, r)[index]);
  const ci = data.get("map", {}).band || "95 % CI",
    band = finite(low) && finite(high) ? ` (${ci} ${number(low)}–${number(high)})` : "",
    why = onFloor(floored) ? `, a bound: ${percent(floored)} of rows have a system mass below 1e-6` : "";
  return `${boundMark(floored)}${number(value)}${band}${why}`;
}

/** The change of a head between two runs, with its interval and test. */
export function changeWords(data, index) {
  const [ratio, low, high] = ["change", "change_low", "change_high"].map((name) => data.perHead(name)[index]);
  const bound = boundWords(ratio, ...[0, 1].map((r) => data.perHead("floored", r)[index])),
    band = finite(low) && finite(high) ? ` (95 % CI ${times(low)} to ${times(high)})` : "",
    tested = data.bytes("significant"),
    verdict = !tested.length ? "not tested" : tested[index] ? "significant" : "not significant";
  return `change ${bound}${times(ratio)}${band}, ${verdict}`;
}

/** Of each run, the share of all its rows on the floor, where a head rests on it; "" where none does. */
export function floorWords(data) {
  const told = data.runs.map((_, r) => {
    const shares = [...data.perHead("floored", r)].filter(finite);
    if (!shares.some(onFloor)) return null;
    const share = percent(shares.reduce((a, b) => a + b, 0) / shares.length);
    return data.pair ? `${data.label(r)} ${share}` : share;
  });
  const named = told.filter(Boolean).join(", ");
  return named ? `System mass below 1e-6, taken as 1e-6, so that VAS is a bound (≥): ${named} of rows.` : "";
}

/** VAS of all heads of a run, highest first. */
function order(data, r) {
  return data.keep(`order ${r}`, () =>
    Array.from(data.perHead("vas", r))
      .filter((v) => !Number.isNaN(v))
      .sort((a, b) => b - a),
  );
}
/** The place of a head among all of its run, the highest first; heads that are equal share the first of their places. */
export function rankWords(data, r, index) {
  const found = order(data, r),
    value = data.perHead("vas", r)[index],
    place = found.indexOf(value),
    tied = place < 0 ? 0 : found.lastIndexOf(value) - place,
    n = found.length.toLocaleString("en");
  if (tied && tied + 1 === found.length) return `no rank: all ${n} heads tie`;
  const words = `rank ${place < 0 ? "–" : (place + 1).toLocaleString("en")} of ${n}`;
  return tied ? `${words}, tied with ${counted(tied, "other")}` : words;
}
