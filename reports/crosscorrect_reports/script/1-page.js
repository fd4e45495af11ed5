// The page's own script. Without it everything but search, the choice of theme, the heat-map's keys and order, and the problem view works.
"use strict";
const $ = (id) => document.getElementById(id);

// An element with attributes and children; texts become text nodes, so nothing that a run says is ever markup.
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

async function inflated(id) {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack what the page holds of the problems; the tables beside it and crosscorrect explain can tell");
  const bytes = Uint8Array.from(atob($(id).textContent.trim()), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).arrayBuffer();
}

// What the page holds of the run, unpacked when it is first asked for.
let unpacked = null;
function data() {
  unpacked ??= Promise.all([inflated("payload"), inflated("payload-arrays")]).then(([text, arrays]) => {
    const said = JSON.parse(new TextDecoder().decode(text));
    said.bytes = arrays;
    said.byProblem = new Map(said.problems.map((problem, index) => [problem.problem, index]));
    said.of = said.problems.map(() => []);
    said.checks.forEach((check, index) => said.of[check.p].push(index));
    return said;
  });
  return unpacked;
}

const marks = JSON.parse(document.body.dataset.glyphs);
const severity = JSON.parse(document.body.dataset.severity);

// Whether one check is more to be looked at than another: surprises, then graver outcomes, then larger ratios.
function graver(one, other) {
  const key = (check) => [check.surprise ? 1 : 0, -severity.indexOf(check.outcome), typeof check.ratio === "number" ? check.ratio : real(check.ratio) ?? -1];
  const [a, b] = [key(one), key(other)];
  const place = a.findIndex((value, index) => value !== b[index]);
  return place >= 0 && a[place] > b[place];
}

// With a modifier a key is the browser's.
function modified(event) {
  return event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
}

// Addresses: #problem=… opens a problem, #find=… searches, and any other is the id of an element of the page.
function address(parts) {
  return "#" + new URLSearchParams(Object.entries(parts).filter(([, value]) => value)).toString();
}

function go() {
  const wanted = location.hash.slice(1);
  if (wanted.startsWith("problem=")) return showProblem(new URLSearchParams(wanted));
  closeProblem();
  if (/^(find|show)=/.test(wanted)) return search(new URLSearchParams(wanted));
  let target = null;
  try { target = $(decodeURIComponent(wanted)); } catch { /* not an address of ours */ }
  if (!target) return undefined;
  for (let place = target; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
  if (target.closest("[hidden]")) search(new URLSearchParams());
  target.scrollIntoView();
  return undefined;
}

// The theme follows the system until somebody chooses.
function theme() {
  const chosen = document.documentElement;
  const dark = () => (chosen.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const say = () => $("theme").setAttribute("aria-pressed", String(dark()));
  $("theme").addEventListener("click", () => { chosen.dataset.theme = dark() ? "light" : "dark"; say(); });
  say();
}
