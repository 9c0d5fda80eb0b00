//! `docs/recipes`: each pipeline loads without a warning, and is carried out on this machine. What would be another
//! machine is this one; `/srv` and the home are folders of the test. What is not there in a test is played by a small
//! script that notes how it was called: `sudo` (and with it systemctl and nginx), `systemctl`, `curl` (which finds a service
//! healthy unless a file says otherwise) and `docker`. git, SQLite, `http_probe` and everything else is real.

use super::root;
use crate::whole::receiver::Receiver;
use crate::whole::world::World;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tidegate::definition::{load, render};

fn text_of(name: &str) -> String {
    fs::read_to_string(root().join("docs/recipes").join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What each call of a stand-in is noted by, and what it then does.
const STAND_INS: [(&str, &str); 4] = [
    ("sudo", ""),
    ("systemctl", "test ! -f $PLACE/bad"),
    ("curl", "test ! -f $PLACE/bad"),
    (
        "docker",
        "case \"$1\" in
            save) echo \"bits of $4\" > \"$3\" ;;
            inspect) echo \"registry.internal/shop@sha256:$(git rev-parse HEAD)\" ;;
            exec) case \"$*\" in *-2.0.0-*) exit 1 ;; esac ;;
            ps) echo shop-web-old ;;
        esac",
    ),
];

/// A world with the recipe as its pipeline, in which it is already pushed as 1.0.0.
struct Kitchen(World);

impl Kitchen {
    fn new(name: &str, files: &[(&str, &str)], edits: &[(&str, &str)]) -> Kitchen {
        let repo = |line: &str| match line.starts_with("repo = ") {
            true => "repo = $REPO".to_owned(),
            false => line.to_owned(),
        };
        let here = |line: &&str| !line.trim_start().starts_with("ssh = ");
        let mut text: String = text_of(name).lines().filter(here).map(|line| repo(line) + "\n").collect();
        text = text.replace("/srv/", "$PLACE/srv/").replace("/etc/tidegate/", "$PLACE/srv/");
        for (from, to) in edits {
            assert!(text.contains(from), "{name}: {from}");
            text = text.replace(from, to);
        }
        let mut world = World::unborn(&text);
        let place = world.path("place").display().to_string();
        for folder in ["bin", "home", "srv/secrets", "srv/shop", "srv/www", "srv/small", "srv/cart"] {
            fs::create_dir_all(world.path("place").join(folder)).expect("a folder");
        }
        for (name, does) in STAND_INS {
            let script =
                format!("#!/bin/sh\necho \"{name} $*\" >> $PLACE/calls\n{does}\n").replace("$PLACE", &place);
            let file = world.path("place/bin").join(name);
            fs::write(&file, script).expect("a script");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it may be executed");
        }
        for name in ["deploy-token", "database-url"] {
            fs::write(world.path("place/srv/secrets").join(name), "a secret of the test").expect("a secret");
        }
        let mut program = world.program();
        let path = std::env::var("PATH").expect("a path");
        program.env("PATH", format!("{place}/bin:{path}")).env("HOME", world.path("place/home"));
        world.start_by(program);
        world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
        world.wait("pipeline_loaded", &[]);
        let mut kitchen = Kitchen(world);
        kitchen.push("1.0.0", files);
        kitchen
    }

    fn push(&mut self, version: &str, files: &[(&str, &str)]) {
        for (name, _) in files {
            let path = self.0.path("work").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        }
        self.0.push(version, files);
    }

    /// Waits until the version passed the tier; what the stand-ins were called by since that was asked last.
    fn passes(&mut self, tier: &str, version: &str) -> String {
        self.0.wait("promote_complete", &[("tier", tier), ("version", version)]);
        self.calls()
    }

    /// Waits until the version was rejected, and the tier is back.
    fn goes_back(&mut self, version: &str) -> String {
        self.0.wait("rollback_complete", &[]);
        self.0.wait("promote_failed", &[("version", version)]);
        self.calls()
    }

    fn calls(&self) -> String {
        let calls = fs::read_to_string(self.0.path("place/calls")).unwrap_or_default();
        fs::write(self.0.path("place/calls"), "").expect("a file");
        calls
    }

    fn breaks(&self, is_bad: bool) {
        let bad = self.0.path("place/bad");
        if is_bad { fs::write(bad, "") } else { fs::remove_file(bad) }.expect("a file");
    }

    fn reads(&self, name: &str) -> String {
        self.0.read(&format!("place/srv/{name}")).trim().to_owned()
    }

    fn leads(&self, link: &str) -> String {
        fs::read_link(self.0.path("place/srv").join(link)).expect("a link").display().to_string()
    }
}

const BUILD: (&str, &str) =
    ("build.sh", "mkdir -p dist bin public; cp VERSION shop; cp VERSION public/index.html\n");

/// Every recipe is carried out by a test below.
const TRIED: [&str; 12] = [
    "blue-green.toml",
    "canary.toml",
    "container.toml",
    "database-migration.toml",
    "from-github-actions.toml",
    "from-gitlab-ci.toml",
    "from-kamal.toml",
    "from-laminar.toml",
    "many-small-services.toml",
    "monorepo.toml",
    "static-site.toml",
    "systemd-service.toml",
];

#[test]
fn every_recipe_loads_without_a_warning_and_is_tried() {
    let entries = fs::read_dir(root().join("docs/recipes")).expect("recipes");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
    let names: BTreeSet<String> = names.filter(|name| name.ends_with(".toml")).collect();
    assert_eq!(names, TRIED.map(str::to_owned).into());
    for name in names {
        let text = text_of(&name);
        let said = match load(&name, text.as_bytes()) {
            Ok(loaded) => loaded.warnings,
            Err(diagnostics) => diagnostics,
        };
        assert!(said.is_empty(), "{}", render(&said, &|_| Some(text.as_str()), false, 120));
    }
}

#[test]
fn monorepo() {
    let build = "mkdir -p dist; cat ../../lib/words > dist/cart\n";
    let files = [
        ("services/cart/build.sh", build),
        ("services/cart/test.sh", "grep -q . dist/cart || test -f VERSION\n"),
        ("services/cart/VERSION", "3.0.0"),
        ("services/mail/code", "mail"),
        ("lib/words", "old"),
    ];
    let mut kitchen = Kitchen::new("monorepo.toml", &files, &[]);
    kitchen.passes("production", "3.0.0");
    assert_eq!(kitchen.reads("cart/current/cart"), "old");
    kitchen.push("1.0.1", &[("services/mail/code", "new")]);
    let ignored = kitchen.0.wait("push_ignored", &[]);
    assert!(ignored["reason"].as_str().expect("a reason").contains("paths"), "{ignored}");
    kitchen.push("1.0.2", &[("lib/words", "new"), ("services/cart/VERSION", "3.1.0")]);
    kitchen.passes("production", "3.1.0");
    assert_eq!(kitchen.reads("cart/current/cart"), "new");
}

#[test]
fn blue_green() {
    let mut kitchen = Kitchen::new("blue-green.toml", &[BUILD], &[]);
    let calls = kitchen.passes("production", "1.0.0");
    assert!(
        calls.starts_with("sudo -n systemctl restart shop@blue\ncurl ") && calls.contains(":8081/"),
        "{calls}"
    );
    assert!(calls.ends_with("sudo -n systemctl reload nginx\n"), "{calls}");
    kitchen.push("1.1.0", &[]);
    let calls = kitchen.passes("production", "1.1.0");
    assert!(calls.contains("shop@green") && !calls.contains("shop@blue"), "{calls}");
    assert_eq!(
        (kitchen.leads("shop/live"), kitchen.leads("shop/upstream.conf")),
        ("green".into(), "upstream-green.conf".into())
    );
    assert_eq!(
        (kitchen.reads("shop/green/shop"), kitchen.reads("shop/blue/shop")),
        ("1.1.0".into(), "1.0.0".into())
    );
    // One that does not answer is never turned to; the way back puts the version that is current there, and fails here
    // because nothing answers at all: it is tried again by itself.
    kitchen.breaks(true);
    kitchen.push("2.0.0", &[]);
    kitchen.0.wait("rollback_failed", &[]);
    assert_eq!(kitchen.leads("shop/live"), "green");
    assert!(!kitchen.calls().contains("reload nginx"));
    kitchen.breaks(false);
    kitchen.0.good(&["retry", "shop", "production"]);
    kitchen.0.wait("rollback_complete", &[]);
    assert_eq!(
        (kitchen.leads("shop/live"), kitchen.reads("shop/blue/shop")),
        ("blue".into(), "1.1.0".into())
    );
}

#[test]
fn canary() {
    let files = [BUILD, ("error-rate.sh", "! grep -q bad VERSION\n")];
    let soon = [("\"5m\", within = \"10m\"", "\"100ms\", within = \"5s\"")];
    let mut kitchen = Kitchen::new("canary.toml", &files, &soon);
    kitchen.passes("production", "1.0.0");
    kitchen.breaks(true);
    kitchen.push("2.0.0", &[]);
    kitchen.0.wait("deploy_failed", &[("version", "2.0.0"), ("node", "w1"), ("failure", "unhealthy")]);
    kitchen.breaks(false);
    kitchen.goes_back("2.0.0");
    let touched = |event: &serde_json::Value| event["kind"] == "deploy_start" && event["version"] == "2.0.0";
    let nodes: Vec<_> =
        kitchen.0.heard.iter().filter(|event| touched(event)).map(|event| &event["node"]).collect();
    assert_eq!(nodes, ["w1"], "nobody else saw it");
    assert_eq!(kitchen.reads("shop/current/shop"), "1.0.0");
}

#[test]
fn static_site() {
    // A web server of these files.
    let site = std::sync::Arc::new(std::sync::OnceLock::<std::path::PathBuf>::new());
    let folder = site.clone();
    let server = Receiver::answering(move |_, request| {
        let file = folder.get().map(|folder| folder.join(request.path.trim_start_matches('/')));
        let text = file.and_then(|file| fs::read_to_string(file).ok());
        Some(crate::whole::receiver::answer(
            if text.is_some() { 200 } else { 404 },
            &text.unwrap_or_default(),
        ))
    });
    let url = server.url("/index.html");
    let mut kitchen = Kitchen::new("static-site.toml", &[BUILD], &[("http://www.internal/index.html", &url)]);
    site.set(kitchen.0.path("place/srv/www/current")).expect("once");
    kitchen.passes("live", "1.0.0");
    kitchen.push("1.1.0", &[]);
    kitchen.passes("live", "1.1.0");
    assert_eq!(
        (kitchen.leads("www/current"), kitchen.reads("www/current/index.html")),
        ("releases/1.1.0".into(), "1.1.0".into())
    );
    kitchen.push("2.0.0", &[("build.sh", "mkdir -p public; echo nothing > public/other.html\n")]);
    kitchen.goes_back("2.0.0");
    assert_eq!(kitchen.reads("www/current/index.html"), "1.1.0");
}

#[test]
fn database_migration() {
    if !Command::new("sqlite3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("not tried here: there is no sqlite3");
        return;
    }
    let migrate = |statement: &str| format!("sqlite3 \"$1\" '{statement}'\n");
    let good = migrate("CREATE TABLE IF NOT EXISTS ages (age INT)");
    let ask = |kitchen: &Kitchen, question: &str| {
        let file = kitchen.0.path("place/srv/shop/shop.sqlite");
        let output = Command::new("sqlite3").arg(file).arg(question).output().expect("sqlite3 runs");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    let first = "$PLACE/srv/shop/shop.sqlite .dump";
    let filled = "$PLACE/srv/shop/shop.sqlite 'CREATE TABLE IF NOT EXISTS people (name TEXT)' .dump";
    let mut kitchen =
        Kitchen::new("database-migration.toml", &[BUILD, ("migrate.sh", &good)], &[(first, filled)]);
    let calls = kitchen.passes("production", "1.0.0");
    assert_eq!(calls, "sudo -n systemctl restart shop\n");
    assert_eq!(ask(&kitchen, ".tables").split_whitespace().collect::<Vec<_>>(), ["ages", "people"]);
    ask(&kitchen, "INSERT INTO people VALUES ('ann'), ('ann')");
    kitchen.push("1.1.0", &[("migrate.sh", &migrate("CREATE UNIQUE INDEX once ON people (name)"))]);
    kitchen.0.wait("promote_failed", &[("version", "1.1.0"), ("end", "rejected")]);
    assert_eq!(kitchen.calls(), "", "the real one was not touched");
    assert_eq!(kitchen.reads("shop/current/shop"), "1.0.0");
}

#[test]
fn systemd_service() {
    let soon = [("\"10s\", within = \"60s\"", "\"100ms\", within = \"1s\"")];
    let mut kitchen = Kitchen::new("systemd-service.toml", &[BUILD], &soon);
    let calls = kitchen.passes("production", "1.0.0");
    assert_eq!(calls.matches("sudo -n systemctl restart shop\n").count(), 2, "{calls}");
    assert!(calls.contains("systemctl is-active --quiet shop\n"), "{calls}");
    assert_eq!(kitchen.reads("shop/current/shop"), "1.0.0");
}

#[test]
fn container() {
    let soon = [("\"10s\", within = \"60s\"", "\"100ms\", within = \"1s\"")];
    let mut kitchen = Kitchen::new("container.toml", &[("Containerfile", "FROM scratch\n")], &soon);
    let calls = kitchen.passes("production", "1.0.0");
    for said in [
        "docker build --quiet --tag shop:1.0.0 .\n",
        "docker load --quiet --input ",
        "docker run --detach --name shop ",
    ] {
        assert!(calls.contains(said), "{said}: {calls}");
    }
    assert_eq!(kitchen.reads("shop/image.tar"), "bits of shop:1.0.0");
}

#[test]
fn many_small_services() {
    let build = |b: &str| format!("mkdir -p bin; echo a > bin/a; echo {b} > bin/b\n");
    let mut kitchen = Kitchen::new("many-small-services.toml", &[("build.sh", &build("b"))], &[]);
    let calls = kitchen.passes("production", "1.0.0");
    assert_eq!(calls, "sudo -n systemctl restart small@a\nsudo -n systemctl restart small@b\n");
    kitchen.push("1.1.0", &[("build.sh", &build("new"))]);
    assert_eq!(kitchen.passes("production", "1.1.0"), "sudo -n systemctl restart small@b\n");
    assert_eq!(kitchen.reads("small/bin/b"), "new");
    kitchen.0.good(&["rollback", "shop", "production"]);
    kitchen.0.wait("rollback_complete", &[("version", "1.0.0")]);
    assert_eq!(kitchen.calls(), "sudo -n systemctl restart small@b\n");
    assert_eq!(kitchen.reads("small/bin/b"), "b");
}

/// Publishes by writing down what it was told, and whether it had the token.
const PUBLISH: (&str, &str) = (
    "build.sh",
    "mkdir -p dist; echo 'echo \"$1 $TIDEGATE_VERSION ${DEPLOY_TOKEN:+with a token}\" >> $PLACE/calls' > dist/publish.sh\n",
);

#[test]
fn from_github_actions() {
    let edits =
        [("run = \"sh build.sh\"", "run = \"sh build.sh && sed -i 's|.PLACE|$PLACE|' dist/publish.sh\"")];
    let mut kitchen =
        Kitchen::new("from-github-actions.toml", &[PUBLISH, ("test.sh", "test \"$CI\" = true\n")], &edits);
    assert_eq!(kitchen.passes("staging", "1.0.0"), "staging 1.0.0 with a token\n");
    kitchen.0.good(&["confirm", "shop", "production", "1.0.0"]);
    assert_eq!(kitchen.passes("production", "1.0.0"), "production 1.0.0 with a token\n");
}

#[test]
fn from_gitlab_ci() {
    let files = [
        ("build.sh", "mkdir -p dist; cp VERSION dist/shop\n"),
        ("lint.sh", "exit 1\n"),
        ("test.sh", "true\n"),
    ];
    let mut kitchen = Kitchen::new("from-gitlab-ci.toml", &files, &[]);
    kitchen.passes("test", "1.0.0");
    kitchen.0.good(&["promote", "shop", "production", "1.0.0"]);
    kitchen.passes("production", "1.0.0");
    assert_eq!(kitchen.reads("shop/current/shop"), "1.0.0");
}

#[test]
fn from_laminar() {
    let test = ("test.sh", "test \"$MAKEFLAGS\" = -j2\n");
    let mut kitchen = Kitchen::new("from-laminar.toml", &[BUILD, test], &[]);
    kitchen.passes("production", "1.0.0");
    assert_eq!(kitchen.reads("shop/current/shop"), "1.0.0");
}

#[test]
fn from_kamal() {
    let mut kitchen = Kitchen::new("from-kamal.toml", &[("Dockerfile", "FROM scratch\n")], &[]);
    let calls = kitchen.passes("production", "1.0.0");
    let in_order =
        ["docker push registry.internal/shop:1.0.0\n", "docker pull --quiet registry.internal/shop@sha256:"];
    assert!(in_order.iter().all(|said| calls.contains(said)), "{calls}");
    assert_eq!(
        calls.matches("docker exec kamal-proxy kamal-proxy deploy shop-web --target shop-web-1.0.0-").count(),
        2,
        "{calls}"
    );
    assert_eq!(calls.matches("docker stop shop-web-old\n").count(), 2, "{calls}");
    // One that the proxy does not take is removed, and the one before goes on.
    kitchen.push("2.0.0", &[]);
    kitchen.goes_back("2.0.0");
    assert!(kitchen.0.heard.iter().all(|event| event["kind"] != "rollback_failed"));
}
