(() => {
  // A report that was sent alone has no other pages beside it: then their names are text.
  const [, folder, above] = decodeURIComponent(location.pathname).split("/").reverse();
  const inRun = /^\d{8}-\d{6}(-\d+)?$/.test(folder);
  document.querySelectorAll("a[data-of-run]").forEach((link) => {
    const upwards = link.dataset.ofRun.startsWith("../");
    if (!inRun || (upwards && above !== "runs")) link.removeAttribute("href");
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
  const wide = document.querySelectorAll(".table, pre");
  const stops = () => wide.forEach((each) => {
    if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
    else each.removeAttribute("tabindex");
  });
  document.addEventListener("toggle", stops, true);
  addEventListener("resize", stops, { passive: true });
  stops();

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
