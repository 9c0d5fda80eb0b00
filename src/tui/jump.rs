//! Where a line that begins with `:` leads: a pipeline, a tier of it, a log, a screen. What could follow is known as it is
//! written.

use super::look::{Screen, TABS};
use super::picture::Picture;
use crate::domain::{PipelineName, RunId, TierName};

/// Where somebody wants to go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Aim {
    /// A screen that has a number.
    Tab(Screen),
    /// The keys.
    Help,
    /// A pipeline, or a tier of it.
    Place(PipelineName, Option<TierName>),
    /// The log of a run.
    Log(RunId),
}

/// Words that go before names of pipelines.
const WORDS: [&str; 6] = ["board", "waiting", "logs", "history", "log", "help"];

/// Where a line leads; else what is not there.
pub(crate) fn aim(line: &str, picture: &Picture) -> Result<Option<Aim>, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let screen = |name: &str| TABS.iter().find(|(_, tab)| *tab == name).map(|(screen, _)| screen.clone());
    Ok(Some(match words.as_slice() {
        [] => return Ok(None),
        ["help"] => Aim::Help,
        ["log", number] => Aim::Log(run(number, picture)?),
        ["log"] => return Err("a run has a number: `:log 42`".into()),
        [one] if screen(one).is_some() => Aim::Tab(screen(one).unwrap_or(Screen::Board)),
        [pipeline] => Aim::Place(named(pipeline, picture)?, None),
        [pipeline, tier] => {
            let name = named(pipeline, picture)?;
            let tiers = picture.pipeline(&name).map(|p| p.tiers.as_slice()).unwrap_or_default();
            let found = tiers.iter().find(|one| one.name.as_str() == *tier).map(|one| one.name.clone());
            let all: Vec<String> = tiers.iter().map(|one| one.name.to_string()).collect();
            let missing = || format!("{name} has no tier `{tier}`: there are {}", all.join(", "));
            Aim::Place(name.clone(), Some(found.ok_or_else(missing)?))
        }
        [_, _, more, ..] => return Err(format!("`{more}` is one word too many: a pipeline, then a tier")),
    }))
}

fn named(name: &str, picture: &Picture) -> Result<PipelineName, String> {
    let found = picture.pipelines().iter().find(|p| p.name.as_str() == name).map(|p| p.name.clone());
    found.ok_or_else(|| {
        let names = picture.pipelines().iter().map(|p| p.name.as_str());
        let known: Vec<&str> = WORDS.into_iter().chain(names).collect();
        match crate::definition::nearest(name, &known) {
            Some(near) => format!("no pipeline or screen is called `{name}`: did you mean `{near}`?"),
            None => format!("no pipeline or screen is called `{name}`; Tab shows what there is"),
        }
    })
}

fn run(number: &str, picture: &Picture) -> Result<RunId, String> {
    let id = number.parse().map(RunId).map_err(|_| format!("`{number}` is no number of a run"))?;
    match picture.runs.all.contains_key(&id) {
        true => Ok(id),
        false => Err(format!("run {number} is not known here; `tidegate logs {number}` may have it")),
    }
}

/// What may stand where the last word of a line is, each as the whole line would be then.
pub(crate) fn completions(line: &str, picture: &Picture) -> Vec<String> {
    let (before, begun) = line.rfind(' ').map_or(("", line), |at| line.split_at(at + 1));
    let words: Vec<&str> = before.split_whitespace().collect();
    let fits = |all: Vec<String>| -> Vec<String> {
        let fitting = all.into_iter().filter(|one| one.starts_with(begun));
        fitting.map(|one| format!("{before}{one}")).collect()
    };
    match words.as_slice() {
        [] => {
            let names = picture.pipelines().iter().map(|p| p.name.to_string());
            fits(WORDS.iter().map(|word| (*word).to_owned()).chain(names).collect())
        }
        ["log"] => fits(picture.runs.all.keys().rev().map(ToString::to_string).collect()),
        [name] => {
            let p = picture.pipelines().iter().find(|p| p.name.as_str() == *name);
            fits(p.map(|p| p.tiers.iter().map(|tier| tier.name.to_string()).collect()).unwrap_or_default())
        }
        _ => Vec::new(),
    }
}

/// The line as far as all completions agree.
pub(crate) fn completed(line: &str, picture: &Picture) -> Option<String> {
    let all = completions(line, picture);
    let first = all.first()?;
    let agreed = all.iter().fold(first.as_str(), |agreed, one| {
        let same = agreed.char_indices().zip(one.chars()).find(|((_, a), b)| a != b);
        let upto = same.map_or(agreed.len().min(one.len()), |((at, _), _)| at);
        &agreed[..upto]
    });
    // One that takes more gets its space.
    let more = all.len() == 1 && !completions(&format!("{first} "), picture).is_empty();
    Some(if more { format!("{agreed} ") } else { agreed.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::picture::Link;

    #[test]
    fn a_line_is_completed_as_far_as_it_is_clear() {
        let picture = Picture::new(Link::Connecting);
        assert_eq!(completed("bo", &picture), Some("board".into()));
        assert_eq!(completed("lo", &picture), Some("log".into()), "`log` and `logs`");
        assert_eq!(completed("nowhere", &picture), None);
        assert_eq!(completions("board x", &picture), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_is_said_with_what_is_near() {
        let picture = Picture::new(Link::Connecting);
        assert_eq!(aim("  ", &picture), Ok(None));
        assert_eq!(aim("history", &picture), Ok(Some(Aim::Tab(Screen::History))));
        assert_eq!(aim("help", &picture), Ok(Some(Aim::Help)));
        for (line, words) in [
            ("shop", "no pipeline or screen is called `shop`"),
            ("histroy", "did you mean `history`?"),
            ("log", "`:log 42`"),
            ("log x", "`x` is no number of a run"),
            ("log 4", "run 4 is not known here"),
            ("a b c", "`c` is one word too many"),
        ] {
            let why = aim(line, &picture).unwrap_err();
            assert!(why.contains(words), "{line}: {why}");
        }
    }
}
