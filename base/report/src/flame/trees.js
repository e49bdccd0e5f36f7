// Trees for the flame graph: by function or by line, below groups or not, from the root or from the leaf.
//
// Both kinds offer the same: `parent`, `code` (a function, or −1 − group), `line`, `total`, `own`, and
// `childrenOf(n)`, largest first. Node 0 is the root. A tree from the root is built once for a shape and summed
// again for each selection; a tree from the leaves grows where it is looked at.

/** Growing columns of a tree. */
class Nodes {
  constructor() {
    this.parent = [-1];
    this.code = [NaN];
    this.line = [0];
  }

  add(parent, code, line) {
    this.parent.push(parent);
    this.code.push(code);
    this.line.push(line);
    return this.parent.length - 1;
  }
}

/** Merges the lines of a function below one caller: `of[n]` is the merged node of the recording's node n. */
function mergeLines(recording) {
  const nodes = new Nodes();
  const of = new Int32Array(recording.nodeCount);
  const known = new Map();
  for (let node = 1; node < recording.nodeCount; node += 1) {
    const parent = of[recording.nodeParent[node]];
    const code = recording.nodeFunction[node];
    const key = parent * recording.functionCount + code;
    let merged = known.get(key);
    if (merged === undefined) {
      merged = nodes.add(parent, code, 0);
      known.set(key, merged);
    }
    of[node] = merged;
  }
  return { nodes, of };
}

/** The recording's own nodes in the same form. */
function keepLines(recording) {
  const nodes = new Nodes();
  const of = new Int32Array(recording.nodeCount);
  for (let node = 1; node < recording.nodeCount; node += 1) {
    of[node] = nodes.add(recording.nodeParent[node], recording.nodeFunction[node], recording.nodeLine[node]);
  }
  return { nodes, of };
}

/** A tree from the root. `shape`: group ("none", "process", "thread") and lines (split by line or not). */
class RootTree {
  constructor(recording, { group, lines }) {
    this.recording = recording;
    this.group = group;
    const base = lines ? keepLines(recording) : mergeLines(recording);
    if (group === "none") {
      this.nodes = base.nodes;
      this.ofNode = base.of;
    } else {
      this.ofRow = new Int32Array(recording.rowCount);
      this.nodes = new Nodes();
      this.placeBelowGroups(base);
    }
    this.parent = Int32Array.from(this.nodes.parent);
    this.code = this.nodes.code;
    this.line = this.nodes.line;
    this.size = this.parent.length;
    this.indexChildren();
  }

  /** Copies, for each group, the part of the tree that its rows reach. Rows of a group lie side by side. */
  placeBelowGroups({ nodes: base, of }) {
    const { recording } = this;
    const copy = new Int32Array(base.parent.length);
    let touched = [];
    let current = -1;
    for (let row = 0; row < recording.rowCount; row += 1) {
      const thread = recording.rowThread[row];
      const group = this.group === "thread" ? thread : recording.threadProcess[thread];
      if (group !== current) {
        for (const node of touched) copy[node] = 0;
        current = group;
        copy[ROOT] = this.nodes.add(ROOT, -1 - group, 0);
        touched = [ROOT];
      }
      const wanted = of[recording.rowNode[row]];
      if (copy[wanted] === 0) {
        const missing = [];
        for (let node = wanted; copy[node] === 0; node = base.parent[node]) missing.push(node);
        for (const below of missing.reverse()) {
          copy[below] = this.nodes.add(copy[base.parent[below]], base.code[below], base.line[below]);
          touched.push(below);
        }
      }
      this.ofRow[row] = copy[wanted];
    }
  }

  indexChildren() {
    this.firstChild = new Int32Array(this.size + 1);
    for (let node = 1; node < this.size; node += 1) this.firstChild[this.parent[node] + 1] += 1;
    for (let node = 0; node < this.size; node += 1) this.firstChild[node + 1] += this.firstChild[node];
    const next = Int32Array.from(this.firstChild);
    this.children = new Int32Array(Math.max(0, this.size - 1));
    for (let node = 1; node < this.size; node += 1) this.children[next[this.parent[node]]++] = node;
  }

  /** Takes the nodes' sums; below groups, where those do not tell the groups apart, the rows that the filter leaves. */
  sum(sums) {
    this.own = new Float64Array(this.size);
    if (this.ofNode) {
      for (let node = 1; node < sums.own.length; node += 1) this.own[this.ofNode[node]] += sums.own[node];
    } else {
      this.addRows(sums);
    }
    this.total = Float64Array.from(this.own);
    for (let node = this.size - 1; node > 0; node -= 1) this.total[this.parent[node]] += this.total[node];
    this.sorted = new Map();
    return this;
  }

  addRows(sums) {
    this.recording.eachCounted(sums, (row, amount) => {
      this.own[this.ofRow[row]] += amount;
    });
  }

  childrenOf(node) {
    let children = this.sorted.get(node);
    if (!children) {
      children = [];
      for (let index = this.firstChild[node]; index < this.firstChild[node + 1]; index += 1) {
        if (this.total[this.children[index]] > 0) children.push(this.children[index]);
      }
      children.sort((a, b) => this.total[b] - this.total[a] || a - b);
      this.sorted.set(node, children);
    }
    return children;
  }
}

/** A tree from the leaves of a summed root tree: below a function stand its callers. */
class LeafTree {
  constructor(tree) {
    this.tree = tree;
    this.nodes = new Nodes();
    this.parent = this.nodes.parent;
    this.code = this.nodes.code;
    this.line = this.nodes.line;
    this.total = [tree.total[ROOT]];
    this.own = [0];
    this.expanded = new Map();
    // For each of our nodes: nodes of the root tree that stand for it, with the ticks of the leaves above.
    this.members = [[]];
    for (let node = 1; node < tree.total.length; node += 1) {
      if (tree.own[node] > 0) this.members[ROOT].push(node, tree.own[node]);
    }
  }

  /** A group is no caller: climbing ends below it. */
  childrenOf(node) {
    let children = this.expanded.get(node);
    if (children) return children;
    const byFrame = new Map();
    const members = this.members[node];
    for (let index = 0; index < members.length; index += 2) {
      const member = node === ROOT ? members[index] : this.tree.parent[members[index]];
      if (member <= ROOT || this.tree.code[member] < 0) continue;
      const key = `${this.tree.code[member]}:${this.tree.line[member]}`;
      let child = byFrame.get(key);
      if (child === undefined) {
        child = this.nodes.add(node, this.tree.code[member], this.tree.line[member]);
        this.total.push(0);
        this.own.push(0);
        this.members.push([]);
        byFrame.set(key, child);
      }
      this.members[child].push(member, members[index + 1]);
      this.total[child] += members[index + 1];
      if (node === ROOT) this.own[child] += members[index + 1];
    }
    children = [...byFrame.values()].sort((a, b) => this.total[b] - this.total[a] || a - b);
    this.expanded.set(node, children);
    if (node !== ROOT) this.members[node] = [];
    return children;
  }
}

/** Makes trees and keeps those of the last shapes, whose building is what costs. */
class Forest {
  constructor(recording) {
    this.recording = recording;
    this.shapes = new Map();
  }

  tree(shape, sums) {
    const key = `${shape.group} ${shape.lines}`;
    let tree = this.shapes.get(key);
    if (!tree) {
      if (this.shapes.size >= 3) this.shapes.delete(this.shapes.keys().next().value);
      tree = new RootTree(this.recording, shape);
      this.shapes.set(key, tree);
    }
    if (tree.summedFor !== sums) {
      tree.sum(sums);
      tree.summedFor = sums;
    }
    return shape.invert ? new LeafTree(tree) : tree;
  }
}
