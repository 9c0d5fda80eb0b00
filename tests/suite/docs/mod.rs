//! The book says what is so: its pipelines load, its command lines are taken, its links lead somewhere, its reference is
//! made of the program, its recipes and its tutorial are carried out.

mod commands;
mod links;
mod pipelines;
mod recipes;
mod reference;
mod state;
mod tutorial;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page of the book, or one of those at the top of the repository.
struct Page {
    /// From the top of the repository.
    name: PathBuf,
    text: String,
}

/// What stands between two fences.
struct Block {
    /// The page and the line of its fence.
    place: String,
    language: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new(), "docs".into()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder") {
            let name = folder.join(entry.expect("an entry").file_name());
            if root().join(&name).is_dir() {
                let is_below = name.starts_with("docs") && !folder.as_os_str().is_empty();
                folders.extend(is_below.then_some(name));
            } else if name.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(root().join(&name)).expect("text");
                found.push(Page { name, text });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(found.len() > 8, "the pages are there");
    found
}

impl Page {
    fn named(name: &str) -> Page {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Page { name: name.into(), text }
    }

    /// Its blocks, and its text without them.
    fn parts(&self) -> (Vec<Block>, String) {
        let (mut blocks, mut prose) = (Vec::<Block>::new(), String::new());
        // How far the fence is indented.
        let mut inside: Option<usize> = None;
        for (number, line) in self.text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            match (line.trim_start().strip_prefix("```"), inside) {
                (Some(language), None) => {
                    let place = format!("{}:{}", self.name.display(), number + 1);
                    blocks.push(Block { place, language: language.trim().into(), text: String::new() });
                    inside = Some(indent);
                }
                (Some(_), Some(_)) => inside = None,
                (None, Some(indent)) => {
                    let text = &mut blocks.last_mut().expect("a block").text;
                    text.push_str(line.get(indent..).unwrap_or_else(|| line.trim_start()));
                    text.push('\n');
                }
                (None, None) => {
                    prose.push_str(line);
                    prose.push('\n');
                }
            }
        }
        assert!(inside.is_none(), "{}: a fence is not closed", self.name.display());
        (blocks, prose)
    }
}
