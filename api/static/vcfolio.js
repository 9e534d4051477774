"use strict";
/* What the page does beyond forms and links: follow a session, check a form while it is filled, sort a table. */

function follow() {
  const place = document.querySelector("#progress[data-session]");
  if (!place) return;
  const session = place.dataset.session;
  const line = document.getElementById("line");
  let looking = false, again = false;

  async function look() {
    if (looking) { again = true; return; }
    looking = true;
    try {
      const answer = await fetch(`/sessions/${session}/progress`, { redirect: "manual" });
      if (answer.type === "opaqueredirect") { location.reload(); return; }
      if (answer.ok) place.innerHTML = await answer.text();
    } catch { /* the connection is away; the next event or beat looks again */ }
    looking = false;
    if (again) { again = false; look(); }
  }

  const source = new EventSource(`/api/optimization/sessions/${session}/events`);
  source.addEventListener("status", (event) => {
    line.textContent = "";
    const status = JSON.parse(event.data).status;
    if (status === "COMPLETED" || status === "FAILED") { source.close(); location.reload(); } else look();
  });
  source.addEventListener("error", () => {
    line.textContent = "The connection is lost; the session goes on. Trying again.";
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
}

function inWords(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

function tick() {
  for (const clock of document.querySelectorAll("[data-since]")) {
    clock.textContent = inWords((Date.now() - Date.parse(clock.dataset.since)) / 1000);
  }
}

function check() {
  const form = document.querySelector("form[data-check]");
  if (!form) return;
  const touched = new Set(), forecast = document.getElementById("forecast");
  let waiting = 0, sent = 0;

  function show(anchor, rules) {
    const slot = document.getElementById(`rule-${anchor}`), input = document.getElementById(`in-${anchor}`);
    if (!slot) return;
    const text = rules.map((rule) => `✕ ${rule}`).join("; ");
    if (slot.textContent !== text) slot.textContent = text;
    if (input && input.matches("input, select, textarea")) {
      if (rules.length) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
    }
  }

  function tell(mark, tone, word, text) {
    const paragraph = document.createElement("p"), tag = document.createElement("span");
    tag.className = `tag ${tone}`;
    tag.textContent = `${mark} ${word}`;
    paragraph.append(tag, ` ${text}`);
    forecast.replaceChildren(paragraph);
  }

  async function ask() {
    const number = ++sent;
    let said;
    try {
      const answer = await fetch(form.dataset.check, { method: "POST", body: new FormData(form), headers: { "X-CSRF-Token": form.elements.csrf_token.value } });
      if (!answer.ok) return;
      said = await answer.json();
    } catch { return; }
    if (number !== sent) return;
    const rules = new Map();
    for (const { anchor, rule } of said.problems) rules.set(anchor, [...(rules.get(anchor) || []), rule]);
    for (const slot of document.querySelectorAll("[data-rule]")) {
      const anchor = slot.dataset.rule, found = rules.get(anchor) || [];
      /* What nobody has come to yet is not wrong yet. */
      if (touched.has(anchor) || slot.textContent || !document.getElementById(`in-${anchor}`)?.matches("input, select, textarea")) show(anchor, found);
    }
    if (said.forecast) tell(said.forecast.cached ? "✓" : "○", said.forecast.cached ? "good" : "plain", said.forecast.cached ? "Scenarios stored" : "Scenarios to be simulated", `${said.forecast.matrix} ${said.forecast.time}`);
    else {
      const first = said.problems[0], others = said.problems.length - 1;
      tell("✕", "bad", "Not ready", `${first.label}: ${first.rule}${others ? `, and ${others} more` : ""}`);
    }
  }

  form.addEventListener("input", (event) => {
    if (event.target.name) touched.add(event.target.name);
    clearTimeout(waiting);
    waiting = setTimeout(ask, 300);
  });
  document.getElementById("summary")?.focus();
}

function sort() {
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    table.querySelectorAll("thead th").forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending" || (!head.hasAttribute("aria-sort") && !head.classList.contains("n"));
        for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
        const rows = [...body.rows].sort((one, other) => head.classList.contains("n") ? value(one) - value(other) : value(one).localeCompare(value(other)));
        body.append(...(up ? rows : rows.reverse()));
      });
    });
  }
}

function print() {
  document.querySelector("[data-print]")?.addEventListener("click", () => window.print());
}

/* A link to an input within a group that is shut opens it. */
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  target?.closest("details")?.setAttribute("open", "");
  target?.scrollIntoView({ block: "center" });
  target?.focus();
}

follow();
setInterval(tick, 1000);
check();
sort();
print();
window.addEventListener("hashchange", openTarget);
