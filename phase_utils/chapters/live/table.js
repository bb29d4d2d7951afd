// Tables of numbers in text, read as `phase_utils.chapters.readers` reads them, or refused.

const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;
const EDGES = new RegExp(`^${SPACE.source}|${SPACE.source}$`, "g");
const strip = (text) => text.replace(EDGES, "");
const QUOTE = "\x22", MOST = 2 ** 27, FIELD = 131072; // bytes of a file, characters of a cell

// What cannot be read, and why; `column` may be left out, `cell` is no number.
export class Refused extends Error {}
export const refuse = (text, about = {}) => { throw Object.assign(new Refused(text), about); };

// A text in quotation marks, as Python's repr writes it.
export const quoted = (text) => {
  const mark = text.includes("'") && !text.includes(QUOTE) ? QUOTE : "'";
  const letters = [["\\", "\\"], [mark, mark], ["\n", "n"], ["\r", "r"], ["\t", "t"]];
  return mark + letters.reduce((all, [c, name]) => all.replaceAll(c, `\\${name}`), text) + mark;
};

// The text of a file in UTF-8, UTF-16 or else Windows-1252, Latin-1 where that has no such letter.
export function decoded(file, bytes) {
  const begins = (...starts) => starts.some((codes) => codes.every((code, i) => bytes[i] === code));
  if (bytes.length > MOST) refuse(`${file} must hold at most ${MOST} bytes of text, got more`);
  if (bytes.every((b) => b === 32 || (b > 8 && b < 14))) {
    refuse(`${file} must hold a table, got an empty file`);
  }
  if (begins([31, 139], [80, 75, 3, 4], [208, 207, 17, 224], [80, 65, 82, 49], [147, 78, 85, 77, 80, 89],
    [37, 80, 68, 70])) {
    refuse(`${file} must be a text file, got one of another kind; save it as CSV`);
  }
  let names = ["utf-8"];
  if (begins([254, 255], [0])) names = ["utf-16be"];
  else if (begins([255, 254]) || bytes[1] === 0) names = ["utf-16le"];
  else if (!begins([239, 187, 191])) {
    names.push([0x81, 0x8d, 0x8f, 0x90, 0x9d].some((b) => bytes.includes(b)) ? "" : "windows-1252");
  }
  for (const name of names) {
    try {
      const text = name ? new TextDecoder(name, { fatal: true }).decode(bytes)
        : Array.from(bytes, (b) => String.fromCharCode(b)).join("");
      if (!text.includes("\0")) return text;
    } catch {
      continue;
    }
  }
  return refuse(`${file} must be a text file, got bytes that are no text; save it as CSV`);
}

// Numbers with a decimal point alone; with commas, or points, between thousands; any of these.
const PLAIN = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const POINT = /^[+-]?([1-9]\d{0,2}(,\d{3})+|\d*)(\.\d*)?([eE][+-]?\d+)?$/;
const COMMA = /^[+-]?([1-9]\d{0,2}(\.\d{3})+|\d*)(,\d*)?([eE][+-]?\d+)?$/;
const ANY = [POINT, COMMA].map((form) =>
  new RegExp(form.source.replaceAll("\\d", "\\p{Nd}"), "u"));
const MISSING = ["", "na", "n/a", "#n/a", "nan", "null", "none", "missing", "-", "--", "?", "."];

const isNumber = (cell) => {
  const text = strip(cell);
  return ANY.some((form) => form.test(text)) && /\p{Nd}/u.test(text);
};

const truth = (cell) => ["false", "true"].indexOf(strip(cell).toLowerCase());

// Ways to read a cell; undefined where it is no number.
const plainly = (cell) => {
  if (PLAIN.test(cell)) return Number(cell);
  const text = strip(cell), word = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (PLAIN.test(text)) return Number(text);
  return word ? /n$/i.test(word[2]) ? NaN : word[1] === "-" ? -Infinity : Infinity : undefined;
};
const grouped = (form, thousands, decimal) => (cell) => {
  const bare = strip(cell).replaceAll(thousands, "").replace(decimal, ".");
  return form.test(strip(cell)) && PLAIN.test(bare) ? Number(bare) : undefined;
};
const withPoint = grouped(POINT, ",", "."), withComma = grouped(COMMA, ".", ",");

const withoutEmptyEnd = (row) => row.slice(0, row.findLastIndex(strip) + 1);
export const inWords = (kind, names) => {
  if (names.length > 3) return `${names.length} ${kind}s`;
  const firsts = names.slice(0, -1).join(", ");
  return firsts ? `${kind}s ${firsts} and ${names.at(-1)}` : `${kind} ${names[0]}`;
};
export const counted = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

// The rows on lines that are not blank, with the lines on which they begin, as Python's csv has them.
// Of the `first` ones a quotation mark may also end where a cell goes on.
function* rowsOf(file, lines, before, separator, first) {
  for (let k = before, most = first; k < lines.length && most !== 0;) {
    const line = k + 1, bare = lines[k].replace(/[\r\n]+$/, "");
    const wrong = (what) => refuse(`${file}, line ${line}: ${what}; look for a quotation mark that is not `
      + "closed, or write it twice within quotation marks");
    let row = [];
    if (!bare.includes(QUOTE)) {
      if (bare) row = bare.split(separator).map((cell) => cell.replace(/^\x20+/, ""));
      k++;
    } else {
      let cell = "", state = "start";
      const save = (next) => {
        row.push(cell);
        cell = "";
        state = next;
      };
      do {
        for (const c of lines[k++]) {
          const end = c === "\n" || c === "\r";
          if (state === "quoted") {
            if (c === QUOTE) state = "closed";
            else cell += c;
          } else if (state === "closed" && c === QUOTE) {
            cell += c;
            state = "quoted";
          } else if (c === separator || end) {
            save(end ? "end" : "start");
            if (end) break;
          } else if (state === "closed" && !first) {
            wrong(`'${separator}' expected after '${QUOTE}'`);
          } else if (state === "start" && c === QUOTE) {
            state = "quoted";
          } else if (state !== "start" || c !== " ") {
            cell += c;
            state = "open";
          }
        }
      } while (state === "quoted" && k < lines.length);
      if (state === "quoted" && !first) wrong("unexpected end of data");
      if (state !== "end") save("end");
    }
    if (row.some((cell) => cell.length > FIELD)) wrong(`field larger than field limit (${FIELD})`);
    if (row.length > 1 || (row.length && strip(row[0]))) {
      most--;
      yield { line, row };
    }
  }
}

// The separator with which the first rows have as many cells as there are names, and numbers.
function mostRegular(file, lines) {
  let best = ",", score = [0, 0, 0];
  for (const separator of [",", ";", "\t", "|"]) {
    let first;
    try {
      first = [...rowsOf(file, lines, 0, separator, 20)].map(({ row }) => withoutEmptyEnd(row));
    } catch {
      continue;
    }
    const [head = [], ...others] = first, cells = others.flatMap((row) => row.slice(0, 100));
    const share = (all, f) => all.filter(f).length / Math.max(all.length, 1);
    const mine = [share(others, (row) => row.length === head.length), share(cells, isNumber),
      head.length];
    const k = mine.findIndex((value, i) => value !== score[i]);
    if (head.length > 1 && k >= 0 && mine[k] > score[k]) [best, score] = [separator, mine];
  }
  return best;
}

// What a text holds: the names of its columns, and `numbers` of these when asked for.
export function table(file, text) {
  const lines = text.match(/[^\r\n]*(\r\n|\r|\n)|[^\r\n]+$/g) ?? [];
  const declared = /^sep=(.?)\s*$/.exec(lines[0] ?? ""), before = declared ? 1 : 0;
  if (declared && (!strip(declared[1]) || declared[1] === QUOTE)) {
    refuse(`${file}, line 1: sep= must name a separator; separate columns by commas`);
  }
  const separator = declared ? declared[1] : mostRegular(file, lines);
  const rows = () => rowsOf(file, lines, before, separator);
  const { line: top, row } = rows().next().value ?? { line: 1, row: [] };
  const head = withoutEmptyEnd(row).map((name) => strip(name).split(SPACE).join(" "));
  if (head[0]?.startsWith("# ")) head[0] = head[0].slice(2);
  const named = head.findIndex((name) => !/^(Unnamed:\x20\p{Nd}+)?$/u.test(name));
  const width = head.length, index = named < 0 ? width : named, names = head.slice(index);
  const each = rows();
  each.next();
  const second = (each.next().value?.row ?? []).slice(index, width);
  checkNames();
  const words = second.flatMap((cell, i) => (isNumber(cell) || truth(cell) >= 0 ? [] : [i]));
  return { file, names, index, separator, words, numbers };

  function checkNames() {
    const where = `${file}, line ${top}`;
    if (!width) refuse(`${file} must hold a table, got no names of columns`);
    if (names.length < 2) {
      refuse(`${where}: names of at least 2 columns are needed, got ${quoted(names.join(", "))}; `
        + "separate columns by commas, semicolons, tabs, or bars");
    }
    const all = names.filter(Boolean).map(isNumber), below = second.map(isNumber);
    // all names are numbers, or those above numbers and no others
    if (all.every(Boolean) || (all.some(Boolean) && String(all) === String(below))) {
      refuse(`${where}: names of columns are needed, got a row of values such as `
        + `${names.find(isNumber)}; write a line of names above it, or names that are no numbers`);
    }
    for (const name of new Set(names)) {
      const places = names.flatMap((other, i) => (other === name ? [i + index + 1] : []));
      if (!name) refuse(`${where}: column ${places[0]} has no name; write one`);
      if (places[1]) {
        refuse(`${where}: columns ${places.join(" and ")} are called ${quoted(name)}; `
          + "give each a name of its own");
      }
    }
  }

  // The numbers in `columns` of `names`, an array each, and what was left out unasked, in words.
  function numbers(columns) {
    let found, commas = false;
    try {
      found = read(columns, plainly);
    } catch (bad) {
      if (!bad.cell?.includes(",") || !isNumber(bad.cell)) throw bad;
      commas = true;
      found = withCommas(columns, bad);
    }
    if (!found.values[0].length) refuse(`${file} must have rows of numbers, got only names`);
    const notes = [];
    if (index) notes.push(index === 1 ? "the index column" : `${index} index columns`);
    if (found.empty) notes.push(counted(found.empty, "empty row"));
    return { ...found, notes, plain: !commas && !found.empty && !found.truths };
  }

  function read(columns, convert) {
    const values = columns.map(() => []), lineOf = [], truths = new Map(), each = rows();
    let empty = 0;
    each.next();
    for (const { line, row: cells } of each) {
      const where = `${file}, line ${line}`;
      if (cells.length < width || cells.slice(width).some(strip)) {
        refuse(`${where}: must have ${width} cells, one for each name, got ${cells.length}; name every `
          + "column, and quote cells that hold a separator");
      }
      for (const [i, cell] of cells.slice(0, index).entries()) {
        if (isNumber(cell) && !/^-*\p{Nd}+$/u.test(strip(cell))) {
          refuse(`${where}: column ${i + 1} has no name, which only an index may lack, got `
            + `${quoted(cell)}; write a name`);
        }
      }
      const chosen = columns.map((column) => cells[column + index]), row = chosen.map(convert);
      if (row.includes(undefined) && !cells.slice(0, width).some(strip)) {
        empty++;
        continue;
      }
      row.forEach((number, i) => {
        if (number === undefined) {
          const word = truth(chosen[i]);
          if (word < 0) bad(line, columns[i], chosen[i]);
          truths.set(columns[i], (truths.get(columns[i]) ?? 0) + 1);
          values[i].push(word);
        } else values[i].push(number);
      });
      lineOf.push(line);
    }
    for (const [column, times] of truths) {
      if (times < lineOf.length) {
        refuse(`${file}, column ${quoted(names[column])}: must hold numbers, or True and False only, `
          + `got ${times} of these in ${lineOf.length} rows`, { column });
      }
    }
    const infinite = values.map((column) => column.findIndex((number) => !Number.isFinite(number)));
    const at = Math.min(...infinite.filter((place) => place >= 0));
    if (at < lineOf.length) {
      const k = infinite.indexOf(at), cell = String(values[k][at]).toLowerCase();
      bad(lineOf[at], columns[k], cell.replace("infinity", "inf"));
    }
    const body = lineOf[0]; // where the numbers begin
    return { values: values.map((column) => Float64Array.from(column)), empty, body,
      truths: truths.size };
  }

  // The numbers where a cell has a comma: read in the one way that makes sense of all.
  function withCommas(columns, bad) {
    const found = [], refusals = [];
    for (const convert of [withPoint, withComma]) {
      try {
        found.push(read(columns, convert));
      } catch (refused) {
        if (refused.cell === undefined) throw refused;
        refusals.push(refused);
      }
    }
    if (found.length === 1) return found[0];
    for (const refused of refusals) if (!isNumber(refused.cell)) throw refused;
    const seen = refusals.length
      ? `${refusals.map(({ cell }) => quoted(cell)).join(" and ")} are written in different ways`
      : `${quoted(bad.cell)} may have a decimal comma or one between thousands`;
    return refuse(`${bad.where}: ${seen}; write numbers with a decimal point and nothing between `
      + "thousands", bad);
  }

  // Names a cell that is no finite number.
  function bad(line, column, cell) {
    const where = `${file}, line ${line}, column ${quoted(names[column])}`;
    const missing = MISSING.includes(strip(cell).toLowerCase());
    const brief = quoted(cell.length <= 40 ? cell : `${cell.slice(0, 37)}...`);
    const rule = missing ? `no value may be missing, got ${quoted(cell)}; remove the row`
      : /^-?inf$/.test(cell) ? `must be finite, got ${cell}; remove the row`
        : `must be a number, got ${brief}; write numbers`;
    refuse(`${where}: ${rule}, or leave the column out`, { where, cell, column });
  }
}
