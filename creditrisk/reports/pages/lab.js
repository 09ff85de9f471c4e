(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const n = data.score.length;

  // --- What is counted once: how many of a kind score below the i-th applicant -----------------

  const below = (is) => {
    const counts = new Int32Array(n + 1);
    for (let i = 0; i < n; i++) counts[i + 1] = counts[i] + (is(i) ? 1 : 0);
    return counts;
  };
  const isGood = (i) => data.good[i] === "1";
  const goodBelow = below(isGood);
  const good = goodBelow[n], bad = n - good;
  const groups = data.groupings.flatMap((grouping, kind) => grouping.levels.map((_, level) => {
    const all = below((i) => grouping.of[i] === level);
    return { kind, all, good: below((i) => grouping.of[i] === level && isGood(i)) };
  }));
  const place = (cutoff) => { // of the first applicant approved; the scores are in order
    let low = 0, high = n;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (data.score[middle] < cutoff) low = middle + 1; else high = middle;
    }
    return low;
  };
  const { cutoff: CUTOFFS, bad_approved, good_declined } = data.curve; // counted once, in Python

  // --- The figures: operation by operation what figures_at in creditrisk/reports/decision_rule.py does -----------

  const figuresAt = ({ cutoff, bad: a, good: b, rate }) => {
    const badRate = rate === null ? null : rate / 100;
    const ofBad = rate === null ? 1 : badRate * n / bad;
    const ofGood = rate === null ? 1 : (1 - badRate) * n / good;
    const priced = a + b > 0;
    const cost = (badApproved, goodDeclined) =>
      priced ? a * (badApproved * ofBad / n) + b * (goodDeclined * ofGood / n) : null;
    const at = place(cutoff);
    const goodDeclined = goodBelow[at], goodApproved = good - goodDeclined;
    const badDeclined = at - goodDeclined, badApproved = bad - badDeclined;
    const weight = goodApproved * ofGood + badApproved * ofBad;
    const curve = bad_approved.map((approved, i) => cost(approved, good_declined[i]));
    let lowest = 0;
    curve.forEach((each, i) => { if (each < curve[lowest]) lowest = i; });
    const even = priced ? a / (a + b) : null;
    let evenScore = even;
    if (priced && rate !== null) {
      const share = bad / n;
      const factor = ((1 - share) / share) / ((1 - badRate) / badRate);
      evenScore = even * factor / (even * factor + 1 - even);
    }
    const here = cost(badApproved, goodDeclined);
    const [low, high] = interval(here, badApproved, goodDeclined, a, b, badRate);
    return {
      applicants: n, good, bad, good_approved: goodApproved, bad_approved: badApproved,
      good_declined: goodDeclined, bad_declined: badDeclined, approved: weight / n,
      bad_among_approved: weight ? badApproved * ofBad / weight : null,
      cost: here, cost_low: low, cost_high: high,
      cost_of_everybody: cost(bad, 0), cost_of_nobody: cost(0, good),
      good_share_approved: good ? goodApproved / good : null,
      bad_share_approved: bad ? badApproved / bad : null,
      break_even: even, break_even_score: evenScore,
      lowest_cost: priced ? curve[lowest] : null, lowest_cutoff: priced ? CUTOFFS[lowest] : null,
      curve, ofGood, ofBad, groups: groupRates(at, ofGood, ofBad),
    };
  };

  const interval = (cost, badApproved, goodDeclined, a, b, badRate) => {
    if (cost === null || Math.min(badApproved, goodDeclined) < data.least) return [null, null];
    let variance;
    if (badRate === null) {
      variance = ((a * a * badApproved + b * b * goodDeclined) / n - cost * cost) / n;
    } else {
      const p = badApproved / bad, q = goodDeclined / good;
      const byBad = a * badRate, byGood = b * (1 - badRate);
      variance = byBad * byBad * (p * (1 - p) / bad) + byGood * byGood * (q * (1 - q) / good);
    }
    const half = data.within * Math.sqrt(Math.max(0, variance));
    return [Math.max(0, cost - half), cost + half];
  };

  const groupRates = (at, ofGood, ofBad) => {
    const rows = groups.map(({ kind, all, good: goods }) => {
      const applicants = all[n], approvals = applicants - all[at];
      const goodApproved = goods[n] - goods[at], goodOnes = goods[n];
      const weight = goodApproved * ofGood + (approvals - goodApproved) * ofBad;
      const approved = applicants < data.few ? null
        : weight / (goodOnes * ofGood + (applicants - goodOnes) * ofBad);
      return { kind, applicants, approvals, approved, ratio: null };
    });
    data.groupings.forEach((_, kind) => {
      const judged = rows.filter((row) => row.kind === kind && row.approved !== null);
      const best = judged.reduce((most, row) => Math.max(most, row.approved), 0);
      if (best && judged.length > 1) judged.forEach((row) => { row.ratio = row.approved / best; });
    });
    return rows;
  };

  // --- Their words: rounded as Python rounds, exact halves to the even digit -------------------

  const fixed = (value, digits) => {
    const twice = value * 2 ** (digits + 1); // exact, as is the question whether this is a half
    if (Number.isInteger(twice) && twice % 2 !== 0) {
      const down = Math.floor(value * 10 ** digits);
      return ((down % 2 === 0 ? down : down + 1) / 10 ** digits).toFixed(digits);
    }
    return value.toFixed(digits);
  };
  const FORMS = {
    count: (value) => String(value).replace(/\B(?=(\d{3})+$)/g, ","),
    share: (value) => `${fixed(100 * value, 1)}%`,
    cost: (value) => fixed(value, 3),
    cutoff: (value) => fixed(value, 2),
    ratio: (value) => fixed(value, 2),
  };
  const shown = (value, form) => (value === null ? "–" : FORMS[form](value));
  const fill = (element, value) => {
    element.dataset.value = value === null ? "" : String(value);
    element.textContent = shown(value, element.dataset.form);
  };

  // --- Pictures ---------------------------------------------------------------------------------

  const draw = (parent, name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    if (text !== undefined) element.textContent = text;
    return parent.appendChild(element);
  };
  const move = (element, attributes) => {
    for (const key in attributes) element.setAttribute(key, attributes[key]);
  };
  const LEFT = 50, RIGHT = 408, TOP = 10, BOTTOM = 248;
  const across = (share) => LEFT + share * (RIGHT - LEFT);
  const up = (share) => BOTTOM - share * (BOTTOM - TOP);
  const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

  const ground = (svg, xTitle, yTitle) => {
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      draw(svg, "line", { class: "grid", x1: LEFT, x2: RIGHT, y1: up(share), y2: up(share) });
    }
    draw(svg, "line", { class: "axis", x1: LEFT, x2: RIGHT, y1: BOTTOM, y2: BOTTOM });
    draw(svg, "text", { x: (LEFT + RIGHT) / 2, y: 284, "text-anchor": "middle" }, xTitle);
    draw(svg, "text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(9 ${(TOP + BOTTOM) / 2}) rotate(-90)` }, yTitle);
    for (const share of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      draw(svg, "text", { x: across(share), y: BOTTOM + 17, "text-anchor": "middle" }, share.toFixed(1));
    }
    return [0, 0.25, 0.5, 0.75, 1].map((share) =>
      draw(svg, "text", { x: LEFT - 6, y: up(share) + 4, "text-anchor": "end" }, share.toFixed(2)));
  };
  const upright = (svg, name, from = TOP, to = BOTTOM) => draw(svg, "line", { class: name, y1: from, y2: to });
  const stand = (line, x) => move(line, { x1: x, x2: x });

  const costPicture = () => {
    const svg = byId("costs"), ticks = ground(svg, "cut-off", "cost per applicant");
    const registered = upright(svg, "registered"), even = upright(svg, "even");
    const curve = draw(svg, "path", { class: "curve" }), line = upright(svg, "setting");
    const lowest = draw(svg, "path", { class: "lowest" }), dot = draw(svg, "circle", { class: "dot", r: 6 });
    stand(registered, across(data.rule.cutoff));
    return (now, { cutoff }) => {
      const parts = [curve, line, lowest, dot, even];
      parts.forEach((each) => { each.style.display = now.cost === null ? "none" : ""; });
      svg.setAttribute("aria-label", now.cost === null ? "No cost: both prices are 0"
        : `Cost per applicant over the cut-off: ${shown(now.cost, "cost")} at ${cutoff}, lowest ${shown(now.lowest_cost, "cost")} at ${shown(now.lowest_cutoff, "cutoff")}`);
      if (now.cost === null) { ticks.forEach((tick) => { tick.textContent = ""; }); return; }
      const most = Math.max(now.cost_of_everybody, now.cost_of_nobody, ...now.curve);
      const step = [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10].map((each) => each * 10 ** Math.floor(Math.log10(most || 1)));
      const top = step.find((each) => each >= most) || most || 1;
      ticks.forEach((tick, i) => { tick.textContent = Number((top * i / 4).toPrecision(3)); });
      move(curve, { d: path(now.curve.map((each, i) => [across(CUTOFFS[i]), up(each / top)])) });
      const x = across(now.lowest_cutoff), y = up(now.lowest_cost / top);
      move(lowest, { d: `M${x} ${y - 7}L${x + 7} ${y}L${x} ${y + 7}L${x - 7} ${y}Z` });
      stand(line, across(cutoff));
      stand(even, across(now.break_even_score));
      move(dot, { cx: across(cutoff), cy: up(now.cost / top) });
    };
  };

  const rocPicture = () => {
    const svg = byId("roc");
    ground(svg, "share of the bad approved", "share of the good approved");
    draw(svg, "line", { class: "registered", x1: LEFT, x2: RIGHT, y1: BOTTOM, y2: TOP });
    const both = good && bad;
    if (both) {
      const points = [];
      let last = [-1, -1];
      for (let i = n; i >= 0; i--) { // from nobody approved to everybody; ties are one step
        if (i > 0 && i < n && data.score[i - 1] === data.score[i]) continue;
        const point = [(bad - (i - goodBelow[i])) / bad, (good - goodBelow[i]) / good];
        if (i === 0 || Math.max(point[0] - last[0], point[1] - last[1]) > 0.002) points.push(last = point);
      }
      draw(svg, "path", { class: "curve", d: path(points.map(([x, y]) => [across(x), up(y)])) });
    } else {
      draw(svg, "text", { x: across(0.5), y: up(0.5) - 8, "text-anchor": "middle" }, "it takes good and bad applicants");
    }
    const dot = draw(svg, "circle", { class: "dot", r: 6 });
    dot.style.display = both ? "" : "none";
    return (now) => {
      svg.setAttribute("aria-label", both ? `ROC curve; this rule approves ${shown(now.good_share_approved, "share")} of the good and ${shown(now.bad_share_approved, "share")} of the bad` : "No ROC curve: it takes good and bad applicants");
      if (both) move(dot, { cx: across(now.bad_share_approved), cy: up(now.good_share_approved) });
    };
  };

  const scorePicture = () => {
    const svg = byId("scores"), BINS = 50, WIDE = 850, MIDDLE = 130, HIGH = 120;
    const wide = (share) => 10 + share * (WIDE - 10);
    const counts = [new Int32Array(BINS), new Int32Array(BINS)];
    for (let i = 0; i < n; i++) counts[isGood(i) ? 1 : 0][Math.min(BINS - 1, Math.floor(data.score[i] * BINS))]++;
    const bars = counts.map((each, kind) => Array.from(each, (_, i) => draw(svg, "rect", {
      class: kind ? "good" : "bad", x: wide(i / BINS) + 0.5, width: (WIDE - 10) / BINS - 1 })));
    draw(svg, "line", { class: "axis", x1: wide(0), x2: wide(1), y1: MIDDLE, y2: MIDDLE });
    for (const share of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      draw(svg, "text", { x: wide(share), y: 230, "text-anchor": "middle" }, share.toFixed(1));
    }
    const line = upright(svg, "setting", 4, 212);
    return (now, { cutoff }) => {
      const most = Math.max(...counts[1].map((each) => each * now.ofGood), ...counts[0].map((each) => each * now.ofBad * HIGH / 80), 1e-9);
      bars.forEach((row, kind) => row.forEach((bar, i) => {
        const height = counts[kind][i] * (kind ? now.ofGood : now.ofBad) / most * HIGH;
        move(bar, { y: kind ? MIDDLE - height : MIDDLE, height });
        bar.classList.toggle("declined", (i + 0.5) / BINS < cutoff);
      }));
      stand(line, wide(cutoff));
      svg.setAttribute("aria-label", `Scores of ${n} applicants from 0 to 1, good ones upwards, bad ones downwards; the cut-off is ${cutoff}`);
    };
  };

  const pictures = [costPicture(), rocPicture(), scorePicture()];

  // --- The setting, in the controls and in the address ------------------------------------------

  const both = good > 0 && bad > 0;
  const controls = Object.fromEntries(["cutoff", "bad", "good", "rate"].map((name) => {
    const typed = byId(name);
    return [name, { typed, slider: byId(`${name}-slider`), low: Number(typed.min), high: Number(typed.max) }];
  }));
  const registered = { ...data.rule, rate: null };
  let setting = registered;

  const allowed = (name, value) =>
    Number.isFinite(value) && value >= controls[name].low && value <= controls[name].high;
  const fromAddress = () => {
    const asked = new URLSearchParams(location.hash.slice(1)), found = { ...registered };
    for (const name in controls) {
      const text = asked.get(name);
      if (text && allowed(name, Number(text)) && (name !== "rate" || both)) found[name] = Number(text);
    }
    return found;
  };
  const address = () => {
    const { cutoff, bad: a, good: b, rate } = setting;
    return `#cutoff=${cutoff}&bad=${a}&good=${b}${rate === null ? "" : `&rate=${rate}`}`;
  };
  let waiting;
  const keep = () => { // browsers allow few changes a second, so a moving slider waits
    clearTimeout(waiting);
    try { history.replaceState(null, "", address()); } catch { /* the page forgets, no more */ }
  };

  const elements = [...document.querySelectorAll("[data-figure]")].map((element) => {
    const row = element.closest("[data-group]");
    return { element, name: element.dataset.figure, row: row && Number(row.dataset.group) };
  });
  const show = (but) => {
    const now = figuresAt(setting);
    for (const { element, name, row } of elements) {
      const value = (row === null ? now : now.groups[row])[name];
      fill(element, value);
      if (name === "ratio") {
        const low = value !== null && value < 0.8;
        element.classList.toggle("low", low);
        if (low) element.textContent += " ▼";
      }
    }
    byId("interval").hidden = now.cost_low === null;
    pictures.forEach((picture) => picture(now, setting));
    for (const name in controls) {
      const { typed, slider } = controls[name];
      const value = name === "rate" && setting.rate === null ? Number(fixed(100 * bad / n, 1)) : setting[name];
      if (slider !== but) slider.value = value;
      if (typed !== but) { typed.value = value; typed.removeAttribute("aria-invalid"); }
    }
    byId("own").checked = setting.rate === null;
    byId("fault").textContent = now.cost === null ? "Set one of the two costs above 0." : "";
    byId("told").textContent = `Approving from ${setting.cutoff} on, `
      + (now.bad_among_approved === null ? "nobody is approved"
        : `${shown(now.approved, "share")} are approved and ${shown(now.bad_among_approved, "share")} of those go bad`)
      + (now.cost === null ? "." : `; an applicant costs ${shown(now.cost, "cost")}.`);
  };

  const change = (changed, but) => {
    setting = { ...setting, ...changed };
    byId("said").textContent = "";
    byId("link").hidden = true;
    show(but);
    clearTimeout(waiting);
    waiting = setTimeout(keep, 200);
  };
  for (const name in controls) {
    const { typed, slider, low, high } = controls[name];
    slider.addEventListener("input", () => change({ [name]: Number(slider.value) }, slider));
    typed.addEventListener("input", () => {
      const value = typed.value === "" ? NaN : Number(typed.value);
      if (allowed(name, value)) { typed.removeAttribute("aria-invalid"); change({ [name]: value }, typed); return; }
      typed.setAttribute("aria-invalid", "true");
      byId("fault").textContent = `A number from ${low} to ${high}, please.`;
    });
    typed.addEventListener("change", () => show()); // what was no number gives way to the last one
    for (const each of [typed, slider]) {
      each.addEventListener("change", keep);
      if (name === "rate") each.disabled = !both;
    }
  }
  byId("own").disabled = !both;
  byId("own").addEventListener("change", (event) => {
    const { slider } = controls.rate; // which keeps the rate within its limits
    change({ rate: event.target.checked ? null : Number(slider.value) });
    keep();
  });
  byId("reset").addEventListener("click", () => { change(registered); keep(); });
  byId("copy").addEventListener("click", async () => {
    keep();
    const link = byId("link"), address_ = location.href.split("#")[0] + address();
    try {
      await navigator.clipboard.writeText(address_);
      byId("said").textContent = "The link is copied.";
    } catch {
      link.value = address_;
      link.hidden = false;
      link.select();
      byId("said").textContent = "Copy the link with Ctrl+C or ⌘C.";
    }
  });
  addEventListener("hashchange", () => { setting = fromAddress(); show(); });
  // Only a table that has to be scrolled is a stop for the tab key.
  document.querySelectorAll(".table").forEach((table) => {
    if (table.scrollWidth <= table.clientWidth) table.removeAttribute("tabindex");
  });
  setting = fromAddress();
  show();
})();
