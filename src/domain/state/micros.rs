//! A length of time as whole microseconds.

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(span: &TimeDelta, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_i64(span.num_microseconds().unwrap_or(i64::MAX))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TimeDelta, D::Error> {
    i64::deserialize(from).map(TimeDelta::microseconds)
}
