"use strict";

const form = document.getElementById("application");
const result = document.getElementById("result");
const example = document.getElementById("example");
let shown = 0;

// The next of the made-up applications.
example.addEventListener("click", () => {
  const examples = JSON.parse(example.dataset.examples);
  const record = examples[shown++ % examples.length];
  for (const input of form.querySelectorAll("[data-type]")) fillIn(input, record[input.name] ?? null);
  clear();
});

// What may be stated instead of a quantity; while it is, no quantity is asked for.
for (const state of form.querySelectorAll("[data-state-of]")) {
  state.addEventListener("change", () => ask(document.getElementById(state.dataset.stateOf), state));
}

function stateOf(input) {
  return form.querySelector(`[data-state-of="${input.id}"]`);
}

function ask(input, state) {
  input.disabled = state.value !== "";
  if (input.disabled) input.value = "";
}

function fillIn(input, value) {
  const state = stateOf(input);
  const stated = state && [...state.options].some((each) => each.value === JSON.stringify(value));
  input.value = stated || value === null ? "" : value;
  if (!state) return;
  state.value = stated ? JSON.stringify(value) : "";
  ask(input, state);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clear();
  try {
    const path = "/predict?recourse=true" + ("reasons" in form.dataset ? "&reasons=true" : "");
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
  for (const input of form.querySelectorAll("[data-type]")) record[input.name] = given(input);
  return record;
}

// What is filled in, as JSON has it.
function given(input) {
  const state = stateOf(input);
  if (state && state.value !== "") return JSON.parse(state.value);
  const { value } = input;
  if (value === "") return null;
  switch (input.dataset.type) {
    case "integer": return /^-?\d+$/.test(value) ? Number(value) : value;
    case "number": return Number(value);
    case "boolean": return value === "true" || (value === "false" ? false : value);
    default: return value;
  }
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
    `Probability of good risk: ${percent}%. Approved from ${(100 * answer.cutoff).toFixed(1)}% on.`,
  );
  result.append(scale(answer.probability, answer.cutoff));
  const notice = document.querySelector(".standing.notice");
  if (notice) result.append(paragraph(notice.textContent, "notice"));
  if (answer.assumed) showList("What was not given", answer.assumed);
  if (answer.reasons && answer.reasons.length) {
    showList("What holds the score down", answer.reasons);
  }
  if (answer.outside_training) {
    result.append(paragraph(`Beyond what the model has learned from: ${answer.outside_training.join(", ")}.`));
  }
  if (answer.recourse) showRecourse(answer.recourse, answer.recourse_complete);
  const { name, version } = answer.model;
  result.append(paragraph(`${name} version ${version}, decision ${answer.id}`, "by"));
  result.scrollIntoView({ block: "nearest" });
}

// The probability as a bar, and a mark where approval begins.
function scale(probability, cutoff) {
  const [whole, bar, mark, name] = ["scale", "bar", "mark", "mark-name"].map((kind) => {
    const part = document.createElement("div");
    part.className = kind;
    return part;
  });
  const from = `${100 * cutoff}%`;
  whole.setAttribute("role", "img");
  whole.setAttribute("aria-label", `${(100 * probability).toFixed(1)}% of 100; ` +
    `approved from ${(100 * cutoff).toFixed(1)}% on`);
  bar.style.width = `${100 * probability}%`;
  mark.style.left = from;
  name.style.left = from;
  name.style.transform = `translateX(-${from})`;  // inside, wherever the mark stands
  name.textContent = `approved from ${(100 * cutoff).toFixed(1)}%`;
  whole.append(bar, mark, name);
  return whole;
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

// About the model alone: whoever declines says what would be needed.
function showRecourse(found, complete) {
  if (found.length) showList("What the model would approve", found);
  if (!complete) {
    result.append(paragraph("The search was not carried to its end: there may be a smaller change."));
  } else if (!found.length) {
    result.append(paragraph("No change of up to three answers would turn the decision."));
  }
  result.append(paragraph("This is about the model and no promise of a loan.", "by"));
}

function showProblem(problem) {
  const marked = problem.problems ? "Please correct what is marked" : problem.title;
  show("refused", marked, problem.detail);
  let first = null;
  for (const { field, message } of problem.problems || []) {
    const place = [...form.querySelectorAll(".fault")].find((each) => each.dataset.field === field);
    if (!place) continue;
    const input = place.parentElement.querySelector("[data-type]");
    place.textContent = given(input) === null ? input.dataset.empty : `This ${message}.`;
    input.setAttribute("aria-invalid", "true");
    first = first || input;
  }
  if (first) first.focus();
}

function show(kind, title, ...lines) {
  result.className = kind;
  const heading = document.createElement("h2");
  heading.textContent = title;
  result.replaceChildren(heading, ...lines.map((line) => paragraph(line)));
}

function paragraph(text, kind = "") {
  const made = document.createElement("p");
  made.textContent = text;
  made.className = kind;
  return made;
}

function clear() {
  result.className = "";
  result.replaceChildren();
  for (const place of form.querySelectorAll(".fault")) place.textContent = "";
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}
