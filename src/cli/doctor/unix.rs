//! The Unix socket: whether somebody else could put another one in its place, whom its mode lets in, whether this kernel
//! says which process connected, and whether a user with a role there is the account of a step.

use super::Findings;
use crate::cli::serve;
use crate::cli::serving::Serving;
use crate::domain::Pipeline;
use crate::server;
use crate::settings::{Settings, UnixDoor};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

pub(super) fn look(settings: &Settings, serving: Option<&Serving>, findings: &mut Findings) {
    let its = serving.and_then(|serving| serving.unix.as_deref());
    let Some(path) = its.or(settings.unix.socket.as_deref()) else { return };
    let mode =
        std::fs::symlink_metadata(path).map(|there| there.mode() & 0o777).unwrap_or(settings.unix.mode);
    judge(path, mode, &settings.unix, server::knows_peers(), findings);
}

fn judge(path: &Path, mode: u32, door: &UnixDoor, knows_peers: bool, findings: &mut Findings) {
    let place = path.display().to_string();
    match serve::check_folder(path) {
        Ok(()) => findings.ok("unix", &place, "nobody else can put another socket in its place"),
        Err(found) => {
            let help = "keep it in a folder that only the controller's user may write to, with `unix.socket`; \
                        `tidegate serve` refuses this one";
            findings.bad("unix", &place, found, help);
        }
    }
    if mode & 0o066 != 0 && door.users.is_empty() {
        findings.warning(
            "unix",
            &place,
            format!("others can connect (mode {mode:04o}), and `unix.users` names nobody: each needs a token there"),
            "say `mode = \"0600\"` below `[unix]`, or name them in `unix.users`",
        );
    }
    if knows_peers {
        findings.ok("unix", &place, "this kernel says which process connects (SO_PEERPIDFD)");
    } else {
        findings.warning(
            "unix",
            &place,
            "this kernel does not say which process connects (no SO_PEERPIDFD): everybody needs a token there",
            "take Linux 6.5 or newer; until then name a token with `--token-file`",
        );
    }
}

/// Whoever runs as that account has that role there, unless it is known for a step.
pub(super) fn of_pipeline(door: &UnixDoor, pipeline: &Pipeline, findings: &mut Findings) {
    for account in pipeline.accounts() {
        let Some(role) = door.users.get(account) else { continue };
        findings.warning(
            "unix.users",
            &format!("{account} ({})", pipeline.name),
            format!(
                "a step runs as this account, which has the role `{role}` at the socket [{}]",
                serve::SHARED_ACCOUNT
            ),
            "let steps run as an account of their own: what a step leaves behind may act with that role",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Finding, Level};
    use super::*;
    use crate::domain::Role;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    fn found(folder_mode: u32, mode: u32, door: &UnixDoor, knows_peers: bool) -> Vec<(Level, String)> {
        let folder = tempfile::tempdir().unwrap();
        set_permissions(folder.path(), Permissions::from_mode(folder_mode)).unwrap();
        let mut findings = Findings::default();
        judge(&folder.path().join("s"), mode, door, knows_peers, &mut findings);
        findings.0.into_iter().map(|Finding { level, found, .. }| (level, found)).collect()
    }

    #[test]
    fn a_socket_for_its_owner_alone_is_as_it_should_be() {
        let found = found(0o755, 0o600, &UnixDoor::default(), true);
        assert!(found.len() == 2 && found.iter().all(|(level, _)| *level == Level::Ok), "{found:?}");
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_bad() {
        let found = found(0o777, 0o600, &UnixDoor::default(), true);
        assert!(found[0].0 == Level::Bad && found[0].1.ends_with("may be written to by others"), "{found:?}");
    }

    #[test]
    fn a_mode_that_lets_in_others_who_are_not_named_is_said() {
        let named = UnixDoor { users: [("alice".to_owned(), Role::Viewer)].into(), ..UnixDoor::default() };
        let nobody = UnixDoor::default();
        for mode in [0o660, 0o666] {
            let said = |door: &UnixDoor| {
                found(0o755, mode, door, true).iter().any(|(level, _)| *level == Level::Warning)
            };
            assert!(said(&nobody) && !said(&named), "{mode:o}");
        }
    }

    #[test]
    fn a_kernel_that_does_not_say_who_connects_is_said() {
        let found = found(0o755, 0o600, &UnixDoor::default(), false);
        assert!(found[1].0 == Level::Warning && found[1].1.contains("everybody needs a token"), "{found:?}");
    }
}
