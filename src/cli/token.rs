//! `tidegate token`: who may do what. Works on the state folder, not through the controller, which reads the list anew
//! as soon as it has changed.

use super::client::Where;
use super::trouble::Trouble;
use super::{Exit, talk};
use crate::domain::Role;
use crate::printable;
use crate::settings::{NewToken, TokenError, Tokens};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a token; it alone is printed on stdout, this once
    Create {
        /// Whom it is for
        name: String,
        /// viewer, trigger, operator or admin
        #[arg(long)]
        role: Role,
        /// Their address, for rules with `not_author`
        #[arg(long)]
        email: Option<String>,
    },
    /// List the tokens
    List,
    /// Make a token worthless
    Revoke {
        /// Whose
        name: String,
    },
}

pub(super) fn run(args: &Args) -> Exit {
    let state = match args.place.state_dir() {
        Ok(state) => state,
        Err(trouble) => return trouble.say(),
    };
    let Some(state) = state else {
        talk::fail("TG-CLI-006", "there is no state folder", "name one with `--state`");
        return Exit::Usage;
    };
    if let Err(error) = state.prepare() {
        return Trouble::from(error).say();
    }
    let done = Tokens::open(&state).and_then(|tokens| act(&tokens, args));
    match done {
        Ok(()) => Exit::Done,
        Err(error) => {
            talk::fail(error.code(), format_args!("failed to {error}"), &error.help());
            Exit::Usage
        }
    }
}

fn act(tokens: &Tokens, args: &Args) -> Result<(), TokenError> {
    match &args.command {
        Command::Create { name, role, email } => {
            let new = NewToken {
                name: name.clone(),
                role: *role,
                email: email.clone(),
                repo: None,
                created_at: chrono::Utc::now(),
            };
            talk::data(tokens.create(new)?.expose());
        }
        Command::List => {
            let all = tokens.list()?;
            if args.place.json {
                talk::data(serde_json::to_string_pretty(&all).expect("BUG: tokens' names are JSON"));
            } else {
                for entry in all {
                    let email = entry.email.as_deref().unwrap_or("-");
                    talk::data(format_args!(
                        "{:<24} {:<9} {}",
                        printable::line(&entry.name),
                        entry.role,
                        printable::line(email)
                    ));
                }
            }
        }
        Command::Revoke { name } => {
            tokens.revoke(name)?;
            talk::say(format_args!("`{}` is worthless now", printable::line(name)));
        }
    }
    Ok(())
}
