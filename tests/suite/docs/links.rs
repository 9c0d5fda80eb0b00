//! Links between pages lead to files and headings that there are, and every page is found from the index.

use super::{Page, pages, root};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Where the links of a text lead.
fn targets(prose: &str) -> Vec<&str> {
    let ends = prose.match_indices("](").map(|(at, mark)| &prose[at + mark.len()..]);
    ends.filter_map(|rest| rest.split(')').next()).collect()
}

/// How a heading is named in an address.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn headings(page: &Page) -> BTreeSet<String> {
    let prose = page.parts().1;
    let lines = prose.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| slug(line.trim_start_matches('#').trim())).collect()
}

/// `a/../b` is `b`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// Pages and files that a page leads to, with the heading if one is named.
fn leads(page: &Page) -> Vec<(PathBuf, Option<String>)> {
    let prose = page.parts().1;
    let folder = page.name.parent().expect("a folder");
    let inner = targets(&prose).into_iter().filter(|target| !target.contains("://"));
    let split = |target: &str| {
        let (file, heading) =
            target.split_once('#').map_or((target, None), |(file, to)| (file, Some(to.to_owned())));
        let path = if file.is_empty() { page.name.clone() } else { plain(&folder.join(file)) };
        (path, heading)
    };
    inner.map(split).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut seen = 0;
    for page in pages() {
        for (path, heading) in leads(&page) {
            let from = page.name.display();
            assert!(root().join(&path).exists(), "{from}: {} is not there", path.display());
            if let Some(heading) = heading {
                let there = Page::named(path.to_str().expect("text"));
                assert!(headings(&there).contains(&heading), "{from}: no `#{heading}` in {}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn every_page_and_recipe_is_found_from_the_index() {
    let index = ["docs/README.md", "docs/recipes/README.md"].map(Page::named);
    let led: BTreeSet<PathBuf> = index.iter().flat_map(leads).map(|(path, _)| path).collect();
    let recipes = std::fs::read_dir(root().join("docs/recipes")).expect("recipes");
    let recipes = recipes.map(|entry| Path::new("docs/recipes").join(entry.expect("an entry").file_name()));
    let below = pages().into_iter().map(|page| page.name).filter(|name| name.starts_with("docs"));
    let missing: Vec<PathBuf> = below
        .chain(recipes)
        .filter(|name| *name != Path::new("docs/README.md") && !led.contains(name))
        .collect();
    assert!(missing.is_empty(), "not in the index: {missing:?}");
}
