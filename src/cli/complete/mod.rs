//! `tidegate completions`: scripts that let a shell complete words. They know nothing by themselves: they ask
//! `tidegate __complete`, which knows every command and option, and asks the controller for the names that there are.

mod names;
mod words;

use super::client::Where;
use super::{Exit, talk};

const BASH: &str = include_str!("tidegate.bash");
const ZSH: &str = include_str!("tidegate.zsh");
const FISH: &str = include_str!("tidegate.fish");

#[derive(clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    /// source <(tidegate completions bash)
    Bash,
    /// tidegate completions zsh > a file `_tidegate` in a folder of $fpath
    Zsh,
    /// tidegate completions fish > ~/.config/fish/completions/tidegate.fish
    Fish,
}

#[derive(clap::Args)]
pub(super) struct WordsArgs {
    #[command(flatten)]
    place: Where,
    /// The words after the program's name; the last is the one to complete
    #[arg(last = true)]
    words: Vec<String>,
}

/// Prints the script for a shell.
pub(super) fn run(args: &Args) -> Exit {
    let script = match args.shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
    };
    talk::data(script.trim_end());
    Exit::Done
}

/// Prints what the last word may become, a line each; nothing where nothing is known.
pub(super) fn complete(args: &WordsArgs, command: clap::Command) -> Exit {
    let wanted = words::wanted(command, &args.words);
    let found = match wanted.what {
        words::What::Words(found) => found,
        words::What::Names(kind) => names::of(&args.place, &wanted, kind),
    };
    // What a shell could read as more than a word is left to who types it.
    let is_plain = |word: &&String| word.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
    let fits = found.iter().filter(is_plain).filter(|word| word.starts_with(&wanted.begun));
    fits.for_each(talk::data);
    Exit::Done
}
