//! The picture, 800 pixels wide: a strip for each sheet, in it a panel for each drawn column and a bar for
//! each peer. A dashed line is what is asked of mancom.
//!
//! ```text
//!  B6 interactive beside bulk, ...
//!             p50, ms, log scale      p99, ms, log scale      bulk, Mbit/s
//!  tcp-two    ▇▇▇▇▇▇▇▇ 282            ▇▇▇▇▇▇▇▇▇ 395           ▇▇▇▇▇▇▇▇ 19.3
//!  mancom     ▇▇ ╎ 21                 ▇▇ ╎ 26                 ▇▇▇▇▇▇▇▇ 19.2
//! ```

use std::fmt::Write as _;

use super::table::round;
use super::{MINE, Row, Scale, Sheet};

const WIDTH: f64 = 800.0;
const MARGIN: f64 = 16.0;
/// Where panels begin, after the names of the peers.
const LEFT: f64 = 160.0;
/// Beside each bar, for its figure.
const FIGURE: f64 = 48.0;
const BAR: f64 = 14.0;
const STEP: f64 = 20.0;
const OURS: &str = "#c2410c";
const THEIRS: &str = "#94a3b8";

pub(super) fn draw(sheets: &[&Sheet]) -> String {
    let mut body = String::new();
    let mut y = 8.0;
    for sheet in sheets {
        y = strip(&mut body, sheet, y);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" \
         viewBox=\"0 0 {WIDTH} {y:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{y:.0}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// Draws a sheet from `y` on; where the next begins.
fn strip(body: &mut String, sheet: &Sheet, y: f64) -> f64 {
    let drawn: Vec<usize> = (0..sheet.columns.len())
        .filter(|&column| sheet.columns[column].chart.is_some())
        .collect();
    let shown = |row: &&Row| {
        drawn
            .iter()
            .any(|&column| sheet.shown(row, column).is_some())
    };
    let rows: Vec<&Row> = sheet.rows.iter().filter(shown).collect();
    if rows.is_empty() {
        return y;
    }
    let heading = format!("{} {}", sheet.bar, sheet.title);
    let bold = "font-weight=\"bold\" font-size=\"13\"";
    text(body, (MARGIN, y + 16.0), "start", "#0f172a", bold, &heading);
    let top = y + 44.0;
    for (index, row) in rows.iter().enumerate() {
        let middle = top + STEP * index as f64 + BAR / 2.0 + 4.0;
        text(body, (LEFT - 8.0, middle), "end", "#0f172a", "", &row.name);
    }
    let width = (WIDTH - MARGIN - LEFT) / drawn.len() as f64;
    for (place, &column) in drawn.iter().enumerate() {
        let left = LEFT + width * place as f64;
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
    let limit = sheet
        .verdicts
        .iter()
        .find(|verdict| verdict.column == told.name);
    let limit = limit.map(|verdict| verdict.limit);
    let shown = rows.iter().filter_map(|row| sheet.shown(row, column));
    let axis = Axis::over(scale, shown.chain(limit));
    let how = if scale == Scale::Log {
        ", log scale"
    } else {
        ""
    };
    let what = format!("{}, {}{how}", told.name, told.unit);
    text(body, (left, top - 10.0), "start", "#475569", "", &what);
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
        text(
            body,
            (x, bottom + 12.0),
            "middle",
            "#64748b",
            small,
            &round_tick(tick),
        );
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
        let _ = writeln!(
            body,
            "<rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{colour}\"/>"
        );
        figures.push((y, length, figure));
    }
    if let Some(limit) = limit {
        line(body, limit, "stroke=\"#0f172a\" stroke-dasharray=\"3 3\"");
    }
    for (y, length, figure) in figures {
        // Readable on the dashes.
        let halo = "paint-order=\"stroke\" stroke=\"#ffffff\" stroke-width=\"4\"";
        let beside = (left + length + 4.0, y + BAR / 2.0 + 4.0);
        text(body, beside, "start", "#0f172a", halo, &round(figure));
    }
}

fn text(body: &mut String, (x, y): (f64, f64), anchor: &str, fill: &str, more: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
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
        assert_eq!(svg.matches("rx=\"2\"").count(), 2);
        assert_eq!(svg.matches(OURS).count(), 1);
        assert!(svg.contains("a &lt; b"));
    }
}
