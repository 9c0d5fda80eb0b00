//! Between the controller and the screens: hears the stream, from where it broke on, and asks what is wanted. Threads that
//! end when nobody listens any more.

use super::controller::{Controller, Refusal};
use super::message::{Message, Want};
use crate::domain::EventId;
use crate::wire::{self, DecodeError, Live};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread;
use std::time::Duration;

/// The first and the longest pause before a lost stream is asked for again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(3));

/// A stream that says nothing for so long, not even that it is there, is lost. The controller gives a sign every 20 s.
const SILENCE: Duration = Duration::from_secs(65);

/// Older events that are asked for at once.
const PAST: u64 = 1_000;

/// What a controller says to whoever asks for what comes after an event that is not there.
const FUTURE: &str = crate::bus::Future::CODE;

/// Says what it hears; false: nobody listens any more.
pub(super) type Tell = Arc<dyn Fn(Message) -> bool + Send + Sync>;

/// Begins to hear. What is wanted is sent to the answer.
pub(super) fn begin(controller: Arc<dyn Controller>, tell: Tell) -> Sender<Want> {
    let (wants, asked) = channel::<Want>();
    let (deeds, done) = channel::<Want>();
    let hearing = (controller.clone(), tell.clone());
    thread::spawn(move || hear(&hearing.0, &hearing.1));
    // Deeds do not wait for questions.
    for (receiver, next) in [(asked, Some(deeds)), (done, None)] {
        let (controller, tell) = (controller.clone(), tell.clone());
        thread::spawn(move || work(&*controller, &receiver, next.as_ref(), &tell));
    }
    wants
}

fn work(controller: &dyn Controller, wants: &Receiver<Want>, deeds: Option<&Sender<Want>>, tell: &Tell) {
    for want in wants {
        let answer = match (want, deeds) {
            (want @ (Want::Act(_) | Want::Log(..)), Some(deeds)) => {
                if deeds.send(want).is_err() {
                    return;
                }
                continue;
            }
            (want, _) => answer(controller, want),
        };
        if !tell(answer) {
            return;
        }
    }
}

fn answer(controller: &dyn Controller, want: Want) -> Message {
    let answer = match want {
        Want::State => controller.state(super::VERSIONS).map(|view| Message::State(Box::new(view))),
        Want::Pipeline(name) => controller.pipeline(&name, super::VERSIONS).map(|one| match one {
            Some(one) => Message::Pipeline(Box::new(one)),
            None => Message::NoPipeline(name),
        }),
        Want::Past(before) => past(controller, before),
        Want::Way(p, version, order) => {
            let from = EventId(order.0.saturating_sub(1));
            controller.past(from, EventId(u64::MAX), Some(&p)).map(|events| {
                let is_its = |event: &crate::domain::Envelope| {
                    super::picture::version_of(&event.fact.event) == Some(&version)
                };
                let events = events.into_iter().filter(is_its).map(Arc::new).collect();
                Message::Way(p, version.clone(), events)
            })
        }
        Want::Log(run, wanted) => controller.log(run, wanted).map(|part| Message::Log(run, part)),
        Want::Act(request) => return Message::Answer(controller.act(&request)),
    };
    answer.unwrap_or_else(Message::Unanswered)
}

fn past(controller: &dyn Controller, before: EventId) -> Result<Message, Refusal> {
    let from = before.0.saturating_sub(PAST + 1);
    let upto = EventId(before.0.saturating_sub(1));
    let events = controller.past(EventId(from), upto, None)?;
    // Fewer where the journal begins later.
    let complete = from == 0 || events.is_empty();
    Ok(Message::Past(events.into_iter().map(Arc::new).collect(), complete))
}

/// Hears for ever: the state first, then what comes after it.
fn hear(controller: &Arc<dyn Controller>, tell: &Tell) {
    let mut last: Option<EventId> = None;
    let mut pause = PAUSES.0;
    loop {
        let since = match last {
            Some(since) => Ok(since),
            None => controller.state(super::VERSIONS).map(|view| {
                let id = view.id;
                tell(Message::State(Box::new(view)));
                id
            }),
        };
        let ended = since.and_then(|since| {
            last = Some(since);
            listen(controller, &mut last, &mut pause, tell)
        });
        let why = match ended {
            Ok(true) => "the stream ended".to_owned(),
            Ok(false) => return,
            Err(refusal) if refusal.code == FUTURE => {
                last = None;
                if !tell(Message::Anew) {
                    return;
                }
                continue;
            }
            Err(refusal) => format!("{} [{}]", refusal.message, refusal.code),
        };
        if !tell(Message::Cut(why)) {
            return;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Hears until the stream ends, or nothing comes any more; false: nobody listens.
fn listen(
    controller: &Arc<dyn Controller>,
    last: &mut Option<EventId>,
    pause: &mut Duration,
    tell: &Tell,
) -> Result<bool, Refusal> {
    // A thread of its own, which may be left behind in a read that never ends.
    let (sender, frames) = sync_channel::<Result<String, Option<Refusal>>>(256);
    let since = last.unwrap_or_default();
    let reader = controller.clone();
    thread::spawn(move || {
        let ended = reader.listen(since, &mut |frame| sender.send(Ok(frame.to_owned())).is_ok());
        // Whoever waits may be gone.
        let _ = sender.send(Err(ended.err()));
    });
    let mut first = true;
    loop {
        let frame = match frames.recv_timeout(SILENCE) {
            Ok(Ok(frame)) => frame,
            Ok(Err(Some(refusal))) => return Err(refusal),
            Ok(Err(None)) | Err(RecvTimeoutError::Disconnected) => return Ok(true),
            Err(RecvTimeoutError::Timeout) => {
                let message = format!("nothing was heard for {} s", SILENCE.as_secs());
                return Err(Refusal {
                    code: "TG-CLI-001".into(),
                    message,
                    help: String::new(),
                    absent: true,
                });
            }
        };
        if std::mem::take(&mut first) {
            *pause = PAUSES.0;
            if !tell(Message::Back) {
                return Ok(false);
            }
        }
        if frame.is_empty() {
            continue;
        }
        let Some(message) = read(&frame) else { continue };
        if let Message::Chunk(Live::Error { code, message, help }) = message {
            return Err(Refusal { code, message, help, absent: false });
        }
        if let Message::Event(envelope) = &message {
            *last = Some(envelope.id);
        }
        if !tell(message) {
            return Ok(false);
        }
    }
}

/// A frame as a message; none: nothing that this release knows.
fn read(frame: &str) -> Option<Message> {
    match wire::decode(frame) {
        Ok(envelope) => Some(Message::Event(Arc::new(envelope))),
        Err(DecodeError::UnknownKind(_) | DecodeError::NotJournaled) => {
            match wire::decode_live(frame).ok()? {
                Live::Lagged { missed, after } => Some(Message::Lagged(missed, after)),
                Live::Gap { oldest } => Some(Message::Gap(oldest)),
                live => Some(Message::Chunk(live)),
            }
        }
        Err(DecodeError::Malformed(_)) => None,
    }
}
