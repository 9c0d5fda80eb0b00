//! `tidegate check` for machines, and while somebody edits.

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

const GOOD: &str = "[source]\nrepo = \"/srv/git/shop.git\"\n\n[[tier]]\nname = \"host\"\n";

/// A mistake behind letters that are wider in memory than in columns, and a secret that nobody gets.
const BAD: &str = "description = \"täst\"\n[source]\nrepo = \"/srv/git/shop.git\"\n[secrets]\nA = { env = \"A\" }\n\
    [[tier]]\nname = \"host\"\n  [tier.promote]\n  window = [{ days = [\"möntag\", \"Mittwoch\"] }]\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).expect("a file"));
    folder
}

fn check(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.arg("check").args(arguments).current_dir(folder).output().expect("it runs")
}

fn sarif(folder: &Path, arguments: &[&str]) -> Value {
    let output = check(folder, &[&["--format", "sarif"], arguments].concat());
    serde_json::from_slice(&output.stdout).expect("one log")
}

#[test]
fn a_sarif_log_has_a_rule_with_words_for_each_result_and_its_region() {
    let home = folder(&[("shop.toml", BAD)]);
    let log = sarif(home.path(), &["shop.toml"]);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    assert_eq!(run["tool"]["driver"]["name"], "tidegate");
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let ids: Vec<&str> = rules.iter().filter_map(|rule| rule["id"].as_str()).collect();
    assert_eq!(ids, ["TG-DEF-005", "TG-DEF-033"]);
    for rule in rules {
        for words in ["/shortDescription/text", "/fullDescription/text", "/help/text", "/help/markdown"] {
            let text = rule.pointer(words).and_then(Value::as_str).unwrap_or_default();
            assert!(!text.is_empty(), "{words} of {rule}");
        }
    }
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 3, "{results:#?}");
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("an index");
        assert_eq!(result["ruleId"], rules[usize::try_from(index).unwrap()]["id"]);
        assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "shop.toml");
        assert!(result["message"]["text"].as_str().is_some_and(|text| text.contains("\nhelp: ")), "{result}");
    }
    let levels: Vec<_> = results.iter().map(|result| &result["level"]).collect();
    assert_eq!(levels, ["warning", "error", "error"]);
    // `"Mittwoch"`, in characters from 1, and the end is the first one behind.
    let region = &results[2]["locations"][0]["physicalLocation"]["region"];
    let line = BAD.lines().nth(8).expect("the line");
    let begin = 1 + line.chars().position(|c| c == 'M').expect("the word") - 1;
    let expected =
        serde_json::json!({"startLine": 9, "startColumn": begin, "endLine": 9, "endColumn": begin + 10});
    assert_eq!(*region, expected);
    assert_eq!(check(home.path(), &["--format", "sarif"]).status.code(), Some(2), "nothing is named");
}

/// What reads the whole of the standard reads it, and finds nothing that the standard does not have.
#[test]
fn a_sarif_log_is_what_the_standard_says() {
    let odd = "a b%\u{e9}.toml";
    let home = folder(&[("shop.toml", BAD), ("good.toml", GOOD), (odd, BAD), ("empty.toml", "")]);
    for arguments in [&["."][..], &["good.toml"], &["shop.toml"], &[home.path().to_str().expect("text")]] {
        let log = sarif(home.path(), arguments);
        let read: serde_sarif::sarif::Sarif =
            serde_json::from_value(log.clone()).expect("a log of SARIF 2.1.0");
        assert_eq!(serde_json::to_value(&read).expect("JSON"), log, "each property is one of the standard");
        let run = &read.runs[0];
        let rules = run.tool.driver.rules.as_ref().expect("rules");
        for result in run.results.iter().flatten() {
            let rule =
                &rules[usize::try_from(result.rule_index.expect("an index")).expect("one that is there")];
            assert_eq!(result.rule_id.as_ref(), Some(&rule.id));
            let place = &result.locations.as_ref().expect("a place")[0].physical_location;
            let region = place.as_ref().and_then(|place| place.region.as_ref()).expect("a region");
            let begin = (region.start_line.expect("a line"), region.start_column.expect("a column"));
            let end = (region.end_line.expect("a line"), region.end_column.expect("a column"));
            assert!(begin >= (1, 1) && end >= begin, "{region:?}");
        }
    }
}

#[test]
fn a_good_file_gives_an_empty_log_and_no_command() {
    let home = folder(&[("shop.toml", GOOD)]);
    assert_eq!(sarif(home.path(), &["."])["runs"][0]["results"], serde_json::json!([]));
    let output = check(home.path(), &["--format", "github", "."]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
}

#[test]
fn files_elsewhere_have_whole_addresses() {
    let (home, other) = (folder(&[]), folder(&[("shop.toml", BAD)]));
    let whole = other.path().join("shop.toml");
    let log = sarif(home.path(), &[whole.to_str().expect("text")]);
    let uri = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(*uri, format!("file://{}", whole.display()));
    let log = sarif(other.path(), &[whole.to_str().expect("text")]);
    let uri = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "shop.toml");
}

#[test]
fn commands_of_github_name_file_line_and_columns() {
    let home = folder(&[("shop.toml", BAD)]);
    let output = check(home.path(), &["--format", "github", "shop.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stdout).expect("text");
    let expected = [
        "::warning file=shop.toml,line=5,col=1,endColumn=2,title=TG-DEF-033::no step gets the secret `A`\
         %0Ahelp: list it where it is used: secrets = [\"A\"]",
        "::error file=shop.toml,line=9,col=23,endColumn=31,title=TG-DEF-005::`days` cannot be `möntag`\
         %0Ahelp: there are `mon`, ",
        "::error file=shop.toml,line=9,col=33,endColumn=43,title=TG-DEF-005::`days` cannot be `Mittwoch`\
         %0Ahelp: there are `mon`, ",
    ];
    assert_eq!(text.lines().count(), expected.len(), "{text}");
    text.lines().zip(expected).for_each(|(line, begin)| assert!(line.starts_with(begin), "{line}"));
}

#[test]
fn hostile_names_and_texts_break_out_of_nothing() {
    let name = "a,line=1::b\n::stop-commands::x\u{1b}[2J%.toml";
    let text = format!("name = \"x\\n::error::y\\u001b[31m\"\n{GOOD}\"k\\n::add-mask::\" = 1\n");
    let home = folder(&[(name, &text)]);
    let output = check(home.path(), &["--format", "github", "."]);
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(!said.is_empty() && said.lines().all(|line| line.starts_with("::error file=")), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
    for line in said.lines() {
        let (head, _) = line[2..].split_once("::").expect("two parts");
        assert_eq!(head.matches(',').count(), 4, "{head}");
    }
    let log = sarif(home.path(), &["."]);
    let uri = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "a%2Cline%3D1%3A%3Ab%0A%3A%3Astop-commands%3A%3Ax%1B%5B2J%25.toml");
}

/// A `check --watch`, and what it says line by line.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(folder: &Path, arguments: &[&str]) -> Watching {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["check", "--watch"])
            .args(arguments)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (told, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        Watching { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(60)).expect("a line in time")
    }

    /// Reads on to a line with these words.
    fn until(&self, words: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(words) {
                return line;
            }
        }
    }

    fn round(&self) -> Value {
        serde_json::from_str(&self.line()).expect("a round is a line")
    }

    fn interrupt(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is there");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As editors do that write beside and rename.
fn save(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join("~new"), text).expect("a file");
    fs::rename(folder.join("~new"), folder.join(name)).expect("a file");
}

#[test]
fn a_watched_folder_is_checked_again_after_every_change() {
    let home = folder(&[("shop.toml", GOOD)]);
    let watching = Watching::start(home.path(), &["."]);
    assert!(watching.line().starts_with("── "));
    assert_eq!(watching.line(), "all is well");
    save(home.path(), "shop.toml", BAD);
    assert!(watching.line().contains(" shop.toml changed ──"));
    watching.until("error[TG-DEF-005]: `days` cannot be `möntag`");
    save(home.path(), "shop.toml", GOOD);
    watching.until(" shop.toml changed ──");
    assert_eq!(watching.line(), "all is well");
    assert_eq!(watching.interrupt(), Some(130));
}

#[test]
fn rounds_are_json_lines_and_only_of_what_is_named() {
    let home = folder(&[("shop.toml", GOOD), ("other.toml", GOOD)]);
    let watching = Watching::start(home.path(), &["--json", "shop.toml"]);
    let first = watching.round();
    assert_eq!((&first["files"], &first["good"]), (&1.into(), &1.into()), "{first}");
    assert!(first["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{first}");
    // What is not named changes first: a round of it would come first, too.
    save(home.path(), "other.toml", BAD);
    save(home.path(), "shop.toml", BAD);
    let second = watching.round();
    assert_eq!((&second["files"], &second["good"]), (&1.into(), &0.into()), "{second}");
    assert_eq!(second["diagnostics"][1]["code"], "TG-DEF-005");
    fs::remove_file(home.path().join("shop.toml")).expect("it is there");
    assert_eq!(watching.round()["error"]["code"], "TG-CLI-003");
    save(home.path(), "shop.toml", GOOD);
    assert_eq!(watching.round()["good"], 1);
    assert_eq!(watching.interrupt(), Some(130));
}

#[test]
fn what_cannot_be_watched_is_said() {
    let home = folder(&[("shop.toml", GOOD), ("shop.txt", GOOD)]);
    for (arguments, code) in [
        (["--watch", "--format=sarif", "shop.toml"], "TG-CLI-050"),
        (["--watch", "--format=github", "shop.toml"], "TG-CLI-050"),
        (["--watch", "--json", "shop.txt"], "TG-CLI-051"),
        (["--watch", "--json", "nowhere.toml"], "TG-CLI-003"),
    ] {
        let output = check(home.path(), &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(&format!("error[{code}]")), "{said}");
    }
}
