//! Both halves in one place: makes one side's disks equal to the other's without a link between them.

use crate::blocks::{Blocks, BlocksMut};
use crate::message::Output;
use crate::source::{Counts, Options, Source};
use crate::target::Target;
use crate::{Error, Position};

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Progress {
    /// What was compared and sent.
    pub counts: Counts,
    /// Candidate blocks done.
    pub blocks_done: u64,
    /// The checkpoint.
    pub position: Position,
}

/// Makes the target equal to the source, from a checkpoint on; `progress` is called whenever the
/// target has worked, after what it names is durable.
///
/// # Errors
/// A disk failed, or the disks differ in number or size.
pub fn run<S, T>(
    source: &S,
    target: &mut T,
    options: Options,
    from: Position,
    mut progress: impl FnMut(&Progress),
) -> Result<Progress, Error<S::Error>>
where
    S: Blocks,
    T: BlocksMut<Payload = S::Payload, Error = S::Error>,
{
    let (mut reader, mut writer) = (Source::new(options), Target::resume(from));
    let mut output: Option<Output<S::Payload>> = Some(reader.open(source));
    let mut last = Progress::default();
    while let Some(Output { message, .. }) = output.take() {
        output = if message.to_target() {
            let answer = writer.handle(target, message)?;
            let (counts, blocks_done) = (reader.counts(), writer.blocks_done());
            last = Progress { counts, blocks_done, position: writer.position() };
            progress(&last);
            Some(answer)
        } else {
            reader.handle(source, message)?
        };
    }
    Ok(last)
}
