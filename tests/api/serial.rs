//! The transport of `examples/serial`, as its author would test it.

#[path = "../../examples/serial/frame.rs"]
mod frame;
#[path = "../../examples/serial/line.rs"]
mod line;
#[path = "../../examples/serial/transport.rs"]
mod transport;
#[path = "../../examples/serial/wire.rs"]
mod wire;

use frame::{Kind, Reader};
use mancom::testing::conformance::{self, Cell, Subject, Table};
use std::sync::Arc;
use transport::Serial;
use wire::Wire;

fn endpoint(here: &std::path::Path, far: &std::path::Path) -> mancom::Endpoint {
    let text = format!("serial:{}?far={}", here.display(), far.display());
    text.parse().unwrap()
}

const NAMELESS: &str = "a line leads to one far end, which needs no name";

fn subject(one: &Wire, two: &Wire, unnamed: Option<&'static str>) -> Subject {
    Subject {
        dialler: Arc::new(Serial::new()),
        listener: Arc::new(Serial::new()),
        here: endpoint(&one.ends[0], &one.ends[1]),
        there: endpoint(&two.ends[0], &two.ends[1]),
        nobody: "serial:/dev/there-is-none".parse().unwrap(),
        knows_dialler: false,
        unnamed,
    }
}

#[tokio::test]
async fn a_third_partys_transport_runs_through_the_suite() {
    let (one, two) = (Wire::new().unwrap(), Wire::new().unwrap());
    let column = conformance::column(&subject(&one, &two, Some(NAMELESS))).await;
    let single = Cell::NotApplicable("a place has one link at a time".into());
    assert_eq!(column.cell(23), Some(&single));
    let unnamed = Cell::NotApplicable(NAMELESS.into());
    assert_eq!(column.cell(12), Some(&unnamed));
    let table = Table::from(vec![column]);
    println!("{table}");
    assert!(table.holes().is_empty(), "holes: {:#?}", table.holes());
}

/// Its links know no names: without a reason for that, nobody would notice that it was forgotten.
#[tokio::test]
#[should_panic(expected = "or the subject says why not")]
async fn links_that_take_no_name_are_not_passed_over_in_silence() {
    let (one, two) = (Wire::new().unwrap(), Wire::new().unwrap());
    conformance::knows_its_peer(&subject(&one, &two, None)).await;
}

#[test]
fn frames_are_found_whatever_is_between_them() {
    let mut bytes = b"half a frame, or noise".to_vec();
    let payload: Vec<u8> = (0..=255).collect();
    frame::put(&mut bytes, Kind::Data, 0xc0db_dcdd, &payload);
    bytes.extend([0xdb, 0x00, 0xc0]);
    bytes.extend(vec![7; 5000]);
    frame::put(&mut bytes, Kind::Gone, 7, &[]);
    let mut reader = Reader::default();
    let found: Vec<_> = bytes.iter().filter_map(|byte| reader.take(*byte)).collect();
    assert_eq!(
        found,
        [(Kind::Data, 0xc0db_dcdd, payload), (Kind::Gone, 7, vec![])]
    );
}
