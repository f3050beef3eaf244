// The picture of a network: columns of neurons, and the weights that matter at a step.

const MOST_LINKS = 350;

class NetworkView extends GraphView {
  constructor(story, label = "The network", pick = (unit) => page.pick(unit)) {
    super(data.graph, { label, units: story.units, pick });
    const all = story.stages.flatMap((stage) => [...stage.columns.keys()].flatMap((unit) => stage.sources(stage.offset + unit).map((source) => [source, stage.offset + unit])));
    const path = (links) => links.map(([a, b]) => `M${data.graph.points[a].join(" ")}L${data.graph.points[b].join(" ")}`).join("");
    this.path = path;
    this.hot = s("path", { class: "links hot" });
    const headings = story.layers.map((layer, l) => headingAt(data.graph.middles[l], layer.position, layer.units.toLocaleString("en"), data.graph.width, layer.title));
    this.svg.insertBefore(this.hot, this.vertices[0]);
    if (all.length <= MOST_LINKS) this.svg.insertBefore(s("path", { class: "links", d: path(all) }), this.hot);
    this.svg.append(...headings);
    this.svg.classList.add("network");
    this.svg.setAttribute("aria-label", `${label}: ${story.layers.map((layer) => layer.units).join(", ")} units from layer to layer`);
  }

  update(now) {
    super.update({ ...now, hot: [] });
    const hot = now.hot ?? [];
    this.hot.setAttribute("d", this.path(hot.slice(0, 1500)));
    this.svg.classList.toggle("focused", hot.length > 0 || (now.split ?? []).length > 0);
  }
}

// The name of a layer and its width, above it; larger in a picture that will be shrunk.
function headingAt(x, name, width, whole, title) {
  const size = Math.min(20, 13 * Math.max(1, whole / 740));
  return s("g", { class: "heading" }, s("title", {}, title), s("text", { x, y: 16, "font-size": size }, name), s("text", { x, y: 17 + size, "font-size": size, class: "width" }, width));
}

// The quotient.
function smallNetwork({ width, height, radius, points, links, headings }) {
  const units = points.map(([cx, cy]) => s("circle", { class: "base", "data-colour": "none", cx, cy, r: radius }));
  const names = headings.map(([x, name, size]) => headingAt(x, name, size, width, `layer ${name}`));
  const label = `The quotient: ${headings.map((heading) => heading[2]).join(", ")} units from layer to layer`;
  const svg = s("svg", { class: "graph network", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, s("path", { class: "links", d: links }), s("g", { class: "unit" }, units), names);
  svg.style.maxWidth = `${width * 1.35}px`;
  svg.style.setProperty("--least", `${Math.round(width * 0.6)}px`);
  return svg;
}

// The widths of each layer: the outer bar before, the inner bar after.
function layerBars(layers, done, current) {
  const most = Math.max(1, ...layers.map((layer) => layer.units));
  const [width, height, base] = [600, 186, 136];
  const step = width / layers.length;
  const size = (units) => (units ? Math.max((Math.log1p(units) / Math.log1p(most)) * 112, 2) : 0);
  const bars = layers.map((layer, i) => {
    const x = i * step + step * 0.14;
    const w = Math.min(step * 0.72, 60);
    const left = done(i + 1) ? layer.left : null;
    const changed = left !== null && left !== layer.units;
    const text = layer.units.toLocaleString("en") + (changed ? ` to ${left.toLocaleString("en")}` : "");
    return s(
      "g",
      { class: current === i + 1 ? "bar current" : "bar" },
      s("title", {}, `layer ${layer.position}, ${layer.title}: ${text}`),
      s("rect", { class: "before", x, y: base - size(layer.units), width: w, height: size(layer.units) }),
      left === null ? null : s("rect", { class: "after", x, y: base - size(left), width: w, height: size(left) }),
      s("text", { x: x + w / 2, y: base - size(layer.units) - 5, class: step < 46 ? "small" : "" }, layer.units.toLocaleString("en")),
      changed ? s("text", { x: x + w / 2, y: base + 31, class: step < 46 ? "small left" : "left" }, `→ ${left.toLocaleString("en")}`) : null,
      s("text", { x: x + w / 2, y: base + 15 }, layer.position),
    );
  });
  const said = layers.map((layer, i) => `layer ${layer.position}: ${layer.units}${done(i + 1) ? ` to ${layer.left}` : ""}`).join("; ");
  return s("svg", { class: "bars", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Units, logarithmic heights. ${said}` }, bars, s("text", { x: 0, y: height - 2, class: "axis" }, "units by layer; heights are logarithmic"));
}

function explainNeurons(story, first, second) {
  const [a, b] = [first, second].map((unit) => story.units[unit].name);
  const layer = story.layerOf[first];
  const head = (text) => h("p", {}, h("strong", {}, text));
  if (first === second) return [head("These are the same.")];
  if (layer !== story.layerOf[second]) return [head(`${a} and ${b} are apart. `), h("p", {}, "They are in different layers.")];
  if (layer === 0) return [head(`${a} and ${b} are apart. `), h("p", {}, "Inputs can have any values, so they are all different.")];
  if (story.layers[layer].held) return [head(`${a} and ${b} are apart. `), h("p", {}, `Nothing is merged in this layer: ${story.layers[layer].held}.`)];
  const stage = story.stages[layer - 1];
  if (stage.classOf(first) === stage.classOf(second)) {
    return [head(`${a} and ${b} are together.`), h("p", {}, `Their columns are ${signed(stage.factorText(first))} and ${signed(stage.factorText(second))} times the same column:`), h("div", { class: "scroll" }, stage.matrix([first, second], 0))];
  }
  const found = stage.compare(first, second);
  if (!found) return [head(`${a} and ${b} are apart.`), h("p", {}, "Their columns are multiples, but the functions that follow treat them differently, or one of them is constant.")];
  const columns = [first, second].map((unit) => stage.column(unit));
  const rows = found.rows.map((i) => h("tr", {}, h("th", { scope: "row" }, stage.rowName(i)), columns.map((column) => h("td", { class: "number" }, signed(polynomialText(column[i], []))))));
  return [head(`${a} and ${b} are apart.`), h("p", {}, `In these rows of U = [A W; b] ${found.why}.`), rows.length ? h("table", {}, h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col" }, a), h("th", { scope: "col" }, b))), h("tbody", {}, rows)) : null].filter(Boolean);
}

// "Your turn" with a network: put the neurons of one layer into classes.
class NetworkTurn {
  constructor(story) {
    this.story = story;
    this.view = new NetworkView(story, "Your classes", (unit) => this.pick(unit));
    const playable = story.stages.filter((stage) => stage.playable);
    this.choice = h("select", { id: "turn-layer", onchange: () => this.choose() }, playable.map((stage) => h("option", { value: stage.layer }, story.title(stage.layer))));
    this.said = h("div", { class: "said", role: "status", "aria-live": "polite" });
    this.bins = new Bins(story.units, () => this.show());
    this.element = h(
      "div",
      { class: "grid turn" },
      h(
        "article",
        { class: "task" },
        h("h2", {}, "Put neurons into classes"),
        h("p", {}, "Choose a layer; the layers below it are merged already. Click a neuron to see its column of U. Drag names from class to class (or focus one and use the arrow keys), then let the page check them."),
        h("p", { class: "controls" }, h("label", {}, "layer ", this.choice)),
        this.bins.element,
        h("p", { class: "controls" }, h("button", { type: "button", id: "turn-check", onclick: () => this.check() }, "Can these be merged?"), " ", h("button", { type: "button", onclick: () => this.choose() }, "Start again")),
      ),
      h("figure", {}, h("div", { class: "drawing" }, this.view.svg)),
      this.said,
    );
    const worth = playable.find((stage) => stage.several.length);
    if (worth) this.choice.value = worth.layer;
    this.choose();
  }

  choose() {
    this.stage = this.story.stages[Number(this.choice.value) - 1];
    this.bins.set(this.story.range(this.stage.layer).map((unit) => [unit]));
    this.say([h("p", {}, "Every neuron starts in a class of its own. Which ones compute multiples of each other?")]);
    this.show();
  }

  show(extra = {}) {
    const { story } = this;
    const own = this.bins.blocks().map((members, i) => ({ name: letter(i), colour: i, members }));
    const others = story.layers.flatMap((_, layer) => (layer === this.stage.layer ? [] : [{ name: "", colour: -1, members: story.range(layer), state: "undecided" }]));
    this.view.update({ groups: [...own, ...others], ...extra });
  }

  pick(unit) {
    if (this.story.layerOf[unit] !== this.stage.layer) return;
    const sources = this.stage.sources(unit);
    this.show({ chosen: [unit], hot: sources.map((source) => [source, unit]) });
    const column = this.stage.column(unit);
    const rows = [...column.keys()].filter((i) => column[i].size).slice(0, 40);
    this.say([h("p", {}, `The column of ${this.story.units[unit].name}:`), h("div", { class: "scroll" }, h("table", { class: "matrix plain" }, h("tbody", {}, rows.map((i) => h("tr", {}, h("th", { scope: "row" }, this.stage.rowName(i)), h("td", {}, signed(polynomialText(column[i], [])))))))) ]);
  }

  check() {
    const blocks = this.bins.blocks();
    const name = (unit) => this.story.units[unit].name;
    for (const block of blocks) {
      for (const other of block.slice(1)) {
        const found = this.stage.compare(block[0], other);
        if (!found) continue;
        const columns = [block[0], other].map((unit) => this.stage.column(unit));
        const where = found.rows.map((i) => `${this.stage.rowName(i)}: ${columns.map((column) => signed(polynomialText(column[i], []))).join(" and ")}`);
        this.show({ chosen: [block[0], other] });
        this.say([h("p", {}, h("strong", {}, "No. "), `${name(block[0])} and ${name(other)} share a class, but ${found.why}${where.length ? ` (${where.join("; ")})` : ""}.`)], "no");
        return;
      }
    }
    const pairs = blocks.flatMap((block, i) => blocks.slice(i + 1).map((other) => [block[0], other[0]]));
    const more = pairs.find(([a, b]) => !this.stage.compare(a, b));
    this.show();
    this.say([h("p", {}, h("strong", {}, "Yes, these can be merged. "), more ? `But ${name(more[0])} and ${name(more[1])} could be as well.` : "And no two classes could be.")], more ? "yes finer" : "yes");
  }

  say(words, mood = "") {
    this.said.className = `said ${mood}`;
    this.said.replaceChildren(...words);
  }
}
