// The story of a chain: which states share a block after every split, and why some no longer do.

class ChainStory {
  constructor(data) {
    this.data = data;
    this.identity = hatted(data.identity);
    this.colours = data.palette.colours;
    this.patterns = data.palette.patterns;
    this.units = data.units;
    this.drawn = data.level !== "overview";
    this.thing = "state";
    this.noun = data.level === "states" ? "state" : "block";
    this.amount = data.chain === "CTMC" ? "rate" : "probability";
    this.amounts = data.chain === "CTMC" ? "rates" : "probabilities";
    this.parameters = data.weights.parameters;
    this.divisor = readPolynomial(data.weights.divisor);
    this.weights = data.weights.values.map(({ text, terms }) => ({ text, value: readPolynomial(terms) }));
    this.history = data.history && new History(data.history, data.blocks.map((block) => block.size));
    this.unitsOf = data.blocks.map(() => []);
    this.units.forEach((unit, i) => this.unitsOf[unit.block].push(i));
    // The entries of a sum: the rows of a condition, or its columns if sums come in.
    this.rows = data.conditions.map(({ direction, entries }) => {
      const rows = this.units.map(() => []);
      for (const [source, target, code] of entries) {
        const [own, other] = direction === "out" ? [source, target] : [target, source];
        rows[own].push([other, code]);
      }
      return rows;
    });
    // The start, every split, and the result.
    this.count = this.history ? this.history.splits + 2 : 1;
  }

  way(condition) {
    return this.data.conditions[condition]?.direction === "in" ? "from" : "into";
  }

  text(value) {
    return ratioText(value, this.divisor, this.parameters);
  }

  members(node) {
    return this.history.blocks(node).flatMap((block) => this.unitsOf[block]);
  }

  names(units) {
    return units.map((unit) => this.units[unit].name);
  }

  // The text between braces: names of drawn states or blocks, or the number of states.
  nodeText(node) {
    if (this.data.level === "states") return setOf(this.names(this.members(node)));
    const blocks = this.history.blocks(node);
    if (blocks.length === 1) return this.data.blocks[blocks[0]].name;
    return `${plural(this.history.size(node), "state")} in ${plural(blocks.length, "final block")}`;
  }

  group(node) {
    return { id: node, name: letter(node), colour: this.history.colour[node], members: this.members(node), text: this.nodeText(node) };
  }

  groups(step) {
    return this.history.alive(Math.min(step, this.history.splits)).map((node) => this.group(node));
  }

  // The terms of the sum of one unit into (or from) a set of units.
  terms(condition, unit, set) {
    return this.rows[condition][unit].filter(([other]) => set.has(other));
  }

  sum(condition, unit, set) {
    return sum(this.terms(condition, unit, set).map(([, code]) => this.weights[code].value));
  }

  // The value by which members of a block are compared: a sum, or its share of the rate out of the block.
  compared(condition, unit, set, block) {
    const top = this.sum(condition, unit, set);
    if (!this.data.proportional) return { top, text: this.text(top) };
    const outside = new Set(this.units.keys());
    for (const member of block) outside.delete(member);
    const all = this.sum(condition, unit, outside);
    return { top, all, text: all.size ? `${this.text(top)} of ${this.text(all)} = ${ratioText(top, all, this.parameters)}` : "nothing leaves" };
  }

  same(a, b) {
    if (!this.data.proportional) return equal(a.top, b.top);
    if (!a.all.size || !b.all.size) return a.all.size === b.all.size;
    return equal(product(a.top, b.all), product(b.top, a.all));
  }

  // The terms of a sum as text.  The history has sums with parameters in their shortest form.
  sumText(condition, unit, set, block, recorded) {
    const { text } = this.parameters.length && recorded !== undefined ? { text: recorded } : this.compared(condition, unit, set, block);
    const terms = this.terms(condition, unit, set).map(([, code]) => this.weights[code].text);
    return terms.length > 1 && terms.length <= 4 && !this.data.proportional ? signed(`${terms.join(" + ").replaceAll("+ -", "- ")} = ${text}`) : signed(text);
  }

  // Everything the page shows at one step.
  step(k) {
    if (!this.history) return { heading: "Too many splits to play", body: [h("p", {}, "The blocks are listed below.")], split: [], splitter: [], hot: [] };
    if (k === 0) return this.start();
    if (k > this.history.splits) return this.end();
    return this.splitStep(k);
  }

  start() {
    const groups = this.groups(0);
    const rows = groups.map((group) => {
      const notes = this.data.blocks[this.history.blocks(group.id)[0]].must;
      return h("li", {}, chip(group), ` ${group.text}`, notes.length ? h("small", {}, ` ${notes.join(", ")}`) : null);
    });
    const what = groups.length > 1 ? "A lumping must keep these blocks apart, because of labels, rewards, or a given partition." : "Nothing must be kept apart, so all states start in one block.";
    return { heading: "The start", body: [h("p", {}, what), blockList(rows)], split: [], splitter: [], hot: [] };
  }

  splitStep(k) {
    const history = this.history;
    const split = k - 1;
    const node = history.split_node[split];
    const splitter = history.splitter[split];
    const condition = history.condition[split];
    const before = this.group(node);
    const into = this.group(splitter);
    const set = new Set(into.members);
    const way = this.way(condition);
    const of = this.data.proportional ? `shares of the rate out of ${before.name} that go` : `${this.amounts} that go`;
    const phrase = way === "into" ? of : `${this.amounts} that come`;
    const members = new Set(before.members);
    const hot = this.drawn ? before.members.flatMap((unit) => this.terms(condition, unit, set).map(([other]) => (way === "into" ? [unit, other] : [other, unit]))) : [];
    const parts = history.parts(split).map((part) => {
      const group = this.group(part);
      return h(
        "tr",
        {},
        h("td", {}, chip(group)),
        h("td", {}, group.text),
        h("td", { class: "number", "data-sum": history.sum(part) }, this.drawn ? this.sumText(condition, group.members[0], set, members, history.sum(part)) : signed(history.sum(part))),
      );
    });
    const own = node === splitter ? ": its own block" : ` = ${into.text}`;
    return {
      heading: `Block ${before.name} is split`,
      body: [
        h("p", {}, chip(before), ` ${before.text} `, h("br"), `has members with different ${phrase} ${way} the splitter `, chip(into), `${own}.`),
        h("table", { class: "parts" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "part"), h("th", { scope: "col" }, "members"), h("th", { scope: "col" }, `each ${way} ${into.name}`))), h("tbody", {}, parts)),
        this.data.generator && before.members.some((unit) => set.has(unit)) ? h("p", { class: "aside" }, `The diagonal of ${this.data.matrix} counts as well: minus the sum of all rates out of the state.`) : null,
        h("p", {}, `So no ${this.data.kind} lumping that keeps the first blocks apart has a block with members of two of these parts: ${into.name} is a union of its blocks, and ${this.data.proportional ? "shares" : "sums"} ${way} a union must agree.`),
      ],
      split: before.members,
      splitter: into.members,
      node,
      splitterNode: splitter,
      condition,
      hot,
      recorded: this.parameters.length ? new Map(history.parts(split).flatMap((part) => this.members(part).map((unit) => [unit, history.sum(part)]))) : null,
    };
  }

  end() {
    const { states, blocks } = this.data.counts;
    const checked = this.drawn ? this.recheck() : 0;
    const body = [
      h("p", {}, `No block splits any more: ${this.identity}. Every split was forced, so no lumping is coarser.`),
      h("p", {}, h("strong", {}, `${plural(states, "state")} → ${plural(blocks, "block")}. `), `The quotient keeps ${this.data.preserves}.`),
    ];
    if (checked) body.push(h("p", { class: "checked" }, `✓ Checked again in this page, exactly: ${plural(checked, "sum")} compared.`));
    return { heading: states === blocks ? "No two states can be merged" : "The coarsest lumping", body, split: [], splitter: [], hot: [], done: true };
  }

  // Compare all sums of the final partition; return their number.
  recheck() {
    const groups = this.groups(this.history.splits);
    const failure = this.witness(groups.map((group) => group.members));
    if (failure) throw new Error("the recorded partition is not stable");
    return groups.length * this.units.length * this.rows.length;
  }

  invariant(k) {
    if (!this.history) return "";
    const count = this.history.alive(Math.min(k, this.history.splits)).length;
    if (k > this.history.splits) return "The blocks shown are the answer: stable, and forced.";
    return `After this step: every block of the answer lies inside one of the ${plural(count, "block")} shown. States that are apart must be apart; states that are together may still be separated.`;
  }

  // Two members of one block with different sums, or null.
  witness(blocks) {
    const sets = blocks.map((block) => new Set(block));
    for (const condition of this.rows.keys()) {
      for (const own of blocks) {
        for (const [index, set] of sets.entries()) {
          if (this.data.proportional && blocks[index] === own) continue;
          const first = this.compared(condition, own[0], set, own);
          for (const other of own.slice(1)) {
            const second = this.compared(condition, other, set, own);
            if (!this.same(first, second)) return { units: [own[0], other], index, condition, texts: [first.text, second.text], set };
          }
        }
      }
    }
    return null;
  }

  // Blocks after all have been compared by their sums into one of them; `texts` gets the sums of each part.
  splitBy(blocks, chosen, texts = new Map()) {
    const set = new Set(blocks[chosen]);
    let result = blocks;
    for (const condition of this.rows.keys()) {
      result = result.flatMap((block) => {
        if (this.data.proportional && block === blocks[chosen]) return [block];
        const parts = [];
        for (const unit of block) {
          const value = this.compared(condition, unit, set, block);
          const part = parts.find((one) => this.same(one.value, value));
          if (part) part.members.push(unit);
          else parts.push({ value, members: [unit] });
        }
        if (parts.length === 1) return [block];
        for (const part of parts) texts.set(part.members, [...(texts.get(block) ?? []), part.value.text]);
        return parts.map((part) => part.members);
      });
    }
    return result;
  }
}

// The interface of every story, besides `step`, `groups` and `invariant`.
class PlayedChain extends ChainStory {
  get rowNoun() {
    return "block";
  }

  view() {
    return new GraphView(data.graph, { label: `${data.title}: the graph`, units: this.units, pick: (unit) => page.pick(unit) });
  }

  subtitle() {
    const { states, blocks } = this.data.counts;
    const dots = { states: "", blocks: " Every dot is one block of the answer: its states behave alike from the start.", overview: " Too large to draw state by state: an overview." };
    return `${this.data.chain}, ${this.data.kind} lumping, ${this.identity}: ${plural(states, "state")} → ${plural(blocks, "block")}.${dots[this.data.level]}`;
  }

  matrixAt(k, now) {
    const condition = now.condition ?? 0;
    const { direction, entries } = this.data.conditions[condition];
    const groups = this.groups(k);
    const sums = new Map();
    const set = new Set(now.splitter);
    const block = new Set(now.split);
    for (const unit of now.split) sums.set(unit, now.recorded?.get(unit) ?? this.compared(condition, unit, set, block).text);
    const sides = direction === "out" ? "from row to column" : "from row to column, summed down the columns";
    return matrixView({
      order: groups.flatMap((group) => group.members),
      groups,
      entries: entries.map(([row, column, code]) => [row, column, this.weights[code].text]),
      hot: now.hot,
      sums,
      direction,
      totalName: this.data.proportional ? "share" : "sum",
      caption: `${this.data.matrix}, ${sides}; lines are the borders of blocks${now.hot.length ? "; marked: what is summed" : ""}.`,
      units: this.units,
      split: block,
      splitter: set,
    });
  }

  treeAt(k, now) {
    if (!this.history) return null;
    const step = Math.min(k, this.history.splits);
    return treeView(this.history, step, {
      weight: (block) => (this.data.level === "states" ? this.unitsOf[block].length : Math.sqrt(this.data.blocks[block].size)),
      colours: this.history.colour,
      marked: { split: now.node, splitter: now.splitterNode },
      describe: (node) => `${letter(node)}: ${this.nodeText(node)}`,
    });
  }

  candidates() {
    return this.data.states;
  }

  explain(first, second) {
    return explainChainPair(this, first, second);
  }

  get helpText() {
    return "A lumping puts states into blocks so that members of one block have equal sums into every block. The player starts from the blocks that must be kept apart and splits blocks where sums differ, one split at a time, until no sums differ. In “Your turn” you choose where to look, or draw up the blocks yourself.";
  }

  // A dot that is a block has the row of its first state.
  stateOf(unit) {
    return this.data.level === "states" ? unit : this.data.of.indexOf(this.units[unit].block);
  }

  quotientPicture(step) {
    const groups = this.groups(step);
    const units = this.data.blocks.map((block, i) => {
      const path = this.history.path(i);
      const group = groups.find((one) => one.id === path[path.length - 1]);
      return { name: block.name, size: block.size, notes: block.notes, group };
    });
    const view = new GraphView(this.data.quotient, { label: "The quotient", units });
    view.update({ groups: units.map((unit, i) => ({ ...unit.group, members: [i] })) });
    return view.svg;
  }

  unitOf(state) {
    return this.data.level === "states" ? state : this.data.of[state];
  }

  // For the search in the overview.
  tableRows() {
    return this.data.blocks.map(({ name, size, notes }, block) => [name, size, notes.join(", "), block]);
  }

  turn() {
    return this.drawn ? new ChainTurn(this) : null;
  }
}

const blockList = (rows) => h("ul", { class: "blocks" }, rows.slice(0, 40), rows.length > 40 ? h("li", {}, `… ${rows.length - 40} more`) : null);
