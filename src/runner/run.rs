//! One run from its start to its end, on a thread of its own: waits for output, for the process's end, for time and for
//! the wish to stop, all in one `poll`. How each of these works is in the files beside this one.
//!
//! Races, and who wins: a process that has ended when a stop arrives has ended by itself, and so has one that ended
//! before its timeout was looked at. Once a signal was sent, the run was stopped, whatever status comes.

use super::capture::{Capture, GATHER};
use super::cgroup::Cgroups;
use super::control::Control;
use super::events_file::EventsFile;
use super::fence::Fence;
use super::kin::{self, Kin, Mark};
use super::leader::{Leader, Status};
use super::limits::{self, Limits, Meter, Passed, Watch};
use super::log::Log;
use super::outbox::{self, Outbox};
use super::spares::Spares;
use super::{Exit, How, RUN_ID_VARIABLE, Report, Start, StopCause, Stray, drain, spawn, strays};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// How often the events file is looked at while nothing else happens.
const EVENTS_EVERY: Duration = Duration::from_millis(250);
/// How often at most when output comes all the time.
const EVENTS_AT_MOST: Duration = Duration::from_millis(50);
/// How long output is taken from what outlived the process by a moment, such as `tee` behind a process substitution.
const LINGER: Duration = Duration::from_millis(50);
/// How long after SIGKILL a process that cannot die (in a broken file system, say) is waited for.
const UNDEAD: Duration = Duration::from_secs(30);

/// What all runs of a runner have together.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) spares: &'a Spares,
    pub(super) cgroups: &'a Cgroups,
}

/// Runs one step and tells everything about it, its end included, exactly once.
pub(super) fn carry_out(start: &Start, control: &Control, shared: &Shared<'_>, out: &mut Outbox) -> Exit {
    let began = Instant::now();
    let log = match Log::open(start) {
        Ok(log) => log,
        Err(message) => return no_process(How::LogFailed { message }, began, None),
    };
    if let Some(cause) = control.asked() {
        return no_process(How::Stopped(cause), began, Some(log));
    }
    match begin(start, control, shared, out, began) {
        Ok(parts) => {
            Run { start, control, shared: *shared, out, began, log, phase: Phase::Running, parts }.carry_on()
        }
        Err(how) => no_process(how, began, Some(log)),
    }
}

fn no_process(how: How, began: Instant, log: Option<Log>) -> Exit {
    let log = log.map(Log::close);
    Exit {
        how,
        log_bytes: log.as_ref().map_or(0, |log| log.bytes),
        log_truncated: log.as_ref().is_some_and(|log| log.truncated),
        log_sha256: log.map_or_else(String::new, |log| log.sha256),
        elapsed: began.elapsed(),
        strays: Vec::new(),
    }
}

/// What there is once the process is there.
struct Parts {
    events: EventsFile,
    capture: Capture,
    leader: Leader,
    kin: Kin,
    deadline: Option<Instant>,
    next_look: Instant,
    watch: Option<Watch>,
}

fn begin(
    start: &Start,
    control: &Control,
    shared: &Shared<'_>,
    out: &mut Outbox,
    began: Instant,
) -> Result<Parts, How> {
    let events = match &start.fence {
        Fence::Account(account) => EventsFile::create_for(&start.events, account),
        Fence::None | Fence::Landlock(_) => EventsFile::create(&start.events, shared.spares),
    };
    let events = events.map_err(|(errno, message)| spawn::not_started(errno, message, false))?;
    let system = |error: std::io::Error| {
        spawn::not_started(error.raw_os_error().unwrap_or(0), format!("prepare the process: {error}"), false)
    };
    let (capture, writer) = Capture::new().map_err(system)?;
    // It is measured before the step can write anything.
    let disk = start.limits.disk.as_ref().map(Meter::begin).transpose().map_err(system)?;
    if let Some(cause) = control.asked() {
        return Err(How::Stopped(cause));
    }
    let cell = shared.cgroups.make(start.run, &start.limits);
    let mark = Mark::of(start.run);
    let leader = spawn::spawn(start, writer, cell.as_ref(), mark)
        .and_then(|spawned| Ok((Leader::adopt(spawned.pid).map_err(system)?, spawned.is_inside)));
    let (leader, cell) = match leader {
        Ok((leader, true)) => (leader, cell),
        // As a run without one: then nothing is left to the kernel that it does not do.
        Ok((leader, false)) => {
            cell.into_iter().for_each(|cell| shared.cgroups.let_go(cell));
            (leader, None)
        }
        Err(how) => {
            cell.into_iter().for_each(|cell| {
                cell.end();
                shared.cgroups.let_go(cell);
            });
            return Err(how);
        }
    };
    let variable = start.env.iter().rev().find(|(name, _)| name == RUN_ID_VARIABLE);
    let variable = variable.map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let kin = Kin::of(leader.pid(), mark, variable, capture.pipe(), cell);
    if start.limits.memory.is_some() && !start.leave_running {
        limits::prefer_to_lose(leader.pid());
    }
    out.put(Report::Started { run: start.run, pid: leader.pid().as_raw_pid().unsigned_abs() });
    if let Some(cores) = start.limits.cpu.filter(|_| !kin.kept().cpu) {
        let why = match shared.cgroups.ground() {
            Ok(_) => "the kernel does not keep it for cgroups that tidegate can make".to_owned(),
            Err(absent) => absent.to_string(),
        };
        out.warn(format!("`limits.cpu` of {cores} is not kept here: {why}; `tidegate doctor` says more"));
    }
    let kept = kin.kept();
    let deadline = start.timeout.and_then(|timeout| began.checked_add(timeout));
    Ok(Parts {
        events,
        capture,
        leader,
        kin,
        deadline,
        next_look: began + EVENTS_EVERY,
        watch: Watch::new(start.limits.clone(), kept, disk),
    })
}

/// Why the runner ends a process.
#[derive(Clone, Copy)]
enum Why {
    /// It was asked to, or time was over.
    Asked(StopCause),
    /// Nobody could read what it did.
    LogFailed,
    /// It used more than it may.
    LimitPassed(Passed),
}

/// Where a run stands.
enum Phase {
    /// Nobody wants its end.
    Running,
    /// SIGTERM was sent; SIGKILL follows at this moment, if it can come.
    Terminating { why: Why, kill_at: Option<Instant> },
    /// SIGKILL was sent; at this moment the runner gives up.
    Killing { why: Why, give_up_at: Instant },
}

struct Run<'a> {
    start: &'a Start,
    control: &'a Control,
    shared: Shared<'a>,
    out: &'a mut Outbox,
    began: Instant,
    log: Log,
    phase: Phase,
    parts: Parts,
}

/// What one `poll` saw.
struct Woken {
    ended: bool,
    readable: bool,
}

impl Run<'_> {
    fn carry_on(mut self) -> Exit {
        loop {
            self.out.flush();
            let woken = self.wait();
            if woken.ended {
                let status = self.parts.leader.status();
                if let Some(status) = status {
                    return self.finish(Some(status));
                }
            }
            if woken.readable {
                self.take_output(GATHER);
            }
            let now = Instant::now();
            if self.end_is_due(now) {
                return self.finish(None);
            }
            self.look_at_limits(now);
            self.look_at_events(now, woken.readable);
        }
    }

    fn wait(&mut self) -> Woken {
        let now = Instant::now();
        if self.parts.capture.rests_until().is_some_and(|until| until <= now) {
            self.parts.capture.rest_is_over();
        }
        let rest = self.parts.capture.rests_until();
        let reads = !self.parts.capture.has_ended() && rest.is_none() && !self.out.holds_output();
        let running = matches!(self.phase, Phase::Running);
        let phase_end = match self.phase {
            Phase::Running => self.parts.deadline,
            Phase::Terminating { kill_at, .. } => kill_at,
            Phase::Killing { give_up_at, .. } => Some(give_up_at),
        };
        let retry = self.out.is_behind().then(|| now + outbox::RETRY);
        let look = Some(self.parts.next_look);
        let watch = self.parts.watch.as_ref().map(Watch::next);
        let wake_at = [phase_end, rest, retry, look, watch].into_iter().flatten().min();
        let timeout = wake_at.and_then(|at| Timespec::try_from(at.saturating_duration_since(now)).ok());

        // An empty set of events still reports errors and ends, so what must not wake us is left out.
        let mut fds = vec![PollFd::from_borrowed_fd(self.parts.leader.end(), PollFlags::IN)];
        if reads {
            fds.push(PollFd::from_borrowed_fd(self.parts.capture.pipe(), PollFlags::IN));
        }
        if running {
            fds.push(PollFd::from_borrowed_fd(self.control.bell(), PollFlags::IN));
        }
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Woken { ended: true, readable: false };
        }
        Woken { ended: !fds[0].revents().is_empty(), readable: reads && !fds[1].revents().is_empty() }
    }

    /// Reads once, writes the log, tells. Says how many bytes the step had written.
    fn take_output(&mut self, most: usize) -> usize {
        let piece = self.parts.capture.read(most);
        let count = piece.len();
        if count > 0
            && let Some((offset, bytes)) = self.log.take(piece)
        {
            self.out.output(offset, bytes);
        }
        count
    }

    /// Sends what signals are due. True: the process does not end, and it is time to give up.
    fn end_is_due(&mut self, now: Instant) -> bool {
        match self.phase {
            Phase::Running => {
                let late = self.parts.deadline.is_some_and(|deadline| deadline <= now);
                let asked = self.control.asked().or(late.then_some(StopCause::Timeout));
                let failed = self.log.has_failed().then_some(Why::LogFailed);
                if let Some(why) = asked.map(Why::Asked).or(failed) {
                    self.terminate(why, now);
                }
                false
            }
            Phase::Terminating { why, kill_at } if kill_at.is_some_and(|at| at <= now) => {
                self.kill(why, now);
                false
            }
            Phase::Terminating { .. } => false,
            Phase::Killing { give_up_at, .. } => give_up_at <= now,
        }
    }

    fn terminate(&mut self, why: Why, now: Instant) {
        self.parts.kin.look();
        self.signal(Signal::TERM);
        // A stopped process gets the signal only when it goes on.
        self.signal(Signal::CONT);
        self.phase = Phase::Terminating { why, kill_at: now.checked_add(self.start.grace) };
    }

    fn kill(&mut self, why: Why, now: Instant) {
        self.parts.kin.look();
        // The group first: the kernel does not let one of it see the end of another. In a cgroup it goes from one to the next.
        self.signal(Signal::KILL);
        // What else lives is looked for once this has ended, and named. There is no time for that where it grows.
        if matches!(why, Why::LimitPassed(_)) {
            self.parts.kin.end_members();
        }
        self.phase = Phase::Killing { why, give_up_at: now + UNDEAD };
    }

    fn signal(&mut self, signal: Signal) {
        if let Err(error) = self.parts.leader.signal(signal) {
            self.out.warn(format!("failed to signal the step: {error}"));
        }
    }

    /// Kills a run that uses more than it may, at once: each moment makes it worse. One that is being ended already keeps
    /// its cause.
    fn look_at_limits(&mut self, now: Instant) {
        let why = match self.phase {
            Phase::Running => None,
            Phase::Terminating { why, .. } => Some(why),
            Phase::Killing { .. } => {
                self.parts.watch = None;
                return;
            }
        };
        let Some(watch) = &mut self.parts.watch else { return };
        if let Some(passed) = watch.look(now, &self.parts.kin) {
            self.kill(why.unwrap_or(Why::LimitPassed(passed)), now);
        }
    }

    fn look_at_events(&mut self, now: Instant, busy: bool) {
        let last = self.parts.next_look.checked_sub(EVENTS_EVERY);
        let early = busy && last.is_none_or(|last| last + EVENTS_AT_MOST <= now);
        if now >= self.parts.next_look || early {
            self.parts.events.read_lines(self.out);
            self.parts.next_look = now + EVENTS_EVERY;
        }
    }

    /// The process has ended, or does not (no status): takes the rest of its output, ends what it left, tells.
    fn finish(mut self, status: Option<Status>) -> Exit {
        let elapsed = self.began.elapsed();
        if let Some(passed) = self.refused(status) {
            self.kill(Why::LimitPassed(passed), Instant::now());
        }
        self.take_rest();
        let strays = self.end_strays();
        if let Some((offset, bytes)) = self.log.take_last() {
            self.out.output(offset, bytes);
        }
        if let Some(passed) = self.passed()
            && let Some((offset, bytes)) = self.log.note(&format!("{passed}; all of it was killed"))
        {
            self.out.output(offset, bytes);
        }
        let is_ours = !matches!(self.start.fence, Fence::Account(_));
        let nobody_is_left = status.is_some() && strays.is_empty() && is_ours;
        self.parts.events.finish(self.out, nobody_is_left.then_some(self.shared.spares));
        if status.is_some() {
            self.parts.leader.reap();
        } else {
            self.out.warn(format!("the step's process does not die: {}", self.parts.leader.pid()));
            self.parts.leader.abandon();
        }
        kin::reap_adopted();
        if let Some(cell) = self.parts.kin.into_cell() {
            if self.start.leave_running && !strays.is_empty() && matches!(self.phase, Phase::Running) {
                cell.let_stay();
            }
            self.shared.cgroups.let_go(cell);
        }
        if !self.parts.capture.has_ended() && self.start.leave_running && !strays.is_empty() {
            drain::keep(self.parts.capture.into_pipe());
        }
        let why = match self.phase {
            Phase::Running => None,
            Phase::Terminating { why, .. } | Phase::Killing { why, .. } => Some(why),
        };
        let log = self.log.close();
        let how = how_it_ended(status, why, log.failed);
        let (log_bytes, log_sha256, log_truncated) = (log.bytes, log.sha256, log.truncated);
        Exit { how, log_bytes, log_sha256, log_truncated, elapsed, strays }
    }

    /// The limit of which it did not get more, if it ended by itself and not well: the last look was a while ago, and
    /// whom the kernel kills it does not ask.
    fn refused(&self, status: Option<Status>) -> Option<Passed> {
        let is_bad =
            matches!(self.phase, Phase::Running) && status.is_some_and(|status| status != Status::Code(0));
        if is_bad && self.start.limits != Limits::default() {
            return self.parts.kin.refused(&self.start.limits);
        }
        None
    }

    /// The limit for which it was killed.
    fn passed(&self) -> Option<Passed> {
        match self.phase {
            Phase::Killing { why: Why::LimitPassed(passed), .. } => Some(passed),
            _ => None,
        }
    }

    /// Takes what is in the pipe now. Whoever still writes then has a moment to end by itself.
    fn take_rest(&mut self) {
        let mut left = self.parts.capture.waiting();
        loop {
            let count = self.take_output(left.min(GATHER));
            self.out.flush();
            self.out.wait_for_room();
            left = left.saturating_sub(count);
            if count == 0 || left == 0 {
                break;
            }
        }
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        let until = Instant::now() + LINGER;
        while !self.parts.capture.has_ended() {
            let Some(time) = until.checked_duration_since(Instant::now()) else { return };
            let time = Timespec::try_from(time).expect("BUG: a moment fits");
            let mut fds = [PollFd::from_borrowed_fd(self.parts.capture.pipe(), PollFlags::IN)];
            if poll(&mut fds, Some(&time)) == Ok(0) {
                return;
            }
            self.take_output(GATHER);
            self.out.flush();
            self.out.wait_for_room();
        }
    }

    fn end_strays(&mut self) -> Vec<Stray> {
        let kin = &self.parts.kin;
        if self.start.leave_running && matches!(self.phase, Phase::Running) {
            return strays::list(kin.survivors());
        }
        // What grows without end gets no time for it.
        let grace = if self.passed().is_some() { Duration::ZERO } else { self.start.grace };
        let ended = strays::end(
            grace,
            || kin.survivors(),
            || {
                kin.end_members();
                kin.hunt();
            },
        );
        if !ended.found.is_empty() {
            self.out.warn(format!("ended what the step left running: {}", in_words(&ended.found)));
        }
        if !ended.alive.is_empty() {
            self.out.warn(format!("failed to end what the step left running: {}", in_words(&ended.alive)));
        }
        if ended.unseen {
            let whom = "processes that start the next and end before they can be seen";
            self.out.warn(format!("failed to end what the step left running: {whom}"));
        }
        ended.found
    }
}

fn how_it_ended(status: Option<Status>, why: Option<Why>, log_failed: Option<String>) -> How {
    match (why, log_failed, status) {
        (Some(Why::Asked(cause)), ..) => How::Stopped(cause),
        (Some(Why::LimitPassed(passed)), ..) => How::LimitPassed(passed),
        (_, Some(message), _) => How::LogFailed { message },
        (_, None, Some(Status::Code(code))) => How::Code(code),
        (_, None, Some(Status::Signal(signal))) => How::Signal(signal),
        (_, None, Some(Status::Lost) | None) => How::LogFailed {
            message: "learn how the process ended: its status was taken by somebody else".into(),
        },
    }
}

/// Names with ids, ten of them.
fn in_words(strays: &[Stray]) -> String {
    let named: Vec<String> =
        strays.iter().take(10).map(|one| format!("`{}` ({})", one.name, one.pid)).collect();
    let more = strays.len().saturating_sub(10);
    if more == 0 { named.join(", ") } else { format!("{} and {more} more", named.join(", ")) }
}
