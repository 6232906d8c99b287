//! The picture, 800 pixels wide: a strip for each sheet, in it a panel for each drawn column and a bar for
//! each peer. A dashed line is what is asked of mancom. Sheets of one panel lie two and two.
//!
//! ```text
//!  B6 interactive beside bulk, ...
//!             p50, ms, log scale      p99, ms, log scale      bulk, Mbit/s
//!  tcp-two    ▇▇▇▇▇▇▇▇ 282            ▇▇▇▇▇▇▇▇▇ 395           ▇▇▇▇▇▇▇▇ 19.3
//!  mancom     ▇▇ ╎ 21                 ▇▇ ╎ 26                 ▇▇▇▇▇▇▇▇ 19.2
//! ```

use std::fmt::Write as _;

use super::table::round;
use super::{Column, MINE, Row, Scale, Sheet, Verdict};

const WIDTH: f64 = 800.0;
const MARGIN: f64 = 16.0;
/// Beside each bar, for its figure.
const FIGURE: f64 = 48.0;
const BAR: f64 = 14.0;
const STEP: f64 = 20.0;
/// The legend.
const TOP: f64 = 36.0;
const OURS: &str = "#c2410c";
const THEIRS: &str = "#94a3b8";
const INK: &str = "#0f172a";
const FAINT: &str = "#475569";
const MET: &str = "#15803d";
const MISSED: &str = "#b91c1c";

pub(super) fn draw(sheets: &[&Sheet]) -> String {
    let mut body = String::new();
    legend(&mut body);
    let mut y = TOP;
    let drawn: Vec<&Sheet> = sheets.iter().copied().filter(|sheet| seen(sheet)).collect();
    let mut rest = &drawn[..];
    while let [first, more @ ..] = rest {
        // What has one panel takes half the width, if the next does too and both have room for their headings.
        let pair = more.first().filter(|second| {
            second.bar == first.bar
                && [first, *second]
                    .iter()
                    .all(|sheet| panels(sheet).len() == 1 && is_short(&heading(sheet)))
        });
        if let Some(second) = pair {
            let half = WIDTH / 2.0;
            let left = strip(&mut body, first, (0.0, y, half));
            y = strip(&mut body, second, (half, y, half)).max(left);
            rest = &more[1..];
        } else {
            y = strip(&mut body, first, (0.0, y, WIDTH));
            rest = more;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" \
         viewBox=\"0 0 {WIDTH} {y:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{y:.0}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

fn legend(body: &mut String) {
    let y = 10.0;
    for (x, colour, what) in [(MARGIN, OURS, "mancom"), (100.0, THEIRS, "peers")] {
        bar(body, (x, y), 16.0, colour);
        text(body, (x + 22.0, y + 11.0), "start", INK, "", what);
    }
    let _ = writeln!(
        body,
        "<line x1=\"180\" y1=\"{y}\" x2=\"180\" y2=\"{}\" {DASHES}/>",
        y + BAR
    );
    let what = "what is asked of mancom: \u{2264} at most, \u{2265} at least";
    text(body, (188.0, y + 11.0), "start", INK, "", what);
}

const DASHES: &str = "stroke=\"#0f172a\" stroke-dasharray=\"3 3\"";

/// The columns that are drawn.
fn panels(sheet: &Sheet) -> Vec<usize> {
    let columns = 0..sheet.columns.len();
    columns
        .filter(|&column| sheet.columns[column].chart.is_some())
        .collect()
}

/// The rows of which something is drawn.
fn rows(sheet: &Sheet) -> Vec<&Row> {
    let drawn = panels(sheet);
    let shown = |row: &&Row| drawn.iter().any(|&at| sheet.shown(row, at).is_some());
    sheet.rows.iter().filter(shown).collect()
}

fn seen(sheet: &Sheet) -> bool {
    !rows(sheet).is_empty()
}

fn heading(sheet: &Sheet) -> String {
    format!("{} {}", sheet.bar, sheet.title)
}

/// Whether a heading has room above half of the picture: a bold letter is some 7.5 wide.
fn is_short(heading: &str) -> bool {
    MARGIN + 7.5 * heading.chars().count() as f64 <= WIDTH / 2.0
}

/// Draws a sheet from a place on, as wide as it says; where the next begins below it.
fn strip(body: &mut String, sheet: &Sheet, (x, y, wide): (f64, f64, f64)) -> f64 {
    let (drawn, rows) = (panels(sheet), rows(sheet));
    let heading = heading(sheet);
    let bold = "font-weight=\"bold\" font-size=\"13\"";
    text(body, (x + MARGIN, y + 16.0), "start", INK, bold, &heading);
    let top = y + 44.0;
    let longest = rows.iter().map(|row| row.name.chars().count()).max();
    // As the widest letters of this size are seldom all there is.
    let left = x + MARGIN + 12.0 + 7.8 * longest.unwrap_or(0) as f64;
    for (index, row) in rows.iter().enumerate() {
        let middle = top + STEP * index as f64 + BAR / 2.0 + 4.0;
        text(body, (left - 8.0, middle), "end", INK, "", &row.name);
    }
    let width = (x + wide - MARGIN - left) / drawn.len() as f64;
    for (place, &column) in drawn.iter().enumerate() {
        let left = left + width * place as f64;
        panel(body, sheet, &rows, column, (left, top, width - FIGURE));
    }
    top + STEP * rows.len() as f64 + 32.0
}

fn panel(
    body: &mut String,
    sheet: &Sheet,
    rows: &[&Row],
    column: usize,
    (left, top, longest): (f64, f64, f64),
) {
    let told = &sheet.columns[column];
    let scale = told.chart.unwrap_or(Scale::Linear);
    let verdict = sheet
        .verdicts
        .iter()
        .find(|verdict| verdict.column == told.name);
    let limit = verdict.map(|verdict| verdict.limit);
    let shown = rows.iter().filter_map(|row| sheet.shown(row, column));
    let axis = Axis::over(scale, shown.chain(limit));
    head(body, told, verdict, (left, top - 10.0));
    let bottom = top + STEP * rows.len() as f64;
    let line = |body: &mut String, figure: f64, style: &str| {
        let x = left + axis.place(figure) * longest;
        let _ = writeln!(
            body,
            "<line x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" {style}/>"
        );
        x
    };
    for tick in axis.ticks() {
        let x = line(body, tick, "stroke=\"#e2e8f0\"");
        let small = "font-size=\"10\"";
        let below = (x, bottom + 12.0);
        text(body, below, "middle", FAINT, small, &round_tick(tick));
    }
    let mut figures = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let Some(figure) = sheet.shown(row, column) else {
            continue;
        };
        let y = top + STEP * index as f64;
        let colour = if row.name.starts_with(MINE) {
            OURS
        } else {
            THEIRS
        };
        let length = (axis.place(figure) * longest).max(2.0);
        bar(body, (left, y), length, colour);
        figures.push((y, length, figure));
    }
    if let Some(limit) = limit {
        line(body, limit, DASHES);
    }
    for (y, length, figure) in figures {
        // Readable on the dashes.
        let halo = "paint-order=\"stroke\" stroke=\"#ffffff\" stroke-width=\"4\"";
        let beside = (left + length + 4.0, y + BAR / 2.0 + 4.0);
        text(body, beside, "start", INK, halo, &round(figure));
    }
}

/// What a panel shows, and what is asked.
fn head(body: &mut String, told: &Column, verdict: Option<&Verdict>, at: (f64, f64)) {
    let scale = match told.chart {
        Some(Scale::Log) => ", log",
        _ => "",
    };
    let asked = verdict.map_or(String::new(), |verdict| {
        let sign = if verdict.at_most {
            '\u{2264}'
        } else {
            '\u{2265}'
        };
        let (colour, met) = if verdict.met() {
            (MET, "met")
        } else {
            (MISSED, "missed")
        };
        let limit = round(verdict.limit);
        format!(" <tspan fill=\"{colour}\">{sign} {limit} {met}</tspan>")
    });
    let what = escape(&format!("{}, {}{scale}", told.name, told.unit));
    raw(body, at, "start", FAINT, "", &(what + &asked));
}

fn bar(body: &mut String, (x, y): (f64, f64), length: f64, colour: &str) {
    let _ = writeln!(
        body,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{colour}\"/>"
    );
}

fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;")
}

fn text(body: &mut String, at: (f64, f64), anchor: &str, fill: &str, more: &str, words: &str) {
    raw(body, at, anchor, fill, more, &escape(words));
}

fn raw(body: &mut String, (x, y): (f64, f64), anchor: &str, fill: &str, more: &str, words: &str) {
    let _ = writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{fill}\" {more}>{words}</text>"
    );
}

fn round_tick(tick: f64) -> String {
    if tick >= 1.0 || tick == 0.0 {
        format!("{tick:.0}")
    } else {
        format!("{tick}")
    }
}

/// From figures to places between 0 and 1.
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    fn over(scale: Scale, figures: impl Iterator<Item = f64> + Clone) -> Self {
        let most = figures.clone().fold(0.0, f64::max).max(1e-3);
        match scale {
            Scale::Linear => Self {
                scale,
                low: 0.0,
                high: most,
            },
            Scale::Log => {
                let least = figures.filter(|&f| f > 0.0).fold(most, f64::min);
                // A whole decade below the least, so that its bar can be seen.
                let low = 10_f64.powf((least / 2.0).log10().floor());
                let high = most.max(low * 10.0);
                Self { scale, low, high }
            }
        }
    }

    fn place(&self, figure: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => figure / self.high,
            Scale::Log => (figure.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        place.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let rough = self.high / 4.0;
                let decade = 10_f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0]
                    .map(|n| n * decade)
                    .into_iter()
                    .find(|&step| step >= rough)
                    .unwrap_or(decade);
                (0..)
                    .map(|n| f64::from(n) * step)
                    .take_while(|&t| t <= self.high)
                    .collect()
            }
            Scale::Log => {
                let mut ticks = Vec::new();
                let mut tick = self.low;
                while tick <= self.high {
                    ticks.push(tick);
                    tick *= 10.0;
                }
                ticks
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Column, Stat};
    use super::*;

    #[test]
    fn bars_grow_by_decades_on_a_log_scale() {
        let axis = Axis::over(Scale::Log, [20.0, 2000.0].into_iter());
        assert_eq!(axis.ticks(), [10.0, 100.0, 1000.0]);
        let (a, b, c) = (axis.place(20.0), axis.place(200.0), axis.place(2000.0));
        assert!(a > 0.1 && ((b - a) - (c - b)).abs() < 1e-9 && c == 1.0);
    }

    #[test]
    fn linear_ticks_are_round_and_within() {
        let axis = Axis::over(Scale::Linear, [19.3].into_iter());
        assert_eq!(axis.ticks(), [0.0, 5.0, 10.0, 15.0]);
    }

    #[test]
    fn draws_a_bar_for_each_peer_and_marks_our_own() {
        let column = Column::new("p50", "ms", Stat::Median).drawn(Scale::Log);
        let mut sheet = Sheet::new("B6", "a < b", "", &[column]);
        sheet.add("tcp", &[100.0]);
        sheet.add("mancom", &[20.0]);
        sheet.add("none", &[f64::NAN]);
        let svg = draw(&[&sheet]);
        // With those of the legend.
        assert_eq!(svg.matches("rx=\"2\"").count(), 4);
        assert_eq!(svg.matches(OURS).count(), 2);
        assert!(svg.contains("a &lt; b"));
    }

    #[test]
    fn what_is_asked_is_a_line_and_words() {
        let column = Column::new("p50", "ms", Stat::Median).drawn(Scale::Log);
        let mut sheet = Sheet::new("B6", "", "", &[column]);
        sheet.add("mancom", &[20.0]);
        sheet.at_most("", "p50", Some(25.0));
        let svg = draw(&[&sheet]);
        assert_eq!(svg.matches(DASHES).count(), 2);
        assert!(svg.contains("\u{2264} 25.0 met"), "{svg}");
    }

    #[test]
    fn two_sheets_of_one_panel_lie_beside_each_other() {
        let column = Column::new("p50", "ms", Stat::Median).drawn(Scale::Log);
        let mut sheet = Sheet::new("B4", "", "", &[column]);
        sheet.add("mancom", &[20.0]);
        let height = |count| {
            let svg = draw(&vec![&sheet; count]);
            let (_, rest) = svg.split_once("height=\"").unwrap();
            let (height, _) = rest.split_once('"').unwrap();
            height.parse::<u32>().unwrap()
        };
        assert_eq!(height(1), height(2));
        assert!(height(3) > height(2));
    }
}
