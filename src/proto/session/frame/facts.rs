//! The four bytes that tell a network's facts.

use crate::label::matching::PathFacts;
use crate::network::{Fact, Kinds};
use crate::proto::codec::{Put, Reader};
use crate::proto::session::ProtocolError;

/// The four bytes that tell a network's facts.
pub(in crate::proto::session) fn put_facts(out: &mut Vec<u8>, told: &PathFacts) {
    let fact = |fact| match fact {
        Fact::No => 0,
        Fact::LikelyNo => 1,
        Fact::Unknown => 2,
        Fact::LikelyYes => 3,
        Fact::Yes => 4,
    };
    out.put(&[
        told.kinds.0,
        fact(told.metered),
        fact(told.roaming),
        fact(told.constrained),
    ]);
}

/// Reads what [`put_facts`] wrote.
pub(in crate::proto::session) fn facts(
    reader: &mut Reader<'_>,
) -> Result<PathFacts, ProtocolError> {
    let [kinds, metered, roaming, constrained] = reader.array()?;
    let fact = |byte| {
        Ok(match byte {
            0 => Fact::No,
            1 => Fact::LikelyNo,
            2 => Fact::Unknown,
            3 => Fact::LikelyYes,
            4 => Fact::Yes,
            _ => return Err(ProtocolError::Malformed),
        })
    };
    Ok(PathFacts {
        kinds: Kinds(kinds),
        metered: fact(metered)?,
        roaming: fact(roaming)?,
        constrained: fact(constrained)?,
    })
}
