// The story of a network: layer by layer, which neurons compute multiples of each other.
// Layer 0 are the inputs; stage l - 1 holds the weights into layer l.

const MOST_CLASSES = 40;

class PlayedNetwork {
  constructor(data) {
    this.data = data;
    this.colours = data.palette.colours;
    this.patterns = data.palette.patterns;
    this.layers = data.layers;
    this.drawn = data.level === "units";
    this.thing = this.noun = "neuron";
    this.legend = { split: "one class", splitter: "computed from" };
    this.listHeading = "Classes";
    this.listSize = "neurons";
    this.rowNoun = "row";
    this.helpText =
      "Neurons whose incoming weights and bias are multiples of each other compute multiples of the same value, if the activation passes the factor. The player goes through the layers from left to right: each class becomes one neuron, and the weights above it are summed with the factors. Then neurons that nothing reads are removed.";
    this.offsets = this.layers.reduce((sums, layer) => [...sums, sums[sums.length - 1] + layer.units], [0]);
    this.weights = data.weights.values.map(({ text, terms }) => ({ text, value: readPolynomial(terms) }));
    this.units = this.layers.flatMap((layer) => Array.from({ length: layer.units }, (_, i) => ({ name: `${layer.position}:${i}`, size: 1, notes: [layer.title] })));
    this.layerOf = this.layers.flatMap((layer, l) => new Array(layer.units).fill(l));
    this.stages = data.stages.map((stage, i) => new PlayedStage(this, stage, i + 1));
    this.steps = this.drawn ? this.listSteps() : [{ type: "start" }, ...this.layers.slice(1).map((_, i) => ({ type: "summary", layer: i + 1 })), { type: "end" }];
    this.count = this.steps.length;
  }

  subtitle() {
    const { hidden, parameters } = this.data.counts;
    const dots = this.drawn ? "" : " Too large to draw neuron by neuron: an overview.";
    return `${this.data.kind === "exact" ? "Exact" : "Proportional"} lumping: ${hidden[0].toLocaleString("en")} → ${plural(hidden[1], "hidden neuron")}, ${parameters[0].toLocaleString("en")} → ${plural(parameters[1], "parameter")}.${dots}`;
  }

  listSteps() {
    const steps = [{ type: "start" }];
    this.stages.forEach((stage) => {
      const layer = stage.layer;
      const before = steps.length;
      if (this.layers[layer].held) steps.push({ type: "held", layer });
      else {
        if (stage.constants.length) steps.push({ type: "constant", layer });
        const several = stage.several;
        for (const number of several.slice(0, MOST_CLASSES)) steps.push({ type: "class", layer, number });
        if (several.length > MOST_CLASSES) steps.push({ type: "rest", layer, numbers: several.slice(MOST_CLASSES) });
        if (steps.length === before) steps.push({ type: "nothing", layer });
      }
      steps[steps.length - 1].last = true;
    });
    for (const stage of [...this.stages].reverse()) if (stage.dead.length) steps.push({ type: "dead", layer: stage.layer });
    return [...steps, { type: "end" }];
  }

  title(layer) {
    return `layer ${this.layers[layer].position} (${this.layers[layer].title})`;
  }

  step(k) {
    return { split: [], splitter: [], hot: [], ...this[this.steps[k].type](this.steps[k]) };
  }

  start() {
    const rows = this.layers.slice(1).map((layer) => h("tr", {}, h("th", { scope: "row" }, layer.position), h("td", {}, layer.title), h("td", { class: "number" }, layer.units.toLocaleString("en"))));
    return {
      heading: "The network",
      body: [
        h("p", {}, "Neurons are compared by what comes in: the column of weights W and the bias b. Inputs are all different and stay apart, so the first layer is compared as it is stored."),
        h("table", { class: "parts" }, h("thead", {}, h("tr", {}, ["layer", "what it is", "units"].map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows)),
      ],
    };
  }

  held({ layer }) {
    const why = this.layers[layer].held;
    const words = why === "output" ? "These are the outputs, which are never merged or removed." : `Units are kept: ${why}.`;
    return { heading: `${capital(this.title(layer))} stays`, body: [h("p", {}, words)], split: this.range(layer) };
  }

  nothing({ layer }) {
    return { heading: `Nothing to merge in ${this.title(layer)}`, body: [h("p", {}, `No two of its ${plural(this.layers[layer].units, "column")} of U = [A W; b] are multiples that ${this.layers[layer].function || "the identity"} passes.`)], split: this.range(layer) };
  }

  constant({ layer }) {
    const stage = this.stages[layer - 1];
    const values = [...new Set(stage.constants.map(([, value]) => value))];
    const having = (wanted) => listed(stage.constants.filter(([, value]) => value === wanted).map(([unit]) => this.units[unit].name), 24);
    const rows = values.slice(0, 20).map((value) => h("tr", {}, h("td", {}, having(value)), h("td", { class: "number" }, signed(value))));
    return {
      heading: `${plural(stage.constants.length, "neuron")} of ${this.title(layer)} ${stage.constants.length === 1 ? "is" : "are"} constant`,
      body: [
        h("p", {}, "The output is the same for every input. Its contribution is added to the next bias."),
        h("table", { class: "parts" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "neuron"), h("th", { scope: "col" }, "always"))), h("tbody", {}, rows)),
        values.length > 20 ? h("p", { class: "hint" }, `… ${plural(values.length - 20, "more value")}`) : null,
      ],
      split: stage.constants.map(([unit]) => unit),
    };
  }

  class({ layer, number }) {
    const stage = this.stages[layer - 1];
    const members = stage.members(number);
    const group = stage.group(number);
    const equal = members.every((unit) => stage.factorText(unit) === stage.factorText(members[0]));
    const rows = members.slice(0, 12).map((unit) => h("tr", {}, h("td", {}, this.units[unit].name), h("td", { class: "number" }, signed(stage.factorText(unit)))));
    const act = this.layers[layer].function || "identity";
    return {
      heading: `${plural(members.length, "neuron")} of ${this.title(layer)} become one`,
      body: [
        h("p", {}, "Class ", chip(group), equal ? ": their columns of U = [A W; b] are equal." : ": their columns of U = [A W; b] are multiples of one column, each with its factor c:"),
        equal ? h("p", {}, listed(members.map((unit) => this.units[unit].name), 24)) : h("table", { class: "parts" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "neuron"), h("th", { scope: "col" }, "factor c"))), h("tbody", {}, rows)),
        !equal && members.length > 12 ? h("p", { class: "hint" }, `… ${members.length - 12} more`) : null,
        h("p", {}, equal ? "Equal columns give equal outputs for every input. Their weights into the next layer are summed." : `${act} passes these factors, so for every input their outputs are multiples as well. The next layer's weights are summed, each times its factor.`),
      ],
      split: members,
      splitter: [...new Set(members.flatMap((unit) => stage.sources(unit)))],
      hot: members.flatMap((unit) => stage.sources(unit).map((source) => [source, unit])),
      columns: members,
      layer,
    };
  }

  rest({ layer, numbers }) {
    const stage = this.stages[layer - 1];
    const members = numbers.flatMap((number) => stage.members(number));
    return { heading: `${numbers.length} more classes in ${this.title(layer)}`, body: [h("p", {}, `In the same way ${plural(members.length, "neuron")} become ${numbers.length}.`)], split: members };
  }

  dead({ layer }) {
    const stage = this.stages[layer - 1];
    const members = stage.dead.flatMap((number) => stage.members(number));
    return {
      heading: `Nothing reads ${plural(members.length, "neuron")} of ${this.title(layer)}`,
      body: [h("p", {}, "The last steps go from the outputs to the inputs. After merging, all outgoing weights of these neurons are zero, or lead to removed neurons. So these neurons are removed too.")],
      split: members,
    };
  }

  summary({ layer }) {
    const { units, left, held, reasons } = this.layers[layer];
    const why = Object.entries(reasons).filter(([, count]) => count);
    const words = { identical: "equal to another one", proportional: "a multiple of another one", antiparallel: "a negative multiple of another one", constant: "constant", dead: "not read by anything" };
    return {
      heading: `${capital(this.title(layer))}: ${units.toLocaleString("en")} → ${left.toLocaleString("en")}`,
      body: [why.length ? h("ul", {}, why.map(([reason, count]) => h("li", {}, `${plural(count, "neuron")} ${words[reason]}`))) : h("p", {}, held ? `Kept: ${held}.` : "No two of its neurons can be merged.")],
    };
  }

  end() {
    const { hidden } = this.data.counts;
    return {
      heading: hidden[0] === hidden[1] ? "No two neurons can be merged" : "The same function, smaller",
      body: [h("p", {}, h("strong", {}, `${this.data.verdict.replaceAll("->", "→")}.`)), h("p", {}, `Proved: ${hatted(this.data.proof)}.`), h("p", {}, "One pass suffices: merging below never separates above, and classes are compared by exactly the weights that the smaller network has.")],
      done: true,
    };
  }

  invariant(k) {
    const { type, layer } = this.steps[k];
    if (type === "start" || type === "end") return "";
    if (type === "dead") return "Removing neurons that nothing reads changes no output.";
    return `Up to layer ${this.layers[layer].position}: h = ĥ A for every input, h the layer's outputs and ĥ those of its classes. So the next layer may be compared by A W, with one row for each class.`;
  }

  range(layer) {
    return Array.from({ length: this.layers[layer].units }, (_, i) => this.offsets[layer] + i);
  }

  // Classes known after a step; neurons of later layers are one group without a name.
  groups(k) {
    const seen = this.steps.slice(0, k + 1);
    return this.layers.flatMap((_, layer) => {
      if (layer === 0) return [{ name: "", colour: -1, members: this.range(0) }];
      const stage = this.stages[layer - 1];
      const own = seen.filter((step) => step.layer === layer);
      const finished = own.some((step) => step.last);
      const known = new Set(own.flatMap((step) => (step.type === "class" ? [step.number] : step.numbers ?? [])));
      const unused = new Set(own.some((step) => step.type === "dead") ? stage.dead : []);
      const constant = new Set(own.some((step) => step.type === "constant") ? stage.constants.map(([unit]) => unit) : []);
      return stage.classes.flatMap((members, number) => {
        const gone = unused.has(number) ? "unused" : members.every((unit) => constant.has(unit)) ? "constant" : "";
        if (gone) return [{ name: gone === "constant" ? "=" : "×", colour: -1, members, state: gone }];
        if (known.has(number)) return [stage.group(number)];
        return [{ name: "", colour: -1, members, state: finished ? "" : "undecided" }];
      });
    });
  }

  view() {
    return new NetworkView(this);
  }

  quotientPicture() {
    return smallNetwork(this.data.quotient);
  }

  matrixAt(k, now) {
    if (!now.columns) return null;
    return this.stages[now.layer - 1].matrix(now.columns.slice(0, 12), now.columns.length - 12);
  }

  // Bars for the widths of the layers, before and so far.
  treeAt(k) {
    const now = this.steps[k];
    const done = (layer) => now.type === "end" || now.type === "dead" || (now.layer ?? 0) > layer || (now.layer === layer && (now.last || now.type === "summary"));
    return layerBars(this.layers.slice(1), done, now.layer);
  }

  candidates() {
    return this.drawn ? this.units.map((unit) => unit.name) : [];
  }

  stateOf(unit) {
    return unit;
  }

  unitOf(unit) {
    return unit;
  }

  explain(first, second) {
    return explainNeurons(this, first, second);
  }

  tableRows() {
    return this.data.classes.map(({ layer, members, size, factors, state }) => [`layer ${layer}: ${listed(members, 12)}`, size, state !== "merged" ? state : factors.length === 1 ? "equal" : `factors ${listed(factors, 6)}`]);
  }

  turn() {
    return this.drawn && this.stages.some((stage) => stage.playable) ? new NetworkTurn(this) : null;
  }
}

// The weights into one layer, and its classes.
class PlayedStage {
  constructor(story, data, layer) {
    this.story = story;
    this.data = data;
    this.layer = layer;
    this.offset = story.offsets[layer];
    this.columns = Array.from({ length: data.partition.length }, () => new Map());
    for (const [row, unit, code] of data.entries) this.columns[unit].set(row, code);
    this.classes = [];
    data.partition.forEach((number, unit) => (this.classes[number] ??= []).push(this.offset + unit));
    this.constants = Object.entries(data.constants).map(([unit, value]) => [this.offset + Number(unit), value]);
    const constant = new Set(this.constants.map(([unit]) => unit));
    const folded = this.classes.map((members) => members.every((unit) => constant.has(unit)));
    this.several = [...this.classes.keys()].filter((number) => this.classes[number].length > 1 && !folded[number]);
    this.dead = [...this.classes.keys()].filter((number) => !data.live[number] && !folded[number]);
    const { held, uniform, units } = story.layers[layer];
    this.playable = !held && uniform && units > 1 && units <= MOST_CLASSES;
  }

  members(number) {
    return this.classes[number];
  }

  group(number) {
    const place = this.several.indexOf(number);
    return { name: letter(place), colour: place, members: this.classes[number] };
  }

  classOf(unit) {
    return this.data.partition[unit - this.offset];
  }

  factorText(unit) {
    return this.story.weights[this.data.factors[unit - this.offset]].text;
  }

  // The unit below that a row reads, or -1 after a barrier.
  owner(row) {
    const { story, layer } = this;
    if (layer === 1) return Math.floor(row / this.data.width);
    if (!this.data.open) return -1;
    this.owners ??= new Map(story.stages[layer - 2].data.feeds.flatMap((rows, unit) => rows.map((one) => [one, story.offsets[layer - 1] + unit])));
    return this.owners.get(row) ?? -1;
  }

  sources(unit) {
    return [...new Set([...this.columns[unit - this.offset].keys()].map((row) => this.owner(row)))].filter((source) => source >= 0);
  }

  // One column of U = [A W; b]: a value for each class below, and last the bias.
  column(unit) {
    const weights = this.story.weights;
    const column = this.columns[unit - this.offset];
    const scaled = (row, factor) => (column.has(row) ? [product(weights[column.get(row)].value, weights[factor].value)] : []);
    const values = this.data.incoming.map((rows) => sum(rows.flatMap(([row, factor]) => scaled(row, factor))));
    const bias = this.data.bias.length ? [weights[this.data.bias[unit - this.offset]].value] : [];
    return [...values, sum([...bias, ...this.data.known.flatMap(([row, value]) => scaled(row, value))])];
  }

  rowName(i) {
    if (i === this.data.incoming.length) return "bias";
    const owners = this.data.incoming[i].map(([row]) => this.owner(row));
    if (owners.includes(-1)) return `row ${this.data.incoming[i][0][0]}`;
    return listed(owners.map((unit) => this.story.units[unit].name), 3);
  }

  // The columns of one class side by side, with their factors.
  matrix(units, more) {
    const columns = units.map((unit) => this.column(unit));
    const rows = [...columns[0].keys()].filter((i) => columns.some((column) => column[i].size));
    const cell = (value) => (value.size ? signed(polynomialText(value, [])) : h("span", { class: "none" }, "·"));
    const body = rows.slice(0, 40).map((i) => h("tr", {}, h("th", { scope: "row" }, this.rowName(i)), columns.map((column) => h("td", { class: "hot" }, cell(column[i])))));
    const names = h("tr", {}, h("td"), units.map((unit) => h("th", { scope: "col" }, this.story.units[unit].name)));
    const factors = h("tr", { class: "factors" }, h("th", { scope: "row" }, "factor c"), units.map((unit) => h("th", {}, signed(this.factorText(unit)))));
    const omitted = [more > 0 && plural(more, "more column"), rows.length > 40 && plural(rows.length - 40, "more row")].filter(Boolean).join(", ");
    return h("figure", {}, h("table", { class: "matrix plain" }, h("thead", {}, names, factors), h("tbody", {}, rows.length ? body : h("tr", {}, h("td", { colspan: units.length + 1 }, "all zero")))), h("figcaption", {}, `Columns of U = [A W; b]: one row for each class below, then the bias; rows of zeros are left out.${omitted ? ` ${capital(omitted)}.` : ""}`));
  }

  // Why one column is not an allowed multiple of another: rows and values, or null.
  compare(first, second) {
    const allows = this.story.layers[this.layer].allows;
    const [u, v] = [this.column(first), this.column(second)];
    const one = (p) => [...p.values()][0] ?? { n: 0n, d: 1n };
    const start = u.findIndex((value, i) => value.size || v[i].size);
    if (start < 0) return null;
    const lone = u.findIndex((value, i) => !value.size !== !v[i].size);
    if (lone >= 0) return { rows: [lone], why: "one is zero, the other is not" };
    const factor = ratio(one(v[start]), one(u[start]));
    const wrong = u.findIndex((value, i) => !equal(v[i], product(value, number(factor))));
    if (wrong >= 0) return { rows: [start, wrong], why: "no single factor fits both" };
    const fine = { ANY: true, POSITIVE: factor.n > 0n, SIGNS: factor.d === 1n && magnitude(factor.n) === 1n, ONE: factor.n === 1n && factor.d === 1n }[allows];
    return fine ? null : { rows: [], why: `the factor is ${fractionText(factor)}, which ${this.story.layers[this.layer].function || "this layer"} does not pass` };
  }
}

const ratio = (a, b) => fraction(a.n * b.d, a.d * b.n);
const capital = (text) => text[0].toUpperCase() + text.slice(1);
