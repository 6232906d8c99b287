//! What came of it.

use std::error::Error;
use std::time::Duration;

use super::forwarder::Forwarder;
use super::show::{Show, mb};

/// An error if the sums differ or a network carried less than a tenth.
pub(crate) fn give(
    show: Show,
    [sent, received]: [String; 2],
    [wifi, cellular]: [&Forwarder; 2],
    [closed, silent, both]: [Duration; 3],
) -> Result<(), Box<dyn Error>> {
    let (by_wifi, by_cellular) = (wifi.carried(), cellular.carried());
    let all = by_wifi + by_cellular;
    show.say("bytes as the forwarders count them, those sent again included:");
    for (name, bytes) in [("wifi", by_wifi), ("cellular", by_cellular)] {
        show.say(format!(
            "  {name:8} {:>6} MB, {} %",
            mb(bytes),
            bytes * 100 / all.max(1)
        ));
    }
    show.say("time lost, the longest in which nothing arrived:");
    let [closed, silent, both] = [closed, silent, both].map(|time| time.as_secs_f64());
    show.say(format!("  wifi closed      {closed:5.2} s"));
    show.say(format!("  cellular silent  {silent:5.2} s"));
    show.say(format!(
        "  both closed      {both:5.2} s, of which 2 s without any network"
    ));
    show.say(format!("SHA-256 sent      {sent}"));
    show.say(format!("SHA-256 received  {received}"));
    if sent != received {
        return Err("the sums differ".into());
    }
    if by_wifi.min(by_cellular) < all / 10 {
        return Err("a network carried less than a tenth".into());
    }
    show.say("equal: not a byte was lost, repeated or reordered");
    Ok(())
}
