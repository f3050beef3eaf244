// The history of splits: a forest over the final blocks, every node a range of `order`.

class History {
  constructor(data, sizes) {
    Object.assign(this, data);
    this.count = this.starts.length;
    this.splits = this.split_node.length;
    this.parent = new Array(this.count).fill(-1);
    this.depth = new Array(this.count).fill(0);
    this.born = new Array(this.count).fill(0); // the step after which a node is there
    this.died = new Array(this.count).fill(Infinity); // the step that takes it apart
    this.colour = Array.from({ length: this.count }, (_, node) => (node < this.roots ? node : -1));
    // The number of states before each place of `order`; differences are the sizes of nodes.
    this.before = [0];
    for (const block of this.order) this.before.push(this.before[this.before.length - 1] + sizes[block]);
    let colours = this.roots;
    for (let split = 0; split < this.splits; split++) {
      const node = this.split_node[split];
      const parts = this.parts(split);
      this.died[node] = split + 1;
      // The largest part keeps the colour, so that little changes from step to step.
      const largest = parts.reduce((best, part) => (this.size(part) > this.size(best) ? part : best));
      for (const part of parts) {
        this.parent[part] = node;
        this.depth[part] = this.depth[node] + 1;
        this.born[part] = split + 1;
        this.colour[part] = part === largest ? this.colour[node] : colours++;
      }
    }
  }

  parts(split) {
    const first = this.first_part[split];
    return Array.from({ length: this.first_part[split + 1] - first }, (_, i) => first + i);
  }

  blocks(node) {
    return this.order.slice(this.starts[node], this.ends[node]);
  }

  size(node) {
    return this.before[this.ends[node]] - this.before[this.starts[node]];
  }

  alive(step) {
    const nodes = [];
    for (let node = 0; node < this.count; node++) {
      if (this.born[node] <= step && step < this.died[node]) nodes.push(node);
    }
    return nodes.sort((a, b) => this.starts[a] - this.starts[b]);
  }

  // The leaf of a final block, and the path to it from its root.
  path(block) {
    this.leaf ??= this.alive(this.splits).reduce((leaves, node) => ((leaves[this.order[this.starts[node]]] = node), leaves), []);
    const way = [];
    for (let node = this.leaf[block]; node >= 0; node = this.parent[node]) way.unshift(node);
    return way;
  }

  // The split that separates two final blocks: its number and the two parts; null for different roots.
  separation(one, other) {
    const first = this.path(one);
    const second = this.path(other);
    if (first[0] !== second[0]) return null;
    const level = first.findIndex((node, i) => node !== second[i]);
    return { split: this.died[first[level - 1]] - 1, parts: [first[level], second[level]] };
  }

  sum(part) {
    return this.sums[part - this.roots];
  }

  get height() {
    return 1 + Math.max(0, ...this.depth);
  }
}
