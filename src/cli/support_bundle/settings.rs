//! The controller's settings, key by key: what is not named here is not told. Commands, which may hold anything, and where
//! secrets are, are told only to be there.

use crate::settings::{ReadAccess, SecretPlace, Settings, UnixDoor};
use serde_json::{Map, Value, json};
use std::time::Duration;

pub(super) fn told(settings: &Settings) -> Value {
    let Settings {
        pipelines,
        state,
        listen,
        unix,
        trusted_proxies,
        insecure_http,
        hosts,
        jobs,
        ssh_command,
        read,
        drain,
        stall,
        log_limit_bytes,
        retention,
        webhooks,
        file,
    } = settings;
    let seconds = |span: &Duration| span.as_secs_f64();
    let forges: Map<String, Value> = webhooks
        .iter()
        .map(|(forge, place)| {
            let kind = match place {
                SecretPlace::File(_) => "in a file",
                SecretPlace::Env(_) => "in the environment",
            };
            (forge.as_str().to_owned(), kind.into())
        })
        .collect();
    json!({
        "file": file,
        "pipelines": pipelines,
        "state": state.path(),
        "listen": listen,
        "unix": of_unix(unix),
        "trusted_proxies": trusted_proxies.len(),
        "insecure_http": insecure_http,
        "hosts": hosts.len(),
        "jobs": jobs,
        "ssh_command": if *ssh_command == ["ssh"] { "ssh".to_owned() } else { format!("*** ({} words)", ssh_command.len()) },
        "read": match read {
            ReadAccess::Open => "open",
            ReadAccess::Token => "token",
        },
        "drain_s": seconds(drain),
        "stall_s": seconds(stall),
        "log_limit_bytes": log_limit_bytes,
        "retention": {
            "versions": retention.versions,
            "logs_s": seconds(&retention.logs),
            "events_s": retention.events.as_ref().map(seconds),
            "min_free_bytes": retention.min_free_bytes,
        },
        "webhooks": forges,
    })
}

fn of_unix(unix: &UnixDoor) -> Value {
    let UnixDoor { socket, mode, users } = unix;
    // Who has which role is told, and not who they are.
    let roles: Vec<_> = users.values().map(|role| role.as_str()).collect();
    json!({ "socket": socket, "mode": format!("{mode:04o}"), "roles_of_users": roles })
}
