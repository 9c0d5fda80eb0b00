//! What all benches share: whether to be quick, and a row of the table that `benches/run` gathers.

#![expect(clippy::print_stdout, reason = "a bench talks to whoever started it")]

/// Whether to measure less, and less exactly.
pub(crate) fn is_quick() -> bool {
    std::env::args().any(|word| word == "--quick")
}

/// Prints a row: the work, our figure, the twin's if there is one, their ratio, the goal, and whether it is met. A goal
/// is `≤` or `≥` and a number; with `×` it bounds the ratio, else our figure. An empty one: the row is there to be seen.
pub(crate) fn row(work: &str, unit: &str, ours: f64, twin: Option<f64>, goal: &str) {
    let ratio = twin.map(|twin| ours / twin);
    let number: Option<f64> = goal.split([' ', '×']).nth(1).and_then(|number| number.parse().ok());
    let value = if goal.ends_with('×') { ratio } else { Some(ours) };
    let met = number
        .zip(value)
        .map(|(bound, value)| if goal.starts_with('≤') { value <= bound } else { value >= bound });
    let met = met.map_or("–", |met| if met { "yes" } else { "**no**" });
    let figure = |value: f64| match value {
        large if large >= 1_000.0 => format!("{large:.0} {unit}"),
        middle if middle >= 10.0 => format!("{middle:.1} {unit}"),
        small => format!("{small:.3} {unit}"),
    };
    let twin = twin.map_or("–".into(), figure);
    let ratio = ratio.map_or("–".into(), |ratio| format!("{ratio:.2}"));
    println!("| {work} | {} | {twin} | {ratio} | {goal} | {met} |", figure(ours));
}
