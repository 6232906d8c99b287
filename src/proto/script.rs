//! Choices read off the bytes of a fuzzer, so that a change of a byte is a change of a choice.

use super::codec::Reader;

/// Choices, first to last; past the end of the bytes each is 0.
#[derive(Debug, Clone)]
pub(crate) struct Script<'a>(Reader<'a>);

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Reader::new(bytes))
    }

    /// The next thing to do; `None` at the end.
    pub(crate) fn step(&mut self) -> Option<u8> {
        self.0.u8().ok()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.u8().unwrap_or(0)
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    pub(crate) fn short(&mut self) -> u16 {
        self.0.u16().unwrap_or(0)
    }

    /// One of these; `None` of none.
    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> Option<&'t T> {
        let choice = usize::from(self.byte());
        from.get(choice % from.len().max(1))
    }

    /// So many bytes, or as many as are left.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let count = count.min(self.0.rest().len());
        self.0.bytes(count).unwrap_or_default()
    }

    /// As many as the next byte says.
    pub(crate) fn some(&mut self) -> &'a [u8] {
        let count = self.byte();
        self.bytes(count.into())
    }
}
