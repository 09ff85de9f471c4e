"use strict";

const form = document.getElementById("application");
const result = document.getElementById("result");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clear();
  try {
    const path = "reasons" in form.dataset ? "/predict?reasons=true" : "/predict";
    const answer = await fetch(path, {
      method: "POST", headers: headers(), body: JSON.stringify(application()),
    });
    const content = await answer.json();
    if (answer.ok) showDecision(content);
    else showProblem(content);
  } catch {
    show("refused", "No answer", "The server cannot be reached. Try again in a moment.");
  }
});

function application() {
  const record = {};
  for (const input of form.querySelectorAll("[data-type]")) {
    const whole = input.dataset.type === "integer" && /^-?\d+$/.test(input.value);
    record[input.name] = input.value === "" ? null : whole ? Number(input.value) : input.value;
  }
  return record;
}

function headers() {
  const token = document.getElementById("token");
  const found = { "Content-Type": "application/json" };
  if (token) found.Authorization = "Bearer " + token.value;
  return found;
}

function showDecision(answer) {
  const percent = (100 * answer.probability).toFixed(1);
  show(
    answer.decision,
    answer.decision === "approve" ? "Approve" : "Decline",
    `Probability of good risk: ${percent} %. Approved from ${(100 * answer.cutoff).toFixed(1)} % on.`,
    `${answer.model.name} version ${answer.model.version}, decision ${answer.id}`,
  );
  const meter = document.createElement("meter");
  meter.value = answer.probability;
  meter.low = answer.cutoff;
  meter.optimum = 1;
  meter.setAttribute("aria-label", "Probability of good risk");
  result.append(meter);
  if (answer.assumed) showList("What was not given", answer.assumed);
  if (answer.reasons && answer.reasons.length) {
    showList("What holds the score down", answer.reasons);
  }
}

function showList(title, notes) {
  const heading = document.createElement("h3");
  heading.textContent = title;
  const list = document.createElement("ol");
  list.append(...notes.map(({ words }) => {
    const item = document.createElement("li");
    item.textContent = words + ".";
    return item;
  }));
  result.append(heading, list);
}

function showProblem(problem) {
  const marked = problem.problems ? "Please correct what is marked" : problem.title;
  show("refused", marked, problem.detail);
  let first = null;
  for (const { field, message } of problem.problems || []) {
    const place = [...form.querySelectorAll(".fault")].find((each) => each.dataset.field === field);
    if (!place) continue;
    place.textContent = message;
    const input = place.parentElement.querySelector("input, select");
    input.setAttribute("aria-invalid", "true");
    first = first || input;
  }
  if (first) first.focus();
}

function show(kind, title, ...lines) {
  result.className = kind;
  const heading = document.createElement("h2");
  heading.textContent = title;
  result.replaceChildren(heading, ...lines.map((line) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = line;
    return paragraph;
  }));
}

function clear() {
  result.className = "";
  result.replaceChildren();
  for (const place of form.querySelectorAll(".fault")) place.textContent = "";
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}
