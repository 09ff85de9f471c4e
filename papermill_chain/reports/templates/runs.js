(() => {
  const table = document.querySelector("table.history");
  if (!table) return;
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];

  // Sorting: numbers by size, all else by letter; what has no value comes last either way.
  const key = (row, column) => JSON.parse(row.cells[column].dataset.key ?? "null");
  const letters = new Intl.Collator("en", { numeric: true });
  const areNumbers = (...values) => values.every((value) => typeof value === "number");
  const order = (a, b) => (areNumbers(a, b) ? a - b : letters.compare(a, b));
  const sort = (column, up) => {
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    const known = rows.filter(([value]) => value !== null).sort((a, b) => (up ? order(a[0], b[0]) : order(b[0], a[0])));
    body.append(...known.map(([, row]) => row), ...rows.filter(([value]) => value === null).map(([, row]) => row));
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  };
  heads.forEach((head, column) => {
    if ("unsorted" in head.dataset) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column, head.getAttribute("aria-sort") !== "ascending"));
    head.append(button);
  });

  // Comparing: two runs are chosen, the third choice takes the place of the first.
  const bar = document.getElementById("compare");
  if (!bar) return;
  const pages = new Set(JSON.parse(bar.dataset.pages));
  const [ask, offer, link, command, copy] = ["ask", "offer", "open", "command", "copy"].map((name) => document.getElementById(name));
  let chosen = [];
  const tell = () => {
    ask.hidden = chosen.length === 2;
    offer.hidden = chosen.length !== 2;
    ask.textContent = chosen.length ? "Choose one more run to compare with." : "Choose two runs to compare them.";
    if (chosen.length < 2) return;
    const [a, b] = chosen.toSorted((x, y) => order(x.dataset.started, y.dataset.started)).map((box) => box.value);
    const page = [`${a}_${b}`, `${b}_${a}`].find((name) => pages.has(name));
    link.hidden = !page;
    command.parentElement.hidden = Boolean(page);
    if (page) link.href = `comparisons/${encodeURIComponent(page)}.html`;
    link.textContent = `Compare ${a} with ${b}`;
    command.textContent = bar.dataset.command.replaceAll("{a}", () => a).replaceAll("{b}", () => b);
    copy.textContent = "Copy";
  };
  for (const row of body.rows) {
    if (!row.dataset.run) continue;
    const box = document.createElement("input");
    Object.assign(box, { type: "checkbox", value: row.dataset.run, ariaLabel: `Compare run ${row.dataset.run}` });
    box.dataset.started = key(row, 0);
    box.addEventListener("change", () => {
      chosen = chosen.filter((other) => other !== box);
      if (box.checked) chosen.push(box);
      if (chosen.length > 2) chosen.shift().checked = false;
      tell();
    });
    box.checked = false;
    row.cells[0].prepend(box);
  }
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
      copy.textContent = "Copied";
    } catch { // not allowed: then it is at least marked, ready to be copied by hand
      getSelection().selectAllChildren(command);
    }
  });
  bar.hidden = false;
})();
