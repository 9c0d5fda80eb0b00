//! Gates of each kind.

use super::bench::*;
use crate::domain::pipeline::Check;
use crate::domain::{Blocker, Classification, Job, Status};
use crate::interpreter::StopCause;
use crate::interpreter::probe::tests::{answer, serve};
use std::net::TcpListener;

#[tokio::test]
async fn every_gate_has_a_folder_of_its_own_with_the_same_bits() {
    let mut bench = Bench::new(&[("made", "bits\n")]).await;
    bench.pipeline.build.artifacts = vec!["made".into()];
    let artifacts = bench.carry_out(collect()).await.artifacts();
    let script = "cat $TIDEGATE_ARTIFACTS/made; test ! -e dirt; echo > dirt; echo > made; echo > $TIDEGATE_ARTIFACTS/made; \
        echo $TIDEGATE_TIER $TIDEGATE_PREVIOUS_VERSION $TIDEGATE_MODE $WHERE${TIDEGATE_NODE-none}";
    for _ in 0..2 {
        let told = bench.carry_out(gate(command(script), &artifacts)).await;
        assert!(told.outcome().passed(), "{:?}", told.outcome());
        assert_eq!(told.text(), "bits\nstaging 1.2.2 deploy in the pipelinenone\n");
        assert!(told.warnings().is_empty(), "{:?}", told.warnings());
    }
    let gates = bench.state().work().join("shop/gates");
    assert_eq!(std::fs::read_dir(gates).unwrap().count(), 0);
}

#[tokio::test]
async fn a_gate_may_say_that_it_cannot_judge() {
    let mut bench = Bench::new(&[]).await;
    let script =
        r#"echo '{"kind":"blocked","reason":"no board","help":"plug it in"}' > $TIDEGATE_EVENTS; exit 1"#;
    let told = bench.carry_out(gate(command(script), &[])).await;
    assert_eq!(told.class(), Classification::StepSays);
    let blocker = Blocker::StepSays { reason: "no board".into(), help: "plug it in".into() };
    assert_eq!(told.outcome().blockers, [blocker]);
}

#[tokio::test]
async fn missing_tools_block() {
    let mut bench = Bench::new(&[("tool.sh", "#!/no/such/interpreter\n")]).await;
    for script in ["no-such-tool-here --check", "./tool.sh"] {
        let told = bench.carry_out(gate(command(script), &[])).await;
        assert_eq!((told.class(), told.outcome().status), (Classification::MissingTool, Status::Blocked));
    }
    let told = bench.carry_out(gate(command("no-such-tool-here --check"), &[])).await;
    assert_eq!(told.outcome().blockers, [Blocker::MissingTool { tool: "no-such-tool-here".into() }]);
}

fn http(url: String, within: Option<u64>) -> Check {
    Check::HttpProbe {
        url,
        status: None,
        contains: Some("fine".into()),
        within: within.map(millis),
        every: millis(10),
    }
}

#[tokio::test]
async fn an_http_probe_asks_until_the_answer_is_good() {
    let address = serve(vec![answer(503, "wait"), answer(200, "soon"), answer(200, "all is fine")]);
    let mut bench = Bench::new(&[]).await;
    bench.pipeline.env.insert("AT".into(), address.to_string());
    let told = bench.carry_out(gate(http("http://$AT/health".into(), Some(30_000)), &[])).await;
    assert!(told.outcome().passed(), "{:?}", told.outcome());
    let log =
        std::fs::read_to_string(bench.state().path().join(told.outcome().log_ref.as_ref().unwrap())).unwrap();
    assert_eq!(log, told.text());
    assert!(log.contains("answered 503") && log.contains("without `fine`"), "{log}");
    assert_eq!(told.outcome().log_bytes, Some(log.len() as u64));
}

#[tokio::test]
async fn a_probe_without_a_good_answer_is_unhealthy_and_may_be_stopped() {
    let mut bench = Bench::new(&[]).await;
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = bench.carry_out(gate(http(format!("http://{address}/"), None), &[])).await;
    assert_eq!(told.class(), Classification::Unhealthy);
    assert!(told.outcome().message.as_ref().unwrap().contains("no answer"), "{:?}", told.outcome());
    let tcp = |tcp: String, within| Check::TcpProbe { tcp, within, every: millis(10) };
    let told = bench.carry_out(gate(tcp(address.to_string(), Some(millis(30))), &[])).await;
    assert_eq!(told.class(), Classification::Unhealthy);
    let effect = bench.begin(gate(tcp(address.to_string(), Some(millis(1_000_000))), &[]));
    bench.stop_at("no connection", &effect, StopCause::Interrupted).await;
    assert_eq!(bench.end().await.class(), Classification::Interrupted);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let told = bench.carry_out(gate(tcp(listener.local_addr().unwrap().to_string(), None), &[])).await;
    assert!(told.outcome().passed());
}

#[tokio::test]
async fn a_probe_has_its_timeout_and_uses_the_only_nodes_environment() {
    let mut bench = Bench::new(&[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut job = gate(http(format!("http://{}/", listener.local_addr().unwrap()), None), &[]);
    let Job::Gate { gate: it, .. } = &mut job else { unreachable!() };
    it.exec.timeout = Some(millis(30));
    assert_eq!(bench.carry_out(job).await.class(), Classification::Timeout);
    // `on a1` is no host: that it is asked for shows where the variable came from.
    let told = bench
        .carry_out(gate(Check::TcpProbe { tcp: "$WHERE:1".into(), within: None, every: millis(1) }, &[]));
    assert!(told.await.text().starts_with("tcp on a1:1: "));
    let told =
        bench.carry_out(gate(Check::TcpProbe { tcp: "$NOPE:1".into(), within: None, every: millis(1) }, &[]));
    assert_eq!(told.await.class(), Classification::Infrastructure);
}
