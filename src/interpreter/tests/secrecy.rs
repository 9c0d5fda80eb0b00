//! Secrets reach the step that lists them, and nothing else.

use super::bench::*;
use crate::domain::event::StepSaid;
use crate::domain::pipeline::{Check, Deploy, SecretSource};
use crate::domain::{Classification, Failure, Job};

const VALUE: &str = "hunter2-and-more";

async fn bench() -> Bench {
    let mut bench = Bench::new(&[]).await;
    let file = bench.path("secret");
    std::fs::write(&file, format!("{VALUE}\n")).unwrap();
    let sources = [
        ("FILE", SecretSource::File(file.to_str().unwrap().into())),
        ("COMMAND", SecretSource::Command(vec!["cat".into(), file.to_str().unwrap().into()])),
        ("GONE", SecretSource::File("/no/such/file".into())),
        ("UNSET", SecretSource::Env("TIDEGATE_TEST_NO_SUCH_VARIABLE".into())),
    ];
    bench.pipeline.secrets = sources.map(|(name, source)| (name.to_owned(), source)).into();
    bench
}

fn listing(names: &[&str], script: &str) -> Job {
    let mut job = step("secretive", script);
    let Job::Step { step, .. } = &mut job else { unreachable!() };
    step.exec.secrets = names.iter().map(|name| (*name).to_owned()).collect();
    job
}

#[tokio::test]
async fn a_step_gets_what_it_lists_and_the_log_does_not() {
    let mut bench = bench().await;
    let script = format!(
        r#"test "$FILE" = {VALUE} && test "$COMMAND" = {VALUE} && echo "got $FILE" && echo "{{\"kind\":\"output\",\"key\":\"k\",\"value\":\"$FILE\"}}" >> $TIDEGATE_EVENTS"#
    );
    let told = bench.carry_out(listing(&["FILE", "COMMAND"], &script)).await;
    assert!(told.outcome().passed(), "{:?}", told.outcome());
    assert_eq!(told.text(), "got ***\n");
    assert_eq!(told.said, [StepSaid::Output { key: "k".into(), value: "***".into() }]);
    let told = bench.carry_out(listing(&[], "echo ${FILE-none}")).await;
    assert_eq!(told.text(), "none\n");
}

#[tokio::test]
async fn what_cannot_be_read_keeps_the_step_from_starting() {
    let mut bench = bench().await;
    for name in ["GONE", "UNSET", "UNKNOWN"] {
        let told = bench.carry_out(listing(&[name], "echo ran")).await;
        assert_eq!((told.class(), told.text().as_str()), (Classification::Infrastructure, ""));
        assert!(told.outcome().message.as_ref().unwrap().contains(&format!("the secret `{name}`")));
    }
    let mut plan = Deploy { run: Some(shell("exit 0")), ..plain_deploy() };
    plan.exec.secrets = vec!["GONE".into()];
    assert_eq!(bench.carry_out(deploy(plan, &[])).await.failure(), Failure::Auth);
}

#[tokio::test]
async fn a_probe_hides_what_it_asks_with() {
    let mut bench = bench().await;
    let check = Check::TcpProbe { tcp: "$FILE:1".into(), within: None, every: millis(1) };
    let mut job = gate(check, &[]);
    let Job::Gate { gate, .. } = &mut job else { unreachable!() };
    gate.exec.secrets = vec!["FILE".into()];
    let told = bench.carry_out(job).await;
    assert_eq!(told.class(), Classification::Unhealthy);
    let message = told.outcome().message.clone().unwrap();
    assert!(told.text().starts_with("tcp ***:1: ") && message.starts_with("tcp ***:1: "), "{message}");
    assert!(!told.text().contains(VALUE) && !message.contains(VALUE));
}
