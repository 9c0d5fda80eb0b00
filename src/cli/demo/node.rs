//! What runs on a node of the demo: a web server that shows one page.

use crate::cli::{Exit, talk};
use axum::Router;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How long the node of before may take to let go of the port.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The port, on loopback
    port: u16,
    /// The folder with `index.html`
    folder: PathBuf,
}

pub(in crate::cli) fn run(args: &Args) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| runtime.block_on(serve(args)));
    match served {
        Ok(()) => Exit::Done,
        Err(error) => {
            talk::fail("TG-DEMO-001", format_args!("failed to serve on port {}: {error}", args.port), "");
            Exit::Failed
        }
    }
}

async fn serve(args: &Args) -> std::io::Result<()> {
    // The page of this version, even if `current` names another one later.
    let page = args.folder.canonicalize()?.join("index.html");
    let show = move || {
        let page = page.clone();
        async move { tokio::fs::read_to_string(page).await.map(Html).map_err(|_| StatusCode::NOT_FOUND) }
    };
    axum::serve(bind(args.port).await?, Router::new().route("/", get(show))).await
}

async fn bind(port: u16) -> std::io::Result<TcpListener> {
    let begin = Instant::now();
    loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && begin.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            bound => return bound,
        }
    }
}
