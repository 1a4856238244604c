//! Faults planted on purpose, one at a time and by name, by which the project's checks are checked. Without the feature
//! `canaries`, which no build for users has, all that is left of it is a constant `false`.

macro_rules! canaries {
    ($($(#[doc = $doc:literal])* $name:ident: $word:literal;)*) => {
        /// A fault.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Canary { $($(#[doc = $doc])* $name,)* }

        impl Canary {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What it is chosen by.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $word,)* } }
        }
    };
}

canaries! {
    /// The undo log of a recovery point forgets some cells.
    UndoForgets: "undo-forgets-a-block";
    /// Two undo logs are merged, and what the newer one has is lost.
    MergeForgets: "merged-undo-logs-lose-one";
    /// What a log has is not applied to its end.
    LogCutShort: "log-applied-but-for-its-end";
    /// A revert keeps what was written after the failover.
    RevertKeeps: "revert-keeps-what-was-written";
    /// A session that goes on after a cut begins one block too far on.
    ResumeSkips: "resync-skips-a-block-on-resume";
    /// A reverse swaps only one side.
    SwapOneSide: "reverse-swaps-only-one-side";
    /// A failback that is cancelled shows as complete.
    FailbackTooEarly: "failback-completed-too-early";
    /// A failback that was cancelled after it wrote leaves no mark.
    NoMark: "cancelled-failback-leaves-no-mark";
    /// What is marked as inconsistent may be failed over.
    MarkIgnored: "marked-disks-are-failed-over";
    /// A log that was acknowledged is not stored.
    NotStored: "acknowledged-log-is-not-stored";
    /// A machine need not be Off where it must be.
    OffIgnored: "machine-need-not-be-off";
    /// Two copies run, and nobody is told.
    SilentSplit: "split-brain-is-not-told";
    /// A newer recovery point drops the one that a failover shows.
    ChosenDropped: "chosen-point-is-dropped";
    /// The answer whether a failback goes on ends any job.
    EndsAnyJob: "answer-ends-another-job";
    /// A log of an earlier epoch is taken.
    OldEpoch: "log-of-an-earlier-epoch-is-taken";
    /// The clock of the machine shows in the trace.
    ClockRead: "clock-is-read";
    /// A random hash order shows in the trace.
    HashOrder: "hash-order-shows";
}

#[cfg(feature = "canaries")]
mod planted {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Canary;

    static PLANTED: AtomicUsize = AtomicUsize::new(usize::MAX);

    /// Plants a fault in place of the one before, in the whole process.
    pub fn plant(canary: Option<Canary>) {
        let place = Canary::ALL.iter().position(|known| Some(*known) == canary);
        PLANTED.store(place.unwrap_or(usize::MAX), Ordering::SeqCst);
    }

    /// Whether this fault is planted.
    #[must_use]
    pub fn is_planted(canary: Canary) -> bool {
        Canary::ALL.get(PLANTED.load(Ordering::Relaxed)) == Some(&canary)
    }

    /// What no two runs have in common, if such a fault is planted.
    #[must_use]
    pub fn noise() -> Option<u64> {
        use std::hash::{BuildHasher, RandomState};
        use std::time::{SystemTime, UNIX_EPOCH};
        if is_planted(Canary::ClockRead) {
            return SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .map(|since| u64::from(since.subsec_nanos()));
        }
        is_planted(Canary::HashOrder).then(|| RandomState::new().hash_one(0))
    }
}

#[cfg(feature = "canaries")]
pub use planted::{is_planted, noise, plant};

/// Whether this fault is planted: none is.
#[cfg(not(feature = "canaries"))]
#[inline(always)]
#[must_use]
pub const fn is_planted(_: Canary) -> bool {
    false
}
