//! A client of the controller's HTTP interface: where it is, by which token, and what its refusals mean.

use super::Exit;
use super::credential::Credential;
use super::socket;
use super::trouble::Trouble;
use crate::server::WhoView;
use crate::settings::{DEFAULT_FILE, Overrides, Settings, StateDir, default_state_folder};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::config::Config;

/// Where the controller is when nothing says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8433";

/// The code of an answer that no controller gives.
pub(super) const FOREIGN: &str = "TG-CLI-021";

/// The longest answer that is read.
const ANSWER_LIMIT_BYTES: u64 = 64 << 20;

/// Where `--help` puts these.
const HEADING: &str = "The controller";

/// How a command finds the controller.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Where {
    /// The controller's address, or `unix:PATH` [default: its Unix socket, if it has one that lets us in; else what
    /// `tidegate.toml` here says, else http://127.0.0.1:8433]
    #[arg(long, env = "TIDEGATE_URL", global = true, help_heading = HEADING)]
    pub(super) url: Option<String>,
    /// A file that holds a token; else $TIDEGATE_TOKEN, else the one in the state folder, which only its own controller
    /// is shown
    #[arg(long, value_name = "FILE", global = true, help_heading = HEADING)]
    pub(super) token_file: Option<PathBuf>,
    /// The controller's state folder [default: what `tidegate.toml` here says, else $XDG_STATE_HOME/tidegate]
    #[arg(long, env = "TIDEGATE_STATE", value_name = "DIR", global = true, help_heading = HEADING)]
    pub(super) state: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// What is there of a part of a file.
pub(super) enum Part {
    /// Where it begins, and its bytes.
    There(u64, Vec<u8>),
    /// The file does not reach there.
    Nothing,
    /// There is no file.
    NoFile,
}

/// A connection to one controller.
pub(super) struct Client {
    agent: ureq::Agent,
    /// The address, as people know it.
    url: String,
    /// What stands before paths.
    base: String,
    credential: Credential,
}

impl Where {
    /// A controller whose state folder is at hand.
    pub(super) fn of(url: &str, state: &Path) -> Where {
        Where { url: Some(url.into()), token_file: None, state: Some(state.into()), json: false }
    }

    /// The address that is meant.
    pub(super) fn url(&self) -> Result<String, Trouble> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        settings_here()?.map_or_else(|| Ok(DEFAULT_URL.into()), |settings| address_of(settings.listen))
    }

    /// The state folder that is meant.
    pub(super) fn state_dir(&self) -> Result<Option<StateDir>, Trouble> {
        if let Some(folder) = &self.state {
            return Ok(Some(StateDir::new(folder)));
        }
        if let Some(settings) = settings_here()? {
            return Ok(Some(settings.state));
        }
        Ok(default_state_folder(|name| std::env::var_os(name)).ok().map(StateDir::new))
    }

    /// The same without showing a token.
    pub(super) fn anonymous(&self, limit: Duration) -> Result<Client, Trouble> {
        let url = self.url()?;
        Ok(Client::new(&url, config(Some(limit), None), Credential::None))
    }

    /// A client of that controller.
    pub(super) fn client(&self) -> Result<Client, Trouble> {
        self.client_within(Duration::from_secs(60))
    }

    /// A client of that controller whose answers may take for ever: streams.
    pub(super) fn client_that_waits(&self) -> Result<Client, Trouble> {
        self.client_by(None, None)
    }

    /// The same for streams that give signs of life: one read without any is the end.
    pub(super) fn client_that_hears(&self, silence: Duration) -> Result<Client, Trouble> {
        self.client_by(None, Some(silence))
    }

    /// The same, with a limit for each request.
    pub(super) fn client_within(&self, limit: Duration) -> Result<Client, Trouble> {
        self.client_by(Some(limit), None)
    }

    /// A client over the controller's socket, where that is there and lets us in as who we are. Who names an address or
    /// a token means what they name.
    fn by_socket(&self, config: &Config) -> Result<Option<Client>, Trouble> {
        if self.url.is_some() || Credential::is_named(self) {
            return Ok(None);
        }
        let Some(path) = socket::of(self.state_dir()?.as_ref())? else { return Ok(None) };
        let url = format!("{}{}", socket::SCHEME, path.display());
        let client = Client::new(&url, config.clone(), Credential::None);
        let who: Option<WhoView> = client.read("/api/whoami").ok();
        Ok(who.is_some_and(|who| who.role.is_some()).then_some(client))
    }

    fn client_by(&self, limit: Option<Duration>, silence: Option<Duration>) -> Result<Client, Trouble> {
        let config = config(limit, silence);
        if let Some(client) = self.by_socket(&config)? {
            return Ok(client);
        }
        let url = self.url()?;
        let credential = Credential::of(self, &url)?;
        Ok(Client::new(&url, config, credential))
    }
}

fn config(limit: Option<Duration>, silence: Option<Duration>) -> Config {
    let connect = Duration::from_secs(2);
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        // The controller is asked directly: a token is not for a proxy.
        .proxy(None)
        .timeout_connect(Some(limit.map_or(connect, |limit| limit.min(connect))))
        .timeout_global(limit)
        .timeout_per_read(silence)
        .build()
}

/// The settings of a controller that is run from this folder, if there are any.
pub(super) fn settings_here() -> Result<Option<Settings>, Trouble> {
    match Path::new(DEFAULT_FILE).exists() {
        true => Ok(Some(Settings::load(&Overrides::default())?)),
        false => Ok(None),
    }
}

/// Where a controller answers that listens there. A folder may be somebody else's: a file in it must not lead a token
/// away from this machine.
pub(super) fn address_of(listen: SocketAddr) -> Result<String, Trouble> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    if ip.to_canonical().is_loopback() {
        return Ok(format!("http://{}", SocketAddr::new(ip, listen.port())));
    }
    let message = format!("`{DEFAULT_FILE}` here says that the controller listens on {listen}");
    let help = format!("if that is the one, say so: `--url http://{listen}` or TIDEGATE_URL");
    Err(Trouble::new("TG-CLI-020", message, help, Exit::Usage))
}

impl Client {
    fn new(url: &str, config: Config, credential: Credential) -> Client {
        let (agent, base) = match socket::named(url) {
            Some(path) => (socket::agent(config, path), socket::BASE),
            None => (config.into(), url.trim_end_matches('/')),
        };
        Client { agent, url: url.trim_end_matches('/').into(), base: base.into(), credential }
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A GET whose answer is JSON.
    pub(super) fn get(&self, path: &str) -> Result<Value, Trouble> {
        let mut request = self.agent.get(self.address(path)).header("Accept", "application/json");
        if let Some(token) = self.credential.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.answer(request.call())
    }

    /// A GET whose answer has a known shape.
    pub(super) fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        shaped(self.get(path)?)
    }

    /// A GET whose answer is read as it comes.
    pub(super) fn stream(&self, path: &str, accept: &str) -> Result<impl std::io::Read + use<>, Trouble> {
        let mut request = self.agent.get(self.address(path)).header("Accept", accept);
        if let Some(token) = self.credential.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = request.call().map_err(|error| self.unreachable(&error.to_string()))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.answer(Ok(response)).err().unwrap_or_else(|| self.foreign(status)));
        }
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        if accept != "*/*" && !kind.is_some_and(|kind| kind.starts_with(accept)) {
            return Err(self.foreign(status));
        }
        Ok(response.into_body().into_reader())
    }

    /// A part of a file, at most so many bytes of it.
    pub(super) fn range(&self, path: &str, range: &str, limit: u64) -> Result<Part, Trouble> {
        let mut request = self.agent.get(self.address(path)).header("Range", range);
        if let Some(token) = self.credential.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = request.call().map_err(|error| self.unreachable(&error.to_string()))?;
        let from = match response.status().as_u16() {
            404 => return Ok(Part::NoFile),
            416 => return Ok(Part::Nothing),
            206 => {
                let part = response.headers().get("content-range").and_then(|part| part.to_str().ok());
                let part = part.and_then(|part| part.strip_prefix("bytes ")?.split('-').next());
                part.and_then(|from| from.parse().ok()).ok_or_else(|| self.foreign(response.status()))?
            }
            200 => 0,
            status => {
                let foreign = || self.foreign(ureq::http::StatusCode::from_u16(status).unwrap_or_default());
                return Err(self.answer(Ok(response)).err().unwrap_or_else(foreign));
            }
        };
        let mut bytes = Vec::new();
        let read = response.into_body().into_reader().take(limit).read_to_end(&mut bytes);
        read.map_err(|error| self.unreachable(&error.to_string()))?;
        Ok(Part::There(from, bytes))
    }

    /// A POST of JSON whose answer is JSON.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        let mut request = self.agent.post(self.address(path)).header("Content-Type", "application/json");
        if let Some(token) = self.credential.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.answer(request.send(body.to_string()))
    }

    fn answer(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, Trouble> {
        let mut response = response.map_err(|error| self.unreachable(&error.to_string()))?;
        let status = response.status();
        let bytes = response.body_mut().with_config().limit(ANSWER_LIMIT_BYTES).read_to_vec();
        let bytes = bytes.map_err(|error| self.unreachable(&error.to_string()))?;
        let value: Option<Value> = serde_json::from_slice(&bytes).ok();
        if status.is_success() {
            return value.ok_or_else(|| self.foreign(status));
        }
        let word = |name: &str| value.as_ref()?.get(name)?.as_str().map(str::to_owned);
        // Whatever the controller refuses has a code.
        let Some(code) = word("code") else { return Err(self.foreign(status)) };
        let detail = word("detail").or_else(|| word("title"));
        let code_is_usage = code == "TG-GIT-002";
        let mut message = detail.unwrap_or_else(|| format!("the controller answered with status {status}"));
        if status == 401 {
            message = format!("{message}; {}", self.credential.words());
        }
        Err(Trouble {
            code,
            message,
            help: match status.as_u16() {
                401 => "name a token of this controller by `--token-file FILE` or TIDEGATE_TOKEN; `tidegate token create` makes one, on its machine".into(),
                _ => word("help").unwrap_or_default(),
            },
            exit: match status.as_u16() {
                // A controller that answers what is wrong with a pipeline's repository is there, and lets us in.
                _ if code_is_usage => Exit::Usage,
                401 | 403 | 421 | 500.. => Exit::NoController,
                _ => Exit::Usage,
            },
        })
    }

    /// Something answers that is no controller.
    fn foreign(&self, status: ureq::http::StatusCode) -> Trouble {
        Trouble::new(
            FOREIGN,
            format!("what answers at {} is not tidegate: it says {status}", self.url),
            "name the controller's address with `--url` or TIDEGATE_URL; if it should have this one, end what listens \
             there, then `tidegate serve`",
            Exit::NoController,
        )
    }

    pub(super) fn unreachable(&self, error: &str) -> Trouble {
        Trouble::new(
            "TG-CLI-001",
            format!("no controller answers at {}: {error}", self.url),
            "start one with `tidegate serve`, or name another with `--url` or TIDEGATE_URL",
            Exit::NoController,
        )
    }
}

/// An answer in the shape that this release knows.
pub(super) fn shaped<T: DeserializeOwned>(answer: Value) -> Result<T, Trouble> {
    serde_json::from_value(answer).map_err(|error| {
        let message = format!("the controller's answer cannot be read: {error}");
        Trouble::new(
            "TG-CLI-002",
            message,
            "use the release of tidegate that the controller has",
            Exit::NoController,
        )
    })
}

/// A part of a path, with everything escaped that has a meaning there.
pub(super) fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Client, Credential, address_of, config, segment};
    use std::io::{Read as _, Write as _};
    use std::time::{Duration, Instant};

    #[test]
    fn settings_lead_to_this_machine_only() {
        let address = |listen: &str| address_of(listen.parse().unwrap());
        assert_eq!(address("0.0.0.0:9").unwrap(), "http://127.0.0.1:9");
        assert_eq!(address("[::]:9").unwrap(), "http://[::1]:9");
        assert_eq!(address("127.0.0.2:9").unwrap(), "http://127.0.0.2:9");
        assert_eq!(address("192.0.2.1:9").unwrap_err().code, "TG-CLI-020");
    }

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(segment("0.8.12+g1a2b3c4"), "0.8.12%2Bg1a2b3c4");
        assert_eq!(segment("../x?y#z"), "..%2Fx%3Fy%23z");
    }

    #[test]
    fn a_stream_that_falls_silent_ends() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (gone, waits) = std::sync::mpsc::channel::<()>();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4_096]).unwrap();
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: here\n";
            stream.write_all(head.as_bytes()).unwrap();
            // It stays, and says nothing.
            let _ = waits.recv_timeout(Duration::from_secs(20));
        });
        let config = config(None, Some(Duration::from_millis(300)));
        let client = Client::new(&url, config, Credential::None);
        let mut body = client.stream("/events", "text/event-stream").ok().unwrap();
        let begin = Instant::now();
        let mut text = String::new();
        assert!(body.read_to_string(&mut text).is_err(), "{text:?}");
        assert!(begin.elapsed() < Duration::from_secs(10));
        drop(gone);
        server.join().unwrap();
    }
}
