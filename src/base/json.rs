//! Strict JSON (RFC 8259): no duplicate names at any level, bounded depth, no byte after the value.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// A JSON value whose objects have unique names, in the order of the text.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number from 0 to 2^64 - 1.
    Unsigned(u64),
    /// Any other finite number, by the bits of its floating-point value, or as a negative whole one; none of our
    /// documents has one, foreign fields may.
    Number(Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

/// A number that is no [`Json::Unsigned`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// A whole number below 0.
    Negative(i64),
    /// One with a fraction or an exponent, or a large one: the bits of the nearest floating-point number. Two texts
    /// of one such number are equal here, as they are to the tools that write and read them.
    Float(u64),
}

/// Why a text is not strict JSON, or not the document that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(pub String);

impl Json {
    /// Parses a whole text.
    pub fn parse(text: &[u8], depth_max: usize) -> Result<Self, JsonError> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = Depth(depth_max).deserialize(&mut deserializer).map_err(|error| JsonError(error.to_string()))?;
        deserializer.end().map_err(|error| JsonError(error.to_string()))?;
        Ok(value)
    }

    /// The value as an object, or an error that names `what`.
    pub fn object(&self, what: &str) -> Result<&[(String, Self)], JsonError> {
        match self {
            Self::Object(fields) => Ok(fields),
            other => Err(other.expected(what, "an object")),
        }
    }

    /// The value as an array.
    pub fn array(&self, what: &str) -> Result<&[Self], JsonError> {
        match self {
            Self::Array(items) => Ok(items),
            other => Err(other.expected(what, "an array")),
        }
    }

    /// The value as a string.
    pub fn string(&self, what: &str) -> Result<&str, JsonError> {
        match self {
            Self::String(text) => Ok(text),
            other => Err(other.expected(what, "a string")),
        }
    }

    /// The value as a whole number.
    pub fn unsigned(&self, what: &str) -> Result<u64, JsonError> {
        match self {
            Self::Unsigned(number) => Ok(*number),
            other => Err(other.expected(what, "a whole number")),
        }
    }

    /// The field `name` of an object.
    #[must_use]
    pub fn field<'a>(fields: &'a [(String, Self)], name: &str) -> Option<&'a Self> {
        fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The field `name` of an object, or an error.
    pub fn required<'a>(fields: &'a [(String, Self)], name: &str) -> Result<&'a Self, JsonError> {
        Self::field(fields, name).ok_or_else(|| JsonError(format!("field `{name}` is missing")))
    }

    fn expected(&self, what: &str, kind: &str) -> JsonError {
        let found = match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Unsigned(_) | Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        };
        JsonError(format!("`{what}` must be {kind}, found {found}"))
    }
}

/// Levels that may still open; `serde_json`'s own guard (128) lies behind it.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(Number::Negative(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(Number::Float(value.to_bits())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let depth = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(depth)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let depth = self.deeper()?;
        let mut fields: Vec<(String, Json)> = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        while let Some(name) = access.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!(
                    "field `{}` appears twice",
                    super::Escaped(name.as_bytes())
                )));
            }
            fields.push((name, access.next_value_seed(depth)?));
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let deep = "[".repeat(100_000);
        let number = "9".repeat(400_000);
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"b":1,"b":1}}"#,
            "{} {}",
            "{},",
            "\u{feff}{}",
            r#""\ud800""#,
            "[1",
            "01",
            "NaN",
            "",
            "{\"a\":1}\0",
            deep.as_str(),
            number.as_str(),
        ] {
            assert!(Json::parse(text.as_bytes(), 8).is_err(), "{}", &text[..text.len().min(40)]);
        }
        assert!(Json::parse(b"\"\xff\"", 8).is_err());
        assert!(Json::parse(b"{\0\"\0a\0", 8).is_err());
    }

    #[test]
    fn two_numbers_are_equal_only_if_they_are_one() {
        let read = |text: &str| Json::parse(text.as_bytes(), 8).unwrap();
        for (one, two) in [("1.5", "2.5"), ("-1", "3.7"), ("-1", "-2"), ("-1", "-1.5"), ("1", "1.5"), ("1", "-1")] {
            assert_ne!(read(one), read(two), "{one} {two}");
        }
        for text in ["1", "-1", "1.5", "1e300"] {
            assert_eq!(read(text), read(text), "{text}");
        }
    }

    #[test]
    fn depth_is_counted() {
        assert!(Json::parse(b"[[[]]]", 3).is_ok());
        assert!(Json::parse(b"[[[]]]", 2).is_err());
        assert!(Json::parse(br#"{"a":[{}]}"#, 2).is_err());
    }
}
