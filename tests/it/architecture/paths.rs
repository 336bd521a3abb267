//! The paths that a source file names, made absolute, with those of its `use` lines apart.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{Token, tokens};

/// A path of modules below the crate, such as `seal`, `manifest`.
pub(super) type Module = Vec<String>;

/// One file of `src/`: its paths, and the names that its `use` lines bind.
#[derive(Default)]
pub(super) struct Unit {
    pub(super) paths: Vec<Import>,
    pub(super) bindings: BTreeMap<String, Vec<String>>,
    pub(super) children: BTreeSet<String>,
}

/// A path as written, made absolute, and whether a test wrote it.
pub(super) struct Import {
    pub(super) path: Vec<String>,
    pub(super) in_test: bool,
}

impl Unit {
    /// Reads the text of `module`.
    pub(super) fn read(text: &str, module: Module) -> Self {
        Reader::read(text, module)
    }
}

/// Reads one file, token by token.
struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    module: Module,
    /// Open braces: the inline modules among them by name, and whether they are tests.
    braces: Vec<Option<(String, bool)>>,
    unit: Unit,
    /// Imports by `pub use`, and the name that each binds: needed here only if the name is used besides.
    handed_on: Vec<(String, Vec<String>)>,
    words: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn read(text: &'a str, module: Module) -> Unit {
        let unit = Unit::default();
        let (handed_on, words) = (Vec::new(), BTreeSet::new());
        let mut reader = Self { tokens: tokens(text), at: 0, module, braces: Vec::new(), unit, handed_on, words };
        reader.find_children();
        while reader.at < reader.tokens.len() {
            reader.step();
        }
        for (name, path) in std::mem::take(&mut reader.handed_on) {
            if reader.words.contains(&name) {
                reader.unit.paths.push(Import { path, in_test: false });
            }
        }
        reader.unit
    }

    fn find_children(&mut self) {
        for at in self.tokens.windows(3) {
            if let [Token::Word("mod"), Token::Word(name), Token::Mark(';')] = at {
                self.unit.children.insert((*name).to_owned());
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn step(&mut self) {
        match self.peek(0) {
            Some(Token::Word("use")) => self.use_line(),
            Some(Token::Word("mod")) => self.module_line(),
            Some(Token::Word(_)) => self.inline_path(),
            Some(Token::Mark('{')) => {
                self.braces.push(None);
                self.at += 1;
            }
            Some(Token::Mark('}')) => {
                self.braces.pop();
                self.at += 1;
            }
            _ => self.at += 1,
        }
    }

    fn in_test(&self) -> bool {
        self.braces.iter().flatten().any(|(_, is_test)| *is_test)
    }

    /// `mod name {` opens an inline module.
    fn module_line(&mut self) {
        if let (Some(Token::Word(name)), Some(Token::Mark('{'))) = (self.peek(1), self.peek(2)) {
            let cfg_test =
                [Token::Word("cfg"), Token::Mark('('), Token::Word("test"), Token::Mark(')'), Token::Mark(']')];
            let is_test = self.tokens[..self.at].ends_with(&cfg_test);
            self.braces.push(Some((name.to_owned(), is_test)));
            self.at += 3;
        } else {
            // The name is no path.
            self.at += 2;
        }
    }

    /// A path in an expression or type.
    fn inline_path(&mut self) {
        let mut path = Vec::new();
        while let Some(Token::Word(word)) = self.peek(0) {
            path.push(word.to_owned());
            self.at += 1;
            if self.peek(0) != Some(Token::Colons) {
                break;
            }
            self.at += 1;
        }
        self.words.extend(path.iter().cloned());
        if let Some(path) = self.absolute(&path) {
            let in_test = self.in_test();
            self.unit.paths.push(Import { path, in_test });
        }
    }

    /// A whole `use` line.
    fn use_line(&mut self) {
        let is_handed_on = self.is_public();
        self.at += 1;
        let mut found = Vec::new();
        self.use_tree(&[], &mut found);
        let in_test = self.in_test();
        for (name, path) in found {
            let Some(path) = self.absolute(&path) else { continue };
            if !self.braces.iter().any(Option::is_some) {
                self.unit.bindings.insert(name.clone(), path.clone());
            }
            if is_handed_on {
                self.handed_on.push((name, path));
            } else {
                self.unit.paths.push(Import { path, in_test });
            }
        }
    }

    /// Whether `pub`, or `pub(…)`, stands before the word under the reader.
    fn is_public(&self) -> bool {
        let mut before = self.tokens[..self.at].iter().rev();
        match before.next() {
            Some(Token::Mark(')')) => {
                before.find(|token| **token == Token::Mark('(')).is_some() && before.next() == Some(&Token::Word("pub"))
            }
            token => token == Some(&Token::Word("pub")),
        }
    }

    /// `a::b`, `a::{b, c as d}`, `a::*`: each name with its path.
    fn use_tree(&mut self, prefix: &[String], found: &mut Vec<(String, Vec<String>)>) {
        let mut path = prefix.to_vec();
        loop {
            match self.peek(0) {
                Some(Token::Word("self")) if !path.is_empty() => self.at += 1,
                Some(Token::Word(word)) => {
                    path.push(word.to_owned());
                    self.at += 1;
                }
                Some(Token::Mark('{')) => return self.use_group(&path, found),
                Some(Token::Mark('*')) => {
                    path.push("*".to_owned());
                    self.at += 1;
                }
                _ => {}
            }
            if self.peek(0) != Some(Token::Colons) {
                break;
            }
            self.at += 1;
        }
        let mut name = path.last().cloned().unwrap_or_default();
        if let (Some(Token::Word("as")), Some(Token::Word(alias))) = (self.peek(0), self.peek(1)) {
            alias.clone_into(&mut name);
            self.at += 2;
        }
        found.push((name, path));
    }

    fn use_group(&mut self, prefix: &[String], found: &mut Vec<(String, Vec<String>)>) {
        self.at += 1;
        while self.peek(0).is_some_and(|token| token != Token::Mark('}')) {
            self.use_tree(prefix, found);
            if self.peek(0) == Some(Token::Mark(',')) {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    /// The path below the crate; `None` for other crates and for single words, such as the one in `pub(super)`.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        if path.len() < 2 {
            return None;
        }
        let mut module = self.module.clone();
        let inline = self.braces.iter().flatten().map(|(name, _)| name.clone());
        module.extend(inline);
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (module, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while let Some("super") = rest.first().map(String::as_str) {
                    module.pop();
                    rest = &rest[1..];
                }
            }
            first if self.unit.children.contains(first) => module.clone_from(&self.module),
            _ => return None,
        }
        module.extend_from_slice(rest);
        Some(module)
    }
}

#[test]
fn paths_are_made_absolute() {
    let module = ["seal", "a"].map(str::to_owned).to_vec();
    for (text, paths) in [
        ("use crate::base::{Code, Exit as E, path::{self, *}};", "base::Code base::Exit base::path base::path::*"),
        ("use super::{b, super::tree};", "seal::b tree"),
        ("use std::fs; use thiserror::Error;", ""),
        ("fn f(x: crate::base::Code) -> self::X { super::g(x) }", "base::Code seal::a::X seal::g"),
        ("mod tests { use super::*; fn f() { super::super::g() } }", "seal::a::* seal::g"),
        ("mod inner; fn f() { inner::g(); other::h() }", "seal::a::inner::g"),
        ("pub use inner::A; mod inner;", ""),
        ("pub(super) use inner::A; mod inner; struct B(A);", "seal::a::inner::A"),
    ] {
        let unit = Unit::read(text, module.clone());
        let found: Vec<_> = unit.paths.iter().map(|import| import.path.join("::")).collect();
        assert_eq!(found.join(" "), paths, "{text}");
    }
}
