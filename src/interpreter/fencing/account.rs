//! Accounts of this machine, as its name service knows them.

use crate::runner::Account;
use nix::unistd::{User, getgrouplist};
use std::ffi::{CString, OsString};

/// The account of that name with its groups. The error reads after "failed to".
pub(crate) fn find(name: &str) -> Result<Account, String> {
    let user = user(name)?;
    if user.uid.is_root() {
        return Err(format!("run it as `{name}`: that is root, who is kept from nothing"));
    }
    let failed = |why: String| format!("read the groups of `{name}`: {why}");
    let c_name = CString::new(name).map_err(|error| failed(error.to_string()))?;
    let groups = getgrouplist(&c_name, user.gid).map_err(|error| failed(error.to_string()))?;
    let groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
    Ok(Account { name: name.to_owned(), uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups })
}

/// What a login of that account would say of it. Empty where there is none.
pub(super) fn environment(name: &str) -> Vec<(OsString, OsString)> {
    let Ok(user) = user(name) else { return Vec::new() };
    vec![
        ("HOME".into(), user.dir.into()),
        ("USER".into(), name.into()),
        ("LOGNAME".into(), name.into()),
        ("SHELL".into(), user.shell.into()),
    ]
}

fn user(name: &str) -> Result<User, String> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user),
        Ok(None) => {
            Err(format!("run it as `{name}`: this machine has no such account; make it, or name another"))
        }
        Err(error) => Err(format!("find the account `{name}`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_not_there_or_is_root_is_refused() {
        assert!(find("no-such-account-here").unwrap_err().contains("no such account"));
        assert!(find("root").unwrap_err().contains("kept from nothing"));
        assert!(environment("no-such-account-here").is_empty());
        let nobody = find("nobody").unwrap();
        assert!(nobody.uid != 0 && nobody.groups.contains(&nobody.gid));
    }
}
