
(() => {
  const form = document.getElementById("parameters");
  const [summary, stop, progress, log] = ["summary", "stop", "progress", "log"].map((id) => document.getElementById(id));
  const lines = log.querySelector("pre");

  // What has been changed, as it is typed.
  const fields = [...form.querySelectorAll("[data-default]")];
  const isChanged = (field) => (field.type === "checkbox" ? (field.checked ? "True" : "False") : field.value) !== field.dataset.default;
  const changed = document.getElementById("changed");
  form.addEventListener("input", () => {
    const names = [];
    for (const field of fields) {
      field.closest(".field").classList.toggle("changed", isChanged(field));
      if (isChanged(field)) names.push(field.dataset.name);
    }
    changed.textContent = names.length ? `Changed: ${names.join(", ")}.` : "All parameters are at their defaults.";
  });
  // Whoever chooses a stage means it.
  const choose = (name, value) => form.querySelectorAll(`[name=${name}]`).forEach((each) => each.addEventListener("change", () => { document.getElementById(`which-${value}`).checked = true; }));
  choose("start", "from");
  choose("only", "only");
  const answer = document.getElementById("faults") ?? document.getElementById("plan");
  if (answer) answer.focus();
  const fault = form.querySelector("[aria-invalid]");
  if (fault) {
    fault.closest("details")?.setAttribute("open", "");
    fault.focus();
  }

  // How the run goes on: only what has changed is put in place, so that the focus stays where it is.
  const parts = (root) => new Map([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
  const show = (html) => {
    const now = document.createElement("template");
    now.innerHTML = html;
    const [old, fresh] = [parts(progress), parts(now.content)];
    if ([...old.keys()].join() !== [...fresh.keys()].join()) {
      progress.replaceChildren(now.content);
      return;
    }
    for (const [name, part] of fresh) {
      if (name !== "stages" && part.outerHTML !== old.get(name).outerHTML) old.get(name).replaceWith(part);
    }
  };
  const add = ({ of, printed, lines: fresh }) => {
    const atEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 5;
    if (of !== lines.dataset.of) lines.textContent = "";
    if (fresh.length) lines.append(`${fresh.join("\n")}\n`);
    Object.assign(lines.dataset, { of, printed });
    log.hidden = !lines.textContent;
    if (atEnd) lines.scrollTop = lines.scrollHeight;
  };
  const ask = async () => {
    let pause = 1000;
    try {
      const asked = new URLSearchParams({ of: lines.dataset.of, after: lines.dataset.printed });
      const answered = await fetch(`/progress?${asked}`);
      if (!answered.ok) throw new Error(await answered.text());
      const state = await answered.json();
      show(state.html);
      add(state);
      if (summary.textContent !== state.summary) summary.textContent = state.summary;
      stop.hidden = !state.running;
      pause = state.running ? 1000 : 3000;
    } catch (error) {
      summary.textContent = error instanceof TypeError ? "The server of this page does not answer: start it again, and open the address that it prints." : error.message;
      pause = 5000;
    }
    setTimeout(ask, document.hidden ? 5000 : pause);
  };
  setTimeout(ask, 500);
})();
