//! The settings among a call's parameters.

use hvrsim_replica::operation::{Frequency, SettingsChange};
use hvrsim_types::time::Span;

use crate::bind::Call;
use crate::value::Value;

impl Call {
    /// What `Enable-` and `Set-VMReplication` were told to set; the rest is `None`.
    pub(crate) fn settings_change(&self) -> SettingsChange {
        let boolean = |name| match self.value(name) {
            Some(Value::Boolean(value)) => Some(*value),
            _ => None,
        };
        let time = |name| -> Option<Span> {
            match self.value(name) {
                Some(Value::TimeOfDay(span)) => Some(*span),
                _ => None,
            }
        };
        let number = |name| match self.value(name) {
            Some(Value::Integer(value)) => u64::try_from(*value).ok(),
            _ => None,
        };
        SettingsChange {
            frequency: number("ReplicationFrequencySec").and_then(Frequency::from_interval_s),
            recovery_history: number("RecoveryHistory").and_then(|n| u8::try_from(n).ok()),
            compression: boolean("CompressionEnabled"),
            auto_resync: boolean("AutoResynchronizeEnabled"),
            auto_resync_start: time("AutoResynchronizeIntervalStart"),
            auto_resync_end: time("AutoResynchronizeIntervalEnd"),
            vss_hours: if self.switch("DisableVSSSnapshotReplication") {
                Some(0)
            } else {
                number("VSSSnapshotFrequencyHour").and_then(|n| u8::try_from(n).ok())
            },
            disks: None,
        }
    }
}
