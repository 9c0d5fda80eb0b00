//! `tidegate token`: who may do what. Works on the state folder, not through the controller, which reads the list anew
//! as soon as it has changed.

use super::client::Where;
use super::trouble::Trouble;
use super::{Exit, talk};
use crate::domain::Role;
use crate::printable;
use crate::settings::{Entry, NewToken, TokenError, Tokens};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

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
        /// Write it into this new file, which only you may read, instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
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
    let done = Tokens::open(&state).map_err(refused).and_then(|tokens| act(&tokens, args));
    done.map_or_else(|trouble| trouble.say(), |()| Exit::Done)
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

fn act(tokens: &Tokens, args: &Args) -> Result<(), Trouble> {
    match &args.command {
        Command::Create { name, role, email, out } => {
            // Before there is a token, so that none is made that nobody has.
            let mut file = out.as_deref().map(private_file).transpose()?;

            let new = NewToken {
                name: name.clone(),
                role: *role,
                email: email.clone(),
                repo: None,
                created_at: chrono::Utc::now(),
            };
            let token = tokens.create(new).inspect_err(|_| {
                // It is ours, and empty.
                out.iter().for_each(|out| drop(std::fs::remove_file(out)));
            });
            let token = token.map_err(refused)?;
            match &mut file {
                Some(file) => writeln!(file, "{}", token.expose()).map_err(|error| {
                    let help =
                        format!("`tidegate token revoke {name}`, and create it again where there is room");
                    not_kept(out.as_deref().unwrap_or(Path::new("")), &error, &help)
                })?,
                None => talk::data(token.expose()),
            }
        }
        Command::List => {
            let all = tokens.list().map_err(refused)?;
            if args.place.json {
                talk::data(serde_json::to_string_pretty(&all).expect("BUG: tokens' names are JSON"));
            } else {
                table(&all).iter().for_each(talk::data);
            }
        }
        Command::Revoke { name } => {
            tokens.revoke(name).map_err(refused)?;
            talk::say(format_args!("`{}` is worthless now", printable::line(name)));
        }
    }
    Ok(())
}

fn refused(error: TokenError) -> Trouble {
    Trouble::new(error.code(), format!("failed to {error}"), error.help(), Exit::Usage)
}

/// A file that is not there yet, and that nobody else may read.
fn private_file(path: &Path) -> Result<File, Trouble> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|error| not_kept(path, &error, "name a file that is not there yet, in a folder that is"))
}

fn not_kept(path: &Path, error: &std::io::Error, help: &str) -> Trouble {
    let message = format!("failed to write the token to `{}`: {error}", path.display());
    Trouble::new("TG-TOKEN-011", message, help, Exit::Usage)
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
