// "Your turn" with a chain: choose splitters, or make the blocks and let the page check them.

class ChainTurn {
  constructor(story) {
    this.story = story;
    this.start = story.groups(0).map((group) => group.members);
    this.graph = new GraphView(data.graph, { label: "Your blocks", units: story.units, pick: (unit) => this.pick(unit) });
    this.said = h("div", { class: "said", role: "status", "aria-live": "polite" });
    this.bins = new Bins(story.units, () => this.changed());
    this.splitterChoice = h("select", { id: "turn-splitter" });
    this.undoButton = h("button", { type: "button", onclick: () => this.undo() }, "Undo");
    this.element = h(
      "div",
      { class: "grid turn" },
      h(
        "article",
        { class: "task" },
        h("h2", {}, "Take it apart"),
        h("p", {}, "Choose a block, or click one of its members: all blocks are then compared by their sums ", story.way(0), " it."),
        h("p", { class: "controls" }, h("label", {}, "splitter ", this.splitterChoice), " ", h("button", { type: "button", id: "turn-split", onclick: () => this.split() }, "Compare and cut")),
        h("h2", {}, "Or propose the blocks"),
        h("p", {}, "Drag names from block to block (or focus one and use the arrow keys), then let the page check them."),
        this.bins.element,
        h("p", { class: "controls" }, h("button", { type: "button", id: "turn-check", onclick: () => this.check() }, "Is this a lumping?"), " ", this.undoButton, " ", h("button", { type: "button", onclick: () => this.restart() }, "Start again")),
      ),
      h("figure", {}, h("div", { class: "drawing" }, this.graph.svg)),
      this.said,
    );
    this.restart();
  }

  restart() {
    this.past = [];
    this.cuts = 0;
    this.set(this.start);
    this.say([h("p", {}, `Start with the blocks that must be kept apart: ${plural(this.start.length, "block")}.`)]);
  }

  undo() {
    const before = this.past.pop();
    if (before) this.set(before);
    this.say([h("p", {}, "One step back.")]);
  }

  set(blocks) {
    this.blocks = blocks.map((block) => [...block].sort((a, b) => a - b)).sort((a, b) => a[0] - b[0]);
    this.bins.set(this.blocks);
    this.show();
  }

  // After something was dragged.
  changed() {
    this.past.push(this.blocks);
    this.blocks = this.bins.blocks();
    this.show();
  }

  show(extra = {}) {
    this.groups = this.blocks.map((members, i) => ({ id: i, name: letter(i), colour: i, members }));
    const chosen = this.splitterChoice.value;
    this.splitterChoice.replaceChildren(...this.groups.map((group) => h("option", { value: group.id }, `${group.name} ${setOf(this.story.names(group.members), 4)}`)));
    if (chosen !== "" && chosen < this.groups.length) this.splitterChoice.value = chosen;
    this.undoButton.disabled = !this.past.length;
    this.graph.update({ groups: this.groups, ...extra });
  }

  pick(unit) {
    const index = this.blocks.findIndex((block) => block.includes(unit));
    this.splitterChoice.value = index;
    this.graph.update({ groups: this.groups, splitter: this.blocks[index] });
    this.say([h("p", {}, "Splitter: ", chip(this.groups[index]), ` ${setOf(this.story.names(this.blocks[index]))}.`)]);
  }

  split() {
    const chosen = Number(this.splitterChoice.value);
    const texts = new Map();
    const result = this.story.splitBy(this.blocks, chosen, texts);
    const cut = this.blocks.filter((block) => !result.includes(block));
    const splitter = this.groups[chosen];
    if (!cut.length) {
      this.graph.update({ groups: this.groups, splitter: splitter.members });
      const over = !this.unstable();
      this.say([h("p", {}, chip(splitter), " splits nothing: in every block, all sums into it agree.", over ? ` Nor does any other: this is the coarsest lumping, after ${plural(this.cuts, "useful look")}.` : " Try another one.")], over ? "yes" : "no");
      return;
    }
    this.past.push(this.blocks);
    this.cuts += 1;
    const words = cut.map((block) => {
      const parts = result.filter((part) => block.includes(part[0]));
      return h("li", {}, `${setOf(this.story.names(block))} splits into ${parts.map((part) => `${setOf(this.story.names(part))} with ${texts.get(part).join(", ")}`).join(" and ")}`);
    });
    this.set(result);
    const over = !this.unstable();
    // Blocks have new letters now, so the splitter goes by its members.
    const differ = this.story.data.proportional ? "shares" : "sums";
    this.say([h("p", {}, `Into ${setOf(this.story.names(splitter.members))} ${differ} differ:`), h("ul", {}, words), over ? h("p", {}, `Nothing splits any more: this is the coarsest lumping, after ${plural(this.cuts, "useful look")}.`) : null], over ? "yes" : "");
  }

  unstable() {
    return this.story.witness(this.blocks);
  }

  check() {
    const { story } = this;
    const names = (units) => units.map((unit) => story.units[unit].name);
    for (const block of this.blocks) {
      const other = block.find((unit) => !this.start.some((one) => one.includes(block[0]) && one.includes(unit)));
      if (other === undefined) continue;
      const [a, b] = names([block[0], other]);
      this.show({ chosen: [block[0], other] });
      const notes = [block[0], other].map((unit) => story.data.blocks[story.units[unit].block].must.join(", ") || "no label");
      this.say([h("p", {}, h("strong", {}, "No. "), `${a} and ${b} share a block, but must be kept apart`, notes[0] === notes[1] ? "." : `: ${a} has ${notes[0]}, ${b} has ${notes[1]}.`)], "no");
      return;
    }
    const witness = this.unstable();
    if (witness) {
      const [a, b] = names(witness.units);
      const set = [...witness.set];
      const hot = witness.units.flatMap((unit) => story.terms(witness.condition, unit, witness.set).map(([other]) => (story.way(witness.condition) === "into" ? [unit, other] : [other, unit])));
      this.show({ chosen: witness.units, splitter: set, hot });
      this.say([h("p", {}, h("strong", {}, "No. "), `${a} and ${b} share a block, but their sums ${story.way(witness.condition)} `, chip(this.groups[witness.index]), ` ${setOf(names(set))} are `, h("b", {}, signed(witness.texts[0])), " and ", h("b", {}, signed(witness.texts[1])), ".")], "no");
      return;
    }
    const best = new Set(story.units.map((unit) => unit.block)).size;
    this.show();
    const pair = this.blocks.flatMap((block, i) => this.blocks.slice(i + 1).map((other) => [block, other])).find(([block, other]) => story.units[block[0]].block === story.units[other[0]].block);
    const more = pair ? ` It is finer than necessary: ${setOf(names(pair[0]))} and ${setOf(names(pair[1]))} belong to one block of the coarsest, which has ${plural(best, "block")}.` : " And it is the coarsest.";
    this.say([h("p", {}, h("strong", {}, "Yes, a lumping. "), `${this.story.identity}.`, more)], pair ? "yes finer" : "yes");
  }

  say(words, mood = "") {
    this.said.className = `said ${mood}`;
    this.said.replaceChildren(...words.filter(Boolean));
  }
}

// Boxes with names in them that can be dragged, or moved with the arrow keys, from box to box.
class Bins {
  constructor(units, changed) {
    this.units = units;
    this.changed = changed;
    this.element = h("div", { class: "bins" });
  }

  set(blocks) {
    this.contents = blocks.map((block) => [...block]);
    this.draw();
  }

  blocks() {
    return this.contents.filter((content) => content.length);
  }

  draw(focus) {
    const boxes = [...this.contents.filter((content) => content.length), []];
    this.contents = boxes;
    this.element.replaceChildren(
      ...boxes.map((content, i) => {
        const group = { name: letter(i), colour: i };
        const empty = !content.length;
        return h("div", { class: empty ? "bin new" : "bin", role: "group", "aria-label": empty ? "a new one" : `block ${group.name}`, "data-bin": i }, empty ? h("span", { class: "hint" }, "a new one") : chip(group), content.map((unit) => this.card(unit, i)));
      }),
    );
    if (focus !== undefined) this.element.querySelector(`[data-card="${focus}"]`)?.focus();
  }

  card(unit, bin) {
    const card = h("button", { type: "button", class: "card", "data-card": unit, "aria-label": `${this.units[unit].name} in block ${letter(bin)}; arrow keys move it` }, this.units[unit].name);
    card.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      this.move(unit, Math.max(0, Math.min(this.contents.length - 1, bin + by)), true);
    });
    card.addEventListener("pointerdown", (event) => this.drag(event, card, unit));
    return card;
  }

  drag(event, card, unit) {
    if (event.button) return;
    const [x, y] = [event.clientX, event.clientY];
    card.setPointerCapture(event.pointerId);
    const follow = (moved) => {
      card.classList.add("dragged");
      card.style.transform = `translate(${moved.clientX - x}px, ${moved.clientY - y}px)`;
    };
    const drop = (ended) => {
      card.removeEventListener("pointermove", follow);
      card.style.transform = "";
      card.classList.remove("dragged");
      const bin = document.elementsFromPoint(ended.clientX, ended.clientY).find((one) => one.dataset?.bin);
      if (bin && ended.type === "pointerup") this.move(unit, Number(bin.dataset.bin), false);
    };
    card.addEventListener("pointermove", follow);
    card.addEventListener("pointerup", drop, { once: true });
    card.addEventListener("pointercancel", drop, { once: true });
  }

  move(unit, target, focus) {
    const from = this.contents.findIndex((content) => content.includes(unit));
    if (from === target) return;
    this.contents[from] = this.contents[from].filter((one) => one !== unit);
    this.contents[target] = [...this.contents[target], unit].sort((a, b) => a - b);
    this.draw(focus ? unit : undefined);
    this.changed();
  }
}
