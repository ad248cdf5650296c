//! The imports between the files of a crate, read from their text.
//!
//! A small resolver of names is enough: it follows `mod`, `use` and inline paths to the file that
//! defines the name. It knows no types, so a call of a method is no import.

use crate::sources::Source;
use crate::tokens::Token::{Literal, Other, PathSeparator, Word};
use crate::tokens::{Attributes, Token, tokens};
use std::collections::{BTreeMap, BTreeSet};

/// A name of one file that another file uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// Path of the file that uses the name.
    pub from: String,
    /// Path of the file that defines the name.
    pub to: String,
    /// Number of the line in `from`, from 1.
    pub line: usize,
    /// The name as it is written in `from`.
    pub name: String,
}

/// Returns the imports between the files that the crate root at the path `root` is made of.
///
/// Code that is compiled for tests alone is left out; `cfg(loom)` and `cfg(shuttle)` are not. A
/// re-export is an import only if its own file uses the name.
pub fn imports(root: &str, files: &[Source]) -> Vec<Import> {
    let mut tree = Tree { files, modules: Vec::new(), macros: BTreeMap::new() };
    let Some(file) = tree.file(root) else {
        return Vec::new();
    };
    let module = tree.add_module(None, "crate", file);
    tree.read_file(module, parent(root));
    tree.imports()
}

/// A module: a file, or an inline module in a file.
struct Module<'a> {
    /// Index of the file.
    file: usize,
    parent: Option<usize>,
    name: &'a str,
    /// Items of this module, with the index of the file that defines each.
    items: BTreeMap<&'a str, usize>,
    uses: Vec<Use<'a>>,
    /// Paths in the code, with the line of their first use.
    paths: BTreeMap<Vec<&'a str>, usize>,
    /// Macros that are called by their bare name, with the line of their first call.
    macro_calls: BTreeMap<&'a str, usize>,
}

/// A name that a `use` declaration brings in.
struct Use<'a> {
    path: Vec<&'a str>,
    /// The name, or `None` for `*`.
    name: Option<&'a str>,
    is_public: bool,
    line: usize,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Module(usize),
    /// An item that the file with this index defines.
    Item(usize),
}

struct Tree<'a> {
    files: &'a [Source],
    modules: Vec<Module<'a>>,
    /// Macros that are visible in the whole crate, with the index of their file.
    macros: BTreeMap<&'a str, usize>,
}

impl<'a> Tree<'a> {
    fn file(&self, path: &str) -> Option<usize> {
        self.files.iter().position(|file| file.path == path)
    }

    fn add_module(&mut self, parent: Option<usize>, name: &'a str, file: usize) -> usize {
        self.modules.push(Module {
            file,
            parent,
            name,
            items: BTreeMap::new(),
            uses: Vec::new(),
            paths: BTreeMap::new(),
            macro_calls: BTreeMap::new(),
        });
        self.modules.len() - 1
    }

    /// Reads the file of `module` and those of its children, which are in `directory`.
    fn read_file(&mut self, module: usize, directory: &str) {
        let files = self.files;
        let text = &files[self.modules[module].file].text;
        let tokens = tokens(text);
        let mut reader = Reader { tree: self, tokens: &tokens, at: 0, pending: Vec::new() };
        reader.read_body(module, directory);
        for (module, directory) in std::mem::take(&mut reader.pending) {
            self.read_file(module, &directory);
        }
    }

    fn imports(&self) -> Vec<Import> {
        let mut found = BTreeSet::new();
        for (at, module) in self.modules.iter().enumerate() {
            let mut add = |to: usize, line, name| {
                if to != module.file {
                    let (from, to) = (self.files[module.file].path.clone(), self.files[to].path.clone());
                    found.insert(Import { from, to, line, name });
                }
            };
            let private = module.uses.iter().filter(|used| !used.is_public);
            let paths = private.map(|used| (&used.path, used.line));
            for (path, line) in paths.chain(module.paths.iter().map(|(path, &line)| (path, line))) {
                for target in self.resolve(at, path, &mut Vec::new()) {
                    if let Target::Item(to) = target {
                        add(to, line, path.join("::"));
                    }
                }
            }
            for (&name, &line) in &module.macro_calls {
                if self.lookup(at, name, &mut Vec::new()).is_empty()
                    && let Some(&to) = self.macros.get(name)
                {
                    add(to, line, format!("{name}!"));
                }
            }
        }
        found.into_iter().collect()
    }

    /// Returns what `path` leads to, seen from `module`. Nothing is an item of another crate.
    fn resolve(&self, module: usize, path: &[&'a str], seen: &mut Vec<(usize, &'a str)>) -> Vec<Target> {
        let mut targets = vec![Target::Module(module)];
        for (at, &name) in path.iter().enumerate() {
            let last = at + 1 == path.len();
            let mut next = Vec::new();
            for target in targets {
                let Target::Module(module) = target else {
                    next.push(target);
                    continue;
                };
                match name {
                    "crate" => next.push(Target::Module(0)),
                    "self" => next.push(Target::Module(module)),
                    "super" => next.extend(self.modules[module].parent.map(Target::Module)),
                    _ => {
                        let mut found = self.lookup(module, name, seen);
                        if !last && found.iter().any(|found| matches!(found, Target::Module(_))) {
                            found.retain(|found| matches!(found, Target::Module(_)));
                        }
                        // a name that a macro has made
                        if found.is_empty() && at > 0 {
                            found.push(Target::Item(self.modules[module].file));
                        }
                        next.extend(found);
                    }
                }
            }
            targets = next;
        }
        targets
    }

    /// Returns what `name` is in `module`.
    fn lookup(&self, module: usize, name: &'a str, seen: &mut Vec<(usize, &'a str)>) -> Vec<Target> {
        let this = &self.modules[module];
        let children = self.modules.iter().enumerate();
        let children = children.filter(|(_, child)| child.parent == Some(module) && child.name == name);
        let mut found: Vec<Target> = children.map(|(at, _)| Target::Module(at)).collect();
        if let Some(&file) = this.items.get(name) {
            found.push(Target::Item(file));
        }
        // a `use` may name a child module of the same name
        if seen.contains(&(module, name)) {
            return found;
        }
        seen.push((module, name));
        for used in this.uses.iter().filter(|used| used.name == Some(name)) {
            found.extend(self.resolve(module, &used.path, seen));
        }
        if found.is_empty() {
            for used in this.uses.iter().filter(|used| used.name.is_none()) {
                for target in self.resolve(module, &used.path, seen) {
                    if let Target::Module(other) = target {
                        found.extend(self.lookup(other, name, seen));
                    }
                }
            }
        }
        seen.pop();
        found
    }
}

/// A reader of the tokens of one file.
struct Reader<'t, 'a> {
    tree: &'t mut Tree<'a>,
    tokens: &'t [(Token<'a>, usize)],
    at: usize,
    /// Modules in files of their own that are to be read, with the directories of their children.
    pending: Vec<(usize, String)>,
}

const ITEMS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];

impl<'t, 'a> Reader<'t, 'a> {
    fn token(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).map(|&(token, _)| token)
    }

    fn before(&self, back: usize) -> Option<Token<'a>> {
        self.at.checked_sub(back).and_then(|at| self.tokens.get(at)).map(|&(token, _)| token)
    }

    fn line(&self) -> usize {
        self.tokens[self.at].1
    }

    /// Reads the body of `module` and the closing brace of an inline module.
    fn read_body(&mut self, module: usize, directory: &str) {
        let mut depth = 0_usize;
        let mut attributes = Attributes::default();
        while let Some(token) = self.token(0) {
            let level = depth == 0;
            match token {
                Other('#') if self.token(1) == Some(Other('[')) => {
                    self.at += 1;
                    attributes.add(self.group());
                    if attributes.is_test {
                        self.skip_item();
                        attributes = Attributes::default();
                    }
                    continue;
                }
                Other('#') if self.token(1) == Some(Other('!')) && self.token(2) == Some(Other('[')) => {
                    self.at += 2;
                    let mut inner = Attributes::default();
                    inner.add(self.group());
                    if inner.is_test {
                        self.skip_rest();
                        return;
                    }
                    continue;
                }
                Other('{') => depth += 1,
                Other('}') if level => {
                    self.at += 1;
                    return;
                }
                Other('}') => depth -= 1,
                Word("use") if self.token(1) != Some(Other('<')) => {
                    self.read_use(module);
                    attributes = Attributes::default();
                    continue;
                }
                Word("mod") if self.read_module(module, directory, &attributes) => {
                    attributes = Attributes::default();
                    continue;
                }
                Word("macro_rules") if self.token(1) == Some(Other('!')) => {
                    if let Some(Word(name)) = self.token(2) {
                        self.add_macro(module, name, attributes.is_export);
                        self.at += 2;
                    }
                }
                Word(keyword) if level && ITEMS.contains(&keyword) => self.read_item(module, keyword),
                Word(name) => self.read_path(module, name),
                _ => {}
            }
            if matches!(token, Other(';' | '{' | '}')) {
                attributes = Attributes::default();
            }
            self.at += 1;
        }
    }

    /// Returns the tokens between the brackets that start here, and moves behind them.
    fn group(&mut self) -> &'t [(Token<'a>, usize)] {
        let start = self.at + 1;
        let mut depth = 0_usize;
        while let Some(token) = self.token(0) {
            self.at += 1;
            match token {
                Other('[') => depth += 1,
                Other(']') if depth == 1 => return &self.tokens[start..self.at - 1],
                Other(']') => depth -= 1,
                _ => {}
            }
        }
        &self.tokens[start.min(self.at)..]
    }

    /// Moves behind the closing brace of the module.
    fn skip_rest(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.token(0) {
            self.at += 1;
            match token {
                Other('{') => depth += 1,
                Other('}') if depth == 0 => return,
                Other('}') => depth -= 1,
                _ => {}
            }
        }
    }

    /// Moves behind the item, field, variant or statement that starts here.
    fn skip_item(&mut self) {
        while self.token(0) == Some(Other('#')) && self.token(1) == Some(Other('[')) {
            self.at += 1;
            self.group();
        }
        let (has_block, has_comma) = self.item_ends();
        let mut depth = 0_usize;
        while let Some(token) = self.token(0) {
            match token {
                Other('}' | ')' | ']') if depth == 0 => return,
                Other('{' | '(' | '[') => depth += 1,
                Other(';') if depth == 0 => break,
                Other(',') if depth == 0 && has_comma => break,
                Other('}') if depth == 1 && has_block => break,
                Other('}' | ')' | ']') => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        self.at += 1;
    }

    /// Returns whether the item that starts here can end with a block and with a comma.
    fn item_ends(&self) -> (bool, bool) {
        let mut ahead = 0;
        let mut in_parentheses = false;
        while let Some(token) = self.token(ahead) {
            ahead += 1;
            match token {
                Other('(') => in_parentheses = true,
                Other(')') => in_parentheses = false,
                _ if in_parentheses => {}
                Literal(_) | Word("pub" | "unsafe" | "async" | "default" | "extern" | "safe") => {}
                Word("const") if matches!(self.token(ahead), Some(Word("fn" | "unsafe" | "extern"))) => {}
                Word("const" | "static" | "type" | "use" | "let") => return (false, false),
                Word("fn" | "impl" | "mod" | "struct" | "enum" | "trait" | "union" | "macro_rules") => {
                    return (true, false);
                }
                _ => break,
            }
        }
        (true, true)
    }

    /// Reads a `use` declaration.
    fn read_use(&mut self, module: usize) {
        let mut back = 1;
        if self.before(1) == Some(Other(')')) {
            while self.before(back).is_some_and(|token| token != Other('(')) {
                back += 1;
            }
            back += 1;
        }
        let is_public = self.before(back) == Some(Word("pub"));
        self.at += 1;
        self.read_use_tree(module, &[], is_public);
        while self.token(0).is_some_and(|token| token != Other(';')) {
            self.at += 1;
        }
        self.at += 1;
    }

    fn read_use_tree(&mut self, module: usize, prefix: &[&'a str], is_public: bool) {
        let mut path = prefix.to_vec();
        let mut name = None;
        let line = self.line();
        while let Some(token) = self.token(0) {
            match token {
                Word("as") => {
                    name = self.token(1);
                    self.at += 2;
                    break;
                }
                Word(word) => path.push(word),
                // a path that starts with `::` is one of another crate, and no name is empty
                PathSeparator if path.is_empty() => path.push(""),
                PathSeparator | Other('$') => {}
                Other('*') => {
                    self.at += 1;
                    self.tree.modules[module].uses.push(Use { path, name: None, is_public, line });
                    return;
                }
                Other('{') => return self.read_use_list(module, &path, is_public),
                _ => break,
            }
            self.at += 1;
        }
        if path.len() > 1 && path.last() == Some(&"self") {
            path.pop();
        }
        let name = match name {
            Some(Word(name)) => Some(name),
            _ => path.last().copied(),
        };
        if name.is_some() {
            self.tree.modules[module].uses.push(Use { path, name, is_public, line });
        }
    }

    fn read_use_list(&mut self, module: usize, prefix: &[&'a str], is_public: bool) {
        self.at += 1;
        while let Some(token) = self.token(0) {
            match token {
                Other('}') => {
                    self.at += 1;
                    return;
                }
                Word(_) | PathSeparator | Other('*') => self.read_use_tree(module, prefix, is_public),
                _ => self.at += 1,
            }
        }
    }

    /// Reads a `mod` item. Returns whether there is one.
    fn read_module(&mut self, module: usize, directory: &str, attributes: &Attributes) -> bool {
        let (Some(Word(name)), Some(Other(end))) = (self.token(1), self.token(2)) else {
            return false;
        };
        let file = self.tree.modules[module].file;
        let inner = join(directory, name);
        match end {
            '{' => {
                self.at += 3;
                let child = self.tree.add_module(Some(module), name, file);
                self.read_body(child, &inner);
            }
            ';' => {
                self.at += 3;
                let own = parent(&self.tree.files[file].path);
                let mut candidates: Vec<(String, String)> = Vec::new();
                for path in &attributes.paths {
                    let path = join(own, path);
                    let children = parent(&path).to_owned();
                    candidates.push((path, children));
                }
                if attributes.paths.is_empty() || attributes.is_conditional {
                    candidates.push((format!("{inner}.rs"), inner.clone()));
                    candidates.push((format!("{inner}/mod.rs"), inner));
                }
                for (path, children) in candidates {
                    if let Some(file) = self.tree.file(&path) {
                        let child = self.tree.add_module(Some(module), name, file);
                        self.pending.push((child, children));
                    }
                }
            }
            _ => return false,
        }
        true
    }

    /// Reads the name of an item.
    fn read_item(&mut self, module: usize, keyword: &str) {
        let skip = usize::from(keyword == "static" && self.token(1) == Some(Word("mut")));
        if let Some(Word(name)) = self.token(1 + skip)
            && !matches!(name, "fn" | "unsafe" | "extern" | "async")
        {
            let module = &mut self.tree.modules[module];
            module.items.insert(name, module.file);
            self.at += 1 + skip;
        }
    }

    /// Reads a path that starts here with `name`.
    fn read_path(&mut self, module: usize, name: &'a str) {
        let mut path = vec![name];
        let mut ahead = 1;
        while let (Some(PathSeparator), Some(Word(next))) = (self.token(ahead), self.token(ahead + 1)) {
            path.push(next);
            ahead += 2;
        }
        let line = self.line();
        let next = self.token(ahead);
        let is_member = match self.before(1) {
            Some(PathSeparator) => true,
            Some(Other('.')) => self.before(2) != Some(Other('.')),
            Some(Other('$')) => name != "crate",
            _ => false,
        };
        self.at += ahead - 1;
        if is_member {
            return;
        }
        let module = &mut self.tree.modules[module];
        if path.len() == 1 && next == Some(Other('!')) {
            module.macro_calls.entry(name).or_insert(line);
        }
        // a single word in lower case that is not called is mostly a variable
        let is_upper = name.starts_with(char::is_uppercase);
        if path.len() > 1 || is_upper || matches!(next, Some(Other('(' | '!'))) {
            module.paths.entry(path).or_insert(line);
        }
    }

    fn add_macro(&mut self, module: usize, name: &'a str, is_export: bool) {
        let file = self.tree.modules[module].file;
        self.tree.modules[module].items.insert(name, file);
        self.tree.macros.insert(name, file);
        if is_export {
            self.tree.modules[0].items.insert(name, file);
        }
    }
}

/// Returns `path` as seen from `directory`.
fn join(directory: &str, path: &str) -> String {
    let mut names: Vec<&str> = directory.split('/').filter(|name| !name.is_empty()).collect();
    for name in path.split('/') {
        match name {
            "." => {}
            ".." => drop(names.pop()),
            _ => names.push(name),
        }
    }
    names.join("/")
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

#[cfg(test)]
#[path = "imports_tests.rs"]
mod tests;
