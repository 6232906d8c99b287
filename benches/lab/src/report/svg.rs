//! The picture: for each sheet and each drawn column, a horizontal bar a peer. 800 pixels wide.

use std::fmt::Write as _;

use super::table::round;
use super::{Scale, Sheet};

const WIDTH: f64 = 800.0;
/// Where bars begin, and the longest of them.
const LEFT: f64 = 210.0;
const LONGEST: f64 = 490.0;
const BAR: f64 = 16.0;
const STEP: f64 = 22.0;
const MINE: &str = "#c2410c";
const OTHERS: &str = "#94a3b8";

pub(super) fn draw(sheets: &[Sheet]) -> String {
    let mut body = String::new();
    let mut y = 16.0;
    for sheet in sheets {
        for (index, column) in sheet.columns.iter().enumerate() {
            if let Some(scale) = column.chart {
                y = panel(&mut body, sheet, index, scale, y);
            }
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" \
         viewBox=\"0 0 {WIDTH} {y:.0}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{y:.0}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// Draws one column of a sheet from `y` on; where the next begins.
fn panel(body: &mut String, sheet: &Sheet, column: usize, scale: Scale, mut y: f64) -> f64 {
    let figures: Vec<(&str, f64)> = sheet
        .rows
        .iter()
        .filter_map(|row| Some((row.name.as_str(), sheet.shown(row, column)?)))
        .collect();
    if figures.is_empty() {
        return y;
    }
    let axis = Axis::over(scale, figures.iter().map(|&(_, figure)| figure));
    let told = &sheet.columns[column];
    let how = if scale == Scale::Log {
        ", log scale"
    } else {
        ""
    };
    let heading = format!("{} {}", sheet.bar, sheet.title);
    let what = format!("{}, {}{how}", told.name, told.unit);
    y += 14.0;
    text(
        body,
        16.0,
        y,
        "start",
        "#0f172a",
        "font-weight=\"bold\"",
        &heading,
    );
    y += 18.0;
    text(body, 16.0, y, "start", "#475569", "", &what);
    y += 12.0;
    let bottom = y + STEP * figures.len() as f64;
    for tick in axis.ticks() {
        let x = LEFT + axis.place(tick) * LONGEST;
        let _ = writeln!(
            body,
            "<line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"#e2e8f0\"/>"
        );
        text(
            body,
            x,
            bottom + 14.0,
            "middle",
            "#64748b",
            "font-size=\"11\"",
            &round_tick(tick),
        );
    }
    for (name, figure) in figures {
        let colour = if name.starts_with("mancom") {
            MINE
        } else {
            OTHERS
        };
        let length = (axis.place(figure) * LONGEST).max(2.0);
        let middle = y + BAR / 2.0 + 4.5;
        text(body, LEFT - 8.0, middle, "end", "#0f172a", "", name);
        let _ = writeln!(
            body,
            "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{colour}\"/>"
        );
        text(
            body,
            LEFT + length + 6.0,
            middle,
            "start",
            "#0f172a",
            "",
            &round(figure),
        );
        y += STEP;
    }
    bottom + 34.0
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, fill: &str, more: &str, words: &str) {
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
        let svg = draw(&[sheet]);
        assert_eq!(svg.matches("rx=\"2\"").count(), 2);
        assert_eq!(svg.matches(MINE).count(), 1);
        assert!(svg.contains("a &lt; b"));
    }
}
