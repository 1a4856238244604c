//! Jobs: `Msvm_ConcreteJob` states and the replication range of `JobType` (90 to 125).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::state::numbered;

numbered! {
    /// `JobState` of `Msvm_ConcreteJob`, as far as replication jobs reach it.
    JobState {
        /// Accepted, waiting for its scheduled time.
        Starting = 3, "Starting";
        /// At work.
        Running = 4, "Running";
        /// Finished without error.
        Completed = 7, "Completed";
        /// Cancelled by a client.
        Terminated = 8, "Terminated";
        /// Finished with an error.
        Exception = 10, "Exception";
    }
}

impl JobState {
    /// Whether the job has ended.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(self, Self::Completed | Self::Terminated | Self::Exception)
    }
}

numbered! {
    /// `JobType`, the replication range.
    JobType {
        /// `ModifyServiceSettings`.
        ModifyServiceSettings = 90, "Modify Replication Server Settings";
        /// `CreateReplicationRelationship`.
        CreateRelationship = 91, "Create Replication Relationship";
        /// `ModifyReplicationSettings`.
        ModifySettings = 92, "Modify Replication Relationship Settings";
        /// `RemoveReplicationRelationshipEx`.
        RemoveRelationship = 93, "Remove Replication Relationship";
        /// `StartReplication`, over the network.
        StartInitialReplication = 94, "Start Inband Initial Replication";
        /// `ImportInitialReplica`.
        ImportInitialReplica = 95, "Import Replication";
        /// `RequestReplicationStateChange`.
        StateChange = 96, "Replicate State Change";
        /// `InitiateFailover`.
        InitiateFailover = 97, "Initiate Failover";
        /// `RevertFailover`.
        RevertFailover = 98, "Revert Failover";
        /// `CommitFailover`.
        CommitFailover = 99, "Commit Failover";
        /// Requested state 4: the prepare step of a planned failover.
        SyncedReplication = 100, "Initiate Synced Replication";
        /// `RevertFailover` on the primary.
        CancelSyncedReplication = 101, "Cancel Synced Replication";
        /// `TestReplicaSystem`.
        TestReplica = 102, "Initiate Test Replica";
        /// `DestroySystem` of a test replica.
        RemoveTestReplica = 103, "Remove Test Replica";
        /// `ReverseReplicationRelationship`.
        ReverseReplication = 104, "Reverse Replication";
        /// A cycle on the primary; in the background.
        SendingDelta = 105, "Replication Sending Delta";
        /// A cycle on the replica; in the background.
        ReceivingDelta = 106, "Replication Receiving Delta";
        /// `Resynchronize`.
        Resynchronizing = 107, "Resynchronizing";
        /// Applying a received log; in the background.
        ApplyChangeLog = 108, "Apply change log";
        /// Requested state 1.
        StopInitialReplication = 109, "Stop Initial Replication";
        /// Requested state 9.
        StopResynchronizing = 110, "Stop Resynchronizing";
        /// `GetReplicationStatisticsEx`.
        GetStatistics = 111, "Get Replica statistics";
        /// No public method starts it.
        PrepareConsistencyChecker = 112, "Prepare for Consistency Checker";
        /// No public method starts it.
        ConsistencyChecker = 113, "Consistency Checker";
        /// No public method starts it.
        StopConsistencyChecker = 114, "Stop Consistency Checker";
        /// `TestReplicationConnection`.
        TestConnection = 115, "Test Replication Connection";
        /// The data of an initial replication.
        SendingInitialReplica = 116, "Sending Initial Replica";
        /// `StartReplication`, from a copy that is there already.
        StartSeededReplication = 117, "Start Resync Initial Replication";
        /// `StartReplication`, into files.
        ExportInitialReplication = 118, "Start Export Initial Replication";
        /// `ResetReplicationStatistics`.
        ResetStatistics = 119, "Reset Replica Statistics";
        /// Logs that wait for the initial replica; in the background.
        ApplyRegisteredDeltas = 120, "Apply Registered Deltas";
        /// `Resynchronize` on a replica: its extended relationship.
        ResynchronizingExtended = 121, "Resynchronizing Extended Replication";
        /// A phase of `TestReplicaSystem`.
        ReadingTestReplicaConfiguration = 122, "Reading Test Replica Configuration";
        /// `ChangeReplicationModeToPrimary`.
        ModeToPrimary = 123, "Change the replication mode to primary";
        /// `InitiateFailback`. One public listing has 123; the documentation and the shipped classes say 124.
        InitiateFailback = 124, "Initiate Failback";
        /// A changed set of replicated disks.
        UpdateDiskSet = 125, "Update Disk Set";
    }
}
