(() => {
  // A report that was sent alone has no other pages beside it: then their names are text.
  const [, folder, above] = decodeURIComponent(location.pathname).split("/").reverse();
  const inRun = /^\d{8}-\d{6}(-\d+)?$/.test(folder);
  document.querySelectorAll("a[data-of-run]").forEach((link) => {
    const upwards = link.dataset.ofRun.startsWith("../");
    if (!inRun || (upwards && above !== "runs")) link.removeAttribute("href");
  });

  const current = document.querySelector(".reports [aria-current=page]"); // on a phone the strip scrolls
  if (current) current.closest("ol").scrollLeft = current.offsetLeft - current.closest("ol").offsetLeft - 40;

  // Tables of a report are sorted by a press on a head, and taken along as CSV.
  const number = (text) => {
    const found = text.replaceAll("−", "-").replaceAll(",", "").match(/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?/i);
    return found ? Number(found[0]) : null;
  };
  const letters = new Intl.Collator("en", { numeric: true });
  const text = (cell) => cell.innerText.trim().replace(/\s+/g, " ");
  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  document.querySelectorAll(".layout:not(.runs) .table > table").forEach((table, place) => {
    const [body] = table.tBodies;
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
    const regular = [...table.rows].every((row) => row.cells.length === heads.length);
    if (!body || body.rows.length < 3 || table.tHead?.rows.length !== 1 || !regular) return;
    const csv = [...table.rows].map((row) => [...row.cells].map((cell) => quoted(text(cell))).join(",")).join("\r\n");
    const link = document.createElement("a");
    const page = location.pathname.split("/").pop().replace(/\.html$/, "");
    Object.assign(link, { download: `${page}-${place + 1}.csv`, textContent: "CSV", href: `data:text/csv;charset=utf-8,${encodeURIComponent(`${csv}\r\n`)}` });
    link.setAttribute("aria-label", `Table ${place + 1} as CSV`);
    link.className = "csv";
    table.parentElement.after(link);
    heads.forEach((head, column) => {
      if (!text(head)) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "by";
      button.append(...head.childNodes);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        const rows = [...body.rows].map((row) => [text(row.cells[column]), row]);
        const numbers = rows.every(([value]) => !value || number(value) !== null);
        rows.sort(([a], [b]) => {
          if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1); // gaps last either way
          const order = numbers ? number(a) - number(b) : letters.compare(a, b);
          return up ? order : -order;
        });
        body.append(...rows.map(([, row]) => row));
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
      });
      head.append(button);
    });
  });

  const folds = document.querySelectorAll("details.code");
  const toggle = document.getElementById("toggle");
  // A page opened from disk may be refused its storage; it then forgets the choice, no more.
  const recall = () => { try { return localStorage.getItem("show code") === "yes"; } catch { return false; } };
  const remember = (shown) => { try { localStorage.setItem("show code", shown ? "yes" : "no"); } catch { /* refused */ } };
  const show = (shown) => {
    folds.forEach((fold) => { fold.open = shown; });
    toggle.setAttribute("aria-pressed", shown);
    toggle.textContent = shown ? "Hide code" : "Show code";
  };
  if (toggle && folds.length) {
    toggle.hidden = false;
    if (recall()) show(true);
    toggle.addEventListener("click", () => {
      const shown = toggle.getAttribute("aria-pressed") !== "true";
      show(shown);
      remember(shown);
    });
  }

  // Only what has to be scrolled is a stop for the tab key; unfolding it or turning a phone changes that.
  const wide = document.querySelectorAll(".table, .chain, pre");
  const stops = () => wide.forEach((each) => {
    if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
    else each.removeAttribute("tabindex");
  });
  document.addEventListener("toggle", stops, true);
  addEventListener("resize", stops, { passive: true });
  stops();

  // On a phone the picture of the chain begins with the place of this report in it.
  const here = document.querySelector(".chain .here");
  if (here) here.closest(".chain").scrollLeft = here.getBBox().x - 40;

  // The contents mark the section being read: the last heading above the upper third of the window,
  // and at the very end the last one, which may be too short to get there.
  const links = [...document.querySelectorAll("nav.contents a")];
  const headings = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  const mark = () => {
    const atEnd = scrollY > 0 && scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    const line = atEnd ? innerHeight : innerHeight / 3;
    const read = headings.findLastIndex((heading) => heading && heading.getBoundingClientRect().top < line);
    links.forEach((link, i) => link.setAttribute("aria-current", i === read ? "location" : "false"));
  };
  if (links.length) {
    addEventListener("scroll", mark, { passive: true });
    mark();
  }
})();
