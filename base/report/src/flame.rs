//! The page with a flame graph, which tools share: what was counted below which calls, and when.
//!
//! A tool gives rows that stand at nodes of a tree of calls; the scripts here draw graph, table, source and time line,
//! and the tool's own scripts say what is counted and how it is called. Data are columns of numbers ([`Columns`]) below a
//! JSON text ([`assemble`]); `decode.js` is the other half: change both together. Start at [`FlamePage`].

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{Columns, Page};

/// In the order in which they build on each other.
const SCRIPTS: &[&str] = &[
    include_str!("flame/format.js"),
    include_str!("flame/decode.js"),
    include_str!("flame/call_tree.js"),
    include_str!("flame/trees.js"),
    include_str!("flame/choices.js"),
    include_str!("flame/colours.js"),
    include_str!("flame/tooltip.js"),
    include_str!("flame/time_axis.js"),
    include_str!("flame/flame.js"),
    include_str!("flame/table.js"),
    include_str!("flame/source.js"),
    include_str!("flame/keys.js"),
    include_str!("flame/flame_page.js"),
];

/// Names are cut here: a generated name of megabytes helps nobody.
const NAME_CHARS_MAX: usize = 400;

/// The page's node of what has no stack; 0 is its root.
pub const OUTSIDE: u32 = 1;

/// A page with a flame graph.
#[derive(Clone, Copy, Debug)]
pub struct FlamePage<'a> {
    /// Title of the browser's tab.
    pub title: &'a str,
    /// The tool's own style, after the one that all share.
    pub style: &'a str,
    /// Trusted HTML below the heading: what is counted.
    pub filters: &'a str,
    /// The tool's own scripts, after those that all share.
    pub scripts: &'a [&'a str],
    /// What [`assemble`] made, for the element `recording`.
    pub data: &'a [u8],
}

impl FlamePage<'_> {
    /// The whole file as text.
    pub fn render(&self) -> String {
        let body = [
            include_str!("flame/head.html"),
            self.filters,
            include_str!("flame/time.html"),
            include_str!("flame/panes.html"),
        ]
        .concat();
        let scripts = [SCRIPTS, self.scripts].concat();
        Page {
            title: self.title,
            styles: &[include_str!("flame/style.css"), self.style],
            body: &body,
            scripts: &scripts,
            data: &[("recording", self.data)],
        }
        .render()
    }
}

/// The data of a page: JSON, in which the columns are named, and the columns.
pub fn assemble(mut json: Value, columns: Columns) -> Vec<u8> {
    let (directory, columns) = columns.finish();
    if let Value::Object(object) = &mut json {
        object.insert("columns".to_owned(), directory);
    }
    let json = json.to_string();
    let length = u32::try_from(json.len()).expect("sources and names are limited far below 4 GiB");
    let mut bytes = Vec::with_capacity(4 + json.len() + columns.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(json.as_bytes());
    bytes.extend_from_slice(&columns);
    bytes
}

/// A function, as a page shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageFunction {
    /// Its name.
    pub name: String,
    /// Its source file; empty where there is none.
    pub file: String,
    /// The line of its `def`; 0 where it is not known.
    pub first_line: u32,
    /// `python`, `native` or `task`.
    pub kind: &'static str,
}

/// A line of a function, called from its parent; the parent's number is smaller, or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageNode {
    /// Its number.
    pub id: u32,
    /// Its caller's number, 0 for none.
    pub parent: u32,
    /// Its function's number.
    pub function: u32,
    /// The line.
    pub line: u32,
}

/// The nodes that something stands at, with their callers, in preorder (a parent before its children, a subtree without
/// a hole), which lets the page find totals and outermost calls in one pass.
#[derive(Debug, Default)]
pub struct PageTree {
    /// The page's nodes from [`OUTSIDE`] + 1 on: the node, and its parent's number in the page.
    nodes: Vec<(PageNode, u32)>,
    /// The page's number of a node, by its own; 0 where it is not on the page.
    page_ids: Vec<u32>,
    functions: Vec<PageFunction>,
    function_index: HashMap<u32, u32>,
    files: Vec<String>,
    file_of: Vec<u32>,
}

impl PageTree {
    /// Of all nodes, those that are `used`, with their callers.
    ///
    /// `outside` is the name of what has no stack, `function` gives a function by its number.
    ///
    /// Cost: O(nodes)
    pub fn of_used(
        nodes: &[PageNode],
        used: impl Iterator<Item = u32>,
        outside: &str,
        function: &dyn Fn(u32) -> Option<PageFunction>,
    ) -> PageTree {
        let last = nodes.iter().map(|node| node.id).max().unwrap_or(0) as usize;
        // One more than the index of each node; 0 is none.
        let mut index_of = vec![0_u32; last + 1];
        for (place, node) in (1_u32..).zip(nodes) {
            index_of[node.id as usize] = place;
        }
        let node = |id: u32| {
            let place = *index_of.get(id as usize)?;
            nodes.get((place as usize).checked_sub(1)?)
        };
        let mut is_used = vec![false; last + 1];
        for mut id in used {
            while let Some(found) = node(id) {
                // What was seen has its callers too.
                if std::mem::replace(&mut is_used[id as usize], true) {
                    break;
                }
                id = found.parent;
            }
        }
        let mut tree = PageTree { page_ids: vec![0; last + 1], ..PageTree::default() };
        tree.place(nodes, &is_used, &node);
        tree.name(outside, function);
        tree
    }

    /// Puts the used nodes into preorder.
    fn place<'n>(
        &mut self,
        nodes: &[PageNode],
        is_used: &[bool],
        node: &dyn Fn(u32) -> Option<&'n PageNode>,
    ) {
        // For each node, its last child, and the child before each child.
        let mut last_child = vec![0_u32; is_used.len().max(1)];
        let mut before = vec![0_u32; is_used.len().max(1)];
        for one in nodes.iter().filter(|one| is_used[one.id as usize]) {
            let parent = node(one.parent).map_or(0, |parent| parent.id) as usize;
            before[one.id as usize] = std::mem::replace(&mut last_child[parent], one.id);
        }
        // The last child is opened first, and so taken last.
        let mut open: Vec<(u32, u32)> = Vec::new();
        let open_children = |open: &mut Vec<(u32, u32)>, id: u32, page_id: u32| {
            let mut child = last_child[id as usize];
            while child != 0 {
                open.push((child, page_id));
                child = before[child as usize];
            }
        };
        open_children(&mut open, 0, 0);
        while let Some((id, page_parent)) = open.pop() {
            let Some(found) = node(id) else { continue };
            let page_id = OUTSIDE + 1 + self.nodes.len() as u32;
            self.nodes.push((*found, page_parent));
            self.page_ids[id as usize] = page_id;
            open_children(&mut open, id, page_id);
        }
    }

    /// Gathers the functions and files that the nodes use.
    fn name(&mut self, outside: &str, function: &dyn Fn(u32) -> Option<PageFunction>) {
        let mut file_index = HashMap::new();
        self.push(
            PageFunction { name: outside.to_owned(), kind: "python", ..PageFunction::default() },
            &mut file_index,
        );
        for index in 0..self.nodes.len() {
            let id = self.nodes[index].0.function;
            if !self.function_index.contains_key(&id) {
                let unknown = || PageFunction {
                    name: "(unknown function)".to_owned(),
                    kind: "python",
                    ..PageFunction::default()
                };
                let index = self.push(function(id).unwrap_or_else(unknown), &mut file_index);
                self.function_index.insert(id, index);
            }
        }
    }

    fn push(&mut self, function: PageFunction, file_index: &mut HashMap<String, u32>) -> u32 {
        let next = self.files.len() as u32;
        let file = *file_index.entry(function.file.clone()).or_insert_with(|| {
            self.files.push(function.file.clone());
            next
        });
        self.file_of.push(file);
        self.functions.push(function);
        self.functions.len() as u32 - 1
    }

    /// The page's number of a node; [`OUTSIDE`] where it is not on the page.
    pub fn page_id(&self, id: u32) -> u32 {
        self.page_ids.get(id as usize).copied().filter(|page_id| *page_id != 0).unwrap_or(OUTSIDE)
    }

    /// The index among [`PageTree::files`] of the file of a page's node; none outside of all stacks.
    pub fn file_of(&self, page_id: u32) -> Option<usize> {
        let (node, _) = self.nodes.get(page_id.checked_sub(OUTSIDE + 1)? as usize)?;
        Some(self.file_of[self.function_index[&node.function] as usize] as usize)
    }

    /// The files of the functions, each once.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The functions as the page's JSON has them.
    pub fn functions_json(&self) -> Value {
        json!({
            "name": self.functions.iter().map(|function| short(&function.name)).collect::<Vec<_>>(),
            "file": self.file_of,
            "line": self.functions.iter().map(|function| function.first_line).collect::<Vec<_>>(),
            "kind": self.functions.iter().map(|function| function.kind).collect::<Vec<_>>(),
        })
    }

    /// Writes the nodes.
    pub fn write(&self, columns: &mut Columns) {
        let ids = OUTSIDE + 1..;
        columns.write("node_up", ids.zip(&self.nodes).map(|(id, (_, parent))| u64::from(id - parent)));
        let function = |node: &PageNode| u64::from(self.function_index[&node.function]);
        columns.write("node_function", self.nodes.iter().map(|(node, _)| function(node)));
        columns.write("node_line", self.nodes.iter().map(|(node, _)| u64::from(node.line)));
    }
}

fn short(name: &str) -> String {
    if name.chars().nth(NAME_CHARS_MAX).is_none() {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME_CHARS_MAX).collect();
    format!("{kept}…")
}
