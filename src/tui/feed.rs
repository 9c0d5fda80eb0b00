//! Between the controller and the screens: hears the stream, from where it broke on, and asks what is wanted. Threads that
//! end when nobody listens any more.

use super::controller::{Controller, Refusal};
use super::message::{Message, Want};
use crate::domain::{Envelope, EventId};
use crate::wire::{self, DecodeError, Live};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How long it waits for what.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// The first and the longest pause before a lost stream is asked for again.
    pauses: (Duration, Duration),
    /// A stream that says nothing for so long, not even that it is there, is lost.
    silence: Duration,
    /// One that was there for so long, or said something, was no vain one: the next pause is the first again.
    lived: Duration,
}

/// As it is meant: the controller gives a sign of life every 20 s.
pub(super) const PACE: Pace = Pace {
    pauses: (Duration::from_millis(250), Duration::from_secs(3)),
    silence: Duration::from_secs(65),
    lived: Duration::from_secs(3),
};

/// Older events that are asked for at once.
const PAST: u64 = 1_000;

/// What a controller says to whoever asks for what comes after an event that is not there.
const FUTURE: &str = crate::bus::Future::CODE;

/// Says what it hears; false: nobody listens any more.
pub(super) type Tell = Arc<dyn Fn(Message) -> bool + Send + Sync>;

/// Begins to hear. What is wanted is sent to the answer.
pub(super) fn begin(controller: Arc<dyn Controller>, pace: Pace, tell: Tell) -> Sender<Want> {
    let (wants, asked) = channel::<Want>();
    let hearing = (controller.clone(), tell.clone());
    thread::spawn(move || hear(&hearing.0, pace, &hearing.1));
    // Deeds wait for no question, and no other question for a log, which may be long.
    let worker = || {
        let (sender, wants) = channel::<Want>();
        let (controller, tell) = (controller.clone(), tell.clone());
        thread::spawn(move || work(&*controller, &wants, &tell));
        sender
    };
    let (deeds, logs, questions) = (worker(), worker(), worker());
    thread::spawn(move || {
        for want in asked {
            let worker = match want {
                Want::Act(_) => &deeds,
                Want::Log(..) => &logs,
                _ => &questions,
            };
            if worker.send(want).is_err() {
                return;
            }
        }
    });
    wants
}

fn work(controller: &dyn Controller, wants: &Receiver<Want>, tell: &Tell) {
    for want in wants {
        if !tell(answer(controller, want)) {
            return;
        }
    }
}

fn answer(controller: &dyn Controller, want: Want) -> Message {
    let answer = match want.clone() {
        Want::State => controller.state(super::VERSIONS).map(|view| Message::State(Box::new(view))),
        Want::Pipeline(name) => controller.pipeline(&name, super::VERSIONS).map(|one| match one {
            Some(one) => Message::Pipeline(Box::new(one)),
            None => Message::NoPipeline(name),
        }),
        Want::Past(before) => past(controller, before),
        Want::Way(p, version, order, upto) => {
            let from = EventId(order.0.saturating_sub(1));
            controller.past(from, upto, Some(&p)).map(|events| {
                let key = (p, version);
                let events =
                    events.into_iter().filter(|event| super::picture::is_of(event, &key)).map(Arc::new);
                let events = events.collect();
                Message::Way(key.0, key.1, events)
            })
        }
        Want::Who => controller.who().map(|who| Message::Who(Box::new(who))),
        Want::Log(run, wanted) => controller.log(run, wanted).map(|part| Message::Log(run, part)),
        Want::Act(request) => {
            let answer = controller.act(&request);
            return Message::Answer(request, answer);
        }
    };
    answer.unwrap_or_else(|refusal| Message::Unanswered(want, refusal))
}

fn past(controller: &dyn Controller, before: EventId) -> Result<Message, Refusal> {
    let from = before.0.saturating_sub(PAST + 1);
    let upto = EventId(before.0.saturating_sub(1));
    let events = controller.past(EventId(from), upto, None)?;
    // Fewer where the journal begins later.
    let complete = from == 0 || events.is_empty();
    Ok(Message::Past(events.into_iter().map(Arc::new).collect(), complete))
}

/// How far the stream was heard, and by what its journal is known again.
#[derive(Default)]
struct Heard {
    last: EventId,
    /// The event of that number; none: it was not said, or is no longer kept.
    mark: Option<Arc<Envelope>>,
}

/// Hears for ever: the state first, then what comes after it.
fn hear(controller: &Arc<dyn Controller>, pace: Pace, tell: &Tell) {
    let mut heard: Option<Heard> = None;
    let mut pause = pace.pauses.0;
    loop {
        let place = match heard.take() {
            Some(place) => same_journal(&**controller, place),
            None => begin_to_hear(&**controller, tell).map(Some),
        };
        let ended = match place {
            Ok(Some(place)) => listen(controller, heard.insert(place), &mut pause, pace, tell),
            Ok(None) => Err(Ended::OtherJournal),
            Err((place, refusal)) => {
                heard = place;
                Err(Ended::Refused(refusal))
            }
        };
        let why = match ended {
            Ok(true) => "the stream ended".to_owned(),
            Ok(false) => return,
            Err(Ended::OtherJournal) => {
                heard = None;
                if !tell(Message::Anew) {
                    return;
                }
                continue;
            }
            Err(Ended::Refused(refusal)) => format!("{} [{}]", refusal.message, refusal.code),
        };
        if !tell(Message::Cut(why)) {
            return;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(pace.pauses.1);
    }
}

/// Why hearing ended that was not left.
enum Ended {
    /// The controller has another journal.
    OtherJournal,
    /// It refuses, or is not there.
    Refused(Refusal),
}

/// Tells the state; from where on to hear.
fn begin_to_hear(controller: &dyn Controller, tell: &Tell) -> Result<Heard, (Option<Heard>, Refusal)> {
    let view = controller.state(super::VERSIONS).map_err(|refusal| (None, refusal))?;
    let last = view.id;
    tell(Message::State(Box::new(view)));
    // Without it another journal is only known by its being shorter.
    let mark = event(controller, last).unwrap_or_default().map(Arc::new);
    Ok(Heard { last, mark })
}

/// Asks whether the controller has the journal that was heard; none: it has another one, however long that is.
fn same_journal(
    controller: &dyn Controller,
    place: Heard,
) -> Result<Option<Heard>, (Option<Heard>, Refusal)> {
    let Some(mark) = &place.mark else { return Ok(Some(place)) };
    match event(controller, mark.id) {
        Ok(Some(now)) if now != **mark => Ok(None),
        // One that is no longer kept says nothing.
        Ok(_) => Ok(Some(place)),
        Err(refusal) if refusal.code == FUTURE => Ok(None),
        Err(refusal) => Err((Some(place), refusal)),
    }
}

/// One event of the journal; none: it is not kept.
fn event(controller: &dyn Controller, id: EventId) -> Result<Option<Envelope>, Refusal> {
    let Some(before) = id.0.checked_sub(1) else { return Ok(None) };
    let found = controller.past(EventId(before), id, None)?;
    Ok(found.into_iter().find(|envelope| envelope.id == id))
}

/// Hears until the stream ends, or nothing comes any more; false: nobody listens.
fn listen(
    controller: &Arc<dyn Controller>,
    heard: &mut Heard,
    pause: &mut Duration,
    pace: Pace,
    tell: &Tell,
) -> Result<bool, Ended> {
    // A thread of its own, which may be left behind in a read that lasts.
    let (sender, frames) = sync_channel::<Result<String, Option<Refusal>>>(256);
    let since = heard.last;
    let reader = controller.clone();
    thread::spawn(move || {
        let ended = reader.listen(since, &mut |frame| sender.send(Ok(frame.to_owned())).is_ok());
        // Whoever waits may be gone.
        let _ = sender.send(Err(ended.err()));
    });
    let refused = |refusal: Refusal| match refusal.code == FUTURE {
        true => Ended::OtherJournal,
        false => Ended::Refused(refusal),
    };
    let mut begun: Option<Instant> = None;
    loop {
        let frame = match frames.recv_timeout(pace.silence) {
            Ok(Ok(frame)) => frame,
            Ok(Err(Some(refusal))) => return Err(refused(refusal)),
            Ok(Err(None)) | Err(RecvTimeoutError::Disconnected) => return Ok(true),
            Err(RecvTimeoutError::Timeout) => {
                let message = format!("nothing was heard for {} s", pace.silence.as_secs());
                return Err(Ended::Refused(Refusal {
                    code: "TG-CLI-001".into(),
                    message,
                    help: String::new(),
                    absent: true,
                }));
            }
        };
        if begun.is_none() && !tell(Message::Back) {
            return Ok(false);
        }
        // One that opens and breaks at once must not be asked for again at once.
        if !frame.is_empty() || begun.is_some_and(|begun| begun.elapsed() >= pace.lived) {
            *pause = pace.pauses.0;
        }
        begun.get_or_insert_with(Instant::now);
        let message = match read(&frame) {
            None => continue,
            Some(Message::Chunk(_, Live::Error { code, message, help })) => {
                return Err(refused(Refusal { code, message, help, absent: false }));
            }
            Some(message) => message,
        };
        if let Message::Event(envelope) = &message {
            *heard = Heard { last: envelope.id, mark: Some(envelope.clone()) };
        }
        if !tell(message) {
            return Ok(false);
        }
    }
}

/// A frame as a message; none: a sign of life.
fn read(frame: &str) -> Option<Message> {
    if frame.is_empty() {
        return None;
    }
    Some(match wire::decode(frame) {
        Ok(envelope) => Message::Event(Arc::new(envelope)),
        Err(DecodeError::UnknownKind(_) | DecodeError::NotJournaled) => match wire::decode_live_of(frame) {
            Ok((_, Live::Lagged { missed, after })) => Message::Lagged(missed, after),
            Ok((_, Live::Gap { oldest })) => Message::Gap(oldest),
            Ok((pipeline, live)) => Message::Chunk(pipeline, live),
            Err(_) => Message::Unreadable,
        },
        Err(DecodeError::Malformed(_)) => Message::Unreadable,
    })
}
