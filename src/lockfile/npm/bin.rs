//! The `bin` field of a package.

use std::collections::BTreeMap;

use crate::base::Json;

/// The commands of a `bin` field, as npm cleans it: the last component of each name, and a path that stays inside.
#[must_use]
pub fn bins_of(package: &str, bin: &Json) -> BTreeMap<String, String> {
    let pairs: Vec<(String, &Json)> = match bin {
        Json::String(_) => vec![(package.to_owned(), bin)],
        Json::Array(items) => {
            items.iter().filter_map(|item| Some((item.string("bin").ok()?.to_owned(), item))).collect()
        }
        Json::Object(fields) => fields.iter().map(|(name, target)| (name.clone(), target)).collect(),
        _ => Vec::new(),
    };
    let clean = |(name, target): (String, &Json)| {
        let name = name.replace(['\\', ':'], "/");
        let name = inside(name.trim_end_matches('/').rsplit('/').next().unwrap_or_default());
        let target = inside(&target.string("bin").ok()?.replace('\\', "/"));
        (!name.is_empty() && !target.is_empty()).then_some((name, target))
    };
    pairs.into_iter().filter_map(clean).collect()
}

/// A path that stays inside: without `.`, and with `..` that ends at the top.
fn inside(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_cleaned_as_npm_does() {
        let read = |text: &str| bins_of("@s/pkg", &Json::parse(text.as_bytes(), 8).unwrap());
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let rows: &[(&str, &[(&str, &str)])] = &[
            (r#""./cli.js""#, &[("pkg", "cli.js")]),
            (r#"{"a": "./bin//a.js", "../../b": "../../../etc/b"}"#, &[("a", "bin/a.js"), ("b", "etc/b")]),
            (r#"{"..": "x", "a": 1, "b": "", "c:d": "e\\f"}"#, &[("d", "e/f")]),
            (r#"["bin/one", "two"]"#, &[("one", "bin/one"), ("two", "two")]),
            ("true", &[]),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text), map(expected), "{text}");
        }
    }
}
