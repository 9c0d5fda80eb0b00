//! `tidegate token`: who may do what. Works on the state folder, not through the controller, which reads the list anew
//! as soon as it has changed.

use super::client::Where;
use super::trouble::Trouble;
use super::{Exit, talk};
use crate::domain::{Role, Scope, Time};
use crate::printable;
use crate::settings::{Entry, LastUses, NewToken, TokenError, Tokens, end_of};
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
        /// See and act on this pipeline only; `*` as in `refs`, may be given several times
        #[arg(long, value_name = "PIPELINE")]
        pipeline: Vec<String>,
        /// Act on this tier only, and on nothing of a whole pipeline; may be given several times
        #[arg(long, value_name = "TIER")]
        tier: Vec<String>,
        /// How long it is good, such as 90d, or until when, such as 2027-01-31T00:00:00Z
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
        /// Write it into this new file, which only you may read, instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List the tokens, with what each may do, until when, and when it was used last
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

/// A token as it is listed.
#[derive(serde::Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    /// Whether it has ended.
    expired: bool,
    /// To the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<Time>,
}

impl Listed<'_> {
    fn cells(&self) -> [String; 6] {
        let entry = self.entry;
        let minute = |at: Time| at.format("%Y-%m-%d %H:%M UTC").to_string();
        let scope = match entry.scope() {
            scope if scope == Scope::default() => "-".to_owned(),
            scope => scope.to_string(),
        };
        let end = match entry.expires_at {
            None => "never".to_owned(),
            Some(at) if self.expired => format!("EXPIRED {}", minute(at)),
            Some(at) => minute(at),
        };
        let cells = [
            entry.name.clone(),
            entry.role.to_string(),
            entry.email.clone().unwrap_or_else(|| "-".to_owned()),
            end,
            self.last_used.map_or_else(|| "-".to_owned(), minute),
            scope,
        ];
        cells.map(|text| printable::line(&text).into_owned())
    }
}

/// A line of headings, and one for each token; none without tokens.
fn table(all: &[Listed<'_>]) -> Vec<String> {
    if all.is_empty() {
        return Vec::new();
    }
    let heads = ["NAME", "ROLE", "ADDRESS", "EXPIRES", "LAST USED", "SCOPE"].map(str::to_owned);
    let rows: Vec<[String; 6]> = [heads].into_iter().chain(all.iter().map(Listed::cells)).collect();
    let wide = |column: usize| rows.iter().map(|row| printable::width(&row[column])).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(wide);
    let padded =
        |(text, wide): (&String, usize)| format!("{text}{}", " ".repeat(wide - printable::width(text)));
    let line = |row: &[String; 6]| row.iter().zip(widths).map(padded).collect::<Vec<_>>().join("  ");
    rows.iter().map(|row| line(row).trim_end().to_owned()).collect()
}

fn list(tokens: &Tokens, json: bool) -> Result<(), Trouble> {
    let all = tokens.list().map_err(refused)?;
    let uses = tokens.last_uses().unwrap_or_else(|error| {
        talk::say(format_args!("when tokens were used is not known: failed to {error}"));
        LastUses::default()
    });
    let now = chrono::Utc::now();
    let listed = |entry| Listed { entry, expired: entry.has_ended(now), last_used: uses.of(entry) };
    let all: Vec<Listed<'_>> = all.iter().map(listed).collect();
    if json {
        talk::data(serde_json::to_string_pretty(&all).expect("BUG: tokens' names are JSON"));
    } else {
        table(&all).iter().for_each(talk::data);
    }
    Ok(())
}

fn create(tokens: &Tokens, new: NewToken, out: Option<&Path>) -> Result<(), Trouble> {
    // Before there is a token, so that none is made that nobody has.
    let mut file = out.map(private_file).transpose()?;
    let name = new.name.clone();
    let token = tokens.create(new).inspect_err(|_| {
        // It is ours, and empty.
        out.iter().for_each(|out| drop(std::fs::remove_file(out)));
    });
    let token = token.map_err(refused)?;
    match &mut file {
        Some(file) => writeln!(file, "{}", token.expose()).map_err(|error| {
            let help = format!("`tidegate token revoke {name}`, and create it again where there is room");
            not_kept(out.unwrap_or(Path::new("")), &error, &help)
        })?,
        None => talk::data(token.expose()),
    }
    Ok(())
}

fn act(tokens: &Tokens, args: &Args) -> Result<(), Trouble> {
    match &args.command {
        Command::Create { name, role, email, pipeline, tier, expires, out } => {
            let now = chrono::Utc::now();
            let expires_at = expires.as_deref().map(|text| end_of(text, now)).transpose().map_err(refused)?;
            let (email, pipelines, tiers) = (email.clone(), pipeline.clone(), tier.clone());
            let new = NewToken { email, pipelines, tiers, expires_at, ..NewToken::new(name, *role, now) };
            create(tokens, new, out.as_deref())
        }
        Command::List => list(tokens, args.place.json),
        Command::Revoke { name } => {
            tokens.revoke(name).map_err(refused)?;
            talk::say(format_args!("`{}` is worthless now", printable::line(name)));
            Ok(())
        }
    }
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
        let entry = |name: &str, role: Role, more: serde_json::Value| -> Entry {
            let mut entry = serde_json::json!({"name": name, "role": role, "sha256": "0".repeat(64)});
            entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(entry).unwrap()
        };
        let end = serde_json::json!({"expires_at": "2026-01-01T00:00:00Z", "pipelines": ["shop"], "tiers": ["host"]});
        let all = [
            entry("ann", Role::Admin, serde_json::json!({"email": "ann@example.org"})),
            entry("the-hook-of-a-repository-with-a-long-name", Role::Trigger, serde_json::json!({})),
            entry("größe", Role::Operator, end),
        ];
        let used = "2026-01-02T03:04:00Z".parse().ok();
        let all: Vec<Listed<'_>> = all
            .iter()
            .map(|entry| Listed { entry, expired: entry.expires_at.is_some(), last_used: used })
            .collect();
        let lines = table(&all);
        let fifth = |line: &String| printable::width(line.split("2026-01-02").next().unwrap());
        assert!(lines[1..].windows(2).all(|two| fifth(&two[0]) == fifth(&two[1])), "{lines:#?}");
        assert_eq!(fifth(&lines[1]), printable::width(lines[0].split("LAST").next().unwrap()));
        assert!(
            lines[3]
                .ends_with("EXPIRED 2026-01-01 00:00 UTC  2026-01-02 03:04 UTC  pipeline shop; tier host")
        );
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(words, ["ann", "admin", "ann@example.org", "never", "2026-01-02", "03:04", "UTC", "-"]);
        assert!(table(&[]).is_empty());
    }
}
