//! `tidegate logs`: what a run wrote. To a terminal it goes made safe, elsewhere byte for byte.

use super::Exit;
use super::client::Where;
use super::talk;
use super::trouble::Trouble;
use crate::printable::Stream;
use std::io::{IsTerminal, Read, Write};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// The run, as events and `tidegate status` name it
    run: u64,
    /// Go on until the run has ended
    #[arg(long, short)]
    follow: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    match print(args) {
        Ok(()) => Exit::Done,
        Err(trouble) => trouble.say(),
    }
}

fn print(args: &Args) -> Result<(), Trouble> {
    let client = args.place.client_that_waits()?;
    let follow = if args.follow { "?follow=1" } else { "" };
    let mut body = client.stream(&format!("/api/runs/{}/log{follow}", args.run), "*/*")?;
    let mut out = std::io::stdout().lock();
    let mut safe = out.is_terminal().then(|| Stream::new(talk::colours(&out)));
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = body.read(&mut buffer).map_err(|error| client.unreachable(&error.to_string()))?;
        let mut text = String::new();
        match safe.as_mut() {
            Some(safe) if read > 0 => safe.push(&buffer[..read], &mut text),
            Some(_) => {
                if let Some(safe) = safe.take() {
                    safe.finish(&mut text);
                }
            }
            None => {}
        }
        let bytes = if text.is_empty() && !std::io::stdout().is_terminal() {
            &buffer[..read]
        } else {
            text.as_bytes()
        };
        // A reader that has gone has seen enough.
        if out.write_all(bytes).and_then(|()| out.flush()).is_err() || read == 0 {
            return Ok(());
        }
    }
}
