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
    NewToken { name: name.into(), role, email: None, repo: None, created_at: DateTime::UNIX_EPOCH }
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
    let entry = tokens.lookup(secret.expose()).unwrap().unwrap();
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

    let entry = server.lookup(secret.expose()).unwrap().expect("seen without a restart");
    assert_eq!((entry.role, entry.email.as_deref()), (Role::Operator, Some("ann@example.com")));
    assert!(server.still_holds(&entry).unwrap());
    assert!(server.lookup(&secret.expose()[1..]).unwrap().is_none());
    assert!(server.lookup("").unwrap().is_none());
    assert!(server.lookup(&"x".repeat(100_000)).unwrap().is_none());

    assert_eq!(command_line.revoke("ann").unwrap().name, "ann");
    assert!(server.lookup(secret.expose()).unwrap().is_none());
    assert!(!server.still_holds(&entry).unwrap());
    assert_eq!(command_line.revoke("ann").unwrap_err().code(), "TG-TOKEN-005");
    assert_eq!(command_line.revoke(OWNER).unwrap_err().code(), "TG-TOKEN-009");
}

#[test]
fn names_and_addresses_are_checked_and_names_are_given_once() {
    let (_folder, state) = state();
    let tokens = Tokens::open(&state).unwrap();
    tokens.create(new("hook:/srv/git/shop.git", Role::Trigger)).unwrap();
    assert_eq!(tokens.create(new("hook:/srv/git/shop.git", Role::Admin)).unwrap_err().code(), "TG-TOKEN-004");
    for name in ["", "owner", "-x", "a b", "a\n", "\u{202e}", &"x".repeat(65)] {
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
                tokens.lookup(secret.expose()).unwrap_err().code(),
                "TG-TOKEN-002",
                "{path:?} {mode:o}"
            );
            assert_eq!(Tokens::open(&state).unwrap_err().code(), "TG-TOKEN-002");
        }
        chmod(&path, 0o600);
        assert!(tokens.lookup(secret.expose()).unwrap().is_some());
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
        assert_eq!(tokens.lookup(secret.expose()).unwrap_err().code(), "TG-TOKEN-003");
    }
    assert_eq!(
        tokens.create(new("x", Role::Viewer)).unwrap_err().code(),
        "TG-TOKEN-003",
        "nothing is lost by a write"
    );
    std::fs::write(state.tokens(), &whole).unwrap();
    assert!(tokens.lookup(secret.expose()).unwrap().is_some());
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
    let entry = tokens.lookup(tokens.create(new("ann", Role::Operator)).unwrap().expose()).unwrap().unwrap();
    let session = tokens.open_session(&entry, at(100)).unwrap();
    assert_eq!(tokens.session(&session, at(99)).unwrap(), Some((entry.clone(), at(100))));
    assert_eq!(tokens.session(&session, at(100)).unwrap(), None);
    for bad in [
        "",
        ".",
        "..",
        "9.00.ann",
        &session.replace("ann", "bob"),
        &session.replacen("100", "900", 1),
        &"x".repeat(100_000),
    ] {
        assert_eq!(tokens.session(bad, at(0)).unwrap(), None, "{bad}");
    }
    // Another controller does not take it, and neither does this one once its owner has another token.
    let (_other, elsewhere) = self::state();
    assert_eq!(Tokens::open(&elsewhere).unwrap().session(&session, at(0)).unwrap(), None);
    std::fs::remove_file(state.token()).unwrap();
    assert_eq!(Tokens::open(&state).unwrap().session(&session, at(0)).unwrap(), None);
}
