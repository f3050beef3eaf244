// The page: one step at a time, two states to compare, the reader's own turn.

const data = JSON.parse(byId("story").textContent);
let story = { colours: data.palette.colours, patterns: data.palette.patterns };
story = data.sort === "chain" ? new PlayedChain(data) : new PlayedNetwork(data);

const page = {
  at: 0,
  chosen: [],

  begin() {
    byId("title").textContent = data.title;
    byId("subtitle").textContent = story.subtitle();
    byId("slider").max = story.count - 1;
    document.body.dataset.level = data.level;
    if (story.drawn) {
      this.graph = story.view();
      byId("picture").append(s("svg", { class: "definitions", "aria-hidden": "true" }, patternDefinitions()), h("div", { class: "drawing" }, this.graph.svg), ...this.legend());
    } else {
      byId("picture").append(s("svg", { class: "definitions", "aria-hidden": "true" }, patternDefinitions()));
      byId("picture").classList.add("empty");
      byId("matrix-part").hidden = true;
    }
    this.pairPart();
    this.listPart();
    this.controls();
    this.go(0);
    this.turns();
    helpPart();
  },

  legend() {
    this.quotient = h("div", { class: "drawing quotient", hidden: true });
    const mark = (role, text) => h("span", { class: "key" }, s("svg", { viewBox: "0 0 24 24", class: "key-mark", "aria-hidden": "true" }, s("g", { class: `unit ${role}` }, s("circle", { class: "ring", cx: 12, cy: 12, r: 9 }), s("circle", { class: "base", cx: 12, cy: 12, r: 5.5, "data-colour": "none" }))), text);
    return [this.quotient, h("figcaption", {}, mark("split", story.legend?.split ?? "is split"), mark("splitter", story.legend?.splitter ?? "splitter"), mark("chosen", "chosen"))];
  },

  go(k) {
    this.at = Math.max(0, Math.min(story.count - 1, k));
    const now = story.step(this.at);
    this.now = now;
    byId("slider").value = this.at;
    byId("slider").setAttribute("aria-valuetext", `step ${this.at} of ${story.count - 1}: ${now.heading}`);
    byId("position").textContent = `step ${this.at} of ${story.count - 1}`;
    byId("heading").textContent = now.heading;
    byId("body").replaceChildren(...now.body.filter(Boolean));
    byId("invariant").textContent = story.invariant(this.at);
    for (const id of ["first", "back"]) byId(id).disabled = this.at === 0;
    for (const id of ["forward", "last"]) byId(id).disabled = this.at === story.count - 1;
    byId("live").textContent = `Step ${this.at} of ${story.count - 1}. ${now.heading}.`;
    const tree = story.treeAt(this.at, now);
    byId("tree-part").hidden = !tree;
    if (tree) byId("tree").replaceChildren(tree);
    if (story.drawn) {
      const matrix = story.matrixAt(this.at, now);
      byId("matrix-part").hidden = !matrix;
      if (matrix) byId("matrix").replaceChildren(matrix);
      showMarked(byId("matrix"));
      this.paintGraph();
      this.paintQuotient(now);
    }
  },

  paintGraph() {
    const chosen = this.chosen.map((one) => story.unitOf(one));
    this.graph.update({ groups: story.groups(this.at), ...this.now, chosen });
  },

  // The last step shows the quotient beside the original.
  paintQuotient(now) {
    const shown = Boolean(now.done && data.quotient);
    this.quotient.hidden = !shown;
    if (!shown || this.quotient.hasChildNodes()) return;
    this.quotient.append(h("h3", {}, "The quotient"), story.quotientPicture(this.at));
  },

  controls() {
    byId("first").onclick = () => this.go(0);
    byId("back").onclick = () => this.go(this.at - 1);
    byId("forward").onclick = () => this.go(this.at + 1);
    byId("last").onclick = () => this.go(story.count - 1);
    byId("slider").oninput = (event) => this.go(Number(event.target.value));
    const keys = { ArrowRight: () => this.at + 1, ArrowLeft: () => this.at - 1, Home: () => 0, End: () => story.count - 1, PageDown: () => this.at + 10, PageUp: () => this.at - 10 };
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=range]), select, textarea, dialog, [role=tablist], .bins, .scroll")) return;
      if (event.key === "?") byId("help").showModal();
      else if (event.key in keys && !byId("play").hidden) this.go(keys[event.key]());
      else return;
      event.preventDefault();
    });
  },

  // The first click chooses a state, the second another; the third starts again.
  pick(unit) {
    const one = story.stateOf(unit);
    this.choose(this.chosen.includes(one) ? this.chosen.filter((other) => other !== one) : this.chosen.length === 2 ? [one] : [...this.chosen, one]);
  },

  choose(chosen) {
    this.chosen = chosen;
    this.choices.forEach((choice, i) => choice.set(chosen[i]));
    const result = chosen.length === 2 ? story.explain(...chosen) : chosen.length === 1 ? [h("p", { class: "hint" }, `Choose another ${story.thing}.`)] : [h("p", { class: "hint" }, story.drawn ? `Click two ${story.noun}s in the picture, or name them here.` : "Name two states.")];
    byId("pair").replaceChildren(...result);
    if (story.drawn) this.paintGraph();
  },

  pairPart() {
    byId("pair-heading").textContent = "Why together, why apart?";
    byId("pair-part").hidden = !story.candidates().length;
    const update = () => {
      const chosen = this.choices.map((choice) => choice.get());
      this.choose(chosen.filter((one) => one >= 0));
    };
    this.choices = ["first", "second"].map((which) => chooser(`${which} ${story.thing}`, story.candidates(), update));
    byId("pair-choice").append(...this.choices.map((choice) => choice.element));
    this.choose([]);
  },

  // Blocks in a table that can be searched, if not everything can be drawn.
  listPart() {
    if (["states", "units"].includes(data.level)) return;
    const rows = story.tableRows();
    byId("list-part").hidden = false;
    byId("list-heading").textContent = story.listHeading ?? "Blocks";
    const body = h("tbody");
    const found = h("p", { class: "hint", "aria-live": "polite" });
    const search = () => {
      const wanted = input.value.toLowerCase();
      const hits = rows.filter((row) => row.slice(0, 3).some((text) => String(text).toLowerCase().includes(wanted)));
      body.replaceChildren(...hits.slice(0, 200).map(([name, size, notes]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "number" }, size.toLocaleString("en")), h("td", {}, notes))));
      found.textContent = `${plural(hits.length, story.rowNoun)}${hits.length > 200 ? ", the first 200 shown" : ""}`;
    };
    const input = h("input", { type: "search", "aria-label": "Search blocks", placeholder: "Search", oninput: search });
    const head = h("tr", {}, [story.listHeading ? "class" : "block", story.listSize ?? "states", story.listHeading ? "why" : "labels"].map((text) => h("th", { scope: "col" }, text)));
    byId("list").append(input, found, h("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": "Blocks" }, h("table", {}, h("thead", {}, head), body)));
    search();
  },

  turns() {
    const turn = story.turn();
    const tabs = [byId("tab-play"), byId("tab-turn")];
    if (turn) byId("turn").append(turn.element);
    else byId("turn").append(h("p", {}, "This model is too large to be refined by hand. Play it, or try a smaller one."));
    const show = (index) => {
      tabs.forEach((tab, i) => {
        tab.setAttribute("aria-selected", i === index);
        tab.tabIndex = i === index ? 0 : -1;
        byId(tab.getAttribute("aria-controls")).hidden = i !== index;
      });
    };
    tabs.forEach((tab, i) => {
      tab.onclick = () => show(i);
      tab.onkeydown = (event) => {
        if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
        show(1 - i);
        tabs[1 - i].focus();
      };
    });
    byId("help-button").onclick = () => byId("help").showModal();
  },
};

// A choice: a list, or a field to type in if the list would be long.
function chooser(label, names, update) {
  const id = `choose-${label.replaceAll(" ", "-")}`;
  if (names.length <= 200) {
    const select = h("select", { id, onchange: update }, h("option", { value: -1 }, "…"), names.map((name, i) => h("option", { value: i }, name)));
    return { element: h("label", {}, label, " ", select), get: () => Number(select.value), set: (value) => (select.value = value ?? -1) };
  }
  const index = new Map(names.map((name, i) => [name, i]));
  const input = h("input", { id, type: "text", autocomplete: "off", size: 14, placeholder: names[0], onchange: update });
  return { element: h("label", {}, label, " ", input), get: () => index.get(input.value.trim()) ?? -1, set: (value) => value !== undefined && (input.value = names[value]) };
}

// Scroll a wide matrix so that the first marked entry can be seen.
function showMarked(box) {
  const marked = box.querySelector("td.hot");
  box.scrollLeft = 0;
  if (!marked) return;
  const [outer, inner] = [box.getBoundingClientRect(), marked.getBoundingClientRect()];
  if (inner.right > outer.right - 60) box.scrollLeft = inner.left - outer.left - 140;
}

function helpPart() {
  const keys = [
    ["→ ←", "one step forward, back"],
    ["Home End", "to the start, to the end"],
    ["Page Down, Page Up", "ten steps"],
    ["Tab", "from one control to the next; Enter chooses"],
    ["Alt + → ←", "in the picture, from one dot to the next"],
    ["?", "this help"],
  ];
  byId("help-body").append(
    h("p", {}, story.helpText),
    h("table", {}, h("tbody", {}, keys.map(([key, what]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, key)), h("td", {}, what))))),
    h("p", {}, "Everything is computed in this page, in exact arithmetic; it loads nothing and sends nothing. Printing shows the current step."),
  );
}

page.begin();
document.documentElement.dataset.ready = "true";
