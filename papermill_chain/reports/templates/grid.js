(() => {
  // Numbers by size, words by alphabet, gaps last; a second press turns the order round.
  const table = document.getElementById("table");
  const key = (row, column) => row.cells[column].dataset.key ?? "";
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  };
  table.querySelectorAll("button.sort").forEach((button) => button.addEventListener("click", () => {
    const heading = button.parentElement;
    const turn = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    table.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const [x, y] = [key(a, heading.cellIndex), key(b, heading.cellIndex)];
      return x === "" || y === "" ? (x === "") - (y === "") : turn * compare(x, y);
    });
    table.tBodies[0].append(...rows);
  }));
})();
