//! Running one subprocess through the runner: from the order to its end, with its output and events passed on and wishes
//! to stop passed down. What its end means is `verdict`'s subject.

use super::environment::{Env, pairs};
use super::fencing::{self, Fenced};
use super::places::Folder;
use super::said::Ear;
use super::task::{Task, for_runner};
use crate::domain::RunId;
use crate::domain::event::StepSaid;
use crate::domain::pipeline::Exec;
use crate::runner::{self, Exit, Fence, How, Runner, Start};
use std::ffi::OsString;
use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// Reports that may wait for us.
const QUEUE: usize = 64;
/// From SIGTERM to SIGKILL where nothing else is said.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// What is run, and what of it is different from run to run.
pub(super) struct Order {
    pub(super) run: RunId,
    pub(super) argv: Vec<OsString>,
    /// Its folder, with the workspace in it; none for what runs on a node that is not this machine.
    pub(super) folder: Option<Folder>,
    /// Files outside of the workspace that it writes to, beside the one for events.
    pub(super) writes: Vec<PathBuf>,
    pub(super) dir: PathBuf,
    pub(super) events: PathBuf,
    pub(super) timeout: Option<Duration>,
    pub(super) leave_running: bool,
    /// The log has something in it already.
    pub(super) append: bool,
    /// Byte strings that are hidden in the log.
    pub(super) mask: Vec<Vec<u8>>,
    /// It outlives the controller: this is the only process of its run.
    pub(super) lasts: bool,
}

/// Runs it to its end. A wish to stop that comes before its start keeps it from starting.
pub(super) async fn run(task: &Task, order: Order, exec: &Exec, env: &Env, ear: &mut Ear) -> Exit {
    if let Some(cause) = task.stop.asked() {
        return Exit::without_process(How::Stopped(for_runner(cause)));
    }
    let fenced = match fencing::fence(task, &order, exec).await {
        Ok(fenced) => fenced,
        Err(message) => {
            return Exit::without_process(How::NotStarted { errno: 0, message, missing_program: false });
        }
    };
    let exit = run_fenced(task, order, exec, env, &fenced, ear).await;
    fencing::end(task, fenced).await;
    exit
}

async fn run_fenced(
    task: &Task,
    order: Order,
    exec: &Exec,
    env: &Env,
    fenced: &Fenced,
    ear: &mut Ear,
) -> Exit {
    let run = order.run;
    let lasting = task.shop.lasting.as_ref().filter(|_| order.lasts);
    let (sender, receiver) = mpsc::channel(QUEUE);
    let start = Start { fence: fenced.fence.clone(), ..start(task, order, exec, env) };
    let runner = lasting.unwrap_or(&task.shop.runner);
    runner.start(start, sender);
    attend(task, run, &**runner, receiver, lasting.is_some(), ear).await
}

/// What is hidden in what a run says, and what it reports from now on, if it was begun by an earlier process of the
/// controller. None: it has not begun.
pub(super) fn take_up(task: &Task, run: RunId) -> Option<(Vec<Vec<u8>>, mpsc::Receiver<runner::Report>)> {
    let lasting = task.shop.lasting.as_ref().filter(|_| task.taken_up)?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    Some((lasting.take_up(run, sender)?, receiver))
}

/// Goes on with a run that was taken up, to its end.
pub(super) async fn go_on(
    task: &Task,
    run: RunId,
    reports: mpsc::Receiver<runner::Report>,
    ear: &mut Ear,
) -> Exit {
    let lasting = task.shop.lasting.as_ref().expect("BUG: it was taken up from there");
    attend(task, run, &**lasting, reports, true, ear).await
}

/// Hears a run to its end, and passes a wish for that down.
async fn attend(
    task: &Task,
    run: RunId,
    runner: &dyn Runner,
    reports: mpsc::Receiver<runner::Report>,
    lasts: bool,
    ear: &mut Ear,
) -> Exit {
    let pass_down = async {
        let cause = task.stop.wait().await;
        runner.stop(run, for_runner(cause));
        pending::<()>().await;
    };
    tokio::select! {
        exit = listen(task, reports, lasts, ear) => exit,
        () = pass_down => unreachable!("BUG: passing a stop down never ends"),
    }
}

fn start(task: &Task, order: Order, exec: &Exec, env: &Env) -> Start {
    Start {
        run: order.run,
        argv: order.argv,
        env: pairs(env),
        dir: order.dir,
        log: task.places.log(order.run),
        events: order.events,
        timeout: order.timeout,
        grace: exec.grace.map_or(GRACE, |span| span.duration()),
        output_limit: output_limit(task, exec),
        leave_running: order.leave_running,
        append: order.append,
        mask: order.mask,
        fence: Fence::None,
        limits: order.folder.as_ref().map(|folder| fencing::limits(exec, folder)).unwrap_or_default(),
    }
}

/// Bytes of output that are kept.
pub(super) fn output_limit(task: &Task, exec: &Exec) -> u64 {
    exec.limits.and_then(|limits| limits.output).unwrap_or(task.shop.output_limit)
}

async fn listen(
    task: &Task,
    mut reports: mpsc::Receiver<runner::Report>,
    lasts: bool,
    ear: &mut Ear,
) -> Exit {
    while let Some(report) = reports.recv().await {
        match report {
            runner::Report::Started { .. } => {}
            runner::Report::Output { run, offset, bytes } => {
                task.show(run, offset, bytes).await;
            }
            runner::Report::StepLine { run, line, number } => {
                if let Some(said) = ear.hear(&line) {
                    task.say_again(run, said, lasts.then_some(number)).await;
                }
            }
            runner::Report::Warning { run, message, number } => {
                let said = StepSaid::Warning { message: ear.hide(&message) };
                task.say_again(run, said, lasts.then_some(number)).await;
            }
            runner::Report::Exited { exit, .. } => return exit,
        }
    }
    let message = "learn how the step ended: the runner is gone".to_owned();
    Exit::without_process(How::NotStarted { errno: 0, message, missing_program: false })
}
