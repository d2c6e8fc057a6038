//! Figures with their bounds, and the table of them.

use std::process::ExitCode;

/// What a figure must keep to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// A figure with its bound.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) bound: Bound,
    pub(crate) measured: f64,
    pub(crate) unit: &'static str,
    /// What it is made of.
    pub(crate) of: String,
}

impl Figure {
    pub(crate) fn held(&self) -> bool {
        match self.bound {
            Bound::AtMost(bound) => self.measured <= bound,
            Bound::AtLeast(bound) => self.measured >= bound,
        }
    }
}

/// Prints the table. It is a failure when a bound is missed.
pub(crate) fn report(figures: &[Figure]) -> ExitCode {
    println!("\n| figure | bound | measured | held | made of |\n| --- | --- | --- | --- | --- |");
    for figure in figures {
        let Figure { name, bound, measured, unit, of } = figure;
        let bound = match bound {
            Bound::AtMost(bound) => format!("{bound}{unit}"),
            Bound::AtLeast(bound) => format!("at least {bound}{unit}"),
        };
        let held = if figure.held() { "yes" } else { "NO" };
        println!("| {name} | {bound} | {measured:.2}{unit} | {held} | {of} |");
    }
    if figures.iter().all(Figure::held) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
