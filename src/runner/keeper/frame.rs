//! What a controller and a keeper say to one another, and how it goes over the socket: a frame is two lengths (of a JSON
//! text and of the bytes behind it, four bytes each, little-endian), the text, and the bytes.
//!
//! Fields and kinds are only added. A keeper lives through upgrades of the controller, so a controller takes what every
//! keeper before it says; [`PROTOCOL`] is raised when a controller says something that an older keeper must understand.

use crate::domain::RunId;
use crate::runner::keeper::text;
use crate::runner::{Bytes, Exit, Start, StopCause};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// The language.
pub(super) const PROTOCOL: u32 = 1;

/// Longest text and longest bytes of one frame. A command line and an environment have at most some megabytes.
const LIMIT: u32 = 64 << 20;

/// Ours.
pub(super) fn release() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// What a controller says.
#[derive(Serialize, Deserialize)]
pub(super) enum Ask {
    /// The first word.
    Hello {
        /// Its language.
        protocol: u32,
        /// Its release.
        release: String,
        /// What only a controller of the state folder can know.
        key: String,
    },
    /// Start a run, unless it is known already.
    Start(Box<Start>),
    /// End a run.
    Stop {
        /// Whose.
        run: RunId,
        /// Why.
        cause: StopCause,
    },
    /// Tell what is known of a run, from its beginning or from where one is, and what happens to it from now on.
    TakeUp {
        /// Whose.
        run: RunId,
        /// Lines and warnings that are known already.
        said: u32,
        /// Bytes of the log that are known already; none: what was told to the one before.
        logged: Option<u64>,
    },
    /// Its end is kept elsewhere. One that still runs is ended first.
    Forget {
        /// Whose.
        run: RunId,
    },
    /// End, if nothing runs.
    Retire,
}

/// What a keeper says.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Tell {
    /// The answer to the first word.
    Welcome {
        /// Its language.
        protocol: u32,
        /// Its release.
        release: String,
        /// All runs that are known.
        kept: Vec<Kept>,
    },
    /// The log of a run has grown by the bytes that follow, or, where none do, by so many that stand in the file.
    Output {
        /// Whose.
        run: RunId,
        /// Where in the log.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// A line that the step said.
    Line {
        /// Whose.
        run: RunId,
        /// Which.
        number: u32,
        /// The line.
        #[serde(with = "text")]
        line: Vec<u8>,
    },
    /// Something that a person should know.
    Warning {
        /// Whose.
        run: RunId,
        /// Which, counted with the lines.
        number: u32,
        /// The words.
        message: String,
    },
    /// A run is over.
    Exited {
        /// Whose.
        run: RunId,
        /// How it ended.
        exit: Exit,
    },
}

/// A run that is known.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Which.
    pub(super) run: RunId,
    /// Its log.
    #[serde(with = "text")]
    pub(super) log: std::path::PathBuf,
    /// What is hidden in it.
    #[serde(with = "text::many")]
    pub(super) mask: Vec<Vec<u8>>,
}

/// One frame, ready to be written.
pub(super) fn packed(message: &impl Serialize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 8];
    serde_json::to_writer(&mut frame, message).expect("BUG: a message is JSON");
    let lengths = [frame.len() - 8, bytes.len()];
    for (at, length) in lengths.into_iter().enumerate() {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        frame[4 * at..4 * at + 4].copy_from_slice(&length.to_le_bytes());
    }
    frame.extend_from_slice(bytes);
    frame
}

pub(super) fn write(to: &mut impl Write, message: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&packed(message, bytes))
}

/// The next frame; none: the other side has hung up between two.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<(T, Bytes)>> {
    let mut lengths = [0; 8];
    loop {
        match from.read(&mut lengths[..1]) {
            Ok(0) => return Ok(None),
            Ok(_) => break from.read_exact(&mut lengths[1..])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length =
        |at: usize| u32::from_le_bytes([lengths[at], lengths[at + 1], lengths[at + 2], lengths[at + 3]]);
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let (text, bytes) = (length(0), length(4));
    if text > LIMIT || bytes > LIMIT {
        return Err(wrong(format!("a frame of {text} and {bytes} bytes")));
    }
    let mut whole = |length: u32| {
        let mut buffer = vec![0; length as usize];
        from.read_exact(&mut buffer).map(|()| buffer)
    };
    let (text, bytes) = (whole(text)?, whole(bytes)?);
    let message = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    Ok(Some((message, bytes.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{Fence, Ground, How, Limits};
    use std::time::Duration;

    #[test]
    fn an_order_comes_over_byte_for_byte() {
        let start = Start {
            run: RunId(7),
            argv: vec!["sh".into(), text_of(b"\xff\"")],
            env: vec![("A".into(), text_of(b"\xfe")), ("B".into(), "\u{e9}\n".into())],
            dir: "/d".into(),
            log: "/l".into(),
            events: "/e".into(),
            timeout: Some(Duration::from_millis(1500)),
            grace: Duration::from_secs(10),
            output_limit: u64::MAX,
            leave_running: true,
            append: false,
            mask: vec![b"\0\xff".to_vec(), b"secret".to_vec()],
            fence: Fence::Landlock(Ground { closed: vec!["/x".into()], ..Ground::default() }),
            limits: Limits { memory: Some(1), ..Limits::default() },
        };
        let frame = packed(&Ask::Start(Box::new(start.clone())), b"more");
        let mut from = frame.as_slice();
        let (ask, bytes) = read::<Ask>(&mut from).unwrap().unwrap();
        let Ask::Start(came) = ask else { panic!("a start") };
        assert_eq!(&*bytes, b"more");
        assert_eq!((&came.argv, &came.env, &came.mask), (&start.argv, &start.env, &start.mask));
        assert_eq!((came.timeout, came.output_limit, &came.fence), (start.timeout, u64::MAX, &start.fence));
        assert!(read::<Ask>(&mut from).unwrap().is_none());
    }

    fn text_of(bytes: &[u8]) -> std::ffi::OsString {
        use std::os::unix::ffi::OsStringExt;
        std::ffi::OsString::from_vec(bytes.to_vec())
    }

    /// Interrupted before every byte.
    struct Interrupted<'a>(&'a [u8], bool);

    impl Read for Interrupted<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(&mut into[..1]) }
        }
    }

    #[test]
    fn a_signal_in_between_loses_nothing() {
        let frame = packed(&Ask::Stop { run: RunId(7), cause: StopCause::Interrupted }, b"more");
        let mut from = Interrupted(&frame, false);
        let (ask, bytes) = read::<Ask>(&mut from).unwrap().unwrap();
        assert!(matches!(ask, Ask::Stop { run: RunId(7), .. }) && &*bytes == b"more");
        assert!(read::<Ask>(&mut from).unwrap().is_none());
    }

    #[test]
    fn what_is_torn_or_absurd_is_an_error() {
        let frame = packed(&Ask::Retire, b"");
        assert!(read::<Ask>(&mut &frame[..frame.len() - 1]).is_err());
        assert!(read::<Ask>(&mut &[0xff; 16][..]).is_err());
        assert!(read::<Ask>(&mut &packed(&"no such word", b"")[..]).is_err());
    }

    #[test]
    fn fields_that_are_not_known_are_passed_over() {
        let exit = Exit {
            how: How::Code(3),
            log_bytes: 1,
            log_sha256: "ab".into(),
            log_truncated: false,
            elapsed: Duration::from_millis(5),
            strays: Vec::new(),
        };
        let mut said = serde_json::to_value(Tell::Exited { run: RunId(1), exit: exit.clone() }).unwrap();
        said["Exited"]["exit"]["more"] = true.into();
        let frame = packed(&said, b"");
        let (Tell::Exited { exit: came, .. }, _) = read(&mut frame.as_slice()).unwrap().unwrap() else {
            panic!("an exit")
        };
        assert_eq!(came, exit);
    }
}
