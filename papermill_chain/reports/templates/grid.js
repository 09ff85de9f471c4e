(() => {
  // Numbers by size, words by alphabet, gaps last; a second press turns the order round.
  const table = document.getElementById("table");
  const key = (row, column) => JSON.parse(row.cells[column].dataset.key ?? "null");
  const areNumbers = (...values) => values.every((value) => typeof value === "number");
  const compare = (a, b) => (areNumbers(a, b) ? a - b : String(a).localeCompare(b));
  table.querySelectorAll("button.sort").forEach((button) => button.addEventListener("click", () => {
    const heading = button.parentElement;
    const turn = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    table.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const [x, y] = [key(a, heading.cellIndex), key(b, heading.cellIndex)];
      return x === null || y === null ? (x === null) - (y === null) : turn * compare(x, y);
    });
    table.tBodies[0].append(...rows);
  }));
})();
