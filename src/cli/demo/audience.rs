//! Hearing the events of the demo's controller, as any subscriber would, and saying them as they come.

use crate::cli::client::Client;
use crate::cli::trouble::Trouble;
use crate::cli::{Exit, narrate};
use crate::domain::{Envelope, Event};
use crate::wire;
use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Nothing in the demo takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

const HELP: &str = "look at controller.log in the demo's folder (--keep leaves it there)";

/// A subscriber that goes on where it was whenever the controller was away.
pub(super) struct Audience {
    events: Receiver<Envelope>,
}

impl Audience {
    /// Subscribes from the beginning.
    pub(super) fn take_seats(client: Client) -> Audience {
        let (sender, events) = channel();
        std::thread::spawn(move || hear(&client, &sender));
        Audience { events }
    }

    /// Says what happens until something does that is waited for.
    pub(super) fn wait(&self, mut is_it: impl FnMut(&Event) -> bool) -> Result<Envelope, Trouble> {
        let begin = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(begin.elapsed());
            match self.events.recv_timeout(left) {
                Ok(envelope) => {
                    narrate::say(&envelope);
                    if is_it(&envelope.fact.event) {
                        return Ok(envelope);
                    }
                    if let Event::PromoteFailed { cause, .. } | Event::BuildFailed { cause, .. } =
                        &envelope.fact.event
                    {
                        let message = format!("the demo did not go as it should: {cause}");
                        return Err(Trouble::new("TG-DEMO-003", message, HELP, Exit::Failed));
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let message = "what the demo waited for did not happen within a minute";
                    return Err(Trouble::new("TG-DEMO-003", message, HELP, Exit::Failed));
                }
            }
        }
    }
}

fn hear(client: &Client, sender: &Sender<Envelope>) {
    let mut last = 0;
    loop {
        let Ok(body) = client.stream(&format!("/events?since={last}&logs=false"), "text/event-stream") else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        for line in BufReader::new(body).lines().map_while(Result::ok) {
            let Some(envelope) =
                line.strip_prefix("data:").and_then(|data| wire::decode(data.trim_start()).ok())
            else {
                continue;
            };
            last = envelope.id.0;
            if sender.send(envelope).is_err() {
                return;
            }
        }
    }
}
