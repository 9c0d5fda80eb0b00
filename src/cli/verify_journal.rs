//! `tidegate verify-journal`: whether the journal is what it was. Reads the file, beside a controller or without one.

use super::client::Where;
use super::trouble::Trouble;
use super::{Exit, talk};
use crate::archive::{Defect, Proof, verify};
use crate::journal::Head;
use crate::printable;
use crate::settings::StateDir;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// A head that was noted earlier, and must be in it; may be given several times
    #[arg(long, value_name = "ID:HASH")]
    expect: Vec<Head>,
}

pub(super) fn run(args: &Args) -> Exit {
    let state = match state_folder(&args.place) {
        Ok(state) => state,
        Err(trouble) => return trouble.say(),
    };
    match verify(state.path(), &args.expect) {
        Ok(proof) => told(&proof, args.place.json),
        Err(error) => Trouble { exit: Exit::NoController, ..Trouble::from(error) }.say(),
    }
}

/// The state folder that a command works on.
pub(super) fn state_folder(place: &Where) -> Result<StateDir, Trouble> {
    place.state_dir()?.ok_or_else(|| {
        Trouble::new("TG-CLI-006", "there is no state folder", "name one with `--state`", Exit::Usage)
    })
}

fn told(proof: &Proof, as_json: bool) -> Exit {
    if as_json {
        talk::json(serde_json::to_string_pretty(proof).expect("BUG: a proof is JSON"));
    } else if proof.proven {
        talk::data(proof.head());
    } else {
        proof.defects.iter().map(in_words).for_each(talk::data);
        if proof.untold > 0 {
            talk::data(format_args!("and {} more", proof.untold));
        }
    }
    let Proof { events, oldest, last, instance, .. } = proof;
    if proof.proven {
        talk::say(format_args!("proven: {events} events, {oldest} to {last}, of the journal {instance}"));
        return Exit::Done;
    }
    let count = proof.defects.len() as u64 + proof.untold;
    let message = format!("the journal {instance} is not what it was: {count} defects in {events} events");
    let help = "keep a copy of the file as it is, and restore a backup made before (`tidegate restore`)";
    talk::fail("TG-PROOF-001", message, help);
    Exit::Failed
}

fn in_words(defect: &Defect) -> String {
    let Defect { what, id, detail, meaning } = defect;
    let place = id.map(|id| format!(" at event {id}")).unwrap_or_default();
    let what = serde_json::to_value(what).ok().and_then(|what| Some(what.as_str()?.replace('_', " ")));
    printable::line(&format!("{}{place}: {detail}; {meaning}", what.unwrap_or_default())).into_owned()
}
