//! Jobs and their errors.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::job::JobState;
use hvrsim_types::time::Instant;

use super::{
    CimType, Class, Kind, Limit, Property, Reading, boolean, class, datetime, property, string, uint16,
    uint32,
};
use crate::datetime;
use crate::live::{Scene, failed, failure_text, number, text, vm_name};
use crate::value::Value;

fn name(scene: &Scene<'_>) -> Value {
    scene.of_job(|job| text(&job.id.0.to_string()))
}

fn elapsed(scene: &Scene<'_>) -> Value {
    scene.of_job(|job| {
        let end: Instant = job.ended.unwrap_or_else(|| scene.look.now());
        text(&datetime::show_interval(end.since(job.submitted).as_seconds()))
    })
}

const MONTH: Property = property("RunMonth", CimType::Uint8).limit(Limit::Range(0, 11));

pub(super) const JOB: Class = class(
    "Msvm_ConcreteJob",
    "CIM_ConcreteJob",
    Kind::Job,
    &[
        string("InstanceID").key().live(name),
        string("Name").key().max(256).live(name),
        uint16("JobType").live(|s| s.of_job(|job| number(job.kind.number()))),
        uint16("JobState").live(|s| s.of_job(|job| number(job.state.number()))),
        boolean("Cancellable").live(|s| s.of_job(|job| Value::Boolean(!job.state.ended()))),
        uint16("PercentComplete").limit(Limit::Range(0, 100)).live(|s| s.of_job(|job| number(job.percent))),
        uint16("ErrorCode").live(|s| s.of_job(|job| number(job.error.0))),
        string("ErrorDescription").live(|s| s.of_job(|job| text(&job.error_text))),
        string("ErrorSummaryDescription").live(|s| s.of_job(|job| text(&job.error_text))),
        string("JobStatus").live(|s| s.of_job(|job| text(job.phase))),
        string("Caption").live(|s| s.of_job(|job| text(job.kind.label()))),
        string("Description").live(|s| s.of_job(|job| text(job.kind.label()))),
        string("ElementName").live(|s| s.of_job(|job| text(job.kind.label()))),
        string("Notify"),
        string("Owner"),
        string("Status"),
        datetime("TimeSubmitted").live(|s| s.of_job(|job| s.moment(Some(job.submitted)))),
        datetime("ScheduledStartTime").live(|s| s.of_job(|job| s.moment(Some(job.submitted)))),
        datetime("StartTime")
            .live(|s| s.of_job(|job| s.moment((job.state != JobState::Starting).then_some(job.submitted)))),
        datetime("ElapsedTime").live(elapsed),
        datetime("UntilTime"),
        datetime("TimeOfLastStateChange")
            .live(|s| s.of_job(|job| s.moment(job.ended.or(Some(job.submitted))))),
        datetime("InstallDate"),
        datetime("TimeBeforeRemoval").text("00000000000500.000000:000"),
        boolean("DeleteOnCompletion").is(Reading::Boolean(true)),
        uint16("OperationalStatus").array().is(Reading::Numbers(&[2])),
        string("StatusDescriptions").array().is(Reading::Texts(&["OK"])),
        uint16("HealthState").number(5),
        uint16("RecoveryAction").number(2),
        string("OtherRecoveryAction"),
        uint32("JobRunTimes").number(1),
        MONTH,
        property("RunDay", CimType::Sint8).limit(Limit::Range(-31, 31)),
        property("RunDayOfWeek", CimType::Sint8).limit(Limit::Range(-7, 7)),
        datetime("RunStartInterval"),
        uint16("LocalOrUtcTime").number(2),
        uint32("Priority").number(0),
        uint16("CommunicationStatus"),
        uint16("DetailedStatus"),
        uint16("OperatingStatus"),
        uint16("PrimaryStatus"),
    ],
);

/// What a return code of a job says in the terms of `Msvm_Error`: `ErrorType`, `ProbableCause`, `CIMStatusCode`.
fn kind_of(code: ReturnCode) -> (u16, u16, u16) {
    match code {
        ReturnCode::ACCESS_DENIED => (7, 65, 2),
        ReturnCode::NOT_SUPPORTED => (10, 47, 7),
        ReturnCode::NOT_AVAILABLE | ReturnCode::TIMEOUT => (2, 5, 1),
        ReturnCode::INVALID_PARAMETER | ReturnCode::INCORRECT_DATA_TYPE => (4, 47, 4),
        ReturnCode::FILE_NOT_FOUND => (4, 57, 6),
        ReturnCode::OUT_OF_MEMORY => (9, 57, 1),
        _ => (4, 47, 1),
    }
}

/// Something of the error of a job that has one.
fn of_error(scene: &Scene<'_>, read: impl FnOnce(ReturnCode, String) -> Value) -> Value {
    scene.of_job(|job| if failed(job) { read(job.error, failure_text(job)) } else { Value::Null })
}

pub(super) const ERROR: Class = class(
    "Msvm_Error",
    "CIM_Error",
    Kind::Failure,
    &[
        uint16("ErrorType").live(|s| of_error(s, |code, _| number(kind_of(code).0))),
        string("OtherErrorType"),
        string("OwningEntity").text("Msvm_ReplicationService"),
        string("MessageID").live(|s| of_error(s, |code, _| text(&code.0.to_string()))),
        string("Message").live(|s| of_error(s, |_, message| text(&message))),
        string("MessageArguments").array().live(|s| match vm_name(s) {
            Value::Null => Value::Null,
            name => Value::List(vec![name]),
        }),
        uint16("PerceivedSeverity").number(4),
        uint16("ProbableCause").live(|s| of_error(s, |code, _| number(kind_of(code).1))),
        string("ProbableCauseDescription")
            .live(|s| of_error(s, |code, _| text(code.label().unwrap_or("Failed")))),
        string("RecommendedActions").array(),
        string("ErrorSource").live(|s| text(&s.object.job_path(s.look))),
        uint16("ErrorSourceFormat").number(0),
        string("OtherErrorSourceFormat"),
        uint32("CIMStatusCode").live(|s| of_error(s, |code, _| number(kind_of(code).2))),
        string("CIMStatusCodeDescription"),
    ],
);
