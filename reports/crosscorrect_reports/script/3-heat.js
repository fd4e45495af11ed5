let keepHeat = () => {}; // makes sure that a cell which is shown can be reached by the keyboard

// The heat-map as a grid: arrow keys move, Enter or a click opens the problem of a cell that came nearest its bound.
function heat() {
  const table = document.querySelector(".heat");
  if (!table) return;
  const columns = [...table.querySelectorAll("thead th[data-f]")];
  const rows = () => [...table.tBodies[0].rows].filter((row) => !row.hidden);
  const inOrder = [...table.tBodies[0].rows];
  table.setAttribute("role", "grid");
  let current = null;

  function focus(cell) {
    if (!cell) return;
    if (current) current.tabIndex = -1;
    current = cell;
    cell.tabIndex = 0;
  }

  async function nearest(cell) {
    const head = columns[cell.cellIndex - 1];
    const { s, c } = cell.parentElement.dataset;
    const known = await data();
    const own = known.checks.filter((check) => {
      const problem = known.problems[check.p];
      return problem.suite === s && problem.case === c && check.direction === head.dataset.d && check.dtype === head.dataset.t && known.places[check.f][0] === head.dataset.f;
    });
    const best = own.reduce((worst, check) => (worst && !graver(check, worst) ? worst : check), null);
    const count = own.length;
    return { best, count, head, known };
  }

  async function say(cell) {
    if (!cell.textContent) { $("heat-said").textContent = "\u00a0"; return; }
    const { best, count, head, known } = await nearest(cell);
    const some = known.told < known.total ? " on this page" : "";
    const name = `${cell.parentElement.dataset.s}/${cell.parentElement.dataset.c} · ${head.dataset.f} ${head.dataset.t} ${head.dataset.d}: `;
    $("heat-said").textContent = name + (best ? `${count} check${count === 1 ? "" : "s"}${some}, ${best.outcome}${best.reason ? ` (${best.reason})` : ""}${typeof best.ratio === "number" ? `, error over bound ${rounded(best.ratio)}` : ""}: ${known.problems[best.p].problem}` : "its checks are in checks.csv, not on this page");
  }

  function failed(error) { $("heat-said").textContent = error.message; }

  async function open(cell) {
    const { best, known } = await nearest(cell);
    if (best) location.hash = addressOf(known, best);
  }

  table.tBodies[0].addEventListener("click", (event) => { const cell = event.target.closest("td"); if (cell?.textContent) { focus(cell); open(cell).catch(failed); } });
  table.tBodies[0].addEventListener("pointerover", (event) => { const cell = event.target.closest("td"); if (cell) say(cell).catch(failed); });
  table.tBodies[0].addEventListener("focusin", (event) => { const cell = event.target.closest("td"); if (cell) say(cell).catch(failed); });
  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td");
    if (!cell || modified(event)) return;
    const list = rows();
    const [row, column] = [list.indexOf(cell.parentElement), cell.cellIndex];
    const next = { ArrowRight: [row, column + 1], ArrowLeft: [row, Math.max(1, column - 1)], ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], Home: [row, 1], End: [row, columns.length] }[event.key];
    if (next) { event.preventDefault(); const to = list[next[0]]?.cells[next[1]]; focus(to); to?.focus(); }
    if (event.key === "Enter" && cell.textContent) { event.preventDefault(); open(cell).catch(failed); }
  });
  focus(table.querySelector("tbody td"));
  keepHeat = () => { if (current?.parentElement.hidden) focus(rows()[0]?.cells[1]); };
  $("heat-sort").addEventListener("click", () => {
    const worst = $("heat-sort").getAttribute("aria-pressed") !== "true";
    $("heat-sort").setAttribute("aria-pressed", String(worst));
    const order = worst ? [...inOrder].sort((a, b) => b.dataset.w - a.dataset.w) : inOrder;
    table.tBodies[0].append(...order);
  });
}
