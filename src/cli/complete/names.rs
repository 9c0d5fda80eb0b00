//! The names that a controller knows. Nobody waits long for a list: where none answers at once, there are none.

use super::words::{Kind, Wanted};
use crate::cli::client::{Where, segment};
use crate::server::OnePipeline;
use crate::server::view::{PipelineView, StateView};
use std::time::Duration;

/// A controller that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_millis(700);

/// The names of that kind which fit what was said before.
pub(super) fn of(place: &Where, wanted: &Wanted, kind: Kind) -> Vec<String> {
    let place = said_place(place, wanted);
    let Ok(client) = place.client_within(PATIENCE) else { return Vec::new() };
    // `--pipeline` says it, else the first word does.
    let option = wanted.options.iter().find(|(name, _)| name == "pipeline").map(|(_, value)| value);
    let pipeline = option.or(wanted.said.first()).filter(|_| kind != Kind::Pipeline);
    let Some(pipeline) = pipeline else {
        let all = client.read::<StateView>("/api/state?limit=0").map(|state| state.pipelines);
        let all = all.unwrap_or_default();
        return match kind {
            Kind::Pipeline => all.iter().map(|one| one.name.to_string()).collect(),
            Kind::Tier => all.iter().flat_map(tiers).collect(),
            Kind::Version | Kind::Node => Vec::new(),
        };
    };
    let path = format!("/api/pipelines/{}?limit=50", segment(pipeline));
    let Ok(one) = client.read::<OnePipeline>(&path) else { return Vec::new() };
    let one = one.pipeline;
    match kind {
        Kind::Pipeline => Vec::new(),
        Kind::Tier => tiers(&one),
        Kind::Version => one.versions.iter().map(|version| version.version.to_string()).collect(),
        Kind::Node => {
            let of_tier = one
                .tiers
                .iter()
                .filter(|tier| wanted.said.get(1).is_none_or(|said| tier.name == said.as_str()));
            of_tier.flat_map(|tier| tier.nodes.iter().map(|node| node.name.to_string())).collect()
        }
    }
}

fn tiers(one: &PipelineView) -> Vec<String> {
    one.tiers.iter().map(|tier| tier.name.to_string()).collect()
}

/// The controller that the command line itself names.
fn said_place(place: &Where, wanted: &Wanted) -> Where {
    let mut place = place.clone();
    for (name, value) in &wanted.options {
        match name.as_str() {
            "url" => place.url = Some(value.clone()),
            "state" => place.state = Some(value.into()),
            "token_file" => place.token_file = Some(value.into()),
            _ => {}
        }
    }
    place
}
