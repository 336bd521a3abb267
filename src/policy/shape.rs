//! The policy as TOML writes it: fields and their kinds, nothing of their meaning yet.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

/// A string and its place.
pub(super) type Text = Spanned<String>;

/// A list of strings, its place and theirs.
pub(super) type Texts = Spanned<Vec<Text>>;

/// The tables `[kind.NAME]` of one kind.
pub(super) type Named<T> = BTreeMap<Text, Table<T>>;

/// The whole document but for `version`, which is read before it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyShape {
    pub(super) project: Text,
    #[serde(default)]
    pub(super) cache: Named<CacheShape>,
    #[serde(default)]
    pub(super) signer: Named<SignerShape>,
    #[serde(default)]
    pub(super) gate: Named<GateShape>,
    pub(super) guard: Option<Table<GuardShape>>,
}

/// `[guard]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GuardShape {
    pub(super) allow: Option<Texts>,
}

/// `[cache.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CacheShape {
    pub(super) roots: Texts,
    pub(super) lockfiles: Option<Texts>,
    pub(super) digest: Option<Text>,
    pub(super) installed: Option<Table<InstalledShape>>,
}

/// `installed` of a cache.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstalledShape {
    pub(super) omit: Option<Texts>,
    pub(super) workspaces: Option<Texts>,
    pub(super) groups: Option<Texts>,
    pub(super) extras: Option<Texts>,
}

/// `[signer.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignerShape {
    pub(super) keys: Spanned<Vec<Table<KeyShape>>>,
    pub(super) caches: Option<Texts>,
    pub(super) refs: Option<Texts>,
    pub(super) jobs: Option<Texts>,
}

/// One item of `keys`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyShape {
    pub(super) file: Text,
    pub(super) valid_from: Option<Text>,
    pub(super) valid_until: Option<Text>,
}

/// `[gate.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GateShape {
    pub(super) require: Option<Texts>,
    pub(super) signers: Option<Texts>,
    pub(super) threshold: Option<Spanned<u64>>,
    pub(super) max_age: Option<Text>,
    pub(super) lockfile: Option<Text>,
    pub(super) links: Option<Text>,
    pub(super) hardlinks: Option<Text>,
    pub(super) unproven: Option<Spanned<WordOrList>>,
    pub(super) min_lockfile_coverage: Option<Spanned<Number>>,
    pub(super) bindings: Option<Spanned<BTreeMap<Text, Text>>>,
}

/// A word, or a list of texts.
pub(super) enum WordOrList {
    Word(String),
    List(Vec<Text>),
}

impl<'de> Deserialize<'de> for WordOrList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrListVisitor)
    }
}

struct WordOrListVisitor;

impl<'de> Visitor<'de> for WordOrListVisitor {
    type Value = WordOrList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E>(self, word: &str) -> Result<WordOrList, E> {
        Ok(WordOrList::Word(word.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<WordOrList, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = access.next_element()? {
            list.push(item);
        }
        Ok(WordOrList::List(list))
    }
}

/// A number, with or without a fraction.
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
        Ok(Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
        // Whatever is too large for this is out of every range that a field has.
        Ok(Number(i32::try_from(number).map_or(f64::INFINITY, f64::from)))
    }
}

/// A table and nothing else: what serde derives for a struct would also take an array of its fields' values.
pub(super) struct Table<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = Table<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Table<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(access)).map(Table)
    }
}
