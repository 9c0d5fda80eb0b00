//! Bytes of a log on their way to those who listen. They take room until they are said: bulk output comes faster than
//! events become durable, and the events before it are said first.

use crate::runner::Bytes;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that may be on their way at once, of all runs together.
const ROOM_BYTES: u32 = 4 << 20;

/// Some bytes of a log, and the room that they take. Clones share both.
#[derive(Clone, Debug)]
pub struct Piece {
    bytes: Bytes,
    _room: Option<Arc<OwnedSemaphorePermit>>,
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<&[u8]> for Piece {
    /// A copy that takes no room.
    fn from(bytes: &[u8]) -> Piece {
        Piece { bytes: Bytes::copy_from_slice(bytes), _room: None }
    }
}

/// The room for what is on its way.
#[derive(Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Room {
        Room(Arc::new(Semaphore::new(ROOM_BYTES as usize)))
    }
}

impl Room {
    /// Waits until there is room for these bytes.
    pub(super) async fn take(&self, bytes: Bytes) -> Piece {
        let size = u32::try_from(bytes.len()).unwrap_or(ROOM_BYTES).min(ROOM_BYTES);
        let room = self.0.clone().acquire_many_owned(size).await;
        Piece { bytes, _room: room.ok().map(Arc::new) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn what_is_on_its_way_is_bounded() {
        let (room, megabyte) = (Room::default(), Bytes::from(vec![b'x'; 1 << 20]));
        let mut under_way: Vec<Piece> =
            (0..4).map(|_| room.take(megabyte.clone()).now_or_never().expect("room")).collect();
        assert_eq!(under_way[0].len(), 1 << 20);
        assert!(room.take(megabyte.clone()).now_or_never().is_none(), "there is no room for a fifth");
        let kept = under_way[0].clone();
        under_way.clear();
        assert_eq!((0..9).filter_map(|_| room.take(megabyte.clone()).now_or_never()).count(), 9);
        assert_eq!(kept.len(), 1 << 20);
        let huge = room.take(Bytes::from(vec![b'x'; 5 << 20]));
        assert!(huge.now_or_never().is_none(), "as long as anything is on its way");
        drop(kept);
        assert!(
            room.take(Bytes::from(vec![b'x'; 5 << 20])).now_or_never().is_some(),
            "else it would wait for ever"
        );
    }
}
