import { counted, inWords, quoted, refuse } from "./table.js";

// Samples in units of their deviations as `phase_utils.data.load` has them, and their moments.
const NO_SPREAD = 16 * 2 ** -52; // a column whose values differ less, relatively, is constant
const MOST_INPUTS = 1000;
const SCALES = { deviations: "standardised", centred: "centred", none: "as they stand" };

const largest = (column) => column.reduce((top, v) => Math.max(top, Math.abs(v)), 0);
// In units of a power of two, exactly, so that no square is too large or too small.
const scaled = (column) => {
  const half = Math.floor(Math.log2(largest(column) || 1)) / 2;
  return column.map((v) => v / 2 ** Math.floor(half) / 2 ** Math.ceil(half));
};
const spreads = (column) => {
  const ptp = (v) => v.reduce((top, x) => Math.max(top, x), -Infinity)
    - v.reduce((low, x) => Math.min(low, x), Infinity);
  return ptp(scaled(column)) > 2 * NO_SPREAD;
};
const mean = (column) => column.reduce((sum, v) => sum + v, 0) / column.length;
const centred = (column) => {
  const middle = mean(column);
  return column.map((v) => v - middle);
};
const standard = (column) => {
  const from = centred(scaled(column)), deviation = Math.sqrt(mean(from.map((v) => v * v)));
  return from.map((v) => v / deviation);
};

// The samples of a table: inputs, an array each, and the label, treated as `scale` says.
export function samples(from, label, inputs, scale = "deviations") {
  const { file, names } = from;
  if (!inputs.length) refuse("inputs must be different columns, got none");
  const { values, notes, plain, body } = from.numbers([...inputs, label]);
  const unused = names.filter((_, i) => i !== label && !inputs.includes(i));
  if (unused.length) notes.push(inWords("column", unused));
  let y = values.pop(), x = values;
  if (y.length < 2) refuse(`${file} must have at least 2 rows, got ${y.length}`);
  if (x.length > MOST_INPUTS) {
    refuse(`${file} must have at most ${MOST_INPUTS} inputs here, got ${x.length}; leave columns out`);
  }
  if (scale !== "none" && !spreads(y)) {
    const seen = +y[0].toPrecision(6);
    refuse(`${file}: the label ${quoted(names[label])} must vary, got ${seen} in every row`);
  }
  const varying = x.map((column) => scale === "none" || spreads(column));
  if (!varying.some(Boolean)) {
    refuse(`${file}: an input must vary, got constant columns only`);
  }
  const constant = inputs.filter((_, i) => !varying[i]).map((i) => names[i]);
  if (constant.length) notes.push(inWords("constant column", constant));
  const treat = { deviations: standard, centred, none: (column) => column }[scale];
  x = x.filter((_, i) => varying[i]).map(treat);
  y = treat(y);
  for (const size of [...x, y].map(largest)) {
    if (size && !(size > 1e-30 && size < 1e30)) {
      refuse(`${file}: values must be of a size between 1e-30 and 1e30, got ${size}; standardise them`);
    }
  }
  const size = `${counted(y.length, "sample")} of ${counted(x.length, "input")}`;
  const said = `${file}, ${size}, label ${names[label]}, ${SCALES[scale]}`
    + (notes.length ? `; left out: ${notes.join(", ")}` : "");
  return { x, y, said, plain, body };
}

const dot = (u, v) => {
  let sum = 0;
  for (let i = 0; i < u.length; i++) sum += u[i] * v[i];
  return sum;
};

// A tridiagonal form of a symmetric matrix, rows of `A`, by reflections that `c` goes through, too.
async function tridiagonal(A, c, rest) {
  const d = A.length, diagonal = new Float64Array(d), beside = new Float64Array(d);
  for (let k = 0; k < d; k++) {
    diagonal[k] = A[k][k];
    const tail = A.slice(k + 1), v = Float64Array.from(tail, (row) => row[k]), norm = Math.sqrt(dot(v, v));
    beside[k] = tail.length < 2 ? v[0] : v[0] > 0 ? -norm : norm;
    if (tail.length < 2 || !norm) continue;
    v[0] -= beside[k];
    const b = 2 / dot(v, v), w = Float64Array.from(tail, (row) => b * dot(v, row.subarray(k + 1)));
    const half = b / 2 * dot(v, w), along = b * dot(v, c.subarray(k + 1));
    v.forEach((size, i) => {
      w[i] -= half * size;
      c[k + 1 + i] -= along * size;
    });
    tail.forEach((row, i) => {
      const [vi, wi] = [v[i], w[i]];
      for (let j = 0; j < v.length; j++) row[k + 1 + j] -= vi * w[j] + wi * v[j];
    });
    if (k % 16 === 0) await rest(1 - ((d - k) / d) ** 3);
  }
  return [diagonal, beside];
}

// Eigenvalues of a symmetric matrix, ascending, and the components of `c` along the eigenvectors.
export async function eigen(matrix, vector, rest = () => {}) {
  const c = Float64Array.from(vector), d = c.length;
  const [a, b] = await tridiagonal(matrix.map((row) => Float64Array.from(row)), c, rest);
  for (let l = 0; l < d; l++) {
    for (let turns = 0; turns < 100; turns++) {
      let m = l;
      while (m < d - 1 && Math.abs(b[m]) > 2 ** -53 * (Math.abs(a[m]) + Math.abs(a[m + 1]))) m++;
      if (m === l) break;
      let g = (a[l + 1] - a[l]) / (2 * b[l]), r = Math.hypot(g, 1);
      g = a[m] - a[l] + b[l] / (g + (g < 0 ? -r : r));
      let s = 1, q = 1, p = 0, i = m - 1;
      for (; i >= l; i--) {
        let f = s * b[i];
        const h = q * b[i];
        r = Math.hypot(f, g);
        b[i + 1] = r;
        if (!r) {
          a[i + 1] -= p;
          b[m] = 0;
          break;
        }
        s = f / r;
        q = g / r;
        g = a[i + 1] - p;
        r = (a[i] - g) * s + 2 * q * h;
        p = s * r;
        a[i + 1] = g + p;
        g = q * r - h;
        f = c[i + 1];
        c[i + 1] = s * c[i] + q * f;
        c[i] = q * c[i] - s * f;
      }
      if (!r && i >= l) continue;
      a[l] -= p;
      b[l] = g;
      b[m] = 0;
    }
  }
  const order = Array.from(a, (_, i) => i).sort((i, j) => a[i] - a[j]);
  return [order.map((i) => a[i]), order.map((i) => c[i])];
}

// All that a linear network can see of samples; `rest(done, of)` lets the page breathe.
export async function moments({ x, y }, rest = () => {}) {
  const n = y.length, d = x.length, A0 = x.map(() => new Float64Array(d));
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) A0[i][j] = A0[j][i] = dot(x[i], x[j]) / n;
    await rest(((i + 1) / d) ** 2 / 2);
  }
  const Exy = x.map((column) => dot(column, y) / n), Eyy = dot(y, y) / n;
  const [values, signals] = await eigen(A0, Exy, (share) => rest(0.5 + share / 2));
  const rounding = d * 2 ** -52 * largest(values);
  const eigenvalues = values.map((a) => (a <= rounding ? 0 : a));
  const active = (all) => all.filter((_, i) => eigenvalues[i] && signals[i]); // modes with signal
  const silent = Math.hypot(...Exy) <= 1e-9 * Math.sqrt(A0.reduce((s, r, i) => s + r[i], 0) * Eyy);
  return { eigenvalues, signals, a: active(eigenvalues), e: active(signals), Eyy,
    signal: Math.hypot(...Exy), silent };
}
