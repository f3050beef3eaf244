// The matrix with its blocks outlined.  With text while there are few units, else as a field of dots.

const MOST_WITH_TEXT = 18;

// order: units; groups: blocks in that order; entries: [row, column, text]; hot: pairs; sums: unit -> text.
function matrixView({ order, groups, entries, hot, sums, direction, totalName, caption, units, split, splitter }) {
  const cells = new Map(entries.map(([row, column, text]) => [`${row},${column}`, text]));
  const wanted = new Set(hot.map((pair) => pair.join(",")));
  const first = new Set(groups.map((group) => group.members[0]));
  const of = new Map(groups.flatMap((group) => group.members.map((unit) => [unit, group])));
  if (order.length > MOST_WITH_TEXT) return dots({ order, first, cells, wanted, of, caption, units });
  // Sums run over the splitter, for the members of the block that is split.
  const [summed, compared] = direction === "out" ? ["col", "row"] : ["row", "col"];
  const marks = (unit, scope) => [first.has(unit) && "first", scope === compared && split.has(unit) && "split", scope === summed && splitter.has(unit) && "splitter"];
  const heading = (unit, scope) => {
    const group = of.get(unit);
    return h("th", { scope, class: marks(unit, scope).filter(Boolean).join(" "), title: units[unit].name }, group.name ? chip(group) : null, h("span", { class: "cut" }, units[unit].size > 1 ? `×${units[unit].size.toLocaleString("en")}` : units[unit].name));
  };
  const total = sums.size > 0;
  const head = h("tr", {}, h("td"), order.map((unit) => heading(unit, "col")), total && direction === "out" ? h("th", { scope: "col", class: "sum" }, totalName) : null);
  const rows = order.map((row) =>
    h(
      "tr",
      { class: first.has(row) ? "first" : undefined },
      heading(row, "row"),
      order.map((column) => {
        const key = `${row},${column}`;
        return h("td", { class: [first.has(column) && "first", wanted.has(key) && "hot"].filter(Boolean).join(" ") }, signed(cells.get(key)) ?? h("span", { class: "none" }, "·"));
      }),
      total && direction === "out" ? h("td", { class: "sum" }, signed(sums.get(row)) ?? "") : null,
    ),
  );
  if (total && direction === "in") rows.push(h("tr", { class: "sum" }, h("th", { scope: "row" }, totalName), order.map((column) => h("td", { class: "sum" }, signed(sums.get(column)) ?? ""))));
  return h("figure", {}, h("table", { class: "matrix" }, h("thead", {}, head), h("tbody", {}, rows)), h("figcaption", {}, caption));
}

function dots({ order, first, cells, wanted, of, caption, units }) {
  const size = 10;
  const place = new Map(order.map((unit, i) => [unit, i * size]));
  const all = order.length * size;
  const marks = [...cells].map(([key, text]) => {
    const [row, column] = key.split(",").map(Number);
    const mark = s("rect", { class: wanted.has(key) ? "cell hot" : "cell", x: place.get(column) + 1, y: place.get(row) + 1, width: size - 2, height: size - 2 }, s("title", {}, `${units[row].name}, ${units[column].name}: ${text}`));
    return mark;
  });
  const bands = order.map((unit) => {
    const band = s("rect", { class: "base", x: -7, y: place.get(unit), width: 5, height: size });
    const top = s("rect", { class: "base", y: -7, x: place.get(unit), height: 5, width: size });
    for (const one of [band, top]) paint(one, of.get(unit).colour);
    return [band, top];
  });
  const lines = [...first].map((unit) => s("path", { class: "cut-line", d: `M${place.get(unit)} 0V${all}M0 ${place.get(unit)}H${all}` }));
  const svg = s("svg", { class: "dots", viewBox: `-10 -10 ${all + 12} ${all + 12}`, role: "img", "aria-label": caption }, bands, marks, lines, s("rect", { class: "frame", x: 0, y: 0, width: all, height: all }));
  return h("figure", {}, svg, h("figcaption", {}, caption));
}
