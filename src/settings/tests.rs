//! Settings as people get them right and wrong, and the state folder on real disks.

use super::*;
use crate::domain::pipeline::Forge;
use std::os::unix::fs::PermissionsExt as _;

fn parse(text: &str, overrides: &Overrides) -> Result<Settings, SettingsError> {
    let path = Path::new("/etc/tidegate/tidegate.toml");
    let home = |name: &str| (name == "HOME").then(|| OsString::from("/home/ann"));
    merge(SettingsFile::parse(path, text)?, Some(path.into()), overrides, home)
}

#[test]
fn an_empty_file_gives_the_documented_defaults() {
    let settings = parse("", &Overrides::default()).unwrap();
    assert_eq!(settings.state.path(), Path::new("/home/ann/.local/state/tidegate"));
    assert_eq!(settings.listen.to_string(), DEFAULT_LISTEN);
    assert_eq!(settings.pipelines, std::env::current_dir().unwrap().join("pipelines"));
    assert_eq!(settings.ssh_command, ["ssh"]);
    assert_eq!((settings.read, settings.insecure_http), (ReadAccess::Open, false));
    assert_eq!((settings.drain, settings.stall), (Duration::from_secs(60), Duration::from_secs(300)));
    assert_eq!(Some(settings.jobs), std::thread::available_parallelism().ok());
}

#[test]
fn the_file_sets_everything_and_its_paths_start_at_the_file() {
    let text = r#"
        pipelines = "defs"
        state = "/var/lib/tidegate"
        listen = "[::1]:9000"
        hosts = ["CI.example.com"]
        jobs = 3
        ssh_command = ["ssh", "-F", "/etc/tidegate/ssh_config"]
        read = "token"
        drain = "5m"
        stall = "10s"
        log_limit = "10MiB"
        [retention]
        versions = 7
        logs = "30d"
        events = "forever"
        min_free = "1GiB"
    "#;
    let settings = parse(text, &Overrides::default()).unwrap();
    assert_eq!(settings.pipelines, Path::new("/etc/tidegate/defs"));
    assert_eq!(settings.state.path(), Path::new("/var/lib/tidegate"));
    assert_eq!(settings.listen.to_string(), "[::1]:9000");
    assert_eq!(settings.hosts, ["ci.example.com"]);
    assert_eq!(settings.jobs.get(), 3);
    assert_eq!(settings.ssh_command[1], "-F");
    assert_eq!(settings.read, ReadAccess::Token);
    assert_eq!((settings.drain.as_secs(), settings.stall.as_secs()), (300, 10));
    assert_eq!(settings.log_limit_bytes, 10 << 20);
    let retention = Retention {
        versions: 7,
        logs: Duration::from_secs(30 * 86_400),
        events: None,
        min_free_bytes: 1 << 30,
    };
    assert_eq!(settings.retention, retention);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let overrides = Overrides {
        pipelines: Some("/p".into()),
        state: Some("/s".into()),
        listen: Some("localhost:1".into()),
        jobs: Some(9),
        ssh_command: Some("ssh -p '2 2'".into()),
        ..Overrides::default()
    };
    let text = "pipelines = 'x'\nstate = 'y'\nlisten = '127.0.0.1:7'\njobs = 1\nssh_command = ['other']";
    let settings = parse(text, &overrides).unwrap();
    assert_eq!((settings.pipelines.as_path(), settings.state.path()), (Path::new("/p"), Path::new("/s")));
    assert_eq!((settings.listen.to_string().as_str(), settings.jobs.get()), ("127.0.0.1:1", 9));
    assert_eq!(settings.ssh_command, ["ssh", "-p", "2 2"]);
}

#[test]
fn mistakes_are_named_with_their_place_and_a_way_out() {
    let table = [
        ("\njbos = 2", "TG-SETTINGS-002", ":2:1: there is no key `jbos` here", "did you mean `jobs`?"),
        ("[retention]\nversion = 2", "TG-SETTINGS-002", ":2:1:", "did you mean `versions`?"),
        ("x = ", "TG-SETTINGS-002", ":1:", "correct the line"),
        ("read = \"tokens\"", "TG-SETTINGS-002", ":1:8:", "did you mean `token`?"),
        ("drain = \"soon\"", "TG-SETTINGS-002", ":1:9: expected a length of time", ""),
        ("jobs = \"2\"", "TG-SETTINGS-002", ":1:8:", ""),
        ("jobs = 0", "TG-SETTINGS-003", "`jobs` = `0`", "`jobs`"),
        ("listen = \"8433\"", "TG-SETTINGS-003", "an address with a port", ""),
        ("listen = \"ci.example.com:80\"", "TG-SETTINGS-003", "an address with a port", ""),
        ("ssh_command = []", "TG-SETTINGS-003", "must name a program", ""),
        ("trusted_proxies = [\"10.0.0.0/33\"]", "TG-SETTINGS-003", "`trusted_proxies` = `10.0.0.0/33`", ""),
        ("trusted_proxies = [\"0.0.0.0/0\"]", "TG-SETTINGS-003", "would be believed", ""),
        ("[unix]\nsocket = \"s\"\nmode = \"0777\"", "TG-SETTINGS-002", ":3:8:", ""),
        (
            "[unix]\nsocket = \"s\"\nusers = { al = \"viewer\" }",
            "TG-SETTINGS-003",
            "do not reach the socket",
            "",
        ),
        ("[unix]\nusers = { root = \"viewer\" }", "TG-SETTINGS-003", "may do everything", ""),
        ("[unix]\nusers = { al = \"king\" }", "TG-SETTINGS-002", "", ""),
        ("listen = \"0.0.0.0:8433\"", "TG-CONF-040", "listen on 0.0.0.0:8433", "--insecure-http"),
        ("listen = \"[::]:8433\"", "TG-CONF-040", "", "127.0.0.1:8433"),
        ("listen = \"192.168.1.2:80\"", "TG-CONF-040", "", "proxy"),
    ];
    for (text, code, message, help) in table {
        let error = parse(text, &Overrides::default()).unwrap_err();
        assert_eq!(error.code(), code, "{text}: {error}");
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert!(error.help().contains(help), "{text}: {}", error.help());
    }
}

#[test]
fn a_socket_is_meant_from_where_the_file_is_and_is_private_unless_told() {
    let settings = parse("[unix]\nsocket = \"run/s\"", &Overrides::default()).unwrap();
    assert_eq!(settings.unix.socket.as_deref(), Some(Path::new("/etc/tidegate/run/s")));
    assert_eq!((settings.unix.mode, settings.unix.users.len()), (0o600, 0));
    let overrides = Overrides { unix: Some("/run/other".into()), ..Overrides::default() };
    let text = "[unix]\nsocket = \"run/s\"\nmode = \"0660\"\nusers = { alice = \"operator\" }";
    let door = parse(text, &overrides).unwrap().unix;
    assert_eq!(door.socket.as_deref(), Some(Path::new("/run/other")));
    assert_eq!((door.mode, door.users.get("alice")), (0o660, Some(&Role::Operator)));
    assert_eq!(parse("", &Overrides::default()).unwrap().unix, UnixDoor::default());
}

#[test]
fn a_webhook_says_where_its_secret_is_and_never_what_it_is() {
    let text = "[webhook.github]\nsecret = { file = \"hook\" }\n[webhook.gitlab]\nsecret = { env = \"LAB\" }";
    let webhooks = parse(text, &Overrides::default()).unwrap().webhooks;
    assert_eq!(
        webhooks.secret_of(Forge::Github),
        Some(&SecretPlace::File("/etc/tidegate/hook".into())),
        "from where the file is"
    );
    assert_eq!(webhooks.secret_of(Forge::Gitlab), Some(&SecretPlace::Env("LAB".into())));
    assert_eq!(webhooks.secret_of(Forge::Gitea), None);
    for (bad, message) in [
        ("[webhook.github]\nsecret = \"hunter2\"", ":2:10: a secret itself does not belong into this file"),
        ("[webhook.github]\nsecret = {}", "say where the secret is"),
        ("[webhook.github]\nsecret = { file = \"a\", env = \"B\" }", "say where the secret is"),
        ("[webhook.github]\nsecret = 7", "invalid type"),
        ("[webhook.github]", "missing field `secret`"),
        ("[webhook.gitlub]\nsecret = {}", "there is no key `gitlub` here"),
    ] {
        let error = parse(bad, &Overrides::default()).unwrap_err();
        assert_eq!(error.code(), "TG-SETTINGS-002", "{bad}");
        assert!(error.to_string().contains(message), "{bad}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn the_secret_of_a_webhook_is_read_anew_each_time_and_kept_from_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hook");
    let place = SecretPlace::File(path.clone());
    assert_eq!(place.read(Forge::Gitea).unwrap_err().code(), "TG-TOKEN-001");
    for secret in ["the-first-of-them", "the-second-of-them"] {
        std::fs::write(&path, format!("{secret}\n")).unwrap();
        chmod(&path, 0o640);
        assert_eq!(place.read(Forge::Gitea).unwrap().expose(), secret);
    }
    for open in [0o644, 0o660, 0o604] {
        chmod(&path, open);
        assert_eq!(place.read(Forge::Gitea).unwrap_err().code(), "TG-TOKEN-002", "{open:o}");
    }
    chmod(&path, 0o600);
    std::fs::write(&path, " \n").unwrap();
    assert_eq!(place.read(Forge::Gitea).unwrap_err().code(), "TG-TOKEN-003", "no secret is no key");
    std::fs::write(&path, "whsec_\n").unwrap();
    let weak = place.read(Forge::Gitlab).unwrap_err();
    assert_eq!(weak.code(), "TG-HOOK-008");
    assert!(weak.to_string().contains("too short") && weak.help().contains("openssl"), "{weak}");
    let unset = SecretPlace::Env("TIDEGATE_NO_SUCH_VARIABLE".into()).read(Forge::Gitea).unwrap_err();
    assert_eq!(unset.code(), "TG-HOOK-005");
    assert!(unset.to_string().contains("TIDEGATE_NO_SUCH_VARIABLE"), "{unset}");
}

#[test]
fn beyond_loopback_needs_the_explicit_wish() {
    let text = "listen = '0.0.0.0:1'\ninsecure_http = true";
    assert!(parse(text, &Overrides::default()).unwrap().insecure_http);
    let flag = Overrides { insecure_http: true, ..Overrides::default() };
    assert!(parse("listen = '0.0.0.0:1'\ninsecure_http = false", &flag).is_ok());
    for loopback in ["127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert!(parse(&format!("listen = '{loopback}'"), &Overrides::default()).is_ok(), "{loopback}");
    }
}

#[test]
fn the_state_folder_follows_the_environment() {
    let with = |list: &[(&str, &str)]| {
        let list: Vec<_> = list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        default_state_folder(move |name| {
            list.iter().find(|(key, _)| key == name).map(|(_, value)| value.into())
        })
    };
    assert_eq!(with(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")]).unwrap(), Path::new("/x/tidegate"));
    assert_eq!(
        with(&[("XDG_STATE_HOME", "x"), ("HOME", "/h")]).unwrap(),
        Path::new("/h/.local/state/tidegate")
    );
    assert_eq!(with(&[("HOME", "")]).unwrap_err().code(), "TG-SETTINGS-004");
}

#[test]
fn a_named_file_must_be_there_and_sensible() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.toml");
    let overrides =
        Overrides { config: Some(path.clone()), state: Some("/s".into()), ..Overrides::default() };
    assert_eq!(Settings::load(&overrides).unwrap_err().code(), "TG-SETTINGS-001");
    std::fs::write(&path, "\u{feff}jobs = 2\npipelines = 'here'").unwrap();
    let settings = Settings::load(&overrides).unwrap();
    assert_eq!((settings.jobs.get(), settings.pipelines), (2, folder.path().join("here")));
    std::fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(Settings::load(&overrides).unwrap_err().code(), "TG-SETTINGS-005");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_state_folder_is_made_private_with_its_rooms() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::new(folder.path().join("a/b"));
    state.prepare().unwrap();
    state.prepare().unwrap();
    for path in [state.path(), &state.logs(), &state.artifacts(), &state.work()] {
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
}

#[test]
fn an_exposed_state_folder_is_refused_unless_it_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::new(folder.path().join("s"));
    std::fs::create_dir(state.path()).unwrap();
    chmod(state.path(), 0o755);
    state.prepare().unwrap();
    assert_eq!(mode(state.path()), 0o700, "an empty one is closed");
    for bad in [0o750, 0o705, 0o770, 0o777] {
        chmod(state.path(), bad);
        let error = state.prepare().unwrap_err();
        assert_eq!(error.code(), "TG-STATE-013");
        assert!(error.help().contains("chmod 700"), "{}", error.help());
        assert_eq!(mode(state.path()), bad, "left as it is");
    }
}

#[test]
fn what_is_no_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::new(folder.path().join("s"));
    std::fs::write(state.path(), "").unwrap();
    assert_eq!(state.prepare().unwrap_err().code(), "TG-STATE-011");
    assert_eq!(StateDir::new(state.path().join("below")).prepare().unwrap_err().code(), "TG-STATE-011");
    std::fs::remove_file(state.path()).unwrap();
    state.prepare().unwrap();
    std::fs::remove_dir(state.logs()).unwrap();
    std::fs::write(state.logs(), "").unwrap();
    assert_eq!(state.prepare().unwrap_err().code(), "TG-STATE-011");
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_with_a_way_out() {
    // No folder can be made in /proc by anybody.
    let error = StateDir::new("/proc/tidegate").prepare().unwrap_err();
    assert!(["TG-STATE-012", "TG-STATE-015"].contains(&error.code()), "{error}");
    assert!(error.help().contains("--state"), "{}", error.help());
    if rustix::process::geteuid().is_root() {
        return; // Root writes wherever it likes.
    }
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::new(folder.path().join("s"));
    std::fs::create_dir(state.path()).unwrap();
    chmod(state.path(), 0o500);
    assert_eq!(state.prepare().unwrap_err().code(), "TG-STATE-012");
    chmod(state.path(), 0o700);
}
