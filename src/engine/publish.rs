//! Says what is durable: frames to the bus and answers to those who asked, in the order of the journal. Log chunks
//! travel in the same queue, so that they come after their run's start and before its done.

use super::{Receipt, Refusal};
use crate::bus::{Bus, Frame};
use crate::domain::event::DeployMode;
use crate::domain::state::{Place, Task};
use crate::domain::{EventId, RunId, Time};
use crate::interpreter::Piece;
use crate::journal::{self, Journal, Record, Watermark};
use crate::wire::{self, Live};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Something to be said.
pub(super) enum Outgoing {
    /// A journaled event.
    Event(Record),
    /// A piece of a run's log.
    Chunk {
        /// When it came.
        at: Time,
        /// The run.
        run: RunId,
        /// Where the run belongs.
        place: Place,
        /// Where the piece stands in the log file.
        offset: u64,
        /// The piece.
        bytes: Piece,
    },
    /// A run ended: its chunks need not be counted any more.
    Ended(RunId),
    /// An answer, once that event is durable.
    Answer(EventId, Receipt, oneshot::Sender<Result<Receipt, Refusal>>),
}

/// Says everything that comes, until nothing more can come. Ends with an error when a sync failed: what is not durable
/// by then is never said.
pub(super) async fn run(
    mut queue: mpsc::Receiver<Outgoing>,
    journal: Arc<dyn Journal>,
    bus: Bus,
) -> Result<(), journal::Error> {
    let mut chunks: HashMap<RunId, u64> = HashMap::new();
    let mut durable = journal.durable();
    loop {
        let outgoing = tokio::select! {
            biased;
            outgoing = queue.recv() => outgoing,
            error = failed(&mut durable) => return Err(error),
        };
        let Some(outgoing) = outgoing else { return Ok(()) };
        match outgoing {
            Outgoing::Event(record) => {
                journal.sync(record.id).await?;
                bus.publish(frame(record));
            }
            Outgoing::Chunk { at, run, place, offset, bytes } => {
                let seq = chunks.entry(run).or_default();
                if bus.subscribers() > 0 {
                    bus.publish(chunk(at, run, &place, *seq, offset, &bytes));
                }
                *seq += 1;
            }
            Outgoing::Ended(run) => {
                chunks.remove(&run);
            }
            Outgoing::Answer(id, receipt, reply) => {
                let kept = journal.sync(id).await;
                // Who asked may have gone: then nobody waits for the answer.
                let _ = reply.send(kept.clone().map(|()| receipt).map_err(Refusal::NotKept));
                kept?;
            }
        }
    }
}

/// Resolves when a sync has failed, though nobody may wait for that one.
async fn failed(durable: &mut watch::Receiver<Watermark>) -> journal::Error {
    if let Ok(mark) = durable.wait_for(|mark| matches!(mark, Watermark::Failed(_))).await
        && let Watermark::Failed(error) = &*mark
    {
        return error.clone();
    }
    // A journal that is gone says nothing any more; whoever holds the queue will.
    std::future::pending().await
}

fn frame(record: Record) -> Arc<Frame> {
    Arc::new(Frame {
        id: Some(record.id),
        kind: record.kind,
        pipeline: record.pipeline,
        tier: record.tier,
        run: record.run,
        is_log: false,
        text: record.body.as_ref().into(),
    })
}

fn chunk(at: Time, run: RunId, place: &Place, seq: u64, offset: u64, bytes: &[u8]) -> Arc<Frame> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let bytes = bytes.len() as u64;
    let (live, kind, tier) = match &place.task {
        Task::Step(step) => {
            let step = step.clone();
            (Live::BuildLogChunk { run_id: run, seq, text, offset, bytes, step }, "build_log_chunk", None)
        }
        Task::Gate(tier, name) => {
            let (t, name) = (tier.clone(), name.clone());
            let live = Live::GateLogChunk { run_id: run, seq, text, offset, bytes, tier: t, name };
            (live, "gate_log_chunk", Some(tier))
        }
        Task::Deploy(tier, node, DeployMode::Deploy | DeployMode::Rollback | DeployMode::Redeploy) => {
            let (t, node) = (tier.clone(), node.clone());
            let live = Live::DeployLogChunk { run_id: run, seq, text, offset, bytes, tier: t, node };
            (live, "deploy_log_chunk", Some(tier))
        }
    };
    let text = wire::encode_live(at, Some(&place.pipeline), &live);
    Arc::new(Frame {
        id: None,
        kind: kind.into(),
        pipeline: Some(place.pipeline.as_str().into()),
        tier: tier.map(|tier| tier.as_str().into()),
        run: Some(run.0),
        is_log: true,
        text: text.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::MemoryJournal;
    use std::time::Duration;

    #[tokio::test]
    async fn a_sync_that_fails_ends_it_though_nobody_waits_for_that_sync() {
        let journal = Arc::new(MemoryJournal::new());
        let (outbox, queue) = mpsc::channel(1);
        let publisher = tokio::spawn(run(queue, journal.clone(), Bus::new(journal.clone())));
        journal.fail_sync("the disk is gone");
        let ended = tokio::time::timeout(Duration::from_secs(10), publisher).await.unwrap().unwrap();
        assert_eq!(ended.unwrap_err().code(), "TG-JOURNAL-002");
        drop(outbox);
    }
}
