//! `tidegate schema`: the JSON Schemas of pipeline files, settings and events.

use super::{Exit, talk};
use crate::definition::schema;
use crate::settings;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Which: pipeline, settings (of `tidegate.toml`), event or step-event
    #[arg(default_value = "pipeline")]
    which: String,
    /// Write all of them into this folder
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Exit {
    let of_settings = (settings::schema::FILE, settings::schema::text());
    let all: Vec<(&str, String)> = schema::all().into_iter().chain([of_settings]).collect();
    if let Some(folder) = &args.write {
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| all.iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text)));
        return match written {
            Ok(()) => {
                all.iter().for_each(|(name, _)| talk::say(folder.join(name).display()));
                Exit::Done
            }
            Err(error) => {
                let message = format!("failed to write the schemas into `{}`: {error}", folder.display());
                talk::fail("TG-CLI-004", message, "name a folder that can be written");
                Exit::Usage
            }
        };
    }
    match all.iter().find(|(name, _)| name.strip_suffix(".schema.json") == Some(&args.which)) {
        Some((_, text)) => {
            talk::data(text.trim_end());
            Exit::Done
        }
        None => {
            let message = format!("there is no schema `{}`", args.which);
            talk::fail("TG-CLI-005", message, "the schemas are pipeline, settings, event and step-event");
            Exit::Usage
        }
    }
}
