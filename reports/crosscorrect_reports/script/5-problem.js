// One problem: what was asked, what each framework answered, the worst element in decimal and hex, inputs, a script.
const MOST_CELLS = 16;

function addressOf(known, check) {
  const [framework, mode, device] = known.places[check.f];
  return address({ problem: known.problems[check.p].problem, framework, mode, device, direction: check.direction });
}

let now = null;

async function showProblem(parts) {
  let known = null;
  try {
    known = await data();
  } catch (error) {
    $("problem-told").replaceChildren(el("p", {}, error.message));
    if (!$("problem").open) $("problem").showModal();
    return;
  }
  const place = known.byProblem.get(parts.get("problem"));
  const dialog = $("problem");
  if (place === undefined) {
    $("problem-name").textContent = parts.get("problem");
    $("problem-told").replaceChildren(el("p", {}, "This page does not hold that problem. ", el("span", { class: "mono" }, `crosscorrect explain results/${known.run} ${quoted(parts.get("problem"))}`), " shows it."));
  } else {
    const wanted = (check) => ["framework", "mode", "device"].every((name, i) => !parts.get(name) || known.places[check.f][i] === parts.get(name)) && (!parts.get("direction") || check.direction === parts.get("direction"));
    const own = known.of[place].map((index) => ({ ...known.checks[index], index })).sort((a, b) => a.f - b.f);
    const chosen = own.find((check) => [...parts].length > 1 && wanted(check)) || own.find((check) => check.surprise) || own.find((check) => check.outcome !== "pass") || own[0];
    told(known, known.problems[place], own, chosen);
  }
  now = place ?? null;
  $("problem-before").disabled = !now;
  $("problem-after").disabled = now === null || now + 1 >= known.problems.length;
  if (!dialog.open) dialog.showModal();
  $("problem-name").focus();
  dialog.scrollTop = 0;
}

function closeProblem() {
  if ($("problem").open) $("problem").close();
}

function told(known, problem, own, chosen) {
  $("problem-name").textContent = problem.problem;
  const lines = [
    el("p", {}, problem.title || "", problem.source ? el("span", { class: "faint" }, ` · ${problem.source}`) : "", problem.link ? [" · ", el("a", { href: problem.link, rel: "noreferrer noopener" }, problem.link.replace("https://", ""))] : ""),
    problem.note ? el("p", { class: "small" }, problem.note) : "",
    described(problem),
    el("h3", {}, "Verdicts"),
    known.told < known.total ? el("p", { class: "small" }, `This page holds ${known.told} of the run's ${known.total} checks, whole problems of them.`) : "",
    verdicts(known, own, chosen),
    el("h3", {}, `${known.places[chosen.f].slice(0, 2).join(" ")}, ${chosen.direction}`),
    ...verdict(known, problem, chosen),
    ...pictures(known, problem, chosen),
    ...again(known, problem, chosen),
  ];
  $("problem-told").replaceChildren(...lines.filter(Boolean));
}

function described(problem) {
  const list = el("dl", { class: "small" });
  const add = (name, value) => { if (value !== undefined && value !== "") list.append(el("dt", {}, name), el("dd", { class: "mono" }, typeof value === "string" ? value : JSON.stringify(value))); };
  add("operation", [problem.operation, problem.dtype, problem.spelling].filter(Boolean).join(", "));
  for (const [name, value] of Object.entries(problem.arrays || {})) add(name, value);
  for (const [name, value] of Object.entries(problem.geometry || {})) add(name, value);
  for (const [name, value] of Object.entries(problem.settings || {})) add(name, value);
  return list;
}

function verdicts(known, own, chosen) {
  const heads = ["framework", "mode", "direction", "verdict", "tier", "largest error", "error / bound", "bits of the answer"];
  const body = own.map((check) => {
    const [framework, mode, device] = known.places[check.f];
    const cells = [check.direction, `${marks[check.outcome]} ${check.outcome}${check.reason ? ` (${check.reason})` : ""}`, check.tier || "", rounded(check.error), rounded(check.ratio), check.bits || ""];
    return el("tr", { "aria-current": check.index === chosen.index && "true" }, el("th", { scope: "row" }, el("a", { href: addressOf(known, check) }, framework)), el("td", {}, device === "cpu" ? mode : `${mode} ${device}`), cells.map((text, i) => el("td", { class: i === 1 ? `${check.outcome}${check.surprise ? " unexpected" : ""}` : i > 2 ? "n mono" : undefined }, text)));
  });
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Verdicts" }, el("table", { class: "small" }, el("thead", {}, el("tr", {}, heads.map((head, i) => el("th", { scope: "col", class: i > 4 ? "n" : undefined }, head)))), el("tbody", {}, body)));
}

function verdict(known, problem, check) {
  const lines = [];
  if (check.message) lines.push(el("pre", {}, check.message));
  if (check.diagnosis) lines.push(el("p", { class: "diagnosis" }, check.diagnosis));
  if (check.property) lines.push(el("p", { class: "small" }, `Which of the right answers it is: ${check.property}`));
  if (check.surprise) lines.push(el("p", { class: "small" }, el("b", {}, "Not as expected: "), check.surprise));
  if (check.why) lines.push(el("p", { class: "small" }, "Expected by ", el("span", { class: "mono" }, check.entry || ""), `: ${check.why} `, check.link ? el("a", { href: check.link, rel: "noreferrer noopener" }, check.link.replace("https://", "")) : ""));
  // of integers that a float cannot hold the message alone is exact
  const exact = !/int/.test(check.dtype) || [check.expected, check.got].every((value) => Number.isSafeInteger(value));
  if (check.where !== undefined && check.expected !== undefined && exact) {
    const [right, came] = [real(check.expected), real(check.got)];
    const distance = apart(right, came, check.dtype);
    const part = check.dtype.startsWith("complex") ? ", its real part" : "";
    const row = (name, value) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "n mono" }, String(value)), el("td", { class: "mono" }, hexfloat(value)), el("td", { class: "mono" }, bitsText(value, check.dtype)));
    lines.push(el("table", { class: "small" }, el("caption", {}, `The worst element, at [${check.where}]${part}${distance === null ? "" : `: ${distance} steps of ${check.dtype} apart`}`), el("thead", {}, el("tr", {}, ["", "decimal", "hex", `bits as ${check.dtype}`].map((head) => head ? el("th", { scope: "col" }, head) : el("td")))), el("tbody", {}, row("right", right), row("came", came))));
  }
  return lines;
}

// Whether two numbers are one in a format: a reference has more digits than it can hold.
function alike(one, other, dtype) {
  if (LAYOUTS[dtype] && typeof other === "number") return Object.is(one, other) || bitsOf(one, dtype) === bitsOf(other, dtype) || (one === 0 && other === 0);
  return Number.isNaN(one) ? Number.isNaN(other) : String(one) === String(other);
}

// The plane of an array that holds an element (or the first one), cut to what fits around it, as a table of numbers.
function plane(known, place, name, where, other) {
  const { dtype, shape } = known.arrays[place];
  const values = numbers(known, place);
  if (!values?.length) return el("figure", {}, el("figcaption", {}, `${name} ${dtype} [${shape}]`));
  const [rows, columns] = [shape.at(-2) ?? 1, shape.at(-1) ?? 1];
  const fits = where && where.length === shape.length && where.every((index, axis) => index < shape[axis]);
  const inside = fits ? where : shape.map(() => 0);
  const start = inside.slice(0, -2).reduce((sum, index, axis) => sum + index * shape.slice(axis + 1).reduce((a, b) => a * b, 1), 0);
  const from = [inside.at(-2) ?? 0, inside.at(-1) ?? 0].map((index, axis) => Math.max(0, Math.min(index - MOST_CELLS / 2, [rows, columns][axis] - MOST_CELLS)));
  const body = [];
  for (let i = from[0]; i < Math.min(rows, from[0] + MOST_CELLS); i += 1) {
    const cells = [];
    for (let j = from[1]; j < Math.min(columns, from[1] + MOST_CELLS); j += 1) {
      const at = start + i * columns + j;
      const differs = other && !alike(values[at], other[at], dtype);
      const worst = fits && i === (inside.at(-2) ?? 0) && j === (inside.at(-1) ?? 0);
      cells.push(el("td", { class: [worst && "wrong", differs && "differs"].filter(Boolean).join(" ") || undefined, title: typeof values[at] === "number" ? `${values[at]} = ${hexfloat(values[at])}` : undefined }, typeof values[at] === "number" ? rounded(values[at]) : String(values[at])));
    }
    body.push(el("tr", {}, cells));
  }
  const cut = rows > MOST_CELLS || columns > MOST_CELLS ? `, from row ${from[0]}, column ${from[1]}` : "";
  const at = shape.length > 2 ? ` at [${inside.slice(0, -2).join(", ")}]` : "";
  return el("figure", {}, el("figcaption", {}, `${name} `, el("span", { class: "mono" }, `${dtype} [${shape.join(", ")}]${at}${cut}`)), el("table", { class: "grid numbers", "aria-label": name }, el("tbody", {}, body)));
}

function pictures(known, problem, check) {
  const held = Object.entries(check.arrays || {});
  const where = check.where === undefined ? null : check.where.split(",").map(Number);
  const inputs = held.filter(([name]) => !["output", "reference"].includes(name));
  const answers = ["output", "reference"].filter((name) => check.arrays && name in check.arrays);
  const figures = (pairs) => el("div", { class: "sum" }, pairs);
  const lines = [];
  if (inputs.length) lines.push(el("h3", {}, "Inputs"), figures(inputs.map(([name, place]) => plane(known, place, name, null, null))));
  if (answers.length) {
    const [came, right] = ["output", "reference"].map((name) => known.arrays[check.arrays[name]]);
    const comparable = answers.length === 2 && String(came.shape) === String(right.shape);
    const same = comparable ? numbers(known, check.arrays.reference) : null;
    lines.push(el("h3", {}, comparable ? "Answer and reference: what differs is tinted, the worst element framed" : answers.length === 2 ? "Answer and reference" : "Answer"));
    lines.push(figures(answers.map((name) => plane(known, check.arrays[name], name === "output" ? "came" : "right", where, name === "output" ? same : null))));
  }
  const left = (check.kept || 0) - held.length;
  if (left > 0) lines.push(el("p", { class: "small faint" }, `${held.length ? `${left} more of its arrays are` : "Its arrays are"} too large, or too many, for a page: the run has them, and crosscorrect explain shows them.`));
  if (!check.kept) lines.push(el("p", { class: "small faint" }, "The run kept none of its arrays; inputs are made from the problem's id, the same everywhere."));
  return lines;
}

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function again(known, problem, check) {
  const [framework, mode, device] = known.places[check.f];
  const seed = known.seed ? ` --seed ${known.seed}` : "";
  const id = quoted(problem.problem);
  const where = (mode === "eager" ? "" : ` -m ${mode}`) + (device === "cpu" ? "" : ` -d ${quoted(device)}`) + ((check.arithmetic || "strict") === "strict" ? "" : ` --arithmetic ${check.arithmetic}`);
  const explain = `crosscorrect explain results/${known.run} ${id} -f ${quoted(framework)} -m ${mode} --direction ${check.direction}`;
  const commands = [`crosscorrect ${known.asked[problem.suite] ?? `run ${quoted(problem.suite)}`} ${known.named[framework] ?? `-f ${quoted(framework)}`} -k ${id}${where}${seed}`, explain];
  const script = known.scripts[check.index];
  const lines = [el("h3", {}, "Run it again"), el("pre", {}, commands.join("\n"))];
  if (script) {
    const link = URL.createObjectURL(new Blob([script], { type: "text/x-python" }));
    const name = `repro-${framework}-${problem.case}.py`.replace(/[^\w.-]+/g, "-");
    lines.push(el("h3", {}, "A stand-alone script for a bug report"), el("p", { class: "noprint" }, el("a", { href: link, download: name }, `save as ${name}`)), el("pre", { class: "script", tabindex: "0" }, script));
  } else if (check.outcome !== "pass" && known.templates.includes(framework)) {
    lines.push(el("p", { class: "small" }, "A script for a bug report: ", el("span", { class: "mono" }, `${explain} --script bug.py`)));
  }
  return lines;
}

async function step(by) {
  const known = await data();
  const next = now === null ? undefined : known.problems[now + by];
  if (next) location.hash = address({ problem: next.problem });
}

function problemView() {
  const dialog = $("problem");
  $("problem-before").addEventListener("click", () => step(-1));
  $("problem-after").addEventListener("click", () => step(1));
  $("problem-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  // closing leaves the address without the problem, and the page where it was
  dialog.addEventListener("close", () => { if (location.hash.startsWith("#problem=")) history.pushState(null, "", location.pathname + location.search); });
  dialog.addEventListener("keydown", (event) => {
    if (modified(event) || event.target.closest("[tabindex='0']")) return; // there the arrows scroll
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
}
