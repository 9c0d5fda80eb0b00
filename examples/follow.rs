//! Follows a controller: every deploy and every failure that it still knows, then those that come, for ever.
//!
//! `TIDEGATE_URL` says where it is (`http://127.0.0.1:8433`), `TIDEGATE_TOKEN` by which token, where reading takes one:
//! `cargo run --example follow`. For an `https` address give `tungstenite` one of its features for TLS.

use std::{env, thread::sleep, time::Duration};
use tidegate::wire::{self, Event};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, connect, stream::MaybeTlsStream};

#[expect(clippy::print_stdout, reason = "it is there to print")]
pub(crate) fn main() {
    let url = env::var("TIDEGATE_URL").unwrap_or("http://127.0.0.1:8433".into()).replacen("http", "ws", 1);
    let bearer = env::var("TIDEGATE_TOKEN").map(|token| format!("Bearer {token}"));
    let mut since = 0;
    loop {
        let address = format!("{url}/events?since={since}&logs=false").parse().expect("an address");
        let mut request = ClientRequestBuilder::new(address);
        if let Ok(value) = &bearer {
            request = request.with_header("Authorization", value);
        }
        if let Ok((mut socket, _)) = connect(request) {
            if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
                // A ping comes every 20 seconds; without one the connection is dead.
                stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
            }
            while let Ok(message) = socket.read() {
                let Ok(envelope) = wire::decode(message.to_text().unwrap_or_default()) else { continue };
                since = envelope.id.0;
                match envelope.fact.event {
                    Event::DeployOk { node, version, .. } => println!("{version} is on {node}"),
                    Event::DeployFailed { node, version, message, .. } => {
                        println!("{version} is not on {node}: {message}");
                    }
                    Event::PromoteFailed { tier, version, cause, .. } => {
                        println!("{version} is rejected in {tier}: {cause}");
                    }
                    _ => {}
                }
            }
        }
        sleep(Duration::from_secs(1));
    }
}
