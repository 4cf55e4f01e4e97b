// A click on a column's head sorts its table: largest first, then smallest first, rows without a figure last.

(() => {
  const figure = text => {
    const found = text.replaceAll("−", "-").replaceAll(",", "").match(/[-+]?\d+(\.\d+)?/);
    return found ? Number(found[0]) : NaN;
  };
  const compare = (left, right, down) => {
    const [one, other] = [figure(left), figure(right)];
    if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other);
    return down ? other - one : one - other;
  };

  function sort(table, head, place, heads) {
    const byName = place === 0, body = table.tBodies[0];
    const down = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : !byName;
    const rows = [...body.rows].map(row => [row.cells[place].querySelector("a")?.textContent ?? row.cells[place].textContent, row]);
    const words = byName || head.classList.contains("words");
    rows.sort(([left], [right]) => words ? (down ? -1 : 1) * left.localeCompare(right) : compare(left, right, down));
    body.append(...rows.map(([, row]) => row));
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  function sortable(table) {
    const [first, last] = [table.tHead.rows[0], table.tHead.rows[table.tHead.rows.length - 1]];
    const heads = first === last ? [...last.cells] : [first.cells[0], ...last.cells];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head, place, heads));
    });
  }

  ragsignal.sortable = sortable;
  document.querySelectorAll("table.figures").forEach(sortable);
})();
