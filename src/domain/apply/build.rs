//! How builds change: requests, begins, ends.

use crate::domain::Time;
use crate::domain::id::*;
use crate::domain::state::*;

/// A commit that is built already becomes newest again, unless it is to be built anew; any other is queued.
pub(super) fn rebuild_requested(p: &mut PipelineState, request: Request) {
    if let Some(name) = &request.ref_name {
        let head = RefHead { seen: request.sha.clone(), taken: Some(request.sha.clone()) };
        p.refs.insert(name.clone(), head);
    }
    let built = p.built_of(&request.sha).filter(|_| !request.anew).cloned();
    let Some(label) = built else {
        p.queue.push_back(request);
        return;
    };
    if let Some(version) = p.versions.get_mut(&label) {
        p.built.remove(&version.order);
        p.built.insert(request.id, label.clone());
        version.order = request.id;
        version.done = request.id;
        version.adopted = false;
        // Older releases noted only the last one who asked.
        let before = version.by.take().filter(|_| version.askers.is_empty());
        let before = before.map(|name| Asker { name, email: None });
        for asker in before.into_iter().chain(request.asker()) {
            if !version.askers.contains(&asker) {
                version.askers.push(asker);
            }
        }
        version.by = request.by;
    }
    for tier in p.tiers.values_mut() {
        let is_current = tier.current.as_ref().is_some_and(|c| c.version == label);
        let is_busy = tier.busy_with() == Some(&label);
        let Some(standing) = tier.standings.get_mut(&label) else { continue };
        match standing.verdict {
            Some(Verdict::Passed(_)) if is_current => standing.verdict = Some(Verdict::Passed(request.id)),
            // Only the way is gone again. What people said for it stands: nothing but an event that says so ends that.
            Some(Verdict::Passed(_) | Verdict::Superseded(_)) if !is_busy => standing.verdict = None,
            _ => {}
        }
    }
}

pub(super) fn start(
    p: &mut PipelineState,
    sha: &Sha,
    label: &VersionLabel,
    request: EventId,
    digest: &Digest,
    at: Time,
) {
    let Some(position) = p.queue.iter().position(|r| r.id == request) else { return };
    let Some(request) = p.queue.remove(position) else { return };
    // What was adopted keeps its place: it is not newer for being built now.
    let known = p.versions.get(label).filter(|_| p.is_adopted(label));
    let adopted = known.map(|known| known.order);
    let mut emails = request.emails.clone();
    let mut askers: Vec<Asker> = request.asker().into_iter().collect();
    if let Some(known) = known {
        emails.extend(known.emails.iter().cloned());
        askers.extend(known.askers.iter().cloned());
    }
    let version = Version {
        sha: sha.clone(),
        ref_name: request.ref_name.clone(),
        author: request.author.clone(),
        subject: request.subject.clone(),
        emails,
        by: request.by.clone(),
        askers,
        order: adopted.unwrap_or(request.id),
        stage: Stage::Building,
        done: adopted.map_or(request.id, |_| BEFORE_ALL),
        artifacts: Vec::new(),
        at,
        adopted: adopted.is_some(),
    };
    // What was adopted may be built after the clock had its commit built anew: that one is the newer version.
    let is_newest = p.newest_of(sha).is_none_or(|other| p.order(other) <= version.order);
    p.versions.insert(label.clone(), version);
    if is_newest {
        p.by_sha.insert(sha.clone(), label.clone());
    }
    p.build = Some(Build {
        request,
        version: label.clone(),
        digest: digest.clone(),
        at,
        steps: Default::default(),
        canceled: false,
    });
}

pub(super) fn end(p: &mut PipelineState, stage: Stage, id: EventId) {
    let Some(build) = p.build.take() else { return };
    let Some(version) = p.versions.get_mut(&build.version) else { return };
    if stage == Stage::Built {
        p.built.insert(version.order, build.version);
    }
    version.stage = stage;
    if !version.adopted {
        version.done = id;
    }
    name_newest(p, &build.request.sha);
}

/// Lets a commit be known by its newest version that is built or was adopted, if there is one.
pub(super) fn name_newest(p: &mut PipelineState, sha: &Sha) {
    if let Some(newest) = p.newest_of(sha).cloned() {
        p.by_sha.insert(sha.clone(), newest);
    }
}
