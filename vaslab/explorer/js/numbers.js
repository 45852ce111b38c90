// Numbers as words, limits of scales, quartiles.

export const finite = Number.isFinite;
export function number(x) {
  if (!finite(x)) return "undefined";
  if (x !== 0 && Math.abs(x) < 0.001) return x.toExponential(2);
  return Math.abs(x) >= 1000 ? Math.round(x).toLocaleString("en") : x.toPrecision(3);
}
export const percent = (x) =>
  finite(x) ? `${(100 * x).toFixed(x >= 0.1 ? 1 : x >= 0.0005 || x === 0 ? 2 : 4)}%` : "undefined";
export const counted = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
const raised = (power) => `2${[...String(power)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`;
/** 2 to a power, as it is read: 64, 4096, 2¹⁷. */
const twos = (power) => (power > 13 ? raised(power) : String(2 ** power));
export const ratioWord = (power) => (power < 0 ? `1/${twos(-power)}` : twos(power));
export const changeWord = (power) => (power < 0 ? `÷${twos(-power)}` : power > 0 ? `×${twos(power)}` : "no change");
/** Whole numbers to label from -limit to limit where `room` words have room: the ends, 0, and even steps from it. */
export function ticks(limit, room) {
  const unit = room / (2 * limit),
    found = room >= 2 ? [-limit, 0, limit] : [-limit, limit];
  let step = 1;
  while (step < limit && step * unit < 1) step++;
  for (let power = step; (limit - power) * unit >= 1; power += step) found.push(-power, power);
  return found.sort((a, b) => a - b);
}
export const times = (ratio) =>
  !finite(ratio) ? "undefined" : ratio >= 1 ? `×${number(ratio)}` : `÷${number(1 / ratio)}`;
/** The nearest plain number: 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten. */
export function rounded(x) {
  const ten = 10 ** Math.floor(Math.log10(x)),
    off = (m) => Math.abs(Math.log(m * ten) - Math.log(x));
  return ten * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].reduce((best, m) => (off(m) < off(best) ? m : best));
}
/** Smallest power of 2, at least 2, beyond which at most 2 % of the ratios lie; its log2. */
export function limitOf(ratios) {
  const sizes = [];
  for (const v of ratios) if (finite(v) && v > 0) sizes.push(Math.abs(Math.log2(v)));
  let power = 1;
  while (sizes.filter((s) => s > power).length > 0.02 * sizes.length) power++;
  return power;
}
export function quartiles(sorted) {
  const at = (q) => {
    const place = q * (sorted.length - 1),
      low = Math.floor(place);
    return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (place - low);
  };
  return sorted.length ? [at(0.25), at(0.5), at(0.75)] : [NaN, NaN, NaN];
}
