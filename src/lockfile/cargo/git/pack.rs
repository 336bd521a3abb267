//! Packs, version 2 (gitformat-pack(5)): every object in one, whole.

use std::collections::BTreeMap;

use flate2::{Decompress, FlushDecompress, Status};

use super::objects::{Id, Object, ObjectKind};

/// Objects by their offset in the pack.
pub(super) type Objects = BTreeMap<u64, Object>;

/// How an object is stored.
enum Stored {
    Whole(ObjectKind),
    /// Changes to the object at another offset.
    OffsetDelta(u64),
    /// Changes to the object of a name.
    NamedDelta(Id),
}

/// Reads all objects of a pack, but no more than `max` bytes of them.
pub(super) fn read(pack: &[u8], max: usize) -> Result<Objects, &'static str> {
    const MALFORMED: &str = "a pack that is not as git writes it";
    let count = header(pack).ok_or(MALFORMED)?;
    let end = pack.len().checked_sub(20).ok_or(MALFORMED)?;
    let (mut at, mut left) = (12, max);
    let mut deltas = Vec::new();
    let mut objects = Objects::new();
    for _ in 0..count {
        let offset = at as u64;
        let (stored, size, start) = entry(pack, at).ok_or(MALFORMED)?;
        left = left.checked_sub(size).ok_or("a repository that is too large to be computed anew")?;
        let (bytes, used) = inflate(pack.get(start..end).ok_or(MALFORMED)?, size).ok_or(MALFORMED)?;
        at = start + used;
        match stored {
            Stored::Whole(kind) => drop(objects.insert(offset, Object { kind, bytes })),
            delta => deltas.push((offset, delta, bytes)),
        }
    }
    if at != end {
        return Err(MALFORMED);
    }
    resolve(&mut objects, deltas, left)?;
    Ok(objects)
}

fn header(pack: &[u8]) -> Option<u32> {
    let rest = pack.strip_prefix(b"PACK\0\0\0\x02")?;
    Some(u32::from_be_bytes(*rest.first_chunk()?))
}

/// How the object at an offset is stored, its length, and where its bytes begin.
fn entry(pack: &[u8], at: usize) -> Option<(Stored, usize, usize)> {
    let mut next = at;
    let mut byte = || {
        let byte = pack.get(next).copied();
        next += 1;
        byte
    };
    let first = byte()?;
    let mut size = usize::from(first & 15);
    let (mut shift, mut more) = (4_u32, first & 128 != 0);
    while more {
        let byte = byte()?;
        size |= usize::from(byte & 127).checked_shl(shift).filter(|_| shift < 57)?;
        shift += 7;
        more = byte & 128 != 0;
    }
    let stored = match first >> 4 & 7 {
        6 => {
            let mut byte_of = byte()?;
            let mut distance = u64::from(byte_of & 127);
            while byte_of & 128 != 0 {
                byte_of = byte()?;
                distance = distance.checked_add(1)?.checked_mul(128)? | u64::from(byte_of & 127);
            }
            Stored::OffsetDelta((at as u64).checked_sub(distance)?)
        }
        7 => {
            let id = Id(pack.get(next..)?.get(..20)?.try_into().ok()?);
            next += 20;
            Stored::NamedDelta(id)
        }
        number => Stored::Whole(ObjectKind::of_number(number)?),
    };
    Some((stored, size, next))
}

/// Inflates exactly `size` bytes, and tells how many were read for them.
pub(super) fn inflate(bytes: &[u8], size: usize) -> Option<(Vec<u8>, usize)> {
    let mut stream = Decompress::new(true);
    let mut out = Vec::new();
    // One byte more than there should be, so that what is longer shows.
    out.try_reserve_exact(size.checked_add(1)?).ok()?;
    loop {
        let before = (stream.total_in(), stream.total_out());
        let rest = bytes.get(usize::try_from(stream.total_in()).ok()?..)?;
        let status = stream.decompress_vec(rest, &mut out, FlushDecompress::Finish).ok()?;
        if status == Status::StreamEnd {
            return (out.len() == size).then_some((out, usize::try_from(stream.total_in()).ok()?));
        }
        if (stream.total_in(), stream.total_out()) == before {
            return None;
        }
    }
}

/// Makes whole objects of the deltas: again and again, since a delta may be of a delta that comes later.
fn resolve(
    objects: &mut Objects,
    mut deltas: Vec<(u64, Stored, Vec<u8>)>,
    mut left: usize,
) -> Result<(), &'static str> {
    let mut names: BTreeMap<Id, u64> = objects.iter().map(|(offset, object)| (object.id(), *offset)).collect();
    while !deltas.is_empty() {
        let before = deltas.len();
        let mut waiting = Vec::new();
        for (offset, stored, delta) in deltas {
            let base = match &stored {
                Stored::OffsetDelta(base) => objects.get(base),
                Stored::NamedDelta(id) => names.get(id).and_then(|base| objects.get(base)),
                Stored::Whole(_) => None,
            };
            let Some(base) = base else {
                waiting.push((offset, stored, delta));
                continue;
            };
            let kind = base.kind;
            let bytes = apply(&base.bytes, &delta, left).ok_or("a delta of a pack that is not as git writes it")?;
            left = left.saturating_sub(bytes.len());
            let object = Object { kind, bytes };
            names.insert(object.id(), offset);
            objects.insert(offset, object);
        }
        if waiting.len() == before {
            return Err("a pack with changes to objects that are not in it");
        }
        deltas = waiting;
    }
    Ok(())
}

/// Applies a delta: copies from the base, and bytes of its own.
fn apply(base: &[u8], delta: &[u8], max: usize) -> Option<Vec<u8>> {
    let mut bytes = delta.iter().copied();
    let length = |bytes: &mut dyn Iterator<Item = u8>| {
        let (mut value, mut shift) = (0_usize, 0_u32);
        loop {
            let byte = bytes.next()?;
            value |= usize::from(byte & 127).checked_shl(shift).filter(|_| shift < 57)?;
            shift += 7;
            if byte & 128 == 0 {
                return Some(value);
            }
        }
    };
    if length(&mut bytes)? != base.len() {
        return None;
    }
    let size = length(&mut bytes).filter(|size| *size <= max)?;
    let mut out = Vec::with_capacity(size.min(1 << 20));
    while let Some(first) = bytes.next() {
        if first & 128 == 0 {
            let count = usize::from(first);
            out.extend(bytes.by_ref().take(count));
            if count == 0 {
                return None;
            }
        } else {
            let mut field = |bits: std::ops::Range<u32>| {
                let mut value = 0_usize;
                for (place, bit) in bits.enumerate() {
                    if first >> bit & 1 != 0 {
                        value |= usize::from(bytes.next()?) << (8 * place);
                    }
                }
                Some(value)
            };
            let offset = field(0..4)?;
            let count = field(4..7)?;
            let count = if count == 0 { 0x1_0000 } else { count };
            out.extend_from_slice(base.get(offset..)?.get(..count)?);
        }
        if out.len() > size {
            return None;
        }
    }
    (out.len() == size).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two commits of one file, made by `git pack-objects`; the older blob is a delta, by offset and by name.
    const BY_OFFSET: &str = "5041434b0000000200000006960a789c7dca410e02210c00c03bafe0eea5b440d9c498fd4a5b4af4b0623618bfaf2f70ceb3\
        4ef788aa9619724a44ae80b06123ce649d5bf5c1decb20ca1e5e72fa73456cd544cd9279df8487b318d732507a5305cbd207\
        28d620ef759f679478955d6f317165c45201e2057e82cde378ace57f4a589f19be94472e079607789c7dca310e80200c00c0\
        9d577477812aad83317ea585121d9084e0fff505de7ca39b016bc03447612e4555288a612c391062c6e4996995b22475f28c\
        b37510d8e4d01d02132346f21e26ff71a9d57a8d613fc5b5dbdc0bd5841fbfad01789c333430303331514864987ce6dccfc6\
        09c58afd4a31d75c67886eb13ad59300009f140bf5be11789c35cfb90d43310c03d03e53700451b7064a11e023fb977160bb\
        7c104451cfe7fb86802e3d7c3d7f1131d9615b8aee8ee92d433bd562cbd1225d47814c966e2434cb63b60a6b293db71ac109\
        39e70635357a661478d1f46492f009f6a522dbd4fdd060d31277bafa6889dda880aaf03ec2c4acf2e711d62ac1889bd4d029\
        bd1a8c65517e165d44f4e101800b789c9bc734836942227b7246625e7a6acac4bc0d00369e06acad01789c33343030333151\
        4864b0d1560b92b96abe65994ad90266b7b60f659fdca7030078390a51122ccf4219f7af8f26b0b918936c381053504bfc";
    const BY_NAME: &str = "5041434b0000000200000006960a789c7dca410e02210c00c03bafe0eea5b440d9c498fd4a5b4af4b0623618bfaf2f70ceb3\
        4ef788aa9619724a44ae80b06123ce649d5bf5c1decb20ca1e5e72fa73456cd544cd9279df8487b318d732507a5305cbd207\
        28d620ef759f679478955d6f317165c45201e2057e82cde378ace57f4a589f19be94472e079607789c7dca310e80200c00c0\
        9d577477812aad83317ea585121d9084e0fff505de7ca39b016bc03447612e4555288a612c391062c6e4996995b22475f28c\
        b37510d8e4d01d02132346f21e26ff71a9d57a8d613fc5b5dbdc0bd5841fbfad01789c333430303331514864987ce6dccfc6\
        09c58afd4a31d75c67886eb13ad59300009f140bf5be11789c35cfb90d43310c03d03e53700451b7064a11e023fb977160bb\
        7c104451cfe7fb86802e3d7c3d7f1131d9615b8aee8ee92d433bd562cbd1225d47814c966e2434cb63b60a6b293db71ac109\
        39e70635357a661478d1f46492f009f6a522dbd4fdd060d31277bafa6889dda880aaf03ec2c4acf2e711d62ac1889bd4d029\
        bd1a8c65517e165d44f4f1013c2b26521cd537b4a62476a0034686f076f24797789c9bc734836942227b7246625e7a6acac4\
        bc0d00369e06acad01789c333430303331514864b0d1560b92b96abe65994ad90266b7b60f659fdca7030078390a513593da\
        0ea9ab727a4969077a12895a6c552fab6b";

    /// What `git verify-pack -v` says of both.
    const IDS: [&str; 6] = [
        "286cabcc1ced9a7fe7ac765f2ad8bb0c4adf0b26",
        "2bbc47041133eb0209283743cd786ef7ed5f334e",
        "3c2b26521cd537b4a62476a0034686f076f24797",
        "50b484b12119c285ab15f890e980c2836785ac2e",
        "7b12c35a77ffbba65ae25fd1622d2c07768af4cb",
        "93cccef9819073218f225cd6459815b43aca8c60",
    ];

    #[test]
    fn objects_of_packs_have_the_names_that_git_gives_them() {
        for pack in [BY_OFFSET, BY_NAME] {
            let objects = read(&hex::decode(pack).unwrap(), 1 << 20).unwrap();
            let mut ids: Vec<_> = objects.values().map(|object| object.id().to_string()).collect();
            ids.sort();
            assert_eq!(ids, IDS);
        }
        assert!(read(&hex::decode(BY_OFFSET).unwrap(), 500).unwrap_err().contains("too large"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, flips: Vec<(usize, u8)>, tail: Vec<u8>) {
            let _ = read(&[&b"PACK\0\0\0\x02\0\0\0\x02"[..], &bytes].concat(), 1 << 16);
            let _ = apply(&tail, &bytes, 1 << 16);
            for pack in [BY_OFFSET, BY_NAME] {
                let mut changed = hex::decode(pack).unwrap();
                let len = changed.len();
                for (at, value) in &flips {
                    changed[at % len] = *value;
                }
                let _ = read(&changed, 1 << 16);
            }
        }
    }
}
