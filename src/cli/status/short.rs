//! All of it on one line, worst first: for a prompt, a bar, a glance.

use super::safe;
use crate::domain::Time;
use crate::server::view::{PipelineView, StateView};
use crate::words::{self, Clock, Sign, Tone, brief};

/// What is named of everything; the rest is counted.
const NAMED: usize = 3;

/// How many of a pipeline's newest versions are looked at.
pub(super) const VERSIONS: usize = 10;

/// One thing on the line.
struct Item {
    sign: Sign,
    text: String,
}

/// A line in pieces, each with its tone.
pub(super) type Line = Vec<(String, Tone)>;

/// All pipelines: by name what wants attention, the rest by number.
pub(super) fn everything(all: &StateView, unicode: bool) -> Line {
    let mut items: Vec<Item> = all.pipelines.iter().flat_map(|one| wanting(one, all.at)).collect();
    let refused = all.rejected.iter().filter(|file| file.pipeline.is_none());
    items.extend(refused.map(|file| failed(format!("{} refused", safe(&file.file)))));
    items.extend(all.standstill.iter().map(|one| failed(format!("stands still [{}]", safe(&one.code)))));
    items.extend(all.troubles.iter().map(|one| failed(format!("[{}]", safe(&one.code)))));
    // Within a sign in the order of names.
    items.sort_by_key(|item| item.sign);
    let more = items.len().saturating_sub(NAMED);
    items.truncate(NAMED);
    let calm = all.pipelines.iter().filter(|one| one.definition.is_some() && is_calm(one, all.at)).count();
    let mut line = joined(items, unicode);
    if more > 0 {
        line.push((format!("+{more} more"), Tone::Quiet));
    }
    if calm > 0 || line.is_empty() {
        line.push((format!("{} {}", Sign::Fine.form(unicode), words::counted(calm, "pipeline")), Tone::Good));
    }
    line
}

/// One pipeline: what is in each of its tiers, and what comes.
pub(super) fn pipeline(one: &PipelineView, now: Time, unicode: bool) -> Line {
    let clock = Clock::at(now);
    let (sign, word) = brief::build(one);
    // That the newest is built is what the tiers say too.
    let build = (sign != Sign::Fine).then(|| Item { sign, text: safe(word) });
    let tiers = one.tiers.iter().map(|tier| {
        let brief = brief::tier(one, tier, &clock);
        let word = if brief.sign == Sign::Fine { "" } else { brief.word };
        Item { sign: brief.sign, text: safe(spaced(&[tier.name.as_str(), &brief.there, word, &brief.comes])) }
    });
    joined(build.into_iter().chain(tiers), unicode)
}

/// What of a pipeline wants attention, or goes on.
fn wanting(one: &PipelineView, now: Time) -> Vec<Item> {
    let clock = Clock::at(now);
    let (sign, word) = brief::build(one);
    let build = Item { sign, text: safe(format!("{} {word}", one.name)) };
    let tiers = one.tiers.iter().map(|tier| {
        let brief = brief::tier(one, tier, &clock);
        let place = format!("{}/{}", one.name, tier.name);
        Item { sign: brief.sign, text: safe(spaced(&[&place, brief.word, &brief.comes])) }
    });
    [build].into_iter().chain(tiers).filter(|item| item.sign < Sign::Waits).collect()
}

fn is_calm(one: &PipelineView, now: Time) -> bool {
    brief::attention(one, &Clock::at(now)) >= Sign::Waits
}

fn failed(text: String) -> Item {
    Item { sign: Sign::Failed, text }
}

fn joined(items: impl IntoIterator<Item = Item>, unicode: bool) -> Line {
    items
        .into_iter()
        .map(|Item { sign, text }| (format!("{} {text}", sign.form(unicode)), sign.tone()))
        .collect()
}

/// Words that are there, with a space between.
fn spaced(words: &[&str]) -> String {
    let there: Vec<&str> = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()).collect();
    there.join(" ")
}
