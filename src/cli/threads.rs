//! The threads of commands that do many things at once.

use super::Exit;
use super::trouble::Trouble;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How long a thread for work that blocks is kept when there is none. Without one at hand, and with none to be had, whoever
/// has such work would panic; with one, the work waits for it.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What a panic of the runtime says where it has got no thread; it has no other way to say so.
const NONE_TO_BE_HAD: &str = "OS can't spawn worker thread: ";

/// Does work in a runtime with a thread for each core.
pub(super) fn many<T>(work: impl FnOnce(Runtime) -> Result<T, Trouble>) -> Result<T, Trouble> {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        // Where there are none to be had, building it would panic: one is tried first.
        let tried = std::thread::Builder::new().spawn(|| {});
        let built = tried.and_then(|one| {
            one.join().ok();
            Builder::new_multi_thread().enable_all().thread_keep_alive(KEPT).build()
        });
        built.map_err(|error| none(&error)).and_then(work)
    }));
    ran.unwrap_or_else(|reason| {
        let said = reason.downcast_ref::<String>().and_then(|text| text.strip_prefix(NONE_TO_BE_HAD));
        match said {
            Some(error) => Err(none(&error)),
            None => resume_unwind(reason),
        }
    })
}

fn none(error: &dyn Display) -> Trouble {
    let message = format!("failed to start threads: {error}");
    Trouble::new("TG-SERVE-002", message, "raise the limit of threads", Exit::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runtime_says_of_no_thread_is_an_error_and_every_other_panic_stays_one() {
        let without = || many::<()>(|_| panic!("{NONE_TO_BE_HAD}not now"));
        let trouble = without().unwrap_err();
        assert_eq!((trouble.code.as_str(), trouble.exit), ("TG-SERVE-002", Exit::Failed));
        assert!(trouble.message.ends_with("not now"), "{}", trouble.message);
        assert!(catch_unwind(|| many::<()>(|_| panic!("{}", "something else"))).is_err());
    }
}
