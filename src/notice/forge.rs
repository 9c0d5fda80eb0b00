//! Setting the status of a commit on a forge, by its HTTP API. A status moves no ref, so no push follows from it.
//!
//! | forge | request | sign of the token | states |
//! |---|---|---|---|
//! | GitHub | `POST /repos/OWNER/REPO/statuses/SHA` | `Authorization: Bearer` | `pending`, `success`, `failure`, `error` |
//! | GitLab | `POST /projects/ID/statuses/SHA`, ID the whole path as one word | `PRIVATE-TOKEN` | `running`, `success`, `failed`, `canceled` |
//! | Gitea, Forgejo | `POST /repos/OWNER/REPO/statuses/SHA` | `Authorization: token` | as GitHub |
//!
//! Sources: docs.github.com/en/rest/commits/statuses, docs.gitlab.com/api/commits (commit status), and the OpenAPI
//! description that each Gitea and Forgejo serves (`CreateStatusOption`).

use super::patience::Sent;
use super::post::{Answer, Post, judge};
use super::status::{Mark, Status};
use crate::domain::pipeline::Forge;
use chrono::{DateTime, Utc};
use serde_json::json;

/// The release of GitHub's API that is spoken.
const GITHUB_API: &str = "2022-11-28";

/// The request. `api`: where the API begins; `project`: the repository's name there.
pub(super) fn request(forge: Forge, api: &str, project: &str, token: &str, status: &Status) -> Post {
    let Status { sha, mark, context, description } = status;
    let state = state(forge, *mark);
    let (url, headers, body) = match forge {
        Forge::Github => (
            format!("{api}/repos/{project}/statuses/{sha}"),
            vec![
                ("Authorization", format!("Bearer {token}")),
                ("Accept", "application/vnd.github+json".into()),
                ("X-GitHub-Api-Version", GITHUB_API.into()),
            ],
            json!({ "state": state, "context": context, "description": description }),
        ),
        Forge::Gitlab => (
            format!("{api}/projects/{}/statuses/{sha}", as_one_word(project)),
            vec![("PRIVATE-TOKEN", token.to_owned())],
            json!({ "state": state, "name": context, "description": description }),
        ),
        Forge::Gitea | Forge::Forgejo => (
            format!("{api}/repos/{project}/statuses/{sha}"),
            vec![("Authorization", format!("token {token}")), ("Accept", "application/json".into())],
            json!({ "state": state, "context": context, "description": description }),
        ),
    };
    Post { url, headers, body: body.to_string() }
}

fn state(forge: Forge, mark: Mark) -> &'static str {
    match (forge, mark) {
        (_, Mark::Success) => "success",
        (Forge::Gitlab, Mark::Pending) => "running",
        (Forge::Gitlab, Mark::Failure | Mark::Error) => "failed",
        (Forge::Gitlab, Mark::Canceled) => "canceled",
        (_, Mark::Pending) => "pending",
        (_, Mark::Failure) => "failure",
        (_, Mark::Error | Mark::Canceled) => "error",
    }
}

/// The path of a project as GitLab wants it: one word of a URL.
fn as_one_word(project: &str) -> String {
    project.replace('/', "%2F")
}

/// What an answer means.
pub(super) fn verdict(forge: Forge, answer: &Answer, now: DateTime<Utc>) -> Sent {
    // GitLab refuses a state that the status has already, as it has when an event is told twice
    // (gitlab.com/gitlab-org/gitlab-foss/-/issues/25807).
    if forge == Forge::Gitlab && answer.status == 400 && answer.body.contains("Cannot transition status") {
        return Sent::Taken;
    }
    judge(answer, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn post(forge: Forge, mark: Mark) -> (String, Vec<(&'static str, String)>, Value) {
        let status = Status {
            sha: "abc123".into(),
            mark,
            context: "tidegate/shop/prod".into(),
            description: "1.0.0 passed prod".into(),
        };
        let post = request(forge, "https://x/api", "a/b/shop", "T0K", &status);
        (post.url, post.headers, serde_json::from_str(&post.body).unwrap())
    }

    #[test]
    fn each_forge_gets_its_own_form() {
        let (url, headers, body) = post(Forge::Github, Mark::Pending);
        assert_eq!(url, "https://x/api/repos/a/b/shop/statuses/abc123");
        assert_eq!(headers[0], ("Authorization", "Bearer T0K".into()));
        let form =
            json!({"state": "pending", "context": "tidegate/shop/prod", "description": "1.0.0 passed prod"});
        assert_eq!(body, form);
        let (url, headers, body) = post(Forge::Gitlab, Mark::Pending);
        assert_eq!(url, "https://x/api/projects/a%2Fb%2Fshop/statuses/abc123");
        assert_eq!(headers, [("PRIVATE-TOKEN", "T0K".into())]);
        let form =
            json!({"state": "running", "name": "tidegate/shop/prod", "description": "1.0.0 passed prod"});
        assert_eq!(body, form);
        for forge in [Forge::Gitea, Forge::Forgejo] {
            let (url, headers, body) = post(forge, Mark::Canceled);
            assert_eq!(url, "https://x/api/repos/a/b/shop/statuses/abc123");
            assert_eq!(headers[0], ("Authorization", "token T0K".into()));
            assert_eq!(body["state"], "error");
        }
    }

    #[test]
    fn every_state_is_one_that_the_forge_knows() {
        for mark in [Mark::Pending, Mark::Success, Mark::Failure, Mark::Error, Mark::Canceled] {
            let known = ["pending", "running", "success", "failed", "canceled"];
            assert!(known.contains(&state(Forge::Gitlab, mark)));
            for forge in [Forge::Github, Forge::Gitea, Forge::Forgejo] {
                assert!(["pending", "success", "failure", "error"].contains(&state(forge, mark)));
            }
        }
    }

    #[test]
    fn gitlab_says_that_a_status_is_so_already() {
        let body = r#"{"message":"Cannot transition status via :run from :running"}"#.to_owned();
        let answer = Answer { status: 400, body, ..Answer::default() };
        assert_eq!(verdict(Forge::Gitlab, &answer, DateTime::UNIX_EPOCH), Sent::Taken);
        assert!(matches!(verdict(Forge::Github, &answer, DateTime::UNIX_EPOCH), Sent::Never { .. }));
    }
}
