// One problem: what was asked, what each framework answered, the worst element in decimal and hex, inputs, a script.
const MOST_CELLS = 16;

function addressOf(known, check) {
  const [framework, mode, device] = known.places[check.f];
  return address({ problem: known.problems[check.p].problem, framework, mode, device, direction: check.direction });
}

let now = null;

async function showProblem(parts) {
  const known = await data();
  const place = known.byProblem.get(parts.get("problem"));
  const dialog = $("problem");
  if (place === undefined) {
    $("problem-name").textContent = parts.get("problem");
    $("problem-told").replaceChildren(el("p", {}, "This page does not hold that problem. ", el("span", { class: "mono" }, `crosscorrect explain results/${known.run} ${quoted(parts.get("problem"))}`), " shows it."));
  } else {
    const wanted = (check) => ["framework", "mode", "device"].every((name, i) => !parts.get(name) || known.places[check.f][i] === parts.get(name)) && (!parts.get("direction") || check.direction === parts.get("direction"));
    const own = known.of[place].map((index) => ({ ...known.checks[index], index })).sort((a, b) => a.f - b.f);
    const chosen = own.find((check) => parts.size > 1 && wanted(check)) || own.find((check) => check.surprise) || own.find((check) => check.outcome !== "pass") || own[0];
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
  if (check.where !== undefined && check.expected !== undefined) {
    const [right, came] = [real(check.expected), real(check.got)];
    const distance = apart(right, came, check.dtype);
    const row = (name, value) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "n mono" }, String(value)), el("td", { class: "mono" }, hexfloat(value)), el("td", { class: "mono" }, bitsText(value, check.dtype)));
    lines.push(el("table", { class: "small" }, el("caption", {}, `The worst element, at [${check.where}]${distance === null ? "" : `: ${distance} numbers of ${check.dtype} apart`}`), el("thead", {}, el("tr", {}, ["", "decimal", "hex", `bits as ${check.dtype}`].map((head) => head ? el("th", { scope: "col" }, head) : el("td")))), el("tbody", {}, row("right", right), row("came", came))));
  }
  return lines;
}

// The plane of an array that holds an element (or the first one), cut to what fits around it, as a table of numbers.
function plane(known, place, name, where, other) {
  const { dtype, shape } = known.arrays[place];
  const values = numbers(known, place);
  if (!values?.length) return el("figure", {}, el("figcaption", {}, `${name} ${dtype} [${shape}]`));
  const [rows, columns] = [shape.at(-2) ?? 1, shape.at(-1) ?? 1];
  const inside = where && where.length === shape.length ? where : shape.map(() => 0);
  const start = inside.slice(0, -2).reduce((sum, index, axis) => sum + index * shape.slice(axis + 1).reduce((a, b) => a * b, 1), 0);
  const from = [inside.at(-2) ?? 0, inside.at(-1) ?? 0].map((index, axis) => Math.max(0, Math.min(index - MOST_CELLS / 2, [rows, columns][axis] - MOST_CELLS)));
  const body = [];
  for (let i = from[0]; i < Math.min(rows, from[0] + MOST_CELLS); i += 1) {
    const cells = [];
    for (let j = from[1]; j < Math.min(columns, from[1] + MOST_CELLS); j += 1) {
      const at = start + i * columns + j;
      const differs = other && String(other[at]) !== String(values[at]);
      const worst = where && i === (inside.at(-2) ?? 0) && j === (inside.at(-1) ?? 0);
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
    const same = answers.length === 2 ? numbers(known, check.arrays.reference) : null;
    lines.push(el("h3", {}, answers.length === 2 ? "Answer and reference: what differs is tinted, the worst element framed" : "Answer"));
    lines.push(figures(answers.map((name) => plane(known, check.arrays[name], name === "output" ? "came" : "right", where, name === "output" ? same : null))));
  }
  if (!held.length) lines.push(el("p", { class: "small faint" }, "Its arrays are too large or too many for a page; they are made from the problem's id, and the command below shows them."));
  return lines;
}

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function again(known, problem, check) {
  const [framework] = known.places[check.f];
  const file = known.suites[problem.suite] || problem.suite;
  const suite = file === `${problem.suite}.yaml` ? problem.suite : file;
  const seed = known.seed ? ` --seed ${known.seed}` : "";
  const id = quoted(problem.problem);
  const hunted = problem.suite === "hunt";
  const commands = [`crosscorrect ${hunted ? "hunt" : `run ${quoted(suite)}`} -f ${quoted(framework)} -k ${id}${seed}`, `crosscorrect explain results/${known.run} ${id} -f ${quoted(framework)}`];
  const script = known.scripts[check.index];
  const lines = [el("h3", {}, "Run it again"), el("pre", {}, commands.join("\n"))];
  if (script) {
    const link = URL.createObjectURL(new Blob([script], { type: "text/x-python" }));
    const name = `repro-${framework}-${problem.case}.py`.replace(/[^\w.-]+/g, "-");
    lines.push(el("h3", {}, "A stand-alone script for a bug report"), el("p", { class: "noprint" }, el("a", { href: link, download: name }, `save as ${name}`)), el("pre", { class: "script", tabindex: "0" }, script));
  } else if (check.outcome !== "pass") {
    lines.push(el("p", { class: "small" }, "A script for a bug report: ", el("span", { class: "mono" }, `crosscorrect explain results/${known.run} ${id} -f ${quoted(framework)} --script bug.py`)));
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
    if (event.target.closest("[tabindex='0']")) return; // there the arrows scroll
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
}
