//! Test failover: a machine of its own on a recovery point, while replication goes on.

use hvrsim_types::job::JobType;

use crate::exchange::{Effect, Outcome};
use crate::job::Stage;
use crate::operation::PointChoice;
use crate::rule::Rule;
use crate::service::Work;

impl Work<'_> {
    pub(crate) fn test_failover(&mut self, rule: &'static Rule, choice: PointChoice) -> Outcome {
        let job = self.start_job(JobType::TestReplica, Stage::Preparing);
        let view = match choice {
            PointChoice::Id(id) => Some(id),
            _ => None,
        };
        self.stay(rule.id);
        self.effect(Effect::MakeTest { view });
        self.started(rule, job)
    }

    /// `Stop-VMFailover` where there is no failover but a test machine.
    pub(crate) fn end_test(&mut self, rule: &'static Rule) -> Outcome {
        self.stay(rule.id);
        self.effect(Effect::RemoveTest);
        self.instant_job(rule, JobType::RemoveTestReplica)
    }

    /// The job under way makes a test machine.
    pub(crate) fn makes_test(&self) -> bool {
        let job = self.copy.job.and_then(|id| self.jobs.get(id));
        job.is_some_and(|job| job.kind == JobType::TestReplica)
    }

    /// The job that makes a test machine ends before it is there.
    pub(crate) fn abandon_test(&mut self) {
        if self.makes_test() {
            self.effect(Effect::RemoveTest);
        }
    }

    /// The test machine stays where it is, or goes, without its replica: a second one can be made, and the next
    /// Stop-VMFailover does not find the first.
    pub(crate) fn test_parted(&mut self) {
        self.stay("TF-63");
    }
}
