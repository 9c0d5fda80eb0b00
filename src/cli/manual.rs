//! What `--help` says below the options: of what people do by hand what follows from it, and of every command one example
//! that can be copied.

pub(super) const CONFIRM: &str = "\
It counts for rules with `confirm`, from tokens of the roles that they name or higher ones; one word a person, who is
told by the token's name and its address. With `not_author` it takes a token with an address (`tidegate token create
--email`), and not that of whoever asked for the build or has a part in its commit. It stands until it lapses
(`expires`), or the tier's part of the pipeline changes. With the last one that is needed the version enters as soon as
nothing else stands in its way.

Example: tidegate confirm shop prod 1.4.0 --why \"seen on staging\"";

pub(super) const DENY: &str = "\
The version is rejected in this tier until `tidegate retry`; newer ones are not touched.

Example: tidegate deny shop prod 1.4.0 --why \"the prices are wrong\"";

pub(super) const PROMOTE: &str = "\
The version goes before automation's choice. It lifts `mode = \"manual\"`, soak and window, with --lift a freeze and
tiers that it has not passed; never a gate, a missing confirmation, or a version inside the tier.

Example: tidegate promote shop prod 1.4.0 --why \"the fix cannot wait\"";

pub(super) const ROLLBACK_VERSION: &str =
    "The version to go back to; it must have passed here [default: the one that was current before]";

pub(super) const ROLLBACK: &str = "\
What is inside the tier is ended and goes back to the current version; with nothing inside, the current version gives
way to the one before. The version left is rejected here, and the tier is held until `tidegate resume`.

Example: tidegate rollback shop prod --why \"checkout answers with errors\"";

pub(super) const RETRY: &str = "\
The version waits again, by the definition that is in force now; gates that passed are not run again. Of a gate that
could not be judged, or a way back that failed, the next try comes at once.

Example: tidegate retry shop prod 1.4.0 --why \"the database is back\"";

pub(super) const REDEPLOY: &str = "\
It runs on one node or all, without gates, and rejects nothing: for a node that is new, or was changed by hand.

Example: tidegate redeploy shop prod --node p2 --why \"a new disk\"";

pub(super) const ADOPT: &str = "\
Nothing is deployed: the version counts as current from now on. Where a way back to it needs artifacts that are not
here, its commit is built first; that build enters no tier.

Example: tidegate adopt shop prod 1.3.9 4f2a9c1 --why \"installed by hand in spring\"";

pub(super) const HOLD_TIER: &str = "The tier that is held; none: all tiers of the pipeline";

pub(super) const HOLD: &str = "\
No version enters by itself any more. Builds, what is inside, and `tidegate promote` go on; `tidegate resume` lifts it.

Example: tidegate hold shop prod --why \"the database is being moved\"";

pub(super) const RESUME_TIER: &str =
    "The tier whose hold is lifted; none: the hold of the pipeline, which is another one";

pub(super) const RESUME: &str = "\
The newest version that waits and has no other blocker enters at once. The hold that a rollback left is lifted, too.

Example: tidegate resume shop prod --why \"the database is moved\"";

pub(super) const CANCEL_TIER: &str =
    "The tier in which the version is ended that is inside; none: the build under way";

pub(super) const CANCEL: &str = "\
A build: its steps are ended, and the commit can be built again by `tidegate rebuild`. A version inside a tier: its
gates and deploys are ended, nodes that were changed go back, and it is rejected here until `tidegate retry`.

Example: tidegate cancel shop staging --why \"the wrong branch\"";

pub(super) const BLOCK: &str = "\
It enters no tier, and `rollback` does not choose it. Where it is current it stays.

Example: tidegate block shop 1.4.0 --why \"it loses orders\"";

pub(super) const UNBLOCK: &str = "\
It may enter where it waits, and be chosen by `rollback`.

Example: tidegate unblock shop 1.4.0 --why \"it was the test that was wrong\"";

pub(super) const SERVE: &str = "Example: tidegate serve --listen 127.0.0.1:8433 --pipelines pipelines";

pub(super) const DEMO: &str = "Example: tidegate demo --keep";

pub(super) const INIT: &str = "Example: tidegate init --name shop";

pub(super) const CHECK: &str = "\
Of a file that is bad the controller keeps the last good one. Exit status: 0 good (perhaps with warnings), 2 bad, 130
for a --watch that was interrupted.

Example: tidegate check pipelines/shop.toml";

pub(super) const EXPLAIN: &str = "Example: tidegate explain TG-DEF-012";

pub(super) const SCHEMA: &str = "Example: tidegate schema settings > settings.schema.json";

pub(super) const RUN: &str = "\
It builds and checks here and now, as a controller would, and keeps nothing but caches. Promotion rules are not asked:
with --deploy a version goes to the nodes of that tier whatever `confirm`, windows, freezes and holds say, no controller
learns of it, and a node has no version that `confirm_within` could go back to.

Example: tidegate run pipelines/shop.toml --dir .";

pub(super) const PLAN: &str = "\
It ends with 3 where something would stop the next version, and with 0 where nothing does. Nothing is changed.

Example: tidegate plan pipelines/shop.toml";

pub(super) const STATUS: &str = "Example: tidegate status shop prod --wait --timeout 20m";

pub(super) const WATCH: &str = "\
`?` shows the keys: arrows and Enter look around, `/` searches, `a` shows what can be done here. What is done by hand is
said first, with its nodes, and takes an Enter. `q` quits.

With --replay a journal is played: Space stops, `.` and `,` step, `[` and `]` seek, `+` and `-` change the speed. Pauses
of more than three seconds are cut to that.

Example: tidegate watch shop";

pub(super) const EVENTS: &str = "Example: tidegate events --follow --kind 'gate_*'";

pub(super) const LOGS: &str = "Example: tidegate logs 42 --follow";

pub(super) const WHY: &str = "Example: tidegate why shop prod 1.4.0";

pub(super) const REBUILD: &str = "Example: tidegate rebuild shop --wait";

pub(super) const HOOK: &str = "Example: tidegate hook install /srv/git/shop.git";

pub(super) const DOCTOR: &str = "Example: tidegate doctor --pipelines pipelines";

pub(super) const SUPPORT_BUNDLE: &str = "\
It says what the machine, the settings, the pipelines, the state, the journal and `tidegate doctor` say, by lists of what may \
be shown: every other text in them is replaced by `***`. Logs are not in it, only how large they are; --logs takes one as it \
is. It works without a controller and with a damaged journal, and says what it could not have. Look through it before you \
send it.

Example: tidegate support-bundle report.tar.gz --logs shop/42";

pub(super) const TOKEN: &str = "\
Roles: `viewer` reads, `trigger` asks for builds, `operator` does what is done by hand, `admin` lifts more. A token with \
`--pipeline` sees these alone, and acts on them alone; one with `--tier` sees as much as without, acts on these tiers alone, \
and on nothing of a whole pipeline (its builds, `hold`, `block`, `cancel`). Names may be globs, as in `refs`.

Example: tidegate token create ann --role operator --pipeline 'shop-*' --tier staging --expires 90d";

pub(super) const BACKUP: &str = "\
Into a folder with an earlier backup of the same journal it copies only the journal and what is new. Interrupted at any \
moment it leaves the earlier backup as it was. The owner's token is not in it: that is made anew.

Example: tidegate backup /backup/tidegate --state /var/lib/tidegate/state";

pub(super) const RESTORE: &str = "\
Every file is checked before anything is put in place. Every pipeline is held afterwards: what happened after the backup is \
not in the journal. Compare what runs with what `tidegate status` says, then `tidegate resume`.

Example: tidegate restore /backup/tidegate --state /var/lib/tidegate/state";

pub(super) const EXPORT: &str = "\
The first line says which journal it is, each other one is an event with its value in the chain. `tidegate watch --replay` \
plays such a file, and `tidegate import` makes a journal of it.

Example: tidegate export --state /var/lib/tidegate/state --out journal.jsonl";

pub(super) const IMPORT: &str = "\
The chain is checked as it is read; at the first line that does not fit nothing is made. Logs and artifacts are not in an \
export: `tidegate backup` has them.

Example: tidegate import journal.jsonl --state /var/tmp/again";

pub(super) const VERIFY_JOURNAL: &str = "\
Prints the head of the chain, ID:HASH, to be noted elsewhere: `--expect` proves later that it is still in there. Exits with \
0 when it is proven, 1 when it is not, 4 when it cannot be read.

Example: tidegate verify-journal --state /var/lib/tidegate/state";

pub(super) const COMPLETIONS: &str =
    "Example: tidegate completions bash > ~/.local/share/bash-completion/completions/tidegate";

pub(super) const MAN: &str = "Example: tidegate man --write /usr/local/share/man/man1";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    /// The words of an example as a shell would hand them on, up to where it writes elsewhere.
    fn words(example: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for c in example.chars() {
            match (c, quote) {
                ('>', None) => break,
                (' ', None) => words.push(String::new()),
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (c, _) => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_command_has_an_example_that_is_taken() {
        let cli = crate::cli::Cli::command();
        let mut seen = 0;
        for command in cli.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            let said = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = said.lines().find_map(|line| line.strip_prefix("Example: "));
            let example = example.unwrap_or_else(|| panic!("`{name}` has no example"));
            assert!(example.starts_with(&format!("tidegate {name}")), "{example}");
            if let Err(error) = crate::cli::Cli::try_parse_from(words(example)) {
                panic!("{example}: {error}");
            }
            seen += 1;
        }
        assert!(seen > 25, "{seen}");
    }
}
