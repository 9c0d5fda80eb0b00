//! Tokens as the server, the command line and somebody with bad intentions meet them.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn state() -> (tempfile::TempDir, StateDir) {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::new(folder.path().join("state"));
    state.prepare().unwrap();
    (folder, state)
}

fn new(name: &str, role: Role) -> NewToken {
    NewToken::new(name, role, now())
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn roles_are_ordered_and_spelled_alike_everywhere() {
    assert!(Role::ALL.is_sorted());
    for role in Role::ALL {
        assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
        assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
    }
    assert!("Admin".parse::<Role>().is_err());
}

#[test]
fn the_owners_token_is_made_once_private_and_random() {
    let (_folder, state) = state();
    let tokens = Tokens::open(&state).unwrap();
    assert_eq!(std::fs::metadata(state.token()).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = read_token_file(&state.token(), Privacy::Owner).unwrap();
    assert_eq!(secret.expose().len(), PREFIX.len() + 64);
    let entry = tokens.lookup(secret.expose(), now()).unwrap().good().unwrap();
    assert_eq!((entry.name.as_str(), entry.role), (OWNER, Role::Admin));

    Tokens::open(&state).unwrap();
    assert_eq!(read_token_file(&state.token(), Privacy::Owner).unwrap(), secret, "kept on the next start");
    assert_ne!(Secret::generate().unwrap(), secret);
}

#[test]
fn a_token_works_until_it_is_revoked_even_by_another_process() {
    let (_folder, state) = state();
    let server = Tokens::open(&state).unwrap();
    let command_line = Tokens::open(&state).unwrap();
    let ann = NewToken { email: Some("ann@example.com".into()), ..new("ann", Role::Operator) };
    let secret = command_line.create(ann).unwrap();

    let entry = server.lookup(secret.expose(), now()).unwrap().good().expect("seen without a restart");
    assert_eq!((entry.role, entry.email.as_deref()), (Role::Operator, Some("ann@example.com")));
    assert_eq!(server.holding(&entry, now()).unwrap(), Holding::Good);
    assert!(server.lookup(&secret.expose()[1..], now()).unwrap().good().is_none());
    assert!(server.lookup("", now()).unwrap().good().is_none());
    assert!(server.lookup(&"x".repeat(100_000), now()).unwrap().good().is_none());

    assert_eq!(command_line.revoke("ann").unwrap().name, "ann");
    assert!(server.lookup(secret.expose(), now()).unwrap().good().is_none());
    assert_eq!(server.holding(&entry, now()).unwrap(), Holding::Revoked);
    assert_eq!(command_line.revoke("ann").unwrap_err().code(), "TG-TOKEN-005");
    assert_eq!(command_line.revoke(OWNER).unwrap_err().code(), "TG-TOKEN-009");
}

#[test]
fn names_and_addresses_are_checked_and_names_are_given_once() {
    let (_folder, state) = state();
    let tokens = Tokens::open(&state).unwrap();
    tokens.create(new("hook:/srv/git/shop.git", Role::Trigger)).unwrap();
    assert_eq!(tokens.create(new("hook:/srv/git/shop.git", Role::Admin)).unwrap_err().code(), "TG-TOKEN-004");
    for name in ["", "owner", "unix:ann", "Unix:ann", "-x", "a b", "a\n", "\u{202e}", &"x".repeat(65)] {
        assert_eq!(tokens.create(new(name, Role::Viewer)).unwrap_err().code(), "TG-TOKEN-006", "{name:?}");
    }
    for email in ["ann", "@b", "a@", "a b@c", "<a@b>"] {
        let bad = NewToken { email: Some(email.into()), ..new("x", Role::Viewer) };
        assert_eq!(tokens.create(bad).unwrap_err().code(), "TG-TOKEN-007", "{email:?}");
    }
    let names: Vec<_> = tokens.list().unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["hook:/srv/git/shop.git"], "refused ones changed nothing");
}

#[test]
fn the_list_is_private_and_holds_no_token() {
    let (_folder, state) = state();
    let tokens = Tokens::open(&state).unwrap();
    let secret = tokens.create(new("bot", Role::Viewer)).unwrap();
    let text = std::fs::read_to_string(state.tokens()).unwrap();
    assert!(!text.contains(secret.expose()) && !text.contains(&secret.expose()[PREFIX.len()..]));
    assert_eq!(std::fs::metadata(state.tokens()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!format!("{secret:?} {tokens:?}").contains(&secret.expose()[PREFIX.len()..]));
    assert!(!format!("{:?}", tokens.list().unwrap()).contains(&hex(&secret.digest().0)));
}

#[test]
fn files_that_others_can_read_or_change_are_refused() {
    let (_folder, state) = state();
    let tokens = Tokens::open(&state).unwrap();
    let secret = tokens.create(new("bot", Role::Viewer)).unwrap();
    for path in [state.token(), state.tokens()] {
        for mode in [0o640, 0o604, 0o620, 0o602] {
            chmod(&path, mode);
            assert_eq!(
                tokens.lookup(secret.expose(), now()).unwrap_err().code(),
                "TG-TOKEN-002",
                "{path:?} {mode:o}"
            );
            assert_eq!(Tokens::open(&state).unwrap_err().code(), "TG-TOKEN-002");
        }
        chmod(&path, 0o600);
        assert!(tokens.lookup(secret.expose(), now()).unwrap().good().is_some());
    }
    chmod(&state.token(), 0o640);
    assert!(read_token_file(&state.token(), Privacy::Group).is_ok());
    chmod(&state.token(), 0o660);
    assert!(read_token_file(&state.token(), Privacy::Group).is_err());
}

#[test]
fn a_broken_list_lets_nobody_in_and_says_why() {
    let (_folder, state) = state();
    let tokens = Tokens::open(&state).unwrap();
    let secret = tokens.create(new("bot", Role::Viewer)).unwrap();
    let whole = std::fs::read(state.tokens()).unwrap();
    for broken in [&whole[..whole.len() / 2], b"", b"{\"tokens\":[],\"more\":1}", b"\xff"] {
        std::fs::write(state.tokens(), broken).unwrap();
        assert_eq!(tokens.lookup(secret.expose(), now()).unwrap_err().code(), "TG-TOKEN-003");
    }
    assert_eq!(
        tokens.create(new("x", Role::Viewer)).unwrap_err().code(),
        "TG-TOKEN-003",
        "nothing is lost by a write"
    );
    std::fs::write(state.tokens(), &whole).unwrap();
    assert!(tokens.lookup(secret.expose(), now()).unwrap().good().is_some());
}

#[test]
fn a_pipe_or_an_empty_file_is_no_token() {
    let (_folder, state) = state();
    let pipe = state.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(read_token_file(&pipe, Privacy::Owner).unwrap_err().code(), "TG-TOKEN-003");
    let empty = state.path().join("empty");
    std::fs::write(&empty, " \n").unwrap();
    chmod(&empty, 0o600);
    assert_eq!(read_token_file(&empty, Privacy::Owner).unwrap_err().code(), "TG-TOKEN-003");
    assert_eq!(read_token_file(Path::new("/nowhere"), Privacy::Owner).unwrap_err().code(), "TG-TOKEN-001");
}

#[test]
fn tokens_made_at_the_same_time_are_all_kept() {
    let (_folder, state) = state();
    Tokens::open(&state).unwrap();
    std::thread::scope(|scope| {
        for maker in 0..8 {
            let state = &state;
            scope.spawn(move || {
                let tokens = Tokens::open(state).unwrap();
                for number in 0..5 {
                    tokens.create(new(&format!("t{maker}-{number}"), Role::Viewer)).unwrap();
                }
            });
        }
    });
    assert_eq!(Tokens::open(&state).unwrap().list().unwrap().len(), 40);
}

#[test]
fn a_session_holds_as_long_as_its_token_and_not_beyond_its_time() {
    let (_folder, state) = state();
    let tokens = Tokens::open(&state).unwrap();
    let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap();
    let entry = tokens
        .lookup(tokens.create(new("ann", Role::Operator)).unwrap().expose(), now())
        .unwrap()
        .good()
        .unwrap();
    let session = tokens.open_session(&entry, at(100)).unwrap();
    assert_eq!(tokens.session(&session, at(99)).unwrap(), Shown::Good(entry.clone()));
    assert_eq!(tokens.session(&session, at(100)).unwrap(), Shown::Unknown);
    for bad in [
        "",
        ".",
        "..",
        "9.00.ann",
        &session.replace("ann", "bob"),
        &session.replacen("100", "900", 1),
        &"x".repeat(100_000),
    ] {
        assert_eq!(tokens.session(bad, at(0)).unwrap(), Shown::Unknown, "{bad}");
    }
    // Another controller does not take it, and neither does this one once its owner has another token.
    let (_other, elsewhere) = self::state();
    assert_eq!(Tokens::open(&elsewhere).unwrap().session(&session, at(0)).unwrap(), Shown::Unknown);
    std::fs::remove_file(state.token()).unwrap();
    assert_eq!(Tokens::open(&state).unwrap().session(&session, at(0)).unwrap(), Shown::Unknown);
}

#[test]
fn a_token_is_limited_as_it_was_made() {
    let (_folder, state) = state();
    let tokens = Tokens::open(&state).unwrap();
    let limited = NewToken {
        pipelines: vec!["shop".into(), "team-*".into()],
        tiers: vec!["staging".into()],
        ..new("ann", Role::Operator)
    };
    let secret = tokens.create(limited).unwrap();
    let scope = tokens.lookup(secret.expose(), now()).unwrap().good().unwrap().scope();
    assert!(
        scope.acts_on("team-a", Some("staging")) && !scope.acts_on("team-a", None) && !scope.sees("blog")
    );
    for bad in ["", "a[", "\u{7}"] {
        let bad = NewToken { pipelines: vec![bad.into()], ..new("x", Role::Viewer) };
        assert_eq!(tokens.create(bad).unwrap_err().code(), "TG-TOKEN-013");
    }
    // A list that somebody spoiled by hand lets nobody in, as one that is broken.
    let text = std::fs::read_to_string(state.tokens()).unwrap();
    std::fs::write(state.tokens(), text.replace("team-*", "team-[")).unwrap();
    assert_eq!(tokens.lookup(secret.expose(), now()).unwrap_err().code(), "TG-TOKEN-003");
}

#[test]
fn a_token_that_has_ended_is_told_from_one_that_is_unknown() {
    let (_folder, state) = state();
    let tokens = Tokens::open(&state).unwrap();
    let end = now() + chrono::TimeDelta::hours(1);
    let secret = tokens.create(NewToken { expires_at: Some(end), ..new("ann", Role::Viewer) }).unwrap();
    let just_before = end - chrono::TimeDelta::microseconds(1);
    let entry = tokens.lookup(secret.expose(), just_before).unwrap().good().unwrap();
    let session = tokens.open_session(&entry, end + chrono::TimeDelta::hours(9)).unwrap();
    assert_eq!(tokens.session(&session, just_before).unwrap(), Shown::Good(entry.clone()));
    assert_eq!(tokens.lookup(secret.expose(), end).unwrap(), Shown::Ended(entry.clone()));
    assert_eq!(tokens.session(&session, end).unwrap(), Shown::Ended(entry.clone()));
    assert_eq!(tokens.holding(&entry, just_before).unwrap(), Holding::Good);
    assert_eq!(tokens.holding(&entry, end).unwrap(), Holding::Ended);
    for (text, why) in [
        ("0s", "over already"),
        ("2026-01-01T00:00:00Z", "over already"),
        ("2040-01-01T00:00:00Z", "ten years"),
        ("11000d", "neither"),
        ("tomorrow", "neither"),
    ] {
        let error = end_of(text, now()).unwrap_err();
        assert_eq!(error.code(), "TG-TOKEN-012");
        assert!(error.to_string().contains(why) && error.to_string().contains(text), "{error}");
    }
    let past = NewToken { expires_at: Some(now()), ..new("x", Role::Viewer) };
    assert_eq!(
        tokens.create(past).unwrap_err().code(),
        "TG-TOKEN-012",
        "also where nobody asked for it in words"
    );
}

/// What release 0.1.0 knows of a token; it refuses any other key.
const KEYS_OF_0_1_0: [&str; 6] = ["name", "role", "email", "repo", "created_at", "sha256"];

#[test]
fn a_list_of_an_older_release_opens_and_is_kept_in_its_form_until_something_new_is_used() {
    let (_folder, state) = state();
    let digest = hex(&TokenDigest::of("tgt_old").0);
    let old = format!(r#"{{"tokens":[{{"name":"old","role":"viewer","sha256":"{digest}"}}]}}"#);
    std::fs::write(state.tokens(), old).unwrap();
    chmod(&state.tokens(), 0o600);
    let tokens = Tokens::open(&state).unwrap();
    let entry = tokens.lookup("tgt_old", now()).unwrap().good().unwrap();
    assert!(entry.scope().sees_all() && entry.expires_at.is_none());
    let all =
        NewToken { email: Some("a@b.c".into()), repo: Some("/srv/git".into()), ..new("new", Role::Trigger) };
    tokens.create(all).unwrap();
    let keys = || -> Vec<String> {
        let text = std::fs::read_to_string(state.tokens()).unwrap();
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        let entries = list["tokens"].as_array().unwrap();
        entries.iter().flat_map(|entry| entry.as_object().unwrap().keys().cloned()).collect()
    };
    assert!(keys().iter().all(|key| KEYS_OF_0_1_0.contains(&key.as_str())), "{:?}", keys());
    tokens.create(NewToken { tiers: vec!["x".into()], ..new("newer", Role::Operator) }).unwrap();
    assert!(keys().contains(&"tiers".to_owned()));
}

#[test]
fn the_last_use_is_kept_to_the_minute_in_a_file_that_nothing_depends_on() {
    let (_folder, state) = state();
    let tokens = Tokens::open(&state).unwrap();
    let entry = |name: &str| {
        let secret = tokens.create(new(name, Role::Viewer)).unwrap();
        tokens.lookup(secret.expose(), now()).unwrap().good().unwrap()
    };
    let (ann, bob) = (entry("ann"), entry("bob"));
    let owner = read_token_file(&state.token(), Privacy::Owner).unwrap();
    let owner = tokens.lookup(owner.expose(), now()).unwrap().good().unwrap();
    let at = |seconds: i64| now() + chrono::TimeDelta::seconds(seconds);
    tokens.keep_uses().unwrap();
    assert!(!state.tokens_used().exists(), "nothing was used");

    tokens.note_use(&ann, at(59));
    tokens.note_use(&owner, at(59));
    tokens.keep_uses().unwrap();
    let mode = std::fs::metadata(state.tokens_used()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let text = std::fs::read_to_string(state.tokens_used()).unwrap();
    assert_eq!(text.matches("2027-").count(), 1, "the owner's is not in the list: {text}");
    let seen = |entry: &Entry| Tokens::open(&state).unwrap().last_uses().unwrap().of(entry);
    assert_eq!((seen(&ann), seen(&bob)), (Some(now()), None));
    // Within the minute nothing is written; another process's file is added to.
    std::fs::remove_file(state.tokens_used()).unwrap();
    tokens.note_use(&ann, at(30));
    tokens.keep_uses().unwrap();
    assert!(!state.tokens_used().exists());
    let again = Tokens::open(&state).unwrap();
    again.note_use(&ann, at(60));
    again.keep_uses().unwrap();
    tokens.note_use(&bob, at(120));
    tokens.revoke("ann").unwrap();
    tokens.keep_uses().unwrap();
    assert_eq!((seen(&ann), seen(&bob)), (None, Some(at(120))), "what is revoked is forgotten");

    // Damaged, or in the way: it is begun anew as soon as it can be.
    std::fs::write(state.tokens_used(), "nonsense").unwrap();
    assert!(tokens.last_uses().is_err());
    tokens.note_use(&bob, at(180));
    tokens.keep_uses().unwrap();
    assert_eq!(seen(&bob), Some(at(180)));
    std::fs::remove_file(state.tokens_used()).unwrap();
    std::fs::create_dir(state.tokens_used()).unwrap();
    tokens.note_use(&bob, at(240));
    assert_eq!(tokens.keep_uses().unwrap_err().code(), "TG-TOKEN-001");
    std::fs::remove_dir(state.tokens_used()).unwrap();
    tokens.keep_uses().unwrap();
    assert_eq!(seen(&bob), Some(at(240)), "and it is tried again");
}
