//! Families of numbers, and how they are written: the text format 0.0.4 of Prometheus, and OpenMetrics 1.0
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>, <https://prometheus.io/docs/specs/om/open_metrics_spec/>).
//!
//! Whatever is written in pipeline files, a family has only so many sets of labels: what comes beyond goes into one
//! whose labels are all `other`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most sets of labels of a family.
pub(super) const SETS_LIMIT: usize = 500;

/// The value of every label of what came beyond the limit.
const OTHER: &str = "other";

/// How a family is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows while the controller runs.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often something was, and all its values together.
    Summary,
}

/// The format to write in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Its content type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Numbers of one name, told apart by labels.
#[derive(Clone, Debug)]
pub(super) struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    labels: &'static [&'static str],
    samples: BTreeMap<Vec<String>, Sample>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sample {
    sum: f64,
    count: u64,
}

impl Family {
    /// An empty family. The name of a counter ends with `_total`.
    pub(super) const fn new(
        name: &'static str,
        kind: Kind,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Family {
        Family { name, kind, help, labels, samples: BTreeMap::new() }
    }

    /// The same with one number and no labels.
    pub(super) fn with(mut self, value: f64) -> Family {
        self.add(&[], value);
        self
    }

    /// Adds to the number with these labels, in the family's order.
    pub(super) fn add(&mut self, labels: &[&str], value: f64) {
        assert_eq!(labels.len(), self.labels.len(), "BUG: labels of `{}` are missing", self.name);
        let mut key: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        if self.samples.len() >= SETS_LIMIT && !self.samples.contains_key(&key) {
            key.fill(OTHER.to_owned());
        }
        let sample = self.samples.entry(key).or_default();
        sample.sum += value;
        sample.count += 1;
    }

    /// Sets a number that means nothing added to others, such as an age: beyond the limit it is left out.
    pub(super) fn set(&mut self, labels: &[&str], value: f64) {
        if self.samples.len() < SETS_LIMIT {
            self.add(labels, value);
        }
    }

    /// Keeps the numbers of some pipelines; whether there are numbers of pipelines in it at all.
    pub(super) fn keep(&mut self, sees: impl Fn(&str) -> bool) -> bool {
        let Some(at) = self.labels.iter().position(|label| *label == "pipeline") else { return false };
        // What went into one is of nobody knows which pipelines.
        let is_mixed = self.samples.len() > SETS_LIMIT;
        self.samples.retain(|labels, _| {
            sees(&labels[at]) && !(is_mixed && labels.iter().all(|label| label == OTHER))
        });
        true
    }

    fn write(&self, out: &mut String, format: Format) {
        let base = match format {
            Format::OpenMetrics => self.name.strip_suffix("_total").unwrap_or(self.name),
            Format::Text => self.name,
        };
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        };
        let help = escape(self.help);
        // Writing into text cannot fail.
        let _ = writeln!(out, "# HELP {base} {help}\n# TYPE {base} {kind}");
        for (labels, sample) in &self.samples {
            let labels = self.labels_text(labels);
            let _ = match self.kind {
                Kind::Counter | Kind::Gauge => writeln!(out, "{}{labels} {}", self.name, sample.sum),
                Kind::Summary => writeln!(
                    out,
                    "{0}_sum{labels} {1}\n{0}_count{labels} {2}",
                    self.name, sample.sum, sample.count
                ),
            };
        }
    }

    fn labels_text(&self, values: &[String]) -> String {
        if values.is_empty() {
            return String::new();
        }
        let pairs =
            self.labels.iter().zip(values).map(|(name, value)| format!("{name}=\"{}\"", escape(value)));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
    }
}

/// Text that keeps to its line and its quotes.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// All families as text.
pub(super) fn text(families: &[Family], format: Format) -> String {
    let mut out = String::new();
    families.iter().for_each(|family| family.write(&mut out, format));
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_within_their_quotes() {
        let mut family = Family::new("x_total", Kind::Counter, "Some.", &["a", "b"]);
        family.add(&["q\"} 1\nevil 2", "back\\slash\\"], 1.0);
        family.add(&["", "\u{202e}\r\u{1b}[31m"], 2.5);
        let expected = "# HELP x_total Some.\n# TYPE x_total counter\n\
            x_total{a=\"\",b=\"\u{202e}\r\u{1b}[31m\"} 2.5\n\
            x_total{a=\"q\\\"} 1\\nevil 2\",b=\"back\\\\slash\\\\\"} 1\n";
        assert_eq!(text(std::slice::from_ref(&family), Format::Text), expected);
        let open = text(&[family], Format::OpenMetrics);
        assert!(open.starts_with("# HELP x Some.\n# TYPE x counter\nx_total{"), "{open}");
        assert!(open.ends_with("\n# EOF\n"), "{open}");
    }

    #[test]
    fn numbers_add_up_and_summaries_have_both() {
        let mut family = Family::new("x_seconds", Kind::Summary, "Some.", &["a"]);
        family.add(&["1"], 1.5);
        family.add(&["1"], 2.0);
        let written = text(&[family], Format::Text);
        assert!(written.ends_with("x_seconds_sum{a=\"1\"} 3.5\nx_seconds_count{a=\"1\"} 2\n"), "{written}");
        let large = text(&[Family::new("y", Kind::Gauge, "y", &[]).with(1e18)], Format::Text);
        assert!(large.ends_with("\ny 1000000000000000000\n"), "{large}");
    }

    #[test]
    fn what_went_into_one_belongs_to_no_pipeline() {
        let mut family = Family::new("x_total", Kind::Counter, "Some.", &["pipeline"]);
        for n in 0..SETS_LIMIT + 7 {
            family.add(&[&n.to_string()], 1.0);
        }
        assert!(family.keep(|pipeline| ["3", OTHER].contains(&pipeline)));
        assert_eq!(family.samples.len(), 1);
        assert!(!Family::new("y", Kind::Gauge, "y", &[]).with(1.0).keep(|_| true), "it is of the whole");
    }

    #[test]
    fn what_comes_beyond_the_limit_goes_into_one() {
        let mut family = Family::new("x_total", Kind::Counter, "Some.", &["a"]);
        for n in 0..SETS_LIMIT + 7 {
            family.add(&[&n.to_string()], 1.0);
        }
        family.add(&["3"], 1.0);
        let written = text(&[family], Format::Text);
        assert_eq!(written.lines().count(), 2 + SETS_LIMIT + 1);
        assert!(written.contains("x_total{a=\"other\"} 7\n"), "{written}");
        assert!(written.contains("x_total{a=\"3\"} 2\n"), "{written}");
    }
}
