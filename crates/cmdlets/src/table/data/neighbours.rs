//! Cmdlets beside replication that runbooks use and that change what is replicated.

use super::{
    CHANGES, COMMON, Class, Cmdlet, JOB, PASSTHRU, Parameter, REMOTE, SNAPSHOT_ONE, Type, VM_OBJECT, VM_ONE,
    Verb, must, named, needed, row,
};

pub(super) const RESTORE: Cmdlet = row(
    "Restore-VMSnapshot",
    Verb::Lacking,
    &["VMName", "VMObject", "VMSnapshot"],
    &[
        &[
            Parameter::new("Name", Type::Text).on(&[must("VMName", 0), must("VMObject", 1)]),
            Parameter::new("VMName", Type::Texts).on(&[must("VMName", 1)]),
            Parameter::new("VM", VM_OBJECT).piped().on(&[must("VMObject", 0)]),
            Parameter::new("VMSnapshot", SNAPSHOT_ONE)
                .alias(&["VMCheckpoint"])
                .piped()
                .on(&[must("VMSnapshot", 0)]),
        ],
        REMOTE,
        JOB,
        PASSTHRU,
        CHANGES,
        COMMON,
    ],
)
.alias(&["Restore-VMCheckpoint"])
.returns(Class::Snapshot)
.lacks("applying a checkpoint: checkpoints are counted, not kept");

pub(super) const RESIZE: Cmdlet = row(
    "Resize-VHD",
    Verb::ResizeVhd,
    &["Size", "MinimumSize"],
    &[
        &[
            Parameter::new("Path", Type::Texts).on(&[must("Size", 0), must("MinimumSize", 0)]),
            Parameter::new("SizeBytes", Type::Size).on(&[must("Size", 1)]),
            Parameter::switch("ToMinimumSize").on(&[needed("MinimumSize")]),
        ],
        REMOTE,
        JOB,
        PASSTHRU,
        CHANGES,
        COMMON,
    ],
)
.returns(Class::Disk);

pub(super) const MOVE: Cmdlet = row(
    "Move-VM",
    Verb::MoveVm,
    &["NameSingle", "VMObjectSingle"],
    &[
        &[
            Parameter::new("Name", Type::Text).alias(&["VMName"]).on(&[must("NameSingle", 0)]),
            Parameter::new("VM", VM_ONE).piped().on(&[must("VMObjectSingle", 0)]),
            Parameter::new("DestinationHost", Type::Text)
                .on(&[must("NameSingle", 1), must("VMObjectSingle", 1)]),
            Parameter::switch("IncludeStorage").later(),
            Parameter::new("DestinationStoragePath", Type::Text)
                .later()
                .on(&[named("NameSingle"), named("VMObjectSingle")]),
        ],
        REMOTE,
        JOB,
        PASSTHRU,
        CHANGES,
        COMMON,
    ],
)
.returns(Class::Machine);

pub(super) const MOVE_STORAGE: Cmdlet = row(
    "Move-VMStorage",
    Verb::Lacking,
    &["NameSingleDestination", "VMObjectSingleDestination"],
    &[
        &[
            Parameter::new("VMName", Type::Text).alias(&["Name"]).on(&[must("NameSingleDestination", 0)]),
            Parameter::new("VM", VM_ONE).piped().on(&[must("VMObjectSingleDestination", 0)]),
            Parameter::new("DestinationStoragePath", Type::Text)
                .on(&[must("NameSingleDestination", 1), must("VMObjectSingleDestination", 1)]),
        ],
        REMOTE,
        JOB,
        CHANGES,
        COMMON,
    ],
)
.lacks("moving a machine's storage: the model has no folders");
