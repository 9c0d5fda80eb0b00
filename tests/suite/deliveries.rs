//! What forges send, in the shapes that they document, signed as they sign.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use tidegate::domain::pipeline::Forge;

/// The host of every forge here.
const HOST: &str = "forge.example";

/// The secret that they share with the controller.
pub(crate) const SECRET: &str = "8d5f3c1e0a7b4d29";

/// Where the repository `acme/shop` is, for those who fetch it.
pub(crate) const SHOP_URL: &str = "https://forge.example/acme/shop.git";

pub(crate) const NOWHERE: &str = "0000000000000000000000000000000000000000";

/// A push as a forge tells it.
pub(crate) struct Delivery {
    pub(crate) forge: Forge,
    pub(crate) id: String,
    pub(crate) body: String,
}

impl Delivery {
    /// A branch or tag of `acme/shop` was moved.
    pub(crate) fn of(forge: Forge, id: &str, ref_name: &str, before: &str, after: &str) -> Delivery {
        let commit = serde_json::json!({"id": after, "message": "A change", "author": {"name": "Ann"}, "added": ["a"]});
        let base = serde_json::json!({
            "ref": ref_name, "before": before, "after": after, "commits": [commit],
            "LD_PRELOAD": "/tmp/evil.so", "PATH": "/tmp/evil", "GIT_SSH_COMMAND": "touch /tmp/evil",
        });
        let (http, ssh) = (format!("https://{HOST}/acme/shop"), format!("git@{HOST}:acme/shop.git"));
        let more = match forge {
            Forge::Github => serde_json::json!({
                "deleted": after == NOWHERE, "created": before == NOWHERE, "forced": false, "base_ref": null,
                "repository": {
                    "id": 35129377, "name": "shop", "full_name": "acme/shop", "private": true,
                    "html_url": http, "url": http, "clone_url": format!("{http}.git"), "ssh_url": ssh,
                    "git_url": format!("git://{HOST}/acme/shop.git"), "homepage": "https://other.example/acme/blog",
                    "default_branch": "main",
                },
                "pusher": {"name": "ann", "email": "ann@example.org"}, "sender": {"login": "ann", "type": "User"},
            }),
            Forge::Gitlab => serde_json::json!({
                "object_kind": if ref_name.starts_with("refs/tags/") { "tag_push" } else { "push" },
                "event_name": if ref_name.starts_with("refs/tags/") { "tag_push" } else { "push" },
                "checkout_sha": after, "user_id": 4, "user_name": "Ann Smith", "user_username": "ann",
                "project": {
                    "id": 15, "name": "shop", "web_url": http, "git_ssh_url": ssh, "git_http_url": format!("{http}.git"),
                    "homepage": http, "url": ssh, "default_branch": "main", "path_with_namespace": "acme/shop",
                },
                "total_commits_count": 1,
            }),
            Forge::Gitea | Forge::Forgejo => serde_json::json!({
                "compare_url": format!("{http}/compare/a...b"), "total_commits": 1,
                "repository": {
                    "id": 140, "name": "shop", "full_name": "acme/shop", "html_url": http, "ssh_url": ssh,
                    "clone_url": format!("{http}.git"), "website": "https://other.example/acme/blog",
                    "default_branch": "main",
                },
                "pusher": {"id": 2, "login": "ann", "full_name": "Ann", "username": "ann"},
                "sender": {"id": 2, "login": "ann", "username": "ann"},
            }),
        };
        let mut whole = base;
        let (Some(whole_fields), serde_json::Value::Object(more)) = (whole.as_object_mut(), more) else {
            panic!("objects")
        };
        whole_fields.extend(more);
        Delivery { forge, id: id.into(), body: whole.to_string() }
    }

    pub(crate) fn path(&self) -> String {
        format!("/webhook/{}", self.forge)
    }

    /// What the forge sends above the body.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        let signature = sign(SECRET, self.body.as_bytes());
        let mut headers = vec![("content-type", "application/json".to_owned())];
        let of_github = [
            ("x-github-event", "push".to_owned()),
            ("x-github-delivery", self.id.clone()),
            ("x-hub-signature-256", format!("sha256={signature}")),
            ("x-hub-signature", "sha1=0000000000000000000000000000000000000000".to_owned()),
        ];
        let of_gitea = [
            ("x-gitea-event", "push".to_owned()),
            ("x-gitea-delivery", self.id.clone()),
            ("x-gitea-signature", signature.clone()),
        ];
        let of_forgejo = [
            ("x-forgejo-event", "push".to_owned()),
            ("x-forgejo-delivery", self.id.clone()),
            ("x-forgejo-signature", signature),
        ];
        let kind = if self.body.contains("\"tag_push\"") { "Tag Push Hook" } else { "Push Hook" };
        let of_gitlab = [
            ("x-gitlab-event", kind.to_owned()),
            ("x-gitlab-token", SECRET.to_owned()),
            ("x-gitlab-event-uuid", "13792a34-cac6-4fda-95a8-c58e00a3954e".to_owned()),
            ("idempotency-key", self.id.clone()),
        ];
        match self.forge {
            Forge::Github => headers.extend(of_github),
            Forge::Gitlab => headers.extend(of_gitlab),
            Forge::Gitea => headers.extend(of_gitea.into_iter().chain(of_github)),
            Forge::Forgejo => headers.extend(of_forgejo.into_iter().chain(of_gitea).chain(of_github)),
        }
        headers
    }
}

/// HMAC-SHA256, in hex.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Git settings by which the forge's addresses lead to folders below this one: `acme/shop.git` there is the repository.
pub(crate) fn git_settings(folder: &std::path::Path) -> String {
    let (folder, host) = (folder.display(), HOST);
    format!(
        "[url \"file://{folder}/\"]\n\tinsteadOf = https://{host}/\n\tinsteadOf = git@{host}:\n\tinsteadOf = ssh://git@{host}/\n"
    )
}
