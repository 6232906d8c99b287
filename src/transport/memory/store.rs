//! Bytes in order: copied ones, and buffers that somebody else still owns.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;

/// Below this, copying costs less than keeping a buffer apart.
const WORTH_KEEPING: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Store {
    chunks: VecDeque<Chunk>,
    len: usize,
}

#[derive(Debug)]
enum Chunk {
    Copied(VecDeque<u8>),
    Owned(Bytes),
}

impl Store {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        match self.chunks.back_mut() {
            Some(Chunk::Copied(last)) => last.extend(bytes),
            _ => self
                .chunks
                .push_back(Chunk::Copied(bytes.iter().copied().collect())),
        }
    }

    /// Without a copy, unless that is cheaper.
    pub(super) fn push_owned(&mut self, bytes: Bytes) {
        if bytes.len() < WORTH_KEEPING {
            return self.push(&bytes);
        }
        self.len += bytes.len();
        self.chunks.push_back(Chunk::Owned(bytes));
    }

    /// Fills `into`, which is not more than there is.
    pub(super) fn take(&mut self, mut into: &mut [u8]) {
        self.len -= into.len();
        while !into.is_empty() {
            let n = match self.chunks.front_mut().expect("there is as much") {
                Chunk::Copied(bytes) => {
                    let n = bytes.len().min(into.len());
                    let (front, back) = bytes.as_slices();
                    let split = n.min(front.len());
                    into[..split].copy_from_slice(&front[..split]);
                    into[split..n].copy_from_slice(&back[..n - split]);
                    bytes.drain(..n);
                    n
                }
                Chunk::Owned(bytes) => {
                    let n = bytes.len().min(into.len());
                    bytes.copy_to_slice(&mut into[..n]);
                    n
                }
            };
            into = &mut into[n..];
            let is_read = match self.chunks.front() {
                // The last one keeps its room for what is written next.
                Some(Chunk::Copied(bytes)) => bytes.is_empty() && self.chunks.len() > 1,
                Some(Chunk::Owned(bytes)) => bytes.is_empty(),
                None => false,
            };
            if is_read {
                self.chunks.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_went_in_comes_out_however_it_is_cut(
            pieces in proptest::collection::vec((0usize..3000, any::<bool>()), 0..20),
            reads in proptest::collection::vec(0usize..4000, 0..40),
        ) {
            let mut store = Store::default();
            let (mut all, mut out) = (Vec::<u8>::new(), Vec::<u8>::new());
            let mut reads = reads.into_iter();
            for (len, owned) in pieces {
                let piece: Vec<u8> = (all.len()..all.len() + len).map(|i| i as u8).collect();
                all.extend(&piece);
                match owned {
                    true => store.push_owned(piece.into()),
                    false => store.push(&piece),
                }
                let mut got = vec![0; reads.next().unwrap_or(0).min(store.len())];
                store.take(&mut got);
                out.extend(got);
                prop_assert_eq!(store.len(), all.len() - out.len());
            }
            let mut got = vec![0; store.len()];
            store.take(&mut got);
            out.extend(got);
            prop_assert_eq!(out, all);
            prop_assert!(store.chunks.len() <= 1);
        }
    }
}
