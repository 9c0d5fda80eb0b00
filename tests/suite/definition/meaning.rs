//! What a good file means.

use tidegate::definition::{Holder, Loaded, conflicts, load, outdated};
use tidegate::domain::pipeline::{Phase, Sandbox, Script, VersionRule, Wave};
use tidegate::domain::{Severity, Span};

const SHOP: &str = r#"
[source]
repo = "/srv/git/shop.git"

[[build.step]]
name = "compile"
run = "make"

[[build.step]]
name = "pack"
run = ["tar", "c"]

[[tier]]
name = "host"

[[tier.gate]]
kind = "cargo_test"

[[tier]]
name = "prod"

[tier.deploy]
run = "true"
"#;

fn good(file: &str, text: &str) -> Loaded {
    load(file, text.as_bytes()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn what_is_left_out_has_its_default() {
    let loaded = good("pipelines/shop.toml", SHOP);
    let pipeline = &loaded.pipeline;
    assert_eq!(pipeline.name, "shop", "the file's stem");
    assert_eq!(pipeline.version, VersionRule::Default);
    assert_eq!(pipeline.source.poll, None, "a path is not polled");
    assert_eq!(pipeline.build.steps[1].needs, ["compile"], "the step above");
    assert_eq!(pipeline.build.steps[1].run, Script::Argv(vec!["tar".into(), "c".into()]));
    let [host, prod] = pipeline.tiers.as_slice() else { panic!("two tiers") };
    assert!(host.after.is_empty() && host.nodes.is_empty());
    assert_eq!(host.gates[0].name, "cargo_test", "the kind");
    assert_eq!((host.gates[0].phase, host.gates[0].required), (Phase::Check, true));
    assert_eq!(prod.after, ["host"], "the tier above");
    assert_eq!(prod.nodes[0].name, "local", "this machine (rule 18)");
    assert_eq!(prod.deploy.as_ref().expect("a deploy").waves, [Wave::Count(1)], "one by one");
}

#[test]
fn a_remote_repository_is_polled_unless_it_says_otherwise() {
    let of = |source: &str| {
        let text = format!("[source]\n{source}\n[[tier]]\nname = \"a\"\n");
        good("a.toml", &text).pipeline.source.poll
    };
    assert_eq!(of("repo = \"https://forge.internal/shop.git\""), Some(Span::seconds(300)));
    assert_eq!(of("repo = \"git@forge.internal:shop.git\""), Some(Span::seconds(300)));
    assert_eq!(of("repo = \"https://forge.internal/shop.git\"\npoll = \"0s\""), None);
    assert_eq!(
        of("repo = \"/srv/git/shop.git\"\npoll = \"1s\""),
        Some(Span::seconds(1)),
        "a path may ask for it"
    );
}

#[test]
fn the_digest_is_of_the_meaning() {
    let before = good("shop.toml", SHOP).digest;
    let same = [
        format!("# a comment\n{SHOP}"),
        SHOP.replace("run = \"make\"", "run = 'make'   # quoted otherwise"),
        format!("name = \"shop\"\nx-owner = \"ann\"\n{SHOP}"),
        format!("\u{feff}{}", SHOP.replace('\n', "\r\n")),
    ];
    for text in same {
        assert_eq!(good("shop.toml", &text).digest, before, "{text}");
    }
    assert_ne!(good("shop.toml", &SHOP.replace("make", "make all")).digest, before);
}

#[test]
fn what_fences_a_step_is_executed() {
    let fence =
        "sandbox = \"user:app\"\nlimits = { memory = \"2GiB\", pids = 512, cpu = 0.5, disk = \"1GiB\" }\n";
    let text = SHOP.replace("[tier.deploy]\n", &format!("[tier.deploy]\n{fence}"));
    let loaded = good("shop.toml", &text);
    assert!(loaded.pipeline.tiers.iter().all(|tier| tier.unsupported.is_empty()));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let exec = &loaded.pipeline.tiers[1].deploy.as_ref().unwrap().exec;
    assert_eq!(exec.sandbox, Some(Sandbox::User("app".into())));
    let limits = exec.limits.unwrap();
    assert_eq!((limits.memory, limits.disk), (Some(2 << 30), Some(1 << 30)));
    assert_eq!(limits.cpu.map(|cores| cores.thousandths()), Some(500));
    let none = SHOP.replace("[tier.deploy]\n", "[tier.deploy]\nsandbox = \"none\"\n");
    assert_eq!(good("shop.toml", &none).pipeline.tiers[1].deploy.as_ref().unwrap().exec.sandbox, None);
}

#[test]
fn every_key_of_a_promotion_rule_is_executed() {
    let text = format!(
        r#"{SHOP}
        [tier.promote]
        mode = "manual"
        soak = "1h"
        confirm = {{ count = 2, roles = ["admin"], not_author = true, expires = "24h" }}
        pick = "every"
        require = "any"
        window = [{{ days = ["mon"], from = "22:00", to = "04:00", zone = "Europe/Berlin" }}]
        freeze = [{{ from = 2026-12-19T00:00:00+01:00, to = 2027-01-04T00:00:00+01:00, why = "holidays" }}]
        "#
    );
    let loaded = good("shop.toml", &text);
    assert!(loaded.pipeline.tiers[1].unsupported.is_empty() && loaded.warnings.is_empty());
}

#[test]
fn a_freeze_that_is_over_is_told_to_whoever_looks_the_file_over() {
    let text = format!(
        "{SHOP}\n[tier.promote]\nfreeze = [\n{}{}]\n",
        "  { from = 2026-01-01T00:00:00Z, to = 2026-01-02T00:00:00Z, why = \"over\" },\n",
        "  { from = 2026-01-01T00:00:00Z, to = 2027-01-02T00:00:00Z, why = \"not yet\" },\n",
    );
    let loaded = good("shop.toml", &text);
    assert!(loaded.warnings.is_empty(), "what a definition means does not change with time");
    let at = |text: &str| outdated("shop.toml", &loaded, text.parse().unwrap());
    assert_eq!(at("2026-01-01T23:59:59Z"), []);
    let [one] = &at("2026-01-02T00:00:00Z")[..] else { panic!("one of the two is over") };
    assert_eq!((one.code.as_str(), one.severity), ("TG-DEF-038", Severity::Warning));
    let line = text.lines().nth(one.line as usize - 1).unwrap();
    assert!(line.contains("over\""), "{line}");
}

#[test]
fn a_schedule_builds_the_first_plain_ref_by_utc_unless_it_says_otherwise() {
    let of = |refs: &str, more: &str| {
        let source = format!("repo = \"/srv/git/shop.git\"\n{refs}");
        let text = SHOP.replace("repo = \"/srv/git/shop.git\"", &source);
        let loaded = good("shop.toml", &format!("{text}\n[[schedule]]\ncron = \"0 3 * * *\"\n{more}"));
        let schedule = loaded.pipeline.schedule[0].clone();
        (schedule.ref_name, schedule.zone, loaded.warnings.len())
    };
    let utc = || "UTC".to_owned();
    assert_eq!(of("", ""), (String::new(), utc(), 0), "the branch that HEAD names");
    assert_eq!(of("refs = [\"release/*\", \"main\", \"next\"]", ""), ("main".into(), utc(), 0));
    assert_eq!(of("refs = [\"release/*\"]", ""), (String::new(), utc(), 0));
    assert_eq!(of("refs = [\"release/*\"]", "ref = \"release/1\""), ("release/1".into(), utc(), 0));
    assert_eq!(of("refs = [\"v*\"]", "ref = \"refs/tags/v1\""), ("refs/tags/v1".into(), utc(), 0));
    let elsewhere = of("refs = [\"main\"]", "ref = \"refs/heads/next\"\nzone = \"Asia/Tokyo\"");
    assert_eq!(
        elsewhere,
        ("refs/heads/next".into(), "Asia/Tokyo".into(), 1),
        "told that pushes do not count"
    );
    let open = good("shop.toml", &format!("{SHOP}\n[[schedule]]\ncron = \"0 3 * * *\"\n"));
    assert!(open.pipeline.unsupported.is_empty(), "it is executed");
}

#[test]
fn schedules_are_bounded() {
    let lines = |count: usize| format!("{SHOP}{}", "[[schedule]]\ncron = \"0 3 * * *\"\n".repeat(count));
    good("shop.toml", &lines(100));
    let refused = load("shop.toml", lines(101).as_bytes()).unwrap_err();
    assert_eq!(refused.iter().map(|one| one.line).collect::<Vec<_>>(), [SHOP.lines().count() as u32 + 201]);
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    for bytes in [&b"name = \"\xff\""[..], &vec![b'#'; 2 << 20]] {
        let problems = load("shop.toml", bytes).expect_err("refused");
        assert_eq!(problems[0].code, "TG-DEF-002");
    }
}

#[test]
fn two_pipelines_of_one_name_are_refused_in_both_files() {
    let (a, b, c) =
        (good("a.toml", &format!("name = \"shop\"\n{SHOP}")), good("shop.toml", SHOP), good("c.toml", SHOP));
    let found = conflicts([("a.toml", &a), ("shop.toml", &b), ("c.toml", &c)].into_iter(), &[]);
    let files: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(files, ["a.toml", "shop.toml"]);
    assert_eq!((found["a.toml"][0].line, found["a.toml"][0].code.as_str()), (1, "TG-DEF-035"));
}

#[test]
fn a_name_that_a_broken_file_holds_and_a_was_that_is_still_a_name_are_refused() {
    let newcomer = good("b.toml", &format!("name = \"shop\"\n{SHOP}"));
    let holder = Holder { file: "shop.toml".into(), pipeline: "shop".into() };
    let found = conflicts([("b.toml", &newcomer)].into_iter(), &[holder]);
    assert!(found["b.toml"][0].message.contains("`shop.toml`"), "{found:?}");

    let (old, new) = (good("shop.toml", SHOP), good("b.toml", &format!("was = \"shop\"\n{SHOP}")));
    let found = conflicts([("shop.toml", &old), ("b.toml", &new)].into_iter(), &[]);
    let files: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(files, ["b.toml"], "the one that is still there goes on");
    assert!(conflicts([("b.toml", &new)].into_iter(), &[]).is_empty());
}

#[test]
fn our_own_pipelines_are_good_and_all_of_them_run() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("pipelines") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_str().expect("text").to_owned();
        let loaded = good(&name, &std::fs::read_to_string(&path).expect("a pipeline"));
        assert!(loaded.warnings.is_empty(), "{name}: {:#?}", loaded.warnings);
        names.push(name);
    }
    names.sort();
    assert_eq!(names, ["hello.toml", "shop.toml", "tidegate.toml", "web.toml"]);
}

mod anything {
    use proptest::prelude::*;
    use tidegate::definition::{load, render};

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the bytes are, there is an answer, and every place that it names is in the file.
        #[test]
        fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            judge(&bytes)?;
        }

        /// A good file with one line changed, moved or gone.
        #[test]
        fn a_damaged_file_gets_an_answer(line in 0usize..24, with in "[ -~äß\\t]{0,30}", cut in any::<bool>()) {
            let mut lines: Vec<&str> = super::SHOP.lines().collect();
            let at = line % lines.len();
            if cut { lines.truncate(at) } else { lines[at] = &with }
            judge(lines.join("\n").as_bytes())?;
        }
    }

    fn judge(bytes: &[u8]) -> Result<(), TestCaseError> {
        let diagnostics = match load("shop.toml", bytes) {
            Ok(loaded) => loaded.warnings,
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                problems
            }
        };
        let text = String::from_utf8_lossy(bytes).into_owned();
        let lines = text.split('\n').count() as u32;
        for diagnostic in &diagnostics {
            prop_assert!(diagnostic.line >= 1 && diagnostic.line <= lines, "{diagnostic:?}");
        }
        let drawn = render(&diagnostics, &|_| Some(text.as_str()), false, 100);
        prop_assert!(drawn.matches("TG-DEF-").count() >= diagnostics.len());
        Ok(())
    }
}
