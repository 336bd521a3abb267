//! Which releases must be installed: those that the lockfile asks for in this environment, and what they ask for. Where
//! one is missing, `import` finds another module of its name, or the program that asks for it takes another way.

use std::collections::{BTreeMap, BTreeSet};

use super::marker::Environment;
use super::name::{Name, Release, Version};
use crate::policy::Installed;

/// A demand for a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demand {
    /// The release that asks for it; none for the project.
    pub(super) by: Option<Release>,
    /// The extra of what asks for it that this demand is part of.
    pub(super) extra: Option<String>,
    /// The group of the project that it is part of, where it is known: `None` for a demand that is always one.
    pub(super) group: Option<String>,
    /// The member of the project that asks for it.
    pub(super) member: Option<String>,
    /// When it is a demand.
    pub(super) marker: Option<String>,
    pub(super) name: String,
    /// The version, where there may be several.
    pub(super) version: Option<String>,
    /// The extras of it that are asked for.
    pub(super) extras: Vec<String>,
}

impl Demand {
    /// The project's own demand for one release.
    pub(super) fn of_project(name: &str, version: &str, group: Option<&str>, marker: Option<&str>) -> Self {
        Self {
            by: None,
            extra: None,
            group: group.map(str::to_owned),
            member: None,
            marker: marker.map(str::trim).filter(|marker| !marker.is_empty()).map(str::to_owned),
            name: name.to_owned(),
            version: Some(version.to_owned()),
            extras: Vec::new(),
        }
    }
}

/// The releases that must be there. What is not surely asked for is left out.
pub(super) fn needed<'d>(
    demands: &'d [Demand],
    releases: &BTreeSet<&'d Release>,
    installed: &Installed,
    environment: &Environment<'_>,
) -> BTreeSet<&'d Release> {
    let mut by_name: BTreeMap<&Name, Vec<&Release>> = BTreeMap::new();
    for release in releases {
        by_name.entry(&release.0).or_default().push(release);
    }
    let mut of: BTreeMap<Option<&Release>, Vec<&Demand>> = BTreeMap::new();
    for demand in demands {
        of.entry(demand.by.as_ref()).or_default().push(demand);
    }
    let holds = |demand: &Demand| demand.marker.as_deref().is_none_or(|marker| environment.holds(marker));
    let is_in = |list: &Option<Vec<String>>, one: &Option<String>| match (list, one) {
        (Some(list), Some(one)) => list.contains(one),
        _ => true,
    };
    let mut waiting: Vec<&Demand> = of.get(&None).into_iter().flatten().copied().collect();
    waiting.retain(|demand| {
        is_in(&installed.groups, &demand.group)
            && is_in(&installed.extras, &demand.extra)
            && is_in(&installed.workspaces, &demand.member)
    });
    let mut reached: BTreeMap<&Release, BTreeSet<&str>> = BTreeMap::new();
    while let Some(demand) = waiting.pop() {
        let Some(release) = only(&by_name, demand).filter(|_| holds(demand)) else { continue };
        let known = reached.get(release).cloned();
        let extras = reached.entry(release).or_default();
        extras.extend(demand.extras.iter().map(String::as_str));
        if known.as_ref() == Some(extras) {
            continue;
        }
        let asked = |next: &&&Demand| next.extra.as_deref().is_none_or(|extra| extras.contains(extra));
        waiting.extend(of.get(&Some(release)).into_iter().flatten().filter(asked));
    }
    reached.into_keys().collect()
}

/// The one release that a demand can mean.
fn only<'d>(by_name: &BTreeMap<&Name, Vec<&'d Release>>, demand: &Demand) -> Option<&'d Release> {
    let all = by_name.get(&Name::new(&demand.name)?)?;
    let version = demand.version.as_deref().map(Version::new);
    let mut fitting = all.iter().filter(|release| match &version {
        Some(Some(version)) => release.1 == *version,
        Some(None) => false,
        None => true,
    });
    let first = fitting.next()?;
    fitting.next().is_none().then_some(*first)
}
