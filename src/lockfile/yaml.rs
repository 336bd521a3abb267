//! The YAML that package managers write: mappings and lists by indentation, scalars on one line, flow collections on
//! one line. Anything else that YAML allows is refused: what is read here is written by machines.

use std::collections::BTreeSet;

use super::{LockfileError, LockfileText};
use crate::base::Escaped;

/// Levels of mappings.
const DEPTH_MAX: usize = 32;

/// Levels of flow collections in one line.
const FLOW_DEPTH_MAX: usize = 4;

/// A value and the line that it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// From 1.
    pub line: usize,
    /// What it is.
    pub value: Yaml,
}

/// A value. Numbers, booleans and null are text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yaml {
    /// A scalar; empty where nothing is written.
    Text(String),
    /// A mapping in the order of the text, each key once.
    Map(Vec<(String, Node)>),
    /// A list.
    List(Vec<Node>),
}

impl Node {
    /// Reads a document whose outermost value is a mapping.
    pub fn read(file: &LockfileText<'_>) -> Result<Self, LockfileError> {
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(file.text.lines()) {
            if line == "---" && number == 1 {
                continue;
            }
            if line == "---" || line == "..." {
                return Err(file.unsupported(number, "expected one document, found another"));
            }
            let text = line.trim_start_matches(' ');
            lines.push(Line { number, indent: line.len() - text.len(), text: text.trim_end_matches(' ') });
        }
        let mut reader = Reader { lines: lines.clone(), at: 0 };
        let read = reader.mapping(0, DEPTH_MAX).and_then(|map| match reader.peek() {
            None => Ok(map),
            Some(line) => Err(line.number),
        });
        match read {
            Ok(map) => Ok(Self { line: 1, value: Yaml::Map(map) }),
            Err(number) => {
                let line = lines.iter().find(|line| line.number == number).map(|line| line.text).unwrap_or_default();
                let shown = Escaped(line.as_bytes());
                Err(file.malformed(number, format!("expected YAML as package managers write it, found `{shown}`")))
            }
        }
    }

    /// The value of a key of a mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The keys and values of a mapping.
    #[must_use]
    pub fn map(&self) -> Option<&[(String, Self)]> {
        match &self.value {
            Yaml::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Text(text) => Some(text),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    number: usize,
    indent: usize,
    text: &'a str,
}

/// Goes through the lines. An error is the number of the line that is wrong.
struct Reader<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
}

type Read<T> = Result<T, usize>;

impl<'a> Reader<'a> {
    /// The next line with something on it.
    fn peek(&mut self) -> Option<Line<'a>> {
        while let Some(line) = self.lines.get(self.at) {
            if !line.text.is_empty() && !line.text.starts_with('#') {
                return Some(*line);
            }
            self.at += 1;
        }
        None
    }

    fn mapping(&mut self, indent: usize, depth: usize) -> Read<Vec<(String, Node)>> {
        let mut map: Vec<(String, Node)> = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(line) = self.peek().filter(|line| line.indent >= indent) {
            let depth = depth.checked_sub(1).ok_or(line.number)?;
            if let Some(long) = line.text.strip_prefix("? ").filter(|_| line.indent == indent) {
                let (key, node) = self.long_key(line, long, depth)?;
                if !seen.insert(key.clone()) {
                    return Err(line.number);
                }
                map.push((key, node));
                continue;
            }
            let (key, rest) = key(line.text).filter(|_| line.indent == indent).ok_or(line.number)?;
            if !seen.insert(key.clone()) {
                return Err(line.number);
            }
            self.at += 1;
            let value = self.value(line, rest, depth)?;
            map.push((key, Node { line: line.number, value }));
        }
        Ok(map)
    }

    /// A key of more than 1,024 characters, which YAML wants on a line of its own: `? "key"`, and then `: ` with the
    /// first line of its mapping, or nothing and the mapping below.
    fn long_key(&mut self, line: Line<'a>, text: &str, depth: usize) -> Read<(String, Node)> {
        let key = text.starts_with('"').then(|| quoted(text)).flatten().filter(|(_, rest)| rest.is_empty());
        let (key, _) = key.ok_or(line.number)?;
        self.at += 1;
        let next = self.peek().filter(|next| next.indent == line.indent).ok_or(line.number)?;
        let first = next.text.strip_prefix(':').ok_or(next.number)?;
        let indent = if first.is_empty() {
            self.at += 1;
            self.peek().map_or(0, |below| below.indent)
        } else {
            let text = first.strip_prefix(' ').filter(|text| !text.starts_with(' ')).ok_or(next.number)?;
            let indent = line.indent + 2;
            if let Some(slot) = self.lines.get_mut(self.at) {
                *slot = Line { number: next.number, indent, text };
            }
            indent
        };
        if indent <= line.indent {
            return Err(next.number);
        }
        let map = self.mapping(indent, depth)?;
        Ok((key, Node { line: line.number, value: Yaml::Map(map) }))
    }

    /// What follows a key on its line, or below it.
    fn value(&mut self, line: Line<'_>, rest: &str, depth: usize) -> Read<Yaml> {
        if matches!(rest, "|" | "|-" | "|+" | ">" | ">-" | ">+") {
            return Ok(Yaml::Text(self.block(line.indent)));
        }
        if !rest.is_empty() {
            return scalar(rest, line.number);
        }
        match self.peek() {
            // A list may begin where its key does.
            Some(next) if next.text.starts_with("- ") && next.indent >= line.indent => self.list(next.indent),
            Some(next) if next.indent > line.indent => Ok(Yaml::Map(self.mapping(next.indent, depth)?)),
            _ => Ok(Yaml::Text(String::new())),
        }
    }

    /// A list of scalars.
    fn list(&mut self, indent: usize) -> Read<Yaml> {
        let mut list = Vec::new();
        while let Some(line) = self.peek().filter(|line| line.indent == indent) {
            let Some(item) = line.text.strip_prefix("- ") else { break };
            self.at += 1;
            list.push(Node { line: line.number, value: scalar(item, line.number)? });
        }
        Ok(Yaml::List(list))
    }

    /// A text of several lines, which all are further in than their key.
    fn block(&mut self, indent: usize) -> String {
        let mut text = Vec::new();
        while let Some(line) = self.lines.get(self.at).filter(|line| line.text.is_empty() || line.indent > indent) {
            text.push(line.text);
            self.at += 1;
        }
        text.join("\n")
    }
}

/// A key, and what follows its colon.
fn key(text: &str) -> Option<(String, &str)> {
    if text.starts_with(['"', '\'']) {
        let (key, rest) = quoted(text)?;
        let rest = rest.strip_prefix(':')?;
        return (rest.is_empty() || rest.starts_with(' ')).then(|| (key, rest.trim_start_matches(' ')));
    }
    let (key, rest) = match text.split_once(": ") {
        Some((key, rest)) => (key, rest.trim_start_matches(' ')),
        None => (text.strip_suffix(':')?, ""),
    };
    is_plain(key).then(|| (key.to_owned(), rest))
}

/// Whether a text is a scalar without quotes.
fn is_plain(text: &str) -> bool {
    let special = |first: char| "&*!|>%@`#?,[]{}\"'".contains(first) || first.is_control();
    text.chars().next().is_some_and(|first| !special(first))
        && !text.starts_with("- ")
        && !text.contains(" #")
        && !text.contains(": ")
}

/// A scalar or a flow collection that takes the whole text.
fn scalar(text: &str, line: usize) -> Read<Yaml> {
    let (value, rest) = if text.starts_with(['{', '[']) {
        flow(text, line, FLOW_DEPTH_MAX).ok_or(line)?
    } else if text.starts_with(['"', '\'']) {
        let (text, rest) = quoted(text).ok_or(line)?;
        (Yaml::Text(text), rest)
    } else if is_plain(text) && !text.ends_with(':') {
        (Yaml::Text(text.to_owned()), "")
    } else {
        return Err(line);
    };
    if rest.is_empty() { Ok(value) } else { Err(line) }
}

/// A scalar in quotes, and what follows it. Between double quotes, what JSON allows.
fn quoted(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let value = stream.next()?.ok()?;
        return Some((value, text.get(stream.byte_offset()..)?));
    }
    let mut value = String::new();
    let mut rest = text.strip_prefix('\'')?;
    loop {
        let (before, after) = rest.split_once('\'')?;
        value.push_str(before);
        let Some(more) = after.strip_prefix('\'') else { return Some((value, after)) };
        value.push('\'');
        rest = more;
    }
}

/// A flow collection on one line, and what follows it.
fn flow(text: &str, line: usize, depth: usize) -> Option<(Yaml, &str)> {
    let depth = depth.checked_sub(1)?;
    let is_map = text.starts_with('{');
    let end = if is_map { '}' } else { ']' };
    let mut rest = text.get(1..)?;
    let (mut map, mut list): (Vec<(String, Node)>, Vec<Node>) = (Vec::new(), Vec::new());
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(after) = rest.strip_prefix(end) {
            return Some((if is_map { Yaml::Map(map) } else { Yaml::List(list) }, after));
        }
        if !(map.is_empty() && list.is_empty()) {
            rest = rest.strip_prefix(',')?.trim_start_matches(' ');
        }
        let mut name = None;
        if is_map {
            let (key, after) = flow_word(rest)?;
            rest = after.strip_prefix(':')?.trim_start_matches(' ');
            name = Some(key);
        }
        let (value, after) = if rest.starts_with(['{', '[']) {
            flow(rest, line, depth)?
        } else {
            let (word, after) = flow_word(rest)?;
            (Yaml::Text(word), after)
        };
        rest = after;
        let node = Node { line, value };
        match name {
            Some(name) if map.iter().any(|(other, _)| *other == name) => return None,
            Some(name) => map.push((name, node)),
            None => list.push(node),
        }
    }
}

/// A scalar in a flow collection, and what follows it.
fn flow_word(text: &str) -> Option<(String, &str)> {
    if text.starts_with(['"', '\'']) {
        return quoted(text);
    }
    let ends = |(at, c): &(usize, char)| match c {
        ',' | '{' | '}' | '[' | ']' => true,
        ':' => text.get(at + 1..).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')),
        _ => false,
    };
    let end = text.char_indices().find(ends).map_or(text.len(), |(at, _)| at);
    let (word, rest) = text.split_at_checked(end)?;
    let word = word.trim_end_matches(' ');
    is_plain(word).then(|| (word.to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, usize> {
        let file = LockfileText::new("a.yaml", text.as_bytes()).unwrap();
        Node::read(&file).map_err(|error| error.line.unwrap())
    }

    const SAMPLE: &str = "lockfileVersion: '9.0'

settings:
  a: true
packages:

  '@s/a@1.0.0':
    resolution: {integrity: sha512-A==, tarball: https://x/y}
    cpu: [x64, 'a''b']
    deprecated: |-
      one

      two: three
    bundled:
    - x
    - \"y\\n\"
  b@npm:1: {}
  c:
";

    #[test]
    fn what_package_managers_write_is_read() {
        let root = read(SAMPLE).unwrap();
        let at = |path: &[&str]| path.iter().fold(&root, |node, key| node.get(key).unwrap()).clone();
        assert_eq!(at(&["lockfileVersion"]).text(), Some("9.0"));
        let a = |field| at(&["packages", "@s/a@1.0.0", field]);
        assert_eq!(a("resolution").get("integrity").unwrap().text(), Some("sha512-A=="));
        assert_eq!(a("resolution").get("tarball").unwrap().text(), Some("https://x/y"));
        assert_eq!(a("deprecated").text(), Some("one\n\ntwo: three"));
        let list = |node: Node| match node.value {
            Yaml::List(items) => items.iter().map(|item| item.text().unwrap().to_owned()).collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        assert_eq!(list(a("cpu")), ["x64", "a'b"]);
        assert_eq!(list(a("bundled")), ["x", "y\n"]);
        assert_eq!(at(&["packages", "b@npm:1"]).map(), Some(&[][..]));
        assert_eq!(
            (at(&["packages", "c"]).text().map(str::to_owned), at(&["packages", "c"]).line),
            (Some(String::new()), 18)
        );
    }

    #[test]
    fn a_long_key_stands_on_a_line_of_its_own() {
        let expected = read("a:\n  b: c\n  d:\n    e: f\ng: h\n").unwrap();
        let values = |node: &Node| {
            let map = node.map().unwrap();
            let inner = map[0].1.map().unwrap();
            let names = |map: &[(String, Node)]| map.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            (names(map), names(inner), inner[0].1.text().map(str::to_owned))
        };
        for text in ["? \"a\"\n: b: c\n  d:\n    e: f\ng: h\n", "? \"a\"\n:\n  b: c\n  d:\n    e: f\ng: h\n"] {
            assert_eq!(values(&read(text).unwrap()), values(&expected), "{text}");
        }
    }

    #[test]
    fn what_they_do_not_write_is_refused_with_its_line() {
        let rows = [
            ("a: 1\na: 2\n", 2),
            ("a: &x 1\n", 1),
            ("a: *x\n", 1),
            ("a: !!str 1\n", 1),
            ("a: {b: 1, b: 2}\n", 1),
            ("a: {b: 1\n", 1),
            ("a: [b\n", 1),
            ("a: [[[[[b]]]]]\n", 1),
            ("a: 'b\n", 1),
            ("a: 'b' c\n", 1),
            ("a:\n    b: 1\n  c: 2\n", 3),
            ("- a\n", 1),
            ("a\n", 1),
            ("? a\n: b\n", 1),
            ("? \"a\"\nb: c\n", 2),
            ("? \"a\"\n: b\n", 2),
            ("? \"a\"\n", 1),
            ("? \"a\"\n:\nb: c\n", 2),
            ("? \"a\"\n: b: c\n    d: e\n", 3),
            ("? \"a\"\n: b: c\n? \"a\"\n: b: c\n", 3),
            ("a: b: c\n", 1),
            ("a: 1\n---\nb: 2\n", 2),
            ("\ta: 1\n", 1),
        ];
        for (text, line) in rows {
            assert_eq!(read(text), Err(line), "{text}");
        }
        let deep = |levels: usize| (0..levels).map(|depth| " ".repeat(depth) + "a:\n").collect::<String>();
        assert!(read(&deep(30)).is_ok());
        assert_eq!(read(&deep(40)), Err(33));
    }
}
