//! What an event is called and what it is about, for those who file and filter.

use super::Event;
use crate::domain::id::{RunId, TierName};

/// All kinds that are journaled.
pub const KINDS: [&str; 45] = [
    "rebuild_requested",
    "push_ignored",
    "look_owed",
    "look_done",
    "looked_over",
    "schedule_due",
    "schedule_done",
    "refs_forgotten",
    "build_aborted",
    "build_start",
    "build_ok",
    "build_failed",
    "step_start",
    "step_done",
    "gate_start",
    "gate_done",
    "deploy_start",
    "deploy_ok",
    "deploy_failed",
    "promote_start",
    "promote_blocked",
    "promote_complete",
    "promote_failed",
    "rollback",
    "rollback_complete",
    "rollback_failed",
    "superseded",
    "manual_confirm",
    "confirm_denied",
    "confirm_voided",
    "manual_action",
    "hold_set",
    "hold_lifted",
    "version_blocked",
    "version_unblocked",
    "versions_pruned",
    "pipeline_loaded",
    "pipeline_removed",
    "pipeline_rejected",
    "step_event",
    "backup_fetched",
    "journal_restored",
    "controller_started",
    "controller_stopping",
    "access_refused",
];

impl Event {
    /// Its kind as it stands in JSON: `gate_done`.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::RebuildRequested { .. } => "rebuild_requested",
            Event::PushIgnored { .. } => "push_ignored",
            Event::LookOwed { .. } => "look_owed",
            Event::LookDone { .. } => "look_done",
            Event::LookedOver => "looked_over",
            Event::ScheduleDue { .. } => "schedule_due",
            Event::ScheduleDone { .. } => "schedule_done",
            Event::RefsForgotten { .. } => "refs_forgotten",
            Event::BuildAborted { .. } => "build_aborted",
            Event::BuildStart { .. } => "build_start",
            Event::BuildOk { .. } => "build_ok",
            Event::BuildFailed { .. } => "build_failed",
            Event::StepStart { .. } => "step_start",
            Event::StepDone { .. } => "step_done",
            Event::GateStart { .. } => "gate_start",
            Event::GateDone { .. } => "gate_done",
            Event::DeployStart { .. } => "deploy_start",
            Event::DeployOk { .. } => "deploy_ok",
            Event::DeployFailed { .. } => "deploy_failed",
            Event::PromoteStart { .. } => "promote_start",
            Event::PromoteBlocked { .. } => "promote_blocked",
            Event::PromoteComplete { .. } => "promote_complete",
            Event::PromoteFailed { .. } => "promote_failed",
            Event::Rollback { .. } => "rollback",
            Event::RollbackComplete { .. } => "rollback_complete",
            Event::RollbackFailed { .. } => "rollback_failed",
            Event::Superseded { .. } => "superseded",
            Event::ManualConfirm { .. } => "manual_confirm",
            Event::ConfirmDenied { .. } => "confirm_denied",
            Event::ConfirmVoided { .. } => "confirm_voided",
            Event::ManualAction { .. } => "manual_action",
            Event::HoldSet { .. } => "hold_set",
            Event::HoldLifted { .. } => "hold_lifted",
            Event::VersionBlocked { .. } => "version_blocked",
            Event::VersionUnblocked { .. } => "version_unblocked",
            Event::VersionsPruned { .. } => "versions_pruned",
            Event::PipelineLoaded { .. } => "pipeline_loaded",
            Event::PipelineRemoved { .. } => "pipeline_removed",
            Event::PipelineRejected { .. } => "pipeline_rejected",
            Event::StepEvent { .. } => "step_event",
            Event::BackupFetched { .. } => "backup_fetched",
            Event::JournalRestored { .. } => "journal_restored",
            Event::ControllerStarted { .. } => "controller_started",
            Event::ControllerStopping { .. } => "controller_stopping",
            Event::AccessRefused { .. } => "access_refused",
        }
    }

    /// The tier that it is about.
    pub fn tier(&self) -> Option<&TierName> {
        match self {
            Event::GateStart { tier, .. }
            | Event::GateDone { tier, .. }
            | Event::DeployStart { tier, .. }
            | Event::DeployOk { tier, .. }
            | Event::DeployFailed { tier, .. }
            | Event::PromoteStart { tier, .. }
            | Event::PromoteBlocked { tier, .. }
            | Event::PromoteComplete { tier, .. }
            | Event::PromoteFailed { tier, .. }
            | Event::Rollback { tier, .. }
            | Event::RollbackComplete { tier, .. }
            | Event::RollbackFailed { tier, .. }
            | Event::Superseded { tier, .. }
            | Event::ManualConfirm { tier, .. }
            | Event::ConfirmDenied { tier, .. }
            | Event::ConfirmVoided { tier, .. } => Some(tier),
            Event::ManualAction { tier, .. }
            | Event::BackupFetched { tier, .. }
            | Event::HoldSet { tier, .. }
            | Event::HoldLifted { tier, .. } => tier.as_ref(),
            _ => None,
        }
    }

    /// The run that it is about.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Event::StepStart { run_id, .. }
            | Event::StepDone { run_id, .. }
            | Event::GateStart { run_id, .. }
            | Event::GateDone { run_id, .. }
            | Event::DeployStart { run_id, .. }
            | Event::DeployOk { run_id, .. }
            | Event::DeployFailed { run_id, .. }
            | Event::StepEvent { run_id, .. } => Some(*run_id),
            Event::BackupFetched { run_id, .. } => *run_id,
            _ => None,
        }
    }
}
