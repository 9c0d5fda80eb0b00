//! Every path that is described, asked by everybody: each role, limited or not, a token that has ended, and none. What is
//! not in this table is not described, and the other way round.

use super::scopes::{a_run_of, ask, two_pipelines};
use super::stand::{Answered, Stand};
use chrono::TimeDelta;
use tidegate::domain::Role;
use tidegate::server::description;
use tidegate::settings::NewToken;

/// Who may use a path, and what of it a limited token finds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum May {
    /// Everybody.
    All,
    /// Whoever signs what they send: a token means nothing.
    Signed,
    /// Who reads; it belongs to no pipeline, or is narrowed.
    Read,
    /// Who reads that pipeline.
    ReadPipeline,
    /// Who reads the pipeline of that run.
    ReadRun,
    /// Who may ask for builds.
    Build,
    /// Who may act on the whole pipeline.
    ActOnPipeline,
    /// Who may act on the tier.
    ActOnTier,
}

/// What a path is for, by what is in front of its last part where that names a deed.
fn may(path: &str) -> May {
    match path {
        "/" | "/ui/{page}" | "/assets/{build}/{name}" | "/healthz" | "/readyz" | "/openapi.json" => May::All,
        "/webhook/{forge}" => May::Signed,
        "/api/whoami" | "/api/login" | "/api/logout" => May::All,
        "/metrics" | "/events" | "/api/events" | "/api/history" | "/api/measures" | "/api/journal" => {
            May::Read
        }
        "/api/state" | "/api/pipelines" => May::Read,
        // It answers as what it is asked with: a pipeline's definition.
        "/api/plan" => May::Read,
        "/api/pipelines/{pipeline}"
        | "/api/pipelines/{pipeline}/definition"
        | "/api/pipelines/{pipeline}/compare"
        | "/api/pipelines/{pipeline}/versions/{version}"
        | "/api/pipelines/{pipeline}/tiers/{tier}/why" => May::ReadPipeline,
        "/api/runs/{run}"
        | "/api/runs/{run}/log"
        | "/api/runs/{run}/log/index"
        | "/api/runs/{run}/log/find" => May::ReadRun,
        "/rebuild" => May::Build,
        _ if path.starts_with("/api/pipelines/{pipeline}/tiers/{tier}/") => May::ActOnTier,
        _ if path.starts_with("/api/pipelines/{pipeline}/") => May::ActOnPipeline,
        new => panic!("say here who may use {new}, and what of it a limited token finds"),
    }
}

/// Somebody who asks.
struct Asker {
    token: Option<String>,
    role: Option<Role>,
    /// Whether the pipeline `shop` is all that there is for them.
    shop_only: bool,
    /// Whether the tier `host` is all that they act on.
    host_only: bool,
    has_ended: bool,
}

fn askers(stand: &Stand) -> Vec<Asker> {
    let nobody = Asker { token: None, role: None, shop_only: false, host_only: false, has_ended: false };
    let long_ago = chrono::Utc::now() - TimeDelta::days(9);
    let mut all = vec![nobody];
    for role in Role::ALL {
        for (shop_only, host_only, has_ended) in [
            (false, false, false),
            (true, false, false),
            (false, true, false),
            (true, true, false),
            (false, false, true),
        ] {
            let only = |is: bool, name: &str| if is { vec![name.to_owned()] } else { Vec::new() };
            let token = stand.new_token(NewToken {
                pipelines: only(shop_only, "shop"),
                tiers: only(host_only, "host"),
                expires_at: has_ended.then(|| long_ago + TimeDelta::days(1)),
                ..NewToken::new(format!("{role}-{shop_only}-{host_only}-{has_ended}"), role, long_ago)
            });
            all.push(Asker { token: Some(token), role: Some(role), shop_only, host_only, has_ended });
        }
    }
    all
}

/// What is expected: the status and code of a refusal; none: let in, whatever then comes of it.
fn expected(may: May, asker: &Asker, pipeline: &str, tier: &str) -> Option<(u16, &'static str)> {
    let needed = match may {
        May::All | May::Signed => None,
        May::Read | May::ReadPipeline | May::ReadRun => Some(Role::Viewer),
        May::Build => Some(Role::Trigger),
        May::ActOnPipeline | May::ActOnTier => Some(Role::Operator),
    };
    let is_hidden = asker.shop_only && pipeline != "shop";
    let is_beyond = is_hidden || asker.host_only && tier != "host";
    match (may, asker.role) {
        (May::Signed, _) => None,
        _ if asker.has_ended => Some((401, "TG-AUTH-011")),
        (_, None) if needed.is_some() => Some((401, "TG-AUTH-001")),
        (_, role) if role < needed => Some((403, "TG-AUTH-002")),
        (May::All | May::Read, _) => None,
        (May::ReadPipeline, _) => is_hidden.then_some((404, "TG-ASK-001")),
        (May::ReadRun, _) => is_hidden.then_some((404, "TG-HTTP-014")),
        (May::Build, _) => asker.host_only.then_some((403, "TG-AUTH-010")),
        (May::ActOnPipeline, _) => (is_hidden || asker.host_only).then_some((403, "TG-AUTH-010")),
        (May::ActOnTier, _) => is_beyond.then_some((403, "TG-AUTH-010")),
    }
}

fn refused(answer: &Answered) -> Option<(u16, String)> {
    let code = || answer.json()["code"].as_str().unwrap_or_default().to_owned();
    match answer.status {
        401 | 403 | 404 => Some((answer.status, code())),
        _ => None,
    }
}

#[tokio::test]
async fn every_path_is_answered_to_everybody_as_the_table_says() {
    let stand = two_pipelines().await;
    let askers = askers(&stand);
    let runs = [("shop", a_run_of(&stand, "shop").await), ("blog", a_run_of(&stand, "blog").await)];
    for (pipeline, run) in runs {
        std::fs::write(stand.hands.log(pipeline, tidegate::domain::RunId(run)), "text\n").unwrap();
    }
    let mut asked = 0;
    for (path, item) in description()["paths"].as_object().unwrap() {
        for method in ["get", "post"].into_iter().filter(|method| item.get(*method).is_some()) {
            for ((pipeline, run), tier) in runs.into_iter().flat_map(|it| [(it, "host"), (it, "prod")]) {
                if tier == "prod" && !path.contains("{tier}") {
                    continue;
                }
                let version = if pipeline == "shop" { "1.0.1" } else { "1.0.2" };
                let target = path
                    .replace("{pipeline}", pipeline)
                    .replace("{tier}", tier)
                    .replace("{version}", version)
                    .replace("{run}", &run.to_string())
                    .replace("{forge}", "gitlab");
                for asker in &askers {
                    let answer = asks(&stand, asker, method, &target).await;
                    let expected = expected(may(path), asker, pipeline, tier);
                    let is_so = match (expected, refused(&answer)) {
                        (Some((status, code)), Some(found)) => (status, code) == (found.0, found.1.as_str()),
                        // Let in, and it may then be found that something else is not there.
                        (None, None) => true,
                        (None, Some((404, code))) => {
                            [May::All, May::Signed].contains(&may(path)) || code == "TG-PUSH-001"
                        }
                        _ => false,
                    };
                    let who = (asker.role, asker.shop_only, asker.host_only, asker.has_ended);
                    assert!(
                        is_so,
                        "{method} {target} by {who:?}: {expected:?}, {} {}",
                        answer.status,
                        answer.text()
                    );
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 1000, "{asked}");
    // All of that is told by a few events.
    let told = stand.journaled("access_refused").await.len();
    assert!((30..40).contains(&told), "{told}");
}

async fn asks(stand: &Stand, asker: &Asker, method: &str, target: &str) -> Answered {
    let method = method.to_ascii_uppercase();
    match &asker.token {
        Some(token) => ask(stand, token, &method, target, if method == "POST" { "{}" } else { "" }).await,
        None => {
            let json = [("content-type", "application/json".to_owned())];
            stand.send(&method, target, &json, b"").await
        }
    }
}
