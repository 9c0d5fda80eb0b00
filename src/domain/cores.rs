//! Numbers of processor cores as people write them: `0.5`, `2`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A share of the machine's processors, in thousandths of a core; from [`Cores::LEAST`] to [`Cores::MOST`]. Written as a
/// number of cores such as `0.5` or `2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Cores(u32);

impl Cores {
    /// A hundredth of a core: the kernel gives no less than a millisecond in each tenth of a second.
    pub const LEAST: Cores = Cores(10);
    /// More cores than any machine has.
    pub const MOST: Cores = Cores(8_192_000);

    /// So many cores, rounded to thousandths. None: there can be no such limit.
    pub fn new(number: f64) -> Option<Cores> {
        let thousandths = (number * 1000.0).round();
        let (least, most) = (f64::from(Cores::LEAST.0), f64::from(Cores::MOST.0));
        (least..=most).contains(&thousandths).then_some(Cores(thousandths as u32))
    }

    /// Thousandths of a core.
    pub const fn thousandths(self) -> u32 {
        self.0
    }
}

impl TryFrom<f64> for Cores {
    type Error = String;
    fn try_from(number: f64) -> Result<Self, String> {
        Cores::new(number).ok_or_else(|| {
            format!("expected a number of cores from {} to {}, but got {number}", Cores::LEAST, Cores::MOST)
        })
    }
}

impl From<Cores> for f64 {
    fn from(cores: Cores) -> f64 {
        f64::from(cores.0) / 1000.0
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(*self))
    }
}

impl JsonSchema for Cores {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cores".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "number",
            "title": "number of cores",
            "description": "A number of processor cores, to the thousandth.",
            "minimum": 0.01,
            "maximum": 8192,
            "examples": [0.5, 2]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Cores;

    #[test]
    fn reads_and_writes_what_people_write() {
        for (number, thousandths, shown) in [(0.5, 500, "0.5"), (2.0, 2000, "2"), (0.01, 10, "0.01")] {
            let cores = Cores::new(number).unwrap();
            assert_eq!((cores.thousandths(), cores.to_string().as_str()), (thousandths, shown));
            assert_eq!(
                serde_json::from_str::<Cores>(&serde_json::to_string(&cores).unwrap()).unwrap(),
                cores
            );
        }
        assert_eq!(serde_json::from_str::<Cores>("2").unwrap().thousandths(), 2000);
        for number in [0.0, -1.0, 0.004, 8193.0, f64::NAN, f64::INFINITY] {
            assert!(Cores::new(number).is_none(), "{number} must be refused");
        }
    }
}
