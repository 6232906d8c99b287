//! Answers that no service should give.

use super::*;
use crate::scout::dbus::objects::Objects;
use crate::scout::dbus::{MOST, Told, is_name, network_manager};

fn told(tree: &Tree) -> Told {
    let body = tree.body();
    network_manager::told(&body.deserialize().expect("objects"), Some(true))
}

#[test]
fn a_property_of_another_type_is_as_good_as_none() {
    let wrong = [
        ("Metered", text("yes")),
        ("DeviceType", Variant::from(vec![2_u32])),
        ("Ip4Connectivity", Variant::from(4_i64)),
        ("Ip4Config", number(1)),
        ("HwAddress", Variant::from(vec![2_u8; 6])),
    ];
    let told = told(&Tree::new().device("eth0", wrong));
    assert_eq!(told.sayings["eth0"], Default::default());
}

#[test]
fn numbers_out_of_range_say_nothing() {
    let wrong = [
        ("Metered", number(5)),
        ("DeviceType", number(u32::MAX)),
        ("Ip4Connectivity", number(99)),
        ("Ip6Connectivity", number(u32::MAX)),
        ("State", number(100)),
        ("HwAddress", text("02:FC:00:00:00:100")),
    ];
    let told = told(&Tree::new().device("eth0", wrong));
    assert_eq!(told.sayings["eth0"], Default::default());
}

#[test]
fn names_that_no_interface_has_are_passed_over() {
    let huge = "x".repeat(1 << 20);
    let wrong = ["../eth0", "eth 0", "", ".", "..", "sixteen-bytes-xx", &huge];
    let mut tree = Tree::new().device("fine", [("Interface", text("eth0"))]);
    for (n, name) in wrong.iter().enumerate() {
        assert!(!is_name(name), "{n}");
        tree = tree.device(&format!("d{n}"), [("Interface", text(name))]);
    }
    let told = told(&tree);
    assert_eq!(told.sayings.keys().collect::<Vec<_>>(), ["eth0"]);
    assert_eq!(told.ignored, wrong.len());
}

#[test]
fn a_hardware_address_without_end_is_none() {
    let tree = Tree::new().device("eth0", [("HwAddress", text(&"00:".repeat(1 << 20)))]);
    assert_eq!(told(&tree).sayings["eth0"].hardware, None);
}

#[test]
fn of_100_000_objects_1_024_devices_are_kept() {
    let mut tree = Tree::new();
    for n in 0..100_000 {
        let name = format!("e{n}");
        let path = format!("/d/{name}");
        tree = tree.with(&path, DEVICE, [("Interface", text(&name))]);
    }
    let told = told(&tree);
    assert_eq!(told.sayings.len(), MOST);
    assert_eq!(told.ignored, 100_000 - MOST);
}

#[test]
fn a_list_without_end_is_cut() {
    let servers = Variant::from(vec![1_u32; 100_000]);
    let tree = Tree::new()
        .device("eth0", [("Ip4Config", path("/4"))])
        .with(
            "/4",
            "org.freedesktop.NetworkManager.IP4Config",
            [("Nameservers", servers)],
        );
    assert_eq!(
        told(&tree).sayings["eth0"].dns.as_ref().map(Vec::len),
        Some(MOST)
    );
}

#[test]
fn what_is_not_read_is_not_kept() {
    let tree = Tree::new()
        .device("eth0", [("Udi", text("somewhere"))])
        .with(
            "/org/freedesktop/NetworkManager/Settings",
            "org.freedesktop.NetworkManager.Settings",
            [("Metered", number(1))],
        );
    let body = tree.body();
    let objects: Objects<'_> = body.deserialize().expect("objects");
    let shown = format!("{objects:?}");
    assert!(
        !shown.contains("Udi") && !shown.contains("Settings"),
        "{shown}"
    );
}

#[test]
fn an_answer_of_another_type_is_an_error() {
    let call = || Message::method_call("/", "answer");
    for message in [
        call().build(&7_u32),
        call().build(&("a", "b")),
        call().build(&vec!["a"]),
        call().build(&()),
    ] {
        let body = message.expect("a message").body();
        assert!(body.deserialize::<Objects<'_>>().is_err());
    }
}
