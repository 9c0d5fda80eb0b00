//! The feed over a controller that says what it is told to say.

use super::*;
use crate::domain::{Event, Fact, PipelineName, RunId, Time};
use crate::server::view::StateView;
use crate::server::{Done, OnePipeline, WhoView};
use crate::tui::controller::{LogPart, LogWanted};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Nothing here takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one stream says: frames, and how it ends; none: it says nothing more, and stays.
type Script = (Vec<String>, Option<Result<(), Refusal>>);

fn journal(name: &str, length: u64) -> Vec<Envelope> {
    (1..=length).map(|id| event_of(id, name)).collect()
}

/// A controller with a journal and scripted streams; when they are used up, each ends at once.
#[derive(Default)]
struct Scripted {
    journal: Mutex<Vec<Envelope>>,
    streams: Mutex<VecDeque<Script>>,
    /// What the journal is from the end of the first stream on.
    then: Mutex<Option<Vec<Envelope>>>,
    /// From where on each stream was asked for, and when.
    listened: Mutex<Vec<(EventId, Instant)>>,
    /// Whoever asks for a log or a state waits for a word here.
    logs: Mutex<Option<Receiver<()>>>,
}

fn refusal(code: &str) -> Refusal {
    Refusal { code: code.into(), message: "no".into(), help: String::new(), absent: false }
}

fn at() -> Time {
    Time::from_timestamp(1_795_424_400, 0).unwrap()
}

fn event_of(id: u64, name: &str) -> Envelope {
    Envelope { id: EventId(id), at: at(), fact: Fact::of(&name.into(), Event::LookedOver) }
}

fn frame(id: u64) -> String {
    wire::encode(&event_of(id, "shop"))
}

impl Controller for Scripted {
    fn state(&self, _: usize) -> Result<StateView, Refusal> {
        let id = self.journal.lock().unwrap().last().map_or(0, |last| last.id.0);
        let view = json!({"id": id, "at": at(), "pipelines": [], "rejected": []});
        Ok(serde_json::from_value(view).unwrap())
    }

    fn pipeline(&self, _: &PipelineName, _: usize) -> Result<Option<OnePipeline>, Refusal> {
        Err(refusal("TG-ASK-009"))
    }

    fn past(
        &self,
        after: EventId,
        upto: EventId,
        _: Option<&PipelineName>,
    ) -> Result<Vec<Envelope>, Refusal> {
        let journal = self.journal.lock().unwrap();
        if journal.last().is_none_or(|last| last.id < after) {
            return Err(refusal(FUTURE));
        }
        Ok(journal.iter().filter(|one| one.id > after && one.id <= upto).cloned().collect())
    }

    fn who(&self) -> Result<WhoView, Refusal> {
        Err(refusal("TG-ASK-009"))
    }

    fn log(&self, _: RunId, _: LogWanted) -> Result<Option<LogPart>, Refusal> {
        let waits = self.logs.lock().unwrap().take();
        waits.map(|waits| waits.recv_timeout(PATIENCE));
        Ok(None)
    }

    fn listen(&self, since: EventId, hear: &mut dyn FnMut(&str) -> bool) -> Result<(), Refusal> {
        self.listened.lock().unwrap().push((since, Instant::now()));
        let script = self.streams.lock().unwrap().pop_front();
        let (frames, end) = script.unwrap_or((Vec::new(), Some(Ok(()))));
        if frames.iter().any(|frame| !hear(frame)) {
            return Ok(());
        }
        if let Some(then) = self.then.lock().unwrap().take() {
            *self.journal.lock().unwrap() = then;
        }
        match end {
            Some(end) => end,
            None => {
                thread::sleep(PATIENCE);
                Ok(())
            }
        }
    }

    fn act(&self, _: &crate::tui::Request) -> Result<Done, Refusal> {
        Err(refusal("TG-AUTH-002"))
    }
}

/// A tenth of a second where it is meant to be a second.
const SHORT: Pace = Pace {
    pauses: (Duration::from_millis(25), Duration::from_millis(300)),
    silence: Duration::from_millis(400),
    lived: Duration::from_secs(5),
};

struct Heard {
    controller: Arc<Scripted>,
    told: Receiver<Message>,
    wants: Sender<Want>,
}

fn begun(length: u64, streams: Vec<Script>) -> Heard {
    begun_then(length, streams, None)
}

/// `then`: what the journal is when the first stream has ended.
fn begun_then(length: u64, streams: Vec<Script>, then: Option<Vec<Envelope>>) -> Heard {
    let controller = Arc::new(Scripted {
        journal: Mutex::new(journal("shop", length)),
        streams: Mutex::new(streams.into()),
        then: Mutex::new(then),
        ..Scripted::default()
    });
    let (sender, told) = channel();
    let sender = Mutex::new(sender);
    let tell: Tell = Arc::new(move |message| sender.lock().unwrap().send(message).is_ok());
    let wants = begin(controller.clone(), SHORT, tell);
    Heard { controller, told, wants }
}

impl Heard {
    fn next(&self) -> Message {
        self.told.recv_timeout(PATIENCE).expect("something is told")
    }

    /// The next so many in a word each.
    fn words(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| word(self.next())).collect()
    }
}

fn word(message: Message) -> String {
    match message {
        Message::State(view) => format!("state {}", view.id),
        Message::Event(envelope) => format!("event {}", envelope.id),
        Message::Cut(why) => format!("cut: {why}"),
        Message::Back => "back".into(),
        Message::Anew => "anew".into(),
        Message::Gap(oldest) => format!("gap {oldest}"),
        Message::Lagged(missed, after) => format!("lagged {missed} after {after}"),
        Message::Unreadable => "unreadable".into(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_stream_that_breaks_is_taken_up_where_it_broke() {
    let first = (vec![String::new(), frame(6), frame(7)], Some(Ok(())));
    let heard = begun_then(5, vec![first, (vec![frame(8)], None)], Some(journal("shop", 8)));
    let words = heard.words(7);
    let listened = heard.controller.listened.lock().unwrap();
    let asked: Vec<u64> = listened.iter().map(|(since, _)| since.0).collect();
    assert_eq!(asked, [5, 7]);
    assert_eq!(words[1..], ["back", "event 6", "event 7", "cut: the stream ended", "back", "event 8"]);
}

#[test]
fn one_that_says_nothing_and_one_that_refuses_are_cut_off() {
    let refused = (vec![String::new()], Some(Err(refusal("TG-AUTH-001"))));
    let error = json!({"kind": "error", "at": at(), "code": "TG-X-1", "message": "ended", "help": ""});
    let heard = begun(2, vec![(vec![frame(3)], None), refused, (vec![error.to_string()], None)]);
    let words = heard.words(8);
    assert_eq!(words[..3], ["state 2", "back", "event 3"]);
    assert_eq!(words[3], "cut: nothing was heard for 0 s [TG-CLI-001]");
    assert_eq!(words[4..6], ["back", "cut: no [TG-AUTH-001]"]);
    assert_eq!(words[6..], ["back", "cut: ended [TG-X-1]"]);
}

#[test]
fn a_stream_that_opens_and_breaks_at_once_is_asked_for_ever_later() {
    let vain = || (vec![String::new()], Some(Ok(())));
    let heard = begun(1, (0..5).map(|_| vain()).collect());
    // The state, and five times back and cut.
    heard.words(11);
    let listened = heard.controller.listened.lock().unwrap();
    let pauses: Vec<u128> = listened.windows(2).map(|two| (two[1].1 - two[0].1).as_millis()).collect();
    assert!(pauses.iter().zip([25, 50, 100, 200]).all(|(pause, least)| *pause >= least), "{pauses:?}");
}

#[test]
fn another_journal_is_noticed_however_long_it_is() {
    // As long as the old one, longer, and shorter.
    for length in [3, 9, 1] {
        let first = (vec![frame(3)], Some(Ok(())));
        let heard = begun_then(2, vec![first, (vec![], None)], Some(journal("other", length)));
        let words = heard.words(6);
        assert_eq!(words[..4], ["state 2", "back", "event 3", "cut: the stream ended"]);
        assert_eq!(words[4..], ["anew".to_owned(), format!("state {length}")]);
    }
}

#[test]
fn the_same_journal_is_gone_on_with() {
    let first = (vec![frame(4)], Some(Ok(())));
    let heard = begun_then(3, vec![first, (vec![frame(5)], None)], Some(journal("shop", 4)));
    assert_eq!(heard.words(6)[3..], ["cut: the stream ended", "back", "event 5"]);
}

#[test]
fn what_cannot_be_read_leaves_a_trace() {
    let kind = json!({"id": 4, "at": at(), "kind": "of_a_newer_release", "pipeline": "shop"});
    let gap = json!({"kind": "gap", "at": at(), "oldest": 9});
    let heard = begun(3, vec![(vec!["{".into(), kind.to_string(), gap.to_string()], None)]);
    assert_eq!(heard.words(5), ["state 3", "back", "unreadable", "unreadable", "gap 9"]);
}

#[test]
fn chunks_say_whose_they_are() {
    let (text, step) = ("x".to_owned(), "make".into());
    let live = Live::BuildLogChunk { run_id: RunId(7), seq: 0, text, offset: 0, bytes: 1, step };
    let heard = begun(3, vec![(vec![wire::encode_live(at(), Some(&"shop".into()), &live)], None)]);
    let told = heard.told.iter().nth(2).unwrap();
    assert!(matches!(&told, Message::Chunk(Some(name), _) if name.as_str() == "shop"), "{told:?}");
}

#[test]
fn a_question_that_is_refused_says_which_and_no_log_keeps_others_waiting() {
    let heard = begun(3, vec![(vec![String::new()], None)]);
    heard.words(2);
    let (go, waits) = channel();
    *heard.controller.logs.lock().unwrap() = Some(waits);
    heard.wants.send(Want::Log(RunId(1), LogWanted::From(0))).unwrap();
    let want = Want::Pipeline("shop".into());
    heard.wants.send(want.clone()).unwrap();
    let told = heard.next();
    assert!(matches!(&told, Message::Unanswered(asked, _) if *asked == want), "{told:?}");
    let request = crate::tui::Request {
        verb: crate::tui::Verb::Hold,
        pipeline: "shop".into(),
        tier: None,
        fields: Default::default(),
    };
    heard.wants.send(Want::Act(request.clone())).unwrap();
    let told = heard.next();
    assert!(matches!(&told, Message::Answer(asked, Err(_)) if *asked == request), "{told:?}");
    go.send(()).unwrap();
    assert!(matches!(heard.next(), Message::Log(RunId(1), None)));
}
