//! Backups that are fetched and kept, and migrations that are tried on them: with a real SQLite file and a real PostgreSQL
//! server, where their programs are installed.

use super::postgres::{self, Postgres};
use super::world::{World, those_with};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// A tier with a backup and a dry run on it; `$BACKUP` and `$DRY_RUN` are the rest of the gates' keys.
const PIPELINE: &str = r#"
[source]
repo = $REPO

[[tier]]
name = "prod"

[tier.deploy]
run = "echo $TIDEGATE_VERSION >> $PLACE/deploys"

[[tier.gate]]
name = "dump"
kind = "backup"
node = "local"
$BACKUP

[[tier.gate]]
name = "migrations"
kind = "migration_dry_run"
migrate = "sh migrate.sh"
$DRY_RUN
"#;

fn pipeline(backup: &str, dry_run: &str) -> String {
    PIPELINE.replace("$BACKUP", backup).replace("$DRY_RUN", dry_run)
}

fn has(program: &str) -> bool {
    let found = postgres::program(program).is_some();
    if !found {
        eprintln!("not tried: `{program}` is not installed; `tests/run` tries to");
    }
    found
}

fn message(done: &Value) -> &str {
    done["outcome"]["message"].as_str().unwrap_or_default()
}

fn log(world: &World, done: &Value) -> String {
    String::from_utf8(world.bytes(&format!("/api/runs/{}/log", done["run_id"]))).expect("text")
}

/// Pushes a version with these migrations; how the dry run ended.
fn tried(world: &mut World, version: &str, migrate: &str) -> Value {
    world.push(version, &[("migrate.sh", migrate)]);
    world.wait("gate_done", &[("name", "migrations"), ("version", version)])
}

/// What a step said it took, in milliseconds.
fn took(world: &World, run: &Value, what: &str) -> f64 {
    let said = world.heard.iter().filter(|event| event["kind"] == "step_event" && event["run_id"] == *run);
    let metric =
        said.map(|event| &event["event"]).find(|said| said["kind"] == "metric" && said["name"] == what);
    metric.unwrap_or_else(|| panic!("no metric `{what}`"))["value"].as_f64().expect("a number")
}

fn sqlite(world: &World, ask: &str) -> String {
    let database = world.path("place/shop.sqlite");
    let output = Command::new("sqlite3").arg(database).arg(ask).output().expect("sqlite3 runs");
    assert!(output.status.success(), "{ask}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Migrations that work, that the data does not allow, and that take too long. `run`: what runs one statement.
fn three_kinds(world: &mut World, run: &str) {
    let done = tried(world, "1.0.0", &format!("{run} 'ALTER TABLE people ADD COLUMN age INT'"));
    assert_eq!(done["outcome"]["classification"], "ok", "{done}\n{}", log(world, &done));
    assert!(log(world, &done).contains("tidegate: migrated in "), "{}", log(world, &done));
    assert!(took(world, &done["run_id"], "migrate") > 0.0 && took(world, &done["run_id"], "restore") > 0.0);
    world.wait("promote_complete", &[("version", "1.0.0")]);

    let done = tried(world, "1.1.0", &format!("{run} 'CREATE UNIQUE INDEX once ON people (name)'"));
    assert_eq!(done["outcome"]["classification"], "check_failed", "{done}");
    assert!(message(&done).starts_with("`migrate` exited with status "), "{done}");
    assert!(message(&done).to_lowercase().contains("unique"), "the words of the database: {done}");
    world.wait("promote_failed", &[("version", "1.1.0")]);

    let done = tried(world, "1.2.0", "trap '' TERM; while :; do sleep 0.1; done");
    assert_eq!(done["outcome"]["classification"], "timeout", "{done}");
    assert_eq!(message(&done), "migrating took longer than `within` = 2s, and was ended");
    assert!(took(world, &done["run_id"], "migrate") >= 2000.0);
    world.wait("promote_failed", &[("version", "1.2.0")]);
    assert_eq!(world.read("place/deploys"), "1.0.0\n");
}

#[test]
fn sqlite_migrations_are_tried_on_a_database_file() {
    if !has("sqlite3") {
        return;
    }
    let backup = "path = \"$PLACE/shop.sqlite\"\nverify = \"sqlite3 $TIDEGATE_BACKUP 'PRAGMA integrity_check' | grep -qx ok\"\nkeep = 2";
    let mut world = World::new(&pipeline(backup, "engine = \"sqlite\"\nwithin = \"2s\"\ngrace = \"300ms\""));
    sqlite(&world, "CREATE TABLE people (name TEXT); INSERT INTO people VALUES ('ann'), ('ann')");
    three_kinds(&mut world, "sqlite3 \"$TIDEGATE_DATABASE\"");
    assert_eq!(sqlite(&world, "SELECT * FROM people"), "ann\nann", "nobody touched the real one");

    // Each of the three was kept, by its content, which is the same.
    let file = fs::read(world.path("place/shop.sqlite")).expect("the database");
    let fetched: Vec<&Value> = world.heard.iter().filter(|event| event["kind"] == "backup_fetched").collect();
    assert_eq!(fetched.len(), 3);
    let first = fetched[0].clone();
    let source = format!("file://{}", world.path("place/shop.sqlite").display());
    for (field, value) in
        [("source", source.as_str()), ("tier", "prod"), ("gate", "backup"), ("name", "dump")]
    {
        assert_eq!(first[field], value, "{first}");
    }
    assert_eq!((&first["byte_size"], &first["version"]), (&Value::from(file.len()), &Value::from("1.0.0")));
    let digest = first["sha256"].as_str().expect("a digest").to_owned();
    let stored = format!("state/artifacts/sha256/{}/{}", &digest[..2], &digest[2..]);
    assert_eq!(fs::read(world.path(&stored)).expect("it is in the store"), file);
    let kept = world.get("/api/state")["pipelines"][0]["tiers"][0]["backups"].clone();
    let versions: Vec<&Value> = kept.as_array().expect("a list").iter().map(|one| &one["version"]).collect();
    assert_eq!(versions, ["1.2.0", "1.1.0"], "the newest two");

    // After a restart it is known all the same, and what was kept is restored.
    world.kill();
    world.start();
    assert_eq!(world.get("/api/state")["pipelines"][0]["tiers"][0]["backups"], kept);
    assert_eq!(world.strays(), []);
}

#[test]
fn sqlite_migrations_are_tried_on_sql_text_and_a_url() {
    if !has("sqlite3") {
        return;
    }
    let backup = "run = \"sqlite3 $PLACE/shop.sqlite .dump\"";
    let mut world = World::new(&pipeline(backup, "engine = \"sqlite\""));
    sqlite(&world, "CREATE TABLE people (name TEXT); INSERT INTO people VALUES ('ann')");
    let done = tried(&mut world, "1.0.0", "sqlite3 \"${DATABASE_URL#sqlite:}\" 'SELECT name FROM people'");
    assert_eq!(done["outcome"]["classification"], "ok", "{done}");
    assert!(log(&world, &done).contains("\nann\n"), "{}", log(&world, &done));
    // A tool that is not there is named, with what to do.
    world.edit(&pipeline("run = \"echo\"", "engine = \"sqlite\"\nenv = { PATH = \"/nowhere\" }"));
    world.wait("pipeline_loaded", &[]);
    let done = tried(&mut world, "1.0.1", "true");
    assert_eq!(done["outcome"]["blockers"][0]["tool"], "sqlite3", "{done}");
    assert!(message(&done).contains("install it (the package `sqlite3`"), "{done}");
    // What is no dump cannot be restored; that is not the version's fault.
    world.edit(&pipeline("run = \"echo this is no SQL\"", "engine = \"sqlite\""));
    world.wait("pipeline_loaded", &[]);
    let done = tried(&mut world, "1.1.0", "true");
    assert_eq!(done["outcome"]["classification"], "infrastructure", "{done}");
    assert!(message(&done).starts_with("the backup could not be restored: `sqlite3` exited with"), "{done}");
    let blocked = world.wait("promote_blocked", &[("version", "1.1.0")]);
    assert_eq!(blocked["stepped_back"], true, "{blocked}");
    // Repaired, it is fetched again though the gate had passed, and goes through.
    world.edit(&pipeline(backup, "engine = \"sqlite\""));
    world.wait("pipeline_loaded", &[]);
    world.good(&["retry", "shop", "prod", "1.1.0"]);
    world.wait("promote_complete", &[("version", "1.1.0")]);
    let fetched = world.heard.iter().filter(|event| event["kind"] == "backup_fetched").count();
    assert_eq!(fetched, 4);
}

#[test]
fn any_database_is_tried_by_commands() {
    let dry_run = "engine = \"command\"\nrestore = \"cp $TIDEGATE_BACKUP $TIDEGATE_SCRATCH/data\"";
    let mut world = World::new(&pipeline("run = \"echo data\"", dry_run));
    let done =
        tried(&mut world, "1.0.0", "grep -qx data \"$TIDEGATE_SCRATCH/data\" && env | grep -c DRY_RUN= ");
    assert_eq!(done["outcome"]["classification"], "check_failed", "the order is not for others: {done}");
    let done = tried(&mut world, "1.0.1", "grep -qx data \"$TIDEGATE_SCRATCH/data\"");
    assert_eq!(done["outcome"]["classification"], "ok", "{done}");
    let done = tried(&mut world, "1.0.2", "no-such-migrator up");
    assert_eq!(done["outcome"]["classification"], "missing_tool", "{done}");
    assert_eq!(done["outcome"]["blockers"][0]["tool"], "no-such-migrator", "{done}");
}

#[test]
fn a_dry_run_wants_a_backup_that_is_fresh_enough() {
    let text = pipeline("run = \"echo data\"", "engine = \"command\"\nrestore = \"true\"\nmax_age = \"1s\"");
    // The dry run is in the tier before: it gets what the tier behind it fetched.
    let (source, gate) = text.split_once("[[tier]]").expect("a tier");
    let (rest, dry_run) = gate.rsplit_once("[[tier.gate]]").expect("a gate");
    let text = format!(
        "{source}[[tier]]\nname = \"early\"\n[[tier.gate]]{}required = false\n[[tier]]{rest}",
        dry_run
    );
    let mut world = World::new(&text);
    let done = tried(&mut world, "1.0.0", "true");
    assert_eq!(done["outcome"]["blockers"], serde_json::json!([{"kind": "backup_stale", "age": "none"}]));
    world.wait("promote_complete", &[("tier", "prod")]);
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let done = tried(&mut world, "1.1.0", "true");
    assert_eq!(done["outcome"]["blockers"][0]["kind"], "backup_stale", "{done}");
    assert!(message(&done).contains("old, and `max_age` is 1s"), "{done}");
    world.wait("promote_complete", &[("tier", "prod"), ("version", "1.1.0")]);
    world.edit(&text.replace("\"1s\"", "\"1h\""));
    world.wait("pipeline_loaded", &[]);
    let done = tried(&mut world, "1.2.0", "true");
    assert_eq!(done["outcome"]["classification"], "ok", "{done}");
}

const PSQL: &str = "psql -X -q -v ON_ERROR_STOP=1 -d \"$DATABASE_URL\" -c";

fn dump(server: &Postgres, options: &str) -> String {
    let host = server.host();
    format!("run = \"pg_dump {options} -h {host} -U postgres shop\"\nverify = \"test -s $TIDEGATE_BACKUP\"")
}

fn with_people(server: &Postgres) {
    server
        .sql("shop", "CREATE ROLE owner; CREATE TABLE people (name TEXT); ALTER TABLE people OWNER TO owner");
    server.sql("shop", "INSERT INTO people VALUES ('ann'), ('ann')");
}

/// What is left in the folder that scratch servers are made in.
fn left(world: &World) -> usize {
    fs::read_dir(world.path("place/tmp")).expect("a folder").count()
}

/// Kills the controller and the step's own process at once.
fn crash(world: &mut World) {
    let ours = those_with(world.folder.path()).into_iter();
    let step: Vec<i32> =
        ours.filter(|(pid, name)| *pid != world.pid() && name == "tidegate").map(|(pid, _)| pid).collect();
    assert_eq!(step.len(), 1);
    world.kill();
    let pid = rustix::process::Pid::from_raw(step[0]).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    world.hear_the_rest();
}

const THROW_AWAY: &str =
    "engine = \"postgres\"\nwithin = \"2s\"\ngrace = \"300ms\"\nenv = { TMPDIR = \"$PLACE/tmp\" }";

#[test]
fn postgres_migrations_are_tried_on_a_server_that_is_thrown_away() {
    let Some(server) = Postgres::start() else { return };
    with_people(&server);
    let backup = dump(&server, "-Fc").replace("test -s", "pg_restore --list");
    let mut world = World::unborn(&pipeline(&backup, THROW_AWAY));
    postgres::open(&world);
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    three_kinds(&mut world, PSQL);
    assert_eq!(server.sql("shop", "SELECT count(*) FROM people"), "2");
    assert_eq!(left(&world), 0);
    // As `psql` finds it by itself, in the other form that `pg_dump` has.
    world.edit(&pipeline(&dump(&server, "-Ft"), THROW_AWAY));
    world.wait("pipeline_loaded", &[]);
    let done = tried(&mut world, "1.3.0", "test \"$(psql -X -A -t -c 'SELECT count(*) FROM people')\" = 2");
    assert_eq!(done["outcome"]["classification"], "ok", "{done}\n{}", log(&world, &done));
    world.edit(&pipeline(&dump(&server, "--no-owner"), THROW_AWAY));
    world.wait("pipeline_loaded", &[]);
    let done = tried(&mut world, "1.4.0", &format!("{PSQL} 'DELETE FROM people'"));
    assert_eq!(done["outcome"]["classification"], "ok", "{done}\n{}", log(&world, &done));
    world.wait("promote_complete", &[("version", "1.4.0")]);
    assert_eq!(server.sql("shop", "SELECT count(*) FROM people"), "2");
    // A dump that names its own database would go to one that is in use.
    world.edit(&pipeline(&dump(&server, "-C"), THROW_AWAY));
    world.wait("pipeline_loaded", &[]);
    let done = tried(&mut world, "1.5.0", "true");
    assert!(message(&done).contains("without `-C`"), "{done}");
    assert_eq!(left(&world), 0);
    assert_eq!(world.strays(), []);
}

#[test]
fn a_scratch_server_is_gone_after_a_cancel_and_after_a_crash_of_the_controller() {
    let Some(server) = Postgres::start() else { return };
    with_people(&server);
    let slow = THROW_AWAY.replace("2s", "10m").replace("env = {", "env = { PASSPHRASE = \"none\",");
    let mut world = World::unborn(&pipeline(&dump(&server, "-Fc"), &slow));
    postgres::open(&world);
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    let at_it = |world: &mut World| {
        world.wait_for("the migrations", |event| {
            event["kind"] == "gate_log_chunk"
                && event["text"].as_str().is_some_and(|text| text.contains("at it"))
        });
        let those = those_with(world.folder.path());
        let (server, _) = those.iter().find(|(_, name)| name == "postgres").expect("a server");
        let told = fs::read_to_string(format!("/proc/{server}/environ")).expect("its environment");
        assert!(!told.contains("PASSPHRASE") && told.contains("TIDEGATE_EVENTS="), "no secrets: {told}");
    };
    world.push("1.0.0", &[("migrate.sh", "echo at it; exec sleep 1000")]);
    at_it(&mut world);
    world.good(&["cancel", "shop", "prod"]);
    let done = world.wait("gate_done", &[("name", "migrations")]);
    assert_eq!(done["outcome"]["classification"], "canceled", "{done}");
    assert_eq!(world.strays(), []);
    assert_eq!(left(&world), 0);

    world.push("1.1.0", &[("migrate.sh", "echo at it; exec sleep 1000")]);
    at_it(&mut world);
    crash(&mut world);
    let servers = those_with(world.folder.path()).iter().filter(|(_, name)| name == "postgres").count();
    assert!(servers >= 1 && left(&world) == 1, "nobody was there to end the server");
    world.start();
    let done = world.wait("gate_done", &[("name", "migrations")]);
    assert_eq!(done["outcome"]["classification"], "interrupted", "{done}");
    world.wait("gate_start", &[("name", "migrations")]);
    at_it(&mut world);
    let folders = fs::read_dir(world.path("state/work/shop/gates")).expect("a folder").count();
    assert_eq!((left(&world), folders), (left(&world).min(1), 1), "what the first left is gone");
    world.good(&["cancel", "shop", "prod"]);
    world.wait("promote_failed", &[("version", "1.1.0")]);
    assert_eq!(left(&world), 0);
    assert_eq!(world.strays(), []);
}

#[test]
fn postgres_migrations_are_tried_on_a_server_that_the_pipeline_names() {
    let Some(server) = Postgres::start() else { return };
    with_people(&server);
    let secret = "[secrets]\nSCRATCH = { file = \"$PLACE/server\" }\n";
    let dry_run = "engine = \"postgres\"\nwithin = \"2s\"\ngrace = \"300ms\"\nserver = \"$SCRATCH\"\nsecrets = [\"SCRATCH\"]";
    let text = format!("{}\n{secret}", pipeline(&dump(&server, "-Fc"), dry_run));
    let mut world = World::new(&text);
    let url = format!("postgres://postgres@localhost/postgres?host={}", server.host());
    fs::write(world.path("place/server"), url).expect("a secret");
    three_kinds(&mut world, PSQL);
    assert_eq!(server.databases(), ["postgres", "shop"]);
    assert_eq!(server.sql("shop", "SELECT count(*) FROM people"), "2");

    // What a crash leaves is known by the next run; what is called alike is not.
    world.edit(&text.replace("2s", "10m"));
    world.wait("pipeline_loaded", &[]);
    world.push("1.3.0", &[("migrate.sh", "echo at $PGDATABASE; exec sleep 1000")]);
    let chunk = world.wait_for("the migrations", |event| {
        event["text"].as_str().is_some_and(|text| text.contains("at tidegate_"))
    });
    let name = chunk["text"].as_str().and_then(|text| text.rsplit("at ").next()).expect("a name");
    let name = name.trim().to_owned();
    crash(&mut world);
    assert!(server.databases().contains(&name), "{name}: {:?}", server.databases());
    server.sql("postgres", "CREATE DATABASE tidegate_other_1");
    world.start();
    world.wait("gate_start", &[("name", "migrations")]);
    world.wait_for("the migrations", |event| {
        event["text"].as_str().is_some_and(|text| text.contains("at tidegate_"))
    });
    assert!(!server.databases().contains(&name), "{name}: {:?}", server.databases());
    world.good(&["cancel", "shop", "prod"]);
    world.wait("promote_failed", &[("version", "1.3.0")]);
    assert_eq!(server.databases(), ["postgres", "shop", "tidegate_other_1"]);

    // A server that is not there is not the version's fault, and its password is nobody's to read.
    let away = "postgres://ci:hunter2hunter2@localhost/postgres?host=/nowhere";
    fs::write(world.path("place/server"), away).expect("a secret");
    let done = tried(&mut world, "1.4.0", "true");
    assert_eq!(done["outcome"]["classification"], "infrastructure", "{done}");
    assert!(!done.to_string().contains("hunter2") && !log(&world, &done).contains("hunter2"), "{done}");
}

/// What fetches that text.
const FETCHES: &str = "path = \"$PLACE/backup\"";

/// Restores this text; how it went, and its log. The place of a file that must not come to be is `$BAD`.
fn restored(world: &mut World, version: &str, text: &str, migrate: &str) -> (Value, String) {
    let text = text.replace("$BAD", world.path("bad").to_str().expect("text"));
    fs::write(world.path("place/backup"), text).expect("written");
    let done = tried(world, version, migrate);
    assert!(!world.path("bad").exists(), "it ran a program: {version}");
    let log = log(world, &done);
    (done, log)
}

#[test]
fn a_backup_for_sqlite_runs_no_programs() {
    if !has("sqlite3") {
        return;
    }
    let mut world = World::new(&pipeline(FETCHES, "engine = \"sqlite\""));
    let text = "CREATE TABLE people (name TEXT);\n.shell touch $BAD\n";
    let (done, log) = restored(&mut world, "1.0.0", text, "true");
    assert_eq!(done["outcome"]["classification"], "infrastructure", "{done}");
    assert!(log.contains("safe mode"), "{log}");
}

#[test]
fn a_backup_for_postgres_runs_no_programs() {
    let Some(_server) = Postgres::start() else { return };
    let mut world = World::unborn(&pipeline(FETCHES, THROW_AWAY));
    postgres::open(&world);
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    let bad = [
        ("1.0.0", "SELECT 1;\n\\! touch $BAD\n", "backslash commands are restricted"),
        ("1.1.0", "\\restrict a\nSELECT 1;\n\\unrestrict a\nSELECT 1 \\! touch $BAD\n", "are restricted"),
        ("1.2.0", "SELECT 1;\n\\unrestrict `touch $BAD`\n", "a `\\unrestrict` of its own"),
        ("1.3.0", "CREATE TABLE a (a TEXT);\nCOPY a FROM PROGRAM 'id';\n", "pg_execute_server_program"),
    ];
    for (version, text, why) in bad {
        let (done, log) = restored(&mut world, version, text, "true");
        assert_eq!(done["outcome"]["classification"], "infrastructure", "{version}: {done}");
        assert!(log.contains(why) || message(&done).contains(why), "{version}: {done}\n{log}");
    }
    // What is SQL is restored, and nobody who comes later runs it as somebody who could do more.
    let text = "\\restrict a\nCREATE TABLE people (name TEXT);\nCOPY people FROM stdin;\nC:\\\\unrestrict\n\\.\n\\unrestrict a\n";
    let migrate = "psql -X -A -t -c 'SELECT name, current_user FROM people' && \
                   psql -X -A -t -c 'SELECT usesuper FROM pg_user WHERE usename = current_user'";
    let (done, log) = restored(&mut world, "2.0.0", text, migrate);
    assert_eq!(done["outcome"]["classification"], "ok", "{done}\n{log}");
    assert!(log.contains("C:\\unrestrict|tidegate\nf\n"), "{log}");
    assert_eq!(left(&world), 0);
}
