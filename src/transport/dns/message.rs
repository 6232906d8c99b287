//! The few bytes of RFC 1035 that a question for addresses and its answer need.
//!
//! ```text
//!   id 2 | flags 2 | questions 2 | answers 2 | authorities 2 | additions 2      the header, 12 bytes
//!   labels, each after its length, then 0 | type 2 | class 2                    the question
//!   name | type 2 | class 2 | time to live 4 | length 2 | data                  a record
//! ```
//!
//! A name may end in a pointer to an earlier one. What is read is bounded by the message itself:
//! nothing is reserved for what a count claims.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A name gives no more addresses than this; the rest of an answer is left out.
pub(in crate::transport) const MOST: usize = 64;

const HEADER: usize = 12;
/// RFC 1035, section 3.1, the lengths included.
const LONGEST_NAME: usize = 255;
/// Aliases that are followed from the name asked for.
const ALIASES: usize = 16;
const CLASS_IN: u16 = 1;
const TYPE_CNAME: u16 = 5;

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    fn code(self) -> u16 {
        match self {
            Self::V4 => 1,
            Self::V6 => 28,
        }
    }
}

/// A question as it goes out, but for its number.
#[derive(Debug, Clone)]
pub(super) struct Question {
    family: Family,
    /// Name, type and class.
    section: Vec<u8>,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// These addresses; none if the name has none of this family.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoName,
    /// It did not fit: to be asked for over TCP.
    Cut,
    /// The server would not or could not say (RFC 1035, section 4.1.1).
    Refused(u8),
}

impl Question {
    /// `None` for a name that the DNS cannot hold as it is written.
    pub(super) fn new(host: &str, family: Family) -> Option<Self> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let mut section = Vec::with_capacity(host.len() + 6);
        for label in host.split('.') {
            let length = u8::try_from(label.len()).ok().filter(|n| *n < 64)?;
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if length == 0 || !label.bytes().all(plain) {
                return None;
            }
            section.push(length);
            section.extend(label.bytes());
        }
        section.push(0);
        if section.len() > LONGEST_NAME {
            return None;
        }
        section.extend(family.code().to_be_bytes());
        section.extend(CLASS_IN.to_be_bytes());
        Some(Self { family, section })
    }

    /// The whole message, which asks the server to find out (RD).
    pub(super) fn message(&self, id: u16) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEADER + self.section.len());
        for word in [id, 0x0100, 1, 0, 0, 0] {
            message.extend(word.to_be_bytes());
        }
        message.extend(&self.section);
        message
    }

    /// What `message` answers to this question; `None` if it is no answer to it, or not well formed.
    pub(super) fn answered(&self, id: u16, message: &[u8]) -> Option<Answer> {
        let mut reader = Reader { message, at: 0 };
        let [its_id, flags, questions, answers, _, _] = reader.words()?;
        let is_answer = flags & 0x8000 != 0 && flags & 0x7800 == 0;
        if its_id != id || !is_answer || questions != 1 {
            return None;
        }
        if !reader
            .take(self.section.len())?
            .eq_ignore_ascii_case(&self.section)
        {
            return None;
        }
        match flags & 0xf {
            0 if flags & 0x0200 != 0 => Some(Answer::Cut),
            0 => Some(Answer::Addresses(self.addresses(reader, answers)?)),
            3 => Some(Answer::NoName),
            code => Some(Answer::Refused(code as u8)),
        }
    }

    /// The addresses of the name asked for, and of those it is an alias of.
    fn addresses(&self, mut reader: Reader<'_>, answers: u16) -> Option<Vec<IpAddr>> {
        let mut wanted = self.section[..self.section.len() - 4].to_ascii_lowercase();
        let (mut aliases, mut found) = (Vec::new(), Vec::new());
        for _ in 0..answers {
            let owner = reader.name()?;
            let [kind, class, _, _, length] = reader.words()?;
            let data = Reader {
                message: &reader.message[..reader.at + usize::from(length).min(reader.left())],
                at: reader.at,
            };
            let bytes = reader.take(usize::from(length))?;
            if class != CLASS_IN {
                continue;
            }
            match kind {
                TYPE_CNAME if aliases.len() < ALIASES => {
                    aliases.push((owner, data.clone().name()?))
                }
                kind if kind == self.family.code() && found.len() < MOST => {
                    found.push((owner, address(bytes)?));
                }
                _ => {}
            }
        }
        for _ in 0..=aliases.len() {
            let of_wanted = found.iter().filter(|(owner, _)| *owner == wanted);
            let addresses: Vec<IpAddr> = of_wanted.map(|(_, ip)| *ip).collect();
            let alias = aliases.iter().find(|(owner, _)| *owner == wanted);
            match alias {
                Some((_, target)) if addresses.is_empty() => wanted.clone_from(target),
                _ => return Some(addresses),
            }
        }
        Some(Vec::new())
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).into());
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|v6| Ipv6Addr::from(v6).into())
}

#[derive(Debug, Clone)]
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn left(&self) -> usize {
        self.message.len() - self.at
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn words<const N: usize>(&mut self) -> Option<[u16; N]> {
        let bytes = self.take(2 * N)?;
        let mut words = [0; N];
        for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
            *word = u16::from_be_bytes([pair[0], pair[1]]);
        }
        Some(words)
    }

    /// A name in lower case, as a question holds it. Pointers lead backwards only, so they end.
    fn name(&mut self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        let mut at = self.at;
        let mut end = None;
        let mut earliest = self.at;
        loop {
            let length = *self.message.get(at)?;
            match length {
                0 => {
                    name.push(0);
                    self.at = end.unwrap_or(at + 1);
                    return Some(name);
                }
                1..=63 => {
                    let label = self.message.get(at..=at + usize::from(length))?;
                    name.extend(label.iter().map(u8::to_ascii_lowercase));
                    at += label.len();
                }
                192.. => {
                    let low = *self.message.get(at + 1)?;
                    end.get_or_insert(at + 2);
                    at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    if at >= earliest {
                        return None;
                    }
                    earliest = at;
                }
                _ => return None,
            }
            if name.len() >= LONGEST_NAME {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: u16 = 7;

    fn question() -> Question {
        Question::new("Photos.example", Family::V4).unwrap()
    }

    /// An answer with these records; an owner of `None` is the name asked for.
    fn answer(
        question: &Question,
        flags: u16,
        records: &[(Option<&str>, u16, Vec<u8>)],
    ) -> Vec<u8> {
        let mut message = Vec::new();
        for word in [ID, flags, 1, records.len() as u16, 0, 0] {
            message.extend(word.to_be_bytes());
        }
        message.extend(&question.section);
        for (owner, kind, data) in records {
            match owner {
                None => message.extend([0xc0, 12]),
                Some(owner) => message.extend(name(owner)),
            }
            for word in [*kind, CLASS_IN, 0, 60, data.len() as u16] {
                message.extend(word.to_be_bytes());
            }
            message.extend(data);
        }
        message
    }

    fn name(host: &str) -> Vec<u8> {
        let whole = Question::new(host, Family::V4).unwrap().section;
        whole[..whole.len() - 4].to_vec()
    }

    fn ip(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn a_question_is_what_rfc_1035_says() {
        let message = Question::new("a.bc.", Family::V6).unwrap().message(0x1234);
        let expected = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01a\x02bc\0\0\x1c\0\x01";
        assert_eq!(message, expected);
        for wrong in [
            "",
            ".",
            "a..b",
            "b\u{fc}cher.example",
            &"a".repeat(64),
            &"a.".repeat(130),
        ] {
            assert!(Question::new(wrong, Family::V4).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn addresses_of_the_name_and_of_what_it_is_an_alias_of_are_taken() {
        let question = question();
        let taken = |records: &[_]| question.answered(ID, &answer(&question, 0x8180, records));
        let one = (None, 1, vec![192, 0, 2, 1]);
        assert_eq!(
            taken(std::slice::from_ref(&one)),
            Some(Answer::Addresses(vec![ip(1)]))
        );
        let chain = [
            (Some("b.example"), 1, vec![192, 0, 2, 3]),
            (None, TYPE_CNAME, name("A.example")),
            (Some("other.example"), 1, vec![192, 0, 2, 9]),
            (Some("a.example"), TYPE_CNAME, name("b.example")),
        ];
        assert_eq!(taken(&chain), Some(Answer::Addresses(vec![ip(3)])));
        let circle = [(None, TYPE_CNAME, name("photos.example"))];
        assert_eq!(taken(&circle), Some(Answer::Addresses(vec![])));
        let many = vec![one; 200];
        assert_eq!(taken(&many), Some(Answer::Addresses(vec![ip(1); MOST])));
    }

    #[test]
    fn what_does_not_answer_the_question_is_not_taken() {
        let question = question();
        let right = answer(&question, 0x8180, &[]);
        assert!(
            question.answered(ID + 1, &right).is_none(),
            "another number"
        );
        assert!(
            question.answered(ID, &question.message(ID)).is_none(),
            "a question"
        );
        let other = Question::new("photos.example", Family::V6).unwrap();
        assert!(other.answered(ID, &right).is_none(), "another type");
        let of = |flags| question.answered(ID, &answer(&question, flags, &[]));
        assert_eq!(of(0x8183), Some(Answer::NoName));
        assert_eq!(of(0x8380), Some(Answer::Cut));
        assert_eq!(of(0x8185), Some(Answer::Refused(5)));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(
            tail in proptest::collection::vec(any::<u8>(), 0..200),
            cut in any::<proptest::sample::Index>(),
        ) {
            let question = question();
            let chain = [(None, TYPE_CNAME, name("a.example")), (Some("a.example"), 1, vec![192, 0, 2, 3])];
            let mut message = answer(&question, 0x8180, &chain);
            message[7] = 9;
            message.truncate(HEADER + cut.index(message.len() - HEADER));
            message.extend(&tail);
            if let Some(Answer::Addresses(found)) = question.answered(ID, &message) {
                prop_assert!(found.len() <= MOST);
            }
            let _ = question.answered(ID, &tail);
        }
    }
}
