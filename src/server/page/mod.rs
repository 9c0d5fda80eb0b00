//! The web page: one shell for every address that it has, and the files that it is made of. They are part of the program,
//! are named by what is in them, and ask for nothing that is not the controller's own. What the page shows it asks for as
//! any other client does.

use crate::server::problem::Problem;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// What the page may do: run its own scripts and styles, and talk to the controller. No script may turn text into markup.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);

/// A file is what its address says, for ever.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file: its name, its type, what is in it.
type Asset = (&'static str, &'static str, &'static str);

macro_rules! scripts {
    ($($name:literal),+ $(,)?) => { &[$(($name, SCRIPT, include_str!(concat!("assets/", $name)))),+] };
}

/// In the order in which they are wanted.
const SCRIPTS: &[Asset] = scripts![
    "main.js",
    "dom.js",
    "live.js",
    "frame.js",
    "words.js",
    "tiers.js",
    "act.js",
    "signin.js",
    "keys.js",
    "board.js",
    "pipeline.js",
    "graph.js",
    "version.js",
    "story.js",
    "run.js",
    "ansi.js",
    "waiting.js",
    "history.js",
    "measures.js",
    "charts.js",
    "definitions.js",
    "compare.js",
];

const OTHERS: &[Asset] = &[
    ("page.css", "text/css; charset=utf-8", include_str!("assets/page.css")),
    ("good.svg", "image/svg+xml", include_str!("assets/good.svg")),
    ("bad.svg", "image/svg+xml", include_str!("assets/bad.svg")),
    ("wait.svg", "image/svg+xml", include_str!("assets/wait.svg")),
    ("cut.svg", "image/svg+xml", include_str!("assets/cut.svg")),
];

/// What is in all of them, in a few digits: another program has other addresses for its files.
static BUILD: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for (name, _, text) in SCRIPTS.iter().chain(OTHERS) {
        digest.update(name.as_bytes());
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text.as_bytes());
    }
    digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
});

static SHELL: LazyLock<String> = LazyLock::new(|| {
    let preloads = SCRIPTS
        .iter()
        .map(|(name, ..)| format!("<link rel=\"modulepreload\" href=\"/assets/{}/{name}\">\n", *BUILD));
    include_str!("assets/index.html")
        .replace("@PRELOADS@\n", &preloads.collect::<String>())
        .replace("@BUILD@", &BUILD)
});

/// The shell: which page it is, its script reads from the address.
pub(super) async fn shell() -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, SHELL.as_str()).into_response()
}

/// One of its files. A page of another release may still ask for a file by an old address: it is told to load anew.
pub(super) async fn asset(
    Path((build, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = SCRIPTS.iter().chain(OTHERS).find(|(known, ..)| *known == name);
    let (_, kind, text) = found.filter(|_| build == *BUILD).ok_or_else(Problem::no_such_path)?;
    let tag = format!("\"{build}\"");
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, FOR_EVER),
        (header::ETAG, HeaderValue::from_str(&tag).expect("BUG: a digest that is no header")),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str()) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, *text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_and_the_shell_names_no_other() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/page/assets");
        let there =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut there: Vec<String> = there.filter(|name| name != "index.html").collect();
        let mut served: Vec<String> =
            SCRIPTS.iter().chain(OTHERS).map(|(name, ..)| (*name).to_owned()).collect();
        there.sort();
        served.sort();
        assert_eq!(there, served);
        assert!(!SHELL.contains('@'), "{}", *SHELL);
        assert!(!SHELL.contains("http"), "nothing is asked of others");
    }

    #[test]
    fn nothing_in_it_makes_markup_of_text() {
        for (name, _, text) in SCRIPTS {
            for bad in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "Function(",
                "DOMParser",
            ] {
                assert!(!text.contains(bad), "{name} has {bad}");
            }
        }
        assert!(!include_str!("assets/index.html").contains("style="));
    }
}
