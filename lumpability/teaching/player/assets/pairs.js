// Why two states share a block, or do not: from the history alone where nothing is drawn.

function explainChainPair(story, first, second) {
  const { data, history } = story;
  const [a, b] = [data.states[first], data.states[second]];
  const [one, other] = [data.of[first], data.of[second]];
  if (first === second) return [h("p", {}, "These are the same.")];
  if (one === other) return together(story, a, b, one);
  if (!history) return [h("p", {}, `${a} and ${b} are in different blocks: ${data.blocks[one].name} and ${data.blocks[other].name}.`)];
  const separation = history.separation(one, other);
  const head = h("p", {}, h("strong", {}, `${a} and ${b} are apart. `));
  if (!separation) {
    const notes = [one, other].map((block) => data.blocks[block].must.join(", ") || "no label");
    head.append(notes[0] === notes[1] ? "The initial partition keeps them apart." : `They must be: ${a} has ${notes[0]}; ${b} has ${notes[1]}.`);
    return [head, goto(story, 0)];
  }
  const { split, parts } = separation;
  const condition = history.condition[split];
  const splitter = story.group(history.splitter[split]);
  const what = data.proportional ? "shares of what leaves their block" : `total ${story.amounts}`;
  head.append(`Their ${what} ${story.way(condition)} `, chip(splitter), ` ${splitter.text} differ:`);
  const rows = [
    [a, parts[0]],
    [b, parts[1]],
  ].map(([name, part]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "number" }, signed(history.sum(part)))));
  return [head, h("table", {}, h("tbody", {}, rows)), goto(story, split + 1)];
}

function together(story, a, b, block) {
  const { data } = story;
  const head = h("p", {}, h("strong", {}, `${a} and ${b} are together. `));
  if (data.level === "overview" || !story.history) {
    head.append(`Both are in ${data.blocks[block].name}: all their sums into blocks agree, because ${story.identity}.`);
    return [head];
  }
  const units = data.level === "states" ? [data.states.indexOf(a), data.states.indexOf(b)] : [block];
  head.append(data.proportional ? "Equal shares of their rates out of the block go into every other block:" : "All their sums agree:");
  const own = story.unitsOf[block];
  const groups = story.groups(story.history.splits);
  const rows = [];
  for (const condition of story.rows.keys()) {
    for (const group of groups) {
      const set = new Set(group.members);
      if (data.proportional && set.has(units[0])) continue;
      const texts = units.map((unit) => story.sumText(condition, unit, set, own));
      if (texts.every((text) => text === "0")) continue;
      rows.push(h("tr", {}, h("th", { scope: "row" }, `${story.way(condition)} `, chip(group), " ", h("small", {}, setOf(story.names(group.members), 3))), texts.map((text) => h("td", { class: "number" }, text))));
    }
  }
  const names = data.level === "states" ? [a, b] : ["every member"];
  const table = h("table", {}, h("thead", {}, h("tr", {}, h("td"), names.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows));
  return [head, rows.length ? table : h("p", {}, "They have no transitions that are summed."), h("p", {}, `No later step could separate them: ${story.identity}.`)];
}

const goto = (story, step) => h("p", {}, h("button", { type: "button", onclick: () => page.go(step) }, `Show step ${step}`));
