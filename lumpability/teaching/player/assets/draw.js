// The picture of a model: vertices and arrows are drawn once; later steps change only their marks.

const patternDefinitions = () =>
  s(
    "defs",
    {},
    s("pattern", { id: "pattern-1", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, s("rect", { width: 1.6, height: 5, class: "ink" })),
    s("pattern", { id: "pattern-2", width: 5, height: 5, patternUnits: "userSpaceOnUse" }, s("circle", { cx: 2.5, cy: 2.5, r: 1.1, class: "ink" })),
    s("pattern", { id: "pattern-3", width: 6, height: 6, patternUnits: "userSpaceOnUse" }, s("path", { d: "M0 0H6M0 0V6", class: "ink-line" })),
  );

class GraphView {
  // options: label (for screen readers), units, pick(unit) when a vertex is chosen.
  constructor(graph, { label, units, pick }) {
    this.graph = graph;
    this.units = units;
    this.names = graph.names;
    const busy = graph.arrows.length > 28;
    this.arrows = graph.arrows.map((arrow) => {
      const note = `${units[arrow.source].name} → ${units[arrow.target].name}: ${arrow.text}`;
      return s(
        "g",
        { class: "arrow" },
        s("title", {}, note),
        s("path", { class: "line", d: arrow.line }),
        s("path", { class: "head", d: arrow.head }),
        s("text", { class: busy ? "weight busy" : "weight", x: arrow.at[0], y: arrow.at[1] }, signed(arrow.text)),
      );
    });
    this.vertices = graph.points.map(([x, y], i) => this.vertex(i, x, y, graph.radius, pick));
    this.svg = s(
      "svg",
      { class: graph.arrows.length > 250 ? "graph dense" : "graph", viewBox: `0 0 ${graph.width} ${graph.height}`, role: "group", "aria-label": label },
      s("title", {}, label),
      this.arrows,
      this.vertices,
    );
    this.svg.style.maxWidth = `${graph.width * 1.35}px`;
    this.svg.style.setProperty("--least", `${Math.round(graph.width * 0.6)}px`); // on a small screen it scrolls
  }

  vertex(i, x, y, r, pick) {
    const unit = this.units[i];
    const size = unit.size > 1 ? `×${unit.size.toLocaleString("en")}` : null;
    const small = this.names.length > 30;
    const group = s(
      "g",
      pick ? { class: "unit", role: "button", tabindex: i ? -1 : 0, "data-unit": i } : { class: "unit" },
      s("title", {}, [unit.name, ...(unit.notes ?? [])].join(" · ")),
      s("circle", { class: "ring", cx: x, cy: y, r: r + 3.5 }),
      s("circle", { class: "base", cx: x, cy: y, r }),
      s("circle", { class: "over", cx: x, cy: y, r, fill: "none" }),
      r >= 9 ? s("text", { class: "letter", x, y: y + r * 0.34, "font-size": r * 0.95 }, "") : null,
      small ? null : s("text", { class: "name", x, y: y + r + 13.5 }, size ?? this.names[i]),
    );
    if (pick) {
      group.addEventListener("click", () => pick(i));
      group.addEventListener("keydown", (event) => this.key(event, i, pick));
    }
    return group;
  }

  // Arrow keys with Alt move from vertex to vertex, Enter and the space bar choose.
  key(event, i, pick) {
    if (event.key === "Enter" || event.key === " ") pick(i);
    else if (event.altKey && ["ArrowRight", "ArrowDown"].includes(event.key)) this.focus(i + 1);
    else if (event.altKey && ["ArrowLeft", "ArrowUp"].includes(event.key)) this.focus(i - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  focus(i) {
    const next = (i + this.vertices.length) % this.vertices.length;
    this.vertices.forEach((vertex, j) => vertex.setAttribute("tabindex", j === next ? 0 : -1));
    this.vertices[next].focus();
  }

  // groups: the blocks; split, splitter, chosen: units; hot: pairs of units whose arrows count.
  update({ groups, split = [], splitter = [], hot = [], chosen = [] }) {
    const marks = { split: new Set(split), splitter: new Set(splitter), chosen: new Set(chosen) };
    for (const group of groups) {
      for (const unit of group.members) {
        const vertex = this.vertices[unit];
        const roles = Object.keys(marks).filter((role) => marks[role].has(unit));
        vertex.setAttribute("class", ["unit", group.state, ...roles].filter(Boolean).join(" "));
        paint(vertex.querySelector(".base"), group.colour);
        const over = vertex.querySelector(".base").dataset.pattern;
        vertex.querySelector(".over").setAttribute("fill", over === "0" ? "none" : `url(#pattern-${over})`);
        const text = vertex.querySelector(".letter");
        if (text) {
          text.textContent = group.name;
          paint(text, group.colour);
        }
        const said = { split: "marked", splitter: "in the splitter", chosen: "chosen" };
        vertex.setAttribute("aria-label", [this.units[unit].name, group.name && `block ${group.name}`, ...roles.map((role) => said[role])].filter(Boolean).join(", "));
      }
    }
    const wanted = new Set(hot.map(([source, target]) => `${source},${target}`));
    this.svg.classList.toggle("focused", wanted.size > 0);
    this.arrows.forEach((arrow, i) => {
      const { source, target } = this.graph.arrows[i];
      arrow.classList.toggle("hot", wanted.has(`${source},${target}`));
    });
  }
}

// The forest of splits so far: a box stands under the box that was split, as wide as its contents.
function treeView(history, step, { weight, colours, marked = {}, describe }) {
  const shown = Array.from({ length: history.count }, (_, node) => node).filter((node) => history.born[node] <= step);
  const widths = history.order.map(weight);
  const edges = [0];
  for (const one of widths) edges.push(edges[edges.length - 1] + one);
  const [width, total] = [600, edges[edges.length - 1]];
  const row = Math.max(4, Math.min(30, 420 / history.height));
  const boxes = shown.map((node) => {
    const x = (edges[history.starts[node]] / total) * width;
    const size = (edges[history.ends[node]] / total) * width - x;
    if (size < 0.7) return null;
    const y = history.depth[node] * row;
    const box = s("rect", { class: "base", x: x + 0.5, y: y + 1, width: Math.max(size - 1, 0.5), height: row - 2, rx: Math.min(3, size / 4) });
    paint(box, colours[node]);
    const over = box.dataset.pattern === "0" ? null : s("rect", { x: x + 0.5, y: y + 1, width: Math.max(size - 1, 0.5), height: row - 2, fill: `url(#pattern-${box.dataset.pattern})` });
    const roles = [step < history.died[node] ? "alive" : "past", ...Object.keys(marked).filter((role) => marked[role] === node)];
    const name = letter(node);
    const fits = row >= 14 && size >= 9 * name.length + 3;
    const text = fits ? s("text", { class: "letter", x: x + size / 2, y: y + row / 2 + 4.5, "font-size": 13 }, name) : null;
    if (text) paint(text, colours[node]);
    return s("g", { class: `box ${roles.join(" ")}` }, s("title", {}, describe(node)), box, over, text);
  });
  const height = row * (1 + Math.max(...shown.map((node) => history.depth[node])));
  return s("svg", { class: "tree", viewBox: `0 0 ${width} ${Math.max(height, row)}`, role: "img", "aria-label": `Refinement tree after step ${step}: ${plural(history.alive(step).length, "block")}` }, boxes);
}
