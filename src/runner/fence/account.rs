//! Becoming another account.
//!
//! The thread itself stays root's: whoever has the user id of a thread may signal it, and a signal that kills a thread
//! kills the whole process. So the thread takes the groups only, and the user id is set by the child after the fork. The
//! thread gives up the right to set groups: those that it took are what the child has, whatever that tries.

use super::{Account, Ids};
use rustix::process::{Gid, getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_thread_groups, set_thread_res_gid};

pub(super) fn enter(account: &Account) -> Result<Ids, String> {
    let name = &account.name;
    if account.uid == 0 {
        return Err(format!("run the step as `{name}`: that is root, who is kept from nothing"));
    }
    if !geteuid().is_root() {
        return Err(format!(
            "run the step as `{name}`: only a controller of root can become another account; run it as root, or leave `sandbox` out"
        ));
    }
    let failed = |what: &str| {
        let text = format!("run the step as `{name}`: {what}");
        move |error: rustix::io::Errno| format!("{text}: {}", std::io::Error::from(error))
    };
    let groups: Vec<Gid> = account.groups.iter().map(|group| Gid::from_raw(*group)).collect();
    set_thread_groups(&groups).map_err(failed("set its groups"))?;
    let group = Gid::from_raw(account.gid);
    // The effective one is left to the child, which may take it from these: a change of it here would change what the
    // whole process may be asked by others.
    set_thread_res_gid(group, getegid(), group).map_err(failed("set its group"))?;
    let mut sets = capabilities(None).map_err(failed("read what root may"))?;
    for set in [&mut sets.effective, &mut sets.permitted, &mut sets.inheritable] {
        set.remove(CapabilitySet::SETGID);
    }
    set_capabilities(None, sets).map_err(failed("give up what root may"))?;
    Ok(Ids { uid: account.uid, gid: account.gid })
}
