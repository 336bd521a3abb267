//! Rust source as words and marks, comments and literals left out: enough to read paths, not a parser.

/// One word or mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// An identifier or keyword.
    Word(&'a str),
    /// `::`
    Colons,
    /// Any other single character.
    Mark(char),
}

/// Splits source text.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = blank_length(rest).unwrap_or_else(|| {
            let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            let (token, length) = match word {
                0 if rest.starts_with("::") => (Token::Colons, 2),
                0 => (Token::Mark(first), first.len_utf8()),
                _ => (Token::Word(&rest[..word]), word),
            };
            tokens.push(token);
            length
        });
        rest = &rest[taken..];
    }
    tokens
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Length of the space, comment or literal that `text` begins with.
fn blank_length(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    match first {
        '/' if text.starts_with("//") => Some(text.find('\n').unwrap_or(text.len())),
        '/' if text.starts_with("/*") => Some(comment_length(text)),
        '"' => Some(quoted_length(text, '"')),
        '\'' => character_length(text),
        'r' | 'b' | 'c' => prefixed_length(text),
        _ => first.is_whitespace().then(|| first.len_utf8()),
    }
}

/// Block comments nest.
fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// From one quote to the next that no backslash escapes.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = !escaped && *c == quote;
        escaped = !escaped && *c == '\\';
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// `'x'` and `'\n'` are characters; `'a` alone is a lifetime.
fn character_length(text: &str) -> Option<usize> {
    let mut characters = text.chars().skip(1);
    let (second, third) = (characters.next()?, characters.next()?);
    (second == '\\' || third == '\'').then(|| quoted_length(text, '\''))
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `b'…'`, `c"…"`; anything else is a word.
fn prefixed_length(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c"].into_iter().find(|prefix| {
        let rest = text.strip_prefix(prefix).unwrap_or("");
        rest.starts_with('"')
            || prefix.ends_with('r') && rest.trim_start_matches('#').starts_with('"')
            || *prefix == "b" && rest.starts_with('\'')
    })?;
    let body = &text[prefix.len()..];
    if !prefix.ends_with('r') {
        let quote = body.chars().next()?;
        return Some(prefix.len() + quoted_length(body, quote));
    }
    let hashes = body.len() - body.trim_start_matches('#').len();
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body[hashes + 1..].find(&close).map_or(body.len(), |at| hashes + 1 + at + close.len());
    Some(prefix.len() + end)
}

#[test]
fn only_code_remains() {
    for (text, words) in [
        ("use a::b; // use c", "use a b"),
        ("/* x /* y */ z */ a", "a"),
        (r#"f("use \" c", 'x', '\'', b'"', d)"#, "f d"),
        (r##"f(r#"use " c"#, br"\", d)"##, "f d"),
        ("fn f<'a>(x: &'a str) -> r#type", "fn f a x a str r type"),
        ("barrel crate_b", "barrel crate_b"),
    ] {
        let found: Vec<_> = tokens(text)
            .into_iter()
            .filter_map(|token| if let Token::Word(word) = token { Some(word) } else { None })
            .collect();
        assert_eq!(found.join(" "), words, "{text}");
    }
}
