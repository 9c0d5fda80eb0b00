//! `tidegate token`: who may do what. Works on the state folder, not through the controller, which reads the list anew
//! as soon as it has changed.

use super::client::Where;
use super::trouble::Trouble;
use super::{Exit, talk};
use crate::domain::Role;
use crate::printable;
use crate::settings::{Entry, NewToken, TokenError, Tokens};

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

/// A line for each token: name, role, address.
fn table(all: &[Entry]) -> Vec<String> {
    let cells = |entry: &Entry| {
        let email = entry.email.as_deref().unwrap_or("-");
        [&entry.name, &*entry.role.to_string(), email].map(|text| printable::line(text).into_owned())
    };
    let rows: Vec<[String; 3]> = all.iter().map(cells).collect();
    let wide = |column: usize| rows.iter().map(|row| printable::width(&row[column])).max().unwrap_or(0);
    let (name, role) = (wide(0), wide(1));
    let padded = |text: &str, wide: usize| format!("{text}{}", " ".repeat(wide - printable::width(text)));
    rows.iter().map(|[a, b, c]| format!("{}  {}  {c}", padded(a, name), padded(b, role))).collect()
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
                table(&all).iter().for_each(talk::data);
            }
        }
        Command::Revoke { name } => {
            tokens.revoke(name)?;
            talk::say(format_args!("`{}` is worthless now", printable::line(name)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_whatever_the_names() {
        let entry = |name: &str, role: Role, email: Option<&str>| -> Entry {
            let sha256 = "0".repeat(64);
            let entry = serde_json::json!({"name": name, "role": role, "email": email, "sha256": sha256});
            serde_json::from_value(entry).unwrap()
        };
        let lines = table(&[
            entry("ann", Role::Admin, Some("ann@example.org")),
            entry("the-hook-of-a-repository-with-a-long-name", Role::Trigger, None),
            entry("größe", Role::Operator, None),
        ]);
        let third: Vec<usize> =
            lines.iter().map(|line| printable::width(line.rsplit_once("  ").unwrap().0)).collect();
        assert!(third.windows(2).all(|two| two[0] == two[1]), "{lines:#?}");
        assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["ann", "admin", "ann@example.org"]);
    }
}
