//! TOML of the book: what is a whole pipeline loads without a word; everything else is TOML at least.

use super::pages;
use tidegate::definition::{load, render};

#[test]
fn every_whole_pipeline_of_the_book_loads_without_a_warning() {
    let mut whole = 0;
    for block in pages().iter().flat_map(|page| page.parts().0).filter(|block| block.language == "toml") {
        if let Err(error) = toml::from_str::<toml::Table>(&block.text) {
            panic!("{}: {error}", block.place);
        }
        if block.text.lines().any(|line| line.trim() == "[source]") {
            let said = match load("book.toml", block.text.as_bytes()) {
                Ok(loaded) => loaded.warnings,
                Err(diagnostics) => diagnostics,
            };
            let drawn = render(&said, &|_| Some(block.text.as_str()), false, 120);
            assert!(said.is_empty(), "{}:\n{drawn}", block.place);
            whole += 1;
        }
    }
    assert!(whole >= 4, "{whole}");
}
