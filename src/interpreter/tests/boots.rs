//! Gates that start a built artifact: programs that behave, and each way in which one may not.

use super::bench::*;
use crate::domain::event::StepSaid;
use crate::domain::pipeline::{Check, Probe, SecretSource};
use crate::domain::{Classification, Job};
use crate::interpreter::StopCause;
use crate::interpreter::probe::tests::{answer, serve};
use std::net::TcpListener;

/// A program that is up once it says so in a file, and ends on SIGTERM.
const GOOD: &str = "#!/bin/sh\ntrap 'echo bye; exit 0' TERM\necho \"hello $1 $PORT\"\ntouch \"$UP\"\n\
    while :; do sleep 0.05; done\n";

struct Boots {
    bench: Bench,
    artifacts: Vec<crate::domain::event::Artifact>,
}

impl Boots {
    /// A version whose artifact `server` is this text.
    async fn new(server: &str) -> Boots {
        let mut bench = Bench::new(&[("server", server)]).await;
        bench.pipeline.build.artifacts = vec!["server".into()];
        bench.pipeline.env.insert("UP".into(), bench.path("up").to_str().unwrap().into());
        bench.pipeline.env.insert("PORT".into(), "1".into());
        let artifacts = bench.carry_out(collect()).await.artifacts();
        Boots { bench, artifacts }
    }

    fn job(&self, probe: Probe) -> Job {
        let check = Check::BootSmoke {
            artifact: "server".into(),
            args: vec!["at $PORT".into()],
            probe,
            within: millis(5000),
            healthy_for: millis(300),
        };
        gate(check, &self.artifacts)
    }

    async fn run(&mut self, change: impl FnOnce(&mut Check)) -> Told {
        let mut job = self.job(is_up());
        let Job::Gate { gate, .. } = &mut job else { unreachable!() };
        change(&mut gate.check);
        self.bench.carry_out(job).await
    }

    /// The message of a version that is unhealthy.
    async fn ill(&mut self, change: impl FnOnce(&mut Check)) -> String {
        let told = self.run(change).await;
        assert_eq!(told.class(), Classification::Unhealthy, "{:?}", told.outcome());
        told.outcome().message.clone().unwrap()
    }
}

fn is_up() -> Probe {
    Probe::Run(shell("test -e \"$UP\" || { echo not yet; exit 1; }"))
}

#[tokio::test]
async fn a_program_that_answers_and_stays_passes_and_is_stopped() {
    let mut boots = Boots::new(GOOD).await;
    let told = boots.run(|_| {}).await;
    assert!(told.outcome().passed(), "{:?}", told.outcome());
    let text = told.text();
    let port = text.lines().next().unwrap().rsplit(' ').next().unwrap();
    assert!(port.parse::<u16>().unwrap() > 1, "a port of its own and not that of the pipeline: {text}");
    // A shell may remark that its `sleep` was ended too.
    assert!(text.starts_with(&format!("hello at {port} {port}\n")) && text.ends_with("bye\n"), "{text}");
    let log = boots.bench.state().path().join(told.outcome().log_ref.as_ref().unwrap());
    assert_eq!(std::fs::read_to_string(log).unwrap(), text);
    assert!(matches!(&told.said[..], [StepSaid::Metric { name, .. }] if name == "answered_after"));
    let gates = boots.bench.state().work().join("shop/gates");
    assert_eq!(std::fs::read_dir(gates).unwrap().count(), 0);
}

#[tokio::test]
async fn a_program_that_ends_early_or_later_is_unhealthy() {
    let mut boots = Boots::new("#!/bin/sh\necho no configuration >&2\nexit 3\n").await;
    let message = boots.ill(|_| {}).await;
    assert_eq!(message, "ended with status 3 before it answered: no configuration");

    let mut boots = Boots::new("#!/bin/sh\nsleep 100 &\nexit 0\n").await;
    assert!(boots.ill(|_| {}).await.contains("stay in the foreground"));

    let mut boots = Boots::new("#!/bin/sh\ntouch \"$UP\"\nsleep 0.3\nkill -SEGV $$\n").await;
    let message = boots
        .ill(|check| {
            let Check::BootSmoke { healthy_for, .. } = check else { unreachable!() };
            *healthy_for = millis(60_000);
        })
        .await;
    assert!(message.starts_with("ended by SIGSEGV after it had answered, while it was kept up"), "{message}");
}

#[tokio::test]
async fn a_program_that_never_answers_or_no_more_is_unhealthy() {
    let mut boots = Boots::new("#!/bin/sh\nexec sleep 100\n").await;
    let message = boots
        .ill(|check| {
            let Check::BootSmoke { within, .. } = check else { unreachable!() };
            *within = millis(200);
        })
        .await;
    assert!(message.starts_with("no answer within 200ms; at last the probe: ended with"), "{message}");
    assert!(message.ends_with(": not yet"), "{message}");

    let mut boots = Boots::new("#!/bin/sh\nexec sleep 100\n").await;
    let address = serve(vec![answer(200, "fine"), answer(503, "gone")]);
    let message = boots
        .ill(|check| {
            let Check::BootSmoke { probe, healthy_for, .. } = check else { unreachable!() };
            (*probe, *healthy_for) = (Probe::Http(format!("http://{address}/")), millis(60_000));
        })
        .await;
    assert!(message.contains("and then no more: GET") && message.contains("answered 503"), "{message}");
}

#[tokio::test]
async fn what_does_not_end_is_killed_with_all_that_it_started() {
    let stubborn =
        "#!/bin/sh\ntrap '' TERM\nsetsid sleep 1234567 &\ntouch \"$UP\"\nwhile :; do sleep 0.05; done\n";
    let mut boots = Boots::new(stubborn).await;
    let mut job = boots.job(is_up());
    let Job::Gate { gate, .. } = &mut job else { unreachable!() };
    gate.exec.grace = Some(millis(100));
    let told = boots.bench.carry_out(job).await;
    assert!(told.outcome().passed(), "{:?}", told.outcome());
    let warnings = told.warnings().join("\n");
    assert!(warnings.contains("was killed") && warnings.contains("`sleep`"), "{warnings}");
}

#[tokio::test]
async fn a_gate_that_is_stopped_or_late_says_that() {
    let mut boots = Boots::new(GOOD).await;
    let mut job = boots.job(Probe::Run(shell("false")));
    let effect = boots.bench.begin(job.clone());
    boots.bench.stop_at("hello", &effect, StopCause::Canceled).await;
    assert_eq!(boots.bench.end().await.class(), Classification::Canceled);
    let Job::Gate { gate, run: id, .. } = &mut job else { unreachable!() };
    (gate.exec.timeout, *id) = (Some(millis(200)), run());
    assert_eq!(boots.bench.carry_out(job).await.class(), Classification::Timeout);
}

#[tokio::test]
async fn what_cannot_be_started_is_told_apart() {
    let mut boots = Boots::new("no program\n").await;
    assert!(boots.ill(|_| {}).await.starts_with("it cannot be started: failed to start"));
    let mut boots = Boots::new("#!/no/such/interpreter\n").await;
    assert_eq!(boots.run(|_| {}).await.class(), Classification::MissingTool);
    let told = boots
        .run(|check| {
            let Check::BootSmoke { artifact, .. } = check else { unreachable!() };
            *artifact = "other".into();
        })
        .await;
    assert_eq!(told.class(), Classification::Infrastructure);
    assert!(told.outcome().message.as_ref().unwrap().contains("`other`"), "{:?}", told.outcome());
}

#[tokio::test]
async fn a_listening_port_is_an_answer_and_a_gate_may_choose_its_port() {
    let mut boots = Boots::new("#!/bin/sh\nexec sleep 100\n").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut job = boots.job(Probe::Tcp("127.0.0.1:$PORT".into()));
    let Job::Gate { gate, .. } = &mut job else { unreachable!() };
    gate.exec.env.insert("PORT".into(), listener.local_addr().unwrap().port().to_string());
    let told = boots.bench.carry_out(job).await;
    assert!(told.outcome().passed(), "{:?}", told.outcome());
}

#[tokio::test]
async fn a_secret_does_not_become_an_argument() {
    let mut boots = Boots::new(GOOD).await;
    let file = boots.bench.path("secret");
    std::fs::write(&file, "hunter2-and-more").unwrap();
    let source = SecretSource::File(file.to_str().unwrap().into());
    boots.bench.pipeline.secrets.insert("TOKEN".into(), source);
    let mut job = boots.job(is_up());
    let Job::Gate { gate, .. } = &mut job else { unreachable!() };
    gate.exec.secrets = vec!["TOKEN".into()];
    let Check::BootSmoke { args, .. } = &mut gate.check else { unreachable!() };
    *args = vec!["--token=$TOKEN".into()];
    let told = boots.bench.carry_out(job).await;
    assert_eq!(told.class(), Classification::Infrastructure);
    let message = told.outcome().message.clone().unwrap();
    assert!(message.contains("in its environment") && !message.contains("hunter2"), "{message}");
    assert_eq!(told.text(), "");
}
