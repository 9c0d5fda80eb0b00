//! Bytes that are text nearly always, on their way through JSON: as a string where they are UTF-8, else as numbers.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Utf8(String),
    Bytes(Vec<u8>),
}

/// What is bytes within.
pub(in crate::runner) trait Raw: Clone {
    fn into_bytes(self) -> Vec<u8>;
    fn from_bytes(bytes: Vec<u8>) -> Self;
}

impl Raw for Vec<u8> {
    fn into_bytes(self) -> Vec<u8> {
        self
    }

    fn from_bytes(bytes: Vec<u8>) -> Self {
        bytes
    }
}

impl Raw for OsString {
    fn into_bytes(self) -> Vec<u8> {
        self.into_vec()
    }

    fn from_bytes(bytes: Vec<u8>) -> Self {
        Self::from_vec(bytes)
    }
}

impl Raw for PathBuf {
    fn into_bytes(self) -> Vec<u8> {
        self.into_os_string().into_vec()
    }

    fn from_bytes(bytes: Vec<u8>) -> Self {
        OsString::from_vec(bytes).into()
    }
}

fn pack<T: Raw>(raw: &T) -> Text {
    String::from_utf8(raw.clone().into_bytes())
        .map_or_else(|error| Text::Bytes(error.into_bytes()), Text::Utf8)
}

fn unpack<T: Raw>(text: Text) -> T {
    T::from_bytes(match text {
        Text::Utf8(text) => text.into_bytes(),
        Text::Bytes(bytes) => bytes,
    })
}

pub(in crate::runner) fn serialize<T: Raw, S: Serializer>(raw: &T, to: S) -> Result<S::Ok, S::Error> {
    pack(raw).serialize(to)
}

pub(in crate::runner) fn deserialize<'de, T: Raw, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Text::deserialize(from).map(unpack)
}

/// A list of them.
pub(in crate::runner) mod many {
    use super::{Raw, Text, pack, unpack};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::runner) fn serialize<T: Raw, S: Serializer>(raw: &[T], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(raw.iter().map(pack))
    }

    pub(in crate::runner) fn deserialize<'de, T: Raw, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        Vec::<Text>::deserialize(from).map(|all| all.into_iter().map(unpack).collect())
    }
}

/// A list of two each.
pub(in crate::runner) mod pairs {
    use super::{Raw, Text, pack, unpack};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::runner) fn serialize<T: Raw, S: Serializer>(
        raw: &[(T, T)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(raw.iter().map(|(name, value)| (pack(name), pack(value))))
    }

    pub(in crate::runner) fn deserialize<'de, T: Raw, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(T, T)>, D::Error> {
        let all = Vec::<(Text, Text)>::deserialize(from)?;
        Ok(all.into_iter().map(|(name, value)| (unpack(name), unpack(value))).collect())
    }
}
