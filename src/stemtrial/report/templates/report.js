(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  document.documentElement.classList.add("js");
  const plots = [...document.querySelectorAll(".plot")];
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");

  // Pictures are stored in light colours; one pass exchanges them for the dark ones.
  if (window.Plotly && plots.length) {
    const dark = new Map(JSON.parse($("dark-pairs").textContent));
    const escape = (s) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const light = new RegExp([...dark.keys()].map(escape).join("|"), "g");
    const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false };
    const draw = (isDark, width) => {
      for (const plot of plots) {
        const text = $(plot.id + "-data").textContent;
        const fig = JSON.parse(isDark ? text.replace(light, (c) => dark.get(c)) : text);
        if (width) fig.layout.width = width;
        Plotly.react(plot, fig.data, fig.layout, config);
      }
    };
    draw(prefersDark.matches);
    prefersDark.addEventListener("change", (e) => draw(e.matches));
    // Paper is white and 660 px wide, and nobody can open a closed table on it; the long tables stay on the screen.
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = [...document.querySelectorAll("details:not([open])")].filter((d) => d.querySelectorAll("tr").length < 30);
      for (const d of opened) d.open = true;
      draw(false, 660);
    });
    addEventListener("afterprint", () => {
      for (const d of opened) d.open = false;
      draw(prefersDark.matches);
    });
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((h) => h.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => {
          const cell = row.cells[column];
          return cell.dataset.sort === undefined ? cell.textContent.trim() : Number(cell.dataset.sort);
        };
        const compare = (a, b) => {
          const [x, y] = [value(a), value(b)];
          if (typeof x === "number" && typeof y === "number") return (x - y) * (down ? -1 : 1);
          if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1; // what has no number stands last
          return x.localeCompare(y) * (down ? -1 : 1);
        };
        body.append(...[...body.rows].sort(compare));
      });
    });
  }
})();
