// The lines of Python that give what the page shows.
const literal = (value) => (typeof value === "number" ? String(value) : JSON.stringify(value));
const list = (values) => `[${values.map(literal).join(", ")}]`;

// Where the moments are from: the file as `load` reads it, a plain one as numpy does, or numbers.
function source({ data, target, inputs, scale, example, m, body }) {
  const { names } = data, used = [...inputs, target], last = target === Math.max(...used);
  const unused = names.filter((_, i) => !used.includes(i));
  const file = literal(data.file);
  if (scale === "deviations") {
    const asBuiltIn = example && last && !unused.length;
    return [`moments = pu.data.load(${asBuiltIn ? literal(example) : file}`
      + (last ? "" : `, target=${literal(names[target])}`)
      + (unused.length ? `, drop=${list(unused)}` : "") + ").moments"];
  }
  if (!body) {
    return [
      `eigenvalues = ${list(m.eigenvalues)}`,
      `signals = ${list(m.signals)}`,
      `moments = pu.Moments.from_spectrum(eigenvalues, signals, ${m.Eyy})`,
    ];
  }
  return [
    "table = np.loadtxt(",
    ...[
      `${file}, delimiter=${literal(data.separator)}, skiprows=${body - 1},`,
      `usecols=${list(used.map((i) => i + data.index))},`,
      "comments=None, quotechar=chr(34), encoding='latin-1', ndmin=2,",
    ].map((line) => "    " + line),
    ")",
    "x, y = table[:, :-1], table[:, -1]",
    ...(scale === "centred" ? ["x, y = x - x.mean(axis=0), y - y.mean()"] : []),
    "moments = pu.Moments.from_samples(x, y)",
  ];
}

export function python(about) {
  const { D, gamma } = about, from = source(about);
  const start = [
    "",
    `gamma = ${gamma}  # weight_decay of torch: ${2 * gamma}`,
    "print(land.global_minimum(gamma))",
    "print(pu.learning_basin(land, gamma))",
    `weights = pu.learning_basin_init(moments, depth=${D}, width=16, gamma=gamma)`,
  ];
  return [
    ...(from[0].startsWith("table") ? ["import numpy as np"] : []),
    "import phase_utils as pu",
    "",
    ...from,
    `land = pu.Landscape(moments, depth=${D})`,
    "for t in land.transitions():",
    "    print(t.order, t.gamma, t.B_below, t.B_above, t.latent_heat, t.barrier)",
    "for s in land.spinodals():",
    "    print(s.gamma, s.B)",
    ...(gamma ? start : []),
  ].join("\n");
}
