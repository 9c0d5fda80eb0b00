//! Where a forge's API is, and what the repository is called there, as far as the address of the repository tells.

use crate::definition::codes::Code;
use crate::definition::raw;
use crate::definition::report::Report;
use crate::domain::pipeline::Forge;

/// A repository on a forge.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where the API begins, without a `/` at its end.
    pub(super) api: String,
    /// What the repository is called, such as `acme/shop`.
    pub(super) project: String,
}

/// Works it out; what cannot be known has been said.
pub(super) fn place(
    report: &mut Report,
    path: &str,
    forge: Forge,
    repo: Option<&str>,
    raw: &raw::Notify,
) -> Option<Place> {
    let remote = Remote::of(repo?);
    let root = raw.url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    let project = match &raw.project {
        Some(project) => Some(project.clone()),
        None => remote.as_ref().and_then(|remote| remote.project(forge, root.as_deref())),
    };
    let name = forge.as_str();
    match &project {
        None => {
            let message = format!("`source.repo` does not tell what the repository is called on {name}");
            let problem = report.error(Code::MissingKey, &format!("{path}.forge"), message);
            problem.help("say project = \"owner/repository\"");
        }
        Some(project) if !is_project(forge, project) => {
            let message = format!("`{project}` cannot be a repository on {name}");
            let key = if raw.project.is_some() { "project" } else { "forge" };
            let problem = report.error(Code::BadAddress, &format!("{path}.{key}"), message);
            problem.help("write project = \"owner/repository\"");
        }
        Some(_) => {}
    }
    let root = root.or_else(|| remote.as_ref().and_then(|remote| remote.root(forge)));
    if root.is_none() && !report.places.has(&format!("{path}.url")) {
        let message = format!("`source.repo` does not tell where the API of {name} is");
        let problem = report.error(Code::MissingKey, &format!("{path}.forge"), message);
        let example = match forge {
            Forge::Github => "https://api.github.com",
            Forge::Gitlab => "https://gitlab.com",
            Forge::Gitea | Forge::Forgejo => "https://git.example.org",
        };
        problem.help(format!("say url = \"{example}\""));
    }
    Some(Place { api: api(forge, &root?), project: project? })
}

/// A repository that git reaches by a URL, or by `host:path`.
struct Remote<'a> {
    /// `https://host:port` or `http://…` where it is reached so; else nothing but the host counts.
    web: Option<String>,
    host: &'a str,
    path: &'a str,
}

impl<'a> Remote<'a> {
    /// None for a folder, whose path says nothing of a forge.
    fn of(repo: &'a str) -> Option<Remote<'a>> {
        let (scheme, authority, path) = match repo.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_once('/')?;
                (scheme.to_ascii_lowercase(), authority, path)
            }
            None => {
                let (authority, path) = repo.split_once(':').filter(|(before, _)| !before.contains('/'))?;
                ("ssh".to_owned(), authority, path)
            }
        };
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = match authority.strip_prefix('[').and_then(|inner| inner.find(']')) {
            Some(end) => &authority[..end + 2],
            None => authority.split_once(':').map_or(authority, |(host, _)| host),
        };
        let web = matches!(scheme.as_str(), "https" | "http").then(|| format!("{scheme}://{authority}"));
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
        (!host.is_empty() && scheme != "file").then_some(Remote { web, host, path })
    }

    /// What the repository is called. Where the forge lives below a path of its host, that is not part of the name.
    fn project(&self, forge: Forge, root: Option<&str>) -> Option<String> {
        let words: Vec<&str> = self.path.split('/').filter(|word| !word.is_empty()).collect();
        let below = match forge {
            Forge::Gitlab => {
                let root = root.and_then(|root| root.split_once("://")).map_or("", |(_, rest)| rest);
                let root = root.split_once('/').map_or("", |(_, path)| path);
                let root: Vec<&str> = root.split('/').filter(|word| !word.is_empty()).collect();
                if words.starts_with(&root) { root.len() } else { 0 }
            }
            _ => words.len().checked_sub(2)?,
        };
        (words.len() >= below + 2).then(|| words[below..].join("/"))
    }

    /// Where the forge is, on the host that the repository is on.
    fn root(&self, forge: Forge) -> Option<String> {
        let web = self.web.clone().unwrap_or_else(|| format!("https://{}", self.host));
        match forge {
            Forge::Github if self.host.eq_ignore_ascii_case("github.com") => {
                Some("https://api.github.com".into())
            }
            Forge::Github => Some(format!("{web}/api/v3")),
            Forge::Gitlab => Some(web),
            // Below a path of its host, if the repository is and is reached by the same server.
            Forge::Gitea | Forge::Forgejo => {
                let words: Vec<&str> = self.path.split('/').collect();
                let above = words.len().checked_sub(2).filter(|_| self.web.is_some()).unwrap_or(0);
                Some(words[..above].iter().fold(web, |root, word| format!("{root}/{word}")))
            }
        }
    }
}

/// Where the API is, for a forge at `root`.
fn api(forge: Forge, root: &str) -> String {
    let below = match forge {
        Forge::Github => "",
        Forge::Gitlab => "/api/v4",
        Forge::Gitea | Forge::Forgejo => "/api/v1",
    };
    if root.ends_with(below) { root.to_owned() } else { format!("{root}{below}") }
}

fn is_project(forge: Forge, text: &str) -> bool {
    let words: Vec<&str> = text.split('/').collect();
    let is_word = |word: &&str| {
        !matches!(*word, "" | "." | "..")
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '~'))
    };
    let enough = if forge == Forge::Gitlab { words.len() >= 2 } else { words.len() == 2 };
    enough && words.iter().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(forge: Forge, repo: &str, url: Option<&str>) -> Option<(String, String)> {
        let remote = Remote::of(repo)?;
        let root = url.map(str::to_owned).or_else(|| remote.root(forge))?;
        Some((api(forge, &root), remote.project(forge, url)?))
    }

    #[test]
    fn the_address_of_a_repository_tells_where_its_forge_is() {
        use Forge::{Forgejo, Gitea, Github, Gitlab};
        for (forge, repo, api, project) in [
            (Github, "https://github.com/acme/shop.git", "https://api.github.com", "acme/shop"),
            (Github, "git@github.com:acme/shop.git", "https://api.github.com", "acme/shop"),
            (Github, "ssh://git@ghe.acme.org:22/acme/shop", "https://ghe.acme.org/api/v3", "acme/shop"),
            (Gitlab, "https://u:p@gitlab.com/a/b/shop.git/", "https://gitlab.com/api/v4", "a/b/shop"),
            (Gitlab, "git@git.acme.org:a/b/shop", "https://git.acme.org/api/v4", "a/b/shop"),
            (Gitea, "http://127.0.0.1:3000/acme/shop.git", "http://127.0.0.1:3000/api/v1", "acme/shop"),
            (Gitea, "https://acme.org/git/acme/shop", "https://acme.org/git/api/v1", "acme/shop"),
            (Forgejo, "ssh://git@[::1]:2222/acme/shop.git", "https://[::1]/api/v1", "acme/shop"),
        ] {
            assert_eq!(found(forge, repo, None), Some((api.into(), project.into())), "{repo}");
        }
    }

    #[test]
    fn a_forge_below_a_path_and_an_address_that_is_an_api_already_are_understood() {
        let root = Some("https://acme.org/lab");
        let at = found(Forge::Gitlab, "https://acme.org/lab/a/shop", root).unwrap();
        assert_eq!(at, ("https://acme.org/lab/api/v4".into(), "a/shop".into()));
        let said = Some("https://git.acme.org/api/v1");
        assert_eq!(found(Forge::Gitea, "git@x:a/shop", said).unwrap().0, "https://git.acme.org/api/v1");
    }

    #[test]
    fn a_folder_tells_nothing_and_odd_names_are_refused() {
        for repo in ["/srv/git/acme/shop.git", "file:///srv/git/acme/shop.git", "../a:b/shop"] {
            assert_eq!(found(Forge::Github, repo, None), None, "{repo}");
        }
        assert_eq!(found(Forge::Github, "https://github.com/shop", None), None);
        for odd in ["shop", "a/b/c", "a/..", "a/b?c", "/b", "a/b c"] {
            assert!(!is_project(Forge::Github, odd), "{odd}");
        }
        assert!(is_project(Forge::Gitlab, "a/b/c") && is_project(Forge::Gitea, "a.b/c-d_e"));
    }
}
