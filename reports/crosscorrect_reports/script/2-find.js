// Search as one types: each word must be in the case; "torch:fail" is an outcome of a framework in it.
const cases = [];
let dtypes = null;

// The dtypes and directions in which a case is asked, as the heat-map has them.
function asked(name) {
  if (!dtypes) {
    const heads = [...document.querySelectorAll(".heat thead th[data-f]")];
    dtypes = new Map([...document.querySelectorAll(".heat tbody tr")].map((row) => [`${row.dataset.s}/${row.dataset.c}`, heads.filter((_, index) => row.cells[index + 1].className).flatMap((head) => [head.dataset.t, head.dataset.d])]));
  }
  return dtypes.get(name) || [];
}

function haystack(one) {
  if (one.text === undefined) {
    const places = [...document.querySelectorAll(".suites > .head .o")].map((head) => head.firstChild.textContent.trim());
    const outcomes = new Set();
    const note = (cell, place) => { const [, outcome] = cell.className.split(" "); if (outcome && outcome !== "faint") outcomes.add(outcome).add(`${places[place]}:${outcome}`); };
    one.element.querySelectorAll(":scope > summary > .o").forEach(note);
    one.element.querySelectorAll("tbody tr").forEach((row) => {
      [...row.cells].slice(-places.length - 1, -1).forEach((cell, place) => { if (cell.className.startsWith("o ")) note(cell, place); });
    });
    const said = [...one.element.querySelectorAll(":scope > summary .what, :scope > p, tbody th")].flatMap((part) => [part.textContent, part.title]);
    // what a reader knows of a failure is its cause, which its card tells
    const causes = [...one.element.querySelectorAll('a[href^="#card-"]')].map((link) => $(link.hash.slice(1))?.querySelector(".diagnosis")?.textContent);
    one.text = [one.name, ...said, ...new Set(causes), ...asked(one.name), ...outcomes].join(" ").toLowerCase();
  }
  return one.text;
}

function matches(one, words, show) {
  const summary = one.element.querySelector(":scope > summary");
  if (show === "odd" && !summary.querySelector(".unexpected")) return false;
  if (show === "rest" && !summary.querySelector(".o:not(.pass):not(.faint), .unexpected")) return false;
  const text = words.length ? haystack(one) : "";
  return words.every((word) => text.includes(word));
}

function narrow() {
  const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const show = $("find-show").value;
  const all = !words.length && !show;
  const shown = new Set();
  let count = 0;
  for (const one of cases) {
    const fits = all || matches(one, words, show);
    one.element.hidden = !fits;
    if (fits) { count += 1; shown.add(one.name); one.table.found += 1; }
  }
  for (const table of new Set(cases.map((one) => one.table))) {
    table.element.hidden = !all && !table.found;
    if (!all && table.found) table.element.open = true;
    table.found = 0;
  }
  document.querySelectorAll(".heat tbody tr").forEach((row) => { row.hidden = !all && !shown.has(`${row.dataset.s}/${row.dataset.c}`); });
  document.querySelectorAll("#failures ~ .card, #failures ~ details.group .card").forEach((card) => {
    const text = card.textContent.toLowerCase();
    card.hidden = (show === "odd" && !card.classList.contains("surprise")) || !words.every((word) => word.split(":").every((part) => text.includes(part)));
  });
  keepHeat();
  $("found").textContent = all ? `${cases.length} cases` : `${count} of ${cases.length} cases`;
}

function search(parts) {
  $("find").value = parts.get("find") || "";
  $("find-show").value = ["odd", "rest"].includes(parts.get("show")) ? parts.get("show") : "";
  narrow();
}

function finder() {
  document.querySelectorAll("details.suite").forEach((element) => {
    const table = { element, found: 0 };
    element.querySelectorAll(":scope > details.case").forEach((one) => {
      cases.push({ element: one, table, name: `${element.dataset.suite}/${one.dataset.case}` });
    });
  });
  let waiting = 0;
  const typed = () => {
    narrow();
    history.replaceState(null, "", address({ find: $("find").value, show: $("find-show").value }) || "#");
  };
  $("find").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(typed, 80); });
  $("find-show").addEventListener("change", typed);
  $("find").addEventListener("keydown", (event) => {
    if (event.key === "Enter") { typed(); document.querySelector("details.case:not([hidden]) > summary")?.focus(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !modified(event) && !$("problem").open && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      $("find").focus();
    }
  });
  narrow();
}

// In an open case each problem's name becomes a link to it: a page of thousands need not hold them all.
function linked() {
  document.querySelectorAll("details.case").forEach((one) => one.addEventListener("toggle", () => {
    one.querySelectorAll("tr > th[title]:not(:has(a))").forEach((head) => {
      head.replaceChildren(el("a", { href: address({ problem: head.title }) }, head.textContent));
    });
  }));
}
