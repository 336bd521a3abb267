//! The little XML that Gradle writes: elements, attributes, comments, text. What is more (document types, processing
//! instructions, CDATA, entities of one's own) is refused, so nothing can be read in two ways.

use std::iter::Peekable;
use std::str::CharIndices;

/// An element or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// `<name attribute="value">`
    Start {
        /// Where it begins.
        offset: usize,
        /// Its name, with the prefix of its name space.
        name: String,
        /// Its attributes, each name once.
        attributes: Vec<(String, String)>,
    },
    /// `</name>`, or the end of `<name/>`.
    End,
    /// Text that is not white space.
    Text {
        /// Where it begins.
        offset: usize,
    },
}

/// What is wrong with a text, and where.
pub(super) type Wrong = (usize, String);

/// Reads a whole document: one element with everything in it, which is closed where it should be.
pub(super) fn read(text: &str) -> Result<Vec<Event>, Wrong> {
    let mut reader = Reader { text, chars: text.char_indices().peekable(), open: Vec::new(), events: Vec::new() };
    if text.starts_with("<?xml ") || text.starts_with("<?xml\n") {
        reader.skip_past("?>")?;
    }
    while let Some((offset, c)) = reader.chars.peek().copied() {
        if c == '<' {
            reader.markup(offset)?;
        } else {
            reader.text(offset)?;
        }
    }
    match reader.open.pop() {
        Some(name) => Err((text.len(), format!("expected `</{name}>`, found the end"))),
        None if reader.events.is_empty() => Err((text.len(), "expected an element, found none".to_owned())),
        None => Ok(reader.events),
    }
}

struct Reader<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
    open: Vec<String>,
    events: Vec<Event>,
}

impl<'t> Reader<'t> {
    fn offset(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |(offset, _)| *offset)
    }

    fn rest(&mut self) -> &'t str {
        let offset = self.offset();
        self.text.get(offset..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        let end = self.offset() + bytes;
        while self.chars.next_if(|(offset, _)| *offset < end).is_some() {}
    }

    fn skip_past(&mut self, end: &str) -> Result<(), Wrong> {
        let start = self.offset();
        let at = self.rest().find(end).ok_or_else(|| (start, format!("expected `{end}` behind this")))?;
        self.skip(at + end.len());
        Ok(())
    }

    fn skip_space(&mut self) -> bool {
        let mut any = false;
        while self.chars.next_if(|(_, c)| is_space(*c)).is_some() {
            any = true;
        }
        any
    }

    fn expect(&mut self, wanted: char) -> Result<(), Wrong> {
        let offset = self.offset();
        match self.chars.next() {
            Some((_, c)) if c == wanted => Ok(()),
            _ => Err((offset, format!("expected `{wanted}`"))),
        }
    }

    fn name(&mut self) -> Result<String, Wrong> {
        let offset = self.offset();
        let mut name = String::new();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        while let Some((_, c)) = self.chars.next_if(|(_, c)| is_part(*c)) {
            name.push(c);
        }
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if starts { Ok(name) } else { Err((offset, "expected a name".to_owned())) }
    }

    fn markup(&mut self, offset: usize) -> Result<(), Wrong> {
        let rest = self.rest();
        if rest.starts_with("<!--") {
            self.skip(4);
            return self.skip_past("-->");
        }
        if rest.starts_with("<!") || rest.starts_with("<?") {
            return Err((offset, "expected an element or a comment, found a declaration".to_owned()));
        }
        self.chars.next();
        if self.chars.next_if(|(_, c)| *c == '/').is_some() {
            let name = self.name()?;
            self.skip_space();
            self.expect('>')?;
            return self.end(offset, &name);
        }
        let name = self.name()?;
        if self.open.is_empty() && !self.events.is_empty() {
            return Err((offset, format!("expected the end, found `<{name}>`")));
        }
        let mut attributes: Vec<(String, String)> = Vec::new();
        loop {
            let spaced = self.skip_space();
            if self.chars.next_if(|(_, c)| *c == '/').is_some() {
                self.expect('>')?;
                self.events.extend([Event::Start { offset, name, attributes }, Event::End]);
                return Ok(());
            }
            if self.chars.next_if(|(_, c)| *c == '>').is_some() {
                self.open.push(name.clone());
                self.events.push(Event::Start { offset, name, attributes });
                return Ok(());
            }
            let at = self.offset();
            if !spaced {
                return Err((at, "expected white space before an attribute".to_owned()));
            }
            let (key, value) = self.attribute()?;
            if attributes.iter().any(|(other, _)| *other == key) {
                return Err((at, format!("expected each attribute once, found `{key}` again")));
            }
            attributes.push((key, value));
        }
    }

    fn end(&mut self, offset: usize, name: &str) -> Result<(), Wrong> {
        match self.open.pop() {
            Some(open) if open == name => {
                self.events.push(Event::End);
                Ok(())
            }
            Some(open) => Err((offset, format!("expected `</{open}>`, found `</{name}>`"))),
            None => Err((offset, format!("expected an element, found `</{name}>`"))),
        }
    }

    fn attribute(&mut self) -> Result<(String, String), Wrong> {
        let key = self.name()?;
        self.skip_space();
        self.expect('=')?;
        self.skip_space();
        let offset = self.offset();
        let Some((_, quote @ ('"' | '\''))) = self.chars.next() else {
            return Err((offset, "expected a value in quotes".to_owned()));
        };
        let mut value = String::new();
        loop {
            match self.chars.next() {
                Some((_, c)) if c == quote => return Ok((key, value)),
                Some((at, '&')) => value.push(self.entity(at)?),
                Some((at, '<')) => return Err((at, "expected a value, found `<`".to_owned())),
                Some((_, c)) => value.push(if is_space(c) { ' ' } else { c }),
                None => return Err((offset, "expected the end of a value".to_owned())),
            }
        }
    }

    fn entity(&mut self, offset: usize) -> Result<char, Wrong> {
        let wrong = || (offset, "expected one of XML's own entities".to_owned());
        let end = self.rest().find(';').filter(|end| *end <= 8).ok_or_else(wrong)?;
        let name = self.rest().get(..end).unwrap_or_default();
        let c = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let code = name.strip_prefix('#').ok_or_else(wrong)?;
                let code = match code.strip_prefix('x') {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => code.parse(),
                };
                code.ok().and_then(char::from_u32).ok_or_else(wrong)?
            }
        };
        self.skip(end + 1);
        Ok(c)
    }

    fn text(&mut self, offset: usize) -> Result<(), Wrong> {
        let mut blank = true;
        while let Some((at, c)) = self.chars.next_if(|(_, c)| *c != '<') {
            blank &= is_space(c);
            if c == '&' {
                self.entity(at)?;
            }
        }
        if blank {
            return Ok(());
        }
        if self.open.is_empty() {
            return Err((offset, "expected an element, found text".to_owned()));
        }
        self.events.push(Event::Text { offset });
        Ok(())
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_are_read_in_one_way_or_not_at_all() {
        let text = "<?xml version=\"1.0\"?>\n<!-- c > -->\n<a b='1&amp;&#x32;'>\n <c/>t\n</a>\n";
        let attributes = vec![("b".to_owned(), "1&2".to_owned())];
        let start = |offset, name: &str, attributes| Event::Start { offset, name: name.to_owned(), attributes };
        let events = [
            start(35, "a", attributes),
            start(57, "c", Vec::new()),
            Event::End,
            Event::Text { offset: 61 },
            Event::End,
        ];
        assert_eq!(read(text).unwrap(), events);
        for (text, offset) in [
            ("", 0),
            ("x", 0),
            ("<a>", 3),
            ("<a></b>", 3),
            ("</a>", 0),
            ("<a/><b/>", 4),
            ("<a/>x", 4),
            ("<!DOCTYPE a><a/>", 0),
            ("<a><![CDATA[x]]></a>", 3),
            ("<a><?x?></a>", 3),
            ("<a b=1/>", 5),
            ("<a b=\"1\"c=\"2\"/>", 8),
            ("<a b=\"1\" b=\"2\"/>", 9),
            ("<a b=\"&evil;\"/>", 6),
            ("<a b=\"<\"/>", 6),
            ("<a b=\"1/>", 5),
            ("<a><!-- </a>", 7),
            ("<1/>", 1),
        ] {
            assert_eq!(read(text).map_err(|(offset, _)| offset), Err(offset), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, words in prop::collection::vec("[<>/=&;'\"!a-c# \n-]{0,3}", 0..40)) {
            let _ = read(&text);
            let _ = read(&words.concat());
        }
    }
}
