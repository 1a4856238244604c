//! Inputs, outputs and the messages between two services.

use hvrsim_types::code::ReturnCode;
use hvrsim_types::disks::DiskSet;
use hvrsim_types::id::{CopyId, Epoch, ExchangeId, HostId, JobId, LogSeq, PointId, SessionId, SwapId, VmId};
use hvrsim_types::job::{JobState, JobType};
use hvrsim_types::network::AdapterChange;
use hvrsim_types::state::{Mode, Power, ReplicationState, ReplicationType};
use hvrsim_types::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::job::Stage;
use crate::operation::{Operation, Settings};
use crate::rule::Call;
use crate::service::Trust;

/// What a timer of a copy is for. A copy has at most one of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum TimerKind {
    /// The next replication cycle is due.
    Cycle,
    /// Try again what failed.
    Retry,
    /// The running new primary takes a recovery point.
    Point,
    /// The automatic resynchronization's window opens.
    Window,
    /// A scheduled job is due.
    Scheduled,
    /// Ask the other side whether what this copy waits for still goes on.
    Watch,
}

/// A log on its way, or waiting to be applied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Log {
    /// Its number in the epoch.
    pub seq: LogSeq,
    /// Regular or Planned.
    pub kind: ReplicationType,
    /// Bytes by the layout of the log's file.
    pub bytes: u64,
    /// When it was closed: the moment whose content the replica has after applying it.
    pub closed: Instant,
    /// The recovery point to take after applying it.
    pub point: Option<PointId>,
}

impl Log {
    /// A preparation that it belonged to is over.
    pub(crate) fn is_ordinary(&mut self) {
        if self.kind == ReplicationType::Planned {
            self.kind = ReplicationType::Regular;
        }
    }
}

/// What a session of the resynchronization engine is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum SessionKind {
    /// Initial replication.
    Initial,
    /// Resynchronization.
    Resync,
    /// Disks that are added to a relationship.
    Update,
}

/// Which blocks a session looks at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Scope {
    /// All that are present.
    Everything,
    /// What the target never sent, what the source wrote since they parted, and what the source wrote after the point.
    Diverged,
    /// What the source wrote since this point; its present content is brought.
    Since(PointId),
}

/// What a session brings from where to where.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SessionSpec {
    /// The host whose copy is read.
    pub source: HostId,
    /// The moment that is read; `None` is the present.
    pub view: Option<PointId>,
    /// The host whose copy is written.
    pub target: HostId,
    /// Where to look.
    pub scope: Scope,
    /// Send everything without comparing.
    pub full: bool,
    /// Which disks.
    pub disks: DiskSet,
    /// The target's other disks have their content already, and keep it.
    pub part: bool,
}

/// A request to the service of another host. Its answer is a [`Reply`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Make a replica, or link a seed; an extended replica if the sender's relationship is an extended one.
    Create {
        /// The relationship's settings.
        settings: Settings,
    },
    /// A cycle's log.
    Delta {
        /// The log.
        log: Log,
        /// The relationship's settings, which travel with every log.
        settings: Settings,
        /// Set in the seed of a reverse after a failback: the receiver becomes the replica by taking it.
        swap: Option<SwapId>,
    },
    /// Begin a session.
    Open {
        /// Its id.
        session: SessionId,
        /// Its purpose.
        kind: SessionKind,
        /// Virtual sizes of the sender's replicated disks, in bytes, by the disks' numbers.
        sizes: Vec<(u8, u64)>,
    },
    /// Go on with a session after an interruption.
    Continue {
        /// Its id.
        session: SessionId,
    },
    /// Everything has been brought.
    Finish {
        /// Its id.
        session: SessionId,
        /// The moment whose content was brought.
        as_of: Instant,
    },
    /// The initial replica has been imported from media.
    Imported {
        /// The export's session.
        session: SessionId,
    },
    /// Give the session up.
    Close {
        /// Its id.
        session: SessionId,
    },
    /// Swap roles.
    Swap {
        /// The swap's identity.
        swap: SwapId,
        /// The Planned point that the caller failed over to.
        point: Option<PointId>,
        /// The failback that the caller comes from.
        failback: Option<SessionId>,
        /// The new relationship's settings.
        settings: Settings,
    },
    /// After a failback of which too little is tracked to send a seed: become the replica, to be resynchronized.
    Yield {
        /// The swap's identity.
        swap: SwapId,
        /// The new relationship's settings.
        settings: Settings,
    },
    /// Serve a failback.
    FailbackOpen {
        /// Its session.
        session: SessionId,
        /// The point; `None` is the latest.
        point: Option<PointId>,
        /// Virtual sizes of the disks that receive it, in bytes, by the disks' numbers.
        sizes: Vec<(u8, u64)>,
    },
    /// Everything of the point has been brought.
    FailbackFinish {
        /// The session.
        session: SessionId,
        /// No point was asked for: the latest is wanted.
        latest: bool,
    },
    /// The failback needs nothing more.
    FailbackRelease {
        /// The session.
        session: SessionId,
        /// The failback was given up after it had completed: the caller is a replica again and needs a resynchronization.
        given_up: bool,
    },
    /// Is this failback, or this session, still wanted?
    StillWanted {
        /// The session.
        session: SessionId,
    },
}

/// An answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// The log is stored.
    Stored(LogSeq),
    /// Not now: a job, or a merge, is under way.
    Busy,
    /// Not in this mode and state, or a message of another epoch.
    Stale(Mode, ReplicationState),
    /// A log of the epoch before a failback that has changed nothing: to be sent again in this one.
    Released,
    /// The log does not follow the last one.
    OutOfOrder,
    /// There is no room for the log.
    NoRoom,
    /// Refused for good.
    Refused(Why),
    /// A swap took place: the answerer is the replica.
    Swapped,
    /// The answerer waits for initial replication.
    Waiting,
    /// The answerer served the failback and is ready for the seed of the reverse.
    Behind {
        /// The point that was brought back.
        point: PointId,
        /// What was written since that point is still known.
        tracked: bool,
    },
    /// A failback is served.
    Granted {
        /// The point that is read.
        point: PointId,
        /// What both sides wrote since they parted is known on the answerer's side.
        tracked: bool,
    },
    /// A failback's last pass.
    Final {
        /// The answerer's machine is Off and something was written after the point: read the present once more.
        again: Option<PointId>,
        /// What is brought is the last content there: nothing is lost.
        planned: bool,
    },
}

/// Why a request was refused for good.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Why {
    /// The host is not a replica server.
    NotReplicaServer,
    /// The caller is not authorized, or one of both cannot prove who it is.
    Untrusted(Trust),
    /// The host has a machine of that id.
    IdClash,
    /// The host has no such machine, or no relationship for it.
    NoRelationship,
    /// The disks' sizes differ.
    SizesDiffer,
    /// A log writes behind the end of a disk.
    OutOfRange,
    /// The recovery point is not known.
    UnknownPoint,
    /// The answerer is prepared for a failover to another point.
    OtherPoint,
    /// The answerer was not made a replica.
    NotAsReplica,
    /// The answerer's machine is not Off.
    NotOff,
    /// The answerer served another failback, or none.
    OtherFailback,
    /// The machine is not on this node of the cluster: the broker knows where it is.
    Moved,
}

impl Why {
    /// What to do about it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotReplicaServer => {
                "the host is not enabled as a replica server: Set-VMReplicationServer -ReplicationEnabled $true there"
            }
            Self::Untrusted(Trust::Certificate) => {
                "the replica server's certificate has expired or was revoked: set a new one on both sides, then resume"
            }
            Self::Untrusted(Trust::PrincipalName) => {
                "the service principal name of the replica server is missing (0x80090303): register it, then resume"
            }
            Self::Untrusted(Trust::Directory) => {
                "no domain controller answers, nobody can authenticate: bring one back, then resume"
            }
            Self::Untrusted(Trust::Clock) => {
                "the clocks of the hosts differ by more than five minutes (0x80090324): set them, then resume"
            }
            Self::Untrusted(_) => {
                "the replica server does not authorize this host: restore the authorization entry there, then resume"
            }
            Self::IdClash => {
                "the host already has a virtual machine with this id: remove it, or make it a seed with Enable-VMReplication -AsReplica"
            }
            Self::NoRelationship => "the host has no replication relationship for this virtual machine",
            Self::SizesDiffer => "the disks of the two copies differ in size: resize them first",
            Self::OutOfRange => {
                "the replica's disk ends before what was written on the primary: Resize-VHD there, then Resume-VMReplication"
            }
            Self::UnknownPoint => {
                "the recovery point is not known on the new primary's side, or was evicted meanwhile"
            }
            Self::OtherPoint => {
                "the primary is prepared, but this copy was failed over to another point: Set-VMReplication -AsReplica on the old primary, then reverse"
            }
            Self::NotAsReplica => {
                "the old primary was not made a replica: Set-VMReplication -AsReplica there first"
            }
            Self::NotOff => "the virtual machine on the other side is not Off: Stop-VM there first",
            Self::OtherFailback => "the other side served another failback, or none",
            Self::Moved => {
                "the machine is on another node of the cluster, and its broker did not say on which"
            }
        }
    }

    /// The code that a job ends with.
    #[must_use]
    pub const fn code(self) -> ReturnCode {
        match self {
            Self::UnknownPoint => ReturnCode::INVALID_PARAMETER,
            Self::OtherPoint | Self::NotAsReplica | Self::NotOff | Self::OtherFailback => {
                ReturnCode::INVALID_STATE
            }
            Self::NotReplicaServer
            | Self::Untrusted(_)
            | Self::IdClash
            | Self::NoRelationship
            | Self::OutOfRange
            | Self::Moved
            | Self::SizesDiffer => ReturnCode::FAILED,
        }
    }
}

/// A request or an answer with its address.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Which request this is, or answers.
    pub exchange: ExchangeId,
    /// The machine, or its extended relationship on the asking host.
    pub vm: VmId,
    /// The sender.
    pub from: HostId,
    /// The sender's epoch.
    pub epoch: Epoch,
    /// The content.
    pub body: T,
}

/// One input to a service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// An operator calls.
    Call(Operation),
    /// A timer fired.
    Timer(TimerKind),
    /// A request arrived.
    Request(Envelope<Request>),
    /// The answer to one of our requests arrived.
    Reply(Envelope<Reply>),
    /// A request or its answer could not be delivered.
    Broken(ExchangeId),
    /// The log was switched: number of bytes in the closed one.
    LogSwitched(u64),
    /// The oldest received log is applied.
    LogApplied,
    /// The failover disk is ready.
    FailoverReady,
    /// The failover disk cannot be made, for this reason.
    FailoverFailed(&'static str),
    /// The initial replica is exported.
    Exported(SessionId),
    /// The initial replica of this export has been read from media.
    MediaCopied(SessionId),
    /// The storage takes everything again.
    StorageBack,
    /// The copy was set back to this listed recovery point, as by a restored backup: what was received later is gone.
    Restored(PointId),
    /// The test machine is there.
    TestReady,
    /// A merge has ended.
    Merged,
    /// A session has brought everything.
    SessionDone(SessionId),
    /// A session's connection broke.
    SessionBroken(SessionId),
    /// The host goes down: by a crash, or in order.
    HostDown {
        /// Without warning.
        crash: bool,
    },
    /// The service stops; the machines go on.
    ServiceDown,
    /// The host, or its service, is back.
    HostUp,
    /// The machine's worker process crashed.
    WorkerCrash,
    /// Something outside makes a resynchronization necessary.
    ResyncNeeded,
    /// The broker of the other side's cluster says on which node the machine is.
    Located(HostId),
    /// The replica and its test machine are on two nodes of a cluster: neither knows the other any more.
    TestParted,
}

/// What the world is to do with this copy.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    /// Change the machine's power.
    Power(Power),
    /// Add a user's checkpoint, or drop them all.
    Checkpoints {
        /// Add one.
        add: bool,
    },
    /// Change the machine's network adapters.
    SetAdapters(Vec<AdapterChange>),
    /// Make the machine with empty disks of the sizes that the other host's has.
    CreateCopy {
        /// The other host.
        like: HostId,
    },
    /// Make blank disks, in the sizes that the other host's copy has, where this copy has not got them.
    MakeDisks {
        /// The other host.
        like: HostId,
        /// Which.
        disks: DiskSet,
    },
    /// Forget what these disks hold.
    DropDisks(DiskSet),
    /// From now on the log takes writes of these disks.
    LogChoose(DiskSet),
    /// Start tracking, of the relationship's disks.
    LogStart,
    /// Stop tracking, drop the logs.
    LogStop,
    /// Close the open log; answered by [`Input::LogSwitched`].
    SwitchLog,
    /// Drop the oldest closed log.
    DropSentLog,
    /// Keep the oldest closed log of the other side's relationship.
    StoreLog {
        /// The other side.
        from: CopyId,
    },
    /// Apply the oldest received log; answered by [`Input::LogApplied`].
    ApplyLog(Log),
    /// Drop what was received and not applied.
    ForgetReceived,
    /// Keep the set of blocks that never reached the other side.
    RememberUnsent {
        /// The log is intact, so the set is known.
        known: bool,
    },
    /// Ask the broker of the other side's cluster where the machine is; answered by [`Input::Located`], or not at all.
    AskBroker,
    /// Let the cluster move the machine to another of its nodes while it runs.
    MoveVm(HostId),
    /// Take a recovery point.
    TakePoint(PointId),
    /// Drop a recovery point.
    DropPoint(PointId),
    /// Go back to a recovery point.
    Rollback(PointId),
    /// Make the failover disk; answered by [`Input::FailoverReady`].
    FailoverDisk {
        /// The point; `None` is the newest content.
        view: Option<PointId>,
    },
    /// Drop the failover disk.
    DiscardFailover,
    /// Make a test machine; answered by [`Input::TestReady`].
    MakeTest {
        /// The point; `None` is the newest content.
        view: Option<PointId>,
    },
    /// Turn the test machine off and delete it.
    RemoveTest,
    /// Give a disk another size, in bytes.
    ResizeDisk {
        /// Which.
        disk: u8,
        /// The size.
        size: u64,
    },
    /// Delete the machine itself.
    DestroyVm,
    /// Export a moment to a folder; answered by [`Input::Exported`].
    ExportMedia {
        /// The export's session.
        session: SessionId,
        /// The moment.
        view: PointId,
        /// The folder.
        folder: String,
    },
    /// Read the initial replica of this export from media; answered by [`Input::MediaCopied`].
    ImportMedia(SessionId),
    /// Merge the failover disk; answered by [`Input::Merged`].
    CommitFailover,
    /// Merge what a resynchronization brought; answered by [`Input::Merged`].
    MergeResync,
    /// Open a session that this copy runs.
    OpenSession(SessionId, SessionSpec),
    /// Let it run from its last checkpoint; answered by [`Input::SessionDone`] or [`Input::SessionBroken`].
    RunSession(SessionId),
    /// Let it stand still.
    PauseSession(SessionId),
    /// Refuse a session that another copy runs: its connection breaks.
    BreakSession(SessionId),
    /// End it.
    CloseSession(SessionId),
    /// Put the machine's change log behind that of its extended relationship, which becomes the machine's.
    LogPromote,
    /// Add what the other host's copy wrote since its point to this copy's open log, with this copy's content.
    LogAddChanges {
        /// The other host.
        of: HostId,
        /// The point.
        since: PointId,
    },
}

/// What happened, for the event log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Note {
    /// A rule was taken; mode and state before and after, equal if it stays.
    Rule {
        /// The rule's id.
        rule: String,
        /// Before.
        before: (Mode, ReplicationState),
        /// After.
        after: (Mode, ReplicationState),
    },
    /// A job started.
    JobStarted {
        /// The job.
        job: JobId,
        /// Its type.
        kind: JobType,
        /// What it is at.
        stage: Stage,
    },
    /// A job goes on to something else.
    JobStage {
        /// The job.
        job: JobId,
        /// What it is at now.
        stage: Stage,
    },
    /// A job ended.
    JobEnded {
        /// The job.
        job: JobId,
        /// Its type.
        kind: JobType,
        /// How.
        state: JobState,
        /// Its error.
        code: ReturnCode,
        /// What the error says.
        text: String,
    },
    /// A cycle's log was delivered.
    Delivered {
        /// The log.
        log: Log,
        /// From the switch to the answer.
        latency: Span,
    },
    /// A cycle could not be delivered; the next attempt comes after this time.
    WillRetry {
        /// The delay.
        after: Span,
    },
    /// A recovery point is kept.
    PointTaken {
        /// The point.
        point: PointId,
        /// Its kind.
        kind: ReplicationType,
    },
    /// A recovery point was dropped.
    PointDropped {
        /// The point.
        point: PointId,
    },
    /// A log could not be delivered.
    SendFailed {
        /// Why.
        cause: Cause,
        /// Nothing but an operator can help.
        fatal: bool,
    },
    /// The broker of a cluster named the node that has the machine now.
    Redirected {
        /// The node that was asked in vain.
        from: HostId,
        /// The node that has it.
        to: HostId,
    },
    /// A monitoring interval ended; its counters before they were zeroed.
    IntervalEnded {
        /// Successful cycles.
        successes: u32,
        /// Missed cycles.
        missed: u32,
        /// Failed operations.
        errors: u32,
        /// Bytes of all cycles.
        size_bytes: u64,
    },
    /// The guest's VSS writers failed: the point is an ordinary one.
    VssFailed,
}

/// Why a log could not be delivered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Cause {
    /// The other side did not answer.
    Unreachable,
    /// The other side has a job or a merge under way.
    Busy,
    /// The other side has no room.
    NoRoom,
    /// The caller is not authorized, or one of both cannot prove who it is.
    Untrusted(Trust),
    /// The other side is no replica server.
    NotReplicaServer,
    /// The other side has failed over, is paused, or has no relationship.
    Refused,
    /// A disk file is missing here.
    NoFile,
    /// The host was shut down, which cancels replication on Server 2012 R2.
    Cancelled,
    /// The replica's disk is too small for it.
    OutOfRange,
}

impl Cause {
    /// What an administrator reads.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unreachable => "the replica server cannot be reached (0x00002EFD)",
            Self::Busy => "the replica server is busy with a job or a merge",
            Self::NoRoom => "the replica server has no space left for changes",
            Self::Untrusted(trust) => trust.text(),
            Self::NotReplicaServer => "the replica server does not accept replication",
            Self::OutOfRange => {
                "the replica's disk ends before what was written: it was resized on the primary only"
            }
            Self::Refused => "the replica has failed over, is paused, or is not replicated any more",
            Self::NoFile => "a virtual hard disk, or the parent of one, was not found (0x80070002)",
            Self::Cancelled => "the operation was cancelled (0x80004004)",
        }
    }
}

/// One output of a service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// Carry this out on the machine's copy on this host.
    Effect(VmId, Effect),
    // Boxed: every output is as large as the largest one.
    /// Send a request.
    Request(HostId, Box<Envelope<Request>>),
    /// Send an answer.
    Reply(HostId, Box<Envelope<Reply>>),
    /// Set a timer, in place of one of the same kind.
    SetTimer(VmId, TimerKind, Instant),
    /// Cancel a timer.
    CancelTimer(VmId, TimerKind),
    /// Write down.
    Note(VmId, Note),
}

/// Why a call was refused.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Refusal {
    /// The rule that refuses, or the nearest one that would have allowed it.
    pub rule: &'static str,
    /// The call.
    pub call: Call,
    /// The copy's mode when it was called.
    pub mode: Mode,
    /// The copy's state when it was called.
    pub state: ReplicationState,
    /// What is found.
    pub found: String,
    /// What is needed.
    pub needs: String,
    /// States in which this call is accepted in some situation.
    pub states_needed: Vec<(Mode, ReplicationState)>,
    /// The way out, if there is a short one.
    pub remedy: String,
}

/// What a caller gets at once.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Outcome {
    /// The return code.
    #[serde(serialize_with = "number")]
    pub code: ReturnCode,
    /// The job that was started.
    pub job: Option<JobId>,
    /// The rule that was taken.
    pub rule: Option<&'static str>,
    /// Why not.
    pub refusal: Option<Refusal>,
}

fn number<S: serde::Serializer>(code: &ReturnCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(code.0)
}
