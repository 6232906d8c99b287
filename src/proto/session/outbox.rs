//! What is to be written on a path, and how far that has got.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;

use bytes::Bytes;

use super::frame::{DATA_HEADER, DataHeader, put_bare};
use super::send::SendHalf;
use super::stream::Stream;
use super::toll::Tolls;
use super::{PathStats, StreamId};
use crate::label::{Label, Urgency};

/// What becomes of the bytes of a frame that is taken back before any of it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    /// They were never sent.
    Fresh,
    /// They were, or may have been by another path.
    Lost,
    /// Nothing: another path carries them.
    Copy,
}

/// What a frame carries payload of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Stream(StreamId),
    /// By its sender's number.
    Message(u64),
}

/// A part of a message on its way out, with its payload.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) id: u64,
    /// Its units, as [`messages`](super::messages) count them.
    pub(super) start: u64,
    pub(super) end: u64,
    /// Bytes before the payload, and the payload itself if that is small.
    pub(super) head: Vec<u8>,
    pub(super) lead: usize,
    /// The payload, if it is not in `head`.
    pub(super) body: Bytes,
}

/// A data frame on its way out. Payload of a stream stays in its rope, unless that must let go of it
/// while the frame is half written.
#[derive(Debug)]
struct Outgoing {
    header: [u8; DATA_HEADER],
    source: Source,
    label: Label,
    offset: u64,
    length: u32,
    /// Header and payload bytes that the link took.
    done: usize,
    resent: bool,
    urgency: Urgency,
    back: Back,
    /// The rest of the payload, if the rope let go of it.
    detached: Option<Box<[u8]>>,
    /// It is a part of a message.
    parcel: Option<Box<Parcel>>,
}

// One is moved in and out for each frame: what is larger is moved by a call.
const _: () = assert!(size_of::<Outgoing>() <= 128, "a frame is at most 128 bytes");

impl Outgoing {
    fn end(&self) -> u64 {
        match &self.parcel {
            Some(parcel) => parcel.end,
            None => self.offset + u64::from(self.length),
        }
    }

    /// Bytes before the payload.
    fn lead(&self) -> usize {
        match &self.parcel {
            Some(parcel) => parcel.lead,
            None => DATA_HEADER,
        }
    }

    fn size(&self) -> usize {
        self.lead() + self.length as usize
    }

    /// Payload bytes that the link took.
    fn payload_done(&self) -> usize {
        self.done.saturating_sub(self.lead())
    }

    fn is_of(&self, stream: StreamId) -> bool {
        self.source == Source::Stream(stream)
    }

    /// The first payload byte still needed.
    fn needs(&self) -> u64 {
        self.offset + self.payload_done() as u64
    }

    fn detach(&mut self, send: &SendHalf) {
        if self.detached.is_none() {
            let length = (self.end() - self.needs()) as usize;
            let mut rest = Vec::with_capacity(length);
            for piece in send.rope.pieces(self.needs(), length) {
                rest.extend_from_slice(piece);
            }
            self.detached = Some(rest.into());
        }
    }
}

/// What is to be written on a path, in order: the rest of a data frame that was begun, control frames,
/// further data frames, the more urgent first.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) control: Vec<u8>,
    control_done: usize,
    frames: VecDeque<Outgoing>,
    /// Bytes of `frames` not written, by urgency.
    queued: [usize; 3],
    /// Messages of which a frame was begun since this was emptied.
    pub(super) begun_messages: Vec<u64>,
    /// What limits let go.
    pub(super) tolls: Tolls,
    /// Payload written, repetitions included, by the urgency of its label.
    pub(super) sent: [u64; 3],
}

/// A frame to be written.
#[derive(Debug)]
pub(super) struct Push<'a> {
    pub(super) header: DataHeader,
    pub(super) label: &'a Label,
    /// It goes before frames that are less urgent and not begun.
    pub(super) urgency: Urgency,
    pub(super) resent: bool,
    pub(super) back: Back,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.frames.is_empty()
    }

    /// Bytes of data frames not written yet.
    pub(super) fn queued(&self) -> usize {
        self.queued.iter().sum()
    }

    /// Those of them that nobody waits for.
    pub(super) fn background(&self) -> usize {
        self.queued[Urgency::Background as usize]
    }

    /// Background waited long enough: its first frame goes before everything that is not begun.
    pub(super) fn feed_background(&mut self) {
        let first = |frame: &Outgoing| frame.done == 0 && frame.urgency == Urgency::Background;
        if let Some(index) = self.frames.iter().position(first)
            && let Some(mut frame) = self.frames.remove(index)
        {
            self.queued[Urgency::Background as usize] -= frame.size();
            self.queued[Urgency::Interactive as usize] += frame.size();
            frame.urgency = Urgency::Interactive;
            self.frames.insert(usize::from(self.begun()), frame);
        }
    }

    /// Those of them that go before a frame of this urgency.
    pub(super) fn before(&self, urgency: Urgency) -> usize {
        self.queued[..=urgency as usize].iter().sum()
    }

    /// Those of them of this urgency.
    pub(super) fn of(&self, urgency: Urgency) -> usize {
        self.queued[urgency as usize]
    }

    /// Control bytes not written yet.
    pub(super) fn control_left(&self) -> usize {
        self.control.len() - self.control_done
    }

    fn begun(&self) -> bool {
        self.frames.front().is_some_and(|frame| frame.done > 0)
    }

    /// The label of the frame that is half written.
    pub(super) fn begun_label(&self) -> Option<Label> {
        let front = self.frames.front().filter(|frame| frame.done > 0)?;
        Some(front.label)
    }

    pub(super) fn has_frames(&self) -> bool {
        !self.frames.is_empty()
    }

    pub(super) fn push(&mut self, push: Push<'_>) {
        let header = push.header;
        let frame = Outgoing {
            header: header.encode(),
            source: Source::Stream(header.stream),
            label: *push.label,
            offset: header.offset,
            length: header.payload,
            done: 0,
            resent: push.resent,
            urgency: push.urgency,
            back: push.back,
            detached: None,
            parcel: None,
        };
        self.insert(frame);
    }

    /// A part of a message is to be written.
    pub(super) fn push_parcel(
        &mut self,
        parcel: Parcel,
        label: &Label,
        urgency: Urgency,
        resent: bool,
        back: Back,
    ) {
        let length = parcel.head.len() - parcel.lead + parcel.body.len();
        self.insert(Outgoing {
            header: [0; DATA_HEADER],
            source: Source::Message(parcel.id),
            label: *label,
            offset: parcel.start,
            length: length as u32,
            done: 0,
            resent,
            urgency,
            back,
            detached: None,
            parcel: Some(Box::new(parcel)),
        });
    }

    fn insert(&mut self, frame: Outgoing) {
        self.queued[frame.urgency as usize] += frame.size();
        if !self.tolls.is_empty() {
            self.tolls.pay(&frame.label, frame.size() as u64);
        }
        let less = |before: &&Outgoing| before.done == 0 && before.urgency > frame.urgency;
        let overtaken = self.frames.iter().rev().take_while(less).count();
        match overtaken {
            0 => self.frames.push_back(frame),
            _ => self.frames.insert(self.frames.len() - overtaken, frame),
        }
    }

    /// Frames of this stream or message that are not begun are at least so urgent now.
    pub(super) fn raise(&mut self, source: Source, urgency: Urgency) {
        let raised =
            |frame: &Outgoing| frame.source == source && frame.done == 0 && frame.urgency > urgency;
        if !self.frames.iter().any(raised) {
            return;
        }
        let begun = usize::from(self.begun());
        for frame in self.frames.iter_mut().filter(|frame| raised(frame)) {
            let left = frame.size();
            self.queued[frame.urgency as usize] -= left;
            self.queued[urgency as usize] += left;
            frame.urgency = urgency;
        }
        self.frames.make_contiguous()[begun..].sort_by_key(|frame| frame.urgency);
    }

    pub(super) fn push_bare(&mut self, kind: u8) {
        put_bare(&mut self.control, kind);
    }

    /// Takes back the frames of which nothing was written, and gives them to `untake` as source, range
    /// and what becomes of it.
    pub(super) fn unplan(&mut self, mut untake: impl FnMut(Source, u64, u64, Back)) {
        let keep = usize::from(self.begun());
        for frame in self.frames.drain(keep..) {
            self.queued[frame.urgency as usize] -= frame.size();
            self.tolls.pay_back(&frame.label, frame.size() as u64);
            untake(frame.source, frame.offset, frame.end(), frame.back);
        }
    }

    /// Takes back the frames of one message of which nothing was written.
    pub(super) fn unplan_message(&mut self, id: u64, mut untake: impl FnMut(u64, u64, Back)) {
        let (queued, tolls) = (&mut self.queued, &mut self.tolls);
        self.frames.retain(|frame| {
            let goes = frame.source == Source::Message(id) && frame.done == 0;
            if goes {
                queued[frame.urgency as usize] -= frame.size();
                tolls.pay_back(&frame.label, frame.size() as u64);
                untake(frame.offset, frame.end(), frame.back);
            }
            !goes
        });
    }

    /// The rope of a stream is about to let go of everything below `upto`: a frame not begun that ends
    /// there goes too, for its bytes have arrived by another path.
    pub(super) fn detach(&mut self, stream: StreamId, upto: u64, send: &SendHalf) {
        let (queued, tolls) = (&mut self.queued, &mut self.tolls);
        let mut needless = false;
        for frame in &mut self.frames {
            if frame.is_of(stream) && frame.needs() < upto {
                needless |= frame.done == 0 && frame.end() <= upto;
                if frame.done > 0 || frame.end() > upto {
                    frame.detach(send);
                }
            }
        }
        if needless {
            self.frames.retain(|frame| {
                let goes = frame.is_of(stream) && frame.done == 0 && frame.end() <= upto;
                if goes {
                    queued[frame.urgency as usize] -= frame.size();
                    tolls.pay_back(&frame.label, frame.size() as u64);
                }
                !goes
            });
        }
    }

    /// The rope of a stream is about to go: of its frames only the begun one is finished.
    pub(super) fn abandon(&mut self, stream: StreamId, send: &SendHalf) {
        let (queued, tolls) = (&mut self.queued, &mut self.tolls);
        self.frames.retain_mut(|frame| {
            if !frame.is_of(stream) {
                return true;
            }
            if frame.done > 0 {
                frame.detach(send);
                return true;
            }
            queued[frame.urgency as usize] -= frame.size();
            tolls.pay_back(&frame.label, frame.size() as u64);
            false
        });
    }

    /// Fills `out` with what to write, in order.
    pub(super) fn slices<'a>(
        &'a self,
        streams: &'a BTreeMap<StreamId, Box<Stream>>,
        out: &mut [IoSlice<'a>],
    ) -> usize {
        let mut count = 0;
        let mut push = |bytes: &'a [u8]| {
            if count < out.len() && !bytes.is_empty() {
                out[count] = IoSlice::new(bytes);
                count += 1;
            }
            count < out.len()
        };
        let mut frames = self.frames.iter();
        if self.begun()
            && let Some(frame) = frames.next()
            && !frame_slices(frame, streams, &mut push)
        {
            return count;
        }
        if !push(&self.control[self.control_done..]) {
            return count;
        }
        for frame in frames {
            if !frame_slices(frame, streams, &mut push) {
                break;
            }
        }
        count
    }

    /// The link took `n` bytes of what [`slices`](Self::slices) gave.
    pub(super) fn written(&mut self, mut n: usize, stats: &mut PathStats) {
        if self.begun() {
            self.front_written(&mut n, stats);
        }
        let control = n.min(self.control_left());
        self.control_done += control;
        stats.control_sent += control as u64;
        self.tolls.all(control as u64);
        n -= control;
        if self.control_left() == 0 {
            self.control_done = 0;
            self.control.clear();
            if self.control.capacity() > 1024 {
                self.control = Vec::new();
            }
        }
        while n > 0 && !self.frames.is_empty() {
            self.front_written(&mut n, stats);
        }
        debug_assert_eq!(n, 0, "the link took more than it was given");
    }

    fn front_written(&mut self, n: &mut usize, stats: &mut PathStats) {
        let Some(front) = self.frames.front_mut() else {
            return;
        };
        let taken = (*n).min(front.size() - front.done);
        let before = front.payload_done();
        if front.done == 0
            && let Source::Message(id) = front.source
        {
            self.begun_messages.push(id);
        }
        front.done += taken;
        let payload = front.payload_done() - before;
        stats.control_sent += (taken - payload) as u64;
        self.sent[front.label.urgency() as usize] += payload as u64;
        if front.resent {
            stats.payload_resent += payload as u64;
        } else {
            stats.payload_sent += payload as u64;
        }
        if let Some(rest) = &mut front.detached {
            *rest = rest[payload..].into();
        }
        *n -= taken;
        self.queued[front.urgency as usize] -= taken;
        if front.done == front.size() {
            self.frames.pop_front();
            if self.frames.is_empty() && self.frames.capacity() > 8 {
                self.frames = VecDeque::new();
            }
        }
    }
}

/// The unwritten part of one frame; `false` once there is no more room.
fn frame_slices<'a>(
    frame: &'a Outgoing,
    streams: &'a BTreeMap<StreamId, Box<Stream>>,
    push: &mut impl FnMut(&'a [u8]) -> bool,
) -> bool {
    if let Some(parcel) = &frame.parcel {
        let in_head = frame.done.min(parcel.head.len());
        return push(&parcel.head[in_head..]) && push(&parcel.body[frame.done - in_head..]);
    }
    if frame.done < DATA_HEADER && !push(&frame.header[frame.done..]) {
        return false;
    }
    if let Some(rest) = &frame.detached {
        return push(rest);
    }
    let Source::Stream(stream) = &frame.source else {
        return true;
    };
    let rope = &streams
        .get(stream)
        .expect("a stream with frames under way is kept, or they are detached")
        .send
        .rope;
    let mut pieces = rope.pieces(frame.needs(), (frame.end() - frame.needs()) as usize);
    pieces.all(push)
}
